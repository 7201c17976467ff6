"""Custom fields: crm.lead.userfield.* and its twins, crm.userfield.*, userfieldconfig.*.

api-reference/crm/leads/userfield, universal/user-defined-fields, universal/userfieldconfig
"""

from __future__ import annotations

import re
from typing import Any

from sandbox import userfields
from sandbox.crm_kinds import WORD
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, missing, plain
from sandbox.userfields import LABELS, refused

_COLUMNS = {name: Column(name) for name in ("FIELD_NAME", "USER_TYPE_ID", "XML_ID", "MULTIPLE", "MANDATORY")}
_COLUMNS |= {name: Column(name) for name in ("SHOW_FILTER", "SHOW_IN_LIST", "EDIT_IN_LIST", "IS_SEARCHABLE")}
_COLUMNS |= {"ID": Column("ID", "int"), "SORT": Column("SORT", "int"), "ENTITY_ID": Column("ENTITY_ID")}


def _fields(call: Call) -> Row:
    fields = call.get("fields")
    if not isinstance(fields, dict):
        raise refused("Parameter 'fields' must be array.")
    return {str(key).upper(): value for key, value in fields.items()}


def _serve(word: str, entity: str) -> None:
    # Only the pages of requisites name no code for a change of a field that is not there.
    changed_absent = "" if word == "requisite" else "ERROR_NOT_FOUND"

    def manage(call: Call) -> None:
        if not call.admin:
            raise refused("Access denied.")

    def found(call: Call, absent: str = "ERROR_NOT_FOUND") -> Row:
        number = as_int(call.get("id"))
        if number is None or number <= 0:
            raise refused("ID is not defined or invalid.")
        row = call.portal["userfields"].get(number)
        if row is None:
            raise refused(f"The entity with ID '{number}' is not found.", absent)
        if row["ENTITY_ID"] != entity:
            raise refused("Access denied.")
        return row

    @method(f"crm.{word}.userfield.add", scope="crm", params="fields", writes=True)
    def add(call: Call) -> int:
        manage(call)
        return int(userfields.create(call.portal, entity, _fields(call), call.actor)["ID"])

    @method(f"crm.{word}.userfield.get", scope="crm", params="id")
    def get(call: Call) -> Row:
        return userfields.describe(found(call), None)

    @method(f"crm.{word}.userfield.list", scope="crm", params="order filter")
    def userfield_list(call: Call) -> Page:
        for name in ("order", "filter"):
            if call.get(name) is not None and not isinstance(call.get(name), (dict, list)):
                raise refused(f"Parameter '{name}' must be array.")
        conditions = {key.upper(): value for key, value in call.mapping("filter").items()}
        language = plain(conditions.pop("LANG", ""))
        order = call.mapping("order") or {"SORT": "ASC", "ID": "ASC"}
        rows, total, _ = select_rows(
            call.portal["userfields"], filter=conditions,
            order={key.upper(): value for key, value in order.items()},
            columns=_COLUMNS, zone=call.portal.zone(), unknown=lambda key: None, limit=10_000,
            visible=lambda row: row["ENTITY_ID"] == entity,
        )  # fmt: skip
        return Page([userfields.describe(row, language) for row in rows], total)

    @method(f"crm.{word}.userfield.update", scope="crm", params="id fields", writes=True)
    def update(call: Call) -> bool:
        manage(call)
        row = found(call, changed_absent)
        userfields.change(call.portal, row, _fields(call), call.actor)
        return True

    @method(f"crm.{word}.userfield.delete", scope="crm", params="id", writes=True)
    def delete(call: Call) -> bool:
        manage(call)
        userfields.delete(call.portal, found(call, changed_absent), call.actor)
        return True


for _word in WORD.values():
    _serve(_word.lower(), f"CRM_{_word}")
_serve("requisite", "CRM_REQUISITE")


# --- descriptions -----------------------------------------------------------------------------------------------------


