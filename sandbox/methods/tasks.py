"""Classic tasks and their check-lists (api-reference/tasks)."""

from __future__ import annotations

import re
from typing import Any

from sandbox import checklists, flows, scrum, task_fields, tasks
from sandbox.filters import Column, Test, empty_first, page_of, select_rows, to_time
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, method, missing, plain, yes

_FLAGS = ("TASK_CONTROL", "ALLOW_CHANGE_DEADLINE", "ALLOW_TIME_TRACKING", "MATCH_WORK_TIME", "ADD_IN_REPORT")
_TIMES = ("DEADLINE", "START_DATE_PLAN", "END_DATE_PLAN")
_NUMBERS = ("RESPONSIBLE_ID", "CREATED_BY", "PRIORITY", "GROUP_ID", "PARENT_ID", "TIME_ESTIMATE", "STAGE_ID")
_PEOPLE = ("ACCOMPLICES", "AUDITORS")
NOT_FOUND = (
    "1048582",
    "TASKS_ERROR_EXCEPTION_#1048582; Task not found or not accessible; 1048582/TE/TASK_NOT_FOUND_OR_NOT_ACCESSIBLE",
)
# A page that has an error of its own for a task which one may not change says it of an absent task as well.
NOT_ALLOWED = "Action on the task is not allowed"
_NO_DELETING = ("1048582", "No access to delete the task")


def core(text: str) -> RestError:
    return RestError("ERROR_CORE", f"{text}<br>", 400)


def read_values(call: Call, given: Row, *, new: bool) -> Row:
    """Inner values of a task's classic fields; unknown names are ignored. ERROR_CORE for values that cannot be."""
    values: Row = {}
    upper = {key.upper(): value for key, value in given.items()}
    for name in ("TITLE", "DESCRIPTION", "XML_ID"):
        if name in upper:
            values[name] = plain(upper[name])
    for name in _NUMBERS:
        if name in upper:
            values[name] = as_int(upper[name]) or 0
    for name in _TIMES:
        if name in upper:
            at = to_time(upper[name], call.portal.zone())
            if at is None and plain(upper[name]):
                raise core(f"Неверный формат даты в поле {name}")
            values[name] = at
    if ("START_DATE_PLAN" in upper) != ("END_DATE_PLAN" in upper):
        # The table of fields: each must be passed along with the other. It has no text for the refusal.
        raise core("START_DATE_PLAN и END_DATE_PLAN передаются вместе")
    for name in _FLAGS:
        if name in upper:
            values[name] = "Y" if yes(upper[name]) else "N"
    for name in _PEOPLE:
        if name in upper:
            values[name] = [number for number in (as_int(one) for one in as_list(upper[name])) if number]
    if "TAGS" in upper:
        value = upper["TAGS"]
        values["TAGS"] = [
            plain(one).strip() for one in (value.split(",") if isinstance(value, str) else as_list(value)) if plain(one)
        ]
    for name in ("UF_CRM_TASK", "UF_TASK_WEBDAV_FILES"):
        if name in upper:
            values[name] = [plain(one) for one in as_list(upper[name]) if plain(one)]
    if "FLOW_ID" in upper:
        values["FLOW_ID"] = as_int(upper["FLOW_ID"]) or 0
    if "DEPENDS_ON" in upper:
        known = call.portal["tasks"].rows
        values["DEPENDS_ON"] = [number for one in as_list(upper["DEPENDS_ON"]) if (number := as_int(one)) in known]
    if "MARK" in upper:
        values["MARK"] = plain(upper["MARK"]) if upper["MARK"] in ("P", "N") else None
    values |= task_fields.read(call.portal, upper)
    if "SE_PARAMETER" in upper:
        values["SE_PARAMETER"] = as_list(upper["SE_PARAMETER"])
    if "STATUS" in upper:
        status = as_int(upper["STATUS"])
        if status not in (2, 3, 4, 5, 6):
            raise core("Некорректный статус")
        values["STATUS"] = status
    if (
        new
        and not call.admin
        and values.get("CREATED_BY") not in (None, 0, call.user_id)
        and values.get("RESPONSIBLE_ID") != call.user_id
    ):
        # Only administrators put a task in another's name; a plain user's own name stands instead.
        values["CREATED_BY"] = call.user_id
    return values


def camel(name: str) -> str:
    """DATE_START -> dateStart."""
    head, *rest = name.lower().split("_")
    return head + "".join(part.capitalize() for part in rest)


def history_value(entry: Row, name: str) -> str | None:
    """FROM or TO of a change as text: several values with commas, no value for what has none."""
    value = entry[name]
    if value is None and entry["FIELD"] in ("NEW", "COMMENT"):
        return None
    return ",".join(plain(one) for one in value) if isinstance(value, list) else plain(value)


