"""What we remember of a process: where items stood, which tasks are ours, what people confirmed, which moves we judged.

Functions on a Memory, inside its transaction.

A task gets its number only when the portal answers, later than the decision that asks for it. Until then its row
carries a negative number that names its command (`awaited_number`); `number_tasks` puts the portal's number there as
soon as the journal has it. So a crash between the answer and our note of it loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from b24app.entities import Item
from b24app.playbook import Process
from b24app.store import schema
from b24app.store.memory import Memory

TaskState = Literal["open", "closed", "obsolete"]
Action = Literal["pass", "return", "task", "warn", "ask", "own"]
PLACES = 64
"""How many tasks one decision may make."""


@dataclass(frozen=True)
class ItemRow:
    """Where an item stood when we last agreed with it, by the portal's STATUS_ID, and since when."""

    stage_id: str
    since: datetime


@dataclass(frozen=True)
class TaskRow:
    """A task of ours. `task_id` is negative while the portal has not told its number."""

    task_id: int
    entity: str
    rule: str
    stage: str
    round: int
    state: TaskState
    made_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True)
class MoveRow:
    """A move that was judged; stages are the playbook's keys, or the portal's ids where the playbook has none."""

    id: int
    entity: str
    from_stage: str | None
    to_stage: str
    mover_id: int | None
    action: Action
    missing: Sequence[str]
    judged_at: datetime
    delivery_id: int
    moved_at: datetime | None
    told_at: datetime | None


@dataclass(frozen=True)
class ConfirmationRow:
    """What a person confirmed by hand: a kind of evidence, or `field:<key>`."""

    kind: str
    reason: str
    user_id: int
    confirmed_at: datetime


# where items stood


def item_row(memory: Memory, entity: str) -> ItemRow | None:
    """Returns where the item stood when we last agreed with it."""
    table = schema.items
    row = schema.row(
        memory.connection.execute(
            sa.select(table.c.stage_id, table.c.seen_at).where(
                table.c.member_id == memory.member_id, table.c.entity == entity
            )
        )
    )
    return None if row is None else ItemRow(row["stage_id"], row["seen_at"])


def keep_item(memory: Memory, entity: str, stage_id: str, since: datetime) -> None:
    """Keeps where the item stands from now on: the stage that its next move is judged from."""
    values = {"member_id": memory.member_id, "entity": entity, "stage_id": stage_id, "seen_at": since}
    memory.connection.execute(memory.database.upsert(schema.items, values, ("member_id", "entity")))


def meet(memory: Memory, item: Item, process: Process | None, event: str) -> None:
    """Keeps where a new item of an applied process begins; one that begins further on is looked at by the gate."""
    kind = str(item.ref).partition(":")[0]
    if process is None or not process.stages or item_row(memory, str(item.ref)) is not None:
        return
    table, first = schema.applied, process.stages[0]
    ids = dict(
        memory.connection.execute(
            sa.select(table.c.name, table.c.portal_id).where(
                table.c.member_id == memory.member_id, table.c.name.startswith(f"{kind}.stage:", autoescape=True)
            )
        )
        .tuples()
        .all()
    )
    if not ids:
        return
    if item.stage_id == ids.get(f"{kind}.stage:{first.key}", first.id) and not first.tasks:
        keep_item(memory, str(item.ref), item.stage_id, item.created_at)
        return
    payload = {"event": event, "data": {"FIELDS": {"ID": str(item.ref.id)}}}
    memory.deliver(kind="event", code=event, entity=str(item.ref), payload=payload, priority=50)


def forget_item(memory: Memory, entity: str) -> None:
    """Takes the item's state away: it is gone."""
    table = schema.items
    memory.connection.execute(sa.delete(table).where(table.c.member_id == memory.member_id, table.c.entity == entity))


# cards that one request brought for several deliveries


def waiting_ids(memory: Memory, code: str, prefix: str, limit: int) -> list[int]:
    """Returns ids of other items about which the same event waits: they can be read in the same request."""
    table = schema.deliveries
    rows = memory.connection.execute(
        sa.select(table.c.entity)
        .where(
            table.c.member_id == memory.member_id,
            table.c.code == code,
            table.c.state == "waiting",
            table.c.decision.is_(None),
            table.c.entity.startswith(prefix, autoescape=True),
        )
        .order_by(table.c.priority, table.c.id)
        .limit(limit * 2)
    )
    numbers = [entity.removeprefix(prefix) for (entity,) in rows]
    return list(dict.fromkeys(int(number) for number in numbers if number.isdigit()))[:limit]


