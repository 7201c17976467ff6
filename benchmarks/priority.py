"""A missed call behind a backlog of reports of its own portal: at which place it is worked, and how much later."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import sqlalchemy as sa

from b24app.engine.declare import LATER
from b24app.store import schema
from benchmarks.report import Options, Report, at_most
from benchmarks.running import WORKERS, Running, running

BACKLOG = 200
REPORT = "reconcile"
"""The longest of our less urgent works: three requests each."""


def report(options: Options) -> Report:
    """Reports how many reports came before the call, at most, and its time beside that of a call alone."""
    alone, behind, places, numbers = [], [], [], count()
    with running() as application:
        application.start_all()
        _call(application, numbers)  # departments and hours are read once in a while
        for number in range(options.rounds):
            for backlog in (False, True) if number % 2 == 0 else (True, False):
                if backlog:
                    _pile_up(application)
                    began = datetime.now(UTC)
                    behind.append(_call(application, numbers))
                    places.append(_reports_done(application, began))
                    _clear(application)
                else:
                    alone.append(_call(application, numbers))
    return Report(
        f"Пропущенный звонок за очередью из {BACKLOG} отчётов своего портала"
        f" / a missed call behind {BACKLOG} reports of its portal",
        (
            at_most(
                f"отчётов раньше звонка при {WORKERS} рабочих / reports before the call, {WORKERS} workers",
                max(places),
                2 * WORKERS,
                0,
            ),
            at_most(
                "до назначения: за очередью к одному / to the assignment: behind the reports to alone",
                statistics.median(b / a for a, b in zip(alone, behind, strict=True)),
                2,
            ),
        ),
        [
            f"{name:24} {statistics.median(times):6.1f} s   ({', '.join(f'{one:.1f}' for one in times)})"
            for name, times in (("один / alone", alone), ("за очередью / behind", behind))
        ],
    )


def _call(application: Running, numbers: Iterator[int]) -> float:
    """Makes a missed call; returns the seconds until it is assigned."""
    began = datetime.now(UTC)
    application.portals[0].missed_call(f"+7912{next(numbers):07d}")
    (at,) = application.assigned(1, since=began)
    return (at - began).total_seconds()


def _pile_up(application: Running) -> None:
    """Puts the reports in and waits until they are worked as fast as the portal lets ordinary work go."""
    services, began = application.services(), datetime.now(UTC)
    member_id = application.portals[0].ready["member_id"]
    for number in range(BACKLOG):
        services.inbox.record(
            member_id=member_id, kind="timer", code=REPORT, entity=f"report:{number}", payload={}, priority=LATER
        )
    services.doorbell.ring(0)
    application.until(lambda: _reports_done(application, began) >= 12, "the portal's bucket is full")
    services.dispose()


def _reports_done(application: Running, since: datetime) -> int:
    """Returns how many reports ended between that moment and the last assignment, or so far."""
    table, turns = schema.deliveries, schema.assignments
    last = sa.select(sa.func.max(turns.c.written_at)).where(turns.c.written_at > since).scalar_subquery()
    query = sa.select(sa.func.count().label("n")).where(
        table.c.code == REPORT, table.c.finished_at > since, sa.or_(last.is_(None), table.c.finished_at < last)
    )
    return int(application.rows(query)[0]["n"])


def _clear(application: Running) -> None:
    table = schema.deliveries
    with application.database.write() as connection:
        connection.execute(sa.delete(table).where(table.c.code == REPORT, table.c.state == "waiting"))
    application.quiet()
