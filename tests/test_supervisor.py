"""Children die with the supervisor, come back after a crash, and are stopped in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from b24app import supervisor
from b24app.config import parse
from b24app.errors import ConfigError

SUPERVISE = """
import logging, sys
from b24app.supervisor import Program, supervise
logging.basicConfig(level="INFO")
folder = sys.argv[1]
child = '''
import os, pathlib, signal, subprocess, sys, time
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
grandchild = subprocess.Popen(["sleep", "60"])
def leave(*_):
    with (folder / "stopped").open("a") as file:
        file.write(name + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
with (folder / name).open("a") as file:
    file.write(f"{os.getpid()} {grandchild.pid}" + chr(10))
time.sleep(60)
'''
def program(name, order):
    return Program(name, (sys.executable, "-c", child, folder, name), stop_order=order)
supervise([program("last", 2), program("first", 0), program("middle", 1)])
"""


def _wait(until: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _started(folder: Path, name: str) -> list[list[int]]:
    file = folder / name
    return [[int(pid) for pid in line.split()] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def supervising(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SUPERVISE, str(tmp_path)], stderr=subprocess.DEVNULL)
    _wait(lambda: all(_started(tmp_path, name) for name in ("first", "middle", "last")))
    yield process
    process.kill()
    process.wait()
    for pid in (pid for name in ("first", "middle", "last") for row in _started(tmp_path, name) for pid in row):
        if _alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_it_stops_children_in_order_and_ends(supervising: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pids = [pid for name in ("first", "middle", "last") for row in _started(tmp_path, name) for pid in row]
    supervising.terminate()
    assert supervising.wait(15) == 0
    assert (tmp_path / "stopped").read_text().split() == ["first", "middle", "last"]
    assert not [pid for pid in pids if _alive(pid)]


def test_it_starts_a_killed_child_again_and_ends_what_it_left(
    supervising: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    [[pid, grandchild]] = _started(tmp_path, "middle")
    os.kill(pid, signal.SIGKILL)
    _wait(lambda: len(_started(tmp_path, "middle")) == 2)
    assert not _alive(grandchild)
    assert supervising.poll() is None


def test_children_do_not_outlive_a_killed_supervisor(supervising: subprocess.Popen[bytes], tmp_path: Path) -> None:
    pids = [_started(tmp_path, name)[0][0] for name in ("first", "middle", "last")]
    assert all(_alive(pid) for pid in pids)
    supervising.kill()
    _wait(lambda: not any(_alive(pid) for pid in pids))


def test_a_child_that_always_fails_is_started_ever_more_slowly(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.touch()
    child = "import sys, time; open(sys.argv[1], 'a').write(f'{time.monotonic()} '); sys.exit(3)"
    script = (
        "import sys\nfrom b24app.supervisor import Program, supervise\n"
        "supervise([Program('wrong', (sys.executable, '-c', *sys.argv[1:]))])"
    )
    process = subprocess.Popen([sys.executable, "-c", script, child, str(runs)], stderr=subprocess.PIPE)
    try:
        _wait(lambda: len(runs.read_text().split()) >= 4)
        first, *_, fourth = map(float, runs.read_text().split()[:4])
    finally:
        process.terminate()
        _, told = process.communicate(timeout=10)
    assert re.findall(rb"again_in_s=(\S+)", told)[:3] == [b"0.5", b"1.0", b"2.0"]
    assert fourth - first > 2.5, "less the time that the first start took"


def test_the_embedded_redis_keeps_its_data_and_asks_for_the_password(tmp_path: Path) -> None:
    for expected in (None, b"42"):
        program, url = supervisor.embedded_redis(tmp_path / "redis data")
        assert not any(url.split(":")[2].split("@")[0] in argument for argument in program.arguments)
        process = supervisor.start(program)
        try:
            with redis.Redis.from_url(url) as client:
                _wait(lambda client=client: _answers(client))
                assert client.get("delivery") == expected
                client.set("delivery", 42)
            with (
                redis.Redis.from_url(url.replace(url.split("//")[1].split("@")[0] + "@", "")) as stranger,
                pytest.raises(redis.AuthenticationError),
            ):
                stranger.get("delivery")
        finally:
            supervisor.stop([process])
        assert process.returncode is not None


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_a_second_one_on_the_same_data_is_refused(tmp_path: Path) -> None:
    settings = parse(
        f"""
        [app]
        public_url = "http://127.0.0.1:1"
        secret_key = "{"k" * 32}"
        [[portals]]
        host = "127.0.0.1:2"
        client_id = "local.1"
        client_secret = "s"
        [run]
        data = "{tmp_path}"
        """
    )
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys, time\nf = open(sys.argv[1], 'w')\nfcntl.flock(f, fcntl.LOCK_EX)\n"
            "print('held', flush=True)\ntime.sleep(60)",
            str(tmp_path / "run.lock"),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="already runs"):
            supervisor.run(settings, tmp_path / "config.toml", "127.0.0.1", 0)
    finally:
        holder.kill()
        holder.communicate()
