"""Drive: storages, folders, files with versions; the doors for downloads and for uploads by address.

Storages of people, of the company and of applications are made on first use. Contents are kept as base64 text in the
records, so that a state file holds them.
"""

from __future__ import annotations

import base64
import binascii
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from sandbox import php
from sandbox.method import RestError, Row, as_int, plain
from sandbox.portal import Portal
from sandbox.server import Request, Response

ALIVE, DELETED = 0, 3
_DOORS = ("/rest/download.json", "/rest/upload.json", "/rest/crm.controller.item.getFile.json")


def storages(portal: Portal) -> None:
    """Make the storages that are absent: one for each person and the company's."""
    table = portal["disk_storages"]
    known = {(row["ENTITY_TYPE"], row["ENTITY_ID"]) for row in table}
    if ("common", "shared_files_s1") not in known:
        add_storage(portal, "Общий диск", "common", "shared_files_s1", 1)
    for user in list(portal["users"]):
        if ("user", str(user["ID"])) not in known:
            add_storage(portal, f"{user['NAME']} {user['LAST_NAME']}", "user", str(user["ID"]), user["ID"])


def storage_of(portal: Portal, user: Row) -> Row:
    """The person's own storage."""
    storages(portal)
    return next(portal["disk_storages"].where(ENTITY_TYPE="user", ENTITY_ID=str(user["ID"])))


def add_storage(portal: Portal, name: str, kind: str, owner: str, user_id: int) -> Row:
    """A storage with its root folder."""
    row = portal["disk_storages"].add({"NAME": name, "CODE": None, "ENTITY_TYPE": kind, "ENTITY_ID": owner, "ROOT": 0})
    root = add_object(portal, row, 0, name, "folder", user_id)
    row["ROOT"] = root["ID"]
    return row


def add_object(portal: Portal, storage: Row, parent: int, name: str, kind: str, user_id: int, content: str = "") -> Row:
    """A folder or a file; `content` is base64."""
    now = portal.now()
    row = portal["disk_objects"].add(
        {
            "NAME": name, "CODE": None, "STORAGE_ID": storage["ID"], "TYPE": kind, "PARENT_ID": parent,
            "DELETED_TYPE": ALIVE, "CREATE_TIME": now, "UPDATE_TIME": now, "DELETE_TIME": None, "CREATED_BY": user_id,
            "UPDATED_BY": user_id, "DELETED_BY": None, "SHARED": {}, "KEY": portal.secret(24),
        }
    )  # fmt: skip
    if kind == "file":
        row |= {"GLOBAL_CONTENT_VERSION": 0, "FILE_ID": 0, "SIZE": 0, "CONTENT": ""}
        new_version(portal, row, name, content, user_id)
    return row


def new_version(portal: Portal, row: Row, name: str, content: str, user_id: int) -> Row:
    """Store the content as the file's next version."""
    size = len(base64.b64decode(content))
    row["GLOBAL_CONTENT_VERSION"] += 1
    row |= {"CONTENT": content, "SIZE": size, "NAME": name, "UPDATE_TIME": portal.now(), "UPDATED_BY": user_id}
    made = portal["disk_versions"].add(
        {
            "OBJECT_ID": row["ID"], "NAME": name, "SIZE": size, "CONTENT": content, "CREATE_TIME": portal.now(),
            "CREATED_BY": user_id, "GLOBAL_CONTENT_VERSION": row["GLOBAL_CONTENT_VERSION"], "KEY": portal.secret(24),
        }
    )  # fmt: skip
    row["FILE_ID"] = 30_000 + made["ID"]
    return made


def level(portal: Portal, row: Row, user: Row) -> str:
    """What the person may do with the object: "" (nothing), "read", "edit" or "full"."""
    storage = portal["disk_storages"].get(row["STORAGE_ID"])
    if storage is None:
        return ""
    if storage["ENTITY_TYPE"] == "im":
        from sandbox import chat_disk

        return chat_disk.level(portal, row, user)
    if user["ADMIN"] or (storage["ENTITY_TYPE"], storage["ENTITY_ID"]) == ("user", str(user["ID"])):
        return "full"
    if storage["ENTITY_TYPE"] == "common":
        return "full" if row["CREATED_BY"] == user["ID"] else "edit"
    node: Row | None = row
    while node is not None:
        shared = node["SHARED"].get(str(user["ID"]))
        if shared:
            return plain(shared)
        node = portal["disk_objects"].get(node["PARENT_ID"])
    return ""


def children(portal: Portal, number: int) -> list[Row]:
    """What lies in a folder, the bin left out."""
    return [row for row in portal["disk_objects"].where(PARENT_ID=number) if row["DELETED_TYPE"] == ALIVE]


