"""A sandbox of one or many portals and our application beside it, as processes on 127.0.0.1: what is measured whole.

The processes are those of `b24app run`, started one by one so that a part may leave some out and weigh each.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import requests
import sqlalchemy as sa

from b24app.config import load
from b24app.engine.declare import Catalogue
from b24app.services import Services, build
from b24app.store import schema
from b24app.store.database import Database
from b24app.supervisor import REDIS_URL_VARIABLE, Program, embedded_redis, free_port, start, stop
from benchmarks.bare import wait_for_redis
from handlers import HANDLERS, TIMERS
from robots import ROBOTS
from sandbox.client import Sandbox

T = TypeVar("T")
MANAGERS = (4, 5, 6)
"""Of every sandbox portal's sales department: who is at work while we measure."""
RECONCILIATION = ("voximplant.statistic.get", "crm.stagehistory.list", "crm.item.list")
"""Asked outside a batch by the reconciliation only, every five minutes."""
WORKERS = 2
FASTER = """
import sys
from b24app.bitrix import limits
limits.STANDARD = limits.Bucket(limits.STANDARD.capacity, limits.STANDARD.leak * float(sys.argv[1]))
from b24app.__main__ import main
sys.exit(main(sys.argv[2:]))
"""
"""Our side of the sandbox's --speed: the same application, its request limit so many times faster."""


