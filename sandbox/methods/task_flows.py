"""Flows of tasks: tasks.flow.Flow.* (api-reference/tasks/flow).

The pages word one refusal in two ways (no flow, no stream); each method has the words of its own page.
"""

from __future__ import annotations

from typing import Any

from sandbox import flows
from sandbox.method import Call, RestError, Row, as_int, method, missing, plain
from sandbox.methods.task_records import structure, whole

NOT_FOUND = "Flow not found"
_STREAM = "Access denied or stream not found"
# How the fields are called inside.
_SWITCHES = {"matchWorkTime": "MATCH_WORK_TIME", "responsibleCanChangeDeadline": "CHANGE_DEADLINE",
    "notifyAtHalfTime": "HALF_TIME", "taskControl": "TASK_CONTROL"}  # fmt: skip
_LIMITS = {"notifyOnQueueOverflow": "QUEUE", "notifyOnTasksInProgressOverflow": "IN_PROGRESS",
    "notifyWhenEfficiencyDecreases": "EFFICIENCY"}  # fmt: skip
_LINKS = {"groupId": ("GROUP_ID", "groups"), "ownerId": ("OWNER_ID", "users"),
    "templateId": ("TEMPLATE_ID", "task_templates")}  # fmt: skip


def _refused(text: str) -> RestError:
    return RestError("0", text, 400)


def _invalid(name: str) -> RestError:
    return _refused(f"'{name}': field's value has an invalid value")


def _printed(call: Call, row: Row) -> Row:
    portal = call.portal
    return {
        "id": row["ID"], "creatorId": row["CREATOR_ID"], "ownerId": row["OWNER_ID"], "groupId": row["GROUP_ID"],
        "templateId": row["TEMPLATE_ID"], "efficiency": flows.efficiency(portal, row), "active": row["ACTIVE"],
        "plannedCompletionTime": row["PLANNED"], "activity": portal.iso(row["ACTIVITY"]), "name": row["NAME"],
        "description": row["DESCRIPTION"], "distributionType": row["TYPE"], "responsibleList": row["RESPONSIBLE"],
        "demo": False, "responsibleCanChangeDeadline": row["CHANGE_DEADLINE"], "matchWorkTime": row["MATCH_WORK_TIME"],
        "taskControl": row["TASK_CONTROL"], "notifyAtHalfTime": row["HALF_TIME"], "notifyOnQueueOverflow": row["QUEUE"],
        "notifyOnTasksInProgressOverflow": row["IN_PROGRESS"], "notifyWhenEfficiencyDecreases": row["EFFICIENCY"],
        "taskCreators": row["CREATORS"], "team": flows.team(portal, row), "trialFeatureEnabled": False,
    }  # fmt: skip


def _data(call: Call) -> Row:
    given = structure(call, "flowData")
    if not given:
        raise missing("flowData")
    return given


def _text(given: Row, name: str) -> str:
    value = given.get(name)
    if isinstance(value, (dict, list)):
        raise _invalid(name)
    return plain(value).strip()


def _number(given: Row, name: str, low: int, high: int) -> int:
    number = as_int(given.get(name))
    if number is None or not low <= number <= high:
        raise _invalid(name)
    return number


def _read(call: Call, given: Row) -> Row:
    """Inner values of a new or changed flow; name, time, way and people are required as the pages mark them.

    [verify] An absent one is refused in the words that the pages have for a wrong one: they have no others.
    """
    portal = call.portal
    values: Row = {"PLANNED": _number(given, "plannedCompletionTime", 1, flows.LONGEST)}
    values["TYPE"] = _text(given, "distributionType")
    if values["TYPE"] not in flows.TYPES:
        raise _invalid("distributionType")
    for name, inner in (("responsibleList", "RESPONSIBLE"), ("taskCreators", "CREATORS")):
        if given.get(name) is None and name == "taskCreators":
            continue
        try:
            values[inner] = flows.pairs(portal, given.get(name), everybody=name == "taskCreators")
        except ValueError:
            raise _invalid(name) from None
        if not values[inner]:
            raise _invalid(name)
    if values["TYPE"] == "manually" and [kind for kind, _ in values["RESPONSIBLE"]] != ["user"]:
        raise _invalid("responsibleList")
    if "description" in given:
        values["DESCRIPTION"] = _text(given, "description")
    for name, (inner, table) in _LINKS.items():
        if given.get(name) in (None, ""):
            continue
        values[inner] = _number(given, name, 0, 10**9)
        if values[inner] and portal[table].get(values[inner]) is None:
            raise _invalid(name)
    for name, inner in _SWITCHES.items():
        if name in given:
            values[inner] = bool(_number(given, name, 0, 1))
    for name, inner in _LIMITS.items():
        if name in given:
            # Nothing in it switches the notice off.
            values[inner] = None if given[name] in (None, "") else _number(given, name, 0, 10**9)
    return values


def _check_name(call: Call, name: str, own: int = 0) -> None:
    if not name:
        raise _invalid("name")
    if _is_taken(call, name, own):
        raise _refused("A flow with this name already exists")


