"""The older methods of tasks: task.item.*, task.items.getlist, task.comment.add, task.logitem.list (tasks/deprecated).

They act on the tasks of tasks.task.*. Their parameters are read in the order in which they come, whatever their names
are. Which fields may be read, written, sorted and filtered is the table of task-item/index.md.
"""

from __future__ import annotations

import html
import re
from typing import Any

from sandbox import disk, task_fields, tasks
from sandbox.filters import Column, page_of, select_rows, to_time
from sandbox.method import METHODS, Call, Page, RestError, Row, as_int, method, plain, yes
from sandbox.methods.disk import download
from sandbox.methods.people import subordinates
from sandbox.methods.task_actions import mark
from sandbox.methods.task_records import NOT_ALLOWED, attach, exception, write_comment
from sandbox.methods.tasks import COLUMNS, core, history_value, read_values

_PAGE = 50
_ENVELOPE = {"auth", "access_token", "auth_connector", "start"}
_PREFIX = re.compile(r"^[!<>=%?]+")
_NOT_FOUND = (1048582, "Task not found or not accessible", "TASK_NOT_FOUND_OR_NOT_ACCESSIBLE")

_READABLE = (
    "ID", "TITLE", "DESCRIPTION", "DESCRIPTION_IN_BBCODE", "DECLINE_REASON", "PRIORITY", "STATUS", "REAL_STATUS",
    "MULTITASK", "RESPONSIBLE_ID", "RESPONSIBLE_NAME", "RESPONSIBLE_LAST_NAME", "RESPONSIBLE_SECOND_NAME", "DATE_START",
    "DURATION_FACT", "DURATION_PLAN", "DURATION_TYPE", "TIME_ESTIMATE", "TIME_SPENT_IN_LOGS", "DEADLINE",
    "START_DATE_PLAN", "END_DATE_PLAN", "CREATED_BY", "CREATED_BY_NAME", "CREATED_BY_LAST_NAME",
    "CREATED_BY_SECOND_NAME", "CREATED_DATE", "CHANGED_BY", "CHANGED_DATE", "STATUS_CHANGED_BY", "STATUS_CHANGED_DATE",
    "CLOSED_BY", "CLOSED_DATE", "GUID", "XML_ID", "MARK", "ALLOW_CHANGE_DEADLINE", "ALLOW_TIME_TRACKING",
    "TASK_CONTROL", "ADD_IN_REPORT", "GROUP_ID", "PARENT_ID", "FORUM_ID", "FORUM_TOPIC_ID", "COMMENTS_COUNT", "SITE_ID",
    "SUBORDINATE", "FORKED_BY_TEMPLATE_ID", "MATCH_WORK_TIME", "VIEWED_DATE", "FAVORITE", "ACCOMPLICES", "AUDITORS",
    "DEPENDS_ON",
)  # fmt: skip
_WRITABLE = {
    "TITLE", "DESCRIPTION", "DEADLINE", "START_DATE_PLAN", "END_DATE_PLAN", "PRIORITY", "ACCOMPLICES", "AUDITORS",
    "TAGS", "ALLOW_CHANGE_DEADLINE", "TASK_CONTROL", "PARENT_ID", "DEPENDS_ON", "GROUP_ID", "RESPONSIBLE_ID",
    "TIME_ESTIMATE", "CREATED_BY", "DECLINE_REASON", "STATUS", "DURATION_PLAN", "DURATION_TYPE", "CREATED_DATE",
    "CHANGED_BY", "CHANGED_DATE", "STATUS_CHANGED_BY", "STATUS_CHANGED_DATE", "MARK", "ALLOW_TIME_TRACKING",
    "ADD_IN_REPORT", "SITE_ID", "MATCH_WORK_TIME", "XML_ID", *task_fields.SYSTEM,
}  # fmt: skip
_SORTABLE = {
    "ID", "TITLE", "DATE_START", "DEADLINE", "STATUS", "PRIORITY", "MARK", "CREATED_BY", "RESPONSIBLE_ID", "GROUP_ID",
    "START_DATE_PLAN", "ALLOW_CHANGE_DEADLINE", "TIME_ESTIMATE", "CREATED_DATE", "CHANGED_DATE", "CLOSED_DATE",
    "FAVORITE", "ALLOW_TIME_TRACKING", "MATCH_WORK_TIME",
}  # fmt: skip
_FILTERABLE = {
    "ID", "PARENT_ID", "GROUP_ID", "CREATED_BY", "STATUS_CHANGED_BY", "PRIORITY", "FORUM_TOPIC_ID", "RESPONSIBLE_ID",
    "TITLE", "TAG", "REAL_STATUS", "STATUS", "MARK", "SITE_ID", "ADD_IN_REPORT", "DATE_START", "DEADLINE",
    "CREATED_DATE", "CLOSED_DATE", "CHANGED_DATE", "ACCOMPLICE", "AUDITOR", "DEPENDS_ON", "ONLY_ROOT_TASKS", "XML_ID",
    "SUBORDINATE_TASKS", "OVERDUED", "DEPARTMENT_ID", "START_DATE_PLAN", "END_DATE_PLAN", "TIME_ESTIMATE",
    "RESPONSIBLE_NAME", "CHANGED_BY", "GUID", "FAVORITE", "ALLOW_TIME_TRACKING", "MATCH_WORK_TIME",
}  # fmt: skip
# Numbers of actions: their constants and the names under which `tasks.actions` has them.
_ACTIONS = (
    ("ACCEPT", "accept"), ("DECLINE", "decline"), ("COMPLETE", "complete"), ("APPROVE", "approve"),
    ("DISAPPROVE", "disapprove"), ("START", "start"), ("DELEGATE", "delegate"), ("REMOVE", "remove"), ("EDIT", "edit"),
    ("DEFER", "defer"), ("RENEW", "renew"), ("CREATE", "create"), ("CHANGE_DEADLINE", "changeDeadline"),
    ("CHECKLIST_ADD_ITEMS", "checklistAddItems"), ("ELAPSED_TIME_ADD", "elapsedtime.add"),
    ("CHANGE_DIRECTOR", "edit.originator"), ("PAUSE", "pause"), ("START_TIME_TRACKING", "dayplan.timer.toggle"),
)  # fmt: skip