def _person(call: Call, number: int) -> Row:
    user = call.portal.user(number) or {"ID": number, "NAME": "", "LAST_NAME": "", "WORK_POSITION": ""}
    return {
        "id": str(number), "name": f"{user['NAME']} {user['LAST_NAME']}".strip(),
        "link": f"/company/personal/user/{number}/",
        "icon": "/bitrix/images/tasks/default_avatar.png", "workPosition": user["WORK_POSITION"] or "",
    }  # fmt: skip


_DEFAULTS: Row = {
    "multitask": "N", "notViewed": "N", "replicate": "N", "sprintId": None, "backlogId": None, "commentsCount": None,
    "serviceCommentsCount": None, "forkedByTemplateId": None, "timeSpentInLogs": None, "forumTopicId": None,
    "forumId": None,
    "siteId": "s1", "subordinate": "N", "exchangeModified": None, "exchangeId": None, "outlookVersion": "1",
    "viewedDate": None,
    "sorting": None, "durationFact": None, "isMuted": "N", "isPinned": "N", "isPinnedInGroup": "N", "flowId": None,
    "descriptionInBbcode": "Y", "durationPlan": None, "durationType": "days", "favorite": "N",
}  # fmt: skip
_OWN = [
    "ID",
    "TITLE",
    "DESCRIPTION",
    "MARK",
    "PRIORITY",
    "STAGE_ID",
    "PARENT_ID",
    "CREATED_BY",
    "CREATED_DATE",
    "RESPONSIBLE_ID",
    "CHANGED_BY",
    "CHANGED_DATE",
    "STATUS_CHANGED_BY",
    "STATUS_CHANGED_DATE",
    "CLOSED_BY",
    "CLOSED_DATE",
    "ACTIVITY_DATE",
    "DATE_START",
    "DEADLINE",
    "START_DATE_PLAN",
    "END_DATE_PLAN",
    "GUID",
    "XML_ID",
    "ALLOW_CHANGE_DEADLINE",
    "ALLOW_TIME_TRACKING",
    "TASK_CONTROL",
    "ADD_IN_REPORT",
    "TIME_ESTIMATE",
    "MATCH_WORK_TIME",
    "STATUS",
    "GROUP_ID",
    "CHAT_ID",
]
_MOMENTS = {name for name in _OWN if name.endswith("_DATE") or name in ("DATE_START", *_TIMES)}
_ON_REQUEST = ("UF_CRM_TASK", "UF_TASK_WEBDAV_FILES", "UF_MAIL_MESSAGE")


# What `params` of a list add to the fields that `select` names.
_WITH = {
    "WITH_TIMER_INFO": ("TIME_ELAPSED", "TIMER_IS_RUNNING_FOR_CURRENT_USER"),
    "WITH_RESULT_INFO": ("TASK_REQUIRE_RESULT", "TASK_HAS_OPEN_RESULT", "TASK_HAS_RESULT"),
    "WITH_PARSED_DESCRIPTION": ("PARSED_DESCRIPTION",),
}


def _wanted(call: Call, selected: list[str]) -> set[str]:
    """The selected fields in capitals, written either way (subStatus, SUB_STATUS); COUNTERS is the block `counter`."""
    names = {name if name.isupper() else _upper(name) for name in selected}
    names |= {"COUNTER"} if "COUNTERS" in names else set()
    names |= {"LENGTH_DEADLINE"} if "DEADLINE" in names else set()
    for switch, more in _WITH.items():
        if yes(call.mapping("params").get(switch)):
            names |= set(more)
    return names


