"""What an intruder may try at our doors and pages; docs/security.md names for each line the test that holds it."""

from __future__ import annotations

import ast
import io
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from b24app import logs
from b24app.engine.declare import Placement
from b24app.pages import PLACEMENTS
from b24app.services import Services
from b24app.store.portals import all_portals
from b24app.web import doors
from b24app.web.gate import PASS_SECONDS, Passes, Visitor
from b24app.web.incoming import read_frame
from tests.web.conftest import (
    FORM,
    LEAD_42,
    MEMBER,
    event,
)

ROOT = Path(__file__).parent.parent.parent
HOSTILE = "\r\nlevel=info from=b24app.web door=/forged \x1b[2J\x1b]0;title\x07 \u202eвыворот\u2028\x85\x9b"


# the document


def test_every_line_of_the_threat_model_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text))
    assert len(named) > 40
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name in functions, f"{file}::{name}"
    tables = text.split("## Чужие")[1]
    rows = [line for line in tables.splitlines() if line.startswith("| ") and "чем доказано" not in line]
    assert len(rows) > 40
    assert [row for row in rows if "`tests/" not in row] == []


# logs


@pytest.fixture
def written() -> io.StringIO:
    """What a process of ours writes."""
    stream = io.StringIO()
    logs.setup("INFO", stream=stream)
    logs.tell_uncaught()
    return stream


def test_nobody_writes_a_line_of_his_own_into_the_log(client: FlaskClient, portal: str, written: io.StringIO) -> None:
    client.post(f"/robot/{HOSTILE}", data=event(), headers=FORM)
    client.get(f"/static/{HOSTILE}")
    client.post("/event", data=event("ONVOXIMPLANTCALLEND", **{"data[CALL_ID]": HOSTILE}), headers=FORM)
    client.post("/event", data=event(HOSTILE, **LEAD_42), headers=FORM)
    logging.getLogger("b24app.engine.run").info("entity=%s name=%s", f"call:{HOSTILE}", HOSTILE)
    lines = written.getvalue().split("\n")[:-1]
    assert len(lines) >= 5
    assert all(line.startswith("at=") and line.isprintable() for line in lines)
    assert [line for line in lines if " door=/forged" in line and "robot" not in line and "entity=" not in line] == []


def test_what_nobody_caught_is_a_masked_line(written: io.StringIO) -> None:
    def fails() -> None:
        raise ValueError("access_token=s3cretV4lue phone +79123456789")

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    try:
        fails()
    except ValueError:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    ours = next(one for one in logging.getLogger().handlers if isinstance(one.formatter, logs.LineFormatter))
    ours.handle(logging.LogRecord("b24app", logging.INFO, __file__, 1, "%d", ("s3cretV4lue",), None))  # our mistake
    text = written.getvalue()
    assert text.count("uncaught=ValueError") == 2
    assert "unwritten=1" in text
    assert "s3cretV4lue" not in text
    assert "79123456789" not in text


# pages


def test_no_answer_sets_a_cookie_or_lets_another_site_read_it(app: Flask, portal: str) -> None:
    """There is nothing that a browser would send by itself: a request of another site carries no right of anybody."""
    tried = 0
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in rule.methods or ():
            answer = app.test_client().open(path, method=method, headers={"Origin": "https://evil.example"})
            told = {name.title() for name in dict(answer.headers)}
            assert not told & {"Set-Cookie", "Access-Control-Allow-Origin"}, path
            tried += 1
    assert tried > 15
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert app.test_client().options("/app/action", headers=preflight).status_code == 405