# --- parameters by their places ---------------------------------------------------------------------------------------


def _signature(call: Call) -> str:
    _, kind, verb = call.method.name.split(".")
    return f"{ {'items': 'ctasks', 'comment': 'ctaskcomments'}.get(kind, 'ctask' + kind) }::{verb}()"


def _values(call: Call) -> list[Any]:
    return [value for key, value in call.params.items() if key.lower() not in _ENVELOPE]


def _wrong(call: Call, index: int, label: str, before: str, after: str) -> RestError:
    text = f"Param #{index} ({label}) {before} method {_signature(call)}{after}"
    return exception(256, text, "WRONG_ARGUMENTS")


def _argument(call: Call, index: int, label: str, kind: str, default: Any = ...) -> Any:
    """The parameter in that place: an integer, a string, or an array as a map with keys in capitals."""
    given = _values(call)
    if index >= len(given) or given[index] is None:
        if default is not ...:
            return default
        raise _wrong(call, index, label, "expected by", ", but not given.")
    value = given[index]
    if kind == "integer" and not isinstance(value, bool):
        value = as_int(value)
    elif kind == "array" and isinstance(value, (dict, list)):
        # An empty array, ORDER[]= in a query, stands for a parameter that is left out.
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {str(key).upper(): child for key, child in pairs if not (str(key) == "0" and child == "")}
    elif kind != "string" or not isinstance(value, str):
        value = None
    if value is None:
        raise _wrong(call, index, label, "for", f' expected to be of type "{kind}", but given something else.')
    return value


