"""A client who said «later» is remembered: when the days of his reason of decline have passed, somebody calls him."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from b24app import distribution as desk
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix.portal import Portal
from b24app.engine.declare import LATER, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import Item, ItemRef
from b24app.errors import NotFound
from b24app.rules.intake import plain
from b24app.stage_work import NewTask, Office, StageWork

DAY_MINUTES = 480


@dataclass(frozen=True)
class Declined:
    """A declined item whose time has come."""

    item: Item
    reason: str
    office: Office


def read(portal: Portal, call: TimerCall) -> Declined | Nothing:
    """Reads whether the item still is declined."""
    ref = ItemRef.parse(call.entity)
    on = card_desk.process_on(portal, ref.entity_type_id)
    if on is None:
        return Nothing("процесс на портале не применён / no process is applied here")
    try:
        raw: Any = portal.read({"card": card_desk.card_read(ref)})["card"]
    except NotFound:
        raw = None
    if raw is None:
        return Nothing("карточки уже нет / the item is gone")
    item = card_desk.item_of(ref, raw)
    reason = on.reason(card_desk.decline_reason(on, raw) or "")
    if item.stage_semantics != "F" or reason is None:
        return Nothing("клиента уже взяли в работу / the client was taken up again")
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    return Declined(item, reason.name.ru, stage_desk.office(portal, team))


def decide(facts: Declined) -> StageWork:
    """Makes the task to call him."""
    item, office = facts.item, facts.office
    task = NewTask(
        place=0,
        rule="",
        stage="",
        round=1,
        title=f"Напомнить о себе клиенту: {plain(item.title)}",
        description=f"{office.card(item.ref, item.title)}\nПричина отказа: {plain(facts.reason)}",
        responsible_id=item.assigned_by_id or office.head_id,
        deadline=office.deadline(DAY_MINUTES),
    )
    return StageWork(item.ref, item.title, "pass", "", judged=False, tasks=(task,), creator_id=office.owner_id)


TIMER = TimerDeclaration(
    code=stage_desk.REMIND,
    priority=LATER,
    decision=StageWork,
    read=read,
    decide=decide,
    remember=stage_desk.remember,
    act=stage_desk.act,
)
