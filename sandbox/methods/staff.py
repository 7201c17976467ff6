"""Changing people and the structure, custom fields of people, time tracking (user, departments, timeman)."""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime, timedelta
from typing import Any

from sandbox import company, delivery, dto, userfields
from sandbox.filters import Column, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, empty_argument, method, plain, yes
from sandbox.methods.people import subordinates
from sandbox.portal import Portal, Table
from sandbox.v3 import V3Error, invalid

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TEXTS = ("NAME", "LAST_NAME", "SECOND_NAME", "EMAIL", "PERSONAL_GENDER", "PERSONAL_WWW", "PERSONAL_BIRTHDAY",
    "PERSONAL_MOBILE", "PERSONAL_CITY", "WORK_PHONE", "WORK_POSITION", "XML_ID", "UF_PHONE_INNER",
    "TIME_ZONE")  # fmt: skip


def _upper(call: Call) -> Row:
    return {key.upper(): value for key, value in call.params.items() if key.lower() not in ("auth", "access_token")}


def _denied() -> RestError:
    return RestError("ERROR_CORE", "access_denied", 400)


def _values(call: Call, given: Row) -> Row:
    values: Row = {
        name: plain(given[name]) for name in _TEXTS if name in given and not isinstance(given[name], (dict, list))
    }
    if "UF_DEPARTMENT" in given:
        numbers = [as_int(one) for one in as_list(given["UF_DEPARTMENT"])]
        values["UF_DEPARTMENT"] = [number for number in numbers if call.portal["departments"].get(number) is not None]
    custom = {row["FIELD_NAME"] for row in call.portal["userfields"].where(ENTITY_ID="USER")}
    values |= {name: given[name] for name in custom if name in given}
    email = values.get("EMAIL")
    if email is not None:
        if not _EMAIL.fullmatch(email):
            raise RestError("ERROR_ARGUMENT", "wrong_email", argument="")
        known = call.portal["users"].first(EMAIL=email)
        if known is not None and known["ID"] != as_int(given.get("ID")):
            raise RestError("ERROR_ARGUMENT", "A user with this email already exists", argument="")
    return values


@method("user.add", scope="user", params="EMAIL NAME LAST_NAME UF_DEPARTMENT", writes=True)
def user_add(call: Call) -> int:
    if not call.admin:
        raise _denied()
    given = _upper(call)
    values = _values(call, {"EMAIL": "", **given, "ID": 0})
    if yes(given.get("EXTRANET")):
        if not as_list(given.get("SONET_GROUP_ID")):
            raise RestError("ERROR_GROUPID", "Group code not specified", 400)
        raise RestError("ERROR_NO_GROUP", "Group is specified incorrectly", 400)
    if not values.get("UF_DEPARTMENT"):
        raise RestError("ERROR_ARGUMENT", "no_extranet_field", argument="")
    row = company.add_person(call.portal, {**values, "DATE_REGISTER": call.portal.now(), "LAST_LOGIN": None})
    call.portal.effect("create", "person", row["ID"], call.user_id, "rest")
    data = {"ID": row["ID"], **{name: row[name] for name in ("NAME", "LAST_NAME", "EMAIL", "UF_DEPARTMENT")}}
    delivery.emit(call.portal, "ONUSERADD", data, call.actor, entity=f"user {row['ID']}")
    return int(row["ID"])


@method("user.update", scope="user", params="ID", writes=True)
def user_update(call: Call) -> bool:
    row = call.portal.user(as_int(call.get("ID")))
    if row is None or not call.admin:
        raise _denied()
    given = _upper(call)
    values = _values(call, given)
    if "ACTIVE" in given:
        values["ACTIVE"] = yes(given["ACTIVE"])
    if any(row.get(key) != value for key, value in values.items()):
        row.update(values)
        row["TIMESTAMP_X"] = call.portal.now()
        call.portal.effect("update", "person", row["ID"], call.user_id, "rest", fields=sorted(values))
    return True


@method("user.access", params="ACCESS", cost=(0.0, 0.01))
def user_access(call: Call) -> bool:
    if not as_list(call.get("ACCESS")):
        raise empty_argument("ACCESS")
    own = {"AU", "G2", f"U{call.user_id}", *(f"D{number}" for number in call.user["UF_DEPARTMENT"])}
    return call.admin or any(
        plain(code) in own for code in call.sequence("ACCESS") if not isinstance(code, (dict, list))
    )


