"""Two portals on one installation: every page and every door is tried with what belongs to the other one.

Both are alike: the same people, the same numbers of leads. Whoever works on one of them knows its application_token,
his own tokens and passes; he tries them with the other's member_id, entities, deliveries and visits.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from b24app import config
from b24app.bitrix.commands import comment
from b24app.engine.inbox import Inbox
from b24app.engine.journal import Journal
from b24app.entities import LEAD, ItemRef, PhoneCall
from b24app.errors import Temporary
from b24app.pages import PLACEMENTS
from b24app.services import Services, build
from b24app.store import schema, visits
from b24app.store.alarms import raise_alarm
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.portals import PortalRow, install_portal, learn
from b24app.web import create_app
from b24app.web.gate import Gate, Proofs
from install.apply import apply
from install.carry_out import KEYED_AT
from sandbox.client import Sandbox
from tests.web.conftest import CATALOGUE, FORM, LEAD_42, SECRET, event

ADMIN, MANAGER, MEASURER = 1, 4, 9
CALL = "call-1"
EMPTY_ROW: Any = dict.fromkeys(PortalRow.__dataclass_fields__, "")
CARD = {"title": {}, "chosen": None, "rule": {}, "at": "2026-11-22T10:00:00+03:00"}
FRAME_PARTS = ("AUTH_ID", "APPLICATION_TOKEN", "member_id")
PAGES = sorted({one.page for one in PLACEMENTS} | {"lead", "form", "worker"})


@dataclass
class Side:
    """One of the portals, and what stands in our database for it."""

    name: str
    box: Sandbox
    lead: int = 0
    delivery: int = 0
    visit: int = 0
    passes: dict[int, str] = field(default_factory=dict)

    @property
    def member(self) -> str:
        return self.box.ready["member_id"]

    @property
    def canary(self) -> str:
        return f"canary-of-{self.name}"

    def frame(self, user_id: int = ADMIN, options: Mapping[str, Any] | None = None, **more: str) -> dict[str, str]:
        """What the portal posts into our page for this person."""
        fields: dict[str, str] = self.box.open(user_id, send=False)["fields"]
        if options is not None:
            fields["PLACEMENT_OPTIONS"] = json.dumps(options)
        return {**fields, **more}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox.start("--no-limits", "--portals", "2") as running:
        yield running


@pytest.fixture(scope="module")
def services(box: Sandbox, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    known = [
        {
            "host": one["url"].removeprefix("http://"),
            "client_id": one["client_id"],
            "client_secret": one["client_secret"],
        }
        for one in box.ready["portals"]
    ]
    settings = config.Settings.model_validate(
        {
            "app": {"public_url": "https://app.example.com", "secret_key": SECRET},
            "bitrix24": {"oauth_url": box.ready["oauth_url"]},
            "portals": known,
            "database": {"url": f"sqlite:///{tmp_path_factory.mktemp('two') / 'b24app.db'}"},
        }
    )
    made = build(settings, CATALOGUE, redis_url)
    made.redis.flushdb()
    made.database.migrate()
    yield made
    made.dispose()


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def both(box: Sandbox, services: Services) -> tuple[Side, Side]:
    """The application on both portals, its process applied, with something of everything on each."""
    ours, theirs = (Side(name, Sandbox(ready)) for name, ready in zip("AB", box.ready["portals"], strict=True))
    client = create_app(services).test_client()
    for side in (ours, theirs):
        side.box.application(handler="https://app.example.com/app", install="https://app.example.com/install")
        installed = client.post("/install?LANG=ru", data=side.frame())
        assert 'data-ready="1"' in installed.text, installed.text
        side.box.finish_install()
        assert [line.text["ru"] for line in apply(services, side.member) if line.state == "failed"] == []
        fill(services, side)
        for user_id in (ADMIN, MANAGER):
            text = client.post("/app?LANG=ru", data=side.frame(user_id)).text
            found = re.search(r'data-pass="([^"]+)"', text)
            assert found, text
            side.passes[user_id] = found[1]
        frame = side.frame(MANAGER, {"ID": str(side.lead)}, PLACEMENT="CRM_LEAD_DETAIL_TAB")
        for page in PAGES:  # what is read once of a portal, by our own token, is read now
            assert client.post(f"/placement/{page}?LANG=ru", data=frame).status_code == 200, page
    assert ours.lead == theirs.lead
    return ours, theirs


def fill(services: Services, side: Side) -> None:
    """A lead with an address, a decision, a call, a failed delivery with a command, a visit, a reason, an alarm."""
    now, canary = datetime.now(UTC), side.canary
    values = {"title": f"Кухня {canary}", "UF_CRM_B24_ADDRESS": f"Мира, {canary}"}
    side.lead = int(side.box.create_item(1, values)["id"])
    entity = f"lead:{side.lead}"
    names = [{"user_id": MANAGER, "name": canary, "free": True, "why": {"ru": canary, "en": canary}}]
    wanted = visits.Wanted(
        entity, canary, "kitchen", MEASURER, now + timedelta(days=1), now + timedelta(days=1, hours=3), address=canary
    )
    number = services.inbox.record(
        member_id=side.member, kind="event", code="ONCRMLEADADD", entity=entity, payload={"note": canary}, priority=50
    )
    with services.database.write() as connection:
        memory = Memory(services.database, connection, side.member, now, number or 0)
        card = {**CARD, "chosen": {"id": MANAGER, "name": canary}, "lines": names}
        assign = {"entity": entity, "cause": "missed", "queue": "q", "manager_id": MANAGER, "took_turn": True}
        memory.assign(key="intake:1", card=card, phone=canary, call_id=CALL, **assign)
        memory.keep_call(PhoneCall(CALL, 2, canary), ended=True)
        side.visit = visits.take(memory, wanted).id
        failed = {"state": "failed", "reason": canary, "finished_at": now}
        connection.execute(sa.update(schema.deliveries).values(failed).where(schema.deliveries.c.id == number))
        told = comment(ItemRef(LEAD, side.lead), canary, marker=canary, label="card")
        Journal(services.inbox).write(connection, number or 0, [told])
    raise_alarm(services.database, side.member, "canary", canary, canary)
    side.delivery = number or 0


def kept(services: Services, member_id: str) -> dict[str, list[dict[str, Any]]]:
    """Returns every row that we hold of a portal."""
    deliveries, commands = schema.deliveries, schema.commands
    with services.database.read() as connection:
        found = {
            table.name: [
                dict(row)
                for row in connection.execute(sa.select(table).where(table.c.member_id == member_id)).mappings()
            ]
            for table in schema.metadata.sorted_tables
            if "member_id" in table.c
        }
        mine = sa.select(commands).join(deliveries).where(deliveries.c.member_id == member_id)
        found["commands"] = [dict(row) for row in connection.execute(mine).mappings()]
    return found


@dataclass(frozen=True)
class Attempt:
    """One request of somebody of `ours`; `asks` says that it carries something that only their portal can judge."""

    rule: str
    path: str
    words: dict[str, Any]
    statuses: tuple[int, ...] = (400, 403, 404)
    asks: bool = False


def mixed_frames(ours: Side, theirs: Side, lead: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Frames of an employee of ours with one or two of the three proofs taken from the other portal."""
    for count in (1, 2):
        for taken in itertools.combinations(FRAME_PARTS, count):
            options, place = {"ID": str(lead)}, {"PLACEMENT": "CRM_LEAD_DETAIL_TAB"}
            frame, other = (side.frame(MANAGER, options, **place) for side in (ours, theirs))
            yield ",".join(taken), {**frame, **{name: other[name] for name in taken}}


