"""Перевести дальше / Move on.

Робот переводит элемент на следующую стадию или на указанную, но только если на ней выполнено всё, чего требует плейбук:
та же проверка, что у ручного перевода. Отвечает «Переведён» (Y или N) и «Не хватает». Без применённого плейбука
укажите стадию: робот переведёт на неё без проверки.

The robot moves the item to the next stage or the one named, if everything that the playbook asks for there is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix.commands import Command
from b24app.bitrix.portal import Portal
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.entities import Item
from b24app.errors import NotFound, Permanent
from b24app.process import ProcessOnPortal
from b24app.stage_work import Move, StageWork
from b24app.store.memory import Memory


@dataclass(frozen=True)
class Onward:
    """An item, the stage that it shall go to, and what is missing there."""

    item: Item
    from_key: str
    to_key: str
    to_id: str
    to_name: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """The move, or why there is none."""

    to_name: str
    missing: tuple[str, ...] = ()
    work: StageWork | None = None


def read(portal: Portal, call: RobotCall) -> Onward | Nothing:
    """Reads where the item stands and what is missing on the way."""
    wanted = str(call.properties.get("stage") or "").strip()
    on = card_desk.process_on(portal, call.item.entity_type_id)
    try:
        if on is None:
            return _unchecked(portal, call, wanted)
        key = _key(on, wanted)
        now = card_desk.standing(portal, call.item, to=key)
    except NotFound:
        return Nothing("элемента уже нет / the item is gone")
    if now is None or now.target is None:
        return Nothing("дальше стадий нет / there is no further stage")
    return Onward(
        now.item,
        now.stage.key if now.stage is not None else now.stage_id,
        now.target.key,
        on.stage_id(now.target.key),
        on.stage_name(now.target.key),
        tuple(card_desk.missing_lines(on, now.missing)),
    )


def _key(on: ProcessOnPortal, wanted: str) -> str | None:
    """The stage as the consultant named it: by its key, its id or its name on the portal."""
    if not wanted:
        return None
    for stage in on.process.stages:
        if wanted.lower() in (stage.key, on.stage_id(stage.key).lower(), on.stage_name(stage.key).lower()):
            return stage.key
    raise Permanent(f"нет стадии «{wanted}» / no such stage")


def _unchecked(portal: Portal, call: RobotCall, wanted: str) -> Onward | Nothing:
    """Without a process of ours the stage must be named by its id, and nothing is checked."""
    if not wanted:
        raise Permanent("укажите стадию: плейбук на портале не применён / name the stage: no playbook is applied")
    raw = portal.read({"card": card_desk.card_read(call.item)})["card"]
    if raw is None:
        return Nothing("элемента уже нет / the item is gone")
    item = card_desk.item_of(call.item, raw)
    return Onward(item, item.stage_id, wanted, wanted, wanted)


def decide(facts: Onward) -> Step:
    """Moves where nothing is missing."""
    item = facts.item
    if facts.missing:
        return Step(facts.to_name, facts.missing)
    if item.stage_id == facts.to_id:
        return Step(facts.to_name)
    work = StageWork(
        item=item.ref,
        title=item.title,
        action="own",
        from_stage=facts.from_key,
        to_stage=facts.to_key,
        move=Move(item.stage_id, facts.to_id, back=False, tell_if_refused=item.assigned_by_id or None),
    )
    return Step(facts.to_name, work=work)


def remember(memory: Memory, decision: Step) -> None:
    """Keeps that the move is ours: the gate does not judge it."""
    if decision.work is not None:
        stage_desk.remember(memory, decision.work)


def act(decision: Step) -> list[Command]:
    """Returns the move."""
    return stage_desk.act(decision.work) if decision.work is not None else []


def answer(decision: Step) -> Reply:
    """Returns moved, missing."""
    moved = "N" if decision.missing else "Y"
    text = f"Переведён на «{decision.to_name}»" if moved == "Y" else f"Остаётся: {'; '.join(decision.missing)}"
    return Reply({"moved": moved, "missing": ", ".join(decision.missing)}, text)


ROBOT = Robot(
    code="advance_stage",
    name={"ru": "Перевести дальше", "en": "Move on"},
    description={
        "ru": "Переводит на следующую стадию, если на ней выполнено всё нужное",
        "en": "Moves to the next stage if everything needed there is done",
    },
    properties=(Property("stage", {"ru": "Стадия (пусто: следующая)", "en": "Stage (empty: the next one)"}, "string"),),
    returns=(
        Property("moved", {"ru": "Переведён", "en": "Moved"}, "bool"),
        Property("missing", {"ru": "Не хватает", "en": "Missing"}, "string"),
    ),
    decision=Step,
    read=read,
    decide=decide,
    remember=remember,
    act=act,
    answer=answer,
)
