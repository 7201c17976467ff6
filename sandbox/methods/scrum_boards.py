"""Scrum: tasks.api.scrum.kanban and epic (api-reference/sonet-group/scrum)."""

from __future__ import annotations

from typing import Any

from sandbox import disk, scrum
from sandbox.filters import Column
from sandbox.method import Call, Page, Row, as_int, as_list, method, plain
from sandbox.methods.scrum import (
    DENIED,
    enter,
    fields_of,
    listed,
    named,
    people,
    refused,
    sprint_of,
    structure,
    text_of,
    whole,
)

_API = "tasks.api.scrum"
_NO_SPRINT_ID, _NO_SPRINT = "Sprint id not found", "Sprint not found"
_UNKNOWN = "Unknown error"

# --- the kanban -------------------------------------------------------------------------------------------------------


def _active(call: Call, number: int) -> Row:
    """The sprint of that id, which has to be going on: only its kanban is worked with.

    [verify] The page of addStage says so and names no error; that of sprint.complete words it so.
    """
    row = sprint_of(call, number)
    if row["STATUS"] != scrum.ACTIVE:
        raise refused(_NO_SPRINT)
    return row


def _stage_values(given: Row) -> Row:
    values: Row = {}
    if given.get("type") is not None:
        values["SYSTEM_TYPE"] = given["type"]
    if given.get("sort") is not None:
        values["SORT"] = as_int(given["sort"])
    # [verify] Types and numbers that cannot be get the error of the pages that has no description.
    if values.get("SYSTEM_TYPE", scrum.WORK) not in scrum.TYPES:
        raise refused(_UNKNOWN)
    if "SORT" in values and (values["SORT"] is None or values["SORT"] <= 0 or values["SORT"] % 100):
        raise refused(_UNKNOWN)
    if given.get("color") is not None:
        values["COLOR"] = text_of(given, "color").lstrip("#")
    return values


def _stage_name(given: Row) -> str:
    name = text_of(given, "name")
    if not name:
        raise refused("Incorrect name format")
    return name


@method(f"{_API}.kanban.addStage", scope="task", params="fields!", style="controller", writes=True)
def stage_add(call: Call) -> int:
    given = structure(call, "fields")
    number = as_int(given.get("sprintId"))
    if not number:
        raise refused(_NO_SPRINT_ID)
    sprint = _active(call, number)
    name, values = _stage_name(given), _stage_values(given)
    kind, color = values.get("SYSTEM_TYPE", scrum.WORK), values.get("COLOR") or "C9D1D5"
    row = scrum.add_stage(call.portal, sprint["ID"], name, kind, color, values.get("SORT", 0))
    call.portal.effect("create", "scrum stage", row["ID"], call.user_id, call.actor.via, sprint=sprint["ID"])
    return int(row["ID"])


def _stage(call: Call) -> Row:
    row = call.portal["task_stages"].get(named(call, "stageId", "Stage id not found"))
    sprint = call.portal["scrum_entities"].get(row.get("SPRINT_ID")) if row is not None else None
    if row is None or sprint is None:
        raise refused("Stage not found")
    enter(call, sprint["GROUP_ID"])
    return row


def _keep(call: Call, row: Row) -> None:
    """A kanban must keep a first and a final column. [verify] The pages say it and name no error."""
    kinds = [one["SYSTEM_TYPE"] for one in scrum.stages(call.portal, row["SPRINT_ID"])]
    if row["SYSTEM_TYPE"] != scrum.WORK and kinds.count(row["SYSTEM_TYPE"]) == 1:
        raise refused(_UNKNOWN)


@method(f"{_API}.kanban.updateStage", scope="task", params="stageId fields!", style="controller", writes=True)
def stage_update(call: Call) -> bool:
    given, row = structure(call, "fields"), _stage(call)
    values = _stage_values(given)
    if "name" in given:
        values["TITLE"] = _stage_name(given)
    if given.get("sprintId") is not None:
        values["SPRINT_ID"] = _target(call, row, as_int(given["sprintId"]))
    if values.get("SYSTEM_TYPE", row["SYSTEM_TYPE"]) != row["SYSTEM_TYPE"] or "SPRINT_ID" in values:
        changed = {**row, **values}
        if (changed["SYSTEM_TYPE"], changed["SPRINT_ID"]) != (row["SYSTEM_TYPE"], row["SPRINT_ID"]):
            _keep(call, row)
    row.update(values)
    call.portal.effect("update", "scrum stage", row["ID"], call.user_id, call.actor.via, fields=sorted(values))
    return True


