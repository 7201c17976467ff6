"""Drive: storages, folders, files, versions, attached files (api-reference/disk)."""

from __future__ import annotations

from typing import Any

from sandbox import disk
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, method, plain, yes
from sandbox.portal import Portal

_COLUMNS = {name: Column(name, "int") for name in ("ID", "STORAGE_ID", "PARENT_ID", "CREATED_BY", "UPDATED_BY", "SIZE",
    "DELETED_TYPE")}  # fmt: skip
_COLUMNS |= {name: Column(name) for name in ("NAME", "CODE", "TYPE")}
_COLUMNS |= {name: Column(name, "time") for name in ("CREATE_TIME", "UPDATE_TIME", "DELETE_TIME")}
_RIGHTS = {
    "disk_access_read": "read",
    "disk_access_add": "edit",
    "disk_access_edit": "edit",
    "disk_access_full": "full",
}
_ORDER = ("", "read", "edit", "full")
UPLOAD_LIFE = 3600


def _detail(portal: Portal, row: Row) -> str:
    storage = portal["disk_storages"].get(row["STORAGE_ID"])
    if storage is not None and storage["ENTITY_TYPE"] == "user":
        base = f"{portal.url}/company/personal/user/{storage['ENTITY_ID']}/disk"
    else:
        base = f"{portal.url}/docs"
    return f"{base}/{'file' if row['TYPE'] == 'file' else 'path'}/{row['ID']}/"


def printed(portal: Portal, row: Row, *, fresh: bool = False) -> Row:
    """An object as the methods print it; ids of one just made are numbers, else text, as the examples show."""
    text = (lambda value: value) if fresh else plain
    made: Row = {
        "ID": text(row["ID"]), "NAME": row["NAME"], "CODE": row["CODE"], "STORAGE_ID": str(row["STORAGE_ID"]),
        "TYPE": row["TYPE"],
    }  # fmt: skip
    if row["TYPE"] == "folder":
        made["REAL_OBJECT_ID"] = text(row["ID"])
    made |= {
        "PARENT_ID": str(row["PARENT_ID"]) if row["PARENT_ID"] else None,
        "DELETED_TYPE": text(row["DELETED_TYPE"]),
    }
    if row["TYPE"] == "file":
        made |= {
            "GLOBAL_CONTENT_VERSION": text(row["GLOBAL_CONTENT_VERSION"]), "FILE_ID": text(row["FILE_ID"]),
            "SIZE": str(row["SIZE"]),
        }  # fmt: skip
    made |= {
        "CREATE_TIME": portal.iso(row["CREATE_TIME"]), "UPDATE_TIME": portal.iso(row["UPDATE_TIME"]),
        "DELETE_TIME": portal.iso(row["DELETE_TIME"]), "CREATED_BY": str(row["CREATED_BY"]),
        "UPDATED_BY": str(row["UPDATED_BY"]), "DELETED_BY": None if fresh else str(row["DELETED_BY"] or 0),
    }  # fmt: skip
    if row["TYPE"] == "file":
        made["DOWNLOAD_URL"] = download(portal, row)
    made["DETAIL_URL"] = _detail(portal, row)
    return made


def download(portal: Portal, row: Row, kind: str = "disk") -> str:
    """The address from which the content is read without further authorization."""
    return f"{portal.url}/rest/download.json?token={kind}%7C{row['ID']}%7C{row['KEY']}"


def _argument(index: int) -> RestError:
    return RestError("ERROR_ARGUMENT", f"Invalid value of parameter {{Parameter #{index}}}", 400)


def _not_found(value: Any) -> RestError:
    return RestError("ERROR_NOT_FOUND", f"Could not find entity with id `{plain(value)}`", 400)


def _denied() -> RestError:
    return RestError("ACCESS_DENIED", "Access denied", 400)


