"""A decision is saved before its first command, and no effect happens twice: every kind of command, every trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from scripted_portal import MEMBER, Bench, ScriptedRest, cut

from b24app.bitrix import commands as write
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.commands import Command, Made, Once
from b24app.engine import inbox, run
from b24app.engine.declare import Catalogue, EventCall, Handler, Nothing, Property, Reply, Robot, RobotCall
from b24app.engine.inbox import Inbox
from b24app.entities import LEAD, ItemRef
from b24app.errors import AccessDenied, NotFound, Permanent, PortalClosed, Temporary
from b24app.store import process_memory, schema
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.portals import portal_of
from b24app.store.restored import doubt_what_was_under_way

LEAD_42 = ItemRef(LEAD, 42)
TASK = write.add_task(
    marker="№abc",
    title="Позвонить",
    description="Клиент",
    responsible_id=11,
    creator_id=1,
    deadline=datetime(2026, 11, 23, 7, 15, tzinfo=UTC),
    item=LEAD_42,
)
CARD = write.comment(LEAD_42, "Почему Анна", marker="№abc")
NOTICE = write.notify(2, "Клиент ждёт", tag="t", label="notice")
RESPONSIBLE = write.set_responsible(LEAD_42, 11, expected=9)
TEXT = {"ru": "а", "en": "a"}


@dataclass(frozen=True)
class Plan:
    """The decision of these tests: it says nothing but its commands' turn."""

    turn: int = 1


def handler(commands: list[Command], read: Callable[..., Any] = lambda portal, call: call) -> Handler:
    return Handler(
        event="E", entity=lambda _: "lead:42", decision=Plan, read=read, decide=lambda _: Plan(), act=lambda _: commands
    )


def robot(commands: list[Command], **changes: Any) -> Robot:
    values: dict[str, Any] = {
        "code": "r",
        "name": TEXT,
        "description": TEXT,
        "returns": (Property("assigned", TEXT, "bool"),),
        "answer": lambda _: Reply({"assigned": "Y"}, "Анна", instead={"responsible": {"assigned": "N"}}),
        "decision": Plan,
        "read": lambda portal, call: call,
        "decide": lambda _: Plan(),
        "act": lambda _: commands,
    }
    return Robot(**{**values, **changes})


