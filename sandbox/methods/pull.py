"""Where an application's client listens for commands of its back end (settings/interactivity/push-and-pull)."""

from __future__ import annotations

from sandbox import pull
from sandbox.method import Call, Row, method


@method(
    "pull.application.config.get",
    scope="pull",
    application="WRONG_AUTH_TYPE",
    params="CACHE REOPEN",
    cost=(0.0, 0.02),
)
def config_get(call: Call) -> Row:
    """Channels live twelve hours; web sockets are off, so that clients poll."""
    portal, client_id = call.portal, call.application_only()["CLIENT_ID"]
    shared, private = pull.channel(portal, client_id, 0), pull.channel(portal, client_id, call.user_id)
    address = portal.url + pull.PATH
    return {
        "server": {
            "version": 4, "server_enabled": True, "mode": "personal", "hostname": portal.host, "long_polling": address,
            "long_pooling_secure": address, "websocket_enabled": False, "websocket": "", "websocket_secure": "",
            "publish_enabled": False, "publish": "", "publish_secure": "", "config_timestamp": int(shared["START"]),
        },
        "api": {"revision_web": 19, "revision_mobile": 3},
        "channels": {
            "shared": _facts(call, shared, "shared"),
            "private": {**_facts(call, private, "private"), "public_id": private["PUBLIC"]},
        },
        "exp": int(private["END"]),
        "publicChannels": {
            str(call.user_id): {
                "user_id": call.user_id, "public_id": private["PUBLIC"], "signature": private["PUBLIC"][::-1],
                "start": portal.iso(private["START"]), "end": portal.iso(private["END"]),
            }
        },
    }  # fmt: skip


def _facts(call: Call, row: Row, kind: str) -> Row:
    start, end = call.portal.iso(row["START"]), call.portal.iso(row["END"])
    return {"id": row["CHANNEL"], "start": start, "end": end, "type": kind}
