"""A stage cannot be left with its work undone: the kitchen playbook applied to a portal, leads dragged by hand."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
import sqlalchemy as sa

from b24app.store import schema

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

    def forget_shape(self) -> None:
        """Lets the minutes pass after which the process is read from the portal anew."""
        table = schema.snapshots
        self.office.write(sa.delete(table).where(table.c.name.startswith("process:")))

    def next_second(self) -> None:
        """Lets the portal's clock, which tells whole seconds, go on by one."""
        began = int(time.time())
        self.office.until(lambda: int(time.time()) > began, "the next second")

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
    folder = tmp_path_factory.mktemp("kitchen")
    for name in ("offer.svg", "offer.png"):
        (folder / name).write_bytes(files("playbooks").joinpath(name).read_bytes())
    with running_office(folder, "--no-limits") as office:
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


def test_k8_k10_k11_k12_a_move_with_nothing_filled_in_is_undone_and_the_mover_learns_what_is_missing(
    kitchen: Kitchen,
) -> None:
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


def attached_to(kitchen: Kitchen, task: Row) -> list[str]:
    """The names of the files that a person sees in the task."""
    wanted = {"taskId": task["id"], "select": ["ID", "UF_TASK_WEBDAV_FILES"]}
    ids = kitchen.portal.result("tasks.task.get", wanted)["task"]["ufTaskWebdavFiles"] or []
    return [kitchen.portal.result("disk.attachedObject.get", {"id": id})["NAME"] for id in ids]


