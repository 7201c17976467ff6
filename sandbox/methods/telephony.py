"""Call statistics and calls of telephony applications (api-reference/telephony)."""

from __future__ import annotations

from sandbox import crm, telephony
from sandbox.crm_kinds import WORD
from sandbox.filters import Column, page_of, select_rows, to_time
from sandbox.method import Call, Page, RestError, Row, as_int, method, plain, yes

_NUMBERS = ["ID", "PORTAL_USER_ID", "CALL_DURATION", "CRM_ENTITY_ID", "CRM_ACTIVITY_ID", "CALL_TYPE", "SESSION_ID"]
_TEXTS = [
    "PORTAL_NUMBER",
    "PHONE_NUMBER",
    "CALL_ID",
    "EXTERNAL_CALL_ID",
    "CALL_CATEGORY",
    "CALL_FAILED_CODE",
    "CALL_FAILED_REASON",
    "CRM_ENTITY_TYPE",
    "REST_APP_ID",
    "REST_APP_NAME",
    "COST_CURRENCY",
    "COMMENT",
]
_COLUMNS = {name: Column(name, "int") for name in _NUMBERS} | {name: Column(name) for name in _TEXTS}
_COLUMNS |= {
    "CALL_START_DATE": Column("CALL_START_DATE", "time"),
    "COST": Column("COST", "float"),
    "CALL_VOTE": Column("CALL_VOTE", "int"),
}


@method("voximplant.statistic.get", scope="telephony", params="FILTER SORT ORDER start")
def statistic_get(call: Call) -> Page:
    start = call.integer("start")
    sort = call.text("SORT").upper() or "ID"
    if sort == "CALL_TYPE" or sort not in _COLUMNS:
        raise RestError("ERROR_ARGUMENT", "Sort field is not allowed", 400)
    order = call.text("ORDER").upper() or "ASC"
    if order not in ("ASC", "DESC"):
        raise RestError("ERROR_ARGUMENT", "Wrong sort order", 400)
    rows, total, following = select_rows(
        call.portal["call_rows"], filter={key.upper(): value for key, value in call.mapping("FILTER").items()},
        order={sort: order}, columns=_COLUMNS, zone=call.portal.zone(), start=start, unknown=lambda key: None,
        visible=None if call.admin else lambda row: row["PORTAL_USER_ID"] == call.user_id,
    )  # fmt: skip
    return page_of([_printed(call, row) for row in rows], total, following, start)


def _printed(call: Call, row: Row) -> Row:
    made: Row = {}
    for name, value in row.items():
        if name == "CALL_START_DATE":
            made[name] = call.portal.iso(value)
        elif name == "COST":
            made[name] = f"{value:.4f}"
        else:
            made[name] = None if value is None else value if isinstance(value, str) else plain(value)
    return made


def _employee(call: Call) -> Row:
    if call.get("USER_ID") in (None, "") and call.get("USER_PHONE_INNER") in (None, ""):
        raise RestError("ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set", 400)
    user = call.portal.user(as_int(call.get("USER_ID")))
    if user is None and call.text("USER_PHONE_INNER"):
        user = call.portal["users"].first(UF_PHONE_INNER=call.text("USER_PHONE_INNER"))
    if user is None or not user["ACTIVE"]:
        raise RestError("ERROR_CORE", "User is not found or is not active", 400)
    return user


@method("telephony.externalCall.register", scope="telephony", application="WRONG_AUTH_TYPE", writes=True,
        params="USER_ID USER_PHONE_INNER PHONE_NUMBER TYPE CALL_START_DATE CRM_CREATE CRM_SOURCE "
        "CRM_ENTITY_TYPE CRM_ENTITY_ID SHOW ADD_TO_CHAT CALL_LIST_ID LINE_NUMBER EXTERNAL_CALL_ID")  # fmt: skip
