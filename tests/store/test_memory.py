"""What we remember of a portal: turns, reasons, calls, cursors; and fairness when two decide at once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from scripted_portal import ANNA, BORIS, NOW, VERA, user

from b24app.entities import Clock, PhoneCall
from b24app.rules.assignment import Candidate, Policy, choose
from b24app.rules.working_time import WorkCalendar
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import KnownCall, Memory, Turn, robot_key

MINUTE = timedelta(minutes=1)


@contextmanager
def memory(database: Database, now: datetime = NOW, member_id: str = "m") -> Iterator[Memory]:
    with database.write() as connection:
        yield Memory(database, connection, member_id, now, delivery_id=1)


def assign(one: Memory, key: str, manager_id: int | None = ANNA, **changes: Any) -> None:
    values: dict[str, Any] = {"entity": f"lead:{key}", "cause": "missed", "queue": "q", "took_turn": True, "card": {}}
    one.assign(key=key, manager_id=manager_id, **{**values, **changes})


def test_a_reason_has_one_assignment_and_the_later_one_stands(database: Database) -> None:
    with memory(database) as one:
        assign(one, "1", None)
        assign(one, "1", BORIS, phone="+79123456789", call_id="c1")
        row = one.assignment("1")
        assert row is not None
        assert (row.manager_id, row.entity, row.written_at) == (BORIS, "lead:1", None)
        for found in (
            one.assignment_of("lead:1"),
            one.assignment_by_call("c1"),
            one.assignment_by_phone("+79123456789", since=NOW - MINUTE),
        ):
            assert found == row
        assert one.assignment_of("lead:1", since=NOW + MINUTE) is None
        assert one.assignment_by_phone("+79123456789", since=NOW + MINUTE) is None
    with memory(database, member_id="another") as other:
        assert other.assignment("1") is None


def test_turns_count_by_queue_and_what_the_portal_does_not_show_yet(database: Database) -> None:
    with memory(database, NOW) as one:
        assign(one, "1", ANNA)
        assign(one, "2", ANNA, took_turn=False)
        assign(one, "3", None)
        assign(one, "4", BORIS, queue="another")
    with memory(database, NOW + MINUTE) as one:
        assign(one, "5", ANNA)
        assert one.turns("q") == {ANNA: Turn(NOW + MINUTE, 2)}
        assert one.turns("another") == {BORIS: Turn(NOW, 1)}
        assert one.turns("nobody's") == {}


def test_what_was_written_since_we_read_the_portal_still_counts(database: Database) -> None:
    with memory(database) as one:
        assign(one, "1", ANNA)
        one.connection.execute(schema.assignments.update().values(written_at=NOW + MINUTE))
        assert one.turns("q") == {ANNA: Turn(NOW, 0)}
        assert one.turns("q", read_at=NOW) == {ANNA: Turn(NOW, 1)}
        assert one.turns("q", read_at=NOW + 2 * MINUTE) == {ANNA: Turn(NOW, 0)}


def test_an_item_is_bound_to_its_reason_once_the_portal_made_it(database: Database) -> None:
    with memory(database) as one:
        assign(one, "call:c1", entity="call:c1")
        one.bind("call:c1", "lead:7")
        row = one.assignment_of("lead:7")
        assert row is not None
        assert row.key == "call:c1"


def test_a_call_is_known_from_all_its_events_in_any_order(database: Database) -> None:
    started = NOW + MINUTE
    with memory(database, NOW) as one:
        one.keep_call(PhoneCall("c1", user_id=ANNA, started_at=started))
        assert one.talking(since=NOW - MINUTE) == {ANNA}
    with memory(database, NOW + MINUTE) as one:
        one.keep_call(PhoneCall("c1", 2, "+79123456789"))
    with memory(database, NOW + 2 * MINUTE) as one:
        one.keep_call(PhoneCall("c1", failed_code="200"), ended=True)
        whole = PhoneCall("c1", 2, "+79123456789", ANNA, "200", started)
        assert one.call("c1") == KnownCall(whole, NOW, NOW + 2 * MINUTE)
        assert one.calls_of("+79123456789", since=NOW) == [KnownCall(whole, NOW, NOW + 2 * MINUTE)]
        assert one.calls_of("+79123456789", since=NOW + MINUTE) == []
        assert one.talking(since=NOW - MINUTE) == set()
    with memory(database, NOW + 3 * MINUTE) as one:
        one.keep_call(PhoneCall("c1", 2), ended=True)
        known = one.call("c1")
        assert known is not None
        assert known.ended_at == NOW + 2 * MINUTE


def test_a_call_without_its_end_is_over_some_day(database: Database) -> None:
    with memory(database) as one:
        one.keep_call(PhoneCall("c1", 2, user_id=ANNA, started_at=NOW))
        assert one.talking(since=NOW + MINUTE) == set()


def test_a_ringing_call_is_nobodys_conversation(database: Database) -> None:
    with memory(database) as one:
        one.keep_call(PhoneCall("c1", 2, "+7", user_id=ANNA))
        assert one.talking(since=NOW - MINUTE) == set()


def test_cursors_and_snapshots(database: Database) -> None:
    with memory(database) as one:
        assert one.cursor("x") is None
        one.move_cursor("x", "5")
        one.move_cursor("x", "7")
        assert one.cursor("x") == "7"
        one.keep_snapshot("team", {"a": [1]})
        assert one.snapshot("team", not_older_than=MINUTE) == {"a": [1]}
    with memory(database, NOW + 2 * MINUTE) as one:
        assert one.snapshot("team", not_older_than=MINUTE) is None


def test_a_delivery_of_ours_stands_once_by_its_key(database: Database) -> None:
    with memory(database) as one:
        for _ in range(2):
            one.deliver(kind="event", code="E", entity="lead:1", payload={}, priority=50, unique_key="once")
        assert len(one.new_deliveries) == 1
        assert one.unseen("E", ["lead:2", "lead:1"]) == ["lead:2"]
        assert one.unseen("F", ["lead:1"]) == ["lead:1"]


def test_thousands_of_events_come_in_together(database: Database) -> None:
    entities = [f"lead:{number}" for number in range(2500)]
    with memory(database) as one:
        one.deliver_events("E", {}, 50)
        one.deliver_events("E", {entity: {"data": entity} for entity in entities[1:]}, 50)
        assert len(set(one.new_deliveries)) == 2499
        assert one.unseen("E", entities) == entities[:1]
        table = schema.deliveries
        row = one.connection.execute(sa.select(table).where(table.c.entity == "lead:7")).mappings().one()
        assert (row["kind"], row["code"], row["payload"], row["state"]) == ("event", "E", {"data": "lead:7"}, "waiting")


def test_a_robots_key_is_short_whatever_its_token() -> None:
    assert len(robot_key("x" * 5000)) == len(robot_key("y")) == len("robot:") + 64
    assert robot_key("x") != robot_key("y")


def test_deciders_in_two_processes_share_fairly(database: Database) -> None:
    """Each decides in the transaction that reads the turns: nobody is chosen twice in a row."""
    other = Database(database.url)
    start = threading.Barrier(4)
    policy, hours = Policy(clock="required"), WorkCalendar()

    def decide(mine: Database, name: int) -> None:
        start.wait()
        for n in range(15):
            with mine.write() as connection:
                mine.serialise(connection, "decide:m")
                one = Memory(mine, connection, "m", datetime.now(UTC), delivery_id=1)
                turns = one.turns("q")
                candidates = [
                    Candidate(user(id), Clock.OPENED, last_turn_at=turns[id].last_at if id in turns else None)
                    for id in (ANNA, BORIS, VERA)
                ]
                assign(one, f"{name}-{n}", choose(candidates, NOW, policy, hours).user_id)

    threads = [threading.Thread(target=decide, args=((database, other)[n % 2], n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.dispose()
    table = schema.assignments
    with database.read() as connection:
        order = list(connection.execute(table.select().order_by(table.c.id)).mappings())
    assert Counter(row["manager_id"] for row in order) == {ANNA: 20, BORIS: 20, VERA: 20}
    assert [row["manager_id"] for row in order] == [ANNA, BORIS, VERA] * 20
