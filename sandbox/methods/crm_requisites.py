"""Requisites, bank details, their templates and links, addresses (api-reference/crm/requisites)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import crm, crm_fields, delivery
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, FIRST_DYNAMIC, LEAD, QUOTE, item_of
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes

REQUISITE = 8


def _words(text: str) -> list[str]:
    return text.split()


_HEAD = """
ID id integer r | ID
"""
_TIMES = """
DATE_CREATE dateCreate datetime r | Дата создания
DATE_MODIFY dateModify datetime r | Дата изменения
CREATED_BY_ID createdById user r | Кем создан
MODIFY_BY_ID modifyById user r | Кем изменён
"""
_RQ = _words(
    """
    NAME FIRST_NAME LAST_NAME SECOND_NAME COMPANY_ID COMPANY_NAME COMPANY_FULL_NAME COMPANY_REG_DATE DIRECTOR
    ACCOUNTANT CEO_NAME CEO_WORK_POS CONTACT EMAIL PHONE FAX IDENT_TYPE IDENT_DOC IDENT_DOC_SER IDENT_DOC_NUM
    IDENT_DOC_PERS_NUM IDENT_DOC_DATE IDENT_DOC_ISSUED_BY IDENT_DOC_DEP_CODE INN KPP USRLE IFNS OGRN OGRNIP OKPO OKTMO
    OKVED EDRPOU DRFO KBE IIN BIN ST_CERT_SER ST_CERT_NUM ST_CERT_DATE VAT_PAYER VAT_ID VAT_CERT_SER VAT_CERT_NUM
    VAT_CERT_DATE RESIDENCE_COUNTRY BASE_DOC REGON KRS PESEL LEGAL_FORM SIRET SIREN CAPITAL RCS CNPJ STATE_REG MNPL_REG
    CPF SIGNATURE STAMP
    """
)
_BANK = _words(
    """
    BANK_NAME BANK_ADDR BANK_CODE AGENCY_NAME BANK_ROUTE_NUM BIK MFO ACC_NAME ACC_NUM ACC_TYPE IIK ACC_CURRENCY
    COR_ACC_NUM IBAN SWIFT BIC CODEB CODEG RIB
    """
)
_KINDS = {"VAT_PAYER": "char", "IDENT_TYPE": "crm_status RQ_IDENT_TYPE_CO"}


def _strings(names: list[str]) -> str:
    return "".join(
        f"RQ_{name} rq{name.title().replace('_', '')} {_KINDS.get(name, 'string')} | RQ_{name}\n" for name in names
    )


REQUISITES = crm_fields.fields_from(
    _HEAD + "ENTITY_TYPE_ID entityTypeId integer iq | Тип объекта\nENTITY_ID entityId integer iq | Объект\n"
    "PRESET_ID presetId integer q | Шаблон\n" + _TIMES
    + "NAME name string q | Название\nCODE code string | Символьный код\n"
    "XML_ID xmlId string | Внешний код\nORIGINATOR_ID originatorId string | Внешний источник\n"
    "ACTIVE active char =Y | Активен\nADDRESS_ONLY addressOnly char =N | Только адрес\n"
    "SORT sort integer =500 | Сортировка\n" + _strings(_RQ)
)  # fmt: skip
BANK_DETAILS = crm_fields.fields_from(
    _HEAD + "ENTITY_ID entityId integer iq | Реквизит\nCOUNTRY_ID countryId integer =1 | Страна\n" + _TIMES
    + "NAME name string | Название\nCODE code string | Символьный код\nXML_ID xmlId string | Внешний код\n"
    "ORIGINATOR_ID originatorId string | Внешний источник\nACTIVE active char =Y | Активен\n"
    "SORT sort integer =500 | Сортировка\n" + _strings(_BANK) + "COMMENTS comments string | Комментарий\n"
)  # fmt: skip
PRESETS = crm_fields.fields_from(
    _HEAD + "ENTITY_TYPE_ID entityTypeId integer iq | Тип объекта\nCOUNTRY_ID countryId integer iq | Страна\n" + _TIMES
    + "NAME name string q | Название\nXML_ID xmlId string | Внешний код\nACTIVE active char =Y | Активен\n"
    "SORT sort integer =500 | Сортировка\n"
)  # fmt: skip


def _refused(text: str) -> RestError:
    return RestError("", text, 400)


def _described(fields: dict[str, crm_fields.Field]) -> Row:
    return {
        name: {
            "type": one.type, "isRequired": "q" in one.flags, "isReadOnly": "r" in one.flags,
            "isImmutable": "i" in one.flags, "isMultiple": "m" in one.flags, "isDynamic": bool(one.user),
            "title": one.title, **({"statusType": [one.status]} if one.status else {}),
        }
        for name, one in fields.items()
    }  # fmt: skip


def _given(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, (dict, list)):
        raise _refused("Parameter 'fields' must be array.")
    return {key.upper(): child for key, child in as_map(value).items()}


def _number(value: Any, name: str) -> int:
    number = as_int(value)
    if number is None or number <= 0:
        raise _refused(f"{name} is not defined or invalid.")
    return number


class Family:
    """add, get, list, update, delete, fields of one table whose records carry who made and changed them, and when."""

    def __init__(
        self, prefix: str, table: str, title: str, event: str, fields: Callable[[Call], dict[str, crm_fields.Field]]
    ) -> None:
        self.prefix, self.table, self.title, self.event, self.fields = prefix, table, title, event, fields

    def found(self, call: Call, number: Any) -> Row:
        """The record of that id; the family's own words when it is none."""
        wanted = _number(number, "ID")
        row = call.portal[self.table].get(wanted)
        if row is None:
            raise _refused(f"The {self.title} with ID '{wanted}' is not found")
        return row

    def shown(self, call: Call, row: Row) -> Row:
        made: Row = {}
        for name, one in self.fields(call).items():
            value = crm_fields.classic_value(call.portal, one, row.get(name, one.default))
            made[name] = value
        return made

    def read(self, call: Call, given: Row, *, new: bool) -> Row:
        values: Row = {}
        for name, one in self.fields(call).items():
            if name not in given or "r" in one.flags or ("i" in one.flags and not new):
                continue
            values[name] = crm_fields.parse(call.portal, one, given[name])
        return values

    def store(self, call: Call, values: Row) -> Row:
        row: Row = {
            name: int(one.default) if one.kind == "int" and one.default else one.default
            for name, one in self.fields(call).items() if "r" not in one.flags
        }  # fmt: skip
        row |= {"DATE_CREATE": call.portal.now(), "DATE_MODIFY": None, "CREATED_BY_ID": call.user_id}
        row |= {"MODIFY_BY_ID": None, **values}
        call.portal[self.table].add(row)
        self.tell(call, "ADD", row)
        return row

    def change(self, call: Call, row: Row, values: Row) -> None:
        if all(row.get(name) == value for name, value in values.items()):
            return
        row.update(values)
        row["DATE_MODIFY"], row["MODIFY_BY_ID"] = call.portal.now(), call.user_id
        self.tell(call, "UPDATE", row)

    def remove(self, call: Call, row: Row) -> None:
        call.portal[self.table].remove(row["ID"])
        self.tell(call, "DELETE", row)

    def tell(self, call: Call, change: str, row: Row) -> None:
        verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete"}[change]
        call.portal.effect(verb, self.table, row["ID"], call.user_id, "rest")
        if self.event:
            delivery.emit(
                call.portal, f"ONCRM{self.event}{change}", {"FIELDS": {"ID": row["ID"]}}, call.actor,
                entity=f"{self.table} {row['ID']}",
            )  # fmt: skip

    def listed(self, call: Call, visible: Callable[[Row], bool] | None = None) -> Page:
        fields = self.fields(call)
        columns = {name: Column(name, one.kind) for name, one in fields.items()}
        start = call.integer("start")
        rows, total, following = select_rows(
            call.portal[self.table], filter={key.upper(): value for key, value in call.mapping("filter").items()},
            order={key.upper(): value for key, value in call.mapping("order").items()}, columns=columns,
            zone=call.portal.zone(), start=start, unknown=lambda key: None, visible=visible,
        )  # fmt: skip
        names = {plain(name).upper() for name in as_list(call.get("select"))}
        if "UF_*" in names:
            names |= {name for name, one in fields.items() if one.user}
        made = [self.shown(call, row) for row in rows]
        if names and "*" not in names:
            made = [{key: value for key, value in one.items() if key in names} for one in made]
        elif not names:
            made = [{key: value for key, value in one.items() if not fields[key].user} for one in made]
        return page_of(made, total, following, start)

    def serve_reads(self) -> None:
        """fields, get and list for whoever may read."""

        @method(f"{self.prefix}.fields", scope="crm")
        def fields(call: Call) -> Row:
            return _described(self.fields(call))

        @method(f"{self.prefix}.get", scope="crm", params="id")
        def get(call: Call) -> Row:
            return self.shown(call, self.found(call, call.get("id")))

        @method(f"{self.prefix}.list", scope="crm", params="order filter select start")
        def listed(call: Call) -> Page:
            return self.listed(call)


