"""Fault rules: what goes wrong with a request on purpose, before or after its effect."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.method import Row
from sandbox.portal import Portal
from sandbox.server import Response

EFFECTS = ("drop", "delay", "html", "truncate", "status", "error")


def take(portal: Portal, names: Iterable[str], when: str, *, inner: bool = False) -> Row | None:
    """The first rule that hits one of the method names, counted down; rules for "*" never hit inner methods twice."""
    lower = {name.lower() for name in names}
    for rule in portal.faults:
        if rule["when"] != when or rule["count"] <= 0:
            continue
        if rule["method"].lower() in lower or (rule["method"] == "*" and not inner):
            rule["count"] -= 1
            portal.ledger.add("fault", rule=rule["id"], method=rule["method"], effect=rule["effect"], when=when)
            return rule
    return None


def broken(rule: Row, response: Response | None) -> Response:
    """The answer of a request that a rule (not "delay", not "error") has hit."""
    effect = rule["effect"]
    if effect == "drop":
        return Response(drop=True)
    if effect == "truncate":
        body = response.body if response is not None else b'{"result":true,"time":{"start":0}}'
        return Response(body=body, cut=True)
    status = rule.get("status") or (502 if effect == "html" else 500)
    page = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center><hr>nginx</body></html>"
    return Response(status=status, body=page.encode(), content_type="text/html; charset=utf-8")
