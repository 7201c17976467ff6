"""A stage cannot be left with its work undone (K8, K11-K13, K16, K17, K19, K20, 1C-13, 1C-14, OS-5, OS-10).

Bitrix24 has no veto: an item moves first, then its event comes, with nothing but an id. The card is compared with where
we last agreed with it (where we never saw it, with its stage history), and the move is let pass, undone, or left with a
task or a warning, as the playbook says. On a new stage its tasks are made and the former ones close themselves.

Cheap where nothing happened: cards of other waiting items come with the same request, so an import's burst and the
echoes of our own writes cost a fraction of a request each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from b24app import distribution as desk
from b24app import measuring, visit_words
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.translate import moment, number
from b24app.engine.declare import NORMAL, EventCall, Handler, Nothing
from b24app.entities import DEAL, LEAD, Item, ItemRef
from b24app.errors import NotFound
from b24app.playbook import Evidence, Measurement, Stage
from b24app.process import JUST_NOW, ProcessOnPortal
from b24app.rules import stage_gate
from b24app.rules.intake import Notice
from b24app.rules.stage_gate import Card, Missing, Ruling, Seen
from b24app.stage_work import Form, Move, NewTask, Office, StageWork
from b24app.store import process_memory, visits
from b24app.store.memory import Memory
from b24app.store.process_memory import ConfirmationRow, ItemRow, MoveRow, TaskRow

TOGETHER = 49
"""Cards of so many other waiting items come with one request (a page of crm.item.list is 50)."""
HOUR = timedelta(hours=1)
STALE = timedelta(days=1)
"""A move that we hear of this late happened while the application was away: nobody expects it to be undone now."""
GIVES_UP_GUARD = 2
"""After so many looks the card's other changes do not stop our move any more: somebody keeps changing it."""


@dataclass(frozen=True)
class Changed:
    """An item as it is now, and where it came from. `raw` is None where the item is gone."""

    ref: ItemRef
    on: ProcessOnPortal
    office: Office
    received_at: datetime
    looks: int = 0
    raw: Mapping[str, Any] | None = None
    found: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[tuple[str, datetime], ...] = ()
    known: ItemRow | None = None
    last: MoveRow | None = None
    way_back: str = ""
    read_before: bool = False
    tasks: tuple[TaskRow, ...] = ()
    confirmed: tuple[ConfirmationRow, ...] = ()
    back_lately: int = 0
    back_by_mover: int = 0
    robots: tuple[str, ...] = ()
    measurement: Measurement | None = None

    @property
    def moved_at(self) -> datetime | None:
        """movedTime of the card."""
        return moment((self.raw or {}).get("movedTime"))

    @property
    def mover_id(self) -> int | None:
        """movedBy of the card: read before a way back overwrites it."""
        return number((self.raw or {}).get("movedBy"))


def read(portal: Portal, call: EventCall) -> Changed | Nothing:
    """Reads the card, and where its stage is another one what the gate must see: at most two requests, often none."""
    id = call.field_id
    if id is None:
        return Nothing("в событии нет id / no id in the event")
    return read_changed(portal, ItemRef(_type_of(call), id), call)


def read_changed(portal: Portal, ref: ItemRef, call: EventCall) -> Changed | Nothing:
    """Reads an item of the process; shared with whoever learns that it may have changed."""
    on = card_desk.process_on(portal, ref.entity_type_id)
    if on is None:
        return Nothing("процесс на портале не применён / no process is applied here")
    look = read_card(portal, on, ref, call.event)
    raw = look.raw
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    facts = Changed(
        ref,
        on,
        stage_desk.office(portal, team),
        call.received_at,
        call.looks,
        raw,
        read_before=look.before,
        measurement=measuring.rules_of(portal, ref.entity_type_id),
    )
    if raw is None:
        return facts
    item = card_desk.item_of(ref, raw)
    with portal.memory() as memory:
        known = process_memory.item_row(memory, str(ref))
        tasks = process_memory.tasks_of(memory, str(ref))
    if known is not None and known.stage_id == item.stage_id and not any(task.state == "open" for task in tasks):
        return facts
    asked: dict[str, reads.Read[Any]] = {}
    moved = known is None or known.stage_id != item.stage_id
    if known is None and look.history is None:
        asked["history"] = card_desk.history_read(ref)
    wanted = _evidence_wanted(on, known, item, tasks) if moved else _evidence_awaited(on, tasks)
    since = card_desk.began_at(on, item, known)
    asked |= card_desk.evidence_reads(on, ref, raw, wanted, tasks, since)
    found = portal.read(asked, optional=card_desk.OPTIONAL_EVIDENCE) if asked else Found({})
    answers = {label: found.maybe(label, None) for label in found}
    return replace(facts, found=answers, history=look.history or tuple(found.maybe("history", [])))


