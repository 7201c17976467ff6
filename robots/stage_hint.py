"""Подсказка по стадии / Hint of the stage.

Робот говорит, что делать на этой стадии: название стадии, критерий, подсказка, ссылка и чего не хватает для следующей.
Текст берётся из плейбука или из настройки. Показать можно в ленте карточки или уведомлением ответственному.

The robot says what to do on this stage: in the card's timeline, or as a notice to the responsible.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix import commands as write
from b24app.bitrix.commands import Command
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import user_property
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.entities import ItemRef
from b24app.errors import NotFound, Permanent
from b24app.rules.intake import plain


@dataclass(frozen=True)
class Hint:
    """The text, for whom, and how it is shown."""

    item: ItemRef
    text: str
    user_id: int
    as_notice: bool
    key: str


def read(portal: Portal, call: RobotCall) -> Hint | Nothing:
    """Reads the item and what its stage asks for."""
    asked = call.properties
    on = card_desk.process_on(portal, call.item.entity_type_id)
    own, link = str(asked.get("text") or "").strip(), str(asked.get("link") or "").strip()
    lines: list[str] = []
    try:
        raw = portal.read({"card": card_desk.card_read(call.item)})["card"]
    except NotFound:
        raw = None
    if raw is None:
        return Nothing("элемента уже нет / the item is gone")
    item = card_desk.item_of(call.item, raw)
    if on is not None:
        now = card_desk.standing_of_card(portal, on, call.item, raw)
        if now.stage is not None:
            lines.append(f"[B]Стадия «{plain(on.stage_name(now.stage.key))}»[/B]")
            lines += [text.ru for text in (now.stage.criterion, None if own else now.stage.hint) if text is not None]
            link = link or now.stage.hint_url
        if now.target is not None and now.missing:
            lines.append(f"Для «{plain(on.stage_name(now.target.key))}» не хватает:")
            lines += [f"— {line}" for line in card_desk.missing_lines(on, now.missing)]
    if own:
        lines.append(own)
    if link:
        lines.append(f"[URL={link}]Подробнее[/URL]" if "]" not in link else link)
    if not lines:
        raise Permanent("у стадии нет подсказки: напишите текст в настройках робота / no hint: write the text")
    to = user_property(asked.get("user")) or item.assigned_by_id or portal.owner_id
    as_notice = str(asked.get("show") or "card") == "notice"
    text = "\n".join(lines)
    if as_notice:
        text = f"[URL={portal.card_url(call.item)}]{plain(item.title) or call.item}[/URL]\n{text}"
    digest = hashlib.sha256(call.event_token.encode()).hexdigest()[:10]
    return Hint(call.item, text, to, as_notice, digest)


def decide(facts: Hint) -> Hint:
    """What was read is what is said."""
    return facts


def act(decision: Hint) -> list[Command]:
    """Returns the notice or the comment."""
    if decision.as_notice:
        return [write.notify(decision.user_id, decision.text, tag=f"hint:{decision.item}", label="hint")]
    marker = stage_desk.mark(decision.item, "hint", decision.key)
    return [write.comment(decision.item, decision.text, marker=marker, label="hint")]


def answer(decision: Hint) -> Reply:
    """Returns the text."""
    return Reply({"text": decision.text}, "Подсказка показана")


ROBOT = Robot(
    code="stage_hint",
    name={"ru": "Подсказка по стадии", "en": "Hint of the stage"},
    description={
        "ru": "Говорит, что делать на этой стадии и чего не хватает для следующей",
        "en": "Says what to do on this stage and what the next one lacks",
    },
    properties=(
        Property("text", {"ru": "Текст (пусто: из плейбука)", "en": "Text (empty: the playbook's)"}, "text"),
        Property("link", {"ru": "Ссылка на подсказку", "en": "Link to the hint"}, "string"),
        Property("user", {"ru": "Кому (пусто: ответственному)", "en": "To whom (empty: the responsible)"}, "user"),
        Property(
            "show",
            {"ru": "Где показать", "en": "Where to show"},
            "select",
            default="card",
            options={
                "card": {"ru": "В ленте карточки", "en": "In the card's timeline"},
                "notice": {"ru": "Уведомлением", "en": "As a notice"},
            },
        ),
    ),
    returns=(Property("text", {"ru": "Текст", "en": "Text"}, "string"),),
    decision=Hint,
    read=read,
    decide=decide,
    act=act,
    answer=answer,
)
