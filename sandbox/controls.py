"""The controls under /control/: what a person or a test does to the portal. JSON, no authentication, loopback only.

The list of addresses stands in docs/sandbox.md. A control is a function declared by @control("METHOD", "pattern").
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import requests

from sandbox import automation, company, crm, crm_fields, delivery, entries, faults, frames, letters, telephony, tokens
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD, STAGE, WORD, exists
from sandbox.filters import to_time
from sandbox.method import Actor, RestError, Row, as_int
from sandbox.methods import crm_timeline, people
from sandbox.portal import Portal
from sandbox.rest import dump
from sandbox.server import Request, Response

if TYPE_CHECKING:
    from sandbox.world import World


class ControlError(Exception):
    """A refused control: status 400 or 404 and a text for a person."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


Control = Callable[["World", Portal, list[str], Row], Any]
CONTROLS: list[tuple[str, re.Pattern[str], Control]] = []


def control(verb: str, pattern: str) -> Callable[[Control], Control]:
    """Declare a control: `pattern` is the path after /control/, <> stands for one part."""
    compiled = re.compile("/control/" + pattern.replace("<>", "([^/]+)"))

    def declare(function: Control) -> Control:
        CONTROLS.append((verb, compiled, function))
        return function

    return declare


def handle(world: World, portal: Portal, request: Request) -> Response:
    """The answer to one request under /control/."""
    if not request.remote.startswith("127.") and request.remote != "::1":
        return Response(403, dump({"error": "controls answer to this machine only"}))
    if not _own_origin(world, request.headers.get("origin", "")):
        return Response(403, dump({"error": "controls answer to programs and to the portal's own page only"}))
    allowed = False
    for verb, pattern, function in CONTROLS:
        found = pattern.fullmatch(request.path.rstrip("/"))
        if found is None:
            continue
        allowed = True
        if verb != request.method:
            continue
        try:
            if verb == "GET":
                body: Any = {name: values[-1] for name, values in parse_qs(request.query).items()}
            else:
                body = json.loads(request.body) if request.body.strip() else {}
            if not isinstance(body, dict):
                raise ControlError("a JSON object is expected")
            answer = function(world, portal, list(found.groups()), body)
        except ControlError as error:
            return Response(error.status, dump({"error": str(error)}))
        except RestError as error:
            return Response(400, dump({"error": f"{error.code}: {error.description}"}))
        except json.JSONDecodeError as error:
            return Response(400, dump({"error": f"broken JSON: {error}"}))
        return Response(200, dump(answer))
    return Response(405 if allowed else 404, dump({"error": "no such control"}))


_LOCAL = ("127.0.0.1", "localhost", "[::1]")


def _own_origin(world: World, origin: str) -> bool:
    """True without an Origin (programs), and for the listeners of this process; false for any other web page."""
    if not origin:
        return True
    own = {server.server_address[1] for server in world.servers}
    return origin in {f"{way}://{host}:{port}" for way in ("http", "https") for host in _LOCAL for port in own}


def only(body: Row, *names: str) -> Row:
    """`body`, refused when it has a key that is not among `names`."""
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise ControlError("unknown keys: " + ", ".join(unknown))
    return body


def person(portal: Portal, number: Any) -> Row:
    """The person of that id; 404 else."""
    user = portal.user(as_int(number))
    if user is None:
        raise ControlError(f"no person {number}", 404)
    return user


def application(portal: Portal, client_id: Any) -> Row:
    """The application of that client_id; 404 else."""
    row = tokens.application_of(portal, str(client_id))
    if row is None:
        raise ControlError(f"no application {client_id}", 404)
    return row


def lines(value: Any, name: str) -> list[Any]:
    """A list out of the body; 400 for anything else."""
    if not isinstance(value, list):
        raise ControlError(f"{name} must be a list")
    return value


def moment(portal: Portal, value: Any, name: str) -> float:
    """Unix seconds out of a number or an ISO text."""
    at = to_time(value, portal.zone())
    if at is None:
        raise ControlError(f"{name} must be a time")
    return at


# --- looking --------------------------------------------------------------------------------------------------------


def _application(row: Row) -> Row:
    return {
        "id": row["ID"], "client_id": row["CLIENT_ID"], "client_secret": row["CLIENT_SECRET"],
        "application_token": row["APPLICATION_TOKEN"], "title": row["TITLE"], "handler": row["HANDLER"],
        "install": row["INSTALL"],
        "scopes": row["SCOPES"], "script_only": row["SCRIPT_ONLY"], "installed": row["INSTALLED"],
        "active": row["ACTIVE"],
        "version": row["VERSION"], "payment_ended": row["PAYMENT_ENDED"], "users": row["USERS"],
    }  # fmt: skip


