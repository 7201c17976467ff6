"""Fields of CRM items: what each kind has, what a caller may send, how crm.item and the older methods print it.

Records live in portal["1"], portal["2"] ... under the names of the classic methods (STATUS_ID, ASSIGNED_BY_ID); times
are unix seconds, dates the midnight of their day in UTC, flags Y/N, lists lists, files ids of portal["files"]. Phones
and e-mails are under "FM" as {ID, TYPE_ID, VALUE_TYPE, VALUE}.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.crm_kinds import (
    COMPANY,
    CONTACT,
    DEAL,
    FIRST_DYNAMIC,
    LEAD,
    QUOTE,
    RUSSIAN,
    WORD,
    ByKind,
    type_row,
)
from sandbox.filters import Column, to_day, to_time
from sandbox.method import RestError, Row, as_int, as_list, as_map, plain, yes
from sandbox.portal import Portal

MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
WITH_MULTIFIELDS = (LEAD, CONTACT, COMPANY)


@dataclass(slots=True, frozen=True)
class Field:
    """One field: `name` of the classic methods ("" when they lack it), `camel` of crm.item ("" when it lacks it).

    flags: r read-only, i cannot be changed after creation, m several values, x disabled (always null), h disabled in
    crm.item only.
    """

    name: str
    camel: str
    type: str
    flags: str = ""
    status: str = ""
    title: str = ""
    default: Any = None
    user: Row = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name under which the record keeps the value."""
        return self.name or self.upper

    @property
    def upper(self) -> str:
        """upperName of crm.item.fields."""
        if self.camel.startswith(("ufCrm", "parentId")):
            return self.name
        return re.sub(r"(?<!^)([A-Z])", r"_\1", self.camel).upper()

    @property
    def kind(self) -> str:
        """The kind of a list's column, of each value when there are several."""
        if self.type in ("double", "money"):
            return "float"
        if self.type in ("datetime", "date"):
            return "time" if self.type == "datetime" else "date"
        if self.type in ("char", "boolean"):
            return "flag"
        return (
            "int"
            if self.type in ("integer", "user") or (self.type.startswith("crm_") and _numeric(self.type))
            else "text"
        )


def _numeric(kind: str) -> bool:
    return kind not in ("crm_status", "crm_currency", "crm_multifield")


def _fields(text: str) -> tuple[Field, ...]:
    """NAME camel type [flags] [STATUS_ENTITY] [=default] | title, one field a line; "-" for a name that is absent."""
    made = []
    for line in text.strip().splitlines():
        left, _, title = line.partition("|")
        words = left.split()
        if not words:
            continue
        default: Any = None
        flags = status = ""
        for word in words[3:]:
            if word.startswith("="):
                default = {"=0": 0, "=''": "", "=[]": []}.get(word, word[1:])
            elif word.isupper():
                status = word
            else:
                flags = word
        name, camel = (("" if word == "-" else word) for word in words[:2])
        made.append(Field(name, camel, words[2], flags, status, title.strip(), default))
    return tuple(made)


