"""The main job as people see it: missed calls, calls that somebody answers, leads by hand, letters and forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .office import ANNA, BORIS, HEAD, LINE_OWNER, MANAGERS, VERA, Office, new_phone


def readable(phone: str) -> str:
    return f"{phone[:2]} {phone[2:5]} {phone[5:8]}-{phone[8:10]}-{phone[10:]}"


# missed calls and leads by hand


def test_k1_k2_k3_k4_cb18_a_missed_call_finds_a_free_manager_with_a_task(office: Office) -> None:
    office.at_work(ANNA)
    lead_id = office.portal.missed_call("+79123456789")["lead_id"]
    assert office.responsible(lead_id) == LINE_OWNER
    office.settle()
    assert office.assert_treated(lead_id) == ANNA
    (task,) = office.tasks_of(lead_id)
    assert task["title"] == "Вам необходимо связаться с клиентом по телефону № +7 912 345-67-89"
    assert f"{office.portal.url}/crm/lead/details/{lead_id}/" in task["description"]
    (card,) = office.cards_of(lead_id)
    assert "Пропущенный звонок" in card
    assert "Борис Лебедев: рабочий день не начат или закончен" in card


def test_k1_bx1_1c8_a_lead_made_by_hand_with_only_a_phone_number_is_treated_as_a_missed_call(office: Office) -> None:
    phone = new_phone()
    lead_id = office.lead_by_hand(phone)
    office.settle()
    office.assert_treated(lead_id)
    (task,) = office.tasks_of(lead_id)
    assert task["title"] == f"Вам необходимо связаться с клиентом по телефону № {readable(phone)}"


def test_k2_managers_who_are_absent_busy_or_talking_are_not_free(office: Office) -> None:
    now = datetime.now(UTC)
    span = {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}
    office.portal.set_person(ANNA, absent=span)
    office.portal.set_person(BORIS, busy=span)
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    assert office.assert_treated(lead_id) == VERA
    (card,) = office.cards_of(lead_id)
    assert "Анна Кузнецова: отсутствует до" in card
    assert "Борис Лебедев: занят по календарю до" in card


def test_k2_managers_take_turns(office: Office) -> None:
    got = []
    for _ in range(6):
        lead_id = office.portal.missed_call(new_phone())["lead_id"]
        office.settle()
        got.append(office.assert_treated(lead_id))
    assert sorted(got[:3]) == sorted(got[3:]) == sorted(MANAGERS)


# answered calls


def may(office: Office, method: str, lead_id: int, user_id: int, **more: Any) -> str:
    """Returns the portal's answer to a person's own token: "" or the error's code."""
    params = {"entityTypeId": 1, "id": lead_id, **more}
    return str(office.portal.call(method, params, token=office.portal.token_of(user_id)).get("error", ""))


def test_k5_k6_1c7_whoever_answers_is_responsible_and_has_the_card_open_while_he_talks(office: Office) -> None:
    office.control("PATCH", "line", {"create_lead": "all", "create_when": "start"})
    for person in (BORIS, VERA):
        office.portal.set_person(person, own_leads_only=True)
    phone = new_phone()
    call_id = office.portal.ring(phone)
    lead_id = int(office.leads_of(phone)[0]["id"])
    filled = {"fields": {"name": "Сергей", "comments": "Кухня 3 метра"}}
    assert may(office, "crm.item.get", lead_id, BORIS) == "ACCESS_DENIED"
    assert may(office, "crm.item.update", lead_id, BORIS, **filled) == "ACCESS_DENIED"
    office.portal.answer(call_id, BORIS)
    office.until(lambda: office.responsible(lead_id) == BORIS, "the answerer is responsible while he talks")
    assert may(office, "crm.item.update", lead_id, BORIS, **filled) == ""
    assert may(office, "crm.item.update", lead_id, VERA, **filled) == "ACCESS_DENIED"
    assert not office.is_quiet(), "the call was to be going on still"
    office.portal.finish(call_id)
    office.settle()
    lead = office.lead(lead_id)
    assert lead is not None
    assert (lead["assignedById"], lead["name"]) == (BORIS, "Сергей")
    assert office.tasks_of(lead_id) == []
    assert len(office.cards_of(lead_id)) == 1


