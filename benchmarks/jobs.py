"""Jobs per second of our worker and of RQ's worker classes, beside a bare loop over the same Redis; REST aside."""

from __future__ import annotations

import importlib
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import redis
from rq import Queue, SimpleWorker, SpawnWorker, Worker
from rq.serializers import JSONSerializer

from b24app.bitrix.limits import Limits
from b24app.bitrix.portal import Portal
from b24app.engine.declare import Catalogue, EventCall, Handler, Nothing
from b24app.engine.inbox import Inbox
from b24app.engine.jobs import Doorbell, work
from b24app.engine.run import Runner
from b24app.playbook import load_playbook
from b24app.store.database import Database
from b24app.store.portals import install_portal
from benchmarks.bare import JOB
from benchmarks.report import Options, Ratio, Report, at_least
from benchmarks.running import lone_redis

JOBS = 100
SPAWNED = 12
"""Of a class that starts a Python for every job: a quarter of a second each."""
MEMBER_ID = "0123456789abcdef0123456789abcdef"


def _nothing(_portal: Portal, _call: EventCall) -> Nothing:
    return Nothing("measured")


HANDLER = Handler(
    event="ONCRMLEADADD",
    entity=lambda call: f"lead:{call.field_id}",
    decision=int,
    read=_nothing,
    decide=lambda facts: facts,
    act=lambda _decision: [],
)


def report(options: Options) -> Report:
    """Reports every way's jobs per second beside the bare loop's, and ours beside the class that we use."""
    with lone_redis() as (folder, url), redis.Redis.from_url(url) as client:
        database = _prepared(folder)
        ways: dict[str, Callable[[], float]] = {
            "голый цикл / bare loop": lambda: _loop(client),
            "Worker (fork)": lambda: _rq(client, Worker, JOBS),
            "SpawnWorker": lambda: _rq(client, SpawnWorker, SPAWNED),
            "SimpleWorker": lambda: _rq(client, SimpleWorker, JOBS),
            "b24app": lambda: _ours(database, client, url),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds):
            for name in list(ways) if number % 2 == 0 else reversed(ways):
                rates[name].append(ways[name]())
        database.dispose()

    def beside(one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))

    loop, *others = ways
    return Report(
        "Рабочие процессы: пустых заданий в секунду / workers: empty jobs a second",
        (
            at_least("b24app с базой к SimpleWorker / with its database", beside("b24app", "SimpleWorker"), 0.8),
            *(Ratio(f"{name} к голому циклу / to a bare loop", f"1 : {beside(loop, name):.0f}") for name in others),
        ),
        [f"{name:24} {statistics.median(of_it):8.0f} jobs/s" for name, of_it in rates.items()],
    )


def _prepared(folder: Path) -> Database:
    database = Database(f"sqlite:///{folder / 'jobs.db'}")
    database.migrate()
    install_portal(
        database,
        member_id=MEMBER_ID,
        client_id="local.benchmark",
        host="127.0.0.1:1",
        client_endpoint="http://127.0.0.1:1/rest/",
        application_token_digest="0" * 64,
        user_id=1,
    )
    return database


def _ours(database: Database, client: redis.Redis, redis_url: str) -> float:
    inbox, doorbell = Inbox(database), Doorbell(client)
    for number in range(JOBS):
        id = inbox.record(
            member_id=MEMBER_ID,
            kind="event",
            code="ONCRMLEADADD",
            entity=f"lead:{number}",
            payload={"event": "ONCRMLEADADD", "data": {"FIELDS": {"ID": str(number)}}, "ts": "1790000000"},
            priority=50,
        )
        doorbell.ring(id or 0)
    playbook = load_playbook()

    def open_portal(member_id: str, _urgent: bool) -> Portal:
        unasked: Any = SimpleNamespace()  # nothing is asked of the portal here
        return Portal(member_id, "local.benchmark", "", "", 1, {}, playbook, unasked, database)

    runner = Runner(inbox, Catalogue(handlers=(HANDLER,)), open_portal, doorbell.ring, Limits(client))
    began = time.perf_counter()
    work(runner.run_next, redis_url, burst=True)
    taken = time.perf_counter() - began
    doorbell.close()
    if inbox.due(1):
        raise RuntimeError("deliveries are left")
    return JOBS / taken


def _rq(client: redis.Redis, kind: type[Worker] | type[SimpleWorker], jobs: int) -> float:
    queue = Queue("bare-jobs", connection=client, serializer=JSONSerializer)
    for number in range(jobs):
        queue.enqueue(JOB, number, result_ttl=0, failure_ttl=60, job_timeout=600)
    worker = kind(
        [queue],
        connection=client,
        serializer=JSONSerializer,
        worker_ttl=60,
        maintenance_interval=30,
        job_monitoring_interval=10,
    )
    began = time.perf_counter()
    worker.work(burst=True, logging_level="WARNING")
    taken = time.perf_counter() - began
    if queue.count or queue.failed_job_registry.count:
        raise RuntimeError(f"{kind.__name__} left jobs")
    return jobs / taken


def _loop(client: redis.Redis) -> float:
    """The least that takes jobs from a Redis: pop, look the function up, call it, until none is left."""
    for number in range(JOBS):
        client.lpush("bare-loop", json.dumps([JOB, number]))
    began = time.perf_counter()
    while isinstance(popped := client.rpop("bare-loop"), bytes):
        path, number = json.loads(popped)
        module, _, name = path.rpartition(".")
        getattr(importlib.import_module(module), name)(number)
    return JOBS / (time.perf_counter() - began)
