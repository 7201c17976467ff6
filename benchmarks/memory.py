"""Memory of every process under ten times an ordinary company's load, watched for minutes: it must not grow."""

from __future__ import annotations

import random
import statistics
import time
from itertools import count
from pathlib import Path

from benchmarks.report import Options, Report, at_most
from benchmarks.running import Running, running

ORDINARY_SECONDS = 60
"""Between two enquiries of an ordinary company: 540 in a working day of nine hours."""
TIMES = 10
SAMPLE_SECONDS = 2.0
WARM_PART = 0.3
"""Of the time in which caches fill and the allocator finds its size; growth is looked for in the rest."""
GOAL = 1.05


def report(options: Options) -> Report:
    """Reports every process's memory at the end of the time to that after the warm-up, and its slope."""
    with running() as application:
        application.start_all()
        sizes, enquiries = _watched(application, options.minutes * 60)
    rows = {name: _grown(one, options.minutes) for name, one in sizes.items()}
    worst = max(rows.values())
    return Report(
        f"Память за {options.minutes:.0f} мин при {60 / ORDINARY_SECONDS * TIMES:.0f} обращениях в минуту, это"
        f" {TIMES}-кратная нагрузка / memory at {TIMES} times an ordinary load",
        (at_most("самый выросший процесс, в конце к началу / most grown process, end to start", worst[0], GOAL),),
        [
            f"обращений / enquiries: {enquiries}, прогрев / warm-up {options.minutes * WARM_PART:.0f} min",
            f"{'процесс / process':18} {'после прогрева':>15} {'в конце / end':>15} {'отношение':>10} {'MiB/h':>8}",
            *(
                f"{name:18} {row[1]:11.1f} MiB {row[2]:11.1f} MiB {row[0]:10.3f} {row[3]:8.1f}"
                for name, row in rows.items()
            ),
        ],
    )


def _watched(application: Running, seconds: float) -> tuple[dict[str, list[float]], int]:
    """Lets clients ring and write, looks at the memory of the processes; returns (MiB by process, enquiries)."""
    chance, numbers, portal = random.Random(5), count(), application.portals[0]
    sizes: dict[str, list[float]] = {name: [] for name in application.processes if name != "redis"}
    began = time.monotonic()
    due, enquiries = began, 0
    while (now := time.monotonic()) < began + seconds:
        if now >= due:
            phone = f"+7912{next(numbers):07d}"
            if chance.random() < 0.7:
                portal.missed_call(phone)
            else:
                portal.control("POST", "web-form", {"name": "Мария", "phone": phone})
            enquiries += 1
            due += chance.uniform(0.5, 1.5) * ORDINARY_SECONDS / TIMES
        for name, one in sizes.items():
            one.append(_resident(application.processes[name].pid) / 2**20)
        time.sleep(SAMPLE_SECONDS)
    return sizes, enquiries


def _resident(pid: int) -> int:
    """Returns the bytes that a process and its children hold in memory, what they share counted once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    mine = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
    return mine + sum(_resident(int(child)) for child in children)


def _grown(sizes: list[float], minutes: float) -> tuple[float, float, float, float]:
    """Returns (end to start, start, end in MiB, MiB an hour): means of tenths, and the slope by least squares."""
    warm = sizes[int(len(sizes) * WARM_PART) :]
    part = max(1, len(warm) // 10)
    start, end = statistics.mean(warm[:part]), statistics.mean(warm[-part:])
    hours = [minutes / 60 * (1 - WARM_PART) * number / len(warm) for number in range(len(warm))]
    return end / start, start, end, statistics.linear_regression(hours, warm).slope
