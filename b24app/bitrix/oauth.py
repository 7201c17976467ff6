"""Tokens: proved at the authorization server, stored encrypted, refreshed by one process at a time.

Secrets go to the authorization server of the settings and nowhere else. A portal's address is taken from that server's
answers only, and only where it is the configured host or a public https name (`portal_address`).

A refresh makes the old pair worthless, so two at once would leave a dead one behind. The tokens row therefore carries
a lease: taken and given back in short transactions, never one open over HTTP; whoever waits takes the new pair.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from b24app.bitrix import wire
from b24app.bitrix.codes import error_of, meaning
from b24app.config import PortalSection, Settings, is_loopback
from b24app.crashpoint import crashpoint
from b24app.errors import OutcomeUnknown, PortalClosed, Rejected, Temporary
from b24app.logs import MASK
from b24app.store.alarms import clear_alarm, raise_alarm
from b24app.store.database import Database
from b24app.store.portals import StorageDown
from b24app.store.schema import Row, portals, row, tokens

log = logging.getLogger(__name__)

READ_SECONDS = 15.0
LEASE = timedelta(seconds=45)
"""Longer than a refresh can take (connect 3 s, answer 15 s and a little): a living holder is never overtaken."""
WAIT_SECONDS = 30.0
PAUSE_AFTER_OUTAGE = timedelta(seconds=10)
PAUSE_AFTER_REFUSAL = timedelta(minutes=5)
"""How long the authorization server is left alone after it failed or refused: deliveries must not become a storm."""
ACCESS_LIFE = timedelta(hours=1)
KEEP_SECONDS = 60.0
"""How long we try to store a fresh pair while the database is away: the old one is worthless already."""
KEEP_PAUSE_SECONDS = 0.5

TOKEN_ALARM = "token"  # noqa: S105 - the name of an alarm
OAUTH_ALARM = "oauth"

NOT_THERE = (301, 308, 404, 405)
"""HTTP statuses of a server that does not know this address, or not this method of asking."""

_OUTAGE, _REFUSAL = "outage", "refused:"
_SECRETS = {"auth", "client_secret", "refresh_token"}


@dataclass(frozen=True)
class Pair:
    """An access token, what renews it, and when it expires."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Holder:
    """Whose a pair is, as the authorization server says: for which application, on which portal, and which person's.

    `host` and `client_endpoint` are checked. `pair` is another than the one that was asked about where it was renewed.
    """

    client_id: str
    member_id: str
    user_id: int
    client_endpoint: str
    host: str
    pair: Pair


@dataclass(frozen=True)
class Token:
    """A stored access token, decrypted. `version` grows with every stored pair; `dead_at`: when it was buried."""

    member_id: str
    user_id: int
    role: str
    version: int
    expires_at: datetime
    access: str = field(repr=False)
    dead_at: datetime | None = None


