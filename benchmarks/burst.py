"""A thousand missed calls at once on one portal: the last assignment beside the bound that the portal's limits set."""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from math import ceil
from typing import Any

from b24app.bitrix.limits import OPERATING_SECONDS, STANDARD
from benchmarks.report import Options, Ratio, Report, at_most
from benchmarks.running import running
from sandbox.method import METHODS, METHODS_V3, load_methods

CALLS = 1000
WINDOW_SECONDS = 600


def report(options: Options) -> Report:
    """Reports the time to the last assignment beside the larger of both bounds, and the requests per lead."""
    with running(speed=options.speed) as application:
        application.start_all()
        portal = application.portals[0]
        portal.missed_call("+79990000000")  # departments and hours are read once in a while
        application.quiet()
        since, began = portal.last, datetime.now(UTC)
        with ThreadPoolExecutor(4) as pool:
            calls = pool.map(portal.missed_call, (f"+7912{number:07d}" for number in range(CALLS)))
            leads = {int(made["lead_id"]) for made in calls}
        taken = (application.assigned(CALLS, since=began, patience=3600)[-1] - began).total_seconds()
        entries = [entry for entry in portal.ledger(since, "request") if entry["application"] == portal.client_id]
        chosen = Counter(lead["assignedById"] for lead in portal.state("leads") if lead["id"] in leads)
    by_rate = (len(entries) - STANDARD.capacity) / (STANDARD.leak * options.speed)
    method, seconds = _busiest(entries)
    by_operating = (ceil(seconds / OPERATING_SECONDS) - 1) * WINDOW_SECONDS / options.speed
    refused = sum(entry["status"] != 200 for entry in entries)
    commands = sum(len(entry.get("batch") or [1]) for entry in entries)
    return Report(
        f"{CALLS} пропущенных звонков сразу на одном портале, лимиты обеих сторон быстрее в {options.speed:g} раз"
        f" / {CALLS} missed calls at once on one portal, limits of both sides {options.speed:g} times faster",
        (
            at_most(
                "до последнего назначения к границе лимита / last assignment to the bound of the limits",
                taken / max(by_rate, by_operating),
                1.1,
            ),
            at_most("запросов на лид / requests per lead", len(entries) / CALLS, 3.1),
            Ratio("отказов по лимиту / refusals by a limit", str(refused), "0", refused == 0),
        ),
        [
            f"до последнего назначения / to the last assignment: {taken:.0f} s",
            f"граница по запросам / bound by requests: ({len(entries)} - {STANDARD.capacity}) / "
            f"{STANDARD.leak * options.speed:.0f} = {by_rate:.0f} s",
            f"граница по времени методов / bound by operating time: {by_operating:.0f} s "
            f"({method}: {seconds:.0f} s из / of {OPERATING_SECONDS:.0f} за / in {WINDOW_SECONDS} s)",
            f"без ускорения граница / bound without --speed: {max(by_rate, by_operating) * options.speed / 60:.0f} min",
            f"команд на лид / commands per lead: {commands / CALLS:.1f}",
            f"лидов на менеджера / leads per manager: {', '.join(str(count) for count in sorted(chosen.values()))}",
        ],
    )


def _busiest(entries: list[dict[str, Any]]) -> tuple[str, float]:
    """Returns the method that was charged most, and its seconds on the average of what the sandbox charges."""
    load_methods()
    charged: defaultdict[str, float] = defaultdict(float)
    for entry in entries:
        for name in entry.get("batch") or [entry["method"]]:
            known = METHODS_V3.get(name.removeprefix("api/")) if name.startswith("api/") else METHODS.get(name)
            charged[name] += sum(known.cost) / 2 if known else 0
    return max(charged.items(), key=lambda pair: pair[1])
