"""The portal's limits, kept by all our processes together: how often we may ask, how long a method must rest.

Bitrix24 counts requests per portal and source address in a leaky bucket (limits.md): 50 fit and 2 a second leak, 250
and 5 on Enterprise; one more is 503 QUERY_LIMIT_EXCEEDED. Others on our address fill the same bucket, so a part stays
free for them; ordinary work stops earlier than urgent work: a ringing telephone never waits behind a report.
Where the bucket is full one worker waits for room (`waiting`, `full`): more would only keep other portals waiting.
Each method also has 480 seconds of running time in ten minutes; it is parked before it uses them up.

The count stands in Redis and moves by one script on Redis's clock. Without Redis a process asks once a second.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import redis as redis_client
from redis.exceptions import RedisError

from b24app.errors import PortalClosed, Temporary

log = logging.getLogger(__name__)

OPERATING_SECONDS = 480.0
PARK_AT = 0.9
"""Part of the operating time after which a method rests: a batch of 50 slow commands must still fit above it."""
PARK_SECONDS = 60.0
"""How long a method rests where the portal did not say until when: one of its ten baskets."""
RESERVE = 0.2
ORDINARY = 0.75
"""Part of what is ours that ordinary work may fill."""
TRIAL_SECONDS = 600
WAITER_SECONDS = 10
"""So long after it last found no room a worker keeps the others away: it may be dead, or the portal slow."""
REDIS_REST_SECONDS = 5.0
"""How long Redis is left alone after it failed: each try costs its time-out."""

_TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
for i = 5, #KEYS do
    local reset = tonumber(redis.call('GET', KEYS[i]) or '0')
    if reset > now then return {3, math.ceil((reset - now) * 1000), i - 5} end
end
local capacity, leak = tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('GET', KEYS[4]) == '1' then capacity, leak = tonumber(ARGV[3]), tonumber(ARGV[4]) end
local ceiling = capacity * tonumber(ARGV[5])
local level = tonumber(redis.call('HGET', KEYS[1], 'level') or '0')
local at = tonumber(redis.call('HGET', KEYS[1], 'at') or tostring(now))
level = math.max(0, level - leak * math.max(0, now - at))
if level + 1 > ceiling then return {1, math.ceil((level + 1 - ceiling) / leak * 1000), 0} end
local trial = redis.call('EXISTS', KEYS[2])
if trial == 1 then
    if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[6]) then return {2, redis.call('PTTL', KEYS[3]), 0} end
end
redis.call('HSET', KEYS[1], 'level', string.format('%.6f', level + 1), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 600)
return {0, 0, trial}
"""

_DRAIN = """
local clock = redis.call('TIME')
local capacity = tonumber(ARGV[1])
if redis.call('GET', KEYS[2]) == '1' then capacity = tonumber(ARGV[2]) end
local now = clock[1] .. '.' .. string.format('%06d', tonumber(clock[2]))
redis.call('HSET', KEYS[1], 'level', tostring(capacity), 'at', now)
redis.call('EXPIRE', KEYS[1], 600)
return 1
"""

_WAIT = """
redis.call('ZADD', KEYS[1], redis.call('TIME')[1] + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""

_WAITERS = """
local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""


@dataclass(frozen=True)
class Bucket:
    """A plan's bucket: requests that fit, requests that leak in a second."""

    capacity: int
    leak: float


STANDARD = Bucket(50, 2.0)
ENTERPRISE = Bucket(250, 5.0)

WAITERS = "b24app:waiters"


@dataclass(frozen=True)
class Full:
    """Portals that have no room for ordinary work, and those that have none for urgent work either."""

    ordinary: frozenset[str] = frozenset()
    urgent: frozenset[str] = frozenset()


