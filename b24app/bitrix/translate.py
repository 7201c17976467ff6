"""REST's names and types -> entities, and nowhere else. PHP's habits end here: numbers as strings, [] for {}."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from dateutil import parser as dates

from b24app.entities import (
    COMPANY,
    CONTACT,
    DEAL,
    LEAD,
    Address,
    CalendarEntry,
    Clock,
    Department,
    Interval,
    Item,
    ItemRef,
    PhoneCall,
    User,
)
from b24app.rules.working_time import WorkCalendar

OWNER_TYPES = {"LEAD": LEAD, "DEAL": DEAL, "CONTACT": CONTACT, "COMPANY": COMPANY}
DOCUMENT_TYPES = {"LEAD": LEAD, "DEAL": DEAL, "CONTACT": CONTACT, "COMPANY": COMPANY}
PHONE_FIELDS = ("PERSONAL_MOBILE", "WORK_PHONE")
WEEKDAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}


def number(value: Any) -> int | None:
    """Returns an id that arrives as number or string; None for "", null, "undefined", 0 and the like."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value or None
    if isinstance(value, str) and value.strip().isdigit():
        return int(value) or None
    return None


def moment(value: Any) -> datetime | None:
    """Returns an ISO 8601 time as aware UTC, or None where there is none (null, "", {})."""
    if not isinstance(value, str) or not value:
        return None
    try:
        parsed = dates.isoparse(value)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def rows(value: Any, key: str = "") -> list[Mapping[str, Any]]:
    """Returns the objects of a list result, whether it is the list itself, an id map, or stands under `key`."""
    if key and isinstance(value, Mapping):
        value = value.get(key, [])
    if isinstance(value, Mapping):
        value = list(value.values())
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def item_of(entity_type_id: int, value: Any) -> Item | None:
    """Returns the item of crm.item.get (`{"item": {...}}`), of one row of crm.item.list, or None."""
    if isinstance(value, Mapping) and isinstance(value.get("item"), Mapping):
        value = value["item"]
    if not isinstance(value, Mapping) or number(value.get("id")) is None:
        return None
    multi = [entry for entry in rows(value.get("fm")) if entry.get("value")]
    phones = [str(entry["value"]) for entry in multi if str(entry.get("typeId", "")).upper() == "PHONE"]
    emails = [str(entry["value"]) for entry in multi if str(entry.get("typeId", "")).upper() == "EMAIL"]
    name = " ".join(str(value[part]) for part in ("name", "secondName", "lastName") if value.get(part))
    observers = value.get("observers")
    return Item(
        ref=ItemRef(entity_type_id, int(value["id"])),
        title=str(value.get("title") or name or ""),
        assigned_by_id=number(value.get("assignedById")) or 0,
        created_by_id=number(value.get("createdBy")) or 0,
        created_at=moment(value.get("createdTime")) or datetime.now(UTC),
        stage_id=str(value.get("stageId") or ""),
        stage_semantics=str(value.get("stageSemanticId") or "P"),
        source_id=str(value.get("sourceId") or ""),
        name=name,
        phones=tuple(phones or ([str(value["phoneWork"])] if value.get("phoneWork") else [])),
        emails=tuple(emails or ([str(value["emailWork"])] if value.get("emailWork") else [])),
        observer_ids=tuple(id for id in map(number, observers if isinstance(observers, list) else []) if id),
        updated_at=moment(value.get("updatedTime")),
        updated_by_id=number(value.get("updatedBy")),
        origin_id=str(value.get("originId") or ""),
        webform_id=number(value.get("webformId")),
        custom={str(name): one for name, one in value.items() if str(name).lower().startswith("uf") and one},
    )


