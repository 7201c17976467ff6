"""Who is free, and whose turn it is: the one definition of a free employee («свободный сотрудник»). Pure.

Free = active, at work now, not absent, not busy in the calendar (by policy), not on a call, below the limit of open
leads. Every candidate gets a verdict with the reason, because the manager reads it in the decision card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from b24app.entities import Clock, Interval, User
from b24app.rules.working_time import WorkCalendar

Text = Mapping[str, str]
Order = Literal["in_turn", "least_loaded"]
WhenNobody = Literal["head", "user", "wait"]
LONG_AGO_DAYS = 14
"""Longer than the holidays at New Year (twelve days in 2026): after them the clocks are still in use."""


@dataclass(frozen=True)
class Candidate:
    """A person whom the work may go to. `load` counts open items (None: not counted); the turns are our own memory."""

    user: User
    clock: Clock = Clock.UNUSED
    clock_used_at: datetime | None = None
    intervals: tuple[Interval, ...] = ()
    on_call: bool = False
    load: int | None = None
    last_turn_at: datetime | None = None
    turns_unwritten: int = 0


@dataclass(frozen=True)
class Policy:
    """How the company distributes; from the playbook or from the robot's properties."""

    order: Order = "in_turn"
    limit_open: int = 0  # 0: no limit
    calendar_busy_counts: bool = True
    clock: Literal["auto", "required", "ignored"] = "auto"
    when_nobody: WhenNobody = "head"
    fallback_user_id: int | None = None


@dataclass(frozen=True)
class Verdict:
    """One candidate weighed: free or not, and why in words."""

    user_id: int
    name: str
    free: bool
    why: Text


@dataclass(frozen=True)
class Choice:
    """Who gets it. `how` says by which rule; `fallback` marks that nobody was free and the policy named somebody."""

    user_id: int | None
    name: str
    how: Text
    verdicts: tuple[Verdict, ...] = field(default=())
    fallback: bool = False


def clock_in_use(candidates: Sequence[Candidate], now: datetime) -> bool:
    """Tells whether these people use the working-day clock at all: somebody's is open, or was within two weeks.

    Portals where nobody clocks in answer CLOSED for everybody, and then the office hours decide.
    """
    recent = now - timedelta(days=LONG_AGO_DAYS)
    return any(
        c.clock in (Clock.OPENED, Clock.PAUSED) or (c.clock_used_at is not None and c.clock_used_at >= recent)
        for c in candidates
    )


def judge(candidate: Candidate, now: datetime, policy: Policy, hours: WorkCalendar, *, clocked: bool) -> Verdict:
    """Returns the verdict on one candidate; the first reason against him is named."""
    against = _reason_against(candidate, now, policy, hours, clocked=clocked)
    user = candidate.user
    if against is not None:
        return Verdict(user.id, user.name, False, against)
    ru, en = ["свободен"], ["free"]
    if candidate.load is not None:
        ru.append(f"открытых: {candidate.load}")
        en.append(f"open: {candidate.load}")
    if candidate.last_turn_at is not None:
        at = candidate.last_turn_at.astimezone(hours.zone)
        ru.append(f"последний лид {at:%d.%m %H:%M}")
        en.append(f"last lead {at:%d.%m %H:%M}")
    return Verdict(user.id, user.name, True, {"ru": ", ".join(ru), "en": ", ".join(en)})


