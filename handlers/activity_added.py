"""A letter that may be the offer (K14, K17, K20): whoever has the task learns that it can be closed now.

A new activity is looked at only where items of ours wait for an offer; every other one costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from b24app import distribution as desk
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Portal
from b24app.bitrix.reads import Read
from b24app.bitrix.translate import activity_owner, number, rows
from b24app.engine.declare import LATER, EventCall, Handler, Nothing
from b24app.entities import DEAL, LEAD, ItemRef
from b24app.errors import NotFound
from b24app.playbook import TaskRule
from b24app.process import Standing
from b24app.rules.intake import Notice, plain
from b24app.stage_work import Office, StageWork
from b24app.store import process_memory
from b24app.store.memory import Memory
from b24app.store.process_memory import TaskRow

EMAIL, OUTGOING = "4", "2"


@dataclass(frozen=True)
class OfferLetter:
    """A letter with a file from an item's card, and the item as it stands."""

    standing: Standing
    office: Office
    responsible_id: int
    tasks: tuple[TaskRow, ...] = ()


def read(portal: Portal, call: EventCall) -> OfferLetter | Nothing:
    """Reads the activity, and where it is a letter with files the item's evidence: one to three requests, or none."""
    id = call.field_id
    if id is None:
        return Nothing("в событии нет id / no id in the event")
    with portal.memory() as memory:
        waiting = process_memory.open_task_entities(memory)
    if not waiting:
        return Nothing("КП никто не ждёт / nobody waits for an offer")
    found = portal.read({"letter": letter_read(id)})["letter"]
    if found is None:
        return Nothing("не письмо с вложением, или его уже нет / not a letter with a file, or it is gone")
    owner, responsible_id = found
    if owner.entity_type_id not in (LEAD, DEAL) or str(owner) not in waiting:
        return Nothing("эта карточка КП не ждёт / this item waits for none")
    try:
        standing = card_desk.standing(portal, owner)
    except NotFound:
        return Nothing("карточки уже нет / the item is gone")
    if standing is None:
        return Nothing("процесс на портале не применён / no process is applied here")
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    return OfferLetter(standing, stage_desk.office(portal, team), responsible_id or standing.item.assigned_by_id)


def letter_read(activity_id: int) -> Read[tuple[ItemRef, int | None] | None]:
    """(item, responsible) of an outgoing letter with files; None for every other activity, and for one that is gone.

    Asked of the list, which names FILES where they are selected: of crm.activity.get the documentation leaves it open.
    """
    selected = ["ID", "TYPE_ID", "DIRECTION", "OWNER_ID", "OWNER_TYPE_ID", "RESPONSIBLE_ID", "FILES"]

    def parse(answer: Answer) -> tuple[ItemRef, int | None] | None:
        row = next(iter(rows(answer.result)), {})
        letter = str(row.get("TYPE_ID")) == EMAIL and str(row.get("DIRECTION")) == OUTGOING
        owner = activity_owner(row)
        if not letter or owner is None or not rows(row.get("FILES")):
            return None
        return owner, number(row.get("RESPONSIBLE_ID"))

    return Read(Call("crm.activity.list", {"filter": {"ID": activity_id}, "select": selected}), parse)


def recall(memory: Memory, facts: OfferLetter) -> OfferLetter:
    """Adds our tasks about the item."""
    process_memory.number_tasks(memory)
    return replace(facts, tasks=tuple(process_memory.tasks_of(memory, str(facts.standing.item.ref))))


def decide(facts: OfferLetter) -> StageWork | Nothing:
    """Tells whoever has the task that nothing stands in its way, or what still does."""
    now = facts.standing
    rules = {rule.key: rule for _, rule in now.on.process.task_rules()}
    waiting = [
        (row, rule)
        for row in facts.tasks
        if row.state == "open" and (rule := rules.get(row.rule)) is not None and _waits_for_offer(rule)
    ]
    if not waiting or not now.seen.offers:
        return Nothing("КП здесь не ждут / no offer is waited for")
    row, rule = waiting[0]
    version = len(now.seen.offers)
    words = card_desk.missing_words(now.on, now.missing)
    rest = f"Осталось: {words}." if now.missing else "Закройте задачу, и карточка перейдёт дальше."
    text = (
        f"{facts.office.card(now.item.ref, now.item.title)}: КП отправлено (версия {version}), "
        f"задача «{plain(rule.title)}». {rest}"
    )
    return StageWork(
        item=now.item.ref,
        title=now.item.title,
        action="pass",
        to_stage=row.stage,
        judged=False,
        notices=(Notice(facts.responsible_id, text, f"offer:{now.item.ref}"),),
    )


def _waits_for_offer(rule: TaskRule) -> bool:
    return rule.on_close is not None and any(one.kind == "offer_sent" for one in rule.on_close.needs)


def entity(call: EventCall) -> str | None:
    """Returns `activity:5`."""
    return f"activity:{call.field_id}" if call.field_id is not None else None


HANDLER = Handler(
    event="ONCRMACTIVITYADD",
    entity=entity,
    priority=LATER,
    decision=StageWork,
    read=read,
    recall=recall,
    decide=decide,
    remember=stage_desk.remember,
    act=stage_desk.act,
)
