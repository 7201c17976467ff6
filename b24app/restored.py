"""`b24app restored`: an older copy of the database was put back, and the portal is ahead of it.

What the portal shows of the time between is learnt: who got which enquiry, by the mark of the decision in the timeline,
and which tasks of stages stand. What was under way in the copy may have been done since: each such write is looked up
before it is made, an SMS is left to a person. Everything else is found by the reconciliation, as after any silence.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from b24app import distribution as desk
from b24app import stage_work, supervisor
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.commands import TASK_PREFIXES, find_comments, find_item
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number, rows
from b24app.engine.clock import Clock
from b24app.engine.declare import NORMAL, TimerCall
from b24app.entities import ENTITY_NAMES, ItemRef, PhoneCall
from b24app.errors import AccessDenied, B24AppError, NotFound
from b24app.playbook import Playbook
from b24app.process import MISSING_TASK
from b24app.rules.intake import CAUSES, Card, Person, decision_mark
from b24app.services import Services
from b24app.store import process_memory, restored
from b24app.store.memory import Memory
from b24app.store.portals import PortalRow, all_portals
from handlers import missed_call_sms, reconcile

ROUNDS = 9
"""So many rounds of a stage's task are looked for."""
CLOSED = 5
"""STATUS of a task that is done (api-reference/tasks/fields.md)."""
MANY_TIMERS = 100_000
PATIENCE_SECONDS = 3600.0
"""So long an administrator is waited for."""
LOOK_SECONDS = 3.0
RULE = {
    "ru": "узнано по ленте карточки: база восстановлена из копии",
    "en": "learnt from the timeline: a copy of the database was restored",
}


@dataclass(frozen=True)
class Reason:
    """Why somebody may have got an item: its key, and the call that it was about."""

    key: str
    item: ItemRef
    call: PhoneCall | None = None


def run(services: Services, web: supervisor.Program) -> int:
    """Makes every portal's rows fit the portal again; 0, or 1 where it has to be repeated.

    The tokens of a copy are mostly dead: `web` is served then, until an administrator has opened the application.
    """
    waiting = [row for row in all_portals(services.database).values() if row.active]
    restored.skip_numbers(services.database)
    # what was due since the copy comes now, so that it is older than the doubt
    Clock(services.inbox, services.catalogue, lambda _: None).fire_timers(datetime.now(UTC), MANY_TIMERS)
    deadline, told = time.monotonic() + PATIENCE_SECONDS, ""
    with ExitStack() as ending:
        while True:
            troubles = {row.member_id: trouble for row in waiting if (trouble := _restore(services, row))}
            waiting = [row for row in waiting if row.member_id in troubles]
            if not waiting or time.monotonic() > deadline:
                break
            if not told:
                ending.callback(supervisor.stop, [supervisor.start(web)])
            told = _tell(told, "".join(f"✘ {row.host}: {troubles[row.member_id]}\n" for row in waiting))
            time.sleep(LOOK_SECONDS)
    if waiting:
        sys.stdout.write("✘ Не дождались, повторите / Nobody came: repeat\n")
    return 1 if waiting else 0


def _tell(told: str, troubles: str) -> str:
    if troubles != told:
        sys.stdout.write(
            f"{troubles}  Откройте приложение в Bitrix24 администратором: жду.\n"
            "  Open the application in Bitrix24 as an administrator: waiting.\n"
        )
        sys.stdout.flush()
    return troubles


def _restore(services: Services, row: PortalRow) -> str:
    """Does it for one portal; returns what is in the way, or ""."""
    try:
        people, tasks = _learn(services, services.open_portal(row.member_id))
    except B24AppError as error:
        return str(error)
    doubted = restored.doubt_what_was_under_way(services.database, row.member_id)
    sys.stdout.write(
        f"✔ {row.host}\n"
        f"  узнано назначений / assignments learnt: {people}\n"
        f"  узнано задач стадий / tasks of stages learnt: {tasks}\n"
        f"  будет проверено перед записью / will be looked up before they are written: {doubted}\n"
    )
    return ""


def _learn(services: Services, portal: Portal) -> tuple[int, int]:
    """Reads what the portal has beyond the copy; returns how many assignments and tasks were learnt."""
    beyond = reconcile.read(portal, TimerCall(portal.member_id, reconcile.TIMER.code, "", {}))
    under_way = restored.open_entities(services.database, portal.member_id)
    named = [ItemRef.parse(entity) for entity in {*under_way, *beyond.moved} if _is_item(entity)]
    items = dict.fromkeys([*(ItemRef(beyond.entity_type_id, id) for id in beyond.item_ids), *named])
    calls = [(call.item, call) for call in beyond.calls if call.item is not None]
    calls += _made_by_us(portal, beyond)
    first = dict(reversed(calls))
    reasons = [Reason(desk.intake_key(item), item, first.get(item)) for item in items]
    reasons += [Reason(f"call:{call.call_id}", item, call) for item, call in calls]
    rules = {item: known for item in items if (known := _rules(portal.playbook, item.entity_type_id))}
    asked = {f"card_{_label(one.item)}": find_comments(one.item) for one in reasons}
    asked |= {f"tasks_{_label(item)}": _tasks(item) for item in rules}
    found = {label: _result(answer) for label, answer in portal.rest.gather(asked).items()} if asked else {}
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    with services.database.write() as connection:
        memory = Memory(services.database, connection, portal.member_id)
        people = sum(_assigned(memory, portal, team, one, found[f"card_{_label(one.item)}"]) for one in reasons)
        tasks = sum(_stand(memory, item, known, found[f"tasks_{_label(item)}"]) for item, known in rules.items())
        for item in rules:  # what its card asks for now: a visit, what a stage lacks
            event = f"ONCRM{ENTITY_NAMES[item.entity_type_id].upper()}UPDATE"
            payload = {"event": event, "data": {"FIELDS": {"ID": str(item.id)}}}
            memory.deliver(kind="event", code=event, entity=str(item), payload=payload, priority=NORMAL)
    return people, tasks


