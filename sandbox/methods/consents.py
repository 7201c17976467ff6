"""Agreements and consents of people: userconsent.* (api-reference/user-consent).

Agreements are made in the portal itself, not by REST: this portal has a standard one, whose text takes the values of
`replace`, and custom ones, whose text is what it is.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from sandbox.method import Call, RestError, Row, as_map, method, plain
from sandbox.portal import Portal, Table

_NAMES = ("COMPANY_NAME", "COMPANY_ADDRESS", "PURPOSES", "THIRD_PARTIES", "EMAIL")
_LABEL = "Нажимая кнопку «{BUTTON}», я соглашаюсь на обработку моих персональных данных"
_TEXT = (
    "Согласие на обработку персональных данных\n\nЯ даю согласие оператору: {COMPANY_NAME}, адрес: {COMPANY_ADDRESS}."
    "\n\n1. Цели обработки: {PURPOSES}.\n\n2. Кому могут быть переданы данные: {THIRD_PARTIES}.\n\n"
    "3. Согласие действует до отзыва, который направляется на {EMAIL}."
)
_USUAL = {
    "BUTTON": "Отправить", "COMPANY_NAME": "Кухни «Дубрава»", "COMPANY_ADDRESS": "Москва, Лесная улица, 1",
    "PURPOSES": "ответ на обращение", "THIRD_PARTIES": "никому", "EMAIL": "privacy@dubrava.example",
}  # fmt: skip
_SEED = (
    # id, name, language, active, whether it is standard, label, text
    (1, "Согласие на обработку персональных данных", "ru", "Y", True, _LABEL, _TEXT),
    (3, "Рассылка новостей", "", "Y", False, "Я хочу получать новости", "<p>Новости приходят раз в месяц.</p>"),
    (5, "Правила сайта", None, "N", False, "Я принимаю правила сайта", "<p>Правила сайта компании.</p>"),
)


def agreements(portal: Portal) -> Table:
    """The portal's agreements, made on first use."""
    table = portal["agreements"]
    if not table.last:
        for number, name, language, active, standard, label, text in _SEED:
            table.add(
                {"ID": number, "NAME": name, "LANGUAGE_ID": language, "ACTIVE": active, "STANDARD": standard,
                    "LABEL": label, "TEXT": text}
            )  # fmt: skip
    return table


def _found(call: Call, name: str) -> Row:
    number = call.integer(name)
    if not number:
        raise RestError("ERROR_ARGUMENT", "Parameter `Agreement ID` required.", 400)
    row = agreements(call.portal).get(number)
    if row is None:
        raise RestError("ERROR_ARGUMENT", f"Agreement with id `{number}` not found.", 400)
    return row


@method("userconsent.agreement.list", scope="userconsent")
def agreement_list(call: Call) -> list[Row]:
    return [
        {"ID": str(row["ID"]), "NAME": row["NAME"], "ACTIVE": row["ACTIVE"], "LANGUAGE_ID": row["LANGUAGE_ID"]}
        for row in agreements(call.portal).between(descending=True)
    ]


def _said(value: Any) -> str:
    return "" if isinstance(value, (dict, list)) else plain(value).strip()


@method("userconsent.agreement.text", scope="userconsent", params="id replace")
def agreement_text(call: Call) -> Row:
    row = _found(call, "id")
    label, text = row["LABEL"], row["TEXT"]
    if row["STANDARD"]:
        given = call.mapping("replace")
        fields = as_map(given.get("fields"))
        values = {**_USUAL, **{name: _said(fields[name]) for name in _NAMES if _said(fields.get(name))}}
        values["BUTTON"] = _said(given.get("button_caption")) or values["BUTTON"]
        for name, value in values.items():
            label, text = label.replace("{" + name + "}", value), text.replace("{" + name + "}", value)
    return {"LABEL": label, "TEXT": text}


@method("userconsent.consent.add", scope="userconsent", writes=True,
        params="AGREEMENT_ID IP USER_ID URL ORIGIN_ID ORIGINATOR_ID")  # fmt: skip
def consent_add(call: Call) -> int:
    agreement = _found(call, "AGREEMENT_ID")
    try:
        address = str(ipaddress.ip_address(call.text("IP").strip()))
    except ValueError:
        # The page names the case and prints no text.
        raise RestError("ERROR_ARGUMENT", "Invalid IP address format", 400) from None
    row = call.portal["consents"].add(
        {
            "AGREEMENT_ID": agreement["ID"], "IP": address, "USER_ID": call.integer("USER_ID"), "URL": call.text("URL"),
            "ORIGIN_ID": call.text("ORIGIN_ID"), "ORIGINATOR_ID": call.text("ORIGINATOR_ID"),
            "AT": call.portal.now(),
        }
    )  # fmt: skip
    facts = {name.lower(): row[name] for name in ("IP", "URL", "ORIGIN_ID", "ORIGINATOR_ID")}
    call.portal.effect(
        "create", "consent", row["ID"], call.user_id, "rest", agreement=agreement["ID"], of=row["USER_ID"], **facts
    )
    return int(row["ID"])
