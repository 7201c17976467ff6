"""Working time: holidays of 2026, moved days, weekends, midnight, summer time; laws of add_working."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.rules.working_time import WorkCalendar

MOSCOW = WorkCalendar(country="RU", closes=time(18))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-01-01", False),
        ("2026-01-09", False),  # moved from Saturday 3 January
        ("2026-01-12", True),
        ("2026-02-20", True),
        ("2026-02-23", False),
        ("2026-03-09", False),  # 8 March is a Sunday
        ("2026-05-01", False),
        ("2026-05-11", False),  # 9 May is a Saturday
        ("2026-06-12", False),
        ("2026-11-04", False),
        ("2026-11-21", False),  # a Saturday
        ("2026-11-23", True),
        ("2026-12-31", False),  # moved from Sunday 4 January
        ("2025-11-01", True),  # a working Saturday
    ],
)
def test_days_of_the_russian_calendar(day: str, works: bool) -> None:
    assert MOSCOW.is_working_day(date.fromisoformat(day)) is works


@pytest.mark.parametrize(("year", "days"), [(2024, 248), (2025, 247), (2026, 247), (2027, 247)])
def test_a_year_has_as_many_working_days_as_decreed(year: int, days: int) -> None:
    first = date(year, 1, 1)
    count = (date(year + 1, 1, 1) - first).days
    assert sum(MOSCOW.is_working_day(first + timedelta(n)) for n in range(count)) == days


def test_an_office_that_works_on_saturdays_keeps_the_holidays() -> None:
    office = WorkCalendar(country="RU", weekend=frozenset({6}))
    assert office.is_working_day(date(2026, 11, 21))
    assert not office.is_working_day(date(2026, 11, 22))
    assert not office.is_working_day(date(2026, 5, 9))
    assert not office.is_working_day(date(2026, 11, 4))


def test_exceptions_of_the_company_come_before_the_country() -> None:
    office = WorkCalendar(
        country="RU", days_off=frozenset({date(2026, 11, 23)}), work_days=frozenset({date(2026, 11, 4)})
    )
    assert not office.is_working_day(date(2026, 11, 23))
    assert office.is_working_day(date(2026, 11, 4))


def test_days_that_the_portal_names_replace_the_country() -> None:
    office = WorkCalendar(country="RU", yearly_off=frozenset({(1, 1)}), yearly_work=frozenset({(11, 22)}))
    assert not office.is_working_day(date(2026, 1, 1))
    assert office.is_working_day(date(2026, 11, 4))
    assert office.is_working_day(date(2026, 11, 22))  # a Sunday


@pytest.mark.parametrize(
    ("moment", "is_open", "opens"),
    [
        ("2026-11-23T08:59:59+03:00", False, "2026-11-23T09:00:00+03:00"),
        ("2026-11-23T09:00:00+03:00", True, "2026-11-23T09:00:00+03:00"),
        ("2026-11-23T17:59:59+03:00", True, "2026-11-23T17:59:59+03:00"),
        ("2026-11-23T18:00:00+03:00", False, "2026-11-24T09:00:00+03:00"),
        ("2026-11-20T20:00:00+03:00", False, "2026-11-23T09:00:00+03:00"),  # over the weekend
        ("2026-12-30T18:30:00+03:00", False, "2027-01-11T09:00:00+03:00"),  # over the New Year
        ("2026-11-23T06:30:00+00:00", True, "2026-11-23T06:30:00+00:00"),  # asked in another zone
    ],
)
def test_when_it_opens_next(moment: str, is_open: bool, opens: str) -> None:
    assert MOSCOW.is_open(at(moment)) is is_open
    assert MOSCOW.next_opening(at(moment)) == at(opens)


def test_an_office_that_never_opens_says_so_and_a_deadline_is_plain_time() -> None:
    never = WorkCalendar(weekend=frozenset(range(7)))
    now = at("2026-11-23T12:00:00+03:00")
    assert never.next_opening(now) is None
    assert never.add_working(now, timedelta(minutes=15)) == now + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("start", "minutes", "end"),
    [
        ("2026-11-23T10:00:00+03:00", 15, "2026-11-23T10:15:00+03:00"),
        ("2026-11-23T17:50:00+03:00", 15, "2026-11-24T09:05:00+03:00"),
        ("2026-11-20T17:50:00+03:00", 15, "2026-11-23T09:05:00+03:00"),
        ("2026-11-23T03:00:00+03:00", 15, "2026-11-23T09:15:00+03:00"),
        ("2026-11-23T17:00:00+03:00", 60, "2026-11-23T18:00:00+03:00"),  # the last minute still counts
        ("2026-12-30T17:50:00+03:00", 20, "2027-01-11T09:10:00+03:00"),
        ("2026-11-23T09:00:00+03:00", 9 * 60 * 3, "2026-11-25T18:00:00+03:00"),
    ],
)
def test_working_minutes_from_now(start: str, minutes: int, end: str) -> None:
    assert MOSCOW.add_working(at(start), timedelta(minutes=minutes)) == at(end)


@pytest.mark.parametrize(
    ("opens", "closes", "moment", "is_open"),
    [
        (time(9), time(0), "2026-11-23T23:59:00+03:00", True),
        (time(9), time(0), "2026-11-24T00:00:00+03:00", False),
        (time(18), time(2), "2026-11-24T01:30:00+03:00", True),
        (time(18), time(2), "2026-11-24T02:00:00+03:00", False),
        (time(18), time(2), "2026-11-21T01:30:00+03:00", True),  # Friday's shift ends on Saturday
        (time(18), time(2), "2026-11-23T01:30:00+03:00", False),  # Sunday has none
        (time(0), time(0), "2026-11-23T04:00:00+03:00", True),
    ],
)
def test_hours_that_reach_into_the_next_day(opens: time, closes: time, moment: str, is_open: bool) -> None:
    office = WorkCalendar(opens=opens, closes=closes)
    assert office.is_open(at(moment)) is is_open


def test_a_deadline_crosses_midnight_with_the_shift() -> None:
    office = WorkCalendar(opens=time(18), closes=time(2))
    assert office.add_working(at("2026-11-23T23:30:00+03:00"), timedelta(hours=3)) == at("2026-11-24T18:30:00+03:00")


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        # Berlin turns the clock on Sunday 29 March and 25 October 2026: Friday 16:00 + 3 h of 9-18
        ("Europe/Berlin", "2026-03-27T16:00:00+01:00", "2026-03-30T10:00:00+02:00"),
        ("Europe/Berlin", "2026-10-23T16:00:00+02:00", "2026-10-26T10:00:00+01:00"),
        ("America/New_York", "2026-03-06T16:00:00-05:00", "2026-03-09T10:00:00-04:00"),
    ],
)
def test_opening_stays_at_nine_over_a_change_of_the_clock(zone: str, start: str, end: str) -> None:
    assert WorkCalendar(time_zone=zone).add_working(at(start), timedelta(hours=3)) == at(end)


moments = st.integers(0, 60 * 60 * 24 * 500).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
lengths = st.integers(1, 60 * 60 * 40).map(lambda seconds: timedelta(seconds=seconds))
calendars = st.builds(
    WorkCalendar,
    time_zone=st.sampled_from(["Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kamchatka"]),
    opens=st.sampled_from([time(0), time(2, 30), time(9), time(18)]),
    closes=st.sampled_from([time(0), time(2), time(13), time(18, 30)]),
    weekend=st.sampled_from([frozenset({5, 6}), frozenset({6}), frozenset()]),
    country=st.sampled_from(["", "RU"]),
)


@given(calendars, moments, lengths)
def test_a_deadline_lies_inside_working_time_or_on_its_end(
    calendar: WorkCalendar, start: datetime, length: timedelta
) -> None:
    end = calendar.add_working(start, length)
    assert end >= start + length
    assert calendar.is_open(end - timedelta(microseconds=1))


@given(calendars, moments, lengths, lengths)
def test_adding_twice_is_adding_the_sum(
    calendar: WorkCalendar, start: datetime, first: timedelta, second: timedelta
) -> None:
    assert calendar.add_working(calendar.add_working(start, first), second) == calendar.add_working(
        start, first + second
    )


@given(calendars, moments, moments, lengths)
def test_a_later_start_never_ends_earlier(
    calendar: WorkCalendar, one: datetime, other: datetime, length: timedelta
) -> None:
    early, late = sorted((one, other))
    assert calendar.add_working(early, length) <= calendar.add_working(late, length)


@given(calendars, moments)
def test_next_opening_is_open_and_nothing_is_open_before(calendar: WorkCalendar, now: datetime) -> None:
    opening = calendar.next_opening(now)
    assert opening is not None
    assert calendar.is_open(opening)
    assert opening == now or not calendar.is_open(now)
    assert opening == now or not calendar.is_open(now + (opening - now) / 2)
