"""POST /event and POST /robot/<code> as bare WSGI, in front of Flask: Bitrix24's queue slows down for slow handlers.

Measured on two cores beside a bare WSGI application with the same INSERT and the same bell: 0.82 of it through Flask,
0.9 this way. Nine tenths of a request are SQLite and Redis.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from b24app.errors import AccessDenied, B24AppError, Malformed, NotFound, PortalClosed, Rejected, Temporary
from b24app.store.portals import StorageDown
from b24app.web.doors import Accepted, After, Doors, nothing
from b24app.web.incoming import MAX_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

STATUS_LINES = {
    200: "200 OK",
    400: "400 Bad Request",
    403: "403 Forbidden",
    404: "404 Not Found",
    413: "413 Content Too Large",
    502: "502 Bad Gateway",
    503: "503 Service Unavailable",
}


class Said:
    """A short body; the server closes it when Bitrix24 has the answer, and only then the bell is rung."""

    def __init__(self, body: bytes, after: After = nothing) -> None:
        self._body = body
        self._after = after

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Does what was left for after the answer."""
        self._after()


class Acknowledge:
    """The WSGI application: the queue's two doors, and Flask behind them for everything else."""

    def __init__(self, doors: Doors, otherwise: WSGIApplication) -> None:
        self._doors = doors
        self._otherwise = otherwise

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers one request."""
        path = environ.get("PATH_INFO", "")
        if path == "/event":
            door = self._doors.event
        elif path.startswith("/robot/"):
            door = partial(self._doors.robot, path.removeprefix("/robot/"))
        else:
            return self._otherwise(environ, start_response)
        if environ["REQUEST_METHOD"] != "POST":
            start_response("405 Method Not Allowed", [("Allow", "POST"), ("Content-Length", "0")])
            return []
        return self._answer(path, environ, start_response, door)

    def _answer(
        self, path: str, environ: WSGIEnvironment, start_response: StartResponse, door: Callable[[bytes], Accepted]
    ) -> Iterable[bytes]:
        started = time.perf_counter()
        after, content_type = nothing, "text/plain; charset=utf-8"
        try:
            accepted = door(_body(environ))
            status, body, after = 200, f"{accepted.word}\n".encode(), accepted.after
        except B24AppError as error:
            log.info("door=%s refused=%s reason=%s", path, type(error).__name__, error)
            status, body, content_type = status_of(error), said(error), "application/json"
        except StorageDown as error:
            log.error("door=%s storage=down error=%s", path, type(error).__name__)
            status, body = 503, b"storage\n"
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        if status in (400, 413):
            headers.append(("Connection", "close"))  # what is left of the body is not read
        start_response(STATUS_LINES[status], headers)
        log.info("door=%s status=%d ms=%.1f", path, status, (time.perf_counter() - started) * 1000)
        return Said(body, after)


def _body(environ: WSGIEnvironment) -> bytes:
    """Returns the body, never more than one byte over the limit: parsing says then that it is too large."""
    stream: IO[bytes] = environ["wsgi.input"]
    given = environ.get("CONTENT_LENGTH") or ""
    if not given:
        return stream.read(MAX_BYTES + 1) if environ.get("wsgi.input_terminated") else b""
    if not given.isascii() or not given.isdigit():
        raise Malformed("Content-Length: не число / not a number")
    if int(given) > MAX_BYTES:
        raise Malformed("слишком большое тело запроса / the body is too large", 413)
    body = stream.read(int(given))
    if len(body) < int(given):
        raise Malformed("тело запроса оборвано / the body is cut")
    return body


def status_of(error: B24AppError) -> int:
    """Returns the HTTP status that says whose move it is."""
    match error:
        case Malformed():
            return error.status
        case Rejected() | AccessDenied():
            return 403
        case NotFound():
            return 404
        case Temporary() | PortalClosed():
            return 503
        case _:
            return 502


def said(error: B24AppError) -> bytes:
    """Returns the error as a short JSON object."""
    words: Any = getattr(error, "reason", None) or str(error)
    return json.dumps({"error": words}, ensure_ascii=False).encode()
