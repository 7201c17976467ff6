"""The HTTP gateway: what is asked, and which of the four outcomes each answer is."""

from __future__ import annotations

import logging
import socket
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import responses
from fake_gateway import KEY, REFUSAL, FakeGateway, fake_gateway
from pydantic import ValidationError

from b24app.config import SmsSection
from b24app.sms.gateway import NO_GATEWAY, HttpGateway, Later, Message, Refused, Sent, Unknown, gateway_of

MESSAGE = Message("+79123456789", "Ждём вас {id} & «завтра» 10:00", "abc123")


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as one:
        yield one


def of(gateway: FakeGateway, **changes: Any) -> HttpGateway:
    return HttpGateway(SmsSection(**{**tomllib.loads(gateway.config)["sms"], **changes}))


def test_a_message_goes_out_as_the_template_says(gateway: FakeGateway) -> None:
    assert of(gateway).send(MESSAGE) == Sent("m1")
    (asked,) = gateway.asked
    assert asked["verb"] == "POST"
    assert asked["fields"] == {"api_id": KEY, "to": "79123456789", "msg": MESSAGE.text, "id": "abc123"}


def test_the_address_may_carry_everything(gateway: FakeGateway) -> None:
    url = gateway.url + "?to=%2B{phone}&msg={text}&key={key}"
    assert of(gateway, url=url, fields={}, method="GET", send_as="query").send(MESSAGE) == Sent("m1")
    (asked,) = gateway.asked
    assert (asked["verb"], asked["fields"]) == ("GET", {"to": "+79123456789", "msg": MESSAGE.text, "key": KEY})


def test_fields_may_be_nested_json_and_the_key_a_header(gateway: FakeGateway) -> None:
    fields = {"messages": [{"to": "{phone}", "text": "{text}", "ttl": 60}], "id": "{id}"}
    headers = {"Authorization": "Bearer {key}"}
    assert of(gateway, fields=fields, headers=headers, send_as="json").send(MESSAGE) == Sent("m1")
    (asked,) = gateway.asked
    assert asked["fields"] == {
        "messages": [{"to": "79123456789", "text": MESSAGE.text, "ttl": 60}],
        "id": "abc123",
    }
    assert asked["headers"]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("cue", "outcome", "whole", "reason"),
    [
        ("refuse", Refused, False, REFUSAL),
        ("400", Refused, False, "400"),
        ("401", Refused, True, "401"),
        ("404", Refused, True, "404"),
        ("redirect", Refused, True, "302"),
        ("429", Later, None, "429"),
        ("500", Unknown, None, "500"),
        ("502", Unknown, None, "502"),
        ("garbage", Unknown, None, "ни на успех, ни на отказ"),
        ("lost", Unknown, None, "оборвано"),
        ("slow", Unknown, None, "нет ответа вовремя"),
    ],
)
def test_each_answer_is_one_of_four_outcomes(
    gateway: FakeGateway, cue: str, outcome: type, whole: bool | None, reason: str
) -> None:
    gateway.cues = [cue]
    got = of(gateway).send(MESSAGE)
    gateway.released.set()
    assert type(got) is outcome
    assert reason in got.reason  # type: ignore[union-attr]
    assert getattr(got, "whole", None) is whole
    assert len(gateway.asked) == 1  # it repeats nothing by itself, and follows no redirect


def test_a_provider_that_knows_the_id_refuses_the_repeat(gateway: FakeGateway) -> None:
    assert of(gateway).send(MESSAGE) == Sent("m1")
    assert of(gateway).send(MESSAGE) == Refused(f"{gateway.url.split('/')[2]}: Такое сообщение уже было")
    assert len(gateway.sent) == 1


def test_nobody_there_means_later() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/?to={{phone}}&msg={{text}}"
        got = HttpGateway(SmsSection(url=url, sent="OK")).send(MESSAGE)
    assert isinstance(got, Later)
    assert got.retry_at > datetime.now(UTC)


@responses.activate
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (requests.exceptions.ConnectTimeout(), Later),
        (requests.exceptions.ReadTimeout(), Unknown),
        (requests.exceptions.ConnectionError("Connection aborted."), Unknown),
        (requests.exceptions.ChunkedEncodingError(), Unknown),
    ],
)
def test_a_broken_connection_is_unknown_unless_it_was_never_made(error: Exception, outcome: type) -> None:
    responses.post("https://sms.example.ru/send", body=error)
    fields = {"to": "{phone}", "msg": "{text}"}
    got = HttpGateway(SmsSection(url="https://sms.example.ru/send", fields=fields, sent="OK")).send(MESSAGE)
    assert type(got) is outcome


@responses.activate
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            '{"status": "OK", "status_code": 100, "sms": {"79123456789": {"status": "OK", "status_code": 100, '
            '"sms_id": "000000-10000000"}}, "balance": 4122.56}',
            Sent("000000-10000000"),
        ),
        (
            '{"status": "OK", "status_code": 100, "sms": {"79123456789": {"status": "ERROR", "status_code": 207, '
            '"status_text": "\\u041d\\u0435\\u0442 \\u043f\\u0443\\u0442\\u0438"}}, "balance": 4122.56}',
            Refused("sms.ru: Нет пути"),
        ),
        (
            '{"status": "ERROR", "status_code": 301, "status_text": "Неверный пароль"}',
            Refused("sms.ru: Неверный пароль"),
        ),
    ],
)
def test_the_example_for_one_large_provider_reads_its_answers(answer: str, outcome: Any) -> None:
    responses.post("https://sms.ru/sms/send", body=answer)
    gateway = HttpGateway(
        SmsSection(
            url="https://sms.ru/sms/send",
            key="k",
            fields={"api_id": "{key}", "to": "{phone}", "msg": "{text}", "json": "1"},
            sent='"sms_id": "([^"]+)"',
            refused='"status_text": "([^"]*)"',
        )
    )
    assert gateway.send(MESSAGE) == outcome


def test_no_log_and_no_reason_holds_the_key(gateway: FakeGateway, caplog: pytest.LogCaptureFixture) -> None:
    gateway.cues = ["echo", "500", "lost"]
    with caplog.at_level(logging.DEBUG):
        url = gateway.url + "?key={key}"
        reasons = [of(gateway, url=url).send(MESSAGE) for _ in range(3)]
    assert "wrong key ***" in str(reasons[0])
    assert KEY not in str(reasons)
    said = "\n".join(one.getMessage() for one in caplog.records if one.levelno > logging.DEBUG)
    assert KEY not in said


def test_an_empty_url_refuses_with_what_to_do() -> None:
    assert gateway_of(SmsSection()) is NO_GATEWAY
    got = NO_GATEWAY.send(MESSAGE)
    assert isinstance(got, Refused)
    assert got.whole
    assert "[sms] url" in got.reason


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sent": ""}, "sent"),
        ({"sent": "("}, "регулярное"),
        ({"method": "GET"}, "query"),
        ({"fields": {"to": "{phone}"}}, "{text}"),
        ({"fields": {"to": "{phone}", "msg": "{text}", "n": 1}}, "json"),
        ({"url": "http://sms.example.ru"}, "127.0.0.1"),
        ({"key": "ключ"}, "ASCII"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_a_mistake_in_the_settings_is_named_at_start(changes: dict[str, Any], word: str) -> None:
    good = {"url": "https://sms.example.ru", "fields": {"to": "{phone}", "msg": "{text}"}, "sent": "OK"}
    SmsSection(**good)
    with pytest.raises(ValidationError) as caught:
        SmsSection(**{**good, **changes})
    assert word in str(caught.value)