_HEAD = """
ID id integer r | ID
DATE_CREATE createdTime datetime r | Создан
DATE_MODIFY updatedTime datetime r | Изменён
CREATED_BY_ID createdBy user r | Кем создан
MODIFY_BY_ID updatedBy user r | Кем изменён
ASSIGNED_BY_ID assignedById user | Ответственный
OPENED opened char =Y | Доступен для всех
"""
_TAIL = """
LAST_ACTIVITY_BY lastActivityBy user r | Кто совершил последнюю активность
LAST_ACTIVITY_TIME lastActivityTime datetime r | Последняя активность
UTM_SOURCE utmSource string | Рекламная система
UTM_MEDIUM utmMedium string | Тип трафика
UTM_CAMPAIGN utmCampaign string | Обозначение рекламной кампании
UTM_CONTENT utmContent string | Содержание кампании
UTM_TERM utmTerm string | Условие поиска кампании
"""
_SHORTS = """
- dateCreateShort datetime x | Создан (кратко)
- dateModifyShort datetime x | Изменён (кратко)
"""
_ADDRESS = """
ADDRESS address string h | Адрес
ADDRESS_2 - string | Адрес (стр. 2)
ADDRESS_CITY - string | Город
ADDRESS_POSTAL_CODE - string | Почтовый индекс
ADDRESS_REGION - string | Район
ADDRESS_PROVINCE - string | Область
ADDRESS_COUNTRY - string | Страна
ADDRESS_COUNTRY_CODE - string | Код страны
ADDRESS_LOC_ADDR_ID - integer | Идентификатор адреса местоположения
"""
_HAS = """
HAS_PHONE hasPhone char r =N | Задан телефон
HAS_EMAIL hasEmail char r =N | Задан e-mail
HAS_IMOL hasImol char r =N | Задана открытая линия
- searchContent text r | Поисковый текст
"""
_SOURCE = """
SOURCE_ID sourceId crm_status SOURCE | Источник
SOURCE_DESCRIPTION sourceDescription text | Дополнительно об источнике
"""
_ORIGIN = """
COMMENTS comments text | Комментарий
WEBFORM_ID webformId integer =0 | Создан CRM-формой
ORIGINATOR_ID originatorId string | Внешний источник
ORIGIN_ID originId string | Идентификатор элемента во внешнем источнике
"""
_PERSON = """
HONORIFIC honorific crm_status HONORIFIC | Обращение
NAME name string | Имя
SECOND_NAME secondName string | Отчество
LAST_NAME lastName string | Фамилия
- shortName string x | Имя (кратко)
BIRTHDATE birthdate date | Дата рождения
POST post string | Должность
"""
_MONEY = """
OPPORTUNITY opportunity double =0 | Сумма
IS_MANUAL_OPPORTUNITY isManualOpportunity char =N | Режим подсчёта суммы
CURRENCY_ID currencyId crm_currency =RUB | Валюта
"""
_MOVED = """
MOVED_BY_ID movedBy user r | Кем изменена стадия
MOVED_TIME movedTime datetime r | Когда изменена стадия
"""
_OBSERVERS = "OBSERVER_IDS observers user m =[] | Наблюдатели\n"
_FLAT = ["phoneMobile", "phoneWork", "phoneMailing", "emailHome", "emailWork", "emailMailing", "imol", "email", "phone"]
_LISTED: dict[int, tuple[Field, ...]] = {
    LEAD: _fields(
        _HEAD + _SHORTS + "TITLE title string | Название лида\n" + _PERSON
        + "COMPANY_TITLE companyTitle string | Компания\n"
        + _SOURCE + "STATUS_ID stageId crm_status STATUS | Стадия\n- isConvert boolean x | Сконвертирован\n"
        "STATUS_DESCRIPTION statusDescription text | Дополнительно о стадии\n"
        "STATUS_SEMANTIC_ID stageSemanticId string r | Группа стадии\n- productId string x | Товар\n"
        + _ADDRESS + _MONEY
        + _ORIGIN + "DATE_CLOSED dateClosed datetime r | Закрыт\n" + _HAS + "- login string x | Логин\n"
        "IS_RETURN_CUSTOMER isReturnCustomer char r =N | Повторный лид\n" + _MOVED
        + "COMPANY_ID companyId crm_company =0 | Компания\nCONTACT_ID contactId crm_contact =0 | Контакт\n"
        "CONTACT_IDS contactIds crm_contact m =[] | Контакты\n" + _OBSERVERS + _TAIL
    ),
    DEAL: _fields(
        _HEAD + _SHORTS + "LEAD_ID leadId crm_lead i | Лид\nTITLE title string | Название\n"
        "- productId string x | Товар\n"
        "TYPE_ID typeId crm_status DEAL_TYPE =SALE | Тип\nCATEGORY_ID categoryId crm_category i =0 | Воронка\n"
        "STAGE_ID stageId crm_status DEAL_STAGE | Стадия\nSTAGE_SEMANTIC_ID stageSemanticId string r | Группа стадии\n"
        "IS_NEW isNew char r =Y | Новая сделка\nIS_RECURRING isRecurring char =N | Регулярная сделка\n"
        "IS_RETURN_CUSTOMER isReturnCustomer char r =N | Повторная сделка\n"
        "IS_REPEATED_APPROACH isRepeatedApproach char r =N | Повторное обращение\n"
        "PROBABILITY probability integer | Вероятность\n" + _MONEY + "TAX_VALUE taxValue double =0 | Ставка налога\n"
        "COMPANY_ID companyId crm_company =0 | Компания\nCONTACT_ID contactId crm_contact =0 | Контакт\n"
        "CONTACT_IDS contactIds crm_contact m =[] | Контакты\nQUOTE_ID quoteId crm_quote r | Предложение\n"
        "BEGINDATE begindate date | Дата начала\n- begindateShort datetime x | Начало (кратко)\n"
        "CLOSEDATE closedate date | Дата завершения\n- closedateShort datetime x | Завершение (кратко)\n"
        "CLOSED closed char r =N | Сделка закрыта\nEVENT_DATE eventDate datetime | Дата события\n"
        "- eventDateShort datetime x | Дата события (кратко)\nEVENT_ID eventId crm_status EVENT_TYPE | Тип события\n"
        "EVENT_DESCRIPTION eventDescription text | Описание события\nLOCATION_ID locationId location | Местоположение\n"
        + _SOURCE + _ORIGIN + "ADDITIONAL_INFO additionalInfo string | Дополнительная информация\n"
        "- searchContent text r | Поисковый текст\n- orderStage string x | Стадия оплаты\n" + _MOVED
        + "- isWork boolean x | В работе\n- isWon boolean x | Выиграна\n- isLose boolean x | Проиграна\n"
        "- receivedAmount string x | Получено\n- lostAmount string x | Потеряно\n"
        "- hasProducts boolean x | Есть товары\n"
        + _OBSERVERS + _TAIL
    ),
    CONTACT: _fields(
        _HEAD + _PERSON + "PHOTO photo file | Фотография\n"
        "TYPE_ID typeId crm_status CONTACT_TYPE =CLIENT | Тип контакта\n"
        + _SOURCE + _ADDRESS + "EXPORT export char =Y | Участвует в экспорте\n" + _HAS
        + "COMPANY_ID companyId crm_company =0 | Компания\nCOMPANY_IDS companyIds crm_company m =[] | Компании\n"
        "LEAD_ID leadId crm_lead i | Лид\nCATEGORY_ID categoryId crm_category i =0 | Направление\n" + _ORIGIN
        + "ORIGIN_VERSION originVersion string | Версия оригинала\nFACE_ID faceId integer r | Лицо\n"
        "- login string x | Логин\n" + _OBSERVERS + _TAIL
    ),
    COMPANY: _fields(
        _HEAD + "TITLE title string | Название компании\n"
        "COMPANY_TYPE typeId crm_status COMPANY_TYPE =CUSTOMER | Тип компании\n"
        "LOGO logo file | Логотип\n" + _ADDRESS + "ADDRESS_LEGAL addressLegal string | Юридический адрес\n"
        "REG_ADDRESS - string | Юридический адрес\nREG_ADDRESS_2 - string | Юридический адрес (стр. 2)\n"
        "REG_ADDRESS_CITY - string | Город\nREG_ADDRESS_POSTAL_CODE - string | Индекс\n"
        "REG_ADDRESS_REGION - string | Район\nREG_ADDRESS_PROVINCE - string | Область\n"
        "REG_ADDRESS_COUNTRY - string | Страна\nREG_ADDRESS_COUNTRY_CODE - string | Код страны\n"
        "REG_ADDRESS_LOC_ADDR_ID - integer | Идентификатор адреса\nBANKING_DETAILS bankingDetails string | Реквизиты\n"
        "INDUSTRY industry crm_status INDUSTRY =OTHER | Сфера деятельности\n"
        "EMPLOYEES employees crm_status EMPLOYEES =EMPLOYEES_1 | "
        "Сотрудники\nREVENUE revenue double =0 | Годовой оборот\n"
        "CURRENCY_ID currencyId crm_currency =RUB | Валюта\n" + _HAS
        + "IS_MY_COMPANY isMyCompany char =N | Моя компания\nLEAD_ID leadId crm_lead i | Лид\n"
        "CATEGORY_ID categoryId crm_category i =0 | Направление\nCONTACT_ID contactIds crm_contact m =[] | Контакты\n"
        + _ORIGIN + "ORIGIN_VERSION originVersion string | Версия оригинала\n"
        "LAST_COMMUNICATION_TIME - string r | Последняя коммуникация\n" + _OBSERVERS + _TAIL
    ),
    QUOTE: _fields(
        _HEAD + _SHORTS + "QUOTE_NUMBER quoteNumber string r | Номер\nTITLE title string | Тема\n"
        "STATUS_ID stageId crm_status QUOTE_STATUS | Стадия\n" + _MONEY
        + "TAX_VALUE taxValue double =0 | Ставка налога\nCOMPANY_ID companyId crm_company =0 | Компания\n"
        "MYCOMPANY_ID mycompanyId crm_company =0 | Реквизиты вашей компании\n"
        "CONTACT_ID contactId crm_contact =0 | Контакт\n"
        "CONTACT_IDS contactIds crm_contact m =[] | Контакты\nBEGINDATE begindate date | Дата выставления\n"
        "- begindateShort datetime x | Дата выставления (кратко)\nCLOSEDATE closedate date | Дата завершения\n"
        "- closedateShort datetime x | Дата завершения (кратко)\nACTUAL_DATE actualDate date | Актуально до\n"
        "CLOSED closed char =N | Закрыто\nCOMMENTS comments text | Комментарий\n"
        "- commentsType integer =0 | Тип комментария\nCONTENT content text | Содержание\n"
        "- contentType integer =0 | Тип содержания\nTERMS terms text | Условия\n- termsType integer =0 | Тип условий\n"
        "- storageTypeId integer =0 | Тип хранения\n- storageElementIds integer m =[] | Файлы\n"
        "CLIENT_TITLE clientTitle string | Клиент\nCLIENT_ADDR clientAddr string | Адрес\n"
        "CLIENT_CONTACT clientContact string | Контактное лицо\nCLIENT_EMAIL clientEmail string | E-mail\n"
        "CLIENT_PHONE clientPhone string | Телефон\nCLIENT_TP_ID clientTpId string | ИНН\n"
        "CLIENT_TPA_ID clientTpaId string | КПП\nLEAD_ID leadId crm_lead | Лид\nDEAL_ID dealId crm_deal | Сделка\n"
        "PERSON_TYPE_ID personTypeId integer =0 | Тип плательщика\nLOCATION_ID locationId location | Местоположение\n"
        "WEBFORM_ID webformId integer =0 | Создано CRM-формой\n- searchContent text r | Поисковый текст\n"
        "- hasProducts boolean x | Есть товары\nLAST_COMMUNICATION_TIME - string r | Последняя коммуникация\n" + _TAIL
    ),
}  # fmt: skip
_DYNAMIC = _fields(
    _HEAD + "XML_ID xmlId string | Внешний код\nTITLE title string | Название\n" + _MOVED
    + "CATEGORY_ID categoryId crm_category | Воронка\nSTAGE_ID stageId crm_status DYNAMIC_STAGE | Стадия\n"
    "PREVIOUS_STAGE_ID previousStageId crm_status r DYNAMIC_STAGE | Предыдущая стадия\n"
    "BEGINDATE begindate date | Дата начала\nCLOSEDATE closedate date | Дата завершения\n"
    "COMPANY_ID companyId crm_company =0 | Компания\nCONTACT_ID contactId crm_contact =0 | Контакт\n"
    "CONTACT_IDS contactIds crm_contact m =[] | Контакты\n" + _MONEY + "TAX_VALUE taxValue double =0 | Сумма налога\n"
    "- opportunityAccount double x | Сумма в валюте отчёта\n- taxValueAccount double x | Сумма налога в валюте отчёта\n"
    "- accountCurrencyId crm_currency x | Валюта отчёта\n"
    "MYCOMPANY_ID mycompanyId crm_company =0 | Реквизиты вашей компании\n" + _SOURCE + _OBSERVERS
    + "WEBFORM_ID webformId integer =0 | Создан CRM-формой\n" + _TAIL
)  # fmt: skip
# The switch of a smart process without which it does not have these fields.
_SWITCHES = {
    "IS_STAGES_ENABLED": ("MOVED_BY_ID", "MOVED_TIME", "STAGE_ID", "PREVIOUS_STAGE_ID"),
    "IS_BEGIN_CLOSE_DATES_ENABLED": ("BEGINDATE", "CLOSEDATE"),
    "IS_CLIENT_ENABLED": ("COMPANY_ID", "CONTACT_ID", "CONTACT_IDS"),
    "IS_LINK_WITH_PRODUCTS_ENABLED": (
        "OPPORTUNITY", "IS_MANUAL_OPPORTUNITY", "TAX_VALUE", "CURRENCY_ID", "OPPORTUNITY_ACCOUNT", "TAX_VALUE_ACCOUNT",
        "ACCOUNT_CURRENCY_ID",
    ),
    "IS_MYCOMPANY_ENABLED": ("MYCOMPANY_ID",),
    "IS_SOURCE_ENABLED": ("SOURCE_ID", "SOURCE_DESCRIPTION"),
    "IS_OBSERVERS_ENABLED": ("OBSERVER_IDS",),
}  # fmt: skip
FIELDS = ByKind(_LISTED, lambda kind: _DYNAMIC)
# Fields that crm.item has and the classic get/list do not.
ITEM_ONLY = {"OBSERVER_IDS", "CONTACT_IDS", "COMPANY_IDS", "WEBFORM_ID", "EVENT_DATE", "EVENT_ID", "EVENT_DESCRIPTION"}
_DYNAMIC_BY_NAME = {one.key: one for one in _DYNAMIC}
STATIC_BY_NAME = ByKind(
    {kind: {one.key: one for one in fields} for kind, fields in _LISTED.items()}, lambda kind: _DYNAMIC_BY_NAME
)
USER_TYPES = {
    "string": "string", "url": "string", "address": "string", "money": "string", "integer": "integer",
    "double": "double", "boolean": "char", "date": "date", "datetime": "datetime", "enumeration": "integer",
    "employee": "integer", "crm": "string", "crm_status": "string", "file": "file",
    "iblock_element": "integer", "iblock_section": "integer",
}  # fmt: skip


