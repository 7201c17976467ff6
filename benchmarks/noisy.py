"""How long quiet portals wait beside a noisy one: the last of their leads alone, and while 500 calls came elsewhere."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import sqlalchemy as sa

from b24app.store import schema
from benchmarks.report import Options, Report, at_most
from benchmarks.running import Running, running

PORTALS = 10
NOISE = 500
CALLS, FORMS = 2, 1
"""Of each quiet portal: urgent and ordinary work, since the noise is urgent."""


def report(options: Options) -> Report:
    """Reports the median of quiet rounds beside the median of noisy ones, taken in turns."""
    alone, beside, numbers = [], [], count()
    with running(portals=PORTALS) as application:
        application.start_all()
        _round(application, numbers)  # departments and hours are read once in a while
        for number in range(options.rounds):
            for noisy in (False, True) if number % 2 == 0 else (True, False):
                if noisy:
                    _make_noise(application, numbers)
                    beside.append(_round(application, numbers))
                    _end_noise(application)
                else:
                    alone.append(_round(application, numbers))
    figures = [
        f"{name:22} {statistics.median(times):6.1f} s   ({', '.join(f'{one:.1f}' for one in times)})"
        for name, times in (("одни / alone", alone), ("рядом с шумным / beside", beside))
    ]
    return Report(
        f"{PORTALS} порталов, на одном {NOISE} пропущенных звонков, на других по {CALLS} звонка и заявке с сайта"
        f" / {PORTALS} portals, one with {NOISE} missed calls, the others with {CALLS} and a web form each",
        (
            at_most(
                "до последнего из тихих: рядом с шумным к одним / last of the quiet: beside the noisy to alone",
                statistics.median(b / a for a, b in zip(alone, beside, strict=True)),
                2,
            ),
        ),
        figures,
    )


def _round(application: Running, numbers: Iterator[int]) -> float:
    """Lets every quiet portal have its enquiries at once; returns the seconds until the last one is assigned."""
    began = datetime.now(UTC)
    quiet = application.portals[1:]
    for portal in quiet:
        for _ in range(CALLS):
            portal.missed_call(f"+7912{next(numbers):07d}")
        for _ in range(FORMS):
            portal.control("POST", "web-form", {"name": "Мария", "phone": f"+7926{next(numbers):07d}"})
    members = [portal.ready["member_id"] for portal in quiet]
    last = application.assigned(len(quiet) * (CALLS + FORMS), since=began, members=members)
    return (last[-1] - began).total_seconds()


def _make_noise(application: Running, numbers: Iterator[int]) -> None:
    """Begins the noise and waits until its portal's bucket is full: from here on it goes on steadily."""
    began, noisy = datetime.now(UTC), application.portals[0]
    for _ in range(NOISE):
        noisy.missed_call(f"+7903{next(numbers):07d}")
    application.assigned(20, since=began, members=[noisy.ready["member_id"]])


def _end_noise(application: Running) -> None:
    table = schema.deliveries
    mine = sa.and_(table.c.member_id == application.portals[0].ready["member_id"], table.c.state == "waiting")
    with application.database.write() as connection:
        connection.execute(sa.delete(table).where(mine))
    application.quiet()
