"""Bulk reads by fast-bitrix24 against a portal that misbehaves: each trap of the library has its guard and its test."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
import redis as redis_client

from b24app.bitrix.bulk import Bulk
from b24app.bitrix.limits import Limits
from b24app.bitrix.rest import Rest
from b24app.errors import B24AppError, NotFound, OutcomeUnknown, PortalClosed, Temporary

from .scripted import Oauth, Reply, Request, Server, alarm_keys, ok, refused

LIST = "crm.lead.list"


class Book:
    """A list method of `count` rows, singly and in batches; `page` rows a page, `total` as the portal claims it."""

    def __init__(self, count: int, *, page: int = 50, total: int | None = None, operating: float = 0.1) -> None:
        self.rows = [{"ID": str(number), "TITLE": f"Лид {number}"} for number in range(1, count + 1)]
        self.page = page
        self.total = count if total is None else total
        self.operating = operating
        self.inner: dict[str, Any] = {}  # errors by number of the command in a batch

    def __call__(self, request: Request) -> Reply:
        if request.method != "batch":
            rows, following = self.cut(int(request.body.get("start", 0)))
            more = {"next": following} if following is not None else {}
            return ok(rows, operating=self.operating, total=self.total, **more)
        result: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        nexts: dict[str, Any] = {}
        times: dict[str, Any] = {}
        for number, (label, command) in enumerate(request.body["cmd"].items()):
            start = int(dict(parse_qsl(command.partition("?")[2])).get("start", 0))
            if str(number) in self.inner:
                errors[label] = self.inner[str(number)]
                continue
            result[label], following = self.cut(start)
            if following is not None:
                nexts[label] = following
            times[label] = {"operating": self.operating, "operating_reset_at": int(time.time()) + 200}
        return ok(
            {
                "result": result or [],
                "result_error": errors or [],
                "result_total": dict.fromkeys(result, self.total),
                "result_next": nexts or [],
                "result_time": times or [],
            }
        )

    def cut(self, start: int) -> tuple[list[Any], int | None]:
        end = start + self.page
        return self.rows[start:end], end if end < len(self.rows) else None


@pytest.fixture
def bulk(rest: Rest) -> Bulk:
    return Bulk(rest, deadline_seconds=30)


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["ID"]) for row in rows]


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 101, 260])
def test_every_row_comes_once_and_in_order(bulk: Bulk, portal: Server, count: int) -> None:
    portal.default = Book(count)
    assert ids(bulk.read_all(LIST, {"select": ["ID", "TITLE"]})) == list(range(1, count + 1))
    assert len(portal.requests) == (1 if count <= 50 else 2)


def test_a_slow_first_batch_does_not_shuffle_the_rows(bulk: Bulk, portal: Server) -> None:
    book = Book(50 * 60)

    def slow(request: Request) -> Reply:
        reply = book(request)
        if request.method == "batch" and len(portal.requests) == 2:
            reply.seconds = 0.4
        return reply

    portal.default = slow
    assert ids(bulk.read_all(LIST)) == list(range(1, 3001))
    assert portal.methods == [LIST, "batch", "batch"]


def test_the_token_goes_in_the_body_and_the_address_holds_no_secret(bulk: Bulk, portal: Server) -> None:
    portal.default = Book(120)
    bulk.read_all(LIST)
    assert {request.body["auth"] for request in portal.requests} == {"access-0"}
    assert {request.path for request in portal.requests} == {f"/rest/{LIST}", "/rest/batch"}


def test_rows_of_items_and_of_tasks_are_found(bulk: Bulk, portal: Server) -> None:
    portal.default = lambda request: ok({"items": [{"id": 2}, {"id": 1}]}, total=2)
    assert bulk.read_all("crm.stagehistory.list", {"entityTypeId": 1}) == [{"id": 1}, {"id": 2}]


# --- trap: 401 is repeated for ever ---


def test_a_token_that_stays_expired_ends_the_job(bulk: Bulk, portal: Server, oauth: Oauth) -> None:
    portal.default = lambda request: refused(401, "expired_token")
    with pytest.raises(Temporary):
        bulk.read_all(LIST)
    assert (len(portal.requests), oauth.count) == (2, 1)


@pytest.mark.parametrize("code", ["insufficient_scope", "INVALID_CREDENTIALS", "NO_AUTH_FOUND", "invalid_token"])
def test_any_other_401_ends_the_job_at_once(bulk: Bulk, portal: Server, oauth: Oauth, code: str) -> None:
    portal.default = lambda request: refused(401, code)
    with pytest.raises(B24AppError):
        bulk.read_all(LIST)
    assert (len(portal.requests), oauth.count) == (1, 0)


def test_a_token_that_expires_in_the_middle_is_renewed(bulk: Bulk, portal: Server, oauth: Oauth) -> None:
    book = Book(120)
    portal.default = lambda request: (
        refused(401, "expired_token")
        if request.method == "batch" and request.body["auth"] == "access-0"
        else book(request)
    )
    assert ids(bulk.read_all(LIST)) == list(range(1, 121))
    assert oauth.count == 1


# --- trap: a token function that fails hangs every later call ---


def test_a_refresh_that_fails_ends_the_job_and_the_next_one_works(bulk: Bulk, portal: Server, oauth: Oauth) -> None:
    portal.script = [refused(401, "expired_token")]
    oauth.default = lambda request: refused(500, "INTERNAL_SERVER_ERROR")
    began = time.monotonic()
    with pytest.raises(Temporary):
        bulk.read_all(LIST)
    assert time.monotonic() - began < 5
    portal.default = Book(3)
    assert ids(bulk.read_all(LIST)) == [1, 2, 3]


# --- trap: hanging, repeating by itself ---


def test_a_hanging_portal_ends_at_the_deadline(rest: Rest, portal: Server) -> None:
    book = Book(120)

    def hang(request: Request) -> Reply:
        reply = book(request)
        reply.seconds = 3.0 if request.method == "batch" else 0.0
        return reply

    portal.default = hang
    began = time.monotonic()
    with pytest.raises(Temporary) as caught:
        Bulk(rest, deadline_seconds=1.0).read_all(LIST)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    "reply",
    [
        Reply(how="drop"),
        Reply(200, {"result": []}, how="cut"),
        Reply(502, b"<html></html>", content_type="text/html"),
        Reply(200, b"<html>login</html>", content_type="text/html"),
        Reply(500, {"error": "INTERNAL_SERVER_ERROR", "error_description": ""}),
    ],
)
def test_a_passing_trouble_is_got_over_and_a_lasting_one_ends_soon(
    bulk: Bulk, portal: Server, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24app.bitrix.bulk.PAUSE_SECONDS", 0.01)
    portal.script = [reply]
    portal.default = Book(70)
    assert ids(bulk.read_all(LIST)) == list(range(1, 71))
    portal.requests.clear()
    portal.default = lambda request: reply
    with pytest.raises(Temporary) as caught:
        bulk.read_all(LIST)
    assert not isinstance(caught.value, OutcomeUnknown), "nothing is unknown about a read"
    assert len(portal.requests) <= 8


def test_a_portal_that_is_not_there_is_temporary(
    bulk: Bulk, portal: Server, monkeypatch: pytest.MonkeyPatch, rest: Rest
) -> None:
    monkeypatch.setattr("b24app.bitrix.bulk.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(rest, "where", lambda: ("http://127.0.0.1:1/rest/", "access-0"))
    with pytest.raises(Temporary):
        bulk.read_all(LIST)


# --- trap: redirects are followed with the token ---


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_is_not_followed(bulk: Bulk, portal: Server, oauth: Oauth, other_host: Server, status: int) -> None:
    portal.default = lambda request: Reply(status, b"", headers={"Location": f"{other_host.url}/rest/{LIST}"})
    with pytest.raises(Temporary):
        bulk.read_all(LIST)
    assert other_host.requests == []
    assert (len(portal.requests), oauth.count) == (1, 1)


def test_a_renamed_portal_is_read_at_its_new_place(
    bulk: Bulk, portal: Server, oauth: Oauth, other_host: Server
) -> None:
    portal.default = lambda request: Reply(302, b"", headers={"Location": "http://127.0.0.1:1/"})
    oauth.endpoint = f"{other_host.url}/rest/"
    other_host.default = Book(60)
    assert ids(bulk.read_all(LIST)) == list(range(1, 61))


# --- trap: lost and doubled results ---


def test_pages_of_another_length_lose_nothing(bulk: Bulk, portal: Server) -> None:
    portal.default = Book(95, page=20)
    assert ids(bulk.read_all(LIST)) == list(range(1, 96))


def test_rows_that_move_between_pages_come_once(bulk: Bulk, portal: Server) -> None:
    book = Book(120)
    book.rows[60] = {"ID": "7", "TITLE": "changed while we read"}

    portal.default = book
    rows = bulk.read_all(LIST)
    assert len(ids(rows)) == len(set(ids(rows)))
    assert set(ids(rows)) == set(range(1, 121)) - {61}


def test_equal_rows_without_an_id_are_all_kept(bulk: Bulk, portal: Server) -> None:
    book = Book(0, total=70)
    book.rows = [{"TITLE": "same"}] * 70
    portal.default = book
    assert len(bulk.read_all(LIST, {"select": ["TITLE"]})) == 70


def test_a_total_that_is_no_total_does_not_stop_the_reading(bulk: Bulk, portal: Server) -> None:
    portal.default = Book(60, total=500)
    assert ids(bulk.read_all(LIST)) == list(range(1, 61))


# --- trap: one bad command throws everything away, errors come as data ---


def test_a_failing_page_is_a_typed_error(bulk: Bulk, portal: Server) -> None:
    book = Book(260)
    book.inner = {"2": {"error": "NOT_FOUND", "error_description": "gone"}}
    portal.default = book
    with pytest.raises(NotFound):
        bulk.read_all(LIST)


def test_an_error_with_status_200_is_an_error(bulk: Bulk, portal: Server) -> None:
    portal.default = lambda request: refused(200, "PAYMENT_REQUIRED")
    with pytest.raises(PortalClosed):
        bulk.read_all(LIST)


# --- trap: the library's own limits ---


def test_every_request_waits_for_our_limiter(bulk: Bulk, portal: Server, limits: Limits, member_id: str) -> None:
    portal.default = Book(120)
    bulk.read_all(LIST)
    assert limits.level(member_id) == pytest.approx(2, abs=0.5)
    limits.park(member_id, LIST, None)
    with pytest.raises(Temporary):
        bulk.read_all(LIST)
    assert len(portal.requests) == 2


def test_query_limit_is_waited_out(
    bulk: Bulk, portal: Server, rest: Rest, redis: redis_client.Redis, member_id: str
) -> None:
    rest.urgent = True
    portal.script = [refused(503, "QUERY_LIMIT_EXCEEDED")]
    portal.default = Book(5)
    began = time.monotonic()
    assert ids(bulk.read_all(LIST)) == [1, 2, 3, 4, 5]
    assert time.monotonic() - began > 4, "ten of fifty have to leak first"


def test_overload_stops_the_portal(bulk: Bulk, portal: Server, limits: Limits, rest: Rest, member_id: str) -> None:
    portal.default = lambda request: refused(503, "OVERLOAD_LIMIT")
    for _ in range(2):
        with pytest.raises(PortalClosed):
            bulk.read_all(LIST)
    assert len(portal.requests) == 1
    assert limits.stopped(member_id) is not None
    assert alarm_keys(rest.database, member_id) == ["rest"]


def test_times_inside_a_batch_are_seen(bulk: Bulk, portal: Server, limits: Limits, member_id: str) -> None:
    portal.default = Book(120, operating=440.0)
    with pytest.raises(Temporary):
        bulk.read_all(LIST)  # the first page already says that the method is nearly out of time
    assert limits.parked(member_id, LIST) is not None
    assert portal.methods == [LIST]


def test_large_operating_times_do_not_make_the_library_sleep(bulk: Bulk, portal: Server) -> None:
    portal.default = Book(120, operating=400.0)
    began = time.monotonic()
    bulk.read_all(LIST)
    assert time.monotonic() - began < 5


# --- trap: words for None and True, lost empty lists ---


def test_parameters_mean_the_same_on_every_page(bulk: Bulk, portal: Server) -> None:
    portal.default = Book(120)
    bulk.read_all(LIST, {"filter": {"OPENED": True, ">ID": 0, "X": None, "@STATUS": ("NEW", "A&B")}})
    first, batch = (request.body for request in portal.requests)
    assert first["filter"] == {"OPENED": 1, ">ID": 0, "X": "", "@STATUS": ["NEW", "A&B"]}
    query = dict(parse_qsl(next(iter(batch["cmd"].values())).partition("?")[2], keep_blank_values=True))
    assert (query["filter[OPENED]"], query["filter[X]"]) == ("1", "")
    assert (query["filter[@STATUS][0]"], query["filter[@STATUS][1]"]) == ("NEW", "A&B")


@pytest.mark.parametrize("params", [{"filter": {"@ID": []}}, {"filter": {"%TITLE": "50%"}}, {"order": {"ID": "DESC"}}])
def test_what_the_library_writes_wrong_goes_page_by_page(bulk: Bulk, portal: Server, params: dict[str, Any]) -> None:
    portal.default = Book(120)
    rows = bulk.read_all(LIST, params)
    assert len(rows) == 120
    assert portal.requests[0].path.endswith(".json"), "by our own client"
    key, value = next(iter(params.items()))
    assert portal.requests[0].body[key] == value


def test_an_order_that_was_asked_for_is_kept(bulk: Bulk, portal: Server) -> None:
    book = Book(120)
    book.rows.reverse()
    portal.default = book
    assert ids(bulk.read_all(LIST, {"order": {"ID": "DESC"}})) == list(range(120, 0, -1))


# --- trap: secrets and personal data in exceptions and logs ---


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: refused(403, "ACCESS_DENIED", "token access-0 may not"),
        lambda request: refused(400, "ERROR_ARGUMENT", "access-0"),
        lambda request: Reply(200, b'{"result": {"a": "access-0", "b": "+79123456789"}}'),
        Book(120),
    ],
)
def test_neither_errors_nor_logs_tell_secrets_or_answers(
    bulk: Bulk,
    portal: Server,
    answer: Callable[[Request], Reply],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    portal.default = answer
    told = ""
    try:
        bulk.read_all(LIST, {"filter": {"PHONE": "+79123456789"}})
    except B24AppError as error:
        told = f"{error!r} {error} {error.__cause__!r}"
    out, err = capfd.readouterr()
    for text in (told, caplog.text, out, err):
        assert "access-0" not in text
        assert "+79123456789" not in text
    assert not [record for record in caplog.records if record.name == "fast_bitrix24"]


# --- the rest ---


@pytest.mark.parametrize("method", ["crm.lead.add", "crm.lead.update", "batch", "crm.lead.delete"])
def test_writes_never_go_this_way(bulk: Bulk, portal: Server, method: str) -> None:
    with pytest.raises(ValueError, match="reads lists"):
        bulk.read_all(method, {"fields": {}})
    assert portal.requests == []


def test_jobs_in_several_threads_do_not_disturb_each_other(rest: Rest, portal: Server) -> None:
    portal.default = Book(120)
    found: list[list[int]] = []

    def job() -> None:
        own = Rest(rest.database, rest.tokens, rest.limits, rest.member_id)
        found.append(ids(Bulk(own).read_all(LIST)))

    threads = [threading.Thread(target=job) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(1, 121))] * 6


def test_items_are_ordered_by_the_name_that_they_know(bulk: Bulk, portal: Server) -> None:
    book = Book(120)

    def items(request: Request) -> Reply:
        reply = book(request)
        if request.method == "batch":
            inner = reply.body["result"]["result"]
            reply.body["result"]["result"] = {label: {"items": rows} for label, rows in inner.items()}
        else:
            reply.body["result"] = {"items": reply.body["result"]}
        return reply

    portal.default = items
    rows = bulk.read_all("crm.item.list", {"entityTypeId": 1, "filter": {"%title": "order[ID]="}})
    assert ids(rows) == list(range(1, 121))
    first, batch = (request.body for request in portal.requests)
    assert first["order"] == {"id": "ASC"}
    query = dict(parse_qsl(next(iter(batch["cmd"].values())).partition("?")[2]))
    assert query["order[id]"] == "ASC"
    assert query["filter[%title]"] == "order[ID]="


def test_statistics_of_calls_are_read_page_by_page(bulk: Bulk, portal: Server) -> None:
    portal.default = Book(120)
    assert len(bulk.read_all("voximplant.statistic.get", {"FILTER": {">ID": 5}})) == 120
    assert portal.methods == ["voximplant.statistic.get", "batch"]
    assert (portal.requests[0].body["SORT"], portal.requests[0].body["ORDER"]) == ("ID", "ASC")
