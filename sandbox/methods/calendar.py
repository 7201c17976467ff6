"""Calendars: settings, busy times, entries (api-reference/calendar)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from dateutil.relativedelta import relativedelta

from sandbox import entries
from sandbox.entries import KINDS, Span, display, section_of, sees
from sandbox.filters import to_time
from sandbox.method import Call, RestError, Row, as_int, as_list, as_map, method, plain, yes
from sandbox.portal import Portal

# Pages whose texts end with a full stop: those of a missing parameter, and all texts.
_DOT_MISSING = (
    "calendar.accessibility.get", "calendar.event.update", "calendar.section.add", "calendar.section.delete",
)  # fmt: skip
_DOT_ALL = ("calendar.event.update", "calendar.section.delete")
LATEST = 1 << 33  # seconds: later than any date that a calendar shows
_WRONG = (KeyError, ValueError, OverflowError, OSError)


def refusal(call: Call, text: str) -> RestError:
    """An error of these methods: an empty code and the text of the method's page."""
    return RestError("", text + "." * (call.method.name in _DOT_ALL), 400)


def need(call: Call, *names: str) -> None:
    """Refuse a call without one of these parameters; 0 is a value, an owner may be left empty but not out."""
    for name in names:
        value = call.get(name)
        if value is None or (value in ("", []) and name != "ownerId"):
            dot = "." * (call.method.name in _DOT_MISSING)
            text = f'The required parameter "{name}" for the method "{call.method.name}" is not set'
            raise RestError("", text + dot, 400)


def holidays(portal: Portal) -> set[str]:
    """Days off of every year as the calendar's settings have them: 1.01, 23.02."""
    return set(plain(_settings(portal)["year_holidays"]).split(","))


@method("calendar.settings.get", scope="calendar")
def settings_get(call: Call) -> Row:
    return _settings(call.portal)


def _settings(portal: Portal) -> Row:
    made: Row = {
        "work_time_start": "9", "work_time_end": "18",
        "year_holidays": "1.01,2.01,3.01,4.01,5.01,6.01,7.01,8.01,23.02,8.03,1.05,9.05,12.06,4.11",
        "year_workdays": "31.12",
        "week_holidays": ["SA", "SU"], "week_start": "MO", "user_name_template": "#NAME# #LAST_NAME#",
        "sync_by_push": False,
        "user_show_login": True, "path_to_user": "/company/personal/user/#user_id#/",
        "path_to_user_calendar": "/company/personal/user/#user_id#/calendar/",
        "path_to_group": "/workgroups/group/#group_id#/",
        "path_to_group_calendar": "/workgroups/group/#group_id#/calendar/", "path_to_vr": "", "path_to_rm": "",
        "rm_iblock_type": "", "rm_iblock_id": "", "dep_manager_sub": True, "denied_superpose_types": [],
        "pathes_for_sites": "", "forum_id": "8", "rm_for_sites": True, "path_to_type_company_calendar": "",
        "path_to_type_location": "", "path_to_type_open_event": "",
    }  # fmt: skip
    made.update(portal.held.get("calendar_settings", {}))
    return made


def period(call: Call, low: Any, high: Any) -> Span:
    """From the midnight of the first day to the midnight after the last, by the caller's clock; ValueError else."""
    zone = call.portal.zone(entries.zone_of(call.portal, call.user))
    days = []
    for name, value in (("from", low), ("to", high)):
        at = to_time(value, zone)
        if at is None or not 0 <= at < LATEST:
            raise ValueError(name)
        days.append(at)
    return entries.whole_days(days[0], days[1], zone)


# --- when people are busy ---------------------------------------------------------------------------------------------


@method("calendar.accessibility.get", scope="calendar", params="users from to")
def accessibility(call: Call) -> Any:
    need(call, "from", "to", "users")
    portal = call.portal
    try:
        low, high = period(call, call.get("from"), call.get("to"))
    except ValueError as error:
        raise RestError("", f'Invalid value for the parameter "{error}"', 400) from None
    made: Row = {}
    for given in call.sequence("users"):
        number = as_int(given)
        user = portal.user(number)
        if number is None or user is None:
            made[plain(given) if not isinstance(given, (dict, list)) else ""] = []
            continue
        found: list[tuple[float, Row]] = []
        for row in portal["calendar"]:
            if row["ACCESSIBILITY"] == "free" or not entries.involves(row, number):
                continue
            spans = entries.occurrences(portal, row, low, high)
            found.extend((span[0], _busy(call, row, span)) for span in spans)
        found.sort(key=lambda one: one[0])
        busy = [one for _, one in found]
        absent = user["ABSENT"]
        if absent and absent["to"] > low and absent["from"] < high:
            busy.append(_absence(portal, user, absent))
        made[str(number)] = busy
    return made or []