def _person(portal: Portal, row: Row) -> Row:
    now = portal.now()
    return {
        "id": row["ID"], "name": row["NAME"], "last_name": row["LAST_NAME"], "department_ids": row["UF_DEPARTMENT"],
        "active": row["ACTIVE"], "admin": row["ADMIN"], "position": row["WORK_POSITION"],
        "head": any(one["UF_HEAD"] == row["ID"] for one in portal["departments"]),
        "clock": people.day_status(portal, row, finish_default=False)["STATUS"].lower(),
        "absent": _span(portal, row["ABSENT"]), "busy": _span(portal, row["BUSY"]),
        "busy_now": bool(row["BUSY"] and row["BUSY"]["from"] <= now < row["BUSY"]["to"]),
        "call": row["CALL"], "online": row["ONLINE"], "timezone": row["TIME_ZONE"],
        "mobile": row["PERSONAL_MOBILE"], "work_phone": row["WORK_PHONE"], "inner_phone": row["UF_PHONE_INNER"],
        "email": row["EMAIL"], "own_leads_only": row["OWN_LEADS_ONLY"],
    }  # fmt: skip


def _span(portal: Portal, span: Row | None) -> Row | None:
    if span is None:
        return None
    return {"from": portal.iso(span["from"]), "to": portal.iso(span["to"]), "name": span.get("name", "")}


def _run(portal: Portal, row: Row) -> Row:
    place = row["PLACES"][row["INDEX"]] if row["INDEX"] < len(row["PLACES"]) else None
    return {
        "id": row["ID"], "workflow_id": row["WORKFLOW_ID"], "entity_type_id": row["ENTITY_TYPE_ID"],
        "item_id": row["ITEM_ID"],
        "stage_id": row["STAGE_ID"], "status": row["STATUS"], "robot": place["CODE"] if place else None,
        "robots": [one["CODE"] for one in row["PLACES"]], "log": row["LOG"], "results": row["RESULTS"],
        "started": portal.iso(row["STARTED"]),
    }  # fmt: skip


def _stage(row: Row) -> Row:
    return {
        "id": row["STATUS_ID"],
        "name": row["NAME"],
        "sort": row["SORT"],
        "color": row["COLOR"],
        "semantics": row["SEMANTICS"] or "P",
    }


def _placed(row: Row) -> Row:
    return {
        "id": row["ID"], "entity_type_id": row["ENTITY_TYPE_ID"], "stage_id": row["STAGE_ID"],
        "client_id": row["CLIENT_ID"],
        "code": row["CODE"], "properties": row["PROPERTIES"], "timeout": row["TIMEOUT"], "run_as": row["RUN_AS"],
    }  # fmt: skip


def _robot(row: Row) -> Row:
    return {
        "client_id": row["CLIENT_ID"], "code": row["CODE"], "name": row["NAME"], "description": row["DESCRIPTION"],
        "properties": row["PROPERTIES"], "return_properties": row["RETURN_PROPERTIES"], "handler": row["HANDLER"],
        "use_subscription": row["USE_SUBSCRIPTION"], "use_placement": row["USE_PLACEMENT"], "filter": row["FILTER"],
    }  # fmt: skip


_ITEMS = {"leads": LEAD, "deals": DEAL, "contacts": CONTACT, "companies": COMPANY}


def _items(portal: Portal, kind: int, newest: int = 1000) -> list[Row]:
    return [
        crm_fields.as_item(portal, kind, row) for row in itertools.islice(portal[kind].between(descending=True), newest)
    ]


PARTS: dict[str, Callable[[Portal], Any]] = {
    "now": lambda portal: portal.iso(portal.now()),
    "applications": lambda portal: [_application(row) for row in portal["applications"] if row["ACTIVE"]],
    "people": lambda portal: [_person(portal, row) for row in portal["users"]],
    "departments": lambda portal: [
        {"id": row["ID"], "name": row["NAME"], "parent": row["PARENT"],
            "head": row["UF_HEAD"]} for row in portal["departments"]
    ],
    "stages": lambda portal: {str(kind): [_stage(row) for row in crm.stages(portal, kind)] for kind in STAGE},
    **{name: partial(_items, kind=kind) for name, kind in _ITEMS.items()},
    "comments": lambda portal: [
        {"id": row["ID"], "entity_type": row["ENTITY_TYPE"], "entity_id": row["ENTITY_ID"], "text": row["COMMENT"],
         "author_id": row["AUTHOR_ID"], "created": portal.iso(row["CREATED"])}
        for row in portal["comments"]
    ],
    "activities": lambda portal: [
        {"id": row["ID"], "type_id": row["TYPE_ID"], "provider_id": row["PROVIDER_ID"], "subject": row["SUBJECT"],
         "owner_type_id": row["OWNER_TYPE_ID"], "owner_id": row["OWNER_ID"], "bindings": row["BINDINGS"],
         "direction": row["DIRECTION"],
         "settings": row["SETTINGS"], "completed": row["COMPLETED"] == "Y", "responsible_id": row["RESPONSIBLE_ID"],
         "description": row["DESCRIPTION"],
         "created": portal.iso(row["CREATED"])}
        for row in portal["activities"]
    ],
    "calls": lambda portal: [
        {"call_id": row["CALL_ID"], "type": row["TYPE"], "phone": row["PHONE"], "user_id": row["USER_ID"],
            "done": row["DONE"],
         "answered": row["ANSWERED"] is not None, "code": row["CODE"], "lead_id": row["LEAD_ID"] or None,
         "entity": row["ENTITY"],
         "started": portal.iso(row["STARTED"])}
        for row in portal["calls"]
    ],
    "notices": lambda portal: [
        {"id": row["ID"], "user_id": row["USER_ID"], "from": row["FROM_USER_ID"], "text": row["MESSAGE"],
            "tag": row["TAG"], "at": portal.iso(row["AT"])}
        for row in portal["notices"]
    ],
    "messages": lambda portal: [
        {"id": row["ID"], "dialog": row["DIALOG_ID"], "from": row["FROM_USER_ID"], "text": row["MESSAGE"],
            "at": portal.iso(row["AT"])}
        for row in portal["messages"]
    ],
    "robots": lambda portal: [_placed(row) for row in portal["robot_places"]],
    "robot_types": lambda portal: [_robot(row) for row in portal["robots"]],
    "workflows": lambda portal: [_run(portal, row) for row in portal["workflows"]],
    "placements": lambda portal: [
        {"client_id": row["CLIENT_ID"], "placement": row["PLACEMENT"], "handler": row["HANDLER"], "title": row["TITLE"],
         "lang_all": row["LANG_ALL"], "user_id": row["USER_ID"], "options": row["OPTIONS"],
         "shown": delivery.live(tokens.application_of(portal, row["CLIENT_ID"]))}
        for row in portal["placements"]
    ],
    "event_handlers": lambda portal: [
        {"id": row["ID"], "client_id": row["CLIENT_ID"], "event": row["EVENT"], "handler": row["HANDLER"],
            "offline": row["OFFLINE"]}
        for row in portal["event_handlers"]
    ],
    "line": lambda portal: portal.line,
    "mode": lambda portal: portal.settings.mode,
    "settings": lambda portal: asdict(portal.settings),
    "limits": lambda portal: {
        "enabled": portal.limits.enabled, "leak": portal.limits.leak, "size": portal.limits.size,
        "operating_limit": portal.limits.operating_limit, "neighbours": portal.limits.neighbours,
        "levels": {source: round(portal.limits.level(source, portal.now()), 2) for source in portal.limits.sources()},
    },
    "speed": lambda portal: portal.clock.speed,
    "faults": lambda portal: portal.faults,
    "event_rules": lambda portal: portal.event_rules,
}  # fmt: skip


