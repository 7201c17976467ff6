"""One claimed delivery through read -> decide -> act -> answer. The only place that survives whatever a step raises.

1. claim the due delivery whose turn it is
2. read the portal (HTTP, no transaction open)
3. in one short write transaction: our own memory, decide, remember, save decision and commands
4. carry out the commands: look up what may have been done, skip what is not needed any more, batch the rest
5. finish: done, or failed with a reason that a person can act on; a waiting robot is answered either way

Temporary      -> postponed until retry_at, nothing is forgotten
PortalClosed   -> postponed too: it works again once an administrator acted
Permanent      -> failed
the database   -> postponed like Temporary; where even that cannot be written, the lease runs out and the clock rings
MemoryError    -> the process ends, as if the kernel had ended it: the next one has memory, and the crash is counted
anything else  -> a mistake of ours: a few tries, then failed; the clock and the other deliveries go on
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from b24app.bitrix import translate
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.commands import (
    KEY_LIFE,
    SMS_SEND,
    Again,
    Answered,
    Check,
    Command,
    Gone,
    Keyed,
    LookUp,
    Once,
    answer_robot,
    classic,
    made_id,
)
from b24app.bitrix.limits import Limits
from b24app.bitrix.portal import Portal
from b24app.crashpoint import crashpoint
from b24app.engine.declare import URGENT, Catalogue, EventCall, Nothing, Robot, RobotCall, TimerCall, Work
from b24app.engine.inbox import Delivery, Inbox, LostLease
from b24app.engine.journal import OPEN, Entry, Journal
from b24app.errors import AccessDenied, B24AppError, NotFound, OutcomeUnknown, Permanent, PortalClosed, Temporary
from b24app.rules.text_message import QuietHours
from b24app.sms.gateway import Later, Message, Refused, Sent, Unknown
from b24app.store import schema
from b24app.store.alarms import clear_alarm, raise_alarm
from b24app.store.database import DATABASE_TROUBLE
from b24app.store.memory import Memory
from b24app.store.portals import RESTORED, learn

log = logging.getLogger(__name__)

BATCH_OF_WRITES = 15
"""Writes of one batch: a 50-command batch at 0.3 s each would come near the 60 s cut, with 50 outcomes unknown."""
ROBOT_PATIENCE = timedelta(minutes=30)
"""A robot that waits longer than this for passing trouble is answered with the reason: its stage must not hang."""
GIVE_UP_AFTER = timedelta(days=7)
MISTAKES_ALLOWED = 5
CLOSED_RETRY = timedelta(minutes=10)
REQUEST_LASTS = timedelta(seconds=61)
"""The cloud cuts a request after 60 s: a look-up before that may miss what a dead worker asked for."""
NEVER_AGAIN = "сделано ли, неизвестно, повторять нельзя / outcome unknown, never repeated"
SMS_ALARM = "sms"
NO_V3_CODES = ("METHODNOTFOUND", "INSUFFICIENTSCOPE")
"""Parts of codes, without underscores: REST 2 and REST 3.0 write them differently (api-reference/rest-v3.md)."""


class Runner:
    """Works on deliveries. `open_portal(member_id, urgent)` gives the portal; `ring(id)` wakes a worker.

    `limits` say where another worker waits for room already: this one works for other portals then.
    """

    def __init__(
        self,
        inbox: Inbox,
        catalogue: Catalogue,
        open_portal: Callable[[str, bool], Portal],
        ring: Callable[[int], None],
        limits: Limits,
    ) -> None:
        self.inbox = inbox
        self.journal = Journal(inbox)
        self.database = inbox.database
        self.catalogue = catalogue
        self.open_portal = open_portal
        self.ring = ring
        self.limits = limits

    def run_next(self) -> bool:
        """Works on the due delivery whose turn it is; False when there is none."""
        delivery = self.inbox.claim(self.limits.full())
        if delivery is None:
            return False
        crashpoint("after_claim")
        started = datetime.now(UTC)
        try:
            with self.limits.waiting(delivery.member_id, urgent=delivery.priority <= URGENT):
                outcome = self._work(delivery)
        except LostLease:
            outcome = "lost: another worker has it"
        except Temporary as trouble:
            outcome = self._postpone(delivery, trouble)
        except PortalClosed as trouble:
            outcome = self._postpone(
                delivery, Temporary(trouble.reason, retry_at=started + CLOSED_RETRY, code=trouble.code)
            )
        except Permanent as trouble:
            outcome = self._fail(delivery, trouble.reason)
        except DATABASE_TROUBLE as trouble:
            log.warning("delivery=%s database=%s", delivery.id, type(trouble).__name__)
            outcome = self._postpone(delivery, Temporary("база данных не отвечала / the database did not answer"))
        except MemoryError:
            log.critical("delivery=%s memory=none", delivery.id)
            os._exit(1)
        except Exception as mistake:  # a mistake of ours must not stop the deliveries behind it
            log.exception("delivery=%s code=%s mistake", delivery.id, delivery.code)
            outcome = self._after_mistake(delivery, mistake)
        log.info(
            "delivery=%s portal=%s code=%s entity=%s attempt=%s outcome=%r ms=%d",
            delivery.id,
            delivery.member_id,
            delivery.code,
            delivery.entity,
            delivery.attempt,
            outcome,
            (datetime.now(UTC) - started).total_seconds() * 1000,
        )
        return True

    # step 2 and 3

    def _work(self, delivery: Delivery) -> str:
        if delivery.taken_over:
            self._let_the_portal_end(delivery)
        portal = self.open_portal(delivery.member_id, delivery.priority <= URGENT)
        portal.rest.before_sending = self.inbox.holder(delivery)
        if delivery.failure is not None:
            self._owe_answer(delivery, delivery.failure)
        elif delivery.decision is None:
            work, call = self._resolve(delivery)
            if work is None:
                raise Permanent(f"неизвестный код {delivery.code} / unknown code")
            facts = work.read(portal, call)
            crashpoint("after_read")
            nothing = self._decide(delivery, work, call, facts, in_doubt=_in_doubt(delivery, portal))
            crashpoint("after_decision")
            if nothing is not None and not (isinstance(call, RobotCall) and call.waits):
                self._ring_next(delivery)
                return f"nothing: {nothing.reason}"
        self._carry_out(delivery, portal)
        crashpoint("before_finish")
        return self._finish(delivery)

    def _resolve(self, delivery: Delivery) -> tuple[Work | None, RobotCall | EventCall | TimerCall]:
        payload = delivery.payload
        match delivery.kind:
            case "robot":
                item = translate.document_item(payload.get("document_id"))
                if item is None:
                    raise Permanent(f"не элемент CRM / not a CRM item: {payload.get('document_id')}")
                robot = self.catalogue.robot(delivery.code)
                if robot is not None and item.entity_type_id not in robot.entity_type_ids:
                    raise Permanent(f"робот не для этого типа элементов / not for items of this type: {item}")
                return robot, RobotCall(
                    member_id=delivery.member_id,
                    code=delivery.code,
                    item=item,
                    event_token=str(payload.get("event_token", "")),
                    properties=payload.get("properties") or {},
                    workflow_id=str(payload.get("workflow_id", "")),
                    waits=payload.get("use_subscription") != "N",
                    timeout_seconds=int(payload.get("timeout_duration") or 0),
                )
            case "event":
                return self.catalogue.handler(delivery.code), EventCall(
                    delivery.member_id,
                    delivery.code,
                    payload.get("data") or {},
                    delivery.received_at,
                    int(payload.get("looks") or 0),
                )
            case _:
                return self.catalogue.timer(delivery.code), TimerCall(
                    delivery.member_id, delivery.code, delivery.entity, payload
                )

    def _decide(
        self, delivery: Delivery, work: Work, call: Any, facts: Any, *, in_doubt: bool = False
    ) -> Nothing | None:
        """Decides, remembers and saves in one transaction; Nothing ends the delivery there, unless a robot waits."""
        with self.database.write() as connection:
            self.database.serialise(connection, f"decide:{delivery.member_id}")
            now = datetime.now(UTC)  # after the wait: turns are given in the order of these moments
            self.inbox.write_back(connection, delivery, lease_until=now + self.inbox.lease)
            memory = Memory(self.database, connection, delivery.member_id, now, delivery.id)
            if work.recall is not None and not isinstance(facts, Nothing):
                facts = work.recall(memory, facts)
            decision = facts if isinstance(facts, Nothing) else work.decide(facts)
            if isinstance(decision, Nothing):
                self._end_with_nothing(connection, delivery, call, decision)
            else:
                self._save(connection, memory, delivery, work, call, decision, in_doubt=in_doubt)
        for id in memory.new_deliveries:
            self.ring(id)
        return decision if isinstance(decision, Nothing) else None

    def _save(
        self,
        connection: sa.Connection,
        memory: Memory,
        delivery: Delivery,
        work: Work,
        call: Any,
        decision: Any,
        *,
        in_doubt: bool,
    ) -> None:
        if work.remember is not None:
            work.remember(memory, decision)
        planned = list(work.act(decision))
        if isinstance(work, Robot) and isinstance(call, RobotCall) and call.waits:
            reply = work.answer(decision)
            planned.append(answer_robot(call.event_token, reply.values, reply.log, instead=reply.instead))
        self.journal.write(connection, delivery.id, planned, in_doubt=in_doubt)
        saved = TypeAdapter(work.decision).dump_python(decision, mode="json")
        self.inbox.write_back(connection, delivery, decision=saved, decided_at=memory.now)

    def _end_with_nothing(self, connection: sa.Connection, delivery: Delivery, call: Any, nothing: Nothing) -> None:
        if isinstance(call, RobotCall) and call.waits:
            self.journal.write(connection, delivery.id, [answer_robot(call.event_token, {}, nothing.reason)])
            self.inbox.write_back(connection, delivery, decision={"nothing": nothing.reason})
        else:
            self.inbox.finish(connection, delivery, "done", nothing.reason)

    # step 4

    def _carry_out(self, delivery: Delivery, portal: Portal) -> None:
        while True:
            entries = self.journal.entries(delivery.id)
            waiting = [entry for entry in entries.values() if entry.state in OPEN]
            if not waiting:
                return
            unknown = [entry for entry in waiting if entry.state == "sent"]
            if unknown:
                self._resolve_unknown(delivery, portal, unknown)
                continue
            stale = _stale_checks(waiting, entries)
            if stale:
                self.journal.settle(delivery, {entry.id: {"state": "written"} for entry in stale})
                continue
            skipped = {entry.id: reason for entry in waiting if (reason := _not_needed(entry, entries))}
            if skipped:
                self.journal.settle(delivery, {id: {"state": "skipped", "reason": why} for id, why in skipped.items()})
                continue
            group = _next_group(waiting, portal.rest_v3)
            if _is_sms(group[0].command):
                self._send_sms(delivery, portal, group[0])
            elif _effective(group[0].command, portal.rest_v3).call.v3:
                self._send_one(delivery, portal, group[0], entries)
            else:
                self._send_batch(delivery, portal, group, entries)
            crashpoint("after_store")

    def _send_batch(
        self, delivery: Delivery, portal: Portal, group: Sequence[Entry], entries: Mapping[str, Entry]
    ) -> None:
        here = {entry.label for entry in group}
        calls = {}
        for entry in group:
            command = _effective(_honest(entry.command, entries), portal.rest_v3)
            params = _fill(command.call.params, entries, here, portal.rest_v3)
            calls[entry.label] = Call(command.call.method, params)
        sent = {entry.label: entry for entry in self.journal.mark_sent(delivery, group)}
        crashpoint("before_send")
        try:
            answers = portal.rest.batch(calls, halt=True)
        except OutcomeUnknown:
            raise
        except (Temporary, Permanent):
            self.journal.settle(delivery, {entry.id: {"state": "written"} for entry in group})
            raise
        crashpoint("after_send")
        changes: dict[int, dict[str, Any]] = {}
        later: Temporary | None = None
        missed_checks = {
            entry.label
            for entry in group
            if isinstance(entry.command.again, Check)
            and isinstance(answer := answers.get(entry.label), Answer)
            and not translate.rows(answer.result, "items")
        }
        for label, entry in sent.items():
            answer = answers.get(label)
            again = entry.command.again
            if isinstance(again, Check) and label in missed_checks:
                changes[entry.id] = {"state": "skipped", "reason": again.reason}
            elif missed_checks.intersection(entry.command.needs):
                changes[entry.id] = {"state": "written"}  # the next round skips it, with the reason of what it needs
            else:
                changes[entry.id], trouble = _outcome(entry, answer)
                later = later or trouble
        self.journal.settle(delivery, changes)
        if later is not None:
            raise later

    def _send_one(self, delivery: Delivery, portal: Portal, entry: Entry, entries: Mapping[str, Entry]) -> None:
        params = _fill(entry.command.call.params, entries, set(), portal.rest_v3)
        call = replace(entry.command.call, params=params)
        (sent,) = self.journal.mark_sent(delivery, [entry])
        crashpoint("before_send")
        answer: Answer | B24AppError
        try:
            answer = portal.rest.call(call, idempotency_key=_key(delivery, sent))
        except OutcomeUnknown:
            raise
        except (Temporary, PortalClosed):
            self.journal.settle(delivery, {entry.id: {"state": "written"}})
            raise
        except Permanent as refusal:
            if "IDEMPOTENCYKEYREUSED" in refusal.code.upper():
                # The portal knows the key with another body (it may count the token in): the first one arrived.
                self._look_up(delivery, portal, [sent])
                return
            if entry.command.otherwise is not None and _lacks_v3(refusal):
                learn(self.database, delivery.member_id, {"rest_v3": False})
                portal.facts = {**portal.facts, "rest_v3": False}
                self.journal.settle(delivery, {entry.id: {"state": "written"}})
                return
            answer = refusal
        crashpoint("after_send")
        change, later = _outcome(sent, answer)
        self.journal.settle(delivery, {entry.id: change})
        if later is not None:
            raise later

    def _send_sms(self, delivery: Delivery, portal: Portal, entry: Entry) -> None:
        """Hands one message to the gateway, after it was marked as sent: whatever happens then, it never goes twice."""
        params, now = entry.command.call.params, datetime.now(UTC)
        until = datetime.fromisoformat(params["until"])
        if params["quiet"] is not None:
            allowed = QuietHours.of(*params["quiet"]).next_allowed(now)
            if now < allowed <= until:
                raise Temporary("у получателя тихие часы / quiet hours", retry_at=allowed)
            if allowed > until:
                self._refuse_sms(delivery, entry, "до тихих часов не успели / the quiet hours began")
                return
        if now > until:
            why = f": {entry.reason}" if entry.reason else ""
            self._refuse_sms(delivery, entry, f"не ушло вовремя{why} / not sent in time")
            return
        (sent,) = self.journal.mark_sent(delivery, [entry])
        crashpoint("before_send")
        outcome = portal.sms.send(Message(params["phone"], params["text"], _key(delivery, sent)[:32]))
        crashpoint("after_send")
        match outcome:
            case Sent(id=id):
                self.journal.settle(delivery, {entry.id: {"state": "done", "result": {"sms": id}, "reason": None}})
            case Refused(reason=reason):
                self._refuse_sms(delivery, entry, reason)
            case Unknown(reason=reason):
                self.journal.settle(delivery, {entry.id: {"state": "unknown", "reason": f"{reason}; {NEVER_AGAIN}"}})
            case Later(reason=reason):
                unsent = {"state": "written", "first_sent_at": None, "reason": reason}
                self.journal.settle(delivery, {entry.id: unsent})
        self._tell_of_gateway(delivery.member_id, outcome)
        if isinstance(outcome, Later):
            raise Temporary(outcome.reason, retry_at=outcome.retry_at)

    def _refuse_sms(self, delivery: Delivery, entry: Entry, reason: str) -> None:
        self.journal.settle(delivery, {entry.id: {"state": "failed", "reason": reason}})

    def _tell_of_gateway(self, member_id: str, outcome: Sent | Refused | Unknown | Later) -> None:
        """Keeps in sight that the gateway takes no message; the next one that is taken ends the alarm."""
        if isinstance(outcome, Sent):
            clear_alarm(self.database, member_id, SMS_ALARM)
        elif not isinstance(outcome, Refused) or outcome.whole:
            raise_alarm(
                self.database,
                member_id,
                SMS_ALARM,
                f"SMS не уходят: {outcome.reason}. Проверьте раздел [sms] и баланс у шлюза.",
                f"No SMS goes out: {outcome.reason}. Check [sms] and the balance at the gateway.",
            )

    def _resolve_unknown(self, delivery: Delivery, portal: Portal, unknown: Sequence[Entry]) -> None:
        now = datetime.now(UTC)
        changes: dict[int, dict[str, Any]] = {}
        to_look_up = []
        for entry in unknown:
            again = entry.command.again
            keyed = isinstance(again, Keyed)
            key_lives = keyed and portal.rest_v3 and entry.first_sent_at and now - entry.first_sent_at < KEY_LIFE
            if isinstance(again, Once):
                changes[entry.id] = {"state": "unknown", "reason": f"ответа не было; {NEVER_AGAIN}"}
            elif isinstance(again, LookUp) or (keyed and not key_lives):
                to_look_up.append(entry)
            else:
                changes[entry.id] = {"state": "written"}
        self.journal.settle(delivery, changes)
        if to_look_up:
            self._look_up(delivery, portal, to_look_up)

    def _let_the_portal_end(self, delivery: Delivery) -> None:
        """Postpones what a dead worker asked for: the portal may still be at it, and would do it twice.

        It may have left at any moment until now: the journal has the first attempt's time, and a request waits for room
        before it leaves.
        """
        entries = self.journal.entries(delivery.id).values()
        if any(entry.state == "sent" and isinstance(entry.command.again, LookUp | Keyed) for entry in entries):
            reason = "портал, может быть, ещё выполняет прежний запрос / the portal may still be at the former request"
            raise Temporary.after(reason, REQUEST_LASTS)

    def _look_up(self, delivery: Delivery, portal: Portal, unknown: Sequence[Entry]) -> None:
        """Asks the portal which of these were done; the others wait to be sent again.

        What hangs on an item that is itself unknown is asked about in the next round, once that one is known.
        """
        entries = self.journal.entries(delivery.id)
        ways: dict[str, Again] = {}
        changes: dict[int, dict[str, Any]] = {}
        for entry in unknown:
            again = entry.command.again
            way = again.look_up if isinstance(again, Keyed) else again
            makers = {entries[label].state for label in _refs(way.read.params if isinstance(way, LookUp) else None)}
            if makers <= {"done"}:
                ways[entry.label] = way
            elif "sent" not in makers:
                changes[entry.id] = {"state": "written", "first_sent_at": None}  # its item was never made
        reads = {
            label: replace(way.read, params=_fill(way.read.params, entries, set(), portal.rest_v3))
            for label, way in ways.items()
            if isinstance(way, LookUp)
        }
        answers = portal.rest.gather(reads) if reads else {}
        for entry in unknown:
            if entry.label not in ways:
                continue
            asked, answer = ways[entry.label], answers.get(entry.label)
            if isinstance(answer, NotFound):
                changes[entry.id] = {"state": "written"}
                continue
            if not isinstance(answer, Answer) or not isinstance(asked, LookUp):
                raise answer if isinstance(answer, B24AppError) else Permanent(f"нет ответа / no answer: {entry.label}")
            id = _find(answer.result, asked)
            if id is None:
                changes[entry.id] = {"state": "written", "first_sent_at": None}
            else:
                changes[entry.id] = {
                    "state": "done",
                    "result": {"id": id},
                    "reason": "найдено на портале / found there",
                }
        self.journal.settle(delivery, changes)

    # step 5

    def _finish(self, delivery: Delivery) -> str:
        entries = self.journal.entries(delivery.id).values()
        failures = [f"{entry.label}: {entry.reason}" for entry in entries if entry.state in ("failed", "unknown")]
        if delivery.failure is not None:
            failures.insert(0, delivery.failure)
        overtaken = [e for e in entries if e.state == "skipped" and isinstance(e.command.again, Check)]
        with self.database.write() as connection:
            if failures:
                self.inbox.finish(connection, delivery, "failed", "; ".join(failures))
            else:
                self.inbox.finish(connection, delivery, "done", "; ".join(entry.reason for entry in overtaken))
            memory = Memory(self.database, connection, delivery.member_id, delivery_id=delivery.id)
            if overtaken:
                self._look_again(connection, memory, delivery)
        for id in memory.new_deliveries:
            self.ring(id)
        self._ring_next(delivery)
        return f"failed: {'; '.join(failures)}" if failures else "done"

    @staticmethod
    def _look_again(connection: sa.Connection, memory: Memory, delivery: Delivery) -> None:
        """A person was faster: the reason is open again, and a new delivery decides with what stands there now.

        A robot was answered already, and its stage goes on: there only the turn is given back.
        """
        table = schema.assignments
        connection.execute(sa.delete(table).where(table.c.delivery_id == delivery.id))
        looks = int(delivery.payload.get("looks") or 0) + 1
        if looks <= 3 and delivery.kind != "robot":
            memory.deliver(
                kind=delivery.kind,
                code=delivery.code,
                entity=delivery.entity,
                payload={**delivery.payload, "looks": looks},
                priority=delivery.priority,
            )

    def _ring_next(self, delivery: Delivery) -> None:
        """Wakes a worker for the next delivery of the same entity: its own ring found it blocked by this one."""
        table = schema.deliveries
        with self.database.read() as connection:
            following = connection.execute(
                sa.select(table.c.id)
                .where(
                    table.c.member_id == delivery.member_id,
                    table.c.entity == delivery.entity,
                    table.c.state == "waiting",
                    table.c.id > delivery.id,
                )
                .limit(1)
            ).scalar_one_or_none()
        if following is not None:
            self.ring(following)

    # what went wrong

    def _postpone(self, delivery: Delivery, trouble: Temporary) -> str:
        now = datetime.now(UTC)
        age = now - delivery.received_at
        patience = ROBOT_PATIENCE if delivery.kind == "robot" and delivery.failure is None else GIVE_UP_AFTER
        if age > patience:
            return self._fail(delivery, f"не удалось за {age}: {trouble.reason}")
        backoff = timedelta(seconds=min(300, 2 ** min(delivery.attempt, 9)) * random.uniform(0.75, 1.25))  # noqa: S311
        retry_at = trouble.retry_at or now + backoff
        try:
            self.inbox.postpone(delivery, retry_at, trouble.reason)
        except LostLease:
            return "lost: another worker has it"
        return f"postponed to {retry_at:%H:%M:%S}: {trouble.reason}"

    def _after_mistake(self, delivery: Delivery, mistake: Exception) -> str:
        reason = f"ошибка программы / mistake in the program: {type(mistake).__name__}"
        if delivery.attempt >= MISTAKES_ALLOWED:
            return self._fail(delivery, reason)
        return self._postpone(delivery, Temporary(reason))

    def _fail(self, delivery: Delivery, reason: str) -> str:
        """Ends the delivery for good; where a robot waits for our answer, it gets the reason first."""
        owes = _waits(delivery) and delivery.failure is None
        try:
            with self.database.write() as connection:
                if owes:
                    self.inbox.write_back(
                        connection, delivery, state="waiting", due_at=datetime.now(UTC), failure=reason, reason=reason
                    )
                else:
                    self.inbox.finish(connection, delivery, "failed", reason)
        except LostLease:
            return "lost: another worker has it"
        if owes:
            self.ring(delivery.id)
        else:
            self._ring_next(delivery)
        return f"failed: {reason}"

    def _owe_answer(self, delivery: Delivery, reason: str) -> None:
        """Leaves only the answer to be sent, with the reason for the workflow's log."""
        entries = self.journal.entries(delivery.id)
        doubted = {e.label for e in entries.values() if isinstance(e.command.again, Once) and e.state == "sent"}
        given_up = {
            entry.id: {"state": "skipped", "reason": reason}
            for entry in entries.values()
            if entry.state in OPEN
            and entry.label not in ("answer", "answer_failure", *doubted)
            and not (entry.command.after and entry.command.after.label in doubted)  # the task to look into it
        }
        self.journal.settle(delivery, given_up)
        if _waits(delivery) and not {"answer", "answer_failure"}.intersection(entries):
            token = str(delivery.payload.get("event_token", ""))
            with self.database.write() as connection:
                command = answer_robot(token, {}, f"Не выполнено: {reason}", label="answer_failure")
                self.journal.write(connection, delivery.id, [command])
                self.inbox.write_back(connection, delivery, lease_until=datetime.now(UTC) + self.inbox.lease)


