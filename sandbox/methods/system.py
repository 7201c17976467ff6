"""The portal itself: batch, scope, methods, features, application, options, events' names (api-reference/common)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.method import METHODS, Call, RestError, Row, as_int, method, plain, yes

KNOWN_SCOPES = [
    "bizproc",
    "booking",
    "calendar",
    "crm",
    "department",
    "disk",
    "documentgenerator",
    "entity",
    "im",
    "imbot",
    "lists",
    "log",
    "mail",
    "messageservice",
    "placement",
    "pull",
    "sonet_group",
    "task",
    "tasks",
    "tasks_extended",
    "telephony",
    "timeman",
    "user",
    "user_basic",
    "user_brief",
    "user.userfield",
    "userfieldconfig",
    "userconsent",
    "catalog",
    "sale",
    "humanresources",
    "call",
]
FEATURES = ("rest_offline_extended", "rest_auth_connector")


@method("batch", params="halt cmd", batch=False, cost=(0.0, 0.0))
def batch(call: Call) -> Any:
    # The doors run a batch themselves (sandbox.rest.run_batch); it comes here only from inside another batch.
    raise RestError("ERROR_BATCH_METHOD_NOT_ALLOWED")


@method("scope", params="full", cost=(0.0, 0.001))
def scope(call: Call) -> list[str]:
    return sorted(KNOWN_SCOPES) if yes(call.get("full")) else sorted(call.scopes)


def _available(call: Call, entry: Any) -> bool:
    return not entry.scope or any(one in call.scopes for one in entry.scope.split("|"))


@method("methods", params="full scope", cost=(0.0, 0.001))
def methods(call: Call) -> list[str]:
    wanted = call.text("scope")
    found = []
    for entry in METHODS.values():
        if wanted:
            if wanted in entry.scope.split("|"):
                found.append(entry.name)
        elif yes(call.get("full")) or _available(call, entry):
            found.append(entry.name)
    return sorted(found)


@method("method.get", params="name", cost=(0.0, 0.001))
def method_get(call: Call) -> Row:
    entry = METHODS.get(call.text("name").lower())
    return {"isExisting": entry is not None, "isAvailable": entry is not None and _available(call, entry)}


@method("feature.get", params="CODE", cost=(0.0, 0.001))
def feature_get(call: Call) -> Row:
    code = call.text("CODE")
    if not code:
        raise RestError("CODE_EMPTY", "CODE can't be empty")
    settings = call.portal.settings
    on = {"rest_offline_extended": settings.offline_extended, "rest_auth_connector": settings.auth_connector}
    return {"value": "Y" if on.get(code) else "N"}


@method("server.time", cost=(0.0, 0.001))
def server_time(call: Call) -> str:
    return datetime.fromtimestamp(int(call.portal.now()), UTC).isoformat()


@method("app.info", cost=(0.0, 0.001))
def app_info(call: Call) -> Row:
    application = call.application_only()
    license_ = call.portal.settings.license
    kind = license_.partition("_")[2] or license_
    return {
        "ID": application["ID"],
        "CODE": application["CLIENT_ID"],
        "VERSION": application["VERSION"],
        "STATUS": application["STATUS"],
        "INSTALLED": bool(application["INSTALLED"]),
        "PAYMENT_EXPIRED": "Y" if application["PAYMENT_ENDED"] else "N",
        "DAYS": None,
        "LANGUAGE_ID": call.portal.settings.language,
        "LICENSE": license_,
        "LICENSE_TYPE": kind,
        "LICENSE_FAMILY": kind.rstrip("0123456789"),
    }


def _options(call: Call, of: str = "") -> Row:
    """The stored options of the application, or of a person in it."""
    if call.application is None:
        raise RestError("AccessException", "Application context required")
    owner = call.owner + of
    table = call.portal["options"]
    return (table.first(OWNER=owner) or table.add({"OWNER": owner, "VALUES": {}}))["VALUES"]  # type: ignore[no-any-return]


def _get_option(call: Call, values: Row) -> Any:
    wanted = call.get("option")
    if isinstance(wanted, list):
        return {plain(name): values.get(plain(name), "") for name in wanted if not isinstance(name, (dict, list))} or []
    if wanted not in (None, ""):
        return values.get(plain(wanted))
    return dict(values) or []


def _set_options(call: Call, values: Row) -> bool:
    options = call.get("options")
    if not isinstance(options, dict) or not options:
        raise RestError("ArgumentNullException", "options is empty")
    values.update(options)
    return True


@method("app.option.get", params="option", cost=(0.0, 0.01))
def app_option_get(call: Call) -> Any:
    return _get_option(call, _options(call))


@method("app.option.set", params="options", cost=(0.0, 0.02))
def app_option_set(call: Call) -> bool:
    values = _options(call)
    if not call.admin:
        raise RestError("AccessException", "Administrator authorization required")
    return _set_options(call, values)


@method("user.option.get", params="option", cost=(0.0, 0.01))
def user_option_get(call: Call) -> Any:
    return _get_option(call, _options(call, f":{call.user_id}"))


@method("user.option.set", params="options", cost=(0.0, 0.02))
def user_option_set(call: Call) -> bool:
    return _set_options(call, _options(call, f":{call.user_id}"))


@method("profile", cost=(0.0, 0.01))
def profile(call: Call) -> Row:
    user = call.user
    return {
        "ID": str(user["ID"]),
        "ADMIN": bool(user["ADMIN"]),
        "NAME": user["NAME"],
        "LAST_NAME": user["LAST_NAME"],
        "PERSONAL_GENDER": user["PERSONAL_GENDER"],
        "TIME_ZONE": user["TIME_ZONE"],
    }


# Codes of everybody, whose names belong to no provider.
_EVERYBODY = {"G2": "Все посетители", "AU": "Все авторизованные пользователи"}


@method("access.name", params="ACCESS", cost=(0.0, 0.01))
def access_name(call: Call) -> Row | list[Any] | bool:
    """Names of the codes that there are, false when none is asked about (common/system/access-name.md)."""
    codes = [plain(code) for code in call.sequence("ACCESS")]
    names: Row = {}
    for code in codes:
        user = call.portal.user(as_int(code[1:])) if code.startswith("U") else None
        if code in _EVERYBODY:
            names[code] = {"provider": "", "name": _EVERYBODY[code], "provider_id": "other"}
        elif user is not None:
            name = f"{user['NAME']} {user['LAST_NAME']}"
            names[code] = {"provider": "Пользователи", "name": name, "provider_id": "user"}
    return (names or []) if codes else False
