"""Installation over HTTP: proved at the authorization server, brought in line, told in words; then the pages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from b24app import config
from b24app.pages import PLACEMENTS
from b24app.services import Services, build
from b24app.store import schema
from b24app.store.alarms import raise_alarm
from b24app.store.memory import Memory
from b24app.store.portals import all_portals
from b24app.web import create_app
from tests.web.conftest import CATALOGUE, SECRET
from tests.web.stub import CLIENT_ID, MEMBER_ID, Refused, Stub, frame, script_install

EVENTS = {"ONCRMLEADADD", "ONVOXIMPLANTCALLEND", "ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL"}
CARD = {
    "title": {"ru": "Пропущенный звонок <script>", "en": "Missed call"},
    "chosen": {"id": 5, "name": "Вера <img src=x>"},
    "rule": {"ru": "по очереди среди свободных", "en": "in turn among the free"},
    "lines": [
        {"user_id": 5, "name": "Вера", "free": True, "why": {"ru": "свободна", "en": "free"}},
        {"user_id": 6, "name": "Глеб", "free": False, "why": {"ru": "говорит по телефону", "en": "on a call"}},
    ],
    "at": "2026-11-22T10:00:00+03:00",
}


@pytest.fixture
def stub() -> Iterator[Stub]:
    serving = Stub()
    yield serving
    serving.stop()


@pytest.fixture
def services(tmp_path: Path, stub: Stub, redis_url: str) -> Iterator[Services]:
    settings = config.Settings.model_validate(
        {
            "app": {"public_url": "https://app.example.com", "secret_key": SECRET},
            "bitrix24": {"oauth_url": stub.url, "js_url": f"{stub.url}/api/v1/"},
            "portals": [{"host": stub.host, "client_id": CLIENT_ID, "client_secret": "s3cr3t"}],
            "database": {"url": f"sqlite:///{tmp_path / 'install.db'}"},
        }
    )
    made = build(settings, CATALOGUE, redis_url)
    made.redis.flushdb()
    made.database.migrate()
    yield made
    made.dispose()


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.fixture
def installed(client: FlaskClient, stub: Stub) -> FlaskClient:
    assert 'data-ready="1"' in client.post("/install?LANG=ru", data=frame("admin-access")).text
    stub.asked.clear()
    return client


def rows(services: Services, table: sa.Table) -> list[Any]:
    with services.database.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def page_pass(text: str) -> dict[str, str]:
    found = re.search(r'data-pass="([^"]+)"', text)
    assert found
    return {"Authorization": f"Bearer {found[1]}"}


def test_an_administrators_frame_installs_and_finishes(client: FlaskClient, services: Services, stub: Stub) -> None:
    answer = client.post("/install?DOMAIN=evil.example&LANG=ru", data=frame("admin-access"))
    assert answer.status_code == 200
    assert 'data-ready="1"' in answer.text
    assert "Робот «Назначить свободного менеджера»" in answer.text
    assert set(stub.robots) == {"assign_manager"}
    assert stub.robots["assign_manager"]["AUTH_USER_ID"] == "1"
    assert {(one["event"], one["handler"]) for one in stub.events} == {
        (e, "https://app.example.com/event") for e in EVENTS
    }
    assert len(stub.placements) == len(PLACEMENTS)
    row = all_portals(services.database)[MEMBER_ID]
    assert (row.host, row.client_endpoint, row.client_id) == (stub.host, f"{stub.url}/rest/", CLIENT_ID)
    assert row.facts["license_family"] == "ent"
    assert (row.facts["crm_mode"], row.facts["rest_v3"], row.facts["in_line"]) == (1, True, True)
    assert answer.headers["Content-Security-Policy"].endswith(f"frame-ancestors 'self' {stub.url}")


def test_no_secret_stands_readable_in_the_database_or_leaves_in_an_address(
    installed: FlaskClient, services: Services, stub: Stub, tmp_path: Path
) -> None:
    services.database.dispose()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("install.db*"))
    for secret in (b"admin-access", b"app-token", b"s3cr3t"):
        assert secret not in stored
    assert stub.secrets_in_urls == []


def test_a_reinstall_repeats_harmlessly(installed: FlaskClient, services: Services, stub: Stub) -> None:
    events, placements = list(stub.events), list(stub.placements)
    answer = installed.post("/install?LANG=ru", data=frame("admin-access", token="app-token-2"))
    assert 'data-ready="1"' in answer.text
    assert (stub.events, stub.placements) == (events, placements)
    writes = [name for name in stub.asked if name.endswith((".add", ".update", ".bind", ".delete", ".unbind"))]
    assert writes == ["bizproc.robot.update"]
    assert [token["role"] for token in rows(services, schema.tokens)] == ["owner"]


@pytest.mark.parametrize(
    "body",
    [
        frame("manager-access"),
        frame("forged-access"),
        frame("admin-access", member_id="f" * 32),
    ],
)
def test_who_is_no_administrator_of_this_portal_installs_nothing(
    client: FlaskClient, services: Services, stub: Stub, body: dict[str, str]
) -> None:
    answer = client.post("/install?LANG=ru", data=body)
    assert answer.status_code == 403
    assert "Доступа нет" in answer.text
    assert (stub.robots, stub.events, stub.placements) == ({}, [], [])
    assert [row for row in all_portals(services.database).values() if row.active] == []
    assert rows(services, schema.tokens) == []


def test_an_authorization_server_that_says_no_more_than_documented_is_enough(
    client: FlaskClient, services: Services, stub: Stub
) -> None:
    """By the page of app.info its answer does not say whose a token is: the frame's pair is renewed instead."""
    stub.says_whose = False
    assert 'data-ready="1"' in client.post("/install", data=frame("admin-access")).text
    row = all_portals(services.database)[MEMBER_ID]
    assert (row.host, row.client_endpoint, row.client_id) == (stub.host, f"{stub.url}/rest/", CLIENT_ID)
    assert services.tokens.owner(MEMBER_ID).access == "renewed-access"
    assert client.post("/install", data=frame("manager-access")).status_code == 403


