"""The inbox: every accepted request is a row before it is answered, since Bitrix24 never sends it again.

SQL is the queue. A worker claims the delivery that has waited longest since it was due or since its portal was last
served, each point of priority counting as HEAD_START of waiting less: in one portal the most urgent comes first, and
between portals nobody's urgent work starves somebody else's reports. One of an entity is worked at a time and in order,
under a lease that is renewed before each request; `attempts` is counted before the work and is the fence: whoever lost
the lease can write nothing back.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from b24app.bitrix.limits import Full
from b24app.crashpoint import crashpoint
from b24app.engine.declare import URGENT
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import delivery_values

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
"""Longer than one request may take (78 s, bitrix/wire.py); renewed before each that leaves later than HELD_SECONDS."""
HELD_SECONDS = 10.0
CRASHES_ALLOWED = 4
"""A delivery whose worker died this often is put aside for a person: it must not kill the next one for ever."""
KEEP_DONE = timedelta(days=30)
CLOCK_SET = timedelta(seconds=15)
"""The machine's clock went on by so much more or less than time did: it was set, or the machine slept."""
NOBODY = Full()
HEAD_START = 100_000
"""Microseconds by point of priority: what one portal's telephone has before another's ordinary work (4 s) and reports
(8 s). A portal that always has a telephone ringing would else stop all others."""

deliveries = schema.deliveries


class LostLease(Exception):
    """Another worker took the delivery over; whatever we know of it is stale."""


@dataclass(frozen=True)
class Delivery:
    """One claimed delivery. `attempt` is the fence of every write-back."""

    id: int
    member_id: str
    kind: str
    code: str
    entity: str
    payload: Mapping[str, Any]
    priority: int
    received_at: datetime
    attempt: int
    decision: Any
    decided_at: datetime | None
    failure: str | None
    taken_over: bool = False
    """Whoever had it before died at it, or lost it: what he asked of the portal may still be under way."""


@cache
def _machine() -> str:
    """Where a pid of ours means something: machines made of one image share their host name, containers their pids."""
    try:
        running = Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        running = ""
    return f"{socket.gethostname()[:12]}-{hashlib.sha256(running.encode()).hexdigest()[:7]}"


def _process_start() -> str:
    """The kernel's start time of this process: a pid alone may be somebody else's tomorrow."""
    try:
        return Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return "0"


def owner_name() -> str:
    """Returns the name under which this process holds leases: machine, pid, its start time, and a part of chance."""
    return f"{_machine()}/{os.getpid()}/{_process_start()}/{uuid.uuid4().hex[:6]}"[:64]


