"""RQ, and only here: the doorbell that wakes a worker. A job is one integer; the truth lives in the database.

Measured reasons (docs/decisions/rq-is-a-doorbell.md): RQ loses a job that dies between pop and start when a worker
listens on two queues, so there is one; a worker looks for abandoned jobs only when its blocking pop times out, so that
is short; its retries and scheduler are late by minutes, so neither is used. A lost ring costs one sweep of the clock.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import redis as redis_client
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from b24app.crashpoint import crashpoint

log = logging.getLogger(__name__)

QUEUE = "b24app"
JOB = "b24app.engine.jobs.run"
JOB_SECONDS = 600
TURN_SECONDS = 60
"""One ring works on whatever is due for this long; then the worker shows RQ that it is alive."""
RINGS_WAITING = 8
"""So many rings that nobody has heard yet are enough: whoever hears one works on every row that is due."""
PAUSE_SECONDS = 0.01
"""Between two rounds of ringing: deliveries of one burst share a round, a single one is rung for at once."""
DEAF_SECONDS = 2
"""After a failed ring we do not try again for so long."""


class Doorbell:
    """Rings for deliveries. Best effort on purpose: the row is there, and the clock rings again.

    A thread of its own does the ringing, so whoever has a delivery to ring for waits neither for Redis nor for its
    death: an RQ job costs more than everything else that a door does. It is closed before its connection is.
    """

    def __init__(self, redis: redis_client.Redis) -> None:
        self._queue = Queue(QUEUE, connection=redis, serializer=JSONSerializer)
        self._unrung: deque[int] = deque(maxlen=RINGS_WAITING)
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._ringer: threading.Thread | None = None

    def ring(self, delivery_id: int) -> None:
        """Wakes a worker soon; never raises, never waits."""
        self._unrung.append(delivery_id)
        self._wanted.set()
        if self._ringer is None or not self._ringer.is_alive():  # the first time, and after a fork
            with self._starting:
                if self._ringer is None or not self._ringer.is_alive():
                    self._ringer = threading.Thread(target=self._ring_on, name="doorbell", daemon=True)
                    self._ringer.start()

    def close(self) -> None:
        """Rings for what is still unrung, once, and ends its thread; whoever rings later begins anew."""
        with self._starting:
            if self._ringer is not None and self._ringer.is_alive():
                self._closing.set()
                self._wanted.set()
                self._ringer.join()
                self._closing.clear()

    def _ring_on(self) -> None:
        while self._unrung or not self._closing.is_set():
            self._wanted.wait()
            self._wanted.clear()
            ids = [self._unrung.popleft() for _ in range(len(self._unrung))]
            try:
                for delivery_id in ids[: max(0, RINGS_WAITING - self._queue.count)]:
                    self._queue.enqueue(JOB, delivery_id, result_ttl=0, failure_ttl=60, job_timeout=JOB_SECONDS)
                crashpoint("door_after_ring")
                self._closing.wait(PAUSE_SECONDS)
            except (redis_client.RedisError, OSError) as error:
                log.warning("deliveries=%s doorbell=silent error=%s", ids, type(error).__name__)
                self._closing.wait(DEAF_SECONDS)


AWAY = (redis_client.ConnectionError, redis_client.TimeoutError)
"""Redis is not there, or does not answer."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Worker(SimpleWorker):
    """SimpleWorker keeps the kept-alive connections to the portal and the database; leases recover what a crash left.

    While Redis is away nobody can be rung for, so what is due is worked on each time that RQ tries to reach it.
    """

    max_connection_wait_time = 5.0

    def heartbeat(self, *arguments: Any, **named: Any) -> None:
        """Tells Redis that this worker lives: RQ begins each round of waiting so, and tries again where it fails."""
        try:
            super().heartbeat(*arguments, **named)
        except AWAY:
            _run_unrung()
            raise

    def handle_warm_shutdown_request(self) -> None:
        """Ends the turn with the delivery that is being worked on: whoever asked waits for it, and then kills."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        _stopping.set()

    def set_shutdown_requested_date(self) -> None:
        """Says in Redis that a signal came; where Redis is away it must not raise, amid our work."""
        with contextlib.suppress(*AWAY):
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]


_run_next: Callable[[], bool] | None = None
_stopping = threading.Event()


def work(run_next: Callable[[], bool], redis_url: str, *, burst: bool = False) -> None:
    """Serves the queue until it is told to stop; each ring works on what is due, the most urgent first.

    Without Redis: works on what is due and raises; whoever keeps this process starts it again.
    """
    global _run_next
    _run_next = run_next
    _stopping.clear()
    try:
        worker = _Worker(
            [QUEUE],
            connection=redis_client.Redis.from_url(redis_url),
            serializer=JSONSerializer,
            worker_ttl=60,
            maintenance_interval=30,
            job_monitoring_interval=10,
        )
        worker.work(burst=burst, logging_level="WARNING")
    except AWAY:
        _run_unrung()
        raise


def _run_unrung() -> None:
    """Works on what is due though nobody rang. A signal waits: RQ answers it with an error, wherever the work is."""
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        _stopping.set()

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        run(0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for late in came:
        signal.raise_signal(late)


def run(delivery_id: int) -> None:
    """The RQ job: works on deliveries until nothing is due. The integer only says who rang."""
    if _run_next is None:
        raise RuntimeError(f"no runner in this process: ring of delivery {delivery_id}")
    until = time.monotonic() + TURN_SECONDS
    while not _stopping.is_set() and _run_next() and time.monotonic() < until:
        pass