class Portal:
    """What stands on the scripted portal: tasks, comments, items; each method as a test sets it."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.items: list[dict[str, Any]] = [{"id": 42, "assignedById": 9, "originId": ""}]
        self.notices: dict[str, str] = {}
        self.answers: list[dict[str, Any]] = []
        self.errors: dict[str, list[Any]] = {}

    def __call__(self, call: Call) -> Any:
        waiting = self.errors.get(call.method, [])
        if waiting:
            error = waiting.pop(0)
            if error is not None:
                return error
        return getattr(self, call.method.replace(".", "_"))(dict(call.params))

    def crm_item_list(self, params: dict[str, Any]) -> Any:
        wanted = params["filter"]
        rows = self.items
        if "originId" in wanted:
            rows = [row for row in rows if row["originId"] == wanted["originId"]]
        if "@assignedById" in wanted:
            rows = [r for r in rows if r["id"] == wanted["id"] and r["assignedById"] in wanted["@assignedById"]]
        return {"items": [{"id": row["id"], "originId": row["originId"]} for row in rows]}

    def crm_item_update(self, params: dict[str, Any]) -> Any:
        row = next((row for row in self.items if str(row["id"]) == str(params["id"])), None)
        if row is None:
            return NotFound("Элемент не найден")
        row.update(params["fields"])
        return {"item": row}

    def crm_item_add(self, params: dict[str, Any]) -> Any:
        row = {"id": 100 + len(self.items), "assignedById": 1, **params["fields"]}
        self.items.append(row)
        return {"item": row}

    def crm_timeline_comment_add(self, params: dict[str, Any]) -> Any:
        self.comments.append({"ID": str(900 + len(self.comments)), **params["fields"]})
        return int(self.comments[-1]["ID"])

    def crm_timeline_comment_list(self, params: dict[str, Any]) -> Any:
        return [one for one in self.comments if str(one["ENTITY_ID"]) == str(params["filter"]["ENTITY_ID"])]

    def im_notify_personal_add(self, params: dict[str, Any]) -> Any:
        self.notices[params["TAG"]] = params["MESSAGE"]
        return 5

    def tasks_task_add(self, params: dict[str, Any]) -> Any:
        self.tasks.append({"id": str(70 + len(self.tasks)), **params["fields"]})
        return {"task": self.tasks[-1]} if "TITLE" in params["fields"] else {"item": self.tasks[-1]}

    def tasks_task_list(self, params: dict[str, Any]) -> Any:
        return {
            "tasks": [
                {"id": one["id"], "description": one.get("description", one.get("DESCRIPTION"))} for one in self.tasks
            ]
        }

    def bizproc_event_send(self, params: dict[str, Any]) -> Any:
        self.answers.append(params)
        return True

    def sms_send(self, params: dict[str, Any]) -> Any:
        return True


@pytest.fixture
def portal() -> Portal:
    return Portal()


@pytest.fixture
def bench(database: Database, portal: Portal) -> Bench:
    return Bench(database, ScriptedRest(portal), Catalogue())


def offer(bench: Bench, *, handlers: tuple[Handler, ...] = (), robots: tuple[Robot, ...] = ()) -> None:
    bench.runner.catalogue = Catalogue(robots=robots, handlers=handlers)


def do(bench: Bench, commands: list[Command]) -> int:
    """Records one event whose decision is these commands, and works until nothing is due."""
    offer(bench, handlers=(handler(commands),))
    id = bench.event("E", "lead:42", {"FIELDS": {"ID": "42"}})
    bench.run()
    assert id is not None
    return id


def delivery(bench: Bench, id: int) -> Any:
    table = schema.deliveries
    with bench.database.read() as connection:
        return connection.execute(sa.select(table).where(table.c.id == id)).mappings().one()


def states(bench: Bench, id: int) -> dict[str, str]:
    return {label: entry.state for label, entry in bench.runner.journal.entries(id).items()}


def now_due(bench: Bench) -> None:
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(due_at=datetime(2020, 1, 1, tzinfo=UTC)))


def again(bench: Bench) -> None:
    now_due(bench)
    bench.run()


def sent_hours_ago(bench: Bench, hours: float) -> None:
    at = datetime.now(UTC) - timedelta(hours=hours)
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.commands).values(first_sent_at=at))


class Killed(BaseException):
    """The machine dies: nothing of ours gets to clean up."""


@contextmanager
def dying(bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str) -> Iterator[None]:
    """The worker dies at this crash point; its lease ends."""

    def die(name: str) -> None:
        if name == at:
            raise Killed

    monkeypatch.setattr(run, "crashpoint", die)
    with pytest.raises(Killed):
        yield
    monkeypatch.setattr(run, "crashpoint", lambda _: None)
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(lease_until=datetime(2020, 1, 1, tzinfo=UTC)))


def test_a_decision_leaves_in_one_batch_and_one_task(bench: Bench, portal: Portal) -> None:
    id = do(bench, [*RESPONSIBLE, CARD, NOTICE, TASK])
    assert [[call.method for call in request] for request in bench.rest.requests] == [
        ["crm.item.list", "crm.item.update", "crm.timeline.comment.add", "im.notify.personal.add"],
        ["tasks.task.add"],
    ]
    assert delivery(bench, id)["state"] == "done"
    assert delivery(bench, id)["decision"] == {"turn": 1}
    assert portal.items[0]["assignedById"] == 11
    assert (len(portal.tasks), len(portal.comments)) == (1, 1)


def test_a_decision_is_made_at_the_moment_at_which_it_had_its_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when it began to wait for it: turns are given by these moments, and others decide meanwhile."""
    turns: list[datetime] = []

    def wait(database: Database, connection: sa.Connection, name: str) -> None:
        serialise(database, connection, name)
        if name.startswith("decide:"):
            turns.append(datetime.now(UTC))

    serialise = Database.serialise
    monkeypatch.setattr(Database, "serialise", wait)
    id = do(bench, [CARD])
    assert [delivery(bench, id)["decided_at"] >= turn for turn in turns] == [True]


def test_nothing_to_do_is_a_named_outcome(bench: Bench) -> None:
    offer(bench, handlers=(replace(handler([]), decide=lambda _: Nothing("уже распределён")),))
    id = bench.event("E", "lead:42", {})
    bench.run()
    assert id is not None
    assert (delivery(bench, id)["state"], delivery(bench, id)["reason"]) == ("done", "уже распределён")
    assert bench.rest.requests == []


CRASHES = ["after_claim", "after_read", "after_decision", "before_send", "after_send", "after_store", "before_finish"]
ITEM = write.add_item(LEAD, {"title": "Пропущенный звонок"}, origin="call:c1", label="item")
OF_ITEM = [
    ITEM,
    write.comment(Made("item", LEAD), "Почему Анна", marker="№abc"),
    replace(
        TASK,
        call=Call("tasks.task.add", {"fields": {"title": "x", "description": "№abc", "crmItemIds": []}}, v3=True),
        needs=("item",),
    ),
]


@pytest.mark.parametrize("rest_v3", [True, False])
@pytest.mark.parametrize("at", CRASHES)
def test_a_worker_that_dies_anywhere_leaves_one_of_everything(
    bench: Bench, portal: Portal, monkeypatch: pytest.MonkeyPatch, at: str, rest_v3: bool
) -> None:
    bench.facts["rest_v3"] = rest_v3
    replay(bench, portal)
    offer(bench, handlers=(handler([*RESPONSIBLE, CARD, NOTICE, TASK]),))
    id = bench.event("E", "lead:42", {})
    with dying(bench, monkeypatch, at):
        bench.run()
    bench.run()
    again(bench)  # where something was under way, the portal got its minute
    assert id is not None
    assert (delivery(bench, id)["state"], delivery(bench, id)["reason"]) == ("done", None)
    assert (portal.items[0]["assignedById"], len(portal.comments), len(portal.tasks)) == (11, 1, 1)
    assert set(states(bench, id).values()) == {"done"}