@pytest.mark.parametrize("says_whose", [True, False])
def test_a_token_of_another_application_installs_nothing(
    client: FlaskClient, services: Services, stub: Stub, says_whose: bool
) -> None:
    stub.says_whose = says_whose
    stub.client_id = "local.of.somebody.else"
    assert client.post("/install", data=frame("admin-access")).status_code == 403
    assert all_portals(services.database) == {}


def test_strangers_cannot_make_us_storm_the_authorization_server(client: FlaskClient, stub: Stub) -> None:
    answers = [client.post("/install", data=frame("admin-access", member_id="f" * 32)).status_code for _ in range(40)]
    assert answers[0] == 403
    assert answers[-1] == 503
    assert stub.asked.count("AS app.info") <= 25


def test_a_missing_permission_is_told_and_the_rest_is_done(client: FlaskClient, services: Services, stub: Stub) -> None:
    stub.scope = ["crm", "user", "task"]
    stub.mode, stub.rest_v3 = 2, False
    text = client.post("/install?LANG=ru", data=frame("admin-access")).text
    assert "Нет права «telephony»" in text
    assert "Нет права «bizproc»" in text
    assert "простом режиме" in text
    assert "REST 3.0 на портале нет" in text
    assert 'data-ready="1"' in text
    assert {one["event"] for one in stub.events} == EVENTS - {"ONVOXIMPLANTCALLEND"}
    assert all_portals(services.database)[MEMBER_ID].facts["rest_v3"] is False


def test_without_an_essential_permission_it_is_not_finished_until_repeated(
    client: FlaskClient, services: Services, stub: Stub
) -> None:
    stub.scope = [name for name in stub.scope if name != "user"]
    text = client.post("/install?LANG=en", data=frame("admin-access")).text
    assert 'data-ready="0"' in text
    assert [alarm["key"] for alarm in rows(services, schema.alarms)] == ["install"]
    stub.scope.append("user")
    answer = client.post("/install/again", headers=page_pass(text))
    assert answer.json["ready"] is True
    assert all(set(line) == {"state", "text", "advice"} for line in answer.json["lines"])
    assert rows(services, schema.alarms) == []
    assert len(stub.placements) == len(PLACEMENTS)


