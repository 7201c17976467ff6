"""Рабочее время между / Working time between.

Робот считает, сколько рабочего времени между двумя моментами: по часам и выходным портала, праздникам, обеду, сменам
и коротким дням из файла правил. Пустое время — сейчас. Конец раньше начала — ответ со знаком минус. Возвращает часы,
минуты, дни (день — обычный, без обеда), «Больше рабочего дня» (Y, если строго больше) и «Как посчитано» по дням:
«Пт 27.11 11:00-15:00: 3 ч работы, обед 13:00-14:00 пропущен». Ничего не меняет; дальше по условию можно напомнить.

The robot tells how much working time lies between two moments, by the portal's hours and holidays and the playbook's
lunch, shifts and short days. Empty means now; an end before the start gives a negative answer. It changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import robot_moment
from b24app.engine.declare import Property, Reply, Robot, RobotCall
from b24app.errors import Permanent
from b24app.rules.working_time import WorkCalendar, duration_text


@dataclass(frozen=True)
class Question:
    """Two moments and the calendar to count by."""

    calendar: WorkCalendar
    start: datetime
    end: datetime
    language: str = "ru"


@dataclass(frozen=True)
class Counted:
    """The working time, one usual working day for comparison, and the way as text."""

    worked: timedelta
    working_day: timedelta
    steps: str
    language: str = "ru"


def read(portal: Portal, call: RobotCall) -> Question:
    """Reads the portal's hours: one request."""
    asked, plain = call.properties, portal.playbook.hours.calendar()
    now = portal.now.replace(second=0, microsecond=0)
    try:
        start, end = (robot_moment(asked.get(name), plain.zone) or now for name in ("start", "end"))
    except ValueError as error:
        raise Permanent(str(error)) from error
    calendar = portal.read({"hours": reads.office_hours(plain)}).maybe("hours", plain)
    return Question(calendar, start, end, "en" if asked.get("language") == "en" else "ru")


def decide(facts: Question) -> Counted:
    """Counts."""
    walk = facts.calendar.walk_between(facts.start, facts.end)
    return Counted(walk.worked, facts.calendar.working_day, walk.text(facts.language), facts.language)


def answer(decision: Counted) -> Reply:
    """Returns hours, minutes, days, more_than_a_day, duration, steps."""
    seconds = decision.worked.total_seconds()
    values = {
        "hours": f"{seconds / 3600:.2f}",
        "minutes": str(int(seconds / 60)),
        "days": f"{decision.worked / decision.working_day:.2f}" if decision.working_day else "0.00",
        "more_than_a_day": "Y" if decision.worked > decision.working_day else "N",
        "duration": duration_text(decision.worked, decision.language),
        "steps": decision.steps,
    }
    return Reply(values, f"{values['duration']}\n{decision.steps}".strip())


LANGUAGE = Property(
    "language",
    {"ru": "Язык текста", "en": "Language of the text"},
    "select",
    default="ru",
    options={"ru": {"ru": "русский", "en": "Russian"}, "en": {"ru": "английский", "en": "English"}},
)

ROBOT = Robot(
    code="working_time_between",
    name={"ru": "Рабочее время между", "en": "Working time between"},
    description={
        "ru": "Считает рабочее время между двумя моментами: с праздниками, обедом и короткими днями",
        "en": "Counts the working time between two moments, with holidays, lunch and short days",
    },
    properties=(
        Property("start", {"ru": "От (пусто: сейчас)", "en": "From (empty: now)"}, "datetime"),
        Property("end", {"ru": "До (пусто: сейчас)", "en": "To (empty: now)"}, "datetime"),
        LANGUAGE,
    ),
    returns=(
        Property("hours", {"ru": "Рабочих часов", "en": "Working hours"}, "double"),
        Property("minutes", {"ru": "Рабочих минут", "en": "Working minutes"}, "int"),
        Property("days", {"ru": "Рабочих дней", "en": "Working days"}, "double"),
        Property("more_than_a_day", {"ru": "Больше рабочего дня", "en": "More than one working day"}, "bool"),
        Property("duration", {"ru": "Время словами", "en": "The time in words"}, "string"),
        Property("steps", {"ru": "Как посчитано", "en": "How it was counted"}, "text"),
    ),
    decision=Counted,
    read=read,
    decide=decide,
    answer=answer,
)
