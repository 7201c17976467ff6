"""How long free slots take beside the usual ways, all of which must give the same list."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

from b24app.rules.slots import Board, Busy, Job, Measurer, Policy
from b24app.rules.working_time import WorkCalendar
from benchmarks import rivals
from benchmarks.report import Options, Ratio, Report

CALENDAR = WorkCalendar(country="RU", lunch=(clock(13), clock(14)))
FIRST = date(2026, 11, 23)
DAYS, BUSY_A_DAY, STEP = 60, 8, 30
LENGTH = timedelta(hours=3)
NAIVE_UP_TO = 10
"""Everybody's every start against his every busy time: hours for a thousand; above this it is not run."""


def report(options: Options) -> Report:
    """Reports every way's time beside the full listing's; times of a shared machine are no goal to fail by."""
    names = ["prepare", "mask", "best 10", "change", "bisect", "naive", "numpy", "C"]
    figures = [f"{'замерщиков / people':20} {'slots':>6} " + " ".join(f"{name:>9}" for name in names) + "   ms"]
    rows = [measure(people, options.rounds) for people in (10, 100, 1000)]
    for row in rows:
        times = [f"{row.seconds[name] * 1000:9.2f}" if name in row.seconds else f"{'—':>9}" for name in names]
        figures.append(f"{row.people:20} {row.slots:6} {' '.join(times)}")
    left_out = [f"{name} (больше / above {NAIVE_UP_TO})" if name == "naive" else name for name in rows[-1].left_out]
    figures += [
        f"не запускались / not run at the last size: {', '.join(left_out)}",
        "цель для 1000 / goal for 1000: mask < 6 ms, best 10 < 1 ms",
    ]
    same = all(row.same for row in rows)
    return Report(
        f"Свободные окна по 3 ч / free 3-hour slots: {DAYS} дней / days, {BUSY_A_DAY} занятий в день / busy a day",
        (
            Ratio(
                "списки всех способов одинаковы / all ways gave the same lists",
                "да" if same else "нет",
                "да",
                same,
            ),
            *(
                Ratio(
                    f"{name} к полному списку, {row.people} / {name} to the full listing, {row.people} people",
                    f"{row.seconds[name] / row.seconds['mask']:.1f}",
                )
                for row in rows
                for name in names[4:]
                if name in row.seconds
            ),
        ),
        figures,
    )


@dataclass
class Row:
    """One size: seconds by way of searching, and what was found."""

    people: int
    slots: int
    seconds: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    same: bool = True


def company(people: int, seed: int = 5) -> dict[int, list[rivals.Pair]]:
    """Returns eight busy times a working day for everybody, 15 to 90 minutes each, at 5-minute marks."""
    chance = random.Random(seed)
    days = [spans for n in range(DAYS) if (spans := CALENDAR.spans_of(FIRST + timedelta(days=n)))]
    busy: dict[int, list[rivals.Pair]] = {}
    for id in range(1, people + 1):
        pairs: list[rivals.Pair] = []
        for spans in days:
            room = int((spans[-1][1] - spans[0][0]) / timedelta(minutes=5))
            while len(pairs) % BUSY_A_DAY or not pairs or pairs[-1][0] < spans[0][0]:
                begin = spans[0][0] + timedelta(minutes=5 * chance.randrange(room))
                end = begin + timedelta(minutes=5 * chance.randint(3, 18))
                if any(begin < close and end > open_ for open_, close in spans):  # lunch is no working time
                    pairs.append((begin, end))
        busy[id] = pairs
    return busy


def measure(people: int, rounds: int) -> Row:
    """Returns the medians of one size (none where no rounds are wanted); every way's list is compared with ours."""
    busy = company(people)
    earliest = datetime.combine(FIRST, clock(0), CALENDAR.zone)
    job, policy = Job(LENGTH, earliest), Policy(step=STEP, horizon_days=DAYS)
    entries = {id: [Busy(*pair) for pair in pairs] for id, pairs in busy.items()}
    measurers = [Measurer(id, f"#{id}", CALENDAR) for id in busy]
    started = time.perf_counter()
    board = Board(measurers, policy, FIRST, entries)
    board.prepare(job.place)
    prepared = time.perf_counter() - started
    mine = board.listing(job)
    row = Row(people, len(mine))
    row.seconds["prepare"] = prepared
    ways: dict[str, Callable[[], Any]] = {
        "mask": lambda: board.listing(job),
        "best 10": lambda: board.best(job, 10),
        "change": lambda: _change(board, entries[1][0]),
    }
    checks: dict[str, Callable[[Any], set[tuple[int, datetime]]]] = {"mask": set}
    if people <= NAIVE_UP_TO:
        ways["naive"] = lambda: rivals.naive(CALENDAR, busy, FIRST, DAYS, STEP, LENGTH)
        checks["naive"] = set
    else:
        row.left_out.append("naive")
    intervals, grid = rivals.merged(busy), rivals.grid_of(CALENDAR, FIRST, DAYS, STEP, LENGTH)
    ways["bisect"], checks["bisect"] = lambda: rivals.bisected(intervals, grid), set
    _native(row, busy, ways, checks)
    expected = set(mine)
    for name, check in checks.items():
        row.same &= check(ways[name]()) == expected
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(_seconds(way))
    row.seconds |= {name: statistics.median(times) for name, times in taken.items() if times}
    return row


def _change(board: Board, busy: Busy) -> None:
    board.add(1, busy)
    board.remove(1, busy)


def _native(
    row: Row,
    busy: dict[int, list[rivals.Pair]],
    ways: dict[str, Callable[[], Any]],
    checks: dict[str, Callable[[Any], set[tuple[int, datetime]]]],
) -> None:
    """Adds numpy and C where the machine has them."""
    minutes = rivals.Minutes(CALENDAR, FIRST, DAYS, STEP, LENGTH)
    lines = [bytes(minutes.taken(pairs)) for pairs in busy.values()]
    ids: Sequence[int] = list(busy)
    np = rivals.numpy_or_none()
    if np is None:
        row.left_out.append("numpy")
    else:
        table = np.frombuffer(b"".join(lines), dtype=np.uint8).reshape(len(lines), len(minutes.cells))
        sums = np.concatenate([np.zeros((len(lines), 1), int), table.cumsum(axis=1, dtype=int)], axis=1)
        starts = np.array(minutes.starts)
        ways["numpy"] = lambda: rivals.summed(np, sums, minutes, starts)
        checks["numpy"] = lambda pairs: rivals.in_order(pairs, minutes, ids)
    with tempfile.TemporaryDirectory(prefix="b24app-bench-") as folder:
        loop = rivals.compiled(Path(folder))
    if loop is None:
        row.left_out.append("C")
        return
    joined = b"".join(lines)
    ways["C"] = lambda: rivals.looped(loop, joined, minutes, len(lines))
    checks["C"] = lambda pairs: rivals.in_order(pairs, minutes, ids)


def _seconds(way: Callable[[], Any]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started
