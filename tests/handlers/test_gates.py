"""What gates decide, as values: a small kitchen, no portal. The journeys play the same over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from b24app.distribution import Team
from b24app.engine.declare import EventCall, Nothing
from b24app.entities import DEAL, LEAD, ItemRef, User
from b24app.playbook import load_playbook
from b24app.process import PortalField, PortalStage, ProcessOnPortal, bindings_of, card_of, normal_code, text_of
from b24app.rules.offer import Letter
from b24app.rules.working_time import WorkCalendar
from b24app.stage_work import Office, StageWork, act
from b24app.store.process_memory import ItemRow, MoveRow, TaskRow
from handlers import lead_changed, task_changed
from handlers.lead_changed import Changed
from handlers.task_changed import PortalTask, TaskChanged

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=2)
HEAD, ANNA, BORIS, OWNER = 3, 4, 5, 1
REF = ItemRef(LEAD, 42)
LEAD_PROCESS = load_playbook().lead
TYPE = "UF_CRM_B24_CLIENT_TYPE"
FIELDS = {
    normal_code(one.code): PortalField(one.code, one.name.ru, one.type, items={"45": "Дизайнер", "46": "Архитектор"})
    for one in LEAD_PROCESS.fields
    if one.own
} | {
    normal_code("UF_CRM_B24_DECLINE"): PortalField("UF_CRM_B24_DECLINE", "Причина", "enumeration", items={"61": "Цена"})
}
ON = ProcessOnPortal(
    LEAD_PROCESS,
    LEAD,
    {"lead.decline:price": "61", "lead.stage:new": "NEW"},
    FIELDS,
    {stage.id: PortalStage(stage.id, stage.name.ru) for stage in LEAD_PROCESS.stages},
)
OFFICE = Office(
    NOW,
    Team("department:5", (User(ANNA, "Анна"), User(BORIS, "Борис")), User(HEAD, "Глава"), None, WorkCalendar()),
    OWNER,
    "https://acme.bitrix24.ru",
    "local.1",
    can_push=True,
)
QUALIFIED = {"name": "Ольга", "UF_CRM_B24_THEME": "Угловая", TYPE: "45"}


def raw(stage: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": 42,
        "title": "Кухня",
        "stageId": stage,
        "assignedById": ANNA,
        "createdBy": ANNA,
        "createdTime": EARLIER.isoformat(),
        "updatedTime": NOW.isoformat(),
        "movedTime": NOW.isoformat(),
        "movedBy": BORIS,
        "fm": [],
        **fields,
    }


def changed(stage: str, *, known: str | None = "NEW", **changes: Any) -> Changed:
    fields = changes.pop("fields", {})
    facts = Changed(REF, ON, OFFICE, NOW, raw=raw(stage, **fields), known=ItemRow(known, EARLIER) if known else None)
    return replace(facts, **changes)


def task(rule: str, state: Any = "open", **changes: Any) -> TaskRow:
    values = {"task_id": 77, "entity": "lead:42", "rule": rule, "stage": "client", "round": 1, "state": state}
    return TaskRow(**{**values, "made_at": EARLIER, **changes})


def decided(facts: Changed) -> StageWork:
    work = lead_changed.decide(facts)
    assert isinstance(work, StageWork)
    return work


def test_k12_the_way_back_the_notice_and_the_form_leave_together() -> None:
    work = decided(changed("IN_PROCESS"))
    commands = [(c.label, c.call.method, c.needs) for c in act(work)]
    assert commands == [
        ("back_unchanged", "crm.item.list", ()),
        ("back", "crm.item.update", ("back_unchanged",)),
        ("notice_0", "im.notify.personal.add", ("back",)),
        ("form", "pull.application.event.add", ("back",)),
    ]
    check, back, notice, form = (c.call.params for c in act(work))
    assert check["filter"] == {
        "id": 42,
        "0": {
            "logic": "OR",
            "0": {"stageId": "IN_PROCESS", "<updatedTime": (NOW + timedelta(seconds=1)).isoformat()},
            "1": {"stageId": "NEW"},
        },
    }
    assert back["fields"] == {"stageId": "NEW"}
    assert notice["USER_ID"] == BORIS
    assert form == {
        "COMMAND": "open_form",
        "PARAMS": {"entity": "lead:42", "to": "client", "missing": ["client_name", "theme", "client_type"]},
        "MODULE_ID": "application",
        "USER_ID": BORIS,
    }
    assert work.stands is None  # for us it still stands where it stood
    assert work.told


def test_a_move_by_nobody_is_told_to_the_responsible_and_to_the_head_in_the_morning() -> None:
    work = decided(changed("IN_PROCESS", fields={"movedBy": 0}))
    assert [notice.user_id for notice in work.notices] == [ANNA]
    assert work.form is None
    assert not work.told
    assert work.summary_at is not None
    assert work.summary_at > NOW


def test_what_robots_already_did_is_told() -> None:
    work = decided(changed("IN_PROCESS", robots=("assign_manager",)))
    assert "уже сработали (assign_manager)" in work.notices[0].text


@pytest.mark.parametrize(
    ("way_back", "read_before", "judged"),
    [
        ("written", False, True),
        ("sent", False, True),
        ("failed", False, True),
        ("done", True, True),
        ("done", False, False),
        ("skipped", False, False),
    ],
)
def test_one_move_is_judged_once_and_anew_when_its_way_back_was_overtaken(
    way_back: str, read_before: bool, judged: bool
) -> None:
    last = MoveRow(1, "lead:42", "new", "client", BORIS, "return", (), NOW, 9, NOW, NOW)
    facts = changed("IN_PROCESS", last=last, way_back=way_back, read_before=read_before)
    assert isinstance(lead_changed.decide(facts), Nothing) == judged


def test_our_own_move_is_never_judged_as_somebodys() -> None:
    own = MoveRow(1, "lead:42", "new", "client", ANNA, "own", (), NOW, 9, None, NOW)
    work = decided(changed("IN_PROCESS", last=own))
    assert (work.action, work.move, work.stands) == ("pass", None, ("IN_PROCESS", NOW))
    assert [one.rule for one in work.tasks] == ["send_offer", "fill_email"]


@pytest.mark.parametrize(
    ("known", "age", "history", "acts"),
    [
        (None, timedelta(days=3), (("IN_PROCESS", EARLIER), ("NEW", EARLIER)), False),
        (None, timedelta(seconds=5), (("IN_PROCESS", NOW), ("NEW", EARLIER)), True),
        ("NEW", timedelta(hours=3), (), True),
        ("NEW", timedelta(days=2), (), False),
    ],
)
def test_what_stood_there_before_us_is_taken_as_it_stands(
    known: str | None, age: timedelta, history: Any, acts: bool
) -> None:
    moved = (NOW - age).isoformat()
    work = decided(changed("IN_PROCESS", known=known, history=history, fields={"movedTime": moved}))
    assert (work.move is not None) == acts
    assert work.judged == acts


def test_moving_back_is_an_entry_where_the_open_task_stays_and_a_closed_one_gets_a_new_round() -> None:
    facts = changed("IN_PROCESS", known="B24_OFFER_SENT", fields=QUALIFIED | {"emailWork": "o@example.ru"})
    assert [one.round for one in decided(facts).tasks] == [1]
    assert decided(replace(facts, tasks=(task("send_offer"),))).tasks == ()
    again = decided(replace(facts, tasks=(task("send_offer", "closed"),))).tasks
    assert [(one.rule, one.round) for one in again] == [("send_offer", 2)]
    assert again[0].title.endswith("(2)")


def test_a_left_stages_task_closes_itself_as_done_or_obsolete() -> None:
    card = QUALIFIED | {"emailWork": "o@example.ru"}
    letter = Letter(1, NOW, True, True, 1)
    sent = changed(
        "B24_OFFER_SENT", known="IN_PROCESS", fields=card, tasks=(task("send_offer"),), found={"letters": [letter]}
    )
    assert [(one.task_id, one.state) for one in decided(sent).done] == [(77, "closed")]
    back = changed("NEW", known="IN_PROCESS", fields=card, tasks=(task("send_offer"),))
    assert [(one.task_id, one.state) for one in decided(back).done] == [(77, "obsolete")]
    methods = [c.call.method for c in act(decided(back))]
    assert methods == ["tasks.task.update", "crm.timeline.comment.add"]


@pytest.mark.parametrize(
    ("reason", "contact", "reminds"), [("61", True, True), ("46", False, False)], ids=["later", "a value people added"]
)
def test_1c13_what_becomes_of_a_lost_client_is_the_reasons_policy(reason: str, contact: bool, reminds: bool) -> None:
    work = decided(changed("JUNK", known="IN_PROCESS", fields={"UF_CRM_B24_DECLINE": reason, "name": "Пётр"}))
    assert work.action == "pass"
    assert (work.contact is not None, work.remind_at is not None) == (contact, reminds)


def test_a_stage_that_the_portal_lost_is_no_place_to_go_back_to() -> None:
    lost = replace(ON, stages={id: stage for id, stage in ON.stages.items() if id != "NEW"})
    work = decided(replace(changed("IN_PROCESS"), on=lost))
    assert (work.action, work.move) == ("ask", None)
    assert {notice.user_id for notice in work.notices} == {HEAD, BORIS}


# the card


def test_list_values_are_their_keys_and_values_that_people_added_keep_their_names() -> None:
    assert card_of(ON, raw("NEW", **QUALIFIED)).values["client_type"] == "designer"
    added = card_of(ON, raw("NEW", **{TYPE: 46}))
    assert added.values["client_type"] == "id:46"
    assert text_of(ON, added, "client_type") == "Архитектор"


@pytest.mark.parametrize("name", ["UF_CRM_B24_THEME", "ufCrmB24Theme", "ufCrm_B24_THEME"])
def test_a_custom_field_is_found_in_either_spelling(name: str) -> None:
    assert card_of(ON, raw("NEW", **{name: "Угловая"})).values["theme"] == "Угловая"


@pytest.mark.parametrize("empty", [None, "", 0, "0", [], "0|RUB", "|RUB"])
def test_php_empties_are_empty(empty: Any) -> None:
    values = card_of(ON, raw("NEW", **{TYPE: empty, "UF_CRM_B24_PRELIMINARY_SUM": empty})).values
    assert "client_type" not in values
    assert "preliminary_sum" not in values


def test_a_field_that_the_portal_lost_is_unknown() -> None:
    less = replace(ON, fields={code: one for code, one in FIELDS.items() if code != normal_code("UF_CRM_B24_THEME")})
    assert card_of(less, raw("NEW")).unknown == {"theme"}


def test_a_letter_is_looked_for_on_the_item_its_clients_and_the_deals_lead() -> None:
    assert bindings_of(REF, {"contactIds": [7], "contactId": 7, "companyId": 0}) == [
        {"OWNER_TYPE_ID": 1, "OWNER_ID": 42},
        {"OWNER_TYPE_ID": 3, "OWNER_ID": 7},
    ]
    deal = bindings_of(ItemRef(DEAL, 5), {"leadId": 42, "companyId": "9", "quoteId": 3})
    assert [(one["OWNER_TYPE_ID"], one["OWNER_ID"]) for one in deal] == [(2, 5), (4, 9), (7, 3), (1, 42)]


# tasks


def closed(
    status: int, state: Any = "open", *, stage: str = "IN_PROCESS", rule: str = "send_offer", **more: Any
) -> Any:
    facts = TaskChanged(
        row=task(rule, state),
        on=ON,
        office=OFFICE,
        task=PortalTask(77, status, ANNA, BORIS),
        raw=raw(stage, **QUALIFIED, emailWork="o@example.ru"),
        known=ItemRow("IN_PROCESS", EARLIER),
        tasks=(task(rule, state),),
    )
    return task_changed.decide(replace(facts, **more))


def test_k15_a_closed_task_moves_the_lead_where_the_offer_was_sent() -> None:
    work = closed(5, found={"letters": [Letter(1, NOW, True, True, 1)]})
    assert (work.action, work.to_stage, work.states) == ("own", "offer_sent", ((77, "closed"),))
    assert [c.call.method for c in act(work)] == ["crm.item.list", "crm.item.update"]


def test_k17_a_closed_task_without_an_offer_is_opened_again_with_the_reason() -> None:
    work = closed(5)
    assert work.reopened == (77,)
    assert "открыта снова" in work.notices[0].text
    assert work.notices[0].user_id == BORIS
    assert [c.call.params["fields"] for c in act(work) if c.call.method == "tasks.task.update"] == [{"STATUS": 2}]


@pytest.mark.parametrize(
    ("status", "state", "changes", "states"),
    [
        (2, "open", {}, None),
        (4, "open", {}, None),
        (5, "closed", {}, None),
        (3, "closed", {}, ((77, "open"),)),
        (5, "open", {"stage": "B24_OFFER_SENT"}, ((77, "closed"),)),
        (5, "open", {"rule": "fill_email"}, ((77, "closed"),)),
        (5, "open", {"raw": None}, ((77, "obsolete"),)),
        (5, "open", {"task": None}, ((77, "obsolete"),)),
    ],
)
def test_every_state_of_a_task_has_its_answer(status: int, state: Any, changes: dict[str, Any], states: Any) -> None:
    work = closed(status, state, **changes)
    assert (None if isinstance(work, Nothing) else work.states) == states
    assert isinstance(work, Nothing) or work.move is None


@pytest.mark.parametrize(
    ("data", "id"),
    [
        ({"FIELDS_BEFORE": {"ID": "77"}, "FIELDS_AFTER": {"ID": "77"}}, 77),
        ({"FIELDS_BEFORE": {"ID": "77"}, "FIELDS_AFTER": "undefined"}, 77),
        ({"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": "undefined"}, None),
        ({}, None),
    ],
)
def test_the_task_of_an_event_is_named_after_or_before(data: dict[str, Any], id: int | None) -> None:
    assert task_changed.task_id_of(EventCall("m", "ONTASKUPDATE", data)) == id
