"""The life of a visit as a table, its plan to be confirmed one working day before (K27, X6, X7), and its picture."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.playbook import load_playbook
from b24app.rules.confirmation import (
    AGREED,
    HAPPENINGS,
    OCCUPYING,
    STATES,
    TRANSITIONS,
    Happening,
    Plan,
    State,
    after,
    confirm_time,
    diagram,
    plan,
)
from b24app.rules.working_time import WorkCalendar

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FOUR_HOURS = 4 * HOUR
PLAIN = WorkCalendar()
"""Moscow, 9 to 18, Saturdays and Sundays off, no holidays: a working day is nine hours."""
KITCHEN = load_playbook().hours.calendar()
"""Russia's production calendar, 9 to 19, short days before holidays."""
FINALS = ("done", "moved", "cancelled", "nobody_home")

# the machine

WAYS: dict[State, dict[Happening, State]] = {
    "proposed": {"hold": "held", "book": "booked", "move": "moved", "cancel": "cancelled"},
    "held": {"book": "booked", "expire": "cancelled", "move": "moved", "cancel": "cancelled"},
    "booked": {"ask": "confirming", "agree": "confirmed", "move": "moved", "cancel": "cancelled"},
    "confirming": {"agree": "confirmed", "move": "moved", "cancel": "cancelled"},
    "confirmed": {"measure": "done", "miss": "nobody_home", "move": "moved", "cancel": "cancelled"},
    "done": {},
    "moved": {},
    "cancelled": {},
    "nobody_home": {},
}


@pytest.mark.parametrize("happening", get_args(Happening))
@pytest.mark.parametrize("state", get_args(State))
def test_k28_what_happens_to_a_visit_in_every_state(state: State, happening: Happening) -> None:
    assert after(state, happening) == WAYS[state].get(happening)


def test_the_table_is_the_whole_machine() -> None:
    assert set(WAYS) == set(get_args(State)) == set(STATES)
    assert {(state, how): to for state, ways in WAYS.items() for how, to in ways.items()} == dict(TRANSITIONS)
    assert set(HAPPENINGS) == set(get_args(Happening)) == {happening for _, happening in TRANSITIONS}


def test_finals_have_no_way_on_and_everything_else_has() -> None:
    assert {state for state in STATES if not any(before == state for before, _ in TRANSITIONS)} == set(FINALS)


@pytest.mark.parametrize("first", ["proposed", "held", "booked"])
def test_every_state_is_reached_from_where_a_visit_begins(first: State) -> None:
    reached, news = {first}, [first]
    for state in news:
        following = {to for (before, _), to in TRANSITIONS.items() if before == state} - reached
        reached |= following
        news += sorted(following)
    assert reached == {state for state in STATES if first == "proposed" or state not in ("proposed", "held")} | {first}


def test_a_visit_that_is_over_takes_nobodys_time() -> None:
    assert not set(OCCUPYING) & {*FINALS, "proposed"}
    assert set(AGREED) == set(OCCUPYING) - {"held"}
    for state in OCCUPYING:
        assert {after(state, "cancel"), after(state, "move")} == {"cancelled", "moved"}
    for (state, happening), following in TRANSITIONS.items():
        if state in OCCUPYING and following in OCCUPYING:
            assert happening in ("book", "ask", "agree")


# the plan