def test_k5_a_lead_that_appears_during_the_talk_belongs_to_whoever_answered(office: Office) -> None:
    phone = new_phone()
    call_id = office.portal.ring(phone)
    office.portal.answer(call_id, VERA)
    office.settle(talking=True)
    lead_id = office.lead_by_hand(phone)
    office.until(lambda: office.responsible(lead_id) == VERA, "the lead is hers while she talks")
    office.portal.finish(call_id)
    office.settle()
    assert office.responsible(lead_id) == VERA
    assert office.tasks_of(lead_id) == []


def test_k5_a_lead_that_the_line_makes_at_the_end_belongs_to_whoever_answered(office: Office) -> None:
    office.control("PATCH", "line", {"create_lead": "all", "create_when": "end"})
    phone = new_phone()
    call_id = office.portal.ring(phone)
    office.portal.answer(call_id, ANNA)
    office.settle(talking=True)
    lead_id = office.portal.finish(call_id)["lead_id"]
    office.settle()
    assert office.responsible(lead_id) == ANNA
    assert office.tasks_of(lead_id) == []
    assert "ответил на звонок" in office.cards_of(lead_id)[0]


def test_k5_on_a_colleagues_lead_whoever_answers_becomes_observer_with_a_note(office: Office) -> None:
    phone = new_phone()
    with office.minutes_ago():
        lead_id = office.lead_by_hand(phone, user_id=ANNA)
    owner = office.responsible(lead_id)
    other = next(person for person in MANAGERS if person != owner)
    call_id = office.portal.ring(phone)
    office.portal.answer(call_id, other)
    office.until(lambda: other in (office.lead(lead_id) or {})["observers"], "the answerer is an observer")
    office.portal.finish(call_id)
    office.settle()
    assert office.responsible(lead_id) == owner
    assert any("становится наблюдателем" in card for card in office.cards_of(lead_id))


def test_k5_by_policy_whoever_answers_takes_a_colleagues_lead_over(waiting_office: Office) -> None:
    office, phone = waiting_office, new_phone()
    with office.minutes_ago():
        lead_id = office.lead_by_hand(phone, user_id=ANNA)
    other = next(person for person in MANAGERS if person != office.responsible(lead_id))
    call_id = office.portal.ring(phone)
    office.portal.answer(call_id, other)
    office.until(lambda: office.responsible(lead_id) == other, "the answerer took it over")
    office.portal.finish(call_id)
    office.settle()
    assert office.responsible(lead_id) == other


def test_1c7_an_outgoing_call_that_nobody_answered_does_nothing(office: Office) -> None:
    office.control("PATCH", "line", {"create_lead": "all", "create_when": "end"})
    phone = new_phone()
    call_id = office.portal.ring(phone, type=1, user_id=ANNA)
    lead_id = office.portal.finish(call_id, code="304")["lead_id"]
    office.settle()
    assert office.responsible(lead_id) == ANNA
    assert office.tasks_of(lead_id) == []
    assert office.cards_of(lead_id) == []


# known clients and lines that make no lead


def test_1c7_a_known_client_who_calls_in_vain_stays_with_his_free_manager(office: Office) -> None:
    phone = new_phone()
    contact_id = office.client(phone, BORIS)
    assert office.portal.missed_call(phone)["lead_id"] is None
    office.settle()
    (task,) = office.tasks_of(contact_id, "C")
    assert task["responsible_id"] == BORIS
    assert "клиента ведёт он, и он свободен" in office.cards_of(contact_id, "contact")[0]
    assert office.leads_of(phone) == []


def test_1c7_a_known_client_of_a_manager_who_is_not_free_is_called_back_by_another_and_his_manager_is_told(
    office: Office,
) -> None:
    office.at_work(ANNA, VERA)
    phone = new_phone()
    contact_id = office.client(phone, BORIS)
    office.portal.missed_call(phone)
    office.settle()
    (task,) = office.tasks_of(contact_id, "C")
    assert task["responsible_id"] in (ANNA, VERA)
    assert len(office.notices_of(BORIS, readable(phone))) == 1
    contact = next(one for one in office.portal.state("contacts") if one["id"] == contact_id)
    assert contact["assignedById"] == BORIS


