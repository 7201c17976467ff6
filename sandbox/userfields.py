"""Custom fields of CRM objects: what is stored of one, and how it is made, changed and deleted.

Records live in portal["userfields"] under the names of crm.lead.userfield.get; labels are maps by language, a list's
values lie under LIST (api-reference/crm/leads/userfield and its twins, universal/userfieldconfig).
"""

from __future__ import annotations

import re
from typing import Any

from sandbox import delivery
from sandbox.crm_kinds import FIRST_DYNAMIC, kind_of
from sandbox.method import Actor, RestError, Row, as_int, as_list, as_map, plain, yes
from sandbox.portal import Portal

LANGUAGES = ["ar", "br", "de", "en", "fr", "hi", "id", "in", "it", "ja", "kz", "la", "ms", "pl", "ru", "sc", "tc", "th"]
LANGUAGES += ["tr", "ua", "vn"]
LABELS = ("EDIT_FORM_LABEL", "LIST_COLUMN_LABEL", "LIST_FILTER_LABEL", "ERROR_MESSAGE", "HELP_MESSAGE")
TYPES = {
    "string": "Строка", "integer": "Целое число", "double": "Число", "boolean": "Да/Нет", "enumeration": "Список",
    "datetime": "Дата со временем", "date": "Дата", "money": "Деньги", "url": "Ссылка", "address": "Адрес",
    "file": "Файл", "employee": "Привязка к сотруднику", "crm_status": "Привязка к справочникам CRM",
    "iblock_section": "Привязка к разделам инфоблоков", "iblock_element": "Привязка к элементам инфоблоков",
    "crm": "Привязка к элементам CRM",
}  # fmt: skip
SETTINGS: dict[str, Row] = {
    "string": {"SIZE": 20, "ROWS": 1, "REGEXP": "", "MIN_LENGTH": 0, "MAX_LENGTH": 0, "DEFAULT_VALUE": ""},
    "enumeration": {"DISPLAY": "LIST", "LIST_HEIGHT": 1, "CAPTION_NO_VALUE": "", "SHOW_NO_VALUE": "Y"},
    "boolean": {"DEFAULT_VALUE": 0, "DISPLAY": "CHECKBOX", "LABEL": ["", ""], "LABEL_CHECKBOX": ""},
    "double": {"PRECISION": 2, "SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": ""},
    "integer": {"SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": ""},
    "date": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}},
    "datetime": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}},
    "crm_status": {"ENTITY_TYPE": ""},
    "crm": {"LEAD": "N", "CONTACT": "N", "COMPANY": "N", "DEAL": "N"},
}


def refused(text: str, code: str = "") -> RestError:
    """An error of the older methods: mostly no code, always 400."""
    return RestError(code, text, 400)


def known_type(portal: Portal, type_id: str) -> bool:
    """True for the system's types and for those that applications registered (rest_...)."""
    return type_id in TYPES or portal["userfield_types"].first(FULL=type_id) is not None


def full_name(given: str, prefix: str) -> str:
    """FIELD_NAME with its prefix (UF_CRM_). RestError when it is too long or has other characters."""
    name = given.strip().upper()
    if not name.startswith(prefix):
        name = prefix + name.removeprefix("UF_")
    if len(name) > 50:
        raise refused("Field name is too long (more than 50 characters).", "ERROR_CORE")
    if not re.fullmatch(r"[A-Z0-9_]+", name):
        raise refused("Field name contains invalid characters. Allowed characters are: A-Z, 0-9 and _.", "ERROR_CORE")
    return name


def _labels(fields: Row, name: str, known: Row | None, default: Any = "") -> Row:
    value = fields.get(name)
    if isinstance(value, dict):
        before = known or dict.fromkeys(LANGUAGES, plain(default))
        return {**before, **{str(language): plain(text) for language, text in value.items() if language in LANGUAGES}}
    return dict.fromkeys(LANGUAGES, plain(value if value is not None else default))


def _values(portal: Portal, known: list[Row], given: list[Any]) -> list[Row]:
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
            xml_id = plain(fields.get("XML_ID") or fields.get("XMLID")) or portal.secret(32)
            if any(row["XML_ID"] == xml_id for row in made.values()):
                raise refused(f"List item with value XML_ID='{xml_id}' already exists", "ERROR_CORE")
            new = portal["userfield_values"].add({})["ID"]
            made[new] = {
                "ID": new, "SORT": as_int(fields.get("SORT")) or 0, "VALUE": value, "XML_ID": xml_id,
                "DEF": "Y" if yes(fields.get("DEF")) else "N",
            }  # fmt: skip
    return sorted(made.values(), key=lambda row: (row["SORT"], row["ID"]))


