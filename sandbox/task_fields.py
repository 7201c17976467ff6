"""Custom fields of tasks: the three of the system and those that administrators add (api-reference/tasks/user-field).

The fields are records of portal["userfields"] with ENTITY_ID TASKS_TASK; a task keeps a value under its FIELD_NAME.
"""

from __future__ import annotations

from typing import Any

from sandbox import crm_fields
from sandbox.filters import Column
from sandbox.method import RestError, Row, plain
from sandbox.portal import Portal
from sandbox.userfields import LABELS, LANGUAGES

ENTITY = "TASKS_TASK"
# What an administrator may add, with the settings of a new field.
SETTINGS: dict[str, Row] = {
    "string": {"SIZE": 20, "ROWS": 1, "REGEXP": "", "MIN_LENGTH": 0, "MAX_LENGTH": 0, "DEFAULT_VALUE": ""},
    "double": {"PRECISION": 0, "SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": 0},
    "datetime": {"DEFAULT_VALUE": {"TYPE": "NONE", "VALUE": ""}, "USE_SECOND": "Y", "USE_TIMEZONE": "N"},
    "boolean": {"DEFAULT_VALUE": 0, "DISPLAY": "CHECKBOX", "LABEL": ["", ""], "LABEL_CHECKBOX": ""},
}
# Name, type, XML_ID, whether several and whether shown, settings.
_SYSTEM: tuple[tuple[str, str, str, str, str, Any], ...] = (
    ("UF_CRM_TASK", "crm", "", "Y", "N", {"LEAD": "Y", "CONTACT": "Y", "COMPANY": "Y", "DEAL": "Y"}),
    ("UF_MAIL_MESSAGE", "mail_message", "", "N", "N", []),
    ("UF_TASK_WEBDAV_FILES", "disk_file", "TASK_WEBDAV_FILES", "Y", "Y",
        {"IBLOCK_ID": 0, "SECTION_ID": 0, "UF_TO_SAVE_ALLOW_EDIT": ""}),
)  # fmt: skip
SYSTEM = tuple(name for name, *_ in _SYSTEM)


def everything(portal: Portal) -> list[Row]:
    """All fields of tasks; those of the system are made on first use."""
    table = portal["userfields"]
    if table.first(ENTITY_ID=ENTITY, FIELD_NAME=SYSTEM[0]) is None:
        for name, kind, xml_id, several, shown, settings in _SYSTEM:
            table.add(
                {
                    "ENTITY_ID": ENTITY, "FIELD_NAME": name, "USER_TYPE_ID": kind, "XML_ID": xml_id, "SORT": 100,
                    "LIST": [], "SETTINGS": settings, "MULTIPLE": several, "MANDATORY": "N", "SHOW_FILTER": "N",
                    "SHOW_IN_LIST": shown, "EDIT_IN_LIST": shown, "IS_SEARCHABLE": shown,
                    **{label: dict.fromkeys(LANGUAGES, "") for label in LABELS},
                }
            )  # fmt: skip
    return list(table.where(ENTITY_ID=ENTITY))


def own(portal: Portal) -> list[Row]:
    """The fields that administrators added."""
    return [row for row in portal["userfields"].where(ENTITY_ID=ENTITY) if row["FIELD_NAME"] not in SYSTEM]


def read(portal: Portal, given: Row) -> Row:
    """Inner values of the added fields among upper-case `given`. ERROR_CORE for one of another type."""
    values: Row = {}
    for row in own(portal):
        name = row["FIELD_NAME"]
        if name in given:
            try:
                values[name] = crm_fields.parse(portal, crm_fields.user_field(row), given[name])
            except RestError:
                raise RestError("ERROR_CORE", f"Некорректное значение в поле {name}<br>", 400) from None
    return values


def shown(portal: Portal, field: Row, task: Row) -> Any:
    """The task's value of the field as task methods print it; nothing is null, of several it is false.

    [verify] No page shows a value of an added field: numbers are text as those of tasks are, yes and no 1 and 0.
    """

    def one(value: Any) -> Any:
        if field["USER_TYPE_ID"] == "datetime":
            return portal.iso(value)
        if field["USER_TYPE_ID"] == "boolean":
            return "1" if value == "Y" else "0"
        return plain(value)

    value = task.get(field["FIELD_NAME"])
    if field["MULTIPLE"] == "Y":
        return [one(each) for each in value] if value else False
    return None if value is None else one(value)


def columns(portal: Portal) -> dict[str, Column]:
    """How lists compare the added fields."""
    return {row["FIELD_NAME"]: Column(row["FIELD_NAME"], crm_fields.user_field(row).kind) for row in own(portal)}


def set_several(portal: Portal, field: Row, several: str) -> None:
    """One value or several from now on: tasks keep their values, the first of several when one is left."""
    if field["MULTIPLE"] == several or field["USER_TYPE_ID"] == "boolean":
        return
    field["MULTIPLE"] = several
    name = field["FIELD_NAME"]
    for task in portal["tasks"]:
        value = task.get(name)
        if value is not None:
            task[name] = [value] if several == "Y" else next(iter(value), None)
