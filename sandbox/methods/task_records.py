"""What hangs on a task: comments, elapsed time, results, its chat (api-reference/tasks: the folders of these names).

Comments live in portal["task_comments"]. With the new card (settings.task_card "new") a comment is a message of the
task's chat: it can be added by the old method and cannot be read or changed by it.
"""

from __future__ import annotations

import re
from typing import Any

from sandbox import disk, dto, tasks
from sandbox.filters import Column, select_rows, to_time
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, method, plain
from sandbox.methods.tasks import task_or_refuse
from sandbox.v3 import V3Error, invalid, required

_NO_INTEGER = 'expected to be of type "integer", but given something else.'
NOT_ALLOWED = (4, "Action is not allowed", "ACTION_NOT_ALLOWED")
NO_ITEM = (512, "Check listitem not found or not accessible", "ITEM_NOT_FOUND_OR_NOT_ACCESSIBLE")


def exception(number: int, text: str, tail: str) -> RestError:
    """An error of the old task methods: TASKS_ERROR_EXCEPTION_#... under ERROR_CORE."""
    return RestError("ERROR_CORE", f"TASKS_ERROR_EXCEPTION_#{number}; {text}; {number}/TE/{tail}<br>", 400)


def argument(call: Call, index: int, name: str, label: str) -> int:
    """A whole number that the old methods insist on."""
    value = call.get(name)
    _, kind, verb = call.method.name.split(".")
    if value in (None, ""):
        text = f"Param #{index} ({label}) expected by method ctask{kind}::{verb}(), but not given."
        raise exception(256, text, "WRONG_ARGUMENTS")
    number = as_int(value)
    if number is None:
        raise exception(
            256, f"Param #{index} ({label}) for method ctask{kind}::{verb}() {_NO_INTEGER}", "WRONG_ARGUMENTS"
        )
    return number


def task_of(call: Call) -> Row:
    """The task of TASKID that the caller may read."""
    row = call.portal["tasks"].get(argument(call, 0, "TASKID", "taskId"))
    if row is None or not tasks.can_read(call.portal, row, call.user):
        raise exception(8, "Action failed", "ACTION_FAILED_TO_BE_PROCESSED")
    return row


def _given(call: Call, name: str, index: int, label: str) -> Row:
    value = call.get(name)
    if not isinstance(value, dict) or not value:
        _, kind, verb = call.method.name.split(".")
        text = f"Param #{index} ({label}) expected by method ctask{kind}::{verb}(), but not given."
        raise exception(256, text, "WRONG_ARGUMENTS")
    return {str(key).upper(): one for key, one in value.items()}


def _keys(call: Call, name: str, index: int, label: str, allowed: tuple[str, ...]) -> Row:
    given = {key.upper(): value for key, value in call.mapping(name).items()}
    _, kind, verb = call.method.name.split(".")
    for key in given:
        bare = key.lstrip("!<>=%?@")
        if bare not in allowed:
            text = f'Param #{index} ({label}) for method ctask{kind}::{verb}() must not contain key "{key}".'
            raise exception(256, text, "WRONG_ARGUMENTS")
    return given


# --- comments ---------------------------------------------------------------------------------------------------------

_SORTABLE = ("ID", "AUTHOR_ID", "AUTHOR_NAME", "AUTHOR_EMAIL", "POST_DATE")
_COMMENT = {"ID": Column("ID", "int"), "AUTHOR_ID": Column("AUTHOR_ID", "int"), "AUTHOR_NAME": Column("AUTHOR_NAME"),
    "AUTHOR_EMAIL": Column("AUTHOR_EMAIL"), "POST_DATE": Column("POST_DATE", "time")}  # fmt: skip


def _files(call: Call, value: Any) -> list[int]:
    found = []
    for one in as_list(value):
        number = as_int(plain(one).removeprefix("n"))
        row = call.portal["disk_objects"].get(number)
        if row is None or row["TYPE"] != "file" or (row["CREATED_BY"] != call.user_id and not call.admin):
            raise RestError("ERROR_CORE", "File not found<br>", 400)
        found.append(row["ID"])
    return found


