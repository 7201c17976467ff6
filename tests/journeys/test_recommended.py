"""The recommended kitchen playbook works as it stands: applied to a portal, a lead goes its whole way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from .office import ANNA, Office, Row, new_phone, running_office

THEME, CLIENT_TYPE, ADDRESS, SUM = (
    f"UF_CRM_B24_{name}" for name in ("THEME", "CLIENT_TYPE", "ADDRESS", "PRELIMINARY_SUM")
)
PROCESSING, OFFER, MEASUREMENT, DECISION = "IN_PROCESS", "PROCESSED", "B24_MEASUREMENT", "B24_DECISION"
TERMS, UNREACHABLE = "B24_TERMS", "B24_UNREACHABLE"


def run(office: Office, *command: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "b24app", "--config", str(office.config), *command]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    text = files("playbooks").joinpath("kitchen_recommended.toml").read_text("utf-8")
    with running_office(tmp_path_factory.mktemp("recommended"), "--no-limits", text=text) as running:
        applied = run(running, "apply")
        assert applied.returncode == 0, applied.stdout + applied.stderr
        running.at_work(ANNA)
        yield running


def lead(office: Office, **fields: Any) -> int:
    phone = [{"typeId": "PHONE", "valueType": "WORK", "value": new_phone()}]
    made = office.portal.create_item(1, {"title": "Кухня", "assignedById": ANNA, "fm": phone, **fields}, user_id=ANNA)
    office.settle()
    return int(made["id"])


def change(office: Office, lead_id: int, **fields: Any) -> None:
    office.portal.change_item(1, lead_id, fields, user_id=ANNA)
    office.settle()


def card(office: Office, lead_id: int) -> Row:
    found: Row = office.portal.result("crm.item.get", {"entityTypeId": 1, "id": lead_id})["item"]
    return found


def open_tasks(office: Office, lead_id: int) -> dict[str, Row]:
    return {task["title"]: task for task in office.tasks_of(lead_id)}


def test_the_scale_stands_on_the_portal_and_nothing_is_left_to_do(office: Office) -> None:
    rows = office.portal.result("crm.status.list", {"filter": {"ENTITY_ID": "STATUS"}, "order": {"SORT": "ASC"}})
    names = [row["NAME"] for row in rows]
    assert names == [
        "Новый", "В обработке", "Предложение", "Замер", "Решение", "Сконвертирован",
        "Не наш клиент", "Нет связи", "Цена или условия", "Другой поставщик",
    ]  # fmt: skip
    planned = run(office, "plan")
    assert planned.returncode == 0, planned.stdout
    assert "Изменений: 0" in planned.stdout
    assert "b24app advise" not in planned.stdout


def test_a_lead_goes_its_whole_way_and_is_held_where_work_is_missing(office: Office) -> None:
    lead_id = lead(office)
    change(office, lead_id, stageId=PROCESSING)
    assert card(office, lead_id)["stageId"] == PROCESSING
    assert "Узнать потребности и контакты" in open_tasks(office, lead_id)

    change(office, lead_id, stageId=OFFER)
    assert card(office, lead_id)["stageId"] == PROCESSING
    kept = card(office, lead_id)["fm"]
    types = office.portal.result("crm.item.fields", {"entityTypeId": 1, "useOriginalUfNames": "Y"})["fields"]
    kind = next(row["ID"] for row in types[CLIENT_TYPE]["items"] if row["VALUE"] == "Дизайнер")
    email = {"typeId": "EMAIL", "valueType": "WORK", "value": "olga@example.ru"}
    change(office, lead_id, name="Ольга", fm=[*kept, email], **{THEME: "Угловая", CLIENT_TYPE: kind})
    change(office, lead_id, stageId=OFFER)
    assert card(office, lead_id)["stageId"] == OFFER

    talk = open_tasks(office, lead_id)["Выяснить вопросы по КП и предложить замер"]
    office.portal.control("POST", f"tasks/{talk['id']}/complete", {"user_id": ANNA})
    office.settle()
    assert card(office, lead_id)["stageId"] == OFFER  # neither address nor offer
    change(office, lead_id, **{ADDRESS: "Москва, Тверская, 1", SUM: "250000|RUB"})
    letter = {"entity_type_id": 1, "entity_id": lead_id, "subject": "КП", "files": ["КП.pdf"], "user_id": ANNA}
    office.portal.control("POST", "letters", letter)
    office.settle()
    office.portal.control("POST", f"tasks/{talk['id']}/complete", {"user_id": ANNA})
    office.settle()
    assert card(office, lead_id)["stageId"] == MEASUREMENT

    change(office, lead_id, stageId=DECISION)
    change(office, lead_id, stageId="CONVERTED")
    assert card(office, lead_id)["stageId"] == "CONVERTED"


def test_st12_a_failing_stage_is_the_reason_nobody_is_asked_and_its_policy_holds(office: Office) -> None:
    terms, unreachable = lead(office, name="Пётр"), lead(office, name="Иван")
    change(office, terms, stageId=TERMS)
    change(office, unreachable, stageId=UNREACHABLE)
    assert (card(office, terms)["stageId"], card(office, unreachable)["stageId"]) == (TERMS, UNREACHABLE)
    assert [text for text in office.notices_of(ANNA, f"/{terms}/") if "Причина отказа" in text] == []
    contact = office.portal.result("crm.item.get", {"entityTypeId": 3, "id": card(office, terms)["contactId"]})["item"]
    assert contact["name"] == "Пётр"
    assert not card(office, unreachable).get("contactId")
    office.hurry_timers("declined_reminder")
    office.until(
        lambda: any(title.startswith("Напомнить о себе") for title in open_tasks(office, terms)), "the task", 30
    )
