"""Bitrix24's lists: filter prefixes and logic groups, select, order, pages of 50, start=-1."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.method import Page, RestError, Row, as_int, as_list, as_map, plain
from sandbox.portal import Table

PAGE = 50
# Longest first: the prefix of a key is the first of these with which it begins.
PREFIXES = ("!=%", "!%=", "!=", "!@", "!%", "!><", "><", ">=", "<=", "=%", "%=", "=", "!", "@", "%", ">", "<", "?")


@dataclass(slots=True, frozen=True)
class Column:
    """How one field is compared and printed.

    kind: int, float, text, flag (Y/N), time (unix seconds inside, ISO outside), date (as `day_of` makes it).
    read: makes the value from a record; by default the record's own value under `name`.
    """

    name: str
    kind: str = "text"
    read: Callable[[Row], Any] | None = None

    def value(self, row: Row) -> Any:
        return self.read(row) if self.read is not None else row.get(self.name)


Columns = Mapping[str, Column]


def split_key(key: str) -> tuple[str, str]:
    """(operator, field) of a filter key; no prefix is "="."""
    for prefix in PREFIXES:
        if key.startswith(prefix):
            return ("=" if prefix == "=" else prefix), key[len(prefix) :].strip()
    return "", key.strip()


def to_time(value: Any, zone: Any) -> float | None:
    """Unix seconds of an ISO or portal-format (22.11.2026 10:00:00) text, or of a number; None when it is no time."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = plain(value).strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "T", 1) if text[:4].isdigit() else text)
    except ValueError:
        for form in ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y"):
            try:
                moment = datetime.strptime(text, form).replace(tzinfo=zone)
                break
            except ValueError:
                continue
        else:
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def day_of(at: float, zone: Any) -> float:
    """The calendar day of that moment in that zone, as its midnight in UTC.

    The pages print a date so: 2024-08-30T02:00:00+02:00 at a portal of +02:00 (crm-deal-get.md, BEGINDATE).
    """
    day = datetime.fromtimestamp(at, zone)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def to_day(value: Any, zone: Any) -> float | None:
    """As `to_time`, of which only the calendar day is left; a number is a day already."""
    moment = to_time(value, zone)
    return moment if moment is None or not isinstance(value, str) else day_of(moment, zone)


def comparable(column: Column, value: Any, zone: Any) -> Any:
    """A filter's value or a record's value in the form in which this column compares; None for empty."""
    if value is None or value == "" or (value is False and column.kind != "flag"):
        return None
    if column.kind == "int":
        number = as_int(value)
        return number if number is not None else plain(value)
    if column.kind == "float":
        try:
            return float(plain(value))
        except ValueError:
            return None
    if column.kind == "time":
        return to_time(value, zone)
    if column.kind == "date":
        return to_day(value, zone)
    if column.kind == "flag":
        text = plain(value).upper()
        return {"1": "Y", "TRUE": "Y", "": "N", "0": "N", "FALSE": "N"}.get(text, text)
    return plain(value).casefold()


def _match(operator: str, have: list[Any], wanted: list[Any], single: bool) -> bool:
    """Whether the values of a record (none: empty) satisfy one condition."""
    negative = operator.startswith("!")
    bare = operator[1:] if negative else operator
    if bare in ("", "=", "@"):
        found = any(value in have if value is not None else not have for value in wanted)
        return found != negative
    if bare in ("%", "?"):
        found = any(value is not None and plain(value) in plain(one) for value in wanted for one in have)
        return found != negative
    if bare in ("=%", "%="):
        found = any(value is not None and _like(plain(value), plain(one)) for value in wanted for one in have)
        return found != negative
    if bare == "><":
        low, high = [*wanted, None, None][:2]
        found = any((low is None or _order(one, low) >= 0) and (high is None or _order(one, high) <= 0) for one in have)
        return found != negative
    tests = {">": (1,), ">=": (1, 0), "<": (-1,), "<=": (-1, 0)}[bare]
    return any(value is not None and _order(one, value) in tests for value in wanted for one in have)


