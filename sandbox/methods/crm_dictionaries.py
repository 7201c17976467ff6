"""Dictionaries, pipelines, stage history, triggers (api-reference/crm/status, category, crm-stage-history-list)."""

from __future__ import annotations

import re
from typing import Any

from sandbox import automation, crm
from sandbox.crm_kinds import DEAL, LEAD, QUOTE, STAGE, exists, item_of, kind_of, type_row
from sandbox.filters import Column, check_order, page_of, select_rows, split_key
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain

_STATUS = {
    name: Column(name) for name in ("ENTITY_ID", "STATUS_ID", "NAME", "NAME_INIT", "SYSTEM", "COLOR", "SEMANTICS")
}
_STATUS |= {name: Column(name, "int") for name in ("ID", "SORT", "CATEGORY_ID")}
_WORDS = {None: "process", "S": "success", "F": "failure"}


@method("crm.status.list", scope="crm", params="order filter")
def status_list(call: Call) -> Page:
    rows, total, _ = select_rows(
        call.portal["statuses"], filter={key.upper(): value for key, value in call.mapping("filter").items()},
        order={key.upper(): value for key, value in (call.mapping("order") or {"SORT": "ASC"}).items()},
        columns=_STATUS,
        zone=call.portal.zone(), unknown=lambda key: None, limit=10_000,
    )  # fmt: skip
    return Page([_status(row) for row in rows], total)


def _status(row: Row) -> Row:
    made: Row = {
        "ID": str(row["ID"]), "ENTITY_ID": row["ENTITY_ID"], "STATUS_ID": row["STATUS_ID"], "NAME": row["NAME"],
        "NAME_INIT": row["NAME_INIT"], "SORT": str(row["SORT"]), "SYSTEM": row["SYSTEM"],
        "CATEGORY_ID": str(row["CATEGORY_ID"]) if row["CATEGORY_ID"] else None, "COLOR": row["COLOR"],
        "SEMANTICS": row["SEMANTICS"],
    }  # fmt: skip
    if row["ENTITY_ID"] == "STATUS" or row["ENTITY_ID"].startswith("DEAL_STAGE"):
        semantics = "apology" if row["STATUS_ID"].endswith("APOLOGY") else _WORDS[row["SEMANTICS"]]
        made["EXTRA"] = {"SEMANTICS": semantics, "COLOR": row["COLOR"]}
    return made


@method("crm.status.entity.types", scope="crm")
def entity_types(call: Call) -> list[Row]:
    ends = {"START_FIELD": "NEW", "FINAL_SUCCESS_FIELD": "CONVERTED", "FINAL_UNSUCCESS_FIELD": "JUNK", "FINAL_SORT": 0}
    made: list[Row] = [{"ID": "STATUS", "NAME": "Стадии лида", "SEMANTIC_INFO": ends, "ENTITY_TYPE_ID": LEAD}]
    made += [
        {"ID": key, "NAME": name}
        for key, name in (
            ("SOURCE", "Источники"), ("CONTACT_TYPE", "Тип контакта"), ("COMPANY_TYPE", "Тип компании"),
            ("EMPLOYEES", "Кол-во сотрудников"), ("INDUSTRY", "Сфера деятельности"), ("DEAL_TYPE", "Тип сделки"),
            ("HONORIFIC", "Обращение"), ("CALL_LIST", "Статусы обзвона"),
        )
    ]  # fmt: skip
    quote_ends = {"START_FIELD": "DRAFT", "FINAL_SUCCESS_FIELD": "APPROVED", "FINAL_UNSUCCESS_FIELD": "DECLAINED",
        "FINAL_SORT": 0}  # fmt: skip
    made.append(
        {"ID": "QUOTE_STATUS", "NAME": "Стадии предложения", "SEMANTIC_INFO": quote_ends, "ENTITY_TYPE_ID": QUOTE}
    )
    for kind in (DEAL, *(row["ENTITY_TYPE_ID"] for row in call.portal["types"])):
        for category in crm.categories(call.portal, kind):
            number = crm.category_number(kind, category)
            prefix = f"C{number}" if number else ""
            title = "Стадии сделок"
            if kind != DEAL:
                prefix = f"DT{kind}_{number}"
                title = f"Стадии «{(type_row(call.portal, kind) or {})['TITLE']}»"
            entry: Row = {
                "ID": crm.stage_entity(kind, number), "NAME": f"{title} ({category['NAME']})",
                "SEMANTIC_INFO": _ends(kind, f"{prefix}:" if prefix else ""), "ENTITY_TYPE_ID": kind,
            }  # fmt: skip
            if prefix:
                entry |= {
                    "PARENT_ID": "DEAL_STAGE" if kind == DEAL else None, "PREFIX": prefix,
                    "FIELD_ATTRIBUTE_SCOPE": f"category_{number}", "CATEGORY_ID": str(number),
                }  # fmt: skip
            made.append(entry)
    return made


