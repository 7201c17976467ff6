"""The doors over HTTP: the Flask application. What a door does stands in doors.py, frames.py, rollout.py, status.py.

Bitrix24's queue slows down for slow handlers: /event and /robot answer when the row is on the disk, and ring later.
"""

from __future__ import annotations

import json
import logging
import time
from urllib.parse import parse_qsl, quote

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from b24app.errors import AccessDenied, B24AppError, Malformed, NotFound, Permanent, PortalClosed, Rejected, Temporary
from b24app.pages import form
from b24app.pages.frame import Look, Static, headers, statics
from b24app.pictures import Picture, pictures
from b24app.services import Services
from b24app.store.portals import StorageDown, all_portals
from b24app.web.doors import Accepted, Doors, nothing
from b24app.web.frames import Frames, Page
from b24app.web.gate import Gate, Passes, Proofs
from b24app.web.incoming import MAX_BYTES, is_event, language_of, read_wish
from b24app.web.rollout import RollOut
from b24app.web.status import Insider, health, metrics
from b24app.web.visits import Visits

log = logging.getLogger(__name__)

FOR_EVER = "public, max-age=31536000, immutable"
PAGES = ("/install", "/app", "/placement/")
ANSWERED_IN_JSON = ("/install/again", "/app/action", "/app/story", "/app/plan/", "/placement/save")
SHOWN = 200
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A picture of a playbook may be anybody's SVG: opened by itself, it runs nothing and asks nobody."""


