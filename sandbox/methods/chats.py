"""Chats, dialogs, recent ones, people and notices of the messenger (api-reference/chats).

A dialog is a chat ("chat12", also that of a task) or a person's number. Messages lie in portal["messages"] under the
DIALOG_ID with which they were sent; what a person has read, pinned, muted or hidden lies in portal["im_marks"].
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sandbox import chat_disk
from sandbox.chat_disk import task_members
from sandbox.filters import to_time
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes
from sandbox.methods.messages import check_attach

FIRST_CHAT = 100_001
COLORS = {"RED": "#df532d", "GREEN": "#64a513", "MINT": "#4ba984", "LIGHT_BLUE": "#4ba5c3", "DARK_BLUE": "#3e99ce",
    "PURPLE": "#8474c8", "AQUA": "#1eb4aa", "PINK": "#f76187", "LIME": "#58cc47", "BROWN": "#ab7761",
    "AZURE": "#29619b", "KHAKI": "#728f7a", "SAND": "#ba9c7b", "MARENGO": "#595e62", "GRAY": "#75838f",
    "GRAPHITE": "#474747"}  # fmt: skip
STATUSES = ("online", "dnd", "away", "break")


@dataclass(slots=True)
class Dialog:
    """One dialog from the side of the caller: its number as a chat, its people, the chat's record or None."""

    key: str
    chat_id: int
    members: list[int]
    row: Row | None
    task: Row | None = None
    other: Row | None = None


def _empty() -> RestError:
    return RestError("DIALOG_ID_EMPTY", "Dialog ID can't be empty", 400)


def _no_access() -> RestError:
    return RestError("ACCESS_ERROR", "You do not have access to the specified dialog", 403)


def _chat_number(text: str) -> int | None:
    return as_int(text[4:]) if text[:4].lower() == "chat" else None


def by_chat(call: Call, number: int | None) -> Dialog | None:
    """The chat of that number with its people, or None; the caller need not be one of them."""
    row = call.portal["chats"].get(number)
    if row is not None and row["TYPE"] == "P":
        other = next((one for one in row["MEMBERS"] if one != call.user_id), call.user_id)
        return Dialog(row["KEY"], row["ID"], row["MEMBERS"], row, other=call.portal.user(other))
    if row is not None:
        return Dialog(f"chat{row['ID']}", row["ID"], row["MEMBERS"], row)
    task = call.portal["tasks"].first(CHAT_ID=number) if number else None
    if task is not None:
        return Dialog(f"chat{number}", task["CHAT_ID"], task_members(task), None, task)
    return None


def private(call: Call, other: Row) -> Dialog:
    """The dialog of the caller with that person; its chat is made on first use."""
    pair = sorted({call.user_id, other["ID"]})
    key = f"u{pair[0]}-{pair[-1]}"
    row = call.portal["chats"].first(KEY=key)
    if row is None:
        row = new_chat(call, "P", "", pair, KEY=key)
    return Dialog(key, row["ID"], pair, row, other=other)


def dialog(call: Call, name: str = "DIALOG_ID", *, refuse: bool = True) -> Dialog:
    """The dialog of that parameter; DIALOG_ID_EMPTY for what is none, ACCESS_ERROR for a foreign one."""
    text = call.text(name)
    number = _chat_number(text)
    if number is None:
        other = call.portal.user(as_int(text))
        if other is None:
            if as_int(text) is not None and (as_int(text) or 0) > 0:
                raise _no_access()
            raise _empty()
        return private(call, other)
    found = by_chat(call, number)
    if found is None or (refuse and call.user_id not in found.members):
        raise _no_access()
    return found


def new_chat(call: Call, kind: str, title: str, members: list[int], **facts: Any) -> Row:
    """A new chat of the caller; its kind is P (private), C (closed) or O (open)."""
    table = call.portal["chats"]
    row: Row = {
        "TYPE": kind, "TITLE": title, "DESCRIPTION": "", "COLOR": "#3e99ce", "OWNER_ID": call.user_id, "KEY": "",
        "MEMBERS": members, "ENTITY_TYPE": "", "ENTITY_ID": "", "AVATAR": "", "CREATED": call.portal.now(), **facts,
    }  # fmt: skip
    if not table.last:
        row["ID"] = FIRST_CHAT
    return table.add(row)


def messages_of(call: Call, found: Dialog) -> list[Row]:
    """The dialog's messages, oldest first."""
    rows = call.portal["messages"]
    if found.other is None:
        return list(rows.where(DIALOG_ID=f"chat{found.chat_id}"))
    pair = set(found.members)
    return [
        row
        for row in rows
        if not row["DIALOG_ID"].startswith("chat") and {row["FROM_USER_ID"], as_int(row["DIALOG_ID"])} == pair
    ]


def say(call: Call, chat_id: int, text: str, *, system: bool = False) -> Row:
    """A message of the caller, or of the system, in that chat."""
    return call.portal["messages"].add(
        {
            "DIALOG_ID": f"chat{chat_id}", "FROM_USER_ID": 0 if system else call.user_id, "MESSAGE": text,
            "ATTACH": None, "KEYBOARD": None, "SYSTEM": system, "AT": call.portal.now(),
        }
    )  # fmt: skip


# --- marks ------------------------------------------------------------------------------------------------------------


def _mark(call: Call, key: str) -> Row:
    table = call.portal["im_marks"]
    return table.first(USER_ID=call.user_id, KEY=key) or table.add(
        {"USER_ID": call.user_id, "KEY": key, "READ": 0, "PINNED": False, "HIDDEN": False, "MUTED": False,
            "UNREAD": False, "SEARCHED": 0.0}
    )  # fmt: skip


def _counter(call: Call, found: Dialog, rows: list[Row]) -> int:
    read = _mark(call, found.key)["READ"]
    return sum(1 for row in rows if row["ID"] > read and row["FROM_USER_ID"] != call.user_id)


# --- how things are printed -------------------------------------------------------------------------------------------


