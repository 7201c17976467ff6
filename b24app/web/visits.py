"""What the buttons of the tab «Замер» and of the board ask: POST /visits/<action>. Free of the web framework.

A time is taken in our database while the person waits, one transaction; everything else about it is done by a worker
(handlers/visit.py). Who presses must be able to change the card himself: the portal is asked with his own token.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from b24app import measuring
from b24app import process as card_desk
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Portal
from b24app.distribution import pool_of, read_team
from b24app.entities import Address, ItemRef
from b24app.errors import AccessDenied, B24AppError, Malformed, NotFound, Rejected
from b24app.measuring import Crew, Diary, offer
from b24app.pages import board as board_page
from b24app.pages import visit as tab
from b24app.pages.frame import Look
from b24app.playbook import Measurement, WorkKind
from b24app.process import ProcessOnPortal
from b24app.rules.confirmation import AGREED, STATES
from b24app.rules.slots import PARTS, Board, Job, Wish
from b24app.rules.working_time import Text
from b24app.services import Services
from b24app.store import visits
from b24app.store.memory import Memory
from b24app.store.visits import Taken, VisitRow
from b24app.web.gate import Gate, Passes, Visitor
from b24app.web.incoming import MAX_SECRET_LENGTH
from b24app.web.proof import Person, item_of, open_portal, prove

log = logging.getLogger(__name__)

SHOWN = 10
NEAR = 3
MAX_TEXT = 500
TAKEN_NOW: Text = {"ru": "это время только что заняли", "en": "it was taken just now"}


@dataclass(frozen=True)
class Acting:
    """A person who may change the item, with the item as he sees it. `portal` reads with our own token."""

    look: Look
    portal: Portal
    rules: Measurement
    person: Person
    ref: ItemRef
    on: ProcessOnPortal
    raw: Mapping[str, Any]

    @property
    def entity(self) -> str:
        """The item's key."""
        return str(self.ref)

    @property
    def address(self) -> Address:
        """The address in the card."""
        return measuring.address_in(self.on, self.rules, self.raw)


