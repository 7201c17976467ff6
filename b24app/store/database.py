"""The database: SQLite by default, PostgreSQL by its url. The only file with SQL that just one of them knows.

SQLite runs in WAL with synchronous=FULL: a committed delivery survives power loss, and Bitrix24 never sends it again.
Writers take the lock at the start (BEGIN IMMEDIATE); inside one process they queue on a lock of ours first, since
SQLite's own waiting sleeps and wakes unfairly.

On PostgreSQL reads are REPEATABLE READ, so that one `read()` sees one moment as on SQLite; writes are READ COMMITTED:
whoever decides waits on `serialise`, and every other write names in its WHERE the state that it was decided from.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import QueuePool

from b24app.errors import ConfigError

BUSY_SECONDS = 15
IDLE_SECONDS = 10
"""So long may a PostgreSQL transaction stand still: a machine that vanished in one gives its locks back before those
who wait for them give up."""
PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 20_000,  # milliseconds; by its own TCP waits a quarter of an hour
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""When a PostgreSQL that does not answer counts as gone (libpq)."""
DATABASE_TROUBLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
"""What passes by itself or by an administrator: down, locked, full, a deadlock, no connection free. Other errors of SQL
are mistakes of ours."""
MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """Connections for short transactions: `read()` and `write()`. Never hold one over an HTTP call."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except sa.exc.ArgumentError as error:
            # without the url: its password would stand in the journal
            raise ConfigError("[database] url: не адрес базы данных / not a database address") from error
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(
                f"[database] url: sqlite или postgresql / sqlite or postgresql, not {parsed.drivername!r}"
            )
        self.url = url
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            if not parsed.database or parsed.database == ":memory:":
                raise ConfigError("[database] url: нужен файл, например sqlite:///var/b24app.db / a file is needed")
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(
                url, poolclass=QueuePool, pool_size=10, max_overflow=20, connect_args={"timeout": BUSY_SECONDS}
            )
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            self._reader = self.engine
        else:
            psycopg = parsed.set(drivername="postgresql+psycopg")  # the driver that is installed
            self.engine = sa.create_engine(
                psycopg, pool_size=10, max_overflow=20, pool_pre_ping=True, connect_args=PATIENCE
            )
            sa.event.listen(self.engine, "connect", _prepare_postgresql)
            self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writers: threading.Lock | nullcontext[None] = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yields a connection with one consistent view; nothing may be written through it."""
        with self._reader.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection
            connection.rollback()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yields a connection inside a write transaction; commits at the end, rolls back on an error."""
        with self._writers, self.engine.connect() as connection:
            try:
                if self.is_sqlite:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    connection.begin()
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def serialise(self, connection: sa.Connection, name: str) -> None:
        """Makes transactions that serialise on the same name wait for each other (SQLite has one writer anyway)."""
        if not self.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))

    def upsert(self, table: sa.Table, values: dict[str, Any], keys: tuple[str, ...]) -> sa.Insert:
        """Returns the statement that inserts the row, or overwrites the one with the same keys."""
        statement = (sqlite.insert if self.is_sqlite else postgresql.insert)(table).values(values)
        changed = {name: statement.excluded[name] for name in values if name not in keys}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=changed)

    def insert_once(self, table: sa.Table, values: dict[str, Any] | None = None) -> sa.Insert:
        """Returns the statement that inserts the row, or does nothing where a unique key already stands.

        Without `values` it can be kept and executed with each row: building it costs more than the INSERT.
        """
        statement = (sqlite.insert if self.is_sqlite else postgresql.insert)(table)
        return (statement if values is None else statement.values(values)).on_conflict_do_nothing()

    def skip_numbers(self, connection: sa.Connection, table: sa.Table, count: int) -> None:
        """Leaves out the next `count` numbers of the table's rows."""
        if self.is_sqlite:
            of = {"table": table.name}
            kept = sa.text("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = :table")
            last = connection.execute(kept, of).scalar_one()
            connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :table"), of)
            later = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)")
            connection.execute(later, of | {"last": last + count})
        else:
            sequence = sa.func.pg_get_serial_sequence(table.name, "id")
            connection.execute(sa.select(sa.func.setval(sequence, sa.func.nextval(sequence) + count)))

    def migrate(self, revision: str = "head") -> None:
        """Brings the database to the newest schema; safe to call from several processes at once.

        ConfigError, in words, where the database does not answer: every program of ours begins with this.
        """
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS))
        try:
            with self.write() as connection:
                if not self.is_sqlite:
                    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # another process may be long over it
                self.serialise(connection, "migrate")
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
        except sa.exc.OperationalError as error:
            reason = f"база данных не отвечает / the database does not answer: {error.orig}"
            raise ConfigError(f"[database] url: {reason}") from error

    def is_migrated(self) -> bool:
        """Tells whether the schema is the newest one that this version knows."""
        head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        with self.read() as connection:
            return MigrationContext.configure(connection).get_current_revision() == head

    def dispose(self) -> None:
        """Closes every connection (before a fork, and at the end)."""
        self.engine.dispose()


@compiles(sa.String, "postgresql")
def _unmeasured(_type: sa.String, _compiler: Any, **_options: Any) -> str:
    """SQLite does not measure what stands in a VARCHAR(n); PostgreSQL must not fail on what is a little longer."""
    return "TEXT"


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are ours to begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    patience = {"lock_timeout": BUSY_SECONDS, "idle_in_transaction_session_timeout": IDLE_SECONDS}
    connection.execute("; ".join(f"SET {name} = '{seconds}s'" for name, seconds in patience.items()))
    connection.commit()
