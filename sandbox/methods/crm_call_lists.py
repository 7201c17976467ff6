"""Call lists: crm.calllist.* (api-reference/crm/call-list).

A list (portal["call_lists"]) stands behind an activity of its participants, contacts or companies; whoever deletes the
activity deletes the list. The statuses of a call are the dictionary CALL_LIST; people set them by their own hand.
"""

from __future__ import annotations

from datetime import datetime

from sandbox import crm, delivery
from sandbox.crm_kinds import COMPANY, CONTACT, WORD
from sandbox.filters import Column, select_rows, split_key
from sandbox.method import Call, RestError, Row, as_int, as_list, method, plain

_KINDS = {"CONTACT": CONTACT, "COMPANY": COMPANY}
_COLUMNS = {name: Column(name, "int") for name in ("ID", "CREATED_BY_ID", "WEBFORM_ID", "ENTITY_TYPE_ID")}
_COLUMNS["DATE_CREATE"] = Column("DATE_CREATE", "time")
_SHOWN = ("ID", "DATE_CREATE", "CREATED_BY_ID", "WEBFORM_ID", "ENTITY_TYPE_ID")


def _need(call: Call, *names: str) -> None:
    for name in names:
        if call.get(name) in (None, "", [], {}):
            raise RestError("ERROR_ARGUMENT", f"{name} is not found", 400)


def _participants(call: Call, kind: int, code: str) -> list[int]:
    """The ids of ENTITIES, each once; `code` for one that CRM does not have."""
    numbers = [as_int(one) for one in as_list(call.get("ENTITIES"))]
    found = [number for number in dict.fromkeys(numbers) if call.portal[kind].get(number) is not None]
    if len(found) != len(set(numbers)):
        raise RestError(code, "Incorrect entities id", 400)
    return [number for number in found if number is not None]


def _readable(call: Call, kind: int, numbers: list[int]) -> list[int]:
    rows = call.portal[kind].rows
    return [number for number in numbers if number in rows and crm.can_read(call.user, kind, rows[number])]


def _form(call: Call) -> int | None:
    if call.get("WEBFORM_ID") in (None, ""):
        return None
    row = call.portal["webforms"].get(as_int(call.get("WEBFORM_ID")))
    if row is None:
        raise RestError("WEBFORM_ERROR", "Incorrect webform id", 400)
    return int(row["ID"])


def _array(call: Call) -> None:
    if not isinstance(call.get("ENTITIES"), (list, dict)):
        raise RestError("ENTITIES_ERROR", "Entities is not array", 400)


@method("crm.calllist.add", scope="crm", params="ENTITY_TYPE ENTITIES WEBFORM_ID", writes=True)
def list_add(call: Call) -> int:
    _need(call, "ENTITY_TYPE", "ENTITIES")
    _array(call)
    kind = _KINDS.get(call.text("ENTITY_TYPE"))
    if kind is None:
        raise RestError("ENTITY_TYPE_ERROR", "Incorrect entity type", 400)
    numbers, form = _participants(call, kind, "ENTITY_ERROR"), _form(call)
    numbers = _readable(call, kind, numbers)
    if not numbers:
        raise RestError("ACCESS_ERROR", "You don't have access to these entities", 403)
    row = call.portal["call_lists"].add(
        {
            "DATE_CREATE": call.portal.now(), "CREATED_BY_ID": call.user_id, "WEBFORM_ID": form,
            "ENTITY_TYPE_ID": kind, "ITEMS": [{"ID": number, "STATUS": "IN_WORK"} for number in numbers],
        }
    )  # fmt: skip
    crm.add_activity(
        call.portal,
        {
            "TYPE_ID": 6, "PROVIDER_ID": "CALL_LIST", "PROVIDER_TYPE_ID": "CALL_LIST",
            "ASSOCIATED_ENTITY_ID": row["ID"], "SUBJECT": f"Call list #{row['ID']}",
            "OWNER_TYPE_ID": kind, "OWNER_ID": numbers[0], "BINDINGS": _bindings(row),
        },
        call.actor,
    )  # fmt: skip
    call.portal.effect("create", "call list", row["ID"], call.user_id, "rest", items=numbers)
    return int(row["ID"])


def _bindings(row: Row) -> list[Row]:
    return [{"OWNER_TYPE_ID": row["ENTITY_TYPE_ID"], "OWNER_ID": one["ID"]} for one in row["ITEMS"]]


