"""Lines, SIP, records and transcripts of calls (api-reference/telephony beside externalCall.register and finish).

Outgoing lines are SIP lines (portal["sip"]: an office one "sip<id>", a cloud one "reg<REG_ID>") and lines of
applications (portal["external_lines"]).
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from urllib.parse import urlsplit

from sandbox import crm, disk, telephony
from sandbox.crm_kinds import COMPANY, CONTACT, LEAD, WORD
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes

FIRST_REG = 150_901


def _core(text: str) -> RestError:
    return RestError("ERROR_CORE", text, 400)


def _manager(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED")


# --- lines of applications --------------------------------------------------------------------------------------------


def _line(call: Call) -> Row:
    number = call.text("NUMBER").strip()
    if not number:
        raise _core("NUMBER should not be empty")
    client_id = call.application_only()["CLIENT_ID"]
    row = call.portal["external_lines"].first(CLIENT_ID=client_id, NUMBER=number)
    if row is None:
        raise _core(f"Could not find line with number {number}")
    return row


@method("telephony.externalLine.add", scope="telephony", application="WRONG_AUTH_TYPE", writes=True,
        params="NUMBER NAME CRM_AUTO_CREATE")  # fmt: skip
def line_add(call: Call) -> Row:
    application = call.application_only()
    number = call.text("NUMBER").strip()
    if not number:
        raise _core("NUMBER should not be empty")
    if call.portal["external_lines"].first(CLIENT_ID=application["CLIENT_ID"], NUMBER=number) is not None:
        raise _core("Line already exists")
    automatic = call.get("CRM_AUTO_CREATE") is None or yes(call.get("CRM_AUTO_CREATE"))
    row = call.portal["external_lines"].add(
        {
            "CLIENT_ID": application["CLIENT_ID"], "NUMBER": number, "NAME": call.text("NAME") or number,
            "CRM_AUTO_CREATE": "Y" if automatic else "N",
        }
    )  # fmt: skip
    call.portal.effect("create", "line", row["ID"], call.user_id, "rest", line=number)
    return {"ID": row["ID"]}


@method("telephony.externalLine.update", scope="telephony", application="WRONG_AUTH_TYPE", writes=True,
        params="NUMBER NAME CRM_AUTO_CREATE")  # fmt: skip
def line_update(call: Call) -> Row:
    row = _line(call)
    if call.get("NAME") is None and call.get("CRM_AUTO_CREATE") is None:
        raise _core("There are no fields to update")
    if call.get("NAME") is not None:
        row["NAME"] = call.text("NAME")
    if call.get("CRM_AUTO_CREATE") is not None:
        row["CRM_AUTO_CREATE"] = "Y" if yes(call.get("CRM_AUTO_CREATE")) else "N"
    return {"ID": str(row["ID"])}


@method("telephony.externalLine.get", scope="telephony", application="WRONG_AUTH_TYPE")
def line_get(call: Call) -> list[Row]:
    client_id = call.application_only()["CLIENT_ID"]
    return [
        {"NUMBER": row["NUMBER"], "NAME": row["NAME"], "CRM_AUTO_CREATE": row["CRM_AUTO_CREATE"]}
        for row in call.portal["external_lines"].where(CLIENT_ID=client_id)
    ]


@method("telephony.externalLine.delete", scope="telephony", application="WRONG_AUTH_TYPE", params="NUMBER", writes=True)
def line_delete(call: Call) -> list[Row]:
    call.portal["external_lines"].remove(_line(call)["ID"])
    return []


# --- what hangs on a call ---------------------------------------------------------------------------------------------


def _finished(call: Call, text: str) -> Row:
    row = call.portal["call_rows"].first(CALL_ID=call.text("CALL_ID"))
    if row is None:
        raise _core(text)
    return row


@method(
    "telephony.call.attachTranscription", scope="telephony", params="CALL_ID MESSAGES COST COST_CURRENCY", writes=True
)
def attach_transcription(call: Call) -> Row:
    if not call.text("CALL_ID"):
        raise _core("CALL_ID should be set")
    given = call.get("MESSAGES")
    if not isinstance(given, (list, dict)) or not given:
        raise _core("MESSAGES should be an array")
    spoken = []
    for index, one in enumerate(as_list(given)):
        facts = as_map(one)
        place = f"MESSAGES[{index}]"
        side, start, stop = plain(facts.get("SIDE")), as_int(facts.get("START_TIME")), as_int(facts.get("STOP_TIME"))
        if side not in ("Client", "User"):
            raise _core(f"{place}[SIDE] should be either Client or User")
        if start is None or start < 0:
            raise _core(f"{place}[START_TIME] should be greater or equal to zero")
        if stop is None or stop <= 0:
            raise _core(f"{place}[STOP_TIME] should be greater than zero")
        if not plain(facts.get("MESSAGE")).strip():
            raise _core(f"{place}[MESSAGE] is empty")
        spoken.append({"SIDE": side, "START_TIME": start, "STOP_TIME": stop, "MESSAGE": plain(facts["MESSAGE"])})
    row = _finished(call, f"Call {call.text('CALL_ID')} is not found. Is it finished?")
    made = call.portal["transcripts"].add({"CALL_ID": row["CALL_ID"], "MESSAGES": spoken})
    row["TRANSCRIPT_ID"] = made["ID"]
    call.portal.effect("create", "transcript", made["ID"], call.user_id, "rest", call=row["CALL_ID"])
    return {"TRANSCRIPT_ID": made["ID"]}


@method("telephony.externalCall.attachRecord", scope="telephony", application="WRONG_AUTH_TYPE", writes=True,
        params="CALL_ID FILENAME FILE_CONTENT RECORD_URL")  # fmt: skip
def attach_record(call: Call) -> Row:
    """An address is kept and not fetched; FILENAME without content is answered by an address for an upload."""
    name, address = call.text("FILENAME"), call.text("RECORD_URL")
    if not name and not address:
        if call.get("FILENAME") is not None:
            raise _core("File name is empty")
        raise _core("Required parameters are not set. Request should contain either URL or FILENAME parameter")
    row = _finished(call, "Call is not found in the statistic table. It looks like it is not finished yet.")
    disk.storages(call.portal)
    storage = call.portal["disk_storages"].first(ENTITY_TYPE="common")
    if storage is None:
        raise _core("Internal error")
    if address:
        if not urlsplit(address).hostname:
            raise _core("Server returns HTTP error code 404")
        row["CALL_RECORD_URL"] = address
        row["RECORD_FILE_ID"] = call.portal["disk_objects"].last + 1
        kept = disk.add_object(call.portal, storage, 0, f"{row['CALL_ID']}.url", "file", call.user_id, _encode(address))
        return {"FILE_ID": kept["ID"]}
    if name.rpartition(".")[2].lower() not in ("mp3", "wav"):
        raise _core("Wrong file extension. Only wav and mp3 are allowed")
    content = "".join(call.text("FILE_CONTENT").split())
    if call.get("FILE_CONTENT") is None:
        key = call.portal.secret(32)
        call.portal.held.setdefault("uploads", {})[key] = {
            "storage": storage["ID"], "folder": storage["ROOT"], "name": name, "unique": True, "user": call.user_id,
            "until": call.portal.now() + 3600,
        }  # fmt: skip
        return {"uploadUrl": f"{call.portal.url}/rest/upload.json?token={key}", "fieldName": "file"}
    if not content:
        raise _core("File content is empty.")
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise _core("File content is not properly encoded. Base64 encoding is expected.") from None
    name = disk.free_name(call.portal, storage["ROOT"], name, unique=True)
    file = disk.add_object(call.portal, storage, storage["ROOT"], name, "file", call.user_id, content)
    row["RECORD_FILE_ID"] = file["ID"]
    row["CALL_RECORD_URL"] = f"{call.portal.url}/rest/download.json?token=disk%7C{file['ID']}%7C{file['KEY']}"
    call.portal.effect("create", "record", file["ID"], call.user_id, "rest", call=row["CALL_ID"])
    return {"FILE_ID": file["ID"]}


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _declare_card(name: str, shown: bool) -> None:
    @method(f"telephony.externalCall.{name}", scope="telephony", application="WRONG_AUTH_TYPE", writes=True,
            params="CALL_ID USER_ID")  # fmt: skip
    def card(call: Call) -> bool:
        """Show or hide the call's card to people; nobody sees it twice."""
        row = call.portal["calls"].first(CALL_ID=call.text("CALL_ID"))
        if row is None:
            raise RestError("ERROR_NOT_FOUND", "Call is not found", 400)
        people = {as_int(one) for one in call.sequence("USER_ID")} or {row["USER_ID"] or call.user_id}
        now = set(row.get("SHOWN", []))
        row["SHOWN"] = sorted(one for one in (now | people if shown else now - people) if one)
        call.portal.effect(name, "call card", row["ID"], call.user_id, "rest", people=sorted(p for p in people if p))
        return True


