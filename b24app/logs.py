"""One line per step, key=value, without a token or a client's whole phone number.

Modules write `logging.getLogger(__name__).info("delivery=%s state=done", ...)`; the line around it, and the masks over
all of it (arguments and exception texts too), are made here.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import IO

MASK = "***"

_NAMES = (
    "access_token|refresh_token|application_token|event_token|client_secret|secret_key|password|authorization"
    "|auth_id|refresh_id|auth"
)
# name=value, name: value, "name": "value", auth[name]=value
_NAMED = re.compile(
    rf"(?P<name>\b(?:{_NAMES})\b\]?[\"']?\s*(?:=|:|%3D)\s*(?:Bearer\s+)?[\"']?)(?P<value>[^\s\"'&,;}}{{\[\]()]{{6,}})",
    re.IGNORECASE,
)
_WEBHOOK = re.compile(r"(/rest/(?:api/)?\d+/)[A-Za-z0-9]{8,}")
_LONG_HEX = re.compile(r"\b[0-9a-f]{40,}\b", re.IGNORECASE)  # access tokens; a member_id has 32 digits and may be read
_URL_PASSWORD = re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+(?=@)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What ends a line, colours a terminal, or turns the reading direction: a client's name may hold it."""
_PHONE = re.compile(r"(?<![\w.:+-])(?:\+\d|[78](?=[\s(-]?\(?9\d\d))(?:[\s()-]{0,2}\d){9,13}(?![\w.:])")


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Returns the text without tokens, secrets and passwords; of a phone number four last digits are left."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _NAMED.sub(rf"\g<name>{MASK}", text)
    text = _WEBHOOK.sub(rf"\g<1>{MASK}", text)
    text = _LONG_HEX.sub(MASK, text)
    text = _URL_PASSWORD.sub(rf"\g<1>{MASK}", text)
    return _PHONE.sub(lambda found: MASK + re.sub(r"\D", "", found.group())[-4:], text)


class LineFormatter(logging.Formatter):
    """Formats a record as one masked line: `at=... level=info from=b24app.engine.run <message> trace="..."`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if len(secret) >= 6)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        level = record.levelname.lower()
        line = f"at={at}.{int(record.msecs):03d}Z level={level} from={record.name} {record.getMessage()}"
        if record.exc_info:
            line += f' trace="{self.formatException(record.exc_info)}"'
        line = line.replace("\r", "").replace("\n", "\\n")
        return masked(_CONTROLS.sub(lambda found: ascii(found.group())[1:-1], line), self._secrets)


class _Handler(logging.StreamHandler[IO[str]]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Says where, and not what: Python's own words would tell the arguments, unmasked. Never stops the work."""
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more, or the stream is closed
            self.stream.write(f"level=error from={record.name} line={record.lineno} unwritten=1\n")


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    told = (kind, error or kind(), trace)
    logging.getLogger(__name__).critical("uncaught=%s", kind.__name__, exc_info=told)


def setup(level: str = "INFO", *, secrets: Iterable[str] = (), stream: IO[str] | None = None) -> None:
    """Sends every log line of this process to `stream` (standard error), masked; `secrets` are masked by value."""
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(secrets))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Libraries that tell every request or answer in full: their lines hold clients' data.
    for name in ("urllib3", "fast_bitrix24", "aiohttp", "asyncio", "alembic", "rq.worker", "rq"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def tell_uncaught() -> None:
    """Makes what nobody caught a line like any other: the interpreter's own words would show it unmasked."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda hook: _uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)
