"""What the portal itself kept of its events, where its plan has the queue of offline events: nothing lost stays lost.

An event is sent once. The lists (reconcile.py) tell of calls, new items and stages; the queue tells of the rest: a task
closed, an item or a calendar entry deleted while nobody heard. It holds one record per object, with the time of its
last change (api-reference/events/offline-events.md).

event.offline.get hides or deletes what it answers, and an answer may be lost on the way. So the queue is read with
event.offline.list, which changes nothing, and what our inbox holds by then is deleted at the next look, by get.
[verify] An object that changes again keeps its record's ID or gets a new one: what the deletion answers is looked
through too, so either way is survived.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from b24app.bitrix.calls import Call
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import moment, number
from b24app.engine.declare import LATER, EventCall, Handler, Nothing, Timer, TimerCall
from b24app.errors import B24AppError, Permanent, PortalClosed
from b24app.store import tally
from b24app.store.memory import Memory
from b24app.store.portals import OFFLINE_EVENTS

CODE = "offline_events"
CURSOR = "event.offline"
ON_THE_WAY = timedelta(minutes=1)
"""A younger change may still be told by its event: it is looked at, and not counted as one that was lost."""


@dataclass(frozen=True)
class Record:
    """A change that the queue tells of."""

    event: str
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True)
class Queue:
    """What stood in the queue; `count` records up to `last_id` are ours now, and are deleted at the next look."""

    now: datetime
    records: tuple[Record, ...]
    last_id: int
    count: int
    found: int = 0


def read(portal: Portal, call: TimerCall) -> Queue | Nothing:
    """Deletes what our inbox took at the last look, and reads what came since."""
    if portal.facts.get(OFFLINE_EVENTS) is not True:
        return Nothing("на тарифе портала нет очереди событий / the portal's plan has no queue of events")
    with portal.memory() as memory:
        kept = json.loads(memory.cursor(CURSOR) or '{"last_id": 0, "count": 0}')
    try:
        rows = portal.read_all("event.offline.list", {"filter": {">ID": kept["last_id"]}})
        # last: what it answers is nowhere else any more
        changed, left = _deleted(portal, kept["last_id"], kept["count"])
    except PortalClosed:
        raise
    except Permanent as refusal:  # the plan changed, or the token is no administrator's: the lists still tell
        return Nothing(f"портал не даёт очередь событий / the queue is refused: {refusal.reason}")
    last_id = max([kept["last_id"], *(number(row.get("ID")) or 0 for row in rows)])
    return Queue(portal.now, _records([*changed, *rows]), last_id, left + len(rows))


def _deleted(portal: Portal, last_id: int, count: int) -> tuple[list[Mapping[str, Any]], int]:
    """Deletes so many records up to this one; returns them as they are by now, and how many are left for the next look.

    Trouble with a later page must not lose what an earlier one answered.
    """
    deleted: list[Mapping[str, Any]] = []
    while left := max(0, count - len(deleted)):
        params = {"filter": {"<=ID": last_id}, "order": {"ID": "ASC"}, "limit": left, "clear": 1}
        try:
            answer = portal.rest.call(Call("event.offline.get", params)).result
        except B24AppError:
            if not deleted:
                raise
            return deleted, left
        rows = answer.get("events") if isinstance(answer, dict) else None
        if not rows:
            break
        deleted += rows
    return deleted, 0


def _records(rows: Sequence[Mapping[str, Any]]) -> tuple[Record, ...]:
    return tuple(
        Record(str(row.get("EVENT_NAME")).upper(), row["EVENT_DATA"], at)
        for row in rows
        if isinstance(row.get("EVENT_DATA"), dict) and (at := moment(row.get("TIMESTAMP_X"))) is not None
    )


def decide(facts: Queue) -> Nothing:
    """Nothing is written to the portal here."""
    return Nothing(f"в очереди портала найдено: {facts.found} / found in the portal's queue")


def timer(handlers: Sequence[Handler]) -> Timer:
    """Returns the timer that brings these handlers their lost events."""
    known = {handler.event: handler for handler in handlers}

    def recall(memory: Memory, facts: Queue) -> Queue:
        """Puts changes that no event told into the inbox, and remembers in the same transaction that they are ours."""
        changed: dict[str, dict[str, Record]] = {}
        for record in facts.records:
            handler = known.get(record.event)
            entity = handler and handler.entity(EventCall(memory.member_id, record.event, record.data, facts.now))
            if entity:
                changed.setdefault(record.event, {})[entity] = record
        found: Counter[str] = Counter()
        for code, records in changed.items():
            last = memory.last_came(code, list(records))
            lost = {one: record for one, record in records.items() if one not in last or last[one] < record.at}
            payloads = {one: {"event": code, "data": dict(record.data)} for one, record in lost.items()}
            memory.deliver_events(code, payloads, known[code].priority)
            found[code] = sum(record.at < facts.now - ON_THE_WAY for record in lost.values())
        tally.count_events(memory, +found)
        memory.move_cursor(CURSOR, json.dumps({"last_id": facts.last_id, "count": facts.count}))
        return Queue(facts.now, facts.records, facts.last_id, facts.count, len(memory.new_deliveries))

    return Timer(code=CODE, priority=LATER, read=read, recall=recall, decide=decide)
