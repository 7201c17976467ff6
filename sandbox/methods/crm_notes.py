"""What stands beside comments in a timeline: log messages, icons and logos, notes, bindings, pins, blocks of content.

api-reference/crm/timeline: logmessage, note, bindings, actions, layout-blocks, comments
"""

from __future__ import annotations

import base64
import binascii

from sandbox import crm
from sandbox.crm_kinds import WORD, exists, item_of, kind_of
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_map, method, plain
from sandbox.userfields import refused

_SYSTEM_CODES = ("call", "arrow-down", "arrow-up", "comment", "mail", "task", "document", "clock", "settings")
_PINS = 3
WRONG_CONTEXT = "ERROR_WRONG_CONTEXT"


def owner(call: Call, kind: int | None, number: int | None, *, change: bool) -> tuple[int, Row]:
    """The item to which something is bound. OWNER_NOT_FOUND or ACCESS_DENIED else."""
    item = item_of(call.portal, kind, number)
    if kind is None or item is None:
        raise RestError("OWNER_NOT_FOUND", "Owner was not found", 400)
    if not (crm.can_change if change else crm.can_read)(call.user, kind, item):
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)
    return kind, item


def context(call: Call) -> str:
    """The client id of the application that calls; ERROR_WRONG_CONTEXT for a webhook."""
    if call.application is None:
        raise RestError(WRONG_CONTEXT, "Вызов метода возможен только в контексте rest-приложения", 400)
    return str(call.application["CLIENT_ID"])


# --- log messages -----------------------------------------------------------------------------------------------------


def _message(call: Call, row: Row) -> Row:
    return {
        "id": row["ID"], "created": call.portal.iso(row["CREATED"]), "authorId": row["AUTHOR_ID"],
        "title": row["TITLE"], "text": row["TEXT"], "iconCode": row["ICON"],
    }  # fmt: skip


def _message_found(call: Call, *, change: bool) -> Row:
    number = as_int(call.get("id"))
    row = call.portal["log_messages"].get(number)
    if row is None:
        raise RestError("NOT_FOUND", f"Timeline logmessage not found for id {plain(call.get('id'))}", 400)
    owner(call, row["ENTITY_TYPE_ID"], row["ENTITY_ID"], change=change)
    return row


@method("crm.timeline.logmessage.add", scope="crm", params="fields!", style="controller", writes=True)
def message_add(call: Call) -> Row:
    given = call.mapping("fields")
    for name in ("entityTypeId", "entityId", "title", "text", "iconCode"):
        if not plain(given.get(name)).strip():
            raise RestError("100", f"Could not find value for parameter {{{name}}}")
    kind, item = owner(call, as_int(given["entityTypeId"]), as_int(given["entityId"]), change=True)
    # Comments and log messages are entries of one timeline: their ids never meet.
    call.portal["comments"].last += 1
    row = call.portal["log_messages"].add(
        {
            "ID": call.portal["comments"].last, "ENTITY_TYPE_ID": kind, "ENTITY_ID": item["ID"],
            "CREATED": call.portal.now(), "AUTHOR_ID": call.user_id, "TITLE": plain(given["title"]),
            "TEXT": plain(given["text"]), "ICON": plain(given["iconCode"]), "OWNER": call.owner,
        }
    )  # fmt: skip
    crm.touch(call.portal, kind, item["ID"], call.user_id)
    call.portal.effect("create", "log_message", row["ID"], call.user_id, "rest", owner=crm.word(kind, item["ID"]))
    return {"logMessage": _message(call, row)}


@method("crm.timeline.logmessage.get", scope="crm", params="id!", style="controller")
def message_get(call: Call) -> Row:
    return {"logMessage": _message(call, _message_found(call, change=False))}


@method("crm.timeline.logmessage.list", scope="crm", params="entityTypeId! entityId! order start", style="controller")
def message_list(call: Call) -> Page:
    kind, number = as_int(call.get("entityTypeId")), as_int(call.get("entityId"))
    item = item_of(call.portal, kind, number)
    readable = kind is not None and item is not None and crm.can_read(call.user, kind, item)
    columns = {"id": Column("ID", "int"), "created": Column("CREATED", "time"), "authorId": Column("AUTHOR_ID", "int")}
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["log_messages"], filter={}, order=call.mapping("order"), columns=columns, zone=call.portal.zone(),
        start=start, key="id",
        visible=lambda row: readable and row["ENTITY_TYPE_ID"] == kind and row["ENTITY_ID"] == number,
    )  # fmt: skip
    return page_of([_message(call, row) for row in rows], total, following, start)


@method("crm.timeline.logmessage.delete", scope="crm", params="id!", style="controller", writes=True)
def message_delete(call: Call) -> bool:
    row = _message_found(call, change=True)
    if row["OWNER"] != call.owner:
        raise RestError("REMOVING_DISABLED", "Запись создана в контексте другого приложения", 400)
    call.portal["log_messages"].remove(row["ID"])
    return True


