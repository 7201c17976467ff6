"""crm.lead.*, crm.deal.*, crm.contact.*, crm.company.*: the older twins of crm.item.* (api-reference/crm/leads ...)."""

from __future__ import annotations

from typing import Any

from sandbox import crm, crm_fields
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD, QUOTE, WORD
from sandbox.filters import page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain
from sandbox.methods.crm_item import field_facts

# An item that is not there, by type and verb: (code, text); every other page says "Not found" without a code.
_ABSENT = {
    (CONTACT, "update"): ("", "Contact is not found"),
    (CONTACT, "delete"): ("ERROR_CORE", "Element not found"),
    (COMPANY, "update"): ("", "Company is not found"),
    (COMPANY, "delete"): ("", "Company is not found"),
    (QUOTE, "update"): ("", "Quote is not found"),
    (QUOTE, "delete"): ("ERROR_CORE", "Element not found"),
}
# What crm-contact-add.md and crm-company-add.md say of an e-mail that is none; other pages do not speak of it.
_WRONG_EMAIL = {
    CONTACT: 'The field "Work e-mail" contains an invalid address',
    COMPANY: 'The "E-mail" field contains an invalid address',
}


def _found(call: Call, kind: int, verb: str) -> Row:
    number = as_int(call.get("id"))
    if number is None or number <= 0:
        raise RestError("", "ID is not defined or invalid.", 400)
    row = call.portal[kind].get(number)
    if row is None:
        code, text = _ABSENT.get((kind, verb), ("", "Not found"))
        raise RestError(code, text, 400)
    return row


def _arrays(call: Call, *names: str) -> None:
    """Refuse a parameter that was given and is no array."""
    for name in names:
        if not isinstance(call.get(name), (dict, list, type(None))):
            raise RestError("", f"Parameter '{name}' must be array.", 400)


def _fields(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, (dict, list)):
        raise RestError("", "Parameter 'fields' must be array.", 400)
    _arrays(call, "params")
    return as_map(value)


def _register(kind: int) -> None:
    prefix = f"crm.{WORD[kind].lower()}"

    @method(f"{prefix}.get", scope="crm", params="id")
    def get(call: Call) -> Row:
        row = _found(call, kind, "get")
        if not crm.can_read(call.user, kind, row):
            raise RestError("", "Access denied", 400)
        return crm_fields.as_classic(call.portal, kind, row)

    @method(f"{prefix}.add", scope="crm", params="fields params", writes=True)
    def add(call: Call) -> int:
        values, comms = _read(call, kind, _fields(call), new=True)
        row = crm.create(call.portal, kind, values, comms, call.actor)
        return int(row["LEAD_NUMBER"] if "LEAD_NUMBER" in row else row["ID"])

    @method(f"{prefix}.update", scope="crm", params="id fields params", writes=True)
    def update(call: Call) -> bool:
        row = _found(call, kind, "update")
        given = _fields(call)
        if not crm.can_change(call.user, kind, row):
            raise RestError("", "Access denied", 400)
        values, comms = _read(call, kind, given, new=False)
        crm.update(call.portal, kind, row, values, comms, call.actor)
        return True

    @method(f"{prefix}.delete", scope="crm", params="id", writes=True)
    def delete(call: Call) -> bool:
        row = _found(call, kind, "delete")
        if not crm.can_read(call.user, kind, row) or not crm.can_delete(call.user, kind, row):
            raise RestError("", "Access denied", 400)
        crm.delete(call.portal, kind, row, call.actor)
        return True

    @method(f"{prefix}.list", scope="crm", params="order filter select start")
    def list_(call: Call) -> Page:
        _arrays(call, "order", "filter")
        portal = call.portal
        start = call.integer("start")
        own = call.user["OWN_LEADS_ONLY"] and not call.admin
        rows, total, following = select_rows(
            portal[kind], filter=_upper(call.mapping("filter")), order=_upper(call.mapping("order")),
            columns=crm_fields.columns(portal, kind, "classic"), zone=portal.zone(), start=start,
            unknown=lambda key: None,
            visible=(lambda row: crm.can_read(call.user, kind, row)) if own else None,
        )  # fmt: skip
        names = [plain(name).upper() for name in as_list(call.get("select"))]
        fields = crm_fields.fields_of(portal, kind)
        plain_names = {
            name for name, one in fields.items() if one.name and not one.user and name not in crm_fields.ITEM_ONLY
        }
        only = set(names)
        if not names or "*" in only:
            only |= plain_names
        if "UF_*" in only:
            only |= {name for name, one in fields.items() if one.user}
        return page_of(
            [crm_fields.as_classic(portal, kind, row, only | {"ID"}) for row in rows], total, following, start
        )

    @method(f"{prefix}.fields", scope="crm")
    def fields(call: Call) -> Row:
        made: Row = {
            name: field_facts(one, item=False) for name, one in crm_fields.classic_fields(call.portal, kind).items()
        }
        if kind == CONTACT:
            made["COMPANY_ID"]["isDeprecated"] = True
            for name in ("NAME", "SECOND_NAME", "LAST_NAME"):
                made[name]["isRequired"] = True
        if kind == COMPANY:
            made["TITLE"]["isRequired"] = True
        if kind in crm_fields.WITH_MULTIFIELDS:
            for type_id in crm_fields.MULTIFIELDS:
                made[type_id] = {
                    "type": "crm_multifield", "isRequired": False, "isReadOnly": False, "isImmutable": False,
                    "isMultiple": True, "isDynamic": False, "title": type_id,
                }  # fmt: skip
        return made


