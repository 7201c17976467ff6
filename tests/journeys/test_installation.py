"""How the application comes onto a portal, stays in line there, and leaves; and what becomes of those who pretend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from b24app.store import schema
from b24app.supervisor import free_port
from robots import ROBOTS

from .conftest import tidied
from .office import ANNA, Office, Row, Stranger, new_phone, running_office


@pytest.fixture(scope="module")
def shared_bare_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office whose application is on no portal yet."""
    with running_office(tmp_path_factory.mktemp("bare-office"), "--no-limits", workers=1, installed=False) as office:
        yield office


@pytest.fixture
def bare(shared_bare_office: Office) -> Office:
    """The bare office, its application removed again."""
    office = tidied(shared_bare_office)
    if card(office).get("installed"):
        office.control("POST", f"applications/{office.portal.client_id}/uninstall", {"clean": 1})
        office.until(lambda: portals(office) == [], "the portal is erased")
    office.portal.application(script_only=False, install="", handler="")
    return office


def card(office: Office) -> Row:
    """Returns the application's card on the portal; {} while it is removed."""
    cards = {one["client_id"]: one for one in office.control("GET", "applications")}
    return dict(cards.get(office.portal.client_id, {}))


def portals(office: Office) -> list[sa.RowMapping]:
    return office.rows(sa.select(schema.portals))


def in_line(office: Office) -> bool:
    """Tells whether robots, events and placements stand on the portal, and we know it."""
    return any(row["facts"].get("in_line") for row in portals(office)) and bool(office.portal.state("robot_types"))


def bound(office: Office) -> dict[str, list[Any]]:
    """Returns what our application has registered, by kind."""
    return {
        "robots": sorted(one["code"] for one in office.portal.state("robot_types")),
        "events": sorted((one["id"], one["event"]) for one in office.portal.state("event_handlers")),
        "placements": sorted(one["placement"] for one in office.portal.state("placements")),
    }


def assert_a_missed_call_is_treated(office: Office) -> None:
    office.at_work(ANNA)
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.settle(hurry=True)
    assert office.assert_treated(lead_id) == ANNA


# coming


def test_k1_an_administrator_installs_by_opening_and_nothing_is_sent_before_it_is_finished(bare: Office) -> None:
    office = bare
    office.portal.application(handler=f"{office.url}/app", install=f"{office.url}/install")
    opened = office.portal.open(1)
    assert opened["status"] == 200
    assert 'data-ready="1"' in opened["body"]
    assert bound(office)["robots"] == sorted(robot.code for robot in ROBOTS)
    early = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    assert office.cards_of(early) == []
    office.portal.finish_install()
    assert_a_missed_call_is_treated(office)
    assert not [entry for entry in office.portal.ledger() if entry["kind"] == "alarm"]


def test_k1_a_script_only_application_is_installed_by_its_event(bare: Office) -> None:
    office = bare
    office.portal.application(script_only=True, handler=f"{office.url}/app", install=f"{office.url}/install")
    office.until(lambda: in_line(office), "ONAPPINSTALL brought the portal in line")
    office.settle()
    assert_a_missed_call_is_treated(office)


def test_k1_installing_again_changes_nothing_that_stands_and_mends_what_is_missing(bare: Office) -> None:
    office = bare
    office.install()
    before = bound(office)
    office.press("/install/again")
    assert bound(office) == before
    names = [name for _, name in before["events"]]
    for one in office.portal.state("event_handlers"):
        if one["event"].upper() == "ONCRMLEADADD":  # by the door, and in the portal's queue
            unbind = {
                "event": one["event"],
                "handler": one["handler"],
                "event_type": ["online", "offline"][one["offline"]],
            }
            office.portal.result("event.unbind", unbind, token=office.portal.token_of(1))
    assert len(bound(office)["events"]) == len(names) - 2
    office.press("/install/again")
    assert sorted(name for _, name in bound(office)["events"]) == sorted(names)
    assert_a_missed_call_is_treated(office)


