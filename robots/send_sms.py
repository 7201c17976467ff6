"""Отправить SMS / Send an SMS.

Робот отправляет клиенту SMS через шлюз из раздела [sms] в config.toml и пишет её текст в ленту карточки. В текст можно
подставлять поля карточки, как в любом роботе. Телефон берётся из настройки, а без неё из карточки: первый мобильный (у
сделки и у клиента, если в карточке телефона нет). Автоматизация ждёт ответа: «Отправлено» (Y или N), «Почему нет» и
«Текст».

Ночью клиента не будят: в тихие часы его часового пояса SMS ждёт утра (робот отвечает N и «отложено до …», утром SMS
уйдёт сама), уходит сразу или не уходит вовсе — это настройка. SMS уходит не больше одного раза: если шлюз не ответил,
ушла ли она, второй раз её не отправят, а ответственный получит задачу проверить. Городской номер, слишком длинный
текст, отказ шлюза — это N с причиной.

The robot sends the client an SMS by the gateway of [sms] in config.toml, at most once, and keeps its text in the
timeline. At night it waits for the client's morning. The stage waits for the answer: sent, reason, text.
"""

from __future__ import annotations

from typing import Any

from b24app import distribution as desk
from b24app import texting
from b24app.bitrix import reads
from b24app.bitrix.commands import reason_of
from b24app.bitrix.portal import Portal
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.entities import COMPANY, CONTACT, Item
from b24app.store.memory import robot_key
from b24app.texting import Texting

AT_NIGHT = ("wait", "send", "skip")


def read(portal: Portal, call: RobotCall) -> Texting | Nothing:
    """Reads the item with its client, one batch, and composes the message."""
    asked = call.properties
    label = "item"
    wanted: dict[str, reads.Read[Any]] = {
        label: reads.item(call.item.entity_type_id, call.item.id),
        "contact": reads.item(CONTACT, reads.result_of(label, "item", "contactId")),
        "company": reads.item(COMPANY, reads.result_of(label, "item", "companyId")),
    }
    found = portal.read(wanted, optional=frozenset({"contact", "company"}))
    item = desk.item_or_none(found, label)
    if item is None:
        return Nothing("элемента уже нет / the item is gone")
    clients: list[Item | None] = [item, found.maybe("contact", None), found.maybe("company", None)]
    phone = str(asked.get("phone") or "").strip()
    at_night = str(asked.get("quiet") or "wait")
    return texting.compose(
        portal,
        item,
        key=robot_key(call.event_token),
        numbers=[phone] if phone else [number for client in clients if client for number in client.phones],
        text=_text(asked.get("text")),
        at_night=at_night if at_night in AT_NIGHT else "wait",
        patience=texting.STAGE_PATIENCE,
    )


def _text(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def decide(facts: Texting) -> Texting:
    """Returns the message: everything about it is decided by its own facts."""
    return facts


def answer(decision: Texting) -> Reply:
    """Returns whether it went, why not, and its text."""
    values = {"sent": "Y", "reason": "", "text": decision.text}
    if decision.refusal:
        return Reply({**values, "sent": "N", "reason": decision.refusal}, f"SMS не отправлено: {decision.refusal}")
    if decision.due_at is not None:
        why = f"отложено до {decision.local_due}: у клиента тихие часы"
        return Reply({**values, "sent": "N", "reason": why}, f"SMS {why}")
    instead = {"sms": {"sent": "N", "reason": reason_of("sms")}}
    return Reply(values, f"SMS: {decision.phone}", instead=instead)


ROBOT = Robot(
    code="send_sms",
    name={"ru": "Отправить SMS", "en": "Send an SMS"},
    description={
        "ru": "Отправляет клиенту SMS, не ночью и не дважды, и пишет текст в ленту",
        "en": "Sends the client an SMS, not at night and not twice, and keeps its text in the timeline",
    },
    properties=(
        Property("text", {"ru": "Текст", "en": "Text"}, "text", required=True),
        Property(
            "phone",
            {"ru": "Телефон (пусто — из карточки)", "en": "Phone (empty: the item's)"},
            "string",
        ),
        Property(
            "quiet",
            {"ru": "В тихие часы клиента", "en": "In the client's quiet hours"},
            "select",
            default="wait",
            options={
                "wait": {"ru": "Отложить до утра", "en": "Wait for the morning"},
                "send": {"ru": "Отправить сразу", "en": "Send at once"},
                "skip": {"ru": "Не отправлять", "en": "Do not send"},
            },
        ),
    ),
    returns=(
        Property("sent", {"ru": "Отправлено", "en": "Sent"}, "bool"),
        Property("reason", {"ru": "Почему нет", "en": "Why not"}, "string"),
        Property("text", {"ru": "Текст", "en": "Text"}, "string"),
    ),
    decision=Texting,
    read=read,
    decide=decide,
    remember=texting.remember,
    act=texting.act,
    answer=answer,
)