def _requisite_fields(call: Call) -> dict[str, crm_fields.Field]:
    custom = list(call.portal["userfields"].where(ENTITY_ID="CRM_REQUISITE"))
    return REQUISITES | {row["FIELD_NAME"]: crm_fields.user_field(row) for row in custom}


requisites = Family("crm.requisite", "requisites", "Requisite", "REQUISITE", _requisite_fields)
bank_details = Family(
    "crm.requisite.bankdetail", "bank_details", "RequisiteBankDetail", "BANKDETAIL", lambda call: BANK_DETAILS
)
presets = Family("crm.requisite.preset", "presets", "Preset", "", lambda call: PRESETS)
for _family in (requisites, bank_details, presets):
    _family.serve_reads()


def _may(call: Call, kind: int | None, number: int | None) -> Row:
    """The contact or company (or lead) that owns something, when the caller may change it."""
    item = item_of(call.portal, kind, number)
    if kind is None or item is None:
        raise _refused("Entity not found.")
    if not crm.can_change(call.user, kind, item):
        raise _refused("Access denied.")
    return item


# --- requisites and bank details --------------------------------------------------------------------------------------


@method("crm.requisite.add", scope="crm", params="fields params", writes=True)
def requisite_add(call: Call) -> int:
    given = _given(call)
    kind = as_int(given.get("ENTITY_TYPE_ID"))
    if kind not in (CONTACT, COMPANY):
        raise _refused("ENTITY_TYPE_ID is not defined or invalid.")
    number = _number(given.get("ENTITY_ID"), "ENTITY_ID")
    preset = call.portal["presets"].get(as_int(given.get("PRESET_ID")))
    if preset is None:
        raise _refused("PRESET_ID is not defined or invalid.")
    _may(call, kind, number)
    values = requisites.read(call, given, new=True)
    values["NAME"] = values.get("NAME") or preset["NAME"]
    return int(requisites.store(call, values)["ID"])


