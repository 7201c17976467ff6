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
    """Reads the item and who is free now."""
    found = lead_created.read_new_item(portal, ItemRef.parse(call.entity), looks=call.looks)
    return found if isinstance(found, Nothing) else Waiting(found)


def recall(memory: Memory, facts: Waiting) -> Waiting:
    """Sees whether it still waits."""
    waiting = memory.assignment_of(str(facts.new.item.ref))
    return Waiting(lead_created.recall(memory, facts.new), waiting)


def decide(facts: Waiting) -> Treatment | Nothing:
    """Says who gets it now; an import that a person lets us distribute is not asked about again."""
    new, waiting = replace(facts.new, created_together=0), facts.waiting
    if waiting is not None and waiting.manager_id is not None:
        return Nothing(f"уже распределён: {waiting.key} / already assigned")
    if waiting is not None and new.item.ref.entity_type_id in (CONTACT, COMPANY):
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