@method("task.commentitem.add", scope="task", params="TASKID FIELDS", writes=True)
def comment_add(call: Call) -> int:
    number = argument(call, 0, "TASKID", "taskId")
    given = _given(call, "FIELDS", 1, "arFields")
    for key in given:
        if key not in ("POST_MESSAGE", "AUTHOR_ID", "POST_DATE", "UF_FORUM_MESSAGE_DOC"):
            text = f'Param #1 (arFields) for method ctaskcommentitem::add() must not contain key "{key}".'
            raise exception(256, text, "WRONG_ARGUMENTS")
    return write_comment(call, number, given)


def write_comment(call: Call, number: int, given: Row) -> int:
    """A comment of the task of that number: on the new card a message of its chat."""
    task = call.portal["tasks"].get(number)
    if task is None or not tasks.can_read(call.portal, task, call.user):
        raise RestError("ERROR_CORE", "Insufficient permissions to add a comment<br>", 400)
    text = plain(given.get("POST_MESSAGE")).strip()
    if not text:
        raise RestError("ERROR_CORE", "Comment text is not specified<br>", 400)
    files = _files(call, given.get("UF_FORUM_MESSAGE_DOC"))
    author = as_int(given.get("AUTHOR_ID")) if call.admin else None
    if call.portal.settings.task_card == "new":
        return int(tasks.say(call.portal, task, text, call.actor, author=author or 0)["ID"])
    at = to_time(given.get("POST_DATE"), call.portal.zone())
    row = tasks.comment(call.portal, task, text, call.actor, author=author or 0, files=files, at=at)
    return int(row["ID"])


def _comment(call: Call) -> tuple[Row, Row]:
    task = task_of(call)
    number = argument(call, 1, "ITEMID", "itemId")
    row = call.portal["task_comments"].get(number)
    if row is None or row["TASK_ID"] != task["ID"]:
        raise exception(*NO_ITEM)
    return task, row


def _own_comment(call: Call) -> Row:
    task = task_of(call)
    row = call.portal["task_comments"].get(argument(call, 1, "ITEMID", "itemId"))
    may = row is not None and row["TASK_ID"] == task["ID"] and (call.admin or row["AUTHOR_ID"] == call.user_id)
    if row is None or not may or call.portal.settings.task_card == "new":
        raise exception(*NOT_ALLOWED)
    return row


@method("task.commentitem.update", scope="task", params="TASKID ITEMID FIELDS", writes=True)
def comment_update(call: Call) -> bool:
    row = _own_comment(call)
    given = _given(call, "FIELDS", 2, "arFields")
    text = plain(given.get("POST_MESSAGE")).strip()
    if not text:
        raise RestError("ERROR_CORE", "Comment text not specified.<br>", 400)
    row["POST_MESSAGE"] = text
    if "UF_FORUM_MESSAGE_DOC" in given:
        row["FILES"] = _files(call, given["UF_FORUM_MESSAGE_DOC"])
    return True


@method("task.commentitem.delete", scope="task", params="TASKID ITEMID", writes=True)
def comment_delete(call: Call) -> bool:
    call.portal["task_comments"].remove(_own_comment(call)["ID"])
    return True


def _as_comment(call: Call, row: Row) -> Row:
    author = call.portal.user(row["AUTHOR_ID"]) or {"NAME": "", "LAST_NAME": ""}
    made: Row = {
        "POST_MESSAGE_HTML": None, "ID": str(row["ID"]), "AUTHOR_ID": str(row["AUTHOR_ID"]),
        "AUTHOR_NAME": f"{author['NAME']} {author['LAST_NAME']}", "AUTHOR_EMAIL": "",
        "POST_DATE": call.portal.iso(row["POST_DATE"]), "POST_MESSAGE": row["POST_MESSAGE"],
    }  # fmt: skip
    attached: Row = {}
    for number in row["FILES"]:
        file = call.portal["disk_objects"].get(number)
        if file is not None:
            key = str(number + 5000)
            url = f"/bitrix/tools/disk/uf.php?attachedId={key}"
            attached[key] = {
                "ATTACHMENT_ID": key, "NAME": file["NAME"], "SIZE": str(file["SIZE"]), "FILE_ID": str(number),
                "DOWNLOAD_URL": url + "&action=download", "VIEW_URL": url + "&action=show",
            }  # fmt: skip
    if attached:
        made["ATTACHED_OBJECTS"] = attached
    return made


