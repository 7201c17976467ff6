"""`python -m sandbox`: a portal and its authorization server on this machine, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sandbox import state, tokens
from sandbox.world import World


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal; 0 after a clean end, 1 when an address is taken."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Локальный портал / a local portal")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0: any free port")
    parser.add_argument("--oauth-port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-limits", action="store_true")
    parser.add_argument("--speed", type=float, default=1.0, help="all clocks N times faster")
    parser.add_argument("--state", type=Path, help="file in which the portal is kept between runs")
    options = parser.parse_args(argv)
    if options.speed <= 0:
        parser.error("--speed must be above 0")
    world = World(speed=options.speed)
    try:
        world.start(options.host, options.oauth_port)
        portal = world.add_portal(options.host, options.port, seed=options.seed)
    except OSError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    portal.limits.enabled = not options.no_limits
    if options.state is not None and options.state.exists():
        state.load(portal, options.state)
    with portal.lock:
        webhook = portal["webhooks"].get(1)
        application = portal["applications"].get(1)
        administrator = portal.user(1)
        if webhook is None or application is None or administrator is None:
            print("sandbox: the state has no administrator, webhook or application", file=sys.stderr)
            return 1
        token = tokens.issue(portal, application, administrator)
        ready = {
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
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    print(json.dumps(ready), flush=True)
    while not stop.wait(30):
        if options.state is not None:
            state.save(portal, options.state)
    world.stop()
    if options.state is not None:
        state.save(portal, options.state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
