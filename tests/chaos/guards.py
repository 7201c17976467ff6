"""Each guard is taken away once, and the run is red; with the guard the same is green (sweep.py, around.py)."""

from __future__ import annotations

import pytest
from journeys.shop import Shop

from .around import renewed_at_once
from .playing import Player
from .scenes import SCENES
from .tally import Tally
from .trials import RED, TRIALS, Trial


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.guard)
def test_a_run_without_a_guard_is_red(shop: Shop, tally: Tally, trial: Trial) -> None:
    player = Player(shop, next(scene for scene in SCENES if scene.name == trial.scene))
    try:
        assert not trial.run(player, tally).good
    finally:
        player.stage.without("", *(trial.processes or player.stage.workers))


def test_a_run_without_the_tokens_lease_is_red(shop: Shop, tally: Tally) -> None:
    lost, doubled = renewed_at_once(shop, guard="token lease")
    tally.row(RED, "token lease").add(lost, doubled)
    assert doubled