# --- custom fields of people ------------------------------------------------------------------------------------------

_FIELD = {name: Column(name) for name in ("ENTITY_ID", "FIELD_NAME", "USER_TYPE_ID", "XML_ID", "MULTIPLE", "MANDATORY",
    "SHOW_FILTER", "SHOW_IN_LIST", "EDIT_IN_LIST", "IS_SEARCHABLE")}  # fmt: skip
_FIELD |= {"ID": Column("ID", "int"), "SORT": Column("SORT", "int")}


def _field(call: Call) -> Row:
    number = as_int(call.get("id"))
    if number is None or number <= 0:
        raise RestError("", "ID is not defined or invalid", 400)
    row = call.portal["userfields"].get(number)
    if row is None or row["ENTITY_ID"] != "USER" or not call.admin:
        raise RestError("", "Access denied.", 400)
    return row


def _field_values(call: Call) -> Row:
    fields = call.get("fields")
    if not isinstance(fields, dict):
        raise RestError("", "The 'FIELD_NAME' field is not found.", 400)
    return {str(key).upper(): value for key, value in fields.items()}


@method("user.userfield.add", scope="user.userfield", params="fields", writes=True)
def userfield_add(call: Call) -> int:
    if not call.admin:
        raise RestError("", "Access denied.", 400)
    return int(userfields.create(call.portal, "USER", _field_values(call), call.actor, "UF_USR_")["ID"])


@method("user.userfield.list", scope="user.userfield", params="order filter")
def userfield_list(call: Call) -> Page:
    if not call.admin:
        raise RestError("", "Access denied.", 400)
    given = {key.upper(): value for key, value in call.mapping("filter").items() if key.upper() != "LANG"}
    order = {key.upper(): value for key, value in call.mapping("order").items()}
    rows, total, _ = select_rows(
        call.portal["userfields"], filter=given, order=order or {"SORT": "ASC", "ID": "ASC"}, columns=_FIELD,
        zone=call.portal.zone(), unknown=lambda key: None, limit=10_000,
        visible=lambda row: row["ENTITY_ID"] == "USER",
    )  # fmt: skip
    return Page([userfields.describe(row, "") for row in rows], total)


@method("user.userfield.update", scope="user.userfield", params="id fields", writes=True)
def userfield_update(call: Call) -> bool:
    userfields.change(call.portal, _field(call), _field_values(call), call.actor)
    return True


@method("user.userfield.delete", scope="user.userfield", params="id", writes=True)
def userfield_delete(call: Call) -> bool:
    userfields.delete(call.portal, _field(call), call.actor)
    return True


# --- departments ------------------------------------------------------------------------------------------------------


@method("department.fields", scope="department")
def department_fields(call: Call) -> Row:
    return {"ID": "ID", "NAME": "Название подразделения", "SORT": "Сортировка", "PARENT": "Вышестоящее подразделение",
        "UF_HEAD": "Руководитель"}  # fmt: skip


def _manager(call: Call) -> None:
    if not call.admin:
        raise RestError("ERROR_CORE", "Access denied", 400)


def _department(call: Call) -> Row:
    row = call.portal["departments"].get(as_int(call.get("ID")))
    if row is None:
        raise RestError("ERROR_CORE", "Department not found", 400)
    return row


def _structure(call: Call, number: int) -> Row:
    values: Row = {}
    if call.get("NAME") is not None:
        values["NAME"] = call.text("NAME").strip()
    if call.get("SORT") is not None:
        values["SORT"] = call.integer("SORT", 500)
    if call.get("PARENT") is not None:
        parent = call.portal["departments"].get(as_int(call.get("PARENT")))
        node = parent
        while node is not None and node["ID"] != number:
            node = call.portal["departments"].get(node["PARENT"])
        if parent is None or node is not None:
            text = "There can only be one top-level department in the company structure"
            raise RestError("ERROR_CORE", text, 400)
        values["PARENT"] = parent["ID"]
    if call.get("UF_HEAD") is not None:
        values["UF_HEAD"] = call.integer("UF_HEAD")
    return values


