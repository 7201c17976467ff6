"""The older task methods: the tasks of tasks.task.*, parameters by their places, custom fields of tasks."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.client import Sandbox
from tests.sandbox.conftest import Listener

CONTENT = base64.b64encode("Акт замера".encode()).decode()
STRANGER, RESPONSIBLE, AUDITOR = 10, 4, 9


def new(portal: Sandbox, **fields: Any) -> int:
    return int(portal.result("task.item.add", {"TASKDATA": {"TITLE": "З", "RESPONSIBLE_ID": RESPONSIBLE, **fields}}))


def ask(portal: Sandbox, verb: str, *values: Any, user: int = 0) -> Any:
    """The answer of a method to parameters in their places."""
    placed = {str(place): value for place, value in enumerate(values)}
    return portal.call(f"task.{verb}", placed, token=portal.token_of(user) if user else "")


def item(portal: Sandbox, verb: str, *values: Any, user: int = 0) -> Any:
    answer = ask(portal, f"item.{verb}", *values, user=user)
    assert "error" not in answer, (verb, answer)
    return answer["result"]


def refusal(portal: Sandbox, verb: str, *values: Any, user: int = 0) -> str:
    answer = ask(portal, verb, *values, user=user)
    assert answer.get("error") == "ERROR_CORE", (verb, answer)
    return str(answer["error_description"])


def seen(portal: Sandbox, number: int, *select: str) -> dict[str, Any]:
    params = {"taskId": number, "select": list(select)} if select else {"taskId": number}
    return dict(portal.result("tasks.task.get", params)["task"])


# --- the life of a task -----------------------------------------------------------------------------------------------


def test_a_task_lives_from_add_to_delete_and_the_newer_methods_see_it(installed: Sandbox, listener: Listener) -> None:
    token = installed.token_of(1)
    for name in ("ONTASKADD", "ONTASKUPDATE", "ONTASKDELETE"):
        installed.result("event.bind", {"event": name, "handler": listener.url + "/e"}, token=token)
    number = item(installed, "add", {"TITLE": "Замер", "RESPONSIBLE_ID": 4, "TAGS": ["дом"], "ACCOMPLICES": [5]})
    assert isinstance(number, int)
    assert (seen(installed, number)["title"], seen(installed, number)["status"]) == ("Замер", "2")
    assert item(installed, "update", number, {"TITLE": "Замер 2", "MARK": "P"}) is True
    data = item(installed, "getdata", number)
    assert (data["ID"], data["TITLE"], data["MARK"], data["TAGS"]) == (str(number), "Замер 2", "P", ["дом"])
    assert (data["RESPONSIBLE_ID"], data["ACCOMPLICES"], data["UF_CRM_TASK"]) == ("4", ["5"], False)
    person = installed.result("user.get", {"ID": 4})[0]
    assert (data["RESPONSIBLE_NAME"], data["RESPONSIBLE_LAST_NAME"]) == (person["NAME"], person["LAST_NAME"])
    assert item(installed, "delete", number) is True
    assert "TASK_NOT_FOUND" in installed.call("tasks.task.get", {"taskId": number})["error_description"]
    for name in ("ONTASKADD", "ONTASKUPDATE", "ONTASKDELETE"):
        key = "data[FIELDS_BEFORE][ID]" if name == "ONTASKDELETE" else "data[FIELDS_AFTER][ID]"
        listener.wait(lambda form, name=name, key=key: form.get("event") == name and form.get(key) == str(number))  # type: ignore[misc]


def test_a_task_bound_to_crm_has_its_activity(installed: Sandbox) -> None:
    lead = installed.result("crm.lead.add", {"fields": {"TITLE": "Лид"}})
    number = new(installed)
    installed.result("task.item.update", {"taskId": number, "fields": {"UF_CRM_TASK": [f"L_{lead}"]}})
    assert item(installed, "getdata", number)["UF_CRM_TASK"] == [f"L_{lead}"]
    found = installed.result("crm.activity.list", {"filter": {"OWNER_TYPE_ID": 1, "OWNER_ID": lead}})
    assert [one["ASSOCIATED_ENTITY_ID"] for one in found] == [str(number)]


# method, the status before and after
MOVES = [
    ("startexecution", 2, "3"), ("defer", 3, "6"), ("complete", 3, "5"), ("renew", 5, "2"), ("approve", 4, "5"),
    ("disapprove", 4, "2"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "before", "after"), MOVES)
def test_a_status_moves_where_it_may(installed: Sandbox, verb: str, before: int, after: str) -> None:
    number = new(installed)
    installed.result("tasks.task.update", {"taskId": number, "fields": {"STATUS": before}})
    assert item(installed, verb, number) is True
    assert seen(installed, number)["status"] == after


NOT_MOVED = [
    ("startexecution", 5), ("defer", 2), ("complete", 5), ("renew", 2), ("approve", 2), ("disapprove", 3),
    ("delegate", 5),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "status"), NOT_MOVED)
def test_a_status_stays_where_it_may_not_move(installed: Sandbox, verb: str, status: int) -> None:
    number = new(installed)
    installed.result("tasks.task.update", {"taskId": number, "fields": {"STATUS": status}})
    assert "ACTION_NOT_ALLOWED" in refusal(installed, f"item.{verb}", number, 5)
    assert seen(installed, number)["status"] == str(status)


def test_completing_under_control_waits_for_the_creator(installed: Sandbox) -> None:
    number = new(installed, TASK_CONTROL="Y")
    item(installed, "complete", number, user=RESPONSIBLE)
    assert item(installed, "getdata", number)["REAL_STATUS"] == "4"
    item(installed, "approve", number)
    assert item(installed, "getdata", number)["REAL_STATUS"] == "5"


def test_delegating_makes_another_responsible(installed: Sandbox) -> None:
    number = new(installed)
    item(installed, "delegate", number, 5)
    data = item(installed, "getdata", number)
    assert (data["RESPONSIBLE_ID"], data["AUDITORS"]) == ("5", ["4"])
    assert "Ответственный" in refusal(installed, "item.delegate", number, 999999)


def test_actions_by_number_and_by_name_agree(installed: Sandbox) -> None:
    number = new(installed)
    numbers = item(installed, "getallowedactions", number, user=RESPONSIBLE)
    names = item(installed, "getallowedtaskactionsasstrings", number, user=RESPONSIBLE)
    assert [index for index, allowed in enumerate(names.values(), 1) if allowed] == numbers
    assert (names["ACTION_START"], names["ACTION_EDIT"], names["ACTION_REMOVE"]) == (True, False, False)
    for index in range(20):
        assert item(installed, "isactionallowed", number, index, user=RESPONSIBLE) is (index in numbers)


DESCRIPTION = "[b]Дом[/b] <3>\n[url=https://example.com/a]план[/url]"
FORMS = [
    (1, DESCRIPTION), (2, '<b>Дом</b> &lt;3&gt;<br>\n<a href="https://example.com/a">план</a>'), (3, "Дом <3>\nплан"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "text"), FORMS)
def test_a_description_comes_in_three_forms(installed: Sandbox, form: int, text: str) -> None:
    assert item(installed, "getdescription", new(installed, DESCRIPTION=DESCRIPTION), form) == text


def test_previous_tasks_are_kept_while_they_are_there(installed: Sandbox) -> None:
    first, second = new(installed), new(installed)
    number = new(installed, DEPENDS_ON=[first, second, 999999])
    assert item(installed, "getdependson", number) == [first, second]
    assert [one["ID"] for one in item(installed, "list", {"ID": "asc"}, {"DEPENDS_ON": first})] == [str(number)]
    item(installed, "delete", second)
    assert item(installed, "getdependson", number) == [first]


def test_favourites_are_one_persons_with_the_tasks_below(installed: Sandbox) -> None:
    top = new(installed)
    below = new(installed, PARENT_ID=top)
    lowest = new(installed, PARENT_ID=below)

    def favourites(user: int = 0) -> set[str]:
        found = item(installed, "list", {"ID": "asc"}, {"FAVORITE": "Y"}, user=user)
        return {one["ID"] for one in found}

    assert item(installed, "addtofavorite", top) is True
    assert favourites() == {str(top)}
    item(installed, "addtofavorite", top, {"AFFECT_CHILDREN": "Y"})
    assert favourites() == {str(top), str(below), str(lowest)}
    assert favourites(RESPONSIBLE) == set()
    item(installed, "deletefromfavorite", below, {"AFFECT_CHILDREN": "Y"})
    assert favourites() == {str(top)}
    assert seen(installed, top)["favorite"] == "Y"
    assert "AFFECT" in refusal(installed, "item.addtofavorite", top, {"AFFECT_ALL": "Y"})


def test_a_file_is_added_shown_and_taken_away(installed: Sandbox) -> None:
    number = new(installed)
    added = installed.result("task.item.addfile", {"TASK_ID": number, "FILE": {"NAME": "акт.txt", "CONTENT": CONTENT}})
    again = item(installed, "addfile", number, "акт.txt", CONTENT)
    files = item(installed, "getfiles", number)
    assert [one["ATTACHMENT_ID"] for one in files] == [str(added), str(again)]
    assert [one["NAME"] for one in files] == ["акт.txt", "акт (1).txt"]
    assert installed.session.get(files[0]["DOWNLOAD_URL"], timeout=10).content.decode() == "Акт замера"
    assert installed.result("disk.attachedObject.get", {"id": added})["ENTITY_ID"] == str(number)
    assert item(installed, "getdata", number)["UF_TASK_WEBDAV_FILES"] == files
    assert item(installed, "deletefile", number, added) is True
    assert [one["ATTACHMENT_ID"] for one in item(installed, "getfiles", number)] == [str(again)]
    assert "FILE_NOT_ATTACHED_TO_TASK" in refusal(installed, "item.deletefile", number, added)
    assert "Could not save file" in refusal(installed, "item.addfile", number, "а.txt", "не base64")


def test_a_comment_is_a_message_of_the_new_card_or_a_comment_of_the_old(installed: Sandbox) -> None:
    number = new(installed)
    message = ask(installed, "comment.add", number, "Готово")["result"]
    chat = seen(installed, number, "CHAT_ID")["chatId"]
    found = installed.result("im.dialog.messages.get", {"DIALOG_ID": f"chat{chat}"}, token=installed.token_of(4))
    assert [(one["id"], one["text"]) for one in found["messages"]] == [(message, "Готово")]
    installed.control("PATCH", "settings", {"task_card": "old"})
    comment = installed.result("task.comment.add", {"TASKID": number, "FIELDS": {"POST_MESSAGE": "Ещё"}})
    kept = installed.result("task.commentitem.get", {"TASKID": number, "ITEMID": comment})
    assert (kept["POST_MESSAGE"], kept["AUTHOR_ID"]) == ("Ещё", "1")
    assert "Comment text is not specified" in refusal(installed, "comment.add", number, "")
    assert "Insufficient permissions" in refusal(installed, "comment.add", number, "x", user=STRANGER)


def test_the_history_tells_what_both_kinds_of_methods_changed(installed: Sandbox) -> None:
    number = new(installed)
    comment = ask(installed, "comment.add", number, "Готово")["result"]
    installed.result("tasks.task.update", {"taskId": number, "fields": {"TAGS": ["дом", "срочно"]}})
    item(installed, "update", number, {"TITLE": "Другая"}, user=1)
    rows = ask(installed, "logitem.list", number)["result"]
    assert [(row["FIELD"], row["FROM_VALUE"], row["TO_VALUE"]) for row in rows] == [
        ("NEW", "", ""), ("COMMENT", "", str(comment)), ("TAGS", "", "дом,срочно"), ("TITLE", "З", "Другая"),
    ]  # fmt: skip
    assert {row["TASK_ID"] for row in rows} == {str(number)}
    assert {row["USER_ID"] for row in rows} == {"1"}
    newer = installed.result("tasks.task.history.list", {"taskId": number})["list"]
    assert [row["value"] for row in newer[:3]] == [
        {"from": None, "to": None}, {"from": None, "to": str(comment)}, {"from": "", "to": "дом,срочно"},
    ]  # fmt: skip


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["TASKID", "taskId", "ID", "whatever"])
def test_a_parameter_is_known_by_its_place(installed: Sandbox, name: str) -> None:
    number = new(installed)
    assert installed.result("task.item.getdata", {name: number})["ID"] == str(number)


WRONG = [
    ("item.getdata", (), "Param #0 (taskId) expected by method ctaskitem::getdata(), but not given."),
    ("item.getdata", ("ерунда",), "Param #0 (taskId) for method ctaskitem::getdata() expected to be of type"),
    ("item.add", ("ерунда",), "Param #0 (arNewTaskData) for method ctaskitem::add() expected to be of type"),
    ("item.add", ({"TITLE": "x", "WRONG": 1},), 'must not contain key "WRONG"'),
    ("item.add", ({"TITLE": "", "RESPONSIBLE_ID": 1},), "Не указано название задачи"),
    ("item.add", ({"TITLE": "x"},), "Не указан ответственный"),
    ("item.add", ({"TITLE": "x", "RESPONSIBLE_ID": 1, "DEADLINE": "ерунда"},), "DEADLINE"),
    ("item.isactionallowed", (1,), "Param #1 (actionId) expected by method ctaskitem::isactionallowed()"),
    ("item.getdescription", (1, 4), "TASKS_ERROR_ASSERT_EXCEPTION"),
    ("item.list", ({"WRONG": "asc"},), 'Param #0 (arOrder) for method ctaskitem::list() must not contain key "WRONG".'),
    ("item.list", ({"ID": "asc"}, {">WRONG": 1}), 'must not contain key ">WRONG"'),
    ("items.getlist", ("ерунда",), "Param #0 (arOrder) for method ctasks::getlist() expected to be of type"),
    ("items.getlist", ({"{0}": "asc"},), 'must not contain key "{0}"'),
    ("comment.add", (1,), "Param #1 (commentText) expected by method ctaskcomments::add()"),
    ("comment.add", (1, {"WRONG": "x"}), 'must not contain key "WRONG"'),
    ("logitem.list", (), "Param #0 (taskId) expected by method ctasklogitem::list()"),
]


@pytest.fixture(scope="module")
def quiet() -> Any:
    """One portal for the tests that change nothing."""
    with Sandbox.start("--no-limits") as sandbox:
        sandbox.application(handler="http://127.0.0.1:9/app")
        sandbox.finish_install()
        new(sandbox)
        yield sandbox


@pytest.mark.parametrize(("verb", "values", "text"), WRONG)
def test_wrong_parameters_are_refused(quiet: Sandbox, verb: str, values: tuple[Any, ...], text: str) -> None:
    said = refusal(quiet, verb, *values)
    assert text in said
    assert said.endswith("<br>")


# --- rights -----------------------------------------------------------------------------------------------------------

READING: dict[str, tuple[Any, ...]] = {
    "item.getdata": (), "item.getdescription": (), "item.getfiles": (), "item.getdependson": (),
    "item.getallowedactions": (), "item.getallowedtaskactionsasstrings": (), "item.isactionallowed": (3,),
    "item.addtofavorite": (), "item.deletefromfavorite": (), "logitem.list": (),
}  # fmt: skip
CHANGING: dict[str, tuple[Any, ...]] = {
    "item.update": ({"TITLE": "x"},), "item.delete": (), "item.delegate": (5,), "item.startexecution": (),
    "item.defer": (), "item.complete": (), "item.renew": (), "item.approve": (), "item.disapprove": (),
    "item.addfile": ("а.txt", CONTENT), "item.deletefile": (1,),
}  # fmt: skip


@pytest.mark.parametrize("verb", [*READING, *CHANGING])
def test_a_stranger_and_an_absent_task_get_the_same_answer(quiet: Sandbox, verb: str) -> None:
    values, number = {**READING, **CHANGING}[verb], new(quiet)
    assert "TASK_NOT_FOUND_OR_NOT_ACCESSIBLE" in refusal(quiet, verb, 999999, *values)
    assert refusal(quiet, verb, number, *values, user=STRANGER) == refusal(quiet, verb, 999999, *values)


@pytest.mark.parametrize("verb", CHANGING)
def test_an_auditor_reads_and_changes_nothing(quiet: Sandbox, verb: str) -> None:
    number = new(quiet, AUDITORS=[AUDITOR])
    assert item(quiet, "getdata", number, user=AUDITOR)["AUDITORS"] == [str(AUDITOR)]
    assert "ACTION_NOT_ALLOWED" in refusal(quiet, verb, number, *CHANGING[verb], user=AUDITOR)
    assert seen(quiet, number)["title"] == "З"


def test_a_responsible_changes_the_deadline_alone_and_only_when_it_is_allowed(quiet: Sandbox) -> None:
    until = {"DEADLINE": "2030-02-03T15:00:00+03:00"}
    free, bound = new(quiet, ALLOW_CHANGE_DEADLINE="Y"), new(quiet)
    assert item(quiet, "update", free, until, user=RESPONSIBLE) is True
    assert item(quiet, "getdata", free)["DEADLINE"] == until["DEADLINE"]
    for number, values in ((bound, until), (free, {"TITLE": "x"}), (free, {**until, "TITLE": "x"})):
        assert "ACTION_NOT_ALLOWED" in refusal(quiet, "item.update", number, values, user=RESPONSIBLE)


# --- lists ------------------------------------------------------------------------------------------------------------


def test_lists_filter_sort_select_and_page(installed: Sandbox) -> None:
    numbers = [new(installed, TITLE=f"Дом {index}", PRIORITY=index % 3) for index in range(5)]
    mine = {"ID": numbers}
    listed = {
        "item.list": ({"ID": "desc"}, mine, {"NAV_PARAMS": {"nPageSize": 2, "iNumPage": 2}}, ["ID", "TITLE"]),
        "items.getlist": ({"ID": "desc"}, mine, ["ID", "TITLE"], {"NAV_PARAMS": {"nPageSize": 2, "iNumPage": 2}}),
    }
    for verb, values in listed.items():
        answer = ask(installed, verb, *values)
        assert answer["result"] == [{"ID": str(numbers[n]), "TITLE": f"Дом {n}"} for n in (2, 1)]
        assert (answer["total"], answer["next"]) == (5, 4)
    named = {"order": {"ID": "desc"}, "filter": mine, "select": ["ID"], "NAV_PARAMS": {"iNumPage": 2}}
    assert installed.result("task.items.getlist", named) == []
    assert {one["ID"] for one in item(installed, "list", [], {**mine, "PRIORITY": 1})} == {
        str(numbers[1]),
        str(numbers[4]),
    }
    assert [one["ID"] for one in item(installed, "list", {}, {**mine, "TITLE": "%ом _"})] == [
        str(one) for one in reversed(numbers)
    ]
    assert len(item(installed, "list", {"ID": "asc"}, {**mine, "!ID": numbers[0], ">ID": numbers[1]})) == 3
    every = item(installed, "list", {"TITLE": "asc"}, mine)[0]
    assert (every["REAL_STATUS"], "UF_CRM_TASK" in every, "TAGS" in every) == ("2", False, False)
    more = item(installed, "list", {"ID": "asc"}, mine, {}, ["*", "UF_CRM_TASK", "TAGS"])[0]
    assert (more["UF_CRM_TASK"], more["TAGS"], more["TITLE"]) == (False, [], "Дом 0")


def test_a_filter_without_a_sorting_before_it_filters_nothing(installed: Sandbox) -> None:
    number, other = new(installed), new(installed)
    every = installed.call("task.item.list", {})
    assert {one["ID"] for one in every["result"]} >= {str(number), str(other)}
    assert installed.call("task.item.list", {"FILTER": {"ID": number}})["total"] == every["total"]
    query = f"ORDER[]=&FILTER[ID]={number}&PARAMS[]=&SELECT[]="
    skipped = installed.session.get(f"{installed.ready['webhook']}task.item.list?{query}", timeout=10)
    assert [one["ID"] for one in skipped.json()["result"]] == [str(number)]


def test_pages_follow_start_as_well(installed: Sandbox) -> None:
    for index in range(60):
        new(installed, TITLE=f"{index}", XML_ID="страница")
    first = installed.call("task.items.getlist", {"ORDER": {"ID": "asc"}, "FILTER": {"XML_ID": "страница"}})
    assert (len(first["result"]), first["total"], first["next"]) == (50, 60, 50)
    rest = {"ORDER": {"ID": "asc"}, "FILTER": {"XML_ID": "страница"}, "start": first["next"]}
    second = installed.call("task.items.getlist", rest)
    assert [one["TITLE"] for one in second["result"]] == [str(index) for index in range(50, 60)]
    assert "next" not in second


def test_conditions_that_only_tasks_have(installed: Sandbox) -> None:
    late = new(installed, XML_ID="x", DEADLINE="2020-01-01T10:00:00+03:00")
    top = new(installed, XML_ID="x")
    below = new(installed, XML_ID="x", PARENT_ID=top, TAGS=["дом"], AUDITORS=[AUDITOR])
    department = installed.result("user.get", {"ID": RESPONSIBLE})[0]["UF_DEPARTMENT"][0]

    def found(user: int = 0, **given: Any) -> list[int]:
        rows = ask(installed, "items.getlist", {"ID": "asc"}, {"XML_ID": "x", **given}, user=user)["result"]
        return [int(one["ID"]) for one in rows]

    assert found(STATUS=-1) == found(OVERDUED="Y") == [late]
    assert found(STATUS=2) == [top, below]
    assert found(REAL_STATUS=2) == [late, top, below]
    assert found(ONLY_ROOT_TASKS="Y") == [late, top]
    assert found(AUDITOR, ONLY_ROOT_TASKS="Y") == [below]
    assert found(TAG="дом") == found(AUDITOR=AUDITOR) == found(PARENT_ID=top) == [below]
    assert found(DEPARTMENT_ID=department) == [late, top, below]
    assert found(DEPARTMENT_ID=999999) == []
    assert found(STRANGER) == []
    assert item(installed, "getdata", late)["STATUS"] == "-1"


# --- custom fields ----------------------------------------------------------------------------------------------------


def field(portal: Sandbox, name: str, kind: str = "string", **more: Any) -> int:
    params = {"USER_TYPE_ID": kind, "FIELD_NAME": name, **more}
    return int(portal.result("task.item.userfield.add", {"PARAMS": params}))


def test_a_field_lives_from_add_to_delete(installed: Sandbox) -> None:
    labels = {"en": "Client request", "de": "Kundenanfrage"}
    settings = {"ROWS": 10, "DEFAULT_VALUE": "Цель"}
    number = field(
        installed, "CLIENT_REQUEST", XML_ID="x", SORT=220, MANDATORY="Y", LABEL="Запрос", EDIT_FORM_LABEL=labels,
        SETTINGS=settings,
    )  # fmt: skip
    answer = installed.call("task.item.userfield.get", {"ID": number})
    kept = answer["result"]
    assert answer["total"] == 0
    assert (kept["ID"], kept["FIELD_NAME"], kept["ENTITY_ID"]) == (str(number), "UF_CLIENT_REQUEST", "TASKS_TASK")
    assert (kept["SORT"], kept["MANDATORY"], kept["SHOW_IN_LIST"]) == ("220", "Y", "Y")
    assert kept["SETTINGS"] == {"SIZE": 20, "REGEXP": "", "MIN_LENGTH": 0, "MAX_LENGTH": 0, **settings}
    assert (kept["EDIT_FORM_LABEL"]["de"], kept["EDIT_FORM_LABEL"]["fr"]) == ("Kundenanfrage", "")
    assert kept["LIST_COLUMN_LABEL"]["en"] == "Запрос"
    data = {"EDIT_FORM_LABEL": {"en": "Request"}, "MANDATORY": "N"}
    assert installed.result("task.item.userfield.update", {"ID": number, "DATA": data}) is True
    kept = installed.result("task.item.userfield.get", {"ID": number})
    assert (kept["MANDATORY"], kept["EDIT_FORM_LABEL"]["en"], kept["EDIT_FORM_LABEL"]["de"]) == ("N", "Request", "")
    assert installed.result("task.item.userfield.delete", {"ID": number}) is True
    gone = installed.call("task.item.userfield.get", {"ID": number})
    assert (gone["error"], str(number) in gone["error_description"]) == ("ERROR_NOT_FOUND", True)


# type, what is given, what is shown
VALUES = [
    ("string", "Текст", "Текст"), ("double", "12.5", "12.5"), ("boolean", 1, "1"), ("boolean", "N", "0"),
    ("datetime", "2030-02-03T15:00:00+03:00", "2030-02-03T15:00:00+03:00"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "shown"), VALUES)
def test_a_value_goes_in_and_out_by_both_kinds_of_methods(
    installed: Sandbox, kind: str, given: Any, shown: str
) -> None:
    number = field(installed, "UF_VALUE", kind)
    task = new(installed, UF_VALUE=given)
    assert item(installed, "getdata", task)["UF_VALUE"] == shown
    assert seen(installed, task, "UF_VALUE")["ufValue"] == shown
    other = installed.result("tasks.task.add", {"fields": {"TITLE": "x", "RESPONSIBLE_ID": 1, "UF_VALUE": given}})
    assert item(installed, "list", {"ID": "asc"}, {"ID": other["task"]["id"]}, {}, ["UF_VALUE"])[0]["UF_VALUE"] == shown
    assert installed.result("tasks.task.getFields")["fields"]["UF_VALUE"]["type"] == kind
    installed.result("task.item.userfield.delete", {"ID": number})
    assert "UF_VALUE" not in item(installed, "getdata", task)
    assert 'must not contain key "UF_VALUE"' in refusal(installed, "item.update", task, {"UF_VALUE": given})


def test_a_field_of_several_values_and_of_one(installed: Sandbox) -> None:
    number = field(installed, "UF_LIST", MULTIPLE="Y")
    empty, task = new(installed), new(installed, UF_LIST=["а", "б"])
    assert [item(installed, "getdata", one)["UF_LIST"] for one in (empty, task)] == [False, ["а", "б"]]
    installed.result("task.item.userfield.update", {"ID": number, "DATA": {"MULTIPLE": "N"}})
    assert [item(installed, "getdata", one)["UF_LIST"] for one in (empty, task)] == [None, "а"]
    flag = field(installed, "UF_FLAG", "boolean", MULTIPLE="Y")
    assert installed.result("task.item.userfield.get", {"ID": flag})["MULTIPLE"] == "N"


def test_lists_sort_by_a_field(installed: Sandbox) -> None:
    field(installed, "UF_SUM", "double")
    numbers = [str(new(installed, UF_SUM=value)) for value in (20, 3, 100)]
    rows = ask(installed, "items.getlist", {"UF_SUM": "desc"}, {"ID": numbers})["result"]
    assert [one["ID"] for one in rows] == [numbers[2], numbers[0], numbers[1]]


def test_the_fields_of_the_system_are_listed_and_stay(installed: Sandbox) -> None:
    number = field(installed, "UF_OWN", SORT=220, XML_ID="own")
    listed = installed.call("task.item.userfield.getlist", {"ORDER": {"SORT": "ASC"}})
    names = ["UF_CRM_TASK", "UF_MAIL_MESSAGE", "UF_TASK_WEBDAV_FILES", "UF_OWN"]
    assert ([one["FIELD_NAME"] for one in listed["result"]], listed["total"]) == (names, 0)
    assert listed["result"][1]["SETTINGS"] == []

    def found(**given: Any) -> list[str]:
        rows = installed.result("task.item.userfield.getlist", {"FILTER": given})
        return [one["FIELD_NAME"] for one in rows]

    assert found(XML_ID="own") == found(ID=number) == found(USER_TYPE_ID="string") == ["UF_OWN"]
    assert found(MULTIPLE="Y") == ["UF_CRM_TASK", "UF_TASK_WEBDAV_FILES"]
    for one in listed["result"][:3]:
        gone = installed.call("task.item.userfield.delete", {"ID": one["ID"]})
        assert (gone["error"], gone["error_description"]) == ("ERROR_CORE", "Access denied.")
    lead = installed.result("crm.lead.userfield.list", {})
    assert not {one["FIELD_NAME"] for one in lead} & set(names)
    assert installed.call("task.item.userfield.delete", {"ID": number})["result"] is True


UPDATE = r"TASKS_ERROR_EXCEPTION_#0; Invalid arguments for Bitrix\Tasks\Integration\Rest\Task\UserField::update; 0/TE"
STRING = {"USER_TYPE_ID": "string", "FIELD_NAME": "UF_NEW"}
FIELD_REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("add", {}, "ERROR_CORE", "The 'USER_TYPE_ID' field is not found."),
    ("add", {"PARAMS": {"FIELD_NAME": "UF_NEW"}}, "ERROR_CORE", "The 'USER_TYPE_ID' field is not found."),
    ("add", {"PARAMS": {"USER_TYPE_ID": "string"}}, "ERROR_CORE", "The 'FIELD_NAME' field is not found."),
    ("add", {"PARAMS": {**STRING, "USER_TYPE_ID": "ерунда"}}, "ERROR_CORE", "Invalid user type specified."),
    ("add", {"PARAMS": {**STRING, "USER_TYPE_ID": "money"}}, "ERROR_CORE", "Invalid user type specified."),
    ("add", {"PARAMS": {**STRING, "FIELD_NAME": "UF_CRM_TASK"}}, "ERROR_CORE",
        "The field UF_CRM_TASK for the object TASKS_TASK already exists."),
    ("get", {}, "ERROR_CORE", "No parameters found."),
    ("get", {"ID": "ерунда"}, "ERROR_CORE", "ID is not defined or invalid."),
    ("get", {"ID": 999999}, "ERROR_NOT_FOUND", "The entity with ID '999999' is not found."),
    ("update", {}, "ERROR_CORE", UPDATE),
    ("update", {"ID": 1}, "ERROR_CORE", UPDATE),
    ("update", {"ID": 0, "DATA": {"SORT": 1}}, "ERROR_CORE", "ID is not defined or invalid."),
    ("update", {"ID": 999999, "DATA": {"SORT": 1}}, "ERROR_NOT_FOUND", "The entity with ID '999999' is not found."),
    ("delete", {}, "ERROR_CORE", UPDATE.replace("update", "delete")),
    ("delete", {"ID": -1}, "ERROR_CORE", "ID is not defined or invalid."),
    ("delete", {"ID": 999999}, "ERROR_NOT_FOUND", "The entity with ID '999999' is not found."),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "params", "code", "text"), FIELD_REFUSALS)
def test_fields_are_refused_in_the_words_of_the_pages(
    quiet: Sandbox, verb: str, params: dict[str, Any], code: str, text: str
) -> None:
    answer = quiet.call(f"task.item.userfield.{verb}", params)
    assert (answer["error"], answer["error_description"]) == (code, text)


def test_only_an_administrator_changes_fields(installed: Sandbox) -> None:
    number, token = field(installed, "UF_OWN"), installed.token_of(RESPONSIBLE)
    calls: dict[str, dict[str, Any]] = {
        "add": {"PARAMS": STRING}, "update": {"ID": number, "DATA": {"SORT": 1}}, "delete": {"ID": number},
    }  # fmt: skip
    for verb, params in calls.items():
        answer = installed.call(f"task.item.userfield.{verb}", params, token=token)
        assert (answer["error"], answer["error_description"]) == ("ERROR_CORE", "Access denied.")
    for verb in ("getlist", "getfields", "gettypes"):
        assert installed.result(f"task.item.userfield.{verb}", {}, token=token)
    assert installed.result("task.item.userfield.get", {"ID": number}, token=token)["SORT"] == "100"


def test_fields_of_tasks_are_none_of_crm(installed: Sandbox) -> None:
    number = field(installed, "UF_OWN")
    assert "error" in installed.call("crm.lead.userfield.get", {"id": number})
    taken = {"moduleId": "crm", "field": {"entityId": "TASKS_TASK", "fieldName": "UF_CRM_X", "userTypeId": "string"}}
    assert "error" in installed.call("userfieldconfig.add", taken, token=installed.token_of(1))
    assert "error" in installed.call(
        "userfieldconfig.get", {"moduleId": "crm", "id": number}, token=installed.token_of(1)
    )


def test_what_a_snapshot_keeps(installed: Sandbox) -> None:
    number = field(installed, "UF_OWN")
    task = new(installed, UF_OWN="Текст", DEPENDS_ON=[new(installed)])
    installed.control("POST", "snapshots/before", {})
    installed.result("task.item.userfield.delete", {"ID": number})
    installed.control("POST", "snapshots/before/restore", {})
    assert item(installed, "getdata", task)["UF_OWN"] == "Текст"
    assert len(item(installed, "getdependson", task)) == 1
