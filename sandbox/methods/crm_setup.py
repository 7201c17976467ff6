"""What an administrator sets up in CRM: stages and dictionaries, custom fields, the card's layout, pipelines.

api-reference/crm: status, leads/userfield and twins, universal/item-details-configuration, universal/category
"""

from __future__ import annotations

import re
from typing import Any

from sandbox import crm
from sandbox.company import add_category
from sandbox.filters import Column, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes

LANGUAGES = ["ar", "br", "de", "en", "fr", "hi", "id", "in", "it", "ja", "kz", "la", "ms", "pl", "ru", "sc", "tc", "th"]
LANGUAGES += ["tr", "ua", "vn"]
LABELS = ("EDIT_FORM_LABEL", "LIST_COLUMN_LABEL", "LIST_FILTER_LABEL", "ERROR_MESSAGE", "HELP_MESSAGE")
SETTINGS: dict[str, Row] = {
    "string": {"SIZE": 20, "ROWS": 1, "REGEXP": "", "MIN_LENGTH": 0, "MAX_LENGTH": 0, "DEFAULT_VALUE": ""},
    "enumeration": {"DISPLAY": "LIST", "LIST_HEIGHT": 1, "CAPTION_NO_VALUE": "", "SHOW_NO_VALUE": "Y"},
    "boolean": {"DEFAULT_VALUE": 0, "DISPLAY": "CHECKBOX"},
    "double": {"PRECISION": 2, "SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": ""},
    "integer": {"SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": ""},
    "date": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}},
    "datetime": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}},
    "crm_status": {"ENTITY_TYPE": ""},
}


def _refused(text: str, code: str = "") -> RestError:
    return RestError(code, text, 400)


def _administrator(call: Call) -> None:
    if not call.admin:
        raise _refused("Access denied.")


def _fields(call: Call) -> Row:
    fields = call.get("fields")
    if not isinstance(fields, dict):
        raise _refused("Parameter 'fields' must be array.")
    return {str(key).upper(): value for key, value in fields.items()}


# --- dictionaries and stages ------------------------------------------------------------------------------------------


def _status_or_refuse(call: Call) -> Row:
    row = call.portal["statuses"].get(as_int(call.get("id")))
    if row is None:
        raise _refused("Status is not found.")
    return row


def _kind_of(entity: str) -> tuple[int, int] | None:
    """The entity type and pipeline whose stages a dictionary holds; None for other dictionaries."""
    if entity == "STATUS":
        return crm.LEAD, 0
    if entity == "DEAL_STAGE":
        return crm.DEAL, 0
    number = as_int(entity.removeprefix("DEAL_STAGE_")) if entity.startswith("DEAL_STAGE_") else None
    return None if number is None else (crm.DEAL, number)


@method("crm.status.add", scope="crm", params="fields", writes=True)
def status_add(call: Call) -> int:
    fields = _fields(call)
    _administrator(call)
    entity, code, name = (plain(fields.get(key)).strip() for key in ("ENTITY_ID", "STATUS_ID", "NAME"))
    lacking = [key for key, value in (("ENTITY_ID", entity), ("STATUS_ID", code)) if not value]
    if lacking:
        raise _refused("\n".join(f"The field {key} is required." for key in lacking))
    rows = [row for row in call.portal["statuses"] if row["ENTITY_ID"] == entity]
    if not rows:
        raise _refused("Specified entity type is not supported.")
    if not name:
        raise _refused("The field Title is required.")
    place = _kind_of(entity)
    if place is not None:
        if place[1] and not code.startswith(f"C{place[1]}:"):
            code = f"C{place[1]}:{code}"
        bare = code.partition(":")[2] or code
        if not re.fullmatch(r"[A-Za-z0-9_-]+", bare) or len(code) > (21 if entity == "STATUS" else 22):
            raise _refused("Error on creating status.")
    if any(row["STATUS_ID"] == code for row in rows):
        raise _refused("The specified status ID already exists.", "ERROR_CORE")
    sort = as_int(fields.get("SORT"))
    semantics = plain(fields.get("SEMANTICS")).upper() or None
    if place is not None:
        won = next((row for row in rows if row["SEMANTICS"] == "S"), None)
        if semantics != "F" and won is not None and (semantics == "S" or (sort or 10) > won["SORT"]):
            raise _refused(
                "Cannot create more stages after the final stage because the final successful stage already exists. "
                "Try using sort order values less than that of the final stage."
            )
    row = call.portal["statuses"].add(
        {
            "ENTITY_ID": entity, "STATUS_ID": code, "NAME": name, "NAME_INIT": "",
            "SORT": sort if sort is not None else 10, "SYSTEM": "N",
            "CATEGORY_ID": place[1] or None if place else None, "COLOR": plain(fields.get("COLOR")),
            "SEMANTICS": semantics if semantics in ("S", "F") else None,
        }
    )  # fmt: skip
    call.portal.effect("create", "status", row["ID"], call.user_id, "rest", code=code)
    return int(row["ID"])


