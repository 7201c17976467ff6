"""A new lead gets its manager (K1-K3, K5, K7, 1C-8, CB-17, CB-18).

Whoever made it: telephony after a missed call, a web form, a letter, a person by hand with only a phone number. A lead
of a call that somebody answered goes to whoever answered; one of a call that still rings waits for the call's end. In
simple CRM mode every enquiry is a deal at once, and the same is done with deals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from b24app import distribution as desk
from b24app import measuring
from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import phone_key
from b24app.engine.declare import NORMAL, EventCall, Handler, Nothing
from b24app.entities import CONTACT, DEAL, LEAD, Item, ItemRef, PhoneCall
from b24app.rules.intake import Treatment, cause_of, made_by, newest_call
from b24app.store import process_memory, visits
from b24app.store.memory import AssignmentRow, KnownCall, Memory


@dataclass(frozen=True)
class NewItem:
    """A new lead or deal with everything that tells what kind of enquiry it is."""

    item: Item
    situation: desk.Situation
    statistics: tuple[PhoneCall, ...]
    created_together: int
    looks: int
    phone: str
    done: AssignmentRow | None = None
    same_client: AssignmentRow | None = None
    calls: tuple[KnownCall, ...] = ()
    import_asked: bool = False

    @property
    def key(self) -> str:
        """The reason under which this item is treated once."""
        return desk.intake_key(self.item.ref)

    @property
    def import_key(self) -> str:
        """The reason under which the head is asked once about this import."""
        return f"import:{self.item.created_by_id}:{self.item.created_at:%Y%m%d%H}"


def read(portal: Portal, call: EventCall) -> NewItem | Nothing:
    """Reads the item, its calls, who made it and who is free: one batch."""
    entity_type_id = DEAL if call.event.startswith("ONCRMDEAL") else LEAD
    if entity_type_id == DEAL and not portal.simple_mode:
        return Nothing("сделки распределяются только в режиме CRM без лидов / deals only in simple mode")
    id = call.field_id
    if id is None:
        return Nothing("в событии нет id / no id in the event")
    return read_new_item(portal, ItemRef(entity_type_id, id), looks=call.looks)


def read_new_item(portal: Portal, ref: ItemRef, *, looks: int = 0) -> NewItem | Nothing:
    """Reads a new item by its id; shared with the queue."""
    with portal.memory() as memory:
        done = memory.assignment_of(str(ref))
    if done is not None and done.manager_id is not None:
        return Nothing(f"уже распределён: {done.key} / already assigned")
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    policy = portal.playbook.assignment.policy()
    now = portal.now
    entity_type_id = ref.entity_type_id
    asked: dict[str, reads.Read[object]] = {
        "item": reads.item(entity_type_id, ref.id),
        "calls": reads.call_statistics(
            CRM_ENTITY_TYPE="LEAD" if entity_type_id == LEAD else "DEAL", CRM_ENTITY_ID=ref.id
        ),
        "creator": reads.users([reads.result_of("item", "item", "createdBy")]),
        "together": reads.count_created(
            entity_type_id, reads.result_of("item", "item", "createdBy"), now - portal.playbook.intake.import_window
        ),
    }
    if entity_type_id == DEAL:  # a deal's numbers and letters are its client's
        asked["client"] = reads.item(CONTACT, reads.result_of("item", "item", "contactId"))
    asked |= desk.availability(portal, team, policy, now)
    found = portal.read(asked, optional=desk.optional_reads(team) | {"calls", "together", "creator"})
    item = desk.item_or_none(found, "item")
    if item is None:
        return Nothing("лида уже нет / the lead is gone")
    client: Item | None = found.maybe("client", None)
    if client is not None:
        item = replace(item, phones=item.phones or client.phones, emails=item.emails or client.emails)
    phone = next(iter(item.phones), "")
    situation = desk.situation(portal, team, policy, found, now)
    creator = {user.id: user for user in found.maybe("creator", []) if user.id == item.created_by_id}
    return NewItem(
        item=item,
        situation=replace(situation, users_now={**creator, **situation.users_now}),
        statistics=tuple(found.maybe("calls", [])),
        created_together=found.maybe("together", 0),
        looks=looks,
        phone=phone_key(phone, portal.playbook.intake.country) if phone else "",
    )


def recall(memory: Memory, facts: NewItem) -> NewItem:
    """Adds what our own database knows: an earlier treatment, this client's calls and leads, whose turn it is."""
    kind = facts.item.ref.entity_type_id
    changed = "ONCRMDEALUPDATE" if kind == DEAL else "ONCRMLEADUPDATE"
    process_memory.meet(memory, facts.item, facts.situation.playbook.process(kind), changed)
    if measuring.is_dated(facts.situation.playbook, facts.item):
        visits.look(memory, str(facts.item.ref))
    since = memory.now - facts.situation.playbook.intake.call_lost_after
    recent = memory.now - desk.SAME_ENQUIRY
    ours = memory.assignment(facts.item.origin_id) if facts.item.origin_id else None
    if ours is not None:
        memory.bind(ours.key, str(facts.item.ref))  # the lead that we made for a call
    return replace(
        facts,
        situation=facts.situation.recalled(memory),
        done=memory.assignment_of(str(facts.item.ref)),
        same_client=memory.assignment_by_phone(facts.phone, since=recent) if facts.phone else None,
        calls=tuple(memory.calls_of(facts.phone, since=since)) if facts.phone else (),
        import_asked=memory.assignment(facts.import_key) is not None,
    )