def _keys(call: Call, index: int, label: str, given: Row, allowed: set[str]) -> Row:
    for key in given:
        if _PREFIX.sub("", key) not in allowed:
            raise _wrong(call, index, label, "for", f' must not contain key "{key}".')
    return given


def _task(call: Call, action: str = "") -> Row:
    """The task of the first parameter that the caller may read, and with `action` may so treat."""
    row = call.portal["tasks"].get(_argument(call, 0, "taskId", "integer"))
    if row is None or not tasks.can_read(call.portal, row, call.user):
        raise exception(*_NOT_FOUND)
    if action and not _allowed(row, call.user)[action]:
        raise exception(*NOT_ALLOWED)
    return row


def _allowed(row: Row, user: Row) -> dict[str, bool]:
    own = tasks.actions(row, user)
    # task-item-defer.md: only a task in progress is deferred.
    return own | {"defer": own["defer"] and row["STATUS"] == tasks.PROGRESS}


# --- a task -----------------------------------------------------------------------------------------------------------


def _late(call: Call, row: Row) -> bool:
    return row["DEADLINE"] is not None and row["STATUS"] < tasks.SUPPOSED and row["DEADLINE"] < call.portal.now()


def _status(call: Call, row: Row) -> int:
    """The status for sorting: -1 for what is overdue."""
    return -1 if _late(call, row) else int(row["STATUS"])


def _files(call: Call, row: Row) -> list[Row]:
    """Links to the files of the task.

    [verify] The page of getfiles shows no answer: a file looks as in ATTACHED_OBJECTS of a comment.
    """
    made = []
    for value in row["UF_TASK_WEBDAV_FILES"]:
        number = as_int(plain(value).removeprefix("n"))
        link = call.portal["attached"].get(number)
        link = link if link is not None and link["TASK_ID"] == row["ID"] else None
        file = call.portal["disk_objects"].get(link["OBJECT_ID"] if link else number)
        if file is not None and file["TYPE"] == "file":
            view = f"/bitrix/tools/disk/uf.php?attachedId={number}&action=show"
            made.append(
                {
                    "ATTACHMENT_ID": str(number), "NAME": file["NAME"], "SIZE": str(file["SIZE"]),
                    "FILE_ID": str(file["ID"]), "DOWNLOAD_URL": download(call.portal, file), "VIEW_URL": view,
                }
            )  # fmt: skip
    return made


def _data(call: Call, row: Row) -> Row:
    """The task's own fields, numbers as text.

    [verify] The pages show no answer: kinds are those of tasks.task.get.
    """
    portal = call.portal
    seconds = sum(one["SECONDS"] for one in portal["elapsed"].where(TASK_ID=row["ID"]))
    members = {row["CREATED_BY"], row["RESPONSIBLE_ID"], *row["ACCOMPLICES"], *row["AUDITORS"]}
    comments = sum(1 for _ in portal["task_comments"].where(TASK_ID=row["ID"]))
    favorite = portal["task_marks"].first(TASK_ID=row["ID"], USER_ID=call.user_id, KIND="favorite")
    facts: Row = {
        "DESCRIPTION_IN_BBCODE": "Y", "STATUS": _status(call, row), "REAL_STATUS": row["STATUS"], "MULTITASK": "N",
        "DURATION_FACT": seconds // 60 if seconds else None, "TIME_SPENT_IN_LOGS": seconds or None,
        "DURATION_TYPE": row.get("DURATION_TYPE") or "days", "PARENT_ID": row["PARENT_ID"] or None,
        "COMMENTS_COUNT": comments or None, "SITE_ID": row.get("SITE_ID") or "s1",
        "SUBORDINATE": "Y" if members & subordinates(portal, call.user_id) else "N",
        "FAVORITE": "Y" if favorite else "N", "ACCOMPLICES": [str(one) for one in row["ACCOMPLICES"]],
        "AUDITORS": [str(one) for one in row["AUDITORS"]],
        "DEPENDS_ON": [str(one) for one in row.get("DEPENDS_ON", [])],
    }  # fmt: skip
    for role in ("RESPONSIBLE", "CREATED_BY"):
        person = portal.user(row["RESPONSIBLE_ID" if role == "RESPONSIBLE" else role]) or {}
        facts |= {f"{role}_{name}": person.get(name) or "" for name in ("NAME", "LAST_NAME", "SECOND_NAME")}
    made: Row = {}
    for name in _READABLE:
        value = facts[name] if name in facts else row.get(name)
        if isinstance(value, float) or (name in COLUMNS and COLUMNS[name].kind == "time"):
            value = portal.iso(value)
        made[name] = str(value) if isinstance(value, int) else value
    return made


