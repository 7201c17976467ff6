"""A saved delivery worked again, or a robot tried on an item, without effects: what would be decided and written.

The portal is read and nothing else (`ReadingRest`), every transaction is rolled back (`RollingBack`), no token is
renewed, no SMS leaves, nobody is rung for. What the delivery assigned is forgotten for the length of it: else all that
it would find is that its work is done.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NoReturn, cast

import sqlalchemy as sa
from pydantic import TypeAdapter

from b24app.bitrix.bulk import Bulk
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.commands import answer_robot
from b24app.bitrix.oauth import Token, Tokens
from b24app.bitrix.portal import Portal
from b24app.bitrix.rest import Rest
from b24app.engine.declare import NORMAL, Catalogue, Nothing, Robot, RobotCall
from b24app.engine.inbox import Delivery, Inbox
from b24app.engine.journal import COMMAND
from b24app.engine.run import Runner
from b24app.entities import ENTITY_NAMES, Item, ItemRef
from b24app.errors import B24AppError, NotFound, Permanent, PortalClosed
from b24app.services import Services
from b24app.sms.gateway import Message, Outcome
from b24app.store import story as rows
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.story import Line, Words, chronicle_of, command_words, cut, decision_lines, hider, show, title, with_names

log = logging.getLogger(__name__)

READS = frozenset({"get", "list", "getlist", "getbyid", "fields", "status", "findbycomm"})
"""The last words of methods that only read."""
DOCUMENTS = {"lead": "Lead", "deal": "Deal"}
DRY_TOKEN = "dry-run-token"  # noqa: S105 no secret: the robot's reason is made of it
VALUE_LENGTH = 120


class Effect(Exception):
    """Something tried to act on the portal; no error of ours, so that nobody takes it for the portal's refusal."""


class ReadingRest:
    """A portal's REST for reading: what is not plainly a read raises Effect before anything is sent."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self.limits = rest.limits

    def call(self, call: Call, idempotency_key: str | None = None, *, reading: bool = False) -> Answer:
        """Returns the answer of one read (Rest.call)."""
        if not reading or idempotency_key is not None:
            _refuse(call.method)
        _check([call])
        return self._rest.call(call, reading=True)

    def batch(
        self, calls: Mapping[str, Call], *, halt: bool = False, reading: bool = False
    ) -> dict[str, Answer | B24AppError]:
        """Returns the answers of reads (Rest.batch)."""
        if not reading or halt:
            _refuse("batch")
        _check(calls.values())
        return self._rest.batch(calls, reading=True)

    def gather(self, calls: Mapping[str, Call]) -> dict[str, Answer | B24AppError]:
        """Returns the answers of any number of reads (Rest.gather)."""
        _check(calls.values())
        return self._rest.gather(calls)

    def read_all(self, method: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns a whole list (Bulk.read_all)."""
        _check([Call(method, params)])
        return Bulk(self._rest).read_all(method, params)


def _check(calls: Any) -> None:
    for call in calls:
        if call.method.rpartition(".")[2].lower() not in READS:
            _refuse(call.method)


def _refuse(what: str) -> NoReturn:
    raise Effect(f"{what}: повтор без последствий только читает / a replay only reads")


