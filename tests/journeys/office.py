"""The whole application as processes on 127.0.0.1 beside a sandbox portal, as journeys need it.

web (gunicorn), workers, clock and an embedded Redis are started one by one, so that a test may kill each of them. Time
that passes (a retry in a quarter of a minute, a reconciliation in five minutes) is imitated in the database, where all
due times stand; nothing in a journey sleeps for a fixed time and hopes.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, TypeVar

import redis
import requests
import sqlalchemy as sa

from b24app.config import load
from b24app.engine.inbox import Inbox
from b24app.engine.jobs import Doorbell
from b24app.store import schema
from b24app.store.database import Database
from b24app.supervisor import REDIS_URL_VARIABLE, Program, embedded_redis, free_port, start
from sandbox.client import Sandbox

T = TypeVar("T")
Kind = TypeVar("Kind", bound="Office")
Row = dict[str, Any]

HEAD, ANNA, BORIS, VERA = 3, 4, 5, 6
"""Of the sales department: its head and three managers. GLEB and DARIA work in its sub-department."""
GLEB, DARIA = 7, 8
MANAGERS = (ANNA, BORIS, VERA)
LINE_OWNER = 2
"""Who is responsible for leads of the telephone line until we choose somebody: never one of the managers."""
CRASH_VARIABLE = "B24APP_CRASH_AT"
LONG_AGO = timedelta(hours=1)

_numbers = itertools.count(1)
running: list[Office] = []
"""The offices that run now: their logs are shown when a test fails."""


def new_phone() -> str:
    """Returns a mobile number that no test has used."""
    return f"+7912{next(_numbers):07d}"


def playbook(**changes: str) -> str:
    """Returns the built-in playbook with other values, as TOML writes them; managers may have any number of leads."""
    text = files("playbooks").joinpath("kitchen.toml").read_text("utf-8")
    for key, value in {"limit_open": "10000", **changes}.items():
        text, count = re.subn(rf"^{key} = [^ #\n]+", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count == 1, key
    return text


class Office:
    """A portal, our processes, and what a test does and sees there."""

    def __init__(
        self, folder: Path, portal: Sandbox, *, workers: int, text: str, config: str = "", database: str = ""
    ) -> None:
        self.folder = folder
        self.portal = portal
        self.url = f"http://127.0.0.1:{free_port()}"
        self.database = Database(database or f"sqlite:///{folder / 'b24app.db'}")
        self.config = folder / "config.toml"
        self.playbook = folder / "playbook.toml"
        self.http = requests.Session()
        self.http.trust_env = False
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.fallen: list[str] = []
        self._logs: dict[str, IO[bytes]] = {}
        self.redis_program, self.redis_url = embedded_redis(folder / "redis")
        self.redis = redis.Redis.from_url(self.redis_url, socket_timeout=5)
        self.doorbell = Doorbell(self.redis)
        self.workers = tuple(f"worker-{number}" for number in range(workers))
        self.more_config = config
        self.write_config(text)

    def write_config(self, text: str) -> None:
        """Writes config.toml and the playbook of this text."""
        ready = self.portal.ready
        self.playbook.write_text(text, "utf-8")
        self.config.write_text(
            f"""[app]
