"""The acknowledging door under load, beside the bare one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import redis

from b24app.bitrix.oauth import token_digest
from b24app.config import parse
from b24app.store.database import Database
from b24app.store.portals import install_portal
from b24app.supervisor import REDIS_URL_VARIABLE, Program, free_port, start, stop

CONNECTIONS = 16
SECONDS = 5.0
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
    """One round under load."""

    rate: float
    seconds: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """Returns the time within which this share was answered."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


def measure(folder: Path, redis_url: str, rounds: int) -> tuple[list[Result], list[Result]]:
    """Returns the rounds of our door and of the bare one, taken in turns."""
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
    try:
        for port, path in zip(ports, paths, strict=True):
            _warm(port, path)
        results: tuple[list[Result], list[Result]] = ([], [])
        for number in range(rounds):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                results[side].append(load(ports[side], paths[side], SECONDS))
        return results
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


def load(port: int, path: str, seconds: float) -> Result:
    """Returns what the door did under CONNECTIONS connections that never pause."""
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    taken: list[list[float]] = [[] for _ in range(CONNECTIONS)]

    def drive(mine: list[float], first: int) -> None:
        connection, item = _Connection(port), first
        stop_at = time.perf_counter() + (end - datetime.now(UTC)).total_seconds()
        now = time.perf_counter()
        while now < stop_at:
            connection.post(_request(path, item))
            before, now = now, time.perf_counter()
            mine.append(now - before)
            item += CONNECTIONS
        connection.close()

    drivers = [threading.Thread(target=drive, args=(mine, n + 1000)) for n, mine in enumerate(taken)]
    began = time.perf_counter()
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    every = sorted(seconds for mine in taken for seconds in mine)
    return Result(len(every) / (time.perf_counter() - began), tuple(every))
