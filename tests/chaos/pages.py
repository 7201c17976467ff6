"""Buttons of our pages that take a measurer's time, pressed by a person who presses again when he gets no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests
from journeys.office import ANNA, Row
from journeys.shop import ADDRESS, FEDOR, Shop

from sandbox.client import ControlFailed

from .faults import FAILURES, Fault
from .scenes import booked, confirmed, held, measurer_falls_ill
from .stage import HELD_SECONDS, Stage

Wish = tuple[str, Row]


@dataclass(frozen=True)
class Press:
    """A button: what was there before, what the page asks, and how a person sees that it is done.

    `ours`: it is kept in our own database, and the portal learns of it from a worker.
    """

    name: str
    given: Callable[[Shop], Any]
    wish: Callable[[Shop, Any], Wish]
    done: Callable[[Shop, Any], bool]
    ours: bool = True

    def once(self, shop: Shop, had: Any) -> None:
        """He presses and gets his answer."""
        action, wish = self.wish(shop, had)
        assert shop.press(action, wish, ANNA)["done"]

    def until_done(self, shop: Shop, had: Any) -> None:
        """He presses until he sees that it is done."""
        action, wish = self.wish(shop, had)

        def press() -> bool:
            if self.done(shop, had):
                return True
            try:
                return bool(shop.press(action, wish, ANNA)["done"])
            except (AssertionError, ControlFailed, requests.RequestException):
                return False  # a page that says that something went wrong, or no page at all

        with ThreadPoolExecutor(1) as pool:  # whoever waits for the answer cannot kill who should give it
            pressed = False
            while not pressed:
                answer = pool.submit(press)
                shop.office.until(answer.done, "an answer to the button", 90)
                pressed = answer.result()
                shop.office.hurry()


def faults_of_page(count: int) -> Iterator[Fault]:
    """Yields what may go wrong while a page asks the portal `count` times, and afterwards."""
    for number in range(count):
        at, where = f"request #{number + 1}", {"method": "*", "skip": number}
        yield Fault("killed before", at, ({**where, "effect": "cut", "seconds": HELD_SECONDS},), kill=True)
        yield Fault("effect fails", at, ({**where, **FAILURES[number % len(FAILURES)]},))
        yield Fault("answer lost", at, ({**where, "effect": "drop", "when": "after"},))


def requests_of(shop: Shop, press: Press, had: Any) -> int:
    """Returns how many requests the page itself makes: nobody else works meanwhile."""
    stage: Stage = shop.office  # type: ignore[assignment]
    stage.pause(*stage.workers)
    try:
        last = stage.portal.last
        press.once(shop, had)
        return len(stage.requests_since(last))
    finally:
        stage.go_on(*stage.workers)


# what stands before, what is pressed


def _found(shop: Shop) -> Row:
    lead_id = shop.lead()
    slot = shop.press("find", {"entity": f"lead:{lead_id}"}, ANNA)["slots"][0]
    return {"entity": f"lead:{lead_id}", "measurer": slot["measurer"], "start": slot["start"]}


def _lead(entity: str) -> int:
    return int(entity.partition(":")[2])


def _is(*states: str) -> Callable[[Shop, Any], bool]:
    def done(shop: Shop, had: Any) -> bool:
        rows = shop.visits(had if isinstance(had, int) else _lead(had["entity"]))
        return bool(rows) and rows[0]["state"] in states

    return done


def _about_visit(action: str, **more: Any) -> Callable[[Shop, int], Wish]:
    def wish(shop: Shop, lead_id: int) -> Wish:
        return action, {"visit": shop.visits(lead_id)[-1]["id"], **more}

    return wish


def _move(shop: Shop, lead_id: int) -> Wish:
    return _about_visit("move", measurer=FEDOR, start=shop.day(6, 12).isoformat())(shop, lead_id)


def _is_fedors(shop: Shop, lead_id: int) -> bool:
    return bool(shop.visits(lead_id)[0]["measurer_id"] == FEDOR)


def _measurer_is_ill(shop: Shop) -> int:
    lead_id = confirmed(shop)
    measurer_falls_ill(shop, lead_id)
    return lead_id


def _without_address(shop: Shop) -> int:
    return shop.lead(**{ADDRESS: ""})


def _has_address(shop: Shop, lead_id: int) -> bool:
    return "Мира, 5" in str(shop.office.lead(lead_id))  # as people see it: the faults hit every call


def _start(shop: Shop, wish: Row) -> bool:
    rows = shop.visits(_lead(wish["entity"]))
    return bool(rows) and rows[0]["starts_at"] == datetime.fromisoformat(wish["start"])


PRESSES = (
    Press("page: hold", _found, lambda shop, wish: ("hold", wish), _is("held")),
    Press("page: book", _found, lambda shop, wish: ("book", wish), _start),
    Press("page: release", held, _about_visit("release"), _is("cancelled")),
    Press("page: move", booked, _move, _is_fedors),
    Press("page: confirm", booked, _about_visit("happen", how="agree"), _is("confirmed")),
    Press("page: cancel", confirmed, _about_visit("happen", how="cancel"), _is("cancelled")),
    Press("page: replace", _measurer_is_ill, _about_visit("replace"), _is_fedors),
    Press(
        "page: address",
        _without_address,
        lambda shop, lead_id: ("address", {"entity": f"lead:{lead_id}", "address": "Мира, 5"}),
        _has_address,
        ours=False,
    ),
)
