"""A company on the scripted portal: its CRM, telephony and people, each method as far as the handlers ask it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from scripted_portal import ANNA, BORIS, HEAD, VERA

from b24app.bitrix.calls import Answer, Call
from b24app.errors import NotFound
from b24app.playbook import parse_playbook

PLAYBOOK = parse_playbook(
    'name = "x"\n[assignment]\ndepartment = "Продажи"\nclock = "required"\n[hours]\ncountry = ""\n', "x"
)
"""Only the working-day clock says who works, so that these tests pass at any time of day."""
PHONE = "+79123456789"
TYPES = {"LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4}


class Company:
    def __init__(self) -> None:
        self.items: dict[tuple[int, int], dict[str, Any]] = {}
        self.statistics: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.notices: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.clocks = dict.fromkeys((ANNA, BORIS, VERA), "OPENED")
        self.people = {
            id: {"ID": str(id), "ACTIVE": True, "NAME": name, "UF_DEPARTMENT": [5]}
            for id, name in ((HEAD, "Глава"), (ANNA, "Анна"), (BORIS, "Борис"), (VERA, "Вера"))
        }
        self.departments = [
            {"ID": "1", "NAME": "ООО", "UF_HEAD": "1"},
            {"ID": "5", "NAME": "Продажи", "PARENT": "1", "UF_HEAD": str(HEAD)},
        ]
        self.ids = itertools.count(42)
        self.errors: dict[str, Any] = {}

    def __call__(self, call: Call) -> Any:
        if call.method in self.errors:
            return self.errors[call.method]
        return getattr(self, call.method.replace(".", "_"))(call.params)

    def make(self, kind: int = 1, *, age: timedelta = timedelta(seconds=10), **fields: Any) -> int:
        """Puts an item into the CRM; telephony's lead of PHONE where nothing else is said."""
        id = next(self.ids)
        made_at = (datetime.now(UTC) - age).isoformat()
        row = {
            "id": id,
            "title": "Входящий звонок",
            "assignedById": 9,
            "createdBy": 9,
            "createdTime": made_at,
            "updatedTime": made_at,
            "updatedBy": 9,
            "stageId": "NEW",
            "stageSemanticId": "P",
            "sourceId": "CALL",
            "observers": [],
            "originId": "",
            "fm": [{"typeId": "PHONE", "value": PHONE}],
            **fields,
        }
        self.items[kind, id] = row
        self.history.append({"ID": str(len(self.history) + 1), "TYPE_ID": 1, "OWNER_ID": id})
        return id

    def call(self, call_id: str, code: str, *, user: int = 9, of: tuple[str, int] | None = None, kind: int = 2) -> None:
        """Puts a finished call into the statistics."""
        self.statistics.append(
            {
                "ID": str(len(self.statistics) + 1),
                "CALL_ID": call_id,
                "CALL_TYPE": str(kind),
                "PHONE_NUMBER": PHONE,
                "PORTAL_USER_ID": str(user),
                "CALL_FAILED_CODE": code,
                "CALL_START_DATE": (datetime.now(UTC) - timedelta(seconds=12)).isoformat(),
                "CRM_ENTITY_TYPE": of[0] if of else None,
                "CRM_ENTITY_ID": str(of[1]) if of else None,
                "CRM_ACTIVITY_ID": None,
            }
        )

    # CRM

    def crm_item_get(self, params: Mapping[str, Any]) -> Any:
        row = self.items.get((params["entityTypeId"], int(params["id"] or 0)))
        return NotFound("Элемент не найден", code="NOT_FOUND") if row is None else {"item": row}

    def crm_item_list(self, params: Mapping[str, Any]) -> Any:
        rows = [row for (kind, _), row in self.items.items() if kind == params["entityTypeId"]]
        for name, value in params["filter"].items():
            rows = [row for row in rows if _matches(row, name, value)]
        rows.sort(key=lambda row: row["id"], reverse=params.get("order", {}).get("id") == "DESC")
        return Answer({"items": rows}, datetime.now(UTC), total=len(rows))

    def crm_item_update(self, params: Mapping[str, Any]) -> Any:
        row = self.items.get((params["entityTypeId"], int(params["id"] or 0)))
        if row is None:
            return NotFound("Элемент не найден", code="NOT_FOUND")
        row.update(params["fields"])
        return {"item": row}

    def crm_item_add(self, params: Mapping[str, Any]) -> Any:
        fields = dict(params["fields"])
        return {"item": self.items[params["entityTypeId"], self.make(params["entityTypeId"], **fields)]}

    def crm_duplicate_findbycomm(self, params: Mapping[str, Any]) -> Any:
        kind = TYPES[params["entity_type"]]
        numbers = set(params["values"])
        hits = [
            id
            for (of, id), row in self.items.items()
            if of == kind and numbers & {entry["value"] for entry in row.get("fm") or []}
        ]
        return {params["entity_type"]: hits} if hits else []

    def crm_stagehistory_list(self, params: Mapping[str, Any]) -> Any:
        return {"items": sorted(self.history, key=lambda row: -int(row["ID"]))}

    def crm_status_list(self, _: Any) -> Any:
        return [{"STATUS_ID": "CALL", "NAME": "Звонок"}]

    def crm_timeline_comment_add(self, params: Mapping[str, Any]) -> Any:
        self.comments.append(dict(params["fields"]))
        return 900 + len(self.comments)

    # telephony, people, tasks

    def voximplant_statistic_get(self, params: Mapping[str, Any]) -> Any:
        wanted = params["FILTER"]
        return [row for row in reversed(self.statistics) if all(str(row[k]) == str(v) for k, v in wanted.items())]

    def department_get(self, params: Mapping[str, Any]) -> Any:
        return self.departments[params["START"] : params["START"] + 50]

    def user_get(self, params: Mapping[str, Any]) -> Any:
        wanted = params["FILTER"]
        if "ID" in wanted:
            return [self.people[id] for id in wanted["ID"] if id in self.people][:50]
        departments = set(wanted["UF_DEPARTMENT"])
        found = [p for p in self.people.values() if p["ACTIVE"] and departments & set(p["UF_DEPARTMENT"])]
        return found[params["start"] : params["start"] + 50]

    def timeman_status(self, params: Mapping[str, Any]) -> Any:
        return {"STATUS": self.clocks.get(params["USER_ID"], "CLOSED"), "TIME_START": None}

    def calendar_accessibility_get(self, _: Any) -> Any:
        return []

    def calendar_settings_get(self, _: Any) -> Any:
        return {"work_time_start": "9", "work_time_end": "18", "week_holidays": ["SA", "SU"], "year_holidays": ""}

    def tasks_task_add(self, params: Mapping[str, Any]) -> Any:
        self.tasks.append({"id": str(70 + len(self.tasks)), **params["fields"]})
        return {"item": self.tasks[-1]}

    def im_notify_personal_add(self, params: Mapping[str, Any]) -> Any:
        self.notices.append(dict(params))
        return 5

    def bizproc_event_send(self, params: Mapping[str, Any]) -> Any:
        self.answers.append(dict(params))
        return True


def _matches(row: Mapping[str, Any], name: str, value: Any) -> bool:
    if name == "originatorId":
        return True
    if name.startswith("@"):
        return row[name[1:]] in value
    if name.startswith(">="):
        return datetime.fromisoformat(row[name[2:]]) >= datetime.fromisoformat(value)
    if name.startswith(">"):
        return bool(row[name[1:]] > value)
    return str(row.get(name)) == str(value)
