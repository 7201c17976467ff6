"""Somebody answers a call: he becomes responsible while he still talks, so that the card is open to him (K5, K6).

A lead of this very call becomes his. On another manager's record he becomes observer or responsible, by policy, with a
note in the timeline. Where no lead is there yet, the call is remembered, and the lead is his as soon as it appears.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from b24app import distribution as desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number
from b24app.engine.declare import URGENT, EventCall, Handler, Nothing
from b24app.entities import COMPANY, CONTACT, DEAL, LEAD, Item, PhoneCall
from b24app.rules.intake import Card, Person, Text, Treatment, made_by
from b24app.store.memory import AssignmentRow, KnownCall, Memory


@dataclass(frozen=True)
class Answered:
    """A call that somebody answers, and the records that carry its number, the newest first."""

    call: PhoneCall
    items: tuple[Item, ...] = ()
    situation: desk.Situation | None = None
    known: KnownCall | None = None
    done: AssignmentRow | None = None
    looks: int = 0

    @property
    def item(self) -> Item | None:
        """The newest record that is still open, leads first."""
        return next((item for item in self.items if item.open), None)


def entity(call: EventCall) -> str | None:
    """Returns `call:<CALL_ID>`: events of one call are worked in order."""
    call_id = str(call.data.get("CALL_ID") or "")
    return f"call:{call_id}"[:96] if call_id else None


def read(portal: Portal, call: EventCall) -> Answered | Nothing:
    """Reads the records with the caller's number; nothing is asked where the call is outgoing or of unknown kind."""
    call_id, user_id = str(call.data.get("CALL_ID") or ""), number(call.data.get("USER_ID"))
    if not call_id or user_id is None:
        return Nothing("в событии нет звонка или сотрудника / no call or user in the event")
    with portal.memory() as memory:
        known = memory.call(call_id)
    before = known.call if known else PhoneCall(call_id)
    talking = replace(before, user_id=user_id, started_at=before.started_at or call.received_at)
    if not before.phone or not before.incoming:
        return Answered(talking, looks=call.looks)
    types = {"LEAD": LEAD, "CONTACT": CONTACT, "COMPANY": COMPANY}
    wanted = ("CONTACT", "COMPANY") if portal.simple_mode else tuple(types)
    hits = portal.read({name: reads.by_phone(before.phone, name) for name in wanted})
    ids = {types[name]: hits.maybe(name, ()) for name in wanted}
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    policy = portal.playbook.assignment.policy()
    asked: dict[str, reads.Read[Any]] = {
        str(kind): reads.items(kind, sorted(found)[-20:]) for kind, found in ids.items() if found
    }
    asked["team"] = reads.users(sorted({user_id, *(user.id for user in team.users)}))
    found = portal.read(asked)
    items = [item for kind in (LEAD, CONTACT, COMPANY) for item in found.maybe(str(kind), [])]
    return Answered(talking, tuple(items), desk.situation(portal, team, policy, found, portal.now), looks=call.looks)


def recall(memory: Memory, facts: Answered) -> Answered:
    """Notes who talks since when, and sees whether this call was treated already."""
    memory.keep_call(facts.call)
    known = memory.call(facts.call.call_id)
    target = facts.item
    return replace(
        facts,
        known=known,
        done=memory.assignment(_key(target, facts.call, known)) if target and known else None,
    )


def decide(facts: Answered) -> Treatment | Nothing:
    """Says what the answering employee becomes."""
    user_id, known = facts.call.user_id, facts.known
    if facts.situation is None or known is None or user_id is None:
        return Nothing("отмечено: кто говорит / noted who talks")
    item = facts.item
    if item is None:
        return Nothing("лида ещё нет: ответивший запомнен / no lead yet, whoever answered is remembered")
    if facts.done is not None and facts.done.manager_id == user_id:
        return Nothing("уже его / already his")
    rule = {"ru": "ответил на звонок", "en": "answered the call"}
    # A person changed the responsible between our read and our write: his choice stays, the answerer gets access.
    if item.ref.entity_type_id in (LEAD, DEAL) and made_by(item, known.seen_at) and not facts.looks:
        key = desk.intake_key(item.ref)
        return desk.give_to(
            facts.situation, item, user_id, key=key, rule=rule, phone=facts.call.phone, call_id=facts.call.call_id
        )
    return on_foreign_record(facts.situation, item, user_id, facts.call, rule)


def on_foreign_record(
    situation: desk.Situation, item: Item, user_id: int, call: PhoneCall, rule: Text
) -> Treatment | Nothing:
    """Returns what somebody becomes who answered a client of another manager: observer or responsible, by policy."""
    if item.assigned_by_id == user_id or user_id in item.observer_ids:
        return Nothing("его собственный клиент / his own client")
    takes_over = situation.playbook.intake.answered_on_foreign == "responsible"
    words = {
        "ru": f"{rule['ru']}; {'становится ответственным' if takes_over else 'становится наблюдателем'}",
        "en": f"{rule['en']}; becomes {'responsible' if takes_over else 'an observer'}",
    }
    title = {"ru": "Ответил на звонок чужого клиента", "en": "Answered another manager's client"}
    return Treatment(
        key=f"answered:{call.call_id}",
        cause="answered",
        item=item.ref,
        card=Card(title, Person(user_id, situation.name_of(user_id)), words, (), situation.now),
        manager_id=user_id if takes_over else item.assigned_by_id,
        expected_id=item.assigned_by_id if takes_over else None,
        observers=None if takes_over else (*item.observer_ids, user_id),
        queue=situation.team.queue,
        phone=call.phone or None,
        call_id=call.call_id,
        creator_id=situation.owner_id,
    )


def _key(item: Item, call: PhoneCall, known: KnownCall) -> str:
    fresh = item.ref.entity_type_id in (LEAD, DEAL) and made_by(item, known.seen_at)
    return desk.intake_key(item.ref) if fresh else f"answered:{call.call_id}"


HANDLER = Handler(
    event="ONVOXIMPLANTCALLSTART",
    entity=entity,
    priority=URGENT,
    decision=Treatment,
    read=read,
    recall=recall,
    decide=decide,
    remember=desk.remember,
    act=desk.act,
)