@method("crm.requisite.update", scope="crm", params="id fields", writes=True)
def requisite_update(call: Call) -> bool:
    row = requisites.found(call, call.get("id"))
    given = _given(call)
    _may(call, row["ENTITY_TYPE_ID"], row["ENTITY_ID"])
    if "PRESET_ID" in given and call.portal["presets"].get(as_int(given["PRESET_ID"])) is None:
        raise _refused("PRESET_ID is not defined or invalid.")
    requisites.change(call, row, requisites.read(call, given, new=False))
    return True


@method("crm.requisite.delete", scope="crm", params="id", writes=True)
def requisite_delete(call: Call) -> bool:
    row = requisites.found(call, call.get("id"))
    _may(call, row["ENTITY_TYPE_ID"], row["ENTITY_ID"])
    for bank in list(call.portal["bank_details"].where(ENTITY_ID=row["ID"])):
        bank_details.remove(call, bank)
    for address in list(call.portal["addresses"].where(ENTITY_TYPE_ID=REQUISITE, ENTITY_ID=row["ID"])):
        call.portal["addresses"].remove(address["ID"])
    for link in list(call.portal["requisite_links"].where(REQUISITE_ID=row["ID"])):
        call.portal["requisite_links"].remove(link["ID"])
    requisites.remove(call, row)
    return True


@method("crm.requisite.bankdetail.add", scope="crm", params="fields", writes=True)
def bank_add(call: Call) -> int:
    given = _given(call)
    requisite = call.portal["requisites"].get(_number(given.get("ENTITY_ID"), "ENTITY_ID"))
    if requisite is None:
        raise _refused("ENTITY_ID is not defined or invalid.")
    _may(call, requisite["ENTITY_TYPE_ID"], requisite["ENTITY_ID"])
    return int(bank_details.store(call, bank_details.read(call, given, new=True))["ID"])