def camel_of(name: str) -> str:
    """crm.item's name of a custom field: UF_CRM_1700 -> ufCrm_1700, UF_CRM_HOME_BASE -> ufCrmHomeBase."""
    parts = name.removeprefix("UF_CRM_").split("_")
    head = "ufCrm"
    if len(parts) > 1 and parts[0].isdigit():
        head += parts.pop(0)
    return head + "".join(f"_{part}" if part[:1].isdigit() else part.capitalize() for part in parts)


def fields_from(text: str) -> dict[str, Field]:
    """Fields by name out of lines "NAME camel type [flags] [STATUS_ENTITY] [=default] | title"; flag q: required."""
    return {one.key: one for one in _fields(text)}


def user_field(row: Row) -> Field:
    """The field that a record of portal["userfields"] describes."""
    name = row["FIELD_NAME"]
    return Field(
        name, camel_of(name), USER_TYPES.get(row["USER_TYPE_ID"], "string"), "m" if row["MULTIPLE"] == "Y" else "",
        title=name, user=row, default=[] if row["MULTIPLE"] == "Y" else None,
    )  # fmt: skip


def userfield_entity(portal: Portal, kind: int) -> str:
    """ENTITY_ID of the type's custom fields: CRM_LEAD ..., CRM_<id of the smart process>."""
    if kind >= FIRST_DYNAMIC:
        return f"CRM_{(type_row(portal, kind) or {'ID': kind})['ID']}"
    return f"CRM_{WORD[kind]}"


