"""Проверить карточку / Check the card.

Робот проверяет, что в карточке есть всё нужное, и отвечает «Проверено» (Y или N), «Не хватает» и «Сообщение». Поставьте
его первым на стадию: автоматизация ждёт ответа, и дальше по условию «Проверено» = N можно не запускать роботов стадии,
пока карточка не дополнена. Без настроек он проверяет то, что требует плейбук для этой стадии. Поля можно назвать и
самому: по одному в строке, код поля портала или ключ плейбука, после двоеточия вид проверки (email, phone, not_past),
например «EMAIL: email» или «UF_CRM_1700000000». «Нужно ещё» проверяет отправленное КП или звонок. «Если не хватает»:
только ответить, ответить и сказать сотруднику, или вернуть элемент на прежнюю стадию.

The robot checks that the card has everything and answers passed (Y or N), missing, message. Put it first on a stage.
Without settings it checks what the playbook asks for on this stage; fields of your own are named one a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from b24app import distribution as desk
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix import reads
from b24app.bitrix.commands import Command
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.translate import moment, number
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.entities import Item
from b24app.errors import NotFound, Permanent
from b24app.playbook import CardField, Evidence, LocalText, Process, Requirement, Stage
from b24app.process import ProcessOnPortal
from b24app.rules import stage_gate
from b24app.rules.intake import Notice
from b24app.rules.stage_gate import Card, Missing, Seen
from b24app.stage_work import Move, Office, StageWork
from b24app.store import process_memory
from b24app.store.memory import Memory

CHECKS = ("any", "email", "phone", "not_past")
SYSTEM_TYPES = {"email": "email", "phone": "phone"}
LOOKED_BACK = timedelta(days=30)
"""Evidence asked for by the robot's own settings counts this long where the item's stage tells no beginning."""


@dataclass(frozen=True)
class Wanted:
    """A field that the consultant named: the portal's code or the playbook's key, and what it must be."""

    code: str
    valid: str


@dataclass(frozen=True)
class Checked:
    """The item with what is missing, and where it came from."""

    on: ProcessOnPortal
    item: Item
    office: Office
    missing: tuple[Missing, ...]
    policy: str
    updated_at: datetime | None
    mover_id: int | None
    before_id: str | None
    lately: int = 0


@dataclass(frozen=True)
class Verdict:
    """The robot's answer, and what is done about it."""

    missing: tuple[str, ...]
    message: str
    work: StageWork | None = None


def wanted_fields(text: object) -> list[Wanted]:
    """Returns the fields of the setting, one a line or separated by commas; Permanent names a check that is none."""
    lines = (
        [str(one) for one in text] if isinstance(text, list | tuple) else str(text or "").replace(",", "\n").split("\n")
    )
    found = []
    for line in lines:
        code, _, check = (part.strip() for part in line.partition(":"))
        if not code:
            continue
        if (check.lower() or "any") not in CHECKS:
            raise Permanent(f"«{line.strip()}»: проверка бывает email, phone, not_past / no such check: {check}")
        found.append(Wanted(code, check.lower() or "any"))
    return found


def read(portal: Portal, call: RobotCall) -> Checked | Nothing:
    """Reads the card with its evidence, and where the item came from."""
    asked = call.properties
    on = card_desk.process_on(portal, call.item.entity_type_id) or _bare(portal, call)
    reading: dict[str, reads.Read[Any]] = {"card": card_desk.card_read(call.item)}
    fields = wanted_fields(asked.get("fields"))
    unknown = [one.code for one in fields if on.process.field(one.code) is None]
    if unknown and not on.fields:
        reading["fields"] = card_desk.portal_fields(call.item.entity_type_id)
    with portal.memory() as memory:
        known = process_memory.item_row(memory, str(call.item))
        tasks = process_memory.tasks_of(memory, str(call.item))
    policy = str(asked.get("policy") or "answer")
    if policy == "return":
        reading["history"] = card_desk.history_read(call.item)
    try:
        found = portal.read(reading)
        raw = found["card"]
    except NotFound:
        raw = None
    if raw is None:
        return Nothing("элемента уже нет / the item is gone")
    on = _with_fields(on, fields, found.maybe("fields", on.fields))
    item = card_desk.item_of(call.item, raw)
    stage, at = _stage(on, item, fields, _evidence(asked)), card_desk.local(portal, portal.now)
    since = (
        card_desk.began_at(on, item, known) if known is not None else moment(raw.get("movedTime")) or item.created_at
    )
    if fields or _evidence(asked):
        since = min(since, at - LOOKED_BACK) if known is None else since
    evidence = card_desk.evidence_reads(on, call.item, raw, stage.evidence, tasks, since)
    answers = portal.read(evidence, optional=card_desk.OPTIONAL_EVIDENCE) if evidence else Found({})
    with portal.memory() as memory:
        confirmed = process_memory.confirmations(memory, str(call.item), since=since)
        lately = process_memory.moved_back_since(memory, str(call.item), portal.now - timedelta(hours=1))
    seen: Seen = card_desk.seen_of(on, answers, tasks, confirmed, since)
    card: Card = card_desk.card_of(on, raw)
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    return Checked(
        on=on,
        item=item,
        office=stage_desk.office(portal, team),
        missing=stage_gate.missing_for(on.process, [stage], card, seen, at),
        policy=policy,
        updated_at=item.updated_at,
        mover_id=number(raw.get("movedBy")),
        before_id=_before(item, known, found.maybe("history", [])),
        lately=lately,
    )


