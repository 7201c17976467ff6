"""Templates of regular deals: crm.deal.recurring.* (api-reference/crm/deals/recurring-deals)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandbox import crm, crm_fields, delivery
from sandbox.crm_kinds import DEAL
from sandbox.filters import Column, page_of, select_rows, to_time
from sandbox.method import Call, Page, RestError, Row, as_int, as_map, method, plain, yes

_PARAMS: Row = {
    "MODE": "multiple", "SINGLE_BEFORE_START_DATE_TYPE": None, "SINGLE_BEFORE_START_DATE_VALUE": 0,
    "MULTIPLE_TYPE": "month", "MULTIPLE_INTERVAL": 1, "OFFSET_BEGINDATE_TYPE": None, "OFFSET_BEGINDATE_VALUE": 0,
    "OFFSET_CLOSEDATE_TYPE": None, "OFFSET_CLOSEDATE_VALUE": 0,
}  # fmt: skip
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_FIELDS = {
    "ID": ("integer", "r", "id"), "DEAL_ID": ("integer", "qi", "Шаблон регулярной сделки"),
    "BASED_ID": ("integer", "r", "Создана на основании"), "ACTIVE": ("char", "", "Активность"),
    "NEXT_EXECUTION": ("datetime", "r", "Дата следующего выполнения"),
    "LAST_EXECUTION": ("datetime", "r", "Дата последнего выполнения"),
    "COUNTER_REPEAT": ("integer", "r", "Количество выполнений"), "START_DATE": ("date", "", "Дата начала"),
    "CATEGORY_ID": ("char", "", "Воронка новых сделок"), "IS_LIMIT": ("char", "", "Ограничение"),
    "LIMIT_REPEAT": ("integer", "", "Ограничение по числу"), "LIMIT_DATE": ("date", "", "Ограничение по дате"),
    "PARAMS": ("recurring_params", "", "Параметры расчёта"),
}  # fmt: skip


def _refused(text: str) -> RestError:
    return RestError("", text, 400)


def _fields(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, dict):
        raise _refused("Parameter 'fields' must be array.")
    return {key.upper(): child for key, child in value.items()}


def _found(call: Call) -> Row:
    number = as_int(call.get("id"))
    if number is None or number <= 0:
        raise _refused("id is not defined or invalid.")
    row = call.portal["recurring"].get(number)
    if row is None:
        raise _refused("Recurring deal is not found.")
    return row


def _template(call: Call, row: Row, *, change: bool) -> Row:
    deal = call.portal[DEAL].get(row["DEAL_ID"])
    if deal is None or not (crm.can_change if change else crm.can_read)(call.user, DEAL, deal):
        raise _refused("Access denied.")
    return deal


def _apply(call: Call, row: Row, fields: Row) -> None:
    zone = call.portal.zone()
    if "ACTIVE" in fields:
        row["ACTIVE"] = "Y" if yes(fields["ACTIVE"]) else "N"
    if "CATEGORY_ID" in fields:
        row["CATEGORY_ID"] = as_int(fields["CATEGORY_ID"]) or 0
    if plain(fields.get("IS_LIMIT")).upper() in ("N", "D", "T"):
        row["IS_LIMIT"] = plain(fields["IS_LIMIT"]).upper()
    if "LIMIT_REPEAT" in fields:
        row["LIMIT_REPEAT"] = as_int(fields["LIMIT_REPEAT"])
    for name in ("LIMIT_DATE", "START_DATE"):
        if name in fields:
            row[name] = to_time(fields[name], zone)
    for name, value in as_map(fields.get("PARAMS")).items():
        if name in _PARAMS:
            number = as_int(value)
            row["PARAMS"][name] = number if number is not None and isinstance(_PARAMS[name], int) else value
    row["NEXT_EXECUTION"] = max(row["START_DATE"] or 0.0, call.portal.now()) if row["ACTIVE"] == "Y" else None


def _emit(call: Call, change: str, row: Row, **more: int) -> None:
    verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete", "EXPOSE": "update"}[change]
    call.portal.effect(verb, "recurring_deal", row["ID"], call.user_id, "rest")
    data = {"ID": row["ID"]} if change == "DELETE" else {"ID": row["ID"], "RECURRING_DEAL_ID": row["DEAL_ID"], **more}
    delivery.emit(
        call.portal, f"ONCRMDEALRECURRING{change}", {"FIELDS": data}, call.actor, entity=f"recurring deal {row['ID']}"
    )


def _copy(call: Call, deal: Row, category: int, *, template: bool) -> Row:
    """A new deal with the values of another one; a template stands apart as a regular deal."""
    fields = crm_fields.fields_of(call.portal, DEAL)
    values = {
        name: deal[name] for name, one in fields.items()
        if name in deal and not set(one.flags) & {"r", "x"} and name not in ("STAGE_ID", "BEGINDATE", "CLOSEDATE")
    }  # fmt: skip
    values |= {"CATEGORY_ID": category, "IS_RECURRING": "Y" if template else "N"}
    return crm.create(call.portal, DEAL, values, [], call.actor, silent=template)


@method("crm.deal.recurring.add", scope="crm", params="fields params", writes=True)
def recurring_add(call: Call) -> int:
    fields = _fields(call)
    deal = call.portal[DEAL].get(as_int(fields.get("DEAL_ID")))
    if deal is None:
        raise _refused("Deal id is empty.")
    if not crm.can_change(call.user, DEAL, deal):
        raise _refused("Access denied.")
    if call.portal["recurring"].first(BASED_ID=deal["ID"]) is not None:
        raise _refused("Deal already has recurring settings.")
    row: Row = {
        "BASED_ID": deal["ID"], "ACTIVE": "Y", "CATEGORY_ID": deal["CATEGORY_ID"] or 0, "IS_LIMIT": "N",
        "COUNTER_REPEAT": 0, "LIMIT_REPEAT": None, "LIMIT_DATE": None, "START_DATE": None, "NEXT_EXECUTION": None,
        "LAST_EXECUTION": None, "PARAMS": dict(_PARAMS),
    }  # fmt: skip
    _apply(call, row, fields)
    row["DEAL_ID"] = _copy(call, deal, deal["CATEGORY_ID"] or 0, template=True)["ID"]
    call.portal["recurring"].add(row)
    _emit(call, "ADD", row)
    return int(row["ID"])


def _shown(call: Call, row: Row) -> Row:
    iso = call.portal.iso
    return {
        "ID": str(row["ID"]), "DEAL_ID": str(row["DEAL_ID"]), "BASED_ID": str(row["BASED_ID"]), "ACTIVE": row["ACTIVE"],
        "CATEGORY_ID": str(row["CATEGORY_ID"]), "IS_LIMIT": row["IS_LIMIT"],
        "COUNTER_REPEAT": str(row["COUNTER_REPEAT"]) if row["COUNTER_REPEAT"] else None,
        "LIMIT_REPEAT": str(row["LIMIT_REPEAT"]) if row["LIMIT_REPEAT"] else None,
        "LIMIT_DATE": iso(row["LIMIT_DATE"]) or "", "START_DATE": iso(row["START_DATE"]) or "",
        "NEXT_EXECUTION": iso(row["NEXT_EXECUTION"]) or "", "LAST_EXECUTION": iso(row["LAST_EXECUTION"]) or "",
        "PARAMS": row["PARAMS"],
    }  # fmt: skip


@method("crm.deal.recurring.get", scope="crm", params="id")
def recurring_get(call: Call) -> Row:
    row = _found(call)
    _template(call, row, change=False)
    return _shown(call, row)


@method("crm.deal.recurring.list", scope="crm", params="order filter select start")
def recurring_list(call: Call) -> Page:
    for name in ("order", "filter"):
        if call.get(name) is not None and not isinstance(call.get(name), (dict, list)):
            raise _refused(f"Parameter '{name}' must be array.")
    columns = {name: Column(name, "int") for name in ("ID", "DEAL_ID", "BASED_ID", "CATEGORY_ID", "COUNTER_REPEAT")}
    columns |= {"LIMIT_REPEAT": Column("LIMIT_REPEAT", "int"), "ACTIVE": Column("ACTIVE", "flag")}
    columns |= {"IS_LIMIT": Column("IS_LIMIT")}
    columns |= {name: Column(name, "time") for name in ("START_DATE", "LIMIT_DATE", "NEXT_EXECUTION", "LAST_EXECUTION")}
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["recurring"], filter={key.upper(): value for key, value in call.mapping("filter").items()},
        order={key.upper(): value for key, value in call.mapping("order").items()}, columns=columns,
        zone=call.portal.zone(), start=start, unknown=lambda key: None,
    )  # fmt: skip
    # The documentation's answer writes the ids of this list in small letters.
    small = {"ID": "id", "DEAL_ID": "deal_id", "BASED_ID": "based_id", "CATEGORY_ID": "category_id"}
    made = [{small.get(name, name): value for name, value in _shown(call, row).items()} for row in rows]
    return page_of(made, total, following, start)


@method("crm.deal.recurring.update", scope="crm", params="id fields", writes=True)
def recurring_update(call: Call) -> bool:
    row = _found(call)
    fields = _fields(call)
    _template(call, row, change=True)
    _apply(call, row, fields)
    _emit(call, "UPDATE", row)
    return True


@method("crm.deal.recurring.expose", scope="crm", params="id", writes=True)
def recurring_expose(call: Call) -> Row:
    row = _found(call)
    deal = _copy(call, _template(call, row, change=False), row["CATEGORY_ID"], template=False)
    now = call.portal.now()
    params = row["PARAMS"]
    days = _DAYS.get(plain(params["MULTIPLE_TYPE"]), 30) * (as_int(params["MULTIPLE_INTERVAL"]) or 1)
    row["COUNTER_REPEAT"] += 1
    row["LAST_EXECUTION"] = now
    following = datetime.fromtimestamp(now, call.portal.zone()) + timedelta(days=days)
    row["NEXT_EXECUTION"] = following.timestamp() if row["ACTIVE"] == "Y" else None
    if row["IS_LIMIT"] == "T" and row["LIMIT_REPEAT"] and row["COUNTER_REPEAT"] >= row["LIMIT_REPEAT"]:
        row["ACTIVE"], row["NEXT_EXECUTION"] = "N", None
    _emit(call, "EXPOSE", row, DEAL_ID=deal["ID"])
    return {"DEAL_ID": deal["ID"]}


@method("crm.deal.recurring.delete", scope="crm", params="id", writes=True)
def recurring_delete(call: Call) -> bool:
    row = _found(call)
    deal = _template(call, row, change=True)
    call.portal["recurring"].remove(row["ID"])
    crm.delete(call.portal, DEAL, deal, call.actor)
    _emit(call, "DELETE", row)
    return True


@method("crm.deal.recurring.fields", scope="crm")
def recurring_fields(call: Call) -> Row:
    made: Row = {
        name: {
            "type": kind, "isRequired": "q" in flags, "isReadOnly": "r" in flags, "isImmutable": "i" in flags,
            "isMultiple": False, "isDynamic": False, "title": title,
        }
        for name, (kind, flags, title) in _FIELDS.items()
    }  # fmt: skip
    made["PARAMS"]["definition"] = {
        name: {
            "type": "integer" if isinstance(value, int) else "string", "isRequired": False, "isReadOnly": False,
            "isImmutable": False, "isMultiple": False, "isDynamic": False, "title": name,
        }
        for name, value in _PARAMS.items()
    }  # fmt: skip
    return made
