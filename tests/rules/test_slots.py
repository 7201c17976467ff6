"""Slots: the same as minute by minute, as bisect and as naive datetimes find them; what is best; why there is none."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b24app.rules.slots import Board, Busy, Job, Measurer, Place, Policy, Travel, Wish
from b24app.rules.working_time import WorkCalendar
from benchmarks import rivals
from benchmarks import slots as bench

OFFICE = WorkCalendar(country="RU", lunch=(time(13), time(14)))
MONDAY = date(2026, 11, 23)
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}+03:00")


def busy(start: str, end: str, **more: object) -> Busy:
    return Busy(at(start), at(end), **more)  # type: ignore[arg-type]


def job(hours: float = 3, earliest: str = "23T00:00", **more: object) -> Job:
    return Job(timedelta(hours=hours), at(earliest), **more)  # type: ignore[arg-type]


def measurer(id: int = 1, **more: object) -> Measurer:
    return Measurer(**{"id": id, "name": f"Замерщик {id}", "calendar": OFFICE, **more})  # type: ignore[arg-type]


def board(*measurers: Measurer, taken: dict[int, list[Busy]] | None = None, **policy: object) -> Board:
    rules = Policy(**{"horizon_days": 5, **policy})  # type: ignore[arg-type]
    return Board(measurers or (measurer(),), rules, MONDAY, taken)


def starts(found: list[tuple[int, datetime]], day: int = 23) -> list[str]:
    local = [moment.astimezone(OFFICE.zone) for _, moment in found]
    return [f"{moment:%H:%M}" for moment in local if moment.day == day]


# one measurer, by hand


def test_a_free_day_over_lunch_and_to_the_end() -> None:
    assert starts(board().listing(job())) == [
        "09:00", "09:30", "10:00", "10:30", "11:00", "11:30", "12:00", "12:30", "14:00", "14:30", "15:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("taken", "found"),
    [
        (["23T09:00 23T18:00"], []),
        (["23T10:00 23T15:00"], ["15:00"]),
        (["23T09:00 23T12:00", "23T16:00 23T18:00"], ["12:00"]),  # exactly the job, with lunch inside
        (["23T09:00 23T12:05", "23T16:00 23T18:00"], []),  # five minutes less
        (["23T09:00 23T12:01", "23T16:00 23T18:00"], []),  # even one
        (["23T13:15 23T13:45"], ["09:00", "09:30", "10:00", "14:00", "14:30", "15:00"]),  # lunch itself is taken
        (["22T12:00 23T15:00"], ["15:00"]),
        (["23T18:00 24T09:00"], None),  # the night takes nothing
    ],
)
def test_what_a_busy_day_leaves(taken: list[str], found: list[str] | None) -> None:
    entries = [busy(*pair.split()) for pair in taken]
    free = starts(board().listing(job()))
    assert starts(board(taken={1: entries}).listing(job())) == (free if found is None else found)


def test_earlier_than_asked_for_nothing_is_offered() -> None:
    assert starts(board().listing(job(earliest="23T14:01"))) == ["14:30", "15:00"]
    assert starts(board().listing(job(earliest="23T19:00"))) == []
    assert starts(board().listing(job(earliest="23T19:00")), 24)[0] == "09:00"


def test_a_job_longer_than_a_day_has_no_slot() -> None:
    assert board().listing(job(8.5)) == []
    assert starts(board().listing(job(8))) == ["09:00"]


def test_a_short_day_a_holiday_and_a_shift_of_ones_own() -> None:
    early = WorkCalendar(country="RU", shifts=frozenset({(1, ((time(7), time(11)),))}))
    short = WorkCalendar(country="RU", short_days=frozenset({(date(2026, 11, 3), 60)}))
    rules = Policy(horizon_days=4, step=60)
    found = Board([measurer(1, calendar=short), measurer(2, calendar=early)], rules, date(2026, 11, 2)).listing(
        job(8, "02T00:00")
    )
    local = [(id, f"{moment.astimezone(OFFICE.zone):%d %H:%M}") for id, moment in found]
    assert local == [
        (1, "02 09:00"), (1, "02 10:00"), (2, "02 09:00"), (2, "02 10:00"), (1, "03 09:00"),
        (1, "05 09:00"), (1, "05 10:00"), (2, "05 09:00"), (2, "05 10:00"),
    ]  # fmt: skip


def test_zones_skills_and_their_time_zone() -> None:
    omsk = WorkCalendar(time_zone="Asia/Omsk")
    people = (
        measurer(1, zones=frozenset({"north"})),
        measurer(2, skills=frozenset({"stone"})),
        measurer(3, calendar=omsk),
    )
    asked = job(8, place=Place("south"))
    assert {id for id, _ in board(*people).listing(asked)} == {2, 3}
    assert {id for id, _ in board(*people).listing(job(8, skills=frozenset({"stone"})))} == {2}
    third = [moment.astimezone(omsk.zone).hour for id, moment in board(*people).listing(job(9)) if id == 3]
    assert set(third) == {9}


def test_buffer_and_travel_stand_around_what_is_busy() -> None:
    visit = busy("23T12:00", "23T13:00", place=Place("north"))
    travel = Travel(usual=60, zones={("north", "south"): 30})
    assert starts(board(taken={1: [visit]}, buffer=15).listing(job(2))) == [
        "09:00", "09:30", "14:00", "14:30", "15:00", "15:30", "16:00",
    ]  # fmt: skip
    rules = {"travel": travel, "step": 15, "taken": {1: [visit]}}
    assert "09:30" in starts(board(**rules).listing(job(2, place=Place("south"))))  # type: ignore[arg-type]
    assert "09:45" not in starts(board(**rules).listing(job(2, place=Place("south"))))  # type: ignore[arg-type]
    assert starts(board(**rules).listing(job(2, place=Place("west"))))[:2] == ["09:00", "14:00"]  # type: ignore[arg-type]
    inside = starts(board(travel=travel, travel_inside=True).listing(job(2)))
    assert (inside[0], inside[-1]) == ("10:00", "15:00")


def test_the_way_by_coordinates_is_the_same_in_both_directions_and_bounded() -> None:
    travel = Travel(usual=20, km_per_hour=30)
    kremlin, airport = Place(latitude=55.752, longitude=37.617), Place(latitude=55.972, longitude=37.413)
    far = Place(latitude=59.94, longitude=30.31)
    assert travel.minutes(kremlin, airport) == travel.minutes(airport, kremlin) == 56  # 27.6 km
    assert travel.minutes(kremlin, kremlin) == 0
    assert travel.minutes(kremlin, far) == 180
    assert travel.minutes(kremlin, Place()) == 20


def test_a_day_has_no_more_visits_than_its_limit() -> None:
    visits = [busy("23T09:00", "23T10:00", visit=True), busy("23T10:00", "23T11:00")]
    assert starts(board(taken={1: visits}, daily_limit=2).listing(job())) != []
    limited = board(taken={1: visits}, daily_limit=1)
    assert starts(limited.listing(job())) == []
    assert starts(limited.listing(job()), 24) != []


def test_a_wrong_step_is_refused() -> None:
    with pytest.raises(ValueError, match="step"):
        Policy(step=7)


# the best


def test_the_best_are_soon_leave_no_useless_hole_and_go_to_the_least_loaded() -> None:
    people = (measurer(1, load=5), measurer(2, load=2), measurer(3, load=9))
    found = board(*people).best(job(), 4)
    assert [f"{slot.start:%d %H:%M}" for slot in found] == ["23 09:00", "23 15:00", "23 09:30", "23 10:00"]
    assert [slot.grade for slot in found] == ["A", "A", "B", "B"]
    assert found[0].measurer.id == 2
    assert found[0].others == (1, 3)


def test_a_wish_comes_before_the_date_and_a_strict_one_excludes() -> None:
    wish = Wish(parts=frozenset({"morning"}), not_weekdays=frozenset({0}))
    found = board().best(job(wish=wish), 20)
    assert (found[0].start.day, found[0].start.hour, found[0].wished) == (24, 9, True)
    assert any(not slot.wished for slot in found) or len(found) == 20
    strict = board().listing(job(wish=Wish(parts=wish.parts, not_weekdays=wish.not_weekdays, strict=True)))
    local = [moment.astimezone(OFFICE.zone) for _, moment in strict]
    assert {moment.day for moment in local} == {24, 25, 26, 27}
    assert max(moment.hour for moment in local) == 11


def test_a_slot_spells_out_its_sum() -> None:
    oleg = measurer(1, name="Олег")
    (slot,) = board(oleg).best(job(earliest="27T11:00"), 1)
    assert slot.text("ru") == "Пт 27.11 11:00-15:00: 3 ч работы, обед 13:00-14:00 пропущен; Олег"
    tight = {1: [busy("23T09:00", "23T10:45"), busy("23T16:00", "23T18:00")]}
    assert board(oleg, taken=tight).best(job(), 1)[0].text("ru") == (
        "Пн 23.11 11:00-15:00: 3 ч работы, обед 13:00-14:00 пропущен; Олег; "
        "оставляет окно, в которое ничего не поместится"
    )
    later = board(measurer(1, name="Олег")).best(job(earliest="27T15:00"), 1)[0]
    assert later.text("en") == "Fri 27.11 15:00-18:00: 3 h of work; Олег"


def test_only_a_free_slot_can_be_taken() -> None:
    free = board(taken={1: [busy("23T09:00", "23T12:00")]})
    assert free.takes(1, at("23T12:00"), job())
    assert not free.takes(1, at("23T11:30"), job())
    assert free.takes(1, at("23T12:10"), job())  # not on the grid of what is offered, but a person may choose it
    assert not free.takes(1, at("23T12:12"), job())
    assert not free.takes(1, at("23T03:00"), job())
    assert not free.takes(2, at("23T12:00"), job())
    free.add(1, busy("23T15:00", "23T15:05"))
    assert not free.takes(1, at("23T12:00"), job())


# over lunch, over the night


def test_a_job_does_not_go_over_lunch_where_it_must_not() -> None:
    assert starts(board(over_lunch=False).listing(job())) == [
        "09:00", "09:30", "10:00", "14:00", "14:30", "15:00",
    ]  # fmt: skip
    shifts = WorkCalendar(shifts=frozenset({(0, ((time(9), time(11)), (time(11), time(13)), (time(15), time(18))))}))
    oleg = measurer(calendar=shifts)
    assert starts(board(oleg, over_lunch=False, step=60).listing(job())) == ["09:00", "10:00", "15:00"]
    assert starts(board(over_lunch=False).listing(job(4.5))) == []


def test_the_longest_gap_ends_at_lunch_or_goes_on_in_the_morning() -> None:
    def why(hours: float, **rules: object) -> str:
        return board(**rules).explain(job(hours)).measurers[1]["ru"]

    assert why(4.5, over_lunch=False) == "нужно 4 ч 30 мин подряд, самое длинное окно 4 ч: Пн 23.11"
    assert why(9) == "нужно 9 ч подряд, самое длинное окно 8 ч: Пн 23.11"
    assert why(17, over_night=True) == "нужно 17 ч подряд, самое длинное окно 16 ч: Пн 23.11"
    assert why(9, over_night=True, over_lunch=False) == "нужно 9 ч подряд, самое длинное окно 8 ч: Пн 23.11"


def test_a_gap_before_lunch_is_useless_where_no_job_goes_over_it() -> None:
    early = {1: [busy("23T09:00", "23T10:00")]}
    (first, *_) = board(taken=early, over_lunch=False).best(job(2), 1)
    assert (f"{first.start:%H:%M}", first.hole) == ("14:00", False)  # 10:00 would leave an hour until lunch
    assert board(taken=early).best(job(2), 1)[0].start == at("23T10:00")


def test_a_job_goes_on_at_the_opening_of_the_next_working_day() -> None:
    night = board(measurer(1, name="Олег"), over_night=True, horizon_days=10)
    monday = starts(night.listing(job()))
    assert monday[-6:] == ["15:00", "15:30", "16:00", "16:30", "17:00", "17:30"]
    assert night.takes(1, at("23T17:55"), job())
    (slot,) = night.nearest(job(), at("23T16:30"), limit=1)
    assert (slot.start, slot.end) == (at("23T16:30"), at("24T10:30"))
    assert slot.walk.worked == timedelta(hours=3)
    assert slot.text("ru") == ("Пн 23.11 16:30-18:00: 1 ч 30 мин работы\nВт 24.11 09:00-10:30: 1 ч 30 мин работы; Олег")
    (friday,) = night.nearest(job(), at("27T17:00"), limit=1)
    assert friday.walk.lines("ru") == [
        "Пт 27.11 17:00-18:00: 1 ч работы",
        "Сб 28.11 - Вс 29.11: выходной",
        "Пн 30.11 09:00-11:00: 2 ч работы",
    ]


def test_two_days_are_the_most_and_the_last_one_has_no_morning_after_it() -> None:
    night = board(over_night=True, step=60)
    assert starts(night.listing(job(16))) == ["09:00"]
    assert starts(night.listing(job(16.5))) == []
    assert starts(night.listing(job(8)), 24) == ["09:00", *(f"{hour}:00" for hour in (10, 11, 12, 14, 15, 16, 17))]
    assert starts(night.listing(job(8)), 27) == ["09:00"]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (("24T09:00", "24T09:05"), []),
        (("24T10:00", "24T18:00"), ["16:30", "17:00"]),  # an hour in the morning is free
        (("24T10:30", "24T18:00"), ["16:30", "17:00", "17:30"]),
        (("23T17:55", "23T18:00"), []),
        (("23T19:00", "24T08:00"), ["16:30", "17:00", "17:30"]),  # the night is his own
    ],
)
def test_both_ends_of_a_job_over_the_night_are_free(entry: tuple[str, str], found: list[str]) -> None:
    asked = job(2, "23T16:30")
    assert starts(board(taken={1: [busy(*entry)]}, over_night=True).listing(asked)) == found
    changed = board(over_night=True)
    changed.prepare(asked.place)
    changed.add(1, busy(*entry))
    assert starts(changed.listing(asked)) == found


def test_everybody_goes_on_by_his_own_calendar() -> None:
    sunday = WorkCalendar(opens=time(8), closes=time(16), weekend=frozenset({5}))
    holiday = WorkCalendar(days_off=frozenset({date(2026, 11, 30)}))
    people = (measurer(1, calendar=sunday), measurer(2, calendar=holiday), measurer(3, calendar=OFFICE))
    night = board(*people, over_night=True, horizon_days=14)
    ends = {}
    for id, start in ((1, "27T15:00"), (2, "27T17:00"), (3, "27T17:00")):
        (slot,) = night.nearest(job(2), at(start), id, limit=1)
        assert (slot.measurer.id, slot.start) == (id, at(start))
        ends[id] = f"{slot.end:%d.%m %H:%M}"
    assert ends == {1: "29.11 09:00", 2: "01.12 10:00", 3: "30.11 10:00"}


def test_with_the_way_in_working_hours_nothing_goes_over_the_night() -> None:
    rules = {"travel": Travel(usual=30), "travel_inside": True}
    night = board(over_night=True, **rules).listing(job())  # type: ignore[arg-type]
    assert night == board(**rules).listing(job())  # type: ignore[arg-type]


# the nearest


def test_the_nearest_come_before_and_after() -> None:
    people = (measurer(1, load=5), measurer(2, load=2))
    taken = {1: [busy("24T09:00", "24T14:00")], 2: [busy("24T09:00", "24T18:00")]}
    free = board(*people, taken=taken)
    found = free.nearest(job(), at("24T12:10"))
    assert [f"{slot.start:%d %H:%M}" for slot in found] == ["24 14:00", "24 14:30", "24 15:00"]
    assert {slot.measurer.id for slot in found} == {1}
    second = free.nearest(job(), at("24T12:10"), 2, 2)
    assert [f"{slot.start:%d %H:%M}" for slot in second] == ["25 09:00", "23 15:00"]
    later = free.nearest(job(earliest="25T09:00"), at("24T12:10"), limit=1)
    assert (later[0].measurer.id, later[0].others) == (2, (1,))
    assert free.nearest(job(), at("24T12:10"), 7) == []
    assert free.nearest(job(9), at("24T12:10")) == []
    assert [slot.start for slot in free.nearest(job(), at("01T12:10"), limit=1)] == [at("23T09:00")]
    assert [slot.start for slot in free.nearest(job(), at("30T12:10"), limit=1)] == [at("27T15:00")]


# why not


@pytest.mark.parametrize(
    ("start", "more", "ru", "en"),
    [
        ("23T10:00", {"id": 7}, "такого замерщика нет", "there is no such measurer"),
        ("23T10:00", {"place": Place("юг")}, "не выезжает в район «юг»", "does not go to юг"),
        ("23T10:00", {"skills": frozenset({"камень"})}, "не умеет: камень", "lacks: камень"),
        ("23T10:00", {"earliest": "23T10:05"}, "раньше, чем можно", "earlier than possible"),
        ("28T10:00", {}, "Сб 28.11: выходной", "Sat 28.11: day off"),
        ("30T10:00", {}, "Пн 30.11: нерабочий день компании", "Mon 30.11: company day off"),
        (
            "23T13:30",
            {},
            "Пн 23.11: рабочее время 09:00-13:00, 14:00-18:00",
            "Mon 23.11: working time is 09:00-13:00, 14:00-18:00",
        ),
        ("23T18:00", {}, "Пн 23.11: рабочее время 09:00-13:00, 14:00-18:00", None),
        ("22T10:00", {"earliest": "20T00:00"}, "расписание известно на 23.11.2026 - 30.11.2026", None),
        ("23T10:02", {}, "начало кратно 5 минутам", "a start is a multiple of 5 minutes"),
        (
            "23T16:00",
            {},
            "не успеть до конца дня: нужно 3 ч, остаётся 2 ч",
            "the day ends before: 3 h are needed, 2 h are left",
        ),
        (
            "23T16:00",
            {"hours": 12, "over_night": True},
            "не успеть до конца следующего рабочего дня: нужно 12 ч, остаётся 10 ч",
            "the next working day ends before: 12 h are needed, 10 h are left",
        ),
        ("24T10:00", {}, "занят: Вт 24.11 12:10-12:20", "busy: Tue 24.11 12:10-12:20"),
        (
            "24T09:10",
            {},
            "занят: Вт 24.11 12:10-12:20, и 15 мин до и после на дорогу и запас",
            "busy: Tue 24.11 12:10-12:20, and 15 min before and after for the way and spare",
        ),
        ("25T10:00", {}, "другой замер: Ср 25.11 11:00-12:00", "another visit: Wed 25.11 11:00-12:00"),
        ("25T14:00", {}, "в день не больше замеров: 1", "no more visits a day: 1"),
        ("25T12:10", {}, "другой замер: Ср 25.11 11:00-12:00, и 15 мин до и после на дорогу и запас", None),
        ("26T12:00", {}, "занят: Чт 26.11 13:20-13:30", None),  # in lunch
        (
            "27T09:00",
            {},
            "занят: Пт 27.11 09:00 - Сб 28.11 12:00",
            "busy: Fri 27.11 09:00 - Sat 28.11 12:00",
        ),
        ("26T17:00", {"over_night": True}, "занят: Пт 27.11 09:00 - Сб 28.11 12:00", None),
        ("24T14:00", {"over_lunch": False}, None, None),
        (
            "23T11:00",
            {"over_lunch": False},
            "через перерыв нельзя: Пн 23.11 13:00-14:00",
            "not over the break: Mon 23.11 13:00-14:00",
        ),
        ("23T10:00", {"over_lunch": False}, None, None),
        ("23T11:00", {}, None, None),
        ("23T11:10", {}, None, None),
        ("23T15:00", {"wish": Wish(parts=frozenset({"morning"}), strict=True)}, None, None),
        (
            "23T15:00",
            {"travel_inside": True, "travel": Travel(usual=30)},
            "начало и конец дня - на дорогу, по 30 мин",
            "the first and last 30 min of the day are for the way",
        ),
        ("23T09:30", {"travel_inside": True, "travel": Travel(usual=30)}, None, None),
    ],
)
def test_why_exactly_this_time_is_not_free(start: str, more: dict[str, Any], ru: str | None, en: str | None) -> None:
    calendar = WorkCalendar(country="RU", lunch=OFFICE.lunch, days_off=frozenset({date(2026, 11, 30)}))
    taken = [
        busy("24T12:10", "24T12:20"),
        busy("25T11:00", "25T12:00", visit=True),
        busy("26T13:20", "26T13:30"),
        busy("27T09:00", "28T12:00"),
    ]
    id, hours = more.pop("id", 1), more.pop("hours", 3)
    asked = job(hours, **{name: more.pop(name) for name in ("place", "skills", "wish", "earliest") if name in more})
    rules = {"buffer": 15, "daily_limit": 1, "horizon_days": 8, **more}
    free = board(measurer(calendar=calendar, zones=frozenset({"север"})), taken={1: taken}, **rules)
    why = free.why(id, at(start), asked)
    assert (why and why["ru"]) == ru
    assert en is None or (why is not None and why["en"] == en)
    assert free.takes(id, at(start), asked) == (why is None)


def test_why_measurers_and_days_offer_nothing() -> None:
    people = (
        measurer(1, zones=frozenset({"север"})),
        measurer(2),
        measurer(3, skills=frozenset({"камень"})),
        measurer(4, skills=frozenset({"камень"})),
        measurer(5, skills=frozenset({"камень"}), calendar=WorkCalendar(weekend=frozenset(range(7)))),
    )
    away = [busy("22T00:00", "30T00:00")]
    short = [busy(f"{day}T11:00", f"{day}T18:00") for day in range(23, 28)]
    asked = job(place=Place("юг"), skills=frozenset({"камень"}))
    full = board(*people, taken={3: away, 4: short}, horizon_days=7)
    why = full.explain(asked)
    assert full.listing(asked) == []
    assert {id: text["ru"] for id, text in why.measurers.items()} == {
        1: "не выезжает в район «юг»",
        2: "не умеет: камень",
        3: "всё время занято",
        4: "нужно 3 ч подряд, самое длинное окно 2 ч: Пн 23.11",
        5: "не работает в эти дни",
    }
    assert [why.days[MONDAY + timedelta(days=n)]["ru"] for n in (0, 4, 5)] == [
        "нужно 3 ч подряд, самое длинное окно 2 ч: Пн 23.11",
        "нужно 3 ч подряд, самое длинное окно 2 ч: Пт 27.11",
        "выходной",
    ]
    assert board(*people[:2]).explain(asked).days[MONDAY]["ru"] == "некому: район или умение"
    assert board().explain(job(earliest="24T00:00")).days[MONDAY]["en"] == "earlier than possible"
    limited = board(taken={1: [busy(f"{d}T09:00", f"{d}T09:30", visit=True) for d in range(23, 28)]}, daily_limit=1)
    assert limited.explain(job()).measurers[1]["ru"] == "в день не больше замеров: 1"


# the same as others find them


def minute_by_minute(
    people: list[Measurer], rules: Policy, first: date, taken: dict[int, list[Busy]], asked: Job
) -> set[tuple[int, datetime]]:
    """The oracle: walks minutes, knows no cells."""
    found = set()
    need = int(asked.duration / MINUTE)
    for person in people:
        entries = taken.get(person.id, [])
        wide = [
            (
                b.start - (rules.buffer + _way(rules, b, asked)) * MINUTE,
                b.end + (rules.buffer + _way(rules, b, asked)) * MINUTE,
            )
            for b in entries
        ]
        days = [
            [
                begin + k * MINUTE
                for begin, end in person.calendar.spans_of(first + timedelta(days=number))
                for k in range(int((end - begin) / MINUTE))
            ]
            for number in range(rules.horizon_days)
        ]
        days = [day for day in days if day]
        for today, tomorrow in zip(days, [*days[1:], []], strict=True):
            for place, start in enumerate(today):
                local = start.astimezone(person.calendar.zone)
                evening = today[place : place + need]
                morning = tomorrow[: need - len(evening)] if rules.over_night else []
                if (
                    (local.hour * 60 + local.minute) % rules.step
                    or start < asked.earliest
                    or len(evening) + len(morning) < need
                ):
                    continue
                parts = [(part, day) for part, day in ((evening, today), (morning, tomorrow)) if part]
                if all(_may_be(part, day, rules, entries, wide) for part, day in parts):
                    found.add((person.id, start))
    return found


def _may_be(
    part: list[datetime],
    day: list[datetime],
    rules: Policy,
    entries: list[Busy],
    wide: list[tuple[datetime, datetime]],
) -> bool:
    """Whether one job can have these minutes of the working day."""
    start, end = part[0], part[-1] + MINUTE
    visits = sum(entry.visit and entry.start <= day[-1] and entry.end > day[0] for entry in entries)
    inside = day[rules.travel.usual : len(day) - rules.travel.usual] if rules.travel_inside else day
    return (
        not any(begin < end and close > start for begin, close in wide)
        and (rules.over_lunch or end - start == len(part) * MINUTE)
        and not (rules.daily_limit and visits >= rules.daily_limit)
        and bool(inside)
        and inside[0] <= start
        and end <= inside[-1] + MINUTE
    )


def _way(rules: Policy, entry: Busy, asked: Job) -> int:
    return rules.travel.minutes(entry.place, asked.place) if entry.place is not None else 0


CALENDARS = [
    OFFICE,
    WorkCalendar(time_zone="Europe/Berlin", opens=time(8), closes=time(17), weekend=frozenset({6})),
    WorkCalendar(opens=time(20), closes=time(5), lunch=(time(0, 30), time(1, 30))),
    WorkCalendar(shifts=frozenset({(0, ((time(7), time(11)), (time(15), time(20)))), (2, ())})),
]
firsts = st.sampled_from([MONDAY, date(2026, 10, 23), date(2026, 3, 27), date(2026, 12, 29)])


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Measurer], Policy, date, dict[int, list[Busy]], Job]:
    first = draw(firsts)
    midnight = datetime.combine(first, time(0), UTC)
    entries = st.builds(
        lambda minute, length, *more: Busy(midnight + minute * MINUTE, midnight + (minute + length) * MINUTE, *more),
        st.integers(-600, 5 * 1440),
        st.one_of(st.integers(1, 200), st.integers(1, 3000)),
        st.sampled_from([None, Place("north"), Place("south")]),
        st.booleans(),
    )
    people = [measurer(id, calendar=draw(st.sampled_from(CALENDARS))) for id in range(1, draw(st.integers(1, 4)) + 1)]
    taken = {person.id: draw(st.lists(entries, max_size=8)) for person in people}
    travel = Travel(usual=25, zones={("north", "south"): 70})
    rules = Policy(
        step=draw(st.sampled_from([15, 30, 60])),
        buffer=draw(st.sampled_from([0, 10])),
        daily_limit=draw(st.sampled_from([0, 0, 2])),
        travel=travel,
        travel_inside=draw(st.sampled_from([False, False, True])),
        horizon_days=5,
        over_lunch=draw(st.booleans()),
        over_night=draw(st.booleans()),
    )
    asked = Job(
        draw(st.one_of(st.integers(1, 60), st.integers(60, 220))) * 5 * MINUTE,
        midnight + draw(st.integers(-1440, 3 * 1440)) * MINUTE,
        place=draw(st.sampled_from([Place(), Place("north"), Place("south")])),
    )
    return people, rules, first, taken, asked


@settings(max_examples=150, deadline=None)
@given(situations())
def test_the_listing_is_what_a_walk_by_minutes_finds(
    situation: tuple[list[Measurer], Policy, date, dict[int, list[Busy]], Job],
) -> None:
    people, rules, first, taken, asked = situation
    free = Board(people, rules, first, taken)
    listed = free.listing(asked)
    assert len(listed) == len(set(listed))
    assert set(listed) == minute_by_minute(people, rules, first, taken, asked)
    best = free.best(asked, 1000)
    assert {slot.start for slot in best} == {start for _, start in listed}
    offers = {(id, slot.start) for slot in best for id in (slot.measurer.id, *slot.others)}
    assert offers == set(listed)
    assert [slot.cost for slot in best] == sorted(slot.cost for slot in best)
    assert free.best(asked, 3) == best[:3]
    why = free.explain(asked)
    assert set(why.measurers) == {person.id for person in people} - {id for id, _ in listed}
    for slot in best[:5]:
        assert slot.walk.worked == asked.duration
        assert free.takes(slot.measurer.id, slot.start, asked)


@settings(max_examples=100, deadline=None)
@given(situations(), st.data())
def test_why_is_none_exactly_where_a_walk_by_minutes_finds_it_free(
    situation: tuple[list[Measurer], Policy, date, dict[int, list[Busy]], Job], data: st.DataObject
) -> None:
    people, rules, first, taken, asked = situation
    free = Board(people, rules, first, taken)
    found = minute_by_minute(people, replace(rules, step=5), first, taken, asked)
    midnight = datetime.combine(first, time(0), UTC)
    chosen = [midnight + 5 * cell * MINUTE for cell in data.draw(st.lists(st.integers(-30, 6 * 288), max_size=60))]
    for moment in chosen + [start for _, start in sorted(found)[:: len(found) // 20 + 1]]:
        for person in people:
            why = free.why(person.id, moment, asked)
            assert (why is None) == ((person.id, moment) in found)
            assert why is None or all(why.values())


@settings(max_examples=80, deadline=None)
@given(situations(), st.data())
def test_the_nearest_are_the_nearest_of_the_listing(
    situation: tuple[list[Measurer], Policy, date, dict[int, list[Busy]], Job], data: st.DataObject
) -> None:
    people, rules, first, taken, asked = situation
    free = Board(people, rules, first, taken)
    moment = datetime.combine(first, time(0), UTC) + data.draw(st.integers(-3000, 9000)) * MINUTE
    only = data.draw(st.sampled_from([None, *(person.id for person in people)]))
    limit = data.draw(st.integers(1, 5))
    listed = {start for id, start in free.listing(asked) if only in (None, id)}
    found = free.nearest(asked, moment, only, limit)
    assert [slot.start for slot in found] == sorted(listed, key=lambda one: (abs(one - moment), one))[:limit]
    best = {slot.start: slot for slot in free.best(asked, 1000)}
    for slot in found:
        assert free.takes(slot.measurer.id, slot.start, asked)
        assert slot.measurer.id == only or slot == best[slot.start]


minutes = st.integers(0, 2 * 288).map(lambda cell: cell * 5)
taken_in_two_days = st.lists(st.tuples(minutes, st.integers(1, 100)), max_size=8).map(
    lambda pairs: [Busy(at("23T09:00") + a * MINUTE, at("23T09:00") + (a + length) * MINUTE) for a, length in pairs]
)


@settings(deadline=None)
@given(
    taken_in_two_days,
    st.integers(1, 40),
    st.sampled_from(["23T00:00", "23T10:20"]),
    st.sampled_from([{}, {"over_lunch": False}, {"over_night": True}, {"over_lunch": False, "over_night": True}]),
)
def test_a_useless_hole_is_one_that_a_job_like_this_does_not_fit_in(
    entries: list[Busy], cells: int, earliest: str, rules: dict[str, bool]
) -> None:
    two_days = board(taken={1: entries}, step=5, horizon_days=2, **rules)
    free = {moment for _, moment in two_days.listing(job(1 / 12, earliest))}
    morning = 4 * 12  # the cells before lunch
    work, lunch_is_a_wall = [], []
    for day in (MONDAY, MONDAY + timedelta(days=1)):
        (begin, noon), (back, end) = OFFICE.spans_of(day)
        work.append([*_cells(begin, noon), *_cells(back, end)])
        taken = any(entry.start < back and entry.end > noon for entry in entries)
        lunch_is_a_wall.append(taken or not two_days.policy.over_lunch)
    for slot in two_days.best(job(cells / 12, earliest), 1000):
        day = int(slot.start not in work[0])
        row = [moment in free for moment in work[day]]
        walls = {morning} if lunch_is_a_wall[day] else set()
        if two_days.policy.over_night and day == 0:  # the gap goes on in the morning
            row += [moment in free for moment in work[1]]
            walls |= {len(work[0]) + morning} if lunch_is_a_wall[1] else set()
        begin = work[day].index(slot.start)
        before, after = begin, begin + cells
        while before > 0 and before not in walls and row[before - 1]:
            before -= 1
        while after < len(row) and after not in walls and row[after]:
            after += 1
        assert slot.hole == (0 < begin - before < cells or 0 < after - begin - cells < cells)


def _cells(begin: datetime, end: datetime) -> list[datetime]:
    return [begin + k * 5 * MINUTE for k in range((end - begin) // (5 * MINUTE))]


@settings(max_examples=80, deadline=None)
@given(situations(), st.data())
def test_a_change_is_the_same_as_preparing_anew(
    situation: tuple[list[Measurer], Policy, date, dict[int, list[Busy]], Job], data: st.DataObject
) -> None:
    people, rules, first, taken, asked = situation
    changed = Board(people, rules, first)
    changed.prepare(asked.place)
    changed.prepare(Place("elsewhere"))
    order = [(id, entry) for id, entries in taken.items() for entry in entries]
    for id, entry in order:
        changed.add(id, entry)
    gone = data.draw(st.lists(st.sampled_from(range(len(order))), unique=True, max_size=4)) if order else []
    left = {id: list(entries) for id, entries in taken.items()}
    for id, entry in (order[number] for number in gone):
        changed.remove(id, entry)
        left[id].remove(entry)
    assert changed.listing(asked) == Board(people, rules, first, left).listing(asked)


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in list"):
        board().remove(1, busy("23T10:00", "23T11:00"))


@pytest.mark.parametrize("people", [1, 7, 100])
def test_a_large_company_by_other_ways_gives_the_same_list(people: int) -> None:
    taken = bench.company(people)
    chance = random.Random(people)
    for pairs in taken.values():  # lunch itself, and what reaches from one day's end to the next morning
        noon = datetime.combine(MONDAY + timedelta(days=chance.randrange(bench.DAYS)), time(13, 10), OFFICE.zone)
        pairs += [(noon, noon + 30 * MINUTE), (noon + 290 * MINUTE, noon + 1190 * MINUTE)]
    days, asked = bench.DAYS, job()
    entries = {id: [Busy(*pair) for pair in pairs] for id, pairs in taken.items()}
    rules = Policy(horizon_days=days)
    listed = Board([measurer(id) for id in taken], rules, MONDAY, entries).listing(asked)
    assert len(set(listed)) == len(listed) > 0
    grid = rivals.grid_of(OFFICE, MONDAY, days, 30, asked.duration)
    assert set(listed) == set(rivals.bisected(rivals.merged(taken), grid))
    if people == 1:
        assert set(listed) == set(rivals.naive(OFFICE, taken, MONDAY, days, 30, asked.duration))


def test_a_thousand_measurers_in_sixty_days_are_those_of_the_bisect() -> None:
    row = bench.measure(1000, 0)
    assert row.same
    assert row.slots > 1000