_declare_card("show", shown=True)
_declare_card("hide", shown=False)


@method("telephony.externalCall.searchCrmEntities", scope="telephony", params="PHONE_NUMBER")
def search_entities(call: Call) -> list[Row]:
    phone = call.text("PHONE_NUMBER")
    if not phone:
        raise _core("PHONE_NUMBER is empty")
    from sandbox.methods.people import day_status

    made = []
    for kind in (CONTACT, COMPANY, LEAD):
        for hit in crm.find_by_comm(call.portal, "PHONE", phone, [kind]):
            row = hit["row"]
            user = call.portal.user(row["ASSIGNED_BY_ID"])
            name = f"{row.get('NAME') or ''} {row.get('LAST_NAME') or ''}".strip() or plain(row.get("TITLE"))
            entry: Row = {
                "CRM_ENTITY_TYPE": WORD[kind], "CRM_ENTITY_ID": row["ID"], "ASSIGNED_BY_ID": row["ASSIGNED_BY_ID"],
                "NAME": name,
            }  # fmt: skip
            if user is not None:
                entry["ASSIGNED_BY"] = {
                    "ID": str(user["ID"]),
                    "TIMEMAN_STATUS": day_status(call.portal, user, finish_default=False)["STATUS"],
                    "USER_PHONE_INNER": user["UF_PHONE_INNER"], "WORK_PHONE": user["WORK_PHONE"] or None,
                    "PERSONAL_PHONE": None, "PERSONAL_MOBILE": user["PERSONAL_MOBILE"],
                }  # fmt: skip
            made.append(entry)
    return made


