"""Every type of field in the form: filled in as a person does it in Chromium, written as the portal wants it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from b24app.services import Services
from sandbox.client import Sandbox
from tests.web.conftest import accessible, card_of, form_link, frame_of, new_lead, press, serving

pytestmark = pytest.mark.usefixtures("applied")

TYPES = {
    "words": "string", "story": "text", "whole": "integer", "broken": "double", "agreed": "boolean", "day": "date",
    "hour": "datetime", "price": "money", "person": "employee", "place": "address", "plan": "file", "site": "url",
}  # fmt: skip
SYSTEM = {"phone": "phone", "email": "email"}
REQUIRED = [*TYPES, "style", "styles", *SYSTEM]


def field(key: str, code: str, type: str, more: str = "") -> str:
    return f"""
[[lead.fields]]
key = "{key}"
code = "{code}"
type = "{type}"
name = {{ ru = "Поле {key}", en = "Field {key}" }}
{more}
"""


def playbook_text() -> str:
    straight, corner = '{ ru = "Прямая", en = "Straight" }', '{ ru = "Угловая", en = "Corner" }'
    values = f'values = [{{ key = "a", name = {straight} }}, {{ key = "b", name = {corner} }}]'
    fields = [field(key, f"UF_CRM_T_{key.upper()}", type) for key, type in TYPES.items()]
    fields += [field("style", "UF_CRM_T_STYLE", "enumeration", values)]
    fields += [field("styles", "UF_CRM_T_STYLES", "enumeration", f"multiple = true\n{values}")]
    fields += [field(key, key, type) for key, type in SYSTEM.items()]
    requires = ", ".join(f'{{ field = "{key}", valid = "{SYSTEM.get(key, "any")}" }}' for key in REQUIRED)
    return f"""name = "Все поля"
{"".join(fields)}
[[lead.stages]]
key = "new"
id = "NEW"
name = {{ ru = "Новый", en = "New" }}

[[lead.stages]]
key = "ready"
id = "IN_PROCESS"
name = {{ ru = "Готово", en = "Ready" }}
requires = [{requires}]
"""


@pytest.fixture(scope="module")
def served(sandbox: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The application with a playbook that asks for one field of every type."""
    folder = tmp_path_factory.mktemp("types")
    playbook = folder / "types.toml"
    playbook.write_text(playbook_text(), "utf-8")
    with serving(sandbox, redis_url, folder, str(playbook)) as services:
        yield services


def test_k12_fields_of_every_type_are_filled_in_and_written(
    page: Page, sandbox: Sandbox, served: Services, tmp_path: Path
) -> None:
    lead = new_lead(sandbox)
    page.goto(form_link(sandbox, lead, "ready"))
    form = frame_of(page)
    expect(form.get_by_role("heading", name="Что нужно для стадии")).to_be_visible()
    asked = [row.get_attribute("data-key") for row in form.locator(".field").all()]
    assert asked == REQUIRED
    accessible(page, served)
    texts = {
        "words": "Слова", "story": "Первая строка\nвторая", "whole": "7", "broken": "2,5", "day": "2026-12-01",
        "hour": "2026-12-01T15:30", "price": "12 500,50", "place": "Москва, Тверская, 1", "site": "https://example.com/",
        "phone": "+7 912 345-67-89", "email": "client@example.com",
    }  # fmt: skip
    for key, text in texts.items():
        form.get_by_label(f"Поле {key}", exact=True).fill(text)
    form.get_by_label("Поле agreed").select_option(label="да")
    form.get_by_label("Поле style", exact=True).select_option(label="Угловая")
    for choice in form.get_by_role("group", name="Поле styles").get_by_role("checkbox").all():
        choice.check()
    plan = tmp_path / "план.txt"
    plan.write_text("стена 3 м", "utf-8")
    form.get_by_label("Поле plan").set_input_files(plan)
    press(form.get_by_role("button", name="Выбрать"))
    picker = page.get_by_role("dialog").last
    picker.get_by_role("radio", name="Анна Кузнецова").check()
    picker.get_by_role("button", name="Выбрать").click()
    expect(form.get_by_text("Анна Кузнецова")).to_be_visible()
    press(form.get_by_role("button", name="Сохранить и перейти"))
    expect(form.get_by_role("status")).to_have_text("Сохранено. Теперь стадия «Готово».")
    card = card_of(sandbox, lead)
    people = {one["name"] + " " + one["last_name"]: one["id"] for one in sandbox.state("people")}
    held = {key: card[f"UF_CRM_T_{key.upper()}"] for key in TYPES if key not in ("plan", "day", "hour")}
    assert held == {
        "words": "Слова", "story": "Первая строка\nвторая", "whole": 7, "broken": 2.5, "agreed": "Y",
        "price": "12500.50|RUB", "person": people["Анна Кузнецова"], "place": "Москва, Тверская, 1",
        "site": "https://example.com/",
    }  # fmt: skip
    assert card["UF_CRM_T_DAY"].startswith("2026-12-01")
    assert card["UF_CRM_T_HOUR"] == "2026-12-01T15:30:00+03:00"
    assert card["UF_CRM_T_PLAN"]
    assert len(card["UF_CRM_T_STYLES"]) == 2
    assert {(row["typeId"], row["value"]) for row in card["fm"]} == {
        ("PHONE", "+7 912 345-67-89"),
        ("EMAIL", "client@example.com"),
    }
    assert card["stageId"] == "IN_PROCESS"
