"""The doors of REST: addresses, authorisation, parameters, limits, envelope, batch (general-principles.md)."""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from sandbox import faults, php, tokens
from sandbox.method import (
    METHODS,
    METHODS_V3,
    Call,
    Method,
    Page,
    RestError,
    Row,
    as_map,
    missing,
    plain,
    yes,
)
from sandbox.portal import Portal
from sandbox.server import Request, Response

BATCH_SIZE = 50
REQUEST_SECONDS = 60.0
_TIMED_OUT = {"effect": "html", "status": 504}
ENVELOPE = {"auth", "access_token", "auth_connector"}
"""What clients add to every method's parameters."""
SECRETS = {"auth", "access_token", "refresh_token", "client_secret", "application_token"}
_REFERENCE = re.compile(r"\$result((?:\[[^\[\]]+\])+)")
_ELEMENT = re.compile(r"[A-Za-z_][\w.-]*")
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Door:
    """What an address says: the method as written, the webhook (user id, code) or None, REST 3.0 or classic, whether
    the answer is wanted as XML.
    """

    method: str
    webhook: tuple[str, str] | None
    v3: bool
    xml: bool


def door_of(path: str) -> Door | None:
    """The door of a path under /rest/, or None; doubled and trailing slashes do not matter, nor does .json."""
    parts = [part for part in path.split("/") if part]
    if not parts or parts[0] != "rest":
        return None
    parts = parts[1:]
    v3 = bool(parts) and parts[0] == "api"
    if v3:
        parts = parts[1:]
    webhook = None
    if len(parts) >= 2 and parts[0].isdigit():
        webhook = (parts[0], parts[1])
        parts = parts[2:]
    name = parts[0] if parts else ""
    stem, dot, suffix = name.rpartition(".")
    if dot and suffix.lower() in ("json", "xml"):
        return Door(stem, webhook, v3, suffix.lower() == "xml")
    return Door(name, webhook, v3, False)


def read_parameters(request: Request) -> tuple[Row, bool]:
    """(query and body as one tree, positional parameters under 0, 1, ...; whether a JSON body was broken)."""
    query = php.parse_query(request.query)
    try:
        body = php.parse_body(request.body, request.headers.get("content-type", ""))
    except ValueError:
        return query, True
    if isinstance(body, list):
        body = {str(place): value for place, value in enumerate(body)}
    if not isinstance(body, dict):
        return query, False
    return {**query, **body}, False


def name_positional(entry: Method, params: Any) -> Row:
    """Named parameters: a list, or a map that has only the keys 0..n-1 besides the token, is read in the documented
    order (data-encoding.md).
    """
    given = {str(place): value for place, value in enumerate(params)} if isinstance(params, list) else dict(params)
    places = sorted((key for key in given if key.isdigit()), key=int)
    envelope = {key: value for key, value in given.items() if key in ENVELOPE}
    if not places or len(places) + len(envelope) < len(given):
        return given
    return envelope | dict(zip(entry.params, (given[key] for key in places), strict=False))


def mask(value: Any) -> Any:
    """Parameters for the ledger, without secrets."""
    if isinstance(value, dict):
        return {key: "***" if key.lower() in SECRETS else mask(child) for key, child in value.items()}
    return [mask(child) for child in value] if isinstance(value, list) else value


