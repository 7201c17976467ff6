"""CRM items: who may what, phones and e-mails, stages, saving with history and events.

What their records hold is in crm_fields.py, the kinds of items are in crm_kinds.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sandbox import delivery, orders
from sandbox.crm_fields import FIELDS, MULTIFIELDS, STATIC_BY_NAME, Field, fields_of, files_of, not_valid, with_files
from sandbox.crm_kinds import (
    COMPANY,
    CONTACT,
    DEAL,
    FIRST_DYNAMIC,
    LEAD,
    QUOTE,
    RUSSIAN,
    SEMANTIC,
    STAGE,
    WORD,
    item_of,
    type_row,
)
from sandbox.filters import day_of
from sandbox.method import Actor, RestError, Row, as_int, plain, yes
from sandbox.portal import Portal

# --- who may what ---------------------------------------------------------------------------------------------------


def can_read(user: Row, kind: int, row: Row) -> bool:
    """Everyone reads everything, but people of "own leads only" only their own leads and deals."""
    if user["ADMIN"] or not user["OWN_LEADS_ONLY"] or kind not in STAGE:
        return True
    return bool(row["ASSIGNED_BY_ID"] == user["ID"] or user["ID"] in row["OBSERVER_IDS"])


def can_change(user: Row, kind: int, row: Row) -> bool:
    """As `can_read`, but an observer only reads."""
    if user["ADMIN"] or not user["OWN_LEADS_ONLY"] or kind not in STAGE:
        return True
    return bool(row["ASSIGNED_BY_ID"] == user["ID"])


def can_delete(user: Row, kind: int, row: Row) -> bool:
    """Administrators and the responsible person delete."""
    return bool(user["ADMIN"] or row["ASSIGNED_BY_ID"] == user["ID"])


# --- phones and e-mails ---------------------------------------------------------------------------------------------


def digits_of(phone: str) -> str:
    """The number for comparison: digits without an extension, 8 912 ... as 7 912 ...; "" for what is no number."""
    head = re.split(r"(?i)доб|ext|#|;|,|x", phone)[0]
    digits = re.sub(r"\D", "", head)
    return "7" + digits[1:] if len(digits) == 11 and digits[0] == "8" else digits


def is_email(text: str) -> bool:
    """Whether an address has the form of one."""
    return re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text.strip()) is not None


def comm_key(type_id: str, value: str) -> str:
    """The form in which phones and e-mails are compared."""
    return digits_of(value) if type_id == "PHONE" else value.strip().lower()


def _index(portal: Portal) -> dict[tuple[str, str], set[tuple[int, int]]]:
    made: dict[tuple[str, str], set[tuple[int, int]]] | None = portal.held.get("comm")
    if made is None:
        made = portal.held["comm"] = {}
        for kind in FIELDS:
            for row in portal[kind]:
                _remember(made, kind, row)
    return made


def _remember(index: dict[tuple[str, str], set[tuple[int, int]]], kind: int, row: Row) -> None:
    for one in row["FM"]:
        index.setdefault((one["TYPE_ID"], comm_key(one["TYPE_ID"], one["VALUE"])), set()).add((kind, row["ID"]))


def _forget(index: dict[tuple[str, str], set[tuple[int, int]]], kind: int, row: Row) -> None:
    for one in row["FM"]:
        index.get((one["TYPE_ID"], comm_key(one["TYPE_ID"], one["VALUE"])), set()).discard((kind, row["ID"]))


def find_by_comm(
    portal: Portal, type_id: str, value: str, kinds: Iterable[int] = (CONTACT, COMPANY, LEAD)
) -> list[Row]:
    """Records with that phone or e-mail as {kind, row}, in the order of `kinds`, oldest first."""
    key = comm_key(type_id, value)
    hits = _index(portal).get((type_id, key), set()) if key else set()
    return [
        {"kind": kind, "row": portal[kind].rows[number]}
        for kind in kinds
        for number in sorted(number for hit, number in hits if hit == kind)
    ]


def set_multifields(portal: Portal, row: Row, given: list[Row]) -> bool:
    """Apply {ID?, TYPE_ID, VALUE_TYPE, VALUE, DELETE?} to the record's "FM"; True when something changed."""
    before = [dict(one) for one in row["FM"]]
    values = {one["ID"]: one for one in row["FM"]}
    for one in given:
        number = as_int(one.get("ID"))
        value = plain(one.get("VALUE")).strip()
        if number in values:
            if yes(one.get("DELETE")) or ("VALUE" in one and value == ""):
                del values[number]
            else:
                values[number]["VALUE"] = value or values[number]["VALUE"]
                values[number]["VALUE_TYPE"] = plain(one.get("VALUE_TYPE")) or values[number]["VALUE_TYPE"]
        elif value and one.get("TYPE_ID") in MULTIFIELDS:
            portal["multifields"].last += 1
            number = portal["multifields"].last
            values[number] = {
                "ID": number, "TYPE_ID": one["TYPE_ID"], "VALUE_TYPE": plain(one.get("VALUE_TYPE")) or "WORK",
                "VALUE": value,
            }  # fmt: skip
    row["FM"] = list(values.values())
    row["HAS_PHONE"] = "Y" if any(one["TYPE_ID"] == "PHONE" for one in row["FM"]) else "N"
    row["HAS_EMAIL"] = "Y" if any(one["TYPE_ID"] == "EMAIL" for one in row["FM"]) else "N"
    return bool(row["FM"] != before)


