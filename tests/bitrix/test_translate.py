"""Wire formats to entities: documented shapes, and PHP's habits."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.bitrix import translate
from b24app.entities import (
    COMPANY,
    CONTACT,
    DEAL,
    LEAD,
    Address,
    CalendarEntry,
    Clock,
    Department,
    Interval,
    ItemRef,
    PhoneCall,
    User,
)
from b24app.rules.working_time import WorkCalendar

MOSCOW = ZoneInfo("Europe/Moscow")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("value", "id"),
    [
        *((number, 5) for number in (5, "5", " 5 ")),
        *((nothing, None) for nothing in (0, "0", "", None, "undefined", True, [], {}, "-5", "5.0", 5.0)),
    ],
)
def test_ids_arrive_as_numbers_or_strings(value: Any, id: int | None) -> None:
    assert translate.number(value) == id


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-03-11T17:28:46+03:00", utc(2026, 3, 11, 14, 28, 46)),
        ("2026-03-11T14:28:46Z", utc(2026, 3, 11, 14, 28, 46)),
        ("2026-03-11T14:28:46", utc(2026, 3, 11, 14, 28, 46)),
        ("2026-03-11", utc(2026, 3, 11)),
        ("", None),
        (None, None),
        ({}, None),
        ([], None),
        ("yesterday", None),
        (1773239327, None),
    ],
)
def test_times(value: Any, at: datetime | None) -> None:
    assert translate.moment(value) == at


@pytest.mark.parametrize(
    ("value", "key", "ids"),
    [
        ([{"id": 1}, {"id": 2}], "", [1, 2]),
        ({"items": [{"id": 1}]}, "items", [1]),
        ({"items": {"7": {"id": 7}}}, "items", [7]),
        ({"3": {"id": 3}, "4": {"id": 4}}, "", [3, 4]),
        ([], "items", []),
        ({}, "items", []),
        (None, "", []),
        (False, "items", []),
        (["", None, {"id": 5}], "", [5]),
    ],
)
def test_lists_in_every_shape(value: Any, key: str, ids: list[int]) -> None:
    assert [row["id"] for row in translate.rows(value, key)] == ids


ROW = {
    "id": "42",
    "title": "Пропущенный звонок",
    "assignedById": 9,
    "createdBy": "9",
    "createdTime": "2026-11-23T10:00:00+03:00",
    "updatedTime": "2026-11-23T10:05:00+03:00",
    "updatedBy": "2",
    "stageId": "NEW",
    "stageSemanticId": "P",
    "sourceId": "CALL",
    "name": "Иван",
    "lastName": "Петров",
    "observers": ["3", 4],
    "webformId": "0",
    "originId": None,
    "fm": [
        {"id": 1, "typeId": "PHONE", "valueType": "WORK", "value": "+79123456789"},
        {"id": 2, "typeId": "EMAIL", "valueType": "WORK", "value": "a@example.ru"},
        {"id": 3, "typeId": "PHONE", "valueType": "HOME", "value": ""},
    ],
}


@pytest.mark.parametrize("wire", [ROW, {"item": ROW}, {"item": {**ROW, "fm": dict(enumerate(ROW["fm"]))}}])  # type: ignore[arg-type]
def test_an_item_of_get_and_of_list(wire: Any) -> None:
    item = translate.item_of(LEAD, wire)
    assert item is not None
    assert (item.ref, item.assigned_by_id, item.created_by_id) == (ItemRef(LEAD, 42), 9, 9)
    assert (item.created_at, item.updated_at) == (utc(2026, 11, 23, 7), utc(2026, 11, 23, 7, 5))
    assert (item.phones, item.emails, item.observer_ids) == (("+79123456789",), ("a@example.ru",), (3, 4))
    assert (item.updated_by_id, item.webform_id, item.origin_id, item.name) == (2, None, "", "Иван Петров")
    assert item.open


def test_an_item_without_its_multi_fields_keeps_the_flat_ones() -> None:
    wire = {"id": 1, "createdTime": "2026-11-23T10:00:00+03:00", "phoneWork": "+7912", "emailWork": "a@b.ru", "fm": []}
    item = translate.item_of(CONTACT, wire)
    assert item is not None
    assert (item.phones, item.emails, item.observer_ids) == (("+7912",), ("a@b.ru",), ())


@pytest.mark.parametrize("semantic", ["S", "F"])
def test_a_finished_item_is_not_open(semantic: str) -> None:
    item = translate.item_of(DEAL, {**ROW, "stageSemanticId": semantic})
    assert item is not None
    assert not item.open


@pytest.mark.parametrize("value", [None, [], {}, {"item": None}, {"item": []}, {"id": ""}, "no"])
def test_no_item(value: Any) -> None:
    assert translate.item_of(LEAD, value) is None


@pytest.mark.parametrize(
    ("row", "user"),
    [
        (
            {"ID": "7", "ACTIVE": True, "NAME": "Анна", "LAST_NAME": "Белова", "UF_DEPARTMENT": [5], "IS_ONLINE": "Y"},
            User(7, "Анна Белова", True, (5,), "", True),
        ),
        (
            {"ID": "8", "ACTIVE": "false", "NAME": "", "EMAIL": "b@example.ru", "UF_DEPARTMENT": ["5", "0"]},
            User(8, "b@example.ru", False, (5,), "", None),
        ),
        (
            {"ID": "9", "ACTIVE": "Y", "UF_DEPARTMENT": False, "TIME_ZONE": "Asia/Omsk"},
            User(9, "#9", True, (), "Asia/Omsk"),
        ),
        (
            {"ID": "3", "NAME": "Олег", "ACTIVE": True, "WORK_PHONE": "8 495 1", "PERSONAL_MOBILE": " 8 916 2 "},
            User(3, "Олег", phones=("8 916 2", "8 495 1")),
        ),
        ({"ID": "4", "NAME": "Яна", "ACTIVE": True, "WORK_PHONE": "", "PERSONAL_MOBILE": None}, User(4, "Яна")),
    ],
)
def test_people(row: dict[str, Any], user: User) -> None:
    assert translate.user_of(row) == user


@pytest.mark.parametrize(
    ("row", "department"),
    [
        ({"ID": "1", "NAME": "ООО", "UF_HEAD": "0"}, Department(1, "ООО", None, None)),
        ({"ID": "5", "NAME": "Продажи", "PARENT": "1", "UF_HEAD": "2"}, Department(5, "Продажи", 1, 2)),
    ],
)
def test_departments(row: dict[str, Any], department: Department) -> None:
    assert translate.department_of(row) == department


@pytest.mark.parametrize(
    ("value", "clock"),
    [
        ({"STATUS": "OPENED", "TIME_START": "2026-11-23T09:00:00+03:00"}, (Clock.OPENED, utc(2026, 11, 23, 6))),
        ({"STATUS": "PAUSED", "TIME_START": "2026-11-23T09:00:00+03:00"}, (Clock.PAUSED, utc(2026, 11, 23, 6))),
        ({"STATUS": "EXPIRED", "TIME_START": None}, (Clock.EXPIRED, None)),
        ({"STATUS": "CLOSED", "TIME_START": ""}, (Clock.CLOSED, None)),
        ({"STATUS": "NAPPING"}, (Clock.UNUSED, None)),
        ([], (Clock.UNUSED, None)),
        (None, (Clock.UNUSED, None)),
    ],
)
def test_the_working_day_clock(value: Any, clock: Any) -> None:
    assert translate.clock_of(value) == clock


TIMED = {
    "ID": "1",
    "NAME": "Замер",
    "DATE_FROM": "23.11.2026 11:00:00",
    "DATE_TO": "23.11.2026 12:00:00",
    "DATE_FROM_TS_UTC": "1795420800",
    "DATE_TO_TS_UTC": "1795424400",
    "TZ_FROM": "Europe/Moscow",
    "DT_SKIP_TIME": "N",
    "ACCESSIBILITY": "busy",
}


@pytest.mark.parametrize(
    ("row", "interval"),
    [
        (TIMED, Interval(utc(2026, 11, 23, 8), utc(2026, 11, 23, 9), id=1)),
        ({**TIMED, "ID": None}, Interval(utc(2026, 11, 23, 8), utc(2026, 11, 23, 9))),
        ({**TIMED, "ACCESSIBILITY": "absent"}, Interval(utc(2026, 11, 23, 8), utc(2026, 11, 23, 9), True, 1)),
        ({**TIMED, "ACCESSIBILITY": "quest"}, Interval(utc(2026, 11, 23, 8), utc(2026, 11, 23, 9), id=1)),
        ({**TIMED, "ACCESSIBILITY": "free"}, None),
        # an all-day event of two days, in the calendar's own zone
        (
            {
                **TIMED,
                "DT_SKIP_TIME": "Y",
                "DATE_FROM": "23.11.2026",
                "DATE_TO": "24.11.2026",
                "TZ_FROM": "Asia/Omsk",
            },
            Interval(utc(2026, 11, 22, 18), utc(2026, 11, 24, 18), id=1),
        ),
        # the American display format
        (
            {"DATE_FROM": "12/11/2026 05:59:00 pm", "DATE_TO": "12/11/2026 06:30:00 pm", "ACCESSIBILITY": "busy"},
            Interval(utc(2026, 12, 11, 14, 59), utc(2026, 12, 11, 15, 30)),
        ),
        # the personnel department's record: dates only, without zone and stamps
        (
            {
                "ID": 3,
                "FROM_HR": True,
                "DT_FROM": "23.11.2026",
                "DT_TO": "27.11.2026",
                "ACCESSIBILITY": "absent",
                "FROM": "23.11.2026",
                "TO": "27.11.2026",
            },
            Interval(utc(2026, 11, 22, 21), utc(2026, 11, 27, 21), True),
        ),
        (
            {"FROM_HR": True, "DT_FROM": "23.11.2026 09:00:00", "DT_TO": "23.11.2026 13:00:00"},
            Interval(utc(2026, 11, 23, 6), utc(2026, 11, 23, 10), True),
        ),
        ({"ACCESSIBILITY": "busy"}, None),
        ({"DATE_FROM": "soon", "DATE_TO": "later", "ACCESSIBILITY": "busy"}, None),
    ],
)
def test_busy_and_absent_times_in_both_shapes(row: dict[str, Any], interval: Interval | None) -> None:
    expected = {7: () if interval is None else (interval,)}
    assert translate.intervals_of({"7": [row]}, MOSCOW) == expected
    assert translate.intervals_of({"7": {"0": row}}, MOSCOW) == expected


@pytest.mark.parametrize("value", [[], None, {}, False])
def test_nobody_is_busy(value: Any) -> None:
    assert translate.intervals_of(value, MOSCOW) == {}


def test_a_person_without_entries_arrives_as_an_empty_list() -> None:
    assert translate.intervals_of({"7": [], "8": {}}, MOSCOW) == {7: (), 8: ()}


ENTRY = {
    "ID": "1265",
    "DELETED": "N",
    "OWNER_ID": "7",
    "NAME": "Замер",
    "DATE_FROM": "12/11/2024 05:59:00 pm",
    "DATE_TO": "12/11/2024 06:59:00 pm",
    "TZ_FROM": "Europe/Riga",
    "DATE_FROM_TS_UTC": "1733932740",
    "DATE_TO_TS_UTC": "1733936340",
    "DT_SKIP_TIME": "N",
    "CREATED_BY": "1",
    "IS_MEETING": True,
}
THEN = CalendarEntry(1265, 7, utc(2024, 12, 11, 15, 59), utc(2024, 12, 11, 16, 59), "Замер", 1)
NO_STAMPS = {"DATE_FROM_TS_UTC": None, "DATE_TO_TS_UTC": ""}


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        (ENTRY, THEN),
        ({**ENTRY, **NO_STAMPS}, THEN),
        ({**ENTRY, **NO_STAMPS, "DATE_FROM": "11.12.2024 17:59:00", "DATE_TO": "11.12.2024 18:59:00"}, THEN),
        (
            {**ENTRY, "DT_SKIP_TIME": "Y", "DATE_FROM": "11.12.2024", "DATE_TO": "11.12.2024"},
            CalendarEntry(1265, 7, utc(2024, 12, 10, 22), utc(2024, 12, 11, 22), "Замер", 1),
        ),
        ({**ENTRY, "OWNER_ID": None, "CREATED_BY": "0", "NAME": None}, CalendarEntry(1265, 0, THEN.start, THEN.end)),
        ({**ENTRY, "DELETED": "Y"}, None),
        ({**ENTRY, **NO_STAMPS, "DATE_FROM": ""}, None),
        ({**ENTRY, "ID": ""}, None),
        *((nothing, None) for nothing in ([], {}, None, False, "no")),
    ],
)
def test_a_calendar_entry(value: Any, entry: CalendarEntry | None) -> None:
    assert translate.entry_of(value) == entry


def test_a_calendar_entry_of_an_unknown_zone_is_of_the_given_one() -> None:
    found = translate.entry_of({**ENTRY, **NO_STAMPS, "TZ_FROM": "Mars/Base"}, MOSCOW)
    assert found is not None
    assert (found.start, found.end) == (utc(2024, 12, 11, 14, 59), utc(2024, 12, 11, 15, 59))


PLAYBOOK = WorkCalendar(opens=time(10), closes=time(20), country="RU", days_off=frozenset({date(2026, 12, 30)}))


def test_calendar_settings_of_the_portal() -> None:
    settings = {
        "work_time_start": "9",
        "work_time_end": "18.30",
        "year_holidays": "1.01,2.01,23.02, 31.02,x",
        "year_workdays": "31.12",
        "week_holidays": ["SA", "SU"],
        "week_start": "MO",
    }
    calendar = translate.calendar_of(settings, PLAYBOOK)
    assert (calendar.opens, calendar.closes, calendar.time_zone) == (time(9), time(18, 30), "Europe/Moscow")
    assert calendar.yearly_off == {(1, 1), (1, 2), (2, 23)}
    assert calendar.yearly_work == {(12, 31)}
    assert calendar.weekend == {5, 6}
    assert calendar.days_off == {date(2026, 12, 30)}


@pytest.mark.parametrize(
    ("start", "end", "opens", "closes"),
    [
        ("9:30", "18:00", time(9, 30), time(18)),
        ("9.3", "18", time(9, 30), time(18)),
        (9, 18, time(9), time(18)),
        (0, 24, time(0), time(0)),
        ("0", "0", time(0), time(0)),
        ("", None, time(10), time(20)),
        ("25", "nine", time(10), time(20)),
    ],
)
def test_hours_of_the_portal(start: Any, end: Any, opens: time, closes: time) -> None:
    calendar = translate.calendar_of({"work_time_start": start, "work_time_end": end}, PLAYBOOK)
    assert (calendar.opens, calendar.closes) == (opens, closes)


def test_another_week_on_the_portal_has_no_moved_days_of_the_country() -> None:
    calendar = translate.calendar_of({"week_holidays": ["FR"]}, PLAYBOOK)
    assert (calendar.weekend, calendar.country) == ({4}, "")


def test_a_portal_without_calendar_settings_is_the_playbook() -> None:
    assert translate.calendar_of([], PLAYBOOK) == PLAYBOOK


def schedule(*shifts: dict[str, Any], exclusions: Any = (), **more: Any) -> dict[str, Any]:
    return {
        "ID": 1,
        "SCHEDULE_TYPE": "FIXED",
        "DELETED": "0",
        "SHIFTS": list(shifts),
        "CALENDAR": {"ID": 1, "EXCLUSIONS": list(exclusions) if isinstance(exclusions, tuple) else exclusions},
        **more,
    }


def shift(start: Any, end: Any, days: Any = "12345", **more: Any) -> dict[str, Any]:
    return {
        "ID": 1,
        "BREAK_DURATION": 3600,
        "WORK_TIME_START": start,
        "WORK_TIME_END": end,
        "WORK_DAYS": days,
        "DELETED": False,
        **more,
    }


EIGHT_TO_FIVE = (time(8), time(17))


@pytest.mark.parametrize(
    ("shifts", "week"),
    [
        ([shift(28_800, 61_200)], dict.fromkeys(range(5), (EIGHT_TO_FIVE,))),
        ([shift("28800", "61200", 37)], {2: (EIGHT_TO_FIVE,), 6: (EIGHT_TO_FIVE,)}),
        ([shift(72_000, 18_000, "5")], {4: ((time(20), time(5)),)}),
        ([shift(0, 86_400, "1")], {0: ((time(0), time(0)),)}),
        (
            [shift(54_000, 72_000, "1"), shift(25_200, 39_600, "12")],
            {0: ((time(7), time(11)), (time(15), time(20))), 1: ((time(7), time(11)),)},
        ),
        (
            [shift(28_800, 61_200, "1"), shift(0, 61_200, "2", DELETED=True), shift(0, 61_200, "3", DELETED="1")],
            {0: (EIGHT_TO_FIVE,)},
        ),
        ([shift(28_800, 61_200, "1"), shift(-1, 61_200), shift(None, 1), shift("x", 90_000)], {0: (EIGHT_TO_FIVE,)}),
        ([shift(28_800, 61_200, "0189x")], {0: (EIGHT_TO_FIVE,)}),
    ],
)
def test_a_work_schedule_gives_the_hours_of_every_weekday(shifts: list[Any], week: dict[int, Any]) -> None:
    lunch = WorkCalendar(country="RU", lunch=(time(13), time(14)))
    found = translate.with_schedule(lunch, schedule(*shifts))
    assert dict(found.shifts) == {day: week.get(day, ()) for day in range(7)}
    assert (found.lunch, found.country, found.days_off) == (lunch.lunch, "RU", frozenset())
    assert [found.is_working_day(date(2026, 11, 16 + day)) for day in range(7)] == [day in week for day in range(7)]


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        {},
        "no",
        schedule(shift(0, 3600), SCHEDULE_TYPE="SHIFT"),
        schedule(shift(0, 3600), SCHEDULE_TYPE="FLEXTIME"),
        schedule(shift(0, 3600), DELETED="1"),
        schedule(exclusions=("2026-11-23",)),
        schedule(shift(0, 3600, "")),
        schedule(SHIFTS=None),
    ],
)
def test_what_says_no_hours_leaves_the_calendar(value: Any) -> None:
    assert translate.with_schedule(PLAYBOOK, value) == PLAYBOOK


@pytest.mark.parametrize(
    ("exclusions", "days"),
    [
        ([], []),
        (["2026-12-31", "01.01.2027", "1/2/2027"], ["2026-12-31", "2027-01-01", "2027-01-02"]),
        (["2026-12-30T00:00:00+03:00"], ["2026-12-30"]),
        (["30.12.2026 - 02.01.2027"], ["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02"]),
        (["02.01.2027 - 30.12.2026", "01.01.2020 - 01.01.2027", "31.02.2027", "soon", "", None, 5], []),
        ({"2026": {"12": {"31": "0"}}, "2027": {"1": {"1": "0", "2": 0}}}, ["2026-12-31", "2027-01-01", "2027-01-02"]),
        ({"2026": {"13": {"1": 0}, "2": {"30": 0}, "3": []}, "x": {"1": {"1": 0}}, "2027": []}, []),
        (None, []),
    ],
)
def test_days_off_of_a_work_schedule(exclusions: Any, days: list[str]) -> None:
    found = translate.with_schedule(PLAYBOOK, schedule(shift(28_800, 61_200), exclusions=exclusions))
    assert found.days_off == PLAYBOOK.days_off | {date.fromisoformat(day) for day in days}


@pytest.mark.parametrize("own", [None, [], "no", {}])
def test_a_schedule_without_a_calendar(own: Any) -> None:
    assert translate.with_schedule(PLAYBOOK, schedule(shift(0, 60), CALENDAR=own)).days_off == PLAYBOOK.days_off


PLACE = "Манежная улица 11, 119019 Москва, Россия"


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (f"{PLACE}|55.751686366595;37.611758708954|21", Address(PLACE, 55.751686366595, 37.611758708954)),
        (f"{PLACE}|55,75;-37,61", Address(PLACE, 55.75, -37.61)),
        (f"{PLACE}|;|21", Address(PLACE)),
        (f"{PLACE}||21", Address(PLACE)),
        (f"{PLACE}||", Address(PLACE)),
        (f"{PLACE}|", Address(PLACE)),
        (f" {PLACE} ", Address(PLACE)),
        ("Москва, , , Россия,|;|", Address("Москва, Россия")),
        ("|55.75;37.61|21", Address("", 55.75, 37.61)),
        ("кв. 5 | код 12", Address("кв. 5 | код 12")),
        ("кв. 5 | код 12|55.75;37.61|21", Address("кв. 5 | код 12", 55.75, 37.61)),
        (f"{PLACE}|north;east|21", Address(PLACE)),
        (f"{PLACE}|55.75;|21", Address(PLACE)),
        (f"{PLACE}|91;37|21", Address(PLACE)),
        (f"{PLACE}|55;-180.1|21", Address(PLACE)),
        (f"{PLACE}|nan;inf|21", Address(PLACE)),
        (f"{PLACE}|0;0|21", Address(PLACE)),
        (f"{PLACE}|51.48;0|21", Address(PLACE, 51.48, 0.0)),
        (["", f"{PLACE}|;|21", "Тверь"], Address(PLACE)),
        *((nothing, Address("")) for nothing in (None, "", [], {}, False, 5, [None])),
    ],
)
def test_addresses(value: Any, address: Address) -> None:
    assert translate.address_of(value) == address


@given(
    st.lists(st.text("аб 1|;-", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=3),
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.integers(0, 10**9),
)
def test_an_address_keeps_its_text_and_point(parts: list[str], latitude: float, longitude: float, id: int) -> None:
    text = ", ".join(parts)
    found = translate.address_of(f"{text}|{latitude};{longitude}|{id}")
    assert text.startswith(found.text)  # an own text may look like the parts behind it
    if "|" not in text:
        assert found.text == text
        assert (latitude, longitude) == (0, 0) or (found.latitude, found.longitude) == (latitude, longitude)


@given(st.one_of(st.text(), st.text("|;.-0159аб,"), st.lists(st.text(), max_size=2)))
def test_no_address_is_an_error(value: Any) -> None:
    found = translate.address_of(value)
    assert (found.latitude is None) == (found.longitude is None)
    assert found.latitude is None or (-90 <= found.latitude <= 90 and -180 <= (found.longitude or 0) <= 180)


def test_a_row_of_the_statistics() -> None:
    row = {
        "ID": "5",
        "CALL_ID": "externalCall.7b0c.1773",
        "CALL_TYPE": "2",
        "PORTAL_USER_ID": "9",
        "PHONE_NUMBER": "79123456789",
        "CALL_FAILED_CODE": "304",
        "CALL_START_DATE": "2026-11-23T10:00:00+03:00",
        "CRM_ENTITY_TYPE": "LEAD",
        "CRM_ENTITY_ID": "42",
        "CRM_ACTIVITY_ID": "7953",
    }
    assert translate.statistic_of(row) == PhoneCall(
        "externalCall.7b0c.1773", 2, "79123456789", 9, "304", utc(2026, 11, 23, 7), ItemRef(LEAD, 42), 7953
    )
    nothing = translate.statistic_of(dict.fromkeys(row))
    assert nothing == PhoneCall("", None)


@pytest.mark.parametrize(
    ("value", "owner"),
    [
        ({"OWNER_TYPE_ID": "1", "OWNER_ID": "42"}, ItemRef(LEAD, 42)),
        ({"OWNER_TYPE_ID": "3", "OWNER_ID": "7"}, ItemRef(CONTACT, 7)),
        ({"OWNER_TYPE_ID": "7", "OWNER_ID": "7"}, None),  # a quote
        ({"OWNER_TYPE_ID": "1", "OWNER_ID": None}, None),
        ([], None),
    ],
)
def test_whose_activity_it_is(value: Any, owner: ItemRef | None) -> None:
    assert translate.activity_owner(value) == owner


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"LEAD": [1, "2"], "CONTACT": ["7"]}, {LEAD: (1, 2), CONTACT: (7,)}),
        ({"COMPANY": []}, {COMPANY: ()}),
        ([], {}),
        ({"LEAD": ""}, {}),
    ],
)
def test_duplicates(value: Any, found: Any) -> None:
    assert translate.duplicates_of(value) == found


@pytest.mark.parametrize(
    ("document_id", "item"),
    [
        (["crm", "CCrmDocumentLead", "LEAD_456"], ItemRef(LEAD, 456)),
        (["crm", "CCrmDocumentDeal", "DEAL_7"], ItemRef(DEAL, 7)),
        (["crm", "Bitrix\\Crm\\Integration\\BizProc\\Document\\Dynamic", "DYNAMIC_147_12"], ItemRef(147, 12)),
        (["crm", "CCrmDocumentLead", "LEAD_"], None),
        (["crm", "CCrmDocumentLead"], None),
        (["lists", "BizprocDocument", "77"], None),
        ("LEAD_456", None),
        (None, None),
    ],
)
def test_the_document_of_a_robot(document_id: Any, item: ItemRef | None) -> None:
    assert translate.document_item(document_id) == item


@pytest.mark.parametrize(
    ("value", "id"),
    [("user_15", 15), ("15", 15), (15, 15), (["user_15", "user_16"], 15), ([], None), ("", None), (None, None)],
)
def test_the_user_property_of_a_robot(value: Any, id: int | None) -> None:
    assert translate.user_property(value) == id


@pytest.mark.parametrize(
    ("text", "key", "readable"),
    [
        ("+79123456789", "+79123456789", "+7 912 345-67-89"),
        ("79123456789", "+79123456789", "+7 912 345-67-89"),
        ("89123456789", "+79123456789", "+7 912 345-67-89"),
        ("8 (912) 345-67-89", "+79123456789", "+7 912 345-67-89"),
        ("+7 912 345 67 89", "+79123456789", "+7 912 345-67-89"),
        ("9123456789", "+79123456789", "+7 912 345-67-89"),
        ("+375291234567", "+375291234567", "+375 29 123-45-67"),
        ("375291234567", "+375291234567", "+375 29 123-45-67"),
        ("84951234567", "+74951234567", "+7 495 123-45-67"),
        ("102", "102", "102"),
        ("anonymous", "anonymous", "anonymous"),
        ("", "", ""),
    ],
)
def test_numbers_with_and_without_plus(text: str, key: str, readable: str) -> None:
    assert translate.phone_key(text, "RU") == key
    assert translate.phone_text(text, "RU") == readable


def test_what_is_no_number_is_kept_short() -> None:
    assert translate.phone_key("x" * 500, "RU") == "x" * 32
