"""Thirty calls at once, processes killed at every named point, Redis emptied: nothing lost, nothing twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from b24app.crashpoint import CRASH_POINTS
from b24app.store import schema

from .office import DARIA, MANAGERS, Office, new_phone, running_office

CALLS_AT_ONCE = 30


@dataclass(frozen=True)
class Enquiries:
    """Missed calls that came together: leads that the line made, and known clients of somebody who is not at work."""

    leads: tuple[int, ...]
    contacts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.leads) + len(self.contacts)

    def outcome(self, office: Office) -> tuple[int, int]:
        """Returns (lost, doubled): without a task or card; with more than one task, card or notice."""
        seen = office.portal.state()
        tasks = Counter(bound for task in seen["tasks"] for bound in task["crm"])
        cards = Counter((one["entity_type"].lower(), int(one["entity_id"])) for one in seen["comments"])
        told = Counter(
            id for id in self.contacts for one in seen["notices"] if f"/contact/details/{id}/" in one["text"]
        )
        counts = [(tasks[f"L_{id}"], cards["lead", id]) for id in self.leads]
        counts += [(tasks[f"C_{id}"], cards["contact", id], told[id]) for id in self.contacts]
        managed = {one["id"] for one in seen["leads"] if one["assignedById"] in MANAGERS}
        lost = [min(each) < 1 for each in counts] + [id not in managed for id in self.leads]
        return sum(lost), sum(max(each) > 1 for each in counts)


Recorder = Callable[[str, object], None]


def told(office: Office, record: Recorder, point: str, victim: str, enquiries: Enquiries) -> tuple[int, int]:
    """Returns what was lost and doubled, after it was written into the table that ends the run."""
    lost, doubled = enquiries.outcome(office)
    row = {"crash point": point, "killed": victim, "enquiries": len(enquiries), "lost": lost, "doubled": doubled}
    record("table: killed at named points", row)
    return lost, doubled


def ring(office: Office, unknown: int, known: int = 0) -> Enquiries:
    """Lets so many unknown numbers and known clients call in vain."""
    phones = [new_phone() for _ in range(known)]
    contacts = tuple(office.client(phone, DARIA) for phone in phones)
    leads = tuple(office.portal.missed_call(new_phone())["lead_id"] for _ in range(unknown))
    for phone in phones:
        office.portal.missed_call(phone)
    return Enquiries(leads, contacts)


def shares(office: Office, enquiries: Enquiries) -> Counter[int]:
    """Returns how many leads each manager got."""
    leads = {one["id"]: one["assignedById"] for one in office.portal.state("leads")}
    return Counter(leads[id] for id in enquiries.leads)


def assert_fair(office: Office, enquiries: Enquiries) -> None:
    """Asserts that every lead has one manager, one task, one card, and that shares differ by one at most."""
    assert enquiries.outcome(office) == (0, 0)
    got = shares(office, enquiries)
    assert max(got.values()) - min(got[manager] for manager in MANAGERS) <= 1, got
    assert set(got) <= set(MANAGERS)


def assert_assigned_once(office: Office, enquiries: Enquiries, last: int) -> None:
    """Asserts that each lead's responsible was written once, not written and overwritten."""
    updates = Counter(
        entry["id"]
        for entry in office.portal.ledger(last, "effect")
        if entry["type"] == "lead" and entry["change"] == "update" and entry["via"] == "rest"
    )
    assert {id: updates[id] for id in enquiries.leads} == dict.fromkeys(enquiries.leads, 1)


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office of one worker, whose processes are killed."""
    with running_office(tmp_path_factory.mktemp("stormy"), "--no-limits", workers=1) as office:
        yield office


def test_k2_thirty_missed_calls_at_once_are_shared_fairly(office: Office) -> None:
    last = office.portal.last
    enquiries = ring(office, CALLS_AT_ONCE)
    office.settle()
    assert_fair(office, enquiries)
    assert_assigned_once(office, enquiries, last)


def victim_of(point: str) -> str:
    """Returns the process in which the crash point stands."""
    return {"door": "web", "clock": "clock"}.get(point.partition("_")[0], "worker-0")


def kill_at(office: Office, point: str, unknown: int, known: int = 0) -> Enquiries:
    """Lets calls come while the process of that point dies there by SIGKILL, and waits until all is done."""
    office.tidy()
    victim, marker = victim_of(point), office.folder / f"{point}.died"
    office.restart(victim, crash=f"{point}:{marker}")
    if victim == "web":
        office.until(office.answers, "the web answers")
    if point.startswith("token"):
        office.tokens_expire()
    died = len(office.fallen)
    enquiries = ring(office, unknown, known)
    office.until(marker.exists, f"death at {point}")
    if victim != "web":  # the web's master starts the next worker by itself
        office.until(lambda: office.fallen[died:] == [victim], f"{victim} is dead")
    if point.startswith("token"):
        administrator_returns(office)
    office.settle(hurry=True)
    office.reconcile()
    office.settle(hurry=True)
    return enquiries


def administrator_returns(office: Office) -> None:
    """The only pair died with the process that had just got it: work waits, people are told, an administrator opens us.

    The authorization server gives a pair once. What comes meanwhile is kept, and goes on when somebody has opened the
    application, which brings a new pair.
    """
    office.write(sa.update(schema.tokens).values(lease_until=datetime.now(UTC)))  # the dead process's lease is over
    office.until(lambda: office.hurry() or office.findings("token", "bad"), "the alarm of the dead token")
    office.portal.open(1)
    office.until(lambda: not office.findings("token", "bad"), "the alarm is over")


OF_CALLS = [point for point in CRASH_POINTS if not point.startswith("apply_")]
"""The points on the way of a call; applying a playbook to a portal has its own (test_apply.py)."""


@pytest.mark.parametrize("point", OF_CALLS)
def test_k1_k2_k3_a_process_killed_at_a_named_point_loses_and_doubles_nothing(
    stormy: Office, point: str, record_property: Recorder
) -> None:
    enquiries = kill_at(stormy, point, unknown=3, known=1)
    assert told(stormy, record_property, point, victim_of(point), enquiries) == (0, 0)


def test_k1_k2_k3_thirty_calls_and_a_worker_killed_among_them(stormy: Office, record_property: Recorder) -> None:
    (stormy.folder / "after_send.died").unlink(missing_ok=True)
    enquiries = kill_at(stormy, "after_send", unknown=CALLS_AT_ONCE)
    assert told(stormy, record_property, "after_send", "worker-0", enquiries) == (0, 0)
    assert_fair(stormy, enquiries)


def test_k1_k2_k3_redis_emptied_and_restarted_loses_and_doubles_nothing(
    stormy: Office, record_property: Recorder
) -> None:
    stormy.tidy()
    died = len(stormy.fallen)
    first = ring(stormy, 6)
    stormy.redis.flushall()
    second = ring(stormy, 6)
    stormy.kill("redis")
    third = ring(stormy, 6)
    stormy.start("redis")
    stormy.until(lambda: stormy.redis_answers(), "Redis is back")
    stormy.redis.flushall()
    fourth = ring(stormy, 6)
    stormy.until(stormy.waited_out, "silence")
    stormy.settle(hurry=True)
    enquiries = Enquiries(first.leads + second.leads + third.leads + fourth.leads)
    assert told(stormy, record_property, "FLUSHALL, restart", "redis", enquiries) == (0, 0)
    assert_fair(stormy, enquiries)
    assert set(stormy.fallen[died:]) <= {"worker-0"}


def test_k1_the_web_killed_while_events_arrive_loses_nothing_that_reconciliation_does_not_find(stormy: Office) -> None:
    stormy.tidy()
    stormy.kill("web")
    enquiries = ring(stormy, 3, 1)
    stormy.until(stormy.is_quiet, "the portal gave up on its events")
    stormy.start("web")
    stormy.until(stormy.answers, "the web answers")
    stormy.reconcile()
    stormy.settle(hurry=True)
    assert enquiries.outcome(stormy) == (0, 0)


def test_k2_a_worker_ended_politely_hands_its_work_over(stormy: Office) -> None:
    stormy.tidy()
    stormy.portal.fault("crm.item.update", "delay", seconds=1)
    last = stormy.portal.last
    enquiries = ring(stormy, 3)
    stormy.until(lambda: stormy.fault_taken(last, "crm.item.update"), "our write is on its way")
    stormy.processes["worker-0"].send_signal(signal.SIGTERM)
    stormy.settle(hurry=True)
    assert enquiries.outcome(stormy) == (0, 0)
