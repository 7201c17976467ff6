"""What is done about a visit: one decision, kept in our memory and written as commands. Deciding: handlers/visit.py.

The measurer's calendar entry, the card's fields, the manager's and the measurer's tasks, words to people, one SMS a
round. What an earlier round had of these is taken away with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from b24app import stage_work as stage_desk
from b24app import texting
from b24app.bitrix import commands as write
from b24app.bitrix.commands import Command
from b24app.entities import ItemRef
from b24app.errors import Temporary
from b24app.rules.confirmation import Happening
from b24app.rules.intake import Notice
from b24app.stage_work import VISIT_TASK, DoneTask, NewTask
from b24app.store import process_memory, visits
from b24app.store.memory import Memory
from b24app.store.process_memory import TaskState
from b24app.store.visits import Taken, VisitRow, Wanted
from b24app.texting import Texting

CONFIRM, MEASURE, AGREE, OBJECT, HEAD = (
    f"{VISIT_TASK}{name}" for name in ("confirm", "measure", "agree", "object", "head")
)
"""Tasks of a visit: the manager confirms, the measurer measures, a new date is agreed, somebody moved the calendar
entry, the head decides on a client who moves his date again and again.
"""


@dataclass(frozen=True)
class Change:
    """Something that happens to a visit."""

    visit_id: int
    happening: Happening
    reason: str = ""


@dataclass(frozen=True)
class Entry:
    """The calendar entry of a visit."""

    visit_id: int
    owner_id: int
    name: str
    start: datetime
    end: datetime
    description: str
    location: str


@dataclass(frozen=True)
class Replan:
    """The manager's task is planned for another day: the office's holidays changed."""

    task_id: int
    start: datetime
    deadline: datetime


@dataclass(frozen=True)
class Retold:
    """The measurer's task says something else now."""

    task_id: int
    title: str
    description: str


@dataclass(frozen=True)
class VisitWork:
    """What is done about the visit of one item. `kept` are values of visits by number; `again`: look once more."""

    item: ItemRef
    title: str
    creator_id: int
    why: str = ""
    changes: tuple[Change, ...] = ()
    take: Wanted | None = None
    kept: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    removed: tuple[int, ...] = ()
    entry: Entry | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[NewTask, ...] = ()
    done: tuple[DoneTask, ...] = ()
    states: tuple[tuple[int, TaskState], ...] = ()
    replan: Replan | None = None
    retold: Retold | None = None
    notices: tuple[Notice, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    sms: Texting | None = None
    forgotten: tuple[str, ...] = ()
    look_at: datetime | None = None
    no_timer: bool = False
    again: bool = False


def sms_key(row: VisitRow) -> str:
    """Returns the key of the one message of a round."""
    return f"visit:{row.id}"


def entry_marker(visit_id: int, instead_of: Sequence[int] = ()) -> str:
    """Returns the mark by which a visit's calendar entry is known again, and not taken for the one it replaces."""
    return stage_desk.mark("visit entry", visit_id, *instead_of)


# keeping


def remember(memory: Memory, work: VisitWork) -> None:
    """Keeps what happens to visits and tasks, and when the visit is looked at again."""
    entity = str(work.item)
    process_memory.number_tasks(memory)
    visits.number_entries(memory)
    for change in work.changes:
        row = visits.visit(memory, change.visit_id)
        if row is not None:
            visits.turn(memory, row, change.happening, **({"reason": change.reason} if change.reason else {}))
    for id, values in work.kept.items():
        visits.keep(memory, id, values)
    if work.entry is not None:
        visits.keep(memory, work.entry.visit_id, {"entry_delivery": memory.delivery_id, "calendar_id": None})
    if work.take is not None:
        try:
            visits.take(memory, work.take)
        except Taken:
            raise Temporary.after("время только что заняли / taken just now", timedelta(seconds=1)) from None
    stage_desk.remember_tasks(memory, entity, work.tasks, work.done, work.states)
    for key in work.forgotten:
        texting.forget(memory, key)
    if work.sms is not None:
        texting.remember(memory, work.sms)
    if work.look_at is not None:
        memory.set_timer(visits.remind_timer(entity), code=visits.VISIT, entity=entity, due_at=work.look_at)
    elif work.no_timer:
        memory.drop_timer(visits.remind_timer(entity))
    if work.again:
        visits.look(memory, entity)
    visits.watch(memory)


# acting


def act(work: VisitWork) -> list[Command]:
    """Returns the commands: what is gone first, then the new entry and the card, tasks, words. The SMS goes apart."""
    item = work.item
    planned: list[Command] = [write.remove_entry(id, label=f"entry_gone_{id}") for id in work.removed]
    planned += [write.set_task(done.task_id, {"STATUS": 5}, label=f"close_{done.task_id}") for done in work.done]
    if work.entry is not None:
        planned.append(
            write.calendar_entry(
                work.entry.owner_id,
                item,
                name=work.entry.name,
                start=work.entry.start,
                end=work.entry.end,
                description=work.entry.description,
                location=work.entry.location,
                marker=entry_marker(work.entry.visit_id, work.removed),
                label=visits.ENTRY,
            )
        )
    if work.fields:
        planned.append(write.set_fields(item, work.fields, label="fields"))
    if work.replan is not None:
        dates = {
            "START_DATE_PLAN": work.replan.start.isoformat(),
            "END_DATE_PLAN": work.replan.deadline.isoformat(),
            "DEADLINE": work.replan.deadline.isoformat(),
        }
        planned.append(write.set_task(work.replan.task_id, dates, label="replan"))
    if work.retold is not None:
        texts = {"TITLE": work.retold.title, "DESCRIPTION": work.retold.description}
        planned.append(write.set_task(work.retold.task_id, texts, label="retold"))
    for task in work.tasks:
        planned += stage_desk.task_commands(task, item, work.creator_id)
    for place, notice in enumerate(work.notices):
        planned.append(write.notify(notice.user_id, notice.text, tag=notice.tag, label=f"notice_{place}"))
    for place, (text, key) in enumerate(work.notes):
        planned.append(write.comment(item, text, marker=stage_desk.mark(item, "visit", key), label=f"note_{place}"))
    return planned
