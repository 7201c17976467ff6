"""A missed call is told to the head or to named people by SMS (CB-11), where the playbook says so.

[intake] missed_call_sms = { to = "head", text = "..." } or to = [3, 7]. Each gets one message on his mobile number, in
his own quiet hours not before the morning.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from b24app import distribution as desk
from b24app import texting
from b24app.bitrix import commands as write
from b24app.bitrix import reads, translate
from b24app.bitrix.commands import Command
from b24app.bitrix.portal import Portal
from b24app.engine.declare import LATER, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.rules.text_message import QuietHours, recipient
from b24app.store.memory import Memory

CODE = "missed_call_sms"


@dataclass(frozen=True)
class Told:
    """Who is told: (user id, number in E.164, quiet hours)."""

    people: tuple[tuple[int, str, tuple[str, str, str]], ...]
    text: str
    until: datetime


def entity_of(call_id: str) -> str:
    """Returns what the message of this call is about."""
    return f"sms:call:{call_id}"[:96]


def order(memory: Memory, call_id: str, phone: str, at: datetime) -> None:
    """Orders the message of a missed call, once a call."""
    entity = entity_of(call_id)
    memory.deliver(
        kind="timer",
        code=CODE,
        entity=entity,
        payload={"phone": phone, "at": at.isoformat()},
        priority=LATER,
        unique_key=entity,
    )


def read(portal: Portal, call: TimerCall) -> Told | Nothing:
    """Reads the mobile numbers of who is to be told."""
    rule = portal.playbook.intake.missed_call_sms
    if rule is None:
        return Nothing("выключено / switched off")
    if rule.to == "head":
        team = desk.read_team(portal, desk.pool_of(portal.playbook))
        ids = [team.head.id] if team.head is not None else [portal.owner_id]
    else:
        ids = list(rule.to)
    found = {user.id: user.phones for user in portal.read({"people": reads.users(ids)})["people"] if user.active}
    country = portal.playbook.intake.country
    people = []
    for id in ids:
        to = recipient([translate.phone_key(number, country) for number in found.get(id, ())])
        if not to.refusal:
            people.append((id, to.phone, texting.quiet_hours(portal.playbook, to.phone)))
    if not people:
        return Nothing(f"нет мобильных номеров у {ids} / no mobile numbers")
    zone = portal.playbook.hours.calendar().zone
    at = datetime.fromisoformat(str(call.payload["at"])).astimezone(zone)
    phone = translate.phone_text(str(call.payload["phone"]), country) or "номер скрыт"
    return Told(
        tuple(people),
        rule.text.format(phone=phone, time=f"{at:%d.%m %H:%M}"),
        max(QuietHours.of(*quiet).next_allowed(portal.now) for _, _, quiet in people) + texting.STALE_AFTER,
    )


def act(decision: Told) -> list[Command]:
    """One message a person."""
    return [
        write.send_sms(phone, decision.text, until=decision.until, quiet=quiet, label=f"sms_{id}")
        for id, phone, quiet in decision.people
    ]


TIMER = TimerDeclaration(code=CODE, priority=LATER, decision=Told, read=read, decide=lambda facts: facts, act=act)