def test_1c7_a_client_who_calls_again_and_again_makes_one_task(office: Office) -> None:
    phone = new_phone()
    contact_id = office.client(phone, BORIS)
    for _ in range(3):
        office.portal.missed_call(phone)
        office.settle()
    assert len(office.tasks_of(contact_id, "C")) == 1
    assert office.notices_of(BORIS, readable(phone))


def test_bx1_1c7_an_unknown_number_without_a_lead_gets_one_from_us_once(office: Office) -> None:
    office.control("PATCH", "line", {"create_lead": "none"})
    office.portal.event_rule("ONVOXIMPLANTCALLEND", "duplicate", seconds=0.5)
    phone = new_phone()
    office.portal.missed_call(phone)
    office.settle(hurry=True)
    (lead,) = office.leads_of(phone)
    manager = office.assert_treated(lead["id"])
    assert lead["title"] == f"Пропущенный звонок {readable(phone)}"
    office.portal.missed_call(phone)
    office.settle(hurry=True)
    assert [one["id"] for one in office.leads_of(phone)] == [lead["id"]]
    assert [task["responsible_id"] for task in office.tasks_of(lead["id"])] == [manager]
    assert office.notices_of(manager, readable(phone))


def test_bx1_a_call_whose_end_nobody_told_still_gets_its_lead(office: Office) -> None:
    office.control("PATCH", "line", {"create_lead": "none"})
    office.portal.event_rule("ONVOXIMPLANTCALLEND", "lose")
    phone = new_phone()
    office.portal.missed_call(phone)
    office.settle(hurry=True)
    assert office.leads_of(phone) == []
    office.hurry_timers("call_lost")
    office.until(lambda: office.leads_of(phone) or office.hurry(), "the lead of the lost call")
    office.settle(hurry=True)
    (lead,) = office.leads_of(phone)
    office.assert_treated(lead["id"])


def test_k2_a_conversation_whose_end_was_lost_ends_for_us(office: Office) -> None:
    office.at_work(ANNA)
    call_id = office.portal.ring(new_phone(), type=1, user_id=ANNA)
    office.portal.answer(call_id, ANNA)
    office.settle(talking=True)
    office.portal.event_rule("ONVOXIMPLANTCALLEND", "lose")
    office.portal.finish(call_id)
    first = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    assert office.assert_treated(first, among=(HEAD,)) == HEAD
    assert "Анна Кузнецова: говорит по телефону" in office.cards_of(first)[0]
    office.hurry_timers("call_lost")
    office.until(lambda: not office.timers("call_lost"), "the timer of the lost call")
    office.settle()
    second = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    assert office.assert_treated(second) == ANNA


# written enquiries and imports


def test_k7_cb17_cb18_a_web_form_makes_a_task_that_names_the_source(office: Office) -> None:
    form = {"name": "Мария", "phone": new_phone(), "email": "maria@example.ru", "comment": "Угловая кухня"}
    lead_id = office.control("POST", "web-form", form)["lead_id"]
    office.settle()
    office.assert_treated(lead_id)
    (task,) = office.tasks_of(lead_id)
    assert "CRM-форма" in task["description"] + task["title"]
    assert f"/crm/lead/details/{lead_id}/" in task["description"]
    assert task["title"].startswith("Ответьте клиенту: ")


def test_k7_cb17_a_letter_makes_a_task_that_names_the_source(office: Office) -> None:
    letter = {"from": "petr@example.ru", "subject": "Кухня", "text": "Сколько стоит?"}
    lead_id = office.control("POST", "email", letter)["lead_id"]
    office.settle()
    office.assert_treated(lead_id)
    (task,) = office.tasks_of(lead_id)
    assert task["title"] == "Ответьте клиенту: Электронная почта"
    assert "petr@example.ru" in task["description"]


