"""Currencies and their localisations: crm.currency.* (api-reference/crm/currency)."""

from __future__ import annotations

from sandbox import delivery
from sandbox.crm_kinds import DEAL, RUSSIAN, SHORT, WORD
from sandbox.filters import Column, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, plain, yes

_LOCAL = {
    "FORMAT_STRING": ("string", "Шаблон вывода"), "FULL_NAME": ("string", "Название"),
    "DEC_POINT": ("string", "Десятичный разделитель"), "THOUSANDS_SEP": ("string", "Разделитель тысяч"),
    "DECIMALS": ("int", "Знаков после запятой"), "THOUSANDS_VARIANT": ("string", "Вариант разделителя тысяч"),
    "HIDE_ZERO": ("char", "Не показывать нули"),
}  # fmt: skip
_FIELDS = {
    "CURRENCY": ("string", "", "Валюта"), "AMOUNT_CNT": ("int", "", "Номинал"), "AMOUNT": ("double", "", "Курс"),
    "BASE": ("char", "r", "Базовая валюта"), "SORT": ("int", "", "Сортировка"),
    "DATE_UPDATE": ("datetime", "r", "Дата изменения"), "LID": ("string", "r", "Сайт"),
    "FORMAT_STRING": ("string", "r", "Шаблон вывода"), "FULL_NAME": ("string", "r", "Название"),
    "DEC_POINT": ("string", "r", "Десятичный разделитель"), "THOUSANDS_SEP": ("string", "r", "Разделитель тысяч"),
    "DECIMALS": ("int", "r", "Знаков после запятой"), "LANG": ("currency_localization", "m", "Языковые настройки"),
}  # fmt: skip
_SEPARATORS = {"N": "", "D": ".", "C": ",", "S": " ", "B": "&nbsp;", "OWN": None}


def _refused(text: str, code: str = "") -> RestError:
    return RestError(code, text, 400)


def _manage(call: Call) -> None:
    if not call.admin:
        raise _refused("Access denied.")


def _found(call: Call, text: str = "Not found") -> Row:
    row = call.portal["currencies"].first(CURRENCY=call.text("id").upper())
    if row is None:
        raise _refused(text)
    return row


def _localization(given: Row, known: Row | None = None) -> Row:
    row: Row = dict(known or {
        "FORMAT_STRING": "#", "FULL_NAME": "", "DEC_POINT": ".", "THOUSANDS_SEP": None, "DECIMALS": "2",
        "THOUSANDS_VARIANT": None, "HIDE_ZERO": "N",
    })  # fmt: skip
    for name in _LOCAL:
        if name in given:
            row[name] = None if given[name] is None else plain(given[name])
    if "HIDE_ZERO" in given:
        row["HIDE_ZERO"] = "Y" if yes(given["HIDE_ZERO"]) else "N"
    if "THOUSANDS_VARIANT" in given and "THOUSANDS_SEP" not in given:
        row["THOUSANDS_SEP"] = _SEPARATORS.get(plain(given["THOUSANDS_VARIANT"]).upper())
    return row


def _shown(call: Call, row: Row) -> Row:
    language = call.portal.settings.language
    local = row["LANG"].get(language) or next(iter(row["LANG"].values()), _localization({}))
    return {
        "CURRENCY": row["CURRENCY"], "AMOUNT_CNT": str(row["AMOUNT_CNT"]), "AMOUNT": f"{row['AMOUNT']:.4f}",
        "SORT": str(row["SORT"]), "BASE": row["BASE"], "FULL_NAME": local["FULL_NAME"], "LID": language,
        "FORMAT_STRING": local["FORMAT_STRING"], "DEC_POINT": local["DEC_POINT"],
        "THOUSANDS_SEP": local["THOUSANDS_SEP"], "DECIMALS": local["DECIMALS"],
        "DATE_UPDATE": call.portal.iso(row["DATE_UPDATE"]),
    }  # fmt: skip


def _fields(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, (dict, list)):
        raise _refused("Parameter 'fields' must be array.")
    return {key.upper(): child for key, child in as_map(value).items()}


def _set(row: Row, fields: Row) -> None:
    for name in ("AMOUNT_CNT", "SORT"):
        number = as_int(fields.get(name))
        if number is not None:
            row[name] = number
    if "AMOUNT" in fields:
        try:
            row["AMOUNT"] = float(plain(fields["AMOUNT"]).replace(",", "."))
        except ValueError:
            raise _refused("Курс указан неверно", "ERROR_CORE") from None
    for language, given in as_map(fields.get("LANG")).items():
        row["LANG"][language] = _localization(as_map(given), row["LANG"].get(language))


