"""The barest things that do what our door and our worker do: the other side of the ratios."""

from __future__ import annotations

import hmac
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import redis
from gunicorn.app.base import BaseApplication
from rq import Queue
from rq.serializers import JSONSerializer

from b24app.web.server import READ_SECONDS, THREADS

INSERT = (
    "INSERT INTO deliveries (member_id, kind, code, entity, payload, priority, state, received_at, due_at, attempts,"
    " crashes) VALUES (?, 'event', ?, ?, ?, 50, 'waiting', ?, ?, 0, 0) RETURNING id"
)

JOB = "operator.index"
"""Does nothing, and brings nothing with it: a class that starts a Python for a job would pay for our imports too."""

Start = Callable[[str, list[tuple[str, str]]], Any]


def wait_for_redis(url: str, seconds: float = 10) -> None:
    """Returns as soon as the Redis answers."""
    deadline = time.monotonic() + seconds
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def wsgi(database: str, redis_url: str, token: str) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """Returns a WSGI application: parse, compare the token, one INSERT with the same guarantees, one RQ job, 200."""
    lock = threading.Lock()
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 15000"):
        connection.execute(f"PRAGMA {pragma}")
    queue = Queue("bare", connection=redis.Redis.from_url(redis_url), serializer=JSONSerializer)

    def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        form = parse_qs(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode())
        if not hmac.compare_digest(form["auth[application_token]"][0], token):
            start_response("403 Forbidden", [("Content-Length", "0")])
            return []
        event, item = form["event"][0].upper(), form["data[FIELDS][ID]"][0]
        payload = json.dumps({"event": event, "data": {"FIELDS": {"ID": item}}, "ts": form["ts"][0]})
        now = int(time.time() * 1_000_000)
        with lock:
            connection.execute("BEGIN IMMEDIATE")
            row = (form["auth[member_id]"][0], event, f"lead:{item}", payload, now, now)
            [(id,)] = connection.execute(INSERT, row).fetchall()
            connection.execute("COMMIT")
        queue.enqueue(JOB, id, result_ttl=0, failure_ttl=60, job_timeout=600)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    return application


def serve(server: type[BaseApplication], application: Callable[[], Any], port: int) -> None:
    """Serves a WSGI application under exactly the gunicorn settings of ours."""

    class Bare(server):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(None, f"127.0.0.1:{port}", THREADS, READ_SECONDS)

        def load(self) -> Any:
            return application()

    Bare().run()
