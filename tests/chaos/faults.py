"""Which faults a scene can meet: for every write that it causes, what may happen to it, and to whoever asked for it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from journeys.office import Row
from journeys.shop import Shop

from sandbox.method import METHODS, METHODS_V3, load_methods

from .stage import HELD_SECONDS, Stage

load_methods()

FAILURES: tuple[dict[str, Any], ...] = (
    {"effect": "status", "status": 500},
    {"effect": "html", "status": 502},
    {"effect": "error", "error": "QUERY_LIMIT_EXCEEDED", "status": 503},
)
REFUSALS: tuple[dict[str, Any], ...] = (
    {"effect": "error", "error": "INTERNAL_SERVER_ERROR", "status": 500},
    {"effect": "error", "error": "QUERY_LIMIT_EXCEEDED", "status": 503},
)
"""What a command inside a batch can answer: the batch's own status is 200 then."""


@dataclass(frozen=True)
class Write:
    """The `number`-th call of a method in the scene. `first`: no write stands before it in its request."""

    method: str
    number: int
    first: bool


@dataclass(frozen=True)
class Fault:
    """What goes wrong once: rules of the portal, or a cue of the SMS provider; `kill`: whoever asked dies meanwhile."""

    way: str
    at: str
    rules: tuple[dict[str, Any], ...] = ()
    cues: tuple[str, ...] = ()
    kill: bool = False
    in_doubt: bool = False
    mark: str = ""
    """Whoever runs by the launcher under this name dies by himself."""

    def __str__(self) -> str:
        return f"{self.way}: {self.at}"


def writes_among(requests: Iterable[Row]) -> Iterator[Write]:
    """Yields the writes of these requests, as the ledger has them; what a person's own page asks is none of ours."""
    count: Counter[str] = Counter()
    for request in requests:
        if request["user_id"] != 1:
            continue
        first = True
        for name in request["batch"] or [request["method"]]:
            short = name.removeprefix("api/")
            declared = (METHODS_V3 if name != short else METHODS).get(short)
            if declared is not None and declared.writes and short != "batch":
                yield Write(name, count[name], first)
                first = False
            count[name] += 1


def faults_of(writes: Iterable[Write], messages: int) -> Iterator[Fault]:
    """Yields every fault for these writes and SMS.

    What happens to the request as a whole belongs to its first write; the others have what can happen between two
    commands of a batch. The kinds of failure take turns, and so do deaths and others: the dead need time to come back.
    """
    failures, refusals = itertools.cycle(FAILURES), itertools.cycle(REFUSALS)
    for write in writes:
        at = f"{write.method} #{write.number + 1}"
        where = {"method": write.method, "skip": write.number}
        held = {**where, "effect": "cut", "seconds": HELD_SECONDS}
        dropped = {**where, "effect": "drop", "when": "after"}
        refused = {**where, **REFUSALS[0]}
        if write.first:
            yield Fault("killed before", at, ({**held, "when": "before"},), kill=True)
            yield Fault("answer lost", at, (dropped,))
            yield Fault("killed after", at, ({**held, "when": "after"},), kill=True)
            yield Fault("effect fails", at, ({**where, **next(failures)},))
        else:
            yield Fault("killed between", at, (refused, {**held, "when": "after"}), kill=True)
            yield Fault("effect fails", at, ({**where, **next(refusals)},))
            yield Fault("batch torn", at, (refused, dropped))
    for number in range(messages):
        at, before = f"SMS #{number + 1}", ("ok",) * number
        yield Fault("killed before", at, cues=(*before, "held"), kill=True, in_doubt=True)
        yield Fault("answer lost", at, cues=(*before, "lost"), in_doubt=True)
        yield Fault("killed after", at, cues=(*before, "held_after"), kill=True, in_doubt=True)
        yield Fault("effect fails", at, cues=(*before, "429"))


def set_up(shop: Shop, fault: Fault, who: str = "") -> None:
    """Lets the fault happen in what comes next; `who` dies by it, by default the worker that asked."""
    stage: Stage = shop.office  # type: ignore[assignment]
    last = stage.portal.last
    for rule in fault.rules:
        stage.control("POST", "faults", rule)
    shop.provider.cues.extend(fault.cues)
    if fault.mark:
        stage.mark(fault.mark).unlink(missing_ok=True)
    if fault.kill:
        whole = len(fault.rules)
        stage.condemn(
            shop.provider.holding.is_set if fault.cues else lambda: len(stage.portal.ledger(last, "fault")) >= whole,
            who,
        )


def was_met(shop: Shop, fault: Fault, last: int) -> bool:
    """Tells whether the fault happened: another order of events may have led past it."""
    stage: Stage = shop.office  # type: ignore[assignment]
    if fault.mark:
        return stage.mark(fault.mark).exists()
    if fault.kill:
        return bool(stage.killed)
    if fault.cues:
        return not shop.provider.cues
    return len(stage.portal.ledger(last, "fault")) >= len(fault.rules)