def as_task(call: Call, row: Row, selected: list[str] | None = None, *, listed: bool = False) -> Row:
    """A task in camelCase with numbers as text; UF fields only when named in `selected`."""
    portal = call.portal
    wanted = None if not selected or "*" in selected else _wanted(call, selected)
    named = {name.upper() for name in selected or []}
    made: Row = {}
    for name in _OWN:
        if wanted is not None and name not in wanted and name != "ID":
            continue
        value = row["ID"] if name == "ID" else row[name]
        if name in _MOMENTS:
            value = portal.iso(value)
        elif isinstance(value, int):
            value = str(value)
        made[camel(name)] = value
    for name, value in _DEFAULTS.items():
        if wanted is None or _upper(name) in wanted or name == "descriptionInBbcode":
            made[name] = value
    for name in _ON_REQUEST:
        if name in named:
            value = row[name]
            if name == "UF_TASK_WEBDAV_FILES":
                value = [as_int(one.lstrip("n")) or 0 for one in value]
            made[camel(name)] = (value or False) if isinstance(value, list) else value
    for field in task_fields.own(portal) if named else ():
        if field["FIELD_NAME"] in named:
            made[camel(field["FIELD_NAME"])] = task_fields.shown(portal, field, row)
    for name in _PEOPLE:
        if wanted is None or name in wanted:
            people = row[name]
            made[camel(name)] = [str(number) for number in people]
            made[f"{camel(name)}Data"] = {str(number): _person(call, number) for number in people} or []
    if wanted is None or "CHECKLIST" in wanted:
        items = {str(one["ID"]): _check_camel(call, row, one) for one in portal["checklist"].where(TASK_ID=row["ID"])}
        made["checklist"] = items or []
    if made.get("flowId", ...) is None and row.get("FLOW_ID"):
        made["flowId"] = str(row["FLOW_ID"])
    for name, kind in (("sprintId", scrum.SPRINT), ("backlogId", scrum.BACKLOG)):
        if name in made and scrum.in_entity(row, kind):
            made[name] = str(scrum.in_entity(row, kind))
    marks = {one["KIND"] for one in portal["task_marks"].where(TASK_ID=row["ID"], USER_ID=call.user_id)}
    made["favorite"] = "Y" if "favorite" in marks else "N"
    for name, kind in (("isPinned", "pin"), ("isMuted", "mute")):
        if name in made and kind in marks:
            made[name] = "Y"
    made["group"] = []
    if wanted is None or "CREATED_BY" in wanted:
        made["creator"] = _person(call, row["CREATED_BY"])
    if wanted is None or "RESPONSIBLE_ID" in wanted:
        made["responsible"] = _person(call, row["RESPONSIBLE_ID"])
    if wanted is None or "NEW_COMMENTS_COUNT" in wanted:
        made["newCommentsCount"] = 0
    needs_result = tasks.needs_result(row)
    if listed:
        late = row["DEADLINE"] is not None and row["STATUS"] < tasks.SUPPOSED and row["DEADLINE"] < portal.now()
        extra: Row = {
            "lengthDeadline": str(int((row["DEADLINE"] or 0) - row["CREATED_DATE"])) if row["DEADLINE"] else None,
            "taskRequireResult": "Y" if needs_result else "N",
            "taskHasOpenResult": "Y" if tasks.results(portal, row, "open") else "N",
            "taskHasResult": "Y" if tasks.results(portal, row) else "N", "timeElapsed": None,
            "timerIsRunningForCurrentUser": "N", "parsedDescription": row["DESCRIPTION"],
            "counter": {
                "counters": {"expired": int(late), "newComments": 0, "projectExpired": 0, "projectNewComments": 0,
                    "mutedExpired": 0, "mutedNewComments": 0},
                "color": "danger" if late else "success", "value": int(late),
            },
            "tags": {str(index + 1): {"id": index + 1, "title": tag} for index, tag in enumerate(row["TAGS"])} or [],
            "subStatus": str(-1 if late else row["STATUS"]),
        }  # fmt: skip
        for name, value in extra.items():
            if wanted is None or _upper(name) in wanted:
                made[name] = value
    else:
        made["action"] = tasks.actions(row, call.user) | {"take": flows.may_take(portal, row, call.user)}
        if wanted is None:
            made["checkListTree"] = _tree(call, row)
            made["checkListCanAdd"] = made["action"]["checklist.add"]
            if needs_result:
                made["taskRequireResult"] = "Y"
    return made


def _upper(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).upper()


def task_or_refuse(call: Call, name: str = "taskId", refusal: tuple[str, str] = NOT_FOUND) -> Row:
    """The task of that parameter, which the caller may read; `refusal`: code and text when there is none."""
    value = call.get(name)
    if value in (None, ""):
        raise RestError("100", "CTaskItem All parameters in the constructor must have real class type", 400)
    number = as_int(value)
    if number is None:
        raise RestError("0", "wrong task id", 400)
    row = call.portal["tasks"].get(number)
    if row is None or not tasks.can_read(call.portal, row, call.user):
        raise RestError(*refusal, 400)
    return row


def _fields(call: Call) -> Row:
    given = call.mapping("fields")
    if not given:
        raise missing("fields")
    return given


def _into_flow(call: Call, values: Row, creator: int) -> None:
    """Fill in what the named flow decides: whose task it is, until when, in which group."""
    if values.get("FLOW_ID"):
        values |= flows.place(call.portal, values["FLOW_ID"], call.user, creator)