def _object(call: Call, kind: str, needed: str, name: str = "id", index: int = 0) -> Row:
    value = call.get(name)
    if value in (None, "") or isinstance(value, (dict, list)):
        raise _argument(index)
    row = call.portal["disk_objects"].get(as_int(value))
    if row is None or row["TYPE"] != kind:
        raise _not_found(value)
    if _ORDER.index(disk.level(call.portal, row, call.user)) < _ORDER.index(needed):
        raise _denied()
    return row


def _storage(call: Call) -> Row:
    disk.storages(call.portal)
    value = call.get("id")
    if value in (None, "") or isinstance(value, (dict, list)):
        raise _argument(0)
    row = call.portal["disk_storages"].get(as_int(value))
    if row is None:
        raise _not_found(value)
    return row


def _root(call: Call, needed: str) -> Row:
    row = call.portal["disk_objects"].rows[_storage(call)["ROOT"]]
    if _ORDER.index(disk.level(call.portal, row, call.user)) < _ORDER.index(needed):
        raise _denied()
    return row


def _changed(call: Call, change: str, row: Row) -> None:
    call.portal.effect(change, row["TYPE"], row["ID"], call.user_id, "rest")


# --- storages ---------------------------------------------------------------------------------------------------------

_STORAGE = {"ID": Column("ID", "int"), "NAME": Column("NAME"), "CODE": Column("CODE"),
    "ENTITY_TYPE": Column("ENTITY_TYPE"), "ENTITY_ID": Column("ENTITY_ID")}  # fmt: skip


def _as_storage(row: Row) -> Row:
    return {
        "ID": str(row["ID"]), "NAME": row["NAME"], "CODE": row["CODE"], "MODULE_ID": "disk",
        "ENTITY_TYPE": row["ENTITY_TYPE"], "ENTITY_ID": row["ENTITY_ID"], "ROOT_OBJECT_ID": str(row["ROOT"]),
    }  # fmt: skip


def _described(names: str, hidden: str) -> Row:
    kinds = {"ID": "integer", "STORAGE_ID": "integer", "PARENT_ID": "integer", "REAL_OBJECT_ID": "integer",
        "ROOT_OBJECT_ID": "integer", "TYPE": "enum", "DELETED_TYPE": "enum", "CREATED_BY": "integer",
        "UPDATED_BY": "integer", "DELETED_BY": "integer", "GLOBAL_CONTENT_VERSION": "integer", "FILE_ID": "integer",
        "SIZE": "integer"}  # fmt: skip
    return {
        name: {
            "TYPE": "datetime" if name.endswith("_TIME") else kinds.get(name, "string"),
            "USE_IN_FILTER": name not in hidden.split(), "USE_IN_SHOW": True,
        }
        for name in names.split()
    }  # fmt: skip


@method("disk.storage.getFields", scope="disk")
def storage_fields(call: Call) -> Row:
    return _described("ID NAME CODE MODULE_ID ENTITY_TYPE ENTITY_ID ROOT_OBJECT_ID", "MODULE_ID ROOT_OBJECT_ID")


@method("disk.storage.getTypes", scope="disk")
def storage_types(call: Call) -> list[str]:
    return ["user", "common", "group", "restapp"]


@method("disk.storage.get", scope="disk", params="id")
def storage_get(call: Call) -> Row:
    _root(call, "read")
    return _as_storage(_storage(call))


@method("disk.storage.getList", scope="disk", params="filter order start")
def storage_list(call: Call) -> Page:
    disk.storages(call.portal)
    objects = call.portal["disk_objects"].rows
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["disk_storages"], filter=_masked(call.mapping("filter")),
        order=call.mapping("order") or {"ID": "ASC"}, columns=_STORAGE,
        zone=call.portal.zone(), start=start, unknown=lambda key: None,
        visible=lambda row: bool(disk.level(call.portal, objects[row["ROOT"]], call.user)),
    )  # fmt: skip
    return page_of([_as_storage(row) for row in rows], total, following, start)


