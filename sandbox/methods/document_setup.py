"""What the document generator works with: numerators, regions, roles (api-reference/document-generator)."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from sandbox import documents
from sandbox.documents import GENERATOR, refused
from sandbox.filters import PAGE
from sandbox.method import Call, Page, Row, as_int, as_map, method, missing, plain, yes

LONGEST_NUMBER = 30
_NO_NUMERATOR = "Bitrix\\Main\\Numerator\\Numerator constructor must be public"
_NO_ROLE = "Bitrix\\DocumentGenerator\\Model\\Role All parameters in the constructor must have real class type"


def fields_of(call: Call, *, filled: bool = False) -> Row:
    """The map `fields`; with `filled` an empty one counts as absent."""
    value = call.get("fields")
    if filled and value in ({}, [], ""):
        raise missing("fields")
    if not isinstance(value, (dict, list)):
        raise refused("Invalid value to match with parameter {fields}. Should be value of type array", "100")
    return as_map(value)


def text_of(value: Any) -> str:
    """A text without spaces around it; "" for what is no scalar."""
    return "" if isinstance(value, (dict, list)) else plain(value).strip()


def paged(call: Call, name: str, rows: list[Any]) -> Page:
    """One page of a list without filter."""
    start = max(0, call.integer("start"))
    following = start + PAGE
    return Page({name: rows[start:following]}, len(rows), following if following < len(rows) else None)


# --- numerators -------------------------------------------------------------------------------------------------------


def _numerator(call: Call, *, change: bool = False) -> Row:
    documents.may_edit_templates(call)
    if call.get("id") is None:
        raise refused(_NO_NUMERATOR, "100")
    row = call.portal["numerators"].get(as_int(call.get("id")))
    if row is None:
        raise refused("Could not construct parameter {numerator}", "100")
    if change and not row["REST"]:
        raise refused("Access denied", "DOCGEN_ACCESS_ERROR")
    return row


def _settings(given: Any) -> Row:
    """The documented settings out of those that were given."""
    own = as_map(as_map(given).get(GENERATOR))
    made: Row = {}
    for name, least in (("start", 0), ("step", 1), ("length", 0)):
        number = as_int(own.get(name))
        if number is not None:
            made[name] = max(number, least) if name != "length" else min(max(number, least), LONGEST_NUMBER)
    if text_of(own.get("padString")):
        made["padString"] = text_of(own["padString"])[:1]
    if text_of(own.get("periodicBy")) in ("day", "month", "year") or own.get("periodicBy") == "":
        made["periodicBy"] = own["periodicBy"]
    if text_of(own.get("timezone")) in available_timezones():
        made["timezone"] = text_of(own["timezone"])
    if own.get("isDirectNumeration") is not None:
        made["isDirectNumeration"] = yes(text_of(own["isDirectNumeration"]))
    return made


def _as_numerator(row: Row, number: Any) -> Row:
    return {
        "name": row["NAME"], "template": row["TEMPLATE"], "id": number, "code": None,
        "settings": {GENERATOR: dict(row["SETTINGS"])},
    }  # fmt: skip


@method("documentgenerator.numerator.add", scope="documentgenerator", style="controller", params="fields!", writes=True)
def numerator_add(call: Call) -> Row:
    documents.may_edit_templates(call)
    fields = fields_of(call)
    absent = [name for name in ("name", "template") if not text_of(fields.get(name))]
    if absent:
        raise refused(f"Empty required fields: {', '.join(absent)}")
    row = documents.add_numerator(
        call.portal, text_of(fields["name"]), text_of(fields["template"]), _settings(fields.get("settings")), rest=True
    )
    call.portal.effect("create", "numerator", row["ID"], call.user_id, "rest")
    return {"numerator": _as_numerator(row, row["ID"])}


@method("documentgenerator.numerator.get", scope="documentgenerator", style="controller", params="id")
def numerator_get(call: Call) -> Row:
    row = _numerator(call)
    return {"numerator": _as_numerator(row, str(row["ID"]))}


@method("documentgenerator.numerator.list", scope="documentgenerator", style="controller", params="start")
def numerator_list(call: Call) -> Page:
    documents.may_edit_templates(call)
    rows = [
        {"id": str(row["ID"]), "name": row["NAME"], "template": row["TEMPLATE"],
            "settings": {GENERATOR: dict(row["SETTINGS"])}}
        for row in call.portal["numerators"]
    ]  # fmt: skip
    return paged(call, "numerators", rows)


@method(
    "documentgenerator.numerator.update",
    scope="documentgenerator",
    style="controller",
    params="id fields!",
    writes=True,
)
def numerator_update(call: Call) -> Row:
    """A counter that runs goes on from where it is: `start` is where a new one begins."""
    row = _numerator(call, change=True)
    fields = fields_of(call)
    for name in ("name", "template"):
        if text_of(fields.get(name)):
            row[name.upper()] = text_of(fields[name])
    row["SETTINGS"] = {**row["SETTINGS"], **_settings(fields.get("settings"))}
    call.portal.effect("update", "numerator", row["ID"], call.user_id, "rest")
    # The only answer of the family without a word around the record.
    return _as_numerator(row, str(row["ID"]))


@method("documentgenerator.numerator.delete", scope="documentgenerator", style="controller", params="id", writes=True)
def numerator_delete(call: Call) -> None:
    row = _numerator(call, change=True)
    call.portal["numerators"].remove(row["ID"])
    call.portal.effect("delete", "numerator", row["ID"], call.user_id, "rest")


# --- regions ----------------------------------------------------------------------------------------------------------

_REGION = {"title": "TITLE", "languageId": "LANGUAGE_ID", "formatDate": "FORMAT_DATE",
    "formatDatetime": "FORMAT_DATETIME", "formatName": "FORMAT_NAME"}  # fmt: skip


def _as_region(row: Row) -> Row:
    own = {"id": str(row["ID"])} if "ID" in row else {}
    return {**own, **{name: row[column] for name, column in _REGION.items()}, "phrases": row["PHRASES"]}


def _apply_region(row: Row, fields: Row) -> None:
    for name, column in _REGION.items():
        if name in fields:
            row[column] = text_of(fields[name])
    if not row["TITLE"]:
        raise refused('Required field "TITLE" is not filled', "BX_EMPTY_REQUIRED")
    phrases = {code: text_of(text) for code, text in as_map(fields.get("phrases")).items()}
    row["PHRASES"] = {**row["PHRASES"], **phrases}


@method("documentgenerator.region.add", scope="documentgenerator", style="controller", params="fields!", writes=True)
def region_add(call: Call) -> Row:
    documents.may_edit_templates(call)
    row: Row = {**dict.fromkeys(_REGION.values(), ""), "PHRASES": {}}
    _apply_region(row, fields_of(call, filled=True))
    call.portal["document_regions"].add(row)
    call.portal.effect("create", "document_region", row["ID"], call.user_id, "rest")
    return {"region": _as_region(row)}


@method("documentgenerator.region.get", scope="documentgenerator", style="controller", params="id!")
def region_get(call: Call) -> Row:
    documents.may_edit_templates(call)
    row = documents.region(call.portal, text_of(call.get("id")))
    if row is None:
        raise refused("Region not found")
    return {"region": _as_region(row)}


@method("documentgenerator.region.list", scope="documentgenerator", style="controller")
def region_list(call: Call) -> Row:
    documents.may_edit_templates(call)
    known: Row = {
        code: {"code": code, "title": title, "languageId": language}
        for code, (title, language, _) in documents.REGIONS.items()
    }
    for row in call.portal["document_regions"]:
        code = str(row["ID"])
        known[code] = {"id": code, **{name: row[column] for name, column in _REGION.items()}, "code": code}
    return {"regions": known}


@method(
    "documentgenerator.region.update", scope="documentgenerator", style="controller", params="id! fields!", writes=True
)
def region_update(call: Call) -> Row:
    documents.may_edit_templates(call)
    row = call.portal["document_regions"].get(as_int(call.get("id")))
    if row is None:
        raise refused("Region not found")
    changed = {**row}
    _apply_region(changed, fields_of(call))
    row.update(changed)
    call.portal.effect("update", "document_region", row["ID"], call.user_id, "rest")
    return {"region": _as_region(row)}


@method("documentgenerator.region.delete", scope="documentgenerator", style="controller", params="id!", writes=True)
def region_delete(call: Call) -> None:
    documents.may_edit_templates(call)
    row = call.portal["document_regions"].get(as_int(call.get("id")))
    if row is None:
        return
    if call.portal["document_templates"].first(REGION=str(row["ID"]), IS_DELETED="N") is not None:
        raise refused("There are templates linked to this region", "BX_ERROR")
    call.portal["document_regions"].remove(row["ID"])
    call.portal.effect("delete", "document_region", row["ID"], call.user_id, "rest")


# --- roles ------------------------------------------------------------------------------------------------------------


def _may_edit_settings(call: Call) -> None:
    if not documents.with_roles(call.portal):
        raise refused("Your plan does not support this operation", "DOCGEN_ACCESS_ERROR", 403)
    if not documents.right(call, "SETTINGS.MODIFY"):
        raise refused("You do not have permissions to modify settings")


def _role(call: Call) -> Row:
    _may_edit_settings(call)
    if call.get("id") is None:
        raise refused(_NO_ROLE, "100")
    row = call.portal["document_roles"].get(as_int(call.get("id")))
    if row is None:
        raise refused("Could not construct parameter {role}", "100")
    return row


def _as_role(row: Row) -> Row:
    rights = {
        entity.lower(): {action.lower(): row["RIGHTS"].get(f"{entity}.{action}", "") for action in actions}
        for entity, actions in documents.RIGHTS.items()
    }
    return {"role": {"id": row["ID"], "name": row["NAME"], "code": row["CODE"], "permissions": rights}}


def _rights(given: Any) -> Row:
    """The rights out of `permissions`, whose keys are upper-case; levels that there are not become "no access"."""
    made: Row = {}
    for entity, actions in documents.RIGHTS.items():
        own = as_map(as_map(given).get(entity))
        for action in actions:
            level = text_of(own.get(action))
            known = ("A", "D", "X") if entity == "TEMPLATES" else ("X",)
            made[f"{entity}.{action}"] = level if level in known else ""
    return made


def _apply_role(row: Row, fields: Row) -> Row:
    made = {**row}
    for name in ("name", "code"):
        if fields.get(name) is not None:
            made[name.upper()] = text_of(fields[name])
    if not made["NAME"]:
        raise refused('Required field "NAME" is not filled', "BX_EMPTY_REQUIRED")
    if "permissions" in fields:
        made["RIGHTS"] = _rights(fields["permissions"])
    return made


@method("documentgenerator.role.add", scope="documentgenerator", style="controller", params="fields!", writes=True)
def role_add(call: Call) -> Row:
    _may_edit_settings(call)
    row = _apply_role({"NAME": "", "CODE": "", "RIGHTS": {}}, fields_of(call, filled=True))
    call.portal["document_roles"].add(row)
    call.portal.effect("create", "document_role", row["ID"], call.user_id, "rest")
    return _as_role(row)


@method("documentgenerator.role.get", scope="documentgenerator", style="controller", params="id")
def role_get(call: Call) -> Row:
    return _as_role(_role(call))


@method("documentgenerator.role.list", scope="documentgenerator", style="controller", params="start")
def role_list(call: Call) -> Page:
    _may_edit_settings(call)
    rows = [{"id": row["ID"], "name": row["NAME"], "code": row["CODE"]} for row in call.portal["document_roles"]]
    return paged(call, "roles", rows)


@method(
    "documentgenerator.role.update", scope="documentgenerator", style="controller", params="id fields!", writes=True
)
def role_update(call: Call) -> Row:
    row = _role(call)
    row.update(_apply_role(row, fields_of(call, filled=True)))
    call.portal.effect("update", "document_role", row["ID"], call.user_id, "rest")
    return _as_role(row)


@method("documentgenerator.role.delete", scope="documentgenerator", style="controller", params="id", writes=True)
def role_delete(call: Call) -> None:
    row = _role(call)
    call.portal["document_roles"].remove(row["ID"])
    for access in list(call.portal["document_accesses"].where(ROLE_ID=row["ID"])):
        call.portal["document_accesses"].remove(access["ID"])
    call.portal.effect("delete", "document_role", row["ID"], call.user_id, "rest")


@method(
    "documentgenerator.role.fillaccesses", scope="documentgenerator", style="controller", params="accesses", writes=True
)
def role_fill_accesses(call: Call) -> None:
    """The whole list of who has which role; without `accesses` nobody has any, roles and codes unknown are nothing."""
    _may_edit_settings(call)
    made = []
    for access in call.sequence("accesses"):
        own = as_map(access)
        for name, column in (("roleId", "ROLE_ID"), ("accessCode", "ACCESS_CODE")):
            if not text_of(own.get(name)):
                raise refused(f'Required field "{column}" is not filled', "BX_EMPTY_REQUIRED")
        role, code = as_int(own["roleId"]), text_of(own["accessCode"])
        if call.portal["document_roles"].get(role) is not None and documents.ACCESS_CODE.fullmatch(code):
            made.append({"ROLE_ID": role, "ACCESS_CODE": code})
    table = call.portal["document_accesses"]
    for row in list(table):
        table.remove(row["ID"])
    for row in made:
        table.add(row)
