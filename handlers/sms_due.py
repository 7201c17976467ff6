"""The morning of a message that waited through quiet hours: it goes, unless what it belongs to is over meanwhile."""

from __future__ import annotations

from b24app import distribution as desk
from b24app import texting
from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.engine.declare import Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import ItemRef
from b24app.texting import Texting


def read(portal: Portal, call: TimerCall) -> Texting | Nothing:
    """Reads whether the item still is what the message was ordered for."""
    ref = ItemRef.parse(str(call.payload["item"]))
    item = desk.item_or_none(portal.read({"item": reads.item(ref.entity_type_id, ref.id)}), "item")
    if item is None:
        return Nothing("карточки уже нет / the item is gone")
    kept = call.payload.get("call_instead") is True and item.stage_semantics == "S"  # who was won still waits for us
    if not item.open and item.stage_id != call.payload["stage_id"] and not kept:
        return Nothing("карточку за это время закрыли / the item was closed meanwhile")
    return texting.due(portal, call, item)


TIMER = TimerDeclaration(
    code=texting.SMS_DUE,
    decision=Texting,
    read=read,
    decide=lambda facts: facts,
    remember=texting.remember,
    act=texting.act,
)