def _custom(call: Call, row: Row) -> Row:
    """Values of the custom fields, the system's and those that were added."""
    made: Row = {
        "UF_CRM_TASK": row["UF_CRM_TASK"] or False, "UF_MAIL_MESSAGE": row["UF_MAIL_MESSAGE"],
        "UF_TASK_WEBDAV_FILES": _files(call, row) or False,
    }  # fmt: skip
    return made | {one["FIELD_NAME"]: task_fields.shown(call.portal, one, row) for one in task_fields.own(call.portal)}


def _given_data(call: Call, index: int, *, new: bool, default: Any = ...) -> Row:
    """Inner values of the task data in that place."""
    given = _argument(call, index, "arNewTaskData", "array", default)
    _keys(call, index, "arNewTaskData", given, _WRITABLE | {one["FIELD_NAME"] for one in task_fields.own(call.portal)})
    values = read_values(call, given, new=new)
    if "CREATED_DATE" in given:
        at = to_time(given["CREATED_DATE"], call.portal.zone())
        if at is None:
            raise core("Неверный формат даты в поле CREATED_DATE")
        values["CREATED_DATE"] = at
    values |= {
        name: plain(given[name]) for name in ("DECLINE_REASON", "DURATION_PLAN", "DURATION_TYPE", "SITE_ID")
        if name in given and not isinstance(given[name], (dict, list))
    }  # fmt: skip
    return values


@method("task.item.add", scope="task", params="TASKDATA!", writes=True)
def add(call: Call) -> int:
    values = _given_data(call, 0, new=True)
    values["CREATED_BY"] = values.get("CREATED_BY") or call.user_id
    try:
        return int(tasks.create(call.portal, values, call.actor)["ID"])
    except tasks.TaskError as error:
        raise core(str(error)) from None


@method("task.item.update", scope="task", params="TASKID! TASKDATA!", writes=True)
def update(call: Call) -> bool:
    row = _task(call)
    values = _given_data(call, 1, new=False, default={})
    allowed = tasks.actions(row, call.user)
    if not allowed["edit"] and not (set(values) <= {"DEADLINE"} and allowed["changeDeadline"]):
        raise exception(*NOT_ALLOWED)
    try:
        tasks.update(call.portal, row, values, call.actor)
    except tasks.TaskError as error:
        raise core(str(error)) from None
    return True


@method("task.item.delete", scope="task", params="TASKID!", writes=True)
def delete(call: Call) -> bool:
    tasks.delete(call.portal, _task(call, "remove"), call.actor)
    return True


@method("task.item.getdata", scope="task", params="TASKID!")
def get_data(call: Call) -> Row:
    row = _task(call)
    return _data(call, row) | {"TAGS": row["TAGS"]} | _custom(call, row)


_TAGS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), made)
    for pattern, made in (
        (r"\[(/?)([bius])\]", r"<\1\2>"), (r"\[url=([^\]\s]+)\](.*?)\[/url\]", r'<a href="\1">\2</a>'),
        (r"\[url\](.*?)\[/url\]", r'<a href="\1">\1</a>'), (r"\[p\](.*?)\[/p\]\n?", r"<p>\1</p>"),
    )
)  # fmt: skip


