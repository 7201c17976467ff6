"""Working time: holidays of 2026, moved days, weekends, midnight, summer time; laws of add_working."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.rules.working_time import WorkCalendar, duration_text

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
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
lengths = st.integers(1, 60 * 60 * 40).map(lambda seconds: timedelta(seconds=seconds))
calendars = st.builds(
    WorkCalendar,
    time_zone=st.sampled_from(["Europe/Moscow", "Europe/Berlin", "America/New_York", "Asia/Kamchatka"]),
    opens=st.sampled_from([time(0), time(2, 30), time(9), time(18)]),
    closes=st.sampled_from([time(0), time(2), time(13), time(18, 30)]),
    weekend=st.sampled_from([frozenset({5, 6}), frozenset({6}), frozenset()]),
    country=st.sampled_from(["", "RU"]),
    lunch=st.sampled_from([None, (time(13), time(14)), (time(23, 30), time(0, 30))]),
    shifts=st.sampled_from(
        [
            frozenset(),
            frozenset({(5, ((time(10), time(15)),))}),
            frozenset({(0, ((time(8), time(12)), (time(13), time(19)))), (1, ((time(7), time(3)),)), (3, ())}),
        ]
    ),
    short_days=st.sampled_from([frozenset(), frozenset((date(2026, 11, day), 60) for day in range(1, 30))]),
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


# lunch, shifts, short days

KITCHEN = WorkCalendar(
    country="RU",
    lunch=(time(13), time(14)),
    short_days=frozenset((date(2026, month, day), 60) for month, day in [(4, 30), (5, 8), (6, 11), (11, 3)]),
)


def test_2026_has_the_decreed_hours_of_a_forty_hour_week() -> None:
    year = KITCHEN.between(at("2026-01-01T00:00:00+03:00"), at("2027-01-01T00:00:00+03:00"))
    assert year == timedelta(hours=1972)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-11-27T11:00:00+03:00", 3, "2026-11-27T15:00:00+03:00"),  # over lunch
        ("2026-11-27T10:00:00+03:00", 3, "2026-11-27T13:00:00+03:00"),  # ends where lunch begins
        ("2026-11-27T13:20:00+03:00", 1, "2026-11-27T15:00:00+03:00"),
        ("2026-11-03T15:00:00+03:00", 3, "2026-11-05T10:00:00+03:00"),  # a short day, then 4 November
        ("2026-12-30T16:00:00+03:00", 3, "2027-01-11T10:00:00+03:00"),
    ],
)
def test_lunch_and_short_days_are_no_working_time(start: str, hours: int, end: str) -> None:
    assert KITCHEN.add_working(at(start), timedelta(hours=hours)) == at(end)
    assert not KITCHEN.is_open(at("2026-11-27T13:30:00+03:00"))


def test_shifts_of_a_weekday_work_whatever_the_week_says() -> None:
    office = WorkCalendar(shifts=frozenset({(5, ((time(10), time(12)), (time(15), time(17)))), (0, ())}))
    assert office.is_open(at("2026-11-21T15:30:00+03:00"))
    assert not office.is_open(at("2026-11-21T13:00:00+03:00"))
    assert not office.is_working_day(date(2026, 11, 23))
    assert office.add_working(at("2026-11-20T17:00:00+03:00"), 4 * HOUR) == at("2026-11-21T16:00:00+03:00")


def test_a_short_day_can_lose_its_last_shift_and_more() -> None:
    office = WorkCalendar(
        shifts=frozenset({(0, ((time(8), time(12)), (time(17), time(18))))}),
        short_days=frozenset({(date(2026, 11, 23), 90)}),
    )
    assert office.between(at("2026-11-23T00:00:00+03:00"), at("2026-11-24T00:00:00+03:00")) == timedelta(hours=3.5)
    assert office.is_open(at("2026-11-23T11:29:00+03:00"))
    assert not office.is_open(at("2026-11-23T11:30:00+03:00"))
    assert office.walk(at("2026-11-23T10:00:00+03:00"), HOUR).text("ru") == (
        "Пн 23.11 10:00-11:00: 1 ч работы, короткий день, до 11:30"
    )


def test_a_day_that_works_by_exception_has_usual_hours_where_its_weekday_has_none() -> None:
    office = WorkCalendar(shifts=frozenset({(0, ())}), work_days=frozenset({date(2026, 11, 23)}))
    assert office.next_opening(at("2026-11-22T12:00:00+03:00")) == at("2026-11-23T09:00:00+03:00")


def test_a_night_shift_that_meets_the_next_one_is_not_counted_twice() -> None:
    office = WorkCalendar(shifts=frozenset({(0, ((time(20), time(11)),)), (1, ((time(9), time(18)),))}))
    night = office.between(at("2026-11-23T20:00:00+03:00"), at("2026-11-24T18:00:00+03:00"))
    assert night == timedelta(hours=22)


def test_a_night_shift_has_its_lunch_after_midnight() -> None:
    office = WorkCalendar(opens=time(20), closes=time(8), lunch=(time(1), time(2)))
    assert office.between(at("2026-11-23T20:00:00+03:00"), at("2026-11-24T08:00:00+03:00")) == 11 * HOUR


def test_a_long_duration_is_counted_over_years() -> None:
    end = MOSCOW.add_working(at("2026-01-12T09:00:00+03:00"), timedelta(hours=9 * 500))
    assert MOSCOW.between(at("2026-01-12T09:00:00+03:00"), end) == timedelta(hours=9 * 500)
    assert end.year == 2028


@pytest.mark.parametrize(
    ("visit", "before"),
    [
        ("2026-11-27T10:00:00+03:00", "2026-11-26T10:00:00+03:00"),
        ("2026-11-23T15:00:00+03:00", "2026-11-20T15:00:00+03:00"),  # over a weekend
        ("2027-01-11T11:00:00+03:00", "2026-12-30T11:00:00+03:00"),  # over the New Year
        ("2026-05-12T11:30:00+03:00", "2026-05-08T10:30:00+03:00"),  # 8 May is an hour shorter
        ("2026-11-05T11:00:00+03:00", "2026-11-03T10:00:00+03:00"),  # and so is 3 November
        ("2026-03-10T12:00:00+03:00", "2026-03-06T12:00:00+03:00"),  # 9 March is moved from the 8th
    ],
)
def test_one_working_day_before_and_a_minute_to_either_side(visit: str, before: str) -> None:
    moment = KITCHEN.one_working_day_before(at(visit))
    assert KITCHEN.between(moment, at(visit)) == KITCHEN.working_day == 8 * HOUR
    assert moment == at(before)
    assert not KITCHEN.more_than_one_working_day(moment, at(visit))
    assert KITCHEN.more_than_one_working_day(moment - MINUTE, at(visit))
    assert not KITCHEN.more_than_one_working_day(moment + MINUTE, at(visit))


def test_what_is_said_of_the_evening_before_the_last_day() -> None:
    visit = at("2026-11-27T09:00:00+03:00")
    assert KITCHEN.one_working_day_before(visit) == at("2026-11-26T09:00:00+03:00")
    assert not KITCHEN.more_than_one_working_day(at("2026-11-25T20:00:00+03:00"), visit)
    assert KITCHEN.more_than_one_working_day(at("2026-11-25T17:59:00+03:00"), visit)


# the steps as text


@pytest.mark.parametrize(
    ("start", "hours", "ru", "en"),
    [
        (
            "2026-11-27T11:00:00+03:00",
            3,
            "Пт 27.11 11:00-15:00: 3 ч работы, обед 13:00-14:00 пропущен",
            "Fri 27.11 11:00-15:00: 3 h of work, lunch 13:00-14:00 skipped",
        ),
        (
            "2026-11-27T16:30:00+03:00",
            3,
            "Пт 27.11 16:30-18:00: 1 ч 30 мин работы\nСб 28.11 - Вс 29.11: выходной\n"
            "Пн 30.11 09:00-10:30: 1 ч 30 мин работы",
            "Fri 27.11 16:30-18:00: 1 h 30 min of work\nSat 28.11 - Sun 29.11: day off\n"
            "Mon 30.11 09:00-10:30: 1 h 30 min of work",
        ),
        (
            "2026-11-02T20:00:00+03:00",
            8,
            "Пн 02.11: рабочее время закончилось\n"
            "Вт 03.11 09:00-17:00: 7 ч работы, обед 13:00-14:00 пропущен, короткий день, до 17:00\n"
            "Ср 04.11: День народного единства\nЧт 05.11 09:00-10:00: 1 ч работы",
            "Mon 02.11: working time is over\n"
            "Tue 03.11 09:00-17:00: 7 h of work, lunch 13:00-14:00 skipped, short day, until 17:00\n"
            "Wed 04.11: Unity Day\nThu 05.11 09:00-10:00: 1 h of work",
        ),
    ],
)
def test_the_way_is_told_step_by_step(start: str, hours: int, ru: str, en: str) -> None:
    walk = KITCHEN.walk(at(start), timedelta(hours=hours))
    assert (walk.text("ru"), walk.text("en")) == (ru, en)
    assert walk.worked == timedelta(hours=hours)


def test_the_way_back_is_negative_and_a_long_one_is_told_in_short() -> None:
    walk = KITCHEN.walk_between(at("2026-12-31T10:00:00+03:00"), at("2026-01-12T08:00:00+03:00"))
    assert walk.worked == -KITCHEN.between(at("2026-01-12T08:00:00+03:00"), at("2026-12-31T10:00:00+03:00"))
    lines = walk.lines("ru")
    assert len(lines) == 14
    assert lines[10].startswith("… ещё дней: ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 мин"), (60, "1 мин"), (3600, "1 ч"), (-5400, "-1 ч 30 мин"), (3661, "1 ч 1 мин 1 с"), (59.7, "1 мин")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds), "ru") == text


# laws


@given(calendars, moments, lengths)
def test_what_was_added_is_between(calendar: WorkCalendar, start: datetime, length: timedelta) -> None:
    assert calendar.between(start, calendar.add_working(start, length)) == length


@given(calendars, moments, lengths)
def test_what_was_subtracted_is_between_and_nothing_later_is(
    calendar: WorkCalendar, end: datetime, length: timedelta
) -> None:
    start = calendar.subtract_working(end, length)
    assert calendar.between(start, end) == length
    assert calendar.between(start + timedelta(microseconds=1), end) < length


@given(calendars, st.lists(moments, min_size=3, max_size=3).map(sorted))
def test_working_time_adds_up_and_turns_round(calendar: WorkCalendar, three: list[datetime]) -> None:
    one, two, last = three
    assert calendar.between(one, two) + calendar.between(two, last) == calendar.between(one, last)
    assert calendar.between(last, one) == -calendar.between(one, last)
    assert timedelta(0) <= calendar.between(one, last) <= last - one


@given(calendars, moments, lengths)
def test_the_steps_of_a_walk_are_its_sum(calendar: WorkCalendar, start: datetime, length: timedelta) -> None:
    walk = calendar.walk(start, length)
    assert walk.worked == length == calendar.walk_between(start, walk.end).worked
    assert [step.first for step in walk.steps] == sorted(step.first for step in walk.steps)


@given(calendars, moments, st.integers(1, 600))
def test_working_minutes_are_those_at_which_it_is_open(calendar: WorkCalendar, start: datetime, minutes: int) -> None:
    start = start.replace(second=0)
    counted = sum(calendar.is_open(start + number * MINUTE) for number in range(minutes))
    assert calendar.between(start, start + minutes * MINUTE) == counted * MINUTE