def _bank(call: Call) -> Row:
    row = bank_details.found(call, call.get("id"))
    requisite = call.portal["requisites"].get(row["ENTITY_ID"]) or {}
    _may(call, requisite.get("ENTITY_TYPE_ID"), requisite.get("ENTITY_ID"))
    return row


@method("crm.requisite.bankdetail.update", scope="crm", params="id fields", writes=True)
def bank_update(call: Call) -> bool:
    row = _bank(call)
    bank_details.change(call, row, bank_details.read(call, _given(call), new=False))
    return True


@method("crm.requisite.bankdetail.delete", scope="crm", params="id", writes=True)
def bank_delete(call: Call) -> bool:
    bank_details.remove(call, _bank(call))
    return True


# --- templates --------------------------------------------------------------------------------------------------------

_COUNTRIES = (
    (1, "RU", "Россия"), (4, "BY", "Беларусь"), (6, "KZ", "Казахстан"), (14, "UA", "Украина"), (34, "BR", "Бразилия"),
    (46, "DE", "Германия"), (77, "CO", "Колумбия"), (110, "PL", "Польша"), (122, "US", "США"), (132, "FR", "Франция"),
)  # fmt: skip


@method("crm.requisite.preset.countries", scope="crm")
def countries(call: Call) -> list[Row]:
    return [{"ID": number, "CODE": code, "TITLE": title} for number, code, title in _COUNTRIES]


@method("crm.requisite.preset.add", scope="crm", params="fields", writes=True)
def preset_add(call: Call) -> int:
    given = _given(call)
    if as_int(given.get("ENTITY_TYPE_ID")) != REQUISITE:
        raise _refused("ENTITY_TYPE_ID is not defined or invalid.")
    if as_int(given.get("COUNTRY_ID")) not in {number for number, _, _ in _COUNTRIES}:
        raise _refused("COUNTRY_ID is not defined or invalid.")
    if not plain(given.get("NAME")).strip():
        raise _refused("NAME is not defined or invalid.")
    return int(presets.store(call, {**presets.read(call, given, new=True), "FIELDS": []})["ID"])


@method("crm.requisite.preset.update", scope="crm", params="id fields", writes=True)
def preset_update(call: Call) -> bool:
    row = presets.found(call, call.get("id"))
    presets.change(call, row, presets.read(call, _given(call), new=False))
    return True


@method("crm.requisite.preset.delete", scope="crm", params="id", writes=True)
def preset_delete(call: Call) -> bool:
    row = presets.found(call, call.get("id"))
    if call.portal["requisites"].first(PRESET_ID=row["ID"]) is not None:
        raise _refused("You cannot delete the template because requisites have already been created for it")
    presets.remove(call, row)
    return True


def _preset(call: Call) -> Row:
    return presets.found(call, {key.upper(): value for key, value in call.mapping("preset").items()}.get("ID"))


def _preset_field(call: Call) -> tuple[Row, Row]:
    preset = _preset(call)
    number = _number(call.get("id"), "ID")
    for one in preset["FIELDS"]:
        if one["ID"] == number:
            return preset, one
    raise _refused(f"The PresetField with ID '{number}' is not found")


def _free(preset: Row) -> list[str]:
    taken = {one["FIELD_NAME"] for one in preset["FIELDS"]}
    return [name for name in (f"RQ_{each}" for each in _RQ) if name not in taken]


@method("crm.requisite.preset.field.fields", scope="crm")
def preset_field_fields(call: Call) -> Row:
    return _described(
        crm_fields.fields_from(
            "ID id integer r | ID\nFIELD_NAME fieldName string q | Название\n"
            "FIELD_TITLE fieldTitle string | Название в шаблоне\n"
            "SORT sort integer | Сортировка\nIN_SHORT_LIST inShortList char | Показывать в кратком списке\n"
        )
    )  # fmt: skip


@method("crm.requisite.preset.field.availabletoadd", scope="crm", params="preset")
def preset_field_available(call: Call) -> list[str]:
    return _free(_preset(call))


