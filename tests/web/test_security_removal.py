"""ONAPPUNINSTALL is believed when our tokens are dead: an employee who knows application_token can send it too."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from b24app.bitrix.oauth import Pair, token_digest
from b24app.config import parse
from b24app.services import Services, build
from b24app.store import schema
from b24app.store.alarms import raise_alarm
from b24app.store.portals import REMOVAL, all_portals, install_portal, learn
from b24app.web import create_app
from install import removal
from tests.bitrix.scripted import CLIENT_ID, Oauth, Reply, Server, alarm_keys, ok, refused, settings_text
from tests.web.conftest import CATALOGUE, FORM, LEAD_42, MEMBER, TOKEN, event

KEEP, CLEAN = {"data[CLEAN]": "0"}, {"data[CLEAN]": "1"}
SECRET = "0123456789abcdef0123456789abcdef"
GONE = refused(401, "APPLICATION_NOT_FOUND")
STRANGER = refused(401, "NO_AUTH_FOUND")
HOUR = timedelta(hours=1)


@pytest.fixture
def portal() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def oauth(portal: Server) -> Iterator[Oauth]:
    server = Oauth()
    server.endpoint, server.member_id = f"{portal.url}/rest/", MEMBER
    yield server
    server.close()


@pytest.fixture
def services(tmp_path: Path, sqlite_file: Path, portal: Server, oauth: Oauth, redis_url: str) -> Iterator[Services]:
    """An installed portal with its owner's token and something in the inbox."""
    file = shutil.copy(sqlite_file, tmp_path)
    made = build(
        parse(settings_text(portal.host, oauth.url) + f'[database]\nurl = "sqlite:///{file}"\n'), CATALOGUE, redis_url
    )
    made.redis.flushdb()
    install(made, portal)
    made.tokens.store(MEMBER, 1, "owner", Pair("access-0", "refresh-0", datetime.now(UTC) + HOUR))
    yield made
    made.dispose()


def install(services: Services, portal: Server) -> None:
    install_portal(
        services.database,
        member_id=MEMBER,
        client_id=CLIENT_ID,
        host=portal.host,
        client_endpoint=f"{portal.url}/rest/",
        application_token_digest=token_digest(SECRET, TOKEN),
        user_id=1,
    )


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def say(client: FlaskClient, clean: dict[str, str] = CLEAN) -> None:
    """Somebody who knows application_token says that the application was removed; the answer never waits."""
    with client.post("/event", data=event("ONAPPUNINSTALL", **clean), headers=FORM) as answer:
        assert (answer.status_code, answer.text) == (200, "noted\n")


def until(look: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def claim(services: Services) -> Any:
    return all_portals(services.database)[MEMBER].facts.get(REMOVAL)


def backdate(services: Services, age: timedelta) -> None:
    """Lets time pass since the claim."""
    past = (datetime.now(UTC) - age).isoformat()
    learn(services.database, MEMBER, {REMOVAL: {**claim(services), "at": past, "due": past}})


def rows(services: Services) -> dict[str, int]:
    with services.database.read() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in schema.metadata.sorted_tables
        }


def test_a_forged_removal_erases_nothing_and_is_told(client: FlaskClient, services: Services, portal: Server) -> None:
    client.post("/event", data=event(**LEAD_42), headers=FORM)
    before = rows(services)
    say(client)
    until(lambda: alarm_keys(services.database, MEMBER) == ["removal"])
    assert portal.methods == ["app.info"]
    assert rows(services) == {**before, "alarms": 1}
    for _ in range(20):
        say(client)  # neither answers nor questions grow with the forger's zeal
    backdate(services, timedelta(minutes=11))
    removal.settle_claimed(services)
    assert portal.methods == ["app.info"] * 2
    assert claim(services) is None
    assert rows(services) == {**before, "alarms": 1}
    assert client.post("/event", data=event(**LEAD_42), headers=FORM).status_code == 200
    raised = datetime.now(UTC) - timedelta(days=8)
    learn(services.database, MEMBER, {removal.REFUSED_AT: raised.isoformat()})
    removal.settle_claimed(services)
    assert alarm_keys(services.database, MEMBER) == []


@pytest.mark.parametrize(
    ("portal_says", "server_says"),
    [
        (GONE, None),
        (refused(410, "PORTAL_DELETED"), None),
        (STRANGER, refused(400, "invalid_grant")),
        (STRANGER, refused(400, "invalid_client")),
        (STRANGER, refused(200, "wrong_client")),
        (refused(401, "invalid_token"), refused(400, "NOT_INSTALLED")),
        (refused(401, "expired_token"), refused(400, "invalid_grant")),
    ],
)
@pytest.mark.parametrize("clean", [CLEAN, KEEP])
def test_a_removal_is_believed_when_the_token_is_dead(
    client: FlaskClient,
    services: Services,
    portal: Server,
    oauth: Oauth,
    portal_says: Reply,
    server_says: Reply | None,
    clean: dict[str, str],
) -> None:
    client.post("/event", data=event(**LEAD_42), headers=FORM)
    portal.default = lambda request: portal_says
    oauth.script = [server_says] if server_says is not None else []
    say(client, clean)
    if clean == CLEAN:
        until(lambda: all_portals(services.database) == {})
        assert not any(rows(services).values())
    else:
        until(lambda: all_portals(services.database)[MEMBER].status == "uninstalled")
        assert (rows(services)["deliveries"], rows(services)["tokens"]) == (1, 0)
        assert alarm_keys(services.database, MEMBER) == []
        assert claim(services) is None
    until(lambda: client.post("/event", data=event(**LEAD_42), headers=FORM).status_code == 403)


