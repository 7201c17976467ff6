"""Visits in the database: a time is taken once, a hold lets it go, another date is the next round; cells tell all."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scripted_portal import NOW

from b24app.rules.confirmation import AGREED, OCCUPYING, TRANSITIONS, Happening, State, after
from b24app.store import schema, visits
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.portals import install_portal, uninstall_portal
from b24app.store.visits import Taken, VisitRow, Wanted

OLEG, PAUL = 21, 22
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TUESDAY = datetime(2026, 11, 24, tzinfo=UTC)
HOLD = 15 * MINUTE


@contextmanager
def memory(database: Database, now: datetime = NOW, member_id: str = "m", delivery_id: int = 1) -> Iterator[Memory]:
    with database.write() as connection:
        yield Memory(database, connection, member_id, now, delivery_id)


def at(hour: float) -> datetime:
    return TUESDAY + timedelta(hours=hour)


def want(item: str = "lead:1", start: float = 9, measurer: int = OLEG, **changes: Any) -> Wanted:
    values: dict[str, Any] = {"title": "Кухня", "work": "kitchen", "starts_at": at(start), "ends_at": at(start + 3)}
    return Wanted(item, **{**values, "measurer_id": measurer, **changes})


def hold(item: str = "lead:1", start: float = 9, measurer: int = OLEG, until: datetime = NOW + HOLD) -> Wanted:
    return want(item, start, measurer, hold_until=until)


def cells(one: Memory, measurer: int = OLEG) -> dict[int, int]:
    """Returns the measurer's cells: which visit has each."""
    table = schema.visit_cells
    where = table.c.member_id == one.member_id, table.c.measurer_id == measurer
    found = one.connection.execute(sa.select(table.c.cell, table.c.visit_id).where(*where))
    return {row.cell: row.visit_id for row in found}


def spans(one: Memory, measurer: int = OLEG) -> list[tuple[float, float]]:
    """Returns the measurer's taken time on Tuesday, in hours, runs of cells joined."""
    found: list[tuple[float, float]] = []
    first = visits.cells_between(TUESDAY, TUESDAY + DAY).start
    for cell in sorted(cells(one, measurer)):
        begin = (cell - first) / 12
        if found and abs(found[-1][1] - begin) < 0.001:
            found[-1] = (found[-1][0], begin + 1 / 12)
        else:
            found.append((begin, begin + 1 / 12))
    return [(round(begin, 2), round(end, 2)) for begin, end in found]


def life(one: Memory, item: str = "lead:1") -> list[tuple[State, int, int, float]]:
    """Returns the item's visits, the oldest first: (state, round, measurer, hour)."""
    return [
        (row.state, row.round, row.measurer_id, (row.starts_at - TUESDAY) / HOUR)
        for row in reversed(visits.visits_of(one, item))
    ]


def timers(one: Memory) -> dict[str, datetime]:
    table = schema.timers
    return {row.key: row.due_at for row in one.connection.execute(sa.select(table.c.key, table.c.due_at))}


def looked_at(one: Memory) -> list[str]:
    """Returns the items a look was ordered at, each time."""
    table = schema.deliveries
    return list(
        one.connection.execute(sa.select(table.c.entity).where(table.c.code == visits.VISIT).order_by(table.c.id))
        .scalars()
        .all()
    )


def turned(one: Memory, row: VisitRow, *happenings: Happening) -> VisitRow:
    for happening in happenings:
        assert visits.turn(one, row, happening)
        found = visits.visit(one, row.id)
        assert found is not None
        row = found
    return row


# taking


def test_a_booking_takes_its_time_and_orders_a_look(database: Database) -> None:
    with memory(database) as one:
        row = visits.take(one, want(address="Лесная, 5", zone="north", latitude=55.7, longitude=37.6, booked_by=4))
        assert row == VisitRow(
            id=1, entity="lead:1", round=1, work="kitchen", measurer_id=OLEG, starts_at=at(9), ends_at=at(12),
            state="booked", shown="", title="Кухня", address="Лесная, 5", address_given=False,
            zone="north", latitude=55.7, longitude=37.6,
            booked_by=4, source="robot", agreed=False, hold_until=None, confirm_at=None, told=0, calendar_id=None,
            entry_delivery=None, problem="", reason="", made_at=NOW, changed_at=NOW,
        )  # fmt: skip
        assert visits.visit(one, row.id) == row
        assert (spans(one), spans(one, PAUL)) == ([(9, 12)], [])
        assert looked_at(one) == ["lead:1"]
        assert timers(one) == {}