def _waits(delivery: Delivery) -> bool:
    """Tells whether a stage waits for our answer."""
    return delivery.kind == "robot" and delivery.payload.get("use_subscription") != "N"


def _in_doubt(delivery: Delivery, portal: Portal) -> bool:
    """Tells whether it came before an older copy of the database was put back: it may have been worked on since."""
    restored_at = portal.facts.get(RESTORED)
    return restored_at is not None and delivery.received_at < datetime.fromisoformat(restored_at)


def _stale_checks(waiting: Sequence[Entry], entries: Mapping[str, Entry]) -> list[Entry]:
    """Checks that held in an earlier round, while what they allow was not done yet: a person may have acted since."""
    needed = {label for entry in waiting for label in entry.command.needs}
    return [
        entry
        for label, entry in entries.items()
        if label in needed and entry.state == "done" and isinstance(entry.command.again, Check)
    ]


def _refs(value: Any) -> set[str]:
    """Returns the labels whose ids these parameters stand for."""
    if isinstance(value, Mapping):
        return {value["$ref"]} if "$ref" in value else set().union(*(_refs(inner) for inner in value.values()))
    return set().union(*(_refs(inner) for inner in value)) if isinstance(value, list | tuple) else set()


def _effective(command: Command, rest_v3: bool) -> Command:
    return command if rest_v3 else classic(command)


