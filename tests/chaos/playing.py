"""Plays scenes, with and without faults, and compares how they end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from journeys.shop import Shop

from .digest import Line, Outcome, compare, compare_in_doubt, digest
from .faults import Fault, faults_of, set_up, was_met, writes_among
from .scenes import Scene
from .stage import Stage
from .tally import Tally


class Player:
    """One scene on the stage: its state before and its end without faults. `victim` dies where a fault kills."""

    def __init__(self, shop: Shop, scene: Scene, victim: str = "") -> None:
        self.shop = shop
        self.stage: Stage = shop.office  # type: ignore[assignment]
        self.scene = scene
        self.victim = victim
        self.stage.back("morning")
        self.had: Any = scene.given(shop)
        self.stage.settle()
        self.stage.keep("scene")
        self.clean = self.play()
        self._last = self.stage.portal.last
        again = self.play()
        assert again == self.clean, f"{scene.name} does not end alike twice:\n{compare(self.clean, again)}"

    def faults(self) -> tuple[Fault, ...]:
        """Returns every fault that the scene's writes can meet; to be asked before it is played again."""
        writes = writes_among(self.stage.requests_since(self._last))
        return tuple(faults_of(writes, len(self.shop.provider.sent)))

    def play(self, fault: Fault | None = None) -> Counter[Line]:
        """Plays the scene from its beginning to where nothing is left to do; returns how it ends."""
        self.stage.back("scene")
        if fault is not None:
            set_up(self.shop, fault, self.victim)
        self.scene.play(self.shop, self.had)
        self.stage.settle()
        return digest(self.shop)

    def suffer(self, fault: Fault) -> tuple[bool, Outcome]:
        """Plays the scene with the fault; returns whether it happened, and what is lost or doubled by it."""
        last = self.stage.portal.last
        try:
            got = self.play(fault)
        except AssertionError as error:  # what people wait for does not come, or it never ends
            return True, Outcome(Counter({("end", str(error)): 1}), Counter())
        met = was_met(self.shop, fault, last)
        self.stage.pardon()
        return met, (compare_in_doubt if fault.in_doubt else compare)(self.clean, got)


def sweep(player: Player, faults: Iterable[Fault], tally: Tally, part: str, name: str = "") -> list[str]:
    """Plays the scene once with each fault; returns what went wrong, in words."""
    began = time.monotonic()
    row = tally.row(part, name or player.scene.name)
    wrong = []
    for fault in faults:
        met, outcome = player.suffer(fault)
        row.add(sum(outcome.lost.values()), sum(outcome.doubled.values()), met=met)
        if not outcome.good:
            wrong.append(f"{player.scene.name}, {fault}\n{outcome}")
    row.seconds += time.monotonic() - began
    return wrong