@method("crm.status.update", scope="crm", params="id fields", writes=True)
def status_update(call: Call) -> bool:
    _administrator(call)
    row = _status_or_refuse(call)
    fields = _fields(call)
    if "NAME" in fields:
        if not plain(fields["NAME"]).strip():
            raise _refused("The field Title is required.")
        row["NAME"] = plain(fields["NAME"])
    sort = as_int(fields.get("SORT"))
    if sort is not None:
        row["SORT"] = sort
    if "COLOR" in fields:
        row["COLOR"] = plain(fields["COLOR"])
    call.portal.effect("update", "status", row["ID"], call.user_id, "rest", code=row["STATUS_ID"])
    return True


@method("crm.status.get", scope="crm", params="id")
def status_get(call: Call) -> Row:
    row = _status_or_refuse(call)
    return {
        "ID": str(row["ID"]), "ENTITY_ID": row["ENTITY_ID"], "STATUS_ID": row["STATUS_ID"], "NAME": row["NAME"],
        "NAME_INIT": row["NAME_INIT"], "SORT": str(row["SORT"]), "SYSTEM": row["SYSTEM"],
        "CATEGORY_ID": str(row["CATEGORY_ID"]) if row["CATEGORY_ID"] else None, "COLOR": row["COLOR"],
        "SEMANTICS": row["SEMANTICS"],
    }  # fmt: skip


@method("crm.status.delete", scope="crm", params="id params", writes=True)
def status_delete(call: Call) -> bool:
    _administrator(call)
    row = _status_or_refuse(call)
    if row["SYSTEM"] == "Y" and plain(call.mapping("params").get("FORCED")).upper() != "Y":
        raise _refused('CRM System Status can be deleted only if parameter FORCED is specified and equal to "Y".')
    place = _kind_of(row["ENTITY_ID"])
    if place is not None:
        kind, category = place
        name = crm.STAGE[kind]
        if any(
            item[name] == row["STATUS_ID"] and (item.get("CATEGORY_ID") or 0) == category for item in call.portal[kind]
        ):
            raise _refused("There are active items in this status.")
    call.portal["statuses"].remove(row["ID"])
    call.portal.effect("delete", "status", row["ID"], call.user_id, "rest", code=row["STATUS_ID"])
    return True


@method("crm.status.entity.items", scope="crm", params="entityId")
def status_items(call: Call) -> list[Row]:
    entity = call.text("entityId")
    if not entity:
        raise _refused("The parameter entityId is not defined or invalid.")
    rows = sorted((row for row in call.portal["statuses"] if row["ENTITY_ID"] == entity), key=lambda row: row["SORT"])
    return [{"NAME": row["NAME"], "SORT": row["SORT"], "STATUS_ID": row["STATUS_ID"]} for row in rows]


_STATUS_FIELDS = (
    # name, type, flags (r read-only, i immutable, * required), title
    ("ID", "integer", "r", "ID"), ("ENTITY_ID", "string", "*i", "ID сущности"), ("STATUS_ID", "string", "*i", "Статус"),
    ("SORT", "integer", "", "Сортировка"), ("NAME", "string", "*", "Название"),
    ("NAME_INIT", "string", "r", "Название по умолчанию"), ("SYSTEM", "char", "r", "Системный"),
    ("CATEGORY_ID", "integer", "i", "CATEGORY_ID"), ("COLOR", "string", "", "COLOR"),
    ("SEMANTICS", "char", "i", "SEMANTICS"),
    ("EXTRA", "crm_status_extra", "", "Дополнительные поля"),
)  # fmt: skip


def _described(fields: tuple[tuple[str, str, str, str], ...]) -> Row:
    return {
        name: {
            "type": kind, "isRequired": "*" in flags, "isReadOnly": "r" in flags, "isImmutable": "i" in flags,
            "isMultiple": False, "isDynamic": False, "title": title,
        }
        for name, kind, flags, title in fields
    }  # fmt: skip


