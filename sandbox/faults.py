"""Fault rules: what goes wrong with a request on purpose, before or after its effect."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sandbox.method import Row
from sandbox.portal import Portal
from sandbox.server import Response

EFFECTS = ("drop", "cut", "delay", "html", "empty", "truncate", "status", "error")


def take(portal: Portal, names: Iterable[str], when: str, *, inner: bool = False) -> Row | None:
    """The first rule that hits one of the method names, counted down; rules for "*" never hit inner methods twice.

    `skip` calls of the method pass first; those of one batch count one by one, whatever the rule does to the batch.
    """
    lower = [name.lower() for name in names]
    for rule in portal.faults:
        if rule["when"] != when or rule["count"] <= 0:
            continue
        calls = lower.count(rule["method"].lower()) or int(rule["method"] == "*" and not inner)
        if calls <= rule["skip"]:
            rule["skip"] -= calls
        elif calls:
            rule["skip"] = 0
            rule["count"] -= 1
            portal.ledger.add("fault", rule=rule["id"], method=rule["method"], effect=rule["effect"], when=when)
            return rule
    return None


def let_go(portal: Portal) -> None:
    """Forget every rule; requests that one holds are cut now."""
    for rule in portal.faults:
        rule["seconds"] = 0.0
    portal.faults.clear()


def _hold(rule: Row) -> None:
    until = time.monotonic() + rule["seconds"]
    while rule["seconds"] and time.monotonic() < until:
        time.sleep(0.01)


def broken(rule: Row, response: Response | None) -> Response:
    """The answer of a request that a rule (not "delay", not "error") has hit."""
    effect = rule["effect"]
    if effect == "cut":
        _hold(rule)
    if effect in ("cut", "drop"):
        return Response(drop=True)
    if effect == "empty":
        return Response(body=b"")
    if effect == "truncate":
        body = response.body if response is not None else b'{"result":true,"time":{"start":0}}'
        return Response(body=body, cut=True)
    status = rule.get("status") or (502 if effect == "html" else 500)
    page = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center><hr>nginx</body></html>"
    return Response(status=status, body=page.encode(), content_type="text/html; charset=utf-8")