def test_cb18_an_import_of_many_leads_makes_one_question_and_no_tasks(office: Office) -> None:
    office.forget_rate()
    made = office.control("POST", "import", {"count": 55, "user_id": LINE_OWNER})
    office.settle(hurry=True)
    numbers = range(made["first"], made["last"] + 1)
    tasks = office.portal.state("tasks")
    assert [task["responsible_id"] for task in tasks if "Загружено лидов" in task["title"]] == [HEAD]
    ours = {f"L_{number}" for number in numbers}
    assert not [task for task in tasks if "связаться" in task["title"] and ours.intersection(task["crm"])]
    leads = {one["id"]: one["assignedById"] for one in office.portal.state("leads")}
    assert {leads[number] for number in numbers} == {LINE_OWNER}


# nobody is free


def test_k2_nobody_free_gives_the_lead_to_the_head(office: Office) -> None:
    office.at_work()
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    assert office.assert_treated(lead_id, among=(HEAD,)) == HEAD
    assert "никто не свободен: руководителю отдела" in office.cards_of(lead_id)[0]


def test_k2_cb18_nobody_free_lets_the_lead_wait_in_a_queue_that_everybody_sees(waiting_office: Office) -> None:
    office = waiting_office
    office.at_work()
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    assert office.responsible(lead_id) == LINE_OWNER
    (card,) = office.cards_of(lead_id)
    assert "ждёт в очереди" in card
    assert len(office.notices_of(HEAD, f"/details/{lead_id}/")) == 1
    page, _ = office.page_pass()
    assert f'data-entity="lead:{lead_id}"' in page
    office.at_work(VERA)
    office.hurry_timers("queue")
    office.until(lambda: office.responsible(lead_id) == VERA, "the queue's timer looked again")
    office.settle()
    assert [task["responsible_id"] for task in office.tasks_of(lead_id)] == [VERA]


def test_cb18_a_person_distributes_the_queue_by_a_button(waiting_office: Office) -> None:
    office = waiting_office
    office.at_work()
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    office.at_work(BORIS)
    office.press("/app/action", {"action": "distribute", "entity": f"lead:{lead_id}"})
    office.until(lambda: office.responsible(lead_id) == BORIS, "the button's wish")
    office.settle()
    assert [task["responsible_id"] for task in office.tasks_of(lead_id)] == [BORIS]


def test_k3_bx1_a_lead_whose_phone_is_none_still_gets_its_manager_and_task(office: Office) -> None:
    for phone in ("спросить Марию", "12"):
        lead_id = office.lead_by_hand(phone)
        office.settle()
        office.assert_treated(lead_id)


# people are faster


def test_k2_a_person_who_chooses_between_our_read_and_our_write_wins(office: Office) -> None:
    office.at_work(ANNA)
    office.portal.fault("crm.item.update", "delay", seconds=2)
    last = office.portal.last
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.until(lambda: office.fault_taken(last, "crm.item.update"), "our write is on its way")
    office.portal.change_item(1, lead_id, {"assignedById": VERA}, user_id=HEAD)
    office.settle(hurry=True)
    assert office.assert_treated(lead_id) == VERA


def test_k2_a_lead_deleted_before_our_write_leaves_nothing_behind(office: Office) -> None:
    office.portal.fault("crm.item.update", "delay", seconds=2)
    last = office.portal.last
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.until(lambda: office.fault_taken(last, "crm.item.update"), "our write is on its way")
    office.control("DELETE", f"items/1/{lead_id}")
    office.settle(hurry=True)
    assert office.lead(lead_id) is None
    assert office.tasks_of(lead_id) == []
    assert not [one for one in office.portal.state("tasks") if f"/lead/details/{lead_id}/" in json.dumps(one)]


def test_k2_a_lead_deleted_before_our_read_is_left_alone(office: Office) -> None:
    office.portal.event_rule("*", "delay", count=20, seconds=0.5)
    lead_id = office.lead_by_hand(new_phone())
    office.control("DELETE", f"items/1/{lead_id}")
    office.settle()
    assert office.tasks_of(lead_id) == []


# simple mode


