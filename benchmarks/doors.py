"""The acknowledging door beside a bare WSGI: how much both bear at most, and how soon both answer at 300 a second."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import redis

from b24app.bitrix.oauth import token_digest
from b24app.config import parse
from b24app.store.database import Database
from b24app.store.portals import install_portal
from b24app.supervisor import REDIS_URL_VARIABLE, Program, free_port, start, stop
from benchmarks.report import Options, Ratio, Report, at_least, at_most
from benchmarks.running import lone_redis

CONNECTIONS = 16
SECONDS = 1.0
SLICES = 5
"""Of a round: the sides change every second, so that other work on the machine meets both alike."""
RATE = 300
"""Requests a second that come whether the earlier ones are answered or not."""
STEADY_SECONDS = 2.0
STEADY_CONNECTIONS = 64
MEMBER_ID = "0123456789abcdef0123456789abcdef"
TOKEN = "benchmark-application-token"  # noqa: S105 of no portal
SECRET_KEY = "benchmark-" * 4

SERVER = """
import sys
from b24app.web.server import _Server
from benchmarks import bare
database, redis_url, token, port = sys.argv[1:]
bare.serve(_Server, lambda: bare.wsgi(database, redis_url, token), int(port))
"""


@dataclass(frozen=True)
class Result:
    """One slice under load."""

    rate: float
    seconds: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """Returns the time within which this share was answered."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


def report(options: Options) -> Report:
    """Reports the door beside the bare one: under connections that never pause, and at a constant rate."""
    with lone_redis() as (folder, url):
        full, steady = _measure(folder, url, options.rounds)
    rate = statistics.median(ours.rate / bare.rate for ours, bare in zip(*full, strict=True))
    pairs = list(zip(*steady, strict=True))
    p50, p99 = (statistics.median(ours.quantile(q) / bare.quantile(q) for ours, bare in pairs) for q in (0.5, 0.99))
    return Report(
        "Дверь /event рядом с голым WSGI (тот же gunicorn, INSERT и RQ) / the door beside a bare WSGI",
        (
            at_least(f"запросов в секунду без пауз к голому, соединений {CONNECTIONS} / rate to the bare", rate, 0.8),
            Ratio(f"p50 при {RATE} запросах в секунду к голому / p50 at {RATE} req/s", f"{p50:.2f}"),
            at_most(f"p99 при {RATE} запросах в секунду к голому / p99 at {RATE} req/s", p99, 2),
        ),
        [
            *(_line("без пауз / no pause", name, results) for name, results in zip(SIDES, full, strict=True)),
            *(
                _line(f"{RATE} в секунду / a second", name, results)
                for name, results in zip(SIDES, steady, strict=True)
            ),
            f"при {RATE} в секунду время считается от той минуты, когда запросу полагалось уйти"
            " / timed from when a request was due to leave, not from when it left",
            f"медианы по отрезкам / medians over slices: {len(pairs)}",
        ],
    )


SIDES = ("b24app", "голый / bare")


def _line(load: str, name: str, results: list[Result]) -> str:
    rate = statistics.median(one.rate for one in results)
    p50, p99 = (statistics.median(one.quantile(share) for one in results) * 1000 for share in (0.5, 0.99))
    return f"{load:24} {name:14} {rate:7.0f} req/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms"


Rounds = tuple[list[Result], list[Result]]


def _measure(folder: Path, redis_url: str, rounds: int) -> tuple[Rounds, Rounds]:
    """Returns (slices without a pause, slices at a constant rate) of our door and of the bare one, taken in turns."""
    ports = free_port(), free_port()
    config = _prepared(folder, "ours", ports[0])
    bare_database = folder / "bare.db"
    Database(f"sqlite:///{bare_database}").migrate()
    command = (sys.executable, "-m", "b24app", "--config", str(config), "web", "--port", str(ports[0]))
    bare = (sys.executable, "-c", SERVER, str(bare_database), redis_url, TOKEN, str(ports[1]))
    log = subprocess.DEVNULL
    here = {"PYTHONPATH": os.getcwd(), REDIS_URL_VARIABLE: redis_url}
    processes = [start(Program("", command, here), stderr=log), start(Program("", bare, here), stderr=log)]
    paths = ("/event", "/")
    listening = threading.Event()
    listener = threading.Thread(target=_listen, args=(redis_url, listening))
    listener.start()
    full: Rounds = ([], [])
    steady: Rounds = ([], [])
    try:
        for port, path in zip(ports, paths, strict=True):
            _warm(port, path)
        for number in range(rounds * SLICES):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                full[side].append(_load(ports[side], paths[side]))
                steady[side].append(_steady(ports[side], paths[side]))
        return full, steady
    finally:
        listening.set()
        listener.join()
        stop(processes, 10)