def as_person(call: Call, user: Row) -> Row:
    """A person as the messenger prints him."""
    phones = {"personal_mobile": user["PERSONAL_MOBILE"], "work_phone": user["WORK_PHONE"],
        "inner_phone": user["UF_PHONE_INNER"]}  # fmt: skip
    return {
        "id": user["ID"], "active": bool(user["ACTIVE"]), "name": f"{user['NAME']} {user['LAST_NAME']}",
        "first_name": user["NAME"], "last_name": user["LAST_NAME"], "work_position": user["WORK_POSITION"] or "",
        "color": list(COLORS.values())[user["ID"] % len(COLORS)], "avatar": "", "avatar_hr": "",
        "gender": user["PERSONAL_GENDER"] or "M", "birthday": user["PERSONAL_BIRTHDAY"] or "",
        "extranet": user["USER_TYPE"] not in ("employee", "bot"), "network": False, "bot": user["USER_TYPE"] == "bot",
        "connector": False,
        "external_auth_id": "socservices", "status": user.get("IM_STATUS", "online"),
        "idle": call.portal.iso(user["IM_IDLE"]) if user.get("IM_IDLE") else False,
        "last_activity_date": call.portal.iso(user["LAST_ACTIVITY_DATE"]), "mobile_last_date": False,
        "desktop_last_date": False, "absent": call.portal.iso(user["ABSENT"]["to"]) if user["ABSENT"] else False,
        "departments": user["UF_DEPARTMENT"], "phones": {key: value for key, value in phones.items() if value} or False,
        "bot_data": None, "type": "user", "website": user["PERSONAL_WWW"] or "", "email": user["EMAIL"] or "",
    }  # fmt: skip


def camel(entry: Row) -> Row:
    """The same map with keys in camelCase."""

    def name(key: str) -> str:
        head, *rest = key.split("_")
        return head + "".join(part.capitalize() for part in rest)

    return {name(key): value for key, value in entry.items()}


def _message(call: Call, found: Dialog, row: Row) -> Row:
    params: Row = {"LIKE": row["LIKES"]} if row.get("LIKES") else {}
    files = chat_disk.files_of(call.portal, row)
    if files:
        params["FILE_ID"] = [one["ID"] for one in files]
    return {
        "id": row["ID"], "chat_id": found.chat_id, "author_id": row["FROM_USER_ID"],
        "date": call.portal.iso(row["AT"]), "text": row["MESSAGE"],
        "unread": row["FROM_USER_ID"] != call.user_id and row["ID"] > _mark(call, found.key)["READ"],
        "uuid": f"00000000-0000-4000-8000-{row['ID']:012d}", "replaces": [],
        "params": params or [], "disappearing_date": None,
    }  # fmt: skip


_PERMISSIONS = {"manage_users_add": "member", "manage_users_delete": "manager", "manage_ui": "member",
    "manage_settings": "owner", "manage_messages": "member", "can_post": "member"}  # fmt: skip


def as_chat(call: Call, found: Dialog, rows: list[Row]) -> Row:
    """A chat as im.dialog.get prints it."""
    row, task, other = found.row or {}, found.task, found.other
    last, folder = rows[-1]["ID"] if rows else 0, chat_disk.known_folder(call.portal, found.chat_id)
    entity_type, entity_id = row.get("ENTITY_TYPE", ""), row.get("ENTITY_ID", "")
    name, owner, kind = row.get("TITLE", ""), row.get("OWNER_ID", 0), "chat"
    link: Row = {"type": "", "url": "", "id": ""}
    if task is not None:
        entity_type, entity_id, kind = "TASKS_TASK", str(task["ID"]), "tasksTask"
        name, owner = task["TITLE"], task["CREATED_BY"]
        link = {"type": "TASKS", "url": f"/company/personal/user/{call.user_id}/tasks/task/view/{task['ID']}/",
            "id": entity_id}  # fmt: skip
    elif other is not None:
        name, kind = f"{other['NAME']} {other['LAST_NAME']}", "private"
    elif entity_type == "CRM":
        word, _, number = entity_id.partition("|")
        kind, link = "crm", {"type": word, "url": f"/crm/{word.lower()}/details/{number}/", "id": entity_id}
    role = "owner" if owner == call.user_id else "member" if call.user_id in found.members else "guest"
    muted = [one["USER_ID"] for one in call.portal["im_marks"].where(KEY=found.key, MUTED=True)]
    readers = []
    for number in found.members:
        user = call.portal.user(number)
        if user is not None and number != call.user_id:
            mark = call.portal["im_marks"].first(USER_ID=number, KEY=found.key)
            readers.append(
                {"user_id": number, "user_name": f"{user['NAME']} {user['LAST_NAME']}",
                    "message_id": mark["READ"] if mark else 0, "date": None}
            )  # fmt: skip
    return {
        "id": found.chat_id, "parent_chat_id": 0, "parent_message_id": 0, "name": name,
        "description": row.get("DESCRIPTION", ""), "owner": owner, "extranet": False, "contains_collaber": False,
        "avatar": row.get("AVATAR", ""), "color": row.get("COLOR", "#3e99ce"), "type": kind,
        "counter": _counter(call, found, rows), "user_counter": len(found.members), "message_count": len(rows),
        "unread_id": 0,
        "restrictions": {"avatar": task is None, "rename": task is None, "extend": task is None, "call": True,
            "mute": True, "leave": task is None, "leave_owner": False, "send": True, "user_list": True, "path": "",
            "path_title": ""},
        "last_message_id": last, "last_id": last, "marked_id": 0,
        "disk_folder_id": folder["ID"] if folder else 0, "entity_type": entity_type,
        "entity_id": entity_id, "entity_data_1": "", "entity_data_2": "", "entity_data_3": "", "mute_list": muted,
        "date_create": call.portal.iso(row.get("CREATED") or (task["CREATED_DATE"] if task else call.portal.now())),
        "message_type": "X" if task is not None else row.get("TYPE", "C"), "public": "", "role": role,
        "entity_link": link, "text_field_enabled": True, "background_id": None, "permissions": _PERMISSIONS,
        "is_new": False, "readed_list": readers, "manager_list": [owner] if owner else [],
        "last_message_views": {"message_id": last, "first_viewers": [], "count_of_viewers": 0},
        "dialog_id": str(other["ID"]) if other is not None else f"chat{found.chat_id}",
    }  # fmt: skip


# --- chats ------------------------------------------------------------------------------------------------------------


def _people(call: Call, value: Any) -> list[int]:
    found = (call.portal.user(as_int(one)) for one in as_list(value))
    return [user["ID"] for user in found if user is not None]