def _next_group(waiting: Sequence[Entry], rest_v3: bool) -> list[Entry]:
    """The commands that leave together: one REST 3.0 call, or the classic ones up to the next REST 3.0 call."""
    group: list[Entry] = []
    for entry in waiting:
        if _is_sms(entry.command) or _effective(entry.command, rest_v3).call.v3:
            return group or [entry]
        group.append(entry)
        if len(group) == BATCH_OF_WRITES:
            break
    return group


def _is_sms(command: Command) -> bool:
    return command.call.method == SMS_SEND


def _not_needed(entry: Entry, entries: Mapping[str, Entry]) -> str:
    """Says why a command is not needed: what it needs was not done, or what it is there for did not happen."""
    for label in entry.command.needs:
        needed = entries[label]
        if needed.state in ("skipped", "failed", "unknown"):
            return needed.reason or f"{label}: {needed.state}"
    after = entry.command.after
    if after is not None and (state := entries[after.label].state) not in (*OPEN, after.state):
        return f"{after.label}: {state}"
    return ""


def _honest(command: Command, entries: Mapping[str, Entry]) -> Command:
    """A robot's answer does not claim what the portal refused."""
    undone = [
        entry
        for entry in entries.values()
        if entry.state in ("failed", "unknown") or (entry.state == "skipped" and entry.command.after is None)
    ]
    if command.call.method != "bizproc.event.send" or not undone:
        return command
    params = dict(command.call.params)
    reasons = dict.fromkeys(entry.reason for entry in undone)
    params["LOG_MESSAGE"] = f"{params['LOG_MESSAGE']}\nНе выполнено: {'; '.join(reasons)}"
    for entry in undone:
        params["RETURN_VALUES"] = {**params["RETURN_VALUES"], **command.instead.get(entry.label, {})}
    return replace(command, call=replace(command.call, params=params))


