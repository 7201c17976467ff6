"""What people are shown of our work: decisions, items that wait for somebody free, failed deliveries, alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from b24app.store import schema
from b24app.store.database import Database

SHOWN = 20
WAITING_SHOWN = 100


@dataclass(frozen=True)
class Decision:
    """One assignment as it was decided; `card` holds the candidates with their reasons."""

    entity: str
    cause: str
    manager_id: int | None
    phone: str
    card: Mapping[str, Any]
    decided_at: datetime
    written_at: datetime | None


@dataclass(frozen=True)
class Failure:
    """A delivery that needs a person."""

    id: int
    kind: str
    code: str
    entity: str
    reason: str
    attempts: int
    finished_at: datetime | None


@dataclass(frozen=True)
class CallLine:
    """A call with a client."""

    call_id: str
    call_type: int | None
    user_id: int | None
    failed_code: str
    seen_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Alarm:
    """What is wrong until somebody acts."""

    key: str
    text: Mapping[str, str]
    since: datetime


@dataclass(frozen=True)
class Overview:
    """The state of one portal's work."""

    alarms: tuple[Alarm, ...]
    failures: tuple[Failure, ...]
    failed_count: int
    waiting: tuple[Decision, ...]
    waiting_count: int
    decisions: tuple[Decision, ...]
    deliveries_waiting: int
    oldest_waiting_at: datetime | None


def overview(database: Database, member_id: str, *, manager_id: int | None = None) -> Overview:
    """Returns the state of the portal's work; with `manager_id` the decisions are that person's only."""
    table, deliveries, alarms = schema.assignments, schema.deliveries, schema.alarms
    of_manager = sa.true() if manager_id is None else table.c.manager_id == manager_id
    failed = sa.and_(deliveries.c.member_id == member_id, deliveries.c.state == "failed")
    with database.read() as connection:
        count, oldest = connection.execute(
            sa.select(sa.func.count(), sa.func.min(deliveries.c.received_at)).where(
                deliveries.c.member_id == member_id, deliveries.c.state.in_(("waiting", "running"))
            )
        ).one()
        return Overview(
            alarms=tuple(
                Alarm(row["key"], row["text"], row["since"])
                for row in connection.execute(
                    sa.select(alarms).where(alarms.c.member_id == member_id).order_by(alarms.c.since)
                ).mappings()
            ),
            failures=tuple(
                _failure(row)
                for row in connection.execute(
                    sa.select(deliveries).where(failed).order_by(deliveries.c.id.desc()).limit(SHOWN)
                ).mappings()
            ),
            failed_count=connection.execute(
                sa.select(sa.func.count()).select_from(deliveries).where(failed)
            ).scalar_one(),
            waiting=_decisions(connection, member_id, _newest_is_nobody(), WAITING_SHOWN),
            waiting_count=connection.execute(
                sa.select(sa.func.count()).select_from(table).where(table.c.member_id == member_id, _newest_is_nobody())
            ).scalar_one(),
            decisions=_decisions(connection, member_id, of_manager, SHOWN),
            deliveries_waiting=count,
            oldest_waiting_at=oldest,
        )


def waiting_entities(database: Database, member_id: str, limit: int) -> list[str]:
    """Returns what waits for somebody free, the longest waiting first."""
    table = schema.assignments
    with database.read() as connection:
        rows = connection.execute(
            sa.select(table.c.entity)
            .where(table.c.member_id == member_id, _newest_is_nobody())
            .order_by(table.c.id)
            .limit(limit)
        )
        return [entity for (entity,) in rows]


def decisions_of(database: Database, member_id: str, entity: str) -> tuple[Decision, ...]:
    """Returns the decisions about one item, the newest first."""
    with database.read() as connection:
        return _decisions(connection, member_id, schema.assignments.c.entity == entity, SHOWN)


def calls_of(database: Database, member_id: str, entity: str) -> tuple[CallLine, ...]:
    """Returns the calls that made decisions about one item, and others with the same numbers, the newest first."""
    calls, table = schema.calls, schema.assignments
    about = sa.and_(table.c.member_id == member_id, table.c.entity == entity)
    ids = sa.select(table.c.call_id).where(about, table.c.call_id.is_not(None))
    phones = sa.select(table.c.phone).where(about, table.c.phone.is_not(None), table.c.phone != "")
    with database.read() as connection:
        rows = connection.execute(
            sa.select(calls)
            .where(calls.c.member_id == member_id, sa.or_(calls.c.call_id.in_(ids), calls.c.phone.in_(phones)))
            .order_by(calls.c.seen_at.desc())
            .limit(SHOWN)
        ).mappings()
        return tuple(
            CallLine(
                call_id=row["call_id"],
                call_type=row["call_type"],
                user_id=row["user_id"],
                failed_code=row["failed_code"] or "",
                seen_at=row["seen_at"],
                started_at=row["started_at"],
                ended_at=row["ended_at"],
            )
            for row in rows
        )


def task_results_of(database: Database, member_id: str, entity: str) -> list[Any]:
    """Returns what the portal answered when tasks about one item were made; their ids stand there."""
    commands, table = schema.commands, schema.assignments
    deliveries = sa.select(table.c.delivery_id).where(table.c.member_id == member_id, table.c.entity == entity)
    with database.read() as connection:
        rows = connection.execute(
            sa.select(commands.c.command, commands.c.result)
            .where(commands.c.delivery_id.in_(deliveries), commands.c.state == "done")
            .order_by(commands.c.id)
        )
        return [result for command, result in rows if command["call"]["method"] == "tasks.task.add"]


def _newest_is_nobody() -> sa.ColumnElement[bool]:
    mine, later = schema.assignments, schema.assignments.alias("later")
    newer = sa.exists().where(
        later.c.member_id == mine.c.member_id, later.c.entity == mine.c.entity, later.c.id > mine.c.id
    )
    return sa.and_(mine.c.manager_id.is_(None), ~newer)


def _decisions(
    connection: sa.Connection, member_id: str, where: sa.ColumnElement[bool], limit: int
) -> tuple[Decision, ...]:
    table = schema.assignments
    rows = connection.execute(
        sa.select(table).where(table.c.member_id == member_id, where).order_by(table.c.id.desc()).limit(limit)
    ).mappings()
    return tuple(
        Decision(
            entity=row["entity"],
            cause=row["cause"],
            manager_id=row["manager_id"],
            phone=row["phone"] or "",
            card=row["card"],
            decided_at=row["decided_at"],
            written_at=row["written_at"],
        )
        for row in rows
    )


def _failure(row: schema.Row) -> Failure:
    return Failure(
        id=row["id"],
        kind=row["kind"],
        code=row["code"],
        entity=row["entity"],
        reason=row["reason"] or row["failure"] or "",
        attempts=row["attempts"],
        finished_at=row["finished_at"],
    )
