"""Data stores of applications: stores, items, properties, sections (api-reference/entity).

A store belongs to its application; ACCESS maps codes (U1, D3, G2, AU) to R, W or X, its maker has X.
"""

from __future__ import annotations

from typing import Any

from sandbox.filters import Column, page_of, select_rows, to_time
from sandbox.method import Call, Page, RestError, Row, as_int, empty_argument, method, plain, yes

LONGEST = 13
_LEVELS = " RWX"
_TYPES = ("S", "N", "F")


def _code(call: Call, name: str = "ENTITY") -> str:
    application = call.application_only()
    code = call.text(name).strip()
    if not code:
        raise empty_argument(name)
    if len(code) > LONGEST:
        raise RestError("ERROR_ARGUMENT", f"Entity code is too long. Max length is {LONGEST} characters.", argument="")
    return f"{application['CLIENT_ID']}:{code}"


def _level(call: Call, store: Row) -> str:
    own = {f"U{call.user_id}", "AU", "G2", *(f"D{number}" for number in call.user["UF_DEPARTMENT"])}
    found = [level for code, level in store["ACCESS"].items() if code in own]
    return "X" if call.admin else max(found, key=_LEVELS.index, default=" ")


def _store(call: Call, needed: str) -> Row:
    store = call.portal["entity_stores"].first(KEY=_code(call))
    if store is None:
        raise RestError("ERROR_ENTITY_NOT_FOUND", "Entity not found", 400)
    if _LEVELS.index(_level(call, store)) < _LEVELS.index(needed):
        raise RestError("ACCESS_DENIED", "Access denied!", 403)
    return store


def _access(call: Call) -> Row:
    given = {
        code: plain(level).upper()
        for code, level in call.mapping("ACCESS").items()
        if not isinstance(level, (dict, list))
    }
    return {code: level for code, level in given.items() if level in ("R", "W", "X")}


# --- stores -----------------------------------------------------------------------------------------------------------


@method("entity.add", scope="entity", application="ACCESS_DENIED", params="ENTITY NAME ACCESS", writes=True)
def store_add(call: Call) -> bool:
    key = _code(call)
    if call.portal["entity_stores"].first(KEY=key) is not None:
        raise RestError("ERROR_ENTITY_ALREADY_EXISTS", "Entity already exists", 400)
    row = call.portal["entity_stores"].add(
        {
            "KEY": key, "ENTITY": call.text("ENTITY").strip(), "NAME": call.text("NAME") or call.text("ENTITY"),
            "ACCESS": {**_access(call), f"U{call.user_id}": "X"}, "PROPERTIES": {},
        }
    )  # fmt: skip
    call.portal.effect("create", "entity", row["ID"], call.user_id, "rest", entity=row["ENTITY"])
    return True


def _as_store(row: Row) -> Row:
    return {"ID": str(row["ID"]), "IBLOCK_TYPE_ID": "rest_entity", "ENTITY": row["ENTITY"], "NAME": row["NAME"]}


@method("entity.get", scope="entity", application="ACCESS_DENIED", params="ENTITY")
def store_get(call: Call) -> Any:
    """One store by its code; without ENTITY all that the caller may read."""
    if call.get("ENTITY") is not None:
        return _as_store(_store(call, "R"))
    prefix = f"{call.application_only()['CLIENT_ID']}:"
    rows = (row for row in call.portal["entity_stores"] if row["KEY"].startswith(prefix))
    return [_as_store(row) for row in rows if _level(call, row) != " "]


@method(
    "entity.update", scope="entity", application="ACCESS_DENIED", params="ENTITY NAME ENTITY_NEW ACCESS", writes=True
)
def store_update(call: Call) -> bool:
    store = _store(call, "X")
    if call.text("ENTITY_NEW").strip() and call.text("ENTITY_NEW").strip() != store["ENTITY"]:
        key = _code(call, "ENTITY_NEW")
        if call.portal["entity_stores"].first(KEY=key) is not None:
            raise RestError("ERROR_ENTITY_ALREADY_EXISTS", "Entity already exists", 400)
        store["KEY"], store["ENTITY"] = key, call.text("ENTITY_NEW").strip()
    if call.text("NAME"):
        store["NAME"] = call.text("NAME")
    if call.get("ACCESS") is not None:
        store["ACCESS"] = {**_access(call), f"U{call.user_id}": "X"}
    return True