def test_a_lost_answer_of_the_writes_is_looked_up_and_nothing_doubles(
    client: FlaskClient, services: Services, stub: Stub
) -> None:
    stub.lose_answers_of = {"event.bind"}
    text = client.post("/install", data=frame("admin-access")).text
    assert 'data-ready="1"' in text
    assert len(stub.events) == len(EVENTS)
    assert len(stub.placements) == len(PLACEMENTS)


def test_a_portal_that_refuses_is_told_in_words(client: FlaskClient, services: Services, stub: Stub) -> None:
    stub.refuse["bizproc.robot.add"] = Refused("ERROR_ACTIVITY_VALIDATION_FAILURE", "Wrong handler URL")
    text = client.post("/install", data=frame("admin-access")).text
    assert "не хватает" in text
    assert 'data-ready="1"' in text  # robots are not essential: events distribute without them
    assert rows(services, schema.alarms) == []


def test_a_script_only_application_installs_by_its_event(client: FlaskClient, services: Services, stub: Stub) -> None:
    with client.post("/install", data=script_install("admin-access")) as answer:
        assert (answer.status_code, answer.text) == (200, "installed\n")
    until(lambda: all_portals(services.database)[MEMBER_ID].facts.get("in_line") is True)
    assert {one["event"] for one in stub.events} == EVENTS


def test_a_forged_installation_event_is_refused_shortly(client: FlaskClient, services: Services) -> None:
    answer = client.post("/install", data=script_install("forged-access"))
    assert answer.status_code == 403
    assert "<html" not in answer.text
    assert client.post("/event", data=script_install("manager-access")).status_code == 403
    assert [row for row in all_portals(services.database).values() if row.active] == []


def test_an_update_brings_a_new_application_token(installed: FlaskClient, services: Services, stub: Stub) -> None:
    stub.events.clear()
    forged = installed.post("/event", data=script_install("manager-access", event="ONAPPUPDATE", token="new-token"))
    assert forged.status_code == 403
    update = script_install("admin-access", event="ONAPPUPDATE", token="new-token")
    with installed.post("/event", data=update) as answer:
        assert (answer.status_code, answer.text) == (200, "updated\n")
    until(lambda: {one["event"] for one in stub.events} == EVENTS)
    event = {"event": "ONCRMLEADADD", "data[FIELDS][ID]": "42", "auth[member_id]": MEMBER_ID}
    assert installed.post("/event", data={**event, "auth[application_token]": "app-token"}).status_code == 403
    assert installed.post("/event", data={**event, "auth[application_token]": "new-token"}).status_code == 200
    until(lambda: all_portals(services.database)[MEMBER_ID].facts.get("in_line") is True)


def decide(services: Services, entity: str, *, manager_id: int | None = 5, key: str = "") -> None:
    with services.database.write() as connection:
        memory = Memory(services.database, connection, MEMBER_ID, datetime.now(UTC), delivery_id=1)
        memory.assign(
            key=key or f"intake:{entity}",
            entity=entity,
            cause="missed",
            queue="q",
            manager_id=manager_id,
            took_turn=True,
            card=CARD if manager_id else {**CARD, "chosen": None},
            phone="+79123456789",
            call_id="call-1",
        )


def test_the_main_page_tells_an_administrator_all(installed: FlaskClient, services: Services, stub: Stub) -> None:
    decide(services, "lead:42")
    decide(services, "lead:43", manager_id=None)
    raise_alarm(services.database, MEMBER_ID, "overload", "Ключ <умер>", "The token died")
    answer = installed.post("/app?LANG=ru", data=frame("admin-access"))
    assert answer.status_code == 200
    text = answer.text
    assert "Ключ &lt;умер&gt;" in text
    assert "Вера &lt;img src=x&gt;" in text
    assert "<img" not in text
    assert "говорит по телефону" in text
    assert 'data-entity="lead:43"' in text
    assert f"{stub.url}/crm/lead/details/43/" in text
    assert "нет ни одного сотрудника" in text  # this portal serves no departments: said, not hidden
    assert "Cookie" not in " ".join(answer.headers.keys())


