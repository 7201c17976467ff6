"""Найти время замера / Find a time for the measurement.

Робот ищет свободного замерщика и лучшее время по правилам раздела [measurement] сценария: рабочие часы, праздники,
обед, календари замерщиков, районы, дорога. Отвечает «Найдено» (Y или N), «Замерщик», «С», «По», «Текст» — расчёт по
часам, «Ещё варианты» и «Почему нет». Найденное время предлагается, но никого не занимает: робот «Записать на замер» без
настроек запишет именно на него. Работает и без применённого сценария: адрес и вид работ можно указать в настройках.

The robot finds a free measurer and the best time, and proposes it: nothing is taken until it is booked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from b24app import measuring
from b24app.bitrix.portal import Portal
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.measuring import Diary, Offer, Order
from b24app.store import visits
from b24app.store.memory import Memory
from b24app.store.visits import Wanted

SHOWN = 5


@dataclass(frozen=True)
class Search:
    """What is looked for, and the measurers' time."""

    order: Order
    diary: Diary


@dataclass(frozen=True)
class Found:
    """The best slots, the best first, or why there are none."""

    slots: tuple[Offer, ...] = ()
    why: str = ""
    proposal: Wanted | None = None


def read(portal: Portal, call: RobotCall) -> Search | Nothing:
    """Reads the item, the measurers and their calendars."""
    order = measuring.order_of(portal, call.item, call.properties)
    return order if isinstance(order, Nothing) else Search(order, measuring.read_diary(portal, order.rules))


def recall(memory: Memory, facts: Search) -> Search:
    """Adds the visits that take time."""
    return replace(facts, diary=facts.diary.recalled(memory))


def decide(facts: Search) -> Found:
    """Returns the best slots."""
    order, diary = facts.order, facts.diary
    board = diary.board(without=str(order.item.ref))
    job = diary.job(order.kind, measuring.place_of(order.rules, order.address), order.wish)
    best = tuple(board.best(job, SHOWN))
    if not best:
        explained = board.explain(job)
        names = {person.id: person.name for person in diary.crew.people}
        why = "; ".join(f"{names[id]}: {text['ru']}" for id, text in explained.measurers.items())
        return Found(why=why or measuring.NOBODY["ru"])
    first = best[0]
    proposal = measuring.wanted(
        order.item,
        order.kind,
        diary,
        first.measurer.id,
        first.start,
        order.address,
        source="robot",
        address_given=order.address_given,
    )
    return Found(tuple(map(measuring.offer, best)), proposal=proposal)


def remember(memory: Memory, decision: Found) -> None:
    """Keeps the proposal."""
    if decision.proposal is not None:
        visits.propose(memory, decision.proposal)


def answer(decision: Found) -> Reply:
    """Returns found, measurer, from, to, text, others, reason."""
    if not decision.slots:
        values = {"found": "N", "measurer": "", "from": "", "to": "", "text": "", "others": "", "reason": decision.why}
        return Reply(values, f"Свободного времени нет: {decision.why}")
    best, *others = decision.slots
    values = {
        "found": "Y",
        "measurer": f"user_{best.measurer_id}",
        "from": best.start.isoformat(),
        "to": best.end.isoformat(),
        "text": best.text,
        "others": "\n".join(f"{slot.when}, {slot.name}" for slot in others),
        "reason": "",
    }
    return Reply(values, f"Лучшее время: {best.when}, {best.name}")


ROBOT = Robot(
    code="find_measurement_slots",
    name={"ru": "Найти время замера", "en": "Find a time for the measurement"},
    description={
        "ru": "Ищет свободного замерщика и лучшее время, никого не занимая",
        "en": "Finds a free measurer and the best time, and takes nobody's",
    },
    properties=measuring.ORDER_PROPERTIES,
    returns=(
        Property("found", {"ru": "Найдено", "en": "Found"}, "bool"),
        Property("measurer", {"ru": "Замерщик", "en": "Measurer"}, "user"),
        Property("from", {"ru": "С", "en": "From"}, "datetime"),
        Property("to", {"ru": "По", "en": "To"}, "datetime"),
        Property("text", {"ru": "Текст", "en": "Text"}, "text"),
        Property("others", {"ru": "Ещё варианты", "en": "Others"}, "text"),
        Property("reason", {"ru": "Почему нет", "en": "Why not"}, "text"),
    ),
    decision=Found,
    read=read,
    recall=recall,
    decide=decide,
    remember=remember,
    answer=answer,
)
