"""A hundred portals with one missed call each at the same moment: what it costs, and who waits how much longer."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from benchmarks.report import Options, Ratio, Report, at_most
from benchmarks.running import running

PORTALS = 100
QUEUED = 2.0
"""Longest to median wait where everybody stands in one queue: the last one waits twice as long as the middle one."""


def report(_options: Options) -> Report:
    """Reports requests per lead beside those of one portal alone, and the longest wait beside the median one."""
    with running(portals=PORTALS) as application:
        application.start_all()
        for portal in application.portals:
            portal.missed_call("+79990000000")  # departments and hours are read once in a while
        application.quiet()
        first = application.portals[0]
        since = first.last
        first.missed_call("+79120000000")
        application.quiet()
        one = len(application.requests(first, since))
        before = {portal.url: portal.last for portal in application.portals}
        began = datetime.now(UTC)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda portal: portal.missed_call("+79130000000"), application.portals))
        times = [(at - began).total_seconds() for at in application.assigned(PORTALS, since=began, patience=300)]
        application.quiet()
        asked = [len(application.requests(portal, before[portal.url])) for portal in application.portals]
    spread = max(times) / statistics.median(times)
    return Report(
        f"{PORTALS} порталов, на каждом пропущенный звонок в одну и ту же минуту"
        f" / {PORTALS} portals, a missed call on each at once",
        (
            Ratio("назначено / assigned", f"{len(times)}/{PORTALS}", f"{PORTALS}/{PORTALS}", len(times) == PORTALS),
            at_most(
                "запросов на лид к одному порталу / requests per lead to one portal's",
                sum(asked) / PORTALS / one,
                1.1,
            ),
            at_most("самое долгое ожидание к медиане / longest wait to the median", spread, QUEUED * 1.1),
        ),
        [
            f"запросов на лид / requests per lead: {sum(asked) / PORTALS:.2f}, один портал / one portal: {one}",
            f"до назначения / to the assignment: медиана / median {statistics.median(times):.1f} s, "
            f"последнее / last {max(times):.1f} s",
        ],
    )
