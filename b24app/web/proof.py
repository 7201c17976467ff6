"""Who sits before one of our pages: proved by his own token at the portal's own endpoint, with what he reads."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Portal
from b24app.bitrix.rest import Rest
from b24app.entities import DEAL, LEAD, ItemRef
from b24app.errors import B24AppError, Malformed, Rejected, Temporary
from b24app.services import Services

WAIT_SECONDS = 5.0
"""How long a person waits for room in the request limit before he reads that the portal is busy."""

PROOF = {"person": Call("profile"), "admin": Call("user.admin")}


@dataclass(frozen=True)
class Person:
    """Who opened the frame, as the portal itself says."""

    id: int
    name: str
    admin: bool


def prove(rest: Rest, also: dict[str, Call]) -> tuple[Person, dict[str, Answer | B24AppError]]:
    """Returns the person whose token `rest` carries, and the answers to what else he reads, in one request."""
    answers = rest.batch({**PROOF, **also}, reading=True)
    person, admin = answers.get("person"), answers.get("admin")
    if isinstance(person, Temporary):
        raise person
    result = person.result if isinstance(person, Answer) else None
    if not isinstance(result, dict) or not str(result.get("ID", "")).isdecimal():
        raise Rejected("портал не узнал сотрудника / the portal does not know this person")
    name = " ".join(str(result.get(part) or "") for part in ("NAME", "LAST_NAME")).strip()
    return Person(int(result["ID"]), name, isinstance(admin, Answer) and admin.result is True), answers


def open_portal(services: Services, member_id: str) -> Portal:
    """Returns the portal with our own token, for somebody who waits."""
    portal = services.open_portal(member_id)
    portal.rest.wait_seconds = WAIT_SECONDS
    return portal


def is_item(key: str) -> bool:
    """Tells whether a text of a page is the key of a CRM item, written as we write it."""
    if len(key) > 64 or not key.isascii() or not key.isprintable():
        return False
    with suppress(ValueError):
        return str(ItemRef.parse(key)) == key
    return False


def item_of(key: Any) -> ItemRef:
    """Returns the lead or deal of a key such as lead:42 that a link or a page of ours carries."""
    if not isinstance(key, str) or not is_item(key):
        raise Malformed("непонятная карточка / the item is not understood")
    item = ItemRef.parse(key)
    if item.entity_type_id not in (LEAD, DEAL) or item.id <= 0:
        raise Malformed("непонятная карточка / the item is not understood")
    return item
