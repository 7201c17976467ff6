"""The robot «assign a free manager» as consultants place it: its stage waits for the answer, and always gets one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from b24app.engine.run import ROBOT_PATIENCE

from .office import ANNA, BORIS, HEAD, MANAGERS, Office, Row, new_phone

STAGE = "IN_PROCESS"


@pytest.fixture
def stage(office: Office) -> Iterator[Stage]:
    """A stage of leads that is empty of robots again afterwards."""
    stage = Stage(office)
    yield stage
    stage.clear()


class Stage:
    """The stage on which consultants place robots."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def place(self, code: str = "assign_manager", **properties: Any) -> int:
        """Places a robot after those that stand there; returns its number, by which later robots name its answer."""
        return int(self.office.portal.place_robot(1, STAGE, code, properties=properties)["id"])

    def clear(self) -> None:
        """Takes the robots away."""
        for placed in self.office.control("GET", f"stages/1/{STAGE}/robots"):
            self.office.control("DELETE", f"stages/1/{STAGE}/robots/{placed['id']}")

    def lead(self) -> int:
        """Makes a lead that nobody treats by itself, and moves it onto the stage; returns its id."""
        self.office.portal.event_rule("ONCRMLEADADD", "lose")
        lead_id = self.office.lead_by_hand(new_phone(), user_id=HEAD)
        self.office.portal.change_item(1, lead_id, {"stageId": STAGE}, user_id=HEAD)
        return lead_id

    def run_of(self, lead_id: int) -> Row:
        """Returns the run of the stage's robots for the lead."""
        (run,) = [run for run in self.office.portal.state("workflows") if run["item_id"] == lead_id]
        return dict(run)

    def answered(self, lead_id: int) -> Row:
        """Returns the run once it waits no more."""
        self.office.until(lambda: self.run_of(lead_id)["status"] not in ("waiting", "running"), "the robot's answer")
        run = self.run_of(lead_id)
        assert run["status"] == "finished"
        return run


def log_of(run: Row) -> str:
    return "\n".join(line["text"] for line in run["log"])


def results_of(run: Row) -> dict[str, Any]:
    return {name.partition(":")[2]: value for name, value in run["results"].items()}


def test_k2_k3_the_robot_assigns_answers_with_values_and_writes_the_reason_into_the_log(
    office: Office, stage: Stage
) -> None:
    office.at_work(BORIS)
    stage.place()
    lead_id = stage.lead()
    run = stage.answered(lead_id)
    office.settle()
    assert office.assert_treated(lead_id) == BORIS
    assert results_of(run) == {
        "manager": f"user_{BORIS}",
        "manager_name": "Борис Лебедев",
        "reason": "по очереди среди свободных",
        "assigned": "Y",
    }
    assert "Борис Лебедев: по очереди среди свободных" in log_of(run)
    assert "Анна Кузнецова: рабочий день не начат или закончен" in log_of(run)


def test_k2_the_robot_does_as_its_properties_say(office: Office, stage: Stage) -> None:
    stage.place(users=[f"user_{ANNA}"], task="N")
    lead_id = stage.lead()
    stage.answered(lead_id)
    office.settle()
    assert office.responsible(lead_id) == ANNA
    assert office.tasks_of(lead_id) == []


def test_k2_the_robot_gives_nothing_to_who_has_enough_or_was_dismissed(office: Office, stage: Stage) -> None:
    for _ in range(len(MANAGERS)):
        office.portal.missed_call(new_phone())
        office.settle()
    office.portal.set_person(ANNA, active=False)
    stage.place(limit_open="1")
    lead_id = stage.lead()
    run = stage.answered(lead_id)
    office.settle()
    assert office.responsible(lead_id) == HEAD
    assert "предел 1" in log_of(run)
    assert "Анна Кузнецова: уволен" in log_of(run)


def test_k2_the_event_and_the_robot_of_one_new_lead_are_one_wish(office: Office, stage: Stage) -> None:
    stage.place()
    lead_id = office.lead_by_hand(new_phone(), stageId=STAGE)
    stage.answered(lead_id)
    office.settle()
    office.assert_treated(lead_id)


def test_k2_the_robot_is_answered_when_nobody_is_free(office: Office, stage: Stage) -> None:
    office.at_work()
    stage.place(when_nobody="wait")
    lead_id = stage.lead()
    run = stage.answered(lead_id)
    office.settle()
    assert results_of(run)["assigned"] == "N"
    assert "никто не свободен" in log_of(run)
    assert office.tasks_of(lead_id) == []


def test_k2_the_robot_is_answered_when_the_department_is_unknown_or_has_no_people(office: Office, stage: Stage) -> None:
    stage.place(department="Нет такого отдела")
    unknown = stage.lead()
    run = stage.answered(unknown)
    office.settle()
    assert "в отделе нет сотрудников" in log_of(run)
    stage.clear()
    for person in (9, 10):
        office.portal.set_person(person, active=False)
    stage.place(department="Замеры")
    empty = stage.lead()
    run = stage.answered(empty)
    office.settle()
    assert results_of(run).get("assigned") in (None, "N")
    assert "в отделе нет ни одного сотрудника" in log_of(run)
    for lead_id in (unknown, empty):
        assert office.responsible(lead_id) == HEAD
        assert office.tasks_of(lead_id) == []


