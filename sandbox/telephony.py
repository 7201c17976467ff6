"""The life of a call: ringing, answered, finished; lead, statistics, activity, events in the order of a portal."""

from __future__ import annotations

from sandbox import automation, crm, delivery, tokens
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD, STAGE, WORD
from sandbox.method import Actor, Row
from sandbox.portal import Portal

REASONS = {
    "200": "Success call", "304": "Missed call", "603": "Declined", "603-S": "Call declined", "403": "Forbidden",
    "404": "Invalid number", "486": "Busy", "480": "Temporarily unavailable", "484": "Not available",
    "503": "Not available",
    "402": "Insufficient funds", "423": "Blocked", "OTHER": "Other",
}  # fmt: skip
_OF_NAME = {name: kind for kind, name in WORD.items()}


def find_client(portal: Portal, phone: str) -> tuple[int, Row] | None:
    """(type, record) of the client with that number: contact, company, open lead, in this order."""
    for kind in (CONTACT, COMPANY, LEAD):
        for hit in crm.find_by_comm(portal, "PHONE", phone, [kind]):
            if kind != LEAD or hit["row"]["STATUS_SEMANTIC_ID"] == "P":
                return kind, hit["row"]
    return None


def begin(portal: Portal, phone: str, kind: int, line: str = "", user_id: int = 0, **more: object) -> Row:
    """A call rings (or is dialled): its record; ONVOXIMPLANTCALLINIT. A lead at once, if the line makes it at start."""
    now = portal.now()
    external = bool(more.get("client_id"))
    prefix = "externalCall." if external else ""
    row: Row = {
        "CALL_ID": f"{prefix}{portal.secret(32)}.{int(now)}", "TYPE": kind, "PHONE": crm.digits_of(phone) or phone,
        "LINE": line or portal.line["number"], "USER_ID": user_id, "STARTED": now, "ANSWERED": None, "DONE": False,
        "LEAD_ID": 0, "ENTITY": None, "CODE": None, "CLIENT_ID": more.get("client_id", ""),
        "EXTERNAL_ID": more.get("external_id"), "MADE": [],
    }  # fmt: skip
    portal["calls"].add(row)
    client = find_client(portal, phone)
    if client is not None:
        row["ENTITY"] = [client[0], client[1]["ID"]]
    elif portal.line["create_when"] == "start" and makes_lead(portal, row, ""):
        make_lead(portal, row)
    data: Row = {"CALL_ID": row["CALL_ID"], "CALL_TYPE": kind}
    if external:
        application = tokens.application_of(portal, str(more["client_id"]))
        data |= {"CALLER_ID": row["PHONE"], "REST_APP_ID": application["ID"] if application else 0}
    else:
        data |= {"ACCOUNT_SEARCH_ID": row["LINE"], "PHONE_NUMBER": row["LINE"], "CALLER_ID": row["PHONE"]}
    if kind == 1 and user_id and portal.user(user_id):
        portal["users"].rows[user_id]["CALL"] = row["CALL_ID"]
    delivery.emit(portal, "ONVOXIMPLANTCALLINIT", data, Actor(0, "system"), entity=f"call {row['CALL_ID']}")
    return row


def makes_lead(portal: Portal, row: Row, code: str) -> bool:
    """Whether the line's setting makes a lead of this call; `code` is "" while it is not finished."""
    wanted = portal.line["create_lead"]
    if wanted == "all":
        return True
    return wanted == "missed" and row["TYPE"] in (2, 3) and code in ("", "304")


def make_lead(portal: Portal, row: Row, responsible: int = 0, source: str = "CALL") -> None:
    """A lead of an unknown number (in simple mode a contact with a deal); its robots are deferred to the call's end."""
    number = "+" + row["PHONE"] if len(row["PHONE"]) == 11 else row["PHONE"]
    owner = responsible or row["USER_ID"] or portal.line["responsible_id"]
    word = "Исходящий звонок" if row["TYPE"] == 1 else "Входящий звонок"
    made = crm.create(
        portal, LEAD,
        {"TITLE": f"{number} - {word}", "SOURCE_ID": source, "ASSIGNED_BY_ID": owner},
        [{"TYPE_ID": "PHONE", "VALUE_TYPE": "WORK", "VALUE": number}], Actor(owner, "system"), defer=True,
    )  # fmt: skip
    if "LEAD_NUMBER" in made:
        row["ENTITY"] = [CONTACT, made["CONTACT_ID"]]
        row["MADE"] = [[DEAL, made["ID"]], [CONTACT, made["CONTACT_ID"]]]
    else:
        row["LEAD_ID"], row["ENTITY"] = made["ID"], [LEAD, made["ID"]]
        row["MADE"] = [[LEAD, made["ID"]]]


def answer(portal: Portal, row: Row, user_id: int) -> None:
    """Somebody picks up (incoming) or the client does (outgoing): ONVOXIMPLANTCALLSTART."""
    row["ANSWERED"], row["USER_ID"] = portal.now(), user_id
    portal["users"].rows[user_id]["CALL"] = row["CALL_ID"]
    data = {"CALL_ID": row["CALL_ID"], "USER_ID": user_id}
    delivery.emit(portal, "ONVOXIMPLANTCALLSTART", data, Actor(0, "system"), entity=f"call {row['CALL_ID']}")