@method("task.item.getdescription", scope="task", params="TASKID! FORMAT")
def get_description(call: Call) -> str:
    """1 as it is stored, 2 (by default) as HTML, 3 as plain text."""
    row = _task(call)
    form = _argument(call, 1, "format", "integer", 2)
    text = str(row["DESCRIPTION"])
    if form not in (1, 2, 3):
        raise RestError("ERROR_CORE", "TASKS_ERROR_ASSERT_EXCEPTION<br>", 400)
    if form == 1:
        return text
    made = html.escape(text, quote=False)
    for tag, shown in _TAGS:
        made = tag.sub(shown, made)
    if form == 2:
        return made.replace("\n", "<br>\n")
    return html.unescape(re.sub(r"<[^>]*>", "", made))


@method("task.item.getdependson", scope="task", params="TASKID!")
def get_depends_on(call: Call) -> list[int]:
    known = call.portal["tasks"].rows
    return [number for number in _task(call).get("DEPENDS_ON", []) if number in known]


# --- actions ----------------------------------------------------------------------------------------------------------


@method("task.item.getallowedactions", scope="task", params="TASKID!")
def allowed_actions(call: Call) -> list[int]:
    own = _allowed(_task(call), call.user)
    return [number for number, (_, name) in enumerate(_ACTIONS, 1) if own[name]]


@method("task.item.getallowedtaskactionsasstrings", scope="task", params="TASKID!")
def allowed_names(call: Call) -> Row:
    own = _allowed(_task(call), call.user)
    return {f"ACTION_{word}": own[name] for word, name in _ACTIONS}


@method("task.item.isactionallowed", scope="task", params="TASKID! ACTIONID!")
def is_allowed(call: Call) -> bool:
    row, number = _task(call), _argument(call, 1, "actionId", "integer")
    return 1 <= number <= len(_ACTIONS) and _allowed(row, call.user)[_ACTIONS[number - 1][1]]


def _act(verb: str, action: str, status: int | None) -> None:
    @method(f"task.item.{verb}", scope="task", params="TASKID!", writes=True)
    def act(call: Call) -> bool:
        """[verify] The pages show no answer; by the types of their examples it is true."""
        row = _task(call, action)
        try:
            if status is None:
                tasks.complete(call.portal, row, call.user, call.actor)
            else:
                tasks.update(call.portal, row, {"STATUS": status}, call.actor)
        except tasks.TaskError as error:
            raise core(str(error)) from None
        return True


for _verb, _action, _to in (
    ("startexecution", "start", tasks.PROGRESS), ("defer", "defer", tasks.DEFERRED), ("complete", "complete", None),
    ("renew", "renew", tasks.PENDING), ("approve", "approve", tasks.COMPLETED),
    ("disapprove", "disapprove", tasks.PENDING),
):  # fmt: skip
    _act(_verb, _action, _to)


@method("task.item.delegate", scope="task", params="TASKID! USERID!", writes=True)
def delegate(call: Call) -> bool:
    row = _task(call)
    number = _argument(call, 1, "userId", "integer")
    if not tasks.actions(row, call.user)["delegate"]:
        raise exception(*NOT_ALLOWED)
    try:
        tasks.delegate(call.portal, row, number, call.actor)
    except tasks.TaskError as error:
        raise core(str(error)) from None
    return True


def _below(call: Call, row: Row) -> list[Row]:
    """The task and what the caller may read of the tasks under it."""
    found, ids = [row], {row["ID"]}
    for one in found:
        for child in call.portal["tasks"].where(PARENT_ID=one["ID"]):
            if child["ID"] not in ids and tasks.can_read(call.portal, child, call.user):
                found.append(child)
                ids.add(child["ID"])
    return found