@pytest.mark.parametrize("tried_before", [False, True])
def test_what_a_dead_worker_asked_for_is_looked_up_once_the_portal_must_be_through(
    bench: Bench, portal: Portal, monkeypatch: pytest.MonkeyPatch, tried_before: bool
) -> None:
    offer(bench, handlers=(handler([CARD]),))
    id = bench.event("E", "lead:42", {})
    if tried_before:  # there was no room then; the journal keeps the time of that attempt
        bench.rest.before = _away
        bench.run()
        bench.rest.before = lambda _: None
        sent_hours_ago(bench, 0.5)
        now_due(bench)
    with dying(bench, monkeypatch, "before_send"):
        bench.run()
    bench.run()
    assert id is not None
    row = delivery(bench, id)
    assert row["state"] == "waiting"
    assert row["due_at"] > datetime.now(UTC) + run.REQUEST_LASTS - timedelta(seconds=5)
    assert bench.rest.sent == []
    portal.crm_timeline_comment_add(CARD.call.params)  # the request of the dead one has its effect only now
    again(bench)
    assert delivery(bench, id)["state"] == "done"
    assert len(portal.comments) == 1


@pytest.mark.parametrize("at", CRASHES)
def test_a_made_item_and_what_hangs_on_it_are_made_once(
    bench: Bench, portal: Portal, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    replay(bench, portal)
    offer(bench, handlers=(handler(OF_ITEM),))
    id = bench.event("E", "call:c1", {})
    with dying(bench, monkeypatch, at):
        bench.run()
    bench.run()
    again(bench)  # where something was under way, the portal got its minute
    assert id is not None
    assert delivery(bench, id)["state"] == "done"
    assert [row["originId"] for row in portal.items] == ["", "call:c1"]
    assert [one["ENTITY_ID"] for one in portal.comments] in ([101], ["101"])
    assert len(portal.tasks) == 1


def replay(bench: Bench, portal: Portal) -> None:
    """REST 3.0 remembers what it did for a key (24 hours), and does it once."""
    stored: dict[str, Any] = {}
    call = bench.rest.call

    def remembering(asked: Call, idempotency_key: str | None = None, *, reading: bool = False) -> Answer:
        if idempotency_key is None:
            return call(asked)
        if idempotency_key not in stored:
            stored[idempotency_key] = call(asked, idempotency_key)
        return stored[idempotency_key]  # type: ignore[no-any-return]

    bench.rest.call = remembering  # type: ignore[method-assign]


def lose_answer(bench: Bench, method: str) -> None:
    """The portal does the next one, and we never hear of it."""

    def after(calls: list[Call]) -> None:
        if any(call.method == method for call in calls):
            bench.rest.after = lambda _: None
            raise cut()

    bench.rest.after = after


def test_a_lost_answer_of_a_task_is_sent_again_with_the_same_key_within_23_hours(bench: Bench) -> None:
    lose_answer(bench, "tasks.task.add")
    id = do(bench, [TASK])
    again(bench)
    first, second = bench.rest.keys
    assert first == second
    assert first is not None
    assert bench.rest.sent == ["tasks.task.add", "tasks.task.add"]
    assert delivery(bench, id)["state"] == "done"


def test_beyond_23_hours_a_task_is_looked_up_and_found(bench: Bench, portal: Portal) -> None:
    id = held_back(bench, [TASK], lost="tasks.task.add")
    sent_hours_ago(bench, 23.1)
    again(bench)
    assert bench.rest.sent == ["tasks.task.add", "tasks.task.list"]
    assert len(portal.tasks) == 1
    assert delivery(bench, id)["state"] == "done"


def held_back(bench: Bench, commands: list[Command], *, lost: str) -> int:
    """The answer is lost, and the delivery waits for a later attempt."""
    later = Temporary.after("занят", timedelta(hours=1))

    def after(calls: list[Call]) -> None:
        if any(call.method == lost for call in calls):
            bench.rest.after = lambda _: None
            unknown = cut()
            unknown.retry_at = later.retry_at
            raise unknown

    bench.rest.after = after
    return do(bench, commands)


def test_a_look_up_that_finds_nothing_sends_again_with_a_new_key(bench: Bench, portal: Portal) -> None:
    id = held_back(bench, [TASK], lost="tasks.task.add")
    portal.tasks.clear()
    sent_hours_ago(bench, 24)
    again(bench)
    assert bench.rest.sent == ["tasks.task.add", "tasks.task.list", "tasks.task.add"]
    assert bench.rest.keys[0] != bench.rest.keys[1]
    assert len(portal.tasks) == 1
    assert delivery(bench, id)["state"] == "done"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("decided", [True, False])
def test_what_came_before_a_copy_was_put_back_is_looked_up_and_an_sms_left_to_a_person(
    bench: Bench, portal: Portal, there: bool, decided: bool
) -> None:
    """Whether the copy has its decision or not, it may have been worked on between the copy and its return."""
    commands = [CARD, TASK, Command("sms", Call("sms.send"), Once())]
    offer(bench, handlers=(handler(commands),))
    id = bench.event("E", "lead:42", {"FIELDS": {"ID": "42"}})
    if decided:
        bench.rest.before = _away
        bench.run()
        bench.rest.before = lambda _: None
    if there:
        portal.tasks.append({"id": "70", "description": "Клиент\n\n№abc"})
        portal.comments.append({"ID": "900", "ENTITY_ID": 42, "COMMENT": "Почему Анна\n№abc"})
    doubt_what_was_under_way(bench.database, MEMBER)
    row = portal_of(bench.database, MEMBER)
    assert row is not None
    bench.facts = dict(row.facts)
    again(bench)
    assert (len(portal.tasks), len(portal.comments)) == (1, 1)
    assert states(bench, id or 0) == {"card": "done", "task": "done", "sms": "unknown"}
    assert "sms.send" not in bench.rest.sent
    bench.rest.requests.clear()
    do(bench, [NOTICE, replace(TASK, label="other")])  # what came later is not in doubt
    assert "tasks.task.list" not in bench.rest.sent


def _away(_: Any) -> None:
    raise Temporary.after("занят", timedelta(hours=1))


@pytest.mark.parametrize(("there", "tasks"), [(True, 1), (False, 1)])
def test_a_key_used_with_another_body_is_looked_up(bench: Bench, portal: Portal, there: bool, tasks: int) -> None:
    portal.errors["tasks.task.add"] = [
        Permanent("другое тело", code="BITRIX_REST_V3_EXCEPTION_IDEMPOTENCYKEYREUSEDEXCEPTION")
    ]
    if there:
        portal.tasks.append({"id": "70", "description": "Клиент\n\n№abc"})
    id = do(bench, [TASK])
    assert delivery(bench, id)["state"] == "done"
    assert len(portal.tasks) == tasks
    assert "tasks.task.list" in bench.rest.sent


@pytest.mark.parametrize(
    "code",
    [
        "ERROR_METHOD_NOT_FOUND",
        "insufficient_scope",
        "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION",
        "BITRIX_REST_V3_EXCEPTION_INSUFFICIENTSCOPEEXCEPTION",
    ],
)
def test_a_portal_without_rest_3_gets_the_classic_task_and_is_remembered(
    bench: Bench, portal: Portal, code: str
) -> None:
    portal.errors["tasks.task.add"] = [AccessDenied("нет", code=code)]
    id = do(bench, [TASK])
    assert delivery(bench, id)["state"] == "done"
    assert [call.v3 for request in bench.rest.requests for call in request] == [True, False]
    assert portal.tasks[0]["TITLE"] == "Позвонить"
    row = portal_of(bench.database, MEMBER)
    assert row is not None
    assert row.facts == {"rest_v3": False}


def test_a_classic_task_with_a_lost_answer_is_looked_up(bench: Bench, portal: Portal) -> None:
    bench.facts["rest_v3"] = False
    lose_answer(bench, "tasks.task.add")
    do(bench, [TASK])
    again(bench)
    assert bench.rest.sent == ["tasks.task.add", "tasks.task.list"]
    assert len(portal.tasks) == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_a_comment_with_a_lost_answer_is_looked_up(bench: Bench, portal: Portal, arrived: bool) -> None:
    id = held_back(bench, [CARD], lost="crm.timeline.comment.add")
    if not arrived:
        portal.comments.clear()
    again(bench)
    expected = ["crm.timeline.comment.add", "crm.timeline.comment.list"]
    assert bench.rest.sent == (expected if arrived else [*expected, "crm.timeline.comment.add"])
    assert len(portal.comments) == 1
    assert delivery(bench, id)["state"] == "done"


def test_a_notice_with_a_lost_answer_replaces_itself(bench: Bench, portal: Portal) -> None:
    lose_answer(bench, "im.notify.personal.add")
    do(bench, [NOTICE])
    again(bench)
    assert bench.rest.sent == ["im.notify.personal.add", "im.notify.personal.add"]
    assert len(portal.notices) == 1


def test_an_sms_with_a_lost_answer_is_never_sent_again(bench: Bench) -> None:
    lose_answer(bench, "sms.send")
    id = do(bench, [Command("sms", Call("sms.send"), Once())])
    again(bench)
    assert bench.rest.sent == ["sms.send"]
    assert delivery(bench, id)["state"] == "failed"
    assert "повторять нельзя" in delivery(bench, id)["reason"]


def test_our_own_write_with_a_lost_answer_is_no_persons_choice(bench: Bench, portal: Portal) -> None:
    lose_answer(bench, "crm.item.update")
    id = do(bench, [*RESPONSIBLE, CARD])
    again(bench)
    assert portal.items[0]["assignedById"] == 11
    assert (delivery(bench, id)["state"], delivery(bench, id)["reason"]) == ("done", None)
    assert set(states(bench, id).values()) == {"done"}


def test_a_person_who_was_faster_keeps_his_choice_and_we_look_again(bench: Bench, portal: Portal) -> None:
    looks: list[int] = []

    def read(_: Any, call: EventCall) -> Any:
        looks.append(call.looks)
        return call if call.looks == 0 else Nothing("ответственного выбрал человек")

    offer(bench, handlers=(handler([*RESPONSIBLE, replace(CARD, needs=("responsible",))], read),))
    bench.rest.before = lambda _: portal.items[0].update(assignedById=33)
    id = bench.event("E", "lead:42", {})
    bench.run()
    assert id is not None
    assert portal.items[0]["assignedById"] == 33
    assert portal.comments == []
    assert states(bench, id) == {"responsible_unchanged": "skipped", "responsible": "skipped", "card": "skipped"}
    assert delivery(bench, id)["state"] == "done"
    assert delivery(bench, id)["reason"] == "ответственного уже сменил человек / a person changed it"
    assert looks == [0, 1]
    assert bench.rung  # a worker is woken for the second look


def test_we_do_not_look_again_for_ever(bench: Bench, portal: Portal) -> None:
    portal.items[0]["assignedById"] = 33
    do(bench, RESPONSIBLE)
    with bench.database.read() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(schema.deliveries)).scalar_one()
    assert count == 4


