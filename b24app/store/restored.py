"""What becomes of the rows of an older copy of the database that was put back. SQL of `b24app restored`."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from b24app.store import schema
from b24app.store.database import Database
from b24app.store.portals import RESTORED, learn

NUMBERS_GIVEN_AWAY = 100_000
"""Of visits and deliveries: what was numbered after the copy was made is named by these numbers on the portal."""


def doubt_what_was_under_way(database: Database, member_id: str) -> int:
    """Says of every write that the copy holds unfinished that it may have been done; returns how many there are.

    Deliveries without a decision, and timers that were due, are doubted by the time at which they came (`RESTORED`).
    """
    deliveries, commands = schema.deliveries, schema.commands
    unfinished = sa.select(deliveries.c.id).where(
        deliveries.c.member_id == member_id, deliveries.c.state.in_(("waiting", "running"))
    )
    with database.write() as connection:
        doubted = connection.execute(
            sa.update(commands)
            .where(commands.c.delivery_id.in_(unfinished), commands.c.state == "written")
            .values(state="sent", first_sent_at=None)
        ).rowcount
    learn(database, member_id, {RESTORED: datetime.now(UTC).isoformat()})
    return doubted


def skip_numbers(database: Database) -> None:
    """Leaves out the numbers that the lost time may have given away."""
    with database.write() as connection:
        for table in schema.metadata.sorted_tables:
            if table.kwargs.get("sqlite_autoincrement"):
                database.skip_numbers(connection, table, NUMBERS_GIVEN_AWAY)


def open_entities(database: Database, member_id: str) -> list[str]:
    """Returns what unfinished deliveries are about."""
    table = schema.deliveries
    mine = sa.select(table.c.entity).where(
        table.c.member_id == member_id, table.c.state.in_(("waiting", "running")), table.c.kind == "event"
    )
    with database.read() as connection:
        return list(connection.execute(mine.distinct()).scalars())