@method("tasks.task.add", scope="task", params="fields", writes=True)
def task_add(call: Call) -> Row:
    values = read_values(call, _fields(call), new=True)
    values["CREATED_BY"] = values.get("CREATED_BY") or call.user_id
    try:
        _into_flow(call, values, values["CREATED_BY"])
        row = tasks.create(call.portal, values, call.actor)
    except tasks.TaskError as error:
        raise core(str(error)) from None
    return {"task": as_task(call, row)}


@method("tasks.task.update", scope="task", params="taskId fields", writes=True)
def task_update(call: Call) -> Row:
    refusal = ("0", NOT_ALLOWED)
    row = task_or_refuse(call, refusal=refusal)
    values = read_values(call, _fields(call), new=False)
    allowed = tasks.actions(row, call.user)
    if not allowed["edit"] and not (set(values) <= {"DEADLINE"} and allowed["changeDeadline"]):
        raise RestError(*refusal, 400)
    try:
        if values.get("FLOW_ID") != row.get("FLOW_ID"):
            _into_flow(call, values, row["CREATED_BY"])
        tasks.update(call.portal, row, values, call.actor)
    except tasks.TaskError as error:
        raise core(str(error)) from None
    return {"task": as_task(call, row)}


@method("tasks.task.get", scope="task", params="taskId select params")
def task_get(call: Call) -> Row:
    row = task_or_refuse(call)
    selected = call.get("select")
    if selected not in (None, "") and not isinstance(selected, (list, dict)):
        raise RestError(
            "100",
            f"Invalid value {{{plain(selected)}}} to match with parameter {{select}}. Should be value of type array.",
            400,
        )
    return {"task": as_task(call, row, [plain(one) for one in as_list(selected)])}


@method("tasks.task.delete", scope="task", params="taskId", writes=True)
def task_delete(call: Call) -> Row:
    row = task_or_refuse(call, refusal=_NO_DELETING)
    if not tasks.actions(row, call.user)["remove"]:
        raise RestError(*_NO_DELETING, 400)
    tasks.delete(call.portal, row, call.actor)
    return {"task": True}


def _move(name: str, status: int | None, code: str) -> None:
    refusal = (code, NOT_ALLOWED)

    @method(f"tasks.task.{name}", scope="task", params="taskId", writes=True)
    def act(call: Call) -> Row:
        row = task_or_refuse(call, refusal=refusal)
        if not tasks.actions(row, call.user)[name]:
            raise RestError(*refusal, 400)
        try:
            if status is None:
                tasks.complete(call.portal, row, call.user, call.actor)
            else:
                tasks.update(call.portal, row, {"STATUS": status}, call.actor)
        except tasks.TaskError:
            raise RestError(*refusal, 400) from None
        return {"task": as_task(call, row)}


for _name, _status, _code in (
    ("complete", None, "0"), ("start", tasks.PROGRESS, "0"), ("pause", tasks.PENDING, "1048582"),
    ("defer", tasks.DEFERRED, "1048582"), ("renew", tasks.PENDING, "1048582"),
    ("approve", tasks.COMPLETED, "1048582"), ("disapprove", tasks.PENDING, "1048582"),
):  # fmt: skip
    _move(_name, _status, _code)


@method("tasks.task.delegate", scope="task", params="taskId userId", writes=True)
def task_delegate(call: Call) -> Row:
    refusal = ("0", NOT_ALLOWED)
    row = task_or_refuse(call, refusal=refusal)
    number = as_int(call.get("userId"))
    if number is None:
        raise missing("userId")
    if not tasks.actions(row, call.user)["delegate"]:
        raise RestError(*refusal, 400)
    try:
        tasks.delegate(call.portal, row, number, call.actor)
    except tasks.TaskError as error:
        raise core(str(error)) from None
    return {"task": as_task(call, row)}