def user_of(row: Mapping[str, Any]) -> User:
    """Returns the person of one row of user.get."""
    name = " ".join(str(row[part]) for part in ("NAME", "LAST_NAME") if row.get(part))
    departments = row.get("UF_DEPARTMENT")
    online = row.get("IS_ONLINE")
    return User(
        id=number(row.get("ID")) or 0,
        name=name or str(row.get("EMAIL") or f"#{row.get('ID')}"),
        active=row.get("ACTIVE") in (True, "true", "Y", "1", 1),
        department_ids=tuple(id for id in map(number, departments if isinstance(departments, list) else []) if id),
        time_zone=str(row.get("TIME_ZONE") or ""),
        online=None if online is None else online in ("Y", True),
        phones=tuple(text for name in PHONE_FIELDS if (text := str(row.get(name) or "").strip())),
    )


def department_of(row: Mapping[str, Any]) -> Department:
    """Returns the department of one row of department.get."""
    return Department(
        id=number(row.get("ID")) or 0,
        name=str(row.get("NAME") or ""),
        parent_id=number(row.get("PARENT")),
        head_id=number(row.get("UF_HEAD")),
    )


def clock_of(value: Any) -> tuple[Clock, datetime | None]:
    """Returns the working-day clock of timeman.status, and when it was last opened."""
    if not isinstance(value, Mapping):
        return Clock.UNUSED, None
    status = str(value.get("STATUS") or "").upper()
    return (Clock(status) if status in Clock.__members__ else Clock.UNUSED), moment(value.get("TIME_START"))


def intervals_of(value: Any, zone: ZoneInfo) -> dict[int, tuple[Interval, ...]]:
    """Returns busy and absent times by user of calendar.accessibility.get: its records have two shapes.

    Timed events carry *_TS_UTC; absences of the personnel department only dates (FROM_HR, DT_FROM, DT_TO), a whole
    day each where no time is named.
    """
    found: dict[int, tuple[Interval, ...]] = {}
    if not isinstance(value, Mapping):
        return found
    for key, records in value.items():
        user_id = number(key)
        if user_id is not None:
            found[user_id] = tuple(i for i in (_interval(row, zone) for row in rows(records)) if i is not None)
    return found


def _interval(row: Mapping[str, Any], zone: ZoneInfo) -> Interval | None:
    kind = str(row.get("ACCESSIBILITY") or "busy").lower()
    if kind == "free":
        return None
    times = _entry_times(row, zone)
    if times is None:
        return None
    of_personnel = bool(row.get("FROM_HR"))  # its ids are those of another table
    return Interval(*times, kind == "absent" or of_personnel, 0 if of_personnel else number(row.get("ID")) or 0)


def _entry_times(row: Mapping[str, Any], zone: tzinfo) -> tuple[datetime, datetime] | None:
    start_ts, end_ts = number(row.get("DATE_FROM_TS_UTC")), number(row.get("DATE_TO_TS_UTC"))
    whole_day = row.get("DT_SKIP_TIME") == "Y"
    if start_ts and end_ts and not whole_day:
        return datetime.fromtimestamp(start_ts, UTC), datetime.fromtimestamp(end_ts, UTC)
    own_zone = _zone(row.get("TZ_FROM")) or zone
    start = _portal_time(row.get("DATE_FROM") or row.get("DT_FROM") or row.get("FROM"), own_zone)
    end = _portal_time(row.get("DATE_TO") or row.get("DT_TO") or row.get("TO"), own_zone)
    if start is None or end is None:
        return None
    if whole_day or (row.get("FROM_HR") and end.time() == time(0)):
        end = datetime.combine(end.date() + timedelta(days=1), time(0), own_zone)
    return start.astimezone(UTC), end.astimezone(UTC)


def entry_of(value: Any, zone: tzinfo = UTC) -> CalendarEntry | None:
    """Returns the entry of calendar.event.getbyid; None for one deleted, not found, or without a time.

    `zone` is for times without stamps and without a zone of their own.
    """
    row = value if isinstance(value, Mapping) else {}
    id, times = number(row.get("ID")), _entry_times(row, zone)
    if id is None or times is None or row.get("DELETED") == "Y":
        return None
    owner, author = number(row.get("OWNER_ID")), number(row.get("CREATED_BY"))
    return CalendarEntry(id, owner or 0, *times, str(row.get("NAME") or ""), author or 0)


