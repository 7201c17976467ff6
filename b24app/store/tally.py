"""Counts of our own tables in a few looks: /metrics shows them, health and the notice to administrators tell them.

What events came is counted on the way: each reconciliation adds what is new to one row a kind of event (cursors), so
that nobody reads a month of deliveries to say when the last one came.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.overview import Alarm

LEFT_ALONE = timedelta(minutes=10)
"""A failed delivery that nobody acted on for so long needs to be told of."""
TIMER_LATE = timedelta(minutes=2)
OPEN = ("waiting", "running")
SMS = '%"method": "sms:send"%'
"""How the journal's JSON says that a write is an SMS (bitrix/commands.py); text is looked through faster than JSON."""
PEOPLE = "people"
"""The snapshot of people whom the rules name by number and who are dismissed or unknown (handlers/admin_notice.py)."""
EVENTS_SEEN, EVENT = "events_seen", "event:"
BEAT = ("", "clock_beat")
"""Where the clock leaves its pulse (engine/clock.py)."""

deliveries, commands, timers, cursors = schema.deliveries, schema.commands, schema.timers, schema.cursors


@dataclass(frozen=True)
class EventCount:
    """Events of one kind: how many came and when the last, and what reconciliations found that no event told.

    `rounds`: in so many reconciliations one after another some were found and none had come.
    """

    seen: int = 0
    last_at: datetime | None = None
    found: int = 0
    rounds: int = 0


@dataclass(frozen=True)
class Failed:
    """Failed deliveries of one code; `left_alone` of them for LEFT_ALONE, the newest of these since `newest_at`."""

    count: int
    left_alone: int
    newest_at: datetime | None


@dataclass(frozen=True)
class TokenState:
    """Whose token it is, and since when it is not renewed any more."""

    user_id: int
    role: str
    updated_at: datetime
    dead_at: datetime | None
    dead_reason: str | None


@dataclass(frozen=True)
class Waiting:
    """Open deliveries: how many, when the oldest came, since when the latest one is due."""

    count: int = 0
    oldest_at: datetime | None = None
    due_at: datetime | None = None


@dataclass(frozen=True)
class Timers:
    """Timers that are set; `late` of them should have fired, the first at `next_at`."""

    count: int = 0
    late: int = 0
    next_at: datetime | None = None


@dataclass(frozen=True)
class PortalTally:
    """One portal; `events` and `failed` by code, `gone` are people of the rules by number, `visits` by state."""

    waiting: Waiting = Waiting()
    timers: Timers = Timers()
    failed: Mapping[str, Failed] = field(default_factory=dict)
    events: Mapping[str, EventCount] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()
    tokens: tuple[TokenState, ...] = ()
    gone: Mapping[int, str] = field(default_factory=dict)
    visits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tally:
    """The whole: every active portal, and what is not counted by portal."""

    portals: Mapping[str, PortalTally]
    hosts: Mapping[str, str]
    deliveries: Mapping[tuple[str, str], int]
    accepted: int
    commands: Mapping[str, int]
    sms: Mapping[str, int]
    beat_at: datetime | None


def tally(database: Database, now: datetime) -> Tally:
    """Returns all counts; it looks through every delivery and every write that is kept."""
    kind, state = deliveries.c.kind, deliveries.c.state
    by_state = sa.select(kind, state, sa.func.count(), sa.func.max(deliveries.c.id)).group_by(kind, state)
    is_sms = sa.cast(commands.c.command, sa.Text).like(SMS)
    by_command = sa.select(commands.c.state, sa.func.count(), sa.func.count().filter(is_sms))
    hosts = sa.select(schema.portals.c.member_id, schema.portals.c.host).where(schema.portals.c.status == "active")
    with database.read() as connection:
        counted = connection.execute(by_state).all()
        written = connection.execute(by_command.group_by(commands.c.state)).all()
        return Tally(
            portals=of_portals(connection, now),
            hosts={row[0]: row[1] for row in connection.execute(hosts)},
            deliveries={(row[0], row[1]): row[2] for row in counted},
            accepted=max((row[3] for row in counted), default=0),  # ids are never reused
            commands={row[0]: row[1] for row in written},
            sms={row[0]: row[2] for row in written if row[2]},
            beat_at=beat_of(connection),
        )


def beat_of(connection: sa.Connection) -> datetime | None:
    """Returns when the clock last ticked."""
    mine = sa.and_(cursors.c.member_id == BEAT[0], cursors.c.name == BEAT[1])
    return connection.execute(sa.select(cursors.c.updated_at).where(mine)).scalar()


def of_portal(memory: Memory) -> PortalTally:
    """Returns the counts of the memory's portal."""
    return of_portals(memory.connection, memory.now, memory.member_id).get(memory.member_id, PortalTally())