def _absence(portal: Portal, user: Row, absent: Row) -> Row:
    """An absence that the personnel department keeps: another shape than that of an entry."""
    return {
        "ID": 100_000 + user["ID"], "FROM_HR": True, "NAME": absent.get("name", "Отпуск ежегодный"),
        "DT_FROM": display(portal, absent["from"]), "DT_TO": display(portal, absent["to"]),
        "ACCESSIBILITY": "absent", "IMPORTANCE": "normal", "FROM": int(absent["from"]), "TO": int(absent["to"]),
    }  # fmt: skip


def _offset(portal: Portal, at: float, zone: str) -> int:
    return int((datetime.fromtimestamp(at, portal.zone(zone)).utcoffset() or timedelta()).total_seconds())


def _busy(call: Call, row: Row, span: Span) -> Row:
    portal, zone, other = call.portal, row["TZ"], row.get("TZ_TO") or row["TZ"]
    hidden = row["PRIVATE"] and call.user_id not in (row["CREATED_BY"], row["OWNER_ID"])
    start, finish = span[0], entries.last_shown(portal, row, span[1])
    return {
        "ID": str(row["ID"]), "NAME": "Занят" if hidden else row["NAME"], "DATE_FROM": display(portal, start, zone),
        "DATE_TO": display(portal, finish, other), "DATE_FROM_TS_UTC": str(int(start)),
        "DATE_TO_TS_UTC": str(int(finish)), "~USER_OFFSET_FROM": _offset(portal, start, zone),
        "~USER_OFFSET_TO": _offset(portal, finish, other), "DT_SKIP_TIME": row["SKIP_TIME"], "TZ_FROM": zone,
        "TZ_TO": other, "ACCESSIBILITY": row["ACCESSIBILITY"], "IMPORTANCE": row["IMPORTANCE"],
        "EVENT_TYPE": row["EVENT_TYPE"],
    }  # fmt: skip


# --- adding and changing ----------------------------------------------------------------------------------------------


def owner_of(call: Call, *, own: bool = False) -> tuple[str, int]:
    """(type, owner) of the calendar that the call names and the caller may change; `own`: the owner may be left out."""
    need(call, "type")
    kind = call.text("type")
    if own and kind == "user" and call.get("ownerId") is None:
        return kind, call.user_id
    need(call, "ownerId")
    owner = call.integer("ownerId")
    if kind not in KINDS or kind == "group" or (call.text("ownerId") and as_int(call.get("ownerId")) is None):
        # There are no workgroups here, so that nobody may write into the calendar of one.
        raise refusal(call, "Access denied")
    if kind == "user" and (call.portal.user(owner) is None or (owner != call.user_id and not call.admin)):
        raise refusal(call, "Access denied")
    return kind, owner


def _moments(call: Call, row: Row | None = None) -> Row:
    """FROM, TO, the time zones and SKIP_TIME that the call gives; of `row` what it leaves out. ValueError else."""
    portal = call.portal
    mine = entries.zone_of(portal, call.user)
    zones = [call.text("timezone_from") or mine]
    zones.append(call.text("timezone_to") or zones[0])
    skip = yes(call.get("skip_time")) if call.get("skip_time") is not None else bool(row and row["SKIP_TIME"] == "Y")
    found: list[float] = []
    for index, name in enumerate(("from", "to")):
        value, stamp = call.get(name), as_int(call.get(f"{name}_ts"))
        if value in (None, "") and stamp is None:
            if row is None:
                need(call, name)
            found.append(row["FROM"] if index == 0 else row["TO"])  # type: ignore[index]
            zones[index] = call.text(f"timezone_{name}") or row["TZ"]  # type: ignore[index]
            continue
        zone = portal.zone(zones[index])
        read = entries.read_moment(value, zone) if value not in (None, "") else (float(stamp or 0), False)
        if read is None or not 0 <= read[0] < LATEST:
            raise ValueError(name)
        found.append(read[0])
        if read[1]:
            # An offset of its own makes the parameters of time zones void.
            zones[index] = mine
    low, high = found
    if skip:
        ends_at_midnight = row is not None and call.get("to") in (None, "") and call.get("to_ts") is None
        low, high = entries.whole_days(low, high - (1 if ends_at_midnight else 0), portal.zone(zones[0]))
    if high < low or not all(portal.zone(name) for name in zones):
        raise ValueError("to")
    return {"FROM": low, "TO": high, "TZ": zones[0], "TZ_TO": zones[1], "SKIP_TIME": "Y" if skip else "N"}