def fields_of(portal: Portal, kind: int) -> dict[str, Field]:
    """Every field of the type by the name under which records keep it, custom ones included."""
    static = STATIC_BY_NAME[kind]
    if kind >= FIRST_DYNAMIC:
        row = type_row(portal, kind) or {}
        off = {name for switch, names in _SWITCHES.items() if row.get(switch) != "Y" for name in names}
        static = {name: one for name, one in static.items() if name not in off}
    parents = {
        number: row["TITLE"]
        for row in portal["types"]
        for number in [row["ENTITY_TYPE_ID"]]
        if any(one["entityTypeId"] == kind for one in row["RELATIONS"]["child"])
    }
    if kind >= FIRST_DYNAMIC:
        own = (type_row(portal, kind) or {"RELATIONS": {"parent": []}})["RELATIONS"]["parent"]
        parents |= {one["entityTypeId"]: RUSSIAN[one["entityTypeId"]] for one in own if one["entityTypeId"] in WORD}
    if parents:
        static = static | {
            f"PARENT_ID_{number}": Field(f"PARENT_ID_{number}", f"parentId{number}", "crm_entity", title=title)
            for number, title in parents.items()
        }
    entity = userfield_entity(portal, kind)
    custom = [row for row in portal["userfields"] if row["ENTITY_ID"] == entity]
    if not custom:
        return static
    made = dict(static)
    made |= {row["FIELD_NAME"]: user_field(row) for row in custom}
    return made


