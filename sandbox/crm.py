"""CRM items: leads 1, deals 2, contacts 3, companies 4, quotes 7, smart processes from 128 on.

Their fields, saving with history and events, who may what. Records live in portal["1"], portal["2"] ... under the
names of the classic methods (STATUS_ID, ASSIGNED_BY_ID); times are unix seconds, dates the midnight of their day in
UTC, flags Y/N, lists lists, files ids of portal["files"]. Phones and e-mails are under "FM" as {ID, TYPE_ID,
VALUE_TYPE, VALUE}. A smart process is a record of portal["types"].
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox import delivery
from sandbox.filters import Column, day_of, to_day, to_time
from sandbox.method import Actor, RestError, Row, as_int, as_list, as_map, plain, yes
from sandbox.portal import Portal

LEAD, DEAL, CONTACT, COMPANY, QUOTE = 1, 2, 3, 4, 7
FIRST_DYNAMIC = 128
Value = TypeVar("Value")


class ByKind(dict[int, Value]):
    """Facts by entity type: listed ones, and for a smart process (128 and above) one made from its number."""

    def __init__(self, listed: dict[int, Value], dynamic: Callable[[int], Value]) -> None:
        super().__init__(listed)
        self._dynamic = dynamic

    def __missing__(self, kind: int) -> Value:
        if isinstance(kind, int) and kind >= FIRST_DYNAMIC:
            return self._dynamic(kind)
        raise KeyError(kind)

    def __contains__(self, kind: object) -> bool:
        return super().__contains__(kind) or (isinstance(kind, int) and kind >= FIRST_DYNAMIC)


_WORDS = {LEAD: "LEAD", DEAL: "DEAL", CONTACT: "CONTACT", COMPANY: "COMPANY", QUOTE: "QUOTE"}
WORD = ByKind(_WORDS, lambda kind: f"DYNAMIC_{kind}")
RUSSIAN = ByKind(
    {LEAD: "Лид", DEAL: "Сделка", CONTACT: "Контакт", COMPANY: "Компания", QUOTE: "Предложение"}, lambda kind: "Элемент"
)
SHORT = ByKind({LEAD: "L", DEAL: "D", CONTACT: "C", COMPANY: "CO", QUOTE: "Q"}, lambda kind: f"T{kind:x}")
STAGE = ByKind({LEAD: "STATUS_ID", DEAL: "STAGE_ID", QUOTE: "STATUS_ID"}, lambda kind: "STAGE_ID")
SEMANTIC = ByKind(
    {LEAD: "STATUS_SEMANTIC_ID", DEAL: "STAGE_SEMANTIC_ID", QUOTE: "STATUS_SEMANTIC_ID"},
    lambda kind: "STAGE_SEMANTIC_ID",
)
MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
WITH_MULTIFIELDS = (LEAD, CONTACT, COMPANY)
_DOCUMENT = "Bitrix\\Crm\\Integration\\BizProc\\Document\\"
DOCUMENT = ByKind(
    {
        LEAD: ("crm", "CCrmDocumentLead", "LEAD"),
        DEAL: ("crm", "CCrmDocumentDeal", "DEAL"),
        CONTACT: ("crm", "CCrmDocumentContact", "CONTACT"),
        COMPANY: ("crm", "CCrmDocumentCompany", "COMPANY"),
        QUOTE: ("crm", f"{_DOCUMENT}Quote", "QUOTE"),
    },
    lambda kind: ("crm", f"{_DOCUMENT}Dynamic", f"DYNAMIC_{kind}"),
)


def kind_of(name: str) -> int | None:
    """The entity type of a word in any case: lead, deal ... quote, dynamic_128; None for another word."""
    name = name.upper()
    for kind, word in _WORDS.items():
        if word == name:
            return kind
    number = as_int(name.removeprefix("DYNAMIC_")) if name.startswith("DYNAMIC_") else None
    return number if number is not None and number >= FIRST_DYNAMIC else None


def kind_of_short(name: str) -> int | None:
    """The entity type of a short name: L, D, C, CO, Q, T80 (128 in hexadecimal); None for another one."""
    name = name.upper()
    for kind in _WORDS:
        if SHORT[kind] == name:
            return kind
    if re.fullmatch(r"T[0-9A-F]{1,6}", name):
        number = int(name[1:], 16)
        return number if number >= FIRST_DYNAMIC else None
    return None


def exists(portal: Portal, kind: int | None) -> bool:
    """True for the types that this portal has: the system's, and its smart processes."""
    return kind in _WORDS or (kind is not None and kind >= FIRST_DYNAMIC and type_row(portal, kind) is not None)


