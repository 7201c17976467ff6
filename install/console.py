"""plan, apply, undo and export on the command line: plain words, Russian and English, one thing a line."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from b24app.errors import B24AppError, ConfigError
from b24app.rules.scale import advise
from b24app.services import Services
from b24app.store.applied import Applied
from b24app.store.portals import PortalRow, all_portals
from install.apply import apply, plan, read_portal, undo
from install.carry_out import Line
from install.export import exported
from install.wanted import Step

MARKS = {"add": "+", "update": "~", "adopted": "=", "present": "✔", "impossible": "·", "conflict": "✘"}
LINE_MARKS = {"working": "…", "done": "+", "present": "✔", "note": "·", "failed": "✘"}
LEGEND = (
    "+ добавится, ~ изменится, = есть под другим именем и берётся как есть, ✔ уже есть, · не делаем, ✘ решает человек\n"
    "+ added, ~ changed, = there under another name and taken over, ✔ there, · not done, ✘ a person has to decide\n"
)


def run(services: Services, command: str, host: str) -> int:
    """Runs plan, apply, undo or export on one portal; returns 0, or 1 where a person has to act."""
    row = chosen(services, host)
    try:
        match command:
            case "plan":
                status = show(plan(services, row.member_id), row.host)
                advised = len(advise(services.playbook.lead)) + len(advise(services.playbook.deal))
                if advised:
                    sys.stdout.write(f"Шкала статусов, замечаний / status scale, findings: {advised} (b24app advise)\n")
                return status
            case "apply":
                return tell(apply(services, row.member_id))
            case "undo":
                return tell(undo(services, row.member_id))
        rows = {one.name: one for one in Applied(services.database, row.member_id).rows()}
        sys.stdout.write(exported(services.playbook, read_portal(services, row.member_id), rows, row.host))
    except B24AppError as error:
        sys.stderr.write(f"✘ {error}\n")
        return 1
    return 0


def chosen(services: Services, host: str) -> PortalRow:
    """Returns the portal of that host, or the only one; ConfigError names those that there are."""
    rows = [row for row in all_portals(services.database).values() if row.active]
    found = [row for row in rows if not host or row.host == host]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted(row.host for row in rows)) or "—"
    if found:
        raise ConfigError(f"--portal: какой из порталов? / which of the portals? {known}")
    raise ConfigError(
        f"--portal: приложение не установлено / the application is not installed: {host or '—'} ({known})"
    )


def show(steps: Iterable[Step], host: str) -> int:
    """Prints what would be done."""
    steps = list(steps)
    sys.stdout.write(f"{host}\n{LEGEND}\n")
    for step in steps:
        note = step.note or {"ru": "", "en": ""}
        for language, mark in (("ru", MARKS[step.state]), ("en", " ")):
            said = f"{step.what[language]}: {note[language]}" if note[language] else step.what[language]
            sys.stdout.write(f"{mark} {said}\n")
    changes = sum(step.call is not None for step in steps)
    conflicts = sum(step.state == "conflict" for step in steps)
    sys.stdout.write(
        f"\nИзменений: {changes}, требуют решения: {conflicts}\nChanges: {changes}, to be decided: {conflicts}\n"
    )
    return 1 if conflicts else 0


def tell(lines: Iterable[Line]) -> int:
    """Prints what is done while it is done."""
    failed = False
    for line in lines:
        failed = failed or line.state == "failed"
        advice = line.advice or {"ru": "", "en": ""}
        for language, mark in (("ru", LINE_MARKS[line.state]), ("en", " ")):
            said = f"{line.text[language]}: {advice[language]}" if advice[language] else line.text[language]
            sys.stdout.write(f"{mark} {said}\n")
        sys.stdout.flush()
    return 1 if failed else 0