def _evidence_wanted(
    on: ProcessOnPortal, known: ItemRow | None, item: Item, tasks: Sequence[TaskRow]
) -> tuple[Evidence, ...]:
    """What the gates of this move ask for, and what the open tasks of the stage that is left ask for."""
    key = on.stage_key(item.stage_id)
    if key is None:
        return ()
    before = on.stage_key(known.stage_id) if known is not None else None
    target = on.process.stage(key)
    entered: tuple[Stage, ...] = ()
    if target is not None and target.semantics != "failure":
        _, entered = stage_gate.stages_of_move(on.process, before, key)
    open_rules = {task.rule for task in tasks if task.state == "open"}
    closing = [
        one
        for _, rule in on.process.task_rules()
        if rule.key in open_rules and rule.on_close is not None
        for one in rule.on_close.needs
    ]
    return tuple({repr(one): one for one in [*stage_gate.evidence_asked(entered), *closing]}.values())


def _evidence_awaited(on: ProcessOnPortal, tasks: Sequence[TaskRow]) -> tuple[Evidence, ...]:
    """What open tasks that make up for something missing wait for."""
    open_ = {task.stage for task in tasks if task.state == "open" and task.rule.startswith(card_desk.MISSING_TASK)}
    return stage_gate.evidence_asked([stage for stage in on.process.stages if stage.key in open_])


@dataclass(frozen=True)
class Look:
    """A card, with the item's stage history where it was read along. `before`: it came with another's request."""

    raw: Mapping[str, Any] | None
    history: tuple[tuple[str, datetime], ...] | None = None
    before: bool = False


def read_card(portal: Portal, on: ProcessOnPortal, ref: ItemRef, code: str) -> Look:
    """Returns the card: one that came with another delivery's request after the last event, or one read now, together
    with those of other waiting items (and the histories of those that we never saw). raw is None: the item is gone.
    """
    prefix = f"{on.kind}:"
    with portal.memory() as memory:
        kept = process_memory.kept_card(memory, str(ref))
        waiting = process_memory.waiting_ids(memory, code, prefix, TOGETHER + 1)
        others = [id for id in waiting if id != ref.id][:TOGETHER]
        strangers = [id for id in (ref.id, *others) if process_memory.item_row(memory, f"{prefix}{id}") is None]
    if isinstance(kept, Mapping):
        return Look(kept["card"], _kept_history(kept.get("history")), before=True)
    if others:
        read_at = portal.now
        asked: dict[str, reads.Read[Any]] = {"cards": card_desk.cards_read(ref.entity_type_id, [ref.id, *others])}
        for id in strangers[:TOGETHER]:
            asked[f"history_{id}"] = card_desk.history_read(ItemRef(ref.entity_type_id, id))
        found = portal.read(asked, optional=frozenset(asked))
        # a portal that does not take `UF_*` in the select of a list: one by one then
        cards: Mapping[int, Mapping[str, Any]] = found.maybe("cards", {})
        with portal.database.write() as connection:
            memory = Memory(portal.database, connection, portal.member_id)
            along = {
                f"{prefix}{id}": {"card": dict(raw), "history": _history_json(found.maybe(f"history_{id}", None))}
                for id, raw in cards.items()
                if id != ref.id
            }
            process_memory.keep_cards(memory, along, read_at)
        if ref.id in cards:
            history = found.maybe(f"history_{ref.id}", None)
            return Look(cards[ref.id], None if history is None else tuple(history))
    try:
        return Look(portal.read({"card": card_desk.card_read(ref)})["card"])
    except NotFound:
        return Look(None)


def _history_json(history: Sequence[tuple[str, datetime]] | None) -> list[tuple[str, str]] | None:
    return None if history is None else [(stage, at.isoformat()) for stage, at in history]


def _kept_history(kept: Any) -> tuple[tuple[str, datetime], ...] | None:
    if kept is None:
        return None
    return tuple((stage, at) for stage, told in kept if (at := moment(told)) is not None)


