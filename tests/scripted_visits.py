"""Visits as values, and a company with measurers on the scripted portal: calendars, tasks, the card's fields."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from scripted_company import Company
from scripted_portal import ANNA, HEAD, MEMBER, OWNER, Bench, ScriptedRest

from b24app.bitrix.calls import Answer
from b24app.bitrix.portal import Portal
from b24app.distribution import Team
from b24app.engine.clock import Clock
from b24app.engine.declare import Catalogue
from b24app.entities import LEAD, CalendarEntry, Interval, ItemRef, User
from b24app.errors import NotFound
from b24app.measuring import Crew, Diary
from b24app.playbook import Measurement, Playbook, load_playbook
from b24app.process import PortalField, PortalStage, PortalTask, ProcessOnPortal, normal_code
from b24app.rules.confirmation import State
from b24app.rules.working_time import WorkCalendar
from b24app.sms.gateway import Message, Sent
from b24app.stage_work import Office
from b24app.store import schema, visits
from b24app.store.applied import Applied
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.process_memory import TaskRow
from b24app.store.visits import VisitRow, Wanted
from b24app.visit_words import Seen
from handlers import HANDLERS, TIMERS
from robots import ROBOTS

# values

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=MOSCOW)
"""A Monday. The office works from 9 to 18: a working day is nine hours."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLEG, PAUL, CHIEF = 21, 22, 20
PLAYBOOK = load_playbook()
PERSON, DATE, ADDRESS = "UF_CRM_B24_MEASURER", "UF_CRM_B24_MEASURE_AT", "UF_CRM_B24_ADDRESS"
FIELDS = {
    normal_code(one.code): PortalField(one.code, one.name.ru, one.type) for one in PLAYBOOK.lead.fields if one.own
}
STAGES = {one.id: PortalStage(one.id, one.name.ru) for one in PLAYBOOK.lead.stages}
ON = ProcessOnPortal(PLAYBOOK.lead, LEAD, {"lead.stage:new": "NEW"}, FIELDS, STAGES)
HOURS = WorkCalendar()
OFFICE = Office(
    NOW, Team("department:5", (User(ANNA, "Анна"),), User(HEAD, "Глава"), None, HOURS), OWNER,
    "https://acme.bitrix24.ru", "local.1",
)  # fmt: skip
CREW = Crew((User(OLEG, "Олег", phones=("8 916 200-00-21",)), User(PAUL, "Павел")), User(CHIEF, "Мастер"), HOURS)
REF = ItemRef(LEAD, 42)
START = datetime(2026, 11, 26, 10, 0, tzinfo=MOSCOW)
"""Thursday: more than one working day from NOW. The client is asked on Wednesday from 10 to 14."""
CONFIRM_AT, CONFIRM_UNTIL = START - DAY, START - DAY + 4 * HOUR


def rules(**changes: Any) -> Measurement:
    """The kitchen shop's rules of measurements."""
    assert PLAYBOOK.measurement is not None
    return PLAYBOOK.measurement.model_copy(update=changes)


def works(*minutes: int) -> dict[str, Any]:
    """Kinds of work beside the kitchen of 180 minutes, as the playbook would say them: work_120, work_240."""
    kitchen = rules().work[0]
    more = [kitchen.model_copy(update={"key": f"work_{one}", "minutes": one}) for one in minutes]
    return {"work": (kitchen, *more)}


def row(state: State = "booked", **changes: Any) -> VisitRow:
    """A visit that was taken a moment ago: nobody was told of it yet."""
    start = changes.get("starts_at", START)
    values: dict[str, Any] = {
        "id": 7, "entity": "lead:42", "round": 1, "work": "kitchen", "measurer_id": OLEG, "starts_at": start,
        "ends_at": start + 3 * HOUR, "state": state, "shown": "", "title": "Кухня", "address": "Лесная, 5",
        "address_given": False, "zone": "", "latitude": 55.75, "longitude": 37.6, "booked_by": ANNA, "source": "tab",
        "agreed": False,
        "hold_until": None, "confirm_at": None, "told": 0, "calendar_id": None, "entry_delivery": None, "problem": "",
        "reason": "", "made_at": NOW, "changed_at": NOW,
    }  # fmt: skip
    return VisitRow(**{**values, **changes})


