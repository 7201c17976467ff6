"""What /health and `doctor` say about a database in every state, and how the commands refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from b24app.bitrix.limits import STANDARD
from b24app.bitrix.oauth import Pair
from b24app.config import SmsSection, parse
from b24app.engine.clock import BEAT
from b24app.engine.declare import Catalogue
from b24app.health import Finding, findings, is_serving, version
from b24app.playbook import parse_playbook
from b24app.services import Services, build
from b24app.store import schema, tally
from b24app.store.alarms import raise_alarm
from b24app.store.memory import Memory
from b24app.store.portals import install_portal, learn
from handlers import admin_notice
from install.wanted import SCOPES

ROOT = Path(__file__).parent.parent
NOW = datetime.now(UTC)
MEMBER = "0123456789abcdef0123456789abcdef"


def _config(folder: Path) -> str:
    return f"""
        [app]
        public_url = "http://127.0.0.1:1"
        secret_key = "{"k" * 32}"
        [[portals]]
        host = "127.0.0.1:2"
        client_id = "local.1"
        client_secret = "s3cret-of-the-application"
        [database]
        url = "sqlite:///{folder / "b24app.db"}"
        [run]
        data = "{folder}"
        """


GATEWAY = SmsSection(
    url="https://sms.example.ru/?k={key}", key="canary", fields={"to": "{phone}", "msg": "{text}"}, sent="OK"
)


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The disks of this machine are none of the tests' business."""
    space = {"free": 50_000_000_000, "total": 100_000_000_000}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(**space))
    return space


@pytest.fixture
def services(tmp_path: Path, redis_url: str) -> Iterator[Services]:
    built = build(parse(_config(tmp_path)), Catalogue(), redis_url)
    built.database.migrate()
    yield built
    built.dispose()


def _install(services: Services) -> None:
    install_portal(
        services.database,
        member_id=MEMBER,
        client_id="local.1",
        host="127.0.0.1:2",
        client_endpoint="http://127.0.0.1:2/rest/",
        application_token_digest="0" * 64,
        user_id=1,
    )
    learn(services.database, MEMBER, {"scope": sorted(scope.name for scope in SCOPES)})
    services.tokens.store(MEMBER, 1, "owner", Pair("access", "refresh", NOW + timedelta(hours=1)))


def _insert(services: Services, table: sa.Table, **values: object) -> None:
    with services.database.write() as connection:
        connection.execute(sa.insert(table).values(**values))


def _beat(services: Services, at: datetime) -> None:
    _insert(services, schema.cursors, member_id=BEAT[0], name=BEAT[1], value="", updated_at=at)


def _delivery(services: Services, **values: object) -> None:
    usual = {
        "member_id": MEMBER, "kind": "event", "code": "ONCRMLEADADD", "entity": "lead:42", "payload": {},
        "priority": 50,
        "state": "waiting", "received_at": NOW, "due_at": NOW, "attempts": 0, "crashes": 0,
    }  # fmt: skip
    _insert(services, schema.deliveries, **(usual | values))


def _about(services: Services, key: str) -> list[Finding]:
    return [finding for finding in findings(services, NOW) if finding.key == key]


def _with_gateway(services: Services) -> Services:
    return replace(services, settings=services.settings.model_copy(update={"sms": GATEWAY}))


def test_everything_is_well_on_a_working_installation(services: Services) -> None:
    _install(services)
    _beat(services, NOW)
    found = findings(_with_gateway(services), NOW)
    assert {finding.level for finding in found} == {"ok"}
    assert {one.key for one in found} == {
        "database", "version", "disk", "redis", "portal", "token", "deliveries", "failed", "clock", "events", "limits",
        "sms",
    }  # fmt: skip
    assert all(one.ru and one.en and one.ru != one.en for one in found)
    (told,) = _about(services, "version")
    assert f"b24app {version()}, схема базы данных 0" in told.ru


