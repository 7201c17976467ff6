"""What the contract test calls of scrum: backlogs, sprints, the kanban, epics, tasks: see office_calls."""

from __future__ import annotations

import base64
from typing import Any

API = "tasks.api.scrum"
FILE = base64.b64encode(b"content of a file").decode()


def params(j: Any) -> dict[str, Any]:
    """Makes a scrum with an active sprint, a stage of its own, tasks and an epic with a file; parameters by method."""
    storage = j.do("disk.storage.getlist", filter={"ENTITY_TYPE": "user", "ENTITY_ID": 1})[0]["ID"]
    name = "эпик.txt"
    file = j.do("disk.storage.uploadfile", id=storage, data={"NAME": name}, fileContent=[name, FILE])["ID"]
    files = [f"n{file}"]

    def new_group(master: int = 1) -> dict[str, Any]:
        return dict(j.portal.control("POST", "groups", {"name": "Скрам", "owner_id": 1, "scrum_master_id": master}))

    def new_sprint(group: int, status: str = "planned") -> int:
        fields = {"name": "Спринт", "groupId": group, "status": status}
        return int(j.do(f"{API}.sprint.add", fields=fields)["id"])

    scrum = new_group()
    group = scrum["id"]
    sprint = new_sprint(group, "active")
    stages = j.do(f"{API}.kanban.getStages", sprintId=sprint)

    def new_stage() -> int:
        return int(j.do(f"{API}.kanban.addStage", fields={"sprintId": sprint, "name": "Проверка"}))

    def new_epic() -> int:
        return int(j.do(f"{API}.epic.add", fields={"name": "epic", "groupId": group, "files": files})["id"])

    stage, epic = new_stage(), new_epic()
    fields = {"TITLE": "Скрам", "RESPONSIBLE_ID": 1, "GROUP_ID": group}
    task = int(j.do("tasks.task.add", fields=fields)["task"]["id"])
    planned = new_sprint(group)
    card = {"sprintId": sprint, "taskId": task}

    def under_way() -> dict[str, Any]:
        other = new_group()["id"]
        new_sprint(other, "active")
        return {"id": other}

    return {
        f"{API}.backlog.add": lambda: {"fields": {"groupId": new_group(0)["id"], "createdBy": 1}},
        f"{API}.backlog.update": {"id": scrum["backlog_id"], "fields": {"groupId": group, "createdBy": 1}},
        f"{API}.backlog.get": {"id": group},
        f"{API}.backlog.delete": lambda: {"id": new_group()["backlog_id"]},
        f"{API}.sprint.add": {"fields": {"name": "Спринт", "groupId": group, "createdBy": 1}},
        f"{API}.sprint.update": {"id": planned, "fields": {"name": "Спринт 2", "groupId": group}},
        f"{API}.sprint.get": {"sprintId": sprint},
        f"{API}.sprint.list": {"filter": {"GROUP_ID": group}},
        f"{API}.sprint.delete": lambda: {"id": new_sprint(group)},
        f"{API}.sprint.start": lambda: {"id": new_sprint(new_group()["id"])},
        f"{API}.sprint.complete": under_way,
        f"{API}.kanban.addStage": {"fields": {"sprintId": sprint, "name": "Ещё"}},
        f"{API}.kanban.updateStage": {"stageId": stage, "fields": {"name": "Приёмка"}},
        f"{API}.kanban.getStages": {"sprintId": sprint},
        f"{API}.kanban.deleteStage": lambda: {"stageId": new_stage()},
        f"{API}.kanban.addTask": {**card, "stageId": int(stages[1]["id"])},
        f"{API}.kanban.deleteTask": card,
        f"{API}.epic.add": {"fields": {"name": "epic", "groupId": group, "files": files}},
        f"{API}.epic.update": {"id": epic, "fields": {"name": "epic 2", "files": files}},
        f"{API}.epic.get": {"id": epic},
        f"{API}.epic.list": {"filter": {"GROUP_ID": group}},
        f"{API}.epic.delete": lambda: {"id": new_epic()},
        f"{API}.task.get": {"id": task},
        f"{API}.task.update": {"id": task, "fields": {"epicId": epic, "entityId": sprint}},
    }


# These ask for nothing.
NO_REFUSAL = {f"{API}.{kind}.getFields" for kind in ("backlog", "sprint", "kanban", "epic", "task")}
_NOWHERE = {"sprintId": 999999, "taskId": 999999, "stageId": 999999}
ABSENT: dict[str, Any] = {
    f"{API}.backlog.add": {"fields": {"groupId": 999999, "createdBy": 1}},
    f"{API}.backlog.update": {"id": 999999, "fields": {"createdBy": 1}},
    f"{API}.sprint.add": {"fields": {"groupId": 999999, "name": "x"}},
    f"{API}.sprint.update": {"id": 999999, "fields": {"name": "x"}},
    f"{API}.sprint.get": {"sprintId": 999999},
    f"{API}.sprint.list": {"filter": {"GROUP_ID": 999999}},
    f"{API}.kanban.addStage": {"fields": {"sprintId": 999999, "name": "x"}},
    f"{API}.kanban.updateStage": {"stageId": 999999, "fields": {"name": "x"}},
    **{f"{API}.kanban.{verb}": _NOWHERE for verb in ("getStages", "deleteStage", "addTask", "deleteTask")},
    f"{API}.epic.add": {"fields": {"groupId": 999999, "name": "x"}},
    f"{API}.epic.update": {"id": 999999, "fields": {"name": "x"}},
    f"{API}.epic.list": {"filter": {"GROUP_ID": 999999}},
    f"{API}.task.update": {"id": 999999, "fields": {"storyPoints": "8"}},
}
