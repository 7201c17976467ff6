"""What the portal sends by itself: events, robots, installation; once, asynchronously, never repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from sandbox import php, tokens
from sandbox.method import Actor, RestError, Row
from sandbox.portal import Portal

TIMEOUT = 15.0


def check_handler(url: str, *, code: str = "ERROR_UNSUPPORTED_PROTOCOL") -> None:
    """RestError unless `url` may be a handler: https, or http on the local machine, which only a sandbox allows."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")):
        raise RestError(code, "Unsupported event handler protocol")


def auth_block(portal: Portal, application: Row, user: Row | None, *, hops: int, refresh: bool = False) -> Row:
    """The `auth` of an event or robot: with a token only when a user stands behind it."""
    block: Row = {}
    if user is not None and user["ACTIVE"]:
        token = tokens.issue(portal, application, user, hops=hops)
        block["access_token"] = token["ACCESS"]
        if refresh:
            block["refresh_token"] = token["REFRESH"]
        expires, life = token["EXPIRES"], tokens.ACCESS_LIFE
    else:
        expires, life = int(portal.now()) + tokens.ACCESS_LIFE, tokens.ACCESS_LIFE
    block |= {
        "expires": expires,
        "expires_in": life,
        "scope": ",".join(application["SCOPES"]),
        "domain": portal.host,
        "server_endpoint": portal.oauth_url + "/rest/",
        "status": application["STATUS"],
        "client_endpoint": portal.url + "/rest/",
        "member_id": portal.member_id,
    }
    if user is not None and user["ACTIVE"]:
        block["user_id"] = user["ID"]
    block["application_token"] = application["APPLICATION_TOKEN"]
    return block


def post(portal: Portal, url: str, fields: Row, entry: Row, done: Callable[[int], None] | None = None) -> None:
    """Send one form now and write what came back into the ledger entry; status 0 is no answer. Never repeated."""
    session = requests.Session()
    session.trust_env = False
    status = 0
    try:
        answer = session.post(
            url,
            data=php.build_query(fields).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Bitrix24 Webhook Engine"},
            timeout=TIMEOUT,
            allow_redirects=False,
            verify=portal.held.get("ca", True),
        )
        status = answer.status_code
    except requests.RequestException as error:
        entry["error"] = type(error).__name__
    finally:
        session.close()
    entry["status"] = status
    entry["done"] = True
    if done is not None:
        done(status)


def send(
    portal: Portal, kind: str, url: str, fields: Callable[[], Row | None], delay: float | None = None, **facts: Any
) -> None:
    """Queue one POST. `fields` is made under the lock at the moment of sending (tokens, ts); None sends nothing."""

    def work() -> None:
        with portal.lock:
            form = fields()
            if form is None:
                return
            entry = portal.ledger.add(kind, url=url, status=None, done=False, **facts)
        post(portal, url, form, entry)

    portal.scheduler.call(portal.settings.event_delay if delay is None else delay, work)


def live(application: Row | None) -> bool:
    """True when the portal sends to that application: it is there, installed, paid."""
    return bool(application and application["ACTIVE"] and application["INSTALLED"] and not application["PAYMENT_ENDED"])


def emit(portal: Portal, name: str, data: Row, actor: Actor, *, entity: str = "") -> None:
    """Send event `name` to everyone who bound it. Call it under the lock, after the change is stored.

    data: the event's `data`. entity: a word for the ledger ("lead 42") and the key of the offline queue.
    """
    name = name.upper()
    if actor.hops <= 0:
        portal.ledger.add("event", event=name, url="", status=None, done=True, entity=entity, error="loop counter is 0")
        return
    for handler in list(portal["event_handlers"].where(EVENT=name)):
        application = tokens.application_of(portal, handler["CLIENT_ID"])
        if not live(application):
            continue
        if handler["OFFLINE"]:
            _queue_offline(portal, handler, data, actor, entity)
            continue
        for delay in _delays(portal, name, entity):
            _send_event(portal, name, handler, data, actor, entity, delay)