@method("im.chat.add", scope="im", writes=True, cost=(0.03, 0.12),
        params="USERS TYPE TITLE DESCRIPTION COLOR MESSAGE AVATAR ENTITY_TYPE ENTITY_ID OWNER_ID")  # fmt: skip
def chat_add(call: Call) -> int:
    kind = {"OPEN": "O", "CHAT": "C", "": "C"}.get(call.text("TYPE").upper(), "C")
    members = list(dict.fromkeys([call.user_id, *_people(call, call.get("USERS"))]))
    row = new_chat(
        call, kind, call.text("TITLE") or "Чат", members, DESCRIPTION=call.text("DESCRIPTION"),
        COLOR=COLORS.get(call.text("COLOR").upper(), "#3e99ce"), ENTITY_TYPE=call.text("ENTITY_TYPE"),
        ENTITY_ID=call.text("ENTITY_ID"),
    )  # fmt: skip
    if call.text("MESSAGE"):
        say(call, row["ID"], call.text("MESSAGE"))
    call.portal.effect("create", "chat", row["ID"], call.user_id, "rest", members=members)
    return int(row["ID"])


@method("im.chat.get", scope="im", params="ENTITY_TYPE ENTITY_ID")
def chat_get(call: Call) -> Row | None:
    row = call.portal["chats"].first(ENTITY_TYPE=call.text("ENTITY_TYPE"), ENTITY_ID=call.text("ENTITY_ID"))
    if row is None and call.text("ENTITY_TYPE") == "TASKS_TASK":
        task = call.portal["tasks"].get(as_int(call.get("ENTITY_ID")))
        return {"ID": task["CHAT_ID"]} if task is not None else None
    return {"ID": row["ID"]} if row is not None and call.text("ENTITY_TYPE") else None


def _chat(call: Call, *, member: bool = True) -> Row:
    """The group chat of CHAT_ID (or of DIALOG_ID "chat..")."""
    number = as_int(call.get("CHAT_ID"))
    if number is None and call.get("DIALOG_ID") not in (None, "") and call.get("CHAT_ID") in (None, ""):
        number = _chat_number(call.text("DIALOG_ID"))
        if number is None:
            raise _empty()
    if not number or number <= 0:
        raise RestError("CHAT_ID_EMPTY", "Chat ID can't be empty", 400)
    row = call.portal["chats"].get(number)
    if row is None or row["TYPE"] == "P" or (member and call.user_id not in row["MEMBERS"]):
        raise RestError("ACCESS_ERROR", "Action unavailable", 400)
    return row


@method("im.chat.user.list", scope="im", params="CHAT_ID")
def chat_users(call: Call) -> list[int]:
    return list(_chat(call)["MEMBERS"])


@method("im.chat.user.add", scope="im", params="CHAT_ID USERS HIDE_HISTORY", writes=True)
def chat_user_add(call: Call) -> bool:
    row = _chat(call)
    people = _people(call, call.get("USERS"))
    if not people:
        raise RestError("ACCESS_DENIED_EXTEND", "Insufficient permissions to add participants to the chat", 400)
    row["MEMBERS"] = list(dict.fromkeys([*row["MEMBERS"], *people]))
    call.portal.effect("update", "chat", row["ID"], call.user_id, "rest", members=row["MEMBERS"])
    return True


@method("im.chat.user.delete", scope="im", params="CHAT_ID USER_ID", writes=True)
def chat_user_delete(call: Call) -> bool:
    row = _chat(call)
    number = call.integer("USER_ID")
    if number <= 0:
        raise RestError("USER_ID_EMPTY", "User ID can't be empty", 400)
    if number not in row["MEMBERS"]:
        raise RestError("USER_NOT_FOUND", "The specified user is not in the chat", 400)
    if call.user_id not in (row["OWNER_ID"], number):
        raise RestError("ACCESS_DENIED_KICK", "Insufficient rights to exclude participants from the chat", 400)
    row["MEMBERS"] = [one for one in row["MEMBERS"] if one != number]
    return True


@method("im.chat.leave", scope="im", params="CHAT_ID", writes=True)
def chat_leave(call: Call) -> bool:
    row = _chat(call, member=False)
    if call.user_id not in row["MEMBERS"]:
        raise RestError("ACCESS_DENIED_KICK", "Access denied to kick user from chat", 400)
    row["MEMBERS"] = [one for one in row["MEMBERS"] if one != call.user_id]
    if row["OWNER_ID"] == call.user_id and row["MEMBERS"]:
        row["OWNER_ID"] = row["MEMBERS"][0]
    return True


@method("im.chat.setOwner", scope="im", params="CHAT_ID USER_ID DIALOG_ID", writes=True)
def chat_owner(call: Call) -> bool:
    row = _chat(call)
    number = call.integer("USER_ID")
    if number <= 0:
        raise RestError("USER_ID_EMPTY", "User ID can't be empty", 400)
    if row["OWNER_ID"] != call.user_id or number not in row["MEMBERS"]:
        raise RestError("WRONG_REQUEST", "Change owner can only owner and user must be member in chat", 400)
    row["OWNER_ID"] = number
    return True


@method("im.chat.updateTitle", scope="im", params="CHAT_ID TITLE DIALOG_ID", writes=True)
def chat_title(call: Call) -> bool:
    row = _chat(call)
    if not call.text("TITLE").strip():
        raise RestError("TITLE_EMPTY", "Title can't be empty", 400)
    row["TITLE"] = call.text("TITLE").strip()
    return True


@method("im.chat.updateColor", scope="im", params="CHAT_ID COLOR DIALOG_ID", writes=True)
def chat_color(call: Call) -> bool:
    row = _chat(call)
    color = COLORS.get(call.text("COLOR").upper())
    if color is None:
        raise RestError("WRONG_COLOR", "This color currently unavailable", 400)
    if row["COLOR"] == color:
        raise RestError("WRONG_REQUEST", "This color currently set or chat doesn't exist", 400)
    row["COLOR"] = color
    return True


@method("im.chat.updateAvatar", scope="im", params="CHAT_ID AVATAR DIALOG_ID", writes=True)
def chat_avatar(call: Call) -> bool:
    row = _chat(call)
    head = call.text("AVATAR")[:12]
    if not head.startswith(("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")):
        raise RestError("AVATAR_ERROR", "Avatar incorrect type", 400)
    row["AVATAR"] = f"/upload/im/{row['ID']}/avatar"
    return True