@method("disk.storage.getForApp", scope="disk", application="ACCESS_DENIED")
def storage_for_app(call: Call) -> Row:
    application = call.application_only()
    disk.storages(call.portal)
    owner = str(application["ID"])
    row = call.portal["disk_storages"].first(ENTITY_TYPE="restapp", ENTITY_ID=owner)
    return _as_storage(row or disk.add_storage(call.portal, application["TITLE"], "restapp", owner, call.user_id))


@method("disk.storage.rename", scope="disk", params="id newName", writes=True)
def storage_rename(call: Call) -> Row:
    row = _storage(call)
    name = call.text("newName").strip()
    application = call.application
    own = application is not None and (row["ENTITY_TYPE"], row["ENTITY_ID"]) == ("restapp", str(application["ID"]))
    if not own:
        raise RestError("", "Access denied (invalid type of storage)", 400)
    if not name:
        raise _argument(1)
    row["NAME"] = name
    return _as_storage(row)


def _masked(given: Row) -> Row:
    """A value with % under a plain key is a mask, as the examples of this family use it."""
    made: Row = {}
    for key, value in given.items():
        masked = isinstance(value, str) and "%" in value and key[:1].isalpha()
        made[("%=" if masked else "") + key.upper() if key[:1].isalpha() else key] = value
    return made


def _list(call: Call, parent: int) -> Page:
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["disk_objects"], filter=_masked(call.mapping("filter")),
        order={key.upper(): value for key, value in call.mapping("order").items()} or {"ID": "ASC"}, columns=_COLUMNS,
        zone=call.portal.zone(), start=start, unknown=lambda key: None,
        visible=lambda row: row["PARENT_ID"] == parent and row["DELETED_TYPE"] == disk.ALIVE,
    )  # fmt: skip
    return page_of([printed(call.portal, row) for row in rows], total, following, start)


@method("disk.storage.getChildren", scope="disk", params="id filter order start")
def storage_children(call: Call) -> Page:
    return _list(call, _root(call, "read")["ID"])


@method("disk.storage.addFolder", scope="disk", params="id data rights", writes=True)
def storage_add_folder(call: Call) -> Row:
    return _add_folder(call, _root(call, "edit"))


@method("disk.storage.uploadFile", scope="disk", params="id data fileContent rights generateUniqueName", writes=True)
def storage_upload(call: Call) -> Row:
    return _upload(call, _root(call, "edit"))


# --- folders ----------------------------------------------------------------------------------------------------------


def _name_of(call: Call) -> str:
    return plain({key.upper(): value for key, value in call.mapping("data").items()}.get("NAME")).strip()


def _add_folder(call: Call, parent: Row) -> Row:
    name = _name_of(call)
    if not name:
        raise _argument(1)
    portal = call.portal
    if any(row["NAME"] == name for row in disk.children(portal, parent["ID"])):
        raise RestError("DISK_OBJ_22000", "A folder with this name already exists", 400)
    row = disk.add_object(
        portal, portal["disk_storages"].rows[parent["STORAGE_ID"]], parent["ID"], name, "folder", call.user_id
    )
    _changed(call, "create", row)
    return printed(portal, row, fresh=True)


def _upload(call: Call, parent: Row) -> Row:
    """A file by base64; without content the answer is an address for one multipart POST (field "file")."""
    portal = call.portal
    content = call.get("fileContent")
    unique = yes(call.get("generateUniqueName"))
    if content in (None, "", []):
        key = portal.secret(32)
        portal.held.setdefault("uploads", {})[key] = {
            "storage": parent["STORAGE_ID"], "folder": parent["ID"], "name": _name_of(call), "unique": unique,
            "user": call.user_id, "until": portal.now() + UPLOAD_LIFE,
        }  # fmt: skip
        return {"field": "file", "uploadUrl": f"{portal.url}/rest/upload.json?token={key}"}
    parts = as_list(content)
    name = _name_of(call)
    if not name:
        text = "Error: required parameter NAME (DISK_BASE_SERVICE_22001)"
        raise RestError("DISK_BASE_SERVICE_22001", text, 400)
    data = disk.decoded(parts[-1])
    name = disk.free_name(portal, parent["ID"], name, unique=unique)
    row = disk.add_object(
        portal, portal["disk_storages"].rows[parent["STORAGE_ID"]], parent["ID"], name, "file", call.user_id, data
    )
    _changed(call, "create", row)
    return printed(portal, row, fresh=True)