@method("crm.calllist.update", scope="crm", params="LIST_ID ENTITY_TYPE ENTITIES WEBFORM_ID", writes=True)
def list_update(call: Call) -> bool:
    _need(call, "LIST_ID", "ENTITY_TYPE", "ENTITIES")
    kind = _KINDS.get(call.text("ENTITY_TYPE"))
    if kind is None:
        raise RestError("ENTITY_TYPE_ERROR", "EntityType is incorrect", 400)
    _array(call)
    numbers = _participants(call, kind, "ENTITIES_ERROR")
    row = call.portal["call_lists"].get(as_int(call.get("LIST_ID")))
    if row is None:
        raise RestError("LIST_ID_ERROR", "Incorrect list id or access denied", 400)
    if row["ENTITY_TYPE_ID"] != kind:
        text = "Discrepancy between the type of call participants and incoming type"
        raise RestError("ENTITY_TYPE_ERROR", text, 400)
    form, numbers = _form(call), _readable(call, kind, numbers)
    if not numbers:
        raise RestError("ACCESS_ERROR", "Access Denied", 403)
    before = {one["ID"]: one for one in row["ITEMS"]}
    row["ITEMS"] = [before.get(number) or {"ID": number, "STATUS": "IN_WORK"} for number in numbers]
    row["WEBFORM_ID"] = form
    call.portal.effect("update", "call list", row["ID"], call.user_id, "rest", items=numbers)
    activity = call.portal["activities"].first(PROVIDER_ID="CALL_LIST", ASSOCIATED_ENTITY_ID=row["ID"])
    if activity is not None and activity["BINDINGS"] != _bindings(row):
        activity["BINDINGS"], activity["OWNER_ID"] = _bindings(row), numbers[0]
        activity["LAST_UPDATED"], activity["EDITOR_ID"] = call.portal.now(), call.user_id
        data = {"FIELDS": {"ID": activity["ID"]}}
        delivery.emit(call.portal, "ONCRMACTIVITYUPDATE", data, call.actor, entity=f"activity {activity['ID']}")
    return True


def _printed(call: Call, row: Row) -> Row:
    at = datetime.fromtimestamp(row["DATE_CREATE"], call.portal.zone())
    made = {name: None if row[name] is None else str(row[name]) for name in _SHOWN}
    return made | {"DATE_CREATE": at.strftime("%Y-%m-%d %H:%M:%S")}


@method("crm.calllist.get", scope="crm", params="ID")
def list_get(call: Call) -> Row:
    _need(call, "ID")
    row = call.portal["call_lists"].get(as_int(call.get("ID")))
    if row is None:
        raise RestError("LIST_ID_ERROR", "Incorrect list id", 400)
    return _printed(call, row) | {"ENTITY_TYPE": WORD[row["ENTITY_TYPE_ID"]]}


def _unknown(name: str) -> RestError:
    field = split_key(name)[1]
    entity = "\\Bitrix\\Crm\\CallList\\Internals\\CallList"
    return RestError("100", f"Unknown field definition `{field}` ({field}) for {entity} Entity.", 400)


@method("crm.calllist.list", scope="crm", params="SELECT FILTER ORDER")
def list_list(call: Call) -> list[Row]:
    def refuse(name: str) -> None:
        raise _unknown(name)

    names = [plain(one) for one in call.sequence("SELECT") if not isinstance(one, (dict, list))]
    for name in names:
        if name not in (*_COLUMNS, "*"):
            raise _unknown(name)
    rows, _, _ = select_rows(
        call.portal["call_lists"], filter=call.mapping("FILTER"), order=call.mapping("ORDER"), columns=_COLUMNS,
        zone=call.portal.zone(), unknown=refuse, unknown_order=refuse, limit=max(1, len(call.portal["call_lists"])),
    )  # fmt: skip
    shown = [name for name in _SHOWN if not names or "*" in names or name in names]
    return [{name: entry[name] for name in shown} for entry in (_printed(call, row) for row in rows)]


@method("crm.calllist.items.get", scope="crm", params="LIST_ID FILTER")
def items_get(call: Call) -> list[Row]:
    _need(call, "LIST_ID")
    if call.integer("LIST_ID") < 1:
        raise RestError("LIST_ID_ERROR", "List id should be positive", 400)
    row = call.portal["call_lists"].get(call.integer("LIST_ID"))
    if row is None:
        raise RestError("LIST_ID_ERROR", "Call list is not found", 400)
    status = {key.upper(): value for key, value in call.mapping("FILTER").items()}.get("STATUS")
    if status is not None and plain(status) not in {one["STATUS_ID"] for one in _statuses(call)}:
        raise RestError("STATUS_ERROR", "Incorrect status", 400)
    own = _readable(call, row["ENTITY_TYPE_ID"], [one["ID"] for one in row["ITEMS"]])
    if not own:
        raise RestError("ACCESS_ERROR", "You do not have access to the participants of this call list", 403)
    return [
        {"ID": one["ID"], "STATUS": one["STATUS"], "ENTITY_TYPE": row["ENTITY_TYPE_ID"]}
        for one in row["ITEMS"]
        if one["ID"] in own and status in (None, one["STATUS"])
    ]


def _statuses(call: Call) -> list[Row]:
    return sorted(call.portal["statuses"].where(ENTITY_ID="CALL_LIST"), key=lambda row: (row["SORT"], row["ID"]))


@method("crm.calllist.statuslist", scope="crm")
def status_list(call: Call) -> list[Row]:
    return [{name: row[name] for name in ("ID", "NAME", "SORT", "STATUS_ID")} for row in _statuses(call)]