@method("crm.requisite.preset.field.add", scope="crm", params="preset fields", writes=True)
def preset_field_add(call: Call) -> int:
    preset, given = _preset(call), _given(call)
    name = plain(given.get("FIELD_NAME")).upper()
    if name not in _free(preset):
        raise _refused(f"The field '{name}' can not be added")
    number = max((one["ID"] for one in preset["FIELDS"]), default=0) + 1
    preset["FIELDS"].append(
        {
            "ID": number, "FIELD_NAME": name, "FIELD_TITLE": plain(given.get("FIELD_TITLE")),
            "IN_SHORT_LIST": "Y" if yes(given.get("IN_SHORT_LIST")) else "N",
            "SORT": as_int(given.get("SORT")) or 500 + number * 10,
        }
    )  # fmt: skip
    return number


@method("crm.requisite.preset.field.get", scope="crm", params="id preset")
def preset_field_get(call: Call) -> Row:
    return _preset_field(call)[1]


@method("crm.requisite.preset.field.list", scope="crm", params="preset")
def preset_field_list(call: Call) -> list[Row]:
    return sorted(_preset(call)["FIELDS"], key=lambda one: (one["SORT"], one["ID"]))


@method("crm.requisite.preset.field.update", scope="crm", params="id preset fields", writes=True)
def preset_field_update(call: Call) -> bool:
    preset, row = _preset_field(call)
    given = _given(call)
    if "FIELD_NAME" in given:
        name = plain(given["FIELD_NAME"]).upper()
        if name != row["FIELD_NAME"] and name not in _free(preset):
            raise _refused(f"The field '{name}' can not be added")
        row["FIELD_NAME"] = name
    if "FIELD_TITLE" in given:
        row["FIELD_TITLE"] = plain(given["FIELD_TITLE"])
    if "IN_SHORT_LIST" in given:
        row["IN_SHORT_LIST"] = "Y" if yes(given["IN_SHORT_LIST"]) else "N"
    if as_int(given.get("SORT")) is not None:
        row["SORT"] = as_int(given["SORT"])
    return True


@method("crm.requisite.preset.field.delete", scope="crm", params="id preset", writes=True)
def preset_field_delete(call: Call) -> bool:
    preset, row = _preset_field(call)
    preset["FIELDS"].remove(row)
    return True


# --- links ------------------------------------------------------------------------------------------------------------

_LINK = ("REQUISITE_ID", "BANK_DETAIL_ID", "MC_REQUISITE_ID", "MC_BANK_DETAIL_ID")
_LINK_COLUMNS = {name: Column(name, "int") for name in ("ENTITY_TYPE_ID", "ENTITY_ID", *_LINK)}
_LINKED = (DEAL, QUOTE, LEAD, 31)


def _link_owner(call: Call, kind: Any, number: Any, names: tuple[str, str]) -> tuple[int, int]:
    type_id = as_int(kind)
    if type_id is None or (type_id not in _LINKED and type_id < FIRST_DYNAMIC):
        raise _refused(f"{names[0]} is not defined or invalid")
    entity = as_int(number)
    if entity is None or entity <= 0:
        raise _refused(f"{names[1]} is not defined or invalid")
    item = item_of(call.portal, type_id, entity)
    if item is None or not crm.can_change(call.user, type_id, item):
        raise _refused("Access denied.")
    return type_id, entity


@method("crm.requisite.link.register", scope="crm", params="fields", writes=True)
def link_register(call: Call) -> bool:
    given = _given(call)
    kind, number = _link_owner(
        call, given.get("ENTITY_TYPE_ID"), given.get("ENTITY_ID"), ("ENTITY_TYPE_ID", "ENTITY_ID")
    )
    values: Row = {}
    for name in _LINK:
        value = as_int(given.get(name))
        if value is None or value < 0:
            raise _refused(f"{name} is not defined or invalid")
        values[name] = value
    for requisite, bank, whose in (
        ("REQUISITE_ID", "BANK_DETAIL_ID", ""),
        ("MC_REQUISITE_ID", "MC_BANK_DETAIL_ID", " of your company"),
    ):
        if values[requisite] and call.portal["requisites"].get(values[requisite]) is None:
            raise _refused(f"The Requisite{whose} with ID '{values[requisite]}' is not found")
        row = call.portal["bank_details"].get(values[bank]) if values[bank] else None
        if values[bank] and row is None:
            raise _refused(f"The BankDetail{whose} with ID '{values[bank]}' is not found")
        if row is not None and row["ENTITY_ID"] != values[requisite]:
            raise _refused(
                f"The BankDetail{whose} with ID '{values[bank]}' is not assigned to "
                f"Requisite{whose} with ID '{values[requisite]}'"
            )
    known = call.portal["requisite_links"].first(ENTITY_TYPE_ID=kind, ENTITY_ID=number)
    if known is None:
        known = call.portal["requisite_links"].add({"ENTITY_TYPE_ID": kind, "ENTITY_ID": number})
    known.update(values)
    return True


