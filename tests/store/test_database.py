"""The database: migrations equal the tables, several processes may migrate at once, moments survive exactly."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from b24app.errors import ConfigError
from b24app.store import schema
from b24app.store.database import Database


def test_the_migrations_bring_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert database.is_migrated()
    database.migrate()
    assert database.is_migrated()


def test_a_fresh_database_is_not_migrated(tmp_path: Path) -> None:
    fresh = Database(f"sqlite:///{tmp_path / 'new' / 'b24app.db'}")
    assert not fresh.is_migrated()
    fresh.dispose()


def test_three_processes_may_migrate_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'b24app.db'}"
    code = f"from b24app.store.database import Database; d = Database({url!r}); d.migrate(); print(d.is_migrated())"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(one.communicate(timeout=60)[0].strip(), one.returncode) for one in started] == [("True", 0)] * 3


def test_sqlite_keeps_what_was_committed_through_power_loss(database: Database) -> None:
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def insert_and_fail() -> None:
        with database.write() as connection:
            connection.execute(
                sa.insert(schema.cursors),
                {"member_id": "m", "name": "n", "value": "1", "updated_at": datetime.now(UTC)},
            )
            raise KeyError("x")

    with pytest.raises(KeyError):
        insert_and_fail()
    with database.read() as connection:
        assert connection.execute(sa.select(schema.cursors)).all() == []


def test_a_naive_time_is_a_mistake(database: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive time"), database.write() as connection:
        connection.execute(
            sa.insert(schema.cursors),
            {"member_id": "m", "name": "n", "value": "1", "updated_at": datetime(2026, 1, 1)},  # noqa: DTZ001
        )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 4_000_000_000_000_000), st.sampled_from([UTC, timezone(timedelta(hours=3))]))
def test_moments_come_back_to_the_microsecond(microseconds: int, zone: timezone) -> None:
    """The Idempotency-Key of a task is made of one: it must be the same before and after the database."""
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).astimezone(zone)
    kind, dialect = schema.Moment(), sa.create_engine("sqlite://").dialect
    back = kind.process_result_value(kind.process_bind_param(at, dialect), dialect)
    assert back == at
    assert str(back) == str(at.astimezone(UTC))


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "nothing"])
def test_another_database_is_refused_in_words(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[database\] url"):
        Database(url)
