"""Visits: whose time is taken, when and for whom. Our own database is the truth; SQL, inside the caller's transaction.

A measurer's time is rows of five minutes (`visit_cells`): their primary key lets one visit have a cell, whoever asks
first, on every database. A partial unique index lets an item have one agreed visit. `Taken`: somebody was faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from b24app.rules.confirmation import AGREED, OCCUPYING, Happening, State, after
from b24app.store import schema
from b24app.store.memory import Memory

CELL = timedelta(minutes=5)
VISIT = "visit"
"""The timer's code with which an item's visit is looked at (handlers/visit.py)."""
URGENT_LOOK = 20
"""Priority of that look: after a ringing phone, before the rest; somebody has just pressed a button."""

table, cells = schema.visits, schema.visit_cells


class Taken(Exception):
    """The measurer's time was taken by somebody else; nothing was changed."""


@dataclass(frozen=True)
class VisitRow:
    """A visit as our database has it. `shown` is the state that portal and people were told last; "" is none."""

    id: int
    entity: str
    round: int
    work: str
    measurer_id: int
    starts_at: datetime
    ends_at: datetime
    state: State
    shown: State | str
    title: str
    address: str
    address_given: bool
    zone: str
    latitude: float | None
    longitude: float | None
    booked_by: int
    source: str
    agreed: bool
    hold_until: datetime | None
    confirm_at: datetime | None
    told: int
    calendar_id: int | None
    entry_delivery: int | None
    problem: str
    reason: str
    made_at: datetime
    changed_at: datetime

    @property
    def occupying(self) -> bool:
        """Whether it takes its measurer's time."""
        return self.state in OCCUPYING

    def same_time(self, measurer_id: int, starts_at: datetime) -> bool:
        """Whether it is with this measurer at this time."""
        return self.measurer_id == measurer_id and self.starts_at == starts_at


@dataclass(frozen=True)
class Wanted:
    """A time that somebody wants for an item: to be held until `hold_until`, or booked."""

    entity: str
    title: str
    work: str
    measurer_id: int
    starts_at: datetime
    ends_at: datetime
    address: str = ""
    address_given: bool = False
    zone: str = ""
    latitude: float | None = None
    longitude: float | None = None
    booked_by: int = 0
    source: str = "robot"
    hold_until: datetime | None = None

    @property
    def state(self) -> State:
        """The state of the visit that is wanted."""
        return "booked" if self.hold_until is None else "held"


# reading


def visit(memory: Memory, id: int) -> VisitRow | None:
    """Returns the visit of this number."""
    return next(iter(_rows(memory, table.c.id == id)), None)


def visits_of(memory: Memory, entity: str) -> list[VisitRow]:
    """Returns every visit of the item, the newest first."""
    return _rows(memory, table.c.entity == entity)


def occupying(memory: Memory, *, since: datetime, until: datetime | None = None) -> list[VisitRow]:
    """Returns the visits that take somebody's time after `since`; a hold whose time is over takes none."""
    live = sa.or_(table.c.state != "held", table.c.hold_until > memory.now)
    ends = table.c.starts_at < until if until is not None else sa.true()
    return _rows(memory, table.c.state.in_(OCCUPYING), table.c.ends_at > since, ends, live)


def on_board(memory: Memory, *, since: datetime, until: datetime) -> list[VisitRow]:
    """Returns the visits that people see on the board between two moments: taken time, and what was made there."""
    live = sa.or_(table.c.state != "held", table.c.hold_until > memory.now)
    states = (*OCCUPYING, "done", "nobody_home")
    return _rows(memory, table.c.state.in_(states), table.c.ends_at > since, table.c.starts_at < until, live)


def by_entry(memory: Memory, calendar_id: int) -> VisitRow | None:
    """Returns the visit whose calendar entry has this number."""
    number_entries(memory)
    return next(iter(_rows(memory, table.c.calendar_id == calendar_id)), None)