@method("entity.delete", scope="entity", application="ACCESS_DENIED", params="ENTITY", writes=True)
def store_delete(call: Call) -> bool:
    store = _store(call, "X")
    for name in ("entity_items", "entity_sections"):
        for row in list(call.portal[name].where(STORE=store["ID"])):
            call.portal[name].remove(row["ID"])
    call.portal["entity_stores"].remove(store["ID"])
    call.portal.effect("delete", "entity", store["ID"], call.user_id, "rest")
    return True


@method("entity.rights", scope="entity", application="ACCESS_DENIED", params="ENTITY ACCESS", writes=True)
def store_rights(call: Call) -> Row:
    store = _store(call, "R" if call.get("ACCESS") is None else "X")
    if call.get("ACCESS") is not None:
        store["ACCESS"] = {**_access(call), f"U{call.user_id}": "X"}
    return dict(store["ACCESS"])


# --- properties of items ----------------------------------------------------------------------------------------------


def _property(call: Call, store: Row) -> str:
    code = call.text("PROPERTY").strip()
    if not code:
        raise empty_argument("PROPERTY")
    if code not in store["PROPERTIES"]:
        raise RestError("ERROR_PROPERTY_NOT_FOUND", "Property not found", 400)
    return code


def _type(call: Call) -> str:
    kind = call.text("TYPE").upper() or "S"
    if kind not in _TYPES:
        raise RestError("ERROR_ARGUMENT", "Wrong entity item property type", argument="")
    return kind


@method("entity.item.property.add", scope="entity", application="ACCESS_DENIED", writes=True,
        params="ENTITY PROPERTY NAME TYPE SORT")  # fmt: skip
def property_add(call: Call) -> bool:
    store = _store(call, "X")
    code = call.text("PROPERTY").strip()
    if not code:
        raise empty_argument("PROPERTY")
    kind = _type(call)
    if code in store["PROPERTIES"]:
        raise RestError("ERROR_PROPERTY_ALREADY_EXISTS", "Property already exists", 400)
    store["PROPERTIES"][code] = {"NAME": call.text("NAME") or code, "TYPE": kind, "SORT": call.integer("SORT", 500)}
    return True


@method("entity.item.property.get", scope="entity", application="ACCESS_DENIED", params="ENTITY PROPERTY")
def property_get(call: Call) -> Any:
    store = _store(call, "R")
    made = [
        {"PROPERTY": code, "NAME": facts["NAME"], "TYPE": facts["TYPE"], "SORT": str(facts["SORT"])}
        for code, facts in sorted(store["PROPERTIES"].items(), key=lambda one: one[1]["SORT"])
    ]
    if not call.text("PROPERTY"):
        return made
    code = _property(call, store)
    return next(one for one in made if one["PROPERTY"] == code)


@method("entity.item.property.update", scope="entity", application="ACCESS_DENIED", writes=True,
        params="ENTITY PROPERTY PROPERTY_NEW NAME TYPE SORT")  # fmt: skip
def property_update(call: Call) -> bool:
    store = _store(call, "X")
    code = _property(call, store)
    facts = store["PROPERTIES"][code]
    if call.get("TYPE") is not None:
        kind = _type(call)
        if kind == "F" and facts["TYPE"] != "F":
            raise RestError("ERROR_ARGUMENT", "Cannot change property type to File", argument="")
        facts["TYPE"] = kind
    if call.text("NAME"):
        facts["NAME"] = call.text("NAME")
    if as_int(call.get("SORT")) is not None:
        facts["SORT"] = call.integer("SORT")
    new = call.text("PROPERTY_NEW").strip()
    if new and new != code:
        if new in store["PROPERTIES"]:
            raise RestError("ERROR_PROPERTY_ALREADY_EXISTS", f"Property {new} already exists", 400)
        store["PROPERTIES"][new] = store["PROPERTIES"].pop(code)
        for item in call.portal["entity_items"].where(STORE=store["ID"]):
            if code in item["VALUES"]:
                item["VALUES"][new] = item["VALUES"].pop(code)
    return True


@method(
    "entity.item.property.delete", scope="entity", application="ACCESS_DENIED", params="ENTITY PROPERTY", writes=True
)
def property_delete(call: Call) -> bool:
    store = _store(call, "X")
    code = _property(call, store)
    del store["PROPERTIES"][code]
    for item in call.portal["entity_items"].where(STORE=store["ID"]):
        item["VALUES"].pop(code, None)
    return True


