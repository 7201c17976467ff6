"""The web process: gunicorn inside, one process with threads, since SQLite has one writer and the doors do little."""

from __future__ import annotations

import logging
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from b24app.services import Services
from b24app.web import create_app

THREADS = 8
KEEPALIVE_SECONDS = 75
"""Longer than reverse proxies keep an idle connection: the one that closes first must not be we."""


class _Quiet(Logger):  # type: ignore[misc]
    """Gunicorn's own words go the way of ours: masked, one line each."""

    def setup(self, cfg: Any) -> None:
        self.error_log = logging.getLogger("gunicorn.error")
        self.access_log = logging.getLogger("gunicorn.access")
        self.error_log.propagate = True

    def reopen_files(self) -> None:
        """There are none."""


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, services: Services, bind: str, threads: int) -> None:
        self._services = services
        self._options = {
            "bind": bind,
            "workers": 1,
            "worker_class": "gthread",
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


def serve(services: Services, host: str, port: int, *, threads: int = THREADS) -> None:
    """Serves until SIGTERM or SIGINT; requests under way are finished."""
    services.dispose()  # nothing opened so far may be shared with the forked worker
    bind = f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
    _Server(services, bind, threads).run()
