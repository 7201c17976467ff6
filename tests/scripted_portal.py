"""A portal in a few functions: what tests of rules, handlers and the engine stand on. No network.

`ScriptedRest` is the only fake: a plain object with `call`, `batch` and `gather`, answered by a function of the test.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.commands import Command
from b24app.bitrix.limits import Full
from b24app.bitrix.portal import Portal
from b24app.distribution import Situation, Team
from b24app.engine.declare import Catalogue
from b24app.engine.inbox import Inbox
from b24app.engine.run import Runner
from b24app.entities import LEAD, Clock, Item, ItemRef, User
from b24app.errors import B24AppError, OutcomeUnknown
from b24app.playbook import Playbook, parse_playbook
from b24app.rules.assignment import Policy
from b24app.rules.working_time import WorkCalendar
from b24app.store.database import Database
from b24app.store.portals import install_portal

MEMBER = "a223c6b9410f85df78e9377d6c4f7213"
OWNER = 1
HEAD, ANNA, BORIS, VERA = 2, 11, 12, 13
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
"""A Monday, ten o'clock in Moscow."""
NAMES = {HEAD: "Глава", ANNA: "Анна", BORIS: "Борис", VERA: "Вера"}
PLAYBOOK = parse_playbook('name = "Тест"\n[hours]\ncountry = ""\n', "test")

Answering = Callable[[Call], Any]


def user(id: int, **changes: Any) -> User:
    return User(**{"id": id, "name": NAMES.get(id, f"#{id}"), "department_ids": (5,), **changes})


def lead(id: int = 42, **changes: Any) -> Item:
    """A lead made by telephony a moment ago: its creator and responsible is the line's employee."""
    return Item(
        **{
            "ref": ItemRef(LEAD, id),
            "title": "Входящий звонок",
            "assigned_by_id": 9,
            "created_by_id": 9,
            "created_at": NOW - timedelta(seconds=20),
            "stage_id": "NEW",
            "source_id": "CALL",
            "phones": ("79123456789",),
            **changes,
        }
    )


def situation(*, playbook: Playbook = PLAYBOOK, clocks: Mapping[int, Clock] | None = None, **changes: Any) -> Situation:
    """Anna, Boris and Vera at work, nobody on a call; the head is no candidate."""
    open_clocks = dict.fromkeys((ANNA, BORIS, VERA), Clock.OPENED) if clocks is None else clocks
    policy = changes.pop("policy", None) or playbook.assignment.policy()
    return Situation(
        **{
            "now": NOW,
            "team": Team(
                queue="department:Продажи",
                users=(user(ANNA), user(BORIS), user(VERA)),
                head=user(HEAD),
                fallback=None,
                hours=WorkCalendar(),
                sources={"WEBFORM": "CRM-форма", "EMAIL": "Электронная почта"},
            ),
            "policy": policy,
            "playbook": playbook,
            "clocks": {id: (clock, NOW) for id, clock in open_clocks.items()},
            "intervals": {},
            "loads": {},
            "users_now": {},
            "owner_id": OWNER,
            "card_base": "https://acme.bitrix24.ru",
            "app_link": "/marketplace/view/local.1/",
            "simple_mode": False,
            **changes,
        }
    )


def nobody_free(when_nobody: str = "head") -> Situation:
    clocks = dict.fromkeys((ANNA, BORIS, VERA), Clock.PAUSED)
    return situation(clocks=clocks, policy=Policy(when_nobody=when_nobody))  # type: ignore[arg-type]


def shape(commands: list[Command]) -> list[tuple[str, str, dict[str, Any], str, tuple[str, ...]]]:
    """Returns commands as plain values: label, method (3: REST 3.0), params, how it is known again, needs."""
    return [
        (c.label, c.call.method + (" v3" if c.call.v3 else ""), dict(c.call.params), c.again.kind, c.needs)
        for c in commands
    ]


_REFERENCE = re.compile(r"^([A-Z]{0,2}_?)\$result\[(\w+)\]((?:\[\w+\])*)$")


class Roomy:
    """Limits of portals in which there is room always."""

    def full(self) -> Full:
        return Full()

    def waiting(self, member_id: str, *, urgent: bool) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass
