"""What REST 3.0 does with letters (api-reference/mail/message): sends, answers, forwards, moves, makes others of them.

The task, calendar entry, chat, feed post and CRM activity made of a letter are those that their own methods show.
"""

from __future__ import annotations

import re
from datetime import datetime

from sandbox import crm, delivery, dto, entries, letters, tasks
from sandbox.crm_kinds import item_of
from sandbox.method import Call, Row, method
from sandbox.methods.chats import new_chat, say
from sandbox.v3 import invalid, required

_SENDING = "from! to! subject! body! cc bcc"
_GONE = "Message deleted or moved to another folder"


# --- sending ----------------------------------------------------------------------------------------------------------


def _addresses(call: Call, name: str) -> list[str]:
    """The e-mails of a list parameter; empty ones are passed over, what is no address is refused.

    [verify]: which of its two words the page means for an address that is none.
    """
    value = call.params.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise dto.typed(name, "array")
    if not all(isinstance(one, str) for one in value):
        raise invalid((name, "RESOLVE_RECIPIENTS_ERROR"))
    found = [letters.parted(one)[0] for one in value if one.strip()]
    if not all(crm.is_email(one) for one in found):
        raise invalid((name, "RESOLVE_RECIPIENTS_ERROR"))
    return list(dict.fromkeys(found))


def _letter(call: Call, number: int) -> Row | None:
    """A letter of the caller's mailbox."""
    letters.collect(call.portal)
    row = call.portal["letters"].get(number)
    return row if row is not None and row["USER_ID"] == call.user_id else None


def _send(call: Call, source: str, failed: str) -> tuple[Row, Row | None]:
    """(values of the new letter, the letter of the parameter `source`). `failed`: the word of what else is wrong."""
    names = dict.fromkeys((source, "from", "to", "subject", "body"))
    lacking = [name for name in names if call.params.get(name) in (None, "", [])]
    if lacking:
        raise required(*lacking)
    number = dto.whole(call.params, source) if source != "from" else 0
    sender, subject, body = (dto.text(call.params, name) for name in ("from", "subject", "body"))
    to, cc, bcc = (_addresses(call, name) for name in ("to", "cc", "bcc"))
    if not to:
        raise invalid(("to", "NO_RECIPIENTS"))
    original = _letter(call, number) if number else None
    if (source != "from" and original is None) or (
        letters.parted(sender)[0].casefold() != (call.user["EMAIL"] or "").casefold()
    ):
        raise invalid((source, failed))
    return {"TO": to, "CC": cc, "BCC": bcc, "SUBJECT": subject, "BODY": body}, original


def _sent(call: Call, values: Row) -> Row:
    row = letters.send(call.portal, call.user, values, call.actor)
    return {"success": True, "to": list(row["TO"])}


@method("mail.message.send", scope="mail", version=3, writes=True, params=_SENDING)
def send(call: Call) -> Row:
    values, _ = _send(call, "from", "MESSAGE_SEND_FAILED")
    return _sent(call, values)


@method("mail.message.reply", scope="mail", version=3, writes=True, params=f"replyToMessageId! {_SENDING}")
def reply(call: Call) -> Row:
    values, original = _send(call, "replyToMessageId", "MESSAGE_REPLY_FAILED")
    return _sent(call, values | ({"THREAD": original["THREAD"]} if original is not None else {}))


@method("mail.message.forward", scope="mail", version=3, writes=True, params=f"forwardMessageId! {_SENDING}")
def forward(call: Call) -> Row:
    values, original = _send(call, "forwardMessageId", "MESSAGE_FORWARD_FAILED")
    if original is not None:
        # [verify]: how a portal sets the forwarded letter under the new text is written nowhere.
        at = datetime.fromtimestamp(original["AT"], call.portal.zone())
        quoted = letters.plain_text(original["BODY"]).replace("\n", "\n> ")
        values["BODY"] += f"\n\n{at:%d.%m.%Y %H:%M}, {original['FROM']}, {original['SUBJECT']}:\n> {quoted}"
        values["FILES"] = list(original["FILES"])
    return _sent(call, values)


# --- moving -----------------------------------------------------------------------------------------------------------