# --- SIP --------------------------------------------------------------------------------------------------------------

_SIP = {"ID": Column("ID", "int"), "CONFIG_ID": Column("ID", "int"), "REG_ID": Column("REG_ID", "int")}
_SIP |= {name: Column(name) for name in ("TYPE", "SERVER", "LOGIN", "TITLE", "AUTH_USER", "OUTBOUND_PROXY")}


def _sip(row: Row, *, fresh: bool = False) -> Row:
    none = None if fresh else ""
    made: Row = {"ID": str(row["ID"])} if fresh else {}
    if row["TYPE"] == "office":
        server = f"incoming.{row['REG_ID']}.example"
        made |= {"INCOMING_SERVER": server, "INCOMING_LOGIN": f"sip{row['ID']}", "INCOMING_PASSWORD": row["PASSWORD"]}
    return made | {
        "TYPE": row["TYPE"], "CONFIG_ID": str(row["ID"]),
        "REG_ID": (row["REG_ID"] if fresh else str(row["REG_ID"])) if row["TYPE"] == "cloud" else None,
        "TITLE": row["TITLE"], "SERVER": row["SERVER"], "LOGIN": row["LOGIN"], "PASSWORD": row["PASSWORD"],
        "AUTH_USER": none, "OUTBOUND_PROXY": none, "DETECT_LINE_NUMBER": "N",
        "LINE_DETECT_HEADER_ORDER": "diversion;to", "REGISTRATION_STATUS_CODE": none if fresh else "200",
        "REGISTRATION_ERROR_MESSAGE": none,
    }  # fmt: skip


def _check_sip(call: Call, values: Row, number: int = 0) -> None:
    def bad(text: str, code: str = "CHECK_FIELDS_ERROR") -> RestError:
        return RestError(code, text, 400)

    if not values["SERVER"].strip():
        raise bad("Server address not specified")
    if not values["LOGIN"].strip():
        raise bad("Login for connecting to the server not specified")
    if len(values["PASSWORD"]) > 100:
        raise bad("Password for connecting to the server cannot exceed 100 characters")
    twin = call.portal["sip"].first(TITLE=values["TITLE"])
    if twin is not None and twin["ID"] != number:
        raise bad("The specified connection name is already registered in the system", "TITLE_EXISTS")


