"""The whole chain that no vendor has, as people see it: a missed call ends with a measurer's checklist and an SMS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FrameLocator, Page, expect, sync_playwright

from .office import ANNA
from .shop import EGOR, MEASUREMENT, ZONE, Shop

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SHOWN = "iframe.frame:not([aria-hidden])"
SECONDS = 60_000
KINDS = "UF_CRM_B24_CLIENT_TYPE"


@pytest.fixture
def page(shop: Shop) -> Iterator[Page]:
    """The portal in Anna's browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1500, "height": 950}, base_url=shop.portal.url, locale="ru-RU")
        opened = context.new_page()
        opened.goto("/crm/lead/")
        opened.get_by_label("От чьего имени действовать").select_option(str(ANNA))
        yield opened
        context.close()
        browser.close()


def tab_of(page: Page, lead_id: int) -> FrameLocator:
    page.goto(f"/crm/lead/details/{lead_id}/")
    page.get_by_role("button", name="Замер", exact=True).click()
    return page.frame_locator(SHOWN).last


def accessible(page: Page, shop: Shop) -> None:
    """Holds every page of ours that is shown to axe's rules."""
    frames = [one for one in page.frames if one.url.startswith(shop.office.url)]
    assert frames
    for frame in frames:
        found = Axe().run(frame)  # type: ignore[arg-type]
        assert found.violations_count == 0, found.generate_report()


def qualified(shop: Shop, lead_id: int) -> None:
    """Anna learns name, subject, kind of client and e-mail, and the lead is «Клиент наш»."""
    fields = shop.portal.result("crm.item.fields", {"entityTypeId": 1, "useOriginalUfNames": "Y"})["fields"]
    kind = next(row["ID"] for row in fields[KINDS]["items"] if row["VALUE"] == "Конечный клиент")
    email = {"typeId": "EMAIL", "valueType": "WORK", "value": "olga@example.ru"}
    known = {"name": "Ольга", "UF_CRM_B24_THEME": "Угловая кухня", KINDS: kind}
    number = {"typeId": "PHONE", "valueType": "WORK", "value": shop.phone}
    shop.fill(lead_id, **known, fm=[number, email], UF_CRM_B24_PRELIMINARY_SUM="250000|RUB", stageId="IN_PROCESS")


def test_k1_to_k33_from_a_missed_call_to_the_measurers_checklist_and_the_clients_sms(page: Page, shop: Shop) -> None:
    shop.phone = "+79161110077"
    lead_id = int(shop.portal.missed_call(shop.phone)["lead_id"])
    shop.office.settle()
    assert shop.office.responsible(lead_id) == ANNA
    assert len(shop.tasks(lead_id, "Вам необходимо связаться с клиентом по телефону № +7 916 111-00-77")) == 1

    qualified(shop, lead_id)
    (task,) = shop.open_tasks(lead_id, "Отправить каталог и КП")
    letter = {"entity_type_id": 1, "entity_id": lead_id, "subject": "КП", "files": ["КП.pdf"], "user_id": ANNA}
    shop.portal.control("POST", "letters", letter)
    shop.complete(task)
    lead = shop.office.lead(lead_id)
    assert lead is not None
    assert lead["stageId"] == "B24_OFFER_SENT", "closing the task moved the lead"
    shop.fill(lead_id, stageId=MEASUREMENT)
    assert len(shop.open_tasks(lead_id, "Выяснить вопросы и возражения")) == 1

    tab = tab_of(page, lead_id)
    expect(tab.get_by_text("Заполните адрес")).to_be_visible()
    tab.locator("#address").fill("Москва, Мира, 5")
    tab.get_by_role("button", name="Записать адрес").click()
    tab = page.frame_locator(SHOWN).last
    expect(tab.locator(".slot")).to_have_count(10)
    for day in (shop.day(1), shop.day(2), datetime.now(ZONE)):  # the client wants a later day
        tab.locator(f"input[name=day][value='{day.weekday()}']").check()
    tab.locator("#strict").check()
    first = shop.day(3)
    expect(tab.locator(".slot").first).to_contain_text(f"{first:%d.%m}")
    expect(tab.locator(".slot").first).to_contain_text("3 ч работы")
    tab.get_by_role("button", name="Почему нет других").click()
    expect(tab.locator("#why")).to_contain_text("клиент просил не в этот день")
    accessible(page, shop)
    tab.locator(".slot [data-take=hold]").first.click()
    held = page.frame_locator(SHOWN).last.locator("#held")
    expect(held).to_contain_text("ещё 14 мин")
    held.get_by_role("button", name="Записать").click()
    tab = page.frame_locator(SHOWN).last
    expect(tab.get_by_text("ждёт подтверждения").or_(tab.get_by_text("записан"))).to_be_visible()
    shop.office.settle()
    assert len(shop.open_tasks(lead_id, "Подтвердить замер")) == 1
    assert len(shop.entries(lead_id)) == 1

    tab = tab_of(page, lead_id)
    tab.get_by_role("button", name="Клиент подтвердил").click()
    tab = page.frame_locator(SHOWN).last
    expect(tab.get_by_text("подтверждён", exact=True)).to_be_visible()
    accessible(page, shop)
    shop.office.settle()
    visit = shop.visits(lead_id)[0]
    (task,) = shop.open_tasks(lead_id, "Замер ")
    assert task["responsible_id"] == visit["measurer_id"]
    assert "250000 RUB" in task["description"]
    assert "Никого нет дома" in [one["title"] for one in task["checklist"]]
    (message,) = shop.messages()
    assert f"{visit['starts_at'].astimezone(ZONE):%d.%m}" in message
    assert "Замер бесплатный" in message
    assert shop.open_tasks(lead_id, "Подтвердить замер") == []