def _send_event(portal: Portal, name: str, handler: Row, data: Row, actor: Actor, entity: str, delay: float) -> None:
    def fields() -> Row | None:
        application = tokens.application_of(portal, handler["CLIENT_ID"])
        if application is None or not live(application) or portal["event_handlers"].get(handler["ID"]) is None:
            return None
        user = portal.user(handler["AUTH_TYPE"] or (actor.user_id if actor.via != "system" else 0))
        return {
            "event": name,
            "event_handler_id": handler["ID"],
            "data": data,
            "ts": int(portal.now()),
            "auth": auth_block(portal, application, user, hops=actor.hops - 1 if actor.via == "rest" else actor.hops),
        }

    send(portal, "event", handler["HANDLER"], fields, delay, event=name, entity=entity)


def _delays(portal: Portal, name: str, entity: str) -> list[float]:
    """When the copies of one event leave, by the event rules: usually one, after the usual delay."""
    usual = portal.settings.event_delay
    for rule in portal.event_rules:
        if rule["count"] <= 0 or rule["event"].upper() not in ("*", name):
            continue
        rule["count"] -= 1
        action = rule["action"]
        portal.ledger.add("rule", rule=rule["id"], event=name, action=action, entity=entity)
        if action == "lose":
            return []
        if action == "duplicate":
            return [usual, usual + rule["seconds"]]
        # A reordered event leaves after those that follow it within the time of the rule.
        return [usual + (rule["seconds"] or (0.5 if action == "reorder" else 5.0))]
    return [usual]


def _queue_offline(portal: Portal, handler: Row, data: Row, actor: Actor, entity: str) -> None:
    """One record per object and event in the queue of the application; its own changes of that channel are left out."""
    if handler["CONNECTOR"] and handler["CONNECTOR"] == actor.connector and actor.client_id == handler["CLIENT_ID"]:
        return
    queue = portal["offline_events"]
    key = f"{handler['EVENT']}:{entity}:{handler['CONNECTOR']}"
    waiting = next((row for row in queue.where(CLIENT_ID=handler["CLIENT_ID"], KEY=key) if not row["PROCESS_ID"]), None)
    if waiting is not None:
        waiting["TIMESTAMP_X"] = portal.now()
        waiting["EVENT_DATA"] = data
        return
    queue.add(
        {
            "CLIENT_ID": handler["CLIENT_ID"],
            "KEY": key,
            "TIMESTAMP_X": portal.now(),
            "EVENT_NAME": handler["EVENT"],
            "EVENT_DATA": data,
            "EVENT_ADDITIONAL": {"user_id": actor.user_id},
            "MESSAGE_ID": portal.secret(32),
            "PROCESS_ID": "",
            "ERROR": 0,
            "CONNECTOR": handler["CONNECTOR"],
        }
    )
    _ring(portal, handler["CLIENT_ID"])


def _ring(portal: Portal, client_id: str) -> None:
    """ONOFFLINEEVENT, not oftener than the binding's minTimeout."""
    now = portal.now()
    for bell in portal["event_handlers"].where(EVENT="ONOFFLINEEVENT", CLIENT_ID=client_id):
        pause = float(bell["OPTIONS"].get("minTimeout", 1) or 0)
        if now - bell.get("LAST", 0.0) < pause:
            continue
        bell["LAST"] = now
        _send_event(portal, "ONOFFLINEEVENT", bell, {}, Actor(0, "system"), "", portal.settings.event_delay)


def application_event(portal: Portal, name: str, application: Row, url: str, data: Row, user: Row | None) -> None:
    """ONAPPINSTALL, ONAPPUPDATE, ONAPPUNINSTALL to one address; only the first carries a refresh token."""
    frozen = dict(application)
    number = application["ID"]

    def fields() -> Row:
        return {
            "event": name,
            "event_handler_id": number,
            "data": data,
            "ts": int(portal.now()),
            "auth": auth_block(portal, frozen, user, hops=7, refresh=name == "ONAPPINSTALL"),
        }

    send(portal, "event", url, fields, event=name, entity=f"application {number}")
