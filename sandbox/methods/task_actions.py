"""What people do around tasks: favourites, pins, watching, counters, rights, plan stages, dependencies, manifests.

(api-reference/tasks/user-actions, stages, planner and the methods of the same folder.) Marks of a person on a task are
records {TASK_ID, USER_ID, KIND} in portal["task_marks"].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import dto, task_fields, tasks
from sandbox.method import Call, Page, RestError, Row, as_int, method, plain
from sandbox.methods.task_records import argument, task_of
from sandbox.methods.tasks import FIELD_TYPES, NOT_FOUND, as_task, task_or_refuse
from sandbox.methods.tasks_v3 import FIELDS, found_v3, rights
from sandbox.v3 import required

# --- marks of a person ------------------------------------------------------------------------------------------------


def mark(call: Call, task: Row, kind: str, *, on: bool) -> None:
    """The person's own mark on a task (favorite, pin, mute) set or taken away."""
    table = call.portal["task_marks"]
    facts = {"TASK_ID": task["ID"], "USER_ID": call.user_id, "KIND": kind}
    known = table.first(**facts)
    if on and known is None:
        table.add(facts)
    elif not on and known is not None:
        table.remove(known["ID"])


def _declare_mark(name: str, param: str, kind: str, answer: Callable[[Call, Row], Any], *, on: bool) -> None:
    # The pages of pin and mute name no error for an absent task: theirs is the one of tasks.task.get.
    refusal = ("1", "Task not found or not accessible") if kind == "favorite" else NOT_FOUND

    @method(f"tasks.task.{name}", scope="task", params=param, writes=True)
    def act(call: Call) -> Any:
        task = task_or_refuse(call, param, refusal)
        mark(call, task, kind, on=on)
        return answer(call, task)


def _printed(call: Call, task: Row) -> Row:
    # These pages show the chat's number as a number, the other task methods as text.
    return {"task": as_task(call, task) | {"chatId": task["CHAT_ID"]}}


_declare_mark("favorite.add", "taskId", "favorite", lambda call, task: True, on=True)
_declare_mark("favorite.remove", "taskId", "favorite", lambda call, task: True, on=False)
_declare_mark("pin", "id", "pin", _printed, on=True)
_declare_mark("unpin", "id", "pin", _printed, on=False)
_declare_mark("mute", "id", "mute", _printed, on=True)
_declare_mark("unmute", "id", "mute", _printed, on=False)


def _declare_watch(name: str, *, on: bool) -> None:
    @method(f"tasks.task.{name}", scope="task", params="taskId", writes=True)
    def act(call: Call) -> Row:
        task = task_or_refuse(call, refusal=("1048584", "a:0:{}"))
        auditors = [number for number in task["AUDITORS"] if number != call.user_id]
        if on:
            auditors = [*auditors, call.user_id] if call.user_id not in task["AUDITORS"] else task["AUDITORS"]
        tasks.update(call.portal, task, {"AUDITORS": auditors}, call.actor)
        return _printed(call, task)


_declare_watch("startwatch", on=True)
_declare_watch("stopwatch", on=False)


# --- counters, rights, fields -----------------------------------------------------------------------------------------

_ROLES = {
    "view_all": {"creator", "responsible", "accomplice", "auditor"}, "view_role_responsible": {"responsible"},
    "view_role_accomplice": {"accomplice"}, "view_role_auditor": {"auditor"}, "view_role_originator": {"creator"},
}  # fmt: skip


@method("tasks.task.counters.get", scope="task", params="userId groupId type")
def counters(call: Call) -> Page:
    number = call.user_id
    if call.get("userId") not in (None, ""):
        wanted = as_int(call.get("userId"))
        if wanted is None:
            given = plain(call.get("userId")) if not isinstance(call.get("userId"), (dict, list)) else ""
            text = f"Invalid value {{{given}}} to match with parameter {{userId}}. Should be value of type int."
            raise RestError("0", text, 400)
        number = wanted or call.user_id
    if call.integer("groupId"):
        raise RestError("0", "Group not found or access denied. (internal error)", 400)
    user = call.portal.user(number) or call.user
    own = _ROLES.get(call.text("type") or "view_all", _ROLES["view_all"])
    late = sum(
        1
        for row in call.portal["tasks"]
        if row["DEADLINE"] is not None and row["DEADLINE"] < call.portal.now() and row["STATUS"] < tasks.SUPPOSED
        and own & tasks.roles(row, user)
    )  # fmt: skip
    made = {"expired": {"counter": late, "code": 6291456}, "new_comments": {"counter": 0, "code": 12582912}}
    return Page(made, late)


