"""What people do with messages and notices: a thing made of a message, a bot's command, an answer to a notice.

api-reference/chats: messages/im-message-share, im-message-command, notifications/im-notify-answer, im-notify-confirm.
Bots come by a control, and so do the notices of modules that wait for an answer or a button: REST makes neither here.
"""

from __future__ import annotations

from sandbox import delivery, entries, tasks, tokens
from sandbox.method import Call, RestError, Row, as_int, method
from sandbox.methods.chats import Dialog, dialog, existing, new_chat, say

HOUR = 3600.0
SENT = "Your response has been successfully sent."
ANSWERS = {"Y": "Invitation accepted", "N": "Invitation declined"}


# --- a thing made of a message ----------------------------------------------------------------------------------------


def _params() -> RestError:
    return RestError("PARAMS_ERROR", "Incorrect params", 400)


def _title(row: Row) -> str:
    lines = row["MESSAGE"].strip().splitlines()
    return lines[0][:250] if lines else f"Сообщение {row['ID']}"


def _others(call: Call, found: Dialog) -> list[int]:
    return [number for number in found.members if number != call.user_id]


def _chat(call: Call, row: Row, found: Dialog) -> None:
    made = new_chat(call, "C", _title(row), [call.user_id, *_others(call, found)])
    say(call, made["ID"], row["MESSAGE"] or _title(row))
    call.portal.effect("create", "chat", made["ID"], call.user_id, "rest", members=made["MEMBERS"], message=row["ID"])


def _task(call: Call, row: Row, found: Dialog) -> None:
    """[verify] The page does not name the people of the task: its maker does it, the others of the dialog watch."""
    values = {"TITLE": _title(row), "DESCRIPTION": row["MESSAGE"], "RESPONSIBLE_ID": call.user_id}
    tasks.create(call.portal, {**values, "AUDITORS": _others(call, found)}, call.actor)