_TEXTS = {"description": "DESCRIPTION", "location": "LOCATION", "color": "COLOR", "text_color": "TEXT_COLOR",
    "accessibility": "ACCESSIBILITY", "importance": "IMPORTANCE"}  # fmt: skip


def _values(call: Call, host: int) -> Row:
    """What a call gives of an entry of that organiser, without its times; the errors of the two pages."""
    adds = call.method.name == "calendar.event.add"
    for name in ("name", "description"):
        if isinstance(call.get(name), (dict, list)):
            wrong = f'the parameter "{name}"' if adds else f'the "{name}" parameter'
            raise refusal(call, f"Invalid value for {wrong}")
    values: Row = {key: call.text(name) for name, key in _TEXTS.items() if call.get(name) is not None}
    if call.get("name") is not None:
        values["NAME"] = call.text("name").strip()
    crm = call.get("crm_fields")
    if crm is not None:
        if crm != "" and not isinstance(crm, (list, dict)):
            text = "The list of event links to CRM must be an array" if adds else (
                "The event's CRM links list must be an array"
            )  # fmt: skip
            raise refusal(call, text)
        values["CRM"] = [plain(one) for one in as_list(crm) if not isinstance(one, (dict, list)) and plain(one)]
    if call.get("private_event") is not None:
        values["PRIVATE"] = yes(call.get("private_event"))
    if call.get("remind") is not None:
        values["REMIND"] = as_list(call.get("remind"))
    if call.get("meeting") is not None:
        values["MEETING"] = call.mapping("meeting")
    if call.get("is_meeting") is not None:
        values["IS_MEETING"] = yes(call.get("is_meeting"))
        named = [number for number in (as_int(one) for one in call.sequence("attendees")) if call.portal.user(number)]
        if not values["IS_MEETING"] or (not adds and call.get("attendees") is None):
            # An update that says "meeting" and names nobody clears the list, as its page warns.
            values["ATTENDEES"] = []
        else:
            values["ATTENDEES"] = [host, *(one for one in named if one is not None and one != host)]
    return values


def _section(call: Call, kind: str, owner: int) -> int:
    """The id of the calendar that the call names, or of the owner's own one."""
    known = call.portal["sections"].get(as_int(call.get("section")))
    if known is None or (known["CAL_TYPE"], known["OWNER_ID"]) != (kind, owner):
        text = "You specified an invalid calendar section ID or the user does not have access to it"
        raise refusal(call, text)
    return int(known["ID"])


@method("calendar.event.add", scope="calendar", writes=True,
        params="type ownerId from to from_ts to_ts section auto_detect_section name skip_time timezone_from "
        "timezone_to description color text_color accessibility importance private_event rrule is_meeting location "
        "remind attendees meeting crm_fields")  # fmt: skip
def event_add(call: Call) -> int:
    portal = call.portal
    need(call, "type", "ownerId", "name")
    kind, owner = owner_of(call)
    values = _values(call, call.user_id)
    detect = call.get("auto_detect_section")
    if detect not in (None, "") and not yes(detect):
        need(call, "section")
    if call.get("section") not in (None, "") and not yes(detect):
        values["SECTION_ID"] = _section(call, kind, owner)
    try:
        values |= _moments(call)
        values["RULE"] = entries.read_rule(call.get("rrule"), portal.zone(values["TZ"]))
    except _WRONG:
        raise refusal(call, "An error occurred while creating the event") from None
    values["ACCESSIBILITY"] = values.get("ACCESSIBILITY") or "busy"
    values["IMPORTANCE"] = values.get("IMPORTANCE") or "normal"
    row = entries.create(portal, {"COLOR": "", **values, "CAL_TYPE": kind, "OWNER_ID": owner}, call.actor)
    return int(row["ID"])


_MODES = ("", "this", "next", "all")


@method("calendar.event.update", scope="calendar", writes=True,
        params="id type ownerId from to from_ts to_ts section name skip_time timezone_from timezone_to "
        "description color text_color accessibility importance private_event recurrence_mode "
        "current_date_from rrule is_meeting location remind attendees host meeting crm_fields")  # fmt: skip
