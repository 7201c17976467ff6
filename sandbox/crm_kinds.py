"""Kinds of CRM items: leads 1, deals 2, contacts 3, companies 4, quotes 7, smart processes from 128 on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from sandbox.method import RestError, Row, as_int
from sandbox.portal import Portal

LEAD, DEAL, CONTACT, COMPANY, QUOTE = 1, 2, 3, 4, 7
FIRST_DYNAMIC = 128
Value = TypeVar("Value")


class ByKind(dict[int, Value]):
    """Facts by entity type: listed ones, and for a smart process (128 and above) one made from its number."""

    def __init__(self, listed: dict[int, Value], dynamic: Callable[[int], Value]) -> None:
        super().__init__(listed)
        self._dynamic = dynamic

    def __missing__(self, kind: int) -> Value:
        if isinstance(kind, int) and kind >= FIRST_DYNAMIC:
            return self._dynamic(kind)
        raise KeyError(kind)

    def __contains__(self, kind: object) -> bool:
        return super().__contains__(kind) or (isinstance(kind, int) and kind >= FIRST_DYNAMIC)


_WORDS = {LEAD: "LEAD", DEAL: "DEAL", CONTACT: "CONTACT", COMPANY: "COMPANY", QUOTE: "QUOTE"}
WORD = ByKind(_WORDS, lambda kind: f"DYNAMIC_{kind}")
RUSSIAN = ByKind(
    {LEAD: "Лид", DEAL: "Сделка", CONTACT: "Контакт", COMPANY: "Компания", QUOTE: "Предложение"}, lambda kind: "Элемент"
)
SHORT = ByKind({LEAD: "L", DEAL: "D", CONTACT: "C", COMPANY: "CO", QUOTE: "Q"}, lambda kind: f"T{kind:x}")
STAGE = ByKind({LEAD: "STATUS_ID", DEAL: "STAGE_ID", QUOTE: "STATUS_ID"}, lambda kind: "STAGE_ID")
SEMANTIC = ByKind(
    {LEAD: "STATUS_SEMANTIC_ID", DEAL: "STAGE_SEMANTIC_ID", QUOTE: "STATUS_SEMANTIC_ID"},
    lambda kind: "STAGE_SEMANTIC_ID",
)
_DOCUMENT = "Bitrix\\Crm\\Integration\\BizProc\\Document\\"
DOCUMENT = ByKind(
    {
        LEAD: ("crm", "CCrmDocumentLead", "LEAD"),
        DEAL: ("crm", "CCrmDocumentDeal", "DEAL"),
        CONTACT: ("crm", "CCrmDocumentContact", "CONTACT"),
        COMPANY: ("crm", "CCrmDocumentCompany", "COMPANY"),
        QUOTE: ("crm", f"{_DOCUMENT}Quote", "QUOTE"),
    },
    lambda kind: ("crm", f"{_DOCUMENT}Dynamic", f"DYNAMIC_{kind}"),
)


def kind_of(name: str) -> int | None:
    """The entity type of a word in any case: lead, deal ... quote, dynamic_128; None for another word."""
    name = name.upper()
    for kind, word in _WORDS.items():
        if word == name:
            return kind
    number = as_int(name.removeprefix("DYNAMIC_")) if name.startswith("DYNAMIC_") else None
    return number if number is not None and number >= FIRST_DYNAMIC else None


def kind_of_short(name: str) -> int | None:
    """The entity type of a short name: L, D, C, CO, Q, T80 (128 in hexadecimal); None for another one."""
    name = name.upper()
    for kind in _WORDS:
        if SHORT[kind] == name:
            return kind
    if re.fullmatch(r"T[0-9A-F]{1,6}", name):
        number = int(name[1:], 16)
        return number if number >= FIRST_DYNAMIC else None
    return None


def exists(portal: Portal, kind: int | None) -> bool:
    """True for the types that this portal has: the system's, and its smart processes."""
    return kind in _WORDS or (kind is not None and kind >= FIRST_DYNAMIC and type_row(portal, kind) is not None)


def type_row(portal: Portal, kind: int) -> Row | None:
    """The record of a smart process by its entityTypeId."""
    return portal["types"].first(ENTITY_TYPE_ID=kind)


def item_of(portal: Portal, kind: int | None, number: int | None) -> Row | None:
    """The record of an item, or None when its type or the item itself is not there."""
    return portal[kind].get(number) if kind is not None and exists(portal, kind) else None


def check_type(portal: Portal, kind: int | None) -> int:
    """The entity type, when it is there; NOT_FOUND else, as for an unknown smart process."""
    if kind is None or not exists(portal, kind):
        raise RestError("NOT_FOUND", "Смарт-процесс не найден")
    return kind