def register(call: Call) -> Row:
    application = call.application_only()
    user = _employee(call)
    kind = call.integer("TYPE")
    if kind not in (1, 2, 3, 4, 5):
        raise RestError("ERROR_CORE", "Unknown TYPE", 400)
    phone = call.text("PHONE_NUMBER")
    if not crm.digits_of(phone):
        raise RestError("ERROR_CORE", "Unsupported phone number format", 400)
    started = (
        to_time(call.get("CALL_START_DATE"), call.portal.zone()) if call.text("CALL_START_DATE") else call.portal.now()
    )
    if started is None:
        raise RestError("ERROR_CORE", "CALL_START_DATE should be in the ISO-8601 format", 400)
    external = call.text("EXTERNAL_CALL_ID") or None
    digits = crm.digits_of(phone)
    for known in call.portal["calls"].where(CLIENT_ID=application["CLIENT_ID"], PHONE=digits, TYPE=kind):
        same = known["EXTERNAL_ID"] == external if external else known["USER_ID"] == user["ID"] and not known["DONE"]
        if same and call.portal.now() - known["STARTED"] < 1800:
            return _registered(known)
    row = telephony.begin(
        call.portal,
        phone,
        kind,
        call.text("LINE_NUMBER"),
        user["ID"],
        client_id=application["CLIENT_ID"],
        external_id=external,
    )
    row["STARTED"] = started
    wanted = {name: number for number, name in WORD.items()}.get(call.text("CRM_ENTITY_TYPE").upper())
    if wanted is not None and call.portal[wanted].get(call.integer("CRM_ENTITY_ID")) is not None:
        row["ENTITY"] = [wanted, call.integer("CRM_ENTITY_ID")]
    if row["ENTITY"] is None and yes(call.get("CRM_CREATE")):
        telephony.make_lead(call.portal, row, user["ID"], call.text("CRM_SOURCE") or "CALL")
    return _registered(row)


def _registered(row: Row) -> Row:
    entity = row["ENTITY"]
    return {
        "CALL_ID": row["CALL_ID"],
        "CRM_CREATED_LEAD": row["LEAD_ID"] or None,
        "CRM_CREATED_ENTITIES": [{"ENTITY_TYPE": WORD[kind], "ENTITY_ID": number} for kind, number in row["MADE"]],
        "CRM_ENTITY_TYPE": WORD[entity[0]] if entity else None,
        "CRM_ENTITY_ID": entity[1] if entity else None,
    }


@method("telephony.externalCall.finish", scope="telephony", application="WRONG_AUTH_TYPE", writes=True,
        params="CALL_ID USER_ID USER_PHONE_INNER DURATION COST COST_CURRENCY STATUS_CODE FAILED_REASON "
        "RECORD_URL VOTE ADD_TO_CHAT")  # fmt: skip
def finish(call: Call) -> Row:
    call.application_only()
    if not isinstance(call.get("CALL_ID"), str) or not call.text("CALL_ID"):
        raise RestError("INVALID_ARGUMENT", "CALL_ID must be a string", 400)
    user = _employee(call)
    row = call.portal["calls"].first(CALL_ID=call.text("CALL_ID"))
    if row is None or row["DONE"]:
        raise RestError("ERROR_CORE", "Call is not found (call should be registered prior to finishing)", 400)
    duration = call.integer("DURATION")
    code = call.text("STATUS_CODE") or ("200" if duration > 0 else "304")
    for kind, number in row["MADE"]:
        item = call.portal[kind].get(number)
        if item is not None and item["ASSIGNED_BY_ID"] != user["ID"]:
            crm.update(call.portal, kind, item, {"ASSIGNED_BY_ID": user["ID"]}, [], call.actor)
    try:
        cost = float(call.text("COST") or 0)
    except ValueError:
        cost = 0.0
    line = telephony.finish(
        call.portal, row, code, reason=call.text("FAILED_REASON"), duration=duration, user_id=user["ID"], lead=False,
        cost=cost,
        currency=call.text("COST_CURRENCY"), vote=call.integer("VOTE"),
    )  # fmt: skip
    return {
        "CALL_ID": row["CALL_ID"], "EXTERNAL_CALL_ID": row["EXTERNAL_ID"], "PORTAL_USER_ID": user["ID"],
        "PHONE_NUMBER": row["PHONE"], "PORTAL_NUMBER": row["LINE"], "INCOMING": str(row["TYPE"]),
        "CALL_DURATION": duration,
        "CALL_START_DATE": {}, "CALL_STATUS": 1 if code == "200" else 0, "CALL_VOTE": call.integer("VOTE"),
        "COST": cost,
        "COST_CURRENCY": call.text("COST_CURRENCY"), "CALL_FAILED_CODE": code,
        "CALL_FAILED_REASON": call.text("FAILED_REASON"),
        "REST_APP_ID": line["REST_APP_ID"] and str(line["REST_APP_ID"]), "REST_APP_NAME": line["REST_APP_NAME"],
        "CRM_ACTIVITY_ID": line["CRM_ACTIVITY_ID"], "COMMENT": None, "CRM_ENTITY_TYPE": line["CRM_ENTITY_TYPE"],
        "CRM_ENTITY_ID": line["CRM_ENTITY_ID"], "ID": line["ID"],
    }  # fmt: skip