def loads(memory: Memory, *, since: datetime) -> dict[int, int]:
    """Returns how many visits every measurer has had or has since then: the fairest is who has the fewest."""
    query = (
        sa.select(table.c.measurer_id, sa.func.count())
        .where(
            table.c.member_id == memory.member_id,
            table.c.state.in_((*AGREED, "done", "nobody_home")),
            table.c.starts_at >= since,
        )
        .group_by(table.c.measurer_id)
    )
    return {row[0]: row[1] for row in memory.connection.execute(query)}


def _rows(memory: Memory, *where: sa.ColumnElement[bool]) -> list[VisitRow]:
    found = memory.connection.execute(
        sa.select(table).where(table.c.member_id == memory.member_id, *where).order_by(table.c.id.desc())
    ).mappings()
    return [VisitRow(**{name: row[name] for name in VisitRow.__dataclass_fields__}) for row in found]


# taking


def serialise(memory: Memory) -> None:
    """Lets whoever decides about measurers' time go one after another."""
    memory.database.serialise(memory.connection, f"visits:{memory.member_id}")


def take(memory: Memory, wanted: Wanted) -> VisitRow:
    """Holds (`hold_until`) or books a time for the item. Taken: somebody was faster, and nothing is changed.

    Booking moves the visit that was agreed before; a hold leaves it alone until it is booked. An item holds one time. A
    look at the item is ordered in the same transaction.
    """
    serialise(memory)
    _free_expired_holds(memory)
    rows = visits_of(memory, wanted.entity)
    agreed = next((row for row in rows if row.state in AGREED), None)
    draft = _draft(memory, rows)
    same = draft is not None and draft.same_time(wanted.measurer_id, wanted.starts_at)
    try:
        with memory.connection.begin_nested():
            if draft is not None and not same:
                turn(memory, draft, "move")
            if agreed is not None and _is_same(agreed, wanted):
                taken = agreed
            else:
                if agreed is not None and wanted.state == "booked":
                    turn(memory, agreed, "move", reason="другая дата / another date")
                if draft is not None and same:
                    taken = _grown(memory, draft, wanted, agreed)
                else:
                    taken = _new(memory, wanted, rows, agreed)
    except sa.exc.IntegrityError as error:
        raise Taken from error
    if taken.state == "held" and taken.hold_until is not None:
        memory.set_timer(hold_timer(taken.entity), code=VISIT, entity=taken.entity, due_at=taken.hold_until)
    else:
        memory.drop_timer(hold_timer(taken.entity))
    look(memory, wanted.entity)
    return taken


def propose(memory: Memory, wanted: Wanted) -> None:
    """Keeps a time that was found for the item and takes nobody's; an item that has a visit keeps that."""
    draft = _draft(memory, visits_of(memory, wanted.entity))
    rows = visits_of(memory, wanted.entity)
    if any(row.occupying for row in rows):
        return
    if draft is not None:
        turn(memory, draft, "cancel")
    _new(memory, wanted, rows, None, state="proposed")


def _draft(memory: Memory, rows: Sequence[VisitRow]) -> VisitRow | None:
    """The item's held or proposed time; a hold whose time is over ends here."""
    draft = next((row for row in rows if row.state in ("held", "proposed")), None)
    if draft is not None and draft.state == "held" and (draft.hold_until or memory.now) <= memory.now:
        turn(memory, draft, "expire")
        return None
    return draft


def hold_timer(entity: str) -> str:
    """Returns the key of the timer with which a hold ends."""
    return f"visit_hold:{entity}"


def remind_timer(entity: str) -> str:
    """Returns the key of the timer with which the manager is reminded to confirm."""
    return f"visit_confirm:{entity}"


def look(memory: Memory, entity: str) -> None:
    """Orders a look at the item's visit: what is to be done about it is done there."""
    memory.deliver(kind="timer", code=VISIT, entity=entity, payload={}, priority=URGENT_LOOK)


def _is_same(row: VisitRow, wanted: Wanted) -> bool:
    """Whether the agreed visit is what is wanted: with him, then, and so long."""
    same = row.same_time(wanted.measurer_id, wanted.starts_at) and row.ends_at == wanted.ends_at
    return same and row.work == wanted.work


