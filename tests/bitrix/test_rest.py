"""Rest against a scripted portal over real HTTP: encodings, errors, renewal, redirects, limits."""

from __future__ import annotations

import logging
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qsl

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from b24app.bitrix import wire
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.limits import Limits
from b24app.bitrix.oauth import Pair, Tokens
from b24app.bitrix.rest import Rest, _pairs
from b24app.errors import (
    AccessDenied,
    NotFound,
    OutcomeUnknown,
    Permanent,
    PortalClosed,
    Temporary,
)
from b24app.store.database import Database
from b24app.store.schema import portals

from .scripted import CLIENT_SECRET, Oauth, Reply, Request, Server, alarm_keys, ok, refused

LEAD = Call("crm.item.get", {"entityTypeId": 1, "id": 42})
ADD = Call("crm.item.add", {"entityTypeId": 1, "fields": {"title": "x"}})


def test_a_call_puts_the_token_in_the_body_and_never_in_the_address(rest: Rest, portal: Server) -> None:
    portal.script = [ok({"item": {"id": 42}}, operating=1.5, total=7, next=50)]
    answer = rest.call(LEAD)
    assert answer.result == {"item": {"id": 42}}
    assert (answer.total, answer.next, answer.operating) == (7, 50, 1.5)
    assert answer.operating_reset_at is not None
    assert answer.operating_reset_at > datetime.now(UTC)
    [request] = portal.requests
    assert request.path == "/rest/crm.item.get.json"
    assert request.body == {"entityTypeId": 1, "id": 42, "auth": "access-0"}


def test_connections_are_kept_alive_between_calls(rest: Rest, portal: Server) -> None:
    accepted: list[Any] = []
    original = portal.http.get_request
    portal.http.get_request = lambda: accepted.append(1) or original()  # type: ignore[method-assign]
    for _ in range(5):
        rest.call(LEAD)
    assert len(accepted) <= 1


def test_a_v3_call_goes_to_its_own_address_with_the_key(rest: Rest, portal: Server) -> None:
    portal.script = [Reply(200, {"result": {"item": {"id": 5}}}, headers={"Idempotent-Replayed": "true"})]
    answer = rest.call(Call("tasks.task.add", {"fields": {"title": "t"}}, v3=True), "a-key")
    assert answer.replayed
    [request] = portal.requests
    assert request.path == "/rest/api/tasks.task.add"
    assert request.headers["Idempotency-Key"] == "a-key"
    assert request.body["auth"] == "access-0"


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\nb"])
def test_a_key_that_bitrix24_would_refuse_is_never_sent(rest: Rest, portal: Server, key: str) -> None:
    with pytest.raises(ValueError, match="Idempotency-Key"):
        rest.call(Call("tasks.task.add", {}, v3=True), key)
    assert portal.requests == []


def test_a_key_does_not_go_with_a_classic_call(rest: Rest) -> None:
    with pytest.raises(ValueError, match="Idempotency-Key"):
        rest.call(ADD, "a-key")


