"""Who orders a look at a visit: the watch, a calendar entry, a task, a card; and the look itself on a portal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter
from scripted_portal import ANNA, HEAD, MEMBER, shape
from scripted_visits import (
    ADDRESS,
    CHIEF,
    CONFIRM_AT,
    CREW,
    DATE,
    DAY,
    HOUR,
    HOURS,
    NOW,
    OFFICE,
    OLEG,
    ON,
    PAUL,
    PERSON,
    REF,
    START,
    Shop,
    VisitBench,
    around_the_clock,
    diary,
    later,
    raw,
    row,
    rules,
    standing,
    want,
)

from b24app.engine.declare import EventCall, Nothing
from b24app.entities import Interval, User
from b24app.errors import AccessDenied, Permanent
from b24app.rules.confirmation import AGREED, Happening, State
from b24app.rules.intake import Notice
from b24app.store import process_memory, schema, visits
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.visits import VisitRow
from b24app.visit_words import asks_for_a_look
from handlers import HANDLERS, TIMERS, calendar_changed, visit_watch
from handlers.calendar_changed import EntryChanged
from handlers.visit_watch import Alarm, Watched


@contextmanager
def memory(database: Database, now: datetime = NOW) -> Iterator[Memory]:
    with database.write() as connection:
        yield Memory(database, connection, "m", now, delivery_id=9)


def looked_at(one: Memory) -> list[str]:
    table = schema.deliveries
    found = one.connection.execute(
        sa.select(table.c.entity, table.c.priority).where(table.c.code == visits.VISIT).order_by(table.c.id)
    )
    rows = [(row.entity, row.priority) for row in found]
    assert {priority for _, priority in rows} <= {visits.URGENT_LOOK}
    return [entity for entity, _ in rows]


# the watch: what is looked at


def watched(*rows: VisitRow, busy: Sequence[Interval] | None = None, **changes: Any) -> Watched:
    """Oleg's calendar holds our entry, and what else is said."""
    entry = Interval(START, START + 3 * HOUR, id=501)
    known = diary(*rows, oleg=[entry] if busy is None else busy, paul=[])
    return replace(Watched(OFFICE, known, rows=rows), **changes)


SURE = {"state": "confirmed", "shown": "confirmed"}
HOLIDAY = replace(OFFICE, team=replace(OFFICE.team, hours=replace(HOURS, days_off=frozenset({CONFIRM_AT.date()}))))


@pytest.mark.parametrize(
    ("values", "changes", "looked"),
    [
        ({}, {}, False),
        ({}, {"busy": []}, True),
        ({}, {"busy": [Interval(START + HOUR, START + 4 * HOUR, id=501)]}, True),
        ({}, {"busy": [Interval(START, START + 4 * HOUR, id=501)]}, True),
        ({}, {"busy": [Interval(START, START + 3 * HOUR, id=777)]}, True),
        ({"calendar_id": None}, {"busy": []}, False),
        ({"measurer_id": 99}, {"busy": []}, False),
        ({}, {"office": HOLIDAY}, True),
        (SURE, {"office": HOLIDAY}, False),
        ({"shown": "booked"}, {}, True),
        ({"confirm_at": None}, {}, True),
        (SURE, {"office": replace(OFFICE, now=START + 13 * HOUR), "busy": []}, False),
        (SURE, {"office": replace(OFFICE, now=START + 11 * HOUR), "busy": []}, True),
        ({}, {"office": replace(OFFICE, now=CONFIRM_AT)}, True),
        ({"told": 1}, {"office": replace(OFFICE, now=CONFIRM_AT)}, False),
        ({}, {"closed": frozenset({77}), "tasks": {77: "lead:42"}}, True),
        ({}, {"closed": frozenset({78}), "tasks": {77: "lead:42"}}, False),
        ({}, {"tasks": {77: "lead:42"}}, False),
    ],
    ids=[
        "as we left it", "the entry is gone", "the entry was moved", "its end was dragged", "another entry",
        "no number yet", "a measurer who was not read", "a day became a holiday", "confirmed already",
        "nobody was told yet", "no plan yet", "read too late to see it", "today", "the timer of confirming is gone",
        "confirming was told", "a task was closed",
        "somebody else's task was closed", "the task is open",
    ],
)  # fmt: skip
def test_what_no_event_told_is_looked_at(
    database: Database, values: dict[str, Any], changes: dict[str, Any], looked: bool
) -> None:
    with memory(database) as one:
        visits.take(one, want())
        visits.keep(one, 1, {**vars(standing()), "id": 1, **values})
        before = looked_at(one)
        facts = visit_watch.recall(one, watched(**changes))
        assert [one.id for one in facts.rows] == [1]
        assert looked_at(one)[len(before) :] == (["lead:42"] if looked else [])