@method("crm.status.fields", scope="crm")
def status_fields(call: Call) -> Row:
    return _described(_STATUS_FIELDS)


# --- custom fields ----------------------------------------------------------------------------------------------------


def _labels(fields: Row, name: str, *, default: Any) -> Row:
    value = fields.get(name)
    if isinstance(value, dict):
        return {language: plain(value.get(language, default)) for language in LANGUAGES}
    return dict.fromkeys(LANGUAGES, plain(value if value is not None else default))


def _value_list(call: Call, known: list[Row], given: list[Any]) -> list[Row]:
    """The list after what was given: with ID a value is changed or deleted (DEL), without one it is added."""
    made = {row["ID"]: dict(row) for row in known}
    for one in given:
        fields = {str(key).upper(): value for key, value in as_map(one).items()}
        number = as_int(fields.get("ID"))
        value = plain(fields.get("VALUE")).strip()
        if number is not None and number in made:
            if yes(fields.get("DEL")):
                del made[number]
                continue
            made[number] |= {key: plain(fields[key]) for key in ("VALUE", "XML_ID") if plain(fields.get(key))}
            made[number] |= {"SORT": as_int(fields["SORT"])} if as_int(fields.get("SORT")) is not None else {}
            made[number] |= {"DEF": "Y" if yes(fields["DEF"]) else "N"} if "DEF" in fields else {}
        elif value:
            xml_id = plain(fields.get("XML_ID")) or call.portal.secret(32)
            if any(row["XML_ID"] == xml_id for row in made.values()):
                raise _refused(f"List item with value XML_ID='{xml_id}' already exists", "ERROR_CORE")
            new = call.portal["userfield_values"].add({})["ID"]
            made[new] = {
                "ID": new, "SORT": as_int(fields.get("SORT")) or 0, "VALUE": value, "XML_ID": xml_id,
                "DEF": "Y" if yes(fields.get("DEF")) else "N",
            }  # fmt: skip
    return sorted(made.values(), key=lambda row: (row["SORT"], row["ID"]))


def _userfield_name(given: str) -> str:
    name = given.strip().upper()
    if not name.startswith("UF_CRM_"):
        name = "UF_CRM_" + name.removeprefix("UF_")
    if len(name) > 50:
        raise _refused("Field name is too long (more than 50 characters).", "ERROR_CORE")
    if not re.fullmatch(r"[A-Z0-9_]+", name):
        raise _refused("Field name contains invalid characters. Allowed characters are: A-Z, 0-9 and _.", "ERROR_CORE")
    return name


def _userfield(row: Row, language: str | None) -> Row:
    made = {
        "ID": str(row["ID"]), "ENTITY_ID": row["ENTITY_ID"], "FIELD_NAME": row["FIELD_NAME"],
        "USER_TYPE_ID": row["USER_TYPE_ID"], "XML_ID": row["XML_ID"], "SORT": str(row["SORT"]),
        "MULTIPLE": row["MULTIPLE"], "MANDATORY": row["MANDATORY"], "SHOW_FILTER": row["SHOW_FILTER"],
        "SHOW_IN_LIST": row["SHOW_IN_LIST"], "EDIT_IN_LIST": row["EDIT_IN_LIST"], "IS_SEARCHABLE": row["IS_SEARCHABLE"],
        "SETTINGS": row["SETTINGS"],
    }  # fmt: skip
    if language is None:
        made |= {name: row[name] for name in LABELS}
    elif language:
        made |= {name: row[name].get(language) or None for name in LABELS}
    if row["USER_TYPE_ID"] == "enumeration":
        made["LIST"] = [{**value, "ID": str(value["ID"]), "SORT": str(value["SORT"])} for value in row["LIST"]]
    return made


