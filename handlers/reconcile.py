"""What the events did not tell: every few minutes the portal's lists are read from where the last look ended.

Bitrix24 never sends an event twice, so one that was lost on the way is found here: calls by the statistics, new leads
by the stage history (its first record of an item is its creation) and by the list itself, moves by the same history;
of deals beside leads the moves, where the playbook has a process for them.
What is found comes in as the event that did not; the handlers are the same, and what was treated already is left alone.
How much was found beside how much came is counted: where it is found again and again, events do not arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from b24app.bitrix.calls import Call
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number, phone_key, statistic_of
from b24app.engine.declare import LATER, NORMAL, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import DEAL, LEAD, ItemRef, PhoneCall
from b24app.errors import Permanent, PortalClosed
from b24app.store import process_memory, tally, visits
from b24app.store.memory import Memory
from handlers.call_lost import end_data

CREATED = 1
"""TYPE_ID of stage history: the item was created (api-reference/crm/crm-stage-history-list.md)."""
STATISTICS, HISTORY, ITEMS = "voximplant.statistic", "crm.stagehistory", "crm.item"


@dataclass(frozen=True)
class Look:
    """What stood on the portal beyond the cursors; a cursor that was never set starts at the newest row.

    `moved` is the stage of every item that moved, as in `lead:42`; `cursors` are kept by these names.
    """

    entity_type_id: int
    calls: tuple[PhoneCall, ...]
    item_ids: tuple[int, ...]
    moved: Mapping[str, str] = field(default_factory=dict)
    cursors: Mapping[str, int] = field(default_factory=dict)
    found: int = 0


def read(portal: Portal, call: TimerCall) -> Look:
    """Reads the lists beyond their cursors."""
    entity_type_id = DEAL if portal.simple_mode else LEAD
    asked = [(name, entity_type_id) for name in (STATISTICS, HISTORY, ITEMS)]
    if entity_type_id != DEAL and portal.playbook.deal.stages:
        asked.append((HISTORY, DEAL))
    with portal.memory() as memory:
        kept = {one: memory.cursor(_name(*one)) for one in asked}
    last: dict[str, int] = {}
    rows: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for one, value in kept.items():
        if value is not None:
            rows[one] = _rows(portal, *one, int(value))
            last[_name(*one)] = max([int(value), *(number(_id(row)) or 0 for row in rows[one])])
        else:
            rows[one] = []
            newest = _newest(portal, *one)
            if newest is not None:
                last[_name(*one)] = newest
    histories = {type_id: rows[name, type_id] for name, type_id in asked if name == HISTORY}
    created = {
        number(row.get("OWNER_ID")) for row in histories[entity_type_id] if number(row.get("TYPE_ID")) == CREATED
    }
    moved = {
        str(ItemRef(type_id, id)): str(row.get("STATUS_ID") or row.get("STAGE_ID") or "")
        for type_id, history in histories.items()
        for row in sorted(history, key=lambda row: number(row.get("ID")) or 0)
        if number(row.get("TYPE_ID")) != CREATED and (id := number(row.get("OWNER_ID")))
    }
    listed = {number(row.get("id")) for row in rows[ITEMS, entity_type_id]}
    return Look(
        entity_type_id=entity_type_id,
        calls=tuple(_call(row, portal.playbook.intake.country) for row in rows[STATISTICS, entity_type_id]),
        item_ids=tuple(sorted(id for id in created | listed if id)),
        moved=moved,
        cursors=last,
    )


def _call(row: Mapping[str, Any], country: str) -> PhoneCall:
    call = statistic_of(row)
    return PhoneCall(
        call.call_id,
        call.call_type,
        phone_key(call.phone, country) if call.phone else "",
        call.user_id,
        call.failed_code,
        call.started_at,
        call.item,
        call.activity_id,
    )


def _rows(portal: Portal, name: str, entity_type_id: int, after: int) -> list[dict[str, Any]]:
    method, params = _question(name, entity_type_id, {">id" if name == ITEMS else ">ID": after})
    try:
        return portal.read_all(method, params)
    except PortalClosed:
        raise
    except Permanent:
        return []  # a portal without telephony, its scope or this right has nothing to reconcile there


def _newest(portal: Portal, name: str, entity_type_id: int) -> int | None:
    """Returns the newest id: what stood there before we came is nobody's to distribute.

    None where we may not look: once we may, what stands there then is old too.
    """
    method, params = _question(name, entity_type_id, {})
    if name == STATISTICS:
        params |= {"SORT": "ID", "ORDER": "DESC"}
    else:
        params["order"] = {"id" if name == ITEMS else "ID": "DESC"}
    try:
        result = portal.rest.call(Call(method, params), reading=True).result
    except PortalClosed:
        raise
    except Permanent:
        return None
    rows = result.get("items", []) if isinstance(result, dict) else result
    return max((number(_id(row)) or 0 for row in rows), default=0)


def _question(name: str, entity_type_id: int, filters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if name == STATISTICS:
        return "voximplant.statistic.get", {"FILTER": filters}
    if name == HISTORY:
        return "crm.stagehistory.list", {"entityTypeId": entity_type_id, "filter": filters}
    return "crm.item.list", {"entityTypeId": entity_type_id, "filter": filters, "select": ["id"]}


def _id(row: Mapping[str, Any]) -> Any:
    return row.get("ID", row.get("id"))


def _name(name: str, entity_type_id: int) -> str:
    return f"{name}:{entity_type_id}"


def recall(memory: Memory, facts: Look) -> Look:
    """Puts what no event told into the inbox, and moves the cursors in the same transaction."""
    event = "ONCRMDEALADD" if facts.entity_type_id == DEAL else "ONCRMLEADADD"
    found: Counter[str] = Counter()
    calls: dict[str, Mapping[str, Any]] = {}
    for call in facts.calls:
        known = memory.call(call.call_id)
        if call.incoming and (known is None or known.ended_at is None):
            calls[f"call:{call.call_id}"[:96]] = end_data(call)
    ids = {str(ItemRef(facts.entity_type_id, id)): id for id in facts.item_ids}
    items: dict[str, Mapping[str, Any]] = {
        entity: {"FIELDS": {"ID": str(ids[entity])}} for entity in memory.unassigned(list(ids))
    }
    for code, told in (("ONVOXIMPLANTCALLEND", calls), (event, items)):
        new = memory.unseen(code, list(told))
        memory.deliver_events(code, {one: {"event": code, "data": told[one]} for one in new}, NORMAL)
        found[code] += len(new)
    for entity, stage_id in facts.moved.items():
        kind, _, item_id = entity.partition(":")
        changed = f"ONCRM{kind.upper()}UPDATE"
        stood = process_memory.item_row(memory, entity)
        if stood is not None and stood.stage_id != stage_id:  # its event may be waiting; a second look does no harm
            payload = {"event": changed, "data": {"FIELDS": {"ID": item_id}}}
            memory.deliver(kind="event", code=changed, entity=entity, payload=payload, priority=NORMAL)
            found[changed] += 1
    tally.count_events(memory, +found)
    visits.watch(memory)  # a portal that came back has visits still
    for name, value in facts.cursors.items():
        memory.move_cursor(name, str(value))
    return replace(facts, found=len(memory.new_deliveries))


def decide(facts: Look) -> Nothing:
    """Nothing is written to the portal here."""
    return Nothing(f"без событий найдено: {facts.found} / found without an event")


TIMER = TimerDeclaration(code="reconcile", priority=LATER, read=read, recall=recall, decide=decide)