def decide(facts: NewItem) -> Treatment | Nothing:
    """Says what kind of enquiry it is, and who gets it; what the call's end said already is not said again."""
    return desk.told_once(_decide(facts), facts.done)


def _decide(facts: NewItem) -> Treatment | Nothing:
    item, intake = facts.item, facts.situation.playbook.intake
    if facts.done is not None and facts.done.manager_id is not None:
        return Nothing(f"уже распределён: {facts.done.key} / already assigned")
    if not item.open:
        return Nothing("лид уже закрыт / the lead is closed")
    if item.source_id in intake.skip_sources or item.created_by_id in intake.skip_creators:
        return Nothing("по правилу не распределяется / left alone by the rule")
    counted = newest_call(facts.statistics)
    if counted is not None:
        return _of_call(facts, counted, ended=True)
    # An outgoing call counts only where the lead came up during it.
    incoming = (known for known in facts.calls if known.call.incoming or known.call.call_type is None)
    live = next(incoming, None) or next((known for known in facts.calls if made_by(item, known.seen_at)), None)
    if live is not None:
        return _of_call(facts, live.call, ended=live.ended_at is not None)
    cause = cause_of(item, intake.written_sources)
    if cause == "created" and not intake.distribute_by_hand:
        return Nothing("созданные вручную не распределяются / leads made by hand are left alone")
    if item.webform_id is None and item.source_id != "EMAIL" and facts.created_together >= intake.import_from:
        return desk.imported(
            facts.situation,
            item,
            key=facts.key,
            question_key=None if facts.import_asked else facts.import_key,
            count=facts.created_together,
        )
    return desk.distribute(
        facts.situation,
        item,
        cause,
        key=facts.key,
        looks=facts.looks,
        phone=facts.phone,
        earlier=_other(facts),
    )


def _of_call(facts: NewItem, call: PhoneCall, *, ended: bool) -> Treatment | Nothing:
    if call.call_type is not None and not call.incoming:
        return Nothing("исходящий звонок: лид остаётся у звонившего / an outgoing call stays with its caller")
    answered = call.user_id is not None and (call.failed_code == "200" or (not ended and call.started_at is not None))
    if answered and call.user_id is not None:
        rule = {"ru": "ответил на звонок", "en": "answered the call"}
        return desk.give_to(
            facts.situation, facts.item, call.user_id, key=facts.key, rule=rule, phone=facts.phone, call_id=call.call_id
        )
    if not ended:
        return Nothing("звонок ещё идёт: решит его конец / the call goes on, its end decides")
    return desk.distribute(
        facts.situation,
        facts.item,
        "missed",
        key=facts.key,
        looks=facts.looks,
        phone=facts.phone or phone_key(call.phone, facts.situation.playbook.intake.country),
        call_id=call.call_id,
        earlier=_other(facts),
    )


def _other(facts: NewItem) -> AssignmentRow | None:
    """The treatment of the same client's other lead, where there is one."""
    earlier = facts.same_client
    if earlier is not None and earlier.cause == "answered":
        return None  # an answered call left no task behind
    return earlier if earlier is not None and earlier.entity != str(facts.item.ref) else None


def entity(call: EventCall) -> str | None:
    """Returns `lead:42` or `deal:42`."""
    if call.field_id is None:
        return None
    return str(ItemRef(DEAL if call.event.startswith("ONCRMDEAL") else LEAD, call.field_id))


HANDLER = Handler(
    event="ONCRMLEADADD",
    entity=entity,
    priority=NORMAL,
    decision=Treatment,
    read=read,
    recall=recall,
    decide=decide,
    remember=desk.remember,
    act=desk.act,
)
DEAL_HANDLER = replace(HANDLER, event="ONCRMDEALADD")
