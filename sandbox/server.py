"""A small threaded HTTP/1.1 server with keep-alive, whose answers can be broken on purpose (dropped, cut short)."""

from __future__ import annotations

import socket
import socketserver
import ssl
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote

MAX_BODY = 64 * 1024 * 1024
MAX_HEAD = 64 * 1024
INTERNAL_ERROR = b'{"error":"INTERNAL_SERVER_ERROR","error_description":"Internal server error"}'


@dataclass(slots=True)
class Request:
    """One HTTP request; `headers` have lower-case names, `path` is decoded and has no query."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    remote: str


@dataclass(slots=True)
class Response:
    """One HTTP answer. `drop` closes the connection without a byte, `cut` sends half of the body and closes."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    cut: bool = False


Application = Callable[[Request], Response]


class _BadRequest(Exception):
    pass


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    timeout = 75
    rbufsize = 1 << 16
    server: HttpServer

    def handle(self) -> None:
        while not self.server.stopping:
            try:
                request = self._read()
            except _BadRequest as error:
                self._write(Response(400, str(error).encode(), "text/plain"), close=True)
                return
            except OSError:
                return
            if request is None:
                return
            try:
                response = self.server.application(request)
            except Exception:  # noqa: BLE001 - a defect is printed and answered as a portal's own defect, never a hang-up
                traceback.print_exc(file=sys.stderr)
                response = Response(500, INTERNAL_ERROR)
            close = request.headers.get("connection", "").lower() == "close"
            if response.drop:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            try:
                self._write(response, close=close or response.cut, head=request.method == "HEAD")
            except OSError:
                return
            if close or response.cut:
                return

    def _read(self) -> Request | None:
        line = self.rfile.readline(MAX_HEAD)
        if not line:
            return None
        parts = line.decode("latin-1").split()
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise _BadRequest("bad request line")
        headers: dict[str, str] = {}
        size = len(line)
        while True:
            line = self.rfile.readline(MAX_HEAD)
            size += len(line)
            if size > MAX_HEAD:
                raise _BadRequest("headers too large")
            if line in (b"\r\n", b"\n"):
                break
            if not line:
                return None
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if parts[2] == "HTTP/1.0":
            headers.setdefault("connection", "close")
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        target = parts[1]
        if "://" in target:
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        path, _, query = target.partition("?")
        body = self._body(headers)
        return Request(parts[0].upper(), unquote(path), query, headers, body, self.client_address[0])

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks: list[bytes] = []
            total = 0
            while True:
                try:
                    size = int(self.rfile.readline(128).split(b";")[0], 16)
                except ValueError as error:
                    raise _BadRequest("bad chunk") from error
                total += size
                if total > MAX_BODY:
                    raise _BadRequest("body too large")
                if size == 0:
                    while self.rfile.readline(MAX_HEAD) not in (b"\r\n", b"\n", b""):
                        pass
                    return b"".join(chunks)
                chunks.append(self.rfile.read(size))
                self.rfile.readline(8)
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise _BadRequest("bad content-length")
        if int(length) > MAX_BODY:
            raise _BadRequest("body too large")
        return self.rfile.read(int(length)) if int(length) else b""

    def _write(self, response: Response, *, close: bool, head: bool = False) -> None:
        try:
            reason = HTTPStatus(response.status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [
            f"HTTP/1.1 {response.status} {reason}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
        ]
        lines.extend(f"{name}: {value}" for name, value in response.headers.items())
        if close:
            lines.append("Connection: close")
        top = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        body = response.body[: len(response.body) // 2] if response.cut else response.body
        self.wfile.write(top if head else top + body)


class HttpServer(socketserver.ThreadingTCPServer):
    """A listener that gives every request to `application`; `url` is its origin."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, host: str, port: int, application: Application, tls: ssl.SSLContext | None = None) -> None:
        self.application = application
        self.tls = tls
        self.stopping = False
        super().__init__((host, port), _Connection)
        self.url = f"http{'s' if tls else ''}://{host}:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def start(self) -> None:
        """Serve in a thread of its own until `stop`."""
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept one connection; the handshake of TLS is made later, by the connection's own thread."""
        connection, address = super().get_request()
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def stop(self) -> None:
        """Close the listener; connections under way end with their present request."""
        self.stopping = True
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event; anything else is printed by the standard handler."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