@method("department.add", scope="department", params="NAME SORT PARENT UF_HEAD", writes=True)
def department_add(call: Call) -> int:
    _manager(call)
    if not call.text("NAME").strip():
        raise RestError("ERROR_CORE", "Department name not provided.<br>", 400)
    if call.get("PARENT") in (None, "", 0, "0"):
        raise RestError("ERROR_CORE", "There can only be one top-level department in the company structure", 400)
    row = call.portal["departments"].add({"SORT": 500, "UF_HEAD": 0, **_structure(call, 0)})
    call.portal.effect("create", "department", row["ID"], call.user_id, "rest")
    return int(row["ID"])


@method("department.update", scope="department", params="ID NAME SORT PARENT UF_HEAD", writes=True)
def department_update(call: Call) -> bool:
    row = _department(call)
    _manager(call)
    values = _structure(call, row["ID"])
    if values.get("NAME") == "":
        raise RestError("ERROR_CORE", "Department name not provided.<br>", 400)
    row.update(values)
    call.portal.effect("update", "department", row["ID"], call.user_id, "rest")
    return True


@method("department.delete", scope="department", params="ID", writes=True)
def department_delete(call: Call) -> bool:
    """People and sub-departments go to the department above."""
    row = _department(call)
    _manager(call)
    if not row["PARENT"]:
        raise RestError("ERROR_CORE", "Access denied", 400)
    for other in call.portal["departments"].where(PARENT=row["ID"]):
        other["PARENT"] = row["PARENT"]
    for user in call.portal["users"]:
        if row["ID"] in user["UF_DEPARTMENT"]:
            rest = [number for number in user["UF_DEPARTMENT"] if number != row["ID"]]
            user["UF_DEPARTMENT"] = rest or [row["PARENT"]]
    call.portal["departments"].remove(row["ID"])
    call.portal.effect("delete", "department", row["ID"], call.user_id, "rest")
    return True


# --- time tracking ----------------------------------------------------------------------------------------------------

_TRACKING: Row = {
    "active": True, "minimum_idle_for_report": 15, "register_offline": True, "register_idle": True,
    "register_desktop": True, "report_request_type": "all", "report_request_users": [], "report_simple_type": "all",
    "report_simple_users": [], "report_full_type": "all", "report_full_users": [],
}  # fmt: skip


def _access() -> RestError:
    return RestError("ACCESS_ERROR", "You don't have access to use this method", 400)


def _kept(call: Call, name: str, usual: Row) -> Row:
    """A record of settings of the portal, made on first use."""
    row = call.portal["timeman_settings"].first(NAME=name)
    return row or call.portal["timeman_settings"].add({"NAME": name, **usual})


def _tracking(call: Call) -> Row:
    row = _kept(call, "tracking", _TRACKING)
    return {name: row[name] for name in _TRACKING}


@method("timeman.timecontrol.settings.get", scope="timeman")
def tracking_get(call: Call) -> Row:
    if not call.admin:
        raise _access()
    return _tracking(call)


@method("timeman.timecontrol.settings.set", scope="timeman", writes=True,
        params="ACTIVE MINIMUM_IDLE_FOR_REPORT REGISTER_OFFLINE REGISTER_IDLE REGISTER_DESKTOP REPORT_REQUEST_TYPE "
        "REPORT_REQUEST_USERS REPORT_SIMPLE_TYPE REPORT_SIMPLE_USERS REPORT_FULL_TYPE REPORT_FULL_USERS")  # fmt: skip
def tracking_set(call: Call) -> bool:
    if not call.admin:
        raise _access()
    row = _kept(call, "tracking", _TRACKING)
    for name, usual in _TRACKING.items():
        value = call.get(name)
        if value is None:
            continue
        if isinstance(usual, bool):
            row[name] = yes(value)
        elif isinstance(usual, int):
            row[name] = as_int(value) or 0
        elif isinstance(usual, list):
            row[name] = [number for number in (as_int(one) for one in as_list(value)) if number]
        elif plain(value) in ("all", "user", "none"):
            row[name] = plain(value)
    return True


_RANGES = {"ranges": [{"ip_range": "10.0.0.0-10.255.255.255", "name": "10.x.x.x"}]}