@method("crm.userfield.types", scope="crm")
def types(call: Call) -> list[Row]:
    own = [{"ID": row["FULL"], "title": row["TITLE"]} for row in call.portal["userfield_types"]]
    return [{"ID": key, "title": title} for key, title in userfields.TYPES.items()] + own


@method("crm.userfield.fields", scope="crm")
def described(call: Call) -> Row:
    kinds = {"ID": "int", "SORT": "int", "LIST": "uf_enum_element", "SETTINGS": "object"}
    flags = ("MULTIPLE", "MANDATORY", "SHOW_FILTER", "SHOW_IN_LIST", "EDIT_IN_LIST", "IS_SEARCHABLE")
    titles = {
        "ID": "ID", "ENTITY_ID": "Объект", "FIELD_NAME": "Код", "USER_TYPE_ID": "Тип данных",
        "XML_ID": "Внешний код", "SORT": "Сортировка", "MULTIPLE": "Множественное", "MANDATORY": "Обязательное",
        "SHOW_FILTER": "Показывать в фильтре", "SHOW_IN_LIST": "Показывать в списке",
        "EDIT_IN_LIST": "Разрешить редактирование", "IS_SEARCHABLE": "Значения участвуют в поиске",
        "EDIT_FORM_LABEL": "Подпись в форме", "LIST_COLUMN_LABEL": "Заголовок в списке",
        "LIST_FILTER_LABEL": "Подпись фильтра", "ERROR_MESSAGE": "Сообщение об ошибке", "HELP_MESSAGE": "Помощь",
        "LIST": "Элементы списка", "SETTINGS": "Дополнительные настройки",
    }  # fmt: skip
    made: Row = {}
    for name, title in titles.items():
        made[name] = {"type": kinds.get(name, "char" if name in flags else "string"), "title": title}
    made["ID"]["isReadOnly"] = True
    for name in ("ENTITY_ID", "FIELD_NAME", "USER_TYPE_ID"):
        made[name]["isImmutable"] = True
    made["LIST"]["isMultiple"] = True
    return made


@method("crm.userfield.enumeration.fields", scope="crm")
def enumeration_fields(call: Call) -> Row:
    return {
        "ID": {"type": "int", "title": "ID", "isReadOnly": True}, "SORT": {"type": "int", "title": "Сортировка"},
        "VALUE": {"type": "string", "title": "Значение"}, "DEF": {"type": "string", "title": "По умолчанию"},
        "DEL": {"type": "string", "title": "Признак удаления"},
    }  # fmt: skip


_LIST = {"DISPLAY": ("string", "Внешний вид"), "LIST_HEIGHT": ("int", "Высота списка")}
_IBLOCK = {
    "IBLOCK_TYPE_ID": ("string", "Тип инфоблока"), "IBLOCK_ID": ("string", "Инфоблок"),
    "DEFAULT_VALUE": ("string", "Значение по умолчанию"), **_LIST, "ACTIVE_FILTER": ("char", "Только активные"),
}  # fmt: skip
_SETTINGS: dict[str, dict[str, tuple[str, str]]] = {
    "string": {"DEFAULT_VALUE": ("string", "Значение по умолчанию"), "ROWS": ("int", "Количество строк")},
    "integer": {"DEFAULT_VALUE": ("int", "Значение по умолчанию")},
    "double": {"DEFAULT_VALUE": ("double", "Значение по умолчанию"), "PRECISION": ("int", "Точность")},
    "boolean": {"DEFAULT_VALUE": ("int", "Значение по умолчанию"), "DISPLAY": ("string", "Внешний вид")},
    "date": {"DEFAULT_VALUE": ("object", "Значение по умолчанию")},
    "datetime": {"DEFAULT_VALUE": ("object", "Значение по умолчанию")},
    "enumeration": _LIST,
    "iblock_section": _IBLOCK,
    "iblock_element": _IBLOCK,
    "crm_status": {"ENTITY_TYPE": ("string", "Справочник")},
    "crm": {name: ("char", title) for name, title in (
        ("LEAD", "Лиды"), ("CONTACT", "Контакты"), ("COMPANY", "Компании"), ("DEAL", "Сделки"))},
    "money": {"DEFAULT_VALUE": ("string", "Значение по умолчанию")},
    "url": {"POPUP": ("char", "Открывать в новом окне"), "SIZE": ("int", "Размер поля")},
    "file": {"MAX_ALLOWED_SIZE": ("int", "Максимальный размер"), "EXTENSIONS": ("string", "Расширения")},
}  # fmt: skip