public_url = "{self.url}"
secret_key = "{"journey" * 8}"
[bitrix24]
oauth_url = "{ready["oauth_url"]}"
js_url = "{ready["url"]}/api/v1/"
[[portals]]
host = "{ready["url"].removeprefix("http://")}"
client_id = "{ready["client_id"]}"
client_secret = "{ready["client_secret"]}"
[database]
url = "{self.database.url}"
[playbook]
path = "{self.playbook}"
[run]
data = "{self.folder}"
{self.more_config}
""",
            "utf-8",
        )
        load(self.config)

    # processes

    def program(self, name: str, crash: str = "") -> Program:
        """Returns how a process is started; `crash` is the value of B24APP_CRASH_AT."""
        if name == "redis":
            return self.redis_program
        command = (sys.executable, "-m", "b24app", "--config", str(self.config))
        port = self.url.rsplit(":", 1)[1]
        last = ("web", "--host", "127.0.0.1", "--port", port) if name == "web" else (name.partition("-")[0],)
        environment = {REDIS_URL_VARIABLE: self.redis_url, CRASH_VARIABLE: crash}
        return Program(name, (*command, *last), environment)

    def start(self, *names: str, crash: str = "") -> None:
        """Starts processes; each writes its own log."""
        for name in names:
            if name not in self._logs:
                self._logs[name] = (self.folder / f"{name}.log").open("ab")
            log = self._logs[name]
            self.processes[name] = start(self.program(name, crash), death_signal=signal.SIGKILL, stdout=log, stderr=log)

    def start_all(self) -> None:
        """Starts everything and waits until the web answers."""
        self.start("redis")
        self.start("web")
        self.until(self.answers, "the web answers")
        self.start(*self.workers, "clock")

    def answers(self) -> bool:
        """Tells whether our web answers."""
        try:
            return self.http.get(f"{self.url}/health", timeout=5).status_code in (200, 503)
        except requests.ConnectionError:
            return False

    def kill(self, *names: str) -> None:
        """Kills processes at once, as a machine does that loses power; they stay down until they are started."""
        for name in names:
            process = self.processes.pop(name)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)

    def restart(self, *names: str, crash: str = "") -> None:
        """Kills processes and starts them again."""
        self.kill(*(name for name in names if name in self.processes))
        self.start(*names, crash=crash)

    def look_after(self) -> None:
        """Starts again, without any crash point, what has fallen: what the supervisor does."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.fallen.append(name)
                self.start(name)

    def close(self) -> None:
        """Ends everything."""
        self.kill(*self.processes)
        for log in self._logs.values():
            log.close()
        self.http.close()
        self.doorbell.close()
        self.redis.close()
        self.database.dispose()
        self.portal.stop()

    def log_sizes(self) -> dict[str, int]:
        """Returns how long each log is now."""
        return {file.name: file.stat().st_size for file in self.folder.glob("*.log")}

    def logs_since(self, sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Yields (name, text) of what was logged since then."""
        for file in sorted(self.folder.glob("*.log")):
            with file.open("rb") as log:
                log.seek(sizes.get(file.name, 0))
                yield file.name, log.read()[-12_000:].decode("utf-8", "replace")

    # installation

    def install(self) -> str:
        """Installs as an administrator does: opens the application; returns the page that told it."""
        self.portal.application(handler=f"{self.url}/app", install=f"{self.url}/install")
        opened = self.portal.open(1)
        assert opened["status"] == 200, opened["body"]
        assert 'data-ready="1"' in opened["body"], opened["body"]
        self.portal.finish_install()
        return str(opened["body"])

    # waiting

    def until(self, look: Callable[[], T | None], what: str, seconds: float = 90.0) -> T:
        """Returns what `look` sees as soon as it is true; fails when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            seen = look()
            if seen:
                return seen
            if time.monotonic() > deadline:
                raise AssertionError(f"did not come in {seconds:.0f} s: {what}\n{self.unfinished()}")
            self.look_after()
            time.sleep(0.05)

    def unfinished(self) -> str:
        """Returns the deliveries that are not done, for the message of a failed test."""
        rows = self.rows(
            sa.select(schema.deliveries).where(schema.deliveries.c.state.in_(("waiting", "running", "failed")))
        )
        return "\n".join(
            "  delivery {id} {code} {entity} {state} attempts={attempts} {reason}".format(**row) for row in rows
        )

    def settle(self, seconds: float = 120.0, *, hurry: bool = False, talking: bool = False) -> None:
        """Waits until portal and application have nothing to do.

        `hurry`: what was postponed is due at once. `talking`: calls may go on meanwhile.
        """

        def still() -> bool:
            last = self.portal.last
            if hurry:
                self.hurry()
            calm = self.open_deliveries() == 0 and self.is_quiet(talking) and self.open_deliveries() == 0
            return calm and self.portal.last == last

        self.until(still, "silence", seconds)

    def is_quiet(self, talking: bool = False) -> bool:
        """Tells whether no event or robot of the portal is on its way, and no call is going on unless `talking`."""
        return bool(self.portal.control("GET", "quiet")["delivered" if talking else "quiet"])

    def open_deliveries(self) -> int:
        """Returns how many deliveries are not finished, postponed ones too."""
        table = schema.deliveries
        with self.database.read() as connection:
            return connection.execute(
                sa.select(sa.func.count()).select_from(table).where(table.c.state.in_(("waiting", "running")))
            ).scalar_one()

    # time that passes

    def now(self) -> datetime:
        """The present, as our processes see it."""
        return datetime.now(UTC)

    def write(self, *statements: sa.Update | sa.Delete) -> None:
        """Changes our database as passing time would."""
        with self.database.write() as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, query: sa.Select[Any]) -> list[sa.RowMapping]:
        """Returns rows of our database."""
        with self.database.read() as connection:
            return list(connection.execute(query).mappings().all())

    def ring(self) -> None:
        """Rings for whatever is due, as the clock does every few seconds."""
        self.doorbell.ring(0)

    def hurry(self) -> None:
        """Lets the time pass for which deliveries were postponed: they are due now, and so much older."""
        table, now = schema.deliveries, self.now()
        late = sa.and_(table.c.state == "waiting", table.c.due_at > now)
        rows = self.rows(sa.select(table).where(late))
        for row in rows:
            received_at = row["received_at"]
            if row["decision"] is None:  # once commands are sent, the time of receipt is a part of their keys
                received_at -= row["due_at"] - now
            mine = sa.and_(table.c.id == row["id"], late)
            self.write(sa.update(table).where(mine).values(due_at=now, received_at=received_at))
        if rows:
            self.ring()

    def age_deliveries(self, age: timedelta) -> None:
        """Makes every open delivery this much older."""
        table = schema.deliveries
        unfinished = table.c.state.in_(("waiting", "running"))
        for row in self.rows(sa.select(table.c.id, table.c.received_at).where(unfinished)):
            mine = table.c.id == row["id"]
            self.write(sa.update(table).where(mine).values(received_at=row["received_at"] - age))

    def hurry_timers(self, code: str) -> None:
        """Makes our timers of this code due now."""
        table = schema.timers
        self.write(sa.update(table).where(table.c.code == code).values(due_at=self.now()))

    def timers(self, code: str) -> list[sa.RowMapping]:
        """Returns our timers of this code."""
        return self.rows(sa.select(schema.timers).where(schema.timers.c.code == code))

    def reconcile(self, code: str = "reconcile", *, by_clock: bool = False) -> None:
        """Reconciles now; `by_clock`: by letting the minutes pass after which the clock does.

        `code`: "reconcile" reads the portal's lists, "offline_events" its queue.
        """
        table = schema.deliveries
        done = sa.select(table.c.id).where(table.c.code == code, table.c.state == "done")
        before = len(self.rows(done))
        if by_clock:
            past = self.now() - LONG_AGO
            self.write(sa.update(table).where(table.c.code == code).values(received_at=past))
        else:
            member_id = self.portal.ready["member_id"]
            wish = {"code": code, "entity": code, "payload": {}, "priority": 90}
            Inbox(self.database).record(member_id=member_id, kind="timer", **wish)
            self.ring()
        self.until(lambda: len(self.rows(done)) > before, "a reconciliation")

    def reconciled_lately(self) -> None:
        """Says that the last reconciliation was just now: none begins while something is counted."""
        table = schema.deliveries
        lately = sa.update(table).values(received_at=self.now())
        self.write(lately.where(table.c.code.in_(("reconcile", "offline_events"))))

    def tokens_expire(self) -> None:
        """Lets the hour pass for which access tokens live, on the portal and by what we know of it."""
        self.control("POST", "tokens", {"action": "expire", "client_id": self.portal.client_id})
        self.write(sa.update(schema.tokens).values(expires_at=self.now()))

    def forget_rate(self) -> None:
        """Lets the seconds pass in which the portal's request counter runs empty."""
        for pattern in ("b24app:limits:*:bucket", "b24app:limits:*:parked:*"):
            keys = list(self.redis.scan_iter(pattern))
            if keys:
                self.redis.delete(*keys)

    def failure_decided(self, lead_id: int) -> bool:
        """Tells whether a robot's delivery about this lead was given up, its answer perhaps still owed."""
        table = schema.deliveries
        mine = sa.and_(table.c.entity == f"lead:{lead_id}", table.c.failure.is_not(None))
        return bool(self.rows(sa.select(table.c.id).where(mine)))

    def robot_form(self, lead_id: int) -> dict[str, str]:
        """Returns the form with which the portal called our robot about this lead."""
        table = schema.deliveries
        query = sa.select(table.c.payload).where(table.c.entity == f"lead:{lead_id}", table.c.kind == "robot")
        (row,) = self.rows(query)
        payload = row["payload"]
        (application,) = [
            one for one in self.control("GET", "applications") if one["client_id"] == self.portal.client_id
        ]
        return {
            "code": payload["code"],
            **{f"document_id[{index}]": part for index, part in enumerate(payload["document_id"])},
            **{f"document_type[{index}]": part for index, part in enumerate(("crm", "CCrmDocumentLead", "LEAD"))},
            "event_token": payload["event_token"],
            "workflow_id": payload["workflow_id"],
            "use_subscription": "Y",
            "ts": "1",
            "auth[member_id]": self.portal.ready["member_id"],
            "auth[application_token]": application["application_token"],
        }

    # our pages

    def page_pass(self, user_id: int = 1) -> tuple[str, str]:
        """Returns (the main page as that person sees it, the pass with which its buttons speak)."""
        body = str(self.portal.open(user_id)["body"])
        found = re.search(r'data-pass="([^"]+)"', body)
        assert found is not None, body
        return body, found[1]

    def press(self, path: str, wish: Row | None = None) -> Row:
        """Does what a button of our main page does for the administrator; returns what it says."""
        _, page_pass = self.page_pass()
        answer = self.http.post(
            f"{self.url}{path}", json=wish, headers={"Authorization": f"Bearer {page_pass}"}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def health(self) -> Row:
        """Returns what /health says to this machine."""
        return dict(self.http.get(f"{self.url}/health", timeout=10).json())

    def waited_out(self) -> bool:
        """Lets counters run empty and postponed work fall due; tells whether nothing is left to do."""
        self.forget_rate()
        self.hurry()
        return self.open_deliveries() == 0

    def redis_answers(self) -> bool:
        """Tells whether Redis answers."""
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False

    def findings(self, key: str, level: str) -> list[Row]:
        """Returns what /health finds of this kind."""
        return [one for one in self.health()["findings"] if (one["key"], one["level"]) == (key, level)]

    # the portal

    def control(self, verb: str, path: str, body: Row | None = None) -> Any:
        """Does something on the portal as a person would."""
        return self.portal.control(verb, path, body)

    def at_work(self, *people: int) -> None:
        """Begins the working day of these people, ends everybody else's."""
        for person in self.portal.state("people"):
            wanted = "open" if person["id"] in people else "close"
            if person["clock"] == "expired":  # yesterday's
                self.portal.set_person(person["id"], clock="close")
            if (person["clock"] == "opened") != (wanted == "open"):
                self.portal.set_person(person["id"], clock=wanted)

    def tidy(self) -> None:
        """Puts the portal back to an ordinary morning: the three managers at work, nothing goes wrong."""
        self.control("DELETE", "faults")
        self.control("DELETE", "event-rules")
        self.control("PATCH", "settings", {"mode": 1, "timeman": True, "rest_v3": True})
        line = {"create_lead": "missed", "create_when": "end", "responsible_id": LINE_OWNER}
        self.control("PATCH", "line", line)
        for person in self.portal.state("people"):
            facts = {"active": True, "absent": None, "busy": None, "own_leads_only": False}
            if any(person[name] != value for name, value in facts.items()):
                self.portal.set_person(person["id"], **facts)
        self.at_work(*MANAGERS)
        self.forget_rate()
        self.look_after()

    def lead(self, lead_id: int) -> Row | None:
        """Returns a lead as a person sees it, or None."""
        return next((one for one in self.portal.state("leads") if one["id"] == lead_id), None)

    def responsible(self, lead_id: int) -> int:
        """Returns who is responsible for the lead."""
        lead = self.lead(lead_id)
        assert lead is not None, f"no lead {lead_id}"
        return int(lead["assignedById"])

    def leads_of(self, phone: str) -> list[Row]:
        """Returns the leads with this number."""
        return [one for one in self.portal.state("leads") if phone in json.dumps(one)]

    def tasks_of(self, item_id: int, prefix: str = "L") -> list[Row]:
        """Returns the tasks that hang on a lead (L), deal (D), contact (C)."""
        return [task for task in self.portal.state("tasks") if f"{prefix}_{item_id}" in task["crm"]]

    def cards_of(self, item_id: int, entity_type: str = "lead") -> list[str]:
        """Returns the texts of the decision cards in an item's timeline."""
        return [
            one["text"]
            for one in self.portal.state("comments")
            if one["entity_type"].lower() == entity_type and int(one["entity_id"]) == item_id
        ]

    def notices_of(self, user_id: int, word: str) -> list[str]:
        """Returns the notices of a person in which the word stands."""
        mine = [one["text"] for one in self.portal.state("notices") if one["user_id"] == user_id]
        return [text for text in mine if word in text]

    def fault_taken(self, last: int, method: str) -> bool:
        """Tells whether a fault rule has hit this method since that entry of the ledger."""
        return any(entry["method"] == method for entry in self.portal.ledger(last, "fault"))

    def client(self, phone: str, responsible: int) -> int:
        """Makes a contact with this number, whom somebody works with; returns its id."""
        fields = {
            "name": "Клиент",
            "lastName": phone,
            "assignedById": responsible,
            "fm": [{"typeId": "PHONE", "valueType": "WORK", "value": phone}],
        }
        return int(self.portal.create_item(3, fields, user_id=1)["id"])

    def lead_by_hand(self, phone: str, *, user_id: int = 1, **fields: Any) -> int:
        """Makes a lead with a phone number as a person does; returns its id."""
        number = {"fm": [{"typeId": "PHONE", "valueType": "WORK", "value": phone}]}
        return int(self.portal.create_item(1, {"title": f"Клиент {phone}", **number, **fields}, user_id=user_id)["id"])

    @contextmanager
    def minutes_ago(self) -> Iterator[None]:
        """Sets the portal's clock back: what is made there meanwhile is ten minutes old afterwards."""
        self.control("POST", "time", {"shift_seconds": -600})
        try:
            yield
            self.settle()
        finally:
            self.control("POST", "time", {"shift_seconds": 600})

    def requests_since(self, last: int) -> list[Row]:
        """Returns what our application asked the portal since that entry of the ledger."""
        entries = self.portal.ledger(last, "request")
        return [entry for entry in entries if entry["application"] == self.portal.client_id]

    def assert_treated(self, lead_id: int, *, among: Sequence[int] = MANAGERS) -> int:
        """Asserts one responsible of `among`, one task for him, one card; returns him."""
        manager = self.responsible(lead_id)
        assert manager in among, f"lead {lead_id}: {manager} is none of {among}"
        tasks = self.tasks_of(lead_id)
        assert [task["responsible_id"] for task in tasks] == [manager], f"lead {lead_id}: {tasks}"
        assert len(self.cards_of(lead_id)) == 1, f"lead {lead_id}: {self.cards_of(lead_id)}"
        return manager


@contextmanager
def running_office(
    folder: Path,
    *sandbox: str,
    workers: int = 2,
    text: str = "",
    installed: bool = True,
    config: str = "",
    database: str = "",
    kind: Callable[..., Kind] = Office,
) -> Iterator[Kind]:
    """Yields an application at work beside a fresh portal; `config` is more of config.toml, `database` its url."""
    portal = Sandbox.start(*sandbox)
    office = kind(folder, portal, workers=workers, text=text or playbook(), config=config, database=database)
    running.append(office)
    try:
        office.control("PATCH", "settings", {"license": "ru_ent250"})
        office.start_all()
        if installed:
            office.install()
            office.tidy()
            office.until(lambda: reconciled(office), "the first reconciliation")
        yield office
    finally:
        running.remove(office)
        office.close()


def reconciled(office: Office) -> bool:
    """Tells whether the cursors of the reconciliation stand: from now on it finds what no event told."""
    table = schema.deliveries
    query = sa.select(table.c.id).where(table.c.code == "reconcile", table.c.state == "done").limit(1)
    return bool(office.rows(query))


class Stranger:
    """A port of this machine that counts who comes: nobody may."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(16)
        self._socket.setblocking(False)
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def visits(self) -> int:
        """Returns how many connections waited there."""
        count = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return count
            connection.close()
            count += 1

    def close(self) -> None:
        """Closes the port."""
        self._socket.close()
