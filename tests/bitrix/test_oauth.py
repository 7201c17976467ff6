"""Tokens: proof at the authorization server, storing, one refresh for all, dead tokens, addresses."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import responses
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from b24app.bitrix.oauth import Pair, Token, Tokens, matches, portal_address, token_digest
from b24app.config import Settings, parse
from b24app.errors import B24AppError, PortalClosed, Rejected, Temporary
from b24app.store.database import Database
from b24app.store.schema import portals
from b24app.store.schema import tokens as tokens_table

from .scripted import CLIENT_ID, CLIENT_SECRET, Oauth, Reply, Request, Server, alarm_keys, refused, settings_text

AS = "https://oauth.bitrix24.tech"
HOUR = timedelta(hours=1)
SENT = Pair("sent-token", "sent-refresh", datetime(2030, 1, 1, tzinfo=UTC))
RENEWED = {
    "access_token": "newer",
    "client_endpoint": "https://portal.bitrix24.ru/rest/",
    "domain": "oauth.bitrix.info",
    "member_id": "a223c6b3710f85df22e9377d6c4f7553",
    "refresh_token": "newer-refresh",
    "scope": "crm,task",
    "status": "L",
    "user_id": 67,
}
"""As in settings/oauth/auto-renewal.md."""


def app_info(endpoint: str = "https://portal.bitrix24.ru/rest/", **changes: Any) -> dict[str, Any]:
    result = {
        "client_id": CLIENT_ID,
        "scope": "crm,task",
        "expires": "2030-01-01T03:00:00+03:00",
        "user_id": 1,
        "install": {
            "installed": True,
            "version": "1",
            "status": "L",
            "scope": "crm,task,bizproc",
            "domain": "portal.bitrix24.ru",
            "uri": "https://portal.bitrix24.ru",
            "client_endpoint": endpoint,
            "member_id": "a223c6b3710f85df22e9377d6c4f7553",
            "member_type": "b24",
        },
    }
    install = {**result["install"], **changes.pop("install", {})}  # type: ignore[dict-item]
    return {"result": {**result, **changes, "install": install}}


@pytest.fixture
def prover(database: Database) -> Tokens:
    return Tokens(database, parse(settings_text("portal.bitrix24.ru", AS)))


# --- prove ------------------------------------------------------------------------------------------------------


@responses.activate
def test_a_token_is_proved_by_the_authorization_server(prover: Tokens) -> None:
    answer = responses.post(f"{AS}/rest/app.info", json=app_info())
    holder = prover.prove(SENT)
    assert (holder.client_id, holder.user_id, holder.pair) == (CLIENT_ID, 1, SENT)
    assert (holder.host, holder.client_endpoint) == ("portal.bitrix24.ru", "https://portal.bitrix24.ru/rest/")
    [call] = answer.calls
    assert call.request.body == "auth=sent-token"
    assert "sent-token" not in str(call.request.url)


@responses.activate
@pytest.mark.parametrize("status", [301, 308, 404, 405])
@pytest.mark.parametrize("body", ["", "<html>Method Not Allowed</html>", '{"error": "ERROR_METHOD_NOT_FOUND"}'])
def test_a_server_that_knows_only_the_documented_get_is_asked_so(prover: Tokens, status: int, body: str) -> None:
    responses.post(f"{AS}/rest/app.info", status=status, body=body)
    responses.get(f"{AS}/rest/app.info/?auth=sent-token", json=app_info())
    assert prover.prove(SENT).user_id == 1


@responses.activate
@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ({"expires_in": 3600, "expires": 1}, None),
        ({"expires": "2030-01-01T03:00:00+03:00"}, datetime(2030, 1, 1, tzinfo=UTC)),
        ({"expires": 1893456000}, datetime(2030, 1, 1, tzinfo=UTC)),
        ({"expires": "1893456000"}, datetime(2030, 1, 1, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize(
    "told",
    [
        {"status": 200, "json": {"result": {"ID": 1, "CODE": CLIENT_ID, "STATUS": "L", "INSTALLED": False}}},
        {"status": 404, "json": {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}},
        {"status": 404, "body": "<html>"},
    ],
)
def test_a_server_that_does_not_say_whose_a_token_is_renews_it(
    prover: Tokens, told: dict[str, Any], expires: dict[str, Any], expected: datetime | None
) -> None:
    responses.post(f"{AS}/rest/app.info", **told)
    responses.get(f"{AS}/rest/app.info/", **told)
    renewed = responses.post(f"{AS}/oauth/token/", json=RENEWED | expires)
    holder = prover.prove(SENT)
    assert (holder.client_id, holder.member_id, holder.user_id) == (CLIENT_ID, RENEWED["member_id"], 67)
    assert (holder.host, holder.pair.access, holder.pair.refresh) == ("portal.bitrix24.ru", "newer", "newer-refresh")
    if expected is None:
        assert timedelta(minutes=59) < holder.pair.expires_at - datetime.now(UTC) <= HOUR
    else:
        assert holder.pair.expires_at == expected
    [call] = renewed.calls
    assert "refresh_token=sent-refresh" in str(call.request.body)
    with pytest.raises(B24AppError):
        prover.prove(Pair("sent-token", "", SENT.expires_at))  # an event that brings no refresh_token


@responses.activate
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 400, "json": {"error": "invalid_grant"}}, Rejected),
        ({"json": {"access_token": "a", "refresh_token": "b"}}, Rejected),
        ({"json": {"access_token": "a", "refresh_token": "b", "member_id": "m", "user_id": 1}}, Rejected),
        ({"status": 500, "body": "<html>"}, Temporary),
    ],
)
def test_who_cannot_be_renewed_is_rejected(prover: Tokens, answer: dict[str, Any], kind: type[B24AppError]) -> None:
    responses.post(f"{AS}/rest/app.info", json={"result": {"ID": 1}})
    responses.post(f"{AS}/oauth/token/", **answer)
    with pytest.raises(kind):
        prover.prove(SENT)


@responses.activate
@pytest.mark.parametrize(
    "body",
    [
        app_info(client_id="local.someone.else"),
        app_info(client_id=None),
        app_info(install={"member_id": ""}),
        app_info(install={"member_id": "a' OR 1=1"}),
        app_info(user_id="0"),
        app_info(user_id=None),
        app_info(endpoint="https://169.254.169.254/rest/"),
        app_info(endpoint="http://portal.bitrix24.ru/rest/"),
        {"result": {"client_id": CLIENT_ID, "install": []}},
        {"result": {"client_id": CLIENT_ID, "install": {"client_endpoint": ["x"]}}},
    ],
)
def test_what_is_not_ours_is_rejected(prover: Tokens, body: dict[str, Any]) -> None:
    responses.post(f"{AS}/rest/app.info", json=body)
    with pytest.raises(Rejected):
        prover.prove(SENT)


@responses.activate
@pytest.mark.parametrize("code", ["expired_token", "NO_AUTH_FOUND", "invalid_token", "PAYMENT_REQUIRED", ""])
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_a_token_that_the_server_refuses_is_rejected(prover: Tokens, status: int, code: str) -> None:
    responses.post(f"{AS}/rest/app.info", status=status, json={"error": code, "error_description": "no"})
    with pytest.raises(Rejected):
        prover.prove(SENT)


@responses.activate
@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "json": {"error": "INTERNAL_SERVER_ERROR"}},
        {"status": 503, "json": {"error": "QUERY_LIMIT_EXCEEDED"}},
        {"status": 200, "body": "<html>maintenance</html>"},
        {"status": 302, "body": "", "headers": {"Location": "https://evil.example/"}},
        {"status": 200, "json": ["x"]},
    ],
)
def test_a_server_that_fails_is_a_matter_of_time(prover: Tokens, answer: dict[str, Any]) -> None:
    responses.post(f"{AS}/rest/app.info", **answer)
    with pytest.raises(Temporary):
        prover.prove(SENT)
    assert len(responses.calls) == 1


@pytest.mark.parametrize("token", ["", "x" * 5000, "ключ"])
def test_what_cannot_be_a_token_is_not_even_asked_about(prover: Tokens, token: str) -> None:
    with pytest.raises(Rejected):
        prover.prove(Pair(token, "refresh", SENT.expires_at))


# --- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "configured", "host"),
    [
        ("https://portal.bitrix24.ru/rest/", "portal.bitrix24.ru", "portal.bitrix24.ru"),
        ("https://portal.bitrix24.ru/rest", "portal.bitrix24.ru", "portal.bitrix24.ru"),
        ("https://Portal.Bitrix24.RU:443/rest/", "portal.bitrix24.ru", "portal.bitrix24.ru"),
        ("https://renamed.bitrix24.ru/rest/", "portal.bitrix24.ru", "renamed.bitrix24.ru"),
        ("https://crm.firma.local/rest/", "crm.firma.local", "crm.firma.local"),
        ("https://10.0.0.5/rest/", "10.0.0.5", "10.0.0.5"),
        ("https://box.firma.ru/b24/rest/", "box.firma.ru", "box.firma.ru"),
        ("https://xn--80a1acny.xn--p1ai/rest/", "portal.bitrix24.ru", "xn--80a1acny.xn--p1ai"),
        ("http://127.0.0.1:9000/rest/", "127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://localhost:9100/rest/", "127.0.0.1:9000", "localhost:9100"),
    ],
)
def test_the_portal_may_be_there(endpoint: str, configured: str, host: str) -> None:
    found, address = portal_address(endpoint, configured)
    assert found == host
    assert address.endswith("/rest/")
    assert f"//{host}/" in address


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://portal.bitrix24.ru/rest/",
        "http://127.0.0.1:9000/rest/",
        "https://127.0.0.1/rest/",
        "https://localhost/rest/",
        "https://[::1]/rest/",
        "https://[fe80::1]/rest/",
        "https://10.0.0.5/rest/",
        "https://2130706433/rest/",
        "https://0x7f.1/rest/",
        "https://0x7f000001/rest/",
        "https://127.1/rest/",
        "https://1.2.3.0x4/rest/",
        "https://user@renamed.bitrix24.ru/rest/",
        "https://portal.bitrix24.ru@evil.ru/rest/",
        "https://renamed.bitrix24.ru:8443/rest/",
        "https://renamed.bitrix24.ru./rest/",
        "https://renamed.bitrix24.ru/evil/",
        "https://renamed.bitrix24.ru/rest/?x=1",
        "https://renamed.bitrix24.ru/rest/#x",
        "https://renamed.bitrix24.ru/../rest/\r\nHost: x",
        "https://renamed.bitrix24.ru\\@evil.ru/rest/",
        "https://портал.рф/rest/",
        "https://intranet/rest/",
        "https://db.internal/rest/",
        "https://printer.local/rest/",
        "https://-a.ru/rest/",
        "https://a..ru/rest/",
        "ftp://renamed.bitrix24.ru/rest/",
        "//renamed.bitrix24.ru/rest/",
        "https://[oops/rest/",
        "javascript:alert(1)",
    ],
)
def test_the_portal_cannot_be_there(endpoint: str) -> None:
    with pytest.raises(Rejected):
        portal_address(endpoint, "portal.bitrix24.ru")


@given(st.text())
def test_any_text_is_an_address_or_rejected(text: str) -> None:
    for endpoint in (text, f"https://{text}/rest/"):
        try:
            host, address = portal_address(endpoint, "portal.bitrix24.ru")
        except Rejected:
            continue
        assert address.startswith(f"https://{host}/")
        assert "@" not in address
        assert "127.0.0.1" not in host


# --- application_token ---


def test_the_application_token_is_compared_by_digest() -> None:
    digest = token_digest("k" * 32, "application-token")
    assert len(digest) == 64
    assert matches(digest, "application-token", "k" * 32)
    assert matches(digest, "application-token", "n" * 32, "k" * 32)
    assert not matches(digest, "application-tokeN", "k" * 32)
    assert not matches(digest, "application-token", "n" * 32)
    assert not matches("", "", "k" * 32)


@given(st.text(), st.text())
def test_any_text_can_be_compared(digest: str, token: str) -> None:
    assert matches(digest, token, "k" * 32) is False
    assert matches(token_digest("k" * 32, token), token, "k" * 32)


# --- storing ----------------------------------------------------------------------------------------------------


def test_tokens_lie_encrypted_in_the_database(tokens: Tokens, database: Database, tmp_path: Path) -> None:
    with database.read() as connection:
        entry = connection.execute(sa.select(tokens_table)).mappings().one()
    assert "access-0" not in str(dict(entry))
    assert "refresh-0" not in str(dict(entry))
    database.dispose()
    for file in tmp_path.glob("b24app.db*"):
        content = file.read_bytes()
        assert b"access-0" not in content
        assert b"refresh-0" not in content


def test_a_token_shows_nothing_of_itself(tokens: Tokens, member_id: str) -> None:
    token = tokens.owner(member_id)
    assert token.access == "access-0"
    assert "access-0" not in repr(token)


def test_an_older_secret_key_still_opens_them(
    tokens: Tokens, settings: Settings, database: Database, member_id: str
) -> None:
    text = settings_text(settings.portals[0].host, settings.bitrix24.oauth_url)
    rotated = parse(
        text.replace(
            'secret_key = "0123456789abcdef0123456789abcdef"',
            'secret_key = "fedcba9876543210fedcba9876543210"\n'
            'previous_secret_keys = ["0123456789abcdef0123456789abcdef"]',
        )
    )
    assert Tokens(database, rotated).owner(member_id).access == "access-0"


def test_a_lost_secret_key_is_an_alarm_and_not_a_crash(
    tokens: Tokens, settings: Settings, database: Database, member_id: str
) -> None:
    text = settings_text(settings.portals[0].host, settings.bitrix24.oauth_url)
    other = parse(text.replace("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"))
    with pytest.raises(PortalClosed, match="previous_secret_keys"):
        Tokens(database, other).owner(member_id)
    assert alarm_keys(database, member_id) == ["token"]


def test_a_new_owner_makes_the_former_one_a_spare(tokens: Tokens, member_id: str) -> None:
    tokens.store(member_id, 9, "owner", Pair("nine", "r", datetime.now(UTC) + HOUR))
    assert (tokens.owner(member_id).user_id, tokens.owner(member_id).role) == (9, "owner")
    tokens.store(member_id, 1, "spare", Pair("one", "r", datetime.now(UTC) + HOUR))
    assert tokens.owner(member_id).user_id == 9


def test_an_owner_who_only_opens_a_page_stays_owner(tokens: Tokens, member_id: str) -> None:
    tokens.store(member_id, 1, "spare", Pair("fresh", "r", datetime.now(UTC) + HOUR))
    token = tokens.owner(member_id)
    assert (token.role, token.access, token.version) == ("owner", "fresh", 2)


def test_nobody_on_an_unknown_portal(tokens: Tokens) -> None:
    with pytest.raises(PortalClosed):
        tokens.owner("nobody")


# --- refreshing -------------------------------------------------------------------------------------------------


def test_sixteen_threads_that_meet_expiry_together_refresh_once(tokens: Tokens, oauth: Oauth, member_id: str) -> None:
    oauth.seconds = 0.3
    held = tokens.owner(member_id)
    found: list[Token] = []
    threads = [threading.Thread(target=lambda: found.append(tokens.refresh(held))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert oauth.count == 1
    assert {token.access for token in found} == {"access-1"}
    assert len(found) == 16


REFRESH = """
import sys
from b24app.bitrix.oauth import Tokens
from b24app.config import load
from b24app.store.database import Database
settings = load(sys.argv[1])
database = Database(sys.argv[2])
tokens = Tokens(database, settings)
held = tokens.owner(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
print(tokens.refresh(held).access, flush=True)
database.dispose()
"""


REFRESH_TOGETHER = """
import os, sys
from b24app.bitrix.oauth import Tokens
from b24app.config import load
from b24app.store.database import Database
settings, database = load(sys.argv[1]), Database(sys.argv[2])
tokens = Tokens(database, settings)
held = tokens.owner(sys.argv[3])
database.dispose()
gate, opened = os.pipe()
for _ in range(16):
    if os.fork() == 0:
        os.close(opened)
        os.read(gate, 1)  # ends when the parent closes its end
        os.write(1, (tokens.refresh(held).access + "\\n").encode())
        os._exit(0)
os.close(opened)
for _ in range(16):
    assert os.wait()[1] == 0
"""


@pytest.fixture
def config(tmp_path: Path, portal: Server, oauth: Oauth) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(settings_text(portal.host, oauth.url))
    return path


def start_refreshing(config: Path, database: Database, member_id: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", REFRESH, str(config), database.url, member_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_sixteen_processes_that_meet_expiry_together_refresh_once(
    tokens: Tokens, config: Path, oauth: Oauth, database: Database, member_id: str
) -> None:
    oauth.seconds = 0.3
    done = subprocess.run(
        [sys.executable, "-c", REFRESH_TOGETHER, str(config), database.url, member_id],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert done.stdout.split() == ["access-1"] * 16
    assert oauth.count == 1


def test_a_process_killed_between_answer_and_storing_is_survived(
    tokens: Tokens,
    config: Path,
    oauth: Oauth,
    database: Database,
    member_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pair that it got is lost with it; whoever comes next finds the old one dead and goes on with the spare."""
    tokens.store(member_id, 7, "spare", Pair("spare-access", "spare-refresh", datetime.now(UTC) + HOUR))
    oauth.seconds = 5.0
    child = start_refreshing(config, database, member_id)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    child.stdin.write("go\n")
    child.stdin.flush()
    deadline = time.monotonic() + 20
    while oauth.count == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert oauth.count == 1, "the server has turned the pair over"
    child.kill()
    child.communicate()
    oauth.seconds = 0.0
    with database.write() as connection:  # the lease of the dead process runs out
        connection.execute(
            sa.update(tokens_table)
            .where(tokens_table.c.lease_owner.is_not(None))
            .values(lease_until=datetime.now(UTC) - timedelta(seconds=1))
        )
    with pytest.raises(PortalClosed):
        tokens.refresh(tokens.owner(member_id))
    assert alarm_keys(database, member_id) == ["token"]
    assert tokens.owner(member_id).access == "spare-access"
    tokens.store(member_id, 1, "owner", Pair("again", "again", datetime.now(UTC) + HOUR))
    assert alarm_keys(database, member_id) == []
    assert tokens.owner(member_id).access == "again"


def test_a_lease_that_a_living_process_holds_is_waited_for(
    tokens: Tokens, oauth: Oauth, database: Database, member_id: str
) -> None:
    held = tokens.owner(member_id)
    with database.write() as connection:
        connection.execute(
            sa.update(tokens_table).values(lease_owner="other", lease_until=datetime.now(UTC) + timedelta(seconds=0.5))
        )
    began = time.monotonic()
    assert tokens.refresh(held).access == "access-1"
    assert time.monotonic() - began > 0.3


def test_no_transaction_stands_open_while_the_server_thinks(
    tokens: Tokens, oauth: Oauth, database: Database, member_id: str
) -> None:
    oauth.seconds = 1.0
    thread = threading.Thread(target=lambda: tokens.refresh(tokens.owner(member_id)))
    thread.start()
    while not oauth.requests:
        time.sleep(0.01)
    began = time.monotonic()
    with database.write() as connection:
        connection.execute(sa.update(portals).values(facts={"x": 1}))
    assert time.monotonic() - began < 0.5
    thread.join()


def test_a_pair_that_the_database_refuses_for_a_while_is_kept_once_it_takes_it(
    tokens: Tokens, oauth: Oauth, database: Database, member_id: str
) -> None:
    """The old pair is worthless by then: what is not stored now costs a visit of an administrator."""
    held = tokens.owner(member_id)
    rotate, back = oauth.rotate, threading.Timer(1.0, _rename, (database, "away", "tokens"))

    def while_the_table_is_away(request: Request) -> Reply:
        _rename(database, "tokens", "away")
        back.start()
        return rotate(request)

    oauth.default = while_the_table_is_away
    assert tokens.refresh(held).access == "access-1"
    back.join()
    assert tokens.owner(member_id).access == "access-1"
    assert len(oauth.requests) == 1


def _rename(database: Database, name: str, to: str) -> None:
    with database.write() as connection:
        connection.execute(sa.text(f"ALTER TABLE {name} RENAME TO {to}"))


def test_a_newer_pair_that_a_person_brought_meanwhile_stays(tokens: Tokens, oauth: Oauth, member_id: str) -> None:
    oauth.seconds = 0.6
    held = tokens.owner(member_id)
    found: list[Token] = []
    thread = threading.Thread(target=lambda: found.append(tokens.refresh(held)))
    thread.start()
    while not oauth.requests:
        time.sleep(0.01)
    tokens.store(member_id, 1, "owner", Pair("from-the-frame", "r", datetime.now(UTC) + HOUR))
    thread.join()
    assert found[0].access == "from-the-frame"
    assert tokens.owner(member_id).access == "from-the-frame"


def test_a_refresh_never_takes_the_servers_domain_for_the_portals(
    tokens: Tokens, oauth: Oauth, portal: Server, database: Database, member_id: str
) -> None:
    tokens.refresh(tokens.owner(member_id))
    with database.read() as connection:
        assert connection.execute(sa.select(portals.c.host)).scalar() == portal.host


def test_a_wrong_clock_does_not_make_a_fresh_token_expired(
    tokens: Tokens, oauth: Oauth, member_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oauth.default = lambda request: Reply(
        200, {"access_token": "a", "refresh_token": "r", "expires": 1000, "expires_in": 3600}
    )
    token = tokens.refresh(tokens.owner(member_id))
    assert timedelta(minutes=59) < token.expires_at - datetime.now(UTC) <= HOUR


@pytest.mark.parametrize(
    ("reply", "key"),
    [
        (refused(400, "invalid_grant"), "token"),
        (refused(400, "invalid_client"), "oauth"),
        (refused(200, "wrong_client"), "oauth"),
        (refused(401, "PAYMENT_REQUIRED"), "oauth"),
        (refused(403, "insufficient_scope"), "oauth"),
    ],
)
def test_a_refusal_closes_the_portal_with_one_alarm_and_no_storm(
    tokens: Tokens, oauth: Oauth, database: Database, member_id: str, reply: Reply, key: str
) -> None:
    oauth.default = lambda request: reply
    held = tokens.owner(member_id)
    for _ in range(5):
        with pytest.raises(PortalClosed):
            tokens.refresh(held)
    assert len(oauth.requests) == 1
    assert alarm_keys(database, member_id) == [key]
    tokens.store(member_id, 1, "owner", Pair("new", "new", datetime.now(UTC) + HOUR))
    assert alarm_keys(database, member_id) == []


@pytest.mark.parametrize(
    "reply",
    [
        refused(500, "INTERNAL_SERVER_ERROR"),
        Reply(502, b"<html></html>", content_type="text/html"),
        Reply(200, b'{"access_token": "a'),
        Reply(200, {}),
        Reply(302, b"", headers={"Location": "http://127.0.0.1:1/"}),
        Reply(how="drop"),
    ],
)
def test_a_server_that_fails_is_asked_again_later_and_nothing_is_lost(
    tokens: Tokens, oauth: Oauth, database: Database, member_id: str, reply: Reply
) -> None:
    oauth.default = lambda request: reply
    held = tokens.owner(member_id)
    for _ in range(5):
        with pytest.raises(Temporary) as caught:
            tokens.refresh(held)
        assert caught.value.retry_at is not None
    assert len(oauth.requests) == 1, "every other one waits for the time that is written down"
    assert alarm_keys(database, member_id) == []
    oauth.default = oauth.rotate
    with database.write() as connection:
        connection.execute(sa.update(tokens_table).values(lease_until=datetime.now(UTC)))
    assert tokens.refresh(held).access == "access-1"


def test_a_portal_that_left_the_configuration_is_closed(
    tokens: Tokens, database: Database, member_id: str, oauth: Oauth
) -> None:
    with database.write() as connection:
        connection.execute(sa.update(portals).values(client_id="local.gone"))
    with pytest.raises(PortalClosed, match=r"config\.toml"):
        tokens.refresh(tokens.owner(member_id))
    assert oauth.requests == []


def test_secrets_stay_out_of_errors_and_logs(
    tokens: Tokens, oauth: Oauth, member_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    oauth.default = lambda request: refused(400, "invalid_grant", "Invalid refresh token")
    with pytest.raises(B24AppError) as caught:
        tokens.refresh(tokens.owner(member_id))
    for text in (str(caught.value), repr(caught.value), caplog.text):
        for secret in (CLIENT_SECRET, "refresh-0", "access-0"):
            assert secret not in text
