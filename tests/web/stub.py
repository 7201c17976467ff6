"""A portal and an authorization server of one page: as much of both as the installation and the pages ask."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from b24app.web.incoming import parse_form

CLIENT_ID = "local.5f.1"
MEMBER_ID = "0123456789abcdef0123456789abcdef"
APPLICATION_TOKEN = "app-token"
SCOPE = ["crm", "user", "task", "tasks", "telephony", "bizproc", "placement", "department", "timeman", "calendar", "im"]
PEOPLE: dict[str, dict[str, Any]] = {
    "admin-access": {"ID": "1", "NAME": "Анна", "LAST_NAME": "<b>Директор</b>", "ADMIN": True},
    "second-admin-access": {"ID": "2", "NAME": "Борис", "LAST_NAME": "Второй", "ADMIN": True},
    "manager-access": {"ID": "5", "NAME": "Вера", "LAST_NAME": "Менеджер", "ADMIN": False},
}


class Refused(Exception):
    """A REST error: code, description, HTTP status."""

    def __init__(self, code: str, description: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.description, self.status = code, description, status


class Stub:
    """Serves both on one loopback port; what it holds and was asked is read by the tests."""

    def __init__(self) -> None:
        self.robots: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.placements: list[dict[str, Any]] = []
        self.scope = list(SCOPE)
        self.items: dict[int, dict[str, Any]] = {42: {"id": 42, "title": "Лид", "assignedById": 5}}
        self.readers: dict[int, set[str]] = {}
        self.mode = 1
        self.rest_v3 = True
        self.down = False
        self.client_id = CLIENT_ID
        self.says_whose = True
        """Whether app.info says whose a token is, as the SDKs read it, or has only what the documentation says."""
        self.asked: list[str] = []
        self.secrets_in_urls: list[str] = []
        self.lose_answers_of: set[str] = set()
        self.refuse: dict[str, Refused] = {}
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # an answer of several writes waits 40 ms for nobody

            def do_POST(self) -> None:
                stub._serve(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        raw = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        path, _, query = request.path.partition("?")
        if query:
            self.secrets_in_urls.append(query)
        is_json = "json" in request.headers.get("Content-Type", "")
        body: dict[str, Any] = json.loads(raw) if is_json else {k: v[-1] for k, v in parse_qs(raw.decode()).items()}
        status, answer = self._answer(path, body)
        if answer is None:
            request.close_connection = True
            return
        data = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _renewed(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """As in settings/oauth/auto-renewal.md."""
        person = PEOPLE.get(str(body["refresh_token"]).removeprefix("refresh-of-"))
        if person is None or body["client_id"] != self.client_id:
            return 400, {"error": "invalid_grant", "error_description": "Invalid refresh token"}
        PEOPLE["renewed-access"] = person
        return 200, {
            "access_token": "renewed-access",
            "refresh_token": "refresh-of-renewed-access",
            "expires_in": 3600,
            "member_id": MEMBER_ID,
            "user_id": int(person["ID"]),
            "client_endpoint": f"{self.url}/rest/",
            "domain": self.host,
            "status": "L",
        }

    def _answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        if self.down:
            return 0, None
        if path == "/oauth/token/":
            return self._renewed(body)
        person = PEOPLE.get(str(body.get("auth", "")))
        if person is None:
            return 401, {"error": "invalid_token", "error_description": "no such token"}
        if path == "/rest/app.info":
            self.asked.append("AS app.info")
            if not self.says_whose:
                return 200, {"result": self.app_info({}, person)}
            install = {
                "installed": True,
                "status": "L",
                "scope": ",".join(self.scope),
                "domain": self.host,
                "client_endpoint": f"{self.url}/rest/",
                "member_id": MEMBER_ID,
            }
            return 200, {
                "result": {
                    "client_id": self.client_id,
                    "scope": "crm",
                    "user_id": int(person["ID"]),
                    "install": install,
                }
            }
        if path.startswith("/rest/api/"):
            self.asked.append(path.removeprefix("/rest/"))
            if not self.rest_v3:
                return 404, {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}
            return 400, {"error": {"code": "BITRIX_REST_V3_EXCEPTION_VALIDATION", "message": "id"}}
        if path == "/rest/batch.json":
            results: dict[str, Any] = {}
            errors: dict[str, Any] = {}
            methods = []
            for label, command in body["cmd"].items():
                method, _, query = command.partition("?")
                methods.append(method)
                try:
                    results[label] = self._method(method, parse_form(query.encode()), person)
                except Refused as error:
                    errors[label] = {"error": error.code, "error_description": error.description}
            if self.lose_answers_of & set(methods):
                self.lose_answers_of -= set(methods)
                return 0, None
            empty: list[Any] = []
            whole = {"result": results or empty, "result_error": errors or empty, "result_total": empty}
            return 200, {"result": {**whole, "result_next": empty, "result_time": empty}}
        try:
            params = {name: value for name, value in body.items() if name != "auth"}
            method = path.removeprefix("/rest/").removesuffix(".json")
            return 200, {"result": self._method(method, params, person)}
        except Refused as error:
            return error.status, {"error": error.code, "error_description": error.description}

    def _method(self, method: str, params: dict[str, Any], person: dict[str, Any]) -> Any:
        self.asked.append(method)
        if method in self.refuse:
            raise self.refuse[method]
        found: Callable[[dict[str, Any], dict[str, Any]], Any] | None = METHODS.get(method) and getattr(
            self, METHODS[method]
        )
        if found is None:
            raise Refused("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
        return found(params, person)

    def _administrator(self, person: dict[str, Any]) -> None:
        if not person["ADMIN"]:
            raise Refused("ACCESS_DENIED", "Administrator authorization required", 403)

    def profile(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        return person

    def user_admin(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        return person["ADMIN"]

    def robot_list(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        if "bizproc" not in self.scope:
            raise Refused("insufficient_scope", "bizproc", 403)
        self._administrator(person)
        return list(self.robots)

    def robot_add(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        self._administrator(person)
        if params["CODE"] in self.robots:
            raise Refused("ERROR_ACTIVITY_ALREADY_INSTALLED", "Activity or Robot already installed!")
        self.robots[params["CODE"]] = params
        return True

    def robot_update(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        self._administrator(person)
        self.robots[params["CODE"]] = {**self.robots[params["CODE"]], **params["FIELDS"]}
        return True

    def event_get(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        return self.events

    def event_bind(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        if params["event"].startswith("ONVOXIMPLANT") and "telephony" not in self.scope:
            raise Refused("ERROR_EVENT_NOT_FOUND", "Event not found")
        bound = {"event": params["event"], "handler": params["handler"], "auth_type": "0", "offline": 0}
        if bound in self.events:
            raise Refused("", "Unable to set event handler")
        self.events.append(bound)
        return True

    def placement_get(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        return self.placements

    def placement_list(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        if "placement" not in self.scope:
            raise Refused("insufficient_scope", "placement", 403)
        return [
            "CRM_LEAD_DETAIL_TAB",
            "CRM_DEAL_DETAIL_TAB",
            "REST_APP_URI",
            "PAGE_BACKGROUND_WORKER",
            "CRM_LEAD_LIST_MENU",
            "LEFT_MENU",
            "CALENDAR_GRIDVIEW",
        ]

    def placement_bind(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        self.placements.append({"placement": params["PLACEMENT"], "handler": params["HANDLER"], "userId": 0})
        return True

    def scopes(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        return self.scope

    def app_info(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        return {"ID": 1, "INSTALLED": False, "LICENSE": "ru_ent250", "LICENSE_FAMILY": "ent", "PAYMENT_EXPIRED": "N"}

    def crm_mode(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        return self.mode

    def item_get(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        item = self.items.get(int(params["id"]))
        if item is None:
            raise Refused("NOT_FOUND", "Not found")
        if not person["ADMIN"] and person["ID"] not in self.readers.get(item["id"], {person["ID"]}):
            raise Refused("ACCESS_DENIED", "Access denied", 403)
        return {"item": item}

    def task_list(self, params: dict[str, Any], person: dict[str, Any]) -> Any:
        task = {"id": "7", "title": "Позвонить <i>клиенту</i>", "status": "2", "responsibleId": "5"}
        return {
            "tasks": [{**task, "deadline": "2026-11-22T15:00:00+03:00", "responsible": {"id": "5", "name": "Вера"}}]
        }


METHODS = {
    "profile": "profile",
    "user.admin": "user_admin",
    "bizproc.robot.list": "robot_list",
    "bizproc.robot.add": "robot_add",
    "bizproc.robot.update": "robot_update",
    "event.get": "event_get",
    "event.bind": "event_bind",
    "placement.get": "placement_get",
    "placement.list": "placement_list",
    "placement.bind": "placement_bind",
    "scope": "scopes",
    "app.info": "app_info",
    "crm.settings.mode.get": "crm_mode",
    "crm.item.get": "item_get",
    "tasks.task.list": "task_list",
}


def frame(access: str, *, member_id: str = MEMBER_ID, token: str = APPLICATION_TOKEN, **more: str) -> dict[str, str]:
    """The body of a frame POST."""
    return {
        "AUTH_ID": access,
        "AUTH_EXPIRES": "3600",
        "REFRESH_ID": f"refresh-of-{access}",
        "SERVER_ENDPOINT": "https://evil.example/rest/",
        "APPLICATION_TOKEN": token,
        "member_id": member_id,
        "status": "L",
        "PLACEMENT": "DEFAULT",
        "DOMAIN": "evil.example",
        **more,
    }


def script_install(access: str, *, event: str = "ONAPPINSTALL", token: str = APPLICATION_TOKEN) -> dict[str, str]:
    """The body of ONAPPINSTALL and ONAPPUPDATE."""
    return dict(
        parse_qsl(
            f"event={event}&data[VERSION]=1&auth[access_token]={access}&auth[refresh_token]=r&auth[expires_in]=3600"
            f"&auth[domain]=evil.example&auth[server_endpoint]=https://evil.example/rest/"
            f"&auth[client_endpoint]=https://evil.example/rest/&auth[member_id]={MEMBER_ID}"
            f"&auth[application_token]={token}&auth[status]=L"
        )
    )