@pytest.mark.parametrize(("shown", "looked"), [("confirming", ["lead:42"]), ("cancelled", [])])
def test_a_cancelled_visit_is_looked_at_until_it_was_taken_away(
    database: Database, shown: str, looked: list[str]
) -> None:
    with memory(database) as one:
        visits.take(one, want())
        visits.keep(one, 1, {**vars(standing()), "id": 1, "state": "cancelled", "shown": shown})
        before = looked_at(one)
        facts = visit_watch.recall(one, watched())
        assert (facts.rows, looked_at(one)[len(before) :]) == ((), looked)
        assert isinstance(visit_watch.decide(facts), Nothing)
        timers = one.connection.execute(sa.select(schema.timers.c.key)).scalars().all()
        assert timers == [visits.WATCH] * len(looked)


def test_every_visit_is_looked_at_once_and_the_watch_goes_on(database: Database) -> None:
    with memory(database) as one:
        for number in (44, 42, 43):
            visits.take(one, want(f"lead:{number}", START + (number - 42) * 3 * HOUR))
        before = looked_at(one)
        visit_watch.recall(one, watched(closed=frozenset({7, 8, 9}), tasks={7: "lead:42", 8: "lead:42", 9: "lead:50"}))
        assert looked_at(one)[len(before) :] == ["lead:42", "lead:43", "lead:44", "lead:50"]
        (timer,) = one.connection.execute(sa.select(schema.timers)).mappings()
        assert (timer["key"], timer["code"], timer["due_at"]) == (
            visits.WATCH,
            visits.WATCH,
            NOW + timedelta(minutes=15),
        )


def test_the_watch_ends_with_the_last_visit(database: Database) -> None:
    with memory(database) as one:
        visit_watch.recall(one, watched())
        assert one.connection.execute(sa.select(schema.timers)).all() == []


# the watch: who is told


def absent(start: datetime = START - HOUR, end: datetime = START + 5 * HOUR) -> list[Interval]:
    return [Interval(START, START + 3 * HOUR, id=501), Interval(start, end, absent=True)]


MEETING = [Interval(START, START + 3 * HOUR, id=501), Interval(START + 2 * HOUR, START + 4 * HOUR, id=9)]
"""Our own entry, and something that was put over it."""


@pytest.mark.parametrize(
    ("visit", "busy", "problem", "text"),
    [
        (standing(), absent(), "absent", "Олег отсутствует"),
        (standing("confirmed"), absent(), "absent", "Олег отсутствует"),
        (standing("booked"), absent(), "absent", "Олег отсутствует"),
        (standing(problem="gone"), absent(), "absent", "Олег отсутствует"),
        (standing(), MEETING, "busy", "Олег занят другим"),
        (standing(), [*MEETING, Interval(START, START + HOUR, absent=True)], "absent", "Олег отсутствует"),
        (standing(measurer_id=99), None, "gone", "сотрудник 99 больше не замерщик"),
    ],
)
def test_a_measurer_who_is_away_or_was_dismissed_is_told_to_whoever_answers_for_them(
    visit: VisitRow, busy: Any, problem: str, text: str
) -> None:
    decision = visit_watch.decide(watched(visit, busy=busy))
    said = (
        f"Замерам нужен другой замерщик:\n— Чт 26.11 10:00–13:00, {CARD}: {text}\nКого и когда предложить, видно на "
        "«Графике замеров»: перенесите по одному или все сразу."
    )
    assert decision == Alarm((Notice(CHIEF, said, "visit:problems:7:1"),), ((7, problem),))
    assert isinstance(decision, Alarm)
    notice = {"USER_ID": CHIEF, "MESSAGE": said, "TAG": "b24app|visit:problems:7:1"}
    assert shape(visit_watch.act(decision)) == [("notice_0", "im.notify.personal.add", notice, "harmless", ())]


CARD = "[URL=https://acme.bitrix24.ru/crm/lead/details/42/]Кухня[/URL]"
ALL_RIGHT = Nothing("с замерами впереди всё в порядке / the visits to come are all right")