def test_the_v3_error_shape_is_read(rest: Rest, portal: Server) -> None:
    portal.script = [
        Reply(
            400,
            {
                "error": {
                    "code": "BITRIX_REST_V3_EXCEPTION_VALIDATION_REQUESTVALIDATIONEXCEPTION",
                    "message": "Error validating request object",
                    "validation": [{"field": "title", "message": "Required field"}],
                }
            },
        )
    ]
    with pytest.raises(Permanent, match="title: Required field"):
        rest.call(Call("tasks.task.add", {}, v3=True))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(502, b"<html>bad gateway</html>", content_type="text/html"), OutcomeUnknown),
        (Reply(504, b"<html>timeout</html>", content_type="text/html"), OutcomeUnknown),
        (Reply(503, b"<html>busy</html>", content_type="text/html"), OutcomeUnknown),
        (Reply(200, b"<html>login</html>", content_type="text/html"), OutcomeUnknown),
        (Reply(200, b'{"result": {"item"'), OutcomeUnknown),
        (Reply(200, b""), OutcomeUnknown),
        (Reply(200, []), OutcomeUnknown),
        (Reply(200, {}), OutcomeUnknown),
        (Reply(200, {"result": True}, how="cut"), OutcomeUnknown),
        (Reply(how="drop"), OutcomeUnknown),
        (refused(500, "INTERNAL_SERVER_ERROR"), OutcomeUnknown),
        (Reply(429, b"slow down", content_type="text/html"), Temporary),
        (Reply(403, b"<html>forbidden</html>", content_type="text/html"), Temporary),
        (Reply(404, b"404 page not found", content_type="text/plain"), Temporary),  # a proxy, its portal restarting
        (refused(400, "NOT_FOUND", "Элемент не найден"), NotFound),
        (refused(400, "ACCESS_DENIED"), AccessDenied),
        (refused(200, "ERROR_ARGUMENT"), Permanent),
        (refused(410, "PORTAL_DELETED"), PortalClosed),
    ],
)
def test_an_answer_says_whether_the_write_may_have_been_done(
    rest: Rest, portal: Server, reply: Reply, expected: type[Exception]
) -> None:
    portal.script = [reply]
    with pytest.raises(expected) as caught:
        rest.call(ADD)
    assert type(caught.value) is expected or (expected is OutcomeUnknown and isinstance(caught.value, OutcomeUnknown))
    assert portal.methods == ["crm.item.add"], "a write is never repeated by this layer"


def _lives_at(database: Database, url: str) -> None:
    with database.write() as connection:
        connection.execute(sa.update(portals).values(client_endpoint=f"{url}/rest/"))


@pytest.mark.parametrize("trouble", ["nobody listens", "an unknown name", "an unknown certificate"])
def test_without_a_connection_nothing_was_certainly_carried_out(
    rest: Rest, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    server = Server(tls=tmp_path / "portal.pem" if trouble == "an unknown certificate" else None)
    _lives_at(database, server.url)
    if trouble == "nobody listens":
        server.close()
    if trouble == "an unknown name":
        monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror(-2, "Name or service not known")))
    with pytest.raises(Temporary) as caught:
        rest.call(ADD)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert server.methods == []
    if trouble != "nobody listens":
        server.close()