def _favorite(verb: str, *, on: bool) -> None:
    @method(f"task.item.{verb}", scope="task", params="TASK_ID! PARAMS", writes=True)
    def act(call: Call) -> bool:
        row = _task(call)
        params = _keys(call, 1, "parameters", _argument(call, 1, "parameters", "array", {}), {"AFFECT_CHILDREN"})
        for one in _below(call, row) if yes(params.get("AFFECT_CHILDREN")) else [row]:
            mark(call, one, "favorite", on=on)
        return True


_favorite("addtofavorite", on=True)
_favorite("deletefromfavorite", on=False)


# --- files ------------------------------------------------------------------------------------------------------------


@method("task.item.getfiles", scope="task", params="TASKID!")
def get_files(call: Call) -> list[Row]:
    return _files(call, _task(call))


@method("task.item.addfile", scope="task", params="TASK_ID! NAME! CONTENT!", writes=True)
def add_file(call: Call) -> int:
    """The table of parameters has NAME and CONTENT by themselves, the example has them under FILE."""
    row = _task(call, "edit")
    given = _values(call)
    if len(given) > 1 and isinstance(given[1], dict):
        file = _argument(call, 1, "fileParameters", "array")
        _keys(call, 1, "fileParameters", file, {"NAME", "CONTENT"})
    else:
        file = {
            "NAME": _argument(call, 1, "NAME", "string"), "CONTENT": _argument(call, 2, "CONTENT", "string")
        }  # fmt: skip
    name, content = plain(file.get("NAME")).strip(), file.get("CONTENT")
    if not name or not isinstance(content, str):
        raise _wrong(call, 1, "fileParameters", "for", " must have NAME and CONTENT.")
    portal = call.portal
    disk.storages(portal)
    storage = portal["disk_storages"].first(ENTITY_TYPE="user", ENTITY_ID=str(call.user_id))
    if storage is None:
        raise core("Could not save file")
    try:
        data = disk.decoded(content)
    except RestError:
        raise core("Could not save file") from None
    name = disk.free_name(portal, storage["ROOT"], name, unique=True)
    return attach(call, row, disk.add_object(portal, storage, storage["ROOT"], name, "file", call.user_id, data))


@method("task.item.deletefile", scope="task", params="TASK_ID! ATTACHMENT_ID!", writes=True)
def delete_file(call: Call) -> bool:
    """[verify] The page names no error for a file that is not one of the task."""
    row = _task(call, "edit")
    number = _argument(call, 1, "fileId", "integer")
    left = [one for one in row["UF_TASK_WEBDAV_FILES"] if as_int(plain(one).removeprefix("n")) != number]
    if left == row["UF_TASK_WEBDAV_FILES"]:
        raise exception(32, f"File #{number} not attached to task #{row['ID']}", "FILE_NOT_ATTACHED_TO_TASK")
    link = call.portal["attached"].get(number)
    if link is not None and link["TASK_ID"] == row["ID"]:
        call.portal["attached"].remove(number)
    tasks.update(call.portal, row, {"UF_TASK_WEBDAV_FILES": left}, call.actor)
    return True


# --- lists ------------------------------------------------------------------------------------------------------------


def _overdued(call: Call, row: Row) -> bool:
    closed = row["CLOSED_DATE"]
    return _late(call, row) or (row["DEADLINE"] is not None and closed is not None and closed > row["DEADLINE"])


def _columns(call: Call) -> dict[str, Column]:
    portal = call.portal
    favorites = {one["TASK_ID"] for one in portal["task_marks"].where(USER_ID=call.user_id, KIND="favorite")}

    def person(row: Row, name: str) -> Any:
        return (portal.user(row["RESPONSIBLE_ID"]) or {}).get(name)

    more = (
        Column("STATUS", "int", lambda row: _status(call, row)), Column("FORUM_TOPIC_ID", "int", lambda row: None),
        Column("SITE_ID", "text", lambda row: row.get("SITE_ID") or "s1"),
        Column("RESPONSIBLE_NAME", "text", lambda row: person(row, "NAME")),
        Column("DEPARTMENT_ID", "int", lambda row: person(row, "UF_DEPARTMENT") or []),
        Column("OVERDUED", "flag", lambda row: "Y" if _overdued(call, row) else "N"),
        Column("FAVORITE", "flag", lambda row: "Y" if row["ID"] in favorites else "N"),
    )  # fmt: skip
    return {**COLUMNS, **task_fields.columns(portal), **{one.name: one for one in more}}