@method("mail.message.movetofolder", scope="mail", version=3, writes=True, params="messageIds! action! folder")
def move_to_folder(call: Call) -> Row:
    lacking = [name for name in ("messageIds", "action") if call.params.get(name) in (None, "", [])]
    if lacking:
        raise required(*lacking)
    numbers, action = call.params["messageIds"], dto.text(call.params, "action")
    if not isinstance(numbers, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in numbers):
        raise dto.typed("messageIds", "array")
    if action not in ("move", "spam", "delete"):
        raise invalid(("action", "The `action` parameter must be `move`, `spam`, or `delete`"))
    folder: str | None = letters.SPAM if action == "spam" else letters.TRASH
    if action == "move":
        name = call.params.get("folder")
        if name in (None, ""):
            raise invalid(("folder", "The `folder` parameter is required when `action=move`"))
        folder = letters.folder_of(dto.text(call.params, "folder"))
    found = [row for row in (_letter(call, number) for number in dict.fromkeys(numbers)) if row is not None]
    if not found:
        raise invalid(("messageIds", "No accessible messages found"))
    if len({row["FOLDER"] for row in found}) > 1:
        raise invalid(("messageIds", "Select emails from a single folder"))
    if folder is None:
        # [verify]: the page wants an existing folder and names no answer for another one.
        raise invalid(("folder", f"Folder `{call.params['folder']}` not found"))
    for row in found:
        letters.move(call.portal, row, folder, call.actor)
    return {"success": True, "movedCount": len(found), "action": action}


# --- what is made of a letter -----------------------------------------------------------------------------------------


def _source(call: Call, *more: str) -> Row:
    """The letter of `messageId`; the other required parameters are there as well."""
    names = ("messageId", *more)
    lacking = [name for name in names if call.params.get(name) in (None, "")]
    value = call.params.get("messageId")
    if not lacking and isinstance(value, int) and value <= 0:
        lacking = ["messageId"]
    if lacking:
        raise required(*lacking)
    row = _letter(call, dto.whole(call.params, "messageId"))
    if row is None:
        raise invalid(("messageId", _GONE))
    return row


def _text(call: Call, name: str) -> str:
    return dto.text(call.params, name).strip() if call.params.get(name) is not None else ""


def _title(row: Row, given: str = "") -> str:
    return given or row["SUBJECT"].strip() or f"Письмо № {row['ID']}"


@method("mail.message.createtask", scope="mail", version=3, writes=True,
        params="messageId! title responsibleId description")  # fmt: skip
def create_task(call: Call) -> Row:
    row = _source(call)
    title, description = _title(row, _text(call, "title")), _text(call, "description")
    given = call.params.get("responsibleId")
    responsible = dto.whole(call.params, "responsibleId") if given is not None else call.user_id
    values = {
        "TITLE": title, "DESCRIPTION": description, "RESPONSIBLE_ID": responsible, "UF_MAIL_MESSAGE": row["ID"],
    }  # fmt: skip
    try:
        task = tasks.create(call.portal, values, call.actor)
    except tasks.TaskError:
        # [verify]: the page names no field for this, so the answer has none.
        raise invalid(("", "Failed to create task")) from None
    letters.bind(row, "task", task["ID"])
    return {"success": True, "taskId": task["ID"], "messageId": row["ID"]}


def _moment(call: Call, name: str, zone: str) -> float:
    value = dto.text(call.params, name)
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", value, re.ASCII):
            raise ValueError(name)
        at = datetime.fromisoformat(value)
    except ValueError:
        raise invalid((name, "Invalid date format")) from None
    return at.replace(tzinfo=call.portal.zone(zone)).timestamp()


@method("mail.message.createcalendarevent", scope="mail", version=3, writes=True,
        params="messageId! dateFrom! dateTo! name description")  # fmt: skip
def create_calendar_event(call: Call) -> Row:
    row = _source(call, "dateFrom", "dateTo")
    zone = entries.zone_of(call.portal, call.user)
    low, high = _moment(call, "dateFrom", zone), _moment(call, "dateTo", zone)
    if high < low:
        raise invalid(("", "Failed to create calendar event"))
    link = f"{call.portal.url}/mail/message/{row['ID']}"
    entry = entries.create(
        call.portal,
        {
            "CAL_TYPE": "user", "OWNER_ID": call.user_id, "NAME": _title(row, _text(call, "name")), "FROM": low,
            "TO": high, "TZ": zone, "DESCRIPTION": _text(call, "description") or f"Письмо: {link}",
        },
        call.actor,
    )  # fmt: skip
    letters.bind(row, "calendarEvent", entry["ID"])
    return {"success": True, "eventId": entry["ID"], "messageId": row["ID"]}


