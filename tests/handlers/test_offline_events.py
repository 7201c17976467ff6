"""What the portal kept of its events: each lost one comes in once, whatever dies on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from scripted_portal import MEMBER, Bench, ScriptedRest

from b24app.bitrix.calls import Call
from b24app.engine.declare import Catalogue, EventCall, Handler, Nothing
from b24app.errors import AccessDenied, B24AppError, PortalClosed, Temporary
from b24app.store import schema, tally
from b24app.store.database import Database
from b24app.store.memory import Memory
from handlers.offline_events import CODE, timer

EVENT = "ONTASKUPDATE"


def _entity(call: EventCall) -> str | None:
    id = call.data.get("FIELDS_AFTER", {}).get("ID")
    return f"task:{id}" if id else None


HANDLER = Handler(event=EVENT, entity=_entity, priority=40, read=lambda *_: Nothing("x"), decide=lambda _: Nothing("x"))


class Queue:
    """The portal's queue; `broken` is what a method answers instead, once."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.broken: dict[str, B24AppError] = {}
        self.ids = self.gets = self.good_gets = 0

    def add(self, task_id: int = 7, event: str = EVENT, age: float = 120, data: Any = None) -> dict[str, Any]:
        self.ids += 1
        at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat(timespec="seconds")
        data = {"FIELDS_AFTER": {"ID": str(task_id)}} if data is None else data
        self.rows.append({"ID": str(self.ids), "TIMESTAMP_X": at, "EVENT_NAME": event, "EVENT_DATA": data})
        return self.rows[-1]

    def list(self, after: int) -> list[dict[str, Any]]:
        self._fail("event.offline.list")
        return [row for row in self.rows if int(row["ID"]) > after]

    def answer(self, call: Call) -> Any:
        assert (call.method, call.params["clear"]) == ("event.offline.get", 1)
        self.gets += 1
        if call.method in self.broken and self.gets > self.good_gets:
            return self.broken.pop(call.method)
        gone = [row for row in self.rows if int(row["ID"]) <= call.params["filter"]["<=ID"]][: call.params["limit"]]
        gone = gone[:2]  # a portal that gives fewer than it is asked for
        self.rows = [row for row in self.rows if row not in gone]
        return {"process_id": None, "events": gone}

    def _fail(self, method: str) -> None:
        if method in self.broken:
            raise self.broken.pop(method)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def bench(database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(
        database,
        ScriptedRest(queue.answer),
        Catalogue(handlers=(HANDLER,), timers=(timer((HANDLER,)),)),
        facts={"offline_events": True},
    )

    def read_all(_: Any, method: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        assert method == "event.offline.list"
        return queue.list(params["filter"][">ID"])

    monkeypatch.setattr(type(made.open_portal(MEMBER)), "read_all", read_all)
    return made


def look(bench: Bench) -> str:
    """Looks once; returns how it ended."""
    table = schema.deliveries
    with bench.database.write() as connection:
        Memory(bench.database, connection, MEMBER).deliver(
            kind="timer", code=CODE, entity=CODE, payload={}, priority=90
        )
    bench.run()
    with bench.database.read() as connection:
        row = connection.execute(sa.select(table).where(table.c.code == CODE).order_by(table.c.id.desc())).first()
    assert row is not None
    return f"{row.state}: {row.reason}"


def came(bench: Bench) -> list[tuple[str, int]]:
    table = schema.deliveries
    with bench.database.read() as connection:
        rows = connection.execute(sa.select(table.c.entity, table.c.priority).where(table.c.kind == "event")).all()
    return [(row[0], row[1]) for row in rows]


def missed(bench: Bench) -> int:
    """How many events are counted as lost on the way."""
    with bench.database.write() as connection:
        counted = tally.of_portal(Memory(bench.database, connection, MEMBER)).events
    return counted[EVENT].found if EVENT in counted else 0


def test_a_lost_event_comes_in_once_and_leaves_the_queue(bench: Bench, queue: Queue) -> None:
    for id in (7, 8, 9):
        queue.add(id)
    assert "найдено: 3" in look(bench)
    assert came(bench) == [("task:7", 40), ("task:8", 40), ("task:9", 40)]
    assert len(queue.rows) == 3, "deleted only when the inbox has them"
    assert missed(bench) == 3
    queue.add(10)
    assert "найдено: 1" in look(bench)
    assert [row["ID"] for row in queue.rows] == ["4"]
    assert "найдено: 0" in look(bench)
    assert queue.rows == []
    asked = len(bench.rest.sent)
    assert "найдено: 0" in look(bench)
    assert len(bench.rest.sent) == asked, "an empty queue costs its list"


def test_trouble_between_two_pages_of_the_deletion_loses_nothing(bench: Bench, queue: Queue) -> None:
    for id in (7, 8, 9):
        queue.add(id)
    look(bench)
    queue.rows[0] |= {"TIMESTAMP_X": (datetime.now(UTC) + timedelta(seconds=1)).isoformat()}  # it changed again
    queue.broken["event.offline.get"], queue.good_gets = Temporary("занят"), 1
    assert "найдено: 1" in look(bench)
    assert [entity for entity, _ in came(bench)] == ["task:7", "task:8", "task:9", "task:7"]
    assert [row["ID"] for row in queue.rows] == ["3"]
    look(bench)
    assert queue.rows == []


def test_an_event_that_came_is_not_brought_again_and_a_later_change_is(bench: Bench, queue: Queue) -> None:
    bench.event(EVENT, "task:7", {"FIELDS_AFTER": {"ID": "7"}})
    bench.run()
    queue.add(7, age=10)
    queue.add(8, age=10)
    look(bench)
    assert [entity for entity, _ in came(bench)] == ["task:7", "task:8"]
    with bench.database.write() as connection:
        earlier = datetime.now(UTC) - timedelta(minutes=5)
        deliveries = sa.update(schema.deliveries).where(schema.deliveries.c.entity == "task:7")
        connection.execute(deliveries.values(received_at=earlier))
    queue.rows[0]["TIMESTAMP_X"] = datetime.now(UTC).isoformat()  # it changed again before it was deleted
    look(bench)
    assert [entity for entity, _ in came(bench)] == ["task:7", "task:8", "task:7"]
    assert missed(bench) == 0, "so young that their events may be on the way"


@pytest.mark.parametrize(
    "row",
    [
        {"event": "ONCRMDEALADD"},
        {"data": False},
        {"data": []},
        {"data": {"FIELDS_AFTER": {}}},
    ],
)
def test_what_is_not_for_us_or_cannot_be_read_leaves_the_queue_too(
    bench: Bench, queue: Queue, row: dict[str, Any]
) -> None:
    queue.add(**row)
    assert "найдено: 0" in look(bench)
    look(bench)
    assert (came(bench), queue.rows) == ([], [])


@pytest.mark.parametrize("method", ["event.offline.list", "event.offline.get"])
@pytest.mark.parametrize("error", [Temporary("502"), PortalClosed("токен"), AccessDenied("нет прав")])
def test_trouble_loses_nothing(bench: Bench, queue: Queue, method: str, error: B24AppError) -> None:
    queue.add(7)
    look(bench)
    queue.add(8)
    queue.broken[method] = error
    outcome = look(bench)
    assert outcome.startswith("done: портал не даёт" if isinstance(error, AccessDenied) else "waiting")
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(due_at=datetime.now(UTC)))
    bench.run()
    look(bench)
    look(bench)
    assert [entity for entity, _ in came(bench)] == ["task:7", "task:8"]
    assert queue.rows == []


def test_a_change_that_the_deletion_tells_of_outlives_trouble_with_the_list(bench: Bench, queue: Queue) -> None:
    queue.add(7)
    look(bench)
    with bench.database.write() as connection:
        deliveries = sa.update(schema.deliveries).where(schema.deliveries.c.entity == "task:7")
        connection.execute(deliveries.values(received_at=datetime.now(UTC) - timedelta(minutes=5)))
    queue.rows[0]["TIMESTAMP_X"] = datetime.now(UTC).isoformat()
    queue.broken["event.offline.list"] = Temporary("502")
    assert look(bench).startswith("waiting")
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(due_at=datetime.now(UTC)))
    bench.run()
    assert [entity for entity, _ in came(bench)] == ["task:7", "task:7"]


def test_a_portal_whose_plan_has_no_queue_is_not_asked(bench: Bench, queue: Queue) -> None:
    queue.add()
    bench.facts.clear()
    assert "нет очереди событий" in look(bench)
    assert (bench.rest.sent, came(bench), len(queue.rows)) == ([], [], 1)
