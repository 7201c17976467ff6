"""A task of ours was closed, reopened, put under control, deleted (K15, K17): what that does to its item.

Closing moves the item on where the gate of the next stage lets it pass; else the task is opened again, and who closed
it learns why. Tasks of other people end here without a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from b24app import distribution as desk
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.translate import number
from b24app.engine.declare import NORMAL, EventCall, Handler, Nothing
from b24app.entities import ItemRef
from b24app.playbook import OnClose, TaskRule
from b24app.process import COMPLETED, SUPPOSED, PortalTask, ProcessOnPortal
from b24app.rules import stage_gate
from b24app.rules.intake import Notice, plain
from b24app.rules.stage_gate import Missing
from b24app.stage_work import VISIT_TASK, Form, Move, Office, StageWork
from b24app.store import process_memory, visits
from b24app.store.memory import Memory
from b24app.store.process_memory import ConfirmationRow, ItemRow, TaskRow, TaskState


@dataclass(frozen=True)
class TaskChanged:
    """A task of ours with its item. `task` is None where the task is gone, `raw` where the item is."""

    row: TaskRow
    on: ProcessOnPortal
    office: Office
    task: PortalTask | None = None
    raw: Mapping[str, Any] | None = None
    found: Mapping[str, Any] = field(default_factory=dict)
    known: ItemRow | None = None
    tasks: tuple[TaskRow, ...] = ()
    confirmed: tuple[ConfirmationRow, ...] = ()
    looks: int = 0

    @property
    def ref(self) -> ItemRef:
        """The task's item."""
        return ItemRef.parse(self.row.entity)


@dataclass(frozen=True)
class VisitTask:
    """A task of a visit: what it means is decided where the visit is looked at (handlers/visit.py)."""

    entity: str


def task_id_of(call: EventCall) -> int | None:
    """Returns the task's id of an event: in FIELDS_AFTER, of a deleted one in FIELDS_BEFORE; the other is a word."""
    for name in ("FIELDS_AFTER", "FIELDS_BEFORE"):
        fields = call.data.get(name)
        id = number(fields.get("ID")) if isinstance(fields, Mapping) else None
        if id is not None:
            return id
    return None


def read(portal: Portal, call: EventCall) -> TaskChanged | VisitTask | Nothing:
    """Reads the task, its item and the evidence in one or two requests; a task that is not ours costs none."""
    task_id = task_id_of(call)
    if task_id is None:
        return Nothing("в событии нет id / no id in the event")
    with portal.memory() as memory:
        row = process_memory.task_row(memory, task_id)
    if row is None:
        return Nothing("задача не наша / not a task of ours")
    if row.rule.startswith(VISIT_TASK):
        return VisitTask(row.entity)
    ref = ItemRef.parse(row.entity)
    on = card_desk.process_on(portal, ref.entity_type_id)
    if on is None:
        return Nothing("процесс на портале не применён / no process is applied here")
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    facts = TaskChanged(replace(row, task_id=task_id), on, stage_desk.office(portal, team), looks=call.looks)
    if call.event == "ONTASKDELETE":
        return facts
    asked: dict[str, reads.Read[Any]] = {"task": card_desk.task_read(task_id), "card": card_desk.card_read(ref)}
    found = portal.read(asked)
    facts = replace(facts, task=card_desk.task_or_none(found, "task"), raw=card_desk.card_or_none(found, "card"))
    rule = rule_of(on, row.rule)
    if (
        facts.task is None
        or facts.raw is None
        or facts.task.status != COMPLETED
        or rule is None
        or rule.on_close is None
    ):
        return facts
    with portal.memory() as memory:
        known = process_memory.item_row(memory, row.entity)
        tasks = process_memory.tasks_of(memory, row.entity)
    item = card_desk.item_of(ref, facts.raw)
    key, since = on.stage_key(item.stage_id), card_desk.began_at(on, item, known)
    entered = on.process.stage(rule.on_close.move_to)
    passed = (
        stage_gate.stages_of_move(on.process, key, entered.key)[1] if entered is not None and key is not None else ()
    )
    wanted = [*rule.on_close.needs, *stage_gate.evidence_asked(passed)]
    evidence = card_desk.evidence_reads(on, ref, facts.raw, wanted, tasks, since)
    seen = portal.read(evidence, optional=card_desk.OPTIONAL_EVIDENCE) if evidence else Found({})
    return replace(facts, found={label: seen.maybe(label, None) for label in seen})


