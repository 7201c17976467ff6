"""Events as they really come: in any order, twice, lost, about what is gone. One assignment, one task."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from scripted_company import PLAYBOOK, Company
from scripted_portal import ANNA, BORIS, HEAD, MEMBER, OWNER, VERA, Bench, ScriptedRest

from b24app.engine.clock import Clock
from b24app.engine.declare import Catalogue
from b24app.errors import AccessDenied, NotFound, Permanent
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import Memory
from handlers import HANDLERS, TIMERS, call_ended, reconcile


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def bench(database: Database, company: Company) -> Bench:
    return Bench(database, ScriptedRest(company), Catalogue(handlers=HANDLERS, timers=TIMERS), playbook=PLAYBOOK)


def ring(bench: Bench, call_id: str = "c1", kind: int = 2) -> None:
    data = {"CALL_ID": call_id, "CALL_TYPE": str(kind), "CALLER_ID": "79123456789", "PHONE_NUMBER": "79123456789"}
    bench.event("ONVOXIMPLANTCALLINIT", f"call:{call_id}", data, priority=10)


def answer(bench: Bench, user: int, call_id: str = "c1") -> None:
    bench.event("ONVOXIMPLANTCALLSTART", f"call:{call_id}", {"CALL_ID": call_id, "USER_ID": str(user)}, priority=10)


def end(bench: Bench, code: str = "304", call_id: str = "c1", kind: int = 2, user: int = 9) -> None:
    data = {
        "CALL_ID": call_id,
        "CALL_TYPE": str(kind),
        "PHONE_NUMBER": "79123456789",
        "PORTAL_USER_ID": str(user),
        "CALL_FAILED_CODE": code,
        "CALL_START_DATE": (datetime.now(UTC) - timedelta(seconds=12)).isoformat(),
        "CRM_ACTIVITY_ID": "",
    }
    bench.event("ONVOXIMPLANTCALLEND", f"call:{call_id}", data, priority=10)


def added(bench: Bench, id: int, kind: str = "LEAD") -> None:
    bench.event(f"ONCRM{kind}ADD", f"{kind.lower()}:{id}", {"FIELDS": {"ID": str(id)}})


def patient(bench: Bench) -> None:
    """As long after as the lines may need to make the lead."""
    with bench.database.write() as connection:
        past = datetime.now(UTC) - 2 * call_ended.LEAD_MAY_COME
        connection.execute(sa.update(schema.deliveries).values(received_at=past, due_at=past))


def later(bench: Bench, after: timedelta) -> None:
    """The clock ticks so much later, and the timers that are due by then are worked on."""
    Clock(bench.inbox, bench.catalogue, bench.rung.append).fire_timers(datetime.now(UTC) + after)
    with bench.database.write() as connection:
        now = datetime.now(UTC)
        table = schema.deliveries
        connection.execute(sa.update(table).where(table.c.state == "waiting").values(due_at=now, received_at=now))
    bench.run()


def assignments(bench: Bench) -> list[Any]:
    with bench.database.read() as connection:
        return list(connection.execute(sa.select(schema.assignments).order_by(schema.assignments.c.id)).mappings())


def outcomes(bench: Bench) -> Counter[str]:
    with bench.database.read() as connection:
        return Counter(connection.execute(sa.select(schema.deliveries.c.state)).scalars())


@pytest.mark.parametrize("order", list(itertools.permutations(("lead", "end", "lead", "end"))))
def test_creation_and_end_in_any_order_and_twice(bench: Bench, company: Company, order: tuple[str, ...]) -> None:
    id = company.make()
    company.call("c1", "304", of=("LEAD", id))
    for event in order:
        added(bench, id) if event == "lead" else end(bench)
        bench.run()
    assert [task["responsibleId"] for task in company.tasks] == [ANNA]
    assert company.items[1, id]["assignedById"] == ANNA
    assert len(company.comments) == 1
    assert [(row["key"], row["manager_id"]) for row in assignments(bench)] == [(f"intake:lead:{id}", ANNA)]


@pytest.mark.parametrize("lost", ["lead", "end", "ring"])
def test_one_of_the_events_is_lost(bench: Bench, company: Company, lost: str) -> None:
    if lost != "ring":
        ring(bench)
    bench.run()
    id = company.make()
    company.call("c1", "304", of=("LEAD", id))
    if lost != "lead":
        added(bench, id)
        bench.run()
    if lost != "end":
        end(bench)
        bench.run()
    assert [task["responsibleId"] for task in company.tasks] == [ANNA]


def test_the_lead_comes_while_it_still_rings(bench: Bench, company: Company) -> None:
    ring(bench)
    id = company.make()
    added(bench, id)
    bench.run()
    assert company.tasks == []
    assert assignments(bench) == []
    company.call("c1", "304", of=("LEAD", id))
    end(bench)
    bench.run()
    assert [task["responsibleId"] for task in company.tasks] == [ANNA]


def test_a_missed_call_costs_three_requests_once_the_team_is_known(bench: Bench, company: Company) -> None:
    for number in ("c0", "c1"):
        id = company.make(fm=[{"typeId": "PHONE", "value": f"+7912345000{number[1]}"}])
        company.call(number, "304", of=("LEAD", id))
        before = len(bench.rest.requests)
        added(bench, id)
        bench.run()
    assert [[call.method for call in request][-1] for request in bench.rest.requests[before:]] == [
        "timeman.status",
        "crm.timeline.comment.add",
        "tasks.task.add",
    ]


def test_thirty_calls_over_three_free_managers_are_shared_evenly(bench: Bench, company: Company) -> None:
    for n in range(30):
        number = f"+791234500{n:02}"
        id = company.make(fm=[{"typeId": "PHONE", "value": number}], title=f"Звонок {n}")
        company.call(f"c{n}", "304", of=("LEAD", id))
        added(bench, id)
    bench.run(100)
    assert Counter(task["responsibleId"] for task in company.tasks) == {ANNA: 10, BORIS: 10, VERA: 10}


def test_whoever_is_not_free_is_passed_over(bench: Bench, company: Company) -> None:
    company.clocks[ANNA] = "PAUSED"
    ring(bench, "other", kind=1)
    answer(bench, BORIS, "other")
    bench.run()
    id = company.make(fm=[{"typeId": "PHONE", "value": "+79991112233"}])
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == VERA
    text = company.comments[0]["COMMENT"]
    assert "— Анна: на перерыве" in text
    assert "— Борис: говорит по телефону" in text


def test_nobody_free_goes_to_the_head(bench: Bench, company: Company) -> None:
    company.clocks.clear()
    id = company.make()
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == HEAD


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_answerer_gets_the_lead_whenever_it_appears(bench: Bench, company: Company, when: str) -> None:
    ring(bench)
    bench.run()
    id = company.make() if when == "before" else 0
    if id:
        added(bench, id)
        bench.run()
    answer(bench, BORIS)
    bench.run()
    if not id:
        id = company.make()
        added(bench, id)
        bench.run()
    assert company.items[1, id]["assignedById"] == BORIS  # he still talks
    company.call("c1", "200", user=BORIS, of=("LEAD", id))
    requests = len(bench.rest.writes())
    end(bench, "200", user=BORIS)
    bench.run()
    assert len(bench.rest.writes()) == requests  # the end only confirms
    assert company.tasks == []


def test_events_of_an_answered_call_in_any_order_end_with_the_answerer(database: Database) -> None:
    steps: dict[str, Callable[[Bench, int], Any]] = {
        "ring": lambda bench, id: ring(bench),
        "start": lambda bench, id: answer(bench, BORIS),
        "lead": lambda bench, id: added(bench, id),
        "end": lambda bench, id: end(bench, "200", user=BORIS),
    }
    for order in itertools.permutations(steps):
        with database.write() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(sa.delete(table))
        company = Company()
        catalogue = Catalogue(handlers=HANDLERS, timers=TIMERS)
        bench = Bench(database, ScriptedRest(company), catalogue, playbook=PLAYBOOK)
        id = company.make()
        company.call("c1", "200", user=BORIS, of=("LEAD", id))
        for step in order:
            steps[step](bench, id)
            bench.run()
        assert company.items[1, id]["assignedById"] == BORIS, order
        assert company.tasks == [], order


def test_on_a_foreign_record_the_answerer_is_observer(bench: Bench, company: Company) -> None:
    id = company.make(3, age=timedelta(days=9), assignedById=VERA)
    ring(bench)
    answer(bench, BORIS)
    bench.run()
    assert (company.items[3, id]["assignedById"], company.items[3, id]["observers"]) == (VERA, [BORIS])
    company.call("c1", "200", user=BORIS, of=("CONTACT", id))
    end(bench, "200", user=BORIS)
    bench.run()
    assert company.items[3, id]["observers"] == [BORIS]
    assert len(company.comments) == 1


def test_a_known_client_keeps_his_manager(bench: Bench, company: Company) -> None:
    id = company.make(3, age=timedelta(days=9), assignedById=BORIS, title="Петров")
    company.call("c1", "304", of=("CONTACT", id))
    end(bench)
    bench.run()
    assert company.items[3, id]["assignedById"] == BORIS
    assert [(task["responsibleId"], task["crmItemIds"]) for task in company.tasks] == [(BORIS, [f"C_{id}"])]


def test_a_manager_outside_the_team_is_asked(bench: Bench, company: Company) -> None:
    company.people[50] = {"ID": "50", "ACTIVE": True, "NAME": "Мастер", "UF_DEPARTMENT": [9]}
    company.clocks[50] = "OPENED"
    id = company.make(3, age=timedelta(days=9), assignedById=50)
    company.call("c1", "304", of=("CONTACT", id))
    end(bench)
    bench.run()
    assert [task["responsibleId"] for task in company.tasks] == [50]


def test_a_client_who_calls_three_times_has_one_task(bench: Bench, company: Company) -> None:
    id = company.make(3, age=timedelta(days=9), assignedById=BORIS)
    for call_id in ("c1", "c2", "c3"):
        company.call(call_id, "304", of=("CONTACT", id))
        end(bench, call_id=call_id)
        bench.run()
    assert len(company.tasks) == 1
    assert [notice["USER_ID"] for notice in company.notices] == [BORIS, BORIS]


def test_an_unknown_number_gets_one_lead_however_often_it_is_told(bench: Bench, company: Company) -> None:
    company.call("c1", "304")
    end(bench)
    bench.run()
    assert company.items == {}  # the lines may still make it
    patient(bench)
    bench.run()
    end(bench)
    bench.run()
    ((kind, id),) = company.items
    added(bench, id)  # our own echo
    bench.run()
    assert (kind, company.items[kind, id]["title"]) == (1, "Пропущенный звонок +7 912 345-67-89")
    assert company.items[kind, id]["assignedById"] == ANNA
    assert [task["crmItemIds"] for task in company.tasks] == [[f"L_{id}"]]


def test_two_calls_of_one_unknown_number_make_one_lead(bench: Bench, company: Company) -> None:
    company.errors["crm.duplicate.findbycomm"] = []  # its index lags behind
    for call_id in ("c1", "c2"):
        company.call(call_id, "304")
        end(bench, call_id=call_id)
    bench.run()
    patient(bench)
    bench.run()
    assert (len(company.items), len(company.tasks)) == (1, 1)


def test_a_lead_that_was_deleted_is_not_made_again(bench: Bench, company: Company) -> None:
    company.call("c1", "304", of=("LEAD", 4242))
    end(bench)
    added(bench, 4242)
    bench.run()
    patient(bench)
    bench.run()
    assert (company.items, company.tasks) == ({}, [])
    assert outcomes(bench) == {"done": 2}


def test_in_simple_mode_the_deal_of_the_call_is_treated_once(database: Database) -> None:
    for order in (("deal", "end"), ("end", "deal")):
        with database.write() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(sa.delete(table))
        company = Company()
        catalogue = Catalogue(handlers=HANDLERS, timers=TIMERS)
        bench = Bench(database, ScriptedRest(company), catalogue, playbook=PLAYBOOK, facts={"crm_mode": 2})
        contact = company.make(3)
        deal = company.make(2, contactId=contact, fm=[])
        company.call("c1", "304", of=("CONTACT", contact))
        for event in order:
            added(bench, deal, "DEAL") if event == "deal" else end(bench)
            bench.run()
        assert [(task["responsibleId"], task["crmItemIds"]) for task in company.tasks] == [(ANNA, [f"D_{deal}"])], order
        assert company.items[2, deal]["assignedById"] == ANNA
        assert "+7 912 345-67-89" in company.tasks[0]["title"]


def test_deals_of_the_classic_mode_are_left_alone(bench: Bench, company: Company) -> None:
    deal = company.make(2)
    added(bench, deal, "DEAL")
    bench.run()
    assert bench.rest.requests == []


@pytest.mark.parametrize("data", [{}, {"FIELDS": {"ID": "undefined"}}, {"FIELDS": []}, {"FIELDS": {"ID": "-1"}}])
def test_an_event_without_an_id_is_nothing(bench: Bench, data: dict[str, Any]) -> None:
    bench.event("ONCRMLEADADD", "lead:?", data)
    bench.event("ONVOXIMPLANTCALLEND", "call:?", data)
    bench.event("ONVOXIMPLANTCALLSTART", "call:?", data)
    bench.event("ONVOXIMPLANTCALLINIT", "call:?", data)
    bench.run()
    assert outcomes(bench) == {"done": 4}
    assert bench.rest.requests == []


def test_a_person_who_chose_while_we_decided_keeps_his_choice_and_gets_the_task(bench: Bench, company: Company) -> None:
    id = company.make()
    company.call("c1", "304", of=("LEAD", id))

    def a_person_acts(calls: list[Any]) -> None:
        if calls and calls[0].method == "crm.item.get":
            company.items[1, id]["assignedById"] = VERA
            bench.rest.after = lambda _: None

    bench.rest.after = a_person_acts
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == VERA
    assert [task["responsibleId"] for task in company.tasks] == [VERA]
    assert [row["took_turn"] for row in assignments(bench)] == [False]


WAITING = PLAYBOOK.model_copy(update={"assignment": PLAYBOOK.assignment.model_copy(update={"when_nobody": "wait"})})


@pytest.mark.parametrize("chosen", [None, VERA])
def test_what_waits_in_the_queue_is_given_out_unless_a_person_did_it(
    bench: Bench, company: Company, chosen: int | None
) -> None:
    bench.playbook = WAITING
    company.clocks.clear()
    id = company.make()
    added(bench, id)
    bench.run()
    assert (company.tasks, len(company.notices), len(company.comments)) == ([], 1, 1)
    later(bench, timedelta(days=4))
    assert (company.tasks, len(company.notices), len(company.comments)) == ([], 1, 1)  # nobody is told twice
    if chosen:
        company.items[1, id].update(assignedById=chosen)  # by its creator, which REST cannot tell from the default
    company.clocks[ANNA] = "OPENED"
    later(bench, timedelta(days=4))
    assert company.items[1, id]["assignedById"] == (chosen or ANNA)
    assert [task["responsibleId"] for task in company.tasks] == [chosen or ANNA]


def test_a_call_whose_end_is_lost_ends_for_us(bench: Bench, company: Company) -> None:
    ring(bench)
    answer(bench, ANNA)
    bench.run()
    later(bench, timedelta(hours=2))
    with bench.database.read() as connection:
        known = Memory(bench.database, connection, MEMBER).call("c1")
    assert known is not None
    assert known.ended_at is not None


def test_a_missed_call_whose_end_is_lost_is_found_in_the_statistics(bench: Bench, company: Company) -> None:
    ring(bench)
    bench.run()
    id = company.make()
    company.call("c1", "304", of=("LEAD", id))
    later(bench, timedelta(hours=2))
    assert [task["responsibleId"] for task in company.tasks] == [ANNA]
    assert bench.rung  # not only at the clock's next tick


# the team


def test_a_large_company_is_read_whole(bench: Bench, company: Company) -> None:
    company.departments = [{"ID": str(n), "NAME": f"Отдел {n}", "PARENT": "1"} for n in range(100, 160)]
    company.departments.append({"ID": "5", "NAME": "Продажи", "PARENT": "1", "UF_HEAD": str(HEAD)})
    for id in range(200, 270):
        company.people[id] = {"ID": str(id), "ACTIVE": True, "NAME": str(id), "UF_DEPARTMENT": [5]}
    company.clocks.clear()
    company.clocks[265] = "OPENED"
    id = company.make()
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == 265


def test_sub_departments_count_and_the_head_does_not(bench: Bench, company: Company) -> None:
    company.departments.append({"ID": "6", "NAME": "Опт", "PARENT": "5", "UF_HEAD": "0"})
    company.people[60] = {"ID": "60", "ACTIVE": True, "NAME": "Оптовик", "UF_DEPARTMENT": [6]}
    company.clocks = {60: "OPENED", HEAD: "OPENED"}
    id = company.make()
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == 60


def test_named_people_have_the_head_of_their_department(bench: Bench, company: Company) -> None:
    named = PLAYBOOK.assignment.model_copy(update={"department": None, "users": (ANNA, VERA, 404)})
    bench.playbook = PLAYBOOK.model_copy(update={"assignment": named})
    company.clocks = {BORIS: "OPENED"}
    id = company.make()
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == HEAD


def test_a_department_that_is_not_there_leaves_nobody_in_silence(bench: Bench, company: Company) -> None:
    company.departments.pop()
    id = company.make()
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == 9
    assert [notice["USER_ID"] for notice in company.notices] == [OWNER]
    assert "в правиле нет ни одного сотрудника: ждёт в очереди" in company.comments[0]["COMMENT"]


def test_a_dismissed_person_in_the_rule_is_said_on_the_card(bench: Bench, company: Company) -> None:
    named = PLAYBOOK.assignment.model_copy(update={"users": (ANNA, VERA)})
    bench.playbook = PLAYBOOK.model_copy(update={"assignment": named})
    company.people[ANNA]["ACTIVE"] = False
    id = company.make()
    added(bench, id)
    bench.run()
    assert company.items[1, id]["assignedById"] == VERA
    assert "— Анна: уволен" in company.comments[0]["COMMENT"]


# reconciliation


@pytest.fixture
def lists(bench: Bench, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long lists as the bulk reader gives them."""

    def read_all(_: Any, method: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = params.get("FILTER") or params.get("filter") or {}
        after = int(next(iter(wanted.values())))
        sources = {
            "voximplant.statistic.get": company.statistics,
            "crm.stagehistory.list": company.history,
            "crm.item.list": [row for (kind, _), row in company.items.items() if kind == 1],
        }
        return [row for row in sources[method] if int(row.get("ID", row.get("id"))) > after]

    monkeypatch.setattr(type(bench.open_portal(MEMBER)), "read_all", read_all)


def look(bench: Bench) -> None:
    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER)
        memory.deliver(kind="timer", code="reconcile", entity="reconcile", payload={}, priority=90)
    bench.run()


