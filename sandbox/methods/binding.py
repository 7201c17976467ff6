"""Events and placements of applications (api-reference/events, widgets), signals to open frames (push-and-pull)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sandbox import delivery, events, placements
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_map, empty_argument, method, plain, yes

# --- online and offline bindings ------------------------------------------------------------------------------------


def _offline(call: Call) -> bool:
    return call.text("event_type").lower() == "offline"


def _auth_type(call: Call, verb: str) -> int:
    wanted = call.integer("auth_type")
    if wanted and wanted != call.user_id and not call.admin:
        raise RestError(
            "ACCESS_DENIED", f"Access denied! Event {verb} with AUTH_TYPE requires administrator access rights"
        )
    if _offline(call) and not call.admin:
        raise RestError("ACCESS_DENIED", f"Access denied! Offline events {verb} requires administrator access rights")
    return wanted


@method(
    "event.bind",
    application="WRONG_AUTH_TYPE",
    params="event handler auth_type event_type auth_connector options",
    cost=(0.01, 0.04),
)
def event_bind(call: Call) -> bool:
    application = call.application_only()
    name = call.text("event").upper()
    if events.base(name) not in events.names(call.scopes):
        raise RestError("ERROR_EVENT_NOT_FOUND", "Event not found", 400)
    offline = _offline(call)
    auth_type = _auth_type(call, "binding")
    handler = call.text("handler")
    if not offline:
        if not handler:
            raise empty_argument("HANDLER")
        if not urlsplit(handler).hostname:
            raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL", 400)
        delivery.check_handler(handler)
    connector = call.text("auth_connector")
    if connector and not call.portal.settings.auth_connector:
        raise RestError("ERROR_ARGUMENT", "auth_connector is not available on your plan", 400)
    facts: Row = {
        "CLIENT_ID": application["CLIENT_ID"], "EVENT": name, "HANDLER": "" if offline else handler,
        "AUTH_TYPE": auth_type, "OFFLINE": offline, "CONNECTOR": connector,
    }  # fmt: skip
    same = {key: value for key, value in facts.items() if key not in ("AUTH_TYPE",)}
    if call.portal["event_handlers"].first(**same) is not None:
        raise RestError("ERROR_CORE", "Unable to set event handler: Handler already binded", 400)
    call.portal["event_handlers"].add({**facts, "OPTIONS": call.mapping("options")})
    call.portal.effect("create", "event handler", call.portal["event_handlers"].last, call.user_id, "rest", event=name)
    return True


@method("event.unbind", application="WRONG_AUTH_TYPE", params="event handler auth_type event_type", cost=(0.01, 0.04))
def event_unbind(call: Call) -> Row:
    application = call.application_only()
    name = call.text("event").upper()
    if not name:
        raise empty_argument("EVENT")
    auth_type = _auth_type(call, "unbinding")
    handler = call.get("handler")
    count = 0
    for row in list(call.portal["event_handlers"].where(CLIENT_ID=application["CLIENT_ID"], EVENT=name)):
        if handler not in (None, "") and row["HANDLER"] != plain(handler):
            continue
        if call.get("auth_type") not in (None, "") and row["AUTH_TYPE"] != auth_type:
            continue
        if call.get("event_type") not in (None, "") and row["OFFLINE"] != _offline(call):
            continue
        call.portal["event_handlers"].remove(row["ID"])
        call.portal.effect("delete", "event handler", row["ID"], call.user_id, "rest", event=name)
        count += 1
    return {"count": count}


@method("event.get", application="WRONG_AUTH_TYPE", cost=(0.0, 0.01))
def event_get(call: Call) -> list[Row]:
    made = []
    for row in call.portal["event_handlers"].where(CLIENT_ID=call.application_only()["CLIENT_ID"]):
        entry: Row = {
            "event": row["EVENT"], "handler": row["HANDLER"], "auth_type": str(row["AUTH_TYPE"]),
            "offline": int(row["OFFLINE"]),
        }  # fmt: skip
        if row["OFFLINE"]:
            entry["connector_id"] = row["CONNECTOR"]
        made.append(entry)
    return made


@method("events", params="scope full", cost=(0.0, 0.01))
def event_names(call: Call) -> list[str]:
    wanted = call.text("scope")
    if wanted:
        return list(events.BY_SCOPE.get(wanted, []))
    return events.names(frozenset(events.BY_SCOPE) if yes(call.get("full")) else call.scopes)


@method("event.test", application="WRONG_AUTH_TYPE", cost=(0.01, 0.04))
def event_test(call: Call) -> bool:
    query = {key: value for key, value in call.params.items() if key != "auth"}
    delivery.emit(call.portal, "ONAPPTEST", {"QUERY": query, "LANGUAGE_ID": call.portal.settings.language}, call.actor)
    return True


_QUEUE = {name: Column(name) for name in ("EVENT_NAME", "MESSAGE_ID", "PROCESS_ID")}
_QUEUE |= {"ID": Column("ID", "int"), "ERROR": Column("ERROR", "int"), "TIMESTAMP_X": Column("TIMESTAMP_X", "time")}


def _record(call: Call, row: Row, *, full: bool) -> Row:
    made: Row = {
        "ID": str(row["ID"]), "TIMESTAMP_X": call.portal.iso(row["TIMESTAMP_X"]), "EVENT_NAME": row["EVENT_NAME"],
        "EVENT_DATA": row["EVENT_DATA"] or False, "EVENT_ADDITIONAL": row["EVENT_ADDITIONAL"] or False,
        "MESSAGE_ID": row["MESSAGE_ID"],
    }  # fmt: skip
    if full:
        made |= {"PROCESS_ID": row["PROCESS_ID"], "ERROR": str(row["ERROR"])}
    return made


def _queue(call: Call) -> Any:
    client_id = call.application_only()["CLIENT_ID"]
    connector = call.text("auth_connector")
    return lambda row: row["CLIENT_ID"] == client_id and (not connector or row["CONNECTOR"] == connector)


def _offline_admin(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Access denied! Offline events requires administrator access rights")


@method(
    "event.offline.list", application="WRONG_AUTH_TYPE", params="filter order start auth_connector", cost=(0.0, 0.02)
)
def offline_list(call: Call) -> Page:
    _offline_admin(call)
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["offline_events"], filter=_upper(call.mapping("filter")),
        order=_upper(call.mapping("order")) or {"ID": "DESC"},
        columns=_QUEUE, zone=call.portal.zone(), start=start, visible=_queue(call),
    )  # fmt: skip
    return page_of([_record(call, row, full=True) for row in rows], total, following, start)


def _upper(given: Row) -> Row:
    return {key.upper(): value for key, value in given.items()}


@method(
    "event.offline.get",
    application="WRONG_AUTH_TYPE",
    params="filter order limit clear process_id auth_connector error",
    cost=(0.0, 0.05),
)
def offline_get(call: Call) -> Row:
    _offline_admin(call)
    clear = call.get("clear") is None or yes(call.get("clear"))
    table = call.portal["offline_events"]
    process = call.text("process_id")
    mine = _queue(call)
    if not clear and not call.portal.settings.offline_extended:
        raise RestError("ERROR_ARGUMENT", "Reservation of offline events is not available on your plan", 400)

    def visible(row: Row) -> bool:
        if not mine(row) or (row["ERROR"] and not yes(call.get("error"))):
            return False
        return bool(row["PROCESS_ID"] == process)

    rows, _, _ = select_rows(
        table, filter=_upper(call.mapping("filter")),
        order=_upper(call.mapping("order")) or {"TIMESTAMP_X": "ASC", "ID": "ASC"},
        columns=_QUEUE, zone=call.portal.zone(), visible=visible, limit=max(1, min(call.integer("limit", 50), 200)),
    )  # fmt: skip
    made = [_record(call, row, full=False) for row in rows]
    if clear:
        for row in rows:
            table.remove(row["ID"])
        return {"process_id": None, "events": made}
    if rows and not process:
        process = call.portal.secret(32)
        for row in rows:
            row["PROCESS_ID"] = process
    return {"process_id": process or None, "events": made}


@method("event.offline.clear", application="WRONG_AUTH_TYPE", params="process_id id message_id", cost=(0.0, 0.05))
def offline_clear(call: Call) -> bool:
    _offline_admin(call)
    process = call.text("process_id")
    if not process:
        raise empty_argument("PROCESS_ID")
    ids = {as_int(one) for one in call.sequence("id")}
    messages = {plain(one) for one in call.sequence("message_id")}
    table = call.portal["offline_events"]
    for row in list(table.where(PROCESS_ID=process, CLIENT_ID=call.application_only()["CLIENT_ID"])):
        if (not ids and not messages) or row["ID"] in ids or row["MESSAGE_ID"] in messages:
            table.remove(row["ID"])
    return True


@method("event.offline.error", application="WRONG_AUTH_TYPE", params="process_id message_id", cost=(0.0, 0.05))
def offline_error(call: Call) -> bool:
    _offline_admin(call)
    process = call.text("process_id")
    if not process:
        raise empty_argument("PROCESS_ID")
    messages = {plain(one) for one in call.sequence("message_id")}
    for row in call.portal["offline_events"].where(PROCESS_ID=process, CLIENT_ID=call.application_only()["CLIENT_ID"]):
        if row["MESSAGE_ID"] in messages:
            row["ERROR"], row["PROCESS_ID"] = 1, ""
    return True


# --- placements -----------------------------------------------------------------------------------------------------


def _admin(call: Call) -> Row:
    application = call.application_only()
    if not call.admin:
        raise RestError("ACCESS_DENIED")
    return application


def _languages(call: Call) -> Row:
    made: Row = {}
    for language, facts in call.mapping("LANG_ALL").items():
        facts = as_map(facts)
        made[language] = {name: plain(facts.get(name)) for name in ("TITLE", "DESCRIPTION", "GROUP_NAME")}
    if not made:
        made[call.portal.settings.language] = {
            "TITLE": call.text("TITLE"), "DESCRIPTION": call.text("DESCRIPTION"), "GROUP_NAME": call.text("GROUP_NAME"),
        }  # fmt: skip
    return made


@method("placement.bind", scope="placement", application="WRONG_AUTH_TYPE", writes=True, cost=(0.02, 0.08),
        params="PLACEMENT HANDLER TITLE DESCRIPTION GROUP_NAME LANG_ALL OPTIONS USER_ID")  # fmt: skip
def placement_bind(call: Call) -> bool:
    application = _admin(call)
    code = call.text("PLACEMENT").upper()
    if not code:
        raise empty_argument("PLACEMENT", 200)
    handler = call.text("HANDLER")
    if not handler:
        raise empty_argument("HANDLER", 200)
    if code not in placements.codes(call.scopes):
        raise RestError("ERROR_PLACEMENT_NOT_FOUND", "Placement not found", 400)
    if not urlsplit(handler).hostname:
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL", 400)
    delivery.check_handler(handler)
    user_id = call.integer("USER_ID")
    if user_id and code != "PAGE_BACKGROUND_WORKER":
        raise RestError("ERROR_PLACEMENT_USER_MODE", "User mode is not available for this placement", 200)
    table = call.portal["placements"]
    options = call.mapping("OPTIONS")
    if code == "PAGE_BACKGROUND_WORKER" and not options.get("errorHandlerUrl"):
        raise RestError("EMPTY_ERROR_HANDLER_URL", "Option 'errorHandlerUrl' is empty", 200)
    mine = list(table.where(CLIENT_ID=application["CLIENT_ID"], PLACEMENT=code, USER_ID=user_id))
    if code in placements.ONCE and mine:
        raise RestError("ERROR_PLACEMENT_MAX_COUNT", "Placement max count", 200)
    if any(row["HANDLER"] == handler for row in mine):
        raise RestError("ERROR_CORE", "Unable to set placement handler: Handler already binded", 400)
    languages = _languages(call)
    own = languages.get(call.portal.settings.language) or next(iter(languages.values()))
    table.add(
        {
            "CLIENT_ID": application["CLIENT_ID"], "PLACEMENT": code, "HANDLER": handler, "USER_ID": user_id,
            "OPTIONS": options if placements.keeps_options(code) else {},
            "TITLE": call.text("TITLE") or own["TITLE"] or application["TITLE"],
            "DESCRIPTION": call.text("DESCRIPTION") or own["DESCRIPTION"], "LANG_ALL": languages,
        }
    )  # fmt: skip
    call.portal.effect("create", "placement", table.last, call.user_id, "rest", placement=code)
    return True


@method("placement.get", scope="placement", application="WRONG_AUTH_TYPE", cost=(0.0, 0.02))
def placement_get(call: Call) -> list[Row]:
    application = _admin(call)
    return [
        {
            "placement": row["PLACEMENT"], "userId": row["USER_ID"], "handler": row["HANDLER"],
            "options": row["OPTIONS"] or [], "title": row["TITLE"], "description": row["DESCRIPTION"],
            "langAll": row["LANG_ALL"],
        }
        for row in call.portal["placements"].where(CLIENT_ID=application["CLIENT_ID"])
    ]  # fmt: skip


@method("placement.list", scope="placement", params="SCOPE FULL", cost=(0.0, 0.02))
def placement_list(call: Call) -> list[str]:
    if call.get("SCOPE") is not None:
        return list(placements.BY_SCOPE.get(call.text("SCOPE"), []))
    return placements.codes(frozenset(placements.BY_SCOPE) if yes(call.get("FULL")) else call.scopes)


@method(
    "placement.unbind",
    scope="placement",
    application="WRONG_AUTH_TYPE",
    params="PLACEMENT HANDLER USER_ID",
    writes=True,
    cost=(0.02, 0.08),
)
def placement_unbind(call: Call) -> Row:
    application = _admin(call)
    code = call.text("PLACEMENT").upper()
    if not code:
        raise empty_argument("PLACEMENT")
    count = 0
    for row in list(call.portal["placements"].where(CLIENT_ID=application["CLIENT_ID"], PLACEMENT=code)):
        if call.text("HANDLER") and row["HANDLER"] != call.text("HANDLER"):
            continue
        if call.get("USER_ID") is not None and row["USER_ID"] != call.integer("USER_ID"):
            continue
        call.portal["placements"].remove(row["ID"])
        call.portal.effect("delete", "placement", row["ID"], call.user_id, "rest", placement=code)
        count += 1
    return {"count": count}


# --- signals to frames ----------------------------------------------------------------------------------------------


@method(
    "pull.application.event.add",
    scope="pull",
    application="WRONG_AUTH_TYPE",
    params="COMMAND PARAMS MODULE_ID USER_ID",
    writes=True,
    cost=(0.01, 0.05),
)
def pull_add(call: Call) -> bool:
    application = call.application_only()
    command = call.text("COMMAND")
    if not command:
        raise RestError("COMMAND_ERROR", "Command can't be empty", 400)
    users = [as_int(one) for one in call.sequence("USER_ID")]
    if any(one != call.user_id for one in users) and not call.admin:
        raise RestError("USER_ID_ACCESS_ERROR", "Only administrators may send to other users", 400)
    params = call.get("PARAMS")
    call.portal["pull"].add(
        {
            "CLIENT_ID": application["CLIENT_ID"], "COMMAND": command, "PARAMS": params if params is not None else [],
            "MODULE_ID": call.text("MODULE_ID") or "application", "USERS": [one for one in users if one],
            "AT": call.portal.now(),
        }
    )  # fmt: skip
    return True
