"""One stage for all faults, the seed of what is chosen by chance, and the table at the end."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from journeys.office import running
from journeys.shop import Shop

from .stage import running_stage
from .tally import Tally
from .trials import RED

SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
TALLY = pytest.StashKey[Tally]()
ELSEWHERE = ("test_faults.py", "test_storm.py", "test_sms.py", "test_installation.py")
"""Journeys with faults of their own: those that run are counted, one test a fault."""


def pytest_configure(config: pytest.Config) -> None:
    """Begins the table."""
    config.stash[TALLY] = Tally(apart={RED})


def pytest_report_header() -> str:
    """Names the seed."""
    return f"chaos: CHAOS_SEED={SEED}"


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """The table that the end of the run prints."""
    return request.config.stash[TALLY]


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance by the seed and the test's name: a test alone chooses as it does among others."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop on its stage."""
    with running_stage(tmp_path_factory.mktemp("chaos")) as shop:
        yield shop


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed:
        for office in running:
            report.sections += [(f"{office.folder.name}/{name}", text[-4000:]) for name, text in office.logs_since({})]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the table."""
    tally = config.stash[TALLY]
    if not tally.parts:
        return
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            file = report.nodeid.partition("::")[0].rpartition("/")[2]
            if report.when == "call" and file in ELSEWHERE:
                row = tally.row("journeys with faults of their own", file)
                row.add(lost=int(outcome == "failed"))
                row.seconds += report.duration
    terminalreporter.section(f"chaos, CHAOS_SEED={SEED}")
    for line in tally.lines():
        terminalreporter.write_line(line)
