"""The journal: every command of a decision, so that a retry never does a thing twice.

    written  saved with the decision, not sent yet
    sent     on its way; if no answer is kept, nobody knows whether the portal did it
    done     the portal did it; its result stands here
    skipped  not needed any more (a person was faster, or what it needs was skipped or failed)
    failed   the portal refused it, with the reason
    unknown  nobody knows whether it was done, and it may not be sent again (an SMS); for good

A command is marked `sent` before the request leaves. One that is found `sent` later is looked up, or sent again in a
way that cannot double it, as its declaration says (bitrix/commands.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from b24app.bitrix.commands import Command, Keyed, LookUp, Once
from b24app.engine.inbox import Delivery, Inbox
from b24app.store import schema

COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
OPEN = ("written", "sent")
DOUBTED = (LookUp, Keyed, Once)
commands = schema.commands


@dataclass(frozen=True)
class Entry:
    """One journaled command. `key` names this very effect for REST 3.0's Idempotency-Key."""

    id: int
    command: Command
    state: str
    first_sent_at: datetime | None
    result: Any
    reason: str

    @property
    def label(self) -> str:
        """The command's label within its decision."""
        return self.command.label


class Journal:
    """The commands of deliveries; every write happens under the delivery's fence."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.database = inbox.database

    def write(
        self, connection: sa.Connection, delivery_id: int, planned: Sequence[Command], *, in_doubt: bool = False
    ) -> None:
        """Adds commands to the delivery, inside the transaction that saves its decision.

        `in_doubt`: what must not be done twice may have been done already (`b24app restored`).
        """
        labels = [command.label for command in planned]
        if len(labels) != len(set(labels)):
            raise ValueError(f"labels repeat: {labels}")
        start = connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(commands.c.position), -1)).where(
                commands.c.delivery_id == delivery_id
            )
        ).scalar_one()
        if planned:
            connection.execute(
                sa.insert(commands),
                [
                    {
                        "delivery_id": delivery_id,
                        "position": start + 1 + offset,
                        "command": COMMAND.dump_python(command, mode="json"),
                        "state": "sent" if in_doubt and isinstance(command.again, DOUBTED) else "written",
                    }
                    for offset, command in enumerate(planned)
                ],
            )

    def entries(self, delivery_id: int) -> dict[str, Entry]:
        """Returns the delivery's commands by label, in order."""
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(commands).where(commands.c.delivery_id == delivery_id).order_by(commands.c.position)
            ).mappings()
            entries = [
                Entry(
                    id=row["id"],
                    command=COMMAND.validate_python(row["command"]),
                    state=row["state"],
                    first_sent_at=row["first_sent_at"],
                    result=row["result"],
                    reason=row["reason"] or "",
                )
                for row in rows
            ]
        return {entry.label: entry for entry in entries}

    def mark_sent(self, delivery: Delivery, entries: Iterable[Entry]) -> list[Entry]:
        """Says that these are about to leave, and prolongs the lease: from here on their outcome may be unknown."""
        now = datetime.now(UTC)
        marked = [replace(entry, state="sent", first_sent_at=entry.first_sent_at or now) for entry in entries]
        with self.database.write() as connection:
            self.inbox.write_back(connection, delivery, lease_until=now + self.inbox.lease)
            for entry in marked:
                self._set(connection, entry.id, state="sent", first_sent_at=entry.first_sent_at)
        return marked

    def settle(self, delivery: Delivery, changes: Mapping[int, Mapping[str, Any]]) -> None:
        """Keeps what became of commands: {id: {"state", "result"?, "reason"?}}, in one transaction."""
        if not changes:
            return
        now = datetime.now(UTC)
        with self.database.write() as connection:
            self.inbox.write_back(connection, delivery, lease_until=now + self.inbox.lease)
            for id, values in changes.items():
                finished = {} if values["state"] in OPEN else {"finished_at": now}
                self._set(connection, id, **values, **finished)

    @staticmethod
    def _set(connection: sa.Connection, id: int, **values: Any) -> None:
        connection.execute(sa.update(commands).where(commands.c.id == id).values(**values))
