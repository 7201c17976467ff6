"""Прибавить рабочее время / Add working time.

Робот прибавляет к моменту рабочие минуты, часы или дни и возвращает, когда они истекут: по часам и выходным портала,
праздникам, обеду, сменам и коротким дням из файла правил. Пустое начало — сейчас; «Сколько» меньше нуля считает назад:
−1 день от даты замера — когда его подтверждать. День — это рабочее время одного обычного дня. Возвращает время, дату и
«Как посчитано» по дням. Ничего не меняет; время можно подставить в срок задачи или в паузу.

The robot adds working minutes, hours or days to a moment and returns when they are over. An empty start means now, a
negative amount counts back. A day is the working time of one usual day. It changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import decimal, robot_moment
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.errors import Permanent
from b24app.rules.working_time import WorkCalendar
from robots.working_time_between import LANGUAGE

LONGEST = timedelta(days=1000)
"""Of working time: several years of an office. More is a slip of the keyboard."""


@dataclass(frozen=True)
class Wanted:
    """From when, how much, and the calendar to count by."""

    calendar: WorkCalendar
    start: datetime
    duration: timedelta
    language: str = "ru"


@dataclass(frozen=True)
class Moment:
    """When it is over, in the office's zone, and the way as text."""

    at: datetime
    steps: str


def read(portal: Portal, call: RobotCall) -> Wanted:
    """Reads the portal's hours: one request."""
    asked, plain = call.properties, portal.playbook.hours.calendar()
    amount = decimal(asked.get("amount"))
    if amount is None:
        raise Permanent("«Сколько» не число / the amount is no number")
    try:
        start = robot_moment(asked.get("start"), plain.zone) or portal.now.replace(second=0, microsecond=0)
    except ValueError as error:
        raise Permanent(str(error)) from error
    calendar = portal.read({"hours": reads.office_hours(plain)}).maybe("hours", plain)
    unit = {"minutes": timedelta(minutes=1), "days": calendar.working_day}.get(
        str(asked.get("unit")), timedelta(hours=1)
    )
    if abs(amount) * unit.total_seconds() > LONGEST.total_seconds():
        raise Permanent("«Сколько» слишком велико / the amount is too large")
    duration = timedelta(seconds=round(amount * unit.total_seconds()))
    return Wanted(calendar, start, duration, "en" if asked.get("language") == "en" else "ru")


def decide(facts: Wanted) -> Moment | Nothing:
    """Counts, forwards or back."""
    calendar, start = facts.calendar, facts.start
    if facts.duration < timedelta(0):
        at = calendar.subtract_working(start, -facts.duration)
        walk = calendar.walk_between(at, start)
    else:
        walk = calendar.walk(start, facts.duration)
        at = walk.end
    if walk.worked != abs(facts.duration):
        return Nothing("по этому календарю никто не работает / nobody works by this calendar")
    return Moment(at.astimezone(calendar.zone).replace(microsecond=0), walk.text(facts.language))


def answer(decision: Moment) -> Reply:
    """Returns at, date, steps."""
    values = {"at": decision.at.isoformat(), "date": decision.at.date().isoformat(), "steps": decision.steps}
    return Reply(values, f"{decision.at:%d.%m.%Y %H:%M}\n{decision.steps}".strip())


ROBOT = Robot(
    code="add_working_time",
    name={"ru": "Прибавить рабочее время", "en": "Add working time"},
    description={
        "ru": "Когда истекут рабочие минуты, часы или дни: с праздниками, обедом и короткими днями",
        "en": "When working minutes, hours or days are over, with holidays, lunch and short days",
    },
    properties=(
        Property("start", {"ru": "От (пусто: сейчас)", "en": "From (empty: now)"}, "datetime"),
        Property("amount", {"ru": "Сколько (минус: назад)", "en": "How much (minus: back)"}, "double", required=True),
        Property(
            "unit",
            {"ru": "Чего", "en": "Of what"},
            "select",
            default="hours",
            options={
                "minutes": {"ru": "рабочих минут", "en": "working minutes"},
                "hours": {"ru": "рабочих часов", "en": "working hours"},
                "days": {"ru": "рабочих дней", "en": "working days"},
            },
        ),
        LANGUAGE,
    ),
    returns=(
        Property("at", {"ru": "Когда", "en": "When"}, "datetime"),
        Property("date", {"ru": "Дата", "en": "Date"}, "date"),
        Property("steps", {"ru": "Как посчитано", "en": "How it was counted"}, "text"),
    ),
    decision=Moment,
    read=read,
    decide=decide,
    answer=answer,
)