def _link(call: Call) -> Row | None:
    kind, number = _link_owner(call, call.get("entityTypeId"), call.get("entityId"), ("entityTypeId", "entityId"))
    return call.portal["requisite_links"].first(ENTITY_TYPE_ID=kind, ENTITY_ID=number)


@method("crm.requisite.link.get", scope="crm", params="entityTypeId entityId")
def link_get(call: Call) -> Row:
    row = _link(call)
    if row is None:
        raise _refused("Not found")
    return {
        "ENTITY_TYPE_ID": row["ENTITY_TYPE_ID"], "ENTITY_ID": row["ENTITY_ID"],
        **{name: str(row[name]) for name in _LINK},
    }  # fmt: skip


@method("crm.requisite.link.unregister", scope="crm", params="entityTypeId entityId", writes=True)
def link_unregister(call: Call) -> bool:
    row = _link(call)
    if row is not None:
        call.portal["requisite_links"].remove(row["ID"])
    return True


@method("crm.requisite.link.list", scope="crm", params="order filter select start")
def link_list(call: Call) -> Page:
    start = call.integer("start")
    rows, total, following = select_rows(
        call.portal["requisite_links"], filter=call.mapping("filter"), order=call.mapping("order"),
        columns=_LINK_COLUMNS, zone=call.portal.zone(), start=start, unknown=lambda key: None,
    )  # fmt: skip
    names = {plain(name) for name in as_list(call.get("select"))}
    made = [
        {name: str(row[name]) for name in _LINK_COLUMNS if not names or "*" in names or name in names} for row in rows
    ]
    return page_of(made, total, following, start)


@method("crm.requisite.link.fields", scope="crm")
def link_fields(call: Call) -> Row:
    flags = {"ENTITY_TYPE_ID": "iq", "ENTITY_ID": "iq"}
    return _described(
        {
            name: crm_fields.Field(name, name.lower(), "integer", flags.get(name, "q"), title=name)
            for name in _LINK_COLUMNS
        }
    )


# --- addresses --------------------------------------------------------------------------------------------------------

ADDRESS_TYPES = {11: "Адрес доставки", 1: "Фактический адрес", 6: "Юридический адрес", 4: "Адрес регистрации",
    8: "Почтовый адрес", 9: "Адрес бенефициара"}  # fmt: skip
_ADDRESS = crm_fields.fields_from(
    "TYPE_ID typeId integer iq | TYPE_ID\nENTITY_TYPE_ID entityTypeId integer iq | ENTITY_TYPE_ID\n"
    "ENTITY_ID entityId integer iq | ENTITY_ID\nADDRESS_1 address1 string | Улица, дом, корпус, строение\n"
    "ADDRESS_2 address2 string | Квартира / офис\nCITY city string | Населённый пункт\n"
    "POSTAL_CODE postalCode string | Почтовый индекс\nREGION region string | Район\n"
    "PROVINCE province string | Область\n"
    "COUNTRY country string | Страна\nCOUNTRY_CODE countryCode string | COUNTRY_CODE\n"
    "LOC_ADDR_ID locAddrId integer | Адрес местоположения\nANCHOR_TYPE_ID anchorTypeId integer r | ANCHOR_TYPE_ID\n"
    "ANCHOR_ID anchorId integer r | ANCHOR_ID\n"
)  # fmt: skip


