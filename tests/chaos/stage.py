"""The shop as a stage for faults: a state that can be had again at once, and processes that die at the right moment.

A scene is played from the same state some hundred times, so that state is kept (the portal's snapshot, a copy of our
database) and put back under the running processes. What would take minutes (a lease of the dead, a retry) is imitated
as everywhere in the journeys: due times stand in the database.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fake_gateway import FakeGateway
from journeys.office import ANNA, HEAD, Office, playbook, running_office
from journeys.shop import Shop
from postgresql import Server
from redis import RedisError
from rq import Worker

from b24app.engine.inbox import Inbox
from b24app.store import schema
from b24app.supervisor import REDIS_URL_VARIABLE, Program

LAUNCHER = Path(__file__).with_name("unguarded.py")
MARK = "B24APP_CHAOS_MARK"
HELD_SECONDS = 60
"""So long a request is held for whoever is to be killed meanwhile; he is, or the run fails."""

FRESH = timedelta(minutes=30)
"""A scene takes less, so a pair of tokens that lives so long is not refreshed in it."""


class Provider(FakeGateway):
    """The SMS provider with two more cues: the message is `held`, or it goes out and its answer is (`held_after`)."""

    def __init__(self) -> None:
        super().__init__()
        self.holding = threading.Event()
        self.freed = threading.Event()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        if not self.cues or not self.cues[0].startswith("held"):
            super()._serve(request)
            return
        self.cues[0] = "lost" if self.cues[0] == "held_after" else "drop"
        if self.cues[0] == "lost":
            super()._serve(request)
        else:
            self.cues.pop(0)
        self.holding.set()
        self.freed.wait(HELD_SECONDS)
        request.close_connection = True

    def clear(self) -> None:
        """Forgets everything."""
        for kept in (self.cues, self.asked, self.sent):
            kept.clear()
        self.holding.clear()
        self.freed.clear()


class Stage(Office):
    """The office on which scenes are played."""

    provider: Provider

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.inbox = Inbox(self.database)
        self.unguarded: dict[str, str] = {}
        """Kinds of processes (worker, clock, web) that run without a guard, with its name."""
        self.killed: list[str] = []
        self._sentence: tuple[Callable[[], bool], str] | None = None
        self._kept_at: dict[str, int] = {}

    def copied(self) -> Callable[[], None]:
        """Copies our living database as docs/operating.md says; returns what puts the copy in its place."""
        copy = self._copy("older")
        with closing(sqlite3.connect(self._file)) as living, closing(sqlite3.connect(copy)) as backup:
            living.backup(backup)

        def put_back() -> None:
            for file in self.folder.glob(f"{self._file.name}*"):
                file.unlink()
            copy.rename(self._file)

        return put_back

    # a state that can be had again

    def keep(self, name: str) -> None:
        """Keeps the present state under this name."""
        self.control("POST", f"snapshots/{name}")
        with closing(sqlite3.connect(self._file)) as ours, closing(sqlite3.connect(self._copy(name))) as copy:
            ours.backup(copy)
        self._kept_at[name] = self._microseconds()

    def back(self, name: str) -> None:
        """Puts everything back to the state kept under this name; who is still at work after a failed run is ended."""
        self.pardon()
        if self.open_deliveries():
            self.restart(*self.workers)
        # a request that a rule delays would have its effect afterwards, whoever asked is gone or not
        self.until(lambda: not self.control("GET", "quiet")["requests"], "the portal's last answer", 90)
        self.control("DELETE", "event-rules")
        self.provider.clear()
        self.control("POST", f"snapshots/{name}/restore")
        passed = self._microseconds() - self._kept_at[name]
        with closing(sqlite3.connect(self._file, timeout=30, isolation_level=None)) as ours:
            ours.execute("ATTACH ? AS kept", [str(self._copy(name))])
            ours.execute("BEGIN IMMEDIATE")
            for table in ("sqlite_sequence", *(table.name for table in schema.metadata.sorted_tables)):
                ours.execute(f"DELETE FROM main.{table}")  # noqa: S608 our own tables
                ours.execute(f"INSERT INTO main.{table} SELECT * FROM kept.{table}")  # noqa: S608
            # as if no time had passed since: nothing became due meanwhile
            ours.execute("UPDATE timers SET due_at = due_at + ?", [passed])
            ours.execute("UPDATE deliveries SET received_at = received_at + ?", [passed])
            ours.execute("COMMIT")
        self._renew(name)

    def _renew(self, name: str) -> None:
        """A pair of tokens ages whatever is put back: in the middle of a scene its refresh would be one trouble more,
        and where answers get lost the pair with it. An administrator opens us in time, and that is kept as well.
        """
        old = schema.tokens.c.expires_at < self.now() + FRESH
        if self.rows(sa.select(schema.tokens.c.user_id).where(schema.tokens.c.role == "owner", old)):
            self.until(lambda: self.is_up("web"), "the web is up")
            assert self.portal.open(1)["status"] == 200
            self.keep(name)

    @property
    def _file(self) -> Path:
        return self.folder / "b24app.db"

    def _copy(self, name: str) -> Path:
        return self.folder / f"{name}.kept.db"

    # who dies

    def condemn(self, held: Callable[[], bool], who: str = "") -> None:
        """Whoever works on what is `held` (or `who`) is killed as soon as it is; then everything goes on without him.

        It happens while somebody waits (`until`), since a process lives as long as the thread that started it.
        """
        self.killed.clear()
        self._sentence = (held, who)

    def pardon(self) -> None:
        """Nobody is killed any more, and the portal does what it is asked."""
        self._sentence = None
        self.control("DELETE", "faults")
        self.provider.freed.set()

    def look_after(self) -> None:
        """Starts again what has fallen, and carries out a sentence that is due."""
        if self._sentence is not None:
            held, who = self._sentence
            victim = who or self.holder() if held() else ""
            if victim:
                self.kill(victim)
                self.pardon()
                self.start(victim)
                self.killed.append(victim)
        super().look_after()

    def kill(self, *names: str) -> None:
        """Kills processes at once; connections that we kept to a web that is no more are none."""
        super().kill(*names)
        if "web" in names:
            self.http.close()

    def pause(self, *names: str) -> None:
        """Lets processes hang (SIGSTOP), with everything they started."""
        for name in names:
            os.killpg(self.processes[name].pid, signal.SIGSTOP)

    def go_on(self, *names: str) -> None:
        """Lets paused processes go on."""
        for name in names:
            os.killpg(self.processes[name].pid, signal.SIGCONT)

    def holder(self) -> str:
        """Returns the only process of ours that works on a delivery now, or ""."""
        table = schema.deliveries
        query = sa.select(table.c.lease_owner).where(table.c.state == "running", table.c.lease_until > self.now())
        pids = {int(row["lease_owner"].split("/")[1]) for row in self.rows(query) if row["lease_owner"]}
        names = [name for name, process in self.processes.items() if process.pid in pids and process.poll() is None]
        return names[0] if len(names) == 1 else ""

    def took_fault(self, since: int) -> Callable[[], bool]:
        """Returns a question: did a rule of the portal hit a request since that entry of the ledger?"""
        return lambda: bool(self.portal.ledger(since, "fault"))

    # time that passes

    def settle(self, seconds: float = 60.0, *, hurry: bool = True) -> None:
        """Waits until nothing is left to do; on a stage all time passes at once."""
        super().settle(max(seconds, 60.0), hurry=hurry)

    def hurry(self) -> None:
        """Lets time pass: the portal's counters run empty, what was postponed is due, the clock looks at the leases of
        the dead.
        """
        self.control("POST", "limits", {"reset": True})
        with suppress(RedisError):  # it may be away just now
            self.forget_rate()
        super().hurry()
        if self.inbox.free_leases_of_the_dead():
            self.ring()

    def _microseconds(self) -> int:
        """Now, as our database counts."""
        return int(self.now().timestamp() * 1_000_000)

    def fire(self, code: str, seconds: float = 30.0) -> None:
        """Lets the time of our timers of this code come, and waits until the clock has seen it."""
        self.hurry_timers(code)
        self.until(lambda: not self.late_timers(code), f"the timers {code}", seconds)

    def late_timers(self, code: str) -> bool:
        """Tells whether a timer of this code is due and was not fired yet."""
        table = schema.timers
        due = sa.and_(table.c.code == code, table.c.due_at <= self.now())
        return bool(self.rows(sa.select(table.c.id).where(due)))

    # processes

    @contextmanager
    def commanded(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Runs a command of ours beside what happens meanwhile."""
        line = [sys.executable, "-m", "b24app", "--config", str(self.config), *arguments]
        environment = {**os.environ, REDIS_URL_VARIABLE: self.redis_url}
        with subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as one:
            yield one

    def program(self, name: str, crash: str = "") -> Program:
        """Returns how a process is started; an unguarded one by the launcher that takes its guard away."""
        usual = super().program(name, crash)
        guard = self.unguarded.get(name.partition("-")[0])
        if guard is None:
            return usual
        python, _module, _b24app, *rest = usual.arguments
        environment = {**usual.environment, MARK: str(self.mark(guard))}
        return Program(name, (python, str(LAUNCHER), guard, *rest), environment)

    def mark(self, guard: str) -> Path:
        """The file that whoever dies by the launcher leaves behind, so that nobody dies there again."""
        return self.folder / f"{guard}.died"

    def without(self, guard: str, *names: str) -> None:
        """Starts these processes again without this guard; "" gives it back."""
        for name in names:
            kind = name.partition("-")[0]
            self.unguarded.pop(kind, None)
            if guard:
                self.unguarded[kind] = guard
        self.restart(*names)
        self.until(lambda: all(map(self.is_up, names)), f"{names} work", 90)

    @contextmanager
    def logs_elsewhere(self, names: Iterable[str]) -> Iterator[None]:
        """Starts these processes again with logs that are no files, as a journal's are."""
        kept = dict(self._logs)
        with Path(os.devnull).open("ab") as nowhere:
            self._logs.update(dict.fromkeys(names, nowhere))
            self.restart(*names)
            self.until(lambda: all(map(self.is_up, names)), f"{names} work", 90)
            yield
            self._logs.update(kept)
        self.restart(*names)

    def is_up(self, name: str) -> bool:
        """Tells whether the process is ready to work: it answers, or waits for a ring."""
        if name == "web":
            return self.answers()
        if name not in self.workers:
            return True
        return self.processes[name].pid in {worker.pid for worker in Worker.all(connection=self.redis)}