# --- stages ---------------------------------------------------------------------------------------------------------


def stage_entity(kind: int, category: int = 0) -> str:
    """ENTITY_ID of the stages in crm.status.list."""
    if kind >= FIRST_DYNAMIC:
        return f"DYNAMIC_{kind}_STAGE_{category}"
    if kind == DEAL:
        return f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"
    return "STATUS" if kind == LEAD else "QUOTE_STATUS"


def kind_of_stages(entity: str) -> tuple[int, int] | None:
    """(entity type, category) of an ENTITY_ID that holds stages, None for another dictionary."""
    if entity == "STATUS":
        return LEAD, 0
    if entity == "QUOTE_STATUS":
        return QUOTE, 0
    if entity == "DEAL_STAGE":
        return DEAL, 0
    found = re.fullmatch(r"DEAL_STAGE_(\d{1,9})", entity)
    if found:
        return DEAL, int(found[1])
    found = re.fullmatch(r"DYNAMIC_(\d{1,9})_STAGE_(\d{1,9})", entity)
    return (int(found[1]), int(found[2])) if found else None


def categories(portal: Portal, kind: int) -> list[Row]:
    """The pipelines of that type in their order."""
    found = (row for row in portal["categories"] if row.get("ENTITY_TYPE_ID", DEAL) == kind)
    return sorted(found, key=lambda row: (row["SORT"], row["ID"]))


def category_number(kind: int, row: Row) -> int:
    """The id under which the outside knows a pipeline: the system's first one is 0."""
    return 0 if row.get("ZERO") or (kind == DEAL and row["ID"] == 1) else int(row["ID"])


def default_category(portal: Portal, kind: int) -> int:
    """The pipeline of new items that name none; 0 for types without pipelines."""
    rows = categories(portal, kind)
    chosen = next((row for row in rows if row["DEFAULT"]), rows[0] if rows else None)
    return category_number(kind, chosen) if chosen is not None else 0


def stages(portal: Portal, kind: int, category: int = 0) -> list[Row]:
    """The stages of the type, or of one of its pipelines, in their order."""
    entity = stage_entity(kind, category)
    return sorted((row for row in portal["statuses"] if row["ENTITY_ID"] == entity), key=lambda row: row["SORT"])


def _semantic(portal: Portal, kind: int, row: Row) -> str:
    for stage in stages(portal, kind, row.get("CATEGORY_ID") or 0):
        if stage["STATUS_ID"] == row[STAGE[kind]]:
            return str(stage["SEMANTICS"] or "P")
    raise not_valid(STATIC_BY_NAME[kind][STAGE[kind]])


def _history(portal: Portal, kind: int, row: Row, type_id: int, at: float) -> None:
    portal["stage_history"].add(
        {
            "ENTITY_TYPE_ID": kind, "TYPE_ID": type_id, "OWNER_ID": row["ID"], "CREATED_TIME": at,
            "CATEGORY_ID": row.get("CATEGORY_ID") or 0, "STAGE_ID": row[STAGE[kind]],
            "STAGE_SEMANTIC_ID": row[SEMANTIC[kind]],
        }
    )  # fmt: skip


