"""What stands around the application goes wrong while enquiries come: Redis, database, disk, clock, web, portal,
tokens, events, an upgrade (T3, T4, T6, T8-T10, T16). Nothing that was acknowledged is lost, nothing is done twice.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from journeys.office import ANNA, DARIA, MANAGERS, new_phone, playbook, running_office
from journeys.shop import ADDRESS, DATE, MEASUREMENT, Shop
from journeys.test_storm import Enquiries, ring
from postgresql import Server

from b24app.bitrix.translate import phone_text
from b24app.store import schema
from b24app.supervisor import free_port
from sandbox.client import Sandbox

from .digest import NEVER_AGAIN, digest
from .faults import Fault
from .life import CALL
from .playing import Player, sweep
from .scenes import CLIENT, DECLINE, SCENES, drag, list_value, phone, qualified
from .stage import HELD_SECONDS, OnPostgresql, Stage, running_stage
from .tally import Tally


class Storm:
    """Enquiries that come in waves while something goes wrong, and what became of them."""

    def __init__(self, shop: Shop, tally: Tally, name: str, part: str = "around") -> None:
        self.shop = shop
        self.stage: Stage = shop.office  # type: ignore[assignment]
        self.row = tally.row(part, name)
        self.waves: list[Enquiries] = []
        self.stage.back("morning")
        self.stage.at_work(*MANAGERS)
        self.last = self.stage.portal.last
        self.began = time.monotonic()

    def wave(self, unknown: int = 3, known: int = 1) -> None:
        """So many unknown numbers and known clients call in vain."""
        self.waves.append(ring(self.stage, unknown, known))

    def wait(self, seconds: float) -> None:
        """Lets real time pass."""
        until = time.monotonic() + seconds
        self.stage.until(lambda: time.monotonic() >= until, "time", seconds + 10)

    def end(self) -> None:
        """Lets everything come to rest and be compared with the portal, and counts what is lost and doubled."""
        stage, restless = self.stage, ""
        try:
            stage.pardon()
            stage.settle(120)
            stage.fire("call_lost")
            stage.reconcile()
            stage.settle(120)
        except AssertionError as error:  # what has not come by now will never
            restless = str(error)
        every = Enquiries(
            tuple(id for wave in self.waves for id in wave.leads),
            tuple(id for wave in self.waves for id in wave.contacts),
        )
        lost, doubled = every.outcome(stage)
        sent = Counter((one["to"], one["msg"]) for one in self.shop.provider.sent)
        doubled += sum(count > 1 for count in sent.values())
        lost += len(self.unkept()) + len(stage.rows(unfinished()))
        self.count(lost, doubled, restless)

    def count(self, lost: int, doubled: int, restless: str = "") -> None:
        """Puts it into the table; nothing may be lost or doubled."""
        self.row.add(lost, doubled)
        self.row.seconds += time.monotonic() - self.began
        assert (lost, doubled) == (0, 0), f"{self.unkept()}\n{restless or self.stage.unfinished()}"

    def unkept(self) -> list[str]:
        """Events that we acknowledged and did not keep: each 200 is a row, or a robot's answer is owed."""
        table = schema.deliveries
        told = Counter(
            one["entity"]
            for one in self.stage.portal.ledger(self.last, "event")
            if one["status"] == 200 and one["event"] == "ONCRMLEADADD"
        )
        kept = {row["entity"] for row in self.stage.rows(sa.select(table.c.entity).where(table.c.kind == "event"))}
        return [entity for entity in told if entity.replace(" ", ":") not in kept]


def unfinished() -> sa.Select[Any]:
    """Deliveries that ended badly, or never: there is no reason for either but an SMS of which nobody knows."""
    table = schema.deliveries
    told = sa.and_(table.c.state == "failed", table.c.reason.contains(NEVER_AGAIN))
    return sa.select(table.c.id).where(table.c.state.in_(("failed", "waiting", "running")), ~told)


@pytest.fixture
def storm(shop: Shop, tally: Tally, request: pytest.FixtureRequest) -> Storm:
    """Enquiries on an ordinary morning; the line of the table has the test's name."""
    name = request.node.name.removeprefix("test_").replace("_", " ")
    return Storm(shop, tally, name)


# Redis