@pytest.mark.parametrize(
    ("visit", "busy"),
    [
        (standing(), None),
        (standing(problem="absent"), absent()),
        (standing(measurer_id=99, problem="gone"), None),
        (standing(), absent(START - 2 * HOUR, START)),
        (standing(), absent(START + 3 * HOUR, START + 5 * HOUR)),
        (standing(starts_at=NOW - 4 * HOUR), absent(NOW - 5 * HOUR, NOW)),
        (standing(), [*MEETING[:1], Interval(START + 3 * HOUR, START + 4 * HOUR, id=9)]),
        (standing(problem="busy"), MEETING),
        (standing(calendar_id=None), MEETING),
    ],
    ids=[
        "there",
        "told before",
        "dismissed, told before",
        "away before",
        "away after",
        "over",
        "a meeting after it",
        "a meeting that was told",
        "whose entry has no number yet",
    ],
)
def test_nothing_is_told_twice_or_without_need(visit: VisitRow, busy: Any) -> None:
    assert visit_watch.decide(watched(visit, busy=busy)) == ALL_RIGHT


@pytest.mark.parametrize("problem", ["absent", "busy", "gone"])
def test_the_problem_is_over_when_he_is_back(problem: str) -> None:
    decision = visit_watch.decide(watched(standing(problem=problem)))
    assert decision == Alarm((), ((7, ""),))
    assert isinstance(decision, Alarm)
    assert visit_watch.act(decision) == []


def test_only_what_is_new_is_told() -> None:
    rows = (standing(), standing(id=8, entity="lead:43", measurer_id=99, problem="gone"))
    decision = visit_watch.decide(watched(*rows, busy=absent()))
    assert isinstance(decision, Alarm)
    assert (decision.problems, len(decision.notices)) == (((7, "absent"),), 1)
    assert "lead/details/43" not in decision.notices[0].text


def test_many_visits_are_one_notice_that_names_the_first_twenty_by_their_time() -> None:
    rows = [
        standing(id=100 - n, entity=f"lead:{n}", starts_at=START + n * DAY, measurer_id=99, title=f"[b]{n}[/b]")
        for n in range(23)
    ]
    decision = visit_watch.decide(watched(*reversed(rows)))
    assert isinstance(decision, Alarm)
    (notice,) = decision.notices
    lines = notice.text.splitlines()
    assert (len(lines), lines[21], notice.tag) == (23, "… и ещё 3", "visit:problems:78:23")
    assert "/0/](b)0(/b)[/URL]: " in lines[1]
    assert "/19/](b)19(/b)[/URL]: " in lines[20]
    assert len(decision.problems) == 23


@pytest.mark.parametrize(
    ("head", "told"), [(User(CHIEF, "Мастер"), CHIEF), (User(CHIEF, "Мастер", active=False), HEAD), (None, HEAD)]
)
def test_measurers_without_a_head_are_the_offices(head: User | None, told: int) -> None:
    facts = watched(standing(measurer_id=99))
    facts = replace(facts, diary=replace(facts.diary, crew=replace(CREW, head=head)))
    decision = visit_watch.decide(facts)
    assert isinstance(decision, Alarm)
    assert [notice.user_id for notice in decision.notices] == [told]


