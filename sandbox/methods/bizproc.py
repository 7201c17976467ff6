"""Robots of applications: registration and answers (api-reference/bizproc/bizproc-robot)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from sandbox import automation, delivery
from sandbox.method import Call, RestError, Row, as_int, as_map, method, plain

_TYPES = ("bool", "date", "datetime", "double", "file", "int", "select", "string", "text", "user")


def _admin_application(call: Call) -> Row:
    application = call.application_only()
    if not call.admin:
        raise RestError("ACCESS_DENIED")
    return application


def _bad(text: str) -> RestError:
    return RestError("ERROR_ACTIVITY_VALIDATION_FAILURE", text, 400)


def _code(call: Call) -> str:
    code = call.text("CODE")
    if not code:
        raise _bad("Empty activity code!")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", code):
        raise _bad("Wrong activity code!")
    return code


def _handler(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise RestError("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported handler protocol", 400)
    if not parts.hostname:
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL", 400)
    delivery.check_handler(url)
    return url


def _properties(value: Any) -> Row:
    if value in (None, "", []):
        return {}
    if not isinstance(value, dict):
        raise _bad("Wrong properties array!")
    for key, facts in value.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key):
            raise _bad(f"Wrong property key {key}!")
        if not isinstance(facts, dict) or not as_text(facts.get("Name", facts.get("NAME"))):
            raise _bad(f"Empty property NAME {key}!")
    return value


def as_text(value: Any) -> str:
    """The text of a name that may be a map of languages."""
    if isinstance(value, dict):
        return plain(value.get("ru") or next(iter(value.values()), ""))
    return plain(value)


def _filter(value: Any) -> Any:
    if value in (None, "", []):
        return None
    if not isinstance(value, dict) or not set(value) <= {"INCLUDE", "EXCLUDE", "MIN_API_VERSION"}:
        raise _bad("Wrong activity FILTER!")
    return value


def _document_type(value: Any) -> Any:
    if value in (None, "", []):
        return None
    if not isinstance(value, list) or len(value) != 3:
        raise _bad("Wrong activity DOCUMENT_TYPE!")
    return value


def _subscription(value: Any) -> str:
    return "" if value in (None, "") else "Y" if plain(value).upper() in ("Y", "1", "TRUE") else "N"


def _serve(word: str, table: str) -> None:
    """robot.* and activity.*: the same four methods over two tables."""

    @method(f"bizproc.{word}.add", scope="bizproc", application="ACCESS_DENIED", writes=True,
            params="CODE HANDLER AUTH_USER_ID USE_SUBSCRIPTION NAME DESCRIPTION PROPERTIES RETURN_PROPERTIES "
            "DOCUMENT_TYPE FILTER USE_PLACEMENT PLACEMENT_HANDLER")  # fmt: skip
    def robot_add(call: Call) -> bool:
        application = _admin_application(call)
        if not call.params or set(call.params) <= {"auth"}:
            raise _bad("Empty data!")
        code = _code(call)
        handler = _handler(call.text("HANDLER"))
        name = call.get("NAME")
        if not as_text(name):
            raise _bad("Empty activity NAME!")
        row: Row = {
            "CLIENT_ID": application["CLIENT_ID"], "CODE": code, "HANDLER": handler,
            "AUTH_USER_ID": as_int(call.get("AUTH_USER_ID")) or 0,
            "USE_SUBSCRIPTION": _subscription(call.get("USE_SUBSCRIPTION")), "NAME": name,
            "DESCRIPTION": call.get("DESCRIPTION") or "", "PROPERTIES": _properties(call.get("PROPERTIES")),
            "RETURN_PROPERTIES": _properties(call.get("RETURN_PROPERTIES")),
            "DOCUMENT_TYPE": _document_type(call.get("DOCUMENT_TYPE")), "FILTER": _filter(call.get("FILTER")),
            "USE_PLACEMENT": "Y" if plain(call.get("USE_PLACEMENT")).upper() == "Y" else "N",
            "PLACEMENT_HANDLER": call.text("PLACEMENT_HANDLER"),
        }  # fmt: skip
        if call.portal[table].first(CLIENT_ID=application["CLIENT_ID"], CODE=code) is not None:
            raise RestError("ERROR_ACTIVITY_ALREADY_INSTALLED", "Activity or Automation rule already installed!", 400)
        call.portal[table].add(row)
        call.portal.effect("create", word, row["ID"], call.user_id, "rest", code=code)
        return True

    @method(f"bizproc.{word}.update", scope="bizproc", application="ACCESS_DENIED", params="CODE FIELDS", writes=True)
    def robot_update(call: Call) -> bool:
        application = _admin_application(call)
        code = _code(call)
        fields = {key.upper(): value for key, value in as_map(call.get("FIELDS")).items()}
        row = call.portal[table].first(CLIENT_ID=application["CLIENT_ID"], CODE=code)
        if row is None:
            raise RestError("ERROR_ACTIVITY_NOT_FOUND", "Activity or Automation rule not found!", 400)
        new: Row = {}
        if "HANDLER" in fields:
            new["HANDLER"] = _handler(plain(fields["HANDLER"]))
        if "AUTH_USER_ID" in fields:
            new["AUTH_USER_ID"] = as_int(fields["AUTH_USER_ID"]) or 0
        if "USE_SUBSCRIPTION" in fields:
            new["USE_SUBSCRIPTION"] = _subscription(fields["USE_SUBSCRIPTION"])
        for key, read in (
            ("PROPERTIES", _properties),
            ("RETURN_PROPERTIES", _properties),
            ("FILTER", _filter),
            ("DOCUMENT_TYPE", _document_type),
        ):
            if key in fields:
                new[key] = read(fields[key])
        for key in ("NAME", "DESCRIPTION", "PLACEMENT_HANDLER"):
            if key in fields:
                new[key] = fields[key]
        if "USE_PLACEMENT" in fields:
            new["USE_PLACEMENT"] = "Y" if plain(fields["USE_PLACEMENT"]).upper() == "Y" else "N"
        if not new:
            raise _bad("No fields to update")
        if any(row[key] != value for key, value in new.items()):
            row.update(new)
            call.portal.effect("update", word, row["ID"], call.user_id, "rest", code=code)
        return True

    @method(f"bizproc.{word}.delete", scope="bizproc", application="ACCESS_DENIED", params="CODE", writes=True)
    def robot_delete(call: Call) -> bool:
        application = _admin_application(call)
        code = _code(call)
        row = call.portal[table].first(CLIENT_ID=application["CLIENT_ID"], CODE=code)
        if row is None:
            raise RestError("ERROR_ACTIVITY_NOT_FOUND", "Activity or Automation rule not found!", 400)
        call.portal[table].remove(row["ID"])
        call.portal.effect("delete", word, row["ID"], call.user_id, "rest", code=code)
        return True

    @method(f"bizproc.{word}.list", scope="bizproc", application="ACCESS_DENIED")
    def robot_list(call: Call) -> list[str]:
        application = _admin_application(call)
        return [row["CODE"] for row in call.portal[table].where(CLIENT_ID=application["CLIENT_ID"])]


_serve("robot", "robots")
_serve("activity", "activities_bp")


@method(
    "bizproc.event.send",
    scope="bizproc",
    application="ACCESS_DENIED",
    params="EVENT_TOKEN RETURN_VALUES LOG_MESSAGE",
    writes=True,
)
def event_send(call: Call) -> bool:
    client_id = str(call.application_only()["CLIENT_ID"])
    run = automation.waiting(call.portal, call.text("EVENT_TOKEN"), client_id)
    automation.answer(call.portal, run, call.mapping("RETURN_VALUES"), call.text("LOG_MESSAGE"))
    call.portal.effect("answer", "workflow", run["ID"], call.user_id, "rest")
    return True


@method(
    "bizproc.activity.log", scope="bizproc", application="ACCESS_DENIED", params="EVENT_TOKEN LOG_MESSAGE", writes=True
)
def activity_log(call: Call) -> bool:
    client_id = str(call.application_only()["CLIENT_ID"])
    text = call.text("LOG_MESSAGE")
    if not text:
        raise RestError("ERROR_EMPTY_LOG_MESSAGE", "Empty log message!", 400)
    run = automation.waiting(call.portal, call.text("EVENT_TOKEN"), client_id)
    automation.note(call.portal, run, text, run["PLACES"][run["INDEX"]]["CODE"])
    return True
