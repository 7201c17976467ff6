"""«Что было» on the main page: with the page's pass, for administrators alone, without tokens or whole numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from b24app.pages import main
from b24app.pages.frame import Look
from b24app.services import Services
from b24app.store.memory import Memory
from b24app.web.gate import Passes, Visitor
from sandbox.client import Sandbox
from tests.web.conftest import MEMBER, accessible, frame_of, member_of

CARD = {
    "title": {"ru": "Пропущенный звонок +7 912 345-67-89", "en": "Missed call +7 912 345-67-89"},
    "chosen": {"id": 5, "name": "Вера <img src=x onerror=alert(1)>"},
    "rule": {"ru": "по очереди среди свободных", "en": "in turn among the free"},
    "lines": [{"user_id": 6, "name": "Глеб", "free": False, "why": {"ru": "на перерыве", "en": "on a break"}}],
}


def treated(services: Services, member_id: str, entity: str) -> int:
    """A lead that was distributed by a delivery that then failed; returns the delivery."""
    payload = {"event": "ONCRMLEADADD", "data": {"FIELDS": {"ID": "42"}}, "event_token": "canary-token"}
    id = services.inbox.record(
        member_id=member_id, kind="event", code="ONCRMLEADADD", entity=entity, payload=payload, priority=50
    )
    claimed = services.inbox.claim()
    assert claimed is not None
    with services.database.write() as connection:
        memory = Memory(services.database, connection, member_id, datetime.now(UTC), delivery_id=claimed.id)
        memory.assign(
            key=f"intake:{entity}", entity=entity, cause="missed", queue="q", manager_id=5, took_turn=True, card=CARD
        )
        reason = "нет прав: canary-token / no rights"
        services.inbox.write_back(connection, claimed, decision={"card": CARD}, decided_at=datetime.now(UTC))
        services.inbox.finish(connection, claimed, "failed", reason)
    assert id == claimed.id
    return id


def ask(client: FlaskClient, services: Services, wish: Any, *, admin: bool = True, language: str = "ru") -> Any:
    visitor = Visitor(MEMBER, 1, admin, language)
    headers = {"Authorization": f"Bearer {Passes(services.settings).issue(visitor)}"}
    return client.post("/app/story", json=wish, headers=headers)


def test_an_administrator_reads_what_happened(client: FlaskClient, services: Services, portal: str) -> None:
    id = treated(services, portal, "lead:42")
    answer = ask(client, services, {"kind": "lead", "number": " 42 "})
    assert answer.status_code == 200
    lines = answer.json["lines"]
    assert lines[0] == {"text": "Лид 42", "depth": 0}
    assert lines[1]["text"].endswith(f"Создан лид (ONCRMLEADADD) — НЕ УДАЛОСЬ (доставка {id})")
    said = "\n".join(line["text"] for line in lines)
    assert "Пропущенный звонок ***6789 → Вера" in said
    assert "почему: нет прав: ***" in said
    assert "canary" not in answer.text
    english = ask(client, services, {"kind": "delivery", "number": str(id)}, language="en")
    assert "FAILED" in english.text
    nothing = ask(client, services, {"kind": "lead", "number": "43"}).json["lines"]
    assert "ничего не известно" in nothing[0]["text"]


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer x.y.z", "Basic YTpi"])
def test_without_the_pages_pass_nothing_is_told(client: FlaskClient, portal: str, authorization: str) -> None:
    answer = client.post("/app/story", json={"kind": "lead", "number": "42"}, headers={"Authorization": authorization})
    assert answer.status_code == 403
    assert "error" in answer.json


def test_a_manager_is_told_nothing(client: FlaskClient, services: Services, portal: str) -> None:
    treated(services, portal, "lead:42")
    answer = ask(client, services, {"kind": "lead", "number": "42"}, admin=False)
    assert answer.status_code == 403
    assert "lines" not in answer.json


def test_another_portals_lead_is_unknown(client: FlaskClient, services: Services, portal: str) -> None:
    treated(services, portal, "lead:42")
    with services.database.write() as connection:
        memory = Memory(services.database, connection, "f" * 32, datetime.now(UTC), delivery_id=7)
        memory.assign(key="k", entity="lead:50", cause="missed", queue="q", manager_id=5, took_turn=True, card=CARD)
    lines = ask(client, services, {"kind": "lead", "number": "50"}).json["lines"]
    assert "ничего не известно" in lines[0]["text"]


@pytest.mark.parametrize(
    "wish",
    [None, [], {}, {"kind": "lead"}, {"kind": "lead", "number": 42}, {"kind": 1, "number": "42"},
     {"kind": "import", "number": "1"}, {"kind": "lead", "number": "42; DROP"}, {"kind": "call", "number": ""}],
)  # fmt: skip
def test_what_is_no_question_is_refused(client: FlaskClient, services: Services, portal: str, wish: Any) -> None:
    answer = ask(client, services, wish)
    assert answer.status_code == 400
    assert answer.json["error"]


@pytest.mark.parametrize("admin", [True, False])
def test_the_page_offers_it_to_administrators(services: Services, portal: str, admin: bool) -> None:
    id = treated(services, portal, "lead:42")
    shown = main.show(Look(services), portal, user_id=5, name="", admin=admin, people=None)
    for words in ('id="story-form"', f'data-kind="delivery" data-number="{id}"', 'data-kind="lead" data-number="42"'):
        assert (words in shown) is admin


def test_in_the_browser_it_is_read_with_the_keyboard(page: Page, sandbox: Sandbox, served: Services) -> None:
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    frame = frame_of(page)
    expect(frame.get_by_role("heading", name="Кто сейчас свободен")).to_be_visible()
    id = treated(served, member_of(sandbox), "lead:42")
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    number = frame.get_by_label("№", exact=True)
    number.fill("42")
    number.press("Enter")
    expect(frame.get_by_role("heading", name="Создан лид (ONCRMLEADADD) — НЕ УДАЛОСЬ")).to_be_visible()
    expect(frame.get_by_role("listitem").filter(has_text="— Глеб: на перерыве").last).to_be_visible()
    accessible(page, served)
    frame.get_by_role("button", name=f"Что было № {id}").click()
    expect(frame.get_by_role("heading", name=f"Доставка {id}", exact=True)).to_be_visible()
    number.fill("77")
    number.press("Enter")
    expect(frame.get_by_role("heading", name="Лид 77: приложению об этом ничего не известно.")).to_be_visible()