def type_row(portal: Portal, kind: int) -> Row | None:
    """The record of a smart process by its entityTypeId."""
    return portal["types"].first(ENTITY_TYPE_ID=kind)


def item_of(portal: Portal, kind: int | None, number: int | None) -> Row | None:
    """The record of an item, or None when its type or the item itself is not there."""
    return portal[kind].get(number) if kind is not None and exists(portal, kind) else None


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
_ITEM_ONLY = {"OBSERVER_IDS", "CONTACT_IDS", "COMPANY_IDS", "WEBFORM_ID", "EVENT_DATE", "EVENT_ID", "EVENT_DESCRIPTION"}
_DYNAMIC_BY_NAME = {one.key: one for one in _DYNAMIC}
_STATIC_BY_NAME = ByKind(
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
    static = _STATIC_BY_NAME[kind]
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


def check_type(portal: Portal, kind: int | None) -> int:
    """The entity type, when it is there; NOT_FOUND else, as for an unknown smart process."""
    if kind is None or not exists(portal, kind):
        raise RestError("NOT_FOUND", "Смарт-процесс не найден")
    return kind


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


# --- values ---------------------------------------------------------------------------------------------------------


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
        raise _not_valid(one)
    if one.type == "double":
        try:
            return float(plain(value).replace(",", "."))
        except ValueError:
            raise _not_valid(one) from None
    if one.kind == "int":
        number = as_int(value)
        if number is None:
            raise _not_valid(one)
        if one.type == "user" and number and portal.user(number) is None:
            raise _not_valid(one)
        return number
    if one.kind == "flag":
        return "Y" if yes(value) else "N"
    if one.kind in ("time", "date"):
        moment = (to_time if one.kind == "time" else to_day)(value, portal.zone())
        if moment is None:
            raise _not_valid(one)
        return moment
    return plain(value)


def _reference(one: Field) -> bool:
    return one.kind == "int" and one.default == 0


def _blank(one: Field) -> Any:
    return "" if one.kind == "text" else None


def _not_valid(one: Field) -> RestError:
    return RestError("CRM_FIELD_ERROR_VALUE_NOT_VALID", f'Некорректное значение поля "{one.title or one.key}"')


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


def _with_files(portal: Portal, kind: int, values: Row, row: Row) -> Row:
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


def _files_of(portal: Portal, kind: int, row: Row) -> set[int]:
    fields = fields_of(portal, kind).items()
    return {number for key, one in fields if one.type == "file" for number in as_list(row.get(key))}


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
        if one.name and (name not in _ITEM_ONLY or (name == "CONTACT_IDS" and kind != COMPANY) or name == "COMPANY_IDS")
    }  # fmt: skip


def as_classic(portal: Portal, kind: int, row: Row, only: set[str] | None = None) -> Row:
    """The map of crm.lead.get and its twins; `only` are the selected names, None is everything with multi-fields."""
    made: Row = {}
    for name, one in fields_of(portal, kind).items():
        hidden = not one.name or name in _ITEM_ONLY or (kind == COMPANY and name == "CONTACT_ID")
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
    raise _not_valid(_STATIC_BY_NAME[kind][STAGE[kind]])


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
    values = _with_files(portal, kind, values, row)
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
            raise _not_valid(_STATIC_BY_NAME[kind]["CATEGORY_ID"])
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
    values, files = _with_files(portal, kind, values, row), _files_of(portal, kind, row)
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
    for number in files - _files_of(portal, kind, row):
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
    """Remove an item with its comments and activities; its event comes after."""
    _forget(_index(portal), kind, row)
    portal[kind].remove(row["ID"])
    for number in _files_of(portal, kind, row):
        portal["files"].remove(number)
    from sandbox import automation

    automation.left(portal, kind, row)
    for activity in list(portal["activities"].where(OWNER_TYPE_ID=kind, OWNER_ID=row["ID"])):
        portal["activities"].remove(activity["ID"])
    for comment in list(portal["comments"].where(ENTITY_TYPE=WORD[kind].lower(), ENTITY_ID=row["ID"])):
        portal["comments"].remove(comment["ID"])
    portal.effect("delete", WORD[kind].lower(), row["ID"], actor.user_id, actor.via)
    _emit(portal, kind, "DELETE", row["ID"], actor)


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
