"""Who measures, when they can, and why not: the measurers' diary. Shared by the look at a visit, robots and pages.

The people and the office hours are a snapshot a few minutes old; busy times are asked where a slot is looked for, one
request for everybody; what our own visits take is read in the transaction that decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from b24app import distribution as desk
from b24app import process as card_desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.translate import address_of, with_schedule
from b24app.distribution import Pool, Team
from b24app.engine.declare import Nothing, Property
from b24app.entities import DEAL, LEAD, Address, Interval, Item, ItemRef, User
from b24app.errors import Permanent
from b24app.playbook import WEEKDAYS, Measurement, Playbook, WorkKind
from b24app.process import ProcessOnPortal, normal_code
from b24app.rules import slots, stage_gate
from b24app.rules.confirmation import AGREED
from b24app.rules.slots import NOWHERE, PARTS, Board, Busy, Job, Place, Slot, Wish
from b24app.rules.stage_gate import Card
from b24app.rules.working_time import Text, WorkCalendar, day_text
from b24app.store import visits
from b24app.store.memory import Memory
from b24app.store.visits import VisitRow, Wanted

LATELY = timedelta(days=30)
"""The visits of so many days, and all that are to come, count for fairness."""
DAY = timedelta(days=1)
PEOPLE_AT_ONCE = 100
"""Busy times of so many people are one command of the batch."""
LONGEST_WAY = 180
"""Minutes: a longer way by coordinates is a mistake in the address."""
NO_ADDRESS: Text = {"ru": "не заполнен адрес", "en": "the address is not filled in"}


@dataclass(frozen=True)
class Crew:
    """The measurers of a portal. `hours` are the office's; `head` is whom their questions go to."""

    people: tuple[User, ...]
    head: User | None
    hours: WorkCalendar

    def person(self, id: int) -> User | None:
        """Returns the measurer of this number, or None: dismissed, or none (any more)."""
        return next((one for one in self.people if one.id == id), None)

    def name(self, id: int) -> str:
        """Returns a measurer's name, as far as we know it."""
        person = self.person(id)
        return person.name if person is not None else f"сотрудник {id}"

    def zone(self, id: int) -> ZoneInfo:
        """Returns the measurer's time zone: his own, else the office's."""
        person = self.person(id)
        try:
            return ZoneInfo(person.time_zone) if person is not None and person.time_zone else self.hours.zone
        except (ZoneInfoNotFoundError, ValueError):
            return self.hours.zone