# --- items ------------------------------------------------------------------------------------------------------------

_TEXTS = ("NAME", "CODE", "PREVIEW_TEXT", "DETAIL_TEXT")
_MOMENTS = ("DATE_ACTIVE_FROM", "DATE_ACTIVE_TO")
_ITEM = {name: Column(name, "int") for name in ("ID", "SORT", "CREATED_BY", "MODIFIED_BY", "SECTION")}
_ITEM |= {name: Column(name, "time") for name in (*_MOMENTS, "DATE_CREATE", "TIMESTAMP_X")}
_ITEM |= {name: Column(name) for name in _TEXTS} | {"ACTIVE": Column("ACTIVE", "flag")}


def _item_values(call: Call, store: Row) -> Row:
    values: Row = {name: call.text(name) for name in _TEXTS if call.get(name) is not None}
    for name in _MOMENTS:
        if call.get(name) is not None:
            at = to_time(call.get(name), call.portal.zone())
            if at is None and call.text(name):
                raise RestError("ERROR_ARGUMENT", f"Field {name} is not a valid date", argument="")
            values[name] = at
    if call.get("ACTIVE") is not None:
        values["ACTIVE"] = "Y" if yes(call.get("ACTIVE")) else "N"
    if as_int(call.get("SORT")) is not None and not isinstance(call.get("SORT"), dict):
        values["SORT"] = call.integer("SORT")
    if call.get("SECTION") is not None:
        section = call.integer("SECTION")
        known = call.portal["entity_sections"].get(section)
        if section and (known is None or known["STORE"] != store["ID"]):
            raise RestError("ERROR_ARGUMENT", "Section not found", argument="")
        values["SECTION"] = section or None
    return values


def _own_values(call: Call, store: Row) -> Row:
    given = call.mapping("PROPERTY_VALUES")
    return {code: value for code, value in given.items() if code in store["PROPERTIES"]}


@method("entity.item.add", scope="entity", application="ACCESS_DENIED", writes=True,
        params="ENTITY NAME PROPERTY_VALUES SECTION DATE_ACTIVE_FROM DATE_ACTIVE_TO PREVIEW_PICTURE "
        "DETAIL_PICTURE")  # fmt: skip
def item_add(call: Call) -> int:
    store = _store(call, "W")
    values = _item_values(call, store)
    if not values.get("NAME", "").strip():
        raise empty_argument("NAME")
    now = call.portal.now()
    row = call.portal["entity_items"].add(
        {
            "STORE": store["ID"], "CODE": None, "PREVIEW_TEXT": None, "DETAIL_TEXT": None, "ACTIVE": "Y", "SORT": 500,
            "DATE_ACTIVE_FROM": None, "DATE_ACTIVE_TO": None, "SECTION": None, **values, "DATE_CREATE": now,
            "TIMESTAMP_X": now, "CREATED_BY": call.user_id, "MODIFIED_BY": call.user_id,
            "VALUES": _own_values(call, store),
        }
    )  # fmt: skip
    call.portal.effect("create", "entity item", row["ID"], call.user_id, "rest", entity=store["ENTITY"])
    return int(row["ID"])


def _of_store(call: Call, store: Row, table: str, error: str, text: str) -> Row:
    number = call.integer("ID")
    if number <= 0:
        raise empty_argument("ID")
    row = call.portal[table].get(number)
    if row is None or row["STORE"] != store["ID"]:
        raise RestError(error, text, 400)
    return row


@method("entity.item.update", scope="entity", application="ACCESS_DENIED", writes=True,
        params="ENTITY ID NAME PROPERTY_VALUES SECTION DATE_ACTIVE_FROM DATE_ACTIVE_TO PREVIEW_PICTURE "
        "DETAIL_PICTURE")  # fmt: skip
def item_update(call: Call) -> bool:
    store = _store(call, "W")
    row = _of_store(call, store, "entity_items", "ERROR_ITEM_NOT_FOUND", "Item not found")
    row.update(_item_values(call, store))
    row["VALUES"] = {**row["VALUES"], **_own_values(call, store)}
    row["TIMESTAMP_X"], row["MODIFIED_BY"] = call.portal.now(), call.user_id
    return True


