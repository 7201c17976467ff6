"""Tasks as records, their rights and changes; the classic and the REST 3.0 methods print them in their own ways.

Records live in portal["tasks"] under the upper-case names of the classic fields; times are unix seconds,
STATUS a number
(2 pending, 3 in progress, 4 supposedly completed, 5 completed, 6 deferred).
"""

from __future__ import annotations

import uuid
from typing import Any

from sandbox import crm, delivery
from sandbox.crm_kinds import SHORT
from sandbox.method import Actor, Row, as_int, as_map, yes
from sandbox.portal import Portal

PENDING, PROGRESS, SUPPOSED, COMPLETED, DEFERRED = 2, 3, 4, 5, 6
_SHORT = {short: kind for kind, short in SHORT.items()}


class TaskError(Exception):
    """A value that a task cannot have: `field` as in REST 3.0 and the text that both versions show."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def roles(row: Row, user: Row) -> set[str]:
    """What the person is for the task: creator, responsible, accomplice, auditor, admin."""
    number = user["ID"]
    found = {"admin"} if user["ADMIN"] else set()
    if row["CREATED_BY"] == number:
        found.add("creator")
    if row["RESPONSIBLE_ID"] == number:
        found.add("responsible")
    if number in row["ACCOMPLICES"]:
        found.add("accomplice")
    if number in row["AUDITORS"]:
        found.add("auditor")
    return found


def can_read(portal: Portal, row: Row, user: Row) -> bool:
    """Members of the task, administrators, heads of its members, the team of its flow and of its scrum."""
    if roles(row, user):
        return True
    from sandbox import flows, scrum
    from sandbox.methods.people import subordinates

    if scrum.is_member(portal, row["GROUP_ID"], user):
        return True
    flow = portal["flows"].get(row.get("FLOW_ID") or 0)
    if flow is not None and flows.is_member(portal, flow, user):
        return True
    below = subordinates(portal, user["ID"])
    return row["RESPONSIBLE_ID"] in below or row["CREATED_BY"] in below


def actions(row: Row, user: Row) -> dict[str, bool]:
    """The actions that the person may do now, under the names of the classic answer."""
    own = roles(row, user)
    boss = bool(own & {"admin", "creator"})
    doer = bool(own & {"admin", "responsible", "accomplice"})
    status = row["STATUS"]
    open_ = status in (PENDING, PROGRESS, DEFERRED)
    return {
        "accept": False, "decline": False, "complete": open_ and (boss or doer), "approve": status == SUPPOSED and boss,
        "disapprove": status == SUPPOSED and boss, "start": status in (PENDING, DEFERRED) and doer,
        "pause": status == PROGRESS and doer,
        "delegate": open_ and (boss or "responsible" in own), "remove": boss, "edit": boss,
        "defer": status in (PENDING, PROGRESS) and (boss or doer),
        "renew": status in (SUPPOSED, COMPLETED, DEFERRED) and (boss or doer), "create": True,
        "changeDeadline": boss or (row["ALLOW_CHANGE_DEADLINE"] == "Y" and doer), "checklistAddItems": boss or doer,
        "addFavorite": True,
        "deleteFavorite": False, "rate": boss, "take": False, "edit.originator": False,
        "checklist.reorder": boss or doer,
        "elapsedtime.add": doer, "dayplan.timer.toggle": False, "edit.plan": boss, "checklist.add": boss or doer,
        "favorite.add": True, "favorite.delete": False,
    }  # fmt: skip


def _check(portal: Portal, row: Row) -> None:
    if not row["TITLE"].strip():
        raise TaskError("title", "Не указано название задачи")
    if not row["RESPONSIBLE_ID"]:
        raise TaskError("responsibleId", "Не указан ответственный")
    responsible = portal.user(row["RESPONSIBLE_ID"])
    if responsible is None:
        raise TaskError("responsibleId", 'Не найден пользователь, указанный в поле "Ответственный"')
    if portal.user(row["CREATED_BY"]) is None:
        raise TaskError("creatorId", 'Не найден пользователь, указанный в поле "Постановщик"')
    if row["PARENT_ID"] and portal["tasks"].get(row["PARENT_ID"]) is None:
        raise TaskError("parentId", 'Не найдена задача, указанная в поле "Базовая задача"')
    if row["PARENT_ID"] and row["PARENT_ID"] == row.get("ID"):
        raise TaskError("parentId", "Нельзя привязать узел к самому себе")
    if row["START_DATE_PLAN"] and row["END_DATE_PLAN"]:
        if row["END_DATE_PLAN"] < row["START_DATE_PLAN"]:
            raise TaskError("endPlan", "Дата окончания в планировании раньше даты начала")
        if row["END_DATE_PLAN"] - row["START_DATE_PLAN"] > 100 * 365 * 86400:
            raise TaskError("endPlan", "Указана слишком большая длительность задачи")


def needs_result(row: Row) -> bool:
    """Whether the task must not be completed without a result (SE_PARAMETER, code 3)."""
    return any(as_int(as_map(one).get("CODE")) == 3 and yes(as_map(one).get("VALUE")) for one in row["SE_PARAMETER"])


def results(portal: Portal, row: Row, status: str = "") -> list[Row]:
    """The task's results, of one status ("open", "closed") when named."""
    return [one for one in portal["task_results"].where(TASK_ID=row["ID"]) if status in ("", one["STATUS"])]


