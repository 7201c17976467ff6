"""Long lists read whole, by fast-bitrix24 where it is good at it, else page by page.

The library pages in parallel batches, but it also loops for ever on 401, hangs when a token function fails, follows
redirects, repeats requests by itself, loses and shuffles rows, and puts addresses and parameters into its exceptions
and its log. So it works on a session of ours: every one of its requests passes `_Guard`, which waits for our limiter,
reads the answer first, and ends the whole job with our own error before the library can react. It is given no token
function that could fail, one instance a job, an overall deadline; what it returns is counted, sorted and freed of
duplicates.

Writes never go this way.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import icontract
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from fast_bitrix24 import BitrixAsync
from fast_bitrix24.server_response import ErrorInServerResponseException

from b24app.bitrix import wire
from b24app.bitrix.calls import BATCH_LENGTH, Answer, Call
from b24app.bitrix.rest import Rest, error_words, operating_of, read_answer
from b24app.config import is_loopback
from b24app.errors import B24AppError, OutcomeUnknown, Permanent, Temporary

log = logging.getLogger(__name__)

_library_log = logging.getLogger("fast_bitrix24")
_library_log.setLevel(logging.CRITICAL)  # at import it turns itself to DEBUG and writes parameters and answers in full
_library_log.propagate = False

PAGE = 50
PARALLEL = 4
ATTEMPTS = 4
PAUSE_SECONDS = 0.5
UNLIMITED = 10**9
"""For the library's own brakes: it counts per process and adds up sums, so it would stop too late and too early."""

_LIBRARY_FAULTS = (
    ErrorInServerResponseException,
    icontract.ViolationError,
    aiohttp.ClientError,
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
)
_UNORDERED = {"voximplant.statistic.get", "crm.address.list", "userfieldconfig.list", "documentgenerator.template.list"}


class _AskAgain(Exception):
    """The token or the address is a new one: the job starts once more."""


