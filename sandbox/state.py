"""A portal in a file: every record as JSON in one SQLite database, written in one transaction."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from sandbox.portal import Portal, Settings, Table


def save(portal: Portal, path: Path) -> None:
    """Replace the content of the file by the present state; a crash leaves the former one."""
    with portal.lock:
        rows = [
            (name, number, json.dumps(row, ensure_ascii=False))
            for name, table in portal.tables.items()
            for number, row in table.rows.items()
        ]
        last = {name: table.last for name, table in portal.tables.items()}
        rest = {
            "member_id": portal.member_id,
            "settings": asdict(portal.settings),
            "line": portal.line,
            "last": last,
            "tokens": list(portal.refresh_tokens.values()),
        }
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS record (kind TEXT, id INTEGER, body TEXT, PRIMARY KEY (kind, id))")
        with database:
            database.execute("DELETE FROM record")
            database.executemany("INSERT INTO record VALUES (?, ?, ?)", rows)
            database.execute("INSERT INTO record VALUES ('portal', 0, ?)", (json.dumps(rest, ensure_ascii=False),))


def load(portal: Portal, path: Path) -> None:
    """Put the state of the file in the place of the portal's own; addresses and clock stay those of this run."""
    with closing(sqlite3.connect(path)) as database, portal.lock:
        rest = json.loads(database.execute("SELECT body FROM record WHERE kind = 'portal'").fetchone()[0])
        for table in portal.tables.values():
            table.clear()
        for kind, number, body in database.execute(
            "SELECT kind, id, body FROM record WHERE kind <> 'portal' ORDER BY id"
        ):
            row = json.loads(body)
            row["ID"] = number
            portal.tables.setdefault(kind, Table()).add(row)
        for name, last in rest["last"].items():
            portal[name].last = max(portal[name].last, last)
        # What is derived from the records is made anew from those that were read.
        portal.held.clear()
        portal.member_id = rest["member_id"]
        portal.settings = Settings(**rest["settings"])
        portal.line = rest["line"]
        portal.tokens = {row["ACCESS"]: row for row in rest["tokens"]}
        portal.refresh_tokens = {row["REFRESH"]: row for row in rest["tokens"]}
