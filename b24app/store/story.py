"""What our tables know of one item, one call or one delivery, in order of time: the rows that a story is told from.

A delivery belongs to an item when it is about it, about a task, call or calendar entry of it, or when what was decided
(or what waited, an SMS) names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from b24app.entities import ItemRef
from b24app.store import process_memory, schema, visits
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.process_memory import ConfirmationRow, ItemRow, MoveRow, TaskRow
from b24app.store.visits import VisitRow

SHOWN = 300
"""The newest deliveries of one item; a story of more is no story."""
CALL_BEFORE = timedelta(hours=1)
"""A call of the same number so long before the first decision is a part of the story."""

deliveries, assignments, calls = schema.deliveries, schema.assignments, schema.calls


@dataclass(frozen=True)
class CommandRow:
    """A journaled command; `command` as the journal keeps it (engine/journal.py)."""

    command: Mapping[str, Any]
    state: str
    finished_at: datetime | None
    result: Any
    reason: str


@dataclass(frozen=True)
class DeliveryRow:
    """A delivery with its commands in order."""

    id: int
    member_id: str
    kind: str
    code: str
    entity: str
    payload: Mapping[str, Any]
    priority: int
    state: str
    received_at: datetime
    due_at: datetime
    attempts: int
    crashes: int
    decision: Any
    decided_at: datetime | None
    failure: str | None
    reason: str | None
    finished_at: datetime | None
    commands: tuple[CommandRow, ...] = ()


@dataclass(frozen=True)
class AssignedRow:
    """An assignment; `card` holds the candidates with their reasons."""

    entity: str
    cause: str
    manager_id: int | None
    phone: str | None
    call_id: str | None
    delivery_id: int
    card: Mapping[str, Any]
    decided_at: datetime
    written_at: datetime | None


@dataclass(frozen=True)
class TimerRow:
    """What is to come."""

    code: str
    due_at: datetime


@dataclass(frozen=True)
class Chronicle:
    """Everything that is known, oldest first. `left_out`: so many older deliveries are not here.

    `names` are people by id and `mapping` is what of the playbook stands on the portal, for whoever tells it.
    """

    deliveries: tuple[DeliveryRow, ...] = ()
    left_out: int = 0
    assignments: tuple[AssignedRow, ...] = ()
    moves: tuple[MoveRow, ...] = ()
    tasks: tuple[TaskRow, ...] = ()
    visits: tuple[VisitRow, ...] = ()
    confirmations: tuple[ConfirmationRow, ...] = ()
    timers: tuple[TimerRow, ...] = ()
    stands: ItemRow | None = None
    phones: frozenset[str] = frozenset()
    names: Mapping[int, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        known = (self.deliveries, self.assignments, self.moves, self.tasks, self.visits, self.confirmations)
        return not any(known) and self.stands is None


def of_item(database: Database, member_id: str, ref: ItemRef) -> Chronicle:
    """Returns what is known of a CRM item."""
    entity = str(ref)
    with database.read() as connection:
        memory = Memory(database, connection, member_id)
        assigned = _assignments(memory, assignments.c.entity == entity)
        tasks = tuple(sorted(process_memory.tasks_of(memory, entity), key=lambda task: task.made_at))
        booked = tuple(sorted(visits.visits_of(memory, entity), key=lambda visit: visit.id))
        about = {entity, *(f"task:{task.task_id}" for task in tasks if task.task_id > 0)}
        about |= {f"calendar:{visit.calendar_id}" for visit in booked if visit.calendar_id is not None}
        for call_id in _calls(memory, assigned):
            about |= _of_call(call_id)
        decided = sa.and_(
            deliveries.c.decision[("item", "id")].as_integer() == ref.id,
            deliveries.c.decision[("item", "entity_type_id")].as_integer() == ref.entity_type_id,
        )
        waited = deliveries.c.payload["item"].as_string() == entity
        kept, left_out = _deliveries(memory, sa.or_(deliveries.c.entity.in_(about), decided, waited))
        confirmed = process_memory.confirmations(memory, entity, since=datetime.fromtimestamp(0, UTC))
        return _told(
            memory,
            Chronicle(
                deliveries=kept,
                left_out=left_out,
                assignments=assigned,
                moves=_moves(memory, schema.moves.c.entity == entity),
                tasks=tasks,
                visits=booked,
                confirmations=tuple(confirmed),
                timers=_timers(memory, entity),
                stands=process_memory.item_row(memory, entity),
            ),
        )


def of_call(database: Database, member_id: str, call_id: str) -> Chronicle:
    """Returns what is known of a call."""
    with database.read() as connection:
        memory = Memory(database, connection, member_id)
        kept, left_out = _deliveries(memory, deliveries.c.entity.in_(_of_call(call_id)))
        assigned = _assignments(memory, assignments.c.call_id == call_id)
        timers = _timers(memory, f"call:{call_id}"[:96])
        return _told(memory, Chronicle(deliveries=kept, left_out=left_out, assignments=assigned, timers=timers))


def of_delivery(database: Database, member_id: str, id: int) -> Chronicle:
    """Returns what is known of one delivery."""
    with database.read() as connection:
        memory = Memory(database, connection, member_id)
        kept, _ = _deliveries(memory, deliveries.c.id == id)
        assigned = _assignments(memory, assignments.c.delivery_id == id)
        moves = _moves(memory, schema.moves.c.delivery_id == id)
        return _told(memory, Chronicle(deliveries=kept, assignments=assigned, moves=moves))


def forget_decision(connection: sa.Connection, id: int) -> None:
    """Takes away what a delivery assigned: for whoever rehearses it in a transaction that is rolled back."""
    connection.execute(sa.delete(assignments).where(assignments.c.delivery_id == id))


def _of_call(call_id: str) -> set[str]:
    return {f"call:{call_id}"[:96], f"sms:call:{call_id}"[:96]}


def _calls(memory: Memory, assigned: Iterable[AssignedRow]) -> set[str]:
    """The calls that made the item's assignments, and later ones with the same numbers."""
    assigned = list(assigned)
    ids = {row.call_id for row in assigned if row.call_id}
    phones = {row.phone for row in assigned if row.phone}
    if phones:
        since = min(row.decided_at for row in assigned) - CALL_BEFORE
        ids |= set(
            memory.connection.execute(
                sa.select(calls.c.call_id).where(
                    calls.c.member_id == memory.member_id, calls.c.phone.in_(phones), calls.c.seen_at >= since
                )
            ).scalars()
        )
    return ids


