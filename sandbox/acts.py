"""Controls: what people do by hand in calendars, tasks and deliveries, and the working schedules of the company."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox import entries, flows, orders, tasks
from sandbox.controls import PARTS, ControlError, control, lines, moment, only, person
from sandbox.crm_kinds import DEAL
from sandbox.method import Actor, Row, as_int
from sandbox.methods import staff
from sandbox.portal import Portal

if TYPE_CHECKING:
    from sandbox.world import World

# --- calendars --------------------------------------------------------------------------------------------------------

_TEXTS = {"name": "NAME", "description": "DESCRIPTION", "location": "LOCATION", "importance": "IMPORTANCE",
    "color": "COLOR"}  # fmt: skip
_FACTS = (
    *_TEXTS, "accessibility", "from", "to", "whole_day", "timezone", "private", "crm", "attendees", "rrule",
)  # fmt: skip


def _shown(portal: Portal, row: Row) -> Row:
    """An entry as a person sees it; of a recurring one also its times around now."""
    made = {
        "id": row["ID"], "type": row["CAL_TYPE"], "owner_id": row["OWNER_ID"], "name": row["NAME"],
        "description": row["DESCRIPTION"], "from": portal.iso(row["FROM"]), "to": portal.iso(row["TO"]),
        "whole_day": row["SKIP_TIME"] == "Y", "timezone": row["TZ"], "accessibility": row["ACCESSIBILITY"],
        "private": row["PRIVATE"], "location": row["LOCATION"], "crm": row["CRM"], "created_by": row["CREATED_BY"],
        "attendees": row["ATTENDEES"], "answers": row.get("ANSWERS", {}), "section_id": row["SECTION_ID"],
        "version": row["VERSION"], "repeats": entries.rule_text(portal, row) if row.get("RULE") else None,
        "recurrence_id": row.get("RECURRENCE_ID"), "occurrences": [],
    }  # fmt: skip
    if row.get("RULE"):
        now = portal.now()
        spans = entries.occurrences(portal, row, now - 45 * entries.DAY, now + 100 * entries.DAY)
        made["occurrences"] = [[portal.iso(start), portal.iso(finish)] for start, finish in spans]
    return made


# What `GET state` shows of these parts is declared here, beside the acts that change them.
PARTS["calendar"] = lambda portal: [_shown(portal, row) for row in portal["calendar"]]


def _at(value: Any, zone: ZoneInfo, name: str) -> float:
    read = entries.read_moment(value, zone)
    if read is None:
        raise ControlError(f"{name} must be a time")
    return read[0]


def _values(portal: Portal, body: Row, user: Row, row: Row | None = None) -> Row:
    """What the body says of an entry; times of `row` where the body has none (a new `from` alone moves it)."""
    values: Row = {key: str(body[name] or "") for name, key in _TEXTS.items() if name in body}
    if "accessibility" in body:
        if body["accessibility"] not in ("busy", "absent", "quest", "free"):
            raise ControlError("accessibility is busy, absent, quest or free")
        values["ACCESSIBILITY"] = body["accessibility"]
    if "private" in body:
        values["PRIVATE"] = bool(body["private"])
    if "crm" in body:
        values["CRM"] = [str(one) for one in lines(body["crm"], "crm")]
    if "attendees" in body:
        people = [person(portal, one)["ID"] for one in lines(body["attendees"], "attendees")]
        host = row["CREATED_BY"] if row else user["ID"]
        values["ATTENDEES"] = [host, *(one for one in people if one != host)] if people else []
        values["IS_MEETING"] = bool(people)
    zone_name = str(body.get("timezone") or (row["TZ"] if row else entries.zone_of(portal, user)))
    try:
        zone = portal.zone(zone_name)
        if "rrule" in body:
            values["RULE"] = entries.read_rule(body["rrule"], zone)
    except (KeyError, ValueError, OSError) as error:
        raise ControlError(f"timezone or rrule: {error}") from None
    if row is None and ("from" not in body or "to" not in body):
        raise ControlError("from and to are needed")
    if row is None or "timezone" in body:
        values["TZ"] = values["TZ_TO"] = zone_name
    whole = bool(body.get("whole_day", row is not None and row["SKIP_TIME"] == "Y"))
    if {"from", "to", "whole_day"} & set(body):
        old = (row["FROM"], row["TO"]) if row is not None else (0.0, 0.0)
        low = _at(body["from"], zone, "from") if "from" in body else old[0]
        high = _at(body["to"], zone, "to") if "to" in body else low + old[1] - old[0] - whole
        if whole:
            low, high = entries.whole_days(low, high, zone)
        if high < low:
            raise ControlError("to is before from")
        values |= {"FROM": low, "TO": high, "SKIP_TIME": "Y" if whole else "N"}
    return values


def _entry(portal: Portal, path: list[str], body: Row) -> tuple[Row, Row]:
    row = portal["calendar"].get(as_int(path[0]))
    if row is None:
        raise ControlError(f"no calendar entry {path[0]}", 404)
    usual = row["OWNER_ID"] if row["CAL_TYPE"] == "user" else row["CREATED_BY"]
    user = person(portal, body.get("user_id") or usual)
    if not entries.may_edit(user, row):
        raise ControlError("access denied")
    return row, user


def _occurrence(portal: Portal, row: Row, body: Row) -> entries.Span | None:
    if body.get("occurrence") in (None, ""):
        return None
    try:
        day = date.fromisoformat(str(body["occurrence"])[:10])
    except ValueError:
        raise ControlError("occurrence is a date") from None
    span = entries.occurrence_on(portal, row, day) if row.get("RULE") else None
    if span is None:
        raise ControlError(f"the entry does not happen on {day}", 404)
    return span


@control("POST", "calendar")
def create_entry(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person puts an entry into a calendar: his own, the company's, or as an administrator anybody's."""
    only(body, "user_id", "owner_id", "type", *_FACTS)
    with portal.lock:
        kind = str(body.get("type") or "user")
        if kind not in ("user", "company_calendar"):
            raise ControlError("type is user or company_calendar")
        user = person(portal, body.get("user_id") or body.get("owner_id") or 1)
        owner = person(portal, body.get("owner_id") or user["ID"])["ID"] if kind == "user" else 0
        if kind == "user" and owner != user["ID"] and not user["ADMIN"]:
            raise ControlError("access denied")
        values = {"NAME": "Новое событие", **_values(portal, body, user), "CAL_TYPE": kind, "OWNER_ID": owner}
        return _shown(portal, entries.create(portal, values, Actor(user["ID"])))