@pytest.mark.parametrize(
    ("start", "minutes", "measurer", "free"),
    [
        (9, 180, OLEG, False),
        (9, 180, PAUL, True),
        (12, 180, OLEG, True),
        (6, 180, OLEG, True),
        (11.75, 60, OLEG, False),
        (6, 185, OLEG, False),
        (10, 30, OLEG, False),
        (8, 600, OLEG, False),
    ],
)
def test_a_time_that_touches_a_taken_one_of_the_same_measurer_is_taken(
    database: Database, start: float, minutes: int, measurer: int, free: bool
) -> None:
    with memory(database) as one:
        visits.take(one, want())
    wish = want("lead:2", start, measurer, ends_at=at(start) + minutes * MINUTE)
    with memory(database) as one:
        if free:
            assert visits.take(one, wish).state == "booked"
        else:
            with pytest.raises(Taken):
                visits.take(one, wish)
        assert [row.entity for row in visits.occupying(one, since=NOW)] == (
            ["lead:2", "lead:1"] if free else ["lead:1"]
        )


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [(at(9), at(12), 36), (at(9) + MINUTE, at(9) + 2 * MINUTE, 1), (at(9) + 4 * MINUTE, at(9) + 6 * MINUTE, 2)],
)
def test_a_time_has_the_cells_that_it_touches(start: datetime, end: datetime, count: int) -> None:
    found = visits.cells_between(start, end)
    assert len(found) == count
    assert found.start * 300 <= start.timestamp() < found.start * 300 + 300
    assert found.stop * 300 - 300 < end.timestamp() <= found.stop * 300


def test_portals_do_not_share_their_measurers_time(database: Database) -> None:
    with memory(database) as one:
        row = visits.take(one, want())
    with memory(database, member_id="another") as other:
        assert visits.take(other, want()).state == "booked"
        assert [mine.id for mine in visits.visits_of(other, "lead:1")] == [2]
        assert visits.visit(other, row.id) is None
        assert not visits.turn(other, row, "cancel")
        visits.keep(other, row.id, {"told": 2})
    with memory(database) as one:
        assert visits.visits_of(one, "lead:1") == [row]
        assert spans(one) == [(9, 12)]


def test_taken_leaves_everything_as_it_was_and_the_transaction_goes_on(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want("lead:1", 9))
        visits.take(one, want("lead:2", 13))
        visits.take(one, hold("lead:2", 17, PAUL))
        before = [visits.visits_of(one, item) for item in ("lead:1", "lead:2")]
        looks, timed = looked_at(one), timers(one)
    with memory(database) as one:
        with pytest.raises(Taken):
            visits.take(one, want("lead:2", 10))
        assert [visits.visits_of(one, item) for item in ("lead:1", "lead:2")] == before
        assert (spans(one), spans(one, PAUL)) == ([(9, 12), (13, 16)], [(17, 20)])
        assert (looked_at(one), timers(one)) == (looks, timed)
        # what is done after it in the same transaction stands
        assert visits.take(one, want("lead:3", 12, ends_at=at(13))).state == "booked"
        one.move_cursor("x", "1")
    with memory(database) as one:
        assert spans(one) == [(9, 16)]
        assert one.cursor("x") == "1"
        assert [visits.visits_of(one, item) for item in ("lead:1", "lead:2")] == before


# another date


def test_k28_booking_another_time_moves_the_agreed_one_and_is_the_next_round(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want(start=9))
        visits.take(one, want(start=13))
        visits.take(one, want(start=9, measurer=PAUL))
        assert life(one) == [("moved", 1, OLEG, 9), ("moved", 2, OLEG, 13), ("booked", 3, PAUL, 9)]
        assert (spans(one), spans(one, PAUL)) == ([], [(9, 12)])
        assert [row.reason for row in visits.visits_of(one, "lead:1")] == ["", *["другая дата / another date"] * 2]


@pytest.mark.parametrize("state", AGREED)
def test_k28_a_visit_may_move_over_its_own_time_in_every_agreed_state(database: Database, state: State) -> None:
    with memory(database) as one:
        row = visits.take(one, want(start=9))
        turned(one, row, *{"booked": [], "confirming": ["ask"], "confirmed": ["agree"]}[state])  # type: ignore[arg-type]
        visits.take(one, want(start=10))
        assert life(one) == [("moved", 1, OLEG, 9), ("booked", 2, OLEG, 10)]
        assert spans(one) == [(10, 13)]


def test_booking_the_agreed_time_again_changes_nothing(database: Database) -> None:
    with memory(database) as one:
        row = visits.take(one, want())
        confirmed = turned(one, row, "agree")
        assert visits.take(one, want()) == confirmed
        assert visits.take(one, hold()) == confirmed
        assert life(one) == [("confirmed", 1, OLEG, 9)]


