"""Calendar entries as records: whose they are, when they happen again, who may change them; by REST or by hand.

Records live in portal["calendar"]. FROM and TO are unix seconds, TO of a whole-day entry is the midnight after its last
day. RULE is the recurrence {FREQ, INTERVAL, COUNT, BYDAY, UNTIL (a date)}, EXDATE the local dates that it leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule

from sandbox import delivery
from sandbox.filters import to_time
from sandbox.method import Actor, Row, as_int, as_list, as_map, plain
from sandbox.portal import Portal

DAY = 86400.0
KINDS = ("user", "group", "company_calendar")
FORMAT = "%d.%m.%Y %H:%M:%S"
_FREQUENCIES: dict[str, Any] = {
    "DAILY": rrule.DAILY,
    "WEEKLY": rrule.WEEKLY,
    "MONTHLY": rrule.MONTHLY,
    "YEARLY": rrule.YEARLY,
}
_WEEKDAYS = {"MO": rrule.MO, "TU": rrule.TU, "WE": rrule.WE, "TH": rrule.TH, "FR": rrule.FR, "SA": rrule.SA,
    "SU": rrule.SU}  # fmt: skip
# An endless recurrence is shown to end here, as on portals.
ENDLESS = date(2038, 1, 1)
Span = tuple[float, float]


def zone_of(portal: Portal, user: Row) -> str:
    """The name of a person's time zone: his own, else the portal's."""
    return str(user["TIME_ZONE"] or portal.settings.timezone)


def display(portal: Portal, at: float, zone: str = "") -> str:
    """A moment in the portal's display format."""
    return datetime.fromtimestamp(at, portal.zone(zone)).strftime(FORMAT)


def section_of(portal: Portal, kind: str, owner: int) -> Row:
    """The default calendar of an owner, made on first use."""
    known = portal["sections"].first(CAL_TYPE=kind, OWNER_ID=owner)
    if known is not None:
        return known
    return portal["sections"].add(
        {
            "CAL_TYPE": kind, "OWNER_ID": owner, "NAME": "Мой календарь", "COLOR": "#9dcf00", "TEXT_COLOR": "",
            "DESCRIPTION": "", "CREATED_BY": owner, "CREATED": portal.now(),
        }
    )  # fmt: skip


def add(portal: Portal, values: Row) -> Row:
    """Store an entry. Nothing is sent: see `create`."""
    row: Row = {
        "CAL_TYPE": "user", "OWNER_ID": 0, "NAME": "", "FROM": 0.0, "TO": 0.0, "SKIP_TIME": "N",
        "TZ": portal.settings.timezone,
        "CREATED_BY": 1, "CREATED": portal.now(), "CHANGED": portal.now(), "DESCRIPTION": "", "PRIVATE": False,
        "ACCESSIBILITY": "busy", "IMPORTANCE": "normal", "IS_MEETING": False, "ATTENDEES": [], "ANSWERS": {},
        "MEETING": {}, "LOCATION": "", "REMIND": [], "COLOR": "#9dcf00", "TEXT_COLOR": "", "RULE": None, "EXDATE": [],
        "RECURRENCE_ID": None, "RELATIONS": {}, "ORIGINAL_FROM": None, "CRM": [], "SECTION_ID": 0, "EVENT_TYPE": None,
        "VERSION": 1,
    }  # fmt: skip
    row.update(values)
    row.setdefault("TZ_TO", row["TZ"])
    if not row["SECTION_ID"]:
        row["SECTION_ID"] = section_of(portal, row["CAL_TYPE"], row["OWNER_ID"])["ID"]
    return portal["calendar"].add(row)


# --- times ------------------------------------------------------------------------------------------------------------


def read_moment(value: Any, zone: ZoneInfo) -> tuple[float, bool] | None:
    """(unix seconds, whether the text carries an offset of its own) of a date or time; None for what is none."""
    at = to_time(value, zone)
    if at is None:
        return None
    own = isinstance(value, str) and re.search(r"\d\d:\d\d.*(?:Z|[+-]\d\d:?\d\d)$", value.strip(), re.I) is not None
    return at, own


def day_of(at: float, zone: ZoneInfo) -> date:
    """The calendar day of a moment."""
    return datetime.fromtimestamp(at, zone).date()


def midnight(day: date, zone: ZoneInfo) -> float:
    """The first moment of a day."""
    return datetime.combine(day, time(), zone).timestamp()


def whole_days(low: float, high: float, zone: ZoneInfo) -> Span:
    """From the midnight of the first day to the midnight after the last."""
    return midnight(day_of(low, zone), zone), midnight(day_of(high, zone) + timedelta(days=1), zone)


def last_shown(portal: Portal, row: Row, finish: float) -> float:
    """The end as it is shown: of whole days the last day itself."""
    if row["SKIP_TIME"] != "Y":
        return finish
    zone = portal.zone(row["TZ"])
    return midnight(day_of(finish - 1, zone), zone)


# --- recurrences ------------------------------------------------------------------------------------------------------


