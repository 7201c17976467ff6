"""Files of chats on Drive: one storage of the messenger, a folder for each chat, open to the people of that chat."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
from typing import Any

from sandbox import disk
from sandbox.method import Row
from sandbox.portal import Portal


def task_members(task: Row) -> list[int]:
    """Who takes part in the chat of a task."""
    return sorted({task["CREATED_BY"], task["RESPONSIBLE_ID"], *task["ACCOMPLICES"], *task["AUDITORS"]})


def members(portal: Portal, chat: int) -> list[int]:
    """The people of a chat, also of a task's; nobody for a chat that is not there."""
    row = portal["chats"].get(chat)
    if row is not None:
        return list(row["MEMBERS"])
    task = portal["tasks"].first(CHAT_ID=chat) if chat else None
    return task_members(task) if task is not None else []


def chat_of(portal: Portal, row: Row) -> int:
    """The chat in whose folder the object lies; 0 for another place."""
    node: Row | None = row
    while node is not None:
        if node.get("CHAT_ID"):
            return int(node["CHAT_ID"])
        node = portal["disk_objects"].get(node["PARENT_ID"])
    return 0


def level(portal: Portal, row: Row, user: Row) -> str:
    """As `disk.level`, for the messenger's storage: people of the chat add and read, a file is its author's alone."""
    chat = chat_of(portal, row)
    if not chat or user["ID"] not in members(portal, chat):
        return ""
    if row["TYPE"] == "folder":
        return "edit"
    return "full" if row["CREATED_BY"] == user["ID"] else "read"


def known_folder(portal: Portal, chat: int) -> Row | None:
    """The chat's folder, when it was made already."""
    found = portal["disk_objects"].where(CHAT_ID=chat)
    return next((row for row in found if row["DELETED_TYPE"] == disk.ALIVE), None)


def folder(portal: Portal, chat: int, user_id: int) -> Row:
    """The chat's folder, made on first use."""
    known = known_folder(portal, chat)
    if known is not None:
        return known
    storage = portal["disk_storages"].first(ENTITY_TYPE="im") or disk.add_storage(portal, "Чаты", "im", "im", 1)
    row = disk.add_object(portal, storage, storage["ROOT"], f"Чат {chat}", "folder", user_id)
    row["CHAT_ID"] = chat
    return row


def files_of(portal: Portal, message: Row) -> list[Row]:
    """The files of a message that are still there."""
    found = (portal["disk_objects"].get(number) for number in message.get("FILES") or ())
    return [row for row in found if row is not None and row["DELETED_TYPE"] == disk.ALIVE]


def message_of(portal: Portal, row: Row) -> Row | None:
    """The message with which the file was sent."""
    return next((one for one in portal["messages"] if row["ID"] in (one.get("FILES") or ())), None)


# --- how a file is printed --------------------------------------------------------------------------------------------

_CODES = {"image": 2, "video": 3, "document": 4, "archive": 5, "pdf": 8, "audio": 9}
_UNKNOWN = 7


def picture_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) of a PNG, GIF or JPEG; None for anything else."""
    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if content[:4] == b"GIF8" and len(content) >= 10:
        return int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    position = 2
    while content[:2] == b"\xff\xd8" and position + 9 <= len(content) and content[position] == 0xFF:
        if content[position + 1] in (0xC0, 0xC1, 0xC2):
            return int.from_bytes(content[position + 7 : position + 9]), int.from_bytes(
                content[position + 5 : position + 7]
            )
        position += 2 + int.from_bytes(content[position + 2 : position + 4])
    return None


def kind_of(row: Row, size: tuple[int, int] | None) -> str:
    """image, video, audio or file."""
    guessed = (mimetypes.guess_type(row["NAME"])[0] or "").split("/")[0]
    return "image" if size is not None else guessed if guessed in ("video", "audio") else "file"


def shown(portal: Portal, row: Row, chat: int, *, dated: bool = True) -> Row:
    """A file as the messenger prints it; one just sent has an empty map in the place of its date, as its page shows."""
    from sandbox.methods.disk import download

    size = picture_size(base64.b64decode(row["CONTENT"]))
    kind, url, number = kind_of(row, size), download(portal, row), str(row["ID"])
    author = portal.user(row["CREATED_BY"]) or {"NAME": "", "LAST_NAME": ""}
    actions: list[Row] = [
        {"type": "download"},
        {"type": "copyToMe", "text": "Save to Drive", "action": "BXIM.disk.saveToDiskAction",
            "params": {"fileId": number}, "extension": "disk.viewer.actions",
            "buttonIconClass": "ui-btn-icon-cloud"},
    ]  # fmt: skip
    return {
        "id": row["ID"], "chatId": chat, "date": portal.iso(row["CREATE_TIME"]) if dated else {},
        "type": "file" if row.get("AS_FILE") else kind, "name": row["NAME"],
        "extension": row["NAME"].rpartition(".")[2].lower() if "." in row["NAME"] else "", "size": row["SIZE"],
        "image": {"height": size[1], "width": size[0]} if size is not None else False, "status": "done",
        "progress": 100, "authorId": row["CREATED_BY"],
        "authorName": f"{author['NAME']} {author['LAST_NAME']}".strip(),
        "urlPreview": url if size is not None else "", "urlShow": url, "urlDownload": url,
        "viewerAttrs": {
            "viewer": "", "viewerType": kind if kind != "file" else "unknown", "src": url, "viewerResized": "",
            "objectId": number, "viewerGroupBy": str(chat), "imChatId": chat, "title": row["NAME"],
            "actions": json.dumps(actions, ensure_ascii=False),
        },
        "mediaUrl": {"preview": {"250": url}} if size is not None else [], "isTranscribable": kind == "audio",
        "isVideoNote": False, "isVoiceNote": False,
    }  # fmt: skip


def model(row: Row) -> Row:
    """A file as Drive's own record; the links are those of a person's browser session."""
    size = picture_size(base64.b64decode(row["CONTENT"]))
    kind = kind_of(row, size)
    code = _CODES["pdf"] if row["NAME"].lower().endswith(".pdf") else _CODES.get(kind, _UNKNOWN)
    address = "/bitrix/services/main/ajax.php?action=disk"
    links: Row = {
        "download": f"{address}.file.download&SITE_ID=s1&fileId={row['ID']}",
        "showInGrid": f"/bitrix/tools/disk/focus.php?objectId={row['ID']}&action=showObjectInGrid&ncc=1",
    }
    if size is not None:
        links["preview"] = f"{address}.api.file.showImage&SITE_ID=s1&humanRE=1&width=640&height=640&fileId={row['ID']}"
    none: Any = None
    return {
        "id": row["ID"], "name": row["NAME"], "createTime": {}, "updateTime": {}, "deleteTime": none,
        "code": "media_original" if row.get("AS_FILE") else none, "xmlId": none, "storageId": row["STORAGE_ID"],
        "realObjectId": row["ID"], "parentId": row["PARENT_ID"], "deletedType": row["DELETED_TYPE"],
        "createdBy": str(row["CREATED_BY"]), "updatedBy": str(row["UPDATED_BY"]),
        "deletedBy": str(row["DELETED_BY"] or 0), "uniqueCode": row["KEY"][:20], "typeFile": code,
        "globalContentVersion": row["GLOBAL_CONTENT_VERSION"], "fileId": row["FILE_ID"], "size": row["SIZE"],
        "etag": hashlib.sha256(row["CONTENT"].encode()).hexdigest()[:32], "links": links,
    }  # fmt: skip
