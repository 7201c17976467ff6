"""The portals that we serve: their rows from installation to removal. One local application = one portal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from b24app.errors import Rejected
from b24app.store import schema
from b24app.store.database import Database

ACTIVE, UNINSTALLED = "active", "uninstalled"

StorageDown = sa.exc.SQLAlchemyError
"""What the database raises when it cannot serve; a door answers 503 then."""


@dataclass(frozen=True)
class PortalRow:
    """A portal as it was installed. `application_token` is the digest; `facts` is what the last check learnt."""

    member_id: str
    client_id: str
    host: str
    client_endpoint: str
    application_token: str
    status: str
    installed_at: datetime
    installed_by: int
    facts: Mapping[str, Any]

    @property
    def active(self) -> bool:
        """Tells whether its events are accepted."""
        return self.status == ACTIVE

    @property
    def origin(self) -> str:
        """The portal's web address without a path: the only one that may show our pages in a frame."""
        return "/".join(self.client_endpoint.split("/", 3)[:3])


def all_portals(database: Database) -> dict[str, PortalRow]:
    """Returns every portal by member_id."""
    with database.read() as connection:
        return {row["member_id"]: _portal(row) for row in connection.execute(sa.select(schema.portals)).mappings()}


def portal_of(database: Database, member_id: str) -> PortalRow | None:
    """Returns one portal, or None."""
    with database.read() as connection:
        found = schema.row(connection.execute(sa.select(schema.portals).where(schema.portals.c.member_id == member_id)))
    return _portal(found) if found else None


def _portal(row: schema.Row) -> PortalRow:
    return PortalRow(**{name: row[name] for name in PortalRow.__dataclass_fields__})


def install_portal(
    database: Database,
    *,
    member_id: str,
    client_id: str,
    host: str,
    client_endpoint: str,
    application_token_digest: str,
    user_id: int,
) -> None:
    """Stores a proved portal as active, its data kept. Rejected where its client_id serves another portal."""
    table = schema.portals
    values = {
        "member_id": member_id,
        "client_id": client_id,
        "host": host,
        "client_endpoint": client_endpoint,
        "application_token": application_token_digest,
        "status": ACTIVE,
        "installed_at": datetime.now(UTC),
        "installed_by": user_id,
    }
    with database.write() as connection:
        _release(connection, client_id, member_id)
        updated = connection.execute(sa.update(table).where(table.c.member_id == member_id).values(values)).rowcount
        if not updated:
            connection.execute(sa.insert(table).values(values | {"facts": {}}))


def _release(connection: sa.Connection, client_id: str, member_id: str) -> None:
    """Takes the client_id from the row of a portal that is no more; a living one keeps it."""
    table = schema.portals
    other = schema.row(
        connection.execute(sa.select(table).where(table.c.client_id == client_id, table.c.member_id != member_id))
    )
    if other is not None and other["status"] == ACTIVE:
        raise Rejected(f"{client_id}: другой портал / serves another portal")
    if other is not None:
        released = f"{client_id} ({other['member_id']})"
        connection.execute(sa.update(table).where(table.c.member_id == other["member_id"]).values(client_id=released))


def change_application_token(database: Database, member_id: str, digest: str) -> None:
    """Stores the digest of the new application_token (ONAPPUPDATE)."""
    with database.write() as connection:
        table = schema.portals
        connection.execute(sa.update(table).where(table.c.member_id == member_id).values(application_token=digest))


def learn(database: Database, member_id: str, facts: Mapping[str, Any]) -> None:
    """Adds to what is known of the portal; facts that are not named stay."""
    table = schema.portals
    with database.write() as connection:
        known = connection.execute(sa.select(table.c.facts).where(table.c.member_id == member_id)).scalar_one_or_none()
        merged = {**(known or {}), **facts}
        connection.execute(sa.update(table).where(table.c.member_id == member_id).values(facts=merged))


def uninstall_portal(database: Database, member_id: str, *, erase: bool) -> None:
    """Marks the portal uninstalled, or erases its rows in every table. Its tokens are dead either way and go."""
    with database.write() as connection:
        if erase:
            for table in reversed(schema.metadata.sorted_tables):
                if "member_id" in table.c:
                    connection.execute(sa.delete(table).where(table.c.member_id == member_id))
            return
        tokens, portals, deliveries = schema.tokens, schema.portals, schema.deliveries
        connection.execute(sa.delete(tokens).where(tokens.c.member_id == member_id))
        connection.execute(sa.delete(schema.timers).where(schema.timers.c.member_id == member_id))
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.member_id == member_id, deliveries.c.state == "waiting")
            .values(
                state="failed",
                reason="приложение удалено с портала / uninstalled from the portal",
                finished_at=datetime.now(UTC),
            )
        )
        connection.execute(
            sa.update(portals).where(portals.c.member_id == member_id).values(status=UNINSTALLED, application_token="")
        )


def prepare_portal(
    database: Database, *, member_id: str, client_id: str, host: str, client_endpoint: str, user_id: int
) -> None:
    """Stores where a portal lives, before anybody knows whether its person may install: no event of it is accepted yet.

    A known portal gets its newest address only: the authorization server named it.
    """
    table = schema.portals
    with database.write() as connection:
        _release(connection, client_id, member_id)
        connection.execute(
            database.insert_once(
                table,
                {
                    "member_id": member_id,
                    "client_id": client_id,
                    "host": host,
                    "client_endpoint": client_endpoint,
                    "application_token": "",
                    "status": UNINSTALLED,
                    "installed_at": datetime.now(UTC),
                    "installed_by": user_id,
                    "facts": {},
                },
            )
        )
        connection.execute(
            sa.update(table).where(table.c.member_id == member_id).values(host=host, client_endpoint=client_endpoint)
        )
