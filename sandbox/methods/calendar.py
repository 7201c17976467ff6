"""Calendars: settings, busy times, events (api-reference/calendar)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sandbox import delivery
from sandbox.filters import to_time
from sandbox.method import Call, RestError, Row, as_int, as_list, method, plain, yes
from sandbox.portal import Portal

_FORMAT = "%d.%m.%Y %H:%M:%S"


@method("calendar.settings.get", scope="calendar")
def settings_get(call: Call) -> Row:
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
    made.update(call.portal.held.get("calendar_settings", {}))
    return made


def _need(call: Call, *names: str) -> None:
    for name in names:
        if call.get(name) in (None, "", []):
            raise RestError("", f'The required parameter "{name}" for the method "{call.method.name}" is not set.', 400)


def display(portal: Portal, at: float, zone: str = "") -> str:
    """A moment in the portal's display format."""
    return datetime.fromtimestamp(at, portal.zone(zone)).strftime(_FORMAT)


@method("calendar.accessibility.get", scope="calendar", params="users from to")
def accessibility(call: Call) -> Any:
    _need(call, "from", "to", "users")
    portal = call.portal
    low, high = (to_time(call.get(name), portal.zone()) for name in ("from", "to"))
    if low is None or high is None:
        raise RestError("", 'Invalid value for the parameter "from"', 400)
    high += 86400
    made: Row = {}
    for given in call.sequence("users"):
        number = as_int(given)
        user = portal.user(number)
        if user is None:
            made[plain(given)] = []
            continue
        found: list[Row] = []
        for event in portal["calendar"]:
            if event["ACCESSIBILITY"] == "free" or event["TO"] <= low or event["FROM"] >= high:
                continue
            if (event["CAL_TYPE"] == "user" and event["OWNER_ID"] == number) or number in event["ATTENDEES"]:
                found.append(_busy(call, event, user))
        if user["ABSENT"] and user["ABSENT"]["to"] > low and user["ABSENT"]["from"] < high:
            absent = user["ABSENT"]
            found.append(
                {
                    "ID": 100_000 + user["ID"], "FROM_HR": True, "NAME": absent.get("name", "Отпуск ежегодный"),
                    "DT_FROM": display(portal, absent["from"]), "DT_TO": display(portal, absent["to"]),
                    "ACCESSIBILITY": "absent", "IMPORTANCE": "normal", "FROM": int(absent["from"]),
                    "TO": int(absent["to"]),
                }
            )  # fmt: skip
        made[str(number)] = found
    return made or []


def _busy(call: Call, event: Row, user: Row) -> Row:
    offset = datetime.fromtimestamp(event["FROM"], call.portal.zone(event["TZ"])).utcoffset() or timedelta()
    hidden = event["PRIVATE"] and call.user_id not in (event["CREATED_BY"], event["OWNER_ID"])
    return {
        "ID": str(event["ID"]), "NAME": "Занят" if hidden else event["NAME"],
        "DATE_FROM": display(call.portal, event["FROM"], event["TZ"]),
        "DATE_TO": display(call.portal, event["TO"], event["TZ"]),
        "DATE_FROM_TS_UTC": str(int(event["FROM"])), "DATE_TO_TS_UTC": str(int(event["TO"])),
        "~USER_OFFSET_FROM": int(offset.total_seconds()), "~USER_OFFSET_TO": int(offset.total_seconds()),
        "DT_SKIP_TIME": event["SKIP_TIME"], "TZ_FROM": event["TZ"], "TZ_TO": event["TZ"],
        "ACCESSIBILITY": event["ACCESSIBILITY"], "IMPORTANCE": event["IMPORTANCE"], "EVENT_TYPE": event["EVENT_TYPE"],
    }  # fmt: skip


def section_of(portal: Portal, kind: str, owner: int) -> Row:
    """The default calendar of an owner, made on first use."""
    known = portal["sections"].first(CAL_TYPE=kind, OWNER_ID=owner)
    if known is not None:
        return known
    return portal["sections"].add(
        {
            "CAL_TYPE": kind,
            "OWNER_ID": owner,
            "NAME": "Мой календарь",
            "COLOR": "#9dcf00",
            "TEXT_COLOR": "",
            "DESCRIPTION": "",
            "CREATED_BY": owner,
            "CREATED": portal.now(),
        }
    )