def recall(memory: Memory, facts: Changed) -> Changed:
    """Adds what our own database knows at the moment of deciding."""
    entity = str(facts.ref)
    if visit_words.asks_for_a_look(memory, facts.measurement, facts.on, facts.ref, facts.raw):
        visits.look(memory, entity)
    process_memory.drop_card(memory, entity)
    process_memory.number_tasks(memory)
    known = process_memory.item_row(memory, entity)
    since = memory.now - HOUR
    if facts.raw is not None:
        since = card_desk.began_at(facts.on, card_desk.item_of(facts.ref, facts.raw), known)
    mover, last = facts.mover_id, process_memory.last_move(memory, entity)
    state = process_memory.command_state(memory, last.delivery_id, "back")[0] if last is not None else ""
    return replace(
        facts,
        known=known,
        last=last,
        way_back=state,
        tasks=tuple(process_memory.tasks_of(memory, entity)),
        confirmed=tuple(process_memory.confirmations(memory, entity, since=since)),
        back_lately=process_memory.moved_back_since(memory, entity, memory.now - HOUR),
        back_by_mover=process_memory.moved_back_of(memory, mover, memory.now - facts.office.window) if mover else 0,
        robots=tuple(process_memory.robots_run(memory, entity, facts.moved_at)) if facts.moved_at else (),
    )


# deciding


def decide(facts: Changed) -> StageWork | Nothing:
    """Says what becomes of the item's stage, its tasks, and who is told."""
    if facts.raw is None:
        return gone(facts.ref, facts.tasks)
    item = card_desk.item_of(facts.ref, facts.raw)
    card = card_desk.card_of(facts.on, facts.raw)
    since = card_desk.began_at(facts.on, item, facts.known)
    seen = card_desk.seen_of(facts.on, facts.found, facts.tasks, facts.confirmed, since)
    if facts.known is not None and facts.known.stage_id == item.stage_id:
        return _same_stage(facts, item, card, seen)
    before_id = facts.known.stage_id if facts.known is not None else None
    if not _fresh(facts, item, JUST_NOW if facts.known is None else STALE):
        return _taken_as_it_stands(facts, item)
    if facts.known is None:
        before_id = facts.history[1][0] if len(facts.history) > 1 else None
    key, before = facts.on.stage_key(item.stage_id), facts.on.stage_key(before_id) if before_id else None
    if key is None:
        return _entered(facts, item, card, seen, None, before_id, action="pass")
    if _own_move_arrived(facts, key):
        return _entered(facts, item, card, seen, key, before_id, action="pass", own=True)
    if _judged_already(facts, key):
        return Nothing("этот перевод уже рассмотрен / this move was judged already")
    ruling = stage_gate.judge_move(
        facts.on.process,
        before,
        key,
        card,
        seen,
        at=facts.office.now,
        moved_back_lately=facts.back_lately,
        decline_reason=card_desk.decline_reason(facts.on, facts.raw),
    )
    if ruling.action == "return":
        return _returned(facts, item, key, before_id, ruling)
    if ruling.action == "ask":
        return _asked(facts, item, key, before_id, ruling.missing, ruling.reason)
    return _entered(facts, item, card, seen, key, before_id, action=ruling.action, missing=ruling.missing)


def gone(ref: ItemRef, tasks: Sequence[TaskRow]) -> StageWork | Nothing:
    """Returns what is done when the item is no more: its tasks close themselves."""
    open_ = [task for task in tasks if task.state == "open" and task.task_id > 0]
    if not open_:
        return Nothing("карточки уже нет / the item is gone")
    done = tuple(stage_desk.DoneTask(task.task_id, "obsolete", "") for task in open_)
    return StageWork(ref, "", "pass", "", judged=False, gone=True, done=done)


def _fresh(facts: Changed, item: Item, age: timedelta) -> bool:
    """Whether the item moved lately: what stood there before us, or while we were away for long, is not judged."""
    return (facts.moved_at or item.created_at) >= facts.received_at - age


def _taken_as_it_stands(facts: Changed, item: Item) -> StageWork:
    stands = (item.stage_id, facts.moved_at or item.created_at)
    return StageWork(facts.ref, item.title, "pass", "", judged=False, stands=stands)


def _own_move_arrived(facts: Changed, key: str) -> bool:
    last = facts.last
    return last is not None and last.action == "own" and last.to_stage == key


def _judged_already(facts: Changed, key: str) -> bool:
    """Whether this very move was judged before: its way back is still on its way, was refused, or a person is asked.

    The portal's times are whole seconds. A card that we read after the way back and that stands there again was moved
    again, even within the same second; a way back that a person overtook is to be judged anew.
    """
    last = facts.last
    if last is None or last.to_stage != key or last.moved_at != facts.moved_at:
        return False
    if last.action == "return":
        return facts.way_back in ("written", "sent", "failed") or (facts.way_back == "done" and facts.read_before)
    return last.action == "ask"