def rule_of(on: ProcessOnPortal, key: str) -> TaskRule | None:
    """Returns the task rule of this key."""
    return next((rule for _, rule in on.process.task_rules() if rule.key == key), None)


def recall(memory: Memory, facts: TaskChanged | VisitTask) -> TaskChanged | VisitTask:
    """Adds what our own database knows at the moment of deciding; a visit's task orders a look at the visit."""
    if isinstance(facts, VisitTask):
        visits.look(memory, facts.entity)
        return facts
    process_memory.number_tasks(memory)
    known = process_memory.item_row(memory, facts.row.entity)
    row = process_memory.task_row(memory, facts.row.task_id) or facts.row
    confirmed: tuple[ConfirmationRow, ...] = ()
    if facts.raw is not None:
        since = card_desk.began_at(facts.on, card_desk.item_of(facts.ref, facts.raw), known)
        confirmed = tuple(process_memory.confirmations(memory, row.entity, since=since))
    tasks = tuple(process_memory.tasks_of(memory, row.entity))
    return replace(facts, row=row, known=known, tasks=tasks, confirmed=confirmed)


def decide(facts: TaskChanged | VisitTask) -> StageWork | Nothing:
    """Says what the task's state means for its item."""
    if isinstance(facts, VisitTask):
        return Nothing("задача замера: смотрим замер / a visit's task: the visit is looked at")
    row, task = facts.row, facts.task
    if task is None:
        return _deleted(facts)
    if facts.raw is None:
        return _only_noted(facts, "obsolete", "карточки уже нет / the item is gone")
    item = card_desk.item_of(facts.ref, facts.raw)
    here = facts.on.stage_key(item.stage_id)
    if task.status not in (COMPLETED, SUPPOSED):
        if row.state == "closed" and here == row.stage:
            return _only_noted(facts, "open", "задачу открыли снова / the task was opened again")
        return Nothing("задача открыта / the task is open")
    if task.status == SUPPOSED:
        return Nothing("ждёт контроля постановщика / awaits its creator's approval")
    if row.state != "open":
        return Nothing("уже учтена / known already")
    rule = rule_of(facts.on, row.rule)
    if rule is None or rule.on_close is None:
        return _only_noted(facts, "closed", "задача закрыта / the task is closed")
    if here != row.stage:
        return _only_noted(facts, "closed", "карточка уже на другой стадии / the item stands elsewhere")
    return _closed(facts, task, rule, rule.on_close, here)


def _closed(facts: TaskChanged, task: PortalTask, rule: TaskRule, on_close: OnClose, here: str) -> StageWork | Nothing:
    """The task that leads on is done: the item moves, or the task is opened again with the reason."""
    on, office, raw = facts.on, facts.office, facts.raw or {}
    item, card = card_desk.item_of(facts.ref, raw), card_desk.card_of(on, raw)
    target = on.process.stage(on_close.move_to)
    told_id = task.closed_by or task.responsible_id or item.assigned_by_id
    if target is None:
        text = (
            f"Задача «{plain(rule.title)}» закрыта, но стадии «{on_close.move_to}» на портале больше нет: "
            f"переведите {office.card(facts.ref, item.title)} сами и скажите администратору."
        )
        return StageWork(
            facts.ref,
            item.title,
            "pass",
            here,
            judged=False,
            states=((facts.row.task_id, "closed"),),
            notices=(Notice(told_id, text, f"task:{facts.row.task_id}"),),
        )
    closed = [replace(one, state="closed") if one.task_id == facts.row.task_id else one for one in facts.tasks]
    since = card_desk.began_at(on, item, facts.known)
    seen = card_desk.seen_of(on, facts.found, closed, facts.confirmed, since)
    stage = on.process.stage(here)
    needs = stage_gate.missing_evidence(on.process, stage, on_close.needs, seen) if stage is not None else ()
    reason = card_desk.decline_reason(on, raw)
    ruling = stage_gate.judge_move(on.process, here, target.key, card, seen, at=office.now, decline_reason=reason)
    missing = _once([*ruling.missing, *needs])
    if missing:
        return _opened_again(facts, rule, target.key, missing, told_id)
    return StageWork(
        item=facts.ref,
        title=item.title,
        action="own",
        from_stage=here,
        to_stage=target.key,
        mover_id=task.closed_by,
        move=Move(item.stage_id, on.stage_id(target.key), back=False, tell_if_refused=told_id),
        states=((facts.row.task_id, "closed"),),
        creator_id=office.owner_id,
    )