def add_event(portal: Portal, values: Row) -> Row:
    """Store a calendar entry; FROM and TO are unix seconds. No event is sent (the caller does)."""
    row: Row = {
        "CAL_TYPE": "user", "OWNER_ID": 0, "NAME": "", "FROM": 0.0, "TO": 0.0, "SKIP_TIME": "N",
        "TZ": portal.settings.timezone,
        "CREATED_BY": 1, "CREATED": portal.now(), "CHANGED": portal.now(), "DESCRIPTION": "", "PRIVATE": False,
        "ACCESSIBILITY": "busy", "IMPORTANCE": "normal", "IS_MEETING": False, "ATTENDEES": [], "MEETING": {},
        "LOCATION": "",
        "REMIND": [], "COLOR": "#9dcf00", "TEXT_COLOR": "", "RRULE": None, "CRM": [], "SECTION_ID": 0,
        "EVENT_TYPE": None, "VERSION": 1,
    }  # fmt: skip
    row.update(values)
    if not row["SECTION_ID"]:
        row["SECTION_ID"] = section_of(portal, row["CAL_TYPE"], row["OWNER_ID"])["ID"]
    return portal["calendar"].add(row)


def _moments(call: Call) -> tuple[float, float, str]:
    portal = call.portal
    zone_name = call.text("timezone_from")
    try:
        zone = portal.zone(zone_name)
    except (KeyError, ValueError):
        raise RestError("", 'Invalid value for the parameter "timezone_from"', 400) from None
    found: list[float] = []
    for name in ("from", "to"):
        stamp = as_int(call.get(f"{name}_ts"))
        if call.get(name) in (None, "") and stamp is None:
            raise RestError("", f'The required parameter "{name}" for the method "{call.method.name}" is not set', 400)
        moment = float(stamp) if call.get(name) in (None, "") and stamp is not None else to_time(call.get(name), zone)
        if moment is None:
            raise RestError("", f'Invalid value for the parameter "{name}"', 400)
        found.append(moment)
    low, high = found
    if yes(call.get("skip_time")):
        high += 86400
    if high < low:
        raise RestError("", 'Invalid value for the parameter "to"', 400)
    return low, high, zone_name or portal.settings.timezone


def owner_of(call: Call) -> tuple[str, int]:
    """(type, owner) of the calendar that the call names and the caller may change."""
    for name in ("type", "ownerId"):
        if call.get(name) in (None, "") or (name == "ownerId" and as_int(call.get(name)) is None):
            raise RestError("", f'The required parameter "{name}" for the method "{call.method.name}" is not set', 400)
    kind, owner = call.text("type"), call.integer("ownerId")
    if kind not in ("user", "group", "company_calendar"):
        raise RestError("", 'Invalid value for the parameter "type"', 400)
    if kind == "user" and (call.portal.user(owner) is None or (owner != call.user_id and not call.admin)):
        raise RestError("", "Access denied", 400)
    return kind, owner


@method("calendar.event.add", scope="calendar", writes=True,
        params="type ownerId name from to from_ts to_ts section auto_detect_section skip_time "
        "timezone_from timezone_to description color text_color accessibility importance "
        "private_event rrule is_meeting location remind attendees host meeting crm_fields")  # fmt: skip
