"""Scrum: tasks.api.scrum.backlog, sprint and task (api-reference/sonet-group/scrum); kanban and epics lie beside.

Each page has its own words for an absent id: those of backlogs and of the kanban name the id, the others have the 100
of controllers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox import scrum, tasks
from sandbox.filters import Column, Columns, page_of, select_rows, split_key, to_time
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, missing, plain
from sandbox.methods.task_records import mismatch

DENIED = "Access denied"
NO_LIST = "Could not load list"
_API = "tasks.api.scrum"
_PEOPLE = {"createdBy": "CREATED_BY", "modifiedBy": "MODIFIED_BY"}
_LATEST = 32_503_680_000  # the year 3000: what a date can be


def refused(text: str) -> RestError:
    return RestError(0, text, 400)


def misfit(call: Call, name: str, kind: str) -> RestError:
    """The 100 of a value of a wrong type; pages of sprints print it without the last point."""
    error = mismatch(name, call.get(name), kind)
    bare = error.description.rstrip(".") if call.method.name.startswith(f"{_API}.sprint.") else error.description
    return RestError("100", bare, 400)


def whole(call: Call, name: str) -> int:
    number = as_int(call.get(name))
    if number is None:
        raise misfit(call, name, "int")
    return number


def structure(call: Call, name: str) -> Row:
    """A map; empty when it is absent, the 100 of controllers for anything else."""
    value = call.get(name)
    if value is not None and not isinstance(value, (dict, list)):
        raise misfit(call, name, "array")
    return as_map(value)


def named(call: Call, name: str, absent: str) -> int:
    """An id for whose absence the page has words of its own."""
    number = as_int(call.get(name))
    if not number or number < 0:
        raise refused(absent)
    return number


def text_of(given: Row, name: str) -> str:
    value = given.get(name)
    return "" if isinstance(value, (dict, list)) else plain(value).strip()


def people(call: Call, given: Row) -> Row:
    """Who made and who changed a record, where the fields name him."""
    values: Row = {}
    for name, inner in _PEOPLE.items():
        if given.get(name) is not None:
            user = call.portal.user(as_int(given[name]))
            if user is None:
                raise refused(f"{name} user not found")
            values[inner] = user["ID"]
    return values


def enter(call: Call, group: int) -> None:
    """Refuse whoever has no access to that workgroup."""
    if not scrum.can_enter(call.portal, group, call.user):
        raise refused(DENIED)


def fields_of(kinds: str) -> Row:
    """The answer of a getFields: "name:type ..."."""
    pairs = (one.split(":") for one in kinds.split())
    return {"fields": {name: {"type": kind} for name, kind in pairs}}


# --- lists ------------------------------------------------------------------------------------------------------------


def _upper(name: str) -> str:
    """GROUP_ID of groupId: the pages name fields in both ways."""
    return name if name.isupper() else re.sub(r"([A-Z])", r"_\1", name).upper()


def _known(name: str, columns: Columns) -> str:
    upper = _upper(name)
    if upper not in columns:
        # [verify] The pages have one error for lists, which stands for a field that is not there as well.
        raise refused(NO_LIST)
    return upper


def _conditions(given: Row, columns: Columns) -> Row:
    made: Row = {}
    for key, value in given.items():
        if key.lower() == "logic":
            made[key] = value
        elif key.isdigit() or key.lower().startswith("__innerfilter"):
            made[key] = _conditions(as_map(value), columns)
        else:
            operator, name = split_key(key)
            name = _known(name, columns)
            if not operator and columns[name].kind == "text" and "%" in plain(value):
                # The example of epics: NAME without a prefix takes a pattern.
                operator = "=%"
            made[operator + name] = value
    return made


def listed(
    call: Call, table: str, columns: Columns, shown: Callable[[Row], Row], visible: Callable[[Row], bool]
) -> Page:
    """One page; a filter that finds nothing is an error, as the pages have it.

    [verify] Not with start=-1: whoever reads all records in that way asks until nothing comes.
    """
    given, order = structure(call, "filter"), structure(call, "order")
    wanted = {_known(plain(one), columns) for one in as_list(structure(call, "select")) if plain(one) != "*"}
    if "*" in as_list(call.get("select")):
        wanted = set()
    for direction in order.values():
        if plain(direction).strip().lower() not in ("asc", "desc"):
            raise refused(NO_LIST)
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal[table], filter=_conditions(given, columns), columns=columns, zone=call.portal.zone(), start=start,
        order={_known(name, columns): direction for name, direction in order.items()}, visible=visible,
    )  # fmt: skip
    if given and total == 0:
        raise refused(NO_LIST)
    made = [shown(row) for row in rows]
    if wanted:
        made = [{name: value for name, value in one.items() if _upper(name) in wanted} for one in made]
    return page_of(made, total, following, start)


# --- backlogs ---------------------------------------------------------------------------------------------------------

_NO_BACKLOG_ID = "Backlog id not found"


def _backlog(row: Row) -> Row:
    return {"id": row["ID"], "groupId": row["GROUP_ID"], "createdBy": row["CREATED_BY"],
        "modifiedBy": row["MODIFIED_BY"]}  # fmt: skip


@method(f"{_API}.backlog.add", scope="task", params="fields!", style="controller", writes=True)
def backlog_add(call: Call) -> Row:
    given = structure(call, "fields")
    group = as_int(given.get("groupId"))
    if not group:
        raise refused("Group id not found")
    if scrum.backlog_of(call.portal, group) is not None:
        raise refused("Backlog already added")
    enter(call, group)
    values = people(call, given)
    if "CREATED_BY" not in values:
        # [verify] The page marks createdBy as required and has no other words for its absence.
        raise refused("createdBy user not found")
    made = scrum.add_backlog(call.portal, group, values["CREATED_BY"], values.get("MODIFIED_BY", 0), call.actor)
    return _backlog(made)


def _own_backlog(call: Call) -> Row:
    row = call.portal["scrum_entities"].get(named(call, "id", _NO_BACKLOG_ID))
    if row is None or row["ENTITY_TYPE"] != scrum.BACKLOG:
        raise refused("Backlog not found")
    enter(call, row["GROUP_ID"])
    return row


@method(f"{_API}.backlog.update", scope="task", params="id fields!", style="controller", writes=True)
def backlog_update(call: Call) -> Row:
    given, row = structure(call, "fields"), _own_backlog(call)
    group = row["GROUP_ID"]
    if given.get("groupId") is not None:
        group = as_int(given["groupId"]) or 0
        enter(call, group)
    if group != row["GROUP_ID"]:
        if scrum.items(call.portal, row):
            raise refused("It is forbidden move a backlog with items")
        if scrum.backlog_of(call.portal, group) is not None:
            raise refused("The target group already has a backlog")
    row.update({"MODIFIED_BY": call.user_id, **people(call, given), "GROUP_ID": group})
    call.portal.effect("update", scrum.BACKLOG, row["ID"], call.user_id, call.actor.via, fields=sorted(given))
    return _backlog(row)


@method(f"{_API}.backlog.get", scope="task", params="id", style="controller")
def backlog_get(call: Call) -> Row:
    row = scrum.backlog_of(call.portal, named(call, "id", "Group id not found"))
    if row is None:
        raise refused("Backlog not found")
    enter(call, row["GROUP_ID"])
    return _backlog(row)


@method(f"{_API}.backlog.delete", scope="task", params="id", style="controller", writes=True)
def backlog_delete(call: Call) -> list[Any]:
    row = _own_backlog(call)
    if scrum.items(call.portal, row):
        raise refused("It is forbidden remove a backlog with items")
    call.portal["scrum_entities"].remove(row["ID"])
    call.portal.effect("delete", scrum.BACKLOG, row["ID"], call.user_id, call.actor.via)
    return []


@method(f"{_API}.backlog.getFields", scope="task", style="controller")
def backlog_fields(call: Call) -> Row:
    return fields_of("groupId:integer createdBy:integer modifiedBy:integer")


# --- sprints ----------------------------------------------------------------------------------------------------------

_NO_SPRINT = "Sprint not found"
_FAILED = "Sprint not created"
_COLUMNS = {name: Column(name, "int") for name in ("ID", "GROUP_ID", "SORT", "CREATED_BY", "MODIFIED_BY")}
_COLUMNS |= {name: Column(name, "time") for name in ("DATE_START", "DATE_END")}
_COLUMNS |= {name: Column(name) for name in ("ENTITY_TYPE", "NAME", "STATUS", "GOAL")}
# Named by the page, shown by no answer: nothing has it.
_COLUMNS["INFO"] = Column("INFO")


def _sprint(call: Call, row: Row) -> Row:
    iso = call.portal.iso
    return {
        "id": row["ID"], "groupId": row["GROUP_ID"], "entityType": row["ENTITY_TYPE"], "name": row["NAME"],
        "goal": row["GOAL"], "sort": row["SORT"], "createdBy": row["CREATED_BY"], "modifiedBy": row["MODIFIED_BY"],
        "dateStart": iso(row["DATE_START"]), "dateEnd": iso(row["DATE_END"]), "status": row["STATUS"],
    }  # fmt: skip


def sprint_of(call: Call, number: int | None) -> Row:
    """The sprint of that id, to whose scrum the caller has access."""
    row = call.portal["scrum_entities"].get(number)
    if row is None or row["ENTITY_TYPE"] != scrum.SPRINT:
        raise refused(_NO_SPRINT)
    enter(call, row["GROUP_ID"])
    return row


def _moment(call: Call, value: Any) -> float | None:
    """A date in ISO 8601 or a timestamp, also one written as text; None for anything else."""
    text = "" if isinstance(value, (dict, list, bool)) else plain(value).strip()
    at = float(text) if text.isascii() and text.isdigit() and len(text) > 8 else to_time(text, call.portal.zone())
    return at if at is not None and 0 <= at < _LATEST else None


def _sprint_values(call: Call, given: Row, row: Row | None = None) -> Row:
    """Inner values of a new or changed sprint."""
    values: Row = {}
    if row is None or given.get("groupId") is not None:
        values["GROUP_ID"] = as_int(given.get("groupId")) or 0
        # [verify] A workgroup without a scrum master is no scrum to which anybody could have access.
        if not scrum.is_scrum(call.portal, values["GROUP_ID"]):
            raise refused(DENIED)
        enter(call, values["GROUP_ID"])
    if row is None or "name" in given:
        values["NAME"] = text_of(given, "name")
        if not values["NAME"]:
            raise refused(_FAILED)
    if given.get("sort") is not None:
        number = as_int(given["sort"])
        if number is None:
            raise refused(_FAILED)
        values["SORT"] = number
    for name, inner in (("dateStart", "DATE_START"), ("dateEnd", "DATE_END")):
        if given.get(name) is not None:
            values[inner] = _moment(call, given[name])
            if values[inner] is None:
                raise refused(f"Incorrect {name} format")
    start, end = ({**(row or {}), **values}.get(inner) for inner in ("DATE_START", "DATE_END"))
    if end is not None and end < (start if start is not None else call.portal.now()):
        # [verify] The pages have no words for an end before the start.
        raise refused(_FAILED)
    values |= people(call, given)
    if given.get("status") is not None:
        # [verify] Only the page of update names these two errors.
        if given["status"] not in scrum.STATUSES:
            raise refused("Incorrect sprint status")
        values["STATUS"] = given["status"]
    own = row or {"ID": 0, "STATUS": scrum.PLANNED, "GROUP_ID": 0}
    facts = {**own, **values}
    if facts["STATUS"] == scrum.ACTIVE:
        _alone(call, facts["GROUP_ID"], own["ID"])
    return values


def _alone(call: Call, group: int, own: int) -> None:
    """A scrum has one active sprint."""
    active = scrum.active_of(call.portal, group)
    if active is not None and active["ID"] != own:
        raise refused("Unable to add two active sprint")


@method(f"{_API}.sprint.add", scope="task", params="fields!", style="controller", writes=True)
def sprint_add(call: Call) -> Row:
    values = _sprint_values(call, structure(call, "fields"))
    return _sprint(call, scrum.add_sprint(call.portal, values, call.actor))


@method(f"{_API}.sprint.update", scope="task", params="id! fields!", style="controller", writes=True)
def sprint_update(call: Call) -> Row:
    given = structure(call, "fields")
    row = sprint_of(call, whole(call, "id"))
    values = _sprint_values(call, given, row)
    if values.get("GROUP_ID", row["GROUP_ID"]) != row["GROUP_ID"] and scrum.items(call.portal, row):
        # [verify] What becomes of its tasks in another scrum no page says.
        raise refused(_FAILED)
    status = values.pop("STATUS", row["STATUS"])
    row.update({"MODIFIED_BY": call.user_id, **values})
    call.portal.effect("update", scrum.SPRINT, row["ID"], call.user_id, call.actor.via, fields=sorted(values))
    scrum.become(call.portal, row, status, call.actor)
    return _sprint(call, row)


@method(f"{_API}.sprint.get", scope="task", params="sprintId", style="controller")
def sprint_get(call: Call) -> Row:
    # The page's table calls the parameter sprintId, its example and its errors id.
    name = "id" if call.get("sprintId") is None else "sprintId"
    if call.get(name) is None:
        raise missing("id")
    return _sprint(call, sprint_of(call, whole(call, name)))


@method(f"{_API}.sprint.list", scope="task", params="order filter select start", style="controller")
def sprint_list(call: Call) -> Page:
    def visible(row: Row) -> bool:
        return row["ENTITY_TYPE"] == scrum.SPRINT and scrum.can_enter(call.portal, row["GROUP_ID"], call.user)

    return listed(call, "scrum_entities", _COLUMNS, lambda row: _sprint(call, row), visible)


@method(f"{_API}.sprint.delete", scope="task", params="id!", style="controller", writes=True)
def sprint_delete(call: Call) -> list[Any]:
    row = sprint_of(call, whole(call, "id"))
    if scrum.items(call.portal, row):
        # [verify] The page moves tasks to the backlog and forbids it as well: here it moves those of a planned sprint.
        if row["STATUS"] != scrum.PLANNED:
            raise refused("It is forbidden remove a sprint with items")
        if scrum.backlog_of(call.portal, row["GROUP_ID"]) is None:
            raise refused("Sprint items have not been moved to backlog")
    scrum.delete_sprint(call.portal, row, call.actor)
    return []


@method(f"{_API}.sprint.start", scope="task", params="id!", style="controller", writes=True)
def sprint_start(call: Call) -> Row:
    row = sprint_of(call, whole(call, "id"))
    if row["STATUS"] != scrum.PLANNED:
        raise refused("Sprint must be planned")
    # [verify] The words of update: the page of start does not speak of a second one.
    _alone(call, row["GROUP_ID"], row["ID"])
    scrum.become(call.portal, row, scrum.ACTIVE, call.actor)
    row["MODIFIED_BY"] = call.user_id
    return _sprint(call, row)


@method(f"{_API}.sprint.complete", scope="task", params="id!", style="controller", writes=True)
def sprint_complete(call: Call) -> Row:
    """`id` is that of the workgroup."""
    group = whole(call, "id")
    if call.portal["groups"].get(group) is not None:
        enter(call, group)
    row = scrum.active_of(call.portal, group)
    if row is None:
        raise refused(_NO_SPRINT)
    scrum.become(call.portal, row, scrum.COMPLETED, call.actor)
    row["MODIFIED_BY"] = call.user_id
    return _sprint(call, row)


@method(f"{_API}.sprint.getFields", scope="task", style="controller")
def sprint_fields(call: Call) -> Row:
    return fields_of(
        "groupId:integer name:string sort:integer createdBy:integer modifiedBy:integer dateStart:string dateEnd:string "
        "status:string"
    )


# --- tasks ------------------------------------------------------------------------------------------------------------

_NO_TASK = "Task not found"
_NO_ITEM = "Item not created"


@method(f"{_API}.task.get", scope="task", params="id!", style="controller")
def task_get(call: Call) -> Row:
    row = call.portal["tasks"].get(whole(call, "id"))
    if row is None or not row.get("SCRUM") or not tasks.can_read(call.portal, row, call.user):
        # The page prints its error under the status 200.
        raise RestError(0, _NO_TASK, 400, documented=200)
    item = row["SCRUM"]
    return {
        "entityId": item["ENTITY_ID"], "storyPoints": item["STORY_POINTS"], "epicId": item["EPIC_ID"],
        "sort": item["SORT"], "createdBy": item["CREATED_BY"], "modifiedBy": item["MODIFIED_BY"],
    }  # fmt: skip


def _entity(call: Call, row: Row, given: Row) -> Row:
    """The backlog or the sprint that the fields name, else where the task is, else the backlog of its scrum."""
    if given.get("entityId") in (None, "", 0, "0"):
        item = row.get("SCRUM")
        number = item["ENTITY_ID"] if item else 0
        found = call.portal["scrum_entities"].get(number) or scrum.landing(call.portal, row["GROUP_ID"])
    else:
        found = call.portal["scrum_entities"].get(as_int(given["entityId"]))
    # [verify] An entity that is not there, or is of no scrum: the page has no other words.
    if found is None or not scrum.is_scrum(call.portal, found["GROUP_ID"]):
        raise refused(_NO_ITEM)
    return found


@method(f"{_API}.task.update", scope="task", params="id! fields!", style="controller", writes=True)
def task_update(call: Call) -> Row:
    portal, given = call.portal, structure(call, "fields")
    row = portal["tasks"].get(whole(call, "id"))
    if row is None or not tasks.can_read(portal, row, call.user):
        raise refused(_NO_TASK)
    entity = _entity(call, row, given)
    enter(call, entity["GROUP_ID"])
    if entity["GROUP_ID"] != row["GROUP_ID"] and not tasks.actions(row, call.user)["edit"]:
        # [verify] A task of another project moves as tasks.task.update would move it: who may not edit it may not.
        raise refused(DENIED)
    values: Row = {}
    if given.get("epicId") is not None:
        epic = portal["scrum_epics"].get(as_int(given["epicId"]))
        values["EPIC_ID"] = epic["ID"] if epic else 0
        if given["epicId"] not in (0, "0", "") and (epic is None or epic["GROUP_ID"] != entity["GROUP_ID"]):
            raise refused("Epic not found")
    if given.get("sort") is not None:
        values["SORT"] = as_int(given["sort"])
        if values["SORT"] is None:
            raise refused(_NO_ITEM)
    if given.get("storyPoints") is not None:
        if isinstance(given["storyPoints"], (dict, list)):
            raise refused(_NO_ITEM)
        values["STORY_POINTS"] = plain(given["storyPoints"]).strip()
    scrum.put(portal, row, entity, call.actor)
    row["SCRUM"] = {**row["SCRUM"], **values, "MODIFIED_BY": call.user_id}
    portal.effect("update", "scrum task", row["ID"], call.user_id, call.actor.via, fields=sorted(given))
    return {"status": "success", "data": True, "errors": []}


@method(f"{_API}.task.getFields", scope="task", style="controller")
def task_fields(call: Call) -> Row:
    return fields_of(
        "entityId:integer storyPoints:string epicId:integer sort:integer createdBy:integer modifiedBy:integer"
    )
