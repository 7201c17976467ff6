"""What we remember of a portal: assignments and turns, calls, timers, snapshots. SQL, inside the caller's transaction.

A Memory lives as long as its transaction. Decisions read it and write it in the same short transaction, so two workers
that decide at the same moment see each other's choice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from b24app.entities import PhoneCall
from b24app.store import schema
from b24app.store.database import Database

FORGOTTEN_CALL = timedelta(hours=4)
"""A call without its end is nobody's conversation any more after this long, whatever the playbook says."""

ASKED_AT_ONCE = 500
"""Entities of one question: far below the number of parameters that either database allows."""


@dataclass(frozen=True)
class AssignmentRow:
    """One assignment that was decided."""

    id: int
    key: str
    entity: str
    cause: str
    manager_id: int | None
    decided_at: datetime
    written_at: datetime | None
    call_id: str | None
    phone: str | None
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """When a person last had his turn in a queue, and how many of his turns the portal does not show yet."""

    last_at: datetime | None = None
    unwritten: int = 0


@dataclass(frozen=True)
class KnownCall:
    """A call as our memory has it."""

    call: PhoneCall
    seen_at: datetime
    ended_at: datetime | None


def delivery_values(
    *,
    member_id: str,
    kind: str,
    code: str,
    entity: str,
    payload: Mapping[str, Any],
    priority: int,
    now: datetime,
    unique_key: str | None = None,
    due_at: datetime | None = None,
) -> dict[str, Any]:
    """Returns the row of a new delivery."""
    return {
        "member_id": member_id,
        "kind": kind,
        "code": code,
        "entity": entity,
        "unique_key": unique_key,
        "payload": dict(payload),
        "priority": priority,
        "state": "waiting",
        "received_at": now,
        "due_at": due_at or now,
        "attempts": 0,
        "crashes": 0,
    }