@control("PATCH", "calendar/<>")
def change_entry(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person moves or edits an entry; `occurrence` (a date) parts that one time from a recurring one."""
    only(body, "user_id", "occurrence", *_FACTS)
    with portal.lock:
        row, user = _entry(portal, path, body)
        span = _occurrence(portal, row, body)
        base = row if span is None else {**row, "FROM": span[0], "TO": span[1]}
        values = _values(portal, body, user, base)
        if span is not None:
            return _shown(portal, entries.split(portal, row, span, values, Actor(user["ID"]), following=False))
        entries.change(portal, row, values, Actor(user["ID"]))
        return _shown(portal, row)


@control("DELETE", "calendar/<>")
def delete_entry(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person deletes an entry, or with `occurrence` leaves one time out of a recurring one."""
    only(body, "user_id", "occurrence")
    with portal.lock:
        row, user = _entry(portal, path, body)
        span = _occurrence(portal, row, body)
        if span is None:
            entries.delete(portal, row, Actor(user["ID"]))
        else:
            day = entries.day_of(span[0], portal.zone(row["TZ"])).isoformat()
            entries.change(portal, row, {"EXDATE": sorted({*row["EXDATE"], day})}, Actor(user["ID"]))
    return {"deleted": True}


@control("POST", "calendar/<>/answer")
def answer_invitation(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person accepts (Y) or declines (N) an invitation, or takes the answer back (Q)."""
    only(body, "user_id", "status")
    if body.get("status") not in ("Y", "N", "Q"):
        raise ControlError("status is Y, N or Q")
    with portal.lock:
        row = portal["calendar"].get(as_int(path[0]))
        user = person(portal, body.get("user_id"))
        if row is None or user["ID"] not in row["ATTENDEES"]:
            raise ControlError(f"no invitation {path[0]}", 404)
        row.setdefault("ANSWERS", {})[str(user["ID"])] = body["status"]
        portal.effect("update", "calendar event", row["ID"], user["ID"], "person", answer=body["status"])
        return _shown(portal, row)


# --- tasks ------------------------------------------------------------------------------------------------------------


def _task(portal: Portal, row: Row) -> Row:
    iso = portal.iso
    return {
        "id": row["ID"], "title": row["TITLE"], "description": row["DESCRIPTION"],
        "responsible_id": row["RESPONSIBLE_ID"], "created_by": row["CREATED_BY"], "status": row["STATUS"],
        "deadline": iso(row["DEADLINE"]), "start_plan": iso(row["START_DATE_PLAN"]),
        "end_plan": iso(row["END_DATE_PLAN"]), "created": iso(row["CREATED_DATE"]), "closed": iso(row["CLOSED_DATE"]),
        "closed_by": row["CLOSED_BY"], "crm": row["UF_CRM_TASK"], "needs_result": tasks.needs_result(row),
        "checklist": [
            {"id": one["ID"], "parent_id": one["PARENT_ID"], "title": one["TITLE"], "done": one["IS_COMPLETE"] == "Y",
                "done_by": one["TOGGLED_BY"] if one["IS_COMPLETE"] == "Y" else None}
            for one in portal["checklist"].where(TASK_ID=row["ID"])
        ],
        "results": [
            {"id": one["ID"], "text": one["TEXT"], "author_id": one["AUTHOR_ID"], "status": one["STATUS"],
                "message_id": one["MESSAGE_ID"] or None, "created": iso(one["CREATED"])}
            for one in tasks.results(portal, row)
        ],
    }  # fmt: skip


PARTS["tasks"] = lambda portal: [_task(portal, row) for row in portal["tasks"]]
_MOVES = {
    "renew": tasks.PENDING, "start": tasks.PROGRESS, "approve": tasks.COMPLETED, "disapprove": tasks.PENDING,
    "pause": tasks.PENDING, "defer": tasks.DEFERRED,
}  # fmt: skip
_FIELDS = {"title": "TITLE", "description": "DESCRIPTION", "responsible_id": "RESPONSIBLE_ID", "deadline": "DEADLINE",
    "start_plan": "START_DATE_PLAN", "end_plan": "END_DATE_PLAN"}  # fmt: skip


def _known(portal: Portal, number: str) -> Row:
    row = portal["tasks"].get(as_int(number))
    if row is None:
        raise ControlError(f"no task {number}", 404)
    return row


@control("PATCH", "tasks/<>")
def change_task(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person edits a task: its words, its responsible, its deadline and plan (null clears a time)."""
    only(body, "user_id", *_FIELDS)
    with portal.lock:
        row = _known(portal, path[0])
        user = person(portal, body.get("user_id") or row["CREATED_BY"])
        values: Row = {}
        for name, key in _FIELDS.items():
            value = body.get(name)
            if name not in body:
                continue
            if name in ("deadline", "start_plan", "end_plan"):
                values[key] = None if value in (None, "") else moment(portal, value, name)
            else:
                values[key] = person(portal, value)["ID"] if name == "responsible_id" else str(value or "")
        may = tasks.actions(row, user)
        if not may["edit"] and not (set(values) <= {"DEADLINE"} and may["changeDeadline"]):
            raise ControlError("access denied")
        _do(lambda: tasks.update(portal, row, values, Actor(user["ID"])))
        return _task(portal, row)


def _do(change: Callable[[], Any]) -> None:
    try:
        change()
    except tasks.TaskError as error:
        raise ControlError(str(error)) from None


@control("DELETE", "tasks/<>")
def delete_task(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "user_id")
    with portal.lock:
        row = _known(portal, path[0])
        user = person(portal, body.get("user_id") or row["CREATED_BY"])
        if not tasks.actions(row, user)["remove"]:
            raise ControlError("access denied")
        tasks.delete(portal, row, Actor(user["ID"]))
    return {"deleted": True}


@control("POST", "tasks/<>/tick")
def tick_item(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person ticks an item of a check-list, or unticks it with `done` false; the item by id or by title."""
    only(body, "user_id", "item_id", "title", "done")
    with portal.lock:
        row = _known(portal, path[0])
        user = person(portal, body.get("user_id") or row["RESPONSIBLE_ID"])
        items = portal["checklist"].where(TASK_ID=row["ID"])
        wanted = as_int(body.get("item_id"))
        item = next(
            (one for one in items if one["ID"] == wanted or (wanted is None and one["TITLE"] == body.get("title"))),
            None,
        )
        if item is None:
            raise ControlError("no such item", 404)
        if not tasks.actions(row, user)["checklist.add"]:
            raise ControlError("access denied")
        tasks.tick(portal, row, item, bool(body.get("done", True)), Actor(user["ID"]))
        return _task(portal, row)


@control("POST", "tasks/<>/result")
def write_result(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person writes into the task (its chat on the new card, a comment on the old one) and pins it as a result."""
    only(body, "user_id", "text")
    with portal.lock:
        row = _known(portal, path[0])
        user = person(portal, body.get("user_id") or row["RESPONSIBLE_ID"])
        if not tasks.can_read(portal, row, user):
            raise ControlError("access denied")
        text, actor = str(body.get("text") or "").strip(), Actor(user["ID"])
        if not text:
            raise ControlError("text must not be empty")
        if portal.settings.task_card == "new":
            message = tasks.say(portal, row, text, actor)
            tasks.add_result(portal, row, text, actor, message=message["ID"])
        else:
            comment = tasks.comment(portal, row, text, actor)
            tasks.add_result(portal, row, text, actor, comment=comment["ID"])
        return _task(portal, row)


@control("POST", "tasks/<>/<>")
def act_on_task(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "user_id", "to_user_id")
    with portal.lock:
        row, action = _known(portal, path[0]), path[1]
        if action not in ("complete", "delegate", "take", *_MOVES):
            raise ControlError(f"no action {action}", 404)
        user = person(portal, body.get("user_id") or row["RESPONSIBLE_ID"])
        allowed = tasks.actions(row, user) | {"take": flows.may_take(portal, row, user)}
        if not allowed[action]:
            raise ControlError("the action is not allowed now")
        actor = Actor(user["ID"])
        if action == "complete":
            _do(lambda: tasks.complete(portal, row, user, actor))
        elif action == "take":
            flows.take(portal, row, user, actor)
        elif action == "delegate":
            to = person(portal, body.get("to_user_id"))["ID"]
            _do(lambda: tasks.delegate(portal, row, to, actor))
        else:
            _do(lambda: tasks.update(portal, row, {"STATUS": _MOVES[action]}, actor))
        return _task(portal, row)


# --- working schedules ------------------------------------------------------------------------------------------------


def _schedule(row: Row) -> Row:
    return {
        "id": row["ID"], "name": row["NAME"], "type": row["TYPE"], "for_all": row["FOR_ALL"],
        "shifts": [
            {"name": one["NAME"], "start": _clock(one["WORK_TIME_START"]), "end": _clock(one["WORK_TIME_END"]),
                "days": one["WORK_DAYS"], "break": one["BREAK_DURATION"]}
            for one in row["SHIFTS"]
        ],
        "exclusions": row["EXCLUSIONS"],
    }  # fmt: skip


PARTS["schedules"] = lambda portal: [_schedule(row) for row in staff.schedules(portal)]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def _seconds(value: Any, name: str) -> int:
    """Seconds from midnight of a number or of "09:00"."""
    found = re.fullmatch(r"(\d{1,2}):(\d\d)", str(value))
    seconds = int(found[1]) * 3600 + int(found[2]) * 60 if found else as_int(value)
    if seconds is None or not 0 <= seconds <= 86400:
        raise ControlError(f"{name} is a time of the day (09:00) or seconds from midnight")
    return seconds


def _shift(given: Any) -> Row:
    if not isinstance(given, dict):
        raise ControlError("a shift is an object with start, end, days")
    only(given, "name", "start", "end", "days", "break")
    days = str(given.get("days", "12345"))
    if not re.fullmatch(r"[1-7]{1,7}", days):
        raise ControlError("days are digits: 1 is Monday, 12345 the five days")
    return {
        "NAME": str(given.get("name") or ""), "BREAK_DURATION": as_int(given.get("break", 3600)) or 0,
        "WORK_TIME_START": _seconds(given.get("start", 32400), "start"),
        "WORK_TIME_END": _seconds(given.get("end", 64800), "end"), "WORK_DAYS": days,
    }  # fmt: skip


@control("POST", "schedules")
def define_schedule(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """Define a working schedule, or define the one of that id anew."""
    only(body, "id", "name", "type", "shifts", "exclusions", "for_all", "user_id")
    if body.get("type", "FIXED") not in ("FIXED", "SHIFT", "FLEXTIME"):
        raise ControlError("type is FIXED, SHIFT or FLEXTIME")
    with portal.lock:
        user = person(portal, body.get("user_id", 1))
        table = staff.schedules(portal)
        values: Row = {}
        if "shifts" in body:
            values["SHIFTS"] = [_shift(one) for one in lines(body["shifts"], "shifts")]
        if "exclusions" in body:
            values["EXCLUSIONS"] = [str(one) for one in lines(body["exclusions"], "exclusions")]
        for name, key in (("name", "NAME"), ("type", "TYPE")):
            if name in body:
                values[key] = str(body[name])
        if "for_all" in body:
            values["FOR_ALL"] = bool(body["for_all"])
        row = table.get(as_int(body.get("id")))
        if row is None:
            usual: Row = {"NAME": "", "TYPE": "FIXED", "FOR_ALL": False, "SHIFTS": [_shift({})], "EXCLUSIONS": [],
                "CREATED": portal.now(), "CREATED_BY": user["ID"]}  # fmt: skip
            if as_int(body.get("id")):
                usual["ID"] = as_int(body["id"])
            row = table.add(usual)
        row.update(values)
        row["UPDATED_BY"] = user["ID"]
        portal.effect("update", "schedule", row["ID"], user["ID"], "person")
        return _schedule(row)


@control("DELETE", "schedules/<>")
def delete_schedule(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    with portal.lock:
        if staff.schedules(portal).remove(as_int(path[0]) or 0) is None:
            raise ControlError(f"no schedule {path[0]}", 404)
    return {"deleted": True}


# --- deliveries -------------------------------------------------------------------------------------------------------


def _price(body: Row) -> float:
    value = body.get("price", 0)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1e12:
        raise ControlError("price must be a number")
    return float(value)


@control("POST", "deliveries")
def add_delivery(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A delivery of a deal, as a person makes it in the card."""
    only(body, "deal_id", "service_id", "service", "price", "user_id")
    with portal.lock:
        deal = portal[DEAL].get(as_int(body.get("deal_id")))
        if deal is None:
            raise ControlError("no such deal", 404)
        service = as_int(body.get("service_id", 2)) or 0, str(body.get("service") or "Доставка по городу")
        actor = Actor(person(portal, body.get("user_id", 1))["ID"])
        return {"id": orders.add_shipment(portal, DEAL, deal, service, _price(body), actor)["ID"]}


@control("PATCH", "deliveries/<>")
def change_delivery(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """Another price of a delivery; shipped or not any more."""
    only(body, "price", "shipped", "user_id")
    values: Row = {"PRICE_DELIVERY": _price(body)} if "price" in body else {}
    if "shipped" in body:
        values["DEDUCTED"] = "Y" if body["shipped"] is True else "N"
    with portal.lock:
        row = _delivery(portal, path)
        orders.change_shipment(portal, row, values, Actor(person(portal, body.get("user_id", 1))["ID"]))
        return {"id": row["ID"]}


@control("DELETE", "deliveries/<>")
def delete_delivery(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "user_id")
    with portal.lock:
        orders.delete_shipment(portal, _delivery(portal, path), Actor(person(portal, body.get("user_id", 1))["ID"]))
    return {"deleted": True}


def _delivery(portal: Portal, path: list[str]) -> Row:
    row = portal["shipments"].get(as_int(path[0]))
    if row is None:
        raise ControlError(f"no delivery {path[0]}", 404)
    return row