def test_redis_hangs_for_5_s(storm: Storm) -> None:
    storm.wave()
    storm.stage.pause("redis")
    try:
        storm.wave()
        storm.wait(5)
    finally:
        storm.stage.go_on("redis")
    storm.wave()
    storm.end()


def test_redis_is_slow(storm: Storm) -> None:
    for _ in range(6):
        storm.stage.redis.client_pause(700)  # whoever asks waits for so long
        storm.wave(1, 0)
    storm.end()


def test_redis_is_out_of_memory(storm: Storm) -> None:
    storm.wave()
    storm.stage.redis.config_set("maxmemory", 1)
    try:
        storm.wave()
        storm.wait(3)
    finally:
        storm.stage.redis.config_set("maxmemory", 0)
    storm.wave()
    storm.end()


def test_redis_has_something_else_under_our_key(storm: Storm) -> None:
    storm.wave()
    storm.stage.redis.delete("rq:queue:b24app")
    storm.stage.redis.set("rq:queue:b24app", "not a list")
    storm.wave()
    storm.wait(2)
    storm.stage.redis.flushall()
    storm.wave()
    storm.end()


def test_redis_dies_and_its_file_is_torn(storm: Storm) -> None:
    storm.wave()
    storm.stage.kill("redis")
    storm.wave()
    files = sorted((storm.stage.folder / "redis" / "appendonlydir").glob("*.incr.aof"))
    for file in files:
        with file.open("rb+") as torn:
            torn.truncate(max(0, file.stat().st_size - 7))
    storm.stage.start("redis")
    storm.stage.until(storm.stage.redis_answers, "Redis is back", 30)
    storm.wave()
    storm.end()
    assert files


# the database and the disk


