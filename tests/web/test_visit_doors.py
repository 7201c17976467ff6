"""POST /visits/*: who may press a button, what is taken and what is not, bad bodies; the doors before a stub portal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from scripted_visits import (
    ADDRESS,
    CHIEF,
    DAY,
    HOUR,
    OLEG,
    PAUL,
    TODAY,
    Shop,
    around_the_clock,
    later,
    want,
    works,
)
from werkzeug.test import TestResponse

from b24app import config
from b24app.errors import B24AppError
from b24app.rules.confirmation import State
from b24app.services import Services, build
from b24app.store import schema, visits
from b24app.store.applied import Applied
from b24app.store.memory import Memory
from b24app.store.visits import VisitRow, Wanted
from b24app.web import create_app
from b24app.web.gate import Passes, Visitor
from tests.web import stub as portal_stub
from tests.web.conftest import CATALOGUE, SECRET
from tests.web.stub import CLIENT_ID, MEMBER_ID, Refused, Stub, frame

MANAGER, STRANGER, ADMIN = 5, 9, 1
TOKENS = {
    MANAGER: "manager-access",
    STRANGER: "stranger-access",
    CHIEF: "chief-access",
    PAUL: "paul-access",
    ADMIN: "admin-access",
}
ON_ITEM, ON_VISIT = ("find", "hold", "book", "address"), ("release", "happen", "move", "replace")
ACTIONS = (*ON_ITEM, *ON_VISIT, "board")


class ShopStub(Stub):
    """The stub portal with a shop behind it. `editors` may change its items, administrators always may."""

    shop: Shop
    editors: set[str]
    blind: set[str]

    def __init__(self) -> None:
        super().__init__()
        self._server.RequestHandlerClass.disable_nagle_algorithm = True  # type: ignore[attr-defined]
        self.renew()

    def renew(self) -> None:
        """Begins anew, with nothing in it."""
        self.shop = Shop()
        self.shop.people[MANAGER] = {"ID": "5", "ACTIVE": True, "NAME": "Вера", "UF_DEPARTMENT": [5]}
        self.editors, self.blind = {str(MANAGER)}, set()
        self.refuse.clear()
        self.asked.clear()

    def _method(self, method: str, params: dict[str, Any], person: dict[str, Any]) -> Any:
        ours = getattr(self.shop, method.replace(".", "_"), None)
        if ours is None or method in self.refuse:
            return super()._method(method, params, person)
        self.asked.append(method)
        closed = {"crm.item.get": person["ID"] in self.blind, "crm.item.update": person["ID"] not in self.editors}
        if closed.get(method) and not person["ADMIN"]:
            raise Refused("ACCESS_DENIED", "Access denied", 403)
        if method == "crm.item.update" and "assignedById" in params["fields"]:
            return {"item": {}}  # the same responsible again (batch's $result): nothing changes
        answer = ours(_numbers(params))
        if isinstance(answer, B24AppError):
            raise Refused(getattr(answer, "code", ""), str(answer))
        return getattr(answer, "result", answer)


def _numbers(value: Any) -> Any:
    """Forms carry text; the shop counts by numbers."""
    if isinstance(value, Mapping):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return int(value) if isinstance(value, str) and value.isdigit() else value


@pytest.fixture(scope="module")
def serving() -> Iterator[ShopStub]:
    stub = ShopStub()
    yield stub
    stub.stop()


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, sqlite_file: Path, serving: ShopStub, redis_url: str
) -> Iterator[Services]:
    """An application that is installed on the portal, its process applied."""
    file = shutil.copy(sqlite_file, tmp_path_factory.mktemp("visits"))
    settings = config.Settings.model_validate(
        {
            "app": {"public_url": "https://app.example.com", "secret_key": SECRET},
            "bitrix24": {"oauth_url": serving.url, "js_url": f"{serving.url}/api/v1/"},
            "portals": [{"host": serving.host, "client_id": CLIENT_ID, "client_secret": "s3cr3t"}],
            "database": {"url": f"sqlite:///{file}"},
        }
    )
    made = replace(build(settings, CATALOGUE, redis_url), playbook=around_the_clock(**works(120)))
    made.redis.flushdb()
    assert 'data-ready="1"' in create_app(made).test_client().post("/install?LANG=ru", data=frame("admin-access")).text
    Applied(made.database, MEMBER_ID).record("lead.stage:new", "NEW", made=True)
    yield made
    made.dispose()


@pytest.fixture
def stub(serving: ShopStub, monkeypatch: pytest.MonkeyPatch) -> ShopStub:
    """The portal with a shop of its own for every test."""
    for id, name in ((CHIEF, "Мастер"), (STRANGER, "Чужой"), (PAUL, "Павел")):
        monkeypatch.setitem(portal_stub.PEOPLE, TOKENS[id], {"ID": str(id), "NAME": name, "ADMIN": False})
    serving.renew()
    return serving


@pytest.fixture
def services(built: Services, stub: ShopStub) -> Services:
    """The application before anything happened."""
    built.redis.flushdb()
    with built.database.write() as connection:
        for table in (schema.visit_cells, schema.visits, schema.deliveries, schema.timers, schema.snapshots):
            connection.execute(sa.delete(table))
    return built


@pytest.fixture(scope="module")
def doors(built: Services) -> Flask:
    return create_app(built)


@pytest.fixture
def client(doors: Flask, services: Services) -> FlaskClient:
    return doors.test_client()


Press = Callable[..., TestResponse]


@pytest.fixture
def press(client: FlaskClient, services: Services) -> Press:
    """Returns what a page of ours is answered when somebody presses a button there."""
    passes = Passes(services.settings)

    def posted(action: str, wish: Any, who: int = MANAGER, **changes: Any) -> TestResponse:
        visitor = Visitor(MEMBER_ID, who, who == ADMIN, changes.pop("language", "ru"))
        body = {"token": TOKENS[who], **wish} if isinstance(wish, dict) else wish
        authorization = {"Authorization": f"Bearer {passes.issue(visitor)}"}
        return client.post(f"/visits/{action}", json=body, headers=authorization)

    return posted


def done(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def words(answer: TestResponse) -> str:
    """The words of a refusal, for people."""
    body = answer.get_json()
    assert isinstance(body, dict)
    assert list(body) == ["error"]
    assert body["error"].strip()
    return str(body["error"])


def take(services: Services, wanted: Wanted, **kept: Any) -> VisitRow:
    """Takes a time without a page."""
    with services.database.write() as connection:
        one = Memory(services.database, connection, MEMBER_ID)
        row = visits.take(one, wanted)
        if kept:
            visits.keep(one, row.id, kept)
        found = visits.visit(one, row.id)
        assert found is not None
        return found


def rows(services: Services, entity: str = "") -> list[tuple[State, int, datetime]]:
    """Returns every visit, the oldest first: (state, measurer, start)."""
    table = schema.visits
    with services.database.read() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.id)).mappings()
        return [(row["state"], row["measurer_id"], row["starts_at"]) for row in found if entity in ("", row["entity"])]


def deliveries(services: Services) -> list[str]:
    with services.database.read() as connection:
        return [row.entity for row in connection.execute(sa.select(schema.deliveries.c.entity))]


def everything(services: Services) -> list[Any]:
    """All that a button may change in our own database."""
    timers = sa.select(schema.timers).where(schema.timers.c.key != visits.WATCH)
    tables = (schema.visits, schema.visit_cells, schema.deliveries)
    with services.database.read() as connection:
        return [connection.execute(query).all() for query in (*map(sa.select, tables), timers)]


@pytest.fixture
def lead(stub: ShopStub) -> str:
    return f"lead:{stub.shop.lead()}"


def slot(days: int = 3, measurer: int = OLEG, **more: Any) -> dict[str, Any]:
    return {"measurer": measurer, "start": later(days).isoformat(), **more}


# who may


@pytest.mark.parametrize("action", ACTIONS)
def test_without_a_pass_nothing_is_answered_and_nobody_is_asked(
    client: FlaskClient, services: Services, stub: ShopStub, lead: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(services, want(lead, later(3)))
    before = everything(services)
    good = Passes(services.settings).issue(Visitor(MEMBER_ID, MANAGER, False))
    foreign = services.settings.app.model_copy(update={"secret_key": "x" * 40})
    forged = Passes(services.settings.model_copy(update={"app": foreign})).issue(Visitor(MEMBER_ID, ADMIN, True))
    wish = {"entity": lead, "visit": 1, "token": TOKENS[MANAGER], "from": "2026-11-23", "to": "2026-11-30", **slot()}
    for authorization in (None, "", "Bearer ", f"Bearer {forged}", f"Bearer {good}x", f"Basic {good}", good):
        headers = {} if authorization is None else {"Authorization": authorization}
        assert client.post(f"/visits/{action}", json=wish, headers=headers).status_code == 403
    monkeypatch.setattr("b24app.web.gate.PASS_SECONDS", -1)
    answer = client.post(f"/visits/{action}", json=wish, headers={"Authorization": f"Bearer {good}"})
    assert (answer.status_code, "пропуск истёк" in words(answer)) == (403, True)
    assert stub.asked == []
    assert everything(services) == before


FOREIGN_TOKENS = {
    "somebody else's": ("admin-access", 403),
    "unknown": ("nobody's", 403),
    "empty": ("", 400),
    "none": (None, 400),
    "a number": (5, 400),
    "a list": (["manager-access"], 400),
    "long": ("x" * 5000, 400),
}


@pytest.mark.parametrize("action", [*ON_ITEM, *ON_VISIT])
@pytest.mark.parametrize(("token", "status"), FOREIGN_TOKENS.values(), ids=FOREIGN_TOKENS)
def test_the_token_is_the_persons_own(
    press: Press, services: Services, lead: str, action: str, token: Any, status: int
) -> None:
    row = take(services, want(lead, later(3)))
    before = everything(services)
    wish = {"entity": lead, "visit": row.id, "address": "Садовая, 1", "how": "cancel", **slot(4), "token": token}
    answer = press(action, wish)
    assert answer.status_code == status, answer.text
    assert words(answer)
    assert everything(services) == before


@pytest.mark.parametrize("action", ON_ITEM)
@pytest.mark.parametrize("right", ["change", "see"])
def test_whoever_may_not_change_the_card_takes_nothing(
    press: Press, services: Services, stub: ShopStub, lead: str, action: str, right: str
) -> None:
    if right == "see":
        stub.editors.add(str(STRANGER))
        stub.blind.add(str(STRANGER))
    before, card = everything(services), dict(stub.shop.items[1, int(lead[5:])])
    answer = press(action, {"entity": lead, "address": "Садовая, 1", **slot()}, STRANGER)
    assert (answer.status_code, bool(words(answer))) == (403, True)
    assert everything(services) == before
    assert stub.shop.items[1, int(lead[5:])] == card


@pytest.mark.parametrize(
    ("who", "may"), [(MANAGER, True), (CHIEF, True), (ADMIN, True), (STRANGER, False), (PAUL, False)]
)
@pytest.mark.parametrize("action", ["move", "happen", "replace", "release"])
def test_k26_whoever_may_change_the_card_and_the_measurers_head_act_on_its_visit(
    press: Press,
    services: Services,
    stub: ShopStub,
    lead: str,
    action: str,
    who: int,
    may: bool,
) -> None:
    hold_until = datetime.now(UTC) + DAY if action == "release" else None
    row = take(services, want(lead, later(3), hold_until=hold_until))
    before = everything(services)
    answer = press(action, {"visit": row.id, "how": "cancel", **slot(4)}, who)
    if may:
        assert done(answer)["done"] is True
        assert rows(services)[0][0] == {"move": "moved", "replace": "moved"}.get(action, "cancelled")
        assert lead in deliveries(services)
    else:
        assert (answer.status_code, "вы менять не можете" in words(answer)) == (403, True)
        assert everything(services) == before


def test_visits_of_another_portal_are_nobodys(press: Press, services: Services) -> None:
    with services.database.write() as connection:
        visits.take(Memory(services.database, connection, "another"), want())
    for action in ON_VISIT:
        answer = press(action, {"visit": 1, "how": "cancel", **slot(4)}, ADMIN)
        assert (answer.status_code, words(answer)) == (404, "такого замера нет / there is no such visit")
    assert [state for state, _, _ in rows(services)] == ["booked"]


def test_a_portal_that_removed_the_application_has_no_buttons(services: Services, lead: str) -> None:
    row = take(services, want(lead, later(3)))
    before, table = everything(services), schema.portals
    with services.database.write() as connection:
        connection.execute(sa.update(table).values(status="uninstalled"))
    try:
        answers = _press_all(services, lead, row.id)
    finally:
        with services.database.write() as connection:
            connection.execute(sa.update(table).values(status="active"))
    assert {(one.status_code, "приложение удалено" in words(one)) for one in answers} == {(403, True)}
    assert everything(services) == before


def test_a_playbook_without_measurements_has_no_buttons(services: Services, lead: str) -> None:
    bare = replace(services, playbook=services.playbook.model_copy(update={"measurement": None}))
    answers = _press_all(bare, lead, 1)
    assert {(one.status_code, "в сценарии нет замеров" in words(one)) for one in answers} == {(404, True)}


def _press_all(services: Services, lead: str, visit: int) -> list[TestResponse]:
    """Presses every button there is, at doors that were just opened."""
    client = create_app(services).test_client()
    headers = {"Authorization": f"Bearer {Passes(services.settings).issue(Visitor(MEMBER_ID, MANAGER, False))}"}
    wish = {"entity": lead, "visit": visit, "token": TOKENS[MANAGER], "how": "cancel", **slot(4)}
    return [client.post(f"/visits/{action}", json=wish, headers=headers) for action in ACTIONS]


def test_an_unknown_action_and_a_get_are_refused(press: Press, client: FlaskClient) -> None:
    assert press("burn", {}).status_code == 404
    assert client.get("/visits/book").status_code == 405


# bad bodies

TIMES = [
    None, "", "завтра", 5, [], {}, True, "2026-11-27", "2026-11-27T10:00", "2026-11-27T10:00:00", "27.11.2026 10:00",
    "1999-12-31T10:00:00+03:00", "2100-01-01T10:00:00+03:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00",
    "2026-13-01T10:00:00Z",
]  # fmt: skip
NUMBERS = [None, "", "7", 0, -1, 1.0, 2**62, 2**63, 2**64, 10**40, True, [], {}, [7], "1; DROP TABLE visits"]
ITEMS = [None, "", 42, "lead", "lead:", "lead:0", "lead:-1", "lead:042", "lead:x", "contact:1", "dynamic_7:1", [], {},
         ["lead:42"], "lead:42 ", "lead:\n42", "x" * 500]  # fmt: skip


def refused(answer: TestResponse) -> str:
    assert answer.status_code == 400, (answer.status_code, answer.text[:300])
    return words(answer)


@pytest.mark.parametrize("body", [None, [], "x", 5, True, [{"entity": "lead:42"}]])
def test_a_body_that_is_no_object_is_refused(press: Press, body: Any) -> None:
    for action in ACTIONS:
        assert "JSON" in refused(press(action, body))


def test_a_body_that_is_no_json_is_refused(client: FlaskClient, services: Services) -> None:
    authorization = f"Bearer {Passes(services.settings).issue(Visitor(MEMBER_ID, MANAGER, False))}"
    for data, kind in (
        (b"{", "application/json"),
        (b"entity=lead:42", "text/plain"),
        (b"\xff\xfe", "application/json"),
    ):
        answer = client.post("/visits/book", data=data, content_type=kind, headers={"Authorization": authorization})
        assert "JSON" in refused(answer)
    huge = json.dumps({"entity": "x" * 1024 * 1024 * 2}).encode()
    answer = client.post(
        "/visits/book", data=huge, content_type="application/json", headers={"Authorization": authorization}
    )
    assert answer.status_code in (400, 413)


def test_what_is_no_item_is_refused_before_the_portal_is_asked(
    press: Press, services: Services, stub: ShopStub
) -> None:
    for action in ON_ITEM:
        for item in ITEMS:
            assert refused(press(action, {"entity": item, **slot()}))
    assert stub.asked == []


@pytest.mark.parametrize("action", ["hold", "book", "move"])
def test_what_is_no_time_or_no_person_is_refused_and_nothing_is_taken(
    press: Press, services: Services, lead: str, action: str
) -> None:
    row = take(services, want(lead, later(3)))
    before = everything(services)
    for start in TIMES:
        assert "время" in refused(press(action, {"entity": lead, "visit": row.id, "measurer": OLEG, "start": start}))
    for measurer in NUMBERS:
        assert "номер" in refused(press(action, {"entity": lead, "visit": row.id, **slot(4, measurer)}))
    assert everything(services) == before


@pytest.mark.parametrize("action", ON_VISIT)
def test_what_is_no_number_of_a_visit_is_refused(press: Press, services: Services, lead: str, action: str) -> None:
    take(services, want(lead, later(3)))
    before = everything(services)
    for number in NUMBERS:
        assert refused(press(action, {"visit": number, "how": "cancel", **slot(4)}))
    answer = press(action, {"visit": 2**62 - 1, "how": "cancel", **slot(4)})
    assert (answer.status_code, everything(services)) == (404, before)


@pytest.mark.parametrize(
    "wish",
    [
        {"parts": "morning"},
        {"parts": {"morning": 1}},
        {"parts": 5},
        {"parts": [["morning"]]},
        {"parts": [{}]},
        {"not_weekdays": "0"},
        {"not_weekdays": {"0": 1}},
        {"not_weekdays": 5},
        {"work": "баня"},
        {"work": ["kitchen"]},
        {"work": {"key": "kitchen"}},
    ],
)
def test_a_wish_that_is_not_understood_is_refused(press: Press, lead: str, wish: dict[str, Any]) -> None:
    assert refused(press("find", {"entity": lead, **wish}))


@pytest.mark.parametrize("how", [None, "", "book", "hold", "move", "expire", "ask", "burn", 5, [], {}, ["agree"]])
def test_what_no_button_says_does_not_happen(press: Press, services: Services, lead: str, how: Any) -> None:
    row = take(services, want(lead, later(3)))
    before = everything(services)
    assert "действие" in refused(press("happen", {"visit": row.id, "how": how}))
    assert everything(services) == before


@pytest.mark.parametrize("address", [None, "", "   ", 5, [], {}, "я" * 501])
def test_what_is_no_address_is_not_written(press: Press, stub: ShopStub, lead: str, address: Any) -> None:
    assert refused(press("address", {"entity": lead, "address": address}))
    assert stub.shop.items[1, int(lead[5:])][ADDRESS].startswith("Лесная, 5")


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (None, None),
        ("", ""),
        ("2026-11-23", None),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23", "2026-11-22"),
        ("2026-11-23", "2027-01-25"),
        ("2026-11-23", "2027-03-03"),
        ("2026-11-23", "2026-11-31"),
        ("завтра", "послезавтра"),
        ("1999-12-31", "2000-01-05"),
        ("2099-12-31", "2100-01-05"),
        ("9999-12-01", "9999-12-31"),
        (5, 6),
        (["2026-11-23"], ["2026-11-24"]),
        ("2026-11-23T10:00:00", "2026-11-24T10:00:00"),
    ],
)
def test_days_that_are_none_or_too_many_are_refused_before_the_portal_is_asked(
    press: Press, stub: ShopStub, first: Any, last: Any
) -> None:
    assert "дни" in (said := refused(press("board", {"from": first, "to": last}))) or "день" in said
    assert stub.asked == []


# times


def test_k22_the_best_times_are_found_with_their_sums(press: Press, services: Services, lead: str) -> None:
    found = done(press("find", {"entity": lead}))
    assert (found["said"], found["why"], found["needs_address"], len(found["slots"])) == ("", None, False, 10)
    for one in found["slots"]:
        assert set(one) == {"measurer", "name", "start", "end", "when", "text", "grade"}
        assert datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"]) == 3 * HOUR
        assert "3 ч работы" in one["text"]
    assert rows(services) == []


def test_k25_the_kind_of_work_is_chosen(press: Press, lead: str) -> None:
    (first, *_) = done(press("find", {"entity": lead, "work": "work_120"}))["slots"]
    assert datetime.fromisoformat(first["end"]) - datetime.fromisoformat(first["start"]) == 2 * HOUR


def test_k22_why_a_measurer_or_a_day_offers_nothing_is_told_on_request(press: Press, stub: ShopStub, lead: str) -> None:
    stub.shop.away(OLEG, TODAY - DAY, TODAY + 60 * DAY)
    why = done(press("find", {"entity": lead, "explain": True}))["why"]
    assert why["measurers"] == [{"name": "Олег", "why": "всё время занято"}]
    stub.shop.away(PAUL, TODAY - DAY, TODAY + 60 * DAY)
    found = done(press("find", {"entity": lead}))
    assert (found["slots"], found["said"]) == ([], "Свободного времени нет")
    assert [one["name"] for one in found["why"]["measurers"]] == ["Олег", "Павел"]
    assert len(found["why"]["days"]) == 30
    english = done(press("find", {"entity": lead}, language="en"))
    assert english["said"] == "There is no free time"


def test_k21_find_and_book_need_an_address(press: Press, services: Services, stub: ShopStub, lead: str) -> None:
    stub.shop.items[1, int(lead[5:])][ADDRESS] = ""
    found = done(press("find", {"entity": lead}))
    assert found == {"slots": [], "said": "не заполнен адрес", "why": None, "needs_address": True}
    for action in ("hold", "book"):
        said = done(press(action, {"entity": lead, **slot()}))
        assert said == {"done": False, "said": "не заполнен адрес", "slots": []}
    assert rows(services) == []
    said = done(press("address", {"entity": lead, "address": " Садовая, 1 "}))
    assert said == {"done": True, "said": "Адрес записан"}
    assert stub.shop.items[1, int(lead[5:])][ADDRESS] == "Садовая, 1"
    assert done(press("find", {"entity": lead}))["slots"]


def test_k23_a_time_is_held_and_booked_and_looked_at(press: Press, services: Services, lead: str) -> None:
    held = done(press("hold", {"entity": lead, **slot()}))
    assert held["said"].startswith("Держим 15 мин: ")
    assert (held["visit"]["state"], held["visit"]["measurer"], held["visit"]["round"]) == ("held", OLEG, 1)
    left = datetime.fromisoformat(held["visit"]["hold_until"]) - datetime.now(UTC)
    assert timedelta(minutes=13) < left <= timedelta(minutes=15)
    booked = done(press("book", {"entity": lead, **slot()}))
    assert booked["said"].startswith("Записан: ")
    assert booked["visit"]["id"] == held["visit"]["id"]
    assert rows(services) == [("booked", OLEG, later(3))]
    assert deliveries(services) == [lead, lead]
    (row,) = _all(services)
    assert (row.booked_by, row.source, row.address, row.title) == (MANAGER, "tab", "Лесная, 5", "Кухня")


def _all(services: Services) -> list[VisitRow]:
    with services.database.read() as connection:
        return visits.occupying(Memory(services.database, connection, MEMBER_ID), since=TODAY)


def test_minutes_of_a_page_are_a_multiple_of_five(press: Press, services: Services, lead: str) -> None:
    done(press("book", {"entity": lead, "measurer": OLEG, "start": (later(3) + timedelta(minutes=4)).isoformat()}))
    assert rows(services) == [("booked", OLEG, later(3))]


def test_a_time_that_somebody_took_a_second_ago_is_answered_with_the_nearest(
    press: Press, services: Services, lead: str
) -> None:
    take(services, want("lead:900", later(3)))
    for action in ("hold", "book"):
        late = done(press(action, {"entity": lead, **slot()}))
        assert (late["done"], len(late["slots"])) == (False, 3)
        assert late["said"].startswith("Другой замер: ")
        assert "Ближайшее: " in late["said"]
    assert rows(services, lead) == []


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"measurer": OLEG, "start": (TODAY - 2 * DAY).isoformat()}, "раньше"),
        ({"measurer": OLEG, "start": (TODAY + 400 * DAY).isoformat()}, "расписание известно на"),
        ({"measurer": OLEG, "start": later(3, 22).isoformat()}, "не успеть до конца"),
        ({"measurer": 12345, "start": later(3).isoformat()}, "такого замерщика нет"),
        ({"measurer": CHIEF, "start": later(3).isoformat()}, "такого замерщика нет"),
    ],
    ids=["past", "beyond the horizon", "over the day's end", "nobody", "the head, who does not measure"],
)
def test_a_time_that_cannot_be_is_answered_with_the_reason(
    press: Press, services: Services, lead: str, wish: dict[str, Any], why: str
) -> None:
    late = done(press("book", {"entity": lead, **wish}))
    assert (late["done"], why in late["said"].lower()) == (False, True), late["said"]
    assert rows(services) == []


def test_a_calendar_that_does_not_answer_takes_nothing(
    press: Press, services: Services, stub: ShopStub, lead: str
) -> None:
    stub.refuse["calendar.accessibility.get"] = Refused("ACCESS_DENIED", "Access denied", 403)
    answer = press("book", {"entity": lead, **slot()})
    assert answer.status_code >= 400
    assert rows(services) == []


def test_an_item_that_is_gone_is_told(press: Press, services: Services) -> None:
    answer = press("book", {"entity": "lead:99999", **slot()})
    assert (answer.status_code, rows(services)) == (404, [])
    assert words(answer)


# visits


def test_a_hold_is_released_once(press: Press, services: Services, lead: str) -> None:
    row = take(services, want(lead, later(3), hold_until=later(2)))
    assert done(press("release", {"visit": row.id})) == {"done": True, "said": "Время отпущено"}
    assert rows(services) == [("cancelled", OLEG, later(3))]
    answer = press("release", {"visit": row.id})
    assert (answer.status_code, words(answer)) == (404, "удержания уже нет / the hold is over")
    booked = take(services, want(lead, later(3)))
    assert press("release", {"visit": booked.id}).status_code == 404
    assert rows(services)[-1][0] == "booked"


@pytest.mark.parametrize(
    ("state", "days", "how", "following"),
    [
        ("booked", 3, "agree", "confirmed"),
        ("confirming", 3, "agree", "confirmed"),
        ("confirming", 3, "cancel", "cancelled"),
        ("confirmed", 3, "cancel", "cancelled"),
        ("confirmed", -1, "measure", "done"),
        ("confirmed", -1, "miss", "nobody_home"),
        ("confirmed", 3, "agree", None),
        ("confirmed", 3, "measure", None),
        ("confirmed", 3, "miss", None),
        ("confirming", -1, "measure", None),
        ("done", -1, "cancel", None),
        ("cancelled", 3, "agree", None),
        ("moved", 3, "cancel", None),
    ],
)
def test_k28_a_button_does_what_the_visits_state_knows(
    press: Press, services: Services, lead: str, state: State, days: int, how: str, following: State | None
) -> None:
    row = take(services, want(lead, later(days)), state=state)
    before = everything(services)
    answer = press("happen", {"visit": row.id, "how": how, "reason": " клиент просил "})
    if following is None:
        assert done(answer)["done"] is False
        assert "Замер уже другой" in done(answer)["said"]
        assert everything(services) == before
        return
    said = done(answer)
    assert (said["done"], said["visit"]["state"], said["visit"]["reason"]) == (True, following, "клиент просил")
    assert [one[0] for one in rows(services)] == [following]
    assert deliveries(services) == [lead, lead]


def test_without_a_reason_whoever_pressed_is_the_reason(press: Press, services: Services, lead: str) -> None:
    for reason in ("", None, "  "):
        row = take(services, want(lead, later(3)))
        assert done(press("happen", {"visit": row.id, "how": "cancel", "reason": reason}))["visit"]["reason"] == (
            "Вера Менеджер"
        )


def test_k26_a_visit_is_moved_on_the_board(press: Press, services: Services, lead: str) -> None:
    row = take(services, want(lead, later(3), address="Лесная, 5"), state="confirmed")
    said = done(press("move", {"visit": row.id, **slot(4, PAUL)}, CHIEF))
    assert said["said"].startswith("Замер перенесён: ")
    assert said["said"].endswith(", Павел")
    assert rows(services) == [("moved", OLEG, later(3)), ("booked", PAUL, later(4))]
    (moved,) = _all(services)
    assert (moved.source, moved.booked_by, moved.round, moved.address) == ("board", CHIEF, 2, "Лесная, 5")
    late = done(press("move", {"visit": row.id, **slot(5)}, CHIEF))
    assert late["done"] is False
    assert "обновите график" in late["said"]
    assert len(rows(services)) == 2


def test_k26_a_visit_is_not_moved_onto_another_one(press: Press, services: Services, lead: str) -> None:
    row = take(services, want(lead, later(3)))
    take(services, want("lead:900", later(4)))
    late = done(press("move", {"visit": row.id, **slot(4)}))
    assert (late["done"], len(late["slots"])) == (False, 3)
    assert [state for state, _, _ in rows(services)] == ["booked", "booked"]


def test_k26_a_visit_of_an_absent_measurer_goes_to_whoever_is_free(
    press: Press, services: Services, stub: ShopStub, lead: str
) -> None:
    stub.shop.away(OLEG, later(3, 0), later(4, 0), "absent")
    row = take(services, want(lead, later(3)))
    assert done(press("replace", {"visit": row.id}, CHIEF))["done"] is True
    assert rows(services) == [("moved", OLEG, later(3)), ("booked", PAUL, later(3))]


def test_k26_without_anybody_to_replace_him_the_visit_stays(
    press: Press, services: Services, stub: ShopStub, lead: str
) -> None:
    for measurer in (OLEG, PAUL):
        stub.shop.away(measurer, TODAY - DAY, TODAY + 60 * DAY, "absent")
    row = take(services, want(lead, later(3)))
    said = done(press("replace", {"visit": row.id}, CHIEF))
    assert (said["done"], said["slots"]) == (False, [])
    assert [state for state, _, _ in rows(services)] == ["booked"]


# the board


def board(press: Press, who: int = MANAGER, **changes: Any) -> dict[str, Any]:
    wish = {"from": later(0, 0).date().isoformat(), "to": later(7, 0).date().isoformat(), **changes}
    return done(press("board", wish, who))


@pytest.mark.parametrize(("who", "knows"), [(MANAGER, True), (CHIEF, True), (ADMIN, True), (STRANGER, False)])
def test_k26_the_board_shows_clients_to_those_who_work_with_them_and_hides_them_from_others(
    press: Press, services: Services, stub: ShopStub, lead: str, who: int, knows: bool
) -> None:
    stub.shop.away(OLEG, later(3, 9), later(3, 20), "absent")
    row = take(services, want(lead, later(3), title="Кухня Ивановых", address="Лесная, 5"), state="confirmed")
    answer = board(press, who)
    (shown,) = answer["visits"]
    assert (shown["id"], shown["measurer"], shown["state"]) == (row.id, OLEG, "confirmed")
    assert datetime.fromisoformat(shown["start"]) == later(3)
    text = json.dumps(answer, ensure_ascii=False)
    for secret in ("Кухня Ивановых", "Лесная", lead, f"/details/{lead[5:]}/"):
        assert (secret in text) == knows
    assert shown["movable"] == knows
    assert [one["visit"] for one in answer["problems"]] == ([row.id] if knows else [])
    if knows:
        assert answer["problems"][0]["proposal"]["name"] == "Павел"


def test_k26_the_board_shows_everybodys_week_with_busy_times(
    press: Press, services: Services, stub: ShopStub, lead: str
) -> None:
    stub.shop.away(PAUL, later(2), later(2, 12))
    take(services, want(lead, later(3)))
    take(services, want("lead:900", later(3), PAUL, hold_until=later(2)))
    take(services, want("lead:901", later(4)), state="cancelled")
    take(services, want("lead:902", later(8)))
    answer = board(press)
    assert [(one["id"], one["name"]) for one in answer["measurers"]] == [(OLEG, "Олег"), (PAUL, "Павел")]
    assert sorted((one["state"], one["measurer"]) for one in answer["visits"]) == [("booked", OLEG), ("held", PAUL)]
    assert [(one["measurer"], one["absent"]) for one in answer["busy"]] == [(PAUL, False)]
    assert len(answer["work_days"]) == 7
    assert answer["hours"] == {"from": "00:00", "to": "24:00"}
    assert {one["movable"] for one in answer["visits"]} == {True, False}


@pytest.mark.parametrize(("days", "status"), [(1, 200), (62, 200), (63, 400), (100, 400)])
def test_the_board_shows_at_most_two_months(press: Press, days: int, status: int) -> None:
    wish = {"from": "2026-11-23", "to": (datetime(2026, 11, 23, tzinfo=UTC) + days * DAY).date().isoformat()}
    assert press("board", wish).status_code == status


def test_the_boards_own_range_and_the_horizon_are_all_that_is_asked_of_the_calendar(
    press: Press, stub: ShopStub
) -> None:
    asked: list[dict[str, Any]] = []
    answer = stub.shop.calendar_accessibility_get

    def spied(params: Mapping[str, Any]) -> Any:
        asked.append(dict(params))
        return answer(params)

    stub.shop.calendar_accessibility_get = spied  # type: ignore[method-assign]
    for first, last in (("2098-11-23", "2098-11-30"), ("2001-11-23", "2001-11-30")):
        done(press("board", {"from": first, "to": last}))
    longest = max(datetime.fromisoformat(one["to"]) - datetime.fromisoformat(one["from"]) for one in asked)
    assert longest <= timedelta(days=100)
