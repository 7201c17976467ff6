"""Sending SMS, for robots and handlers: from a text and numbers to commands, at most one message, a record of each.

compose(...)   -> Texting     whether it can go, and when: pure
apart(Texting) -> Texting     the same, sent by a delivery of its own: a gateway that is away holds up nothing else
remember       keeps what waits as a timer (code `sms_due`), under its key: forget() takes it back
act(Texting)   -> commands    the message; its text in the timeline; a refusal there too; a task where nobody knows
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from b24app.bitrix import commands as write
from b24app.bitrix.commands import After, Command
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import phone_key, phone_text
from b24app.engine.declare import NORMAL, TimerCall
from b24app.entities import Item, ItemRef
from b24app.playbook import Playbook
from b24app.rules.intake import plain
from b24app.rules.text_message import QuietHours, recipient, segments, zone_of
from b24app.store.memory import Memory

SMS_DUE = "sms_due"
STAGE_PATIENCE = timedelta(minutes=5)
"""So long a gateway may be away while a stage waits for its robot and the item's other work waits behind that."""
STALE_AFTER = timedelta(hours=12)
"""A message that could not leave for so long after its time is not sent any more: a person is told."""
LOOK_WITHIN = timedelta(hours=1)


@dataclass(frozen=True)
class Texting:
    """One message about an item. `refusal`: why it cannot go; `due_at`: it waits for the recipient's morning.

    `call_instead`: the responsible gets a task to call where it could not go.
    """

    key: str
    item: ItemRef
    title: str
    stage_id: str
    phone: str
    text: str
    responsible_id: int
    creator_id: int
    until: datetime
    look_by: datetime
    quiet: tuple[str, str, str] | None = None
    refusal: str = ""
    due_at: datetime | None = None
    call_instead: bool = False

    @property
    def timer_key(self) -> str:
        """The key of the timer with which it waits."""
        return timer_key(self.key)

    @property
    def marker(self) -> str:
        """The short mark by which its comment and its task are known again."""
        return f"SMS №{self._number}"

    @property
    def refusal_marker(self) -> str:
        """The mark of the comment on a refusal: a person may send again, and the record then is another comment."""
        return f"SMS-отказ №{self._number}"

    @property
    def _number(self) -> str:
        return hashlib.sha256(self.key.encode()).hexdigest()[:10]

    @property
    def local_due(self) -> str:
        """When it goes, as the recipient's clock says."""
        if self.due_at is None or self.quiet is None:
            return ""
        return f"{self.due_at.astimezone(QuietHours.of(*self.quiet).tz):%d.%m %H:%M}"


def timer_key(key: str) -> str:
    """Returns the key of the timer with which the message of this key waits."""
    return f"sms:{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def quiet_hours(playbook: Playbook, phone: str) -> tuple[str, str, str]:
    """Returns (time zone, begins, ends) of the quiet hours of whoever has this number (E.164)."""
    zone = zone_of(phone, playbook.hours.time_zone, playbook.intake.country)
    return zone, playbook.sms.quiet_from.isoformat("minutes"), playbook.sms.quiet_to.isoformat("minutes")


class Sender(Protocol):
    """Who composes a message: a portal, or the facts of a decision."""

    @property
    def playbook(self) -> Playbook: ...
    @property
    def now(self) -> datetime: ...
    @property
    def owner_id(self) -> int: ...


def compose(
    sender: Sender,
    item: Item,
    *,
    key: str,
    numbers: Sequence[str],
    text: str,
    at_night: str = "wait",
    patience: timedelta = STALE_AFTER,
) -> Texting:
    """Returns the message of this key: to the first mobile number, now or (at_night "wait") in the morning.

    `at_night`: "wait", "send" at any hour, or "skip" = not at all. `patience`: how long a gateway may be away.
    """
    playbook, now = sender.playbook, sender.now
    to = recipient([phone_key(number, playbook.intake.country) for number in numbers])
    text = text.strip()
    length = segments(text)
    refusal = to.refusal
    if not text:
        refusal = "текста нет / the text is empty"
    elif length > playbook.sms.max_segments:
        refusal = f"длинно: SMS в сообщении {length}, можно {playbook.sms.max_segments} / too long"
    texting = Texting(
        key=key,
        item=item.ref,
        title=item.title,
        stage_id=item.stage_id,
        phone=to.phone,
        text=text,
        responsible_id=item.assigned_by_id or sender.owner_id,
        creator_id=sender.owner_id,
        until=now + patience,
        look_by=playbook.hours.calendar().add_working(now, LOOK_WITHIN).replace(microsecond=0),
        refusal=refusal,
    )
    if refusal or at_night == "send":
        return texting
    quiet = quiet_hours(playbook, to.phone)
    due_at = QuietHours.of(*quiet).next_allowed(now)
    if due_at <= now:
        return replace(texting, quiet=quiet)
    if at_night == "skip":
        return replace(texting, refusal="у клиента тихие часы / the client's quiet hours")
    return replace(texting, quiet=quiet, due_at=due_at)