@method("disk.folder.getFields", scope="disk")
def folder_fields(call: Call) -> Row:
    return _described(
        "ID NAME TYPE CODE STORAGE_ID REAL_OBJECT_ID PARENT_ID CREATE_TIME UPDATE_TIME DELETE_TIME CREATED_BY "
        "UPDATED_BY DELETED_BY DELETED_TYPE",
        "REAL_OBJECT_ID CREATED_BY UPDATED_BY DELETED_BY",
    )


@method("disk.folder.get", scope="disk", params="id")
def folder_get(call: Call) -> Row:
    return printed(call.portal, _object(call, "folder", "read", index=1))


@method("disk.folder.getChildren", scope="disk", params="id filter order start")
def folder_children(call: Call) -> Page:
    return _list(call, _object(call, "folder", "read", index=1)["ID"])


@method("disk.folder.addSubFolder", scope="disk", params="id data rights", writes=True)
def folder_add(call: Call) -> Row:
    return _add_folder(call, _object(call, "folder", "edit", index=1))


@method("disk.folder.uploadFile", scope="disk", params="id data fileContent rights generateUniqueName", writes=True)
def folder_upload(call: Call) -> Row:
    return _upload(call, _object(call, "folder", "edit"))


def _target(call: Call, index: int) -> Row:
    return _object(call, "folder", "edit", "targetFolderId", index)


def _copy(call: Call, row: Row, target: Row) -> Row:
    portal = call.portal
    storage = portal["disk_storages"].rows[target["STORAGE_ID"]]
    name = disk.free_name(portal, target["ID"], row["NAME"], unique=False)
    inside = disk.children(portal, row["ID"]) if row["TYPE"] == "folder" else []
    made = disk.add_object(portal, storage, target["ID"], name, row["TYPE"], call.user_id, row.get("CONTENT", ""))
    for child in inside:
        _copy(call, child, made)
    return made


def _below(call: Call, row: Row, folder: Row) -> bool:
    """True when `folder` is `row` or lies in it."""
    node: Row | None = folder
    while node is not None:
        if node["ID"] == row["ID"]:
            return True
        node = call.portal["disk_objects"].get(node["PARENT_ID"])
    return False


