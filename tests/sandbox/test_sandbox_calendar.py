"""Calendars, and what people do by hand in them and in tasks: documented texts, times, recurrences, rights, events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from conftest import Listener  # type: ignore[import-not-found]

from sandbox.client import ControlFailed, Sandbox

EGOR, ANNA, HEAD = 9, 4, 3
MEETING = {"type": "user", "ownerId": EGOR, "name": "Замер", "from": "2026-12-01T10:00:00+03:00",
    "to": "2026-12-01T11:00:00+03:00"}  # fmt: skip
WEEK = {"from": "2026-11-30", "to": "2026-12-06"}


@pytest.fixture(scope="module")
def building() -> Iterator[Sandbox]:
    with Sandbox.start("--no-limits") as portal:
        yield portal


@pytest.fixture
def office(building: Sandbox) -> Sandbox:
    """One portal for many tests, with an empty calendar."""
    for one in building.state("calendar"):
        building.delete_entry(one["id"], user_id=1)
    building.set_person(EGOR, timezone="")
    return building


def added(portal: Sandbox, token: str = "", **facts: Any) -> int:
    return int(portal.result("calendar.event.add", {**MEETING, **facts}, token=token))


def entry(portal: Sandbox, number: int, token: str = "") -> Any:
    return portal.result("calendar.event.getbyid", {"id": number}, token=token)


# --- texts ------------------------------------------------------------------------------------------------------------


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in MEETING.items() if key != name}


SET = 'The required parameter "{}" for the method "{}" is not set'


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        *(("calendar.event.add", without(name), SET.format(name, "calendar.event.add")) for name in MEETING),
        ("calendar.event.add", {**MEETING, "auto_detect_section": "N"}, SET.format("section", "calendar.event.add")),
        ("calendar.event.add", {**MEETING, "name": ["x"]}, 'Invalid value for the parameter "name"'),
        ("calendar.event.add", {**MEETING, "description": ["x"]}, 'Invalid value for the parameter "description"'),
        ("calendar.event.add", {**MEETING, "ownerId": 999}, "Access denied"),
        (
            "calendar.event.add",
            {**MEETING, "section": 999},
            "You specified an invalid calendar section ID or the user does not have access to it",
        ),
        ("calendar.event.add", {**MEETING, "crm_fields": "L_1"}, "The list of event links to CRM must be an array"),
        ("calendar.event.add", {**MEETING, "from": "завтра"}, "An error occurred while creating the event"),
        ("calendar.event.add", {**MEETING, "to": "2026-11-01"}, "An error occurred while creating the event"),
        ("calendar.event.add", {**MEETING, "rrule": {"FREQ": "x"}}, "An error occurred while creating the event"),
        ("calendar.event.add", {**MEETING, "timezone_from": "Луна"}, "An error occurred while creating the event"),
        *(
            ("calendar.event.update", {"id": 1, "type": "user", "ownerId": 9} | {name: None},
             SET.format(name, "calendar.event.update") + ".")
            for name in ("id", "type", "ownerId")
        ),
        (
            "calendar.event.update",
            {"id": 1, "type": "user", "ownerId": 9, "name": ["x"]},
            'Invalid value for the "name" parameter.',
        ),
        (
            "calendar.event.update",
            {"id": 1, "type": "user", "ownerId": 9, "recurrence_mode": "some"},
            "An invalid editing type for the recurring event is specified.",
        ),
        (
            "calendar.event.update",
            {"id": 1, "type": "user", "ownerId": 9, "crm_fields": "L_1"},
            "The event's CRM links list must be an array.",
        ),
        (
            "calendar.event.update",
            {"id": 99, "type": "user", "ownerId": 9},
            "An error occurred while changing the event.",
        ),
        ("calendar.event.update", {"id": 1, "type": "user", "ownerId": 99}, "Access denied."),
        ("calendar.event.delete", {}, "Event id not specified"),
        ("calendar.event.delete", {"id": "x"}, "Event id not specified"),
        ("calendar.event.delete", {"id": 99}, "An error occurred while deleting the event"),
        ("calendar.event.getbyid", {}, SET.format("id", "calendar.event.getbyid")),
        ("calendar.event.get", {}, 'Required parameter "type" is not specified for method "calendar.event.get"'),
        ("calendar.event.get.nearest", {"type": "x"}, "Access denied"),
        *(
            (
                "calendar.accessibility.get",
                {"users": [1], "from": "2026-12-01", "to": "2026-12-01"} | {name: ""},
                SET.format(name, "calendar.accessibility.get") + ".",
            )
            for name in ("users", "from", "to")
        ),
        ("calendar.meeting.status.get", {}, SET.format("eventId", "calendar.meeting.status.set")),
        ("calendar.meeting.status.get", {"eventId": 99}, "An error occurred while retrieving the status"),
        ("calendar.meeting.status.set", {"eventId": 1}, SET.format("status", "calendar.meeting.status.set")),
        ("calendar.meeting.status.set", {"eventId": 1, "status": "H"}, 'Invalid value for the parameter "status"'),
        ("calendar.section.get", {}, SET.format("type", "calendar.section.get")),
        ("calendar.section.get", {"type": "group"}, SET.format("ownerId", "calendar.section.get")),
        ("calendar.section.add", {"name": "x"}, SET.format("type", "calendar.section.add") + "."),
        ("calendar.section.add", {"type": "user"}, 'Invalid value for the "name" parameter'),
        ("calendar.section.update", {"type": "user", "ownerId": 1}, "Section ID is not set"),
        ("calendar.section.update", {"type": "user", "ownerId": 1, "id": 99}, "Access denied"),
        ("calendar.section.delete", {"type": "user", "ownerId": 1}, "Section ID is not set."),
        ("calendar.section.delete", {"type": "user", "ownerId": 1, "id": 99}, "Access denied."),
    ],
)  # fmt: skip
def test_a_refusal_has_the_text_of_its_page(office: Sandbox, method: str, params: Any, text: str) -> None:
    number = added(office)
    if params.get("id") == 1:
        params = {**params, "id": number}
    answer = office.call(method, params)
    assert (answer["error"], answer["error_description"]) == ("", text)


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "zone", "shown", "stamp"),
    [
        ({"from": "2026-12-01T10:00:00+03:00"}, "Asia/Yekaterinburg", "01.12.2026 12:00:00", 1796108400),
        # An offset of its own makes timezone_from void.
        ({"from": "2026-12-01T10:00:00+03:00", "timezone_from": "Asia/Tokyo"}, "Asia/Yekaterinburg",
         "01.12.2026 12:00:00", 1796108400),
        ({"from": "2026-12-01T07:00:00Z"}, "Asia/Yekaterinburg", "01.12.2026 12:00:00", 1796108400),
        ({"from": "2026-12-01 10:00:00", "timezone_from": "Europe/Berlin"}, "Europe/Berlin",
         "01.12.2026 10:00:00", 1796115600),
        # Without both it is the time of the person on whose behalf the method runs.
        ({"from": "2026-12-01T10:00:00"}, "Asia/Yekaterinburg", "01.12.2026 10:00:00", 1796101200),
        ({"from": "01.12.2026 10:00:00"}, "Asia/Yekaterinburg", "01.12.2026 10:00:00", 1796101200),
        ({"from": None, "from_ts": 1796108400}, "Asia/Yekaterinburg", "01.12.2026 12:00:00", 1796108400),
    ],
)  # fmt: skip
def test_a_time_is_read_in_the_documented_zone(
    office: Sandbox, given: dict[str, Any], zone: str, shown: str, stamp: int
) -> None:
    office.set_person(EGOR, timezone="Asia/Yekaterinburg")
    number = added(office, office.token_of(EGOR), **{**given, "to": None, "to_ts": stamp + 3600})
    made = entry(office, number, office.token_of(EGOR))
    assert (made["TZ_FROM"], made["DATE_FROM"], made["DATE_FROM_TS_UTC"]) == (zone, shown, str(stamp))
    assert made["DT_LENGTH"] == 3600


def test_a_day_without_times_ends_on_its_last_day(office: Sandbox) -> None:
    number = added(office, **{"from": "2026-12-01", "to": "2026-12-02", "skip_time": "Y"})
    made = entry(office, number)
    assert (made["DATE_FROM"], made["DATE_TO"]) == ("01.12.2026 00:00:00", "02.12.2026 00:00:00")
    assert (made["DT_SKIP_TIME"], made["DT_LENGTH"]) == ("Y", 172800)
    assert entry(office, number)["~USER_OFFSET_FROM"] == 0
    ask = {"users": [EGOR], "from": "2026-12-03", "to": "2026-12-03"}
    assert office.result("calendar.accessibility.get", ask) == {"9": []}


# --- recurrences ------------------------------------------------------------------------------------------------------

RULES = [
    ({"FREQ": "DAILY", "COUNT": 3}, ["01", "02", "03"]),
    ({"FREQ": "DAILY", "INTERVAL": 2, "UNTIL": "2026-12-05"}, ["01", "03", "05"]),
    ({"FREQ": "WEEKLY", "BYDAY": ["TU", "TH"], "COUNT": 3}, ["01", "03"]),
    ({"FREQ": "WEEKLY", "BYDAY": {"WE": "WE"}, "UNTIL": "31.12.2026"}, ["02"]),
    ({"FREQ": "MONTHLY"}, ["01"]),
    ({"FREQ": "NONE"}, ["01"]),
]


@pytest.mark.parametrize(("rule", "days"), RULES)
def test_a_recurring_entry_takes_every_one_of_its_times(office: Sandbox, rule: dict[str, Any], days: list[str]) -> None:
    number = added(office, rrule=rule)
    listed = office.result("calendar.event.get", {"type": "user", "ownerId": EGOR, **WEEK})
    busy = office.result("calendar.accessibility.get", {"users": [EGOR], **WEEK})["9"]
    for found in (listed, busy):
        assert [one["DATE_FROM"] for one in found] == [f"{day}.12.2026 10:00:00" for day in days]
        assert {one["ID"] for one in found} == {str(number)}


def test_a_rule_is_printed_as_the_page_shows_it(office: Sandbox) -> None:
    number = added(office, rrule={"FREQ": "WEEKLY", "BYDAY": ["TU", "TH"], "UNTIL": "2026-12-24"})
    made = entry(office, number)
    assert made["RRULE"] == {
        "FREQ": "WEEKLY", "BYDAY": {"TU": "TU", "TH": "TH"}, "INTERVAL": 1, "UNTIL": "24.12.2026",
        "~UNTIL": "24.12.2026", "UNTIL_TS": 1798059600,
    }  # fmt: skip
    assert made["~RRULE_DESCRIPTION"] == "каждую неделю: Вт, Чт, с 01.12.2026 до 24.12.2026"


def test_one_time_of_a_series_is_changed_alone(office: Sandbox) -> None:
    number = added(office, rrule={"FREQ": "DAILY", "COUNT": 5})
    change = {
        "id": number, "type": "user", "ownerId": EGOR, "recurrence_mode": "this", "current_date_from": "2026-12-02",
        "name": "Перенесён", "from": "2026-12-02T15:00:00", "to": "2026-12-02T16:00:00",
    }  # fmt: skip
    made = office.result("calendar.event.update", change)
    assert (made["id"], made["originalDate"], made["instanceTz"]) == (
        number, "02.12.2026 10:00:00", "Europe/Moscow",
    )  # fmt: skip
    alone = entry(office, made["recEventId"])
    assert (alone["NAME"], alone["DATE_FROM"], alone["RRULE"]) == ("Перенесён", "02.12.2026 15:00:00", "")
    assert (alone["RECURRENCE_ID"], alone["ORIGINAL_DATE_FROM"]) == (number, "02.12.2026 10:00:00")
    assert alone["RELATIONS"] == {"ORIGINAL_RECURSION_ID": number, "COMMENT_XML_ID": f"EVENT_{number}_02.12.2026"}
    assert entry(office, number)["EXDATE"] == "02.12.2026"
    busy = office.result("calendar.accessibility.get", {"users": [EGOR], **WEEK})["9"]
    assert [one["DATE_FROM"][:13] for one in busy] == [
        "01.12.2026 10", "02.12.2026 15", "03.12.2026 10", "04.12.2026 10", "05.12.2026 10",
    ]  # fmt: skip
    assert office.call("calendar.event.update", change)["error_description"].startswith("An error occurred")


def test_a_time_and_all_that_follow_become_a_series_of_their_own(office: Sandbox) -> None:
    number = added(office, rrule={"FREQ": "DAILY", "COUNT": 5})
    change = {"id": number, "type": "user", "ownerId": EGOR, "recurrence_mode": "next", "name": "Дальше"}
    office.result("calendar.event.update", {**change, "current_date_from": "2026-12-03"})
    listed = office.result("calendar.event.get", {"type": "user", "ownerId": EGOR, **WEEK})
    assert [(one["DATE_FROM"][:2], one["NAME"]) for one in listed] == [
        ("01", "Замер"), ("02", "Замер"), ("03", "Дальше"), ("04", "Дальше"), ("05", "Дальше"),
    ]  # fmt: skip
    whole = office.result("calendar.event.update", {**change, "recurrence_mode": "all", "name": "Все"})
    assert whole == number


# --- meetings, rights, what else the pages say ------------------------------------------------------------------------


def test_an_update_keeps_or_clears_attendees_as_its_page_warns(office: Sandbox) -> None:
    egor = office.token_of(EGOR)
    number = added(office, egor, is_meeting="Y", attendees=[ANNA])
    assert [one["id"] for one in entry(office, number)["ATTENDEE_LIST"]] == [EGOR, ANNA]
    base = {"id": number, "type": "user", "ownerId": EGOR}
    office.result("calendar.event.update", {**base, "name": "Иначе"}, token=egor)
    assert len(entry(office, number)["ATTENDEE_LIST"]) == 2
    denied = office.call("calendar.event.update", {**base, "name": "x"})
    assert denied["error_description"] == "Access denied."
    office.result("calendar.event.update", {**base, "name": "x", "host": EGOR})
    office.result("calendar.event.update", {**base, "is_meeting": "Y"}, token=egor)
    assert entry(office, number)["ATTENDEE_LIST"] == []


def test_a_declined_meeting_takes_no_time(office: Sandbox) -> None:
    number = added(office, office.token_of(EGOR), is_meeting="Y", attendees=[ANNA])
    ask = {"users": [ANNA], **WEEK}
    assert len(office.result("calendar.accessibility.get", ask)["4"]) == 1
    anna = office.token_of(ANNA)
    assert office.result("calendar.event.getbyid", {"id": number}, token=anna)["MEETING_STATUS"] == "Q"
    office.control("POST", f"calendar/{number}/answer", {"user_id": ANNA, "status": "N"})
    assert office.result("calendar.meeting.status.get", {"eventId": number}, token=anna) == "N"
    assert office.result("calendar.accessibility.get", ask)["4"] == []


@pytest.mark.parametrize(
    ("person", "seen"), [(1, True), (EGOR, True), (10, False), (ANNA, False)], ids=["admin", "owner", "peer", "other"]
)
def test_an_entry_is_read_by_those_who_may(office: Sandbox, person: int, seen: bool) -> None:
    number = added(office)
    token = office.token_of(person)
    assert (entry(office, number, token) is not None) == seen
    ask = {"type": "user", "ownerId": EGOR, **WEEK}
    assert bool(office.result("calendar.event.get", ask, token=token)) == seen
    # That the time is taken everybody may know.
    assert office.result("calendar.accessibility.get", {"users": [EGOR], **WEEK}, token=token)["9"]


def test_a_head_sees_the_calendars_of_his_people_unless_settings_forbid(office: Sandbox) -> None:
    number = added(office, ownerId=ANNA)
    head = office.token_of(HEAD)
    assert entry(office, number, head)["ID"] == str(number)
    office.control("PATCH", "settings", {"calendar": {"dep_manager_sub": False}})
    assert entry(office, number, head) is None
    office.control("PATCH", "settings", {"calendar": {}})


def test_the_company_calendar_is_everybodys_and_has_no_owner(office: Sandbox) -> None:
    number = added(office, type="company_calendar", ownerId="")
    found = office.result("calendar.event.get", {"type": "company_calendar", "ownerId": "", **WEEK})
    assert [one["ID"] for one in found] == [str(number)]
    nearest = {"type": "company_calendar", "ownerId": "", "forCurrentUser": False, "days": 400}
    assert [one["ID"] for one in office.result("calendar.event.get.nearest", nearest)] == [str(number)]
    assert office.result("calendar.event.get", {"type": "user", "ownerId": "", **WEEK}) == []


def test_own_calendars_need_no_owner(office: Sandbox) -> None:
    token = office.token_of(ANNA)
    own = office.result("calendar.section.get", {"type": "user"}, token=token)
    assert [(one["OWNER_ID"], one["PERM"]["edit"]) for one in own] == [("4", True)]
    datetime.strptime(own[0]["DATE_CREATE"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the portal prints no zone
    other = office.result("calendar.section.get", {"type": "user", "ownerId": EGOR}, token=token)
    assert [(one["PERM"]["view_time"], one["PERM"]["view_title"], one["PERM"]["edit"]) for one in other] == [
        (True, False, False)
    ]
    made = office.result("calendar.section.add", {"type": "user", "name": "Ещё"}, token=token)
    assert office.result("calendar.section.delete", {"type": "user", "id": made}, token=token) is True


# --- by hand ----------------------------------------------------------------------------------------------------------


def bound(portal: Sandbox, listener: Listener, *names: str) -> None:
    token = portal.token_of(1)
    for name in names:
        portal.result("event.bind", {"event": name, "handler": listener.url + "/e"}, token=token)


def test_a_person_adds_moves_and_deletes_an_entry_by_hand(installed: Sandbox, listener: Listener) -> None:
    bound(installed, listener, *(f"ONCALENDARENTRY{change}" for change in ("ADD", "UPDATE", "DELETE")))
    made = installed.create_entry(
        EGOR, "Занят", "2026-12-01T10:00:00+03:00", "2026-12-01T11:30:00+03:00", description="У зубного",
        location="Поликлиника", crm=["L_1"],
    )  # fmt: skip
    shown = installed.entry(made["id"])
    expected = {
        "type": "user", "owner_id": EGOR, "created_by": EGOR, "name": "Занят", "description": "У зубного",
        "from": "2026-12-01T10:00:00+03:00", "to": "2026-12-01T11:30:00+03:00", "accessibility": "busy",
        "location": "Поликлиника", "crm": ["L_1"],
    }  # fmt: skip
    assert {name: shown[name] for name in expected} == expected
    moved = installed.change_entry(made["id"], start="2026-12-02T12:00:00+03:00")
    assert (moved["from"], moved["to"]) == ("2026-12-02T12:00:00+03:00", "2026-12-02T13:30:00+03:00")
    installed.change_entry(made["id"], start="2026-12-02T12:00:00+03:00")
    installed.delete_entry(made["id"])
    installed.wait_quiet()
    assert installed.state("calendar") == []
    told = {(post["form"]["event"], post["form"]["data[id]"]) for post in listener.posts}
    assert len(listener.posts) == 3
    assert told == {(f"ONCALENDARENTRY{change}", str(made["id"])) for change in ("ADD", "UPDATE", "DELETE")}
    assert not any(key.startswith("data[") and key != "data[id]" for post in listener.posts for key in post["form"])


def test_hands_have_the_rights_of_their_person(office: Sandbox) -> None:
    own = office.create_entry(EGOR, "x", "2026-12-01T10:00:00+03:00", "2026-12-01T11:00:00+03:00")["id"]
    for refused in (
        lambda: office.create_entry(EGOR, "x", "2026-12-01T10:00:00", "2026-12-01T11:00:00", user_id=10),
        lambda: office.change_entry(own, name="y", user_id=10),
        lambda: office.delete_entry(own, user_id=10),
        lambda: office.change_entry(own, end="2026-11-30"),
        lambda: office.change_entry(own, accessibility="gone"),
        lambda: office.create_entry(EGOR, "x", "завтра", "послезавтра"),
        lambda: office.change_entry(own, colour=1),
        lambda: office.change_entry(999, name="y"),
    ):
        with pytest.raises(ControlFailed, match=r"40[04]"):
            refused()
    assert office.change_entry(own, user_id=1, name="y")["name"] == "y"
    office.delete_entry(own, user_id=1)


def test_one_time_of_a_series_is_moved_or_left_out_by_hand(office: Sandbox) -> None:
    rule = {"FREQ": "DAILY", "COUNT": 3}
    number = office.create_entry(EGOR, "x", "2026-12-01T10:00:00+03:00", "2026-12-01T11:00:00+03:00", rrule=rule)["id"]
    alone = office.change_entry(number, occurrence="2026-12-02", start="2026-12-02T12:00:00+03:00")
    assert (alone["from"], alone["recurrence_id"]) == ("2026-12-02T12:00:00+03:00", number)
    office.delete_entry(number, occurrence="2026-12-03")
    with pytest.raises(ControlFailed, match="404"):
        office.delete_entry(number, occurrence="2026-12-03")
    busy = office.result("calendar.accessibility.get", {"users": [EGOR], **WEEK})["9"]
    assert {one["DATE_FROM_TS_UTC"] for one in busy} == {"1796108400", "1796202000"}


def test_an_absence_shows_in_the_shape_of_the_personnel_department(office: Sandbox) -> None:
    absent = {"from": "2026-12-01T00:00:00+03:00", "to": "2026-12-05T00:00:00+03:00", "name": "Больничный"}
    office.set_person(10, absent=absent)
    found = office.result("calendar.accessibility.get", {"users": [10], **WEEK})["10"]
    assert found == [
        {
            "ID": found[0]["ID"], "FROM_HR": True, "NAME": "Больничный", "DT_FROM": "01.12.2026 00:00:00",
            "DT_TO": "05.12.2026 00:00:00", "ACCESSIBILITY": "absent", "IMPORTANCE": "normal", "FROM": 1796072400,
            "TO": 1796418000,
        }
    ]  # fmt: skip
    office.set_person(10, absent=None)
    assert office.result("calendar.accessibility.get", {"users": [10], **WEEK})["10"] == []


# --- people and schedules ---------------------------------------------------------------------------------------------


def test_measurers_have_phones_and_a_zone_that_people_change(office: Sandbox) -> None:
    names = ("PERSONAL_MOBILE", "WORK_PHONE", "TIME_ZONE", "ACTIVE")

    def of(number: int) -> tuple[Any, ...]:
        row = office.result("user.get", {"ID": number})[0]
        return tuple(row[name] for name in names)

    assert of(10) == ("+79162000010", "+74951234567", "Europe/Moscow", True)
    office.set_person(10, mobile="+79990000000", work_phone="", timezone="Asia/Omsk", active=False)
    assert of(10) == ("+79990000000", "", "Asia/Omsk", False)
    office.set_person(10, mobile="+79162000010", work_phone="+74951234567", timezone="Europe/Moscow", active=True)
    with pytest.raises(ControlFailed, match="timezone"):
        office.set_person(10, timezone="Луна")


def test_a_schedule_is_defined_and_read(office: Sandbox) -> None:
    usual = office.result("timeman.schedule.get", {"id": 1})
    assert (usual["SHIFTS"][0]["WORK_TIME_START"], usual["SHIFTS"][0]["WORK_DAYS"]) == (32400, "12345")
    assert office.result("timeman.schedule.get", {"id": 77}) == []
    assert office.result("timeman.schedule.get") == []
    shifts = [{"start": "08:00", "end": "12:30", "days": "67"}, {"start": 46800, "end": "19:00", "days": "135"}]
    made = office.set_schedule(77, name="Замеры", type="SHIFT", shifts=shifts, exclusions=["2026-12-31"])
    found = office.result("timeman.schedule.get", {"id": made["id"]}, token=office.token_of(EGOR))
    assert (found["ID"], found["NAME"], found["SCHEDULE_TYPE"], found["IS_FOR_ALL_USERS"]) == (
        77,
        "Замеры",
        "SHIFT",
        False,
    )
    assert [(one["WORK_TIME_START"], one["WORK_TIME_END"], one["WORK_DAYS"]) for one in found["SHIFTS"]] == [
        (28800, 45000, "67"), (46800, 68400, "135"),
    ]  # fmt: skip
    assert found["CALENDAR"]["EXCLUSIONS"] == ["2026-12-31"]
    assert set(found) == set(usual)
    office.control("DELETE", "schedules/77")
    assert office.result("timeman.schedule.get", {"id": 77}) == []
    for wrong in ({"type": "x"}, {"shifts": [{"start": "25:00"}]}, {"shifts": [{"days": "8"}]}, {"shifts": "x"}):
        with pytest.raises(ControlFailed, match="400"):
            office.set_schedule(**wrong)


# --- tasks ------------------------------------------------------------------------------------------------------------

START, END = "2026-12-01T10:00:00+03:00", "2026-12-01T12:00:00+03:00"


def new_task(portal: Sandbox, **fields: Any) -> int:
    given = {"TITLE": "Замер", "RESPONSIBLE_ID": EGOR, **fields}
    return int(portal.result("tasks.task.add", {"fields": given})["task"]["id"])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"START_DATE_PLAN": START}, "передаются вместе"),
        ({"END_DATE_PLAN": END}, "передаются вместе"),
        ({"START_DATE_PLAN": END, "END_DATE_PLAN": START}, "раньше даты начала"),
        ({"START_DATE_PLAN": START, "END_DATE_PLAN": "2199-01-01"}, "слишком большая"),
        ({"START_DATE_PLAN": "когда-нибудь", "END_DATE_PLAN": END}, "формат даты"),
    ],
)
def test_a_wrong_plan_of_a_task_is_refused(office: Sandbox, fields: dict[str, Any], text: str) -> None:
    number = new_task(office)
    add = {"fields": {"TITLE": "x", "RESPONSIBLE_ID": EGOR, **fields}}
    for method, params in (("tasks.task.add", add), ("tasks.task.update", {"taskId": number, "fields": fields})):
        answer = office.call(method, params)
        assert answer["error"] == "ERROR_CORE"
        assert text in answer["error_description"]
        assert answer["error_description"].endswith("<br>")


def test_a_plan_of_a_task_is_kept_by_both_versions(office: Sandbox) -> None:
    number = new_task(office, START_DATE_PLAN=START, END_DATE_PLAN=END)
    read = office.result("tasks.task.get", {"taskId": number, "select": ["START_DATE_PLAN", "END_DATE_PLAN"]})["task"]
    assert (read["startDatePlan"], read["endDatePlan"]) == (START, END)
    hook = office.ready["webhook"].replace("/rest/", "/rest/api/")
    later = {"id": number, "fields": {"endPlan": "2026-12-01T13:00:00+03:00"}}
    assert requests.post(hook + "tasks.task.update", json=later, timeout=10).json()["result"] == {"result": True}
    item = requests.post(hook + "tasks.task.get", json={"id": number}, timeout=10).json()["result"]["item"]
    assert (item["startPlan"], item["endPlan"]) == (START, "2026-12-01T13:00:00+03:00")
    shown = office.task(number)
    assert (shown["start_plan"], shown["end_plan"]) == (START, "2026-12-01T13:00:00+03:00")
    assert office.change_task(number, start_plan=None, end_plan=None)["start_plan"] is None


def test_people_act_on_tasks_by_hand_and_applications_hear(installed: Sandbox, listener: Listener) -> None:
    bound(installed, listener, "ONTASKUPDATE", "ONTASKDELETE", "ONTASKCOMMENTADD")
    number = new_task(installed)
    item = installed.result("task.checklistitem.add", {"TASKID": number, "FIELDS": {"TITLE": "Рулетка"}})
    installed.wait_quiet()
    listener.posts.clear()
    ticked = installed.tick(number, "Рулетка")
    assert [(one["done"], one["done_by"]) for one in ticked["checklist"] if one["id"] == item] == [(True, EGOR)]
    assert installed.tick(number, item, done=False)["checklist"][-1]["done"] is False
    assert installed.act_on_task(number, "complete")["status"] == 5
    assert installed.act_on_task(number, "renew", user_id=1)["status"] == 2
    assert installed.change_task(number, deadline=END, title="Замер кухни")["deadline"] == END
    result = installed.write_result(number, "Замерил [B]всё[/B]")["results"][0]
    assert (result["text"], result["author_id"], result["status"]) == ("Замерил [B]всё[/B]", EGOR, "open")
    installed.delete_task(number)
    installed.wait_quiet()
    assert installed.state("tasks") == []
    # Each leaves by a thread of its own, so that they may arrive in another order.
    told = sorted(post["form"]["event"] for post in listener.posts)
    assert told == ["ONTASKCOMMENTADD", "ONTASKDELETE", *["ONTASKUPDATE"] * 5]
    message = next(post["form"] for post in listener.posts if post["form"]["event"] == "ONTASKCOMMENTADD")
    assert message["data[FIELDS_AFTER][MESSAGE_ID]"] == str(result["message_id"])
    gone = next(post["form"] for post in listener.posts if post["form"]["event"] == "ONTASKDELETE")
    fields = {"FIELDS_BEFORE][ID": str(number), "FIELDS_AFTER": "undefined", "IS_ACCESSIBLE_BEFORE": "undefined",
        "IS_ACCESSIBLE_AFTER": "N"}  # fmt: skip
    assert {key: gone[f"data[{key}]"] for key in fields} == fields


def test_results_written_by_hand_are_listed_and_close_with_the_task(office: Sandbox) -> None:
    number = new_task(office, SE_PARAMETER=[{"CODE": 3, "VALUE": "Y"}])
    refused = office.call("tasks.task.complete", {"taskId": number})
    assert (refused["error"], office.task(number)["needs_result"]) == ("0", True)
    with pytest.raises(ControlFailed, match="результата"):
        office.act_on_task(number, "complete")
    office.write_result(number, "Готово")
    listed = office.result("tasks.task.result.list", {"taskId": number})
    assert [(one["text"], one["commentId"], one["status"], one["createdBy"]) for one in listed] == [
        ("Готово", 0, 0, EGOR)
    ]
    assert listed[0]["files"] == []
    office.act_on_task(number, "complete")
    office.act_on_task(number, "renew")
    assert office.result("tasks.task.result.list", {"taskId": number})[0]["status"] == 1
    ask = {"filter": {"ID": number}, "select": ["ID"], "params": {"WITH_RESULT_INFO": True}}
    row = office.result("tasks.task.list", ask)["tasks"][0]
    assert (row["taskRequireResult"], row["taskHasResult"], row["taskHasOpenResult"]) == ("Y", "Y", "N")
    assert office.call("tasks.task.complete", {"taskId": number})["error"] == "0"


@pytest.mark.parametrize(
    ("params", "answer"),
    [
        ({"ITEMID": 99999}, False),
        ({"ITEMID": 0}, "TASKS_ERROR_ASSERT_EXCEPTION<br>"),
        ({"ITEMID": "x"}, 'ctaskchecklistitem::complete() expected to be of type "integer", but given something else.'),
        ({}, "Param #1 (itemId) expected by method ctaskchecklistitem::complete(), but not given."),
    ],
)  # fmt: skip
def test_an_item_is_ticked_as_its_page_says(office: Sandbox, params: dict[str, Any], answer: Any) -> None:
    found = office.call("task.checklistitem.complete", {"TASKID": new_task(office), **params})
    if isinstance(answer, bool):
        assert found["result"] is answer
    else:
        assert answer in found["error_description"]


# --- places of the interface ------------------------------------------------------------------------------------------


def test_the_calendar_and_the_main_menu_open_an_application(installed: Sandbox, listener: Listener) -> None:
    token = installed.token_of(1)
    for code in ("CALENDAR_GRIDVIEW", "LEFT_MENU"):
        params = {"PLACEMENT": code, "HANDLER": listener.url + "/board", "TITLE": "Замеры", "OPTIONS": {"a": 1}}
        installed.result("placement.bind", params, token=token)
    # Neither place keeps OPTIONS of the registration.
    assert [one["options"] for one in installed.result("placement.get", token=token)] == [[], []]
    installed.open_calendar(EGOR, "2026-08-12", "2026-08-18")
    installed.open_menu(EGOR, "/crm/deal/")
    installed.open(EGOR, "CALENDAR_GRIDVIEW")
    told = [{**post["form"], **{key: values[-1] for key, values in parse_qs(post["path"].partition("?")[2]).items()}}
        for post in listener.posts]  # fmt: skip
    options = [json.loads(form["PLACEMENT_OPTIONS"]) for form in told]
    assert options[0] == {"viewRangeFrom": "2026-08-12", "viewRangeTo": "2026-08-18", "URI": "/calendar/"}
    assert options[1] == {"URI": "/crm/deal/"}
    first, last = (datetime.fromisoformat(options[2][name]) for name in ("viewRangeFrom", "viewRangeTo"))
    assert (first.weekday(), (last - first).days) == (0, 6)
    standard = {"DOMAIN", "PROTOCOL", "LANG", "APP_SID", "AUTH_ID", "AUTH_EXPIRES", "REFRESH_ID", "SERVER_ENDPOINT",
        "APPLICATION_TOKEN", "APPLICATION_SCOPE", "member_id", "status", "PLACEMENT", "PLACEMENT_OPTIONS"}  # fmt: skip
    assert [set(form) for form in told] == [standard] * 3
    assert installed.result("user.current", token=told[0]["AUTH_ID"])["ID"] == str(EGOR)


def test_places_are_hidden_until_the_installation_is_finished(portal: Sandbox) -> None:
    portal.application(handler="http://127.0.0.1:9/app", install="http://127.0.0.1:9/install")
    token = portal.token_of(1)
    for code in ("CALENDAR_GRIDVIEW", "LEFT_MENU"):
        portal.result("placement.bind", {"PLACEMENT": code, "HANDLER": "http://127.0.0.1:9/board"}, token=token)
    assert [one["shown"] for one in portal.state("placements")] == [False, False]
    for code in ("CALENDAR_GRIDVIEW", "LEFT_MENU"):
        with pytest.raises(ControlFailed, match="не завершена"):
            portal.open(1, code, send=False)
    portal.finish_install()
    for code in ("CALENDAR_GRIDVIEW", "LEFT_MENU"):
        assert portal.open(1, code, send=False)["fields"]["PLACEMENT"] == code