def test_k14_the_memo_picture_is_uploaded_once_and_hangs_on_every_such_task(kitchen: Kitchen) -> None:
    before = kitchen.portal.last
    for _ in range(2):
        lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
        kitchen.drag(lead_id, CLIENT)
        (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
        (name,) = attached_to(kitchen, task)
        assert re.fullmatch(r"offer-[0-9a-f]{12}\.png", name)
        assert "/picture/" not in task["description"]
    assert "disk." not in str(kitchen.office.requests_since(before))


def test_k14_without_the_picture_on_the_drive_the_task_stands_and_links_to_it(kitchen: Kitchen) -> None:
    table = schema.applied
    (kept,) = kitchen.office.rows(sa.select(table).where(table.c.name == "picture:offer.svg"))
    kitchen.office.write(sa.delete(table).where(table.c.name == "picture:offer.svg"))
    try:
        lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
        kitchen.drag(lead_id, CLIENT)
    finally:
        with kitchen.office.database.write() as connection:
            connection.execute(sa.insert(table).values(**kept))
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    assert attached_to(kitchen, task) == []
    (address,) = re.findall(r"\[URL=([^\]]+)\]Памятка", task["description"])
    shown = kitchen.office.http.get(address, timeout=10)
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/svg+xml")


def test_k14_a_picture_that_somebody_deleted_costs_the_task_nothing(kitchen: Kitchen) -> None:
    kitchen.portal.fault("tasks.task.files.attach", "error", when="before", status=400, error="ERROR_CORE")
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    items = kitchen.portal.result("task.checklistitem.getlist", {"TASKID": task["id"]})
    assert len(items) == 6
    assert attached_to(kitchen, task) == []


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
    kitchen.office.until(lambda: kitchen.tasks(lead_id, "Напомнить о себе"), "the reminder")


def test_an_item_is_moved_back_three_times_an_hour_then_a_person_is_asked(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead()
    for _ in range(3):
        kitchen.drag(lead_id, CLIENT)
        assert kitchen.stage(lead_id) == "NEW"
        kitchen.next_second()
    kitchen.drag(lead_id, CLIENT)
    assert kitchen.stage(lead_id) == CLIENT
    assert kitchen.office.notices_of(HEAD, "оставлен на стадии")


def test_a_move_by_a_manager_whose_card_is_filled_in_at_the_same_time_passes(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead()
    kitchen.portal.change_item(1, lead_id, {"stageId": CLIENT}, user_id=ANNA)
    kitchen.portal.change_item(1, lead_id, kitchen.qualified(), user_id=ANNA)
    kitchen.office.settle()
    if kitchen.stage(lead_id) == "NEW":  # our way back was faster than his hand: then he is told, and moves it again
        assert kitchen.office.notices_of(ANNA, f"/{lead_id}/")
        kitchen.drag(lead_id, CLIENT)
    assert kitchen.stage(lead_id) == CLIENT
    assert len(kitchen.tasks(lead_id, "Отправить каталог и КП")) == 1


def test_two_moves_within_a_second_are_judged_by_where_the_item_ends(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.portal.change_item(1, lead_id, {"stageId": MEASUREMENT}, user_id=BORIS)
    kitchen.portal.change_item(1, lead_id, {"stageId": CLIENT}, user_id=BORIS)
    kitchen.office.settle()
    assert kitchen.stage(lead_id) in ("NEW", CLIENT)
    kitchen.drag(lead_id, CLIENT)
    assert kitchen.stage(lead_id) == CLIENT
    assert len(kitchen.tasks(lead_id, "Отправить каталог и КП")) == 1


def test_the_portals_own_required_field_refuses_our_move_and_the_manager_learns_of_it(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    kitchen.send_offer(lead_id)
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    kitchen.portal.fault(
        "crm.item.update",
        "error",
        when="before",
        status=400,
        error="CRM_FIELD_ERROR_REQUIRED",
        error_description="Не заполнено обязательное поле «Бюджет»",
    )
    kitchen.complete(task)
    assert kitchen.stage(lead_id) == CLIENT
    kitchen.office.hurry_timers("move_check")
    kitchen.office.until(lambda: kitchen.office.notices_of(ANNA, "Портал не принял перевод"), "the word")
    (notice,) = kitchen.office.notices_of(ANNA, "Портал не принял перевод")
    assert "«Каталог и КП отправлены»" in notice
    assert "Бюджет" in notice


def test_a_task_deleted_by_a_person_is_not_made_again_and_the_gate_still_holds(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    kitchen.portal.result("tasks.task.delete", {"taskId": task["id"]})
    kitchen.office.settle()
    assert kitchen.tasks(lead_id, "Отправить каталог и КП") == []
    assert kitchen.office.notices_of(HEAD, "удалили")
    kitchen.drag(lead_id, OFFER_SENT)
    assert kitchen.stage(lead_id) == CLIENT
    assert kitchen.tasks(lead_id, "Отправить каталог и КП") == []


def test_a_task_under_control_counts_when_its_creator_approves_it(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    kitchen.send_offer(lead_id)
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    kitchen.portal.result("tasks.task.update", {"taskId": task["id"], "fields": {"TASK_CONTROL": "Y"}})
    kitchen.complete(task, user_id=ANNA)
    assert kitchen.stage(lead_id) == CLIENT
    kitchen.portal.result("tasks.task.approve", {"taskId": task["id"]})
    kitchen.office.settle()
    assert kitchen.stage(lead_id) == OFFER_SENT


def test_the_tasks_of_a_deleted_lead_close_themselves(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    kitchen.portal.control("DELETE", f"items/1/{lead_id}", {"user_id": 1})
    kitchen.office.settle()
    assert kitchen.portal.result("tasks.task.get", {"taskId": task["id"]})["task"]["status"] == "5"


def test_tasks_and_changes_that_are_not_ours_cost_nothing(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead()
    kitchen.office.reconciled_lately()
    made = kitchen.portal.result("tasks.task.add", {"fields": {"TITLE": "Чужая", "RESPONSIBLE_ID": ANNA}})
    kitchen.office.settle()
    before = kitchen.portal.last
    kitchen.portal.control("POST", f"tasks/{made['task']['id']}/complete", {"user_id": ANNA})
    kitchen.office.settle()
    assert kitchen.office.requests_since(before) == []
    kitchen.fill(lead_id, comments="перезвонить")
    assert len(kitchen.office.requests_since(before)) == 1


def test_a_stage_that_somebody_deleted_is_an_alarm_and_no_loop(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    for one in kitchen.portal.state("leads"):
        if one["stageId"] == OFFER_SENT:
            kitchen.portal.control("DELETE", f"items/1/{one['id']}", {"user_id": 1})
    rows = kitchen.portal.result("crm.status.list", {"filter": {"ENTITY_ID": "STATUS", "STATUS_ID": OFFER_SENT}})
    kitchen.portal.result("crm.status.delete", {"id": rows[0]["ID"], "params": {"FORCED": "Y"}})
    try:
        kitchen.forget_shape()
        (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
        kitchen.send_offer(lead_id)
        kitchen.complete(task)
        assert kitchen.stage(lead_id) == CLIENT
        assert kitchen.office.notices_of(ANNA, "на портале больше нет")
        alarms = kitchen.office.rows(sa.select(schema.alarms).where(schema.alarms.c.key == "process:lead"))
        assert "Каталог и КП отправлены" in alarms[0]["text"]["ru"]
    finally:
        fields = {key: rows[0][key] for key in ("ENTITY_ID", "STATUS_ID", "NAME", "SORT")}
        kitchen.portal.result("crm.status.add", {"fields": fields})
        kitchen.forget_shape()


def test_200_leads_moved_by_an_import_are_repaired_within_the_limits_and_told_once(
    kitchen: Kitchen, record_property: Callable[[str, object], None]
) -> None:
    made = kitchen.portal.control("POST", "import", {"count": 200, "user_id": 2, "silent": True})
    ids = range(made["first"], made["last"] + 1)
    kitchen.office.reconciled_lately()
    kitchen.office.settle()
    before = kitchen.portal.last
    for lead_id in ids:
        kitchen.portal.change_item(1, lead_id, {"stageId": CLIENT}, user_id=2)
    kitchen.office.settle(180)
    stages = {one["id"]: one["stageId"] for one in kitchen.portal.state("leads") if one["id"] in ids}
    assert set(stages.values()) == {"NEW"}
    requests = kitchen.office.requests_since(before)
    record_property("requests_per_repaired_lead", len(requests) / 200)
    print(f"requests per repaired lead: {len(requests) / 200}")
    assert len(requests) / 200 <= 2.5
    notices = kitchen.office.notices_of(2, "")
    assert sum("сразу много" in text for text in notices) == 1
    kitchen.office.hurry_timers("gate_summary")
    kitchen.office.until(lambda: kitchen.office.notices_of(HEAD, "Переводы стадий мимо правил"), "the summary")
    (summary,) = kitchen.office.notices_of(HEAD, "Переводы стадий мимо правил")
    assert "возвращено на прежнюю стадию — 200" in summary
    assert all(f"/crm/lead/details/{lead_id}/" in summary for lead_id in ids)


# robots, as consultants place them on a stage


def results_of(run: Row) -> Row:
    return {name.partition(":")[2]: value for name, value in run["results"].items()}


@pytest.fixture
def on_client(kitchen: Kitchen) -> Iterator[Callable[..., Row]]:
    """A function that places a robot on «Клиент наш» and returns the run of the lead that is dragged there."""

    def run(code: str, lead_id: int, **properties: Any) -> Row:
        kitchen.portal.place_robot(1, CLIENT, code, properties=properties)
        kitchen.portal.change_item(1, lead_id, {"stageId": CLIENT}, user_id=ANNA)
        kitchen.office.settle()
        (found,) = [run for run in kitchen.portal.state("workflows") if run["item_id"] == lead_id]
        return dict(found)

    yield run
    for placed in kitchen.portal.control("GET", f"stages/1/{CLIENT}/robots"):
        kitchen.portal.control("DELETE", f"stages/1/{CLIENT}/robots/{placed['id']}")


def test_the_robot_check_fields_answers_what_is_missing(kitchen: Kitchen, on_client: Callable[..., Row]) -> None:
    lead_id = kitchen.lead(**kitchen.qualified())
    run = on_client("check_fields", lead_id, fields=f"EMAIL: email\n{THEME}", policy="answer")
    assert run["status"] == "finished"
    results = results_of(run)
    assert results["passed"] == "N"
    assert results["missing"].startswith("EMAIL")
    assert "Угловая" not in results["message"]


def test_the_robot_check_fields_without_settings_asks_what_the_playbook_asks(
    kitchen: Kitchen, on_client: Callable[..., Row]
) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    results = results_of(on_client("check_fields", lead_id))
    assert (results["passed"], results["missing"]) == ("Y", "")


def test_the_robot_check_offer_sent_sees_a_letter_with_a_file(kitchen: Kitchen, on_client: Callable[..., Row]) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.send_offer(lead_id)
    results = results_of(on_client("check_offer_sent", lead_id, days=1))
    assert (results["sent"], results["versions"]) == ("Y", "1")


def test_the_robot_checklist_task_makes_a_task_with_its_lists(kitchen: Kitchen, on_client: Callable[..., Row]) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    lists = "# Перед звонком\nПрочитать карточку\n- Открыть каталог\n# После\nЗаписать ответ"
    run = on_client(
        "checklist_task",
        lead_id,
        title="Подготовиться",
        checklists=lists,
        important="Y",
        tags="кухни, срочно",
        files="offer.svg\nhttps://example.ru/catalog.pdf",
    )
    (task,) = kitchen.tasks(lead_id, "Подготовиться")
    results = results_of(run)
    assert int(results["task_id"]) == task["id"]
    rows = kitchen.portal.result("task.checklistitem.getlist", {"TASKID": task["id"]})
    heads = {int(row["ID"]): row["TITLE"] for row in rows if not int(row["PARENT_ID"])}
    assert [(heads[int(row["PARENT_ID"])], row["TITLE"]) for row in rows if int(row["PARENT_ID"])] == [
        ("Перед звонком", "Прочитать карточку"),
        ("Перед звонком", "Открыть каталог"),
        ("После", "Записать ответ"),
    ]
    whole = kitchen.portal.result("tasks.task.get", {"taskId": task["id"]})["task"]
    assert whole["priority"] == "2"
    assert [name.partition("-")[0] for name in attached_to(kitchen, task)] == ["offer"]
    assert "[URL=https://example.ru/catalog.pdf]" in task["description"]


def test_the_robot_stage_hint_says_what_to_do(kitchen: Kitchen, on_client: Callable[..., Row]) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    on_client("stage_hint", lead_id, link="https://example.ru/hint")
    (said,) = [text for text in kitchen.office.cards_of(lead_id) if "Стадия «Клиент наш»" in text]
    assert "Узнайте, интересно ли клиенту" in said
    assert "Отправленное КП" in said
    assert "[URL=https://example.ru/hint]" in said


def test_the_robot_advance_stage_moves_only_what_the_gate_lets_pass(
    kitchen: Kitchen, on_client: Callable[..., Row]
) -> None:
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    results = results_of(on_client("advance_stage", lead_id))
    assert results["moved"] == "N"
    assert "Отправленное КП" in results["missing"]
    assert kitchen.stage(lead_id) == CLIENT


def test_a_move_whose_event_was_lost_is_found_by_the_reconciliation(kitchen: Kitchen) -> None:
    lead_id = kitchen.lead()
    kitchen.portal.event_rule("ONCRMLEADUPDATE", "lose")
    kitchen.portal.change_item(1, lead_id, {"stageId": CLIENT}, user_id=ANNA)
    kitchen.office.settle()
    assert kitchen.stage(lead_id) == CLIENT
    kitchen.office.reconcile()
    kitchen.office.settle()
    assert kitchen.stage(lead_id) == "NEW"
    assert kitchen.office.notices_of(ANNA, f"/{lead_id}/")


def test_what_no_list_tells_is_found_in_the_portals_queue_of_events(kitchen: Kitchen) -> None:
    """A task closed too early, whose event was lost; what the inbox has leaves the queue at the next look."""
    office = kitchen.office
    lead_id = kitchen.lead(**kitchen.qualified(fm=EMAIL))
    kitchen.drag(lead_id, CLIENT)
    (task,) = kitchen.tasks(lead_id, "Отправить каталог и КП")
    office.reconcile("offline_events")
    kitchen.next_second()
    kitchen.portal.event_rule("*", "lose", count=20)
    kitchen.complete(task)
    office.control("DELETE", "event-rules")
    office.reconcile()
    office.settle()
    assert kitchen.tasks(lead_id, "Отправить каталог и КП")[0]["status"] == 5
    office.reconcile("offline_events", by_clock=True)
    office.settle()
    assert kitchen.tasks(lead_id, "Отправить каталог и КП")[0]["status"] == 2
    assert kitchen.office.notices_of(ANNA, "открыта снова")
    for _ in range(2):
        office.reconcile("offline_events")
    reasons = sa.select(schema.deliveries.c.reason).where(schema.deliveries.c.code == "offline_events")
    (last,) = office.rows(reasons.order_by(schema.deliveries.c.id.desc()).limit(1))
    assert last["reason"].startswith("в очереди портала найдено: 0")
    assert kitchen.portal.result("event.offline.list", token=kitchen.portal.token_of(1)) == []