def test_k21_k22_k28_the_address_is_asked_for_first_and_the_tab_books_moves_and_cancels(page: Page, shop: Shop) -> None:
    lead_id = shop.lead(UF_CRM_B24_ADDRESS="")
    tab = tab_of(page, lead_id)
    expect(tab.get_by_text("Заполните адрес")).to_be_visible()
    expect(tab.locator("#times")).to_be_hidden()
    tab.locator("#address").fill("Москва, Мира, 7")
    tab.locator("#address").press("Enter")
    tab = page.frame_locator(SHOWN).last
    tab.locator(".slot [data-take=book]").first.click(timeout=SECONDS)
    expect(page.frame_locator(SHOWN).last.locator("#agreed")).to_be_visible()
    shop.office.settle()
    (first,) = shop.visits(lead_id)
    assert first["address"] == "Москва, Мира, 7"
    tab = tab_of(page, lead_id)
    tab.locator(".slot [data-take=book]").last.click(timeout=SECONDS)
    expect(page.frame_locator(SHOWN).last.get_by_text("Как договаривались")).to_be_visible()
    shop.office.settle()
    newest, former = shop.visits(lead_id)
    assert (newest["round"], former["state"]) == (2, "moved")
    tab = tab_of(page, lead_id)
    tab.locator("summary", has_text="Отменить замер").click()
    tab.locator("#reason").fill("Клиент передумал")
    tab.locator("#cancel button").click()
    expect(page.frame_locator(SHOWN).last.locator("#agreed")).to_have_count(0)
    shop.office.settle()
    visit = shop.visits(lead_id)[0]
    assert (visit["state"], visit["reason"]) == ("cancelled", "Клиент передумал")
    assert shop.entries(lead_id) == []
    assert shop.card(lead_id) == (None, None)


def test_k26_the_board_opens_from_the_menu_and_moves_a_visit_by_hand(page: Page, shop: Shop) -> None:
    lead_id = shop.lead(title="Кухня на графике")
    start = shop.day(5)
    shop.fill(lead_id, UF_CRM_B24_MEASURE_AT=start.isoformat(), UF_CRM_B24_MEASURER=EGOR)
    page.goto("/crm/lead/")
    page.get_by_role("button", name="Развернуть пункты приложений").click()
    page.get_by_role("link", name="График замеров").click()
    board = page.frame_locator(SHOWN).last
    board.locator("#date").fill(str(start.date()), timeout=SECONDS)
    event = board.locator(".ec-event", has_text="Кухня на графике").first
    expect(event).to_be_visible()
    event.click()
    expect(board.locator("#details")).to_contain_text("ждёт подтверждения")
    later = start + timedelta(hours=2)
    board.locator("#move-at").fill(f"{later:%Y-%m-%dT%H:%M}")
    board.locator("#move button[type=submit]").click()
    expect(board.locator("#said")).to_contain_text("Замер перенесён")
    shop.office.settle()
    newest, former = shop.visits(lead_id)
    assert (newest["starts_at"], newest["state"], former["state"]) == (later, "confirming", "moved")
    assert shop.card(lead_id) == (EGOR, later)


def test_k26_the_board_opens_from_the_calendar_and_from_the_card(page: Page, shop: Shop) -> None:
    lead_id = shop.lead()
    tab = tab_of(page, lead_id)
    tab.get_by_role("button", name="График замеров").click()
    expect(page.frame_locator(SHOWN).last.get_by_role("heading", name="Общий график замеров")).to_be_visible()
    page.goto(f"/company/personal/user/{EGOR}/calendar/")
    page.get_by_role("button", name="График замеров").click()
    board = page.frame_locator("iframe[title='График замеров']")
    expect(board.get_by_role("heading", name="Общий график замеров")).to_be_visible()
