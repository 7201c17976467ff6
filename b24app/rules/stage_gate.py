"""A stage cannot be entered, passed or left with its work undone. Pure.

Bitrix24 has no veto: an item moves first, then we look at it. From where it stood, where it stands now, the playbook
and the evidence comes one of four answers: let it pass, move it back and tell, leave it and make a task, or only warn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from b24app.playbook import Condition, Evidence, LocalText, Process, Requirement, Stage

Action = Literal["pass", "return", "task", "warn", "ask"]


@dataclass(frozen=True)
class Card:
    """An item's values by the playbook's field keys, as people see them: list values by their keys, times aware.

    A field that is empty is absent. `unknown` are keys whose field the portal does not have (any more).
    """

    values: Mapping[str, object] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Seen:
    """Evidence that was seen: what stands, and since when; `confirmed` are kinds that a person confirmed by hand."""

    offers: tuple[datetime, ...] = ()
    closed_tasks: frozenset[str] = frozenset()
    complete_checklists: frozenset[str] = frozenset()
    results: frozenset[str] = frozenset()
    calls: tuple[datetime, ...] = ()
    confirmed_fields: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Missing:
    """One thing that is not done: a field to fill or correct, or evidence that is not there."""

    kind: Literal["field", "evidence", "decline"]
    key: str
    name: LocalText
    why: LocalText
    stage: str


@dataclass(frozen=True)
class Ruling:
    """What to do with a move. `back_to` is the stage's key for `return`; `missing` says why, first things first."""

    action: Action
    missing: tuple[Missing, ...] = ()
    back_to: str | None = None
    reason: str = ""


INVALID = {
    "email": LocalText(ru="это не адрес e-mail", en="not an e-mail address"),
    "phone": LocalText(ru="это не номер телефона", en="not a phone number"),
    "not_past": LocalText(ru="эта дата уже прошла", en="this date has passed"),
}


def judge_move(
    process: Process,
    before: str | None,
    now: str,
    card: Card,
    seen: Seen,
    *,
    at: datetime,
    moved_back_lately: int = 0,
    decline_reason: str | None = None,
) -> Ruling:
    """Returns the ruling on a move from stage key `before` (None: a new item) to `now`.

    Forward: every stage passed or entered must have its requirements and evidence, every stage left what it asks to be
    left with. Backward moves pass. A failing stage asks for the reason of decline alone. An item that was moved back
    too often within an hour is left where it is, and a person is asked.
    """
    raise NotImplementedError


def missing_for(process: Process, stages: Sequence[Stage], card: Card, seen: Seen, at: datetime) -> tuple[Missing, ...]:
    """Returns what is missing to enter these stages, fields before evidence, each once."""
    raise NotImplementedError


def applies(condition: Condition | None, card: Card) -> bool:
    """Tells whether a rule with this condition applies to the card."""
    raise NotImplementedError


def fulfilled(requirement: Requirement, process: Process, card: Card, at: datetime) -> LocalText | None:
    """Returns why the requirement is not fulfilled, or None."""
    raise NotImplementedError


def stands(evidence: Evidence, seen: Seen) -> bool:
    """Tells whether the evidence is there."""
    raise NotImplementedError