def create(portal: Portal, values: Row, actor: Actor) -> Row:
    """Store a new task; its CRM activity for each bound item, and ONTASKADD. TaskError for values that cannot be."""
    now = portal.now()
    row: Row = {
        "TITLE": "", "DESCRIPTION": "", "RESPONSIBLE_ID": 0, "CREATED_BY": actor.user_id, "ACCOMPLICES": [],
        "AUDITORS": [],
        "DEADLINE": None, "START_DATE_PLAN": None, "END_DATE_PLAN": None, "PRIORITY": 1, "TAGS": [], "GROUP_ID": 0,
        "STAGE_ID": 0,
        "DEPENDS_ON": [],
        "PARENT_ID": 0, "UF_CRM_TASK": [], "UF_TASK_WEBDAV_FILES": [], "UF_MAIL_MESSAGE": None, "TASK_CONTROL": "N",
        "ALLOW_CHANGE_DEADLINE": "N", "ALLOW_TIME_TRACKING": "N", "MATCH_WORK_TIME": "N", "TIME_ESTIMATE": 0,
        "ADD_IN_REPORT": "N",
        "XML_ID": None, "SE_PARAMETER": [], "STATUS": PENDING, "MARK": None, "CREATED_DATE": now,
        "CHANGED_BY": actor.user_id,
        "CHANGED_DATE": now, "STATUS_CHANGED_BY": None, "STATUS_CHANGED_DATE": now, "CLOSED_BY": None,
        "CLOSED_DATE": None,
        "DATE_START": None, "ACTIVITY_DATE": now,
        "GUID": "{" + str(uuid.UUID(int=portal.random.getrandbits(128))) + "}",
        "CHAT_ID": 0, "FLOW_ID": 0, "SCRUM": None,
    }  # fmt: skip
    row.update(values)
    _check(portal, row)
    portal["tasks"].add(row)
    _scrum(portal, row, actor)
    row["CHAT_ID"] = 1000 + row["ID"]
    _remember(portal, row, "NEW", None, None, actor)
    _bind(portal, row, actor)
    portal.effect("create", "task", row["ID"], actor.user_id, actor.via, responsible=row["RESPONSIBLE_ID"])
    _event(portal, "ADD", row, actor)
    _flow(portal, row)
    return row


def _scrum(portal: Portal, row: Row, actor: Actor) -> None:
    from sandbox import scrum

    scrum.follow(portal, row, actor)


def _flow(portal: Portal, row: Row) -> None:
    from sandbox import flows

    flows.watch(portal, row)


def _remember(portal: Portal, row: Row, field: str, before: Any, after: Any, actor: Actor) -> None:
    portal["task_history"].add(
        {"TASK_ID": row["ID"], "FIELD": field, "FROM": before, "TO": after, "USER_ID": actor.user_id,
            "AT": portal.now()}
    )  # fmt: skip