def test_database_is_locked_for_10_s(storm: Storm) -> None:
    storm.wave()
    with closing(sqlite3.connect(storm.stage.folder / "b24app.db", timeout=15, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        storm.wave()
        storm.wait(10)
        other.execute("ROLLBACK")
    storm.wave()
    storm.end()


def members(stage: Stage, name: str) -> list[int]:
    """The pids of a process of ours and of those that it started."""
    group = stage.processes[name].pid
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[2]) == group:
            found.append(int(stat.parent.name))
    return found


def limit_files(stage: Stage, size: int) -> None:
    """No file of web, workers and clock may grow beyond this: a full disk, for them alone."""
    for name in ("web", "clock", *stage.workers):
        for pid in members(stage, name):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("logs", ["elsewhere", "there too"])
def test_disk_is_full_and_logs_are(storm: Storm, logs: str) -> None:
    stage = storm.stage
    names = ("web", "clock", *stage.workers)
    with stage.logs_elsewhere(names) if logs == "elsewhere" else nullcontext():
        storm.wave()
        stage.settle()
        limit_files(stage, 1)
        last = stage.portal.last
        storm.wave()
        stage.until(stage.is_quiet, "the portal has told it", 60)
        statuses = {one["status"] for one in stage.portal.ledger(last, "event")}
        stage.restart(*names)  # whoever is started anew may write again
        stage.until(lambda: all(map(stage.is_up, names)), "all of them", 90)
    storm.wave()
    storm.end()
    assert statuses == {503}


# workers, clock, web


def test_worker_hangs_for_ever(storm: Storm) -> None:
    stage = storm.stage
    stage.settle()
    last = stage.portal.last
    stage.portal.fault("crm.timeline.comment.add", "delay", when="after", seconds=1)
    storm.wave()
    hung = stage.until(lambda: stage.took_fault(last)() and stage.holder(), "a worker at work", 30)
    stage.pause(hung)
    table = schema.deliveries
    past = datetime.now(UTC) - timedelta(seconds=1)
    stage.until(lambda: stage.holder() == hung, "only that one works", 30)
    stage.write(sa.update(table).where(table.c.state == "running").values(lease_until=past))  # its lease is over
    stage.ring()
    stage.until(lambda: stage.open_deliveries() == 0 or stage.hurry(), "the other one goes on", 60)
    stage.go_on(hung)
    storm.wave()
    storm.end()


def test_workers_are_out_of_memory(storm: Storm) -> None:
    stage = storm.stage
    storm.wave()
    stage.settle()
    fallen = len(stage.fallen)
    for pid in (pid for name in stage.workers for pid in members(stage, name)):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + 256 * 1024
        resource.prlimit(pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    storm.wave(12, 2)
    stage.until(lambda: stage.hurry() or stage.fallen[fallen:] or not stage.open_deliveries(), "an end", 90)
    stage.restart(*stage.workers)
    storm.wave()
    storm.end()


@pytest.mark.parametrize("method", ["crm.timeline.comment.add", "api/tasks.task.add"])
def test_dead_worker_and_a_slow_portal(storm: Storm, method: str) -> None:
    """Whoever asked is no more, and the portal is still at it: a look-up now finds nothing."""
    stage = storm.stage
    stage.settle()
    last = stage.portal.last
    stage.portal.fault(method, "delay", seconds=8)
    storm.wave()
    slow = time.monotonic() + 9
    victim = stage.until(lambda: stage.took_fault(last)() and stage.holder(), "a worker at work", 30)
    stage.kill(victim)
    stage.start(victim)
    stage.until(lambda: time.monotonic() > slow, "the portal is through", 30)
    storm.end()


def late(stage: Stage, code: str) -> None:
    """A day without a clock: nothing fires, everything is a day late, and then it comes back."""
    stage.kill("clock")
    table = schema.timers
    yesterday = datetime.now(UTC) - timedelta(days=1)
    stage.write(
        sa.update(table).where(table.c.code == code).values(due_at=yesterday),
        sa.update(schema.deliveries).where(schema.deliveries.c.code == "reconcile").values(received_at=yesterday),
    )
    stage.start("clock")


def killed_at_its_point(stage: Stage, code: str) -> None:
    """The clock dies when it has fired timers and told nobody yet."""
    stage.kill("clock")
    stage.hurry_timers(code)
    marker = stage.mark("clock_after_timers")
    marker.unlink(missing_ok=True)
    stage.start("clock", crash=f"clock_after_timers:{marker}")
    stage.until(marker.exists, "the clock's death", 60)


def killed_by_signal(stage: Stage, code: str) -> None:
    """The clock dies somewhere."""
    stage.hurry_timers(code)
    stage.restart("clock")


def two_clocks(stage: Stage, code: str) -> None:
    """Two clocks see the same timers."""
    stage.start("clock-2")
    stage.hurry_timers(code)


WAYS: dict[str, Callable[[Stage, str], None]] = {
    "clock away for a day": late,
    "clock killed after its timers": killed_at_its_point,
    "clock killed": killed_by_signal,
    "two clocks": two_clocks,
}


@pytest.mark.parametrize("way", WAYS)
def test_timers_fire_once(shop: Shop, tally: Tally, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = []
    for scene in SCENES:
        if not scene.name.startswith("timer:"):
            continue
        player = Player(shop, scene)
        stage = player.stage

        def fire(code: str, seconds: float = 60, stage: Stage = stage) -> None:
            WAYS[way](stage, code)
            stage.until(lambda: not stage.late_timers(code), f"the timers {code}", seconds)

        monkeypatch.setattr(stage, "fire", fire)
        wrong += sweep(player, [Fault(way, scene.name)], tally, "timers", way)
        monkeypatch.undo()
        if "clock-2" in stage.processes:
            stage.kill("clock-2")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["politely", "at once"])
def test_web_is_restarted_under_load(storm: Storm, how: signal.Signals) -> None:
    stage = storm.stage
    for number in range(24):
        storm.wave(1, number % 2)
        if number in (5, 13):
            stage.processes["web"].send_signal(how)
    stage.until(stage.answers, "the web answers", 60)
    storm.wave()
    storm.end()


# the portal

TROUBLES: dict[str, dict[str, Any]] = {
    "500": {"effect": "status", "status": 500},
    "502": {"effect": "html", "status": 502},
    "504": {"effect": "html", "status": 504},
    "HTML": {"effect": "html", "status": 200},
    "nothing": {"effect": "empty"},
    "half of it": {"effect": "truncate"},
    "by hanging up": {"effect": "drop"},
    "too late": {"effect": "delay", "seconds": 61},
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_portal_answers(storm: Storm, trouble: str, when: str) -> None:
    stage = storm.stage
    slow = "seconds" in TROUBLES[trouble]
    if slow:  # the cloud cuts after 60 s of its clock, which runs faster here
        stage.control("POST", "limits", {"enabled": True})
        stage.control("POST", "time", {"speed": 20})
    try:
        stage.control("POST", "faults", {"method": "*", "count": 12, "when": when, **TROUBLES[trouble]})
        storm.wave()
        last = storm.last
        stage.until(lambda: stage.hurry() or len(stage.portal.ledger(last, "fault")) >= 12, "the trouble", 120)
        storm.wave()
        stage.settle(120)
    finally:
        stage.control("POST", "time", {"speed": 1})
        stage.control("POST", "limits", {"enabled": False})
    storm.end()


def test_portal_is_gone_for_an_hour(tally: Tally, tmp_path: Path) -> None:
    """Nobody listens at its address, then it comes back with everything that it had."""
    began = time.monotonic()
    ports = ("--port", str(free_port()), "--oauth-port", str(free_port()))
    portal = ("--no-limits", "--state", str(tmp_path / "portal.db"), *ports)
    with running_office(tmp_path, *portal) as office:
        first = ring(office, 3, 1)
        office.portal.stop()
        gone = sa.select(schema.deliveries.c.id).where(schema.deliveries.c.reason.contains("no connection"))
        office.ring()
        office.until(lambda: office.rows(gone), "work that waits for the portal", 30)
        office.age_deliveries(timedelta(hours=1))
        office.portal = Sandbox.start(*portal)
        office.settle(60, hurry=True)
        second = ring(office, 3, 1)
        office.settle(60, hurry=True)
        office.reconcile()
        office.settle(60, hurry=True)
        lost, doubled = Enquiries(first.leads + second.leads, first.contacts + second.contacts).outcome(office)
        left = office.unfinished()
    row = tally.row("around", "portal is gone for an hour")
    row.add(lost + bool(left), doubled)
    row.seconds += time.monotonic() - began
    assert (lost, doubled, left) == (0, 0, "")


def test_database_server_is_away_for_long(tally: Tally, tmp_path: Path, postgresql: Server) -> None:
    """Longer than a few attempts take: what was begun and what waited go on when it is back."""
    began = time.monotonic()
    with running_office(tmp_path, "--no-limits", database=postgresql.empty()) as office:
        office.portal.fault("crm.timeline.comment.add", "delay", seconds=1)
        last, sizes = office.portal.last, office.log_sizes()
        first = ring(office, 6, 1)
        office.until(lambda: office.fault_taken(last, "crm.timeline.comment.add"), "a write on its way")
        postgresql.stop(killed=True)
        down = office.portal.last
        second = ring(office, 3)
        office.until(office.is_quiet, "the portal gave up on its events", 60)
        refused = {one["status"] for one in office.portal.ledger(down, "event")}
        office.until(lambda: dict(office.logs_since(sizes))["clock.log"].count("clock=late") > 5, "a while", 90)
        postgresql.start()
        office.until(lambda: office.health(), "the web sees it", 60)
        office.write(
            sa.update(schema.deliveries).where(schema.deliveries.c.state == "running").values(lease_until=office.now())
        )  # the minute and a half of whoever could not write back
        third = ring(office, 3)
        office.settle(120, hurry=True)
        office.reconcile()
        office.settle(60, hurry=True)
        every = Enquiries(first.leads + second.leads + third.leads, first.contacts)
        lost, doubled = every.outcome(office)
        left = office.unfinished()
    row = tally.row("around", "database server is away for long")
    row.add(lost + bool(left), doubled)
    row.seconds += time.monotonic() - began
    assert (lost, doubled, left, refused) == (0, 0, "", {503})


# tokens


def renewed_at_once(shop: Shop, guard: str = "") -> tuple[int, int]:
    """Lets the token expire while both workers need it; returns (what is lost, renewals beyond the one that is due)."""
    storm = Storm(shop, Tally(), "")
    stage = storm.stage
    stage.without(guard, *stage.workers)
    stage.portal.fault("oauth", "delay", seconds=2, count=9)
    last = stage.portal.last
    stage.tokens_expire()
    storm.wave(4, 2)
    stage.settle(120)
    renewals = [one for one in stage.portal.ledger(last, "oauth") if one.get("grant_type") == "refresh_token"]
    if guard:
        stage.without("", *stage.workers)
    else:
        storm.end()
    return 0, len(renewals) - 1


def test_token_expires_and_two_processes_need_it(shop: Shop, tally: Tally) -> None:
    lost, doubled = renewed_at_once(shop)
    tally.row("around", "token expires, two processes need it").add(lost, doubled)
    assert (lost, doubled) == (0, 0)


@pytest.mark.parametrize("how", ["dismissed", "revoked"])
def test_owner_of_the_token_is(storm: Storm, how: str) -> None:
    """A spare administrator's token goes on."""
    stage = storm.stage
    stage.portal.set_person(2, admin=True)
    assert stage.portal.open(2)["status"] == 200
    assert {row["user_id"] for row in stage.rows(sa.select(schema.tokens.c.user_id))} == {1, 2}
    storm.wave()
    if how == "dismissed":
        stage.portal.set_person(1, active=False)
    else:
        stage.control("POST", "tokens", {"action": "revoke", "client_id": stage.portal.client_id, "user_id": 1})
    storm.wave()
    alarms = schema.alarms
    stage.until(lambda: stage.rows(sa.select(alarms.c.key).where(alarms.c.key == "token")), "the alarm", 60)
    # the hour of the access token passes, and what was revoked cannot be renewed
    stage.write(sa.update(schema.tokens).where(schema.tokens.c.user_id == 1).values(expires_at=datetime.now(UTC)))
    storm.end()


# events


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "duplicate", "seconds": 0.3},
        {"action": "reorder", "seconds": 0.5},
        {"action": "delay", "seconds": 3},
    ],
    ids=lambda rule: rule["action"],
)
def test_events_come_otherwise(storm: Storm, rule: dict[str, Any]) -> None:
    for _ in range(4):
        storm.stage.control("POST", "event-rules", {"event": "*", "count": 8, **rule})
        storm.wave(3, 1)
    storm.end()


