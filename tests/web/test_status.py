"""GET /metrics: everything that health says, in numbers; by portal and code, never by person or phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from b24app.bitrix.oauth import Pair
from b24app.pages import main
from b24app.pages.frame import Look
from b24app.services import Services, build
from b24app.store import schema, tally
from b24app.store.alarms import raise_alarm
from b24app.store.memory import Memory
from b24app.web import create_app
from tests.web.conftest import CATALOGUE, MEMBER, settings_of

HOST = "portal.bitrix24.ru"


@pytest.fixture
def services(tmp_path: Path, redis_url: str) -> Iterator[Services]:
    """With a Redis, since limits are counted there."""
    made = build(settings_of(tmp_path), CATALOGUE, redis_url)
    made.redis.flushdb()
    made.database.migrate()
    yield made
    made.dispose()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def now() -> datetime:
    """Not a constant of the file: it is read long before its tests run."""
    return datetime.now(UTC)


def insert(services: Services, table: sa.Table, **values: Any) -> None:
    with services.database.write() as connection:
        connection.execute(sa.insert(table).values(member_id=MEMBER, **values))


def delivery(services: Services, state: str, *, minutes: int = 0, **more: Any) -> None:
    at = now() - timedelta(minutes=minutes)
    usual = {"kind": "event", "code": "ONCRMLEADADD", "entity": "lead:42", "payload": {}, "priority": 50}
    values = {**usual, "state": state, "received_at": at, "due_at": at, "attempts": 0, "crashes": 0, **more}
    insert(services, schema.deliveries, **values)


def scraped(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Returns the samples by name, portal, and the other labels."""
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for one in family.samples:
            labels = dict(one.labels)
            portal = [labels.pop("portal")] if "portal" in labels else []
            found[one.name, *portal, *labels.values()] = one.value
    return found


def test_what_waits_and_what_failed_is_counted_by_portal(client: FlaskClient, services: Services, portal: str) -> None:
    delivery(services, "waiting", minutes=10)
    delivery(services, "waiting", due_at=now() + timedelta(hours=3))
    delivery(services, "failed", code="ONVOXIMPLANTCALLEND", finished_at=now())
    delivery(services, "done")
    for key, due_at in (("late", now() - timedelta(minutes=5)), ("later", now() + timedelta(hours=1))):
        insert(services, schema.timers, key=key, code="queue", entity="lead:42", payload={}, due_at=due_at)
    raise_alarm(services.database, MEMBER, "sms", "SMS не уходят", "No SMS goes out")
    seen = scraped(client)
    assert seen["b24app_deliveries_waiting", HOST] == 2
    for name, seconds in (("b24app_oldest_delivery_seconds", 600), ("b24app_timers_late_seconds", 300)):
        assert seconds <= seen[name, HOST] < seconds + 60
    assert 600 <= seen["b24app_delivery_late_seconds", HOST] < 660
    assert (seen["b24app_timers", HOST], seen["b24app_timers_late", HOST]) == (2, 1)
    assert seen["b24app_deliveries_failed", HOST, "ONVOXIMPLANTCALLEND"] == 1
    assert seen["b24app_deliveries", "event", "done"] == 1
    assert (seen["b24app_deliveries_accepted_total",], seen["b24app_portals_active",]) == (4, 1)
    assert seen["b24app_alarms", HOST, "sms"] == 1
    assert seen["b24app_findings", HOST, "alarm", "warn"] == 1
    assert seen["b24app_findings", HOST, "deliveries", "warn"] == 1


