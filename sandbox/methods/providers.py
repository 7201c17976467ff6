"""Custom field types and message services of applications (widgets/user-field, messageservice)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from sandbox import delivery
from sandbox.method import Call, Page, RestError, Row, empty_argument, method


def _admin(call: Call) -> Row:
    application = call.application_only()
    if not call.admin:
        raise RestError("ACCESS_DENIED")
    return application


def _handler(call: Call) -> str:
    handler = call.text("HANDLER")
    if not handler:
        raise empty_argument("HANDLER")
    if not urlsplit(handler).hostname:
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL", 400)
    delivery.check_handler(handler)
    return handler


# --- types of custom fields -------------------------------------------------------------------------------------------


def _code(call: Call) -> str:
    code = call.text("USER_TYPE_ID").strip()
    if not code:
        raise empty_argument("USER_TYPE_ID")
    return code


@method("userfieldtype.add", scope="placement", application="WRONG_AUTH_TYPE", writes=True,
        params="USER_TYPE_ID HANDLER TITLE DESCRIPTION OPTIONS")  # fmt: skip
def type_add(call: Call) -> bool:
    application = _admin(call)
    code, handler = _code(call), _handler(call)
    table = call.portal["userfield_types"]
    taken = any(
        row["USER_TYPE_ID"] == code or row["HANDLER"] == handler
        for row in table.where(CLIENT_ID=application["CLIENT_ID"])
    )
    if taken:
        raise RestError("ERROR_CORE", "Unable to set placement handler: Handler already binded", 400)
    row = table.add(
        {
            "CLIENT_ID": application["CLIENT_ID"], "USER_TYPE_ID": code, "HANDLER": handler,
            "TITLE": call.text("TITLE") or code, "DESCRIPTION": call.text("DESCRIPTION"),
            "OPTIONS": call.mapping("OPTIONS"), "FULL": f"rest_{application['ID']}_{code}",
        }
    )  # fmt: skip
    call.portal.effect("create", "field type", row["ID"], call.user_id, "rest", code=code)
    return True


def _type(call: Call) -> Row:
    application = _admin(call)
    row = call.portal["userfield_types"].first(CLIENT_ID=application["CLIENT_ID"], USER_TYPE_ID=_code(call))
    if row is None:
        raise RestError("ERROR_NOT_FOUND", "User Field Type not found", 400)
    return row


@method("userfieldtype.update", scope="placement", application="WRONG_AUTH_TYPE", writes=True,
        params="USER_TYPE_ID HANDLER TITLE DESCRIPTION OPTIONS")  # fmt: skip
def type_update(call: Call) -> bool:
    row = _type(call)
    if call.text("HANDLER"):
        row["HANDLER"] = _handler(call)
    for name in ("TITLE", "DESCRIPTION"):
        if call.get(name) is not None:
            row[name] = call.text(name)
    if call.get("OPTIONS") is not None:
        row["OPTIONS"] = call.mapping("OPTIONS")
    return True


@method("userfieldtype.list", scope="placement", application="WRONG_AUTH_TYPE")
def type_list(call: Call) -> Page:
    application = _admin(call)
    rows = [
        {name: row[name] for name in ("USER_TYPE_ID", "HANDLER", "TITLE", "DESCRIPTION")}
        for row in call.portal["userfield_types"].where(CLIENT_ID=application["CLIENT_ID"])
    ]
    return Page(rows, len(rows))


@method("userfieldtype.delete", scope="placement", application="WRONG_AUTH_TYPE", params="USER_TYPE_ID", writes=True)
def type_delete(call: Call) -> bool:
    call.portal["userfield_types"].remove(_type(call)["ID"])
    return True


# --- message services -------------------------------------------------------------------------------------------------

_STATUSES = ("queued", "sent", "delivered", "undelivered", "failed")


def _bad(text: str) -> RestError:
    return RestError("ERROR_SENDER_VALIDATION_FAILURE", text, 400)


def _sender_code(call: Call) -> str:
    code = call.text("CODE")
    if not code:
        raise _bad("Empty sender code!")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", code):
        raise _bad("Wrong sender code!")
    return code


def _sender(call: Call, application: Row, code: str) -> Row:
    row = call.portal["senders"].first(CLIENT_ID=application["CLIENT_ID"], CODE=code)
    if row is None:
        raise RestError("ERROR_SENDER_NOT_FOUND", "Sender not found!", 400)
    return row


@method("messageservice.sender.add", scope="messageservice", application="ACCESS_DENIED", writes=True,
        params="CODE TYPE HANDLER NAME DESCRIPTION")  # fmt: skip
def sender_add(call: Call) -> bool:
    application = _admin(call)
    if not set(call.params) - {"auth"}:
        raise _bad("Empty data!")
    code = _sender_code(call)
    if not call.text("NAME"):
        raise _bad("Empty sender NAME!")
    if not call.text("TYPE"):
        raise _bad("Empty sender message TYPE!")
    if call.text("TYPE").upper() != "SMS":
        raise _bad("Unknown sender message TYPE!")
    handler = _handler(call)
    if call.portal["senders"].first(CLIENT_ID=application["CLIENT_ID"], CODE=code) is not None:
        raise RestError("ERROR_SENDER_ALREADY_INSTALLED", "Sender already installed!", 400)
    row = call.portal["senders"].add(
        {
            "CLIENT_ID": application["CLIENT_ID"], "CODE": code, "TYPE": "SMS", "HANDLER": handler,
            "NAME": call.text("NAME"), "DESCRIPTION": call.text("DESCRIPTION"), "USER_ID": call.user_id,
        }
    )  # fmt: skip
    call.portal.effect("create", "sender", row["ID"], call.user_id, "rest", code=code)
    return True


@method("messageservice.sender.update", scope="messageservice", application="ACCESS_DENIED", writes=True,
        params="CODE HANDLER NAME DESCRIPTION")  # fmt: skip
def sender_update(call: Call) -> bool:
    application = _admin(call)
    if not call.text("CODE"):
        raise RestError("ERROR_SENDER_CODE_REQUIRED", "CODE is required!", 400)
    if all(call.get(name) is None for name in ("HANDLER", "NAME", "DESCRIPTION")):
        raise RestError("ERROR_SENDER_OTHER_PARAMS_REQUIRED", "At least one other parameter is required!", 400)
    row = _sender(call, application, call.text("CODE"))
    if call.get("HANDLER") is not None:
        row["HANDLER"] = _handler(call)
    for name in ("NAME", "DESCRIPTION"):
        if call.get(name) is not None:
            row[name] = call.text(name)
    return True


@method("messageservice.sender.list", scope="messageservice", application="ACCESS_DENIED")
def sender_list(call: Call) -> list[str]:
    application = _admin(call)
    return [row["CODE"] for row in call.portal["senders"].where(CLIENT_ID=application["CLIENT_ID"])]


@method("messageservice.sender.delete", scope="messageservice", application="ACCESS_DENIED", params="CODE", writes=True)
def sender_delete(call: Call) -> bool:
    application = _admin(call)
    call.portal["senders"].remove(_sender(call, application, _sender_code(call))["ID"])
    return True


@method("messageservice.message.status.update", scope="messageservice", application="ACCESS_DENIED", writes=True,
        params="CODE MESSAGE_ID STATUS")  # fmt: skip
def status_update(call: Call) -> bool:
    """The messages are those that a control (POST sms) sent through the service."""
    application = call.application_only()
    code = _sender_code(call)
    message = call.portal["sms"].first(
        CLIENT_ID=application["CLIENT_ID"], SENDER=code, MESSAGE_ID=call.text("MESSAGE_ID")
    )
    if message is None:
        raise RestError("ERROR_MESSAGE_NOT_FOUND", "Message not found!", 400)
    if not call.admin and message["AUTHOR_ID"] != call.user_id:
        raise RestError("ACCESS_DENIED")
    if call.text("STATUS") not in _STATUSES:
        raise RestError("ERROR_MESSAGE_STATUS_INCORRECT", "Message status incorrect!", 400)
    message["STATUS"] = call.text("STATUS")
    call.portal.effect("update", "sms", message["ID"], call.user_id, "rest", status=message["STATUS"])
    return True
