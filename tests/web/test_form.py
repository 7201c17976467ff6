"""The quick form in a real Chromium inside the portal: by the notice's link, by itself, from the tab."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from b24app.services import Services
from sandbox.client import Sandbox
from tests.web.conftest import accessible, card_of, form_link, frame_of, new_lead

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("applied")]


def test_k12_k13_the_link_opens_exactly_the_missing_fields_and_save_makes_the_move(
    page: Page, sandbox: Sandbox, served: Services
) -> None:
    lead = new_lead(sandbox)
    page.goto(form_link(sandbox, lead, "client"))
    form = frame_of(page)
    expect(form.get_by_role("heading", name="Что нужно для стадии «Клиент наш»")).to_be_visible(timeout=30_000)
    assert form.locator(".field .label").all_inner_texts() == ["Имя клиента", "Тема обращения", "Тип клиента"]
    expect(form.get_by_text("Без имени нельзя обратиться к клиенту и подписать КП")).to_be_visible()
    accessible(page, served)
    form.get_by_label("Имя клиента").fill("Иван <b>Иванов</b>")
    form.get_by_label("Тема обращения").fill("Угловая кухня")
    form.get_by_label("Тип клиента").select_option(label="Дизайнер")
    form.get_by_role("button", name="Сохранить и перейти на «Клиент наш»").click()
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Клиент наш».")
    card = card_of(sandbox, lead)
    assert card["stageId"] == "IN_PROCESS"
    assert (card["name"], card["UF_CRM_B24_THEME"]) == ("Иван <b>Иванов</b>", "Угловая кухня")
