"""GET /health and GET /metrics: one source with `doctor` (b24app/health.py); details for this machine or a key only."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from b24app.config import Settings
from b24app.errors import Rejected
from b24app.health import Finding, Used, disks, findings, is_serving, limits_used, version
from b24app.services import Services
from b24app.store.portals import StorageDown, all_portals
from b24app.store.tally import PortalTally, Tally, tally
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


@dataclass(frozen=True)
class Gauge:
    """A metric with its values by the values of its labels."""

    name: str
    text: str
    labels: tuple[str, ...]
    values: Mapping[Any, float]

    def family(self, kind: type[GaugeMetricFamily] | type[CounterMetricFamily] = GaugeMetricFamily) -> Metric:
        """Returns it as Prometheus' library has it."""
        family = kind(self.name, self.text, labels=self.labels)
        for labels, value in self.values.items():
            family.add_metric(labels if isinstance(labels, tuple) else [labels] if self.labels else [], value)
        return family


class Collector:
    """Counts from the database and Redis when it is asked: nothing is kept, every process would say the same."""

    def __init__(self, services: Services, doors: Doors) -> None:
        self._services = services
        self._doors = doors

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics; b24app_up is 0 where the database does not answer."""
        now = datetime.now(UTC)
        up = partial(Gauge, "b24app_up", "1 when the database answers", ())
        try:
            counted, portals = tally(self._services.database, now), all_portals(self._services.database)
        except StorageDown:
            yield up({"": 0}).family()
            return
        yield up({"": 1}).family()
        used = limits_used(self._services, portals, now)
        for gauge in (
            *_of_all(counted),
            *_of_portals(counted, now),
            *_of_limits({portals[id].host: one for id, one in used.items()}),
            *_of_disks(self._services.settings),
            self._findings(counted.hosts),
        ):
            yield gauge.family()
        unknown = Gauge("b24app_unknown_events", "Events nobody handles", ("event",), dict(self._doors.unknown))
        for counter in (*_counters(counted), unknown):
            yield counter.family(CounterMetricFamily)

    def _findings(self, hosts: Mapping[str, str]) -> Gauge:
        """What doctor says: an alert never says anything else."""
        found = [one for one in findings(self._services) if one.level != "ok"]
        counts = Counter((hosts.get(one.member_id, ""), one.key, one.level) for one in found)
        text = "What doctor says that needs a person"
        return Gauge("b24app_findings", text, ("portal", "key", "level"), counts)


def _of_all(counted: Tally) -> Iterator[Gauge]:
    """What is not counted by portal."""
    yield Gauge("b24app_build_info", "The version that runs", ("version",), {version(): 1})
    yield Gauge("b24app_portals_active", "Portals that are installed", (), {"": len(counted.portals)})
    yield Gauge("b24app_deliveries", "Deliveries by kind and state", ("kind", "state"), counted.deliveries)
    yield Gauge("b24app_commands", "REST writes and SMS by state", ("state",), counted.commands)
    yield Gauge("b24app_sms", "SMS by state", ("state",), counted.sms)
    beat = counted.beat_at.timestamp() if counted.beat_at else 0.0
    yield Gauge("b24app_clock_beat_timestamp_seconds", "When the clock last ticked", (), {"": beat})


def _of_portals(counted: Tally, now: datetime) -> Iterator[Gauge]:
    seen = {counted.hosts[id]: one for id, one in counted.portals.items()}

    def each(name: str, text: str, value: Callable[[PortalTally], float]) -> Gauge:
        return Gauge(name, text, ("portal",), {host: value(one) for host, one in seen.items()})

    def by(label: str, name: str, text: str, values: Callable[[PortalTally], Mapping[str, float]]) -> Gauge:
        found = {(host, key): value for host, one in seen.items() for key, value in values(one).items()}
        return Gauge(name, text, ("portal", label), found)

    def ago(moment: datetime | None) -> float:
        return max(0.0, (now - moment).total_seconds()) if moment is not None else 0.0

    yield each("b24app_deliveries_waiting", "Deliveries that are not finished", lambda one: one.waiting.count)
    yield each("b24app_oldest_delivery_seconds", "Age of the oldest of them", lambda one: ago(one.waiting.oldest_at))
    yield each("b24app_delivery_late_seconds", "How overdue the latest is", lambda one: ago(one.waiting.due_at))
    yield each("b24app_timers", "Timers that are set", lambda one: one.timers.count)
    yield each("b24app_timers_late", "Timers that should have fired", lambda one: one.timers.late)
    yield each("b24app_timers_late_seconds", "How late the latest timer is", lambda one: ago(one.timers.next_at))
    yield by(
        "code",
        "b24app_deliveries_failed",
        "Deliveries that need a person",
        lambda one: {code: failed.count for code, failed in one.failed.items()},
    )
    yield by("code", "b24app_alarms", "Alarms that stand", lambda one: {alarm.key: 1 for alarm in one.alarms})
    yield by(
        "code",
        "b24app_event_last_timestamp_seconds",
        "When an event of the kind last came",
        lambda one: {code: count.last_at.timestamp() for code, count in one.events.items() if count.last_at},
    )
    yield by("kind", "b24app_tokens", "Tokens: owner, spare, dead", _tokens)
    yield by("kind", "b24app_token_idle_seconds", "Since the longest unused was renewed", lambda one: _idle(one, now))
    yield by("state", "b24app_visits", "Measurements by state", lambda one: one.visits)


def _tokens(seen: PortalTally) -> dict[str, float]:
    kinds = Counter("dead" if token.dead_at else token.role for token in seen.tokens)
    return {kind: kinds[kind] for kind in ("owner", "spare", "dead")}


def _idle(seen: PortalTally, now: datetime) -> dict[str, float]:
    idle: dict[str, float] = {}
    for token in seen.tokens:
        if token.dead_at is None:
            idle[token.role] = max(idle.get(token.role, 0.0), (now - token.updated_at).total_seconds())
    return idle


def _of_limits(used: Mapping[str, Used]) -> Iterator[Gauge]:
    for name, text, value in (
        ("b24app_bucket_requests", "Requests in the portal's bucket", lambda one: one.requests),
        ("b24app_bucket_capacity_requests", "Requests that fit into it", lambda one: one.capacity),
        ("b24app_methods_parked", "REST methods that rest", lambda one: len(one.parked)),
        ("b24app_portal_stopped", "1 where the portal stopped REST", lambda one: one.stopped),
    ):
        yield Gauge(name, text, ("portal",), {host: float(value(one)) for host, one in used.items()})


def _of_disks(settings: Settings) -> Iterator[Gauge]:
    found = {}
    with suppress(OSError):
        found = disks(settings)
    for name, sizes in (
        ("free", {kind: disk.free for kind, disk in found.items()}),
        ("size", {kind: disk.size for kind, disk in found.items()}),
    ):
        yield Gauge(f"b24app_disk_{name}_bytes", "Disks of the database's folder and of [run] data", ("kind",), sizes)


def _counters(counted: Tally) -> Iterator[Gauge]:
    """What only grows; events are counted by each reconciliation."""
    counts = {
        (counted.hosts[id], code): count for id, seen in counted.portals.items() for code, count in seen.events.items()
    }
    labels = ("portal", "code")
    yield Gauge("b24app_deliveries_accepted", "Deliveries since the first one", (), {"": counted.accepted})
    yield Gauge("b24app_events", "Events that came", labels, {key: count.seen for key, count in counts.items()})
    found = {key: count.found for key, count in counts.items()}
    yield Gauge("b24app_found_without_event", "Found by the reconciliation, told by no event", labels, found)


def metrics(services: Services, doors: Doors, *, insider: bool) -> bytes:
    """Returns the metrics in Prometheus' text form; Rejected for others than insiders."""
    if not insider:
        raise Rejected("только с этой машины или с ключом / from this machine or with the key only")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(services, doors))
    return bytes(generate_latest(registry))
