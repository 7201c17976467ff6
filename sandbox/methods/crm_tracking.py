"""Traces of Sales Intelligence: crm.tracking.trace.* (api-reference/crm/tracking). No method reads them."""

from __future__ import annotations

import json

from sandbox import crm
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD, QUOTE
from sandbox.method import Call, RestError, Row, as_int, as_list, as_map, method, plain

_KINDS = {"COMPANY": COMPANY, "CONTACT": CONTACT, "DEAL": DEAL, "LEAD": LEAD, "QUOTE": QUOTE}


def _core(text: str) -> RestError:
    return RestError("ERROR_CORE", text, 400)


def _trace(call: Call) -> Row:
    value = call.get("TRACE")
    if value in (None, "", [], {}):
        raise _core("Parameter `TRACE` required.")
    try:
        made = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        made = None
    if not isinstance(made, dict):
        raise _core("Can not parse JSON in parameter `TRACE`.")
    return made


def _entity(call: Call, given: Row) -> list[int]:
    word = plain(given.get("TYPE")).upper() if not isinstance(given.get("TYPE"), (dict, list)) else ""
    if word not in _KINDS:
        raise _core(f"Wrong TYPE in parameter `ENTITIES`. Allowed types: {','.join(_KINDS)}")
    kind, number = _KINDS[word], as_int(given.get("ID"))
    item = call.portal[kind].get(number)
    if number is None or item is None:
        raise _core("Wrong ID in parameter `ENTITIES`.")
    if not crm.can_change(call.user, kind, item):
        raise _core(f"You have no access to entity `{word}` with ID `{number}`.")
    return [kind, number]


@method("crm.tracking.trace.add", scope="crm", params="TRACE ENTITIES", writes=True)
def trace_add(call: Call) -> int:
    trace = _trace(call)
    bound = []
    for one in as_list(call.get("ENTITIES")):
        pair = _entity(call, {key.upper(): value for key, value in as_map(one).items()})
        if pair not in bound:
            bound.append(pair)
    row = call.portal["traces"].add({"TRACE": trace, "ENTITIES": bound, "CREATED": call.portal.now()})
    words = [crm.word(kind, number) for kind, number in bound]
    call.portal.effect("create", "trace", row["ID"], call.user_id, "rest", entities=words)
    return int(row["ID"])


@method("crm.tracking.trace.delete", scope="crm", params="id", writes=True)
def trace_delete(call: Call) -> None:
    """What the caller may change is unbound; the trace goes with its last binding. An unknown one is no error."""
    if not call.integer("id"):
        raise _core("Parameter `id` required.")
    row = call.portal["traces"].get(call.integer("id"))
    if row is None:
        return

    def stays(kind: int, number: int) -> bool:
        item = call.portal[kind].get(number)
        return item is not None and not crm.can_change(call.user, kind, item)

    left = [pair for pair in row["ENTITIES"] if stays(*pair)]
    if left:
        row["ENTITIES"] = left
        words = [crm.word(kind, number) for kind, number in left]
        call.portal.effect("update", "trace", row["ID"], call.user_id, "rest", entities=words)
    else:
        call.portal["traces"].remove(row["ID"])
        call.portal.effect("delete", "trace", row["ID"], call.user_id, "rest")
