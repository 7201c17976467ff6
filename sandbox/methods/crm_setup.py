"""What an administrator sets up in CRM: stages and dictionaries, the card's layout, pipelines.

api-reference/crm: status, universal/item-details-configuration, universal/category
"""

from __future__ import annotations

import re

from sandbox import crm
from sandbox.company import add_category
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, FIRST_DYNAMIC, LEAD, QUOTE, STAGE, WORD, check_type, exists
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes


def _refused(text: str, code: str = "") -> RestError:
    return RestError(code, text, 400)


def _administrator(call: Call) -> None:
    if not call.admin:
        raise _refused("Access denied.")


def _fields(call: Call) -> Row:
    fields = call.get("fields")
    if not isinstance(fields, dict):
        raise _refused("Parameter 'fields' must be array.")
    return {str(key).upper(): value for key, value in fields.items()}


# --- dictionaries and stages ------------------------------------------------------------------------------------------


def _status_or_refuse(call: Call) -> Row:
    row = call.portal["statuses"].get(as_int(call.get("id")))
    if row is None:
        raise _refused("Status is not found.")
    return row


def _prefix(kind: int, category: int) -> str:
    """What the codes of a pipeline's stages begin with: C5: or DT128_7:, nothing in the first pipeline of deals."""
    if kind >= FIRST_DYNAMIC:
        return f"DT{kind}_{category}:"
    return f"C{category}:" if category else ""


@method("crm.status.add", scope="crm", params="fields", writes=True)
def status_add(call: Call) -> int:
    fields = _fields(call)
    _administrator(call)
    entity, code, name = (plain(fields.get(key)).strip() for key in ("ENTITY_ID", "STATUS_ID", "NAME"))
    lacking = [key for key, value in (("ENTITY_ID", entity), ("STATUS_ID", code)) if not value]
    if lacking:
        raise _refused("\n".join(f"The field {key} is required." for key in lacking))
    rows = [row for row in call.portal["statuses"] if row["ENTITY_ID"] == entity]
    if not rows:
        raise _refused("Specified entity type is not supported.")
    if not name:
        raise _refused("The field Title is required.")
    place = crm.kind_of_stages(entity)
    if place is not None:
        code = _prefix(*place) + code.removeprefix(_prefix(*place))
        bare = code.partition(":")[2] or code
        if not re.fullmatch(r"[A-Za-z0-9_-]+", bare) or len(code) > (21 if entity == "STATUS" else 22):
            raise _refused("Error on creating status.")
    if any(row["STATUS_ID"] == code for row in rows):
        raise _refused("The specified status ID already exists.", "ERROR_CORE")
    sort = as_int(fields.get("SORT"))
    semantics = plain(fields.get("SEMANTICS")).upper() or None
    if place is not None:
        won = next((row for row in rows if row["SEMANTICS"] == "S"), None)
        if semantics != "F" and won is not None and (semantics == "S" or (sort or 10) > won["SORT"]):
            raise _refused(
                "Cannot create more stages after the final stage because the final successful stage already exists. "
                "Try using sort order values less than that of the final stage."
            )
    row = call.portal["statuses"].add(
        {
            "ENTITY_ID": entity, "STATUS_ID": code, "NAME": name, "NAME_INIT": "",
            "SORT": sort if sort is not None else 10, "SYSTEM": "N",
            "CATEGORY_ID": place[1] or None if place else None, "COLOR": plain(fields.get("COLOR")),
            "SEMANTICS": semantics if semantics in ("S", "F") else None,
        }
    )  # fmt: skip
    call.portal.effect("create", "status", row["ID"], call.user_id, "rest", code=code)
    return int(row["ID"])


@method("crm.status.update", scope="crm", params="id fields", writes=True)
def status_update(call: Call) -> bool:
    _administrator(call)
    row = _status_or_refuse(call)
    fields = _fields(call)
    if "NAME" in fields:
        if not plain(fields["NAME"]).strip():
            raise _refused("The field Title is required.")
        row["NAME"] = plain(fields["NAME"])
    sort = as_int(fields.get("SORT"))
    if sort is not None:
        row["SORT"] = sort
    if "COLOR" in fields:
        row["COLOR"] = plain(fields["COLOR"])
    call.portal.effect("update", "status", row["ID"], call.user_id, "rest", code=row["STATUS_ID"])
    return True