def _entry(call: Call, row: Row, found: Dialog) -> None:
    """An hour of the maker's calendar from the next whole one on, to which the dialog is invited."""
    start = (call.portal.now() // HOUR + 1) * HOUR
    others = _others(call, found)
    values: Row = {
        "CAL_TYPE": "user", "OWNER_ID": call.user_id, "NAME": _title(row), "DESCRIPTION": row["MESSAGE"],
        "FROM": start, "TO": start + HOUR, "TZ": entries.zone_of(call.portal, call.user), "IS_MEETING": bool(others),
        "ATTENDEES": [call.user_id, *others] if others else [],
    }  # fmt: skip
    entries.create(call.portal, values, call.actor)


def _post(call: Call, row: Row, found: Dialog) -> None:
    """The feed itself is not served: the post is kept for the ledger."""
    people = [call.user_id, *_others(call, found)]
    made = call.portal["posts"].add({"AUTHOR_ID": call.user_id, "TEXT": row["MESSAGE"], "TO": people})
    call.portal.effect("create", "post", made["ID"], call.user_id, "rest", message=row["ID"], to=people)


_MAKERS = {"CHAT": _chat, "TASK": _task, "POST": _post, "CALEND": _entry}


@method("im.message.share", scope="im", params="MESSAGE_ID DIALOG_ID TYPE", writes=True)
def message_share(call: Call) -> bool:
    row, own = existing(call)
    found = dialog(call)
    maker = _MAKERS.get(call.text("TYPE").upper())
    if maker is None or found.chat_id != own.chat_id:
        raise _params()
    maker(call, row, found)
    return True


# --- commands of bots -------------------------------------------------------------------------------------------------


@method("im.message.command", scope="im", params="MESSAGE_ID BOT_ID COMMAND COMMAND_PARAMS", writes=True)
def message_command(call: Call) -> bool:
    """A press of a bot's button under a message: ONIMCOMMANDADD goes to the address of the command."""
    row, found = existing(call)
    bot = call.portal["bots"].first(USER_ID=call.integer("BOT_ID"))
    if bot is None:
        raise RestError("BOT_ID_ERROR", "Bot ID can't be empty", 400)
    word = call.text("COMMAND").strip().removeprefix("/")
    if not word:
        raise RestError("COMMAND_ERROR", "Command can't be empty", 400)
    command = call.portal["bot_commands"].first(BOT_ID=bot["USER_ID"], COMMAND=word)
    here = command is not None and (command["COMMON"] == "Y" or bot["USER_ID"] in found.members)
    if command is None or not here or isinstance(call.get("COMMAND_PARAMS"), (dict, list)):
        raise _params()
    _send_command(call, bot, command, row, found)
    return True


def _send_command(call: Call, bot: Row, command: Row, row: Row, found: Dialog) -> None:
    portal, user, hops = call.portal, call.user, call.hops - 1
    kind = "P" if found.other is not None else (found.row or {"TYPE": "X"})["TYPE"]
    told = {
        "BOT_ID": bot["USER_ID"], "BOT_CODE": bot["CODE"], "COMMAND": command["COMMAND"], "COMMAND_ID": command["ID"],
        "COMMAND_PARAMS": call.text("COMMAND_PARAMS"), "COMMAND_CONTEXT": "KEYBOARD", "MESSAGE_ID": row["ID"],
    }  # fmt: skip
    params: Row = {
        "MESSAGE": row["MESSAGE"], "TEMPLATE_ID": "", "MESSAGE_TYPE": kind, "FROM_USER_ID": call.user_id,
        "DIALOG_ID": str(found.other["ID"]) if found.other is not None else f"chat{found.chat_id}",
        "TO_CHAT_ID": found.chat_id, "AUTHOR_ID": row["FROM_USER_ID"], "SYSTEM": "Y" if row["SYSTEM"] else "N",
        "MESSAGE_ID": row["ID"], "CHAT_TYPE": kind, "LANGUAGE": portal.settings.language,
    }  # fmt: skip
    if found.other is None:
        chat = found.row or {"TITLE": (found.task or {})["TITLE"], "OWNER_ID": (found.task or {})["CREATED_BY"]}
        params |= {
            "CHAT_ID": found.chat_id, "CHAT_TITLE": chat["TITLE"], "CHAT_AUTHOR_ID": chat["OWNER_ID"],
            "BOT_IN_CHAT": {
                str(one["USER_ID"]): one["USER_ID"] for one in portal["bots"] if one["USER_ID"] in found.members
            },
        }  # fmt: skip
    else:
        params["TO_USER_ID"] = found.other["ID"]
    person = {"ID": user["ID"], "NAME": f"{user['NAME']} {user['LAST_NAME']}", "FIRST_NAME": user["NAME"],
        "LAST_NAME": user["LAST_NAME"], "GENDER": user["PERSONAL_GENDER"] or "M"}  # fmt: skip

    def fields() -> Row | None:
        application = tokens.application_of(portal, bot["CLIENT_ID"])
        if application is None or not delivery.live(application):
            return None
        own = delivery.auth_block(portal, application, portal.user(bot["USER_ID"]), hops=hops, refresh=True)
        own |= {"client_id": application["CLIENT_ID"]}
        return {
            "event": "ONIMCOMMANDADD", "event_handler_id": command["ID"],
            "data": {"COMMAND": {str(command["ID"]): {**own, "AUTH": own, **told}}, "PARAMS": params, "USER": person},
            "ts": int(portal.now()), "auth": delivery.auth_block(portal, application, user, hops=hops),
        }  # fmt: skip

    delivery.send(
        portal, "event", command["HANDLER"], fields, event="ONIMCOMMANDADD", entity=f"command {command['COMMAND']}"
    )


# --- answers to notices -----------------------------------------------------------------------------------------------


def _notice(call: Call) -> Row | None:
    """The caller's own notice of that id, or None."""
    number = call.integer("NOTIFY_ID")
    if number <= 0:
        raise RestError("ID_ERROR", "Notification ID can't be empty", 400)
    row = call.portal["notices"].get(number)
    return row if row is not None and row["USER_ID"] == call.user_id else None


@method("im.notify.answer", scope="im", params="NOTIFY_ID ANSWER_TEXT", writes=True)
def notify_answer(call: Call) -> Row:
    """A notice that no module waits to be answered has no handler: the documented `false`."""
    row = _notice(call)
    text = call.text("ANSWER_TEXT")
    if not text.strip():
        raise RestError("ANSWER_TEXT_ERROR", "ANSWER_TEXT can't be empty", 400)
    if row is None or not row.get("ANSWER"):
        return {"result_message": False}
    row["READ"] = True
    call.portal.effect("answer", "notice", row["ID"], call.user_id, "rest", text=text)
    return {"result_message": [row["ANSWER"]]}


@method("im.notify.confirm", scope="im", params="NOTIFY_ID NOTIFY_VALUE", writes=True)
def notify_confirm(call: Call) -> Row:
    """The notice goes with the choice; that of an invitation answers it."""
    row = _notice(call)
    value = call.text("NOTIFY_VALUE")
    if not value:
        raise RestError("NOTIFY_VALUE_ERROR", "Notification Value can't be empty", 400)
    buttons = row.get("BUTTONS") or [] if row is not None else []
    button = next((one for one in buttons if one["value"] == value), None)
    if row is None or button is None:
        return {"result_message": False}
    event = call.portal["calendar"].get(as_int(row.get("EVENT_ID")))
    if event is not None:
        event.setdefault("ANSWERS", {})[str(call.user_id)] = value
        call.portal.effect("update", "calendar event", event["ID"], call.user_id, "rest", answer=value)
    call.portal["notices"].remove(row["ID"])
    call.portal.effect("confirm", "notice", row["ID"], call.user_id, "rest", value=value)
    return {"result_message": [button["result"]]}
