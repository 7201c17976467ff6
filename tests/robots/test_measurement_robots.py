"""The robots that find, book and confirm a measurement (K22, K23, K25): tables, and as the portal runs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from scripted_portal import lead as lead_item
from scripted_visits import (
    ADDRESS,
    DATE,
    DAY,
    HOUR,
    NOW,
    OLEG,
    PAUL,
    PERSON,
    START,
    Shop,
    VisitBench,
    around_the_clock,
    diary,
    later,
    row,
    rules,
    want,
    works,
)

from b24app.engine.declare import Robot
from b24app.entities import LEAD, Address, Interval, ItemRef
from b24app.errors import AccessDenied, Temporary
from b24app.measuring import Order
from b24app.playbook import MeasurerRule, Zone, load_playbook
from b24app.rules.confirmation import State
from b24app.rules.slots import Wish
from b24app.store import visits
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.visits import VisitRow
from robots import ROBOTS, book_measurement, confirm_measurement, find_measurement_slots
from robots.book_measurement import Booked, Booking
from robots.confirm_measurement import Confirmed, Standing
from robots.find_measurement_slots import Found, Search

REF = ItemRef(LEAD, 42)
ALL = (find_measurement_slots.ROBOT, book_measurement.ROBOT, confirm_measurement.ROBOT)
LIVING = Address("Лесная, 5", 55.75, 37.6)
NOON = NOW + 2 * HOUR
"""The first time that the rules allow: two working hours from now."""


@contextmanager
def memory(database: Database) -> Iterator[Memory]:
    with database.write() as connection:
        yield Memory(database, connection, "m", NOW, 9)


# declared

ASKED = [("work", "string", False), ("address", "string", False), ("part", "select", False)]
TOLD = [("measurer", "user"), ("from", "datetime"), ("to", "datetime"), ("text", "text")]


def test_they_are_declared_with_the_right_types() -> None:
    assert [[(p.code, p.type, p.required) for p in robot.properties] for robot in ALL] == [
        ASKED,
        [("measurer", "user", False), ("date", "datetime", False), *ASKED],
        [],
    ]
    assert [[(p.code, p.type) for p in robot.returns] for robot in ALL] == [
        [("found", "bool"), *TOLD, ("others", "text"), ("reason", "text")],
        [("booked", "bool"), *TOLD, ("reason", "text")],
        [("confirmed", "bool"), ("measurer", "user"), ("from", "datetime"), ("reason", "string")],
    ]


@pytest.mark.parametrize("robot", ALL, ids=lambda robot: robot.code)
def test_they_are_declared_in_two_languages(robot: Robot) -> None:
    assert robot in ROBOTS
    texts = [robot.name, robot.description, *(part.name for part in (*robot.properties, *robot.returns))]
    texts += [text for part in robot.properties for text in (part.options or {}).values()]
    for text in texts:
        assert {*text} == {"ru", "en"}
        assert text["ru"] != text["en"]


# find


def order(changes: dict[str, Any] | None = None, **values: Any) -> Order:
    by = rules(**(changes or {}))
    known = {"item": lead_item(title="Кухня"), "kind": by.work[0], "address": LIVING, "wish": Wish()}
    return Order(rules=by, **{**known, **values})


def search(*rows: VisitRow, changes: dict[str, Any] | None = None, busy: Any = None, **values: Any) -> Search:
    asked = order(changes, **values)
    return Search(asked, replace(diary(*rows, **(busy or {})), rules=asked.rules))


def always(start: datetime = NOW - DAY, days: int = 40) -> list[Interval]:
    return [Interval(start, start + days * DAY)]


def test_k22_the_best_time_is_proposed_with_its_sum_and_the_others() -> None:
    found = find_measurement_slots.decide(search())
    assert find_measurement_slots.answer(found).values == {
        "found": "Y",
        "measurer": f"user_{OLEG}",
        "from": "2026-11-23T12:00:00+03:00",
        "to": "2026-11-23T15:00:00+03:00",
        "text": "Пн 23.11 12:00-15:00: 3 ч работы; Олег; могут и другие: 1",
        "others": "Пн 23.11 15:00–18:00, Олег\nПн 23.11 12:30–15:30, Олег\nПн 23.11 13:00–16:00, Олег\n"
        "Пн 23.11 13:30–16:30, Олег",
        "reason": "",
    }
    assert find_measurement_slots.answer(found).log == "Лучшее время: Пн 23.11 12:00–15:00, Олег"
    assert found.proposal == replace(want(start=NOON, address="Лесная, 5"), latitude=55.75, longitude=37.6)
    assert list(find_measurement_slots.ROBOT.act(found)) == []


def test_k22_the_fairest_of_those_who_are_free_is_proposed() -> None:
    facts = search()
    facts = replace(facts, diary=replace(facts.diary, loads={OLEG: 3, PAUL: 2}))
    assert find_measurement_slots.decide(facts).slots[0].measurer_id == PAUL


def test_visits_and_busy_times_are_kept_clear_of_and_the_items_own_visit_is_not() -> None:
    other = row(id=8, entity="lead:43", starts_at=NOON)
    busy = {"paul": [Interval(NOON, NOON + HOUR)]}
    first = find_measurement_slots.decide(search(other, busy=busy)).slots[0]
    assert (first.measurer_id, first.start) == (OLEG, NOON + 3 * HOUR)
    own = row(starts_at=NOON)
    assert find_measurement_slots.decide(search(own, busy=busy)).slots[0].start == NOON


@pytest.mark.parametrize(
    ("wish", "hours"),
    [("morning", range(12)), ("afternoon", range(12, 17)), ("evening", range(17, 24))],
)
def test_when_it_suits_the_client_comes_first(wish: Any, hours: range) -> None:
    found = find_measurement_slots.decide(search(wish=Wish(parts=frozenset({wish}))))
    fits = [slot.start.hour in hours for slot in found.slots]
    assert fits == [wish != "evening"] * 5  # nobody begins three hours' work at 17
    assert ("не как просил клиент" in found.slots[0].text) == (wish == "evening")


@pytest.mark.parametrize(
    ("busy", "why"),
    [
        ({"oleg": always(), "paul": always()}, "Олег: всё время занято; Павел: всё время занято"),
        (
            {"oleg": always(), "paul": [*always(), Interval(NOW, NOW + DAY, absent=True)]},
            "Олег: всё время занято; Павел: всё время занято",
        ),
    ],
)
def test_when_everybody_is_busy_for_the_horizon_it_says_why(busy: Any, why: str) -> None:
    found = find_measurement_slots.decide(search(busy=busy))
    assert (found.proposal, found.why) == (None, why)
    reply = find_measurement_slots.answer(found)
    empty = dict.fromkeys(("measurer", "from", "to", "text", "others"), "")
    assert reply.values == {"found": "N", **empty, "reason": why}
    assert reply.log == f"Свободного времени нет: {why}"


def test_without_measurers_it_says_so() -> None:
    facts = search()
    nobody = replace(facts.diary, crew=replace(facts.diary.crew, people=()))
    assert find_measurement_slots.decide(replace(facts, diary=nobody)).why == "замерщиков нет"


@pytest.mark.parametrize(
    ("address", "measurer"),
    [("Мытищи, Лесная, 5", PAUL), ("г. МЫТИЩИ", PAUL), ("Подольск", OLEG), ("Лесная, 5", OLEG), ("", OLEG)],
)
def test_k22_zones_are_known_by_words_of_the_address(address: str, measurer: int) -> None:
    changes = {
        "zones": (
            Zone(key="north", name="Север", words=("Мытищи",)),
            Zone(key="south", name="Юг", words=("Подольск",)),
        ),
        "measurers": (MeasurerRule(user=OLEG, zones=("south",)), MeasurerRule(user=PAUL, zones=("north",))),
    }
    found = find_measurement_slots.decide(search(changes=changes, address=Address(address)))
    assert found.slots[0].measurer_id == measurer


@pytest.mark.parametrize(("minutes", "until"), [(120, 14), (180, 15), (240, 16)])
def test_k25_each_kind_of_work_lasts_as_the_playbook_says(minutes: int, until: int) -> None:
    more = works(minutes)
    found = find_measurement_slots.decide(search(changes=more, kind=more["work"][-1]))
    assert (found.slots[0].start.hour, found.slots[0].end.hour) == (12, until)
    assert found.proposal is not None
    assert (found.proposal.work, found.proposal.ends_at) == (f"work_{minutes}", NOON + timedelta(minutes=minutes))


def test_what_is_found_takes_nobodys_time(database: Database) -> None:
    with memory(database) as one:
        find_measurement_slots.remember(one, find_measurement_slots.decide(search()))
        assert [(row.state, row.starts_at) for row in visits.visits_of(one, "lead:42")] == [("proposed", NOON)]
        assert visits.occupying(one, since=NOW) == []
        find_measurement_slots.remember(one, Found(why="нет"))
        assert visits.take(one, want("lead:43", NOON)).state == "booked"


# book


def booking(
    *rows: VisitRow, changes: dict[str, Any] | None = None, busy: Any = None, kind: Any = None, **values: Any
) -> Booking:
    facts = search(*rows, changes=changes, busy=busy, **({"kind": kind} if kind else {}))
    return Booking(facts.order, facts.diary, **values)


PROPOSED = row("proposed", id=9, starts_at=START)


@pytest.mark.parametrize("state", ["proposed", "held"])
def test_k22_it_books_what_was_proposed_or_held(state: State) -> None:
    decision = book_measurement.decide(booking(proposed=replace(PROPOSED, state=state)))
    assert decision == Booked(
        replace(want(address="Лесная, 5"), latitude=55.75, longitude=37.6),
        START,
        START + 3 * HOUR,
        name="Олег",
        when="Чт 26.11 10:00–13:00",
        text="Чт 26.11 10:00-13:00: 3 ч работы; Олег",
    )
    reply = book_measurement.answer(decision)
    times = [datetime.fromisoformat(reply.values[name]) for name in ("from", "to")]
    assert times == [START, START + 3 * HOUR]
    assert {name: value for name, value in reply.values.items() if name not in ("from", "to")} == {
        "booked": "Y",
        "measurer": f"user_{OLEG}",
        "text": "Чт 26.11 10:00-13:00: 3 ч работы; Олег",
        "reason": "",
    }
    assert reply.log == "Замер записан: Чт 26.11 10:00–13:00, Олег"
    assert list(book_measurement.ROBOT.act(decision)) == []


def test_without_a_proposal_it_books_the_best_time() -> None:
    taken = book_measurement.decide(booking()).taken
    assert taken is not None
    assert (taken.measurer_id, taken.starts_at) == (OLEG, NOON)


def test_a_proposed_time_that_was_taken_meanwhile_becomes_the_next_best_with_a_word() -> None:
    other = row(id=8, entity="lead:43", starts_at=START + HOUR)
    decision = book_measurement.decide(booking(other, proposed=PROPOSED))
    assert decision.taken is not None
    assert (decision.taken.measurer_id, decision.taken.starts_at) == (OLEG, NOON)
    word = "предложенное время (Чт 26.11 10:00–13:00) уже занято, записано следующее лучшее"
    assert decision.word == word
    reply = book_measurement.answer(decision)
    assert (reply.values["booked"], reply.values["reason"]) == ("Y", word)
    assert reply.log == f"Замер записан: Пн 23.11 12:00–15:00, Олег ({word})"


def test_a_proposal_of_another_measurer_than_the_named_one_is_left() -> None:
    taken = book_measurement.decide(booking(proposed=PROPOSED, measurer_id=PAUL)).taken
    assert taken is not None
    assert (taken.measurer_id, taken.starts_at) == (PAUL, NOON)


@pytest.mark.parametrize(
    ("values", "busy", "measurer", "start"),
    [
        ({"start": START}, {}, OLEG, START),
        ({"start": START}, {"oleg": always()}, PAUL, START),
        ({"start": START + timedelta(minutes=4, seconds=59)}, {}, OLEG, START),
        ({"measurer_id": PAUL}, {}, PAUL, NOON),
        ({"measurer_id": PAUL}, {"paul": always(days=2)}, PAUL, NOW + DAY),
        ({"measurer_id": PAUL, "start": START}, {}, PAUL, START),
        ({"start": START, "proposed": replace(PROPOSED, starts_at=START + DAY)}, {}, OLEG, START),
    ],
    ids=["a date", "whoever is free then", "at five minutes", "a person", "when he can", "both", "not the proposed"],
)
def test_k23_the_date_the_measurer_or_both_are_named(
    values: dict[str, Any], busy: Any, measurer: int, start: datetime
) -> None:
    decision = book_measurement.decide(booking(busy=busy, **values))
    assert decision.taken is not None
    assert (decision.taken.measurer_id, decision.taken.starts_at, decision.word) == (measurer, start, "")


@pytest.mark.parametrize(
    ("values", "busy", "why"),
    [
        ({"start": START}, {"oleg": [Interval(START, START + HOUR)], "paul": [Interval(START, START + HOUR)]}, "занят"),
        ({"start": START, "measurer_id": OLEG}, {"oleg": [Interval(START, START + HOUR)]}, "занят"),
        ({"start": START + 10 * HOUR}, {}, "рабочее время 09:00-18:00"),
        ({"start": START + 7 * HOUR}, {}, "не успеть до конца"),
        ({"start": START + 2 * DAY}, {}, "выходной"),
        ({"start": NOW - DAY}, {}, "раньше"),
        ({"start": NOW + HOUR}, {}, "раньше"),
        ({"start": NOW + 365 * DAY}, {}, "расписание известно"),
    ],
    ids=["busy", "he is busy", "night", "over the day's end", "weekend", "past", "too soon", "beyond the horizon"],
)
def test_a_named_date_that_cannot_be_is_answered_no_with_the_three_nearest(
    values: dict[str, Any], busy: Any, why: str
) -> None:
    decision = book_measurement.decide(booking(busy=busy, **values))
    assert decision.taken is None
    assert why in decision.why
    assert len(decision.near) == 3
    if "measurer_id" in values:
        assert all(one.endswith(", Олег") for one in decision.near)
    reply = book_measurement.answer(decision)
    empty = dict.fromkeys(("measurer", "from", "to", "text"), "")
    reason = f"{decision.why}. Ближайшее свободное: {'; '.join(decision.near)}"
    assert reply.values == {"booked": "N", **empty, "reason": reason}
    assert reply.log == f"Не записан: {reason}"


@pytest.mark.parametrize(
    ("values", "busy"),
    [
        ({}, {"oleg": always(), "paul": always()}),
        ({"measurer_id": PAUL}, {"paul": always()}),
        ({"measurer_id": 99}, {}),
        ({"proposed": PROPOSED}, {"oleg": always(), "paul": always()}),
    ],
)
def test_when_there_is_no_time_at_all_it_answers_no(values: dict[str, Any], busy: Any) -> None:
    decision = book_measurement.decide(booking(busy=busy, **values))
    assert (decision.taken, decision.why) == (None, "свободного времени нет")
    reply = book_measurement.answer(decision)
    assert (reply.values["booked"], reply.values["reason"]) == ("N", "свободного времени нет")


def test_somebody_who_is_no_measurer_cannot_be_booked() -> None:
    decision = book_measurement.decide(booking(measurer_id=99, start=START))
    assert (decision.taken, decision.why, decision.near) == (None, "такого замерщика нет", ())


@pytest.mark.parametrize(("minutes", "until"), [(120, 12), (240, 14)])
def test_k25_a_proposed_time_is_booked_for_as_long_as_the_work_takes(minutes: int, until: int) -> None:
    more = works(minutes)
    decision = book_measurement.decide(booking(changes=more, kind=more["work"][-1], proposed=PROPOSED))
    assert decision.taken is not None
    assert decision.taken.ends_at == START.replace(hour=until)


def test_what_is_booked_is_taken_and_looked_at(database: Database) -> None:
    decision = book_measurement.decide(booking())
    with memory(database) as one:
        book_measurement.remember(one, decision)
        assert [(row.state, row.source) for row in visits.visits_of(one, "lead:42")] == [("booked", "robot")]
        assert len(one.new_deliveries) == 1
        book_measurement.remember(one, Booked(why="нет"))
        assert len(visits.visits_of(one, "lead:42")) == 1


def test_a_time_that_somebody_was_faster_to_take_is_decided_anew_in_a_moment(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want("lead:43", NOON))

    def remember() -> None:
        with memory(database) as one:
            book_measurement.remember(one, book_measurement.decide(booking()))

    with pytest.raises(Temporary, match="только что заняли") as caught:
        remember()
    assert caught.value.retry_at is not None
    assert caught.value.retry_at - datetime.now(UTC) <= timedelta(seconds=1)


# confirm


def agreed(*rows: VisitRow) -> Confirmed:
    crew = diary().crew
    return confirm_measurement.decide(Standing("lead:42", crew, NOW, rows[0] if rows else None))


@pytest.mark.parametrize("state", ["booked", "confirming", "confirmed"])
def test_k29_an_agreed_visit_is_confirmed_and_twice_is_yes_again(state: State) -> None:
    reply = confirm_measurement.answer(agreed(row(state)))
    assert reply.values == {
        "confirmed": "Y",
        "measurer": f"user_{OLEG}",
        "from": row().starts_at.isoformat(),
        "reason": "",
    }
    assert reply.log == "Замер подтверждён: Чт 26.11 10:00–13:00, Олег"


@pytest.mark.parametrize(("state", "confirmed"), [("booked", "N"), ("confirming", "N"), ("confirmed", "Y")])
def test_what_has_begun_cannot_be_confirmed_any_more(state: State, confirmed: str) -> None:
    reply = confirm_measurement.answer(agreed(row(state, starts_at=NOW)))
    assert reply.values["confirmed"] == confirmed
    assert (reply.values["reason"] == "") == (confirmed == "Y")


def test_without_a_visit_there_is_nothing_to_confirm() -> None:
    reply = confirm_measurement.answer(agreed())
    assert (reply.values["confirmed"], reply.values["reason"]) == ("N", "на замер не записаны / no visit is booked")


@pytest.mark.parametrize(
    ("state", "turned"), [("booked", True), ("confirming", True), ("confirmed", False), ("held", False)]
)
def test_k29_what_is_confirmed_is_kept_once(database: Database, state: State, turned: bool) -> None:
    with memory(database) as one:
        visits.take(one, want())
        visits.keep(one, 1, {"state": state})
        before = len(one.new_deliveries)
        found = confirm_measurement.recall(one, Standing("lead:42", diary().crew, NOW))
        assert (found.visit is None) == (state == "held")
        confirm_measurement.remember(one, confirm_measurement.decide(found))
        assert len(one.new_deliveries) - before == turned
        assert visits.visits_of(one, "lead:42")[0].state == ("held" if state == "held" else "confirmed")


@pytest.mark.parametrize(
    ("robot", "decision"),
    [
        (find_measurement_slots.ROBOT, find_measurement_slots.decide(search())),
        (book_measurement.ROBOT, book_measurement.decide(booking(start=START))),
        (book_measurement.ROBOT, book_measurement.decide(booking(start=NOW))),
        (confirm_measurement.ROBOT, agreed(row("confirmed"))),
    ],
    ids=["found", "booked", "refused", "confirmed"],
)
def test_a_decision_survives_the_database(robot: Robot, decision: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(robot.decision)
    assert adapter.validate_json(adapter.dump_json(decision)) == decision


# as the portal runs them


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def bench(database: Database, shop: Shop) -> VisitBench:
    return VisitBench(database, shop, around_the_clock(**works(120, 240)))


def states(bench: VisitBench, lead: int) -> list[tuple[State, int]]:
    return [(one.state, one.measurer_id) for one in reversed(bench.visits(f"lead:{lead}"))]


def test_k22_k23_found_booked_and_confirmed_one_after_another(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    found = bench.order("find_measurement_slots", lead)
    assert found["found"] == "Y"
    assert (states(bench, lead), shop.entries) == ([("proposed", OLEG)], {})
    booked = bench.order("book_measurement", lead)
    assert (booked["booked"], booked["measurer"], booked["reason"]) == ("Y", f"user_{OLEG}", "")
    times = [[datetime.fromisoformat(one[name]) for name in ("from", "to")] for one in (found, booked)]
    assert times[0] == times[1]
    assert len(shop.entries) == 1
    assert datetime.fromisoformat(shop.items[1, lead][DATE]) == times[0][0]
    for _ in range(2):
        confirmed = bench.order("confirm_measurement", lead)
        assert (confirmed["confirmed"], confirmed["measurer"]) == ("Y", f"user_{OLEG}")
        assert datetime.fromisoformat(confirmed["from"]) == times[0][0]
    assert states(bench, lead) == [("confirmed", OLEG)]
    assert len([one for one in shop.tasks if one["responsibleId"] == OLEG]) == 1
    assert len(bench.phones.sent) == 1


def test_a_proposal_that_somebody_else_took_is_answered_with_a_word(bench: VisitBench, shop: Shop) -> None:
    first, second = shop.lead(), shop.lead()
    found = [bench.order("find_measurement_slots", lead)["from"] for lead in (first, second)]
    assert found[0] == found[1]
    assert bench.order("book_measurement", first)["reason"] == ""
    word = bench.order("book_measurement", second)["reason"]
    assert word.startswith("предложенное время (")
    assert {one[-1][0] for one in (states(bench, first), states(bench, second))} <= {"confirming", "confirmed"}


def test_a_named_date_that_is_busy_is_answered_no_and_nothing_is_taken(bench: VisitBench, shop: Shop) -> None:
    for measurer in (OLEG, PAUL):
        shop.away(measurer, later(3, 9), later(3, 12))
    lead = shop.lead()
    values = bench.order("book_measurement", lead, date=later(3).isoformat())
    assert values["booked"] == "N"
    assert values["reason"].count(";") == 2
    assert states(bench, lead) == []


@pytest.mark.parametrize(
    "date",
    [
        later(3).isoformat(),
        f"{later(3):%d.%m.%Y %H:%M:%S}",
        f"{later(3):%d.%m.%Y %H:%M:%S} [0]",
        [later(3).isoformat()],
    ],
)
def test_k23_a_date_comes_in_any_of_the_portals_ways(bench: VisitBench, shop: Shop, date: Any) -> None:
    lead = shop.lead()
    values = bench.order("book_measurement", lead, date=date, measurer=[f"user_{PAUL}"])
    assert (values["booked"], values["measurer"]) == ("Y", f"user_{PAUL}")
    assert datetime.fromisoformat(values["from"]) == later(3)


def test_k28_booking_again_at_another_date_moves_the_visit(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    for days in (3, 4):
        bench.order("book_measurement", lead, date=later(days).isoformat(), measurer=str(OLEG))
    assert states(bench, lead) == [("moved", OLEG), ("confirming", OLEG)]
    assert len(shop.entries) == 1


@pytest.mark.parametrize(("work", "hours"), [("", 3), ("work_120", 2), ("WORK_240", 4), ("Замер кухни", 3)])
def test_k25_the_kind_of_work_is_named_by_its_key_or_name(bench: VisitBench, shop: Shop, work: str, hours: int) -> None:
    lead = shop.lead()
    values = bench.order("book_measurement", lead, date=later(3).isoformat(), work=work)
    start, end = (datetime.fromisoformat(values[name]) for name in ("from", "to"))
    assert end - start == hours * HOUR
    (visit,) = bench.visits(f"lead:{lead}")
    assert visit.ends_at - visit.starts_at == hours * HOUR


def test_k25_a_proposal_is_booked_as_another_kind_of_work_for_its_own_time(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    bench.order("find_measurement_slots", lead)
    values = bench.order("book_measurement", lead, work="work_120")
    (visit,) = bench.visits(f"lead:{lead}")
    assert (visit.work, visit.ends_at - visit.starts_at) == ("work_120", 2 * HOUR)
    assert datetime.fromisoformat(values["to"]) == visit.ends_at


def test_k25_an_agreed_time_is_booked_again_as_another_kind_of_work(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    for work, hours in (("", 3), ("work_120", 2)):
        date = later(3).isoformat()
        values = bench.order("book_measurement", lead, date=date, measurer=str(OLEG), work=work)
        visit = bench.visits(f"lead:{lead}")[0]
        assert datetime.fromisoformat(values["to"]) == visit.ends_at == later(3) + hours * HOUR


@pytest.mark.parametrize("code", ["find_measurement_slots", "book_measurement"])
def test_an_unknown_kind_of_work_is_named_in_the_log(bench: VisitBench, shop: Shop, code: str) -> None:
    assert bench.order(code, shop.lead(), work="баня") == {}
    assert "нет вида работ «баня»" in shop.answers[-1]["LOG_MESSAGE"]


def test_what_is_no_date_is_named_in_the_log(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    assert bench.order("book_measurement", lead, date="в четверг") == {}
    assert "не время / not a time: в четверг" in shop.answers[-1]["LOG_MESSAGE"]
    assert states(bench, lead) == []


def test_the_address_of_the_robot_goes_before_the_cards(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    bench.order("book_measurement", lead, date=later(3).isoformat(), address="Садовая, 1")
    assert bench.visits(f"lead:{lead}")[0].address == "Садовая, 1"
    bench.look(f"lead:{lead}")  # the card says another one still
    assert bench.visits(f"lead:{lead}")[0].address == "Садовая, 1"
    assert bench.look(f"lead:{lead}") == 1


def test_a_portal_without_the_applied_process_is_read_by_the_playbook(database: Database, shop: Shop) -> None:
    bench = VisitBench(database, shop, around_the_clock(), applied=False)
    lead = shop.lead()
    assert bench.order("find_measurement_slots", lead)["found"] == "Y"
    assert bench.order("book_measurement", lead)["booked"] == "Y"
    assert bench.order("confirm_measurement", lead)["confirmed"] == "Y"
    (visit,) = bench.visits(f"lead:{lead}")
    assert (visit.address, visit.state) == ("Лесная, 5", "confirmed")
    assert PERSON not in shop.items[1, lead]
    assert len(shop.entries) == 1


@pytest.mark.parametrize("code", [robot.code for robot in ALL])
def test_a_playbook_without_measurements_and_an_item_that_is_gone_are_answered(
    database: Database, shop: Shop, code: str
) -> None:
    bench = VisitBench(database, shop, around_the_clock().model_copy(update={"measurement": None}))
    assert bench.order(code, shop.lead()) == {}
    assert "в сценарии нет замеров" in shop.answers[-1]["LOG_MESSAGE"]
    bench.playbook = around_the_clock()
    if code != "confirm_measurement":
        assert bench.order(code, 999) == {}
        assert "элемента уже нет" in shop.answers[-1]["LOG_MESSAGE"]
    else:
        assert bench.order(code, 999)["confirmed"] == "N"


def test_a_calendar_that_cannot_be_read_books_nobody(bench: VisitBench, shop: Shop) -> None:
    shop.errors["calendar.accessibility.get"] = AccessDenied("нет прав", code="ACCESS_DENIED")
    lead = shop.lead()
    assert bench.order("book_measurement", lead) == {}
    assert "нет прав" in shop.answers[-1]["LOG_MESSAGE"]
    assert states(bench, lead) == []


def test_deals_are_not_measured_where_the_playbook_measures_leads(bench: VisitBench, shop: Shop) -> None:
    deal = shop.make(2, **{ADDRESS: "Лесная, 5"})
    bench.robot("find_measurement_slots", f"deal:{deal}", document_id=["crm", "CCrmDocumentDeal", f"DEAL_{deal}"])
    bench.run()
    assert "в сценарии нет замеров" in shop.answers[-1]["LOG_MESSAGE"]


def test_k25_the_work_of_the_built_in_playbook_takes_three_hours() -> None:
    kitchen = load_playbook().measurement
    assert kitchen is not None
    assert [(one.key, one.minutes) for one in kitchen.work] == [("kitchen", 180)]
