"""Calendars beside events: sections, resources and their bookings, invitations, a person's settings, what is next."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox import delivery, entries
from sandbox.entries import DAY, KINDS, section_of, sees
from sandbox.filters import to_time
from sandbox.method import Call, RestError, Row, as_int, as_map, method, plain, yes
from sandbox.methods.calendar import as_entry, found, need, owner_of, refusal


def _need(call: Call, name: str) -> Any:
    need(call, name)
    return call.get(name)


# --- sections ---------------------------------------------------------------------------------------------------------


def _section_values(call: Call) -> Row:
    values: Row = {}
    for name in ("name", "description", "color", "text_color"):
        value = call.get(name)
        if value is None:
            continue
        if isinstance(value, (dict, list)):
            raise RestError("", f'Invalid value for the "{name}" parameter', 400)
        values[name.upper()] = plain(value)
    if call.get("export") is not None:
        values["EXPORT"] = plain(as_map(call.get("export")).get("ALLOW")) in ("1", "Y", "true")
    return values


def _section(call: Call) -> Row:
    kind, owner = owner_of(call, own=True)
    if call.get("id") in (None, "", []):
        raise refusal(call, "Section ID is not set")
    row = call.portal["sections"].get(as_int(call.get("id")))
    if row is None or (row["CAL_TYPE"], row["OWNER_ID"]) != (kind, owner):
        raise refusal(call, "Access denied")
    return row


def _event(call: Call, change: str, number: int) -> None:
    verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete"}[change]
    call.portal.effect(verb, "calendar section", number, call.user_id, "rest")
    delivery.emit(call.portal, f"ONCALENDARSECTION{change}", {"id": number}, call.actor, entity=f"section {number}")


@method("calendar.section.add", scope="calendar", writes=True,
        params="type ownerId name description color text_color export")  # fmt: skip
def section_add(call: Call) -> int:
    kind, owner = owner_of(call, own=True)
    values = _section_values(call)
    if not values.get("NAME", "").strip():
        raise RestError("", 'Invalid value for the "name" parameter', 400)
    section_of(call.portal, kind, owner)
    row = call.portal["sections"].add(
        {
            "CAL_TYPE": kind, "OWNER_ID": owner, "COLOR": "#9dcf00", "TEXT_COLOR": "", "DESCRIPTION": "",
            "CREATED_BY": call.user_id, "CREATED": call.portal.now(), **values,
        }
    )  # fmt: skip
    _event(call, "ADD", row["ID"])
    return int(row["ID"])


@method("calendar.section.update", scope="calendar", writes=True,
        params="type ownerId id name description color text_color export")  # fmt: skip
def section_update(call: Call) -> int:
    row = _section(call)
    values = _section_values(call)
    if any(row.get(key) != value for key, value in values.items()):
        row.update(values)
        _event(call, "UPDATE", row["ID"])
    return int(row["ID"])


@method("calendar.section.delete", scope="calendar", params="type ownerId id", writes=True)
def section_delete(call: Call) -> bool:
    row = _section(call)
    for event in list(call.portal["calendar"].where(SECTION_ID=row["ID"])):
        call.portal["calendar"].remove(event["ID"])
    call.portal["sections"].remove(row["ID"])
    _event(call, "DELETE", row["ID"])
    return True


# --- invitations, settings, what is next ------------------------------------------------------------------------------


def _invited(call: Call, text: str) -> Row:
    number = as_int(_need(call, "eventId"))
    row = call.portal["calendar"].get(number)
    if row is None or not sees(call.portal, call.user, row):
        raise RestError("", text, 400)
    return row


@method("calendar.meeting.status.get", scope="calendar", params="eventId")
def meeting_get(call: Call) -> str:
    if call.get("eventId") in (None, "", []):
        # The page of this method shows the text with the other method's name.
        text = 'The required parameter "eventId" for the method "calendar.meeting.status.set" is not set'
        raise RestError("", text, 400)
    row = _invited(call, "An error occurred while retrieving the status")
    return entries.answer_of(row, call.user_id)


@method("calendar.meeting.status.set", scope="calendar", params="eventId status", writes=True)
def meeting_set(call: Call) -> bool:
    _need(call, "eventId")
    status = plain(_need(call, "status")) if not isinstance(call.get("status"), (dict, list)) else ""
    if status not in ("Y", "N", "Q"):
        raise RestError("", 'Invalid value for the parameter "status"', 400)
    row = _invited(call, "Event not found or access denied")
    row.setdefault("ANSWERS", {})[str(call.user_id)] = status
    call.portal.effect("update", "calendar event", row["ID"], call.user_id, "rest", answer=status)
    return True


_USUAL: Row = {
    "view": "month", "showDeclined": False, "denyBusyInvitation": False, "collapseOffHours": "Y",
    "showWeekNumbers": "N", "showTasks": "Y", "syncTasks": "N", "showCompletedTasks": "N", "lastUsedSection": "false",
    "sendFromEmail": "", "syncPeriodPast": "3", "syncPeriodFuture": "12",
    "defaultReminders": {"fullDay": [{"type": "min", "count": 15}], "withTime": [{"type": "min", "count": 15}]},
    "timezoneDefaultName": "", "work_time_start": "9.00", "work_time_end": "18.00",
}  # fmt: skip


def _own_settings(call: Call) -> Row:
    table = call.portal["calendar_user_settings"]
    return table.first(USER_ID=call.user_id) or table.add({"USER_ID": call.user_id, "VALUES": {}})


@method("calendar.user.settings.get", scope="calendar")
def user_settings_get(call: Call) -> Row:
    section = str(section_of(call.portal, "user", call.user_id)["ID"])
    name = call.user["TIME_ZONE"] or call.portal.settings.timezone
    offset = datetime.fromtimestamp(call.portal.now(), call.portal.zone(name)).utcoffset()
    return {
        **_USUAL, "meetSection": section, "crmSection": section, "defaultSections": {f"user{call.user_id}": section},
        "timezoneName": name, "timezoneOffsetUTC": int(offset.total_seconds()) if offset else 0,
        **_own_settings(call)["VALUES"],
    }  # fmt: skip


@method("calendar.user.settings.set", scope="calendar", params="settings", writes=True)
def user_settings_set(call: Call) -> bool:
    given = _need(call, "settings")
    if not isinstance(given, dict):
        raise RestError(
            "", 'The required parameter "settings" for the method "calendar.user.settings.set" is not set', 400
        )
    known = {*_USUAL, "meetSection", "crmSection", "defaultSections"}
    _own_settings(call)["VALUES"].update({key: value for key, value in given.items() if key in known})
    return True


@method("calendar.event.get.nearest", scope="calendar",
        params="type ownerId days forCurrentUser maxEventsCount detailUrl")  # fmt: skip
def nearest(call: Call) -> list[Row]:
    kind, owner = call.text("type") or "user", call.integer("ownerId")
    if kind not in KINDS:
        raise RestError("", "Access denied", 400)
    if call.get("forCurrentUser") is None or yes(call.get("forCurrentUser")):
        kind, owner = "user", call.user_id
    now = call.portal.now()
    until = now + min(3660, max(0, call.integer("days", 60))) * DAY
    shown = sorted((span[0], row["ID"], span[1]) for row, span in found(call, kind, owner, now, until))
    count = call.integer("maxEventsCount", 0)
    made = []
    for start, number, finish in shown[:count] if count > 0 else shown:
        row = call.portal["calendar"].rows[number]
        entry = as_entry(call, row, (start, finish))
        if call.text("detailUrl"):
            page = call.text("detailUrl").partition("?")[0].replace("#user_id#", str(owner or call.user_id))
            entry["~detailUrl"] = f"{page}?EVENT_ID={entry['ID']}"
        made.append(entry)
    return made


# --- resources --------------------------------------------------------------------------------------------------------


@method("calendar.resource.list", scope="calendar")
def resource_list(call: Call) -> list[Row]:
    return [
        {"ID": str(row["ID"]), "NAME": row["NAME"], "CREATED_BY": str(row["CREATED_BY"])}
        for row in call.portal["sections"].where(CAL_TYPE="resource")
    ]


@method("calendar.resource.add", scope="calendar", params="name", writes=True)
def resource_add(call: Call) -> int:
    name = plain(_need(call, "name")) if not isinstance(call.get("name"), (dict, list)) else ""
    if not name.strip():
        raise RestError("", "An error occurred while creating the resource", 400)
    row = call.portal["sections"].add(
        {
            "CAL_TYPE": "resource", "OWNER_ID": 0, "NAME": name, "COLOR": "#9dcf00", "TEXT_COLOR": "",
            "DESCRIPTION": "", "CREATED_BY": call.user_id, "CREATED": call.portal.now(),
        }
    )  # fmt: skip
    _event(call, "ADD", row["ID"])
    return int(row["ID"])


def _resource(call: Call, doing: str) -> Row:
    row = call.portal["sections"].get(as_int(_need(call, "resourceId")))
    if row is None or row["CAL_TYPE"] != "resource":
        raise RestError("", f"An error occurred while {doing} the resource", 400)
    return row


@method("calendar.resource.update", scope="calendar", params="resourceId name", writes=True)
def resource_update(call: Call) -> int:
    name = plain(_need(call, "name")) if not isinstance(call.get("name"), (dict, list)) else ""
    row = _resource(call, "updating")
    if name.strip() and name != row["NAME"]:
        row["NAME"] = name
        _event(call, "UPDATE", row["ID"])
    return int(row["ID"])


@method("calendar.resource.delete", scope="calendar", params="resourceId", writes=True)
def resource_delete(call: Call) -> bool:
    row = _resource(call, "deleting")
    call.portal["sections"].remove(row["ID"])
    _event(call, "DELETE", row["ID"])
    return True


@method("calendar.resource.booking.list", scope="calendar", params="filter")
def resource_bookings(call: Call) -> list[Row]:
    """Bookings of resources: entries of type resource, made by booking fields of CRM (controls may add them)."""
    given = call.mapping("filter")
    if not given.get("resourceTypeIdList") and not given.get("resourceIdList"):
        text = "The required parameter \"filter['resourceTypeIdList']\" is not set for the method "
        raise RestError("", text + f'"{call.method.name}"', 400)
    wanted = {as_int(one) for one in as_map(given.get("resourceTypeIdList")).values()}
    ids = {as_int(one) for one in as_map(given.get("resourceIdList")).values()}
    zone, now = call.portal.zone(), call.portal.now()
    low = to_time(given.get("from"), zone) or now - 31 * 86400
    high = (to_time(given.get("to"), zone) or now + 92 * 86400) + 86400
    made = []
    for row in call.portal["calendar"].where(CAL_TYPE="resource"):
        if row["TO"] < low or row["FROM"] >= high:
            continue
        if row["SECTION_ID"] in wanted or row["ID"] in ids:
            made.append(as_entry(call, row) | {"RESOURCE_BOOKING_ID": str(row["ID"])})
    return made