def is_gone(owner: str) -> bool:
    """Tells whether `owner` was a process of this machine that is no more; False when nobody can know."""
    parts = owner.split("/")
    if len(parts) != 4 or parts[0] != _machine() or not Path("/proc/self/stat").exists():
        return False
    try:
        stat = Path(f"/proc/{int(parts[1])}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, ValueError, IndexError):
        return True
    return stat[19] != parts[2] or stat[0] == "Z"


def _candidate() -> sa.Select[Any]:
    """The due delivery whose turn it is; `now` and the full portals are parameters: it is built once, asked often."""
    now = sa.bindparam("now", type_=schema.Moment())
    mine, other = deliveries, deliveries.alias("other")
    earlier = sa.exists().where(
        other.c.member_id == mine.c.member_id,
        other.c.entity == mine.c.entity,
        other.c.id != mine.c.id,
        sa.or_(
            sa.and_(other.c.state == "running", other.c.lease_until > now),
            sa.and_(other.c.state.in_(("waiting", "running")), other.c.id < mine.c.id),
        ),
    )
    due = sa.or_(
        sa.and_(mine.c.state == "waiting", mine.c.due_at <= now),
        sa.and_(mine.c.state == "running", mine.c.lease_until <= now),
    )
    portals = schema.portals
    ordinary = mine.c.member_id.not_in(sa.bindparam("ordinary", expanding=True))
    urgent = mine.c.member_id.not_in(sa.bindparam("urgent", expanding=True))
    room = sa.and_(urgent, sa.or_(ordinary, mine.c.priority <= URGENT))
    served, arrived = (sa.type_coerce(column, sa.BigInteger) for column in (portals.c.served_at, mine.c.due_at))
    waits_since = sa.case((served > arrived, served), else_=arrived)
    return (
        sa.select(mine)
        .join(portals, portals.c.member_id == mine.c.member_id)
        .where(due, portals.c.status == "active", room, ~earlier)
        .order_by(waits_since + mine.c.priority * HEAD_START, mine.c.id)
        .limit(1)
    )


CANDIDATE = _candidate()
CLAIMED = CANDIDATE.with_for_update(of=deliveries, skip_locked=True)
"""The same, held: whoever had it before can neither finish it nor renew its lease between our look and our mark."""


@dataclass
class _Arrival:
    """A row on its way into the inbox, held by the thread that answers its request."""

    values: dict[str, Any]
    id: int | None = None
    kept: bool = False


class _Arrivals:
    """Rows that arrive together are committed together: one flush to the disk for all of them.

    Whoever gets the lock first writes what the others brought meanwhile; they find their row kept. Where the common
    transaction fails, each row is tried alone by its own thread, so that one bad row refuses only itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = database.insert_once(deliveries).returning(deliveries.c.id)
        self._writer = threading.Lock()
        self._waiting: deque[_Arrival] = deque()

    def keep(self, values: dict[str, Any]) -> int | None:
        """Returns the row's id once it is on the disk, or None where its unique key already stands."""
        mine = _Arrival(values)
        self._waiting.append(mine)
        with self._writer:
            if not mine.kept:
                together = [self._waiting.popleft() for _ in range(len(self._waiting))]
                try:
                    self._write(together)
                except sa.exc.SQLAlchemyError:
                    if together == [mine]:
                        raise
            if not mine.kept:
                self._write([mine])
        return mine.id

    def _write(self, arrivals: Sequence[_Arrival]) -> None:
        with self._database.write() as connection:
            ids = [connection.execute(self._insert, a.values).scalar_one_or_none() for a in arrivals]
        for arrival, id in zip(arrivals, ids, strict=True):
            arrival.id, arrival.kept = id, True


class Inbox:
    """Deliveries: record, claim, save what was decided, postpone, finish."""

    def __init__(self, database: Database, *, lease: timedelta = LEASE) -> None:
        self.database = database
        self.lease = lease
        self.owner = owner_name()
        self._arrivals = _Arrivals(database)
        self._looked_at = (_now(), time.monotonic())

    def record(
        self,
        *,
        member_id: str,
        kind: str,
        code: str,
        entity: str,
        payload: Mapping[str, Any],
        priority: int,
        unique_key: str | None = None,
        due_at: datetime | None = None,
    ) -> int | None:
        """Returns the id of the new delivery, or None where its unique key already stands (a repeated robot call)."""
        values = delivery_values(
            member_id=member_id,
            kind=kind,
            code=code,
            entity=entity,
            payload=payload,
            priority=priority,
            now=datetime.now(UTC),
            unique_key=unique_key,
            due_at=due_at,
        )
        crashpoint("door_before_inbox")
        recorded = self._arrivals.keep(values)
        crashpoint("door_after_inbox")
        return recorded

    def claim(self, full: Full = NOBODY) -> Delivery | None:
        """Returns the due delivery whose turn it is, now ours for the length of the lease, or None.

        What would only wait beside another worker for room in a `full` portal is left alone.
        """
        self.mind_the_clock()
        now = datetime.now(UTC)
        asked = {"now": now, "ordinary": list(full.ordinary), "urgent": list(full.urgent)}
        with self.database.read() as connection:
            if connection.execute(CANDIDATE, asked).first() is None:
                return None
        with self.database.write() as connection:
            self.database.serialise(connection, "claim")
            row = connection.execute(CLAIMED, asked).mappings().first()
            if row is None:
                return None
            crashed = row["state"] == "running"
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == row["id"])
                .values(
                    state="running",
                    attempts=row["attempts"] + 1,
                    crashes=row["crashes"] + (1 if crashed else 0),
                    lease_owner=self.owner,
                    lease_until=now + self.lease,
                )
            )
            connection.execute(
                sa.update(schema.portals).where(schema.portals.c.member_id == row["member_id"]).values(served_at=now)
            )
            if row["kind"] == "event" and row["decision"] is None:  # once decided, it will not look at the portal again
                self._merge_repeats(connection, row)
        return Delivery(
            id=row["id"],
            member_id=row["member_id"],
            kind=row["kind"],
            code=row["code"],
            entity=row["entity"],
            payload=row["payload"],
            priority=row["priority"],
            received_at=row["received_at"],
            attempt=row["attempts"] + 1,
            decision=row["decision"],
            decided_at=row["decided_at"],
            failure=row["failure"]
            if row["crashes"] + (1 if crashed else 0) <= CRASHES_ALLOWED
            else row["failure"] or "работник падал на этой доставке / its worker died again and again",
            taken_over=crashed,
        )

    def _merge_repeats(self, connection: sa.Connection, row: schema.Row) -> None:
        """An event is a dirty flag: the same one waiting again says nothing that reading now will not show."""
        repeats = connection.execute(
            sa.select(deliveries.c.id, deliveries.c.payload)
            .where(
                deliveries.c.member_id == row["member_id"],
                deliveries.c.entity == row["entity"],
                deliveries.c.state == "waiting",
                deliveries.c.kind == "event",
                deliveries.c.code == row["code"],
                deliveries.c.id > row["id"],
            )
            .with_for_update(skip_locked=True)  # who claims waits for nobody, so nobody waits for him in a circle
        )
        same = [id for id, payload in repeats if payload.get("data") == row["payload"].get("data")]
        if same:
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id.in_(same))
                .values(state="merged", reason=f"то же событие, что доставка {row['id']} / same as", finished_at=_now())
            )

    def renew(self, delivery: Delivery) -> None:
        """Prolongs the lease, or raises LostLease: somebody else works on it."""
        with self.database.write() as connection:
            self.write_back(connection, delivery, lease_until=_now() + self.lease)

    def holder(self, delivery: Delivery) -> Callable[[], None]:
        """Returns what to call before each request: it prolongs the lease that was not for HELD_SECONDS.

        What it returns raises LostLease where somebody else works on the delivery by now: nothing leaves then.
        """
        held_at = time.monotonic()

        def hold() -> None:
            nonlocal held_at
            if time.monotonic() - held_at >= min(HELD_SECONDS, self.lease.total_seconds() / 9):
                self.renew(delivery)
                held_at = time.monotonic()

        return hold

    def write_back(self, connection: sa.Connection, delivery: Delivery, **values: Any) -> None:
        """Changes the delivery's row inside the caller's transaction, or raises LostLease."""
        changed = connection.execute(
            sa.update(deliveries)
            .where(
                deliveries.c.id == delivery.id,
                deliveries.c.state == "running",
                deliveries.c.attempts == delivery.attempt,
            )
            .values(**values)
        )
        if changed.rowcount != 1:
            raise LostLease(f"delivery {delivery.id}, attempt {delivery.attempt}")

    def postpone(self, delivery: Delivery, retry_at: datetime, reason: str) -> None:
        """Puts the delivery back until `retry_at`, with the reason for whoever asks why it waits."""
        with self.database.write() as connection:
            self.write_back(
                connection, delivery, state="waiting", due_at=retry_at, reason=reason[:1000], lease_owner=None
            )

    def finish(self, connection: sa.Connection, delivery: Delivery, state: str, reason: str = "") -> None:
        """Ends the delivery as done or failed, in the caller's transaction: now the portal shows its turns."""
        now = _now()
        self.write_back(
            connection, delivery, state=state, reason=reason[:1000] or None, finished_at=now, lease_owner=None
        )
        table = schema.assignments
        connection.execute(
            sa.update(table)
            .where(table.c.delivery_id == delivery.id, table.c.written_at.is_(None))
            .values(written_at=now)
        )

    # what the clock and people ask

    def mind_the_clock(self) -> None:
        """Notices that the machine's clock was set since we last looked at it.

        A lease that had not ended lasts anew from now: put forward, the clock must not take from a living worker what
        he is at; put back, it must not keep for an hour what a hung one had. What was postponed for seconds does not
        wait for an hour: it is tried now, and what had a reason to wait longer is postponed again.
        """
        (then, before), (now, after) = self._looked_at, (_now(), time.monotonic())
        self._looked_at = (now, after)
        step = now - then - timedelta(seconds=after - before)
        if abs(step) < CLOCK_SET:
            return
        log.warning("clock=set step_s=%d", step.total_seconds())
        table = deliveries
        held = sa.and_(table.c.state == "running", table.c.lease_until > now - step)
        with self.database.write() as connection:
            connection.execute(sa.update(table).where(held).values(lease_until=now + self.lease))
            if step < timedelta(0):
                postponed = sa.and_(table.c.state == "waiting", table.c.due_at > now)
                connection.execute(sa.update(table).where(postponed).values(due_at=now))

    def due(self, limit: int) -> list[int]:
        """Returns ids of deliveries that wait for nobody but a worker."""
        now = _now()
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(deliveries.c.id)
                .where(
                    sa.or_(
                        sa.and_(deliveries.c.state == "waiting", deliveries.c.due_at <= now),
                        sa.and_(deliveries.c.state == "running", deliveries.c.lease_until <= now),
                    )
                )
                .order_by(deliveries.c.priority, deliveries.c.id)
                .limit(limit)
            )
            return [id for (id,) in rows]

    def free_leases_of_the_dead(self) -> int:
        """Ends the leases of processes of this machine that are gone; returns how many there were."""
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(deliveries.c.id, deliveries.c.attempts, deliveries.c.lease_owner).where(
                    deliveries.c.state == "running", deliveries.c.lease_until > _now()
                )
            ).all()
        gone = [(id, attempts) for id, attempts, owner in rows if owner and is_gone(owner)]
        if gone:
            with self.database.write() as connection:
                for id, attempts in gone:
                    connection.execute(
                        sa.update(deliveries)
                        .where(
                            deliveries.c.id == id, deliveries.c.attempts == attempts, deliveries.c.state == "running"
                        )
                        .values(lease_until=_now())
                    )
        return len(gone)

    def again(self, delivery_id: int, member_id: str) -> bool:
        """A person's «ещё раз» for a failed delivery: it waits again from where it stopped. False: no such one.

        What the portal refused, and what needed that, is sent again: the person says that he mended the cause. What
        was given up after it had perhaps left is looked up first.
        """
        revived = {"state": "waiting", "due_at": _now(), "crashes": 0, "failure": None}
        table = schema.commands
        with self.database.write() as connection:
            if not self._revive(connection, delivery_id, member_id, finished_at=None, **revived):
                return False
            in_doubt = sa.and_(table.c.state == "skipped", table.c.first_sent_at.is_not(None))
            connection.execute(
                sa.update(table)
                .where(table.c.delivery_id == delivery_id, table.c.state.in_(("failed", "skipped")))
                .values(state=sa.case((in_doubt, "sent"), else_="written"), reason=None, finished_at=None)
            )
            return True

    def give_up(self, delivery_id: int, member_id: str) -> bool:
        """A person's «оставить»: the failed delivery is off the list of what needs somebody. False: no such one."""
        reason = "оставлено человеком / given up by a person"
        with self.database.write() as connection:
            return self._revive(connection, delivery_id, member_id, state="done", reason=reason)

    @staticmethod
    def _revive(connection: sa.Connection, delivery_id: int, member_id: str, **values: Any) -> bool:
        changed = connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery_id, deliveries.c.member_id == member_id, deliveries.c.state == "failed")
            .values(**values)
        )
        return changed.rowcount == 1

    def sweep_out(self) -> int:
        """Deletes deliveries that ended long ago; returns how many."""
        with self.database.write() as connection:
            gone = connection.execute(
                sa.delete(deliveries).where(
                    deliveries.c.state.in_(("done", "merged")), deliveries.c.finished_at < _now() - KEEP_DONE
                )
            )
            return gone.rowcount


def _now() -> datetime:
    return datetime.now(UTC)