def _bare(portal: Portal, call: RobotCall) -> ProcessOnPortal:
    """A portal without a process of ours: the robot works by its own settings."""
    process = portal.playbook.process(call.item.entity_type_id) or Process()
    return ProcessOnPortal(process.model_copy(update={"stages": (), "decline": None}), call.item.entity_type_id)


def _with_fields(
    on: ProcessOnPortal, wanted: Sequence[Wanted], known: Mapping[str, card_desk.PortalField]
) -> ProcessOnPortal:
    """The process with the fields that the consultant named by the portal's codes, labelled as the portal does."""
    more = []
    for place, one in enumerate(wanted):
        if on.process.field(one.code) is not None:
            continue
        described = known.get(card_desk.normal_code(one.code))
        if described is None and one.code.lower() not in SYSTEM_TYPES:
            raise Permanent(f"на портале нет поля «{one.code}» / the portal has no such field")
        title = described.title if described else one.code
        kind = SYSTEM_TYPES.get(one.code.lower()) or _type(described)
        more.append(
            CardField.model_construct(
                key=f"asked_{place}",
                code=described.code if described else one.code.lower() if kind in SYSTEM_TYPES else one.code,
                type=kind,
                name=LocalText(ru=title, en=title),
                why=None,
                multiple=described.multiple if described else False,
                values=(),
            )
        )
    if not more:
        return on
    process = on.process.model_copy(update={"fields": (*on.process.fields, *more)})
    return ProcessOnPortal(process, on.entity_type_id, on.mapping, dict(known), on.stages)


def _type(described: card_desk.PortalField | None) -> str:
    kind = described.type if described else "string"
    return kind if kind in ("enumeration", "employee", "money", "address", "file", "date", "datetime") else "string"


def _stage(on: ProcessOnPortal, item: Item, fields: Sequence[Wanted], evidence: Sequence[Evidence]) -> Stage:
    """What is checked: the settings, or where there are none what the playbook asks for on the item's stage."""
    here = on.process.stage(on.stage_key(item.stage_id) or "")
    if not fields and not evidence:
        if here is None:
            raise Permanent("назовите поля в настройках робота: плейбук этой стадии не знает / name the fields")
        return here
    named = {one.code: f"asked_{place}" for place, one in enumerate(fields)}
    requirements = tuple(
        Requirement.model_construct(
            field=one.code if on.process.field(one.code) is not None else named[one.code], valid=one.valid, only_if=None
        )
        for one in fields
    )
    name = on.stage_name(item.stage_id)
    return Stage.model_construct(
        key=here.key if here is not None else "asked",
        id=item.stage_id,
        name=LocalText(ru=name, en=name),
        semantics="process",
        gate="return",
        requires=requirements,
        requires_to_leave=(),
        evidence=tuple(evidence),
        tasks=(),
    )


def _evidence(asked: Mapping[str, Any]) -> tuple[Evidence, ...]:
    match str(asked.get("evidence") or "").strip():
        case "offer_sent":
            return (Evidence(kind="offer_sent", manual=True, why=_WHY["offer_sent"]),)
        case "call_made":
            return (Evidence(kind="call_made", why=_WHY["call_made"]),)
        case _:
            return ()


