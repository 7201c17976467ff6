"""A visit as it stands, and what people read about it: texts, tasks, the calendar entry, the card's fields, the SMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from b24app import measuring, texting
from b24app import process as card_desk
from b24app.bitrix.translate import moment, number, phone_text
from b24app.entities import Address, CalendarEntry, Item, ItemRef
from b24app.measuring import Crew, Diary
from b24app.playbook import Measurement, Playbook
from b24app.process import PortalTask, ProcessOnPortal
from b24app.rules.confirmation import AGREED
from b24app.rules.intake import plain
from b24app.rules.working_time import day_text
from b24app.stage_work import VISIT_TASK, NewTask, Office
from b24app.store import visits
from b24app.store.memory import Memory
from b24app.store.process_memory import TaskRow
from b24app.store.visits import VisitRow
from b24app.visit_work import AGREE, CONFIRM, HEAD, MEASURE, Entry, Retold, sms_key

AGREE_MINUTES = 120
"""Working minutes within which a new date is agreed, or a head decides."""


@dataclass(frozen=True)
class Seen:
    """An item with its visits (the newest first) as everything stands now. `raw` is None where the item is gone."""

    ref: ItemRef
    rules: Measurement
    playbook: Playbook
    office: Office
    crew: Crew
    on: ProcessOnPortal | None = None
    raw: Mapping[str, Any] | None = None
    client: Item | None = None
    rows: tuple[VisitRow, ...] = ()
    tasks: tuple[TaskRow, ...] = ()
    on_portal: Mapping[int, PortalTask | None] = field(default_factory=dict)
    nobody_home: bool = False
    entry_seen: bool = False
    entry: CalendarEntry | None = None
    fields_written: bool = True
    diary: Diary | None = None

    # what composing an SMS asks for

    @property
    def now(self) -> datetime:
        """The present, in the office's zone."""
        return self.office.now

    @property
    def owner_id(self) -> int:
        """Whose token we work with."""
        return self.office.owner_id

    # the item

    @property
    def item(self) -> Item:
        """The item; only where it is there."""
        return card_desk.item_of(self.ref, self.raw or {})

    @property
    def there(self) -> bool:
        """Whether the item is there."""
        return self.raw is not None

    @property
    def manager_id(self) -> int:
        """Who agrees with the client."""
        return (self.item.assigned_by_id if self.there else 0) or self.office.owner_id

    # the visits

    @property
    def agreed(self) -> VisitRow | None:
        """The visit for which the client waits."""
        return next((row for row in self.rows if row.state in AGREED), None)

    @property
    def told(self) -> VisitRow | None:
        """The visit that card and calendar were told of last."""
        return next((row for row in self.rows if row.entry_delivery is not None), None)

    def open_tasks(self, rule: str = VISIT_TASK, round: int | None = None) -> list[TaskRow]:
        """Returns the open tasks of visits whose rule begins so."""
        return [
            task
            for task in self.tasks
            if task.state == "open" and task.rule.startswith(rule) and round in (None, task.round)
        ]


# the card's two fields


def in_card(on: ProcessOnPortal, rules: Measurement, raw: Mapping[str, Any]) -> tuple[int | None, datetime | None]:
    """Returns (measurer, start) as the card says."""
    person = card_desk.raw_value(raw, on.field_code(rules.measurer))
    if isinstance(person, list):
        person = next((one for one in person if one), None)
    return number(person), moment(card_desk.raw_value(raw, on.field_code(rules.date)))


def last_written(rows: Sequence[VisitRow]) -> tuple[int | None, datetime | None]:
    """Returns what we last wrote into the card, by the visits, the newest first."""
    told = next((row for row in rows if row.entry_delivery is not None), None)
    return (None, None) if told is None or told.shown == "cancelled" else (told.measurer_id, told.starts_at)


def is_same(measurer: int | None, start: datetime | None, expected: tuple[int | None, datetime | None]) -> bool:
    """Tells whether the card says what we wrote there; it keeps whole minutes."""
    if measurer != expected[0] or (start is None) != (expected[1] is None):
        return False
    return start is None or expected[1] is None or abs(start - expected[1]) < timedelta(minutes=1)