def _fill(value: Any, entries: Mapping[str, Entry], here: set[str], rest_v3: bool) -> Any:
    """Puts ids in the place of refs: from the journal, or batch's own $result where the maker is in the same batch."""
    if isinstance(value, Mapping):
        if "$reason" in value:
            return f"{value['$before']}{entries[value['$reason']].reason}{value['$after']}"
        if "$ref" in value:
            label, prefix = value["$ref"], value.get("$prefix", "")
            maker = entries[label]
            if label in here:
                return prefix + _stand_in(label, _effective(maker.command, rest_v3).call.method)
            id = made_id(maker.command.call.method, maker.result)
            if id is None:
                raise Permanent(f"нет id от команды {label} / no id from the command")
            return f"{prefix}{id}" if prefix else id
        return {key: _fill(inner, entries, here, rest_v3) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(inner, entries, here, rest_v3) for inner in value]
    return value


def _stand_in(label: str, method: str) -> str:
    paths = {
        "crm.item.list": "[items][0][id]",
        "crm.item.add": "[item][id]",
        "crm.item.update": "[item][id]",
        "tasks.task.add": "[task][id]",
    }
    return f"$result[{label}]{paths.get(method, '')}"


def _outcome(entry: Entry, answer: Answer | B24AppError | None) -> tuple[dict[str, Any], Temporary | None]:
    """Returns what to journal, and the passing trouble to raise once everything is journaled."""
    match answer:
        case None:
            return {"state": "written"}, None  # the batch stopped before it
        case Answer():
            return {"state": "done", "result": answer.result, "reason": None}, None
        case OutcomeUnknown():
            return {"state": "sent"}, answer
        case Temporary():
            return {"state": "written"}, answer
        case AccessDenied(code=code) if isinstance(entry.command.again, Answered) and code.upper() == "ACCESS_DENIED":
            return {"state": "done", "reason": "ответа уже никто не ждёт / nobody waits any more"}, None
        case Permanent() if isinstance(entry.command.again, Gone):
            return {"state": "done", "reason": f"портал отказал, значит уже нет / not there: {answer.reason}"}, None
        case Permanent():
            return {"state": "failed", "reason": answer.reason}, None
        case _:
            return {"state": "failed", "reason": str(answer)}, None


def _find(result: Any, way: LookUp) -> int | None:
    for key in ("items", "tasks", ""):
        for row in translate.rows(result, key):
            fields = {str(name).lower(): value for name, value in row.items()}
            text = str(fields.get(way.field.lower(), ""))
            if (way.marker == text) if way.exact else (way.marker in text):
                return translate.number(fields.get("id"))
    return None


def _key(delivery: Delivery, entry: Entry) -> str:
    """The Idempotency-Key of this very effect: kept by every attempt, new after a look-up that found nothing."""
    text = f"{delivery.member_id}:{delivery.id}:{delivery.received_at}:{entry.id}:{entry.first_sent_at}"
    return hashlib.sha256(text.encode()).hexdigest()


def _lacks_v3(refusal: Permanent) -> bool:
    code = refusal.code.upper().replace("_", "")
    return any(known in code for known in NO_V3_CODES)