def attempts(ours: Side, theirs: Side) -> Iterator[Attempt]:
    """Everything that an employee or an administrator of ours may try."""
    for taken, frame in mixed_frames(ours, theirs, theirs.lead):
        asks = "AUTH_ID" in taken or "member_id" in taken
        for rule in ("/install", "/app"):
            yield Attempt(rule, f"{rule}?LANG=ru", {"data": frame}, asks=asks)
        for page in PAGES:
            # the hidden page proves the portal and not the person: it holds nothing of anybody
            statuses = (200, 403) if page == "worker" else (403,)
            yield Attempt("/placement/<page>", f"/placement/{page}?LANG=ru", {"data": frame}, statuses, asks)
    ours_token = ours.box.open(MANAGER, send=False)["fields"]["APPLICATION_TOKEN"]
    for name, more in (("ONCRMLEADADD", LEAD_42), ("ONAPPUNINSTALL", {"data[CLEAN]": "1"}), ("ONAPPUPDATE", {})):
        body = event(name, member=theirs.member, token=ours_token, **more)
        yield Attempt("/event", "/event", {"data": body, "headers": FORM}, (403,))
    robot = {
        **{f"document_id[{n}]": part for n, part in enumerate(("crm", "CCrmDocumentLead", f"LEAD_{theirs.lead}"))},
        **{f"document_type[{n}]": part for n, part in enumerate(("crm", "CCrmDocumentLead", "LEAD"))},
        "event_token": "t", "auth[member_id]": theirs.member, "auth[application_token]": ours_token,
    }  # fmt: skip
    yield Attempt("/robot/<path:code>", "/robot/assign_manager", {"data": robot}, (403,))
    admin = {"Authorization": f"Bearer {ours.passes[ADMIN]}"}
    for action in ("retry", "give_up"):
        wish: dict[str, Any] = {"action": action, "id": theirs.delivery}
        yield Attempt("/app/action", "/app/action", {"json": wish, "headers": admin}, (404,))
    for wish in ({"action": "distribute", "entity": f"lead:{theirs.lead}"}, {"action": "distribute_all"}):
        yield Attempt("/app/action", "/app/action", {"json": wish, "headers": admin}, (200,))
    for kind, number in (("delivery", theirs.delivery), ("lead", theirs.lead), ("call", CALL)):
        wish = {"kind": kind, "number": str(number)}
        yield Attempt("/app/story", "/app/story", {"json": wish, "headers": admin}, (200, 404))
    yield Attempt("/install/again", "/install/again", {"headers": admin}, (200,))
    yield Attempt("/app/plan/show", "/app/plan/show", {"headers": admin}, (200,))
    yield Attempt("/app/plan/<action>", "/app/plan/apply", {"headers": admin}, (200,))
    tokens = {side.name: side.box.token_of(MANAGER) for side in (ours, theirs)}
    for side, token in itertools.product((ours, theirs), tokens):
        manager = {"Authorization": f"Bearer {side.passes[MANAGER]}"}
        who = {"token": tokens[token], "entity": f"lead:{theirs.lead}", "visit": theirs.visit}
        if side is theirs and token == theirs.name:
            continue  # that is one of theirs
        own = side is ours and token == ours.name
        asks = side is theirs  # their portal is asked whose token that is, and does not know it
        when = {"measurer": MEASURER, "start": "2030-11-29T10:00:00+03:00", "how": "cancel", "address": "x"}
        for action in ("find", "hold", "book", "address"):
            statuses = (200, 400, 404, 409) if own else (403,)
            words = {"json": {**who, **when}, "headers": manager}
            yield Attempt("/visits/<action>", f"/visits/{action}", words, statuses, asks)
        for action in ("release", "happen", "move", "replace"):
            words = {"json": {**who, **when}, "headers": manager}
            yield Attempt("/visits/<action>", f"/visits/{action}", words, (403, 404), asks)
        wish = {**who, "to": "client", "values": {}, "base": {}, "reasons": {}, "stage": "NEW"}
        yield Attempt("/placement/save", "/placement/save", {"json": wish, "headers": manager}, (200, 400, 403), asks)
    today = datetime.now(UTC).date()
    days = {"from": str(today), "to": str(today + timedelta(days=7))}
    words = {"json": days, "headers": {"Authorization": f"Bearer {ours.passes[MANAGER]}"}}
    yield Attempt("/visits/<action>", "/visits/board", words, (200,))


