"""Fields of a card as a person fills them in: what the portal holds -> typed text -> what crm.item.update takes. Pure.

Every value is a tuple of texts as the browser's own inputs write them: 2026-11-22, 2026-11-22T15:00, list values and
people by their ids, Y or N, money as 100|RUB, files by their ids. Formats of REST: api-reference/crm/data-types.md,
files/how-to-upload-files.md, crm-item-update.md (`fm`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from b24app.bitrix.translate import moment, number, rows
from b24app.playbook import CardField, LocalText

MULTIFIELDS = {"phone": "PHONE", "email": "EMAIL"}
NEW_KEYS = {"PHONE": "n0", "EMAIL": "n1"}
"""New entries of one `fm` each need a key of their own."""
LINES_TYPES = frozenset({"string", "url", "phone", "email", "integer", "double", "date", "datetime", "address", "text"})
MAX_TEXT = 10_000
MAX_FILE_BYTES = 5 * 1024 * 1024
CURRENCY = "RUB"


class Mistyped(Exception):
    """What was typed is no value of the field; `why` is for the person."""

    def __init__(self, ru: str, en: str) -> None:
        super().__init__(ru)
        self.why = LocalText(ru=ru, en=en)


@dataclass(frozen=True)
class NewFile:
    """A file that a person chose."""

    name: str
    content: bytes


Typed = tuple[str, ...] | NewFile


@dataclass(frozen=True)
class Option:
    """One value of a list as the portal has it."""

    id: str
    text: str


def is_multifield(field: CardField) -> bool:
    """Tells whether the field is the card's own phone or e-mail, kept in `fm`."""
    return field.code in MULTIFIELDS


def known(field: CardField, described: Mapping[str, Any]) -> bool:
    """Tells whether the portal has the field, from the `fields` of crm.item.fields.

    Phones and e-mails every card has: of their `fm` two pages say that it is named there, and one that it is none.
    """
    return is_multifield(field) or field.code in described


def label_of(field: CardField, described: Mapping[str, Any], language: str) -> str:
    """Returns the label that people gave the field on the portal; of a system field the playbook's name for it."""
    facts = described.get(field.code)
    if isinstance(facts, Mapping) and field.own:
        for name in ("formLabel", "listLabel", "title"):
            text = str(facts.get(name) or "")
            if text and text != field.code:
                return text
    return field.name.of(language)


def options_of(code: str, described: Mapping[str, Any]) -> tuple[Option, ...]:
    """Returns the list's values as the portal has them now."""
    facts = described.get(code)
    items = facts.get("items") if isinstance(facts, Mapping) else None
    return tuple(Option(str(row.get("ID") or ""), str(row.get("VALUE") or "")) for row in rows(items) if row.get("ID"))


def is_multiple(field: CardField, described: Mapping[str, Any]) -> bool:
    """Tells whether the portal keeps several values; its own description decides."""
    facts = described.get(field.code)
    if is_multifield(field) or not isinstance(facts, Mapping):
        return False
    return facts.get("isMultiple") in (True, "Y", "1", 1)


def current(field: CardField, card: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, ...]:
    """Returns what stands in the card (crm.item.get with the original names), empty where nothing does."""
    if is_multifield(field):
        wanted = MULTIFIELDS[field.code]
        return tuple(str(row["value"]) for row in _multifields(card, wanted) if row.get("value"))
    value = card.get(field.code)
    if isinstance(value, Mapping) and value and all(str(key).isdigit() for key in value):
        value = list(value.values())  # PHP writes a list with a hole in it as a map
    texts = (_text(field, one, zone) for one in (value if isinstance(value, list) else [value]))
    return tuple(text for text in texts if text)


def _text(field: CardField, value: Any, zone: ZoneInfo) -> str:
    if value is None or value is False or value == "":
        return ""
    match field.type:
        case "boolean":
            return "Y" if value in (True, "Y", "1", 1) else ""  # on the portal a flag is never empty: no is unfilled
        case "enumeration" | "employee":
            return str(number(value) or "")
        case "file":
            return str(value.get("id") or "") if isinstance(value, Mapping) else str(value)
        case "date":
            return str(value)[:10]
        case "datetime":
            at = moment(value)
            return f"{at.astimezone(zone):%Y-%m-%dT%H:%M}" if at else ""
        case "address":
            return str(value).split("|", 1)[0]
        case "money":
            amount, _, currency = str(value).partition("|")
            empty = not amount or (not field.own and amount in ("0", "0.0", "0.00"))  # no sum is 0 in system fields
            return "" if empty else f"{amount}|{currency or CURRENCY}"
        case _:
            return str(value)


def typed(field: CardField, value: Any, *, multiple: bool) -> Typed:
    """Returns what the page sent as a value of the field; Mistyped in words for the person.

    The page sends a text, a list of texts, or for a file {"name", "data": base64}.
    """
    if field.type == "file":
        return _file(value)
    if isinstance(value, str):
        value = value.split("\n") if multiple and field.type in LINES_TYPES - {"text"} else [value]
    if not isinstance(value, list) or not all(isinstance(one, str) and len(one) <= MAX_TEXT for one in value):
        raise Mistyped("значение не понято", "the value is not understood")
    return tuple(_checked(field, one.strip()) for one in value if one.strip())


