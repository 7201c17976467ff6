"""Erases a client from our database: his numbers, names and words; that something happened then stays, without him.

Turns and statistics stay fair: an assignment keeps who got it and when, a call keeps who talked and how long. What the
journal kept of him goes as a whole, it would be swept out in a month anyway. The portal itself is not asked.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from b24app.rules.confirmation import OCCUPYING
from b24app.store import schema
from b24app.store.database import Database

MASK = "***"
SHORTEST_NUMBER = 7
ROUNDS = 5
"""His item leads to his number, that to his other items: so often we go on from what was found."""


@dataclass
class Forgotten:
    """What was erased, by table; deliveries `at_work` stay until they end, visits `ahead` are still to come."""

    entities: set[str]
    counts: Counter[str] = field(default_factory=Counter)
    at_work: int = 0
    ahead: int = 0


def forget(database: Database, member_id: str, *, entities: set[str], phones: set[str]) -> Forgotten:
    """Erases the client of these items (lead:42) and numbers (E.164) from the portal's rows; a repeat finds nothing."""
    with database.write() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")  # else the words stay in pages that nobody uses
        for name in (f"decide:{member_id}", f"visits:{member_id}", "claim"):
            database.serialise(connection, name)
        client = _Client(connection, member_id, set(entities), set(phones))
        client.find()
        found = Forgotten(client.items)
        client.erase(found)
    if database.is_sqlite:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # nor in the log before the file
    return found


