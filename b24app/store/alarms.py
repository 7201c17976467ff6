"""Alarms: what is wrong on a portal until somebody acts, one row a (portal, key). Pages and `doctor` show them."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from b24app.store.database import Database
from b24app.store.schema import alarms


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
