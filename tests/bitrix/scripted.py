"""A scripted portal and authorization server on loopback: they answer what a test says, and remember what came."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from b24app.store.database import Database
from b24app.store.schema import alarms, portals

CLIENT_ID = "local.5f1e.1"
CLIENT_SECRET = "the-client-secret-canary"


@dataclass
class Reply:
    """What the scripted server answers after `seconds`.

    `how`: whole, drop (no answer), cut (half of the body), noise (where TLS is spoken, bytes that are none).
    """

    status: int = 200
    body: Any = None
    how: str = "whole"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def method(self) -> str:
        return self.path.rsplit("/", 1)[-1].removesuffix(".json")


def ok(result: Any, operating: float = 0.1, **more: Any) -> Reply:
    clock = {"start": 1.0, "operating": operating, "operating_reset_at": int(time.time()) + 300}
    return Reply(200, {"result": result, "time": clock, **more})


def refused(status: int, code: Any, text: str = "", **more: Any) -> Reply:
    return Reply(status, {"error": code, "error_description": text, **more})


class Server:
    """Answers by `script` (replies used up in turn), then by `default(request)`; `requests` is what came.

    `tls`: speaks TLS, by a certificate of this name that nobody knows.
    """

    def __init__(self, tls: Path | None = None) -> None:
        self.requests: list[Request] = []
        self.script: list[Reply] = []
        self.default: Callable[[Request], Reply] = lambda request: ok(True)
        self.lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kind = self.headers.get("Content-Type", "")
                body = (
                    json.loads(raw)
                    if kind.startswith("application/json")
                    else {key: values[0] for key, values in parse_qs(raw.decode()).items()}
                )
                request = Request(self.path, dict(self.headers), body)
                with owner.lock:
                    owner.requests.append(request)
                    reply = owner.script.pop(0) if owner.script else None
                if reply is None:
                    reply = owner.default(request)
                if reply.seconds:
                    time.sleep(reply.seconds)
                if reply.how == "drop":
                    self.close_connection = True
                    return
                if reply.how == "noise":
                    with socket.socket(fileno=os.dup(self.connection.fileno())) as below:
                        below.sendall(b"no TLS at all")
                    self.close_connection = True
                    return
                body_out = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Content-Length", str(len(body_out)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.how == "cut":
                    body_out = body_out[: len(body_out) // 2]
                    self.close_connection = True
                self.wfile.write(body_out)

            def do_GET(self) -> None:
                with owner.lock:
                    owner.requests.append(Request(self.path, dict(self.headers), None))
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that went away in the middle is part of the tests

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.http.server_address[1]}"
        self.url = f"http://{self.host}"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate(tls))
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            self.url = f"https://{self.host}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


def certificate(file: Path) -> Path:
    """Writes a certificate of 127.0.0.1 that signed itself, with its key; returns the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return file


class Oauth(Server):
    """The authorization server: rotates pairs as the real one does, an old refresh token is worth nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoint = ""
        self.member_id = ""
        self.refresh_token = "refresh-0"
        self.count = 0
        self.seconds = 0.0
        self.default = self.rotate

    def rotate(self, request: Request) -> Reply:
        with self.lock:
            if request.body["refresh_token"] != self.refresh_token:
                return refused(400, "invalid_grant", "Invalid refresh token")
            self.count += 1
            self.refresh_token = f"refresh-{self.count}"
            body = {
                "access_token": f"access-{self.count}",
                "refresh_token": self.refresh_token,
                "expires": int(time.time()) + 3600,
                "expires_in": 3600,
                "client_endpoint": self.endpoint,
                "server_endpoint": self.url + "/rest/",
                "domain": self.host,
                "member_id": self.member_id,
                "scope": "crm,task",
                "status": "L",
                "user_id": 1,
            }
        return Reply(200, body, seconds=self.seconds)


def settings_text(host: str, oauth_url: str) -> str:
    return f"""
[app]
public_url = "https://app.example.com"
secret_key = "0123456789abcdef0123456789abcdef"
[bitrix24]
oauth_url = "{oauth_url}"
[[portals]]
host = "{host}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
"""


def install(database: Database, member_id: str, host: str) -> None:
    with database.write() as connection:
        connection.execute(
            sa.insert(portals).values(
                member_id=member_id,
                client_id=CLIENT_ID,
                host=host,
                client_endpoint=f"http://{host}/rest/",
                application_token="",
                status="active",
                installed_at=datetime.now(UTC),
                installed_by=1,
                facts={},
            )
        )


def alarm_keys(database: Database, member_id: str) -> list[str]:
    with database.read() as connection:
        found = connection.execute(sa.select(alarms.c.key).where(alarms.c.member_id == member_id)).scalars()
        return sorted(found)
