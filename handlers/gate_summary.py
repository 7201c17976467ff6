"""In the morning the head reads what robots, imports and other applications moved past a gate, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from b24app import distribution as desk
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.engine.declare import LATER, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import DEAL, LEAD, ItemRef, User
from b24app.process import ProcessOnPortal
from b24app.rules.intake import Notice, plain
from b24app.stage_work import Office, StageWork
from b24app.store import process_memory
from b24app.store.memory import Memory
from b24app.store.process_memory import MoveRow

LISTED = 300
"""So many items are named with a link; a notice is no report, the rest is a number."""
BECAME: Mapping[str, str] = {
    "return": "возвращено на прежнюю стадию",
    "task": "оставлено, поставлена задача",
    "warn": "оставлено с предупреждением",
    "ask": "оставлено, решает человек",
}


@dataclass(frozen=True)
class Summary:
    """The moves that nobody was told of, with the names of their movers."""

    processes: Mapping[int, ProcessOnPortal]
    office: Office
    names: Mapping[int, str] = field(default_factory=dict)
    moves: tuple[MoveRow, ...] = ()


@dataclass(frozen=True)
class SummaryWork:
    """The notice to the head, and which moves stand in it."""

    work: StageWork
    ids: tuple[int, ...]


def read(portal: Portal, call: TimerCall) -> Summary | Nothing:
    """Reads who is head and what the movers are called."""
    with portal.memory() as memory:
        moves = process_memory.untold_moves(memory)
    if not moves:
        return Nothing("рассказывать нечего / nothing to tell")
    found = {type_id: card_desk.process_on(portal, type_id) for type_id in (LEAD, DEAL)}
    team = desk.read_team(portal, desk.pool_of(portal.playbook))
    movers = sorted({move.mover_id for move in moves if move.mover_id})
    names = {}
    if movers:
        asked: dict[str, reads.Read[list[User]]] = {"movers": reads.users(movers[:50])}
        names = {user.id: user.name for user in portal.read(asked)["movers"]}
    return Summary(
        {type_id: on for type_id, on in found.items() if on is not None}, stage_desk.office(portal, team), names
    )


def recall(memory: Memory, facts: Summary) -> Summary:
    """Adds the moves."""
    return replace(facts, moves=tuple(process_memory.untold_moves(memory)))


def decide(facts: Summary) -> SummaryWork | Nothing:
    """Writes the summary: by mover and by what became of the moves, then the items."""
    if not facts.moves:
        return Nothing("рассказывать нечего / nothing to tell")
    office = facts.office
    text = "\n".join(["[B]Переводы стадий мимо правил[/B]", *_lines(facts), *_items(facts)])
    tag = f"summary:{office.now:%Y%m%d}:{facts.moves[0].id}"
    work = StageWork(ItemRef(LEAD, 0), "", "pass", "", judged=False, notices=(Notice(office.head_id, text, tag),))
    return SummaryWork(work, tuple(move.id for move in facts.moves))


def _lines(facts: Summary) -> list[str]:
    counted = Counter((move.mover_id or 0, move.action) for move in facts.moves)
    return [
        f"{plain(facts.names.get(mover, f'сотрудник {mover}')) if mover else 'роботы и приложения'}: "
        f"{BECAME.get(action, action)} — {count}"
        for (mover, action), count in sorted(counted.items(), key=lambda entry: -entry[1])
    ]


def _items(facts: Summary) -> list[str]:
    listed: Sequence[MoveRow] = facts.moves[:LISTED]
    lines = [_item(facts, move) for move in listed]
    rest = len(facts.moves) - len(listed)
    return [*lines, *([f"и ещё {rest}"] if rest else [])]


def _item(facts: Summary, move: MoveRow) -> str:
    ref = ItemRef.parse(move.entity)
    on = facts.processes.get(ref.entity_type_id)
    names = [on.stage_name(stage) if on else stage for stage in (move.from_stage or "", move.to_stage) if stage]
    return f"[URL={facts.office.link(ref)}]{ref}[/URL] {' → '.join(map(plain, names))}"


def remember(memory: Memory, decision: SummaryWork) -> None:
    """Says that these moves are told."""
    process_memory.mark_told(memory, decision.ids)


TIMER = TimerDeclaration(
    code=stage_desk.SUMMARY,
    priority=LATER,
    decision=SummaryWork,
    read=read,
    recall=recall,
    decide=decide,
    remember=remember,
    act=lambda decision: stage_desk.act(decision.work),
)