@method("im.chat.mute", scope="im", params="CHAT_ID MUTE DIALOG_ID", writes=True)
def chat_mute(call: Call) -> bool:
    number = call.integer("CHAT_ID") or _chat_number(call.text("DIALOG_ID"))
    if not number:
        raise RestError("CHAT_ID_EMPTY", "Chat ID can't be empty", 400)
    found = by_chat(call, number)
    if found is None or call.user_id not in found.members:
        raise RestError("ACCESS_ERROR", "This chat cannot be muted", 403)
    _mark(call, found.key)["MUTED"] = call.get("MUTE") is None or yes(call.get("MUTE"))
    return True


# --- dialogs ----------------------------------------------------------------------------------------------------------


@method("im.dialog.get", scope="im", params="DIALOG_ID")
def dialog_get(call: Call) -> Row:
    found = dialog(call)
    return as_chat(call, found, messages_of(call, found))


def _number(call: Call, name: str, code: str, text: str) -> int:
    if call.get(name) in (None, ""):
        return 0
    number = as_int(call.get(name))
    if number is None:
        raise RestError(code, text, 400)
    return number


@method("im.dialog.messages.get", scope="im", params="DIALOG_ID LAST_ID FIRST_ID LIMIT")
def dialog_messages(call: Call) -> Row:
    found = dialog(call)
    first = _number(call, "FIRST_ID", "FIRST_ID_STRING", "First ID can't be string")
    last = _number(call, "LAST_ID", "LAST_ID_STRING", "Last ID can't be string")
    limit = max(1, min(call.integer("LIMIT", 20), 50))
    rows = messages_of(call, found)
    if first or call.get("FIRST_ID") not in (None, ""):
        page = [row for row in rows if row["ID"] > first][:limit]
    else:
        page = [row for row in rows if not last or row["ID"] < last][-limit:][::-1]
    return {
        "chat_id": found.chat_id, "messages": [_message(call, found, row) for row in page],
        "users": _authors(call, page), "files": _files(call, found, page),
    }  # fmt: skip


def _files(call: Call, found: Dialog, rows: list[Row]) -> list[Row]:
    files = (one for row in rows for one in chat_disk.files_of(call.portal, row))
    return [chat_disk.shown(call.portal, one, found.chat_id) for one in files]


def _authors(call: Call, rows: list[Row]) -> list[Row]:
    found = (call.portal.user(number) for number in dict.fromkeys(row["FROM_USER_ID"] for row in rows))
    return [as_person(call, user) for user in found if user is not None]


@method("im.dialog.messages.search", scope="im",
        params="CHAT_ID SEARCH_MESSAGE DATE_FROM DATE_TO DATE ORDER LIMIT LAST_ID")  # fmt: skip
def dialog_search(call: Call) -> Row:
    if call.integer("CHAT_ID") <= 0:
        raise RestError("CHAT_ID_EMPTY", "CHAT_ID can't be empty", 400)
    found = by_chat(call, call.integer("CHAT_ID"))
    if found is None or call.user_id not in found.members:
        raise RestError("ACCESS_ERROR", "You do not have access to this chat", 400)
    word, zone = call.text("SEARCH_MESSAGE").casefold(), call.portal.zone()
    low, high = to_time(call.get("DATE_FROM"), zone), to_time(call.get("DATE_TO"), zone)
    day = to_time(call.get("DATE"), zone)
    if day is not None:
        low, high = day - day % 86400, day - day % 86400 + 86400
    rows = [
        row
        for row in messages_of(call, found)
        if word in row["MESSAGE"].casefold()
        and (low is None or row["AT"] >= low)
        and (high is None or row["AT"] <= high)
    ]
    if plain(as_map(call.get("ORDER")).get("ID", "DESC")).upper() != "ASC":
        rows.reverse()
        rows = [row for row in rows if not call.integer("LAST_ID") or row["ID"] < call.integer("LAST_ID")]
    rows = rows[: max(1, min(call.integer("LIMIT", 50), 50))]
    made = []
    for row in rows:
        entry = _message(call, found, row)
        made.append(
            {
                **camel(entry), "chat_id": entry["chat_id"], "author_id": entry["author_id"],
                "isSystem": row["SYSTEM"], "forward": None, "viewedByOthers": False, "block": None,
                "viewed": not entry["unread"], "viewedCount": 0,
            }
        )  # fmt: skip
    return {
        "users": [camel(one) for one in _authors(call, rows)], "files": _files(call, found, rows),
        "additionalMessages": [], "copilot": None,
        "stickers": [], "reactions": [], "tariffRestrictions": {"isHistoryLimitExceeded": False}, "usersShort": [],
        "messages": made,
    }  # fmt: skip


@method("im.dialog.read", scope="im", params="DIALOG_ID MESSAGE_ID", writes=True)
def dialog_read(call: Call) -> Row:
    found = dialog(call)
    rows = messages_of(call, found)
    mark = _mark(call, found.key)
    last = call.integer("MESSAGE_ID") or (rows[-1]["ID"] if rows else 0)
    mark["READ"], mark["UNREAD"] = max(mark["READ"], last), False
    return {
        "dialogId": call.text("DIALOG_ID"), "chatId": found.chat_id, "lastId": mark["READ"],
        "counter": _counter(call, found, rows),
    }  # fmt: skip


@method("im.dialog.unread", scope="im", params="DIALOG_ID MESSAGE_ID", writes=True)
def dialog_unread(call: Call) -> bool:
    if call.integer("MESSAGE_ID") <= 0:
        raise RestError("MESSAGE_ID_ERROR", "Message ID can't be empty", 400)
    _mark(call, dialog(call).key)["READ"] = call.integer("MESSAGE_ID") - 1
    return True


@method("im.dialog.read.all", scope="im", writes=True)
def dialog_read_all(call: Call) -> bool:
    for found in _own(call):
        rows = messages_of(call, found)
        if rows:
            _mark(call, found.key)["READ"] = rows[-1]["ID"]
    return True


@method("im.dialog.writing", scope="im", params="DIALOG_ID", cost=(0.0, 0.01))
def dialog_writing(call: Call) -> bool:
    found = dialog(call)
    call.portal.effect("writing", "dialog", found.chat_id, call.user_id, "rest")
    return True


