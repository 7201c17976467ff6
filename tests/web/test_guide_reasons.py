"""The tab where every failing stage says its reason by itself: a button for each, and nothing more is asked (ST-12)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from b24app.services import Services
from sandbox.client import Sandbox
from tests.web.conftest import accessible, card_of, frame_of, new_lead, serving

pytestmark = pytest.mark.usefixtures("applied")


@pytest.fixture(scope="module")
def served(sandbox: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The application with the recommended kitchen playbook."""
    folder = tmp_path_factory.mktemp("reasons")
    with serving(sandbox, redis_url, folder, "playbooks/kitchen_recommended.toml") as services:
        yield services


def test_st12_a_client_is_declined_by_the_stage_that_says_why(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox)
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_role("button", name="Что делать").click()
    tab = frame_of(page)
    expect(tab.get_by_role("heading", name="Клиент отказался")).to_be_visible()
    buttons = tab.locator("section", has=tab.get_by_role("heading", name="Клиент отказался")).get_by_role("button")
    assert buttons.all_inner_texts() == ["Не наш клиент", "Нет связи", "Цена или условия", "Другой поставщик"]
    accessible(page, served)
    tab.get_by_role("button", name="Цена или условия").click()
    expect(tab.get_by_role("heading", name="Стадия «Цена или условия»")).to_be_visible()
    assert card_of(sandbox, lead)["stageId"] == "B24_TERMS"
