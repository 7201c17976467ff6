"""The table of a run: what was tried, what survived, what was lost or doubled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


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

    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return not self.lost and not self.doubled


@dataclass
class Tally:
    """All lines, in the order in which they began, in named parts."""

    parts: dict[str, dict[str, Row]] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)
    """Parts that do not count in the sum of everything: there, red is right."""

    def row(self, part: str, name: str) -> Row:
        """Returns the line of this name, a new one where there is none."""
        return self.parts.setdefault(part, {}).setdefault(name, Row(name))

    def lines(self) -> Iterable[str]:
        """Yields the table as text: one line a row, a sum for each part, and one of everything."""
        head = f"{'':<58}{'tried':>7}{'survived':>10}{'lost':>6}{'doubled':>9}{'unmet':>7}{'s':>8}"
        every = Row("everything")
        for part, rows in self.parts.items():
            yield f"{part:<58}{head[58:]}"
            total = Row(f"  = {part}")
            for row in rows.values():
                yield _line(row, indent="  ")
                for sum in (total, *([every] if part not in self.apart else [])):
                    for name in ("tried", "survived", "lost", "doubled", "unmet", "seconds"):
                        setattr(sum, name, getattr(sum, name) + getattr(row, name))
            if len(rows) > 1 and part not in self.apart:
                yield _line(total)
        yield _line(every)


def _line(row: Row, indent: str = "") -> str:
    return (
        f"{indent + row.name:<58}{row.tried:>7}{row.survived:>10}{row.lost:>6}{row.doubled:>9}{row.unmet:>7}"
        f"{row.seconds:>8.1f}"
    )
