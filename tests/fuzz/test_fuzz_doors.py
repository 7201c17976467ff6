"""Every door and every action of a page, fuzzed: no error of ours, no row for a stranger, nobody else is asked.

`make test` tries some hundreds of inputs; `make fuzz` tries 100 000 and prints the seed that repeats them.
"""

from __future__ import annotations

import io
import json
import logging
import os
import random
import resource
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from scripted_visits import ADDRESS, around_the_clock, later, want, works
from werkzeug.test import Client

from b24app import config, web
from b24app.bitrix import wire
from b24app.bitrix.limits import Limits
from b24app.engine.declare import Catalogue
from b24app.logs import LineFormatter
from b24app.pages import PLACEMENTS
from b24app.services import Services, build
from b24app.store import schema, visits
from b24app.store.applied import Applied
from b24app.store.memory import Memory
from b24app.web import create_app
from b24app.web.doors import Doors
from b24app.web.gate import Passes, Proofs, Visitor
from handlers import HANDLERS
from robots import ROBOTS
from tests.fuzz.inputs import Pairs, Sent, meaningless, wrong_here_and_there
from tests.web.conftest import SECRET
from tests.web.stub import APPLICATION_TOKEN, CLIENT_ID, MEMBER_ID, frame, script_install
from tests.web.test_visit_doors import ACTIONS, ShopStub

EXAMPLES = int(os.environ.get("FUZZ", "700"))
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32)) if "FUZZ" in os.environ else 1
PORTION = 500
"""Hypothesis remembers what it tried: after so many it begins anew, and its memory is free again."""
GROWTH_MIB = 300
PERSONS = {"admin-access": (1, True), "manager-access": (5, False)}
FORM = "application/x-www-form-urlencoded"
CHANGED = (
    schema.deliveries, schema.commands, schema.visits, schema.visit_cells, schema.assignments, schema.tokens,
    schema.timers,
)  # fmt: skip
COUNTED = str(sa.select(*(sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in CHANGED)))


