"""The tab «Замер»: the visit that is agreed, what comes next, the free times, and the rounds that were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from b24app import measuring
from b24app.bitrix.calls import Answer
from b24app.entities import ItemRef
from b24app.errors import AccessDenied, B24AppError, NotFound
from b24app.measuring import Crew
from b24app.pages.frame import Look
from b24app.playbook import Measurement
from b24app.process import ProcessOnPortal, card_of, card_read
from b24app.rules.confirmation import AGREED, STATES, after
from b24app.rules.working_time import WEEKDAYS
from b24app.store.visits import VisitRow

BUTTONS = ("agree", "cancel", "measure", "miss")
"""What can be pressed about an agreed visit, where its state knows it."""


def show(
    look: Look,
    entity: str,
    on: ProcessOnPortal,
    rules: Measurement,
    crew: Crew,
    rows: Sequence[VisitRow],
    answers: Mapping[str, Answer | B24AppError],
) -> str:
    """Returns the tab; `answers` to the card's read with the visitor's own rights. Raises what the portal said."""
    answer = answers.get("item")
    if isinstance(answer, B24AppError):
        raise answer
    if not isinstance(answer, Answer):
        raise AccessDenied("карточка не прочитана / the card was not read")
    raw = card_read(ItemRef.parse(entity)).parse(answer)
    if raw is None:
        raise NotFound("карточки нет / there is no such card")
    kind = measuring.work_of(rules, card_of(on, raw))
    agreed = next((row for row in rows if row.state in AGREED), None)
    held = next((row for row in rows if row.state == "held"), None)
    return look.render(
        "visit.html",
        entity=entity,
        title=str(raw.get("title") or look.entity(entity)),
        address=measuring.address_in(on, rules, raw).text,
        address_name=on.field_name(rules.address),
        agreed=None if agreed is None else described(look, rules, crew, agreed),
        held=None if held is None else described(look, rules, crew, held),
        works=[{"key": one.key, "name": one.name.of(look.language), "chosen": one == kind} for one in rules.work],
        weekdays=list(enumerate(WEEKDAYS["ru" if look.language == "ru" else "en"])),
        rounds=[described(look, rules, crew, row) for row in rows if row.entry_delivery is not None and row != agreed],
        hold_minutes=rules.hold_minutes,
        nobody=not crew.people,
    )


def not_measured(look: Look) -> str:
    """Returns the page of an installation whose playbook has no measurements."""
    return look.render(
        "message.html",
        title=look.text("Замеры", "Measurements"),
        lines=[
            look.text(
                "Замеров для этих карточек нет: в сценарии нет раздела [measurement], или он о других карточках.",
                "There are no measurements for these items: the playbook has no [measurement], or it is about others.",
            )
        ],
    )


def described(look: Look, rules: Measurement, crew: Crew, row: VisitRow) -> dict[str, Any]:
    """Returns a visit as the tab and its answers show it."""
    kind = measuring.work_named(rules, row.work)
    zone = crew.zone(row.measurer_id)
    return {
        "id": row.id,
        "state": row.state,
        "state_name": look.word(STATES[row.state]),
        "when": measuring.when(row.starts_at, row.ends_at, zone, look.language),
        "day": row.starts_at.astimezone(zone).date().isoformat(),
        "measurer": row.measurer_id,
        "start": row.starts_at.isoformat(),
        "name": crew.name(row.measurer_id),
        "work": kind.name.of(look.language) if kind is not None else row.work,
        "address": row.address,
        "round": row.round,
        "hold_until": row.hold_until.isoformat() if row.state == "held" and row.hold_until is not None else "",
        "confirm": look.when(row.confirm_at) if row.state == "confirming" else "",
        "reason": reason_of(look, row.reason),
        "may": [
            {"how": how, "name": BUTTON_NAMES[how][look.language if look.language == "ru" else "en"]}
            for how in BUTTONS
            if may_happen(row, how, datetime.now(UTC))
        ],
    }


def may_happen(row: VisitRow, how: str, now: datetime) -> bool:
    """Tells whether a person may say that of a visit: before it begins that it holds, then what came of it."""
    if after(row.state, how) is None:  # type: ignore[arg-type]
        return False
    return how == "cancel" or (row.starts_at <= now) == (how in ("measure", "miss"))


BUTTON_NAMES: Mapping[str, Mapping[str, str]] = {
    "agree": {"ru": "Клиент подтвердил", "en": "The client confirmed"},
    "cancel": {"ru": "Отменить замер", "en": "Cancel the visit"},
    "measure": {"ru": "Замер сделан", "en": "The visit is done"},
    "miss": {"ru": "Никого не застали", "en": "Nobody was at home"},
}


def reason_of(look: Look, reason: str) -> str:
    """Returns the half of a kept reason that is in the page's language."""
    ru, _, en = reason.partition(" / ")
    return ru if look.language == "ru" or not en else en
