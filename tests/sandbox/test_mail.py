"""Letters by REST 3.0: how they come, go, answer each other and move, and what other methods show of what is made."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.client import Sandbox
from tests.sandbox.conftest import Listener

CLIENT = "client@example.com"
HOUR = {"dateFrom": "2030-04-15 10:00:00", "dateTo": "2030-04-15 11:30:00"}
VALIDATION = "BITRIX_REST_V3_EXCEPTION_VALIDATION_REQUESTVALIDATIONEXCEPTION"


class Mail:
    """The mail methods for one person."""

    def __init__(self, portal: Sandbox, user_id: int) -> None:
        self.portal = portal
        self.user_id = user_id
        self.token = portal.token_of(user_id)
        self.address = self("mailbox.senders")["items"][0]["email"]

    def __call__(self, name: str, /, **params: Any) -> Any:
        body = self.portal.call(f"api/mail.{name}", params, token=self.token)
        assert "error" not in body, (name, body)
        return body["result"]

    def classic(self, name: str, /, **params: Any) -> Any:
        return self.portal.result(name, params, token=self.token)

    def refusal(self, name: str, /, **params: Any) -> dict[str, Any]:
        body = self.portal.call(f"api/mail.{name}", params, token=self.token)
        assert "result" not in body, (name, body)
        return dict(body["error"])

    def wrong(self, name: str, /, **params: Any) -> list[tuple[str, str]]:
        """(field, message) pairs of a validation error; field is empty when the error has none."""
        error = self.refusal(name, **params)
        assert (error["code"], error["message"]) == (VALIDATION, "Error validating request object")
        return [(one.get("field", ""), one["message"]) for one in error["validation"]]

    def folder(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self("message.list", folder=name)["items"]
        return found

    def send(self, verb: str = "send", **more: Any) -> Any:
        letter = {"from": self.address, "to": [CLIENT], "subject": "Договор", "body": "Высылаю."}
        return self(f"message.{verb}", **{**letter, **more})


@pytest.fixture
def anna(installed: Sandbox) -> Mail:
    return Mail(installed, 4)


@pytest.fixture
def boris(installed: Sandbox) -> Mail:
    return Mail(installed, 5)


def came(mail: Mail, subject: str = "Договор", text: str = "Посмотрите, пожалуйста.", sender: str = CLIENT) -> int:
    """A letter from outside; its id in the mailbox."""
    body = {"from": sender, "subject": subject, "text": text, "to_user_id": mail.user_id}
    mail.portal.control("POST", "email", body)
    return int(mail.folder("INBOX")[0]["id"])


# --- letters ----------------------------------------------------------------------------------------------------------


def test_a_sent_letter_lies_in_sent_and_in_the_inbox_of_colleagues_but_not_in_crm(anna: Mail, boris: Mail) -> None:
    before = anna.classic("crm.activity.list", select=["ID"])
    vera = Mail(anna.portal, 6)
    answer = anna.send(to=[CLIENT, f"Борис <{boris.address.upper()}>"], cc=["third@example.com"], bcc=[vera.address])
    assert answer == {"success": True, "to": [CLIENT, boris.address.upper()]}
    own = anna.folder("Отправленные")
    assert [(one["subject"], one["isSeen"], one["cc"]) for one in own] == [("Договор", True, "third@example.com")]
    assert (own[0]["from"], own[0]["to"]) == (anna.address, f"{CLIENT}, {boris.address.upper()}")
    assert (own[0]["mailboxId"], own[0]["mailboxEmail"]) == (4, anna.address)
    for other in (boris, vera):
        got = other.folder("INBOX")
        assert [(one["from"], one["isSeen"], one["body"]) for one in got] == [(anna.address, False, "Высылаю.")]
        assert (got[0]["to"], got[0]["cc"]) == (own[0]["to"], own[0]["cc"])
        assert got[0]["id"] != own[0]["id"]
        assert other("message.list", isSeen=False)["items"] == got
    assert anna.classic("crm.activity.list", select=["ID"]) == before
    effects = [one for one in anna.portal.ledger(kind="effect") if one["type"] == "letter"]
    assert [(one["change"], one["user_id"]) for one in effects] == [("send", 4)]


def test_an_answer_goes_on_with_the_thread_on_both_sides_and_a_forwarded_letter_begins_one(
    anna: Mail, boris: Mail
) -> None:
    anna.send(to=[boris.address], body="<p>Добрый день!</p>")
    first = boris.folder("INBOX")[0]["id"]
    boris.send("reply", replyToMessageId=first, to=[anna.address], subject="Re: Договор", body="Спасибо, получил.")
    for mail in (anna, boris):
        thread = mail("message.thread", id=mail.folder("Sent")[0]["id"])
        texts = [(one["from"], one["subject"], one["body"]) for one in thread]
        assert texts == [
            (anna.address, "Договор", "Добрый день!"),
            (boris.address, "Re: Договор", "Спасибо, получил."),
        ]
        assert {*thread[0]} == {"id", "subject", "from", "to", "cc", "date", "body"}
        assert time.strptime(thread[0]["date"], "%Y-%m-%d %H:%M:%S")
        assert mail("message.thread", id=thread[0]["id"], limit=1) == thread[1:]
    boris.send("forward", forwardMessageId=first, to=["lawyer@example.com"], subject="Fwd: Договор", body="Взгляните.")
    forwarded = boris("message.thread", id=boris.folder("Sent")[0]["id"])
    assert len(forwarded) == 1
    assert forwarded[0]["body"].startswith("Взгляните.")
    assert "Добрый день!" in forwarded[0]["body"]


def test_a_client_that_answers_is_in_the_thread_of_the_letter_from_the_card(anna: Mail) -> None:
    lead = anna.classic(
        "crm.lead.add", fields={"TITLE": "Кухня", "ASSIGNED_BY_ID": 4, "EMAIL": [{"VALUE": CLIENT, "VALUE_TYPE": "W"}]}
    )
    card = {"entity_type_id": 1, "entity_id": lead, "subject": "Смета", "text": "Смета", "files": ["смета.pdf"]}
    anna.portal.control("POST", "letters", {**card, "user_id": 4})
    sent = anna("message.list", hasAttachments=True)["items"]
    assert [one["subject"] for one in sent] == ["Смета"]
    assert sent[0]["bindings"] == [{"type": "crm", "entityTypeId": 1, "entityId": lead}]
    other = came(anna, "Смета")
    answer = came(anna, "RE: смета")
    stranger = came(anna, "Re: Смета", sender="other@example.com")
    assert [one["id"] for one in anna("message.thread", id=answer)] == [other, answer]
    assert [one["id"] for one in anna("message.thread", id=sent[0]["id"])] == [sent[0]["id"]]
    assert [one["id"] for one in anna("message.thread", id=stranger)] == [stranger]
    anna.send("forward", forwardMessageId=sent[0]["id"])
    assert [one["subject"] for one in anna("message.list", hasAttachments=True)["items"]] == ["Договор", "Смета"]


def test_a_letter_is_moved_to_a_folder_to_spam_and_to_the_trash(anna: Mail) -> None:
    numbers = [came(anna, f"Письмо {number}") for number in range(3)]
    kept = {"messageIds": numbers[:1], "action": "move", "folder": "архив"}
    assert anna("message.movetofolder", **kept) == {"success": True, "movedCount": 1, "action": "move"}
    answer = anna("message.movetofolder", messageIds=[numbers[1], numbers[1], 999999], action="spam")
    assert answer == {"success": True, "movedCount": 1, "action": "spam"}
    assert anna("message.movetofolder", messageIds=numbers[2:], action="delete")["movedCount"] == 1
    for name, number in (("Archive", numbers[0]), ("Spam", numbers[1]), ("Корзина", numbers[2])):
        assert [one["id"] for one in anna.folder(name)] == [number], name
    assert anna.folder("INBOX") == []
    assert anna.folder("Нет такой") == []
    assert {one["id"] for one in anna("message.list")["items"]} == set(numbers)


def test_nobody_reaches_the_mailbox_of_another_person(anna: Mail, boris: Mail) -> None:
    letter = came(anna)
    admin = Mail(anna.portal, 1)
    gone = [("messageId", "Message deleted or moved to another folder")]
    for stranger in (boris, admin):
        for verb in ("get", "thread"):
            error = stranger.refusal(f"message.{verb}", id=letter)
            assert error["code"] == "BITRIX_REST_V3_EXCEPTION_ENTITYNOTFOUNDEXCEPTION"
            assert error["message"] == f"Record with ID = `{letter}` not found"
        for verb in ("createtask", "createcalendarevent", "createchat", "createfeedpost", "createcrmactivity",
                "removecrmactivity"):  # fmt: skip
            assert stranger.wrong(f"message.{verb}", messageId=letter, **HOUR) == gone, verb
        moved = stranger.wrong("message.movetofolder", messageIds=[letter], action="delete")
        assert moved == [("messageIds", "No accessible messages found")]
        text = {"to": [CLIENT], "subject": "С", "body": "Т"}
        answered = stranger.wrong("message.reply", **{"from": stranger.address}, replyToMessageId=letter, **text)
        assert answered == [("replyToMessageId", "MESSAGE_REPLY_FAILED")]
        sent = stranger.wrong("message.send", **{"from": anna.address}, **text)
        assert sent == [("from", "MESSAGE_SEND_FAILED")]
    assert [one["id"] for one in anna.folder("INBOX")] == [letter]


def missing(*names: str) -> list[tuple[str, str]]:
    return [(name, f"Required field `{name}` is not specified") for name in names]


TEXT: dict[str, Any] = {"from": "user4@dubrava.example", "to": [CLIENT], "subject": "Договор", "body": "Высылаю."}
WRONG: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("message.send", {}, missing("from", "to", "subject", "body")),
    ("message.send", {**TEXT, "to": []}, missing("to")),
    ("message.send", {**TEXT, "body": None}, missing("body")),
    ("message.send", {**TEXT, "to": ["", " "]}, [("to", "NO_RECIPIENTS")]),
    ("message.send", {**TEXT, "to": ["никто"]}, [("to", "RESOLVE_RECIPIENTS_ERROR")]),
    ("message.send", {**TEXT, "to": [{"email": CLIENT}]}, [("to", "RESOLVE_RECIPIENTS_ERROR")]),
    ("message.send", {**TEXT, "cc": [CLIENT, "x"]}, [("cc", "RESOLVE_RECIPIENTS_ERROR")]),
    ("message.send", {**TEXT, "bcc": [5]}, [("bcc", "RESOLVE_RECIPIENTS_ERROR")]),
    ("message.send", {**TEXT, "to": CLIENT}, [("to", "Field `to` requires data type `array` for this request")]),
    ("message.send", {**TEXT, "from": "x@example.com"}, [("from", "MESSAGE_SEND_FAILED")]),
    ("message.reply", {}, missing("replyToMessageId", "from", "to", "subject", "body")),
    ("message.reply", {**TEXT, "replyToMessageId": 999999}, [("replyToMessageId", "MESSAGE_REPLY_FAILED")]),
    ("message.forward", {}, missing("forwardMessageId", "from", "to", "subject", "body")),
    ("message.forward", {**TEXT, "forwardMessageId": 999999}, [("forwardMessageId", "MESSAGE_FORWARD_FAILED")]),
    ("message.forward", {**TEXT, "forwardMessageId": "x"},
        [("forwardMessageId", "Field `forwardMessageId` requires data type `int` for this request")]),
    ("message.thread", {}, missing("id")),
    ("message.list", {"isSeen": "да"}, [("isSeen", "Field `isSeen` requires data type `bool` for this request")]),
    ("message.movetofolder", {}, missing("messageIds", "action")),
    ("message.movetofolder", {"messageIds": [1], "action": "burn"},
        [("action", "The `action` parameter must be `move`, `spam`, or `delete`")]),
    ("message.movetofolder", {"messageIds": [1], "action": "move"},
        [("folder", "The `folder` parameter is required when `action=move`")]),
    ("message.movetofolder", {"messageIds": [999999], "action": "spam"},
        [("messageIds", "No accessible messages found")]),
    ("message.createtask", {}, missing("messageId")),
    ("message.createtask", {"messageId": 0}, missing("messageId")),
    ("message.createchat", {"messageId": -1}, missing("messageId")),
    ("message.createfeedpost", {"messageId": "x"},
        [("messageId", "Field `messageId` requires data type `int` for this request")]),
    ("message.createcalendarevent", {"messageId": 1}, missing("dateFrom", "dateTo")),
    ("message.createcrmactivity", {"messageId": 999999},
        [("messageId", "Message deleted or moved to another folder")]),
    ("recipient.listemployees", {}, missing("query")),
    ("recipient.listemployees", {"query": " "}, missing("query")),
    ("recipient.field.get", {}, missing("name")),
]  # fmt: skip


def test_what_is_wrong_is_told_field_by_field(anna: Mail) -> None:
    for name, params, expected in WRONG:
        assert anna.wrong(name, **params) == expected, (name, params)
    inbox, other = came(anna, "Одно"), came(anna, "Другое")
    anna("message.movetofolder", messageIds=[other], action="spam")
    both = {"messageIds": [inbox, other]}
    assert anna.wrong("message.movetofolder", **both, action="delete") == [
        ("messageIds", "Select emails from a single folder")
    ]
    move = {"messageIds": [inbox], "action": "move", "folder": "Нет такой"}
    assert anna.wrong("message.movetofolder", **move) == [("folder", "Folder `Нет такой` not found")]
    for value in ("2030-04-15", "2030-04-15T10:00:00", "2030-02-30 10:00:00", "ерунда"):
        event = {"messageId": inbox, **HOUR, "dateTo": value}
        assert anna.wrong("message.createcalendarevent", **event) == [("dateTo", "Invalid date format")], value
    late = {"messageId": inbox, "dateFrom": HOUR["dateTo"], "dateTo": HOUR["dateFrom"]}
    assert anna.wrong("message.createcalendarevent", **late) == [("", "Failed to create calendar event")]
    nobody = {"messageId": inbox, "responsibleId": 999999}
    assert anna.wrong("message.createtask", **nobody) == [("", "Failed to create task")]
    assert anna.folder("Sent") == []


# --- what is made of a letter -----------------------------------------------------------------------------------------


def test_a_task_made_of_a_letter_is_a_task(anna: Mail, listener: Listener) -> None:
    anna.classic("event.bind", event="ONTASKADD", handler=listener.url + "/e")
    letter = came(anna)
    answer = anna("message.createtask", messageId=letter)
    assert answer == {"success": True, "taskId": answer["taskId"], "messageId": letter}
    select = ["ID", "TITLE", "DESCRIPTION", "CREATED_BY", "RESPONSIBLE_ID", "UF_MAIL_MESSAGE"]
    task = anna.classic("tasks.task.get", taskId=answer["taskId"], select=select)["task"]
    assert (task["title"], task["description"]) == ("Договор", "")
    assert (task["createdBy"], task["responsibleId"]) == ("4", "4")
    assert str(task["ufMailMessage"]) == str(letter)
    event = listener.wait(lambda form: form.get("event") == "ONTASKADD")[0]
    assert event["data[FIELDS_AFTER][ID]"] == str(answer["taskId"])
    own = {"title": "Подготовить договор", "responsibleId": 5, "description": "До пятницы"}
    second = anna("message.createtask", messageId=letter, **own)["taskId"]
    task = anna.classic("tasks.task.get", taskId=second, select=select)["task"]
    assert (task["title"], task["responsibleId"], task["description"]) == ("Подготовить договор", "5", "До пятницы")
    made = [{"type": "task", "entityId": number} for number in (answer["taskId"], second)]
    bindings = anna("message.get", id=letter)["item"]["bindings"]
    assert bindings[1:] == made
    anna.classic("tasks.task.delete", taskId=second)
    assert anna("message.get", id=letter)["item"]["bindings"][1:] == made[:1]


def test_an_entry_made_of_a_letter_is_in_the_calendar(anna: Mail, listener: Listener) -> None:
    anna.classic("event.bind", event="ONCALENDARENTRYADD", handler=listener.url + "/e")
    anna.portal.set_person(4, timezone="Asia/Yekaterinburg")
    letter = came(anna)
    facts = {"name": "Встреча по договору", "description": "У клиента"}
    answer = anna("message.createcalendarevent", messageId=letter, **HOUR, **facts)
    assert answer == {"success": True, "eventId": answer["eventId"], "messageId": letter}
    entry = anna.classic("calendar.event.getbyid", id=answer["eventId"])
    assert (entry["NAME"], entry["DESCRIPTION"], entry["OWNER_ID"]) == ("Встреча по договору", "У клиента", "4")
    assert (entry["DATE_FROM"], entry["DATE_TO"]) == ("15.04.2030 10:00:00", "15.04.2030 11:30:00")
    assert entry["TZ_FROM"] == "Asia/Yekaterinburg"
    month = {"type": "user", "ownerId": 4, "from": "2030-04-01", "to": "2030-04-30"}
    assert [one["ID"] for one in anna.classic("calendar.event.get", **month)] == [entry["ID"]]
    listener.wait(lambda form: form.get("data[id]") == entry["ID"])
    plain = anna("message.createcalendarevent", messageId=letter, **HOUR)["eventId"]
    assert anna.classic("calendar.event.getbyid", id=plain)["NAME"] == "Договор"


def test_a_letter_has_one_chat(anna: Mail) -> None:
    letter = came(anna)
    answer = anna("message.createchat", messageId=letter)
    assert answer == {"success": True, "chatId": answer["chatId"], "messageId": letter, "existing": False}
    chat = answer["chatId"]
    assert anna.classic("im.chat.get", ENTITY_TYPE="MAIL", ENTITY_ID=letter) == {"ID": chat}
    found = anna.classic("im.dialog.get", DIALOG_ID=f"chat{chat}")
    assert (found["name"], found["owner"], found["entity_id"]) == ("Договор", 4, str(letter))
    messages = anna.classic("im.dialog.messages.get", DIALOG_ID=f"chat{chat}")["messages"]
    assert "Посмотрите, пожалуйста." in messages[0]["text"]
    anna.classic("im.chat.leave", CHAT_ID=chat)
    again = anna("message.createchat", messageId=letter)
    assert again == {"success": True, "chatId": chat, "messageId": letter, "existing": True}
    assert anna.classic("im.chat.user.list", CHAT_ID=chat) == [4]
    assert anna("message.createchat", messageId=came(anna, "Другое"))["existing"] is False


def test_a_post_of_the_feed_is_told_by_its_event(installed: Sandbox, listener: Listener) -> None:
    installed.application(scopes=[*installed.state("applications")[0]["scopes"], "log"])
    anna = Mail(installed, 4)
    anna.classic("event.bind", event="ONLIVEFEEDPOSTADD", handler=listener.url + "/e")
    letter = came(anna)
    answer = anna("message.createfeedpost", messageId=letter, title="Обсудим договор")
    assert answer == {"success": True, "postId": answer["postId"], "messageId": letter}
    event = listener.wait(lambda form: form.get("event") == "ONLIVEFEEDPOSTADD")[0]
    assert event["data[FIELDS][POST_ID]"] == str(answer["postId"])
    effect = [one for one in anna.portal.ledger(kind="effect") if one["type"] == "blog post"]
    assert [(one["id"], one["title"]) for one in effect] == [(answer["postId"], "Обсудим договор")]
    assert {"type": "blogPost", "entityId": answer["postId"]} in anna("message.get", id=letter)["item"]["bindings"]


def test_a_letter_leaves_crm_and_comes_back(anna: Mail, listener: Listener) -> None:
    for event in ("ONCRMACTIVITYADD", "ONCRMACTIVITYDELETE"):
        anna.classic("event.bind", event=event, handler=listener.url + "/e")
    letter = came(anna, "Кухня", "Сколько стоит?")
    binding = anna("message.get", id=letter)["item"]["bindings"][0]
    first = anna.classic("crm.activity.list", filter={"TYPE_ID": 4, "OWNER_ID": binding["entityId"]})
    assert len(first) == 1
    # It is in CRM already: nothing is added.
    assert anna("message.createcrmactivity", messageId=letter) is True
    assert len(anna.classic("crm.activity.list", filter={"TYPE_ID": 4})) == 1
    assert anna("message.removecrmactivity", messageId=letter) is True
    event = listener.wait(lambda form: form.get("event") == "ONCRMACTIVITYDELETE")[0]
    assert event["data[FIELDS][ID]"] == first[0]["ID"]
    item = anna("message.get", id=letter)["item"]
    assert (item["bindings"], item["subject"], item["body"]) == ([], "Кухня", "Сколько стоит?")
    assert anna("message.removecrmactivity", messageId=letter) is True
    assert anna("message.createcrmactivity", messageId=letter) is True
    found = anna.classic("crm.activity.list", filter={"TYPE_ID": 4})
    assert [(one["SUBJECT"], one["DIRECTION"], one["OWNER_ID"]) for one in found] == [
        ("Кухня", "1", str(binding["entityId"]))
    ]
    assert found[0]["ID"] != first[0]["ID"]
    assert anna.classic("crm.activity.get", id=found[0]["ID"])["DESCRIPTION"] == "Сколько стоит?"
    listener.wait(lambda form: form.get("data[FIELDS][ID]") == found[0]["ID"])
    assert anna("message.get", id=letter)["item"]["bindings"] == [binding]
    assert [one["id"] for one in anna("message.list")["items"]] == [letter]


def test_a_sent_letter_is_put_into_crm_for_its_client_and_one_between_colleagues_is_not(
    anna: Mail, boris: Mail
) -> None:
    anna.send(to=[boris.address, "new@example.com"], subject="Предложение")
    letter = anna.folder("Sent")[0]["id"]
    assert anna("message.createcrmactivity", messageId=letter) is True
    found = anna.classic("crm.activity.list", filter={"TYPE_ID": 4})
    facts = [(one["SUBJECT"], one["DIRECTION"], one["COMPLETED"], one["OWNER_TYPE_ID"]) for one in found]
    assert facts == [("Предложение", "2", "Y", "1")]
    lead = anna.classic("crm.lead.get", id=found[0]["OWNER_ID"])
    assert (lead["TITLE"], lead["ASSIGNED_BY_ID"], lead["EMAIL"][0]["VALUE"]) == (
        "Предложение", "4", "new@example.com",
    )  # fmt: skip
    # The activity is of this letter; it is no other letter of the mailbox.
    assert [one["id"] for one in anna("message.list")["items"]] == [letter]
    assert boris.wrong("message.createcrmactivity", messageId=boris.folder("INBOX")[0]["id"]) == [
        ("messageId", "Please try adding the email to the CRM a little later")
    ]


def test_who_may_not_change_an_item_of_crm_does_not_take_its_letter_away(anna: Mail) -> None:
    letter = came(anna)
    lead = anna("message.get", id=letter)["item"]["bindings"][0]["entityId"]
    anna.portal.set_person(4, own_leads_only=True)
    for fields, text in (
        ({"assignedById": 5, "observers": [4]}, "Access denied: cannot delete CRM activity"),
        ({"observers": []}, "Access denied: no access to CRM"),
    ):
        anna.portal.change_item(1, lead, fields)
        assert anna.wrong("message.removecrmactivity", messageId=letter) == [("messageId", text)]
    assert len(Mail(anna.portal, 1).classic("crm.activity.list", filter={"TYPE_ID": 4})) == 1
    # Another letter of the same client makes a lead of one's own.
    anna.send()
    assert anna("message.createcrmactivity", messageId=anna.folder("Sent")[0]["id"]) is True
    assert anna("message.list", folder="Sent")["items"][0]["bindings"][0]["entityId"] != lead


# --- recipients -------------------------------------------------------------------------------------------------------


def test_the_address_book_has_those_whom_one_wrote_with_the_latest_first(anna: Mail, boris: Mail) -> None:
    assert anna("recipient.listcontacts") == {"items": []}
    came(anna, sender="ivan.petrov@example.com")
    anna.send(to=[boris.address], cc=["Пётр Ильин <ilyin@example.com>"])
    found = anna("recipient.listcontacts")["items"]
    assert {one["email"] for one in found} == {"ivan.petrov@example.com", "ilyin@example.com", boris.address}
    assert all(isinstance(one["id"], int) and set(one) == {"id", "email", "name"} for one in found)
    assert found[-1]["email"] == "ivan.petrov@example.com"
    for query, email in (("ИВАН", []), ("petrov@", ["ivan.petrov@example.com"]), ("борис", [boris.address])):
        assert [one["email"] for one in anna("recipient.listcontacts", query=query)["items"]] == email, query
    assert anna("recipient.listcontacts", pagination={"page": 2, "limit": 1})["items"] == found[1:2]
    assert [one["email"] for one in boris("recipient.listcontacts")["items"]] == [anna.address]


def test_employees_are_found_by_name_and_address_and_pages_are_checked(anna: Mail, boris: Mail) -> None:
    found = anna("recipient.listemployees", query="бОРис")["items"]
    assert [(one["id"], one["email"]) for one in found] == [(5, boris.address)]
    assert found[0]["name"].startswith("Борис ")
    assert anna("recipient.listemployees", query="user5@")["items"] == found
    anna.portal.set_person(5, active=False)
    assert anna("recipient.listemployees", query="user5@")["items"] == []
    assert len(anna("recipient.listemployees", query="dubrava", pagination={"limit": 2})["items"]) == 2
    for page, shown in (({"limit": "abc"}, '{"limit":"abc"}'), ({"limit": 0}, '{"limit":0}')):
        for name in ("recipient.listemployees", "recipient.listcontacts"):
            error = anna.refusal(name, query="a", pagination=page)
            assert error["code"] == "BITRIX_REST_V3_EXCEPTION_INVALIDPAGINATIONEXCEPTION"
            assert error["message"] == f"Unable to recognize pagination parameter `{shown}`"


def test_a_recipient_has_three_fields(anna: Mail) -> None:
    listed = anna("recipient.field.list", select=["name", "type"])["items"]
    assert listed == [
        {"name": "id", "type": "int"}, {"name": "email", "type": "string"}, {"name": "name", "type": "string"},
    ]  # fmt: skip
    item = anna("recipient.field.get", name="email", select=["name", "type", "title"])["item"]
    assert item == {"name": "email", "type": "string", "title": "email"}
    for params, code, message in (
        ({"name": "phone"}, "BITRIX_REST_V3_REALISATION_EXCEPTION_FIELDNOTFOUNDEXCEPTION", "Field `phone` not found"),
        (
            {"name": "id", "select": ["unknownField"]}, "BITRIX_REST_V3_EXCEPTION_UNKNOWNDTOPROPERTYEXCEPTION",
            "Unknown field `unknownField` for entity `DtoFieldDto`",
        ),
    ):  # fmt: skip
        error = anna.refusal("recipient.field.get", **params)
        assert (error["code"], error["message"]) == (code, message)


def test_a_key_makes_a_letter_once_and_a_snapshot_keeps_the_mailbox(anna: Mail) -> None:
    headers = {"Idempotency-Key": "letter-1", "Authorization": f"Bearer {anna.token}"}
    body = {"from": anna.address, "to": [CLIENT], "subject": "Один раз", "body": "Т"}
    for replayed in (None, "true"):
        answer = anna.portal.session.post(f"{anna.portal.url}/rest/api/mail.message.send", json=body, headers=headers)
        assert answer.json()["result"] == {"success": True, "to": [CLIENT]}
        assert answer.headers.get("Idempotent-Replayed") == replayed
    sent = anna.folder("Sent")
    assert len(sent) == 1
    anna.portal.control("POST", "snapshots/before")
    came(anna)
    anna("message.movetofolder", messageIds=[sent[0]["id"]], action="delete")
    anna.portal.control("POST", "snapshots/before/restore")
    assert anna("message.list")["items"] == sent