def _file(value: Any) -> Typed:
    if value in (None, "", []):
        return ()
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not isinstance(value.get("data"), str):
        raise Mistyped("файл не понят", "the file is not understood")
    try:
        content = base64.b64decode(value["data"], validate=True)
    except (binascii.Error, ValueError):
        raise Mistyped("файл передан с ошибкой, выберите его ещё раз", "the file is broken, choose it again") from None
    if not content or len(content) > MAX_FILE_BYTES:
        raise Mistyped("файл пустой или больше 5 МБ", "the file is empty or larger than 5 MB")
    name = value["name"].replace("\\", "/").rpartition("/")[2].strip()[:200]
    return NewFile(name or "file", content)


def _checked(field: CardField, text: str) -> str:
    if "\0" in text:
        raise Mistyped("лишний знак в тексте", "a stray character in the text")
    try:
        match field.type:
            case "integer":
                return str(int(text))
            case "double":
                return f"{float(text.replace(',', '.')):.10g}"
            case "money":
                amount, _, currency = text.partition("|")
                return f"{float(amount.replace(' ', '').replace(',', '.')):.2f}|{currency or CURRENCY}"
            case "date":
                return date.fromisoformat(text).isoformat()
            case "datetime":
                return f"{datetime.fromisoformat(text):%Y-%m-%dT%H:%M}"
            case "boolean":
                return {"Y": "Y", "N": "N"}[text]
            case "enumeration" | "employee":
                return str(int(text))
            case "url":
                return _web_address(text)
    except (ValueError, KeyError, OverflowError):
        raise Mistyped(*_EXPECTED[field.type]) from None
    return text


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(text)
    return text


_EXPECTED = {
    "integer": ("нужно целое число", "a whole number is needed"),
    "double": ("нужно число", "a number is needed"),
    "money": ("нужна сумма числом", "an amount in figures is needed"),
    "date": ("нужна дата", "a date is needed"),
    "datetime": ("нужны дата и время", "a date and a time are needed"),
    "boolean": ("нужно да или нет", "yes or no is needed"),
    "enumeration": ("выберите значение из списка", "choose a value of the list"),
    "employee": ("выберите сотрудника", "choose a person"),
    "url": ("нужен адрес вида https://...", "an address like https://... is needed"),
}


def known_options(values: Typed, options: Sequence[Option]) -> None:
    """Mistyped where a chosen value is none of the list's any more."""
    ids = {option.id for option in options}
    if not isinstance(values, NewFile) and not ids.issuperset(values):
        raise Mistyped(*_EXPECTED["enumeration"])


def written(
    field: CardField, values: Typed, card: Mapping[str, Any], zone: ZoneInfo, *, multiple: bool
) -> dict[str, Any]:
    """Returns the fields of crm.item.update that make the card hold these values."""
    if isinstance(values, NewFile):
        upload = [values.name, base64.b64encode(values.content).decode()]
        kept = [{"id": id} for id in current(field, card, zone)]
        return {field.code: [*kept, upload] if multiple else upload}
    if is_multifield(field):
        return {"fm": _fm(field, values, card)}
    wire = [_wire(field, value, zone) for value in values]
    if multiple:
        return {field.code: wire}
    made = {field.code: wire[0] if wire else ""}
    if field.code == "opportunity":
        made["isManualOpportunity"] = "Y"
    return made


def _wire(field: CardField, value: str, zone: ZoneInfo) -> Any:
    match field.type:
        case "integer" | "enumeration" | "employee":
            return int(value)
        case "double":
            return float(value)
        case "datetime":
            return datetime.fromisoformat(value).replace(tzinfo=zone).isoformat()
        case "money" if not field.own:
            return float(value.partition("|")[0])
        case _:
            return value


def _fm(field: CardField, values: tuple[str, ...], card: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The first value takes the place of the first that stands there, others of the card's stay as they are."""
    type_id = MULTIFIELDS[field.code]
    first = next((row for row in _multifields(card, type_id) if number(row.get("id"))), None)
    if not values:
        return {}
    if first is None:
        return {NEW_KEYS[type_id]: {"typeId": type_id, "valueType": "WORK", "value": values[0]}}
    value_type = str(first.get("valueType") or "WORK")
    return {str(first["id"]): {"typeId": type_id, "valueType": value_type, "value": values[0]}}


def as_if_written(card: Mapping[str, Any], fields: Mapping[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Returns the card as it will be after crm.item.update of `fields`; new files, by code, have some number then."""
    made = dict(card)
    for code, value in fields.items():
        if code != "fm":
            made[code] = {"id": 1} if code in files else value
            continue
        changed = {str(row.get("id")): dict(row) for row in rows(card.get("fm"))}
        for id, row in value.items():
            changed[id] = {**changed.get(id, {}), **row}
        made["fm"] = list(changed.values())
    return made


def _multifields(card: Mapping[str, Any], type_id: str) -> list[Mapping[str, Any]]:
    return [row for row in rows(card.get("fm")) if str(row.get("typeId") or "").upper() == type_id]