def test_the_compare_is_made_anew_when_the_write_was_put_off(bench: Bench, portal: Portal) -> None:
    portal.errors["crm.item.update"] = [Temporary.after("лимит метода", timedelta(hours=1))]
    id = do(bench, RESPONSIBLE)
    assert states(bench, id) == {"responsible_unchanged": "done", "responsible": "written"}
    portal.items[0]["assignedById"] = 33  # a person, meanwhile
    again(bench)
    assert portal.items[0]["assignedById"] == 33
    assert states(bench, id)["responsible"] == "skipped"


def test_a_refusal_stops_the_batch_and_the_rest_goes_on_without_what_needs_it(bench: Bench, portal: Portal) -> None:
    portal.errors["crm.item.update"] = [AccessDenied("нельзя менять этот лид")]
    dependent = replace(CARD, label="why", needs=("responsible",))
    id = do(bench, [*RESPONSIBLE, dependent, NOTICE])
    assert states(bench, id) == {
        "responsible_unchanged": "done",
        "responsible": "failed",
        "why": "skipped",
        "notice": "done",
    }
    assert (delivery(bench, id)["state"], delivery(bench, id)["reason"]) == (
        "failed",
        "responsible: нельзя менять этот лид",
    )
    assert bench.rest.sent == ["crm.item.list", "crm.item.update", "im.notify.personal.add"]