@dataclass(frozen=True)
class Diary:
    """The measurers' time as values: `intervals` as the portal says, `rows` are the visits that take time."""

    now: datetime
    rules: Measurement
    crew: Crew
    calendars: Mapping[int, WorkCalendar] = field(default_factory=dict)
    intervals: Mapping[int, tuple[Interval, ...]] = field(default_factory=dict)
    rows: tuple[VisitRow, ...] = ()
    loads: Mapping[int, int] = field(default_factory=dict)

    def recalled(self, memory: Memory) -> Diary:
        """Returns the diary with what our own database knows right now; whoever else decides waits for us."""
        visits.serialise(memory)
        visits.number_entries(memory)
        rows = tuple(visits.occupying(memory, since=memory.now - DAY))
        return replace(self, rows=rows, loads=visits.loads(memory, since=memory.now - LATELY))

    def board(self, without: str = "") -> Board:
        """Returns everybody's free time; `without`: as if the visit of this item did not stand."""
        rules, policy = self.rules, self._policy()
        people = [
            slots.Measurer(
                id=person.id,
                name=person.name,
                calendar=self.calendars.get(person.id, self.crew.hours),
                zones=frozenset(rule.zones) if (rule := _rule(rules, person.id)) is not None else frozenset(),
                skills=frozenset(rule.skills) if rule is not None else frozenset(),
                load=self.loads.get(person.id, 0),
            )
            for person in self.crew.people
        ]
        first = self.now.astimezone(self.crew.hours.zone).date()
        busy = {person.id: list(self._busy(person.id, without)) for person in people}
        return Board(people, policy, first, busy)

    def _policy(self) -> slots.Policy:
        rules = self.rules
        travel = slots.Travel(longest=0)
        if not rules.travel.inside_work:
            ways = {way.zones: way.minutes for way in rules.travel.ways}
            longest = max(LONGEST_WAY, rules.travel.usual_minutes, *ways.values())
            travel = slots.Travel(rules.travel.usual_minutes, ways, rules.travel.km_per_hour, longest)
        return slots.Policy(
            step=rules.step_minutes,
            buffer=rules.buffer_minutes,
            daily_limit=rules.daily_limit,
            travel=travel,
            travel_inside=not rules.travel.inside_work and rules.travel.inside_hours,
            horizon_days=rules.horizon_days,
            over_lunch=rules.over_lunch,
            over_night=rules.over_night,
        )

    def _busy(self, measurer_id: int, without: str) -> Sequence[Busy]:
        """The portal's busy times but for the entries of our own visits, which we know better, and our visits."""
        mine = [row for row in self.rows if row.measurer_id == measurer_id]
        entries = {row.calendar_id for row in self.rows if row.calendar_id is not None}
        times = {(row.starts_at, row.ends_at) for row in mine}
        found = [
            Busy(one.start, one.end)
            for one in self.intervals.get(measurer_id, ())
            if one.id not in entries and (one.start, one.end) not in times
        ]
        return found + [
            Busy(row.starts_at, row.ends_at, Place(row.zone, row.latitude, row.longitude), visit=True)
            for row in mine
            if row.entity != without
        ]

    def job(self, kind: WorkKind, place: Place = NOWHERE, wish: Wish = Wish()) -> Job:  # noqa: B008 a frozen value
        """Returns what is to be done, not earlier than the rules allow from now on."""
        earliest = self.crew.hours.add_working(self.now, timedelta(minutes=self.rules.earliest_minutes))
        return Job(timedelta(minutes=kind.minutes), earliest, place, frozenset(kind.skills), wish)

    def end_of(self, measurer_id: int, start: datetime, kind: WorkKind) -> datetime:
        """Returns when work of this kind that begins then is over, by the measurer's own hours."""
        calendar = self.calendars.get(measurer_id, self.crew.hours)
        return calendar.add_working(start, timedelta(minutes=kind.minutes))

    def calendar(self, measurer_id: int) -> WorkCalendar:
        """Returns the hours of a measurer."""
        return self.calendars.get(measurer_id, self.crew.hours)


def _rule(rules: Measurement, user_id: int) -> Any:
    return next((one for one in rules.measurers if one.user == user_id), None)


# reading


def rules_of(portal: Portal, entity_type_id: int) -> Measurement | None:
    """Returns the rules of measurements for items of this type, or None where the playbook has none."""
    rules = portal.playbook.measurement
    return rules if rules is not None and entity_type_id == {"lead": LEAD, "deal": DEAL}[rules.process] else None


def read_crew(portal: Portal, rules: Measurement) -> Crew:
    """Returns the measurers: from the snapshot, or in up to three requests."""
    team: Team = desk.read_team(portal, Pool(rules.department, rules.users, rules.sub_departments))
    people = [user for user in team.users if user.active]
    if rules.head_measures and team.head is not None and team.head.active and not rules.users:
        people.insert(0, team.head)
    return Crew(tuple(people), team.head, team.hours)


def diary_reads(
    crew: Crew, rules: Measurement, now: datetime, *, since: date | None = None, until: date | None = None
) -> dict[str, reads.Read[Any]]:
    """Returns the reads of the measurers' busy times, from today to the end of the horizon, and of their schedules."""
    today = now.astimezone(crew.hours.zone).date()
    first, last = since or today, until or today + timedelta(days=rules.horizon_days)
    ids = [person.id for person in crew.people]
    asked: dict[str, reads.Read[Any]] = {
        f"busy_{place}": reads.busy(ids[place : place + PEOPLE_AT_ONCE], first - DAY, last + DAY, crew.hours.zone)
        for place in range(0, len(ids), PEOPLE_AT_ONCE)
    }
    schedules = {rule.schedule for rule in rules.measurers if rule.schedule is not None}
    return asked | {f"schedule_{id}": reads.schedule(id) for id in sorted(schedules)}


