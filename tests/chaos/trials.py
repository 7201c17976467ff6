"""Runs with one guard taken away: a fault that the application survives must be seen then, as lost or doubled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .digest import Outcome
from .faults import Fault
from .playing import Player
from .tally import RED, Tally


@dataclass(frozen=True)
class Trial:
    """A guard, the scene and the fault with which it is missed, and in which processes it stands."""

    guard: str
    scene: str
    fault: Callable[[Player], Fault]
    processes: tuple[str, ...] = ()

    def run(self, player: Player, tally: Tally) -> Outcome:
        """Plays the scene with the fault and without the guard, which stays away; with it, the sweep plays the same."""
        began = time.monotonic()
        fault = self.fault(player)
        player.stage.without(self.guard, *(self.processes or player.stage.workers))
        met, outcome = player.suffer(fault)
        assert met, f"{self.guard}: the fault found nothing to break"
        row = tally.row(RED, self.guard)
        row.add(sum(outcome.lost.values()), sum(outcome.doubled.values()))
        row.seconds += time.monotonic() - began
        return outcome


def _at(way: str, method: str) -> Callable[[Player], Fault]:
    return lambda player: next(f for f in player.faults() if f.way == way and f.at.startswith(method))


def _slow(method: str, seconds: float) -> Callable[[Player], Fault]:
    rule = {"method": method, "effect": "delay", "seconds": seconds}
    return lambda player: Fault("slow", method, (rule,))


TRIALS = (
    Trial("journal", "web form", _at("killed after", "crm.item.update")),
    Trial("look-up", "web form", _at("answer lost", "crm.item.update")),
    Trial("claim lease", "web form", _slow("crm.timeline.comment.add", 6)),
    Trial("queue transaction", "timer: reminder", lambda _: Fault("killed", "", mark="queue transaction"), ("clock",)),
)
"""The token's lease has a test of its own: what is doubled without it are renewals, not lines of the portal."""