class Bench:
    """The application in this process, a portal behind it, and somebody who watches what becomes of a request."""

    def __init__(self, services: Services, stub: ShopStub, file: Path) -> None:
        self.services, self.stub = services, stub
        self.app: Flask = create_app(services)
        self.client = Client(self.app)
        self.asked: list[str] = []
        self.answers: Counter[int] = Counter()
        self.watching = sqlite3.connect(file)
        passes = Passes(services.settings)
        self.passes = {name: passes.issue(Visitor(MEMBER_ID, *person)) for name, person in PERSONS.items()}
        self.secrets = (APPLICATION_TOKEN, *PERSONS, *self.passes.values())
        self.rules = sorted({rule.rule.encode() for rule in self.app.url_map.iter_rules()})

    def post(self, session: Any, url: str, *, json: Any = None, form: Any = None, **more: Any) -> wire.Reply:
        """Stands where requests leave: answers as the portal, and keeps who was asked."""
        parts = urlsplit(url)
        self.asked.append(f"{parts.netloc}{parts.path}")
        if parts.path == "/oauth/token/":
            pair = {"access_token": "admin-access", "refresh_token": "refresh-of-admin-access", "expires_in": 3600}
            return wire.Reply(200, {}, dumps({**pair, "client_endpoint": f"{self.stub.url}/rest/"}))
        status, answer = self.stub._answer(parts.path, json if json is not None else dict(form))
        return wire.Reply(status, {}, dumps(answer))

    def version(self) -> int:
        """Changes whenever anything is committed."""
        return int(self.watching.execute("PRAGMA data_version").fetchone()[0])

    def counted(self) -> tuple[int, ...]:
        return tuple(self.watching.execute(COUNTED).fetchone())

    def tidy(self) -> None:
        """Puts the portal back to its beginning."""
        self.stub.renew()
        self.stub.shop.items[1, 42] = {**self.stub.shop.items[1, self.stub.shop.lead()], "id": 42}
        with self.services.database.write() as connection:
            for table in (schema.visit_cells, schema.visits, schema.deliveries, schema.timers, schema.alarms):
                connection.execute(sa.delete(table))
            memory = Memory(self.services.database, connection, MEMBER_ID)
            visits.take(memory, want("lead:42", later(3)))

    def valid(self) -> list[tuple[Sent, Pairs | None, Any]]:
        """Requests that are right: (request, the fields of its form, its JSON)."""
        events = [
            {"event": handler.event, "data[FIELDS][ID]": "42", "data[FIELDS][ENTITY_TYPE_ID]": "1",
             "data[CALL_ID]": "c1", "data[PHONE_NUMBER]": "+79123456789", "data[CALL_TYPE]": "2",
             "data[FIELDS_AFTER][ID]": "42", "data[id]": "7", "data[ACTIVITY_ID]": "5",
             "ts": "1760000000", "auth[member_id]": MEMBER_ID,
             "auth[application_token]": APPLICATION_TOKEN, "auth[expires_in]": "3600", "data[CLEAN]": "1"}
            for handler in HANDLERS
        ]  # fmt: skip
        events += [{**events[0], "event": name} for name in ("ONAPPUNINSTALL", "ONAPPUPDATE", "ONNOBODYKNOWS")]
        robots = [
            {"code": robot.code, "document_id[0]": "crm", "document_id[1]": "CCrmDocumentLead",
             "document_id[2]": "LEAD_42", "document_type[0]": "crm", "document_type[1]": "CCrmDocumentLead",
             "document_type[2]": "LEAD",
             "event_token": "t", "use_subscription": "Y", "timeout_duration": "60", "workflow_id": "w", "ts": "1",
             **{f"properties[{one.name}]": "1" for one in robot.properties},
             "auth[member_id]": MEMBER_ID, "auth[application_token]": APPLICATION_TOKEN}
            for robot in ROBOTS
        ]  # fmt: skip
        made: list[tuple[Sent, Pairs | None, Any]] = [(form("/event"), pairs(one), None) for one in events]
        made += [(form(f"/robot/{one['code']}"), pairs(one), None) for one in robots]
        made += [(form("/install"), pairs(script_install("admin-access")), None)]
        for access in PERSONS:
            places = [("/app", ""), ("/install", ""), ("/placement/worker", ""), ("/placement/board", "LEFT_MENU")]
            places += [(f"/placement/{page}", "CRM_LEAD_DETAIL_TAB") for page in ("lead", "guide", "visit", "form")]
            for path, place in places:
                for options in (
                    '{"ID":"42"}',
                    '{"form":"missing","entity":"lead:42","to":"client","at":"name"}',
                    '{"view":"board"}',
                ):
                    fields = frame(access, PLACEMENT=place or "DEFAULT", PLACEMENT_OPTIONS=options)
                    made.append((form(path), pairs(fields), None))
        wish = {"entity": "lead:42", "visit": 1, "measurer": 21, "start": later(5).isoformat(), "how": "cancel",
                "reason": "так", "address": ADDRESS, "work": "", "parts": ["morning"], "not_weekdays": [1],
                "strict": True, "explain": True, "from": "2026-11-23", "to": "2026-11-30"}  # fmt: skip
        for name, page_pass in self.passes.items():
            headers = {"Authorization": f"Bearer {page_pass}", "Content-Type": "application/json"}
            for action in ACTIONS:
                made.append((Sent(f"/visits/{action}".encode(), headers=headers), None, {**wish, "token": name}))
            saved = {"entity": "lead:42", "token": name, "to": "client", "stage": "NEW", "values": {"name": ["Иван"]}}
            made.append(
                (
                    Sent(b"/placement/save", headers=headers),
                    None,
                    {**saved, "base": {"name": [""]}, "reasons": {"kp": "x"}},
                )
            )
            for asked in (
                {"action": "retry", "id": 1},
                {"action": "give_up", "id": 1},
                {"action": "distribute", "entity": "lead:42"},
            ):
                made.append((Sent(b"/app/action", headers=headers), None, asked))
            made.append((Sent(b"/app/story", headers=headers), None, {"kind": "lead", "number": "42"}))
            made.append((Sent(b"/install/again", headers=headers), None, {}))
        return made

    def send(self, sent: Sent) -> None:
        """Sends it and holds the answer to what is promised of every answer."""
        self.asked.clear()
        before, counted = self.version(), self.counted()
        environ: dict[str, Any] = {
            "PATH_INFO": sent.path.decode("latin-1"),
            "QUERY_STRING": sent.query.decode("latin-1"),
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.headers.items()}
        environ["CONTENT_TYPE"] = sent.headers.get("Content-Type", FORM)
        environ["CONTENT_LENGTH"] = str(len(sent.body)) if sent.length is None else sent.length
        environ["wsgi.input"] = io.BytesIO(sent.body)
        answer = self.client.open("/", method=sent.method, environ_overrides=environ)
        text = answer.get_data()
        answer.close()
        self.answers[answer.status_code] += 1
        assert answer.status_code < 500, (answer.status_code, text[:300])
        assert "Set-Cookie" not in answer.headers
        if answer.content_type.startswith("text/html"):
            assert "frame-ancestors" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not [secret for secret in (SECRET, *PERSONS, APPLICATION_TOKEN) if secret.encode() in text]
        known = {self.stub.host}
        assert {one.split("/")[0] for one in self.asked} <= known, self.asked
        if not any(sent.holds(secret) for secret in self.secrets):
            assert set(self.asked) <= {f"{self.stub.host}/rest/app.info/"}, "a stranger made us ask the portal"
            assert self.version() == before, "a stranger wrote into the database"
            assert answer.status_code >= 400 or sent.method in ("GET", "HEAD", "OPTIONS") or overtime(sent), text
        elif answer.status_code != 200:
            assert self.counted() == counted, "a refused request left a row"
        if self.counted() != counted:
            self.tidy()