def _declare(kind: str) -> None:
    index = int(kind == "folder")

    @method(f"disk.{kind}.copyTo", scope="disk", params="id targetFolderId", writes=True)
    def copy_to(call: Call) -> Row:
        row, target = _object(call, kind, "read", index=index), _target(call, index)
        if _below(call, row, target):
            raise RestError("DISK_OBJ_22000", "A folder with this name already exists", 400)
        made = _copy(call, row, target)
        _changed(call, "create", made)
        return printed(call.portal, made, fresh=True)

    @method(f"disk.{kind}.moveTo", scope="disk", params="id targetFolderId", writes=True)
    def move_to(call: Call) -> Row:
        row, target = _object(call, kind, "edit", index=index), _target(call, index)
        if not row["PARENT_ID"] or _below(call, row, target):
            raise RestError("", "Could not move root folder", 400)
        disk.free_name(call.portal, target["ID"], row["NAME"], unique=False)
        row |= {"PARENT_ID": target["ID"], "UPDATE_TIME": call.portal.now(), "UPDATED_BY": call.user_id}
        _move_storage(call, row, target["STORAGE_ID"])
        _changed(call, "update", row)
        return printed(call.portal, row) | {"PARENT_ID": target["ID"]}

    @method(f"disk.{kind}.rename", scope="disk", params="id newName", writes=True)
    def rename(call: Call) -> Row:
        row = _object(call, kind, "edit", index=index)
        if call.get("newName") is None:
            raise _argument(index)
        name = call.text("newName").strip()
        if not name:
            raise RestError("0", "Empty name", 400)
        if name != row["NAME"]:
            disk.free_name(call.portal, row["PARENT_ID"], name, unique=False)
            row |= {"NAME": name, "UPDATE_TIME": call.portal.now(), "UPDATED_BY": call.user_id}
            _changed(call, "update", row)
        return printed(call.portal, row)

    @method(f"disk.{kind}.markDeleted", scope="disk", params="id", writes=True)
    def mark_deleted(call: Call) -> Row:
        row = _object(call, kind, "edit" if kind == "file" else "full", index=index)
        if not row["PARENT_ID"]:
            raise RestError("DISK_OBJ_22000", "Could not delete root folder", 400)
        row |= {"DELETED_TYPE": disk.DELETED, "DELETE_TIME": call.portal.now(), "DELETED_BY": call.user_id}
        _changed(call, "update", row)
        # The examples show this as a number for folders and as text for files.
        return printed(call.portal, row) | ({"DELETED_TYPE": disk.DELETED} if kind == "folder" else {})

    @method(f"disk.{kind}.restore", scope="disk", params="id", writes=True)
    def restore(call: Call) -> Row:
        row = _object(call, kind, "edit", index=index)
        if row["DELETED_TYPE"] == disk.DELETED:
            row["NAME"] = disk.free_name(call.portal, row["PARENT_ID"], row["NAME"], unique=True)
            row |= {"DELETED_TYPE": disk.ALIVE, "UPDATE_TIME": call.portal.now()}
            _changed(call, "update", row)
        return printed(call.portal, row) | {"DELETED_TYPE": row["DELETED_TYPE"]}

    @method(f"disk.{kind}.getExternalLink", scope="disk", params="id")
    def external_link(call: Call) -> str:
        row = _object(call, kind, "read", index=index)
        return f"{call.portal.url}/~{row['KEY'][:10]}"


def _move_storage(call: Call, row: Row, storage: int) -> None:
    row["STORAGE_ID"] = storage
    for child in call.portal["disk_objects"].where(PARENT_ID=row["ID"]):
        _move_storage(call, child, storage)


_declare("folder")
_declare("file")


def remove(call: Call, row: Row) -> None:
    """Delete an object with what lies in it, its versions and its attachments."""
    for child in list(call.portal["disk_objects"].where(PARENT_ID=row["ID"])):
        remove(call, child)
    for name in ("disk_versions", "attached"):
        for other in list(call.portal[name].where(OBJECT_ID=row["ID"])):
            call.portal[name].remove(other["ID"])
    call.portal["disk_objects"].remove(row["ID"])
    _changed(call, "delete", row)


@method("disk.folder.deleteTree", scope="disk", params="id", writes=True)
def folder_delete(call: Call) -> bool:
    row = _object(call, "folder", "full", index=1)
    if not row["PARENT_ID"]:
        raise RestError("DISK_OBJ_22000", "Could not delete root folder", 400)
    remove(call, row)
    return True


@method("disk.folder.shareToUser", scope="disk", params="id userId taskName", writes=True)
def folder_share(call: Call) -> bool:
    row = _object(call, "folder", "full", index=1)
    user = call.portal.user(as_int(call.get("userId")))
    if user is None or not call.text("taskName"):
        raise _argument(1)
    if call.text("taskName") not in _RIGHTS:
        raise _denied()
    row["SHARED"][str(user["ID"])] = _RIGHTS[call.text("taskName")]
    return True


# --- files ------------------------------------------------------------------------------------------------------------


@method("disk.file.getFields", scope="disk")
def file_fields(call: Call) -> Row:
    return _described(
        "ID NAME TYPE CODE STORAGE_ID PARENT_ID CREATE_TIME UPDATE_TIME DELETE_TIME CREATED_BY UPDATED_BY DELETED_BY "
        "GLOBAL_CONTENT_VERSION FILE_ID SIZE DELETED_TYPE",
        "CREATED_BY UPDATED_BY DELETED_BY GLOBAL_CONTENT_VERSION FILE_ID SIZE",
    )