def _ends(kind: int, prefix: str) -> Row:
    good, bad = ("WON", "LOSE") if kind == DEAL else ("SUCCESS", "FAIL")
    return {
        "START_FIELD": f"{prefix}NEW", "FINAL_SUCCESS_FIELD": f"{prefix}{good}",
        "FINAL_UNSUCCESS_FIELD": f"{prefix}{bad}", "FINAL_SORT": 0,
    }  # fmt: skip


@method("crm.stagehistory.list", scope="crm", params="entityTypeId! order filter select start", style="controller")
def stage_history(call: Call) -> Page:
    portal = call.portal
    kind = as_int(call.get("entityTypeId"))
    if kind is None or kind == QUOTE or kind not in STAGE or not exists(portal, kind):
        raise RestError(
            "ENTITY_TYPE_NOT_SUPPORTED", f"Entity type '{plain(call.get('entityTypeId'))}' is not supported"
        )
    names = ["ID", "TYPE_ID", "OWNER_ID", "CREATED_TIME"]
    columns = {name: Column(name, "int") for name in ("ID", "TYPE_ID", "OWNER_ID")}
    columns["CREATED_TIME"] = Column("CREATED_TIME", "time")
    if kind == LEAD:
        rename = {"STATUS_SEMANTIC_ID": "STAGE_SEMANTIC_ID", "STATUS_ID": "STAGE_ID"}
    else:
        rename = {"CATEGORY_ID": "CATEGORY_ID", "STAGE_SEMANTIC_ID": "STAGE_SEMANTIC_ID", "STAGE_ID": "STAGE_ID"}
        columns["CATEGORY_ID"] = Column("CATEGORY_ID", "int")
    for name, inner in rename.items():
        columns.setdefault(name, Column(inner))

    def refuse(key: str) -> None:
        raise RestError("INVALID_ARG_VALUE", f"Invalid filter: field '{split_key(key)[1]}' is not allowed in filter")

    order = as_map(call.get("order"))
    check_order(order, columns)
    start = call.integer("start")
    own = call.user["OWN_LEADS_ONLY"] and not call.admin

    def readable(row: Row) -> bool:
        item = portal[kind].get(row["OWNER_ID"])
        return item is not None and crm.can_read(call.user, kind, item)

    wanted = as_map(call.get("filter"))
    history = portal["stage_history"].part("ENTITY_TYPE_ID", kind)
    owner = as_int(wanted.get("OWNER_ID", wanted.get("=OWNER_ID")))
    if owner is not None:  # of one item: the others' records need no look
        history = history.part("OWNER_ID", owner)
    rows, total, following = select_rows(
        history, filter=wanted, order=order,
        columns=columns, zone=portal.zone(), start=start, unknown=refuse, visible=readable if own else None,
    )  # fmt: skip
    selected = [plain(name) for name in as_list(call.get("select"))]
    shown = [name for name in [*names, *rename] if not selected or "*" in selected or name in selected or name == "ID"]
    items = []
    for row in rows:
        made = {name: row[rename.get(name, name)] for name in shown}
        if "CREATED_TIME" in made:
            made["CREATED_TIME"] = portal.iso(row["CREATED_TIME"])
        items.append(made)
    return page_of({"items": items}, total, following, start)