def test_the_agreed_time_is_booked_again_while_another_was_held(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        visits.take(one, hold(start=13))
        assert "visit_hold:lead:1" in timers(one)
        visits.take(one, want())
        assert life(one) == [("booked", 1, OLEG, 9), ("moved", 2, OLEG, 13)]
        assert (spans(one), timers(one)) == ([(9, 12)], {})


@pytest.mark.parametrize(
    "ends", [["cancel"], ["agree", "measure"], ["agree", "miss"], ["ask", "agree", "cancel"]], ids=lambda ends: ends[-1]
)
def test_k28_a_new_date_after_a_visit_that_people_were_told_of_is_the_next_round(
    database: Database, ends: list[Happening]
) -> None:
    with memory(database) as one:
        row = turned(one, visits.take(one, want()), *ends)
        visits.keep(one, row.id, {"shown": row.state, "entry_delivery": 1})
        visits.take(one, want(start=13))
        assert life(one)[-1] == ("booked", 2, OLEG, 13)
        assert spans(one) == [(13, 16)]


# a measurer for another: what the client agreed to stays agreed


@pytest.mark.parametrize(
    ("happened", "start", "agreed"),
    [
        (["agree"], 9, True),
        (["agree"], 13, False),
        (["ask"], 9, False),
        ([], 9, False),
        (["ask", "agree"], 9, True),
    ],
)
def test_k28_only_a_confirmed_visit_that_keeps_its_time_with_another_measurer_stays_agreed(
    database: Database, happened: list[Happening], start: float, agreed: bool
) -> None:
    with memory(database) as one:
        turned(one, visits.take(one, want()), *happened)
        moved = visits.take(one, want(start=start, measurer=PAUL))
        assert (moved.state, moved.agreed, moved.round) == ("booked", agreed, 2)
        assert (spans(one), spans(one, PAUL)) == ([], [(start, start + 3)])


def test_the_same_measurer_at_another_time_is_not_agreed(database: Database) -> None:
    with memory(database) as one:
        turned(one, visits.take(one, want()), "agree")
        assert not visits.take(one, want(start=10)).agreed


def test_a_first_visit_is_never_agreed_beforehand(database: Database) -> None:
    with memory(database) as one:
        turned(one, visits.take(one, want()), "agree", "measure")
        assert not visits.take(one, want(measurer=PAUL)).agreed


# holding


def test_a_hold_takes_the_time_and_ends_by_a_timer(database: Database) -> None:
    with memory(database) as one:
        row = visits.take(one, hold())
        assert (row.state, row.round, row.hold_until, row.occupying) == ("held", 1, NOW + HOLD, True)
        assert timers(one) == {"visit_hold:lead:1": NOW + HOLD}
        assert looked_at(one) == ["lead:1"]
        with pytest.raises(Taken):
            visits.take(one, want("lead:2"))
        with pytest.raises(Taken):
            visits.take(one, hold("lead:2"))


def test_a_hold_leaves_the_agreed_visit_alone_until_it_is_booked(database: Database) -> None:
    with memory(database) as one:
        turned(one, visits.take(one, want()), "ask")
        held = visits.take(one, hold(start=14))
        assert life(one) == [("confirming", 1, OLEG, 9), ("held", 2, OLEG, 14)]
        assert spans(one) == [(9, 12), (14, 17)]
        booked = visits.take(one, want(start=14))
        assert (booked.id, booked.state, booked.hold_until) == (held.id, "booked", None)
        assert life(one) == [("moved", 1, OLEG, 9), ("booked", 2, OLEG, 14)]
        assert (spans(one), timers(one)) == ([(14, 17)], {})


def test_a_hold_that_overlaps_the_items_own_visit_can_be_booked(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        held = visits.take(one, hold(start=11))
        assert spans(one) == [(9, 14)]
        with pytest.raises(Taken):
            visits.take(one, want("lead:2", 13, ends_at=at(13.5)))
        booked = visits.take(one, want(start=11))
        assert booked.id == held.id
        assert life(one) == [("moved", 1, OLEG, 9), ("booked", 2, OLEG, 11)]
        assert spans(one) == [(11, 14)]
        assert set(cells(one).values()) == {held.id}


@pytest.mark.parametrize("ends", [["cancel"], ["agree", "measure"], ["agree", "miss"], ["move"]])
def test_a_hold_keeps_its_whole_time_when_the_visit_that_it_overlaps_is_over(
    database: Database, ends: list[Happening]
) -> None:
    with memory(database) as one:
        visit = visits.take(one, want())
        held = visits.take(one, hold(start=11))
        turned(one, visit, *ends)
        assert spans(one) == [(11, 14)]
        assert set(cells(one).values()) == {held.id}
        with pytest.raises(Taken):
            visits.take(one, want("lead:2", 9))


def test_the_time_that_a_released_hold_shares_stays_the_visits(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        turned(one, visits.take(one, hold(start=11)), "cancel")
        assert spans(one) == [(9, 12)]


def test_an_item_holds_one_time(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, hold(start=9))
        visits.take(one, hold(start=13))
        assert life(one) == [("moved", 1, OLEG, 9), ("held", 1, OLEG, 13)]
        assert spans(one) == [(13, 16)]


def test_a_hold_is_held_longer(database: Database) -> None:
    with memory(database) as one:
        first = visits.take(one, hold())
    with memory(database, NOW + 10 * MINUTE) as one:
        again = visits.take(one, hold(until=NOW + 25 * MINUTE))
        assert (again.id, again.hold_until) == (first.id, NOW + 25 * MINUTE)
        assert timers(one) == {"visit_hold:lead:1": NOW + 25 * MINUTE}
        assert visits.visit(one, first.id) == again
        assert spans(one) == [(9, 12)]


def test_k28_holds_count_no_round(database: Database) -> None:
    """Whatever became of them, and though people were told of their end."""
    with memory(database) as one:
        for start, end in ((9, "cancel"), (10, "expire"), (11, "move")):
            row = visits.take(one, hold(start=start))
            over = turned(one, row, end)  # type: ignore[arg-type]
            visits.keep(one, row.id, {"shown": over.state})
        visits.take(one, want(start=13))
        assert life(one)[-1] == ("booked", 1, OLEG, 13)
        visits.take(one, hold(start=14))
        visits.take(one, want(start=15))
        assert life(one)[-1] == ("booked", 2, OLEG, 15)


def test_an_expired_hold_frees_its_time_for_others_and_waits_to_be_told(database: Database) -> None:
    with memory(database) as one:
        held = visits.take(one, hold())
    with memory(database, NOW + HOLD - MINUTE) as one:
        assert [row.id for row in visits.occupying(one, since=NOW)] == [held.id]
        with pytest.raises(Taken):
            visits.take(one, want("lead:2"))
    with memory(database, NOW + HOLD) as one:
        assert visits.occupying(one, since=NOW) == []
        assert visits.on_board(one, since=NOW, until=NOW + 7 * DAY) == []
        booked = visits.take(one, want("lead:2"))
        assert set(cells(one).values()) == {booked.id}
        # the row stays held: the look at its item tells whoever held it (handlers/visit.py)
        assert life(one) == [("held", 1, OLEG, 9)]
        assert timers(one) == {"visit_hold:lead:1": NOW + HOLD}
        visits.turn(one, held, "expire")
        assert spans(one) == [(9, 12)]


def test_a_hold_that_is_over_is_not_booked_but_taken_anew(database: Database) -> None:
    with memory(database) as one:
        held = visits.take(one, hold())
    with memory(database, NOW + HOLD) as one:
        booked = visits.take(one, want())
        assert booked.id != held.id
        assert life(one) == [("cancelled", 1, OLEG, 9), ("booked", 1, OLEG, 9)]
        assert set(cells(one).values()) == {booked.id}


def test_a_hold_that_is_over_loses_to_whoever_came_first(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, hold())
    with memory(database, NOW + HOLD) as one:
        visits.take(one, want("lead:2"))
        with pytest.raises(Taken):
            visits.take(one, want())
        assert [row.entity for row in visits.occupying(one, since=NOW)] == ["lead:2"]


@pytest.mark.parametrize("drafted", ["held", "proposed"])
def test_k25_a_draft_is_booked_as_the_work_and_the_address_that_are_wanted_now(
    database: Database, drafted: State
) -> None:
    """Between the draft and the booking the manager changes the kind of work or the address."""
    with memory(database) as one:
        if drafted == "held":
            visits.take(one, hold())
        else:
            visits.propose(one, want())
        wish = want(work="stairs", ends_at=at(13), address="Лесная, 5", zone="north", latitude=55.7, longitude=37.6)
        row = visits.take(one, wish)
        kept = visits.visit(one, row.id)
        assert kept is not None
        assert (kept.state, kept.work, kept.ends_at) == ("booked", "stairs", at(13))
        assert (kept.address, kept.zone, kept.latitude, kept.longitude) == ("Лесная, 5", "north", 55.7, 37.6)
        assert spans(one) == [(9, 13)]


# proposing


def test_a_proposal_takes_nobodys_time(database: Database) -> None:
    with memory(database) as one:
        visits.propose(one, want())
        assert life(one) == [("proposed", 1, OLEG, 9)]
        assert (spans(one), visits.occupying(one, since=NOW), looked_at(one)) == ([], [], [])
        assert visits.take(one, want("lead:2")).state == "booked"
        visits.propose(one, want())
        assert life(one)[-1] == ("proposed", 1, OLEG, 9)


def test_the_newer_proposal_replaces_the_older(database: Database) -> None:
    with memory(database) as one:
        visits.propose(one, want(start=9))
        visits.propose(one, want(start=10))
        assert life(one) == [("cancelled", 1, OLEG, 9), ("proposed", 1, OLEG, 10)]


@pytest.mark.parametrize("taken", [want(), hold()])
def test_an_item_that_has_a_visit_keeps_that_and_gets_no_proposal(database: Database, taken: Wanted) -> None:
    with memory(database) as one:
        row = visits.take(one, taken)
        visits.propose(one, want(start=14))
        assert visits.visits_of(one, "lead:1") == [row]


def test_an_item_whose_hold_is_over_gets_a_proposal(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, hold())
    with memory(database, NOW + HOLD) as one:
        visits.propose(one, want(start=14))
        assert life(one)[-1] == ("proposed", 1, OLEG, 14)


@pytest.mark.parametrize(("wish", "state"), [(want(), "booked"), (hold(), "held")])
def test_a_proposal_is_taken_as_it_stands(database: Database, wish: Wanted, state: State) -> None:
    with memory(database) as one:
        visits.propose(one, want())
        (proposed,) = visits.visits_of(one, "lead:1")
        assert visits.take(one, wish).id == proposed.id
        assert life(one) == [(state, 1, OLEG, 9)]
        assert spans(one) == [(9, 12)]


def test_k28_a_proposal_counts_no_round_though_a_look_came_between(database: Database) -> None:
    with memory(database) as one:
        visits.propose(one, want())
        visits.keep(one, 1, {"shown": "proposed"})
        visits.take(one, want(start=14))
        assert life(one) == [("moved", 1, OLEG, 9), ("booked", 1, OLEG, 14)]


def test_a_proposal_whose_time_is_gone_is_taken_by_nobody(database: Database) -> None:
    with memory(database) as one:
        visits.propose(one, want())
        visits.take(one, want("lead:2"))
        with pytest.raises(Taken):
            visits.take(one, want())
        assert life(one) == [("proposed", 1, OLEG, 9)]


# turning


@pytest.mark.parametrize("happening", sorted({happening for _, happening in TRANSITIONS}))
def test_what_happens_to_a_visit_is_what_the_machine_says(database: Database, happening: Happening) -> None:
    with memory(database) as one:
        for measurer, state in enumerate((*OCCUPYING, "proposed"), start=1):
            row = in_state(one, state, measurer)  # type: ignore[arg-type]
            following = after(row.state, happening)
            assert visits.turn(one, row, happening, reason="так") == (following is not None)
            now = visits.visit(one, row.id)
            assert now is not None
            assert (now.state, now.reason) == ((following, "так") if following is not None else (state, ""))
            if state != "proposed":
                assert spans(one, measurer) == ([(9, 12)] if now.state in OCCUPYING else [])


def in_state(one: Memory, state: State, measurer: int) -> VisitRow:
    item = f"lead:{measurer}"
    if state == "proposed":
        visits.propose(one, want(item, measurer=measurer))
        return visits.visits_of(one, item)[0]
    if state == "held":
        return visits.take(one, hold(item, measurer=measurer))
    way: list[Happening] = {"booked": [], "confirming": ["ask"], "confirmed": ["agree"]}[state]  # type: ignore[assignment]
    return turned(one, visits.take(one, want(item, measurer=measurer)), *way)


def test_whoever_read_an_older_state_changes_nothing(database: Database) -> None:
    with memory(database) as one:
        row = visits.take(one, want())
        assert visits.turn(one, row, "ask")
        assert not visits.turn(one, row, "agree")
        assert life(one) == [("confirming", 1, OLEG, 9)]


def test_what_is_kept_besides_the_state_changes_nothing_else(database: Database) -> None:
    with memory(database) as one:
        row = visits.take(one, want())
        visits.keep(one, row.id, {"shown": "booked", "told": 1, "confirm_at": at(8), "problem": "absent"})
        found = visits.visit(one, row.id)
        assert found is not None
        assert found == replace(row, shown="booked", told=1, confirm_at=at(8), problem="absent")


# reading


def test_who_takes_time_and_what_stands_on_the_board(database: Database) -> None:
    with memory(database) as one:
        visits.propose(one, want("lead:9", 9))
        held = visits.take(one, hold("lead:2", 9))
        booked = visits.take(one, want("lead:3", 13))
        done = turned(one, visits.take(one, want("lead:4", 9, PAUL)), "agree", "measure")
        missed = turned(one, visits.take(one, want("lead:5", 12, PAUL)), "agree", "miss")
        turned(one, visits.take(one, want("lead:6", 15, PAUL)), "cancel")
        assert [row.id for row in visits.occupying(one, since=NOW)] == [booked.id, held.id]
        shown = [row.id for row in visits.on_board(one, since=TUESDAY, until=TUESDAY + DAY)]
        assert shown == [missed.id, done.id, booked.id, held.id]


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [(9, 12, True), (12, 20, False), (11.9, 20, True), (0, 9, False), (0, 9.1, True), (20, 24, False)],
)
def test_a_visit_stands_where_its_time_touches_what_is_looked_at(
    database: Database, since: float, until: float, found: bool
) -> None:
    with memory(database) as one:
        visits.take(one, want())
        for rows in (visits.occupying, visits.on_board):
            assert len(rows(one, since=at(since), until=at(until))) == found


def test_loads_count_what_is_agreed_and_what_was_made(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want("lead:1", 0))
        turned(one, visits.take(one, want("lead:2", 3)), "agree", "measure")
        turned(one, visits.take(one, want("lead:3", 6)), "agree", "miss")
        turned(one, visits.take(one, want("lead:4", 9)), "cancel")
        visits.take(one, want("lead:4", 9))
        visits.take(one, want("lead:4", 12))
        visits.take(one, hold("lead:5", 15))
        visits.propose(one, want("lead:6", 18))
        visits.take(one, want("lead:7", 0, PAUL))
        assert visits.loads(one, since=TUESDAY) == {OLEG: 4, PAUL: 1}
        assert visits.loads(one, since=at(1)) == {OLEG: 3}
        assert visits.loads(one, since=at(13)) == {}
    with memory(database, member_id="another") as other:
        assert visits.loads(other, since=TUESDAY) == {}


# calendar entries


def made(one: Memory, delivery_id: int, result: Any, *, label: str = "entry", state: str = "done") -> None:
    """Puts a delivery with one command into the journal."""
    values = {"id": delivery_id, "member_id": one.member_id, "kind": "timer", "code": "visit", "entity": "lead:1"}
    more = {"payload": {}, "priority": 20, "state": "done", "received_at": NOW, "due_at": NOW}
    one.connection.execute(sa.insert(schema.deliveries).values(values | more | {"attempts": 1, "crashes": 0}))
    command = {"label": label}
    one.connection.execute(
        sa.insert(schema.commands).values(
            delivery_id=delivery_id, position=0, command=command, state=state, result=result
        )
    )


@pytest.mark.parametrize(
    ("result", "label", "state", "number"),
    [
        (1246, "entry", "done", 1246),
        ("1246", "entry", "done", 1246),
        ({"id": 1246}, "entry", "done", 1246),
        ({"id": "1246"}, "entry", "done", 1246),
        (1246, "fields", "done", None),
        (1246, "entry", "sent", None),
        (None, "entry", "failed", None),
        ("нет", "entry", "done", None),
        ([], "entry", "done", None),
    ],
)
def test_an_entry_has_its_number_once_the_journal_knows_it(
    database: Database, result: Any, label: str, state: str, number: int | None
) -> None:
    with memory(database) as one:
        row = visits.take(one, want())
        other = visits.take(one, want("lead:2", 13))
        visits.keep(one, row.id, {"entry_delivery": 77})
        visits.keep(one, other.id, {"entry_delivery": 78})
        visits.number_entries(one)
        assert [row.calendar_id for row in visits.visits_of(one, "lead:1")] == [None]
        made(one, 77, result, label=label, state=state)
        visits.number_entries(one)
        assert [row.calendar_id for row in visits.visits_of(one, "lead:1")] == [number]
        assert [row.calendar_id for row in visits.visits_of(one, "lead:2")] == [None]


def test_the_visit_of_an_entry_is_found_by_its_number_and_in_its_own_portal(database: Database) -> None:
    with memory(database) as one:
        row = visits.take(one, want())
        visits.keep(one, row.id, {"entry_delivery": 77})
        assert visits.by_entry(one, 1246) is None
        made(one, 77, 1246)
        found = visits.by_entry(one, 1246)
        assert found is not None
        assert (found.id, found.calendar_id) == (row.id, 1246)
        assert visits.by_entry(one, 1247) is None
    with memory(database, member_id="another") as other:
        assert visits.by_entry(other, 1246) is None


# watching


def test_the_watch_is_set_while_there_are_visits_to_come_and_not_moved(database: Database) -> None:
    with memory(database) as one:
        visits.watch(one)
        visits.propose(one, want("lead:2"))
        visits.take(one, hold("lead:3"))
        visits.watch(one)
        assert visits.WATCH not in timers(one)
        visits.take(one, want("lead:1", 13))
        visits.watch(one)
        assert timers(one)[visits.WATCH] == NOW + visits.WATCH_EVERY
    with memory(database, NOW + 5 * MINUTE) as one:
        visits.watch(one)
        assert timers(one)[visits.WATCH] == NOW + visits.WATCH_EVERY
    with memory(database, NOW - timedelta(days=1)) as one:  # the clock was a day ahead, and is right again
        visits.watch(one)
        assert timers(one)[visits.WATCH] == NOW - timedelta(days=1) + visits.WATCH_EVERY
    with memory(database, member_id="another") as other:
        visits.watch(other)
        assert len([key for key in timers(other) if key == visits.WATCH]) == 1


@pytest.mark.parametrize(
    ("happened", "told", "later", "there"),
    [
        ([], True, 0, True),
        (["ask"], True, 0, True),
        (["agree"], True, 0, True),
        (["agree"], True, 12 + 23, True),
        (["agree"], True, 12 + 24, False),
        (["agree", "measure"], True, 0, False),
        (["agree", "measure"], False, 0, True),
        (["cancel"], True, 0, False),
        (["cancel"], False, 0, True),
        (["cancel"], False, 12 + 24, False),
    ],
)
def test_unsettled_visits_are_agreed_or_untold_and_at_most_a_day_over(
    database: Database, happened: list[Happening], told: bool, later: float, there: bool
) -> None:
    with memory(database) as one:
        row = turned(one, visits.take(one, want()), *happened)
        if told:
            visits.keep(one, row.id, {"shown": row.state})
    with memory(database, at(later)) as one:
        assert len(visits.unsettled(one)) == there


# a portal that goes


@pytest.mark.parametrize("erase", [True, False])
def test_erasing_a_portal_takes_its_visits_and_their_time(database: Database, erase: bool) -> None:
    for member_id in ("m", "another"):
        install_portal(
            database, member_id=member_id, client_id=f"local.{member_id}", host="x", client_endpoint="https://x/rest/",
            application_token_digest="", user_id=1,
        )  # fmt: skip
        with memory(database, member_id=member_id) as one:
            visits.take(one, want())
            visits.take(one, hold("lead:2", 13))
    uninstall_portal(database, "m", erase=erase)
    left = ["another", "another"] if erase else ["another", "another", "m", "m"]
    with database.read() as connection:
        assert sorted(connection.execute(sa.select(schema.visits.c.member_id)).scalars()) == left
        counted = Counter(connection.execute(sa.select(schema.visit_cells.c.member_id)).scalars())
    assert counted == ({"another": 72} if erase else {"another": 72, "m": 72})


# whatever happens, in whatever order

ITEMS = ["lead:1", "lead:2", "lead:3"]
items = st.sampled_from([*ITEMS, "lead:1", "lead:1"])  # many a thing happens to one of them
measurers, places = st.sampled_from([OLEG, OLEG, PAUL]), st.integers(0, 4)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["book", "hold", "hold", "propose"]), items, measurers, places, st.just(120)),
        st.tuples(st.just("book"), items, measurers, places, st.sampled_from([55, 90])),
        st.tuples(st.just("turn"), items, st.integers(0, 6)),
        st.tuples(st.just("wait"), st.sampled_from([5, 15, 60])),
    ),
    min_size=3,
    max_size=12,
)