def test_messages_that_the_playbook_wants_need_a_gateway(services: Services) -> None:
    silent = parse_playbook('name = "x"', "x")
    assert _about(replace(services, playbook=silent), "sms") == []
    (finding,) = _about(services, "sms")
    assert (finding.level, "[measurement] sms" in finding.ru, "[sms]" in finding.en) == ("warn", True, True)
    wanted = parse_playbook('name = "x"\n[intake]\nmissed_call_sms = { to = "head" }\n', "x")
    (finding,) = _about(replace(services, playbook=wanted), "sms")
    assert (finding.level, "[sms]" in finding.ru, "[sms]" in finding.en) == ("bad", True, True)
    (finding,) = _about(replace(_with_gateway(services), playbook=wanted), "sms")
    assert (finding.level, finding.ru) == ("ok", "SMS отправляет sms.example.ru.")


@pytest.mark.parametrize(
    ("free", "total", "level"), [(2, 30, "ok"), (0.9, 10, "warn"), (4, 100, "warn"), (6, 100, "ok")]
)
def test_little_room_on_the_disk_is_told(
    services: Services, room: dict[str, int], free: float, total: float, level: str
) -> None:
    room |= {"free": int(free * 1e9), "total": int(total * 1e9)}
    (finding,) = _about(services, "disk")
    assert finding.level == level
    assert f"{free:.1f} ГБ" in finding.ru


def test_the_plan_is_told_and_what_does_not_work_on_it(services: Services) -> None:
    _install(services)
    plans = {
        "ok": {"license": "ru_pro100", "license_family": "pro"},
        "warn": {"license": "ru_project", "license_family": "project"},
        "bad": {"license": "ru_pro100", "license_family": "pro", "payment_expired": True},
    }
    for level, facts in plans.items():
        learn(services.database, MEMBER, facts)
        (finding,) = _about(services, "plan")
        assert (finding.level, facts["license"] in finding.ru) == (level, True)


def test_a_portal_that_is_not_installed_is_named(services: Services) -> None:
    [finding] = _about(services, "portal")
    assert finding.level == "warn"
    assert "127.0.0.1:2" in finding.ru


def test_a_missing_permission_is_bad_when_nothing_works_without_it(services: Services) -> None:
    _install(services)
    learn(services.database, MEMBER, {"scope": ["task", "user"]})
    levels = {finding.level for finding in _about(services, "scope")}
    crm = next(finding for finding in _about(services, "scope") if "«crm»" in finding.ru)
    assert levels == {"bad", "warn"}
    assert crm.level == "bad"


def test_without_the_calendar_nobody_is_booked_for_a_measurement(services: Services) -> None:
    _install(services)
    learn(services.database, MEMBER, {"scope": sorted({scope.name for scope in SCOPES} - {"calendar"})})
    [finding] = _about(services, "scope")
    assert (finding.level, "не записать на замер" in finding.ru) == ("bad", True)
    [finding] = _about(replace(services, playbook=parse_playbook('name = "x"', "x")), "scope")
    assert (finding.level, "замер" in finding.ru) == ("warn", False)


def _visit(services: Services, number: int, **values: object) -> None:
    start = NOW + timedelta(days=number)
    usual = {
        "member_id": MEMBER, "entity": f"lead:{number}", "round": 1, "work": "kitchen", "measurer_id": 9,
        "starts_at": start, "ends_at": start + timedelta(hours=3), "state": "confirmed", "shown": "confirmed",
        "title": "Кухня", "address": "", "address_given": False, "zone": "", "booked_by": 1, "source": "tab",
        "agreed": False, "told": 0, "problem": "absent", "reason": "", "made_at": NOW, "changed_at": NOW,
    }  # fmt: skip
    _insert(services, schema.visits, **(usual | values))