def test_k1_an_application_that_was_removed_and_kept_its_data_comes_back(bare: Office) -> None:
    office = bare
    office.install()
    assert_a_missed_call_is_treated(office)
    decided = len(office.rows(sa.select(schema.assignments.c.id)))
    office.control("POST", f"applications/{office.portal.client_id}/uninstall", {"clean": 0})
    office.until(lambda: [row["status"] for row in portals(office)] == ["uninstalled"], "ONAPPUNINSTALL")
    assert len(office.rows(sa.select(schema.assignments.c.id))) == decided
    assert office.rows(sa.select(schema.tokens)) == []
    office.install()
    assert_a_missed_call_is_treated(office)
    assert len(office.rows(sa.select(schema.assignments.c.id))) > decided


def test_k1_a_clean_removal_erases_everything_of_the_portal(bare: Office) -> None:
    office = bare
    office.install()
    assert_a_missed_call_is_treated(office)
    token = card(office)["application_token"]
    office.control("POST", f"applications/{office.portal.client_id}/uninstall", {"clean": 1})
    office.until(lambda: portals(office) == [], "ONAPPUNINSTALL")
    for table in schema.metadata.sorted_tables:
        if "member_id" in table.c:
            mine = sa.select(table).where(table.c.member_id == office.portal.ready["member_id"])
            assert office.rows(mine) == [], table.name
    assert office.rows(sa.select(schema.commands)) == []
    assert post_event(office, application_token=token).status_code == 403


def test_k1_an_update_brings_a_new_application_token_and_everything_is_bound_again(bare: Office) -> None:
    office = bare
    office.install()
    old = card(office)["application_token"]
    office.control("POST", f"applications/{office.portal.client_id}/update", {})
    office.until(
        lambda: any(one["event"].upper() == "ONCRMLEADADD" for one in office.portal.state("event_handlers")),
        "the events are bound again",
    )
    office.settle()
    assert card(office)["application_token"] != old
    assert post_event(office, application_token=old).status_code == 403
    assert_a_missed_call_is_treated(office)


def test_k2_a_renamed_portal_is_found_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_office(tmp_path_factory.mktemp("renamed"), "--no-limits", workers=1) as office:
        old = office.portal.url
        new = f"127.0.0.1:{free_port()}"
        office.control("PATCH", "settings", {"rename_to": new})
        assert_a_missed_call_is_treated(office)
        assert [row["host"] for row in portals(office)] == [new]
        lead_id = office.portal.missed_call(new_phone())["lead_id"]
        office.settle(hurry=True)
        (task,) = office.tasks_of(lead_id)
        assert f"http://{new}/crm/lead/details/{lead_id}/" in task["description"]
        assert old not in task["description"]


# those who pretend


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """A host that must hear nothing."""
    stranger = Stranger()
    yield stranger
    stranger.close()


def post_event(office: Office, **auth: Any) -> Any:
    """Posts an event as the portal would, with other words about its sender."""
    fields = {"event": "ONCRMLEADADD", "data[FIELDS][ID]": "1", "ts": "1"}
    sender = {"member_id": office.portal.ready["member_id"], "application_token": "0" * 32, **auth}
    named = {f"auth[{name}]": value for name, value in sender.items()}
    return office.http.post(f"{office.url}/event", data={**fields, **named}, timeout=10)


def kept(office: Office) -> tuple[int, list[dict[str, Any]], int]:
    """Returns what our database holds: deliveries but for those of the clock, portals, tokens."""
    rows = [dict(row) for row in portals(office)]
    deliveries = office.rows(sa.select(schema.deliveries.c.id).where(schema.deliveries.c.kind != "timer"))
    return len(deliveries), rows, len(office.rows(sa.select(schema.tokens.c.user_id)))


