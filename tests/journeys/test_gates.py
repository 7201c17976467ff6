"""A stage cannot be left with its work undone: the kitchen playbook applied to a portal, leads dragged by hand."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .office import ANNA, BORIS, HEAD, Office, Row, new_phone, running_office

THEME, CLIENT_TYPE, DECLINE = "UF_CRM_B24_THEME", "UF_CRM_B24_CLIENT_TYPE", "UF_CRM_B24_DECLINE"
CLIENT, OFFER_SENT, MEASUREMENT = "IN_PROCESS", "B24_OFFER_SENT", "B24_MEASUREMENT"


class Kitchen:
    """An office whose portal has the kitchen playbook, and what a manager does there."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.portal = office.portal
        fields = self.portal.result("crm.item.fields", {"entityTypeId": 1, "useOriginalUfNames": "Y"})["fields"]
        self.lists = {
            code: {row["VALUE"]: row["ID"] for row in fields[code]["items"]} for code in (CLIENT_TYPE, DECLINE)
        }

    def lead(self, *, user_id: int = ANNA, **fields: Any) -> int:
        """A lead of a manager in the first stage, distributed and quiet."""
        phone = [{"typeId": "PHONE", "valueType": "WORK", "value": new_phone()}]
        made = self.portal.create_item(
            1, {"title": "Кухня угловая", "assignedById": user_id, "fm": phone, **fields}, user_id=user_id
        )
        self.office.settle()
        return int(made["id"])

    def drag(self, lead_id: int, stage: str, *, user_id: int = ANNA) -> None:
        """A manager drags the card to another stage; everything that follows has happened."""
        self.portal.change_item(1, lead_id, {"stageId": stage}, user_id=user_id)
        self.office.settle()

    def fill(self, lead_id: int, *, user_id: int = ANNA, **fields: Any) -> None:
        """A manager fills in the card."""
        self.portal.change_item(1, lead_id, fields, user_id=user_id)
        self.office.settle()

    def qualified(self, **fields: Any) -> Row:
        """What «Клиент наш» asks for."""
        return {"name": "Ольга", THEME: "Угловая кухня", CLIENT_TYPE: self.lists[CLIENT_TYPE]["Дизайнер"], **fields}

    def next_second(self) -> None:
        """Lets the portal's clock, which tells whole seconds, go on by one."""
        began = int(time.time())
        self.office.until(lambda: int(time.time()) > began, "the next second", 5)

    def stage(self, lead_id: int) -> str:
        """The stage where the card is."""
        lead = self.office.lead(lead_id)
        assert lead is not None
        return str(lead["stageId"])

    def tasks(self, lead_id: int, title: str) -> list[Row]:
        """Tasks of the lead whose title begins so."""
        return [task for task in self.office.tasks_of(lead_id) if task["title"].startswith(title)]

    def complete(self, task: Row, *, user_id: int = ANNA) -> None:
        """A person closes the task."""
        self.portal.control("POST", f"tasks/{task['id']}/complete", {"user_id": user_id})
        self.office.settle()

    def send_offer(self, lead_id: int, *, user_id: int = ANNA) -> None:
        """A manager sends the offer from the card."""
        body = {"entity_type_id": 1, "entity_id": lead_id, "subject": "КП", "files": ["КП.pdf"], "user_id": user_id}
        self.portal.control("POST", "letters", body)
        self.office.settle()


