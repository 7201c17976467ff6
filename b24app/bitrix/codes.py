"""Bitrix24's error codes, one table: what each means to us, and its words for a person.

Codes are compared in capitals: the portal writes expired_token and ACCESS_DENIED alike. A code may also be empty, a
number or a sentence; then the HTTP status and the text decide. The status never overrules a known code:
INVALID_CREDENTIALS and insufficient_scope come with 401 or 403, PORTAL_DELETED with 410 or 500, by the page one reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from b24app.errors import (
    AccessDenied,
    B24AppError,
    NotFound,
    OutcomeUnknown,
    Permanent,
    PortalClosed,
    Temporary,
)

Kind = Literal["refresh", "temporary", "unknown", "not_found", "access_denied", "closed", "permanent"]
"""refresh: a new access token is needed; unknown: it may have been carried out; closed: an administrator must act."""

SYSTEM = "_includes/system-errors.md"
OAUTH = "settings/oauth/error-codes.md"
LIMITS = "limits.md"
V3 = "api-reference/rest-v3.md"
V3_PREFIX = "BITRIX_REST_V3_EXCEPTION_"

RETRY_DELAY = timedelta(seconds=15)
DESCRIPTION_LENGTH = 300


@dataclass(frozen=True)
class Code:
    """What an error code means: its kind, the words for a person, the documentation page it stands on."""

    kind: Kind
    ru: str
    en: str
    page: str = SYSTEM


_TOKEN = Code(
    "closed",
    "портал не принимает ключ приложения: администратору нужно открыть приложение",
    "the portal does not accept the application's token: an administrator has to open the application",
)
_USER = Code(
    "closed",
    "сотрудник, от чьего имени работает приложение, больше не может им пользоваться",
    "the person on whose behalf the application works may not use it any more",
)
_PAYMENT = Code("closed", "подписка или пробный период закончились", "the subscription or trial has ended", OAUTH)
_SCOPE = Code(
    "permanent",
    "приложению не выдано это право: добавьте его в карточке приложения",
    "the application lacks this scope: add it in the application's card",
)
_PORTAL = Code("closed", "портал закрыт или удалён", "the portal is closed or deleted")
_INNER = Code("unknown", "внутренняя ошибка портала", "an internal error of the portal")
_METHOD = Code(
    "permanent",
    "на портале нет этого метода (нет модуля или права)",
    "the portal has no such method (module or scope is absent)",
)
_MISSING = Code("not_found", "объект не найден", "the object is not found", "error-codes.md")
_DENIED = Code("access_denied", "нет доступа", "access denied")
_REQUEST = Code("permanent", "запрос составлен неверно", "the request is wrong")
_CONFIRM = Code(
    "permanent",
    "администратор портала должен подтвердить доступ к методу",
    "an administrator of the portal has to confirm access to the method",
    "api-reference/scopes/confirmation.md",
)
_CLIENT = Code(
    "closed",
    "client_id или client_secret не подходят, или приложение не установлено на этом портале",
    "client_id or client_secret do not fit, or the application is not installed on this portal",
    OAUTH,
)

CODES: dict[str, Code] = {
    "EXPIRED_TOKEN": Code("refresh", "срок ключа истёк", "the access token has expired"),
    "QUERY_LIMIT_EXCEEDED": Code("temporary", "слишком много запросов к порталу", "too many requests", LIMITS),
    "OPERATION_TIME_LIMIT": Code("temporary", "метод исчерпал своё время", "the method has used up its time", LIMITS),
    "OVERLOAD_LIMIT": Code(
        "closed",
        "REST портала заблокирован из-за нагрузки: снимает только поддержка Bitrix24",
        "the portal's REST is blocked because of load: only Bitrix24's support lifts it",
    ),
    "INTERNAL_SERVER_ERROR": _INNER,
    "ERROR_UNEXPECTED_ANSWER": _INNER,
    "NO_AUTH_FOUND": _TOKEN,
    "INVALID_TOKEN": _TOKEN,
    "ERROR_OAUTH": _TOKEN,
    "APPLICATION_NOT_FOUND": Code(
        "closed", "приложения на портале больше нет", "the application is no longer on the portal", OAUTH
    ),
    "AUTHORIZATION_ERROR": _USER,
    "USER_ACCESS_ERROR": _USER,
    "PAYMENT_REQUIRED": _PAYMENT,
    "PORTAL_DELETED": _PORTAL,
    "METHOD_CONFIRM_WAITING": _CONFIRM,
    "METHOD_CONFIRM_DENIED": _CONFIRM,
    "INSUFFICIENT_SCOPE": _SCOPE,
    "INVALID_SCOPE": _SCOPE,
    "INVALID_CREDENTIALS": Code(
        "access_denied",
        "у сотрудника, от чьего имени работает приложение, нет этого права",
        "the person on whose behalf the application works lacks this right",
    ),
    "ACCESS_DENIED": _DENIED,
    "ALLOWED_ONLY_INTRANET_USER": Code(
        "access_denied", "метод только для сотрудников портала", "the method is for employees of the portal only"
    ),
    "WRONG_AUTH_TYPE": Code(
        "permanent", "методу нужен ключ приложения", "the method needs an application's token", SYSTEM
    ),
    "INVALID_REQUEST": Code("permanent", "нужен HTTPS, или запрос неверен", "HTTPS is needed, or a wrong request"),
    "INVALID_ARG_VALUE": _REQUEST,
    "ERROR_ARGUMENT": _REQUEST,
    "ERROR_BATCH_LENGTH_EXCEEDED": _REQUEST,
    "ERROR_BATCH_METHOD_NOT_ALLOWED": _REQUEST,
    "ERROR_METHOD_NOT_FOUND": _METHOD,
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": _METHOD,
    "NOT_FOUND": _MISSING,
    "ERROR_NOT_FOUND": _MISSING,
    "INVALID_GRANT": Code(
        "closed",
        "ключ обновления истёк или уже использован: администратору нужно открыть приложение",
        "the refresh token has expired or was used: an administrator has to open the application",
        OAUTH,
    ),
    "INVALID_CLIENT": _CLIENT,
    "WRONG_CLIENT": _CLIENT,
    "NOT_INSTALLED": _CLIENT,
    V3_PREFIX + "ENTITYNOTFOUNDEXCEPTION": Code("not_found", _MISSING.ru, _MISSING.en, V3),
    V3_PREFIX + "ACCESSDENIEDEXCEPTION": Code("access_denied", _DENIED.ru, _DENIED.en, V3),
    V3_PREFIX + "INSUFFICIENTSCOPEEXCEPTION": Code("permanent", _SCOPE.ru, _SCOPE.en, V3),
    V3_PREFIX + "VALIDATION_REQUESTVALIDATIONEXCEPTION": Code("permanent", _REQUEST.ru, _REQUEST.en, V3),
    V3_PREFIX + "INVALIDJSONEXCEPTION": Code("permanent", _REQUEST.ru, _REQUEST.en, V3),
    V3_PREFIX + "UNKNOWNDTOPROPERTYEXCEPTION": Code("permanent", _REQUEST.ru, _REQUEST.en, V3),
    V3_PREFIX + "UNKNOWNFILTEROPERATOREXCEPTION": Code("permanent", _REQUEST.ru, _REQUEST.en, V3),
    V3_PREFIX + "INVALIDIDEMPOTENCYKEYEXCEPTION": Code("permanent", _REQUEST.ru, _REQUEST.en, V3),
    V3_PREFIX + "IDEMPOTENCYKEYREUSEDEXCEPTION": Code(
        "permanent",
        "этот Idempotency-Key уже использован с другим запросом",
        "this Idempotency-Key was already used with another request",
        V3,
    ),
}

_COMMERCIAL = re.compile(r"commercial plans|коммерческ", re.IGNORECASE)
_NOT_FOUND_TEXT = re.compile(r"not[ _]found|не найден|does ?n[o']t exist|не существует", re.IGNORECASE)
_DENIED_TEXT = re.compile(r"access denied|доступ запрещ|нет доступа|no access", re.IGNORECASE)

_BY_STATUS: dict[int, Code] = {
    401: _TOKEN,
    403: _DENIED,
    404: _MISSING,
    410: _PORTAL,
    429: Code("temporary", "слишком много запросов к порталу", "too many requests", LIMITS),
}


def meaning(status: int, code: str, description: str) -> Code:
    """Returns what an error means. `status` is 200 or 0 for a command inside a batch."""
    name = code.strip().upper()
    if name == "ACCESS_DENIED" and _COMMERCIAL.search(description):
        return Code("closed", "REST есть только на платных тарифах", "REST is for commercial plans only")
    if name in CODES:
        return CODES[name]
    if "EXPIRED" in name and "TOKEN" in name:
        return CODES["EXPIRED_TOKEN"]
    if name.endswith("NOT_FOUND"):
        return _MISSING
    if name.endswith("ACCESS_DENIED"):
        return _DENIED
    if status >= 500:
        return _INNER
    text = f"{code} {description}"
    if _NOT_FOUND_TEXT.search(text):
        return _MISSING
    if _DENIED_TEXT.search(text):
        return _DENIED
    return _BY_STATUS.get(status, _REQUEST)


def error_of(
    status: int, code: object, description: str, method: str = "", *, retry_at: datetime | None = None
) -> B24AppError:
    """Returns the error to raise (or to hand on as a value) for what the portal or the authorization server answered.

    `retry_at` is used where trying again can help; without it the error says a quarter of a minute from now.
    """
    name = "" if code in (None, False) else str(code)
    known = meaning(status, name, description)
    detail = " ".join(part for part in (f"{method}:" if method else "", name or f"HTTP {status}", description) if part)
    reason = f"{known.ru} / {known.en} ({detail[:DESCRIPTION_LENGTH]})"
    match known.kind:
        case "refresh" | "temporary":
            return Temporary(reason, retry_at=retry_at or datetime.now(UTC) + RETRY_DELAY, code=name)
        case "unknown":
            return OutcomeUnknown(reason, retry_at=retry_at or datetime.now(UTC) + RETRY_DELAY, code=name)
        case "not_found":
            return NotFound(reason, code=name)
        case "access_denied":
            return AccessDenied(reason, code=name)
        case "closed":
            return PortalClosed(reason, code=name)
        case "permanent":
            return Permanent(reason, code=name)