def test_nothing_of_one_portal_reaches_another(
    both: tuple[Side, Side], services: Services, app: Flask, client: FlaskClient
) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())}
    for ours, theirs in (both, both[::-1]):
        before, tried = kept(services, theirs.member), set()
        for attempt in attempts(ours, theirs):
            one_attempt(client, services, theirs, attempt)
            assert kept(services, theirs.member) == before, attempt
            tried.add(attempt.rule)
        assert rules <= tried
    ours, theirs = both
    before = kept(services, theirs.member)
    undo = Attempt("", "/app/plan/undo", {"headers": {"Authorization": f"Bearer {ours.passes[ADMIN]}"}}, (200,))
    one_attempt(client, services, theirs, undo)
    assert kept(services, theirs.member) == before


def one_attempt(client: FlaskClient, services: Services, theirs: Side, attempt: Attempt) -> None:
    """Tries it: nothing of the other portal is told, its portal is asked for nothing that changes it."""
    last = theirs.box.last
    services.redis.flushdb()  # the request limit is not what is tried here
    with client.post(attempt.path, **attempt.words) as answer:
        text = answer.get_data(as_text=True)
    assert answer.status_code in attempt.statuses, (attempt, answer.status_code, text)
    assert theirs.canary not in text, attempt
    assert theirs.member not in text or attempt.path.startswith("/placement/worker"), attempt
    told = f"{text} {answer.headers}" if not attempt.asks else text
    assert theirs.box.url.removeprefix("http://") not in told, attempt
    asked = [one for one in theirs.box.ledger(last) if one["kind"] in ("request", "effect")]
    assert asked == [] or attempt.asks, (attempt, asked)
    assert not [one for one in asked if one["kind"] == "effect"], (attempt, asked)


