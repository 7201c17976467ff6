"""HTTP requests and commands per missed call, counted at the sandbox from the ring until all is quiet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.report import Options, Report, at_most
from benchmarks.running import Running, running

CALLS = 5
ORDERS: tuple[tuple[str, list[dict[str, Any]]], ...] = (
    ("как пришло / as it comes", []),
    ("END раньше лида / END first", [{"event": "ONCRMLEADADD", "action": "delay", "count": CALLS, "seconds": 3}]),
    (
        "лид раньше END / lead first",
        [{"event": "ONVOXIMPLANTCALLEND", "action": "delay", "count": CALLS, "seconds": 3}],
    ),
    ("каждое дважды / each twice", [{"event": "*", "action": "duplicate", "count": CALLS * 20}]),
)


@dataclass(frozen=True)
class Row:
    """What one missed call costs, on the average of CALLS."""

    order: str
    assignment: float
    requests: float
    commands: float


def report(_options: Options) -> Report:
    """Reports the cost of a missed call for every order in which its events may come."""
    with running() as application:
        application.start_all()
        application.portals[0].missed_call("+79990000000")  # departments and hours are read once in a while
        application.quiet()
        rows = [_row(application, number, order, rules) for number, (order, rules) in enumerate(ORDERS)]
    worst = max(row.requests for row in rows)
    figures = [f"{'порядок событий / order':30} {'до ответственного':>17} {'всего':>6} {'команд':>7}"]
    figures += [f"{row.order:30} {row.assignment:17.1f} {row.requests:6.1f} {row.commands:7.1f}" for row in rows]
    figures += [
        "Ещё 3 запроса в 5 минут делает сверка, сколько бы ни было звонков / plus 3 per 5 min of reconciliation",
        f"Лидов в час при 2 запросах в секунду / leads an hour at 2 requests a second: {7200 / worst:.0f}",
    ]
    return Report(
        "Пропущенный звонок: запросы к порталу, от звонка до тишины / HTTP requests per missed call, ring to quiet",
        (
            at_most("запросов до ответственного / requests to the assignment", max(r.assignment for r in rows), 3, 1),
            at_most("запросов всего / requests in all", worst, 5, 1),
        ),
        figures,
    )


def _row(application: Running, number: int, order: str, rules: list[dict[str, Any]]) -> Row:
    portal = application.portals[0]
    for rule in rules:
        portal.control("POST", "event-rules", rule)
    entries, until_assigned = [], 0
    for call in range(CALLS):
        since = portal.last
        portal.missed_call(f"+79{number:03d}{call:06d}")
        application.quiet()
        mine = application.requests(portal, since)
        entries += mine
        until_assigned += _until_assigned(mine)
    portal.control("DELETE", "event-rules")
    commands = sum(len(entry.get("batch") or [1]) for entry in entries)
    return Row(order, until_assigned / CALLS, len(entries) / CALLS, commands / CALLS)


def _until_assigned(entries: list[dict[str, Any]]) -> int:
    """How many requests were made up to the one that wrote the responsible."""
    for count, entry in enumerate(entries, 1):
        if "crm.item.update" in (entry.get("batch") or [entry["method"]]):
            return count
    raise RuntimeError("the lead was never assigned")
