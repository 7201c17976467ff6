"""Записать на замер / Book the measurement.

Робот записывает на замер: время занято сразу, дальше всё идёт само — запись в календаре замерщика, поля «Замерщик» и
«Дата замера», задача подтвердить за рабочий день, уведомление и задача замерщику, SMS клиенту. Без настроек — на
время, которое предложил «Найти время замера», или на лучшее свободное; можно указать замерщика, дату или оба. Время
успели занять — записывает на следующее лучшее и говорит об этом (если дату указали вы — отвечает N и называет три
ближайших). Отвечает «Записан» (Y или N), «Замерщик», «С», «По», «Текст», «Почему нет». Повторная запись на другое
время — перенос.

The robot books the proposed time, the best one, or the one you name; everything else follows by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from b24app import measuring
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import robot_moment, user_property
from b24app.engine.declare import URGENT, Nothing, Property, Reply, Robot, RobotCall
from b24app.errors import Permanent, Temporary
from b24app.measuring import Diary, Order
from b24app.rules.confirmation import AGREED
from b24app.rules.slots import Board, Job
from b24app.store import visits
from b24app.store.memory import Memory
from b24app.store.visits import Taken, VisitRow, Wanted


@dataclass(frozen=True)
class Booking:
    """What is to be booked: with whom and when, where the consultant says so; `proposed` is what was found before."""

    order: Order
    diary: Diary
    measurer_id: int | None = None
    start: datetime | None = None
    proposed: VisitRow | None = None
    agreed: VisitRow | None = None


@dataclass(frozen=True)
class Booked:
    """The time that is taken, or why none is; `word`: it is another one than was proposed."""

    taken: Wanted | None = None
    start: datetime | None = None
    end: datetime | None = None
    name: str = ""
    when: str = ""
    text: str = ""
    word: str = ""
    why: str = ""
    near: tuple[str, ...] = field(default=())


def read(portal: Portal, call: RobotCall) -> Booking | Nothing:
    """Reads the item, the measurers and their calendars."""
    order = measuring.order_of(portal, call.item, call.properties)
    if isinstance(order, Nothing):
        return order
    diary = measuring.read_diary(portal, order.rules)
    try:
        start = robot_moment(call.properties.get("date"), diary.crew.hours.zone)
    except ValueError as error:
        raise Permanent(str(error)) from None
    return Booking(order, diary, user_property(call.properties.get("measurer")), start)


def recall(memory: Memory, facts: Booking) -> Booking:
    """Adds the visits that take time, and what was proposed."""
    rows = visits.visits_of(memory, str(facts.order.item.ref))
    proposed = next((row for row in rows if row.state in ("proposed", "held")), None)
    agreed = next((row for row in rows if row.state in AGREED), None)
    return replace(facts, diary=facts.diary.recalled(memory), proposed=proposed, agreed=agreed)


def decide(facts: Booking) -> Booked:
    """Returns the time to take."""
    order, diary = facts.order, facts.diary
    if not order.address.text and order.address.latitude is None:
        return Booked(why=measuring.NO_ADDRESS["ru"])
    board = diary.board(without=str(order.item.ref))
    job = diary.job(order.kind, measuring.place_of(order.rules, order.address), order.wish)
    if facts.start is not None:
        preferred = facts.measurer_id or (facts.agreed.measurer_id if facts.agreed is not None else None)
        start = facts.start.replace(minute=facts.start.minute // 5 * 5, second=0, microsecond=0)
        measurer, why = measuring.choose(diary, board, job, start, preferred, only=facts.measurer_id is not None)
        if measurer is None:
            near = board.nearest(job, start, facts.measurer_id)
            return Booked(why=(why or measuring.NOBODY)["ru"], near=tuple(measuring.slot_when(slot) for slot in near))
        return _booked(facts, measurer, start)
    proposed = facts.proposed
    if proposed is not None and facts.measurer_id in (None, proposed.measurer_id):
        if board.why(proposed.measurer_id, proposed.starts_at, job) is None:
            return _booked(facts, proposed.measurer_id, proposed.starts_at)
        then = _best(facts, board, job)
        old = measuring.when(proposed.starts_at, proposed.ends_at, diary.crew.zone(proposed.measurer_id))
        return replace(then, word=f"предложенное время ({old}) уже занято, записано следующее лучшее")
    return _best(facts, board, job)


def _best(facts: Booking, board: Board, job: Job) -> Booked:
    wanted = facts.measurer_id
    slots = board.best(job, 1) if wanted is None else board.nearest(job, job.earliest, wanted, 1)
    if not slots:
        return Booked(why="свободного времени нет")
    return _booked(facts, slots[0].measurer.id, slots[0].start)


def _booked(facts: Booking, measurer_id: int, start: datetime) -> Booked:
    order, diary = facts.order, facts.diary
    taken = measuring.wanted(
        order.item,
        order.kind,
        diary,
        measurer_id,
        start,
        order.address,
        source="robot",
        address_given=order.address_given,
    )
    calendar, name = diary.calendar(measurer_id), diary.crew.name(measurer_id)
    return Booked(
        taken,
        taken.starts_at.astimezone(calendar.zone),
        taken.ends_at.astimezone(calendar.zone),
        name=name,
        when=measuring.when(taken.starts_at, taken.ends_at, calendar.zone),
        text=f"{calendar.walk_between(taken.starts_at, taken.ends_at).text('ru')}; {name}",
    )


def remember(memory: Memory, decision: Booked) -> None:
    """Takes the time; somebody was faster: the robot decides again at once."""
    if decision.taken is None:
        return
    try:
        visits.take(memory, decision.taken)
    except Taken:
        raise Temporary.after("время только что заняли / taken just now", timedelta(seconds=1)) from None


def answer(decision: Booked) -> Reply:
    """Returns booked, measurer, from, to, text, reason."""
    taken = decision.taken
    if taken is None:
        near = f". Ближайшее свободное: {'; '.join(decision.near)}" if decision.near else ""
        values = {"booked": "N", "measurer": "", "from": "", "to": "", "text": "", "reason": f"{decision.why}{near}"}
        return Reply(values, f"Не записан: {decision.why}{near}")
    values = {
        "booked": "Y",
        "measurer": f"user_{taken.measurer_id}",
        "from": decision.start.isoformat() if decision.start is not None else "",
        "to": decision.end.isoformat() if decision.end is not None else "",
        "text": decision.text,
        "reason": decision.word,
    }
    word = f" ({decision.word})" if decision.word else ""
    return Reply(values, f"Замер записан: {decision.when}, {decision.name}{word}")


ROBOT = Robot(
    code="book_measurement",
    name={"ru": "Записать на замер", "en": "Book the measurement"},
    description={
        "ru": "Занимает время замерщика; подтверждение, задачи и SMS идут дальше сами",
        "en": "Takes a measurer's time; confirmation, tasks and the SMS follow by themselves",
    },
    properties=(
        Property("measurer", {"ru": "Замерщик (пусто — любой)", "en": "Measurer (empty: anybody)"}, "user"),
        Property("date", {"ru": "Дата и время (пусто — лучшее)", "en": "Date and time (empty: the best)"}, "datetime"),
        *measuring.ORDER_PROPERTIES,
    ),
    returns=(
        Property("booked", {"ru": "Записан", "en": "Booked"}, "bool"),
        Property("measurer", {"ru": "Замерщик", "en": "Measurer"}, "user"),
        Property("from", {"ru": "С", "en": "From"}, "datetime"),
        Property("to", {"ru": "По", "en": "To"}, "datetime"),
        Property("text", {"ru": "Текст", "en": "Text"}, "text"),
        Property("reason", {"ru": "Почему нет", "en": "Why not"}, "text"),
    ),
    decision=Booked,
    priority=URGENT,
    read=read,
    recall=recall,
    decide=decide,
    remember=remember,
    answer=answer,
)