def event_update(call: Call) -> Any:
    portal = call.portal
    need(call, "id", "ownerId", "type")
    kind, owner = owner_of(call)
    row = portal["calendar"].get(as_int(call.get("id")))
    failed = refusal(call, "An error occurred while changing the event")
    if row is None:
        raise failed
    if not entries.may_edit(call.user, row):
        raise refusal(call, "Access denied")
    if row["IS_MEETING"] and row["CREATED_BY"] != call.user_id and as_int(call.get("host")) != row["CREATED_BY"]:
        raise refusal(call, "Access denied")
    mode = call.text("recurrence_mode")
    if mode not in _MODES or isinstance(call.get("recurrence_mode"), (dict, list)):
        raise refusal(call, "An invalid editing type for the recurring event is specified")
    values = _values(call, row["CREATED_BY"])
    if values.get("NAME") == "":
        values["NAME"] = "Новое событие"
    if call.get("section") not in (None, ""):
        values["SECTION_ID"] = _section(call, kind, owner)
    try:
        span = _chosen(call, row, mode)
        timed = any(call.get(name) not in (None, "") for name in ("from", "to", "from_ts", "to_ts"))
        if timed or call.get("skip_time") is not None:
            base = row if span is None else {**row, "FROM": span[0], "TO": span[1]}
            values |= _moments(call, base)
        if call.get("rrule") is not None and mode != "this":
            values["RULE"] = entries.read_rule(call.get("rrule"), portal.zone(str(values.get("TZ", row["TZ"]))))
    except _WRONG:
        raise failed from None
    if span is None:
        entries.change(portal, row, values, call.actor)
        return int(row["ID"])
    made = entries.split(portal, row, span, values, call.actor, following=mode == "next")
    return {
        "originalDate": display(portal, span[0], row["TZ"]), "originalDavXmlId": dav_id(portal, row),
        "instanceTz": row["TZ"], "recEventId": int(made["ID"]), "id": int(row["ID"]),
    }  # fmt: skip


def _chosen(call: Call, row: Row, mode: str) -> Span | None:
    """The occurrence that recurrence_mode this or next is about; ValueError when there is none on that day."""
    if mode not in ("this", "next") or not row.get("RULE"):
        return None
    zone = call.portal.zone(row["TZ"])
    at = to_time(call.get("current_date_from"), zone)
    if at is None or not 0 <= at < LATEST:
        raise ValueError("current_date_from")
    day = entries.day_of(at, zone)
    if mode == "next":
        low = entries.midnight(day, zone)
        following = entries.occurrences(call.portal, row, low, LATEST)
        span = next((one for one in following if one[0] >= low), None)
        if span is not None and span[0] <= row["FROM"]:
            # The first occurrence and all that follow are the whole series.
            return None
    else:
        span = entries.occurrence_on(call.portal, row, day)
    if span is None:
        raise ValueError("current_date_from")
    return span


@method("calendar.event.delete", scope="calendar", params="id", writes=True)
def event_delete(call: Call) -> bool:
    number = as_int(call.get("id"))
    if number is None or number <= 0:
        raise RestError("", "Event id not specified", 400)
    row = call.portal["calendar"].get(number)
    if row is None or not entries.may_edit(call.user, row):
        raise RestError("", "An error occurred while deleting the event", 400)
    entries.delete(call.portal, row, call.actor)
    return True


# --- reading ----------------------------------------------------------------------------------------------------------


def dav_id(portal: Portal, row: Row) -> str:
    """The name under which calendars of other programs know the entry."""
    return f"{datetime.fromtimestamp(row['CREATED'], portal.zone('UTC')):%Y%m%dT%H%M%SZ}-{row['ID']}@{portal.host}"


def _rule(portal: Portal, row: Row) -> Any:
    rule = row.get("RULE")
    if not rule:
        return ""
    end = entries.last_day(portal, row)
    made: Row = {"FREQ": rule["FREQ"], "INTERVAL": rule["INTERVAL"]}
    if rule["BYDAY"]:
        made["BYDAY"] = {day: day for day in rule["BYDAY"]}
    if rule["COUNT"] is not None:
        made["COUNT"] = rule["COUNT"]
    made |= {"UNTIL": f"{end:%d.%m.%Y}", "~UNTIL": f"{end:%d.%m.%Y}"}
    return made | {"UNTIL_TS": int(entries.midnight(end, portal.zone(row["TZ"])))}