def keep_cards(memory: Memory, cards: Mapping[str, Any], read_at: datetime) -> None:
    """Keeps cards read on the way for other deliveries; `read_at` is when we began to ask."""
    for entity, card in sorted(cards.items()):  # two who keep some of the same cards meet in the same order
        values = {
            "member_id": memory.member_id,
            "name": _card_name(entity),
            "value": card,
            "taken_at": read_at,
        }
        memory.connection.execute(memory.database.upsert(schema.snapshots, values, ("member_id", "name")))


def kept_card(memory: Memory, entity: str) -> Any | None:
    """Returns the card that another delivery read on its way, unless an event about the item came after that."""
    snapshots, deliveries = schema.snapshots, schema.deliveries
    newest = (
        sa.select(sa.func.max(deliveries.c.received_at))
        .where(deliveries.c.member_id == memory.member_id, deliveries.c.entity == entity, deliveries.c.kind == "event")
        .scalar_subquery()
    )
    return memory.connection.execute(
        sa.select(snapshots.c.value).where(
            snapshots.c.member_id == memory.member_id,
            snapshots.c.name == _card_name(entity),
            snapshots.c.taken_at > newest,
        )
    ).scalar_one_or_none()


def drop_card(memory: Memory, entity: str) -> None:
    """Takes the kept card away: it was used."""
    table = schema.snapshots
    memory.connection.execute(
        sa.delete(table).where(table.c.member_id == memory.member_id, table.c.name == _card_name(entity))
    )


def _card_name(entity: str) -> str:
    return f"card:{entity}"


# tasks


def awaited_number(memory: Memory, place: int) -> int:
    """Returns the stand-in number of the task that the command `task_<place>` of this delivery will make."""
    return -(memory.delivery_id * PLACES + place)


def task_row(memory: Memory, task_id: int) -> TaskRow | None:
    """Returns the task of ours with this number, also where the journal knows the number but the row does not yet."""
    direct = next(iter(_tasks(memory, schema.tasks.c.task_id == task_id)), None)
    if direct is not None:
        return direct
    for stand_in, number in _answered(memory):
        if number == task_id:
            return next(iter(_tasks(memory, schema.tasks.c.task_id == stand_in)), None)
    return None


def tasks_of(memory: Memory, entity: str) -> list[TaskRow]:
    """Returns our tasks about the item, the newest round first."""
    return _tasks(memory, schema.tasks.c.entity == entity)


def open_task_entities(memory: Memory) -> set[str]:
    """Returns the items that have an open task of ours."""
    table = schema.tasks
    return set(
        memory.connection.execute(
            sa.select(table.c.entity).where(table.c.member_id == memory.member_id, table.c.state == "open").distinct()
        ).scalars()
    )


def open_tasks_of_rules(memory: Memory, prefix: str) -> dict[int, str]:
    """Returns the open tasks whose rule begins so, each with its item."""
    table = schema.tasks
    found = _tasks(memory, table.c.state == "open", table.c.rule.startswith(prefix, autoescape=True))
    return {row.task_id: row.entity for row in found}


def add_task(memory: Memory, *, task_id: int, entity: str, rule: str, stage: str, round: int) -> None:
    """Keeps a task that this decision makes."""
    values = {
        "member_id": memory.member_id,
        "task_id": task_id,
        "entity": entity,
        "rule": rule,
        "stage": stage,
        "round": round,
        "state": "open",
        "made_at": memory.now,
        "closed_at": None,
    }
    memory.connection.execute(memory.database.upsert(schema.tasks, values, ("member_id", "task_id")))


def set_task_state(memory: Memory, task_id: int, state: TaskState) -> None:
    """Keeps what became of the task."""
    table = schema.tasks
    memory.connection.execute(
        sa.update(table)
        .where(table.c.member_id == memory.member_id, table.c.task_id == task_id)
        .values(state=state, closed_at=None if state == "open" else memory.now)
    )


def number_tasks(memory: Memory) -> None:
    """Puts the portal's numbers in the place of stand-ins, as far as the journal has them."""
    table = schema.tasks
    for stand_in, number in list(_answered(memory)):
        mine = table.c.member_id == memory.member_id
        if memory.connection.execute(sa.select(table.c.rule).where(mine, table.c.task_id == number)).first():
            memory.connection.execute(sa.delete(table).where(mine, table.c.task_id == stand_in))
        else:
            back = sa.case((table.c.state == "obsolete", "open"), else_=table.c.state)  # refused, then done after all
            memory.connection.execute(
                sa.update(table).where(mine, table.c.task_id == stand_in).values(task_id=number, state=back)
            )
    _give_up_refused(memory)


