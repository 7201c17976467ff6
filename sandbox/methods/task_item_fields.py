"""Custom fields of tasks as administrators make them: task.item.userfield.* (api-reference/tasks/user-field)."""

from __future__ import annotations

from typing import Any

from sandbox import task_fields, userfields
from sandbox.filters import Column, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_map, method, plain, yes
from sandbox.methods.crm_userfields import described
from sandbox.task_fields import ENTITY

_ORDER = {"ID": Column("ID", "int"), "SORT": Column("SORT", "int")}
_ORDER |= {name: Column(name) for name in ("FIELD_NAME", "USER_TYPE_ID")}
_FILTER = {"ID": Column("ID", "int")}
_FILTER |= {name: Column(name) for name in ("FIELD_NAME", "USER_TYPE_ID", "XML_ID", "MULTIPLE", "MANDATORY")}
_CHANGEABLE = ("XML_ID", "EDIT_FORM_LABEL", "LABEL", "SORT", "MULTIPLE", "MANDATORY", "SETTINGS", "LIST_COLUMN_LABEL",
    "LIST_FILTER_LABEL", "ERROR_MESSAGE", "HELP_MESSAGE", "SHOW_FILTER", "SHOW_IN_LIST", "EDIT_IN_LIST",
    "IS_SEARCHABLE")  # fmt: skip


def _wrong(text: str, code: str = "ERROR_CORE") -> RestError:
    return RestError(code, text, 400)


def _arguments(call: Call, verb: str, *names: str) -> None:
    if any(call.get(name) is None for name in names) or ("DATA" in names and call.text("DATA")):
        where = rf"Bitrix\Tasks\Integration\Rest\Task\UserField::{verb}"
        raise _wrong(f"TASKS_ERROR_EXCEPTION_#0; Invalid arguments for {where}; 0/TE")


def _found(call: Call, *, to_change: bool) -> Row:
    number = as_int(call.get("ID"))
    if number is None or isinstance(call.get("ID"), bool) or number <= 0:
        raise _wrong("ID is not defined or invalid.")
    if to_change and not call.admin:
        raise _wrong("Access denied.")
    row = next((one for one in task_fields.everything(call.portal) if one["ID"] == number), None)
    if row is None:
        raise _wrong(f"The entity with ID '{number}' is not found.", "ERROR_NOT_FOUND")
    if to_change and row["FIELD_NAME"] in task_fields.SYSTEM:
        # The pages name no error for the fields of the system, which nobody may change.
        raise _wrong("Access denied.")
    return row


def _given(call: Call, name: str) -> Row:
    """The field's facts in capitals; a label given by languages stands for all of them."""
    fields = {key.upper(): value for key, value in call.mapping(name).items()}
    for label in userfields.LABELS:
        if isinstance(fields.get(label), dict):
            fields[label] = {**dict.fromkeys(userfields.LANGUAGES, ""), **fields[label]}
    return fields


def _printed(row: Row, language: str | None) -> Row:
    return userfields.describe(row, language) | {"XML_ID": row["XML_ID"] or ""}


@method("task.item.userfield.add", scope="task", params="PARAMS!", writes=True)
def add(call: Call) -> int:
    if not call.admin:
        raise _wrong("Access denied.")
    fields = _given(call, "PARAMS")
    kind, given = plain(fields.get("USER_TYPE_ID")), fields.get("FIELD_NAME")
    if not kind:
        raise _wrong("The 'USER_TYPE_ID' field is not found.")
    if given in (None, "") or isinstance(given, (dict, list)):
        raise _wrong("The 'FIELD_NAME' field is not found.")
    if kind not in task_fields.SETTINGS:
        raise _wrong("Invalid user type specified.")
    name = userfields.full_name(plain(given), "UF_")
    if any(row["FIELD_NAME"] == name for row in task_fields.everything(call.portal)):
        raise _wrong(f"The field {name} for the object {ENTITY} already exists.")
    fields["SETTINGS"] = {**task_fields.SETTINGS[kind], **as_map(fields.get("SETTINGS"))}
    fields.setdefault("SHOW_IN_LIST", "Y")
    return int(userfields.create(call.portal, ENTITY, fields, call.actor, "UF_")["ID"])


@method("task.item.userfield.get", scope="task", params="ID!")
def get(call: Call) -> Page:
    if call.get("ID") is None:
        raise _wrong("No parameters found.")
    return Page(_printed(_found(call, to_change=False), None), 0)


@method("task.item.userfield.getlist", scope="task", params="ORDER FILTER")
def get_list(call: Call) -> Page:
    def named(name: str, columns: dict[str, Column]) -> Row:
        given = {key.upper(): value for key, value in call.mapping(name).items()}
        return {key: value for key, value in given.items() if key.lstrip("!<>=%?@") in columns}

    task_fields.everything(call.portal)
    rows, _, _ = select_rows(
        call.portal["userfields"], filter=named("FILTER", _FILTER), order=named("ORDER", _ORDER),
        columns=_ORDER | _FILTER, zone=call.portal.zone(), limit=10_000,
        visible=lambda row: row["ENTITY_ID"] == ENTITY,
    )  # fmt: skip
    return Page([_printed(row, "") for row in rows], 0)


@method("task.item.userfield.update", scope="task", params="ID! DATA!", writes=True)
def update(call: Call) -> bool:
    _arguments(call, "update", "ID", "DATA")
    row = _found(call, to_change=True)
    fields: dict[str, Any] = {name: value for name, value in _given(call, "DATA").items() if name in _CHANGEABLE}
    if "LABEL" in fields:
        fields = dict.fromkeys(userfields.LABELS, plain(fields.pop("LABEL"))) | fields
    if "MULTIPLE" in fields:
        task_fields.set_several(call.portal, row, "Y" if yes(fields["MULTIPLE"]) else "N")
    userfields.change(call.portal, row, fields, call.actor)
    return True


@method("task.item.userfield.delete", scope="task", params="ID!", writes=True)
def delete(call: Call) -> bool:
    _arguments(call, "delete", "ID")
    userfields.delete(call.portal, _found(call, to_change=True), call.actor)
    return True


@method("task.item.userfield.getfields", scope="task", cost=(0.0, 0.01))
def get_fields(call: Call) -> Page:
    return Page(described(call), 0)


@method("task.item.userfield.gettypes", scope="task", cost=(0.0, 0.01))
def get_types(call: Call) -> Page:
    return Page([{"ID": key, "title": title} for key, title in userfields.TYPES.items()], 0)