class Running:
    """The portals, our processes by name, and what both sides say of what was done."""

    def __init__(self, folder: Path, portals: Sequence[Sandbox], speed: float) -> None:
        self.folder = folder
        self.portals = tuple(portals)
        self.speed = speed
        self.url = f"http://127.0.0.1:{free_port()}"
        self.config = folder / "config.toml"
        self.database = Database(f"sqlite:///{folder / 'b24app.db'}")
        self.redis_program, self.redis_url = embedded_redis(folder / "redis")
        self.processes: dict[str, Any] = {}
        self._write_config()

    def _write_config(self) -> None:
        playbook = self.folder / "playbook.toml"
        text = files("playbooks").joinpath("kitchen.toml").read_text("utf-8")
        text, count = re.subn(r"^limit_open = [^ #\n]+", "limit_open = 100000", text, flags=re.MULTILINE)
        if count != 1:
            raise RuntimeError("the playbook has no limit_open: a burst would leave nobody free")
        playbook.write_text(text, "utf-8")
        known = "".join(
            f'[[portals]]\nhost = "{one.url.removeprefix("http://")}"\nclient_id = "{one.client_id}"\n'
            f'client_secret = "{one.ready["client_secret"]}"\n'
            for one in self.portals
        )
        self.config.write_text(
            f'[app]\npublic_url = "{self.url}"\nsecret_key = "{"benchmark-" * 4}"\nlog_level = "WARNING"\n'
            f'[bitrix24]\noauth_url = "{self.portals[0].ready["oauth_url"]}"\n{known}'
            f'[database]\nurl = "{self.database.url}"\n[playbook]\npath = "{playbook}"\n'
            f'[run]\ndata = "{self.folder}"\n',
            "utf-8",
        )

    # our processes

    def start(self, *names: str) -> None:
        """Starts `redis`, `web`, `worker-N` or `clock`; what they say goes to the folder's NAME.log."""
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = start(self._program(name), death_signal=signal.SIGKILL, stdout=log, stderr=log)

    def _program(self, name: str) -> Program:
        if name == "redis":
            return self.redis_program
        ours = ("-m", "b24app") if self.speed == 1 else ("-c", FASTER, str(self.speed))
        last = ("web", "--port", self.url.rsplit(":", 1)[1]) if name == "web" else (name.partition("-")[0],)
        command = (sys.executable, *ours, "--config", str(self.config), *last)
        return Program(name, command, {REDIS_URL_VARIABLE: self.redis_url})

    def start_all(self, workers: int = WORKERS) -> None:
        """Starts everything, installs on every portal, and waits until that is quiet."""
        self.start_doors()
        self.start(*(f"worker-{number}" for number in range(workers)), "clock")
        self.quiet()

    def start_doors(self) -> None:
        """Starts what takes deliveries in and nothing that works on them, and installs as an administrator does."""
        self.start("redis", "web")
        self.until(self.answers, "the web answers")
        for portal in self.portals:
            self._install(portal)

    def _install(self, portal: Sandbox) -> None:
        portal.application(handler=f"{self.url}/app", install=f"{self.url}/install")
        self.until(lambda: 'data-ready="1"' in portal.open(1)["body"], "the installation", pause=1)
        portal.finish_install()
        for manager in MANAGERS:
            portal.set_person(manager, clock="open")

    def answers(self) -> bool:
        """Tells whether our web answers."""
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code in (200, 503)
        except requests.ConnectionError:
            return False

    def services(self) -> Services:
        """Returns what our processes work with, for this process; the caller disposes of it."""
        return build(load(self.config), Catalogue(robots=ROBOTS, handlers=HANDLERS, timers=TIMERS), self.redis_url)

    def close(self) -> None:
        """Ends our processes, Redis last, and the database's connections."""
        stop([process for name, process in self.processes.items() if name != "redis"], 20)
        stop([process for name, process in self.processes.items() if name == "redis"], 5)
        self.database.dispose()

    # waiting

    def until(self, look: Callable[[], T | None], what: str, seconds: float = 60, pause: float = 0.05) -> T:
        """Returns what `look` sees as soon as it is true; RuntimeError when the seconds have passed."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"did not come in {seconds:.0f} s: {what}")
            time.sleep(pause)
        return seen

    def quiet(self, calm_seconds: float = 4.0, seconds: float = 600) -> float:
        """Waits until both sides have had nothing to do for longer than the clock's pause; returns since when."""
        since = time.monotonic()
        deadline = since + seconds
        while time.monotonic() - since < calm_seconds:
            if self.open_deliveries() or not all(p.control("GET", "quiet")["quiet"] for p in self.portals):
                since = time.monotonic()
            if since > deadline:
                raise RuntimeError("it does not become quiet")
            time.sleep(0.1)
        return since

    # what was done

    def rows(self, query: sa.Select[Any]) -> list[sa.RowMapping]:
        """Returns rows of our database."""
        with self.database.read() as connection:
            return list(connection.execute(query).mappings().all())

    def open_deliveries(self) -> int:
        """Returns how many deliveries are not finished."""
        table = schema.deliveries
        query = sa.select(sa.func.count().label("n")).where(table.c.state.in_(("waiting", "running")))
        return int(self.rows(query)[0]["n"])

    def assigned(
        self, wanted: int, *, since: datetime, members: Sequence[str] = (), patience: float = 600
    ) -> list[datetime]:
        """Returns when the first `wanted` leads after `since` were assigned and shown, waiting `patience` seconds."""
        table = schema.assignments
        mine = sa.and_(table.c.written_at > since, table.c.member_id.in_(members) if members else sa.true())
        count = sa.select(sa.func.count().label("n")).where(mine)
        self.until(lambda: self.rows(count)[0]["n"] >= wanted, f"{wanted} assignments", patience, 0.1)
        rows = self.rows(sa.select(table.c.written_at).where(mine).order_by(table.c.written_at).limit(wanted))
        return [row["written_at"] for row in rows]

    def requests(self, portal: Sandbox, since: int) -> list[dict[str, Any]]:
        """Returns what our application asked since that entry of the ledger, the periodic reconciliation left out."""
        return [
            entry
            for entry in portal.ledger(since, "request")
            if entry["application"] == portal.client_id and entry["method"] not in RECONCILIATION
        ]


@contextmanager
def running(*arguments: str, portals: int = 1, speed: float = 1) -> Iterator[Running]:
    """Yields the portals and our application with no process of it started yet; `arguments` are more of the sandbox."""
    wanted = ("--port", "0", "--portals", str(portals), "--speed", str(speed), *arguments)
    program = Program("sandbox", (sys.executable, "-m", "sandbox", *wanted))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b24app-bench-")))
        process = start(program, death_signal=signal.SIGTERM, stdout=subprocess.PIPE)
        stack.callback(stop, [process], 10)
        ready = json.loads(process.stdout.readline()) if process.stdout else {}
        clients = [stack.enter_context(Sandbox(one)) for one in ready.get("portals", [ready])]
        application = Running(folder, clients, speed)
        stack.callback(application.close)
        yield application


@contextmanager
def lone_redis() -> Iterator[tuple[Path, str]]:
    """Yields a folder and the address of a Redis whose data stand in it."""
    with tempfile.TemporaryDirectory(prefix="b24app-bench-") as folder:
        program, url = embedded_redis(Path(folder) / "redis")
        process = start(program, stdout=subprocess.DEVNULL)
        try:
            wait_for_redis(url)
            yield Path(folder), url
        finally:
            stop([process], 5)
