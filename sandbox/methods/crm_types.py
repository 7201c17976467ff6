"""Smart processes: crm.type.* (api-reference/crm/universal/user-defined-object-types)."""

from __future__ import annotations

import re

from sandbox import crm, delivery
from sandbox.company import add_category
from sandbox.crm_kinds import type_row
from sandbox.filters import Column, check_order, page_of, select_rows, split_key
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes

_SWITCHES = {
    "isCategoriesEnabled": "Свои воронки и туннели продаж", "isStagesEnabled": "Стадии и канбан",
    "isBeginCloseDatesEnabled": "Поля «Дата начала» и «Дата завершения»", "isClientEnabled": "Поле «Клиент»",
    "isUseInUserfieldEnabled": "Использовать в пользовательском поле", "isLinkWithProductsEnabled": "Привязка товаров",
    "isMycompanyEnabled": "Поле «Реквизиты вашей компании»", "isDocumentsEnabled": "Печать документов",
    "isSourceEnabled": "Поле «Источник»", "isObserversEnabled": "Поле «Наблюдатели»",
    "isRecyclebinEnabled": "Использование корзины", "isAutomationEnabled": "Роботы и триггеры",
    "isBizProcEnabled": "Дизайнер бизнес-процессов", "isSetOpenPermissions": "Новые воронки доступны всем",
}  # fmt: skip
_COUNTED = ("isPaymentsEnabled", "isCountersEnabled")
_LINKED = ("CALENDAR_EVENT|UF_CRM_CAL_EVENT", "TASKS_TASK|UF_CRM_TASK", "TASKS_TASK_TEMPLATE|UF_CRM_TASK")