class Limits:
    """Asks for leave before every request (`take`), learns from every answer (`observe`, `drain`, `stop`).

    Never raises an exception of Redis. `reserve` is the part of the bucket left to other applications on our address.
    """

    def __init__(self, redis: redis_client.Redis, *, reserve: float = RESERVE) -> None:
        self._redis = redis
        self._reserve = reserve
        self._take = redis.register_script(_TAKE)
        self._drain = redis.register_script(_DRAIN)
        self._wait = redis.register_script(_WAIT)
        self._waiters = redis.register_script(_WAITERS)
        self._lock = threading.Lock()
        self._redis_rests_until = 0.0
        self._waiter, self._waits = "", False
        self._next_at: dict[str, float] = {}
        self._parked: dict[tuple[str, str], datetime] = {}
        self._stopped: dict[str, tuple[str, float]] = {}
        self._trials: set[str] = set()

    def ceiling(self, *, urgent: bool, bucket: Bucket = STANDARD) -> float:
        """Returns how many requests of ours may stand in the bucket at once."""
        return bucket.capacity * self._share(urgent)

    def _share(self, urgent: bool) -> float:
        return (1 - self._reserve) * (1.0 if urgent else ORDINARY)

    def take(
        self, member_id: str, *, urgent: bool = False, deadline_seconds: float = 20.0, methods: Iterable[str] = ()
    ) -> None:
        """Counts one request, waiting for room up to the deadline.

        Temporary (with retry_at): no room in time, or one of the `methods` is parked. PortalClosed: stopped.
        """
        names = [name.lower() for name in methods]
        deadline = time.monotonic() + deadline_seconds
        while True:
            state, milliseconds, index = self._ask(member_id, urgent, names)
            if state == 0:
                if index:
                    self._trials.add(member_id)
                return
            delay = max(0.001, milliseconds / 1000)
            if state == 2:
                raise _stopped(member_id, self.stopped(member_id) or "")
            if state == 3:
                raise Temporary.after(
                    f"{names[index]}: время метода почти исчерпано / the method has nearly used up its time",
                    timedelta(seconds=delay),
                    code="OPERATION_TIME_LIMIT",
                )
            if time.monotonic() + delay > deadline:
                raise Temporary.after(
                    "запросы к порталу идут слишком часто / too many requests to the portal",
                    timedelta(seconds=delay),
                    code="QUERY_LIMIT_EXCEEDED",
                )
            if self._waiter:
                self._waits = True
                self._tell(lambda: self._wait(keys=[WAITERS], args=[self._waiter, WAITER_SECONDS]))
            time.sleep(min(delay, 0.25) * random.uniform(1.0, 1.2))  # noqa: S311 - spreads waiters, keeps no secret

    def drain(self, member_id: str) -> None:
        """Takes the bucket for full: the portal said so (503 QUERY_LIMIT_EXCEEDED), somebody else has used it."""
        with self._lock:
            self._next_at[member_id] = time.monotonic() + STANDARD.capacity * self._reserve / STANDARD.leak
        self._tell(
            lambda: self._drain(
                keys=[_key(member_id, "bucket"), _key(member_id, "plan")],
                args=[STANDARD.capacity, ENTERPRISE.capacity],
            )
        )

    @contextmanager
    def waiting(self, member_id: str, *, urgent: bool) -> Iterator[None]:
        """Says, from when a `take` of the block finds no room until the block ends, that a worker waits there."""
        name = f"{member_id}/{'urgent' if urgent else 'ordinary'}/{secrets.token_hex(4)}"
        self._waiter, self._waits = name, False
        try:
            yield
        finally:
            self._waiter = ""
            if self._waits:
                self._tell(lambda: self._redis.zrem(WAITERS, name))

    def full(self) -> Full:
        """Returns the portals in whose full bucket a worker waits already."""
        found = [name.decode().split("/") for name in self._tell(lambda: self._waiters(keys=[WAITERS])) or ()]
        return Full(
            ordinary=frozenset(member_id for member_id, _, _ in found),
            urgent=frozenset(member_id for member_id, kind, _ in found if kind == "urgent"),
        )

    def plan(self, member_id: str, *, enterprise: bool) -> None:
        """Remembers which bucket the portal's licence gives; without it the smaller one is used."""
        self._tell(lambda: self._redis.set(_key(member_id, "plan"), "1" if enterprise else "0"))

    def observe(self, member_id: str, method: str, operating: float | None, reset_at: datetime | None) -> None:
        """Parks the method when an answer says that its ten-minute budget is nearly used up."""
        if operating is not None and operating >= OPERATING_SECONDS * PARK_AT:
            self.park(member_id, method, reset_at)

    def park(self, member_id: str, method: str, reset_at: datetime | None) -> datetime:
        """Lets the method rest until `reset_at` (one minute where the portal did not say) and returns until when."""
        now = datetime.now(UTC)
        until = reset_at if reset_at is not None and reset_at > now else now + timedelta(seconds=PARK_SECONDS)
        until = min(until, now + timedelta(seconds=660))  # the oldest basket cannot stay longer than ten minutes
        with self._lock:
            self._parked[member_id, method.lower()] = until
        key = _key(member_id, "parked", method.lower())
        seconds = max(1, round((until - now).total_seconds()))
        self._tell(lambda: self._redis.set(key, f"{until.timestamp():.3f}", ex=seconds))
        return until

    def parked(self, member_id: str, method: str) -> datetime | None:
        """Returns until when the method rests, or None."""
        return self.parked_among(member_id, [method]).get(method.lower())

    def parked_among(self, member_id: str, methods: Iterable[str]) -> dict[str, datetime]:
        """Returns until when each of the methods (in lower case) rests; those that do not are absent."""
        names = sorted({name.lower() for name in methods})
        keys = [_key(member_id, "parked", name) for name in names]
        found = (self._tell(lambda: self._redis.mget(keys)) if keys else None) or [None] * len(names)
        now = datetime.now(UTC)
        rests: dict[str, datetime] = {}
        for name, value in zip(names, found, strict=True):
            until = datetime.fromtimestamp(float(value), UTC) if value else self._parked.get((member_id, name))
            if until is not None and until > now:
                rests[name] = until
        return rests

    def stop(self, member_id: str, reason: str) -> None:
        """Stops every request to the portal (OVERLOAD_LIMIT) until `resume`; one trial passes every ten minutes."""
        with self._lock:
            self._stopped[member_id] = (reason, time.monotonic() + TRIAL_SECONDS)

        def write() -> None:
            self._redis.set(_key(member_id, "trial"), "1", ex=TRIAL_SECONDS)
            self._redis.set(_key(member_id, "stop"), reason)

        self._tell(write)

    def stopped(self, member_id: str) -> str | None:
        """Returns why the portal is stopped, or None."""
        found = self._tell(lambda: self._redis.get(_key(member_id, "stop")))
        if isinstance(found, bytes):
            return found.decode()
        local = self._stopped.get(member_id)
        return local[0] if local and self._resting() else None

    def resume(self, member_id: str) -> None:
        """Lets requests pass again: a person did it, or a trial succeeded."""
        with self._lock:
            self._stopped.pop(member_id, None)
            self._trials.discard(member_id)
        self._tell(lambda: self._redis.delete(_key(member_id, "stop"), _key(member_id, "trial")))

    def on_trial(self, member_id: str) -> bool:
        """Tells whether the portal is stopped and a request of this process was let through to try it."""
        return member_id in self._trials

    def level(self, member_id: str) -> float:
        """Returns how full the bucket was at the last request, as far as we count; 0 where nobody knows."""
        found = self._tell(lambda: self._redis.hget(_key(member_id, "bucket"), "level"))
        return float(found) if found else 0.0

    def _ask(self, member_id: str, urgent: bool, names: list[str]) -> tuple[int, int, int]:
        keys = [_key(member_id, part) for part in ("bucket", "stop", "trial", "plan")]
        keys += [_key(member_id, "parked", name) for name in names]
        buckets = [STANDARD.capacity, STANDARD.leak, ENTERPRISE.capacity, ENTERPRISE.leak]
        answer = self._tell(lambda: self._take(keys=keys, args=[*buckets, self._share(urgent), TRIAL_SECONDS]))
        if answer is None:
            return self._ask_alone(member_id, names)
        state, milliseconds, index = (int(part) for part in answer)
        return state, milliseconds, index

    def _ask_alone(self, member_id: str, names: list[str]) -> tuple[int, int, int]:
        """One request a second and a process: with a few processes that stays below what leaks out."""
        now = time.monotonic()
        with self._lock:
            for index, name in enumerate(names):
                until = self._parked.get((member_id, name))
                rest = (until - datetime.now(UTC)).total_seconds() if until else 0.0
                if rest > 0:
                    return 3, round(rest * 1000), index
            stopped = self._stopped.get(member_id)
            if stopped and stopped[1] > now:
                return 2, round((stopped[1] - now) * 1000), 0
            wait = self._next_at.get(member_id, 0.0) - now
            if wait > 0:
                return 1, round(wait * 1000) + 1, 0
            if stopped:
                self._stopped[member_id] = (stopped[0], now + TRIAL_SECONDS)
            self._next_at[member_id] = now + 1.0
            return 0, 0, int(stopped is not None)

    def _resting(self) -> bool:
        return time.monotonic() < self._redis_rests_until

    def _tell(self, work: Callable[[], Any]) -> Any:
        """Returns what Redis said, or None while it is out of order."""
        if self._resting():
            return None
        try:
            return work()
        except RedisError as error:
            self._redis_rests_until = time.monotonic() + REDIS_REST_SECONDS
            log.warning(
                "Redis недоступен, запросы к порталу реже / Redis is out of order, fewer requests: %s",
                type(error).__name__,
            )
            return None


def _key(member_id: str, *parts: str) -> str:
    return ":".join(("b24app", "limits", member_id, *parts))


def _stopped(member_id: str, reason: str) -> PortalClosed:
    return PortalClosed(
        f"запросы к порталу остановлены / requests to the portal are stopped: {reason}", code="OVERLOAD_LIMIT"
    )