EMAIL = [{"typeId": "EMAIL", "valueType": "WORK", "value": "olga@example.ru"}]


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with running_office(tmp_path_factory.mktemp("kitchen"), "--no-limits") as office:
        command = [sys.executable, "-m", "b24app", "--config", str(office.config), "apply"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield office


@pytest.fixture
def kitchen(applied: Office) -> Kitchen:
    applied.settle(hurry=True)
    applied.tidy()
    applied.at_work(ANNA)
    return Kitchen(applied)


def test_k11_k12_a_move_with_nothing_filled_in_is_undone_and_the_mover_learns_what_is_missing(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(user_id=ANNA)
    before = kitchen.portal.last
    kitchen.drag(lead_id, CLIENT, user_id=BORIS)
    assert kitchen.stage(lead_id) == "NEW"
    (notice,) = kitchen.office.notices_of(BORIS, f"/crm/lead/details/{lead_id}/")
    for words in ("Имя клиента", "Тема обращения", "Тип клиента", "по теме подбирается каталог"):
        assert words in notice
    assert f"params%5Bentity%5D=lead%3A{lead_id}" in notice
    assert "params%5Bto%5D=client" in notice
    assert [text for text in kitchen.office.notices_of(ANNA, f"/{lead_id}/") if "снова на стадии" in text] == []
    asked = kitchen.office.requests_since(before)
    (way_back,) = [entry for entry in asked if "pull.application.event.add" in str(entry["batch"])]
    assert "crm.item.update" in str(way_back["batch"])


def test_k13_k14_a_filled_card_passes_and_gets_its_task_with_a_checklist_and_a_script(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    assert kitchen.stage(lead_id) == CLIENT
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    assert task["responsible_id"] == ANNA
    assert "Добрый день, Ольга! Вы обращались по теме «Угловая кухня»" in task["description"]
    items = kitchen.portal.result("task.checklistitem.getlist", {"TASKID": task["id"]})
    assert [row["TITLE"] for row in items if int(row["PARENT_ID"])] == [
        "Проверить e-mail в карточке",
        "Выбрать каталог по теме обращения",
        "Посчитать предварительную сумму",
        "Вложить КП в письмо",
        "Отправить письмо из карточки лида",
    ]
    assert kitchen.tasks(lead_id, "Заполните e-mail") == []


def test_k16_without_an_address_there_is_a_task_and_a_message_and_the_task_closes_itself(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified())
    kitchen.drag(lead_id, CLIENT)
    (task,) = kitchen.tasks(lead_id, "Заполните e-mail клиента")
    assert kitchen.office.notices_of(ANNA, "Заполните e-mail клиента")
    kitchen.fill(lead_id, fm=EMAIL)
    (task,) = kitchen.tasks(lead_id, "Заполните e-mail клиента")
    assert task["status"] == 5
    assert any("закрылась сама" in text for text in kitchen.office.cards_of(lead_id))


def test_k15_k17_closing_the_task_moves_the_lead_only_when_the_offer_was_sent(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    kitchen.complete(task)
    assert kitchen.stage(lead_id) == CLIENT
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    assert task["status"] == 2
    assert kitchen.office.notices_of(ANNA, "открыта снова")
    kitchen.send_offer(lead_id)
    assert kitchen.office.notices_of(ANNA, "КП отправлено (версия 1)")
    kitchen.complete(task)
    assert kitchen.stage(lead_id) == OFFER_SENT
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    assert task["status"] == 5


def test_k17_x12_the_offer_cannot_be_walked_around(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, MEASUREMENT)
    assert kitchen.stage(lead_id) == "NEW"
    kitchen.drag(lead_id, CLIENT)
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == CLIENT
    assert len(kitchen.tasks(lead_id, "Отправить каталог и КП")) == 1
    kitchen.send_offer(lead_id)
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == OFFER_SENT
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    assert task["status"] == 5
    kitchen.drag(lead_id, MEASUREMENT)
    assert kitchen.stage(lead_id) == MEASUREMENT
    assert len(kitchen.tasks(lead_id, "Выяснить вопросы и возражения")) == 1


def test_k20_wishes_mean_a_new_offer_and_a_new_round_of_the_task(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    kitchen.send_offer(lead_id)
    kitchen.drag(lead_id, OFFER_SENT)
    kitchen.next_second()
    kitchen.drag(lead_id, CLIENT)
    assert [task["title"] for task in kitchen.tasks(lead_id, "Отправить каталог и КП")][-1].endswith("(2)")
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == CLIENT
    kitchen.send_offer(lead_id)
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == OFFER_SENT


def test_1c13_1c14_declining_needs_a_reason_and_later_means_a_contact_and_a_reminder(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(name="Пётр")
    kitchen.drag(lead_id, "JUNK")
    assert kitchen.stage(lead_id) == "NEW"
    (notice,) = kitchen.office.notices_of(ANNA, f"/crm/lead/details/{lead_id}/")
    assert "Причина отказа" in notice
    kitchen.fill(lead_id, **{DECLINE: kitchen.lists[DECLINE]["Не устроила цена"]})
    kitchen.drag(lead_id, "JUNK")
    assert kitchen.stage(lead_id) == "JUNK"
    lead = kitchen.portal.result("crm.item.get", {"entityTypeId": 1, "id": lead_id})["item"]
    contact = kitchen.portal.result("crm.item.get", {"entityTypeId": 3, "id": lead["contactId"]})["item"]
    assert contact["name"] == "Пётр"
    kitchen.office.hurry_timers("declined_reminder")
    kitchen.office.until(lambda: kitchen.tasks(lead_id, "Напомнить о себе"), "the reminder", 30)


def test_an_item_is_moved_back_three_times_an_hour_then_a_person_is_asked(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead()
    for _ in range(3):
        kitchen.drag(lead_id, CLIENT)
        assert kitchen.stage(lead_id) == "NEW"
        kitchen.next_second()
    kitchen.drag(lead_id, CLIENT)
    assert kitchen.stage(lead_id) == CLIENT
    assert kitchen.office.notices_of(HEAD, "оставлен на стадии")
