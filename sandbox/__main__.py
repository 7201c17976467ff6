"""`python -m sandbox`: portals and their authorization server on this machine, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from sandbox import growth, state
from sandbox.world import World

_SIZES = {"people": "сотрудников", "leads": "лидов", "deals": "сделок", "calls": "звонков", "events": "встреч"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Локальный портал / a local portal")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0: any free port")
    parser.add_argument("--oauth-port", type=int, default=0)
    parser.add_argument("--portals", type=int, default=1, help="how many; all but the first on any free port")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-limits", action="store_true")
    parser.add_argument("--speed", type=float, default=1.0, help="all clocks N times faster")
    parser.add_argument("--state", type=Path, help="file in which the portals are kept between runs")
    parser.add_argument("--tls", action="store_true", help="https with a certificate of its own; prints its authority")
    for name, word in _SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=0, help=f"не меньше стольких {word} / at least so many")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal; 0 after a clean end, 1 when an address is taken or the state cannot be read."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.speed <= 0:
        parser.error("--speed must be above 0")
    if options.portals < 1:
        parser.error("--portals must be at least 1")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    world = World(speed=options.speed)
    with ExitStack() as stack:
        ca = context = None
        if options.tls:
            from sandbox import tls

            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sandbox-tls-")))
            ca, context = tls.make(folder, sorted({options.host, "127.0.0.1", "localhost"}))
        try:
            kept = state.load(options.state) if options.state is not None and options.state.exists() else []
            world.start(options.host, options.oauth_port, context)
            for index in range(max(options.portals, len(kept))):
                world.add_portal(options.host, 0 if index else options.port, seed=options.seed + index)
        except (OSError, sqlite3.DatabaseError) as error:
            print(f"sandbox: {error}", file=sys.stderr)
            return 1
        for portal, (facts, snapshots) in zip(world.portals, kept, strict=False):
            state.put(portal, facts)
            portal.snapshots = snapshots
            portal.oauth_url = world.authorities[portal.settings.oauth - 1].url
        for portal in world.portals:
            portal.limits.enabled = not options.no_limits
            growth.grow(portal, **{name: getattr(options, name) for name in _SIZES})
        ready = world.describe(world.portals[0])
        if ca is not None:
            ready["ca"] = str(ca)
        if len(world.portals) > 1:
            ready["portals"] = [ready.copy(), *(world.describe(portal) for portal in world.portals[1:])]
        print(json.dumps(ready), flush=True)
        while not stop.wait(30):
            if options.state is not None:
                state.save(world.portals, options.state)
        world.stop()
        if options.state is not None:
            state.save(world.portals, options.state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