@method("voximplant.sip.add", scope="telephony", params="TYPE TITLE SERVER LOGIN PASSWORD", writes=True)
def sip_add(call: Call) -> Row:
    _manager(call)
    values = {name: call.text(name) for name in ("SERVER", "LOGIN", "PASSWORD", "TITLE")}
    kind = call.text("TYPE").lower() or "cloud"
    values["TITLE"] = values["TITLE"] or f"SIP {values['LOGIN']}"
    _check_sip(call, values)
    if kind not in ("cloud", "office"):
        raise RestError("CHECK_FIELDS_ERROR", "Server address not specified", 400)
    if kind == "cloud" and sum(1 for _ in call.portal["sip"].where(TYPE="cloud")) >= 10:
        raise RestError("MAX_CLOUD_PBX", "You cannot connect more than 10 virtual PBXs.", 400)
    row = call.portal["sip"].add({**values, "TYPE": kind, "REG_ID": FIRST_REG + call.portal["sip"].last})
    call.portal.effect("create", "line", row["ID"], call.user_id, "rest")
    return _sip(row, fresh=True)


@method("voximplant.sip.get", scope="telephony", params="FILTER SORT ORDER start")
def sip_get(call: Call) -> Page:
    _manager(call)
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["sip"], filter={key.upper(): value for key, value in call.mapping("FILTER").items()},
        order={call.text("SORT").upper() or "ID": call.text("ORDER") or "ASC"}, columns=_SIP, zone=call.portal.zone(),
        start=start, unknown=lambda key: None,
    )  # fmt: skip
    return page_of([_sip(row) for row in rows], total, following, start)


def _sip_row(call: Call, code: str = "ERROR_NOT_FOUND") -> Row:
    _manager(call)
    row = call.portal["sip"].get(as_int(call.get("CONFIG_ID")))
    if row is None:
        raise RestError(code, "Specified CONFIG_ID is not found", 400)
    return row


@method("voximplant.sip.update", scope="telephony", params="CONFIG_ID TITLE SERVER LOGIN PASSWORD", writes=True)
def sip_update(call: Call) -> int:
    row = _sip_row(call)
    new = {name: call.text(name) for name in ("TITLE", "SERVER", "LOGIN", "PASSWORD") if call.get(name) is not None}
    _check_sip(call, {**row, **new}, row["ID"])
    row.update(new)
    return 1


@method("voximplant.sip.delete", scope="telephony", params="CONFIG_ID", writes=True)
def sip_delete(call: Call) -> int:
    call.portal["sip"].remove(_sip_row(call)["ID"])
    return 1


@method("voximplant.sip.status", scope="telephony", params="REG_ID")
def sip_status(call: Call) -> Row:
    _manager(call)
    row = call.portal["sip"].first(REG_ID=as_int(call.get("REG_ID")), TYPE="cloud")
    if row is None:
        raise RestError("REG_ID_NOT_FOUND", "Settings not found", 400)
    at = datetime.fromtimestamp(call.portal.now(), call.portal.zone())
    return {
        "REG_ID": row["REG_ID"], "LAST_UPDATED": at.strftime("%Y-%m-%d %H:%M:%S"), "ERROR_MESSAGE": "",
        "STATUS_CODE": 200, "STATUS_RESULT": "success",
    }  # fmt: skip


@method("voximplant.sip.connector.status", scope="telephony")
def connector_status(call: Call) -> Row:
    _manager(call)
    return {"FREE_MINUTES": 60, "PAID": False}


# --- outgoing lines ---------------------------------------------------------------------------------------------------


def _line_name(row: Row) -> str:
    return f"reg{row['REG_ID']}" if row["TYPE"] == "cloud" else f"sip{row['ID']}"


def _lines(call: Call) -> Row:
    made = {_line_name(row): row["TITLE"] for row in call.portal["sip"]}
    return made | {call.portal.line["number"]: f"Номер {call.portal.line['number']}"}


@method("voximplant.line.get", scope="telephony")
def lines_get(call: Call) -> Row:
    _manager(call)
    return _lines(call)


@method("voximplant.line.outgoing.get", scope="telephony")
def outgoing_get(call: Call) -> str:
    _manager(call)
    return str(call.portal.line.get("outgoing") or call.portal.line["number"])