def create_app(services: Services, *, resume: bool = False) -> Flask:
    """Returns the application. `resume` goes on with installations that a stop of this process interrupted."""
    app = Flask("b24app", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 1  # a body that hides its length is cut here, and parsing refuses it
    app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = app.url_map.strict_slashes = False  # else redirects, to whatever host a stranger names
    gate, proofs, passes = Gate(services.database, services.settings), Proofs(), Passes(services.settings)
    doors = Doors(services, gate, proofs)
    frames = Frames(services, gate, proofs, passes)
    rollout = RollOut(services, gate, passes)
    visits = Visits(services, gate, passes)
    insider = Insider(services)

    def body() -> bytes:
        return request.get_data()

    def is_insider() -> bool:
        forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"))
        authorization = request.headers.get("Authorization", "")
        return insider(request.remote_addr or "", forwarded, authorization, _asked("key"))

    @app.post("/event")
    def event() -> Response:
        return _accepted(doors.event(body()))

    @app.post("/robot/<path:code>")
    def robot(code: str) -> Response:
        return _accepted(doors.robot(code, body()))

    @app.post("/install")
    def install() -> Response:
        posted = body()
        if not is_event(posted):
            return _page(frames.install(request.query_string, posted))
        try:
            return _accepted(doors.event(posted))
        except B24AppError as error:
            return _said(error)

    @app.post("/install/again")
    def install_again() -> Response:
        return jsonify(frames.install_again(request.headers.get("Authorization", "")))

    @app.post("/app")
    def main() -> Response:
        return _page(frames.app(request.query_string, body()))

    @app.post("/app/action")
    def action() -> Response:
        return jsonify(frames.act(request.headers.get("Authorization", ""), read_wish(body())))

    @app.post("/app/story")
    def story() -> Response:
        return jsonify(frames.story(request.headers.get("Authorization", ""), read_wish(body())))

    @app.post("/placement/save")
    def save() -> Response:
        return jsonify(frames.save(request.headers.get("Authorization", ""), read_wish(body())))

    @app.post("/placement/<page>")
    def placement(page: str) -> Response:
        return _page(frames.placement(page, request.query_string, body()))

    @app.post("/visits/<action>")
    def visit(action: str) -> Response:
        return jsonify(visits.act(action, request.headers.get("Authorization", ""), read_wish(body())))

    @app.post("/app/plan/show")
    def show_plan() -> Response:
        return jsonify(rollout.show(request.headers.get("Authorization", "")))

    @app.post("/app/plan/<action>")
    def carry_out_plan(action: str) -> Response:
        lines = rollout.carry_out(action, request.headers.get("Authorization", ""))
        return Response(lines, content_type="application/x-ndjson; charset=utf-8")

    @app.get("/health")
    def show_health() -> tuple[Response, int]:
        status, answer = health(services, insider=is_insider())
        return jsonify(answer), status

    @app.get("/metrics")
    def show_metrics() -> Response:
        counted = metrics(services, doors, insider=is_insider())
        return Response(counted, content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/static/<name>")
    def static(name: str) -> Response:
        return _file(statics().get(name))

    @app.get("/picture/<name>")
    def picture(name: str) -> Response:
        response = _file(pictures(services.playbook, services.settings.playbook.path).get(name))
        response.headers["Content-Security-Policy"] = PICTURE_POLICY
        return response

    @app.get("/")
    @app.get("/app")
    @app.get("/install")
    def index() -> tuple[Response, int]:
        status, answer = health(services, insider=False)
        return _page(_index(services, works=answer["serving"])), status

    @app.errorhandler(B24AppError)
    def refused(error: B24AppError) -> Response:
        log.info("path=%s refused=%s reason=%s", _shown(), type(error).__name__, error)
        if request.path.startswith(PAGES) and not request.path.startswith(ANSWERED_IN_JSON):
            return _page(frames.refusal(error, language_of(_asked("LANG")), _asked("DOMAIN")))
        return _said(error)

    @app.errorhandler(StorageDown)
    def storage_down(error: Exception) -> tuple[Response, int]:
        log.error("path=%s storage=down error=%s", _shown(), type(error).__name__)
        return Response("storage\n", content_type="text/plain; charset=utf-8"), 503

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        return Response(f"{error.name}\n", content_type="text/plain; charset=utf-8"), error.code or 500

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()
        if request.path == "/placement/save":
            request.max_content_length = form.MAX_BYTES
        request.get_data()  # whole, before anything is thought about it: the server cuts off who is slow till then
        request.environ.get("b24app.read", nothing)()

    @app.after_request
    def told(response: Response) -> Response:
        milliseconds = (time.perf_counter() - g.started) * 1000 if "started" in g else 0.0
        log.info("door=%s method=%s status=%d ms=%.1f", _shown(), request.method, response.status_code, milliseconds)
        return response

    if resume:
        for row in all_portals(services.database).values():
            if row.active and row.facts.get("in_line") is not True:
                doors.bring_in_line_soon(row.member_id)
    return app


def _asked(name: str) -> str:
    """Returns a value of the query, whatever bytes a stranger put there (Flask's own reading stumbles over some)."""
    pairs = parse_qsl(request.query_string.decode("utf-8", "replace"))
    return next((value for key, value in pairs if key == name), "")


def _shown() -> str:
    """Returns the path as a log line carries it: one word, whatever words a stranger put into it."""
    return quote(request.path, safe="/:")[:SHOWN]


def _accepted(accepted: Accepted) -> Response:
    response = Response(accepted.word + "\n", content_type="text/plain; charset=utf-8")
    response.call_on_close(accepted.after)
    return response


def _file(file: Static | Picture | None) -> Response:
    if file is None:
        raise NotFound("такого файла нет / there is no such file")
    response = Response(file.body, content_type=file.content_type)
    response.headers["Cache-Control"] = FOR_EVER if _asked("v") else "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _page(page: Page) -> Response:
    return Response(page.body, status=page.status, headers=page.headers)


def _said(error: B24AppError) -> Response:
    words = getattr(error, "reason", None) or str(error)
    answer = json.dumps({"error": words}, ensure_ascii=False)
    return Response(answer, status=_status_of(error), content_type="application/json")


def _status_of(error: B24AppError) -> int:
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
        case Permanent():
            return 409  # the portal, or what has happened meanwhile, is against it
        case _:
            return 500


def _index(services: Services, *, works: bool) -> Page:
    look = Look(services, "ru")
    shown = look.render(
        "message.html",
        title="b24app",
        lines=[
            "Приложение для Битрикс24: каждое обращение получает свободный менеджер. Открывается внутри портала.",
            "Сейчас работает." if works else "Сейчас не работает: администратору поможет команда doctor.",
            "An application for Bitrix24: every enquiry finds a free manager. It opens inside the portal.",
            "It works now." if works else "It does not work now: the doctor command tells the administrator why.",
        ],
    )
    return Page([shown], headers(services, (), scripts=False))