def apart(texting: Texting, now: datetime) -> Texting:
    """Returns the message as one that is sent by itself, at once where it need not wait, and not overlooked."""
    return replace(texting, due_at=texting.due_at or now, call_instead=True)


def remember(memory: Memory, texting: Texting) -> None:
    """Orders a message that is sent by itself, for its time; the same key is the same message."""
    if texting.due_at is None or texting.refusal:
        return
    entity = texting.timer_key  # not the item's: a gateway that is away must not hold up the item's other work
    payload = {
        "key": texting.key,
        "item": str(texting.item),
        "stage_id": texting.stage_id,
        "phone": texting.phone,
        "text": texting.text,
        "call_instead": texting.call_instead,
    }
    if texting.due_at <= memory.now:
        memory.deliver(kind="timer", code=SMS_DUE, entity=entity, payload=payload, priority=NORMAL)
    else:
        memory.set_timer(entity, code=SMS_DUE, entity=entity, due_at=texting.due_at, payload=payload)


def forget(memory: Memory, key: str) -> None:
    """Takes back a message that did not go yet, for the morning or for the gateway: what it told of has changed."""
    memory.drop_timer(timer_key(key))
    memory.call_off(timer_key(key), "сообщение отменено: всё изменилось / taken back")


def due(portal: Portal, call: TimerCall, item: Item) -> Texting:
    """Returns the message that waited and whose time has come."""
    kept = call.payload
    texting = compose(portal, item, key=str(kept["key"]), numbers=[str(kept["phone"])], text=str(kept["text"]))
    return replace(texting, call_instead=kept.get("call_instead") is True)


def act(texting: Texting) -> list[Command]:
    """Sends it, and says so in the timeline; where nobody knows, a person looks. Nothing while it waits."""
    if texting.refusal or texting.due_at is not None:
        return []
    to = phone_text(texting.phone, "RU")
    text = plain(texting.text)
    task = write.add_task(
        marker=texting.marker,
        title=f"Проверьте, дошло ли SMS клиенту: {to}",
        description=(
            f"{plain(texting.title)}\n\nШлюз не ответил, ушло ли сообщение. Второй раз приложение его не отправит: "
            f"клиент мог его получить. Посмотрите в кабинете шлюза или спросите клиента.\n\nТекст: {text}"
        ),
        responsible_id=texting.responsible_id,
        creator_id=texting.creator_id,
        deadline=texting.look_by,
        item=texting.item,
        label="sms_check",
    )
    call = write.add_task(
        marker=texting.refusal_marker,
        title=f"Позвоните клиенту, SMS не ушла: {to}",
        description=f"{plain(texting.title)}\n\nЧто нужно сказать клиенту: {text}",
        responsible_id=texting.responsible_id,
        creator_id=texting.creator_id,
        deadline=texting.look_by,
        item=texting.item,
        label="sms_call",
    )
    instead = [replace(call, after=After("sms", "failed"))] if texting.call_instead else []
    return [
        write.send_sms(texting.phone, texting.text, until=texting.until, quiet=texting.quiet),
        write.comment(
            texting.item, f"[B]SMS на {to}[/B]\n{text}", marker=texting.marker, label="sms_record", needs=("sms",)
        ),
        write.comment(
            texting.item,
            write.reason_of("sms", f"[B]SMS на {to} не отправлено:[/B] ", f"\n{text}"),
            marker=texting.refusal_marker,
            label="sms_refused",
            after=After("sms", "failed"),
        ),
        replace(task, after=After("sms", "unknown")),
        *instead,
    ]
