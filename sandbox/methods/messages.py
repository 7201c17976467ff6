"""Notifications and chat messages (api-reference/chats)."""

from __future__ import annotations

import json

from sandbox.method import Call, RestError, as_int, method, yes

_ATTACH_LIMIT = 60_000


def check_attach(call: Call) -> None:
    """Refuse an ATTACH that is no map or list, or is too large."""
    value = call.get("ATTACH")
    if value in (None, ""):
        return
    if not isinstance(value, (list, dict)):
        raise RestError("ATTACH_ERROR", "Incorrect attach params", 400)
    if len(json.dumps(value, ensure_ascii=False)) > _ATTACH_LIMIT:
        raise RestError("ATTACH_OVERSIZE", "You have exceeded the maximum allowable size of attach", 400)


def _notify(call: Call, *, system: bool) -> int:
    number = call.integer("USER_ID")
    if number <= 0:
        raise RestError("USER_ID_EMPTY", "User ID can't be empty", 400)
    text = call.text("MESSAGE")
    if not text.strip():
        raise RestError("MESSAGE_EMPTY", "Message can't be empty", 400)
    check_attach(call)
    if call.portal.user(number) is None:
        raise RestError("USER_NOT_FOUND", "User not found", 400)
    table = call.portal["notices"]
    tag = call.text("TAG")
    if tag:
        # One notice of a tag for a person: the older one gives way.
        for row in list(table.where(TAG=tag, OWNER=call.owner, USER_ID=number)):
            table.remove(row["ID"])
    row = table.add(
        {
            "USER_ID": number, "FROM_USER_ID": 0 if system else call.user_id, "MESSAGE": text,
            "MESSAGE_OUT": call.text("MESSAGE_OUT"),
            "TAG": tag, "SUB_TAG": call.text("SUB_TAG"), "ATTACH": call.get("ATTACH"), "OWNER": call.owner,
            "AT": call.portal.now(),
        }
    )  # fmt: skip
    call.portal.effect("create", "notice", row["ID"], call.user_id, "rest", to=number)
    return int(row["ID"])


@method(
    "im.notify.personal.add",
    scope="im",
    params="USER_ID MESSAGE MESSAGE_OUT TAG SUB_TAG ATTACH CLIENT_ID",
    writes=True,
    cost=(0.03, 0.12),
)
def notify_personal(call: Call) -> int:
    return _notify(call, system=False)


@method(
    "im.notify.system.add",
    scope="im",
    params="USER_ID MESSAGE MESSAGE_OUT TAG SUB_TAG ATTACH CLIENT_ID",
    writes=True,
    cost=(0.03, 0.12),
)
def notify_system(call: Call) -> int:
    return _notify(call, system=True)


@method(
    "im.notify",
    scope="im",
    params="USER_ID TYPE MESSAGE MESSAGE_OUT TAG SUB_TAG ATTACH CLIENT_ID",
    writes=True,
    cost=(0.03, 0.12),
)
def notify(call: Call) -> int:
    return _notify(call, system=call.text("TYPE").upper() == "SYSTEM")


@method(
    "im.message.add",
    scope="im",
    params="DIALOG_ID MESSAGE ATTACH KEYBOARD MENU SYSTEM URL_PREVIEW REPLY_ID",
    writes=True,
    cost=(0.03, 0.12),
)
def message_add(call: Call) -> int:
    dialog = call.text("DIALOG_ID")
    text = call.text("MESSAGE")
    if not dialog:
        raise RestError("USER_ID_EMPTY", "User ID can't be empty", 400)
    if not text.strip() and not call.get("ATTACH"):
        raise RestError("MESSAGE_EMPTY", "Message can't be empty", 400)
    check_attach(call)
    chat = as_int(dialog.removeprefix("chat")) if dialog.startswith("chat") else None
    if chat is not None:
        room = call.portal["chats"].get(chat)
        if call.portal["tasks"].first(CHAT_ID=chat) is None and room is None:
            raise RestError("CHAT_ID", "Error creating message", 400)
        if room is not None and call.user_id not in room["MEMBERS"]:
            raise RestError("ACCESS_ERROR", "Action unavailable", 400)
    else:
        number = as_int(dialog)
        if number is None or number <= 0:
            raise RestError("USER_ID_EMPTY", "User ID can't be empty", 400)
        if call.portal.user(number) is None:
            raise RestError("USER_NOT_FOUND", "User not found", 400)
    for name, code in (("KEYBOARD", "KEYBOARD_ERROR"), ("MENU", "MENU_ERROR")):
        if call.get(name) not in (None, "") and not isinstance(call.get(name), (list, dict)):
            raise RestError(code, f"Incorrect {name.lower()} params", 400)
    row = call.portal["messages"].add(
        {
            "DIALOG_ID": dialog, "FROM_USER_ID": call.user_id, "MESSAGE": text, "ATTACH": call.get("ATTACH"),
            "KEYBOARD": call.get("KEYBOARD"), "SYSTEM": yes(call.get("SYSTEM")), "AT": call.portal.now(),
        }
    )  # fmt: skip
    call.portal.effect("create", "message", row["ID"], call.user_id, "rest", to=dialog)
    return int(row["ID"])
