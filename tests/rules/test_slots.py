"""Slots: the same as minute by minute, as bisect and as naive datetimes find them; what is best; why there is none."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta

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
    assert not free.takes(1, at("23T12:10"), job())  # not on the grid
    assert not free.takes(1, at("23T03:00"), job())
    free.add(1, busy("23T15:00", "23T15:05"))
    assert not free.takes(1, at("23T12:00"), job())


# why not


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
    for person in people:
        wide = [
            (
                b.start - (rules.buffer + _way(rules, b, asked)) * MINUTE,
                b.end + (rules.buffer + _way(rules, b, asked)) * MINUTE,
            )
            for b in taken.get(person.id, [])
        ]
        for number in range(rules.horizon_days):
            minutes = [
                begin + k * MINUTE
                for begin, end in person.calendar.spans_of(first + timedelta(days=number))
                for k in range(int((end - begin) / MINUTE))
            ]
            need = int(asked.duration / MINUTE)
            for place, start in enumerate(minutes):
                local = start.astimezone(person.calendar.zone)
                if (
                    (local.hour * 60 + local.minute) % rules.step
                    or start < asked.earliest
                    or place + need > len(minutes)
                ):
                    continue
                end = minutes[place + need - 1] + MINUTE
                if not any(begin < end and close > start for begin, close in wide):
                    found.add((person.id, start))
    return found


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
        lambda minute, length, place: Busy(midnight + minute * MINUTE, midnight + (minute + length) * MINUTE, place),
        st.integers(-600, 5 * 1440),
        st.one_of(st.integers(1, 200), st.integers(1, 3000)),
        st.sampled_from([None, Place("north"), Place("south")]),
    )
    people = [measurer(id, calendar=draw(st.sampled_from(CALENDARS))) for id in range(1, draw(st.integers(1, 4)) + 1)]
    taken = {person.id: draw(st.lists(entries, max_size=8)) for person in people}
    travel = Travel(usual=25, zones={("north", "south"): 70})
    rules = Policy(
        step=draw(st.sampled_from([15, 30, 60])), buffer=draw(st.sampled_from([0, 10])), travel=travel, horizon_days=5
    )
    asked = Job(
        draw(st.integers(1, 60)) * 5 * MINUTE,
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
    for slot in best[:5]:
        assert slot.walk.worked == asked.duration
        assert free.takes(slot.measurer.id, slot.start, asked)


minutes = st.integers(0, 108).map(lambda cell: cell * 5)
taken_today = st.lists(st.tuples(minutes, st.integers(1, 100)), max_size=6).map(
    lambda pairs: [Busy(at("23T09:00") + a * MINUTE, at("23T09:00") + (a + length) * MINUTE) for a, length in pairs]
)


@given(taken_today, st.integers(1, 40), st.sampled_from(["23T00:00", "23T10:20"]))
def test_a_useless_hole_is_one_that_a_job_like_this_does_not_fit_in(
    entries: list[Busy], cells: int, earliest: str
) -> None:
    today = board(taken={1: entries}, step=5, horizon_days=1)
    free = [moment for _, moment in today.listing(job(1 / 12, earliest))]
    work = [
        begin + k * 5 * MINUTE for begin, end in OFFICE.spans_of(MONDAY) for k in range((end - begin) // (5 * MINUTE))
    ]
    row = [moment in free for moment in work]
    for slot in today.best(job(cells / 12, earliest), 1000):
        first = work.index(slot.start)
        before = after = 0
        while first - before > 0 and row[first - before - 1]:
            before += 1
        while first + cells + after < len(row) and row[first + cells + after]:
            after += 1
        assert slot.hole == (0 < before < cells or 0 < after < cells)


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
