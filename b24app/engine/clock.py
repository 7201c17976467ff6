"""The clock: due timers become deliveries, what waits unseen is rung for, portals are looked at again and again.

Several clocks do no harm: every step takes what it changes, or finds it taken. A stopped one costs lateness, nothing
else: due times stand in the database.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from b24app.crashpoint import crashpoint
from b24app.engine.declare import NORMAL, Catalogue
from b24app.engine.inbox import Inbox
from b24app.store import schema
from b24app.store.memory import Memory
from b24app.store.tally import BEAT

log = logging.getLogger(__name__)

TICK_SECONDS = 3.0
RECONCILE_EVERY = timedelta(minutes=5)
RECONCILE = "reconcile"
PERIODIC = {RECONCILE: RECONCILE_EVERY, "offline_events": RECONCILE_EVERY, "admin_notice": timedelta(minutes=10)}
"""Timers that every active portal gets again and again, by code: so long after the last one."""
SWEEP_OUT_EVERY = timedelta(hours=6)
RINGS_A_TICK = 16


class Clock:
    """Ticks every few seconds until `stop` is set."""

    def __init__(self, inbox: Inbox, catalogue: Catalogue, ring: Callable[[int], None]) -> None:
        self.inbox = inbox
        self.database = inbox.database
        self.catalogue = catalogue
        self.ring = ring
        self.stopped = threading.Event()
        self._swept_out_at: datetime | None = None

    def run(self, tick_seconds: float = TICK_SECONDS) -> None:
        """Ticks until SIGTERM or SIGINT. A database in trouble is waited out."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopped.set())
        while not self.stopped.is_set():
            try:
                self.tick()
            except sa.exc.SQLAlchemyError as error:
                log.warning("clock=late error=%s", type(error).__name__)
            self.stopped.wait(tick_seconds)

    def tick(self) -> None:
        """Does once what is due now."""
        self.inbox.mind_the_clock()
        now = datetime.now(UTC)
        self.inbox.free_leases_of_the_dead()
        fired = self.fire_timers(now)
        crashpoint("clock_after_timers")
        self.start_reconciliations(now)
        for id in {*fired, *self.inbox.due(RINGS_A_TICK)}:
            self.ring(id)
        if self._swept_out_at is None or now - self._swept_out_at > SWEEP_OUT_EVERY:
            self.inbox.sweep_out()
            self._swept_out_at = now
        with self.database.write() as connection:
            Memory(self.database, connection, BEAT[0], now).move_cursor(BEAT[1], now.isoformat())

    def fire_timers(self, now: datetime, limit: int = 200) -> list[int]:
        """Turns due timers into deliveries, each in the transaction that takes the timer away; returns their ids."""
        timers = schema.timers
        due = sa.select(timers).where(timers.c.due_at <= now).order_by(timers.c.due_at).limit(limit)
        with self.database.read() as connection:
            if connection.execute(due.with_only_columns(timers.c.id).limit(1)).first() is None:
                return []
        due = due.with_for_update(skip_locked=True)  # what another clock fires, or a decision moves, is not ours
        fired: list[int] = []
        with self.database.write() as connection:
            for row in connection.execute(due).mappings().all():
                connection.execute(sa.delete(timers).where(timers.c.id == row["id"]))
                fired += self._deliver(connection, row, now)
        return fired

    def _deliver(self, connection: sa.Connection, row: Any, now: datetime) -> list[int]:
        declared = self.catalogue.timer(row["code"])
        memory = Memory(self.database, connection, row["member_id"], now)
        memory.deliver(
            kind="timer",
            code=row["code"],
            entity=row["entity"],
            payload=row["payload"],
            priority=declared.priority if declared else NORMAL,
        )
        return memory.new_deliveries

    def start_reconciliations(self, now: datetime) -> None:
        """Sets what is PERIODIC for every active portal that has none yet and had none lately."""
        for code, every in PERIODIC.items():
            if self.catalogue.timer(code) is not None:
                self._start(code, every, now)

    def _start(self, code: str, every: timedelta, now: datetime) -> None:
        portals, deliveries, timers = schema.portals, schema.deliveries, schema.timers
        waiting = sa.exists().where(
            deliveries.c.member_id == portals.c.member_id,
            deliveries.c.entity == code,
            # what a clock that was ahead left behind is none of the last minutes
            sa.or_(deliveries.c.state.in_(("waiting", "running")), deliveries.c.received_at.between(now - every, now)),
        )
        set_already = sa.exists().where(
            timers.c.member_id == portals.c.member_id, timers.c.code == code, timers.c.due_at <= now
        )
        late = sa.select(portals.c.member_id).where(portals.c.status == "active", ~waiting, ~set_already)
        with self.database.read() as connection:
            if connection.execute(late).first() is None:
                return
        with self.database.write() as connection:
            self.database.serialise(connection, code)  # asked again: another clock may have been faster
            for member_id in connection.execute(late).scalars().all():
                Memory(self.database, connection, member_id, now).set_timer(code, code=code, entity=code, due_at=now)
