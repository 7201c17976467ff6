"""`make bench`: our own code beside the barest of its kind and beside the limits that Bitrix24 sets.

Only ratios taken within one run are evidence: the machine is shared, so rounds alternate and the median is shown.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import (
    board,
    burst,
    cost,
    doors,
    jobs,
    memory,
    noisy,
    portals,
    priority,
    reconciliation,
    repair,
    slots,
    startup,
)
from benchmarks.report import Options, Report, printed, write

PARTS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        burst, cost, repair, noisy, priority, portals, reconciliation, doors, jobs, startup, memory, slots, board,
    )
}  # fmt: skip


def main() -> int:
    """Runs the named measurements (all by default); returns 0 when every goal is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=Options.rounds, help="of what is measured in turns")
    parser.add_argument("--minutes", type=float, default=Options.minutes, help="of watching memory")
    parser.add_argument("--speed", type=float, default=Options.speed, help="of the limits in the burst; 1 is theirs")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put what was found into this file")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    reports: dict[str, Report] = {}
    for name in options.parts or PARTS:
        began = time.monotonic()
        reports[name] = PARTS[name].report(Options(options.rounds, options.minutes, options.speed))
        sys.stdout.write(f"{printed(reports[name])}    {time.monotonic() - began:.0f} s\n\n")
        sys.stdout.flush()
        if options.write:  # after each: what was measured stays when a later part fails
            write(options.write, {name: reports[name]}, {part: _described(part) for part in PARTS})
    return 0 if all(report.met for report in reports.values()) else 1


def _described(part: str) -> str:
    return (PARTS[part].__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
