"""Every served method is held to the documented facts (tests/contract/methods.json); none answers nonsense well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import message_calls  # noqa: F401 - declares its calls
import office_calls
import pytest
import requests
import task_item_calls  # noqa: F401 - joins the families of office_calls

from sandbox.client import Sandbox
from sandbox.method import METHODS, METHODS_V3, load_methods
from tests.contract.compare import lacking
from tests.contract.families import DIFFERS, EXAMPLES, REPLAYED, fitted
from tests.sandbox import example_crm

load_methods()
CONTRACT: dict[str, Any] = json.loads((Path(__file__).parents[1] / "contract" / "methods.json").read_text())
PHONE = [{"VALUE": "+79005550001", "VALUE_TYPE": "WORK"}]
MAIL = [{"VALUE": "lead@example.com", "VALUE_TYPE": "WORK"}]
UTM = {"UTM_SOURCE": "google", "UTM_MEDIUM": "CPC"}
LAYOUT = [
    {
        "name": "main", "title": "О лиде", "type": "section",
        "elements": [{"name": "TITLE", "optionFlags": 1}, {"name": "PHONE", "options": {"defaultCountry": "RU"}}],
    }
]  # fmt: skip

# Keys of the examples that this portal does not show, with the reason.
BY_DESIGN = {
    ".messages[].params.": "what a message carries depends on who made it: the example's came from the system",
    ".group6": "the same for calendars of groups",
    ".group.": "workgroups are not told by REST: a task's group is the documented empty list",
    ".RELATIONS": "belongs to an entry that was parted from a series; the example's was",
    ".ACCESS.": "keyed by access codes, of which each portal has its own",
    "[].IS_ENABLED": "belongs to invoices and smart processes, which this portal does not have",
    "[].CATEGORY_": "name and order belong to categories of contacts and companies, which this portal does not have",
    "[].IS_DEFAULT_CATEGORY": "the same",
    ".SETTINGS.": "belong to the types of the example's fields",
}


class Journey:
    """Records made once, whose ids the parameters below refer to."""

    def __init__(self, portal: Sandbox) -> None:
        self.portal = portal
        self.worlds: dict[str, Any] = {}
        self.token = portal.token_of(1)
        portal.application(handler="http://127.0.0.1:9/app")
        portal.finish_install()
        self.lead = self.do("crm.lead.add", fields={"TITLE": "Лид", "PHONE": PHONE, "EMAIL": MAIL, "IM": PHONE, **UTM})
        self.deal = self.do("crm.deal.add", fields={"TITLE": "Сделка", "LEAD_ID": self.lead, "CONTACT_ID": 1, **UTM})
        self.contact = self.do("crm.contact.add", fields={"NAME": "Анна", "PHONE": PHONE, "EMAIL": MAIL, **UTM})
        self.company = self.do("crm.company.add", fields={"TITLE": "ООО", "PHONE": PHONE, "EMAIL": MAIL})
        self.call = portal.missed_call("+79005550009")
        task = {
            "TITLE": "Задача", "RESPONSIBLE_ID": 4, "CREATED_BY": 1, "UF_CRM_TASK": [f"L_{self.lead}"],
            "ACCOMPLICES": [5],
            "AUDITORS": [6], "DEADLINE": "2030-01-01T10:00:00+03:00", "UF_TASK_WEBDAV_FILES": ["n7"],
            "TAGS": ["звонок"],
        }  # fmt: skip
        self.task = int(self.do("tasks.task.add", fields=task)["task"]["id"])
        self.root = self.do("task.checklistitem.add", TASKID=self.task, FIELDS={"TITLE": "Список", "PARENT_ID": 0})
        self.item = self.do(
            "task.checklistitem.add",
            TASKID=self.task,
            FIELDS={"TITLE": "Пункт", "PARENT_ID": self.root, "MEMBERS": {"5": {"TYPE": "A"}}},
        )
        self.after = self.do(
            "task.checklistitem.add", TASKID=self.task, FIELDS={"TITLE": "Ещё", "PARENT_ID": self.root}
        )
        self.do("task.checklistitem.complete", TASKID=self.task, ITEMID=self.after)
        comment = {"ENTITY_TYPE": "lead", "ENTITY_ID": self.lead, "COMMENT": "Текст", "FILES": [["a.txt", "YQ=="]]}
        self.comment = self.do("crm.timeline.comment.add", fields=comment)
        self.activity = self.do(
            "crm.activity.add",
            fields={
                "OWNER_TYPE_ID": 1, "OWNER_ID": self.lead, "TYPE_ID": 2, "SUBJECT": "Звонок", "RESPONSIBLE_ID": 1,
                "COMMUNICATIONS": [{"VALUE": "+79005550001", "ENTITY_ID": self.lead, "ENTITY_TYPE_ID": 1}],
            },
        )  # fmt: skip
        event = {
            "type": "user", "ownerId": 1, "name": "Встреча", "from": "2026-12-01T10:00:00+03:00",
            "to": "2026-12-01T11:00:00+03:00",
            "is_meeting": "Y", "attendees": [1, 4], "remind": [{"type": "min", "count": 15}],
            "crm_fields": [f"L_{self.lead}"],
            "rrule": {"FREQ": "WEEKLY", "BYDAY": {"MO": "MO", "WE": "WE"}, "INTERVAL": 1, "UNTIL": "24.12.2026",
                "~UNTIL": "24.12.2026", "UNTIL_TS": 1},
            "accessibility": "busy",
        }  # fmt: skip
        self.event = self.do("calendar.event.add", **event)
        self.event_params = event
        self.do("crm.automation.trigger.add", CODE="known", NAME="Триггер")
        self.do("bizproc.robot.add", CODE="known", HANDLER="http://127.0.0.1:9/r", NAME="Робот", USE_SUBSCRIPTION="Y")
        self.do("event.bind", event="ONCRMLEADADD", handler="http://127.0.0.1:9/e")
        self.do("event.bind", event="ONCRMLEADUPDATE", event_type="offline")
        self.do(
            "placement.bind",
            PLACEMENT="CRM_LEAD_DETAIL_TAB",
            HANDLER="http://127.0.0.1:9/p",
            LANG_ALL={"ru": {"TITLE": "Вкладка"}},
        )
        worker = {"extranet": "N", "context": "ALL", "role": "USER", "errorHandlerUrl": "http://127.0.0.1:9/x"}
        self.do(
            "placement.bind",
            PLACEMENT="PAGE_BACKGROUND_WORKER",
            HANDLER="http://127.0.0.1:9/p",
            OPTIONS=worker,
            USER_ID=1,
        )
        self.do("crm.lead.update", id=self.lead, fields={"POST": "инженер"})
        self.external = self.do(
            "telephony.externalCall.register", USER_ID=4, PHONE_NUMBER="79005550001", TYPE=2, CRM_CREATE=0
        )["CALL_ID"]
        portal.place_robot(2, "PREPARATION", "known")
        self.do("timeman.open", USER_ID=1)
        self.do("app.option.set", options={"data": "1", "data2": "2"})
        self.do("user.option.set", options={"data": "1", "data2": "2"})
        self.stage = self.do(
            "crm.status.add", fields={"ENTITY_ID": "STATUS", "STATUS_ID": "OURS", "NAME": "Наша", "SORT": 35}
        )
        self.userfields = {
            kind: self.do(f"crm.{kind}.userfield.add", fields=self.userfield("OURS"))
            for kind in ("lead", "deal", "contact", "company")
        }
        self.do("crm.lead.userfield.add", fields={"USER_TYPE_ID": "crm_status", "FIELD_NAME": "REF", "LABEL": "С"})
        self.do("crm.item.details.configuration.set", entityTypeId=1, scope="C", data=LAYOUT)
        self.v3 = self.do(
            "api/tasks.task.add",
            fields={"title": "T", "creatorId": 1, "responsibleId": 4, "crmItemIds": [f"L_{self.lead}"]},
        )["item"]["id"]
        office_calls.prepare(self)

    @staticmethod
    def userfield(name: str) -> dict[str, Any]:
        """A list field of two values."""
        values = [{"VALUE": "а"}, {"VALUE": "б"}]
        return {"USER_TYPE_ID": "enumeration", "FIELD_NAME": name, "LABEL": name, "LIST": values}

    def call_rest(self, name: str, params: dict[str, Any]) -> requests.Response:
        return self.portal.session.post(
            f"{self.portal.url}/rest/{name}", json={**params, "auth": self.token}, timeout=30
        )

    def do(self, name: str, /, **params: Any) -> Any:
        answer = self.call_rest(name, params).json()
        assert "error" not in answer, (name, answer)
        return answer["result"]

    def fresh(self, kind: str) -> Any:
        """A record of its own for the methods that destroy what they get."""
        if kind == "task":
            return int(
                self.do(
                    "tasks.task.add", fields={"TITLE": "x", "RESPONSIBLE_ID": 4, "ACCOMPLICES": [5], "AUDITORS": [6]}
                )["task"]["id"]
            )
        if kind == "check":
            return self.do("task.checklistitem.add", TASKID=self.task, FIELDS={"TITLE": "x", "PARENT_ID": self.root})
        if kind == "event":
            return self.do("calendar.event.add", **self.event_params)
        if kind == "comment":
            return self.do(
                "crm.timeline.comment.add", fields={"ENTITY_TYPE": "lead", "ENTITY_ID": self.lead, "COMMENT": "x"}
            )
        return self.do(f"crm.{kind}.add", fields={"TITLE": "x", "NAME": "x"})


def params_of(journey: Journey, name: str) -> dict[str, Any]:
    """Parameters with which the method shows as much of its documented answer as it can."""
    j = journey
    lead = {"entityTypeId": 1, "id": j.lead}
    check = {"TASKID": j.task, "ITEMID": j.item}
    table: dict[str, Any] = {
        "crm.item.get": lead,
        "crm.item.add": {"entityTypeId": 2,
            "fields": {"title": "D", "utmSource": "g", "observers": [1], "contactIds": [1]}},
        "crm.item.update": {"entityTypeId": 2, "id": j.deal, "fields": {"title": "D2", "observers": [1, 2]}},
        "crm.item.delete": lambda: {"entityTypeId": 1, "id": j.fresh("lead")},
        "crm.item.list": {"entityTypeId": 1, "filter": {"id": j.lead}},
        "crm.item.fields": {"entityTypeId": 2},
        "crm.category.list": {"entityTypeId": 2},
        "crm.category.add": {"entityTypeId": 2, "fields": {"name": "Новая"}},
        "crm.category.get": {"entityTypeId": 2, "id": 2},
        "crm.category.update": {"entityTypeId": 2, "id": 2, "fields": {"name": "Сервис 2"}},
        "crm.category.delete": lambda: {"entityTypeId": 2,
            "id": j.do("crm.category.add", entityTypeId=2, fields={"name": "x"})["category"]["id"]},
        "crm.category.fields": {"entityTypeId": 2},
        "crm.status.add": {"fields": {"ENTITY_ID": "SOURCE", "STATUS_ID": "NEW_ONE", "NAME": "Новый"}},
        "crm.status.get": {"id": j.stage},
        "crm.status.update": {"id": j.stage, "fields": {"NAME": "Наша 2"}},
        "crm.status.delete": lambda: {"id": j.do("crm.status.add",
            fields={"ENTITY_ID": "SOURCE", "STATUS_ID": "GONE", "NAME": "x"})},
        "crm.status.entity.items": {"entityId": "DEAL_STAGE"},
        "crm.item.details.configuration.get": {"entityTypeId": 1, "scope": "C"},
        "crm.item.details.configuration.set": {"entityTypeId": 2, "data": LAYOUT},
        "crm.item.details.configuration.reset": {"entityTypeId": 2},
        "crm.item.details.configuration.forceCommonScopeForAll": {"entityTypeId": 2},
        "crm.stagehistory.list": {"entityTypeId": 2},
        "crm.duplicate.findbycomm": {"type": "PHONE", "values": ["+79005550001"]},
        "crm.activity.get": {"id": j.activity},
        "crm.activity.add": {"fields": {"OWNER_TYPE_ID": 1, "OWNER_ID": j.lead, "TYPE_ID": 6,
            "PROVIDER_ID": "CRM_TODO", "SUBJECT": "s"}},
        "crm.activity.update": {"id": j.activity, "fields": {"SUBJECT": "другая"}},
        "crm.activity.delete": lambda: {"id": j.do("crm.activity.add", fields=table["crm.activity.add"]["fields"])},
        "crm.activity.list": {"select": ["*", "COMMUNICATIONS"], "filter": {"OWNER_TYPE_ID": 1, "OWNER_ID": j.lead}},
        "crm.timeline.comment.add": {"fields": {"ENTITY_TYPE": "lead", "ENTITY_ID": j.lead, "COMMENT": "x"}},
        "crm.timeline.comment.get": {"id": j.comment},
        "crm.timeline.comment.list": {"filter": {"ENTITY_TYPE": "lead", "ENTITY_ID": j.lead}},
        "crm.timeline.comment.update": {"id": j.comment, "fields": {"COMMENT": "y"}},
        "crm.timeline.comment.delete": lambda: {"id": j.fresh("comment")},
        "crm.automation.trigger": {"target": f"LEAD_{j.lead}", "code": "x"},
        "crm.automation.trigger.add": {"CODE": "new", "NAME": "n"},
        "crm.automation.trigger.execute": {"CODE": "known", "OWNER_TYPE_ID": 1, "OWNER_ID": j.lead},
        "crm.automation.trigger.delete": {"CODE": "new"},
        "tasks.task.add": {"fields": {"TITLE": "T", "RESPONSIBLE_ID": 4}},
        "tasks.task.update": {"taskId": j.task, "fields": {"TITLE": "T2"}},
        "tasks.task.get": {"taskId": j.task, "select": ["*", "UF_CRM_TASK", "UF_TASK_WEBDAV_FILES", "UF_MAIL_MESSAGE"]},
        "tasks.task.list": {"filter": {"ID": j.task}},
        "tasks.task.history.list": {"taskId": j.task},
        "tasks.task.delete": lambda: {"taskId": j.fresh("task")},
        "tasks.task.delegate": {"taskId": j.task, "userId": 5},
        "task.checklistitem.add": {"TASKID": j.task, "FIELDS": {"TITLE": "n", "PARENT_ID": j.root}},
        "task.checklistitem.get": check,
        "task.checklistitem.getlist": {"TASKID": j.task},
        "task.checklistitem.update": {**check, "FIELDS": {"TITLE": "Пункт 2"}},
        "task.checklistitem.complete": check,
        "task.checklistitem.renew": check,
        "task.checklistitem.moveafteritem": {**check, "AFTERITEMID": j.after},
        "task.checklistitem.delete": lambda: {"TASKID": j.task, "ITEMID": j.fresh("check")},
        "calendar.accessibility.get": {"users": [1, 2], "from": "2026-12-01", "to": "2026-12-02"},
        "calendar.event.add": j.event_params,
        "calendar.event.get": {"type": "user", "ownerId": 1, "from": "2026-11-01", "to": "2026-12-31"},
        "calendar.event.getbyid": {"id": j.event},
        "calendar.event.update": {"id": j.event, "type": "user", "ownerId": 1, "name": "Встреча 2"},
        "calendar.event.delete": lambda: {"id": j.fresh("event")},
        "calendar.section.get": {"type": "user", "ownerId": 1},
        "telephony.externalCall.register": {"USER_ID": 4, "PHONE_NUMBER": "79005550002", "TYPE": 2, "CRM_CREATE": 1},
        "telephony.externalCall.finish": {"CALL_ID": j.external, "USER_ID": 4, "DURATION": 30},
        "im.notify.personal.add": {"USER_ID": 4, "MESSAGE": "m"},
        "im.notify.system.add": {"USER_ID": 4, "MESSAGE": "m"},
        "im.message.add": {"DIALOG_ID": "4", "MESSAGE": "m"},
        "bizproc.robot.add": {"CODE": "new", "HANDLER": "http://127.0.0.1:9/r", "NAME": "n"},
        "bizproc.robot.update": {"CODE": "known", "FIELDS": {"NAME": "n2"}},
        "bizproc.robot.delete": {"CODE": "new"},
        "event.bind": {"event": "ONCRMDEALADD", "handler": "http://127.0.0.1:9/e"},
        "event.unbind": {"event": "ONCRMDEALADD", "handler": "http://127.0.0.1:9/e"},
        "event.offline.get": {"clear": 0},
        "event.offline.list": lambda: j.do("crm.lead.update", id=j.lead, fields={"POST": str(j.fresh("lead"))}) and {},
        "event.offline.clear": lambda: {"process_id": j.do("event.offline.get", clear=0)["process_id"] or "x"},
        "event.offline.error": {"process_id": "x", "message_id": ["y"]},
        "placement.bind": {"PLACEMENT": "LEFT_MENU", "HANDLER": "http://127.0.0.1:9/p", "TITLE": "t"},
        "placement.unbind": {"PLACEMENT": "LEFT_MENU"},
        "pull.application.event.add": {"COMMAND": "c", "PARAMS": {"a": 1}},
        "app.option.set": {"options": {"data": "1"}},
        "user.option.set": {"options": {"data": "1"}},
        "feature.get": {"CODE": "rest_auth_connector"},
        "method.get": {"name": "crm.item.list"},
        "user.search": {"FILTER": {"FIND": "Анна"}},
        "batch": {"cmd": {"a": "profile", "b": "nope", "c": "crm.lead.list"}},
        "access.name": {"ACCESS": ["U1"]},
        "api/tasks.task.add": {"fields": {"title": "T", "creatorId": 1, "responsibleId": 4}},
        "api/tasks.task.update": {"id": j.v3, "fields": {"title": "T2"}},
        "api/tasks.task.get": {"id": j.v3, "select": [*_v3_names(), "responsible.name", "responsible.email"]},
        "api/tasks.task.list": {"select": ["id", "title", "responsibleId", "deadline", "status"]},
        "api/tasks.task.delete": lambda: {"id": j.do("api/tasks.task.add",
            **table["api/tasks.task.add"])["item"]["id"]},
    }  # fmt: skip
    numbers = {"lead": j.lead, "deal": j.deal, "contact": j.contact, "company": j.company}
    for kind, number in numbers.items():
        field = j.userfields[kind]
        table[f"crm.{kind}.userfield.add"] = {"fields": j.userfield("NEW_ONE")}
        table[f"crm.{kind}.userfield.get"] = {"id": field}
        table[f"crm.{kind}.userfield.list"] = {"filter": {"LANG": "ru"}}
        table[f"crm.{kind}.userfield.update"] = {"id": field, "fields": {"SORT": 200}}
        table[f"crm.{kind}.userfield.delete"] = lambda kind=kind: {
            "id": j.do(f"crm.{kind}.userfield.add", fields=j.userfield("GONE"))
        }
        table[f"crm.{kind}.get"] = {"id": number}
        table[f"crm.{kind}.add"] = {"fields": {"TITLE": "x", "NAME": "x"}}
        table[f"crm.{kind}.update"] = {"id": number, "fields": {"COMMENTS": "x"}}
        table[f"crm.{kind}.delete"] = lambda kind=kind: {"id": j.fresh(kind)}
        table[f"crm.{kind}.list"] = {"select": ["*", "EMAIL", "PHONE"], "filter": {"ID": number}}
    for verb in ("complete", "start", "pause", "defer", "renew", "approve", "disapprove"):
        table[f"tasks.task.{verb}"] = lambda verb=verb: {"taskId": _task_for(j, verb)}
    table |= office_calls.params(j)
    if name not in table and name in REPLAYED:
        return dict(fitted(journey.worlds, journey.do, name))
    found = table.get(name, {})
    return dict(found() if callable(found) else found)


def _v3_names() -> list[str]:
    tree = CONTRACT["api/tasks.task.get"]["result"]
    return [
        path.split(".")[2] for path in tree if path.count(".") == 2 and "[" not in path and "responsible" not in path
    ]


def _task_for(j: Journey, verb: str) -> int:
    """A task in the status that the action needs."""
    fields = {
        "TITLE": "x",
        "RESPONSIBLE_ID": 4,
        "ACCOMPLICES": [5],
        "AUDITORS": [6],
        "DEADLINE": "2030-01-01T10:00:00+03:00",
    }
    number = int(j.do("tasks.task.add", fields=fields)["task"]["id"])
    root = j.do("task.checklistitem.add", TASKID=number, FIELDS={"TITLE": "r", "PARENT_ID": 0})
    j.do("task.checklistitem.add", TASKID=number, FIELDS={"TITLE": "i", "PARENT_ID": root})
    if verb == "pause":
        j.do("tasks.task.start", taskId=number)
    if verb == "renew":
        j.do("tasks.task.complete", taskId=number)
    if verb in ("approve", "disapprove"):
        j.do("tasks.task.update", taskId=number, fields={"STATUS": 4})
    return number


@pytest.fixture(scope="module")
def journey() -> Iterator[Journey]:
    with Sandbox.start("--no-limits") as portal:
        yield Journey(portal)


NAMES = sorted([entry.name for entry in METHODS.values()] + [f"api/{entry.name}" for entry in METHODS_V3.values()])
# These need a robot that waits; tests/sandbox/test_sandbox_portal.py answers one.
WAITING = {"bizproc.event.send", "bizproc.activity.log"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WAITING])
def test_an_answer_has_every_documented_key(journey: Journey, name: str) -> None:
    assert name in CONTRACT, f"{name} has no entry in tests/contract/methods.json"
    answer = journey.call_rest(name, params_of(journey, name))
    assert answer.status_code == 200, answer.text
    assert lacking(CONTRACT[name]["result"], answer.json(), [*BY_DESIGN, *DIFFERS.get(name, {})]) == []


def test_every_entry_of_the_contract_names_its_page() -> None:
    assert [name for name, entry in CONTRACT.items() if not entry["page"]] == []


# Methods that take no parameter which could be wrong, or whose wrong filter is documented to be ignored.
NO_REFUSAL = {
    "app.info", "app.option.get", "batch", "access.name", "bizproc.robot.list", "calendar.settings.get",
    "crm.automation.trigger.list",
    "crm.settings.mode.get", "crm.status.entity.types", "crm.status.fields", "crm.status.list", "department.get",
    "event.get",
    "event.offline.list",
    "event.offline.get", "event.test", "events", "method.get", "methods", "placement.get", "placement.list", "profile",
    "scope",
    "server.time", "timeman.close", "timeman.open", "timeman.pause", "timeman.settings", "timeman.status",
    "pull.application.config.get", "user.admin", "user.current",
    "user.fields", "user.get", "user.option.get", "user.search", "voximplant.statistic.get", "crm.activity.list",
    "tasks.task.list",
    "api/rest.scope.list", "api/tasks.task.list", "calendar.event.get", "event.unbind", "placement.unbind",
    *(f"crm.{kind}.{verb}" for kind in ("lead", "deal", "contact", "company")
      for verb in ("list", "fields", "userfield.list")),
}  # fmt: skip
NONSENSE: dict[str, Any] = {
    "entityTypeId": "ерунда", "id": "ерунда", "taskId": "ерунда", "TASKID": "ерунда", "fields": "ерунда",
    "FIELDS": "ерунда", "CODE": "",
    "EVENT_TOKEN": "ерунда", "type": "ерунда", "users": "", "USER_ID": "ерунда", "event": "ерунда",
    "PLACEMENT": "ЕРУНДА",
    "HANDLER": "ерунда", "target": "ерунда", "CALL_ID": 5, "options": "ерунда", "process_id": "", "DIALOG_ID": "ерунда",
}  # fmt: skip
ABSENT: dict[str, Any] = {
    "entityTypeId": 1, "id": 999999, "taskId": 999999, "TASKID": 999999, "ITEMID": 999999, "AFTERITEMID": 999999,
    "userId": 4,
    "fields": {"TITLE": "x", "ENTITY_TYPE": "lead", "ENTITY_ID": 999999, "COMMENT": "x", "RESPONSIBLE_ID": 999999,
        "TYPE_ID": 2,
               "SUBJECT": "s", "OWNER_TYPE_ID": 1, "OWNER_ID": 999999, "COMMUNICATIONS": [{"VALUE": "+7"}],
               "title": "x",
               "creatorId": 1, "responsibleId": 999999},
    "FIELDS": {"TITLE": "x", "NAME": "x"}, "filter": {"ENTITY_TYPE": "lead", "ENTITY_ID": 999999}, "CODE": "absent",
    "NAME": "x",
    "EVENT_TOKEN": "a|b|c", "LOG_MESSAGE": "x", "USER_ID": 999999, "MESSAGE": "x", "DIALOG_ID": "999999",
    "event": "ONNOTHING",
    "handler": "http://127.0.0.1:9/e", "PLACEMENT": "NOWHERE", "HANDLER": "http://127.0.0.1:9/e",
    "target": "LEAD_999999",
    "CALL_ID": "absent", "OWNER_TYPE_ID": 1, "OWNER_ID": 999999, "PHONE_NUMBER": "79005550001", "TYPE": 2,
    "type": "user",
    "ownerId": 999999, "name": "x", "from": "2026-12-01", "to": "2026-12-02",
}  # fmt: skip
NO_REFUSAL |= office_calls.NO_REFUSAL
NO_OBJECT = NO_REFUSAL | {
    "app.option.set", "user.option.set", "calendar.accessibility.get", "calendar.event.get", "crm.item.add",
    "crm.item.fields",
    "crm.item.list", "crm.stagehistory.list", "crm.duplicate.findbycomm", "feature.get", "bizproc.robot.add",
    "event.offline.clear",
    "event.offline.error", "event.unbind", "placement.unbind", "pull.application.event.add",
    "crm.automation.trigger.add", "crm.item.details.configuration.get", "crm.item.details.configuration.reset",
    "crm.item.details.configuration.forceCommonScopeForAll",
    *(f"crm.{kind}.add" for kind in ("lead", "deal", "contact", "company")),
}  # fmt: skip


NO_OBJECT |= office_calls.NO_OBJECT


def _is_refusal(answer: requests.Response) -> bool:
    body = answer.json()
    if isinstance(body.get("error"), dict):
        return answer.status_code >= 400 and bool(body["error"]["code"])
    return "error" in body and bool(body["error_description"]) and "result" not in body


CRM_NONSENSE = {
    "ownerTypeId": "ерунда", "code": "", "filter": {"OWNER_ID": "ерунда", "ENTITY_TYPE": "ерунда"}, "activityId": "x",
    "moduleId": "ерунда", "params": "ерунда", "preset": "ерунда", "data": "ерунда", "values": "", "rows": "ерунда",
}  # fmt: skip


def _is_crm(name: str) -> bool:
    return name.split(".")[0] in example_crm.FAMILIES


def _refuses(name: str) -> bool:
    return example_crm.refuses_nonsense(name) if _is_crm(name) else name not in NO_REFUSAL


def _refuses_absent(name: str) -> bool:
    return example_crm.refuses_absent(name) if _is_crm(name) else name not in NO_OBJECT


REFUSING = [name for name in NAMES if _refuses(name)]
ABSENT_CASES = [name for name in NAMES if _refuses_absent(name)]


@pytest.mark.parametrize("name", REFUSING)
def test_nonsense_gets_a_proper_error(journey: Journey, name: str) -> None:
    answer = journey.call_rest(name, office_calls.NONSENSE.get(name, NONSENSE | CRM_NONSENSE))
    assert _is_refusal(answer), answer.text
    assert answer.status_code < 500


@pytest.mark.parametrize("name", ABSENT_CASES)
def test_an_object_that_does_not_exist_gets_a_proper_error(journey: Journey, name: str) -> None:
    params = {
        key: value for key, value in ABSENT.items() if not (name.startswith("crm.category") and key == "entityTypeId")
    }
    params |= {"users": [999999]} if "accessibility" in name else {}
    if _is_crm(name) and EXAMPLES.get(name, (None, {"request": None}))[1]["request"]:
        params = example_crm.absent(EXAMPLES[name][1]["request"])
    answer = journey.call_rest(name, office_calls.absent(journey, name) or params)
    assert _is_refusal(answer), answer.text
    assert answer.status_code < 500


@pytest.mark.parametrize("name", NAMES)
def test_no_method_breaks_on_parameters_of_odd_types(journey: Journey, name: str) -> None:
    entry = METHODS_V3.get(name[4:].lower()) if name.startswith("api/") else METHODS.get(name.lower())
    assert entry is not None
    for odd in ([], {}, "", None, True, -1, 10**30, 1.5, "x" * 300, [[1]], {"a": {"b": [None]}}):
        answer = journey.call_rest(name, dict.fromkeys(entry.params, odd))
        assert answer.status_code < 500, (odd, answer.text)
        answer.json()
