"""Our pages in a real Chromium, in the frame of a real sandbox portal: installation, main page, the tab in a card."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright
from werkzeug.serving import BaseWSGIServer, make_server

from b24app import config
from b24app.services import Services, build
from b24app.store.memory import Memory
from b24app.store.portals import portal_of
from b24app.web import create_app
from sandbox.client import Sandbox
from tests.web.conftest import CATALOGUE, SECRET

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
CARD = {
    "title": {"ru": "Пропущенный звонок", "en": "Missed call"},
    "chosen": {"id": 5, "name": "Вера <img src=x onerror=alert(1)>"},
    "rule": {"ru": "по очереди среди свободных", "en": "in turn among the free"},
    "lines": [{"user_id": 6, "name": "Глеб", "free": False, "why": {"ru": "на перерыве", "en": "on a break"}}],
}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.start("--no-limits") as running:
        yield running


@pytest.fixture(scope="module")
def served(sandbox: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The application over HTTP, its card on the portal filled in, not installed yet."""
    folder: Path = tmp_path_factory.mktemp("web")
    servers: list[BaseWSGIServer] = []

    def answer(environ: dict[str, object], start_response: object) -> object:
        return application(environ, start_response)

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    servers.append(server)
    public_url = f"http://127.0.0.1:{server.server_port}"
    known = {"host": sandbox.url.removeprefix("http://"), "client_id": sandbox.client_id}
    settings = config.Settings.model_validate(
        {
            "app": {"public_url": public_url, "secret_key": SECRET},
            "bitrix24": {"oauth_url": sandbox.ready["oauth_url"], "js_url": f"{sandbox.url}/api/v1/"},
            "portals": [{**known, "client_secret": sandbox.ready["client_secret"]}],
            "database": {"url": f"sqlite:///{folder / 'b24app.db'}"},
        }
    )
    services = build(settings, CATALOGUE, redis_url)
    services.redis.flushdb()
    services.database.migrate()
    application = create_app(services)
    sandbox.application(handler=f"{public_url}/app", install=f"{public_url}/install")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield services
    server.shutdown()
    thread.join()
    server.server_close()
    services.dispose()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
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
    return page.frame_locator("iframe.frame").last


def accessible(page: Page, services: Services) -> None:
    """Holds every frame of ours to axe's rules."""
    frame = next(one for one in page.frames if one.url.startswith(services.settings.app.public_url))
    found = Axe().run(frame)  # type: ignore[arg-type]
    assert found.violations_count == 0, found.generate_report()


def member_of(sandbox: Sandbox) -> str:
    return str(sandbox.ready["member_id"])


def test_1_the_frame_installs_and_then_the_application_opens(page: Page, sandbox: Sandbox, served: Services) -> None:
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    expect(frame_of(page).get_by_role("heading", name="Распределение обращений")).to_be_visible(timeout=30_000)
    expect(frame_of(page).get_by_role("heading", name="Кто сейчас свободен")).to_be_visible()
    row = portal_of(served.database, member_of(sandbox))
    assert row is not None
    assert row.facts["in_line"] is True
    assert row.facts["rest_v3"] is True
    assert next(one for one in sandbox.state("applications") if one["client_id"] == sandbox.client_id)["installed"]
    assert not sandbox.ledger(kind="alarm")
    accessible(page, served)


def test_2_everything_is_registered_once_however_often_it_is_opened(sandbox: Sandbox, served: Services) -> None:
    before = sandbox.state("placements")
    for _ in range(2):
        fields = sandbox.open(1, send=False)
        answer = sandbox.session.post(f"{served.settings.app.public_url}/install", data=fields["fields"], timeout=60)
        assert answer.status_code == 200
        assert 'data-ready="1"' in answer.text
    assert sandbox.state("placements") == before


def test_3_the_main_page_says_who_is_free_and_why_not_the_others(page: Page, sandbox: Sandbox) -> None:
    now = datetime.now(UTC)
    absent = next(one for one in sandbox.state("people") if one["active"] and not one["head"] and one["id"] != 1)
    away = {"from": (now - timedelta(hours=2)).isoformat(), "to": (now + timedelta(hours=2)).isoformat()}
    sandbox.set_person(absent["id"], absent=away)
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    line = frame_of(page).get_by_role("listitem").filter(has_text=absent["last_name"])
    expect(line).to_contain_text("отсутствует", timeout=30_000)
    sandbox.set_person(absent["id"], absent=None)


def decide(services: Services, sandbox: Sandbox, entity: str, manager_id: int | None) -> None:
    with services.database.write() as connection:
        memory = Memory(services.database, connection, member_of(sandbox), datetime.now(UTC), delivery_id=1)
        card = CARD if manager_id else {**CARD, "chosen": None}
        memory.assign(
            key=f"intake:{entity}", entity=entity, cause="missed", queue="q", manager_id=manager_id, took_turn=True,
            card=card,
        )  # fmt: skip


def test_4_a_waiting_lead_is_distributed_by_the_keyboard_alone(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = sandbox.create_item(1, {"title": "Ждёт"})
    number = int(lead.get("id") or lead["item"]["id"])
    decide(served, sandbox, f"lead:{number}", None)
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    button = frame_of(page).get_by_role("button", name=f"Распределить Лид {number}")
    expect(button).to_be_visible(timeout=30_000)
    button.focus()
    page.keyboard.press("Enter")
    expect(frame_of(page).get_by_role("status").first).to_have_text("Распределяем")
    accessible(page, served)


def test_5_the_tab_in_the_card_tells_why(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = sandbox.create_item(1, {"title": "С решением"})
    number = int(lead.get("id") or lead["item"]["id"])
    decide(served, sandbox, f"lead:{number}", 5)
    page.goto(f"/crm/lead/details/{number}/")
    page.get_by_role("button", name="Распределение").click()
    frame = frame_of(page)
    expect(frame.get_by_role("heading", name="Кто и почему отвечает за клиента")).to_be_visible(timeout=30_000)
    expect(frame.get_by_text("на перерыве")).to_be_visible()
    assert frame.locator("img").count() == 0
    accessible(page, served)
