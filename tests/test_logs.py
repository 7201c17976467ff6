"""What must never stand in a log line."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app import logs

TOKEN = "5f3b1c2d4e6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f80"
SHORT = "s3cretV4lue"


@pytest.mark.parametrize(
    "text",
    [
        f"answer {{'access_token': '{SHORT}', 'expires': 3600}}",
        f'{{"refresh_token":"{SHORT}"}}',
        f"POST auth={SHORT}&id=1",
        f"auth[application_token]={SHORT}",
        f"AUTH_ID={SHORT}",
        f"client_secret={SHORT}",
        f"Authorization: Bearer {SHORT}",
        f"https://company.bitrix24.ru/rest/1/{SHORT}/crm.lead.get",
        f"redis://:{SHORT}@127.0.0.1:6379/0",
        f"postgresql://b24app:{SHORT}@db/b24app",
    ],
)
def test_it_masks_a_secret_by_its_name(text: str) -> None:
    assert SHORT not in logs.masked(text)


def test_it_masks_a_token_that_nothing_names() -> None:
    assert TOKEN not in logs.masked(f"unexpected {TOKEN} here")


@pytest.mark.parametrize(
    "phone",
    ["+79123456789", "+7 912 345-67-89", "+7 (912) 345-67-89", "89123456789", "8 912 345 67 89", "+442071838750"],
)
def test_it_leaves_four_digits_of_a_phone(phone: str) -> None:
    line = logs.masked(f"call=7 phone={phone} state=missed")
    digits = "".join(sign for sign in phone if sign.isdigit())
    assert phone not in line
    assert f"phone=***{digits[-4:]} state=missed" in line


@pytest.mark.parametrize(
    "text",
    [
        "delivery=79123456 state=done attempts=3",
        "member_id=0123456789abcdef0123456789abcdef host=company.bitrix24.ru",
        "at=2026-11-22T09:10:00.123Z due=2026-11-22T12:10:00+03:00",
        "ts=1760000000 took_ms=12",
        "entity=lead:42 code=ONCRMLEADADD",
    ],
)
def test_it_leaves_alone_what_is_no_secret(text: str) -> None:
    assert logs.masked(text) == text


@given(st.text(max_size=200))
def test_a_given_secret_never_survives(noise: str) -> None:
    assert SHORT not in logs.masked(f"{noise}{SHORT}{noise}", [SHORT])


def test_a_record_is_one_masked_line_with_its_trace() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.LineFormatter([SHORT]))
    logger = logging.Logger("b24app.engine.run")
    logger.addHandler(handler)
    try:
        raise ValueError(f"portal said\n{SHORT}")
    except ValueError:
        logger.error("delivery=%s state=failed", 7, exc_info=sys.exc_info())
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "level=error from=b24app.engine.run delivery=7 state=failed trace=" in line
    assert "ValueError" in line
    assert SHORT not in line


def test_a_stream_that_is_closed_does_not_stop_the_work() -> None:
    stream = io.StringIO()
    logs.setup("INFO", stream=stream)
    stream.close()
    logging.getLogger("b24app.web").info("path=%s", "/event")