def test_k1_forged_events_and_robots_are_refused_and_nobody_else_is_asked(office: Office, stranger: Stranger) -> None:
    before, last = kept(office), office.portal.last
    elsewhere = {
        "domain": stranger.host,
        "client_endpoint": f"http://{stranger.host}/rest/",
        "server_endpoint": f"http://{stranger.host}/rest/",
        "access_token": "a" * 70,
        "refresh_token": "r" * 70,
    }
    forged: list[Row] = [
        {"application_token": ""},
        {"application_token": "f" * 32},
        {"member_id": "f" * 32, "application_token": card(office)["application_token"]},
        {**elsewhere},
        {**elsewhere, "member_id": "f" * 32},
    ]
    assert [post_event(office, **auth).status_code for auth in forged] == [403] * len(forged)
    for name in ("ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL"):
        auth = {"member_id": office.portal.ready["member_id"], "application_token": "f" * 32, **elsewhere}
        fields = {"event": name, "data[CLEAN]": "1", **{f"auth[{key}]": value for key, value in auth.items()}}
        for path in ("/event", "/install") if name == "ONAPPINSTALL" else ("/event",):
            assert office.http.post(f"{office.url}{path}", data=fields, timeout=10).status_code == 403, (name, path)
    robot = {
        "code": "assign_manager",
        "document_id[0]": "crm",
        "document_id[1]": "CCrmDocumentLead",
        "document_id[2]": "LEAD_1",
        "document_type[0]": "crm",
        "document_type[1]": "CCrmDocumentLead",
        "document_type[2]": "LEAD",
        "event_token": "t",
        **{f"auth[{key}]": value for key, value in {**elsewhere, "member_id": "f" * 32}.items()},
    }
    assert office.http.post(f"{office.url}/robot/assign_manager", data=robot, timeout=10).status_code == 403
    assert stranger.visits() == 0
    assert kept(office) == before
    assert office.requests_since(last) == []


def test_k1_forged_frames_are_refused_and_nobody_else_is_asked(office: Office, stranger: Stranger) -> None:
    other = office.control("POST", "applications", {"title": "Чужое", "handler": f"http://{stranger.host}/"})
    issue = {"action": "issue", "client_id": other["client_id"], "user_id": 1}
    others_token = office.control("POST", "tokens", issue)["access_token"]
    before = kept(office)
    tokens = {
        "invented": "a" * 70,
        "of another application": others_token,
        "of somebody who is no administrator": office.portal.token_of(ANNA),
    }
    for what, token in tokens.items():
        frame = {
            "AUTH_ID": token,
            "REFRESH_ID": "r" * 70,
            "AUTH_EXPIRES": "3600",
            "SERVER_ENDPOINT": f"http://{stranger.host}/rest/",
            "APPLICATION_TOKEN": "f" * 32,
            "member_id": office.portal.ready["member_id"],
            "status": "L",
            "PLACEMENT": "DEFAULT",
        }
        query = {"DOMAIN": stranger.host, "PROTOCOL": "0", "LANG": "ru", "APP_SID": "s"}
        for path in ("/install", "/app", "/placement/lead"):
            answer = office.http.post(f"{office.url}{path}", params=query, data=frame, timeout=10)
            assert answer.status_code == 403, (what, path)
            assert token not in answer.text
    assert stranger.visits() == 0
    assert kept(office) == before
    assert_a_missed_call_is_treated(office)


def test_k1_what_cannot_be_read_is_refused_and_never_an_error_of_ours(office: Office) -> None:
    before = kept(office)[0]
    token = card(office)["application_token"]
    auth = f"auth[member_id]={office.portal.ready['member_id']}&auth[application_token]={token}"
    bodies = {
        "nothing": b"",
        "no auth": b"event=ONCRMLEADADD",
        "broken nesting": f"event=ONCRMLEADADD&data[FIELDS=1&data]x[=2&{auth}".encode(),
        "too deep": f"event=ONCRMLEADADD&data{'[a]' * 40}=1&{auth}".encode(),
        "too many fields": ("event=ONCRMLEADADD&" + "&".join(f"a{n}=1" for n in range(3000)) + "&" + auth).encode(),
        "too large": f"event=ONCRMLEADADD&{auth}&data[x]=".encode() + b"x" * 2_000_000,
        "no UTF-8": b"event=%ff%fe&" + auth.encode(),
        "a NUL": b"event=ONCRMLEADADD%00&" + auth.encode(),
        "an id of letters": f"event=ONCRMLEADADD&data[FIELDS][ID]=abc&{auth}".encode(),
        "a scalar for auth": b"event=ONCRMLEADADD&auth=1",
    }
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for what, body in bodies.items():
        for path in ("/event", "/robot/assign_manager", "/install", "/app", "/placement/lead"):
            answer = requests.post(f"{office.url}{path}", data=body, headers=form, timeout=10)
            assert 400 <= answer.status_code < 500, (what, path, answer.status_code)
    unknown = office.http.post(f"{office.url}/event", data=f"event=ONNOSUCHEVENT&{auth}", headers=form, timeout=10)
    assert (unknown.status_code, unknown.text.strip()) == (200, "unknown")
    assert kept(office)[0] == before
    assert_a_missed_call_is_treated(office)