@method("timeman.networkrange.get", scope="timeman")
def ranges_get(call: Call) -> list[Row]:
    if not call.admin:
        raise _access()
    return list(_kept(call, "network", _RANGES)["ranges"])


def _bounds(text: str) -> tuple[int, int] | None:
    low, dash, high = text.partition("-")
    try:
        first = int(ipaddress.ip_address(low.strip()))
        last = int(ipaddress.ip_address(high.strip())) if dash else first
    except ValueError:
        return None
    return (first, last) if first <= last else None


@method("timeman.networkrange.set", scope="timeman", params="RANGES", writes=True)
def ranges_set(call: Call) -> Row:
    if not call.admin:
        raise _access()
    given = call.get("RANGES")
    made: list[Row] = []
    wrong: list[Row] = []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise RestError("INVALID_FORMAT", "A wrong format for the RANGES field is passed", 400)
    for one in given:
        entry = {"ip_range": plain(as_map(one).get("ip_range")), "name": plain(as_map(one).get("name"))}
        (made if _bounds(entry["ip_range"]) else wrong).append(entry)
    if wrong:
        return {"result": False, "error_ranges": wrong}
    _kept(call, "network", _RANGES)["ranges"] = made
    return {"result": True}


@method("timeman.networkrange.check", scope="timeman", params="IP")
def ranges_check(call: Call) -> Any:
    if not call.admin:
        raise _access()
    address = call.text("IP") or "127.0.0.1"
    bounds = _bounds(address)
    for one in _kept(call, "network", _RANGES)["ranges"]:
        span = _bounds(one["ip_range"])
        if bounds and span and span[0] <= bounds[0] <= span[1]:
            return {"ip": address, "range": one["ip_range"], "name": one["name"]}
    return False


def schedules(portal: Portal) -> Table:
    """The working schedules: the one that every portal begins with (fixed, five days), and those that people define."""
    table = portal["schedules"]
    if not table.last:
        shift = {"NAME": "", "BREAK_DURATION": 3600, "WORK_TIME_START": 32400, "WORK_TIME_END": 64800,
            "WORK_DAYS": "12345"}  # fmt: skip
        table.add({"NAME": "Для всех", "TYPE": "FIXED", "FOR_ALL": True, "SHIFTS": [shift], "EXCLUSIONS": [],
            "CREATED": portal["users"].rows[1]["DATE_REGISTER"], "CREATED_BY": 0, "UPDATED_BY": 1})  # fmt: skip
    return table


@method("timeman.schedule.get", scope="timeman", params="id")
def schedule_get(call: Call) -> Row | list[Row]:
    """A working schedule; another id is an empty list."""
    row = schedules(call.portal).get(as_int(call.get("id")))
    if row is None:
        return []
    number, portal = row["ID"], call.portal
    boss = [f"U{portal['departments'].rows[1]['UF_HEAD']}"]
    none = dict.fromkeys(
        ("MAX_OFFSET_START", "MIN_OFFSET_END", "RELATIVE_START_FROM", "RELATIVE_START_TO", "RELATIVE_END_FROM",
            "RELATIVE_END_TO", "MAX_SHIFT_START_DELAY"), -1,
    )  # fmt: skip
    first = row["SHIFTS"][0] if row["SHIFTS"] else {"WORK_TIME_START": 0, "WORK_TIME_END": 0}
    return {
        "ID": number, "NAME": row["NAME"], "SCHEDULE_TYPE": row["TYPE"], "REPORT_PERIOD": "MONTH",
        "REPORT_PERIOD_OPTIONS": {"START_WEEK_DAY": 0}, "CALENDAR_ID": number, "ALLOWED_DEVICES": {"browser": True},
        "DELETED": "0", "IS_FOR_ALL_USERS": row["FOR_ALL"], "WORKTIME_RESTRICTIONS": ["[]"], "CONTROLLED_ACTIONS": 3,
        "UPDATED_BY": row["UPDATED_BY"], "DELETED_BY": 0, "DELETED_AT": "", "CREATED_BY": row["CREATED_BY"],
        "CREATED_AT": portal.iso(row["CREATED"]),
        "SHIFTS": [
            {"ID": (number - 1) * 10 + index, **shift, "SCHEDULE_ID": number, "DELETED": False}
            for index, shift in enumerate(row["SHIFTS"], 1)
        ],
        "CALENDAR": {"ID": number, "NAME": "", "PARENT_CALENDAR_ID": 0, "SYSTEM_CODE": "",
            "EXCLUSIONS": row["EXCLUSIONS"]},
        "SCHEDULE_VIOLATION_RULES": {
            "ID": number, "SCHEDULE_ID": number, "ENTITY_CODE": "UA",
            "MAX_EXACT_START": first["WORK_TIME_START"] + 900, "MIN_EXACT_END": max(0, first["WORK_TIME_END"] - 900),
            **none,
            "MIN_DAY_DURATION": 28800, "MAX_ALLOWED_TO_EDIT_WORK_TIME": 900, "MAX_WORK_TIME_LACK_FOR_PERIOD": 3600,
            "PERIOD_TIME_LACK_AGENT_ID": 0, "MISSED_SHIFT_START": 0,
            "USERS_TO_NOTIFY": {"FIXED_START_END": boss, "FIXED_PER_RECORD": boss, "FIXED_EDIT_WORKTIME": boss,
                "FIXED_PERIODIC": boss, "SHIFT_DELAY": [], "SHIFT_MISSED_START": []},
        },
    }  # fmt: skip