def _same_stage(facts: Changed, item: Item, card: Card, seen: Seen) -> StageWork | Nothing:
    """The stage is where it was: what waits for something in the card may be done now."""
    key = facts.on.stage_key(item.stage_id)
    done = tuple(stage_desk.obsolete_tasks(facts.on, facts.tasks, key, card, seen, facts.office.now))
    if not done:
        return Nothing("стадия прежняя / the stage is the same")
    return StageWork(facts.ref, item.title, "pass", key or item.stage_id, judged=False, done=done)


def _returned(facts: Changed, item: Item, key: str, before_id: str | None, ruling: Ruling) -> StageWork | Nothing:
    """The way back, and who is told: the mover; where nobody or a crowd moved it, the responsible or one word, and
    the head in the morning.
    """
    on, office, mover = facts.on, facts.office, facts.mover_id
    back_id = before_id or on.stage_id(ruling.back_to or on.process.stages[0].key)
    if back_id not in on.stages:
        reason = f"стадии «{back_id}», где он стоял, на портале больше нет"
        return _asked(facts, item, key, before_id, ruling.missing, reason)
    many = mover is not None and facts.back_by_mover + 1 > stage_desk.MANY
    told_id = mover or item.assigned_by_id or office.owner_id
    if many:
        text, tag = stage_desk.told_many(facts.back_by_mover + 1), f"gate:{mover}"
    else:
        text = stage_desk.told_back(on, item, key, back_id, ruling.missing, office, facts.robots)
        tag = f"gate:{facts.ref}"
    form = None
    if mover is not None and not many and office.can_push:
        form = Form(mover, key, tuple(lack.key for lack in ruling.missing))
    return StageWork(
        item=facts.ref,
        title=item.title,
        action="return",
        from_stage=on.stage_key(back_id) or back_id,
        to_stage=key,
        mover_id=mover,
        moved_at=facts.moved_at,
        missing=tuple(card_desk.missing_lines(on, ruling.missing)),
        stands=None if facts.known is not None else (back_id, item.created_at),
        move=Move(
            item.stage_id,
            back_id,
            back=True,
            unchanged_since=item.updated_at if facts.looks < GIVES_UP_GUARD else None,
            tell_if_refused=told_id,
        ),
        notices=(Notice(told_id, text, tag),),
        form=form,
        told=mover is not None and not many,
        retell_since=office.now - office.window if many else None,
        summary_at=office.next_morning() if mover is None or many else None,
        creator_id=office.owner_id,
        looks=facts.looks,
    )


def _asked(
    facts: Changed, item: Item, key: str, before_id: str | None, missing: Sequence[Missing], reason: str
) -> StageWork:
    """Moving it back once more would be a quarrel: the item stays, the head and the mover decide."""
    office = facts.office
    text = stage_desk.told_asked(facts.on, item, key, missing, office, reason)
    people = dict.fromkeys(id for id in (office.head_id, facts.mover_id or item.assigned_by_id) if id)
    return StageWork(
        item=facts.ref,
        title=item.title,
        action="ask",
        from_stage=facts.on.stage_key(before_id) or before_id if before_id else None,
        to_stage=key,
        mover_id=facts.mover_id,
        moved_at=facts.moved_at,
        missing=tuple(card_desk.missing_lines(facts.on, missing)),
        notices=tuple(Notice(id, text, f"gate:{facts.ref}") for id in people),
        told=False,
        summary_at=office.next_morning(),
        creator_id=office.owner_id,
    )