# What tasks.task.getFields tells of each field: title, type, default (... for none), required.
FIELD_TYPES: dict[str, tuple[str | None, str, Any, bool]] = {
    "ID": ("ID", "integer", ..., False),
    "PARENT_ID": ("ID базовой задачи", "integer", 0, False),
    "TITLE": ("Название", "string", ..., True),
    "DESCRIPTION": ("Описание", "string", ..., False),
    "MARK": ("Оценка", "enum", None, False),
    "PRIORITY": ("Приоритет", "enum", 1, False),
    "STATUS": ("Статус", "enum", 2, False),
    "MULTITASK": ("Множественная задача", "enum", "N", False),
    "NOT_VIEWED": (None, "enum", "N", False),
    "REPLICATE": ("Повторяемая задача", "enum", "N", False),
    "GROUP_ID": ("Проект", "integer", 0, False),
    "STAGE_ID": ("Стадия", "integer", 0, False),
    "SPRINT_ID": ("Спринт", "integer", 0, False),
    "BACKLOG_ID": ("Бэклог", "integer", 0, False),
    "CREATED_BY": ("Постановщик", "integer", ..., True),
    "CREATED_DATE": ("Создана", "datetime", ..., False),
    "RESPONSIBLE_ID": ("Исполнитель", "integer", ..., True),
    "ACCOMPLICES": ("Соисполнители", "array", ..., False),
    "AUDITORS": ("Наблюдатели", "array", ..., False),
    "CHANGED_BY": ("Кто изменил", "integer", ..., False),
    "CHANGED_DATE": ("Изменена", "datetime", ..., False),
    "STATUS_CHANGED_BY": ("Кто изменил статус", "integer", ..., False),
    "STATUS_CHANGED_DATE": ("Статус изменён", "datetime", ..., False),
    "CLOSED_BY": ("Кто завершил", "integer", None, False),
    "CLOSED_DATE": ("Завершена", "datetime", None, False),
    "ACTIVITY_DATE": ("Последняя активность", "datetime", None, False),
    "DATE_START": ("Начата", "datetime", None, False),
    "DEADLINE": ("Крайний срок", "datetime", None, False),
    "START_DATE_PLAN": ("План начала", "datetime", None, False),
    "END_DATE_PLAN": ("План завершения", "datetime", None, False),
    "GUID": ("GUID", "string", None, False),
    "XML_ID": ("Внешний код", "string", None, False),
    "COMMENTS_COUNT": ("Комментариев", "integer", 0, False),
    "SERVICE_COMMENTS_COUNT": (None, "integer", 0, False),
    "NEW_COMMENTS_COUNT": (None, "integer", 0, False),
    "ALLOW_CHANGE_DEADLINE": ("Менять срок может исполнитель", "enum", "N", False),
    "ALLOW_TIME_TRACKING": ("Учёт времени", "enum", "N", False),
    "TASK_CONTROL": ("Принять после завершения", "enum", "N", False),
    "ADD_IN_REPORT": ("В отчёт", "enum", "N", False),
    "FORKED_BY_TEMPLATE_ID": (None, "enum", "N", False),
    "TIME_ESTIMATE": ("Оценка времени", "integer", ..., False),
    "TIME_SPENT_IN_LOGS": (None, "integer", ..., False),
    "MATCH_WORK_TIME": ("Учитывать рабочее время", "integer", ..., False),
    "FORUM_TOPIC_ID": (None, "integer", ..., False),
    "FORUM_ID": (None, "integer", ..., False),
    "SITE_ID": (None, "string", ..., False),
    "SUBORDINATE": (None, "enum", None, False),
    "FAVORITE": ("В избранном", "enum", None, False),
    "EXCHANGE_MODIFIED": (None, "datetime", None, False),
    "EXCHANGE_ID": (None, "integer", None, False),
    "OUTLOOK_VERSION": (None, "integer", None, False),
    "VIEWED_DATE": (None, "datetime", ..., False),
    "SORTING": (None, "double", ..., False),
    "DURATION_PLAN": (None, "integer", ..., False),
    "DURATION_FACT": (None, "integer", ..., False),
    "CHECKLIST": ("Чек-лист", "array", ..., False),
    "DURATION_TYPE": (None, "enum", "days", False),
    "IS_MUTED": ("Без звука", "enum", "N", False),
    "IS_PINNED": ("Закреплена", "enum", "N", False),
    "IS_PINNED_IN_GROUP": (None, "enum", "N", False),
    "FLOW_ID": ("Поток", "integer", 0, False),
    "UF_CRM_TASK": ("Элементы CRM", "crm", ..., False),
    "UF_TASK_WEBDAV_FILES": ("Файлы", "disk_file", ..., False),
    "UF_MAIL_MESSAGE": ("Письмо", "mail_message", ..., False),
}  # fmt: skip


COLUMNS = {name: Column(name, "int") for name in ("ID", "PRIORITY", "GROUP_ID", "PARENT_ID", "RESPONSIBLE_ID",
    "CREATED_BY", "CHANGED_BY", "CLOSED_BY", "STATUS_CHANGED_BY", "TIME_ESTIMATE", "STAGE_ID")}  # fmt: skip