def dump(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def as_xml(data: Any) -> str:
    """The elements of an answer as XML (general-principles.md); words of scalars are PHP's: true is 1, false empty.

    [verify] The pages show only maps: what stands in a list, or under a key that no element can have, is an `item`.
    """
    if isinstance(data, dict):
        named = [(key if _ELEMENT.fullmatch(key) else "item", value) for key, value in data.items()]
    elif isinstance(data, list):
        named = [("item", value) for value in data]
    elif isinstance(data, str):
        return escape(_NO_XML.sub("", data))
    else:
        return "1" if data is True else "" if data is None or data is False else dump(data).decode()
    return "".join(f"<{name}>{as_xml(value)}</{name}>" for name, value in named)


@dataclass(slots=True)
class Caller:
    """Who makes a request: the parts of a `Call` that do not depend on the method."""

    user: Row
    application: Row | None
    webhook: Row | None
    token: Row | None
    scopes: frozenset[str]
    hops: int

    def call(self, portal: Portal, entry: Method, params: Any) -> Call:
        return Call(
            portal=portal,
            method=entry,
            params=name_positional(entry, params),
            user=self.user,
            application=self.application,
            webhook=self.webhook,
            token=self.token,
            scopes=self.scopes,
            hops=self.hops,
        )


def authorize(portal: Portal, door: Door, params: Any, request: Request) -> Caller:
    """Who calls. RestError with the answer of a portal to an absent, wrong, expired or powerless authorisation."""
    if door.webhook is not None:
        user_id, code = door.webhook
        webhook = portal["webhooks"].first(USER_ID=int(user_id), CODE=code) if len(user_id) < 19 else None
        user = portal.user(int(user_id)) if webhook else None
        if webhook is None or user is None or not user["ACTIVE"]:
            raise RestError("NO_AUTH_FOUND" if portal.settings.statuses == "docs" else "INVALID_CREDENTIALS")
        return Caller(user, None, webhook, None, frozenset(webhook["SCOPES"]), 7)
    access = plain(params.get("auth") or params.get("access_token") or "")
    if not access:
        header = request.headers.get("authorization", "")
        access = header[7:].strip() if header[:7].lower() == "bearer " else ""
    if not access:
        raise RestError("NO_AUTH_FOUND")
    token, application, user = tokens.resolve(portal, access)
    return Caller(user, application, None, token, frozenset(token["SCOPES"]), token["HOPS"])


def find(name: str, v3: bool = False) -> Method:
    """The served method of that name in any case of letters; ERROR_METHOD_NOT_FOUND else."""
    entry = (METHODS_V3 if v3 else METHODS).get(name.lower())
    if entry is None:
        raise RestError("ERROR_METHOD_NOT_FOUND")
    return entry


def check(call: Call) -> None:
    """Scope, kind of authorisation, administrator, operating limit: everything before the method itself."""
    portal, entry = call.portal, call.method
    if entry.scope and not any(scope in call.scopes for scope in entry.scope.split("|")):
        kind = "webhook token" if call.webhook is not None else "access token"
        raise RestError("insufficient_scope", f"The request requires higher privileges than provided by the {kind}")
    if portal.limits.blocked(call.owner, entry.name, portal.now()):
        raise RestError("OPERATION_TIME_LIMIT")
    if entry.application:
        call.application_only()
    if entry.admin and not call.admin:
        raise RestError("ACCESS_DENIED")
    if entry.style == "controller":
        for name in entry.required:
            if call.params.get(name) is None:
                raise missing(name)


def perform(call: Call) -> Page:
    """Run the method under the portal's lock and charge its time. RestError when it refuses."""
    portal, entry = call.portal, call.method
    with portal.lock:
        check(call)
        call.cost = portal.random.uniform(*entry.cost)
        try:
            outcome = entry.handler(call)
        except RestError:
            raise
        except Exception:  # noqa: BLE001 - a defect of one method answers as a portal's own defect does; it is printed
            traceback.print_exc(file=sys.stderr)
            raise RestError("INTERNAL_SERVER_ERROR") from None
        finally:
            portal.limits.charge(call.owner, entry.name, call.cost, portal.now())
    return outcome if isinstance(outcome, Page) else Page(outcome)


def timing(portal: Portal, start: float, began: float, owner: str = "", name: str = "") -> Row:
    """The `time` of an envelope; `operating` is the sum of the method's last ten minutes, when a method ran."""
    spent = time.perf_counter() - began
    finish = start + spent
    entry: Row = {
        "start": round(start, 6),
        "finish": round(finish, 6),
        "duration": round(spent, 9),
        "processing": round(spent, 9),
        "date_start": portal.iso(start),
        "date_finish": portal.iso(finish),
    }
    if name:
        now = portal.now()
        entry["operating_reset_at"] = portal.limits.reset_at(owner, name, now)
        entry["operating"] = round(portal.limits.operating(owner, name, now), 9)
    return entry


def status_of(portal: Portal, error: RestError) -> int:
    """The HTTP status by the portal's switch "sdk" or "docs"."""
    return error.documented if portal.settings.statuses == "docs" else error.status


def cut(portal: Portal, rule: Row) -> bool:
    """True when a delay is longer than the cloud lets a request run: it is cut, though its effect may be there."""
    return portal.limits.enabled and rule["seconds"] > REQUEST_SECONDS


def pause(portal: Portal, seconds: float) -> None:
    """Wait that many seconds of the portal's clock."""
    time.sleep(seconds / portal.clock.speed)


def handle(portal: Portal, request: Request) -> Response | None:
    """The answer to a request under /rest/, or None when the path is none of REST."""
    door = door_of(request.path)
    if door is None:
        return None
    with portal.request():
        if door.v3:
            from sandbox import v3

            return v3.handle(portal, door, request)
        return _handle(portal, door, request)


def _handle(portal: Portal, door: Door, request: Request) -> Response:
    params, _ = read_parameters(request)
    entry = portal.ledger.add(
        "request", method=door.method.lower(), params=mask(params), status=0, error="", batch=[], user_id=None,
        application="", level=0.0, operating=0.0,
    )  # fmt: skip
    inner = _inner_names(params) if door.method.lower() == "batch" else []
    entry["batch"] = inner
    response = _with_faults(portal, door.method, inner, lambda: _answer(portal, door, params, request, entry))
    if door.xml and response.body and response.content_type.startswith("application/json") and not response.cut:
        elements = as_xml({"response": json.loads(response.body)})
        response.body = f'<?xml version="1.0" ?>\n{elements}'.encode()
        response.content_type = "text/xml; charset=utf-8"
    entry["status"] = 0 if response.drop else response.status
    entry["level"] = round(portal.limits.level(request.remote, portal.now()), 3)
    return response


def _with_faults(portal: Portal, name: str, inner: list[str], work: Callable[[], Response]) -> Response:
    with portal.lock:
        before = faults.take(portal, [name], "before") or _inner_fault(portal, inner, "before")
    if before is not None:
        if before["effect"] == "delay":
            pause(portal, min(before["seconds"], REQUEST_SECONDS) if cut(portal, before) else before["seconds"])
            if cut(portal, before):
                return faults.broken(_TIMED_OUT, None)
        elif before["effect"] == "error":
            return failure(portal, RestError(before["error"], before["error_description"], before["status"]))
        else:
            return faults.broken(before, None)
    response = work()
    with portal.lock:
        after = faults.take(portal, [name, *inner], "after")
    if after is not None:
        if after["effect"] == "delay":
            pause(portal, min(after["seconds"], REQUEST_SECONDS) if cut(portal, after) else after["seconds"])
            if cut(portal, after):
                return faults.broken(_TIMED_OUT, response)
        elif after["effect"] == "error":
            return failure(portal, RestError(after["error"], after["error_description"], after["status"]))
        else:
            return faults.broken(after, response)
    return response


def _inner_fault(portal: Portal, inner: list[str], when: str) -> Row | None:
    """A rule that hits a batch as a whole; "error" and "delay" belong to the inner command itself."""
    names = {name.lower() for name in inner}
    if any(
        rule["count"] > 0 and rule["when"] == when and rule["method"].lower() in names and rule["effect"] != "error"
        for rule in portal.faults
    ):
        return faults.take(portal, inner, when, inner=True)
    return None


def failure(portal: Portal, error: RestError, extra: Row | None = None) -> Response:
    """The answer of an error."""
    body: Row = {"error": error.code, "error_description": error.description, **error.extra, **(extra or {})}
    return Response(status_of(portal, error), dump(body))


def _answer(portal: Portal, door: Door, params: Any, request: Request, entry: Row) -> Response:
    start, began = portal.now(), time.perf_counter()
    try:
        if portal.settings.deleted:
            raise RestError("PORTAL_DELETED")
        with portal.lock:
            if not portal.limits.hit(request.remote, start):
                raise RestError("QUERY_LIMIT_EXCEEDED")
            method = find(door.method)
            caller = authorize(portal, door, params, request)
        call = caller.call(portal, method, params)
        entry["user_id"] = call.user_id
        entry["application"] = call.owner
        outcome = Page(run_batch(caller, call)) if method.name == "batch" else perform(call)
    except RestError as error:
        entry["error"] = error.code
        extra = {"time": timing(portal, start, began)} if error.code == "OPERATION_TIME_LIMIT" else None
        return failure(portal, error, extra)
    body: Row = {"result": outcome.result}
    if outcome.total is not None:
        if outcome.next is not None:
            body["next"] = outcome.next
        body["total"] = outcome.total
    body["time"] = timing(portal, start, began, call.owner, method.name)
    entry["operating"] = body["time"]["operating"]
    return Response(200, dump(body))


def _commands(params: Any) -> list[tuple[str, Any]]:
    commands = as_map(params.get("cmd") if isinstance(params, dict) else None)
    return list(commands.items())


def split_command(command: Any) -> tuple[str, str]:
    """(method, query) of one batch command; suffix .json and leading slash do not matter."""
    name, _, query = plain(command).partition("?")
    name = name.strip().strip("/")
    return (name[:-5] if name.lower().endswith(".json") else name), query


def _inner_names(params: Any) -> list[str]:
    return [split_command(command)[0].lower() for _, command in _commands(params)]


def substitute(value: Any, results: Row) -> Any:
    """`value` with $result[label][field]... replaced: a whole reference keeps its type, a part becomes text."""
    if isinstance(value, dict):
        return {key: substitute(child, results) for key, child in value.items()}
    if isinstance(value, list):
        return [substitute(child, results) for child in value]
    if not isinstance(value, str) or "$result" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _lookup(whole.group(1), results)

    def text(found: re.Match[str]) -> str:
        part = _lookup(found.group(1), results)
        return "" if isinstance(part, (dict, list)) else plain(part)

    return _REFERENCE.sub(text, value)


def _lookup(path: str, results: Row) -> Any:
    node: Any = results
    for part in re.findall(r"\[([^\[\]]+)\]", path):
        if isinstance(node, dict):
            node = node.get(part)
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return None
    return node


def run_batch(caller: Caller, outer: Call) -> Row:
    """The five maps of a batch's result, [] where empty. Inner methods are charged one by one; those beyond the limit
    end with an error each (batch.md).
    """
    portal = outer.portal
    commands = _commands(outer.params)
    halt = yes(outer.params.get("halt"))
    results: Row = {}
    errors: Row = {}
    totals: Row = {}
    following: Row = {}
    times: Row = {}
    for place, (label, command) in enumerate(commands):
        name, query = split_command(command)
        start, began = portal.now(), time.perf_counter()
        try:
            if place >= BATCH_SIZE:
                raise RestError("ERROR_BATCH_LENGTH_EXCEEDED")
            with portal.lock:
                rule = faults.take(portal, [name], "before", inner=True)
            if rule is not None and rule["effect"] == "delay":
                pause(portal, rule["seconds"])
            elif rule is not None:
                raise RestError(rule["error"], rule["error_description"], rule["status"])
            method = find(name)
            if not method.batch:
                raise RestError("ERROR_BATCH_METHOD_NOT_ALLOWED")
            call = caller.call(portal, method, substitute(php.parse_query(query), results))
            outcome = perform(call)
        except RestError as error:
            errors[label] = {"error": error.code, "error_description": error.description}
            if halt:
                break
            continue
        results[label] = outcome.result
        if outcome.total is not None:
            totals[label] = outcome.total
        if outcome.next is not None:
            following[label] = outcome.next
        times[label] = timing(portal, start, began, call.owner, method.name)
    return {
        "result": php.listed(results),
        "result_error": php.listed(errors),
        "result_total": php.listed(totals),
        "result_next": php.listed(following),
        "result_time": php.listed(times),
    }
