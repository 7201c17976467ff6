"""What of a playbook stands on a portal under which id, and what was there before: the record that undo reads.

Names are the playbook's: "lead.stage:client", "lead.field:theme", "lead.value:client_type:end_client",
"lead.decline:price", "lead.decline" (the reasons' field), "lead.card:theme",
"picture:offer.svg" (the file on the Drive). What has no row is as the playbook says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from b24app.store.database import Database
from b24app.store.schema import applied


@dataclass(frozen=True)
class AppliedRow:
    """One thing: `made` by us or taken over, `before` is what stood there where we changed it."""

    name: str
    portal_id: str
    made: bool
    before: Mapping[str, Any] | None
    applied_at: datetime


class Applied:
    """The record of one portal; every call is one short transaction."""

    def __init__(self, database: Database, member_id: str) -> None:
        self._database = database
        self._member_id = member_id

    def mapping(self) -> Mapping[str, str]:
        """Returns the portal's ids by the playbook's names; what the portal gave no id yet is left out."""
        return {row.name: row.portal_id for row in self.rows() if row.portal_id}

    def rows(self) -> list[AppliedRow]:
        """Returns every row, the oldest first."""
        statement = (
            sa.select(applied)
            .where(applied.c.member_id == self._member_id)
            .order_by(applied.c.applied_at, applied.c.name)
        )
        with self._database.read() as connection:
            return [
                AppliedRow(**{name: row[name] for name in AppliedRow.__dataclass_fields__})
                for row in connection.execute(statement).mappings()
            ]

    def record(self, name: str, portal_id: str, *, made: bool, before: Mapping[str, Any] | None = None) -> None:
        """Keeps what the thing is on the portal.

        Of a row that stands already, `made` stays (who made it is known from the first time), and `before` too where
        none is given.
        """
        place = (applied.c.member_id == self._member_id) & (applied.c.name == name)
        values = {
            "member_id": self._member_id,
            "name": name,
            "portal_id": portal_id,
            "made": made,
            "before": None if before is None else dict(before),
            "applied_at": datetime.now(UTC),
        }
        with self._database.write() as connection:
            connection.execute(self._database.insert_once(applied, values))
            changed = {"portal_id": portal_id} | ({} if before is None else {"before": dict(before)})
            connection.execute(sa.update(applied).where(place).values(changed))

    def forget(self, name: str) -> None:
        """Takes the row away: the thing is no more, or never came to be."""
        with self._database.write() as connection:
            connection.execute(sa.delete(applied).where(applied.c.member_id == self._member_id, applied.c.name == name))