def free_name(portal: Portal, parent: int, name: str, *, unique: bool) -> str:
    """The name, or with `unique` the next free one; DISK_OBJ_22000 when it is taken."""
    taken = {row["NAME"] for row in children(portal, parent)}
    if name not in taken:
        return name
    if not unique:
        raise RestError("DISK_OBJ_22000", "Файл с таким именем уже есть / A file with this name already exists", 400)
    stem, dot, ending = name.rpartition(".")
    stem, ending = (stem, dot + ending) if dot and stem else (name, "")
    number = 1
    while f"{stem} ({number}){ending}" in taken:
        number += 1
    return f"{stem} ({number}){ending}"


def decoded(value: Any) -> str:
    """Checked base64 of a file's content; ERROR_COULD_NOT_SAVE_FILE for anything else."""
    text = "".join(plain(value).split())
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RestError("ERROR_COULD_NOT_SAVE_FILE", "Could not save file", 400) from None
    return text


def attach(portal: Portal, file: Row, user_id: int, kind: str, number: int) -> Row:
    """Hang a file on an object of another module: `kind` and `number` as disk.attachedObject.get tells them."""
    return portal["attached"].add(
        {
            "OBJECT_ID": file["ID"], "TASK_ID": number if kind == "tasks_task" else 0, "ENTITY_TYPE": kind,
            "ENTITY_ID": number, "CREATED_BY": user_id, "CREATED": portal.now(),
        }
    )  # fmt: skip


def attachments(portal: Portal, kind: str, number: int) -> list[Row]:
    """What hangs on an object, in the order in which it came."""
    return list(portal["attached"].where(ENTITY_TYPE=kind, ENTITY_ID=number))


def attachable(portal: Portal, code: str, user: Row) -> Row | None:
    """The file of Drive that n<id> names and that the person may read, or None."""
    row = portal["disk_objects"].get(as_int(code[1:])) if code.startswith("n") else None
    if row is None or row["TYPE"] != "file" or row["DELETED_TYPE"] != ALIVE or not level(portal, row, user):
        return None
    return row


# --- the doors --------------------------------------------------------------------------------------------------------


def handle(portal: Portal, request: Request) -> Response | None:
    """A download or an upload by address, a file of a CRM field too; None for every other request."""
    shown = request.path.startswith("/bitrix/components/bitrix/crm.") and request.path.endswith("/show_file.php")
    if not shown and request.path not in _DOORS:
        return None
    query = php.parse_query(request.query)
    token = f"crm|{plain(query.get('fileId'))}|{plain(query.get('auth'))}" if shown else plain(query.get("token"))
    with portal.lock:
        if request.path == "/rest/upload.json":
            return _upload(portal, token, request)
        return _download(portal, token)


def _refused(status: int, code: str, text: str) -> Response:
    return Response(status, json.dumps({"error": code, "error_description": text}, ensure_ascii=False).encode())


def _download(portal: Portal, token: str) -> Response:
    kind, _, key = token.partition("|")
    number, _, secret = key.partition("|")
    table = {"version": "disk_versions", "crm": "files"}.get(kind, "disk_objects")
    row = portal[table].get(as_int(number))
    if row is None or not secret or row.get("KEY") != secret:
        return _refused(404, "ERROR_NOT_FOUND", "Could not find entity")
    body = base64.b64decode(row["CONTENT"])
    return Response(200, body, "application/octet-stream")


def _upload(portal: Portal, token: str, request: Request) -> Response:
    """The one file of a multipart form, into the place for which the address was given; the address works once."""
    from sandbox.methods.disk import printed

    place = portal.held.setdefault("uploads", {}).pop(token, None)
    if place is None or place["until"] < portal.now():
        return _refused(403, "ACCESS_DENIED", "Access denied")
    content = _form_file(request)
    if content is None:
        return _refused(400, "ERROR_COULD_NOT_SAVE_FILE", "Could not save file")
    name, data = content
    storage = portal["disk_storages"].get(place["storage"])
    if storage is None:
        return _refused(404, "ERROR_NOT_FOUND", "Could not find entity")
    try:
        name = free_name(portal, place["folder"], place["name"] or name, unique=place["unique"])
    except RestError as error:
        return _refused(error.status, str(error.code), error.description)
    row = add_object(portal, storage, place["folder"], name, "file", place["user"], base64.b64encode(data).decode())
    return Response(200, json.dumps({"result": printed(portal, row, fresh=True)}, ensure_ascii=False).encode())


def _form_file(request: Request) -> tuple[str, bytes] | None:
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        return None
    head = b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    for part in message.iter_parts():
        name = part.get_filename()
        data = part.get_payload(decode=True)
        if name and isinstance(data, bytes):
            return name, data
    return None