def _bind(portal: Portal, row: Row, actor: Actor) -> None:
    """Keep the task's activity in step with its CRM items."""
    owners = []
    for code in row["UF_CRM_TASK"]:
        short, _, number = str(code).partition("_")
        kind = _SHORT.get(short)
        if kind is not None and number.isdigit() and portal[kind].get(int(number)) is not None:
            owners.append((kind, int(number)))
    known = portal["activities"].first(TYPE_ID=3, ASSOCIATED_ENTITY_ID=row["ID"])
    done = row["STATUS"] == COMPLETED
    if known is None and owners:
        crm.add_activity(
            portal,
            {
                "OWNER_TYPE_ID": owners[0][0], "OWNER_ID": owners[0][1], "TYPE_ID": 3, "PROVIDER_ID": "CRM_TASKS_TASK",
                "PROVIDER_TYPE_ID": "TASKS_TASK", "ASSOCIATED_ENTITY_ID": row["ID"], "SUBJECT": row["TITLE"],
                "DEADLINE": row["DEADLINE"], "RESPONSIBLE_ID": row["RESPONSIBLE_ID"], "DIRECTION": 0,
                "COMPLETED": "Y" if done else "N", "STATUS": 2 if done else 1,
                "BINDINGS": [{"OWNER_TYPE_ID": kind, "OWNER_ID": number} for kind, number in owners],
            },
            actor,
        )  # fmt: skip
    elif known is not None and owners:
        known["BINDINGS"] = [{"OWNER_TYPE_ID": kind, "OWNER_ID": number} for kind, number in owners]
        known["OWNER_TYPE_ID"], known["OWNER_ID"] = owners[0]
        known["COMPLETED"], known["STATUS"] = ("Y", 2) if done else ("N", 1)
        known["SUBJECT"], known["DEADLINE"], known["RESPONSIBLE_ID"] = (
            row["TITLE"],
            row["DEADLINE"],
            row["RESPONSIBLE_ID"],
        )
    elif known is not None:
        portal["activities"].remove(known["ID"])


def update(portal: Portal, row: Row, values: Row, actor: Actor) -> bool:
    """Change a task; False and no event when nothing differs. The history keeps who changed what."""
    new = {key: value for key, value in values.items() if row.get(key) != value}
    if not new:
        return False
    if set(new) - {"GROUP_ID", "STAGE_ID"}:
        # Where a task lies makes it no worse: a sprint ends also for one whose parent is gone.
        _check(portal, {**row, **new})
    closing = new.get("STATUS") in (SUPPOSED, COMPLETED) and row["STATUS"] != SUPPOSED
    if closing and needs_result({**row, **new}) and not results(portal, row, "open"):
        raise TaskError("status", "Задача не может быть завершена без результата")
    now = portal.now()
    for key, value in new.items():
        _remember(portal, row, key, row.get(key), value, actor)
    if "STATUS" in new:
        new |= {"STATUS_CHANGED_BY": actor.user_id, "STATUS_CHANGED_DATE": now}
        closed = new["STATUS"] in (SUPPOSED, COMPLETED)
        new |= {"CLOSED_BY": actor.user_id if closed else None, "CLOSED_DATE": now if closed else None}
        if new["STATUS"] == PROGRESS:
            new["DATE_START"] = row["DATE_START"] or now
        if new["STATUS"] == COMPLETED:
            # A result stays closed when the task is taken up again.
            for one in results(portal, row, "open"):
                one["STATUS"] = "closed"
    row.update(new)
    if "GROUP_ID" in new:
        _scrum(portal, row, actor)
    row["CHANGED_BY"], row["CHANGED_DATE"], row["ACTIVITY_DATE"] = actor.user_id, now, now
    _bind(portal, row, actor)
    portal.effect("update", "task", row["ID"], actor.user_id, actor.via, fields=sorted(values))
    _event(portal, "UPDATE", row, actor)
    _flow(portal, row)
    return True


def complete(portal: Portal, row: Row, user: Row, actor: Actor) -> bool:
    """Done: closed at once, or waiting for the creator's approval when the task is under control."""
    waits = row["TASK_CONTROL"] == "Y" and row["CREATED_BY"] != user["ID"] and not user["ADMIN"]
    return update(portal, row, {"STATUS": SUPPOSED if waits else COMPLETED}, actor)


def delegate(portal: Portal, row: Row, to: int, actor: Actor) -> bool:
    """Another responsible; the former one stays as an auditor."""
    auditors = (
        [*row["AUDITORS"], row["RESPONSIBLE_ID"]] if row["RESPONSIBLE_ID"] not in row["AUDITORS"] else row["AUDITORS"]
    )
    return update(portal, row, {"RESPONSIBLE_ID": to, "AUDITORS": auditors, "STATUS": PENDING}, actor)


def delete(portal: Portal, row: Row, actor: Actor) -> None:
    """Remove a task with its check-lists, its results and its activity."""
    portal["tasks"].remove(row["ID"])
    for name in ("checklist", "task_results"):
        for item in list(portal[name].where(TASK_ID=row["ID"])):
            portal[name].remove(item["ID"])
    for activity in list(portal["activities"].where(TYPE_ID=3, ASSOCIATED_ENTITY_ID=row["ID"])):
        portal["activities"].remove(activity["ID"])
    portal.effect("delete", "task", row["ID"], actor.user_id, actor.via)
    _event(portal, "DELETE", row, actor)


