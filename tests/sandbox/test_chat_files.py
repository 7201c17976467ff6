"""Files of chats, things made of messages, commands of bots, answers to notices."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests
from message_calls import picture

from sandbox.client import ControlFailed, Sandbox
from tests.contract.compare import lacking
from tests.contract.families import CONTRACT
from tests.sandbox.conftest import Listener
from tests.sandbox.test_crm_families import Rest

TEXT = base64.b64encode("Смета".encode()).decode()


@pytest.fixture
def rest(installed: Sandbox) -> Rest:
    return Rest(installed)


@pytest.fixture
def chat(rest: Rest) -> int:
    return int(rest("im.chat.add", USERS=[4, 5], TITLE="Кухня Беловых"))


def refused(answer: requests.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert "result" not in body, body
    return answer.status_code, body["error"], body["error_description"]


def put(rest: Rest, folder: int, name: str, content: str = TEXT) -> int:
    return int(rest("disk.folder.uploadfile", id=folder, data={"NAME": name}, fileContent=[name, content])["ID"])


def own_root(rest: Rest, user_id: int) -> Any:
    found = rest("disk.storage.getlist", filter={"ENTITY_TYPE": "user", "ENTITY_ID": user_id})
    return found[0]["ROOT_OBJECT_ID"]


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_picture_goes_into_the_chat_and_is_seen_by_its_people_alone(
    rest: Rest, chat: int, installed: Sandbox
) -> None:
    anna, stranger = Rest(installed, 4), Rest(installed, 10)
    folder = rest("im.disk.folder.get", DIALOG_ID=f"chat{chat}")["ID"]
    assert anna("im.disk.folder.get", CHAT_ID=chat) == {"ID": folder}
    assert anna("im.dialog.get", DIALOG_ID=f"chat{chat}")["disk_folder_id"] == folder
    file = put(anna, folder, "план.png", picture(72, 61))
    made = anna("im.disk.file.commit", CHAT_ID=chat, FILE_ID=[file, 999999], MESSAGE="План")
    assert made["DISK_ID"] == [str(file)]
    tree = {key.replace("upload5249", f"upload{file}"): kind for key, kind in
        CONTRACT["im.disk.file.commit"]["result"].items()}  # fmt: skip
    assert lacking(tree, {"result": made}) == []
    shown = made["FILES"][f"upload{file}"]
    assert (shown["id"], shown["chatId"], shown["type"], shown["authorId"]) == (file, chat, "image", 4)
    assert shown["image"] == {"height": 61, "width": 72}
    assert made["FILE_MODELS"][f"upload{file}"]["parentId"] == folder

    seen = rest("im.dialog.messages.get", DIALOG_ID=f"chat{chat}")
    message = seen["messages"][0]
    assert (message["id"], message["text"], message["params"]) == (made["MESSAGE_ID"], "План", {"FILE_ID": [file]})
    assert [one["id"] for one in seen["files"]] == [file]
    content = installed.session.get(seen["files"][0]["urlDownload"], timeout=10).content
    assert base64.b64encode(content).decode() == picture(72, 61)
    assert rest("im.recent.list")["items"][0]["message"]["file"] is True
    assert [one["NAME"] for one in rest("disk.folder.getchildren", id=folder)] == ["план.png"]
    assert rest("disk.file.get", id=file)["CREATED_BY"] == "4"

    assert stranger.refusal("disk.file.get", id=file)[0] == "ACCESS_DENIED"
    assert stranger.refusal("disk.folder.getchildren", id=folder)[0] == "ACCESS_DENIED"
    assert stranger("disk.file.search", QUERY="план") == []
    assert rest.refusal("disk.file.rename", id=file, newName="x.png")[0] == "ACCESS_DENIED"
    rest("im.chat.user.delete", CHAT_ID=chat, USER_ID=4)
    assert anna.refusal("disk.file.get", id=file)[0] == "ACCESS_DENIED"


def test_the_storage_of_chats_is_nobody_s_and_a_private_dialog_closed_to_administrators(
    rest: Rest, installed: Sandbox
) -> None:
    anna, boris = Rest(installed, 4), Rest(installed, 5)
    folder = anna("im.disk.folder.get", DIALOG_ID="5")["ID"]
    assert boris("im.disk.folder.get", DIALOG_ID="4")["ID"] == folder
    file = put(anna, folder, "личное.txt")
    anna("im.disk.file.commit", DIALOG_ID="5", UPLOAD_ID=file)
    assert boris("im.dialog.messages.get", DIALOG_ID="4")["files"][0]["name"] == "личное.txt"
    assert rest.refusal("disk.file.get", id=file)[0] == "ACCESS_DENIED"
    assert {one["ENTITY_TYPE"] for one in rest("disk.storage.getlist")} <= {"user", "common", "restapp"}


def test_a_file_of_one_s_own_drive_is_copied_and_a_picture_may_be_sent_as_a_file(
    rest: Rest, chat: int, installed: Sandbox
) -> None:
    anna = Rest(installed, 4)
    source = put(rest, own_root(rest, 1), "смета.txt")
    made = rest("im.disk.file.commit", CHAT_ID=chat, DIALOG_ID="ерунда", FILE_ID=source)
    copy = made["FILES"][f"upload{source}"]["id"]
    assert made["DISK_ID"] == [str(copy)]
    assert copy != source
    assert anna("disk.file.get", id=copy)["NAME"] == "смета.txt"
    assert anna.refusal("disk.file.get", id=source)[0] == "ACCESS_DENIED"
    assert refused(anna.answer("im.disk.file.commit", CHAT_ID=chat, FILE_ID=source))[1] == "SAVE_ERROR"
    assert made["FILES"][f"upload{source}"]["type"] == "file"

    folder = rest("im.disk.folder.get", CHAT_ID=chat)["ID"]
    for flag, kind, code in (("N", "image", None), ("Y", "file", "media_original")):
        number = put(rest, folder, f"фото {flag}.png", picture(3, 2))
        sent = rest("im.disk.file.commit", CHAT_ID=chat, UPLOAD_ID=number, AS_FILE=flag)
        assert sent["FILES"][f"upload{number}"]["type"] == kind
        assert sent["FILE_MODELS"][f"upload{number}"]["code"] == code


def test_whoever_sent_a_file_deletes_it_and_others_do_not(rest: Rest, chat: int, installed: Sandbox) -> None:
    anna, stranger = Rest(installed, 4), Rest(installed, 10)
    folder = rest("im.disk.folder.get", CHAT_ID=chat)["ID"]
    file = put(rest, folder, "a.txt")
    rest("im.disk.file.commit", CHAT_ID=chat, FILE_ID=file)
    assert stranger("im.disk.file.delete", CHAT_ID=chat, FILE_ID=file) is False
    assert rest("im.disk.file.delete", CHAT_ID=999999, FILE_ID=file) is False
    assert rest("im.disk.file.delete", CHAT_ID=chat, FILE_ID=999999) is False
    assert anna("im.disk.file.delete", CHAT_ID=chat, FILE_ID=file) is True
    assert rest("disk.file.get", id=file)["ID"] == str(file)
    assert rest("im.disk.file.delete", CHAT_ID=chat, FILE_ID=file) is True
    assert rest.refusal("disk.file.get", id=file)[0] == "ERROR_NOT_FOUND"
    seen = anna("im.dialog.messages.get", DIALOG_ID=f"chat{chat}")
    assert (seen["messages"][0]["text"], seen["files"]) == ("Message deleted", [])


def test_a_file_is_saved_to_one_s_own_drive(rest: Rest, chat: int, installed: Sandbox) -> None:
    anna = Rest(installed, 4)
    file = put(rest, rest("im.disk.folder.get", CHAT_ID=chat)["ID"], "смета.txt")
    rest("im.disk.file.commit", CHAT_ID=chat, FILE_ID=file)
    first, second = anna("im.disk.file.save", FILE_ID=file), anna("im.disk.file.save", FILE_ID=file)
    assert (first["folder"]["name"], first["file"]["name"]) == ("Saved Files", "смета.txt")
    assert (second["folder"], second["file"]["name"]) == (first["folder"], "смета (1).txt")
    kept = anna("disk.file.get", id=first["file"]["id"])
    assert kept["PARENT_ID"] == str(first["folder"]["id"])
    assert anna("disk.folder.get", id=first["folder"]["id"])["PARENT_ID"] == own_root(anna, 4)
    rest("im.disk.file.delete", CHAT_ID=chat, FILE_ID=file)
    assert installed.session.get(kept["DOWNLOAD_URL"], timeout=10).content.decode() == "Смета"
    elsewhere = put(rest, own_root(rest, 1), "своё.txt")
    for number in (file, elsewhere, 999999):
        error = refused(rest.answer("im.disk.file.save", FILE_ID=number))
        assert error == (400, "FILE_SAVE_ERROR", "File ID can't be saved"), number


def test_wrong_calls_about_files_are_refused_in_the_words_of_their_pages(
    rest: Rest, chat: int, installed: Sandbox
) -> None:
    no_chat = (400, "CHAT_ID_EMPTY", "Chat ID can't be empty")
    no_dialog = (400, "DIALOG_ID_EMPTY", "Dialog ID can't be empty")
    no_file = (400, "FILE_ID_EMPTY", "File ID can't be empty")
    denied = (403, "ACCESS_ERROR", "You do not have access to the specified dialog")
    cases: list[tuple[str, dict[str, Any], tuple[int, str, str]]] = [
        *((name, params, error) for name in ("folder.get", "file.commit") for params, error in (
            ({}, no_chat), ({"CHAT_ID": ""}, no_chat), ({"CHAT_ID": "", "DIALOG_ID": f"chat{chat}"}, no_chat),
            ({"DIALOG_ID": "ерунда"}, no_dialog), ({"DIALOG_ID": ""}, no_dialog), ({"CHAT_ID": 999999}, denied),
            ({"DIALOG_ID": "chat999999"}, denied), ({"DIALOG_ID": "sg7"}, denied),
        )),
        ("file.commit", {"CHAT_ID": chat}, (400, "FILES_ERROR", "List of files is not specified")),
        *(("file.commit", {"CHAT_ID": chat, name: value}, (400, "SAVE_ERROR", "Error during saving file to chat"))
            for name in ("FILE_ID", "UPLOAD_ID") for value in ("", 999999, [])),
        ("file.delete", {"FILE_ID": 1}, no_chat), ("file.delete", {"CHAT_ID": chat}, no_file),
        ("file.delete", {"CHAT_ID": chat, "FILE_ID": ""}, no_file), ("file.save", {}, no_file),
    ]  # fmt: skip
    for name, params, error in cases:
        assert refused(rest.answer(f"im.disk.{name}", **params)) == error, (name, params)
    for name in ("folder.get", "file.commit"):
        assert refused(Rest(installed, 10).answer(f"im.disk.{name}", CHAT_ID=chat, FILE_ID=1)) == denied


def test_a_task_s_chat_has_files_too(rest: Rest, installed: Sandbox) -> None:
    task = rest("tasks.task.add", fields={"TITLE": "Замер", "RESPONSIBLE_ID": 9})["task"]["id"]
    number = rest("tasks.task.get", taskId=task, select=["CHAT_ID"])["task"]["chatId"]
    measurer = Rest(installed, 9)
    file = put(measurer, measurer("im.disk.folder.get", CHAT_ID=number)["ID"], "замер.txt")
    measurer("im.disk.file.commit", CHAT_ID=number, FILE_ID=file)
    assert rest("im.dialog.messages.get", DIALOG_ID=f"chat{number}")["files"][0]["name"] == "замер.txt"
    assert refused(Rest(installed, 10).answer("im.disk.folder.get", CHAT_ID=number))[1] == "ACCESS_ERROR"


# --- things made of messages ------------------------------------------------------------------------------------------


def test_a_message_becomes_a_task_an_entry_a_chat_and_a_post(
    rest: Rest, chat: int, installed: Sandbox, listener: Listener
) -> None:
    for event in ("ONTASKADD", "ONCALENDARENTRYADD"):
        rest("event.bind", event=event, handler=listener.url + "/e")
    anna = Rest(installed, 4)
    message = rest("im.message.add", DIALOG_ID=f"chat{chat}", MESSAGE="Измерить кухню\nв четверг")
    place = {"MESSAGE_ID": message, "DIALOG_ID": f"chat{chat}"}
    last = installed.last
    for kind in ("TASK", "CALEND", "CHAT", "POST"):
        assert anna("im.message.share", **place, TYPE=kind) is True
    number = listener.wait(lambda form: form.get("event") == "ONTASKADD")[0]["data[FIELDS_AFTER][ID]"]
    task = anna("tasks.task.get", taskId=number)["task"]
    assert (task["title"], task["responsibleId"], task["createdBy"]) == ("Измерить кухню", "4", "4")
    assert task["description"] == "Измерить кухню\nв четверг"
    assert task["auditors"] == ["1", "5"]
    entry = installed.entry(int(listener.wait(lambda form: form.get("event") == "ONCALENDARENTRYADD")[0]["data[id]"]))
    assert (entry["name"], entry["owner_id"], set(entry["attendees"])) == ("Измерить кухню", 4, {1, 4, 5})
    assert rest("calendar.meeting.status.get", eventId=entry["id"]) == "Q"
    effects = {one["type"]: one for one in installed.ledger(last, "effect")}
    assert (effects["post"]["message"], effects["post"]["to"]) == (message, [4, 1, 5])
    made = rest("im.dialog.messages.get", DIALOG_ID=f"chat{effects['chat']['id']}")
    assert [one["text"] for one in made["messages"]] == ["Измерить кухню\nв четверг"]
    assert sorted(rest("im.chat.user.list", CHAT_ID=effects["chat"]["id"])) == [1, 4, 5]


def test_a_message_is_shared_only_where_it_stands(rest: Rest, chat: int, installed: Sandbox) -> None:
    message = rest("im.message.add", DIALOG_ID=f"chat{chat}", MESSAGE="x")
    other = rest("im.chat.add", USERS=[5], TITLE="Другой")
    place = {"MESSAGE_ID": message, "DIALOG_ID": f"chat{chat}", "TYPE": "TASK"}
    absent = (400, "MESSAGE_ID_ERROR", "Message ID can't be empty")
    wrong = (400, "PARAMS_ERROR", "Incorrect params")
    cases: list[tuple[dict[str, Any], tuple[int, str, str]]] = [
        ({"MESSAGE_ID": None}, absent), ({"MESSAGE_ID": 999999}, absent), ({"TYPE": "SONG"}, wrong),
        ({"TYPE": None}, wrong), ({"DIALOG_ID": f"chat{other}"}, wrong),
        ({"DIALOG_ID": None}, (400, "DIALOG_ID_EMPTY", "Dialog ID can't be empty")),
        ({"DIALOG_ID": "chat999999"}, (403, "ACCESS_ERROR", "You do not have access to the specified dialog")),
    ]  # fmt: skip
    for more, error in cases:
        assert refused(rest.answer("im.message.share", **{**place, **more})) == error, more
    assert refused(Rest(installed, 10).answer("im.message.share", **place)) == absent


# --- commands of bots -------------------------------------------------------------------------------------------------


def test_a_command_under_a_message_reaches_the_bot(
    rest: Rest, chat: int, installed: Sandbox, listener: Listener
) -> None:
    facts = {"client_id": installed.client_id, "code": "helper", "name": "Помощник", "handler": listener.url + "/bot",
        "commands": ["task", "stop"]}  # fmt: skip
    bot = installed.control("POST", "bots", facts)
    message = rest("im.message.add", DIALOG_ID=f"chat{chat}", MESSAGE="Что делать?")
    press = {"MESSAGE_ID": message, "BOT_ID": bot["id"], "COMMAND": "task", "COMMAND_PARAMS": "task #1"}
    anna = Rest(installed, 4)
    wrong = (400, "PARAMS_ERROR", "Incorrect params")
    assert refused(anna.answer("im.message.command", **press)) == wrong  # the bot is not in the chat
    rest("im.chat.user.add", CHAT_ID=chat, USERS=[bot["id"]])
    assert anna("im.message.command", **press) is True
    sent = listener.wait(lambda form: form.get("event") == "ONIMCOMMANDADD")[0]
    key = f"data[COMMAND][{bot['commands'][0]}]"
    told = {name: sent[f"{key}[{name}]"] for name in ("BOT_ID", "BOT_CODE", "COMMAND", "COMMAND_PARAMS", "MESSAGE_ID",
        "COMMAND_CONTEXT")}  # fmt: skip
    assert told == {"BOT_ID": str(bot["id"]), "BOT_CODE": "helper", "COMMAND": "task", "COMMAND_PARAMS": "task #1",
        "MESSAGE_ID": str(message), "COMMAND_CONTEXT": "KEYBOARD"}  # fmt: skip
    assert (sent["data[USER][ID]"], sent["data[PARAMS][DIALOG_ID]"]) == ("4", f"chat{chat}")
    assert sent["data[PARAMS][CHAT_TITLE]"] == "Кухня Беловых"
    answer = {"DIALOG_ID": f"chat{chat}", "MESSAGE": "Мерить"}
    installed.result("im.message.add", answer, token=sent[f"{key}[access_token]"])
    seen = rest("im.dialog.messages.get", DIALOG_ID=f"chat{chat}")
    assert (seen["messages"][0]["author_id"], seen["messages"][0]["text"]) == (bot["id"], "Мерить")
    assert [one["bot"] for one in seen["users"] if one["id"] == bot["id"]] == [True]

    cases: list[tuple[dict[str, Any], tuple[int, str, str]]] = [
        ({"MESSAGE_ID": 999999}, (400, "MESSAGE_ID_ERROR", "Message ID can't be empty")),
        ({"BOT_ID": 4}, (400, "BOT_ID_ERROR", "Bot ID can't be empty")),
        ({"BOT_ID": None}, (400, "BOT_ID_ERROR", "Bot ID can't be empty")),
        ({"COMMAND": ""}, (400, "COMMAND_ERROR", "Command can't be empty")),
        ({"COMMAND": "nothing"}, wrong), ({"COMMAND_PARAMS": ["x"]}, wrong),
    ]  # fmt: skip
    for more, error in cases:
        assert refused(anna.answer("im.message.command", **{**press, **more})) == error, more


# --- answers to notices -----------------------------------------------------------------------------------------------


def notices(rest: Rest) -> list[dict[str, Any]]:
    return list(rest("im.notify.get")["notifications"])


def test_buttons_of_an_invitation_answer_it(rest: Rest, installed: Sandbox) -> None:
    anna, boris = Rest(installed, 4), Rest(installed, 5)
    meeting = {
        "type": "user", "ownerId": 1, "name": "Планёрка", "from": "2026-12-01T10:00:00+03:00",
        "to": "2026-12-01T11:00:00+03:00", "is_meeting": "Y", "attendees": [1, 4, 5],
    }  # fmt: skip
    event = installed.result("calendar.event.add", meeting)
    body = {"user_id": 4, "text": "Вас приглашают", "event_id": event}
    first = installed.control("POST", "notices", body)["id"]
    shown = notices(anna)[0]
    assert (shown["id"], shown["notify_type"]) == (first, 1)
    assert '"VALUE": "Y"' in shown["notify_buttons"]
    assert boris("im.notify.confirm", NOTIFY_ID=first, NOTIFY_VALUE="Y") == {"result_message": False}
    assert anna("im.notify.confirm", NOTIFY_ID=first, NOTIFY_VALUE="maybe") == {"result_message": False}
    assert anna("calendar.meeting.status.get", eventId=event) == "Q"
    assert anna("im.notify.confirm", NOTIFY_ID=first, NOTIFY_VALUE="Y") == {"result_message": ["Invitation accepted"]}
    assert anna("calendar.meeting.status.get", eventId=event) == "Y"
    assert first not in [one["id"] for one in notices(anna)]
    assert anna("im.notify.confirm", NOTIFY_ID=first, NOTIFY_VALUE="Y") == {"result_message": False}
    second = installed.control("POST", "notices", body)["id"]
    assert anna("im.notify.confirm", NOTIFY_ID=second, NOTIFY_VALUE="N") == {"result_message": ["Invitation declined"]}
    assert anna("calendar.meeting.status.get", eventId=event) == "N"
    for wrong in (
        {"user_id": 6, "event_id": event},
        {"user_id": 4, "event_id": 999999},
        {"user_id": 4, "buttons": [1]},
    ):
        with pytest.raises(ControlFailed):
            installed.control("POST", "notices", wrong)


def test_a_quick_answer_reaches_the_module_that_waits_for_it(rest: Rest, installed: Sandbox) -> None:
    anna = Rest(installed, 4)
    waiting = installed.control("POST", "notices", {"user_id": 4, "text": "Придёте?", "answer": True})["id"]
    last = installed.last
    answer = {"NOTIFY_ID": waiting, "ANSWER_TEXT": "I will participate"}
    assert anna("im.notify.answer", **answer) == {"result_message": ["Your response has been successfully sent."]}
    given = next(one for one in installed.ledger(last, "effect") if one["type"] == "notice")
    assert (given["change"], given["id"], given["text"]) == ("answer", waiting, "I will participate")
    assert {one["id"]: one["notify_read"] for one in notices(anna)}[waiting] == "Y"
    plain = rest("im.notify.personal.add", USER_ID=4, MESSAGE="К сведению")
    for number in (plain, 999999):
        assert anna("im.notify.answer", NOTIFY_ID=number, ANSWER_TEXT="x") == {"result_message": False}
        assert anna("im.notify.confirm", NOTIFY_ID=number, NOTIFY_VALUE="Y") == {"result_message": False}
    assert rest("im.notify.answer", **answer) == {"result_message": False}  # it is another person's

    no_id = ("ID_ERROR", "Notification ID can't be empty")
    cases: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
        ("answer", {"ANSWER_TEXT": "x"}, no_id), ("answer", {"NOTIFY_ID": 0, "ANSWER_TEXT": "x"}, no_id),
        ("answer", {"NOTIFY_ID": waiting}, ("ANSWER_TEXT_ERROR", "ANSWER_TEXT can't be empty")),
        ("confirm", {"NOTIFY_VALUE": "Y"}, no_id), ("confirm", {"NOTIFY_ID": -1, "NOTIFY_VALUE": "Y"}, no_id),
        ("confirm", {"NOTIFY_ID": waiting}, ("NOTIFY_VALUE_ERROR", "Notification Value can't be empty")),
    ]  # fmt: skip
    for name, params, error in cases:
        assert anna.refusal(f"im.notify.{name}", **params) == error, (name, params)