@method("crm.status.get", scope="crm", params="id")
def status_get(call: Call) -> Row:
    row = _status_or_refuse(call)
    return {
        "ID": str(row["ID"]), "ENTITY_ID": row["ENTITY_ID"], "STATUS_ID": row["STATUS_ID"], "NAME": row["NAME"],
        "NAME_INIT": row["NAME_INIT"], "SORT": str(row["SORT"]), "SYSTEM": row["SYSTEM"],
        "CATEGORY_ID": str(row["CATEGORY_ID"]) if row["CATEGORY_ID"] else None, "COLOR": row["COLOR"],
        "SEMANTICS": row["SEMANTICS"],
    }  # fmt: skip


@method("crm.status.delete", scope="crm", params="id params", writes=True)
def status_delete(call: Call) -> bool:
    _administrator(call)
    row = _status_or_refuse(call)
    if row["SYSTEM"] == "Y" and plain(call.mapping("params").get("FORCED")).upper() != "Y":
        raise _refused('CRM System Status can be deleted only if parameter FORCED is specified and equal to "Y".')
    place = crm.kind_of_stages(row["ENTITY_ID"])
    if place is not None:
        kind, category = place
        name = STAGE[kind]
        if any(
            item[name] == row["STATUS_ID"] and (item.get("CATEGORY_ID") or 0) == category for item in call.portal[kind]
        ):
            raise _refused("There are active items in this status.")
    call.portal["statuses"].remove(row["ID"])
    call.portal.effect("delete", "status", row["ID"], call.user_id, "rest", code=row["STATUS_ID"])
    return True


@method("crm.status.entity.items", scope="crm", params="entityId")
def status_items(call: Call) -> list[Row]:
    entity = call.text("entityId")
    if not entity:
        raise _refused("The parameter entityId is not defined or invalid.")
    rows = sorted((row for row in call.portal["statuses"] if row["ENTITY_ID"] == entity), key=lambda row: row["SORT"])
    return [{"NAME": row["NAME"], "SORT": row["SORT"], "STATUS_ID": row["STATUS_ID"]} for row in rows]


_STATUS_FIELDS = (
    # name, type, flags (r read-only, i immutable, * required), title
    ("ID", "integer", "r", "ID"), ("ENTITY_ID", "string", "*i", "ID сущности"), ("STATUS_ID", "string", "*i", "Статус"),
    ("SORT", "integer", "", "Сортировка"), ("NAME", "string", "*", "Название"),
    ("NAME_INIT", "string", "r", "Название по умолчанию"), ("SYSTEM", "char", "r", "Системный"),
    ("CATEGORY_ID", "integer", "i", "CATEGORY_ID"), ("COLOR", "string", "", "COLOR"),
    ("SEMANTICS", "char", "i", "SEMANTICS"),
    ("EXTRA", "crm_status_extra", "", "Дополнительные поля"),
)  # fmt: skip


def _described(fields: tuple[tuple[str, str, str, str], ...]) -> Row:
    return {
        name: {
            "type": kind, "isRequired": "*" in flags, "isReadOnly": "r" in flags, "isImmutable": "i" in flags,
            "isMultiple": False, "isDynamic": False, "title": title,
        }
        for name, kind, flags, title in fields
    }  # fmt: skip


@method("crm.status.fields", scope="crm")
def status_fields(call: Call) -> Row:
    return _described(_STATUS_FIELDS)


# --- the card's layout ------------------------------------------------------------------------------------------------


def _layout_place(call: Call, *, shared: bool | None = None) -> Row:
    """By what a layout is kept: entity type, whose it is (0: everybody's), and the pipeline or kind of lead."""
    kind = call.method.extra.get("kind") or as_int(call.get("entityTypeId"))
    if kind is None:
        raise _refused("Parameter 'entityTypeId' is not defined")
    if kind == QUOTE or not exists(call.portal, kind):
        raise _refused(f"The entity type '{plain(call.get('entityTypeId'))}' is not supported in current context.")
    extras = call.mapping("extras")
    names = {LEAD: "leadCustomerType", DEAL: "dealCategoryId"}
    variant = as_int(extras.get(names.get(kind, "categoryId")))
    if shared is None:
        shared = call.text("scope", "P").upper() == "C"
    owner = 0 if shared else call.integer("userId") or call.user_id
    return {"KIND": kind, "OWNER": owner, "VARIANT": variant or (1 if kind == LEAD else 0)}


def _may_change(call: Call, place: Row) -> None:
    if place["OWNER"] != call.user_id and not call.admin:
        raise _refused("Access denied.")


_LAYOUT = "entityTypeId userId scope extras"


