"""Several machines at one database: whoever meets whom, nothing is done twice, forgotten, or waited for in a circle.

What SQLite cannot even begin, a second write beside one that stands open, is tried on PostgreSQL alone.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from bitrix.scripted import Oauth, settings_text
from bitrix.scripted import install as install_scripted

from b24app.bitrix.oauth import Pair, Tokens
from b24app.config import parse
from b24app.engine.clock import Clock
from b24app.engine.declare import Catalogue
from b24app.engine.inbox import Delivery, Inbox, LostLease
from b24app.store import process_memory, schema
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.portals import install_portal, learn, portal_of, uninstall_portal

ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
MEMBERS = ("one", "two")


def install(database: Database, member_id: str = "one") -> None:
    install_portal(
        database, member_id=member_id, client_id=f"local.{member_id}", host="x", client_endpoint="https://x/rest/",
        application_token_digest="x", user_id=1,
    )  # fmt: skip


@pytest.fixture
def machines(database: Database) -> Iterator[list[Database]]:
    """Four connections to one database, as four processes have them; both portals are installed."""
    for member_id in MEMBERS:
        install(database, member_id)
    others = [Database(database.url) for _ in range(3)]
    yield [database, *others]
    for one in others:
        one.dispose()


@contextmanager
def memory(database: Database, now: datetime = NOW) -> Iterator[Memory]:
    with database.write() as connection:
        yield Memory(database, connection, "one", now)


def together(machines: Sequence[Database], work: Callable[[Database, int], None]) -> None:
    """Lets every machine work at the same moment; whatever one of them raises is raised here."""
    start = threading.Barrier(len(machines))

    def begin(database: Database, number: int) -> None:
        start.wait(20)
        work(database, number)

    with ThreadPoolExecutor(len(machines)) as threads:
        for future in [threads.submit(begin, *pair) for pair in zip(machines, itertools.count(), strict=False)]:
            future.result(60)


def record(inbox: Inbox, number: int, **changes: Any) -> int:
    values = {"member_id": MEMBERS[number % 2], "kind": "robot", "code": "R", "payload": {}, "priority": 50}
    id = inbox.record(**{"entity": f"lead:{number % 6}", **values, **changes})
    assert id is not None
    return id


def end(inbox: Inbox, delivery: Delivery) -> None:
    with inbox.database.write() as connection:
        inbox.finish(connection, delivery, "done")


def test_every_delivery_is_worked_on_once_in_its_entitys_order_and_alone(machines: list[Database]) -> None:
    ids = [record(Inbox(machines[0]), number) for number in range(60)]
    at_work: Counter[str] = Counter()
    order: dict[str, list[int]] = defaultdict(list)
    most: list[int] = []

    def work(database: Database, _: int) -> None:
        inbox = Inbox(database)
        while len(most) < len(ids):
            delivery = inbox.claim()
            if delivery is not None:
                at_work[delivery.entity] += 1
                most.append(at_work[delivery.entity])
                order[delivery.entity].append(delivery.id)
                inbox.renew(delivery)
                at_work[delivery.entity] -= 1
                end(inbox, delivery)

    together(machines, work)
    assert sorted(id for each in order.values() for id in each) == ids
    assert all(each == sorted(each) for each in order.values())
    assert set(most) == {1}


@ON_POSTGRESQL
@pytest.mark.parametrize("last", ["finishes", "renews"])
def test_a_delivery_whose_lease_is_over_is_not_taken_from_whoever_writes_it_back_just_now(
    machines: list[Database], last: str
) -> None:
    slow, other = Inbox(machines[0], lease=timedelta(0)), Inbox(machines[1])
    record(slow, 0)
    delivery = slow.claim()
    assert delivery is not None
    with machines[0].write() as connection:
        if last == "finishes":
            slow.finish(connection, delivery, "done")
        else:
            slow.write_back(connection, delivery, lease_until=datetime.now(UTC) + timedelta(minutes=1))
        assert other.claim() is None
    assert other.claim() is None


@ON_POSTGRESQL
def test_whoever_writes_back_what_is_being_taken_over_comes_too_late(machines: list[Database]) -> None:
    slow, other = Inbox(machines[0], lease=timedelta(0)), Inbox(machines[1])
    record(slow, 0)
    lost = slow.claim()
    assert lost is not None
    with ThreadPoolExecutor(2) as thread, machines[2].write() as portals:
        portals.execute(sa.update(schema.portals).values(served_at=NOW))  # the claim waits here, half done
        claim = thread.submit(other.claim)
        while not _waiting_for_locks(machines[3]):
            threading.Event().wait(0.01)
        finish = thread.submit(end, slow, lost)
        while _waiting_for_locks(machines[3]) < 2:
            threading.Event().wait(0.01)
        portals.rollback()
    assert claim.result(20) is not None
    with pytest.raises(LostLease):
        finish.result(20)


@ON_POSTGRESQL
def test_whoever_claims_an_event_does_not_wait_for_whoever_calls_its_repeat_off(machines: list[Database]) -> None:
    inbox = Inbox(machines[1])
    first, repeat = record(inbox, 0, kind="event"), record(inbox, 0, kind="event")
    with machines[0].write() as connection:
        row = schema.deliveries.c.id == repeat
        connection.execute(sa.update(schema.deliveries).where(row).values(state="done"))
        claimed = inbox.claim()
    assert claimed is not None
    assert claimed.id == first


def _waiting_for_locks(database: Database) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with database.read() as connection:
        return connection.execute(sa.text(query)).scalar_one()


@ON_POSTGRESQL
def test_a_clock_fires_what_it_can_and_waits_for_nobody(machines: list[Database]) -> None:
    clock = Clock(Inbox(machines[1]), Catalogue(), lambda _: None)
    with memory(machines[0]) as one:
        for key in "abc":
            one.set_timer(key, code="queue", entity=f"lead:{key}", due_at=NOW)
    with memory(machines[0]) as one:
        one.set_timer("b", code="queue", entity="lead:b", due_at=NOW + timedelta(hours=1))
        assert len(clock.fire_timers(NOW)) == 2
        one.set_timer("a", code="queue", entity="lead:a", due_at=NOW)  # set anew, since it has fired
    assert len(clock.fire_timers(NOW)) == 1
    assert len(clock.fire_timers(NOW + timedelta(hours=1))) == 1


def test_four_clocks_and_whoever_moves_timers_lose_none(machines: list[Database]) -> None:
    """All are due at the same moment, as messages are that waited for the morning."""
    keys = [f"t{number}" for number in range(40)]
    with memory(machines[0]) as one:
        for key in keys:
            one.set_timer(key, code="queue", entity=key, due_at=NOW)

    def work(database: Database, number: int) -> None:
        clock = Clock(Inbox(database), Catalogue(), lambda _: None)
        for _ in range(10):
            if number:
                clock.fire_timers(NOW, limit=7)
            else:
                with memory(database) as one:
                    for key in reversed(keys):
                        one.connection.execute(
                            sa.update(schema.timers).where(schema.timers.c.key == key).values(due_at=NOW)
                        )

    together(machines, work)
    Clock(Inbox(machines[0]), Catalogue(), lambda _: None).fire_timers(NOW)
    with machines[0].read() as connection:
        assert Counter(connection.execute(sa.select(schema.deliveries.c.entity)).scalars()) == Counter(keys)


def test_what_several_learn_of_a_portal_at_once_is_all_known(machines: list[Database]) -> None:
    def work(database: Database, number: int) -> None:
        for step in range(10):
            learn(database, "one", {f"{number}-{step}": step})

    together(machines, work)
    row = portal_of(machines[0], "one")
    assert row is not None
    assert row.facts == {f"{number}-{step}": step for number in range(4) for step in range(10)}


def test_a_portal_that_two_pages_install_at_once_is_installed(machines: list[Database]) -> None:
    for number in range(5):
        together(machines, lambda database, _, name=f"new{number}": install(database, name))  # type: ignore[misc]
    with machines[0].read() as connection:
        assert len(connection.execute(sa.select(schema.portals)).all()) == 2 + 5


def test_workers_who_meet_an_expired_token_together_ask_for_one_new_pair(machines: list[Database]) -> None:
    server = Oauth()
    server.seconds, server.member_id, server.endpoint = 0.2, "m", f"{server.url}/rest/"
    settings = parse(settings_text(server.host, server.url))
    install_scripted(machines[0], "m", server.host)
    tokens = [Tokens(database, settings) for database in machines]
    tokens[0].store("m", 1, "owner", Pair("access-0", "refresh-0", NOW))
    for number in range(1, 4):
        held = tokens[0].owner("m")
        got: list[str] = []
        together(machines, lambda _, n, held=held, got=got: got.append(tokens[n].refresh(held).access))  # type: ignore[misc]
        assert got == [f"access-{number}"] * 4
    assert server.count == 3
    server.close()


def test_cards_that_two_workers_keep_at_once_are_kept(machines: list[Database]) -> None:
    names = [f"lead:{number}" for number in range(30)]

    def work(database: Database, number: int) -> None:
        for _ in range(10):
            with memory(database) as one:
                process_memory.keep_cards(one, {name: {} for name in (names if number % 2 else names[::-1])}, NOW)

    together(machines, work)


@pytest.mark.parametrize("erase", [True, False])
def test_a_portal_that_goes_while_its_deliveries_are_worked_on_is_gone(machines: list[Database], erase: bool) -> None:
    gone = threading.Event()

    def work(database: Database, number: int) -> None:
        inbox = Inbox(database)
        if not number:
            threading.Event().wait(0.05)
            uninstall_portal(database, "one", erase=erase)
            gone.set()
        step = 0
        while not gone.is_set():
            step += 1
            record(inbox, 0, entity=f"lead:{number}-{step}")
            try:
                delivery = inbox.claim()
                if delivery is not None:
                    _decide(inbox, delivery)
                    end(inbox, delivery)
            except LostLease:
                pass

    together(machines, work)
    row = portal_of(machines[0], "one")
    assert row is None if erase else row is not None and not row.active
    assert Inbox(machines[0]).claim() is None


def _decide(inbox: Inbox, delivery: Delivery) -> None:
    with memory(inbox.database) as one:
        one.database.serialise(one.connection, f"decide:{delivery.member_id}")
        inbox.write_back(one.connection, delivery, decided_at=NOW)
        why = {"key": delivery.entity, "entity": delivery.entity, "cause": "missed"}
        one.assign(**why, queue="q", manager_id=1, took_turn=True, card={})
        one.set_timer("queue", code="queue", entity="lead:1", due_at=NOW)
