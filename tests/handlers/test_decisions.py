"""Facts -> decision -> commands of every handler, written out in full."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from scripted_portal import ANNA, BORIS, HEAD, NOW, OWNER, PLAYBOOK, VERA, lead, nobody_free, shape, situation, user

from b24app import distribution as desk
from b24app.bitrix.commands import Command
from b24app.engine.declare import Nothing
from b24app.entities import CONTACT, DEAL, LEAD, ItemRef, PhoneCall
from b24app.errors import Temporary
from b24app.playbook import parse_playbook
from b24app.rules.intake import Treatment
from b24app.store.memory import AssignmentRow, KnownCall
from handlers import call_ended, call_started, lead_created, queue
from handlers.call_ended import Ended
from handlers.call_started import Answered
from handlers.lead_created import NewItem

PHONE = "+79123456789"
LINK = "https://acme.bitrix24.ru/crm/lead/details/42/"
MINUTE = timedelta(minutes=1)
MISSED = PhoneCall("c1", 2, PHONE, 9, "304", NOW - MINUTE)
ANSWERED = PhoneCall("c1", 2, PHONE, BORIS, "200", NOW - MINUTE)


def new(**changes: Any) -> NewItem:
    values = {
        "item": lead(),
        "situation": situation(),
        "statistics": (),
        "created_together": 1,
        "looks": 0,
        "phone": PHONE,
    }
    return NewItem(**{**values, **changes})


def row(key: str, manager_id: int | None, **changes: Any) -> AssignmentRow:
    values = {
        "id": 1,
        "entity": "lead:41",
        "cause": "missed",
        "decided_at": NOW - MINUTE,
        "written_at": NOW,
        "call_id": "c0",
        "phone": PHONE,
        "card": {},
    }
    return AssignmentRow(**{**values, "key": key, "manager_id": manager_id, **changes})


def treated(decision: Treatment | Nothing) -> Treatment:
    assert isinstance(decision, Treatment), decision
    return decision


def commands(decision: Treatment | Nothing) -> list[Any]:
    return shape(desk.act(treated(decision)))


def kinds(decision: Treatment | Nothing) -> list[str]:
    return [command.label for command in desk.act(treated(decision))]


def task_of(planned: list[Command]) -> dict[str, Any]:
    return next(dict(c.call.params["fields"]) for c in planned if c.label == "task")


# a missed call


def the_missed_call(marker: str, need: str = "responsible") -> list[Any]:
    return [
        (
            "responsible_unchanged",
            "crm.item.list",
            {"entityTypeId": 1, "filter": {"id": 42, "@assignedById": [9, 11]}, "select": ["id"]},
            "check",
            (),
        ),
        (
            "responsible",
            "crm.item.update",
            {"entityTypeId": 1, "id": {"$ref": "responsible_unchanged"}, "fields": {"assignedById": 11}},
            "harmless",
            ("responsible_unchanged",),
        ),
        (
            "card",
            "crm.timeline.comment.add",
            {
                "fields": {
                    "ENTITY_ID": 42,
                    "ENTITY_TYPE": "lead",
                    "COMMENT": "[B]Пропущенный звонок +7 912 345-67-89: Анна[/B]\n"
                    "Правило: по очереди среди свободных\n"
                    "✔ Анна: свободен\n"
                    "— Борис: свободен; его очередь позже\n"
                    "— Вера: свободен; его очередь позже\n"
                    f"{marker}",
                }
            },
            "look_up",
            ("responsible",),
        ),
        (
            "task",
            "tasks.task.add v3",
            {
                "fields": {
                    "title": "Вам необходимо связаться с клиентом по телефону № +7 912 345-67-89",
                    "description": "Клиент: Входящий звонок\nТелефон: +7 912 345-67-89\n"
                    f"Карточка: {LINK}\n\nПочему вы: по очереди среди свободных\n\n{marker}",
                    "responsibleId": 11,
                    "creatorId": 1,
                    "deadline": "2026-11-23T10:15:00+03:00",
                    "crmItemIds": ["L_42"],
                }
            },
            "keyed",
            ("responsible",),
        ),
    ]


MARKER = "решение №615fe4af24"


def test_a_missed_call_of_a_new_lead() -> None:
    decision = call_ended.decide(Ended(MISSED, NOW - MINUTE, item=lead(), situation=situation()))
    assert commands(decision) == the_missed_call(MARKER)
    assert (treated(decision).key, treated(decision).took_turn) == ("intake:lead:42", True)


def test_the_same_lead_heard_of_by_its_creation_is_the_same_decision() -> None:
    by_statistics = lead_created.decide(new(statistics=(MISSED,)))
    by_memory = lead_created.decide(new(calls=(KnownCall(MISSED, NOW - MINUTE, NOW),)))
    assert commands(by_statistics) == commands(by_memory) == the_missed_call(MARKER)
    assert treated(by_statistics).key == treated(by_memory).key == "intake:lead:42"


@pytest.mark.parametrize("call_type", [1, 4, 5, None])
def test_a_call_of_ours_that_nobody_answered_is_not_missed(call_type: int | None) -> None:
    call = replace(MISSED, call_type=call_type)
    assert isinstance(call_ended.decide(Ended(call, NOW)), Nothing)


def test_a_call_that_goes_on_waits_for_its_end() -> None:
    ringing = KnownCall(PhoneCall("c1", 2, PHONE), NOW - MINUTE, None)
    decision = lead_created.decide(new(calls=(ringing,)))
    assert decision == Nothing("звонок ещё идёт: решит его конец / the call goes on, its end decides")


@pytest.mark.parametrize("ended_at", [NOW, None])
def test_a_lead_of_an_outgoing_call_stays_with_its_caller(ended_at: Any) -> None:
    ours = KnownCall(PhoneCall("c1", 1, PHONE, ANNA), NOW - MINUTE, ended_at)
    stays = Nothing("исходящий звонок: лид остаётся у звонившего / an outgoing call stays with its caller")
    assert lead_created.decide(new(calls=(ours,))) == stays
    assert lead_created.decide(new(statistics=(replace(MISSED, call_type=1),))) == stays


def test_an_outgoing_call_after_the_lead_says_nothing_about_it() -> None:
    later = KnownCall(PhoneCall("c2", 1, PHONE, ANNA), NOW + 5 * MINUTE, NOW + 6 * MINUTE)
    assert treated(lead_created.decide(new(calls=(later,)))).cause == "created"


def test_a_missed_call_from_a_hidden_number_says_so() -> None:
    facts = Ended(replace(MISSED, phone=""), NOW - MINUTE, item=lead(phones=()), situation=situation())
    assert task_of(desk.act(treated(call_ended.decide(facts))))["title"] == (
        "Вам необходимо связаться с клиентом по телефону № (номер скрыт)"
    )


# made by hand, written, imported


def test_a_lead_made_by_hand_with_only_a_phone_gets_the_same_treatment() -> None:
    decision = lead_created.decide(new(item=lead(source_id="")))
    planned = desk.act(treated(decision))
    assert [command.label for command in planned] == ["responsible_unchanged", "responsible", "card", "task"]
    task = task_of(planned)
    assert task["title"] == "Вам необходимо связаться с клиентом по телефону № +7 912 345-67-89"
    assert task["responsibleId"] == ANNA
    assert treated(decision).card.title["ru"] == "Новый лид +7 912 345-67-89"


def test_a_written_enquiry_names_its_source_and_the_way_to_answer() -> None:
    item = lead(source_id="EMAIL", title="Угловая кухня", phones=(), emails=("client@example.ru",))
    decision = lead_created.decide(new(item=item, phone=""))
    task = task_of(desk.act(treated(decision)))
    assert task["title"] == "Ответьте клиенту: Электронная почта"
    assert task["description"] == (
        "Обращение: Угловая кухня\nИсточник: Электронная почта\nКонтакт: client@example.ru\n"
        f"Карточка: {LINK}\n\n"
        "Ответьте тем же способом, которым обратился клиент.\nПочему вы: по очереди среди свободных\n\n"
        f"{treated(decision).marker}"
    )
    assert task["deadline"] == "2026-11-23T11:00:00+03:00"
    assert treated(decision).cause == "written"


def test_a_web_form_with_a_phone_is_answered_too_not_only_called() -> None:
    item = lead(source_id="WEBFORM", webform_id=3, emails=("a@b.ru",))
    task = task_of(desk.act(treated(lead_created.decide(new(item=item)))))
    assert task["title"] == "Ответьте клиенту: CRM-форма"
    assert "Контакт: a@b.ru, 79123456789" in task["description"]


def test_a_source_without_a_name_is_named_by_its_code() -> None:
    item = lead(source_id="WEB", phones=())
    assert task_of(desk.act(treated(lead_created.decide(new(item=item, phone="")))))["title"] == "Ответьте клиенту: WEB"


@pytest.mark.parametrize(
    ("intake", "item"),
    [
        ("distribute_by_hand = false", {"source_id": ""}),
        ('skip_sources = ["PARTNER"]', {"source_id": "PARTNER"}),
        ("skip_creators = [9]", {}),
    ],
)
def test_which_created_leads_are_left_alone_is_policy(intake: str, item: dict[str, Any]) -> None:
    playbook = parse_playbook(f'name = "x"\n[intake]\n{intake}\n', "x")
    facts = new(item=lead(**item), situation=situation(playbook=playbook))
    assert isinstance(lead_created.decide(facts), Nothing)


def test_leads_by_hand_are_left_alone_but_not_those_of_calls() -> None:
    playbook = parse_playbook('name = "x"\n[intake]\ndistribute_by_hand = false\n', "x")
    facts = new(statistics=(MISSED,), situation=situation(playbook=playbook))
    assert treated(lead_created.decide(facts)).cause == "missed"


def test_an_import_makes_one_question_to_the_head_and_no_tasks() -> None:
    first = lead_created.decide(new(item=lead(source_id=""), created_together=50))
    assert commands(first) == [
        (
            "task",
            "tasks.task.add v3",
            {
                "fields": {
                    "title": "Загружено лидов: 50. Распределить их между менеджерами?",
                    "description": "сотрудник 9 загрузил лиды: 50. Приложение не стало раздавать их по одному.\n"
                    "Распределить или оставить как есть можно на странице приложения: "
                    "https://acme.bitrix24.ru/marketplace/view/local.1/\n\n"
                    f"{treated(first).marker}",
                    "responsibleId": HEAD,
                    "creatorId": OWNER,
                    "deadline": "2026-11-23T11:00:00+03:00",
                    "crmItemIds": ["L_42"],
                }
            },
            "keyed",
            (),
        )
    ]
    second = lead_created.decide(new(item=lead(43, source_id=""), created_together=51, import_asked=True))
    assert commands(second) == []
    assert treated(second).manager_id is None


def test_many_letters_at_once_are_no_import() -> None:
    item = lead(source_id="EMAIL", phones=(), emails=("a@b.ru",))
    assert treated(lead_created.decide(new(item=item, phone="", created_together=80))).cause == "written"


# whose choice it is


def test_a_persons_choice_stays_and_he_gets_the_task() -> None:
    item = lead(assigned_by_id=VERA, updated_at=NOW, updated_by_id=HEAD)
    decision = lead_created.decide(new(item=item))
    assert kinds(decision) == ["card", "task"]
    assert task_of(desk.act(treated(decision)))["responsibleId"] == VERA
    assert treated(decision).card.rule["ru"] == "ответственного выбрал человек"
    assert not treated(decision).took_turn


@pytest.mark.parametrize(
    "decision",
    [
        lead_created.decide(new(item=lead(assigned_by_id=VERA), looks=1)),
        call_ended.decide(Ended(MISSED, NOW - MINUTE, item=lead(assigned_by_id=VERA), situation=situation(), looks=1)),
    ],
)
def test_whoever_was_faster_than_our_write_keeps_it(decision: Any) -> None:
    assert kinds(decision) == ["card", "task"]
    assert treated(decision).manager_id == VERA


def test_nothing_is_written_where_the_right_one_is_responsible_already() -> None:
    decision = lead_created.decide(new(item=lead(assigned_by_id=ANNA, created_by_id=ANNA), statistics=(MISSED,)))
    assert kinds(decision) == ["card", "task"]
    assert treated(decision).took_turn


@pytest.mark.parametrize("stage", ["S", "F"])
def test_a_closed_lead_is_left_alone(stage: str) -> None:
    assert isinstance(lead_created.decide(new(item=lead(stage_semantics=stage))), Nothing)


def test_the_second_lead_of_a_client_goes_to_the_same_manager_without_a_second_task() -> None:
    decision = lead_created.decide(new(statistics=(MISSED,), same_client=row("intake:lead:41", VERA)))
    assert kinds(decision) == ["responsible_unchanged", "responsible", "card"]
    assert (treated(decision).manager_id, treated(decision).took_turn) == (VERA, False)


def test_being_missed_after_an_answered_call_is_a_new_reason() -> None:
    answered = row("answered:c0", VERA, cause="answered")
    assert "task" in kinds(lead_created.decide(new(statistics=(MISSED,), same_client=answered)))


# nobody free


def test_nobody_free_the_head_gets_it() -> None:
    decision = call_ended.decide(Ended(MISSED, NOW - MINUTE, item=lead(), situation=nobody_free()))
    assert kinds(decision) == ["responsible_unchanged", "responsible", "card", "task"]
    assert treated(decision).manager_id == HEAD
    assert not treated(decision).took_turn
    assert "✔" not in treated(decision).card.bbcode()
    assert treated(decision).card.bbcode().count("на перерыве") == 3


def test_nobody_free_a_named_person_gets_it() -> None:
    facts = nobody_free("user")
    facts = replace(facts, team=replace(facts.team, fallback=user(77)))
    assert treated(lead_created.decide(new(situation=facts))).manager_id == 77


def test_nobody_free_it_waits_in_the_queue_and_the_head_knows() -> None:
    decision = call_ended.decide(Ended(MISSED, NOW - MINUTE, item=lead(), situation=nobody_free("wait")))
    assert commands(decision)[1] == (
        "notice_0",
        "im.notify.personal.add",
        {
            "USER_ID": HEAD,
            "MESSAGE": f"Никто не свободен, лид ждёт до 23.11 10:05: [URL={LINK}]Входящий звонок[/URL]",
            "TAG": "b24app|intake:lead:42",
        },
        "harmless",
        (),
    )
    assert kinds(decision) == ["card", "notice_0"]
    assert treated(decision).wait_until == NOW + desk.LOOK_AGAIN
    assert treated(decision).expected_id == 9


def test_without_a_head_whoever_installed_us_is_told() -> None:
    facts = nobody_free()
    facts = replace(facts, team=replace(facts.team, head=None))
    decision = treated(lead_created.decide(new(situation=facts)))
    assert [notice.user_id for notice in decision.notices] == [OWNER]


def test_at_night_it_waits_until_the_opening() -> None:
    facts = replace(nobody_free("wait"), now=NOW + timedelta(hours=12), clocks={})
    decision = treated(lead_created.decide(new(situation=facts)))
    assert decision.wait_until is not None
    assert decision.wait_until.isoformat() == "2026-11-24T06:00:00+00:00"


def test_what_waits_and_still_finds_nobody_is_not_told_again() -> None:
    waiting = row("intake:lead:42", None, entity="lead:42")
    decision = queue.decide(queue.Waiting(new(situation=nobody_free("wait")), waiting))
    assert commands(decision) == []
    assert treated(decision).wait_until is not None


def test_what_waited_gets_its_manager_under_the_same_reason() -> None:
    waiting = row("intake:lead:42", None, entity="lead:42")
    decision = queue.decide(queue.Waiting(new(statistics=(MISSED,)), waiting))
    assert kinds(decision) == ["responsible_unchanged", "responsible", "card", "task"]
    assert treated(decision).key == "intake:lead:42"


def test_an_import_that_a_person_lets_us_distribute_is_not_asked_about_again() -> None:
    waiting = row("intake:lead:42", None, entity="lead:42", cause="imported")
    decision = queue.decide(queue.Waiting(new(item=lead(source_id=""), created_together=500), waiting))
    assert treated(decision).manager_id == ANNA


@pytest.mark.parametrize("kind", [LEAD, CONTACT, DEAL])
def test_a_known_client_who_called_at_night_keeps_his_manager(kind: int) -> None:
    item = lead(ref=ItemRef(kind, 42), assigned_by_id=BORIS)
    waiting = row("call:c1", None, entity=str(item.ref), call_id="c1")
    decision = queue.decide(queue.Waiting(new(item=item, statistics=(MISSED,)), waiting))
    assert kinds(decision) == ["card", "task"]
    assert treated(decision).manager_id == BORIS


def test_a_lead_that_we_made_for_a_call_is_distributed_when_somebody_is_free() -> None:
    item = lead(origin_id="call:c1", assigned_by_id=OWNER, created_by_id=OWNER)
    waiting = row("call:c1", None, entity="lead:42", call_id="c1")
    decision = queue.decide(queue.Waiting(new(item=item), waiting))
    assert kinds(decision) == ["responsible_unchanged", "responsible", "card", "task"]


# a known client


def known(**changes: Any) -> Ended:
    item = lead(created_at=NOW - timedelta(days=3), assigned_by_id=BORIS, title="Кухня Петровых")
    return Ended(**{"call": MISSED, "began_at": NOW - MINUTE, "item": item, "situation": situation(), **changes})


def test_a_known_clients_manager_gets_the_task_if_he_is_free() -> None:
    decision = call_ended.decide(known())
    assert kinds(decision) == ["card", "task"]
    assert task_of(desk.act(treated(decision)))["responsibleId"] == BORIS
    assert (treated(decision).key, treated(decision).took_turn) == ("call:c1", False)
    assert treated(decision).card.rule["ru"] == "клиента ведёт он, и он свободен"


def test_if_he_is_not_free_a_free_one_calls_back_and_he_is_told() -> None:
    decision = call_ended.decide(known(situation=situation(talking=frozenset({BORIS}))))
    planned = commands(decision)
    assert [label for label, *_ in planned] == ["card", "notice_0", "task"]
    assert planned[1][2] == {
        "USER_ID": BORIS,
        "MESSAGE": f"Ваш клиент звонил, вы не свободны: +7 912 345-67-89, [URL={LINK}]Кухня Петровых[/URL]. "
        "Перезвонит Анна.",
        "TAG": "b24app|call:c1",
    }
    assert planned[2][2]["fields"]["responsibleId"] == ANNA
    assert treated(decision).took_turn


def test_a_manager_outside_the_team_is_asked_whether_he_is_free() -> None:
    item = lead(created_at=NOW - timedelta(days=3), assigned_by_id=50)
    guest = replace(situation(), guest=user(50))
    assert treated(call_ended.decide(known(item=item, situation=guest))).manager_id == 50
    away = replace(guest, talking=frozenset({50}))
    assert treated(call_ended.decide(known(item=item, situation=away))).manager_id == ANNA
    assert treated(call_ended.decide(known(item=item))).manager_id == ANNA  # nothing is known of him


def test_calling_again_and_again_makes_one_task() -> None:
    earlier = row("call:c0", ANNA, entity="lead:42")
    decision = call_ended.decide(known(earlier=earlier))
    assert kinds(decision) == ["card", "notice_0"]
    assert treated(decision).notices[0].user_id == ANNA
    assert treated(decision).notices[0].text.startswith("Клиент звонил ещё раз: +7 912 345-67-89")


def test_a_client_missed_after_an_answered_call_gets_a_task() -> None:
    earlier = row("answered:c0", BORIS, entity="lead:42", cause="answered")
    assert "task" in kinds(call_ended.decide(known(earlier=earlier)))


def test_a_repeated_end_does_nothing() -> None:
    assert isinstance(call_ended.decide(known(done=row("call:c1", ANNA))), Nothing)


# an unknown number without a lead


def unknown(**changes: Any) -> Ended:
    return Ended(**{"call": MISSED, "began_at": NOW - MINUTE, "situation": situation(), **changes})


def test_an_unknown_number_gets_a_lead_known_again_by_the_call() -> None:
    decision = call_ended.decide(unknown())
    planned = commands(decision)
    assert [label for label, *_ in planned] == ["item", "card", "task"]
    assert planned[0][1:] == (
        "crm.item.add",
        {
            "entityTypeId": 1,
            "fields": {
                "title": "Пропущенный звонок +7 912 345-67-89",
                "sourceId": "CALL",
                "fm": [{"typeId": "PHONE", "valueType": "WORK", "value": PHONE}],
                "assignedById": ANNA,
                "originId": "call:c1",
                "originatorId": "b24app",
            },
        },
        "look_up",
        (),
    )
    assert planned[1][2]["fields"]["ENTITY_ID"] == {"$ref": "item"}
    assert planned[2][2]["fields"]["crmItemIds"] == [{"$ref": "item", "$prefix": "L_"}]
    assert (planned[1][4], planned[2][4]) == (("item",), ("item",))


def test_the_lead_may_still_come_so_we_wait_a_little_first() -> None:
    with pytest.raises(Temporary) as caught:
        call_ended.decide(unknown(lead_may_come=True))
    assert caught.value.retry_at == NOW + call_ended.LEAD_MAY_COME


def test_a_second_call_of_the_same_number_does_not_make_a_second_lead() -> None:
    earlier = row("call:c0", ANNA, entity="call:c0")
    assert isinstance(call_ended.decide(unknown(earlier=earlier)), Nothing)
    closed_since = row("intake:lead:41", ANNA)
    assert treated(call_ended.decide(unknown(earlier=closed_since))).new_item is not None


def test_a_record_that_a_person_deleted_is_not_made_again() -> None:
    decision = call_ended.decide(unknown(gone=True))
    assert decision == Nothing("запись звонка удалена человеком / the call's record was deleted by a person")


def test_a_hidden_number_without_a_lead_leaves_nothing_to_do() -> None:
    assert isinstance(call_ended.decide(unknown(call=replace(MISSED, phone=""))), Nothing)


def test_nobody_free_for_an_unknown_number_the_lead_is_made_and_waits() -> None:
    decision = treated(call_ended.decide(unknown(situation=nobody_free("wait"))))
    assert kinds(decision) == ["item", "card"]
    assert decision.new_item is not None
    assert decision.new_item["assignedById"] == OWNER


def test_in_simple_mode_a_client_and_his_deal_are_made() -> None:
    planned = commands(call_ended.decide(unknown(situation=situation(simple_mode=True))))
    assert [(label, needs) for label, _, _, _, needs in planned] == [
        ("client", ()),
        ("item", ("client",)),
        ("card", ("item",)),
        ("task", ("item",)),
    ]
    assert planned[0][2] == {
        "entityTypeId": 3,
        "fields": {
            "name": "Пропущенный звонок +7 912 345-67-89",
            "fm": [{"typeId": "PHONE", "valueType": "WORK", "value": PHONE}],
            "assignedById": ANNA,
            "sourceId": "CALL",
            "originId": "call:c1",
            "originatorId": "b24app",
        },
    }
    assert planned[1][2] == {
        "entityTypeId": 2,
        "fields": {
            "title": "Пропущенный звонок +7 912 345-67-89",
            "sourceId": "CALL",
            "assignedById": ANNA,
            "contactId": {"$ref": "client"},
            "originId": "call:c1",
            "originatorId": "b24app",
        },
    }
    assert planned[3][2]["fields"]["crmItemIds"] == [{"$ref": "item", "$prefix": "D_"}]


def test_a_deal_of_simple_mode_gets_the_same_treatment() -> None:
    deal = lead(ref=ItemRef(DEAL, 42), stage_id="NEW")
    planned = commands(lead_created.decide(new(item=deal, statistics=(MISSED,), situation=situation(simple_mode=True))))
    assert [label for label, *_ in planned] == ["responsible_unchanged", "responsible", "card", "task"]
    assert planned[0][2]["entityTypeId"] == 2
    assert planned[2][2]["fields"]["ENTITY_TYPE"] == "deal"
    assert planned[3][2]["fields"]["crmItemIds"] == ["D_42"]
    assert "https://acme.bitrix24.ru/crm/deal/details/42/" in planned[3][2]["fields"]["description"]


# an answered call


def talking(**changes: Any) -> Answered:
    call = PhoneCall("c1", 2, PHONE, BORIS, started_at=NOW)
    known_call = KnownCall(call, NOW - timedelta(seconds=30), None)
    return Answered(**{"call": call, "items": (lead(),), "situation": situation(), "known": known_call, **changes})


def test_whoever_answers_is_responsible_for_the_fresh_lead_while_he_talks() -> None:
    decision = call_started.decide(talking())
    planned = commands(decision)
    assert [label for label, *_ in planned] == ["responsible_unchanged", "responsible", "card"]
    assert planned[1][2]["fields"] == {"assignedById": BORIS}
    assert planned[2][2]["fields"]["COMMENT"] == (
        f"[B]Отвеченный звонок +7 912 345-67-89: Борис[/B]\nПравило: ответил на звонок\n{treated(decision).marker}"
    )
    assert (treated(decision).key, treated(decision).took_turn) == ("intake:lead:42", True)


def test_without_a_lead_whoever_answered_is_remembered() -> None:
    assert isinstance(call_started.decide(talking(items=())), Nothing)
    assert isinstance(call_started.decide(talking(items=(lead(stage_semantics="F"),))), Nothing)


def test_the_lead_that_appears_during_the_call_is_his() -> None:
    answering = KnownCall(PhoneCall("c1", 2, PHONE, BORIS, started_at=NOW), NOW - MINUTE, None)
    decision = lead_created.decide(new(calls=(answering,)))
    assert kinds(decision) == ["responsible_unchanged", "responsible", "card"]
    assert treated(decision).manager_id == BORIS


def test_the_end_only_confirms_and_makes_up_for_a_lost_start() -> None:
    late = Ended(ANSWERED, NOW - MINUTE, item=lead(), situation=situation())
    assert treated(call_ended.decide(late)).manager_id == BORIS
    assert isinstance(call_ended.decide(replace(late, done=row("intake:lead:42", BORIS))), Nothing)


def foreign(**changes: Any) -> Answered:
    old = lead(created_at=NOW - timedelta(days=3), assigned_by_id=VERA, observer_ids=(HEAD,), **changes)
    return talking(items=(old,))


def test_on_another_managers_record_he_becomes_observer_with_a_note() -> None:
    decision = call_started.decide(foreign())
    assert commands(decision) == [
        (
            "observers",
            "crm.item.update",
            {"entityTypeId": 1, "id": 42, "fields": {"observers": [HEAD, BORIS]}},
            "harmless",
            (),
        ),
        (
            "card",
            "crm.timeline.comment.add",
            {
                "fields": {
                    "ENTITY_ID": 42,
                    "ENTITY_TYPE": "lead",
                    "COMMENT": "[B]Ответил на звонок чужого клиента: Борис[/B]\n"
                    f"Правило: ответил на звонок; становится наблюдателем\n{treated(decision).marker}",
                }
            },
            "look_up",
            (),
        ),
    ]


def test_or_responsible_by_policy() -> None:
    playbook = parse_playbook('name = "x"\n[intake]\nanswered_on_foreign = "responsible"\n', "x")
    decision = call_started.decide(replace(foreign(), situation=situation(playbook=playbook)))
    assert kinds(decision) == ["responsible_unchanged", "responsible", "card"]
    assert treated(decision).manager_id == BORIS
    assert treated(decision).card.rule["ru"] == "ответил на звонок; становится ответственным"


@pytest.mark.parametrize("item", [{"assigned_by_id": BORIS}, {"observer_ids": (BORIS,)}])
def test_his_own_client_needs_nothing(item: dict[str, Any]) -> None:
    old = lead(created_at=NOW - timedelta(days=3), **item)
    assert isinstance(call_started.decide(talking(items=(old,))), Nothing)


def test_a_person_who_was_faster_keeps_the_fresh_lead_and_the_answerer_gets_access() -> None:
    decision = call_started.decide(talking(looks=1, items=(lead(assigned_by_id=VERA),)))
    assert kinds(decision) == ["observers", "card"]


def test_a_closed_lead_in_front_does_not_hide_what_was_done() -> None:
    closed = lead(43, stage_semantics="F")
    facts = talking(items=(closed, lead()), done=row("intake:lead:42", BORIS))
    assert facts.item == lead()
    assert isinstance(call_started.decide(facts), Nothing)


def test_an_answered_call_of_an_unknown_number_makes_a_lead_without_a_task() -> None:
    decision = call_ended.decide(Ended(ANSWERED, NOW - MINUTE, situation=situation()))
    assert kinds(decision) == ["item", "card"]
    assert treated(decision).new_item is not None
    assert dict(treated(decision).new_item or {})["assignedById"] == BORIS


def test_decisions_survive_the_database() -> None:

    kept = TypeAdapter(Treatment)
    for decision in (call_ended.decide(known()), call_started.decide(foreign()), call_ended.decide(unknown())):
        assert isinstance(kept.validate_json(kept.dump_json(treated(decision))), Treatment)
    assert PLAYBOOK.intake.answered_on_foreign == "observer"
