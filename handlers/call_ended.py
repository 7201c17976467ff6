"""A call ended: a missed one gets a free manager and a task, an answered one is confirmed (K1-K3, K5, 1C-7).

Missed = a client called us and the call failed with 304; never an outgoing or internal call. The lead is found by the
statistics row of the call or by its activity. A known client's record keeps its responsible; for an unknown number
without a lead we make one, known again by the call's id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from b24app import distribution as desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.translate import moment, number, phone_key
from b24app.engine.declare import URGENT, EventCall, Handler, Nothing
from b24app.entities import COMPANY, CONTACT, DEAL, LEAD, Item, ItemRef, PhoneCall
from b24app.errors import Temporary
from b24app.rules.intake import Treatment, made_by
from b24app.store.memory import AssignmentRow, KnownCall, Memory
from handlers import missed_call_sms
from handlers.call_started import entity, on_foreign_record

LEAD_MAY_COME = timedelta(seconds=15)
"""Lines may make the lead a little after the call; before that we make none of our own."""
TYPES = {"LEAD": LEAD, "CONTACT": CONTACT, "COMPANY": COMPANY}


@dataclass(frozen=True)
class Ended:
    """A call that ended, with the record it belongs to."""

    call: PhoneCall
    began_at: datetime
    item: Item | None = None
    situation: desk.Situation | None = None
    lead_may_come: bool = False
    done: AssignmentRow | None = None
    earlier: AssignmentRow | None = None
    looks: int = 0
    gone: bool = False  # the call has a record, and somebody deleted it
    told_by_sms: bool = False  # the playbook wants the head or others told (CB-11)

    @property
    def fresh(self) -> bool:
        """The item was made by this call."""
        return (
            self.item is not None and self.item.ref.entity_type_id in (LEAD, DEAL) and made_by(self.item, self.began_at)
        )

    @property
    def key(self) -> str:
        """The reason: a new item is treated once whoever hears of it first, an older record once a call."""
        if self.item is not None and self.fresh:
            return desk.intake_key(self.item.ref)
        return f"call:{self.call.call_id}"


def call_of(call: EventCall, country: str) -> PhoneCall:
    """Returns the call as its last event tells it."""
    phone = str(call.data.get("PHONE_NUMBER") or "")
    return PhoneCall(
        call_id=str(call.data.get("CALL_ID") or ""),
        call_type=number(call.data.get("CALL_TYPE")),
        phone=phone_key(phone, country) if phone else "",
        user_id=number(call.data.get("PORTAL_USER_ID")),
        failed_code=str(call.data.get("CALL_FAILED_CODE") or ""),
        started_at=moment(call.data.get("CALL_START_DATE")),
        activity_id=number(call.data.get("CRM_ACTIVITY_ID")),
    )


def read(portal: Portal, call: EventCall) -> Ended | Nothing:
    """Reads whose call it was and who is free: one batch; one more where only activity or number leads there."""
    ended = call_of(call, portal.playbook.intake.country)
    if not ended.call_id:
        return Nothing("в событии нет звонка / no call in the event")
    with portal.memory() as memory:
        known = memory.call(ended.call_id)
        treated = memory.assignment_by_call(ended.call_id)
    began_at = _began(ended, known, call)
    answered = ended.failed_code == "200"
    told_by_sms = ended.missed and portal.playbook.intake.missed_call_sms is not None
    if not ended.incoming or not (ended.missed or answered):
        return Ended(ended, began_at)
    if treated is not None and (ended.missed or treated.manager_id == ended.user_id):
        return Ended(ended, began_at, done=treated, told_by_sms=told_by_sms)
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    policy = portal.playbook.assignment.policy()
    now = portal.now
    owner = reads.result_of("statistics", 0, "CRM_ENTITY_ID")
    asked: dict[str, reads.Read[Any]] = {
        "statistics": reads.call_statistics(CALL_ID=ended.call_id),
        **{name: reads.item(kind, owner) for name, kind in TYPES.items()},
        **{f"phone_{name}": reads.by_phone(ended.phone, name) for name in TYPES if ended.phone},
        **desk.availability(portal, team, policy, now),
    }
    found = portal.read(asked, optional=desk.optional_reads(team))
    ref, item = _item_of_call(portal, found, ended)
    if portal.simple_mode and item is not None and item.ref.entity_type_id in (CONTACT, COMPANY):
        item = _deal_of_call(portal, item, began_at) or item
    situation = desk.situation(portal, team, policy, found, now)
    facts = Ended(
        ended,
        began_at,
        told_by_sms=told_by_sms,
        item=item,
        situation=situation,
        lead_may_come=now - call.received_at < LEAD_MAY_COME,
        looks=call.looks,
        gone=ref is not None and item is None,
    )
    if item is not None and ended.missed and not facts.fresh:
        return replace(facts, situation=desk.with_guest(portal, situation, item.assigned_by_id))
    return facts


def _began(ended: PhoneCall, known: KnownCall | None, call: EventCall) -> datetime:
    moments = [known.seen_at if known else None, ended.started_at]
    return min((m for m in moments if m is not None), default=call.received_at)


def _deal_of_call(portal: Portal, client: Item, began_at: datetime) -> Item | None:
    """Returns the deal that this very call made for the client (simple mode), or None."""
    kind, id = client.ref.entity_type_id, client.ref.id
    deals: list[Item] = portal.read({"deals": reads.open_deals(kind, id)}).maybe("deals", [])
    return next((deal for deal in deals if made_by(deal, began_at)), None)


def _item_of_call(portal: Portal, found: Found, ended: PhoneCall) -> tuple[ItemRef | None, Item | None]:
    """Returns the record that the call names and what stands there: by statistics, activity, else by the number."""
    statistics: list[PhoneCall] = found.maybe("statistics", [])
    ref = next((row.item for row in statistics if row.item is not None), None)
    if ref is not None and ref.entity_type_id in TYPES.values():
        name = next(name for name, kind in TYPES.items() if kind == ref.entity_type_id)
        item: Item | None = found.maybe(name, None)
        if item is not None and item.ref == ref:
            return ref, item
    if ref is None and ended.activity_id is not None:
        ref = portal.read({"owner": reads.activity_owner(ended.activity_id)}).maybe("owner", None)
    if ref is not None:
        return ref, desk.item_or_none(portal.read({"item": reads.item(ref.entity_type_id, ref.id)}), "item")
    hits = {kind: found.maybe(f"phone_{name}", ()) for name, kind in TYPES.items()}
    if not any(hits.values()):
        return None, None
    by_type = portal.read({str(kind): reads.items(kind, sorted(ids)[-20:]) for kind, ids in hits.items() if ids})
    candidates = [item for kind in TYPES.values() for item in by_type.maybe(str(kind), []) if item.open]
    return None, next(iter(candidates), None)


def recall(memory: Memory, facts: Ended) -> Ended:
    """Notes the end, and sees what was done about this call or this client already."""
    memory.keep_call(facts.call, ended=True)
    memory.drop_timer(f"call_lost:{facts.call.call_id}"[:160])
    if facts.told_by_sms:
        missed_call_sms.order(memory, facts.call.call_id, facts.call.phone, facts.began_at)
    recent = memory.now - desk.SAME_ENQUIRY
    if facts.item is not None:
        earlier = memory.assignment_of(str(facts.item.ref), since=recent)
        if earlier is None and facts.item.origin_id:
            earlier = memory.assignment(facts.item.origin_id)  # the lead that we made, before anything told its id
    else:
        earlier = memory.assignment_by_phone(facts.call.phone, since=recent) if facts.call.phone else None
    return replace(
        facts,
        situation=facts.situation.recalled(memory) if facts.situation else None,
        done=facts.done or memory.assignment(facts.key),
        earlier=earlier,
    )


def decide(facts: Ended) -> Treatment | Nothing:
    """Says who calls back, or whom the answered call belongs to."""
    call, item = facts.call, facts.item
    if not call.incoming:
        return Nothing("не входящий звонок / not a client's call to us")
    if facts.situation is None:
        done = facts.done.key if facts.done else f"код {call.failed_code}"
        return Nothing(f"делать нечего: {done} / nothing to do")
    if not call.missed:
        return _answered(facts, facts.situation)
    if facts.done is not None and facts.done.manager_id is not None:
        return Nothing(f"уже распределён: {facts.done.key} / already assigned")
    if item is None:
        if (nothing := _makes_none(facts, facts.situation)) is not None:
            return nothing
        key = f"call:{call.call_id}"
        return desk.new_item(facts.situation, "missed", key=key, phone=call.phone, call_id=call.call_id)
    first = facts.earlier if facts.earlier is not None and facts.earlier.manager_id is not None else None
    if facts.fresh and first is None:
        treatment = desk.distribute(
            facts.situation,
            item,
            "missed",
            key=facts.key,
            looks=facts.looks,
            phone=call.phone,
            call_id=call.call_id,
        )
        return desk.told_once(treatment, facts.done)
    if facts.fresh and first is not None and first.call_id in (None, call.call_id):
        return Nothing(f"уже распределён: {first.key} / already assigned")
    # An answered call left no task behind: being missed after it is a new reason.
    earlier = facts.earlier if facts.earlier is not None and facts.earlier.cause != "answered" else None
    key = f"call:{call.call_id}"  # a record that was there before, or the lead of this client's call a moment ago
    return desk.known_client(facts.situation, item, key=key, phone=call.phone, call_id=call.call_id, earlier=earlier)


def _makes_none(facts: Ended, situation: desk.Situation) -> Nothing | None:
    """Says why we make no lead for this call: none is needed, or it may still come (Temporary)."""
    if facts.gone:
        return Nothing("запись звонка удалена человеком / the call's record was deleted by a person")
    if not facts.call.phone:
        return Nothing("номер скрыт, лида нет / no number, no lead")
    earlier = facts.earlier
    if earlier is not None and earlier.entity.startswith("call:") and earlier.call_id != facts.call.call_id:
        return Nothing(f"лид этого номера уже создаётся: {earlier.key} / a lead of this number is being made")
    if facts.lead_may_come:
        raise _not_yet(situation)
    return None


def _answered(facts: Ended, situation: desk.Situation) -> Treatment | Nothing:
    call, item = facts.call, facts.item
    if call.user_id is None:
        return Nothing("кто ответил, неизвестно / nobody knows who answered")
    rule = {"ru": "ответил на звонок", "en": "answered the call"}
    if item is None:
        if (nothing := _makes_none(facts, situation)) is not None:
            return nothing
        key = f"call:{call.call_id}"
        return desk.new_item(
            situation, "answered", key=key, phone=call.phone, call_id=call.call_id, answered_by=call.user_id
        )
    if facts.fresh and not facts.looks:
        if facts.done is not None and facts.done.manager_id == call.user_id:
            return Nothing("уже его / already his")
        return desk.give_to(
            situation, item, call.user_id, key=facts.key, rule=rule, phone=call.phone, call_id=call.call_id
        )
    return on_foreign_record(situation, item, call.user_id, call, rule)


def _not_yet(situation: desk.Situation) -> Temporary:
    return Temporary(
        "лид от звонка ещё может появиться / the lead may still come", retry_at=situation.now + LEAD_MAY_COME
    )


HANDLER = Handler(
    event="ONVOXIMPLANTCALLEND",
    entity=entity,
    priority=URGENT,
    decision=Treatment,
    read=read,
    recall=recall,
    decide=decide,
    remember=desk.remember,
    act=desk.act,
)
