"""One stage for all faults, what is chosen by chance, and the table of what was tried."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator

import pytest
from journeys.office import running
from journeys.shop import Shop

from .stage import running_stage
from .tally import Tally


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """This test's part of the table that the end of the run prints."""
    tally = Tally()
    yield tally
    record_property("chaos", tally.kept())


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance by the run's seed and the test's name: a test alone chooses as it does among others."""
    return random.Random(f"{os.environ['CHAOS_SEED']} {request.node.name}")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop on its stage."""
    with running_stage(tmp_path_factory.mktemp("chaos")) as shop:
        yield shop


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Says at once what was not survived: the rest of a run takes an hour, and may be broken off."""
    if report.failed and hasattr(report, "node"):  # of the process that gathers the reports of the others
        print(f"\n{report.nodeid}\n{report.longreprtext[-4000:]}", file=sys.stderr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.failed:
        for office in running:
            report.sections += [(f"{office.folder.name}/{name}", text[-4000:]) for name, text in office.logs_since({})]
    return report
