"""HTTP requests per lead that an import moved past a gate and that was moved back, counted at the sandbox."""

from __future__ import annotations

import time
from dataclasses import dataclass

from b24app.config import load
from b24app.demo import FOLDER, Scene, running_application, sandbox_portal
from b24app.engine.declare import Catalogue
from b24app.health import open_deliveries
from b24app.services import build
from b24app.store.portals import all_portals
from benchmarks.cost import requests_since
from handlers import HANDLERS, TIMERS
from install.apply import apply
from robots import ROBOTS

LEADS = 200
IMPORTER = 2
START, GATED = "NEW", "IN_PROCESS"


@dataclass(frozen=True)
class Row:
    """What one repaired lead costs on the average, and how long all of them took."""

    repaired: int
    requests: float
    commands: float
    seconds: float


def measure() -> Row:
    """Applies the playbook, lets an import move the leads onto a gated stage, and counts until all is quiet."""
    with sandbox_portal() as portal, running_application(portal, "ru") as scene:
        scene.install()
        _apply_playbook()
        made = scene.control("POST", "import", {"count": LEADS, "user_id": IMPORTER, "silent": True})
        ids = range(made["first"], made["last"] + 1)
        since = scene.control("GET", "ledger?since=999999999")["last"]
        began = time.monotonic()
        for id in ids:
            scene.control("PATCH", f"items/1/{id}", {"fields": {"stageId": GATED}, "user_id": IMPORTER})
        taken = _quiet(scene) - began
        entries = requests_since(scene, since)
        repaired = sum(lead["id"] in ids and lead["stageId"] == START for lead in scene.state("leads"))
        commands = sum(len(entry.get("batch") or [1]) for entry in entries)
        return Row(repaired, len(entries) / LEADS, commands / LEADS, taken)


def _apply_playbook() -> None:
    catalogue = Catalogue(robots=ROBOTS, handlers=HANDLERS, timers=TIMERS)
    services = build(load(FOLDER / "config.toml"), catalogue, "redis://127.0.0.1:1")
    try:
        (member_id,) = all_portals(services.database)
        for _ in apply(services, member_id):
            pass
    finally:
        services.dispose()


def _quiet(scene: Scene, calm_seconds: float = 4.0) -> float:
    """Returns when the last of it was done: portal and application have had nothing to do since."""
    calm_since = time.monotonic()
    deadline = calm_since + 300
    while time.monotonic() - calm_since < calm_seconds:
        if not scene.control("GET", "quiet")["quiet"] or open_deliveries(scene.database):
            calm_since = time.monotonic()
        if time.monotonic() > deadline:
            raise RuntimeError("it does not become quiet")
        time.sleep(0.1)
    return calm_since