@method("crm.item.details.configuration.get", scope="crm", params=_LAYOUT)
def layout_get(call: Call) -> list[Row] | None:
    place = _layout_place(call)
    if place["OWNER"] not in (0, call.user_id) and not call.admin:
        raise _refused("Access denied.")
    row = call.portal["layouts"].first(**place)
    return row["DATA"] if row is not None else None


@method("crm.item.details.configuration.set", scope="crm", params="entityTypeId data userId scope extras", writes=True)
def layout_set(call: Call) -> bool:
    place = _layout_place(call)
    _may_change(call, place)
    data = call.get("data")
    if isinstance(data, dict) and list(data) == [str(index) for index in range(len(data))]:
        data = list(data.values())  # an indexed list arrives so from a query string
    if not isinstance(data, (dict, list)):
        raise _refused("Parameter 'data' must be array.")
    if isinstance(data, dict):
        raise _refused("The data must be indexed array.")
    if not data:
        raise _refused("There are no data to write.")
    sections = [_section(index, as_map(one)) for index, one in enumerate(data)]
    row = call.portal["layouts"].first(**place)
    if row is None:
        row = call.portal["layouts"].add(dict(place))
    row["DATA"] = sections
    call.portal.effect("update", "layout", row["ID"], call.user_id, "rest", entity_type_id=place["KIND"])
    return True


def _section(index: int, given: Row) -> Row:
    if plain(given.get("type")) != "section":
        raise _refused(
            f"Section at index {index} have type {plain(given.get('type'))}. The expected type is 'section'."
        )
    for name in ("name", "title"):
        if not plain(given.get(name)):
            raise _refused(f"Section at index {index} does not have {name}.")
    elements = []
    for place, one in enumerate(as_map(each) for each in as_list(given.get("elements"))):
        if not plain(one.get("name")):
            raise _refused(f"Element at index {place} in section at index {index} does not have name.")
        element: Row = {"name": plain(one["name"]), "optionFlags": plain(one.get("optionFlags")) or "0"}
        if as_map(one.get("options")):
            element["options"] = {key: plain(value) for key, value in as_map(one["options"]).items()}
        elements.append(element)
    return {"name": plain(given["name"]), "title": plain(given["title"]), "type": "section", "elements": elements}


@method("crm.item.details.configuration.reset", scope="crm", params=_LAYOUT, writes=True)
def layout_reset(call: Call) -> bool:
    place = _layout_place(call)
    _may_change(call, place)
    row = call.portal["layouts"].first(**place)
    if row is not None:
        call.portal["layouts"].remove(row["ID"])
    return True


@method("crm.item.details.configuration.forceCommonScopeForAll", scope="crm", params="entityTypeId extras", writes=True)
def layout_force(call: Call) -> bool:
    place = _layout_place(call, shared=True)
    _may_change(call, place)
    for row in list(call.portal["layouts"].where(KIND=place["KIND"], VARIANT=place["VARIANT"])):
        if row["OWNER"]:
            call.portal["layouts"].remove(row["ID"])
    return True


for _kind in (LEAD, DEAL, CONTACT, COMPANY):
    _word = f"crm.{WORD[_kind].lower()}.details.configuration"
    method(f"{_word}.get", scope="crm", params="scope userId extras", kind=_kind)(layout_get)
    method(f"{_word}.set", scope="crm", params="data userId scope extras", writes=True, kind=_kind)(layout_set)
    method(f"{_word}.reset", scope="crm", params="scope userId extras", writes=True, kind=_kind)(layout_reset)
    method(f"{_word}.forceCommonScopeForAll", scope="crm", params="extras", writes=True, kind=_kind)(layout_force)


# --- pipelines --------------------------------------------------------------------------------------------------------


def _pipelines(call: Call) -> int:
    kind = check_type(call.portal, as_int(call.get("entityTypeId")))
    if kind in (LEAD, QUOTE):
        raise RestError("ENTITY_TYPE_NOT_SUPPORTED", f"Тип сущности '{WORD[kind]}' не поддерживается", 400)
    return kind


def _category(kind: int, row: Row) -> Row:
    made: Row = {
        "id": crm.category_number(kind, row), "name": row["NAME"], "sort": row["SORT"], "entityTypeId": kind,
        "isDefault": "Y" if row["DEFAULT"] else "N",
    }  # fmt: skip
    if kind == DEAL:
        made |= {"originId": row.get("ORIGIN_ID", ""), "originatorId": row.get("ORIGINATOR_ID", "")}
    return made


def _category_or_refuse(call: Call) -> tuple[int, Row]:
    kind = _pipelines(call)
    number = as_int(call.get("id"))
    for row in crm.categories(call.portal, kind):
        if number == crm.category_number(kind, row):
            return kind, row
    raise RestError("NOT_FOUND", "Элемент не найден", 400)