def test_what_somebody_knows_of_another_portal_takes_no_proof_away_from_it(both: tuple[Side, Side]) -> None:
    ours, theirs = (PortalRow(**{**EMPTY_ROW, "member_id": side.member}) for side in both)
    proofs = Proofs(capacity=2, per_second=0)
    for flooded in (ours, None):
        for _ in range(2):
            proofs.take(flooded)
        with pytest.raises(Temporary):
            proofs.take(flooded)
    proofs.take(theirs)


def test_five_hundred_rows_of_one_portal_do_not_keep_another_waiting(database: Database) -> None:
    inbox = Inbox(database)
    for name in ("noisy", "quiet"):
        place = {"client_id": name, "host": f"{name}.ru", "client_endpoint": f"https://{name}.ru/rest/"}
        install_portal(database, member_id=name, application_token_digest="", user_id=1, **place)
    for number in range(500):
        wish = {"kind": "event", "code": "ONCRMLEADADD", "payload": {}, "priority": 50}
        inbox.record(member_id="noisy", entity=f"lead:{number}", **wish)
    for number in range(3):
        inbox.record(member_id="quiet", entity=f"lead:{number}", **wish)
    claimed = [inbox.claim() for _ in range(6)]
    assert [one.member_id for one in claimed if one is not None] == ["noisy", "quiet"] * 3


def test_a_robot_is_called_at_an_address_that_only_its_portal_knows(
    both: tuple[Side, Side], services: Services, client: FlaskClient
) -> None:
    """It works with an administrator's rights; application_token alone every employee reads in his frame."""
    ours, keys = both[0], {}
    for side in both:
        (robot,) = [one for one in side.box.state("robot_types") if one["code"] == "assign_manager"]
        head, _, keys[side.name] = robot["handler"].rpartition("/")
        assert head == "https://app.example.com/robot/assign_manager"
        assert re.fullmatch(r"[0-9a-f]{32}", keys[side.name])
    assert len(set(keys.values())) == 2
    form = {
        **{f"document_id[{n}]": part for n, part in enumerate(("crm", "CCrmDocumentLead", f"LEAD_{ours.lead}"))},
        **{f"document_type[{n}]": part for n, part in enumerate(("crm", "CCrmDocumentLead", "LEAD"))},
        "auth[member_id]": ours.member, "auth[application_token]": ours.frame(MANAGER)["APPLICATION_TOKEN"],
    }  # fmt: skip

    def called(path: str, token: str) -> int:
        return client.post(f"/robot/{path}", data={**form, "event_token": token}).status_code

    assert called("assign_manager", "sent before the new address came") == 200
    known_since = datetime.now(UTC) - timedelta(hours=2)
    learn(services.database, ours.member, {KEYED_AT: known_since.isoformat()})
    client = create_app(services).test_client()  # it looks at the portals anew
    for tail in ("", "/", f"/{keys['B']}", f"/{keys['A']}x", f"/{keys['A']}/{keys['A']}", "/ключ"):
        path = f"assign_manager{tail}"
        assert called(path, path) in (400, 403), path
    assert called(f"assign_manager/{keys['A']}", "the portal's own") == 200
    assert called("removed_long_ago", "a stage waits for its answer, and nothing else comes of it") == 200
    before = services.settings.app
    rotated = before.model_copy(update={"secret_key": "n" * 40, "previous_secret_keys": (before.secret_key,)})
    gate = Gate(services.database, services.settings.model_copy(update={"app": rotated}))
    row = gate.known(ours.member)
    assert row is not None
    assert gate.knows_door(row, "assign_manager", keys["A"])
    assert not gate.knows_door(row, "send_sms", keys["A"])
