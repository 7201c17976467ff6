"""A running portal, and a little application that keeps everything the portal sends to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest

from sandbox.client import Sandbox
from sandbox.world import World

REDIRECT = "http://127.0.0.1"


class Listener:
    """An application's server: every POST is kept as {path, form (flat), at}; `status` is what it answers."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(parse_qsl(body, keep_blank_values=True))
                listener.posts.append({"path": self.path, "form": form, "at": time.monotonic()})
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def wait(
        self, wanted: Callable[[dict[str, str]], bool], count: int = 1, seconds: float = 30.0
    ) -> list[dict[str, str]]:
        """The forms that satisfy `wanted`, when there are `count` of them."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [post["form"] for post in list(self.posts) if wanted(post["form"])]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{count} wanted, got {[post['form'] for post in self.posts]}")

    def events(self, name: str) -> list[dict[str, str]]:
        return [post["form"] for post in self.posts if post["form"].get("event") == name]


@contextmanager
def fresh_portal(*, limits: bool) -> Iterator[Sandbox]:
    """A portal with a clock and addresses of its own, in this process: one of its own takes a hundred times as long."""
    world = World()
    world.start("127.0.0.1", 0)
    made = world.add_portal("127.0.0.1", 0)
    made.limits.enabled = limits
    with Sandbox(world.describe(made)) as sandbox:
        yield sandbox
    world.stop()


@pytest.fixture
def portal() -> Iterator[Sandbox]:
    """A fresh portal without request limits."""
    with fresh_portal(limits=False) as sandbox:
        yield sandbox


@pytest.fixture
def limited() -> Iterator[Sandbox]:
    """A fresh portal with its limits on."""
    with fresh_portal(limits=True) as sandbox:
        yield sandbox


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.stop()


@pytest.fixture
def installed(portal: Sandbox, listener: Listener) -> Sandbox:
    """The portal with its application installed; its handlers are the listener's."""
    portal.application(handler=listener.url + "/app", install=listener.url + "/install")
    portal.finish_install()
    return portal