def _is_taken(call: Call, name: str, own: int) -> bool:
    return any(row["ID"] != own for row in call.portal["flows"].where(NAME=name))


@method("tasks.flow.Flow.create", scope="task", params="flowData!", style="controller", writes=True)
def flow_create(call: Call) -> Row:
    portal, given = call.portal, _data(call)
    name = _text(given, "name")
    values = _read(call, given)
    _check_name(call, name)
    # [verify] Who may add tasks when nobody is named: the page gives no default; everybody.
    row: Row = {
        "NAME": name, "DESCRIPTION": "", "CREATOR_ID": call.user_id, "OWNER_ID": 0, "GROUP_ID": 0, "TEMPLATE_ID": 0,
        "ACTIVE": True, "ACTIVITY": portal.now(), "CREATORS": [list(flows.EVERYBODY)], "CHANGE_DEADLINE": False,
        "MATCH_WORK_TIME": True, "TASK_CONTROL": False, "HALF_TIME": False, "QUEUE": None, "IN_PROGRESS": None,
        "EFFICIENCY": None, "LAST": 0, "PASSED": [], **values,
    }  # fmt: skip
    row["OWNER_ID"] = row["OWNER_ID"] or call.user_id
    if not row["GROUP_ID"]:
        row["GROUP_ID"] = flows.group(portal, name, call.user_id, [row["OWNER_ID"], *_members(call, row)])
    portal["flows"].add(row)
    portal.effect("create", "flow", row["ID"], call.user_id, call.actor.via)
    return _printed(call, row)


def _members(call: Call, row: Row) -> list[int]:
    return flows.people(call.portal, row["RESPONSIBLE"])


def _managed(call: Call, number: int, denied: str) -> Row:
    """The flow that the caller may change."""
    row = call.portal["flows"].get(number)
    if row is None:
        raise _refused(NOT_FOUND)
    if not flows.can_manage(row, call.user):
        raise _refused(denied)
    return row


@method("tasks.flow.Flow.update", scope="task", params="flowData!", style="controller", writes=True)
def flow_update(call: Call) -> Row:
    given = _data(call)
    row = _managed(call, _number(given, "id", 0, 10**9), flows.DENIED)
    # [verify] The page repeats the defaults of create (a new group, the creator as administrator) for what is absent:
    # here what is not given stays as it is.
    values = _read(call, given)
    if "name" in given:
        values["NAME"] = _text(given, "name")
        _check_name(call, values["NAME"], row["ID"])
    for name in ("OWNER_ID", "GROUP_ID"):
        if not values.get(name):
            values.pop(name, None)
    row.update(values)
    row["ACTIVITY"] = call.portal.now()
    known = call.portal["groups"].get(row["GROUP_ID"])
    if known is not None:
        known["MEMBERS"] = list(dict.fromkeys([*known["MEMBERS"], row["OWNER_ID"], *_members(call, row)]))
    call.portal.effect("update", "flow", row["ID"], call.user_id, call.actor.via, fields=sorted(values))
    return _printed(call, row)


@method("tasks.flow.Flow.get", scope="task", params="flowId!", style="controller")
def flow_get(call: Call) -> Row:
    row = call.portal["flows"].get(whole(call, "flowId"))
    if row is None:
        raise _refused(NOT_FOUND)
    if not flows.can_see(call.portal, row, call.user):
        raise _refused(flows.DENIED)
    return _printed(call, row)


@method("tasks.flow.Flow.delete", scope="task", params="flowData!", style="controller", writes=True)
def flow_delete(call: Call) -> Row:
    row = _managed(call, _number(_data(call), "id", 0, 10**9), _STREAM)
    flows.delete(call.portal, row, call.actor)
    return {"deleted": True}


@method("tasks.flow.Flow.isExists", scope="task", params="flowData!", style="controller")
def flow_exists(call: Call) -> Row:
    given = _data(call)
    name = _text(given, "name")
    if not name:
        raise _invalid("name")
    own = 0 if given.get("id") in (None, "") else _number(given, "id", 0, 10**9)
    return {"exists": _is_taken(call, name, own)}


@method("tasks.flow.Flow.activate", scope="task", params="flowId!", style="controller", writes=True)
def flow_activate(call: Call) -> bool:
    row = _managed(call, whole(call, "flowId"), _STREAM)
    row["ACTIVE"], row["ACTIVITY"] = not row["ACTIVE"], call.portal.now()
    call.portal.effect("update", "flow", row["ID"], call.user_id, call.actor.via, fields=["ACTIVE"])
    return True


@method("tasks.flow.Flow.pin", scope="task", params="flowId!", style="controller", writes=True)
def flow_pin(call: Call) -> bool:
    row = call.portal["flows"].get(whole(call, "flowId"))
    if row is None or not flows.can_see(call.portal, row, call.user):
        # The page prints its errors under the status 200.
        raise RestError("0", _STREAM, 400, documented=200)
    table, facts = call.portal["flow_pins"], {"FLOW_ID": row["ID"], "USER_ID": call.user_id}
    known: Any = table.first(**facts)
    if known is None:
        table.add(dict(facts))
    else:
        table.remove(known["ID"])
    return known is None
