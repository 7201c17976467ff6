"""Everything at once, by chance from the printed seed (T2, T8, T14, T17): for CHAOS_MINUTES, and CHAOS_LEADS leads."""

from __future__ import annotations

import os
import random
import time

from journeys.office import MANAGERS
from journeys.shop import Shop

from .life import Life, verdict
from .scenes import CLIENT
from .tally import Tally

MINUTES = float(os.environ.get("CHAOS_MINUTES") or 10)
LEADS = int(os.environ.get("CHAOS_LEADS") or 10_000)
LONGEST_MINUTES = 75
"""So long leads come at most: two small cores bear some three a second."""


def test_thousands_of_leads_live_through_every_misfortune_at_random(
    shop: Shop, tally: Tally, chance: random.Random
) -> None:
    assert_nothing_lost(shop, tally, chance, LONGEST_MINUTES, LEADS)


def test_a_department_lives_through_every_misfortune_at_random(shop: Shop, tally: Tally, chance: random.Random) -> None:
    assert_nothing_lost(shop, tally, chance, MINUTES)


def assert_nothing_lost(shop: Shop, tally: Tally, chance: random.Random, minutes: float, leads: int = 0) -> None:
    """Lets people and misfortunes come; asserts that nothing is lost or doubled when everything came to rest."""
    began = time.monotonic()
    shop.office.back("morning")
    shop.office.at_work(*MANAGERS)
    shop.portal.place_robot(1, CLIENT, "stage_hint", properties={"text": "Позвоните"})
    life = Life(shop, chance)
    life.live(minutes * 60, leads)
    try:
        life.rest()
        restless = ""
    except AssertionError as error:  # what is not done by now will never be
        restless = str(error)
    found = verdict(life)
    found.lost += [restless] if restless else []
    row = tally.row("by chance", f"{len(life.leads)} leads, {sum(life.acts.values())} acts")
    row.tried = sum(life.misfortunes.values())
    row.lost, row.doubled = len(found.lost), len(found.doubled)
    row.survived = row.tried if found.good else 0
    row.seconds = time.monotonic() - began
    assert found.good, f"{found}\npeople: {dict(life.acts)}\nmisfortunes: {dict(life.misfortunes)}"