def test_visits_to_come_that_lost_their_measurer_are_told(services: Services) -> None:
    _install(services)
    _visit(services, -1)
    _visit(services, -2, problem="", state="confirming")
    _visit(services, 4, state="cancelled")
    assert _about(services, "visits") == [], "what is over needs nobody"
    for number, problem in ((3, "absent"), (2, "absent"), (5, "gone"), (6, "")):
        _visit(services, number, problem=problem)
    away, gone = _about(services, "visits")
    first = (NOW + timedelta(days=2)).astimezone(ZoneInfo("Europe/Moscow"))
    assert (away.level, gone.level) == ("warn", "warn")
    assert f"отсутствует: 2, ближайший {first:%d.%m %H:%M}" in away.ru
    assert "больше не замерщик: 1" in gone.ru
    assert _about(replace(services, playbook=parse_playbook('name = "x"', "x")), "visits") == []


def test_a_dead_token_is_bad_unless_a_spare_lives(services: Services) -> None:
    _install(services)
    with services.database.write() as connection:
        connection.execute(sa.update(schema.tokens).values(dead_at=NOW, dead_reason="invalid_grant"))
    [finding] = _about(services, "token")
    assert finding.level == "bad"
    assert "invalid_grant" in finding.ru
    services.tokens.store(MEMBER, 2, "spare", Pair("access", "refresh", NOW + timedelta(hours=1)))
    assert sorted(finding.level for finding in _about(services, "token")) == ["ok", "warn"]


@pytest.mark.parametrize("days", [149, 151])
def test_a_token_that_nobody_uses_is_told_before_it_ends(services: Services, days: int) -> None:
    _install(services)
    services.tokens.store(MEMBER, 2, "spare", Pair("access", "refresh", NOW + timedelta(hours=1)))
    with services.database.write() as connection:
        idle = NOW - timedelta(days=days)
        spare = schema.tokens.c.user_id == 2
        connection.execute(sa.update(schema.tokens).where(spare).values(updated_at=idle))
    warned = [finding for finding in _about(services, "token") if finding.level == "warn"]
    assert [f"сотрудника 2 не обновлялся дней: {days}, истечёт через: {180 - days}" in one.ru for one in warned] == (
        [True] if days > 150 else []
    )


@pytest.mark.parametrize(("late", "level"), [(0, "ok"), (4, "ok"), (6, "warn"), (31, "bad")])
def test_waiting_deliveries_are_judged_by_how_late_the_oldest_is(services: Services, late: int, level: str) -> None:
    _install(services)
    _delivery(services, due_at=NOW - timedelta(minutes=late))
    _delivery(services, due_at=NOW + timedelta(hours=5))
    [finding] = _about(services, "deliveries")
    assert finding.level == level
    assert ": 2" in finding.ru
    at = NOW.astimezone(ZoneInfo("Europe/Moscow"))
    assert (f"{at:%d.%m %H:%M}" in finding.ru) == (level == "ok")


def test_deliveries_of_a_portal_that_left_are_nobodys_business(services: Services) -> None:
    _install(services)
    _delivery(services, member_id="of another", state="failed", due_at=NOW - timedelta(days=1))
    assert [finding.level for key in ("deliveries", "failed") for finding in _about(services, key)] == ["ok", "ok"]


def test_failed_deliveries_are_told_with_their_reasons(services: Services) -> None:
    _install(services)
    _delivery(services, state="failed", reason="портал отказал: ACCESS_DENIED")
    [finding] = _about(services, "failed")
    assert finding.level == "warn"
    assert "lead:42: портал отказал: ACCESS_DENIED" in finding.ru


def _reconciled(services: Services, *, came: int = 0, at: datetime = NOW, **found: int) -> None:
    """A reconciliation is over: so many events came before it, and these were found without one."""
    for _ in range(came):
        _delivery(services, received_at=at, state="done")
    with services.database.write() as connection:
        memory = Memory(services.database, connection, MEMBER)
        for code, count in found.items():
            for number in range(count):
                memory.deliver(kind="event", code=code, entity=f"lead:{number}", payload={}, priority=50)
        tally.count_events(memory, found)


