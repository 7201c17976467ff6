"""The notice to the portal's owner: once per finding, with what to do, not at night, no request without a reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from scripted_company import Company
from scripted_portal import ANNA, BORIS, MEMBER, NOW, OWNER, Bench, ScriptedRest

from b24app import distribution as desk
from b24app.engine.clock import PERIODIC, Clock
from b24app.engine.declare import Catalogue, Nothing
from b24app.playbook import Playbook, parse_playbook
from b24app.rules.working_time import WorkCalendar
from b24app.store import alarms, schema, tally
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.portals import uninstall_portal
from handlers import TIMERS, admin_notice
from handlers.admin_notice import CODE, LAST, Facts, Told, Trouble

HOUR = timedelta(hours=1)
ALWAYS = "\n".join(f'{day} = ["00:00-00:00"]' for day in ("MO", "TU", "WE", "TH", "FR", "SA", "SU"))


def always_open(rules: str = "") -> Playbook:
    return parse_playbook(f'name = "x"\n{rules}\n[hours]\ncountry = ""\n[hours.shifts]\n{ALWAYS}\n', "x")


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def bench(database: Database, company: Company) -> Bench:
    return Bench(database, ScriptedRest(company), Catalogue(timers=TIMERS), playbook=always_open())


def look(bench: Bench) -> str:
    """The timer is due; returns what came of it."""
    table = schema.deliveries
    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER)
        memory.deliver(kind="timer", code=CODE, entity=CODE, payload={}, priority=90)
    bench.run()
    with bench.database.read() as connection:
        newest = sa.select(table.c.state, table.c.reason).where(table.c.code == CODE).order_by(table.c.id.desc())
        state, reason = connection.execute(newest.limit(1)).one()
    return f"{state}: {reason or ''}"


def alarm(bench: Bench, key: str, *, age: timedelta = HOUR) -> None:
    alarms.raise_alarm(bench.database, MEMBER, key, f"Тревога {key}: сделайте что-нибудь", f"Alarm {key}: do something")
    with bench.database.write() as connection:
        mine = schema.alarms.c.key == key
        connection.execute(sa.update(schema.alarms).where(mine).values(since=datetime.now(UTC) - age))


def failed(bench: Bench, *, age: timedelta = HOUR, code: str = "ONCRMLEADADD") -> None:
    ended = datetime.now(UTC) - age
    values = {
        "member_id": MEMBER, "kind": "event", "code": code, "entity": "lead:42", "payload": {}, "priority": 50,
        "state": "failed", "received_at": ended, "due_at": ended, "finished_at": ended, "attempts": 1, "crashes": 0,
    }  # fmt: skip
    with bench.database.write() as connection:
        connection.execute(sa.insert(schema.deliveries).values(values))


def hours_pass(bench: Bench, hours: int = 1) -> None:
    """All that stands and was told is so much older."""
    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER)
        last = memory.cursor(LAST)
        if last is not None:
            memory.move_cursor(LAST, (datetime.fromisoformat(last) - hours * HOUR).isoformat())
        for column in (schema.cursors.c.updated_at, schema.alarms.c.since, schema.deliveries.c.finished_at):
            older = {column.name: sa.type_coerce(column, sa.BigInteger) - hours * 3_600_000_000}
            connection.execute(sa.update(column.table).values(older))


def test_nothing_to_say_costs_no_request(bench: Bench) -> None:
    assert look(bench) == "done: ничего нового / nothing new"
    assert bench.rest.requests == []


def test_an_alarm_is_told_to_the_owner_once_with_what_to_do(bench: Bench, company: Company) -> None:
    alarm(bench, "sms")
    assert look(bench) == "done: "
    (notice,) = company.notices
    assert (notice["USER_ID"], notice["TAG"]) == (OWNER, "b24app|needs:alarm:sms")
    ru, en = notice["MESSAGE"].split("\n\n")
    assert "— Тревога sms: сделайте что-нибудь" in ru
    assert "[URL=https://acme.bitrix24.ru/marketplace/view/local.1/]" in ru
    assert "— Alarm sms: do something" in en
    for _ in range(3):
        hours_pass(bench, 24)
        look(bench)
    assert len(company.notices) == 1


def test_what_ends_and_comes_back_is_told_again_but_not_within_the_hour(bench: Bench, company: Company) -> None:
    alarm(bench, "sms")
    look(bench)
    alarms.clear_alarm(bench.database, MEMBER, "sms")
    look(bench)
    alarm(bench, "sms")
    assert "не чаще раза в час" in look(bench)
    hours_pass(bench)
    look(bench)
    assert [notice["TAG"] for notice in company.notices] == ["b24app|needs:alarm:sms"] * 2


def test_what_has_just_come_may_pass_by_itself(bench: Bench, company: Company) -> None:
    alarm(bench, "rest", age=timedelta(minutes=9))
    failed(bench, age=timedelta(minutes=9))
    look(bench)
    assert company.notices == []


def test_failed_deliveries_that_nobody_acted_on_are_told_and_newer_ones_again(bench: Bench, company: Company) -> None:
    failed(bench)
    failed(bench, age=timedelta(minutes=1), code="ONCRMDEALADD")
    look(bench)
    assert "Не удалось обращений — ONCRMLEADADD: 1." in company.notices[0]["MESSAGE"]
    hours_pass(bench, 3)
    look(bench)
    assert ["обращений — ONCRMDEALADD: 1, ONCRMLEADADD: 1." in notice["MESSAGE"] for notice in company.notices] == [
        False,
        True,
    ]
    hours_pass(bench, 3)
    look(bench)
    assert len(company.notices) == 2


def test_a_notice_that_failed_makes_no_other_one(bench: Bench, company: Company) -> None:
    failed(bench, code=CODE)
    look(bench)
    assert company.notices == []


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_several_findings_are_one_notice(bench: Bench, company: Company) -> None:
    alarm(bench, "sms")
    alarm(bench, "mailbox")
    failed(bench)
    look(bench)
    (notice,) = company.notices
    assert [word in notice["MESSAGE"] for word in ("Тревога sms", "Тревога mailbox", "Не удалось")] == [True] * 3
    assert notice["TAG"].startswith("b24app|needs:")
    alarm(bench, "process:lead")
    assert "не чаще раза в час" in look(bench)
    hours_pass(bench)
    look(bench)
    assert "Тревога process:lead" in company.notices[1]["MESSAGE"]
    assert "Тревога sms" not in company.notices[1]["MESSAGE"]


def test_events_that_do_not_arrive_are_told(bench: Bench, company: Company) -> None:
    for _ in range(admin_notice.ROUNDS):
        with bench.database.write() as connection:
            tally.count_events(Memory(bench.database, connection, MEMBER), {"ONVOXIMPLANTCALLEND": 2})
    look(bench)
    (notice,) = company.notices
    assert "События портала не приходят: звонки (ни одного)" in notice["MESSAGE"]
    assert "https://app.example.ru/event" in notice["MESSAGE"]


def test_work_that_is_hopelessly_late_is_told_and_a_little_late_is_not(bench: Bench, company: Company) -> None:
    late = {"member_id": MEMBER, "kind": "timer", "code": "elsewhere", "entity": "x", "payload": {}, "priority": 99}
    for minutes in (20, 40):
        with bench.database.write() as connection:
            at = datetime.now(UTC) - timedelta(minutes=minutes)
            connection.execute(
                sa.insert(schema.deliveries).values(
                    **late, state="running", received_at=at, due_at=at, attempts=1, crashes=0,
                    lease_until=datetime.now(UTC) + HOUR,
                )
            )  # fmt: skip
        look(bench)
    (notice,) = company.notices
    assert "Обращений ждёт: 3, самое давнее опаздывает на 40 мин" in notice["MESSAGE"]


def test_who_is_dismissed_is_asked_once_a_day_and_told(bench: Bench, company: Company) -> None:
    bench.playbook = always_open(f"[assignment]\nusers = [{ANNA}, {BORIS}]\nfallback_user = 77")
    company.people[BORIS]["ACTIVE"] = False
    look(bench)
    look(bench)
    assert bench.rest.sent == ["user.get", "im.notify.personal.add"]
    assert f"Борис ({BORIS}): [assignment] users, ? (77): [assignment] fallback_user." in company.notices[0]["MESSAGE"]
    bench.playbook = always_open(f"[assignment]\nusers = [{ANNA}]")
    look(bench)
    assert bench.rest.sent.count("user.get") == 2, "other rules are asked about at once"
    hours_pass(bench, 24)
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.snapshots).values(taken_at=datetime.now(UTC) - 25 * HOUR))
    look(bench)
    assert bench.rest.sent.count("user.get") == 3
    assert len(company.notices) == 1


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_the_whole_is_counted_on_each_database(bench: Bench) -> None:
    failed(bench)
    alarm(bench, "sms")
    look(bench)
    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER)
        tally.count_events(memory, {"ONCRMDEALADD": 1})
        memory.set_timer("x", code="queue", entity="x", due_at=memory.now - HOUR)
    counted = tally.tally(bench.database, datetime.now(UTC))
    seen = counted.portals[MEMBER]
    assert (counted.deliveries["event", "failed"], counted.commands, counted.sms) == (1, {"done": 1}, {})
    assert (seen.failed["ONCRMLEADADD"].left_alone, seen.timers.late, seen.alarms[0].key) == (1, 1, "sms")
    assert (seen.events["ONCRMLEADADD"].seen, seen.events["ONCRMDEALADD"].found) == (1, 1)


# when it is told


OFFICE = WorkCalendar()
"""Nine to six in Moscow; NOW is a Monday, ten o'clock."""
NIGHT = NOW.replace(hour=20)