@method("task.commentitem.get", scope="task", params="TASKID ITEMID")
def comment_get(call: Call) -> Row:
    return _as_comment(call, _comment(call)[1])


@method("task.commentitem.getlist", scope="task", params="TASKID ORDER FILTER")
def comment_list(call: Call) -> list[Row]:
    task = task_of(call)
    order = _keys(call, "ORDER", 1, "arOrder", _SORTABLE)
    given = _keys(call, "FILTER", 2, "arFilter", _SORTABLE)
    rows, _, _ = select_rows(
        call.portal["task_comments"], filter=given, order=order or {"ID": "ASC"}, columns=_COMMENT,
        zone=call.portal.zone(), visible=lambda row: row["TASK_ID"] == task["ID"], limit=10_000,
    )  # fmt: skip
    return [_as_comment(call, row) for row in rows]


@method("task.commentitem.isactionallowed", scope="task", params="TASKID ITEMID ACTIONID")
def comment_allowed(call: Call) -> bool:
    number = argument(call, 2, "ACTIONID", "actionId")
    _, row = _comment(call)
    return number == 1 or (number in (2, 3) and (call.admin or row["AUTHOR_ID"] == call.user_id))


# --- elapsed time -----------------------------------------------------------------------------------------------------

_ELAPSED = {name: Column(name, "int") for name in ("ID", "TASK_ID", "USER_ID", "MINUTES", "SECONDS")}
_ELAPSED |= {"CREATED_DATE": Column("CREATED_DATE", "time")}