def test_a_pass_is_short_lived_and_its_owners_only(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(services.settings)
    issued = passes.issue(Visitor(MEMBER, 5, False))
    assert passes.read(f"Bearer {issued}") == Visitor(MEMBER, 5, False)
    assert PASS_SECONDS <= 3600
    others = services.settings.app.model_copy(update={"secret_key": "o" * 40, "previous_secret_keys": ()})
    rotated = services.settings.app.model_copy(
        update={"secret_key": "n" * 40, "previous_secret_keys": (services.settings.app.secret_key,)}
    )
    assert Passes(services.settings.model_copy(update={"app": rotated})).read(f"Bearer {issued}").user_id == 5
    for reader in (Passes(services.settings.model_copy(update={"app": others})), passes):
        if reader is passes:
            monkeypatch.setattr("b24app.web.gate.PASS_SECONDS", -1)
        with pytest.raises(Exception, match="пропуск истёк"):
            reader.read(f"Bearer {issued}")


def test_a_bomb_of_json_is_refused(client: FlaskClient, services: Services, portal: str) -> None:
    bombs = [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b'"\\ud800"',
        b'{"a":"\\u0000"}',
        b'{"a":NaN}',
        b"\xff",
        b"",
    ]
    administrator = Passes(services.settings).issue(Visitor(MEMBER, 1, True))
    for path in ("/app/action", "/app/story", "/placement/save", "/visits/board", "/visits/book"):
        for body in bombs:
            for authorization, status in ((f"Bearer {administrator}", 400), ("", 403)):
                answer = client.post(path, data=body, headers={"Authorization": authorization})
                assert answer.status_code == status, (path, body[:20])


def test_nobody_is_redirected_to_where_a_stranger_wants(client: FlaskClient) -> None:
    for path in ("//evil.example/app", "//", "/event/", "/app//", ""):
        for method in ("GET", "POST"):
            answer = client.open("/", method=method, environ_overrides={"PATH_INFO": path, "HTTP_HOST": "evil.example"})
            assert answer.status_code < 300 or answer.status_code >= 400
            assert "evil.example" not in answer.text


def test_a_refusal_names_no_portal_of_ours(client: FlaskClient, portal: str) -> None:
    for domain, ancestors in {
        "acme.bitrix24.ru": "'self' https://acme.bitrix24.ru",
        "acme.bitrix24.ru:8443": "'self' https://acme.bitrix24.ru:8443",
        "127.0.0.1:9000": "'self' http://127.0.0.1:9000",
        **dict.fromkeys(("", "*", "a.ru b.ru", "a.ru;script-src *", "a.ru\r\nX: y", "x" * 300, "яндекс.рф"), "'self'"),
    }.items():
        answer = client.post("/app", query_string={"DOMAIN": domain}, data={"AUTH_ID": "x", "member_id": "m"})
        policy = answer.headers["Content-Security-Policy"]
        assert policy.endswith(f"frame-ancestors {ancestors}")
        assert "script-src 'none'" in policy
        assert "portal.bitrix24.ru" not in answer.text + str(answer.headers)


def test_a_query_of_any_bytes_is_read(client: FlaskClient) -> None:
    paths = ("/metrics", "/health", "/", "/static/page.css", "/app")
    for query in ("\x80", "key=\xff\xfe", "v=%ff&v", "LANG=" + "\xe9" * 200, "&" * 3000, "=", "%", "a" * 8000):
        for path in paths:
            assert client.get("/", environ_overrides={"PATH_INFO": path, "QUERY_STRING": query}).status_code == 200
        assert client.post("/", environ_overrides={"PATH_INFO": "/app", "QUERY_STRING": query}).status_code in (
            400,
            413,
        )


@pytest.mark.parametrize("life", ["0", "-1", "9" * 15, "9" * 400, "x", ""])
def test_a_token_never_lives_longer_than_a_day(life: str) -> None:
    body = f"AUTH_ID=a&member_id=m&AUTH_EXPIRES={life}".encode()
    assert read_frame(b"", body).auth.expires_in_seconds == 3600


# floods


def test_a_flood_of_updates_is_one_round_at_a_time(
    client: FlaskClient, services: Services, portal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knows application_token may say ONAPPUPDATE without end; the portal is asked no oftener for it."""
    at_work, go_on, rounds = threading.Event(), threading.Event(), []

    def slow_round(services: Services, member_id: str) -> list[Any]:
        rounds.append(member_id)
        at_work.set()
        assert go_on.wait(20)
        return []

    monkeypatch.setattr(doors, "bring_in_line", slow_round)
    monkeypatch.setattr(doors, "PAUSE_SECONDS", 0.0)
    for _ in range(30):
        with client.post("/event", data=event("ONAPPUPDATE"), headers=FORM) as answer:
            assert answer.status_code == 200
    assert at_work.wait(20)
    assert rounds == [MEMBER]
    assert all_portals(services.database)[MEMBER].facts["in_line"] is False  # owed, whatever becomes of the threads
    go_on.set()
    deadline = time.monotonic() + 20
    while any(thread.name == "bring_in_line" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert rounds == [MEMBER] * 2


SERVER = """
import sys
from b24app import config
from b24app.engine.declare import Catalogue
from b24app.services import build
from b24app.web import server

services = build(config.load(sys.argv[1]), Catalogue((), (), (), ()), "redis://127.0.0.1:1/0")
services.database.migrate()
server.serve(services, "127.0.0.1", int(sys.argv[2]), threads=2, read_seconds=0.5)
"""


def test_slow_clients_keep_nobody_out(tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text(
        f"""[app]
public_url = "https://app.example.com"
secret_key = "{"k" * 40}"
[[portals]]
host = "portal.bitrix24.ru"
client_id = "local.1"
client_secret = "s3cr3t"
[database]
url = "sqlite:///{tmp_path / "slow.db"}"
""",
        "utf-8",
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(settings), str(port)], stderr=subprocess.DEVNULL)
    slow: list[socket.socket] = []
    try:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(1200):
                try:
                    session.get(f"http://127.0.0.1:{port}/health", timeout=20)
                    break
                except requests.ConnectionError:
                    time.sleep(0.1)
            # nothing, a part of the headers, a part of the body; some more comes, but never the end
            head = b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            for begun in (b"", b"", b"P", head + b"\r\nevent="):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.sendall(begun)
                slow.append(connection)
            for connection in slow[2:]:
                connection.sendall(b"e")
            assert session.get(f"http://127.0.0.1:{port}/health", timeout=60).status_code == 200
    finally:
        for connection in slow:
            connection.close()
        process.terminate()
        process.wait(30)
    assert process.returncode == 0


def test_every_page_that_a_portal_may_show_is_tried(services: Services) -> None:
    """The tests of two portals and the fuzzing go over PLACEMENTS: a page that is not there has no address."""
    assert {one.page for one in PLACEMENTS} <= {"lead", "guide", "visit", "board", "form", "worker"}
    assert all(isinstance(one, Placement) for one in PLACEMENTS)


def test_requests_leave_by_four_modules_and_to_their_own_addresses() -> None:
    """Whatever address stands in a card, a playbook or an answer: nobody else has anything to send a request with."""
    sending = re.compile(
        r"^\s*(import|from) (requests|aiohttp|urllib3|httpx|http\.client|urllib\.request|fast_bitrix24)\b"
        r"|^\s*from b24app\.bitrix import .*\bwire\b",
        re.MULTILINE,
    )
    found = {
        str(file.relative_to(ROOT))
        for folder in ("b24app", "install", "robots", "handlers")
        for file in (ROOT / folder).rglob("*.py")
        if sending.search(file.read_text("utf-8")) and file.name != "demo.py"
    }
    modules = {"b24app/bitrix/oauth.py", "b24app/bitrix/rest.py", "b24app/bitrix/bulk.py", "b24app/sms/gateway.py"}
    assert found - {"b24app/bitrix/wire.py"} == modules