@method("im.dialog.users.list", scope="im",
        params="DIALOG_ID SKIP_EXTERNAL SKIP_EXTERNAL_EXCEPT_TYPES LIMIT LAST_ID OFFSET")  # fmt: skip
def dialog_users(call: Call) -> Page:
    people = [user for user in (call.portal.user(number) for number in dialog(call).members) if user is not None]
    start, limit = max(0, call.integer("OFFSET")), max(1, min(call.integer("LIMIT", 50), 200))
    page = [as_person(call, user) for user in people if user["ID"] > call.integer("LAST_ID")][start : start + limit]
    return Page(page, len(people))


# --- recent -----------------------------------------------------------------------------------------------------------


def _own(call: Call) -> list[Dialog]:
    """Every dialog in which the caller takes part."""
    found = [by_chat(call, row["ID"]) for row in call.portal["chats"] if call.user_id in row["MEMBERS"]]
    chats = {number for number in (_chat_number(row["DIALOG_ID"]) for row in call.portal["messages"]) if number}
    tasks = [
        by_chat(call, task["CHAT_ID"])
        for task in call.portal["tasks"]
        if task["CHAT_ID"] in chats and call.user_id in task_members(task)
    ]
    partners = {
        row["FROM_USER_ID"] if as_int(row["DIALOG_ID"]) == call.user_id else as_int(row["DIALOG_ID"])
        for row in call.portal["messages"]
        if not row["DIALOG_ID"].startswith("chat") and call.user_id in (row["FROM_USER_ID"], as_int(row["DIALOG_ID"]))
    }
    made = [one for one in (*found, *tasks) if one is not None]
    known = {one.key for one in made}
    for number in partners:
        user = call.portal.user(number)
        one = private(call, user) if user is not None else None
        if one is not None and one.key not in known:
            made.append(one)
    return made


def _recent(call: Call) -> list[Row]:
    made: list[tuple[float, Row]] = []
    for found in _own(call):
        rows = messages_of(call, found)
        mark = _mark(call, found.key)
        if mark["HIDDEN"] or (not rows and found.other is not None):
            continue
        chat = as_chat(call, found, rows)
        last = rows[-1] if rows else None
        at = last["AT"] if last else (found.row or {}).get("CREATED", 0.0)
        if (found.other is not None and yes(call.get("SKIP_DIALOG"))) or (
            found.other is None and yes(call.get("SKIP_CHAT"))
        ):
            continue
        if yes(call.get("UNREAD_ONLY")) and not chat["counter"] and not mark["UNREAD"]:
            continue
        moment = call.portal.iso(at)
        message = {
            "id": last["ID"] if last else 0, "text": last["MESSAGE"] if last else "",
            "file": bool(last and chat_disk.files_of(call.portal, last)),
            "author_id": last["FROM_USER_ID"] if last else 0, "attach": bool(last and last["ATTACH"]),
            "sticker": None, "date": moment, "status": "received", "uuid": None,
        }  # fmt: skip
        entry: Row = {
            "id": found.other["ID"] if found.other else f"chat{found.chat_id}", "chat_id": found.chat_id,
            "type": "user" if found.other else "chat", "avatar": {"url": "", "color": chat["color"]},
            "title": chat["name"], "message": message, "counter": chat["counter"], "last_id": chat["last_id"],
            "pinned": mark["PINNED"], "unread": mark["UNREAD"], "has_reminder": False, "date_update": moment,
            "date_last_activity": moment,
        }  # fmt: skip
        if found.other is not None:
            entry["user"] = as_person(call, found.other)
            entry["chat"] = {name: chat[name] for name in ("text_field_enabled", "background_id", "mute_list")}
        else:
            hidden = ("counter", "message_count", "unread_id", "last_message_id", "last_id", "marked_id",
                "disk_folder_id", "is_new", "readed_list", "last_message_views", "dialog_id",
                "description")  # fmt: skip
            entry["chat"] = {key: value for key, value in chat.items() if key not in hidden}
            entry["chat"]["role"] = chat["role"].upper()
            entry["user"] = {"id": message["author_id"]}
        made.append((at + (1e12 if mark["PINNED"] else 0.0), entry | {"options": []}))
    return [entry for _, entry in sorted(made, key=lambda one: -one[0])]


@method("im.recent.get", scope="im",
        params="SKIP_OPENLINES SKIP_CHAT SKIP_DIALOG LAST_UPDATE ONLY_OPENLINES LAST_SYNC_DATE")  # fmt: skip
def recent_get(call: Call) -> list[Row]:
    since = to_time(call.get("LAST_UPDATE"), call.portal.zone()) or 0.0
    zone = call.portal.zone()
    return [one for one in _recent(call) if (to_time(one["date_update"], zone) or 0.0) >= since]


@method("im.recent.list", scope="im",
        params="SKIP_OPENLINES SKIP_DIALOG SKIP_CHAT LAST_MESSAGE_DATE UNREAD_ONLY OFFSET LIMIT")  # fmt: skip
def recent_list(call: Call) -> Page:
    start, limit = max(0, call.integer("OFFSET")), max(1, min(call.integer("LIMIT", 50), 200))
    zone = call.portal.zone()
    until = to_time(call.get("LAST_MESSAGE_DATE"), zone)
    found = [one for one in _recent(call) if until is None or (to_time(one["message"]["date"], zone) or 0.0) < until]
    more = start + limit < len(found)
    made = {
        "items": found[start : start + limit], "hasMorePages": more, "hasMore": more, "copilot": None,
        "messagesAutoDeleteConfigs": [],
    }  # fmt: skip
    return Page(made, len(found))


def _declare_recent(name: str, mark: str) -> None:
    @method(f"im.recent.{name}", scope="im", params="DIALOG_ID ACTION PIN", writes=True)
    def act(call: Call) -> bool:
        given = call.get("ACTION") if call.get("ACTION") is not None else call.get("PIN")
        _mark(call, dialog(call).key)[mark] = given is None or yes(given)
        return True


_declare_recent("pin", "PINNED")
_declare_recent("unread", "UNREAD")
_declare_recent("hide", "HIDDEN")


