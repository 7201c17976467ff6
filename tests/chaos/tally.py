"""The table of a run: what was tried, what survived, what was lost or doubled.

Each test fills a part of it and records that as a property ("chaos", `kept()`); `of` puts the parts together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

RED = "guards taken away: each run must be red"
"""The part that does not count in the sum of everything: there, red is right."""
ELSEWHERE = ("test_faults.py", "test_storm.py", "test_sms.py", "test_installation.py", "test_postgresql.py")
"""Journeys with faults of their own: those that run are counted, one test a fault."""
COUNTED = ("tried", "survived", "lost", "doubled", "unmet", "seconds")


@dataclass
class Row:
    """One line of the table. `unmet` faults found nothing to break: the run went another way before."""

    name: str
    tried: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    unmet: int = 0
    seconds: float = 0.0

    def add(self, lost: int = 0, doubled: int = 0, *, met: bool = True) -> None:
        """Counts one fault: what was lost and doubled by it."""
        self.tried += met
        self.unmet += not met
        self.lost += lost
        self.doubled += doubled
        self.survived += met and not lost and not doubled

    def take(self, other: Row) -> None:
        """Adds what another line counted."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return not self.lost and not self.doubled


@dataclass
class Tally:
    """All lines, in the order in which they began, in named parts."""

    parts: dict[str, dict[str, Row]] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: Iterable[list[tuple[str, dict[str, Any]]]]) -> Tally:
        """Returns the table of what tests kept."""
        tally = cls()
        for part, values in (row for rows in kept for row in rows):
            tally.row(part, values["name"]).take(Row(**values))
        return tally

    def kept(self) -> list[tuple[str, dict[str, Any]]]:
        """Returns every line with its part, as plain values."""
        return [(part, asdict(row)) for part, rows in self.parts.items() for row in rows.values()]

    def row(self, part: str, name: str) -> Row:
        """Returns the line of this name, a new one where there is none."""
        return self.parts.setdefault(part, {}).setdefault(name, Row(name))

    def count_elsewhere(self, reports: Iterable[pytest.TestReport]) -> None:
        """Counts the tests of `ELSEWHERE` that ran."""
        for report in reports:
            file = report.nodeid.partition("::")[0].rpartition("/")[2]
            if file in ELSEWHERE:
                row = self.row("journeys with faults of their own", file)
                row.seconds += report.duration
                if report.when == "call":
                    row.add(lost=int(report.failed))

    def lines(self) -> Iterable[str]:
        """Yields the table as text: one line a row, a sum for each part, and one of everything."""
        head = f"{'':<58}{'tried':>7}{'survived':>10}{'lost':>6}{'doubled':>9}{'unmet':>7}{'s':>8}"
        every = Row("everything")
        for part, rows in self.parts.items():
            yield f"{part:<58}{head[58:]}"
            total = Row(f"  = {part}")
            for row in rows.values():
                yield _line(row, indent="  ")
                total.take(row)
            if part == RED:
                continue
            every.take(total)
            if len(rows) > 1:
                yield _line(total)
        yield _line(every)


def _line(row: Row, indent: str = "") -> str:
    return (
        f"{indent + row.name:<58}{row.tried:>7}{row.survived:>10}{row.lost:>6}{row.doubled:>9}{row.unmet:>7}"
        f"{row.seconds:>8.1f}"
    )