def _zone(name: Any) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (KeyError, ValueError, OSError):
        return None


def _portal_time(value: Any, zone: tzinfo) -> datetime | None:
    """The portal's display format: `02.12.2024 11:00:00`, on English ones `12/11/2024 05:59:00 pm`."""
    if not isinstance(value, str) or not value:
        return None
    try:
        if value[:4].isdigit():
            parsed = dates.isoparse(value)
        else:
            parsed = dates.parse(value, dayfirst="." in value.split(" ")[0])
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)


_DAY_FIRST = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")
_OFFSET = re.compile(r"\s*\[(-?\d{1,5})\]$")


def robot_moment(value: Any, zone: ZoneInfo) -> datetime | None:
    """Returns the time of a robot's `datetime` or `date` property in UTC; a time without a zone is of `zone`.

    The portal's display format, ISO 8601, or the display format with seconds from UTC in brackets,
    `27.11.2026 10:00:00 [10800]` [verify: the documentation shows no value]. A ValueError says what is no time.
    """
    text = str(value[0] if isinstance(value, list) and value else value or "").strip()
    if not text or value == []:
        return None
    offset = _OFFSET.search(text)
    plain = text[: offset.start()] if offset else text
    own = timezone(timedelta(seconds=int(offset[1]))) if offset and abs(int(offset[1])) < 86_400 else zone
    parsed = _portal_time(plain, own) if _DAY_FIRST.match(plain) else None
    if parsed is None or not 2000 <= parsed.year < 2100:
        raise ValueError(f"не время / not a time: {text[:60]}")
    return parsed.astimezone(UTC)


def decimal(value: Any) -> float | None:
    """Returns a number that arrives as 1.5, "1.5" or "1,5"; None for what is none."""
    try:
        found = float(str(value).strip().replace(",", "."))
    except ValueError:
        return None
    return found if isfinite(found) else None


_ADDRESS = re.compile(r"(.*?)(?:\|([^|;]*);([^|;]*))?(?:\|\d*)*", re.DOTALL)


def address_of(value: Any) -> Address:
    """Returns the address of a field of type `address`: `text|latitude;longitude|id of the location`.

    Any part may be missing (tutorials/crm/how-to-get-lists/how-to-get-address.md); plain text is text, of a multiple
    field the first counts. Coordinates that are no point on Earth are none.
    """
    if isinstance(value, list):
        value = next(filter(None, value), None)
    found = _ADDRESS.fullmatch(value if isinstance(value, str) else "")
    text, latitude, longitude = found.groups() if found else ("", None, None)
    # unfilled parts of an address leave commas in a row
    plain = Address(", ".join(part.strip() for part in text.split(",") if part.strip()))
    point = decimal(latitude), decimal(longitude)
    if point[0] is None or point[1] is None or abs(point[0]) > 90 or abs(point[1]) > 180:
        return plain
    # nobody measures kitchens in the Gulf of Guinea: 0;0 is a place not found
    return plain if point == (0, 0) else replace(plain, latitude=point[0], longitude=point[1])


def calendar_of(value: Any, playbook: WorkCalendar) -> WorkCalendar:
    """Returns the office's calendar of calendar.settings.get; what it does not say comes from the playbook."""
    if not isinstance(value, Mapping):
        return playbook
    weekend = value.get("week_holidays")
    days = frozenset(WEEKDAYS[d] for d in weekend if d in WEEKDAYS) if isinstance(weekend, list) else playbook.weekend
    yearly = frozenset(_days_of_year(value.get("year_holidays")))
    return replace(
        playbook,
        opens=_hour(value.get("work_time_start")) or playbook.opens,
        closes=_hour(value.get("work_time_end")) or playbook.closes,
        weekend=days,
        yearly_off=yearly,
        yearly_work=frozenset(_days_of_year(value.get("year_workdays"))),
        country=playbook.country if days == frozenset({5, 6}) else "",
    )


