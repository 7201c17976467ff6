"""One portal as authors see it: which errors end a read, and which wait until they are looked at."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_portal import Bench, ScriptedRest

from b24app.bitrix import reads
from b24app.bitrix.portal import Found
from b24app.engine.declare import Catalogue
from b24app.entities import LEAD, ItemRef
from b24app.errors import AccessDenied, NotFound, Temporary
from b24app.store.database import Database

ROW = {"id": 42, "title": "x", "createdTime": "2026-11-23T10:00:00+03:00"}


def portal(database: Database, answers: dict[str, Any], **facts: Any) -> Any:
    rest = ScriptedRest(lambda call: answers[call.method])
    return Bench(database, rest, Catalogue(), facts=facts).open_portal("m")


def test_answers_are_entities(database: Database) -> None:
    found = portal(database, {"crm.item.get": {"item": ROW}}).read({"item": reads.item(LEAD, 42)})
    assert found["item"].ref == ItemRef(LEAD, 42)
    assert list(found) == ["item"]


def test_an_error_waits_until_it_is_looked_at(database: Database) -> None:
    answers = {"crm.item.get": NotFound("нет"), "timeman.status": AccessDenied("нельзя"), "user.get": []}
    found = portal(database, answers).read(
        {"item": reads.item(LEAD, 42), "clock": reads.clock(11), "users": reads.users([11])}
    )
    with pytest.raises(NotFound):
        found["item"]
    assert found.maybe("clock", "unused") == "unused"
    assert found.maybe("item", None) is None
    assert found.maybe("never asked", 7) == 7
    assert found["users"] == []


def test_passing_trouble_of_what_is_needed_ends_the_whole_read(database: Database) -> None:
    answers = {"crm.item.get": Temporary("позже"), "user.get": []}
    with pytest.raises(Temporary):
        portal(database, answers).read({"item": reads.item(LEAD, 42), "users": reads.users([11])})


def test_passing_trouble_of_something_optional_does_not(database: Database) -> None:
    answers = {"timeman.status": Temporary("позже"), "user.get": []}
    asked: dict[str, reads.Read[Any]] = {"clock": reads.clock(11), "users": reads.users([11])}
    found = portal(database, answers).read(asked, optional=frozenset({"clock"}))
    assert found.maybe("clock", "unused") == "unused"


def test_maybe_still_raises_what_will_pass() -> None:
    with pytest.raises(Temporary):
        Found({"a": Temporary("позже")}).maybe("a", None)


@pytest.mark.parametrize(
    ("facts", "simple", "v3"),
    [({}, False, True), ({"crm_mode": 1}, False, True), ({"crm_mode": 2, "rest_v3": False}, True, False)],
)
def test_what_is_known_of_the_portal(database: Database, facts: dict[str, Any], simple: bool, v3: bool) -> None:
    known = portal(database, {}, **facts)
    assert (known.simple_mode, known.rest_v3) == (simple, v3)
    assert known.card_url(ItemRef(LEAD, 42)) == "https://acme.bitrix24.ru/crm/lead/details/42/"
    assert known.app_path("?x=1") == "/marketplace/view/local.1/?x=1"