def read_rule(value: Any, zone: ZoneInfo) -> Row | None:
    """The recurrence of an `rrule` parameter; None for an empty one. ValueError for what is no rule."""
    given = {key.upper(): one for key, one in as_map(value).items()}
    if not given and value not in (None, "", [], {}):
        raise ValueError("rrule")
    frequency = given.get("FREQ", "")
    frequency = "?" if isinstance(frequency, (dict, list)) else plain(frequency).upper()
    if frequency in ("", "NONE"):
        return None
    if frequency not in _FREQUENCIES:
        raise ValueError("FREQ")
    days = given.get("BYDAY")
    named = days.split(",") if isinstance(days, str) else [plain(one) for one in as_list(days)]
    days = [one.strip().upper() for one in named if one.strip()]
    if any(one not in _WEEKDAYS for one in days):
        raise ValueError("BYDAY")
    until = None
    if given.get("UNTIL") not in (None, ""):
        at = to_time(given["UNTIL"], zone)
        if at is None:
            raise ValueError("UNTIL")
        until = day_of(at, zone).isoformat()
    count = as_int(given.get("COUNT"))
    return {
        "FREQ": frequency, "INTERVAL": max(1, as_int(given.get("INTERVAL")) or 1),
        "COUNT": count if count and count > 0 else None, "BYDAY": days if frequency == "WEEKLY" else [],
        "UNTIL": until,
    }  # fmt: skip


def _starts(portal: Portal, row: Row) -> Iterator[float]:
    """Every start of a recurring entry in order, by the wall clock of its time zone."""
    rule, zone = row["RULE"], portal.zone(row["TZ"])
    first = datetime.fromtimestamp(row["FROM"], zone).replace(tzinfo=None)
    until = datetime.combine(date.fromisoformat(rule["UNTIL"]) if rule["UNTIL"] else ENDLESS, time.max)
    found = rrule.rrule(
        _FREQUENCIES[rule["FREQ"]], dtstart=first, interval=rule["INTERVAL"], until=until,
        byweekday=[_WEEKDAYS[one] for one in rule["BYDAY"]] or None,
    )  # fmt: skip
    for number, moment in enumerate(found):
        if rule["COUNT"] is not None and number >= rule["COUNT"]:
            return
        yield moment.replace(tzinfo=zone).timestamp()


def occurrences(portal: Portal, row: Row, low: float, high: float) -> Iterator[Span]:
    """(start, end) of every time that the entry happens and touches low <= t < high."""
    length = row["TO"] - row["FROM"]
    if not row.get("RULE"):
        if row["TO"] > low and row["FROM"] < high:
            yield row["FROM"], row["TO"]
        return
    zone, left_out = portal.zone(row["TZ"]), set(row["EXDATE"])
    for start in _starts(portal, row):
        if start >= high:
            return
        if start + length > low and day_of(start, zone).isoformat() not in left_out:
            yield start, start + length


def occurrence_on(portal: Portal, row: Row, day: date) -> Span | None:
    """The occurrence that begins on that day of the entry's time zone."""
    zone = portal.zone(row["TZ"])
    low = midnight(day, zone)
    spans = occurrences(portal, row, low, low + DAY)
    return next((span for span in spans if day_of(span[0], zone) == day), None)


def last_day(portal: Portal, row: Row) -> date:
    """The day after which a recurring entry does not happen any more."""
    if row["RULE"]["COUNT"] is None:
        return date.fromisoformat(row["RULE"]["UNTIL"]) if row["RULE"]["UNTIL"] else ENDLESS
    last = row["FROM"]
    for last in _starts(portal, row):  # noqa: B007 - the last one is wanted
        pass
    return day_of(last, portal.zone(row["TZ"]))


_EACH = {
    "DAILY": ("каждый день", "каждые {} дн."), "WEEKLY": ("каждую неделю", "каждые {} нед."),
    "MONTHLY": ("каждый месяц", "каждые {} мес."), "YEARLY": ("каждый год", "каждые {} г."),
}  # fmt: skip
_DAYS = {"MO": "Пн", "TU": "Вт", "WE": "Ср", "TH": "Чт", "FR": "Пт", "SA": "Сб", "SU": "Вс"}


def rule_text(portal: Portal, row: Row) -> str:
    """The recurrence in words: «каждую неделю: Пн, Ср, с 01.12.2026 до 24.12.2026»."""
    rule = row["RULE"]
    one, several = _EACH[rule["FREQ"]]
    text = one if rule["INTERVAL"] == 1 else several.format(rule["INTERVAL"])
    if rule["BYDAY"]:
        text += ": " + ", ".join(_DAYS[day] for day in rule["BYDAY"])
    text += f", с {day_of(row['FROM'], portal.zone(row['TZ'])):%d.%m.%Y}"
    end = last_day(portal, row)
    return text if end == ENDLESS else f"{text} до {end:%d.%m.%Y}"


# --- who may what -----------------------------------------------------------------------------------------------------


def sees(portal: Portal, user: Row, row: Row) -> bool:
    """Whether the person may read the entry: his own, one he is invited to, one of a subordinate."""
    if user["ADMIN"] or row["CAL_TYPE"] != "user":
        return True
    if user["ID"] in (row["OWNER_ID"], row["CREATED_BY"], *row["ATTENDEES"]):
        return True
    return oversees(portal, user, row["OWNER_ID"])


