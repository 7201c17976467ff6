"""Files of chats: im.disk.* (api-reference/chats/files). The folder and the files are objects of Drive."""

from __future__ import annotations

import re

from sandbox import chat_disk, disk
from sandbox.method import Call, RestError, Row, as_int, as_list, method, yes
from sandbox.methods.chats import Dialog, by_chat, dialog
from sandbox.methods.disk import remove

SAVED = "Saved Files"
DELETED = "Message deleted"


def _empty(word: str) -> RestError:
    return RestError(f"{word.upper()}_ID_EMPTY", f"{word.title()} ID can't be empty", 400)


def _chat(call: Call) -> Dialog:
    """The chat of CHAT_ID, else of DIALOG_ID, in which the caller takes part."""
    denied = RestError("ACCESS_ERROR", "You do not have access to the specified dialog", 403)
    if call.get("CHAT_ID") is not None:
        if call.integer("CHAT_ID") <= 0:
            raise _empty("chat")
        found = by_chat(call, call.integer("CHAT_ID"))
        if found is None or call.user_id not in found.members:
            raise denied
        return found
    if call.get("DIALOG_ID") is None:
        raise _empty("chat")
    if re.fullmatch(r"(?i)sg\d+", call.text("DIALOG_ID")):
        raise denied  # a chat of a workgroup, of which there is none
    return dialog(call)


@method("im.disk.folder.get", scope="im", params="CHAT_ID DIALOG_ID")
def folder_get(call: Call) -> Row:
    return {"ID": chat_disk.folder(call.portal, _chat(call).chat_id, call.user_id)["ID"]}


def _file(call: Call, number: int | None) -> Row | None:
    """A file that is there and that the caller may read."""
    row = call.portal["disk_objects"].get(number)
    if row is None or row["TYPE"] != "file" or row["DELETED_TYPE"] != disk.ALIVE:
        return None
    return row if disk.level(call.portal, row, call.user) else None


def _copied(call: Call, row: Row, folder: Row) -> Row:
    """A copy of the file in that folder, under a free name."""
    storage = call.portal["disk_storages"].rows[folder["STORAGE_ID"]]
    name = disk.free_name(call.portal, folder["ID"], row["NAME"], unique=True)
    made = disk.add_object(call.portal, storage, folder["ID"], name, "file", call.user_id, row["CONTENT"])
    call.portal.effect("create", "file", made["ID"], call.user_id, "rest")
    return made


@method("im.disk.file.commit", scope="im", writes=True, cost=(0.03, 0.12),
        params="CHAT_ID DIALOG_ID FILE_ID UPLOAD_ID MESSAGE SILENT_MODE AS_FILE")  # fmt: skip
def file_commit(call: Call) -> Row:
    """Files that are not there are left out, as in the page's example; none at all is an error."""
    found = _chat(call)
    name = "FILE_ID" if call.get("FILE_ID") is not None else "UPLOAD_ID"
    if call.get(name) is None:
        raise RestError("FILES_ERROR", "List of files is not specified", 400)
    numbers = dict.fromkeys(as_int(one) for one in as_list(call.get(name)))
    rows = [row for row in (_file(call, number) for number in numbers) if row is not None]
    if not rows:
        raise RestError("SAVE_ERROR", "Error during saving file to chat", 400)
    portal, made = call.portal, {}
    folder = chat_disk.folder(portal, found.chat_id, call.user_id)
    for row in rows:
        # [verify] A file of another place of Drive gets a copy in the chat's folder, under the key of the given id.
        own = row if chat_disk.chat_of(portal, row) == found.chat_id else _copied(call, row, folder)
        if name == "UPLOAD_ID" and yes(call.get("AS_FILE")):
            own["AS_FILE"] = True
        made[f"upload{row['ID']}"] = own
    message = portal["messages"].add(
        {
            "DIALOG_ID": str(found.other["ID"]) if found.other is not None else f"chat{found.chat_id}",
            "FROM_USER_ID": call.user_id, "MESSAGE": call.text("MESSAGE"), "ATTACH": None, "KEYBOARD": None,
            "SYSTEM": False, "AT": portal.now(), "FILES": [row["ID"] for row in made.values()],
        }
    )  # fmt: skip
    portal.effect("create", "message", message["ID"], call.user_id, "rest", to=message["DIALOG_ID"])
    return {
        "FILES": {key: chat_disk.shown(portal, row, found.chat_id, dated=False) for key, row in made.items()},
        "DISK_ID": [str(row["ID"]) for row in made.values()],
        "FILE_MODELS": {key: chat_disk.model(row) for key, row in made.items()},
        "MESSAGE_ID": message["ID"],
    }


@method("im.disk.file.delete", scope="im", params="CHAT_ID FILE_ID", writes=True)
def file_delete(call: Call) -> bool:
    """True for everybody in the chat, but the file goes only for whoever sent it, as the page says."""
    for word in ("chat", "file"):
        if call.integer(f"{word}_id") <= 0:
            raise _empty(word)
    portal, chat = call.portal, call.integer("CHAT_ID")
    row = _file(call, call.integer("FILE_ID"))
    if row is None or chat_disk.chat_of(portal, row) != chat:
        return False
    message = chat_disk.message_of(portal, row)
    if call.user_id != (message["FROM_USER_ID"] if message is not None else row["CREATED_BY"]):
        return True
    remove(call, row)
    if message is not None:
        message["FILES"] = [number for number in message["FILES"] if number != row["ID"]]
        if not message["FILES"] and not message["MESSAGE"]:
            message["MESSAGE"] = DELETED
    return True


@method("im.disk.file.save", scope="im", params="FILE_ID", writes=True)
def file_save(call: Call) -> Row:
    if call.integer("FILE_ID") <= 0:
        raise _empty("file")
    portal = call.portal
    row = _file(call, call.integer("FILE_ID"))
    if row is None or not chat_disk.chat_of(portal, row):
        raise RestError("FILE_SAVE_ERROR", "File ID can't be saved", 400)
    disk.storages(portal)
    storage = next(portal["disk_storages"].where(ENTITY_TYPE="user", ENTITY_ID=str(call.user_id)))
    inside = disk.children(portal, storage["ROOT"])
    folder = next((one for one in inside if one["TYPE"] == "folder" and one["NAME"] == SAVED), None)
    if folder is None:
        name = disk.free_name(portal, storage["ROOT"], SAVED, unique=True)
        folder = disk.add_object(portal, storage, storage["ROOT"], name, "folder", call.user_id)
    made = _copied(call, row, folder)
    return {
        "folder": {"id": folder["ID"], "name": folder["NAME"]},
        "file": {"id": made["ID"], "name": made["NAME"]},
    }
