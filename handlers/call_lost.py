"""A call whose end never came: the statistics say what became of it, or it simply ends for us.

Bitrix24 sends no event twice. Without this, somebody would be «on a call» for ever, and never get a lead again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.engine.declare import LATER, URGENT, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import PhoneCall
from b24app.store.memory import KnownCall, Memory


@dataclass(frozen=True)
class LostCall:
    """A call without its end, and its row of the statistics where there is one."""

    call_id: str
    known: KnownCall | None
    counted: PhoneCall | None = None


def read(portal: Portal, call: TimerCall) -> LostCall | Nothing:
    """Asks the statistics for the call."""
    call_id = str(call.payload.get("call_id") or "")
    with portal.memory() as memory:
        known = memory.call(call_id)
    if known is None or known.ended_at is not None:
        return Nothing("конец звонка пришёл / the end has come")
    rows: list[PhoneCall] = portal.read({"call": reads.call_statistics(CALL_ID=call_id)}).maybe("call", [])
    return LostCall(call_id, known, next(iter(rows), None))


def recall(memory: Memory, facts: LostCall) -> LostCall:
    """Ends the call for us; what the statistics know of it comes in as its END event."""
    if facts.counted is not None:
        memory.deliver(
            kind="event",
            code="ONVOXIMPLANTCALLEND",
            entity=f"call:{facts.call_id}"[:96],
            payload={"event": "ONVOXIMPLANTCALLEND", "data": end_data(facts.counted)},
            priority=URGENT,
        )
    else:
        memory.keep_call(PhoneCall(facts.call_id), ended=True)
    return replace(facts, known=memory.call(facts.call_id))


def end_data(call: PhoneCall) -> dict[str, str]:
    """Returns the data of the END event that this row of the statistics stands for."""
    return {
        "CALL_ID": call.call_id,
        "CALL_TYPE": str(call.call_type or ""),
        "PHONE_NUMBER": call.phone,
        "PORTAL_USER_ID": str(call.user_id or ""),
        "CALL_FAILED_CODE": call.failed_code,
        "CALL_START_DATE": call.started_at.isoformat() if call.started_at else "",
        "CRM_ACTIVITY_ID": str(call.activity_id or ""),
    }


def decide(facts: LostCall) -> Nothing:
    """Nothing is written to the portal here."""
    return Nothing("найден в статистике / found in the statistics" if facts.counted else "закончен без события / ended")


TIMER = TimerDeclaration(code="call_lost", priority=LATER, read=read, recall=recall, decide=decide)