# --- triggers -------------------------------------------------------------------------------------------------------


def _admin_application(call: Call) -> str:
    application = call.application_only()
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Access denied! Admin permissions required")
    return str(application["CLIENT_ID"])


def _code(call: Call) -> str:
    code = call.text("CODE")
    if not code:
        raise RestError("", "Empty trigger code!", 400)
    if not re.fullmatch(r"[a-z0-9.\-_]+", code, re.IGNORECASE):
        raise RestError("", "Wrong trigger code!", 400)
    return code


@method("crm.automation.trigger.add", scope="crm", params="CODE NAME", writes=True)
def trigger_add(call: Call) -> bool:
    client_id = _admin_application(call)
    code, name = _code(call), call.text("NAME")
    if not name:
        raise RestError("", "Empty trigger name!", 400)
    known = call.portal["triggers"].first(CLIENT_ID=client_id, CODE=code)
    if known is not None:
        known["NAME"] = name
    else:
        call.portal["triggers"].add({"CLIENT_ID": client_id, "CODE": code, "NAME": name})
    return True


@method("crm.automation.trigger.list", scope="crm")
def trigger_list(call: Call) -> list[Row]:
    client_id = _admin_application(call)
    return [{"NAME": row["NAME"], "CODE": row["CODE"]} for row in call.portal["triggers"].where(CLIENT_ID=client_id)]


@method("crm.automation.trigger.delete", scope="crm", params="CODE", writes=True)
def trigger_delete(call: Call) -> bool:
    client_id = _admin_application(call)
    code = _code(call)
    row = call.portal["triggers"].first(CLIENT_ID=client_id, CODE=code)
    if row is None:
        raise RestError("", f"Trigger with code {code} is not registered.", 400)
    call.portal["triggers"].remove(row["ID"])
    for placed in list(call.portal["trigger_runs"].where(CLIENT_ID=client_id, CODE=code)):
        call.portal["trigger_runs"].remove(placed["ID"])
    return True


@method("crm.automation.trigger.execute", scope="crm", params="CODE OWNER_TYPE_ID OWNER_ID", writes=True)
def trigger_execute(call: Call) -> bool:
    client_id = _admin_application(call)
    code = _code(call)
    if call.portal["triggers"].first(CLIENT_ID=client_id, CODE=code) is None:
        raise RestError("", f"Trigger with code {code} is not registered.", 400)
    kind = call.integer("OWNER_TYPE_ID")
    if kind not in STAGE:
        raise RestError("", "Incorrect parameter OWNER_TYPE_ID.", 400)
    number = call.integer("OWNER_ID")
    if number <= 0:
        raise RestError("", "Incorrect parameter OWNER_ID.", 400)
    item = item_of(call.portal, kind, number)
    if item is not None:
        automation.trigger(call.portal, code, kind, item, call.actor, client_id)
    return True


@method("crm.automation.trigger", scope="crm", params="target code", writes=True)
def trigger_webhook(call: Call) -> bool:
    target = call.text("target")
    if not target:
        raise RestError("", "Target is not set.", 400)
    word, _, number = target.partition("_")
    if as_int(number) is None:
        raise RestError("", "Incorrect target format.", 400)
    kind = kind_of(word)
    item = item_of(call.portal, kind, as_int(number)) if kind in STAGE else None
    if kind is None or item is None:
        raise RestError("", "Target is not found.", 400)
    if not crm.can_change(call.user, kind, item):
        raise RestError("ACCESS_DENIED", "Access denied! There are no permissions to update the entity.")
    code: Any = call.text("code")
    automation.trigger(call.portal, code, kind, item, call.actor)
    return True