def _listen(redis_url: str, over: threading.Event) -> None:
    """Takes the rings away as workers would: our doorbell is silent where enough wait, the bare one never is."""
    with redis.Redis.from_url(redis_url) as client:
        while not over.wait(0.004):
            client.delete("rq:queue:b24app", "rq:queue:bare")


def _prepared(folder: Path, name: str, port: int) -> Path:
    config = folder / f"{name}.toml"
    text = f"""
        [app]
        public_url = "http://127.0.0.1:{port}"
        secret_key = "{SECRET_KEY}"
        log_level = "WARNING"
        [[portals]]
        host = "127.0.0.1:1"
        client_id = "local.benchmark"
        client_secret = "benchmark"
        [database]
        url = "sqlite:///{folder / name}.db"
        [run]
        data = "{folder}"
        """
    config.write_text(text)
    database = Database(parse(text).database.url)
    database.migrate()
    install_portal(
        database,
        member_id=MEMBER_ID,
        client_id="local.benchmark",
        host="127.0.0.1:1",
        client_endpoint="http://127.0.0.1:1/rest/",
        application_token_digest=token_digest(SECRET_KEY, TOKEN),
        user_id=1,
    )
    database.dispose()
    return config


def _request(path: str, item: int) -> bytes:
    body = urlencode(
        {
            "event": "ONCRMLEADADD",
            "event_handler_id": "1",
            "data[FIELDS][ID]": str(item),
            "ts": "1790000000",
            "auth[access_token]": "a" * 70,
            "auth[expires]": "1790003600",
            "auth[expires_in]": "3600",
            "auth[scope]": "crm,task,telephony,user,department,bizproc,placement",
            "auth[domain]": "127.0.0.1:1",
            "auth[server_endpoint]": "http://127.0.0.1:1/rest/",
            "auth[status]": "L",
            "auth[client_endpoint]": "http://127.0.0.1:1/rest/",
            "auth[member_id]": MEMBER_ID,
            "auth[user_id]": "1",
            "auth[application_token]": TOKEN,
        }
    ).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection:
    """A kept-alive connection by hand: the load must cost less than what it loads."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, request: bytes) -> None:
        self._socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._received()
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode("latin-1").splitlines()[0])
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._received()

    def _received(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("closed")
        return part

    def close(self) -> None:
        self._socket.close()


def _warm(port: int, path: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = _Connection(port)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    for item in range(50):
        connection.post(_request(path, item))
    connection.close()


def _load(port: int, path: str) -> Result:
    """Returns what the door did under CONNECTIONS connections that never pause."""
    began = time.perf_counter()

    def drive(connection: _Connection, mine: list[float]) -> None:
        now = time.perf_counter()
        while now < began + SECONDS:
            connection.post(_request(path, 1000 + len(mine)))
            before, now = now, time.perf_counter()
            mine.append(now - before)

    return _driven(port, CONNECTIONS, drive)


def _steady(port: int, path: str) -> Result:
    """Returns what the door did when RATE requests came every second, each timed from when it was due to leave."""
    began, numbers = time.perf_counter() + 0.1, count()

    def drive(connection: _Connection, mine: list[float]) -> None:
        while (number := next(numbers)) < RATE * STEADY_SECONDS:
            due = began + number / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.post(_request(path, 1000 + number))
            mine.append(time.perf_counter() - due)

    return _driven(port, STEADY_CONNECTIONS, drive)


def _driven(port: int, connections: int, drive: Callable[[_Connection, list[float]], None]) -> Result:
    """Lets every connection be driven by a thread of its own; returns what all of them saw."""
    opened = [_Connection(port) for _ in range(connections)]
    taken: list[list[float]] = [[] for _ in opened]
    drivers = [threading.Thread(target=drive, args=pair) for pair in zip(opened, taken, strict=True)]
    began = time.perf_counter()
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    seconds = time.perf_counter() - began
    for connection in opened:
        connection.close()
    every = sorted(one for mine in taken for one in mine)
    return Result(len(every) / seconds, tuple(every))
