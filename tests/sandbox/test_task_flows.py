"""Flows of tasks: what is kept, told and refused, and what a task gets that is put into one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.client import ControlFailed, Sandbox

FLOW = "tasks.flow.Flow"
HEAD, ANNA, BORIS, VERA, STRANGER = 3, 4, 5, 6, 10
HOUR = 3600
MOSCOW = ZoneInfo("Europe/Moscow")
NOT_FOUND, NO_FLOW, NO_STREAM = (
    "Flow not found",
    "Access denied or flow not found",
    "Access denied or stream not found",
)
count = iter(range(1, 10_000))


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """One portal for what does not disturb others."""
    with Sandbox.start("--no-limits") as sandbox:
        sandbox.application(handler="http://127.0.0.1:9/app")
        sandbox.finish_install()
        yield sandbox


def data(**more: Any) -> dict[str, Any]:
    base = {"name": f"Поток {next(count)}", "plannedCompletionTime": 2 * HOUR, "distributionType": "manually"}
    return {"flowData": {**base, "responsibleList": [["user", "3"]], **more}}


def flow_of(portal: Sandbox, token: str = "", **more: Any) -> dict[str, Any]:
    return dict(portal.result(f"{FLOW}.create", data(**more), token=token))


def words(portal: Sandbox, method: str, params: dict[str, Any], token: str = "") -> tuple[str, str]:
    answer = portal.call(method, params, token=token)
    return answer["error"], answer["error_description"]


def task_of(portal: Sandbox, flow: int, token: str = "", **fields: Any) -> dict[str, Any]:
    given = {"TITLE": "Замер", "FLOW_ID": flow, **fields}
    return dict(portal.result("tasks.task.add", {"fields": given}, token=token)["task"])


def told(portal: Sandbox, user: int) -> list[str]:
    return [one["text"] for one in portal.state("notices") if one["user_id"] == user]


def test_a_flow_lives_from_create_to_delete(shared: Sandbox) -> None:
    made = flow_of(shared, name="Замеры", description="Кто едет")
    number = made["id"]
    assert (made["creatorId"], made["ownerId"], made["templateId"], made["active"]) == (1, 1, 0, True)
    assert (made["matchWorkTime"], made["taskControl"], made["responsibleCanChangeDeadline"]) == (True, False, False)
    assert (made["notifyOnQueueOverflow"], made["notifyOnTasksInProgressOverflow"]) == (None, None)
    assert (made["responsibleList"], made["team"]) == ([["user", "3"]], [["user", "1"]])
    assert made["taskCreators"] == [["meta-user", "all-users"]]
    assert made["groupId"] > 0
    assert shared.result(f"{FLOW}.get", {"flowId": number}) == made
    assert shared.result(f"{FLOW}.isExists", {"flowData": {"name": "Замеры"}}) == {"exists": True}
    assert shared.result(f"{FLOW}.isExists", {"flowData": {"name": "Замеры", "id": number}}) == {"exists": False}

    change = data(id=number, name="Выезды", distributionType="queue", taskControl=1, notifyOnQueueOverflow=10)
    change["flowData"]["responsibleList"] = [["department", "5:F"]]
    changed = shared.result(f"{FLOW}.update", change)
    assert (changed["name"], changed["distributionType"], changed["taskControl"]) == ("Выезды", "queue", True)
    assert (changed["description"], changed["groupId"]) == ("Кто едет", made["groupId"])
    assert (changed["team"], changed["notifyOnQueueOverflow"]) == ([["department", "5:F"]], 10)
    assert shared.result(f"{FLOW}.isExists", {"flowData": {"name": "Замеры"}}) == {"exists": False}

    assert shared.result(f"{FLOW}.activate", {"flowId": number}) is True
    assert shared.result(f"{FLOW}.get", {"flowId": number})["active"] is False
    assert shared.result(f"{FLOW}.activate", {"flowId": number}) is True
    assert [shared.result(f"{FLOW}.pin", {"flowId": number}) for _ in range(3)] == [True, False, True]

    task = task_of(shared, number)
    assert shared.result(f"{FLOW}.delete", {"flowData": {"id": number}}) == {"deleted": True}
    assert words(shared, f"{FLOW}.get", {"flowId": number}) == ("0", NOT_FOUND)
    assert shared.result("tasks.task.get", {"taskId": task["id"]})["task"]["flowId"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", ["x"]), ("plannedCompletionTime", None), ("plannedCompletionTime", 0),
        ("plannedCompletionTime", "день"), ("distributionType", "by turns"), ("distributionType", None),
        ("responsibleList", None), ("responsibleList", []), ("responsibleList", "3"),
        ("responsibleList", [["user", "999999"]]), ("responsibleList", [["department", "99"]]),
        ("responsibleList", [["group", "1"]]), ("responsibleList", [["user", "3"], ["user", "4"]]),
        ("responsibleList", [["department", "3"]]), ("responsibleList", [["meta-user", "all-users"]]),
        ("taskCreators", [["user", "999999"]]), ("taskCreators", []), ("ownerId", 999999), ("groupId", 999999),
        ("templateId", 999999), ("matchWorkTime", 2), ("taskControl", "да"), ("notifyOnQueueOverflow", -1),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_is_named(shared: Sandbox, field: str, value: Any) -> None:
    expected = ("0", f"'{field}': field's value has an invalid value")
    assert words(shared, f"{FLOW}.create", data(**{field: value})) == expected
    made = flow_of(shared)
    assert words(shared, f"{FLOW}.update", data(id=made["id"], **{field: value})) == expected
    assert shared.result(f"{FLOW}.get", {"flowId": made["id"]}) == made


def test_a_name_is_taken_once(shared: Sandbox) -> None:
    first, second = flow_of(shared, name="Один"), flow_of(shared)
    taken = ("0", "A flow with this name already exists")
    assert words(shared, f"{FLOW}.create", data(name="Один")) == taken
    assert words(shared, f"{FLOW}.update", data(id=second["id"], name="Один")) == taken
    assert shared.result(f"{FLOW}.update", data(id=first["id"], name="Один"))["name"] == "Один"


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("create", {}, ("100", "Could not find value for parameter {flowData}")),
        ("update", {}, ("100", "Could not find value for parameter {flowData}")),
        ("delete", {}, ("100", "Could not find value for parameter {flowData}")),
        ("isExists", {}, ("100", "Could not find value for parameter {flowData}")),
        ("get", {}, ("100", "Could not find value for parameter {flowId}")),
        ("activate", {}, ("100", "Could not find value for parameter {flowId}")),
        ("pin", {}, ("100", "Could not find value for parameter {flowId}")),
        ("get", {"flowId": "x"},
            ("100", "Invalid value {x} to match with parameter {flowId}. Should be value of type int.")),
        ("create", {"flowData": "x"},
            ("100", "Invalid value {x} to match with parameter {flowData}. Should be value of type array.")),
        ("get", {"flowId": 999999}, ("0", NOT_FOUND)),
        ("activate", {"flowId": 999999}, ("0", NOT_FOUND)),
        ("delete", {"flowData": {"id": 999999}}, ("0", NOT_FOUND)),
        ("update", {"flowData": {"id": 999999, "name": "x"}}, ("0", NOT_FOUND)),
        ("pin", {"flowId": 999999}, ("0", NO_STREAM)),
    ],
)  # fmt: skip
def test_parameters_of_flows_are_refused(
    shared: Sandbox, method: str, params: dict[str, Any], error: tuple[str, str]
) -> None:
    assert words(shared, f"{FLOW}.{method}", params) == error


def test_who_sees_a_flow_and_who_changes_it(shared: Sandbox) -> None:
    anna, boris, vera, stranger = (shared.token_of(number) for number in (ANNA, BORIS, VERA, STRANGER))
    people = {"distributionType": "queue", "responsibleList": [["user", str(BORIS)]]}
    made = flow_of(shared, anna, **people, taskCreators=[["user", str(VERA)]])
    which = {"flowId": made["id"]}
    assert made["creatorId"] == ANNA
    for token in (anna, boris, vera):
        assert shared.result(f"{FLOW}.get", which, token=token)["id"] == made["id"]
        assert shared.result(f"{FLOW}.pin", which, token=token) is True
    assert words(shared, f"{FLOW}.get", which, stranger) == ("0", NO_FLOW)
    assert words(shared, f"{FLOW}.pin", which, stranger) == ("0", NO_STREAM)
    for token in (boris, vera, stranger):
        assert words(shared, f"{FLOW}.update", data(id=made["id"], **people), token) == ("0", NO_FLOW)
        assert words(shared, f"{FLOW}.activate", which, token) == ("0", NO_STREAM)
        assert words(shared, f"{FLOW}.delete", {"flowData": {"id": made["id"]}}, token) == ("0", NO_STREAM)
    owned = shared.result(f"{FLOW}.update", data(id=made["id"], **people, ownerId=VERA), token=anna)
    assert (owned["creatorId"], owned["ownerId"]) == (ANNA, VERA)
    assert shared.result(f"{FLOW}.activate", which, token=vera) is True
    assert shared.result(f"{FLOW}.delete", {"flowData": {"id": made["id"]}}, token=vera) == {"deleted": True}


@pytest.mark.parametrize(
    ("listed", "printed"),
    [
        ({"user": 4}, [["user", "4"]]),
        ([{"user": 4}, {"department": "3:F"}], [["user", "4"], ["department", "3:F"]]),
        ([["department", "3"]], [["department", "3"]]),
        ({"meta-user": "all-users"}, [["meta-user", "all-users"]]),
    ],
)
def test_people_are_named_in_every_documented_form(shared: Sandbox, listed: Any, printed: list[list[str]]) -> None:
    assert flow_of(shared, taskCreators=listed)["taskCreators"] == printed


def test_a_department_means_those_below_it_unless_it_is_marked(shared: Sandbox) -> None:
    # Дарья is of department 4, under 3.
    token = shared.token_of(8)
    whole, flat = (
        flow_of(shared, taskCreators=[["department", "3"]]),
        flow_of(shared, taskCreators=[["department", "3:F"]]),
    )
    assert shared.result(f"{FLOW}.get", {"flowId": whole["id"]}, token=token)["id"] == whole["id"]
    assert words(shared, f"{FLOW}.get", {"flowId": flat["id"]}, token) == ("0", NO_FLOW)


def test_a_moderator_gets_the_tasks_of_a_flow(shared: Sandbox) -> None:
    made = flow_of(shared, matchWorkTime=0, responsibleCanChangeDeadline=1, taskControl=1)
    before = datetime.now(MOSCOW).replace(microsecond=0)
    task = task_of(shared, made["id"], shared.token_of(ANNA))
    assert (task["flowId"], task["responsibleId"], task["createdBy"]) == (str(made["id"]), str(HEAD), str(ANNA))
    assert (task["groupId"], task["taskControl"], task["matchWorkTime"]) == (str(made["groupId"]), "Y", "N")
    assert task["allowChangeDeadline"] == "Y"
    due = datetime.fromisoformat(task["deadline"])
    assert timedelta(hours=2) <= due - before <= timedelta(hours=2, minutes=1)
    which = {"id": int(task["id"]), "select": ["flowId"]}
    assert shared.result("api/tasks.task.get", which, token=shared.token_of(1))["item"]["flowId"] == made["id"]
    changed = shared.result("tasks.task.update", {"taskId": task["id"], "fields": {"FLOW_ID": 0}})["task"]
    assert changed["flowId"] is None
    changed = shared.result("tasks.task.update", {"taskId": task["id"], "fields": {"FLOW_ID": made["id"]}})["task"]
    assert changed["flowId"] == str(made["id"])
    history = shared.result("tasks.task.history.list", {"taskId": task["id"]})["list"]
    assert [one["value"]["to"] for one in history if one["field"] == "FLOW_ID"] == ["0", str(made["id"])]


def test_a_queue_goes_round_and_skips_who_is_away(portal: Sandbox) -> None:
    people = {"distributionType": "queue", "responsibleList": [["user", "4"], ["user", "5"], ["user", "6"]]}
    flow = flow_of(portal, **people)["id"]
    assert [task_of(portal, flow)["responsibleId"] for _ in range(4)] == ["4", "5", "6", "4"]
    now = datetime.now(MOSCOW)
    away = {"from": (now - timedelta(days=1)).isoformat(), "to": (now + timedelta(days=1)).isoformat()}
    portal.set_person(5, absent=away)
    assert [task_of(portal, flow)["responsibleId"] for _ in range(2)] == ["6", "4"]
    for number in (4, 5, 6):
        portal.set_person(number, active=False)
    assert task_of(portal, flow)["responsibleId"] == "1"
    made = portal.result(f"{FLOW}.get", {"flowId": flow})
    assert (made["distributionType"], made["responsibleList"]) == ("manually", [["user", "1"]])
    assert any("модератор" in text for text in told(portal, 1))


def test_people_take_tasks_of_a_flow_themselves(portal: Sandbox) -> None:
    people = {"distributionType": "himself", "responsibleList": [["user", "4"], ["user", "5"]]}
    flow = flow_of(portal, **people)["id"]
    task = task_of(portal, flow)
    number = int(task["id"])
    assert task["responsibleId"] == "1"
    assert [len(told(portal, user)) for user in (4, 5, 6)] == [1, 1, 0]
    boris, vera = portal.token_of(BORIS), portal.token_of(VERA)
    assert portal.result("tasks.task.get", {"taskId": number}, token=boris)["task"]["action"]["take"] is True
    assert "error" in portal.call("tasks.task.get", {"taskId": number}, token=vera)
    with pytest.raises(ControlFailed):
        portal.act_on_task(number, "take", user_id=VERA)
    portal.act_on_task(number, "take", user_id=BORIS)
    task = portal.result("tasks.task.get", {"taskId": number})["task"]
    assert (task["responsibleId"], task["status"]) == ("5", "3")
    with pytest.raises(ControlFailed):
        portal.act_on_task(number, "take", user_id=ANNA)


def test_days_off_do_not_count_in_a_deadline(portal: Sandbox) -> None:
    now = datetime.now(MOSCOW)
    monday = (now + timedelta(days=7 - now.weekday())).replace(hour=12, minute=0, second=0, microsecond=0)
    portal.control("POST", "time", {"shift_seconds": (monday - now).total_seconds()})

    def days(planned: int, **calendar: str) -> float:
        portal.control("PATCH", "settings", {"calendar": {"year_holidays": "", **calendar}})
        flow = flow_of(portal, plannedCompletionTime=planned * 24 * HOUR)["id"]
        due = datetime.fromisoformat(task_of(portal, flow)["deadline"])
        return round((due - monday) / timedelta(days=1), 2)

    wednesday = monday + timedelta(days=2)
    assert days(1) == 1
    assert days(5) == 7
    assert days(1, year_holidays=f"1.01,{wednesday.day}.{wednesday.month:02d}") == 1
    assert days(2, year_holidays=f"1.01,{wednesday.day}.{wednesday.month:02d}") == 3


def test_a_flow_that_is_off_or_closed_takes_no_task(shared: Sandbox) -> None:
    made = flow_of(shared, taskCreators=[["user", "4"]])
    fields = {"TITLE": "x", "FLOW_ID": made["id"]}
    anna, boris = shared.token_of(ANNA), shared.token_of(BORIS)
    assert words(shared, "tasks.task.add", {"fields": fields}, boris) == ("ERROR_CORE", f"{NO_FLOW}<br>")
    assert task_of(shared, made["id"], anna)["responsibleId"] == str(HEAD)
    shared.result(f"{FLOW}.activate", {"flowId": made["id"]})
    assert words(shared, "tasks.task.add", {"fields": fields}, anna)[0] == "ERROR_CORE"
    assert words(shared, "tasks.task.add", {"fields": {**fields, "FLOW_ID": 999999}})[0] == "ERROR_CORE"


def test_the_administrator_hears_of_a_long_queue_once(portal: Sandbox) -> None:
    flow = flow_of(portal, notifyOnQueueOverflow=1, ownerId=HEAD, responsibleList=[["user", "4"]])["id"]
    tasks = [int(task_of(portal, flow)["id"]) for _ in range(3)]
    heard = [text for text in told(portal, HEAD) if "в очереди" in text]
    assert len(heard) == 1
    for number in tasks:
        portal.result("tasks.task.complete", {"taskId": number})
    for _ in range(2):
        task_of(portal, flow)
    assert len([text for text in told(portal, HEAD) if "в очереди" in text]) == 2


def test_overdue_tasks_are_counted_and_a_template_may_go(portal: Sandbox) -> None:
    fields = {"TITLE": "Замер", "CREATED_BY": 1, "RESPONSIBLE_ID": 4}
    template = portal.result("tasks.template.add", {"fields": fields})
    flow = flow_of(portal, templateId=template, matchWorkTime=0)
    assert (flow["templateId"], flow["efficiency"]) == (template, 0)
    task_of(portal, flow["id"])
    done = task_of(portal, flow["id"])["id"]
    portal.result("tasks.task.complete", {"taskId": done})
    portal.control("POST", "time", {"shift_seconds": 3 * HOUR})
    portal.result("tasks.template.delete", {"templateId": template})
    made = portal.result(f"{FLOW}.get", {"flowId": flow["id"]})
    assert (made["templateId"], made["efficiency"]) == (0, 50)


def test_an_error_of_pin_has_the_pages_status_where_the_pages_are_asked(portal: Sandbox) -> None:
    def status() -> int:
        answer = portal.session.post(f"{portal.ready['webhook']}{FLOW}.pin", json={"flowId": 999999}, timeout=10)
        assert answer.json()["error"] == "0"
        return answer.status_code

    assert status() == 400
    portal.control("PATCH", "settings", {"statuses": "docs"})
    assert status() == 200
