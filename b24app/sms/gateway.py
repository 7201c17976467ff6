"""The SMS gateway: one message out, and one of four outcomes that say whose move it is.

    Sent      the gateway took it
    Refused   it did not, and repeating changes nothing; `whole`: it would refuse every message (no account, no address)
    Later     it certainly did not get it: nobody was there, or it asked to wait
    Unknown   it was sent, and no answer says what became of it: never sent again by us, a person looks

HttpGateway is any provider with an HTTP interface, described in [sms] of config.toml. Nothing of a request stands in
logs or reasons but the provider's host name; of an answer only what the setting `refused` caught.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from b24app.bitrix import wire
from b24app.config import SmsSection
from b24app.errors import OutcomeUnknown, Temporary

WAIT = timedelta(minutes=1)
REASON_LENGTH = 200


@dataclass(frozen=True)
class Message:
    """One SMS. `phone` in E.164; `id` names this very message, for providers that know a repeat by it."""

    phone: str
    text: str
    id: str


@dataclass(frozen=True)
class Sent:
    """The gateway took it; `id` is the provider's, where it names one."""

    id: str = ""


@dataclass(frozen=True)
class Refused:
    """It did not, with its reason."""

    reason: str
    whole: bool = False


@dataclass(frozen=True)
class Later:
    """It never got it; try again then."""

    reason: str
    retry_at: datetime


@dataclass(frozen=True)
class Unknown:
    """Nobody knows whether it went out."""

    reason: str


Outcome = Sent | Refused | Later | Unknown


class Gateway(Protocol):
    """What sends messages; never raises."""

    def send(self, message: Message) -> Outcome:
        """Sends one message."""
        ...


class NoGateway:
    """Stands where [sms] names none."""

    def send(self, message: Message) -> Outcome:
        """Refuses every message."""
        return Refused("SMS-шлюз не настроен: [sms] url пуст / no SMS gateway: [sms] url is empty", whole=True)


NO_GATEWAY = NoGateway()


def gateway_of(settings: SmsSection) -> Gateway:
    """Returns the configured gateway."""
    return HttpGateway(settings) if settings.url else NO_GATEWAY


class HttpGateway:
    """A provider as [sms] describes it."""

    def __init__(self, settings: SmsSection) -> None:
        self._settings = settings
        self._sent = re.compile(settings.sent)
        self._refused = re.compile(settings.refused) if settings.refused else None

    def send(self, message: Message) -> Outcome:
        """Sends one message over a connection of its own: one kept alive could break, with the outcome unknown."""
        settings = self._settings
        values = {
            "{phone}": message.phone.removeprefix("+"),
            "{text}": message.text,
            "{id}": message.id,
            "{key}": settings.key,
        }
        url = _filled(settings.url, values, lambda value: quote(value, safe=""))
        fields = _filled(dict(settings.fields), values)
        headers = _filled(dict(settings.headers), {"{id}": message.id, "{key}": settings.key})
        if settings.send_as == "query" and fields:
            parts = urlsplit(url)
            url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(fields))))))
        session = wire.open_session()
        try:
            reply = wire.post(
                session,
                url,
                method=settings.method,
                json=fields if settings.send_as == "json" and fields else None,
                form=fields if settings.send_as == "form" and fields else None,
                headers=headers,
                read_seconds=settings.timeout_seconds,
            )
        except OutcomeUnknown as trouble:
            return Unknown(trouble.reason)
        except Temporary as trouble:
            return Later(trouble.reason, trouble.retry_at or datetime.now(UTC) + WAIT)
        finally:
            session.close()
        return self._outcome(reply)

    def _outcome(self, reply: wire.Reply) -> Outcome:
        host, status = urlsplit(self._settings.url).netloc, reply.status
        text = _readable(reply.body)
        why = self._caught(self._refused, text)
        if status == 429:
            return Later(f"{host}: просит подождать (429) / asks to wait", datetime.now(UTC) + WAIT)
        if 300 <= status < 400:
            return Refused(f"{host}: перенаправляет ({status}), поправьте [sms] url / redirects", whole=True)
        if 400 <= status < 500:
            whole = status in (401, 402, 403, 404, 405)
            return Refused(f"{host}: {status}{f' {why}' if why else ''}", whole=whole)
        if why is not None:
            return Refused(f"{host}: {why or 'отказ / refused'}")
        if 200 <= status < 300:
            id = self._caught(self._sent, text)
            if id is not None:
                return Sent(id)
            return Unknown(f"{host}: ответ не похож ни на успех, ни на отказ / neither success nor refusal")
        return Unknown(f"{host}: {status}")

    def _caught(self, pattern: re.Pattern[str] | None, text: str) -> str | None:
        """Returns what the pattern's first group caught ("" where it has none), or None where it does not match."""
        found = pattern.search(text) if pattern is not None else None
        if found is None:
            return None
        caught = (found.group(1) or "") if found.re.groups else ""
        if self._settings.key:
            caught = caught.replace(self._settings.key, "***")
        return caught[:REASON_LENGTH]


def _filled(value: Any, values: Mapping[str, str], write: Callable[[str], str] = str) -> Any:
    """Returns the template with {phone}, {text}, {id} and {key} replaced, once each: a text with braces stays one."""
    if isinstance(value, str):
        return re.sub("|".join(map(re.escape, values)), lambda found: write(values[found[0]]), value)
    if isinstance(value, Mapping):
        return {name: _filled(inner, values, write) for name, inner in value.items()}
    return [_filled(inner, values, write) for inner in value] if isinstance(value, list | tuple) else value


def _readable(body: bytes) -> str:
    """Returns the answer as text; JSON with its letters in place of \\uXXXX."""
    text = body.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text
