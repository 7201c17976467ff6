"""The controls under /control/: what a person or a test does to the portal. JSON, no authentication, loopback only.

The list of addresses stands in docs/sandbox.md. A control is a function declared by @control("METHOD", "pattern").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sandbox.method import RestError, Row, as_int
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


def only(body: Row, *names: str) -> Row:
    """`body`, refused when it has a key that is not among `names`."""
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise ControlError("unknown keys: " + ", ".join(unknown))
    return body


@control("GET", "ledger")
def ledger(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "since")
    with portal.lock:
        return {"entries": portal.ledger.since(as_int(body.get("since", 0)) or 0), "last": portal.ledger.last}


@control("GET", "quiet")
def quiet(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    with portal.lock:
        ringing = any(not call["DONE"] for call in portal["calls"])
    return {"quiet": not ringing and portal.scheduler.quiet}
