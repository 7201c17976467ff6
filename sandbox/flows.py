"""Flows of tasks as records: their people and rights, what a task gets that is put into one, what they warn of.

(api-reference/tasks/flow.) Records live in portal["flows"]; people are kept as the documented pairs of texts
(user 3, department 17, department 17:F without those below, meta-user all-users).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sandbox import tasks
from sandbox.method import Actor, Row, as_int, plain
from sandbox.portal import Portal

TYPES = ("manually", "queue", "himself")
EVERYBODY = ["meta-user", "all-users"]
DENIED = "Access denied or flow not found"
LONGEST = 100 * 366 * 86400


def pairs(portal: Portal, value: Any, *, everybody: bool = False) -> list[list[str]]:
    """People in either documented form: [[type, id], ...], [{type: id}, ...] or {type: id}. ValueError for others."""
    listed = list(value.items()) if isinstance(value, dict) and not _is_list(value) else value
    if isinstance(listed, dict):
        listed = list(listed.values())
    if not isinstance(listed, list):
        raise ValueError(plain(value))
    made: list[list[str]] = []
    for one in listed:
        found = list(one.items()) if isinstance(one, dict) and not _is_list(one) else [one]
        for pair in found:
            words = list(pair.values()) if isinstance(pair, dict) else pair
            if not isinstance(words, (list, tuple)) or len(words) != 2:
                raise ValueError(plain(value))
            made.append([plain(word) for word in words])
    for kind, number in made:
        if everybody and [kind, number] == EVERYBODY:
            continue
        table = {"user": "users", "department": "departments"}.get(kind)
        bare = number.removesuffix(":F") if kind == "department" else number
        if table is None or portal[table].get(as_int(bare)) is None:
            raise ValueError(number)
    return made


def _is_list(value: Row) -> bool:
    """A list that came as a map of its places."""
    return all(key.isdigit() for key in value)


def people(portal: Portal, listed: list[list[str]]) -> list[int]:
    """Ids of the working employees whom the pairs name, each once."""
    found: dict[int, None] = {}
    everybody = [user for user in portal["users"] if user["ACTIVE"] and user["USER_TYPE"] == "employee"]
    for kind, number in listed:
        if kind == "user":
            found |= {user["ID"]: None for user in everybody if str(user["ID"]) == number}
        elif kind == "department":
            wanted = {as_int(number.removesuffix(":F"))}
            more = wanted if not number.endswith(":F") else set()
            while more:
                more = {row["ID"] for row in portal["departments"] if row["PARENT"] in more} - wanted
                wanted |= more
            found |= {user["ID"]: None for user in everybody if wanted & set(user["UF_DEPARTMENT"])}
        else:
            found |= {user["ID"]: None for user in everybody}
    return list(found)


def group(portal: Portal, name: str, owner: int, members: list[int]) -> int:
    """A workgroup of its own for a new flow. REST does not serve workgroups here: it only has an id and members."""
    everybody = list(dict.fromkeys([owner, *members]))
    return int(portal["groups"].add({"NAME": name, "OWNER_ID": owner, "MEMBERS": everybody})["ID"])


def team(portal: Portal, row: Row) -> list[list[str]]:
    """The pairs of a flow's team: with a moderator everybody else of its group, otherwise who gets the tasks."""
    if row["TYPE"] != "manually":
        return list(row["RESPONSIBLE"])
    known = portal["groups"].get(row["GROUP_ID"]) or {"MEMBERS": []}
    pair = [["user", str(number)] for number in known["MEMBERS"]]
    return [one for one in pair if one not in row["RESPONSIBLE"]]


def can_manage(row: Row, user: Row) -> bool:
    """Its creator, its administrator, and administrators of the portal."""
    return bool(user["ADMIN"]) or user["ID"] in (row["CREATOR_ID"], row["OWNER_ID"])


def can_add(portal: Portal, row: Row, user: Row) -> bool:
    """Whether the person may put tasks into the flow."""
    return bool(user["ADMIN"]) or user["ID"] in people(portal, row["CREATORS"])


def is_member(portal: Portal, row: Row, user: Row) -> bool:
    """Whether the person gets tasks of the flow or hands them out."""
    return user["ID"] in people(portal, [*team(portal, row), *row["RESPONSIBLE"]])


def can_see(portal: Portal, row: Row, user: Row) -> bool:
    """Whoever manages it, is of its team, or may add tasks."""
    return can_manage(row, user) or is_member(portal, row, user) or can_add(portal, row, user)


def efficiency(portal: Portal, row: Row) -> int:
    """Per cent of overdue tasks. [verify] So the page's formula has it, though its text calls a high number good."""
    now, own = portal.now(), list(portal["tasks"].where(FLOW_ID=row["ID"]))
    late = sum(1 for one in own if one["DEADLINE"] is not None and (one["CLOSED_DATE"] or now) > one["DEADLINE"])
    return round(late / len(own) * 100) if own else 0


# --- tasks in a flow --------------------------------------------------------------------------------------------------


