"""The web process itself: gunicorn inside, answering over real connections, stopping when told."""

from __future__ import annotations

import multiprocessing
import socket
import time
from pathlib import Path

import requests

from b24app import config
from b24app.bitrix.oauth import token_digest
from b24app.services import build
from b24app.store.portals import install_portal, learn
from tests.web.conftest import CATALOGUE, FORM, LEAD_42, MEMBER, NOBODY_AT_REDIS, SECRET, TOKEN, event, settings_of


def serve(settings: config.Settings, port: int) -> None:
    from b24app.web import server

    server.serve(build(settings, CATALOGUE, NOBODY_AT_REDIS), "127.0.0.1", port)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_web_process_serves_and_ends_when_told(tmp_path: Path) -> None:
    settings, port = settings_of(tmp_path), free_port()
    services = build(settings, CATALOGUE, NOBODY_AT_REDIS)
    services.database.migrate()
    install_portal(
        services.database,
        member_id=MEMBER,
        client_id="local.1",
        host="portal.bitrix24.ru",
        client_endpoint="https://portal.bitrix24.ru/rest/",
        application_token_digest=token_digest(SECRET, TOKEN),
        user_id=1,
    )
    learn(services.database, MEMBER, {"in_line": True})
    services.dispose()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(settings, port))
    process.start()
    try:
        with requests.Session() as session:
            session.trust_env = False
            assert _health(session, port, process) == 200
            address = f"http://127.0.0.1:{port}/event"
            for _ in range(3):
                assert session.post(address, data=event(**LEAD_42), headers=FORM, timeout=10).text == "kept\n"
            # a body without its length comes in pieces
            pieces = (event(**LEAD_42).encode()[start : start + 50] for start in range(0, 400, 50))
            assert session.post(address, data=pieces, headers=FORM, timeout=10).status_code == 200
    finally:
        process.terminate()
        process.join(30)
    assert process.exitcode == 0


def _health(session: requests.Session, port: int, process: multiprocessing.process.BaseProcess) -> int:
    for _ in range(200):
        assert process.is_alive()
        try:
            return session.get(f"http://127.0.0.1:{port}/health", timeout=10).status_code
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the web process did not begin to serve")
