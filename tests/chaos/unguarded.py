"""Starts a process of ours with one guard taken away, or with a death of its own: runs must notice the first.

python unguarded.py GUARD --config FILE worker | clock | web ...; nothing here is part of the application.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from b24app.__main__ import main
from b24app.bitrix.oauth import Tokens
from b24app.engine.clock import Clock
from b24app.engine.inbox import Inbox
from b24app.engine.journal import Journal
from b24app.engine.run import Runner
from b24app.store import schema
from b24app.web.visits import Visits

MARK = "B24APP_CHAOS_MARK"
"""The variable with the file that is made by whoever dies: nobody dies there again."""


def die_once() -> None:
    """Kills this process, unless one died here already."""
    try:
        os.close(os.open(os.environ[MARK], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def journal() -> None:
    """A command is not marked as sent before its request leaves."""

    def mark_sent(self: Journal, delivery: Any, entries: Any) -> Any:
        self.inbox.renew(delivery)
        return [replace(entry, state="sent", first_sent_at=datetime.now(UTC)) for entry in entries]

    Journal.mark_sent = mark_sent  # type: ignore[method-assign]


def look_up() -> None:
    """What may have been done is done again without a look."""

    def resolve_unknown(self: Runner, delivery: Any, portal: Any, unknown: Any) -> None:
        self.journal.settle(delivery, {entry.id: {"state": "written", "first_sent_at": None} for entry in unknown})

    Runner._resolve_unknown = resolve_unknown  # type: ignore[method-assign]


def claim_lease() -> None:
    """Whoever asks gets the delivery, though another works on it, and both may write."""
    made = Inbox.__init__

    def without_lease(self: Inbox, database: Any, **_: Any) -> None:
        made(self, database, lease=timedelta(0))

    def write_back(self: Inbox, connection: sa.Connection, delivery: Any, **values: Any) -> None:
        connection.execute(sa.update(schema.deliveries).where(schema.deliveries.c.id == delivery.id).values(**values))

    Inbox.__init__ = without_lease  # type: ignore[method-assign]
    Inbox.write_back = write_back  # type: ignore[method-assign]


def queue_transaction() -> None:
    """A due timer is taken away in one transaction and becomes a delivery in another; the clock dies in between."""

    def fire_timers(self: Clock, now: datetime, limit: int = 200) -> list[int]:
        timers = schema.timers
        with self.database.write() as connection:
            due = connection.execute(sa.select(timers).where(timers.c.due_at <= now).limit(limit)).mappings().all()
            connection.execute(sa.delete(timers).where(timers.c.id.in_([row["id"] for row in due])))
        if due:
            die_once()
        fired: list[int] = []
        for row in due:
            with self.database.write() as connection:
                fired += self._deliver(connection, row, now)
        return fired

    Clock.fire_timers = fire_timers  # type: ignore[method-assign]


def token_lease() -> None:
    """Whoever finds the token expired renews it, though another is about to."""
    Tokens._take_lease = lambda self, entry, holder: True  # type: ignore[method-assign]


def dies_after_a_page_took_a_time() -> None:
    """No guard is gone: the web dies when a page's transaction is kept and nobody was told yet."""
    usual = Visits._memory

    @contextmanager
    def memory(self: Visits, portal: Any) -> Iterator[Any]:
        with usual(self, portal) as kept:
            yield kept
        die_once()

    Visits._memory = memory  # type: ignore[method-assign]


GUARDS: dict[str, Callable[[], None]] = {
    "journal": journal,
    "look-up": look_up,
    "claim lease": claim_lease,
    "queue transaction": queue_transaction,
    "token lease": token_lease,
}
DEATHS: dict[str, Callable[[], None]] = {"after a page's transaction": dies_after_a_page_took_a_time}


if __name__ == "__main__":
    (GUARDS | DEATHS)[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
