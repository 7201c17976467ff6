"""What the contract test calls of task templates, their check-lists and flows: see office_calls."""

from __future__ import annotations

import base64
from typing import Any

FILE = base64.b64encode(b"content of a file").decode()
_RULE = {"PERIOD": "weekly", "WEEK_DAYS": [2], "TIME": "11:00", "START_DATE": "03/16/2026 00:00:00"}


def params(j: Any) -> dict[str, Any]:
    """Makes a template with a check-list and a file, and a flow; parameters by method."""
    storage = j.do("disk.storage.getlist", filter={"ENTITY_TYPE": "user", "ENTITY_ID": 1})[0]["ID"]
    names = ["шаблон.txt", "пункт.txt", "пункт 2.txt"]
    files = [
        f"n{j.do('disk.storage.uploadfile', id=storage, data={'NAME': name}, fileContent=[name, FILE])['ID']}"
        for name in names
    ]
    parent = int(j.do("tasks.task.add", fields={"TITLE": "Над шаблоном", "RESPONSIBLE_ID": 1})["task"]["id"])
    fields = {"TITLE": "Шаблон", "CREATED_BY": 1, "RESPONSIBLE_ID": 4, "PARENT_ID": parent, "REPLICATE": "Y"}
    facts = {**fields, "REPLICATE_PARAMS": _RULE}
    full = {**facts, "UF_TASK_WEBDAV_FILES": files[:1], "UF_CRM_TASK": [f"L_{j.lead}"]}
    template = j.do("tasks.template.add", fields=full)

    def item(title: str, above: int, **more: Any) -> int:
        given = {"TITLE": title, "PARENT_ID": above, **more}
        made = j.do("tasks.template.checklist.add", templateId=template, fields=given)
        return int(made["checkListItem"]["id"])

    root = item("Список", 0)
    member = {"4": {"TYPE": "A"}}
    first, second = item("Раз", root, MEMBERS=member), item("Два", root, MEMBERS=member)
    own = {"templateId": template, "checkListItemId": first}

    def attached() -> dict[str, Any]:
        made = j.do("tasks.template.checklist.addAttachmentsFromDisk", **own, filesIds=files[1:])
        return {**own, "attachmentsIds": list(made["checkListItem"]["attachments"])}

    def with_files() -> dict[str, Any]:
        attached()
        return own

    count = [0]

    def flow_data(**more: Any) -> dict[str, Any]:
        count[0] += 1
        way = {"distributionType": "manually", "responsibleList": [["user", "3"]], "plannedCompletionTime": 7200}
        return {"flowData": {"name": f"Поток {count[0]}", **way, **more}}

    def new_flow() -> int:
        return int(j.do("tasks.flow.Flow.create", **flow_data())["id"])

    flow = new_flow()
    check = "tasks.template.checklist"
    return {
        "tasks.template.add": {"fields": facts},
        "tasks.template.get": {"templateId": template},
        "tasks.template.update": {"templateId": template, "fields": {"TITLE": "Шаблон 2"}},
        "tasks.template.delete": lambda: {"templateId": j.do("tasks.template.add", fields=fields)},
        f"{check}.add": {"templateId": template, "fields": {"TITLE": "x", "PARENT_ID": root, "MEMBERS": member}},
        f"{check}.update": {**own, "fields": {"TITLE": "Раз и ещё"}},
        f"{check}.get": with_files,
        f"{check}.list": {"templateId": template},
        f"{check}.delete": lambda: {"templateId": template, "checkListItemId": item("x", root)},
        f"{check}.complete": own,
        f"{check}.renew": own,
        f"{check}.moveAfter": {**own, "afterItemId": second},
        f"{check}.moveBefore": lambda: {**with_files(), "beforeItemId": second},
        f"{check}.addAttachmentByContent": {**own, "attachmentParameters": {"NAME": "a.txt", "CONTENT": FILE}},
        f"{check}.addAttachmentsFromDisk": {**own, "filesIds": files[1:]},
        f"{check}.removeAttachments": attached,
        "tasks.flow.Flow.create": flow_data,
        "tasks.flow.Flow.update": lambda: flow_data(id=flow),
        "tasks.flow.Flow.get": {"flowId": flow},
        "tasks.flow.Flow.pin": {"flowId": flow},
        "tasks.flow.Flow.activate": {"flowId": flow},
        "tasks.flow.Flow.delete": lambda: {"flowData": {"id": new_flow()}},
        "tasks.flow.Flow.isExists": {"flowData": {"name": "Поток 1"}},
    }


NO_REFUSAL = {"tasks.template.fields"}
# A template that does not exist is answered false, one without its fields 0: documented answers.
NO_OBJECT = {"tasks.template.add", "tasks.template.get", "tasks.template.update", "tasks.template.delete"}
_NOBODY = {"plannedCompletionTime": 60, "distributionType": "queue", "responsibleList": [["user", "999999"]]}
_ITEM = {"templateId": 999999, "checkListItemId": 999999, "fields": {"TITLE": "x", "PARENT_ID": 0}}
ABSENT: dict[str, Any] = {
    **{f"tasks.template.checklist.{verb}": _ITEM for verb in ("add", "update", "get", "list", "delete", "complete",
        "renew")},
    "tasks.template.checklist.moveAfter": {**_ITEM, "afterItemId": 999999},
    "tasks.template.checklist.moveBefore": {**_ITEM, "beforeItemId": 999999},
    "tasks.template.checklist.addAttachmentByContent": {**_ITEM, "attachmentParameters": {"NAME": "x", "CONTENT": "x"}},
    "tasks.template.checklist.addAttachmentsFromDisk": {**_ITEM, "filesIds": ["n999999"]},
    "tasks.template.checklist.removeAttachments": {**_ITEM, "attachmentsIds": [999999]},
    **{f"tasks.flow.Flow.{verb}": {"flowId": 999999} for verb in ("get", "pin", "activate")},
    "tasks.flow.Flow.create": {"flowData": {"name": "x", **_NOBODY}},
    "tasks.flow.Flow.update": {"flowData": {"id": 999999, "name": "x", **_NOBODY}},
    "tasks.flow.Flow.delete": {"flowData": {"id": 999999}},
    "tasks.flow.Flow.isExists": {"flowData": {"id": 999999}},
}  # fmt: skip