def standing(state: State = "confirming", **changes: Any) -> VisitRow:
    """A visit that card, calendar and people know in this state."""
    known: dict[str, Any] = {"shown": state, "entry_delivery": 5, "calendar_id": 501}
    if state == "confirming":
        known["confirm_at"] = CONFIRM_AT
    return row(state, **{**known, **changes})


def raw(*told: VisitRow, **fields: Any) -> dict[str, Any]:
    """The card, as we last wrote it for that visit."""
    written = {PERSON: told[0].measurer_id, DATE: told[0].starts_at.isoformat()} if told else {}
    return {
        "id": 42,
        "title": "Кухня",
        "stageId": "B24_MEASUREMENT",
        "stageSemanticId": "P",
        "assignedById": ANNA,
        "createdBy": ANNA,
        "createdTime": NOW.isoformat(),
        "updatedBy": ANNA,
        "fm": [{"typeId": "PHONE", "value": "+79123456789"}],
        "comments": "Домофон [b]не[/b] работает",
        ADDRESS: "Лесная, 5|55.75;37.6|12",
        "UF_CRM_B24_PRELIMINARY_SUM": "250000|RUB",
        **written,
        **fields,
    }


def seen(*rows: VisitRow, by: Measurement | None = None, **changes: Any) -> Seen:
    """The item with these visits, the newest first, by these rules; the card says what we last wrote there."""
    told = [one for one in rows if one.entry_delivery is not None and one.shown != "cancelled"]
    facts = Seen(REF, by or rules(), PLAYBOOK, OFFICE, CREW, ON, raw=raw(*told), rows=rows)
    return replace(facts, **changes)


def at(now: datetime, facts: Seen) -> Seen:
    """The same, looked at then."""
    return replace(facts, office=replace(facts.office, now=now))


def diary(*rows: VisitRow, hours: WorkCalendar = HOURS, **intervals: Sequence[Interval]) -> Diary:
    """The measurers' time with these visits; busy times by name: oleg, paul."""
    busy = {{"oleg": OLEG, "paul": PAUL}[name]: tuple(some) for name, some in intervals.items()}
    return Diary(NOW, rules(), replace(CREW, hours=hours), intervals=busy, rows=rows)


def task(rule: str, id: int = 77, round: int = 1) -> TaskRow:
    """An open task of a visit."""
    return TaskRow(id, "lead:42", f"visit:{rule}", "", round, "open", NOW)


def closed(id: int = 77, status: int = 5) -> dict[int, PortalTask | None]:
    """The task as somebody left it on the portal."""
    return {id: PortalTask(id, status, ANNA)}


def entry(start: datetime = START, end: datetime | None = None) -> CalendarEntry:
    """The calendar entry of the visit as it stands now."""
    return CalendarEntry(501, OLEG, start, end or start + 3 * HOUR)


def want(entity: str = "lead:42", start: datetime = START, measurer: int = OLEG, **changes: Any) -> Wanted:
    """A time to book."""
    values = {"title": "Кухня", "work": "kitchen", "starts_at": start, "ends_at": start + 3 * HOUR}
    return Wanted(entity, **{**values, "measurer_id": measurer, **changes})


# a company


def around_the_clock(**measurement: Any) -> Playbook:
    """The kitchen shop in an office that never closes, so that tests pass at any time of day; three hours' work."""
    changes = {"head_measures": False, "earliest_minutes": 0, **measurement}
    quiet = PLAYBOOK.sms.quiet_from
    return PLAYBOOK.model_copy(
        update={
            "hours": PLAYBOOK.hours.model_copy(update={"time_zone": "UTC", "country": ""}),
            "sms": PLAYBOOK.sms.model_copy(update={"quiet_to": quiet}),
            "measurement": rules(**changes),
        }
    )