def _once(missing: Sequence[Missing]) -> list[Missing]:
    return list({(lack.kind, lack.key): lack for lack in missing}.values())


def _opened_again(
    facts: TaskChanged, rule: TaskRule, to: str, missing: Sequence[Missing], told_id: int
) -> StageWork | Nothing:
    office = facts.office
    item = card_desk.item_of(facts.ref, facts.raw or {})
    lines = "\n".join(f"— {line}" for line in card_desk.missing_lines(facts.on, missing))
    text = (
        f"Задача «{plain(rule.title)}» открыта снова, {office.card(facts.ref, item.title)} остаётся на стадии "
        f"«{facts.on.stage_name(item.stage_id)}»: не хватает\n{lines}\n"
        f"[URL={card_desk.form_path(office.client_id, facts.ref, to)}]Заполнить[/URL]"
    )
    form = Form(told_id, to, tuple(lack.key for lack in missing)) if office.can_push else None
    return StageWork(
        item=facts.ref,
        title=item.title,
        action="pass",
        to_stage=to,
        judged=False,
        reopened=(facts.row.task_id,),
        notices=(Notice(told_id, text, f"task:{facts.row.task_id}"),),
        form=form,
    )


def _deleted(facts: TaskChanged) -> StageWork | Nothing:
    """A person took the task away: it is not made again, the gate still holds, the responsible knows."""
    row, rule = facts.row, rule_of(facts.on, facts.row.rule)
    if row.state != "open":
        return Nothing("задачи уже нет / the task is gone")
    if rule is None or rule.on_close is None or facts.known is None:
        return _only_noted(facts, "obsolete", "задачу удалили / the task was deleted")
    if facts.on.stage_key(facts.known.stage_id) != row.stage:
        return _only_noted(facts, "obsolete", "задачу удалили / the task was deleted")
    to = facts.on.stage_name(rule.on_close.move_to)
    text = (
        f"Задачу «{plain(rule.title)}» удалили. Она не ставится заново; {facts.office.card(facts.ref, '')} перейдёт на "
        f"«{to}», когда вы переведёте его сами: условия стадии проверяются по-прежнему."
    )
    return StageWork(
        facts.ref,
        "",
        "pass",
        row.stage,
        judged=False,
        states=((row.task_id, "obsolete"),),
        notices=(Notice(facts.office.head_id, text, f"task:{row.task_id}"),),
    )


def _only_noted(facts: TaskChanged, state: TaskState, _why: str) -> StageWork:
    return StageWork(facts.ref, "", "pass", facts.row.stage, judged=False, states=((facts.row.task_id, state),))


def entity(call: EventCall) -> str | None:
    """Returns `task:77`."""
    id = task_id_of(call)
    return f"task:{id}" if id is not None else None


HANDLER = Handler(
    event="ONTASKUPDATE",
    entity=entity,
    priority=NORMAL,
    decision=StageWork,
    read=read,
    recall=recall,
    decide=decide,
    remember=stage_desk.remember,
    act=stage_desk.act,
)
DELETED_HANDLER = replace(HANDLER, event="ONTASKDELETE")
