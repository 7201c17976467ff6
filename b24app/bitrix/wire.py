"""One HTTP request (portal, authorization server, SMS gateway): bounded in time and size, never redirected.

What decides everything above is whether the request may have been carried out. Temporary means that it certainly was
not (nobody was there); OutcomeUnknown means that it was sent and no whole answer came.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError

from b24app.config import is_loopback
from b24app.errors import OutcomeUnknown, Temporary

CONNECT_SECONDS = 3.0
READ_SECONDS = 65.0
"""The cloud cuts a request after 60 seconds (limits.md); its own answer to that should still reach us."""
BODY_BYTES = 64 * 1024 * 1024
RETRY_DELAY = timedelta(seconds=15)

_local = threading.local()


@dataclass(frozen=True)
class Reply:
    """A whole HTTP answer, whatever it says."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class BrokenConnection(OutcomeUnknown):
    """The connection ended after the request was sent, e.g. a kept-alive one that the other side had closed."""


def shared_session() -> requests.Session:
    """Returns this thread's kept-alive session; a forked child gets one of its own."""
    kept: tuple[int, requests.Session] | None = getattr(_local, "session", None)
    if kept is None or kept[0] != os.getpid():
        kept = (os.getpid(), open_session())
        _local.session = kept
    return kept[1]


def open_session() -> requests.Session:
    """Returns a new session: kept alive, without cookies, without .netrc, repeating nothing by itself."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = _add_nothing
    session.headers.update({"User-Agent": "b24app", "Accept": "application/json"})
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=4, max_retries=0))
    return session


def _add_nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stands where requests would otherwise look the host up in .netrc."""
    return request


def post(
    session: requests.Session,
    url: str,
    *,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    read_seconds: float = READ_SECONDS,
    method: str = "POST",
) -> Reply:
    """Returns the answer to a POST (or `method`). Temporary: certainly not carried out; OutcomeUnknown: nobody knows.

    Texts of errors name the host only: secrets stand in bodies, and what requests itself says is not repeated.
    """
    host = urlsplit(url).netloc
    deadline = time.monotonic() + CONNECT_SECONDS + read_seconds + 10
    proxies = {"http": "", "https": ""} if is_loopback(host) else None
    try:
        with session.request(
            method,
            url,
            json=json,
            data=form,
            headers=headers,
            timeout=(CONNECT_SECONDS, read_seconds),
            allow_redirects=False,
            stream=True,
            proxies=proxies,
        ) as response:
            parts, size = [], 0
            for part in response.iter_content(65536):
                parts.append(part)
                size += len(part)
                if size > BODY_BYTES or time.monotonic() > deadline:
                    raise OutcomeUnknown(f"{host}: ответ слишком велик или долог / the answer is too large or too slow")
            return Reply(response.status_code, dict(response.headers), b"".join(parts))
    except requests.exceptions.ConnectTimeout:
        raise Temporary.after(f"{host}: нет соединения / no connection", RETRY_DELAY) from None
    except requests.exceptions.Timeout:
        raise OutcomeUnknown.after(f"{host}: нет ответа вовремя / no answer in time", RETRY_DELAY) from None
    except requests.exceptions.ConnectionError as error:
        if _never_connected(error):
            raise Temporary.after(f"{host}: нет соединения / no connection", RETRY_DELAY) from None
        raise BrokenConnection.after(f"{host}: соединение оборвано / the connection broke", RETRY_DELAY) from None
    except requests.exceptions.RequestException as error:
        name = type(error).__name__
        raise OutcomeUnknown.after(f"{host}: ответ оборван / the answer is cut ({name})", RETRY_DELAY) from None


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
    failed = error.args[0] if error.args else None
    if not isinstance(failed, MaxRetryError):
        return False
    if isinstance(error, requests.exceptions.SSLError):
        # only the certificate is certainly looked at before the request leaves: other troubles may come after it
        return isinstance(getattr(failed.reason, "args", (None,))[0], ssl.SSLCertVerificationError)
    return isinstance(error, requests.exceptions.ProxyError) or isinstance(failed.reason, NewConnectionError)
