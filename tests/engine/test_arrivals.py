"""Rows that arrive together: each is kept or refused for itself, and all share the flushes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from b24app.engine.inbox import Inbox
from b24app.store import schema
from b24app.store.database import Database

ROWS = 60


def arrive(inbox: Inbox, number: int, **changes: Any) -> int | None:
    values: dict[str, Any] = {
        "member_id": "one",
        "kind": "event",
        "code": "E",
        "entity": f"lead:{number}",
        "payload": {"data": {"n": number}},
        "priority": 50,
    }
    return inbox.record(**{**values, **changes})


def commits_of(database: Database) -> list[None]:
    counted: list[None] = []
    sa.event.listen(database.engine, "commit", lambda _: counted.append(None))
    return counted


def test_rows_that_wait_for_the_writer_share_its_commit(database: Database) -> None:
    inbox, commits = Inbox(database), commits_of(database)
    with inbox._arrivals._writer:  # the disk is busy with an earlier row
        threads = ThreadPoolExecutor(ROWS)
        futures = [threads.submit(arrive, inbox, number) for number in range(ROWS)]
        while len(inbox._arrivals._waiting) < ROWS:
            threading.Event().wait(0.01)
    ids = [future.result(20) for future in futures]
    threads.shutdown()
    assert len(set(ids)) == ROWS
    assert len(commits) == 1
    with database.read() as connection:
        kept = connection.execute(sa.select(schema.deliveries.c.id, schema.deliveries.c.entity)).all()
    rows = {row.id: row.entity for row in kept}
    assert {number: rows[id] for number, id in enumerate(ids) if id} == {n: f"lead:{n}" for n in range(ROWS)}


def test_a_row_that_the_database_refuses_refuses_only_itself(database: Database) -> None:
    inbox = Inbox(database)
    with inbox._arrivals._writer:
        threads = ThreadPoolExecutor(8)
        good = [threads.submit(arrive, inbox, number) for number in range(6)]
        bad = threads.submit(arrive, inbox, 6, member_id=None)
        twice = threads.submit(arrive, inbox, 7, unique_key="robot:1")
        while len(inbox._arrivals._waiting) < 8:
            threading.Event().wait(0.01)
    assert all(future.result(20) for future in good)
    assert twice.result(20)
    with pytest.raises(sa.exc.IntegrityError):
        bad.result(20)
    threads.shutdown()
    assert arrive(inbox, 8, unique_key="robot:1") is None
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.deliveries)).scalar_one() == 7