def _order(left: Any, right: Any) -> int:
    if isinstance(left, (int, float)) != isinstance(right, (int, float)):
        left, right = plain(left), plain(right)
    return int(left > right) - int(left < right)


def _like(pattern: str, text: str) -> bool:
    parts = pattern.split("%")
    if len(parts) == 1:
        return pattern == text
    if not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    position = len(parts[0])
    end = len(text) - len(parts[-1])
    for part in parts[1:-1]:
        at = text.find(part, position, end)
        if at < 0:
            return False
        position = at + len(part)
    return position <= end


Test = Callable[[Row], bool]


def compile_filter(
    conditions: Mapping[str, Any], columns: Columns, zone: Any, unknown: Callable[[str], Test | None]
) -> Test:
    """One test of a record out of a whole filter; `unknown` decides about a field that is not among `columns`.

    Groups: {"logic": "OR", "0": {...}, "1": {...}}, also as a list of such maps under a number. `unknown` may return a
    test, None to ignore the condition, or raise RestError.
    """
    logic = plain(conditions.get("logic", conditions.get("LOGIC", "AND"))).upper()
    tests: list[Test] = []
    for key, value in conditions.items():
        if key.lower() == "logic":
            continue
        if key.isdigit() or key.lower().startswith("__innerfilter"):
            group = value if isinstance(value, Mapping) else as_map(value)
            if group:
                tests.append(compile_filter(group, columns, zone, unknown))
            continue
        operator, name = split_key(key)
        column = columns.get(name)
        if column is None:
            test = unknown(key)
            if test is not None:
                tests.append(test)
            continue
        tests.append(_condition(column, operator, value, zone))
    if logic == "OR":
        return lambda row: not tests or any(test(row) for test in tests)
    return lambda row: all(test(row) for test in tests)


def _condition(column: Column, operator: str, value: Any, zone: Any) -> Test:
    raw = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if operator == "@" and len(raw) == 1 and isinstance(raw[0], str) and "," in raw[0]:
        raw = raw[0].split(",")
    wanted = [comparable(column, one, zone) for one in raw]
    if column.kind == "time" and operator in ("", "="):
        # A date without a time of day means the whole day, as in CRM lists.
        for one, moment in zip(raw, wanted, strict=True):
            if isinstance(one, str) and len(one.strip()) == 10 and moment is not None:
                return lambda row: (at := column.value(row)) is not None and moment <= at < moment + 86400
    single = not isinstance(value, (list, dict))
    if not wanted:
        return lambda row: operator.startswith("!")

    def test(row: Row) -> bool:
        own = column.value(row)
        values = own if isinstance(own, (list, tuple)) else [own]
        have = [one for one in (comparable(column, each, zone) for each in values) if one is not None]
        return _match(operator, have, wanted, single)

    return test


def id_bounds(conditions: Mapping[str, Any], name: str) -> tuple[int | None, int | None]:
    """Bounds of the primary key that a filter's own (not grouped) conditions set, to read only that part."""
    low: int | None = None
    high: int | None = None
    if plain(conditions.get("logic", conditions.get("LOGIC", "AND"))).upper() == "OR":
        return None, None
    for key, value in conditions.items():
        operator, field = split_key(key)
        if field != name or operator not in ("", "=", "@", ">", ">=", "<", "<="):
            continue
        numbers = [number for number in (as_int(one) for one in as_list(value)) if number is not None]
        if not numbers:
            continue
        if operator in ("", "=", "@"):
            low, high = max(low or min(numbers), min(numbers)), min(high or max(numbers), max(numbers))
        elif operator in (">", ">="):
            bound = min(numbers) + (operator == ">")
            low = bound if low is None else max(low, bound)
        else:
            bound = max(numbers) - (operator == "<")
            high = bound if high is None else min(high, bound)
    return low, high


def is_bounds(conditions: Mapping[str, Any], name: str) -> bool:
    """Whether a filter says nothing but bounds of the primary key, each one number."""
    return all(
        split_key(key) in ((">", name), (">=", name), ("<", name), ("<=", name)) and as_int(value) is not None
        for key, value in conditions.items()
    )