class _Client:
    def __init__(self, connection: sa.Connection, member_id: str, items: set[str], phones: set[str]) -> None:
        self.connection = connection
        self.member_id = member_id
        self.items = items
        self.phones = phones
        self.calls: set[str] = set()
        self.keys: set[str] = set()
        self.number: re.Pattern[str] | None = None

    def find(self) -> None:
        """Follows items, calls and numbers to each other; then everything that deliveries about him are called."""
        table, calls = schema.assignments, schema.calls
        for _ in range(ROUNDS):
            before = len(self.items) + len(self.phones) + len(self.calls)
            his = sa.or_(
                table.c.entity.in_(self.items), table.c.phone.in_(self.phones), table.c.call_id.in_(self.calls)
            )
            for row in self._rows(table, his):
                self.items.add(row["entity"])
                self.phones |= {row["phone"]} - {None, ""}
                self.calls |= {row["call_id"]} - {None}
            for row in self._rows(calls, sa.or_(calls.c.phone.in_(self.phones), calls.c.call_id.in_(self.calls))):
                self.phones |= {row["phone"]} - {None, ""}
                self.calls.add(row["call_id"])
            if len(self.items) + len(self.phones) + len(self.calls) == before:
                break
        self.items = {item for item in self.items if not item.startswith("call:")}
        tasks = self._rows(schema.tasks, schema.tasks.c.entity.in_(self.items))
        visits = self._rows(schema.visits, schema.visits.c.entity.in_(self.items))
        self.keys = {
            *self.items,
            *(f"call:{id}"[:96] for id in self.calls),
            *(f"task:{row['task_id']}" for row in tasks),
        }
        self.keys |= {f"calendar:{row['calendar_id']}" for row in visits if row["calendar_id"] is not None}
        numbers = [one for phone in sorted(self.phones) if (one := _written(phone))]
        self.number = re.compile("|".join(numbers)) if numbers else None

    def erase(self, found: Forgotten) -> None:
        """Deletes or empties what is about him, and counts it."""
        self._deliveries(found)
        self._delete(schema.timers, found, "id")
        assignments, calls, visits = schema.assignments, schema.calls, schema.visits
        for row in self._rows(assignments, assignments.c.entity.in_(self.items) | assignments.c.phone.in_(self.phones)):
            self._change(assignments, ("id",), row, found, phone=None, card=self._masked(row["card"]))
        for row in self._rows(calls, calls.c.call_id.in_(self.calls)):
            self._change(calls, ("call_id",), row, found, phone=None)
        now = datetime.now(UTC)
        for row in self._rows(visits, visits.c.entity.in_(self.items)):
            found.ahead += row["state"] in OCCUPYING and row["ends_at"] > now
            emptied = {"title": "", "address": "", "reason": "", "latitude": None, "longitude": None}
            self._change(visits, ("id",), row, found, **emptied)
        for row in self._rows(schema.confirmations, schema.confirmations.c.entity.in_(self.items)):
            self._change(schema.confirmations, ("id",), row, found, reason="")
        snapshots = schema.snapshots
        for row in self._rows(snapshots, sa.true()):  # what the portal said lately; read again when it is wanted
            if row["name"].partition(":")[2] in self.keys or self._tells(json.dumps(row["value"], default=str)):
                self.connection.execute(
                    sa.delete(snapshots).where(snapshots.c.member_id == self.member_id, snapshots.c.name == row["name"])
                )
                found.counts["snapshots"] += 1
        for row in self._rows(schema.alarms, sa.true()):
            self._change(schema.alarms, ("key",), row, found, text=self._masked(row["text"]))

    def _deliveries(self, found: Forgotten) -> None:
        """Deletes what is over, with its commands, and what only waits; a robot is answered first, its stage waits."""
        table, commands = schema.deliveries, schema.commands
        told: dict[int, str] = {}
        journal = sa.select(commands).join(table).where(table.c.member_id == self.member_id)
        for row in self.connection.execute(journal).mappings():
            words = json.dumps([row["command"], row["result"], row["reason"]], default=str)
            told[row["delivery_id"]] = told.get(row["delivery_id"], "") + words
        gone = []
        for row in self._rows(table, sa.true()):
            named = row["entity"] in self.keys or row["entity"].partition(":")[2] in self.keys
            words = json.dumps([row["payload"], row["decision"], row["reason"], row["failure"]], default=str)
            if not named and not self._tells(words + told.get(row["id"], "")):
                continue
            if row["state"] in ("waiting", "running") and (
                row["state"] == "running" or row["kind"] == "robot" or not named
            ):
                found.at_work += 1
            else:
                gone.append(row["id"])
        for id in gone:
            self.connection.execute(sa.delete(table).where(table.c.id == id))
        found.counts["deliveries"] += len(gone)
        found.counts["commands"] += sum(id in told for id in gone)

    def _delete(self, table: sa.Table, found: Forgotten, key: str) -> None:
        for row in self._rows(table, sa.true()):
            named = row["entity"] in self.keys or row["entity"].partition(":")[2] in self.keys
            if named or self._tells(json.dumps(row["payload"], default=str)):
                self.connection.execute(sa.delete(table).where(table.c[key] == row[key]))
                found.counts[table.name] += 1

    def _change(self, table: sa.Table, keys: tuple[str, ...], row: schema.Row, found: Forgotten, **values: Any) -> None:
        """Writes the row where something of it changes."""
        if all(row[name] == value for name, value in values.items()):
            return
        mine = [table.c.member_id == self.member_id, *(table.c[key] == row[key] for key in keys)]
        self.connection.execute(sa.update(table).where(*mine).values(**values))
        found.counts[table.name] += 1

    def _rows(self, table: sa.Table, where: sa.ColumnElement[bool]) -> list[schema.Row]:
        mine = sa.select(table).where(table.c.member_id == self.member_id, where)
        return list(self.connection.execute(mine).mappings().all())

    def _tells(self, text: str) -> bool:
        """Whether a text names him: one of his items as we write it, or his number however it is written."""
        named = any(f'"{item}"' in text for item in self.items)
        return named or (self.number is not None and self.number.search(text) is not None)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._masked(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._masked(inner) for inner in value]
        return self.number.sub(MASK, value) if isinstance(value, str) and self.number is not None else value


def _written(phone: str) -> str:
    """Returns the pattern of a number however people write it; nothing where it is too short to be known again."""
    digits = re.sub(r"\D", "", phone)
    if len(digits) < SHORTEST_NUMBER:
        return ""
    apart = r"[\s().-]{0,3}"
    country, national = digits[:-10], digits[-10:]
    return rf"(?<!\d)(?:\+?(?:{country}|8){apart})?{apart.join(national)}(?!\d)"
