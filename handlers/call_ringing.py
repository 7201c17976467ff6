"""A call begins: we note its number and kind, and set a timer for an end that may never be told. No request is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number, phone_key
from b24app.engine.declare import URGENT, EventCall, Handler, Nothing
from b24app.entities import PhoneCall
from b24app.store.memory import Memory
from handlers.call_started import entity

OUTGOING = 1
STARTED = "ONVOXIMPLANTCALLSTART"


@dataclass(frozen=True)
class Ringing:
    """A call as its first event tells it."""

    call: PhoneCall
    lost_after: timedelta


def read(portal: Portal, call: EventCall) -> Ringing | Nothing:
    """Takes the call from the event: the client's number is CALLER_ID on incoming calls, PHONE_NUMBER on outgoing."""
    call_id = str(call.data.get("CALL_ID") or "")
    if not call_id:
        return Nothing("в событии нет звонка / no call in the event")
    kind = number(call.data.get("CALL_TYPE"))
    phone = str(call.data.get("PHONE_NUMBER" if kind == OUTGOING else "CALLER_ID") or "")
    intake = portal.playbook.intake
    return Ringing(PhoneCall(call_id, kind, phone_key(phone, intake.country) if phone else ""), intake.call_lost_after)


def recall(memory: Memory, facts: Ringing) -> Ringing:
    """Notes the call and sets the timer. Somebody who answered before we knew the number is looked at again now."""
    call_id = facts.call.call_id
    before = memory.call(call_id)
    memory.keep_call(facts.call)
    if before is not None and before.call.user_id is not None and before.ended_at is None and not before.call.phone:
        memory.deliver(
            kind="event",
            code=STARTED,
            entity=f"call:{call_id}"[:96],
            payload={"event": STARTED, "data": {"CALL_ID": call_id, "USER_ID": str(before.call.user_id)}},
            priority=URGENT,
        )
    memory.set_timer(
        f"call_lost:{call_id}"[:160],
        code="call_lost",
        entity=f"call:{call_id}"[:96],
        due_at=memory.now + facts.lost_after,
        payload={"call_id": call_id},
    )
    return facts


def decide(facts: Ringing) -> Nothing:
    """A ringing call needs nothing yet."""
    return Nothing(f"звонок отмечен: {facts.call.call_id} / noted")


HANDLER = Handler(
    event="ONVOXIMPLANTCALLINIT",
    entity=entity,
    priority=URGENT,
    read=read,
    recall=recall,
    decide=decide,
)