def _anchor(call: Call, given: Row) -> tuple[int, int, int, int, int]:
    """(type, entity type, entity, anchor type, anchor) of the address that the fields speak of."""
    type_id = as_int(given.get("TYPE_ID"))
    if type_id not in ADDRESS_TYPES:
        raise _refused("TYPE_ID is not defined or invalid")
    kind = as_int(given.get("ENTITY_TYPE_ID"))
    if kind not in (LEAD, CONTACT, COMPANY, REQUISITE):
        raise _refused("ENTITY_TYPE_ID is not defined or invalid")
    number = as_int(given.get("ENTITY_ID"))
    if number is None or number <= 0:
        raise _refused("ENTITY_ID is not defined or invalid")
    anchor = (kind, number)
    if kind == REQUISITE:
        requisite = call.portal["requisites"].get(number)
        if requisite is None:
            raise _refused("Access denied.")
        anchor = (requisite["ENTITY_TYPE_ID"], requisite["ENTITY_ID"])
    item = item_of(call.portal, *anchor)
    if item is None or not crm.can_change(call.user, anchor[0], item):
        raise _refused("Access denied.")
    return type_id, kind, number, *anchor


def _address(call: Call, given: Row) -> Row:
    type_id, kind, number, _, _ = _anchor(call, given)
    row = call.portal["addresses"].first(TYPE_ID=type_id, ENTITY_TYPE_ID=kind, ENTITY_ID=number)
    if row is None:
        raise _refused("TypeAddress not found")
    return row


def _address_event(call: Call, name: str, row: Row) -> None:
    data = {key: row[key] for key in ("TYPE_ID", "ENTITY_TYPE_ID", "ENTITY_ID", "ANCHOR_ID", "ANCHOR_TYPE_ID")}
    call.portal.effect("update", "address", row["ID"], call.user_id, "rest")
    delivery.emit(call.portal, f"ONCRMADDRESS{name}", {"FIELDS": data}, call.actor, entity=f"address {row['ID']}")


def _address_values(call: Call, given: Row) -> Row:
    return {
        name: crm_fields.parse(call.portal, one, given[name])
        for name, one in _ADDRESS.items()
        if name in given and not set(one.flags) & {"i", "r"}
    }


@method("crm.address.fields", scope="crm")
def address_fields(call: Call) -> Row:
    return _described(_ADDRESS)


@method("crm.address.add", scope="crm", params="fields", writes=True)
def address_add(call: Call) -> bool:
    given = _given(call)
    type_id, kind, number, anchor_type, anchor = _anchor(call, given)
    if call.portal["addresses"].first(TYPE_ID=type_id, ENTITY_TYPE_ID=kind, ENTITY_ID=number) is not None:
        raise _refused("TypeAddress exists")
    call.portal["locations"].last += 1
    row = call.portal["addresses"].add(
        {
            **dict.fromkeys(_ADDRESS), "TYPE_ID": type_id, "ENTITY_TYPE_ID": kind, "ENTITY_ID": number,
            "ANCHOR_TYPE_ID": anchor_type, "ANCHOR_ID": anchor, "LOC_ADDR_ID": call.portal["locations"].last,
            **_address_values(call, given),
        }
    )  # fmt: skip
    _address_event(call, "REGISTER", row)
    return True


@method("crm.address.update", scope="crm", params="fields", writes=True)
def address_update(call: Call) -> bool:
    given = _given(call)
    row = _address(call, given)
    values = _address_values(call, given)
    if any(row[name] != value for name, value in values.items()):
        row.update(values)
        _address_event(call, "REGISTER", row)
    return True


@method("crm.address.delete", scope="crm", params="fields", writes=True)
def address_delete(call: Call) -> bool:
    row = _address(call, _given(call))
    call.portal["addresses"].remove(row["ID"])
    _address_event(call, "UNREGISTER", row)
    return True


@method("crm.address.list", scope="crm", params="order filter select start")
def address_list(call: Call) -> Page:
    start = call.integer("start")
    columns = {name: Column(name, one.kind) for name, one in _ADDRESS.items()}
    rows, total, following = select_rows(
        call.portal["addresses"], filter={key.upper(): value for key, value in call.mapping("filter").items()},
        order={key.upper(): value for key, value in call.mapping("order").items()}, columns=columns,
        zone=call.portal.zone(), start=start, unknown=lambda key: None,
    )  # fmt: skip
    names = {plain(name).upper() for name in as_list(call.get("select"))}
    made = [
        {
            name: crm_fields.classic_value(call.portal, one, row[name])
            for name, one in _ADDRESS.items() if not names or "*" in names or name in names
        }
        for row in rows
    ]  # fmt: skip
    return page_of(made, total, following, start)
