"""Who may come in: application_token compared by member_id, page passes, and how often strangers may ask for proof."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadData, URLSafeTimedSerializer

from b24app.bitrix.oauth import Pair, door_key, token_digest
from b24app.config import Settings
from b24app.errors import Rejected, Temporary
from b24app.store.database import Database
from b24app.store.portals import PortalRow, all_portals
from b24app.web.incoming import Auth
from install.carry_out import KEYED_AT

FRESH_SECONDS = 2.0
REFRESH_AT_MOST_EVERY_SECONDS = 0.1
PASS_SECONDS = 1800
OLD_ADDRESS_FOR = timedelta(hours=1)
"""Calls that the portal sent to an address without a key just before it got the one with it still arrive."""
NOT_OURS = "application_token не подходит / does not match"
PROOFS_AT_ONCE = 20
PROOFS_PER_SECOND = 0.5


def pair_of(auth: Auth) -> Pair:
    """Returns the tokens that came with a request just now."""
    expires_at = datetime.now(UTC) + timedelta(seconds=auth.expires_in_seconds)
    return Pair(auth.access_token, auth.refresh_token, expires_at)


class Gate:
    """Knows every portal's token digest by heart for two seconds, so that an event costs no look-up.

    Strangers and wrong tokens take the same way and get the same answer: nobody learns which portals we serve.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._keys = (settings.app.secret_key, *settings.app.previous_secret_keys)
        self._nobody = token_digest(settings.app.secret_key, "nobody")
        self._portals: Mapping[str, PortalRow] = {}
        self._read_at = float("-inf")
        self._reading = threading.Lock()

    def check(self, auth: Auth) -> PortalRow:
        """Returns the portal that sent this; Rejected where its application_token is not the stored one."""
        self._read(FRESH_SECONDS)
        found = self._matching(auth)
        if found is None:
            # installed or updated a moment ago by another process? One look, shared by all who ask at this moment
            self._read(REFRESH_AT_MOST_EVERY_SECONDS)
            found = self._matching(auth)
        if found is None:
            raise Rejected(NOT_OURS)
        return found

    def knows_door(self, portal: PortalRow, code: str, key: str) -> bool:
        """Tells whether a robot was called at the address that the portal was given; an hour later no other will do."""
        keyed_at = portal.facts.get(KEYED_AT)
        if not key and (keyed_at is None or datetime.now(UTC) < datetime.fromisoformat(keyed_at) + OLD_ADDRESS_FOR):
            return True
        same = False
        for secret in self._keys:
            same |= hmac.compare_digest(door_key(secret, portal.member_id, code).encode(), key.encode(errors="replace"))
        return same

    def known(self, member_id: str) -> PortalRow | None:
        """Returns the row of a portal whatever it sends; None for a stranger."""
        self._read(FRESH_SECONDS)
        return self._portals.get(member_id)

    def forget(self) -> None:
        """Makes the next check read the portals again: one was installed, changed or removed."""
        self._read_at = float("-inf")

    def _matching(self, auth: Auth) -> PortalRow | None:
        row = self._portals.get(auth.member_id)
        expected = (row.application_token if row is not None else "") or self._nobody
        matches = False
        for key in self._keys:
            matches |= hmac.compare_digest(expected, token_digest(key, auth.application_token))
        served = row is not None and row.active and self._settings.portal_of(row.client_id) is not None
        return row if matches and served else None

    def _read(self, not_older_than_seconds: float) -> None:
        if time.monotonic() - self._read_at < not_older_than_seconds:
            return
        with self._reading:
            if time.monotonic() - self._read_at >= not_older_than_seconds:
                self._portals = all_portals(self._database)
                self._read_at = time.monotonic()


class Proofs:
    """Buckets of proofs for requests that nothing speaks for yet: strangers cannot make us storm the vendor.

    Every portal that we know has a bucket of its own, all the others share one: whoever floods us in the name of one
    portal takes no proof away from another.
    """

    def __init__(self, capacity: int = PROOFS_AT_ONCE, per_second: float = PROOFS_PER_SECOND) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, portal: PortalRow | None) -> None:
        """Takes one, or raises Temporary when there were too many just now."""
        name = portal.member_id if portal is not None else ""
        with self._lock:
            now = time.monotonic()
            left, at = self._buckets.get(name, (float(self._capacity), now))
            left = min(self._capacity, left + (now - at) * self._per_second)
            if left < 1:
                raise Temporary("слишком часто, повторите через минуту / too often, try again in a minute")
            self._buckets[name] = (left - 1, now)


@dataclass(frozen=True)
class Visitor:
    """The proved person in front of one of our pages."""

    member_id: str
    user_id: int
    admin: bool
    language: str = "ru"


class Passes:
    """Short-lived signed passes that our pages send in a header with their own requests, in place of a cookie."""

    def __init__(self, settings: Settings) -> None:
        secrets = [*reversed(settings.app.previous_secret_keys), settings.app.secret_key]
        self._serializer = URLSafeTimedSerializer(secrets, salt="b24app.page")

    def issue(self, visitor: Visitor) -> str:
        """Returns the pass for the page that is being shown."""
        return self._serializer.dumps([visitor.member_id, visitor.user_id, visitor.admin, visitor.language])

    def read(self, authorization: str) -> Visitor:
        """Returns whose pass an Authorization header carries; Rejected when it is forged or older than 30 minutes."""
        scheme, _, text = authorization.partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise BadData("no bearer")
            member_id, user_id, admin, language = self._serializer.loads(text, max_age=PASS_SECONDS)
        except (BadData, ValueError, TypeError):
            raise Rejected("обновите страницу: пропуск истёк / reload the page: its pass has expired") from None
        return Visitor(member_id, user_id, admin, language)