def _serve_userfields(kind: int) -> None:
    word = crm.WORD[kind].lower()
    entity = f"CRM_{crm.WORD[kind]}"

    def found(call: Call) -> Row:
        number = as_int(call.get("id"))
        if number is None or number <= 0:
            raise _refused("ID is not defined or invalid.")
        row = call.portal["userfields"].get(number)
        if row is None:
            raise _refused(f"The entity with ID '{number}' is not found.", "ERROR_NOT_FOUND")
        if row["ENTITY_ID"] != entity:
            raise _refused("Access denied.")
        return row

    @method(f"crm.{word}.userfield.add", scope="crm", params="fields", writes=True)
    def add(call: Call) -> int:
        _administrator(call)
        fields = _fields(call)
        type_id, given = plain(fields.get("USER_TYPE_ID")), plain(fields.get("FIELD_NAME"))
        if not type_id:
            raise _refused("The 'USER_TYPE_ID' field is not found.")
        if not given:
            raise _refused("The 'FIELD_NAME' field is not found.")
        if type_id not in crm.USER_TYPES:
            raise _refused("Invalid custom type specified.", "ERROR_CORE")
        name = _userfield_name(given)
        if call.portal["userfields"].first(ENTITY_ID=entity, FIELD_NAME=name) is not None:
            raise _refused(f"Поле {name} для объекта {entity} уже существует.", "ERROR_CORE")
        listed = _value_list(call, [], as_list(fields.get("LIST"))) if type_id == "enumeration" else []
        label = fields.get("LABEL", "")
        settings = {**SETTINGS.get(type_id, {}), **as_map(fields.get("SETTINGS"))}
        row = call.portal["userfields"].add(
            {
                "ENTITY_ID": entity, "FIELD_NAME": name, "USER_TYPE_ID": type_id, "XML_ID": fields.get("XML_ID"),
                "SORT": as_int(fields.get("SORT")) or 100, "SETTINGS": settings, "LIST": listed,
                "MULTIPLE": "Y" if yes(fields.get("MULTIPLE")) and type_id != "boolean" else "N",
                "MANDATORY": "Y" if yes(fields.get("MANDATORY")) else "N",
                "SHOW_FILTER": "E" if yes(fields.get("SHOW_FILTER")) else "N",
                "SHOW_IN_LIST": "Y" if yes(fields.get("SHOW_IN_LIST")) else "N",
                "EDIT_IN_LIST": "Y" if yes(fields.get("EDIT_IN_LIST", "Y")) else "N",
                "IS_SEARCHABLE": "Y" if yes(fields.get("IS_SEARCHABLE")) else "N",
                **{one: _labels(fields, one, default=label) for one in LABELS},
            }
        )  # fmt: skip
        call.portal.effect("create", "userfield", row["ID"], call.user_id, "rest", code=name)
        return int(row["ID"])

    @method(f"crm.{word}.userfield.get", scope="crm", params="id")
    def get(call: Call) -> Row:
        return _userfield(found(call), None)

    columns = {name: Column(name) for name in ("FIELD_NAME", "USER_TYPE_ID", "XML_ID", "MULTIPLE", "MANDATORY")}
    columns |= {name: Column(name) for name in ("SHOW_FILTER", "SHOW_IN_LIST", "EDIT_IN_LIST", "IS_SEARCHABLE")}
    columns |= {"ID": Column("ID", "int"), "SORT": Column("SORT", "int")}

    @method(f"crm.{word}.userfield.list", scope="crm", params="order filter")
    def userfield_list(call: Call) -> Page:
        for name in ("order", "filter"):
            if call.get(name) is not None and not isinstance(call.get(name), (dict, list)):
                raise _refused(f"Parameter '{name}' must be array.")
        conditions = {key.upper(): value for key, value in call.mapping("filter").items()}
        language = plain(conditions.pop("LANG", ""))
        order = call.mapping("order") or {"SORT": "ASC", "ID": "ASC"}
        rows, total, _ = select_rows(
            call.portal["userfields"], filter=conditions,
            order={key.upper(): value for key, value in order.items()},
            columns=columns, zone=call.portal.zone(), unknown=lambda key: None, limit=10_000,
            visible=lambda row: row["ENTITY_ID"] == entity,
        )  # fmt: skip
        return Page([_userfield(row, language) for row in rows], total)

    @method(f"crm.{word}.userfield.update", scope="crm", params="id fields", writes=True)
    def update(call: Call) -> bool:
        _administrator(call)
        row = found(call)
        fields = _fields(call)
        if "LIST" in fields and row["USER_TYPE_ID"] == "enumeration":
            row["LIST"] = _value_list(call, row["LIST"], as_list(fields["LIST"]))
        for name in ("MANDATORY", "SHOW_IN_LIST", "EDIT_IN_LIST", "IS_SEARCHABLE"):
            if name in fields:
                row[name] = "Y" if yes(fields[name]) else "N"
        if "SHOW_FILTER" in fields:
            row["SHOW_FILTER"] = "E" if yes(fields["SHOW_FILTER"]) else "N"
        if as_int(fields.get("SORT")):
            row["SORT"] = as_int(fields["SORT"])
        if "XML_ID" in fields:
            row["XML_ID"] = plain(fields["XML_ID"])
        row["SETTINGS"] = {**row["SETTINGS"], **as_map(fields.get("SETTINGS"))}
        for name in LABELS:
            if name in fields:
                row[name] = _labels(fields, name, default="")
        call.portal.effect("update", "userfield", row["ID"], call.user_id, "rest", code=row["FIELD_NAME"])
        return True

    @method(f"crm.{word}.userfield.delete", scope="crm", params="id", writes=True)
    def delete(call: Call) -> bool:
        _administrator(call)
        row = found(call)
        call.portal["userfields"].remove(row["ID"])
        for item in call.portal[kind]:
            item.pop(row["FIELD_NAME"], None)
        call.portal.effect("delete", "userfield", row["ID"], call.user_id, "rest", code=row["FIELD_NAME"])
        return True