COLUMNS |= {name: Column(name, "time") for name in sorted(_MOMENTS)}
COLUMNS |= {name: Column(name) for name in ("TITLE", "DESCRIPTION", "XML_ID", "GUID", "MARK")}
COLUMNS |= {name: Column(name, "flag") for name in _FLAGS}
COLUMNS |= scrum.COLUMNS
COLUMNS |= {
    "ACCOMPLICE": Column("ACCOMPLICES", "int"), "ACCOMPLICES": Column("ACCOMPLICES", "int"),
    "AUDITOR": Column("AUDITORS", "int"),
    "AUDITORS": Column("AUDITORS", "int"),
    "DEPENDS_ON": Column("DEPENDS_ON", "int", lambda row: row.get("DEPENDS_ON", [])),
    "TAG": Column("TAGS"), "TAGS": Column("TAGS"),
    "REAL_STATUS": Column("STATUS", "int"),
    "STATUS": Column("STATUS", "int"), "UF_CRM_TASK": Column("UF_CRM_TASK"),
    "MEMBER": Column("MEMBER", "int",
        lambda row: [row["CREATED_BY"], row["RESPONSIBLE_ID"], *row["ACCOMPLICES"], *row["AUDITORS"]]),
}  # fmt: skip
_SORTABLE = set(COLUMNS) - {
    "ACCOMPLICE",
    "ACCOMPLICES",
    "AUDITOR",
    "AUDITORS",
    "DEPENDS_ON",
    "TAG",
    "TAGS",
    "UF_CRM_TASK",
    "MEMBER",
    "DESCRIPTION",
    "STAGE_ID",
    *scrum.COLUMNS,
}


@method("tasks.task.list", scope="task", params="order filter select params start")
def task_list(call: Call) -> Page:
    portal = call.portal
    given = {key.upper(): value for key, value in call.mapping("filter").items()}
    order = {key.upper(): value for key, value in call.mapping("order").items()}
    for name in order:
        if name not in _SORTABLE:
            raise RestError("0", "Invalid sorting key", 400)
    meta: Test | None = None
    if as_int(given.get("STATUS")) in (-1, -2, -3):
        kind, now = as_int(given.pop("STATUS")), portal.now()

        def meta(row: Row) -> bool:
            late = row["DEADLINE"] is not None and row["STATUS"] < tasks.SUPPOSED
            if kind == -1:
                return bool(late and row["DEADLINE"] < now)
            return bool(late and now <= row["DEADLINE"] < now + 86400) if kind == -3 else False

    def visible(row: Row) -> bool:
        return (call.admin or tasks.can_read(portal, row, call.user)) and (meta is None or meta(row))

    start = call.integer("start")
    rows, total, following = select_rows(
        portal["tasks"], filter=given, order=order, columns=COLUMNS, zone=portal.zone(), start=start,
        unknown=lambda key: None,
        visible=None if call.admin and meta is None else visible,
    )  # fmt: skip
    selected = [plain(name) for name in as_list(call.get("select"))]
    return page_of({"tasks": [as_task(call, row, selected, listed=True) for row in rows]}, total, following, start)


@method("tasks.task.history.list", scope="task", params="taskId filter order")
def task_history(call: Call) -> Row:
    row = task_or_refuse(call, refusal=("0", "Access denied."))
    made = []
    for entry in call.portal["task_history"].part("TASK_ID", row["ID"]):
        user = _person(call, entry["USER_ID"])
        made.append(
            {
                "id": entry["ID"], "createdDate": call.portal.iso(entry["AT"]), "field": entry["FIELD"],
                "value": {"from": history_value(entry, "FROM"), "to": history_value(entry, "TO")},
                "user": {"id": entry["USER_ID"], "name": user["name"].split(" ")[0],
                    "lastName": user["name"].split(" ")[-1], "secondName": "", "login": ""},
            }
        )  # fmt: skip
    return {"list": made}


# --- check-lists ----------------------------------------------------------------------------------------------------


def _check_camel(call: Call, task: Row, one: Row) -> Row:
    made = {camel(key): value for key, value in _check(call, one).items()}
    may = tasks.actions(task, call.user)["checklist.add"]
    made |= {
        "ufChecklistFiles": False, "entityId": str(task["ID"]),
        "action": {"modify": may, "remove": may, "toggle": may, "add": may, "addAccomplice": may},
    }  # fmt: skip
    return made


def _check(call: Call, one: Row) -> Row:
    return {
        "ID": str(one["ID"]), "TASK_ID": str(one["TASK_ID"]), "PARENT_ID": str(one["PARENT_ID"]),
        "CREATED_BY": str(one["CREATED_BY"]),
        "TITLE": one["TITLE"], "SORT_INDEX": str(one["SORT_INDEX"]), "IS_COMPLETE": one["IS_COMPLETE"],
        "IS_IMPORTANT": one["IS_IMPORTANT"], "TOGGLED_BY": one["TOGGLED_BY"] and str(one["TOGGLED_BY"]),
        "TOGGLED_DATE": call.portal.iso(one["TOGGLED_DATE"]) or "",
        "MEMBERS": checklists.members(call.portal, one),
        "ATTACHMENTS": [],
    }  # fmt: skip


