"""Portals as data: a copy of one portal's whole state, and a file of several portals with their snapshots (SQLite).

A copy holds records, settings, tokens and what people set; addresses and the clock are those of the run that reads it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path

from sandbox.method import Row
from sandbox.portal import Portal, Settings

# What `Portal.held` keeps that is not derived from records.
_KEPT = ("calendar_settings", "frames")


def take(portal: Portal) -> Row:
    """The portal's state as JSON can carry it; records are shared, so write it out before the lock is left."""
    return {
        "member_id": portal.member_id,
        "settings": asdict(portal.settings),
        "line": portal.line,
        "last": {name: table.last for name, table in portal.tables.items()},
        "tokens": list(portal.refresh_tokens.values()),
        "held": {name: portal.held[name] for name in _KEPT if name in portal.held},
        "tables": {name: list(table.rows.values()) for name, table in portal.tables.items() if table.rows},
    }


def put(portal: Portal, state: Row) -> None:
    """Replace the portal's state by `state` (see `take`), which the portal owns from now on."""
    with portal.lock:
        for table in portal.tables.values():
            table.clear()
        for name, rows in state["tables"].items():
            for row in rows:
                portal[name].add(row)
        for name, last in state["last"].items():
            portal[name].last = max(portal[name].last, last)
        # What is derived from the records is made anew from those that were read.
        portal.held.clear()
        portal.held.update(state.get("held", {}))
        portal.member_id = state["member_id"]
        known = {one.name for one in fields(Settings)}
        portal.settings = Settings(**{key: value for key, value in state["settings"].items() if key in known})
        portal.line = state["line"]
        portal.tokens = {row["ACCESS"]: row for row in state["tokens"]}
        portal.refresh_tokens = {row["REFRESH"]: row for row in state["tokens"]}


def keep(portal: Portal, name: str) -> int:
    """Keep the present state under `name`; the size of the copy in bytes."""
    with portal.lock:
        portal.snapshots[name] = json.dumps(take(portal), ensure_ascii=False)
        return len(portal.snapshots[name].encode())


def back(portal: Portal, name: str) -> None:
    """Return to the state kept under `name`. KeyError when there is none."""
    put(portal, json.loads(portal.snapshots[name]))


def save(portals: Sequence[Portal], path: Path) -> None:
    """Replace the content of the file by the present state of the portals; a crash leaves the former one."""
    records: list[tuple[int, str, int, str]] = []
    for index, portal in enumerate(portals):
        with portal.lock:
            state = take(portal)
            for kind, rows in state.pop("tables").items():
                records.extend((index, kind, row["ID"], json.dumps(row, ensure_ascii=False)) for row in rows)
            records.append((index, "portal", 0, json.dumps(state, ensure_ascii=False)))
            records.extend((index, f"snapshot {name}", 0, body) for name, body in portal.snapshots.items())
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS record_of (portal INTEGER, kind TEXT, id INTEGER, body TEXT, "
            "PRIMARY KEY (portal, kind, id))"
        )
        with database:
            database.execute("DELETE FROM record_of")
            database.executemany("INSERT INTO record_of VALUES (?, ?, ?, ?)", records)


def load(path: Path) -> list[tuple[Row, dict[str, str]]]:
    """(state, snapshots) of each portal in the file, in order."""
    found: dict[int, tuple[Row, dict[str, str]]] = {}
    tables: dict[int, dict[str, list[Row]]] = {}
    with closing(sqlite3.connect(path)) as database:
        for index, kind, number, body in database.execute(
            "SELECT portal, kind, id, body FROM record_of ORDER BY portal, kind, id"
        ):
            state, snapshots = found.setdefault(index, ({}, {}))
            if kind == "portal":
                state.update(json.loads(body))
            elif kind.startswith("snapshot "):
                snapshots[kind[len("snapshot ") :]] = body
            else:
                row = json.loads(body)
                row["ID"] = number
                tables.setdefault(index, {}).setdefault(kind, []).append(row)
    for index, (state, _) in found.items():
        state["tables"] = tables.get(index, {})
    return [found[index] for index in sorted(found)]