def _made_by_us(portal: Portal, beyond: reconcile.Look) -> list[tuple[ItemRef, PhoneCall]]:
    """Returns the calls of which the portal made nothing, each with the item that we made for it."""
    bare = {f"call:{call.call_id}": call for call in beyond.calls if call.item is None}
    asked = {f"made_{place}": find_item(beyond.entity_type_id, key) for place, key in enumerate(bare)}
    found = portal.rest.gather(asked) if asked else {}
    return [
        (ItemRef(beyond.entity_type_id, id), call)
        for place, call in enumerate(bare.values())
        for row in rows(_result(found[f"made_{place}"]), "items")
        if (id := number(row.get("id"))) is not None
    ]


def _is_item(entity: str) -> bool:
    kind, _, id = entity.partition(":")
    return kind in ENTITY_NAMES.values() and id.isdigit()


def _label(item: ItemRef) -> str:
    return f"{item.entity_type_id}_{item.id}"


def _tasks(item: ItemRef) -> Call:
    bound = {"UF_CRM_TASK": f"{TASK_PREFIXES[item.entity_type_id]}_{item.id}"}
    select = ["ID", "DESCRIPTION", "STATUS"]
    return Call("tasks.task.list", {"filter": bound, "select": select, "order": {"ID": "DESC"}})


def _result(answer: Any) -> Any:
    if isinstance(answer, Answer):
        return answer.result
    if isinstance(answer, NotFound | AccessDenied):
        return []
    raise answer


def _assigned(memory: Memory, portal: Portal, team: desk.Team, reason: Reason, comments: Any) -> bool:
    """Keeps who got it, where the timeline has the mark of that decision; nobody: it waits in the queue."""
    told = " ".join(str(row.get("COMMENT", "")) for row in rows(comments))
    people = [*team.users, *(one for one in (team.head, team.fallback) if one is not None)]
    for person in (*people, None):
        if decision_mark(reason.key, person.id if person else None) in told:
            break
    else:
        return False
    if reason.call is not None:
        _told(memory, reason.call, person is not None)
    if memory.assignment(reason.key) is not None:
        return False
    call, cause = reason.call, "missed" if reason.call and reason.call.missed else "created"
    title = CAUSES[cause]  # type: ignore[index]
    card = Card(title, Person(person.id, person.name) if person else None, RULE, (), memory.now)
    memory.assign(
        key=reason.key,
        entity=str(reason.item),
        cause=cause,
        queue=team.queue,
        manager_id=person.id if person else None,
        took_turn=person is not None,
        phone=(call.phone or None) if call else None,
        call_id=call.call_id if call else None,
        card=desk.card_json(card),
        written_at=memory.now if person else None,
    )
    return True


def _told(memory: Memory, call: PhoneCall, treated: bool) -> None:
    """Keeps that the call is over, and that its message went out: it may have, and a second one must not."""
    memory.keep_call(call, ended=True)
    if treated and call.missed:
        missed_call_sms.order(memory, call.call_id, call.phone, memory.now)
        memory.call_off(missed_call_sms.entity_of(call.call_id), RULE["ru"])


def _rules(playbook: Playbook, entity_type_id: int) -> list[tuple[str, str]]:
    """Returns (stage, rule) of every task that a stage asks for."""
    process = playbook.process(entity_type_id)
    stages = process.stages if process is not None else ()
    asked = [(stage.key, rule.key) for stage in stages for rule in stage.tasks]
    return asked + [(stage.key, f"{MISSING_TASK}{stage.key}"[:40]) for stage in stages]


def _stand(memory: Memory, item: ItemRef, rules: Sequence[tuple[str, str]], tasks: Any) -> int:
    """Keeps the tasks of stages that stand on the portal, known by their marks; returns how many are new to us."""
    marks = {
        stage_work.mark(item, rule, str(round)): (stage, rule, round)
        for stage, rule in rules
        for round in range(1, ROUNDS + 1)
    }
    learnt = 0
    for row in rows(tasks, "tasks"):
        id, text = number(row.get("id")), str(row.get("description", ""))
        known = next((what for mark, what in marks.items() if mark in text), None)
        if id is None or known is None or process_memory.task_row(memory, id) is not None:
            continue
        stage, rule, round = known
        process_memory.add_task(memory, task_id=id, entity=str(item), rule=rule, stage=stage, round=round)
        if number(row.get("status")) == CLOSED:
            process_memory.set_task_state(memory, id, "closed")
        learnt += 1
    return learnt