def _tree(call: Call, task: Row) -> Row:
    rows = list(call.portal["checklist"].where(TASK_ID=task["ID"]))

    def node(number: int, one: Row | None) -> Row:
        children = sorted((row for row in rows if row["PARENT_ID"] == number), key=lambda row: row["SORT_INDEX"])
        fields: Row = {
            "id": one and one["ID"], "copiedId": None, "entityId": one and task["ID"],
            "parentId": (one and one["PARENT_ID"]) or 0, "userId": call.user_id,
            "createdBy": one and one["CREATED_BY"], "title": one["TITLE"] if one else "",
            "sortIndex": one and one["SORT_INDEX"],
            "displaySortIndex": "", "isComplete": bool(one and one["IS_COMPLETE"] == "Y"),
            "isImportant": bool(one and one["IS_IMPORTANT"] == "Y"),
            "completedCount": sum(child["IS_COMPLETE"] == "Y" for child in children), "members": [], "attachments": [],
            "nodeId": None,
        }  # fmt: skip
        return {
            "nodeId": number,
            "fields": fields,
            "action": [],
            "descendants": [node(child["ID"], child) for child in children],
        }

    return node(0, None)


_NO_INTEGER = 'expected to be of type "integer", but given something else.'


def _exception(number: int, text: str, tail: str) -> RestError:
    return RestError("ERROR_CORE", f"TASKS_ERROR_EXCEPTION_#{number}; {text}; {number}/TE/{tail}<br>", 400)


def _check_task(call: Call, verb: str) -> Row:
    value = call.get("TASKID")
    if value in (None, ""):
        raise _exception(
            256, f"Param #0 (taskId) expected by method ctaskchecklistitem::{verb}(), but not given.", "WRONG_ARGUMENTS"
        )
    if as_int(value) is None:
        raise _exception(
            256,
            f"Param #0 (taskId) for method ctaskchecklistitem::{verb}() {_NO_INTEGER}",
            "WRONG_ARGUMENTS",
        )
    row = call.portal["tasks"].get(as_int(value))
    if row is None or not tasks.can_read(call.portal, row, call.user):
        raise _exception(8, "Action failed", "ACTION_FAILED_TO_BE_PROCESSED")
    return row


def _check_item(call: Call, verb: str, name: str = "ITEMID") -> tuple[Row, Row]:
    task = _check_task(call, verb)
    value = call.get(name)
    if value in (None, ""):
        raise _exception(
            256, f"Param #1 (itemId) expected by method ctaskchecklistitem::{verb}(), but not given.", "WRONG_ARGUMENTS"
        )
    if as_int(value) is None:
        raise _exception(
            256,
            f"Param #1 (itemId) for method ctaskchecklistitem::{verb}() {_NO_INTEGER}",
            "WRONG_ARGUMENTS",
        )
    item = call.portal["checklist"].get(as_int(value))
    if item is None or item["TASK_ID"] != task["ID"]:
        raise _exception(512, "Check listitem not found or not accessible", "ITEM_NOT_FOUND_OR_NOT_ACCESSIBLE")
    return task, item


def _may_edit(call: Call, task: Row, text: str) -> None:
    if not tasks.actions(task, call.user)["checklist.add"]:
        raise _exception(8, f"{text}: action not allowed", "ACTION_FAILED_TO_BE_PROCESSED")


@method("task.checklistitem.add", scope="task", params="TASKID FIELDS", writes=True)
def check_add(call: Call) -> int:
    task = _check_task(call, "add")
    if call.get("FIELDS") in (None, ""):
        raise _exception(
            256, "Param #1 (arFields) expected by method ctaskchecklistitem::add(), but not given.", "WRONG_ARGUMENTS"
        )
    given = {key.upper(): value for key, value in call.mapping("FIELDS").items()}
    values = checklists.read(given)
    if not values.get("TITLE", "").strip():
        raise _exception(8, "Item name not specified", "ACTION_FAILED_TO_BE_PROCESSED")
    _may_edit(call, task, "Adding item")
    table = call.portal["checklist"]
    if "PARENT_ID" not in values:
        first = {"TITLE": "BX_CHECKLIST_1", "PARENT_ID": 0}
        root = table.first(TASK_ID=task["ID"], PARENT_ID=0) or checklists.store(
            call.portal, checklists.TASK, task["ID"], first, call.user_id
        )
        values["PARENT_ID"] = root["ID"]
    elif values["PARENT_ID"]:
        parent = table.get(values["PARENT_ID"])
        if parent is None or parent["TASK_ID"] != task["ID"]:
            raise _exception(8, "Parent item not found", "ACTION_FAILED_TO_BE_PROCESSED")
    row = checklists.store(call.portal, checklists.TASK, task["ID"], values, call.user_id)
    tasks.checklist_changed(call.portal, task, call.actor)
    return int(row["ID"])