def _upper(given: Row) -> Row:
    return {key.upper() if not key.isdigit() else key: value for key, value in given.items()}


def _read(call: Call, kind: int, given: Row, *, new: bool) -> tuple[Row, list[Row]]:
    """As crm_fields.read_fields, with the classic methods' errors: mostly an empty code and a sentence."""
    try:
        values, comms = crm_fields.read_fields(
            call.portal, kind, {key.upper(): value for key, value in given.items()}, names="classic", new=new
        )
    except RestError as error:
        raise RestError("", error.description, 400) from None
    currency = values.get("CURRENCY_ID")
    if kind == DEAL and currency and call.portal["currencies"].first(CURRENCY=currency) is None:
        raise RestError("", 'Invalid value for the "Currency" field', 400)
    emails = [text for one in comms if one["TYPE_ID"] == "EMAIL" and (text := plain(one.get("VALUE")).strip())]
    if kind in _WRONG_EMAIL and not all(crm.is_email(text) for text in emails):
        raise RestError("ERROR_CORE", _WRONG_EMAIL[kind], 400)
    return values, comms


for _kind in crm_fields.FIELDS:
    _register(_kind)


@method("crm.settings.mode.get", scope="crm")
def mode_get(call: Call) -> int:
    return call.portal.settings.mode


@method("crm.duplicate.findbycomm", scope="crm", params="type values entity_type")
def find_by_comm(call: Call) -> Any:
    type_id = call.text("type").upper()
    if not type_id:
        raise RestError("", "Communication type is not defined", 400)
    if type_id not in ("PHONE", "EMAIL"):
        raise RestError("", f"Communication type '{type_id}' is not supported in current context", 400)
    values = [plain(value) for value in call.sequence("values")]
    if not values:
        raise RestError("", "Communication values is not defined", 400)
    wanted = call.text("entity_type").upper()
    if wanted and wanted not in ("LEAD", "CONTACT", "COMPANY"):
        raise RestError("", f"Entity type '{wanted}' is not supported", 400)
    found: Row = {}
    for kind in (LEAD, CONTACT, COMPANY):
        name = WORD[kind]
        if wanted and name != wanted:
            continue
        numbers: list[int] = []
        for value in values[:20]:
            for hit in crm.find_by_comm(call.portal, type_id, value, [kind]):
                if hit["row"]["ID"] not in numbers:
                    numbers.append(hit["row"]["ID"])
        if numbers:
            found[name] = numbers[:20]
        if len(numbers) >= 20:
            break
    return found or []
