"""What the families beside CRM store, tell and refuse: through REST alone, as a caller sees it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.client import Sandbox
from tests.sandbox.conftest import Listener

CONTENT = base64.b64encode("Акт замера".encode()).decode()


@pytest.fixture
def token(installed: Sandbox) -> str:
    return installed.token_of(1)


def task_of(portal: Sandbox, **fields: Any) -> int:
    return int(portal.result("tasks.task.add", {"fields": {"TITLE": "З", "RESPONSIBLE_ID": 4, **fields}})["task"]["id"])


def error(portal: Sandbox, method: str, params: dict[str, Any], token: str = "") -> str:
    answer = portal.call(method, params, token=token)
    assert "error" in answer, answer
    return str(answer["error"])


def test_a_comment_on_the_new_card_is_a_message_of_the_chat(installed: Sandbox, listener: Listener, token: str) -> None:
    installed.result("event.bind", {"event": "ONTASKCOMMENTADD", "handler": listener.url + "/e"}, token=token)
    task = task_of(installed)
    number = installed.result("task.commentitem.add", {"TASKID": task, "FIELDS": {"POST_MESSAGE": "Готово"}})
    event = listener.wait(lambda form: form.get("event") == "ONTASKCOMMENTADD")[0]
    assert event["data[FIELDS_AFTER][ID]"] == "0"
    assert event["data[FIELDS_AFTER][MESSAGE_ID]"] == str(number)
    chat = installed.result("tasks.task.get", {"taskId": task, "select": ["CHAT_ID"]})["task"]["chatId"]
    found = installed.result("im.dialog.messages.get", {"DIALOG_ID": f"chat{chat}"}, token=installed.token_of(4))
    assert [one["text"] for one in found["messages"]] == ["Готово"]
    assert installed.result("task.commentitem.getlist", {"TASKID": task}) == []
    update = {"TASKID": task, "ITEMID": number, "FIELDS": {"POST_MESSAGE": "x"}}
    assert "ACTION_NOT_ALLOWED" in installed.call("task.commentitem.update", update)["error_description"]


def test_a_comment_on_the_old_card_lives_and_becomes_a_result(installed: Sandbox) -> None:
    installed.control("PATCH", "settings", {"task_card": "old"})
    task = task_of(installed)
    number = installed.result("task.commentitem.add", [task, {"POST_MESSAGE": "Сделано"}])  # type: ignore[arg-type]
    assert installed.result("task.commentitem.get", {"TASKID": task, "ITEMID": number})["POST_MESSAGE"] == "Сделано"
    result = installed.result("tasks.task.result.addFromComment", {"commentId": number})
    assert (result["text"], result["taskId"]) == ("Сделано", task)
    again = installed.call("tasks.task.result.addFromComment", {"commentId": number})
    assert again["error_description"] == "Result already exists."
    installed.result("tasks.task.result.deleteFromComment", {"commentId": number})
    assert installed.result("tasks.task.result.list", {"taskId": task}) == []


def test_a_stranger_sees_nothing_of_a_task(installed: Sandbox) -> None:
    task = task_of(installed)
    stranger = installed.token_of(10)
    assert (
        "not found" in installed.call("tasks.task.favorite.add", {"taskId": task}, token=stranger)["error_description"]
    )
    assert error(installed, "task.elapseditem.getlist", {"TASKID": task}, stranger) == "ERROR_CORE"
    assert error(installed, "tasks.task.result.list", {"taskId": task}, stranger) == "0"


NOT_ALLOWED = "Action on the task is not allowed"
TASK_REFUSALS = {
    **dict.fromkeys(("update", "complete", "start", "delegate"), ("0", NOT_ALLOWED)),
    **dict.fromkeys(("pause", "defer", "renew", "approve", "disapprove"), ("1048582", NOT_ALLOWED)),
    "delete": ("1048582", "No access to delete the task"),
    **dict.fromkeys(("favorite.add", "favorite.remove"), ("1", "Task not found or not accessible")),
    **dict.fromkeys(("startwatch", "stopwatch"), ("1048584", "a:0:{}")),
    "history.list": ("0", "Access denied."),
}
ALLOWED_TO_MEMBERS = frozenset({"favorite.add", "favorite.remove", "startwatch", "stopwatch", "history.list"})


def test_a_task_is_refused_in_the_words_of_the_method_s_own_page(installed: Sandbox) -> None:
    task = task_of(installed)
    stranger, auditor = installed.token_of(10), installed.token_of(9)
    installed.result("tasks.task.update", {"taskId": task, "fields": {"AUDITORS": [9]}})
    more: dict[str, Any] = {"fields": {"TITLE": "x"}, "userId": 5}

    def refusals(number: int, token: str = "", but: frozenset[str] = frozenset()) -> dict[str, tuple[str, str]]:
        answers = {
            verb: installed.call(f"tasks.task.{verb}", {"taskId": number, **more}, token=token)
            for verb in TASK_REFUSALS.keys() - but
        }
        return {verb: (answer["error"], answer["error_description"]) for verb, answer in answers.items()}

    assert refusals(999999) == TASK_REFUSALS
    assert refusals(task, stranger) == TASK_REFUSALS
    assert refusals(task, auditor, ALLOWED_TO_MEMBERS).items() <= TASK_REFUSALS.items()
    assert "TASK_NOT_FOUND" in installed.call("tasks.task.get", {"taskId": 999999})["error_description"]


def test_marks_belong_to_one_person(installed: Sandbox) -> None:
    task = task_of(installed)
    installed.result("tasks.task.favorite.add", {"taskId": task})
    installed.result("tasks.task.pin", {"id": task})
    own = installed.result("tasks.task.get", {"taskId": task})["task"]
    other = installed.result("tasks.task.get", {"taskId": task}, token=installed.token_of(4))["task"]
    assert (own["favorite"], own["isPinned"]) == ("Y", "Y")
    assert (other["favorite"], other["isPinned"]) == ("N", "N")


def test_watching_makes_an_auditor_and_ends_so(installed: Sandbox) -> None:
    task = task_of(installed)
    assert installed.result("tasks.task.startwatch", {"taskId": task})["task"]["auditors"] == ["1"]
    assert installed.result("tasks.task.stopwatch", {"taskId": task})["task"]["auditors"] == []


def test_a_file_is_uploaded_attached_and_read_back(installed: Sandbox, token: str) -> None:
    storage = installed.result("disk.storage.getForApp", token=token)
    params = {"id": storage["ID"], "data": {"NAME": "акт.txt"}, "fileContent": ["акт.txt", CONTENT]}
    file = installed.result("disk.storage.uploadfile", params, token=token)
    assert installed.session.get(file["DOWNLOAD_URL"], timeout=10).content.decode() == "Акт замера"
    assert error(installed, "disk.storage.uploadfile", params, token) == "DISK_OBJ_22000"
    twin = installed.result("disk.storage.uploadfile", {**params, "generateUniqueName": True}, token=token)
    assert twin["NAME"] == "акт (1).txt"
    task = task_of(installed)
    attached = installed.result("tasks.task.files.attach", {"taskId": task, "fileId": file["ID"]})["attachmentId"]
    seen = installed.result("tasks.task.get", {"taskId": task, "select": ["UF_TASK_WEBDAV_FILES"]})["task"]
    assert seen["ufTaskWebdavFiles"] == [attached]
    assert installed.result("disk.attachedObject.get", {"id": attached})["NAME"] == "акт.txt"


def test_an_upload_by_address_works_once(installed: Sandbox, token: str) -> None:
    storage = installed.result("disk.storage.getForApp", token=token)["ID"]
    place = installed.result("disk.storage.uploadfile", {"id": storage, "data": {"NAME": "x.bin"}}, token=token)
    body = {place["field"]: ("x.bin", bytes(range(256)))}
    made = installed.session.post(place["uploadUrl"], files=body, timeout=10).json()["result"]
    assert installed.session.get(made["DOWNLOAD_URL"], timeout=10).content == bytes(range(256))
    assert installed.session.post(place["uploadUrl"], files=body, timeout=10).status_code == 403


def test_a_folder_is_private_until_it_is_shared(installed: Sandbox) -> None:
    anna = installed.token_of(4)
    own = installed.result("disk.storage.getlist", {"filter": {"ENTITY_TYPE": "user", "ENTITY_ID": 4}}, token=anna)[0]
    folder = installed.result("disk.storage.addfolder", {"id": own["ID"], "data": {"NAME": "Моё"}}, token=anna)["ID"]
    boris = installed.token_of(5)
    assert error(installed, "disk.folder.get", {"id": folder}, boris) == "ACCESS_DENIED"
    share = {"id": folder, "userId": 5, "taskName": "disk_access_read"}
    installed.result("disk.folder.sharetouser", share, token=anna)
    assert installed.result("disk.folder.get", {"id": folder}, token=boris)["NAME"] == "Моё"
    assert error(installed, "disk.folder.rename", {"id": folder, "newName": "x"}, boris) == "ACCESS_DENIED"


def test_a_version_of_a_file_comes_back(installed: Sandbox, token: str) -> None:
    storage = installed.result("disk.storage.getForApp", token=token)["ID"]
    params = {"id": storage, "data": {"NAME": "v.txt"}, "fileContent": ["v.txt", CONTENT]}
    file = installed.result("disk.storage.uploadfile", params, token=token)["ID"]
    other = base64.b64encode(b"two").decode()
    installed.result("disk.file.uploadversion", {"id": file, "fileContent": ["v.txt", other]})
    versions = installed.result("disk.file.getversions", {"id": file})
    assert [one["SIZE"] for one in versions] == ["3", str(len("Акт замера".encode()))]
    installed.result("disk.file.restorefromversion", {"id": file, "versionId": versions[-1]["ID"]})
    url = installed.result("disk.file.get", {"id": file})["DOWNLOAD_URL"]
    assert installed.session.get(url, timeout=10).content.decode() == "Акт замера"


def test_a_person_is_hired_fired_and_cannot_be_hired_twice(installed: Sandbox, listener: Listener, token: str) -> None:
    installed.result("event.bind", {"event": "ONUSERADD", "handler": listener.url + "/e"}, token=token)
    facts = {"EMAIL": "nina@example.com", "NAME": "Нина", "UF_DEPARTMENT": [3]}
    number = installed.result("user.add", facts)
    assert listener.wait(lambda form: form.get("event") == "ONUSERADD")[0]["data[ID]"] == str(number)
    assert installed.call("user.add", facts)["error_description"] == "A user with this email already exists"
    nina = installed.token_of(number)
    installed.result("user.update", {"ID": number, "ACTIVE": False})
    assert installed.call("profile", token=nina)["error"] == "authorization_error"
    assert error(installed, "user.add", {"EMAIL": "x@example.com", "UF_DEPARTMENT": [3]}, installed.token_of(4))


def test_a_department_hands_its_people_up(installed: Sandbox) -> None:
    number = installed.result("department.add", {"NAME": "Склад", "PARENT": 3, "UF_HEAD": 4})
    person = installed.result("user.add", {"EMAIL": "s@example.com", "UF_DEPARTMENT": [number]})
    assert error(installed, "department.update", {"ID": 3, "PARENT": number}) == "ERROR_CORE"
    installed.result("department.delete", {"ID": number})
    assert installed.result("user.get", {"ID": person})[0]["UF_DEPARTMENT"] == [3]
    assert error(installed, "department.delete", {"ID": 1}) == "ERROR_CORE"


def test_an_invitation_is_answered(installed: Sandbox) -> None:
    event = {
        "type": "user", "ownerId": 1, "name": "Планёрка", "from": "2026-12-01T10:00:00+03:00",
        "to": "2026-12-01T11:00:00+03:00", "is_meeting": "Y", "attendees": [1, 4],
    }  # fmt: skip
    number = installed.result("calendar.event.add", event)
    anna = installed.token_of(4)
    assert installed.result("calendar.meeting.status.get", {"eventId": number}, token=anna) == "Q"
    installed.result("calendar.meeting.status.set", {"eventId": number, "status": "Y"}, token=anna)
    assert installed.result("calendar.meeting.status.get", {"eventId": number}, token=anna) == "Y"
    assert installed.result("calendar.meeting.status.get", {"eventId": number}) == "H"


def test_a_chat_is_closed_to_others_and_counts_what_is_unread(installed: Sandbox) -> None:
    chat = installed.result("im.chat.add", {"USERS": [4], "TITLE": "Сделка"})
    key = f"chat{chat}"
    installed.result("im.message.add", {"DIALOG_ID": key, "MESSAGE": "раз"})
    last = installed.result("im.message.add", {"DIALOG_ID": key, "MESSAGE": "два"})
    anna, boris = installed.token_of(4), installed.token_of(5)
    assert error(installed, "im.dialog.messages.get", {"DIALOG_ID": key}, boris) == "ACCESS_ERROR"
    assert error(installed, "im.message.add", {"DIALOG_ID": key, "MESSAGE": "x"}, boris) == "ACCESS_ERROR"
    assert installed.result("im.dialog.get", {"DIALOG_ID": key}, token=anna)["counter"] == 2
    installed.result("im.dialog.read", {"DIALOG_ID": key, "MESSAGE_ID": last - 1}, token=anna)
    assert installed.result("im.counters.get", token=anna)["CHAT"] == {str(chat): 1}
    assert error(installed, "im.message.delete", {"MESSAGE_ID": last}, anna) == "CANT_EDIT_MESSAGE"
    installed.result("im.chat.user.add", {"CHAT_ID": chat, "USERS": [5]})
    assert len(installed.result("im.dialog.messages.get", {"DIALOG_ID": key}, token=boris)["messages"]) == 2


def test_a_private_dialog_is_one_for_both_sides(installed: Sandbox) -> None:
    anna = installed.token_of(4)
    installed.result("im.message.add", {"DIALOG_ID": "4", "MESSAGE": "привет"})
    installed.result("im.message.add", {"DIALOG_ID": "1", "MESSAGE": "и вам"}, token=anna)
    own = installed.result("im.dialog.messages.get", {"DIALOG_ID": "4"})
    other = installed.result("im.dialog.messages.get", {"DIALOG_ID": "1"}, token=anna)
    assert [one["text"] for one in own["messages"]] == ["и вам", "привет"]
    assert own["chat_id"] == other["chat_id"]
    assert installed.result("im.recent.list")["items"][0]["title"] == "Анна Кузнецова"


def test_a_workflow_asks_people_and_an_application_in_turn(installed: Sandbox, listener: Listener, token: str) -> None:
    activity = {"CODE": "count", "HANDLER": listener.url + "/a", "NAME": "Счёт", "USE_SUBSCRIPTION": "Y",
        "PROPERTIES": {"who": {"Name": "Кто", "Type": "string"}}}  # fmt: skip
    installed.result("bizproc.activity.add", activity, token=token)
    asked = {"kind": "approve", "users": [4, 5], "name": "Согласны?"}
    step = {"code": "count", "properties": {"who": "{=Template:name}"}}
    body = {"entity_type_id": 1, "name": "Согласование", "activities": [{"task": asked}, step]}
    template = installed.control("POST", "workflow-templates", body)["id"]
    start = {
        "TEMPLATE_ID": template,
        "DOCUMENT_ID": ["crm", "CCrmDocumentLead", "LEAD_1"],
        "PARAMETERS": {"name": "Анна"},
    }
    run = installed.result("bizproc.workflow.start", start)
    assert [one["ID"] for one in installed.result("bizproc.workflow.instances")] == [run]
    anna, boris = installed.token_of(4), installed.token_of(5)
    task = installed.result("bizproc.task.list", {"SELECT": ["ID"]}, token=anna)[0]["ID"]
    other = installed.result("bizproc.task.list", {"SELECT": ["ID"]}, token=boris)[0]["ID"]
    assert error(installed, "bizproc.task.complete", {"TASK_ID": task, "STATUS": 3}, anna) == "ERROR_TASK_VALIDATION"
    installed.result("bizproc.task.complete", {"TASK_ID": task, "STATUS": 1}, token=anna)
    late = error(installed, "bizproc.task.complete", {"TASK_ID": other, "STATUS": 1}, boris)
    assert late == "ERROR_TASK_COMPLETED"
    sent = listener.wait(lambda form: form.get("code") == "count")[0]
    assert sent["properties[who]"] == "Анна"
    answer = {"event_token": sent["event_token"], "return_values": {}}
    installed.result("bizproc.event.send", answer, token=sent["auth[access_token]"])
    assert installed.result("bizproc.workflow.instances") == []


def test_a_workflow_is_terminated_with_its_tasks(installed: Sandbox) -> None:
    body = {"entity_type_id": 1, "name": "x", "activities": [{"task": {"kind": "review", "users": [4], "name": "n"}}]}
    template = installed.control("POST", "workflow-templates", body)["id"]
    document = ["crm", "CCrmDocumentLead", "LEAD_1"]
    run = installed.result("bizproc.workflow.start", {"TEMPLATE_ID": template, "DOCUMENT_ID": document})
    installed.result("bizproc.workflow.terminate", {"ID": run, "STATUS": "хватит"})
    assert installed.state("workflows")[-1]["status"] == "terminated"
    task = installed.result("bizproc.task.list", {"SELECT": ["ID", "STATUS"], "FILTER": {"USER_ID": 4}})[0]
    assert task["STATUS"] == "4"


def test_a_message_service_is_called_and_reports(installed: Sandbox, listener: Listener, token: str) -> None:
    sender = {"CODE": "ours", "TYPE": "SMS", "HANDLER": listener.url + "/sms", "NAME": "СМС"}
    installed.result("messageservice.sender.add", sender, token=token)
    sent = installed.control("POST", "sms", {"code": "ours", "phone": "+79005550001", "text": "Ждём вас"})
    form = listener.wait(lambda one: one.get("code") == "ours")[0]
    assert (form["message_to"], form["message_body"]) == ("+79005550001", "Ждём вас")
    assert form["auth[application_token]"]
    status = {"CODE": "ours", "MESSAGE_ID": sent["message_id"], "STATUS": "delivered"}
    assert installed.result("messageservice.message.status.update", status, token=token) is True
    wrong = {**status, "STATUS": "lost"}
    assert error(installed, "messageservice.message.status.update", wrong, token) == "ERROR_MESSAGE_STATUS_INCORRECT"


def test_stores_of_applications_are_apart_and_keep_rights(installed: Sandbox, token: str) -> None:
    installed.result("entity.add", {"ENTITY": "dish", "NAME": "Блюда", "ACCESS": {"U4": "W", "AU": "R"}}, token=token)
    prop = {"ENTITY": "dish", "PROPERTY": "price", "TYPE": "N", "NAME": "Цена"}
    installed.result("entity.item.property.add", prop, token=token)
    anna, boris = installed.token_of(4), installed.token_of(5)
    for name, price in (("Суп", 100), ("Торт", 300)):
        installed.result(
            "entity.item.add", {"ENTITY": "dish", "NAME": name, "PROPERTY_VALUES": {"price": price}}, token=anna
        )
    dear = {"ENTITY": "dish", "FILTER": {">PROPERTY_price": 200}}
    assert [one["NAME"] for one in installed.result("entity.item.get", dear, token=boris)] == ["Торт"]
    assert error(installed, "entity.item.add", {"ENTITY": "dish", "NAME": "x"}, boris) == "ACCESS_DENIED"
    assert error(installed, "entity.delete", {"ENTITY": "dish"}, anna) == "ACCESS_DENIED"
    assert error(installed, "entity.get", {"ENTITY": "dish"}) == "ACCESS_DENIED"
    stranger = installed.control("POST", "cases/valid")["access_token"]
    assert error(installed, "entity.get", {"ENTITY": "dish"}, stranger) == "ERROR_ENTITY_NOT_FOUND"


def test_a_resource_is_not_booked_twice_at_a_time(installed: Sandbox, listener: Listener, token: str) -> None:
    installed.result("event.bind", {"event": "ONBOOKINGADD", "handler": listener.url + "/e"}, token=token)
    kind = installed.result("booking.v1.resourceType.add", {"fields": {"name": "Зал", "code": "hall"}})["id"]
    room = installed.result("booking.v1.resource.add", {"fields": {"name": "Зал 1", "typeId": kind}})["id"]

    def fields(start: int) -> dict[str, Any]:
        zone = {"timezone": "Europe/Moscow"}
        span = {"from": {"timestamp": start, **zone}, "to": {"timestamp": start + 3600, **zone}}
        return {"fields": {"resourceIds": [room], "datePeriod": span}}

    first = installed.result("booking.v1.booking.add", fields(1_900_000_000))["id"]
    assert listener.wait(lambda form: form.get("event") == "ONBOOKINGADD")[0]["data[id]"] == str(first)
    assert error(installed, "booking.v1.booking.add", fields(1_900_001_800)) == "1018"
    installed.result("booking.v1.booking.add", fields(1_900_003_600))
    wait = installed.result("booking.v1.waitlist.createfrombooking", {"bookingId": first})
    assert error(installed, "booking.v1.booking.get", {"id": first}) == "1021"
    installed.result("booking.v1.booking.createfromwaitlist", {"waitListId": wait, **fields(1_900_000_000)})
    assert installed.result("booking.v1.waitlist.list") == {"waitList": []}


def test_a_line_of_an_application_and_a_record_of_a_call(installed: Sandbox, token: str) -> None:
    installed.result("telephony.externalLine.add", {"NUMBER": "74950000001", "NAME": "Наша"}, token=token)
    assert error(installed, "telephony.externalLine.add", {"NUMBER": "74950000001"}, token) == "ERROR_CORE"
    begin = {"USER_ID": 4, "PHONE_NUMBER": "79005550044", "TYPE": 2}
    number = installed.result("telephony.externalCall.register", begin, token=token)["CALL_ID"]
    record = {"CALL_ID": number, "FILENAME": "a.mp3", "FILE_CONTENT": CONTENT}
    assert error(installed, "telephony.externalCall.attachRecord", record, token) == "ERROR_CORE"
    installed.result("telephony.externalCall.finish", {"CALL_ID": number, "USER_ID": 4, "DURATION": 9}, token=token)
    file = installed.result("telephony.externalCall.attachRecord", record, token=token)["FILE_ID"]
    row = installed.result("voximplant.statistic.get", {"FILTER": {"CALL_ID": number}})[0]
    assert row["RECORD_FILE_ID"] == str(file)
    assert installed.session.get(row["CALL_RECORD_URL"], timeout=10).content.decode() == "Акт замера"


def test_what_was_stored_survives_a_snapshot(installed: Sandbox, token: str) -> None:
    installed.result("entity.add", {"ENTITY": "kept", "NAME": "x"}, token=token)
    chat = installed.result("im.chat.add", {"USERS": [4], "TITLE": "Чат"})
    installed.control("POST", "snapshots/s")
    installed.result("entity.delete", {"ENTITY": "kept"}, token=token)
    installed.result("im.chat.leave", {"CHAT_ID": chat})
    installed.control("POST", "snapshots/s/restore")
    assert installed.result("entity.get", {"ENTITY": "kept"}, token=token)["ENTITY"] == "kept"
    assert installed.result("im.chat.user.list", {"CHAT_ID": chat}) == [1, 4]
