"""Alarms: what is wrong on a portal until somebody acts, one row a (portal, key). Pages and `doctor` show them.

What the portal's administrator was told of by a notice (handlers/admin_notice.py) is kept too, until it is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa

from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.schema import alarms, cursors

TOLD = "told:"
"""Begins the names of the cursors that stand for what was told."""


def raise_alarm(database: Database, member_id: str, key: str, ru: str, en: str) -> None:
    """Writes the alarm; one that already stands keeps its `since` and takes the new words."""
    text = {"ru": ru, "en": en}
    place = (alarms.c.member_id == member_id) & (alarms.c.key == key)
    with database.read() as connection:
        if connection.execute(sa.select(alarms.c.text).where(place)).scalar() == text:
            return  # a portal that stays broken must not cost a write per call
    values = {"member_id": member_id, "key": key, "text": text, "since": datetime.now(UTC)}
    with database.write() as connection:
        connection.execute(database.insert_once(alarms, values))
        connection.execute(sa.update(alarms).where(place).values(text=text))


def clear_alarm(database: Database, member_id: str, key: str) -> bool:
    """Removes the alarm and tells whether it stood."""
    place = (alarms.c.member_id == member_id) & (alarms.c.key == key)
    with database.read() as connection:
        if connection.execute(sa.select(alarms.c.key).where(place)).first() is None:
            return False
    with database.write() as connection:
        return connection.execute(sa.delete(alarms).where(place)).rowcount > 0


def told(memory: Memory) -> dict[str, datetime]:
    """Returns what the administrator was told of, and when."""
    mine = (cursors.c.member_id == memory.member_id) & cursors.c.name.startswith(TOLD)
    rows = memory.connection.execute(sa.select(cursors.c.name, cursors.c.updated_at).where(mine))
    return {name.removeprefix(TOLD): at for name, at in rows}


def keep_told(memory: Memory, names: Iterable[str]) -> None:
    """Keeps that the administrator is told of these now."""
    for name in names:
        memory.move_cursor(_cursor(name), "")


def forget_told(memory: Memory, names: Iterable[str]) -> None:
    """Forgets what is over: it will be told when it comes back."""
    mine = cursors.c.member_id == memory.member_id
    gone = [_cursor(name) for name in names]
    memory.connection.execute(sa.delete(cursors).where(mine, cursors.c.name.in_(gone)))


def _cursor(name: str) -> str:
    return f"{TOLD}{name}"[:64]
