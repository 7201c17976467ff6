"""Jobs per second through our worker beside bare RQ: the same worker class and Redis, REST aside."""

from __future__ import annotations

import time
from pathlib import Path

import redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from b24app.bitrix.portal import Portal
from b24app.engine.declare import Catalogue, EventCall, Handler, Nothing
from b24app.engine.inbox import Inbox
from b24app.engine.jobs import Doorbell, work
from b24app.engine.run import Runner
from b24app.playbook import load_playbook
from b24app.store.database import Database
from b24app.store.portals import install_portal

JOBS = 400
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


def measure(folder: Path, redis_url: str, rounds: int) -> tuple[list[float], list[float]]:
    """Returns jobs per second of our worker and of bare RQ, round by round in turns."""
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
    ours, bare = [], []
    with redis.Redis.from_url(redis_url) as client:
        for number in range(rounds):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                if side == 0:
                    ours.append(_ours(database, client, redis_url))
                else:
                    bare.append(_bare(client))
    database.dispose()
    return ours, bare


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
        return Portal(member_id, "local.benchmark", "", "", 1, {}, playbook, None, database)  # type: ignore[arg-type]

    runner = Runner(inbox, Catalogue(handlers=(HANDLER,)), open_portal, doorbell.ring)
    began = time.perf_counter()
    work(runner.run_next, redis_url, burst=True)
    taken = time.perf_counter() - began
    if inbox.due(1):
        raise RuntimeError("deliveries are left")
    return JOBS / taken


def _bare(client: redis.Redis) -> float:
    queue = Queue("bare-jobs", connection=client, serializer=JSONSerializer)
    for number in range(JOBS):
        queue.enqueue("benchmarks.bare.nothing", number, result_ttl=0, failure_ttl=60, job_timeout=600)
    worker = SimpleWorker(
        [queue],
        connection=client,
        serializer=JSONSerializer,
        worker_ttl=60,
        maintenance_interval=30,
        job_monitoring_interval=10,
    )
    began = time.perf_counter()
    worker.work(burst=True, logging_level="WARNING")
    return JOBS / (time.perf_counter() - began)
