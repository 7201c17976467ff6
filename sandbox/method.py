"""What a REST method is: its declaration, the registry, the context of one call, and the errors it may answer.

A method is a function in a module of `sandbox.methods`, declared by `@method(...)`; every module there is loaded by
itself. See docs/sandbox.md, "How to add a method".
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.portal import Portal

Row = dict[str, Any]
FULL_HOPS = 7

# Statuses by code: what live portals and the SDKs show; DOCUMENTED has the two where the documentation's table of
# system errors differs from them. `settings.statuses` of a portal chooses.
STATUSES = {
    "NO_AUTH_FOUND": 401,
    "expired_token": 401,
    "invalid_token": 401,
    "authorization_error": 401,
    "APPLICATION_NOT_FOUND": 401,
    "ERROR_OAUTH": 401,
    "PAYMENT_REQUIRED": 401,
    "METHOD_CONFIRM_WAITING": 401,
    "METHOD_CONFIRM_DENIED": 403,
    "INVALID_CREDENTIALS": 401,
    "insufficient_scope": 401,
    "ACCESS_DENIED": 403,
    "WRONG_AUTH_TYPE": 403,
    "user_access_error": 403,
    "allowed_only_intranet_user": 403,
    "ERROR_METHOD_NOT_FOUND": 404,
    "ERROR_BATCH_METHOD_NOT_ALLOWED": 405,
    "PORTAL_DELETED": 410,
    "OPERATION_TIME_LIMIT": 429,
    "INTERNAL_SERVER_ERROR": 500,
    "ERROR_UNEXPECTED_ANSWER": 500,
    "QUERY_LIMIT_EXCEEDED": 503,
    "OVERLOAD_LIMIT": 503,
}
DOCUMENTED = {"INVALID_CREDENTIALS": 403, "insufficient_scope": 403, "PORTAL_DELETED": 500}
TEXTS = {
    "NO_AUTH_FOUND": "Wrong authorization data",
    "expired_token": "The access token provided has expired",
    "invalid_token": "Unable to get application by token",
    "authorization_error": "Unable to authorize user",
    "APPLICATION_NOT_FOUND": "Application not found",
    "PAYMENT_REQUIRED": "Subscription has been ended",
    "INVALID_CREDENTIALS": "Invalid request credentials",
    "insufficient_scope": "The request requires higher privileges than provided by the access token",
    "ACCESS_DENIED": "Access denied!",
    "WRONG_AUTH_TYPE": "Current authorization type is denied for this method",
    "user_access_error": "The user does not have access to the application.",
    "allowed_only_intranet_user": "Allowed only intranet users",
    "ERROR_METHOD_NOT_FOUND": "Method not found!",
    "ERROR_BATCH_METHOD_NOT_ALLOWED": "Method is not allowed for batch usage",
    "ERROR_BATCH_LENGTH_EXCEEDED": "Max batch length exceeded",
    "PORTAL_DELETED": "Portal was deleted",
    "OPERATION_TIME_LIMIT": "Method is blocked due to operation time limit.",
    "INTERNAL_SERVER_ERROR": "Internal server error",
    "ERROR_UNEXPECTED_ANSWER": "Server returned an unexpected response",
    "QUERY_LIMIT_EXCEEDED": "Too many requests",
    "OVERLOAD_LIMIT": "REST API is blocked due to overload.",
    "NOT_FOUND": "Not found",
}


class RestError(Exception):
    """An error answer: `code` as in `error` (text, number or empty), its text, the HTTP status, and more keys.

    `documented`: the status that the documentation prints, where a live portal answers with another one.
    """

    def __init__(
        self,
        code: str | int,
        description: str = "",
        status: int | None = None,
        *,
        documented: int | None = None,
        **extra: Any,
    ) -> None:
        self.code = code
        self.description = description or TEXTS.get(str(code), str(code))
        self.status = status if status is not None else STATUSES.get(str(code), 400)
        self.documented = documented or DOCUMENTED.get(str(code), self.status)
        self.extra = extra
        super().__init__(f"{code}: {self.description}")


def missing(name: str) -> RestError:
    """The error of a controller method (crm.item.*, tasks.task.*) called without a required parameter."""
    return RestError("100", f"Could not find value for parameter {{{name}}}")


def empty_argument(name: str, status: int = 400) -> RestError:
    """The error of a classic method without that parameter: `argument` names it again (widgets/placement-bind.md)."""
    return RestError("ERROR_ARGUMENT", f"Argument '{name}' is null or empty", status, argument=name)


@dataclass(slots=True)
class Page:
    """A list answer: `result` with `total` and `next` of the envelope; `total` None leaves both out."""

    result: Any
    total: int | None = None
    next: int | None = None


@dataclass(slots=True, frozen=True)
class Actor:
    """Who causes a change. via: rest, person, automation or system (system has no user and no token in its events).

    `hops` is the loop counter that events caused by the change carry; at 0 events and robots are not sent any more.
    """

    user_id: int
    via: str = "person"
    client_id: str = ""
    hops: int = FULL_HOPS
    connector: str = ""


@dataclass(slots=True)
class Call:
    """One call of one method: who calls, with what, and what it costs.

    `application` is None for a webhook, `webhook` is None for a token. `hops` is the loop counter that events caused
    by this call carry on. `cost` is the operating time in seconds that is charged; a method may raise it.
    """

    portal: Portal
    method: Method
    params: Row
    user: Row
    application: Row | None = None
    webhook: Row | None = None
    token: Row | None = None
    scopes: frozenset[str] = frozenset()
    hops: int = FULL_HOPS
    connector: str = ""
    cost: float = 0.0

    @property
    def user_id(self) -> int:
        """Id of the user for whom the token or the webhook acts."""
        return int(self.user["ID"])

    @property
    def admin(self) -> bool:
        """True when that user is an administrator of the portal."""
        return bool(self.user["ADMIN"])

    @property
    def owner(self) -> str:
        """The key by which limits and options are kept: the application or the webhook."""
        if self.application is not None:
            return str(self.application["CLIENT_ID"])
        return f"webhook:{self.webhook['ID']}" if self.webhook is not None else f"user:{self.user_id}"

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter, or `default`; classic methods find it in any case of letters."""
        if name in self.params:
            return self.params[name]
        if self.method.style == "classic":
            wanted = name.lower()
            for key, value in self.params.items():
                if key.lower() == wanted:
                    return value
        return default

    def text(self, name: str, default: str = "") -> str:
        """The parameter as text; maps and lists count as absent."""
        value = self.get(name)
        return default if value is None or isinstance(value, (dict, list)) else plain(value)

    def integer(self, name: str, default: int = 0) -> int:
        """The parameter as PHP's (int) reads it; `default` when it is absent or no number."""
        value = as_int(self.get(name))
        return default if value is None else value

    def mapping(self, name: str) -> Row:
        """The parameter as a map: a list becomes {"0": ...}, anything else an empty map."""
        return as_map(self.get(name))

    def sequence(self, name: str) -> list[Any]:
        """The parameter as a list: the values of a map, one scalar as a list of one."""
        return as_list(self.get(name))

    def application_only(self) -> Row:
        """The application of the call; a webhook has none and is refused as the documentation says."""
        if self.application is None:
            if self.method.application == "WRONG_AUTH_TYPE":
                raise RestError("WRONG_AUTH_TYPE")
            raise RestError("ACCESS_DENIED", "Access denied! Application context required", documented=400)
        return self.application

    @property
    def actor(self) -> Actor:
        """Who changes something by this call, for records, events and the ledger."""
        client_id = str(self.application["CLIENT_ID"]) if self.application is not None else ""
        return Actor(self.user_id, "rest", client_id, self.hops, self.connector or self.text("auth_connector"))