for _kind in crm.WORD:
    _serve_userfields(_kind)


# --- the card's layout ------------------------------------------------------------------------------------------------


def _layout_place(call: Call, *, shared: bool | None = None) -> Row:
    """By what a layout is kept: entity type, whose it is (0: everybody's), and the pipeline or kind of lead."""
    kind = as_int(call.get("entityTypeId"))
    if kind is None:
        raise _refused("Parameter 'entityTypeId' is not defined")
    if kind not in crm.WORD:
        raise _refused(f"The entity type '{plain(call.get('entityTypeId'))}' is not supported in current context.")
    extras = call.mapping("extras")
    variant = as_int(extras.get("leadCustomerType" if kind == crm.LEAD else "dealCategoryId"))
    if shared is None:
        shared = call.text("scope", "P").upper() == "C"
    owner = 0 if shared else call.integer("userId") or call.user_id
    return {"KIND": kind, "OWNER": owner, "VARIANT": variant or (1 if kind == crm.LEAD else 0)}


def _may_change(call: Call, place: Row) -> None:
    if place["OWNER"] != call.user_id and not call.admin:
        raise _refused("Access denied.")


_LAYOUT = "entityTypeId userId scope extras"


@method("crm.item.details.configuration.get", scope="crm", params=_LAYOUT)
def layout_get(call: Call) -> list[Row] | None:
    place = _layout_place(call)
    if place["OWNER"] not in (0, call.user_id) and not call.admin:
        raise _refused("Access denied.")
    row = call.portal["layouts"].first(**place)
    return row["DATA"] if row is not None else None


@method("crm.item.details.configuration.set", scope="crm", params="entityTypeId data userId scope extras", writes=True)
def layout_set(call: Call) -> bool:
    place = _layout_place(call)
    _may_change(call, place)
    data = call.get("data")
    if isinstance(data, dict) and list(data) == [str(index) for index in range(len(data))]:
        data = list(data.values())  # an indexed list arrives so from a query string
    if not isinstance(data, (dict, list)):
        raise _refused("Parameter 'data' must be array.")
    if isinstance(data, dict):
        raise _refused("The data must be indexed array.")
    if not data:
        raise _refused("There are no data to write.")
    sections = [_section(index, as_map(one)) for index, one in enumerate(data)]
    row = call.portal["layouts"].first(**place)
    if row is None:
        row = call.portal["layouts"].add(dict(place))
    row["DATA"] = sections
    call.portal.effect("update", "layout", row["ID"], call.user_id, "rest", entity_type_id=place["KIND"])
    return True


def _section(index: int, given: Row) -> Row:
    if plain(given.get("type")) != "section":
        raise _refused(
            f"Section at index {index} have type {plain(given.get('type'))}. The expected type is 'section'."
        )
    for name in ("name", "title"):
        if not plain(given.get(name)):
            raise _refused(f"Section at index {index} does not have {name}.")
    elements = []
    for place, one in enumerate(as_map(each) for each in as_list(given.get("elements"))):
        if not plain(one.get("name")):
            raise _refused(f"Element at index {place} in section at index {index} does not have name.")
        element: Row = {"name": plain(one["name"]), "optionFlags": plain(one.get("optionFlags")) or "0"}
        if as_map(one.get("options")):
            element["options"] = {key: plain(value) for key, value in as_map(one["options"]).items()}
        elements.append(element)
    return {"name": plain(given["name"]), "title": plain(given["title"]), "type": "section", "elements": elements}


@method("crm.item.details.configuration.reset", scope="crm", params=_LAYOUT, writes=True)
def layout_reset(call: Call) -> bool:
    place = _layout_place(call)
    _may_change(call, place)
    row = call.portal["layouts"].first(**place)
    if row is not None:
        call.portal["layouts"].remove(row["ID"])
    return True