def oversees(portal: Portal, user: Row, owner: int) -> bool:
    """Whether a head sees the calendars of his people (dep_manager_sub of the calendar's settings)."""
    from sandbox.methods.people import subordinates

    if not portal.held.get("calendar_settings", {}).get("dep_manager_sub", True):
        return False
    return owner in subordinates(portal, user["ID"])


def may_edit(user: Row, row: Row) -> bool:
    """Whether the person may change or delete the entry: its owner, its organiser, an administrator."""
    if user["ADMIN"] or user["ID"] == row["CREATED_BY"]:
        return True
    return bool(row["CAL_TYPE"] == "user" and user["ID"] == row["OWNER_ID"])


def involves(row: Row, number: int) -> bool:
    """Whether the entry takes the person's time: in his own calendar, or a meeting that he did not decline."""
    if row["CAL_TYPE"] == "user" and row["OWNER_ID"] == number:
        return True
    return number in row["ATTENDEES"] and row.get("ANSWERS", {}).get(str(number)) != "N"


def answer_of(row: Row, number: int) -> str:
    """A person's part in a meeting: H organiser, Y, N, or Q while he has not answered."""
    return "H" if number == row["CREATED_BY"] else plain(row.get("ANSWERS", {}).get(str(number), "Q"))


# --- changes ----------------------------------------------------------------------------------------------------------


def _aligned(portal: Portal, row: Row, values: Row) -> Row:
    """`values`, with the times moved to the first day on which a recurring entry happens."""
    whole = {**row, **values}
    if not whole.get("RULE") or not {"RULE", "FROM", "TO"} & set(values):
        return values
    first = next(_starts(portal, whole), whole["FROM"])
    return {**values, "FROM": first, "TO": first + whole["TO"] - whole["FROM"]}


def create(portal: Portal, values: Row, actor: Actor) -> Row:
    """Store a new entry and send ONCALENDARENTRYADD."""
    row = add(portal, {**_aligned(portal, {"TZ": portal.settings.timezone}, values), "CREATED_BY": actor.user_id})
    _event(portal, "ADD", row, actor)
    return row


def change(portal: Portal, row: Row, values: Row, actor: Actor) -> bool:
    """Change an entry and send ONCALENDARENTRYUPDATE; False and no event when nothing differs."""
    given = _aligned(portal, row, values)
    new = {key: value for key, value in given.items() if row.get(key) != value}
    if not new:
        return False
    row.update(new)
    row["CHANGED"], row["VERSION"] = portal.now(), row["VERSION"] + 1
    _event(portal, "UPDATE", row, actor)
    return True


def delete(portal: Portal, row: Row, actor: Actor) -> None:
    """Remove an entry and send ONCALENDARENTRYDELETE."""
    portal["calendar"].remove(row["ID"])
    _event(portal, "DELETE", row, actor)


_COPIED = ("ID", "VERSION", "CREATED", "CHANGED")


def split(portal: Portal, row: Row, span: Span, values: Row, actor: Actor, *, following: bool) -> Row:
    """One occurrence (or it and all that follow) becomes an entry of its own with `values`; the new entry."""
    zone = portal.zone(row["TZ"])
    day = day_of(span[0], zone)
    own: Row = {key: value for key, value in row.items() if key not in _COPIED}
    own |= {"FROM": span[0], "TO": span[1], "EXDATE": [], "ORIGINAL_FROM": span[0]}
    if following:
        rule = dict(row["RULE"])
        if rule["COUNT"] is not None:
            before = sum(1 for start in _starts(portal, row) if start < span[0])
            rule["COUNT"] = max(1, rule["COUNT"] - before)
        own |= {
            "RULE": rule, "EXDATE": [one for one in row["EXDATE"] if one >= day.isoformat()],
            "RELATIONS": {"ORIGINAL_RECURSION_ID": row["ID"]},
        }  # fmt: skip
        shorter = {**row["RULE"], "COUNT": None, "UNTIL": (day - timedelta(days=1)).isoformat()}
        change(portal, row, {"RULE": shorter}, actor)
    else:
        mark = f"EVENT_{row['ID']}_{day:%d.%m.%Y}"
        relations = {"ORIGINAL_RECURSION_ID": row["ID"], "COMMENT_XML_ID": mark}
        own |= {"RULE": None, "RECURRENCE_ID": row["ID"], "RELATIONS": relations}
        change(portal, row, {"EXDATE": sorted({*row["EXDATE"], day.isoformat()})}, actor)
    made = add(portal, {**own, **_aligned(portal, own, values)})
    _event(portal, "ADD", made, actor)
    return made


def _event(portal: Portal, change: str, row: Row, actor: Actor) -> None:
    verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete"}[change]
    portal.effect(verb, "calendar event", row["ID"], actor.user_id, actor.via, owner=row["OWNER_ID"])
    delivery.emit(portal, f"ONCALENDARENTRY{change}", {"id": row["ID"]}, actor, entity=f"calendar {row['ID']}")