# --- saving ---------------------------------------------------------------------------------------------------------


def word(kind: int, number: int) -> str:
    """The ledger's word for an item: "lead 42"."""
    return f"{WORD[kind].lower()} {number}"


def create(
    portal: Portal, kind: int, values: Row, comms: list[Row], actor: Actor, *, silent: bool = False, defer: bool = False
) -> Row:
    """Store a new item from inner `values` and multi-fields; history, event, automation. The record is returned.

    In simple CRM mode a new lead becomes a deal (with a contact, when there is a name or phone) at once.
    silent: no event and no automation (the seed). defer: no automation now (calls run it when they end).
    """
    if kind == LEAD and portal.settings.mode == 2:
        return _create_converted(portal, values, comms, actor, defer)
    now = portal.now()
    row: Row = {one.key: _default(one) for one in fields_of(portal, kind).values() if "x" not in one.flags}
    values = with_files(portal, kind, values, row)
    row.update({"FM": [], **{key: value for key, value in values.items() if key in row}})
    row["DATE_CREATE"] = values.get("DATE_CREATE") or now
    row["DATE_MODIFY"] = row["LAST_ACTIVITY_TIME"] = row["DATE_CREATE"]
    row["CREATED_BY_ID"] = row["MODIFY_BY_ID"] = row["LAST_ACTIVITY_BY"] = actor.user_id or 1
    row["ASSIGNED_BY_ID"] = values.get("ASSIGNED_BY_ID") or actor.user_id or 1
    row["ID"] = 0
    _link(kind, row, values)
    if kind == LEAD:
        row["IS_RETURN_CUSTOMER"] = _returned(row)
    if kind >= FIRST_DYNAMIC and not row["CATEGORY_ID"]:
        row["CATEGORY_ID"] = default_category(portal, kind)
    if kind in STAGE:
        available = stages(portal, kind, row.get("CATEGORY_ID") or 0)
        if not available:
            raise not_valid(STATIC_BY_NAME[kind]["CATEGORY_ID"])
        row[STAGE[kind]] = values.get(STAGE[kind]) or available[0]["STATUS_ID"]
        row[SEMANTIC[kind]] = _semantic(portal, kind, row)
        row["MOVED_BY_ID"], row["MOVED_TIME"] = row["CREATED_BY_ID"], row["DATE_CREATE"]
        row["PREVIOUS_STAGE_ID"] = None
        _closing(portal, kind, row, row["DATE_CREATE"])
    if kind == DEAL:
        today = day_of(now, portal.zone())
        row["BEGINDATE"] = row["BEGINDATE"] or today
        row["CLOSEDATE"] = row["CLOSEDATE"] or today + 7 * 86400
    if kind == CONTACT and not plain(row["NAME"]) and not plain(row["LAST_NAME"]):
        raise RestError("CRM_FIELD_ERROR_REQUIRED", 'Не заполнено обязательное поле "Имя" или "Фамилия"')
    portal[kind].add(row)
    set_multifields(portal, row, comms)
    if kind >= FIRST_DYNAMIC and not row["TITLE"]:
        row["TITLE"] = f"{(type_row(portal, kind) or {})['TITLE']} #{row['ID']}"
    if "TITLE" in row and not row["TITLE"]:
        row["TITLE"] = f"{RUSSIAN[kind]} #{row['ID']}"
    if kind == QUOTE:
        row["QUOTE_NUMBER"] = str(row["ID"])
    _mirror(portal, kind, row, [])
    _remember(_index(portal), kind, row)
    if kind in STAGE:
        _history(portal, kind, row, 1, row["DATE_CREATE"])
    if not silent:
        portal.effect("create", WORD[kind].lower(), row["ID"], actor.user_id, actor.via)
        _emit(portal, kind, "ADD", row["ID"], actor)
        if kind in STAGE and not defer:
            from sandbox import automation

            automation.entered(portal, kind, row, actor)
    return row


