"""The state of one portal and of the process: records, clock, ledger, the queue of things that happen later."""

from __future__ import annotations

import heapq
import itertools
import random
import secrets
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.limits import Limits
from sandbox.method import Row

LEDGER_SIZE = 200_000


class Table:
    """Records by ascending whole id. Every record is a plain map that JSON can carry, with its id under "ID"."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self.last = 0
        self._parts: dict[str, defaultdict[Any, Table]] = {}

    def add(self, row: Row) -> Row:
        """Store a new record under the next id (or its own "ID") and return it."""
        number = int(row.get("ID") or self.last + 1)
        row["ID"] = number
        self.rows[number] = row
        for name, parts in self._parts.items():
            parts[row[name]].add(row)
        if number > self.last:
            self.last = number
            self.ids.append(number)
        else:
            insort(self.ids, number)
        return row

    def clear(self) -> None:
        """Forget every record and begin with id 1 again."""
        self.rows.clear()
        self.ids.clear()
        self._parts.clear()
        self.last = 0

    def get(self, number: int | None) -> Row | None:
        """The record, or None."""
        return self.rows.get(number) if number is not None else None

    def remove(self, number: int) -> Row | None:
        """Delete and return the record; its id is never given again."""
        row = self.rows.pop(number, None)
        if row is not None:
            del self.ids[bisect_left(self.ids, number)]
            for name, parts in self._parts.items():
                parts[row[name]].remove(number)
        return row

    def part(self, name: str, value: Any) -> Table:
        """The records with this value of a column that never changes: to read only."""
        parts = self._parts.get(name)
        if parts is None:
            parts = self._parts[name] = defaultdict(Table)
            for row in self:
                parts[row[name]].add(row)
        return parts.get(value) or Table()

    def ids_between(self, low: int | None = None, high: int | None = None) -> list[int]:
        """Ids with low <= id <= high in their order."""
        first = 0 if low is None else bisect_left(self.ids, low)
        return self.ids[first : len(self.ids) if high is None else bisect_right(self.ids, high)]

    def between(self, low: int | None = None, high: int | None = None, *, descending: bool = False) -> Iterator[Row]:
        """Records with low <= id <= high in order of id."""
        first = 0 if low is None else bisect_left(self.ids, low)
        after = len(self.ids) if high is None else bisect_right(self.ids, high)
        span = range(after - 1, first - 1, -1) if descending else range(first, after)
        ids = self.ids
        rows = self.rows
        return (rows[ids[index]] for index in span)

    def where(self, **wanted: Any) -> Iterator[Row]:
        """Records whose named values are equal to the given ones, in order of id."""
        return (row for row in self.between() if all(row.get(key) == value for key, value in wanted.items()))

    def first(self, **wanted: Any) -> Row | None:
        """The first record of `where`, or None."""
        return next(self.where(**wanted), None)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return self.between()


class Clock:
    """The clock of the whole process: real time, shifted by hand and run `speed` times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        self._base = self._real = time.time()
        self.speed = speed

    def now(self) -> float:
        """Unix seconds by this clock."""
        return self._base + (time.time() - self._real) * self.speed

    def set(self, *, shift: float = 0.0, speed: float | None = None) -> None:
        """Move the clock by `shift` seconds and, when given, change its speed."""
        self._base, self._real = self.now() + shift, time.time()
        if speed is not None:
            self.speed = speed


class Scheduler:
    """Runs things at their time in a pool of threads; `quiet` when no delivery is waiting or under way."""

    def __init__(self, clock: Clock, workers: int = 24) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, Callable[[], None], bool]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._busy = 0
        self._stopping = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="delivery")
        self._thread = threading.Thread(target=self._run, daemon=True, name="scheduler")

    def start(self) -> None:
        """Begin to run what is due."""
        self._thread.start()

    def stop(self) -> None:
        """Run nothing more; what is under way ends by itself."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def call(self, delay: float, action: Callable[[], None], *, delivery: bool = True) -> None:
        """Run `action` after `delay` seconds of the portal's clock. Only deliveries keep `quiet` away."""
        with self._wake:
            heapq.heappush(self._heap, (self.clock.now() + delay, next(self._order), action, delivery))
            if delivery:
                self._busy += 1
            self._wake.notify_all()

    def moved(self) -> None:
        """Look at the clock again: it was shifted or its speed changed."""
        with self._wake:
            self._wake.notify_all()

    @property
    def quiet(self) -> bool:
        """True when no delivery is queued or under way."""
        with self._wake:
            return self._busy == 0

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopping:
                    if not self._heap:
                        self._wake.wait()
                        continue
                    left = self._heap[0][0] - self.clock.now()
                    if left <= 0:
                        break
                    self._wake.wait(min(left / self.clock.speed, 60.0))
                if self._stopping:
                    return
                _, _, action, delivery = heapq.heappop(self._heap)
            self._pool.submit(self._perform, action, delivery)

    def _perform(self, action: Callable[[], None], delivery: bool) -> None:
        try:
            action()
        finally:
            if delivery:
                with self._wake:
                    self._busy -= 1