class ScriptedRest:
    """Answers every call by `answer(call)`: a result, or an error to be given (in a batch) or raised (alone)."""

    answer: Answering
    requests: list[list[Call]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    before: Callable[[list[Call]], None] = lambda _: None
    after: Callable[[list[Call]], None] = lambda _: None
    before_sending: Callable[[], None] = lambda: None
    limits: Roomy = field(default_factory=Roomy)

    @property
    def sent(self) -> list[str]:
        """Every method that was asked, in order."""
        return [call.method for request in self.requests for call in request]

    def writes(self) -> list[Call]:
        reading = (".get", ".list", ".status", ".findbycomm")
        return [call for request in self.requests for call in request if not call.method.endswith(reading)]

    def call(self, call: Call, idempotency_key: str | None = None, *, reading: bool = False) -> Answer:
        self.keys.append(idempotency_key)
        self._begin([call])
        got = self.answer(call)
        self.after([call])
        if isinstance(got, B24AppError):
            raise got
        return _answered(got)

    def batch(
        self, calls: Mapping[str, Call], *, halt: bool = False, reading: bool = False
    ) -> dict[str, Answer | B24AppError]:
        assert len(calls) <= 50
        done: list[Call] = []
        results: dict[str, Any] = {}
        outcome: dict[str, Answer | B24AppError] = {}
        self._begin([])
        for label, call in calls.items():
            assert not call.v3
            filled = Call(call.method, _resolve(call.params, results))
            done.append(filled)
            self.requests[-1].append(filled)
            got = self.answer(filled)
            if isinstance(got, B24AppError):
                outcome[label] = got
                if halt:
                    break
            else:
                outcome[label] = _answered(got)
                results[label] = outcome[label].result  # type: ignore[union-attr]
        self.after(done)
        return outcome

    def gather(self, calls: Mapping[str, Call]) -> dict[str, Answer | B24AppError]:
        labels = list(calls)
        found: dict[str, Answer | B24AppError] = {}
        for start in range(0, len(labels), 50):
            found |= self.batch({label: calls[label] for label in labels[start : start + 50]}, reading=True)
        return found

    def _begin(self, calls: list[Call]) -> None:
        self.before_sending()
        self.before(calls)
        self.requests.append(list(calls))


def _answered(got: Any) -> Answer:
    return copy.deepcopy(got if isinstance(got, Answer) else Answer(got, datetime.now(UTC)))


def _resolve(value: Any, results: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _resolve(inner, results) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_resolve(inner, results) for inner in value]
    found = _REFERENCE.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    part = results.get(found[2], {})
    for step in re.findall(r"\[(\w+)\]", found[3]):
        try:
            part = part[int(step)] if isinstance(part, list) else part[step]
        except (LookupError, TypeError):
            part = ""
    return f"{found[1]}{part}" if found[1] else part


def cut() -> OutcomeUnknown:
    """The connection broke after the request had gone."""
    return OutcomeUnknown.after("связь оборвалась", timedelta(0))


@dataclass
class Bench:
    """An inbox with a runner over a scripted portal."""

    database: Database
    rest: ScriptedRest
    catalogue: Catalogue
    playbook: Playbook = PLAYBOOK
    facts: dict[str, Any] = field(default_factory=dict)
    rung: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        install_portal(
            self.database,
            member_id=MEMBER,
            client_id="local.1",
            host="acme.bitrix24.ru",
            client_endpoint="https://acme.bitrix24.ru/rest/",
            application_token_digest="digest",
            user_id=OWNER,
        )
        self.inbox = Inbox(self.database)
        self.runner = Runner(self.inbox, self.catalogue, self.open_portal, self.rung.append, self.rest.limits)

    def open_portal(self, member_id: str, urgent: bool = False) -> Portal:
        return Portal(
            member_id=member_id,
            client_id="local.1",
            url="https://acme.bitrix24.ru",
            public_url="https://app.example.ru",
            owner_id=OWNER,
            facts=dict(self.facts),
            playbook=self.playbook,
            rest=self.rest,  # type: ignore[arg-type]
            database=self.database,
        )

    def event(self, code: str, entity: str, data: Mapping[str, Any], **more: Any) -> int | None:
        return self.inbox.record(
            member_id=MEMBER,
            kind="event",
            code=code,
            entity=entity,
            payload={"event": code, "data": dict(data), "ts": 1},
            priority=more.pop("priority", 50),
            **more,
        )

    def robot(self, code: str, entity: str = "lead:42", **payload: Any) -> int | None:
        body = {
            "code": code,
            "document_id": ["crm", "CCrmDocumentLead", "LEAD_42"],
            "event_token": "tok.1",
            "properties": {},
            "use_subscription": "Y",
            **payload,
        }
        return self.inbox.record(
            member_id=MEMBER, kind="robot", code=code, entity=entity, payload=body, priority=50, unique_key=None
        )

    def run(self, limit: int = 30) -> int:
        """Works until nothing is due; returns how many deliveries were worked on."""
        count = 0
        while self.runner.run_next():
            count += 1
            assert count <= limit, "it does not come to an end"
        return count
