"""The robot «Отправить SMS»: whom it writes to, what it plans, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fake_gateway import FakeGateway, fake_gateway
from scripted_company import Company
from scripted_portal import MEMBER, OWNER, Bench, ScriptedRest, lead, shape

from b24app import texting
from b24app.bitrix.portal import Portal
from b24app.config import SmsSection
from b24app.engine.clock import Clock
from b24app.engine.declare import Catalogue
from b24app.playbook import Playbook, parse_playbook
from b24app.sms.gateway import NO_GATEWAY, Gateway, HttpGateway
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import Memory, robot_key
from handlers import HANDLERS, TIMERS
from robots import ROBOTS
from robots.send_sms import ROBOT, answer


def quiet_playbook(begins: str = "00:00", ends: str = "00:00") -> Playbook:
    """Quiet hours of the office's zone, UTC; equal ones: none."""
    hours = f"quiet_from = {begins}:00\nquiet_to = {ends}:00\n"
    return parse_playbook(f'name = "x"\n[hours]\ntime_zone = "UTC"\ncountry = ""\n[sms]\n{hours}', "x")


def quiet_now(hours: float = 2) -> Playbook:
    """It is quiet now, and for these hours more."""
    now = datetime.now(UTC)
    return quiet_playbook(f"{now - timedelta(hours=1):%H:%M}", f"{now + timedelta(hours=hours):%H:%M}")


class SmsBench(Bench):
    """A bench whose portal has a gateway."""

    sms: Gateway = NO_GATEWAY

    def open_portal(self, member_id: str, urgent: bool = False) -> Portal:
        """Returns the portal with this bench's gateway."""
        return replace(super().open_portal(member_id, urgent), sms=self.sms)


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as one:
        yield one


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def bench(database: Database, company: Company, gateway: FakeGateway) -> SmsBench:
    catalogue = Catalogue(robots=ROBOTS, handlers=HANDLERS, timers=TIMERS)
    bench = SmsBench(database, ScriptedRest(company), catalogue, playbook=quiet_playbook())
    fields = {"to": "{phone}", "msg": "{text}"}
    bench.sms = HttpGateway(
        SmsSection(url=gateway.url, fields=fields, sent="sms_id", refused='"status_text": "([^"]+)"', timeout_seconds=1)
    )
    return bench


def order(bench: Bench, id: int, kind: str = "Lead", **properties: Any) -> dict[str, Any]:
    """Lets the robot run for an item; returns the values of its answer."""
    document = ["crm", f"CCrmDocument{kind}", f"{kind.upper()}_{id}"]
    entity = f"{kind.lower()}:{id}"
    asked = {"text": "Ждём вас", **properties}
    bench.robot("send_sms", entity, document_id=document, event_token=f"tok.{id}", properties=asked)
    bench.run()
    return dict(bench.rest.answer.answers[-1]["RETURN_VALUES"])  # type: ignore[attr-defined]


def timers(bench: Bench) -> list[Any]:
    with bench.database.read() as connection:
        return list(connection.execute(sa.select(schema.timers)).mappings())


def morning(bench: Bench) -> None:
    """The night is over: timers fall due, and it is quiet no more."""
    bench.playbook = quiet_playbook()
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.timers).values(due_at=datetime.now(UTC)))
    Clock(bench.inbox, bench.runner.catalogue, bench.rung.append).fire_timers(datetime.now(UTC))
    bench.run()


def composed(bench: Bench, **changes: Any) -> texting.Texting:
    values: dict[str, Any] = {"key": "k", "numbers": ["8 912 345-67-89"], "text": " Ждём [b]вас[/b] "}
    return texting.compose(bench.open_portal(MEMBER), lead(), **{**values, **changes})


def test_it_is_declared_in_two_languages_with_the_right_types() -> None:
    assert [(p.code, p.type, p.required) for p in ROBOT.properties] == [
        ("text", "text", True),
        ("phone", "string", False),
        ("quiet", "select", False),
    ]
    assert [(p.code, p.type) for p in ROBOT.returns] == [("sent", "bool"), ("reason", "string"), ("text", "string")]
    for part in (*ROBOT.properties, *ROBOT.returns):
        assert part.name["ru"] != part.name["en"]


def test_its_commands_are_the_message_its_record_its_refusal_and_its_doubt(bench: SmsBench) -> None:
    message = composed(bench)
    planned = texting.act(message)
    assert [(label, method, again, needs) for label, method, _, again, needs in shape(planned)] == [
        ("sms", "sms:send", "once", ()),
        ("sms_record", "crm.timeline.comment.add", "look_up", ("sms",)),
        ("sms_refused", "crm.timeline.comment.add", "look_up", ()),
        ("sms_check", "tasks.task.add v3", "keyed", ()),
    ]
    assert [(one.after.label, one.after.state) if one.after else None for one in planned] == [
        None,
        None,
        ("sms", "failed"),
        ("sms", "unknown"),
    ]
    sms, record, refused, check = (one.call.params for one in planned)
    assert (sms["phone"], sms["text"]) == ("+79123456789", "Ждём [b]вас[/b]")
    assert record["fields"]["COMMENT"] == f"[B]SMS на +7 912 345-67-89[/B]\nЖдём (b)вас(/b)\n{message.marker}"
    assert refused["fields"]["COMMENT"]["$reason"] == "sms"
    assert message.marker not in refused["fields"]["COMMENT"]["$after"]  # sent again by a person: another comment
    fields = check["fields"]
    assert (fields["responsibleId"], fields["creatorId"], fields["crmItemIds"]) == (9, OWNER, ["L_42"])
    assert fields["title"] == "Проверьте, дошло ли SMS клиенту: +7 912 345-67-89"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"numbers": []}, "телефона нет"),
        ({"numbers": ["8 495 123-45-67"]}, "городской"),
        ({"numbers": ["жене"]}, "не номер телефона"),
        ({"text": " \n"}, "текста нет"),
        ({"text": "я" * 403}, "длинно"),
    ],
)
def test_what_cannot_go_is_said_and_nothing_is_planned(bench: SmsBench, changes: dict[str, Any], why: str) -> None:
    message = composed(bench, **changes)
    assert texting.act(message) == []
    assert why in message.refusal
    reply = answer(message)
    assert reply.values["sent"] == "N"
    assert why in reply.values["reason"]
    assert why in reply.log


