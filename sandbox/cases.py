"""Special cases by name: a token of each kind that a client may meet, on a portal where that is so.

Cases that change a whole portal (deleted, renamed, subscription ended) are made on a portal of their own, so that the
one under test stays as it is. Also here: further portals of the process and snapshots, the controls around portals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox import company, delivery, entries, frames, growth, oauth, state, tokens
from sandbox.controls import ControlError, application, control, lines, moment, only, person
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD
from sandbox.method import Row, as_int
from sandbox.methods import workflows
from sandbox.portal import Portal

if TYPE_CHECKING:
    from sandbox.world import World

Case = Callable[["World", Portal], Row]
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    """Declare a case: the function makes it and returns how the portal answers (see `_answer`)."""

    def declare(function: Case) -> Case:
        CASES[name] = function
        return function

    return declare


def describe(portal: Portal) -> Row:
    """What is printed of a portal when it is ready: addresses, the webhook, credentials and a fresh token pair."""
    with portal.lock:
        webhook, application, administrator = (
            portal["webhooks"].get(1),
            portal["applications"].get(1),
            portal.user(1),
        )
        if webhook is None or application is None or administrator is None:
            raise ValueError("the portal has no administrator, webhook or application")
        token = tokens.issue(portal, application, administrator)
        return {
            "url": portal.url,
            "webhook": f"{portal.url}/rest/{webhook['USER_ID']}/{webhook['CODE']}/",
            "oauth_url": portal.oauth_url,
            "client_id": application["CLIENT_ID"],
            "client_secret": application["CLIENT_SECRET"],
            "access_token": token["ACCESS"],
            "refresh_token": token["REFRESH"],
            "application_token": application["APPLICATION_TOKEN"],
            "member_id": portal.member_id,
        }


def _application(portal: Portal, title: str, **facts: object) -> Row:
    return company.add_application(portal, {"TITLE": title, "SCOPES": list(company.SCOPES), "INSTALLED": True, **facts})


def _person(portal: Portal, **facts: object) -> Row:
    return company.add_person(portal, {"NAME": "Случай", "LAST_NAME": f"№{portal['users'].last + 1}", **facts})


def _answer(portal: Portal, token: Row, status: int, error: str, *, url: str = "", refresh: str = "") -> Row:
    """The case: an access token, and what any method (say `profile`) and a refresh answer to it."""
    application = tokens.application_of(portal, token["CLIENT_ID"])
    return {
        "url": url or portal.url, "access_token": token["ACCESS"], "refresh_token": token["REFRESH"],
        "client_id": token["CLIENT_ID"], "client_secret": application["CLIENT_SECRET"] if application else "",
        "oauth_url": portal.oauth_url, "status": status, "error": error, "refresh_error": refresh,
    }  # fmt: skip


def _plain(portal: Portal, title: str) -> Row:
    user = portal.user(1)
    if user is None:
        raise ControlError("the portal has no administrator")
    return tokens.issue(portal, _application(portal, title), user)


@case("valid")
def valid(world: World, portal: Portal) -> Row:
    return _answer(portal, _plain(portal, "Живое"), 200, "")


@case("expired")
def expired(world: World, portal: Portal) -> Row:
    token = _plain(portal, "Просроченный токен")
    token["EXPIRES"] = int(portal.now()) - 1
    return _answer(portal, token, 401, "expired_token")


@case("revoked")
def revoked(world: World, portal: Portal) -> Row:
    token = _plain(portal, "Отозванный токен")
    token["REVOKED"] = True
    return _answer(portal, token, 401, "invalid_token", refresh="invalid_grant")


@case("unknown")
def unknown(world: World, portal: Portal) -> Row:
    token = _plain(portal, "Чужой токен")
    tokens.kill(portal, token)
    return _answer(portal, token, 401, "NO_AUTH_FOUND", refresh="invalid_grant")


@case("fired")
def fired(world: World, portal: Portal) -> Row:
    user = _person(portal)
    token = tokens.issue(portal, _application(portal, "Токен уволенного"), user)
    user["ACTIVE"] = False
    return _answer(portal, token, 401, "authorization_error", refresh="invalid_grant")


@case("external")
def external(world: World, portal: Portal) -> Row:
    user = _person(portal, USER_TYPE="extranet", UF_DEPARTMENT=[])
    token = tokens.issue(portal, _application(portal, "Внешний пользователь"), user)
    return _answer(portal, token, 403, "allowed_only_intranet_user")


@case("restricted")
def restricted(world: World, portal: Portal) -> Row:
    user = _person(portal)
    token = tokens.issue(portal, _application(portal, "Не для всех", USERS=[1]), user)
    return _answer(portal, token, 403, "user_access_error")


@case("foreign")
def foreign(world: World, portal: Portal) -> Row:
    """A token of an application that was deleted from the portal."""
    application = _application(portal, "Удалённое приложение")
    user = portal.user(1)
    if user is None:
        raise ControlError("the portal has no administrator")
    token = tokens.issue(portal, application, user)
    frames.uninstall(portal, application, clean=True)
    portal.tokens[token["ACCESS"]] = portal.refresh_tokens[token["REFRESH"]] = token
    return _answer(portal, token, 401, "APPLICATION_NOT_FOUND", refresh="invalid_client")


@case("not_installed")
def not_installed(world: World, portal: Portal) -> Row:
    """An application whose installation is not finished: tokens work, nothing is shown or sent (app.info says it)."""
    user = portal.user(1)
    if user is None:
        raise ControlError("the portal has no administrator")
    return _answer(portal, tokens.issue(portal, _application(portal, "Не установлено", INSTALLED=False), user), 200, "")


@case("no_scopes")
def no_scopes(world: World, portal: Portal) -> Row:
    """A token without any scope: methods that need one refuse, `profile` answers."""
    token = _plain(portal, "Без прав")
    token["SCOPES"] = []
    return _answer(portal, token, 200, "")


@case("subscription_ended")
def subscription_ended(world: World, portal: Portal) -> Row:
    token = _plain(portal, "Подписка кончилась")
    application = tokens.application_of(portal, token["CLIENT_ID"])
    if application is not None:
        application["PAYMENT_ENDED"] = True
    return _answer(portal, token, 401, "PAYMENT_REQUIRED", refresh="PAYMENT_REQUIRED")


@case("deleted_portal")
def deleted_portal(world: World, portal: Portal) -> Row:
    other = world.add_portal(world.host, 0)
    token = _plain(other, "Портал удалён")
    other.settings.deleted = True
    return _answer(other, token, 410, "PORTAL_DELETED")


@case("renamed_portal")
def renamed_portal(world: World, portal: Portal) -> Row:
    """`url` is the old address, which redirects; `new_url` the present one."""
    other = world.add_portal(world.host, 0)
    token, old = _plain(other, "Портал переименован"), other.url
    other.url = world.listen(other, world.host, 0)
    other.settings.rename_to = other.host
    return _answer(other, token, 302, "", url=old) | {"new_url": other.url}


@control("GET", "cases")
def list_cases(world: World, portal: Portal, path: list[str], body: Row) -> list[str]:
    only(body)
    return list(CASES)


@control("POST", "cases/<>")
def make_case(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    function = CASES.get(path[0])
    if function is None:
        raise ControlError("no such case; there are " + ", ".join(CASES), 404)
    with portal.lock:
        return {"case": path[0], **function(world, portal)}


@control("POST", "codes")
def authorization_code(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """An authorization code as the full flow hands it to an application."""
    only(body, "client_id", "user_id")
    with portal.lock:
        row = application(portal, body.get("client_id"))
        return {"code": oauth.new_code(portal, row, person(portal, body.get("user_id", 1)))}


@control("POST", "resource-bookings")
def book_resource(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A booking of a calendar resource, as a booking field of CRM makes it."""
    only(body, "resource_id", "from", "to", "name", "user_id")
    with portal.lock:
        resource = portal["sections"].get(as_int(body.get("resource_id")))
        if resource is None or resource["CAL_TYPE"] != "resource":
            raise ControlError("no such resource", 404)
        values = {
            "CAL_TYPE": "resource", "OWNER_ID": 0, "NAME": str(body.get("name") or "Бронь"),
            "FROM": moment(portal, body.get("from"), "from"), "TO": moment(portal, body.get("to"), "to"),
            "SECTION_ID": resource["ID"], "EVENT_TYPE": "#resourcebooking#", "CREATED_BY": body.get("user_id", 1),
        }  # fmt: skip
        return {"id": entries.add(portal, values)["ID"]}