@method("entity.item.delete", scope="entity", application="ACCESS_DENIED", params="ENTITY ID", writes=True)
def item_delete(call: Call) -> bool:
    store = _store(call, "W")
    row = _of_store(call, store, "entity_items", "ERROR_ITEM_NOT_FOUND", "Item not found")
    call.portal["entity_items"].remove(row["ID"])
    return True


def _wrong(key: str) -> None:
    raise RestError("ERROR_ARGUMENT", f"Filter validator errors: unknown field {key}", argument="")


def _rows(call: Call, table: str, store: Row, columns: dict[str, Column]) -> tuple[list[Row], Any, Any]:
    return select_rows(
        call.portal[table], filter={key.upper(): value for key, value in call.mapping("FILTER").items()},
        order={key.upper(): value for key, value in call.mapping("SORT").items()} or {"ID": "ASC"}, columns=columns,
        zone=call.portal.zone(), start=call.integer("start"), unknown=_wrong,
        visible=lambda row: row["STORE"] == store["ID"],
    )  # fmt: skip


def _own_column(code: str, kind: str) -> Column:
    return Column(code, "float" if kind == "N" else "text", lambda row: row["VALUES"].get(code))


@method("entity.item.get", scope="entity", application="ACCESS_DENIED", params="ENTITY SORT FILTER start")
def item_get(call: Call) -> Page:
    store = _store(call, "R")
    own = {f"PROPERTY_{code.upper()}": _own_column(code, facts["TYPE"]) for code, facts in store["PROPERTIES"].items()}
    rows, total, following = _rows(call, "entity_items", store, {**_ITEM, **own})
    iso = call.portal.iso
    made = []
    for row in rows:
        entry: Row = {
            "ID": str(row["ID"]), "TIMESTAMP_X": iso(row["TIMESTAMP_X"]), "MODIFIED_BY": str(row["MODIFIED_BY"]),
            "DATE_CREATE": iso(row["DATE_CREATE"]), "CREATED_BY": str(row["CREATED_BY"]), "ACTIVE": row["ACTIVE"],
            "DATE_ACTIVE_FROM": iso(row["DATE_ACTIVE_FROM"]) or "", "DATE_ACTIVE_TO": iso(row["DATE_ACTIVE_TO"]) or "",
            "SORT": str(row["SORT"]), "NAME": row["NAME"], "PREVIEW_PICTURE": None,
            "PREVIEW_TEXT": row["PREVIEW_TEXT"], "DETAIL_PICTURE": None, "DETAIL_TEXT": row["DETAIL_TEXT"],
            "CODE": row["CODE"], "ENTITY": store["ENTITY"],
            "SECTION": str(row["SECTION"]) if row["SECTION"] else None,
        }  # fmt: skip
        if store["PROPERTIES"]:
            entry["PROPERTY_VALUES"] = {code: row["VALUES"].get(code) for code in store["PROPERTIES"]}
        made.append(entry)
    return page_of(made, total, following, call.integer("start"))


# --- sections ---------------------------------------------------------------------------------------------------------

_SECTION = {name: Column(name, "int") for name in ("ID", "SORT", "CREATED_BY", "MODIFIED_BY", "SECTION")}
_SECTION |= {"NAME": Column("NAME"), "CODE": Column("CODE"), "ACTIVE": Column("ACTIVE", "flag"),
    "DATE_CREATE": Column("DATE_CREATE", "time"), "TIMESTAMP_X": Column("TIMESTAMP_X", "time")}  # fmt: skip


def _section_values(call: Call, store: Row, number: int) -> Row:
    values: Row = {name: call.text(name) for name in ("NAME", "CODE", "DESCRIPTION") if call.get(name) is not None}
    if call.get("ACTIVE") is not None:
        values["ACTIVE"] = "Y" if yes(call.get("ACTIVE")) else "N"
    if as_int(call.get("SORT")) is not None:
        values["SORT"] = call.integer("SORT")
    if call.get("SECTION") is not None:
        node = call.portal["entity_sections"].get(call.integer("SECTION"))
        if call.integer("SECTION") and node is None:
            raise RestError("ERROR_CORE", "Invalid parent section!", 400)
        if node is not None and node["STORE"] != store["ID"]:
            text = "The section block code does not match the parent section block code!"
            raise RestError("ERROR_CORE", text, 400)
        values["SECTION"] = node["ID"] if node is not None else None
        while node is not None:
            if node["ID"] == number:
                raise RestError("ERROR_CORE", "Invalid parent section!", 400)
            node = call.portal["entity_sections"].get(node["SECTION"])
    return values