@method("tasks.task.getaccess", scope="task", params="taskId users")
def get_access(call: Call) -> Row:
    task = task_or_refuse(call)
    given = call.get("users")
    if given is not None and not isinstance(given, (list, dict)):
        text = f"Invalid value {{{plain(given)}}} to match with parameter {{users}}. Should be value of type array."
        raise RestError("100", text, 400)
    numbers = [as_int(one) for one in call.sequence("users")] or [call.user_id]
    made: Row = {}
    for number in numbers:
        user = call.portal.user(number)
        if user is not None:
            actions = tasks.actions(task, user) if tasks.can_read(call.portal, task, user) else {}
            names = tasks.actions(task, call.user)
            made[str(number)] = {_shout(name): actions.get(name, False) for name in names}
    return {"allowedActions": made or []}


def _shout(name: str) -> str:
    return "".join("_" + sign if sign.isupper() else sign for sign in name).upper()


@method("tasks.task.getFields", scope="task", cost=(0.0, 0.01))
def get_fields(call: Call) -> Row:
    yes_no = {"Y": "Да", "N": "Нет"}
    values: dict[str, Any] = {
        "MARK": {"N": "Отрицательная", "P": "Положительная"},
        "PRIORITY": {"2": "Высокий", "1": "Средний", "0": "Низкий"},
        "STATUS": {"2": "Ждёт выполнения", "3": "Выполняется", "4": "Ждёт контроля", "5": "Завершена", "6": "Отложена"},
        "DURATION_TYPE": ["secs", "mins", "hours", "days", "weeks", "months", "years"],
    }
    made: Row = {}
    for name, (title, kind, default, needed) in FIELD_TYPES.items():
        entry: Row = {"title": title, "type": kind}
        if kind == "enum":
            entry["values"] = values.get(name, yes_no)
        if name == "ID":
            entry["primary"] = True
        if needed:
            entry["required"] = True
        if default is not ...:
            entry["default"] = default
        made[name] = entry
    for field in task_fields.own(call.portal):
        title = field["EDIT_FORM_LABEL"].get(call.portal.settings.language) or field["FIELD_NAME"]
        made[field["FIELD_NAME"]] = {"title": title, "type": field["USER_TYPE_ID"]}
    return {"fields": made}


@method("tasks.task.access.get", scope="tasks", version=3)
def access_get(call: Call) -> Row:
    if call.params.get("id") is None:
        raise required("id")
    dto.whole(call.params, "id")
    return rights(call, found_v3(call, gone="not found"))


_TASK_TYPES = {"status": "string", "priority": "string", "people": "array", "strings": "array", "result": "bool"}
TASK = dto.Dto(
    "TaskDto",
    {"id": "int", **{name: _TASK_TYPES.get(kind, kind) for name, (_, kind) in FIELDS.items()}, "created": "DateTime",
        "changed": "DateTime", "closed": "DateTime", "started": "DateTime", "activity": "DateTime", "chatId": "int",
        "guid": "string", "link": "string", "mark": "string", "rights": "object", "checklist": "array"},
    filterable=frozenset({"id"}),
    sortable=frozenset({"id", "title", "deadline", "created", "changed", "priority", "status"}),
    editable=frozenset(FIELDS),
)  # fmt: skip
dto.describe("tasks.task", "tasks", TASK)
dto.describe(
    "tasks.task.access", "tasks",
    dto.Dto("AccessDto", {"id": "int"}, filterable=frozenset({"id"}), sortable=frozenset({"id"})),
)  # fmt: skip


# --- dependencies -----------------------------------------------------------------------------------------------------


def _ends(call: Call) -> tuple[Row, Row]:
    found = [call.portal["tasks"].get(as_int(call.get(name))) for name in ("taskIdFrom", "taskIdTo")]
    first, second = found
    if first is None or second is None or first is second or not tasks.actions(second, call.user)["edit"]:
        raise RestError("ACTION_NOT_ALLOWED", "Unable to add a link between tasks", 400)
    return first, second


@method("task.dependence.add", scope="task", params="taskIdFrom taskIdTo linkType", writes=True)
def dependence_add(call: Call) -> list[Any]:
    first, second = _ends(call)
    kind = call.integer("linkType", -1)
    if kind not in (0, 1, 2, 3):
        raise RestError("ACTION_NOT_ALLOWED", "Unable to add a link between tasks", 400)
    table = call.portal["task_links"]
    if table.first(FROM=first["ID"], TO=second["ID"]) or table.first(FROM=second["ID"], TO=first["ID"]):
        raise RestError("ILLEGAL_NEW_LINK", "A link between tasks already exists", 400)
    table.add({"FROM": first["ID"], "TO": second["ID"], "TYPE": kind, "CREATED_BY": call.user_id})
    call.portal.effect("create", "task link", table.last, call.user_id, "rest")
    return []


