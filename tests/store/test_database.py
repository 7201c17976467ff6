"""The database: migrations equal the tables, several processes may migrate at once, moments survive exactly.

A PostgreSQL that stops, dies or has lost a client is waited for no longer than the code says.
"""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgresql import Server

from b24app.errors import ConfigError
from b24app.store import database as module
from b24app.store import schema
from b24app.store.database import Database

ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
CURSOR = {"member_id": "m", "name": "n", "value": "1", "updated_at": datetime(2026, 11, 23, tzinfo=UTC)}


@pytest.fixture(params=["sqlite", "postgresql"])
def unmigrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "sqlite":
        empty = Database(f"sqlite:///{tmp_path / 'new' / 'b24app.db'}")
    else:
        empty = Database(request.getfixturevalue("postgresql").empty())
    yield empty
    empty.dispose()


def keep(database: Database, **changes: Any) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(schema.cursors), {**CURSOR, **changes})


def cursors(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.cursors)).scalar_one()


def differences(database: Database) -> list[Any]:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, schema.metadata)


def test_the_migrations_bring_exactly_the_tables_of_the_code(database: Database) -> None:
    assert differences(database) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert database.is_migrated()
    database.migrate()
    assert database.is_migrated()


def test_a_fresh_database_is_not_migrated(unmigrated: Database) -> None:
    assert not unmigrated.is_migrated()


def test_three_processes_may_migrate_at_once(unmigrated: Database) -> None:
    code = (
        f"from b24app.store.database import Database; d = Database({unmigrated.url!r}); "
        "d.migrate(); print(d.is_migrated()); d.dispose()"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(one.communicate(timeout=60)[0].strip(), one.returncode) for one in started] == [("True", 0)] * 3


def test_what_the_first_version_kept_is_there_in_the_newest(unmigrated: Database) -> None:
    unmigrated.migrate("0001")
    tables = _tables(unmigrated)
    _fill(unmigrated, tables)
    before = _contents(unmigrated, tables)
    assert all(before.values())
    unmigrated.migrate()
    assert _contents(unmigrated, tables) == before
    assert differences(unmigrated) == []


def test_processes_of_the_first_version_go_on_beside_the_newest_schema(unmigrated: Database) -> None:
    """Machines are upgraded one after another, and whoever is first migrates."""
    unmigrated.migrate("0001")
    tables = _tables(unmigrated)
    unmigrated.migrate()
    _fill(unmigrated, tables)
    assert all(_contents(unmigrated, tables).values())


DIES_WITHIN = """
import os, signal, sys
import sqlalchemy as sa
from b24app.store.database import Database
database, left = Database(sys.argv[1]), int(sys.argv[2])

def die(*_, **__):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(database.engine, "after_cursor_execute", die)
database.migrate()
"""