def event_add(call: Call) -> int:
    portal = call.portal
    kind, owner = owner_of(call)
    name = call.text("name")
    if not name:
        raise RestError("", f'The required parameter "name" for the method "{call.method.name}" is not set', 400)
    low, high, zone = _moments(call)
    section = as_int(call.get("section"))
    if section and not yes(call.get("auto_detect_section")):
        known = portal["sections"].get(section)
        if known is None or (known["CAL_TYPE"], known["OWNER_ID"]) != (kind, owner):
            raise RestError(
                "", "You specified an invalid calendar section ID or the user does not have access to it", 400
            )
    else:
        section = section_of(portal, kind, owner)["ID"]
    crm = call.get("crm_fields")
    if crm not in (None, "") and not isinstance(crm, (list, dict)):
        raise RestError("", "The list of event links to CRM must be an array", 400)
    row = add_event(
        portal,
        {
            "CAL_TYPE": kind, "OWNER_ID": owner, "NAME": name, "FROM": low, "TO": high, "TZ": zone,
            "SECTION_ID": section,
            "SKIP_TIME": "Y" if yes(call.get("skip_time")) else "N", "CREATED_BY": call.user_id,
            "DESCRIPTION": call.text("description"), "PRIVATE": yes(call.get("private_event")),
            "ACCESSIBILITY": call.text("accessibility") or "busy", "IMPORTANCE": call.text("importance") or "normal",
            "IS_MEETING": yes(call.get("is_meeting")), "LOCATION": call.text("location"), "COLOR": call.text("color"),
            "TEXT_COLOR": call.text("text_color"), "REMIND": as_list(call.get("remind")),
            "RRULE": call.get("rrule") or None,
            "MEETING": call.mapping("meeting"), "CRM": [plain(one) for one in as_list(crm)],
            "ATTENDEES": _attendees(call),
        },
    )  # fmt: skip
    _event(call, "ADD", row)
    return int(row["ID"])


def _attendees(call: Call) -> list[int]:
    if not yes(call.get("is_meeting")):
        return []
    found = [number for number in (as_int(one) for one in call.sequence("attendees")) if call.portal.user(number)]
    return [call.user_id, *(number for number in found if number is not None and number != call.user_id)]


def _event(call: Call, change: str, row: Row) -> None:
    verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete"}[change]
    call.portal.effect(verb, "calendar event", row["ID"], call.user_id, "rest")
    delivery.emit(
        call.portal, f"ONCALENDARENTRY{change}", {"id": row["ID"]}, call.actor, entity=f"calendar {row['ID']}"
    )


def _found(call: Call) -> Row:
    if as_int(call.get("id")) is None:
        raise RestError("", f'The required parameter "id" for the method "{call.method.name}" is not set', 400)
    row = call.portal["calendar"].get(call.integer("id"))
    if row is None or not sees(call, row):
        raise RestError("", "Event not found or access denied", 400)
    return row


def sees(call: Call, row: Row) -> bool:
    """Whether the caller may read the entry."""
    return (
        call.admin
        or row["CAL_TYPE"] != "user"
        or call.user_id in (row["OWNER_ID"], row["CREATED_BY"], *row["ATTENDEES"])
    )


@method("calendar.event.update", scope="calendar", writes=True,
        params="id type ownerId from to from_ts to_ts section name skip_time timezone_from timezone_to "
        "description color text_color accessibility importance private_event recurrence_mode "
        "current_date_from rrule is_meeting location remind attendees host meeting crm_fields")  # fmt: skip
def event_update(call: Call) -> int:
    row = _found(call)
    owner_of(call)
    if row["IS_MEETING"] and row["CREATED_BY"] != call.user_id and as_int(call.get("host")) != row["CREATED_BY"]:
        raise RestError("", "Access denied", 400)
    new: Row = {}
    if any(call.get(name) not in (None, "") for name in ("from", "to", "from_ts", "to_ts")):
        new["FROM"], new["TO"], new["TZ"] = _moments(call)
    texts = {"name": "NAME", "description": "DESCRIPTION", "location": "LOCATION", "color": "COLOR",
        "text_color": "TEXT_COLOR", "accessibility": "ACCESSIBILITY", "importance": "IMPORTANCE"}  # fmt: skip
    for name, key in texts.items():
        if call.get(name) is not None:
            new[key] = call.text(name)
    if call.get("skip_time") is not None:
        new["SKIP_TIME"] = "Y" if yes(call.get("skip_time")) else "N"
    if call.get("private_event") is not None:
        new["PRIVATE"] = yes(call.get("private_event"))
    if call.get("is_meeting") is not None:
        # Given without attendees it clears them, as the page of the method warns.
        new["IS_MEETING"], new["ATTENDEES"] = yes(call.get("is_meeting")), _attendees(call)
    if call.get("remind") is not None:
        new["REMIND"] = as_list(call.get("remind"))
    if call.get("rrule") is not None:
        new["RRULE"] = call.get("rrule") or None
    if call.get("crm_fields") is not None:
        new["CRM"] = [plain(one) for one in as_list(call.get("crm_fields"))]
    if any(row[key] != value for key, value in new.items()):
        row.update(new)
        row["CHANGED"], row["VERSION"] = call.portal.now(), row["VERSION"] + 1
        _event(call, "UPDATE", row)
    return int(row["ID"])