def _already_agreed(before: VisitRow | None, wanted: Wanted) -> bool:
    """Whether the client agreed to that time already: only who comes is another one."""
    return before is not None and before.state == "confirmed" and before.starts_at == wanted.starts_at


def _grown(memory: Memory, row: VisitRow, wanted: Wanted, before: VisitRow | None) -> VisitRow:
    """The item's own held or proposed time is booked, or held (longer), as what is wanted now."""
    values: dict[str, Any] = {
        **_wanted_values(wanted),
        "booked_by": wanted.booked_by,
        "source": wanted.source,
        "hold_until": wanted.hold_until,
        **({"shown": "held"} if wanted.state == "held" else {"agreed": _already_agreed(before, wanted)}),
    }
    if row.state == wanted.state:
        keep(memory, row.id, values)
    else:
        turn(memory, row, "hold" if wanted.state == "held" else "book", **values)
    grown = replace(row, state=wanted.state, **values)
    _occupy(memory, grown)
    return grown


def _wanted_values(wanted: Wanted) -> dict[str, Any]:
    return {
        "work": wanted.work,
        "ends_at": wanted.ends_at,
        "title": wanted.title[:255],
        "address": wanted.address,
        "address_given": wanted.address_given,
        "zone": wanted.zone,
        "latitude": wanted.latitude,
        "longitude": wanted.longitude,
    }


def _new(
    memory: Memory, wanted: Wanted, rows: Sequence[VisitRow], before: VisitRow | None, state: State | None = None
) -> VisitRow:
    """A new row: of the next round where the item's time was agreed before; agreed already where only the person is
    another one.
    """
    rounds = [row.round for row in rows if row.state in (*AGREED, "done", "nobody_home") or row.entry_delivery]
    values = {
        "member_id": memory.member_id,
        "entity": wanted.entity,
        "round": max(rounds, default=0) + 1,
        **_wanted_values(wanted),
        "measurer_id": wanted.measurer_id,
        "starts_at": wanted.starts_at,
        "state": state or wanted.state,
        "shown": state or ("held" if wanted.state == "held" else ""),  # of these nobody is told
        "booked_by": wanted.booked_by,
        "source": wanted.source,
        "agreed": wanted.state == "booked" and state is None and _already_agreed(before, wanted),
        "hold_until": wanted.hold_until,
        "told": 0,
        "problem": "",
        "reason": "",
        "made_at": memory.now,
        "changed_at": memory.now,
    }
    id = memory.connection.execute(sa.insert(table).values(values).returning(table.c.id)).scalar_one()
    made = visit(memory, id)
    assert made is not None  # noqa: S101 it was inserted a line above
    if made.occupying:
        _occupy(memory, made)
    return made


def _occupy(memory: Memory, row: VisitRow) -> None:
    """Takes the cells of the visit, but for those that another visit of the same item has: a hold may overlap it."""
    memory.connection.execute(sa.delete(cells).where(cells.c.visit_id == row.id))
    own = sa.select(table.c.id).where(table.c.member_id == memory.member_id, table.c.entity == row.entity)
    wanted = cells_between(row.starts_at, row.ends_at)
    mine = set(
        memory.connection.execute(
            sa.select(cells.c.cell).where(
                cells.c.member_id == memory.member_id,
                cells.c.measurer_id == row.measurer_id,
                cells.c.cell.between(wanted.start, wanted.stop - 1),
                cells.c.visit_id.in_(own),
            )
        ).scalars()
    )
    rows = [
        {"member_id": memory.member_id, "measurer_id": row.measurer_id, "cell": cell, "visit_id": row.id}
        for cell in wanted
        if cell not in mine
    ]
    if rows:
        memory.connection.execute(sa.insert(cells), rows)