# Contacts and companies know of each other: the list on this side, the type and the list on the other one.
_OTHER_SIDE = {CONTACT: ("COMPANY_IDS", COMPANY, "CONTACT_ID"), COMPANY: ("CONTACT_ID", CONTACT, "COMPANY_IDS")}


def _mirror(portal: Portal, kind: int, row: Row, before: list[int]) -> None:
    if kind not in _OTHER_SIDE:
        return
    own, other, theirs = _OTHER_SIDE[kind]
    for number in {*before, *row[own]}:
        partner = portal[other].get(number)
        if partner is None:
            continue
        wanted = number in row[own]
        if wanted and row["ID"] not in partner[theirs]:
            partner[theirs] = [*partner[theirs], row["ID"]]
        elif not wanted:
            partner[theirs] = [each for each in partner[theirs] if each != row["ID"]]
        if other == CONTACT:
            partner["COMPANY_ID"] = partner[theirs][0] if partner[theirs] else 0


def _returned(row: Row) -> str:
    """A lead of a known client is a repeat one (crm-lead-add.md); nobody sets that itself."""
    return "Y" if row["CONTACT_ID"] or row["COMPANY_ID"] else "N"


def _default(one: Field) -> Any:
    if isinstance(one.default, list):
        return list(one.default)
    return 0.0 if one.type == "double" and not one.user else one.default


def _link(kind: int, row: Row, values: Row) -> None:
    """CONTACT_ID is the first of CONTACT_IDS, COMPANY_ID of COMPANY_IDS; the one that was given wins."""
    pairs = (
        [("CONTACT_ID", "CONTACT_IDS")] if kind in STAGE else [("COMPANY_ID", "COMPANY_IDS")] if kind == CONTACT else []
    )
    for single, several in pairs:
        if several in values:
            row[single] = row[several][0] if row[several] else 0
        elif single in values:
            rest = [number for number in row[several] if number != row[single]]
            row[several] = [row[single], *rest] if row[single] else []


def _closing(portal: Portal, kind: int, row: Row, now: float) -> None:
    done = row[SEMANTIC[kind]] in ("S", "F")
    if kind == LEAD:
        row["DATE_CLOSED"] = (row["DATE_CLOSED"] or now) if done else None
    elif kind == QUOTE:
        row["CLOSED"] = "Y" if done else "N"
    elif kind == DEAL:
        row["CLOSED"] = "Y" if done else "N"
        if done:
            row["CLOSEDATE"] = day_of(now, portal.zone())
        row["IS_NEW"] = "Y" if row["STAGE_ID"].rpartition(":")[2] == "NEW" else "N"


def _create_converted(portal: Portal, values: Row, comms: list[Row], actor: Actor, defer: bool) -> Row:
    """Simple mode: the lead only gives its number; contact and deal stand in its place."""
    portal[LEAD].last += 1
    number = portal[LEAD].last
    shared = {"ASSIGNED_BY_ID", "SOURCE_ID", "SOURCE_DESCRIPTION", "COMMENTS", "ORIGIN_ID", "ORIGINATOR_ID"}
    common = {key: value for key, value in values.items() if key in shared or key.startswith("UTM_")}
    contact_id = values.get("CONTACT_ID") or 0
    if not contact_id and (comms or values.get("NAME") or values.get("LAST_NAME")):
        known = [
            one for comm in comms for one in find_by_comm(portal, comm["TYPE_ID"], plain(comm.get("VALUE")), [CONTACT])
        ]
        if known:
            contact_id = known[0]["row"]["ID"]
        else:
            person = {key: values[key] for key in ("NAME", "LAST_NAME", "SECOND_NAME", "POST") if values.get(key)}
            if not person.get("NAME") and not person.get("LAST_NAME"):
                person["NAME"] = "Без имени"
            contact_id = create(portal, CONTACT, {**common, **person, "LEAD_ID": number}, comms, actor)["ID"]
    deal = {
        **common,
        "LEAD_ID": number,
        "CONTACT_ID": contact_id,
        "TITLE": values.get("TITLE") or f"Сделка по лиду #{number}",
    }
    for name in ("OPPORTUNITY", "CURRENCY_ID", "COMPANY_ID", "OBSERVER_IDS", "WEBFORM_ID"):
        if values.get(name):
            deal[name] = values[name]
    made = create(portal, DEAL, deal, [], actor, defer=defer)
    return {**made, "LEAD_NUMBER": number}