def test_what_was_given_up_in_doubt_is_looked_up_when_a_person_says_again(bench: Bench, portal: Portal) -> None:
    id = held_back(bench, [CARD], lost="crm.timeline.comment.add")
    with bench.database.write() as connection:
        dead = {"state": "running", "crashes": 9, "lease_until": datetime(2020, 1, 1, tzinfo=UTC)}
        connection.execute(sa.update(schema.deliveries).values(dead))
    bench.run()
    again(bench)
    assert (delivery(bench, id)["state"], states(bench, id)) == ("failed", {"card": "skipped"})
    assert bench.inbox.again(id, MEMBER)
    bench.run()
    assert (delivery(bench, id)["state"], len(portal.comments)) == ("done", 1)
    assert bench.rest.sent == ["crm.timeline.comment.add", "crm.timeline.comment.list"]


def test_what_failed_is_done_when_a_person_mended_the_cause(bench: Bench, portal: Portal) -> None:
    portal.errors["crm.item.update"] = [AccessDenied("нельзя менять этот лид")]
    id = do(bench, [*RESPONSIBLE, replace(CARD, needs=("responsible",)), NOTICE])
    assert bench.inbox.again(id, MEMBER)
    bench.run()
    assert delivery(bench, id)["state"] == "done"
    assert portal.items[0]["assignedById"] == 11
    assert (len(portal.comments), bench.rest.sent.count("im.notify.personal.add")) == (1, 1)


def test_a_task_that_the_portal_refused_keeps_no_place_until_it_is_made_after_all(bench: Bench, portal: Portal) -> None:
    portal.errors["tasks.task.add"] = [Permanent("сотрудник уволен")]
    id = do(bench, [replace(TASK, label="task_0")])

    def kept() -> tuple[int, str]:
        with bench.database.write() as connection:
            memory = Memory(bench.database, connection, MEMBER)
            process_memory.number_tasks(memory)
            (row,) = process_memory.tasks_of(memory, "lead:42")
            return row.task_id, row.state

    with bench.database.write() as connection:
        memory = Memory(bench.database, connection, MEMBER, delivery_id=id)
        stand_in = process_memory.awaited_number(memory, 0)
        process_memory.add_task(memory, task_id=stand_in, entity="lead:42", rule="call", stage="s", round=1)
    assert kept() == (stand_in, "obsolete")
    assert bench.inbox.again(id, MEMBER)
    bench.run()
    assert kept() == (int(portal.tasks[0]["id"]), "open")


