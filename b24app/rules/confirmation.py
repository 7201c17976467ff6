"""The life of a visit: agreed, confirmed one working day before, made, or begun anew. Pure.

A visit is a row; another date is another row with the next round, so the history of agreeing stands there.
`TRANSITIONS` is the whole machine: what is not in it does not happen. docs/measurement.md shows it as a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from b24app.rules.working_time import Text, WorkCalendar

State = Literal["proposed", "held", "booked", "confirming", "confirmed", "done", "moved", "cancelled", "nobody_home"]
Happening = Literal["hold", "book", "ask", "agree", "move", "expire", "cancel", "measure", "miss"]

TRANSITIONS: Mapping[tuple[State, Happening], State] = {
    ("proposed", "hold"): "held",
    ("proposed", "book"): "booked",
    ("proposed", "move"): "moved",
    ("proposed", "cancel"): "cancelled",
    ("held", "book"): "booked",
    ("held", "expire"): "cancelled",
    ("held", "move"): "moved",
    ("held", "cancel"): "cancelled",
    ("booked", "ask"): "confirming",
    ("booked", "agree"): "confirmed",
    ("booked", "move"): "moved",
    ("booked", "cancel"): "cancelled",
    ("confirming", "agree"): "confirmed",
    ("confirming", "move"): "moved",
    ("confirming", "cancel"): "cancelled",
    ("confirmed", "measure"): "done",
    ("confirmed", "miss"): "nobody_home",
    ("confirmed", "move"): "moved",
    ("confirmed", "cancel"): "cancelled",
}
OCCUPYING: tuple[State, ...] = ("held", "booked", "confirming", "confirmed")
"""The states in which the measurer's time is taken."""
AGREED: tuple[State, ...] = ("booked", "confirming", "confirmed")
"""The states in which the client waits for somebody."""

STATES: Mapping[State, Text] = {
    "proposed": {"ru": "предложен", "en": "proposed"},
    "held": {"ru": "удержан", "en": "held"},
    "booked": {"ru": "записан", "en": "booked"},
    "confirming": {"ru": "ждёт подтверждения", "en": "to be confirmed"},
    "confirmed": {"ru": "подтверждён", "en": "confirmed"},
    "done": {"ru": "сделан", "en": "done"},
    "moved": {"ru": "перенесён", "en": "moved"},
    "cancelled": {"ru": "отменён", "en": "cancelled"},
    "nobody_home": {"ru": "не застали", "en": "nobody home"},
}
HAPPENINGS: Mapping[Happening, Text] = {
    "hold": {"ru": "удержать", "en": "hold"},
    "book": {"ru": "записать", "en": "book"},
    "ask": {"ru": "больше рабочего дня", "en": "more than a working day"},
    "agree": {"ru": "клиент готов или времени мало", "en": "the client is ready, or time is short"},
    "move": {"ru": "другая дата", "en": "another date"},
    "expire": {"ru": "время вышло", "en": "time is over"},
    "cancel": {"ru": "отмена", "en": "cancel"},
    "measure": {"ru": "замер сделан", "en": "measured"},
    "miss": {"ru": "никого нет дома", "en": "nobody home"},
}


def after(state: State, happening: Happening) -> State | None:
    """Returns the state that follows, or None where this does not happen to a visit in that state."""
    return TRANSITIONS.get((state, happening))


@dataclass(frozen=True)
class Plan:
    """How a booked visit goes on: `confirm_at` is when the client is asked; None: it goes on at once."""

    confirm_at: datetime | None = None
    confirm_until: datetime | None = None


def plan(hours: WorkCalendar, now: datetime, start: datetime, confirm: timedelta) -> Plan:
    """Returns the plan of a visit that begins at `start` (K27, X6, X7).

    More working time left than one working day has: the client is asked one working day before, within `confirm` of
    working time, and not later than the visit. Exactly one, or less: it goes on at once.
    """
    if not hours.more_than_one_working_day(now, start):
        return Plan()
    return Plan(confirm_time(hours, start), confirm_until(hours, start, confirm))


def confirm_time(hours: WorkCalendar, start: datetime) -> datetime:
    """Returns when the client is asked about a visit: one working day before, to the minute."""
    return hours.one_working_day_before(start).replace(second=0, microsecond=0)


def confirm_until(hours: WorkCalendar, start: datetime, confirm: timedelta) -> datetime:
    """Returns until when the client is to have answered: `confirm` of working time later, not later than the visit."""
    return min(hours.add_working(confirm_time(hours, start), confirm), start)


def diagram(language: Literal["ru", "en"]) -> Iterator[str]:
    """Yields the lines of the machine's picture in Mermaid's words (stateDiagram-v2)."""
    yield "stateDiagram-v2"
    for state, name in STATES.items():
        yield f"    {state}: {name[language]}"
    for first, how in (("proposed", {"ru": "робот нашёл", "en": "found by a robot"}), ("held", HAPPENINGS["hold"])):
        yield f"    [*] --> {first}: {how[language]}"
    yield f"    [*] --> booked: {HAPPENINGS['book'][language]}"
    for (state, happening), following in TRANSITIONS.items():
        yield f"    {state} --> {following}: {HAPPENINGS[happening][language]}"
    again = {"ru": "новый круг", "en": "a new round"}[language]
    for state in ("moved", "nobody_home"):
        yield f"    {state} --> booked: {again}"
    for state in ("done", "cancelled"):
        yield f"    {state} --> [*]"