def optional_reads(asked: Mapping[str, Any]) -> frozenset[str]:
    """Labels without which slots are found all the same: a schedule that cannot be read leaves the usual hours."""
    return frozenset(label for label in asked if label.startswith("schedule_"))


def diary_of(found: Found, crew: Crew, rules: Measurement, now: datetime) -> Diary:
    """Returns the diary that the answers to `diary_reads` describe.

    Raises the portal's refusal to tell busy times: a slot that may be taken is not offered.
    """
    intervals: dict[int, tuple[Interval, ...]] = {}
    for label in found:
        if label.startswith("busy_"):
            intervals |= found[label]
    schedules = {label.removeprefix("schedule_"): found.maybe(label, None) for label in found}
    calendars = {person.id: _calendar(crew, rules, person, schedules) for person in crew.people}
    return Diary(now, rules, crew, calendars, intervals)


def _calendar(crew: Crew, rules: Measurement, person: User, schedules: Mapping[str, Any]) -> WorkCalendar:
    """A measurer's hours: his shifts of the playbook, else his schedule on the portal, else the office's; his zone."""
    rule = _rule(rules, person.id)
    calendar = replace(crew.hours, time_zone=crew.zone(person.id).key)
    if rule is None:
        return calendar
    if rule.shifts:
        own = dict(calendar.shifts) | {WEEKDAYS[day]: shifts for day, shifts in rule.shifts.items()}
        return replace(calendar, shifts=frozenset(own.items()))
    value = schedules.get(str(rule.schedule))
    return with_schedule(calendar, value) if value is not None else calendar


def read_diary(portal: Portal, rules: Measurement, *, since: date | None = None, until: date | None = None) -> Diary:
    """Reads the measurers and their busy times: one request, more where the snapshot is old."""
    crew, now = read_crew(portal, rules), portal.now
    asked = diary_reads(crew, rules, now, since=since, until=until)
    found = portal.read(asked, optional=optional_reads(asked)) if asked else Found({})
    return diary_of(found, crew, rules, now)


# the card


def is_dated(playbook: Playbook, item: Item) -> bool:
    """Tells whether an item names the time of its measurement, by the fields that were read of it."""
    rules, process = playbook.measurement, playbook.process(item.ref.entity_type_id)
    date = process.field(rules.date) if rules is not None and process is not None else None
    wanted = normal_code(date.code) if date is not None else ""
    return any(normal_code(name) == wanted for name in item.custom)


def work_of(rules: Measurement, card: Card) -> WorkKind:
    """Returns the kind of work that the card asks for: the first that applies, else the first."""
    return next((kind for kind in rules.work if stage_gate.applies(kind.only_if, card)), rules.work[0])


def work_named(rules: Measurement, key: str) -> WorkKind | None:
    """Returns the kind of work of this key or name."""
    wanted = key.strip().lower()
    return next((kind for kind in rules.work if wanted in (kind.key, kind.name.ru.lower(), kind.name.en.lower())), None)


def address_in(on: ProcessOnPortal, rules: Measurement, raw: Mapping[str, Any]) -> Address:
    """Returns the address that the card names."""
    value = card_desk.raw_value(raw, on.field_code(rules.address))
    if isinstance(value, list):
        value = next((one for one in value if one), None)
    return address_of(value)


def place_of(rules: Measurement, address: Address) -> Place:
    """Returns where an address lies: the first zone one of whose words stands in it, and its coordinates."""
    text = address.text.lower()
    zone = next((one for one in rules.zones if any(word.lower() in text for word in one.words)), None)
    key, name = (zone.key, zone.name) if zone is not None else ("", "")
    return Place(key, address.latitude, address.longitude, name)


@dataclass(frozen=True)
class Order:
    """A measurement as a robot was asked for it: of which item, which work, where, and when it suits the client."""

    item: Item
    rules: Measurement
    kind: WorkKind
    address: Address
    wish: Wish
    address_given: bool = False