def test_events_are_lost_5_percent(storm: Storm, chance: random.Random) -> None:
    for _ in range(10):
        storm.wave(2, 0)
        if chance.random() < 0.3:  # one call is some six events
            storm.stage.control("POST", "event-rules", {"event": "*", "count": 1, "action": "lose"})
    storm.stage.control("POST", "event-rules", {"event": "ONCRMLEADADD", "count": 2, "action": "lose"})
    storm.wave(2, 0)
    storm.end()


# an upgrade


def test_playbook_changes_while_deliveries_wait(storm: Storm) -> None:
    stage = storm.stage
    before = stage.playbook.read_text("utf-8")
    stage.kill(*stage.workers)
    storm.wave()
    stage.until(stage.is_quiet, "the portal has told it", 30)
    other = playbook(order='"least_loaded"', call_deadline_minutes="30", limit_open="20")
    stage.write_config(other)
    stage.restart("web", "clock")
    stage.start(*stage.workers)
    storm.wave()
    try:
        storm.end()
    finally:
        stage.write_config(before)
        stage.restart("web", "clock", *stage.workers)
        stage.until(stage.answers, "the web answers", 60)


def test_deliveries_of_an_older_version_wait(storm: Storm) -> None:
    """What newer versions added to payloads and commands is not in them; each of these has a value by default."""
    stage = storm.stage
    held = {"method": "crm.timeline.comment.add", "effect": "cut", "seconds": HELD_SECONDS, "count": 2}
    stage.control("POST", "faults", held)
    storm.wave()
    stage.until(lambda: len(stage.portal.ledger(storm.last, "fault")) == 2, "commands on their way", 60)
    stage.kill(*stage.workers)
    commands, deliveries = schema.commands, schema.deliveries
    defaults: dict[str, Any] = {"instead": {}, "after": None, "otherwise": None, "needs": []}
    for row in stage.rows(sa.select(commands.c.id, commands.c.command)):
        older = {key: value for key, value in row["command"].items() if defaults.get(key, ...) != value}
        older["again"] = {key: value for key, value in older["again"].items() if (key, value) != ("exact", False)}
        stage.write(sa.update(commands).where(commands.c.id == row["id"]).values(command=older))
    for row in stage.rows(sa.select(deliveries.c.id, deliveries.c.payload)):
        older = {key: value for key, value in row["payload"].items() if key not in ("looks", "ts")}
        stage.write(
            sa.update(deliveries).where(deliveries.c.id == row["id"]).values(payload=json.loads(json.dumps(older)))
        )
    stage.pardon()
    stage.start(*stage.workers)
    storm.end()


