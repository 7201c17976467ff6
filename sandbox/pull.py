"""The Push&Pull server of a portal: channels of applications, and long polling on them (settings/interactivity).

A client asks pull.application.config.get, then GET {long_polling}?CHANNEL_ID=<id>/<id>&format=json[&mid=<last>] again
and again. An answer is a list of commands, or 304 when there was none; a channel that is not known, or over, is a 403.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs

from sandbox.method import Row
from sandbox.portal import Portal
from sandbox.server import Request, Response

CHANNEL_LIFE = 12 * 3600
POLL_SECONDS = 20.0
LOOK_SECONDS = 0.05
KEPT = 500
PATH = "/sub/"


def channel(portal: Portal, client_id: str, user_id: int) -> Row:
    """The present channel of an application (user 0: the one that all share), a new one where the last is over."""
    now = portal.now()
    for row in list(portal["pull_channels"].where(CLIENT_ID=client_id, USER_ID=user_id)):
        if row["END"] > now:
            return row
        portal["pull_channels"].remove(row["ID"])
    fresh: Row = {
        "CLIENT_ID": client_id, "USER_ID": user_id, "CHANNEL": portal.secret(32), "PUBLIC": portal.secret(32),
        "START": now, "END": now + CHANNEL_LIFE,
    }  # fmt: skip
    return portal["pull_channels"].add(fresh)


def poll(portal: Portal, request: Request) -> Response:
    """Waits for commands on the channels that the request names."""
    asked = parse_qs(request.query)
    names = asked.get("CHANNEL_ID", [""])[-1].split("/")
    after = asked.get("mid", [""])[-1]
    with portal.lock:
        now = portal.now()
        channels = [row for row in portal["pull_channels"] if row["CHANNEL"] in names and row["END"] > now]
        last = int(after) if after.isdigit() else portal["pull"].last
    if not channels:
        return Response(403, b"", "text/plain")
    until = time.monotonic() + POLL_SECONDS
    while time.monotonic() < until:
        with portal.lock:
            found = [made for row in portal["pull"].between(last + 1) if (made := _command(portal, row, channels))]
        if found:
            body = json.dumps(found, ensure_ascii=False)
            if asked.get("format", [""])[-1] != "json":
                body = "\r\n".join(f"#!NGINXNMS!#{json.dumps(one, ensure_ascii=False)}#!NGINXNME!#" for one in found)
            return Response(200, body.encode())
        time.sleep(LOOK_SECONDS)
    return Response(304, b"", "text/plain")


def _command(portal: Portal, row: Row, channels: list[Row]) -> Row | None:
    for one in channels:
        meant = one["USER_ID"] in row["USERS"] if row["USERS"] else one["USER_ID"] == 0
        if one["CLIENT_ID"] == row["CLIENT_ID"] and meant:
            at = datetime.fromtimestamp(row["AT"], UTC)
            return {
                "id": row["ID"], "mid": str(row["ID"]).zfill(20), "channel": one["CHANNEL"], "tag": str(row["ID"]),
                "time": format_datetime(at, usegmt=True),
                "text": {"module_id": row["MODULE_ID"], "command": row["COMMAND"], "params": row["PARAMS"]},
                "extra": {
                    "server_time": portal.iso(row["AT"]), "server_time_unix": row["AT"],
                    "server_time_ago": max(0, int(portal.now() - row["AT"])), "server_name": portal.host,
                    "revision": 19, "revisionMobile": 3,
                },
            }  # fmt: skip
    return None
