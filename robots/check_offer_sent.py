"""Проверить отправку КП / Check that the offer was sent.

Робот смотрит, отправлено ли клиенту КП: исходящее письмо с вложением из карточки лида, сделки, контакта или компании,
или предложение в статусе «отправлено». «За сколько дней» ограничивает срок; пусто: с начала нынешней стадии. Отвечает
«Отправлено» (Y или N), сколько версий ушло и когда последняя: дальше по условию можно напомнить менеджеру.

The robot looks whether an offer was sent: an outgoing letter with a file, or a quote in a status that means sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from b24app import process as card_desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import moment, number
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.errors import NotFound
from b24app.playbook import Process
from b24app.process import ProcessOnPortal
from b24app.rules.offer import Mailbox, Offer
from b24app.store import process_memory


@dataclass(frozen=True)
class Sent:
    """The versions that left us since then; without any, whether letters get into the CRM at all (K18)."""

    since: datetime
    offers: tuple[Offer, ...] = ()
    mailbox: Mailbox | None = None


def read(portal: Portal, call: RobotCall) -> Sent | Nothing:
    """Reads the card, then letters and quotes: two requests."""
    try:
        raw = portal.read({"card": card_desk.card_read(call.item)})["card"]
    except NotFound:
        raw = None
    if raw is None:
        return Nothing("элемента уже нет / the item is gone")
    item = card_desk.item_of(call.item, raw)
    with portal.memory() as memory:
        known = process_memory.item_row(memory, str(call.item))
    days = number(call.properties.get("days"))
    entered = known.since if known is not None and known.stage_id == item.stage_id else moment(raw.get("movedTime"))
    since = portal.now - timedelta(days=days) if days else entered or item.created_at
    asked: dict[str, reads.Read[Any]] = {
        "letters": card_desk.letters_read(card_desk.bindings_of(call.item, raw), since),
        "quotes": card_desk.quotes_read(call.item, raw, since),
        "mailbox": card_desk.mailbox_read(),
    }
    found = portal.read(asked, optional=card_desk.OPTIONAL_EVIDENCE | {"mailbox"})
    process = portal.playbook.process(call.item.entity_type_id) or Process()
    on = ProcessOnPortal(process, call.item.entity_type_id)
    return Sent(since, card_desk.offers_of(on, found, since), found.maybe("mailbox", None))


def decide(facts: Sent) -> Sent:
    """Nothing is written: the answer is what was seen."""
    return facts


def answer(decision: Sent) -> Reply:
    """Returns sent, versions, last."""
    last = decision.offers[-1] if decision.offers else None
    values = {
        "sent": "Y" if last else "N",
        "versions": str(len(decision.offers)),
        "last": last.at.isoformat() if last else "",
    }
    if last is not None:
        return Reply(
            values, f"КП отправлено, версий: {len(decision.offers)}, последняя {last.at:%d.%m.%Y}: {last.title}"
        )
    text = f"КП не отправлено с {decision.since:%d.%m.%Y %H:%M}"
    if decision.mailbox is not None and not decision.mailbox.works:
        text += ". В CRM нет ни одного письма: подключите почту (Почта → Подключить ящик → Сохранять письма в CRM)"
    return Reply(values, text)


ROBOT = Robot(
    code="check_offer_sent",
    name={"ru": "Проверить отправку КП", "en": "Check that the offer was sent"},
    description={
        "ru": "Смотрит, ушло ли клиенту письмо с вложением или предложение; отвечает Y или N",
        "en": "Looks whether a letter with a file or a quote went to the client; answers Y or N",
    },
    properties=(
        Property(
            "days", {"ru": "За сколько дней (пусто: с начала стадии)", "en": "Days back (empty: this stage)"}, "int"
        ),
    ),
    returns=(
        Property("sent", {"ru": "Отправлено", "en": "Sent"}, "bool"),
        Property("versions", {"ru": "Версий КП", "en": "Versions"}, "int"),
        Property("last", {"ru": "Последняя", "en": "The last one"}, "datetime"),
    ),
    decision=Sent,
    read=read,
    decide=decide,
    answer=answer,
)
