"""Every quarter of an hour the unsettled visits are compared with the portal: what no event told is found here.

One request for all: measurers' calendars, whether they still work here, our open tasks. A moved or missing entry, a
closed task, a day that became a holiday, a visit whose state nobody was told of: the visit is looked at. A measurer
who is away or dismissed at the time of a visit: who answers for the measurers is told once, and the board proposes
somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from b24app import distribution as desk
from b24app import measuring
from b24app import stage_work as stage_desk
from b24app.bitrix import commands as write
from b24app.bitrix import reads
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.commands import Command
from b24app.bitrix.portal import Portal
from b24app.bitrix.reads import Read
from b24app.bitrix.translate import number, rows
from b24app.engine.declare import LATER, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import ItemRef
from b24app.measuring import Diary
from b24app.process import COMPLETED
from b24app.rules import confirmation
from b24app.rules.confirmation import AGREED
from b24app.rules.intake import Notice, plain
from b24app.stage_work import VISIT_TASK, Office
from b24app.store import process_memory, visits
from b24app.store.memory import Memory
from b24app.store.visits import VisitRow

LISTED = 20
"""So many visits are named in a notice; the board shows all."""


@dataclass(frozen=True)
class Watched:
    """The visits to come and the portal as it is now. `closed` are tasks of ours that somebody closed."""

    office: Office
    diary: Diary
    closed: frozenset[int] = frozenset()
    rows: tuple[VisitRow, ...] = ()
    tasks: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Alarm:
    """Whom we tell that visits need another measurer."""

    notices: tuple[Notice, ...]
    problems: tuple[tuple[int, str], ...]


def read(portal: Portal, call: TimerCall) -> Watched | Nothing:
    """Reads the measurers' calendars up to the last visit, and the state of our open tasks."""
    rules = portal.playbook.measurement
    if rules is None:
        return Nothing("в сценарии нет замеров / the playbook has no measurements")
    with portal.memory() as memory:
        unsettled = visits.unsettled(memory)
        tasks = process_memory.open_tasks_of_rules(memory, VISIT_TASK)
    if not unsettled:
        return Nothing("замеров впереди нет / no visits to come")
    crew = measuring.read_crew(portal, rules)
    office = stage_desk.office(portal, desk.read_team(portal, desk.pool_of(portal.playbook)))
    last = max(row.ends_at for row in unsettled).astimezone(crew.hours.zone).date()
    asked: dict[str, Read[Any]] = measuring.diary_reads(crew, rules, office.now, until=last)
    ids = sorted(id for id in tasks if id > 0)
    for place in range(0, len(ids), reads.PAGE):
        asked[f"closed_{place}"] = _closed(ids[place : place + reads.PAGE])
    found = portal.read(asked, optional=measuring.optional_reads(asked))
    closed = [id for label in found if label.startswith("closed_") for id in found.maybe(label, [])]
    diary = measuring.diary_of(found, crew, rules, office.now)
    return Watched(office, diary, frozenset(closed), tasks=tasks)


def _closed(ids: Sequence[int]) -> Read[list[int]]:
    """Which of these tasks are completed."""
    params = {"filter": {"ID": list(ids), "REAL_STATUS": COMPLETED}, "select": ["ID", "STATUS"]}

    def parse(answer: Answer) -> list[int]:
        return [id for row in rows(answer.result, "tasks") if (id := number(row.get("id"))) is not None]

    return Read(Call("tasks.task.list", params), parse)


def recall(memory: Memory, facts: Watched) -> Watched:
    """Orders a look at every visit that is not as we left it, and the next watch."""
    visits.number_entries(memory)
    unsettled = visits.unsettled(memory)
    facts = replace(facts, rows=tuple(row for row in unsettled if row.state in AGREED))
    looked_at = {facts.tasks[id] for id in facts.closed if id in facts.tasks}
    looked_at |= {row.entity for row in visits.holds_over(memory)}
    looked_at |= {row.entity for row in unsettled if row.shown != row.state or _differs(facts, row)}
    for entity in sorted(looked_at):
        visits.look(memory, entity)
    if unsettled:
        due_at = memory.now + visits.WATCH_EVERY
        memory.set_timer(visits.WATCH, code=visits.WATCH, entity=visits.WATCH, due_at=due_at)
    return facts


def _differs(facts: Watched, row: VisitRow) -> bool:
    """Whether the calendar or the plan of confirming is not what we left there."""
    hours, now = facts.office.team.hours, facts.office.now
    if row.state == "confirming":
        confirm_at = confirmation.confirm_time(hours, row.starts_at)
        until = confirmation.confirm_until(hours, row.starts_at, timedelta(minutes=facts.diary.rules.confirm_minutes))
        if confirm_at != row.confirm_at or now >= (confirm_at, until, row.starts_at)[row.told]:
            return True  # the timer that should have said so may be gone with an uninstallation
    if row.calendar_id is None or row.measurer_id not in facts.diary.intervals:
        return False
    entry = next((one for one in facts.diary.intervals[row.measurer_id] if one.id == row.calendar_id), None)
    seen = facts.office.now - timedelta(hours=12) < row.starts_at  # an earlier one lies before what was read
    return seen and (entry is None or (entry.start, entry.end) != (row.starts_at, row.ends_at))


def decide(facts: Watched) -> Alarm | Nothing:
    """Tells who answers for the measurers of visits that lost theirs, each once."""
    now = {row.id: measuring.problem_of(facts.diary, row) for row in facts.rows}
    changed = tuple((row.id, now[row.id]) for row in facts.rows if now[row.id] != row.problem)
    new = [row for row in facts.rows if now[row.id] and now[row.id] != row.problem]
    if not changed:
        return Nothing("с замерами впереди всё в порядке / the visits to come are all right")
    if not new:
        return Alarm((), changed)
    crew, office = facts.diary.crew, facts.office
    lines = []
    for row in sorted(new, key=lambda one: one.starts_at)[:LISTED]:
        at = measuring.when(row.starts_at, row.ends_at, crew.zone(row.measurer_id))
        why = measuring.problem_text(now[row.id], crew, row)["ru"]
        lines.append(f"— {at}, {office.card(ItemRef.parse(row.entity), plain(row.title))}: {why}")
    more = f"\n… и ещё {len(new) - LISTED}" if len(new) > LISTED else ""
    text = (
        "Замерам нужен другой замерщик:\n" + "\n".join(lines) + more + "\nКого и когда предложить, видно на «Графике "
        "замеров»: перенесите по одному или все сразу."
    )
    head = crew.head.id if crew.head is not None and crew.head.active else office.head_id
    tag = f"visit:problems:{min(row.id for row in new)}:{len(new)}"
    return Alarm((Notice(head, text, tag),), changed)


def remember(memory: Memory, alarm: Alarm) -> None:
    """Keeps what was told."""
    for id, problem in alarm.problems:
        visits.keep(memory, id, {"problem": problem})


def act(alarm: Alarm) -> list[Command]:
    """Returns the notices."""
    return [
        write.notify(notice.user_id, notice.text, tag=notice.tag, label=f"notice_{place}")
        for place, notice in enumerate(alarm.notices)
    ]


TIMER = TimerDeclaration(
    code=visits.WATCH,
    priority=LATER,
    decision=Alarm,
    read=read,
    recall=recall,
    decide=decide,
    remember=remember,
    act=act,
)