@method("im.counters.get", scope="im")
def counters(call: Call) -> Row:
    chats: Row = {}
    muted: Row = {}
    people: Row = {}
    for found in _own(call):
        count = _counter(call, found, messages_of(call, found))
        if not count:
            continue
        if found.other is not None:
            people[str(found.other["ID"])] = count
        else:
            (muted if _mark(call, found.key)["MUTED"] else chats)[str(found.chat_id)] = count
    notices = sum(1 for row in call.portal["notices"].where(USER_ID=call.user_id) if not row.get("READ"))
    own = sum(chats.values()) + sum(people.values())
    return {
        "TYPE": {"ALL": own + notices, "NOTIFY": notices, "CHAT": sum(chats.values()), "LINES": 0,
            "DIALOG": sum(people.values()), "MESSENGER": own},
        "CHAT": chats or [], "CHAT_MUTED": muted or [], "CHAT_UNREAD": [], "LINES": [], "DIALOG": people or [],
        "DIALOG_UNREAD": [],
    }  # fmt: skip


@method("im.revision.get", scope="im", cost=(0.0, 0.01))
def revision(call: Call) -> Row:
    return {"rest": 32, "web": 130, "mobile": 22, "desktop": 6, "im_revision_mobile": 22}


# --- messages that are there ------------------------------------------------------------------------------------------


def existing(call: Call) -> tuple[Row, Dialog]:
    """The message of MESSAGE_ID with its dialog, in which the caller takes part."""
    number = call.integer("MESSAGE_ID")
    row = call.portal["messages"].get(number) if number > 0 else None
    if row is None:
        raise RestError("MESSAGE_ID_ERROR", "Message ID can't be empty", 400)
    chat = _chat_number(row["DIALOG_ID"])
    if chat is not None:
        found = by_chat(call, chat)
    else:
        pair = {row["FROM_USER_ID"], as_int(row["DIALOG_ID"])}
        other = call.portal.user(next((one for one in pair if one != call.user_id), call.user_id))
        found = private(call, other) if call.user_id in pair and other is not None else None
    if found is None or call.user_id not in found.members:
        raise RestError("MESSAGE_ID_ERROR", "Message ID can't be empty", 400)
    return row, found


@method("im.message.update", scope="im", writes=True,
        params="MESSAGE_ID MESSAGE ATTACH KEYBOARD MENU URL_PREVIEW IS_EDITED")  # fmt: skip
def message_update(call: Call) -> bool:
    row, _ = existing(call)
    if row["FROM_USER_ID"] != call.user_id:
        raise RestError("CANT_EDIT_MESSAGE", "Time has expired for modification or you don't have access", 400)
    check_attach(call)
    if call.get("MESSAGE") is not None:
        if not call.text("MESSAGE").strip():
            return _remove(call, row)
        row["MESSAGE"] = call.text("MESSAGE")
    for name in ("ATTACH", "KEYBOARD"):
        if call.get(name) is not None:
            row[name] = None if plain(call.get(name)) == "N" else call.get(name)
    call.portal.effect("update", "message", row["ID"], call.user_id, "rest")
    return True


def _remove(call: Call, row: Row) -> bool:
    call.portal["messages"].remove(row["ID"])
    call.portal.effect("delete", "message", row["ID"], call.user_id, "rest")
    return True


@method("im.message.delete", scope="im", params="MESSAGE_ID", writes=True)
def message_delete(call: Call) -> bool:
    row, found = existing(call)
    owner = found.row is not None and found.row["OWNER_ID"] == call.user_id and found.other is None
    if row["FROM_USER_ID"] != call.user_id and not owner:
        raise RestError("CANT_EDIT_MESSAGE", "Time has expired for modification or you don't have access", 400)
    return _remove(call, row)


@method("im.message.like", scope="im", params="MESSAGE_ID ACTION", writes=True)
def message_like(call: Call) -> bool:
    row, _ = existing(call)
    likes = list(row.get("LIKES") or [])
    action = call.text("ACTION") or "auto"
    on = action == "plus" or (action == "auto" and call.user_id not in likes)
    if on == (call.user_id in likes):
        raise RestError("WITHOUT_CHANGES", "Action completed without changes", 400)
    row["LIKES"] = [*likes, call.user_id] if on else [one for one in likes if one != call.user_id]
    return True


# --- notices ----------------------------------------------------------------------------------------------------------


def _notice(call: Call, row: Row, chat: int) -> Row:
    return {
        "id": row["ID"], "chat_id": chat, "author_id": row["FROM_USER_ID"], "date": call.portal.iso(row["AT"]),
        "notify_type": 3 if row["FROM_USER_ID"] == 0 else 2, "notify_module": "rest", "notify_event": "rest_notify",
        "notify_tag": row["TAG"], "notify_sub_tag": row["SUB_TAG"], "notify_title": "",
        "setting_name": "rest|rest_notify", "text": row["MESSAGE"], "notify_read": "Y" if row.get("READ") else "N",
        **_buttons(row), "params": None,
    }  # fmt: skip


def _buttons(row: Row) -> Row:
    """The keyboard of a notice that waits for a confirmation, and the type of such a notice."""
    keyboard = [{"TITLE": one["title"], "VALUE": one["value"]} for one in row.get("BUTTONS") or ()]
    return {"notify_type": 1, "notify_buttons": json.dumps(keyboard, ensure_ascii=False)} if keyboard else {}


def _notices(call: Call) -> list[Row]:
    return sorted(call.portal["notices"].where(USER_ID=call.user_id), key=lambda row: -row["ID"])


def _last_id(call: Call) -> int:
    return _number(call, "LAST_ID", "LAST_ID_STRING", "Last notification ID can't be string")


@method("im.notify.get", scope="im", params="LAST_ID LAST_TYPE LIMIT CONVERT_TEXT")
def notify_get(call: Call) -> Row:
    if (call.get("LAST_ID") in (None, "")) != (call.get("LAST_TYPE") in (None, "")):
        text = "Parameters LAST_ID and LAST_TYPE should be used together."
        raise RestError("LAST_ID_AND_LAST_TYPE", text, 400)
    last, rows = _last_id(call), _notices(call)
    page = [row for row in rows if not last or row["ID"] < last][: max(1, min(call.integer("LIMIT", 50), 50))]
    chat = private(call, call.user).chat_id
    return {
        "total_count": len(rows), "total_unread_count": sum(not row.get("READ") for row in rows), "chat_id": chat,
        "notifications": [_notice(call, row, chat) for row in page], "users": _authors(call, page),
    }  # fmt: skip