_WHY = {
    "offer_sent": LocalText(ru="в карточке нет письма с вложением", en="no letter with a file in the card"),
    "call_made": LocalText(ru="в карточке нет завершённого звонка", en="no completed call in the card"),
}


def _before(item: Item, known: process_memory.ItemRow | None, history: Sequence[tuple[str, datetime]]) -> str | None:
    """Where the item came from: where we last agreed with it, else its history."""
    if known is not None and known.stage_id != item.stage_id:
        return known.stage_id
    return next((stage for stage, _ in history if stage != item.stage_id), None)


def decide(facts: Checked) -> Verdict:
    """Answers; by policy tells the mover, or moves the item back."""
    lines = tuple(card_desk.missing_lines(facts.on, facts.missing))
    if not lines:
        return Verdict((), "Всё заполнено")
    message = "Не хватает: " + "; ".join(lines)
    if facts.policy == "answer":
        return Verdict(lines, message)
    item, office = facts.item, facts.office
    key = facts.on.stage_key(item.stage_id) or item.stage_id
    told_id = facts.mover_id or item.assigned_by_id or office.owner_id
    back = facts.before_id
    if facts.policy == "return" and back is not None and facts.lately < facts.on.process.moves_back_an_hour:
        work = StageWork(
            item=item.ref,
            title=item.title,
            action="return",
            from_stage=facts.on.stage_key(back) or back,
            to_stage=key,
            mover_id=facts.mover_id,
            missing=lines,
            move=Move(item.stage_id, back, back=True, unchanged_since=facts.updated_at, tell_if_refused=told_id),
            notices=(
                Notice(told_id, stage_desk.told_back(facts.on, item, key, back, facts.missing, office, ()), _tag(item)),
            ),
        )
        return Verdict(lines, message, work)
    text = stage_desk.told_warned(facts.on, item, key, facts.missing, office)
    work = StageWork(item.ref, item.title, "warn", key, judged=False, notices=(Notice(told_id, text, _tag(item)),))
    return Verdict(lines, message, work)


def _tag(item: Item) -> str:
    return f"gate:{item.ref}"


def remember(memory: Memory, decision: Verdict) -> None:
    """Keeps the move back like the gate's own."""
    if decision.work is not None:
        stage_desk.remember(memory, decision.work)


def act(decision: Verdict) -> list[Command]:
    """Returns the way back and the notice, where there are any."""
    return stage_desk.act(decision.work) if decision.work is not None else []


def answer(decision: Verdict) -> Reply:
    """Returns passed, missing, message."""
    passed = "N" if decision.missing else "Y"
    values = {"passed": passed, "missing": ", ".join(decision.missing), "message": decision.message}
    return Reply(values, decision.message)


ROBOT = Robot(
    code="check_fields",
    name={"ru": "Проверить карточку", "en": "Check the card"},
    description={
        "ru": "Проверяет поля и выполненную работу; отвечает, чего не хватает. Ставится первым на стадию",
        "en": "Checks fields and work done; answers what is missing. Put it first on a stage",
    },
    properties=(
        Property(
            "fields",
            {"ru": "Поля (пусто: по плейбуку)", "en": "Fields (empty: by the playbook)"},
            "text",
            description={"ru": "По одному в строке, например EMAIL: email", "en": "One a line, e.g. EMAIL: email"},
        ),
        Property(
            "evidence",
            {"ru": "Нужно ещё", "en": "Also needed"},
            "select",
            options={
                "offer_sent": {"ru": "Отправленное КП", "en": "The offer sent"},
                "call_made": {"ru": "Звонок клиенту", "en": "A call to the client"},
            },
        ),
        Property(
            "policy",
            {"ru": "Если не хватает", "en": "When something is missing"},
            "select",
            default="answer",
            options={
                "answer": {"ru": "Только ответить", "en": "Answer only"},
                "tell": {"ru": "Ответить и сказать сотруднику", "en": "Answer and tell the employee"},
                "return": {"ru": "Вернуть на прежнюю стадию", "en": "Move back to the former stage"},
            },
        ),
    ),
    returns=(
        Property("passed", {"ru": "Проверено", "en": "Passed"}, "bool"),
        Property("missing", {"ru": "Не хватает", "en": "Missing"}, "string"),
        Property("message", {"ru": "Сообщение", "en": "Message"}, "string"),
    ),
    decision=Verdict,
    read=read,
    decide=decide,
    remember=remember,
    act=act,
    answer=answer,
)