# --- icons and logos --------------------------------------------------------------------------------------------------


def _serve_pictures(word: str) -> None:
    table = f"timeline_{word}s"

    def shown(row: Row) -> Row:
        return {"code": row["CODE"], "isSystem": False, "fileUri": row["URI"]}

    def found(call: Call) -> Row:
        code = plain(call.get("code"))
        row = call.portal[table].first(CODE=code)
        if row is None:
            raise RestError("NOT_FOUND", f"{word.title()} not found for code `{code}`", 400)
        return row

    def manage(call: Call) -> None:
        if not call.admin:
            raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)

    @method(f"crm.timeline.{word}.add", scope="crm", params="code! fileContent!", style="controller", writes=True)
    def add(call: Call) -> Row:
        manage(call)
        code, content = plain(call.get("code")), plain(call.get("fileContent"))
        try:
            size = len(base64.b64decode(content, validate=False))
        except (binascii.Error, ValueError):
            size = 0
        if not size or not code or code in _SYSTEM_CODES:
            raise RestError("INVALID_ARG_VALUE", "Invalid value of parameter {fileContent}", 400)
        row = call.portal[table].first(CODE=code) or call.portal[table].add({"CODE": code})
        row |= {"CONTENT": content, "URI": f"/upload/crm/{call.portal.secret(3)}/{call.portal.secret(32)}"}
        return {word: shown(row)}

    @method(f"crm.timeline.{word}.get", scope="crm", params="code!", style="controller")
    def get(call: Call) -> Row:
        if plain(call.get("code")) in _SYSTEM_CODES:
            return {word: {"code": plain(call.get("code")), "isSystem": True, "fileUri": ""}}
        return {word: shown(found(call))}

    @method(f"crm.timeline.{word}.list", scope="crm", style="controller")
    def listed(call: Call) -> Page:
        rows: list[Row] = [{"code": code, "isSystem": True, "fileUri": ""} for code in _SYSTEM_CODES]
        rows += [shown(row) for row in call.portal[table]]
        return Page({f"{word}s": rows}, len(rows))

    @method(f"crm.timeline.{word}.delete", scope="crm", params="code!", style="controller", writes=True)
    def delete(call: Call) -> bool:
        manage(call)
        call.portal[table].remove(found(call)["ID"])
        return True


for _word in ("icon", "logo"):
    _serve_pictures(_word)


# --- notes ------------------------------------------------------------------------------------------------------------


def entry_of(call: Call, number: int | None) -> Row | None:
    """{kind, number} of the item in whose timeline that comment or log message stands; None when there is none."""
    comment = call.portal["comments"].get(number)
    if comment is not None:
        return {"kind": kind_of(comment["ENTITY_TYPE"]), "number": comment["ENTITY_ID"], "comment": comment}
    message = call.portal["log_messages"].get(number)
    return {"kind": message["ENTITY_TYPE_ID"], "number": message["ENTITY_ID"]} if message is not None else None


def _stands(call: Call, kind: int, number: int, entry: int | None) -> bool:
    found = entry_of(call, entry)
    if found is None:
        return False
    bound = (found.get("comment") or {}).get("BINDINGS") or []
    places = {(found["kind"], found["number"]), *((kind_of(one["ENTITY_TYPE"]), one["ENTITY_ID"]) for one in bound)}
    return (kind, number) in places


def _note_place(call: Call, *, change: bool) -> Row:
    kind, item = as_int(call.get("ownerTypeId")), as_int(call.get("ownerId"))
    record = item_of(call.portal, kind, item)
    type_id, number = as_int(call.get("itemType")), as_int(call.get("itemId"))
    if kind is None or record is None:
        raise RestError("NOT_FOUND", "Элемент не найден", 400)
    if not (crm.can_change if change else crm.can_read)(call.user, kind, record):
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)
    if type_id == 1:
        there = _stands(call, kind, record["ID"], number)
    else:
        there = type_id == 2 and bound_activity(call, kind, record["ID"], number) is not None
    if not there:
        raise RestError("NOT_FOUND", "Элемент не найден", 400)
    return {"ITEM_TYPE": type_id, "ITEM_ID": number}


def bound_activity(call: Call, kind: int, number: int, activity_id: int | None) -> Row | None:
    """The activity of that id, when it is bound to the item."""
    row = call.portal["activities"].get(activity_id)
    if row is None:
        return None
    bound = any(one["OWNER_TYPE_ID"] == kind and one["OWNER_ID"] == number for one in row["BINDINGS"])
    return row if bound else None


_NOTE = "ownerTypeId! ownerId! itemType! itemId!"


