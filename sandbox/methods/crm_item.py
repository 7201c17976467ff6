"""crm.item.* for leads, deals, contacts and companies (api-reference/crm/universal)."""

from __future__ import annotations

from typing import Any

from sandbox import crm, crm_fields
from sandbox.crm_kinds import COMPANY, LEAD, check_type
from sandbox.filters import Column, Columns, check_order, comparable, page_of, select_rows, split_key
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes
from sandbox.portal import Portal


def _denied(text: str) -> RestError:
    return RestError("ACCESS_DENIED", text, 400)


def _found(call: Call) -> tuple[int, Row]:
    kind = check_type(call.portal, as_int(call.get("entityTypeId")))
    row = call.portal[kind].get(as_int(call.get("id")))
    if row is None:
        raise RestError("NOT_FOUND", "Элемент не найден")
    return kind, row


def _original(call: Call) -> bool:
    return yes(call.get("useOriginalUfNames"))


def _fields(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, (dict, list)):
        raise RestError(
            "100",
            f"Invalid value {{{plain(value)}}} to match with parameter {{fields}}. Should be value of type array.",
        )
    return as_map(value)


@method("crm.item.add", scope="crm", params="entityTypeId! fields! useOriginalUfNames", style="controller", writes=True)
def item_add(call: Call) -> Row:
    kind = check_type(call.portal, as_int(call.get("entityTypeId")))
    values, comms = crm_fields.read_fields(call.portal, kind, _fields(call), names="item", new=True)
    row = crm.create(call.portal, kind, values, comms, call.actor)
    if "LEAD_NUMBER" in row:
        # Simple mode: the lead is gone when the answer is made, only its number is left.
        return {"item": {"id": row["LEAD_NUMBER"], "entityTypeId": kind}}
    return {"item": crm_fields.as_item(call.portal, kind, row, original=_original(call))}


# What only an import may set: who and when, as it was in the system that the data comes from.
_IMPORTED = {
    "createdTime": "DATE_CREATE", "createdBy": "CREATED_BY_ID", "updatedTime": "DATE_MODIFY",
    "updatedBy": "MODIFY_BY_ID", "movedTime": "MOVED_TIME", "movedBy": "MOVED_BY_ID",
}  # fmt: skip


def _imported(call: Call, kind: int, given: Row) -> Row:
    """Store one item without automation; its own authors and times are kept."""
    values, comms = crm_fields.read_fields(call.portal, kind, given, names="item", new=True)
    facts = crm_fields.fields_of(call.portal, kind)
    own = {
        key: crm_fields.parse(call.portal, facts[key], given[name])
        for name, key in _IMPORTED.items()
        if given.get(name) and key in facts
    }
    row = crm.create(call.portal, kind, {**values, **own}, comms, call.actor, defer=True)
    if "LEAD_NUMBER" not in row:
        row.update(own)
    return {"item": {"id": row["LEAD_NUMBER"] if "LEAD_NUMBER" in row else row["ID"]}}


@method(
    "crm.item.import", scope="crm", params="entityTypeId! fields! useOriginalUfNames", style="controller", writes=True
)
def item_import(call: Call) -> Row:
    kind = check_type(call.portal, as_int(call.get("entityTypeId")))
    return _imported(call, kind, _fields(call))


@method(
    "crm.item.batchImport", scope="crm", params="entityTypeId! data! useOriginalUfNames", style="controller",
    writes=True,
)  # fmt: skip
def item_batch_import(call: Call) -> Row:
    kind = check_type(call.portal, as_int(call.get("entityTypeId")))
    data = call.get("data")
    if not isinstance(data, (dict, list)):
        raise RestError("100", "Invalid value to match with parameter {data}. Should be value of type array.")
    listed = as_list(data)
    if len(listed) > 20:
        raise RestError("MAX_IMPORT_BATCH_SIZE_EXCEEDED", "Нельзя импортировать больше 20 элементов", 400)
    made: list[Row] = []
    for one in listed:
        try:
            made.append(_imported(call, kind, as_map(one)))
        except RestError as error:
            made.append({"error": error.code, "error_description": error.description})
    call.cost *= max(1, len(made))
    return {"items": made}


@method("crm.item.get", scope="crm", params="entityTypeId! id! useOriginalUfNames", style="controller")
def item_get(call: Call) -> Row:
    kind, row = _found(call)
    if not crm.can_read(call.user, kind, row):
        raise _denied("У вас нет прав на просмотр элемента")
    return {"item": crm_fields.as_item(call.portal, kind, row, original=_original(call))}


@method(
    "crm.item.update",
    scope="crm",
    params="entityTypeId! id! fields! useOriginalUfNames",
    style="controller",
    writes=True,
)
def item_update(call: Call) -> Row:
    given = _fields(call)
    kind, row = _found(call)
    if not crm.can_change(call.user, kind, row):
        raise _denied("Доступ запрещён")
    values, comms = crm_fields.read_fields(call.portal, kind, given, names="item", new=False)
    crm.update(call.portal, kind, row, values, comms, call.actor)
    return {"item": crm_fields.as_item(call.portal, kind, row, original=_original(call))}


@method("crm.item.delete", scope="crm", params="entityTypeId! id!", style="controller", writes=True)
def item_delete(call: Call) -> list[Any]:
    kind, row = _found(call)
    if not crm.can_read(call.user, kind, row) or not crm.can_delete(call.user, kind, row):
        raise _denied("У вас нет прав на удаление элемента")
    crm.delete(call.portal, kind, row, call.actor)
    return []