def _deliveries(memory: Memory, where: sa.ColumnElement[bool]) -> tuple[tuple[DeliveryRow, ...], int]:
    mine = sa.and_(deliveries.c.member_id == memory.member_id, where)
    count = memory.connection.execute(sa.select(sa.func.count()).select_from(deliveries).where(mine)).scalar_one()
    rows = memory.connection.execute(sa.select(deliveries).where(mine).order_by(deliveries.c.id.desc()).limit(SHOWN))
    names = [name for name in DeliveryRow.__dataclass_fields__ if name != "commands"]
    found = {row["id"]: DeliveryRow(**{name: row[name] for name in names}) for row in rows.mappings()}
    table = schema.commands
    written = memory.connection.execute(
        sa.select(table).where(table.c.delivery_id.in_(found)).order_by(table.c.delivery_id, table.c.position)
    ).mappings()
    journal: dict[int, list[CommandRow]] = {}
    for row in written:
        command = CommandRow(row["command"], row["state"], row["finished_at"], row["result"], row["reason"] or "")
        journal.setdefault(row["delivery_id"], []).append(command)
    kept = [replace(found[id], commands=tuple(journal.get(id, ()))) for id in sorted(found)]
    return tuple(sorted(kept, key=lambda row: (row.received_at, row.id))), count - len(kept)


def _assignments(memory: Memory, where: sa.ColumnElement[bool]) -> tuple[AssignedRow, ...]:
    mine = sa.and_(assignments.c.member_id == memory.member_id, where)
    rows = memory.connection.execute(sa.select(assignments).where(mine).order_by(assignments.c.decided_at)).mappings()
    return tuple(AssignedRow(**{name: row[name] for name in AssignedRow.__dataclass_fields__}) for row in rows)


def _moves(memory: Memory, where: sa.ColumnElement[bool]) -> tuple[MoveRow, ...]:
    table = schema.moves
    mine = sa.and_(table.c.member_id == memory.member_id, where)
    rows = memory.connection.execute(sa.select(table).where(mine).order_by(table.c.id)).mappings()
    return tuple(MoveRow(**{name: row[name] for name in MoveRow.__dataclass_fields__}) for row in rows)


def _timers(memory: Memory, entity: str) -> tuple[TimerRow, ...]:
    table = schema.timers
    about = sa.or_(table.c.entity == entity, table.c.payload["item"].as_string() == entity)
    mine = sa.and_(table.c.member_id == memory.member_id, about)
    rows = memory.connection.execute(sa.select(table.c.code, table.c.due_at).where(mine).order_by(table.c.due_at))
    return tuple(TimerRow(code, due_at) for code, due_at in rows)


def _told(memory: Memory, chronicle: Chronicle) -> Chronicle:
    """Adds how people and things are called, and the numbers that must not be read out."""
    table, applied = schema.snapshots, schema.applied
    teams = memory.connection.execute(
        sa.select(table.c.value).where(
            table.c.member_id == memory.member_id, table.c.name.startswith("team:", autoescape=True)
        )
    ).scalars()
    names: dict[int, str] = {}
    for team in teams:
        people = [*team.get("users", ()), team.get("head"), team.get("fallback")]
        names |= {person["id"]: person["name"] for person in people if person and person.get("name")}
    mapping = memory.connection.execute(
        sa.select(applied.c.name, applied.c.portal_id).where(applied.c.member_id == memory.member_id)
    )
    about = [row.entity.removeprefix("call:") for row in chronicle.deliveries if row.entity.startswith("call:")]
    heard = memory.connection.execute(
        sa.select(calls.c.phone).where(calls.c.member_id == memory.member_id, calls.c.call_id.in_(about))
    ).scalars()
    phones = {*heard, *(row.phone for row in chronicle.assignments)}
    return replace(
        chronicle,
        names=names,
        mapping={row.name: row.portal_id for row in mapping},
        phones=frozenset(phone for phone in phones if phone),
    )
