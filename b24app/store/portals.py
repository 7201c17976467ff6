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

REMOVAL = "removal"
"""What `portals.facts` keeps of an ONAPPUNINSTALL until it is proved (install/removal.py): {"erase", "at", "due"}."""

OFFLINE_EVENTS = "offline_events"
"""Of `portals.facts`: whether the plan has the queue of offline events (handlers/offline_events.py)."""

RESTORED = "restored_at"
"""Of `portals.facts`: when an older copy of the database was put back; what came before may have been done since."""

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
        database.serialise(connection, "portals")
        _release(connection, client_id, member_id)
        facts = _facts(connection, member_id)
        if facts is None:
            connection.execute(sa.insert(table).values(values | {"facts": {}}))
        else:  # what somebody said of its removal before is over
            values["facts"] = {name: fact for name, fact in facts.items() if name != REMOVAL}
            connection.execute(sa.update(table).where(table.c.member_id == member_id).values(values))


def _facts(connection: sa.Connection, member_id: str) -> Mapping[str, Any] | None:
    """Returns what is known of the portal, held until the transaction ends; None of an unknown one."""
    table = schema.portals
    mine = sa.select(table.c.facts).where(table.c.member_id == member_id).with_for_update()
    found = connection.execute(mine).first()
    return None if found is None else found.facts or {}


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
    with database.write() as connection:
        _learn(connection, member_id, facts)


def _learn(connection: sa.Connection, member_id: str, facts: Mapping[str, Any]) -> None:
    table = schema.portals
    merged = {**(_facts(connection, member_id) or {}), **facts}
    connection.execute(sa.update(table).where(table.c.member_id == member_id).values(facts=merged))


def claim_removal(database: Database, member_id: str, *, erase: bool, due_at: datetime) -> bool:
    """Keeps that somebody says the application was removed; tells whether that is news.

    While a claim stands a second one only makes it more careful: data is erased where every one of them asks for it.
    """
    with database.write() as connection:
        standing = (_facts(connection, member_id) or {}).get(REMOVAL)
        if standing is None:
            claim = {"erase": erase, "at": datetime.now(UTC).isoformat(), "due": due_at.isoformat()}
            _learn(connection, member_id, {REMOVAL: claim})
        elif standing["erase"] and not erase:
            _learn(connection, member_id, {REMOVAL: {**standing, "erase": False}})
        return standing is None


def put_off_removal(database: Database, member_id: str, claimed_at: str, due_at: datetime | None, **facts: Any) -> None:
    """Looks at the claim again when it is due, or never (None) and learns `facts`; a claim that is over stays over."""
    with database.write() as connection:
        standing = (_facts(connection, member_id) or {}).get(REMOVAL)
        if standing is not None and standing["at"] == claimed_at:
            claim = {**standing, "due": due_at.isoformat()} if due_at is not None else None
            _learn(connection, member_id, {REMOVAL: claim, **facts})


def uninstall_portal(database: Database, member_id: str, *, erase: bool, claimed_at: str | None = None) -> bool:
    """Marks the portal uninstalled, or erases its rows in every table. Its tokens are dead either way and go.

    With `claimed_at`, only while that claim stands: a person may have installed the application again meanwhile. Tells
    whether it was done.
    """
    with database.write() as connection:
        # ONAPPUNINSTALL is sent once: nobody may hold rows that we want while he waits for rows that we have
        for name in (f"decide:{member_id}", f"visits:{member_id}", "claim"):
            database.serialise(connection, name)
        if claimed_at is not None:
            standing = (_facts(connection, member_id) or {}).get(REMOVAL)
            if standing is None or standing["at"] != claimed_at:
                return False
            erase = standing["erase"]
        if erase:
            for table in reversed(schema.metadata.sorted_tables):
                if "member_id" in table.c:
                    connection.execute(sa.delete(table).where(table.c.member_id == member_id))
            return True
        portals, deliveries = schema.portals, schema.deliveries
        for table in (schema.tokens, schema.timers, schema.alarms):  # nothing is left to be done or to be mended
            connection.execute(sa.delete(table).where(table.c.member_id == member_id))
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
        _learn(connection, member_id, {REMOVAL: None})
        return True


def prepare_portal(
    database: Database, *, member_id: str, client_id: str, host: str, client_endpoint: str, user_id: int
) -> None:
    """Stores where a portal lives, before anybody knows whether its person may install: no event of it is accepted yet.

    A known portal gets its newest address only: the authorization server named it.
    """
    table = schema.portals
    with database.write() as connection:
        database.serialise(connection, "portals")
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