def test_whoever_dies_within_a_migration_leaves_it_to_the_next(unmigrated: Database) -> None:
    """T16: after each of its statements."""
    unmigrated.migrate("0001")
    tables = _tables(unmigrated)
    _fill(unmigrated, tables)
    before = _contents(unmigrated, tables)
    for statement in itertools.count(1):
        done = subprocess.run([sys.executable, "-c", DIES_WITHIN, unmigrated.url, str(statement)], check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert not unmigrated.is_migrated()
        assert len(_tables(unmigrated)) == len(tables)
    assert statement > 5
    assert unmigrated.is_migrated()
    assert differences(unmigrated) == []
    assert _contents(unmigrated, tables) == before


def _tables(database: Database) -> list[sa.Table]:
    found = sa.MetaData()
    found.reflect(database.engine)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def _fill(database: Database, tables: list[sa.Table]) -> None:
    with database.write() as connection:
        for table in tables:
            connection.execute(sa.insert(table).values({column.name: _any_value(column) for column in table.columns}))


def _any_value(column: sa.Column[Any]) -> Any:
    match column.type:
        case sa.JSON():
            return {"текст": [1, None]}
        case sa.String():
            return f"«{column.name}»"
        case sa.Boolean():
            return True
        case _:
            return 1


def _contents(database: Database, tables: list[sa.Table]) -> dict[str, list[tuple[Any, ...]]]:
    with database.read() as connection:
        return {table.name: [tuple(row) for row in connection.execute(sa.select(table))] for table in tables}


def test_a_backup_of_a_living_database_is_restored_whole(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """By the commands of docs/operating.md."""
    keep(database)
    if database.is_sqlite:
        url = f"sqlite:///{tmp_path / 'backup.db'}"
        with closing(sqlite3.connect(tmp_path / "b24app.db")) as living, closing(sqlite3.connect(url[10:])) as backup:
            living.backup(backup)
    else:
        server: Server = request.getfixturevalue("postgresql")
        url = server.empty()
        server.put_back(url, server.backup(database.url))
    keep(database, name="later")
    restored = Database(url)
    assert restored.is_migrated()
    assert cursors(restored) == 1
    assert differences(restored) == []
    restored.dispose()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_keeps_what_was_committed_through_power_loss(database: Database) -> None:
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


@pytest.mark.parametrize("rows", [0, 3])
def test_numbers_that_were_given_away_are_skipped(database: Database, rows: int) -> None:
    table = schema.visits
    named = {column.name: _any_value(column) for column in table.columns if not column.nullable and column.name != "id"}
    row = named | {"starts_at": CURSOR["updated_at"], "ends_at": CURSOR["updated_at"], "state": "cancelled"}
    row |= {"made_at": CURSOR["updated_at"], "changed_at": CURSOR["updated_at"]}
    with database.write() as connection:
        for _ in range(rows):
            connection.execute(sa.insert(table).values(row))
        database.skip_numbers(connection, table, 1000)
    with database.write() as connection:
        (id,) = connection.execute(sa.insert(table).values(row)).inserted_primary_key
    assert 1000 < id <= 1000 + rows + 2


def test_a_read_sees_one_moment(database: Database) -> None:
    count = sa.select(sa.func.count()).select_from(schema.cursors)
    with database.read() as connection:
        assert connection.execute(count).scalar_one() == 0
        keep(database)
        assert connection.execute(count).scalar_one() == 0
    assert cursors(database) == 1


@ON_POSTGRESQL
def test_nothing_is_written_by_a_read(database: Database) -> None:
    with pytest.raises(sa.exc.InternalError, match="read-only"), database.read() as connection:
        connection.execute(sa.insert(schema.cursors), CURSOR)
    keep(database)  # the next one that gets the connection may write


def test_a_text_that_is_longer_than_its_column_says_is_kept(database: Database) -> None:
    """Not every name is measured before it is kept, and a queue of forty people has a long one."""
    keep(database, name="n" * 200)
    assert cursors(database) == 1


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def insert_and_fail() -> None:
        with database.write() as connection:
            connection.execute(sa.insert(schema.cursors), CURSOR)
            raise KeyError("x")

    with pytest.raises(KeyError):
        insert_and_fail()
    assert cursors(database) == 0


def test_a_naive_time_is_a_mistake(database: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive time"):
        keep(database, updated_at=datetime(2026, 1, 1))  # noqa: DTZ001


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


def test_the_password_of_an_address_that_is_none_is_not_told() -> None:
    with pytest.raises(ConfigError) as told:
        Database("postgresql//b24app:secret@db/b24app")
    assert "secret" not in str(told.value)


def test_a_database_that_does_not_answer_is_told_in_words_when_a_program_starts() -> None:
    nowhere = Database("postgresql://b24app:secret@127.0.0.1:1/b24app")
    with pytest.raises(ConfigError, match=r"\[database\] url: .*the database does not answer") as told:
        nowhere.migrate()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_any_address_of_a_postgresql_goes_by_the_driver_that_is_installed(scheme: str) -> None:
    database = Database(f"{scheme}://b24app:secret@db.example.ru/b24app")
    assert database.engine.dialect.driver == "psycopg"
    assert database.engine.url.password == "secret"


@ON_POSTGRESQL
@pytest.mark.parametrize("killed", [False, True])
def test_a_server_that_was_restarted_is_met_again_at_once(database: Database, postgresql: Server, killed: bool) -> None:
    keep(database)
    postgresql.stop(killed=killed)
    with pytest.raises(sa.exc.OperationalError):
        cursors(database)
    with pytest.raises(sa.exc.OperationalError):
        keep(database, name="while it is down")
    postgresql.start()
    assert cursors(database) == 1
    keep(database, name="again")
    assert cursors(database) == 2


@ON_POSTGRESQL
def test_a_transaction_in_which_the_server_dies_is_no_more(database: Database, postgresql: Server) -> None:
    def write_and_lose() -> None:
        with database.write() as connection:
            connection.execute(sa.insert(schema.cursors), CURSOR)
            postgresql.stop(killed=True)
            postgresql.start()
            connection.execute(sa.insert(schema.cursors), {**CURSOR, "name": "other"})

    with pytest.raises(sa.exc.OperationalError):
        write_and_lose()
    assert cursors(database) == 0
    keep(database)


@ON_POSTGRESQL
def test_who_waits_for_a_lock_gives_up_and_who_vanished_with_it_loses_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 1)
    waiting = Database(database.url)
    monkeypatch.setattr(module, "IDLE_SECONDS", 2)
    vanished = Database(database.url)

    def wait() -> None:
        with waiting.write() as connection:
            waiting.serialise(connection, "claim")

    def vanish() -> None:
        with vanished.write() as connection:
            vanished.serialise(connection, "claim")
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                wait()
            wait()  # a second later the other one has stood still for too long
            connection.execute(sa.insert(schema.cursors), CURSOR)

    with pytest.raises(sa.exc.DBAPIError, match="idle-in-transaction"):
        vanish()
    assert cursors(database) == 0
    waiting.dispose()
    vanished.dispose()
