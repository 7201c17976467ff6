"""People, departments, the working-day clock (api-reference/user, departments, timeman)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_list, method, plain
from sandbox.portal import Portal

_SCOPE = "user|user_basic|user_brief"
_CONTACTS = ("EMAIL", "PERSONAL_MOBILE", "WORK_PHONE", "PERSONAL_WWW", "PERSONAL_BIRTHDAY", "PERSONAL_CITY")
_PLAIN = [
    "ID",
    "XML_ID",
    "ACTIVE",
    "NAME",
    "LAST_NAME",
    "SECOND_NAME",
    "EMAIL",
    "LAST_LOGIN",
    "DATE_REGISTER",
    "TIME_ZONE",
    "IS_ONLINE",
    "TIMESTAMP_X",
    "LAST_ACTIVITY_DATE",
    "PERSONAL_GENDER",
    "PERSONAL_WWW",
    "PERSONAL_BIRTHDAY",
    "PERSONAL_PHOTO",
    "PERSONAL_MOBILE",
    "PERSONAL_CITY",
    "WORK_PHONE",
    "WORK_POSITION",
    "UF_EMPLOYMENT_DATE",
    "UF_DEPARTMENT",
    "UF_PHONE_INNER",
    "UF_TIMEMAN",
    "USER_TYPE",
]
# Fields that exist on a portal and are empty in this one: user.fields names them, user.get leaves them out.
_NEVER_FILLED = [
    "TITLE",
    "PERSONAL_PROFESSION",
    "PERSONAL_ICQ",
    "PERSONAL_PHONE",
    "PERSONAL_FAX",
    "PERSONAL_PAGER",
    "PERSONAL_STREET",
    "PERSONAL_MAILBOX",
    "PERSONAL_STATE",
    "PERSONAL_ZIP",
    "PERSONAL_COUNTRY",
    "PERSONAL_NOTES",
    "WORK_COMPANY",
    "WORK_DEPARTMENT",
    "WORK_WWW",
    "WORK_FAX",
    "WORK_PAGER",
    "WORK_STREET",
    "WORK_MAILBOX",
    "WORK_CITY",
    "WORK_STATE",
    "WORK_ZIP",
    "WORK_COUNTRY",
    "WORK_PROFILE",
    "WORK_LOGO",
    "WORK_NOTES",
    "UF_SKYPE_LINK",
    "UF_ZOOM",
    "UF_INTERESTS",
    "UF_SKILLS",
    "UF_WEB_SITES",
    "UF_XING",
    "UF_LINKEDIN",
    "UF_TWITTER",
    "UF_SKYPE",
    "UF_DISTRICT",
]
_COLUMNS = {name: Column(name) for name in _PLAIN}
_COLUMNS |= {
    "ID": Column("ID", "int"),
    "ACTIVE": Column("ACTIVE", "flag", lambda row: "Y" if row["ACTIVE"] else "N"),
    "IS_ONLINE": Column("IS_ONLINE", "flag", lambda row: "Y" if row["ONLINE"] else "N"),
    "UF_DEPARTMENT": Column("UF_DEPARTMENT", "int"),
    "DATE_REGISTER": Column("DATE_REGISTER", "time"),
    "LAST_LOGIN": Column("LAST_LOGIN", "time"),
    "NAME_SEARCH": Column(
        "NAME_SEARCH", "text", lambda row: f"{row['NAME']} {row['LAST_NAME']} {row['WORK_POSITION']}"
    ),
}


def as_user(call: Call, row: Row, *, current: bool = False) -> Row:
    """A person as user.get prints him; the scope decides about phones and e-mails."""
    portal = call.portal
    made: Row = {}
    for name in _PLAIN:
        if name in _CONTACTS and not ({"user", "user_basic"} & call.scopes):
            continue
        if name == "IS_ONLINE":
            made[name] = "Y" if row["ONLINE"] else "N"
        elif name in ("LAST_LOGIN", "DATE_REGISTER"):
            made[name] = portal.iso(row[name]) or ""
        elif name == "TIMESTAMP_X":
            made[name] = {}
        elif name == "LAST_ACTIVITY_DATE":
            at = row[name]
            # A list prints this moment as an empty object (so the documented examples), user.current as text.
            made[name] = (
                datetime.fromtimestamp(at, portal.zone()).strftime("%Y-%m-%d %H:%M:%S") if at and current else {}
            )
        elif name == "UF_TIMEMAN":
            made[name] = "Y" if portal.settings.timeman else "N"
        elif name == "ID":
            made[name] = str(row["ID"])
        elif row.get(name) is not None:
            made[name] = row[name]
    return made


def _list(call: Call, given: Row) -> Page:
    start = call.integer("start")
    filters: Row = {}
    for key, value in given.items():
        upper = key.upper()
        if upper.endswith("NAME_SEARCH"):
            upper = "%NAME_SEARCH"
        if upper in _COLUMNS and isinstance(value, str) and "%" in value:
            upper = f"=%{upper}"  # the page's table calls a plain field exact, its example asks for "Iv%" (user-get.md)
        filters[upper] = value
    sort = call.text("sort").upper() or "ID"
    order = call.text("order").upper() or "ASC"
    rows, total, following = select_rows(
        call.portal["users"], filter=filters, order={sort: order}, columns=_COLUMNS, zone=call.portal.zone(),
        start=start,
        unknown=lambda key: None,
    )  # fmt: skip
    made = [as_user(call, row) for row in rows]
    names = [plain(name).upper() for name in as_list(call.get("select"))]
    if names and "*" not in names:
        made = [{key: value for key, value in one.items() if key in names or key == "ID"} for one in made]
    return page_of(made, total, following, start)


@method("user.get", scope=_SCOPE, params="sort order FILTER ADMIN_MODE select IMAGE_RESIZE start")
def user_get(call: Call) -> Page:
    given = call.mapping("FILTER")
    if not given:
        known = {name.lower() for name in (*call.method.params, "auth", "access_token")}
        given = {key: value for key, value in call.params.items() if key.lower() not in known}
    return _list(call, given)


@method("user.search", scope=_SCOPE, params="FILTER sort order ADMIN_MODE select start")
def user_search(call: Call) -> Page:
    given = call.mapping("FILTER")
    if not given:
        known = {name.lower() for name in (*call.method.params, "auth", "access_token")}
        given = {key: value for key, value in call.params.items() if key.lower() not in known}
    wanted: Row = {"ACTIVE": True, "USER_TYPE": "employee"}
    for key, value in given.items():
        upper = key.upper()
        if upper == "FIND":
            wanted["%NAME_SEARCH"] = value
        elif upper in ("NAME", "LAST_NAME", "WORK_POSITION", "UF_DEPARTMENT_NAME"):
            if upper == "UF_DEPARTMENT_NAME":
                word = plain(value).casefold()
                wanted["UF_DEPARTMENT"] = [
                    one["ID"] for one in call.portal["departments"] if word in one["NAME"].casefold()
                ] or [-1]
            else:
                wanted["%" + upper] = value
        else:
            wanted[upper] = value
    return _list(call, wanted)


@method("user.current", scope=_SCOPE)
def user_current(call: Call) -> Row:
    return as_user(call, call.user, current=True)


@method("user.admin", cost=(0.0, 0.01))
def user_admin(call: Call) -> bool:
    return call.admin


@method("user.fields", scope=_SCOPE)
def user_fields(call: Call) -> Row:
    titles = {
        "ID": "ID",
        "ACTIVE": "Активность",
        "NAME": "Имя",
        "LAST_NAME": "Фамилия",
        "UF_DEPARTMENT": "Подразделения",
    }
    return {name: titles.get(name, name) for name in [*_PLAIN, *_NEVER_FILLED]}


_DEPARTMENT = {name: Column(name, "int") for name in ("ID", "SORT", "PARENT", "UF_HEAD")} | {"NAME": Column("NAME")}


@method("department.get", scope="department", params="sort order ID NAME SORT PARENT UF_HEAD START")
def department_get(call: Call) -> Page:
    given = {name: call.get(name) for name in _DEPARTMENT if name != "SORT" and call.get(name) not in (None, "")}
    # "sort" names the field of the order and stands in any case; a number there is the filter by SORT.
    sort = call.text("sort")
    if sort.isdigit():
        given["SORT"], sort = sort, ""
    start = call.integer("START")
    rows, total, following = select_rows(
        call.portal["departments"], filter=given, order={sort.upper() or "ID": call.text("order") or "ASC"},
        columns=_DEPARTMENT, zone=call.portal.zone(), start=start,
    )  # fmt: skip
    made = []
    for row in rows:
        entry: Row = {"ID": str(row["ID"]), "NAME": row["NAME"], "SORT": row["SORT"]}
        if row["PARENT"]:
            entry["PARENT"] = str(row["PARENT"])
        if row["UF_HEAD"]:
            entry["UF_HEAD"] = str(row["UF_HEAD"])
        made.append(entry)
    return page_of(made, total, following, start)


# --- working day ----------------------------------------------------------------------------------------------------


def subordinates(portal: Portal, user_id: int) -> set[int]:
    """People of the departments (and those under them) that the person heads."""
    heads = {row["ID"] for row in portal["departments"] if row["UF_HEAD"] == user_id}
    while True:
        more = {row["ID"] for row in portal["departments"] if row["PARENT"] in heads} - heads
        if not more:
            break
        heads |= more
    return {row["ID"] for row in portal["users"] if heads & set(row["UF_DEPARTMENT"])}


def set_clock(portal: Portal, user: Row, action: str, report: str = "") -> Row:
    """open (also after a pause), pause or close the working day; the day's record is returned."""
    now = portal.now()
    day = work_day(portal, user)
    if action == "open":
        if day is None or (day["FINISH"] is not None and not same_day(portal, day["START"], now)):
            day = portal["work_days"].add(
                {"USER_ID": user["ID"], "START": now, "FINISH": None, "LEAKS": 0.0, "PAUSED": None, "REPORT": ""}
            )
        elif day["PAUSED"] is not None or day["FINISH"] is not None:
            day["LEAKS"] += now - (day["PAUSED"] if day["PAUSED"] is not None else day["FINISH"])
            day["PAUSED"] = day["FINISH"] = None
    elif day is None or day["FINISH"] is not None:
        if day is None:
            raise RestError("", "Work day is not opened", 400)
    elif action == "pause":
        if day["PAUSED"] is None:
            day["PAUSED"] = now
    else:
        if day["PAUSED"] is not None:
            day["LEAKS"] += now - day["PAUSED"]
            day["PAUSED"] = None
        day["FINISH"] = now
    if report:
        day["REPORT"] = report
    user["CLOCK"] = {"open": "OPENED", "pause": "PAUSED", "close": "CLOSED"}[action]
    portal.effect("update", "working day", user["ID"], user["ID"], "person", status=user["CLOCK"])
    return day


