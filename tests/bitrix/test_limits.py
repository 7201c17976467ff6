"""Limits: one bucket for all processes, methods that rest, a portal that is stopped, life without Redis."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis as redis_client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from b24app.bitrix.limits import ENTERPRISE, STANDARD, WAITERS, Full, Limits
from b24app.errors import PortalClosed, Temporary

from .scripted import Server

HAMMER = """
import sys, time
import redis
from b24app.bitrix.limits import Limits
from b24app.errors import Temporary
client = redis.Redis.from_url(sys.argv[1])
limits = Limits(client)
member_id, urgent, until = sys.argv[2], sys.argv[3] == "1", time.monotonic() + float(sys.argv[4])
while time.monotonic() < until:
    try:
        limits.take(member_id, urgent=urgent, deadline_seconds=0.3)
    except Temporary:
        continue
    seconds, micro = client.time()
    client.rpush("granted:" + member_id, f"{seconds}.{micro:06d}")
client.close()
"""


def greedy(limits: Limits, member_id: str, *, urgent: bool) -> int:
    taken = 0
    while True:
        try:
            limits.take(member_id, urgent=urgent, deadline_seconds=0.0)
        except Temporary:
            return taken
        taken += 1


def test_eight_processes_together_never_fill_the_bucket_above_what_is_ours(
    redis_url: str, redis: redis_client.Redis, member_id: str
) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", HAMMER, redis_url, member_id, str(number % 2), "3.0"])
        for number in range(8)
    ]
    for child in children:
        assert child.wait(60) == 0
    moments = [float(value) for value in redis.lrange(f"granted:{member_id}", 0, -1)]
    level, last, highest = 0.0, min(moments), 0.0
    for moment in sorted(moments):
        level = max(0.0, level - STANDARD.leak * (moment - last)) + 1
        last, highest = moment, max(highest, level)
    ours = STANDARD.capacity * 0.8
    assert highest <= ours + 0.5  # a grant is noted a moment after it was counted
    assert len(moments) >= ours, "the bucket is used, not only spared"
    assert len(moments) <= ours + STANDARD.leak * (max(moments) - min(moments)) + 1


def test_urgent_work_passes_where_ordinary_work_already_waits(limits: Limits, member_id: str) -> None:
    assert greedy(limits, member_id, urgent=False) == 30
    assert greedy(limits, member_id, urgent=True) == 10
    assert limits.level(member_id) == pytest.approx(40, abs=1)


def test_a_worker_that_found_no_room_is_known_to_wait_until_its_work_ends(limits: Limits, member_id: str) -> None:
    with limits.waiting(member_id, urgent=False):
        greedy(limits, member_id, urgent=False)
        assert member_id not in limits.full().ordinary
        limits.take(member_id)
        assert member_id in limits.full().ordinary
        assert member_id not in limits.full().urgent  # what is kept for urgent work is free
    assert member_id not in limits.full().ordinary
    with limits.waiting(member_id, urgent=True):
        greedy(limits, member_id, urgent=True)
        limits.take(member_id, urgent=True)
        assert member_id in limits.full().urgent & limits.full().ordinary
    limits.take(member_id, urgent=True)
    assert member_id not in limits.full().ordinary


def test_a_worker_that_died_while_it_waited_keeps_nobody_away_for_long(
    limits: Limits, redis: redis_client.Redis, member_id: str
) -> None:
    with limits.waiting(member_id, urgent=True):
        greedy(limits, member_id, urgent=True)
        limits.take(member_id, urgent=True)
        (name,) = (one for one in redis.zrange(WAITERS, 0, -1) if one.decode().startswith(member_id))
        redis.zadd(WAITERS, {name: redis.time()[0] - 1})
        assert member_id not in limits.full().urgent


def test_an_enterprise_portal_has_the_larger_bucket(limits: Limits, member_id: str) -> None:
    limits.plan(member_id, enterprise=True)
    assert greedy(limits, member_id, urgent=True) >= 200
    assert limits.ceiling(urgent=True, bucket=ENTERPRISE) == 200


def test_portals_do_not_share_a_bucket(limits: Limits, member_id: str) -> None:
    greedy(limits, member_id, urgent=True)
    limits.take(member_id + "x", deadline_seconds=0.0)


def test_waiting_ends_when_there_is_room(limits: Limits, member_id: str) -> None:
    greedy(limits, member_id, urgent=True)
    began = time.monotonic()
    limits.take(member_id, urgent=True, deadline_seconds=2.0)
    assert 0.2 < time.monotonic() - began < 1.5


def test_no_room_in_time_says_when_to_come_back(limits: Limits, member_id: str) -> None:
    limits.drain(member_id)
    with pytest.raises(Temporary) as caught:
        limits.take(member_id, urgent=True, deadline_seconds=0.2)
    assert caught.value.retry_at is not None
    assert timedelta(seconds=3) < caught.value.retry_at - datetime.now(UTC) < timedelta(seconds=8)


def test_a_neighbour_who_filled_the_bucket_is_waited_for(limits: Limits, member_id: str) -> None:
    limits.take(member_id, deadline_seconds=0.0)
    limits.drain(member_id)
    assert greedy(limits, member_id, urgent=True) == 0


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.sampled_from(["urgent", "ordinary", "drain", "pause"]), min_size=1, max_size=80))
def test_the_level_stays_within_bounds_whatever_happens(redis: redis_client.Redis, moves: list[str]) -> None:
    limits = Limits(redis)
    member_id = f"h{time.monotonic_ns()}"
    for move in moves:
        before = limits.level(member_id)
        match move:
            case "drain":
                limits.drain(member_id)
                assert limits.level(member_id) == STANDARD.capacity
            case "pause":
                time.sleep(0.002)
            case _:
                try:
                    limits.take(member_id, urgent=move == "urgent", deadline_seconds=0.0)
                except Temporary:
                    assert limits.level(member_id) == before
                else:
                    assert limits.level(member_id) <= limits.ceiling(urgent=move == "urgent")


def test_a_method_rests_until_its_budget_is_back(limits: Limits, member_id: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=3)
    limits.observe(member_id, "crm.item.update", 431.9, until)
    assert limits.parked(member_id, "crm.item.update") is None
    limits.observe(member_id, "crm.item.update", 432.0, until)
    assert limits.parked(member_id, "CRM.item.Update") == pytest.approx(until, abs=timedelta(milliseconds=2))
    with pytest.raises(Temporary) as caught:
        limits.take(member_id, methods=["crm.item.get", "crm.item.update"])
    assert "crm.item.update" in str(caught.value)
    limits.take(member_id, methods=["crm.item.get"], deadline_seconds=0.0)
    time.sleep((until - datetime.now(UTC)).total_seconds() + 0.1)
    limits.take(member_id, methods=["crm.item.update"], deadline_seconds=0.0)


@pytest.mark.parametrize("reset_at", [None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)])
def test_a_nonsensical_reset_time_neither_frees_nor_blocks_for_ever(
    limits: Limits, member_id: str, reset_at: datetime | None
) -> None:
    until = limits.park(member_id, "m", reset_at)
    assert timedelta(seconds=30) < until - datetime.now(UTC) <= timedelta(seconds=660)


def test_a_rest_is_known_to_every_process(limits: Limits, redis: redis_client.Redis, member_id: str) -> None:
    limits.park(member_id, "m", None)
    assert Limits(redis).parked(member_id, "m") is not None


def test_a_stopped_portal_lets_one_trial_through_and_starts_again(
    limits: Limits, redis: redis_client.Redis, member_id: str
) -> None:
    limits.stop(member_id, "OVERLOAD_LIMIT")
    other = Limits(redis)
    assert other.stopped(member_id) == "OVERLOAD_LIMIT"
    for _ in range(3):
        with pytest.raises(PortalClosed):
            other.take(member_id, urgent=True)
    redis.delete(f"b24app:limits:{member_id}:trial")  # ten minutes pass
    other.take(member_id)
    with pytest.raises(PortalClosed):
        other.take(member_id)
    other.resume(member_id)
    limits.take(member_id)
    assert limits.stopped(member_id) is None


@pytest.fixture
def lonely() -> Limits:
    """Limits whose Redis is not there."""
    gone = Server()
    gone.close()
    url = f"redis://{gone.host}/0"
    return Limits(redis_client.Redis.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25))


def test_without_redis_one_request_a_second_passes(lonely: Limits, member_id: str) -> None:
    began = time.monotonic()
    for _ in range(3):
        lonely.take(member_id, deadline_seconds=5.0)
    first = time.monotonic() - began
    assert 1.9 < first < 15
    with pytest.raises(Temporary):
        lonely.take(member_id, deadline_seconds=0.1)


def test_without_redis_nobody_is_known_to_wait(lonely: Limits, member_id: str) -> None:
    with lonely.waiting(member_id, urgent=False):
        assert lonely.full() == Full()


def test_without_redis_rests_and_stops_still_hold(lonely: Limits, member_id: str) -> None:
    lonely.park(member_id, "m", None)
    with pytest.raises(Temporary):
        lonely.take(member_id, methods=["m"])
    assert lonely.parked(member_id, "m") is not None
    lonely.stop(member_id, "blocked")
    with pytest.raises(PortalClosed):
        lonely.take(member_id)
    assert lonely.stopped(member_id) == "blocked"
    lonely.resume(member_id)
    lonely.take(member_id)


def test_a_redis_that_fails_is_left_alone_for_a_while(lonely: Limits, member_id: str) -> None:
    lonely.take(member_id)
    began = time.monotonic()
    for _ in range(50):
        lonely.observe(member_id, "m", 479.0, None)
    assert time.monotonic() - began < 0.5


def test_a_redis_that_was_emptied_does_no_harm(limits: Limits, redis: redis_client.Redis, member_id: str) -> None:
    limits.take(member_id)
    redis.execute_command("SCRIPT", "FLUSH")
    for key in redis.keys(f"b24app:limits:{member_id}*"):
        redis.delete(key)
    limits.take(member_id, deadline_seconds=0.0)
    assert limits.level(member_id) == pytest.approx(1.0)


def test_a_key_of_a_wrong_type_is_survived(limits: Limits, redis: redis_client.Redis, member_id: str) -> None:
    redis.set(f"b24app:limits:{member_id}:bucket", "not a hash")
    limits.take(member_id, deadline_seconds=2.0)


def test_threads_share_one_limits(limits: Limits, member_id: str) -> None:
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.append(greedy(limits, member_id, urgent=True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 40 <= sum(taken) <= 43
