"""Two processes die in one storm, each at a named point: every pair of points that two processes can die at (T2)."""

from __future__ import annotations

import itertools
import time

import pytest
from journeys.shop import Shop
from journeys.test_storm import OF_CALLS, victim_of

from .around import Storm
from .tally import Tally

POINTS = [point for point in OF_CALLS if not point.startswith("token")]
"""Without the token's: its only pair dies with the process, and an administrator has to come."""
PATIENCE = 4.0
"""So long after a wave another comes, where somebody who is to die had nothing to do."""


def victims_of(first: str, second: str) -> tuple[str, str] | None:
    """Returns the two processes; None where the points stand in one process and it would die at the first."""
    victims = victim_of(first), victim_of(second)
    if victims[0] == victims[1]:
        return ("worker-0", "worker-1") if victims[0] == "worker-0" else None
    return victims


PAIRS = [
    (first, second)
    for first, second in itertools.combinations_with_replacement(POINTS, 2)
    if victims_of(first, second) is not None
]


@pytest.mark.parametrize("first", dict.fromkeys(first for first, _ in PAIRS))
def test_two_processes_die(shop: Shop, tally: Tally, first: str) -> None:
    for second in (second for one, second in PAIRS if one == first):
        die_together(Storm(shop, tally, f"{first}, and another", part="two deaths in one storm"), first, second)


def die_together(storm: Storm, first: str, second: str) -> None:
    """Lets enquiries come until both have died at their points, and everything come to rest."""
    stage, victims = storm.stage, victims_of(first, second)
    assert victims is not None
    markers = [stage.mark(f"{name} {point}") for name, point in zip(victims, (first, second), strict=True)]
    for name, point, marker in zip(victims, (first, second), markers, strict=True):
        marker.unlink(missing_ok=True)
        stage.restart(name, crash=f"{point}:{marker}")
    stage.until(lambda: all(map(stage.is_up, ("web", *stage.workers))), "everything is up", 90)
    for _ in range(10):
        storm.wave()
        came = time.monotonic()
        stage.until(
            lambda came=came: all(marker.exists() for marker in markers) or time.monotonic() > came + PATIENCE, "deaths"
        )
        if all(marker.exists() for marker in markers):
            break
    assert [marker.name for marker in markers if not marker.exists()] == []
    storm.end()
