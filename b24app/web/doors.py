"""The doors that Bitrix24's queue knocks at: events and robots. A row in the database first, then 200, then the bell.

Nothing here asks the portal anything, except where an installation or an update must be proved (the authorization
server) before it is believed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from b24app.bitrix.oauth import token_digest
from b24app.engine.declare import NORMAL, EventCall
from b24app.errors import Malformed, Rejected
from b24app.services import Services
from b24app.store.memory import robot_key
from b24app.store.portals import StorageDown, change_application_token
from b24app.web.gate import NOT_OURS, Gate, Proofs, pair_of
from b24app.web.incoming import MAX_ENTITY_LENGTH, Auth, EventPost, read_event, read_robot
from install import removal
from install.carry_out import admit, bring_in_line, is_ready, owe, prove

log = logging.getLogger(__name__)

RETRY_DELAYS = (timedelta(), timedelta(seconds=10), timedelta(seconds=60))
PAUSE_SECONDS = 10.0

After = Callable[[], None]


def nothing() -> None:
    """Done after an answer that leaves nothing to do."""


@dataclass(frozen=True)
class Accepted:
    """The answer is 200; `after` runs once Bitrix24 has it."""

    word: str
    after: After = nothing


class Doors:
    """What POST /event and POST /robot/<code> do, free of any web framework. Errors are b24app.errors."""

    def __init__(self, services: Services, gate: Gate, proofs: Proofs) -> None:
        self._services = services
        self._gate = gate
        self._proofs = proofs
        self._handlers = {handler.event: handler for handler in services.catalogue.handlers}
        self._priorities = {robot.code: robot.priority for robot in services.catalogue.robots}
        self.unknown: Counter[str] = Counter()
        """Events that nobody handles, by name, since this process started."""
        self._asked_again: dict[str, bool] = {}
        """The portals that are being brought in line, and whether it was asked for again meanwhile."""
        self._lock = threading.Lock()

    def event(self, body: bytes) -> Accepted:
        """Accepts an event: kept for a worker, or the application's own life (install, update, uninstall)."""
        post = read_event(body)
        match post.event:
            case "ONAPPINSTALL":
                return self._installed(post.auth)
            case "ONAPPUPDATE":
                return self._updated(post.auth)
        portal = self._gate.check(post.auth)
        if post.event == "ONAPPUNINSTALL":
            return self._uninstalled(post)
        handler = self._handlers.get(post.event)
        if handler is None:
            if len(self.unknown) < 200 or post.event in self.unknown:
                self.unknown[post.event] += 1
            log.info("portal=%s event=%s state=unknown", portal.member_id, post.event)
            return Accepted("unknown")
        try:
            entity = handler.entity(EventCall(portal.member_id, post.event, post.data))
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Malformed(f"{post.event}: нет того, о чём событие / what it is about is missing") from None
        if entity is None:
            return Accepted("nothing")
        if len(entity) > MAX_ENTITY_LENGTH:
            raise Malformed(f"{post.event}: слишком длинный номер / the id is too long")
        delivery_id = self._services.inbox.record(
            member_id=portal.member_id,
            kind="event",
            code=post.event,
            entity=entity,
            payload=post.payload,
            priority=handler.priority,
        )
        return self._kept(delivery_id)

    def robot(self, code: str, body: bytes) -> Accepted:
        """Accepts a robot's call. One of an unknown code is kept too: the engine answers it, so that nothing hangs.

        A robot does with an administrator's rights what its properties say, so application_token is not enough: its
        address ends with a key that only the portal was told.
        """
        code, _, key = code.partition("/")
        post = read_robot(code, body)
        portal = self._gate.check(post.auth)
        if code in self._priorities and not self._gate.knows_door(portal, code, key):
            raise Rejected(NOT_OURS)
        token = post.payload["event_token"]
        delivery_id = self._services.inbox.record(
            member_id=portal.member_id,
            kind="robot",
            code=post.code,
            entity=str(post.item),
            payload=post.payload,
            priority=self._priorities.get(post.code, NORMAL),
            unique_key=robot_key(token) if token else None,
        )
        return self._kept(delivery_id)

    def _kept(self, delivery_id: int | None) -> Accepted:
        if delivery_id is None:
            return Accepted("known")
        return Accepted("kept", lambda: self._services.doorbell.ring(delivery_id))

    def _installed(self, auth: Auth) -> Accepted:
        """ONAPPINSTALL of a script-only application is its installation; of one with pages, a late repeat of it."""
        self._proofs.take(self._gate.known(auth.member_id))
        row = admit(
            self._services,
            member_id=auth.member_id,
            application_token=auth.application_token,
            pair=pair_of(auth),
        )
        self._gate.forget()
        return Accepted("installed", lambda: self.bring_in_line_soon(row.member_id))

    def _updated(self, auth: Auth) -> Accepted:
        """ONAPPUPDATE may bring a new application_token; an update drops what was bound, so it is bound again."""
        row = self._gate.known(auth.member_id)
        if row is None or not row.active:
            raise Rejected(NOT_OURS)
        stored = row.application_token
        digest = token_digest(self._services.settings.app.secret_key, auth.application_token)
        if stored != digest:
            self._proofs.take(row)
            prove(self._services, member_id=auth.member_id, pair=pair_of(auth))
            change_application_token(self._services.database, auth.member_id, digest)
            self._gate.forget()
        portal = self._gate.check(auth)
        owe(self._services, portal.member_id)
        log.info("portal=%s event=ONAPPUPDATE token=%s", portal.member_id, "same" if stored == digest else "new")
        return Accepted("updated", lambda: self.bring_in_line_soon(portal.member_id))

    def _uninstalled(self, post: EventPost) -> Accepted:
        """Anybody of the portal may know application_token: what this says is proved before it is done."""
        erase = str(post.data.get("CLEAN", "0")) == "1"
        member_id = post.auth.member_id
        is_news = removal.claim(self._services, member_id, erase=erase)
        log.info("portal=%s event=ONAPPUNINSTALL erase=%s news=%s", member_id, erase, is_news)
        return Accepted("noted", lambda: self._soon(self._settle_removal, member_id) if is_news else None)

    def _settle_removal(self, member_id: str) -> None:
        removal.settle(self._services, member_id)
        self._gate.forget()

    def bring_in_line_soon(self, member_id: str) -> None:
        """Brings the portal in line where nobody sits before a page; what fails stands as an alarm.

        A process that dies over it loses nothing: the row says that it is owed, and the clock finishes it. Wishes that
        come meanwhile are answered by one more round: a flood of updates costs the portal no more than that.
        """
        with self._lock:
            again = member_id in self._asked_again
            self._asked_again[member_id] = again
        if not again:
            self._soon(self._bring_in_line, member_id)

    def _bring_in_line(self, member_id: str) -> None:
        try:
            for delay in RETRY_DELAYS:
                time.sleep(delay.total_seconds())
                if is_ready(list(bring_in_line(self._services, member_id))):
                    break
            if self._asked_again[member_id]:
                time.sleep(PAUSE_SECONDS)
        finally:
            with self._lock:
                again = self._asked_again.pop(member_id)
        if again:
            self.bring_in_line_soon(member_id)

    @staticmethod
    def _soon(work: Callable[[str], None], member_id: str) -> None:
        def guarded() -> None:
            try:
                work(member_id)
            except StorageDown as error:
                log.warning("portal=%s work=%s storage=down error=%s", member_id, work.__name__, type(error).__name__)

        threading.Thread(target=guarded, name=work.__name__.strip("_"), daemon=True).start()
