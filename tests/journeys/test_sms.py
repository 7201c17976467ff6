"""SMS on a whole installation: the robot on its stage, a worker killed around the send, a missed call told (CB-11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_gateway import KEY, REFUSAL, FakeGateway, fake_gateway

from .conftest import tidied
from .office import ANNA, HEAD, Office, new_phone, playbook, running_office
from .test_robot import Stage, log_of, results_of

TEXT = "Ждём вас завтра в 10:00"


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeGateway]:
    with fake_gateway() as gateway:
        yield gateway


def quiet(begins: str, ends: str) -> str:
    """The playbook with these quiet hours, in UTC, and with the message on a missed call to Anna and the head."""
    text = playbook(time_zone='"UTC"', quiet_from=f"{begins}:00", quiet_to=f"{ends}:00")
    wanted = f'missed_call_sms = {{ to = [{ANNA}, {HEAD}], text = "Пропущен {{phone}}" }}\n'
    return text.replace("[sms] ", f"{wanted}[sms] ", 1)


@pytest.fixture(scope="module")
def texting_office(tmp_path_factory: pytest.TempPathFactory, provider: FakeGateway) -> Iterator[Office]:
    """An office with a gateway and no quiet hours."""
    folder = tmp_path_factory.mktemp("texting")
    text = quiet("00:00", "00:00")
    with running_office(folder, "--no-limits", workers=1, text=text, config=provider.config) as office:
        yield office


@pytest.fixture
def office(texting_office: Office, provider: FakeGateway) -> Office:
    tidied(texting_office)
    provider.cues.clear()
    provider.asked.clear()
    provider.sent.clear()
    return texting_office


@pytest.fixture
def stage(office: Office) -> Iterator[Stage]:
    stage = Stage(office)
    stage.place("send_sms", text=TEXT)
    yield stage
    stage.clear()


def messages(provider: FakeGateway) -> list[str]:
    """The texts that went out to clients."""
    return [one["msg"] for one in provider.sent if one["msg"] == TEXT]


def checks(office: Office, lead_id: int) -> list[str]:
    return [task["title"] for task in office.tasks_of(lead_id) if "дошло ли SMS" in task["title"]]


def records(office: Office, lead_id: int) -> list[str]:
    return [text for text in office.cards_of(lead_id) if TEXT in text]


def test_k31_the_robot_sends_answers_and_keeps_the_text(office: Office, stage: Stage, provider: FakeGateway) -> None:
    lead_id = stage.lead()
    run = stage.answered(lead_id)
    office.settle()
    assert results_of(run) == {"sent": "Y", "reason": "", "text": TEXT}
    assert messages(provider) == [TEXT]
    assert len(records(office, lead_id)) == 1
    assert checks(office, lead_id) == []


@pytest.mark.parametrize(
    ("cue", "why", "sent", "tasks"),
    [
        ("refuse", REFUSAL, 0, 0),
        ("lost", "повторять нельзя", 1, 1),
        ("slow", "повторять нельзя", 1, 1),
        ("500", "500", 1, 1),
    ],
)
def test_k31_a_gateway_that_goes_wrong_is_an_answer_and_never_a_second_message(
    office: Office, stage: Stage, provider: FakeGateway, cue: str, why: str, sent: int, tasks: int
) -> None:
    provider.cues.append(cue)
    lead_id = stage.lead()
    run = stage.answered(lead_id)
    office.settle(hurry=True)
    assert results_of(run)["sent"] == "N"
    assert why in results_of(run)["reason"]
    assert why in log_of(run)
    assert (len(messages(provider)), len(checks(office, lead_id))) == (sent, tasks)


@pytest.mark.parametrize(("point", "sent"), [("before_send", 0), ("after_send", 1)])
def test_k31_a_worker_killed_around_the_send_sends_it_at_most_once(
    office: Office, stage: Stage, provider: FakeGateway, point: str, sent: int
) -> None:
    marker = office.folder / f"sms-{point}.died"
    office.settle()
    office.reconciled_lately()
    died = len(office.fallen)
    office.restart("worker-0", crash=f"{point}:{marker}")
    lead_id = stage.lead()
    office.until(marker.exists, f"death at {point}")
    office.until(lambda: office.fallen[died:] == ["worker-0"], "the worker is dead")
    run = stage.answered(lead_id)
    office.settle(hurry=True)
    assert results_of(run)["sent"] == "N"
    assert len(messages(provider)) == sent
    assert len(checks(office, lead_id)) == 1
    assert records(office, lead_id) == []


def test_k31_a_gateway_down_for_a_while_gets_the_message_once(
    office: Office, stage: Stage, provider: FakeGateway
) -> None:
    provider.cues += ["429", "429"]
    lead_id = stage.lead()
    office.until(lambda: office.hurry() or len(provider.asked) >= 3, "it is tried again")
    run = stage.answered(lead_id)
    office.settle(hurry=True)
    assert results_of(run)["sent"] == "Y"
    assert messages(provider) == [TEXT]
    assert len(records(office, lead_id)) == 1


def test_cb11_a_missed_call_is_told_to_the_named_people_once(office: Office, provider: FakeGateway) -> None:
    phone = new_phone()
    office.portal.missed_call(phone)
    office.settle()
    office.reconcile()
    office.settle()
    told = [one for one in provider.sent if one["msg"].startswith("Пропущен")]
    assert len(told) == 2
    assert len({one["to"] for one in told}) == 2
    assert {"".join(filter(str.isdigit, one["msg"])) for one in told} == {phone.removeprefix("+")}


def test_k31_at_night_it_waits_for_the_morning_through_a_restart(
    office: Office, stage: Stage, provider: FakeGateway
) -> None:
    now = datetime.now(UTC)
    office.write_config(quiet(f"{now - timedelta(hours=1):%H:%M}", f"{now + timedelta(hours=2):%H:%M}"))
    office.restart("worker-0", "clock")
    lead_id = stage.lead()
    run = stage.answered(lead_id)
    office.settle()
    assert "отложено до" in results_of(run)["reason"]
    assert provider.asked == []
    office.write_config(quiet("00:00", "00:00"))
    office.restart("worker-0", "clock")
    (timer,) = office.timers("sms_due")
    assert timer["due_at"] > now + timedelta(minutes=110)
    office.hurry_timers("sms_due")
    office.until(lambda: bool(messages(provider)), "the morning's message")
    office.settle()
    assert messages(provider) == [TEXT]
    assert len(records(office, lead_id)) == 1


def test_the_key_stands_in_no_log(office: Office, stage: Stage, provider: FakeGateway) -> None:
    provider.cues.append("echo")
    stage.answered(stage.lead())
    office.settle()
    logs: dict[str, Any] = dict(office.logs_since({}))
    assert logs
    assert all(KEY not in text for text in logs.values())
    assert KEY not in str(office.portal.state("comments"))