def _target(call: Call, row: Row, number: int | None) -> int:
    """The sprint to which a stage may go: one of the caller's scrums, and without tasks in the stage."""
    sprint = call.portal["scrum_entities"].get(number)
    known = sprint is not None and sprint["ENTITY_TYPE"] == scrum.SPRINT
    if sprint is None or not known or not scrum.can_enter(call.portal, sprint["GROUP_ID"], call.user):
        raise refused("Incorrect sprintId value")
    if sprint["ID"] != row["SPRINT_ID"] and scrum.cards(call.portal, row):
        raise refused("Incorrect sprintId value")
    return int(sprint["ID"])


@method(f"{_API}.kanban.getStages", scope="task", params="sprintId", style="controller")
def stages_get(call: Call) -> list[Row]:
    sprint = sprint_of(call, named(call, "sprintId", _NO_SPRINT_ID))
    return [
        {
            "id": str(row["ID"]), "name": row["TITLE"], "sort": str(row["SORT"]), "type": row["SYSTEM_TYPE"],
            "sprintId": str(row["SPRINT_ID"]), "color": row["COLOR"],
        }
        for row in scrum.stages(call.portal, sprint["ID"])
    ]  # fmt: skip


@method(f"{_API}.kanban.deleteStage", scope="task", params="stageId", style="controller", writes=True)
def stage_delete(call: Call) -> bool:
    row = _stage(call)
    if scrum.cards(call.portal, row):
        raise refused("Stage has tasks")
    _keep(call, row)
    call.portal["task_stages"].remove(row["ID"])
    call.portal.effect("delete", "scrum stage", row["ID"], call.user_id, call.actor.via)
    return True


def _task(call: Call, number: int, sprint: Row) -> Row:
    row = call.portal["tasks"].get(number)
    if row is None or row["GROUP_ID"] != sprint["GROUP_ID"]:
        raise refused("Task not found. The task must be with GROUP_ID")
    return row


@method(f"{_API}.kanban.addTask", scope="task", params="sprintId taskId stageId", style="controller", writes=True)
def card_add(call: Call) -> bool:
    sprint_id, task_id = named(call, "sprintId", _NO_SPRINT_ID), named(call, "taskId", "TaskId id not found")
    stage_id = named(call, "stageId", "StageId id not found")
    sprint = _active(call, sprint_id)
    stage = call.portal["task_stages"].get(stage_id)
    if stage is None or stage.get("SPRINT_ID") != sprint["ID"]:
        raise refused("Stage not found")
    row = _task(call, task_id, sprint)
    # [verify] A task of the backlog comes into the sprint with its card: a kanban shows the tasks of its sprint.
    scrum.put(call.portal, row, sprint, call.actor)
    scrum.show_stage(call.portal, row, stage["ID"], call.actor)
    return True


@method(f"{_API}.kanban.deleteTask", scope="task", params="sprintId taskId", style="controller", writes=True)
def card_delete(call: Call) -> bool:
    sprint_id, task_id = named(call, "sprintId", _NO_SPRINT_ID), named(call, "taskId", "TaskId id not found")
    sprint = _active(call, sprint_id)
    row = _task(call, task_id, sprint)
    if scrum.in_entity(row, scrum.SPRINT) == sprint["ID"]:
        scrum.show_stage(call.portal, row, 0, call.actor)
    return True


@method(f"{_API}.kanban.getFields", scope="task", style="controller")
def stage_fields(call: Call) -> Row:
    return fields_of("name:string sort:integer type:string sprintId:integer color:string")


# --- epics ------------------------------------------------------------------------------------------------------------

_COLUMNS = {name: Column(name, "int") for name in ("ID", "GROUP_ID", "CREATED_BY", "MODIFIED_BY")}
_COLUMNS |= {name: Column(name) for name in ("NAME", "DESCRIPTION", "COLOR")}
# [verify] The colour of an epic that names none: that of the page's examples.
_COLOR = "#69dafc"


def _epic(row: Row) -> Row:
    return {
        "id": row["ID"], "groupId": row["GROUP_ID"], "name": row["NAME"], "description": row["DESCRIPTION"],
        "createdBy": row["CREATED_BY"], "modifiedBy": row["MODIFIED_BY"], "color": row["COLOR"],
    }  # fmt: skip


def _own_epic(call: Call) -> Row:
    row = call.portal["scrum_epics"].get(whole(call, "id"))
    if row is None:
        raise refused("Epic not found")
    enter(call, row["GROUP_ID"])
    return row


def _texts(given: Row) -> Row:
    names = {"description": "DESCRIPTION", "color": "COLOR"}
    return {inner: text_of(given, name) for name, inner in names.items() if given.get(name) is not None}


