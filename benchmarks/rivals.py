"""Other ways to find the same slots: what `b24app.rules.slots` is compared with, in tests by value and here by time.

Each takes the same company: everybody works by one calendar, and a job starts on the step's grid of the wall clock.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import shutil
import subprocess
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from b24app.rules.working_time import WorkCalendar

Found = list[tuple[int, datetime]]
Pair = tuple[datetime, datetime]
MINUTE = timedelta(minutes=1)


def starts_of(calendar: WorkCalendar, day: date, step: int) -> list[datetime]:
    """Returns the grid's moments of the day at which somebody works."""
    found = []
    for begin, end in calendar.spans_of(day):
        moment = begin
        while moment < end:
            local = moment.astimezone(calendar.zone)
            if (local.hour * 60 + local.minute) % step == 0:
                found.append(moment)
            moment += 5 * MINUTE
    return found


def end_of(spans: Sequence[Pair], start: datetime, length: timedelta) -> datetime | None:
    """Returns when that much working time from `start` on is over, inside the day, or None."""
    left = length
    for begin, end in spans:
        if end > start:
            begin = max(begin, start)
            if end - begin >= left:
                return begin + left
            left -= end - begin
    return None


def naive(
    calendar: WorkCalendar, busy: Mapping[int, Sequence[Pair]], first: date, days: int, step: int, length: timedelta
) -> Found:
    """Datetimes, and every busy time looked at for every start."""
    found = []
    for number in range(days):
        day = first + timedelta(days=number)
        spans = calendar.spans_of(day)
        for id, taken in busy.items():
            for start in starts_of(calendar, day, step):
                end = end_of(spans, start, length)
                if end is not None and not any(begin < end and close > start for begin, close in taken):
                    found.append((id, start))
    return found


Sorted = dict[int, tuple[list[datetime], list[datetime]]]


def merged(busy: Mapping[int, Sequence[Pair]]) -> Sorted:
    """Returns the busy times of each as sorted beginnings and ends that do not overlap."""
    prepared: Sorted = {}
    for id, taken in busy.items():
        begins: list[datetime] = []
        ends: list[datetime] = []
        for begin, end in sorted(taken):
            if ends and begin <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                begins.append(begin)
                ends.append(end)
        prepared[id] = begins, ends
    return prepared


Grid = list[list[Pair]]


def grid_of(calendar: WorkCalendar, first: date, days: int, step: int, length: timedelta) -> Grid:
    """Returns for each day the slots of somebody who is always free."""
    found = []
    for number in range(days):
        day = first + timedelta(days=number)
        spans = calendar.spans_of(day)
        pairs = ((start, end_of(spans, start, length)) for start in starts_of(calendar, day, step))
        found.append([(start, end) for start, end in pairs if end is not None])
    return found


def bisected(prepared: Sorted, grid: Grid) -> Found:
    """Sorted intervals and bisect; the grid's ends are made beforehand."""
    found = []
    for slots in grid:
        for id, (begins, ends) in prepared.items():
            for start, end in slots:
                place = bisect_right(ends, start)
                if place == len(begins) or begins[place] >= end:
                    found.append((id, start))
    return found


class Minutes:
    """What numpy and C are given: working cells of five minutes in one row, who is busy in which, and the grid."""

    def __init__(self, calendar: WorkCalendar, first: date, days: int, step: int, length: timedelta) -> None:
        self.length = int(length / (5 * MINUTE))
        self.cells: list[datetime] = []
        self.starts: list[int] = []
        for number in range(days):
            day = first + timedelta(days=number)
            moments = [
                b + k * 5 * MINUTE for b, e in calendar.spans_of(day) for k in range(int((e - b) / (5 * MINUTE)))
            ]
            on_grid = set(starts_of(calendar, day, step))
            here = range(max(0, len(moments) - self.length + 1))
            self.starts += [len(self.cells) + place for place in here if moments[place] in on_grid]
            self.cells += moments
        self._stamps = [moment.timestamp() for moment in self.cells]

    def taken(self, pairs: Sequence[Pair]) -> bytearray:
        """Returns a byte for each cell: 1 where busy."""
        row = bytearray(len(self.cells))
        for begin, end in pairs:
            low = bisect_right(self._stamps, begin.timestamp() - 300)
            high = bisect_left(self._stamps, end.timestamp())
            if high > low:
                row[low:high] = b"\1" * (high - low)
        return row


def numpy_or_none() -> Any:
    """Returns numpy where it is installed."""
    return importlib.import_module("numpy") if importlib.util.find_spec("numpy") else None


def summed(np: Any, row_sums: Any, minutes: Minutes, starts: Any) -> list[tuple[int, int]]:
    """Prefix sums: a slot is free where the sum does not grow over it; (row, start) pairs."""
    free = row_sums[:, starts + minutes.length] == row_sums[:, starts]
    return [(int(row), int(start)) for row, start in np.argwhere(free)]


C_SOURCE = """
/* busy: n rows of cells bytes; starts: m beginnings; out: pairs (row, start); returns how many */
long slots(const unsigned char *busy, long n, long cells, const int *starts, long m, long length, int *out) {
    long found = 0;
    for (long row = 0; row < n; row++) {
        const unsigned char *line = busy + row * cells;
        long free_from = 0, place = 0;
        for (long s = 0; s < m; s++) {
            long start = starts[s], end = start + length;
            if (place < start) { place = start; free_from = start; }
            for (; place < end; place++) if (line[place]) free_from = place + 1;
            if (free_from <= start) { out[2 * found] = (int)row; out[2 * found + 1] = (int)start; found++; }
        }
    }
    return found;
}
"""


def compiled(folder: Path) -> Any:
    """Returns the loop in C, or None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, library = folder / "slots.c", folder / "slots.so"
    source.write_text(C_SOURCE)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    loop = ctypes.CDLL(str(library)).slots
    loop.restype = ctypes.c_long
    loop.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_long, ctypes.c_long,
                     ctypes.c_void_p]  # fmt: skip
    return loop


def looped(loop: Any, busy: bytes, minutes: Minutes, people: int) -> list[tuple[int, int]]:
    """Runs the loop in C; (row, start) pairs."""
    starts = array("i", minutes.starts)
    out = array("i", bytes(8 * people * max(1, len(starts))))
    count = loop(
        ctypes.c_char_p(busy), people, len(minutes.cells), starts.buffer_info()[0], len(starts), minutes.length,
        out.buffer_info()[0],
    )  # fmt: skip
    return list(zip(out[0 : 2 * count : 2], out[1 : 2 * count : 2], strict=True))


def in_order(pairs: Sequence[tuple[int, int]], minutes: Minutes, ids: Sequence[int]) -> set[tuple[int, datetime]]:
    """Returns (row, start) pairs as the slots that they mean."""
    return {(ids[row], minutes.cells[start].astimezone(UTC)) for row, start in pairs}
