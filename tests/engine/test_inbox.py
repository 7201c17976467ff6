"""The inbox: the order of claims, leases and fences, repeats, crashes, and what a person may do with a failure."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from b24app.bitrix.limits import Full
from b24app.engine import inbox as module
from b24app.engine.declare import LATER, NORMAL, URGENT
from b24app.engine.inbox import CRASHES_ALLOWED, HEAD_START, Delivery, Inbox, LostLease, is_gone, owner_name
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.portals import install_portal, uninstall_portal

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def inbox(database: Database) -> Inbox:
    for name in ("one", "two"):
        install_portal(
            database,
            member_id=name,
            client_id=f"local.{name}",
            host=f"{name}.bitrix24.ru",
            client_endpoint=f"https://{name}.bitrix24.ru/rest/",
            application_token_digest="x",
            user_id=1,
        )
    return Inbox(database)


def record(inbox: Inbox, entity: str = "lead:1", **changes: Any) -> int | None:
    values = {"member_id": "one", "kind": "event", "code": "E", "payload": {"data": {"n": entity}}, "priority": 50}
    return inbox.record(**{**values, "entity": entity, **changes})


def claim(inbox: Inbox) -> Delivery:
    delivery = inbox.claim()
    assert delivery is not None
    return delivery


def end(inbox: Inbox, delivery: Delivery, state: str = "done", reason: str = "") -> None:
    with inbox.database.write() as connection:
        inbox.finish(connection, delivery, state, reason)


def row(inbox: Inbox, id: int) -> Any:
    with inbox.database.read() as connection:
        return connection.execute(sa.select(schema.deliveries).where(schema.deliveries.c.id == id)).mappings().one()


def change(inbox: Inbox, id: int, **values: Any) -> None:
    with inbox.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).where(schema.deliveries.c.id == id).values(**values))


def change_portal(inbox: Inbox, member_id: str, **values: Any) -> None:
    with inbox.database.write() as connection:
        connection.execute(sa.update(schema.portals).where(schema.portals.c.member_id == member_id).values(**values))


def test_nothing_to_claim(inbox: Inbox) -> None:
    assert inbox.claim() is None


def test_the_most_urgent_comes_first_then_the_oldest(inbox: Inbox) -> None:
    late = record(inbox, "lead:1", priority=90)
    first = record(inbox, "lead:2", priority=50)
    second = record(inbox, "lead:3", priority=50)
    urgent = record(inbox, "lead:4", priority=10)
    assert [claim(inbox).id for _ in range(4)] == [urgent, first, second, late]


def test_portals_take_turns(inbox: Inbox) -> None:
    for n in range(4):
        record(inbox, f"lead:{n}", member_id="one")
    for n in range(2):
        record(inbox, f"lead:{n}", member_id="two")
    assert [claim(inbox).member_id for _ in range(6)] == ["one", "two", "one", "two", "one", "one"]


def test_a_noisy_portals_urgent_deliveries_do_not_starve_another_portal(inbox: Inbox) -> None:
    for n in range(60):
        record(inbox, f"lead:{n}", member_id="one", priority=URGENT)
    waits = datetime.now(UTC) - HEAD_START * (LATER - URGENT) * timedelta(microseconds=1)
    ordinary = record(inbox, "lead:1", member_id="two", priority=NORMAL, due_at=waits)
    report = record(inbox, "lead:2", member_id="two", priority=LATER, due_at=waits)
    assert claim(inbox).id == ordinary
    assert {claim(inbox).member_id for _ in range(5)} == {"one"}
    change_portal(inbox, "two", served_at=waits)  # the seconds pass in which the other one is served
    assert claim(inbox).id == report


def test_one_portals_telephone_comes_before_anothers_report(inbox: Inbox) -> None:
    for n in range(3):
        record(inbox, f"lead:{n}", member_id="one", priority=LATER)
    urgent = record(inbox, "lead:1", member_id="two", priority=URGENT)
    another = record(inbox, "lead:2", member_id="two", priority=URGENT)
    assert [claim(inbox).id for _ in range(2)] == [urgent, another]


def test_what_would_only_wait_for_room_beside_another_worker_is_left_alone(inbox: Inbox) -> None:
    ordinary = record(inbox, "lead:1", member_id="one", priority=NORMAL)
    urgent = record(inbox, "lead:2", member_id="one", priority=URGENT)
    assert inbox.claim(Full(ordinary=frozenset({"one"}), urgent=frozenset({"one"}))) is None
    other = record(inbox, "lead:3", member_id="two", priority=LATER)
    full = Full(ordinary=frozenset({"one"}))
    assert [delivery and delivery.id for delivery in (inbox.claim(full), inbox.claim(full))] == [urgent, other]
    assert inbox.claim(full) is None
    assert claim(inbox).id == ordinary


def test_an_entitys_deliveries_are_worked_in_order_one_at_a_time(inbox: Inbox) -> None:
    first = record(inbox, "lead:1", code="A")
    second = record(inbox, "lead:1", code="B", priority=10)
    other = record(inbox, "lead:2", code="A")
    held = claim(inbox)
    assert held.id == first
    assert claim(inbox).id == other
    assert inbox.claim() is None
    end(inbox, held)
    assert claim(inbox).id == second


def test_the_same_entity_of_two_portals_is_two(inbox: Inbox) -> None:
    record(inbox, "lead:1", member_id="one")
    record(inbox, "lead:1", member_id="two")
    assert {claim(inbox).member_id, claim(inbox).member_id} == {"one", "two"}


def test_a_postponed_delivery_holds_back_what_came_after_it(inbox: Inbox) -> None:
    record(inbox, "lead:1", code="A")
    record(inbox, "lead:1", code="B")
    inbox.postpone(claim(inbox), datetime.now(UTC) + timedelta(hours=1), "позже")
    assert inbox.claim() is None
    assert inbox.due(10) != []  # the second one is due, and waits for the first


def test_what_is_due_later_waits(inbox: Inbox) -> None:
    record(inbox, due_at=datetime.now(UTC) + timedelta(minutes=1))
    assert inbox.claim() is None
    assert inbox.due(10) == []


def test_a_portal_without_the_application_is_left_alone(inbox: Inbox, database: Database) -> None:
    record(inbox)
    uninstall_portal(database, "one", erase=False)
    assert inbox.claim() is None


def test_a_unique_key_stands_once_a_portal(inbox: Inbox) -> None:
    assert record(inbox, unique_key="robot:1") is not None
    assert record(inbox, unique_key="robot:1") is None
    assert record(inbox, unique_key="robot:1", member_id="two") is not None
    assert record(inbox) is not None
    assert record(inbox) is not None  # without a key nothing is compared


def test_repeats_of_a_waiting_event_are_merged_into_the_one_that_is_claimed(inbox: Inbox) -> None:
    first, second, third = record(inbox), record(inbox), record(inbox)
    other = record(inbox, payload={"data": {"n": "something else"}})
    claimed = claim(inbox)
    assert claimed.id == first
    assert [row(inbox, id)["state"] for id in (second, third, other) if id] == ["merged", "merged", "waiting"]


def test_a_delivery_that_was_decided_already_merges_nothing(inbox: Inbox) -> None:
    first = record(inbox)
    held = claim(inbox)
    with inbox.database.write() as connection:
        inbox.write_back(connection, held, decision={"decided": True})
    inbox.postpone(held, LONG_AGO, "ответа нет")
    later = record(inbox)
    assert later is not None
    assert claim(inbox).id == first
    assert row(inbox, later)["state"] == "waiting"


def test_robots_and_timers_are_never_merged(inbox: Inbox) -> None:
    record(inbox, kind="robot", payload={"data": None})
    second = record(inbox, kind="robot", payload={"data": None})
    assert second is not None
    claim(inbox)
    assert row(inbox, second)["state"] == "waiting"


def test_an_expired_lease_is_taken_over_and_the_loser_can_write_nothing(inbox: Inbox, database: Database) -> None:
    slow = Inbox(database, lease=timedelta(0))
    id = record(inbox)
    lost = claim(slow)
    taken = claim(inbox)
    assert (taken.id, lost.attempt, taken.attempt) == (id, 1, 2)
    with pytest.raises(LostLease):
        slow.renew(lost)
    with pytest.raises(LostLease):
        slow.postpone(lost, LONG_AGO, "x")
    with pytest.raises(LostLease):
        end(slow, lost)
    inbox.renew(taken)
    end(inbox, taken)
    with pytest.raises(LostLease):
        end(inbox, taken)


def test_a_held_lease_is_nobody_elses(inbox: Inbox) -> None:
    record(inbox)
    claim(inbox)
    assert inbox.claim() is None
    assert inbox.due(10) == []


def test_crashes_are_counted_apart_from_attempts(inbox: Inbox) -> None:
    id = record(inbox)
    assert id is not None
    inbox.postpone(claim(inbox), LONG_AGO, "портал занят")
    assert (row(inbox, id)["attempts"], row(inbox, id)["crashes"]) == (1, 0)
    for crash in range(CRASHES_ALLOWED + 1):
        claimed = claim(inbox)
        assert claimed.failure is None
        assert row(inbox, id)["crashes"] == crash
        change(inbox, id, lease_until=LONG_AGO)
    assert claim(inbox).failure == "работник падал на этой доставке / its worker died again and again"


def test_a_dead_owner_is_known_and_its_lease_freed(inbox: Inbox, database: Database) -> None:
    id = record(inbox)
    assert id is not None
    claim(inbox)
    assert inbox.free_leases_of_the_dead() == 0  # we live
    code = "from b24app.engine.inbox import owner_name; print(owner_name())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    change(inbox, id, lease_owner=dead.stdout.strip())
    assert inbox.free_leases_of_the_dead() == 1
    assert claim(inbox).attempt == 2
    assert row(inbox, id)["crashes"] == 1


def test_who_is_gone() -> None:
    mine = owner_name()
    host, pid, start, part = mine.split("/")
    assert not is_gone(mine)
    assert is_gone(f"{host}/{pid}/{int(start) + 1}/{part}")  # the number was given to somebody else
    for machine in ("elsewhere", f"{host.rpartition('-')[0]}-0000000"):  # another machine may have the same name
        assert not is_gone(f"{machine}/{pid}/1/{part}")  # nobody here can know
    assert not is_gone("")
    assert os.getpid() == int(pid)


def test_a_person_may_start_a_failed_delivery_again_from_where_it_stopped(inbox: Inbox) -> None:
    id = record(inbox)
    assert id is not None
    held = claim(inbox)
    with inbox.database.write() as connection:
        connection.execute(
            sa.insert(schema.commands),
            [
                {"delivery_id": id, "position": n, "command": {}, "state": state, "reason": "почему"}
                for n, state in enumerate(("done", "failed", "skipped"))
            ],
        )
    end(inbox, held, "failed", "нет прав")
    assert not inbox.again(id, "two")
    assert inbox.again(id, "one")
    assert not inbox.again(id, "one")
    with inbox.database.read() as connection:
        states = connection.execute(sa.select(schema.commands.c.state).order_by(schema.commands.c.position)).scalars()
        assert list(states) == ["done", "written", "written"]
    assert claim(inbox).attempt == 2  # the fence goes on


def test_a_person_may_give_a_failed_delivery_up(inbox: Inbox) -> None:
    id = record(inbox)
    assert id is not None
    assert not inbox.give_up(id, "one")  # it has not failed
    end(inbox, claim(inbox), "failed", "нет прав")
    assert inbox.give_up(id, "one")
    assert (row(inbox, id)["state"], row(inbox, id)["reason"]) == ("done", "оставлено человеком / given up by a person")


def test_what_ended_long_ago_is_swept_out_with_its_commands(inbox: Inbox) -> None:
    old, failed, fresh = record(inbox, "a:1"), record(inbox, "a:2"), record(inbox, "a:3")
    for state in ("done", "failed", "done"):
        end(inbox, claim(inbox), state)
    assert old is not None
    assert failed is not None
    with inbox.database.write() as connection:
        connection.execute(
            sa.insert(schema.commands), {"delivery_id": old, "position": 0, "command": {}, "state": "done"}
        )
    past = datetime.now(UTC) - module.KEEP_DONE - timedelta(days=1)
    change(inbox, old, finished_at=past)
    change(inbox, failed, finished_at=past)
    assert inbox.sweep_out() == 1
    with inbox.database.read() as connection:
        assert set(connection.execute(sa.select(schema.deliveries.c.id)).scalars()) == {failed, fresh}
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.commands)).scalar_one() == 0


def test_reasons_are_cut_to_what_people_read(inbox: Inbox) -> None:
    id = record(inbox)
    assert id is not None
    inbox.postpone(claim(inbox), LONG_AGO, "x" * 5000)
    assert len(row(inbox, id)["reason"]) == 1000


# the machine's clock


def clock_is_set(inbox: Inbox, by: timedelta) -> None:
    """The clock was put so much forward (back, where it is negative) since the inbox looked at it."""
    inbox._looked_at = (datetime.now(UTC) - by, time.monotonic())


@pytest.mark.parametrize("by", [timedelta(hours=1), timedelta(hours=-1)], ids=["forward", "back"])
def test_a_clock_that_is_set_neither_ends_a_lease_nor_prolongs_it(inbox: Inbox, by: timedelta) -> None:
    living, ended = record(inbox, "lead:1"), record(inbox, "lead:2")
    assert living is not None
    assert ended is not None
    for _ in range(2):
        claim(inbox)
    change(inbox, living, lease_until=datetime.now(UTC) - by + timedelta(seconds=60))
    change(inbox, ended, lease_until=datetime.now(UTC) - by - timedelta(seconds=1))
    clock_is_set(inbox, by)
    inbox.mind_the_clock()
    left = row(inbox, living)["lease_until"] - datetime.now(UTC)
    assert inbox.lease - timedelta(seconds=5) < left <= inbox.lease
    change(inbox, ended, lease_until=LONG_AGO)  # as its time passes
    assert claim(inbox).id == ended
    assert inbox.claim() is None


def test_what_was_postponed_for_seconds_does_not_wait_for_the_hour_by_which_the_clock_was_put_back(
    inbox: Inbox,
) -> None:
    id = record(inbox)
    inbox.postpone(claim(inbox), datetime.now(UTC) + timedelta(hours=1, seconds=10), "позже")
    clock_is_set(inbox, timedelta(seconds=-5))
    assert inbox.claim() is None  # machines are corrected by so much every day
    clock_is_set(inbox, timedelta(hours=-1))
    assert claim(inbox).id == id
    id = record(inbox, "lead:3")
    inbox.postpone(claim(inbox), datetime.now(UTC) + timedelta(hours=1), "позже")
    clock_is_set(inbox, timedelta(hours=1))
    assert inbox.claim() is None