@method("mail.message.createchat", scope="mail", version=3, writes=True, params="messageId!")
def create_chat(call: Call) -> Row:
    row = _source(call)
    chat = call.portal["chats"].first(ENTITY_TYPE="MAIL", ENTITY_ID=str(row["ID"]))
    existing = chat is not None
    if chat is None:
        chat = new_chat(call, "C", _title(row), [call.user_id], ENTITY_TYPE="MAIL", ENTITY_ID=str(row["ID"]))
        say(call, chat["ID"], f"{row['SUBJECT']}\n{letters.plain_text(row['BODY'])}".strip())
        call.portal.effect("create", "chat", chat["ID"], call.user_id, "rest", members=chat["MEMBERS"])
        letters.bind(row, "chat", chat["ID"])
    elif call.user_id not in chat["MEMBERS"]:
        chat["MEMBERS"] = [*chat["MEMBERS"], call.user_id]
    return {"success": True, "chatId": chat["ID"], "messageId": row["ID"], "existing": existing}


@method("mail.message.createfeedpost", scope="mail", version=3, writes=True, params="messageId! title")
def create_feed_post(call: Call) -> Row:
    row, portal = _source(call), call.portal
    post = portal["blog_posts"].add(
        {
            "TITLE": _title(row, _text(call, "title")), "DETAIL_TEXT": f"Письмо: {portal.url}/mail/message/{row['ID']}",
            "AUTHOR_ID": call.user_id, "DEST": ["UA"], "DATE_PUBLISH": portal.now(), "UF_MAIL_MESSAGE": row["ID"],
        }
    )  # fmt: skip
    portal.effect("create", "blog post", post["ID"], call.user_id, "rest", title=post["TITLE"])
    fields = {"FIELDS": {"POST_ID": post["ID"]}}
    delivery.emit(portal, "ONLIVEFEEDPOSTADD", fields, call.actor, entity=f"blog post {post['ID']}")
    letters.bind(row, "blogPost", post["ID"])
    return {"success": True, "postId": post["ID"], "messageId": row["ID"]}


# --- CRM --------------------------------------------------------------------------------------------------------------


@method("mail.message.createcrmactivity", scope="mail", version=3, writes=True, params="messageId!")
def create_crm_activity(call: Call) -> bool:
    row, portal = _source(call), call.portal
    if letters.activity(portal, row) is not None:
        # [verify]: the page does not say what a letter gets that is in CRM already.
        return True
    others = [letters.parted(one)[0] for one in ([row["FROM"]] if row["INCOMING"] else [*row["TO"], *row["CC"]])]
    clients = [one for one in others if crm.is_email(one) and letters.colleague(portal, one) is None]
    if not clients:
        # [verify]: a letter between colleagues has no client for whom CRM could keep it.
        raise invalid(("messageId", "Please try adding the email to the CRM a little later"))
    owner, _ = letters.client_of(portal, clients[0], row["SUBJECT"], call.user_id, call.actor, user=call.user)
    values = {
        "SUBJECT": row["SUBJECT"], "DESCRIPTION": row["BODY"], "RESPONSIBLE_ID": call.user_id, "START_TIME": row["AT"],
        "END_TIME": row["AT"], "FILES": list(row["FILES"]),
    }  # fmt: skip
    made = letters.add_activity(portal, owner, clients[0], row["INCOMING"], values, call.actor)
    row["ACTIVITY_ID"] = made["ID"]
    return True


@method("mail.message.removecrmactivity", scope="mail", version=3, writes=True, params="messageId!")
def remove_crm_activity(call: Call) -> bool:
    row, portal = _source(call), call.portal
    linked = letters.activity(portal, row)
    if linked is None:
        return True
    kind = linked["OWNER_TYPE_ID"]
    item = item_of(portal, kind, linked["OWNER_ID"])
    if item is not None and not crm.can_read(call.user, kind, item):
        raise invalid(("messageId", "Access denied: no access to CRM"))
    if item is not None and not crm.can_change(call.user, kind, item):
        raise invalid(("messageId", "Access denied: cannot delete CRM activity"))
    portal["activities"].remove(linked["ID"])
    portal.effect("delete", "activity", linked["ID"], call.user_id, "rest")
    fields = {"FIELDS": {"ID": linked["ID"]}}
    delivery.emit(portal, "ONCRMACTIVITYDELETE", fields, call.actor, entity=f"activity {linked['ID']}")
    return True
