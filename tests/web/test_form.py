"""The quick form in a real Chromium inside the portal: by the notice's link, by itself, by the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import sqlalchemy as sa
from playwright.sync_api import Browser, FrameLocator, Page, expect

from b24app.services import Services
from b24app.store import schema
from sandbox.client import Sandbox
from tests.web.conftest import accessible, card_of, form_link, frame_of, new_lead, press

pytestmark = pytest.mark.usefixtures("applied")

MANAGER = 4
FILLED = {"name": "Иван", "UF_CRM_B24_THEME": "Угловая кухня", "fm": [{"typeId": "EMAIL", "value": "i@example.com"}]}


def opened(page: Page, sandbox: Sandbox, lead: int, to: str, stage: str) -> FrameLocator:
    page.goto(form_link(sandbox, lead, to))
    form = frame_of(page)
    expect(form.get_by_role("heading", name=f"Что нужно для стадии «{stage}»")).to_be_visible()
    return form


def kind_of_client(sandbox: Sandbox, text: str) -> str:
    fields = sandbox.result("crm.item.fields", {"entityTypeId": 1, "useOriginalUfNames": "Y"})["fields"]
    return next(str(row["ID"]) for row in fields["UF_CRM_B24_CLIENT_TYPE"]["items"] if row["VALUE"] == text)


def our_lead(sandbox: Sandbox, **fields: Any) -> int:
    """A lead on «Клиент наш» with what that stage asks for."""
    lead = new_lead(sandbox, **{**FILLED, "UF_CRM_B24_CLIENT_TYPE": kind_of_client(sandbox, "Дизайнер"), **fields})
    sandbox.change_item(1, lead, {"stageId": "IN_PROCESS"})
    return lead


def test_k12_k13_the_link_opens_exactly_the_missing_fields_and_save_makes_the_move(
    page: Page, sandbox: Sandbox, served: Services
) -> None:
    lead = new_lead(sandbox)
    form = opened(page, sandbox, lead, "client", "Клиент наш")
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
    assert str(card["UF_CRM_B24_CLIENT_TYPE"]) == kind_of_client(sandbox, "Дизайнер")
    expect(page.locator("iframe.frame:not([aria-hidden])")).to_have_count(0)  # the slider closed


def test_k12_the_form_is_filled_in_and_saved_by_the_keyboard_alone(page: Page, sandbox: Sandbox) -> None:
    lead = new_lead(sandbox, name="Пётр")
    form = opened(page, sandbox, lead, "client", "Клиент наш")
    expect(form.get_by_label("Тема обращения")).to_be_focused()  # what is filled in already is not asked for
    page.keyboard.type("Прямая кухня")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Клиент наш».")
    card = card_of(sandbox, lead)
    assert (card["stageId"], card["name"], card["UF_CRM_B24_THEME"]) == ("IN_PROCESS", "Пётр", "Прямая кухня")


def test_k12_what_is_still_missing_is_named_and_nothing_moves(page: Page, sandbox: Sandbox) -> None:
    lead = new_lead(sandbox)
    form = opened(page, sandbox, lead, "client", "Клиент наш")
    form.get_by_label("Имя клиента").fill("Иван")
    form.get_by_role("button", name="Сохранить и перейти").click()
    told = "Введённое сохранено. Для стадии «Клиент наш» не хватает: «Тема обращения», «Тип клиента»."
    expect(form.get_by_role("alert")).to_have_text(told)
    card = card_of(sandbox, lead)
    assert (card["stageId"], card["name"]) == ("NEW", "Иван")


def test_k16_what_is_no_address_is_marked_and_not_written(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = our_lead(sandbox, fm=[])
    form = opened(page, sandbox, lead, "offer_sent", "Каталог и КП отправлены")
    form.get_by_label("E-mail").fill("иван at example")
    form.get_by_role("button", name="Сохранить и перейти").click()
    expect(form.get_by_role("alert")).to_have_text("Исправьте отмеченное.")
    expect(form.get_by_label("E-mail")).to_be_focused()
    expect(form.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_text("это не адрес e-mail")).to_be_visible()
    accessible(page, served)
    assert card_of(sandbox, lead)["fm"] == []


def test_what_went_wrong_on_the_way_to_the_application_is_said_in_words_and_nothing_typed_is_lost(
    browser: Browser, sandbox: Sandbox, served: Services
) -> None:
    lead = new_lead(sandbox)
    with browser.new_context(base_url=sandbox.url, locale="ru-RU") as context:
        page = context.new_page()  # one whose console may tell of requests that failed
        form = opened(page, sandbox, lead, "client", "Клиент наш")
        form.get_by_label("Имя клиента").fill("Иван")
        save = form.get_by_role("button", name="Сохранить и перейти")
        page.route("**/placement/save", lambda route: route.abort())
        save.click()
        expect(form.get_by_role("alert")).to_have_text("Приложение не отвечает: проверьте связь и повторите.")
        page.route("**/placement/save", lambda route: route.fulfill(status=502, body="<html>502</html>"))
        save.click()
        expect(form.get_by_role("alert")).to_have_text("Сервер ответил непонятно: обновите страницу.")
        page.unroute("**/placement/save")
        save.click()
        expect(form.get_by_role("alert")).to_contain_text("Введённое сохранено.")
    assert card_of(sandbox, lead)["name"] == "Иван"


def test_k17_evidence_is_confirmed_by_hand_with_a_reason_that_stays_in_the_card(
    page: Page, sandbox: Sandbox, served: Services
) -> None:
    lead = our_lead(sandbox)
    form = opened(page, sandbox, lead, "offer_sent", "Каталог и КП отправлены")
    form.get_by_text("Сделано иначе: подтвердить вручную").click()
    form.get_by_label("Как и когда это сделано").fill("да")
    form.get_by_role("button", name="Сохранить и перейти").click()
    expect(form.get_by_text("Напишите, как и когда это сделано")).to_be_visible()
    accessible(page, served)
    form.get_by_label("Как и когда это сделано").fill("Отдал [b]папку[/b] в шоуруме 22.11")
    form.get_by_role("button", name="Сохранить и перейти").click()
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Каталог и КП отправлены».")
    assert card_of(sandbox, lead)["stageId"] == "B24_OFFER_SENT"
    with served.database.read() as connection:
        table = schema.confirmations
        kept = connection.execute(sa.select(table).where(table.c.entity == f"lead:{lead}")).mappings().one()
    assert (kept["kind"], kept["user_id"]) == ("offer_sent", 1)
    (comment,) = [one for one in sandbox.state("comments") if int(one["entity_id"]) == lead]
    assert comment["text"] == "Подтверждено вручную: Отправленное КП. Отдал (b)папку(/b) в шоуруме 22.11"


def test_1c13_a_client_is_declined_only_with_a_reason(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = our_lead(sandbox)
    form = opened(page, sandbox, lead, "junk", "Отказ")
    form.get_by_role("button", name="Сохранить и перейти на «Отказ»").click()
    expect(form.get_by_role("alert")).to_contain_text("не хватает: «Причина отказа»")
    assert card_of(sandbox, lead)["stageId"] == "IN_PROCESS"
    accessible(page, served)
    reasons = form.get_by_label("Причина отказа").locator("option").all_inner_texts()
    assert "Ошиблись номером" in reasons
    form.get_by_label("Причина отказа").select_option(label="Не устроила цена")
    form.get_by_role("button", name="Сохранить и перейти на «Отказ»").click()
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Отказ».")
    assert card_of(sandbox, lead)["stageId"] == "JUNK"


@pytest.mark.parametrize(("choice", "theme"), [("Записать моё", "Моя тема"), ("Оставить как стало", "Чужая тема")])
def test_what_changed_meanwhile_is_shown_and_the_person_chooses(
    page: Page, sandbox: Sandbox, served: Services, choice: str, theme: str
) -> None:
    lead = new_lead(sandbox, name="Иван", UF_CRM_B24_CLIENT_TYPE=kind_of_client(sandbox, "Дилер"))
    form = opened(page, sandbox, lead, "client", "Клиент наш")
    form.get_by_label("Тема обращения").fill("Моя тема")
    sandbox.change_item(1, lead, {"UF_CRM_B24_THEME": "Чужая тема"}, MANAGER)
    form.get_by_role("button", name="Сохранить и перейти").click()
    expect(form.get_by_text("Пока форма была открыта, поле изменили. Теперь там «Чужая тема».")).to_be_visible()
    assert card_of(sandbox, lead)["UF_CRM_B24_THEME"] == "Чужая тема"
    accessible(page, served)
    expect(form.get_by_role("button", name="Оставить как стало")).to_be_focused()
    press(form.get_by_role("button", name=choice))
    form.get_by_role("button", name="Сохранить и перейти").click()
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Клиент наш».")
    assert card_of(sandbox, lead)["UF_CRM_B24_THEME"] == theme


def test_a_stage_that_changed_meanwhile_is_told_before_anything_moves(page: Page, sandbox: Sandbox) -> None:
    lead = our_lead(sandbox, stageId="NEW")
    sandbox.change_item(1, lead, {"stageId": "NEW"})
    form = opened(page, sandbox, lead, "client", "Клиент наш")
    sandbox.change_item(1, lead, {"stageId": "B24_MEASUREMENT"}, MANAGER)
    form.get_by_role("button", name="Сохранить и перейти").click()
    expect(form.get_by_role("alert")).to_contain_text("Карточку уже перевели на «Замер назначен».")
    assert card_of(sandbox, lead)["stageId"] == "B24_MEASUREMENT"


def test_hostile_names_are_text(page: Page, sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox, title='"><img src=x onerror=alert(1)>{{7*7}}')
    form = opened(page, sandbox, lead, "client", "Клиент наш")
    expect(form.get_by_role("link", name='"><img src=x onerror=alert(1)>{{7*7}}')).to_be_visible()
    assert form.locator("img").count() == 0


def test_k12_the_form_opens_by_itself_once_where_the_mover_has_the_portal_open(
    page: Page, sandbox: Sandbox, served: Services
) -> None:
    lead = new_lead(sandbox)
    page.goto("/crm/lead/")
    second = page.context.new_page()
    second.goto("/crm/deal/")
    # both hidden pages listen as soon as they asked where
    for one in (page, second):
        worker = one.frame_locator("iframe.frame[aria-hidden]")
        expect(worker.locator("#worker")).to_have_count(1)
        one.wait_for_timeout(1500)
    sandbox.result(
        "pull.application.event.add",
        {"COMMAND": "open_form", "PARAMS": {"entity": f"lead:{lead}", "to": "client"}, "USER_ID": 1},
        token=sandbox.token_of(1),
    )
    shown = "iframe.frame:not([aria-hidden])"
    second.wait_for_timeout(3000)
    assert page.locator(shown).count() + second.locator(shown).count() == 1
    form = frame_of(page if page.locator(shown).count() else second)
    expect(form.get_by_role("heading", name="Что нужно для стадии «Клиент наш»")).to_be_visible()
    expect(form.get_by_label("Имя клиента")).to_be_visible()


def test_the_hidden_page_asks_nothing_of_the_portal_and_is_refused_to_strangers(
    sandbox: Sandbox, served: Services
) -> None:
    url = f"{served.settings.app.public_url}/placement/worker"
    frame = sandbox.open(1, placement="PAGE_BACKGROUND_WORKER", send=False)
    before = sandbox.last
    answer = requests.post(frame["url"], data=frame["fields"], timeout=30)
    assert answer.status_code == 200
    assert sandbox.ledger(before, "request") == []
    assert f"{sandbox.url}/api/v1/pull/" in answer.text
    assert requests.post(url, data={**frame["fields"], "APPLICATION_TOKEN": "x"}, timeout=30).status_code == 403


def saved(served: Services, passed: str, wish: dict[str, Any]) -> requests.Response:
    headers = {"Authorization": f"Bearer {passed}"}
    return requests.post(f"{served.settings.app.public_url}/placement/save", json=wish, headers=headers, timeout=30)


def pass_of(page_text: str) -> str:
    return page_text.split('data-pass="')[1].split('"')[0]


def test_a_stale_or_forged_frame_is_refused(sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox)
    options = {"form": "missing", "entity": f"lead:{lead}", "to": "client"}
    shown = sandbox.open(MANAGER, placement="REST_APP_URI", options=options)
    assert shown["status"] == 200
    mine, token = pass_of(shown["body"]), shown["fields"]["AUTH_ID"]
    wish = {
        "entity": f"lead:{lead}",
        "to": "client",
        "values": {"client_name": "Взломщик"},
        "base": {"client_name": []},
    }
    others = sandbox.token_of(5)
    assert saved(served, mine, {**wish, "token": others}).status_code == 403
    assert saved(served, mine + "x", {**wish, "token": token}).status_code == 403
    assert saved(served, mine, {**wish, "token": "stale"}).status_code == 403
    assert saved(served, mine, wish).status_code == 400
    assert saved(served, mine, {**wish, "token": token, "values": {"title": "x"}}).status_code == 400
    assert saved(served, mine, {**wish, "token": token, "entity": "contact:1"}).status_code == 400
    assert card_of(sandbox, lead)["name"] in ("", None)


def test_the_opener_writes_with_his_own_rights(sandbox: Sandbox, served: Services) -> None:
    lead = new_lead(sandbox, assignedById=5)
    options = {"form": "missing", "entity": f"lead:{lead}", "to": "client"}
    shown = sandbox.open(MANAGER, placement="REST_APP_URI", options=options)
    wish = {"entity": f"lead:{lead}", "to": "client", "token": shown["fields"]["AUTH_ID"]}
    wish |= {"values": {"client_name": "Иван"}, "base": {"client_name": []}}
    answer = saved(served, pass_of(shown["body"]), wish).json()
    assert answer["said"].startswith("Введённое сохранено.")
    assert card_of(sandbox, lead)["updatedBy"] == MANAGER
    sandbox.set_person(MANAGER, own_leads_only=True)
    try:
        refused = sandbox.open(MANAGER, placement="REST_APP_URI", options=options)
        assert refused["status"] == 403
        assert "У вас нет доступа" in refused["body"]
        assert saved(served, pass_of(shown["body"]), wish).status_code == 403
    finally:
        sandbox.set_person(MANAGER, own_leads_only=False)


def test_a_link_without_a_form_opens_the_application(sandbox: Sandbox) -> None:
    shown = sandbox.open(1, placement="REST_APP_URI", options={})
    assert "Распределение обращений" in shown["body"]


def test_a_lost_hidden_page_is_bound_again(sandbox: Sandbox, served: Services) -> None:
    url = f"{served.settings.app.public_url}/placement/worker"
    said = {"error": "ERROR_PLACEMENT_LOADING_OVERTIME", "error_description": "too slow"}
    assert requests.post(url, data=said, timeout=30).status_code == 200
    with served.database.read() as connection:
        assert connection.execute(sa.select(schema.portals.c.facts)).scalar_one()["in_line"] is False