@method("disk.file.get", scope="disk", params="id")
def file_get(call: Call) -> Row:
    return printed(call.portal, _object(call, "file", "read"))


@method("disk.file.delete", scope="disk", params="id", writes=True)
def file_delete(call: Call) -> bool:
    remove(call, _object(call, "file", "full"))
    return True


@method("disk.file.uploadVersion", scope="disk", params="id fileContent", writes=True)
def file_version(call: Call) -> Row:
    row = _object(call, "file", "edit")
    parts = as_list(call.get("fileContent"))
    if len(parts) < 2:
        raise _argument(0)
    disk.new_version(call.portal, row, plain(parts[0]) or row["NAME"], disk.decoded(parts[1]), call.user_id)
    _changed(call, "update", row)
    return printed(call.portal, row) | {"GLOBAL_CONTENT_VERSION": row["GLOBAL_CONTENT_VERSION"]}


def _version(portal: Portal, row: Row) -> Row:
    return {
        "ID": str(row["ID"]), "OBJECT_ID": str(row["OBJECT_ID"]), "SIZE": str(row["SIZE"]), "NAME": row["NAME"],
        "GLOBAL_CONTENT_VERSION": str(row["GLOBAL_CONTENT_VERSION"]), "CREATE_TIME": portal.iso(row["CREATE_TIME"]),
        "CREATED_BY": str(row["CREATED_BY"]), "DOWNLOAD_URL": download(portal, row, "version"),
    }  # fmt: skip


_VERSION = {name: Column(name, "int") for name in ("ID", "OBJECT_ID", "SIZE", "CREATED_BY", "GLOBAL_CONTENT_VERSION")}
_VERSION |= {"NAME": Column("NAME"), "CREATE_TIME": Column("CREATE_TIME", "time")}


@method("disk.file.getVersions", scope="disk", params="id filter start")
def file_versions(call: Call) -> Page:
    row = _object(call, "file", "read")
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["disk_versions"], filter=_masked(call.mapping("filter")), order={"ID": "DESC"}, columns=_VERSION,
        zone=call.portal.zone(), start=start, unknown=lambda key: None,
        visible=lambda one: one["OBJECT_ID"] == row["ID"],
    )  # fmt: skip
    return page_of([_version(call.portal, one) for one in rows], total, following, start)


@method("disk.file.restoreFromVersion", scope="disk", params="id versionId", writes=True)
def file_restore_version(call: Call) -> Row:
    row = _object(call, "file", "full")
    value = call.get("versionId")
    if value in (None, "") or isinstance(value, (dict, list)):
        raise _argument(0)
    version = call.portal["disk_versions"].get(as_int(value))
    if version is None:
        raise _not_found(value)
    if version["OBJECT_ID"] != row["ID"]:
        raise RestError("DISK_FILE_22004", "Cannot restore version from another file", 400)
    disk.new_version(call.portal, row, row["NAME"], version["CONTENT"], call.user_id)
    return printed(call.portal, row) | {"GLOBAL_CONTENT_VERSION": row["GLOBAL_CONTENT_VERSION"]}


@method("disk.version.get", scope="disk", params="id")
def version_get(call: Call) -> Row:
    value = call.get("id")
    if value in (None, "") or as_int(value) is None:
        raise RestError("ERROR_ARGUMENT", "Invalid value of parameter `id`", 400)
    version = call.portal["disk_versions"].get(as_int(value))
    row = call.portal["disk_objects"].get(version["OBJECT_ID"]) if version else None
    if version is None or row is None:
        raise _not_found(value)
    if not disk.level(call.portal, row, call.user):
        raise _denied()
    return _version(call.portal, version)


