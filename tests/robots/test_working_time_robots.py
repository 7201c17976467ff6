"""The robots «Рабочее время между» and «Прибавить рабочее время»: values in, values and steps out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from scripted_company import Company
from scripted_portal import Bench, ScriptedRest

from b24app.bitrix.translate import calendar_of
from b24app.engine.declare import Catalogue, Nothing, Robot
from b24app.errors import AccessDenied
from b24app.playbook import parse_playbook
from b24app.rules.working_time import WorkCalendar
from b24app.store.database import Database
from robots import ROBOTS, add_working_time, working_time_between

PLAYBOOK = parse_playbook(
    'name = "x"\n[hours]\nopens = 10:00:00\ncloses = 20:00:00\nlunch = "13:00-14:00"\n'
    "[hours.short_days]\n2026-11-03 = 60\n",
    "x",
)
OFFICE = WorkCalendar(
    country="RU", lunch=(time(13), time(14)), short_days=frozenset({(date(2026, 11, 3), 60)}), closes=time(18)
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+03:00")


def between(start: str, end: str, language: str = "ru") -> dict[str, Any]:
    question = working_time_between.Question(OFFICE, at(start), at(end), language)
    return dict(working_time_between.answer(working_time_between.decide(question)).values)


def test_the_time_between_in_every_unit_and_the_steps() -> None:
    assert between("2026-11-27T16:00", "2026-11-30T15:30") == {
        "hours": "7.50",
        "minutes": "450",
        "days": "0.94",
        "more_than_a_day": "N",
        "duration": "7 ч 30 мин",
        "steps": "Пт 27.11 16:00-18:00: 2 ч работы\nСб 28.11 - Вс 29.11: выходной\n"
        "Пн 30.11 09:00-15:30: 5 ч 30 мин работы, обед 13:00-14:00 пропущен",
    }
    assert between("2026-11-03T16:00", "2026-11-05T10:00", "en")["steps"] == (
        "Tue 03.11 16:00-17:00: 1 h of work, short day, until 17:00\nWed 04.11: Unity Day\n"
        "Thu 05.11 09:00-10:00: 1 h of work"
    )


@pytest.mark.parametrize(
    ("end", "minutes", "more"),
    [("2026-11-27T09:59", "479", "N"), ("2026-11-27T10:00", "480", "N"), ("2026-11-27T10:01", "481", "Y")],
)
def test_more_than_a_day_is_strictly_more(end: str, minutes: str, more: str) -> None:
    values = between("2026-11-26T10:00", end)
    assert (values["minutes"], values["more_than_a_day"]) == (minutes, more)


def test_backwards_is_negative_and_the_same_moment_is_nothing() -> None:
    assert between("2026-11-27T11:00", "2026-11-27T10:00")["minutes"] == "-60"
    nothing = between("2026-11-27T11:00", "2026-11-27T11:00")
    assert (nothing["minutes"], nothing["duration"], nothing["steps"]) == ("0", "0 мин", "")


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-11-27T11:00", 3, "2026-11-27T15:00:00+03:00"),
        ("2026-11-27T17:00", 2, "2026-11-30T10:00:00+03:00"),
        ("2026-11-27T10:00", -8, "2026-11-26T10:00:00+03:00"),
        ("2026-11-30T09:30", -1, "2026-11-27T17:30:00+03:00"),
    ],
)
def test_time_is_added_or_taken_back(start: str, hours: int, end: str) -> None:
    decision = add_working_time.decide(add_working_time.Wanted(OFFICE, at(start), timedelta(hours=hours)))
    assert isinstance(decision, add_working_time.Moment)
    reply = add_working_time.answer(decision)
    assert (reply.values["at"], reply.values["date"]) == (end, end[:10])
    assert reply.values["steps"]
    assert reply.log.endswith(reply.values["steps"])


def test_a_calendar_by_which_nobody_works_is_said() -> None:
    never = WorkCalendar(weekend=frozenset(range(7)))
    for hours in (3, -3):
        decision = add_working_time.decide(
            add_working_time.Wanted(never, at("2026-11-27T11:00"), timedelta(hours=hours))
        )
        assert isinstance(decision, Nothing)


@pytest.mark.parametrize("robot", [working_time_between.ROBOT, add_working_time.ROBOT])
def test_they_are_declared_in_two_languages_and_write_nothing(robot: Robot) -> None:
    assert robot in ROBOTS
    assert robot.act(None) == ()
    for part in (*robot.properties, *robot.returns):
        assert part.name["ru"] != part.name["en"]


def test_their_types() -> None:
    types = {robot.code: [(p.code, p.type) for p in (*robot.properties, *robot.returns)] for robot in ROBOTS}
    assert types["working_time_between"] == [
        ("start", "datetime"), ("end", "datetime"), ("language", "select"), ("hours", "double"), ("minutes", "int"),
        ("days", "double"), ("more_than_a_day", "bool"), ("duration", "string"), ("steps", "text"),
    ]  # fmt: skip
    assert types["add_working_time"] == [
        ("start", "datetime"), ("amount", "double"), ("unit", "select"), ("language", "select"), ("at", "datetime"),
        ("date", "date"), ("steps", "text"),
    ]  # fmt: skip


# as the portal runs them


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def bench(database: Database, company: Company) -> Bench:
    return Bench(database, ScriptedRest(company), Catalogue(robots=ROBOTS), playbook=PLAYBOOK)


def answered(bench: Bench, company: Company, code: str, **properties: Any) -> Any:
    bench.robot(code, properties=properties)
    bench.run()
    (sent,) = company.answers
    return sent


@pytest.mark.parametrize(
    "start",
    [
        "2026-11-27T11:00:00+03:00", "27.11.2026 11:00:00", "27.11.2026 11:00", "11/27/2026 11:00:00 am",
        "27.11.2026 08:00:00 [0]", "27.11.2026 13:00:00 [18000]", ["27.11.2026 11:00:00"],
    ],
)  # fmt: skip
def test_a_time_in_every_shape_and_the_portals_hours(bench: Bench, company: Company, start: Any) -> None:
    sent = answered(bench, company, "add_working_time", start=start, amount="7,5", unit="hours")
    assert sent["RETURN_VALUES"] == {
        "at": "2026-11-30T10:30:00+03:00",  # the portal opens at 9, the lunch is the playbook's
        "date": "2026-11-30",
        "steps": "Пт 27.11 11:00-18:00: 6 ч работы, обед 13:00-14:00 пропущен\n"
        "Сб 28.11 - Вс 29.11: выходной\nПн 30.11 09:00-10:30: 1 ч 30 мин работы",
    }
    assert bench.rest.sent == ["calendar.settings.get", "bizproc.event.send"]


def test_one_working_day_before_a_visit(bench: Bench, company: Company) -> None:
    sent = answered(bench, company, "add_working_time", start="30.11.2026 10:00:00", amount="-1", unit="days")
    assert sent["RETURN_VALUES"]["at"] == "2026-11-27T10:00:00+03:00"


def test_a_portal_without_a_calendar_counts_by_the_playbook(bench: Bench, company: Company) -> None:
    company.errors["calendar.settings.get"] = AccessDenied("нет прав")
    sent = answered(bench, company, "working_time_between", start="27.11.2026", end="28.11.2026", language="en")
    assert sent["RETURN_VALUES"]["hours"] == "9.00"
    assert sent["RETURN_VALUES"]["steps"].startswith("Fri 27.11 10:00-20:00: 9 h of work, lunch 13:00-14:00 skipped")


def test_an_empty_time_is_now(bench: Bench, company: Company) -> None:
    before = datetime.now(UTC)
    end = before + timedelta(days=7)
    sent = answered(bench, company, "working_time_between", start="", end=end.isoformat())
    hours = calendar_of(company.calendar_settings_get(None), PLAYBOOK.hours.calendar())
    expected = hours.between(before, end) / timedelta(minutes=1)
    assert expected > 0
    assert abs(int(sent["RETURN_VALUES"]["minutes"]) - expected) < 3


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"start": "завтра", "amount": "1"}, "не время / not a time: завтра"),
        ({"start": "27.13.2026 25:00", "amount": "1"}, "не время"),
        ({"start": "27.11.1026 10:00", "amount": "1"}, "не время"),
        ({"amount": ""}, "не число"),
        ({"amount": "inf"}, "не число"),
        ({"amount": "1e9"}, "слишком велико"),
        ({"amount": "-100000", "unit": "days"}, "слишком велико"),
    ],
)
def test_bad_input_is_answered_with_a_word(
    bench: Bench, company: Company, properties: dict[str, Any], why: str
) -> None:
    sent = answered(bench, company, "add_working_time", **properties)
    assert why in sent["LOG_MESSAGE"]
    assert not sent.get("RETURN_VALUES")