class OnPostgresql(Stage):
    """A stage whose database is on a server. It is played on once: it keeps no state and goes back to none."""

    def __init__(self, server: Server, *arguments: Any, **named: Any) -> None:
        self.server = server
        super().__init__(*arguments, **(named | {"database": server.empty()}))

    def copied(self) -> Callable[[], None]:
        return partial(self.server.put_back, self.database.url, self.server.backup(self.database.url))

    def keep(self, name: str) -> None:
        pass

    def back(self, name: str) -> None:
        pass


@contextmanager
def running_stage(folder: Path, *, kind: Callable[..., Stage] = Stage, **rules: str) -> Iterator[Shop]:
    """Yields the shop that measures, with an SMS provider, on an ordinary morning which is kept as `morning`; `rules`
    are values of the playbook.
    """
    text = playbook(**{"quiet_from": "00:00:00", "quiet_to": "00:00:00", "when_nobody": '"wait"', **rules})
    told = f'missed_call_sms = {{ to = [{ANNA}, {HEAD}], text = "Пропущен {{phone}}" }}\n'
    text = text.replace("[sms] ", f"{told}[sms] ", 1)
    with (
        closing(Provider()) as provider,
        running_office(folder, "--no-limits", text=text, config=provider.config, kind=kind) as stage,
    ):
        stage.provider = provider
        with stage.commanded("apply") as command:
            said, _ = command.communicate(timeout=120)
        assert command.returncode == 0, said
        shop = Shop(stage, provider)
        shop.morning()
        stage.keep("morning")
        yield shop