@method("task.checklistitem.get", scope="task", params="TASKID ITEMID")
def check_get(call: Call) -> Row:
    return _check(call, _check_item(call, "get")[1])


@method("task.checklistitem.getlist", scope="task", params="TASKID ORDER")
def check_list(call: Call) -> list[Row]:
    task = _check_task(call, "getlist")
    order = {key.upper(): plain(value).upper() for key, value in call.mapping("ORDER").items()}
    allowed = ("ID", "CREATED_BY", "TOGGLED_BY", "TOGGLED_DATE", "TITLE", "SORT_INDEX", "IS_COMPLETE", "PARENT_ID")
    for name in order:
        if name not in allowed:
            raise _exception(
                256,
                f'Param #1 (arOrder) for method ctaskchecklistitem::getlist() must not contain key "{name}".',
                "WRONG_ARGUMENTS",
            )
    rows = list(call.portal["checklist"].where(TASK_ID=task["ID"]))
    for name, direction in reversed(order.items()):
        rows.sort(key=empty_first(name), reverse=direction.startswith("DESC"))
    return [_check(call, row) for row in rows]


@method("task.checklistitem.update", scope="task", params="TASKID ITEMID FIELDS", writes=True)
def check_update(call: Call) -> None:
    task, item = _check_item(call, "update")
    _may_edit(call, task, "Editing item")
    values = checklists.read({key.upper(): value for key, value in call.mapping("FIELDS").items()})
    if "TITLE" in values and not values["TITLE"].strip():
        raise _exception(8, "Item name not specified", "ACTION_FAILED_TO_BE_PROCESSED")
    if any(item[key] != value for key, value in values.items()):
        item.update(values)
        tasks.checklist_changed(call.portal, task, call.actor)


def _toggle(name: str, state: str) -> None:
    @method(f"task.checklistitem.{name}", scope="task", params="TASKID ITEMID", writes=True)
    def act(call: Call) -> bool:
        for index, (parameter, label) in enumerate((("TASKID", "taskId"), ("ITEMID", "itemId"))):
            value, about = call.get(parameter), f"Param #{index} ({label})"
            if value in (None, ""):
                text = f"{about} expected by method ctaskchecklistitem::{name}(), but not given."
                raise _exception(256, text, "WRONG_ARGUMENTS")
            if as_int(value) is None:
                text = f"{about} for method ctaskchecklistitem::{name}() {_NO_INTEGER}"
                raise _exception(256, text, "WRONG_ARGUMENTS")
            if call.integer(parameter) <= 0:
                raise RestError("ERROR_CORE", "TASKS_ERROR_ASSERT_EXCEPTION<br>", 400)
        # The item is found by its own id, whatever task is named; there is none: false.
        item = call.portal["checklist"].get(call.integer("ITEMID"))
        task = call.portal["tasks"].get(item["TASK_ID"]) if item else None
        if item is None or task is None or not tasks.can_read(call.portal, task, call.user):
            return False
        _may_edit(call, task, "Toggling item")
        tasks.tick(call.portal, task, item, state == "Y", call.actor)
        return True


_toggle("complete", "Y")
_toggle("renew", "N")


@method("task.checklistitem.delete", scope="task", params="TASKID ITEMID", writes=True)
def check_delete(call: Call) -> bool:
    task, item = _check_item(call, "delete")
    _may_edit(call, task, "Deleting item")
    for row in checklists.branch(call.portal, checklists.TASK, item):
        call.portal["checklist"].remove(row["ID"])
    tasks.checklist_changed(call.portal, task, call.actor)
    return True


@method("task.checklistitem.moveafteritem", scope="task", params="TASKID ITEMID AFTERITEMID", writes=True)
def check_move(call: Call) -> None:
    task, item = _check_item(call, "moveAfterItem")
    _, after = _check_item(call, "moveAfterItem", "AFTERITEMID")
    _may_edit(call, task, "Moving item")
    siblings = sorted(
        call.portal["checklist"].where(TASK_ID=task["ID"], PARENT_ID=after["PARENT_ID"]),
        key=lambda row: row["SORT_INDEX"],
    )
    siblings = [row for row in siblings if row["ID"] != item["ID"]]
    siblings.insert(siblings.index(after) + 1, item)
    item["PARENT_ID"] = after["PARENT_ID"]
    for index, row in enumerate(siblings):
        row["SORT_INDEX"] = index
    tasks.checklist_changed(call.portal, task, call.actor)