@method("calendar.event.delete", scope="calendar", params="id", writes=True)
def event_delete(call: Call) -> bool:
    row = _found(call)
    if not call.admin and call.user_id not in (row["OWNER_ID"], row["CREATED_BY"]):
        raise RestError("", "Access denied", 400)
    call.portal["calendar"].remove(row["ID"])
    _event(call, "DELETE", row)
    return True


def as_entry(call: Call, row: Row) -> Row:
    """An entry as calendar.event.get and getbyid print it."""
    portal = call.portal
    offset = int(
        (datetime.fromtimestamp(row["FROM"], portal.zone(row["TZ"])).utcoffset() or timedelta()).total_seconds()
    )
    host = portal.user(row["CREATED_BY"]) or {"NAME": "", "LAST_NAME": ""}
    start, finish = (datetime.fromtimestamp(row[name], portal.zone(row["TZ"])) for name in ("FROM", "TO"))
    attendees = row["ATTENDEES"]
    made: Row = {
        "ID": str(row["ID"]), "PARENT_ID": str(row["ID"]), "DELETED": "N", "CAL_TYPE": row["CAL_TYPE"],
        "OWNER_ID": str(row["OWNER_ID"]), "NAME": row["NAME"], "DATE_FROM": start.strftime(_FORMAT),
        "DATE_TO": finish.strftime(_FORMAT), "ORIGINAL_DATE_FROM": None, "TZ_FROM": row["TZ"], "TZ_TO": row["TZ"],
        "TZ_OFFSET_FROM": str(offset), "TZ_OFFSET_TO": str(offset), "DATE_FROM_TS_UTC": str(int(row["FROM"])),
        "DATE_TO_TS_UTC": str(int(row["TO"])), "DT_SKIP_TIME": row["SKIP_TIME"],
        "DT_LENGTH": int(row["TO"] - row["FROM"]),
        "EVENT_TYPE": row["EVENT_TYPE"], "CREATED_BY": str(row["CREATED_BY"]),
        "DATE_CREATE": display(portal, row["CREATED"]),
        "TIMESTAMP_X": display(portal, row["CHANGED"]), "DESCRIPTION": row["DESCRIPTION"],
        "PRIVATE_EVENT": "1" if row["PRIVATE"] else "", "ACCESSIBILITY": row["ACCESSIBILITY"],
        "IMPORTANCE": row["IMPORTANCE"],
        "IS_MEETING": row["IS_MEETING"], "MEETING_STATUS": "H" if row["IS_MEETING"] else None,
        "MEETING_HOST": str(row["CREATED_BY"]),
        "MEETING": {
            "HOST_NAME": f"{host['NAME']} {host['LAST_NAME']}", "NOTIFY": bool(row["MEETING"].get("notify", False)),
            "REINVITE": bool(row["MEETING"].get("reinvite", False)),
            "ALLOW_INVITE": bool(row["MEETING"].get("allow_invite", False)),
            "HIDE_GUESTS": bool(row["MEETING"].get("hide_guests", False)), "MEETING_CREATOR": row["CREATED_BY"],
            "LANGUAGE_ID": portal.settings.language, "MAIL_FROM": "",
        },
        "LOCATION": row["LOCATION"], "REMIND": row["REMIND"], "COLOR": row["COLOR"], "RRULE": row["RRULE"] or "",
        "EXDATE": "",
        "DAV_XML_ID": f"{row['ID']}@{portal.member_id}", "G_EVENT_ID": "", "DAV_EXCH_LABEL": "", "CAL_DAV_LABEL": "",
        "VERSION": str(row["VERSION"]),
        "ATTENDEES_CODES": [f"U{number}" for number in attendees or [row["CREATED_BY"]]],
        "RECURRENCE_ID": None, "RELATIONS": "", "SECTION_ID": str(row["SECTION_ID"]), "SYNC_STATUS": None,
        "UF_CRM_CAL_EVENT": row["CRM"] or False, "UF_WEBDAV_CAL_EVENT": False, "SECTION_DAV_XML_ID": None,
        "DATE_FROM_FORMATTED": start.strftime("%a %b %d %Y %H:%M:%S"),
        "DATE_TO_FORMATTED": finish.strftime("%a %b %d %Y %H:%M:%S"),
        "SECT_ID": str(row["SECTION_ID"]),
        "ATTENDEE_LIST": [
            {"id": number, "entryId": str(row["ID"]),
                "status": "H" if number == row["CREATED_BY"] else "Q"} for number in attendees
        ],
        "COLLAB_ID": None, "~RRULE_DESCRIPTION": "",
        "attendeesEntityList": [{"entityId": "user", "id": number} for number in attendees or [row["CREATED_BY"]]],
        "~DESCRIPTION": row["DESCRIPTION"], "~USER_OFFSET_FROM": offset, "~USER_OFFSET_TO": offset,
    }  # fmt: skip
    return made