def test_the_longest_text_that_is_allowed_goes(bench: SmsBench) -> None:
    assert composed(bench, text="я" * 402).refusal == ""


# as the portal runs it


def test_a_lead_gets_its_message_and_the_stage_its_answer(
    bench: SmsBench, company: Company, gateway: FakeGateway
) -> None:
    values = order(bench, company.make())
    assert values == {"sent": "Y", "reason": "", "text": "Ждём вас"}
    assert gateway.sent == [{"to": "79123456789", "msg": "Ждём вас"}]
    assert "Ждём вас" in company.comments[0]["COMMENT"]


def test_the_named_phone_comes_before_the_cards(bench: SmsBench, company: Company, gateway: FakeGateway) -> None:
    order(bench, company.make(), phone="8 (916) 200-00-01")
    assert [one["to"] for one in gateway.sent] == ["79162000001"]


def test_a_deal_without_a_phone_writes_to_its_contact(bench: SmsBench, company: Company, gateway: FakeGateway) -> None:
    contact = company.make(3, fm=[{"typeId": "PHONE", "value": "+79162000002"}])
    deal = company.make(2, fm=[], contactId=contact, companyId=0)
    assert order(bench, deal, "Deal")["sent"] == "Y"
    assert [one["to"] for one in gateway.sent] == ["79162000002"]


def test_no_phone_at_all_is_an_answer(bench: SmsBench, company: Company, gateway: FakeGateway) -> None:
    values = order(bench, company.make(2, fm=[], contactId=None), "Deal")
    assert (values["sent"], "телефона нет" in values["reason"]) == ("N", True)
    assert gateway.asked == []


@pytest.mark.parametrize(("cue", "why"), [("refuse", "Недостаточно средств"), ("slow", "неизвестно")])
def test_a_gateway_that_refuses_or_is_silent_is_an_answer(
    bench: SmsBench, company: Company, gateway: FakeGateway, cue: str, why: str
) -> None:
    gateway.cues = [cue]
    values = order(bench, company.make())
    assert values["sent"] == "N"
    assert why in values["reason"]
    assert len(company.tasks) == (1 if cue == "slow" else 0)


def test_at_night_it_waits_for_the_morning_and_goes_once(
    bench: SmsBench, company: Company, gateway: FakeGateway
) -> None:
    bench.playbook = quiet_now()
    values = order(bench, company.make())
    assert values["sent"] == "N"
    assert "отложено до" in values["reason"]
    assert (gateway.asked, company.comments, len(timers(bench))) == ([], [], 1)
    assert timers(bench)[0]["due_at"] > datetime.now(UTC) + timedelta(minutes=110)
    morning(bench)
    assert gateway.sent == [{"to": "79123456789", "msg": "Ждём вас"}]
    assert len(company.comments) == 1
    assert timers(bench) == []


@pytest.mark.parametrize(("setting", "sent", "count"), [("send", "Y", 1), ("skip", "N", 0)])
def test_at_night_the_setting_decides(
    bench: SmsBench, company: Company, gateway: FakeGateway, setting: str, sent: str, count: int
) -> None:
    bench.playbook = quiet_now()
    assert order(bench, company.make(), quiet=setting)["sent"] == sent
    assert (len(gateway.sent), timers(bench)) == (count, [])


def test_in_the_morning_an_item_that_is_gone_or_was_closed_gets_nothing(
    bench: SmsBench, company: Company, gateway: FakeGateway
) -> None:
    bench.playbook = quiet_now()
    gone, closed = company.make(), company.make()
    for id in (gone, closed):
        order(bench, id)
    del company.items[1, gone]
    company.items[1, closed].update(stageId="JUNK", stageSemanticId="F")
    morning(bench)
    assert gateway.asked == []


def test_a_message_that_waits_can_be_taken_back(bench: SmsBench, company: Company, gateway: FakeGateway) -> None:
    bench.playbook = quiet_now()
    id = company.make()
    order(bench, id)
    with bench.database.write() as connection:
        texting.forget(Memory(bench.database, connection, MEMBER), robot_key(f"tok.{id}"))
    morning(bench)
    assert gateway.asked == []


def test_a_robot_for_an_item_that_is_gone_is_answered(bench: SmsBench) -> None:
    assert order(bench, 999) == {}