def test_events_tokens_limits_and_disks_are_counted(client: FlaskClient, services: Services, portal: str) -> None:
    delivery(services, "done", minutes=3)
    for found in ({}, {"ONCRMLEADADD": 2}):
        with services.database.write() as connection:
            tally.count_events(Memory(services.database, connection, MEMBER), found)
    for user_id, role in ((1, "owner"), (2, "spare"), (3, "spare")):
        services.tokens.store(MEMBER, user_id, role, Pair("access", "refresh", now() + timedelta(hours=1)))  # type: ignore[arg-type]
    table = schema.tokens
    with services.database.write() as connection:
        connection.execute(sa.update(table).where(table.c.user_id == 2).values(updated_at=now() - timedelta(days=160)))
        connection.execute(sa.update(table).where(table.c.user_id == 3).values(dead_at=now(), dead_reason="x"))
    services.limits.take(MEMBER)
    services.limits.park(MEMBER, "crm.item.list", None)
    services.limits.stop(MEMBER, "OVERLOAD_LIMIT")
    seen = scraped(client)
    assert seen["b24app_events_total", HOST, "ONCRMLEADADD"] == 1
    assert seen["b24app_found_without_event_total", HOST, "ONCRMLEADADD"] == 2
    last = seen["b24app_event_last_timestamp_seconds", HOST, "ONCRMLEADADD"]
    assert last == pytest.approx((now() - timedelta(minutes=3)).timestamp(), abs=30)
    assert [seen["b24app_tokens", HOST, kind] for kind in ("owner", "spare", "dead")] == [1, 1, 1]
    assert seen["b24app_token_idle_seconds", HOST, "spare"] >= 160 * 86400
    assert 0 < seen["b24app_bucket_requests", HOST] <= 1
    assert seen["b24app_bucket_capacity_requests", HOST] == 50
    assert (seen["b24app_methods_parked", HOST], seen["b24app_portal_stopped", HOST]) == (1, 1)
    assert 0 < seen["b24app_disk_free_bytes", "database"] <= seen["b24app_disk_size_bytes", "database"]


def test_visits_and_sms_are_counted_by_state(client: FlaskClient, services: Services, portal: str) -> None:
    delivery(services, "done")
    words = {"sms": "sms:send", "task": "tasks.task.add", "comment": "crm.timeline.comment.add"}
    for place, (label, method) in enumerate(words.items()):
        command = {"label": label, "call": {"method": method, "params": {"text": "о sms:send"}}}
        with services.database.write() as connection:
            row = {"delivery_id": 1, "position": place, "command": command, "state": "done"}
            connection.execute(sa.insert(schema.commands).values(**row))
    seen = scraped(client)
    assert (seen["b24app_commands", "done"], seen["b24app_sms", "done"]) == (3, 1)
    assert not any(name[0] == "b24app_visits" for name in seen)


def test_no_label_is_a_person_or_a_phone(client: FlaskClient, services: Services, portal: str) -> None:
    delivery(services, "failed", entity="call:79123456789", reason="79123456789")
    raise_alarm(services.database, MEMBER, "process:lead", "79123456789", "79123456789")
    text = client.get("/metrics").text
    assert "79123456789" not in text
    labels = {name for family in text_string_to_metric_families(text) for one in family.samples for name in one.labels}
    assert labels <= {"portal", "kind", "code", "state", "key", "level", "version", "event"}


def test_a_portal_that_left_is_not_counted(client: FlaskClient, services: Services, portal: str) -> None:
    delivery(services, "failed", finished_at=now())
    with services.database.write() as connection:
        connection.execute(sa.update(schema.portals).values(status="uninstalled"))
    seen = scraped(client)
    assert seen["b24app_portals_active",] == 0
    assert not any(HOST in labels and name.startswith("b24app_deliveries") for name, *labels in seen)


def test_without_a_database_one_number_says_so(client: FlaskClient, services: Services) -> None:
    with services.database.write() as connection:
        connection.execute(sa.text("DROP TABLE deliveries"))
    assert scraped(client) == {("b24app_up",): 0}


def test_the_main_page_tells_an_administrator_what_works_and_what_does_not(services: Services, portal: str) -> None:
    delivery(services, "waiting", minutes=10)
    look = Look(services)
    shown = main.show(look, MEMBER, user_id=1, name="", admin=True, people=None)
    problems, fine = shown.split("Что в порядке")[0], shown.split("Что в порядке")[1].split("Проверить подключение")[0]
    assert "Обращений ждёт: 1, самое давнее опаздывает на 10 мин" in problems
    for words in (
        "Последние события: ещё не было",
        "Запросов в счётчике портала: 0 из 50",
        "b24app 0",
        "Место на диске",
    ):
        assert words in fine
    assert HOST not in problems + fine
    others = main.show(look, MEMBER, user_id=2, name="", admin=False, people=None)
    assert "Что в порядке" not in others
    assert "Проверить подключение" not in others
