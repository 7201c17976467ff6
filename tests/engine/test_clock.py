"""The clock: a timer fires once whoever ticks, what waits is rung for, every portal is reconciled once a period."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from b24app.engine.clock import BEAT, RECONCILE, RECONCILE_EVERY, Clock
from b24app.engine.declare import Catalogue, Nothing, Timer
from b24app.engine.inbox import Inbox
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.portals import install_portal, uninstall_portal

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)


def timer(code: str, priority: int) -> Timer:
    return Timer(code=code, priority=priority, read=lambda *_: Nothing("x"), decide=lambda _: Nothing("x"))


CATALOGUE = Catalogue(timers=(timer("queue", 50), timer(RECONCILE, 90)))


@pytest.fixture
def inbox(database: Database) -> Inbox:
    install_portal(
        database,
        member_id="m",
        client_id="local.1",
        host="acme.bitrix24.ru",
        client_endpoint="https://acme.bitrix24.ru/rest/",
        application_token_digest="x",
        user_id=1,
    )
    return Inbox(database)


def clock(inbox: Inbox, rung: list[int] | None = None) -> Clock:
    return Clock(inbox, CATALOGUE, (rung if rung is not None else []).append)


def set_timer(inbox: Inbox, key: str, due_at: datetime, code: str = "queue") -> None:
    with inbox.database.write() as connection:
        Memory(inbox.database, connection, "m", NOW).set_timer(
            key, code=code, entity="lead:42", due_at=due_at, payload={"n": key}
        )


def deliveries(inbox: Inbox, code: str) -> list[sa.RowMapping]:
    table = schema.deliveries
    with inbox.database.read() as connection:
        return list(connection.execute(sa.select(table).where(table.c.code == code).order_by(table.c.id)).mappings())


def count(inbox: Inbox, table: sa.Table) -> int:
    with inbox.database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_due_timer_becomes_a_delivery_and_is_gone(inbox: Inbox) -> None:
    set_timer(inbox, "a", NOW - timedelta(seconds=1))
    set_timer(inbox, "later", NOW + timedelta(seconds=1))
    (id,) = clock(inbox).fire_timers(NOW)
    (row,) = deliveries(inbox, "queue")
    assert (row["id"], row["kind"], row["entity"], row["payload"], row["priority"]) == (
        id,
        "timer",
        "lead:42",
        {"n": "a"},
        50,
    )
    assert count(inbox, schema.timers) == 1
    assert clock(inbox).fire_timers(NOW) == []


def test_a_timer_that_is_set_again_is_moved(inbox: Inbox) -> None:
    set_timer(inbox, "a", NOW - timedelta(seconds=1))
    set_timer(inbox, "a", NOW + timedelta(hours=1))
    assert clock(inbox).fire_timers(NOW) == []
    assert len(clock(inbox).fire_timers(NOW + timedelta(hours=2))) == 1


def test_many_due_timers_fire_in_portions_the_earliest_first(inbox: Inbox) -> None:
    for n in range(5):
        set_timer(inbox, str(n), NOW - timedelta(minutes=n))
    clock(inbox).fire_timers(NOW, limit=3)
    assert [row["payload"]["n"] for row in deliveries(inbox, "queue")] == ["4", "3", "2"]


def test_two_clocks_fire_every_timer_exactly_once(inbox: Inbox, database: Database) -> None:
    for n in range(60):
        set_timer(inbox, f"t{n}", NOW - timedelta(seconds=n))
    other = Database(database.url)
    clocks = [clock(inbox), clock(Inbox(other))]
    start = threading.Barrier(2)

    def tick(one: Clock) -> None:
        start.wait()
        for _ in range(30):
            one.fire_timers(NOW, limit=4)

    threads = [threading.Thread(target=tick, args=(one,)) for one in clocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.dispose()
    fired = Counter(row["payload"]["n"] for row in deliveries(inbox, "queue"))
    assert fired == Counter({f"t{n}": 1 for n in range(60)})


def test_a_portal_is_reconciled_once_a_period_however_many_clocks_there_are(inbox: Inbox) -> None:
    one, two = clock(inbox), clock(inbox)
    now = datetime.now(UTC)
    for ticking in (one, two, one):
        ticking.start_reconciliations(now)
        ticking.fire_timers(now)
    assert len(deliveries(inbox, RECONCILE)) == 1
    with inbox.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(state="done"))
    one.start_reconciliations(now + RECONCILE_EVERY / 2)
    assert count(inbox, schema.timers) == 0
    two.start_reconciliations(now + RECONCILE_EVERY + timedelta(seconds=1))
    assert count(inbox, schema.timers) == 1


def test_what_a_clock_that_was_a_day_ahead_left_behind_does_not_stop_the_reconciliations_for_a_day(
    inbox: Inbox,
) -> None:
    now, ahead = datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)
    clock(inbox).start_reconciliations(ahead)
    clock(inbox).start_reconciliations(now)  # set for tomorrow, and fired today
    clock(inbox).fire_timers(now)
    assert len(deliveries(inbox, RECONCILE)) == 1
    with inbox.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(state="done", received_at=ahead))
    clock(inbox).start_reconciliations(now)
    assert count(inbox, schema.timers) == 1


def test_a_reconciliation_that_is_not_over_is_not_started_again(inbox: Inbox) -> None:
    now = datetime.now(UTC)
    clock(inbox).start_reconciliations(now)
    clock(inbox).fire_timers(now)
    clock(inbox).start_reconciliations(now + 10 * RECONCILE_EVERY)
    assert count(inbox, schema.timers) == 0


def test_a_portal_without_the_application_is_not_reconciled(inbox: Inbox, database: Database) -> None:
    uninstall_portal(database, "m", erase=False)
    clock(inbox).start_reconciliations(datetime.now(UTC))
    assert count(inbox, schema.timers) == 0


def test_a_tick_rings_for_what_is_due_and_leaves_its_pulse(inbox: Inbox, database: Database) -> None:
    silent = inbox.record(member_id="m", kind="event", code="E", entity="lead:1", payload={}, priority=50)
    set_timer(inbox, "a", datetime.now(UTC) - timedelta(seconds=1))
    rung: list[int] = []
    clock(inbox, rung).tick()
    (fired,) = deliveries(inbox, "queue")
    assert {silent, fired["id"]} <= set(rung)
    with database.read() as connection:
        pulse = Memory(database, connection, BEAT[0]).cursor(BEAT[1])
    assert pulse is not None
    assert datetime.now(UTC) - datetime.fromisoformat(pulse) < timedelta(minutes=1)
