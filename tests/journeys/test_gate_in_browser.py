"""The gate as a manager meets it in Chromium: the card goes back, the form opens by itself, Save makes the move."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from .office import ANNA, Office, new_phone, running_office

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SHOWN = "iframe.frame:not([aria-hidden])"


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office whose portal has the kitchen shop's process."""
    with running_office(tmp_path_factory.mktemp("kitchen-page"), "--no-limits") as office:
        command = [sys.executable, "-m", "b24app", "--config", str(office.config), "apply"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        office.at_work(ANNA)
        yield office


@pytest.fixture
def page(kitchen: Office) -> Iterator[Page]:
    """The portal in Anna's browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(
            viewport={"width": 1500, "height": 950}, base_url=kitchen.portal.url, locale="ru-RU"
        )
        opened = context.new_page()
        opened.goto("/crm/lead/")
        opened.get_by_label("От чьего имени действовать").select_option(str(ANNA))
        yield opened
        context.close()
        browser.close()


def lead_of(kitchen: Office) -> int:
    phone = [{"typeId": "PHONE", "valueType": "WORK", "value": new_phone()}]
    made = kitchen.portal.create_item(1, {"title": "Кухня Ольги", "assignedById": ANNA, "fm": phone}, user_id=ANNA)
    kitchen.settle()
    return int(made["id"])


def test_k12_k13_a_dragged_card_goes_back_and_the_form_opens_by_itself_and_makes_the_move(
    page: Page, kitchen: Office
) -> None:
    lead = lead_of(kitchen)
    expect(page.frame_locator("iframe.frame[aria-hidden]").locator("#worker")).to_have_count(1)
    kitchen.until(lambda: asked_where(kitchen), "the hidden page listens")
    card = page.locator(f'[data-stage="NEW"] a[href="/crm/lead/details/{lead}/"]').first
    card.drag_to(page.locator('[data-stage="IN_PROCESS"]'))
    form = page.frame_locator(SHOWN).last
    expect(form.get_by_role("heading", name="Что нужно для стадии «Клиент наш»")).to_be_visible()
    kitchen.settle()
    found = kitchen.lead(lead)
    assert found is not None
    assert found["stageId"] == "NEW"
    form.get_by_label("Имя клиента").fill("Ольга")
    form.get_by_label("Тема обращения").fill("Угловая кухня")
    form.get_by_label("Тип клиента").select_option(label="Конечный клиент")
    form.get_by_role("button", name="Сохранить и перейти на «Клиент наш»").click()
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Клиент наш».")
    expect(page.locator(SHOWN)).to_have_count(0)
    kitchen.settle()
    found = kitchen.lead(lead)
    assert found is not None
    assert found["stageId"] == "IN_PROCESS"  # our gate saw the move and let it pass
    titles = [task["title"] for task in kitchen.tasks_of(lead)]
    assert "Отправить каталог и КП" in titles
    assert "Заполните e-mail клиента" in titles


def test_k12_the_notices_link_opens_the_same_form_over_what_the_manager_sees(page: Page, kitchen: Office) -> None:
    lead = lead_of(kitchen)
    kitchen.portal.change_item(1, lead, {"stageId": "IN_PROCESS"}, user_id=ANNA)
    kitchen.settle()
    (notice,) = kitchen.notices_of(ANNA, f"/crm/lead/details/{lead}/")
    link = notice.split("[URL=/marketplace/view/", 1)[1].split("]", 1)[0]
    page.goto(f"/marketplace/view/{link}")
    form = page.frame_locator(SHOWN).last
    expect(form.get_by_role("heading", name="Что нужно для стадии «Клиент наш»")).to_be_visible()
    assert form.locator(".field .label").all_inner_texts() == ["Имя клиента", "Тема обращения", "Тип клиента"]


def asked_where(kitchen: Office) -> bool:
    """Tells whether Anna's hidden page has asked for its channel."""
    entries = kitchen.portal.ledger(0, "request")
    return any(one["method"] == "pull.application.config.get" and one["user_id"] == ANNA for one in entries)