@method("task.dependence.delete", scope="task", params="taskIdFrom taskIdTo", writes=True)
def dependence_delete(call: Call) -> list[Any]:
    first, second = _ends(call)
    row = call.portal["task_links"].first(FROM=first["ID"], TO=second["ID"])
    if row is None:
        raise RestError("ILLEGAL_NEW_LINK", "The dependency between tasks does not exist", 400)
    call.portal["task_links"].remove(row["ID"])
    return []


# --- "my plan": stages and the daily plan -----------------------------------------------------------------------------

_PLAN = (("Не спланированы", "00C4FB", "NEW"), ("Сделаю на неделе", "47D1E2", None))


def _stages(call: Call, owner: int) -> list[Row]:
    """The stages of a person's plan, in order; the first two are made on first use."""
    table = call.portal["task_stages"]
    if table.first(ENTITY_ID=owner) is None:
        for index, (title, colour, system) in enumerate(_PLAN):
            table.add(
                {"TITLE": title, "COLOR": colour, "SYSTEM_TYPE": system, "SORT": (index + 1) * 100, "ENTITY_ID": owner}
            )
    return sorted(table.where(ENTITY_ID=owner), key=lambda row: (row["SORT"], row["ID"]))


def _no_group(call: Call, number: int, text: str) -> None:
    # Stages of a group belong to workgroups, which are not served: only a person's own plan (0) is.
    if number != 0:
        raise RestError("ACCESS_DENIED", text, 400)


@method("task.stages.get", scope="task", params="entityId isAdmin")
def stages_get(call: Call) -> Row:
    number = as_int(call.get("entityId"))
    if number is None:
        raise RestError("100", "Could not find value for parameter {entityId}", 400)
    _no_group(call, number, "You cannot view stages in this group.")
    return {
        str(row["ID"]): {
            "ID": str(row["ID"]), "TITLE": row["TITLE"], "SORT": str(row["SORT"]), "COLOR": row["COLOR"],
            "SYSTEM_TYPE": row["SYSTEM_TYPE"], "ENTITY_ID": str(call.user_id), "ENTITY_TYPE": "U",
            "ADDITIONAL_FILTER": [], "TO_UPDATE": [], "TO_UPDATE_ACCESS": None,
        }
        for row in _stages(call, call.user_id)
    }  # fmt: skip


def _after(call: Call, value: Any) -> int:
    """The place after a stage; the others move on."""
    rows = _stages(call, call.user_id)
    number = as_int(value) or 0
    index = next((place for place, row in enumerate(rows) if row["ID"] == number), -1) + 1
    for place, row in enumerate(rows):
        row["SORT"] = (place + 1 + (place >= index)) * 100
    return (index + 1) * 100


@method("task.stages.add", scope="task", params="fields isAdmin", writes=True)
def stages_add(call: Call) -> int:
    fields = {key.upper(): value for key, value in call.mapping("fields").items()}
    title = plain(fields.get("TITLE")).strip()
    if not title:
        raise RestError("EMPTY_TITLE", "Stage title is not specified", 400)
    _no_group(call, as_int(fields.get("ENTITY_ID")) or 0, "You do not have permission to manage stages")
    row = call.portal["task_stages"].add(
        {
            "TITLE": title, "COLOR": plain(fields.get("COLOR")).lstrip("#") or "C9D1D5", "SYSTEM_TYPE": None,
            "SORT": _after(call, fields.get("AFTER_ID")), "ENTITY_ID": call.user_id,
        }
    )  # fmt: skip
    return int(row["ID"])


def _stage(call: Call, name: str) -> Row:
    _stages(call, call.user_id)
    row = call.portal["task_stages"].get(as_int(call.get(name)))
    if row is None:
        raise RestError("NOT_FOUND", "Stage not found", 400)
    if row["ENTITY_ID"] != call.user_id:
        raise RestError("ACCESS_DENIED", "You cannot manage stages", 400)
    return row


@method("task.stages.update", scope="task", params="id fields isAdmin", writes=True)
def stages_update(call: Call) -> bool:
    row = _stage(call, "id")
    fields = {key.upper(): value for key, value in call.mapping("fields").items()}
    if plain(fields.get("TITLE")).strip():
        row["TITLE"] = plain(fields["TITLE"]).strip()
    if "COLOR" in fields:
        row["COLOR"] = plain(fields["COLOR"]).lstrip("#")
    if "AFTER_ID" in fields:
        row["SORT"] = _after(call, fields["AFTER_ID"])
    elif as_int(fields.get("SORT")) is not None:
        row["SORT"] = as_int(fields["SORT"])
    return True


