"""Workplaces, call lists, traces, transcripts: what they store, show elsewhere and refuse."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sandbox.client import ControlFailed, Sandbox
from tests.sandbox.conftest import Listener
from tests.sandbox.test_crm_families import Rest

TRACE = json.dumps({"tags": {"list": {"utm_source": "google-maps"}}})


@pytest.fixture
def rest(installed: Sandbox) -> Rest:
    return Rest(installed)


# --- workplaces -------------------------------------------------------------------------------------------------------


def make_type(rest: Rest, title: str) -> int:
    return int(rest("crm.type.add", fields={"title": title})["type"]["id"])


def make_workplace(rest: Rest, title: str, *types: int) -> dict[str, Any]:
    fields = {"title": title, "typeIds": list(types)}
    found: dict[str, Any] = rest("crm.automatedsolution.add", fields=fields)["automatedSolution"]
    return found


def section_of(rest: Rest, number: int) -> Any:
    return rest("crm.type.get", id=number)["type"]["customSectionId"]


def test_a_smart_process_moves_between_workplaces_and_back_to_crm(rest: Rest, listener: Listener) -> None:
    rest("event.bind", event="ONCRMTYPEUPDATE", handler=listener.url + "/e")
    one, two = make_type(rest, "Подбор"), make_type(rest, "Обучение")
    first = make_workplace(rest, "HR", one, two)
    assert first == {"id": first["id"], "title": "HR", "typeIds": [one, two]}
    listener.wait(lambda form: form.get("data[FIELDS][ID]") == str(two))
    section = section_of(rest, one)
    assert section
    assert section != first["id"]
    assert rest("crm.type.get", id=one)["type"]["customSections"] == [{"id": section, "title": "HR"}]
    assert [row["id"] for row in rest("crm.type.list", filter={"customSectionId": section})["types"]] == [one, two]

    second = make_workplace(rest, "R&D", two)
    assert rest("crm.automatedsolution.get", id=first["id"])["automatedSolution"]["typeIds"] == [one]
    assert section_of(rest, two) not in (None, section)
    refused = ("HAS_BOUND_TYPES", "Cannot delete the workplace that has SPAs. Move them to another workplace")
    assert rest.refusal("crm.automatedsolution.delete", id=second["id"]) == refused

    changed = rest("crm.automatedsolution.update", id=second["id"], fields={"title": "Обучение людей"})
    assert changed["automatedSolution"] == {"id": second["id"], "title": "Обучение людей", "typeIds": [two]}
    emptied = rest("crm.automatedsolution.update", id=second["id"], fields={"typeIds": []})["automatedSolution"]
    assert emptied == {"id": second["id"], "title": "Обучение людей", "typeIds": []}
    assert section_of(rest, two) is None
    assert rest("crm.automatedsolution.delete", id=second["id"]) is None
    absent = ("NOT_FOUND", "Digital workplace with such id not found")
    for name in ("get", "delete"):
        assert rest.refusal(f"crm.automatedsolution.{name}", id=second["id"]) == absent
    assert rest.refusal("crm.automatedsolution.update", id=second["id"], fields={"title": "x"}) == absent


def test_a_type_names_its_workplace_itself_and_leaves_it_when_it_is_deleted(rest: Rest) -> None:
    number = make_type(rest, "Подбор")
    workplace = make_workplace(rest, "HR", number)
    section = section_of(rest, number)
    made = rest("crm.type.add", fields={"title": "Ещё", "isExternal": True, "customSectionId": section})["type"]
    assert made["customSectionId"] == section
    found = rest("crm.automatedsolution.get", id=workplace["id"])["automatedSolution"]
    assert found["typeIds"] == [number, made["id"]]
    assert rest.refusal("crm.type.update", id=number, fields={"customSectionId": 999999})[0] in (0, "0")
    rest("crm.type.update", id=number, fields={"isExternal": False})
    rest("crm.type.delete", id=made["id"])
    assert rest("crm.automatedsolution.get", id=workplace["id"])["automatedSolution"]["typeIds"] == []


def test_workplaces_are_listed_by_filters_with_logic_and_order(rest: Rest) -> None:
    numbers = {title: make_workplace(rest, title)["id"] for title in ("HR", "HR Berlin", "Customer Success", "R&D")}

    def titles(**params: Any) -> list[str]:
        return [row["title"] for row in rest("crm.automatedsolution.list", **params)["automatedSolutions"]]

    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"order": {"id": "DESC"}}, ["R&D", "Customer Success", "HR Berlin", "HR"]),
        ({"filter": {"=%title": "HR%"}}, ["HR", "HR Berlin"]),
        ({"filter": {"!%title": "HR"}}, ["Customer Success", "R&D"]),
        ({"filter": {">id": numbers["HR"], "0": {"logic": "OR", "0": {"%=title": "HR%"}, "1": {"%=title": "Cust%"}}},
            "order": {"title": "ASC"}}, ["Customer Success", "HR Berlin"]),
    ]  # fmt: skip
    for params, expected in cases:
        assert titles(**params) == expected, params
    assert rest.answer("crm.automatedsolution.list").json()["total"] == 4
    wrong: list[dict[str, Any]] = [{"filter": {"typeIds": 1}}, {"order": {"typeIds": "ASC"}}, {"order": {"id": "up"}}]
    for params in wrong:
        assert rest.refusal("crm.automatedsolution.list", **params)[0] == "INVALID_ARG_VALUE", params


WORKPLACE_CALLS: dict[str, dict[str, Any]] = {
    "add": {"fields": {"title": "x"}}, "update": {"id": 1, "fields": {"title": "x"}}, "get": {"id": 1}, "list": {},
    "delete": {"id": 1}, "fields": {},
}  # fmt: skip


def test_workplaces_belong_to_administrators_and_their_number_is_limited(rest: Rest, installed: Sandbox) -> None:
    make_workplace(rest, "HR")
    plain = Rest(installed, 4)
    for name, params in WORKPLACE_CALLS.items():
        answer = plain.answer(f"crm.automatedsolution.{name}", **params)
        assert (answer.status_code, answer.json()["error"]) == (400, "ACCESS_DENIED"), name
        assert answer.json()["error_description"] == "Insufficient permissions"
    assert rest.refusal("crm.automatedsolution.add", fields={"typeIds": []}) == (
        "BX_EMPTY_REQUIRED", "The required field 'Title' is not filled",
    )  # fmt: skip
    assert rest.refusal("crm.automatedsolution.update", id=1, fields={"title": " "}) == (
        "BX_EMPTY_REQUIRED", "Required field is not filled",
    )  # fmt: skip
    assert rest.refusal("crm.automatedsolution.update", id=1, fields={"typeIds": [999]})[0] == "INVALID_ARG_VALUE"
    assert rest.refusal("crm.automatedsolution.get")[1] == "Could not find value for parameter {id}"
    installed.control("PATCH", "settings", {"workplaces": 1})
    assert rest.refusal("crm.automatedsolution.add", fields={"title": "x"})[0] == "LIMIT_EXCEEDED"
    assert rest.answer("crm.automatedsolution.list").json()["total"] == 1


# --- call lists -------------------------------------------------------------------------------------------------------


def statuses(rest: Rest, number: int, **params: Any) -> dict[int, str]:
    return {row["ID"]: row["STATUS"] for row in rest("crm.calllist.items.get", LIST_ID=number, **params)}


def activity_of(rest: Rest, number: int) -> dict[str, Any]:
    found = rest("crm.activity.list", filter={"SUBJECT": f"Call list #{number}"}, select=["*", "BINDINGS"])
    assert len(found) == 1
    return dict(found[0])


def test_a_call_list_is_called_through_changed_and_deleted_with_its_activity(
    rest: Rest, installed: Sandbox, listener: Listener
) -> None:
    for event in ("ONCRMACTIVITYADD", "ONCRMACTIVITYUPDATE"):
        rest("event.bind", event=event, handler=listener.url + "/e")
    number = rest("crm.calllist.add", ENTITY_TYPE="CONTACT", ENTITIES=[1, 2, 2, 3], WEBFORM_ID=2)
    activity = activity_of(rest, number)
    assert {row["OWNER_ID"] for row in activity["BINDINGS"]} == {"1", "2", "3"}
    added = listener.wait(lambda form: form.get("event") == "ONCRMACTIVITYADD")
    assert added[0]["data[FIELDS][ID]"] == activity["ID"]
    shown = rest("crm.calllist.get", ID=number)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", shown.pop("DATE_CREATE"))
    assert shown == {
        "ID": str(number), "CREATED_BY_ID": "1", "WEBFORM_ID": "2", "ENTITY_TYPE_ID": "3", "ENTITY_TYPE": "CONTACT",
    }  # fmt: skip

    installed.control("PATCH", f"call-lists/{number}", {"entity_id": 2, "status": "SUCCESS"})
    with pytest.raises(ControlFailed):
        installed.control("PATCH", f"call-lists/{number}", {"entity_id": 2, "status": "NOTHING"})
    assert statuses(rest, number) == {1: "IN_WORK", 2: "SUCCESS", 3: "IN_WORK"}
    assert statuses(rest, number, FILTER={"STATUS": "SUCCESS"}) == {2: "SUCCESS"}

    assert rest("crm.calllist.update", LIST_ID=number, ENTITY_TYPE="CONTACT", ENTITIES=[2, 4]) is True
    assert statuses(rest, number) == {2: "SUCCESS", 4: "IN_WORK"}
    assert rest("crm.calllist.get", ID=number)["WEBFORM_ID"] is None
    listener.wait(lambda form: form.get("event") == "ONCRMACTIVITYUPDATE")
    assert [row["OWNER_ID"] for row in activity_of(rest, number)["BINDINGS"]] == ["2", "4"]

    rest("crm.contact.delete", id=2)
    assert statuses(rest, number) == {4: "IN_WORK"}
    assert activity_of(rest, number)["OWNER_ID"] == "4"
    rest("crm.activity.delete", id=activity["ID"])
    assert rest.refusal("crm.calllist.get", ID=number) == ("LIST_ID_ERROR", "Incorrect list id")
    assert rest("crm.calllist.list") == []


def test_a_call_list_goes_with_its_last_participant(rest: Rest) -> None:
    company = rest("crm.company.add", fields={"TITLE": "ООО"})
    number = rest("crm.calllist.add", ENTITY_TYPE="COMPANY", ENTITIES={"0": company})
    assert rest("crm.calllist.items.get", LIST_ID=number) == [{"ID": company, "STATUS": "IN_WORK", "ENTITY_TYPE": 4}]
    rest("crm.company.delete", id=company)
    assert rest("crm.calllist.list", FILTER={"ID": number}) == []
    assert rest("crm.activity.list", filter={"SUBJECT": f"Call list #{number}"}) == []


def test_call_lists_are_selected_filtered_and_ordered(rest: Rest, installed: Sandbox) -> None:
    first = rest("crm.calllist.add", ENTITY_TYPE="CONTACT", ENTITIES=[1])
    second = Rest(installed, 4)("crm.calllist.add", ENTITY_TYPE="COMPANY", ENTITIES=[1])
    third = rest("crm.calllist.add", ENTITY_TYPE="CONTACT", ENTITIES=[2], WEBFORM_ID=1)
    assert rest("crm.calllist.list", SELECT=["ID", "CREATED_BY_ID"], FILTER={"ENTITY_TYPE_ID": 3},
        ORDER={"ID": "DESC"}) == [
        {"ID": str(third), "CREATED_BY_ID": "1"}, {"ID": str(first), "CREATED_BY_ID": "1"},
    ]  # fmt: skip
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"!CREATED_BY_ID": 1}, [second]), ({"@ID": [first, third]}, [first, third]),
        ({"!@ID": [first]}, [second, third]), ({"WEBFORM_ID": 1}, [third]), ({">=ID": second}, [second, third]),
    ]  # fmt: skip
    for conditions, expected in cases:
        assert [row["ID"] for row in rest("crm.calllist.list", FILTER=conditions)] == [str(one) for one in expected]
    assert set(rest("crm.calllist.list")[0]) == {"ID", "DATE_CREATE", "CREATED_BY_ID", "WEBFORM_ID", "ENTITY_TYPE_ID"}
    text = "Unknown field definition `TITLE` (TITLE) for \\Bitrix\\Crm\\CallList\\Internals\\CallList Entity."
    wrong: list[dict[str, Any]] = [{"SELECT": ["TITLE"]}, {"FILTER": {">TITLE": 1}}, {"ORDER": {"TITLE": "ASC"}}]
    for params in wrong:
        assert rest.refusal("crm.calllist.list", **params) == ("100", text), params


ADD = {"ENTITY_TYPE": "CONTACT", "ENTITIES": [1]}
CALL_LIST_REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("add", {"ENTITIES": [1]}, "ERROR_ARGUMENT", "ENTITY_TYPE is not found"),
    ("add", {"ENTITY_TYPE": "CONTACT"}, "ERROR_ARGUMENT", "ENTITIES is not found"),
    ("add", {**ADD, "ENTITIES": "1"}, "ENTITIES_ERROR", "Entities is not array"),
    ("add", {**ADD, "ENTITY_TYPE": "LEAD"}, "ENTITY_TYPE_ERROR", "Incorrect entity type"),
    ("add", {**ADD, "ENTITIES": [1, 999999]}, "ENTITY_ERROR", "Incorrect entities id"),
    ("add", {**ADD, "ENTITIES": ["ерунда"]}, "ENTITY_ERROR", "Incorrect entities id"),
    ("add", {**ADD, "WEBFORM_ID": 999}, "WEBFORM_ERROR", "Incorrect webform id"),
    ("get", {}, "ERROR_ARGUMENT", "ID is not found"),
    ("get", {"ID": 999}, "LIST_ID_ERROR", "Incorrect list id"),
    ("items.get", {}, "ERROR_ARGUMENT", "LIST_ID is not found"),
    ("items.get", {"LIST_ID": -1}, "LIST_ID_ERROR", "List id should be positive"),
    ("items.get", {"LIST_ID": 999}, "LIST_ID_ERROR", "Call list is not found"),
    ("items.get", {"LIST_ID": 1, "FILTER": {"STATUS": "NOTHING"}}, "STATUS_ERROR", "Incorrect status"),
    ("update", ADD, "ERROR_ARGUMENT", "LIST_ID is not found"),
    ("update", {"LIST_ID": 1, "ENTITIES": [1]}, "ERROR_ARGUMENT", "ENTITY_TYPE is not found"),
    ("update", {"LIST_ID": 1, "ENTITY_TYPE": "CONTACT"}, "ERROR_ARGUMENT", "ENTITIES is not found"),
    ("update", {**ADD, "LIST_ID": 1, "ENTITY_TYPE": "x"}, "ENTITY_TYPE_ERROR", "EntityType is incorrect"),
    ("update", {**ADD, "LIST_ID": 1, "ENTITIES": 1}, "ENTITIES_ERROR", "Entities is not array"),
    ("update", {**ADD, "LIST_ID": 1, "ENTITIES": [999999]}, "ENTITIES_ERROR", "Incorrect entities id"),
    ("update", {**ADD, "LIST_ID": 999}, "LIST_ID_ERROR", "Incorrect list id or access denied"),
    ("update", {**ADD, "LIST_ID": 1, "ENTITY_TYPE": "COMPANY"}, "ENTITY_TYPE_ERROR",
        "Discrepancy between the type of call participants and incoming type"),
    ("update", {**ADD, "LIST_ID": 1, "WEBFORM_ID": 999}, "WEBFORM_ERROR", "Incorrect webform id"),
]  # fmt: skip


def test_wrong_call_lists_are_refused_in_the_words_of_their_pages(rest: Rest) -> None:
    assert rest("crm.calllist.add", **ADD) == 1
    for name, params, code, text in CALL_LIST_REFUSALS:
        assert rest.refusal(f"crm.calllist.{name}", **params) == (code, text), (name, params)
    assert statuses(rest, 1) == {1: "IN_WORK"}


def test_statuses_of_calls_are_a_dictionary_that_can_grow(rest: Rest) -> None:
    listed = rest("crm.calllist.statuslist")
    assert [row["STATUS_ID"] for row in listed] == ["IN_WORK", "SUCCESS", "WRONG_NUMBER", "STOP_CALLING"]
    assert "CALL_LIST" in {row["ID"] for row in rest("crm.status.entity.types")}
    fields = {"ENTITY_ID": "CALL_LIST", "STATUS_ID": "LATER", "NAME": "Перезвонить", "SORT": 15}
    number = rest("crm.status.add", fields=fields)
    assert rest("crm.calllist.statuslist")[1] == {
        "ID": number, "NAME": "Перезвонить", "SORT": 15, "STATUS_ID": "LATER",
    }  # fmt: skip
    rest("crm.calllist.add", **ADD)
    assert statuses(rest, 1, FILTER={"STATUS": "LATER"}) == {}


# --- traces -----------------------------------------------------------------------------------------------------------

WRONG_TYPE = "Wrong TYPE in parameter `ENTITIES`. Allowed types: COMPANY,CONTACT,DEAL,LEAD,QUOTE"
TRACE_REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("add", {}, "Parameter `TRACE` required."),
    ("add", {"TRACE": "{"}, "Can not parse JSON in parameter `TRACE`."),
    ("add", {"TRACE": "5"}, "Can not parse JSON in parameter `TRACE`."),
    ("add", {"TRACE": TRACE, "ENTITIES": [{"TYPE": "TASK", "ID": 1}]}, WRONG_TYPE),
    ("add", {"TRACE": TRACE, "ENTITIES": [{"TYPE": "LEAD", "ID": "x"}]}, "Wrong ID in parameter `ENTITIES`."),
    ("add", {"TRACE": TRACE, "ENTITIES": [{"TYPE": "LEAD", "ID": 999999}]}, "Wrong ID in parameter `ENTITIES`."),
    ("delete", {}, "Parameter `id` required."),
    ("delete", {"id": ""}, "Parameter `id` required."),
]


def test_a_trace_is_bound_and_unbound_by_whoever_may_change_its_items(rest: Rest, installed: Sandbox) -> None:
    for name, params, text in TRACE_REFUSALS:
        assert rest.refusal(f"crm.tracking.trace.{name}", **params) == ("ERROR_CORE", text), (name, params)
    installed.set_person(4, own_leads_only=True)
    anna = Rest(installed, 4)
    own = anna("crm.lead.add", fields={"TITLE": "Своя"})
    foreign = rest("crm.lead.add", fields={"TITLE": "Чужая", "ASSIGNED_BY_ID": 5})
    both = [{"TYPE": "LEAD", "ID": own}, {"TYPE": "LEAD", "ID": foreign}]
    refused = ("ERROR_CORE", f"You have no access to entity `LEAD` with ID `{foreign}`.")
    assert anna.refusal("crm.tracking.trace.add", TRACE=TRACE, ENTITIES=both) == refused
    last = installed.last
    assert anna("crm.tracking.trace.add", TRACE=TRACE) > 0
    number = rest("crm.tracking.trace.add", TRACE=TRACE, ENTITIES=both)
    assert anna("crm.tracking.trace.delete", id=number) is None
    assert rest("crm.tracking.trace.delete", id=number) is None
    assert rest("crm.tracking.trace.delete", id=number) is None  # once more: no error, and nothing happens
    seen = [one for one in installed.ledger(last, "effect") if one["type"] == "trace" and one["id"] == number]
    assert [(one["change"], one.get("entities")) for one in seen] == [
        ("create", [f"lead {own}", f"lead {foreign}"]), ("update", [f"lead {foreign}"]), ("delete", None),
    ]  # fmt: skip


# --- transcripts ------------------------------------------------------------------------------------------------------


def test_a_transcript_is_what_ai_made_of_a_call(rest: Rest, installed: Sandbox) -> None:
    phone = [{"VALUE": "+79005550077", "VALUE_TYPE": "WORK"}]
    rest("crm.lead.add", fields={"TITLE": "Клиент", "ASSIGNED_BY_ID": 5, "PHONE": phone})
    call = installed.ring("+79005550077", type=2)
    installed.answer(call, 5)
    installed.finish(call)
    number = rest("voximplant.statistic.get", FILTER={"CALL_ID": call})[0]["CRM_ACTIVITY_ID"]
    name = "crm.activity.call.getTranscript"
    spoken = [{"SIDE": "User", "START_TIME": 1, "STOP_TIME": 3, "MESSAGE": "Здравствуйте"}]
    rest("telephony.call.attachTranscription", CALL_ID=call, MESSAGES=spoken)
    assert rest(name, activityId=number) is None
    installed.control("POST", f"activities/{number}/transcript", {"text": "Добрый день. Нужна кухня."})
    assert rest(name, activityId=number) == {"transcription": "Добрый день. Нужна кухня."}
    with pytest.raises(ControlFailed):
        installed.control("POST", "activities/999999/transcript", {"text": "x"})

    assert rest.refusal(name, activityId=999999) == ("NOT_FOUND", "Element not found")
    assert rest.refusal(name) == ("100", "Could not find value for parameter {activityId}")
    installed.set_person(4, own_leads_only=True)
    refused = Rest(installed, 4).answer(name, activityId=number)
    assert (refused.status_code, refused.json()["error"]) == (403, "ACCESS_DENIED")
    installed.control("PATCH", "settings", {"ai_calls": False})
    assert rest.refusal(name, activityId=number) == ("ACCESS_DENIED", "Access denied")


# --- consents ---------------------------------------------------------------------------------------------------------


def test_consents_are_kept_for_agreements_that_are_there(rest: Rest, installed: Sandbox) -> None:
    listed = Rest(installed, 10)("userconsent.agreement.list")
    numbers = [int(row["ID"]) for row in listed]
    assert numbers == sorted(numbers, reverse=True)
    assert {row["ACTIVE"] for row in listed} == {"Y", "N"}
    assert None in {row["LANGUAGE_ID"] for row in listed}
    fields = {"COMPANY_NAME": "ООО «Пример»", "EMAIL": "info@example.com"}
    replace = {"button_caption": "Согласен", "fields": fields}
    standard = rest("userconsent.agreement.text", id=1, replace=replace)
    usual = rest("userconsent.agreement.text", id=1)
    assert "Согласен" in standard["LABEL"]
    assert all(value in standard["TEXT"] and value not in usual["TEXT"] for value in fields.values())
    assert not re.search(r"[{}]", standard["LABEL"] + standard["TEXT"] + usual["TEXT"])
    assert rest("userconsent.agreement.text", id=3, replace=replace) == rest("userconsent.agreement.text", id=3)

    last = installed.last
    given = {"AGREEMENT_ID": 1, "IP": "192.168.1.100", "USER_ID": 4, "URL": "https://example.com/form",
        "ORIGIN_ID": "my_form", "ORIGINATOR_ID": "user@example.com"}  # fmt: skip
    first = rest("userconsent.consent.add", **given)
    assert rest("userconsent.consent.add", AGREEMENT_ID=3, IP="2001:db8::1") == first + 1
    kept = [one for one in installed.ledger(last, "effect") if one["type"] == "consent"]
    assert [(one["agreement"], one["ip"], one["origin_id"]) for one in kept] == [
        (1, "192.168.1.100", "my_form"), (3, "2001:db8::1", ""),
    ]  # fmt: skip

    required, absent = "Parameter `Agreement ID` required.", "Agreement with id `999` not found."
    refusals: list[tuple[str, dict[str, Any], str]] = [
        ("agreement.text", {}, required), ("agreement.text", {"id": 999}, absent), ("consent.add", {}, required),
        ("consent.add", {"AGREEMENT_ID": 999, "IP": "127.0.0.1"}, absent),
        ("consent.add", {"AGREEMENT_ID": 1, "IP": "300.1.1.1"}, "Invalid IP address format"),
        ("consent.add", {"AGREEMENT_ID": 1}, "Invalid IP address format"),
    ]  # fmt: skip
    for name, params, text in refusals:
        assert rest.refusal(f"userconsent.{name}", **params) == ("ERROR_ARGUMENT", text), (name, params)


def test_voices_are_named_by_language_and_sex(installed: Sandbox) -> None:
    voices = Rest(installed, 10)("voximplant.tts.voices.get")
    assert voices["eurfrenchfemale"] == "French (Female) (Amazon)"
    assert voices["eurfrenchmale"] == "French (Male) (Default)"
    assert {"ruinternalfemale", "usinternalmale"} <= set(voices)
    assert "swswedishmale" not in voices