@pytest.mark.parametrize("how", ["drop", "cut", "noise"])
def test_tls_that_breaks_after_the_request_leaves_the_outcome_unknown(
    rest: Rest, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    server = Server(tls=tmp_path / "portal.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "portal.pem"))
    _lives_at(database, server.url)
    assert rest.call(ADD).result is True
    server.script = [Reply(200, {"result": True}, how=how)]
    with pytest.raises(OutcomeUnknown):
        rest.call(ADD)
    assert server.methods == ["crm.item.add"] * 2
    server.close()


def test_a_timeout_leaves_the_outcome_unknown(rest: Rest, portal: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(wire.post.__kwdefaults__ or {}, "read_seconds", 0.3)
    portal.script = [Reply(200, {"result": True}, seconds=0.8)]
    with pytest.raises(OutcomeUnknown):
        rest.call(ADD)


def test_a_read_is_repeated_once_on_a_broken_connection(rest: Rest, portal: Server) -> None:
    portal.script = [Reply(how="drop"), ok({"result": {"a": 1}, "result_error": [], "result_time": []})]
    assert isinstance(rest.gather({"a": LEAD})["a"], Answer)
    assert portal.methods == ["batch", "batch"]


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_an_expired_token_is_renewed_once_and_the_call_repeated(rest: Rest, portal: Server, oauth: Oauth) -> None:
    portal.script = [refused(401, "expired_token", "expired"), ok(1)]
    assert rest.call(ADD).result == 1
    assert [request.body["auth"] for request in portal.requests] == ["access-0", "access-1"]
    assert oauth.count == 1
    assert "?" not in oauth.requests[0].path
    assert oauth.requests[0].body["client_secret"] == CLIENT_SECRET


def test_a_token_that_stays_expired_is_not_renewed_in_a_loop(rest: Rest, portal: Server, oauth: Oauth) -> None:
    portal.default = lambda request: refused(401, "expired_token", "expired")
    with pytest.raises(Temporary):
        rest.call(ADD)
    assert (len(portal.requests), oauth.count) == (2, 1)


def test_a_token_known_to_be_expired_is_renewed_before_the_call(
    rest: Rest, tokens: Tokens, portal: Server, oauth: Oauth, member_id: str
) -> None:
    tokens.store(member_id, 1, "owner", Pair("old", "refresh-0", datetime.now(UTC) - timedelta(seconds=1)))
    rest.call(LEAD)
    assert [request.body["auth"] for request in portal.requests] == ["access-1"]
    assert oauth.count == 1


@pytest.mark.parametrize("code", ["NO_AUTH_FOUND", "invalid_token"])
def test_a_pair_that_another_process_replaced_is_taken_from_the_store(
    rest: Rest, tokens: Tokens, portal: Server, oauth: Oauth, member_id: str, code: str
) -> None:
    rest.call(LEAD)
    tokens.refresh(tokens.owner(member_id))
    portal.script = [refused(401, code), ok(2)]
    assert rest.call(LEAD).result == 2
    assert portal.requests[-1].body["auth"] == "access-1"
    assert oauth.count == 1


def test_a_token_that_the_portal_does_not_know_raises_an_alarm_without_a_refresh(
    rest: Rest, portal: Server, oauth: Oauth, database: Database, member_id: str
) -> None:
    portal.default = lambda request: refused(401, "NO_AUTH_FOUND")
    with pytest.raises(PortalClosed):
        rest.call(LEAD)
    assert (len(portal.requests), oauth.count) == (1, 0)
    assert alarm_keys(database, member_id) == ["token"]


def test_a_dismissed_owner_is_replaced_by_a_living_spare(
    rest: Rest, tokens: Tokens, portal: Server, database: Database, member_id: str
) -> None:
    tokens.store(member_id, 7, "spare", Pair("spare-access", "spare-refresh", datetime.now(UTC) + timedelta(hours=1)))
    portal.script = [refused(401, "authorization_error"), ok(1)]
    assert rest.call(LEAD).result == 1
    assert portal.requests[-1].body["auth"] == "spare-access"
    assert alarm_keys(database, member_id) == ["token"]


def test_a_person_in_a_frame_works_with_his_own_token_only(rest: Rest, portal: Server, oauth: Oauth) -> None:
    theirs = rest.rest_as("opener-token")
    portal.script = [ok(1), refused(401, "expired_token", "opener-token expired")]
    assert theirs.call(LEAD).result == 1
    with pytest.raises(AccessDenied) as caught:
        theirs.call(LEAD)
    assert "opener-token" not in str(caught.value)
    assert [request.body["auth"] for request in portal.requests] == ["opener-token"] * 2
    assert oauth.requests == []


# --- redirects ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_renamed_portal_is_found_at_the_authorization_server(
    rest: Rest, portal: Server, oauth: Oauth, other_host: Server, database: Database, status: int
) -> None:
    stranger = "http://127.0.0.1:1/rest/"
    portal.script = [Reply(status, b"", headers={"Location": stranger})]
    oauth.endpoint = f"{other_host.url}/rest/"
    assert rest.call(ADD).result is True
    assert (len(portal.requests), len(other_host.requests), oauth.count) == (1, 1, 1)
    with database.read() as connection:
        assert connection.execute(sa.select(portals.c.host)).scalar() == other_host.host


def test_nothing_goes_to_the_place_that_a_redirect_names(
    rest: Rest, portal: Server, oauth: Oauth, other_host: Server
) -> None:
    portal.default = lambda request: Reply(307, b"", headers={"Location": other_host.url + "/rest/x"})
    with pytest.raises(Temporary) as caught:
        rest.call(ADD)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert other_host.requests == []
    assert (len(portal.requests), oauth.count) == (1, 1)


def test_a_redirect_loop_ends(rest: Rest, portal: Server, oauth: Oauth, other_host: Server) -> None:
    oauth.endpoint = f"{other_host.url}/rest/"
    for server in (portal, other_host):
        server.default = lambda request: Reply(302, b"", headers={"Location": portal.url})
    with pytest.raises(Temporary):
        rest.call(ADD)
    assert (len(portal.requests), len(other_host.requests)) == (1, 1)


def test_an_unacceptable_endpoint_of_a_refresh_is_not_believed(
    rest: Rest, portal: Server, oauth: Oauth, database: Database
) -> None:
    oauth.endpoint = "http://169.254.169.254/rest/"
    portal.script = [refused(401, "expired_token"), ok(1)]
    assert rest.call(ADD).result == 1
    with database.read() as connection:
        assert connection.execute(sa.select(portals.c.host)).scalar() == portal.host


# --- limits ---------------------------------------------------------------------------------------------------------


def test_query_limit_is_waited_out_and_the_call_repeated(
    rest: Rest, portal: Server, limits: Limits, member_id: str
) -> None:
    rest.urgent, rest.wait_seconds = True, 10.0
    portal.script = [refused(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"), ok(1)]
    assert rest.call(ADD).result == 1
    assert limits.level(member_id) > 39


def test_query_limit_without_time_to_wait_is_temporary(rest: Rest, portal: Server) -> None:
    rest.wait_seconds = 0.1
    portal.script = [refused(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")]
    with pytest.raises(Temporary) as caught:
        rest.call(ADD)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.retry_at is not None
    assert len(portal.requests) == 1


def test_overload_stops_everything_until_the_portal_answers_again(
    rest: Rest, portal: Server, database: Database, limits: Limits, member_id: str, redis: Any
) -> None:
    portal.script = [refused(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload")]
    with pytest.raises(PortalClosed):
        rest.call(LEAD)
    assert alarm_keys(database, member_id) == ["rest"]
    with pytest.raises(PortalClosed):
        rest.call(LEAD)
    assert len(portal.requests) == 1, "while stopped, nothing is sent"
    redis.delete(f"b24app:limits:{member_id}:trial")  # ten minutes pass
    assert rest.call(LEAD).result is True
    assert alarm_keys(database, member_id) == []
    assert limits.stopped(member_id) is None


def test_a_trial_that_succeeds_ends_the_stop_though_its_alarm_is_gone(
    rest: Rest, portal: Server, limits: Limits, member_id: str, redis: Any
) -> None:
    """The application was removed and installed again, or an older copy of the database was put back."""
    limits.stop(member_id, "OVERLOAD_LIMIT")
    redis.delete(f"b24app:limits:{member_id}:trial")  # ten minutes pass
    assert rest.call(LEAD).result is True
    assert limits.stopped(member_id) is None
    assert rest.call(LEAD).result is True
    assert len(portal.requests) == 2


def test_an_operating_limit_parks_the_method_and_no_other(rest: Rest, portal: Server) -> None:
    reset = int(datetime.now(UTC).timestamp()) + 120
    portal.script = [
        Reply(
            429,
            {
                "error": "OPERATION_TIME_LIMIT",
                "error_description": "Method is blocked due to operation time limit.",
                "time": {"operating": 481, "operating_reset_at": reset},
            },
        )
    ]
    with pytest.raises(Temporary) as caught:
        rest.call(ADD)
    assert caught.value.retry_at == datetime.fromtimestamp(reset, UTC)
    with pytest.raises(Temporary):
        rest.call(ADD)
    assert rest.call(LEAD).result is True
    assert portal.methods == ["crm.item.add", "crm.item.get"]


def test_a_method_rests_before_its_time_is_used_up(rest: Rest, portal: Server) -> None:
    portal.script = [ok(1, operating=433.0)]
    rest.call(ADD)
    with pytest.raises(Temporary):
        rest.call(ADD)
    assert len(portal.requests) == 1


def test_a_stranded_read_waits_while_the_others_are_asked(rest: Rest, portal: Server, limits: Limits) -> None:
    until = datetime.now(UTC) + timedelta(seconds=90)
    limits.park(rest.member_id, "crm.item.get", until)
    portal.script = [ok({"result": {"user": {"ID": 1}}, "result_error": []})]
    found = rest.gather(
        {
            "lead": LEAD,
            "user": Call("user.current"),
            "needs": Call("user.get", {"ID": "$result[lead][item][assignedById]"}),
        }
    )
    assert isinstance(found["user"], Answer)
    assert isinstance(found["lead"], Temporary)
    assert isinstance(found["needs"], Temporary)
    assert list(portal.requests[0].body["cmd"]) == ["user"]


# --- batches --------------------------------------------------------------------------------------------------------


def test_a_batch_keeps_good_results_beside_bad_ones(rest: Rest, portal: Server, limits: Limits) -> None:
    soon = int(datetime.now(UTC).timestamp()) + 60
    portal.script = [
        ok(
            {
                "result": {"a": {"item": 1}, "d": None},
                "result_error": {"b": {"error": "NOT_FOUND", "error_description": "gone"}},
                "result_total": {"a": 3},
                "result_next": {"a": 50},
                "result_time": {"a": {"operating": 470, "operating_reset_at": soon}},
            }
        )
    ]
    found = rest.batch({label: LEAD if label != "a" else ADD for label in "abcd"})
    assert isinstance(found["a"], Answer)
    assert (found["a"].total, found["a"].next) == (3, 50)
    assert isinstance(found["b"], NotFound)
    assert "c" not in found, "a label that is missing was not run"
    assert isinstance(found["d"], Answer)
    assert limits.parked(rest.member_id, "crm.item.add") is not None
    assert limits.parked(rest.member_id, "crm.item.get") is None


def test_empty_maps_of_a_batch_come_as_lists(rest: Rest, portal: Server) -> None:
    portal.script = [
        ok({"result": [], "result_error": {"a": {"error": "", "error_description": "Not found"}}, "result_time": []})
    ]
    assert isinstance(rest.batch({"a": LEAD})["a"], NotFound)


def test_labels_that_count_from_zero_come_as_lists_too(rest: Rest, portal: Server) -> None:
    portal.script = [ok({"result": ["x", "y"], "result_error": [], "result_total": [1, 2], "result_time": []})]
    found = rest.batch({"0": LEAD, "1": LEAD})
    assert [answer.result for answer in found.values() if isinstance(answer, Answer)] == ["x", "y"]


def test_halt_is_sent(rest: Rest, portal: Server) -> None:
    portal.script = [ok({"result": [], "result_error": []})]
    assert rest.batch({"a": LEAD}, halt=True) == {}
    assert portal.requests[0].body["halt"] == 1


def test_more_than_fifty_commands_are_refused_before_sending(rest: Rest, portal: Server) -> None:
    with pytest.raises(ValueError, match="51"):
        rest.batch({f"c{n}": LEAD for n in range(51)})
    assert portal.requests == []


def test_gather_splits_reads_into_batches_of_fifty(rest: Rest, portal: Server) -> None:
    portal.default = lambda request: ok({"result": {label: label for label in request.body["cmd"]}, "result_error": []})
    found = rest.gather({f"c{n}": LEAD for n in range(120)})
    assert [len(request.body["cmd"]) for request in portal.requests] == [50, 50, 20]
    assert [answer.result for answer in found.values() if isinstance(answer, Answer)] == list(found)


def test_a_batch_command_is_a_php_query() -> None:
    params = {
        "entityTypeId": 1,
        "filter": {">id": 5, "@stageId": ["NEW", "IN & PROCESS"], "%title": "50%"},
        "flag": True,
        "off": False,
        "nothing": None,
        "empty": [],
        "none": {},
        "fields": {"FM": [{"VALUE": "+7 912"}]},
    }
    assert parse_qsl("&".join(_pairs(params, known={})), keep_blank_values=True) == [
        ("entityTypeId", "1"),
        ("filter[>id]", "5"),
        ("filter[@stageId][0]", "NEW"),
        ("filter[@stageId][1]", "IN & PROCESS"),
        ("filter[%title]", "50%"),
        ("flag", "1"),
        ("off", "0"),
        ("nothing", ""),
        ("empty", ""),
        ("fields[FM][0][VALUE]", "+7 912"),
    ]


def test_references_to_earlier_commands_stay_literal(rest: Rest, portal: Server) -> None:
    portal.script = [ok({"result": {}, "result_error": []})]
    rest.batch(
        {
            "lead": LEAD,
            "update": Call("crm.item.update", {"id": "$result[lead][item][id]", "x": ["L_$result[lead][item][id]"]}),
        }
    )
    assert portal.requests[0].body["cmd"]["update"] == (
        "crm.item.update?id=$result[lead][item][id]&x[0]=L_$result[lead][item][id]"
    )


@pytest.mark.parametrize(
    "text",
    [
        "$result[later][item][id]",
        "Меня зовут $result[lead][item][title]",
        "$result[nobody]",
        "$result[lead]; DROP",
    ],
)
def test_a_clients_text_is_never_a_reference(rest: Rest, portal: Server, text: str) -> None:
    portal.script = [ok({"result": {}, "result_error": []})]
    rest.batch({"lead": LEAD, "task": Call("x.add", {"t": text}), "later": LEAD})
    [(_, value)] = parse_qsl(portal.requests[0].body["cmd"]["task"].partition("?")[2])
    assert "$result" not in value
    assert value.replace("\u200b", "") == text


json_kinds = st.recursive(
    st.one_of(st.integers(-(2**40), 2**40), st.text(min_size=1).filter(lambda text: "$result" not in text)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.dictionaries(st.from_regex(r"[>!@=%]?[A-Za-z_]{1,8}", fullmatch=True), inner, min_size=1, max_size=3),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]{1,8}", fullmatch=True), json_kinds, max_size=4))
def test_every_leaf_arrives_under_its_own_name(params: dict[str, Any]) -> None:
    def leaves(value: Any, name: str) -> list[tuple[str, str]]:
        if isinstance(value, dict):
            return [leaf for key, child in value.items() for leaf in leaves(child, f"{name}[{key}]" if name else key)]
        if isinstance(value, list):
            return [leaf for index, child in enumerate(value) for leaf in leaves(child, f"{name}[{index}]")]
        return [(name, str(value))]

    query = "&".join(_pairs(params, known={}))
    assert parse_qsl(query, keep_blank_values=True, errors="surrogatepass") == leaves(params, "")


@pytest.mark.parametrize("method", ["crm.item.get?x=1", "../oauth", "a/b", "", "crm item"])
def test_a_method_is_only_a_name(rest: Rest, portal: Server, method: str) -> None:
    with pytest.raises(ValueError, match="not a method"):
        rest.call(Call(method))
    assert portal.requests == []


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        refused(400, "ERROR_ARGUMENT", "bad token access-0 in request"),
        refused(401, "NO_AUTH_FOUND", "access-0"),
        Reply(how="drop"),
        Reply(500, b"<html>access-0</html>", content_type="text/html"),
        refused(500, "INTERNAL_SERVER_ERROR", "auth=access-0"),
    ],
)
def test_no_error_and_no_log_line_carries_a_token(
    rest: Rest, portal: Server, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    portal.default = lambda request: reply
    with pytest.raises((Temporary, Permanent)) as caught:
        rest.call(ADD)
    trail = [repr(caught.value), str(caught.value), caplog.text]
    assert all("access-0" not in text for text in trail)
    assert caught.value.__cause__ is None


def test_a_netrc_entry_and_cookies_do_not_travel(
    rest: Rest, portal: Server, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    portal.script = [Reply(200, {"result": 1}, headers={"Set-Cookie": "session=1; Path=/"})]
    rest.call(LEAD)
    rest.call(LEAD)
    for request in portal.requests:
        assert "Authorization" not in request.headers
        assert "Cookie" not in request.headers


def test_a_portal_that_was_uninstalled_is_closed(
    rest: Rest, portal: Server, database: Database, member_id: str
) -> None:
    with database.write() as connection:
        connection.execute(sa.update(portals).values(status="uninstalled"))
    with pytest.raises(PortalClosed):
        rest.call(LEAD)
    assert portal.requests == []


def test_the_scripted_server_reads_what_was_sent(rest: Rest, portal: Server) -> None:
    def echo(request: Request) -> Reply:
        return ok(request.body["name"])

    portal.default = echo
    assert rest.call(Call("x.echo", {"name": "Пётр & Ко"})).result == "Пётр & Ко"