@method("task.stages.delete", scope="task", params="id isAdmin", writes=True)
def stages_delete(call: Call) -> bool:
    row = _stage(call, "id")
    if row["SYSTEM_TYPE"] is not None:
        raise RestError("IS_SYSTEM", "The default stage cannot be deleted", 400)
    if _stages(call, call.user_id)[0]["ID"] == row["ID"]:
        raise RestError("CANT_DELETE_FIRST", "Cannot delete the first stage. Move the stage to delete it.", 400)
    call.portal["task_stages"].remove(row["ID"])
    return True


@method("task.stages.canmovetask", scope="task", params="entityId entityType")
def stages_can_move(call: Call) -> bool:
    number, kind = as_int(call.get("entityId")), call.text("entityType").upper()
    if number is None or kind not in ("U", "G"):
        raise RestError("100", "Could not find value for parameter {entityId}", 400)
    return kind == "U" and number == call.user_id


@method("task.stages.movetask", scope="task", params="id stageId before after", writes=True)
def stages_move(call: Call) -> bool:
    task = call.portal["tasks"].get(as_int(call.get("id")))
    if task is None or not tasks.can_read(call.portal, task, call.user):
        raise RestError("TASK_NOT_FOUND", "Task not found or access to it is denied", 400)
    row = _stage(call, "stageId")
    if not tasks.roles(task, call.user):
        raise RestError("ACCESS_DENIED_MOVE", "You cannot move this task", 400)
    tasks.update(call.portal, task, {"STAGE_ID": row["ID"]}, call.actor)
    return True


@method("task.planner.getlist", scope="task")
def planner(call: Call) -> list[int]:
    """Tasks that the person started and has not ended: what the plan of the day holds."""
    return [
        row["ID"]
        for row in call.portal["tasks"]
        if row["STATUS"] == tasks.PROGRESS and tasks.roles(row, call.user) & {"responsible", "accomplice"}
    ]


# --- manifests --------------------------------------------------------------------------------------------------------

_CHECK_WRITE = ["PARENT_ID", "TITLE", "SORT_INDEX", "IS_COMPLETE", "IS_IMPORTANT", "MEMBERS"]
_CHECK_SORT = ["ID", "PARENT_ID", "CREATED_BY", "TITLE", "SORT_INDEX", "IS_COMPLETE", "IS_IMPORTANT", "TOGGLED_BY",
    "TOGGLED_DATE"]  # fmt: skip
_CHECK_READ = ["ID", "TASK_ID", *_CHECK_SORT[1:], "MEMBERS", "ATTACHMENTS"]
_COMMENT_WRITE = ["POST_MESSAGE", "AUTHOR_ID", "POST_DATE", "UF_FORUM_MESSAGE_DOC"]
_COMMENT_SORT = ["ID", "AUTHOR_ID", "AUTHOR_NAME", "AUTHOR_EMAIL", "POST_DATE"]
_COMMENT_READ = ["POST_MESSAGE_HTML", *_COMMENT_SORT, *_COMMENT_WRITE, "ATTACHED_OBJECTS"]
_ELAPSED_WRITE = ["USER_ID", "COMMENT_TEXT", "SECONDS", "SOURCE", "CREATED_DATE", "DATE_START", "DATE_STOP"]
_ELAPSED_READ = ["ID", "TASK_ID", "USER_ID", "COMMENT_TEXT", "SECONDS", "MINUTES", "SOURCE", "CREATED_DATE",
    "DATE_START", "DATE_STOP"]  # fmt: skip
_ELAPSED_SORT = [name for name in _ELAPSED_READ if name not in ("COMMENT_TEXT", "SOURCE")]
_PREFIXES = ["!", "<=", "<", ">=", ">"]


def _array(name: str, keys: list[str], **more: Any) -> Row:
    return {"description": name, "type": "array", "allowedKeys": keys, **more}


_TASK_ID: Row = {"description": "taskId", "type": "integer"}
_ITEM_ID: Row = {"description": "itemId", "type": "integer"}
_ACTION: Row = {"description": "actionId", "type": "integer"}