def _pattern(value: str) -> re.Pattern[str]:
    """A title with % for any text and _ for any sign."""
    made = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in value)
    return re.compile(made, re.IGNORECASE | re.DOTALL)


def _list(call: Call, order: Row, given: Row, select: Row, page: Row) -> Page:
    """The tasks of one page, newest first by default; `start` beats the page number of NAV_PARAMS."""
    portal, nav = call.portal, {key.upper(): value for key, value in page.items()}
    size, number = min(_PAGE, as_int(nav.get("NPAGESIZE")) or _PAGE), as_int(nav.get("INUMPAGE")) or 1
    size, start = max(1, size), call.integer("start")
    if start >= _PAGE:
        size = _PAGE
    elif start >= 0:
        start = (max(1, number) - 1) * size
    conditions = dict(given)
    roots = yes(conditions.pop("ONLY_ROOT_TASKS", "N"))
    people = {call.user_id, *subordinates(portal, call.user_id)} if yes(given.get("SUBORDINATE_TASKS")) else set()
    conditions.pop("SUBORDINATE_TASKS", None)
    title = conditions.get("TITLE")
    pattern = _pattern(conditions.pop("TITLE")) if isinstance(title, str) and re.search("[%_]", title) else None

    def visible(row: Row) -> bool:
        if not call.admin and not tasks.can_read(portal, row, call.user):
            return False
        if pattern is not None and not pattern.fullmatch(row["TITLE"]):
            return False
        if people and not people & {row["CREATED_BY"], row["RESPONSIBLE_ID"], *row["ACCOMPLICES"], *row["AUDITORS"]}:
            return False
        parent = portal["tasks"].get(row["PARENT_ID"]) if roots else None
        return parent is None or not tasks.can_read(portal, parent, call.user)

    rows, total, following = select_rows(
        portal["tasks"], filter=conditions, order=order or {"ID": "DESC"}, columns=_columns(call), zone=portal.zone(),
        start=start, unknown=lambda key: None, visible=visible, limit=size,
    )  # fmt: skip
    wanted = {plain(one).upper() for one in select.values() if not isinstance(one, (dict, list))} - {""}
    return page_of([_selected(call, row, wanted) for row in rows], total, following, start)


def _selected(call: Call, row: Row, wanted: set[str]) -> Row:
    """The fields of the main table, or the named ones and the id; custom fields and tags only by their names."""
    made = _data(call, row)
    if wanted and "*" not in wanted:
        made = {name: value for name, value in made.items() if name in wanted or name == "ID"}
    made |= {"TAGS": row["TAGS"]} if "TAGS" in wanted else {}
    if any(name.startswith("UF_") for name in wanted):
        made |= {name: value for name, value in _custom(call, row).items() if name in wanted or "UF_*" in wanted}
    return made


def _conditions(call: Call) -> tuple[Row, Row]:
    own = {one["FIELD_NAME"] for one in task_fields.own(call.portal)}
    order = _keys(call, 0, "arOrder", _argument(call, 0, "arOrder", "array", {}), _SORTABLE | own)
    return order, _keys(call, 1, "arFilter", _argument(call, 1, "arFilter", "array", {}), _FILTERABLE)


def _page_of(given: Row) -> Row:
    """NAV_PARAMS of the parameter, or the parameter itself: the pages show both."""
    inner = given.get("NAV_PARAMS", given)
    return inner if isinstance(inner, dict) else {}