def plain(value: Any) -> str:
    """A scalar as PHP prints it: true is 1, false and null are empty, a whole float has no point."""
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_int(value: Any) -> int | None:
    """The whole number in a scalar, or None."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value == value and abs(value) < 1e18 else None
    if isinstance(value, str):
        text = value.strip()
        digits = text[1:] if text[:1] in "+-" else text
        return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
    return None


def as_map(value: Any) -> Row:
    """A map with text keys: a list becomes {"0": ...}, a scalar an empty map."""
    if isinstance(value, dict):
        return {str(key): child for key, child in value.items()}
    if isinstance(value, list):
        return {str(index): child for index, child in enumerate(value)}
    return {}


def as_list(value: Any) -> list[Any]:
    """A list: the values of a map, one scalar as a list of one, nothing for null and empty text."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return list(value.values())
    return [] if value is None or value == "" else [value]


def yes(value: Any) -> bool:
    """What Bitrix24 takes for true: Y, y, 1, true."""
    return plain(value).strip().lower() in ("y", "1", "true", "yes")


Handler = Callable[[Call], Any]


@dataclass(slots=True, frozen=True)
class Method:
    """One served method.

    style: "classic" takes parameter names in any case and positional lists; "controller" takes exact names and
    answers 100 when one of `required` is absent. cost: range of operating seconds charged for a call.
    """

    name: str
    scope: str
    handler: Handler
    params: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    style: str = "classic"
    application: str = ""
    admin: bool = False
    batch: bool = True
    writes: bool = False
    cost: tuple[float, float] = (0.01, 0.05)
    version: int = 2
    extra: Row = field(default_factory=dict)


METHODS: dict[str, Method] = {}
METHODS_V3: dict[str, Method] = {}
READ_COST = (0.008, 0.06)
WRITE_COST = (0.1, 0.45)


def method(
    name: str,
    *,
    scope: str = "",
    params: str = "",
    style: str = "classic",
    application: str = "",
    admin: bool = False,
    batch: bool = True,
    writes: bool = False,
    cost: tuple[float, float] | None = None,
    version: int = 2,
    **extra: Any,
) -> Callable[[Handler], Handler]:
    """Declare a method: `params` are its names in documented order, "!" marks a required one.

    scope: one name, or several split by "|" of which one is enough; empty for a method that needs none.
    application: the code that a webhook is refused with, when the method needs an application token ("ACCESS_DENIED" or
    "WRONG_AUTH_TYPE"). admin: needs an administrator.
    """
    words = params.split()

    def declare(handler: Handler) -> Handler:
        entry = Method(
            name=name,
            scope=scope,
            handler=handler,
            params=tuple(word.rstrip("!") for word in words),
            required=tuple(word[:-1] for word in words if word.endswith("!")),
            style=style,
            application=application,
            admin=admin,
            batch=batch,
            writes=writes,
            cost=cost or (WRITE_COST if writes else READ_COST),
            version=version,
            extra=extra,
        )
        table = METHODS if version == 2 else METHODS_V3
        if name.lower() in table:
            raise ValueError(f"method {name} is declared twice")
        table[name.lower()] = entry
        return handler

    return declare


def load_methods() -> None:
    """Import every module of sandbox.methods, which fills the registry."""
    package = importlib.import_module("sandbox.methods")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"sandbox.methods.{module.name}")
