"""Reads: what is asked, in documented parameters, and what the answer means."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from b24app.bitrix import reads
from b24app.bitrix.calls import Answer, Call
from b24app.entities import DEAL, LEAD, CalendarEntry, ItemRef

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)


def answer(result: Any, **more: Any) -> Answer:
    return Answer(result, NOW, **more)


@pytest.mark.parametrize(
    ("read", "call"),
    [
        (reads.item(LEAD, 42), Call("crm.item.get", {"entityTypeId": 1, "id": 42})),
        (
            reads.items(LEAD, [1, 2]),
            Call(
                "crm.item.list",
                {"entityTypeId": 1, "filter": {"@id": [1, 2]}, "select": ["*"], "order": {"id": "DESC"}},
            ),
        ),
        (
            reads.count_open(LEAD, 11),
            Call(
                "crm.item.list",
                {"entityTypeId": 1, "filter": {"assignedById": 11, "stageSemanticId": "P"}, "select": ["id"]},
            ),
        ),
        (
            reads.count_created(LEAD, 9, NOW),
            Call(
                "crm.item.list",
                {
                    "entityTypeId": 1,
                    "filter": {"createdBy": 9, ">=createdTime": "2026-11-23T07:00:00+00:00"},
                    "select": ["id"],
                },
            ),
        ),
        (
            reads.open_deals(3, 7),
            Call(
                "crm.item.list",
                {
                    "entityTypeId": 2,
                    "filter": {"contactId": 7, "stageSemanticId": "P"},
                    "select": ["*"],
                    "order": {"id": "DESC"},
                },
            ),
        ),
        (reads.users([1, 2]), Call("user.get", {"FILTER": {"ID": [1, 2]}})),
        (
            reads.department_users([5, 6], 50),
            Call(
                "user.get",
                {"FILTER": {"ACTIVE": True, "UF_DEPARTMENT": [5, 6]}, "sort": "ID", "order": "ASC", "start": 50},
            ),
        ),
        (reads.departments(), Call("department.get", {"sort": "ID", "order": "ASC", "START": 0})),
        (reads.clock(11), Call("timeman.status", {"USER_ID": 11})),
        (
            reads.busy([11], date(2026, 11, 22), date(2026, 11, 24), ZoneInfo("UTC")),
            Call("calendar.accessibility.get", {"users": [11], "from": "2026-11-22", "to": "2026-11-24"}),
        ),
        (reads.schedule(3), Call("timeman.schedule.get", {"id": 3})),
        (reads.calendar_entry(1265), Call("calendar.event.getbyid", {"id": 1265})),
        (
            reads.call_statistics(CALL_ID="c1"),
            Call("voximplant.statistic.get", {"FILTER": {"CALL_ID": "c1"}, "SORT": "ID", "ORDER": "DESC"}),
        ),
        (reads.activity_owner(5), Call("crm.activity.get", {"id": 5})),
        (
            reads.by_phone("+79123456789", "LEAD"),
            Call("crm.duplicate.findbycomm", {"type": "PHONE", "values": ["+79123456789"], "entity_type": "LEAD"}),
        ),
        (reads.crm_mode(), Call("crm.settings.mode.get")),
        (reads.source_names(), Call("crm.status.list", {"filter": {"ENTITY_ID": "SOURCE"}})),
    ],
    ids=lambda value: value.method if isinstance(value, Call) else "",
)
def test_what_is_asked(read: reads.Read[Any], call: Call) -> None:
    assert read.call == call


@pytest.mark.parametrize(
    ("read", "got", "meaning"),
    [
        (reads.item(LEAD, 42), answer({"item": []}), None),
        (reads.items(LEAD, [1]), answer({"items": []}), []),
        (reads.count_open(LEAD, 11), answer({"items": [{"id": 1}]}, total=31), 31),
        (reads.count_open(LEAD, 11), answer({"items": []}), 0),
        (reads.users([1]), answer([]), []),
        (reads.crm_mode(), answer(2), 2),
        (reads.crm_mode(), answer("2"), 2),
        (reads.crm_mode(), answer(1), 1),
        (reads.by_phone("+7", "LEAD"), answer({"LEAD": [3, 4]}), (3, 4)),
        (reads.by_phone("+7", "CONTACT"), answer([]), ()),
        (reads.schedule(3), answer([]), []),
        (reads.schedule(3), answer({"ID": 3}), {"ID": 3}),
        (reads.calendar_entry(5), answer([]), None),
        (
            reads.calendar_entry(5, ZoneInfo("Europe/Moscow")),
            answer({"ID": "5", "DATE_FROM": "23.11.2026 11:00:00", "DATE_TO": "23.11.2026 12:00:00"}),
            CalendarEntry(5, 0, datetime(2026, 11, 23, 8, tzinfo=UTC), datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ),
        (reads.activity_owner(5), answer({"OWNER_TYPE_ID": "1", "OWNER_ID": "42"}), ItemRef(LEAD, 42)),
        (
            reads.source_names(),
            answer([{"STATUS_ID": "CALL", "NAME": "Звонок"}, {"STATUS_ID": "WEB", "NAME": "Сайт"}]),
            {"CALL": "Звонок", "WEB": "Сайт"},
        ),
    ],
)
def test_what_the_answer_means(read: reads.Read[Any], got: Answer, meaning: Any) -> None:
    assert read.parse(got) == meaning


def test_deals_of_a_company_are_asked_by_company() -> None:
    assert reads.open_deals(4, 7).call.params["filter"] == {"companyId": 7, "stageSemanticId": "P"}
    row = {"id": 3, "createdTime": "2026-11-23T10:00:00+03:00"}
    assert [deal.ref for deal in reads.open_deals(4, 7).parse(answer({"items": [row]}))] == [ItemRef(DEAL, 3)]


def test_a_part_of_an_earlier_result_is_named_the_way_of_batch() -> None:
    assert reads.result_of("statistics", 0, "CRM_ENTITY_ID") == "$result[statistics][0][CRM_ENTITY_ID]"
