"""Our pages in a real Chromium, in the frame of a real sandbox portal: installation, main page, the tab in a card."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from b24app.services import Services
from b24app.store.memory import Memory
from b24app.store.portals import portal_of
from sandbox.client import Sandbox
from tests.web.conftest import accessible, frame_of, member_of, press

CARD = {
    "title": {"ru": "Пропущенный звонок", "en": "Missed call"},
    "chosen": {"id": 5, "name": "Вера <img src=x onerror=alert(1)>"},
    "rule": {"ru": "по очереди среди свободных", "en": "in turn among the free"},
    "lines": [{"user_id": 6, "name": "Глеб", "free": False, "why": {"ru": "на перерыве", "en": "on a break"}}],
}


def test_1_the_frame_installs_and_then_the_application_opens(page: Page, sandbox: Sandbox, served: Services) -> None:
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    expect(frame_of(page).get_by_role("heading", name="Распределение обращений")).to_be_visible()
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
    expect(line).to_contain_text("отсутствует")
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
    press(button)
    expect(frame_of(page).get_by_role("status").first).to_have_text("Распределяем")
    accessible(page, served)


def test_5_the_tab_in_the_card_tells_why(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = sandbox.create_item(1, {"title": "С решением"})
    number = int(lead.get("id") or lead["item"]["id"])
    decide(served, sandbox, f"lead:{number}", 5)
    page.goto(f"/crm/lead/details/{number}/")
    page.get_by_role("button", name="Распределение").click()
    frame = frame_of(page)
    expect(frame.get_by_role("heading", name="Кто и почему отвечает за клиента")).to_be_visible()
    expect(frame.get_by_text("на перерыве")).to_be_visible()
    assert frame.locator("img").count() == 0
    accessible(page, served)