@dataclass
class Memory:
    """Our own database as the rules may see it, for one portal. `delivery_id` is the delivery that is being decided."""

    database: Database
    connection: sa.Connection
    member_id: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    delivery_id: int = 0
    new_deliveries: list[int] = field(default_factory=list)

    # assignments and turns

    def assignment(self, key: str) -> AssignmentRow | None:
        """Returns the assignment that was made for this reason."""
        return self._assignment(schema.assignments.c.key == key)

    def assignment_of(self, entity: str, *, since: datetime | None = None) -> AssignmentRow | None:
        """Returns the newest assignment of the item."""
        table = schema.assignments
        return self._assignment(table.c.entity == entity, table.c.decided_at >= since if since else sa.true())

    def assignment_by_call(self, call_id: str) -> AssignmentRow | None:
        """Returns the newest assignment made because of this call."""
        return self._assignment(schema.assignments.c.call_id == call_id)

    def assignment_by_phone(self, phone: str, *, since: datetime) -> AssignmentRow | None:
        """Returns the newest assignment made for this number since then."""
        table = schema.assignments
        return self._assignment(table.c.phone == phone, table.c.decided_at >= since)

    def _assignment(self, *where: sa.ColumnElement[bool]) -> AssignmentRow | None:
        table = schema.assignments
        found = self.connection.execute(
            sa.select(table).where(table.c.member_id == self.member_id, *where).order_by(table.c.id.desc()).limit(1)
        ).mappings()
        row = found.one_or_none()
        return (
            None if row is None else AssignmentRow(**{name: row[name] for name in AssignmentRow.__dataclass_fields__})
        )

    def turns(self, queue: str, *, read_at: datetime | None = None) -> dict[int, Turn]:
        """Returns everybody's turns in the queue; unwritten ones are decided but not on the portal yet.

        With `read_at`, not on the portal when we began to read it: what was written since then is not in its counts.
        """
        table = schema.assignments
        unwritten: sa.ColumnElement[bool] = table.c.written_at.is_(None)
        if read_at is not None:
            unwritten = sa.or_(unwritten, table.c.written_at >= read_at)
        rows = self.connection.execute(
            sa.select(
                table.c.manager_id,
                sa.func.max(table.c.decided_at),
                sa.func.sum(sa.case((unwritten, 1), else_=0)),
            )
            .where(
                table.c.member_id == self.member_id,
                table.c.queue == queue,
                table.c.took_turn.is_(True),
                table.c.manager_id.is_not(None),
            )
            .group_by(table.c.manager_id)
        )
        return {manager: Turn(_moment(last), int(count)) for manager, last, count in rows}

    def assign(
        self,
        *,
        key: str,
        entity: str,
        cause: str,
        queue: str,
        manager_id: int | None,
        took_turn: bool,
        card: Mapping[str, Any],
        phone: str | None = None,
        call_id: str | None = None,
        written_at: datetime | None = None,
    ) -> None:
        """Keeps a decision: one a reason, a later one for the same reason replaces it."""
        values = {
            "member_id": self.member_id,
            "key": key,
            "entity": entity,
            "cause": cause,
            "queue": queue,
            "manager_id": manager_id,
            "took_turn": took_turn,
            "phone": phone,
            "call_id": call_id,
            "delivery_id": self.delivery_id,
            "card": dict(card),
            "decided_at": self.now,
            "written_at": written_at,
        }
        self.connection.execute(self.database.upsert(schema.assignments, values, ("member_id", "key")))

    def bind(self, key: str, entity: str) -> None:
        """Says which item a treatment was about, once the portal made it."""
        table = schema.assignments
        self.connection.execute(
            sa.update(table).where(table.c.member_id == self.member_id, table.c.key == key).values(entity=entity)
        )

    # calls

    def call(self, call_id: str) -> KnownCall | None:
        """Returns what is known of a call."""
        return next(iter(self._calls(schema.calls.c.call_id == call_id)), None)

    def calls_of(self, phone: str, *, since: datetime) -> list[KnownCall]:
        """Returns the calls with this number since then, the newest first."""
        return self._calls(schema.calls.c.phone == phone, schema.calls.c.seen_at >= since)

    def talking(self, *, since: datetime) -> set[int]:
        """Returns who is on a call now: it started and has not ended."""
        table = schema.calls
        rows = self.connection.execute(
            sa.select(table.c.user_id).where(
                table.c.member_id == self.member_id,
                table.c.ended_at.is_(None),
                table.c.started_at.is_not(None),
                table.c.user_id.is_not(None),
                table.c.seen_at >= since,
            )
        )
        return {user_id for (user_id,) in rows}

    def _calls(self, *where: sa.ColumnElement[bool]) -> list[KnownCall]:
        table = schema.calls
        rows = self.connection.execute(
            sa.select(table)
            .where(table.c.member_id == self.member_id, *where)
            .order_by(table.c.seen_at.desc())
            .limit(20)
        ).mappings()
        return [
            KnownCall(
                PhoneCall(
                    call_id=row["call_id"],
                    call_type=row["call_type"],
                    phone=row["phone"] or "",
                    user_id=row["user_id"],
                    failed_code=row["failed_code"] or "",
                    started_at=row["started_at"],
                ),
                row["seen_at"],
                row["ended_at"],
            )
            for row in rows
        ]

    def keep_call(self, call: PhoneCall, *, ended: bool = False) -> None:
        """Keeps what an event told of a call; what it does not tell stays as known before."""
        known = self.call(call.call_id)
        before = known.call if known else PhoneCall(call.call_id)
        values = {
            "member_id": self.member_id,
            "call_id": call.call_id,
            "call_type": call.call_type if call.call_type is not None else before.call_type,
            "phone": call.phone or before.phone or None,
            "user_id": call.user_id if call.user_id is not None else before.user_id,
            "seen_at": known.seen_at if known else self.now,
            "started_at": call.started_at or before.started_at,
            "ended_at": (known.ended_at if known else None) or (self.now if ended else None),
            "failed_code": call.failed_code or before.failed_code or None,
        }
        self.connection.execute(self.database.upsert(schema.calls, values, ("member_id", "call_id")))

    # timers, cursors, snapshots, deliveries of our own

    def set_timer(
        self, key: str, *, code: str, entity: str, due_at: datetime, payload: Mapping[str, Any] | None = None
    ) -> None:
        """Sets the timer of this key, or moves it."""
        values = {
            "member_id": self.member_id,
            "key": key,
            "code": code,
            "entity": entity,
            "payload": dict(payload or {}),
            "due_at": due_at,
        }
        self.connection.execute(self.database.upsert(schema.timers, values, ("member_id", "key")))

    def drop_timer(self, key: str) -> None:
        """Takes the timer away, where it still stands."""
        table = schema.timers
        self.connection.execute(sa.delete(table).where(table.c.member_id == self.member_id, table.c.key == key))

    def call_off(self, entity: str, reason: str) -> None:
        """Ends deliveries about this that wait for their turn or for better times; one that is at work goes on."""
        table = schema.deliveries
        self.connection.execute(
            sa.update(table)
            .where(table.c.member_id == self.member_id, table.c.entity == entity, table.c.state == "waiting")
            .values(state="done", reason=reason, finished_at=self.now)
        )

    def cursor(self, name: str) -> str | None:
        """Returns how far a reconciliation came."""
        table = schema.cursors
        return self.connection.execute(
            sa.select(table.c.value).where(table.c.member_id == self.member_id, table.c.name == name)
        ).scalar_one_or_none()

    def move_cursor(self, name: str, value: str) -> None:
        """Keeps how far a reconciliation came."""
        values = {"member_id": self.member_id, "name": name, "value": value, "updated_at": self.now}
        self.connection.execute(self.database.upsert(schema.cursors, values, ("member_id", "name")))

    def snapshot(self, name: str, *, not_older_than: timedelta) -> Any | None:
        """Returns what the portal said the last time, where that is recent enough."""
        table = schema.snapshots
        return self.connection.execute(
            sa.select(table.c.value).where(
                table.c.member_id == self.member_id, table.c.name == name, table.c.taken_at >= self.now - not_older_than
            )
        ).scalar_one_or_none()

    def keep_snapshot(self, name: str, value: Any) -> None:
        """Keeps what the portal said just now."""
        values = {"member_id": self.member_id, "name": name, "value": value, "taken_at": self.now}
        self.connection.execute(self.database.upsert(schema.snapshots, values, ("member_id", "name")))

    def deliver(
        self,
        *,
        kind: str,
        code: str,
        entity: str,
        payload: Mapping[str, Any],
        priority: int,
        unique_key: str | None = None,
        due_at: datetime | None = None,
    ) -> None:
        """Puts a delivery of our own into the inbox (an event that reconciliation found, a second look)."""
        values = delivery_values(
            member_id=self.member_id,
            kind=kind,
            code=code,
            entity=entity,
            payload=payload,
            priority=priority,
            now=self.now,
            unique_key=unique_key,
            due_at=due_at,
        )
        statement = self.database.insert_once(schema.deliveries, values).returning(schema.deliveries.c.id)
        inserted = self.connection.execute(statement).scalar_one_or_none()
        if inserted is not None:
            self.new_deliveries.append(inserted)

    def deliver_events(self, code: str, payloads: Mapping[str, Mapping[str, Any]], priority: int) -> None:
        """Puts an event of this kind into the inbox for every entity: tens of thousands while the doors wait for us."""
        rows = [
            delivery_values(
                member_id=self.member_id,
                kind="event",
                code=code,
                entity=entity,
                payload=payload,
                priority=priority,
                now=self.now,
            )
            for entity, payload in payloads.items()
        ]
        if rows:
            statement = self.database.insert_once(schema.deliveries).returning(schema.deliveries.c.id)
            self.new_deliveries += self.connection.execute(statement, rows).scalars()

    def unseen(self, code: str, entities: Sequence[str]) -> list[str]:
        """Returns those of which no event of this kind came."""
        table = schema.deliveries
        return self._without(table, entities, table.c.code == code)

    def last_came(self, code: str, entities: Sequence[str]) -> dict[str, datetime]:
        """Returns when the last event of this kind came about each of these, where one did."""
        table = schema.deliveries
        last: dict[str, datetime] = {}
        for start in range(0, len(entities), ASKED_AT_ONCE):
            some = table.c.entity.in_(entities[start : start + ASKED_AT_ONCE])
            query = sa.select(table.c.entity, sa.func.max(table.c.received_at)).group_by(table.c.entity)
            query = query.where(table.c.member_id == self.member_id, table.c.code == code, some)
            last.update((row[0], row[1]) for row in self.connection.execute(query))
        return last

    def unassigned(self, entities: Sequence[str]) -> list[str]:
        """Returns those that we never assigned to anybody."""
        return self._without(schema.assignments, entities)

    def _without(self, table: sa.Table, entities: Sequence[str], *where: sa.ColumnElement[bool]) -> list[str]:
        known: set[str] = set()
        for start in range(0, len(entities), ASKED_AT_ONCE):
            some = table.c.entity.in_(entities[start : start + ASKED_AT_ONCE])
            query = sa.select(table.c.entity).where(table.c.member_id == self.member_id, some, *where)
            known.update(self.connection.execute(query).scalars())
        return [entity for entity in entities if entity not in known]


def robot_key(event_token: str) -> str:
    """Returns the unique key of a robot call: event_token is unique per execution, and too long for a column."""
    return "robot:" + hashlib.sha256(event_token.encode()).hexdigest()


def _moment(value: Any) -> datetime | None:
    """max() of a Moment comes back typed in SQLAlchemy; None stays None."""
    return value if isinstance(value, datetime) or value is None else datetime.fromtimestamp(value / 1_000_000, UTC)