def select_rows(
    table: Table,
    *,
    filter: Mapping[str, Any],
    order: Mapping[str, Any],
    columns: Columns,
    zone: Any,
    start: int = 0,
    key: str = "ID",
    unknown: Callable[[str], Test | None] | None = None,
    visible: Test | None = None,
    limit: int = PAGE,
    unknown_order: Callable[[str], None] | None = None,
) -> tuple[list[Row], int | None, int | None]:
    """(records of one page, total, next). start=-1 does not count: total and next are None.

    `key` is the name under which the primary key stands in filter and order. `visible` hides records from the caller.
    """

    def refuse(name: str) -> Test | None:
        raise RestError("INVALID_ARG_VALUE", f"Invalid filter: field '{split_key(name)[1]}' is not allowed in filter")

    bounded = is_bounds(filter, key)  # `between` keeps them: no record has to be looked at
    test = None if bounded else compile_filter(filter, columns, zone, unknown or refuse)
    sorting: list[tuple[Column, bool]] = []
    for name, direction in order.items():
        if name not in columns:
            if unknown_order is not None:
                unknown_order(name)
            continue
        sorting.append((columns[name], plain(direction).strip().upper().startswith("DESC")))
    low, high = id_bounds(filter, key)
    by_key = not sorting or sorting[0][0].name == key
    rows: Iterable[Row] = table.between(low, high, descending=bool(by_key and sorting and sorting[0][1]))
    begin = max(0, start)
    if test is None and visible is None and by_key:
        ids = table.ids_between(low, high)
        if sorting and sorting[0][1]:
            ids.reverse()
        page = [table.rows[number] for number in ids[begin : begin + limit]]
        if start < 0:
            return page, None, None
        return page, len(ids), begin + limit if begin + limit < len(ids) else None
    chosen = (row for row in rows if (visible is None or visible(row)) and (test is None or test(row)))
    if by_key:
        if start < 0:
            page = []
            for row in chosen:
                page.append(row)
                if len(page) == limit:
                    break
            return page, None, None
        found = list(chosen)
    else:
        found = list(chosen)
        if start < 0 and len(sorting) == 1 and len(found) > 1000:
            column, descending = sorting[0]
            pick = heapq.nlargest if descending else heapq.nsmallest
            return pick(limit, found, key=lambda row: _sort_key(column, row, zone)), None, None
        for column, descending in reversed(sorting):
            found.sort(key=lambda row, column=column: _sort_key(column, row, zone), reverse=descending)  # type: ignore[misc]
    if start < 0:
        return found[:limit], None, None
    return found[begin : begin + limit], len(found), begin + limit if begin + limit < len(found) else None


def empty_first(name: str) -> Callable[[Row], tuple[bool, Any]]:
    """The key by which records sort by one of their own values, empty ones first."""
    return lambda row: (row[name] is not None, row[name] or 0)


def _sort_key(column: Column, row: Row, zone: Any) -> tuple[int, Any, Any]:
    value = column.value(row)
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    value = comparable(column, value, zone)
    if value is None:
        return (0, 0, "")
    return (1, value, "") if isinstance(value, (int, float)) else (2, 0, value)


def check_order(order: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse a field that is none of `names`, and another direction than the two, in the words of crm.*.list."""
    known = set(names)
    for name, direction in order.items():
        if name not in known:
            raise RestError("INVALID_ARG_VALUE", f"Invalid order: field '{name}' is not allowed in order")
        if plain(direction).upper() not in ("ASC", "DESC"):
            raise RestError(
                "INVALID_ARG_VALUE",
                "Invalid order: allowed sort directions are `ASC, DESC`. "
                f"But got '{plain(direction)}' for field '{name}'",
            )


def page_of(result: Any, total: int | None, following: int | None, start: int) -> Page:
    """The envelope of a list; with start=-1 the portal still prints a meaningless total of 0."""
    return Page(result, 0 if start < 0 else total, None if start < 0 else following)
