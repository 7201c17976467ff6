"""Duplicates: fields to search by, and merging (api-reference/crm/duplicates)."""

from __future__ import annotations

from sandbox import crm, crm_fields
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD, WORD
from sandbox.method import Call, RestError, Row, as_int, as_list, method, plain

_SLOTS = 7
_KINDS = (LEAD, CONTACT, COMPANY)
_SYSTEM = {
    LEAD: ("TITLE", "ADDRESS"), CONTACT: ("ADDRESS", "POST"), COMPANY: ("ADDRESS", "BANKING_DETAILS"),
}  # fmt: skip


def _manage(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)


def _codes(call: Call, kind: int) -> list[Row]:
    """The fields of that type by which duplicates may be looked for: some of the system's, and custom strings."""
    fields = crm_fields.fields_of(call.portal, kind)
    names = [*_SYSTEM[kind], *(name for name, one in fields.items() if one.user.get("USER_TYPE_ID") == "string")]
    return [{"entityTypeId": kind, "fieldCode": name, "fieldTitle": fields[name].title} for name in names]


@method("crm.duplicate.volatileType.fields", scope="crm", params="entityTypeId", style="controller")
def volatile_fields(call: Call) -> list[Row]:
    _manage(call)
    wanted = as_int(call.get("entityTypeId"))
    return [one for kind in _KINDS if wanted in (None, kind) for one in _codes(call, kind)]


@method("crm.duplicate.volatileType.list", scope="crm", style="controller")
def volatile_list(call: Call) -> list[Row]:
    _manage(call)
    return [
        {"id": row["ID"], "entityTypeId": row["ENTITY_TYPE_ID"], "fieldCode": row["FIELD_CODE"]}
        for row in call.portal["volatile_types"]
    ]


@method(
    "crm.duplicate.volatileType.register", scope="crm", params="entityTypeId! fieldCode!", style="controller",
    writes=True,
)  # fmt: skip
def volatile_register(call: Call) -> Row:
    _manage(call)
    kind, code = as_int(call.get("entityTypeId")), plain(call.get("fieldCode"))
    if kind not in _KINDS or all(one["fieldCode"] != code for one in _codes(call, kind)):
        raise RestError("FIELD_NOT_FOUND", "Поле не найдено", 400)
    table = call.portal["volatile_types"]
    known = table.first(ENTITY_TYPE_ID=kind, FIELD_CODE=code)
    if known is None:
        if len(table) >= _SLOTS:
            raise RestError("MAX_TYPES_COUNT_EXCEEDED", "Создано максимальное количество типов", 400)
        known = table.add({"ENTITY_TYPE_ID": kind, "FIELD_CODE": code})
    return {"id": known["ID"]}


@method("crm.duplicate.volatileType.unregister", scope="crm", params="id!", style="controller", writes=True)
def volatile_unregister(call: Call) -> bool:
    _manage(call)
    row = call.portal["volatile_types"].get(as_int(call.get("id")))
    if row is None:
        raise RestError("TYPE_IS_NOT_ASSIGNED", "Тип не назначен", 400)
    call.portal["volatile_types"].remove(row["ID"])
    return True


@method("crm.entity.mergeBatch", scope="crm", params="params!", style="controller", writes=True, cost=(0.4, 1.2))
def merge_batch(call: Call) -> Row:
    """Fill the first item from the others and delete them; different values of one field are a conflict.

    A conflict changes nothing but asks a person: STATUS CONFLICT. The ids in the answer are those merged away.
    """
    given = call.mapping("params")
    kind = as_int(given.get("entityTypeId"))
    if not plain(given.get("entityTypeId")):
        raise RestError(0, "The parameter entityTypeId is required.", 400)
    if kind not in (LEAD, DEAL, CONTACT, COMPANY):
        raise RestError(0, f"Entity type {plain(given['entityTypeId'])} is not supported", 400)
    numbers = [number for number in (as_int(one) for one in as_list(given.get("entityIds"))) if number and number > 0]
    if not numbers:
        raise RestError(0, "The parameter entityIds does not contains valid elements.", 400)
    if len(set(numbers)) < 2:
        raise RestError(0, "The parameter entityIds must contains at least two elements.", 400)
    rows = []
    for number in dict.fromkeys(numbers):
        row = call.portal[kind].get(number)
        if row is None:
            raise RestError(0, "Owner was not found", 400)
        rows.append(row)
    main, others = rows[0], rows[1:]
    if not crm.can_change(call.user, kind, main) or not all(crm.can_delete(call.user, kind, row) for row in others):
        raise RestError("ACCESS_DENIED")
    fields = crm_fields.fields_of(call.portal, kind)
    names = [name for name, one in fields.items() if not set(one.flags) & {"r", "x", "i"} and name not in _NOT_MERGED]
    values: Row = {}
    for name in names:
        found = [row[name] for row in rows if row.get(name) not in (None, "", 0, 0.0, [], fields[name].default)]
        if "m" in fields[name].flags:
            values[name] = list(dict.fromkeys(one for each in found for one in each))
        elif found and any(one != found[0] for one in found):
            return {"STATUS": "CONFLICT", "ENTITY_IDS": []}
        elif found:
            values[name] = found[0]
    known = {(one["TYPE_ID"], crm.comm_key(one["TYPE_ID"], one["VALUE"])) for one in main["FM"]}
    comms = [
        {"TYPE_ID": one["TYPE_ID"], "VALUE": one["VALUE"], "VALUE_TYPE": one["VALUE_TYPE"]}
        for row in others for one in row["FM"]
        if (one["TYPE_ID"], crm.comm_key(one["TYPE_ID"], one["VALUE"])) not in known
    ]  # fmt: skip
    merged = [row["ID"] for row in others]
    for activity in call.portal["activities"].where(OWNER_TYPE_ID=kind):
        for one in [activity, *activity["BINDINGS"]]:
            if one["OWNER_TYPE_ID"] == kind and one["OWNER_ID"] in merged:
                one["OWNER_ID"] = main["ID"]
    for comment in call.portal["comments"].where(ENTITY_TYPE=WORD[kind].lower()):
        if comment["ENTITY_ID"] in merged:
            comment["ENTITY_ID"] = main["ID"]
    for row in others:
        crm.delete(call.portal, kind, row, call.actor)
    crm.update(call.portal, kind, main, values, comms, call.actor)
    return {"STATUS": "SUCCESS", "ENTITY_IDS": merged}


# Who answers for the merged item, and where it stands, is the main item's own.
_NOT_MERGED = {
    "ASSIGNED_BY_ID", "STATUS_ID", "STAGE_ID", "OPENED", "TITLE", "SOURCE_ID", "CATEGORY_ID", "BEGINDATE", "CLOSEDATE",
    "IS_MANUAL_OPPORTUNITY", "CURRENCY_ID", "TYPE_ID",
}  # fmt: skip