def _emit(portal: Portal, row: Row, change: str, actor: Actor) -> None:
    if not row["ENTITY_ID"].startswith("CRM_"):
        return  # only CRM's fields have events
    word = row["ENTITY_ID"].removeprefix("CRM_")
    word = "TYPE" if word.isdigit() else word
    data = {"FIELDS": {"ID": row["ID"], "ENTITY_ID": row["ENTITY_ID"], "FIELD_NAME": row["FIELD_NAME"]}}
    delivery.emit(portal, f"ONCRM{word}USERFIELD{change}", data, actor, entity=f"userfield {row['ID']}")


def create(portal: Portal, entity: str, fields: Row, actor: Actor, prefix: str = "UF_CRM_") -> Row:
    """Store a new field of that ENTITY_ID out of upper-case `fields`; its event goes out."""
    type_id, given = plain(fields.get("USER_TYPE_ID")), plain(fields.get("FIELD_NAME"))
    if not type_id:
        raise refused("The 'USER_TYPE_ID' field is not found.")
    if not given:
        raise refused("The 'FIELD_NAME' field is not found.")
    if not known_type(portal, type_id):
        raise refused("Invalid custom type specified.", "ERROR_CORE")
    name = full_name(given, prefix)
    if portal["userfields"].first(ENTITY_ID=entity, FIELD_NAME=name) is not None:
        raise refused(f"Поле {name} для объекта {entity} уже существует.", "ERROR_CORE")
    listed = _values(portal, [], as_list(fields.get("LIST"))) if type_id == "enumeration" else []
    label = fields.get("LABEL", "")
    xml_id = plain(fields.get("XML_ID"))
    row = portal["userfields"].add(
        {
            "ENTITY_ID": entity, "FIELD_NAME": name, "USER_TYPE_ID": type_id, "XML_ID": xml_id or None,
            "SORT": as_int(fields.get("SORT")) or 100, "LIST": listed,
            "SETTINGS": {**SETTINGS.get(type_id, {}), **as_map(fields.get("SETTINGS"))},
            "MULTIPLE": "Y" if yes(fields.get("MULTIPLE")) and type_id != "boolean" else "N",
            "MANDATORY": "Y" if yes(fields.get("MANDATORY")) else "N",
            "SHOW_FILTER": "E" if yes(fields.get("SHOW_FILTER")) else "N",
            "SHOW_IN_LIST": "Y" if yes(fields.get("SHOW_IN_LIST")) else "N",
            "EDIT_IN_LIST": "Y" if yes(fields.get("EDIT_IN_LIST", "Y")) else "N",
            "IS_SEARCHABLE": "Y" if yes(fields.get("IS_SEARCHABLE")) else "N",
            **{one: _labels(fields, one, None, label) for one in LABELS},
        }
    )  # fmt: skip
    portal.effect("create", "userfield", row["ID"], actor.user_id, actor.via, code=name)
    _emit(portal, row, "ADD", actor)
    if listed:
        _emit(portal, row, "SETENUMVALUES", actor)
    return row


def change(portal: Portal, row: Row, fields: Row, actor: Actor) -> None:
    """Change a field by upper-case `fields`; name, type and MULTIPLE stay. Its events go out."""
    listed = "LIST" in fields and row["USER_TYPE_ID"] == "enumeration"
    if listed:
        row["LIST"] = _values(portal, row["LIST"], as_list(fields["LIST"]))
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
            row[name] = _labels(fields, name, row[name])
    portal.effect("update", "userfield", row["ID"], actor.user_id, actor.via, code=row["FIELD_NAME"])
    _emit(portal, row, "UPDATE", actor)
    if listed:
        _emit(portal, row, "SETENUMVALUES", actor)


def delete(portal: Portal, row: Row, actor: Actor) -> None:
    """Remove a field with its values in items; its event comes after."""
    portal["userfields"].remove(row["ID"])
    table = table_of(portal, row["ENTITY_ID"])
    if table:
        for item in portal[table]:
            item.pop(row["FIELD_NAME"], None)
    portal.effect("delete", "userfield", row["ID"], actor.user_id, actor.via, code=row["FIELD_NAME"])
    _emit(portal, row, "DELETE", actor)


def table_of(portal: Portal, entity: str) -> str:
    """The table whose records have the fields of that ENTITY_ID; "" when there is no such object."""
    word = entity.removeprefix("CRM_")
    if word == "REQUISITE":
        return "requisites"
    if word == "TASKS_TASK":
        return "tasks"
    number = as_int(word)
    if number is not None:
        row = portal["types"].get(number)
        return str(row["ENTITY_TYPE_ID"]) if row is not None else ""
    kind = kind_of(word)
    return str(kind) if kind is not None and kind < FIRST_DYNAMIC else ""


def describe(row: Row, language: str | None) -> Row:
    """The field as the older methods print it: labels of every language (None), of one, or left out ("")."""
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