def test_our_database_is_an_older_copy(storm: Storm) -> None:
    put_an_older_copy_back(storm)


def test_our_postgresql_is_an_older_copy(tally: Tally, tmp_path: Path, postgresql: Server) -> None:
    with running_stage(tmp_path, kind=partial(OnPostgresql, postgresql)) as shop:
        put_an_older_copy_back(Storm(shop, tally, "our postgresql is an older copy"))


def put_an_older_copy_back(storm: Storm) -> None:
    """T4: the portal is ahead of our database; it is put back as docs/operating.md says."""
    stage, shop = storm.stage, storm.shop
    storm.wave()
    stage.settle()
    stage.kill(*stage.workers)
    storm.wave()  # these wait in the copy, and are worked on after it
    put_back = stage.copied()
    stage.start(*stage.workers)
    storm.wave()
    stage.control("PATCH", "line", {"create_lead": "none"})
    made_number = new_phone()
    stage.portal.missed_call(made_number)  # the portal makes no lead of it: we do
    stage.settle()
    stage.control("PATCH", "line", {"create_lead": "missed"})
    number = new_phone()
    stage.client(number, DARIA)
    for _ in range(2):  # he calls again and again: one task, and one notice a call
        stage.portal.missed_call(number)
        stage.settle()
    mine, sent = phone_text(number, "RU"), shop.provider.sent
    assert sum(mine in one["msg"] for one in sent) == 2 * 2  # two calls, told to two people
    sent[:] = [one for one in sent if mine not in one["msg"]]  # alike, but no message twice
    lead_id = qualified(shop)
    drag(shop, lead_id, CLIENT)
    shop.lead(**{DATE: shop.day(5).isoformat()})
    stage.settle()
    before = digest(shop)
    stage.kill("web", "clock", *stage.workers)
    stage.database.dispose()
    put_back()
    storm.last = stage.portal.last  # what was acknowledged since the copy is not in it
    storm.wave()  # nobody hears of these
    stage.write(sa.update(schema.tokens).values(dead_at=stage.now(), dead_reason="renewed since"))
    with stage.commanded("restored", "--port", stage.url.rpartition(":")[2]) as command:
        stage.until(stage.answers, "it serves the web", 60)
        stage.portal.open(1)
        said, _ = command.communicate(timeout=120)
    assert command.returncode == 0, said
    assert "Откройте приложение" in said
    stage.start("web")
    stage.until(stage.answers, "the web answers", 60)
    stage.start("clock", *stage.workers)
    storm.end()
    after = digest(shop)
    assert {line[0] for line in before - after} <= {"timer", "visit"}
    assert [line for line in after - before if line[0] == "task" and not line[1].startswith(CALL)] == []
    assert [line for line in after - before if line[0] in ("entry", "visit")] == []
    assert len([one for one in stage.portal.state("notices") if "звонил ещё раз" in one["text"]]) == 1
    assert not [one for one in sent if mine in one["msg"]]
    assert len([one for one in stage.portal.state("leads") if phone_text(made_number, "RU") in one["title"]]) == 1
    assert len([one for one in stage.portal.state("tasks") if phone_text(made_number, "RU") in one["title"]]) == 1
    with stage.commanded("why", "lead", str(storm.waves[2].leads[0])) as command:
        assert "узнано по ленте" in command.communicate(timeout=60)[0]
    assert [line[2] for line in after - before if line[0] == "notice" and "visit" in line[2]], "its visit is told"


# what only a late look finds


def test_client_declines_before_his_date_was_seen(storm: Storm) -> None:
    """The card has a date that nobody booked, and the client needs no measurer any more."""
    stage, shop = storm.stage, storm.shop
    stage.pause(*stage.workers)
    made = stage.portal.create_item(
        1, {"title": "Кухня", "assignedById": ANNA, "stageId": MEASUREMENT, "fm": phone(new_phone()),
            ADDRESS: "Мира, 5", DATE: shop.day(5).isoformat()}, user_id=ANNA,
    )  # fmt: skip
    stage.portal.change_item(1, made["id"], {"stageId": "JUNK", DECLINE: list_value(shop, DECLINE)}, user_id=ANNA)
    stage.go_on(*stage.workers)
    storm.end()
    assert shop.entries(made["id"]) == []
