"""Check-lists of tasks and of task templates: their items as records, who takes part in one, what lies under one.

An item of a task lives in portal["checklist"] under TASK_ID, one of a template in portal["template_checklist"] under
TEMPLATE_ID; everything else of the two is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.method import Row, as_int, as_map, plain, yes
from sandbox.portal import Portal


@dataclass(slots=True, frozen=True)
class Kind:
    """Where the items of one kind of owner live, and under which name they carry the owner's id."""

    table: str
    owner: str


TASK = Kind("checklist", "TASK_ID")
TEMPLATE = Kind("template_checklist", "TEMPLATE_ID")


def items(portal: Portal, kind: Kind, owner: int, **more: Any) -> list[Row]:
    """The items of that task or template in order of id."""
    return list(portal[kind.table].where(**{kind.owner: owner}, **more))


def read(given: Row) -> Row:
    """Inner values of an item's fields (names in capitals); unknown names are ignored."""
    values: Row = {}
    if "TITLE" in given:
        values["TITLE"] = plain(given["TITLE"])
    for name in ("PARENT_ID", "SORT_INDEX"):
        number = as_int(given.get(name))
        if number is not None:
            values[name] = number
    for name in ("IS_COMPLETE", "IS_IMPORTANT"):
        if name in given:
            values[name] = "Y" if yes(given[name]) else "N"
    if "MEMBERS" in given:
        values["MEMBERS"] = {
            key: plain(as_map(one).get("TYPE")) or "A" for key, one in as_map(given["MEMBERS"]).items() if as_int(key)
        }
    return values


def store(portal: Portal, kind: Kind, owner: int, values: Row, user_id: int) -> Row:
    """A new item, by default the last one under its parent."""
    count = len(items(portal, kind, owner, PARENT_ID=values["PARENT_ID"]))
    return portal[kind.table].add(
        {
            kind.owner: owner, "SORT_INDEX": count, "IS_COMPLETE": "N", "IS_IMPORTANT": "N", "MEMBERS": {},
            "CREATED_BY": user_id, "TOGGLED_BY": None, "TOGGLED_DATE": None, **values,
        }
    )  # fmt: skip


def branch(portal: Portal, kind: Kind, item: Row) -> list[Row]:
    """The item with everything under it."""
    found = {item["ID"]: item}
    waiting = [item]
    while waiting:
        for child in items(portal, kind, item[kind.owner], PARENT_ID=waiting.pop()["ID"]):
            # An item may have been put under one of its own.
            if child["ID"] not in found:
                found[child["ID"]] = child
                waiting.append(child)
    return list(found.values())


def done_under(portal: Portal, kind: Kind, item: Row) -> int:
    """How many of the item's own children are ticked."""
    return len(items(portal, kind, item[kind.owner], PARENT_ID=item["ID"], IS_COMPLETE="Y"))


def members(portal: Portal, item: Row) -> list[Row]:
    """Who takes part in the item: A an accomplice, U an auditor."""
    made = []
    for number, kind in item["MEMBERS"].items():
        user = portal.user(int(number)) or {"NAME": "", "LAST_NAME": "", "PERSONAL_GENDER": "", "PERSONAL_PHOTO": None}
        made.append(
            {
                "ID": number, "TYPE": kind, "NAME": f"{user['NAME']} {user['LAST_NAME']}".strip(),
                "PERSONAL_PHOTO": plain(user["PERSONAL_PHOTO"]), "PERSONAL_GENDER": user["PERSONAL_GENDER"],
                "IMAGE": "", "IS_COLLABER": False,
            }
        )  # fmt: skip
    return made