def dumps(answer: Any) -> bytes:
    return json.dumps(answer).encode()


def overtime(sent: Sent) -> bool:
    """The hidden page's address is told without any proof that the page was taken away."""
    return sent.path == b"/placement/worker"


def form(path: str) -> Sent:
    return Sent(path.encode())


def pairs(fields: dict[str, str]) -> Pairs:
    return tuple((name.encode(), value.encode()) for name, value in fields.items())


class Strict(logging.Handler):
    """Holds every log line to being one line without a secret."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self.secrets = secrets
        self.broken: list[str] = []
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if not line.isprintable() or len(line) > 20_000 or any(secret in line for secret in self.secrets):
            self.broken.append(line)


@pytest.fixture
def bench(tmp_path: Path, sqlite_file: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    stub = ShopStub()
    file = Path(shutil.copy(sqlite_file, tmp_path))
    known = {"host": stub.host, "client_id": CLIENT_ID, "client_secret": "s3cr3t"}
    settings_ = config.Settings.model_validate(
        {
            "app": {"public_url": "https://app.example.com", "secret_key": SECRET},
            "bitrix24": {"oauth_url": stub.url, "js_url": f"{stub.url}/api/v1/"},
            "portals": [known],
            "database": {"url": f"sqlite:///{file}"},
        }
    )
    catalogue = Catalogue(ROBOTS, HANDLERS, (), PLACEMENTS)
    services = replace(build(settings_, catalogue, redis_url), playbook=around_the_clock(**works(120)))
    services.redis.flushdb()
    monkeypatch.setattr(web, "Proofs", lambda: Proofs(capacity=10**9))  # a flood is what is tried here
    monkeypatch.setattr(Limits, "take", lambda *_, **__: None)
    monkeypatch.setattr(Doors, "_soon", staticmethod(lambda *_: None))  # what comes after the answer is no door's
    bench = Bench(services, stub, file)
    monkeypatch.setattr(wire, "post", bench.post)
    installed = bench.client.post("/install?LANG=ru", data=frame("admin-access"))
    assert 'data-ready="' in installed.text
    Applied(services.database, MEMBER_ID).record("lead.stage:new", "NEW", made=True)
    strict = Strict((SECRET, "admin-access", "manager-access", "s3cr3t", *bench.passes.values()))
    logging.getLogger().addHandler(strict)
    bench.tidy()
    yield bench
    logging.getLogger().removeHandler(strict)
    bench.watching.close()
    services.dispose()
    stub.stop()
    assert strict.broken == []


def tried(bench: Bench, inputs: st.SearchStrategy[Sent], examples: int) -> None:
    """Tries so many inputs, in portions; the first that breaks a promise is made as small as can be."""

    def one(sent: Sent) -> None:
        bench.send(sent)

    for number in range(0, examples, PORTION):
        options = settings(
            max_examples=min(PORTION, examples - number),
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        seed(SEED + number)(options(given(inputs)(one)))()


def memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.timeout(0 if "FUZZ" in os.environ else 120)
@pytest.mark.parametrize("kind", ["wrong here and there", "meaningless"])
def test_no_input_is_an_error_of_ours_or_leaves_anything(bench: Bench, kind: str) -> None:
    examples = EXAMPLES * 3 // 4 if kind == "wrong here and there" else EXAMPLES // 4
    print(f"\n{kind}: {examples} inputs, SEED={SEED}")
    known = bench.valid()
    for sent, fields, wish in known:  # each of them is right before anything goes wrong
        bench.send(replace(sent, body=encoded_as(fields, wish)))
    inputs = wrong_here_and_there(lambda: known) if kind == "wrong here and there" else meaningless(paths(bench))
    began, memory = time.monotonic(), memory_mib()
    tried(bench, inputs, examples)
    grown = memory_mib() - memory
    print(f"{kind}: answers {dict(sorted(bench.answers.items()))}, {time.monotonic() - began:.0f} s, +{grown:.0f} MiB")
    assert grown < GROWTH_MIB
    assert bench.answers[200] > 0


def encoded_as(fields: Pairs | None, wish: Any) -> bytes:
    if fields is None:
        return dumps(wish)
    return "&".join(f"{quote(name, safe='[]')}={quote(value)}" for name, value in fields).encode()


def paths(bench: Bench) -> list[bytes]:
    known = [rule.split(b"<")[0] for rule in bench.rules]
    return sorted(
        {*known, b"/robot/assign_manager", b"/visits/find", b"/placement/lead", b"/app/plan/apply", b"//", b""}
    )