class Shop(Company):
    """A company with the department «Замеры»: its head, Oleg and Paul; with calendars and the card's fields."""

    def __init__(self) -> None:
        super().__init__()
        for id, name in ((CHIEF, "Мастер"), (OLEG, "Олег"), (PAUL, "Павел")):
            self.people[id] = {"ID": str(id), "ACTIVE": True, "NAME": name, "UF_DEPARTMENT": [7]}
        self.departments.append({"ID": "7", "NAME": "Замеры", "PARENT": "1", "UF_HEAD": str(CHIEF)})
        self.busy: dict[int, list[dict[str, Any]]] = {}
        self.entries: dict[int, dict[str, Any]] = {}
        self.checklists: list[dict[str, Any]] = []
        self.results: dict[int, list[str]] = {}
        self.entry_ids = itertools.count(501)

    def lead(self, **fields: Any) -> int:
        """Puts a lead with an address on the stage where measurements are agreed; returns its number."""
        known = {"title": "Кухня", "assignedById": ANNA, "updatedBy": ANNA, "stageId": "B24_MEASUREMENT"}
        return self.make(**{**known, ADDRESS: "Лесная, 5|55.75;37.6|12", **fields})

    def away(self, measurer: int, start: datetime, end: datetime, kind: str = "busy") -> None:
        """Puts something of his own into a measurer's calendar: busy, or absent."""
        stamps = {"DATE_FROM_TS_UTC": int(start.timestamp()), "DATE_TO_TS_UTC": int(end.timestamp())}
        self.busy.setdefault(measurer, []).append({"ID": "9000", "ACCESSIBILITY": kind, **stamps})

    def task(self, rule: str) -> dict[str, Any]:
        """Returns the newest task whose title begins so."""
        return next(one for one in reversed(self.tasks) if one["title"].startswith(rule))

    # the portal's answers

    def calendar_settings_get(self, _: Any) -> Any:
        return {"work_time_start": "0", "work_time_end": "24", "week_holidays": [], "year_holidays": ""}

    def calendar_accessibility_get(self, params: Mapping[str, Any]) -> Any:
        return {str(id): [*self.busy.get(id, []), *self._entries_of(id)] for id in params["users"]}

    def _entries_of(self, owner: int) -> list[dict[str, Any]]:
        return [one for one in self.entries.values() if one["OWNER_ID"] == str(owner)]

    def calendar_event_add(self, params: Mapping[str, Any]) -> Any:
        id = next(self.entry_ids)
        start, end = (int(datetime.fromisoformat(params[name]).timestamp()) for name in ("from", "to"))
        self.entries[id] = {
            "ID": str(id), "OWNER_ID": str(params["ownerId"]), "NAME": params["name"], "ACCESSIBILITY": "busy",
            "DESCRIPTION": params["description"], "DATE_FROM_TS_UTC": start, "DATE_TO_TS_UTC": end,
        }  # fmt: skip
        return id

    def calendar_event_getbyid(self, params: Mapping[str, Any]) -> Any:
        return self.entries.get(int(params["id"])) or NotFound("Событие не найдено", code="ERROR_NOT_FOUND")

    def calendar_event_delete(self, params: Mapping[str, Any]) -> Any:
        return self.entries.pop(int(params["id"]), None) is not None

    def tasks_task_get(self, params: Mapping[str, Any]) -> Any:
        found = next((one for one in self.tasks if int(one["id"]) == int(params["taskId"])), None)
        return NotFound("нет задачи", code="1048582") if found is None else {"task": _shown(found)}

    def tasks_task_list(self, params: Mapping[str, Any]) -> Any:
        wanted = params["filter"]
        found = [one for one in self.tasks if int(one["id"]) in wanted["ID"]]
        return {"tasks": [_shown(one) for one in found if one.get("status", 2) == wanted["REAL_STATUS"]]}

    def tasks_task_update(self, params: Mapping[str, Any]) -> Any:
        for one in self.tasks:
            if int(one["id"]) == int(params["taskId"]):
                one.update({name.lower(): value for name, value in params["fields"].items()})
        return {"task": True}

    def tasks_task_result_list(self, params: Mapping[str, Any]) -> Any:
        return [{"text": text} for text in self.results.get(int(params["taskId"]), [])]

    def task_checklistitem_add(self, params: Mapping[str, Any]) -> Any:
        self.checklists.append({"TASK": int(params["TASKID"]), "IS_COMPLETE": "N", **params["FIELDS"]})
        return len(self.checklists)

    def task_checklistitem_getlist(self, params: Mapping[str, Any]) -> Any:
        return [one for one in self.checklists if one["TASK"] == int(params["TASKID"])]

    def crm_item_fields(self, _: Any) -> Any:
        own = [one for one in PLAYBOOK.lead.fields if one.own]
        return {"fields": {one.code: {"type": one.type, "formLabel": one.name.ru} for one in own}}

    def crm_status_list(self, params: Mapping[str, Any]) -> Any:
        if params.get("filter", {}).get("ENTITY_ID") == "STATUS":
            return [{"STATUS_ID": one.id, "NAME": one.name.ru} for one in PLAYBOOK.lead.stages]
        return super().crm_status_list(params)

    def crm_activity_list(self, _: Any) -> Any:
        return Answer([], datetime.now(UTC), total=0)

    def crm_timeline_comment_list(self, _: Any) -> Any:
        return []


