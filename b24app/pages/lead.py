"""The tab in the card of a lead or a deal: why this manager, which calls there were, which tasks of ours there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.commands import made_id
from b24app.bitrix.translate import moment, number, rows
from b24app.engine.declare import Text
from b24app.entities import INCOMING_TYPES, MISSED_CODES, ItemRef
from b24app.errors import AccessDenied, B24AppError, NotFound
from b24app.pages.frame import Look
from b24app.services import Services
from b24app.store.overview import CallLine, calls_of, decisions_of, task_results_of

TASK_STATES: Mapping[int, Text] = {
    2: {"ru": "ждёт выполнения", "en": "pending"},
    3: {"ru": "выполняется", "en": "in progress"},
    4: {"ru": "ждёт контроля", "en": "awaiting control"},
    5: {"ru": "завершена", "en": "completed"},
    6: {"ru": "отложена", "en": "deferred"},
}


@dataclass(frozen=True)
class TaskLine:
    """A task of ours as the tab shows it."""

    id: int
    title: str
    state: str
    responsible: str
    deadline: datetime | None
    path: str


def reads(services: Services, member_id: str, item: ItemRef) -> dict[str, Call]:
    """Returns what the page asks of the portal with its visitor's rights, to go into the batch that proves him."""
    ids = sorted(
        {made for result in task_results_of(services.database, member_id, str(item)) if (made := _task_id(result))}
    )
    asked = {"item": Call("crm.item.get", {"entityTypeId": item.entity_type_id, "id": item.id})}
    if ids:
        select = ["ID", "TITLE", "STATUS", "DEADLINE", "RESPONSIBLE_ID"]
        asked["tasks"] = Call("tasks.task.list", {"filter": {"ID": ids}, "select": select, "order": {"ID": "DESC"}})
    return asked


def show(look: Look, member_id: str, item: ItemRef, answers: Mapping[str, Answer | B24AppError]) -> str:
    """Returns the page for an item that the visitor himself may read; else raises what the portal said."""
    answer = answers.get("item")
    if isinstance(answer, B24AppError):
        raise answer
    if answer is None:
        raise AccessDenied("карточка не прочитана / the card was not read")
    if not answer.result:
        raise NotFound("карточки нет / there is no such card")
    database = look.services.database
    decisions = decisions_of(database, member_id, str(item))
    names = {
        line["user_id"]: str(line.get("name") or "")
        for decision in decisions
        for line in decision.card.get("lines", ())
        if isinstance(line, dict) and isinstance(line.get("user_id"), int)
    }
    tasks = answers.get("tasks")
    return look.render(
        "lead.html",
        item=item,
        decisions=decisions,
        calls=[_call(look, call, names) for call in calls_of(database, member_id, str(item))],
        tasks=tasks_of(look, tasks.result) if isinstance(tasks, Answer) else [],
    )


def _task_id(result: Any) -> int | None:
    return made_id("tasks.task.add", result)


def tasks_of(look: Look, result: Any) -> list[TaskLine]:
    """Returns the tasks of a tasks.task.list as both tabs show them."""
    return [_task(look, row) for row in rows(result, "tasks")]


def _task(look: Look, row: Mapping[str, Any]) -> TaskLine:
    responsible = row.get("responsible")
    responsible_id = number(row.get("responsibleId"))
    task_id = number(row.get("id")) or 0
    return TaskLine(
        id=task_id,
        title=str(row.get("title") or ""),
        state=look.word(TASK_STATES.get(number(row.get("status")) or 0)),
        responsible=str(responsible.get("name") if isinstance(responsible, dict) else responsible_id or ""),
        deadline=moment(row.get("deadline")),
        path=f"/company/personal/user/{responsible_id or 0}/tasks/task/view/{task_id}/",
    )


def _call(look: Look, call: CallLine, names: Mapping[int, str]) -> dict[str, str]:
    if call.call_type in INCOMING_TYPES:
        kind = look.text("входящий", "incoming")
    elif call.call_type == 1:
        kind = look.text("исходящий", "outgoing")
    else:
        kind = look.text("звонок", "call")
    if call.ended_at is None:
        how = look.text("идёт", "going on")
    elif call.failed_code in MISSED_CODES and call.call_type in INCOMING_TYPES:
        how = look.text("пропущен", "missed")
    elif call.started_at is not None:
        how = look.text("состоялся", "took place")
    else:
        how = look.text("без ответа", "unanswered")
    talked = call.user_id is not None and call.started_at is not None
    who = names.get(call.user_id or 0, "") if talked else ""
    return {"when": look.when(call.seen_at), "kind": kind, "how": how, "who": who}
