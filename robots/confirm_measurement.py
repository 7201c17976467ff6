"""Подтвердить замер / Confirm the measurement.

Робот отмечает, что клиент готов принять замерщика: то же, что закрыть задачу «Подтвердить замер». Замерщик получает
уведомление и задачу с чек-листом, клиент — SMS. Отвечает «Подтверждён» (Y или N), «Замерщик», «С» и «Почему нет»:
замера нет или он уже состоялся. Подтверждённый раньше — тоже Y, сообщения второй раз не уходят.

The robot marks that the client is ready, as closing the task to confirm does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from b24app import measuring
from b24app.bitrix.portal import Portal
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.measuring import Crew
from b24app.rules.confirmation import AGREED
from b24app.store import visits
from b24app.store.memory import Memory
from b24app.store.visits import VisitRow


@dataclass(frozen=True)
class Standing:
    """The item's agreed visit, or None."""

    entity: str
    crew: Crew
    now: datetime
    visit: VisitRow | None = None


@dataclass(frozen=True)
class Confirmed:
    """The visit that is confirmed, or why none is."""

    visit: VisitRow | None
    when: str = ""
    name: str = ""
    why: str = ""


def read(portal: Portal, call: RobotCall) -> Standing | Nothing:
    """Reads who measures."""
    rules = measuring.rules_of(portal, call.item.entity_type_id)
    if rules is None:
        return Nothing("в сценарии нет замеров / the playbook has no measurements")
    return Standing(str(call.item), measuring.read_crew(portal, rules), portal.now)


def recall(memory: Memory, facts: Standing) -> Standing:
    """Finds the visit."""
    visits.serialise(memory)
    rows = visits.visits_of(memory, facts.entity)
    return replace(facts, visit=next((row for row in rows if row.state in AGREED), None))


def decide(facts: Standing) -> Confirmed:
    """Confirms what is agreed."""
    visit = facts.visit
    if visit is None:
        return Confirmed(None, why="на замер не записаны / no visit is booked")
    if visit.state != "confirmed" and visit.starts_at <= facts.now:
        return Confirmed(None, why="время замера уже прошло / its time is over")
    zone = facts.crew.zone(visit.measurer_id)
    return Confirmed(visit, measuring.when(visit.starts_at, visit.ends_at, zone), facts.crew.name(visit.measurer_id))


def remember(memory: Memory, decision: Confirmed) -> None:
    """Lets the client have agreed; what follows is done where the visit is looked at."""
    if decision.visit is not None and visits.turn(memory, decision.visit, "agree", reason="робот / a robot"):
        visits.look(memory, decision.visit.entity)


def answer(decision: Confirmed) -> Reply:
    """Returns confirmed, measurer, from, reason."""
    visit = decision.visit
    if visit is None:
        values = {"confirmed": "N", "measurer": "", "from": "", "reason": decision.why}
        return Reply(values, f"Не подтверждён: {decision.why}")
    values = {
        "confirmed": "Y",
        "measurer": f"user_{visit.measurer_id}",
        "from": visit.starts_at.isoformat(),
        "reason": "",
    }
    return Reply(values, f"Замер подтверждён: {decision.when}, {decision.name}")


ROBOT = Robot(
    code="confirm_measurement",
    name={"ru": "Подтвердить замер", "en": "Confirm the measurement"},
    description={
        "ru": "Клиент готов: замерщику — задача, клиенту — SMS",
        "en": "The client is ready: a task for the measurer, an SMS for the client",
    },
    returns=(
        Property("confirmed", {"ru": "Подтверждён", "en": "Confirmed"}, "bool"),
        Property("measurer", {"ru": "Замерщик", "en": "Measurer"}, "user"),
        Property("from", {"ru": "С", "en": "From"}, "datetime"),
        Property("reason", {"ru": "Почему нет", "en": "Why not"}, "string"),
    ),
    decision=Confirmed,
    read=read,
    recall=recall,
    decide=decide,
    remember=remember,
    answer=answer,
)
