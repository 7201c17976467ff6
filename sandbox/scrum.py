"""Scrum: backlogs, sprints, stages of a kanban, epics, and what a task is in them (api-reference/sonet-group/scrum).

A scrum is a workgroup with a scrum master. Its backlog and its sprints share the ids of portal["scrum_entities"],
stages lie beside those of personal plans in portal["task_stages"] (SPRINT_ID), epics in portal["scrum_epics"]. What a
task is in its scrum stands in the task: row["SCRUM"], None outside of one.
"""

from __future__ import annotations

from typing import Any

from sandbox import disk, tasks
from sandbox.filters import Column
from sandbox.method import Actor, Row, as_int
from sandbox.portal import Portal

BACKLOG, SPRINT = "backlog", "sprint"
PLANNED, ACTIVE, COMPLETED = "planned", "active", "completed"
STATUSES = (ACTIVE, PLANNED, COMPLETED)
NEW, WORK, FINISH = "NEW", "WORK", "FINISH"
TYPES = (NEW, WORK, FINISH)
FILES = "tasks_scrum_epic"
# How long a sprint is that names no end: the two weeks of the pages' examples.
USUAL = 14 * 86400
_STAGES = (("Новые", NEW, "00C4FB"), ("Выполняются", WORK, "47D1E2"), ("Сделаны", FINISH, "75D900"))


# --- scrums -----------------------------------------------------------------------------------------------------------


def is_scrum(portal: Portal, group: int) -> bool:
    """Whether the workgroup has a scrum master."""
    row = portal["groups"].get(group)
    return row is not None and bool(row.get("SCRUM_MASTER_ID"))


def can_enter(portal: Portal, group: int, user: Row) -> bool:
    """Whether the person has access to the tasks of the workgroup: its members and administrators of the portal.

    [verify] The pages say "access to Scrum" and not who has it.
    """
    row = portal["groups"].get(group)
    return row is not None and (bool(user["ADMIN"]) or user["ID"] in members(row))


def members(row: Row) -> list[int]:
    """Everybody of a workgroup."""
    return list(dict.fromkeys([row["OWNER_ID"], *row["MEMBERS"], *filter(None, [row.get("SCRUM_MASTER_ID")])]))


def is_member(portal: Portal, group: int, user: Row) -> bool:
    """Whether the person is of the team of that scrum: the team sees its tasks."""
    return bool(group) and is_scrum(portal, group) and user["ID"] in members(portal["groups"].rows[group])


def set_up(portal: Portal, group: Row, actor: Actor) -> None:
    """What the portal makes by itself for a new scrum: the backlog."""
    if is_scrum(portal, group["ID"]) and backlog_of(portal, group["ID"]) is None:
        add_backlog(portal, group["ID"], group["SCRUM_MASTER_ID"], 0, actor)


# --- backlogs and sprints ---------------------------------------------------------------------------------------------


def backlog_of(portal: Portal, group: int) -> Row | None:
    """The backlog of a workgroup."""
    return portal["scrum_entities"].first(ENTITY_TYPE=BACKLOG, GROUP_ID=group)


def landing(portal: Portal, group: int) -> Row | None:
    """The backlog in which new tasks of that scrum lie; None for other workgroups."""
    return backlog_of(portal, group) if is_scrum(portal, group) else None


def add_backlog(portal: Portal, group: int, created: int, modified: int, actor: Actor) -> Row:
    row = portal["scrum_entities"].add(
        {"ENTITY_TYPE": BACKLOG, "GROUP_ID": group, "CREATED_BY": created, "MODIFIED_BY": modified}
    )
    portal.effect("create", BACKLOG, row["ID"], actor.user_id, actor.via)
    return row


def _home(portal: Portal, group: int, actor: Actor) -> Row:
    """The backlog of a scrum, made anew when somebody deleted it."""
    return backlog_of(portal, group) or add_backlog(portal, group, actor.user_id, 0, actor)


def items(portal: Portal, entity: Row) -> list[Row]:
    """Tasks of a backlog or a sprint in their order."""
    found = [row for row in portal["tasks"] if (row.get("SCRUM") or {}).get("ENTITY_ID") == entity["ID"]]
    return sorted(found, key=lambda row: (row["SCRUM"]["SORT"], row["ID"]))


def active_of(portal: Portal, group: int) -> Row | None:
    """The sprint of a scrum that is going on."""
    return portal["scrum_entities"].first(ENTITY_TYPE=SPRINT, GROUP_ID=group, STATUS=ACTIVE)


