"""RQ, and only here: the doorbell that wakes a worker. A job is one integer; the truth lives in the database.

Measured reasons (docs/decisions/rq-is-a-doorbell.md): RQ loses a job that dies between pop and start when a worker
listens on two queues, so there is one; a worker looks for abandoned jobs only when its blocking pop times out, so that
is short; its retries and scheduler are late by minutes, so neither is used. A lost ring costs one sweep of the clock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

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
"""So many rings that nobody has heard yet are enough: whoever hears one works on this row too."""
DEAF_SECONDS = 2
"""After a failed ring we do not try again for so long: a door must not wait for a dead Redis with every event."""


class Doorbell:
    """Rings for a delivery. Best effort on purpose: the row is there, and the clock rings again."""

    def __init__(self, redis: redis_client.Redis) -> None:
        self._queue = Queue(QUEUE, connection=redis, serializer=JSONSerializer)
        self._deaf_until = 0.0
        self._rings_free = 0  # how many may be rung before the queue is counted again

    def ring(self, delivery_id: int) -> None:
        """Wakes a worker; never raises."""
        if time.monotonic() < self._deaf_until:
            return
        try:
            if self._rings_free <= 0:
                self._rings_free = RINGS_WAITING - self._queue.count
            if self._rings_free <= 0:
                return
            self._rings_free -= 1
            self._queue.enqueue(JOB, delivery_id, result_ttl=0, failure_ttl=60, job_timeout=JOB_SECONDS)
        except (redis_client.RedisError, OSError) as error:
            self._deaf_until = time.monotonic() + DEAF_SECONDS
            log.warning("delivery=%s doorbell=silent error=%s", delivery_id, type(error).__name__)
        crashpoint("door_after_ring")


_run_next: Callable[[], bool] | None = None


def work(run_next: Callable[[], bool], redis_url: str, *, burst: bool = False) -> None:
    """Serves the queue until it is told to stop; each ring works on what is due, the most urgent first.

    SimpleWorker keeps the kept-alive connections to the portal and the database; leases recover what a crash left.
    """
    global _run_next
    _run_next = run_next
    connection = redis_client.Redis.from_url(redis_url)
    worker = SimpleWorker(
        [QUEUE],
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=60,
        maintenance_interval=30,
        job_monitoring_interval=10,
    )
    worker.work(burst=burst, logging_level="WARNING")


def run(delivery_id: int) -> None:
    """The RQ job: works on deliveries until nothing is due. The integer only says who rang."""
    if _run_next is None:
        raise RuntimeError(f"no runner in this process: ring of delivery {delivery_id}")
    until = time.monotonic() + TURN_SECONDS
    while _run_next() and time.monotonic() < until:
        pass