def _tracked(call: Call, user: Row) -> Row:
    return {
        "id": user["ID"], "active": bool(user["ACTIVE"]), "name": f"{user['NAME']} {user['LAST_NAME']}",
        "first_name": user["NAME"], "last_name": user["LAST_NAME"], "work_position": user["WORK_POSITION"],
        "avatar": "", "personal_gender": user["PERSONAL_GENDER"],
        "last_activity_date": call.portal.iso(user["LAST_ACTIVITY_DATE"]),
    }  # fmt: skip


def _may_see(call: Call, user: Row) -> bool:
    return call.admin or user["ID"] == call.user_id or user["ID"] in subordinates(call.portal, call.user_id)


@method("timeman.timecontrol.reports.settings.get", scope="timeman")
def reports_settings(call: Call) -> Row:
    head = any(row["UF_HEAD"] == call.user_id for row in call.portal["departments"])
    shown = [
        {"id": str(row["ID"]), "name": row["NAME"]}
        for row in call.portal["departments"]
        if call.admin or row["UF_HEAD"] == call.user_id
    ]
    settings = _tracking(call)
    return {
        "active": settings["active"], "user_id": call.user_id, "user_admin": call.admin, "user_head": head,
        "departments": shown, "minimum_idle_for_report": settings["minimum_idle_for_report"],
        "report_view_type": "full" if call.admin else "head" if head else "simple",
    }  # fmt: skip


@method("timeman.timecontrol.reports.users.get", scope="timeman", params="DEPARTMENT_ID")
def reports_users(call: Call) -> list[Row]:
    wanted = as_int(call.get("DEPARTMENT_ID"))
    return [
        _tracked(call, user)
        for user in call.portal["users"]
        if user["ACTIVE"] and _may_see(call, user) and (wanted is None or wanted in user["UF_DEPARTMENT"])
    ]


@method("timeman.timecontrol.reports.get", scope="timeman", params="USER_ID MONTH YEAR IDLE_MINUTES WORKDAY_HOURS")
def reports_get(call: Call) -> Row:
    user = call.portal.user(as_int(call.get("USER_ID")))
    if user is None or not _may_see(call, user):
        raise RestError("USER_ACCESS_ERROR", "You don't have access to report for this user", 400)
    month, year = call.integer("MONTH"), call.integer("YEAR")
    if not 1 <= month <= 12 or not 1970 <= year <= 2100:
        raise RestError("ACCESS_ERROR", "You don't have access to this method", 400)
    zone = call.portal.zone()
    start = datetime(year, month, 1, tzinfo=zone)
    finish = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone) - timedelta(seconds=1)
    length = call.integer("WORKDAY_HOURS", 8) * 3600
    days = [
        _day(call, row, length)
        for row in call.portal["work_days"].where(USER_ID=user["ID"])
        if start.timestamp() <= row["START"] <= finish.timestamp()
    ]
    names = ("Январь", "Февраль", "Март", "Апрель", "Май", "Июнь", "Июль", "Август", "Сентябрь", "Октябрь", "Ноябрь",
        "Декабрь")  # fmt: skip
    report = {
        "month_title": names[month - 1], "date_start": start.isoformat(), "date_finish": finish.isoformat(),
        "days": days,
    }  # fmt: skip
    return {"report": report, "user": _tracked(call, user)}


