"""A delivery worked again and a robot tried on an item: what they would do is told, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from scripted_company import PLAYBOOK, Company
from scripted_portal import ANNA, BORIS, MEMBER, Bench, ScriptedRest
from scripted_visits import Shop, VisitBench, around_the_clock, later, want

from b24app import replay as tool
from b24app.bitrix import commands as write
from b24app.bitrix.calls import Call
from b24app.bitrix.oauth import Pair, Tokens
from b24app.bitrix.portal import Portal
from b24app.config import parse
from b24app.engine.declare import Catalogue, EventCall, Handler, Timer
from b24app.engine.inbox import Delivery
from b24app.entities import LEAD, ItemRef
from b24app.errors import NotFound, Permanent, PortalClosed
from b24app.replay import DRY_TOKEN, Effect, HeldTokens, ReadingRest, Rehearsal, RollingBack, properties_of
from b24app.sms.gateway import Message
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import Memory
from handlers import HANDLERS, TIMERS
from robots import ROBOTS

CATALOGUE = Catalogue(robots=ROBOTS, handlers=HANDLERS, timers=TIMERS)
TOKEN = "canary-token-of-the-robot"
READING = (".get", ".list", ".status", ".findbycomm", ".fields", ".getbyid", ".getlist")
LEAD_42 = ItemRef(LEAD, 42)


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def bench(database: Database, company: Company) -> Bench:
    return Bench(database, ScriptedRest(company), CATALOGUE, playbook=PLAYBOOK)


@pytest.fixture
def shop(database: Database) -> VisitBench:
    return VisitBench(database, Shop(), around_the_clock())


def everything(database: Database) -> dict[str, list[Any]]:
    """Every row of every table, and SQLite's own counters."""
    with database.read() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in schema.metadata.sorted_tables
        }
        if database.is_sqlite:
            counted = connection.exec_driver_sql("SELECT * FROM sqlite_sequence ORDER BY name")
            found["sqlite_sequence"] = [tuple(row) for row in counted]
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench], SimpleNamespace]:
    """What the commands need of the services, over the scripted portal."""

    def services(bench: Bench) -> SimpleNamespace:
        def quiet(_: Any, member_id: str, before: Callable[[sa.Connection], None] = lambda _: None) -> Portal:
            return tool.reading(bench.open_portal(member_id), RollingBack(bench.database, before))

        monkeypatch.setattr(tool, "quiet", quiet)
        return SimpleNamespace(database=bench.database, catalogue=bench.runner.catalogue, playbook=bench.playbook)

    return services