def test_passing_trouble_inside_a_batch_keeps_what_was_done(bench: Bench, portal: Portal) -> None:
    portal.errors["im.notify.personal.add"] = [Temporary.after("лимит метода", timedelta(hours=1))]
    id = do(bench, [CARD, NOTICE, TASK])
    assert states(bench, id) == {"card": "done", "notice": "written", "task": "written"}
    assert delivery(bench, id)["state"] == "waiting"
    assert delivery(bench, id)["reason"] == "лимит метода"
    again(bench)
    assert delivery(bench, id)["state"] == "done"
    assert (len(portal.comments), len(portal.tasks), len(portal.notices)) == (1, 1, 1)


@pytest.mark.parametrize("trouble", [Temporary("портал занят"), PortalClosed("ключ мёртв")])
def test_a_refused_batch_was_certainly_not_carried_out(bench: Bench, portal: Portal, trouble: Exception) -> None:
    def before(_: list[Call]) -> None:
        bench.rest.before = lambda _: None
        raise trouble

    bench.rest.before = before
    id = do(bench, [CARD])
    assert states(bench, id) == {"card": "written"}
    assert delivery(bench, id)["state"] == "waiting"
    again(bench)
    assert bench.rest.sent == ["crm.timeline.comment.add"]  # no look-up was needed
    assert delivery(bench, id)["state"] == "done"


def test_more_writes_than_one_batch_takes_go_in_several(bench: Bench, portal: Portal) -> None:
    do(bench, [write.notify(2, "x", tag=str(n), label=f"n{n}") for n in range(20)])
    assert [len(request) for request in bench.rest.requests] == [15, 5]
    assert len(portal.notices) == 20


def test_a_retry_never_changes_its_mind(bench: Bench, portal: Portal) -> None:
    minds = iter((1, 2))
    offer(
        bench,
        handlers=(
            replace(
                handler([]),
                decide=lambda _: Plan(next(minds)),
                act=lambda plan: [write.notify(plan.turn, "x", tag="t", label="n")],
            ),
        ),
    )
    portal.errors["im.notify.personal.add"] = [Temporary.after("позже", timedelta(hours=1))]
    bench.event("E", "lead:42", {})
    bench.run()
    again(bench)
    users = [call.params["USER_ID"] for request in bench.rest.requests for call in request]
    assert users == [1, 1]


def test_mistakes_of_ours_are_tried_a_few_times_and_then_put_aside(bench: Bench) -> None:
    def broken(portal: Any, call: Any) -> Any:
        raise KeyError("a mistake")

    offer(
        bench,
        handlers=(
            handler([], broken),
            Handler(event="OK", entity=lambda _: "x", read=lambda *_: Nothing("x"), decide=lambda _: Nothing("x")),
        ),
    )
    id = bench.event("E", "lead:42", {})
    fine = bench.event("OK", "lead:43", {})
    bench.run()
    assert id is not None
    assert fine is not None
    assert delivery(bench, fine)["state"] == "done"
    assert delivery(bench, id)["state"] == "waiting"
    for _ in range(run.MISTAKES_ALLOWED - 1):
        again(bench)
    assert (delivery(bench, id)["state"], delivery(bench, id)["attempts"]) == ("failed", run.MISTAKES_ALLOWED)
    assert delivery(bench, id)["reason"] == "ошибка программы / mistake in the program: KeyError"