def add_sprint(portal: Portal, values: Row, actor: Actor) -> Row:
    now = portal.now()
    row: Row = {
        "ENTITY_TYPE": SPRINT, "GROUP_ID": 0, "NAME": "", "GOAL": "", "SORT": 0, "CREATED_BY": actor.user_id,
        "MODIFIED_BY": actor.user_id, "DATE_START": now, "DATE_END": None, "ENDED": None, **values, "STATUS": PLANNED,
    }  # fmt: skip
    if row["DATE_END"] is None:
        row["DATE_END"] = row["DATE_START"] + USUAL
    portal["scrum_entities"].add(row)
    portal.effect("create", SPRINT, row["ID"], actor.user_id, actor.via)
    become(portal, row, values.get("STATUS", PLANNED), actor)
    return row


def become(portal: Portal, sprint: Row, status: str, actor: Actor) -> None:
    """Start, complete or put back a sprint, with what that does to its tasks."""
    if sprint["STATUS"] == status:
        return
    own = items(portal, sprint)
    if status == ACTIVE:
        _open(portal, sprint, own, actor)
    elif status == COMPLETED:
        sprint["ENDED"] = portal.now()
        _move([row for row in own if not _is_finished(portal, row)], _home(portal, sprint["GROUP_ID"], actor),
            portal, actor)  # fmt: skip
    else:
        for row in own:
            show_stage(portal, row, 0, actor)
    sprint["STATUS"] = status
    portal.effect("update", SPRINT, sprint["ID"], actor.user_id, actor.via, status=status)


def _open(portal: Portal, sprint: Row, own: list[Row], actor: Actor) -> None:
    """The kanban of a sprint that starts: columns of the last completed one, open tasks in the first of them."""
    if not stages(portal, sprint["ID"]):
        for name, kind, color in _columns(portal, sprint["GROUP_ID"]):
            add_stage(portal, sprint["ID"], name, kind, color)
    first = next(stage for stage in stages(portal, sprint["ID"]) if stage["SYSTEM_TYPE"] == NEW)
    done = [row for row in own if row["STATUS"] == tasks.COMPLETED]
    if done:
        _move(done, _home(portal, sprint["GROUP_ID"], actor), portal, actor)
    for row in own:
        if row not in done:
            show_stage(portal, row, first["ID"], actor)


def _columns(portal: Portal, group: int) -> list[tuple[str, str, str]]:
    ended = [row for row in portal["scrum_entities"].where(ENTITY_TYPE=SPRINT, GROUP_ID=group, STATUS=COMPLETED)
        if stages(portal, row["ID"])]  # fmt: skip
    if not ended:
        return list(_STAGES)
    last = max(ended, key=lambda row: (row["ENDED"] or 0, row["ID"]))
    return [(one["TITLE"], one["SYSTEM_TYPE"], one["COLOR"]) for one in stages(portal, last["ID"])]


def _is_finished(portal: Portal, row: Row) -> bool:
    """Done: the task is completed, or its card is in a final column. [verify] The page says "unfinished" only."""
    stage = portal["task_stages"].get(row["SCRUM"]["STAGE_ID"])
    return row["STATUS"] == tasks.COMPLETED or (stage is not None and stage["SYSTEM_TYPE"] == FINISH)


def _move(moved: list[Row], entity: Row, portal: Portal, actor: Actor) -> None:
    for row in moved:
        put(portal, row, entity, actor)


def delete_sprint(portal: Portal, sprint: Row, actor: Actor) -> None:
    """Remove a sprint with its stages; its tasks go to the backlog."""
    own = items(portal, sprint)
    if own:
        _move(own, _home(portal, sprint["GROUP_ID"], actor), portal, actor)
    for stage in stages(portal, sprint["ID"]):
        portal["task_stages"].remove(stage["ID"])
    portal["scrum_entities"].remove(sprint["ID"])
    portal.effect("delete", SPRINT, sprint["ID"], actor.user_id, actor.via)


# --- tasks ------------------------------------------------------------------------------------------------------------


def follow(portal: Portal, row: Row, actor: Actor) -> None:
    """A task that comes into a scrum lies in its backlog, if there is one; a task that leaves is no item any more."""
    item = row.get("SCRUM")
    entity = portal["scrum_entities"].get(item["ENTITY_ID"]) if item else None
    if entity is not None and entity["GROUP_ID"] == row["GROUP_ID"]:
        return
    backlog = landing(portal, row["GROUP_ID"])
    if item and row["STAGE_ID"] == item["STAGE_ID"]:
        row["STAGE_ID"] = 0
    row["SCRUM"] = _item(backlog, actor.user_id) if backlog is not None else None


def _item(entity: Row, user_id: int) -> Row:
    return {
        "ENTITY_ID": entity["ID"], "ENTITY_TYPE": entity["ENTITY_TYPE"], "STORY_POINTS": "", "EPIC_ID": 0, "SORT": 0,
        "STAGE_ID": 0, "CREATED_BY": user_id, "MODIFIED_BY": user_id,
    }  # fmt: skip