def same_day(portal: Portal, left: float, right: float) -> bool:
    """True when both moments are on one calendar day of the portal."""
    zone = portal.zone()
    return datetime.fromtimestamp(left, zone).date() == datetime.fromtimestamp(right, zone).date()


def work_day(portal: Portal, user: Row) -> Row | None:
    """The person's last working day, or None."""
    last = None
    for row in portal["work_days"].where(USER_ID=user["ID"]):
        last = row
    return last


def _hms(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def day_status(portal: Portal, user: Row, *, finish_default: bool) -> Row:
    """What timeman.status prints: OPENED, PAUSED, CLOSED, or EXPIRED when a former day was never closed."""
    zone = portal.zone(user["TIME_ZONE"])
    day = work_day(portal, user)
    status = (
        "CLOSED" if day is None or day["FINISH"] is not None else "PAUSED" if day["PAUSED"] is not None else "OPENED"
    )
    if day is not None and status != "CLOSED" and not same_day(portal, day["START"], portal.now()):
        status = "EXPIRED"
    leaks = day["LEAKS"] if day else 0.0
    if day and day["PAUSED"] is not None:
        leaks += portal.now() - day["PAUSED"]

    def iso(at: float | None) -> str | None:
        return None if at is None else datetime.fromtimestamp(int(at), zone).isoformat()

    made: Row = {
        "STATUS": status, "TIME_START": iso(day["START"]) if day else None,
        "TIME_FINISH": iso(day["FINISH"]) if day else None,
        "DURATION": _hms(day["FINISH"] - day["START"] - leaks) if day and day["FINISH"] is not None else "00:00:00",
        "TIME_LEAKS": _hms(leaks), "ACTIVE": day is not None and day["FINISH"] is not None, "IP_OPEN": "",
        "IP_CLOSE": "",
        "LAT_OPEN": 0, "LON_OPEN": 0, "LAT_CLOSE": 0, "LON_CLOSE": 0,
        "TZ_OFFSET": int((datetime.fromtimestamp(portal.now(), zone).utcoffset() or timedelta()).total_seconds()),
    }  # fmt: skip
    if finish_default:
        at = datetime.fromtimestamp(day["START"] if day else portal.now(), zone).replace(
            hour=18, minute=0, second=0, microsecond=0
        )
        made["TIME_FINISH_DEFAULT"] = at.isoformat()
    return made


def _person(call: Call, *, change: bool) -> Row:
    if call.get("USER_ID") in (None, ""):
        return call.user
    user = call.portal.user(call.integer("USER_ID"))
    if user is None or not user["ACTIVE"]:
        raise RestError("", "User not found", 400)
    if user["ID"] != call.user_id and not call.admin and user["ID"] not in subordinates(call.portal, call.user_id):
        raise RestError("ACCESS_DENIED")
    return user


@method("timeman.status", scope="timeman", params="USER_ID")
def timeman_status(call: Call) -> Row:
    return day_status(call.portal, _person(call, change=False), finish_default=True)


def _clock(call: Call, action: str) -> Row:
    user = _person(call, change=True)
    if call.text("TIME"):
        try:
            given = datetime.fromisoformat(call.text("TIME"))
        except ValueError:
            raise RestError("WRONG_DATETIME_FORMAT", "Wrong datetime format", 400) from None
        if given.tzinfo is None or not same_day(call.portal, given.timestamp(), call.portal.now()):
            raise RestError("WRONG_DATETIME", "Day open date should correspond to the current date", 400)
        if user["CLOCK"] == "PAUSED":
            raise RestError("TIME", "Unable to set time, work day is paused", 400)
    day = set_clock(call.portal, user, action, call.text("REPORT"))
    if call.text("TIME"):
        day["START" if action == "open" else "FINISH"] = datetime.fromisoformat(call.text("TIME")).timestamp()
    return day_status(call.portal, user, finish_default=False)


@method("timeman.open", scope="timeman", params="USER_ID TIME REPORT LAT LON", writes=True)
def timeman_open(call: Call) -> Row:
    return _clock(call, "open")


@method("timeman.pause", scope="timeman", params="USER_ID", writes=True)
def timeman_pause(call: Call) -> Row:
    return _clock(call, "pause")


@method("timeman.close", scope="timeman", params="USER_ID TIME REPORT LAT LON", writes=True)
def timeman_close(call: Call) -> Row:
    return _clock(call, "close")


@method("timeman.settings", scope="timeman", params="USER_ID")
def timeman_settings(call: Call) -> Row:
    user = _person(call, change=False)
    made: Row = {
        "UF_TIMEMAN": call.portal.settings.timeman, "UF_TM_FREE": False, "UF_TM_MAX_START": "09:15:00",
        "UF_TM_MIN_FINISH": "17:45:00", "UF_TM_MIN_DURATION": "08:00:00", "UF_TM_ALLOWED_DELTA": "00:15:00",
        "ADMIN": bool(user["ADMIN"]),
    }  # fmt: skip
    return made