# --- what callers send ------------------------------------------------------------------------------------------------


def parse(portal: Portal, one: Field, value: Any, names: str = "item") -> Any:
    """The inner value of what a caller gave. RestError CRM_FIELD_ERROR_VALUE_NOT_VALID when it is none of the type.

    Files differ by `names` ("item" or "classic"); an uploaded one is {NAME, CONTENT} until `create` or `update`.
    """
    if "m" in one.flags:
        if isinstance(value, (dict, list)):
            alone = isinstance(value, dict) and one.type == "file" and not {"fileData", "id"}.isdisjoint(value)
            listed = [value] if alone else as_list(value)
        elif value in (None, "", False):
            listed = []
        else:
            raise RestError(
                "100", f"Expected iterable value for multiple field, but got '{type(value).__name__}' instead"
            )
        single = Field(one.name, one.camel, one.type, "", one.status, one.title)
        return [
            parsed for parsed in (parse(portal, single, each, names) for each in listed) if parsed not in (None, "", 0)
        ]
    if one.type == "file":
        return _sent_file(value, names)
    if value is None or value == "":
        return (
            one.default if one.type in ("double", "char") or _reference(one) else None if value is None else _blank(one)
        )
    if isinstance(value, (dict, list)):
        raise not_valid(one)
    if one.type == "double":
        try:
            return float(plain(value).replace(",", "."))
        except ValueError:
            raise not_valid(one) from None
    if one.kind == "int":
        number = as_int(value)
        if number is None:
            raise not_valid(one)
        if one.type == "user" and number and portal.user(number) is None:
            raise not_valid(one)
        return number
    if one.kind == "flag":
        return "Y" if yes(value) else "N"
    if one.kind in ("time", "date"):
        moment = (to_time if one.kind == "time" else to_day)(value, portal.zone())
        if moment is None:
            raise not_valid(one)
        return moment
    return plain(value)