def _entered(
    facts: Changed,
    item: Item,
    card: Card,
    seen: Seen,
    key: str | None,
    before_id: str | None,
    *,
    action: process_memory.Action,
    missing: Sequence[Missing] = (),
    own: bool = False,
) -> StageWork:
    """The item stays where it is now: the stage's tasks are made, the former ones close themselves."""
    on, office, mover = facts.on, facts.office, facts.mover_id
    stage = on.process.stage(key) if key is not None else None
    tasks: list[NewTask] = []
    notices: tuple[Notice, ...] = ()
    if stage is not None and stage.semantics == "process":
        tasks += stage_desk.entry_tasks(on, stage, card, item, facts.tasks, office, None if own else mover)
    if stage is not None and action == "task":
        asked = [row for row in facts.tasks if row.rule == f"{card_desk.MISSING_TASK}{stage.key}"[:40]]
        if not any(row.state == "open" for row in asked):
            count = max((row.round for row in asked), default=0) + 1
            tasks.append(stage_desk.missing_task(on, stage, missing, item, office, mover, round=count))
    told_id = mover or item.assigned_by_id or office.owner_id
    if stage is not None and action in ("task", "warn"):
        text = stage_desk.told_warned(on, item, stage.key, missing, office)
        notices = (Notice(told_id, text, f"gate:{facts.ref}"),)
    contact, remind_at = _declined(facts, item) if stage is not None and stage.semantics == "failure" else (None, None)
    return StageWork(
        item=facts.ref,
        title=item.title,
        action=action,
        from_stage=facts.on.stage_key(before_id) or before_id if before_id else None,
        to_stage=key or item.stage_id,
        mover_id=mover,
        moved_at=facts.moved_at,
        missing=tuple(card_desk.missing_lines(on, missing)),
        stands=(item.stage_id, facts.moved_at or office.now),
        notices=notices + _no_email(facts, item, tasks),
        tasks=stage_desk.placed(tasks),
        done=tuple(stage_desk.obsolete_tasks(on, facts.tasks, key, card, seen, office.now)),
        contact=contact,
        remind_at=remind_at,
        told=action == "pass" or mover is not None,
        summary_at=office.next_morning() if action != "pass" and mover is None else None,
        creator_id=office.owner_id,
    )


def _no_email(facts: Changed, item: Item, tasks: Sequence[NewTask]) -> tuple[Notice, ...]:
    """K16: a message beside the task that asks for a missing field, to whoever has the task."""
    rules = {rule.key: rule for _, rule in facts.on.process.task_rules()}
    return tuple(
        Notice(
            task.responsible_id,
            f"{facts.office.card(facts.ref, item.title)}: {task.title}",
            f"task:{facts.ref}:{task.rule}",
        )
        for task in tasks
        if (rule := rules.get(task.rule)) is not None and rule.closes_when is not None
    )


def _declined(facts: Changed, item: Item) -> tuple[dict[str, Any] | None, datetime | None]:
    """What becomes of a lost client, by the reason's policy: nothing more, a contact, a contact and a reminder."""
    raw = facts.raw or {}
    reason = facts.on.reason(card_desk.decline_reason(facts.on, raw) or "")
    if reason is None or reason.then == "junk" or facts.ref.entity_type_id != LEAD:
        return None, None
    contact = stage_desk.contact_of(item, raw)
    if reason.then == "contact" or reason.remind_after_days is None:
        return contact, None
    return contact, facts.office.now + timedelta(days=reason.remind_after_days)


def _type_of(call: EventCall) -> int:
    return DEAL if call.event.startswith("ONCRMDEAL") else LEAD


def entity(call: EventCall) -> str | None:
    """Returns `lead:42` or `deal:42`: in order with everything else about it."""
    return str(ItemRef(_type_of(call), call.field_id)) if call.field_id is not None else None


# the item is deleted


@dataclass(frozen=True)
class Deleted:
    """An item that was deleted, with our tasks about it."""

    ref: ItemRef
    tasks: tuple[TaskRow, ...] = ()


def read_deleted(portal: Portal, call: EventCall) -> Deleted | Nothing:
    """Asks nothing of the portal: the item is no more."""
    id = call.field_id
    return Deleted(ItemRef(_type_of(call), id)) if id is not None else Nothing("в событии нет id / no id in the event")


def recall_deleted(memory: Memory, facts: Deleted) -> Deleted:
    """Adds our tasks about it; its visit is looked at."""
    if visits.visits_of(memory, str(facts.ref)):
        visits.look(memory, str(facts.ref))
    process_memory.number_tasks(memory)
    return replace(facts, tasks=tuple(process_memory.tasks_of(memory, str(facts.ref))))


def decide_deleted(facts: Deleted) -> StageWork | Nothing:
    """Its tasks close themselves."""
    return gone(facts.ref, facts.tasks)


HANDLER = Handler(
    event="ONCRMLEADUPDATE",
    entity=entity,
    priority=NORMAL,
    decision=StageWork,
    read=read,
    recall=recall,
    decide=decide,
    remember=stage_desk.remember,
    act=stage_desk.act,
)
DEAL_HANDLER = replace(HANDLER, event="ONCRMDEALUPDATE")
_recall_deleted: Callable[[Memory, Any], Any] = recall_deleted
DELETED_HANDLER = replace(
    HANDLER, event="ONCRMLEADDELETE", read=read_deleted, recall=_recall_deleted, decide=decide_deleted
)
DEAL_DELETED_HANDLER = replace(DELETED_HANDLER, event="ONCRMDEALDELETE")