def _shown(task: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": task["id"], "status": task.get("status", 2), "responsibleId": task["responsibleId"]}


@dataclass
class Phones:
    """A gateway that takes everything."""

    sent: list[tuple[str, str]]

    def send(self, message: Message) -> Sent:
        self.sent.append((message.phone, message.text))
        return Sent("1")


class VisitBench(Bench):
    """A bench over a shop, its process applied unless it is said otherwise."""

    def __init__(self, database: Database, shop: Shop, playbook: Playbook, *, applied: bool = True) -> None:
        catalogue = Catalogue(robots=ROBOTS, handlers=HANDLERS, timers=TIMERS)
        super().__init__(database, ScriptedRest(shop), catalogue, playbook=playbook)
        self.shop, self.phones = shop, Phones([])
        if applied:
            Applied(database, MEMBER).record("lead.stage:new", "NEW", made=True)

    def open_portal(self, member_id: str, urgent: bool = False) -> Portal:
        """Returns the portal with a gateway."""
        portal = super().open_portal(member_id, urgent)
        portal.sms = self.phones
        return portal

    def take(self, wanted: Wanted, *, look: bool = True) -> VisitRow:
        """Takes a time as a page of ours does; then everything about it is written."""
        with self.database.write() as connection:
            taken = visits.take(Memory(self.database, connection, MEMBER), wanted)
        if look:
            self.run()
        return self.visits(wanted.entity, taken.id)[0]

    def visits(self, entity: str, id: int = 0) -> list[VisitRow]:
        """Returns the item's visits, the newest first; that one alone."""
        with self.database.write() as connection:
            one = Memory(self.database, connection, MEMBER)
            visits.number_entries(one)
            return [row for row in visits.visits_of(one, entity) if id in (0, row.id)]

    def look(self, entity: str) -> int:
        """Lets the item be looked at; returns how many deliveries that took."""
        with self.database.write() as connection:
            visits.look(Memory(self.database, connection, MEMBER), entity)
        return self.run()

    def hurry(self) -> int:
        """Every timer falls due."""
        with self.database.write() as connection:
            connection.execute(sa.update(schema.timers).values(due_at=datetime.now(UTC)))
        Clock(self.inbox, self.runner.catalogue, self.rung.append).fire_timers(datetime.now(UTC))
        return self.run()

    def order(self, code: str, lead: int, **properties: Any) -> dict[str, Any]:
        """Lets a robot run for a lead; returns the values of its answer."""
        token = f"tok.{len(self.shop.answers)}"
        document = ["crm", "CCrmDocumentLead", f"LEAD_{lead}"]
        self.robot(code, f"lead:{lead}", document_id=document, event_token=token, properties=properties)
        self.run()
        return dict(self.shop.answers[-1]["RETURN_VALUES"])


TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def later(days: int, hour: int = 10) -> datetime:
    """That hour, so many days from the day on which these tests began, UTC."""
    return TODAY + days * DAY + hour * HOUR
