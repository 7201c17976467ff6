"""The application's main page: is everything all right, who is free now, what waits, what was decided and why.

Everybody sees the people and his own decisions; an administrator sees everything and may act on what is stuck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from b24app.health import Finding, findings
from b24app.pages.frame import Look
from b24app.rules.assignment import Verdict
from b24app.store.overview import Failure, overview
from b24app.store.portals import portal_of

SHOWN_LEVELS = ("bad", "warn")
SHOWN_APART = ("alarm", "failed")


@dataclass(frozen=True)
class FailureLine:
    """A failed delivery in words."""

    id: int
    what: str
    about: str
    path: str
    reason: str
    when: str


def show(look: Look, member_id: str, *, user_id: int, name: str, admin: bool, people: Sequence[Verdict] | None) -> str:
    """Returns the page. `people` is None where the portal could not be asked just now."""
    seen = overview(look.services.database, member_id, manager_id=None if admin else user_id)
    found = [finding for finding in findings(look.services) if finding.member_id in ("", member_id)]
    about = [finding for finding in found if finding.level in SHOWN_LEVELS and finding.key not in SHOWN_APART]
    fine = [finding for finding in found if finding.level not in SHOWN_LEVELS]
    row = portal_of(look.services.database, member_id)
    host = row.host if row else ""
    return look.render(
        "main.html",
        name=name,
        admin=admin,
        seen=seen,
        problems=[{"level": one.level, "text": _words(look, one, host)} for one in about] if admin else [],
        fine=[_words(look, one, host) for one in fine] if admin else [],
        failures=[_failure(look, failure) for failure in seen.failures] if admin else [],
        people=people,
        playbook=look.services.playbook.name,
        process=str(row.facts.get("process") or "") if row and admin else "",
        everything_works=not seen.alarms and not any(one.level == "bad" for one in about),
    )


def _words(look: Look, finding: Finding, host: str) -> str:
    """Returns the finding without the portal's name: on its own page that is nothing new."""
    text = look.text(finding.ru, finding.en)
    rest = text.removeprefix(f"{host}: ")
    return text if rest == text else rest[:1].upper() + rest[1:]


def _failure(look: Look, failure: Failure) -> FailureLine:
    robot = look.services.catalogue.robot(failure.code) if failure.kind == "robot" else None
    if robot is not None:
        what = look.text(f"Робот «{robot.name['ru']}»", f"Robot “{robot.name['en']}”")
    elif failure.kind == "robot":
        what = look.text(f"Робот {failure.code}", f"Robot {failure.code}")
    elif failure.kind == "event":
        what = look.text(f"Событие {failure.code}", f"Event {failure.code}")
    else:
        what = look.text(f"Работа по времени: {failure.code}", f"Timed work: {failure.code}")
    return FailureLine(
        id=failure.id,
        what=what,
        about=look.entity(failure.entity),
        path=look.path(failure.entity),
        reason=failure.reason or look.text("причина не записана", "no reason was kept"),
        when=look.when(failure.finished_at),
    )