def test_a_manager_sees_his_own_decisions_and_no_buttons(installed: FlaskClient, services: Services) -> None:
    decide(services, "lead:42")
    decide(services, "lead:44", manager_id=6)
    decide(services, "lead:43", manager_id=None)
    text = installed.post("/app?LANG=ru", data=frame("manager-access")).text
    assert "lead/details/42" in text
    assert "lead/details/44" not in text
    assert "data-action" not in text
    denied = installed.post("/app/action", json={"action": "distribute", "entity": "lead:43"}, headers=page_pass(text))
    assert denied.status_code == 403


def test_a_later_administrator_leaves_a_spare_key(installed: FlaskClient, services: Services) -> None:
    installed.post("/app", data=frame("second-admin-access"))
    installed.post("/app", data=frame("manager-access"))
    assert {row["user_id"]: row["role"] for row in rows(services, schema.tokens)} == {1: "owner", 2: "spare"}


def test_the_main_page_on_a_portal_not_installed_installs_for_an_administrator(client: FlaskClient, stub: Stub) -> None:
    assert client.post("/app?LANG=ru", data=frame("manager-access")).status_code == 403
    assert 'data-ready="1"' in client.post("/app?LANG=ru", data=frame("admin-access")).text
    assert set(stub.robots) == {"assign_manager"}


@pytest.mark.parametrize("token", ["", "forged"])
def test_a_frame_with_a_wrong_application_token_shows_nothing(installed: FlaskClient, token: str) -> None:
    body = frame("manager-access", token=token, PLACEMENT="CRM_LEAD_DETAIL_TAB", PLACEMENT_OPTIONS='{"ID":"42"}')
    assert installed.post("/placement/lead", data=body).status_code == 403
    assert installed.post("/app", data=frame("manager-access", token=token)).status_code == 403


def fail(services: Services) -> int:
    number = services.inbox.record(
        member_id=MEMBER_ID, kind="event", code="ONCRMLEADADD", entity="lead:42", payload={}, priority=50
    )
    assert number is not None
    with services.database.write() as connection:
        values = {"state": "failed", "reason": "нет прав / no rights", "finished_at": datetime.now(UTC)}
        connection.execute(sa.update(schema.deliveries).where(schema.deliveries.c.id == number).values(values))
    return number


@pytest.mark.parametrize(("action", "state"), [("retry", "waiting"), ("give_up", "done")])
def test_an_administrator_retries_or_gives_up_what_failed(
    installed: FlaskClient, services: Services, action: str, state: str
) -> None:
    number = fail(services)
    text = installed.post("/app?LANG=ru", data=frame("admin-access")).text
    assert "нет прав / no rights" in text
    answer = installed.post("/app/action", json={"action": action, "id": number}, headers=page_pass(text))
    assert answer.status_code == 200
    assert answer.json["said"]
    assert rows(services, schema.deliveries)[0]["state"] == state
    again = installed.post("/app/action", json={"action": action, "id": number}, headers=page_pass(text))
    assert again.status_code == 404


def test_an_administrator_distributes_what_waits(installed: FlaskClient, services: Services) -> None:
    text = installed.post("/app", data=frame("admin-access")).text
    wish = {"action": "distribute", "entity": "lead:43"}
    assert installed.post("/app/action", json=wish, headers=page_pass(text)).status_code == 200
    [row] = rows(services, schema.deliveries)
    assert (row["kind"], row["code"], row["entity"]) == ("timer", "queue", "lead:43")
    assert row["payload"] == {"by_user_id": 1}


def test_an_administrator_distributes_an_import_at_once(installed: FlaskClient, services: Services) -> None:
    for number in range(50, 53):
        decide(services, f"lead:{number}", manager_id=None)
    decide(services, "lead:60")
    text = installed.post("/app", data=frame("admin-access")).text
    assert "Распределить все" in text
    answer = installed.post("/app/action", json={"action": "distribute_all"}, headers=page_pass(text))
    assert answer.json == {"said": "Распределяем: 3"}
    assert [row["entity"] for row in rows(services, schema.deliveries)] == ["lead:50", "lead:51", "lead:52"]