def of_portals(connection: sa.Connection, now: datetime, member_id: str = "") -> dict[str, PortalTally]:
    """Returns the counts of every active portal, or of one; no table is looked through as a whole."""

    def rows(table: sa.Table, *names: str, where: sa.ColumnElement[bool] | None = None) -> Iterable[Any]:
        return connection.execute(mine(table, where, *(table.c[name] for name in names)))

    def counted(
        table: sa.Table, *counts: Any, by: Sequence[str] = (), where: sa.ColumnElement[bool] | None = None
    ) -> Iterable[Any]:
        groups = [table.c[name] for name in by]
        return connection.execute(mine(table, where, *groups, *counts).group_by(table.c.member_id, *groups))

    def mine(table: sa.Table, where: sa.ColumnElement[bool] | None, *columns: Any) -> sa.Select[Any]:
        query = sa.select(table.c.member_id, *columns).where(sa.true() if where is None else where)
        return query.where(table.c.member_id == member_id) if member_id else query

    count, least = sa.func.count(), sa.func.min
    due_at, ended_at, timer_at = deliveries.c.due_at, deliveries.c.finished_at, timers.c.due_at
    alone = sa.case((ended_at <= now - LEFT_ALONE, ended_at))
    late = sa.func.count(sa.case((timer_at < now - TIMER_LATE, 1)))
    is_open, is_failed = deliveries.c.state.in_(OPEN), deliveries.c.state == "failed"
    opened = counted(deliveries, count, least(deliveries.c.received_at), least(due_at), where=is_open)
    waiting = {id: Waiting(*found) for id, *found in opened}
    set_timers = {id: Timers(*found) for id, *found in counted(timers, count, late, least(timer_at))}
    failures = counted(deliveries, count, sa.func.count(alone), sa.func.max(alone), by=["code"], where=is_failed)
    failed = _nested((id, code, Failed(*found)) for id, code, *found in failures)
    kept = rows(cursors, "name", "value", where=cursors.c.name.startswith(EVENT))
    events = _nested((id, name.removeprefix(EVENT), _event_count(value)) for id, name, value in kept)
    alarms = _nested((id, key, Alarm(key, *more)) for id, key, *more in rows(schema.alarms, "key", "text", "since"))
    pairs = rows(schema.tokens, "user_id", "role", "updated_at", "dead_at", "dead_reason")
    tokens = _nested((id, user_id, TokenState(user_id, *more)) for id, user_id, *more in pairs)
    people = rows(schema.snapshots, "value", where=schema.snapshots.c.name == PEOPLE)
    gone = {id: {int(user_id): name for user_id, name in value["gone"].items()} for id, value in people}
    visits = _nested(counted(schema.visits, count, by=["state"]))
    return {
        id: PortalTally(
            waiting=waiting.get(id, Waiting()),
            timers=set_timers.get(id, Timers()),
            failed=failed[id],
            events=events[id],
            alarms=tuple(sorted(alarms[id].values(), key=lambda alarm: alarm.since)),
            tokens=tuple(tokens[id].values()),
            gone=gone.get(id, {}),
            visits=visits[id],
        )
        for (id,) in rows(schema.portals, where=schema.portals.c.status == "active")
    }


def _nested(triples: Iterable[Any]) -> defaultdict[str, dict[Any, Any]]:
    found: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
    for id, key, value in triples:
        found[id][key] = value
    return found


# what events came


def count_events(memory: Memory, found: Mapping[str, int]) -> None:
    """Adds the events that came since the last call, and how many of each kind were `found` without one.

    To be called at the end of a reconciliation: what that put into the inbox itself did not come.
    """
    last = int(memory.cursor(EVENTS_SEEN) or 0)
    own = min(memory.new_deliveries, default=None)
    mine = [deliveries.c.member_id == memory.member_id, deliveries.c.kind == "event", deliveries.c.id > last]
    if own is not None:
        mine.append(deliveries.c.id < own)
    code, newest = deliveries.c.code, sa.func.max(deliveries.c.id)
    query = sa.select(code, sa.func.count(), sa.func.max(deliveries.c.received_at), newest).where(*mine).group_by(code)
    came = {row[0]: row for row in memory.connection.execute(query)}
    for code_name in {*came, *found}:
        name = f"{EVENT}{code_name}"[:64]
        before = _event_count(memory.cursor(name))
        _, seen, last_at, _ = came.get(code_name, (code_name, 0, None, 0))
        number = found.get(code_name, 0)
        after = {
            "seen": before.seen + seen,
            "last": str(last_at or before.last_at or ""),
            "found": before.found + number,
            "rounds": 0 if seen else before.rounds + (number > 0),
        }
        memory.move_cursor(name, json.dumps(after))
    memory.move_cursor(EVENTS_SEEN, str(max([last, *memory.new_deliveries, *(row[3] for row in came.values())])))


def _event_count(value: str | None) -> EventCount:
    if value is None:
        return EventCount()
    kept = cast(dict[str, Any], json.loads(value))
    last_at = datetime.fromisoformat(kept["last"]) if kept["last"] else None
    return EventCount(kept["seen"], last_at, kept["found"], kept["rounds"])