def _elapsed(call: Call, row: Row) -> Row:
    iso = call.portal.iso
    return {
        "ID": str(row["ID"]), "TASK_ID": str(row["TASK_ID"]), "USER_ID": str(row["USER_ID"]),
        "COMMENT_TEXT": row["COMMENT_TEXT"], "SECONDS": str(row["SECONDS"]), "MINUTES": str(row["SECONDS"] // 60),
        "SOURCE": "2", "CREATED_DATE": iso(row["CREATED_DATE"]), "DATE_START": iso(row["DATE_START"]),
        "DATE_STOP": iso(row["DATE_STOP"]),
    }  # fmt: skip


def _own_elapsed(call: Call) -> tuple[Row, Row]:
    task = task_of(call)
    row = call.portal["elapsed"].get(argument(call, 1, "ITEMID", "itemId"))
    if row is None or row["TASK_ID"] != task["ID"]:
        raise exception(512, "Item not found or not accessible", "ITEM_NOT_FOUND_OR_NOT_ACCESSIBLE")
    return task, row


@method("task.elapseditem.add", scope="task", params="TASKID ARFIELDS", writes=True)
def elapsed_add(call: Call) -> int:
    task = task_of(call)
    given = _given(call, "ARFIELDS", 1, "arFields")
    seconds = as_int(given.get("SECONDS"))
    if seconds is None and as_int(given.get("MINUTES")) is not None:
        seconds = (as_int(given.get("MINUTES")) or 0) * 60
    if seconds is None or seconds < 0:
        raise exception(256, "Item SECONDS is not given", "WRONG_ARGUMENTS")
    if not tasks.actions(task, call.user)["elapsedtime.add"]:
        raise exception(*NOT_ALLOWED)
    now = call.portal.now()
    user = as_int(given.get("USER_ID")) if call.admin else None
    row = call.portal["elapsed"].add(
        {
            "TASK_ID": task["ID"], "USER_ID": user or call.user_id, "COMMENT_TEXT": plain(given.get("COMMENT_TEXT")),
            "SECONDS": seconds, "CREATED_DATE": to_time(given.get("CREATED_DATE"), call.portal.zone()) or now,
            "DATE_START": now, "DATE_STOP": now,
        }
    )  # fmt: skip
    call.portal.effect("create", "elapsed time", row["ID"], call.user_id, "rest", task=task["ID"])
    return int(row["ID"])


@method("task.elapseditem.update", scope="task", params="TASKID ITEMID ARFIELDS", writes=True)
def elapsed_update(call: Call) -> None:
    _, row = _own_elapsed(call)
    given = _given(call, "ARFIELDS", 2, "arFields")
    if row["USER_ID"] != call.user_id and not call.admin:
        raise exception(*NOT_ALLOWED)
    seconds = as_int(given.get("SECONDS"))
    if seconds is not None and seconds >= 0:
        row["SECONDS"] = seconds
    if "COMMENT_TEXT" in given:
        row["COMMENT_TEXT"] = plain(given["COMMENT_TEXT"])


@method("task.elapseditem.delete", scope="task", params="TASKID ITEMID", writes=True)
def elapsed_delete(call: Call) -> None:
    _, row = _own_elapsed(call)
    if row["USER_ID"] != call.user_id and not call.admin:
        raise exception(*NOT_ALLOWED)
    call.portal["elapsed"].remove(row["ID"])


@method("task.elapseditem.get", scope="task", params="TASKID ITEMID")
def elapsed_get(call: Call) -> list[Row]:
    # The documented example shows the record inside a list.
    return [_elapsed(call, _own_elapsed(call)[1])]


@method("task.elapseditem.getlist", scope="task", params="TASKID ORDER FILTER SELECT PARAMS")
def elapsed_list(call: Call) -> Page:
    task = task_of(call) if as_int(call.get("TASKID")) is not None else None
    order = {key.upper(): value for key, value in call.mapping("ORDER").items()}
    given = {key.upper(): value for key, value in call.mapping("FILTER").items()}

    def visible(row: Row) -> bool:
        if task is not None:
            return bool(row["TASK_ID"] == task["ID"])
        owner = call.portal["tasks"].get(row["TASK_ID"])
        return owner is not None and tasks.can_read(call.portal, owner, call.user)

    rows, total, _ = select_rows(
        call.portal["elapsed"], filter=given, order=order or {"ID": "ASC"}, columns=_ELAPSED, zone=call.portal.zone(),
        visible=visible, unknown=lambda key: None,
    )  # fmt: skip
    return Page([_elapsed(call, row) for row in rows], total)


@method("task.elapseditem.isActionAllowed", scope="task", params="TASKID ITEMID ACTIONID")
def elapsed_allowed(call: Call) -> bool:
    number = argument(call, 2, "ACTIONID", "actionId")
    task, row = _own_elapsed(call)
    if number == 1:
        return tasks.actions(task, call.user)["elapsedtime.add"]
    return number in (2, 3) and (call.admin or row["USER_ID"] == call.user_id)


# --- results ----------------------------------------------------------------------------------------------------------


def mismatch(name: str, value: Any, kind: str) -> RestError:
    """The error of a controller's parameter whose value is of another type than `kind` (int, array)."""
    shown = "" if isinstance(value, (dict, list)) else plain(value)
    text = f"Invalid value {{{shown}}} to match with parameter {{{name}}}. Should be value of type {kind}."
    return RestError("100", text, 400)


def whole(call: Call, name: str) -> int:
    """A whole number that a controller insists on."""
    number = as_int(call.get(name))
    if number is None:
        raise mismatch(name, call.get(name), "int")
    return number


def structure(call: Call, name: str) -> Row:
    """A map (a list counts by its places) that a controller insists on; empty when it is absent."""
    value = call.get(name)
    if value is not None and not isinstance(value, (dict, list)):
        raise mismatch(name, value, "array")
    return call.mapping(name)


_MARKUP = re.compile(r"\[(/?)([bius])\]", re.IGNORECASE)


def _result(call: Call, row: Row) -> Row:
    iso = call.portal.iso
    return {
        "id": row["ID"], "taskId": row["TASK_ID"], "commentId": row["COMMENT_ID"], "createdBy": row["AUTHOR_ID"],
        "createdAt": iso(row["CREATED"]), "updatedAt": iso(row["CHANGED"] or row["CREATED"]),
        "status": 0 if row["STATUS"] == "open" else 1, "text": row["TEXT"],
        "formattedText": _MARKUP.sub(lambda tag: f"<{tag[1]}{tag[2].lower()}>", row["TEXT"]), "files": row["FILES"],
    }  # fmt: skip


def _result_comment(call: Call) -> tuple[Row, Row]:
    comment = call.portal["task_comments"].get(whole(call, "commentId"))
    if comment is None:
        raise RestError("0", "Comment not found.", 400)
    task = call.portal["tasks"].get(comment["TASK_ID"])
    if task is None or not tasks.can_read(call.portal, task, call.user):
        raise RestError("0", "Access denied.", 400)
    return task, comment


@method("tasks.task.result.addFromComment", scope="task", params="commentId", writes=True)
def result_from_comment(call: Call) -> Row:
    task, comment = _result_comment(call)
    # A closed result may be followed by another one of the same comment.
    if call.portal["task_results"].first(COMMENT_ID=comment["ID"], STATUS="open") is not None:
        raise RestError("0", "Result already exists.", 400)
    text, files = comment["POST_MESSAGE"], comment["FILES"]
    made = tasks.add_result(call.portal, task, text, call.actor, comment=comment["ID"], files=files)
    return _result(call, made) | {"files": None}


@method("tasks.task.result.deleteFromComment", scope="task", params="commentId", writes=True)
def result_drop_comment(call: Call) -> None:
    _, comment = _result_comment(call)
    row = call.portal["task_results"].first(COMMENT_ID=comment["ID"])
    if row is None or (row["AUTHOR_ID"] != call.user_id and not call.admin):
        raise exception(*NOT_ALLOWED)
    call.portal["task_results"].remove(row["ID"])


@method("tasks.task.result.list", scope="task", params="taskId")
def result_list(call: Call) -> list[Row]:
    task = call.portal["tasks"].get(whole(call, "taskId"))
    if task is None or not tasks.can_read(call.portal, task, call.user):
        raise RestError("0", "Access denied.", 400)
    rows = list(call.portal["task_results"].where(TASK_ID=task["ID"]))
    return [_result(call, row) for row in reversed(rows)]


RESULT = dto.Dto("ResultDto", {
    "id": "int", "taskId": "int", "text": "string", "authorId": "int", "createdAt": "DateTime", "updatedAt": "DateTime",
    "status": "string", "fileIds": "array", "rights": "object", "messageId": "int",
})  # fmt: skip


def _result_item(call: Call, row: Row) -> Row:
    own = row["AUTHOR_ID"] == call.user_id or call.admin
    return {
        "id": row["ID"], "taskId": row["TASK_ID"], "text": row["TEXT"], "authorId": row["AUTHOR_ID"],
        "createdAt": call.portal.iso(row["CREATED"]), "updatedAt": call.portal.iso(row["CHANGED"]),
        "status": row["STATUS"], "fileIds": row["FILES"], "rights": {"edit": own, "remove": own},
        "messageId": row["MESSAGE_ID"] or None,
    }  # fmt: skip


def _readable(call: Call, number: Any) -> Row:
    row = call.portal["tasks"].get(number)
    if row is None or not tasks.can_read(call.portal, row, call.user):
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    return row


def _result_fields(call: Call, *allowed: str) -> Row:
    fields = dto.fields(call)
    if "fileIds" in fields:
        raise invalid(("fileIds", "Field `fileIds` is not available for filling"))
    for name in fields:
        if name not in RESULT.fields:
            raise RESULT.unknown(name)
        if name not in allowed:
            raise invalid((name, f"Field `{name}` is not available for filling"))
    return fields


@method("tasks.task.result.add", scope="tasks", version=3, writes=True)
def result_add(call: Call) -> Row:
    fields = _result_fields(call, "taskId", "text")
    lacking = [name for name in ("taskId", "text") if fields.get(name) in (None, "")]
    if lacking:
        raise required(*lacking)
    task = _readable(call, dto.whole(fields, "taskId"))
    return {"item": _result_item(call, tasks.add_result(call.portal, task, dto.text(fields, "text"), call.actor))}


@method("tasks.task.result.addfromchatmessage", scope="tasks", version=3, writes=True)
def result_from_message(call: Call) -> Row:
    fields = _result_fields(call, "messageId")
    if fields.get("messageId") is None:
        raise required("messageId")
    message = call.portal["messages"].get(dto.whole(fields, "messageId"))
    chat = plain(message["DIALOG_ID"]).removeprefix("chat") if message else ""
    task = call.portal["tasks"].first(CHAT_ID=as_int(chat)) if chat.isdigit() else None
    if message is None or task is None:
        raise invalid(("messageId", "Message is not from task chat"))
    _readable(call, task["ID"])
    made = tasks.add_result(call.portal, task, message["MESSAGE"], call.actor, message=message["ID"])
    return {"item": _result_item(call, made)}


def _own_result(call: Call) -> Row:
    if call.params.get("id") is None:
        raise required("id")
    row = call.portal["task_results"].get(dto.whole(call.params, "id"))
    if row is None or (row["AUTHOR_ID"] != call.user_id and not call.admin):
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    return row


@method("tasks.task.result.update", scope="tasks", version=3, writes=True)
def result_update(call: Call) -> Row:
    row = _own_result(call)
    fields = _result_fields(call, "text")
    if not fields.get("text"):
        raise required("text")
    row["TEXT"], row["CHANGED"] = dto.text(fields, "text"), call.portal.now()
    return {"item": _result_item(call, row)}


@method("tasks.task.result.delete", scope="tasks", version=3, writes=True)
def result_delete(call: Call) -> Row:
    call.portal["task_results"].remove(_own_result(call)["ID"])
    return {"result": True}


@method("tasks.task.result.list", scope="tasks", version=3)
def result_list_v3(call: Call) -> Row:
    wanted, test = dto.conditions(call, RESULT, {"taskId", "id", "authorId", "status", "createdAt"})
    if "taskId" not in wanted:
        raise invalid(("filter.taskId", "A filter for the required field `taskId` must be specified"))
    task = _readable(call, wanted["taskId"])
    rows = [_result_item(call, row) for row in call.portal["task_results"].where(TASK_ID=task["ID"])]
    return {"items": dto.page(call, RESULT, [row for row in rows if test(row)])}


MESSAGE = dto.Dto("MessageDto", {"id": "int", "taskId": "int", "text": "string"})
dto.describe("tasks.task.chat.message", "tasks", MESSAGE)


@method("tasks.task.chat.message.send", scope="tasks", version=3, writes=True)
def message_send(call: Call) -> Row:
    fields = dto.fields(call)
    lacking = [name for name in ("taskId", "text") if fields.get(name) in (None, "")]
    if lacking:
        raise required(*lacking)
    task = _readable(call, dto.whole(fields, "taskId"))
    tasks.say(call.portal, task, dto.text(fields, "text"), call.actor)
    return {"result": True}


# --- files ------------------------------------------------------------------------------------------------------------

dto.describe("tasks.task.file", "tasks", dto.Dto("FileDto", {"taskId": "int", "fileIds": "array"}))


@method("tasks.task.files.attach", scope="task", params="taskId fileId", writes=True)
def files_attach(call: Call) -> Row:
    task = task_or_refuse(call)
    if call.get("fileId") in (None, ""):
        raise RestError("100", "Could not find value for parameter {fileId} (internal error)", 400)
    file = call.portal["disk_objects"].get(whole(call, "fileId"))
    if not tasks.actions(task, call.user)["edit"]:
        raise RestError("0", "Access denied (internal error)", 400)
    if file is None or file["TYPE"] != "file":
        raise RestError("ERROR_CORE", "Insufficient permissions.<br>", 400)
    return {"attachmentId": attach(call, task, file)}


def attach(call: Call, task: Row, file: Row) -> int:
    """The file of Drive becomes one of the task; the id of the attachment."""
    row = disk.attach(call.portal, file, call.user_id, "tasks_task", task["ID"])
    files = [*task["UF_TASK_WEBDAV_FILES"], f"n{row['ID']}"]
    tasks.update(call.portal, task, {"UF_TASK_WEBDAV_FILES": files}, call.actor)
    return int(row["ID"])


@method("tasks.task.file.attach", scope="tasks", version=3, writes=True)
def file_attach(call: Call) -> Row:
    lacking = [name for name in ("taskId", "fileIds") if call.params.get(name) is None]
    if lacking:
        raise required(*lacking)
    number, ids = dto.whole(call.params, "taskId"), call.params["fileIds"]
    if not isinstance(ids, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in ids):
        raise dto.typed("fileIds", "array")
    task = _readable(call, number)
    files = [call.portal["disk_objects"].get(one) for one in ids]
    if not tasks.actions(task, call.user)["edit"]:
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    for file in files:
        if file is None or file["TYPE"] != "file":
            raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    for file in files:
        if file is not None:
            attach(call, task, file)
    return {"result": True}
