"""Task templates as records, their rights and changes (api-reference/tasks/template).

Records live in portal["task_templates"] under the names of the documented fields, numbers as numbers and lists as
lists; their check-lists are those of sandbox.checklists, their files those of sandbox.disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import checklists, disk, replication
from sandbox.method import Actor, Row, as_int, as_list, plain
from sandbox.portal import Portal

# [verify] The names under which Drive knows what a file hangs on: no page shows a template's.
FILES, ITEM_FILES = "tasks_task_template", "tasks_template_checklist"
NUMBERS = ("PARENT_ID", "GROUP_ID", "STAGE_ID", "CREATED_BY", "RESPONSIBLE_ID", "BASE_TEMPLATE_ID")
FLAGS = ("REPLICATE", "MULTITASK", "TASK_CONTROL", "ADD_IN_REPORT", "ALLOW_CHANGE_DEADLINE", "ALLOW_TIME_TRACKING",
    "MATCH_WORK_TIME")  # fmt: skip
AFTER = ("DEADLINE_AFTER", "START_DATE_PLAN_AFTER", "END_DATE_PLAN_AFTER")
PEOPLE = ("RESPONSIBLES", "ACCOMPLICES", "AUDITORS")
# The page lists 2 to 6 for STATUS and shows 1 of a template that was made without one.
CHOICES = {"PRIORITY": (0, 1, 2), "STATUS": (1, 2, 3, 4, 5, 6), "TPARAM_TYPE": (0, 1)}


def can_edit(row: Row, user: Row) -> bool:
    """The creator and administrators."""
    return bool(user["ADMIN"]) or row["CREATED_BY"] == user["ID"]


def can_read(portal: Portal, row: Row, user: Row) -> bool:
    """Who may edit it, and the heads of the creator.

    [verify] The pages only name "access settings in tasks": these are the rights that tasks have here.
    """
    from sandbox.methods.people import subordinates

    return can_edit(row, user) or row["CREATED_BY"] in subordinates(portal, user["ID"])


def _number(value: Any) -> int:
    number = 0 if value in (None, "", False) else as_int(value)
    if number is None or number < 0:
        raise ValueError(plain(value))
    return number


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise ValueError("text")
    return plain(value)


def _flag(value: Any) -> str:
    word = {"1": "Y", "0": "N", "": "N"}.get(_text(value), _text(value))
    if word not in ("Y", "N"):
        raise ValueError(word)
    return word


def _numbers(value: Any) -> list[int]:
    return [_number(one) for one in as_list(value)]


def _texts(value: Any) -> list[str]:
    return [text for text in (_text(one).strip() for one in as_list(value)) if text]


_READERS: dict[str, Callable[[Any], Any]] = {
    "TITLE": _text, "DESCRIPTION": _text, "SITE_ID": lambda value: _text(value) or "s1",
    "XML_ID": lambda value: _text(value) or None, "TPARAM_REPLICATION_COUNT": _number,
    **dict.fromkeys(NUMBERS, _number), **dict.fromkeys(CHOICES, _number), **dict.fromkeys(FLAGS, _flag),
    **dict.fromkeys(PEOPLE, _numbers), "DEPENDS_ON": _numbers, "UF_CRM_TASK": _texts, "UF_TASK_WEBDAV_FILES": _texts,
    **dict.fromkeys(AFTER, lambda value: None if value in (None, "") else _number(value)),
    "TAGS": lambda value: _texts(value.split(",") if isinstance(value, str) else value),
}  # fmt: skip


def read(portal: Portal, given: Row) -> Row:
    """Inner values of documented fields; unknown names and ID are ignored. ValueError for values that cannot be."""
    upper = {key.upper(): value for key, value in given.items()}
    values = {name: reader(upper[name]) for name, reader in _READERS.items() if name in upper}
    for name, allowed in CHOICES.items():
        if name in values and values[name] not in allowed:
            raise ValueError(name)
    if "REPLICATE_PARAMS" in upper:
        rule = upper["REPLICATE_PARAMS"]
        if not isinstance(rule, dict) and rule not in (None, "", []):
            raise ValueError("REPLICATE_PARAMS")
        values["REPLICATE_PARAMS"] = replication.read(rule, portal.zone()) if rule else {}
    return values


def _check(portal: Portal, row: Row) -> None:
    """ValueError for a template that cannot be."""
    table, known = portal["task_templates"], portal["users"].rows
    if not row["TITLE"].strip() or not {row["CREATED_BY"], row["RESPONSIBLE_ID"]} <= set(known):
        raise ValueError("TITLE, CREATED_BY, RESPONSIBLE_ID")
    for name in PEOPLE:
        if not set(row[name]) <= set(known):
            raise ValueError(name)
    if row["PARENT_ID"] and portal["tasks"].get(row["PARENT_ID"]) is None:
        raise ValueError("PARENT_ID")
    if not set(row["DEPENDS_ON"]) <= set(table.rows) - {row.get("ID")}:
        raise ValueError("DEPENDS_ON")
    above, seen = row["BASE_TEMPLATE_ID"], {row.get("ID")}
    while above:
        base = table.get(above)
        if base is None or above in seen:
            raise ValueError("BASE_TEMPLATE_ID")
        seen.add(above)
        above = base["BASE_TEMPLATE_ID"]
    start, end = row["START_DATE_PLAN_AFTER"], row["END_DATE_PLAN_AFTER"]
    if start is not None and end is not None and end < start:
        raise ValueError("END_DATE_PLAN_AFTER")


def _files(portal: Portal, codes: list[str], user: Row, number: int) -> tuple[list[Row], list[Row]]:
    """(files to hang on the template, attachments to take off) so that it has those of `codes`."""
    own = {str(one["ID"]): one for one in disk.attachments(portal, FILES, number)}
    new = [disk.attachable(portal, code, user) for code in codes if code not in own]
    if None in new:
        raise ValueError("UF_TASK_WEBDAV_FILES")
    return [file for file in new if file is not None], [one for code, one in own.items() if code not in codes]


def _settle(portal: Portal, row: Row, files: tuple[list[Row], list[Row]], user: Row) -> None:
    """What follows from a template's values: its files, and when its rule makes a task next."""
    for file in files[0]:
        disk.attach(portal, file, user["ID"], FILES, row["ID"])
    for gone in files[1]:
        portal["attached"].remove(gone["ID"])
    if row["REPLICATE"] == "Y":
        rule = row["REPLICATE_PARAMS"] or replication.read({}, portal.zone())
        rule.pop("NEXT_EXECUTION_TIME", None)
        following = replication.next_time(rule, portal.zone(), portal.now(), row["TPARAM_REPLICATION_COUNT"])
        row["REPLICATE_PARAMS"] = {**rule, "NEXT_EXECUTION_TIME": following}