@method("im.notify.history.search", scope="im", params="SEARCH_TEXT SEARCH_TYPE SEARCH_TYPES SEARCH_DATE "
        "SEARCH_DATE_FROM SEARCH_DATE_TO SEARCH_AUTHORS LAST_ID LIMIT CONVERT_TEXT GROUP_TAG")  # fmt: skip
def notify_search(call: Call) -> Row:
    word = call.text("SEARCH_TEXT").casefold()
    others = ("SEARCH_TYPE", "SEARCH_TYPES", "SEARCH_DATE", "SEARCH_DATE_FROM", "SEARCH_DATE_TO", "SEARCH_AUTHORS")
    if len(word) < 3 and all(call.get(name) in (None, "", []) for name in others):
        raise RestError("SEARCH_TEXT_ERROR", "SEARCH_TEXT can't be less than 3 symbols", 400)
    last, zone = _last_id(call), call.portal.zone()
    low, high = to_time(call.get("SEARCH_DATE_FROM"), zone), to_time(call.get("SEARCH_DATE_TO"), zone)
    day = to_time(call.get("SEARCH_DATE"), zone)
    if day is not None:
        low, high = day - day % 86400, day - day % 86400 + 86400
    authors = {as_int(one) for one in call.sequence("SEARCH_AUTHORS")}
    rows = [
        row
        for row in _notices(call)
        if word in row["MESSAGE"].casefold()
        and (low is None or row["AT"] >= low)
        and (high is None or row["AT"] <= high)
        and (not authors or row["FROM_USER_ID"] in authors)
        and (not call.text("GROUP_TAG") or row["TAG"] == call.text("GROUP_TAG"))
    ]
    page = [row for row in rows if not last or row["ID"] < last][: max(1, min(call.integer("LIMIT", 50), 50))]
    chat = private(call, call.user).chat_id
    return {
        "chat_id": chat, "total_results": len(rows), "notifications": [_notice(call, row, chat) for row in page],
        "users": _authors(call, page),
    }  # fmt: skip


@method("im.notify.delete", scope="im", params="ID TAG SUB_TAG CLIENT_ID", writes=True)
def notify_delete(call: Call) -> bool:
    number, tag, sub = call.integer("ID"), call.text("TAG"), call.text("SUB_TAG")
    if number <= 0 and not tag and not sub:
        raise RestError("PARAMS_ERROR", "Incorrect params", 400)
    for row in list(call.portal["notices"]):
        own = row["USER_ID"] == call.user_id if number > 0 else row["OWNER"] == call.owner
        hit = row["ID"] == number if number > 0 else (tag and row["TAG"] == tag) or (sub and row["SUB_TAG"] == sub)
        if own and hit:
            call.portal["notices"].remove(row["ID"])
    return True


@method("im.notify.read", scope="im", params="ID ACTION ONLY_CURRENT", writes=True)
def notify_read(call: Call) -> bool:
    on = call.get("ACTION") is None or yes(call.get("ACTION"))
    for row in _notices(call):
        if row["ID"] == call.integer("ID") or (not yes(call.get("ONLY_CURRENT")) and row["ID"] >= call.integer("ID")):
            row["READ"] = on
    return True


@method("im.notify.read.list", scope="im", params="IDS ACTION", writes=True)
def notify_read_list(call: Call) -> bool:
    if not isinstance(call.get("IDS"), list) or not call.get("IDS"):
        raise RestError("PARAMS_ERROR", "No IDS param or it is not an array", 400)
    numbers = {as_int(one) for one in call.sequence("IDS")}
    for row in _notices(call):
        if row["ID"] in numbers:
            row["READ"] = call.get("ACTION") is None or yes(call.get("ACTION"))
    return True


@method("im.notify.read.all", scope="im", writes=True)
def notify_read_all(call: Call) -> Row:
    for row in _notices(call):
        row["READ"] = True
    return {"result": True, "newCounter": 0}


@method("im.notify.schema.get", scope="im", cost=(0.0, 0.01))
def notify_schema(call: Call) -> Row:
    listed = {
        "tasks": ("Задачи", "task_update", "Изменения задач"),
        "rest": ("Приложения", "rest_notify", "Уведомления"),
    }
    return {
        name: {"NAME": title, "MODULE_ID": name, "LIST": [{"ID": f"{name}|{code}", "NAME": text}]}
        for name, (title, code, text) in listed.items()
    }


# --- people -----------------------------------------------------------------------------------------------------------


@method("im.user.get", scope="im", params="ID AVATAR_HR")
def user_get(call: Call) -> Row:
    if call.get("ID") in (None, ""):
        return as_person(call, call.user)
    if call.integer("ID") <= 0:
        raise RestError("ID_EMPTY", "User ID can't be empty", 400)
    user = call.portal.user(call.integer("ID"))
    if user is None:
        raise RestError("USER_NOT_EXISTS", "User does not exist", 400)
    return as_person(call, user)


@method("im.user.list.get", scope="im", params="ID AVATAR_HR RESULT_TYPE")
def user_list(call: Call) -> Any:
    numbers = [as_int(one) for one in call.sequence("ID")]
    if not isinstance(call.get("ID"), (list, dict)) or None in numbers or not numbers:
        raise RestError("INVALID_FORMAT", "A wrong format for the ID field is passed", 400)
    found = {str(number): call.portal.user(number) for number in numbers}
    made = {number: as_person(call, user) if user else None for number, user in found.items()}
    return [one for one in made.values() if one] if call.text("RESULT_TYPE") == "array" else made


@method("im.user.status.get", scope="im")
def status_get(call: Call) -> str:
    return str(call.user.get("IM_STATUS", "online"))


@method("im.user.status.set", scope="im", params="STATUS", writes=True)
def status_set(call: Call) -> bool:
    if call.text("STATUS") not in STATUSES:
        raise RestError("STATUS_ERROR", "Status is not available", 400)
    call.user["IM_STATUS"] = call.text("STATUS")
    return True