@method("voximplant.line.outgoing.set", scope="telephony", params="LINE_ID", writes=True)
def outgoing_set(call: Call) -> int:
    _manager(call)
    if call.text("LINE_ID") not in _lines(call):
        raise RestError("ERROR_ARGUMENT", "Specified LINE_ID is not found", 400)
    call.portal.line["outgoing"] = call.text("LINE_ID")
    return 1


@method("voximplant.line.outgoing.sip.set", scope="telephony", params="CONFIG_ID", writes=True)
def outgoing_sip_set(call: Call) -> int:
    call.portal.line["outgoing"] = _line_name(_sip_row(call, "ERROR_ARGUMENT"))
    return 1


@method("voximplant.url.get", scope="telephony", cost=(0.0, 0.01))
def url_get(call: Call) -> Row:
    base = call.portal.url + "/telephony/"
    return {"detail_statistics": base + "detail.php", "buy_connector": base + "lines.php",
        "edit_config": base + "edit.php", "lines": base + "lines.php"}  # fmt: skip


def _start_call(call: Call, kind: int, prefix: str) -> Row:
    line = call.text("FROM_LINE")
    if line not in _lines(call):
        text = f"Could not find line {line}" if prefix == "callback" else f"Could not find config for number {line}"
        raise _core(text)
    if prefix == "infocall" and line == call.portal.line["number"]:
        raise _core("Making infocall using LINK_BASE_NUMBER is not allowed")
    phone = call.text("TO_NUMBER")
    if len(crm.digits_of(phone)) < 5:
        raise _core("Phone number is not correct")
    row = telephony.begin(call.portal, phone, kind, line, call.user_id)
    row["CALL_ID"] = f"{prefix}.{row['CALL_ID']}"
    return {"RESULT": True, "CALL_ID": row["CALL_ID"]}


@method(
    "voximplant.callback.start", scope="telephony", params="FROM_LINE TO_NUMBER TEXT_TO_PRONOUNCE VOICE", writes=True
)
def callback_start(call: Call) -> Row:
    return _start_call(call, 4, "callback")


@method("voximplant.infocall.startwithtext", scope="telephony", writes=True,
        params="FROM_LINE TO_NUMBER TEXT_TO_PRONOUNCE VOICE")  # fmt: skip
def infocall_text(call: Call) -> Row:
    return _start_call(call, 5, "infocall")


@method("voximplant.infocall.startwithsound", scope="telephony", params="FROM_LINE TO_NUMBER URL", writes=True)
def infocall_sound(call: Call) -> Row:
    return _start_call(call, 5, "infocall")


# --- phones of people -------------------------------------------------------------------------------------------------


@method("voximplant.user.get", scope="telephony", params="USER_ID")
def user_get(call: Call) -> list[Row]:
    numbers = [as_int(one) for one in call.sequence("USER_ID")]
    if not numbers or None in numbers:
        raise RestError("", "Parameter USER_ID is not set", 400)
    if not call.admin and set(numbers) != {call.user_id}:
        raise RestError("ACCESS_DENIED", "Access denied! You have no permission to query selected users", 403)
    made = []
    for number in numbers:
        user = call.portal.user(number)
        if user is None:
            continue
        on = bool(user.get("SIP_PHONE"))
        made.append(
            {
                "ID": str(user["ID"]), "DEFAULT_LINE": None, "PHONE_ENABLED": "Y" if on else "N",
                "SIP_SERVER": f"ip.{call.portal.member_id[:8]}.example" if on else "",
                "SIP_LOGIN": f"phone{user['ID']}" if on else "", "SIP_PASSWORD": user.get("SIP_PHONE") or "",
                "INNER_NUMBER": user["UF_PHONE_INNER"],
            }
        )  # fmt: skip
    return made


def _declare_phone(name: str, on: bool) -> None:
    @method(f"voximplant.user.{name}", scope="telephony", params="USER_ID", writes=True)
    def phone(call: Call) -> int:
        user = call.portal.user(as_int(call.get("USER_ID")))
        if user is None:
            raise RestError("", "Parameter USER_ID is not set", 400)
        if not call.admin:
            raise RestError("", "You are not allowed to modify user's settings", 400)
        user["SIP_PHONE"] = (user.get("SIP_PHONE") or call.portal.secret(12)) if on else ""
        return 1


_declare_phone("activatePhone", on=True)
_declare_phone("deactivatePhone", on=False)
