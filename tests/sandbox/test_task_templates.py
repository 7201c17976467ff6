"""Task templates and their check-lists: what is kept, told and refused, through REST as a caller sees it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sandbox import php, replication
from sandbox.client import Sandbox

CONTENT = base64.b64encode("Смета".encode()).decode()
CHECK = "tasks.template.checklist"
ADD = {"TITLE": "Замер", "CREATED_BY": 1, "RESPONSIBLE_ID": 4}
ANNA, BORIS, HEAD = 4, 5, 3
MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """One portal for what does not disturb others."""
    with Sandbox.start("--no-limits") as sandbox:
        sandbox.application(handler="http://127.0.0.1:9/app")
        sandbox.finish_install()
        yield sandbox


def template_of(portal: Sandbox, token: str = "", **fields: Any) -> int:
    number = portal.result("tasks.template.add", {"fields": {**ADD, **fields}}, token=token)
    assert number > 0
    return int(number)


def item_of(portal: Sandbox, template: int, title: str, above: int = 0, **fields: Any) -> int:
    given = {"TITLE": title, "PARENT_ID": above, **fields}
    made = portal.result(f"{CHECK}.add", {"templateId": template, "fields": given})
    return int(made["checkListItem"]["id"])


def words(portal: Sandbox, method: str, params: dict[str, Any], token: str = "") -> tuple[str, str]:
    answer = portal.call(method, params, token=token)
    return answer["error"], answer["error_description"]


def file_of(portal: Sandbox, name: str, user: int = 1) -> str:
    token = portal.token_of(user)
    storage = portal.result("disk.storage.getlist", {"filter": {"ENTITY_TYPE": "user", "ENTITY_ID": user}}, token=token)
    params = {"id": storage[0]["ID"], "data": {"NAME": name}, "fileContent": [name, CONTENT]}
    return f"n{portal.result('disk.storage.uploadfile', params, token=token)['ID']}"


def test_a_template_lives_from_add_to_delete(shared: Sandbox) -> None:
    file = file_of(shared, "смета.txt")
    rule = {"PERIOD": "weekly", "EVERY_WEEK": 1, "WEEK_DAYS": [2], "TIME": "11:00", "REPEAT_TILL": "endless",
        "START_DATE": "03/16/2126 00:00:00"}  # fmt: skip
    number = template_of(
        shared, ID=999, PRIORITY=2, REPLICATE="Y", REPLICATE_PARAMS=rule, START_DATE_PLAN_AFTER="32400",
        END_DATE_PLAN_AFTER="97200", UF_CRM_TASK=["L_1"], UF_TASK_WEBDAV_FILES=[file], AUDITORS=[5, 6],
    )  # fmt: skip
    assert number != 999
    made = shared.result("tasks.template.get", {"templateId": number})
    assert (made["ID"], made["TITLE"], made["PRIORITY"], made["STATUS"]) == (str(number), "Замер", "2", "1")
    assert (made["START_DATE_PLAN_AFTER"], made["DEADLINE_AFTER"]) == ("32400", None)
    assert made["RESPONSIBLES"] == 'a:1:{i:0;s:1:"4";}'
    assert made["AUDITORS"] == 'a:2:{i:0;s:1:"5";i:1;s:1:"6";}'
    assert made["ACCOMPLICES"] == "a:0:{}"
    # 16 March 2126 is a Saturday.
    assert 's:19:"NEXT_EXECUTION_TIME";s:19:"19.03.2126 11:00:00";}' in made["REPLICATE_PARAMS"]
    assert made["REPLICATE_PARAMS"].startswith('a:19:{s:6:"PERIOD";s:6:"weekly";s:12:"WORKDAY_ONLY";s:1:"N";')
    assert (made["CREATED_BY_NAME"], made["RESPONSIBLE_LAST_NAME"]) == ("Ирина", "Кузнецова")
    assert made["UF_CRM_TASK"] == ["L_1"]
    attached = made["UF_TASK_WEBDAV_FILES"][0]
    about = shared.result("disk.attachedObject.get", {"id": attached})
    assert (about["NAME"], about["ENTITY_ID"]) == ("смета.txt", str(number))

    changes = {"TITLE": "Замер и смета", "RESPONSIBLE_ID": 5, "TASK_CONTROL": "Y", "UF_TASK_WEBDAV_FILES": []}
    assert shared.result("tasks.template.update", {"templateId": number, "fields": changes}) is True
    made = shared.result("tasks.template.get", {"templateId": number})
    assert (made["TITLE"], made["RESPONSIBLE_ID"], made["TASK_CONTROL"]) == ("Замер и смета", "5", "Y")
    assert (made["RESPONSIBLES"], made["PRIORITY"]) == ('a:1:{i:0;s:1:"5";}', "2")
    assert made["UF_TASK_WEBDAV_FILES"] is False
    assert "error" in shared.call("disk.attachedObject.get", {"id": attached})

    assert shared.result("tasks.template.delete", {"templateId": number}) is False
    assert shared.result("tasks.template.get", {"templateId": number}) is False
    assert shared.result("tasks.template.update", {"templateId": number, "fields": {"TITLE": "x"}}) is False


def test_only_the_selected_fields_are_told(shared: Sandbox) -> None:
    number = template_of(shared)

    def told(*select: str) -> set[str]:
        return set(shared.result("tasks.template.get", {"templateId": number, "params": {"select": list(select)}}))

    assert told("TITLE", "NOTHING") == {"ID", "TITLE"}
    assert told("UF_*") == {"ID", "UF_CRM_TASK", "UF_TASK_WEBDAV_FILES"}
    assert told("*", "UF_*") == told()
    assert "UF_CRM_TASK" not in told("*")


@pytest.mark.parametrize(
    "fields",
    [
        {"TITLE": ""}, {"TITLE": "  "}, {"CREATED_BY": 0}, {"RESPONSIBLE_ID": None}, {"RESPONSIBLE_ID": 999999},
        {"CREATED_BY": 999999}, {"PARENT_ID": 999999}, {"PRIORITY": 7}, {"STATUS": 9}, {"REPLICATE": "да"},
        {"AUDITORS": [999999]}, {"BASE_TEMPLATE_ID": 999999}, {"DEPENDS_ON": [999999]}, {"DEADLINE_AFTER": "завтра"},
        {"START_DATE_PLAN_AFTER": 10, "END_DATE_PLAN_AFTER": 5}, {"UF_TASK_WEBDAV_FILES": ["n999999"]},
        {"REPLICATE_PARAMS": {"PERIOD": "hourly"}}, {"REPLICATE_PARAMS": {"WEEK_DAYS": [8]}},
        {"REPLICATE_PARAMS": {"EVERY_DAY": 0}}, {"REPLICATE_PARAMS": {"TIME": "25:00"}}, {"REPLICATE_PARAMS": "x"},
        {"REPLICATE_PARAMS": {"START_DATE": "когда-нибудь"}}, {"REPLICATE_PARAMS": {"REPEAT_TILL": "often"}},
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_is_answered_0_and_false(shared: Sandbox, fields: dict[str, Any]) -> None:
    assert shared.result("tasks.template.add", {"fields": {**ADD, **fields}}) == 0
    number = template_of(shared)
    before = shared.result("tasks.template.get", {"templateId": number})
    assert (
        shared.result("tasks.template.update", {"templateId": number, "fields": {"SITE_ID": "s2", **fields}}) is False
    )
    assert shared.result("tasks.template.get", {"templateId": number}) == before


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        ("add", {}, "Could not find value for parameter {fields}"),
        ("add", {"fields": {}}, "Could not find value for parameter {fields}"),
        ("get", {}, "Could not find value for parameter {templateId}"),
        ("update", {"fields": {"TITLE": "x"}}, "Could not find value for parameter {templateId}"),
        ("update", {"templateId": 1}, "Could not find value for parameter {fields}"),
        ("update", {"templateId": "", "fields": {}},
            "Invalid value {} to match with parameter {templateId}. Should be value of type int."),
        ("update", {"templateId": "x", "fields": {}},
            "Invalid value {x} to match with parameter {templateId}. Should be value of type int."),
        ("delete", {}, "Could not find value for parameter {templateId}"),
        ("delete", {"templateId": ""},
            "Invalid value {} to match with parameter {templateId}. Should be value of type int."),
    ],
)  # fmt: skip
def test_parameters_of_templates_are_refused_in_the_pages_words(
    shared: Sandbox, method: str, params: dict[str, Any], text: str
) -> None:
    assert words(shared, f"tasks.template.{method}", params) == ("100", text)


def test_a_template_belongs_to_its_creator(shared: Sandbox) -> None:
    anna, boris, head = shared.token_of(ANNA), shared.token_of(BORIS), shared.token_of(HEAD)
    refused = words(shared, "tasks.template.add", {"fields": ADD}, anna)
    assert refused == ("0", "Access denied")
    number = template_of(shared, anna, CREATED_BY=ANNA, RESPONSIBLE_ID=BORIS)
    which = {"templateId": number}
    assert shared.result("tasks.template.get", which, token=boris) is False
    assert shared.result("tasks.template.get", which, token=head)["ID"] == str(number)
    assert shared.result("tasks.template.get", which)["ID"] == str(number)
    change = {**which, "fields": {"TITLE": "x"}}
    assert shared.result("tasks.template.update", change, token=head) is False
    assert shared.result("tasks.template.delete", which, token=boris) is False
    assert shared.result("tasks.template.get", which)["TITLE"] == "Замер"
    assert shared.result("tasks.template.update", change, token=anna) is True
    shared.result("tasks.template.delete", which, token=anna)
    assert shared.result("tasks.template.get", which) is False


def test_templates_under_a_template_are_counted_and_let_go(shared: Sandbox) -> None:
    base = template_of(shared)
    below = template_of(shared, BASE_TEMPLATE_ID=base, DEPENDS_ON=[base])
    assert shared.result("tasks.template.get", {"templateId": base})["TEMPLATE_CHILDREN_COUNT"] == "1"
    loop = {"templateId": base, "fields": {"BASE_TEMPLATE_ID": below}}
    assert shared.result("tasks.template.update", loop) is False
    shared.result("tasks.template.delete", {"templateId": base})
    made = shared.result("tasks.template.get", {"templateId": below})
    assert (made["BASE_TEMPLATE_ID"], made["DEPENDS_ON"]) == ("0", None)


def test_a_check_list_lives_with_its_items(shared: Sandbox) -> None:
    template = template_of(shared)
    root = item_of(shared, template, "Что сделать")
    fields = {"TITLE": "Позвонить", "PARENT_ID": root, "SORT_INDEX": 200, "IS_IMPORTANT": "Y",
        "MEMBERS": {"4": {"TYPE": "A"}}}  # fmt: skip
    made = shared.result(f"{CHECK}.add", {"templateId": template, "fields": fields})["checkListItem"]
    assert (made["sortIndex"], made["createdBy"], made["parentId"]) == (200, 1, root)
    assert made["members"] == [{"type": "A", "id": 4}]
    which = {"templateId": template, "checkListItemId": made["id"]}
    told = shared.result(f"{CHECK}.get", which)["checkListItem"]
    assert told["createdBy"] is None
    assert (told["isImportant"], told["isComplete"], told["attachments"]) == (True, False, [])
    assert told["members"] == [
        {"id": "4", "type": "A", "name": "Анна Кузнецова", "personalPhoto": "", "personalGender": "F", "image": "",
            "isCollaber": False}
    ]  # fmt: skip
    change = {**which, "fields": {"TITLE": "Позвонить дважды", "MEMBERS": {"5": {"TYPE": "U"}}}}
    told = shared.result(f"{CHECK}.update", change)["checkListItem"]
    assert (told["title"], [one["id"] for one in told["members"]]) == ("Позвонить дважды", ["5"])
    assert shared.result(f"{CHECK}.complete", which)["checkListItem"]["isComplete"] is True
    above = shared.result(f"{CHECK}.get", {"templateId": template, "checkListItemId": root})["checkListItem"]
    assert (above["completedCount"], above["isComplete"]) == (1, False)
    assert shared.result(f"{CHECK}.renew", which)["checkListItem"]["isComplete"] is False
    assert shared.result(f"{CHECK}.delete", {"templateId": template, "checkListItemId": root}) is True
    assert shared.result(f"{CHECK}.list", {"templateId": template}) == {"checkListItems": []}
    empty = shared.result(f"{CHECK}.get", which)["checkListItem"]
    assert (empty["id"], empty["title"], empty["templateId"]) == (None, "", None)
    assert set(empty) == set(told)


def test_moves_shift_as_the_pages_examples_do(shared: Sandbox) -> None:
    template = template_of(shared)
    root = item_of(shared, template, "Список")
    one, two, three = (item_of(shared, template, name, root) for name in ("1", "2", "3"))
    four = item_of(shared, template, "4", root, SORT_INDEX=200)
    which = {"templateId": template}
    told = shared.result(f"{CHECK}.update", {**which, "checkListItemId": four, "fields": {"TITLE": "четыре"}})
    assert told["checkListItem"]["sortIndex"] == 3
    moved = shared.result(f"{CHECK}.moveAfter", {**which, "checkListItemId": one, "afterItemId": three})
    assert moved["checkListItem"]["sortIndex"] == 3
    moved = shared.result(f"{CHECK}.moveBefore", {**which, "checkListItemId": four, "beforeItemId": three})
    assert moved["checkListItem"]["sortIndex"] == 2
    select = ["ID", "TEMPLATE_ID", "PARENT_ID", "TITLE", "SORT_INDEX", "IS_COMPLETE"]
    listed = shared.result(f"{CHECK}.list", {**which, "select": select, "order": {"SORT_INDEX": "asc", "ID": "desc"}})
    found = listed["checkListItems"]
    assert [(key, one["sortIndex"]) for key, one in found.items()] == [
        (str(root), "0"), (str(two), "1"), (str(four), "2"), (str(three), "3"), (str(one), "4"),
    ]  # fmt: skip
    assert found[str(root)] == {
        "id": str(root), "templateId": str(template), "parentId": 0, "title": "Список", "sortIndex": "0",
        "isComplete": "N",
    }  # fmt: skip
    assert found[str(two)]["parentId"] == str(root)


def test_a_list_is_of_its_template_alone(shared: Sandbox) -> None:
    template, other = template_of(shared), template_of(shared)
    root, strange = item_of(shared, template, "Свой"), item_of(shared, other, "Чужой")
    done = item_of(shared, template, "Сделан", root, IS_COMPLETE="Y")
    # A parent of another template counts as none: a check-list of its own.
    lost = item_of(shared, template, "Без родителя", strange)
    which = {"templateId": template}
    assert list(shared.result(f"{CHECK}.list", which)["checkListItems"]) == [str(lost), str(done), str(root)]
    found = shared.result(f"{CHECK}.list", {**which, "filter": {"IS_COMPLETE": "Y", "TEMPLATE_ID": other}})
    assert list(found["checkListItems"]) == [str(done)]
    assert found["checkListItems"][str(done)]["members"] == []
    for wrong in ({"filter": {"NOTHING": 1}}, {"order": {"NOTHING": "asc"}}, {"select": ["NOTHING"]}):
        assert words(shared, f"{CHECK}.list", {**which, **wrong})[0] == "0"


def test_files_hang_on_an_item_and_go_with_it(shared: Sandbox) -> None:
    template = template_of(shared)
    item = item_of(shared, template, "С файлами")
    which = {"templateId": template, "checkListItemId": item}
    files = [file_of(shared, "один.txt"), file_of(shared, "два.txt")]
    made = shared.result(f"{CHECK}.addAttachmentsFromDisk", {**which, "filesIds": files})["checkListItem"]
    assert list(made["attachments"].values()) == files
    content = {"NAME": "заметка.txt", "CONTENT": CONTENT}
    made = shared.result(f"{CHECK}.addAttachmentByContent", {**which, "attachmentParameters": content})
    assert list(made["checkListItem"]["attachments"].values()) == files
    attached = shared.result(f"{CHECK}.get", which)["checkListItem"]["attachments"]
    assert len(attached) == 3
    third = list(attached)[2]
    about = shared.result("disk.attachedObject.get", {"id": third})
    assert (about["NAME"], about["SIZE"], about["ENTITY_ID"]) == ("заметка.txt", "10", str(item))
    left = shared.result(f"{CHECK}.removeAttachments", {**which, "attachmentsIds": list(attached)[:2]})
    assert list(left["checkListItem"]["attachments"]) == [third]
    boris = shared.token_of(BORIS)
    assert "error" in shared.call("disk.attachedObject.get", {"id": third}, token=boris)
    shared.result("tasks.template.delete", {"templateId": template})
    assert "error" in shared.call("disk.attachedObject.get", {"id": third})


NO_NUMBER = (
    "Bitrix\\Tasks\\CheckList\\CheckListFacade::onAfterUpdate(): Argument #1 ($taskId) must be of type int, string "
    "given, called in /var/www/html/bitrix/modules/tasks/lib/checklist/checklistfacade.php on line 313"
)
NO_ITEM = "Bitrix\\Tasks\\CheckList\\Internals\\CheckList All parameters in the constructor must have real class type"
# verb -> (more parameters, what the template's stranger is told, what an item that is not there is told).
VERBS: dict[str, tuple[dict[str, Any], str, str]] = {
    "update": ({"fields": {"TITLE": "Имя"}}, "Updating item: action not available",
        "Invalid value [] for field [ENTITY_ID] in item [, Имя]"),
    "delete": ({}, "Deleting item: action not available", "Invalid value [] for field [ENTITY_ID] in item [, ]"),
    "complete": ({}, "Changing the status of the item: action unavailable",
        "Incorrect value [] for field [ENTITY_ID] in item [, ]"),
    "renew": ({}, "Changing the status of the item: action not available",
        "Incorrect value [] for field [ENTITY_ID] in item [, ]"),
    "moveAfter": ({"afterItemId": 1}, "Moving item: action not available",
        "Incorrect value [] for field [ENTITY_ID] in element [, ]"),
    "moveBefore": ({"beforeItemId": 1}, "Moving item: action unavailable",
        "Invalid value [] for field [ENTITY_ID] in element [, ]"),
    "addAttachmentByContent": ({"attachmentParameters": {"NAME": "a", "CONTENT": CONTENT}},
        "Modification of the item: action is not available", "An error occurred while adding the attachment"),
    "addAttachmentsFromDisk": ({"filesIds": ["n1"]}, "Item modification: action not available",
        "Invalid value [] for field [ENTITY_ID] in element [, ]"),
    "removeAttachments": ({"attachmentsIds": [1]}, "Changing item: action is not available",
        "Invalid value [] for field [ENTITY_ID] in element [, ]"),
}  # fmt: skip
NAMED = ("update", "delete", "complete", "renew", "moveAfter", "moveBefore")


@pytest.mark.parametrize("verb", VERBS)
def test_every_change_of_an_item_is_refused_in_its_pages_words(shared: Sandbox, verb: str) -> None:
    more, stranger, nobody = VERBS[verb]
    template = template_of(shared)
    item = item_of(shared, template, "Пункт")
    elsewhere = item_of(shared, template_of(shared), "Чужой")
    own = {"templateId": template, **more}
    call = f"{CHECK}.{verb}"
    boris = shared.token_of(BORIS)
    assert words(shared, call, {**own, "checkListItemId": item}, boris) == ("0", stranger)
    for number in (999999, "", "x", elsewhere):
        assert words(shared, call, {**own, "checkListItemId": number}) == ("0", nobody)
    assert words(shared, call, own) == ("100", NO_ITEM)
    without = {name: value for name, value in own.items() if name != "templateId"} | {"checkListItemId": item}
    assert words(shared, call, without) == ("100", "Could not find value for parameter {templateId}")
    for wrong in ("", "x"):
        expected = NO_NUMBER if verb in NAMED else stranger
        assert words(shared, call, {**own, "templateId": wrong, "checkListItemId": item}) == ("0", expected)
    for name in more:
        lacking = {"templateId": template, "checkListItemId": item}
        assert words(shared, call, lacking) == ("100", f"Could not find value for parameter {{{name}}}")
    if verb in ("addAttachmentsFromDisk", "removeAttachments"):
        name = next(iter(more))
        text = f"Invalid value {{}} to match with parameter {{{name}}}. Should be value of type array."
        assert words(shared, call, {**own, "checkListItemId": item, name: ""}) == ("100", text)
    assert shared.result(f"{CHECK}.get", {"templateId": template, "checkListItemId": item})["checkListItem"][
        "title"
    ] == ("Пункт")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"PARENT_ID": 0}, "Item name is not specified"),
        ({"TITLE": "", "PARENT_ID": 0}, "Item name is not specified"),
        ({"TITLE": ["x"], "PARENT_ID": 0}, "Item name is not specified"),
        ({"TITLE": "Новый"}, "Invalid value [] for field [PARENT_ID] in element [, Новый]"),
        ({"TITLE": "Новый", "PARENT_ID": "x"}, "Invalid value [] for field [PARENT_ID] in element [, Новый]"),
    ],
)
def test_a_new_item_needs_a_name_and_a_place(shared: Sandbox, fields: dict[str, Any], text: str) -> None:
    template = template_of(shared)
    assert words(shared, f"{CHECK}.add", {"templateId": template, "fields": fields}) == ("0", text)
    assert shared.result(f"{CHECK}.list", {"templateId": template})["checkListItems"] == []


def test_who_may_not_read_or_change_a_template_sees_nothing_of_its_list(shared: Sandbox) -> None:
    template = template_of(shared)
    item = item_of(shared, template, "Пункт")
    boris = shared.token_of(BORIS)
    denied = ("0", "Access to the task template is denied")
    assert words(shared, f"{CHECK}.get", {"templateId": template, "checkListItemId": item}, boris) == denied
    assert words(shared, f"{CHECK}.list", {"templateId": template}, boris) == denied
    fields = {"TITLE": "x", "PARENT_ID": 0}
    added = words(shared, f"{CHECK}.add", {"templateId": template, "fields": fields}, boris)
    assert added == ("0", "Adding item: action is not available")
    assert shared.result(f"{CHECK}.get", {"templateId": "", "checkListItemId": item})["checkListItem"]["id"] is None
    assert words(shared, f"{CHECK}.get", {"templateId": template}) == ("100", NO_ITEM)
    assert words(shared, f"{CHECK}.list", {}) == ("100", "Could not find value for parameter {templateId}")


def test_an_item_does_not_go_under_itself(shared: Sandbox) -> None:
    template = template_of(shared)
    root = item_of(shared, template, "Список")
    below = item_of(shared, template, "Ниже", root)
    which = {"templateId": template, "checkListItemId": root}
    assert words(shared, f"{CHECK}.update", {**which, "fields": {"PARENT_ID": below}})[0] == "0"
    assert words(shared, f"{CHECK}.moveAfter", {**which, "afterItemId": below})[0] == "0"
    assert words(shared, f"{CHECK}.moveBefore", {**which, "beforeItemId": root})[0] == "0"
    other = item_of(shared, template, "Второй список")
    moved = {**which, "fields": {"PARENT_ID": other}}
    assert shared.result(f"{CHECK}.update", moved)["checkListItem"]["parentId"] == other
    shared.result(f"{CHECK}.delete", {"templateId": template, "checkListItemId": other})
    assert shared.result(f"{CHECK}.list", {"templateId": template})["checkListItems"] == []


def test_templates_survive_a_snapshot(portal: Sandbox) -> None:
    number = template_of(portal, REPLICATE="Y")
    item = item_of(portal, number, "Пункт")
    before = portal.result("tasks.template.get", {"templateId": number})
    portal.control("POST", "snapshots/s")
    portal.result("tasks.template.delete", {"templateId": number})
    portal.control("POST", "snapshots/s/restore")
    assert portal.result("tasks.template.get", {"templateId": number}) == before
    assert list(portal.result(f"{CHECK}.list", {"templateId": number})["checkListItems"]) == [str(item)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"PERIOD": "daily", "EVERY_DAY": 3}, "14.01.2026 05:00:00"),
        ({"PERIOD": "daily", "TIME": "13:00"}, "12.01.2026 13:00:00"),
        ({"PERIOD": "daily", "WORKDAY_ONLY": "Y", "START_DATE": "17.01.2026 00:00:00"}, "19.01.2026 05:00:00"),
        ({"PERIOD": "weekly", "WEEK_DAYS": [1, 7], "EVERY_WEEK": 2}, "19.01.2026 05:00:00"),
        ({"PERIOD": "monthly", "MONTHLY_DAY_NUM": 31, "START_DATE": "01.02.2026 00:00:00"}, "28.02.2026 05:00:00"),
        ({"PERIOD": "monthly", "MONTHLY_TYPE": 2, "MONTHLY_WEEK_DAY_NUM": 4, "MONTHLY_WEEK_DAY": 4},
            "30.01.2026 05:00:00"),
        ({"PERIOD": "yearly", "YEARLY_DAY_NUM": 8, "YEARLY_MONTH_1": 2}, "08.03.2026 05:00:00"),
        ({"PERIOD": "yearly", "YEARLY_TYPE": 2, "YEARLY_WEEK_DAY": 6, "YEARLY_MONTH_2": 0}, "03.01.2027 05:00:00"),
        ({"REPEAT_TILL": "times", "TIMES": 2}, None),
        ({"REPEAT_TILL": "times", "TIMES": 3}, "13.01.2026 05:00:00"),
        ({"REPEAT_TILL": "date", "END_DATE": "12.01.2026 23:00:00"}, None),
    ],
)  # fmt: skip
def test_the_next_task_of_a_rule(given: dict[str, Any], expected: str | None) -> None:
    # Monday the 12th at noon, two tasks made; the rule begins on Sunday the 11th.
    now = datetime(2026, 1, 12, 12, tzinfo=MOSCOW).timestamp()
    rule = replication.read({"START_DATE": "11.01.2026 00:00:00", **given}, MOSCOW)
    assert replication.next_time(rule, MOSCOW, now, 2) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["5"], 'a:1:{i:0;s:1:"5";}'),
        ({"Имя": None, "a": True}, 'a:2:{s:6:"Имя";N;s:1:"a";b:1;}'),
        ([[], -3], "a:2:{i:0;a:0:{}i:1;i:-3;}"),
    ],
)
def test_values_are_serialized_as_php_does(value: Any, text: str) -> None:
    assert php.serialize(value) == text
