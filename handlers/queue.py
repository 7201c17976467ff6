"""An item that nobody was free for is tried again: at the opening, a few minutes later, or when a person says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from b24app import distribution as desk
from b24app.bitrix.portal import Portal
from b24app.engine.declare import NORMAL, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import COMPANY, CONTACT, ItemRef
from b24app.rules.intake import Treatment
from b24app.store.memory import AssignmentRow, Memory
from handlers import lead_created


@dataclass(frozen=True)
class Waiting:
    """An item of the queue, read again."""

    new: lead_created.NewItem
    waiting: AssignmentRow | None = None


def read(portal: Portal, call: TimerCall) -> Waiting | Nothing:
    """Reads the item and who is free now; a responsible who changed while it waited was set by a person."""
    found = lead_created.read_new_item(portal, ItemRef.parse(call.entity), looks=call.looks)
    if isinstance(found, Nothing):
        return found
    before = call.payload.get("responsible")
    if before is not None and found.item.assigned_by_id != before:
        found = replace(found, looks=found.looks + 1)
    return Waiting(found)


def recall(memory: Memory, facts: Waiting) -> Waiting:
    """Sees whether it still waits."""
    waiting = memory.assignment_of(str(facts.new.item.ref))
    return Waiting(lead_created.recall(memory, facts.new), waiting)


def decide(facts: Waiting) -> Treatment | Nothing:
    """Says who gets it now; an import that a person lets us distribute is not asked about again.

    Where still nobody is free it goes on waiting, and nobody is told the same once more.
    """
    decision = _again(facts)
    if isinstance(decision, Treatment) and decision.manager_id is None:
        return replace(decision, show_card=False, notices=())
    return decision


def _again(facts: Waiting) -> Treatment | Nothing:
    new, waiting = replace(facts.new, created_together=0), facts.waiting
    if waiting is not None and waiting.manager_id is not None:
        return Nothing(f"уже распределён: {waiting.key} / already assigned")
    known = waiting is not None and waiting.key.startswith("call:") and waiting.key != new.item.origin_id
    if waiting is not None and (known or new.item.ref.entity_type_id in (CONTACT, COMPANY)):
        return desk.known_client(
            new.situation,
            new.item,
            key=waiting.key,
            phone=waiting.phone or new.phone,
            call_id=waiting.call_id or "",
            earlier=None,
        )
    decision = lead_created.decide(new)
    if isinstance(decision, Treatment) and waiting is not None:
        return replace(decision, key=waiting.key)
    return decision


TIMER = TimerDeclaration(
    code="queue",
    priority=NORMAL,
    decision=Treatment,
    read=read,
    recall=recall,
    decide=decide,
    remember=desk.remember,
    act=desk.act,
)