@pytest.mark.parametrize(
    "doubt",
    [
        refused(500, "INTERNAL_SERVER_ERROR"),
        Reply(502, b"<html>"),
        Reply(how="drop"),
        refused(401, "authorization_error"),
        refused(403, "user_access_error"),
        refused(401, "PAYMENT_REQUIRED"),
        refused(404, "ERROR_METHOD_NOT_FOUND"),
    ],
)
def test_while_nobody_can_tell_nothing_is_done_and_it_is_asked_again(
    services: Services, portal: Server, doubt: Reply
) -> None:
    before = rows(services)
    removal.claim(services, MEMBER, erase=True)
    portal.default = lambda request: doubt
    removal.settle(services, MEMBER)
    assert claim(services)["due"] > datetime.now(UTC).isoformat()
    assert rows(services) == {**before, "alarms": rows(services)["alarms"]}
    assert "removal" not in alarm_keys(services.database, MEMBER)
    backdate(services, timedelta(minutes=5))
    portal.default = lambda request: GONE
    removal.settle_claimed(services)
    assert all_portals(services.database) == {}


def test_what_cannot_be_told_for_a_day_is_given_up_and_told(services: Services, portal: Server) -> None:
    portal.default = lambda request: refused(401, "authorization_error")
    removal.claim(services, MEMBER, erase=True)
    backdate(services, timedelta(hours=25))
    removal.settle_claimed(services)
    assert claim(services) is None
    assert alarm_keys(services.database, MEMBER) == ["removal"]
    assert all_portals(services.database)[MEMBER].active


def test_a_token_that_dies_a_moment_after_the_event_proves_it(
    client: FlaskClient, services: Services, portal: Server
) -> None:
    say(client)
    until(lambda: alarm_keys(services.database, MEMBER) == ["removal"])
    portal.default = lambda request: GONE
    backdate(services, timedelta(minutes=10))
    removal.settle_claimed(services)
    assert all_portals(services.database) == {}


@pytest.mark.parametrize("how", ["long", "lately"])
@pytest.mark.parametrize("alarm", ["", "oauth"])
def test_a_token_that_was_long_dead_proves_nothing(
    services: Services, portal: Server, oauth: Oauth, how: str, alarm: str
) -> None:
    """Dead since spring is not dead of a removal: else the employee would only wait until nobody looks after us."""
    died = datetime.now(UTC) - (timedelta(days=40) if how == "long" else timedelta(hours=1))
    portal.default = lambda request: STRANGER
    with services.database.write() as connection:
        if not alarm:
            values = {"dead_at": died, "dead_reason": "invalid_grant"}
            connection.execute(sa.update(schema.tokens).values(values))
    if alarm:
        raise_alarm(services.database, MEMBER, "oauth", "секрет не подходит", "the secret does not fit")
        oauth.script = [refused(400, "invalid_client")]
        with services.database.write() as connection:
            connection.execute(sa.update(schema.alarms).values(since=died))
    removal.claim(services, MEMBER, erase=True)
    removal.settle(services, MEMBER)
    assert bool(all_portals(services.database)) is (how == "long")


def test_a_living_spare_refutes_what_the_dead_owner_would_prove(
    services: Services, portal: Server, oauth: Oauth
) -> None:
    services.tokens.store(MEMBER, 7, "spare", Pair("spare", "spare-refresh", datetime.now(UTC) + HOUR))
    portal.default = lambda request: ok({}) if request.body["auth"] == "spare" else STRANGER
    oauth.script = [refused(400, "invalid_grant")]
    removal.claim(services, MEMBER, erase=True)
    removal.settle(services, MEMBER)
    assert "removal" in alarm_keys(services.database, MEMBER)
    assert all_portals(services.database)[MEMBER].active


def test_an_expired_token_is_renewed_before_it_is_called_dead(services: Services, portal: Server, oauth: Oauth) -> None:
    portal.script = [refused(401, "expired_token"), ok({})]
    removal.claim(services, MEMBER, erase=True)
    removal.settle(services, MEMBER)
    assert oauth.count == 1
    assert alarm_keys(services.database, MEMBER) == ["removal"]


def test_a_process_that_dies_over_the_question_loses_nothing(services: Services, portal: Server) -> None:
    assert removal.claim(services, MEMBER, erase=True)
    portal.default = lambda request: GONE
    removal.settle_claimed(services)
    assert all_portals(services.database)[MEMBER].active  # somebody may be at it this minute
    backdate(services, timedelta(minutes=2))
    removal.settle_claimed(services)
    assert all_portals(services.database) == {}


def test_whoever_installs_again_meanwhile_keeps_everything(services: Services, portal: Server) -> None:
    def installs_meanwhile(request: Any) -> Reply:
        install(services, portal)
        return GONE

    removal.claim(services, MEMBER, erase=True)
    portal.default = installs_meanwhile
    removal.settle(services, MEMBER)
    assert all_portals(services.database)[MEMBER].active
    assert claim(services) is None


def test_of_two_claims_the_careful_one_counts(services: Services, portal: Server) -> None:
    assert removal.claim(services, MEMBER, erase=False)
    assert not removal.claim(services, MEMBER, erase=True)
    portal.default = lambda request: GONE
    removal.settle(services, MEMBER)
    assert all_portals(services.database)[MEMBER].status == "uninstalled"


def test_tokens_that_another_key_sealed_prove_nothing(services: Services, portal: Server) -> None:
    with services.database.write() as connection:
        connection.execute(sa.update(schema.tokens).values(access="sealed otherwise"))
    removal.claim(services, MEMBER, erase=True)
    removal.settle(services, MEMBER)
    assert portal.requests == []
    assert all_portals(services.database)[MEMBER].active