class Ledger:
    """Everything that happened, in order, for people and tests: requests, effects, events, robots, frames, alarms."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Row] = deque(maxlen=LEDGER_SIZE)
        self._lock = threading.Lock()
        self.last = 0

    def add(self, kind: str, **facts: Any) -> Row:
        """Record and return one entry; the caller may complete it later (the status of a delivery)."""
        with self._lock:
            self.last += 1
            entry: Row = {"n": self.last, "at": round(self._clock.now(), 3), "kind": kind, **facts}
            self._entries.append(entry)
            return entry

    def since(self, number: int) -> list[Row]:
        """Entries after `number`, oldest first."""
        with self._lock:
            if number >= self.last:
                return []
            skip = max(0, number - (self.last - len(self._entries)))
            return list(itertools.islice(self._entries, skip, None))


@dataclass
class Settings:
    """Switches of one portal."""

    mode: int = 1
    timeman: bool = True
    rest_v3: bool = True
    license: str = "ru_pro100"
    rename_to: str = ""
    deleted: bool = False
    statuses: str = "sdk"
    timezone: str = "Europe/Moscow"
    language: str = "ru"
    required_fields: bool = False
    offline_extended: bool = True
    auth_connector: bool = True
    event_delay: float = 0.02
    ring_seconds: float = 0.0
    task_card: str = "new"
    workplaces: int = 100
    ai_calls: bool = True
    oauth: int = 1


TABLES = [
    "users",
    "departments",
    "applications",
    "webhooks",
    "tokens",
    "event_handlers",
    "offline_events",
    "placements",
    "robots",
    "activities_bp",
    "robot_places",
    "workflows",
    "triggers",
    "trigger_runs",
    "1",
    "2",
    "3",
    "4",
    "multifields",
    "statuses",
    "categories",
    "stage_history",
    "activities",
    "comments",
    "tasks",
    "task_history",
    "checklist",
    "calls",
    "call_rows",
    "calendar",
    "sections",
    "notices",
    "messages",
    "userfields",
    "work_days",
    "options",
    "pull",
    "idempotency",
    "item_extra",
]


@dataclass
class Portal:
    """One portal. Hold `lock` around everything that reads or writes `tables`.

    Records of CRM items live in the tables "1" (leads), "2", "3", "4" under the upper-case names of the classic
    methods, with times as unix seconds; phone numbers and e-mails in "multifields".
    """

    clock: Clock
    scheduler: Scheduler
    member_id: str
    seed: int = 1
    url: str = ""
    oauth_url: str = ""
    settings: Settings = field(default_factory=Settings)
    limits: Limits = field(default_factory=Limits)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - made-up facts and plausible costs, never secrets
        self.tables: dict[str, Table] = {name: Table() for name in TABLES}
        self.ledger = Ledger(self.clock)
        self.faults: list[Row] = []
        self.event_rules: list[Row] = []
        self.line: Row = {"create_lead": "missed", "responsible_id": 1, "create_when": "end", "number": "74951234567"}
        self.tokens: dict[str, Row] = {}
        self.refresh_tokens: dict[str, Row] = {}
        self.held: dict[str, Any] = {}
        self.snapshots: dict[str, str] = {}
        self.requests = 0
        self._zones: dict[str, ZoneInfo] = {}

    def __getitem__(self, name: str | int) -> Table:
        """The table of that name; an unknown name makes a new one, so a family can keep its own records."""
        table = self.tables.get(str(name))
        if table is None:
            table = self.tables[str(name)] = Table()
        return table

    @property
    def host(self) -> str:
        """host:port of the portal, as in DOMAIN."""
        return self.url.split("://", 1)[1]

    def now(self) -> float:
        """Unix seconds by the portal's clock."""
        return self.clock.now()

    def secret(self, length: int = 32) -> str:
        """Random hexadecimal digits, other ones in every run: two portals never share a token."""
        return secrets.token_hex((length + 1) // 2)[:length]

    def zone(self, name: str = "") -> ZoneInfo:
        """The time zone of that name, by default the portal's."""
        name = name or self.settings.timezone
        zone = self._zones.get(name)
        if zone is None:
            zone = self._zones[name] = ZoneInfo(name)
        return zone

    def iso(self, at: float | None) -> str | None:
        """`at` as ISO 8601 with the portal's offset (2026-11-22T12:00:00+03:00), None for None."""
        return None if at is None else datetime.fromtimestamp(int(at), self.zone()).isoformat()

    @contextmanager
    def request(self) -> Iterator[None]:
        """One more REST request is under way (`requests`)."""
        with self.lock:
            self.requests += 1
        try:
            yield
        finally:
            with self.lock:
                self.requests -= 1

    def user(self, number: Any) -> Row | None:
        """The person of that id, or None."""
        return self["users"].get(number if isinstance(number, int) else None)

    def effect(self, change: str, kind: str, number: int, user_id: int, via: str, **more: Any) -> None:
        """Record in the ledger that something was created, updated or deleted."""
        self.ledger.add("effect", change=change, type=kind, id=number, user_id=user_id, via=via, **more)

    def alarm(self, text: str, **more: Any) -> None:
        """Record what must never happen to a client (a secret sent to the wrong place)."""
        self.ledger.add("alarm", text=text, **more)