def _reason_against(
    candidate: Candidate, now: datetime, policy: Policy, hours: WorkCalendar, *, clocked: bool
) -> Text | None:
    local = hours.zone
    if not candidate.user.active:
        return {"ru": "уволен", "en": "dismissed"}
    absence = next((i for i in candidate.intervals if i.absent and i.covers(now)), None)
    if absence is not None:
        until = absence.end.astimezone(local)
        return {"ru": f"отсутствует до {until:%d.%m %H:%M}", "en": f"absent until {until:%d.%m %H:%M}"}
    if policy.clock == "required" or (policy.clock == "auto" and clocked):
        match candidate.clock:
            case Clock.PAUSED:
                return {"ru": "на перерыве", "en": "on a break"}
            case Clock.CLOSED | Clock.EXPIRED:
                return {"ru": "рабочий день не начат или закончен", "en": "working day not started or over"}
            case Clock.UNUSED if policy.clock == "required":
                return {"ru": "рабочий день не отмечает", "en": "does not use the working-day clock"}
            case Clock.UNUSED if not hours.is_open(now):
                return _closed(now, hours)
    elif not hours.is_open(now):
        return _closed(now, hours)
    if candidate.on_call:
        return {"ru": "говорит по телефону", "en": "on a call"}
    if policy.calendar_busy_counts:
        busy = next((i for i in candidate.intervals if not i.absent and i.covers(now)), None)
        if busy is not None:
            until = busy.end.astimezone(local)
            return {"ru": f"занят по календарю до {until:%H:%M}", "en": f"busy in the calendar until {until:%H:%M}"}
    if policy.limit_open and candidate.load is not None:
        load = candidate.load + candidate.turns_unwritten
        if load >= policy.limit_open:
            return {
                "ru": f"открытых лидов {load}, предел {policy.limit_open}",
                "en": f"{load} open leads, limit {policy.limit_open}",
            }
    return None


def _closed(now: datetime, hours: WorkCalendar) -> Text:
    opening = hours.next_opening(now)
    if opening is None:
        return {"ru": "нерабочее время", "en": "outside working hours"}
    at = opening.astimezone(hours.zone)
    return {"ru": f"нерабочее время, начало {at:%d.%m %H:%M}", "en": f"outside working hours, opens {at:%d.%m %H:%M}"}


def choose(
    candidates: Sequence[Candidate],
    now: datetime,
    policy: Policy,
    hours: WorkCalendar,
    *,
    head: User | None = None,
    fallback: User | None = None,
) -> Choice:
    """Returns who gets it, with everybody's verdict; nobody only where the policy is to wait.

    In turn: who waited longest for his turn; never had one = first, by id. Least loaded: fewest open items, those that
    we decided on and have not written yet counted in, then in turn.
    """
    clocked = clock_in_use(candidates, now)
    verdicts = tuple(judge(c, now, policy, hours, clocked=clocked) for c in candidates)
    free = [c for c, verdict in zip(candidates, verdicts, strict=True) if verdict.free]
    if free:
        chosen = min(free, key=lambda c: _rank(c, policy.order))
        how = (
            {"ru": "по очереди среди свободных", "en": "in turn among the free"}
            if policy.order == "in_turn"
            else {"ru": "наименее загруженный из свободных", "en": "the least loaded of the free"}
        )
        verdicts = tuple(_not_his_turn(v, policy) if v.free and v.user_id != chosen.user.id else v for v in verdicts)
        return Choice(chosen.user.id, chosen.user.name, how, verdicts)
    nobody = {"ru": "никто не свободен", "en": "nobody is free"}
    if not candidates:
        nobody = {"ru": "в правиле нет ни одного сотрудника", "en": "the rule names no employee"}
    if policy.when_nobody == "user" and fallback is not None and fallback.active:
        how = {"ru": f"{nobody['ru']}: назначен дежурный", "en": f"{nobody['en']}: the person on duty"}
        return Choice(fallback.id, fallback.name, how, verdicts, fallback=True)
    if policy.when_nobody in ("head", "user") and head is not None and head.active:
        how = {"ru": f"{nobody['ru']}: руководителю отдела", "en": f"{nobody['en']}: to the head of the department"}
        return Choice(head.id, head.name, how, verdicts, fallback=True)
    how = {"ru": f"{nobody['ru']}: ждёт в очереди", "en": f"{nobody['en']}: waits in the queue"}
    return Choice(None, "", how, verdicts, fallback=True)


def _not_his_turn(verdict: Verdict, policy: Policy) -> Verdict:
    """A free one who was not chosen reads why not."""
    later = (
        {"ru": "его очередь позже", "en": "his turn is later"}
        if policy.order == "in_turn"
        else {"ru": "загружен не меньше", "en": "not less loaded"}
    )
    return replace(verdict, why={language: f"{verdict.why[language]}; {text}" for language, text in later.items()})


def _rank(candidate: Candidate, order: Order) -> tuple[float, float, int]:
    turn = candidate.last_turn_at.timestamp() if candidate.last_turn_at else 0.0
    load = float((candidate.load or 0) + candidate.turns_unwritten) if order == "least_loaded" else 0.0
    return load, turn, candidate.user.id