@method("disk.file.search", scope="disk", params="QUERY TYPE FILTER start")
def file_search(call: Call) -> list[Row]:
    if call.get("QUERY") is None:
        raise RestError("ERROR_ARGUMENT", "Invalid value of parameter { Parameter #0 [ <required> $QUERY ] }.", 400)
    query = call.text("QUERY").strip().casefold()
    if not 3 <= len(query) <= 25:
        raise RestError("INVALID_QUERY", "Search query is invalid. (INVALID_QUERY).", 400)
    kind = call.text("TYPE") or "all"
    if kind not in ("file", "folder", "all"):
        raise RestError("INVALID_TYPE", "Search result type is invalid. (INVALID_TYPE).", 400)
    given = call.mapping("FILTER")
    if set(given) - {"STORAGE_ID", "FOLDER_ID"}:
        raise RestError("INVALID_FILTER", "Search filter contains an unknown field. (INVALID_FILTER).", 400)
    storage = as_int(given.get("STORAGE_ID"))
    folder = call.portal["disk_objects"].get(as_int(given.get("FOLDER_ID")))
    if ("STORAGE_ID" in given and call.portal["disk_storages"].get(storage) is None) or (
        "FOLDER_ID" in given and folder is None
    ):
        raise RestError("NOT_FOUND", "Search scope was not found. (NOT_FOUND).", 400)
    found = [
        row
        for row in call.portal["disk_objects"]
        if row["PARENT_ID"]
        and row["DELETED_TYPE"] == disk.ALIVE
        and query in row["NAME"].casefold()
        and kind in ("all", row["TYPE"])
        and (storage is None or row["STORAGE_ID"] == storage)
        and (folder is None or _below(call, folder, row))
        and disk.level(call.portal, row, call.user)
    ]
    return [printed(call.portal, row) for row in found[:50]]


@method("disk.rights.getTasks", scope="disk")
def rights_tasks(call: Call) -> list[Row]:
    titles = {"disk_access_read": "Чтение", "disk_access_add": "Добавление", "disk_access_edit": "Редактирование",
        "disk_access_full": "Полный доступ"}  # fmt: skip
    return [
        {"ID": str(71 + 2 * index), "NAME": name, "TITLE": title} for index, (name, title) in enumerate(titles.items())
    ]


def _reads_owner(call: Call, kind: str, number: int) -> bool:
    """Whether the caller may read the task, the epic or the template (or the one of that item of a check-list)."""
    from sandbox import scrum, tasks, templates

    portal = call.portal
    if kind == "tasks_task":
        task = portal["tasks"].get(number)
        return task is not None and tasks.can_read(portal, task, call.user)
    if kind == scrum.FILES:
        epic = portal["scrum_epics"].get(number)
        return epic is not None and scrum.can_enter(portal, epic["GROUP_ID"], call.user)
    if kind == templates.ITEM_FILES:
        number = (portal["template_checklist"].get(number) or {"TEMPLATE_ID": 0})["TEMPLATE_ID"]
    template = portal["task_templates"].get(number)
    return template is not None and templates.can_read(portal, template, call.user)


@method("disk.attachedObject.get", scope="disk", params="id")
def attached_get(call: Call) -> Row:
    value = call.get("id")
    row = call.portal["attached"].get(as_int(value))
    file = call.portal["disk_objects"].get(row["OBJECT_ID"]) if row else None
    if row is None or file is None:
        raise _not_found(value if not isinstance(value, (dict, list)) else "")
    # A state file of an older portal has attachments of tasks alone.
    kind, number = row.get("ENTITY_TYPE", "tasks_task"), row["ENTITY_ID" if "ENTITY_ID" in row else "TASK_ID"]
    if not _reads_owner(call, kind, number) and not disk.level(call.portal, file, call.user):
        raise _denied()
    return {
        "ID": str(row["ID"]), "OBJECT_ID": str(file["ID"]), "MODULE_ID": "tasks", "ENTITY_TYPE": kind,
        "ENTITY_ID": str(number), "CREATE_TIME": call.portal.iso(row["CREATED"]),
        "CREATED_BY": str(row["CREATED_BY"]), "DOWNLOAD_URL": download(call.portal, file), "NAME": file["NAME"],
        "SIZE": str(file["SIZE"]),
    }  # fmt: skip