def _day(call: Call, row: Row, length: int) -> Row:
    iso = call.portal.iso
    at = datetime.fromtimestamp(row["START"], call.portal.zone())
    worked = int((row["FINISH"] or call.portal.now()) - row["START"] - row["LEAKS"])
    report = {
        "id": str(row["ID"]), "user_id": str(row["USER_ID"]), "type": "TM_START", "date_start": iso(row["START"]),
        "date_finish": iso(row["START"]), "duration": 0, "active": row["FINISH"] is None, "entry_id": str(row["ID"]),
        "report_type": row.get("REPORT_TYPE", "WORK"), "report_text": row["REPORT"], "system_text": None,
        "source_start": "TM_EVENT", "source_finish": "TM_EVENT", "ip_start": "127.0.0.1", "ip_finish": "127.0.0.1",
        "ip_start_network": False, "ip_finish_network": False,
    }  # fmt: skip
    return {
        "index": at.strftime("%Y%m%d"), "day_title": at.strftime("%d.%m.%Y"), "workday_date_start": iso(row["START"]),
        "workday_date_finish": iso(row["FINISH"]), "workday_complete": row["FINISH"] is not None,
        "workday_time_leaks_user": int(row["LEAKS"]), "workday_time_leaks_final": max(0, length - worked),
        "workday_duration": worked, "workday_duration_final": worked, "workday_duration_config": length,
        "reports": [report], "workday_time_leaks_real": int(row["LEAKS"]),
    }  # fmt: skip


@method("timeman.timecontrol.report.add", scope="timeman", params="REPORT_ID USER_ID TEXT TYPE CALENDAR", writes=True)
def report_add(call: Call) -> bool:
    row = call.portal["work_days"].get(as_int(call.get("REPORT_ID")))
    user = call.portal.user(row["USER_ID"]) if row else None
    if row is None or user is None or not _may_see(call, user):
        raise RestError("ACCESS_ERROR", "You don't have access for this report", 400)
    if not call.text("TEXT").strip():
        raise RestError("TEXT_EMPTY", "Text can't be empty", 400)
    row["REPORT"] = call.text("TEXT")
    row["REPORT_TYPE"] = "PRIVATE" if call.text("TYPE").upper() == "PRIVATE" else "WORK"
    return True


RECORD = dto.Dto(
    "RecordDto",
    {"id": "int", "userId": "int", "startTime": "object", "endTime": "object", "duration": "int", "breakLength": "int",
        "status": "string"},
    filterable=frozenset({"userId", "startTime"}), sortable=frozenset({"id", "startTime"}),
)  # fmt: skip
dto.describe("timeman.record", "timeman", RECORD)


@method("timeman.record.list", scope="timeman", version=3)
def record_list(call: Call) -> Row:
    equal, test = dto.conditions(call, RECORD, {"userId", "startTime"})
    if "userId" not in equal:
        raise invalid(("filter.userId", "Required field `filter.userId` is not specified"))
    user = call.portal.user(equal["userId"])
    if user is None or not _may_see(call, user):
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    rows = []
    for row in call.portal["work_days"].where(USER_ID=user["ID"]):
        end = row["FINISH"]
        status = "closed" if end is not None else "paused" if row["PAUSED"] is not None else "opened"
        rows.append(
            {
                "id": row["ID"], "userId": user["ID"], "startTime": call.portal.iso(row["START"]),
                "endTime": call.portal.iso(end), "breakLength": int(row["LEAKS"]), "status": status,
                "duration": int((end or call.portal.now()) - row["START"] - row["LEAKS"]),
            }
        )  # fmt: skip
    return {"items": dto.page(call, RECORD, [row for row in rows if test(row)], sortable={"id", "startTime"})}
