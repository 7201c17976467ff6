"""The tab «Что делать» in a real Chromium inside the card."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from playwright.sync_api import FrameLocator, Page, Route, expect

from b24app.services import Services
from b24app.store import process_memory
from b24app.store.memory import Memory
from sandbox.client import Sandbox
from tests.web.conftest import accessible, card_of, frame_of, member_of, new_lead, press

pytestmark = pytest.mark.usefixtures("applied")

MANAGER = 4


def opened(page: Page, lead: int, stage: str) -> FrameLocator:
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_role("button", name="Что делать").click()
    tab = frame_of(page)
    expect(tab.get_by_role("heading", name=f"Стадия «{stage}»")).to_be_visible()
    return tab


def test_k9_the_tab_names_the_stage_its_hint_and_what_is_missing_for_the_next(
    page: Page, sandbox: Sandbox, served: Services
) -> None:
    lead = new_lead(sandbox, name="Иван <i>")
    tab = opened(page, lead, "Новый")
    expect(tab.get_by_text("Позвоните клиенту по задаче и узнайте, чего он хочет")).to_be_visible()
    expect(tab.get_by_text("Признак стадии: Менеджер увидел обращение и взял его в работу")).to_be_visible()
    expect(tab.get_by_role("heading", name="Дальше: «Клиент наш»")).to_be_visible()
    lines = [re.sub(r"\s+", " ", line) for line in tab.locator(".wants li").all_inner_texts()]
    assert lines == [
        "не хватает Тема обращения — По теме подбирается каталог: например, угловые кухни Заполнить",
        "не хватает Тип клиента — Конечному клиенту и дизайнеру отправляют разные КП Заполнить",
        "готово Имя клиента — Иван <i>",
    ]
    expect(tab.locator("li[aria-current=step]")).to_have_text("Новый")
    accessible(page, served)


def test_k12_one_button_a_missing_thing_opens_the_form_at_it_by_the_keyboard_and_the_tab_follows(
    page: Page, sandbox: Sandbox
) -> None:
    lead = new_lead(sandbox)
    tab = opened(page, lead, "Новый")
    assert tab.locator(".wants button").all_inner_texts() == ["Заполнить"] * 3
    press(tab.get_by_role("button", name="Заполнить: Тема обращения"))
    form = frame_of(page)
    theme, name = (form.get_by_role("textbox", name=label) for label in ("Тема обращения", "Имя клиента"))
    expect(theme).to_be_focused()  # no button of the tab: those have these words in their names too
    page.keyboard.type("Угловая кухня")
    expect(theme).to_have_value("Угловая кухня")
    page.keyboard.press("Shift+Tab")
    expect(name).to_be_focused()
    page.keyboard.type("Иван")
    expect(name).to_have_value("Иван")
    form.get_by_label("Тип клиента").select_option(label="Дилер")
    press(form.get_by_label("Тип клиента"), "Tab")
    page.keyboard.press("Enter")
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Клиент наш».")
    expect(frame_of(page).get_by_role("heading", name="Стадия «Клиент наш»")).to_be_visible()


def test_a_double_click_opens_one_form(page: Page, sandbox: Sandbox) -> None:
    lead = new_lead(sandbox)
    opened(page, lead, "Новый").get_by_role("button", name="Заполнить: Тема обращения").dblclick()
    expect(frame_of(page).get_by_role("textbox", name="Тема обращения")).to_be_focused()
    expect(page.locator(".layer-frame")).to_have_count(1)


def test_k14_the_memo_is_read_copied_and_printed(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox, name="Иван", UF_CRM_B24_THEME="Угловая кухня")
    sandbox.change_item(1, lead, {"stageId": "IN_PROCESS"})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab = opened(page, lead, "Клиент наш")
    expect(tab.get_by_role("heading", name="Отправить каталог и КП", exact=True)).to_be_visible()
    expect(tab.get_by_role("listitem").filter(has_text="Вложить КП в письмо")).to_be_visible()
    picture = tab.get_by_role("img", name="Памятка: Отправить каталог и КП")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 0
    expect(tab.get_by_text("В CRM ещё нет ни одного письма")).to_be_visible()  # K18
    accessible(page, served)
    press(tab.get_by_role("button", name="Скопировать скрипт: Отправить каталог и КП"))
    expect(tab.get_by_role("status")).to_have_text("Скрипт скопирован")
    script = "Добрый день, Иван! Вы обращались по теме «Угловая кухня»."
    assert str(page.evaluate("navigator.clipboard.readText()")).startswith(script)
    tab.locator("body").evaluate("() => { window.print = () => { window.printed = document.body.className; }; }")
    press(tab.get_by_role("button", name="Распечатать памятку: Отправить каталог и КП"))
    assert tab.locator("body").evaluate("() => window.printed") == "one-memo"


def test_a_button_waits_for_its_script(page: Page, sandbox: Sandbox) -> None:
    held: list[Route] = []
    page.route("**/guide.js*", lambda route: held.append(route))  # a slow network: the page is there, its script is not
    lead = new_lead(sandbox)
    tab = opened(page, lead, "Новый")
    button = tab.get_by_role("button", name="Заполнить и перейти")
    expect(button).to_be_disabled()
    [script] = held
    script.continue_()
    expect(button).to_be_enabled()
    button.click()
    expect(frame_of(page).get_by_role("textbox", name="Имя клиента")).to_be_focused()


def test_x12_the_manager_moves_on_himself_by_the_tabs_button(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox)
    sandbox.change_item(1, lead, {"stageId": "B24_OFFER_SENT"})
    tab = opened(page, lead, "Каталог и КП отправлены")
    expect(tab.get_by_text("Для перехода ничего заполнять не нужно.")).to_be_visible()
    press(tab.get_by_role("button", name="Перейти на «Замер назначен»"))
    expect(frame_of(page).get_by_role("heading", name="Стадия «Замер назначен»")).to_be_visible()
    card = card_of(sandbox, lead)
    assert (card["stageId"], card["movedBy"]) == ("B24_MEASUREMENT", 1)
    accessible(page, served)


def test_a_move_past_the_tab_is_told_and_not_made(page: Page, sandbox: Sandbox) -> None:
    lead = new_lead(sandbox)
    sandbox.change_item(1, lead, {"stageId": "B24_OFFER_SENT"})
    tab = opened(page, lead, "Каталог и КП отправлены")
    sandbox.change_item(1, lead, {"stageId": "IN_PROCESS"}, MANAGER)
    tab.get_by_role("button", name="Перейти на «Замер назначен»").click()
    expect(tab.get_by_role("alert")).to_contain_text("Карточку уже перевели на «Клиент наш».")
    assert card_of(sandbox, lead)["stageId"] == "IN_PROCESS"


def test_the_tab_lists_the_playbooks_tasks_with_their_state(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox)
    fields = {"TITLE": "Отправить <u>каталог</u>", "RESPONSIBLE_ID": MANAGER, "CREATED_BY": 1}
    task = int(sandbox.result("tasks.task.add", {"fields": fields}, token=sandbox.token_of(1))["task"]["id"])
    with served.database.write() as connection:
        memory = Memory(served.database, connection, member_of(sandbox), datetime.now(UTC))
        process_memory.add_task(memory, task_id=task, entity=f"lead:{lead}", rule="send_offer", stage="client", round=1)
    tab = opened(page, lead, "Новый")
    line = tab.get_by_role("listitem").filter(has_text="Отправить <u>каталог</u>")
    expect(line).to_contain_text("ждёт выполнения")
    tab.get_by_role("link", name="Отправить <u>каталог</u>").click()
    expect(page.get_by_role("dialog").filter(has_text="Отправить <u>каталог</u>").last).to_be_visible()


def test_1c13_the_tab_leads_to_declining_with_a_reason(page: Page, sandbox: Sandbox) -> None:
    lead = new_lead(sandbox)
    tab = opened(page, lead, "Новый")
    press(tab.get_by_role("button", name="Оформить отказ"))
    form = frame_of(page)
    expect(form.get_by_role("combobox", name="Причина отказа")).to_be_focused()


def test_a_stage_of_the_portals_own_and_a_finished_one_are_told(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox)
    sandbox.change_item(1, lead, {"stageId": "PROCESSED"})
    tab = opened(page, lead, "Обработан")
    expect(tab.get_by_text("Сценарий не знает этой стадии")).to_be_visible()
    accessible(page, served)
    sandbox.change_item(1, lead, {"stageId": "CONVERTED"})
    tab = opened(page, lead, "Качественный лид")
    expect(tab.get_by_text("Работа по этой карточке закончена.")).to_be_visible()
    expect(tab.get_by_role("button")).to_have_count(0)
    accessible(page, served)


def test_a_deal_without_a_process_has_no_hints(page: Page, sandbox: Sandbox, served: Services) -> None:
    deal = int(sandbox.create_item(2, {"title": "Сделка"})["id"])
    page.goto(f"/crm/deal/details/{deal}/")
    page.get_by_role("button", name="Что делать").click()
    expect(frame_of(page).get_by_text("Для этих карточек подсказок пока нет")).to_be_visible()
    accessible(page, served)


def frame(sandbox: Sandbox, lead: int, placement: str, language: str, **options: Any) -> str:
    """Returns the page as a person with that language gets it."""
    asked = sandbox.open(1, placement=placement, options={"ID": str(lead), **options}, send=False)
    url = asked["url"].replace("LANG=ru", f"LANG={language}")
    answer = requests.post(url, data=asked["fields"], timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_every_word_of_ours_is_english_for_people_who_read_english(sandbox: Sandbox) -> None:
    lead = new_lead(sandbox, title="Kitchen")
    for shown in (
        frame(sandbox, lead, "CRM_LEAD_DETAIL_TAB", "en"),
        frame(sandbox, lead, "REST_APP_URI", "en", form="missing", entity=f"lead:{lead}", to="client"),
    ):
        stages = ("Новый", "Клиент наш", "Каталог и КП отправлены", "Замер назначен", "Качественный лид")
        fields = ("Тема обращения", "Тип клиента", "Конечный клиент", "Дизайнер", "Дилер")
        for name in (*stages, *fields):  # labels, values and stages are the portal's own
            shown = shown.replace(name, "")
        assert re.findall(r"[а-яё]+", shown, re.IGNORECASE) == []


def test_somebody_who_may_not_see_the_card_sees_nothing_of_it(sandbox: Sandbox) -> None:
    lead = new_lead(sandbox, title="Тайна", assignedById=5)
    sandbox.set_person(MANAGER, own_leads_only=True)
    try:
        shown = sandbox.open(MANAGER, placement="CRM_LEAD_DETAIL_TAB", options={"ID": str(lead)})
    finally:
        sandbox.set_person(MANAGER, own_leads_only=False)
    assert shown["status"] == 403
    assert "Тайна" not in shown["body"]


def test_a_picture_of_the_playbook_is_served_by_us_and_no_other_file(sandbox: Sandbox, served: Services) -> None:
    address = f"{served.settings.app.public_url}/picture/"
    picture = requests.get(address + "offer.svg", timeout=30)
    assert picture.headers["Content-Type"].startswith("image/svg+xml")
    assert "default-src 'none'" in picture.headers["Content-Security-Policy"]
    assert [
        requests.get(address + name, timeout=30).status_code for name in ("kitchen.toml", "..%2Fpyproject.toml")
    ] == [
        404,
        404,
    ]