def finish(portal: Portal, row: Row, code: str = "", *, reason: str = "", duration: int | None = None, user_id: int = 0,
           lead: bool | None = None, cost: float = 0.0, currency: str = "RUB", vote: int = 0) -> Row:  # fmt: skip
    """The end, in the order of a portal: lead, statistics, activity, robots of the lead, ONVOXIMPLANTCALLEND.

    lead: overrides the line's setting (telephony applications say it themselves). Returns the statistics row.
    """
    code = code or ("200" if row["ANSWERED"] else "304")
    missed = code == "304" and row["TYPE"] in (2, 3)
    entity = row["ENTITY"]
    record = portal[entity[0]].get(entity[1]) if entity else None
    if record is None:
        entity = row["ENTITY"] = None
    if user_id:
        row["USER_ID"] = user_id
    elif missed or not row["USER_ID"]:
        row["USER_ID"] = record["ASSIGNED_BY_ID"] if record else portal.line["responsible_id"]
    if entity is None and (makes_lead(portal, row, code) if lead is None else lead):
        make_lead(portal, row, row["USER_ID"])
        entity = row["ENTITY"]
    if duration is None:
        duration = int(portal.now() - row["ANSWERED"]) if row["ANSWERED"] else 0
    application = tokens.application_of(portal, row["CLIENT_ID"]) if row["CLIENT_ID"] else None
    line: Row = portal["call_rows"].add(
        {
            "PORTAL_USER_ID": row["USER_ID"], "PORTAL_NUMBER": row["LINE"], "PHONE_NUMBER": row["PHONE"],
            "CALL_ID": row["CALL_ID"], "EXTERNAL_CALL_ID": row["EXTERNAL_ID"],
            "CALL_CATEGORY": "external", "CALL_LOG": None, "CALL_DURATION": duration,
            "CALL_START_DATE": row["STARTED"], "CALL_RECORD_URL": None, "CALL_VOTE": vote or None, "COST": cost,
            "COST_CURRENCY": currency, "CALL_FAILED_CODE": code,
            "CALL_FAILED_REASON": reason or REASONS.get(code, REASONS["OTHER"]),
            "CRM_ENTITY_TYPE": WORD[entity[0]] if entity else None, "CRM_ENTITY_ID": entity[1] if entity else None,
            "CRM_ACTIVITY_ID": None, "REST_APP_ID": application["ID"] if application else None,
            "REST_APP_NAME": application["TITLE"] if application else None, "TRANSCRIPT_ID": None,
            "TRANSCRIPT_PENDING": "N", "SESSION_ID": portal.random.randrange(10**9), "REDIAL_ATTEMPT": None,
            "COMMENT": None, "RECORD_DURATION": None, "RECORD_FILE_ID": None, "CALL_TYPE": row["TYPE"],
        }
    )  # fmt: skip
    if entity is not None:
        line["CRM_ACTIVITY_ID"] = _activity(portal, row, entity, missed, code, duration)["ID"]
    for kind, number in row["MADE"]:
        item = portal[kind].get(number)
        if kind in STAGE and item is not None:
            automation.entered(portal, kind, item, Actor(item["CREATED_BY_ID"], "system"))
    for user in portal["users"]:
        if user["CALL"] == row["CALL_ID"]:
            user["CALL"] = None
    row["DONE"], row["CODE"] = True, code
    data: Row = {
        "CALL_ID": row["CALL_ID"], "CALL_TYPE": row["TYPE"], "PHONE_NUMBER": row["PHONE"], "PORTAL_NUMBER": row["LINE"],
        "PORTAL_USER_ID": row["USER_ID"], "CALL_DURATION": duration, "CALL_START_DATE": portal.iso(row["STARTED"]),
        "COST": f"{cost:.4f}", "COST_CURRENCY": currency, "CALL_FAILED_CODE": code,
        "CALL_FAILED_REASON": line["CALL_FAILED_REASON"], "CRM_ACTIVITY_ID": line["CRM_ACTIVITY_ID"] or 0,
    }  # fmt: skip
    delivery.emit(portal, "ONVOXIMPLANTCALLEND", data, Actor(0, "system"), entity=f"call {row['CALL_ID']}")
    return line


def _activity(portal: Portal, row: Row, entity: list[int], missed: bool, code: str, duration: int) -> Row:
    number = "+" + row["PHONE"] if len(row["PHONE"]) == 11 else row["PHONE"]
    incoming = row["TYPE"] != 1
    owner = row["MADE"][0] if row["MADE"] else entity
    bindings = row["MADE"] or [entity]
    return crm.add_activity(
        portal,
        {
            "OWNER_TYPE_ID": owner[0], "OWNER_ID": owner[1], "TYPE_ID": 2, "PROVIDER_ID": "VOXIMPLANT_CALL",
            "PROVIDER_TYPE_ID": "CALL", "SUBJECT": f"{'Входящий от' if incoming else 'Исходящий на'} {number}",
            "START_TIME": row["STARTED"], "END_TIME": row["STARTED"] + duration, "DEADLINE": row["STARTED"] + duration,
            "COMPLETED": "N" if missed else "Y", "STATUS": 1 if missed else 2, "RESPONSIBLE_ID": row["USER_ID"],
            "DIRECTION": 1 if incoming else 2, "ORIGIN_ID": f"VI_{row['CALL_ID']}",
            "SETTINGS": {"MISSED_CALL": True} if missed else [], "IS_INCOMING_CHANNEL": "Y" if incoming else "N",
            "BINDINGS": [{"OWNER_TYPE_ID": kind, "OWNER_ID": item} for kind, item in bindings],
            "COMMUNICATIONS": [
                {"TYPE": "PHONE", "VALUE": number, "ENTITY_ID": str(entity[1]), "ENTITY_TYPE_ID": str(entity[0]),
                    "ENTITY_SETTINGS": []}
            ],
        },
        Actor(row["USER_ID"], "system"),
    )  # fmt: skip
