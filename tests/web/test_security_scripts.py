"""Words of strangers in a real Chromium: names, titles, addresses, reasons, a playbook of scripts stay words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from b24app.bitrix.commands import comment
from b24app.engine.journal import Journal
from b24app.entities import LEAD, ItemRef
from b24app.services import Services
from b24app.store import schema, visits
from b24app.store.alarms import raise_alarm
from b24app.store.memory import Memory
from install.apply import apply
from sandbox.client import Sandbox
from tests.web import board_stub
from tests.web.conftest import frame_of, member_of, serving

MARK = "Хитрый"
HOSTILE = (
    f"{MARK}<img src=x onerror=hacked()><svg/onload=hacked()></script><script>hacked()</script>"
    "[url=javascript:hacked()]тут[/url]{{ 7*7 }}&lt;b&gt;"
)
QUOTED = HOSTILE + "\"'><iframe src=javascript:hacked()>"
MANAGER, MEASURER = 4, 9
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", one => window.violations.push(one.violatedDirective));
"""
MADE = """() => [
    document.querySelectorAll("img[src=x], svg[onload], iframe, [onerror], [href^='javascript:']").length,
    [...document.querySelectorAll("script")].filter(one => !one.src).length,
    typeof window.hacked, window.violations,
]"""


@pytest.fixture(scope="module")
def served(sandbox: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The application with a playbook whose every explanation is hostile, applied to the portal."""
    folder = tmp_path_factory.mktemp("hostile")
    text = files("playbooks").joinpath("kitchen.toml").read_text("utf-8")
    text, count = re.subn(r'^((?:why|criterion|hint) = \{ ru = ")', rf"\g<1>{HOSTILE} ", text, flags=re.MULTILINE)
    assert count > 10
    text = text.replace('{ ru = "Дилер"', f'{{ ru = "Дилер {HOSTILE}"')
    playbook = folder / "playbook.toml"
    playbook.write_text(text, "utf-8")
    with serving(sandbox, redis_url, folder, str(playbook)) as services:
        opened = sandbox.open(1)
        assert opened["status"] == 200, opened["body"]
        sandbox.finish_install()
        assert [line.text["ru"] for line in apply(services, member_of(sandbox)) if line.state == "failed"] == []
        sandbox.set_person(MANAGER, name=QUOTED)
        sandbox.set_person(MEASURER, name=QUOTED)
        yield services


@pytest.fixture(scope="module")
def lead(sandbox: Sandbox, served: Services) -> int:
    """A lead of whom everything that is told comes from somebody hostile."""
    member_id, now = member_of(sandbox), datetime.now(UTC)
    values = {
        "title": QUOTED,
        "name": QUOTED,
        "UF_CRM_B24_ADDRESS": QUOTED,
        "comments": QUOTED,
        "assignedById": MANAGER,
    }
    number = int(sandbox.create_item(1, values)["id"])
    entity, words = f"lead:{number}", {"ru": QUOTED, "en": QUOTED}
    wish = {
        "member_id": member_id,
        "kind": "event",
        "code": "ONCRMLEADADD",
        "payload": {"note": QUOTED},
        "priority": 50,
    }
    delivery = served.inbox.record(entity=entity, **wish) or 0
    people: list[dict[str, Any]] = [{"user_id": MANAGER, "name": QUOTED, "free": False, "why": words}]
    card = {
        "title": words,
        "chosen": {"id": MANAGER, "name": QUOTED},
        "rule": words,
        "lines": people,
        "at": now.isoformat(),
    }
    with served.database.write() as connection:
        memory = Memory(served.database, connection, member_id, now, delivery)
        told = {"cause": "missed", "queue": "q", "took_turn": True, "phone": QUOTED[:30], "call_id": QUOTED[:120]}
        memory.assign(key="one", entity=entity, manager_id=MANAGER, card=card, **told)
        memory.assign(key="two", entity="lead:7777", manager_id=None, card={**card, "chosen": None}, **told)
        for hours in (24, 48):
            start = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)
            on = entity if hours == 24 else f"lead:{number + 1000}"
            wanted = visits.Wanted(on, QUOTED, "kitchen", MEASURER, start, start + timedelta(hours=3), address=QUOTED)
            visits.take(memory, wanted)
        Journal(served.inbox).write(connection, delivery, [comment(ItemRef(LEAD, number), QUOTED, marker="m")])
        failed = {"state": "failed", "reason": QUOTED, "finished_at": now}
        connection.execute(sa.update(schema.deliveries).values(failed).where(schema.deliveries.c.id == delivery))
    raise_alarm(served.database, member_id, "hostile", QUOTED, QUOTED)
    return number


@pytest.fixture
def page(page: Page) -> Page:
    page.add_init_script(WATCH)
    return page


def harmless(page: Page, services: Services) -> None:
    """Holds every frame of ours to having shown the words and made nothing of them."""
    frames = [one for one in page.frames if one.url.startswith(services.settings.app.public_url)]
    shown = [one for one in frames if MARK in one.locator("body").inner_text()]
    assert shown
    for frame in frames:
        assert frame.evaluate(MADE) == [0, 0, "undefined", []], frame.url
    for frame in shown:
        text = frame.locator("body").inner_text()
        assert "<img src=x onerror=hacked()>" in text
        assert "{{ 7*7 }}" in text


def test_the_main_page_and_the_story_of_a_lead(page: Page, sandbox: Sandbox, served: Services, lead: int) -> None:
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    frame = frame_of(page)
    expect(frame.get_by_role("heading", name="Кто сейчас свободен")).to_be_visible()
    harmless(page, served)
    frame.locator("button[data-kind=delivery]").first.click()
    expect(frame.locator("#story-lines h3").first).to_be_visible()
    harmless(page, served)


@pytest.mark.parametrize(
    ("tab", "heading"),
    [("Распределение", "Кто и почему отвечает за клиента"), ("Что делать", "Стадия «Новый»"), ("Замер", "Замер")],
)
def test_the_tabs_of_a_card(page: Page, sandbox: Sandbox, served: Services, lead: int, tab: str, heading: str) -> None:
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_role("button", name=tab, exact=True).click()
    expect(frame_of(page).get_by_role("heading", name=heading).first).to_be_visible()
    if tab == "Замер":
        expect(frame_of(page).locator(".slot").first).to_be_visible()
    harmless(page, served)


def test_the_form_with_its_list_of_values(page: Page, sandbox: Sandbox, served: Services, lead: int) -> None:
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_role("button", name="Что делать").click()
    frame_of(page).get_by_role("button", name=re.compile("Заполнить")).first.click()
    kinds = frame_of(page).locator("select", has_text=MARK).first
    expect(kinds).to_be_visible()
    assert "<img src=x onerror=hacked()>" in " ".join(kinds.locator("option").all_inner_texts())
    harmless(page, served)


def test_the_board_before_the_real_server(page: Page, sandbox: Sandbox, served: Services, lead: int) -> None:
    page.goto("/crm/lead/")
    page.get_by_role("button", name="Развернуть пункты приложений").click()
    page.get_by_role("link", name="График замеров").click()
    event = frame_of(page).locator(".ec-event", has_text=MARK).first
    expect(event).to_be_visible()
    event.click()
    expect(frame_of(page).get_by_role("dialog")).to_contain_text(MARK)
    harmless(page, served)


def test_the_board_whatever_the_server_says(browser: Browser) -> None:
    """Every text of the server's answers is hostile: titles, addresses, names, reasons, refusals."""
    answer = board_stub.company()

    def spoilt(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoilt(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [spoilt(inner, key) for inner in value]
        told = (
            "title",
            "address",
            "name",
            "measurer_name",
            "problem",
            "why",
            "when",
            "text",
            "state_name",
            "work_name",
        )
        return f"{value} {QUOTED}" if key in told and value else value

    with board_stub.serving() as stub:
        stub.board = lambda first, until: spoilt(answer)
        stub.change = lambda what, body: {"done": False, "said": QUOTED, "slots": []}
        context = browser.new_context(locale="ru-RU", viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.add_init_script(WATCH)
        page.clock.set_fixed_time(board_stub.NOW)
        page.goto(stub.url)
        expect(page.locator("#calendar[data-drawn][aria-busy=false]")).to_be_attached()
        page.locator("[data-visit='7']").click()
        expect(page.get_by_role("dialog")).to_contain_text(MARK)
        page.keyboard.press("Escape")
        page.locator("[data-replace]").first.click()
        expect(page.get_by_role("alert").filter(has_text=MARK).first).to_be_visible()
        assert page.evaluate(MADE) == [0, 0, "undefined", []]
        assert "<img src=x onerror=hacked()>" in page.locator("body").inner_text()
        context.close()