def _emit(call: Call, change: str, row: Row) -> None:
    verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete"}[change]
    call.portal.effect(verb, "currency", row["ID"], call.user_id, "rest", code=row["CURRENCY"])
    delivery.emit(
        call.portal, f"ONCRMCURRENCY{change}", {"FIELDS": {"ID": row["CURRENCY"]}}, call.actor,
        entity=f"currency {row['CURRENCY']}",
    )  # fmt: skip


@method("crm.currency.list", scope="crm", params="order")
def currency_list(call: Call) -> Page:
    columns = {name: Column(name) for name in ("CURRENCY", "BASE")}
    columns |= {name: Column(name, "int") for name in ("AMOUNT_CNT", "SORT")} | {"AMOUNT": Column("AMOUNT", "float")}
    order = {key.upper(): value for key, value in call.mapping("order").items()} or {"SORT": "ASC"}
    rows, _, _ = select_rows(
        call.portal["currencies"], filter={}, order=order, columns=columns, zone=call.portal.zone(), limit=10_000
    )
    # The documentation's example prints a total of 0 beside a filled list.
    return Page([_shown(call, row) for row in rows], 0)


@method("crm.currency.get", scope="crm", params="id")
def currency_get(call: Call) -> Row:
    row = _found(call)
    return {**_shown(call, row), "LANG": row["LANG"] or []}


@method("crm.currency.add", scope="crm", params="fields", writes=True)
def currency_add(call: Call) -> str:
    _manage(call)
    fields = _fields(call)
    for name in ("CURRENCY", "AMOUNT_CNT", "AMOUNT"):
        if not plain(fields.get(name)):
            raise _refused(f'Undefined array key "{name}"', "ERROR_CORE")
    code = plain(fields["CURRENCY"]).upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise _refused("Код валюты должен состоять из трёх латинских букв", "ERROR_CORE")
    if call.portal["currencies"].first(CURRENCY=code) is not None:
        raise _refused(f"Валюта {code} уже существует", "ERROR_CORE")
    row: Row = {
        "CURRENCY": code, "AMOUNT_CNT": 1, "AMOUNT": 1.0, "SORT": 100, "BASE": "N", "LANG": {},
        "DATE_UPDATE": call.portal.now(),
    }  # fmt: skip
    _set(row, fields)
    call.portal["currencies"].add(row)
    if yes(fields.get("BASE")):
        _make_base(call, row)
    _emit(call, "ADD", row)
    return code


@method("crm.currency.update", scope="crm", params="id fields", writes=True)
def currency_update(call: Call) -> bool:
    _manage(call)
    row = _found(call)
    _set(row, _fields(call))
    row["DATE_UPDATE"] = call.portal.now()
    _emit(call, "UPDATE", row)
    return True


@method("crm.currency.delete", scope="crm", params="id", writes=True)
def currency_delete(call: Call) -> bool:
    _manage(call)
    if len(call.text("id")) != 3:
        raise _refused("Идентификатор валюты состоит из трёх знаков")
    row = _found(call)
    if row["BASE"] == "Y":
        raise _refused("Cannot delete base currency.")
    call.portal["currencies"].remove(row["ID"])
    _emit(call, "DELETE", row)
    return True


@method("crm.currency.fields", scope="crm")
def currency_fields(call: Call) -> Row:
    return {
        name: {
            "type": kind, "isRequired": False, "isReadOnly": "r" in flags, "isImmutable": False,
            "isMultiple": "m" in flags, "isDynamic": False, "title": title,
        }
        for name, (kind, flags, title) in _FIELDS.items()
    }  # fmt: skip


def _make_base(call: Call, row: Row) -> None:
    for other in call.portal["currencies"]:
        other["BASE"] = "Y" if other is row else "N"


@method("crm.currency.base.get", scope="crm")
def base_get(call: Call) -> str | None:
    row = call.portal["currencies"].first(BASE="Y")
    return str(row["CURRENCY"]) if row is not None else None


@method("crm.currency.base.set", scope="crm", params="id", writes=True)
def base_set(call: Call) -> bool:
    _manage(call)
    _make_base(call, _found(call))
    return True


def _local_owner(call: Call) -> Row:
    if not call.text("id"):
        raise _refused("The parameter id is invalid or not defined.")
    return _found(call)


@method("crm.currency.localizations.get", scope="crm", params="id")
def localizations_get(call: Call) -> Row | list[Row]:
    found: Row = _local_owner(call)["LANG"]
    return found or []