class Bulk:
    """Bulk reads of one portal, with the token and the limits of `rest`; not to be shared between threads."""

    def __init__(self, rest: Rest, *, deadline_seconds: float = 300.0) -> None:
        self._rest = rest
        self._deadline_seconds = deadline_seconds

    def read_all(self, method: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Returns every row of a list method, once each: in the order asked for, else by id.

        `params` are as documented, without `start`. Temporary: it did not come to an end in time, or half of it failed;
        never a part of the list. Not to be called inside a running event loop.
        """
        wanted = _plain(dict(params or {}))
        if any(key.lower() == "start" for key in wanted) or not method.lower().endswith((".list", ".getlist", ".get")):
            raise ValueError(f"{method} with {sorted(wanted)}: read_all reads lists, from the start")
        deadline = time.monotonic() + self._deadline_seconds
        ordered = any(key.lower() in ("order", "sort") for key in wanted)
        if ordered or method.lower() in _UNORDERED or not _fits_library(method, wanted):
            return self._page_by_page(method, wanted, deadline)
        rows, total = self._by_library(method, wanted, deadline)
        if rows is None or (total is not None and len(rows) < total):
            log.info("%s: читаем постранично / read page by page", method)
            return self._page_by_page(method, wanted, deadline)
        return sorted(rows, key=_id_order)

    def _by_library(
        self, method: str, params: dict[str, Any], deadline: float
    ) -> tuple[list[dict[str, Any]] | None, int | None]:
        """Returns (rows without duplicates, total that the portal named), or None where the library cannot do it."""
        done: set[str] = set()
        while True:
            endpoint, access = self._rest.where()
            guard = _Guard(self._rest, method, endpoint, access, done, deadline)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # it warns of counts that differ; they are counted here
                    found = asyncio.run(self._get_all(guard, method, params, deadline))
            except _AskAgain:
                continue
            except TimeoutError:
                raise _late(method) from None
            except _LIBRARY_FAULTS as fault:
                # nothing of its text: it may hold addresses, parameters and answers
                log.warning("%s: fast-bitrix24: %s", method, type(fault).__name__)
                return None, None
            if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
                return None, None
            return _unique(found), guard.total

    async def _get_all(self, guard: _Guard, method: str, params: dict[str, Any], deadline: float) -> Any:
        asyncio.get_running_loop().set_exception_handler(_be_silent)

        async def token() -> str:
            return guard.access

        async with aiohttp.ClientSession(
            raise_for_status=True,
            middlewares=(guard,),
            json_serialize=guard.serialise,
            connector=aiohttp.TCPConnector(limit=PARALLEL),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=wire.CONNECT_SECONDS, sock_read=wire.READ_SECONDS),
            headers={"User-Agent": "b24app", "Accept": "application/json"},
            trust_env=not is_loopback(urlsplit(guard.endpoint).netloc),
        ) as session:
            bitrix = BitrixAsync(
                guard.endpoint,
                token_func=token,
                verbose=False,
                respect_velocity_policy=True,  # without it the library fails on every answer that has time.operating
                request_pool_size=UNLIMITED,
                requests_per_second=float(UNLIMITED),
                operating_time_limit=UNLIMITED,
                client=session,
            )
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await bitrix.get_all(method, dict(params))

    def _page_by_page(self, method: str, params: dict[str, Any], deadline: float) -> list[dict[str, Any]]:
        """Reads until the portal names no next page; in batches of pages as far as its total goes."""
        ordered = any(key.lower() in ("order", "sort") for key in params)
        if method.lower() == "voximplant.statistic.get" and not ordered:
            params = {**params, "SORT": "ID", "ORDER": "ASC"}  # pages of an unordered list overlap
        elif method.lower() not in _UNORDERED and not ordered:
            params = {**params, "order": {_id_name(method): "ASC"}}
        first = self._rest.call(Call(method, {**params, "start": 0}), reading=True)
        pages = [first]
        starts = list(range(PAGE, first.total or 0, PAGE)) if first.next == PAGE else []
        for begin in range(0, len(starts), BATCH_LENGTH):
            if time.monotonic() > deadline:
                raise _late(method)
            calls = {
                f"p{start}": Call(method, {**params, "start": start}) for start in starts[begin : begin + BATCH_LENGTH]
            }
            for answer in self._rest.gather(calls).values():
                if not isinstance(answer, Answer):
                    raise _whole(answer)
                pages.append(answer)
        while (following := pages[-1].next) is not None:
            if time.monotonic() > deadline:
                raise _late(method)
            pages.append(self._rest.call(Call(method, {**params, "start": following}), reading=True))
            if (pages[-1].next or following + 1) <= following:
                raise Permanent(f"{method}: страницы идут по кругу / the pages go in circles")
        rows = _unique([row for page in pages for row in _rows(method, page.result)])
        return rows if ordered else sorted(rows, key=_id_order)


class _Guard:
    """Stands between fast-bitrix24 and the network: one call for every request that it wants to send."""

    def __init__(self, rest: Rest, method: str, endpoint: str, access: str, done: set[str], deadline: float) -> None:
        self.endpoint = endpoint
        self.access = access
        self.total: int | None = None
        self._rest = rest
        self._method = method
        self._done = done
        self._deadline = deadline

    def serialise(self, body: Any) -> str:
        """Returns the body as it goes out: the library orders by `ID`, which methods with camel case call `id`."""
        name = _id_name(self._method)
        if name != "ID" and isinstance(body, dict):
            if body.get("order") == {"ID": "ASC"}:
                body = {**body, "order": {name: "ASC"}}
            if isinstance(body.get("cmd"), dict):  # what people wrote is percent-encoded there, brackets included
                commands = {key: text.replace("order[ID]=", f"order[{name}]=") for key, text in body["cmd"].items()}
                body = {**body, "cmd": commands}
        return json.dumps(body)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if not str(request.url).startswith(self.endpoint):
            raise Permanent("запрос мимо портала / a request past the portal")
        trouble: Temporary = _late(self._method)
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
            await asyncio.to_thread(self._wait)
            try:
                response = await handler(request)
                body = await response.read()
                if 300 <= response.status < 400:
                    await asyncio.to_thread(self._rest.find_again, self.endpoint, self._done)
                    raise _AskAgain
                answer = read_answer(wire.Reply(response.status, {}, body), self._method)
            except (aiohttp.ClientError, TimeoutError) as error:
                words = f"{self._method}: нет связи с порталом / no connection to the portal ({type(error).__name__})"
                trouble = Temporary.after(words, wire.RETRY_DELAY)
                continue
            except OutcomeUnknown as error:
                trouble = Temporary(error.reason, retry_at=error.retry_at, code=error.code)  # a read: nothing was done
                continue
            if "error" not in answer:
                await asyncio.to_thread(self._observe, answer)
                return response
            refused = self._rest.error(response.status, answer, self._method, self.access)
            if isinstance(refused, OutcomeUnknown):
                trouble = Temporary(refused.reason, retry_at=refused.retry_at, code=refused.code)
                continue
            if not await asyncio.to_thread(self._rest.mend, refused, self._done):
                raise await asyncio.to_thread(self._rest.told, refused, [self._method])
            if refused_for_room(refused):
                continue
            raise _AskAgain
        raise trouble

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _late(self._method)
        self._rest.take([self._method], min(left, max(self._rest.wait_seconds, 60.0)))

    def _observe(self, answer: dict[str, Any]) -> None:
        """Hands every command's time to the limits, and ends the job on the first command that failed."""
        result = answer.get("result")
        inner = result if isinstance(result, dict) and "result_time" in result else None
        if inner is None and self.total is None and isinstance(answer.get("total"), int):
            self.total = answer["total"]
        times = inner.get("result_time") if inner is not None else [answer.get("time")]
        for spent in times.values() if isinstance(times, dict) else times or []:
            self._rest.limits.observe(self._rest.member_id, self._method, *operating_of(spent))
        errors = inner.get("result_error") if inner is not None else None
        first = next(iter(errors.values() if isinstance(errors, dict) else errors or []), None)
        if first is not None:
            failed = first if isinstance(first, dict) else {"error": first}
            error = self._rest.error(0, failed, self._method, self.access)
            log.info("%s: %s", self._method, error_words(failed)[0])
            raise _whole(self._rest.told(error, [self._method]))
        self._rest.works()


def refused_for_room(error: B24AppError) -> bool:
    """Tells whether the request was refused only because the portal's bucket is full."""
    return isinstance(error, Temporary) and error.code.upper() == "QUERY_LIMIT_EXCEEDED"


def _whole(error: B24AppError) -> B24AppError:
    """An unknown outcome of a read is only a reason to read again."""
    if isinstance(error, OutcomeUnknown):
        return Temporary(error.reason, retry_at=error.retry_at, code=error.code)
    return error


def _late(method: str) -> Temporary:
    return Temporary.after(f"{method}: список не прочитан вовремя / not read in time", wire.RETRY_DELAY)


def _be_silent(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Requests that were still under way when the first one failed: their errors say nothing new."""
    log.debug("fast-bitrix24: %s", type(context.get("exception")).__name__)


def _plain(value: Any) -> Any:
    """The kinds that come out the same in JSON and in the library's batches, where True would be the word `True`."""
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, bool):
        return int(value)
    return "" if value is None else value


def _fits_library(method: str, params: dict[str, Any], inside: bool = False) -> bool:
    """Whether the library writes these parameters right: it drops empty lists and trips over % in names."""
    if not inside and not method.lower().endswith((".list", ".getlist")):
        return False
    for key, value in params.items():
        children = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(children, dict):
            named = {str(name): child for name, child in children.items()}
            if "%" in key or not named or not _fits_library(method, named, inside=True):
                return False
        elif ("%" in key and inside) or (not inside and key.lower() in ("limit", "halt", "cmd")):
            return False
    return True


def _rows(method: str, result: Any) -> list[dict[str, Any]]:
    """The rows of an answer: a list, or the only list inside an object (items, tasks, ...)."""
    if isinstance(result, dict):
        lists = [value for value in result.values() if isinstance(value, list)]
        result = lists[0] if len(lists) == 1 else [] if not result else None
    if not isinstance(result, list) or not all(isinstance(row, dict) for row in result):
        raise Permanent(f"{method}: ответ не список / the answer is no list")
    return result


def _id_name(method: str) -> str:
    """What a method calls the primary key in `order`: `id` in the camel case of crm.item.list, else `ID`."""
    return "id" if method.lower().startswith(("crm.item.", "crm.type.")) else "ID"


def _id(row: Mapping[str, Any]) -> Any:
    return row.get("ID", row.get("id"))


def _id_order(row: Mapping[str, Any]) -> tuple[int, str]:
    text = str(_id(row) or "")
    return (int(text), "") if text.isdigit() else (0, text)


def _unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows once each by id, the later reading kept; rows without an id are all kept."""
    kept: dict[Any, dict[str, Any]] = {}
    for index, row in enumerate(rows):
        number = _id(row)
        kept[("row", index) if number in (None, "") else ("id", str(number))] = row
    return list(kept.values())
