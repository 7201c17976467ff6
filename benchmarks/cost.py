"""HTTP requests and commands per missed call, counted at the sandbox from the ring until all is quiet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from b24app.demo import Scene, running_application, sandbox_portal
from b24app.health import open_deliveries

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

RECONCILIATION = ("voximplant.statistic.get", "crm.stagehistory.list", "crm.item.list")
"""Asked outside a batch by the reconciliation only, every five minutes."""


@dataclass(frozen=True)
class Row:
    """What one missed call costs, on the average of CALLS."""

    order: str
    assignment: float
    requests: float
    commands: float


def measure() -> list[Row]:
    """Returns the cost of a missed call for every order in which its events may come."""
    with sandbox_portal() as portal, running_application(portal, "ru") as scene:
        scene.install()
        scene.clock_in()
        scene.control(
            "POST", "missed-call", {"phone": "+79990000000"}
        )  # departments and hours are read once in a while
        _quiet(scene)
        return [_row(scene, number, order, rules) for number, (order, rules) in enumerate(ORDERS)]


def _row(scene: Scene, number: int, order: str, rules: list[dict[str, Any]]) -> Row:
    for rule in rules:
        scene.control("POST", "event-rules", rule)
    entries, until_assigned = [], 0
    for call in range(CALLS):
        since = scene.control("GET", "ledger?since=999999999")["last"]
        lead_id = int(scene.control("POST", "missed-call", {"phone": f"+79{number:03d}{call:06d}"})["lead_id"])
        _quiet(scene)
        mine = requests_since(scene, since)
        entries += mine
        until_assigned += _until_assigned(mine, lead_id)
    scene.control("DELETE", "event-rules")
    commands = sum(len(entry.get("batch") or [1]) for entry in entries)
    return Row(order, until_assigned / CALLS, len(entries) / CALLS, commands / CALLS)


def requests_since(scene: Scene, since: int) -> list[dict[str, Any]]:
    """What our application asked since then; the reconciliation comes by the clock, however many calls there are."""
    return [
        entry
        for entry in scene.control("GET", f"ledger?since={since}")["entries"]
        if entry["kind"] == "request"
        and entry.get("application") == scene.portal["client_id"]
        and entry["method"] not in RECONCILIATION
    ]


def _until_assigned(entries: list[dict[str, Any]], lead_id: int) -> int:
    """How many requests were made up to the one that wrote the responsible of this lead."""
    for count, entry in enumerate(entries, 1):
        if "crm.item.update" in (entry.get("batch") or [entry["method"]]):
            return count
    raise RuntimeError(f"lead {lead_id} was never assigned")


def _quiet(scene: Scene, calm_seconds: float = 4.0) -> None:
    """Waits until portal and application have had nothing to do for longer than the clock's pause."""
    calm_since = time.monotonic()
    deadline = calm_since + 120
    while time.monotonic() - calm_since < calm_seconds:
        if not scene.control("GET", "quiet")["quiet"] or open_deliveries(scene.database):
            calm_since = time.monotonic()
        if time.monotonic() > deadline:
            raise RuntimeError("it does not become quiet")
        time.sleep(0.1)