@control("GET", "state")
def state(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    with portal.lock:
        return {name: part(portal) for name, part in PARTS.items()}


@control("GET", "state/<>")
def state_part(world: World, portal: Portal, path: list[str], body: Row) -> Any:
    only(body, *(["newest"] if path[0] in _ITEMS else []))
    if path[0] not in PARTS:
        raise ControlError(f"no part {path[0]}", 404)
    with portal.lock:
        if "newest" in body:
            return _items(portal, _ITEMS[path[0]], as_int(body["newest"]) or 0)
        return PARTS[path[0]](portal)


@control("GET", "ledger")
def ledger(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "since", "kind")
    kind = body.get("kind")
    with portal.lock:
        entries = portal.ledger.since(as_int(body.get("since", 0)) or 0)
        return {"entries": [one for one in entries if kind in (None, one["kind"])], "last": portal.ledger.last}


@control("GET", "quiet")
def quiet(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    with portal.lock:
        ringing = any(not call["DONE"] for call in portal["calls"])
        delivered = portal.scheduler.quiet
        return {"quiet": delivered and not ringing, "delivered": delivered, "requests": portal.requests}


# --- applications ---------------------------------------------------------------------------------------------------

_CARD = ("title", "handler", "install", "scopes", "script_only", "users", "payment_ended")


def _card(portal: Portal, row: Row, body: Row) -> None:
    for name in _CARD:
        if name not in body:
            continue
        value = body[name]
        if name in ("handler", "install") and value:
            delivery.check_handler(str(value))
        if name in ("scopes", "users"):
            value = lines(value, name)
        if name in ("title", "handler", "install"):
            value = str(value or "")
        row[name.upper()] = value
    if "scopes" in body:
        # A scope that was added in the card reaches a token with its next refresh, one taken away is gone at once.
        for token in portal.tokens.values():
            if token["CLIENT_ID"] == row["CLIENT_ID"]:
                token["SCOPES"] = [scope for scope in token["SCOPES"] if scope in row["SCOPES"]]
    frames.saved(portal, row)


@control("GET", "applications")
def list_applications(world: World, portal: Portal, path: list[str], body: Row) -> Any:
    only(body)
    with portal.lock:
        return PARTS["applications"](portal)


@control("POST", "applications")
def create_application(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_CARD)
    with portal.lock:
        for name in ("handler", "install"):
            if body.get(name):
                delivery.check_handler(str(body[name]))
        row = company.add_application(portal, {"SCOPES": list(company.SCOPES)})
        _card(portal, row, body)
        return _application(row)


@control("PATCH", "applications/<>")
def change_application(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_CARD)
    with portal.lock:
        row = application(portal, path[0])
        if not row["ACTIVE"]:
            row["ACTIVE"] = True
        _card(portal, row, body)
        return _application(row)


@control("POST", "applications/<>/open")
def open_application(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "user_id", "placement", "options", "send", "handler")
    with portal.lock:
        row = application(portal, path[0])
        user = person(portal, body.get("user_id", 1))
        options = body.get("options") or {}
        if not isinstance(options, dict):
            raise ControlError("options must be an object")
        placement = str(body.get("placement") or "DEFAULT")
        try:
            frame = frames.compose(portal, row, user, placement, options, str(body.get("handler") or ""))
        except frames.FrameRefused as error:
            raise ControlError(str(error)) from None
        entry = portal.ledger.add(
            "frame", url=frame["url"], placement=placement, user_id=user["ID"], status=None, application=path[0]
        )
    if not body.get("send", True):
        return frame
    session = requests.Session()
    session.trust_env = False
    try:
        answer = session.post(frame["url"], data=frame["fields"], timeout=30, allow_redirects=False)
    except requests.RequestException as error:
        entry["status"] = 0
        raise ControlError(f"the application did not answer: {type(error).__name__}") from None
    finally:
        session.close()
    entry["status"] = answer.status_code
    return {**frame, "status": answer.status_code, "headers": dict(answer.headers), "body": answer.text}


@control("POST", "frames")
def open_frame(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "client_id", "user_id", "placement", "options", "handler")
    rest = {key: value for key, value in body.items() if key != "client_id"}
    return open_application(world, portal, [str(body.get("client_id"))], {**rest, "send": False})  # type: ignore[no-any-return]


@control("POST", "frames/<>/auth")
def refresh_frame(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """What BX24.refreshAuth gets: a new pair for the person of the frame."""
    only(body)
    with portal.lock:
        frame = portal.held.get("frames", {}).get(path[0])
        if frame is None:
            raise ControlError("no such frame", 404)
        token = tokens.issue(portal, application(portal, frame["client_id"]), person(portal, frame["user_id"]))
        return {
            "access_token": token["ACCESS"], "refresh_token": token["REFRESH"], "expires": token["EXPIRES"],
            "expires_in": tokens.ACCESS_LIFE, "domain": portal.host, "member_id": portal.member_id,
        }  # fmt: skip


@control("POST", "applications/<>/finish")
def finish_application(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    with portal.lock:
        row = application(portal, path[0])
        frames.finish_install(portal, row)
        return _application(row)


@control("POST", "applications/<>/uninstall")
def uninstall_application(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "clean")
    with portal.lock:
        row = application(portal, path[0])
        frames.uninstall(portal, row, bool(body.get("clean")))
        return _application(row)


@control("POST", "applications/<>/update")
def upgrade_application(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "version")
    with portal.lock:
        row = application(portal, path[0])
        frames.upgrade(portal, row, as_int(body.get("version")) or row["VERSION"] + 1)
        return _application(row)


# --- people ---------------------------------------------------------------------------------------------------------

_FACTS = {
    "name": "NAME", "last_name": "LAST_NAME", "second_name": "SECOND_NAME", "department_ids": "UF_DEPARTMENT",
    "admin": "ADMIN",
    "position": "WORK_POSITION", "email": "EMAIL", "mobile": "PERSONAL_MOBILE", "work_phone": "WORK_PHONE",
    "inner_phone": "UF_PHONE_INNER",
    "timezone": "TIME_ZONE", "active": "ACTIVE", "own_leads_only": "OWN_LEADS_ONLY", "online": "ONLINE",
    "user_type": "USER_TYPE",
}  # fmt: skip


def _facts(portal: Portal, body: Row) -> Row:
    made: Row = {}
    for name, key in _FACTS.items():
        if name in body:
            made[key] = lines(body[name], name) if name == "department_ids" else body[name]
    if made.get("TIME_ZONE"):
        try:
            portal.zone(str(made["TIME_ZONE"]))
        except (KeyError, ValueError) as error:
            raise ControlError(f"timezone: {error}") from None
    return made


def _days(portal: Portal, row: Row, body: Row) -> None:
    if "clock" in body:
        if body["clock"] not in ("open", "close", "pause"):
            raise ControlError("clock is open, close or pause")
        if body["clock"] == "open" or people.work_day(portal, row) is not None:
            people.set_clock(portal, row, body["clock"])
    for name in ("absent", "busy"):
        if name not in body:
            continue
        span = body[name]
        if span is not None:
            if not isinstance(span, dict):
                raise ControlError(f"{name} is an object with from and to, or null")
            only(span, "from", "to", "name")
            span = {"from": moment(portal, span.get("from"), "from"), "to": moment(portal, span.get("to"), "to"),
                "name": span.get("name") or ("Отпуск" if name == "absent" else "Встреча")}  # fmt: skip
        row[name.upper()] = span
        if name == "busy":
            for event in list(portal["calendar"].where(OWNER_ID=row["ID"], DESCRIPTION="#busy#")):
                portal["calendar"].remove(event["ID"])
            if span is not None:
                entries.add(
                    portal,
                    {
                        "OWNER_ID": row["ID"],
                        "NAME": span["name"],
                        "FROM": span["from"],
                        "TO": span["to"],
                        "CREATED_BY": row["ID"],
                        "DESCRIPTION": "#busy#",
                    },
                )


@control("POST", "people")
def create_person(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_FACTS, "clock", "absent", "busy", "head_of")
    with portal.lock:
        row = company.add_person(portal, _facts(portal, body))
        _days(portal, row, body)
        for number in body.get("head_of") or []:
            department = portal["departments"].get(number)
            if department is not None:
                department["UF_HEAD"] = row["ID"]
        delivery.emit(
            portal,
            "ONUSERADD",
            {"ID": row["ID"], "NAME": row["NAME"], "LAST_NAME": row["LAST_NAME"], "EMAIL": row["EMAIL"]},
            Actor(1),
            entity=f"user {row['ID']}",
        )
        return _person(portal, row)


@control("PATCH", "people/<>")
def change_person(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_FACTS, "clock", "absent", "busy")
    with portal.lock:
        row = person(portal, path[0])
        row.update(_facts(portal, body))
        _days(portal, row, body)
        portal.effect("update", "person", row["ID"], row["ID"], "person", fields=sorted(body))
        return _person(portal, row)


# --- calls ----------------------------------------------------------------------------------------------------------


def _call(portal: Portal, call_id: str) -> Row:
    row = portal["calls"].first(CALL_ID=call_id)
    if row is None:
        raise ControlError(f"no call {call_id}", 404)
    if row["DONE"]:
        raise ControlError("the call is over")
    return row


def _call_answer(row: Row) -> Row:
    return {"call_id": row["CALL_ID"], "lead_id": row["LEAD_ID"] or None, "entity": row["ENTITY"], "code": row["CODE"]}


@control("POST", "calls")
def begin_call(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "phone", "type", "line", "user_id")
    kind = as_int(body.get("type", 2))
    if kind not in (1, 2, 3, 4):
        raise ControlError("type is 1 (outgoing), 2, 3 or 4")
    with portal.lock:
        user_id = person(portal, body["user_id"])["ID"] if body.get("user_id") else 0
        if kind == 1 and not user_id:
            raise ControlError("an outgoing call needs user_id")
        row = telephony.begin(portal, str(body.get("phone", "")), kind, str(body.get("line") or ""), user_id)
        return _call_answer(row)


@control("POST", "calls/<>/answer")
def answer_call(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "user_id")
    with portal.lock:
        row = _call(portal, path[0])
        telephony.answer(portal, row, person(portal, body.get("user_id") or row["USER_ID"])["ID"])
        return _call_answer(row)


@control("POST", "calls/<>/finish")
def finish_call(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "code", "duration")
    with portal.lock:
        row = _call(portal, path[0])
        telephony.finish(portal, row, str(body.get("code") or ""), duration=as_int(body.get("duration")))
        return _call_answer(row)


@control("POST", "missed-call")
def missed_call(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "phone", "line")
    with portal.lock:
        row = telephony.begin(portal, str(body.get("phone", "")), 2, str(body.get("line") or ""))
        telephony.finish(portal, row, "304")
        return _call_answer(row)


@control("PATCH", "line")
def change_line(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "create_lead", "responsible_id", "create_when", "number")
    if body.get("create_lead", "all") not in ("missed", "all", "none") or body.get("create_when", "end") not in (
        "start",
        "end",
    ):
        raise ControlError("create_lead is missed, all or none; create_when is start or end")
    with portal.lock:
        if "responsible_id" in body:
            person(portal, body["responsible_id"])
        portal.line.update(body)
        return portal.line


# --- CRM by a person's hand -----------------------------------------------------------------------------------------


def _kind(portal: Portal, word: str) -> int:
    kind = as_int(word)
    if kind is None or not exists(portal, kind):
        raise ControlError(f"no entity type {word}", 404)
    return kind


def _given(portal: Portal, kind: int, body: Row, *, new: bool) -> tuple[Row, list[Row]]:
    fields = body.get("fields") or {}
    if not isinstance(fields, dict):
        raise ControlError("fields must be an object")
    classic = {key: value for key, value in fields.items() if key.isupper()}
    values, comms = crm_fields.read_fields(portal, kind, fields, names="item", new=new)
    return values, comms + crm_fields.multifields_classic(classic)


def _comms(body: Row) -> list[Row]:
    made = []
    for name, type_id in (("phone", "PHONE"), ("email", "EMAIL")):
        if body.get(name):
            made.append({"TYPE_ID": type_id, "VALUE_TYPE": "WORK", "VALUE": str(body[name])})
    return made


def _item_answer(portal: Portal, kind: int, row: Row) -> Row:
    if "LEAD_NUMBER" in row:
        return {"id": row["LEAD_NUMBER"], "deal_id": row["ID"]}
    return crm_fields.as_item(portal, kind, row)


@control("POST", "items/<>")
def create_item(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "fields", "user_id")
    kind = _kind(portal, path[0])
    with portal.lock:
        user = person(portal, body.get("user_id", 1))
        values, comms = _given(portal, kind, body, new=True)
        return _item_answer(portal, kind, crm.create(portal, kind, values, comms, Actor(user["ID"])))


def _item(portal: Portal, path: list[str]) -> tuple[int, Row]:
    kind = _kind(portal, path[0])
    row = portal[kind].get(as_int(path[1]))
    if row is None:
        raise ControlError(f"no item {path[1]}", 404)
    return kind, row


@control("PATCH", "items/<>/<>")
def change_item(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "fields", "user_id")
    with portal.lock:
        kind, row = _item(portal, path)
        user = person(portal, body.get("user_id", 1))
        if not crm.can_change(user, kind, row):
            raise ControlError("access denied")
        values, comms = _given(portal, kind, body, new=False)
        crm.update(portal, kind, row, values, comms, Actor(user["ID"]))
        return crm_fields.as_item(portal, kind, row)


@control("DELETE", "items/<>/<>")
def delete_item(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "user_id")
    with portal.lock:
        kind, row = _item(portal, path)
        crm.delete(portal, kind, row, Actor(person(portal, body.get("user_id", 1))["ID"]))
    return {"deleted": True}


@control("POST", "web-form")
def web_form(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "name", "phone", "email", "comment", "title")
    with portal.lock:
        responsible = portal.line["responsible_id"]
        who = body.get("name") or body.get("phone") or body.get("email") or ""
        values = {
            "TITLE": str(body.get("title") or f"Заявка с сайта: {who}"),
            "NAME": str(body.get("name") or ""), "COMMENTS": str(body.get("comment") or ""), "SOURCE_ID": "WEBFORM",
            "WEBFORM_ID": 1,
            "ASSIGNED_BY_ID": responsible,
        }  # fmt: skip
        row = crm.create(portal, LEAD, values, _comms(body), Actor(responsible, "system"))
        owner = (DEAL, row["ID"]) if "LEAD_NUMBER" in row else (LEAD, row["ID"])
        crm.add_activity(
            portal,
            {"OWNER_TYPE_ID": owner[0], "OWNER_ID": owner[1], "TYPE_ID": 6, "PROVIDER_ID": "CRM_WEBFORM",
                "PROVIDER_TYPE_ID": "1",
             "SUBJECT": "Заполнена CRM-форма", "DESCRIPTION": str(body.get("comment") or ""), "DIRECTION": 1,
             "IS_INCOMING_CHANNEL": "Y",
             "RESPONSIBLE_ID": responsible},
            Actor(responsible, "system"),
        )  # fmt: skip
        return _made(owner, row)


def _made(owner: tuple[int, int], row: Row) -> Row:
    if "LEAD_NUMBER" in row:
        return {"lead_id": row["LEAD_NUMBER"], "deal_id": row["ID"]}
    return {"lead_id": row["ID"] if owner[0] == LEAD else None, "entity": list(owner)}


@control("POST", "email")
def email(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "from", "subject", "text", "to_user_id")
    sender = str(body.get("from") or "")
    if "@" not in sender:
        raise ControlError("from must be an e-mail address")
    with portal.lock:
        responsible = person(portal, body.get("to_user_id") or portal.line["responsible_id"])["ID"]
        actor, subject = Actor(responsible, "system"), str(body.get("subject") or "")
        owner, row = letters.client_of(portal, sender, subject, responsible, actor)
        values = {"SUBJECT": subject, "DESCRIPTION": str(body.get("text") or ""), "RESPONSIBLE_ID": responsible}
        letters.add_activity(portal, owner, sender, True, values, actor)
        return _made(owner, row)


@control("POST", "letters")
def letter(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person sends a letter to the client from the card of an item: an outgoing e-mail with the named files."""
    only(body, "entity_type_id", "entity_id", "subject", "text", "files", "user_id")
    with portal.lock:
        kind, item = _item(portal, [str(body.get("entity_type_id")), str(body.get("entity_id"))])
        user = person(portal, body.get("user_id", 1))
        if not crm.can_change(user, kind, item):
            raise ControlError("access denied")
        addresses = [one["VALUE"] for one in item["FM"] if one["TYPE_ID"] == "EMAIL"]
        if not addresses:
            raise ControlError("the card has no e-mail address")
        subject = str(body.get("subject") or "Письмо")
        values = {
            "SUBJECT": subject, "DESCRIPTION": str(body.get("text") or ""), "RESPONSIBLE_ID": user["ID"],
            "FILES": [crm_timeline.attached(portal, str(name)) for name in body.get("files") or []],
        }  # fmt: skip
        row = letters.add_activity(portal, (kind, item["ID"]), addresses[0], False, values, Actor(user["ID"]))
        return {"activity_id": row["ID"], "to": addresses[0]}


@control("POST", "import")
def import_leads(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "count", "user_id", "silent")
    count = as_int(body.get("count", 0)) or 0
    if not 1 <= count <= 200_000:
        raise ControlError("count is 1 to 200000")
    with portal.lock:
        user = person(portal, body.get("user_id", 1))
        first = portal[LEAD].last + 1
        for index in range(count):
            phone = f"+7915{portal.random.randrange(10**7):07d}"
            crm.create(
                portal, LEAD, {"TITLE": f"Импорт: строка {index + 1}", "SOURCE_ID": "OTHER",
                    "ASSIGNED_BY_ID": user["ID"]},
                [{"TYPE_ID": "PHONE", "VALUE_TYPE": "WORK", "VALUE": phone}], Actor(user["ID"]),
                silent=bool(body.get("silent")),
            )  # fmt: skip
        return {"count": count, "first": first, "last": portal[LEAD].last}


@control("POST", "comments")
def comment(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person writes into the timeline of an item."""
    only(body, "entity_type_id", "entity_id", "text", "user_id")
    with portal.lock:
        kind, item = _item(portal, [str(body.get("entity_type_id")), str(body.get("entity_id"))])
        user = person(portal, body.get("user_id", 1))
        if not crm.can_change(user, kind, item):
            raise ControlError("access denied")
        text = str(body.get("text") or "").strip()
        if not text:
            raise ControlError("text must not be empty")
        row = portal["comments"].add(
            {"ENTITY_ID": item["ID"], "ENTITY_TYPE": WORD[kind].lower(), "CREATED": portal.now(), "COMMENT": text,
             "AUTHOR_ID": user["ID"], "FILES": []}
        )  # fmt: skip
        crm.touch(portal, kind, item["ID"], user["ID"])
        owner = f"{row['ENTITY_TYPE']} {row['ENTITY_ID']}"
        portal.effect("create", "comment", row["ID"], user["ID"], "person", owner=owner)
        fields = {"FIELDS": {"ID": row["ID"]}}
        delivery.emit(portal, "ONCRMTIMELINECOMMENTADD", fields, Actor(user["ID"]), entity=f"comment {row['ID']}")
        return {"id": row["ID"]}


# --- robots and triggers on stages ----------------------------------------------------------------------------------


def _stage_of(portal: Portal, path: list[str]) -> tuple[int, str]:
    kind = _kind(portal, path[0])
    names = {
        row["STATUS_ID"]
        for row in portal["statuses"]
        if kind in STAGE and row["ENTITY_ID"].startswith(crm.stage_entity(kind))
    }
    if path[1] not in names:
        raise ControlError(f"no stage {path[1]}", 404)
    return kind, path[1]


@control("GET", "stages/<>/<>/robots")
def list_robots(world: World, portal: Portal, path: list[str], body: Row) -> list[Row]:
    only(body)
    with portal.lock:
        kind, stage = _stage_of(portal, path)
        return [_placed(row) for row in automation.places(portal, kind, stage)]


@control("POST", "stages/<>/<>/robots")
def place_robot(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "client_id", "code", "properties", "timeout", "run_as")
    with portal.lock:
        kind, stage = _stage_of(portal, path)
        client_id = str(body.get("client_id") or portal["applications"].rows[1]["CLIENT_ID"])
        robot = portal["robots"].first(CLIENT_ID=client_id, CODE=str(body.get("code")))
        if robot is None:
            raise ControlError(f"no robot {body.get('code')}", 404)
        properties = body.get("properties") or {}
        if not isinstance(properties, dict):
            raise ControlError("properties must be an object")
        unknown = sorted(set(properties) - set(robot["PROPERTIES"]))
        if unknown:
            raise ControlError("the robot has no properties " + ", ".join(unknown))
        for key, facts in robot["PROPERTIES"].items():
            if str(facts.get("Required", "N")).upper() == "Y" and properties.get(key, facts.get("Default")) in (
                None,
                "",
                [],
            ):
                raise ControlError(f"property {key} is required")
        row = portal["robot_places"].add(
            {
                "ENTITY_TYPE_ID": kind, "STAGE_ID": stage, "CLIENT_ID": client_id, "CODE": robot["CODE"],
                "PROPERTIES": properties,
                "TIMEOUT": float(body.get("timeout") or 0),
                "RUN_AS": person(portal, body["run_as"])["ID"] if body.get("run_as") else 0,
            }
        )  # fmt: skip
        return _placed(row)


@control("DELETE", "stages/<>/<>/robots/<>")
def remove_robot(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    with portal.lock:
        kind, stage = _stage_of(portal, path)
        row = portal["robot_places"].get(as_int(path[2]))
        if row is None or (row["ENTITY_TYPE_ID"], row["STAGE_ID"]) != (kind, stage):
            raise ControlError(f"no robot {path[2]} on this stage", 404)
        portal["robot_places"].remove(row["ID"])
    return {"deleted": True}


@control("POST", "stages/<>/<>/triggers")
def place_trigger(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "client_id", "code")
    with portal.lock:
        kind, stage = _stage_of(portal, path)
        client_id = str(body.get("client_id") or "")
        row = portal["trigger_runs"].add(
            {"ENTITY_TYPE_ID": kind, "STAGE_ID": stage, "CLIENT_ID": client_id, "CODE": str(body.get("code") or "")}
        )
        return {"id": row["ID"]}


# --- switches -------------------------------------------------------------------------------------------------------

_SWITCHES = [
    "mode",
    "timeman",
    "rest_v3",
    "license",
    "rename_to",
    "task_card",
    "workplaces",
    "ai_calls",
    "oauth",
    "deleted",
    "statuses",
    "timezone",
    "language",
    "offline_extended",
    "auth_connector",
    "event_delay",
]


@control("PATCH", "settings")
def change_settings(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_SWITCHES, "calendar")
    if body.get("mode", 1) not in (1, 2):
        raise ControlError("mode is 1 or 2")
    if body.get("oauth", 1) not in (1, 2):
        raise ControlError("oauth is 1 or 2: the address of the authorization server that the portal names")
    if body.get("task_card", "new") not in ("new", "old"):
        raise ControlError("task_card is new or old")
    if body.get("statuses", "sdk") not in ("sdk", "docs"):
        raise ControlError("statuses is sdk or docs")
    with portal.lock:
        for name in _SWITCHES:
            if name in body and name != "rename_to":
                setattr(portal.settings, name, body[name])
        portal.oauth_url = world.authorities[portal.settings.oauth - 1].url
        if isinstance(body.get("calendar"), dict):
            portal.held["calendar_settings"] = body["calendar"]
    if body.get("rename_to"):
        host, _, port = str(body["rename_to"]).rpartition(":")
        if not port.isdigit():
            raise ControlError("rename_to is host:port")
        try:
            url = world.listen(portal, host, int(port))
        except OSError as error:
            raise ControlError(f"rename_to: {error}") from None
        with portal.lock:
            portal.url = url
            portal.settings.rename_to = url.split("://", 1)[1]
    with portal.lock:
        return asdict(portal.settings)


_FAULT = ("method", "count", "skip", "when", "effect", "status", "error", "error_description", "seconds")
_EVENT_RULE = ("event", "action", "count", "seconds")


@control("GET", "faults")
def list_faults(world: World, portal: Portal, path: list[str], body: Row) -> list[Row]:
    only(body)
    return portal.faults


@control("POST", "faults")
def add_fault(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_FAULT)
    if body.get("effect") not in faults.EFFECTS:
        raise ControlError("effect is one of " + ", ".join(faults.EFFECTS))
    if body.get("when", "before") not in ("before", "after"):
        raise ControlError("when is before or after")
    with portal.lock:
        portal.held["rule"] = portal.held.get("rule", 0) + 1
        rule = {
            "id": portal.held["rule"], "method": str(body.get("method") or "*"),
            "count": as_int(body.get("count", 1)) or 1, "skip": as_int(body.get("skip", 0)) or 0,
            "when": body.get("when", "before"), "effect": body["effect"], "status": as_int(body.get("status")),
            "error": body.get("error", "INTERNAL_SERVER_ERROR"), "error_description": body.get("error_description", ""),
            "seconds": float(body.get("seconds") or 1.0),
        }  # fmt: skip
        portal.faults.append(rule)
    return rule


@control("DELETE", "faults")
def clear_faults(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    with portal.lock:
        faults.let_go(portal)
    return {"deleted": True}


@control("GET", "event-rules")
def list_event_rules(world: World, portal: Portal, path: list[str], body: Row) -> list[Row]:
    only(body)
    return portal.event_rules


@control("POST", "event-rules")
def add_event_rule(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_EVENT_RULE)
    if body.get("action") not in ("duplicate", "delay", "lose", "reorder"):
        raise ControlError("action is duplicate, delay, lose or reorder")
    with portal.lock:
        portal.held["rule"] = portal.held.get("rule", 0) + 1
        rule = {
            "id": portal.held["rule"], "event": str(body.get("event") or "*"), "action": body["action"],
            "count": as_int(body.get("count", 1)) or 1, "seconds": float(body.get("seconds") or 0.0),
        }  # fmt: skip
        portal.event_rules.append(rule)
    return rule


@control("DELETE", "event-rules")
def clear_event_rules(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    with portal.lock:
        portal.event_rules.clear()
    return {"deleted": True}


@control("POST", "time")
def change_time(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "shift_seconds", "speed")
    speed = body.get("speed")
    if speed is not None and (not isinstance(speed, (int, float)) or speed <= 0):
        raise ControlError("speed must be above 0")
    world.clock.set(shift=float(body.get("shift_seconds") or 0), speed=float(speed) if speed is not None else None)
    world.scheduler.moved()
    return {"now": portal.iso(portal.now()), "speed": world.clock.speed}


@control("POST", "tokens")
def change_tokens(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "action", "client_id", "user_id")
    if body.get("action") not in ("expire", "revoke", "issue"):
        raise ControlError("action is expire, revoke or issue")
    with portal.lock:
        row = application(portal, body.get("client_id"))
        if body["action"] == "issue":
            token = tokens.issue(portal, row, person(portal, body.get("user_id", 1)))
            return {"access_token": token["ACCESS"], "refresh_token": token["REFRESH"], "expires": token["EXPIRES"]}
        count = 0
        for token in portal.refresh_tokens.values():
            if token["CLIENT_ID"] != row["CLIENT_ID"] or (
                body.get("user_id") and token["USER_ID"] != as_int(body["user_id"])
            ):
                continue
            count += 1
            if body["action"] == "expire":
                token["EXPIRES"] = int(portal.now()) - 1
            else:
                token["REVOKED"] = True
    return {"count": count}


@control("POST", "webhooks")
def create_webhook(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "user_id", "scopes")
    with portal.lock:
        user = person(portal, body.get("user_id", 1))
        scopes = lines(body.get("scopes", list(company.SCOPES)), "scopes")
        row = portal["webhooks"].add(
            {"USER_ID": user["ID"], "CODE": portal.secret(16), "SCOPES": scopes, "TITLE": "", "CREATED": portal.now()}
        )
        return {"webhook": f"{portal.url}/rest/{user['ID']}/{row['CODE']}/"}


@control("POST", "limits")
def change_limits(world: World, portal: Portal, path: list[str], body: Row) -> Any:
    only(body, "enabled", "neighbours", "leak", "size", "operating_limit", "reset")
    with portal.lock:
        for name in ("neighbours", "leak", "size", "operating_limit"):
            if name in body:
                setattr(portal.limits, name, float(body[name]))
        if "enabled" in body:
            portal.limits.enabled = bool(body["enabled"])
        if body.get("reset"):
            portal.limits.forget()
        return PARTS["limits"](portal)
