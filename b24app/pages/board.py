"""The board «График замеров»: everybody's visits by day and week, from the left menu, the card and the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from b24app import measuring
from b24app.entities import ItemRef
from b24app.measuring import Diary, Offer
from b24app.pages.frame import Look
from b24app.playbook import Measurement
from b24app.rules.confirmation import AGREED, STATES
from b24app.store.visits import VisitRow

LONGEST = 62
"""So many days are shown at once at most."""


def show(look: Look, rules: Measurement, day: date, *, days: int, can_move: bool) -> str:
    """Returns the page; what stands on the board it asks for itself."""
    first = day if days == 1 else day - timedelta(days=day.weekday())
    zones = [{"key": zone.key, "name": zone.name} for zone in rules.zones]
    return look.render("board.html", board_from=first.isoformat(), days=days, can_move=can_move, zones=zones)


def answer(
    look: Look, diary: Diary, rows: Sequence[VisitRow], first: date, last: date, *, knows: bool
) -> dict[str, Any]:
    """Returns what stands on the board on the days [first, last); without `knows` nothing of the clients."""
    crew, rules = diary.crew, diary.rules
    coming = [row for row in diary.rows if knows and measuring.problem_of(diary, row)]
    opens, closes, work_days = _hours(diary, first, last)
    return {
        "measurers": [
            {"id": one.id, "name": one.name, "zones": _zones(rules, one.id), "why": ""} for one in crew.people
        ],
        "visits": [_visit(look, diary, row, knows=knows) for row in rows],
        "busy": _busy(diary, first, last),
        "hours": {"from": f"{opens:%H:%M}", "to": f"{closes:%H:%M}" if closes != time(0) else "24:00"},
        "work_days": [day.isoformat() for day in work_days],
        "zone": crew.hours.time_zone,
        "now": diary.now.isoformat(),
        "problems": [_problem(look, diary, row) for row in sorted(coming, key=lambda one: one.starts_at)]
        if knows
        else [],
    }


def _zones(rules: Measurement, id: int) -> list[str]:
    return next((list(one.zones) for one in rules.measurers if one.user == id), [])


def _visit(look: Look, diary: Diary, row: VisitRow, *, knows: bool) -> dict[str, Any]:
    kind = measuring.work_named(diary.rules, row.work)
    problem = measuring.problem_of(diary, row)
    busy = look.text("Замер", "Measurement")
    return {
        "id": row.id,
        "entity": row.entity if knows else "",
        "title": row.title if knows else busy,
        "path": measuring.tab_path(ItemRef.parse(row.entity)) if knows else "",
        "measurer": row.measurer_id,
        "measurer_name": diary.crew.name(row.measurer_id),
        "start": row.starts_at.astimezone(diary.crew.hours.zone).isoformat(),
        "end": row.ends_at.astimezone(diary.crew.hours.zone).isoformat(),
        "state": row.state,
        "state_name": look.word(STATES[row.state]),
        "round": row.round,
        "address": row.address if knows else "",
        "zone": row.zone,
        "work_name": kind.name.of(look.language) if kind is not None else row.work,
        "movable": knows and row.state in AGREED and row.starts_at > diary.now,
        "problem": look.word(measuring.problem_text(problem, diary.crew, row)) if problem else "",
    }


def _problem(look: Look, diary: Diary, row: VisitRow) -> dict[str, Any]:
    why = measuring.problem_text(measuring.problem_of(diary, row), diary.crew, row)
    proposal = measuring.replacement(diary, row)
    return {
        "visit": row.id,
        "title": row.title,
        "when": measuring.when(row.starts_at, row.ends_at, diary.crew.zone(row.measurer_id), look.language),
        "why": look.word(why),
        "proposal": None if proposal is None else proposed(look, proposal),
    }


def proposed(look: Look, one: Offer) -> dict[str, Any]:
    """Returns a slot as our pages show it."""
    return {
        "measurer": one.measurer_id,
        "name": one.name,
        "start": one.start.isoformat(),
        "end": one.end.isoformat(),
        "when": one.when,
        "text": one.text,
        "grade": one.grade,
    }


def _busy(diary: Diary, first: date, last: date) -> list[dict[str, Any]]:
    """The measurers' other busy times; entries of our own visits stand there as visits."""
    zone = diary.crew.hours.zone
    low, high = (datetime.combine(day, time(0), zone) for day in (first, last))
    entries = {row.calendar_id for row in diary.rows if row.calendar_id is not None}
    times = {(row.measurer_id, row.starts_at, row.ends_at) for row in diary.rows}
    return [
        {
            "measurer": id,
            "start": max(one.start, low).astimezone(zone).isoformat(),
            "end": min(one.end, high).astimezone(zone).isoformat(),
            "absent": one.absent,
        }
        for id, intervals in diary.intervals.items()
        for one in intervals
        if one.start < high and one.end > low and one.id not in entries and (id, one.start, one.end) not in times
    ]


def _hours(diary: Diary, first: date, last: date) -> tuple[time, time, list[date]]:
    """When the first one opens and the last one closes on these days, by the office's clock, and the days of work."""
    zone, calendars = diary.crew.hours.zone, set(diary.calendars.values()) or {diary.crew.hours}
    opens: list[time] = []
    closes: list[time] = []
    days: list[date] = []
    for number in range((last - first).days):
        day = first + timedelta(days=number)
        spans = [span for calendar in calendars for span in calendar.spans_of(day)]
        if not spans:
            continue
        days.append(day)
        begin, end = min(span[0] for span in spans).astimezone(zone), max(span[1] for span in spans).astimezone(zone)
        opens.append(begin.time() if begin.date() >= day else time(0))
        closes.append(end.time() if end.date() <= day else time(0))
    late = time(0) if time(0) in closes else max(closes, default=diary.crew.hours.closes)
    return min(opens, default=diary.crew.hours.opens), late, days