def _manage(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)


def _set_category(call: Call, kind: int, row: Row) -> None:
    fields = as_map(call.get("fields"))
    if "name" in fields:
        row["NAME"] = plain(fields["name"])[:255]
    if as_int(fields.get("sort")) is not None:
        row["SORT"] = max(0, as_int(fields["sort"]) or 0)
    for name, key in (("originId", "ORIGIN_ID"), ("originatorId", "ORIGINATOR_ID")):
        if name in fields:
            row[key] = plain(fields[name])
    if yes(fields.get("isDefault")) and not row["DEFAULT"]:
        if kind in (CONTACT, COMPANY):
            raise RestError("0", "Default client category does not support updating default state", 400)
        for other in crm.categories(call.portal, kind):
            other["DEFAULT"] = other is row


@method("crm.category.list", scope="crm", params="entityTypeId!", style="controller")
def category_list(call: Call) -> Page:
    kind = _pipelines(call)
    rows = [_category(kind, row) for row in crm.categories(call.portal, kind)]
    return Page({"categories": rows}, len(rows))


@method("crm.category.add", scope="crm", params="entityTypeId! fields!", style="controller", writes=True)
def category_add(call: Call) -> Row:
    kind = _pipelines(call)
    _manage(call)
    fields = as_map(call.get("fields"))
    name = plain(fields.get("name")).strip()
    if not name:
        raise RestError("0", "Поле 'NAME' обязательно", 400)
    if yes(fields.get("isSystem")):
        raise RestError("ADDING_DISABLED", "Добавление системной воронки запрещено", 400)
    row = add_category(call.portal, name[:255], kind)
    row["SORT"] = 500
    _set_category(call, kind, row)
    return {"category": _category(kind, row)}


@method("crm.category.get", scope="crm", params="entityTypeId! id!", style="controller")
def category_get(call: Call) -> Row:
    return {"category": _category(*_category_or_refuse(call))}


@method("crm.category.update", scope="crm", params="entityTypeId! id! fields!", style="controller", writes=True)
def category_update(call: Call) -> Row:
    kind, row = _category_or_refuse(call)
    _manage(call)
    fields = as_map(call.get("fields"))
    if "name" in fields and not plain(fields["name"]).strip():
        raise RestError("0", "Поле 'NAME' обязательно", 400)
    _set_category(call, kind, row)
    return {"category": _category(kind, row)}


@method("crm.category.delete", scope="crm", params="entityTypeId! id!", style="controller", writes=True)
def category_delete(call: Call) -> None:
    kind, row = _category_or_refuse(call)
    _manage(call)
    dynamic = kind >= FIRST_DYNAMIC
    if row["DEFAULT"] or (kind == DEAL and row["ID"] == 1):
        if dynamic:
            raise RestError("BX_ERROR", "Эта воронка является воронкой по умолчанию", 400)
        if kind != DEAL:
            raise RestError("REMOVING_DISABLED", "Удаление системной воронки запрещено", 400)
        raise RestError("0", "Нельзя удалить направление сделок по умолчанию", 400)
    if any(item.get("CATEGORY_ID") == row["ID"] for item in call.portal[kind]):
        if dynamic:
            raise RestError("BX_ERROR", "Найдены элементы, связанные с воронкой", 400)
        raise RestError("0", f"Найдены сделки, связанные с направлением '{row['NAME']}'", 400)
    call.portal["categories"].remove(row["ID"])
    entity = crm.stage_entity(kind, row["ID"]) if kind in STAGE else ""
    for status in [one for one in call.portal["statuses"] if one["ENTITY_ID"] == entity]:
        call.portal["statuses"].remove(status["ID"])


_CATEGORY_FIELDS = (
    ("id", "integer", "r", "ID"), ("name", "string", "", "NAME"), ("sort", "integer", "", "SORT"),
    ("entityTypeId", "integer", "*r", "ENTITY_TYPE_ID"), ("isDefault", "boolean", "r", "IS_DEFAULT"),
    ("originId", "string", "", "ORIGIN_ID"), ("originatorId", "string", "", "ORIGINATOR_ID"),
)  # fmt: skip


@method("crm.category.fields", scope="crm", params="entityTypeId!", style="controller")
def category_fields(call: Call) -> Row:
    _pipelines(call)
    fields = _described(_CATEGORY_FIELDS)
    for name, facts in fields.items():
        facts["upperName"] = re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper()
    return {"fields": fields}