def create(portal: Portal, values: Row, user: Row, actor: Actor) -> Row:
    """Store a new template. ValueError when a required field is absent or a value cannot be."""
    row: Row = {
        "TITLE": "", "DESCRIPTION": "", "PRIORITY": 1, "STATUS": 1, "SITE_ID": "s1", "XML_ID": None, "TPARAM_TYPE": 0,
        "TPARAM_REPLICATION_COUNT": 0, "REPLICATE_PARAMS": {}, "DEPENDS_ON": [], "TAGS": [], "UF_CRM_TASK": [],
        **dict.fromkeys(NUMBERS, 0), **dict.fromkeys(FLAGS, "N"), **dict.fromkeys(AFTER),
        "ACCOMPLICES": [], "AUDITORS": [], "RESPONSIBLES": [values.get("RESPONSIBLE_ID")],
    }  # fmt: skip
    codes = values.pop("UF_TASK_WEBDAV_FILES", [])
    row.update(values)
    _check(portal, row)
    files = _files(portal, codes, user, 0)
    portal["task_templates"].add(row)
    _settle(portal, row, files, user)
    portal.effect("create", "task template", row["ID"], actor.user_id, actor.via)
    return row


def update(portal: Portal, row: Row, values: Row, user: Row, actor: Actor) -> None:
    """Change a template. ValueError when a value cannot be."""
    own = [str(one["ID"]) for one in disk.attachments(portal, FILES, row["ID"])]
    files = _files(portal, values.pop("UF_TASK_WEBDAV_FILES", own), user, row["ID"])
    if "RESPONSIBLE_ID" in values and "RESPONSIBLES" not in values:
        values["RESPONSIBLES"] = [values["RESPONSIBLE_ID"]]
    _check(portal, {**row, **values})
    row.update(values)
    _settle(portal, row, files, user)
    portal.effect("update", "task template", row["ID"], actor.user_id, actor.via, fields=sorted(values))


def delete(portal: Portal, row: Row, actor: Actor) -> None:
    """Remove a template with its check-lists and files; templates under it and flows lose the link to it."""
    portal["task_templates"].remove(row["ID"])
    for item in checklists.items(portal, checklists.TEMPLATE, row["ID"]):
        drop_item(portal, item)
    for file in disk.attachments(portal, FILES, row["ID"]):
        portal["attached"].remove(file["ID"])
    for other in portal["task_templates"]:
        if other["BASE_TEMPLATE_ID"] == row["ID"]:
            other["BASE_TEMPLATE_ID"] = 0
        other["DEPENDS_ON"] = [number for number in other["DEPENDS_ON"] if number != row["ID"]]
    for flow in portal["flows"].where(TEMPLATE_ID=row["ID"]):
        flow["TEMPLATE_ID"] = 0
    portal.effect("delete", "task template", row["ID"], actor.user_id, actor.via)


def drop_item(portal: Portal, item: Row) -> None:
    """Remove one item of a template's check-list with its files."""
    portal[checklists.TEMPLATE.table].remove(item["ID"])
    for file in disk.attachments(portal, ITEM_FILES, item["ID"]):
        portal["attached"].remove(file["ID"])
