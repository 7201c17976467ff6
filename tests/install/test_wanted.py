"""What a portal should have of us against what it has: compared, never torn down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.engine.declare import Catalogue
from b24app.entities import DEAL, LEAD
from b24app.pages import PLACEMENTS
from handlers import HANDLERS
from install.wanted import (
    EVENT_WORDS,
    LIFECYCLE_EVENTS,
    SCOPES,
    Present,
    differences,
    missing_scopes,
    present_of,
    robot_fields,
    wanted_events,
)
from tests.web.conftest import CATALOGUE

URL = "https://app.example.com"
PLACES = frozenset(placement.placement for placement in PLACEMENTS)
BOUND = frozenset((one.placement, f"{URL}/placement/{one.page}") for one in PLACEMENTS)
EMPTY = Present(frozenset(), frozenset(), frozenset(), PLACES, frozenset({"crm"}))
EVENTS = ("ONCRMLEADADD", "ONVOXIMPLANTCALLEND", *LIFECYCLE_EVENTS)
WHOLE = Present(
    frozenset({"assign_manager"}),
    frozenset((event, f"{URL}/event") for event in EVENTS),
    BOUND,
    PLACES,
    frozenset({"crm"}),
)


def calls(present: Present) -> list[str]:
    return [step.call.method for step in differences(CATALOGUE, URL, 1, present) if step.call]


def test_an_empty_portal_gets_everything() -> None:
    assert calls(EMPTY) == ["bizproc.robot.add", *["event.bind"] * len(EVENTS), *["placement.bind"] * len(PLACEMENTS)]


def test_a_portal_in_line_has_its_robots_updated_and_nothing_else_touched() -> None:
    assert calls(WHOLE) == ["bizproc.robot.update"]


@given(
    st.sets(st.sampled_from(["assign_manager", "somebody_elses"])),
    st.sets(st.tuples(st.sampled_from(EVENTS), st.sampled_from([f"{URL}/event", "https://old.example/event"]))),
    st.sets(st.tuples(st.sampled_from(sorted(PLACES)), st.sampled_from([f"{URL}/placement/lead", "https://old/"]))),
)
def test_nothing_is_ever_deleted_and_doing_the_difference_leaves_none(
    robots: set[str], events: set[tuple[str, str]], placements: set[tuple[str, str]]
) -> None:
    present = Present(frozenset(robots), frozenset(events), frozenset(placements), PLACES, frozenset())
    steps = differences(CATALOGUE, URL, 1, present)
    assert not any("delete" in step.call.method or "unbind" in step.call.method for step in steps if step.call)
    for step in steps:
        if step.call and step.call.method == "bizproc.robot.add":
            robots.add(step.call.params["CODE"])
        elif step.call and step.call.method == "event.bind":
            events.add((step.call.params["event"], step.call.params["handler"]))
        elif step.call and step.call.method == "placement.bind":
            placements.add((step.call.params["PLACEMENT"], step.call.params["HANDLER"]))
    after = Present(frozenset(robots), frozenset(events), frozenset(placements), PLACES, frozenset())
    assert {step.state for step in differences(CATALOGUE, URL, 1, after)} <= {"present", "update"}


def test_an_old_address_is_left_alone_and_ours_is_bound() -> None:
    old = Present(
        WHOLE.robots, frozenset({("ONCRMLEADADD", "https://old.example/event")}), WHOLE.placements, PLACES, WHOLE.scope
    )
    bound = [step.call.params for step in differences(CATALOGUE, URL, 1, old) if step.call and "event" in step.key]
    assert {"event": "ONCRMLEADADD", "handler": f"{URL}/event"} in bound


def test_where_the_plan_has_the_queue_the_portal_keeps_events_for_us_but_calls() -> None:
    some = Present(WHOLE.robots, WHOLE.events, BOUND, PLACES, WHOLE.scope, offline=frozenset())
    bound = [step.call.params for step in differences(CATALOGUE, URL, 1, some) if step.call and "queue" in step.key]
    assert bound == [{"event": "ONCRMLEADADD", "event_type": "offline"}]
    assert [step.key for step in differences(CATALOGUE, URL, 1, WHOLE) if "queue" in step.key] == []


@pytest.mark.parametrize(
    ("queue", "rows", "offline"),
    [
        ({"value": "Y"}, [{"event": "ONCRMLEADADD", "handler": "", "offline": "1"}], frozenset({"ONCRMLEADADD"})),
        ({"value": "Y"}, [{"event": "ONCRMLEADADD", "handler": "x", "offline": 0}], frozenset()),
        ({"value": "Y"}, None, frozenset()),
        ({"value": "N"}, [], None),
        (None, [], None),
        ([], [], None),
    ],
)
def test_the_queue_is_there_where_the_plan_says_so(queue: object, rows: object, offline: frozenset[str] | None) -> None:
    assert present_of({"queue": queue, "events": rows}).offline == offline


def test_a_robot_says_whether_it_waits_and_for_whom_it_is() -> None:
    fields = robot_fields(CATALOGUE.robots[0], URL, 7)
    assert fields["USE_SUBSCRIPTION"] == "Y"
    assert fields["HANDLER"] == f"{URL}/robot/assign_manager"
    assert fields["AUTH_USER_ID"] == 7
    assert fields["DOCUMENT_TYPE"] == ["crm", "CCrmDocumentLead", "LEAD"]
    assert fields["FILTER"] == {"INCLUDE": [["crm", "CCrmDocumentLead"], ["crm", "CCrmDocumentDeal"]]}
    assert fields["PROPERTIES"]["order"] == {
        "Name": {"ru": "Порядок", "en": "Order"},
        "Type": "select",
        "Required": "Y",
        "Multiple": "N",
        "Options": {"in_turn": "по очереди", "least_loaded": "наименее занятый"},
        "Default": "in_turn",
    }
    assert fields["RETURN_PROPERTIES"]["manager"]["Type"] == "user"
    assert CATALOGUE.robots[0].entity_type_ids == (LEAD, DEAL)


def test_every_event_that_we_bind_is_named_for_people() -> None:
    assert [event for event in wanted_events(Catalogue(handlers=HANDLERS)) if event not in EVENT_WORDS] == []


def test_a_missing_permission_is_named_with_what_to_do() -> None:
    closed = Present(None, frozenset(), None, None, frozenset({"crm"}))
    steps = {step.key: step for step in differences(CATALOGUE, URL, 1, closed)}
    robot = steps["robot:assign_manager"]
    assert (robot.state, robot.call) == ("impossible", None)
    assert robot.note is not None
    assert "bizproc" in robot.note["ru"]
    assert steps["placement:CRM_LEAD_DETAIL_TAB:lead"].note is not None


@pytest.mark.parametrize("user_scope", ["user", "user_basic", "user_brief"])
def test_a_smaller_permission_that_is_enough_is_not_missing(user_scope: str) -> None:
    names = {scope.name for scope in missing_scopes(frozenset({"crm", user_scope}))}
    assert "user" not in names
    assert names == {scope.name for scope in SCOPES} - {"crm", "user"}


@pytest.mark.parametrize(
    ("answers", "events", "mode"),
    [
        ({}, None, None),
        ({"events": []}, frozenset(), None),
        (
            {"events": [{"event": "onCrmLeadAdd", "handler": "x", "offline": 0}]},
            frozenset({("ONCRMLEADADD", "x")}),
            None,
        ),
        ({"events": [{"event": "ONCRMLEADADD", "handler": "x", "offline": 1}], "mode": 2}, frozenset(), 2),
        ({"events": "broken", "mode": "1"}, None, 1),
    ],
)
def test_answers_of_the_portal_are_read_as_they_come(
    answers: dict[str, object], events: frozenset[tuple[str, str]] | None, mode: int | None
) -> None:
    present = present_of(answers)
    assert present.events == events
    assert present.crm_mode == mode
