"""Work that must be seen done: a quote, a ticked checklist, a task's result; and deals beside leads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from .office import ANNA, Office, Row, playbook, running_office
from .test_gates import CLIENT, EMAIL, MEASUREMENT, OFFER_SENT, Kitchen

QUOTE, DEAL = 7, 2
NOTE = "UF_CRM_B24_DEAL_NOTE"
CHECKLIST = """evidence = [{ kind = "checklist_complete", task = "send_offer", \
why = { ru = "Не все пункты отмечены", en = "Not every item is ticked" } }]"""
RESULT = """evidence = [{ kind = "result_attached", task = "objections", \
why = { ru = "У задачи нет результата", en = "The task has no result" } }]"""
DEALS = f"""
[[deal.fields]]
key = "note"
code = "{NOTE}"
type = "string"
name = {{ ru = "Заметка", en = "Note" }}
why = {{ ru = "По ней готовят документы", en = "The papers are made by it" }}
[[deal.stages]]
key = "new"
id = "NEW"
name = {{ ru = "Новая", en = "New" }}
[[deal.stages]]
key = "papers"
id = "PREPARATION"
name = {{ ru = "Подготовка документов", en = "Papers" }}
requires = [{{ field = "note" }}]
"""


def strict() -> str:
    """The kitchen playbook, asking for more on two stages, and with a process of deals."""
    text = playbook()
    for id, evidence in ((MEASUREMENT, CHECKLIST), ("CONVERTED", RESULT)):
        before = f'id = "{id}"\n'
        assert text.count(before) == 1
        text = text.replace(before, f"{before}{evidence}\n")
    return text + DEALS


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with running_office(tmp_path_factory.mktemp("evidence"), "--no-limits", text=strict()) as office:
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


def told(kitchen: Kitchen, item_id: int, word: str, kind: str = "lead") -> list[str]:
    """What the manager was told of this item in which the word stands."""
    return [text for text in kitchen.office.notices_of(ANNA, f"/{kind}/details/{item_id}/") if word in text]


def quote(kitchen: Kitchen, lead_id: int) -> Row:
    fields = {"title": "Кухня 3 м", "leadId": lead_id, "stageId": "DRAFT"}
    return dict(kitchen.portal.result("crm.item.add", {"entityTypeId": QUOTE, "fields": fields})["item"])


def test_k17_a_quote_counts_as_the_offer_from_the_moment_it_is_sent(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    made = quote(kitchen, lead_id)
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == CLIENT
    assert told(kitchen, lead_id, "КП ещё не отправлено")
    sent = {"entityTypeId": QUOTE, "id": made["id"], "fields": {"stageId": "SENT"}}
    kitchen.portal.result("crm.item.update", sent)
    kitchen.next_second()
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == OFFER_SENT


def test_k17_the_quote_of_another_lead_does_not_count(kitchen: Kitchen) -> None:
    lead_id, other = (kitchen.lead(**kitchen.qualified(fm=EMAIL)) for _ in range(2))
    kitchen.drag(lead_id, CLIENT)
    made = quote(kitchen, other)
    kitchen.portal.result("crm.item.update", {"entityTypeId": QUOTE, "id": made["id"], "fields": {"stageId": "SENT"}})
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == CLIENT


def with_offer(kitchen: Kitchen) -> tuple[int, Row]:
    """A lead whose offer was sent, and the task that asked for it."""
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    kitchen.send_offer(lead_id)
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == OFFER_SENT
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    return lead_id, task


def tick(kitchen: Kitchen, task: Row, *, all_but: int = 0) -> None:
    rows = kitchen.portal.result("task.checklistitem.getlist", {"TASKID": task["id"]})
    items = [row for row in rows if int(row["PARENT_ID"]) and row["IS_COMPLETE"] != "Y"]
    for row in items[: len(items) - all_but]:
        kitchen.portal.result("task.checklistitem.complete", {"TASKID": task["id"], "ITEMID": row["ID"]})
    kitchen.office.settle()


def test_k19_a_checklist_counts_when_every_item_is_ticked(kitchen: Kitchen) -> None:
    lead_id, task = with_offer(kitchen)
    tick(kitchen, task, all_but=1)
    kitchen.drag(lead_id, MEASUREMENT)
    assert kitchen.stage(lead_id) == OFFER_SENT
    assert told(kitchen, lead_id, "не все пункты отмечены")
    tick(kitchen, task)
    kitchen.next_second()
    kitchen.drag(lead_id, MEASUREMENT)
    assert kitchen.stage(lead_id) == MEASUREMENT


def test_k19_a_task_counts_when_its_result_is_attached(kitchen: Kitchen) -> None:
    lead_id, task = with_offer(kitchen)
    tick(kitchen, task)
    kitchen.drag(lead_id, MEASUREMENT)
    (objections,) = kitchen.tasks(lead_id, "Выяснить вопросы и возражения")
    kitchen.drag(lead_id, "CONVERTED")
    assert kitchen.stage(lead_id) == MEASUREMENT
    assert told(kitchen, lead_id, "задачи нет результата")
    address = kitchen.portal.ready["webhook"].replace("/rest/", "/rest/api/") + "tasks.task.result.add"
    fields = {"taskId": objections["id"], "text": "Возражений нет, замер в среду"}
    assert "result" in kitchen.portal.session.post(address, json={"fields": fields}, timeout=30).json()
    kitchen.next_second()
    kitchen.drag(lead_id, "CONVERTED")
    assert kitchen.stage(lead_id) == "CONVERTED"


# deals beside leads


def deal_stage(kitchen: Kitchen, deal_id: int) -> str:
    return str(kitchen.portal.result("crm.item.get", {"entityTypeId": DEAL, "id": deal_id})["item"]["stageId"])


def test_a_move_of_a_deal_whose_event_was_lost_is_found_by_the_reconciliation(kitchen: Kitchen) -> None:
    fields = {"title": "Кухня угловая", "assignedById": ANNA, "stageId": "NEW"}
    deal_id = int(kitchen.portal.create_item(DEAL, fields, user_id=ANNA)["id"])
    kitchen.portal.change_item(DEAL, deal_id, {"title": "Кухня"}, user_id=ANNA)  # the gate has seen it
    kitchen.office.settle()
    kitchen.portal.event_rule("ONCRMDEALUPDATE", "lose")
    kitchen.portal.change_item(DEAL, deal_id, {"stageId": "PREPARATION"}, user_id=ANNA)
    kitchen.office.settle()
    assert deal_stage(kitchen, deal_id) == "PREPARATION"
    kitchen.office.reconcile()
    kitchen.office.settle()
    assert deal_stage(kitchen, deal_id) == "NEW"
    assert told(kitchen, deal_id, "Заметка", kind="deal")