def facts(*troubles: Trouble, now: datetime = NOW) -> Facts:
    return Facts(OWNER, "https://acme.bitrix24.ru/x/", "https://app.example.ru", always_open(), OFFICE, now, troubles)


WARN = Trouble("alarm", "alarm:sms", "warn", "ру", "en", since=NOW - HOUR)
BAD = Trouble("events", "events", "bad", "плохо", "bad")


@pytest.mark.parametrize(
    ("at", "told"), [(NOW, ("alarm:sms", "events")), (NIGHT, ("events",)), (NOW - timedelta(days=1), ("events",))]
)
def test_at_night_and_on_a_day_off_only_what_does_not_work_is_told(at: datetime, told: tuple[str, ...]) -> None:
    decision = admin_notice.decide(facts(replace(WARN, since=at - HOUR), BAD, now=at))
    assert isinstance(decision, Told)
    assert decision.names == told


def test_what_can_wait_is_told_in_the_morning() -> None:
    waiting = admin_notice.decide(facts(WARN, now=NIGHT))
    assert isinstance(waiting, Nothing)
    assert "до утра" in waiting.reason
    assert isinstance(admin_notice.decide(facts(WARN, now=NIGHT + 12 * HOUR)), Told)


def test_the_same_findings_make_the_same_tag_and_others_another() -> None:
    def tags() -> Iterator[str]:
        for found in ((WARN,), (WARN, BAD), (WARN, BAD), (BAD,)):
            decision = admin_notice.decide(facts(*found))
            assert isinstance(decision, Told)
            yield decision.tag

    one, both, again, other = tags()
    assert both == again
    assert len({one, both, other}) == 3