def with_schedule(calendar: WorkCalendar, value: Any) -> WorkCalendar:
    """Returns the calendar with shifts and days off of timeman.schedule.get; weekdays in no shift are off.

    A schedule of another type than FIXED says no hours by weekday, [] is no schedule, and one without a usable shift
    says nothing: the calendar stays as it is.
    """
    if not isinstance(value, Mapping) or value.get("SCHEDULE_TYPE") != "FIXED" or _yes(value.get("DELETED")):
        return calendar
    week: dict[int, list[tuple[time, time]]] = {}
    for shift in rows(value, "SHIFTS"):
        # BREAK_DURATION is a length without a place on the clock, so lunch stays what the calendar says
        opens, closes = _time_of_day(shift.get("WORK_TIME_START")), _time_of_day(shift.get("WORK_TIME_END"))
        if opens is None or closes is None or _yes(shift.get("DELETED")):
            continue
        for day in sorted(set(str(shift.get("WORK_DAYS") or "")) & set("1234567")):
            week.setdefault(int(day) - 1, []).append((opens, closes))
    if not week:
        return calendar
    shifts = frozenset((day, tuple(sorted(week.get(day, ())))) for day in range(7))
    own = value.get("CALENDAR")
    days_off = frozenset(_exclusions(own.get("EXCLUSIONS") if isinstance(own, Mapping) else None))
    return replace(calendar, shifts=shifts, days_off=calendar.days_off | days_off)


def _yes(value: Any) -> bool:
    return value in (True, 1, "1", "Y", "true")


