"""Booking: types of resources, resources with slots, bookings, the waiting list (api-reference/booking).

One resource is booked once at a time. Names and shapes as in the pages of booking.v1.*.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from sandbox import delivery
from sandbox.crm_kinds import COMPANY, CONTACT
from sandbox.filters import to_time
from sandbox.method import Call, RestError, Row, as_int, as_list, as_map, method, missing, plain, yes

_DEFAULTS: Row = {
    "isInfoNotificationOn": "Y", "templateTypeInfo": "inanimate", "infoNotificationDelay": None,
    "isConfirmationNotificationOn": "Y", "templateTypeConfirmation": "inanimate",
    "confirmationNotificationDelay": 86400,
    "confirmationNotificationRepetitions": None, "confirmationNotificationRepetitionsInterval": 10800,
    "confirmationCounterDelay": 10800, "isReminderNotificationOn": "Y", "templateTypeReminder": "base",
    "reminderNotificationDelay": -1, "isFeedbackNotificationOn": "N", "templateTypeFeedback": "inanimate",
    "isDelayedNotificationOn": "Y", "templateTypeDelayed": "inanimate", "delayedNotificationDelay": 300,
    "delayedCounterDelay": 300,
}  # fmt: skip
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _error(code: int, text: str) -> RestError:
    return RestError(code, text, 400)  # numbers, not texts, stand in `error` of this family


def _fields(call: Call) -> Row:
    value = call.params.get("fields")
    if not isinstance(value, dict):
        raise missing("fields")
    return value


def _row(call: Call, table: str, code: int, text: str, name: str = "id") -> Row:
    row = call.portal[table].get(as_int(call.params.get(name)))
    if row is None:
        raise _error(code, text)
    return row


def _event(call: Call, name: str, number: int) -> None:
    delivery.emit(call.portal, name, {"id": number}, call.actor, entity=f"{name[:-3]} {number}")


def _settings(given: Row) -> Row:
    made: Row = {}
    for name, usual in _DEFAULTS.items():
        if name not in given:
            continue
        value = given[name]
        if name.startswith("is"):
            if plain(value) not in ("Y", "N"):
                raise _error(422, f"Invalid value of the field {name}")
            made[name] = value
        elif name.startswith("template"):
            if plain(value) not in ("animate", "inanimate", "base"):
                raise _error(422, f"Invalid value of the field {name}")
            made[name] = value
        else:
            number = as_int(value)
            if number is None and usual is not None:
                raise _error(422, f"Invalid value of the field {name}")
            made[name] = number
    return made


def _listed(call: Call, *names: str) -> tuple[Row, Row]:
    """(filter, order) of a list."""
    found = []
    for name in ("filter", "order"):
        value = call.params.get(name)
        if value is not None and not isinstance(value, (dict, list)):
            text = (
                f"Invalid value {{{plain(value)}}} to match with parameter {{{name}}}. Should be value of type array."
            )
            raise RestError("", text, 400)
        found.append(as_map(value))
    return found[0], {key: value for key, value in found[1].items() if key in names}


def _sorted(rows: list[Row], order: Row) -> list[Row]:
    for name, direction in reversed(order.items()):
        rows.sort(key=lambda row, name=name: row[name] or 0, reverse=plain(direction).upper() == "DESC")  # type: ignore[misc]
    return rows


# --- types of resources -----------------------------------------------------------------------------------------------


def _as_type(row: Row) -> Row:
    return {"id": row["ID"], "name": row["name"], "code": row["code"], **{name: row[name] for name in _DEFAULTS}}


@method("booking.v1.resourceType.add", scope="booking", style="controller", params="fields!", writes=True)
def type_add(call: Call) -> Row:
    fields = _fields(call)
    for name in ("name", "code"):
        if not plain(fields.get(name)):
            raise _error(0, f"Required fields: {name}")
    code = plain(fields["code"])
    if call.portal["booking_types"].first(code=code) is not None:
        raise _error(1010, f"Resource type with code {code} already exists")
    row = call.portal["booking_types"].add(
        {"name": plain(fields["name"]), "code": code, **_DEFAULTS, **_settings(fields)}
    )
    _event(call, "ONBOOKINGRESOURCETYPEADD", row["ID"])
    return {"id": row["ID"]}


@method("booking.v1.resourceType.get", scope="booking", style="controller", params="id!")
def type_get(call: Call) -> Row:
    return {"resourceType": _as_type(_row(call, "booking_types", 1013, "Resource type not found"))}


@method("booking.v1.resourceType.list", scope="booking", style="controller", params="filter order")
def type_list(call: Call) -> Row:
    wanted, order = _listed(call, "id", "name", "code")
    word = plain(wanted.get("searchQuery")).casefold()
    rows = [
        _as_type(row)
        for row in call.portal["booking_types"]
        if word in row["name"].casefold()
        and ("name" not in wanted or row["name"] == plain(wanted["name"]))
        and ("code" not in wanted or row["code"] == plain(wanted["code"]))
    ]
    return {"resource": _sorted(rows, order)}


@method("booking.v1.resourceType.update", scope="booking", style="controller", params="id! fields!", writes=True)
def type_update(call: Call) -> bool:
    row, fields = _row(call, "booking_types", 1007, "Resource type not found"), _fields(call)
    code = plain(fields.get("code")) or row["code"]
    twin = call.portal["booking_types"].first(code=code)
    if twin is not None and twin["ID"] != row["ID"]:
        raise _error(1011, f"Resource type with code {code} already exists")
    row.update({**_settings(fields), "code": code, "name": plain(fields.get("name")) or row["name"]})
    _event(call, "ONBOOKINGRESOURCETYPEUPDATE", row["ID"])
    return True


@method("booking.v1.resourceType.delete", scope="booking", style="controller", params="id!", writes=True)
def type_delete(call: Call) -> bool:
    row = _row(call, "booking_types", 1012, "Resource type has not been found")
    call.portal["booking_types"].remove(row["ID"])
    _event(call, "ONBOOKINGRESOURCETYPEDELETE", row["ID"])
    return True


# --- resources --------------------------------------------------------------------------------------------------------


def _as_resource(row: Row) -> Row:
    return {
        "id": row["ID"], "name": row["name"], "description": row["description"], "typeId": row["typeId"],
        "isMain": row["isMain"], **{name: row[name] for name in _DEFAULTS},
    }  # fmt: skip


def _type_of(call: Call, value: Any) -> int:
    number = as_int(value)
    if not number:
        raise _error(1006, "ResourceType not found")
    if call.portal["booking_types"].get(number) is None:
        raise _error(1013, f"Resource type with id {number} does not exist")
    return number


@method("booking.v1.resource.add", scope="booking", style="controller", params="fields!", writes=True)
def resource_add(call: Call) -> Row:
    fields = _fields(call)
    if not plain(fields.get("name")):
        raise _error(0, "Required fields: name")
    row = call.portal["booking_resources"].add(
        {
            "name": plain(fields["name"]), "description": plain(fields.get("description")) or None,
            "typeId": _type_of(call, fields.get("typeId")), "isMain": "Y" if yes(fields.get("isMain", "Y")) else "N",
            **_DEFAULTS, **_settings(fields), "SLOTS": [],
        }
    )  # fmt: skip
    _event(call, "ONBOOKINGRESOURCEADD", row["ID"])
    return {"id": row["ID"]}


@method("booking.v1.resource.get", scope="booking", style="controller", params="id!")
def resource_get(call: Call) -> Row:
    return {"resource": _as_resource(_row(call, "booking_resources", 1009, "Resource not found"))}


@method("booking.v1.resource.list", scope="booking", style="controller", params="filter order")
def resource_list(call: Call) -> Row:
    wanted, order = _listed(call, "id", "name", "typeId")
    word = plain(wanted.get("searchQuery")).casefold()
    rows = [
        _as_resource(row)
        for row in call.portal["booking_resources"]
        if word in row["name"].casefold()
        and ("isMain" not in wanted or row["isMain"] == plain(wanted["isMain"]))
        and ("typeId" not in wanted or row["typeId"] in [as_int(one) for one in as_list(wanted["typeId"])])
        and ("name" not in wanted or row["name"] == plain(wanted["name"]))
    ]
    return {"resource": _sorted(rows, order)}


@method("booking.v1.resource.update", scope="booking", style="controller", params="id! fields!", writes=True)
def resource_update(call: Call) -> bool:
    row, fields = _row(call, "booking_resources", 1007, "Resource not found"), _fields(call)
    new = _settings(fields)
    if "typeId" in fields:
        new["typeId"] = _type_of(call, fields["typeId"])
    if plain(fields.get("name")):
        new["name"] = plain(fields["name"])
    if "description" in fields:
        new["description"] = plain(fields["description"]) or None
    if "isMain" in fields:
        new["isMain"] = "Y" if yes(fields["isMain"]) else "N"
    row.update(new)
    _event(call, "ONBOOKINGRESOURCEUPDATE", row["ID"])
    return True


@method("booking.v1.resource.delete", scope="booking", style="controller", params="id!", writes=True)
def resource_delete(call: Call) -> bool:
    row = _row(call, "booking_resources", 1008, "Resource has not been found")
    call.portal["booking_resources"].remove(row["ID"])
    _event(call, "ONBOOKINGRESOURCEDELETE", row["ID"])
    return True


@method("booking.v1.resource.slots.list", scope="booking", style="controller", params="resourceId!")
def slots_list(call: Call) -> Row:
    return {"slots": _row(call, "booking_resources", 1009, "Resource not found", "resourceId")["SLOTS"]}


def _zone(call: Call, value: Any) -> str:
    name = plain(value) or call.portal.settings.timezone
    try:
        call.portal.zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _error(422, "Invalid value of the field timezone") from None
    return name


@method("booking.v1.resource.slots.set", scope="booking", style="controller", params="resourceId! slots!", writes=True)
def slots_set(call: Call) -> bool:
    row = _row(call, "booking_resources", 1009, "Resource not found", "resourceId")
    made = []
    for index, one in enumerate(as_list(call.params.get("slots"))):
        facts = as_map(one)
        for name in ("from", "to", "timezone", "weekDays", "slotSize"):
            if facts.get(name) in (None, "", []):
                raise _error(0, f"Required fields: {name}")
        low, high, size = as_int(facts["from"]), as_int(facts["to"]), as_int(facts["slotSize"])
        days = [plain(day) for day in as_list(facts["weekDays"]) if not isinstance(day, (dict, list))]
        if low is None or high is None or not size or not 0 <= low < high <= 1440 or set(days) - set(_DAYS):
            raise _error(422, "Invalid value of the field slots")
        made.append(
            {"id": row["ID"] * 100 + index, "from": low, "to": high, "timezone": _zone(call, facts["timezone"]),
                "weekDays": days, "slotSize": size}
        )  # fmt: skip
    row["SLOTS"] = made
    return True


@method("booking.v1.resource.slots.unset", scope="booking", style="controller", params="resourceId!", writes=True)
def slots_unset(call: Call) -> bool:
    _row(call, "booking_resources", 1009, "Resource not found", "resourceId")["SLOTS"] = []
    return True


# --- bookings ---------------------------------------------------------------------------------------------------------


def _period(call: Call, value: Any) -> Row:
    made: Row = {}
    for side in ("from", "to"):
        facts = as_map(as_map(value).get(side))
        stamp = as_int(facts.get("timestamp"))
        if stamp is None or stamp < 0:
            raise _error(422, "Invalid date period")
        made[side] = {"timestamp": stamp, "timezone": _zone(call, facts.get("timezone"))}
    if made["from"]["timestamp"] >= made["to"]["timestamp"]:
        raise _error(422, "Invalid date period")
    return made


def _resources(call: Call, value: Any, period: Row, number: int) -> list[int]:
    found = [row["ID"] for row in (call.portal["booking_resources"].get(as_int(one)) for one in as_list(value)) if row]
    if not found or len(found) != len(as_list(value)):
        raise _error(1018, "Empty resource collection")
    low, high = period["from"]["timestamp"], period["to"]["timestamp"]
    for other in call.portal["bookings"]:
        span = other["datePeriod"]
        if other["ID"] == number or not set(other["resourceIds"]) & set(found):
            continue
        if span["from"]["timestamp"] < high and low < span["to"]["timestamp"]:
            raise _error(1018, "Empty resource collection")
    return found


def _as_booking(row: Row) -> Row:
    return {
        "id": row["ID"], "name": row["name"], "description": row["description"], "resourceIds": row["resourceIds"],
        "datePeriod": row["datePeriod"],
    }  # fmt: skip


def _new_booking(call: Call, fields: Row) -> Row:
    for name in ("resourceIds", "datePeriod"):
        if fields.get(name) is None:
            raise _error(0, f"Required fields: {name}")
    period = _period(call, fields["datePeriod"])
    row = call.portal["bookings"].add(
        {
            "name": plain(fields.get("name")) or None, "description": plain(fields.get("description")) or None,
            "resourceIds": _resources(call, fields["resourceIds"], period, 0), "datePeriod": period, "CLIENTS": [],
            "EXTERNAL": [],
        }
    )  # fmt: skip
    call.portal.effect("create", "booking", row["ID"], call.user_id, "rest")
    _event(call, "ONBOOKINGADD", row["ID"])
    return row


@method("booking.v1.booking.add", scope="booking", style="controller", params="fields!", writes=True)
def booking_add(call: Call) -> Row:
    return {"id": _new_booking(call, _fields(call))["ID"]}


@method("booking.v1.booking.get", scope="booking", style="controller", params="id!")
def booking_get(call: Call) -> Row:
    return {"booking": _as_booking(_row(call, "bookings", 1021, "Booking not found"))}


@method("booking.v1.booking.update", scope="booking", style="controller", params="id! fields!", writes=True)
def booking_update(call: Call) -> bool:
    row, fields = _row(call, "bookings", 1019, "Booking not found"), _fields(call)
    period = _period(call, fields["datePeriod"]) if fields.get("datePeriod") is not None else row["datePeriod"]
    ids = fields.get("resourceIds") if fields.get("resourceIds") is not None else row["resourceIds"]
    new: Row = {"resourceIds": _resources(call, ids, period, row["ID"]), "datePeriod": period}
    new |= {name: plain(fields[name]) or None for name in ("name", "description") if name in fields}
    if any(row[key] != value for key, value in new.items()):
        row.update(new)
        _event(call, "ONBOOKINGUPDATE", row["ID"])
    return True


@method("booking.v1.booking.delete", scope="booking", style="controller", params="id!", writes=True)
def booking_delete(call: Call) -> bool:
    row = _row(call, "bookings", 1021, "Booking not found")
    call.portal["bookings"].remove(row["ID"])
    _event(call, "ONBOOKINGDELETE", row["ID"])
    return True


@method("booking.v1.booking.list", scope="booking", style="controller", params="filter order")
def booking_list(call: Call) -> Row:
    wanted, order = _listed(call, "id", "dateFrom", "dateTo")
    within = as_map(wanted.get("within"))
    low, high = as_int(within.get("dateFrom")), as_int(within.get("dateTo"))
    if within and (low is None or high is None or low > high):
        raise _error(422, "Invalid date period")
    entities = [
        (plain(as_map(one).get("code")), as_int(as_map(one).get("id")))
        for one in as_list(as_map(wanted.get("client")).get("entities"))
    ]
    ids = [as_int(one) for one in as_list(wanted.get("resourceId"))]
    rows = []
    for row in call.portal["bookings"]:
        span = row["datePeriod"]
        start, end = span["from"]["timestamp"], span["to"]["timestamp"]
        clients = {(one["type"]["code"], one["id"]) for one in row["CLIENTS"]}
        if within and (end < (low or 0) or start > (high or 0)):
            continue
        if (entities and not clients & set(entities)) or (ids and not set(row["resourceIds"]) & set(ids)):
            continue
        rows.append({**_as_booking(row), "dateFrom": start, "dateTo": end})
    hidden = ("dateFrom", "dateTo")
    return {"booking": [{k: v for k, v in row.items() if k not in hidden} for row in _sorted(rows, order)]}


@method("booking.v1.clienttype.list", scope="booking", style="controller")
def client_types(call: Call) -> Row:
    return {"clientType": [{"code": code, "module": "crm"} for code in ("CONTACT", "COMPANY")]}


# --- waiting list -----------------------------------------------------------------------------------------------------


def _wait(call: Call, code: int = 1040, text: str = "Wait list not found", name: str = "id") -> Row:
    return _row(call, "booking_waiting", code, text, name)


@method("booking.v1.waitlist.add", scope="booking", style="controller", params="fields!", writes=True)
def wait_add(call: Call) -> Row:
    row = call.portal["booking_waiting"].add(
        {"note": plain(_fields(call).get("note")) or None, "CLIENTS": [], "EXTERNAL": [], "CREATED": call.portal.now()}
    )
    _event(call, "ONBOOKINGWAITLISTITEMADD", row["ID"])
    return {"id": row["ID"]}


@method("booking.v1.waitlist.get", scope="booking", style="controller", params="id!")
def wait_get(call: Call) -> Row:
    row = _wait(call)
    return {"waitList": {"id": row["ID"], "note": row["note"]}}


@method("booking.v1.waitlist.update", scope="booking", style="controller", params="id! fields!", writes=True)
def wait_update(call: Call) -> bool:
    row, fields = _wait(call), _fields(call)
    if "note" in fields:
        row["note"] = plain(fields["note"]) or None
        _event(call, "ONBOOKINGWAITLISTITEMUPDATE", row["ID"])
    return True


@method("booking.v1.waitlist.delete", scope="booking", style="controller", params="id!", writes=True)
def wait_delete(call: Call) -> bool:
    row = _wait(call, 1036, "wait list item not found")
    call.portal["booking_waiting"].remove(row["ID"])
    _event(call, "ONBOOKINGWAITLISTITEMDELETE", row["ID"])
    return True


@method("booking.v1.waitlist.list", scope="booking", style="controller", params="filter order")
def wait_list(call: Call) -> Row:
    wanted, order = _listed(call, "id")
    span = as_map(wanted.get("createdWithin"))
    low = high = None
    if span:
        for name in ("from", "to"):
            if span.get(name) in (None, ""):
                raise _error(0, f"Required fields: {name}")
        low, high = (to_time(span[name], call.portal.zone()) for name in ("from", "to"))
        if low is None or high is None:
            raise _error(422, "Invalid date")
    rows = [
        {"id": row["ID"], "note": row["note"]}
        for row in call.portal["booking_waiting"]
        if low is None or high is None or low <= row["CREATED"] <= high + 86400
    ]
    return {"waitList": _sorted(rows, order)}


@method("booking.v1.booking.createfromwaitlist", scope="booking", style="controller", params="waitListId! fields",
        writes=True)  # fmt: skip
def booking_from_wait(call: Call) -> int:
    wait = _wait(call, 1038, "wait list item not found", "waitListId")
    row = _new_booking(call, as_map(call.params.get("fields")))
    row["CLIENTS"], row["EXTERNAL"] = wait["CLIENTS"], wait["EXTERNAL"]
    call.portal["booking_waiting"].remove(wait["ID"])
    _event(call, "ONBOOKINGWAITLISTITEMDELETE", wait["ID"])
    return int(row["ID"])


@method("booking.v1.waitlist.createfrombooking", scope="booking", style="controller", params="bookingId!", writes=True)
def wait_from_booking(call: Call) -> int:
    booking = _row(call, "bookings", 1037, "booking not found", "bookingId")
    row = call.portal["booking_waiting"].add(
        {"note": booking["description"], "CLIENTS": booking["CLIENTS"], "EXTERNAL": booking["EXTERNAL"],
            "CREATED": call.portal.now()}
    )  # fmt: skip
    call.portal["bookings"].remove(booking["ID"])
    _event(call, "ONBOOKINGDELETE", booking["ID"])
    _event(call, "ONBOOKINGWAITLISTITEMADD", row["ID"])
    return int(row["ID"])


# --- clients and links of both ----------------------------------------------------------------------------------------

_CLIENTS = {"CONTACT": CONTACT, "COMPANY": COMPANY}


def _declare(word: str, table: str, param: str, code: int, text: str, listed: str) -> None:
    prefix = f"booking.v1.{word}"

    @method(f"{prefix}.client.list", scope="booking", style="controller", params=f"{param}!")
    def client_list(call: Call) -> Row:
        return {listed: _row(call, table, code, text, param)["CLIENTS"]}

    @method(f"{prefix}.client.set", scope="booking", style="controller", params=f"{param}! clients!", writes=True)
    def client_set(call: Call) -> bool:
        row = _row(call, table, code, text, param)
        made = []
        for one in as_list(call.params.get("clients")):
            kind = as_map(as_map(one).get("type"))
            number, name = as_int(as_map(one).get("id")), plain(kind.get("code"))
            if number is None or not name:
                raise _error(0, "Required fields: id, type")
            if name not in _CLIENTS or call.portal[_CLIENTS[name]].get(number) is None:
                raise _error(422, "Invalid value of the field clients")
            made.append({"id": number, "type": {"code": name, "module": "crm"}})
        row["CLIENTS"] = made
        return True

    @method(f"{prefix}.client.unset", scope="booking", style="controller", params=f"{param}!", writes=True)
    def client_unset(call: Call) -> bool:
        _row(call, table, code, text, param)["CLIENTS"] = []
        return True

    @method(f"{prefix}.externalData.list", scope="booking", style="controller", params=f"{param}!")
    def external_list(call: Call) -> Row:
        return {"externalData": _row(call, table, code, text, param)["EXTERNAL"]}

    @method(f"{prefix}.externalData.set", scope="booking", style="controller", params=f"{param}! externalData!",
            writes=True)  # fmt: skip
    def external_set(call: Call) -> bool:
        row = _row(call, table, code, text, param)
        made = []
        for one in as_list(call.params.get("externalData")):
            facts = {name: plain(as_map(one).get(name)) for name in ("moduleId", "entityTypeId", "value")}
            lacking = [name for name, value in facts.items() if not value]
            if lacking:
                raise _error(0, "Required fields: " + ", ".join(lacking))
            made.append(facts)
        row["EXTERNAL"] = made
        return True

    @method(f"{prefix}.externalData.unset", scope="booking", style="controller", params=f"{param}!", writes=True)
    def external_unset(call: Call) -> bool:
        _row(call, table, code, text, param)["EXTERNAL"] = []
        return True


_declare("booking", "bookings", "bookingId", 1021, "Booking not found", "bookingClient")
_declare("waitlist", "booking_waiting", "waitListId", 1040, "Wait list not found", "waitListClient")