def test_the_office_hours_are_those_that_the_portal_said_last(bench: Bench, company: Company) -> None:
    never = WorkCalendar(weekend=frozenset(range(7)), country="")
    team = desk.Team(desk.pool_of(bench.playbook).queue, (), None, None, never)
    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER)
        memory.keep_snapshot(f"team:{team.queue}", desk.TEAM.dump_python(team, mode="json"))
    alarm(bench, "sms")
    assert "до утра" in look(bench)
    assert company.notices == []


# who sets the timer


def test_the_clock_looks_at_every_active_portal_again_and_again(bench: Bench) -> None:
    clock, table = Clock(bench.inbox, bench.catalogue, bench.rung.append), schema.deliveries
    now = datetime.now(UTC)

    def count() -> dict[str, int]:
        clock.start_reconciliations(now)
        clock.fire_timers(now)
        with bench.database.write() as connection:
            connection.execute(sa.update(table).values(state="done"))
            rows = connection.execute(sa.select(table.c.code, sa.func.count()).group_by(table.c.code))
            return dict(sorted((code, number) for code, number in rows if code in PERIODIC))

    assert count() == {CODE: 1, "offline_events": 1, "reconcile": 1}
    now += PERIODIC["reconcile"] + timedelta(seconds=1)
    assert count() == {CODE: 1, "offline_events": 2, "reconcile": 2}
    now += PERIODIC[CODE]
    assert count() == {CODE: 2, "offline_events": 3, "reconcile": 3}
    uninstall_portal(bench.database, MEMBER, erase=False)
    now += 2 * HOUR
    assert count() == {CODE: 2, "offline_events": 3, "reconcile": 3}