@method("entity.section.add", scope="entity", application="ACCESS_DENIED", writes=True,
        params="ENTITY NAME SECTION ACTIVE SORT CODE DESCRIPTION PICTURE DETAIL_PICTURE")  # fmt: skip
def section_add(call: Call) -> int:
    store = _store(call, "W")
    values = _section_values(call, store, 0)
    if not values.get("NAME", "").strip():
        raise RestError("ERROR_CORE", "Section name is not specified", 400)
    now = call.portal.now()
    row = call.portal["entity_sections"].add(
        {
            "STORE": store["ID"], "CODE": None, "DESCRIPTION": None, "ACTIVE": "Y", "SORT": 500, "SECTION": None,
            **values, "DATE_CREATE": now, "TIMESTAMP_X": now, "CREATED_BY": call.user_id, "MODIFIED_BY": call.user_id,
        }
    )  # fmt: skip
    return int(row["ID"])


@method("entity.section.update", scope="entity", application="ACCESS_DENIED", writes=True,
        params="ENTITY ID NAME SECTION ACTIVE SORT CODE DESCRIPTION PICTURE DETAIL_PICTURE")  # fmt: skip
def section_update(call: Call) -> bool:
    store = _store(call, "W")
    row = _of_store(call, store, "entity_sections", "ERROR_SECTION_NOT_FOUND", "Section not found")
    row.update(_section_values(call, store, row["ID"]))
    row["TIMESTAMP_X"], row["MODIFIED_BY"] = call.portal.now(), call.user_id
    return True


@method("entity.section.delete", scope="entity", application="ACCESS_DENIED", params="ENTITY ID", writes=True)
def section_delete(call: Call) -> bool:
    store = _store(call, "W")
    row = _of_store(call, store, "entity_sections", "ERROR_SECTION_NOT_FOUND", "Section not found")
    gone = {row["ID"]}
    for other in list(call.portal["entity_sections"].where(STORE=store["ID"])):
        if other["SECTION"] in gone:
            gone.add(other["ID"])
    for number in gone:
        call.portal["entity_sections"].remove(number)
    for item in list(call.portal["entity_items"].where(STORE=store["ID"])):
        if item["SECTION"] in gone:
            call.portal["entity_items"].remove(item["ID"])
    return True


@method("entity.section.get", scope="entity", application="ACCESS_DENIED", params="ENTITY SORT FILTER start")
def section_get(call: Call) -> Page:
    store = _store(call, "R")
    rows, total, following = _rows(call, "entity_sections", store, _SECTION)
    margins = _margins(call, store)
    iso = call.portal.iso
    made = [
        {
            "ID": str(row["ID"]), "CODE": row["CODE"], "TIMESTAMP_X": iso(row["TIMESTAMP_X"]),
            "DATE_CREATE": iso(row["DATE_CREATE"]), "CREATED_BY": str(row["CREATED_BY"]),
            "MODIFIED_BY": str(row["MODIFIED_BY"]), "ACTIVE": row["ACTIVE"], "SORT": str(row["SORT"]),
            "NAME": row["NAME"], "PICTURE": None, "DETAIL_PICTURE": None, "DESCRIPTION": row["DESCRIPTION"],
            "LEFT_MARGIN": str(margins[row["ID"]][0]), "RIGHT_MARGIN": str(margins[row["ID"]][1]),
            "DEPTH_LEVEL": str(margins[row["ID"]][2]), "ENTITY": store["ENTITY"],
            "SECTION": str(row["SECTION"]) if row["SECTION"] else None,
        }
        for row in rows
    ]  # fmt: skip
    return page_of(made, total, following, call.integer("start"))


def _margins(call: Call, store: Row) -> dict[int, tuple[int, int, int]]:
    """(left, right, depth) of each section in the nested set."""
    rows = sorted(call.portal["entity_sections"].where(STORE=store["ID"]), key=lambda row: (row["SORT"], row["ID"]))
    made: dict[int, tuple[int, int, int]] = {}
    place = 0

    def walk(parent: int | None, depth: int) -> None:
        nonlocal place
        for row in rows:
            if row["SECTION"] == parent:
                place += 1
                left = place
                walk(row["ID"], depth + 1)
                place += 1
                made[row["ID"]] = (left, place, depth)

    walk(None, 1)
    return made
