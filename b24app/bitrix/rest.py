"""Calls to one portal: single, in batches, REST 3.0. Errors say whether the portal may have carried a call out.

Every request first asks `Limits` for leave and reports back what the answer says of limits. The access token goes in
the body, to the stored client_endpoint only: redirects are never followed, a renamed portal is found at the
authorization server (settings/how-to-call-rest-api/change-domen.md).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from b24app.bitrix import wire
from b24app.bitrix.calls import BATCH_LENGTH, Answer, Call
from b24app.bitrix.codes import error_of
from b24app.bitrix.limits import Limits
from b24app.bitrix.oauth import TOKEN_ALARM, Token, Tokens
from b24app.errors import (
    AccessDenied,
    B24AppError,
    NotFound,
    OutcomeUnknown,
    PortalClosed,
    Temporary,
)
from b24app.store.alarms import clear_alarm, raise_alarm
from b24app.store.database import Database
from b24app.store.portals import portal_of

log = logging.getLogger(__name__)

REST_ALARM = "rest"
"""The portal as a whole refuses us: blocked, deleted, no subscription. Ends with the next good answer."""
FRAME_WAIT_SECONDS = 5.0
ROUNDS = 8
"""More than every reason to repeat a request added up; the loop ends by itself."""

_STALE = {"NO_AUTH_FOUND", "INVALID_TOKEN"}
_UNUSABLE = {"AUTHORIZATION_ERROR", "USER_ACCESS_ERROR"}
_REFERENCE = re.compile(r"[A-Za-z]{0,4}_?\$result\[([A-Za-z0-9_-]+)\](?:\[[A-Za-z0-9_-]+\])*")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_METHOD = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class Rest:
    """One portal's REST for one job or one request; not to be shared between threads.

    It works with the stored token (`Tokens.owner`) and renews it when the portal says so; with `as_access_token` it
    works with that token only: a person in a frame, no renewal, nobody else's rights. `urgent` work may fill more of
    the bucket; `wait_seconds` is how long a call waits for room in it.
    """

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        limits: Limits,
        member_id: str,
        *,
        session: requests.Session | None = None,
        as_access_token: str | None = None,
        urgent: bool = False,
        wait_seconds: float = 20.0,
    ) -> None:
        self.database = database
        self.tokens = tokens
        self.limits = limits
        self.member_id = member_id
        self.urgent = urgent
        self.wait_seconds = wait_seconds
        self.before_sending: Callable[[], None] = _nothing
        """Called when there is room and a request is about to leave, after what may have been a long wait."""
        self._session = session
        self._as = as_access_token
        self._token: Token | None = None

    def rest_as(self, access_token: str) -> Rest:
        """Returns the same portal with a person's own token: what he may not do raises AccessDenied."""
        return Rest(
            self.database,
            self.tokens,
            self.limits,
            self.member_id,
            session=self._session,
            as_access_token=access_token,
            urgent=True,
            wait_seconds=FRAME_WAIT_SECONDS,
        )

    def call(self, call: Call, idempotency_key: str | None = None, *, reading: bool = False) -> Answer:
        """Returns the answer of one method; the key belongs to REST 3.0 writes (1-255 printable ASCII characters).

        `reading` allows one repeat where the connection broke. Raises Temporary (certainly not carried out),
        OutcomeUnknown (perhaps), or a Permanent error.
        """
        _check_method(call.method)
        headers = {}
        if idempotency_key is not None:
            if not call.v3 or not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
                raise ValueError(f"Idempotency-Key {idempotency_key!r} of {call.method}")
            headers["Idempotency-Key"] = idempotency_key
        path = f"api/{call.method}" if call.v3 else f"{call.method}.json"
        body, got = self._perform(path, dict(call.params), [call.method], headers=headers, reading=reading)
        replayed = next((value for name, value in got.items() if name.lower() == "idempotent-replayed"), "")
        return self._answer(
            call.method, body["result"], body.get("time"), body.get("total"), body.get("next"), replayed == "true"
        )

    def batch(
        self, calls: Mapping[str, Call], *, halt: bool = False, reading: bool = False
    ) -> dict[str, Answer | B24AppError]:
        """Returns answer or error by label of at most 50 calls, one HTTP request. With `halt` the first error ends it.

        A label that is missing from the result was not run. A value `$result[label][field]...` stands for a part of an
        earlier call's result; anywhere else `$result` is only text. Raises what concerns the whole request.
        """
        if not calls:
            return {}
        if len(calls) > BATCH_LENGTH:
            raise ValueError(f"{len(calls)} calls in one batch")
        commands: dict[str, str] = {}
        for label, call in calls.items():
            _check_method(call.method)
            if call.v3 or not _LABEL.fullmatch(label):
                raise ValueError(f"{label!r}: {call.method} cannot be in a batch")
            query = "&".join(_pairs(call.params, known=commands))
            commands[label] = f"{call.method}?{query}" if query else call.method
        methods = list(dict.fromkeys(call.method for call in calls.values()))
        body, _ = self._perform("batch.json", {"halt": int(halt), "cmd": commands}, methods, reading=reading)
        maps = body["result"]
        if not isinstance(maps, dict) or "result" not in maps:
            raise OutcomeUnknown.after("batch: ответ непонятен / the answer is not understood", wire.RETRY_DELAY)
        results, errors = _map(maps.get("result")), _map(maps.get("result_error"))
        totals, following, times = (_map(maps.get(name)) for name in ("result_total", "result_next", "result_time"))
        outcome: dict[str, Answer | B24AppError] = {}
        for label, call in calls.items():
            if label in errors:
                outcome[label] = self._inner_error(call.method, errors[label], times.get(label))
            elif label in results:
                outcome[label] = self._answer(
                    call.method, results[label], times.get(label), totals.get(label), following.get(label), False
                )
        return outcome

    def gather(self, calls: Mapping[str, Call]) -> dict[str, Answer | B24AppError]:
        """Returns answer or error of every label, for any number of reads, in batches of 50 in the order given.

        A read whose method is parked, or that needs such a read, is Temporary in its place; the others are asked.
        References (`$result`) reach back within fifty calls.
        """
        outcome: dict[str, Answer | B24AppError] = {}
        parked = self.limits.parked_among(self.member_id, {call.method for call in calls.values()})
        asked: dict[str, Call] = {}
        for label, call in calls.items():
            broken = next((outcome[name] for name in references(call.params) if name in outcome), None)
            until = parked.get(call.method.lower())
            if until is not None:
                outcome[label] = Temporary(
                    f"{call.method}: время метода почти исчерпано / the method has nearly used up its time",
                    retry_at=until,
                    code="OPERATION_TIME_LIMIT",
                )
            elif broken is not None:
                outcome[label] = broken
            elif call.v3:
                try:
                    outcome[label] = self.call(call, reading=True)
                except PortalClosed:
                    raise
                except B24AppError as error:
                    outcome[label] = error
            else:
                asked[label] = call
        labels = list(asked)
        for start in range(0, len(labels), BATCH_LENGTH):
            part = {label: asked[label] for label in labels[start : start + BATCH_LENGTH]}
            answers = self.batch(part, reading=True)
            for label, call in part.items():
                outcome[label] = answers.get(label) or OutcomeUnknown.after(
                    f"{call.method}: портал не ответил на команду / the portal did not answer the command",
                    wire.RETRY_DELAY,
                )
        return {label: outcome[label] for label in calls}

    def where(self) -> tuple[str, str]:
        """Returns (client_endpoint, access token) to work with now, for clients that send by themselves."""
        return self._endpoint(), self._access()

    def renew(self) -> None:
        """Gets a newer pair after the portal said expired_token or answered 302; AccessDenied for a person's token."""
        if self._as is not None:
            raise AccessDenied("срок ключа истёк, обновите страницу / the token has expired, reload the page")
        held = self._token or self.tokens.owner(self.member_id)
        try:
            self._token = self.tokens.refresh(held)
        except PortalClosed:
            spare = self.tokens.owner(self.member_id)  # raises where nobody's token is alive
            if spare.user_id == held.user_id:
                raise
            self._token = spare

    # --- one request --------------------------------------------------------------------------------------------

    def _perform(
        self,
        path: str,
        body: Mapping[str, Any],
        methods: list[str],
        *,
        headers: Mapping[str, str] | None = None,
        reading: bool = False,
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Returns (the JSON object with a result, HTTP headers); repeats only what was certainly not carried out."""
        done: set[str] = set()
        name = methods[0] if path != "batch.json" else "batch"
        for _ in range(ROUNDS):
            access, endpoint = self._access(), self._endpoint()
            self.take(methods, self.wait_seconds)
            try:
                reply = wire.post(
                    self._session or wire.shared_session(),
                    endpoint + path,
                    json={**body, "auth": access},
                    headers=headers,
                )
            except wire.BrokenConnection:
                if not reading or "reopened" in done:
                    raise
                done.add("reopened")
                continue
            if 300 <= reply.status < 400:
                self.find_again(endpoint, done)
                continue
            answer = read_answer(reply, name, v3=path.startswith("api/"))
            if "error" not in answer:
                self.works()
                return answer, reply.headers
            error = self.error(reply.status, answer, name, access)
            if not self.mend(error, done):
                raise self.told(error, methods)
        raise Temporary.after(f"{name}: портал отвечает по кругу / the portal answers in circles", wire.RETRY_DELAY)

    def take(self, methods: list[str], deadline_seconds: float) -> None:
        """Waits for room at the portal's limits, as `Limits.take` does; the request leaves right afterwards."""
        self.limits.take(self.member_id, urgent=self.urgent, deadline_seconds=deadline_seconds, methods=methods)
        self.before_sending()

    def mend(self, error: B24AppError, done: set[str]) -> bool:
        """Does what makes a refused request worth repeating and tells whether it did; `done` remembers what was tried.

        expired_token: a newer pair. A pair that another process has replaced: its successor. A dismissed owner: a
        living spare. QUERY_LIMIT_EXCEEDED: our bucket is taken for full, so that the next round waits.
        """
        code = _code(error)
        if code == "QUERY_LIMIT_EXCEEDED":
            self.limits.drain(self.member_id)
            done.add("again" if code in done else code)
            return "again" not in done
        if self._as is not None:
            return False
        if code == "EXPIRED_TOKEN" and code not in done:
            done.add(code)
            self.renew()
            return True
        if code in _STALE:
            held, self._token = self._token, self.tokens.owner(self.member_id)
            return held is not None and (held.user_id, held.version) != (self._token.user_id, self._token.version)
        if code in _UNUSABLE and self._token is not None:
            self.tokens.bury(self._token, str(error))
            self._token = None
            return True
        return False

    def find_again(self, former: str, done: set[str]) -> None:
        """Asks the authorization server, after a redirect, where the portal is now.

        Temporary: it names the place we come from, or this is the second redirect, or the token is a person's.
        """
        if "moved" not in done and self._as is None:
            done.add("moved")
            if self._endpoint() == former:
                self.renew()
            if self._endpoint() != former:
                return
        raise Temporary.after(f"портал отсылает прочь / the portal redirects: {former}", timedelta(minutes=5))

    def error(self, status: int, answer: Mapping[str, Any], name: str, access: str) -> B24AppError:
        """Returns the typed error of an answer, without the token; AccessDenied where a person's own one is refused."""
        code, words = error_words(answer)
        retry_at = _reset_at(answer.get("time")) if code.upper() == "OPERATION_TIME_LIMIT" else None
        error = error_of(status, code, words.replace(access, "***"), name, retry_at=retry_at)
        if self._as is not None and _code(error) in {"EXPIRED_TOKEN"} | _STALE | _UNUSABLE:
            return AccessDenied(str(error), code=code)
        return error

    def told(self, error: B24AppError, methods: list[str]) -> B24AppError:
        """Returns the error after telling limits and people what it means for others: a rest, a stop, an alarm."""
        code = _code(error)
        if code == "OPERATION_TIME_LIMIT" and len(methods) == 1 and isinstance(error, Temporary):
            error.retry_at = self.limits.park(self.member_id, methods[0], error.retry_at)
        elif code in _STALE and isinstance(error, PortalClosed):
            ru = "Портал не признаёт ключ приложения: администратору нужно открыть приложение."
            en = "The portal does not accept the application's token: an administrator has to open the application."
            raise_alarm(self.database, self.member_id, TOKEN_ALARM, ru, en)
        elif isinstance(error, PortalClosed):
            if code == "OVERLOAD_LIMIT":
                self.limits.stop(self.member_id, error.reason)
            ru, _, en = error.reason.partition(" / ")
            raise_alarm(self.database, self.member_id, REST_ALARM, ru, en)
        return error

    def works(self) -> None:
        """Notes that the portal answers: ends the alarm and the stop, if there were any."""
        if clear_alarm(self.database, self.member_id, REST_ALARM) or self.limits.on_trial(self.member_id):
            self.limits.resume(self.member_id)

    def _access(self) -> str:
        if self._as is not None:
            return self._as
        if self._token is None:
            self._token = self.tokens.owner(self.member_id)
            if self._token.expires_at <= datetime.now(UTC):
                self.renew()
        return self._token.access

    def _endpoint(self) -> str:
        portal = portal_of(self.database, self.member_id)
        if portal is None:
            raise PortalClosed("портал не подключён / the portal is not installed")
        return portal.client_endpoint

    def _answer(self, method: str, result: Any, time: Any, total: Any, following: Any, replayed: bool) -> Answer:
        operating, reset_at = operating_of(time)
        self.limits.observe(self.member_id, method, operating, reset_at)
        return Answer(
            result=result,
            at=datetime.now(UTC),
            total=_count(total),
            next=_count(following),
            operating=operating,
            operating_reset_at=reset_at,
            replayed=replayed,
        )

    def _inner_error(self, method: str, body: Any, time: Any) -> B24AppError:
        code, words = error_words(body if isinstance(body, dict) else {"error": body})
        retry_at = None
        if code.upper() == "OPERATION_TIME_LIMIT":
            retry_at = self.limits.park(self.member_id, method, _reset_at(time))
        return error_of(0, code, words.replace(self._access(), "***"), method, retry_at=retry_at)


def _nothing() -> None:
    pass


def _code(error: B24AppError) -> str:
    """The portal's code in capitals; what `error_of` took for expired_token is called that."""
    code = str(getattr(error, "code", "")).upper()
    return "EXPIRED_TOKEN" if "EXPIRED" in code and "TOKEN" in code else code


def read_answer(reply: wire.Reply, method: str, *, v3: bool = False) -> dict[str, Any]:
    """Returns the JSON object with `result` or `error` of an HTTP answer.

    OutcomeUnknown: HTML, cut or empty JSON with a good or a server's status. Temporary: a refusal without JSON (4xx).
    NotFound: an address of REST 3.0 that the web server itself does not know (an old box); a classic one is always
    there, and 404 without JSON is a proxy whose portal is just being restarted.
    """
    try:
        answer = json.loads(reply.body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and "result" in answer and answer.get("error") in (None, ""):
        return {key: value for key, value in answer.items() if key != "error"}
    if isinstance(answer, dict) and "error" in answer:
        return answer
    words = f"{method}: HTTP {reply.status}, ответ не разобрать / the answer cannot be read"
    if reply.status == 404 and v3:
        raise NotFound(words, code="ERROR_METHOD_NOT_FOUND")
    if 400 <= reply.status < 500:
        raise Temporary.after(words, wire.RETRY_DELAY)
    raise OutcomeUnknown.after(words, wire.RETRY_DELAY)


def error_words(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Returns (code, text) of an error in either shape: {"error", "error_description"} or REST 3.0's object."""
    error = answer.get("error")
    if isinstance(error, dict):
        details = error.get("validation")
        fields = [
            f"{part.get('field', '')}: {part.get('message', '')}"
            for part in (details if isinstance(details, list) else [])
            if isinstance(part, dict)
        ]
        return str(error.get("code") or ""), "; ".join([str(error.get("message") or ""), *fields])
    return "" if error in (None, False) else str(error), str(answer.get("error_description") or "")


def operating_of(time: Any) -> tuple[float | None, datetime | None]:
    """Returns (seconds used of the method's budget, when its oldest part is forgotten) of an answer's `time`."""
    if not isinstance(time, dict) or isinstance(time.get("operating"), bool):
        return None, None
    operating = time.get("operating")
    return (float(operating) if isinstance(operating, int | float) else None), _reset_at(time)


def references(params: Any) -> Iterator[str]:
    """Yields the labels of earlier calls that a batch command takes its values from."""
    if isinstance(params, Mapping):
        params = list(params.values())
    if isinstance(params, list | tuple):
        for value in params:
            yield from references(value)
    elif isinstance(params, str) and (found := _REFERENCE.fullmatch(params)):
        yield found[1]


def _pairs(value: Any, name: str = "", *, known: Mapping[str, Any]) -> Iterator[str]:
    """Yields key=value parts of a PHP query. A list that is empty is sent as empty: without it a filter would widen."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            step = quote(str(key), safe="")
            yield from _pairs(child, f"{name}[{step}]" if name else step, known=known)
    elif isinstance(value, list | tuple) and value:
        for index, child in enumerate(value):
            yield from _pairs(child, f"{name}[{index}]", known=known)
    else:
        yield f"{name}={_scalar(value, known)}"


def _scalar(value: Any, known: Mapping[str, Any]) -> str:
    if value is None or isinstance(value, list | tuple):
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no kind of JSON")
    found = _REFERENCE.fullmatch(value)
    if found and found[1] in known:
        return value
    # a client's text must not be replaced by a part of another answer: a character of no width keeps it text
    return quote(value.replace("$result", "$\u200bresult"), safe="")


def _check_method(method: str) -> None:
    if not _METHOD.fullmatch(method):
        raise ValueError(f"not a method: {method!r}")


def _map(value: Any) -> dict[str, Any]:
    """A PHP map: [] where it is empty, a list where its keys happen to count from 0."""
    if isinstance(value, dict):
        return value
    return {str(index): item for index, item in enumerate(value)} if isinstance(value, list) else {}


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else None


def _reset_at(time: Any) -> datetime | None:
    value = time.get("operating_reset_at") if isinstance(time, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 4e9:
        return None
    return datetime.fromtimestamp(value, UTC)
