"""A stage cannot be entered, passed or left with its work undone. Pure.

Bitrix24 has no veto: an item moves first, then we look at it. From where it stood, where it stands now, the playbook
and the evidence comes one of four answers: let it pass, move it back and tell, leave it and make a task, or only warn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
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
EMPTY = LocalText(ru="не заполнено", en="not filled in")
REASON_UNNAMED = LocalText(
    ru="Отказ только с причиной: по ней видно, почему уходят клиенты", en="Declined only with a reason: it shows why"
)
EVIDENCE_NAMES = {
    "offer_sent": LocalText(ru="Отправленное КП", en="The offer sent"),
    "task_closed": LocalText(ru="Закрытая задача", en="The task closed"),
    "checklist_complete": LocalText(ru="Выполненный чек-лист", en="The checklist complete"),
    "result_attached": LocalText(ru="Результат задачи", en="The task's result"),
    "call_made": LocalText(ru="Звонок клиенту", en="A call to the client"),
    "field_confirmed": LocalText(ru="Подтверждённое поле", en="The field confirmed"),
}
STRICTNESS: tuple[Action, ...] = ("return", "task", "warn")
"""Where several stages with different gates were passed, the strictest one that lacks something decides."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_PHONE_SIGNS = re.compile(r"[\d\s()+.\-]+")


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
    target = process.stage(now)
    if target is None or before == now:
        return Ruling("pass", reason="стадии нет в плейбуке / not a stage of the playbook" if target is None else "")
    if target.semantics == "failure":
        missing = _reason_missing(process, target, decline_reason)
        stages: tuple[Stage, ...] = (target,)
    else:
        missing = missing_for_move(process, before, now, card, seen, at)
        stages = tuple(stage for stage in process.stages if any(stage.key == lack.stage for lack in missing))
    if not missing:
        return Ruling("pass")
    action = next(kind for kind in STRICTNESS if any(stage.gate == kind for stage in stages))
    if action != "return":
        return Ruling(action, missing)
    if moved_back_lately >= process.moves_back_an_hour:
        times = f"{moved_back_lately} за час / an hour"
        return Ruling("ask", missing, reason=f"возвращали слишком часто: {times}")
    return Ruling("return", missing, back_to=before if before is not None else process.stages[0].key)


def missing_for_move(
    process: Process, before: str | None, now: str, card: Card, seen: Seen, at: datetime
) -> tuple[Missing, ...]:
    """Returns what is missing to move forward from `before` (None: from the very beginning) to `now`, each once."""
    left, entered = stages_of_move(process, before, now)
    leaving = [lack for stage in left for lack in _fields_missing(process, stage, stage.requires_to_leave, card, at)]
    entering = missing_for(process, entered, card, seen, at)
    ordered = [*leaving, *entering]
    first = [lack for lack in ordered if lack.kind == "field"] + [lack for lack in ordered if lack.kind != "field"]
    return tuple(_once(first))


def stages_of_move(process: Process, before: str | None, now: str) -> tuple[tuple[Stage, ...], tuple[Stage, ...]]:
    """Returns the stages that a move leaves and those that it passes or enters; nothing for a move backwards.

    A stage of failure is no place on the way: an item that comes back from there is judged from the beginning, else
    declining and taking up again would be a way around every gate.
    """
    stages = process.stages
    end = process.order(now)
    here = process.stage(before) if before is not None else None
    start = process.order(before) if here is not None and before is not None and here.semantics != "failure" else -1
    if end <= start:
        return (), ()
    entered = tuple(stage for stage in stages[start + 1 : end + 1] if stage.semantics == "process")
    if stages[end].semantics != "process":
        entered = (*entered, stages[end])
    left = tuple(stage for stage in stages[max(start, 0) : end] if stage.semantics == "process")
    return left, entered


def missing_for(process: Process, stages: Sequence[Stage], card: Card, seen: Seen, at: datetime) -> tuple[Missing, ...]:
    """Returns what is missing to enter these stages, fields before evidence, each once."""
    fields = [lack for stage in stages for lack in _fields_missing(process, stage, stage.requires, card, at)]
    evidence = [
        Missing("evidence", evidence_key(wanted), evidence_name(process, wanted), wanted.why, stage.key)
        for stage in stages
        for wanted in stage.evidence
        if not stands(wanted, seen)
    ]
    return tuple(_once([*fields, *evidence]))