def test_what_came_and_what_no_event_told_is_counted_apart(services: Services) -> None:
    _install(services)
    _reconciled(services, came=3)
    _reconciled(services, ONCRMLEADADD=2, ONVOXIMPLANTCALLEND=1)
    _reconciled(services, came=1)
    with services.database.read() as connection:
        seen = tally.of_portal(Memory(services.database, connection, MEMBER)).events
    lead, call = seen["ONCRMLEADADD"], seen["ONVOXIMPLANTCALLEND"]
    assert ((lead.seen, lead.found, lead.rounds), (call.seen, call.found, call.rounds)) == ((4, 2, 0), (0, 1, 1))
    (finding,) = _about(services, "events")
    assert finding.level == "ok"
    assert "последние события: новый лид " in finding.ru
    assert "нашла без событий: новый лид 2, звонок окончен 1." in finding.ru


def test_events_that_do_not_arrive_are_told_once_they_are_missed_again_and_again(services: Services) -> None:
    _install(services)
    long_ago = NOW - timedelta(hours=3)
    _reconciled(services, came=1, at=long_ago)
    for _ in range(2):
        _reconciled(services, ONCRMLEADADD=1)
    assert [finding.level for finding in _about(services, "events")] == ["ok"]
    _reconciled(services)
    _reconciled(services, ONCRMLEADADD=1)
    told = _about(services, "events")[0]
    assert told.level == "bad"
    assert f"новые лиды (последнее {long_ago.astimezone(ZoneInfo('Europe/Moscow')):%d.%m %H:%M})" in told.ru
    assert "http://127.0.0.1:1/event" in told.ru
    assert "the last" in told.en
    _reconciled(services, came=1)
    assert [finding.level for finding in _about(services, "events")] == ["ok"]


def test_one_event_of_the_last_hours_is_enough_to_believe_in_them(services: Services) -> None:
    _install(services)
    _reconciled(services, came=1, at=NOW - timedelta(hours=1))
    for _ in range(4):
        _reconciled(services, ONCRMLEADADD=1)
    assert [finding.level for finding in _about(services, "events")] == ["ok"]


def test_people_of_the_rules_who_are_gone_are_told_with_their_places(services: Services) -> None:
    _install(services)
    rules = 'name = "x"\n[assignment]\nusers = [7, 9]\nfallback_user = 7\n'
    named = replace(services, playbook=parse_playbook(rules, "x"))
    assert _about(named, "people") == []
    with services.database.write() as connection:
        gone = {"asked": [7, 9], "gone": {"7": "Пётр [Первый]", "8": "не из правил"}}
        Memory(services.database, connection, MEMBER).keep_snapshot(tally.PEOPLE, gone)
    (finding,) = _about(named, "people")
    assert finding.level == "warn"
    assert "Пётр (Первый) (7): [assignment] users, [assignment] fallback_user." in finding.ru


def test_every_place_that_names_a_person_is_known() -> None:
    rules = """
        name = "x"
        [assignment]
        users = [1, 2]
        fallback_user = 3
        [intake]
        missed_call_sms = { to = [2, 4] }
        [[lead.stages]]
        key = "new"
        id = "NEW"
        name = { ru = "Новый", en = "New" }
        [[lead.stages.tasks]]
        key = "call"
        title = "x"
        responsible = 5
        [[lead.fields]]
        key = "address"
        code = "UF_CRM_A"
        type = "string"
        name = { ru = "Адрес", en = "Address" }
        [[lead.fields]]
        key = "who"
        code = "UF_CRM_W"
        type = "employee"
        name = { ru = "Кто", en = "Who" }
        [[lead.fields]]
        key = "at"
        code = "UF_CRM_D"
        type = "datetime"
        name = { ru = "Когда", en = "When" }
        [measurement]
        stage = "new"
        address = "address"
        measurer = "who"
        date = "at"
        users = [6]
        [[measurement.work]]
        key = "all"
        name = { ru = "Всё", en = "All" }
        minutes = 60
        [[measurement.measurers]]
        user = 7
        """
    assert admin_notice.named_people(parse_playbook(rules, "x")) == {
        1: ["[assignment] users"],
        2: ["[assignment] users", "[intake] missed_call_sms"],
        3: ["[assignment] fallback_user"],
        4: ["[intake] missed_call_sms"],
        5: ["[lead] call"],
        6: ["[measurement] users"],
        7: ["[[measurement.measurers]]"],
    }


