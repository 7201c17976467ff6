"""Digital workplaces: crm.automatedsolution.* (api-reference/crm/automated-solution).

A workplace (portal["automated_solutions"]) holds those smart processes whose CUSTOM_SECTION_ID is its SECTION_ID: as on
portals, the id of the workplace and the id of its section, which crm.type.get shows, are two numbers.
"""

from __future__ import annotations

from sandbox.filters import Column, check_order, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain
from sandbox.methods.crm_types import changed, upper

FIRST_SECTION = 1000
_COLUMNS = {"id": Column("ID", "int"), "title": Column("TITLE")}
_PREFIX = "crm.automatedsolution."


def _manage(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Insufficient permissions", 400)


def _types(call: Call, row: Row) -> list[Row]:
    return list(call.portal["types"].where(CUSTOM_SECTION_ID=row["SECTION_ID"]))


def _shown(call: Call, row: Row) -> Row:
    return {"id": row["ID"], "title": row["TITLE"], "typeIds": [one["ID"] for one in _types(call, row)]}


def _found(call: Call) -> Row:
    row = call.portal["automated_solutions"].get(as_int(call.get("id")))
    if row is None:
        raise RestError("NOT_FOUND", "Digital workplace with such id not found", 400)
    return row


def _fields(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, (dict, list)):
        raise RestError("100", "Invalid value to match with parameter {fields}. Should be value of type array.")
    return as_map(value)


def _title(fields: Row) -> str:
    """The title that the call gives, "" for none."""
    value = fields.get("title")
    return "" if isinstance(value, (dict, list)) else plain(value).strip()


def _given_types(call: Call, fields: Row) -> list[Row] | None:
    """The smart processes that the call names; None when it does not speak of them."""
    if "typeIds" not in fields:
        return None
    made = []
    for one in as_list(fields["typeIds"]):
        row = call.portal["types"].get(as_int(one))
        if row is None:
            # [verify] The pages do not say how a process that is not there is refused.
            raise RestError("INVALID_ARG_VALUE", "Invalid value of field 'typeIds': no such smart process", 400)
        made.append(row)
    return made


def _bind(call: Call, row: Row, wanted: list[Row] | None) -> None:
    """Make these processes those of the workplace, wherever they were before; others of it return to CRM."""
    if wanted is None:
        return
    numbers = {one["ID"] for one in wanted}
    for one in [*wanted, *(each for each in _types(call, row) if each["ID"] not in numbers)]:
        section = row["SECTION_ID"] if one["ID"] in numbers else None
        if one["CUSTOM_SECTION_ID"] != section:
            one["CUSTOM_SECTION_ID"] = section
            one["UPDATED_TIME"], one["UPDATED_BY"] = call.portal.now(), call.user_id
            changed(call, "UPDATE", one)


@method(f"{_PREFIX}add", scope="crm", params="fields!", style="controller", writes=True)
def solution_add(call: Call) -> Row:
    _manage(call)
    fields, table = _fields(call), call.portal["automated_solutions"]
    title, wanted = _title(fields), _given_types(call, fields)
    if not title:
        raise RestError("BX_EMPTY_REQUIRED", "The required field 'Title' is not filled", 400)
    if len(table) >= call.portal.settings.workplaces:
        raise RestError("LIMIT_EXCEEDED", "The number of available digital workspaces has been exceeded", 400)
    row = table.add({"TITLE": title, "SECTION_ID": FIRST_SECTION + table.last + 1})
    _bind(call, row, wanted)
    call.portal.effect("create", "workplace", row["ID"], call.user_id, "rest")
    return {"automatedSolution": _shown(call, row)}


@method(f"{_PREFIX}get", scope="crm", params="id!", style="controller")
def solution_get(call: Call) -> Row:
    _manage(call)
    return {"automatedSolution": _shown(call, _found(call))}


@method(f"{_PREFIX}list", scope="crm", params="order filter start", style="controller")
def solution_list(call: Call) -> Page:
    _manage(call)
    order = call.mapping("order")
    check_order(order, _COLUMNS)
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["automated_solutions"], filter=call.mapping("filter"), order=order, columns=_COLUMNS,
        zone=call.portal.zone(), start=start, key="id",
    )  # fmt: skip
    return page_of({"automatedSolutions": [_shown(call, row) for row in rows]}, total, following, start)


@method(f"{_PREFIX}update", scope="crm", params="id! fields!", style="controller", writes=True)
def solution_update(call: Call) -> Row:
    _manage(call)
    row, fields = _found(call), _fields(call)
    title, wanted = _title(fields), _given_types(call, fields)
    if "title" in fields and not title:
        raise RestError("BX_EMPTY_REQUIRED", "Required field is not filled", 400)
    row["TITLE"] = title or row["TITLE"]
    _bind(call, row, wanted)
    call.portal.effect("update", "workplace", row["ID"], call.user_id, "rest", fields=sorted(fields))
    return {"automatedSolution": _shown(call, row)}


@method(f"{_PREFIX}delete", scope="crm", params="id!", style="controller", writes=True)
def solution_delete(call: Call) -> None:
    _manage(call)
    row = _found(call)
    if _types(call, row):
        text = "Cannot delete the workplace that has SPAs. Move them to another workplace"
        raise RestError("HAS_BOUND_TYPES", text, 400)
    call.portal["automated_solutions"].remove(row["ID"])
    call.portal.effect("delete", "workplace", row["ID"], call.user_id, "rest")


@method(f"{_PREFIX}fields", scope="crm", style="controller")
def solution_fields(call: Call) -> Row:
    _manage(call)
    facts = {"id": ("integer", "r"), "title": ("string", "*"), "typeIds": ("crm_dynamic_type", "m")}
    return {
        name: {
            "type": kind, "isRequired": "*" in flags, "isReadOnly": "r" in flags, "isImmutable": False,
            "isMultiple": "m" in flags, "isDynamic": False, "title": upper(name), "upperName": upper(name),
        }
        for name, (kind, flags) in facts.items()
    }  # fmt: skip