class Visits:
    """The actions by name; errors are b24app.errors."""

    def __init__(self, services: Services, gate: Gate, passes: Passes) -> None:
        self._services = services
        self._gate = gate
        self._passes = passes
        self._actions = {
            "find": self._find,
            "hold": self._hold,
            "book": self._book,
            "address": self._address,
        }

    def act(self, action: str, authorization: str, wish: Any) -> dict[str, Any]:
        """Does what a page asks; returns what it shows."""
        visitor = self._passes.read(authorization)
        if not isinstance(wish, dict):
            raise Malformed("нужен объект JSON / a JSON object is needed")
        if action == "board":
            return self._board(visitor, wish)
        if action in self._actions:
            return self._actions[action](self._acting(visitor, wish, item_of(wish.get("entity"))), wish)
        if action in ("release", "happen", "move", "replace"):
            return self._about_visit(action, visitor, wish)
        raise NotFound("такого действия нет / there is no such action")

    # who may

    def _opened(self, visitor: Visitor) -> tuple[Look, Portal, Measurement]:
        row = self._gate.known(visitor.member_id)
        if row is None or not row.active:
            raise Rejected("приложение удалено с портала / the application was removed from the portal")
        portal = open_portal(self._services, row.member_id)
        rules = portal.playbook.measurement
        if rules is None:
            raise NotFound("в сценарии нет замеров / the playbook has no measurements")
        return Look(self._services, visitor.language, row.origin), portal, rules

    def _acting(self, visitor: Visitor, wish: Mapping[str, Any], ref: ItemRef) -> Acting:
        """Proves that this person may change the item: the portal writes its responsible again, nothing changes."""
        look, portal, rules = self._opened(visitor)
        if measuring.rules_of(portal, ref.entity_type_id) is None:
            raise NotFound("для таких карточек замеров нет / no measurements for such items")
        on = card_desk.process_on(portal, ref.entity_type_id)
        if on is None:
            raise NotFound("сценарий не применён / the playbook is not applied")
        person, answers = prove(portal.rest.rest_as(_token(wish)), _rights(ref))
        if person.id != visitor.user_id:
            raise Rejected("ключ другого сотрудника / the token is somebody else's")
        for answer in (answers.get("item"), answers.get("may")):
            if isinstance(answer, B24AppError):
                raise answer
        item = answers.get("item")
        raw = card_desk.card_read(ref).parse(item) if isinstance(item, Answer) else None
        if raw is None:
            raise NotFound("карточки нет / there is no such card")
        return Acting(look, portal, rules, person, ref, on, raw)

    # times

    def _find(self, acting: Acting, wish: Mapping[str, Any]) -> dict[str, Any]:
        """The best free times for the item, and on request why a measurer or a day offers none."""
        if not acting.address.text and acting.address.latitude is None:
            return {"slots": [], "said": acting.look.word(measuring.NO_ADDRESS), "why": None, "needs_address": True}
        diary = self._recalled(acting)
        board, job = self._asked(acting, wish, diary)
        slots = [board_page.proposed(acting.look, offer(one, acting.look.language)) for one in board.best(job, SHOWN)]
        why = None
        if wish.get("explain") is True or not slots:
            explained = board.explain(job)
            names = {one.id: one.name for one in diary.crew.people}
            why = {
                "measurers": [
                    {"name": names[id], "why": acting.look.word(text)} for id, text in explained.measurers.items()
                ],
                "days": [
                    {"day": day.isoformat(), "why": acting.look.word(text)} for day, text in explained.days.items()
                ],
            }
        none = acting.look.text("Свободного времени нет", "There is no free time")
        return {"slots": slots, "said": "" if slots else none, "why": why, "needs_address": False}

    def _hold(self, acting: Acting, wish: Mapping[str, Any]) -> dict[str, Any]:
        until = datetime.now(UTC) + timedelta(minutes=acting.rules.hold_minutes)
        return self._take(acting, wish, until)

    def _book(self, acting: Acting, wish: Mapping[str, Any]) -> dict[str, Any]:
        return self._take(acting, wish, None)

    def _take(self, acting: Acting, wish: Mapping[str, Any], hold_until: datetime | None) -> dict[str, Any]:
        """Takes the time if it still is free, one transaction; else says why not and what is free near it."""
        if not acting.address.text and acting.address.latitude is None:
            return {"done": False, "said": acting.look.word(measuring.NO_ADDRESS), "slots": []}
        measurer, start = _measurer(wish), _start(wish)
        diary = measuring.read_diary(acting.portal, acting.rules)
        kind = self._kind(acting, wish)
        place = measuring.place_of(acting.rules, acting.address)
        with self._memory(acting.portal) as memory:
            diary = diary.recalled(memory)
            board, job = diary.board(without=acting.entity), diary.job(kind, place)
            why = board.why(measurer, start, job)
            row = None
            if why is None:
                item = card_desk.item_of(acting.ref, acting.raw)
                wanted = measuring.wanted(
                    item, kind, diary, measurer, start, acting.address,
                    source="tab", booked_by=acting.person.id, hold_until=hold_until,
                )  # fmt: skip
                try:
                    row = visits.take(memory, wanted)
                except Taken:
                    why = TAKEN_NOW
        if row is None:
            return self._late(acting.look, board, job, start, why or TAKEN_NOW)
        return self._taken(acting.look, acting.rules, diary.crew, row)

    def _taken(self, look: Look, rules: Measurement, crew: Crew, row: VisitRow) -> dict[str, Any]:
        at = measuring.when(row.starts_at, row.ends_at, crew.zone(row.measurer_id), look.language)
        name = crew.name(row.measurer_id)
        said = look.text(f"Записан: {at}, {name}", f"Booked: {at}, {name}")
        if row.state == "held":
            said = look.text(
                f"Держим {rules.hold_minutes} мин: {at}, {name}", f"Held {rules.hold_minutes} min: {at}, {name}"
            )
        return {"done": True, "said": said, "visit": tab.described(look, rules, crew, row)}

    def _late(self, look: Look, board: Board, job: Job, start: datetime, why: Text) -> dict[str, Any]:
        near = [offer(one, look.language) for one in board.nearest(job, start, None, NEAR)]
        said = look.word(why)
        said = said[:1].upper() + said[1:] + "."
        if near:
            times = "; ".join(f"{one.when}, {one.name}" for one in near)
            said += " " + look.text(f"Ближайшее: {times}", f"The nearest: {times}")
        return {"done": False, "said": said, "slots": [board_page.proposed(look, one) for one in near]}

    def _address(self, acting: Acting, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the address into the card, with the person's own token."""
        text = wish.get("address")
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
            raise Malformed(acting.look.word(measuring.NO_ADDRESS))
        fields = {acting.on.field_code(acting.rules.address): text.strip()}
        params = {
            "entityTypeId": acting.ref.entity_type_id,
            "id": acting.ref.id,
            "fields": fields,
            "useOriginalUfNames": "Y",
        }
        acting.portal.rest.rest_as(_token(wish)).call(Call("crm.item.update", params))
        return {"done": True, "said": acting.look.text("Адрес записан", "The address is kept")}

    # visits

    def _about_visit(self, action: str, visitor: Visitor, wish: Mapping[str, Any]) -> dict[str, Any]:
        look, portal, rules = self._opened(visitor)
        with portal.memory() as memory:
            row = visits.visit(memory, _id(wish.get("visit")))
        if row is None:
            raise NotFound("такого замера нет / there is no such visit")
        crew = measuring.read_crew(portal, rules)
        person = self._person_for(visitor, portal, wish, row, crew)
        match action:
            case "release":
                return self._release(look, portal, row)
            case "happen":
                return self._happen(look, portal, rules, crew, row, wish, person)
            case "move":
                return self._move(look, portal, rules, row, _measurer(wish), _start(wish), person)
            case _:
                return self._replace(look, portal, rules, row, person)

    def _person_for(
        self, visitor: Visitor, portal: Portal, wish: Mapping[str, Any], row: VisitRow, crew: Crew
    ) -> Person:
        """Who may act on a visit: whoever may change the card, and the head of the measurers."""
        person, answers = prove(portal.rest.rest_as(_token(wish)), _rights(ItemRef.parse(row.entity)))
        if person.id != visitor.user_id:
            raise Rejected("ключ другого сотрудника / the token is somebody else's")
        refusal = answers.get("may")
        heads = {crew.head.id} if crew.head is not None else set()
        if isinstance(refusal, B24AppError) and not person.admin and person.id not in heads:
            raise AccessDenied("эту карточку вы менять не можете / you may not change this item")
        return person

    def _release(self, look: Look, portal: Portal, row: VisitRow) -> dict[str, Any]:
        with self._memory(portal) as memory:
            released = row.state == "held" and visits.turn(memory, row, "cancel")
            if released:
                memory.drop_timer(visits.hold_timer(row.entity))
                visits.look(memory, row.entity)
        if not released:
            raise NotFound("удержания уже нет / the hold is over")
        return {"done": True, "said": look.text("Время отпущено", "The time is free again")}

    def _happen(
        self,
        look: Look,
        portal: Portal,
        rules: Measurement,
        crew: Crew,
        row: VisitRow,
        wish: Mapping[str, Any],
        person: Person,
    ) -> dict[str, Any]:
        """The client confirmed, the visit is cancelled, done, or nobody was at home."""
        how = wish.get("how")
        if how not in tab.BUTTONS:
            raise Malformed("непонятное действие / an unknown action")
        reason = str(wish.get("reason") or "").strip()[:MAX_TEXT] or person.name
        with self._memory(portal) as memory:
            current = visits.visit(memory, row.id) or row
            done = tab.may_happen(current, how, memory.now) and visits.turn(memory, current, how, reason=reason)
            if done:
                visits.look(memory, row.entity)
            now = visits.visit(memory, row.id) or row
        if not done:
            state = look.word(STATES[now.state])
            return {"done": False, "said": look.text(f"Замер уже другой: {state}", f"The visit has changed: {state}")}
        return {"done": True, "said": look.word(STATES[now.state]), "visit": tab.described(look, rules, crew, now)}

    def _move(
        self,
        look: Look,
        portal: Portal,
        rules: Measurement,
        row: VisitRow,
        measurer: int,
        start: datetime,
        person: Person,
    ) -> dict[str, Any]:
        """Another measurer or another time; the cycle of agreeing begins anew where the time is another one."""
        kind, place = measuring.task_of(rules, row)
        diary = measuring.read_diary(portal, rules)
        with self._memory(portal) as memory:
            diary = diary.recalled(memory)
            current = visits.visit(memory, row.id)
            if current is None or current.state not in AGREED:
                changed = look.text("Замер уже другой, обновите график", "The visit has changed, refresh the board")
                return {"done": False, "said": changed, "slots": []}
            board, job = diary.board(without=row.entity), diary.job(kind, place)
            why = board.why(measurer, start, job)
            taken = None
            if why is None:
                wanted = visits.Wanted(
                    entity=row.entity, title=row.title, work=row.work, measurer_id=measurer, starts_at=start,
                    ends_at=diary.end_of(measurer, start, kind), address=row.address, zone=row.zone,
                    latitude=row.latitude, longitude=row.longitude, booked_by=person.id, source="board",
                )  # fmt: skip
                try:
                    taken = visits.take(memory, wanted)
                except Taken:
                    why = TAKEN_NOW
        if taken is None:
            return self._late(look, board, job, start, why or TAKEN_NOW)
        said = self._taken(look, rules, diary.crew, taken)
        at, name = said["visit"]["when"], said["visit"]["name"]
        return {**said, "said": look.text(f"Замер перенесён: {at}, {name}", f"Moved: {at}, {name}")}

    def _replace(self, look: Look, portal: Portal, rules: Measurement, row: VisitRow, person: Person) -> dict[str, Any]:
        """The visit goes to whoever is proposed instead."""
        diary = measuring.read_diary(portal, rules)
        with portal.database.write() as connection:
            diary = diary.recalled(Memory(portal.database, connection, portal.member_id))
        proposal = measuring.replacement(diary, row)
        if proposal is None:
            said = look.text("Свободной замены нет: согласуйте с клиентом другой день", "Nobody is free instead")
            return {"done": False, "said": said, "slots": []}
        return self._move(look, portal, rules, row, proposal.measurer_id, proposal.start.astimezone(UTC), person)

    # the board

    def _board(self, visitor: Visitor, wish: Mapping[str, Any]) -> dict[str, Any]:
        look, portal, rules = self._opened(visitor)
        first, last = _day(wish.get("from")), _day(wish.get("to"))
        if not first < last <= first + timedelta(days=board_page.LONGEST):
            raise Malformed("непонятные дни / the days are not understood")
        today = portal.now.date()
        ahead = today + timedelta(days=rules.horizon_days)
        if first <= ahead and today <= last:
            diary = measuring.read_diary(portal, rules, since=min(first, today), until=max(last, ahead))
        else:  # somebody looks elsewhere: the days between are nothing that he or a proposal needs
            diary, there = (
                measuring.read_diary(portal, rules),
                measuring.read_diary(portal, rules, since=first, until=last),
            )
            both = {id: (*busy, *there.intervals.get(id, ())) for id, busy in diary.intervals.items()}
            diary = replace(diary, intervals=both)
        zone = diary.crew.hours.zone
        low, high = (datetime.combine(day, datetime.min.time(), zone) for day in (first, last))
        with portal.database.write() as connection:
            memory = Memory(portal.database, connection, portal.member_id)
            diary = diary.recalled(memory)
            rows = visits.on_board(memory, since=low, until=high)
        return board_page.answer(look, diary, rows, first, last, knows=knows(portal, visitor, diary.crew))

    # pieces

    def _recalled(self, acting: Acting) -> Diary:
        diary = measuring.read_diary(acting.portal, acting.rules)
        with acting.portal.database.write() as connection:
            return diary.recalled(Memory(acting.portal.database, connection, acting.portal.member_id))

    def _kind(self, acting: Acting, wish: Mapping[str, Any]) -> WorkKind:
        named = wish.get("work")
        if not named:
            return measuring.work_of(acting.rules, card_desk.card_of(acting.on, acting.raw))
        kind = measuring.work_named(acting.rules, str(named))
        if kind is None:
            raise Malformed("нет такого вида работ / no such kind of work")
        return kind

    def _asked(self, acting: Acting, wish: Mapping[str, Any], diary: Diary) -> tuple[Board, Job]:
        parts, days = wish.get("parts") or [], wish.get("not_weekdays") or []
        if not isinstance(parts, list) or not isinstance(days, list) or not all(isinstance(one, str) for one in parts):
            raise Malformed("непонятное пожелание / the wish is not understood")
        wished = Wish(
            parts=frozenset(part for part in parts if part in PARTS),
            not_weekdays=frozenset(day for day in days if isinstance(day, int) and 0 <= day < 7),
            strict=wish.get("strict") is True,
        )
        place = measuring.place_of(acting.rules, acting.address)
        return diary.board(without=acting.entity), diary.job(self._kind(acting, wish), place, wished)

    @contextmanager
    def _memory(self, portal: Portal) -> Any:
        """One short transaction; what it orders is rung for once it is kept."""
        with portal.database.write() as connection:
            memory = Memory(portal.database, connection, portal.member_id)
            visits.serialise(memory)
            yield memory
            visits.watch(memory)
        for id in memory.new_deliveries:
            self._services.doorbell.ring(id)


def knows(portal: Portal, visitor: Visitor, crew: Crew) -> bool:
    """Tells whether a visitor may see whose visits these are: sellers, measurers, their heads, administrators."""
    if visitor.admin:
        return True
    sales = read_team(portal, pool_of(portal.playbook))
    people = (*crew.people, crew.head, *sales.users, sales.head, sales.fallback)
    return any(one is not None and one.id == visitor.user_id for one in people)


def _rights(ref: ItemRef) -> dict[str, Call]:
    """The card, and a write of what stands there: nothing is saved, but whoever may not change it is refused."""
    same = {"assignedById": "$result[item][item][assignedById]"}
    params = {"entityTypeId": ref.entity_type_id, "id": ref.id, "fields": same}
    return {"item": card_desk.card_read(ref).call, "may": Call("crm.item.update", params)}


def _token(wish: Mapping[str, Any]) -> str:
    token = wish.get("token")
    if not isinstance(token, str) or not token or len(token) > MAX_SECRET_LENGTH:
        raise Malformed("нет ключа / no token")
    return token


def _id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**62:
        raise Malformed("непонятный номер / the number is not understood")
    return value


def _measurer(wish: Mapping[str, Any]) -> int:
    return _id(wish.get("measurer"))


def _start(wish: Mapping[str, Any]) -> datetime:
    """The time that a page names, aware, at a multiple of five minutes, as an instant."""
    try:
        start = datetime.fromisoformat(str(wish.get("start")))
    except ValueError:
        raise Malformed("непонятное время / the time is not understood") from None
    if start.tzinfo is None or not 2000 <= start.year < 2100:
        raise Malformed("непонятное время / the time is not understood")
    return start.replace(minute=start.minute // 5 * 5, second=0, microsecond=0).astimezone(UTC)


def _day(value: Any) -> date:
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise Malformed("непонятный день / the day is not understood") from None
    if not 2000 <= day.year < 2100:
        raise Malformed("непонятный день / the day is not understood")
    return day