@method("calendar.event.getbyid", scope="calendar", params="id")
def event_get_by_id(call: Call) -> Row:
    return as_entry(call, _found(call))


@method("calendar.event.get", scope="calendar", params="type ownerId from to section")
def event_get(call: Call) -> list[Row]:
    if not call.text("type"):
        raise RestError("", f'Required parameter "type" is not specified for method "{call.method.name}"', 400)
    portal = call.portal
    now = portal.now()
    low = to_time(call.get("from"), portal.zone()) if call.get("from") else now - 31 * 86400
    high = to_time(call.get("to"), portal.zone()) if call.get("to") else now + 92 * 86400
    if low is None or high is None:
        raise RestError("", 'Invalid value for the parameter "from"', 400)
    kind, owner = call.text("type"), call.integer("ownerId")
    sections = {as_int(one) for one in call.sequence("section")}
    found = []
    for row in portal["calendar"]:
        if row["CAL_TYPE"] != kind or (owner and row["OWNER_ID"] != owner and owner not in row["ATTENDEES"]):
            continue
        if row["TO"] < low or row["FROM"] >= high + 86400 or (sections and row["SECTION_ID"] not in sections):
            continue
        if sees(call, row):
            found.append(as_entry(call, row))
    return found


@method("calendar.section.get", scope="calendar", params="type ownerId")
def section_get(call: Call) -> list[Row]:
    kind, owner = owner_of(call)
    section_of(call.portal, kind, owner)
    return [
        {
            "ID": str(row["ID"]), "NAME": row["NAME"], "GAPI_CALENDAR_ID": None, "DESCRIPTION": row["DESCRIPTION"],
            "COLOR": row["COLOR"], "TEXT_COLOR": row["TEXT_COLOR"], "EXPORT": {"ALLOW": bool(row.get("EXPORT"))},
            "CAL_DAV_CON": None,
            "SYNC_TOKEN": None, "PAGE_TOKEN": None, "EXTERNAL_TYPE": "local",
            "DATE_CREATE": display(call.portal, row["CREATED"]), "TIMESTAMP_X": display(call.portal, row["CREATED"]),
            "IS_COLLAB": False,
            "ACCESS": {f"U{row['OWNER_ID']}": 2, "G2": 10},
            "CAL_TYPE": row["CAL_TYPE"], "OWNER_ID": str(row["OWNER_ID"]), "CREATED_BY": str(row["CREATED_BY"]),
            "PERM": {"view_time": True, "view_title": True, "view_full": True, "add": True, "edit": True,
                "edit_section": True, "access": True},
        }
        for row in call.portal["sections"].where(CAL_TYPE=kind, OWNER_ID=owner)
    ]  # fmt: skip
