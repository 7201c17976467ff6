"""The short part of the faults, for every run of the tests; the whole is `make chaos` (docs/chaos.md)."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from journeys.shop import Shop

from .around import Storm, put_an_older_copy_back
from .playing import Player, sweep
from .scenes import SCENES
from .tally import Tally
from .trials import TRIALS, Trial

BRIEFLY = {"missed call": 8, "our client": 6, "visit confirmed": 8, "robots find, book, confirm": 6}
"""Scenes, and how many of their faults are tried; which ones, the seed says."""


@pytest.mark.parametrize("name", BRIEFLY)
def test_some_writes_of_a_scene_go_wrong(shop: Shop, tally: Tally, chance: random.Random, name: str) -> None:
    player = Player(shop, next(scene for scene in SCENES if scene.name == name))
    wrong = sweep(player, chance.sample(player.faults(), BRIEFLY[name]), tally, "some writes of some scenes")
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def enquiry(shop: Shop) -> Iterator[Player]:
    """A scene in which each of these guards is missed; it is played with them first."""
    yield Player(shop, next(scene for scene in SCENES if scene.name == "web form"))
    shop.office.without("", *shop.office.workers)


@pytest.mark.parametrize("trial", TRIALS[:2], ids=lambda trial: trial.guard)
def test_a_run_without_a_guard_is_red(enquiry: Player, tally: Tally, trial: Trial) -> None:
    assert not trial.run(enquiry, tally).good


def test_our_database_is_an_older_copy(shop: Shop, tally: Tally) -> None:
    put_an_older_copy_back(Storm(shop, tally, "our database is an older copy"))