@method("im.user.status.idle.start", scope="im", params="AGO", writes=True)
def idle_start(call: Call) -> bool:
    call.user["IM_IDLE"] = call.portal.now() - 60 * max(0, call.integer("AGO", 10))
    return True


@method("im.user.status.idle.end", scope="im", writes=True)
def idle_end(call: Call) -> bool:
    call.user["IM_IDLE"] = None
    return True


def _needle(call: Call) -> str:
    word = call.text("FIND").strip().casefold()
    if len(word) < 2:
        raise RestError("FIND_SHORT", "Too short a search phrase.", 400)
    return word


def _cut(call: Call, found: list[Any]) -> list[Any]:
    start = max(0, call.integer("OFFSET"))
    return found[start : start + max(1, min(call.integer("LIMIT", 10), 50))]


@method("im.search.user.list", scope="im", params="FIND BUSINESS OFFSET LIMIT")
def search_users(call: Call) -> Page:
    word = _needle(call)
    found = [
        user
        for user in call.portal["users"]
        if user["ACTIVE"] and word in f"{user['NAME']} {user['LAST_NAME']} {user['WORK_POSITION']}".casefold()
    ]
    return Page({str(user["ID"]): as_person(call, user) for user in _cut(call, found)} or [], len(found))


@method("im.search.chat.list", scope="im", params="FIND FIND_LINES OFFSET LIMIT")
def search_chats(call: Call) -> Page:
    word = _needle(call)
    found = [
        one
        for one in (by_chat(call, row["ID"]) for row in call.portal["chats"])
        if one is not None and one.row is not None and one.other is None
        and (call.user_id in one.members or one.row["TYPE"] == "O") and word in one.row["TITLE"].casefold()
    ]  # fmt: skip
    return Page([as_chat(call, one, messages_of(call, one)) for one in _cut(call, found)], len(found))


def _as_department(call: Call, row: Row) -> Row:
    parent = call.portal["departments"].get(row["PARENT"])
    entry: Row = {
        "id": row["ID"], "name": row["NAME"],
        "full_name": f"{row['NAME']} / {parent['NAME']}" if parent else row["NAME"],
        "manager_user_id": row["UF_HEAD"] or 0,
    }  # fmt: skip
    head = call.portal.user(row["UF_HEAD"])
    if yes(call.get("USER_DATA")) and head is not None:
        entry["manager_user_data"] = as_person(call, head)
    return entry


@method("im.search.department.list", scope="im", params="FIND USER_DATA OFFSET LIMIT")
def search_departments(call: Call) -> Page:
    word = _needle(call)
    found = [row for row in call.portal["departments"] if word in row["NAME"].casefold()]
    return Page([_as_department(call, row) for row in _cut(call, found)], len(found))


def _numbers(call: Call) -> list[int]:
    return [number for number in (as_int(one) for one in call.sequence("ID")) if number]


@method("im.department.get", scope="im", params="ID USER_DATA")
def department_get(call: Call) -> list[Row]:
    numbers = _numbers(call)
    if not numbers:
        raise RestError("INVALID_FORMAT", "A wrong format for the ID field is passed", 400)
    rows = (call.portal["departments"].get(number) for number in numbers)
    return [_as_department(call, row) for row in rows if row is not None]


def _declare_department(name: str, heads: bool) -> None:
    @method(f"im.department.{name}.get", scope="im", params="ID USER_DATA")
    def people(call: Call) -> Any:
        numbers = _numbers(call)
        if not numbers:
            raise RestError("ID_EMPTY", "Department ID can't be empty", 400)
        made: Row = {}
        for number in numbers:
            row = call.portal["departments"].get(number)
            if row is None:
                continue
            found = [
                user
                for user in call.portal["users"]
                if user["ACTIVE"] and (user["ID"] == row["UF_HEAD"] if heads else number in user["UF_DEPARTMENT"])
            ]
            full = yes(call.get("USER_DATA"))
            made[str(number)] = [as_person(call, user) if full else user["ID"] for user in found]
        return made or []


_declare_department("managers", heads=True)
_declare_department("employees", heads=False)


@method("im.department.colleagues.list", scope="im", params="USER_DATA OFFSET LIMIT")
def colleagues(call: Call) -> Page:
    own = set(call.user["UF_DEPARTMENT"])
    found = [
        user for user in call.portal["users"]
        if user["ACTIVE"] and user["ID"] != call.user_id and own & set(user["UF_DEPARTMENT"])
    ]  # fmt: skip
    full = yes(call.get("USER_DATA"))
    page = _cut(call, found)
    start = max(0, call.integer("OFFSET"))
    following = start + len(page) if start + len(page) < len(found) else None
    return Page([as_person(call, user) if full else user["ID"] for user in page], len(found), following)


@method("im.search.last.get", scope="im", params="SKIP_OPENLINES SKIP_CHAT SKIP_DIALOG")
def search_last(call: Call) -> list[Row]:
    marks = [one for one in call.portal["im_marks"].where(USER_ID=call.user_id) if one["SEARCHED"]]
    made = []
    by_key = {found.key: found for found in _own(call)}
    for mark in sorted(marks, key=lambda one: -one["SEARCHED"]):
        found = by_key.get(mark["KEY"])
        if found is None:
            continue
        chat = as_chat(call, found, messages_of(call, found))
        entry: Row = {
            "id": found.other["ID"] if found.other else f"chat{found.chat_id}",
            "type": "user" if found.other else "chat", "avatar": {"url": "", "color": chat["color"]},
            "title": chat["name"],
        }  # fmt: skip
        if found.other is not None:
            entry["user"] = as_person(call, found.other)
        else:
            names = ("id", "name", "owner", "extranet", "avatar", "color", "type", "entity_type", "entity_id",
                "entity_data_1", "entity_data_2", "entity_data_3", "mute_list", "date_create",
                "message_type")  # fmt: skip
            entry["chat"] = {name: chat[name] for name in names}
        made.append(entry)
    return made


@method("im.search.last.add", scope="im", params="DIALOG_ID", writes=True)
def search_last_add(call: Call) -> bool:
    _mark(call, dialog(call).key)["SEARCHED"] = call.portal.now()
    return True


@method("im.search.last.delete", scope="im", params="DIALOG_ID", writes=True)
def search_last_delete(call: Call) -> bool:
    _mark(call, dialog(call).key)["SEARCHED"] = 0.0
    return True
