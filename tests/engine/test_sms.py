"""An SMS goes at most once, whatever dies or breaks; its record, its refusal and its doubt each have their command."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fake_gateway import REFUSAL, FakeGateway, fake_gateway
from scripted_portal import MEMBER, Bench, ScriptedRest
from test_run import LEAD_42, NOTICE, TASK, Portal, again, delivery, do, dying, handler, offer, replay, robot, states

from b24app.bitrix import commands as write
from b24app.bitrix.commands import After, Command
from b24app.bitrix.portal import Portal as OurPortal
from b24app.config import parse
from b24app.engine import run
from b24app.engine.declare import Catalogue, Reply
from b24app.sms.gateway import NO_GATEWAY, Gateway, HttpGateway
from b24app.store import schema
from b24app.store.database import Database

PHONE = "+79123456789"
MARK = "SMS №1"
BASE = '[app]\npublic_url = "http://127.0.0.1"\nsecret_key = "' + "k" * 40 + '"\n[[portals]]\n'
BASE += 'host = "acme.bitrix24.ru"\nclient_id = "a"\nclient_secret = "b"\n'


def planned(**changes: Any) -> list[Command]:
    """A message with all that hangs on it."""
    wanted: dict[str, Any] = {"until": datetime.now(UTC) + timedelta(hours=1), **changes}
    return [
        write.send_sms(PHONE, "Ждём вас в 10:00", **wanted),
        write.comment(LEAD_42, "SMS: ждём вас", marker=MARK, label="record", needs=("sms",)),
        write.comment(
            LEAD_42,
            write.reason_of("sms", "Не отправлено: ", "."),
            marker=MARK,
            label="refused",
            after=After("sms", "failed"),
        ),
        replace(TASK, label="check", after=After("sms", "unknown")),
    ]


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as one:
        yield one


@pytest.fixture
def portal() -> Portal:
    return Portal()


class SmsBench(Bench):
    """A bench whose portal has a gateway."""

    sms: Gateway = NO_GATEWAY

    def open_portal(self, member_id: str, urgent: bool = False) -> OurPortal:
        """Returns the portal with this bench's gateway."""
        return replace(super().open_portal(member_id, urgent), sms=self.sms)


@pytest.fixture
def bench(database: Database, portal: Portal, gateway: FakeGateway) -> Bench:
    bench = SmsBench(database, ScriptedRest(portal), Catalogue())
    bench.sms = HttpGateway(parse(BASE + gateway.config).sms)
    replay(bench, portal)
    return bench


def alarms(bench: Bench) -> list[str]:
    with bench.database.read() as connection:
        return [row.text["ru"] for row in connection.execute(sa.select(schema.alarms))]


def test_a_message_that_goes_has_its_record_and_nothing_else(
    bench: Bench, portal: Portal, gateway: FakeGateway
) -> None:
    id = do(bench, planned())
    assert [one["msg"] for one in gateway.sent] == ["Ждём вас в 10:00"]
    assert [one["COMMENT"] for one in portal.comments] == [f"SMS: ждём вас\n{MARK}"]
    assert states(bench, id) == {"sms": "done", "record": "done", "refused": "skipped", "check": "skipped"}
    assert (delivery(bench, id)["state"], portal.tasks) == ("done", [])
    assert "sms:send" not in bench.rest.sent


def test_it_stands_between_rest_calls_and_leaves_for_the_gateway_in_its_turn(
    bench: Bench, portal: Portal, gateway: FakeGateway
) -> None:
    id = do(bench, [NOTICE, *planned(), replace(NOTICE, label="last")])
    assert set(bench.rest.sent) == {"im.notify.personal.add", "crm.timeline.comment.add"}
    assert [len(request) for request in bench.rest.requests] == [1, 2]
    assert (len(gateway.sent), delivery(bench, id)["state"]) == (1, "done")


def test_a_refusal_stands_in_the_timeline_and_a_person_may_send_again(
    bench: Bench, portal: Portal, gateway: FakeGateway
) -> None:
    gateway.cues = ["refuse"]
    id = do(bench, planned())
    (comment,) = portal.comments
    assert comment["COMMENT"].startswith("Не отправлено: 127.0.0.1:")
    assert comment["COMMENT"].endswith(f"{REFUSAL}.\n{MARK}")
    assert delivery(bench, id)["state"] == "failed"
    assert (portal.tasks, gateway.sent, alarms(bench)) == ([], [], [])
    assert bench.inbox.again(id, MEMBER)
    again(bench)
    assert len(gateway.sent) == 1
    assert delivery(bench, id)["state"] == "done"


@pytest.mark.parametrize("cue", ["lost", "slow", "500", "garbage"])
def test_an_unknown_outcome_is_a_task_and_never_a_second_message(
    bench: Bench, portal: Portal, gateway: FakeGateway, cue: str
) -> None:
    gateway.cues = [cue]
    id = do(bench, planned())
    again(bench)
    assert states(bench, id) == {"sms": "unknown", "record": "skipped", "refused": "skipped", "check": "done"}
    assert (len(gateway.asked), len(portal.tasks), portal.comments) == (1, 1, [])
    assert "повторять нельзя" in delivery(bench, id)["reason"]
    assert bench.inbox.again(id, MEMBER)  # a person says «once more»: of everything but the message
    again(bench)
    assert (len(gateway.asked), len(portal.tasks)) == (1, 1)
    assert "SMS не уходят" in alarms(bench)[0]