def cells_between(start: datetime, end: datetime) -> range:
    """Returns the cells that a time touches, in five minutes since 1970."""
    size = CELL.total_seconds()
    return range(int(start.timestamp() // size), -int(-end.timestamp() // size))


def _free_expired_holds(memory: Memory) -> None:
    """Gives back the time of holds that are over; their rows wait for the look that tells it."""
    over = sa.select(table.c.id).where(
        table.c.member_id == memory.member_id, table.c.state == "held", table.c.hold_until <= memory.now
    )
    memory.connection.execute(sa.delete(cells).where(cells.c.visit_id.in_(over)))


# changing


def turn(memory: Memory, row: VisitRow, happening: Happening, **values: Any) -> bool:
    """Lets something happen to the visit; False where its state does not know that, or changed meanwhile."""
    following = after(row.state, happening)
    if following is None:
        return False
    changed = memory.connection.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.member_id == memory.member_id, table.c.state == row.state)
        .values(state=following, changed_at=memory.now, **values)
    )
    if changed.rowcount == 1 and following not in OCCUPYING:
        memory.connection.execute(sa.delete(cells).where(cells.c.visit_id == row.id))
        for other in visits_of(memory, row.entity):
            if other.state == "held" and (other.hold_until or memory.now) > memory.now:
                _occupy(memory, other)  # the hold overlapped this visit: now it needs these cells of its own
    return changed.rowcount == 1


def keep(memory: Memory, id: int, values: Mapping[str, Any]) -> None:
    """Keeps what is known of the visit besides its state."""
    memory.connection.execute(
        sa.update(table).where(table.c.id == id, table.c.member_id == memory.member_id).values(**values)
    )


def number_entries(memory: Memory) -> None:
    """Puts down the numbers of calendar entries that the journal knows by now."""
    waiting = memory.connection.execute(
        sa.select(table.c.id, table.c.entry_delivery)
        .where(
            table.c.member_id == memory.member_id, table.c.calendar_id.is_(None), table.c.entry_delivery.is_not(None)
        )
        .order_by(table.c.id)  # rows locked in one order by everybody
    ).all()
    for id, delivery_id in waiting:
        number = _made_entry(memory, delivery_id)
        if number is not None:
            keep(memory, id, {"calendar_id": number})


ENTRY = "entry"
"""The label of the command that makes a visit's calendar entry."""


def _made_entry(memory: Memory, delivery_id: int) -> int | None:
    commands = schema.commands
    rows: Iterable[Any] = memory.connection.execute(
        sa.select(commands.c.command, commands.c.result).where(
            commands.c.delivery_id == delivery_id, commands.c.state == "done"
        )
    ).mappings()
    for row in rows:
        if row["command"]["label"] == ENTRY:
            result = row["result"]
            value = result.get("id") if isinstance(result, Mapping) else result
            return int(value) if isinstance(value, int | str) and str(value).isdigit() else None
    return None


# what is looked at from time to time

WATCH = "visit_watch"
WATCH_EVERY = timedelta(minutes=15)


def watch(memory: Memory) -> None:
    """Sees to it that visits are looked at from time to time until they are settled (handlers/visit_watch.py)."""
    timers = schema.timers
    next_look = memory.now + WATCH_EVERY  # a later one was set by a clock that was ahead
    mine = sa.and_(timers.c.member_id == memory.member_id, timers.c.key == WATCH, timers.c.due_at <= next_look)
    if not memory.connection.execute(sa.select(timers.c.id).where(mine)).first() and unsettled(memory):
        memory.set_timer(WATCH, code=WATCH, entity=WATCH, due_at=next_look)


def holds_over(memory: Memory) -> list[VisitRow]:
    """Returns the holds that are over and that nobody looked at yet."""
    return _rows(memory, table.c.state == "held", table.c.hold_until <= memory.now)


def unsettled(memory: Memory) -> list[VisitRow]:
    """Returns the visits that somebody waits for or of whose state nobody was told, a day after they are over too."""
    open_still = sa.or_(table.c.state.in_(AGREED), table.c.shown != table.c.state)
    return _rows(memory, open_still, table.c.ends_at > memory.now - timedelta(days=1))
