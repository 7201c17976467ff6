"""An application that knows nothing of this project: http.server and urllib, written as the documentation's examples.

It installs itself from its install page, adds a robot and event handlers, answers the robot and gets events.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from b24pysdk.credentials import OAuthEventData, OAuthPlacementData, OAuthWorkflowData

from sandbox.client import Sandbox


class ForeignApplication:
    """Keeps its tokens in memory by member_id; `seen` is everything that it was sent, in order."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, str]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.heard = threading.Condition()
        application = self

        class Pages(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                form = dict(parse_qsl(self.rfile.read(size).decode(), keep_blank_values=True))
                address = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(address.query).items()}
                page = application.answer(address.path, query, form).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)
                with application.heard:
                    application.seen.append((address.path, {**query, **form}))
                    application.heard.notify_all()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def call(self, endpoint: str, method: str, auth: str, **params: Any) -> Any:
        body = json.dumps({**params, "auth": auth}).encode()
        request = urllib.request.Request(endpoint + method, body, {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return json.load(answer)["result"]

    def form_call(self, endpoint: str, method: str, auth: str, **params: str) -> Any:
        body = urlencode({**params, "auth": auth}).encode()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(endpoint + method, body, 20) as answer:
            return json.load(answer)["result"]

    def answer(self, path: str, query: dict[str, str], form: dict[str, str]) -> str:
        if path == "/install":
            endpoint = f"{'https' if query['PROTOCOL'] == '1' else 'http'}://{query['DOMAIN']}/rest/"
            self.tokens[form["member_id"]] = {"endpoint": endpoint, "auth": form["AUTH_ID"]}
            self.call(
                endpoint, "bizproc.robot.add", form["AUTH_ID"],
                CODE="score", HANDLER=self.url + "/robot", AUTH_USER_ID=1, USE_SUBSCRIPTION="Y",
                NAME={"ru": "Оценка", "en": "Score"},
                PROPERTIES={"text": {"Name": {"ru": "Текст"}, "Type": "string", "Required": "Y"}},
                RETURN_PROPERTIES={"points": {"Name": {"ru": "Баллы"}, "Type": "int"}},
            )  # fmt: skip
            for name in ("onCrmLeadAdd", "OnAppUninstall"):
                self.form_call(endpoint, "event.bind.json", form["AUTH_ID"], event=name, handler=self.url + "/event")
            return "<script>BX24.init(function(){BX24.installFinish();});</script>"
        if path == "/robot":
            self.call(
                form["auth[client_endpoint]"], "bizproc.event.send", form["auth[access_token]"],
                event_token=form["event_token"], return_values={"points": len(form["properties[text]"])},
                log_message="готово",
            )  # fmt: skip
        if path == "/event" and form["event"] == "ONCRMLEADADD":
            number = form["data[FIELDS][ID]"]
            lead = self.call(form["auth[client_endpoint]"], "crm.lead.get", form["auth[access_token]"], id=number)
            self.call(
                form["auth[client_endpoint]"], "crm.timeline.comment.add", form["auth[access_token]"],
                fields={"ENTITY_ID": number, "ENTITY_TYPE": "lead", "COMMENT": "Вижу: " + lead["TITLE"]},
            )  # fmt: skip
        return "ok"

    def wait(self, path: str, count: int = 1) -> list[dict[str, str]]:
        def found() -> list[dict[str, str]]:
            return [form for where, form in self.seen if where == path]

        with self.heard:
            assert self.heard.wait_for(lambda: len(found()) >= count, 15), self.seen
            return found()


@pytest.fixture
def foreign() -> Iterator[ForeignApplication]:
    application = ForeignApplication()
    yield application
    application.stop()


@pytest.mark.parametrize("over", ["http", "tls"])
def test_a_foreign_application_lives_its_whole_life(foreign: ForeignApplication, over: str) -> None:
    with Sandbox.start("--no-limits", *(["--tls"] if over == "tls" else [])) as portal:
        if over == "tls":
            _trust(foreign, portal)
        portal.application(handler=foreign.url + "/page", install=foreign.url + "/install")
        opened = portal.open(1)
        assert opened["status"] == 200
        assert "installFinish" in opened["body"]
        OAuthPlacementData.from_dict(foreign.wait("/install")[0])
        assert portal.result("app.info", token=portal.token_of(1))["INSTALLED"] is False
        portal.finish_install()
        portal.place_robot(1, "IN_PROCESS", "score", properties={"text": "{=Document:TITLE}!"})

        lead = portal.create_item(1, {"title": "Кухня"})["id"]
        event = foreign.wait("/event")[0]
        assert OAuthEventData.from_dict(_nested(event)).event == "ONCRMLEADADD"
        portal.wait_quiet()
        comments = portal.result("crm.timeline.comment.list", {"filter": {"ENTITY_TYPE": "lead", "ENTITY_ID": lead}})
        assert [one["COMMENT"] for one in comments] == ["Вижу: Кухня"]

        portal.change_item(1, lead, {"stageId": "IN_PROCESS"})
        robot = foreign.wait("/robot")[0]
        assert robot["properties[text]"] == "Кухня!"
        assert OAuthWorkflowData.from_dict(_nested(robot)).code == "score"
        portal.wait_quiet()
        run = portal.state("workflows")[-1]
        assert run["status"] == "finished"
        assert "готово" in [line["text"] for line in run["log"]]
        assert 6 in run["results"].values()

        portal.control("POST", f"applications/{portal.client_id}/uninstall", {"clean": 1})
        gone = foreign.wait("/event", 2)[-1]
        assert (gone["event"], gone["data[CLEAN]"]) == ("ONAPPUNINSTALL", "1")
        OAuthEventData.from_dict(_nested(gone))
        assert portal.ledger(kind="alarm") == []


def _trust(foreign: ForeignApplication, portal: Sandbox) -> None:
    """The application trusts the portal's authority, as any client does by REQUESTS_CA_BUNDLE or SSL_CERT_FILE."""
    import ssl

    context = ssl.create_default_context(cafile=portal.ready["ca"])

    def call(endpoint: str, method: str, auth: str, **params: Any) -> Any:
        body = json.dumps({**params, "auth": auth}).encode()
        request = urllib.request.Request(endpoint + method, body, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(request, timeout=20) as answer:
            return json.load(answer)["result"]

    foreign.call = call  # type: ignore[method-assign]
    foreign.form_call = call  # type: ignore[method-assign]


def _nested(form: dict[str, str]) -> dict[str, Any]:
    from sandbox.php import nest

    return nest(form.items())