@method("crm.currency.localizations.set", scope="crm", params="id localizations", writes=True)
def localizations_set(call: Call) -> bool:
    _manage(call)
    row = _local_owner(call)
    _set(row, {"LANG": call.get("localizations")})
    _emit(call, "UPDATE", row)
    return True


@method("crm.currency.localizations.delete", scope="crm", params="id lids", writes=True)
def localizations_delete(call: Call) -> bool:
    _manage(call)
    row = _local_owner(call)
    for language in as_list(call.get("lids")):
        row["LANG"].pop(plain(language), None)
    _emit(call, "UPDATE", row)
    return True


@method("crm.currency.localizations.fields", scope="crm")
def localizations_fields(call: Call) -> Row:
    return {
        name: {
            "type": kind, "isRequired": False, "isReadOnly": False, "isImmutable": False, "isMultiple": False,
            "isDynamic": False, "title": title,
        }
        for name, (kind, title) in _LOCAL.items()
    }  # fmt: skip


# --- lists of what the CRM knows --------------------------------------------------------------------------------------

_ENUMS = {
    "activitydirection": ("", "Входящий", "Исходящий"), "activitynotifytype": ("", "мин.", "ч.", "д."),
    "activitypriority": ("", "низкий", "средний", "высокий"),
    "activitystatus": ("", "Ожидается", "Завершено", "Завершено автоматически"),
    "activitytype": ("", "Встреча", "Звонок", "Задача", "E-mail", "Действие", "Пользовательское действие"),
    "contenttype": ("", "Простой текст", "bbCode", "HTML"),
}  # fmt: skip


def _entry(number: int, name: str, code: str | None = None, short: str | None = None) -> Row:
    return {"ID": number, "NAME": name, "SYMBOL_CODE": code, "SYMBOL_CODE_SHORT": short}


def _serve_enum(word: str, names: tuple[str, ...]) -> None:
    @method(f"crm.enum.{word}", scope="crm")
    def listed(call: Call) -> list[Row]:
        return [_entry(number, name) for number, name in enumerate(names)]


for _word, _names in _ENUMS.items():
    _serve_enum(_word, _names)


@method("crm.enum.addresstype", scope="crm")
def address_types(call: Call) -> list[Row]:
    from sandbox.methods.crm_requisites import ADDRESS_TYPES

    return [_entry(number, name) for number, name in ADDRESS_TYPES.items()]


@method("crm.enum.settings.mode", scope="crm")
def modes(call: Call) -> list[Row]:
    return [_entry(1, "Классическая CRM"), _entry(2, "Простая CRM")]


@method("crm.enum.ownertype", scope="crm")
def owner_types(call: Call) -> list[Row]:
    made = [_entry(kind, RUSSIAN[kind], WORD[kind], SHORT[kind]) for kind in WORD]
    made.append(_entry(8, "Реквизиты", "REQUISITE", "RQ"))
    for row in call.portal["types"]:
        kind = row["ENTITY_TYPE_ID"]
        made.append(_entry(kind, row["TITLE"], WORD[kind], SHORT[kind]))
    return made


@method("crm.enum.getorderownertypes", scope="crm")
def order_owner_types(call: Call) -> list[Row]:
    return [{"attribute": "DYN", "code": "DEAL", "id": DEAL, "name": RUSSIAN[DEAL]}]


def _plain_fields(facts: dict[str, tuple[str, bool, str]]) -> Row:
    return {
        name: {
            "type": kind, "isRequired": False, "isReadOnly": fixed, "isImmutable": False, "isMultiple": False,
            "isDynamic": False, "title": title,
        }
        for name, (kind, fixed, title) in facts.items()
    }  # fmt: skip


@method("crm.enum.fields", scope="crm")
def enum_fields(call: Call) -> Row:
    return _plain_fields(
        {
            "ID": ("int", True, "ID"), "NAME": ("string", True, "Название"),
            "SYMBOL_CODE": ("string", True, "Символьный код"),
            "SYMBOL_CODE_SHORT": ("string", True, "Краткий символьный код"),
        }
    )  # fmt: skip


@method("crm.multifield.fields", scope="crm")
def multifield_fields(call: Call) -> Row:
    return _plain_fields(
        {
            "ID": ("int", True, "ID"), "TYPE_ID": ("string", True, "Тип поля"), "VALUE": ("string", False, "Значение"),
            "VALUE_TYPE": ("string", False, "Тип значения"),
        }
    )  # fmt: skip