ORDER_PROPERTIES = (
    Property(
        "work",
        {"ru": "Вид работ (пусто — по карточке)", "en": "Kind of work (empty: by the item)"},
        "string",
    ),
    Property("address", {"ru": "Адрес (пусто — из карточки)", "en": "Address (empty: the item's)"}, "string"),
    Property(
        "part",
        {"ru": "Когда удобно", "en": "When it suits"},
        "select",
        default="any",
        options={
            "any": {"ru": "В любое время", "en": "At any time"},
            "morning": {"ru": "Утром", "en": "In the morning"},
            "afternoon": {"ru": "Днём", "en": "In the afternoon"},
            "evening": {"ru": "Вечером", "en": "In the evening"},
        },
    ),
)
"""What robots that look for a time are asked beside their own."""


def order_of(portal: Portal, ref: ItemRef, asked: Mapping[str, Any]) -> Order | Nothing:
    """Reads the item and returns what is asked for; a portal without the applied process is read by the playbook."""
    rules = rules_of(portal, ref.entity_type_id)
    process = portal.playbook.process(ref.entity_type_id)
    if rules is None or process is None:
        return Nothing("в сценарии нет замеров / the playbook has no measurements")
    on = card_desk.process_on(portal, ref.entity_type_id) or ProcessOnPortal(process, ref.entity_type_id)
    raw = card_desk.card_or_none(portal.read({"card": card_desk.card_read(ref)}), "card")
    if raw is None:
        return Nothing("элемента уже нет / the item is gone")
    named, text = str(asked.get("work") or "").strip(), str(asked.get("address") or "").strip()
    kind = work_named(rules, named) if named else work_of(rules, card_desk.card_of(on, raw))
    if kind is None:
        raise Permanent(f"нет вида работ «{named}» / no such kind of work")
    part = str(asked.get("part") or "any")
    return Order(
        item=card_desk.item_of(ref, raw),
        rules=rules,
        kind=kind,
        address=Address(text) if text else address_in(on, rules, raw),
        wish=Wish(parts=frozenset({part})) if part in PARTS else Wish(),  # type: ignore[arg-type]
        address_given=bool(text),
    )


def wanted(
    item: Item,
    kind: WorkKind,
    diary: Diary,
    measurer_id: int,
    start: datetime,
    address: Address,
    *,
    source: str,
    booked_by: int = 0,
    hold_until: datetime | None = None,
    address_given: bool = False,
) -> Wanted:
    """Returns the time to take for the item."""
    place = place_of(diary.rules, address)
    return Wanted(
        entity=str(item.ref),
        title=item.title,
        work=kind.key,
        measurer_id=measurer_id,
        starts_at=start,
        ends_at=diary.end_of(measurer_id, start, kind),
        address=address.text,
        address_given=address_given,
        zone=place.zone,
        latitude=place.latitude,
        longitude=place.longitude,
        booked_by=booked_by,
        source=source,
        hold_until=hold_until,
    )


def choose(
    diary: Diary, board: Board, job: Job, start: datetime, preferred: int | None, *, only: bool
) -> tuple[int | None, Text | None]:
    """Returns (measurer, None) for a time that somebody named, or (None, why nobody can come then).

    The preferred one where he is free; without `only` the fairest of the others who are.
    """
    why = board.why(preferred, start, job) if preferred is not None else None
    if preferred is not None and (why is None or only):
        return (preferred, None) if why is None else (None, why)
    free = [one for one in board.measurers if one.id != preferred and board.why(one.id, start, job) is None]
    if free:
        return min(free, key=lambda one: (one.load, one.id)).id, None
    if why is None:
        reasons = [board.why(one.id, start, job) for one in board.measurers]
        why = next((one for one in reasons if one is not None), NOBODY)
        if len({one["ru"] for one in reasons if one is not None}) > 1:
            why = {"ru": "в это время никто из замерщиков не свободен", "en": "no measurer is free at that time"}
    return None, why


NOBODY: Text = {"ru": "замерщиков нет", "en": "there are no measurers"}


# what goes wrong


def problem_of(diary: Diary, row: VisitRow) -> str:
    """Returns why a visit needs another measurer: `absent`, `busy` (something else was put over it), `gone` (dismissed,
    or none of them any more), or "".
    """
    if row.state not in AGREED or row.ends_at <= diary.now:
        return ""
    if diary.crew.person(row.measurer_id) is None:
        return "gone"
    over = [
        one.absent
        for one in diary.intervals.get(row.measurer_id, ())
        if one.start < row.ends_at
        and row.starts_at < one.end
        # his own entry is no reason; nor is one whose number we do not know yet
        and (one.absent or (one.id != row.calendar_id and row.calendar_id is not None))
    ]
    return "" if not over else "absent" if any(over) else "busy"