def asks_for_a_look(
    memory: Memory, rules: Measurement | None, on: ProcessOnPortal, ref: ItemRef, raw: Mapping[str, Any] | None
) -> bool:
    """Tells whether a changed item concerns its visit: it is gone or declined, or names another time or address."""
    if rules is None:
        return False
    rows = visits.visits_of(memory, str(ref))
    standing = next((row for row in rows if row.occupying), None)
    if raw is None or raw.get("stageSemanticId") == "F":
        return standing is not None
    if standing is not None and standing.state in AGREED:
        address = measuring.address_in(on, rules, raw).text
        if address and address != standing.address and not standing.address_given:
            return True
    measurer, start = in_card(on, rules, raw)
    return (start is not None or bool(rows)) and not is_same(measurer, start, last_written(rows))


# words and pieces


def has_fields(facts: Seen) -> bool:
    """Tells whether the portal has the card's two fields, «Замерщик» and «Дата замера»."""
    on = facts.on
    return on is not None and all(on.portal_field(key) is not None for key in (facts.rules.measurer, facts.rules.date))


def local(facts: Seen, at: datetime) -> datetime:
    return at.astimezone(facts.office.team.hours.zone)


def when(facts: Seen, row: VisitRow) -> str:
    return measuring.when(row.starts_at, row.ends_at, facts.crew.zone(row.measurer_id))


def moment_of(facts: Seen, row: VisitRow | None, at: datetime) -> str:
    there = at.astimezone(facts.crew.zone(row.measurer_id) if row is not None else facts.crew.hours.zone)
    return f"{day_text(there.date(), 'ru', facts.now.year)} {there:%H:%M}"


def card_link(facts: Seen) -> str:
    return facts.office.card(facts.ref, facts.item.title if facts.there else "")


def reason(row: VisitRow) -> str:
    """The Russian half of a reason; the table keeps both for whoever reads it."""
    text = row.reason.partition(" / ")[0]
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def words(facts: Seen, row: VisitRow, *, bbcode: bool) -> dict[str, str]:
    """Returns the words that texts of the playbook fill in; empty ones leave a dash."""
    zone = facts.crew.zone(row.measurer_id)
    start = row.starts_at.astimezone(zone)
    person = facts.crew.person(row.measurer_id)
    country = facts.playbook.intake.country
    item, rules = facts.item, facts.rules
    phones = item.phones or (facts.client.phones if facts.client is not None else ())
    emails = item.emails or (facts.client.emails if facts.client is not None else ())
    link = measuring.map_link(rules, Address(row.address, row.latitude, row.longitude))
    total = ""
    if facts.on is not None and facts.raw is not None and rules.sum is not None:
        total = card_desk.text_of(facts.on, card_desk.card_of(facts.on, facts.raw), rules.sum)
    kind = measuring.work_named(rules, row.work)
    found = {
        "title": item.title,
        "phone": phone_text(phones[0], country) if phones else "",
        "email": emails[0] if emails else "",
        "link": facts.office.link(facts.ref),
        "address": row.address,
        "when": when(facts, row),
        "date": day_text(start.date(), "ru", start.year),
        "time": f"{start:%H:%M}",
        "measurer": facts.crew.name(row.measurer_id),
        "measurer_phone": phone_text(person.phones[0], country) if person is not None and person.phones else "",
        "sum": total,
        "comments": str((facts.raw or {}).get("comments") or ""),
        "work": kind.name.ru if kind is not None else row.work,
        "map": link,
    }
    found = {name: (plain(value) if bbcode else value).strip() or "—" for name, value in found.items()}
    if bbcode and link:
        found["map"] = f"[URL={link}]Открыть на карте[/URL]"
    return found


def entry(facts: Seen, row: VisitRow) -> Entry:
    return Entry(
        visit_id=row.id,
        owner_id=row.measurer_id,
        name=f"Замер: {plain(row.title)}",
        start=local(facts, row.starts_at),
        end=local(facts, row.ends_at),
        description=f"{plain(row.address)}\n{facts.office.link(facts.ref)}",
        location=row.address,
    )


