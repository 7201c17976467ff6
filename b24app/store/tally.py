"""Counts of our own tables for /metrics, taken in one look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from b24app.store import schema
from b24app.store.database import Database


@dataclass(frozen=True)
class Tally:
    """What stands in the tables; times in seconds, 0 where nothing waits."""

    deliveries: Mapping[tuple[str, str], int]
    commands: Mapping[str, int]
    oldest_seconds: float
    timers: int
    timer_late_seconds: float
    alarms: int
    tokens_dead: int
    portals: int


def tally(database: Database, now: datetime) -> Tally:
    """Returns the counts of all portals together."""
    deliveries, commands, timers = schema.deliveries, schema.commands, schema.timers
    with database.read() as connection:
        by_state = connection.execute(
            sa.select(deliveries.c.kind, deliveries.c.state, sa.func.count()).group_by(
                deliveries.c.kind, deliveries.c.state
            )
        ).all()
        of_commands = connection.execute(sa.select(commands.c.state, sa.func.count()).group_by(commands.c.state)).all()
        oldest = connection.execute(
            sa.select(sa.func.min(deliveries.c.received_at)).where(deliveries.c.state.in_(("waiting", "running")))
        ).scalar()
        next_timer, timer_count = connection.execute(sa.select(sa.func.min(timers.c.due_at), sa.func.count())).one()
        return Tally(
            deliveries={(kind, state): count for kind, state, count in by_state},
            commands={row[0]: row[1] for row in of_commands},
            oldest_seconds=_seconds(oldest, now),
            timers=timer_count,
            timer_late_seconds=_seconds(next_timer, now),
            alarms=_count(connection, schema.alarms),
            tokens_dead=_count(connection, schema.tokens, schema.tokens.c.dead_at.is_not(None)),
            portals=_count(connection, schema.portals, schema.portals.c.status == "active"),
        )


def _seconds(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment is not None else 0.0


def _count(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one()