@method("crm.timeline.note.save", scope="crm", params=f"{_NOTE} text!", style="controller", writes=True)
def note_save(call: Call) -> bool:
    place = _note_place(call, change=True)
    now = call.portal.now()
    row = call.portal["notes"].first(**place)
    if row is None:
        row = call.portal["notes"].add({**place, "CREATED_BY": call.user_id, "CREATED": now})
    row |= {"TEXT": plain(call.get("text")), "UPDATED_BY": call.user_id, "UPDATED": now}
    return True


def _note(call: Call, *, change: bool) -> Row:
    row = call.portal["notes"].first(**_note_place(call, change=change))
    if row is None:
        raise RestError("NOT_FOUND", "Элемент не найден", 400)
    return row


@method("crm.timeline.note.get", scope="crm", params=_NOTE, style="controller")
def note_get(call: Call) -> Row:
    row = _note(call, change=False)
    return {
        "text": row["TEXT"], "createdById": row["CREATED_BY"], "createdTime": call.portal.iso(row["CREATED"]),
        "updatedById": row["UPDATED_BY"], "updatedTime": call.portal.iso(row["UPDATED"]),
    }  # fmt: skip


@method("crm.timeline.note.delete", scope="crm", params=_NOTE, style="controller", writes=True)
def note_delete(call: Call) -> bool:
    call.portal["notes"].remove(_note(call, change=True)["ID"])
    return True


# --- pins -------------------------------------------------------------------------------------------------------------


def _pin_place(call: Call) -> Row:
    kind, item = owner(call, as_int(call.get("ownerTypeId")), as_int(call.get("ownerId")), change=True)
    number = as_int(call.get("id"))
    if not _stands(call, kind, item["ID"], number):
        raise RestError("NOT_FOUND", "Not found.", 400)
    return {"KIND": kind, "OWNER_ID": item["ID"], "ENTRY_ID": number}


@method("crm.timeline.item.pin", scope="crm", params="id! ownerTypeId! ownerId!", style="controller", writes=True)
def pin(call: Call) -> None:
    place = _pin_place(call)
    pins = list(call.portal["pins"].where(KIND=place["KIND"], OWNER_ID=place["OWNER_ID"]))
    if any(row["ENTRY_ID"] == place["ENTRY_ID"] for row in pins):
        return
    if len(pins) >= _PINS:
        raise RestError(0, "Закрепить можно не больше трёх событий", 400)
    call.portal["pins"].add(place)


@method("crm.timeline.item.unpin", scope="crm", params="id! ownerTypeId! ownerId!", style="controller", writes=True)
def unpin(call: Call) -> None:
    row = call.portal["pins"].first(**_pin_place(call))
    if row is None:
        raise RestError("CAN_NOT_CHANGE_PINNED", "Не удалось выполнить операцию", 400)
    call.portal["pins"].remove(row["ID"])


# --- bindings of comments ---------------------------------------------------------------------------------------------


def _binding(call: Call) -> tuple[Row, str, int]:
    given = {key.upper(): value for key, value in as_map(call.get("fields")).items()}
    comment = call.portal["comments"].get(as_int(given.get("OWNER_ID")))
    if comment is None:
        raise refused("OWNER_ID is not defined or invalid.")
    number = as_int(given.get("ENTITY_ID"))
    if number is None or number <= 0:
        raise refused("ENTITY_ID is not defined or invalid.")
    kind = kind_of(plain(given.get("ENTITY_TYPE")))
    if kind is None or not exists(call.portal, kind):
        raise refused("ENTITY_TYPE is not defined or invalid.")
    item = item_of(call.portal, kind, number)
    if item is None or not crm.can_change(call.user, kind, item):
        raise refused("Access denied.")
    return comment, WORD[kind].lower(), number


def _places(comment: Row) -> list[Row]:
    first = {"ENTITY_TYPE": comment["ENTITY_TYPE"], "ENTITY_ID": comment["ENTITY_ID"]}
    return [first, *(comment.get("BINDINGS") or [])]


@method("crm.timeline.bindings.bind", scope="crm", params="fields", writes=True)
def bind(call: Call) -> bool:
    comment, word, number = _binding(call)
    place = {"ENTITY_TYPE": word, "ENTITY_ID": number}
    if place not in _places(comment):
        comment["BINDINGS"] = [*(comment.get("BINDINGS") or []), place]
    return True


@method("crm.timeline.bindings.unbind", scope="crm", params="fields", writes=True)
def unbind(call: Call) -> bool:
    comment, word, number = _binding(call)
    left = [one for one in _places(comment) if one != {"ENTITY_TYPE": word, "ENTITY_ID": number}]
    if len(left) == len(_places(comment)) or not left:
        raise refused("Not found.")
    comment |= left[0]
    comment["BINDINGS"] = left[1:]
    return True


