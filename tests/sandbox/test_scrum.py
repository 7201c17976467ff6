"""Scrum: what a backlog, a sprint, its kanban and an epic keep, do to tasks, and refuse."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.client import ControlFailed, Sandbox
from tests.sandbox.conftest import Listener

API = "tasks.api.scrum"
ADMIN, MASTER, ANNA, BORIS, STRANGER = 1, 3, 4, 5, 10
DAY = "2030-03-0{}T10:00:00+03:00"
NOWHERE = 999999


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """One portal for what does not disturb others."""
    with Sandbox.start("--no-limits") as sandbox:
        sandbox.application(handler="http://127.0.0.1:9/app")
        sandbox.finish_install()
        yield sandbox


def do(portal: Sandbox, verb: str, *, by: int = 0, **params: Any) -> Any:
    return portal.result(f"{API}.{verb}", params, token=portal.token_of(by) if by else "")


def refusal(portal: Sandbox, verb: str, *, by: int = 0, **params: Any) -> tuple[Any, str]:
    answer = portal.call(f"{API}.{verb}", params, token=portal.token_of(by) if by else "")
    assert "error" in answer, (verb, params, answer)
    return answer["error"], answer["error_description"]


def scrum_of(portal: Sandbox, master: int = MASTER, members: tuple[int, ...] = (ANNA, BORIS)) -> dict[str, Any]:
    body = {"name": "Кухни", "owner_id": ADMIN, "members": list(members), "scrum_master_id": master}
    return dict(portal.control("POST", "groups", body))


def sprint_of(portal: Sandbox, group: int, status: str = "planned", **fields: Any) -> int:
    return int(do(portal, "sprint.add", fields={"name": "Спринт", "groupId": group, "status": status, **fields})["id"])


def task_of(portal: Sandbox, group: int, **fields: Any) -> int:
    given = {"TITLE": "Замер", "RESPONSIBLE_ID": ANNA, "GROUP_ID": group, **fields}
    return int(portal.result("tasks.task.add", {"fields": given})["task"]["id"])


def place(portal: Sandbox, task: int) -> tuple[str | None, str | None, str]:
    """(sprint, backlog, stage) as tasks.task.get tells them."""
    shown = portal.result("tasks.task.get", {"taskId": task})["task"]
    return shown["sprintId"], shown["backlogId"], shown["stageId"]


def columns(portal: Sandbox, sprint: int) -> dict[str, int]:
    """Ids of the stages by type."""
    return {one["type"]: int(one["id"]) for one in do(portal, "kanban.getStages", sprintId=sprint)}


# --- backlogs ---------------------------------------------------------------------------------------------------------


def test_a_backlog_lives_from_add_to_delete(shared: Sandbox) -> None:
    plain, other = scrum_of(shared, master=0), scrum_of(shared, master=0)
    assert plain["backlog_id"] is None
    made = do(shared, "backlog.add", fields={"groupId": plain["id"], "createdBy": ANNA})
    assert made == {"id": made["id"], "groupId": plain["id"], "createdBy": ANNA, "modifiedBy": 0}
    assert do(shared, "backlog.get", id=plain["id"]) == made
    changed = do(shared, "backlog.update", id=made["id"], fields={"groupId": other["id"], "modifiedBy": BORIS})
    assert changed == {**made, "groupId": other["id"], "modifiedBy": BORIS}
    assert refusal(shared, "backlog.get", id=plain["id"]) == (0, "Backlog not found")
    assert do(shared, "backlog.update", id=made["id"], fields={"createdBy": BORIS}) == {
        **changed, "createdBy": BORIS, "modifiedBy": ADMIN,
    }  # fmt: skip
    assert do(shared, "backlog.delete", id=made["id"]) == []
    assert refusal(shared, "backlog.get", id=other["id"]) == (0, "Backlog not found")


def test_a_scrum_has_its_backlog_and_every_refusal_has_the_words_of_its_page(shared: Sandbox) -> None:
    scrum, full, plain = scrum_of(shared), scrum_of(shared), scrum_of(shared, master=0)
    group, number = scrum["id"], scrum["backlog_id"]
    assert do(shared, "backlog.get", id=group)["id"] == number
    task_of(shared, full["id"])
    add, update = "backlog.add", "backlog.update"
    own = {"groupId": plain["id"], "createdBy": ADMIN}
    cases: list[tuple[str, dict[str, Any], str]] = [
        (add, {"fields": {"createdBy": 1}}, "Group id not found"),
        (add, {"fields": {"groupId": group, "createdBy": 1}}, "Backlog already added"),
        (add, {"fields": {"groupId": NOWHERE, "createdBy": 1}}, "Access denied"),
        (add, {"fields": {**own, "createdBy": NOWHERE}}, "createdBy user not found"),
        (add, {"fields": {**own, "modifiedBy": NOWHERE}}, "modifiedBy user not found"),
        (update, {"fields": {}}, "Backlog id not found"),
        (update, {"id": NOWHERE, "fields": {}}, "Backlog not found"),
        (update, {"id": number, "fields": {"groupId": NOWHERE}}, "Access denied"),
        (update, {"id": number, "fields": {"groupId": full["id"]}}, "The target group already has a backlog"),
        (update, {"id": full["backlog_id"], "fields": {"groupId": plain["id"]}},
            "It is forbidden move a backlog with items"),
        (update, {"id": number, "fields": {"createdBy": "кто"}}, "createdBy user not found"),
        (update, {"id": number, "fields": {"modifiedBy": 0}}, "modifiedBy user not found"),
        ("backlog.get", {}, "Group id not found"),
        ("backlog.delete", {}, "Backlog id not found"),
        ("backlog.delete", {"id": sprint_of(shared, group)}, "Backlog not found"),
        ("backlog.delete", {"id": full["backlog_id"]}, "It is forbidden remove a backlog with items"),
    ]  # fmt: skip
    for verb, params, words in cases:
        assert refusal(shared, verb, **params) == (0, words), (verb, params)
    absent = ("100", "Could not find value for parameter {fields}")
    assert refusal(shared, update, id=number) == absent
    assert do(shared, "backlog.get", id=group)["modifiedBy"] == 0


def test_a_deleted_backlog_comes_back_with_the_planning(shared: Sandbox) -> None:
    scrum = scrum_of(shared)
    do(shared, "backlog.delete", id=scrum["backlog_id"])
    assert "error" in shared.call(f"{API}.task.get", {"id": task_of(shared, scrum["id"])})
    opened = shared.control("PATCH", f"groups/{scrum['id']}", {"planning": True})
    assert opened["backlog_id"] not in (None, scrum["backlog_id"])
    assert place(shared, task_of(shared, scrum["id"]))[1] == str(opened["backlog_id"])


# --- tasks ------------------------------------------------------------------------------------------------------------


def test_a_task_of_a_scrum_lies_in_its_backlog_and_moves(shared: Sandbox) -> None:
    scrum, other = scrum_of(shared), scrum_of(shared)
    group, backlog = scrum["id"], scrum["backlog_id"]
    task = task_of(shared, group)
    assert place(shared, task) == (None, str(backlog), "0")
    usual = {"entityId": backlog, "storyPoints": "", "epicId": 0, "sort": 0, "createdBy": ADMIN, "modifiedBy": ADMIN}
    assert do(shared, "task.get", id=task) == usual
    epic, sprint = do(shared, "epic.add", fields={"name": "Э", "groupId": group})["id"], sprint_of(shared, group)
    fields = {"epicId": epic, "storyPoints": 8, "entityId": sprint, "sort": "2"}
    success = {"status": "success", "data": True, "errors": []}
    assert do(shared, "task.update", id=task, fields=fields, by=ANNA) == success
    changed = {**usual, "entityId": sprint, "storyPoints": "8", "epicId": epic, "sort": 2, "modifiedBy": ANNA}
    assert do(shared, "task.get", id=task) == changed
    assert place(shared, task) == (str(sprint), None, "0")
    shown = shared.result("api/tasks.task.get", {"id": task}, token=shared.token_of(ADMIN))["item"]
    assert (shown["epicId"], shown["storyPoints"]) == (epic, 8)
    for name, value, found in (
        ("SPRINT_ID", sprint, [str(task)]), ("BACKLOG_ID", backlog, []), ("SPRINT_ID", NOWHERE, []),
    ):  # fmt: skip
        listed = shared.result("tasks.task.list", {"filter": {name: value}, "select": ["ID"]})["tasks"]
        assert [one["id"] for one in listed] == found
    do(shared, "task.update", id=task, fields={"storyPoints": "XL"})
    assert do(shared, "task.get", id=task) == {**changed, "storyPoints": "XL", "modifiedBy": ADMIN}

    do(shared, "task.update", id=task, fields={"entityId": other["backlog_id"]})
    assert shared.result("tasks.task.get", {"taskId": task})["task"]["groupId"] == str(other["id"])
    assert do(shared, "task.get", id=task)["epicId"] == 0
    shared.result("tasks.task.update", {"taskId": task, "fields": {"GROUP_ID": group}})
    assert place(shared, task) == (None, str(backlog), "0")
    shared.result("tasks.task.update", {"taskId": task, "fields": {"GROUP_ID": 0}})
    assert place(shared, task) == (None, None, "0")
    assert refusal(shared, "task.get", id=task) == (0, "Task not found")


def test_what_scrum_does_not_do_with_tasks(shared: Sandbox) -> None:
    scrum, other = scrum_of(shared), scrum_of(shared, members=())
    task, lone = task_of(shared, scrum["id"]), task_of(shared, 0)
    alien = do(shared, "epic.add", fields={"name": "Э", "groupId": other["id"]})["id"]
    cases: list[tuple[int, int, dict[str, Any], str]] = [
        (0, task, {"epicId": NOWHERE}, "Epic not found"), (0, task, {"epicId": alien}, "Epic not found"),
        (0, NOWHERE, {}, "Task not found"), (0, lone, {"storyPoints": "1"}, "Item not created"),
        (0, task, {"entityId": NOWHERE}, "Item not created"), (0, task, {"sort": "x"}, "Item not created"),
        (0, task, {"storyPoints": ["8"]}, "Item not created"),
        (STRANGER, task, {"storyPoints": "1"}, "Task not found"),
        (ANNA, task, {"entityId": other["backlog_id"]}, "Access denied"),
        (ANNA, lone, {"entityId": scrum["backlog_id"]}, "Access denied"),
    ]  # fmt: skip
    for by, number, fields, words in cases:
        assert refusal(shared, "task.update", id=number, fields=fields, by=by) == (0, words), (by, number, fields)
    assert do(shared, "task.get", id=task)["storyPoints"] == ""
    misfit = "Invalid value {x} to match with parameter {id}. Should be value of type int."
    for verb in ("task.get", "epic.get", "epic.delete"):
        assert refusal(shared, verb, id="x") == ("100", misfit)
        assert refusal(shared, verb) == ("100", "Could not find value for parameter {id}")
    for verb in ("sprint.start", "sprint.delete", "sprint.complete", "sprint.get"):
        assert refusal(shared, verb, id="x") == ("100", misfit.rstrip("."))
        assert refusal(shared, verb) == ("100", "Could not find value for parameter {id}")
    words = "Invalid value {x} to match with parameter {fields}. Should be value of type array"
    assert refusal(shared, "sprint.add", fields="x") == ("100", words)
    assert refusal(shared, "sprint.update", id=1, fields="x") == ("100", words)


def test_only_the_team_comes_into_a_scrum(shared: Sandbox) -> None:
    scrum = scrum_of(shared)
    group, backlog = scrum["id"], scrum["backlog_id"]
    sprint = sprint_of(shared, group, "active")
    epic = do(shared, "epic.add", fields={"name": "Э", "groupId": group})["id"]
    stages, task = columns(shared, sprint), task_of(shared, group)
    card = {"sprintId": sprint, "taskId": task}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("backlog.get", {"id": group}), ("backlog.update", {"id": backlog, "fields": {}}),
        ("backlog.delete", {"id": backlog}), ("sprint.add", {"fields": {"groupId": group, "name": "x"}}),
        ("sprint.update", {"id": sprint, "fields": {"name": "x"}}), ("sprint.get", {"sprintId": sprint}),
        ("sprint.start", {"id": sprint}), ("sprint.complete", {"id": group}), ("sprint.delete", {"id": sprint}),
        ("kanban.addStage", {"fields": {"sprintId": sprint, "name": "x"}}), ("kanban.getStages", {"sprintId": sprint}),
        ("kanban.updateStage", {"stageId": stages["WORK"], "fields": {"name": "x"}}),
        ("kanban.deleteStage", {"stageId": stages["WORK"]}),
        ("kanban.addTask", {**card, "stageId": stages["WORK"]}), ("kanban.deleteTask", card),
        ("epic.add", {"fields": {"groupId": group, "name": "x"}}), ("epic.update", {"id": epic, "fields": {}}),
        ("epic.get", {"id": epic}), ("epic.delete", {"id": epic}),
    ]  # fmt: skip
    for verb, params in cases:
        assert refusal(shared, verb, by=STRANGER, **params) == (0, "Access denied"), verb
    for verb in ("sprint.list", "epic.list"):
        assert refusal(shared, verb, by=STRANGER, filter={"GROUP_ID": group}) == (0, "Could not load list")
        assert len(do(shared, verb, by=BORIS, filter={"GROUP_ID": group})) == 1
    assert refusal(shared, "task.get", by=STRANGER, id=task) == (0, "Task not found")
    assert do(shared, "task.get", by=BORIS, id=task)["entityId"] == backlog
    boris, stranger = shared.token_of(BORIS), shared.token_of(STRANGER)
    assert shared.result("tasks.task.get", {"taskId": task}, token=boris)["task"]["id"] == str(task)
    assert "error" in shared.call("tasks.task.get", {"taskId": task}, token=stranger)
    assert columns(shared, sprint) == stages


# --- sprints ----------------------------------------------------------------------------------------------------------


def test_a_sprint_lives_from_add_to_delete(shared: Sandbox) -> None:
    group = scrum_of(shared)["id"]
    fields = {"name": "Первый", "groupId": group, "sort": 1, "dateStart": DAY.format(1), "dateEnd": DAY.format(8)}
    made = do(shared, "sprint.add", fields=fields, by=ANNA)
    assert made == {
        "id": made["id"], "groupId": group, "entityType": "sprint", "name": "Первый", "goal": "", "sort": 1,
        "createdBy": ANNA, "modifiedBy": ANNA, "dateStart": DAY.format(1), "dateEnd": DAY.format(8),
        "status": "planned",
    }  # fmt: skip
    assert do(shared, "sprint.get", sprintId=made["id"]) == do(shared, "sprint.get", id=made["id"]) == made
    changed = do(shared, "sprint.update", id=made["id"], fields={"name": "Второй", "dateEnd": 1899010800})
    assert changed == {**made, "name": "Второй", "modifiedBy": ADMIN, "dateEnd": "2030-03-06T10:00:00+03:00"}
    assert do(shared, "sprint.list", filter={"GROUP_ID": group}) == [changed]
    assert do(shared, "sprint.delete", id=made["id"]) == []
    assert refusal(shared, "sprint.get", sprintId=made["id"]) == (0, "Sprint not found")


def test_a_sprint_that_cannot_be_is_refused(shared: Sandbox) -> None:
    group, plain = scrum_of(shared)["id"], scrum_of(shared, master=0)["id"]
    known = sprint_of(shared, group, "active")
    own = {"groupId": group, "name": "Спринт"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"groupId": None}, "Access denied"), ({"groupId": NOWHERE}, "Access denied"), ({"groupId": plain},
            "Access denied"), ({"name": ""}, "Sprint not created"), ({"sort": "много"}, "Sprint not created"),
        ({"dateStart": "вчера"}, "Incorrect dateStart format"), ({"dateEnd": "завтра"}, "Incorrect dateEnd format"),
        ({"dateStart": 10**15}, "Incorrect dateStart format"),
        ({"dateStart": DAY.format(2), "dateEnd": DAY.format(1)}, "Sprint not created"),
        ({"createdBy": NOWHERE}, "createdBy user not found"), ({"modifiedBy": NOWHERE}, "modifiedBy user not found"),
        ({"status": "late"}, "Incorrect sprint status"), ({"status": "active"}, "Unable to add two active sprint"),
    ]  # fmt: skip
    for given, words in cases:
        assert refusal(shared, "sprint.add", fields={**own, **given}) == (0, words), given
    assert [one["id"] for one in do(shared, "sprint.list", filter={"GROUP_ID": group})] == [known]
    second = sprint_of(shared, group)
    before = do(shared, "sprint.get", sprintId=second)
    for given, words in cases:
        if given != {"groupId": None}:
            assert refusal(shared, "sprint.update", id=second, fields=given) == (0, words), given
    assert do(shared, "sprint.get", sprintId=second) == before
    for verb, number in (("start", NOWHERE), ("delete", NOWHERE), ("complete", NOWHERE)):
        assert refusal(shared, f"sprint.{verb}", id=number) == (0, "Sprint not found")
    assert refusal(shared, "sprint.update", id=NOWHERE, fields={}) == (0, "Sprint not found")
    assert refusal(shared, "sprint.start", id=known) == (0, "Sprint must be planned")
    assert refusal(shared, "sprint.start", id=second) == (0, "Unable to add two active sprint")
    task = task_of(shared, group)
    do(shared, "task.update", id=task, fields={"entityId": second})
    moved = {"groupId": scrum_of(shared)["id"]}
    assert refusal(shared, "sprint.update", id=second, fields=moved) == (0, "Sprint not created")


def test_open_tasks_of_a_completed_sprint_go_to_the_backlog(shared: Sandbox) -> None:
    scrum = scrum_of(shared)
    group, backlog = scrum["id"], str(scrum["backlog_id"])
    sprint = sprint_of(shared, group)
    was_done, done, final, open_, off = (task_of(shared, group) for _ in range(5))
    for task in (was_done, done, final, open_, off):
        do(shared, "task.update", id=task, fields={"entityId": sprint, "storyPoints": "3"})
    shared.result("tasks.task.complete", {"taskId": was_done})
    assert do(shared, "kanban.getStages", sprintId=sprint) == []

    assert do(shared, "sprint.start", id=sprint)["status"] == "active"
    listed = do(shared, "kanban.getStages", sprintId=sprint)
    assert [(one["sort"], one["type"], one["color"], one["sprintId"]) for one in listed] == [
        ("100", "NEW", "00C4FB", str(sprint)), ("200", "WORK", "47D1E2", str(sprint)),
        ("300", "FINISH", "75D900", str(sprint)),
    ]  # fmt: skip
    stages = columns(shared, sprint)
    assert place(shared, was_done) == (None, backlog, "0")
    assert [place(shared, task) for task in (done, open_)] == [(str(sprint), None, str(stages["NEW"]))] * 2
    card = {"sprintId": sprint, "taskId": final}
    assert do(shared, "kanban.addTask", **card, stageId=stages["FINISH"]) is True
    assert do(shared, "kanban.deleteTask", sprintId=sprint, taskId=off) is True
    assert place(shared, off) == (str(sprint), None, "0")
    shared.result("tasks.task.complete", {"taskId": done})
    assert refusal(shared, "sprint.delete", id=sprint) == (0, "It is forbidden remove a sprint with items")

    assert do(shared, "sprint.complete", id=group)["status"] == "completed"
    assert [place(shared, task)[:2] for task in (done, final)] == [(str(sprint), None)] * 2
    assert [place(shared, task) for task in (open_, off)] == [(None, backlog, "0")] * 2
    assert do(shared, "task.get", id=open_)["storyPoints"] == "3"
    assert refusal(shared, "sprint.complete", id=group) == (0, "Sprint not found")
    assert refusal(shared, "kanban.addTask", **card, stageId=stages["NEW"]) == (0, "Sprint not found")


def test_columns_come_from_the_last_completed_sprint(shared: Sandbox) -> None:
    group = scrum_of(shared)["id"]
    first, second = sprint_of(shared, group, "active"), sprint_of(shared, group)
    do(shared, "kanban.addStage", fields={"sprintId": first, "name": "Проверка", "color": "#AABBCC", "sort": 200})
    names = [one["name"] for one in do(shared, "kanban.getStages", sprintId=first)]
    assert names[2] == "Проверка"
    do(shared, "sprint.update", id=first, fields={"status": "completed"})
    do(shared, "sprint.start", id=second)
    carried = do(shared, "kanban.getStages", sprintId=second)
    assert [one["name"] for one in carried] == names
    assert (carried[2]["color"], carried[2]["sprintId"]) == ("AABBCC", str(second))
    assert {one["id"] for one in carried}.isdisjoint(
        one["id"] for one in do(shared, "kanban.getStages", sprintId=first)
    )


def test_columns_of_an_earlier_sprint_are_not_carried(shared: Sandbox) -> None:
    group = scrum_of(shared)["id"]
    for name in ("Раз", "Два"):
        sprint = sprint_of(shared, group, "active")
        do(shared, "kanban.updateStage", stageId=columns(shared, sprint)["WORK"], fields={"name": name})
        do(shared, "sprint.complete", id=group)
    names = [one["name"] for one in do(shared, "kanban.getStages", sprintId=sprint_of(shared, group, "active"))]
    assert (names[1], len(names)) == ("Два", 3)


def test_tasks_of_a_deleted_sprint_go_to_the_backlog(shared: Sandbox) -> None:
    scrum = scrum_of(shared)
    sprint, task = sprint_of(shared, scrum["id"]), task_of(shared, scrum["id"])
    do(shared, "task.update", id=task, fields={"entityId": sprint})
    do(shared, "backlog.delete", id=scrum["backlog_id"])
    assert refusal(shared, "sprint.delete", id=sprint) == (0, "Sprint items have not been moved to backlog")
    backlog = do(shared, "backlog.add", fields={"groupId": scrum["id"], "createdBy": ADMIN})["id"]
    assert do(shared, "sprint.delete", id=sprint) == []
    assert place(shared, task) == (None, str(backlog), "0")


def test_a_task_whose_parent_is_gone_moves_as_others_do(shared: Sandbox) -> None:
    scrum = scrum_of(shared)
    sprint, parent = sprint_of(shared, scrum["id"]), task_of(shared, scrum["id"])
    child = task_of(shared, scrum["id"], PARENT_ID=parent)
    do(shared, "task.update", id=child, fields={"entityId": sprint})
    shared.result("tasks.task.delete", {"taskId": parent})
    do(shared, "sprint.start", id=sprint)
    assert place(shared, child)[2] == str(columns(shared, sprint)["NEW"])
    do(shared, "sprint.complete", id=scrum["id"])
    assert place(shared, child) == (None, str(scrum["backlog_id"]), "0")


def test_a_person_sets_the_goal_of_a_sprint(shared: Sandbox) -> None:
    group = scrum_of(shared)["id"]
    sprint = sprint_of(shared, group)
    with pytest.raises(ControlFailed):
        shared.control("POST", f"sprints/{sprint}/start", {"user_id": STRANGER})
    shared.control("POST", f"sprints/{sprint}/start", {"goal": "Десять кухонь"})
    shown = do(shared, "sprint.get", sprintId=sprint)
    assert (shown["goal"], shown["status"]) == ("Десять кухонь", "active")
    with pytest.raises(ControlFailed):
        shared.control("POST", f"sprints/{sprint}/start", {})
    assert do(shared, "sprint.complete", id=group)["goal"] == "Десять кухонь"


# --- lists ------------------------------------------------------------------------------------------------------------


def test_lists_are_filtered_sorted_and_paged(shared: Sandbox) -> None:
    group = scrum_of(shared)["id"]
    ids = [do(shared, "epic.add", fields={"name": f"Тема {n % 3}", "groupId": group})["id"] for n in range(52)]
    last = sprint_of(shared, group, dateStart=DAY.format(1), dateEnd=DAY.format(9))
    early = sprint_of(shared, group, "completed", dateStart=DAY.format(1), dateEnd=DAY.format(3))

    def page(**params: Any) -> dict[str, Any]:
        return shared.call(f"{API}.epic.list", {"filter": {"GROUP_ID": group}, **params})

    answer = page()
    assert ([one["id"] for one in answer["result"]], answer["total"], answer["next"]) == (ids[:50], 52, 50)
    assert [one["id"] for one in page(start=50)["result"]] == ids[50:]
    assert [one["id"] for one in page(order={"ID": "desc"})["result"]] == ids[:1:-1]
    by_name = [one["id"] for one in page(order={"name": "desc", "id": "asc"})["result"]]
    assert by_name[:2] == [ids[2], ids[5]]
    assert page(select=["ID", "name"])["result"][0] == {"id": ids[0], "name": "Тема 0"}
    assert set(page(select=["*"])["result"][0]) == set(answer["result"][0])
    cases: list[tuple[dict[str, Any], int]] = [
        ({"NAME": "%ма 1"}, 17), ({"NAME": "Тема 1"}, 17), ({"%NAME": "2"}, 17), ({"!=NAME": "Тема 0"}, 34),
        ({"=%NAME": "Тема%"}, 52), ({"!%NAME": "2"}, 35), ({"=ID": ids[:3]}, 3), ({">=ID": ids[50]}, 2),
        ({"logic": "OR", "0": {"ID": ids[0]}, "1": {"id": ids[1]}}, 2), ({"CREATED_BY": ADMIN}, 52),
    ]  # fmt: skip
    for given, count in cases:
        wanted = {"GROUP_ID": group, "0": given}
        assert shared.call(f"{API}.epic.list", {"filter": wanted})["total"] == count, given
    own = {"GROUP_ID": group}
    for given, found in (
        ({"STATUS": "planned"}, [last]), ({">=DATE_END": DAY.format(5)}, [last]),
        ({"<DATE_END": DAY.format(5)}, [early]),
        ({"ENTITY_TYPE": "sprint"}, [last, early]), ({"STATUS": ["planned", "completed"]}, [last, early]),
    ):  # fmt: skip
        assert [one["id"] for one in do(shared, "sprint.list", filter={**own, **given})] == found, given
    failed = (0, "Could not load list")
    for params in (
        {"filter": {**own, "STATUS": "active"}}, {"filter": {**own, "ENTITY_TYPE": "backlog"}},
        {"filter": {"NOTHING": 1}}, {"order": {"NOTHING": "asc"}}, {"order": {"ID": "up"}}, {"select": ["NOTHING"]},
    ):  # fmt: skip
        assert refusal(shared, "sprint.list", **params) == failed, params
    assert do(shared, "epic.list", filter={**own, ">ID": ids[-1]}, start=-1) == []


# --- the kanban -------------------------------------------------------------------------------------------------------


def test_stages_live_and_keep_their_tasks(shared: Sandbox) -> None:
    group = scrum_of(shared)["id"]
    sprint, planned = sprint_of(shared, group, "active"), sprint_of(shared, group)
    task, stages = task_of(shared, group), columns(shared, sprint)
    stage = do(shared, "kanban.addStage", fields={"sprintId": sprint, "name": "Проверка"})
    assert do(shared, "kanban.getStages", sprintId=sprint)[3] == {
        "id": str(stage), "name": "Проверка", "sort": "400", "type": "WORK", "sprintId": str(sprint), "color": "C9D1D5",
    }  # fmt: skip
    change = {"name": "Приёмка", "type": "FINISH", "color": "00C4FB", "sort": 500}
    assert do(shared, "kanban.updateStage", stageId=stage, fields=change) is True
    shown = do(shared, "kanban.getStages", sprintId=sprint)[3]
    assert (shown["name"], shown["type"], shown["color"], shown["sort"]) == ("Приёмка", "FINISH", "00C4FB", "500")
    card = {"sprintId": sprint, "taskId": task}
    assert do(shared, "kanban.addTask", **card, stageId=stage) is True
    assert place(shared, task) == (str(sprint), None, str(stage))
    alone, foreign = task_of(shared, 0), columns(shared, sprint_of(shared, scrum_of(shared)["id"], "active"))["NEW"]
    no_task = "Task not found. The task must be with GROUP_ID"
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("deleteStage", {}, "Stage id not found"), ("deleteStage", {"stageId": NOWHERE}, "Stage not found"),
        ("deleteStage", {"stageId": stage}, "Stage has tasks"),
        ("deleteStage", {"stageId": stages["NEW"]}, "Unknown error"),
        ("updateStage", {"fields": {}}, "Stage id not found"),
        ("updateStage", {"stageId": NOWHERE, "fields": {}}, "Stage not found"),
        ("updateStage", {"stageId": stage, "fields": {"sprintId": NOWHERE}}, "Incorrect sprintId value"),
        ("updateStage", {"stageId": stage, "fields": {"sprintId": planned}}, "Incorrect sprintId value"),
        ("updateStage", {"stageId": stages["NEW"], "fields": {"type": "WORK"}}, "Unknown error"),
        ("updateStage", {"stageId": stage, "fields": {"sort": 150}}, "Unknown error"),
        ("addStage", {"fields": {"name": "x"}}, "Sprint id not found"),
        ("addStage", {"fields": {"sprintId": NOWHERE, "name": "x"}}, "Sprint not found"),
        ("addStage", {"fields": {"sprintId": planned, "name": "x"}}, "Sprint not found"),
        ("addStage", {"fields": {"sprintId": sprint}}, "Incorrect name format"),
        ("addStage", {"fields": {"sprintId": sprint, "name": "x", "type": "LATE"}}, "Unknown error"),
        ("getStages", {}, "Sprint id not found"), ("getStages", {"sprintId": NOWHERE}, "Sprint not found"),
        ("addTask", {"taskId": task, "stageId": stage}, "Sprint id not found"),
        ("addTask", {"sprintId": sprint, "stageId": stage}, "TaskId id not found"),
        ("addTask", card, "StageId id not found"),
        ("addTask", {**card, "sprintId": NOWHERE, "stageId": stage}, "Sprint not found"),
        ("addTask", {**card, "stageId": NOWHERE}, "Stage not found"),
        ("addTask", {**card, "stageId": foreign}, "Stage not found"),
        ("addTask", {**card, "taskId": NOWHERE, "stageId": stage}, no_task),
        ("addTask", {**card, "taskId": alone, "stageId": stage}, no_task),
        ("deleteTask", {"taskId": task}, "Sprint id not found"),
        ("deleteTask", {"sprintId": sprint}, "TaskId id not found"),
        ("deleteTask", {**card, "sprintId": NOWHERE}, "Sprint not found"),
        ("deleteTask", {**card, "taskId": alone}, no_task),
    ]  # fmt: skip
    for verb, params, words in cases:
        assert refusal(shared, f"kanban.{verb}", **params) == (0, words), (verb, params)
    assert place(shared, task)[2] == str(stage)
    assert do(shared, "kanban.deleteTask", **card) is True
    assert do(shared, "kanban.deleteStage", stageId=stage) is True
    assert columns(shared, sprint) == stages
    assert set(do(shared, "kanban.getFields")["fields"]) == {"name", "sort", "type", "sprintId", "color"}


def test_a_card_that_moves_is_told_as_a_changed_task(installed: Sandbox, listener: Listener) -> None:
    token = installed.token_of(ADMIN)
    installed.result("event.bind", {"event": "ONTASKUPDATE", "handler": listener.url + "/e"}, token=token)
    group = scrum_of(installed)["id"]
    sprint, task = sprint_of(installed, group, "active"), task_of(installed, group)
    stages = columns(installed, sprint)
    do(installed, "kanban.addTask", sprintId=sprint, taskId=task, stageId=stages["WORK"])
    listener.wait(lambda form: form.get("data[FIELDS_AFTER][ID]") == str(task))
    do(installed, "kanban.addTask", sprintId=sprint, taskId=task, stageId=stages["WORK"])
    installed.wait_quiet()
    assert len(listener.events("ONTASKUPDATE")) == 1


# --- epics ------------------------------------------------------------------------------------------------------------


def test_an_epic_lives_from_add_to_delete(shared: Sandbox) -> None:
    group = scrum_of(shared)["id"]
    storage = shared.result("disk.storage.getlist", {"filter": {"ENTITY_TYPE": "user", "ENTITY_ID": ADMIN}})[0]["ID"]
    content = ["эпик.txt", base64.b64encode(b"x").decode()]
    params = {"id": storage, "data": {"NAME": "эпик.txt"}, "fileContent": content}
    file = f"n{shared.result('disk.storage.uploadfile', params)['ID']}"
    fields = {"name": "Остров", "groupId": group, "description": "Кухни с островом", "color": "#bbecf1"}
    made = do(shared, "epic.add", fields={**fields, "files": [file]})
    assert made == {"id": made["id"], **fields, "createdBy": ADMIN, "modifiedBy": ADMIN}
    shown = do(shared, "epic.get", id=made["id"], by=ANNA)
    attached = shown.pop("files")
    assert shown == made
    assert (attached["ENTITY_VALUE_ID"], attached["FIELD_NAME"]) == (made["id"], "UF_SCRUM_EPIC_FILES")
    about = shared.result("disk.attachedObject.get", {"id": attached["VALUE"][0]})
    assert (about["NAME"], about["ENTITY_ID"]) == ("эпик.txt", str(made["id"]))

    task = task_of(shared, group)
    do(shared, "task.update", id=task, fields={"epicId": made["id"]})
    changed = do(shared, "epic.update", id=made["id"], fields={"name": "Остров и бар", "modifiedBy": BORIS})
    assert changed == {**made, "name": "Остров и бар", "modifiedBy": BORIS}
    assert do(shared, "epic.get", id=made["id"])["files"]["VALUE"] == attached["VALUE"]
    bad: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "Epic not updated"), ({"files": ["n999999"]}, "Epic not updated"),
        ({"groupId": NOWHERE}, "Access denied"), ({"createdBy": NOWHERE}, "createdBy user not found"),
        ({"modifiedBy": NOWHERE}, "modifiedBy user not found"),
    ]  # fmt: skip
    for given, words in bad:
        assert refusal(shared, "epic.update", id=made["id"], fields=given) == (0, words), given
    do(shared, "epic.update", id=made["id"], fields={"files": []})
    assert do(shared, "epic.get", id=made["id"])["files"]["VALUE"] == []
    assert "error" in shared.call("disk.attachedObject.get", {"id": attached["VALUE"][0]})

    assert do(shared, "epic.delete", id=made["id"]) == []
    assert do(shared, "task.get", id=task)["epicId"] == 0
    for verb in ("epic.get", "epic.delete"):
        assert refusal(shared, verb, id=made["id"]) == (0, "Epic not found")
    assert refusal(shared, "epic.update", id=made["id"], fields={"name": "x"}) == (0, "Epic not found")


def test_an_epic_that_cannot_be_is_not_made(shared: Sandbox) -> None:
    group, plain = scrum_of(shared)["id"], scrum_of(shared, master=0)["id"]
    own = {"groupId": group, "name": "Э"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"groupId": None}, "Group is not found"), ({"groupId": NOWHERE}, "Group is not found"),
        ({"groupId": plain}, "Group is not found"), ({"name": " "}, "Name is not found"),
        ({"createdBy": NOWHERE}, "createdBy user not found"), ({"modifiedBy": "x"}, "modifiedBy user not found"),
        ({"files": ["n999999"]}, "Epic not created"), ({"files": ["1"]}, "Epic not created"),
    ]  # fmt: skip
    for given, words in cases:
        assert refusal(shared, "epic.add", fields={**own, **given}) == (0, words), given
    assert refusal(shared, "epic.list", filter={"GROUP_ID": group}) == (0, "Could not load list")


def test_an_error_of_a_task_has_the_pages_status_where_the_pages_are_asked(portal: Sandbox) -> None:
    for statuses, expected in (("sdk", 400), ("docs", 200)):
        portal.control("PATCH", "settings", {"statuses": statuses})
        answer = portal.session.post(portal.ready["webhook"] + f"{API}.task.get", json={"id": NOWHERE}, timeout=30)
        assert (answer.status_code, answer.json()["error_description"]) == (expected, "Task not found")
        answer = portal.session.post(portal.ready["webhook"] + f"{API}.epic.get", json={"id": NOWHERE}, timeout=30)
        assert answer.status_code == 400


def test_a_scrum_survives_a_snapshot(portal: Sandbox) -> None:
    scrum = scrum_of(portal)
    sprint, task = sprint_of(portal, scrum["id"], "active"), task_of(portal, scrum["id"])
    stages = columns(portal, sprint)
    do(portal, "kanban.addTask", sprintId=sprint, taskId=task, stageId=stages["WORK"])
    before = do(portal, "task.get", id=task), place(portal, task)
    portal.control("POST", "snapshots/scrum")
    do(portal, "sprint.complete", id=scrum["id"])
    portal.control("POST", "snapshots/scrum/restore")
    assert (do(portal, "task.get", id=task), place(portal, task)) == before
    assert columns(portal, sprint) == stages


def test_groups_are_made_and_changed_by_controls(shared: Sandbox) -> None:
    plain = scrum_of(shared, master=0)
    assert refusal(shared, "sprint.add", fields={"groupId": plain["id"], "name": "x"}) == (0, "Access denied")
    scrum = shared.control("PATCH", f"groups/{plain['id']}", {"scrum_master_id": MASTER, "members": [BORIS]})
    assert (scrum["members"], scrum["scrum_master_id"]) == ([ADMIN, BORIS, MASTER], MASTER)
    assert do(shared, "backlog.get", id=plain["id"], by=BORIS)["id"] == scrum["backlog_id"]
    assert refusal(shared, "backlog.get", id=plain["id"], by=ANNA) == (0, "Access denied")
    assert scrum in shared.state("groups")
    for verb, path, body in (
        ("POST", "groups", {"title": "x"}), ("POST", "groups", {"owner_id": NOWHERE}),
        ("PATCH", f"groups/{NOWHERE}", {}), ("PATCH", f"groups/{plain['id']}", {"colour": 1}),
        ("POST", f"sprints/{NOWHERE}/start", {}),
    ):  # fmt: skip
        with pytest.raises(ControlFailed, match=r"40[04]"):
            shared.control(verb, path, body)