def as_entry(call: Call, row: Row, span: Span | None = None) -> Row:
    """An entry, or one occurrence of it, as calendar.event.get and getbyid print it."""
    portal = call.portal
    start, high = span or (row["FROM"], row["TO"])
    finish = entries.last_shown(portal, row, high)
    zone, other = row["TZ"], row.get("TZ_TO") or row["TZ"]
    host = portal.user(row["CREATED_BY"]) or {"NAME": "", "LAST_NAME": ""}
    first, last = (datetime.fromtimestamp(at, portal.zone(name)) for at, name in ((start, zone), (finish, other)))
    offset, offset_to = _offset(portal, start, zone), _offset(portal, finish, other)
    own = entries.zone_of(portal, call.user)
    attendees, original = row["ATTENDEES"], row.get("ORIGINAL_FROM")
    return {
        "ID": str(row["ID"]), "PARENT_ID": str(row["ID"]), "DELETED": "N", "CAL_TYPE": row["CAL_TYPE"],
        "OWNER_ID": str(row["OWNER_ID"]), "NAME": row["NAME"], "DATE_FROM": first.strftime(entries.FORMAT),
        "DATE_TO": last.strftime(entries.FORMAT),
        "ORIGINAL_DATE_FROM": display(portal, original, zone) if original is not None else None,
        "TZ_FROM": zone, "TZ_TO": other, "TZ_OFFSET_FROM": str(offset), "TZ_OFFSET_TO": str(offset_to),
        "DATE_FROM_TS_UTC": str(int(start)), "DATE_TO_TS_UTC": str(int(finish)), "DT_SKIP_TIME": row["SKIP_TIME"],
        "DT_LENGTH": int(high - start), "EVENT_TYPE": row["EVENT_TYPE"], "CREATED_BY": str(row["CREATED_BY"]),
        "DATE_CREATE": display(portal, row["CREATED"]), "TIMESTAMP_X": display(portal, row["CHANGED"]),
        "DESCRIPTION": row["DESCRIPTION"], "PRIVATE_EVENT": "1" if row["PRIVATE"] else "",
        "ACCESSIBILITY": row["ACCESSIBILITY"], "IMPORTANCE": row["IMPORTANCE"], "IS_MEETING": row["IS_MEETING"],
        "MEETING_STATUS": entries.answer_of(row, call.user_id) if row["IS_MEETING"] else None,
        "MEETING_HOST": str(row["CREATED_BY"]),
        "MEETING": {
            "HOST_NAME": f"{host['NAME']} {host['LAST_NAME']}", "NOTIFY": _flag(row, "notify"),
            "REINVITE": _flag(row, "reinvite"), "ALLOW_INVITE": _flag(row, "allow_invite"),
            "HIDE_GUESTS": _flag(row, "hide_guests"), "MEETING_CREATOR": row["CREATED_BY"],
            "LANGUAGE_ID": portal.settings.language, "MAIL_FROM": "",
        },
        "LOCATION": row["LOCATION"], "REMIND": row["REMIND"], "COLOR": row["COLOR"], "RRULE": _rule(portal, row),
        "EXDATE": ";".join(f"{date.fromisoformat(one):%d.%m.%Y}" for one in row.get("EXDATE") or []),
        "DAV_XML_ID": dav_id(portal, row), "G_EVENT_ID": "", "DAV_EXCH_LABEL": "", "CAL_DAV_LABEL": "",
        "VERSION": str(row["VERSION"]),
        "ATTENDEES_CODES": [f"U{number}" for number in attendees or [row["CREATED_BY"]]],
        "RECURRENCE_ID": row.get("RECURRENCE_ID"), "RELATIONS": row.get("RELATIONS") or "",
        "SECTION_ID": str(row["SECTION_ID"]), "SYNC_STATUS": None, "UF_CRM_CAL_EVENT": row["CRM"] or False,
        "UF_WEBDAV_CAL_EVENT": False, "SECTION_DAV_XML_ID": None,
        "DATE_FROM_FORMATTED": first.strftime("%a %b %d %Y %H:%M:%S"),
        "DATE_TO_FORMATTED": last.strftime("%a %b %d %Y %H:%M:%S"), "SECT_ID": str(row["SECTION_ID"]),
        "ATTENDEE_LIST": [
            {"id": number, "entryId": str(row["ID"]), "status": entries.answer_of(row, number)} for number in attendees
        ],
        "COLLAB_ID": None, "~RRULE_DESCRIPTION": entries.rule_text(portal, row) if row.get("RULE") else "",
        "attendeesEntityList": [{"entityId": "user", "id": number} for number in attendees or [row["CREATED_BY"]]],
        "~DESCRIPTION": row["DESCRIPTION"],
        # Against the caller's own clock, as the table of the entry's fields says.
        "~USER_OFFSET_FROM": offset - _offset(portal, start, own),
        "~USER_OFFSET_TO": offset_to - _offset(portal, finish, own),
    }  # fmt: skip