def _reference(one: Field) -> bool:
    return one.kind == "int" and one.default == 0


def _blank(one: Field) -> Any:
    return "" if one.kind == "text" else None


def not_valid(one: Field) -> RestError:
    """The refusal of a value that a field cannot hold."""
    return RestError("CRM_FIELD_ERROR_VALUE_NOT_VALID", f'Некорректное значение поля "{one.title or one.key}"')


def _sent_file(given: Any, names: str) -> Row | int | None:
    """An uploaded file as {NAME, CONTENT}, the id of a file to keep, or None for every other value.

    crm.item takes [name, base64], the older methods {fileData: [name, base64]} (files/how-to-upload-files.md). "An
    incorrect request format does not raise a method error" (files/how-to-update-files.md).
    """
    if isinstance(given, dict) and "id" in given:
        return as_int(given["id"])
    pair = as_list(as_map(given).get("fileData") if names == "classic" else given)
    if len(pair) != 2 or not all(isinstance(each, str) and each for each in pair):
        return None
    try:
        base64.b64decode(pair[1])
    except ValueError:
        return None
    return {"NAME": pair[0], "CONTENT": pair[1]}


def with_files(portal: Portal, kind: int, values: Row, row: Row) -> Row:
    """`values` with the ids of files: uploaded ones are stored, others stay when they are the item's own already."""
    made = dict(values)
    for key, one in fields_of(portal, kind).items():
        if one.type == "file" and key in values:
            own, given = as_list(row.get(key)), values[key] if "m" in one.flags else [values[key]]
            ids = [
                portal["files"].add({**each, "KEY": portal.secret(24)})["ID"] if isinstance(each, dict) else each
                for each in given if isinstance(each, dict) or each in own
            ]  # fmt: skip
            made[key] = ids if "m" in one.flags else ids[0] if ids else None
    return made


def files_of(portal: Portal, kind: int, row: Row) -> set[int]:
    """Ids of the files in an item's fields."""
    fields = fields_of(portal, kind).items()
    return {number for key, one in fields if one.type == "file" for number in as_list(row.get(key))}