def place(portal: Portal, number: int, user: Row, creator: int) -> Row:
    """The values that a task gets from the flow into which the person puts it. TaskError when he may not."""
    row = portal["flows"].get(number)
    if row is None or not row["ACTIVE"] or not can_add(portal, row, user):
        # [verify] No page has an error for this; the words are those of the flow's own methods.
        raise tasks.TaskError("flowId", DENIED)
    row["ACTIVITY"] = portal.now()
    return {
        "FLOW_ID": number, "RESPONSIBLE_ID": _next(portal, row, creator), "GROUP_ID": row["GROUP_ID"],
        "DEADLINE": _due(portal, row), "MATCH_WORK_TIME": "Y" if row["MATCH_WORK_TIME"] else "N",
        "ALLOW_CHANGE_DEADLINE": "Y" if row["CHANGE_DEADLINE"] else "N",
        "TASK_CONTROL": "Y" if row["TASK_CONTROL"] else "N",
    }  # fmt: skip


def _next(portal: Portal, row: Row, creator: int) -> int:
    """Whose task it becomes: the moderator's, the next one's of the queue who is not absent, or the creator's own."""
    members = people(portal, row["RESPONSIBLE"])
    if not members:
        row["TYPE"], row["RESPONSIBLE"], members = "manually", [["user", str(row["OWNER_ID"])]], [row["OWNER_ID"]]
        _tell(portal, [row["OWNER_ID"]], f"В потоке «{row['NAME']}» не осталось сотрудников: вы его модератор")
    if row["TYPE"] == "manually":
        return members[0]
    if row["TYPE"] == "himself":
        _tell(portal, members, f"Новая задача в потоке «{row['NAME']}»")
        return creator
    now = portal.now()
    place = members.index(row["LAST"]) + 1 if row["LAST"] in members else 0
    turn = members[place:] + members[:place]
    away = {number for number in turn if (span := portal["users"].rows[number]["ABSENT"])
        and span["from"] <= now < span["to"]}  # fmt: skip
    row["LAST"] = next((number for number in turn if number not in away), turn[0])
    return int(row["LAST"])


def _due(portal: Portal, row: Row) -> float:
    """Now and the planned time; with MATCH_WORK_TIME days off do not count."""
    now, left = portal.now(), float(row["PLANNED"])
    if not row["MATCH_WORK_TIME"]:
        return now + left
    from sandbox.methods.calendar import holidays

    moment, off = datetime.fromtimestamp(now, portal.zone()), holidays(portal)
    while True:
        midnight = (moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        free = midnight.timestamp() - moment.timestamp()
        if moment.weekday() < 5 and f"{moment.day}.{moment.month:02d}" not in off:
            if left <= free:
                return moment.timestamp() + left
            left -= free
        moment = midnight


def may_take(portal: Portal, task: Row, user: Row) -> bool:
    """Whether the person may take up a task that its flow lets people take themselves."""
    row = portal["flows"].get(task.get("FLOW_ID") or 0)
    waits = task["STATUS"] == tasks.PENDING and task["RESPONSIBLE_ID"] == task["CREATED_BY"]
    return row is not None and row["TYPE"] == "himself" and waits and is_member(portal, row, user)


def take(portal: Portal, task: Row, user: Row, actor: Actor) -> bool:
    """A member of the team takes the task: he is the responsible now, and it is in progress."""
    return tasks.update(portal, task, {"RESPONSIBLE_ID": user["ID"], "STATUS": tasks.PROGRESS}, actor)


def watch(portal: Portal, task: Row) -> None:
    """Tell the flow's administrator, once each time, that one of its limits is passed."""
    row = portal["flows"].get(task.get("FLOW_ID") or 0)
    if row is None:
        return
    own = [one["STATUS"] for one in portal["tasks"].where(FLOW_ID=row["ID"])]
    limits = {"QUEUE": own.count(tasks.PENDING), "IN_PROGRESS": own.count(tasks.PROGRESS)}
    passed = [name for name, count in limits.items() if row[name] is not None and count > row[name]]
    words = {"QUEUE": "слишком много задач в очереди", "IN_PROGRESS": "слишком много задач в работе"}
    for name in passed:
        if name not in row["PASSED"]:
            _tell(portal, [row["OWNER_ID"]], f"Поток «{row['NAME']}»: {words[name]}")
    row["PASSED"] = passed


def _tell(portal: Portal, numbers: list[int], text: str) -> None:
    for number in numbers:
        row = portal["notices"].add(
            {
                "USER_ID": number, "FROM_USER_ID": 0, "MESSAGE": text, "MESSAGE_OUT": "", "TAG": "", "SUB_TAG": "",
                "ATTACH": None, "OWNER": "tasks", "AT": portal.now(),
            }
        )  # fmt: skip
        portal.effect("create", "notice", row["ID"], 0, "system", to=number)


def delete(portal: Portal, row: Row, actor: Actor) -> None:
    """Remove a flow; its tasks stay, in no flow."""
    portal["flows"].remove(row["ID"])
    for task in portal["tasks"].where(FLOW_ID=row["ID"]):
        task["FLOW_ID"] = 0
    for mark in list(portal["flow_pins"].where(FLOW_ID=row["ID"])):
        portal["flow_pins"].remove(mark["ID"])
    portal.effect("delete", "flow", row["ID"], actor.user_id, actor.via)