def _flag(row: Row, name: str) -> bool:
    return yes(as_map(row["MEETING"]).get(name))


def found(call: Call, kind: str, owner: int, low: float, high: float) -> Iterator[tuple[Row, Span]]:
    """The entries (every time that they happen) of one calendar in that period that the caller may read."""
    for row in call.portal["calendar"]:
        if row["CAL_TYPE"] != kind or (row["OWNER_ID"] != owner and (kind != "user" or owner not in row["ATTENDEES"])):
            continue
        if not sees(call.portal, call.user, row):
            continue
        for span in entries.occurrences(call.portal, row, low, high):
            yield row, span


@method("calendar.event.getbyid", scope="calendar", params="id")
def event_get_by_id(call: Call) -> Row | None:
    need(call, "id")
    if as_int(call.get("id")) is None:
        raise RestError("", f'The required parameter "id" for the method "{call.method.name}" is not set', 400)
    row = call.portal["calendar"].get(as_int(call.get("id")))
    return as_entry(call, row) if row is not None and sees(call.portal, call.user, row) else None


def _month_away(call: Call, months: int) -> str:
    zone = call.portal.zone(entries.zone_of(call.portal, call.user))
    return (entries.day_of(call.portal.now(), zone) + relativedelta(months=months)).isoformat()


@method("calendar.event.get", scope="calendar", params="type ownerId from to section")
def event_get(call: Call) -> list[Row]:
    if not call.text("type"):
        raise RestError("", f'Required parameter "type" is not specified for method "{call.method.name}"', 400)
    try:
        first = call.get("from") or _month_away(call, -1)
        low, high = period(call, first, call.get("to") or _month_away(call, 3))
    except ValueError:
        # A date that is none is no bound: the page names no error for it.
        low, high = period(call, _month_away(call, -1), _month_away(call, 3))
    sections = {as_int(one) for one in call.sequence("section")}
    shown = [
        (span[0], row["ID"], row, span)
        for row, span in found(call, call.text("type"), call.integer("ownerId"), low, high)
        if not sections or row["SECTION_ID"] in sections
    ]
    return [as_entry(call, row, span) for _, _, row, span in sorted(shown, key=lambda one: one[:2])]


@method("calendar.section.get", scope="calendar", params="type ownerId")
def section_get(call: Call) -> list[Row]:
    need(call, "type")
    kind = call.text("type")
    if kind != "user" or call.get("ownerId") is not None:
        need(call, "ownerId")
    portal = call.portal
    owner = call.integer("ownerId") if call.get("ownerId") is not None else call.user_id
    person = portal.user(owner) if kind == "user" else None
    if person is not None or (kind == "company_calendar" and owner == 0):
        section_of(portal, kind, owner)
    own = call.admin or kind != "user" or owner == call.user_id
    seen = own or entries.oversees(portal, call.user, owner)
    return [
        {
            "ID": str(row["ID"]), "NAME": row["NAME"], "GAPI_CALENDAR_ID": None, "DESCRIPTION": row["DESCRIPTION"],
            "COLOR": row["COLOR"], "TEXT_COLOR": row["TEXT_COLOR"], "EXPORT": {"ALLOW": bool(row.get("EXPORT"))},
            "CAL_DAV_CON": None, "SYNC_TOKEN": None, "PAGE_TOKEN": None, "EXTERNAL_TYPE": "local",
            "DATE_CREATE": _stamp(portal, row), "TIMESTAMP_X": _stamp(portal, row), "IS_COLLAB": False,
            "ACCESS": {f"U{row['OWNER_ID']}": 2, "G2": 10},
            "CAL_TYPE": row["CAL_TYPE"], "OWNER_ID": str(row["OWNER_ID"]), "CREATED_BY": str(row["CREATED_BY"]),
            "PERM": {"view_time": True, "view_title": seen, "view_full": seen, "add": own, "edit": own,
                "edit_section": own, "access": own},
        }
        for row in portal["sections"].where(CAL_TYPE=kind, OWNER_ID=owner)
    ]  # fmt: skip


def _stamp(portal: Portal, row: Row) -> str:
    # Unlike entries, calendars tell their times this way.
    return datetime.fromtimestamp(row["CREATED"], portal.zone()).strftime("%Y-%m-%d %H:%M:%S")
