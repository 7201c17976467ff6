"""The process: its clock, its portals with their listeners, the authorization server."""

from __future__ import annotations

import mimetypes
import ssl
from pathlib import Path
from typing import Any

from sandbox import acts as acts  # declares its controls
from sandbox import cases, controls, disk, documents, oauth, pull, rest
from sandbox import hands as hands  # likewise
from sandbox.company import found_company
from sandbox.method import load_methods
from sandbox.portal import Clock, Portal, Scheduler
from sandbox.server import HttpServer, Request, Response

PAGE = Path(__file__).parent / "page"
PAGE_ROUTES = ("/crm/", "/company/", "/marketplace/", "/tasks/", "/calendar/", "/devops/", "/online/")

# Pages of applications call REST from their own origin (BX24.callMethod, b24jssdk).
CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, X-Requested-With, Idempotency-Key",
}


class World:
    """Everything that one sandbox process runs. `start` opens the listeners, `stop` closes them."""

    def __init__(self, *, speed: float = 1.0) -> None:
        load_methods()
        self.clock = Clock(speed)
        self.scheduler = Scheduler(self.clock)
        self.portals: list[Portal] = []
        self.servers: list[HttpServer] = []
        self.authorities: list[HttpServer] = []
        self.host = "127.0.0.1"
        self.tls: ssl.SSLContext | None = None

    def start(self, host: str, oauth_port: int, tls: ssl.SSLContext | None = None) -> None:
        """Open the authorization server and begin to run what falls due; `tls` makes every listener speak https.

        It has two addresses, as in the cloud (oauth.bitrix.info and oauth.bitrix24.tech), which are equally good.
        """
        self.host, self.tls = host, tls
        for port in (oauth_port, 0):
            server = HttpServer(host, port, lambda request: oauth.handle(self.portals, request), tls)
            self.authorities.append(server)
            server.start()
        self.scheduler.start()

    def add_portal(self, host: str, port: int, *, seed: int = 1, member_id: str = "") -> Portal:
        """A new portal with its seeded company, listening on host:port (0: any free port)."""
        if not self.authorities:
            raise RuntimeError("start the authorization server first")
        portal = Portal(self.clock, self.scheduler, member_id, seed)
        portal.oauth_url = self.authorities[0].url
        portal.member_id = member_id or portal.secret(32)
        found_company(portal)
        self.portals.append(portal)
        portal.url = self.listen(portal, host, port)
        return portal

    def listen(self, portal: Portal, host: str, port: int) -> str:
        """Open one more address of the portal and return its origin."""
        server = HttpServer(host, port, lambda request: self.answer(portal, server.url, request), self.tls)
        self.servers.append(server)
        server.start()
        return server.url

    def describe(self, portal: Portal) -> dict[str, Any]:
        """What a client of that portal has to know: its addresses, its application, a webhook."""
        return {**cases.describe(portal), "oauth_urls": [server.url for server in self.authorities]}

    def stop(self) -> None:
        """Close every listener and the queue."""
        for server in [*self.servers, *self.authorities]:
            server.stop()
        self.scheduler.stop()

    def answer(self, portal: Portal, origin: str, request: Request) -> Response:
        """One request to one address of a portal; the old address of a renamed portal redirects."""
        if request.path.startswith("/control/"):
            return controls.handle(self, portal, request)
        if portal.url and origin != portal.url:
            target = portal.url + request.path + (f"?{request.query}" if request.query else "")
            return Response(302, headers={"Location": target}, content_type="text/html")
        if request.method == "OPTIONS" and request.path.startswith("/rest/"):
            return Response(200, headers=CROSS_ORIGIN | {"Access-Control-Max-Age": "600"}, content_type="text/plain")
        response = disk.handle(portal, request) or documents.handle(portal, request) or rest.handle(portal, request)
        if response is not None:
            response.headers.update(CROSS_ORIGIN)
            return response
        if request.path == pull.PATH:
            response = pull.poll(portal, request)
            response.headers.update(CROSS_ORIGIN)
            return response
        if request.path.startswith("/oauth/authorize"):
            return oauth.authorize_page(portal, request)
        if request.path.startswith("/oauth/token"):
            if "client_secret" in request.query or b"client_secret" in request.body:
                portal.alarm("a client_secret was sent to the portal instead of the authorization server")
            return Response(404, rest.dump({"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Not found"}))
        return static(request)


def static(request: Request) -> Response:
    """A file of the web page, BX24.js at /api/v1/, its PullClient at pull/, or the page itself at any other address."""
    path = request.path
    if path == "/" or path.startswith(PAGE_ROUTES):
        name = "index.html"
    elif path.rstrip("/") == "/api/v1":
        name = "bx24.js"
    elif path.rstrip("/") == "/api/v1/pull":
        name = "pull.js"
    elif path.startswith("/page/"):
        name = path[len("/page/") :]
    else:
        return Response(404, b"not found", "text/plain; charset=utf-8")
    file = (PAGE / name).resolve()
    if not file.is_relative_to(PAGE.resolve()) or not file.is_file():
        return Response(404, b"not found", "text/plain; charset=utf-8")
    kind: Any = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind.endswith("javascript"):
        kind += "; charset=utf-8"
    return Response(200, file.read_bytes(), kind, {"Cache-Control": "no-cache"})