def test_the_next_message_that_goes_ends_the_alarm(bench: Bench, gateway: FakeGateway) -> None:
    gateway.cues = ["garbage"]
    do(bench, planned())
    assert len(alarms(bench)) == 1
    do(bench, planned())
    assert alarms(bench) == []


def test_a_gateway_that_is_away_gets_it_later_and_once(bench: Bench, portal: Portal, gateway: FakeGateway) -> None:
    gateway.cues = ["429"]
    id = do(bench, planned())
    assert delivery(bench, id)["state"] == "waiting"
    assert delivery(bench, id)["due_at"] > datetime.now(UTC) + timedelta(seconds=30)
    again(bench)
    assert (len(gateway.asked), len(gateway.sent), len(portal.comments)) == (2, 1, 1)
    assert delivery(bench, id)["state"] == "done"


def test_a_gateway_that_is_away_for_too_long_gets_nothing_and_people_are_told(
    bench: Bench, portal: Portal, gateway: FakeGateway
) -> None:
    gateway.cues = ["429"] * 3
    do(bench, planned(until=datetime.now(UTC) + timedelta(seconds=3)))
    time.sleep(3.1)
    again(bench)
    assert (len(gateway.asked), gateway.sent) == (1, [])
    assert "не ушло вовремя" in portal.comments[0]["COMMENT"]
    assert "429" in portal.comments[0]["COMMENT"]


def test_without_a_gateway_it_is_refused_with_what_to_do(bench: SmsBench, portal: Portal) -> None:
    bench.sms = NO_GATEWAY
    do(bench, planned())
    assert "[sms] url" in portal.comments[0]["COMMENT"]
    assert "[sms]" in alarms(bench)[0]


def test_quiet_hours_are_looked_at_again_when_it_leaves(
    bench: Bench, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    begins, ends = now - timedelta(hours=1), now + timedelta(hours=2)
    quiet = ("UTC", f"{begins:%H:%M}", f"{ends:%H:%M}")
    id = do(bench, planned(quiet=quiet, until=now + timedelta(hours=5)))
    assert gateway.asked == []
    row = delivery(bench, id)
    assert (row["state"], f"{row['due_at']:%H:%M}") == ("waiting", quiet[2])
    assert "тихие часы" in row["reason"]


def test_a_message_that_would_be_stale_by_the_morning_is_refused(
    bench: Bench, portal: Portal, gateway: FakeGateway
) -> None:
    now = datetime.now(UTC)
    quiet = ("UTC", f"{now - timedelta(hours=1):%H:%M}", f"{now + timedelta(hours=2):%H:%M}")
    do(bench, planned(quiet=quiet, until=now + timedelta(hours=1)))
    assert gateway.asked == []
    assert "тихих часов не успели" in portal.comments[0]["COMMENT"]


@pytest.mark.parametrize("at", ["after_decision", "before_send", "after_send", "after_store", "before_finish"])
def test_a_worker_that_dies_anywhere_sends_it_at_most_once(
    bench: Bench, portal: Portal, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    offer(bench, handlers=(handler(planned()),))
    id = bench.event("E", "lead:42", {})
    assert id is not None
    with dying(bench, monkeypatch, at):
        bench.run()
    bench.run()
    again(bench)
    doubt = at in ("before_send", "after_send")
    assert len(gateway.sent) == (0 if at == "before_send" else 1)
    assert states(bench, id)["sms"] == ("unknown" if doubt else "done")
    assert (len(portal.tasks), len(portal.comments)) == ((1, 0) if doubt else (0, 1))


def with_answer(commands: list[Command]) -> Any:
    reply = Reply({"sent": "Y", "reason": ""}, "SMS", instead={"sms": {"sent": "N", "reason": write.reason_of("sms")}})
    return robot(commands, answer=lambda _: reply)


@pytest.mark.parametrize(
    ("cue", "sent", "reason"), [("ok", "Y", ""), ("refuse", "N", REFUSAL), ("lost", "N", "повторять нельзя")]
)
def test_a_robot_tells_what_became_of_it(
    bench: Bench, portal: Portal, gateway: FakeGateway, cue: str, sent: str, reason: str
) -> None:
    gateway.cues = [cue]
    offer(bench, robots=(with_answer(planned()),))
    bench.robot("r")
    bench.run()
    (answer,) = portal.answers
    assert answer["RETURN_VALUES"]["sent"] == sent
    assert reason in answer["RETURN_VALUES"]["reason"]
    assert ("Не выполнено" in answer["LOG_MESSAGE"]) == (sent == "N")


def test_a_robot_that_is_given_up_in_doubt_still_has_its_task_to_check(
    bench: Bench, portal: Portal, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(bench, robots=(with_answer(planned()),))
    id = bench.robot("r")
    assert id is not None
    with dying(bench, monkeypatch, "after_send"):
        bench.run()
    with bench.database.write() as connection:
        connection.execute(
            sa.update(schema.deliveries).values(state="waiting", lease_owner=None, failure="портал не отвечал")
        )
    again(bench)
    assert (len(gateway.sent), len(portal.tasks)) == (1, 1)
    assert "портал не отвечал" in portal.answers[0]["LOG_MESSAGE"]
    assert run.NEVER_AGAIN in delivery(bench, id)["reason"]