class ReadingPortal(Portal):
    """A portal whose long lists go the same narrow way."""

    def read_all(self, method: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns a whole long list."""
        return cast(ReadingRest, self.rest).read_all(method, params)


class RollingBack(Database):
    """The same database, where nothing that is written stays; `before` is done at the start of every transaction."""

    def __init__(self, database: Database, before: Callable[[sa.Connection], None] = lambda _: None) -> None:
        self.__dict__.update(vars(database))  # its connections: there is nothing to open
        self._before = before

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yields a connection for reading."""
        with self._rolled_back("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yields a connection inside a transaction that is rolled back, whatever happens."""
        with self._writers, self._rolled_back("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _rolled_back(self, begin: str) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql(begin)
            try:
                self._before(connection)
                yield connection
            finally:
                connection.rollback()


class HeldTokens(Tokens):
    """Tokens as they stand: a renewed pair that is rolled back would lock the application out."""

    def refresh(self, token: Token) -> Token:
        """Returns the newer pair that another process stored meanwhile; PortalClosed where there is none."""
        stored = self.owner(token.member_id)
        if stored.version > token.version:
            return stored
        raise PortalClosed(
            "ключ портала устарел, а повтор без последствий его не обновляет: запустите приложение или b24app doctor / "
            "the token has expired, and a replay renews none: start the application or b24app doctor"
        )

    def bury(self, token: Token, reason: str) -> None:
        """Leaves it: a person's end is found by the application itself."""

    def store(self, *_: Any, **__: Any) -> NoReturn:
        """Raises Effect."""
        _refuse("tokens")


class NoSms:
    """Sends nothing."""

    def send(self, message: Message) -> Outcome:
        """Raises Effect."""
        _refuse("sms:send")


def quiet(services: Services, member_id: str, before: Callable[[sa.Connection], None] = lambda _: None) -> Portal:
    """Returns an installed portal that can be read and not written; PortalClosed where nothing works on it."""
    database = RollingBack(services.database, before)
    held = replace(services, database=database, tokens=HeldTokens(database, services.settings), sms=NoSms())
    return reading(held.open_portal(member_id), database)


def reading(portal: Portal, database: Database) -> Portal:
    """Returns the portal with its ways out closed."""
    values = {one.name: getattr(portal, one.name) for one in dataclasses.fields(portal)}
    rest = cast(Rest, ReadingRest(portal.rest))
    return ReadingPortal(**{**values, "rest": rest, "database": database, "sms": NoSms()})


@dataclass(frozen=True)
class Rehearsed:
    """What the work came to: facts as read and recalled, the decision as it would be saved, the commands in order.

    `orders`: so many deliveries of its own would be put into the inbox.
    """

    facts: Any
    decision: Any
    commands: tuple[Mapping[str, Any], ...] = ()
    orders: int = 0


class Rehearsal(Runner):
    """A runner that reads, decides and says what it would write."""

    def __init__(self, portal: Portal, catalogue: Catalogue) -> None:
        super().__init__(
            Inbox(portal.database), catalogue, lambda *_: portal, lambda _: _refuse("ring"), portal.rest.limits
        )
        self._portal = portal

    def rehearse(self, delivery: Delivery) -> Rehearsed:
        """Returns what it would come to now; the errors of reading and deciding are b24app.errors."""
        work, call = self._resolve(delivery)
        if work is None:
            raise Permanent(f"неизвестный код {delivery.code} / unknown code")
        facts = work.read(self._portal, call)
        with self.database.write() as connection:
            memory = Memory(self.database, connection, delivery.member_id, datetime.now(UTC), delivery.id)
            if work.recall is not None and not isinstance(facts, Nothing):
                facts = work.recall(memory, facts)
            decision = facts if isinstance(facts, Nothing) else work.decide(facts)
            planned = []
            waits = isinstance(call, RobotCall) and call.waits
            if isinstance(decision, Nothing):
                saved: Any = {"nothing": decision.reason}
                if waits:
                    planned.append(answer_robot("", {}, decision.reason))
            else:
                if work.remember is not None:
                    work.remember(memory, decision)
                planned = list(work.act(decision))
                if isinstance(work, Robot) and waits:
                    reply = work.answer(decision)
                    planned.append(answer_robot("", reply.values, reply.log, instead=reply.instead))
                saved = TypeAdapter(work.decision).dump_python(decision, mode="json")
            commands = tuple(COMMAND.dump_python(command, mode="json") for command in planned)
            return Rehearsed(facts, saved, commands, len(memory.new_deliveries))


# on the command line


def replay(services: Services, member_id: str, delivery_id: int, language: str = "ru") -> int:
    """Prints what the saved delivery would come to now, and how that differs from what was journaled; 0, or 1."""
    chronicle = chronicle_of(services.database, member_id, "delivery", str(delivery_id))
    words = Words(services.catalogue, services.playbook, chronicle, language)
    if not chronicle.deliveries:
        ru = f"Доставки {delivery_id} нет: сделанное стирается через месяц."
        print(words.text(ru, f"There is no delivery {delivery_id}: what is done is erased after a month."))
        return 1
    row = chronicle.deliveries[0]

    def forget(connection: sa.Connection) -> None:
        rows.forget_decision(connection, row.id)

    journaled = [one.command for one in row.commands]
    return _rehearsed(words, lambda: quiet(services, member_id, forget), row, journaled=journaled)


def dry_run(
    services: Services, member_id: str, code: str, ref: ItemRef, properties: Sequence[str], language: str = "ru"
) -> int:
    """Prints what the robot would answer and write for the item now; `properties` are `key=value`. Returns 0 or 1."""
    kind = ENTITY_NAMES[ref.entity_type_id]
    row = rows.DeliveryRow(
        id=0,
        member_id=member_id,
        kind="robot",
        code=code,
        entity=str(ref),
        payload={
            "document_id": ["crm", f"CCrmDocument{DOCUMENTS[kind]}", f"{kind.upper()}_{ref.id}"],
            "event_token": DRY_TOKEN,
            "properties": properties_of(services.catalogue, code, properties),
        },
        priority=NORMAL,
        state="waiting",
        received_at=datetime.now(UTC),
        due_at=datetime.now(UTC),
        attempts=0,
        crashes=0,
        decision=None,
        decided_at=None,
        failure=None,
        reason=None,
        finished_at=None,
    )
    chronicle = replace(chronicle_of(services.database, member_id, kind, str(ref.id)), deliveries=(row,))
    words = Words(services.catalogue, services.playbook, chronicle, language)
    return _rehearsed(words, lambda: quiet(services, member_id), row, journaled=None)


def properties_of(catalogue: Catalogue, code: str, given: Sequence[str]) -> dict[str, Any]:
    """Returns a robot's properties as Bitrix24 would send them: its defaults, and `key=value`; twice is a list.

    NotFound names the robots, or the properties, that there are.
    """
    robot = catalogue.robot(code)
    if robot is None:
        codes = ", ".join(one.code for one in catalogue.robots)
        raise NotFound(f"робота {code} нет, есть: {codes} / no such robot: {code}")
    known = {one.code: one for one in robot.properties}
    found: dict[str, Any] = {one.code: one.default for one in robot.properties if one.default is not None}
    several: dict[str, list[str]] = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        if not sign or name not in known:
            raise NotFound(f"{pair}: нужно свойство=значение, свойства: {', '.join(known)} / no such property")
        several.setdefault(name, []).append(value)
    for name, values in several.items():
        found[name] = values if known[name].multiple or len(values) > 1 else values[0]
    return found


def _rehearsed(
    words: Words,
    open_portal: Callable[[], Portal],
    row: rows.DeliveryRow,
    *,
    journaled: Sequence[Mapping[str, Any]] | None,
) -> int:
    delivery = Delivery(
        id=row.id,
        member_id=row.member_id,
        kind=row.kind,
        code=row.code,
        entity=row.entity,
        payload=row.payload,
        priority=row.priority,
        received_at=row.received_at,
        attempt=0,
        decision=None,
        decided_at=None,
        failure=None,
    )
    hide = hider(words.chronicle)
    try:
        done = Rehearsal(open_portal(), words.catalogue).rehearse(delivery)
    except (B24AppError, Effect) as trouble:
        print(hide(f"✘ {words.reason(str(trouble))}"), file=sys.stderr)
        return 1
    except Exception:  # a mistake of a robot is what somebody looks for here; the log masks what its trace may hold
        log.exception("delivery=%s code=%s mistake", row.id, row.code)
        return 1
    words = replace(words, chronicle=with_names(words.chronicle, done.decision))
    show(Line(hide(line.text), line.depth) for line in _told(words, row, done, journaled))
    return 0


def _told(
    words: Words, row: rows.DeliveryRow, done: Rehearsed, journaled: Sequence[Mapping[str, Any]] | None
) -> Iterator[Line]:
    yield Line(f"{title(words, row)}, {words.item_key(row.entity)}")
    yield Line(words.text("Без последствий: ничего не записано.", "Without effects: nothing was written."))
    yield Line(words.text("Факты", "Facts"))
    yield from facts_lines(words, done.facts)
    yield Line(words.text("Решение сейчас", "The decision now"))
    yield from decision_lines(words, done.decision)
    said = command_words(words, done.commands)
    yield Line(words.text("Было бы записано", "What would be written"))
    yield from (Line(f"{place}. {text}", 1) for place, text in enumerate(said, start=1))
    if not said:
        yield Line(words.text("ничего", "nothing"), 1)
    if done.orders:
        yield Line(words.text(f"и поставлено в очередь себе: {done.orders}", f"and ordered: {done.orders}"), 1)
    if journaled is not None:
        yield Line(words.text("Отличие от того, что было записано в журнал", "The difference to the journal"))
        yield from differences(words, command_words(words, journaled), said)


def differences(words: Words, before: Sequence[str], now: Sequence[str]) -> Iterator[Line]:
    """Yields what was journaled and would not be written now (−), and what is new (+)."""
    lines = [line for line in difflib.ndiff(list(before), list(now)) if line[0] in "+-"]
    yield from (Line(f"{'−' if line[0] == '-' else '+'} {line[2:]}", 1) for line in lines)
    if not lines:
        yield Line(words.text("никакого", "none"), 1)


def facts_lines(words: Words, facts: Any) -> Iterator[Line]:
    """Yields the facts that say something, one a line, shortly."""
    if isinstance(facts, Nothing) or not dataclasses.is_dataclass(facts):
        yield Line(brief(words, facts), 1)
        return
    for one in dataclasses.fields(facts):
        value = getattr(facts, one.name)
        text = "" if value in (None, "", (), [], {}, False) else brief(words, value)
        if text not in ("", type(value).__name__):  # the playbook and the like say nothing of this very case
            yield Line(f"{one.name}: {text}", 1)


def brief(words: Words, value: Any) -> str:
    """Returns a value in a few words: an item by its number and title, many things by their count and the first."""
    match value:
        case Nothing():
            return words.reason(value.reason)
        case Item():
            text = f"{value.ref} «{value.title}», {words.person(value.assigned_by_id)}, {value.stage_id}"
        case ItemRef():
            text = str(value)
        case datetime():
            text = words.when(value)
        case Enum():
            text = str(value.value)
        case Mapping() if len(value) == 0:
            text = "—"
        case Mapping():
            text = f"{len(value)}: " + ", ".join(f"{name}: {brief(words, inner)}" for name, inner in value.items())
        case str() | int() | float():
            text = str(value)
        case list() | tuple() | frozenset() | set():
            text = f"{len(value)}: " + ", ".join(brief(words, inner) for inner in value)
        case _ if dataclasses.is_dataclass(value):
            inner = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
            plain = [
                f"{name} {brief(words, part)}" for name, part in inner.items() if isinstance(part, str | int | datetime)
            ]
            text = f"{type(value).__name__} {', '.join(plain)}".strip()
        case _:
            text = type(value).__name__
    return cut(text, VALUE_LENGTH)