def update(
    portal: Portal, kind: int, row: Row, values: Row, comms: list[Row] | None, actor: Actor, *, links: bool = False
) -> bool:
    """Change an item; False and nothing else when every value is what it was. History, event, automation as due.

    links: only the list of clients is changed, which leaves a lead as repeat or simple as it was
    (leads/management-communication/index.md).
    """
    fields = fields_of(portal, kind)
    values, files = with_files(portal, kind, values, row), files_of(portal, kind, row)
    new = {key: value for key, value in values.items() if key in fields and row.get(key, fields[key].default) != value}
    probe = {**row, **new}
    if any(key in values for key in ("CONTACT_ID", "CONTACT_IDS", "COMPANY_ID", "COMPANY_IDS")):
        _link(kind, probe, new)
        if kind == LEAD and not links:
            probe["IS_RETURN_CUSTOMER"] = _returned(probe)
        new = {key: value for key, value in probe.items() if key in fields and row.get(key) != value}
    moved = kind in STAGE and STAGE[kind] in new
    if kind == DEAL and "CATEGORY_ID" in new and not moved:
        new.pop("CATEGORY_ID")
    if moved:
        probe[SEMANTIC[kind]] = _semantic(portal, kind, probe)
    if kind == CONTACT and not plain(probe["NAME"]) and not plain(probe["LAST_NAME"]):
        raise RestError("CRM_FIELD_ERROR_REQUIRED", 'Не заполнено обязательное поле "Имя" или "Фамилия"')
    index = _index(portal)
    _forget(index, kind, row)
    changed_comms = bool(comms) and set_multifields(portal, row, comms or [])
    _remember(index, kind, row)
    if not new and not changed_comms:
        return False
    now = portal.now()
    was = {key: row.get(key) for key in new}
    row.update(new)
    for number in files - files_of(portal, kind, row):
        portal["files"].remove(number)
    if _OTHER_SIDE.get(kind, ("",))[0] in new:
        _mirror(portal, kind, row, was[_OTHER_SIDE[kind][0]] or [])
    row["DATE_MODIFY"], row["MODIFY_BY_ID"] = now, actor.user_id or row["MODIFY_BY_ID"]
    if moved:
        row[SEMANTIC[kind]] = probe[SEMANTIC[kind]]
        row["MOVED_TIME"], row["MOVED_BY_ID"] = now, actor.user_id or row["MOVED_BY_ID"]
        row["PREVIOUS_STAGE_ID"] = was[STAGE[kind]]
        _closing(portal, kind, row, now)
        _history(portal, kind, row, 3 if row[SEMANTIC[kind]] in ("S", "F") else 2, now)
    changes = {key: {"from": was[key], "to": row.get(key)} for key in new}
    portal.effect("update", WORD[kind].lower(), row["ID"], actor.user_id, actor.via, changes=changes)
    _emit(portal, kind, "UPDATE", row["ID"], actor)
    if moved:
        from sandbox import automation

        automation.left(portal, kind, row)
        automation.entered(portal, kind, row, actor)
    return True


def delete(portal: Portal, kind: int, row: Row, actor: Actor) -> None:
    """Remove an item with its comments, activities and payments; its event comes after."""
    orders.owner_deleted(portal, kind, row["ID"], actor)
    _forget(_index(portal), kind, row)
    portal[kind].remove(row["ID"])
    for number in files_of(portal, kind, row):
        portal["files"].remove(number)
    from sandbox import automation

    automation.left(portal, kind, row)
    _leave_call_lists(portal, kind, row["ID"])
    for activity in list(portal["activities"].where(OWNER_TYPE_ID=kind, OWNER_ID=row["ID"])):
        portal["activities"].remove(activity["ID"])
    for comment in list(portal["comments"].where(ENTITY_TYPE=WORD[kind].lower(), ENTITY_ID=row["ID"])):
        portal["comments"].remove(comment["ID"])
    portal.effect("delete", WORD[kind].lower(), row["ID"], actor.user_id, actor.via)
    _emit(portal, kind, "DELETE", row["ID"], actor)