def _manifest(kind: str, version: str, facts: Row, lists: Row, write: list[str], read: list[str], more: Row) -> None:
    fields = _array("fields" if kind == "elapseditem" else "arFields", write)

    @method(f"task.{kind}.getmanifest", scope="task", cost=(0.0, 0.01))
    def manifest(call: Call) -> Row:
        return {
            "Manifest version": version,
            **facts,
            "Warning": "The format of this manifest may change without notice",
            "REST: shortname alias to class": kind,
            f"REST: writable {kind} data fields": write,
            f"REST: readable {kind} data fields": read,
            **more,
            "REST: available methods": {
                "getmanifest": {"staticMethod": True, "params": []},
                "getlist": {"staticMethod": True, **lists, "allowedKeysInReturnValue": read,
                    "collectionInReturnValue": True},
                "get": {"mandatoryParamsCount": 2, "params": [_TASK_ID, _ITEM_ID], "allowedKeysInReturnValue": read},
                "add": {"staticMethod": True, "mandatoryParamsCount": 2, "params": [_TASK_ID, fields]},
                "update": {"staticMethod": False, "mandatoryParamsCount": 3, "params": [_TASK_ID, _ITEM_ID, fields]},
                "delete": {"staticMethod": False, "mandatoryParamsCount": 2, "params": [_TASK_ID, _ITEM_ID]},
                **({
                    "complete": {"staticMethod": False, "mandatoryParamsCount": 2, "params": [_TASK_ID, _ITEM_ID]},
                    "renew": {"staticMethod": False, "mandatoryParamsCount": 2, "params": [_TASK_ID, _ITEM_ID]},
                    "moveafteritem": {"staticMethod": False, "mandatoryParamsCount": 3,
                        "params": [_TASK_ID, _ITEM_ID, {"description": "afterItemId", "type": "integer"}]},
                } if kind == "checklistitem" else {}),
                "isactionallowed": {"staticMethod": False, "mandatoryParamsCount": 3,
                    "params": [_TASK_ID, _ITEM_ID, _ACTION]},
            },
        }  # fmt: skip


_manifest(
    "checklistitem", "2.0", {}, {"mandatoryParamsCount": 1, "params": [_TASK_ID, _array("arOrder", _CHECK_SORT)]},
    _CHECK_WRITE, _CHECK_READ,
    {"REST: sortable checklistitem data fields": _CHECK_SORT, "REST: date fields": ["TOGGLED_DATE"]},
)  # fmt: skip
_manifest(
    "commentitem", "1.1", {},
    {"mandatoryParamsCount": 1, "params": [_TASK_ID, _array("arOrder", _COMMENT_SORT),
        _array("arFilter", _COMMENT_SORT, allowedKeyPrefixes=_PREFIXES)]},
    _COMMENT_WRITE, _COMMENT_READ,
    {"REST: sortable commentitem data fields": _COMMENT_SORT, "REST: filterable commentitem data fields": _COMMENT_SORT,
        "REST: date fields": ["POST_DATE"]},
)  # fmt: skip
_AGGREGATES = ["MAX", "MIN", "COUNT", "SUM", "AVG"]
_manifest(
    "elapseditem", "1.2", {"Manifest change date": "22 Feb 2018"},
    {
        "params": [
            _TASK_ID, _array("order", _ELAPSED_SORT),
            _array("filter", ["ID", "TASK_ID", "USER_ID", "CREATED_DATE"], allowedKeyPrefixes=_PREFIXES),
            {"description": "select", "type": "array", "allowedValues": ["", "*", *_ELAPSED_READ],
                "allowedAggregations": _AGGREGATES,
                "allowedValuesInAggregation": ["ID", "USER_ID", "SECONDS", "MINUTES"]},
            _array("params", ["NAV_PARAMS"]),
        ],
        "allowedAggregations": _AGGREGATES,
    },
    _ELAPSED_WRITE, _ELAPSED_READ,
    {"REST: sortable elapseditem data fields": _ELAPSED_SORT,
        "REST: filterable elapseditem data fields": ["ID", "TASK_ID", "USER_ID", "CREATED_DATE"],
        "REST: date fields": ["CREATED_DATE", "DATE_START", "DATE_STOP"]},
)  # fmt: skip


@method("task.checklistitem.isactionallowed", scope="task", params="TASKID ITEMID ACTIONID")
def check_allowed(call: Call) -> bool:
    task = task_of(call)
    argument(call, 1, "ITEMID", "itemId")
    number = argument(call, 2, "ACTIONID", "actionId")
    item = call.portal["checklist"].get(as_int(call.get("ITEMID")))
    if item is None or item["TASK_ID"] != task["ID"]:
        raise RestError("ERROR_CORE", "TASKS_ERROR_ASSERT_EXCEPTION<br>", 400)
    return number in (1, 2, 3, 4, 5) and tasks.actions(task, call.user)["checklist.add"]