def missing_evidence(process: Process, stage: Stage, wanted: Sequence[Evidence], seen: Seen) -> tuple[Missing, ...]:
    """Returns which of these pieces of evidence are not there (what closing a task needs)."""
    return tuple(
        Missing("evidence", evidence_key(one), evidence_name(process, one), one.why, stage.key)
        for one in wanted
        if not stands(one, seen)
    )


def applies(condition: Condition | None, card: Card) -> bool:
    """Tells whether a rule with this condition applies to the card."""
    if condition is None:
        return True
    value = card.values.get(condition.field)
    if condition.filled is not None:
        return (value is not None) == condition.filled
    return any(str(one) in condition.one_of for one in _each(value))


def fulfilled(requirement: Requirement, process: Process, card: Card, at: datetime) -> LocalText | None:
    """Returns why the requirement is not fulfilled, or None.

    A field that the portal does not have cannot be filled in: nobody is held back by it (an alarm tells of it).
    """
    if requirement.field in card.unknown or not applies(requirement.only_if, card):
        return None
    described = process.field(requirement.field)
    value = card.values.get(requirement.field)
    if value is None:
        return (described.why if described is not None else None) or EMPTY
    if requirement.valid == "any" or all(_is_right(requirement.valid, one, at) for one in _each(value)):
        return None
    return INVALID[requirement.valid]


def stands(evidence: Evidence, seen: Seen) -> bool:
    """Tells whether the evidence is there."""
    if evidence.manual and evidence_key(evidence) in seen.confirmed:
        return True
    match evidence.kind:
        case "offer_sent":
            return bool(seen.offers)
        case "call_made":
            return bool(seen.calls)
        case "task_closed":
            return evidence.task in seen.closed_tasks
        case "checklist_complete":
            return evidence.task in seen.complete_checklists
        case "result_attached":
            return evidence.task in seen.results
        case "field_confirmed":
            return evidence.field in seen.confirmed_fields


def evidence_key(evidence: Evidence) -> str:
    """Returns the name under which evidence is confirmed and told: `offer_sent`, `task_closed:send_offer`."""
    about = evidence.task or evidence.field
    return f"{evidence.kind}:{about}" if about else evidence.kind


def evidence_name(process: Process, evidence: Evidence) -> LocalText:
    """Returns what is missing, in words: with the task's title or the field's name where it is about one."""
    name = EVIDENCE_NAMES[evidence.kind]
    if evidence.field is not None and (described := process.field(evidence.field)) is not None:
        return LocalText(ru=f"{name.ru} «{described.name.ru}»", en=f"{name.en} “{described.name.en}”")
    title = next((rule.title for _, rule in process.task_rules() if rule.key == evidence.task), None)
    return name if title is None else LocalText(ru=f"{name.ru} «{title}»", en=f"{name.en} “{title}”")


def evidence_asked(stages: Sequence[Stage]) -> tuple[Evidence, ...]:
    """Returns the evidence that these stages ask for."""
    return tuple(evidence for stage in stages for evidence in stage.evidence)


def is_email(text: str) -> bool:
    """Tells whether a text looks like an address that a letter can be sent to."""
    return _EMAIL.fullmatch(text.strip()) is not None


def is_phone(text: str) -> bool:
    """Tells whether a text can be a telephone number with its country or area code."""
    return _PHONE_SIGNS.fullmatch(text.strip()) is not None and 10 <= sum(map(str.isdigit, text)) <= 15


def _is_right(check: str, value: object, at: datetime) -> bool:
    match check, value:
        case "email", _:
            return is_email(str(value))
        case "phone", _:
            return is_phone(str(value))
        case _, datetime():
            return value >= at
        case _, date():
            return value >= at.date()
        case _:
            return False  # not a date at all


def _fields_missing(
    process: Process, stage: Stage, requirements: Sequence[Requirement], card: Card, at: datetime
) -> Iterator[Missing]:
    for requirement in requirements:
        why = fulfilled(requirement, process, card, at)
        described = process.field(requirement.field)
        if why is not None and described is not None:
            yield Missing("field", requirement.field, described.name, why, stage.key)


def _reason_missing(process: Process, stage: Stage, reason: str | None) -> tuple[Missing, ...]:
    decline = process.decline
    if decline is None or reason is not None or decline.reason_of(stage.key) is not None:
        return ()
    return (Missing("decline", "decline", decline.name, REASON_UNNAMED, stage.key),)


def _each(value: object) -> tuple[object, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _once(found: Sequence[Missing]) -> Iterator[Missing]:
    told: set[tuple[str, str]] = set()
    for lack in found:
        if (lack.kind, lack.key) not in told:
            told.add((lack.kind, lack.key))
            yield lack
