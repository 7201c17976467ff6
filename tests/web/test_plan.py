"""«План внедрения» in Chromium: an administrator looks, applies and takes back, by keyboard alone."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from b24app.services import Services
from sandbox.client import Sandbox
from tests.web.conftest import accessible, frame_of, press


def pressed(page: Page, name: str) -> None:
    press(frame_of(page).get_by_role("button", name=name, exact=True))


def shot(page: Page, name: str) -> None:
    folder = os.environ.get("B24APP_SCREENSHOTS")
    if folder:
        frame_of(page).locator("#plan-section").screenshot(path=str(Path(folder) / f"{name}.png"))


def test_the_administrator_plans_applies_and_takes_back_by_keyboard(
    page: Page, sandbox: Sandbox, served: Services
) -> None:
    sandbox.open(1)
    sandbox.finish_install()
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    section = frame_of(page).locator("#plan-section")
    expect(section).to_contain_text("ещё не внедрён")
    pressed(page, "Показать план")
    said = frame_of(page).locator("#plan-said")
    expect(said).to_contain_text("Изменений: 13")
    line = section.get_by_role("listitem").filter(has_text="Стадия лидов «Замер назначен»")
    expect(line).to_contain_text("добавится")
    accessible(page, served)
    shot(page, "plan")
    pressed(page, "Внедрить")
    expect(said).to_have_text("Готово.")
    expect(line).to_contain_text("сделано")
    expect(section).to_contain_text("внедрён на портале")
    accessible(page, served)
    shot(page, "applied")
    stages = [stage["name"] for stage in sandbox.state("stages")["1"]]
    assert "Замер назначен" in stages
    expect(frame_of(page).get_by_role("button", name="Убрать", exact=True)).to_be_disabled()
    press(frame_of(page).get_by_role("checkbox"), "Space")
    pressed(page, "Убрать")
    expect(said).to_have_text("Готово.")
    expect(frame_of(page).get_by_role("button", name="Убрать", exact=True)).to_be_disabled()
    assert "Замер назначен" not in [stage["name"] for stage in sandbox.state("stages")["1"]]
    accessible(page, served)


def test_what_a_person_has_to_decide_stands_out(page: Page, sandbox: Sandbox, served: Services) -> None:
    field = {"FIELD_NAME": "B24_THEME", "USER_TYPE_ID": "money", "LABEL": "<img src=x onerror=alert(1)>"}
    sandbox.result("crm.lead.userfield.add", {"fields": field})
    page.goto(f"/marketplace/app/{sandbox.client_id}/")
    pressed(page, "Внедрить")
    expect(frame_of(page).locator("#plan-said")).to_contain_text("Не всё получилось")
    line = frame_of(page).locator("#plan-lines .failed")
    expect(line).to_contain_text("UF_CRM_B24_THEME")
    accessible(page, served)


def test_a_manager_sees_no_plan(page: Page, sandbox: Sandbox, served: Services) -> None:
    body = sandbox.open(4)["body"]
    assert "Распределение обращений" in body
    assert "plan-apply" not in body