def read_fields(portal: Portal, kind: int, given: Row, *, names: str, new: bool) -> tuple[Row, list[Row]]:
    """(inner values, multi-fields) of what a caller sent; unknown and read-only names are ignored without a word."""
    values: Row = {}
    for one in fields_of(portal, kind).values():
        if "r" in one.flags or "x" in one.flags or ("i" in one.flags and not new and one.key != "CATEGORY_ID"):
            continue
        if names == "item" and one.flags == "h":
            continue
        keys = (one.camel, one.upper, one.name) if names == "item" else (one.name,)
        for key in keys:
            if key and key in given:
                values[one.key] = parse(portal, one, given[key], names)
                break
    if names == "item":
        return values, multifields_item(given.get("fm")) if "fm" in given else []
    return values, multifields_classic(as_map(given))


def multifields_classic(fields: Row) -> list[Row]:
    """What PHONE, EMAIL ... of the classic methods ask for."""
    return [
        {**one, "TYPE_ID": type_id}
        for type_id in MULTIFIELDS
        for one in as_list(fields.get(type_id))
        if isinstance(one, dict)
    ]


def multifields_item(value: Any) -> list[Row]:
    """What `fm` of crm.item asks for: a list adds, keys of a map are ids ("n0" is new); no typeId is no effect."""
    pairs = (
        value.items() if isinstance(value, dict) else ((f"n{index}", one) for index, one in enumerate(as_list(value)))
    )
    given = []
    for key, one in pairs:
        if not isinstance(one, dict) or not one.get("typeId"):
            continue
        change: Row = {"TYPE_ID": plain(one["typeId"]).upper()}
        if as_int(key) is not None and isinstance(value, dict):
            change["ID"] = as_int(key)
        if one.get("id") is not None:
            change["ID"] = as_int(one["id"])
        if "value" in one:
            change["VALUE"] = one["value"]
        if one.get("valueType"):
            change["VALUE_TYPE"] = one["valueType"]
        given.append(change)
    return given


# --- what they are shown ----------------------------------------------------------------------------------------------


def item_value(portal: Portal, one: Field, value: Any) -> Any:
    """The value as crm.item prints it: numbers as numbers, flags Y/N, times ISO 8601."""
    if isinstance(value, list):
        return [item_value(portal, one, each) for each in value]
    if one.kind in ("time", "date"):
        return portal.iso(value)
    if one.type == "double" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def classic_value(portal: Portal, one: Field, value: Any) -> Any:
    """The value as crm.lead.* prints it: everything a string or null."""
    if isinstance(value, list):
        return [classic_value(portal, one, each) for each in value]
    if one.kind in ("time", "date"):
        return portal.iso(value) or ""
    if value is None or isinstance(value, (str, dict)):
        return value
    if one.type == "double":
        return f"{value:.2f}"
    return plain(value)


def _shown_file(portal: Portal, kind: int, row: Row, one: Field, number: int, *, item: bool) -> Row:
    """A file as crm.item shows it (universal/object-fields.md) or the older methods (how-to-add-lead-with-files.md).

    `urlMachine` and `downloadUrl` carry the file's own key, where a real portal's carry the token of whoever asked.
    """
    key = portal["files"].rows[number]["KEY"]
    if item:
        place = f"SITE_ID=s1&entityTypeId={kind}&id={row['ID']}&fieldName={one.key}&fileId={number}"
        return {
            "id": number,
            "url": f"{portal.url}/bitrix/services/main/ajax.php?action=crm.controller.item.getFile&{place}",
            "urlMachine": f"{portal.url}/rest/crm.controller.item.getFile.json?token=crm%7C{number}%7C{key}",
        }
    address = f"/bitrix/components/bitrix/crm.{WORD[kind].lower()}.show/show_file.php"
    place = f"ownerId={row['ID']}&fieldName={one.key}&dynamic={'Y' if one.user else 'N'}&fileId={number}"
    return {"id": number, "showUrl": f"{address}?{place}", "downloadUrl": f"{address}?auth={key}&{place}"}


def _shown(portal: Portal, kind: int, row: Row, one: Field, *, item: bool) -> Any:
    value = row.get(one.key, one.default)
    if one.type != "file":
        return (item_value if item else classic_value)(portal, one, value)
    files = [_shown_file(portal, kind, row, one, number, item=item) for number in as_list(value)]
    return files if "m" in one.flags else files[0] if files else None


