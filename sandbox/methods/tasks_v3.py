"""Tasks of REST 3.0 (api-reference/tasks/*-rest-v3.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import flows, scrum, tasks
from sandbox.filters import empty_first, to_time
from sandbox.method import Call, Row, method
from sandbox.v3 import V3Error, invalid, required

STATUSES = {2: "pending", 3: "in_progress", 4: "supposedly_completed", 5: "completed", 6: "deferred"}
PRIORITIES = {0: "low", 1: "average", 2: "high"}
_NUMBER = {name: number for number, name in STATUSES.items()}
# REST 3.0 name -> (record's name, type)
FIELDS: dict[str, tuple[str, str]] = {
    "title": ("TITLE", "string"), "description": ("DESCRIPTION", "string"), "creatorId": ("CREATED_BY", "int"),
    "responsibleId": ("RESPONSIBLE_ID", "int"), "deadline": ("DEADLINE", "DateTime"),
    "startPlan": ("START_DATE_PLAN", "DateTime"),
    "endPlan": ("END_DATE_PLAN", "DateTime"), "groupId": ("GROUP_ID", "int"), "parentId": ("PARENT_ID", "int"),
    "priority": ("PRIORITY", "priority"), "status": ("STATUS", "status"), "accomplices": ("ACCOMPLICES", "people"),
    "auditors": ("AUDITORS", "people"), "tags": ("TAGS", "strings"), "crmItemIds": ("UF_CRM_TASK", "strings"),
    "needsControl": ("TASK_CONTROL", "bool"), "allowsChangeDeadline": ("ALLOW_CHANGE_DEADLINE", "bool"),
    "allowsTimeTracking": ("ALLOW_TIME_TRACKING", "bool"), "matchesWorkTime": ("MATCH_WORK_TIME", "bool"),
    "addInReport": ("ADD_IN_REPORT", "bool"), "estimatedTime": ("TIME_ESTIMATE", "int"), "xmlId": ("XML_ID", "string"),
    "requireResult": ("SE_PARAMETER", "result"), "fileIds": ("UF_TASK_WEBDAV_FILES", "strings"),
}  # fmt: skip


def _typed(field: str, kind: str) -> V3Error:
    return invalid((field, f"Field `{field}` requires data type `{kind}` for this request"))


def _read(call: Call, given: Row) -> Row:
    values: Row = {}
    for field, (name, kind) in FIELDS.items():
        if field not in given:
            continue
        value = given[field]
        if kind == "string":
            if not isinstance(value, str):
                raise _typed(field, "string")
            values[name] = value
        elif kind == "int":
            if value is None and field in ("parentId", "groupId"):
                value = 0
            if not isinstance(value, int) or isinstance(value, bool):
                raise _typed(field, "int")
            values[name] = value
        elif kind == "bool":
            if not isinstance(value, bool):
                raise _typed(field, "bool")
            values[name] = "Y" if value else "N"
        elif kind == "result":
            if not isinstance(value, bool):
                raise _typed(field, "bool")
            values[name] = [{"CODE": 3, "VALUE": "Y"}] if value else []
        elif kind == "DateTime":
            at = to_time(value, call.portal.zone()) if isinstance(value, str) else None
            if value is not None and at is None:
                raise _typed(field, "DateTime")
            values[name] = at
        elif kind == "status":
            if value not in _NUMBER:
                raise _typed(field, "string")
            values[name] = _NUMBER[value]
        elif kind == "priority":
            found = next((number for number, word in PRIORITIES.items() if word == value), None)
            if found is None:
                raise _typed(field, "string")
            values[name] = found
        else:
            if not isinstance(value, list):
                raise _typed(field, "array")
            values[name] = [_user_id(one) for one in value] if kind == "people" else [str(one) for one in value]
    return values


def _user_id(value: Any) -> int:
    number = value.get("id") if isinstance(value, dict) else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise _typed("accomplices", "array")
    return number


def rights(call: Call, row: Row) -> Row:
    """What the caller may do with the task, under the names of REST 3.0."""
    may = tasks.actions(row, call.user)
    edit, doer = may["edit"], may["checklist.add"]
    return {
        "read": True, "watch": True, "mute": True, "createResult": doer, "edit": edit, "remove": may["remove"],
        "complete": may["complete"], "approve": may["approve"], "disapprove": may["disapprove"], "start": may["start"],
        "take": flows.may_take(call.portal, row, call.user),
        "delegate": may["delegate"], "defer": may["defer"], "renew": may["renew"], "deadline": may["changeDeadline"],
        "datePlan": edit,
        "changeDirector": False, "changeResponsible": edit, "changeAccomplices": edit, "pause": may["pause"],
        "timeTracking": False,
        "mark": edit, "changeStatus": edit or doer, "reminder": True, "addAuditors": True, "elapsedTime": doer,
        "favorite": True,
        "checklistAdd": doer, "checklistEdit": doer, "checklistSave": doer, "checklistToggle": doer, "automate": edit,
        "resultEdit": False,
        "completeResult": doer, "removeResult": False, "resultRead": False, "admin": call.admin, "createSubtask": True,
        "copy": True,
        "saveAsTemplate": True, "attachFile": edit, "detachFile": edit, "detachParent": edit,
        "createGanttDependence": edit, "sort": False,
    }  # fmt: skip


def _item(call: Call, row: Row) -> Row:
    """The base set of fields, as without `select`."""
    iso = call.portal.iso
    link = f"/company/personal/user/{call.user_id}/tasks/task/view/{row['ID']}/"
    epic, points = scrum.estimate(row)
    return {
        "id": row["ID"], "title": row["TITLE"], "description": row["DESCRIPTION"], "deadline": iso(row["DEADLINE"]),
        "needsControl": row["TASK_CONTROL"] == "Y", "startPlan": iso(row["START_DATE_PLAN"]),
        "endPlan": iso(row["END_DATE_PLAN"]),
        "fileIds": row["UF_TASK_WEBDAV_FILES"] or None,
        "checklist": [one["ID"] for one in call.portal["checklist"].where(TASK_ID=row["ID"])],
        "epicId": epic, "storyPoints": points, "priority": PRIORITIES.get(row["PRIORITY"], "average"),
        "status": STATUSES[row["STATUS"]],
        "statusChanged": iso(row["STATUS_CHANGED_DATE"]) if row["STATUS_CHANGED_BY"] else None,
        "parentId": row["PARENT_ID"] or None,
        "containsChecklist": call.portal["checklist"].first(TASK_ID=row["ID"]) is not None,
        "containsSubTasks": call.portal["tasks"].first(PARENT_ID=row["ID"]) is not None, "containsRelatedTasks": False,
        "containsGanttLinks": False, "containsPlacements": True,
        "containsResults": bool(tasks.results(call.portal, row)), "numberOfReminders": 0,
        "chatId": row["CHAT_ID"], "plannedDuration": 0, "actualDuration": 0, "durationType": "days",
        "started": iso(row["DATE_START"]),
        "estimatedTime": row["TIME_ESTIMATE"], "replicate": False, "changed": iso(row["CHANGED_DATE"]),
        "closed": iso(row["CLOSED_DATE"]),
        "activity": iso(row["ACTIVITY_DATE"]), "guid": row["GUID"], "xmlId": row["XML_ID"], "exchangeId": None,
        "exchangeModified": None,
        "outlookVersion": 1, "mark": "none", "allowsChangeDeadline": row["ALLOW_CHANGE_DEADLINE"] == "Y",
        "allowsTimeTracking": row["ALLOW_TIME_TRACKING"] == "Y", "matchesWorkTime": row["MATCH_WORK_TIME"] == "Y",
        "addInReport": None,
        "isMultitask": False, "siteId": "s1", "deadlineCount": None, "declineReason": None, "forumTopicId": None,
        "link": link,
        "rights": rights(call, row),
        "archiveLink": f"/bitrix/tools/disk/uf.php?entityId={row['ID']}&entity=TASKS_TASK",
        "crmItemIds": row["UF_CRM_TASK"], "requireResult": tasks.needs_result(row), "matchesSubTasksTime": False,
        "autocompleteSubTasks": False, "allowsChangeDatePlan": False, "maxDeadlineChangeDate": None,
        "maxDeadlineChanges": None,
        "requireDeadlineChangeReason": False, "inFavorite": [], "inPin": [], "inGroupPin": [], "inMute": [],
        "dependsOn": row.get("DEPENDS_ON", []),
        "scenarios": ["crm"] if row["UF_CRM_TASK"] else ["default"],
    }  # fmt: skip


_MORE: dict[str, Callable[[Call, Row], Any]] = {
    "creatorId": lambda call, row: row["CREATED_BY"],
    "responsibleId": lambda call, row: row["RESPONSIBLE_ID"],
    "created": lambda call, row: call.portal.iso(row["CREATED_DATE"]),
    "groupId": lambda call, row: row["GROUP_ID"],
    "flowId": lambda call, row: row.get("FLOW_ID") or None,
    "changedById": lambda call, row: row["CHANGED_BY"],
    "statusChangedById": lambda call, row: row["STATUS_CHANGED_BY"],
    "closedById": lambda call, row: row["CLOSED_BY"],
    "tags": lambda call, row: row["TAGS"],
}
_USERS: dict[str, str] = {"creator": "CREATED_BY", "responsible": "RESPONSIBLE_ID", "changedBy": "CHANGED_BY",
    "closedBy": "CLOSED_BY", "statusChangedBy": "STATUS_CHANGED_BY"}  # fmt: skip
_SEVERAL = {"accomplices": "ACCOMPLICES", "auditors": "AUDITORS"}


def _user(call: Call, number: int, names: list[str]) -> Row | None:
    user = call.portal.user(number)
    if user is None:
        return None
    facts: Row = {
        "id": user["ID"], "name": f"{user['NAME']} {user['LAST_NAME']}",
        "role": "admin" if user["ADMIN"] else "employee", "image": None,
        "gender": user["PERSONAL_GENDER"], "email": user["EMAIL"], "externalAuthId": None, "rights": [],
    }  # fmt: skip
    for name in names:
        if name not in facts:
            raise V3Error("UNKNOWNDTOPROPERTYEXCEPTION", f"Unknown field `{name}` for entity `UserDto`")
    return {name: facts[name] for name in names or ["id", "name"]}


def _selected(call: Call, row: Row, select: list[str]) -> Row:
    base = _item(call, row)
    made: Row = {"id": row["ID"]}
    nested: dict[str, list[str]] = {}
    for name in select:
        head, dot, tail = name.partition(".")
        if head in _USERS or (dot and head in _SEVERAL):
            nested.setdefault(head, [])
            if dot:
                nested[head].append(tail)
        elif head in _SEVERAL:
            made[head] = [{"id": number} for number in row[_SEVERAL[head]]]
        elif dot:
            raise V3Error("UNKNOWNDTOPROPERTYEXCEPTION", f"Unknown field `{tail}` for entity `TaskDto`")
        elif name in base:
            made[name] = base[name]
        elif name in _MORE:
            made[name] = _MORE[name](call, row)
    for head, names in nested.items():
        if head in _USERS:
            made[head] = _user(call, row[_USERS[head]] or 0, names)
        else:
            made[head] = [_user(call, number, names) for number in row[_SEVERAL[head]]]
    return made


def _select(call: Call) -> list[str] | None:
    value = call.params.get("select")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _typed("select", "array")
    return value


def found_v3(call: Call, *, gone: str) -> Row:
    """The task of `id` that the caller may read; `gone` is how a missing one is answered: not found, or denied."""
    value = call.params.get("id")
    if value is None:
        raise required("id")
    if not isinstance(value, int) or isinstance(value, bool):
        raise _typed("id", "int")
    row = call.portal["tasks"].get(value)
    if row is None and gone == "not found":
        raise V3Error("ENTITYNOTFOUNDEXCEPTION", f"Entity with id `{value}` not found")
    if row is None or not tasks.can_read(call.portal, row, call.user):
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403 if gone == "not found" else 400)
    return row


def _fields(call: Call) -> Row:
    value = call.params.get("fields")
    if value is None:
        raise required("fields")
    if not isinstance(value, dict):
        raise _typed("fields", "object")
    return value


@method("tasks.task.add", scope="tasks", version=3, writes=True)
def add(call: Call) -> Row:
    given = _fields(call)
    lacking = [name for name in ("title", "creatorId", "responsibleId") if given.get(name) in (None, "")]
    if lacking:
        raise required(*lacking)
    values = _read(call, given)
    try:
        row = tasks.create(call.portal, values, call.actor)
    except tasks.TaskError as error:
        raise invalid((error.field, str(error))) from None
    return {"item": _item(call, row)}


@method("tasks.task.update", scope="tasks", version=3, writes=True)
def update(call: Call) -> Row:
    row = found_v3(call, gone="denied")
    given = _fields(call)
    if "creatorId" in given:
        raise invalid(
            (
                "creatorId",
                "In DTO `TaskDto`, the field `creatorId` requires the presence of the `Editable` attribute "
                "for such a request",
            )
        )
    values = _read(call, given)
    may = tasks.actions(row, call.user)
    doing = set(values) <= {"STATUS"} and (may["complete"] or may["renew"])
    if not may["edit"] and not doing and not (set(values) <= {"DEADLINE"} and may["changeDeadline"]):
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    try:
        tasks.update(call.portal, row, values, call.actor)
    except tasks.TaskError as error:
        raise invalid((error.field, str(error))) from None
    return {"result": True}


@method("tasks.task.get", scope="tasks", version=3)
def get(call: Call) -> Row:
    row = found_v3(call, gone="not found")
    select = _select(call)
    return {"item": _item(call, row) if select is None else _selected(call, row, select)}


@method("tasks.task.delete", scope="tasks", version=3, writes=True)
def delete(call: Call) -> Row:
    row = found_v3(call, gone="denied")
    if not tasks.actions(row, call.user)["remove"]:
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    tasks.delete(call.portal, row, call.actor)
    return {"result": True}


_ORDER = {
    "id": "ID", "title": "TITLE", "creatorId": "CREATED_BY", "created": "CREATED_DATE",
    "responsibleId": "RESPONSIBLE_ID",
    "deadline": "DEADLINE", "startPlan": "START_DATE_PLAN", "endPlan": "END_DATE_PLAN", "groupId": "GROUP_ID",
    "priority": "PRIORITY",
    "status": "STATUS", "started": "DATE_START", "estimatedTime": "TIME_ESTIMATE", "changed": "CHANGED_DATE",
    "closed": "CLOSED_DATE",
    "activity": "ACTIVITY_DATE", "mark": "MARK",
}  # fmt: skip
_OPERATORS: dict[str, Callable[[int, Any], bool]] = {
    "=": lambda have, value: have == value,
    "!=": lambda have, value: have != value,
    ">": lambda have, value: have > value,
    ">=": lambda have, value: have >= value,
    "<": lambda have, value: have < value,
    "<=": lambda have, value: have <= value,
    "in": lambda have, value: have in value,
    "between": lambda have, value: len(value) == 2 and value[0] <= have <= value[1],
}


def _test(conditions: Any) -> Callable[[Row], bool]:
    """The filter of REST 3.0: triples and groups; tasks are filtered by id only."""
    if not isinstance(conditions, list):
        raise _typed("filter", "array")
    tests: list[Callable[[Row], bool]] = []
    for one in conditions:
        if isinstance(one, dict):
            inner = [_test([each]) for each in one.get("conditions") or []]
            either = str(one.get("logic", "and")).lower() == "or"
            tests.append(lambda row, inner=inner, either=either: (any if either else all)(test(row) for test in inner))  # type: ignore[misc]
            continue
        if not isinstance(one, list) or len(one) not in (2, 3) or not isinstance(one[0], str):
            raise invalid(("filter", "Unable to recognize the filter condition"))
        field, value = one[0], one[-1]
        operator = one[1] if len(one) == 3 else "in" if isinstance(value, list) else "="
        if field not in FIELDS and field not in _ORDER:
            raise V3Error("UNKNOWNDTOPROPERTYEXCEPTION", f"Unknown field `{field}` for entity `TaskDto`")
        if field != "id":
            raise invalid(
                (field, f"In DTO `TaskDto`, the `{field}` field requires the `Filterable` attribute for such a request")
            )
        if operator not in _OPERATORS:
            raise V3Error("UNKNOWNFILTEROPERATOREXCEPTION", f"Unknown filter operator `{operator}`")
        numbers = value if isinstance(value, list) else [value]
        if (operator in ("in", "between")) != isinstance(value, list) or not all(
            isinstance(each, int) for each in numbers
        ):
            raise _typed("id", "int")
        check = _OPERATORS[operator]
        tests.append(lambda row, check=check, value=value: check(row["ID"], value))  # type: ignore[misc]
    return lambda row: all(test(row) for test in tests)


@method("tasks.task.list", scope="tasks", version=3)
def list_(call: Call) -> Row:
    test = _test(call.params.get("filter") or [])
    rows = [row for row in call.portal["tasks"] if test(row) and tasks.can_read(call.portal, row, call.user)]
    order = call.params.get("order") or {"id": "ASC"}
    if not isinstance(order, dict):
        raise V3Error("INVALIDORDEREXCEPTION", "Unable to recognize the order parameter")
    for field, direction in reversed(order.items()):
        if field not in _ORDER or str(direction).upper() not in ("ASC", "DESC"):
            raise V3Error("INVALIDORDEREXCEPTION", f"Unable to recognize the order parameter `{field}`")
        rows.sort(key=empty_first(_ORDER[field]), reverse=str(direction).upper() == "DESC")
    pagination = call.params.get("pagination") or {}
    if not isinstance(pagination, dict) or not all(isinstance(one, int) and one >= 0 for one in pagination.values()):
        raise V3Error("INVALIDPAGINATIONEXCEPTION", "Unable to recognize the pagination parameter")
    limit = min(1000, pagination.get("limit", 50) or 50)
    offset = (pagination["page"] - 1) * limit if pagination.get("page") else pagination.get("offset", 0)
    select = _select(call) or ["id"]
    return {"items": [_selected(call, row, select) for row in rows[max(0, offset) : max(0, offset) + limit]]}


@method("rest.scope.list", version=3)
def scope_list(call: Call) -> Row:
    from sandbox.method import METHODS_V3

    made: Row = {}
    for entry in METHODS_V3.values():
        if entry.scope:
            made.setdefault(entry.scope, []).append(entry.name)
    return made