def card_values(facts: Seen, row: VisitRow | None) -> dict[str, Any]:
    """Returns the two fields of the card for this visit, or empty ones."""
    if facts.on is None or not has_fields(facts):
        return {}
    person, date = (facts.on.field_code(key) for key in (facts.rules.measurer, facts.rules.date))
    if row is None:
        return {person: "", date: ""}
    return {person: row.measurer_id, date: local(facts, row.starts_at).isoformat()}


def task(
    facts: Seen,
    rule: str,
    row: VisitRow,
    title: str,
    text: str,
    responsible_id: int,
    *,
    start: datetime | None = None,
    deadline: datetime | None = None,
) -> NewTask:
    return NewTask(
        place=0,
        rule=rule,
        stage="",
        round=row.round,
        title=title[:250],
        description=text,
        responsible_id=responsible_id,
        deadline=local(facts, deadline) if deadline is not None else facts.office.deadline(AGREE_MINUTES),
        start_plan=local(facts, start) if start is not None else None,
    )


def confirm_task(facts: Seen, row: VisitRow, start: datetime, deadline: datetime) -> NewTask:
    said, rules = words(facts, row, bbcode=True), facts.rules
    text = f"{rules.confirm_text.format(**said)}\n\nЗа один рабочий день до замера: {moment_of(facts, None, start)}."
    title = rules.confirm_task.format(**said)
    return task(facts, CONFIRM, row, title, text, facts.manager_id, start=start, deadline=deadline)


def measure_task(facts: Seen, row: VisitRow) -> NewTask:
    said, rules = words(facts, row, bbcode=True), facts.rules
    title, text = rules.measurer_task.format(**said), rules.measurer_text.format(**said)
    made = task(facts, MEASURE, row, title, text, row.measurer_id, start=row.starts_at, deadline=row.ends_at)
    items = (*rules.checklist.items, rules.not_home)
    return replace(made, checklists=(rules.checklist.model_copy(update={"items": items}),))


def retold(facts: Seen, row: VisitRow, task_id: int) -> Retold:
    """Returns the measurer's task with the visit as it is now."""
    made = measure_task(facts, row)
    return Retold(task_id, made.title, made.description)


def agree_task(facts: Seen, row: VisitRow, text: str) -> NewTask:
    """The manager agrees a new date with the client."""
    title = f"Согласовать новую дату замера: {plain(facts.item.title)}"
    return task(facts, AGREE, row, title, text, facts.manager_id)


def head_task(facts: Seen, row: VisitRow, count: int) -> NewTask:
    """The client moves his date again and again: his manager's head decides (K28)."""
    text = (
        f"Замер назначают уже {count}-й раз: {when(facts, row)}.\n{card_link(facts)}\n\n"
        "Решите, согласовывать ли дальше или вести клиента иначе."
    )
    title = f"Замер переносят в {count}-й раз: {plain(facts.item.title)}"
    return task(facts, HEAD, row, title, text, facts.office.head_id)


def booked_note(facts: Seen, row: VisitRow, state: str) -> str:
    """The card in the timeline: when, who, the sum of working hours spelled out, and what comes next."""
    calendar = replace(facts.crew.hours, time_zone=facts.crew.zone(row.measurer_id).key)
    sum_of = calendar.walk_between(row.starts_at, row.ends_at).text("ru")
    after = (
        "замерщик и клиент получают сообщения" if state == "confirmed" else "за рабочий день клиента спросят ещё раз"
    )
    again = f", круг {row.round}" if row.round > 1 else ""
    return (
        f"[B]Замер назначен{again}:[/B] {when(facts, row)}, {plain(facts.crew.name(row.measurer_id))}\n{sum_of}\n"
        f"Адрес: {plain(row.address) or '—'}\nДальше: {after}."
    )


def measurer_notice(facts: Seen, row: VisitRow) -> str:
    said = words(facts, row, bbcode=True)
    return f"Замер {said['when']}: {said['address']}. {said['map']}\n{card_link(facts)}, тел. {said['phone']}"


def sms(facts: Seen, row: VisitRow) -> texting.Texting:
    item = facts.item
    clients = [item, *([facts.client] if facts.client is not None else [])]
    composed = texting.compose(
        facts,
        item,
        key=sms_key(row),
        numbers=[phone for client in clients for phone in client.phones],
        text=facts.rules.sms.format(**words(facts, row, bbcode=False)),
    )
    return texting.apart(composed, facts.now)