_ASKED = {"kind", "users", "name", "description", "fields"}


@control("POST", "workflow-templates")
def add_template(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A workflow template; activities: {code, client_id, properties, timeout} or {task: {kind, users, name, ...}}."""
    only(body, "entity_type_id", "name", "activities", "parameters")
    kind = as_int(body.get("entity_type_id"))
    if kind not in (LEAD, DEAL, CONTACT, COMPANY):
        raise ControlError("entity_type_id is 1, 2, 3 or 4")
    places = []
    with portal.lock:
        for one in lines(body.get("activities", []), "activities"):
            asked = one.get("task")
            if asked is not None:
                only(asked, *_ASKED)
                if asked.get("kind") not in workflows.KINDS:
                    raise ControlError("kind of a task is " + ", ".join(workflows.KINDS))
                task = {"description": "", "fields": {}, "name": "Задание", **asked}
                places.append({"TASK": task, "CLIENT_ID": "", "CODE": "", "TIMEOUT": 0, "RUN_AS": 0})
                continue
            only(one, "code", "client_id", "properties", "timeout", "run_as")
            row = application(portal, one.get("client_id") or _first_application(portal))
            places.append(
                {"ACTIVITY": True, "CLIENT_ID": row["CLIENT_ID"], "CODE": str(one.get("code")),
                    "PROPERTIES": one.get("properties", {}), "TIMEOUT": float(one.get("timeout", 0)),
                    "RUN_AS": as_int(one.get("run_as")) or 0}
            )  # fmt: skip
        made = workflows.add_template(
            portal, kind, str(body.get("name") or "Процесс"), ACTIVITIES=places, PARAMETERS=body.get("parameters", {})
        )
        return {"id": made["ID"]}


def _first_application(portal: Portal) -> str:
    return str(portal["applications"].rows[1]["CLIENT_ID"]) if 1 in portal["applications"].rows else ""


@control("POST", "sms")
def send_sms(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person sends a message through an application's service: the portal posts it to the service's address."""
    only(body, "code", "phone", "text", "user_id")
    with portal.lock:
        sender = portal["senders"].first(CODE=str(body.get("code")))
        user = portal.user(as_int(body.get("user_id", 1)))
        if sender is None or user is None:
            raise ControlError("no such message service or person", 404)
        message = portal["sms"].add(
            {
                "CLIENT_ID": sender["CLIENT_ID"], "SENDER": sender["CODE"], "MESSAGE_ID": portal.secret(32),
                "STATUS": "queued", "AUTHOR_ID": user["ID"], "PHONE": str(body.get("phone")),
                "TEXT": str(body.get("text")),
            }
        )  # fmt: skip

        def fields() -> Row | None:
            row = tokens.application_of(portal, sender["CLIENT_ID"])
            if row is None or not delivery.live(row):
                return None
            return {
                "module_id": "crm", "bindings": [], "type": "SMS", "code": sender["CODE"],
                "message_id": message["MESSAGE_ID"], "message_to": message["PHONE"], "message_body": message["TEXT"],
                "ts": int(portal.now()), "auth": delivery.auth_block(portal, row, user, hops=7),
            }  # fmt: skip

        delivery.send(portal, "sms", sender["HANDLER"], fields, code=sender["CODE"], message=message["MESSAGE_ID"])
        return {"id": message["ID"], "message_id": message["MESSAGE_ID"]}


# --- several portals, sizes, snapshots ------------------------------------------------------------------------------

_SIZES = ("people", "leads", "deals", "calls", "events")


def sizes(body: Row) -> dict[str, int]:
    """The wanted numbers of people, leads, deals, calls, calendar events; 400 for what is none."""
    found = {name: as_int(body[name]) for name in _SIZES if name in body}
    if any(number is None or not 0 <= number <= 1_000_000 for number in found.values()):
        raise ControlError(", ".join(_SIZES) + " are numbers from 0 to 1000000")
    return {name: number for name, number in found.items() if number is not None}


@control("GET", "portals")
def list_portals(world: World, portal: Portal, path: list[str], body: Row) -> list[Row]:
    only(body)
    return [{"url": one.url, "member_id": one.member_id, "this": one is portal} for one in world.portals]


@control("POST", "portals")
def add_portal(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, "seed", *_SIZES)
    wanted = sizes(body)
    other = world.add_portal(world.host, 0, seed=as_int(body.get("seed", 1)) or 1)
    other.limits.enabled = portal.limits.enabled
    growth.grow(other, **wanted)
    return describe(other)


@control("POST", "grow")
def grow(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body, *_SIZES)
    growth.grow(portal, **sizes(body))
    with portal.lock:
        tables = {"people": "users", "leads": "1", "deals": "2", "calls": "call_rows", "events": "calendar"}
        return {name: len(portal[table]) for name, table in tables.items()}


@control("GET", "snapshots")
def list_snapshots(world: World, portal: Portal, path: list[str], body: Row) -> list[Row]:
    only(body)
    return [{"name": name, "size": len(text.encode())} for name, text in portal.snapshots.items()]


@control("POST", "snapshots/<>")
def take_snapshot(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    return {"name": path[0], "size": state.keep(portal, path[0])}


@control("POST", "snapshots/<>/restore")
def restore_snapshot(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    if path[0] not in portal.snapshots:
        raise ControlError(f"no snapshot {path[0]}", 404)
    state.back(portal, path[0])
    portal.oauth_url = world.authorities[portal.settings.oauth - 1].url
    portal.ledger.add("effect", change="restore", type="portal", id=0, user_id=0, via="person", snapshot=path[0])
    return {"name": path[0]}


@control("DELETE", "snapshots/<>")
def drop_snapshot(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    only(body)
    if portal.snapshots.pop(path[0], None) is None:
        raise ControlError(f"no snapshot {path[0]}", 404)
    return {"name": path[0]}
