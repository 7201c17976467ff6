"""Writes as data: what is sent, how it is known again, and that it survives the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from b24app.bitrix import commands as write
from b24app.bitrix.calls import Call
from b24app.bitrix.commands import Check, Command, Harmless, Keyed, LookUp, Made
from b24app.engine.journal import COMMAND
from b24app.entities import CONTACT, LEAD, ItemRef

LEAD_42 = ItemRef(LEAD, 42)
DEADLINE = datetime(2026, 11, 23, 7, 15, tzinfo=UTC)


def task(item: Any) -> Command:
    return write.add_task(
        marker="№abc",
        title="Вам необходимо связаться",
        description="Клиент: Иван",
        responsible_id=11,
        creator_id=1,
        deadline=DEADLINE,
        item=item,
    )


def test_the_responsible_is_compared_and_set_in_one_batch() -> None:
    check, update = write.set_responsible(LEAD_42, 11, expected=9)
    assert check.call == Call(
        "crm.item.list", {"entityTypeId": 1, "filter": {"id": 42, "@assignedById": [9, 11]}, "select": ["id"]}
    )
    assert isinstance(check.again, Check)
    assert update.call == Call(
        "crm.item.update",
        {"entityTypeId": 1, "id": {"$ref": "responsible_unchanged"}, "fields": {"assignedById": 11}},
    )
    assert (update.needs, update.again) == (("responsible_unchanged",), Harmless())


def test_a_task_goes_by_rest_3_with_a_key_and_else_the_classic_way_with_a_look_up() -> None:
    made = task(LEAD_42)
    assert made.call == Call(
        "tasks.task.add",
        {
            "fields": {
                "title": "Вам необходимо связаться",
                "description": "Клиент: Иван\n\n№abc",
                "responsibleId": 11,
                "creatorId": 1,
                "deadline": "2026-11-23T07:15:00+00:00",
                "crmItemIds": ["L_42"],
            }
        },
        v3=True,
    )
    looked = Call(
        "tasks.task.list",
        {
            "filter": {"RESPONSIBLE_ID": 11, "TITLE": "Вам необходимо связаться"},
            "select": ["ID", "TITLE", "DESCRIPTION"],
            "order": {"ID": "DESC"},
        },
    )
    assert made.again == Keyed(LookUp(looked, "description", "№abc"))
    old = write.classic(made)
    assert old.call == Call(
        "tasks.task.add",
        {
            "fields": {
                "TITLE": "Вам необходимо связаться",
                "DESCRIPTION": "Клиент: Иван\n\n№abc",
                "RESPONSIBLE_ID": 11,
                "CREATED_BY": 1,
                "DEADLINE": "2026-11-23T07:15:00+00:00",
                "UF_CRM_TASK": ["L_42"],
            }
        },
    )
    assert old.again == LookUp(looked, "description", "№abc")
    assert write.classic(old) == old


def test_a_task_of_an_item_that_is_only_being_made_waits_for_its_id() -> None:
    made = task(Made("item", LEAD))
    assert made.needs == ("item",)
    assert made.call.params["fields"]["crmItemIds"] == [{"$ref": "item", "$prefix": "L_"}]


def test_a_comment_is_known_again_by_its_marker() -> None:
    made = write.comment(ItemRef(CONTACT, 7), "Почему Анна", marker="№abc")
    assert made.call == Call(
        "crm.timeline.comment.add",
        {"fields": {"ENTITY_ID": 7, "ENTITY_TYPE": "contact", "COMMENT": "Почему Анна\n№abc"}},
    )
    assert made.again == LookUp(
        Call(
            "crm.timeline.comment.list",
            {
                "filter": {"ENTITY_ID": 7, "ENTITY_TYPE": "contact"},
                "select": ["ID", "COMMENT"],
                "order": {"ID": "DESC"},
            },
        ),
        "COMMENT",
        "№abc",
    )


def test_an_item_is_known_again_by_its_origin() -> None:
    made = write.add_item(LEAD, {"title": "Пропущенный звонок"}, origin="call:c1", label="item")
    assert made.call.params["fields"] == {
        "title": "Пропущенный звонок",
        "originId": "call:c1",
        "originatorId": "b24app",
    }
    assert made.again == LookUp(
        Call(
            "crm.item.list",
            {
                "entityTypeId": 1,
                "filter": {"originId": "call:c1", "originatorId": "b24app"},
                "select": ["id", "originId"],
            },
        ),
        "originId",
        "call:c1",
    )


def test_a_notice_replaces_itself_by_its_tag() -> None:
    made = write.notify(2, "Клиент ждёт", tag="intake:lead:42", label="notice_0")
    assert made.call == Call(
        "im.notify.personal.add", {"USER_ID": 2, "MESSAGE": "Клиент ждёт", "TAG": "b24app|intake:lead:42"}
    )
    assert made.again == Harmless()


@pytest.mark.parametrize(
    ("method", "result", "id"),
    [
        ("crm.item.add", {"item": {"id": 42}}, 42),
        ("crm.item.add", {"item": {"id": "42"}}, 42),
        ("tasks.task.add", {"task": {"id": "77", "title": "x"}}, 77),
        ("tasks.task.add", {"item": {"id": 77}}, 77),
        ("crm.item.list", {"items": [{"id": 5}, {"id": 6}]}, 5),
        ("crm.item.list", {"items": []}, None),
        ("crm.timeline.comment.add", 900, 900),
        ("crm.timeline.comment.add", "900", 900),
        ("im.notify.personal.add", True, None),
        ("crm.item.add", None, None),
        ("crm.item.add", [], None),
        ("crm.item.add", {"item": {"id": None}}, None),
    ],
)
def test_the_id_that_a_creating_method_names(method: str, result: Any, id: int | None) -> None:
    assert write.made_id(method, result) == id


@pytest.mark.parametrize(
    "command",
    [
        *write.set_responsible(LEAD_42, 11, expected=9),
        task(LEAD_42),
        task(Made("item", LEAD)),
        write.comment(LEAD_42, "x", marker="m", needs=("responsible",)),
        write.notify(2, "x", tag="t", label="n"),
        write.add_item(LEAD, {"fm": [{"typeId": "PHONE", "value": "+7"}]}, origin="o", label="item"),
        write.answer_robot("tok", {"assigned": "Y"}, "log", instead={"responsible": {"assigned": "N"}}),
        Command("sms", Call("sms"), write.Once()),
    ],
    ids=lambda command: command.label,
)
def test_a_command_survives_the_journal(command: Command) -> None:
    assert COMMAND.validate_json(COMMAND.dump_json(command)) == command
