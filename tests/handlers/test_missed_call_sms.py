"""CB-11: a missed call is told by SMS to the head or to named people, once, where the playbook says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fake_gateway import FakeGateway, fake_gateway
from scripted_company import PHONE, Company
from scripted_portal import ANNA, BORIS, HEAD, Bench, ScriptedRest

from b24app.bitrix.portal import Portal
from b24app.config import SmsSection
from b24app.engine.declare import Catalogue
from b24app.playbook import parse_playbook
from b24app.sms.gateway import HttpGateway
from b24app.store import schema
from b24app.store.database import Database
from handlers import HANDLERS, TIMERS


class SmsBench(Bench):
    """A bench whose portal has this gateway."""

    gateway: FakeGateway

    def open_portal(self, member_id: str, urgent: bool = False) -> Portal:
        """Returns the portal with the gateway."""
        portal = super().open_portal(member_id, urgent)
        portal.sms = HttpGateway(
            SmsSection(url=self.gateway.url, fields={"to": "{phone}", "msg": "{text}"}, sent="sms_id")
        )
        return portal


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as one:
        yield one


@pytest.fixture
def company() -> Company:
    company = Company()
    company.people[HEAD]["PERSONAL_MOBILE"] = "8 916 200-00-03"
    company.people[ANNA]["WORK_PHONE"] = "+7 916 200-00-04"
    company.people[BORIS]["WORK_PHONE"] = "8 495 123-45-67"
    return company


def office(
    database: Database,
    company: Company,
    gateway: FakeGateway,
    setting: str,
    quiet: tuple[str, str] = ("00:00", "00:00"),
) -> SmsBench:
    playbook = parse_playbook(
        'name = "x"\n[assignment]\ndepartment = "Продажи"\nclock = "required"\n'
        '[hours]\ntime_zone = "UTC"\ncountry = ""\n'
        f"[intake]\n{setting}\n[sms]\nquiet_from = {quiet[0]}:00\nquiet_to = {quiet[1]}:00\n",
        "x",
    )
    bench = SmsBench(database, ScriptedRest(company), Catalogue(handlers=HANDLERS, timers=TIMERS), playbook=playbook)
    bench.gateway = gateway
    return bench


def call(bench: Bench, company: Company, code: str, times: int = 1) -> None:
    """Telephony tells the end of one call, `times` times."""
    company.call("c1", code, of=("LEAD", company.make()))
    data: dict[str, Any] = {"CALL_ID": "c1", "CALL_TYPE": "2", "PHONE_NUMBER": PHONE, "PORTAL_USER_ID": "9"}
    for _ in range(times):
        bench.event("ONVOXIMPLANTCALLEND", "call:c1", {**data, "CALL_FAILED_CODE": code}, priority=10)
        bench.run()


@pytest.mark.parametrize(
    ("to", "numbers"),
    [
        ('"head"', ["79162000003"]),
        (f"[{ANNA}, {HEAD}]", ["79162000004", "79162000003"]),
        (f"[{BORIS}, {ANNA}]", ["79162000004"]),  # a landline gets none
        (f"[{BORIS}]", []),
    ],
)
def test_cb11_the_named_people_get_the_clients_number(
    database: Database, company: Company, gateway: FakeGateway, to: str, numbers: list[str]
) -> None:
    setting = f'missed_call_sms = {{ to = {to}, text = "Пропущен {{phone}}" }}'
    call(office(database, company, gateway, setting), company, "304", times=2)
    assert [one["to"] for one in gateway.sent] == numbers
    assert {one["msg"] for one in gateway.sent} <= {"Пропущен +7 912 345-67-89"}


@pytest.mark.parametrize(("setting", "code"), [("", "304"), ('missed_call_sms = { to = "head" }', "200")])
def test_cb11_no_message_where_none_is_wanted_or_somebody_answered(
    database: Database, company: Company, gateway: FakeGateway, setting: str, code: str
) -> None:
    call(office(database, company, gateway, setting), company, code)
    assert gateway.asked == []


def test_cb11_a_dismissed_person_gets_none(database: Database, company: Company, gateway: FakeGateway) -> None:
    company.people[ANNA]["ACTIVE"] = False
    call(office(database, company, gateway, f"missed_call_sms = {{ to = [{ANNA}] }}"), company, "304")
    assert gateway.asked == []


def test_cb11_an_unknown_outcome_for_one_is_no_second_message_and_the_others_get_theirs(
    database: Database, company: Company, gateway: FakeGateway
) -> None:
    gateway.cues = ["garbage"]
    call(office(database, company, gateway, f"missed_call_sms = {{ to = [{ANNA}, {HEAD}] }}"), company, "304")
    assert [one["to"] for one in gateway.asked for one in [one["fields"]]] == ["79162000004", "79162000003"]


def test_cb11_however_long_the_quiet_hours_it_waits_for_their_end(
    database: Database, company: Company, gateway: FakeGateway
) -> None:
    now = datetime.now(UTC)
    night = (f"{now - timedelta(hours=2):%H:%M}", f"{now + timedelta(hours=14):%H:%M}")
    call(office(database, company, gateway, f"missed_call_sms = {{ to = [{ANNA}] }}", night), company, "304")
    assert gateway.asked == []
    with database.write() as connection:
        table = schema.deliveries
        (waiting,) = connection.execute(sa.select(table).where(table.c.state == "waiting")).mappings()
    assert (waiting["code"], f"{waiting['due_at']:%H:%M}") == ("missed_call_sms", night[1])


def test_cb11_a_call_whose_lead_was_assigned_already_is_told_too(
    database: Database, company: Company, gateway: FakeGateway
) -> None:
    bench = office(database, company, gateway, 'missed_call_sms = { to = "head" }')
    lead_id = company.make()
    company.call("c1", "304", of=("LEAD", lead_id))
    bench.event("ONCRMLEADADD", f"lead:{lead_id}", {"FIELDS": {"ID": str(lead_id)}})
    bench.run()
    data = {"CALL_ID": "c1", "CALL_TYPE": "2", "PHONE_NUMBER": PHONE, "PORTAL_USER_ID": "9", "CALL_FAILED_CODE": "304"}
    bench.event("ONVOXIMPLANTCALLEND", "call:c1", data, priority=10)
    bench.run()
    assert [one["to"] for one in gateway.sent] == ["79162000003"]
    assert len(company.tasks) == 1