def test_k2_a_lead_deleted_meanwhile_leaves_no_robot_and_no_delivery_hanging(office: Office, stage: Stage) -> None:
    stage.place()
    office.portal.fault("crm.item.get", "delay", seconds=1.5)
    last = office.portal.last
    lead_id = stage.lead()
    office.until(lambda: office.fault_taken(last, "crm.item.get"), "the robot reads")
    office.control("DELETE", f"items/1/{lead_id}")
    office.settle(hurry=True)
    assert stage.run_of(lead_id)["status"] == "stopped"
    assert office.tasks_of(lead_id) == []
    assert not [one for one in office.unfinished().splitlines() if f"lead:{lead_id} " in one]


def test_k2_the_robot_is_answered_when_the_portal_fails_for_longer_than_a_stage_may_wait(
    office: Office, stage: Stage
) -> None:
    stage.place()
    office.portal.fault("batch", "status", status=502, count=1000)
    last = office.portal.last
    lead_id = stage.lead()
    office.until(lambda: office.fault_taken(last, "batch"), "the portal fails")
    assert stage.run_of(lead_id)["status"] == "waiting"
    office.age_deliveries(ROBOT_PATIENCE + timedelta(minutes=1))
    office.until(lambda: office.hurry() or office.failure_decided(lead_id), "the robot's patience is over")
    office.control("DELETE", "faults")
    office.until(lambda: office.hurry() or stage.run_of(lead_id)["status"] == "finished", "the answer")
    office.settle(hurry=True)
    assert "не удалось за" in log_of(stage.run_of(lead_id))
    assert office.tasks_of(lead_id) == []


def test_k2_a_robot_of_an_unknown_code_is_answered_with_a_word(office: Office, stage: Stage) -> None:
    robot = {
        "CODE": "strange",
        "HANDLER": f"{office.url}/robot/strange",
        "NAME": "Неизвестный робот",
        "USE_SUBSCRIPTION": "Y",
        "AUTH_USER_ID": 1,
    }
    token = office.portal.token_of(1)
    assert office.portal.result("bizproc.robot.add", robot, token=token) is True
    try:
        stage.place("strange")
        lead_id = stage.lead()
        run = stage.answered(lead_id)
        assert "неизвестный код strange" in log_of(run)
    finally:
        office.portal.result("bizproc.robot.delete", {"CODE": "strange"}, token=token)


@pytest.mark.parametrize("effect", ["drop", "status", "html", "truncate"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_k2_the_robot_is_answered_once_whatever_becomes_of_the_answer(
    office: Office, stage: Stage, when: str, effect: str
) -> None:
    stage.place()
    office.portal.fault("bizproc.event.send", effect, when=when)
    last = office.portal.last
    lead_id = stage.lead()
    office.settle(hurry=True)
    assert office.fault_taken(last, "bizproc.event.send")
    stage.answered(lead_id)
    office.assert_treated(lead_id)


def test_k2_a_robot_call_that_comes_twice_is_one_effect(office: Office, stage: Stage) -> None:
    stage.place()
    office.portal.fault("crm.item.get", "delay", seconds=1)
    last = office.portal.last
    lead_id = stage.lead()
    office.until(lambda: office.fault_taken(last, "crm.item.get"), "the robot reads")
    form = office.robot_form(lead_id)
    answers = [office.http.post(f"{office.url}/robot/assign_manager", data=form, timeout=10) for _ in range(2)]
    assert [(one.status_code, one.text.strip()) for one in answers] == [(200, "known")] * 2
    stage.answered(lead_id)
    office.settle()
    assert office.assert_treated(lead_id) in MANAGERS


def test_working_time_is_added_by_one_robot_and_counted_back_by_the_next(office: Office, stage: Stage) -> None:
    added = stage.place("add_working_time", start="27.11.2026 11:30:00", amount="9", unit="hours")
    start, end = f"{{=A{added}:at}}", "27.11.2026 11:30:00"
    stage.place("working_time_between", start=start, end=end, language="en")
    lead_id = stage.lead()
    run = stage.answered(lead_id)
    results = results_of(run)
    hours = office.portal.result("calendar.settings.get")
    assert (hours["work_time_start"], hours["work_time_end"], hours["week_holidays"]) == ("9", "18", ["SA", "SU"])
    assert results["at"] == "2026-11-30T11:30:00+03:00"
    assert (results["hours"], results["minutes"], results["more_than_a_day"]) == ("-9.00", "-540", "N")
    assert results["steps"] == (
        "Fri 27.11 11:30-18:00: 6 h 30 min of work\nSat 28.11 - Sun 29.11: day off\n"
        "Mon 30.11 09:00-11:30: 2 h 30 min of work"
    )
    assert "Пт 27.11 11:30-18:00: 6 ч 30 мин работы" in log_of(run)
    office.settle()
    assert office.tasks_of(lead_id) == []