def problem_text(problem: str, crew: Crew, row: VisitRow) -> Text:
    """Returns the problem of a visit in words."""
    name = crew.name(row.measurer_id)
    if problem == "absent":
        return {"ru": f"{name} отсутствует", "en": f"{name} is away"}
    if problem == "busy":
        return {"ru": f"{name} занят другим", "en": f"{name} is busy with something else"}
    return {"ru": f"{name} больше не замерщик", "en": f"{name} is no measurer any more"}


def replacement(diary: Diary, row: VisitRow) -> Offer | None:
    """Returns who could come instead: at the same time where somebody is free, else at the nearest one."""
    board, job = diary.board(without=row.entity), diary.job(*task_of(diary.rules, row))
    job = replace(job, earliest=diary.now)  # the client waits for somebody, however short the notice
    others = [one for one in board.measurers if one.id != row.measurer_id]
    free = [one for one in others if board.why(one.id, row.starts_at, job) is None]
    if free:
        one = min(free, key=lambda other: (other.load, other.id))
        end = diary.end_of(one.id, row.starts_at, work_named(diary.rules, row.work) or diary.rules.work[0])
        same = {"ru": "то же время", "en": "the same time"}
        zone = one.calendar.zone
        return Offer(
            one.id, one.name, row.starts_at.astimezone(zone), end, when(row.starts_at, end, zone), same["ru"], "A"
        )
    near = board.nearest(job, row.starts_at)
    return offer(near[0]) if near else None


def task_of(rules: Measurement, row: VisitRow) -> tuple[WorkKind, Place]:
    """Returns what a visit is about: the kind of work, and where."""
    kind = work_named(rules, row.work) or rules.work[0]
    name = next((zone.name for zone in rules.zones if zone.key == row.zone), "")
    return kind, Place(row.zone, row.latitude, row.longitude, name)


# words


def when(start: datetime, end: datetime, zone: ZoneInfo, language: str = "ru") -> str:
    """Returns «Пт 27.11 10:00–14:00» as the clock of the zone says."""
    begin, close = start.astimezone(zone), end.astimezone(zone)
    until = f"{close:%H:%M}"
    if close.date() != begin.date():
        until = f"{day_text(close.date(), language, close.year)} {until}"
    return f"{day_text(begin.date(), language, begin.year)} {begin:%H:%M}–{until}"


def slot_when(slot: Slot, language: str = "ru") -> str:
    """Returns a slot's time, with its measurer's name."""
    return f"{when(slot.start, slot.end, slot.measurer.calendar.zone, language)}, {slot.measurer.name}"


@dataclass(frozen=True)
class Offer:
    """A slot as values for an answer: `text` is the sum of hours spelled out."""

    measurer_id: int
    name: str
    start: datetime
    end: datetime
    when: str
    text: str
    grade: str


def offer(slot: Slot, language: str = "ru") -> Offer:
    """Returns a slot as it is offered to people."""
    return Offer(
        measurer_id=slot.measurer.id,
        name=slot.measurer.name,
        start=slot.start,
        end=slot.end,
        when=when(slot.start, slot.end, slot.measurer.calendar.zone, language),
        text=slot.text(language),
        grade=slot.grade,
    )


def map_link(rules: Measurement, address: Address) -> str:
    """Returns the address of the place on a map, or "" where nothing is known of it."""
    if not address.text and address.latitude is None:
        return ""
    text = address.text or f"{address.latitude},{address.longitude}"
    return rules.map_url.format(
        address=quote(text),
        latitude="" if address.latitude is None else address.latitude,
        longitude="" if address.longitude is None else address.longitude,
    )


def tab_path(ref: ItemRef) -> str:
    """Returns the portal's own path of the item's card, where the tab is."""
    return f"/crm/{'deal' if ref.entity_type_id == DEAL else 'lead'}/details/{ref.id}/"