def moscow(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Moscow"))


def test_k27_more_than_one_working_day_away_the_client_is_asked_one_working_day_before() -> None:
    found = plan(PLAIN, moscow("2026-11-23 10:00"), moscow("2026-11-26 10:00"), FOUR_HOURS)
    assert found == Plan(moscow("2026-11-25 10:00"), moscow("2026-11-25 14:00"))


@pytest.mark.parametrize(
    ("hours", "start", "edge"),
    [
        (PLAIN, "2026-11-26 10:00", "2026-11-25 10:00"),
        (PLAIN, "2026-11-26 09:00", "2026-11-25 09:00"),
        (PLAIN, "2026-11-26 18:00", "2026-11-26 09:00"),
        (PLAIN, "2026-11-30 10:00", "2026-11-27 10:00"),  # Monday -> Friday
        (replace(PLAIN, lunch=(time(13), time(14))), "2026-11-26 14:30", "2026-11-25 14:30"),
        (KITCHEN, "2026-11-26 10:00", "2026-11-25 10:00"),
        (KITCHEN, "2027-01-11 10:00", "2026-12-30 10:00"),  # over the New Year
        (KITCHEN, "2026-11-05 10:00", "2026-11-03 09:00"),  # the day before the 4th of November is an hour shorter
        (KITCHEN, "2026-11-05 09:30", "2026-11-02 18:30"),
        (KITCHEN, "2026-05-12 10:00", "2026-05-07 19:00"),  # over the 9th of May, after a short Friday
    ],
)
@pytest.mark.parametrize("minutes", [1, 0, -1], ids=["a minute more", "exactly one", "a minute less"])
def test_k27_x6_exactly_one_working_day_or_less_goes_on_at_once(
    hours: WorkCalendar, start: str, edge: str, minutes: int
) -> None:
    visit = moscow(start)
    now = (
        hours.subtract_working(moscow(edge), MINUTE)
        if minutes > 0
        else hours.add_working(moscow(edge), -minutes * MINUTE)
    )
    assert hours.between(moscow(edge), visit) == hours.working_day
    found = plan(hours, now, visit, FOUR_HOURS)
    assert (found.confirm_at is not None) == (minutes > 0)
    assert (found.confirm_until is not None) == (minutes > 0)


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2026-11-27 18:00", "2026-11-30 18:00"),  # Friday's end -> Monday's end is one working day
        ("2026-11-28 12:00", "2026-11-30 18:00"),  # nor does the weekend count
        ("2026-11-26 12:00", "2026-11-26 13:00"),
        ("2026-11-26 12:00", "2026-11-26 12:00"),
        ("2026-11-26 12:00", "2026-11-20 12:00"),  # a visit in the past
    ],
)
def test_k27_x6_time_that_nobody_works_is_no_time_to_ask(now: str, start: str) -> None:
    assert plan(PLAIN, moscow(now), moscow(start), FOUR_HOURS) == Plan()


@pytest.mark.parametrize(
    ("hours", "start", "asked"),
    [
        (PLAIN, "2026-11-30 10:00", "2026-11-27 10:00"),
        (PLAIN, "2026-11-30 09:00", "2026-11-27 09:00"),
        (PLAIN, "2026-12-01 10:00", "2026-11-30 10:00"),
        (replace(PLAIN, days_off=frozenset({date(2026, 11, 27)})), "2026-11-30 10:00", "2026-11-26 10:00"),
        (replace(PLAIN, work_days=frozenset({date(2026, 11, 28)})), "2026-11-30 10:00", "2026-11-28 10:00"),
        (replace(PLAIN, short_days=frozenset({(date(2026, 11, 27), 60)})), "2026-11-30 10:00", "2026-11-27 09:00"),
        (replace(PLAIN, short_days=frozenset({(date(2026, 11, 27), 120)})), "2026-11-30 10:00", "2026-11-26 17:00"),
        (KITCHEN, "2027-01-11 10:00", "2026-12-30 10:00"),
        (KITCHEN, "2027-01-12 10:00", "2027-01-11 10:00"),
        (KITCHEN, "2026-11-05 10:00", "2026-11-03 09:00"),
        (KITCHEN, "2026-11-05 09:30", "2026-11-02 18:30"),
        (KITCHEN, "2026-11-05 11:00", "2026-11-03 10:00"),
    ],
    ids=[
        "Monday", "at the opening", "Tuesday", "over a day off", "over a working Saturday", "a day an hour shorter",
        "two hours shorter", "over the New Year", "after the New Year", "over a holiday with its short eve",
        "and the day before that",
        "later that day",
    ],
)  # fmt: skip
def test_x7_one_day_before_is_a_working_day(hours: WorkCalendar, start: str, asked: str) -> None:
    found = plan(hours, moscow(start) - timedelta(days=40), moscow(start), FOUR_HOURS)
    assert found.confirm_at is not None
    assert (found.confirm_at, confirm_time(hours, moscow(start))) == (moscow(asked), moscow(asked))


BERLIN = WorkCalendar(time_zone="Europe/Berlin")
NEVER_CLOSED = replace(BERLIN, opens=time(0), closes=time(0), weekend=frozenset())