def _time_of_day(value: Any) -> time | None:
    """Seconds from midnight; 86400 is midnight again."""
    seconds = int(value) if str(value).isdecimal() else -1
    return time(seconds // 3600 % 24, seconds % 3600 // 60, seconds % 60) if 0 <= seconds <= 86_400 else None


_DATE = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{4}")
LONGEST_EXCLUSION = timedelta(days=366)


def _exclusions(value: Any) -> Iterator[date]:
    """Days off of a schedule's calendar, in two shapes [verify: the documentation shows an empty list only].

    It speaks of strings with dates or periods; self-hosted portals keep {year: {month: {day: whatever}}}.
    """
    for year, months in value.items() if isinstance(value, Mapping) else ():
        for month, days in months.items() if isinstance(months, Mapping) else ():
            pairs = [(number(month) or 0, number(day) or 0) for day in (days if isinstance(days, Mapping) else ())]
            yield from (date(number(year) or 0, *pair) for pair in pairs if _is_day(pair, number(year) or 0))
    for text in value if isinstance(value, list) else ():
        found = [_portal_time(one, UTC) for one in _DATE.findall(str(text))]
        named = [one.date() for one in found if one is not None]
        if named and named[-1] - named[0] <= LONGEST_EXCLUSION:
            yield from (named[0] + timedelta(days=n) for n in range((named[-1] - named[0]).days + 1))


def _hour(value: Any) -> time | None:
    """`9`, `9.30` or `9:30` [verify: the docs show whole hours only]; 24 and 0 mean midnight."""
    text = "" if value is None else str(value).replace(":", ".")
    hours, _, minutes = text.partition(".")
    if not hours.isdigit() or int(hours) > 24:
        return None
    if int(hours) == 24:
        return time(0)
    minute = int(minutes.ljust(2, "0")[:2]) if minutes.isdigit() else 0
    return time(int(hours), minute if minute < 60 else 0)


def _days_of_year(value: Any) -> list[tuple[int, int]]:
    days = []
    for part in str(value or "").split(","):
        day, _, month = part.strip().partition(".")
        if day.isdigit() and month[:2].rstrip(".").isdigit():
            pair = (int(month[:2].rstrip(".")), int(day))
            if _is_day(pair):
                days.append(pair)
    return days


def _is_day(pair: tuple[int, int], year: int = 2024) -> bool:
    try:
        date(year, *pair)  # any leap year: 29.02 is a day
    except ValueError:
        return False
    return True


def statistic_of(row: Mapping[str, Any]) -> PhoneCall:
    """Returns the call of one row of voximplant.statistic.get."""
    owner = OWNER_TYPES.get(str(row.get("CRM_ENTITY_TYPE") or "").upper())
    owner_id = number(row.get("CRM_ENTITY_ID"))
    return PhoneCall(
        call_id=str(row.get("CALL_ID") or ""),
        call_type=number(row.get("CALL_TYPE")),
        phone=str(row.get("PHONE_NUMBER") or ""),
        user_id=number(row.get("PORTAL_USER_ID")),
        failed_code=str(row.get("CALL_FAILED_CODE") or ""),
        started_at=moment(row.get("CALL_START_DATE")),
        item=ItemRef(owner, owner_id) if owner and owner_id else None,
        activity_id=number(row.get("CRM_ACTIVITY_ID")),
    )


def activity_owner(value: Any) -> ItemRef | None:
    """Returns the item that an activity of crm.activity.get hangs on, where it is one of ours."""
    if not isinstance(value, Mapping):
        return None
    owner_type, owner_id = number(value.get("OWNER_TYPE_ID")), number(value.get("OWNER_ID"))
    return ItemRef(owner_type, owner_id) if owner_type in OWNER_TYPES.values() and owner_type and owner_id else None


def duplicates_of(value: Any) -> dict[int, tuple[int, ...]]:
    """Returns ids by entity type of crm.duplicate.findbycomm; nothing found arrives as []."""
    if not isinstance(value, Mapping):
        return {}
    return {
        OWNER_TYPES[name]: tuple(id for id in map(number, ids) if id)
        for name, ids in value.items()
        if name in OWNER_TYPES and isinstance(ids, list)
    }


def document_item(document_id: Any) -> ItemRef | None:
    """Returns the item of a robot's document_id, e.g. ["crm", "CCrmDocumentLead", "LEAD_456"] or DYNAMIC_147_12."""
    text = str(document_id[2]) if isinstance(document_id, list) and len(document_id) == 3 else ""
    kind, _, id = text.rpartition("_")
    if not id.isdigit():
        return None
    if kind in DOCUMENT_TYPES:
        return ItemRef(DOCUMENT_TYPES[kind], int(id))
    if kind.startswith("DYNAMIC_") and kind[8:].isdigit():
        return ItemRef(int(kind[8:]), int(id))
    return None


def user_property(value: Any) -> int | None:
    """Returns the user id of a robot's `user` property: `user_15`, `15`, or a list of such [verify]."""
    if isinstance(value, list):
        return next((id for id in map(user_property, value) if id), None)
    text = str(value or "").strip()
    return number(text.removeprefix("user_"))


def phone_key(text: str, country: str) -> str:
    """Returns the number in E.164, by which numbers are compared; what is no number comes back as it is, trimmed."""
    parsed = _phone(text, country)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if parsed else text.strip()[:32]


def phone_text(text: str, country: str) -> str:
    """Returns the number as people read it: `+7 912 345-67-89`; what is no number comes back as it is."""
    parsed = _phone(text, country)
    if parsed is None:
        return text.strip()
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _phone(text: str, country: str) -> phonenumbers.PhoneNumber | None:
    digits = text.strip()
    # Telephony gives numbers without the plus: 79123456789. Read as national they would be wrong ones.
    candidates = [digits] if digits.startswith("+") else [f"+{digits}", digits]
    if digits.startswith("8"):
        candidates.reverse()
    for candidate in candidates:
        try:
            parsed = phonenumbers.parse(candidate, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed) and phonenumbers.is_valid_number(parsed):
            return parsed
    return None