def upper(name: str) -> str:
    """IS_STAGES_ENABLED of isStagesEnabled."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()


_COLUMNS = {
    name: Column(upper(name), "int")
    for name in ("entityTypeId", "createdBy", "updatedBy", "customSectionId")
}  # fmt: skip
_COLUMNS |= {"id": Column("ID", "int"), "title": Column("TITLE"), "code": Column("CODE")}
_COLUMNS |= {name: Column(upper(name), "time") for name in ("createdTime", "updatedTime")}
_COLUMNS |= {name: Column(upper(name), "flag") for name in (*_SWITCHES, *_COUNTED)}


def _shown(call: Call, row: Row, *, whole: bool = True, code: bool = True) -> Row:
    made: Row = {"id": row["ID"], "title": row["TITLE"]}
    if code:
        made["code"] = row["CODE"]
    made |= {
        "createdBy": row["CREATED_BY"], "entityTypeId": row["ENTITY_TYPE_ID"],
        "customSectionId": row["CUSTOM_SECTION_ID"],
        **{name: row[upper(name)] for name in (*_SWITCHES, *_COUNTED)},
        "createdTime": call.portal.iso(row["CREATED_TIME"]), "updatedTime": call.portal.iso(row["UPDATED_TIME"]),
        "updatedBy": row["UPDATED_BY"],
    }  # fmt: skip
    if whole:
        made |= {"relations": row["RELATIONS"], "linkedUserFields": row["LINKED"]}
        # [verify] The examples show a portal without workplaces; what one of them looks like here no page says.
        made["customSections"] = [
            {"id": one["SECTION_ID"], "title": one["TITLE"]} for one in call.portal["automated_solutions"]
        ]
    return made


def _manage(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)


def _found(call: Call) -> Row:
    row = call.portal["types"].get(as_int(call.get("id")))
    if row is None:
        raise RestError(0, "Смарт-процесс не найден", 400)
    return row


def _fields(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, (dict, list)):
        raise RestError("100", "Invalid value to match with parameter {fields}. Should be value of type array.")
    return as_map(value)


def _relations(value: object, known: Row) -> Row:
    given = as_map(value)
    made: Row = {}
    for side in ("parent", "child"):
        if side not in given:
            made[side] = known[side]
            continue
        made[side] = [
            {
                "entityTypeId": as_int(one.get("entityTypeId")),
                "isChildrenListEnabled": "Y" if yes(one.get("isChildrenListEnabled", "Y")) else "N",
                "isPredefined": "N",
            }
            for one in (as_map(each) for each in as_list(given[side]))
            if as_int(one.get("entityTypeId"))
        ]  # fmt: skip
    return made


def _apply(call: Call, row: Row, fields: Row) -> None:
    """Write what was given of title, switches, relations, links and the workplace into the record."""
    section = as_int(fields.get("customSectionId"))
    known = call.portal["automated_solutions"].first(SECTION_ID=section) if section else None
    if (yes(fields.get("isExternal")) and not section) or (section and known is None):
        raise RestError(0, "Выберите рабочее место, где будет находиться смарт-процесс", 400)
    if "customSectionId" in fields or ("isExternal" in fields and not yes(fields["isExternal"])):
        row["CUSTOM_SECTION_ID"] = section or None
    if "title" in fields:
        row["TITLE"] = plain(fields["title"]).strip() or row["TITLE"]
    for name in _SWITCHES:
        if name in fields:
            row[upper(name)] = "Y" if yes(fields[name]) else "N"
    if "relations" in fields:
        row["RELATIONS"] = _relations(fields["relations"], row["RELATIONS"])
    for name, value in as_map(fields.get("linkedUserFields")).items():
        if name in _LINKED:
            row["LINKED"][name] = "Y" if yes(value) else "N"


def changed(call: Call, change: str, row: Row) -> None:
    """Note a change of a smart process (ADD, UPDATE, DELETE) in the ledger and send its event."""
    verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete"}[change]
    call.portal.effect(verb, "type", row["ID"], call.user_id, "rest", entity_type_id=row["ENTITY_TYPE_ID"])
    data = {"FIELDS": {"ID": row["ID"], "ENTITY_TYPE_ID": row["ENTITY_TYPE_ID"]}}
    delivery.emit(call.portal, f"ONCRMTYPE{change}", data, call.actor, entity=f"type {row['ID']}")


@method("crm.type.add", scope="crm", params="fields!", style="controller", writes=True)
def type_add(call: Call) -> Row:
    _manage(call)
    fields = _fields(call)
    if not plain(fields.get("title")).strip():
        raise RestError("CRM_FIELD_ERROR_REQUIRED", 'Не заполнено обязательное поле "Заголовок"', 400)
    kinds = {row["ENTITY_TYPE_ID"] for row in call.portal["types"]}
    kind = as_int(fields.get("entityTypeId"))
    if kind is None:
        kind = 1030
        while kind in kinds:
            kind += 2
    elif not (128 <= kind <= 191 or (1030 <= kind < 10**6 and kind % 2 == 0)) or kind in kinds:
        raise RestError("INVALID_ARG_VALUE", "entityTypeId is out of allowed range", 400)
    now = call.portal.now()
    row: Row = {
        "TITLE": "", "CODE": "", "ENTITY_TYPE_ID": kind, "CUSTOM_SECTION_ID": None, "CREATED_BY": call.user_id,
        "UPDATED_BY": call.user_id, "CREATED_TIME": now, "UPDATED_TIME": now, "RELATIONS": {"parent": [], "child": []},
        "LINKED": dict.fromkeys(_LINKED, "N"), **{upper(name): "N" for name in (*_SWITCHES, *_COUNTED)},
    }  # fmt: skip
    _apply(call, row, fields)
    call.portal["types"].add(row)
    add_category(call.portal, "Общая", kind, default=True)
    changed(call, "ADD", row)
    return {"type": _shown(call, row, code=False)}


@method("crm.type.get", scope="crm", params="id!", style="controller")
def type_get(call: Call) -> Row:
    return {"type": _shown(call, _found(call))}


@method("crm.type.getByEntityTypeId", scope="crm", params="entityTypeId!", style="controller")
def type_by_kind(call: Call) -> Row:
    row = type_row(call.portal, as_int(call.get("entityTypeId")) or 0)
    if row is None:
        raise RestError(0, "Смарт-процесс не найден", 400)
    return {"type": _shown(call, row)}


@method("crm.type.list", scope="crm", params="order filter start", style="controller")
def type_list(call: Call) -> Page:
    def refuse(key: str) -> None:
        raise RestError("INVALID_ARG_VALUE", f"Invalid filter: field '{split_key(key)[1]}' is not allowed in filter")

    order = call.mapping("order")
    check_order(order, _COLUMNS)
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["types"], filter=call.mapping("filter"), order=order, columns=_COLUMNS, zone=call.portal.zone(),
        start=start, unknown=refuse, key="id",
    )  # fmt: skip
    return page_of({"types": [_shown(call, row, whole=False) for row in rows]}, total, following, start)


@method("crm.type.update", scope="crm", params="id! fields!", style="controller", writes=True)
def type_update(call: Call) -> Row:
    _manage(call)
    row = _found(call)
    _apply(call, row, _fields(call))
    row["UPDATED_TIME"], row["UPDATED_BY"] = call.portal.now(), call.user_id
    changed(call, "UPDATE", row)
    return {"type": _shown(call, row)}


@method("crm.type.delete", scope="crm", params="id!", style="controller", writes=True)
def type_delete(call: Call) -> list[Row]:
    _manage(call)
    row = _found(call)
    kind = row["ENTITY_TYPE_ID"]
    if len(call.portal[kind]):
        raise RestError("BX_ERROR", "Нельзя удалить тип, у которого есть элементы", 400)
    for category in crm.categories(call.portal, kind):
        entity = crm.stage_entity(kind, category["ID"])
        for status in [one for one in call.portal["statuses"] if one["ENTITY_ID"] == entity]:
            call.portal["statuses"].remove(status["ID"])
        call.portal["categories"].remove(category["ID"])
    call.portal["types"].remove(row["ID"])
    changed(call, "DELETE", row)
    return []


@method("crm.type.fields", scope="crm")
def type_fields(call: Call) -> Row:
    facts = {
        "id": ("integer", "r", "ID"), "title": ("string", "*", "Заголовок"), "code": ("string", "", "Символьный код"),
        "createdBy": ("user", "r", "Кем создан"), "entityTypeId": ("integer", "*i", "Идентификатор типа"),
        "customSectionId": ("integer", "i", "Цифровое рабочее место"),
        **{name: ("boolean", "", title) for name, title in _SWITCHES.items()},
        "createdTime": ("datetime", "", "Дата создания"), "updatedTime": ("datetime", "", "Дата изменения"),
        "updatedBy": ("user", "r", "Кем изменён"),
    }  # fmt: skip
    return {
        "fields": {
            name: {
                "type": kind, "isRequired": "*" in flags, "isReadOnly": "r" in flags, "isImmutable": "i" in flags,
                "isMultiple": False, "isDynamic": False, "title": title, "upperName": upper(name),
            }
            for name, (kind, flags, title) in facts.items()
        }
    }  # fmt: skip
