"""The web process: gunicorn inside, one process with threads, since SQLite has one writer and the doors do little."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn, ThreadWorker

from b24app.services import Services
from b24app.web import create_app

log = logging.getLogger(__name__)

THREADS = 8
KEEPALIVE_SECONDS = 75
"""Longer than reverse proxies keep an idle connection: the one that closes first must not be we."""
READ_SECONDS = 20.0
"""A request has to be there in this time, whole: eight that never end would keep everybody else out."""


class _Quiet(Logger):  # type: ignore[misc]
    """Gunicorn's own words go the way of ours: masked, one line each."""

    def setup(self, cfg: Any) -> None:
        self.error_log = logging.getLogger("gunicorn.error")
        self.access_log = logging.getLogger("gunicorn.access")
        self.error_log.propagate = True

    def reopen_files(self) -> None:
        """There are none."""


class _Unhurried(ThreadWorker):  # type: ignore[misc]
    """Threads that nobody can hold by being slow: one is given to a connection when something has come, and it is taken
    back where the rest does not come in time. A proxy before us waits for us already; this is for where there is none.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_seconds: float = self.app.read_seconds
        self._reading: dict[TConn, float] = {}
        self._mine = threading.local()

    def accept(self, listener: socket.socket) -> None:
        """Waits for the first byte without a thread (gunicorn's own gives one at once, for five seconds)."""
        with suppress(BlockingIOError, ConnectionAbortedError):
            client, address = listener.accept()
            conn = TConn(self.cfg, client, address, listener.getsockname())
            self.nr_conns += 1
            conn.timeout = time.monotonic() + self._read_seconds
            self.pending_conns.append(conn)
            self.poller.register(client, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: TConn) -> Any:
        """Serves one request of the connection; its reading ends in time, or by `murder_keepalived`."""
        self._mine.conn = conn
        self._reading[conn] = time.monotonic() + self._read_seconds
        try:
            return super().handle(conn)
        finally:
            self._reading.pop(conn, None)

    def murder_keepalived(self, force: bool = False) -> None:
        """Besides idle connections, cuts off those that are read for too long: their threads find the end of it."""
        super().murder_keepalived(force)
        now = time.monotonic()
        for conn, until in list(self._reading.items()):
            if until < now:
                log.info("slow=%s state=cut", conn.client[0] if conn.client else "")
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)

    def load_wsgi(self) -> None:
        """Tells the application how to say that a request is read: what it does then may take its time."""
        super().load_wsgi()
        application: Callable[..., Iterable[bytes]] = self.wsgi

        def whole(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ["b24app.read"] = partial(self._reading.pop, self._mine.conn, None)
            return application(environ, start_response)

        self.wsgi: Any = whole


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, services: Services, bind: str, threads: int, read_seconds: float) -> None:
        self._services = services
        self.read_seconds = read_seconds
        self._options = {
            "bind": bind,
            "workers": 1,
            "worker_class": _Unhurried,
            "threads": threads,
            "keepalive": KEEPALIVE_SECONDS,
            "timeout": 120,
            "graceful_timeout": 20,
            "accesslog": None,
            "logger_class": _Quiet,
            "worker_tmp_dir": None,
            "control_socket_disable": True,
            "limit_request_line": 8190,
            "limit_request_field_size": 8190,
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        # in the worker, after the fork: connections are made here and nowhere earlier
        return create_app(self._services, resume=True)


def serve(
    services: Services, host: str, port: int, *, threads: int = THREADS, read_seconds: float = READ_SECONDS
) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are finished."""
    services.dispose()  # nothing opened so far may be shared with the forked worker
    bind = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
    _Server(services, bind, threads, read_seconds).run()
