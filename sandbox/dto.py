"""Objects of REST 3.0: their fields, the `*.field.list` and `*.field.get` methods, conditions, order, pages.

(api-reference/rest-v3.md; each family's *-field-list.md and *-field-get.md.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.method import Call, RestError, Row, method
from sandbox.v3 import V3Error, invalid, required


@dataclass(slots=True, frozen=True)
class Dto:
    """An object type: its name in errors and {field: type}; which fields may stand in a filter or an order."""

    name: str
    fields: dict[str, str]
    filterable: frozenset[str] = frozenset()
    sortable: frozenset[str] = frozenset()
    editable: frozenset[str] = frozenset()

    def unknown(self, field: str) -> V3Error:
        """The error of a field that the object does not have."""
        return V3Error("UNKNOWNDTOPROPERTYEXCEPTION", f"Unknown field `{field}` for entity `{self.name}`")


_FIELD_KEYS = ("name", "type", "title", "description", "validationRules", "requiredGroups", "filterable", "sortable",
    "editable", "multiple", "elementType")  # fmt: skip


def typed(field: str, kind: str) -> V3Error:
    """The error of a value of another type."""
    return invalid((field, f"Field `{field}` requires data type `{kind}` for this request"))


def whole(values: Row, field: str) -> int:
    """A whole number out of a JSON body; text is not one."""
    value = values.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise typed(field, "int")
    return value


def text(values: Row, field: str) -> str:
    """A text out of a JSON body."""
    value = values.get(field)
    if not isinstance(value, str):
        raise typed(field, "string")
    return value


def fields(call: Call) -> Row:
    """`fields` of the call, an object."""
    value = call.params.get("fields")
    if value is None:
        raise required("fields")
    if not isinstance(value, dict):
        raise typed("fields", "object")
    return value


def selection(call: Call, dto: Dto) -> list[str] | None:
    """`select` of the call, None when absent; unknown names are refused."""
    value = call.params.get("select")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise V3Error("INVALIDSELECTEXCEPTION", f"Unable to recognize select expression `{value}`")
    for name in value:
        if name not in dto.fields:
            raise dto.unknown(name)
    return value


def chosen(call: Call, dto: Dto, item: Row) -> Row:
    """The item with only the selected fields."""
    names = selection(call, dto)
    return item if names is None else {name: item[name] for name in names if name in item}


_FIELD_DTO = Dto("DtoFieldDto", dict.fromkeys(_FIELD_KEYS, "string"))


def _described(dto: Dto, name: str) -> Row:
    return {
        "name": name, "type": dto.fields[name], "title": name, "description": None, "validationRules": [],
        "requiredGroups": None, "filterable": name in dto.filterable, "sortable": name in dto.sortable,
        "editable": name in dto.editable, "multiple": dto.fields[name] == "array", "elementType": None,
    }  # fmt: skip


def describe(prefix: str, scope: str, dto: Dto) -> None:
    """Declare `<prefix>.field.list` and `<prefix>.field.get` of an object type."""

    @method(f"{prefix}.field.list", scope=scope, version=3)
    def field_list(call: Call) -> Row:
        return {"items": [chosen(call, _FIELD_DTO, _described(dto, name)) for name in dto.fields]}

    @method(f"{prefix}.field.get", scope=scope, version=3)
    def field_get(call: Call) -> Row:
        if call.params.get("name") is None:
            raise required("name")
        name = text(call.params, "name")
        if name not in dto.fields:
            raise RestError("BITRIX_REST_V3_REALISATION_EXCEPTION_FIELDNOTFOUNDEXCEPTION", f"Field `{name}` not found")
        return {"item": chosen(call, _FIELD_DTO, _described(dto, name))}


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda have, value: have == value,
    "!=": lambda have, value: have != value,
    ">": lambda have, value: have is not None and have > value,
    ">=": lambda have, value: have is not None and have >= value,
    "<": lambda have, value: have is not None and have < value,
    "<=": lambda have, value: have is not None and have <= value,
    "in": lambda have, value: have in value,
    "between": lambda have, value: have is not None and value[0] <= have <= value[1],
}


def conditions(call: Call, dto: Dto, filterable: set[str]) -> tuple[Row, Callable[[Row], bool]]:
    """({field: value} of the equalities, a test of an item) out of `filter`, a list of [field, (operator,) value]."""
    given = call.params.get("filter")
    if given is None:
        given = []
    if not isinstance(given, list):
        raise invalid(("filter", "Unable to recognize the filter expression"))
    equal: Row = {}
    tests: list[Callable[[Row], bool]] = []
    for one in given:
        if not isinstance(one, list) or len(one) not in (2, 3) or not isinstance(one[0], str):
            raise invalid(("filter", "Unable to recognize the filter expression"))
        name, value = one[0], one[-1]
        operator = one[1] if len(one) == 3 else "in" if isinstance(value, list) else "="
        if name not in dto.fields:
            raise dto.unknown(name)
        if name not in filterable:
            raise invalid((name, f"In DTO `{dto.name}`, the `{name}` field requires the `Filterable` attribute"))
        if not isinstance(operator, str) or operator not in _OPERATORS:
            raise V3Error("UNKNOWNFILTEROPERATOREXCEPTION", f"Unknown filter operator `{operator}`")
        several = operator in ("in", "between")
        values = value if several else [value]
        if not isinstance(values, list) or (operator == "between" and len(values) != 2):
            raise typed(name, dto.fields[name])
        if dto.fields[name] == "int":
            if not all(isinstance(each, int) and not isinstance(each, bool) for each in values):
                raise typed(name, "int")
        elif not all(isinstance(each, str) for each in values):
            raise typed(name, dto.fields[name])
        if operator == "=":
            equal[name] = value
        tests.append(lambda row, name=name, check=_OPERATORS[operator], value=value: check(row[name], value))  # type: ignore[misc]
    return equal, lambda row: all(test(row) for test in tests)


def page(
    call: Call, dto: Dto, items: list[Row], *, sortable: set[str] | None = None, limit: int = 50, most: int = 1000
) -> list[Row]:
    """The items in the order, on the page (of `limit` by default, `most` at most) and with the wanted fields."""
    order = call.params.get("order") or {}
    if not isinstance(order, dict):
        raise V3Error("INVALIDORDEREXCEPTION", "Unable to recognize the order parameter")
    for name, direction in reversed(order.items()):
        if name not in (sortable if sortable is not None else set(dto.fields)):
            raise V3Error("INVALIDORDEREXCEPTION", f"Unable to recognize the order parameter `{name}`")
        if str(direction).upper() not in ("ASC", "DESC"):
            raise V3Error("INVALIDORDEREXCEPTION", f"Unable to recognize the order parameter `{name}`")
        items = sorted(
            items, key=lambda row, name=name: (row[name] is not None, row[name] or 0),  # type: ignore[misc]
            reverse=str(direction).upper() == "DESC",
        )  # fmt: skip
    given = call.params.get("pagination") or {}
    if (
        not isinstance(given, dict)
        or not set(given) <= {"page", "limit", "offset"}
        or not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in given.values())
        or given.get("limit") == 0
    ):
        shown = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
        raise V3Error("INVALIDPAGINATIONEXCEPTION", f"Unable to recognize pagination parameter `{shown}`")
    limit = min(most, given.get("limit") or limit)
    offset = given.get("offset") or ((given["page"] - 1) * limit if given.get("page") else 0)
    names = selection(call, dto)
    found = items[offset : offset + limit]
    return found if names is None else [{name: row[name] for name in names if name in row} for row in found]