@given(steps)
@example([("book", "lead:1", OLEG, 0, 120), ("hold", "lead:1", OLEG, 2, 120), ("turn", "lead:1", 6)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_is_ever_at_two_clients_and_the_cells_are_the_visits(
    database: Database, steps: Sequence[tuple[Any, ...]]
) -> None:
    with database.write() as connection:
        for table in (schema.visit_cells, schema.visits, schema.timers, schema.deliveries):
            connection.execute(sa.delete(table))
    now = NOW
    for what, *values in steps:
        if what == "wait":
            now += values[0] * MINUTE
            continue
        with memory(database, now) as one:
            step(one, what, values)
            holds_together(one)


def step(one: Memory, what: str, values: Sequence[Any]) -> None:
    if what == "turn":
        possible = [
            (row, happening)
            for row in visits.visits_of(one, values[0])
            for state, happening in TRANSITIONS
            if state == row.state and happening not in ("book", "hold")
        ]
        if possible:
            assert visits.turn(one, *possible[values[1] % len(possible)])
        return
    item, measurer, half_hours, minutes = values
    start = at(9) + half_hours * 30 * MINUTE
    wish = want(item, measurer=measurer, starts_at=start, ends_at=start + minutes * MINUTE)
    if what == "propose":
        visits.propose(one, wish)
        return
    before = [row for item in ITEMS for row in visits.visits_of(one, item)]
    if what == "hold":
        wish = replace(wish, hold_until=one.now + HOLD)
    try:
        row = visits.take(one, wish)
    except Taken:
        others = [r for r in live(one, before) if r.entity != item and r.measurer_id == measurer]
        assert any(row.starts_at < wish.ends_at and wish.starts_at < row.ends_at for row in others)
        return
    assert row.same_time(measurer, start)
    assert row.state == wish.state or row.state in AGREED


def live(one: Memory, rows: Sequence[VisitRow]) -> list[VisitRow]:
    return [row for row in rows if row.occupying and (row.state != "held" or (row.hold_until or one.now) > one.now)]


def holds_together(one: Memory) -> None:
    rows = [row for item in ITEMS for row in visits.visits_of(one, item)]
    standing = live(one, rows)
    assert sorted(row.id for row in standing) == sorted(row.id for row in visits.occupying(one, since=NOW))
    for item in ITEMS:
        states = [row.state for row in rows if row.entity == item]
        assert sum(state in AGREED for state in states) <= 1
        assert sum(state in ("held", "proposed") for state in states) <= 1
    items = {row.id: row.entity for row in rows}
    over = {row.id for row in rows if row.occupying and row not in standing}
    for measurer in (OLEG, PAUL):
        wanted: dict[int, str] = {}
        for row in standing:
            if row.measurer_id == measurer:
                for cell in visits.cells_between(row.starts_at, row.ends_at):
                    assert wanted.setdefault(cell, row.entity) == row.entity, "two items at one time"
        kept = {cell: items[id] for cell, id in cells(one, measurer).items() if id not in over}
        assert kept == wanted


# many at once

STARTS = [9, 12, 15, 18]
MEASURERS = [31, 32, 33, 34, 35]
FIT = len(STARTS) * len(MEASURERS)
BOOKINGS = 200


def wishes(first: int, step: int) -> list[tuple[str, int, str, str]]:
    """Every `step`-th booking as (item, measurer, from, to): each of the 20 times is wanted ten times."""
    found = []
    for number in range(first, BOOKINGS, step):
        start = at(STARTS[number % FIT // len(MEASURERS)])
        measurer = MEASURERS[number % len(MEASURERS)]
        found.append((f"lead:{number}", measurer, start.isoformat(), (start + 3 * HOUR).isoformat()))
    return found


def booked(database: Database, wishes: Sequence[tuple[str, int, str, str]]) -> Counter[str]:
    """Books one after another, each in its own transaction; returns how they ended."""
    ended: Counter[str] = Counter()
    for item, measurer, start, end in wishes:
        wanted = Wanted(item, "", "kitchen", measurer, datetime.fromisoformat(start), datetime.fromisoformat(end))
        try:
            with database.write() as connection:
                visits.take(Memory(database, connection, "m", datetime.fromisoformat("2026-11-23T07:00+00:00")), wanted)
            ended["booked"] += 1
        except Taken:
            ended["taken"] += 1
        except Exception as error:  # noqa: BLE001 whatever else there is, it is counted
            ended[type(error).__name__] += 1
    return ended


def nothing_overlaps(database: Database) -> None:
    with memory(database) as one:
        rows = visits.occupying(one, since=NOW)
        assert sorted((row.measurer_id, row.starts_at) for row in rows) == [
            (measurer, at(start)) for measurer in MEASURERS for start in STARTS
        ]
        for measurer in MEASURERS:
            assert len(cells(one, measurer)) == 36 * len(STARTS)
        assert len(looked_at(one)) == FIT


def test_two_hundred_bookings_over_five_measurers_by_eight_threads_overlap_nowhere(database: Database) -> None:
    start, ended = threading.Barrier(8), Counter[str]()

    def book(name: int) -> None:
        mine = Database(database.url)
        start.wait(60)
        ended.update(booked(mine, wishes(name, 8)))
        mine.dispose()

    threads = [threading.Thread(target=book, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert ended == {"booked": FIT, "taken": BOOKINGS - FIT}
    nothing_overlaps(database)


PROCESS = """
from __future__ import annotations
import json, sys
from collections import Counter
from datetime import datetime
from b24app.store import visits
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.visits import Taken, Wanted

{booked}

database = Database(sys.argv[1])
print("ready", flush=True)
print(json.dumps(booked(database, json.loads(sys.stdin.readline()))))
"""


def test_two_hundred_bookings_over_five_measurers_by_four_processes_overlap_nowhere(database: Database) -> None:
    code = PROCESS.format(booked=inspect.getsource(booked))
    command = [sys.executable, "-c", code, database.url]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [one.stdout.readline() for one in started if one.stdout] == ["ready\n"] * 4
    for name, one in enumerate(started):
        assert one.stdin is not None
        one.stdin.write(json.dumps(wishes(name, 4)) + "\n")
        one.stdin.flush()
    ended: Counter[str] = Counter()
    for one in started:
        ended.update(json.loads(one.communicate(timeout=120)[0]))
    assert [one.returncode for one in started] == [0] * 4
    assert ended == {"booked": FIT, "taken": BOOKINGS - FIT}
    nothing_overlaps(database)
