"""The robot «Назначить свободного менеджера»: properties as consultants fill them in, commands, and the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from scripted_company import PLAYBOOK, Company
from scripted_portal import (
    ANNA,
    BORIS,
    HEAD,
    MEMBER,
    NOW,
    OWNER,
    VERA,
    Bench,
    ScriptedRest,
    lead,
    nobody_free,
    shape,
    situation,
)

from b24app import distribution as desk
from b24app.engine.declare import Catalogue
from b24app.errors import AccessDenied
from b24app.rules.intake import Treatment
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import AssignmentRow, Memory
from handlers import HANDLERS, TIMERS
from robots import ROBOTS
from robots.assign_manager import ROBOT, Order, answer, decide


def order(**changes: Any) -> Order:
    values = {
        "item": lead(),
        "situation": situation(),
        "key": "robot:tok.1",
        "with_task": True,
        "task_text": "",
        "minutes": 15,
    }
    return Order(**{**values, **changes})


def recent(manager_id: int, **changes: Any) -> AssignmentRow:
    values: dict[str, Any] = {"id": 1, "key": "intake:lead:42", "entity": "lead:42", "cause": "missed"}
    values |= {"decided_at": NOW, "written_at": NOW, "call_id": None, "phone": None, "card": {}}
    return AssignmentRow(manager_id=manager_id, **{**values, **changes})


def labels(decision: Treatment) -> list[str]:
    return [command.label for command in desk.act(decision)]


def test_it_is_declared_in_two_languages_with_the_right_types() -> None:
    assert ROBOT.name == {"ru": "Назначить свободного менеджера", "en": "Assign a free manager"}
    assert [(p.code, p.type, p.multiple) for p in ROBOT.properties] == [
        ("department", "string", False),
        ("users", "user", True),
        ("order", "select", False),
        ("limit_open", "int", False),
        ("when_nobody", "select", False),
        ("task", "bool", False),
        ("task_text", "string", False),
        ("minutes", "int", False),
    ]
    assert [(p.code, p.type) for p in ROBOT.returns] == [
        ("manager", "user"),
        ("manager_name", "string"),
        ("reason", "string"),
        ("assigned", "bool"),
    ]
    for part in (*ROBOT.properties, *ROBOT.returns):
        assert part.name["ru"] != part.name["en"]


def test_somebody_free_is_assigned() -> None:
    decision = decide(order())
    planned = shape(desk.act(decision))
    assert [(label, method, needs) for label, method, _, _, needs in planned] == [
        ("responsible_unchanged", "crm.item.list", ()),
        ("responsible", "crm.item.update", ("responsible_unchanged",)),
        ("card", "crm.timeline.comment.add", ("responsible",)),
        ("task", "tasks.task.add v3", ("responsible",)),
    ]
    assert planned[1][2] == {
        "entityTypeId": 1,
        "id": {"$ref": "responsible_unchanged"},
        "fields": {"assignedById": ANNA},
    }
    assert planned[3][2]["fields"] == {
        "title": "Вам необходимо связаться с клиентом по телефону № +7 912 345-67-89",
        "description": "Клиент: Входящий звонок\nТелефон: +7 912 345-67-89\n"
        "Карточка: https://acme.bitrix24.ru/crm/lead/details/42/\n\n"
        f"Почему вы: по очереди среди свободных\n\n{decision.marker}",
        "responsibleId": ANNA,
        "creatorId": OWNER,
        "deadline": "2026-11-23T10:15:00+03:00",
        "crmItemIds": ["L_42"],
    }
    assert decision.took_turn


def test_the_answer_says_who_and_why() -> None:
    reply = answer(decide(order(situation=situation(talking=frozenset({ANNA})))))
    assert reply.values == {
        "manager": f"user_{BORIS}",
        "manager_name": "Борис",
        "reason": "по очереди среди свободных",
        "assigned": "Y",
    }
    assert reply.log == (
        "Борис: по очереди среди свободных\n"
        "Анна: говорит по телефону\n"
        "Борис: свободен\n"
        "Вера: свободен; его очередь позже"
    )
    assert reply.instead == {"responsible": {"manager": "", "manager_name": "", "assigned": "N"}}


def test_no_task_where_none_is_wanted_and_a_title_of_ones_own() -> None:
    assert labels(decide(order(with_task=False))) == ["responsible_unchanged", "responsible", "card"]
    task = desk.act(decide(order(task_text="Позвоните сегодня")))[-1]
    assert task.call.params["fields"]["title"] == "Позвоните сегодня"


def test_nobody_free_and_nobody_named_the_answer_is_not_assigned() -> None:
    decision = decide(order(situation=nobody_free("wait")))
    assert labels(decision) == ["card"]
    assert decision.wait_until is None
    reply = answer(decision)
    assert reply.values == {"manager": "", "manager_name": "", "reason": "никто не свободен", "assigned": "N"}
    assert reply.log.startswith("Никто не назначен: никто не свободен\nАнна: на перерыве")


def test_nobody_free_the_head_gets_it() -> None:
    assert answer(decide(order(situation=nobody_free()))).values["manager"] == f"user_{HEAD}"


def test_what_was_assigned_a_moment_ago_stays_without_a_second_task() -> None:
    decision = decide(order(recent=recent(VERA), item=lead(assigned_by_id=VERA)))
    assert labels(decision) == []
    assert answer(decision).values == {
        "manager": f"user_{VERA}",
        "manager_name": "Вера",
        "reason": "уже распределён только что",
        "assigned": "Y",
    }
    assert not decision.took_turn


def test_a_decision_that_is_on_its_way_stays_too() -> None:
    assert decide(order(recent=recent(VERA, written_at=None))).manager_id == VERA


def test_a_person_who_changed_it_since_is_not_overruled() -> None:
    decision = decide(order(recent=recent(VERA), item=lead(assigned_by_id=BORIS)))
    assert labels(decision) == []
    assert (decision.manager_id, decision.card.rule["ru"]) == (BORIS, "ответственного выбрал человек")


def test_another_stage_with_another_team_is_another_wish() -> None:
    decision = decide(order(recent=recent(777), item=lead(assigned_by_id=777)))
    assert (decision.manager_id, decision.took_turn) == (ANNA, True)


def test_an_item_without_a_number() -> None:
    task = desk.act(decide(order(item=lead(phones=()))))[-1]
    assert task.call.params["fields"]["title"] == "Вам необходимо связаться с клиентом по телефону № —"


# as the portal runs it


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def bench(database: Database, company: Company) -> Bench:
    catalogue = Catalogue(robots=ROBOTS, handlers=HANDLERS, timers=TIMERS)
    return Bench(database, ScriptedRest(company), catalogue, playbook=PLAYBOOK)


def run(bench: Bench, properties: Any = None, **payload: Any) -> None:
    bench.robot("assign_manager", properties=properties or {}, **payload)
    bench.run()


def test_it_answers_when_the_work_is_done(bench: Bench, company: Company) -> None:
    id = company.make()
    run(bench)
    assert company.items[1, id]["assignedById"] == ANNA
    (sent,) = company.answers
    assert (sent["EVENT_TOKEN"], sent["RETURN_VALUES"]["manager"]) == ("tok.1", f"user_{ANNA}")
    assert bench.rest.sent[-1] == "bizproc.event.send"


@pytest.mark.parametrize(
    ("properties", "manager"),
    [
        ({"users": [f"user_{VERA}"]}, VERA),
        ({"users": f"user_{VERA}"}, VERA),
        ({"users": {"0": f"user_{VERA}"}}, VERA),
        ({"users": [], "department": "продажи "}, ANNA),
        ({"department": "5"}, ANNA),
        ({"order": "least_loaded"}, VERA),
        ({"limit_open": "1"}, VERA),
        ({"limit_open": "2", "order": "in_turn"}, ANNA),
        ({"order": "", "limit_open": "", "when_nobody": "", "task": "", "minutes": ""}, ANNA),
    ],
)
def test_properties_as_the_portal_sends_them(
    bench: Bench, company: Company, properties: dict[str, Any], manager: int
) -> None:
    id = company.make()
    for busy in (ANNA, BORIS):
        company.make(assignedById=busy, age=timedelta(days=2))
    run(bench, properties)
    assert company.items[1, id]["assignedById"] == manager


@pytest.mark.parametrize(("task", "count"), [("Y", 1), ("", 1), ("N", 0), ("0", 0)])
def test_whether_a_task_is_made(bench: Bench, company: Company, task: str, count: int) -> None:
    company.make()
    run(bench, {"task": task})
    assert len(company.tasks) == count


def test_the_event_and_the_robot_of_one_stage_are_one_wish(bench: Bench, company: Company) -> None:
    id = company.make()
    bench.event("ONCRMLEADADD", f"lead:{id}", {"FIELDS": {"ID": str(id)}})
    run(bench)
    run(bench, event_token="tok.2")
    bench.event("ONCRMLEADADD", f"lead:{id}", {"FIELDS": {"ID": str(id)}})
    bench.run()
    assert (len(company.tasks), len(company.comments), len(company.answers)) == (1, 1, 2)
    assert {sent["RETURN_VALUES"]["manager"] for sent in company.answers} == {f"user_{ANNA}"}


def test_a_lead_that_is_gone_is_answered(bench: Bench, company: Company) -> None:
    run(bench)
    assert [sent["LOG_MESSAGE"] for sent in company.answers] == ["элемента уже нет / the item is gone"]


def test_a_department_without_people_is_answered_with_its_name(bench: Bench, company: Company) -> None:
    company.make()
    run(bench, {"department": "Снабжение"})
    (sent,) = company.answers
    assert sent["LOG_MESSAGE"] == (
        "Не выполнено: в отделе нет сотрудников: department:Снабжение / no people in the department"
    )
    assert company.comments == []


def test_it_does_not_claim_a_responsible_that_the_portal_refused(bench: Bench, company: Company) -> None:
    company.make()
    company.errors["crm.item.update"] = AccessDenied("нет прав на изменение лида")
    run(bench)
    (sent,) = company.answers
    assert sent["RETURN_VALUES"] == {
        "manager": "",
        "manager_name": "",
        "reason": "по очереди среди свободных",
        "assigned": "N",
    }
    assert sent["LOG_MESSAGE"].endswith("Не выполнено: нет прав на изменение лида")
    assert company.tasks == []


def test_least_loaded_is_fair_while_others_are_still_being_written(bench: Bench, company: Company) -> None:
    """A lead that was given out after we counted, and before we decide, counts."""
    company.make()
    given: list[int] = []

    def another_worker_finishes(calls: list[Any]) -> None:
        if calls and calls[0].method == "crm.item.get" and not given:
            given.append(ANNA)
            with bench.database.write() as connection:
                memory = Memory(bench.database, connection, MEMBER, delivery_id=99)
                memory.assign(
                    key="x",
                    entity="lead:1",
                    cause="missed",
                    queue="department:Продажи",
                    manager_id=ANNA,
                    took_turn=True,
                    card={},
                )
                connection.execute(sa.update(schema.assignments).values(written_at=memory.now))

    bench.rest.after = another_worker_finishes
    run(bench, {"order": "least_loaded"})
    assert company.answers[0]["RETURN_VALUES"]["manager"] == f"user_{BORIS}"


def test_a_smart_process_is_refused_in_words(bench: Bench, company: Company) -> None:
    run(bench, document_id=["crm", "x", "DYNAMIC_147_12"])
    (sent,) = company.answers
    assert "не для этого типа элементов" in sent["LOG_MESSAGE"]