@method("crm.timeline.bindings.list", scope="crm", params="filter order select start")
def bindings_list(call: Call) -> Page:
    given = {key.upper().lstrip("="): value for key, value in call.mapping("filter").items()}
    comment = call.portal["comments"].get(as_int(given.get("OWNER_ID")))
    if comment is None:
        raise refused("OWNER_ID is not defined or invalid.")
    made = [
        {"OWNER_ID": str(comment["ID"]), "ENTITY_ID": str(one["ENTITY_ID"]), "ENTITY_TYPE": one["ENTITY_TYPE"]}
        for one in _places(comment)
    ]
    return Page(made, len(made))


def _described(facts: dict[str, tuple[str, str, str]]) -> Row:
    return {
        name: {
            "type": kind, "isRequired": "q" in flags, "isReadOnly": "r" in flags, "isImmutable": "i" in flags,
            "isMultiple": "m" in flags, "isDynamic": False, "title": title,
        }
        for name, (kind, flags, title) in facts.items()
    }  # fmt: skip


@method("crm.timeline.bindings.fields", scope="crm")
def bindings_fields(call: Call) -> Row:
    return _described(
        {
            "OWNER_ID": ("integer", "qi", "Запись таймлайна"), "ENTITY_ID": ("integer", "qi", "Элемент"),
            "ENTITY_TYPE": ("string", "qi", "Тип элемента"),
        }
    )  # fmt: skip


@method("crm.timeline.comment.fields", scope="crm")
def comment_fields(call: Call) -> Row:
    return _described(
        {
            "ID": ("integer", "r", "ID"), "CREATED": ("datetime", "r", "Дата добавления"),
            "ENTITY_ID": ("integer", "qi", "Элемент, к которому привязан комментарий"),
            "ENTITY_TYPE": ("string", "qi", "Тип элемента"), "AUTHOR_ID": ("integer", "i", "Автор"),
            "COMMENT": ("string", "", "Текст комментария"), "FILES": ("attached_diskfile", "m", "Файлы"),
        }
    )  # fmt: skip


# --- blocks of content ------------------------------------------------------------------------------------------------


def layout_of(call: Call) -> Row:
    """The layout that a caller gives, when it has blocks. FIELD_IS_REQUIRED else."""
    layout = as_map(call.get("layout"))
    blocks = as_map(layout.get("blocks"))
    if not blocks:
        raise RestError("FIELD_IS_REQUIRED", 'Поле "blocks" в RestAppLayoutDto должно быть заполнено.', 400)
    return {"blocks": blocks}


def serve_blocks(prefix: str, parameter: str, holder: str) -> None:
    """set, get, delete of additional blocks; each application has one set of its own per entry or activity."""

    def place(call: Call, *, change: bool) -> Row:
        client_id = context(call)
        kind, item = owner(call, as_int(call.get("entityTypeId")), as_int(call.get("entityId")), change=change)
        number = as_int(call.get(parameter))
        if holder == "activity":
            activity = bound_activity(call, kind, item["ID"], number)
            there = activity is not None
            if activity is not None and activity["PROVIDER_ID"] == "CONFIGURABLE_REST_APP":
                raise RestError("UNSUITABLE_ACTIVITY_TYPE_ERROR", "Тип дела не подходит для добавления блоков", 400)
        else:
            there = _stands(call, kind, item["ID"], number)
        if not there:
            raise RestError("NOT_FOUND", "Элемент не найден", 400)
        return {"CLIENT_ID": client_id, "HOLDER": holder, "NUMBER": number}

    names = f"entityTypeId! entityId! {parameter}!"

    @method(f"{prefix}.set", scope="crm", params=f"{names} layout!", style="controller", writes=True)
    def set_(call: Call) -> Row:
        where = place(call, change=True)
        layout = layout_of(call)
        row = call.portal["layout_blocks"].first(**where) or call.portal["layout_blocks"].add(where)
        row["LAYOUT"] = layout
        return {"success": True}

    @method(f"{prefix}.get", scope="crm", params=names, style="controller")
    def get(call: Call) -> Row:
        row = call.portal["layout_blocks"].first(**place(call, change=False))
        return {"layout": row["LAYOUT"] if row is not None else None}

    @method(f"{prefix}.delete", scope="crm", params=names, style="controller", writes=True)
    def delete(call: Call) -> Row:
        row = call.portal["layout_blocks"].first(**place(call, change=True))
        if row is None:
            raise RestError("NOT_FOUND", "Элемент не найден", 400)
        call.portal["layout_blocks"].remove(row["ID"])
        return {"success": True}


serve_blocks("crm.timeline.layout.blocks", "timelineId", "entry")
serve_blocks("crm.activity.layout.blocks", "activityId", "activity")