@method(f"{_API}.epic.add", scope="task", params="fields!", style="controller", writes=True)
def epic_add(call: Call) -> Row:
    given, portal = structure(call, "fields"), call.portal
    group = as_int(given.get("groupId")) or 0
    if not scrum.is_scrum(portal, group):
        raise refused("Group is not found")
    enter(call, group)
    name = text_of(given, "name")
    if not name:
        raise refused("Name is not found")
    row: Row = {
        "GROUP_ID": group, "NAME": name, "DESCRIPTION": "", "CREATED_BY": call.user_id, "MODIFIED_BY": call.user_id,
        "COLOR": _COLOR, **_texts(given), **people(call, given),
    }  # fmt: skip
    row["COLOR"] = row["COLOR"] or _COLOR
    portal["scrum_epics"].add(row)
    if not scrum.hang(portal, row, _codes(given), call.user):
        portal["scrum_epics"].remove(row["ID"])
        raise refused("Epic not created")
    portal.effect("create", "epic", row["ID"], call.user_id, call.actor.via)
    return _epic(row)


def _codes(given: Row) -> list[str]:
    return [plain(one) for one in as_list(given.get("files")) if not isinstance(one, (dict, list))]


@method(f"{_API}.epic.update", scope="task", params="id! fields!", style="controller", writes=True)
def epic_update(call: Call) -> Row:
    """The table marks name and groupId as required, the page's example leaves groupId out: what is absent stays."""
    given, row = structure(call, "fields"), _own_epic(call)
    values = {"MODIFIED_BY": call.user_id, **_texts(given), **people(call, given)}
    if given.get("groupId") is not None:
        values["GROUP_ID"] = as_int(given["groupId"]) or 0
        if not scrum.is_scrum(call.portal, values["GROUP_ID"]):
            raise refused(DENIED)
        enter(call, values["GROUP_ID"])
    if "name" in given:
        values["NAME"] = text_of(given, "name")
    if values.get("NAME") == "" or ("files" in given and not scrum.hang(call.portal, row, _codes(given), call.user)):
        raise refused("Epic not updated")
    if values.get("GROUP_ID", row["GROUP_ID"]) != row["GROUP_ID"]:
        scrum.leave_epic(call.portal, row)
    row.update(values)
    call.portal.effect("update", "epic", row["ID"], call.user_id, call.actor.via, fields=sorted(given))
    return _epic(row)


@method(f"{_API}.epic.get", scope="task", params="id!", style="controller")
def epic_get(call: Call) -> Row:
    row = _own_epic(call)
    files = [one["ID"] for one in disk.attachments(call.portal, scrum.FILES, row["ID"])]
    field = "UF_SCRUM_EPIC_FILES"
    return {
        **_epic(row),
        "files": {
            "ID": "136", "ENTITY_ID": "TASKS_SCRUM_EPIC", "FIELD_NAME": field, "USER_TYPE_ID": "disk_file",
            "XML_ID": None, "SORT": "100", "MULTIPLE": "Y", "MANDATORY": "N", "SHOW_FILTER": "N", "SHOW_IN_LIST": "N",
            "EDIT_IN_LIST": "N", "IS_SEARCHABLE": "N",
            "SETTINGS": {"IBLOCK_ID": None, "SECTION_ID": None, "UF_TO_SAVE_ALLOW_EDIT": False},
            "USER_TYPE": {
                "USER_TYPE_ID": "disk_file", "CLASS_NAME": "Bitrix\\Disk\\Uf\\FileUserType",
                "DESCRIPTION": "Файл (Диск)", "BASE_TYPE": "int", "TAG": ["DISK FILE ID", "DOCUMENT ID"],
            },
            "VALUE": files, "ENTITY_VALUE_ID": row["ID"], "CUSTOM_DATA": {"PHOTO_TEMPLATE": ""},
            "EDIT_FORM_LABEL": field, "TAG": "DOCUMENT ID",
        },
    }  # fmt: skip


@method(f"{_API}.epic.list", scope="task", params="order filter select start", style="controller")
def epic_list(call: Call) -> Page:
    return listed(
        call, "scrum_epics", _COLUMNS, _epic, lambda row: scrum.can_enter(call.portal, row["GROUP_ID"], call.user)
    )


@method(f"{_API}.epic.delete", scope="task", params="id!", style="controller", writes=True)
def epic_delete(call: Call) -> list[Any]:
    scrum.delete_epic(call.portal, _own_epic(call), call.actor)
    return []


@method(f"{_API}.epic.getFields", scope="task", style="controller")
def epic_fields(call: Call) -> Row:
    return fields_of(
        "name:string description:string groupId:integer color:string files:array createdBy:integer modifiedBy:integer"
    )