def flat(row: Row, alias: str) -> str:
    """phoneWork, email ...: the first value of that kind."""
    kind = "PHONE" if alias.startswith("phone") else "EMAIL" if alias.startswith("email") else "IM"
    wanted = alias[5:].upper() if kind != "IM" else ""
    found = [one for one in row["FM"] if one["TYPE_ID"] == kind and (not wanted or one["VALUE_TYPE"] == wanted)]
    return found[0]["VALUE"] if found else ""


def as_item(portal: Portal, kind: int, row: Row, *, original: bool = False, only: set[str] | None = None) -> Row:
    """The item of crm.item.*; `original` keeps UF_CRM_ names, `only` are the camel names that were selected."""
    made: Row = {}
    for one in fields_of(portal, kind).values():
        if not one.camel:
            continue
        name = one.name if original and one.user else one.camel
        if only is None or one.camel in only or name in only:
            made[name] = None if one.flags in ("x", "h") else _shown(portal, kind, row, one, item=True)
    if only is None or "searchContent" in only:
        words = [str(row["ID"]), *(plain(row.get(name)) for name in ("TITLE", "NAME", "LAST_NAME"))]
        made["searchContent"] = " ".join(word for word in [*words, *(one["VALUE"] for one in row["FM"])] if word)
    if kind in WITH_MULTIFIELDS:
        for alias in _FLAT:
            if only is None or alias in only:
                made[alias] = flat(row, alias)
        if kind == LEAD and only is None:
            made |= {"skype": None, "icq": None}
        if only is None or "fm" in only:
            made["fm"] = [
                {"id": one["ID"], "valueType": one["VALUE_TYPE"], "value": one["VALUE"], "typeId": one["TYPE_ID"]}
                for one in row["FM"]
            ]
    if only is None or "entityTypeId" in only:
        made["entityTypeId"] = kind
    return made


def classic_fields(portal: Portal, kind: int) -> dict[str, Field]:
    """The fields of crm.lead.fields and its twins, multi-fields aside."""
    return {
        name: one for name, one in fields_of(portal, kind).items()
        if one.name and (name not in ITEM_ONLY or (name == "CONTACT_IDS" and kind != COMPANY) or name == "COMPANY_IDS")
    }  # fmt: skip


def as_classic(portal: Portal, kind: int, row: Row, only: set[str] | None = None) -> Row:
    """The map of crm.lead.get and its twins; `only` are the selected names, None is everything with multi-fields."""
    made: Row = {}
    for name, one in fields_of(portal, kind).items():
        hidden = not one.name or name in ITEM_ONLY or (kind == COMPANY and name == "CONTACT_ID")
        if hidden and (only is None or name not in only):
            continue
        if only is None and one.type == "file" and one.user and row.get(name, one.default) is None:
            continue  # "the single field does not appear in the response at all" (how-to-add-lead-with-files.md)
        if only is None or name in only:
            made[name] = _shown(portal, kind, row, one, item=False)
    for type_id in MULTIFIELDS:
        values = [
            {"ID": str(one["ID"]), "VALUE_TYPE": one["VALUE_TYPE"], "VALUE": one["VALUE"], "TYPE_ID": type_id}
            for one in row["FM"] if one["TYPE_ID"] == type_id
        ]  # fmt: skip
        if values and (only is None or type_id in only):
            made[type_id] = values
    return made


def columns(portal: Portal, kind: int, names: str) -> dict[str, Column]:
    """The columns of a list under the names of "item" (camel and upper) or "classic"."""
    made: dict[str, Column] = {}
    for key, one in fields_of(portal, kind).items():
        if "x" in one.flags or key in ("SEARCH_CONTENT",):
            continue
        column = Column(key, one.kind)
        if names == "classic":
            if one.name:
                made[key] = column
        elif one.camel:
            made[one.camel] = made[one.upper] = column
            if one.user:
                made[one.name] = column
    for type_id in MULTIFIELDS:
        read = _values_of(type_id)
        if names == "classic":
            made[type_id] = Column(type_id, "text", read)
    return made


def _values_of(type_id: str) -> Any:
    return lambda row: [one["VALUE"] for one in row["FM"] if one["TYPE_ID"] == type_id]