def token_digest(secret_key: str, token: str) -> str:
    """Returns what is stored of an application_token: HMAC-SHA256 in hex."""
    return hmac.new(secret_key.encode(), token.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def matches(digest: str, token: str, *secret_keys: str) -> bool:
    """Tells in constant time whether the token is the one of the digest, under any of the secret keys."""
    same = False
    for key in secret_keys:
        same |= hmac.compare_digest(digest.encode("utf-8", "surrogatepass"), token_digest(key, token).encode())
    return same


def door_key(secret_key: str, member_id: str, code: str) -> str:
    """Returns the last part of a robot's address on a portal: the portal knows it, its employees do not."""
    return token_digest(secret_key, f"robot:{member_id}:{code}")[:32]


_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_REST_PATH = re.compile(r"(/[A-Za-z0-9._-]+)*/rest/?")
_PRIVATE_ZONES = re.compile(r"local|localhost|internal|intranet|lan|home|corp|invalid|test|example|arpa")


def portal_address(endpoint: str, configured_host: str) -> tuple[str, str]:
    """Returns (host, client_endpoint) of an endpoint that the authorization server named.

    Accepted are the configured host, and another public https DNS name: portals are renamed. Rejected are addresses by
    number, names of private zones, ports, users, and this machine unless the configured host is this machine.
    """
    problem = Rejected("адрес портала не годится / the portal's address is not acceptable")
    if not endpoint.isascii() or not endpoint.isprintable() or any(sign in endpoint for sign in "@\\?# "):
        raise problem
    try:
        parts = urlsplit(endpoint.strip())
        host = parts.netloc.lower().removesuffix(":443") if parts.scheme == "https" else parts.netloc.lower()
        loopback = is_loopback(host)
    except ValueError:
        raise problem from None
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    if not _REST_PATH.fullmatch(path):
        raise problem
    if loopback:
        if not is_loopback(configured_host) or parts.scheme not in ("http", "https"):
            raise problem
    elif parts.scheme != "https" or (host != configured_host.removesuffix(":443") and not _is_public_name(host)):
        raise problem
    return host, f"{parts.scheme}://{host}{path}"


def _is_public_name(host: str) -> bool:
    labels = host.split(".")
    if len(labels) < 2 or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    if _PRIVATE_ZONES.fullmatch(labels[-1]) or not re.search(r"[a-z]", labels[-1]) or labels[-1].startswith("0x"):
        return False  # a last label that is a number makes browsers and resolvers read the whole as an address
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


class Tokens:
    """The tokens of all portals; one object a process, safe to share between threads."""

    def __init__(self, database: Database, settings: Settings, *, session: requests.Session | None = None) -> None:
        self._database = database
        self._settings = settings
        self._session = session
        self._fernet = MultiFernet([Fernet(key) for key in settings.encryption_keys])

    def prove(self, pair: Pair) -> Holder:
        """Returns whose the pair is, as the authorization server says. It alone is asked, whatever a request claims.

        Its app.info says it, as the official SDKs read it; the documentation gives that method another answer. A server
        that does not say it renews the pair instead: the answer to that is documented (auto-renewal.md).

        Rejected: refused there, of another application, or of a portal with an unacceptable address. Temporary: the
        server cannot be asked now.
        """
        if not pair.access or len(pair.access) > 4096 or not pair.access.isascii():
            raise Rejected("ключа нет / there is no token")
        status, answer = self._ask("/rest/app.info", {"auth": pair.access})
        result = answer.get("result")
        code, words = str(answer.get("error") or ""), str(answer.get("error_description") or "")
        says = isinstance(result, dict) and "client_id" in result
        if not says and pair.refresh and (isinstance(result, dict) or status in NOT_THERE):
            return self._renewed_by_us(pair)
        if not isinstance(result, dict):
            if status >= 500 or (status in NOT_THERE and not code) or meaning(status, code, words).kind == "temporary":
                raise Temporary.after(
                    f"сервер авторизации не отвечает / the authorization server fails: HTTP {status}",
                    PAUSE_AFTER_OUTAGE,
                    code=code,
                )
            raise Rejected(f"сервер авторизации не признал ключ / the authorization server refused the token: {code}")
        install = result.get("install")
        portal = install if isinstance(install, dict) else {}
        return self._holder(str(result.get("client_id") or ""), {**portal, "user_id": result.get("user_id")}, pair)

    def _renewed_by_us(self, pair: Pair) -> Holder:
        """Exchanges the pair with the secret of each application of the settings, until one is its own."""
        for entry in self._settings.portals:
            _, answer = self._exchange(entry, pair.refresh)
            renewed = _pair(answer)
            if renewed is not None:
                return self._holder(entry.client_id, answer, renewed)
        raise Rejected("сервер авторизации не признал ключ / the authorization server refused the token")

    def _holder(self, client_id: str, facts: Mapping[str, Any], pair: Pair) -> Holder:
        entry = self._settings.portal_of(client_id)
        if entry is None:
            raise Rejected("ключ другого приложения / the token of another application")
        member_id, user_id = str(facts.get("member_id") or ""), str(facts.get("user_id") or "")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", member_id) or not re.fullmatch(r"[1-9][0-9]{0,17}", user_id):
            raise Rejected("ответ сервера авторизации неполон / the authorization server's answer is incomplete")
        host, endpoint = portal_address(str(facts.get("client_endpoint") or ""), entry.host)
        return Holder(client_id, member_id, int(user_id), endpoint, host, pair)

    def store(self, member_id: str, user_id: int, role: str, pair: Pair) -> None:
        """Keeps a person's pair, encrypted. An `owner` replaces the former one, who becomes a spare.

        A `spare` never takes the owner's role away, not even from himself. The pair is alive again, and a pause after
        a refusal ends: a person has acted.
        """
        now = datetime.now(UTC)
        mine = (tokens.c.member_id == member_id) & (tokens.c.user_id == user_id)
        with self._database.write() as connection:
            self._database.serialise(connection, f"tokens:{member_id}")
            before = row(connection.execute(sa.select(tokens.c.role, tokens.c.version).where(mine)))
            if role == "owner":
                others = (tokens.c.member_id == member_id) & (tokens.c.user_id != user_id)
                connection.execute(sa.update(tokens).where(others).values(role="spare"))
            values = {
                "member_id": member_id,
                "user_id": user_id,
                "role": "owner" if role == "owner" or (before is not None and before["role"] == "owner") else "spare",
                "access": self._seal(pair.access),
                "refresh": self._seal(pair.refresh),
                "expires_at": pair.expires_at,
                "version": (before["version"] if before is not None else 0) + 1,
                "lease_owner": None,
                "lease_until": None,
                "dead_at": None,
                "dead_reason": None,
                "updated_at": now,
            }
            connection.execute(self._database.upsert(tokens, values, ("member_id", "user_id")))
        if values["role"] == "owner":
            clear_alarm(self._database, member_id, TOKEN_ALARM)
        clear_alarm(self._database, member_id, OAUTH_ALARM)

    def owner(self, member_id: str) -> Token:
        """Returns the token that our work runs on: the owner's, or a living spare administrator's with an alarm.

        PortalClosed: nobody's is alive, or the application was uninstalled. The token may be expired.
        """
        with self._database.read() as connection:
            status = connection.execute(sa.select(portals.c.status).where(portals.c.member_id == member_id)).scalar()
            found = connection.execute(sa.select(tokens).where(tokens.c.member_id == member_id)).mappings().all()
        if status == "uninstalled":
            raise PortalClosed("приложение удалено с портала / the application was uninstalled")
        living = sorted(
            (entry for entry in found if entry["dead_at"] is None),
            key=lambda entry: (entry["role"] != "owner", -entry["updated_at"].timestamp()),
        )
        if not living:
            reason = next((str(entry["dead_reason"]) for entry in found if entry["dead_reason"]), "")
            raise PortalClosed(
                "нет действующего ключа: администратору нужно открыть приложение / no living token: an administrator "
                f"has to open the application{': ' + reason if reason else ''}"
            )
        if living[0]["role"] != "owner":
            self._alarm_dead_owner(member_id, spare=int(living[0]["user_id"]))
        return self._opened(living[0])

    def everybodys(self, member_id: str) -> list[Token]:
        """Returns every stored token of the portal, dead ones too: whoever asks wants to know what became of them."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(tokens).where(tokens.c.member_id == member_id)).mappings().all()
        return [self._opened(entry) for entry in found]

    def refresh(self, token: Token) -> Token:
        """Returns a newer pair than `token`, from the store where another process was faster, else from the server.

        To be called when the portal said expired_token, answered 302, or the token's time has passed; never by a timer.
        PortalClosed: the token is dead, or the server refuses the application. Temporary: it cannot be asked now;
        nothing was carried out, whatever the caller wanted the token for.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        holder = uuid.uuid4().hex
        while True:
            entry = self._entry(token)
            if entry["version"] > token.version:
                return self._opened(entry)
            self._refuse_early(entry)
            if not _leased(entry) and self._take_lease(entry, holder):
                break
            if time.monotonic() > deadline:
                raise Temporary.after(
                    "ключ обновляет другой процесс / another process is refreshing the token", timedelta(seconds=5)
                )
            time.sleep(0.1)
        try:
            return self._renew(entry, holder)
        except BaseException:
            self._release(entry, holder)
            raise

    def bury(self, token: Token, reason: str) -> None:
        """Marks the token's person as unusable (dismissed, no access to the application) and raises the alarm."""
        with self._database.write() as connection:
            changed = connection.execute(
                sa.update(tokens)
                .where(_place(token.member_id, token.user_id), tokens.c.version == token.version)
                .values(dead_at=datetime.now(UTC), dead_reason=reason, lease_owner=None, lease_until=None)
            ).rowcount
        if changed and token.role == "owner":
            self._alarm_dead_owner(token.member_id)

    # --- the authorization server -------------------------------------------------------------------------------

    def _exchange(self, application: PortalSection, refresh: str) -> tuple[int, dict[str, Any]]:
        """Asks for a new pair; the old one is worthless then."""
        form = {
            "grant_type": "refresh_token",
            "client_id": application.client_id,
            "client_secret": application.client_secret,
            "refresh_token": refresh,
        }
        return self._ask("/oauth/token/", form)

    def _ask(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Returns (status, JSON object) of the authorization server; Temporary where it does not answer with one.

        Asked by POST, so that secrets stand in no address; a server that knows only the documented GET is asked so.
        """
        session, url = self._session or wire.shared_session(), self._settings.bitrix24.oauth_url + path
        try:
            reply = wire.post(session, url, form=form, read_seconds=READ_SECONDS)
            if reply.status in NOT_THERE:
                asked = f"{url.rstrip('/')}/?{urlencode(form)}"
                reply = wire.post(session, asked, read_seconds=READ_SECONDS, method="GET")
        except OutcomeUnknown as error:
            # for whoever needs the token nothing has happened yet
            raise Temporary.after(
                f"сервер авторизации / authorization server: {error.reason}", PAUSE_AFTER_OUTAGE
            ) from None
        try:
            answer = json.loads(reply.body)
        except ValueError:
            answer = {} if reply.status in NOT_THERE else None
        if not isinstance(answer, dict):
            raise Temporary.after(
                "сервер авторизации ответил не JSON / the authorization server did not answer with JSON: "
                f"HTTP {reply.status}",
                PAUSE_AFTER_OUTAGE,
            )
        words = answer.get("error_description")
        if isinstance(words, str):  # it becomes the reason of an alarm: a secret that it repeats must not stand there
            for secret in _SECRETS & form.keys():
                words = words.replace(form[secret], MASK)
            answer["error_description"] = words
        return reply.status, answer

    def _renew(self, entry: Row, holder: str) -> Token:
        member_id = str(entry["member_id"])
        with self._database.read() as connection:
            portal = row(connection.execute(sa.select(portals).where(portals.c.member_id == member_id)))
        application = self._settings.portal_of(portal["client_id"]) if portal is not None else None
        if portal is None or application is None:
            raise PortalClosed("портала нет в config.toml / the portal is not in config.toml")
        try:
            status, answer = self._exchange(application, self._open(entry["refresh"], member_id))
        except Temporary:
            self._release(entry, holder, pause=PAUSE_AFTER_OUTAGE, why=_OUTAGE)
            raise
        crashpoint("token_after_answer")
        pair = _pair(answer)
        if pair is None:
            return self._refused(entry, holder, status, answer)
        if str(answer.get("member_id") or member_id) != member_id:
            self._release(entry, holder, pause=PAUSE_AFTER_REFUSAL, why=_REFUSAL + "member_id")
            raise PortalClosed("сервер авторизации ответил за другой портал / it answered for another portal")
        host, endpoint = portal["host"], portal["client_endpoint"]
        try:
            # `domain` of this answer is the authorization server's: only client_endpoint says where the portal is
            host, endpoint = portal_address(str(answer.get("client_endpoint") or endpoint), application.host)
        except Rejected:
            log.warning("%s: client_endpoint не принят / is not accepted", member_id)
        deadline = time.monotonic() + KEEP_SECONDS
        while True:
            try:
                return self._keep(entry, pair, host, endpoint)
            except StorageDown as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("portal=%s token=unstored storage=down error=%s", member_id, type(error).__name__)
                time.sleep(KEEP_PAUSE_SECONDS)

    def _keep(self, entry: Row, pair: Pair, host: str, endpoint: str) -> Token:
        """Stores the pair before anybody uses it; a newer one that a person brought meanwhile stays."""
        member_id = str(entry["member_id"])
        place = _place(member_id, entry["user_id"])
        with self._database.write() as connection:
            connection.execute(
                sa.update(tokens)
                .where(place, tokens.c.version == entry["version"])
                .values(
                    access=self._seal(pair.access),
                    refresh=self._seal(pair.refresh),
                    expires_at=pair.expires_at,
                    version=entry["version"] + 1,
                    lease_owner=None,
                    lease_until=None,
                    dead_at=None,
                    dead_reason=None,
                    updated_at=datetime.now(UTC),
                )
            )
            connection.execute(
                sa.update(portals)
                .where(portals.c.member_id == member_id, portals.c.client_endpoint != endpoint)
                .values(host=host, client_endpoint=endpoint)
            )
            stored = row(connection.execute(sa.select(tokens).where(place)))
        if stored is None:
            raise PortalClosed("приложение удалено с портала / the application was uninstalled")
        clear_alarm(self._database, member_id, OAUTH_ALARM)
        return self._opened(stored)

    def _refused(self, entry: Row, holder: str, status: int, answer: dict[str, Any]) -> Token:
        code, words = str(answer.get("error") or ""), str(answer.get("error_description") or "")
        if status >= 500 or status == 429 or not code or meaning(status, code, words).kind in ("temporary", "unknown"):
            self._release(entry, holder, pause=PAUSE_AFTER_OUTAGE, why=_OUTAGE)
            raise Temporary.after(
                f"сервер авторизации не отвечает / the authorization server fails: HTTP {status}",
                PAUSE_AFTER_OUTAGE,
                code=code,
            )
        member_id = str(entry["member_id"])
        reason = str(error_of(status, code, words))
        if code.lower() == "invalid_grant":
            now = self._entry(self._opened(entry))
            if now["version"] > entry["version"]:
                return self._opened(now)  # the pair was replaced while we asked with the old one
            self.bury(self._opened(entry), reason)
        else:
            self._release(entry, holder, pause=PAUSE_AFTER_REFUSAL, why=_REFUSAL + code)
            raise_alarm(
                self._database,
                member_id,
                OAUTH_ALARM,
                f"Сервер авторизации отказал приложению ({code}). Проверьте client_id, client_secret и подписку, "
                "затем откройте приложение на портале.",
                f"The authorization server refused the application ({code}). Check client_id, client_secret and the "
                "subscription, then open the application on the portal.",
            )
        raise PortalClosed(reason, code=code)

    # --- the row ------------------------------------------------------------------------------------------------

    def _entry(self, token: Token) -> Row:
        with self._database.read() as connection:
            entry = row(connection.execute(sa.select(tokens).where(_place(token.member_id, token.user_id))))
        if entry is None:
            raise PortalClosed("ключа больше нет / the token is gone")
        return entry

    def _refuse_early(self, entry: Row) -> None:
        if entry["dead_at"] is not None:
            raise PortalClosed(str(entry["dead_reason"]), code="invalid_grant")
        if _leased(entry) and str(entry["lease_owner"]).startswith(_REFUSAL):
            code = str(entry["lease_owner"]).removeprefix(_REFUSAL)
            raise PortalClosed(
                f"сервер авторизации недавно отказал / the authorization server refused lately: {code}", code=code
            )
        if _leased(entry) and entry["lease_owner"] == _OUTAGE:
            raise Temporary(
                "сервер авторизации недавно не отвечал / the authorization server failed lately",
                retry_at=entry["lease_until"],
            )

    def _take_lease(self, entry: Row, holder: str) -> bool:
        now = datetime.now(UTC)
        free = tokens.c.lease_until.is_(None) | (tokens.c.lease_until <= now)
        with self._database.write() as connection:
            taken = connection.execute(
                sa.update(tokens)
                .where(
                    _place(entry["member_id"], entry["user_id"]),
                    tokens.c.version == entry["version"],
                    tokens.c.dead_at.is_(None),
                    free,
                )
                .values(lease_owner=holder, lease_until=now + LEASE)
            )
        return taken.rowcount == 1

    def _release(self, entry: Row, holder: str, *, pause: timedelta | None = None, why: str | None = None) -> None:
        """Gives the lease back; with a pause the row itself tells everybody to leave the server alone."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(tokens)
                .where(_place(entry["member_id"], entry["user_id"]), tokens.c.lease_owner == holder)
                .values(lease_owner=why and why[:64], lease_until=datetime.now(UTC) + pause if pause else None)
            )

    def _alarm_dead_owner(self, member_id: str, spare: int | None = None) -> None:
        ru = "Ключ того, кто установил приложение, больше не действует: администратору нужно открыть приложение."
        en = "The token of whoever installed the application is dead: an administrator has to open the application."
        raise_alarm(self._database, member_id, TOKEN_ALARM, ru, en)
        if spare is not None:
            log.warning("%s: ключ владельца мёртв, работаем от %s / the owner's token is dead", member_id, spare)

    def _opened(self, entry: Row) -> Token:
        return Token(
            member_id=entry["member_id"],
            user_id=entry["user_id"],
            role=entry["role"],
            version=entry["version"],
            expires_at=entry["expires_at"],
            access=self._open(entry["access"], entry["member_id"]),
            dead_at=entry["dead_at"],
        )

    def _seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def _open(self, sealed: str, member_id: str) -> str:
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            ru = "Ключи зашифрованы другим secret_key: верните прежний в previous_secret_keys или откройте приложение."
            en = (
                "Tokens are encrypted with another secret_key: put it in previous_secret_keys, or open the application."
            )
            raise_alarm(self._database, member_id, TOKEN_ALARM, ru, en)
            raise PortalClosed(f"{ru} / {en}") from None


def _place(member_id: str, user_id: int) -> sa.ColumnElement[bool]:
    return (tokens.c.member_id == member_id) & (tokens.c.user_id == user_id)


def _leased(entry: Row) -> bool:
    return entry["lease_until"] is not None and bool(entry["lease_until"] > datetime.now(UTC))


def _pair(answer: Mapping[str, Any]) -> Pair | None:
    access, renewed = answer.get("access_token"), answer.get("refresh_token")
    if not isinstance(access, str) or not isinstance(renewed, str) or not access or not renewed:
        return None
    return Pair(access, renewed, _expiry(answer))


def _moment(value: Any) -> datetime:
    """Reads an expiry as unix seconds or ISO 8601; an hour from now where it is neither."""
    text = str(value or "").strip()
    try:
        if re.fullmatch(r"[0-9]{1,11}", text):
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return datetime.now(UTC) + ACCESS_LIFE
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _expiry(answer: Mapping[str, Any]) -> datetime:
    """By the seconds that are left, so that a clock of ours that is wrong does not make a fresh token look expired."""
    left = str(answer.get("expires_in") or "")
    if re.fullmatch(r"[0-9]{1,9}", left):
        return datetime.now(UTC) + timedelta(seconds=int(left))
    return _moment(answer.get("expires"))