@method(
    "crm.item.list",
    scope="crm",
    params="entityTypeId! select filter order start useOriginalUfNames",
    style="controller",
)
def item_list(call: Call) -> Page:
    portal = call.portal
    kind = check_type(portal, as_int(call.get("entityTypeId")))
    order = as_map(call.get("order"))
    columns = crm_fields.columns(portal, kind, "item")
    check_order(order, columns)

    def refuse(key: str) -> None:
        raise RestError("INVALID_ARG_VALUE", f"Invalid filter: field '{split_key(key)[1]}' is not allowed in filter")

    start = call.integer("start")
    conditions = as_map(call.get("filter"))
    _check(portal, conditions, columns)
    rows, total, following = select_rows(
        portal[kind], filter=_upper_id(conditions), order=_upper_id(order),
        columns=columns | {"ID": columns["id"]},
        zone=portal.zone(), start=start, unknown=refuse,
        visible=None if call.admin or not call.user["OWN_LEADS_ONLY"] else lambda row: crm.can_read(call.user, kind,
            row),
    )  # fmt: skip
    selected = [plain(name) for name in as_list(call.get("select"))]
    only: set[str] | None = None
    if selected and "*" not in selected:
        known = {one.upper: one.camel for one in crm_fields.fields_of(portal, kind).values() if one.camel}
        only = {"id", *(known.get(name, name) for name in selected)} - {"fm"}  # it comes with "*" alone
        if "UF_*" in only or "ufCrm*" in only:
            only |= {one.camel for one in crm_fields.fields_of(portal, kind).values() if one.user}
    items = [crm_fields.as_item(portal, kind, row, original=_original(call), only=only) for row in rows]
    return page_of({"items": items}, total, following, start)


def _check(portal: Portal, conditions: Row, columns: Columns) -> None:
    """Refuse a value that a field cannot be compared with; a part of a text may be anything.

    Custom flags are asked for by 1 and 0: "Format Y or N ... is not supported" (crm-item-list.md).
    """
    for key, value in conditions.items():
        operator, name = split_key(key)
        column = columns.get(name)
        if column is None and isinstance(value, (dict, list)):
            _check(portal, as_map(value), columns)
        if column is None or "%" in operator:
            continue
        listed = value.split(",") if operator == "@" and isinstance(value, str) else as_list(value)
        if not all(_comparable(portal, column, one) for one in listed):
            raise RestError("INVALID_ARG_VALUE", f"Invalid filter: field '{name}' has invalid value")


def _comparable(portal: Portal, column: Column, value: Any) -> bool:
    if value in (None, "", False) or isinstance(value, (dict, list)):
        return True
    match column.kind:
        case "int":
            return as_int(value) is not None
        case "float" | "time" | "date":
            return comparable(column, value, portal.zone()) is not None
        case "flag":
            return not column.name.startswith("UF_") or plain(value) in ("0", "1")
    return True


def _upper_id(given: Row) -> Row:
    """`id` with any prefix as `ID`, the name by which lists know the primary key."""
    made: Row = {}
    for key, value in given.items():
        name = split_key(key)[1]
        made[key[: len(key) - 2] + "ID" if name == "id" and key.endswith("id") else key] = value
    return made


def field_facts(one: crm_fields.Field, *, item: bool) -> Row:
    """The description of a field in crm.item.fields (types as there) or in the classic .fields."""
    kind = one.type
    if item:
        kind = {"char": "boolean"}.get(kind, kind)
    elif kind == "text":
        kind = "string"
    if one.user:
        kind = one.user["USER_TYPE_ID"]
    facts: Row = {
        "type": kind,
        "isRequired": (one.key in ("OPENED",) and item) or one.user.get("MANDATORY") == "Y",
        "isReadOnly": "r" in one.flags or "x" in one.flags,
        "isImmutable": "i" in one.flags,
        "isMultiple": "m" in one.flags,
        "isDynamic": bool(one.user),
    }
    if one.status:
        facts["statusType"] = one.status
    facts["title"] = one.title
    if one.user:
        label = one.user.get("EDIT_FORM_LABEL") or {}
        text = label.get("ru") if isinstance(label, dict) else label
        facts |= {"listLabel": text or one.name, "formLabel": text or one.name, "filterLabel": text or one.name}
        facts["settings"] = one.user.get("SETTINGS") or {}
        if one.user.get("LIST"):
            facts["items"] = [{"ID": str(entry["ID"]), "VALUE": entry["VALUE"]} for entry in one.user["LIST"]]
    elif one.key == "MYCOMPANY_ID":
        facts["settings"] = {"parentEntityTypeId": COMPANY, "isMyCompany": True, "isEmbeddedEditorEnabled": True}
    elif one.type == "crm_company" and "m" not in one.flags:
        facts["settings"] = {"parentEntityTypeId": COMPANY}
    elif one.type in ("crm_lead", "crm_quote"):
        facts["settings"] = {"parentEntityTypeId": LEAD if one.type == "crm_lead" else 7}
    elif one.type == "crm_contact" and "m" not in one.flags:
        facts["isDeprecated"] = True
    return facts


@method("crm.item.fields", scope="crm", params="entityTypeId! useOriginalUfNames", style="controller")
def item_fields(call: Call) -> Row:
    kind = check_type(call.portal, as_int(call.get("entityTypeId")))
    found: Row = {}
    for one in crm_fields.fields_of(call.portal, kind).values():
        if not one.camel:
            continue
        name = one.name if _original(call) and one.user else one.camel
        found[name] = {**field_facts(one, item=True), "upperName": one.upper}
    if kind in crm_fields.WITH_MULTIFIELDS:
        found["fm"] = {
            "type": "crm_multifield", "isRequired": False, "isReadOnly": False, "isImmutable": False,
            "isMultiple": True,
            "isDynamic": False, "title": "Множественные поля", "upperName": "FM",
        }  # fmt: skip
    return {"fields": found}