def test_what_was_told_is_kept(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        visits.take(one, want("lead:43", START + 3 * HOUR))
        visit_watch.remember(one, Alarm((), ((1, "absent"), (2, ""))))
        assert [row.problem for row in visits.unsettled(one)] == ["", "absent"]
    adapter: TypeAdapter[Any] = TypeAdapter(visit_watch.TIMER.decision)
    decision = visit_watch.decide(watched(standing(measurer_id=99)))
    assert adapter.validate_json(adapter.dump_json(decision)) == decision
    assert visit_watch.TIMER in TIMERS


# a calendar entry


@pytest.mark.parametrize(
    ("data", "id"),
    [({"id": "501"}, 501), ({"ID": 501}, 501), ({"id": ""}, None), ({}, None), ({"id": "x"}, None), ({"id": []}, None)],
)
def test_the_entry_of_an_event_is_its_number(database: Database, data: dict[str, Any], id: int | None) -> None:
    call = EventCall("m", "ONCALENDARENTRYUPDATE", data)
    facts = calendar_changed.read(None, call)  # type: ignore[arg-type]
    assert facts == (EntryChanged(id) if id else Nothing("в событии нет id / no id in the event"))
    assert calendar_changed.entity(call) == (f"calendar:{id}" if id else None)


@pytest.mark.parametrize(
    ("ends", "number", "looked"),
    [
        ([], 501, True),
        (["ask"], 501, True),
        (["agree"], 501, True),
        ([], 502, False),
        (["cancel"], 501, False),
        (["agree", "measure"], 501, False),
    ],
)
def test_k26_only_the_entry_of_a_standing_visit_orders_a_look(
    database: Database, ends: list[Happening], number: int, looked: bool
) -> None:
    with memory(database) as one:
        visits.take(one, want())
        visits.keep(one, 1, {"calendar_id": 501, "entry_delivery": 5})
        for end in ends:
            visit = visits.visit(one, 1)
            assert visit is not None
            visits.turn(one, visit, end)
        before = looked_at(one)
        facts = calendar_changed.recall(one, EntryChanged(number))
        assert looked_at(one)[len(before) :] == (["lead:42"] if looked else [])
        assert facts == EntryChanged(number, "lead:42" if looked else "")
        assert isinstance(calendar_changed.decide(facts), Nothing)


def test_both_events_of_entries_are_handled() -> None:
    wanted = {"ONCALENDARENTRYUPDATE", "ONCALENDARENTRYDELETE"}
    assert wanted <= {handler.event for handler in HANDLERS}


# a changed card

SAME = standing()


@pytest.mark.parametrize(
    ("visit", "card", "looked"),
    [
        (None, raw(), False),
        (None, raw(**{DATE: "2026-11-27T10:00:00+03:00"}), True),
        (None, raw(**{PERSON: PAUL}), False),
        (None, raw(stageSemanticId="F"), False),
        (None, None, False),
        (SAME, raw(SAME), False),
        (SAME, raw(SAME, title="Другое"), False),
        (SAME, raw(SAME, **{DATE: "2026-11-27T10:00:00+03:00"}), True),
        (SAME, raw(SAME, **{DATE: (START + timedelta(seconds=30)).isoformat()}), False),
        (SAME, raw(SAME, **{DATE: ""}), True),
        (SAME, raw(SAME, **{PERSON: PAUL}), True),
        (SAME, raw(SAME, **{PERSON: [str(OLEG)]}), False),
        (SAME, raw(SAME, **{ADDRESS: "Садовая, 1"}), True),
        (SAME, raw(SAME, **{ADDRESS: ""}), False),
        (SAME, raw(SAME, stageSemanticId="F"), True),
        (SAME, raw(SAME, stageSemanticId="S"), False),
        (SAME, None, True),
        (standing("cancelled"), raw(), False),
        (standing("cancelled"), raw(SAME), True),
        (standing("cancelled"), None, False),
        (standing("done"), raw(SAME), False),
        (standing("done"), raw(SAME, **{ADDRESS: "Садовая, 1"}), False),
        (standing("nobody_home"), raw(SAME, **{DATE: "2026-11-27T10:00:00+03:00"}), True),
        (row("held", hold_until=NOW + HOUR), raw(), False),
        (row("held", hold_until=NOW + HOUR), raw(stageSemanticId="F"), True),
    ],
)
def test_k28_a_changed_card_concerns_its_visit_where_it_says_something_else_of_it(
    database: Database, visit: VisitRow | None, card: dict[str, Any] | None, looked: bool
) -> None:
    with memory(database) as one:
        if visit is not None:
            visits.take(one, want())
            values = {name: value for name, value in vars(visit).items() if name != "id"}
            visits.keep(one, 1, values)
        assert asks_for_a_look(one, rules(), ON, REF, card) == looked
        assert not asks_for_a_look(one, None, ON, REF, card)


# on a portal


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def bench(database: Database, shop: Shop) -> VisitBench:
    return VisitBench(database, shop, around_the_clock())


def states(bench: VisitBench, lead: int) -> list[tuple[State, int]]:
    return [(one.state, one.measurer_id) for one in reversed(bench.visits(f"lead:{lead}"))]


def booked(bench: VisitBench, shop: Shop, days: int = 3, measurer: int = OLEG, **changes: Any) -> tuple[int, VisitRow]:
    """A lead with a visit that card, calendar and people know."""
    lead = shop.lead()
    visit = bench.take(want(f"lead:{lead}", later(days), measurer, address="Лесная, 5", **changes))
    return lead, visit


def test_k26_k27_a_booked_visit_stands_in_the_calendar_the_card_and_a_task(bench: VisitBench, shop: Shop) -> None:
    lead, visit = booked(bench, shop)
    assert (visit.state, visit.calendar_id) == ("confirming", 501)
    assert (shop.entries[501]["OWNER_ID"], shop.entries[501]["NAME"]) == (str(OLEG), "Замер: Кухня")
    card = shop.items[1, lead]
    assert (card[PERSON], datetime.fromisoformat(card[DATE])) == (OLEG, later(3))
    made = shop.task("Подтвердить замер")
    assert (made["responsibleId"], datetime.fromisoformat(made["startPlan"])) == (ANNA, later(2))
    assert "Замер назначен" in shop.comments[-1]["COMMENT"]
    assert bench.phones.sent == []


def test_a_look_at_what_is_all_right_reads_once_and_writes_nothing(bench: VisitBench, shop: Shop) -> None:
    lead, _ = booked(bench, shop)
    bench.look(f"lead:{lead}")
    requests = len(bench.rest.requests)
    assert bench.look(f"lead:{lead}") == 1
    ((asked),) = bench.rest.requests[requests:]
    assert [call.method for call in asked] == [
        "crm.item.get",
        "crm.item.get",
        "calendar.event.getbyid",
        "tasks.task.get",
    ]


def test_k29_k30_k31_the_closed_task_leads_to_the_measurers_task_and_the_clients_sms(
    bench: VisitBench, shop: Shop
) -> None:
    lead, _ = booked(bench, shop)
    confirm = shop.task("Подтвердить замер")
    confirm["status"] = 5
    bench.event("ONTASKUPDATE", f"task:{confirm['id']}", {"FIELDS_AFTER": {"ID": confirm["id"]}})
    bench.run()
    assert states(bench, lead) == [("confirmed", OLEG)]
    made = shop.task("Замер ")
    assert made["responsibleId"] == OLEG
    items = [one["TITLE"] for one in shop.checklists if one["TASK"] == int(made["id"])]
    assert [items[0], items[1], items[-1]] == ["Замер", "Позвонить клиенту перед выездом", "Никого нет дома"]
    assert [one["USER_ID"] for one in shop.notices] == [OLEG]
    ((phone, text),) = bench.phones.sent
    assert (phone, text.startswith("Замер "), "Приедет Олег" in text) == ("+79123456789", True, True)
    bench.look(f"lead:{lead}")
    assert len(bench.phones.sent) == 1


@pytest.mark.parametrize("how", ["ticked", "result", "neither"])
def test_k32_nobody_at_home_is_the_last_item_of_the_list_or_a_result(bench: VisitBench, shop: Shop, how: str) -> None:
    lead, _ = booked(bench, shop, days=1)
    bench.order("confirm_measurement", lead)
    made = shop.task("Замер ")
    if how == "ticked":
        shop.checklists[-1]["IS_COMPLETE"] = "Y"
    elif how == "result":
        shop.results[int(made["id"])] = ["Приехал, НИКОГО НЕТ ДОМА, звонил"]
    made["status"] = 5
    bench.event("ONTASKUPDATE", f"task:{made['id']}", {"FIELDS_AFTER": {"ID": made["id"]}})
    bench.run()
    assert states(bench, lead) == [("done" if how == "neither" else "nobody_home", OLEG)]
    asked = [one["title"] for one in shop.tasks if one["title"].startswith("Согласовать")]
    assert asked == ([] if how == "neither" else ["Согласовать новую дату замера: Кухня"])


def test_k28_a_date_in_the_card_books_and_another_one_moves_with_everything(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    card = shop.items[1, lead]
    card.update({PERSON: OLEG, DATE: later(3).isoformat()})
    event(bench, lead)
    assert states(bench, lead) == [("confirming", OLEG)]
    assert len(shop.entries) == 1
    card[DATE] = later(4).isoformat()
    event(bench, lead)
    assert states(bench, lead) == [("moved", OLEG), ("confirming", OLEG)]
    assert [one["DATE_FROM_TS_UTC"] for one in shop.entries.values()] == [int(later(4).timestamp())]
    assert [one.get("status", 2) for one in shop.tasks if one["title"].startswith("Подтвердить")] == [5, 2]


def event(bench: VisitBench, lead: int) -> None:
    """The portal tells that the card was changed."""
    bench.event("ONCRMLEADUPDATE", f"lead:{lead}", {"FIELDS": {"ID": str(lead)}})
    bench.run()


@pytest.mark.parametrize("change", ["the measurer was taken out", "three minutes later"])
def test_what_means_the_same_visit_is_settled_by_one_look(bench: VisitBench, shop: Shop, change: str) -> None:
    """Else every look orders another, for ever."""
    lead, _ = booked(bench, shop)
    minutes = (later(3) + timedelta(minutes=3)).isoformat()
    shop.items[1, lead].update({DATE: minutes} if change.startswith("three") else {PERSON: ""})
    event(bench, lead)
    assert states(bench, lead) == [("confirming", OLEG)]
    card = shop.items[1, lead]
    assert (card[PERSON], datetime.fromisoformat(card[DATE])) == (OLEG, later(3))


def test_a_date_that_cannot_be_is_put_back_in_the_card_once(bench: VisitBench, shop: Shop) -> None:
    lead, _ = booked(bench, shop)
    shop.away(OLEG, later(4, 0), later(5, 0))
    shop.items[1, lead].update({PERSON: OLEG, DATE: later(4).isoformat()})
    shop.away(PAUL, later(4, 0), later(5, 0))
    event(bench, lead)
    card = shop.items[1, lead]
    assert datetime.fromisoformat(card[DATE]) == later(3)
    (notice,) = shop.notices
    assert notice["USER_ID"] == ANNA
    assert notice["MESSAGE"].count("\n— ") == 3
    event(bench, lead)
    assert len(shop.notices) == 1


def test_a_card_whose_fields_the_portal_refuses_is_no_wish(bench: VisitBench, shop: Shop) -> None:
    shop.errors["crm.item.update"] = AccessDenied("нет прав", code="ACCESS_DENIED")
    lead, _ = booked(bench, shop)
    assert DATE not in shop.items[1, lead]
    assert bench.look(f"lead:{lead}") == 1
    assert (states(bench, lead), shop.notices) == ([("confirming", OLEG)], [])


@pytest.mark.parametrize(("event", "gone"), [("ONCALENDARENTRYUPDATE", False), ("ONCALENDARENTRYDELETE", True)])
def test_k28_an_entry_changed_by_hand_is_followed_or_put_back(
    bench: VisitBench, shop: Shop, event: str, gone: bool
) -> None:
    lead, _ = booked(bench, shop)
    if gone:
        del shop.entries[501]
    else:
        shop.entries[501].update(
            DATE_FROM_TS_UTC=int(later(4).timestamp()), DATE_TO_TS_UTC=int((later(4) + 3 * HOUR).timestamp())
        )
    bench.event(event, "calendar:501", {"id": "501"})
    bench.run()
    if gone:
        assert states(bench, lead) == [("confirming", OLEG)]
        assert [one["OWNER_ID"] for one in shop.entries.values()] == [str(OLEG)]
        assert shop.task("Запись о замере")["responsibleId"] == CHIEF
    else:
        assert states(bench, lead) == [("moved", OLEG), ("confirming", OLEG)]
        assert datetime.fromisoformat(shop.items[1, lead][DATE]) == later(4)
    assert len(shop.entries) == 1
    assert bench.look(f"lead:{lead}") == 1


def test_a_deleted_task_is_not_made_again_and_the_manager_knows_how_to_go_on(bench: VisitBench, shop: Shop) -> None:
    lead, _ = booked(bench, shop)
    made = shop.task("Подтвердить")
    shop.tasks.remove(made)
    bench.event("ONTASKDELETE", f"task:{made['id']}", {"FIELDS_BEFORE": {"ID": made["id"]}})
    bench.run()
    assert states(bench, lead) == [("confirming", OLEG)]
    assert [(one["USER_ID"], one["MESSAGE"][:23]) for one in shop.notices] == [(ANNA, "Задачу о замере удалили")]
    assert bench.look(f"lead:{lead}") == 1
    assert (len(shop.notices), shop.tasks) == (1, [])


def test_entries_of_other_people_cost_no_request(bench: VisitBench, shop: Shop) -> None:
    booked(bench, shop)
    requests = len(bench.rest.requests)
    bench.event("ONCALENDARENTRYUPDATE", "calendar:777", {"id": "777"})
    bench.run()
    assert len(bench.rest.requests) == requests


def test_a_refusal_that_does_not_say_that_the_entry_is_gone_proves_nothing(bench: VisitBench, shop: Shop) -> None:
    lead, _ = booked(bench, shop)
    shop.errors["calendar.event.getbyid"] = Permanent("Access denied", code="ERROR")
    assert bench.look(f"lead:{lead}") == 1
    assert len(shop.entries) == 1
    shop.errors["calendar.event.getbyid"] = Permanent("Event not found", code="ERROR")
    del shop.entries[501]
    bench.look(f"lead:{lead}")
    assert len(shop.entries) == 1


def test_a_deleted_lead_takes_its_visit_with_it(bench: VisitBench, shop: Shop) -> None:
    lead, _ = booked(bench, shop)
    del shop.items[1, lead]
    bench.event("ONCRMLEADDELETE", f"lead:{lead}", {"FIELDS": {"ID": str(lead)}})
    bench.run()
    assert states(bench, lead) == [("cancelled", OLEG)]
    assert shop.entries == {}
    assert shop.task("Подтвердить")["status"] == 5


def test_a_hold_ends_by_itself_and_whoever_held_it_is_told(bench: VisitBench, shop: Shop) -> None:
    lead = shop.lead()
    held = bench.take(want(f"lead:{lead}", later(3), hold_until=later(2), booked_by=ANNA))
    assert held.state == "held"
    with bench.database.write() as connection:
        visits.keep(Memory(bench.database, connection, MEMBER), held.id, {"hold_until": datetime.now(UTC)})
    bench.hurry()
    assert states(bench, lead) == [("cancelled", OLEG)]
    assert [(one["USER_ID"], one["MESSAGE"][:32]) for one in shop.notices] == [
        (ANNA, "Удержание закончилось, время сно")
    ]


def test_the_watch_finds_what_no_event_told_and_tells_of_an_absent_measurer_once(bench: VisitBench, shop: Shop) -> None:
    lead, visit = booked(bench, shop)
    del shop.entries[501]
    shop.task("Подтвердить")["status"] = 5
    shop.away(OLEG, later(3, 0), later(4, 0), "absent")
    for _ in range(2):
        bench.hurry()
    assert states(bench, lead) == [("confirmed", OLEG)]
    assert len(shop.entries) == 1
    told = [one for one in shop.notices if "нужен другой замерщик" in one["MESSAGE"]]
    assert [one["USER_ID"] for one in told] == [CHIEF]
    shop.busy.clear()
    bench.hurry()
    assert bench.visits(f"lead:{lead}", visit.id)[0].problem == ""


def test_a_dismissed_measurer_is_told_of_and_his_visit_moves_with_its_date(bench: VisitBench, shop: Shop) -> None:
    lead, _ = booked(bench, shop)
    del shop.people[OLEG]
    with bench.database.write() as connection:
        connection.execute(sa.delete(schema.snapshots))
    bench.hurry()
    assert ["больше не замерщик" in one["MESSAGE"] for one in shop.notices].count(True) == 1
    shop.items[1, lead][DATE] = later(4).isoformat()
    event(bench, lead)
    assert states(bench, lead) == [("moved", OLEG), ("confirming", PAUL)]


def test_a_portal_without_the_applied_process_keeps_its_visits_all_the_same(database: Database, shop: Shop) -> None:
    bench = VisitBench(database, shop, around_the_clock(), applied=False)
    lead, visit = booked(bench, shop)
    assert (visit.state, DATE in shop.items[1, lead], len(shop.entries)) == ("confirming", False, 1)


def test_a_playbook_without_measurements_looks_at_nothing(database: Database, shop: Shop) -> None:
    bench = VisitBench(database, shop, around_the_clock().model_copy(update={"measurement": None}))
    assert bench.look("lead:42") == 1
    assert bench.rest.requests == []


def test_a_task_of_a_visit_is_no_task_of_a_stage(bench: VisitBench, shop: Shop) -> None:
    lead, _ = booked(bench, shop)
    with bench.database.read() as connection:
        found = process_memory.tasks_of(Memory(bench.database, connection, MEMBER), f"lead:{lead}")
    assert [(one.rule, one.state) for one in found if one.rule.startswith("visit:")] == [("visit:confirm", "open")]
    shop.items[1, lead]["stageId"] = "NEW"
    event(bench, lead)
    assert shop.task("Подтвердить").get("status", 2) == 2
    assert states(bench, lead)[-1][0] in AGREED
