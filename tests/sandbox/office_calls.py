"""What the contract test calls of the families beside CRM: records made once, parameters, documented leniencies."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import office_plans
import scrum_calls

FILE = base64.b64encode(b"content of a file").decode()
# Parameters by method, from records that `prepare` made; a callable makes its own record at the time of the call.
Params = dict[str, Any]
_MAKERS: list[Callable[[Any], Params]] = []


def family(function: Callable[[Any], Params]) -> Callable[[Any], Params]:
    _MAKERS.append(function)
    return function


def prepare(j: Any) -> None:
    """Make the records once; `j.office` keeps the parameters."""
    j.portal.control("PATCH", "settings", {"task_card": "old"})
    j.office = {}
    for make in _MAKERS:
        j.office |= make(j)


def params(j: Any) -> Params:
    return dict(j.office)


def absent(j: Any, name: str) -> Params | None:
    """Parameters with an object that does not exist, where the common ones do not say it."""
    found = ABSENT.get(name)
    return found(j) if callable(found) else found


NO_REFUSAL: set[str] = set()
NO_OBJECT: set[str] = set()
NONSENSE: dict[str, Any] = {}
ABSENT: dict[str, Any] = {}
family(office_plans.params)
NO_REFUSAL |= office_plans.NO_REFUSAL
NO_OBJECT |= office_plans.NO_OBJECT
ABSENT |= office_plans.ABSENT
family(scrum_calls.params)
NO_REFUSAL |= scrum_calls.NO_REFUSAL
NO_OBJECT |= scrum_calls.NO_REFUSAL
ABSENT |= scrum_calls.ABSENT


@family
def tasks(j: Any) -> Params:
    task = int(j.do("tasks.task.add", fields={"TITLE": "С записями", "RESPONSIBLE_ID": 1})["task"]["id"])
    other = int(j.do("tasks.task.add", fields={"TITLE": "Вторая", "RESPONSIBLE_ID": 1})["task"]["id"])
    j.do("tasks.task.start", taskId=task)
    storage = j.do("disk.storage.getlist", filter={"ENTITY_TYPE": "user", "ENTITY_ID": 1})[0]["ID"]
    file = j.do("disk.storage.uploadfile", id=storage, data={"NAME": "акт.txt"}, fileContent=["акт.txt", FILE])["ID"]
    comment = j.do(
        "task.commentitem.add", TASKID=task, FIELDS={"POST_MESSAGE": "Готово", "UF_FORUM_MESSAGE_DOC": [f"n{file}"]}
    )
    second = j.do("task.commentitem.add", TASKID=task, FIELDS={"POST_MESSAGE": "Ещё"})
    elapsed = j.do("task.elapseditem.add", TASKID=task, ARFIELDS={"SECONDS": 113, "COMMENT_TEXT": "x"})
    j.do("tasks.task.result.addFromComment", commentId=comment)
    stage = j.do("task.stages.add", fields={"TITLE": "Ещё одна"})
    chat = int(j.do("tasks.task.get", taskId=task, select=["CHAT_ID"])["task"]["chatId"])
    message = j.do("im.message.add", DIALOG_ID=f"chat{chat}", MESSAGE="Сделано")
    result = j.do("api/tasks.task.result.add", fields={"taskId": task, "text": "Итог"})["item"]["id"]
    both = {"TASKID": task, "ITEMID": comment}
    plain = {"taskId": task}

    def link() -> Params:
        j.call_rest("task.dependence.delete", {"taskIdFrom": task, "taskIdTo": other})
        return {"taskIdFrom": task, "taskIdTo": other, "linkType": 0}

    def linked() -> Params:
        j.call_rest("task.dependence.add", {"taskIdFrom": task, "taskIdTo": other, "linkType": 0})
        return {"taskIdFrom": task, "taskIdTo": other}

    def new_comment() -> int:
        return int(j.do("task.commentitem.add", TASKID=task, FIELDS={"POST_MESSAGE": "x"}))

    return {
        "task.commentitem.add": {"TASKID": task, "FIELDS": {"POST_MESSAGE": "x"}},
        "task.commentitem.get": both,
        "task.commentitem.getlist": {"TASKID": task, "ORDER": {"POST_DATE": "asc"}},
        "task.commentitem.update": {**both, "FIELDS": {"POST_MESSAGE": "y"}},
        "task.commentitem.delete": lambda: {"TASKID": task, "ITEMID": new_comment()},
        "task.commentitem.isactionallowed": {**both, "ACTIONID": 2},
        "task.checklistitem.isactionallowed": {"TASKID": j.task, "ITEMID": j.item, "ACTIONID": 2},
        "task.elapseditem.add": {"TASKID": task, "ARFIELDS": {"SECONDS": 113, "COMMENT_TEXT": "x"}},
        "task.elapseditem.get": {"TASKID": task, "ITEMID": elapsed},
        "task.elapseditem.getlist": {"TASKID": task},
        "task.elapseditem.update": {"TASKID": task, "ITEMID": elapsed, "ARFIELDS": {"SECONDS": 5}},
        "task.elapseditem.delete": lambda: {
            "TASKID": task,
            "ITEMID": j.do("task.elapseditem.add", TASKID=task, ARFIELDS={"SECONDS": 1}),
        },
        "task.elapseditem.isActionAllowed": {"TASKID": task, "ITEMID": elapsed, "ACTIONID": 1},
        "tasks.task.result.addFromComment": lambda: {"commentId": new_comment()},
        "tasks.task.result.deleteFromComment": lambda: {
            "commentId": j.do("tasks.task.result.addFromComment", commentId=new_comment())["commentId"]
        },
        "tasks.task.result.list": plain,
        "tasks.task.favorite.add": plain,
        "tasks.task.favorite.remove": plain,
        "tasks.task.startwatch": plain,
        "tasks.task.stopwatch": plain,
        **{f"tasks.task.{verb}": {"id": task} for verb in ("pin", "unpin", "mute", "unmute")},
        "tasks.task.counters.get": {"userId": 1, "groupId": 0, "type": "view_all"},
        "tasks.task.getaccess": {"taskId": task, "users": [1, 4]},
        "tasks.task.files.attach": {"taskId": task, "fileId": file},
        "task.dependence.add": link,
        "task.dependence.delete": linked,
        "task.stages.get": {"entityId": 0},
        "task.stages.add": {"fields": {"TITLE": "x", "COLOR": "#FFAAEE", "AFTER_ID": stage}},
        "task.stages.update": {"id": stage, "fields": {"TITLE": "y"}},
        "task.stages.delete": lambda: {"id": j.do("task.stages.add", fields={"TITLE": "z", "AFTER_ID": stage})},
        "task.stages.canmovetask": {"entityId": 1, "entityType": "U"},
        "task.stages.movetask": {"id": task, "stageId": stage},
        "api/tasks.task.access.get": {"id": task},
        "api/tasks.task.field.get": {"name": "id"},
        "api/tasks.task.access.field.get": {"name": "id"},
        "api/tasks.task.chat.message.field.get": {"name": "taskId"},
        "api/tasks.task.file.field.get": {"name": "taskId"},
        "api/tasks.task.chat.message.send": {"fields": {"taskId": task, "text": "x"}},
        "api/tasks.task.file.attach": {"taskId": task, "fileIds": [file]},
        "api/tasks.task.result.add": {"fields": {"taskId": task, "text": "x"}},
        "api/tasks.task.result.addfromchatmessage": {"fields": {"messageId": message}},
        "api/tasks.task.result.update": {"id": result, "fields": {"text": "y"}},
        "api/tasks.task.result.delete": lambda: {
            "id": j.do("api/tasks.task.result.add", fields={"taskId": task, "text": "x"})["item"]["id"]
        },
        "api/tasks.task.result.list": {"filter": [["taskId", task]]},
        "_second": second,
    }


NO_REFUSAL |= {
    "task.checklistitem.getmanifest", "task.commentitem.getmanifest", "task.elapseditem.getmanifest",
    "task.elapseditem.getlist", "task.planner.getlist", "tasks.task.counters.get", "tasks.task.getFields",
    "api/tasks.task.field.list", "api/tasks.task.access.field.list", "api/tasks.task.chat.message.field.list",
    "api/tasks.task.file.field.list",
}  # fmt: skip
# An item that does not exist is not ticked: the documented answer is false.
NO_OBJECT |= {"task.stages.add", "task.stages.canmovetask", "task.checklistitem.complete", "task.checklistitem.renew"}
for _name in ("tasks.task", "tasks.task.access", "tasks.task.chat.message", "tasks.task.file"):
    ABSENT[f"api/{_name}.field.get"] = {"name": "nothing"}
ABSENT |= {
    "task.commentitem.isactionallowed": {"TASKID": 999999, "ITEMID": 1, "ACTIONID": 1},
    "task.elapseditem.isActionAllowed": {"TASKID": 999999, "ITEMID": 1, "ACTIONID": 1},
    "task.checklistitem.isactionallowed": {"TASKID": 999999, "ITEMID": 1, "ACTIONID": 1},
    "task.dependence.add": {"taskIdFrom": 999999, "taskIdTo": 1, "linkType": 0},
    "task.stages.get": {"entityId": 999999},
    "tasks.task.files.attach": lambda j: {"taskId": j.task, "fileId": 999999},
    "tasks.task.result.addFromComment": {"commentId": 999999},
    "tasks.task.result.deleteFromComment": {"commentId": 999999},
    "api/tasks.task.chat.message.send": {"fields": {"taskId": 999999, "text": "x"}},
    "api/tasks.task.file.attach": {"taskId": 999999, "fileIds": [1]},
    "api/tasks.task.result.add": {"fields": {"taskId": 999999, "text": "x"}},
    "api/tasks.task.result.addfromchatmessage": {"fields": {"messageId": 999999}},
    "api/tasks.task.result.list": {"filter": [["taskId", 999999]]},
}


@family
def disk(j: Any) -> Params:
    storage = j.do("disk.storage.getForApp")["ID"]
    own = j.do("disk.storage.getlist", filter={"ENTITY_TYPE": "user", "ENTITY_ID": 1})[0]["ID"]
    folder = j.do("disk.storage.addfolder", id=own, data={"NAME": "Папка"})["ID"]
    target = j.do("disk.storage.addfolder", id=own, data={"NAME": "Куда"})["ID"]
    count = [0]

    def new_folder() -> int:
        count[0] += 1
        return int(j.do("disk.folder.addsubfolder", id=folder, data={"NAME": f"Внутри {count[0]}"})["ID"])

    def new_file(name: str = "") -> int:
        count[0] += 1
        data = {"NAME": name or f"файл {count[0]}.txt"}
        return int(j.do("disk.folder.uploadfile", id=folder, data=data, fileContent=["x", FILE])["ID"])

    file = new_file("проба.txt")
    j.do("disk.file.uploadversion", id=file, fileContent=["проба.txt", FILE])
    j.do("disk.folder.addsubfolder", id=folder, data={"NAME": "проба папка"})
    version = j.do("disk.file.getversions", id=file)[0]["ID"]
    j.do("disk.storage.uploadfile", id=own, data={"NAME": "в корне.txt"}, fileContent=["x", FILE])
    attached = j.do("tasks.task.files.attach", taskId=j.task, fileId=file)["attachmentId"]
    made: Params = {
        "disk.storage.get": {"id": own},
        "disk.storage.getChildren": {"id": own, "filter": {"NAME": "%апка%"}},
        "disk.storage.rename": {"id": storage, "newName": "Приложение"},
        "disk.storage.addFolder": {"id": own, "data": {"NAME": "Ещё папка"}},
        "disk.storage.uploadFile": {"id": own, "data": {"NAME": "x.txt"}, "fileContent": ["x", FILE]},
        "disk.folder.get": {"id": folder},
        "disk.folder.getChildren": {"id": folder},
        "disk.folder.addSubFolder": {"id": folder, "data": {"NAME": "Новая"}},
        "disk.folder.uploadFile": {
            "id": folder, "data": {"NAME": "y.txt"}, "fileContent": ["y", FILE], "generateUniqueName": True,
        },
        "disk.folder.deleteTree": lambda: {"id": new_folder()},
        "disk.folder.shareToUser": {"id": folder, "userId": 4, "taskName": "disk_access_read"},
        "disk.file.get": {"id": file},
        "disk.file.delete": lambda: {"id": new_file()},
        "disk.file.uploadVersion": {"id": file, "fileContent": ["проба.txt", FILE]},
        "disk.file.getVersions": {"id": file},
        "disk.file.restoreFromVersion": {"id": file, "versionId": version},
        "disk.file.search": {"QUERY": "проба", "TYPE": "all"},
        "disk.version.get": {"id": version},
        "disk.attachedObject.get": {"id": attached},
    }  # fmt: skip
    for kind, make in (("folder", new_folder), ("file", new_file)):
        made[f"disk.{kind}.copyTo"] = lambda make=make: {"id": make(), "targetFolderId": target}
        made[f"disk.{kind}.moveTo"] = lambda make=make: {"id": make(), "targetFolderId": target}
        made[f"disk.{kind}.rename"] = lambda make=make: {"id": make(), "newName": f"имя {count[0]}"}
        made[f"disk.{kind}.markDeleted"] = lambda make=make: {"id": make()}
        made[f"disk.{kind}.restore"] = lambda make=make, kind=kind: {
            "id": j.do(f"disk.{kind}.markDeleted", id=make())["ID"]
        }
        made[f"disk.{kind}.getExternalLink"] = {"id": folder if kind == "folder" else file}
    return made


NO_REFUSAL |= {
    "disk.storage.getFields", "disk.storage.getTypes", "disk.storage.getList", "disk.storage.getForApp",
    "disk.folder.getFields", "disk.file.getFields", "disk.rights.getTasks",
}  # fmt: skip
NONSENSE["disk.file.search"] = {"QUERY": "x"}
ABSENT["disk.file.search"] = {"QUERY": "ничего", "FILTER": {"STORAGE_ID": 999999}}


@family
def staff(j: Any) -> Params:
    person = j.do("user.add", EMAIL="new.person@dubrava.example", NAME="Новый", UF_DEPARTMENT=[3])
    field = j.do(
        "user.userfield.add",
        fields={"USER_TYPE_ID": "enumeration", "FIELD_NAME": "SHIFT", "LIST": [{"VALUE": "а"}, {"VALUE": "б"}]},
    )
    j.do("user.userfield.add", fields={"USER_TYPE_ID": "string", "FIELD_NAME": "NOTE", "LABEL": "Заметка"})
    department = j.do("department.add", NAME="Склад", PARENT=1)
    j.do("timeman.open", USER_ID=1, REPORT="x")
    day = j.do("api/timeman.record.list", filter=[["userId", 1]])["items"][0]
    section = j.do("calendar.section.add", type="user", ownerId=1, name="Вторая")
    resource = j.do("calendar.resource.add", name="Стенд")
    j.portal.control("POST", "resource-bookings", {"resource_id": resource, "from": "2026-12-01", "to": "2026-12-02"})
    count = [0]

    def new_field() -> int:
        count[0] += 1
        return int(j.do("user.userfield.add", fields={"USER_TYPE_ID": "string", "FIELD_NAME": f"X{count[0]}"}))

    own = {"type": "user", "ownerId": 1}
    return {
        "user.add": {"EMAIL": "other.person@dubrava.example", "UF_DEPARTMENT": [1]},
        "user.update": {"ID": person, "NAME": "Другой"},
        "user.access": {"ACCESS": ["G2", "AU"]},
        "user.userfield.add": {"fields": {"USER_TYPE_ID": "string", "FIELD_NAME": "ONE_MORE"}},
        "user.userfield.update": {"id": field, "fields": {"SORT": 50}},
        "user.userfield.delete": lambda: {"id": new_field()},
        "department.add": {"NAME": "Ещё", "PARENT": 1},
        "department.update": {"ID": department, "NAME": "Склады"},
        "department.delete": lambda: {"ID": j.do("department.add", NAME="x", PARENT=1)},
        "timeman.networkrange.check": {"IP": "10.10.255.255"},
        "timeman.networkrange.set": {"RANGES": [{"ip_range": "10.0.0.0-10.255.255.255", "name": "x"}]},
        "timeman.schedule.get": {"id": 1},
        "timeman.timecontrol.report.add": {"REPORT_ID": day["id"], "TEXT": "Работал"},
        "timeman.timecontrol.reports.get": {
            "USER_ID": 1, "MONTH": int(day["startTime"][5:7]), "YEAR": int(day["startTime"][:4]),
        },
        "timeman.timecontrol.settings.set": {"ACTIVE": True},
        "api/timeman.record.field.get": {"name": "startTime"},
        "api/timeman.record.list": {"filter": [["userId", 1]]},
        "calendar.section.add": {**own, "name": "x", "export": {"ALLOW": False}},
        "calendar.section.update": {**own, "id": section, "name": "y"},
        "calendar.section.delete": lambda: {**own, "id": j.do("calendar.section.add", **own, name="z")},
        "calendar.meeting.status.get": {"eventId": j.event},
        "calendar.meeting.status.set": {"eventId": j.event, "status": "Y"},
        "calendar.user.settings.set": {"settings": {"view": "week"}},
        "calendar.event.get.nearest": {**own, "days": 60},
        "calendar.resource.add": {"name": "x"},
        "calendar.resource.update": {"resourceId": resource, "name": "y"},
        "calendar.resource.delete": lambda: {"resourceId": j.do("calendar.resource.add", name="z")},
        "calendar.resource.booking.list": {
            "filter": {"resourceTypeIdList": [resource], "from": "2026-11-30", "to": "2026-12-05"},
        },
    }  # fmt: skip


NO_REFUSAL |= {
    "user.userfield.list", "department.fields", "timeman.networkrange.get", "timeman.networkrange.check",
    "timeman.schedule.get", "timeman.timecontrol.reports.settings.get", "timeman.timecontrol.reports.users.get",
    "timeman.timecontrol.settings.get", "timeman.timecontrol.settings.set", "api/timeman.record.field.list",
    "calendar.user.settings.get", "calendar.resource.list",
}  # fmt: skip
# No entry is null, no calendar of an unknown owner an empty list: their pages name no error.
NO_OBJECT |= {
    "calendar.event.get.nearest", "calendar.event.getbyid", "calendar.section.get", "calendar.resource.add",
    "user.access",
}  # fmt: skip
NONSENSE["user.access"] = {}
ABSENT |= {
    "user.add": {"EMAIL": "nobody", "UF_DEPARTMENT": [999999]},
    "department.add": {"NAME": "x", "PARENT": 999999},
    "department.update": {"ID": 999999},
    "department.delete": {"ID": 999999},
    "timeman.networkrange.set": {"RANGES": "x"},
    "calendar.resource.booking.list": {"filter": {}},
    "calendar.user.settings.set": {"settings": "x"},
    "api/timeman.record.field.get": {"name": "nothing"},
    "api/timeman.record.list": {"filter": [["userId", 999999]]},
}


@family
def processes(j: Any) -> Params:
    client = j.portal.client_id
    j.do("bizproc.activity.add", CODE="known", HANDLER="http://127.0.0.1:9/a", NAME="Действие", USE_SUBSCRIPTION="Y")
    waiting = j.portal.control(
        "POST", "workflow-templates",
        {"entity_type_id": 1, "name": "Ждёт", "activities": [{"code": "known", "client_id": client}]},
    )["id"]  # fmt: skip
    asked = {"kind": "request", "users": [1], "name": "Кто делает", "fields": {"who": {"Name": "Кто"}}}
    asking = j.portal.control(
        "POST", "workflow-templates", {"entity_type_id": 1, "name": "Спрашивает", "activities": [{"task": asked}]}
    )["id"]
    data = ["bp.bpt", FILE]
    kind = ["crm", "CCrmDocumentLead", "LEAD"]
    own = j.do("bizproc.workflow.template.add", DOCUMENT_TYPE=kind, NAME="Свой", TEMPLATE_DATA=data)
    document = ["crm", "CCrmDocumentLead", f"LEAD_{j.lead}"]
    columns = ["ID", "MODIFIED", "OWNED_UNTIL", "MODULE_ID", "ENTITY", "DOCUMENT_ID", "STARTED", "STARTED_BY",
        "TEMPLATE_ID"]  # fmt: skip

    def run(template: int = waiting) -> str:
        return str(j.do("bizproc.workflow.start", TEMPLATE_ID=template, DOCUMENT_ID=document))

    def task() -> int:
        run(asking)
        return int(j.do("bizproc.task.list", select=["ID"], filter={"STATUS": 0, "USER_ID": 1})[0]["ID"])

    run()
    task()
    approval = {"kind": "approve", "users": [1], "name": "Согласны?"}
    run(
        j.portal.control(
            "POST", "workflow-templates", {"entity_type_id": 1, "name": "n", "activities": [{"task": approval}]}
        )["id"]
    )
    j.do("userfieldtype.add", USER_TYPE_ID="known", HANDLER="http://127.0.0.1:9/f", TITLE="Тип", DESCRIPTION="x")
    j.do("messageservice.sender.add", CODE="known", TYPE="SMS", HANDLER="http://127.0.0.1:9/s", NAME="СМС")
    sms = j.portal.control("POST", "sms", {"code": "known", "phone": "+79005550001", "text": "x"})["message_id"]
    return {
        "bizproc.activity.add": {"CODE": "new", "HANDLER": "http://127.0.0.1:9/a", "NAME": "n"},
        "bizproc.activity.update": {"CODE": "known", "FIELDS": {"NAME": "n2"}},
        "bizproc.activity.delete": {"CODE": "new"},
        "bizproc.workflow.template.add": {"DOCUMENT_TYPE": kind, "NAME": "n", "TEMPLATE_DATA": data},
        "bizproc.workflow.template.update": {"ID": own, "FIELDS": {"NAME": "n2"}},
        "bizproc.workflow.template.delete": lambda: {
            "ID": j.do("bizproc.workflow.template.add", DOCUMENT_TYPE=kind, NAME="x", TEMPLATE_DATA=data)
        },
        "bizproc.workflow.template.list": {"select": ["ID", "NAME", "USER_ID", "SYSTEM_CODE"]},
        "bizproc.workflow.start": {"TEMPLATE_ID": waiting, "DOCUMENT_ID": document},
        "bizproc.workflow.instances": {"select": columns},
        "bizproc.workflow.terminate": lambda: {"ID": run(), "STATUS": "x"},
        "bizproc.workflow.kill": lambda: {"ID": run()},
        "bizproc.task.list": {"select": ["*"]},
        "bizproc.task.complete": lambda: {"TASK_ID": task(), "STATUS": 3, "FIELDS": {"who": "x"}},
        "bizproc.task.delegate": lambda: {"TASK_IDS": [task()], "FROM_USER_ID": 1, "TO_USER_ID": 4},
        "userfieldtype.add": {"USER_TYPE_ID": "new", "HANDLER": "http://127.0.0.1:9/g", "TITLE": "t"},
        "userfieldtype.update": {"USER_TYPE_ID": "known", "TITLE": "t2", "HANDLER": "http://127.0.0.1:9/f"},
        "userfieldtype.delete": {"USER_TYPE_ID": "new"},
        "messageservice.sender.add": {
            "CODE": "new", "TYPE": "SMS", "HANDLER": "http://127.0.0.1:9/s", "NAME": "n",
        },
        "messageservice.sender.update": {"CODE": "known", "NAME": "n2"},
        "messageservice.sender.delete": {"CODE": "new"},
        "messageservice.message.status.update": {"CODE": "known", "MESSAGE_ID": sms, "STATUS": "delivered"},
    }  # fmt: skip


NO_REFUSAL |= {
    "bizproc.activity.list", "bizproc.workflow.template.list", "bizproc.workflow.instances", "bizproc.task.list",
    "userfieldtype.list", "messageservice.sender.list",
}  # fmt: skip
NO_OBJECT |= {"bizproc.activity.add"}
ABSENT |= {
    "bizproc.workflow.start": {"TEMPLATE_ID": 999999, "DOCUMENT_ID": ["crm", "CCrmDocumentLead", "LEAD_1"]},
    "bizproc.workflow.terminate": {"ID": "absent"},
    "bizproc.workflow.kill": {"ID": "absent"},
    "bizproc.task.complete": {"TASK_ID": 999999, "STATUS": 3},
    "bizproc.task.delegate": {"TASK_IDS": [999999], "FROM_USER_ID": 1, "TO_USER_ID": 4},
    "userfieldtype.add": {"USER_TYPE_ID": "x", "HANDLER": "ftp://127.0.0.1/x"},
    "userfieldtype.update": {"USER_TYPE_ID": "absent"},
    "userfieldtype.delete": {"USER_TYPE_ID": "absent"},
    "messageservice.sender.add": {"CODE": "x", "NAME": "x", "TYPE": "PIGEON"},
    "messageservice.sender.update": {"CODE": "absent", "NAME": "x"},
}


@family
def chats(j: Any) -> Params:
    entity = f"DEAL|{j.deal}"
    chat = j.do("im.chat.add", USERS=[4, 5], TITLE="Чат сделки", ENTITY_TYPE="CRM", ENTITY_ID=entity, MESSAGE="Начали")
    key = f"chat{chat}"
    message = j.do("im.message.add", DIALOG_ID=key, MESSAGE="очень рады")
    j.do("im.message.like", MESSAGE_ID=message, ACTION="plus")
    j.do("im.message.add", DIALOG_ID="4", MESSAGE="личное")
    notice = j.do("im.notify.personal.add", USER_ID=1, MESSAGE="счёт выставлен")
    j.do("im.search.last.add", DIALOG_ID=key)
    j.do("im.search.last.add", DIALOG_ID="4")
    for number in range(1, 11):
        j.do("user.update", ID=number, WORK_PHONE="+74951234567")

    def new_message() -> int:
        return int(j.do("im.message.add", DIALOG_ID=key, MESSAGE="x"))

    def new_chat() -> int:
        return int(j.do("im.chat.add", USERS=[4], TITLE="ещё один"))

    one = {"DIALOG_ID": key}
    return {
        "im.notify": {"USER_ID": 4, "MESSAGE": "m", "TYPE": "USER"},
        "im.chat.add": {"USERS": [4], "TITLE": "t", "COLOR": "PINK"},
        "im.chat.get": {"ENTITY_TYPE": "CRM", "ENTITY_ID": entity},
        "im.chat.leave": lambda: {"CHAT_ID": new_chat()},
        "im.chat.mute": {"CHAT_ID": chat, "MUTE": "N"},
        "im.chat.setOwner": lambda: {"CHAT_ID": new_chat(), "USER_ID": 4},
        "im.chat.updateAvatar": {"CHAT_ID": chat, "AVATAR": "iVBORw0KGgoAAAANSUhEUg=="},
        "im.chat.updateColor": lambda: {"CHAT_ID": new_chat(), "COLOR": "SAND"},
        "im.chat.updateTitle": {"CHAT_ID": chat, "TITLE": "Чат сделки 2"},
        "im.chat.user.add": {"CHAT_ID": chat, "USERS": [6]},
        "im.chat.user.delete": lambda: {"CHAT_ID": new_chat(), "USER_ID": 4},
        "im.chat.user.list": {"CHAT_ID": chat},
        "im.dialog.get": one, "im.dialog.messages.get": one, "im.dialog.read": one, "im.dialog.writing": one,
        "im.dialog.users.list": one, "im.recent.pin": one, "im.recent.unread": one,
        "im.recent.hide": {"DIALOG_ID": "8"},
        "im.dialog.messages.search": {"CHAT_ID": chat, "SEARCH_MESSAGE": "рады"},
        "im.dialog.unread": {**one, "MESSAGE_ID": message},
        "im.message.update": {"MESSAGE_ID": message, "MESSAGE": "очень рады вам"},
        "im.message.delete": lambda: {"MESSAGE_ID": new_message()},
        "im.message.like": lambda: {"MESSAGE_ID": new_message(), "ACTION": "plus"},
        "im.notify.delete": lambda: {"ID": j.do("im.notify.personal.add", USER_ID=1, MESSAGE="x")},
        "im.notify.read": {"ID": notice}, "im.notify.read.list": {"IDS": [notice]},
        "im.notify.history.search": {"SEARCH_TEXT": "счёт"},
        "im.user.get": {"ID": 4}, "im.user.list.get": {"ID": [4, 5], "RESULT_TYPE": "array"},
        "im.user.status.set": {"STATUS": "dnd"},
        "im.search.user.list": {"FIND": "Анна"}, "im.search.chat.list": {"FIND": "Чат сделки"},
        "im.search.department.list": {"FIND": "Продажи", "USER_DATA": "Y"},
        "im.search.last.add": one, "im.search.last.delete": {"DIALOG_ID": "8"},
        "im.department.get": {"ID": [3, 4]}, "im.department.managers.get": {"ID": [3, 4]},
        "im.department.employees.get": {"ID": [3, 4]},
    }  # fmt: skip


NO_REFUSAL |= {
    "im.chat.add", "im.chat.get", "im.counters.get", "im.dialog.read.all", "im.notify.get", "im.notify.read",
    "im.notify.read.all", "im.notify.schema.get", "im.recent.get", "im.recent.list", "im.revision.get",
    "im.search.last.get", "im.user.get", "im.user.status.get", "im.user.status.idle.start", "im.user.status.idle.end",
    "im.department.colleagues.list",
}  # fmt: skip
NO_OBJECT |= {
    "im.notify.history.search", "im.notify.read.list", "im.user.list.get", "im.search.user.list", "im.search.chat.list",
    "im.search.department.list", "im.department.get", "im.department.managers.get", "im.department.employees.get",
    "im.notify.delete",
}  # fmt: skip
ABSENT |= {
    "im.chat.mute": {"CHAT_ID": 999999},
    "im.dialog.messages.search": {"CHAT_ID": 999999},
    "im.user.status.set": {"STATUS": "absent"},
}


@family
def lines(j: Any) -> Params:
    j.do("telephony.externalLine.add", NUMBER="14151234567", NAME="Внешняя")
    sip = j.do("voximplant.sip.add", SERVER="sip.example.com", LOGIN="one", TITLE="Первая")
    j.do("voximplant.sip.add", SERVER="pbx.example.com", LOGIN="two", TITLE="АТС", TYPE="office")
    call = j.do("telephony.externalCall.register", USER_ID=4, PHONE_NUMBER="79005550044", TYPE=2)["CALL_ID"]
    j.do("telephony.externalCall.finish", CALL_ID=call, USER_ID=4, DURATION=10)
    j.do("voximplant.user.activatePhone", USER_ID=4)
    line = f"reg{sip['REG_ID']}"
    count = [0]

    def new_sip() -> str:
        count[0] += 1
        return str(j.do("voximplant.sip.add", SERVER="s", LOGIN="l", TITLE=f"Линия {count[0]}")["CONFIG_ID"])

    def new_line() -> str:
        count[0] += 1
        j.do("telephony.externalLine.add", NUMBER=f"1415000{count[0]}")
        return f"1415000{count[0]}"

    return {
        "telephony.externalLine.add": {"NUMBER": "14151234568"},
        "telephony.externalLine.update": {"NUMBER": "14151234567", "NAME": "Поддержка"},
        "telephony.externalLine.delete": lambda: {"NUMBER": new_line()},
        "telephony.call.attachTranscription": {
            "CALL_ID": call, "MESSAGES": [{"SIDE": "User", "START_TIME": 1, "STOP_TIME": 3, "MESSAGE": "Здравствуйте"}],
        },
        "telephony.externalCall.attachRecord": {"CALL_ID": call, "FILENAME": "call.mp3", "FILE_CONTENT": FILE},
        "telephony.externalCall.show": {"CALL_ID": call, "USER_ID": 4},
        "telephony.externalCall.hide": {"CALL_ID": call, "USER_ID": 4},
        "telephony.externalCall.searchCrmEntities": {"PHONE_NUMBER": "+79005550001"},
        "voximplant.sip.add": {"SERVER": "s", "LOGIN": "l", "TITLE": "Ещё линия"},
        "voximplant.sip.update": {"CONFIG_ID": sip["CONFIG_ID"], "TITLE": "Первая 2"},
        "voximplant.sip.delete": lambda: {"CONFIG_ID": new_sip()},
        "voximplant.sip.status": {"REG_ID": sip["REG_ID"]},
        "voximplant.line.outgoing.set": {"LINE_ID": line},
        "voximplant.line.outgoing.sip.set": {"CONFIG_ID": sip["CONFIG_ID"]},
        "voximplant.callback.start": {"FROM_LINE": line, "TO_NUMBER": "+79005550045", "TEXT_TO_PRONOUNCE": "x"},
        "voximplant.infocall.startwithtext": {
            "FROM_LINE": line, "TO_NUMBER": "+79005550046", "TEXT_TO_PRONOUNCE": "x",
        },
        "voximplant.infocall.startwithsound": {
            "FROM_LINE": line, "TO_NUMBER": "+79005550047", "URL": "https://example.com/x.mp3",
        },
        "voximplant.user.get": {"USER_ID": [4, 5]},
        "voximplant.user.activatePhone": {"USER_ID": 5}, "voximplant.user.deactivatePhone": {"USER_ID": 5},
    }  # fmt: skip


NO_REFUSAL |= {
    "telephony.externalLine.get", "telephony.externalCall.searchCrmEntities", "voximplant.sip.get",
    "voximplant.sip.connector.status", "voximplant.line.get", "voximplant.line.outgoing.get", "voximplant.url.get",
}  # fmt: skip
NONSENSE["voximplant.sip.add"] = {"SERVER": ""}
NO_OBJECT |= {"voximplant.user.get"}
ABSENT |= {
    "telephony.call.attachTranscription": {
        "CALL_ID": "absent", "MESSAGES": [{"SIDE": "User", "START_TIME": 1, "STOP_TIME": 3, "MESSAGE": "x"}],
    },
    "telephony.externalCall.attachRecord": {"CALL_ID": "absent", "FILENAME": "x.mp3", "FILE_CONTENT": FILE},
    "voximplant.line.outgoing.set": {"LINE_ID": "absent"},
}  # fmt: skip


@family
def entity(j: Any) -> Params:
    j.do("entity.add", ENTITY="dish", NAME="Блюда", ACCESS={"U1": "X", "AU": "R", "U577": "W"})
    j.do("entity.item.property.add", ENTITY="dish", PROPERTY="test", NAME="Свойство", TYPE="S")
    section = j.do("entity.section.add", ENTITY="dish", NAME="Раздел")
    item = j.do("entity.item.add", ENTITY="dish", NAME="Первое", PROPERTY_VALUES={"test": 11}, SECTION=section)
    count = [0]

    def new_store() -> str:
        count[0] += 1
        j.do("entity.add", ENTITY=f"s{count[0]}", NAME="x")
        return f"s{count[0]}"

    def new_property() -> str:
        count[0] += 1
        j.do("entity.item.property.add", ENTITY="dish", PROPERTY=f"p{count[0]}", NAME="x", TYPE="S")
        return f"p{count[0]}"

    one = {"ENTITY": "dish"}
    return {
        "entity.add": {"ENTITY": "new", "NAME": "n"},
        "entity.get": one,
        "entity.update": lambda: {"ENTITY": new_store(), "NAME": "n2"},
        "entity.delete": lambda: {"ENTITY": new_store()},
        "entity.rights": one,
        "entity.item.add": {**one, "NAME": "x"},
        "entity.item.get": one,
        "entity.item.update": {**one, "ID": item, "NAME": "y"},
        "entity.item.delete": lambda: {**one, "ID": j.do("entity.item.add", ENTITY="dish", NAME="z")},
        "entity.item.property.add": {**one, "PROPERTY": "other", "NAME": "x", "TYPE": "N"},
        "entity.item.property.get": one,
        "entity.item.property.update": lambda: {**one, "PROPERTY": new_property(), "NAME": "y"},
        "entity.item.property.delete": lambda: {**one, "PROPERTY": new_property()},
        "entity.section.add": {**one, "NAME": "x"},
        "entity.section.get": one,
        "entity.section.update": {**one, "ID": section, "NAME": "y"},
        "entity.section.delete": lambda: {**one, "ID": j.do("entity.section.add", ENTITY="dish", NAME="z")},
    }


NONSENSE["entity.get"] = {"ENTITY": "absent"}
ABSENT |= {
    f"entity.{name}": {"ENTITY": "absent", "ID": 999999, "PROPERTY": "absent", "NAME": "x"}
    for name in ("get", "update", "delete", "rights", "item.add", "item.get", "item.update", "item.delete",
        "item.property.add", "item.property.get", "item.property.update", "item.property.delete", "section.add",
        "section.get", "section.update", "section.delete")
}  # fmt: skip
ABSENT["entity.add"] = {"ENTITY": "a code that is too long"}


@family
def booking(j: Any) -> Params:
    kind = j.do("booking.v1.resourceType.add", fields={"name": "Зал", "code": "hall"})["id"]
    facts = {"name": "Зал 1", "typeId": kind, "infoNotificationDelay": 5}
    resource = j.do("booking.v1.resource.add", fields=facts)["id"]
    slot = {"from": 540, "to": 1080, "timezone": "Europe/Moscow", "weekDays": ["Mon", "Tue"], "slotSize": 30}
    j.do("booking.v1.resource.slots.set", resourceId=resource, slots=[slot])
    count = [0]

    def period() -> dict[str, Any]:
        count[0] += 1
        start = 1_900_000_000 + count[0] * 7200
        zone = {"timezone": "Europe/Moscow"}
        return {"from": {"timestamp": start, **zone}, "to": {"timestamp": start + 3600, **zone}}

    def fields() -> Params:
        return {"name": "Бронь", "resourceIds": [resource], "datePeriod": period()}

    def new_booking() -> int:
        return int(j.do("booking.v1.booking.add", fields=fields())["id"])

    def new_wait() -> int:
        return int(j.do("booking.v1.waitlist.add", fields={"note": "x"})["id"])

    def new_type() -> int:
        count[0] += 1
        return int(j.do("booking.v1.resourceType.add", fields={"name": "x", "code": f"c{count[0]}"})["id"])

    one, wait = new_booking(), new_wait()
    clients = [{"id": 1, "type": {"module": "crm", "code": "CONTACT"}}]
    links = [{"moduleId": "crm", "entityTypeId": "DEAL", "value": "1"}]
    made: Params = {
        "booking.v1.resourceType.add": {"fields": {"name": "x", "code": "new"}},
        "booking.v1.resourceType.get": {"id": kind},
        "booking.v1.resourceType.update": {"id": kind, "fields": {"name": "Залы"}},
        "booking.v1.resourceType.delete": lambda: {"id": new_type()},
        "booking.v1.resource.add": {"fields": {"name": "x", "typeId": kind}},
        "booking.v1.resource.get": {"id": resource},
        "booking.v1.resource.update": {"id": resource, "fields": {"description": "x"}},
        "booking.v1.resource.delete": lambda: {
            "id": j.do("booking.v1.resource.add", fields={"name": "y", "typeId": kind})["id"]
        },
        "booking.v1.resource.slots.list": {"resourceId": resource},
        "booking.v1.resource.slots.set": {"resourceId": resource, "slots": [slot]},
        "booking.v1.resource.slots.unset": lambda: {
            "resourceId": j.do("booking.v1.resource.add", fields={"name": "y", "typeId": kind})["id"]
        },
        "booking.v1.booking.add": lambda: {"fields": fields()},
        "booking.v1.booking.get": {"id": one},
        "booking.v1.booking.update": {"id": one, "fields": {"name": "Другая"}},
        "booking.v1.booking.delete": lambda: {"id": new_booking()},
        "booking.v1.booking.list": {"filter": {"within": {"dateFrom": 0, "dateTo": 2_000_000_000}}},
        "booking.v1.booking.createfromwaitlist": lambda: {"waitListId": new_wait(), "fields": fields()},
        "booking.v1.waitlist.add": {"fields": {"note": "y"}},
        "booking.v1.waitlist.get": {"id": wait},
        "booking.v1.waitlist.update": {"id": wait, "fields": {"note": "z"}},
        "booking.v1.waitlist.delete": lambda: {"id": new_wait()},
        "booking.v1.waitlist.createfrombooking": lambda: {"bookingId": new_booking()},
    }
    for word, name, number in (("booking", "bookingId", one), ("waitlist", "waitListId", wait)):
        prefix, key = f"booking.v1.{word}", {name: number}
        j.do(f"{prefix}.client.set", **key, clients=clients)
        j.do(f"{prefix}.externalData.set", **key, externalData=links)
        new = new_booking if word == "booking" else new_wait
        made |= {
            f"{prefix}.client.list": key, f"{prefix}.client.set": {**key, "clients": clients},
            f"{prefix}.client.unset": lambda name=name, new=new: {name: new()},
            f"{prefix}.externalData.list": key, f"{prefix}.externalData.set": {**key, "externalData": links},
            f"{prefix}.externalData.unset": lambda name=name, new=new: {name: new()},
        }  # fmt: skip
    return made


NO_REFUSAL |= {
    "booking.v1.resourceType.list", "booking.v1.resource.list", "booking.v1.booking.list",
    "booking.v1.waitlist.list", "booking.v1.clienttype.list",
}  # fmt: skip
NO_OBJECT |= {"booking.v1.waitlist.add"}
_gone = {
    "id": 999999, "bookingId": 999999, "waitListId": 999999, "resourceId": 999999, "fields": {"typeId": 999999},
    "slots": [], "clients": [], "externalData": [],
}  # fmt: skip
for _name in ("resource.slots.set", "booking.client.set", "booking.externalData.set", "waitlist.client.set",
    "waitlist.externalData.set", "resource.add", "resourceType.add", "booking.add", "resource.slots.list",
    "resource.slots.unset", "booking.createfromwaitlist", "waitlist.createfrombooking"):  # fmt: skip
    ABSENT[f"booking.v1.{_name}"] = _gone
for _name in ("booking", "waitlist"):
    for _verb in ("client.list", "client.unset", "externalData.list", "externalData.unset"):
        ABSENT[f"booking.v1.{_name}.{_verb}"] = _gone


@family
def mail(j: Any) -> Params:
    def came(subject: str = "Договор") -> int:
        body = {"from": "client@example.com", "subject": subject, "text": "Письмо", "to_user_id": 1}
        j.portal.control("POST", "email", body)
        return int(j.do("api/mail.message.list", mailboxId=1)["items"][0]["id"])

    letter = came()
    card = {"entity_type_id": 1, "entity_id": j.lead, "subject": "Договор подряда", "files": ["договор.txt"]}
    j.portal.control("POST", "letters", card)
    own = j.do("api/mail.mailbox.senders")["items"][0]["email"]
    letter_of = {"from": own, "to": ["client@example.com"], "subject": "Договор", "body": "Высылаю."}
    j.do("api/mail.message.reply", replyToMessageId=letter, **letter_of)
    source = {"messageId": letter}
    hour = {"dateFrom": "2030-04-15 10:00:00", "dateTo": "2030-04-15 11:00:00"}
    return {
        "api/mail.mailbox.get": {"id": 1},
        "api/mail.mailbox.list": {"name": "почта", "email": "dubrava"},
        "api/mail.mailbox.field.get": {"name": "email"},
        "api/mail.message.field.get": {"name": "subject"},
        "api/mail.message.get": {"id": letter},
        "api/mail.message.list": {"mailboxId": 1, "searchQuery": "договор"},
        "api/mail.message.thread": {"id": letter},
        "api/mail.message.send": letter_of,
        "api/mail.message.reply": {"replyToMessageId": letter, **letter_of},
        "api/mail.message.forward": {"forwardMessageId": letter, **letter_of},
        "api/mail.message.movetofolder": lambda: {"messageIds": [came("Реклама"), came("Ещё реклама")],
            "action": "move", "folder": "Архив"},
        "api/mail.message.createtask": {**source, "responsibleId": 4},
        "api/mail.message.createcalendarevent": {**source, **hour},
        "api/mail.message.createchat": source,
        "api/mail.message.createfeedpost": source,
        "api/mail.message.createcrmactivity": source,
        "api/mail.message.removecrmactivity": lambda: {"messageId": came("Лишнее")},
        "api/mail.recipient.field.get": {"name": "email"},
        "api/mail.recipient.listcontacts": {"query": "client"},
        "api/mail.recipient.listemployees": {"query": "dubrava"},
    }  # fmt: skip


NO_REFUSAL |= {
    "api/mail.mailbox.list", "api/mail.mailbox.senders", "api/mail.mailbox.field.list", "api/mail.message.field.list",
    "api/mail.recipient.field.list",
}  # fmt: skip
_letter = {"from": "user@example.com", "to": ["client@example.com"], "subject": "Договор", "body": "Высылаю."}
NONSENSE |= {
    "api/mail.message.list": {"mailboxId": "ерунда"},
    "api/mail.recipient.listcontacts": {"pagination": {"limit": "ерунда"}},
    **{f"api/mail.message.{verb}": {**_letter, "to": ["ерунда"], source: "ерунда"}
       for verb, source in (("send", "cc"), ("reply", "replyToMessageId"), ("forward", "forwardMessageId"))},
    "api/mail.message.movetofolder": {"messageIds": "ерунда", "action": "ерунда"},
    **{f"api/mail.message.create{word}": {"messageId": "ерунда", "dateFrom": "ерунда", "dateTo": "ерунда"}
       for word in ("task", "calendarevent", "chat", "feedpost", "crmactivity")},
    "api/mail.message.removecrmactivity": {"messageId": "ерунда"},
}  # fmt: skip
# A search finds nobody; that is an answer.
NO_OBJECT |= {"api/mail.recipient.listcontacts", "api/mail.recipient.listemployees"}
ABSENT |= {
    "api/mail.mailbox.field.get": {"name": "nothing"},
    "api/mail.message.field.get": {"name": "nothing"},
    "api/mail.recipient.field.get": {"name": "nothing"},
    "api/mail.message.list": {"mailboxId": 999999},
    "api/mail.message.send": _letter,
    "api/mail.message.reply": {**_letter, "replyToMessageId": 999999},
    "api/mail.message.forward": {**_letter, "forwardMessageId": 999999},
    "api/mail.message.movetofolder": {"messageIds": [999999], "action": "spam"},
    **{f"api/mail.message.{verb}": {"messageId": 999999, "dateFrom": "2030-04-15 10:00:00",
        "dateTo": "2030-04-15 11:00:00"}
       for verb in ("createtask", "createcalendarevent", "createchat", "createfeedpost", "createcrmactivity",
           "removecrmactivity")},
}  # fmt: skip


# Lists without a filter; a region that does not exist is deleted without an error; roles and codes unknown are nothing.
NO_REFUSAL |= {f"documentgenerator.{name}" for name in ("numerator.list", "region.list", "region.delete", "role.list")}
NO_OBJECT |= {"documentgenerator.region.add", "documentgenerator.role.fillaccesses"}
NONSENSE["documentgenerator.role.fillaccesses"] = {"accesses": [{"roleId": "ерунда"}]}