@method("task.item.list", scope="task", params="ORDER FILTER PARAMS SELECT")
def item_list(call: Call) -> Page:
    names = [key.lower() for key in call.params if key.lower() not in _ENVELOPE]
    if names and names[0] == "filter":
        # A filter without a sorting before it: the page says that all tasks come.
        return _list(call, {}, {}, {}, {})
    order, given = _conditions(call)
    params = _keys(call, 2, "arParams", _argument(call, 2, "arParams", "array", {}), {"NAV_PARAMS", "LOAD_TAGS"})
    select = _argument(call, 3, "arSelect", "array", {})
    if yes(params.get("LOAD_TAGS")):
        select = select | {"TAGS": "TAGS"} if select else {"*": "*", "TAGS": "TAGS"}
    return _list(call, order, given, select, _page_of(params) if "NAV_PARAMS" in params else {})


@method("task.items.getlist", scope="task", params="ORDER FILTER TASKDATA NAV_PARAMS")
def items_list(call: Call) -> Page:
    order, given = _conditions(call)
    select = _argument(call, 2, "arSelect", "array", {})
    page = _argument(call, 3, "arParams", "array", {})
    _keys(call, 3, "arParams", page, {"NAV_PARAMS", "INUMPAGE", "NPAGESIZE"})
    return _list(call, order, given, select, _page_of(page))


# --- comments and history ---------------------------------------------------------------------------------------------


@method("task.comment.add", scope="task", params="TASKID! COMMENTTEXT!", writes=True)
def comment_add(call: Call) -> int:
    """A comment; the table has its text, the example has FIELDS with POST_MESSAGE in the same place."""
    number = _argument(call, 0, "taskId", "integer")
    given = _values(call)
    if len(given) > 1 and isinstance(given[1], dict):
        text = _keys(call, 1, "commentText", _argument(call, 1, "commentText", "array"), {"POST_MESSAGE"})
        return write_comment(call, number, text)
    return write_comment(call, number, {"POST_MESSAGE": _argument(call, 1, "commentText", "string")})


@method("task.logitem.list", scope="task", params="ID!")
def log_list(call: Call) -> list[Row]:
    row = _task(call)
    return [
        {
            "CREATED_DATE": call.portal.iso(one["AT"]), "USER_ID": str(one["USER_ID"]), "TASK_ID": str(row["ID"]),
            "FIELD": one["FIELD"], "FROM_VALUE": history_value(one, "FROM") or "",
            "TO_VALUE": history_value(one, "TO") or "",
        }
        for one in call.portal["task_history"].part("TASK_ID", row["ID"])
    ]  # fmt: skip


# --- what there is ----------------------------------------------------------------------------------------------------


@method("task.item.getmanifest", scope="task", cost=(0.0, 0.01))
def manifest(call: Call) -> Row:
    """The methods and the fields that they take.

    [verify] The page shows no answer: it is built as the manifests of check-lists, comments and elapsed time are.
    """
    custom = [one["FIELD_NAME"] for one in task_fields.everything(call.portal)]
    items = [one for one in METHODS.values() if re.fullmatch(r"task\.item\.[a-z]+", one.name)]
    return {
        "Manifest version": "1.2",
        "Warning": "The format of this manifest may change without notice",
        "REST: shortname alias to class": "item",
        "REST: writable task data fields": sorted(_WRITABLE | set(custom)),
        "REST: readable task data fields": [*_READABLE, "TAGS", *custom],
        "REST: sortable task data fields": sorted(_SORTABLE),
        "REST: filterable task data fields": sorted(_FILTERABLE),
        "REST: date fields": [name for name in _READABLE if name in COLUMNS and COLUMNS[name].kind == "time"],
        "REST: available methods": {
            one.name.rpartition(".")[2]: {
                "mandatoryParamsCount": len(one.required), "params": [{"description": name} for name in one.params],
            }
            for one in items
        },
    }  # fmt: skip