def test_bx5_in_simple_mode_a_call_and_a_form_make_deals_that_are_treated_alike(office: Office) -> None:
    office.control("PATCH", "settings", {"mode": 2})
    office.press("/install/again")
    try:
        phone = new_phone()
        office.portal.missed_call(phone)
        form = {"name": "Мария", "email": "simple@example.ru", "comment": "Кухня"}
        form_deal = int(office.control("POST", "web-form", form)["deal_id"])
        office.settle()
        contact_id = next(one["entity"][1] for one in office.portal.state("calls") if one["phone"] == phone[1:])
        deals = {int(one["contactId"] or 0): int(one["id"]) for one in office.portal.state("deals")}
        call_deal = deals[contact_id]
        for deal_id, words in ((call_deal, "Вам необходимо связаться"), (form_deal, "Ответьте клиенту")):
            deal = next(one for one in office.portal.state("deals") if int(one["id"]) == deal_id)
            (task,) = office.tasks_of(deal_id, "D")
            assert task["title"].startswith(words)
            assert task["responsible_id"] == deal["assignedById"]
            assert deal["assignedById"] in MANAGERS
            assert len(office.cards_of(deal_id, "deal")) == 1
    finally:
        office.control("PATCH", "settings", {"mode": 1})
        office.press("/install/again")


# the order of events

ORDERS: dict[str, list[dict[str, Any]]] = {
    "lead_first": [{"event": "ONVOXIMPLANTCALLEND", "action": "delay", "seconds": 1}],
    "end_first": [{"event": "ONCRMLEADADD", "action": "delay", "seconds": 1}],
    "init_last": [{"event": "ONVOXIMPLANTCALLINIT", "action": "delay", "seconds": 1}],
    "init_and_end_late": [
        {"event": "ONVOXIMPLANTCALLINIT", "action": "delay", "seconds": 1.5},
        {"event": "ONVOXIMPLANTCALLEND", "action": "delay", "seconds": 0.7},
    ],
    "everything_twice": [{"event": "*", "action": "duplicate", "count": 20}],
    "everything_twice_a_second_apart": [{"event": "*", "action": "duplicate", "count": 20, "seconds": 1}],
    "lead_lost": [{"event": "ONCRMLEADADD", "action": "lose"}],
    "end_lost": [{"event": "ONVOXIMPLANTCALLEND", "action": "lose"}],
    "init_lost": [{"event": "ONVOXIMPLANTCALLINIT", "action": "lose"}],
}


@pytest.mark.parametrize("order", ORDERS)
def test_k1_k2_k3_events_of_one_call_in_any_order_twice_or_one_lost_make_one_assignment(
    office: Office, order: str
) -> None:
    for rule in ORDERS[order]:
        office.control("POST", "event-rules", rule)
    lead_id = office.portal.missed_call(new_phone())["lead_id"]
    office.settle()
    if order == "end_lost":
        office.hurry_timers("call_lost")
        office.until(lambda: not office.timers("call_lost"), "the timer of the lost call")
        office.settle(hurry=True)
    office.assert_treated(lead_id)
    office.reconcile()
    office.settle(hurry=True)
    office.assert_treated(lead_id)


@pytest.mark.parametrize("answered", [False, True], ids=["missed", "answered"])
def test_k1_k5_a_call_of_which_no_event_came_is_found_by_reconciliation(office: Office, answered: bool) -> None:
    office.control("PATCH", "line", {"create_lead": "all", "create_when": "end"})
    office.portal.event_rule("*", "lose", count=20)
    phone = new_phone()
    call_id = office.portal.ring(phone)
    if answered:
        office.portal.answer(call_id, VERA)
    lead_id = office.portal.finish(call_id)["lead_id"]
    office.settle()
    office.control("DELETE", "event-rules")
    assert office.cards_of(lead_id) == []
    office.reconcile(by_clock=True)
    office.settle(hurry=True)
    if answered:
        assert office.responsible(lead_id) == VERA
        assert office.tasks_of(lead_id) == []
    else:
        office.assert_treated(lead_id)


def test_k1_a_lead_by_hand_of_which_no_event_came_is_found_by_reconciliation(office: Office) -> None:
    office.portal.event_rule("*", "lose")
    lead_id = office.lead_by_hand(new_phone())
    office.settle()
    assert office.tasks_of(lead_id) == []
    office.reconcile()
    office.settle(hurry=True)
    office.assert_treated(lead_id)