@pytest.mark.parametrize(
    "wish",
    [None, [], {}, {"action": "retry"}, {"action": "retry", "id": "1"}, {"action": "drop", "id": 1}]
    + [
        {"action": "distribute", "entity": entity}
        for entity in ("", "x", "lead:", "lead:x", "lead:0042", "import:1", "l" * 99, 5)
    ],
)
def test_an_unknown_wish_is_refused(installed: FlaskClient, services: Services, wish: Any) -> None:
    text = installed.post("/app", data=frame("admin-access")).text
    assert installed.post("/app/action", json=wish, headers=page_pass(text)).status_code == 400
    assert rows(services, schema.deliveries) == []


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer x.y.z", "Basic YTpi", "Bearer WyJhIl0.aaaa.bbbb"])
def test_a_forged_pass_is_refused(installed: FlaskClient, authorization: str) -> None:
    for path in ("/app/action", "/install/again"):
        answer = installed.post(path, json={"action": "retry", "id": 1}, headers={"Authorization": authorization})
        assert answer.status_code == 403


def test_a_pass_ends_with_the_application(installed: FlaskClient, services: Services, stub: Stub) -> None:
    text = installed.post("/app", data=frame("admin-access")).text
    stub.refuse["app.info"] = Refused("APPLICATION_NOT_FOUND", status=401)
    with installed.post("/event", data=script_install("admin-access", event="ONAPPUNINSTALL")) as answer:
        assert answer.status_code == 200
    until(lambda: not all_portals(services.database)[MEMBER_ID].active)
    until(lambda: installed.post("/install/again", headers=page_pass(text)).status_code == 403)


def tab(access: str, placement: str = "CRM_LEAD_DETAIL_TAB", options: str = '{"ID":"42"}') -> dict[str, str]:
    return frame(access, PLACEMENT=placement, PLACEMENT_OPTIONS=options)


def test_the_tab_shows_why_and_escapes_hostile_names(installed: FlaskClient, services: Services) -> None:
    decide(services, "lead:42")
    with services.database.write() as connection:
        commands = schema.commands
        number = connection.execute(
            sa.insert(schema.deliveries).values(
                id=1, member_id=MEMBER_ID, kind="event", code="X", entity="lead:42", payload={}, priority=1,
                state="done", received_at=datetime.now(UTC), due_at=datetime.now(UTC), attempts=1, crashes=0,
            )
        ).inserted_primary_key[0]  # fmt: skip
        command = {"label": "task", "call": {"method": "tasks.task.add", "params": {}, "v3": True}}
        connection.execute(
            sa.insert(commands).values(
                delivery_id=number, position=0, command=command, state="done", result={"item": {"id": 7}}
            )
        )
    text = installed.post("/placement/lead?LANG=ru", data=tab("manager-access")).text
    assert "Пропущенный звонок &lt;script&gt;" in text
    assert "говорит по телефону" in text
    assert "Позвонить &lt;i&gt;клиенту&lt;/i&gt;" in text
    assert "22.11.2026 15:00" in text
    assert "Missed call" in installed.post("/placement/lead?LANG=en", data=tab("manager-access")).text


def test_the_tab_reads_with_the_visitors_rights(installed: FlaskClient, stub: Stub) -> None:
    stub.readers[42] = {"6"}
    answer = installed.post("/placement/lead?LANG=ru", data=tab("manager-access"))
    assert answer.status_code == 403
    assert "У вас нет доступа" in answer.text
    assert installed.post("/placement/lead", data=tab("admin-access")).status_code == 200


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        (tab("manager-access", options='{"ID":"999"}'), "/placement/lead", 404),
        (tab("manager-access", options="[]"), "/placement/lead", 400),
        (tab("manager-access", placement="CRM_CONTACT_DETAIL_TAB"), "/placement/lead", 400),
        (tab("manager-access"), "/placement/nothing", 404),
        (tab("forged-access"), "/placement/lead", 403),
    ],
)
def test_a_tab_without_its_card_says_so(installed: FlaskClient, body: dict[str, str], path: str, status: int) -> None:
    assert installed.post(path, data=body).status_code == status


def test_a_portal_that_does_not_answer_is_told_in_words(installed: FlaskClient, stub: Stub) -> None:
    stub.down = True
    answer = installed.post("/placement/lead?LANG=en", data=tab("manager-access"))
    assert answer.status_code == 503
    assert "does not answer now" in answer.text