class Still:
    """Sees to it that nothing moves while it is open."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def __enter__(self) -> None:
        self.before = self._now()

    def __exit__(self, *error: object) -> None:
        if error == (None, None, None):
            assert self.before == self._now()

    def _now(self) -> tuple[Any, ...]:
        writes = [method for method in self.bench.rest.sent if not method.endswith(READING)]
        said = getattr(self.bench, "phones", SimpleNamespace(sent=())).sent
        return everything(self.bench.database), writes, list(self.bench.rung), list(said)


def last(bench: Bench) -> int:
    with bench.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.max(schema.deliveries.c.id))).scalar_one())


def missed(bench: Bench, company: Company) -> int:
    """Returns the delivery of a missed call that was distributed."""
    id = company.make()
    company.call("c1", "304", of=("LEAD", id))
    data = {
        "CALL_ID": "c1", "CALL_TYPE": "2", "PHONE_NUMBER": "79123456789", "PORTAL_USER_ID": "9",
        "CALL_FAILED_CODE": "304", "CALL_START_DATE": (datetime.now(UTC) - timedelta(seconds=12)).isoformat(),
        "CRM_ACTIVITY_ID": "",
    }  # fmt: skip
    bench.event("ONVOXIMPLANTCALLEND", "call:c1", data, priority=10)
    bench.run()
    return last(bench)


Services = Callable[[Bench], Any]
Output = pytest.CaptureFixture[str]


def test_an_event_is_decided_anew_as_if_it_had_not_been(
    bench: Bench, company: Company, asked: Services, capsys: Output
) -> None:
    id = missed(bench, company)
    company.clocks[ANNA] = "PAUSED"
    company.items[1, 42]["assignedById"] = 9
    services = asked(bench)
    with Still(bench):
        assert tool.replay(services, MEMBER, id) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "Звонок закончился: пропущен (ONVOXIMPLANTCALLEND), звонок c1\nБез последствий: ничего не записано.\n"
    )
    for line in (
        "    item: lead:42 «Входящий звонок», сотрудник 9, NEW\n",
        "    решение: Пропущенный звонок ***6789 → Борис: по очереди среди свободных\n",
        "    2. crm.item.update: лид 42: ответственный Борис\n",
        "    − crm.item.update: лид 42: ответственный Анна\n",
        "    + crm.item.update: лид 42: ответственный Борис\n",
    ):
        assert line in said
    assert "9123456789" not in said


def test_the_same_decision_differs_in_nothing_but_times(bench: Bench, company: Company, asked: Services) -> None:
    id = missed(bench, company)
    company.items[1, 42]["assignedById"] = 9
    with Still(bench):
        rehearsed = rehearse(bench, id)
    journaled = bench.runner.journal.entries(id)
    assert [command["label"] for command in rehearsed.commands] == list(journaled)
    assert rehearsed.decision["manager_id"] == ANNA


def rehearse(bench: Bench, id: int) -> tool.Rehearsed:
    """Works the delivery again as the command does."""
    with bench.database.read() as connection:
        row = connection.execute(sa.select(schema.deliveries).where(schema.deliveries.c.id == id)).mappings().one()

    def forget(connection: sa.Connection) -> None:
        connection.execute(sa.delete(schema.assignments).where(schema.assignments.c.delivery_id == id))

    portal = tool.reading(bench.open_portal(MEMBER), RollingBack(bench.database, forget))
    names = ("id", "member_id", "kind", "code", "entity", "payload", "priority", "received_at")
    values = {name: row[name] for name in names}
    delivery = Delivery(**values, attempt=0, decision=None, decided_at=None, failure=None)
    return Rehearsal(portal, bench.runner.catalogue).rehearse(delivery)


def test_a_robot_would_be_answered_and_its_token_is_not_told(
    bench: Bench, company: Company, asked: Services, capsys: Output
) -> None:
    id = company.make()
    bench.robot("assign_manager", f"lead:{id}", event_token=TOKEN)
    bench.run()
    services = asked(bench)
    with Still(bench):
        assert tool.replay(services, MEMBER, last(bench), "en") == 0
    said = capsys.readouterr().out
    assert "bizproc.event.send: manager = user_11, manager_name = Анна" in said
    assert "The difference to the journal" in said
    assert TOKEN not in said
    assert "key: robot:***" in said


def test_a_robot_is_tried_on_an_item(bench: Bench, company: Company, asked: Services, capsys: Output) -> None:
    id = company.make()
    services = asked(bench)
    with Still(bench):
        assert tool.dry_run(services, MEMBER, "assign_manager", ItemRef(LEAD, id), [f"users={BORIS}", "task=N"]) == 0
    said = capsys.readouterr().out
    assert "crm.item.update: лид 42: ответственный Борис" in said
    assert "assigned = Y" in said
    assert "tasks.task.add" not in said
    assert "журнал" not in said
    assert DRY_TOKEN not in said


def test_what_a_robot_refuses_is_said_on_standard_error(bench: Bench, asked: Services, capsys: Output) -> None:
    services = asked(bench)
    assert tool.dry_run(services, MEMBER, "assign_manager", LEAD_42, ["department=Склад"]) == 1
    assert capsys.readouterr().err == "✘ в отделе нет сотрудников: department:Склад\n"
    with pytest.raises(NotFound, match="assign_manager"):
        tool.dry_run(services, MEMBER, "nope", LEAD_42, [])


def test_properties_are_the_declared_defaults_and_what_is_given() -> None:
    given = ["users=11", "users=user_12", "minutes=30", "task_text=a=b"]
    assert properties_of(CATALOGUE, "assign_manager", given) == {
        "task": "Y",
        "users": ["11", "user_12"],
        "minutes": "30",
        "task_text": "a=b",
    }
    for wrong in ("minutes", "colour=red"):
        with pytest.raises(NotFound, match="department, users, order"):
            properties_of(CATALOGUE, "assign_manager", [wrong])


def test_a_timer_of_the_queue_is_tried_again(bench: Bench, company: Company, asked: Services, capsys: Output) -> None:
    for id in company.clocks:
        company.clocks[id] = "CLOSED"
    bench.playbook = PLAYBOOK.model_copy(
        update={"assignment": PLAYBOOK.assignment.model_copy(update={"when_nobody": "wait"})}
    )
    missed(bench, company)
    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER)
        memory.deliver(kind="timer", code="queue", entity="lead:42", payload={"responsible": 9}, priority=50)
    bench.run()
    company.clocks[ANNA] = "OPENED"
    services = asked(bench)
    with Still(bench):
        assert tool.replay(services, MEMBER, last(bench)) == 0
    said = capsys.readouterr().out
    assert "→ Анна" in said
    assert "    + tasks.task.add: " in said


def test_the_look_at_a_visit_writes_nothing_though_it_reads_in_a_transaction_of_its_own(
    shop: VisitBench, asked: Services, capsys: Output
) -> None:
    lead = shop.shop.lead()
    shop.take(want(f"lead:{lead}", later(4), address="Лесная, 5"))
    taken = last(shop)
    confirm = shop.shop.task("Подтвердить замер")
    confirm["status"] = 5  # closed, and nobody looked yet: the numbers of task and entry stand in the journal alone
    services = asked(shop)
    with Still(shop):
        assert tool.replay(services, MEMBER, taken) == 0
    said = capsys.readouterr().out
    assert "решение: подтверждён" in said
    assert "и поставлено в очередь себе: 1" in said
    assert "    − calendar.event.add: «Замер: Кухня», Олег" in said
    with Still(shop):
        assert tool.dry_run(services, MEMBER, "book_measurement", ItemRef(LEAD, lead), []) == 0
    assert "bizproc.event.send" in capsys.readouterr().out


def test_an_unknown_code_or_number_is_said(bench: Bench, asked: Services, capsys: Output) -> None:
    services = asked(bench)
    assert tool.replay(services, MEMBER, 999) == 1
    bench.event("ONSOMETHINGELSE", "x:1", {})
    assert tool.replay(services, MEMBER, last(bench)) == 1
    assert capsys.readouterr().err == "✘ неизвестный код ONSOMETHINGELSE\n"


# nothing can be done


@pytest.mark.parametrize(
    "act",
    [
        lambda rest: rest.call(Call("crm.item.get", {"id": 1})),
        lambda rest: rest.call(Call("crm.item.get"), "key", reading=True),
        lambda rest: rest.call(Call("crm.item.update"), reading=True),
        lambda rest: rest.batch({"a": Call("crm.item.list")}),
        lambda rest: rest.batch({"a": Call("crm.item.list")}, halt=True, reading=True),
        lambda rest: rest.batch({"a": Call("crm.item.list"), "b": Call("im.notify.personal.add")}, reading=True),
        lambda rest: rest.gather({"a": Call("crm.item.list"), "b": Call("tasks.task.add", v3=True)}),
        lambda rest: rest.gather({"a": Call("batch", {"cmd": {"x": "crm.item.delete?id=1"}})}),
        lambda rest: rest.read_all("crm.item.delete", {}),
    ],
)
def test_the_portal_cannot_be_written(act: Callable[[ReadingRest], Any]) -> None:
    inner = ScriptedRest(lambda call: {})
    with pytest.raises(Effect):
        act(ReadingRest(inner))  # type: ignore[arg-type]
    assert inner.requests == []


def test_it_can_be_read() -> None:
    inner = ScriptedRest(lambda call: {"id": 1})
    rest = ReadingRest(inner)  # type: ignore[arg-type]
    assert rest.call(Call("crm.item.get"), reading=True).result == {"id": 1}
    assert set(rest.batch({"a": Call("user.get")}, reading=True)) == {"a"}
    assert set(rest.gather({"a": Call("crm.item.list"), "b": Call("timeman.status")})) == {"a", "b"}


def test_a_handler_that_writes_while_it_reads_ends_there(bench: Bench, asked: Services, capsys: Output) -> None:
    def write_early(portal: Portal, call: EventCall) -> Any:
        portal.rest.batch({"a": Call("crm.item.delete", {"id": 42})}, halt=True)

    def send_early(portal: Portal, call: EventCall) -> Any:
        portal.sms.send(Message("+79123456789", "x", "1"))

    def work(read: Any) -> Handler:
        return Handler(event="E", entity=lambda _: "lead:42", read=read, decide=lambda facts: facts)

    bench.event("E", "lead:42", {})
    for read in (write_early, send_early):
        services = asked(bench)
        services.catalogue = Catalogue(handlers=(work(read),))
        with Still(bench):
            assert tool.replay(services, MEMBER, 1) == 1
        assert "только читает" in capsys.readouterr().err


def test_a_mistake_of_the_program_ends_it_and_is_logged(
    bench: Bench, asked: Services, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(portal: Portal, call: EventCall) -> Any:
        raise ZeroDivisionError

    services = asked(bench)
    services.catalogue = Catalogue(timers=(Timer(code="t", read=stumble, decide=lambda facts: facts),))
    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER)
        memory.deliver(kind="timer", code="t", entity="lead:42", payload={}, priority=50)
    with Still(bench):
        assert tool.replay(services, MEMBER, 1) == 1
    assert "mistake" in caplog.text


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_transaction_is_seen_from_inside_and_gone_afterwards(database: Database) -> None:
    rolling = RollingBack(database)
    with rolling.write() as connection:
        memory = Memory(rolling, connection, MEMBER)
        memory.move_cursor("here", "1")
        assert memory.cursor("here") == "1"
    with suppress(Permanent), rolling.write() as connection:
        Memory(rolling, connection, MEMBER).move_cursor("here", "2")
        raise Permanent("nothing")
    with rolling.read() as connection:
        assert Memory(rolling, connection, MEMBER).cursor("here") is None
    assert everything(database)["cursors"] == []


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_replay_forgets_the_assignment_in_every_look_and_for_nobody_else(database: Database) -> None:
    company = Company()
    bench = Bench(database, ScriptedRest(company), CATALOGUE, playbook=PLAYBOOK)
    id = missed(bench, company)
    company.items[1, 42]["assignedById"] = 9
    with Still(bench):
        assert rehearse(bench, id).decision["manager_id"] == ANNA


@pytest.fixture
def tokens(database: Database) -> Tokens:
    """The portal's tokens, an hour too old."""
    bench = Bench(database, ScriptedRest(lambda call: {}), Catalogue())
    settings = parse(
        f'[app]\npublic_url = "http://127.0.0.1"\nsecret_key = "{"k" * 40}"\n[bitrix24]\n'
        'oauth_url = "http://127.0.0.1:1"\n[[portals]]\nhost = "acme.bitrix24.ru"\nclient_id = "local.1"\n'
        'client_secret = "b"\n'
    )
    stored = Tokens(database, settings)
    stored.store(MEMBER, 1, "owner", Pair("access", "refresh", datetime.now(UTC) - timedelta(hours=1)))
    return HeldTokens(RollingBack(bench.database), settings)