def test_what_is_used_of_the_portals_limits_is_told(services: Services) -> None:
    _install(services)
    services.limits.resume(MEMBER)
    for _ in range(5):
        services.limits.take(MEMBER)
    until = services.limits.park(MEMBER, "crm.item.list", datetime.now(UTC) + timedelta(minutes=5))
    (finding,) = findings_of_limits = _about(services, "limits")
    assert [one.level for one in findings_of_limits] == ["ok"]
    assert f"из {STANDARD.capacity}" in finding.ru
    assert f"crm.item.list {until.astimezone(ZoneInfo('Europe/Moscow')):%H:%M}" in finding.ru
    services.limits.stop(MEMBER, "OVERLOAD_LIMIT")
    (finding,) = _about(services, "limits")
    assert (finding.level, "поддержку" in finding.ru) == ("bad", True)
    services.redis.flushdb()
    (finding,) = _about(services, "limits")
    assert "методы на паузе: нет" in finding.ru


@pytest.mark.parametrize(("minutes", "level"), [(1, "ok"), (3, "bad")])
def test_a_silent_clock_is_noticed(services: Services, minutes: int, level: str) -> None:
    _beat(services, NOW - timedelta(minutes=minutes))
    assert [finding.level for finding in _about(services, "clock")] == [level]


def test_alarms_and_late_timers_are_told(services: Services) -> None:
    _install(services)
    raise_alarm(services.database, MEMBER, "limits", "Портал остановил REST", "The portal stopped REST")
    _insert(
        services, schema.timers, member_id=MEMBER, key="k", code="queue", entity="lead:1", payload={},
        due_at=NOW - timedelta(hours=1),
    )  # fmt: skip
    assert "Портал остановил REST" in _about(services, "alarm")[0].ru
    (late,) = _about(services, "timers")
    since = (NOW - timedelta(hours=1)).astimezone(ZoneInfo("Europe/Moscow"))
    assert (late.level, f"опаздывает таймеров: 1, самый давний с {since:%d.%m %H:%M}" in late.ru) == ("warn", True)


def test_a_broken_database_is_told_first_and_is_not_serving(services: Services, tmp_path: Path) -> None:
    services.database.dispose()
    for file in tmp_path.glob("b24app.db*"):
        file.unlink()
    (tmp_path / "b24app.db").write_bytes(b"this is no database, but it is a file of some length" * 20)
    found = findings(services, NOW)
    assert (found[0].key, found[0].level) == ("database", "bad")
    assert not is_serving(found)


def test_an_old_schema_is_not_serving(services: Services) -> None:
    with services.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'of another time'"))
    assert not is_serving(findings(services, NOW))


def _b24app(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "config.toml").write_text(_config(folder))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "b24app", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", ["web", "worker", "clock"])
def test_a_part_alone_refuses_to_start_without_a_redis(tmp_path: Path, command: str) -> None:
    told = _b24app(tmp_path, command)
    assert told.returncode == 2
    assert "[redis] url: пусто" in told.stderr
    assert "[redis] url: empty" in told.stderr


def test_doctor_tells_in_both_languages_and_exits_with_1_when_a_person_is_needed(tmp_path: Path) -> None:
    told = _b24app(tmp_path, "doctor")
    assert told.returncode == 1
    assert "приложение ещё не установлено" in told.stdout
    assert "not installed yet" in told.stdout
    assert "s3cret" not in told.stdout + told.stderr


def test_a_missing_configuration_is_said_without_a_traceback(tmp_path: Path) -> None:
    told = _b24app(tmp_path, "--config", "absent.toml", "run")
    assert told.returncode == 2
    assert told.stderr.startswith("absent.toml: файл не читается")


def test_sandbox_is_started_as_a_process_of_its_own(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "b24app", "sandbox", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        assert {"url", "webhook", "oauth_url", "client_id", "client_secret", "member_id"} <= set(ready)
    finally:
        process.terminate()
        process.communicate(timeout=20)
