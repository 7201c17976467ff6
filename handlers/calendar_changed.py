"""A calendar entry was moved or deleted by a person: where it is a visit's, the visit is looked at (K26, K28).

Entries of other people cost no request; what is done about a visit stands in handlers/visit.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number
from b24app.engine.declare import NORMAL, EventCall, Handler, Nothing
from b24app.store import visits
from b24app.store.memory import Memory


@dataclass(frozen=True)
class EntryChanged:
    """An entry by its number, and the item whose visit it is ("": it is none of ours)."""

    calendar_id: int
    entity: str = ""


def read(portal: Portal, call: EventCall) -> EntryChanged | Nothing:
    """Asks nothing of the portal."""
    id = number(call.data.get("id") or call.data.get("ID"))
    return EntryChanged(id) if id is not None else Nothing("в событии нет id / no id in the event")


def recall(memory: Memory, facts: EntryChanged) -> EntryChanged:
    """Finds the visit, and orders a look at it."""
    row = visits.by_entry(memory, facts.calendar_id)
    if row is None or not row.occupying:
        return facts
    visits.look(memory, row.entity)
    return replace(facts, entity=row.entity)


def decide(facts: EntryChanged) -> Nothing:
    """Nothing is written here."""
    if not facts.entity:
        return Nothing("запись не наша / not an entry of ours")
    return Nothing(f"смотрим замер {facts.entity} / its visit is looked at")


def entity(call: EventCall) -> str | None:
    """Returns `calendar:1246`."""
    id = number(call.data.get("id") or call.data.get("ID"))
    return f"calendar:{id}" if id is not None else None


HANDLER = Handler(
    event="ONCALENDARENTRYUPDATE", entity=entity, priority=NORMAL, read=read, recall=recall, decide=decide
)
DELETED_HANDLER = replace(HANDLER, event="ONCALENDARENTRYDELETE")
