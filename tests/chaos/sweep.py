"""Every write of every scene goes wrong in every way, once: the portal ends as if nothing had happened (T1, T5-T7)."""

from __future__ import annotations

import pytest
from journeys.shop import Shop

from .faults import Fault
from .pages import PRESSES, Press, faults_of_page, requests_of
from .playing import Player, sweep
from .scenes import SCENES, Scene
from .stage import Stage
from .tally import Tally

DEATH = "after a page's transaction"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_write_of_a_scene_goes_wrong_in_every_way(shop: Shop, tally: Tally, scene: Scene) -> None:
    player = Player(shop, scene)
    wrong = sweep(player, player.faults(), tally, "every write of every scene")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("press", PRESSES, ids=lambda press: press.name)
def test_the_web_fails_or_dies_at_every_request_of_a_page_and_the_person_presses_again(
    shop: Shop, tally: Tally, press: Press
) -> None:
    player = Player(shop, Scene(press.name, press.until_done, press.given), victim="web")
    stage: Stage = player.stage
    stage.back("scene")
    asked = requests_of(shop, press, player.had)
    stage.settle()
    wrong = sweep(player, faults_of_page(asked), tally, "every request of every page")
    if press.ours:
        stage.without(DEATH, "web")
        wrong += sweep(player, [Fault("killed after", "transaction", mark=DEATH)], tally, "every request of every page")
        stage.without("", "web")
    assert not wrong, "\n".join(wrong)