def _leave_call_lists(portal: Portal, kind: int, number: int) -> None:
    """A contact or company that goes leaves the call lists; a list without participants goes with its activity."""
    for row in list(portal["call_lists"].where(ENTITY_TYPE_ID=kind)):
        row["ITEMS"] = [one for one in row["ITEMS"] if one["ID"] != number]
        activity = portal["activities"].first(PROVIDER_ID="CALL_LIST", ASSOCIATED_ENTITY_ID=row["ID"])
        if not row["ITEMS"]:
            portal["call_lists"].remove(row["ID"])
        elif activity is not None:
            activity["BINDINGS"] = [one for one in activity["BINDINGS"] if one["OWNER_ID"] != number]
            activity["OWNER_ID"] = activity["BINDINGS"][0]["OWNER_ID"]


def _emit(portal: Portal, kind: int, change: str, number: int, actor: Actor) -> None:
    if kind >= FIRST_DYNAMIC:
        fields = {"FIELDS": {"ID": number, "ENTITY_TYPE_ID": kind}}
        for name in (f"ONCRMDYNAMICITEM{change}", f"ONCRMDYNAMICITEM{change}_{kind}"):
            delivery.emit(portal, name, fields, actor, entity=word(kind, number))
        return
    delivery.emit(portal, f"ONCRM{WORD[kind]}{change}", {"FIELDS": {"ID": number}}, actor, entity=word(kind, number))


def touch(portal: Portal, kind: int, number: int, user_id: int) -> None:
    """Note the last activity in an item's timeline."""
    row = item_of(portal, kind, number)
    if row is not None:
        row["LAST_ACTIVITY_TIME"], row["LAST_ACTIVITY_BY"] = portal.now(), user_id or row["LAST_ACTIVITY_BY"]


def add_activity(portal: Portal, values: Row, actor: Actor) -> Row:
    """Store an activity with its defaults, note it in the item and send ONCRMACTIVITYADD."""
    now = portal.now()
    row: Row = {
        "OWNER_ID": 0, "OWNER_TYPE_ID": 0, "TYPE_ID": 6, "PROVIDER_ID": "", "PROVIDER_TYPE_ID": "",
        "PROVIDER_GROUP_ID": None, "ASSOCIATED_ENTITY_ID": 0, "SUBJECT": "", "CREATED": now, "LAST_UPDATED": now,
        "START_TIME": now, "END_TIME": now, "DEADLINE": now, "COMPLETED": "N", "STATUS": 1,
        "RESPONSIBLE_ID": actor.user_id or 1, "PRIORITY": 2, "NOTIFY_TYPE": 0, "NOTIFY_VALUE": 0, "DESCRIPTION": "",
        "DESCRIPTION_TYPE": 1, "DIRECTION": 0, "LOCATION": "", "SETTINGS": [], "ORIGINATOR_ID": None, "ORIGIN_ID": None,
        "AUTHOR_ID": actor.user_id or 1, "EDITOR_ID": actor.user_id or 1, "PROVIDER_PARAMS": [], "PROVIDER_DATA": None,
        "RESULT_MARK": 0, "RESULT_VALUE": None, "RESULT_SUM": None, "RESULT_CURRENCY_ID": None, "RESULT_STATUS": 0,
        "RESULT_STREAM": 0, "RESULT_SOURCE_ID": None, "AUTOCOMPLETE_RULE": 0, "IS_INCOMING_CHANNEL": "N",
        "BINDINGS": [], "COMMUNICATIONS": [], "FILES": [],
    }  # fmt: skip
    row.update(values)
    if not row["BINDINGS"]:
        row["BINDINGS"] = [{"OWNER_TYPE_ID": row["OWNER_TYPE_ID"], "OWNER_ID": row["OWNER_ID"]}]
    portal["activities"].add(row)
    touch(portal, row["OWNER_TYPE_ID"], row["OWNER_ID"], actor.user_id)
    portal.effect("create", "activity", row["ID"], actor.user_id, actor.via)
    delivery.emit(portal, "ONCRMACTIVITYADD", {"FIELDS": {"ID": row["ID"]}}, actor, entity=f"activity {row['ID']}")
    return row