@method(
    "crm.item.details.configuration.forceCommonScopeForAll", scope="crm", params="entityTypeId extras", writes=True
)
def layout_force(call: Call) -> bool:
    place = _layout_place(call, shared=True)
    _may_change(call, place)
    for row in list(call.portal["layouts"].where(KIND=place["KIND"], VARIANT=place["VARIANT"])):
        if row["OWNER"]:
            call.portal["layouts"].remove(row["ID"])
    return True


# --- pipelines --------------------------------------------------------------------------------------------------------


def _pipelines(call: Call) -> int:
    kind = crm.check_type(as_int(call.get("entityTypeId")))
    if kind != crm.DEAL:
        raise RestError("ENTITY_TYPE_NOT_SUPPORTED", f"Тип сущности '{crm.WORD[kind]}' не поддерживается", 400)
    return kind


def _category(row: Row) -> Row:
    return {
        "category": {
            "id": 0 if row["DEFAULT"] else row["ID"], "name": row["NAME"], "sort": row["SORT"],
            "entityTypeId": crm.DEAL, "isDefault": "Y" if row["DEFAULT"] else "N", "originId": "", "originatorId": "",
        }
    }  # fmt: skip


def _category_or_refuse(call: Call) -> Row:
    _pipelines(call)
    number = as_int(call.get("id"))
    for row in call.portal["categories"]:
        if number == (0 if row["DEFAULT"] else row["ID"]):
            return row
    raise RestError("NOT_FOUND", "Элемент не найден", 400)


def _manage(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)


def _set_category(call: Call, row: Row) -> None:
    fields = call.mapping("fields")
    if "name" in fields:
        row["NAME"] = plain(fields["name"])[:255]
    if as_int(fields.get("sort")) is not None:
        row["SORT"] = max(0, as_int(fields["sort"]) or 0)


@method("crm.category.add", scope="crm", params="entityTypeId! fields!", style="controller", writes=True)
def category_add(call: Call) -> Row:
    _pipelines(call)
    _manage(call)
    name = plain(call.mapping("fields").get("name")).strip()
    if not name:
        raise RestError("0", "Поле 'NAME' обязательно", 400)
    row = add_category(call.portal, name[:255])
    row["SORT"] = 500
    _set_category(call, row)
    return _category(row)


@method("crm.category.get", scope="crm", params="entityTypeId! id!", style="controller")
def category_get(call: Call) -> Row:
    return _category(_category_or_refuse(call))


@method("crm.category.update", scope="crm", params="entityTypeId! id! fields!", style="controller", writes=True)
def category_update(call: Call) -> Row:
    row = _category_or_refuse(call)
    _manage(call)
    if "name" in call.mapping("fields") and not plain(call.mapping("fields")["name"]).strip():
        raise RestError("0", "Поле 'NAME' обязательно", 400)
    _set_category(call, row)
    return _category(row)


@method("crm.category.delete", scope="crm", params="entityTypeId! id!", style="controller", writes=True)
def category_delete(call: Call) -> None:
    row = _category_or_refuse(call)
    _manage(call)
    if row["DEFAULT"]:
        raise RestError("0", "Нельзя удалить направление сделок по умолчанию", 400)
    if any(item.get("CATEGORY_ID") == row["ID"] for item in call.portal[crm.DEAL]):
        raise RestError("0", f"Найдены сделки, связанные с направлением '{row['NAME']}'", 400)
    call.portal["categories"].remove(row["ID"])
    for status in [one for one in call.portal["statuses"] if one["CATEGORY_ID"] == row["ID"]]:
        call.portal["statuses"].remove(status["ID"])


_CATEGORY_FIELDS = (
    ("id", "integer", "r", "ID"), ("name", "string", "*", "Название"), ("sort", "integer", "", "Сортировка"),
    ("entityTypeId", "integer", "*i", "Тип"), ("isDefault", "boolean", "r", "По умолчанию"),
    ("originId", "string", "", "Внешний ключ"), ("originatorId", "string", "", "Внешний источник"),
)  # fmt: skip


@method("crm.category.fields", scope="crm", params="entityTypeId!", style="controller")
def category_fields(call: Call) -> Row:
    _pipelines(call)
    fields = _described(_CATEGORY_FIELDS)
    for name, facts in fields.items():
        facts["upperName"] = re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()
    return {"fields": fields}
