"""An SMS provider on 127.0.0.1: takes messages, and goes wrong on cue. What really went out stands in `sent`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "gateway-key-canary"
REFUSAL = "Недостаточно средств"


class FakeGateway:
    """Each request takes the next of `cues` ("ok" where none is left).

    ok, refuse, garbage, redirect, or a status: the answer; lost: it goes out and the connection is cut before the
    answer; slow: it goes out and the answer comes after `slow_seconds`.
    """

    slow_seconds = 1.5

    def __init__(self) -> None:
        self.cues: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.sent: list[dict[str, str]] = []
        self.released = threading.Event()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                gateway._serve(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/send"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def config(self) -> str:
        """The section of config.toml that describes this provider."""
        return (
            f'[sms]\nurl = "{self.url}"\nkey = "{KEY}"\n'
            'fields = { api_id = "{key}", to = "{phone}", msg = "{text}", id = "{id}" }\n'
            'sent = \'"sms_id": "([^"]+)"\'\nrefused = \'"status_text": "([^"]+)"\'\ntimeout_seconds = 1\n'
        )

    def close(self) -> None:
        """Stops it."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length).decode()
        if len(body.encode()) < length:
            return  # whoever asked died amid his request: no provider sends half a message
        kind = request.headers.get("Content-Type") or ""
        query = dict(parse_qsl(urlsplit(request.path).query))
        fields = json.loads(body) if "json" in kind else dict(parse_qsl(body))
        self.asked.append({"verb": request.command, "headers": dict(request.headers), "fields": {**query, **fields}})
        cue = self.cues.pop(0) if self.cues else "ok"
        taken = {**query, **fields}
        if cue in ("ok", "lost", "slow", "garbage", "500"):
            if any(one.get("id") and one.get("id") == taken.get("id") for one in self.sent):
                cue = "duplicate"
            else:
                self.sent.append(taken)
        if cue == "lost":
            request.close_connection = True
            request.connection.close()
            return
        if cue == "slow":
            self.released.wait(self.slow_seconds)
        status, text = {
            "garbage": (200, "<html>Добро пожаловать в гостиницу</html>"),
            "refuse": (200, json.dumps({"status": "ERROR", "status_text": REFUSAL})),
            "duplicate": (200, json.dumps({"status": "ERROR", "status_text": "Такое сообщение уже было"})),
            "redirect": (302, ""),
            "echo": (200, json.dumps({"status": "ERROR", "status_text": f"wrong key {KEY}"})),
        }.get(
            cue,
            (int(cue), "") if cue.isdigit() else (200, json.dumps({"status": "OK", "sms_id": f"m{len(self.sent)}"})),
        )
        try:
            request.send_response(status)
            if cue == "redirect":
                request.send_header("Location", self.url)
            request.send_header("Content-Length", str(len(text.encode())))
            request.end_headers()
            request.wfile.write(text.encode())
        except OSError:
            return  # whoever asked did not wait


@contextmanager
def fake_gateway() -> Iterator[FakeGateway]:
    """Yields a provider at work."""
    gateway = FakeGateway()
    try:
        yield gateway
    finally:
        gateway.close()
