"""REST 3.0 at /rest/api/: JSON only, its own error shape, Idempotency-Key (api-reference/rest-v3.md)."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from sandbox import faults, rest
from sandbox.method import METHODS_V3, Call, RestError, Row
from sandbox.portal import Portal
from sandbox.server import Request, Response

PREFIX = "BITRIX_REST_V3_EXCEPTION_"
KEEP = 86400


class V3Error(RestError):
    """An error of REST 3.0: `code` without its long prefix, the message, optionally {field: message} of validation."""

    def __init__(self, code: str, message: str, status: int = 400, validation: list[tuple[str, str]] | None = None):
        super().__init__(PREFIX + code, message, status)
        self.validation = validation


def invalid(*found: tuple[str, str]) -> V3Error:
    """The validation error with (field, message) pairs."""
    return V3Error("VALIDATION_REQUESTVALIDATIONEXCEPTION", "Error validating request object", validation=list(found))


def required(*names: str) -> V3Error:
    """The validation error of absent fields."""
    return invalid(*((name, f"Required field `{name}` is not specified") for name in names))


def handle(portal: Portal, door: rest.Door, request: Request) -> Response:
    """The answer to one request of REST 3.0."""
    try:
        body = json.loads(request.body) if request.body.strip() else {}
        broken = not isinstance(body, (dict, list))
    except ValueError:
        body, broken = {}, True
    names = [str(one.get("method", "")).lower() for one in _commands(body)] if door.method.lower() == "batch" else []
    entry = portal.ledger.add(
        "request", method=f"api/{door.method.lower()}", params=rest.mask(body), status=0, error="", batch=names,
        user_id=None, application="", level=0.0, operating=0.0,
    )  # fmt: skip
    with portal.lock:
        before = faults.take(portal, [door.method, f"api/{door.method}", *names], "before")
    response = None
    if before is not None and before["effect"] == "delay":
        rest.pause(portal, before["seconds"])
    elif before is not None and before["effect"] == "error":
        response = failure(portal, RestError(before["error"], before["error_description"], before["status"]))
    elif before is not None:
        response = faults.broken(before, None)
    if response is None:
        response = _answer(portal, door, body, broken, request, entry)
        with portal.lock:
            after = faults.take(portal, [door.method, f"api/{door.method}", *names], "after")
        if after is not None and after["effect"] == "delay":
            rest.pause(portal, after["seconds"])
        elif after is not None and after["effect"] == "error":
            response = failure(portal, RestError(after["error"], after["error_description"], after["status"]))
        elif after is not None:
            response = faults.broken(after, response)
    entry["status"] = 0 if response.drop else response.status
    entry["level"] = round(portal.limits.level(request.remote, portal.now()), 3)
    return response


def failure(portal: Portal, error: RestError) -> Response:
    """The error shape of REST 3.0; errors of the platform itself keep their own codes inside it."""
    code = str(error.code)
    if code == "insufficient_scope":
        error = V3Error("INSUFFICIENTSCOPEEXCEPTION", error.description, 403)
    elif code == "ACCESS_DENIED":
        error = V3Error("ACCESSDENIEDEXCEPTION", error.description, 403)
    body: Row = {"code": error.code, "message": error.description}
    validation = getattr(error, "validation", None)
    if validation is not None:
        # What is wrong with no single field is told without one.
        body["validation"] = [
            {"message": message, "field": field} if field else {"message": message} for field, message in validation
        ]
    return Response(rest.status_of(portal, error), rest.dump({"error": body}))


def _commands(body: Any) -> list[Row]:
    listed = body if isinstance(body, list) else [one for key, one in body.items() if key != "auth"]
    return [one for one in listed if isinstance(one, dict)]


def _answer(portal: Portal, door: rest.Door, body: Any, broken: bool, request: Request, entry: Row) -> Response:
    start, began = portal.now(), time.perf_counter()
    key = request.headers.get("idempotency-key")
    try:
        with portal.lock:
            if not portal.limits.hit(request.remote, start):
                raise RestError("QUERY_LIMIT_EXCEEDED")
            if not portal.settings.rest_v3:
                raise RestError("ERROR_METHOD_NOT_FOUND")
            method = None if door.method.lower() == "batch" else rest.find(door.method, v3=True)
            if broken:
                raise V3Error("INVALIDJSONEXCEPTION", "The request body is not valid JSON")
            if request.body.strip() and "json" not in request.headers.get("content-type", ""):
                raise V3Error("INVALIDJSONEXCEPTION", "The request body is not valid JSON")
            caller = rest.authorize(portal, door, body, request)
        entry["user_id"] = int(caller.user["ID"])
        if method is None:
            return _batch(portal, caller, body, start, began)
        params = {name: value for name, value in body.items() if name != "auth"} if isinstance(body, dict) else {}
        call = caller.call(portal, method, params)
        entry["application"] = call.owner
        if key is not None and method.writes:
            if not 1 <= len(key) <= 255 or any(not " " <= sign <= "~" for sign in key):
                raise V3Error(
                    "INVALIDIDEMPOTENCYKEYEXCEPTION", "Idempotency key must be 1 to 255 printable ASCII characters"
                )
            return _once(portal, call, key, params, start, began)
        outcome = rest.perform(call)
    except RestError as error:
        entry["error"] = error.code
        return failure(portal, error)
    answer = {"result": outcome.result, "time": rest.timing(portal, start, began, call.owner, method.name)}
    entry["operating"] = answer["time"]["operating"]
    return Response(200, rest.dump(answer))


def _once(portal: Portal, call: Call, key: str, params: Row, start: float, began: float) -> Response:
    """Run a writing method, or repeat the stored answer of the same key and body; only successes are stored."""
    mark = f"{call.owner}|{call.user_id}|{call.method.name}|{key}"
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
    with portal.lock:
        stored = portal["idempotency"].first(MARK=mark)
        if stored is not None and stored["AT"] + KEEP <= start:
            portal["idempotency"].remove(stored["ID"])
            stored = None
        if stored is not None:
            if stored["DIGEST"] != digest:
                raise V3Error(
                    "IDEMPOTENCYKEYREUSEDEXCEPTION", "Idempotency key was already used with a different request", 422
                )
            portal.ledger.add("replay", method=call.method.name, key=key)
            return Response(
                200, stored["BODY"].encode(), headers={"Idempotency-Key": key, "Idempotent-Replayed": "true"}
            )
        outcome = rest.perform(call)
        body = rest.dump(
            {"result": outcome.result, "time": rest.timing(portal, start, began, call.owner, call.method.name)}
        )
        portal["idempotency"].add({"MARK": mark, "DIGEST": digest, "AT": start, "BODY": body.decode()})
    return Response(200, body, headers={"Idempotency-Key": key})


def _batch(portal: Portal, caller: rest.Caller, body: Any, start: float, began: float) -> Response:
    """A list of {method, query, as?, parallel?}; the answers in order, the first error ends it.

    "The format of the previous version with the cmd object" is refused (rest-v3.md, "Batch call"), in words of our own.
    """
    if isinstance(body, dict) and "cmd" in body:
        raise V3Error("INVALIDSELECTEXCEPTION", "Unable to recognize select expression `cmd`")
    commands = _commands(body)
    if len(commands) > rest.BATCH_SIZE:
        raise RestError("ERROR_BATCH_LENGTH_EXCEEDED")
    results: list[Any] = []
    for command in commands:
        method = METHODS_V3.get(str(command.get("method", "")).lower())
        if method is None:
            raise RestError("ERROR_METHOD_NOT_FOUND")
        results.append(rest.perform(caller.call(portal, method, command.get("query") or {})).result)
    return Response(200, rest.dump({"result": results, "time": rest.timing(portal, start, began)}))
