"""Did the portal take our own move? A refusal (a field required by the portal itself, no rights) is told in words.

Nothing is asked of the portal: the journal knows what it answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from b24app import distribution as desk
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number
from b24app.engine.declare import LATER, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import ItemRef
from b24app.rules.intake import Notice, plain
from b24app.stage_work import Office, StageWork
from b24app.store import process_memory
from b24app.store.memory import Memory


@dataclass(frozen=True)
class OwnMove:
    """A move of ours, and what the journal says of it."""

    ref: ItemRef
    to: str
    title: str
    user_id: int
    delivery_id: int
    label: str
    office: Office
    state: str = ""
    reason: str = ""


def read(portal: Portal, call: TimerCall) -> OwnMove | Nothing:
    """Looks into our memory; only a refusal costs the name of its stage, which is a snapshot."""
    delivery_id, user_id = number(call.payload.get("delivery")), number(call.payload.get("user"))
    label = str(call.payload.get("label") or "")
    if delivery_id is None or user_id is None:
        return Nothing("не указано, о каком переводе речь / no move is named")
    with portal.memory() as memory:
        state, reason = process_memory.command_state(memory, delivery_id, label)
    if state in ("done", "skipped", ""):
        return Nothing("перевод сделан или не понадобился / the move was made or not needed")
    ref = ItemRef.parse(call.entity)
    on = card_desk.process_on(portal, ref.entity_type_id)
    to = str(call.payload.get("to") or "")
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    return OwnMove(
        ref,
        on.stage_name(on.stage_key(to) or to) if on else to,
        str(call.payload.get("title") or ""),
        user_id,
        delivery_id,
        label,
        stage_desk.office(portal, team),
        state,
        reason,
    )


def recall(memory: Memory, facts: OwnMove) -> OwnMove:
    """Looks again; a move that is still on its way is looked at later."""
    state, reason = process_memory.command_state(memory, facts.delivery_id, facts.label)
    if state in ("written", "sent"):
        payload = {
            "delivery": facts.delivery_id,
            "label": facts.label,
            "user": facts.user_id,
            "to": facts.to,
            "title": facts.title,
        }
        memory.set_timer(
            f"{stage_desk.CHECK_MOVE}:{facts.ref}",
            code=stage_desk.CHECK_MOVE,
            entity=str(facts.ref),
            due_at=memory.now + 3 * stage_desk.CHECK_AFTER,
            payload=payload,
        )
    return replace(facts, state=state, reason=reason)


def decide(facts: OwnMove) -> StageWork | Nothing:
    """Tells whoever waits for the move what the portal said."""
    if facts.state != "failed":
        return Nothing("перевод ещё идёт / the move is still on its way")
    card = facts.office.card(facts.ref, facts.title)
    text = (
        f"Портал не принял перевод {card} на стадию «{plain(facts.to)}»: {plain(facts.reason)}. "
        "Заполните то, что он требует, и переведите сами."
    )
    people = dict.fromkeys([facts.user_id, *([facts.office.head_id] if facts.label == "back" else [])])
    return StageWork(
        facts.ref,
        facts.title,
        "pass",
        "",
        judged=False,
        notices=tuple(Notice(id, text, f"refused:{facts.ref}") for id in people),
    )


TIMER = TimerDeclaration(
    code=stage_desk.CHECK_MOVE,
    priority=LATER,
    decision=StageWork,
    read=read,
    recall=recall,
    decide=decide,
    remember=stage_desk.remember,
    act=stage_desk.act,
)