def _event(portal: Portal, change: str, row: Row, actor: Actor) -> None:
    before: Any = "undefined" if change == "ADD" else {"ID": row["ID"]}
    after: Any = "undefined" if change == "DELETE" else {"ID": row["ID"]}
    data: Row = {
        "FIELDS_BEFORE": before, "FIELDS_AFTER": after,
        "IS_ACCESSIBLE_BEFORE": "N" if change == "ADD" else "undefined",
        "IS_ACCESSIBLE_AFTER": "N" if change == "DELETE" else "undefined",
    }  # fmt: skip
    delivery.emit(portal, f"ONTASK{change}", data, actor, entity=f"task {row['ID']}")


# --- check-lists, messages, results -----------------------------------------------------------------------------------


def tick(portal: Portal, row: Row, item: Row, done: bool, actor: Actor) -> bool:
    """Tick or untick an item of a check-list; False and no event when it is so already."""
    state = "Y" if done else "N"
    if item["IS_COMPLETE"] == state:
        return False
    item["IS_COMPLETE"], item["TOGGLED_BY"], item["TOGGLED_DATE"] = state, actor.user_id, portal.now()
    checklist_changed(portal, row, actor)
    return True


def checklist_changed(portal: Portal, row: Row, actor: Actor) -> None:
    """What a change of a check-list does to its task."""
    row["ACTIVITY_DATE"] = row["CHANGED_DATE"] = portal.now()
    portal.effect("update", "task", row["ID"], actor.user_id, actor.via, fields=["CHECKLIST"])
    _event(portal, "UPDATE", row, actor)


def say(portal: Portal, row: Row, text: str, actor: Actor, *, author: int = 0) -> Row:
    """Put a message into the task's chat and send ONTASKCOMMENTADD."""
    message = portal["messages"].add(
        {
            "DIALOG_ID": f"chat{row['CHAT_ID']}", "FROM_USER_ID": author or actor.user_id, "MESSAGE": text,
            "ATTACH": None, "KEYBOARD": None, "SYSTEM": False, "AT": portal.now(),
        }
    )  # fmt: skip
    commented(portal, row, 0, actor, message=message["ID"])
    return message


def comment(portal: Portal, row: Row, text: str, actor: Actor, *, author: int = 0, files: Any = (),
            at: float | None = None) -> Row:  # fmt: skip
    """A comment of the old card."""
    made = portal["task_comments"].add(
        {
            "TASK_ID": row["ID"], "AUTHOR_ID": author or actor.user_id, "POST_MESSAGE": text, "FILES": list(files),
            "POST_DATE": at or portal.now(),
        }
    )  # fmt: skip
    commented(portal, row, made["ID"], actor)
    return made


def commented(portal: Portal, row: Row, number: int, actor: Actor, *, message: int = 0) -> None:
    """Send ONTASKCOMMENTADD; with the new card the comment has no id and the message has one."""
    after: Row = {"ID": number, "TASK_ID": row["ID"]}
    if message:
        after["MESSAGE_ID"] = message
    data = {
        "FIELDS_BEFORE": "undefined", "FIELDS_AFTER": after, "IS_ACCESSIBLE_BEFORE": "undefined",
        "IS_ACCESSIBLE_AFTER": "undefined",
    }  # fmt: skip
    row["ACTIVITY_DATE"] = portal.now()
    _remember(portal, row, "COMMENT", None, number or message, actor)
    portal.effect("create", "task comment", number or message, actor.user_id, actor.via, task=row["ID"])
    delivery.emit(portal, "ONTASKCOMMENTADD", data, actor, entity=f"task {row['ID']}")


def add_result(
    portal: Portal, row: Row, text: str, actor: Actor, *, comment: int = 0, message: int = 0, files: Any = ()
) -> Row:
    """Keep a result of the task: of a comment (old card), of a message of its chat (new card), or by itself."""
    made = portal["task_results"].add(
        {
            "TASK_ID": row["ID"], "COMMENT_ID": comment, "MESSAGE_ID": message, "AUTHOR_ID": actor.user_id,
            "CREATED": portal.now(), "CHANGED": None, "STATUS": "open", "TEXT": text, "FILES": list(files),
        }
    )  # fmt: skip
    portal.effect("create", "task result", made["ID"], actor.user_id, actor.via, task=row["ID"])
    return made
