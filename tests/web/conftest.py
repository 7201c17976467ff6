"""An application with a small catalogue, its own SQLite file, and nobody at Redis: the doors must not care."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect, sync_playwright
from werkzeug.serving import make_server

from b24app import config
from b24app.bitrix.oauth import token_digest
from b24app.engine.declare import URGENT, Catalogue, EventCall, Handler, Property, Reply, Robot
from b24app.entities import ItemRef
from b24app.pages import PLACEMENTS
from b24app.process import form_path
from b24app.services import Services, build
from b24app.store import schema
from b24app.store.portals import install_portal
from b24app.web import create_app
from install.apply import apply
from sandbox.client import Sandbox

SECRET = "k" * 40
MEMBER = "0123456789abcdef0123456789abcdef"
TOKEN = "application-token-of-the-portal"
NOBODY_AT_REDIS = "redis://127.0.0.1:1/0"


def nothing(*_: Any) -> Any:
    return []


def lead_of(call: EventCall) -> str | None:
    return f"lead:{call.field_id}" if call.field_id else None


CATALOGUE = Catalogue(
    robots=(
        Robot(
            code="assign_manager",
            name={"ru": "Назначить свободного менеджера", "en": "Assign a free manager"},
            description={"ru": "Выбирает свободного", "en": "Chooses who is free"},
            properties=(
                Property("department", {"ru": "Отдел", "en": "Department"}, "int"),
                Property(
                    "order",
                    {"ru": "Порядок", "en": "Order"},
                    "select",
                    required=True,
                    default="in_turn",
                    options={
                        "in_turn": {"ru": "по очереди", "en": "in turn"},
                        "least_loaded": {"ru": "наименее занятый", "en": "least loaded"},
                    },
                ),
            ),
            returns=(Property("manager", {"ru": "Менеджер", "en": "Manager"}, "user"),),
            decision=dict,
            read=nothing,
            decide=nothing,
            act=nothing,
            answer=lambda decision: Reply({}, ""),
            priority=URGENT,
        ),
    ),
    handlers=(
        Handler(event="ONCRMLEADADD", entity=lead_of, decision=dict, read=nothing, decide=nothing, act=nothing),
        Handler(
            event="ONVOXIMPLANTCALLEND",
            entity=lambda call: f"call:{call.data['CALL_ID']}",
            decision=dict,
            read=nothing,
            decide=nothing,
            act=nothing,
        ),
    ),
    placements=PLACEMENTS,
)


def settings_of(tmp_path: Path, **portal: str) -> config.Settings:
    known = {"host": "portal.bitrix24.ru", "client_id": "local.1", "client_secret": "s3cr3t", **portal}
    return config.Settings.model_validate(
        {
            "app": {"public_url": "https://app.example.com", "secret_key": SECRET},
            "portals": [known],
            "database": {"url": f"sqlite:///{tmp_path / 'web.db'}"},
        }
    )


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = build(settings_of(tmp_path), CATALOGUE, NOBODY_AT_REDIS)
    made.database.migrate()
    yield made
    made.dispose()


@pytest.fixture
def portal(services: Services) -> str:
    install_portal(
        services.database,
        member_id=MEMBER,
        client_id="local.1",
        host="portal.bitrix24.ru",
        client_endpoint="https://portal.bitrix24.ru/rest/",
        application_token_digest=token_digest(SECRET, TOKEN),
        user_id=1,
    )
    return MEMBER


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def kept(services: Services) -> Callable[[], list[Mapping[str, Any]]]:
    """Returns what stands in the inbox."""

    def read() -> list[Mapping[str, Any]]:
        with services.database.read() as connection:
            return [dict(row) for row in connection.execute(sa.select(schema.deliveries)).mappings()]

    return read


def event(name: str = "ONCRMLEADADD", *, member: str = MEMBER, token: str = TOKEN, **data: str) -> str:
    auth = {"auth[member_id]": member, "auth[application_token]": token, "auth[access_token]": "canary-access"}
    return urlencode({"event": name, **data, **auth, "ts": "1760000000"})


LEAD_42 = {"data[FIELDS][ID]": "42"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


# the application in the frames of a sandbox portal, looked at with Chromium

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.start("--no-limits") as running:
        yield running


@contextmanager
def serving(sandbox: Sandbox, redis_url: str, folder: Path, playbook: str = "") -> Iterator[Services]:
    """Yields the application over HTTP, its card on the portal filled in, not installed yet."""

    def answer(environ: dict[str, object], start_response: object) -> object:
        return application(environ, start_response)

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    public_url = f"http://127.0.0.1:{server.server_port}"
    known = {"host": sandbox.url.removeprefix("http://"), "client_id": sandbox.client_id}
    settings = config.Settings.model_validate(
        {
            "app": {"public_url": public_url, "secret_key": SECRET},
            "bitrix24": {"oauth_url": sandbox.ready["oauth_url"], "js_url": f"{sandbox.url}/api/v1/"},
            "portals": [{**known, "client_secret": sandbox.ready["client_secret"]}],
            "database": {"url": f"sqlite:///{folder / 'b24app.db'}"},
            "playbook": {"path": playbook},
        }
    )
    services = build(settings, CATALOGUE, redis_url)
    services.redis.flushdb()
    services.database.migrate()
    application = create_app(services)
    sandbox.application(handler=f"{public_url}/app", install=f"{public_url}/install")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        services.dispose()


@pytest.fixture(scope="module")
def served(sandbox: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The application with the built-in playbook."""
    with serving(sandbox, redis_url, tmp_path_factory.mktemp("web")) as services:
        yield services


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, ended with the module: two at once in one process do not go together."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, sandbox: Sandbox) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, base_url=sandbox.url, locale="ru-RU")
    opened = context.new_page()
    trouble: list[str] = []
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    opened.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    yield opened
    context.close()
    assert trouble == []