@method("crm.userfield.settings.fields", scope="crm", params="type")
def settings_fields(call: Call) -> Any:
    kind = call.text("type")
    if not kind:
        raise refused("Parameter 'type' is not specified or empty.")
    listed = _SETTINGS.get(kind, {})
    return {name: {"type": type_, "title": title} for name, (type_, title) in listed.items()} or []


# --- userfieldconfig --------------------------------------------------------------------------------------------------

_CAMEL = {
    "id": "ID", "entityId": "ENTITY_ID", "fieldName": "FIELD_NAME", "userTypeId": "USER_TYPE_ID", "xmlId": "XML_ID",
    "sort": "SORT", "multiple": "MULTIPLE", "mandatory": "MANDATORY", "showFilter": "SHOW_FILTER",
    "showInList": "SHOW_IN_LIST", "editInList": "EDIT_IN_LIST", "isSearchable": "IS_SEARCHABLE",
    "settings": "SETTINGS",
}  # fmt: skip
_LABEL_NAMES = {
    "editFormLabel": "EDIT_FORM_LABEL", "listColumnLabel": "LIST_COLUMN_LABEL", "listFilterLabel": "LIST_FILTER_LABEL",
    "errorMessage": "ERROR_MESSAGE", "helpMessage": "HELP_MESSAGE",
}  # fmt: skip
_CONFIG_COLUMNS = {name: _COLUMNS[upper] for name, upper in _CAMEL.items() if upper in _COLUMNS}


def _module(call: Call) -> None:
    module = plain(call.get("moduleId"))
    if module != "crm":
        raise refused("No settings for UserFieldAccess")
    if "crm" not in call.scopes:
        raise refused("The current method required more scopes. (crm)")


def _config(call: Call, row: Row) -> Row:
    """The field with labels of the languages that have one (and of the portal's)."""
    used = {language for name in LABELS for language, text in row[name].items() if text}
    languages = sorted(used | {call.portal.settings.language})
    made: Row = {}
    for name, upper in _CAMEL.items():
        value = row[upper]
        made[name] = str(value) if upper in ("ID", "SORT") else value
    made["languageId"] = {language: language for language in languages}
    for name, upper in _LABEL_NAMES.items():
        made[name] = {language: row[upper].get(language) or None for language in languages}
    if row["USER_TYPE_ID"] == "enumeration":
        made["enum"] = [
            {
                "id": str(one["ID"]), "userFieldId": str(row["ID"]), "value": one["VALUE"], "def": one["DEF"],
                "sort": str(one["SORT"]), "xmlId": one["XML_ID"],
            }
            for one in row["LIST"]
        ]  # fmt: skip
    return made


def _given(call: Call) -> Row:
    value = call.get("field")
    if not isinstance(value, dict):
        raise missing("field")
    names = {**_CAMEL, **_LABEL_NAMES, "enum": "LIST"}
    return {names[key]: child for key, child in value.items() if key in names}


def _config_found(call: Call, text: str) -> Row:
    row = call.portal["userfields"].get(as_int(call.get("id")))
    if row is None or not call.admin or not row["ENTITY_ID"].startswith("CRM_"):
        raise refused(text)
    return row


