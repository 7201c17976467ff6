"""The doors: who may come in, what is kept before the answer, and what is not."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from b24app.services import Services
from b24app.store import schema
from b24app.store.portals import PortalRow, all_portals, learn
from tests.web.conftest import FORM, LEAD_42, MEMBER, TOKEN, event

Kept = Callable[[], list[Mapping[str, Any]]]

ROBOT = {
    "code": "assign_manager",
    "document_id[0]": "crm",
    "document_id[1]": "CCrmDocumentLead",
    "document_id[2]": "LEAD_42",
    "document_type[0]": "crm",
    "document_type[1]": "CCrmDocumentLead",
    "document_type[2]": "LEAD",
    "event_token": "one|execution|token",
    "use_subscription": "Y",
    "auth[member_id]": MEMBER,
    "auth[application_token]": TOKEN,
    "auth[access_token]": "canary-access",
}


def test_an_event_is_kept_and_then_answered(client: FlaskClient, portal: str, kept: Kept) -> None:
    answer = client.post("/event", data=event("OnCrmLeadAdd", **LEAD_42), headers=FORM)
    assert (answer.status_code, answer.text) == (200, "kept\n")
    [row] = kept()
    assert (row["kind"], row["code"], row["entity"], row["state"]) == ("event", "ONCRMLEADADD", "lead:42", "waiting")
    assert row["payload"] == {"event": "ONCRMLEADADD", "data": {"FIELDS": {"ID": "42"}}, "ts": 1760000000}


def test_no_token_of_a_request_is_kept(client: FlaskClient, portal: str, kept: Kept) -> None:
    client.post("/event", data=event(**LEAD_42), headers=FORM)
    client.post("/robot/assign_manager", data=ROBOT)
    text = json.dumps(kept(), default=str)
    assert len(kept()) == 2
    assert "canary" not in text
    assert TOKEN not in text


@pytest.mark.parametrize(
    "body",
    [
        event(token="forged", **LEAD_42),
        event(token="", **LEAD_42),
        event(member="f" * 32, **LEAD_42),
        event(member="f" * 32, token="", **LEAD_42),
        event("ONAPPUNINSTALL", token="forged", **{"data[CLEAN]": "1"}),
        event("ONAPPUPDATE", member="f" * 32),
        event("ONNOBODYKNOWS", token="forged"),
    ],
)
def test_a_stranger_gets_403_and_nothing_is_kept(client: FlaskClient, portal: str, kept: Kept, body: str) -> None:
    answer = client.post("/event", data=body, headers=FORM)
    assert answer.status_code == 403
    assert kept() == []


def test_a_stranger_and_a_wrong_token_get_the_same_answer(client: FlaskClient, portal: str) -> None:
    wrong = client.post("/event", data=event(token="forged"), headers=FORM)
    stranger = client.post("/event", data=event(member="f" * 32), headers=FORM)
    assert (wrong.data, wrong.status_code) == (stranger.data, stranger.status_code)


def test_a_robot_with_a_wrong_token_gets_403(client: FlaskClient, portal: str, kept: Kept) -> None:
    answer = client.post("/robot/assign_manager", data={**ROBOT, "auth[application_token]": "forged"})
    assert answer.status_code == 403
    assert kept() == []


@pytest.mark.parametrize("body", [b"a[=1", b"\xff", b"", b"event=ONCRMLEADADD", b"event=ONCRMLEADADD&auth=x"])
def test_a_broken_event_gets_400(client: FlaskClient, portal: str, kept: Kept, body: bytes) -> None:
    assert client.post("/event", data=body, headers=FORM).status_code == 400
    assert kept() == []


def test_an_event_without_what_it_is_about_gets_400(client: FlaskClient, portal: str, kept: Kept) -> None:
    assert client.post("/event", data=event("ONVOXIMPLANTCALLEND"), headers=FORM).status_code == 400
    longest = event("ONVOXIMPLANTCALLEND", **{"data[CALL_ID]": "x" * 200})
    assert client.post("/event", data=longest, headers=FORM).status_code == 400
    assert kept() == []


@pytest.mark.parametrize("body", [b"x" * (1024 * 1024 + 1), b"a=1&" * 2001])
def test_a_huge_event_gets_413(client: FlaskClient, portal: str, kept: Kept, body: bytes) -> None:
    assert client.post("/event", data=body, headers=FORM).status_code == 413
    assert kept() == []


@pytest.mark.parametrize(("size", "status"), [(1024, 400), (2 * 1024 * 1024, 413)])
def test_a_body_without_its_length_is_held_to_the_same_limit(
    client: FlaskClient, portal: str, kept: Kept, size: int, status: int
) -> None:
    pieces = {"wsgi.input": io.BytesIO(b"x" * size), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    assert client.post("/event", environ_overrides=pieces).status_code == status
    assert kept() == []


@pytest.mark.parametrize("length", ["-1", "x", "500"])
def test_a_body_that_is_not_as_long_as_it_says_gets_400(
    client: FlaskClient, portal: str, kept: Kept, length: str
) -> None:
    cut = {"wsgi.input": io.BytesIO(event(**LEAD_42).encode()), "CONTENT_LENGTH": length}
    assert client.post("/event", environ_overrides=cut).status_code == 400


def test_an_unknown_event_is_counted_and_not_kept(client: FlaskClient, portal: str, kept: Kept) -> None:
    answer = client.post("/event", data=event("ONNOBODYKNOWS", **LEAD_42), headers=FORM)
    assert (answer.status_code, answer.text) == (200, "unknown\n")
    assert kept() == []
    assert 'b24app_unknown_events_total{event="ONNOBODYKNOWS"} 1.0' in client.get("/metrics").text


def test_a_robot_call_is_kept_once(client: FlaskClient, portal: str, kept: Kept) -> None:
    assert client.post("/robot/assign_manager", data=ROBOT).text == "kept\n"
    assert client.post("/robot/assign_manager", data=ROBOT).text == "known\n"
    [row] = kept()
    assert (row["kind"], row["code"], row["entity"], row["priority"]) == ("robot", "assign_manager", "lead:42", 10)
    assert row["payload"]["event_token"] == "one|execution|token"
    assert row["unique_key"].startswith("robot:")


def test_an_unknown_robot_is_kept_so_that_it_gets_its_answer(client: FlaskClient, portal: str, kept: Kept) -> None:
    assert client.post("/robot/removed_long_ago", data={**ROBOT, "code": "removed_long_ago"}).status_code == 200
    assert [row["code"] for row in kept()] == ["removed_long_ago"]


def test_a_token_stored_under_the_previous_secret_key_still_opens(services: Services, portal: str) -> None:
    from b24app.web.gate import Gate
    from b24app.web.incoming import Auth

    app = services.settings.app.model_copy(update={"secret_key": "n" * 40, "previous_secret_keys": ("k" * 40,)})
    gate = Gate(services.database, services.settings.model_copy(update={"app": app}))
    assert gate.check(Auth(MEMBER, TOKEN)).member_id == MEMBER


def test_the_database_in_trouble_is_503(client: FlaskClient, services: Services, portal: str) -> None:
    assert client.post("/event", data=event(**LEAD_42), headers=FORM).status_code == 200
    with services.database.write() as connection:
        connection.execute(sa.text("ALTER TABLE deliveries RENAME TO gone"))
    assert client.post("/event", data=event(**LEAD_42), headers=FORM).status_code == 503


def settled(client: FlaskClient, services: Services) -> Mapping[str, PortalRow]:
    """Returns the portals once the removal is carried out (it is proved first, test_security_removal.py)."""
    deadline = time.monotonic() + 60
    while client.post("/event", data=event("ONNOBODYKNOWS"), headers=FORM).status_code != 403:
        assert time.monotonic() < deadline, "the removal did not come"
        time.sleep(0.01)
    return all_portals(services.database)


@pytest.mark.parametrize(("clean", "erased"), [("1", True), ("0", False)])
def test_removal_erases_or_keeps_as_the_customer_chose(
    client: FlaskClient, services: Services, portal: str, kept: Kept, clean: str, erased: bool
) -> None:
    client.post("/event", data=event(**LEAD_42), headers=FORM)
    learn(services.database, MEMBER, {"crm_mode": 1})
    with client.post("/event", data=event("ONAPPUNINSTALL", **{"data[CLEAN]": clean}), headers=FORM) as answer:
        assert answer.status_code == 200
    portals = settled(client, services)
    assert bool(portals) is not erased
    assert bool(kept()) is not erased
    if not erased:
        assert portals[MEMBER].status == "uninstalled"
        assert kept()[0]["state"] == "failed"
    assert client.post("/event", data=event(**LEAD_42), headers=FORM).status_code == 403


def test_removal_erases_every_table_that_knows_portals(client: FlaskClient, services: Services, portal: str) -> None:
    with services.database.write() as connection:
        for table in schema.metadata.sorted_tables:
            if "member_id" in table.c and table.name != "portals":
                values = {
                    column.name: _sample(column) for column in table.c if not column.nullable and column.name != "id"
                }
                connection.execute(sa.insert(table).values({**values, "member_id": MEMBER}))
    with services.database.write() as connection:
        connection.execute(sa.delete(schema.tokens))  # no token is left that could refute it
    with client.post("/event", data=event("ONAPPUNINSTALL", **{"data[CLEAN]": "1"}), headers=FORM):
        pass
    settled(client, services)
    with services.database.read() as connection:
        for table in schema.metadata.sorted_tables:
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0, table.name


def _sample(column: sa.Column[Any]) -> Any:
    from datetime import UTC, datetime

    if isinstance(column.type, schema.Moment):
        return datetime.now(UTC)
    if isinstance(column.type, sa.JSON):
        return {}
    if isinstance(column.type, sa.Boolean):
        return False
    return 1 if isinstance(column.type, sa.Integer) else "x"


def test_the_page_for_passers_by_says_what_this_is(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Битрикс24" in answer.text
    assert "inside the portal" in answer.text
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


def test_health_says_what_works_and_details_only_to_insiders(client: FlaskClient, portal: str) -> None:
    inside = client.get("/health")
    assert inside.status_code == 200
    assert inside.json["works"]["database"] is True
    assert any(finding["key"] == "redis" and finding["level"] == "warn" for finding in inside.json["findings"])
    for headers in ({"X-Forwarded-For": "203.0.113.5"}, {"Forwarded": "for=203.0.113.5"}):
        assert "findings" not in client.get("/health", headers=headers).json


def test_health_is_503_without_a_database(client: FlaskClient, services: Services) -> None:
    with services.database.write() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
    assert client.get("/health").status_code == 503


def test_metrics_are_counted_at_the_scrape_and_for_insiders_only(client: FlaskClient, portal: str) -> None:
    assert 'b24app_deliveries{kind="event"' not in client.get("/metrics").text
    client.post("/event", data=event(**LEAD_42), headers=FORM)
    text = client.get("/metrics").text
    assert 'b24app_deliveries{kind="event",state="waiting"} 1.0' in text
    assert "b24app_portals_active 1.0" in text
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.5"}).status_code == 403


@pytest.mark.parametrize("name", ["main.py", "main.html", "../config.py", "..%2fconfig.py", "x.css"])
def test_nothing_but_the_named_files_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_static_files_may_be_kept_for_ever_under_their_own_address(client: FlaskClient) -> None:
    from b24app.pages.frame import statics

    for file in statics().values():
        answer = client.get(file.url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/event", "/robot/x"])
def test_a_door_is_only_posted_to(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 405


def test_a_frame_from_nowhere_is_refused_in_words(client: FlaskClient, portal: str) -> None:
    body = urlencode({"AUTH_ID": "", "member_id": MEMBER})
    answer = client.post("/app?LANG=en&DOMAIN=portal.bitrix24.ru", data=body, headers=FORM)
    assert answer.status_code == 400
    assert "not understood" in answer.text
    assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors 'self' https://portal.bitrix24.ru")
    assert "X-Frame-Options" not in answer.headers
    assert "Set-Cookie" not in answer.headers