def frame_of(page: Page) -> FrameLocator:
    """Returns the newest frame of an application that people see (the hidden worker's is none)."""
    return page.frame_locator("iframe.frame:not([aria-hidden])").last


def press(control: Locator, key: str = "Enter") -> None:
    """Presses a key at a control as soon as it works; Playwright waits for that before a click only."""
    expect(control).to_be_enabled()
    control.press(key)


def accessible(page: Page, services: Services) -> None:
    """Holds every frame of ours to axe's rules."""
    frames = [one for one in page.frames if one.url.startswith(services.settings.app.public_url)]
    assert frames
    for frame in frames:
        found = Axe().run(frame)  # type: ignore[arg-type]
        assert found.violations_count == 0, found.generate_report()


def member_of(sandbox: Sandbox) -> str:
    return str(sandbox.ready["member_id"])


@pytest.fixture(scope="module")
def applied(sandbox: Sandbox, served: Services) -> Services:
    """The application installed, and its playbook's process on the portal."""
    opened = sandbox.open(1)
    assert opened["status"] == 200, opened["body"]
    sandbox.finish_install()
    lines = list(apply(served, member_of(sandbox)))
    assert [line.text["ru"] for line in lines if line.state == "failed"] == []
    return served


def new_lead(sandbox: Sandbox, **fields: Any) -> int:
    """Returns the number of a new lead on its first stage."""
    return int(sandbox.create_item(1, {"title": "Кухня для Ивановых", **fields})["id"])


def card_of(sandbox: Sandbox, lead_id: int) -> dict[str, Any]:
    """Returns the lead as REST shows it to an administrator."""
    params = {"entityTypeId": 1, "id": lead_id, "useOriginalUfNames": "Y"}
    item: dict[str, Any] = sandbox.result("crm.item.get", params)["item"]
    return item


def form_link(sandbox: Sandbox, lead_id: int, to: str) -> str:
    """Returns the link that the notice carries."""
    return form_path(sandbox.client_id, ItemRef(1, lead_id), to)
