"""HTTP requests per lead that an import moved past a gate and that was moved back, counted at the sandbox."""

from __future__ import annotations

import time

from benchmarks.report import Options, Ratio, Report, at_most
from benchmarks.running import running
from install.apply import apply

LEADS = 200
IMPORTER = 2
START, GATED = "NEW", "IN_PROCESS"


def report(_options: Options) -> Report:
    """Applies the playbook, lets an import move the leads onto a gated stage, and counts until all is quiet."""
    with running() as application:
        application.start_all()
        portal, services = application.portals[0], application.services()
        for _ in apply(services, portal.ready["member_id"]):
            pass
        services.dispose()
        made = portal.control("POST", "import", {"count": LEADS, "user_id": IMPORTER, "silent": True})
        ids = range(made["first"], made["last"] + 1)
        since, began = portal.last, time.monotonic()
        for id in ids:
            portal.change_item(1, id, {"stageId": GATED}, IMPORTER)
        taken = application.quiet() - began
        entries = application.requests(portal, since)
        repaired = sum(lead["id"] in ids and lead["stageId"] == START for lead in portal.state("leads"))
    commands = sum(len(entry.get("batch") or [1]) for entry in entries)
    return Report(
        f"Импорт переносит {LEADS} лидов мимо правил стадии / an import moves {LEADS} leads past a gate",
        (
            at_most("запросов на лид / requests per lead", len(entries) / LEADS, 2.5),
            Ratio("возвращено / repaired", f"{repaired}/{LEADS}", f"{LEADS}/{LEADS}", repaired == LEADS),
        ),
        [f"команд на лид / commands per lead: {commands / LEADS:.1f}; {taken:.0f} s"],
    )
