"""The demo as scripts use it: it plays, exits, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "b24app", "demo"]


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "LANG": "ru_RU.UTF-8", "LC_ALL": "", "B24APP_TEST": str(folder)}


def _left(folder: Path) -> list[str]:
    """Command lines of living processes that came from this demo, known by a word in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"B24APP_TEST={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_it_plays_the_whole_scene_and_leaves_nothing_running(tmp_path: Path) -> None:
    told = subprocess.run(
        [*COMMAND, "--once"], cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True, timeout=200
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert len(re.findall(r"http://127\.0\.0\.1:\d+/", told.stdout)) == 2
    assert "Задача: «Вам необходимо связаться с клиентом по телефону № +7 912 345-67-89»" in told.stdout
    assert "говорит по телефону" in told.stdout
    assert "Задача: «Ответьте клиенту:" in told.stdout
    assert _left(tmp_path) == []


def test_its_processes_die_with_it_however_it_dies(tmp_path: Path) -> None:
    demo = subprocess.Popen(COMMAND, cwd=tmp_path, env=_environment(tmp_path), stdout=subprocess.PIPE, text=True)
    assert demo.stdout
    for line in demo.stdout:
        if "http://" in line:
            break
    assert len(_left(tmp_path)) >= 6  # demo, sandbox, run, Redis, web, worker, clock
    demo.send_signal(signal.SIGKILL)
    demo.communicate()
    deadline = time.monotonic() + 40
    while _left(tmp_path):
        assert time.monotonic() < deadline, _left(tmp_path)
        time.sleep(0.2)