@pytest.mark.usefixtures("lists")
def test_what_stood_there_before_us_is_left_alone_and_what_no_event_told_is_found(
    bench: Bench, company: Company
) -> None:
    company.make(age=timedelta(days=30))
    company.errors["voximplant.statistic.get"] = []
    look(bench)
    company.errors.clear()
    assert company.tasks == []
    id = company.make()
    company.call("c1", "304", of=("LEAD", id))
    look(bench)
    look(bench)
    assert [(task["responsibleId"], task["crmItemIds"]) for task in company.tasks] == [(ANNA, [f"L_{id}"])]


@pytest.mark.usefixtures("lists")
@pytest.mark.parametrize(
    "refusal",
    [Permanent("нет права", code="insufficient_scope"), NotFound("нет метода", code="ERROR_METHOD_NOT_FOUND")],
)
def test_a_portal_without_telephony_is_reconciled_all_the_same(
    bench: Bench, company: Company, refusal: Permanent
) -> None:
    company.errors["voximplant.statistic.get"] = refusal
    look(bench)
    id = company.make()
    look(bench)
    assert [(task["responsibleId"], task["crmItemIds"]) for task in company.tasks] == [(ANNA, [f"L_{id}"])]


@pytest.mark.usefixtures("lists")
def test_a_right_that_is_granted_later_does_not_bring_old_calls_back(bench: Bench, company: Company) -> None:

    old = company.make(age=timedelta(days=30))
    company.call("old", "304", of=("LEAD", old))
    company.errors["voximplant.statistic.get"] = AccessDenied("нет права на статистику")
    look(bench)
    company.errors.clear()
    company.errors["voximplant.statistic.get"] = [{"ID": "1"}]
    look(bench)
    company.errors.clear()
    look(bench)
    assert company.tasks == []
    with bench.database.read() as connection:
        assert Memory(bench.database, connection, MEMBER).cursor(f"{reconcile.STATISTICS}:1") == "1"