@method("userfieldconfig.add", scope="userfieldconfig", params="moduleId! field!", style="controller", writes=True)
def config_add(call: Call) -> Row:
    _module(call)
    given = _given(call)
    entity = plain(given.get("ENTITY_ID"))
    if not call.admin or not entity.startswith("CRM_") or not userfields.table_of(call.portal, entity):
        raise refused("Access denied")
    prefix = f"UF_{entity}_" if re.fullmatch(r"CRM_\d+", entity) else "UF_CRM_"
    name = plain(given.get("FIELD_NAME")).upper()
    if name and not name.startswith(prefix):
        raise refused("You cannot create custom fields")
    return {"field": _config(call, userfields.create(call.portal, entity, given, call.actor, prefix))}


@method("userfieldconfig.get", scope="userfieldconfig", params="moduleId! id!", style="controller")
def config_get(call: Call) -> Row:
    _module(call)
    return {"field": _config(call, _config_found(call, "You do not have permission to view user field settings"))}


@method(
    "userfieldconfig.update", scope="userfieldconfig", params="moduleId! id! field!", style="controller", writes=True
)
def config_update(call: Call) -> Row:
    _module(call)
    row = _config_found(call, "You cannot change the settings of the user field")
    userfields.change(call.portal, row, _given(call), call.actor)
    return {"field": _config(call, row)}


@method("userfieldconfig.delete", scope="userfieldconfig", params="moduleId! id!", style="controller", writes=True)
def config_delete(call: Call) -> None:
    _module(call)
    userfields.delete(call.portal, _config_found(call, "You cannot delete the user field"), call.actor)


@method(
    "userfieldconfig.list", scope="userfieldconfig", params="moduleId! select order filter start", style="controller"
)
def config_list(call: Call) -> Page:
    _module(call)
    if not call.admin:
        raise refused("You do not have permission to view user field settings")

    def refuse(key: str) -> None:
        raise RestError("INVALID_ARG_VALUE", f"Invalid filter: field '{key}' is not allowed in filter")

    order = {key: value for key, value in call.mapping("order").items() if key in _CONFIG_COLUMNS}
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["userfields"], filter=call.mapping("filter"), order=order, columns=_CONFIG_COLUMNS,
        zone=call.portal.zone(), start=start, unknown=refuse, key="id",
        visible=lambda row: row["ENTITY_ID"].startswith("CRM_"),
    )  # fmt: skip
    select = call.mapping("select")
    language = plain(select.get("language"))
    names = [plain(value) for key, value in select.items() if key != "language"]
    fields = []
    for row in rows:
        made = {key: value for key, value in _config(call, row).items() if key != "enum"}
        if language:
            made["languageId"] = {language: language}
            for name, upper in _LABEL_NAMES.items():
                text = row[upper].get(language)
                made[name] = {language: text} if text else None
        else:
            made = {key: value for key, value in made.items() if key not in ("languageId", *_LABEL_NAMES)}
        if names and "*" not in names:
            made = {key: value for key, value in made.items() if key in names or key == "id"}
        fields.append(made)
    return page_of({"fields": fields}, total, following, start)


@method("userfieldconfig.getTypes", scope="userfieldconfig", params="moduleId!", style="controller")
def config_types(call: Call) -> Row:
    _module(call)
    known = {**userfields.TYPES, **{row["FULL"]: row["TITLE"] for row in call.portal["userfield_types"]}}
    return {"types": {key: {"userTypeId": key, "description": text} for key, text in known.items()}}


def uses(call: Call, entity: str, given: Any) -> Row:
    """The custom fields in what a caller gave for a record of that ENTITY_ID, in upper-case names."""
    names = {row["FIELD_NAME"] for row in call.portal["userfields"].where(ENTITY_ID=entity)}
    return {
        key.upper(): value if not isinstance(value, (dict, list)) else as_list(value)
        for key, value in as_map(given).items()
        if key.upper() in names
    }
