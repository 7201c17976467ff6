"""The table of error codes: whose move each is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.bitrix.codes import CODES, error_of, meaning
from b24app.errors import (
    AccessDenied,
    B24AppError,
    NotFound,
    OutcomeUnknown,
    Permanent,
    PortalClosed,
    Temporary,
)


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (401, "expired_token", "The access token provided has expired", Temporary),
        (503, "QUERY_LIMIT_EXCEEDED", "Too many requests", Temporary),
        (429, "OPERATION_TIME_LIMIT", "Method is blocked", Temporary),
        (503, "OVERLOAD_LIMIT", "REST API is blocked due to overload", PortalClosed),
        (500, "INTERNAL_SERVER_ERROR", "Internal server error", OutcomeUnknown),
        (500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response", OutcomeUnknown),
        (401, "NO_AUTH_FOUND", "Wrong authorization data", PortalClosed),
        (401, "invalid_token", "", PortalClosed),
        (401, "authorization_error", "", PortalClosed),
        (401, "PAYMENT_REQUIRED", "", PortalClosed),
        (403, "user_access_error", "", PortalClosed),
        (403, "INVALID_CREDENTIALS", "Invalid request credentials", AccessDenied),
        (401, "INVALID_CREDENTIALS", "Invalid request credentials", AccessDenied),
        (403, "insufficient_scope", "", Permanent),
        (401, "insufficient_scope", "", Permanent),
        (410, "PORTAL_DELETED", "", PortalClosed),
        (500, "PORTAL_DELETED", "", PortalClosed),
        (403, "ACCESS_DENIED", "REST API is available only on commercial plans", PortalClosed),
        (403, "ACCESS_DENIED", "Access denied!", AccessDenied),
        (400, "ACCESS_DENIED", "Access denied! Application context required", AccessDenied),
        (401, "METHOD_CONFIRM_WAITING", "", Permanent),
        (404, "ERROR_METHOD_NOT_FOUND", "Method not found!", Permanent),
        (400, "NOT_FOUND", "Элемент не найден", NotFound),
        (400, "CALL_NOT_FOUND", "", NotFound),
        (400, "", "Not found", NotFound),
        (400, 0, "Задача не найдена", NotFound),
        (400, 100, "Could not find value for parameter {fields}", Permanent),
        (400, "", "Access denied.", AccessDenied),
        (0, "", "Не удалось", Permanent),
        (429, "", "", Temporary),
        (503, "SOMETHING_NEW", "", OutcomeUnknown),
        (401, "SOMETHING_NEW", "", PortalClosed),
        (403, "SOMETHING_NEW", "", AccessDenied),
        (400, "BITRIX_REST_V3_EXCEPTION_ENTITYNOTFOUNDEXCEPTION", "", NotFound),
        (403, "BITRIX_REST_V3_EXCEPTION_ACCESSDENIEDEXCEPTION", "", AccessDenied),
        (403, "BITRIX_REST_V3_EXCEPTION_INSUFFICIENTSCOPEEXCEPTION", "", Permanent),
        (422, "BITRIX_REST_V3_EXCEPTION_IDEMPOTENCYKEYREUSEDEXCEPTION", "", Permanent),
        (400, "invalid_grant", "", PortalClosed),
        (200, "wrong_client", "", PortalClosed),
    ],
)
def test_each_code_says_whose_move_it_is(status: int, code: object, text: str, expected: type[B24AppError]) -> None:
    error = error_of(status, code, text, "crm.item.get")
    assert type(error) is expected
    assert "crm.item.get" in str(error)


@pytest.mark.parametrize("code", sorted(CODES))
def test_codes_are_compared_in_capitals(code: str) -> None:
    assert meaning(400, code.lower(), "") is meaning(400, code.upper(), "")


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_words_in_two_languages_and_a_page(code: str) -> None:
    known = CODES[code]
    assert known.ru
    assert known.en.isascii()
    assert known.page.endswith(".md")


@given(
    st.integers(0, 599),
    st.one_of(st.text(), st.integers(), st.none(), st.booleans()),
    st.text(),
)
def test_whatever_the_portal_says_becomes_one_of_our_errors(status: int, code: object, text: str) -> None:
    error = error_of(status, code, text, "m")
    assert isinstance(error, Temporary | Permanent)
    if isinstance(error, Temporary):
        assert error.retry_at is not None