def put(portal: Portal, row: Row, entity: Row, actor: Actor) -> None:
    """Put a task into a backlog or a sprint; one of another workgroup moves into this scrum."""
    item = row.get("SCRUM")
    if item is not None and item["ENTITY_ID"] == entity["ID"]:
        return
    if row["GROUP_ID"] != entity["GROUP_ID"]:
        tasks.update(portal, row, {"GROUP_ID": entity["GROUP_ID"]}, actor)
    show_stage(portal, row, 0, actor)
    item = row.get("SCRUM") or _item(entity, actor.user_id)
    row["SCRUM"] = {**item, "ENTITY_ID": entity["ID"], "ENTITY_TYPE": entity["ENTITY_TYPE"]}
    portal.effect("update", "scrum task", row["ID"], actor.user_id, actor.via, entity=entity["ID"])


def in_entity(row: Row, kind: str) -> int:
    """Id of the task's sprint or backlog, 0 when it is in none."""
    item = row.get("SCRUM")
    return int(item["ENTITY_ID"]) if item and item["ENTITY_TYPE"] == kind else 0


# What tasks.task.list filters by.
COLUMNS = {
    "SPRINT_ID": Column("SPRINT_ID", "int", lambda row: in_entity(row, SPRINT)),
    "BACKLOG_ID": Column("BACKLOG_ID", "int", lambda row: in_entity(row, BACKLOG)),
}


def estimate(row: Row) -> tuple[int | None, int | None]:
    """(epic, story points) as whole numbers, as REST 3.0 tells them; None where there is none."""
    item = row.get("SCRUM") or {"EPIC_ID": 0, "STORY_POINTS": ""}
    return item["EPIC_ID"] or None, as_int(item["STORY_POINTS"])


# --- the kanban -------------------------------------------------------------------------------------------------------


def stages(portal: Portal, sprint: int) -> list[Row]:
    """The columns of a sprint's kanban in their order."""
    return sorted(portal["task_stages"].where(SPRINT_ID=sprint), key=lambda row: (row["SORT"], row["ID"]))


def add_stage(portal: Portal, sprint: int, name: str, kind: str, color: str, sort: int = 0) -> Row:
    known = stages(portal, sprint)
    usual = known[-1]["SORT"] // 100 * 100 + 100 if known else 100
    return portal["task_stages"].add(
        {"TITLE": name, "COLOR": color, "SYSTEM_TYPE": kind, "SORT": sort or usual, "ENTITY_ID": 0, "SPRINT_ID": sprint}
    )


def cards(portal: Portal, stage: Row) -> list[Row]:
    """Tasks in a column."""
    return [row for row in portal["tasks"] if (row.get("SCRUM") or {}).get("STAGE_ID") == stage["ID"]]


def show_stage(portal: Portal, row: Row, stage: int, actor: Actor) -> None:
    """Put the task's card into a column, or with 0 take it off; the task's own stage is the same."""
    item = row.get("SCRUM")
    if item is None or item["STAGE_ID"] == stage:
        return
    row["SCRUM"] = {**item, "STAGE_ID": stage}
    tasks.update(portal, row, {"STAGE_ID": stage}, actor)


# --- epics ------------------------------------------------------------------------------------------------------------


def hang(portal: Portal, epic: Row, codes: list[str], user: Row) -> bool:
    """Let the epic have these files (n<id> of Drive, or the id of one that it has) alone; False: there is no such."""
    own = {str(one["ID"]): one for one in disk.attachments(portal, FILES, epic["ID"])}
    new: list[Any] = [disk.attachable(portal, code, user) for code in codes if code not in own]
    if None in new:
        return False
    for number, row in own.items():
        if number not in codes:
            portal["attached"].remove(row["ID"])
    for file in new:
        disk.attach(portal, file, user["ID"], FILES, epic["ID"])
    return True


def leave_epic(portal: Portal, epic: Row) -> None:
    """Tasks of an epic that goes belong to none."""
    for row in portal["tasks"]:
        if row.get("SCRUM") and row["SCRUM"]["EPIC_ID"] == epic["ID"]:
            row["SCRUM"] = {**row["SCRUM"], "EPIC_ID": 0}


def delete_epic(portal: Portal, epic: Row, actor: Actor) -> None:
    leave_epic(portal, epic)
    for one in disk.attachments(portal, FILES, epic["ID"]):
        portal["attached"].remove(one["ID"])
    portal["scrum_epics"].remove(epic["ID"])
    portal.effect("delete", "epic", epic["ID"], actor.user_id, actor.via)