def _give_up_refused(memory: Memory) -> None:
    """Stand-ins of tasks that the portal refused for good keep no place: the stage asks for its task anew."""
    tasks, commands, deliveries = schema.tasks, schema.commands, schema.deliveries
    mine = sa.and_(tasks.c.member_id == memory.member_id, tasks.c.task_id < 0, tasks.c.state == "open")
    waiting = memory.connection.execute(sa.select(tasks.c.task_id).where(mine)).scalars().all()
    refused = (
        memory.connection.execute(
            sa.select(commands.c.delivery_id, commands.c.command)
            .join(deliveries, deliveries.c.id == commands.c.delivery_id)
            .where(
                commands.c.delivery_id.in_({-one // PLACES for one in waiting}),
                commands.c.state.in_(("failed", "skipped")),
                deliveries.c.state.in_(("done", "failed")),
            )
        ).all()
        if waiting
        else []
    )
    labels = {(delivery_id, command["label"]) for delivery_id, command in refused}
    over = [one for one in waiting if (-one // PLACES, f"task_{-one % PLACES}") in labels]
    if over:
        memory.connection.execute(sa.update(tasks).where(mine, tasks.c.task_id.in_(over)).values(state="obsolete"))


def _answered(memory: Memory) -> Iterable[tuple[int, int]]:
    """Yields (stand-in, number) of the tasks whose command was answered."""
    tasks, commands = schema.tasks, schema.commands
    stand_ins = (
        memory.connection.execute(
            sa.select(tasks.c.task_id).where(tasks.c.member_id == memory.member_id, tasks.c.task_id < 0)
        )
        .scalars()
        .all()
    )
    wanted: dict[int, list[int]] = {(-one // PLACES): [] for one in stand_ins}
    for one in stand_ins:
        wanted[-one // PLACES].append(one)
    if not wanted:
        return
    rows = memory.connection.execute(
        sa.select(commands.c.delivery_id, commands.c.command, commands.c.result)
        .where(commands.c.delivery_id.in_(wanted), commands.c.state == "done")
        .order_by(commands.c.id)  # two who put numbers in meet in the same order
    ).mappings()
    for row in rows:
        for stand_in in wanted[row["delivery_id"]]:
            number = _number(row["result"])
            if row["command"]["label"] == f"task_{-stand_in % PLACES}" and number is not None:
                yield stand_in, number


def _number(result: Any) -> int | None:
    """The id in what made a task: `{"task": {...}}` classic, `{"item": {...}}` REST 3.0, `{"id"}` after a look-up."""
    inner = result
    for name in ("task", "item"):
        if isinstance(inner, Mapping) and isinstance(inner.get(name), Mapping):
            inner = inner[name]
    value = inner.get("id") if isinstance(inner, Mapping) else None
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else None


def _tasks(memory: Memory, *where: sa.ColumnElement[bool]) -> list[TaskRow]:
    table = schema.tasks
    rows = memory.connection.execute(
        sa.select(table)
        .where(table.c.member_id == memory.member_id, *where)
        .order_by(table.c.round.desc(), table.c.made_at.desc(), table.c.task_id.desc())
    ).mappings()
    return [TaskRow(**{name: row[name] for name in TaskRow.__dataclass_fields__}) for row in rows]


# confirmations


def confirm(memory: Memory, *, entity: str, kind: str, reason: str, user_id: int) -> None:
    """Keeps that a person vouches for something with a reason: `offer_sent`, `task_closed:<rule>`, `field:<key>`."""
    memory.connection.execute(
        sa.insert(schema.confirmations).values(
            member_id=memory.member_id,
            entity=entity,
            kind=kind,
            reason=reason,
            user_id=user_id,
            confirmed_at=memory.now,
        )
    )


def confirmations(memory: Memory, entity: str, *, since: datetime) -> list[ConfirmationRow]:
    """Returns what people confirmed about the item since then."""
    table = schema.confirmations
    rows = memory.connection.execute(
        sa.select(table)
        .where(table.c.member_id == memory.member_id, table.c.entity == entity, table.c.confirmed_at >= since)
        .order_by(table.c.id)
    ).mappings()
    return [ConfirmationRow(**{name: row[name] for name in ConfirmationRow.__dataclass_fields__}) for row in rows]


# moves


def last_move(memory: Memory, entity: str) -> MoveRow | None:
    """Returns the newest judged or own move of the item."""
    return next(iter(_moves(memory, schema.moves.c.entity == entity, limit=1)), None)


def moved_back_since(memory: Memory, entity: str, since: datetime) -> int:
    """Returns how often the item was moved back since then; a way back that a person overtook is none."""
    rows = _moves(
        memory,
        schema.moves.c.entity == entity,
        schema.moves.c.action == "return",
        schema.moves.c.judged_at >= since,
        limit=100,
    )
    return sum(command_state(memory, row.delivery_id, "back")[0] != "skipped" for row in rows)


def moved_back_of(memory: Memory, mover_id: int, since: datetime) -> int:
    """Returns how many moves of one mover were undone since then: many are an import, not a slip."""
    return _count(memory, schema.moves.c.mover_id == mover_id, schema.moves.c.judged_at >= since)


def _count(memory: Memory, *where: sa.ColumnElement[bool]) -> int:
    table = schema.moves
    return memory.connection.execute(
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.member_id == memory.member_id, table.c.action == "return", *where)
    ).scalar_one()


def keep_move(
    memory: Memory,
    *,
    entity: str,
    from_stage: str | None,
    to_stage: str,
    mover_id: int | None,
    action: Action,
    missing: Sequence[str] = (),
    moved_at: datetime | None = None,
    told: bool = True,
) -> None:
    """Keeps a judged move; what was told to nobody in person waits for the summary."""
    memory.connection.execute(
        sa.insert(schema.moves).values(
            member_id=memory.member_id,
            entity=entity,
            from_stage=from_stage,
            to_stage=to_stage,
            mover_id=mover_id,
            action=action,
            missing=list(missing),
            judged_at=memory.now,
            delivery_id=memory.delivery_id,
            moved_at=moved_at,
            told_at=memory.now if told else None,
        )
    )


def untold_moves(memory: Memory, limit: int = 1000) -> list[MoveRow]:
    """Returns the moves that the next summary tells, the oldest first."""
    return list(reversed(_moves(memory, schema.moves.c.told_at.is_(None), limit=limit)))


def mark_told(memory: Memory, ids: Sequence[int]) -> None:
    """Says that these moves stand in a summary."""
    table = schema.moves
    memory.connection.execute(
        sa.update(table).where(table.c.member_id == memory.member_id, table.c.id.in_(ids)).values(told_at=memory.now)
    )


def tell_again(memory: Memory, mover_id: int, since: datetime) -> None:
    """Says that moves of this mover, told one by one until now, belong into the next summary: they were too many."""
    table = schema.moves
    memory.connection.execute(
        sa.update(table)
        .where(
            table.c.member_id == memory.member_id,
            table.c.mover_id == mover_id,
            table.c.judged_at >= since,
            table.c.action == "return",
        )
        .values(told_at=None)
    )


def _moves(memory: Memory, *where: sa.ColumnElement[bool], limit: int) -> list[MoveRow]:
    table = schema.moves
    rows = memory.connection.execute(
        sa.select(table).where(table.c.member_id == memory.member_id, *where).order_by(table.c.id.desc()).limit(limit)
    ).mappings()
    return [MoveRow(**{name: row[name] for name in MoveRow.__dataclass_fields__}) for row in rows]


# what other deliveries did


def command_state(memory: Memory, delivery_id: int, label: str) -> tuple[str, str]:
    """Returns (state, reason) of one command of a delivery of ours; ("", "") where there is none."""
    table = schema.commands
    rows = memory.connection.execute(
        sa.select(table.c.command, table.c.state, table.c.reason).where(table.c.delivery_id == delivery_id)
    ).mappings()
    return next(((row["state"], row["reason"] or "") for row in rows if row["command"]["label"] == label), ("", ""))


def robots_run(memory: Memory, entity: str, since: datetime) -> list[str]:
    """Returns codes of our robots that the portal ran for the item since then, each once."""
    table = schema.deliveries
    rows = memory.connection.execute(
        sa.select(table.c.code)
        .where(
            table.c.member_id == memory.member_id,
            table.c.entity == entity,
            table.c.kind == "robot",
            table.c.received_at >= since,
        )
        .order_by(table.c.id)
    ).scalars()
    return list(dict.fromkeys(rows))