def test_no_token_is_renewed_buried_or_stored(tokens: HeldTokens) -> None:
    database: Any = tokens._database
    before = everything(database)
    held = tokens.owner(MEMBER)
    assert held.access == "access"
    with pytest.raises(PortalClosed, match="b24app doctor"):
        tokens.refresh(held)
    assert tokens.refresh(replace(held, version=0)).version == held.version  # somebody else was faster
    tokens.bury(held, "уволен")
    with pytest.raises(Effect):
        tokens.store(MEMBER, 1, "owner", Pair("a", "b", datetime.now(UTC)))
    assert everything(database) == before


def test_every_method_that_the_application_writes_by_is_refused() -> None:
    task = write.add_task(
        marker="№", title="т", description="", responsible_id=1, creator_id=1, deadline=datetime.now(UTC), item=LEAD_42
    )
    written = [
        *write.set_responsible(LEAD_42, 1, expected=2)[1:], *write.move_item(LEAD_42, "NEW", expected="X")[1:],
        write.set_fields(LEAD_42, {"a": 1}, label="f"), write.add_item(LEAD, {}, origin="o", label="i"), task,
        *write.add_checklist("task", "с", ["п"], label="l"), write.attach_file("task", 1, label="a"),
        write.set_task(1, {}, label="s"), write.remove_entry(1, label="r"), write.push(1, "c", {}, label="p"),
        write.send_sms("+7", "т", until=datetime.now(UTC)), write.comment(LEAD_42, "т", marker="m"),
        write.notify(1, "т", tag="t", label="n"), write.answer_robot("t", {}, ""),
    ]  # fmt: skip
    rest = ReadingRest(ScriptedRest(lambda call: {}))  # type: ignore[arg-type]
    for command in written:
        with pytest.raises(Effect):
            rest.gather({"a": command.call})