@pytest.mark.parametrize("phase", ["read", "decide", "carry out", "finish"])
def test_a_database_in_trouble_is_waited_for_however_often(
    bench: Bench, portal: Portal, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    troubles = run.MISTAKES_ALLOWED + 2

    def trouble(when: str) -> None:
        nonlocal troubles
        if when == phase and troubles:
            troubles -= 1
            raise sa.exc.OperationalError("UPDATE deliveries", {}, Exception("server closed the connection"))

    def deciding(_: Any) -> Plan:
        trouble("decide")
        return Plan()

    def reading(_: Any, call: Any) -> Any:
        trouble("read")
        return call

    where = {"before_send": "carry out", "before_finish": "finish"}
    monkeypatch.setattr(run, "crashpoint", lambda name: trouble(where.get(name, "")))
    offer(bench, handlers=(replace(handler([CARD, TASK], reading), decide=deciding),))
    id = bench.event("E", "lead:42", {})
    bench.run()
    assert id is not None
    for _ in range(run.MISTAKES_ALLOWED + 2):
        row = delivery(bench, id)
        assert (row["state"], row["reason"]) == ("waiting", "база данных не отвечала / the database did not answer")
        again(bench)
    assert troubles == 0
    assert (delivery(bench, id)["state"], len(portal.comments), len(portal.tasks)) == ("done", 1, 1)


def test_a_worker_without_memory_ends_and_what_it_was_at_is_not_a_mistake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(code: int) -> None:
        raise Killed

    def reading(_: Any, call: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(run.os, "_exit", end)
    offer(bench, handlers=(handler([CARD], reading),))
    id = bench.event("E", "lead:42", {})
    assert id is not None
    with pytest.raises(Killed):
        bench.run()
    assert delivery(bench, id)["state"] == "running"  # until its lease ends, as with every death


def test_a_delivery_that_kills_its_workers_is_put_aside(bench: Bench) -> None:
    offer(bench, handlers=(handler([CARD]),))
    id = bench.event("E", "lead:42", {})
    assert id is not None
    with bench.database.write() as connection:
        connection.execute(
            sa.update(schema.deliveries).values(
                state="running", crashes=9, lease_until=datetime(2020, 1, 1, tzinfo=UTC)
            )
        )
    bench.run()
    assert delivery(bench, id)["state"] == "failed"
    assert bench.rest.requests == []


def test_an_unknown_event_is_put_aside_with_a_reason(bench: Bench) -> None:
    id = bench.event("ONSOMETHING", "x", {})
    bench.run()
    assert id is not None
    assert delivery(bench, id)["reason"] == "неизвестный код ONSOMETHING / unknown code"


def test_whoever_lost_the_lease_writes_nothing_back(bench: Bench, database: Database) -> None:
    thief = Inbox(database)

    def read(portal: Any, call: Any) -> Any:
        with database.write() as connection:
            connection.execute(sa.update(schema.deliveries).values(lease_until=datetime(2020, 1, 1, tzinfo=UTC)))
        assert thief.claim() is not None
        return call

    offer(bench, handlers=(handler([CARD], read),))
    id = bench.event("E", "lead:42", {})
    assert bench.runner.run_next()
    assert id is not None
    assert (delivery(bench, id)["state"], delivery(bench, id)["decision"]) == ("running", None)
    assert bench.rest.requests == []


def test_the_lease_is_prolonged_before_a_request_leaves(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "HELD_SECONDS", 0.0)  # as if each had waited so long for room
    left: list[timedelta] = []

    def read(portal: Any, call: Any) -> Any:
        for _ in range(3):
            with database.write() as connection:
                soon = datetime.now(UTC) + timedelta(seconds=1)
                connection.execute(sa.update(schema.deliveries).values(lease_until=soon))
            portal.rest.call(Call("crm.item.list", {"filter": {}}))
            with database.read() as connection:
                until = connection.execute(sa.select(schema.deliveries.c.lease_until)).scalar_one()
            left.append(until - datetime.now(UTC))
        return call

    offer(bench, handlers=(handler([CARD], read),))
    bench.event("E", "lead:42", {})
    assert bench.runner.run_next()
    assert len(left) == 3
    assert all(one > inbox.LEASE - timedelta(seconds=10) for one in left)


def test_whoever_lost_the_lease_while_he_waited_for_room_sends_nothing(
    bench: Bench, database: Database, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief = Inbox(database)
    mark_sent = bench.runner.journal.mark_sent

    def steal(*arguments: Any) -> Any:
        marked = mark_sent(*arguments)
        monkeypatch.setattr(inbox, "HELD_SECONDS", 0.0)
        with database.write() as connection:
            connection.execute(sa.update(schema.deliveries).values(lease_until=datetime(2020, 1, 1, tzinfo=UTC)))
        assert thief.claim() is not None
        return marked

    monkeypatch.setattr(bench.runner.journal, "mark_sent", steal)
    offer(bench, handlers=(handler([CARD]),))
    bench.event("E", "lead:42", {})
    assert bench.runner.run_next()
    assert (bench.rest.requests, portal.comments) == ([], [])


# robots: a stage waits for every one of them


def call_robot(bench: Bench, made: Robot | None, **payload: Any) -> int:
    offer(bench, robots=(made,) if made else ())
    id = bench.robot("r", **payload)
    assert id is not None
    bench.run()
    return id


def test_a_robot_is_answered_after_its_work(bench: Bench, portal: Portal) -> None:
    id = call_robot(bench, robot([*RESPONSIBLE, CARD]))
    assert portal.answers == [{"EVENT_TOKEN": "tok.1", "RETURN_VALUES": {"assigned": "Y"}, "LOG_MESSAGE": "Анна"}]
    assert delivery(bench, id)["state"] == "done"


def test_a_robot_that_nobody_waits_for_is_not_answered(bench: Bench, portal: Portal) -> None:
    call_robot(bench, robot([CARD]), use_subscription="N")
    call_robot(bench, None, use_subscription="N", event_token="tok.2")
    assert portal.answers == []


def test_an_empty_use_subscription_means_that_the_stage_waits(bench: Bench, portal: Portal) -> None:
    call_robot(bench, robot([]), use_subscription="")
    assert len(portal.answers) == 1


def test_a_robot_does_not_claim_what_was_refused(bench: Bench, portal: Portal) -> None:
    portal.errors["crm.item.update"] = [AccessDenied("нельзя менять этот лид")]
    id = call_robot(bench, robot([*RESPONSIBLE, CARD]))
    assert portal.answers == [
        {
            "EVENT_TOKEN": "tok.1",
            "RETURN_VALUES": {"assigned": "N"},
            "LOG_MESSAGE": "Анна\nНе выполнено: нельзя менять этот лид",
        }
    ]
    assert delivery(bench, id)["state"] == "failed"


def test_a_robot_tells_that_a_person_was_faster(bench: Bench, portal: Portal) -> None:
    portal.items[0]["assignedById"] = 33
    id = call_robot(bench, robot([*RESPONSIBLE, replace(CARD, needs=("responsible",))]))
    (answer,) = portal.answers
    assert answer["RETURN_VALUES"] == {"assigned": "N"}
    assert answer["LOG_MESSAGE"] == "Анна\nНе выполнено: ответственного уже сменил человек / a person changed it"
    assert delivery(bench, id)["state"] == "done"
    assert bench.run() == 0  # its stage goes on: nobody looks again


@pytest.mark.parametrize(
    ("made", "payload", "why"),
    [
        (None, {}, "неизвестный код r / unknown code"),
        (
            robot([]),
            {"document_id": ["lists", "BizprocDocument", "7"]},
            "не элемент CRM / not a CRM item: ['lists', 'BizprocDocument', '7']",
        ),
        (
            robot([]),
            {"document_id": ["crm", "x", "DYNAMIC_147_12"]},
            "робот не для этого типа элементов / not for items of this type: dynamic_147:12",
        ),
        (
            robot([], read=lambda *_: (_ for _ in ()).throw(Permanent("в отделе нет сотрудников"))),
            {},
            "в отделе нет сотрудников",
        ),
    ],
)
def test_a_robot_that_cannot_work_is_answered_with_the_reason(
    bench: Bench, portal: Portal, made: Robot | None, payload: dict[str, Any], why: str
) -> None:
    id = call_robot(bench, made, **payload)
    assert portal.answers == [{"EVENT_TOKEN": "tok.1", "RETURN_VALUES": {}, "LOG_MESSAGE": f"Не выполнено: {why}"}]
    assert (delivery(bench, id)["state"], delivery(bench, id)["reason"]) == ("failed", why)


def test_a_robot_whose_item_is_gone_is_answered(bench: Bench, portal: Portal) -> None:
    id = call_robot(bench, robot([], read=lambda *_: Nothing("элемента уже нет")))
    assert portal.answers == [{"EVENT_TOKEN": "tok.1", "RETURN_VALUES": {}, "LOG_MESSAGE": "элемента уже нет"}]
    assert delivery(bench, id)["state"] == "done"


def test_a_robot_does_not_wait_for_ever_for_passing_trouble(bench: Bench, portal: Portal) -> None:
    def busy(_: Any, call: RobotCall) -> Any:
        raise Temporary.after("портал занят", timedelta(minutes=1))

    id = call_robot(bench, robot([], read=busy))
    assert delivery(bench, id)["state"] == "waiting"
    assert portal.answers == []
    with bench.database.write() as connection:
        past = datetime.now(UTC) - run.ROBOT_PATIENCE - timedelta(minutes=1)
        connection.execute(sa.update(schema.deliveries).values(received_at=past))
    again(bench)
    (answer,) = portal.answers
    assert answer["LOG_MESSAGE"].startswith("Не выполнено: не удалось за 0:31:")
    assert answer["LOG_MESSAGE"].endswith("портал занят")
    assert delivery(bench, id)["state"] == "failed"


def test_an_answer_that_arrived_already_is_done(bench: Bench, portal: Portal) -> None:
    portal.errors["bizproc.event.send"] = [AccessDenied("ключ недействителен", code="ACCESS_DENIED")]
    id = call_robot(bench, robot([]))
    assert (states(bench, id), delivery(bench, id)["state"]) == ({"answer": "done"}, "done")


def test_an_answer_that_was_lost_is_sent_again(bench: Bench, portal: Portal) -> None:
    lose_answer(bench, "bizproc.event.send")
    portal.errors["bizproc.event.send"] = [None, AccessDenied("уже отвечено", code="ACCESS_DENIED")]
    id = call_robot(bench, robot([]))
    assert (len(portal.answers), delivery(bench, id)["state"]) == (1, "done")


@pytest.mark.parametrize("at", CRASHES)
def test_a_robot_whose_worker_dies_anywhere_is_answered(
    bench: Bench, portal: Portal, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    offer(bench, robots=(robot([CARD]),))
    bench.robot("r")
    with dying(bench, monkeypatch, at):
        bench.run()
    bench.run()
    again(bench)  # where something was under way, the portal got its minute
    assert {answer["LOG_MESSAGE"] for answer in portal.answers} == {"Анна"}
    assert len(portal.comments) == 1