@pytest.mark.parametrize(
    ("hours", "start", "asked"),
    [
        (BERLIN, "2026-03-30T10:00:00+02:00", "2026-03-27T10:00:00+01:00"),
        (BERLIN, "2026-10-26T10:00:00+01:00", "2026-10-23T10:00:00+02:00"),
        (NEVER_CLOSED, "2026-03-30T10:00:00+02:00", "2026-03-29T10:00:00+02:00"),
        (NEVER_CLOSED, "2026-03-30T00:00:00+02:00", "2026-03-28T23:00:00+01:00"),
        (NEVER_CLOSED, "2026-10-26T00:00:00+01:00", "2026-10-25T01:00:00+02:00"),
    ],
    ids=["spring", "autumn", "the day after 23 hours", "23 hours", "25 hours"],
)
def test_x7_clocks_that_change_between_the_question_and_the_visit_change_no_working_time(
    hours: WorkCalendar, start: str, asked: str
) -> None:
    visit = datetime.fromisoformat(start)
    found = plan(hours, visit - timedelta(days=10), visit, HOUR)
    assert found.confirm_at == datetime.fromisoformat(asked)
    assert hours.between(found.confirm_at, visit) == hours.working_day
    for minutes, more in ((1, True), (0, False), (-1, False)):
        assert (plan(hours, found.confirm_at - minutes * MINUTE, visit, HOUR) != Plan()) == more


@pytest.mark.parametrize(
    ("confirm", "until"),
    [
        (HOUR, "2026-11-25 11:00"),
        (FOUR_HOURS, "2026-11-25 14:00"),
        (9 * HOUR, "2026-11-26 10:00"),
        (10 * HOUR, "2026-11-26 10:00"),
        (100 * HOUR, "2026-11-26 10:00"),
    ],
)
def test_k27_the_time_to_confirm_is_working_time_and_ends_with_the_visits_start(confirm: timedelta, until: str) -> None:
    found = plan(PLAIN, moscow("2026-11-20 10:00"), moscow("2026-11-26 10:00"), confirm)
    assert found.confirm_until == moscow(until)


def test_seconds_of_a_visit_do_not_stand_in_its_plan() -> None:
    found = plan(PLAIN, moscow("2026-11-20 10:00"), moscow("2026-11-26 10:00:42"), HOUR)
    assert found.confirm_at == moscow("2026-11-25 10:00")


def test_where_nobody_ever_works_a_visit_goes_on_at_once() -> None:
    closed = replace(PLAIN, weekend=frozenset(range(7)))
    assert plan(closed, moscow("2026-11-20 10:00"), moscow("2026-11-26 10:00"), HOUR) == Plan()


moments = st.integers(0, 122_000).map(lambda fives: moscow("2026-01-01 00:00") + 5 * fives * MINUTE)
offices = st.sampled_from([PLAIN, KITCHEN, BERLIN, NEVER_CLOSED, replace(KITCHEN, lunch=(time(13), time(14)))])


@given(offices, moments, moments, st.integers(1, 900).map(lambda minutes: minutes * MINUTE))
def test_whatever_the_office_the_client_is_asked_in_time_and_not_after_the_start(
    hours: WorkCalendar, now: datetime, start: datetime, confirm: timedelta
) -> None:
    found = plan(hours, now, start, confirm)
    left = hours.between(now, start)
    assert (found == Plan()) == (left <= hours.working_day)
    if found.confirm_at is not None and found.confirm_until is not None:
        assert now <= found.confirm_at <= found.confirm_until <= start
        assert hours.between(found.confirm_at, start) == hours.working_day


# the picture


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_picture_names_every_state_and_every_transition(language: str) -> None:
    first, *lines = diagram(language)  # type: ignore[arg-type]
    assert first == "stateDiagram-v2"
    assert all(line.startswith("    ") for line in lines)
    for state, name in STATES.items():
        assert f"    {state}: {name[language]}" in lines
    for (state, happening), following in TRANSITIONS.items():
        assert f"    {state} --> {following}: {HAPPENINGS[happening][language]}" in lines
    arrows = [line for line in lines if "-->" in line]
    assert len(arrows) == len(set(arrows)) == len(TRANSITIONS) + 3 + 2 + 2
    assert {line.split()[0] for line in lines if "-->" not in line} == {f"{state}:" for state in STATES}


def test_every_name_is_said_in_both_languages() -> None:
    for texts in (*STATES.values(), *HAPPENINGS.values()):
        assert {*texts} == {"ru", "en"}
        assert texts["ru"] != texts["en"]


def test_the_picture_in_the_documentation_is_this_machine() -> None:
    blocks = re.findall(r"```mermaid\n(.*?)\n```", Path("docs/measurement.md").read_text("utf-8"), re.DOTALL)
    assert [block.splitlines() for block in blocks if block.startswith("stateDiagram")] == [list(diagram("ru"))]
