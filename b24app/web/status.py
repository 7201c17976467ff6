"""GET /health and GET /metrics: one source with `doctor` (b24app/health.py); details for this machine or a key only."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from b24app.errors import Rejected
from b24app.health import Finding, findings, is_serving
from b24app.services import Services
from b24app.store.portals import StorageDown
from b24app.store.tally import tally
from b24app.web.doors import Doors

LOOPBACK = ("127.0.0.1", "::1")


class Insider:
    """Tells whether who asks may see details: this machine without a proxy between, or the holder of metrics_key."""

    def __init__(self, services: Services) -> None:
        self._key = services.settings.app.metrics_key

    def __call__(self, remote: str, forwarded: bool, authorization: str, key: str) -> bool:
        """`forwarded`: a proxy says that somebody else asks, whatever the remote address is."""
        given = authorization.removeprefix("Bearer ").strip() or key
        if self._key and hmac.compare_digest(given.encode(), self._key.encode()):
            return True
        return remote in LOOPBACK and not forwarded


def health(services: Services, *, insider: bool) -> tuple[int, dict[str, Any]]:
    """Returns 200 or 503 and what works: in words for an insider, by names only for everybody else."""
    found = findings(services)
    serving = is_serving(found)
    worst = found[0].level if found else "ok"
    answer: dict[str, Any] = {"serving": serving, "state": worst, "works": _works(found)}
    if insider:
        answer["findings"] = [asdict(one) for one in found]
    return (200 if serving else 503), answer


def _works(found: Iterable[Finding]) -> dict[str, bool]:
    works: dict[str, bool] = {}
    for one in found:
        works[one.key] = works.get(one.key, True) and one.level != "bad"
    return works


class Collector:
    """Counts from the database when it is asked: nothing is kept, every process would say the same."""

    def __init__(self, services: Services, doors: Doors) -> None:
        self._services = services
        self._doors = doors

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics; b24app_up is 0 where the database does not answer."""
        up = GaugeMetricFamily("b24app_up", "1 when the database answers")
        try:
            counted = tally(self._services.database, datetime.now(UTC))
        except StorageDown:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        deliveries = GaugeMetricFamily("b24app_deliveries", "Deliveries by kind and state", labels=["kind", "state"])
        for (kind, state), count in counted.deliveries.items():
            deliveries.add_metric([kind, state], count)
        yield deliveries
        commands = GaugeMetricFamily("b24app_commands", "REST writes by state", labels=["state"])
        for state, count in counted.commands.items():
            commands.add_metric([state], count)
        yield commands
        for name, text, value in (
            ("b24app_oldest_delivery_seconds", "Age of the oldest unfinished delivery", counted.oldest_seconds),
            ("b24app_timers", "Timers that are set", counted.timers),
            ("b24app_timers_late_seconds", "How late the latest timer is", counted.timer_late_seconds),
            ("b24app_alarms", "Alarms that stand", counted.alarms),
            ("b24app_tokens_dead", "Tokens that need an administrator", counted.tokens_dead),
            ("b24app_portals_active", "Portals that are installed", counted.portals),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        unknown = CounterMetricFamily("b24app_unknown_events", "Events nobody handles", labels=["event"])
        for event, count in list(self._doors.unknown.items()):
            unknown.add_metric([event], count)
        yield unknown


def metrics(services: Services, doors: Doors, *, insider: bool) -> bytes:
    """Returns the metrics in Prometheus' text form; Rejected for others than insiders."""
    if not insider:
        raise Rejected("только с этой машины или с ключом / from this machine or with the key only")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(services, doors))
    return bytes(generate_latest(registry))
