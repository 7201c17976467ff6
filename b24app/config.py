"""config.toml -> frozen settings. Every mistake is reported at start, all at once, each by its key.

config.example.toml explains every key; a test holds the two together.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from b24app.errors import ConfigError
from b24app.mistakes import refused

VENDOR_OAUTH_URL = "https://oauth.bitrix24.tech"
VENDOR_JS_URL = "https://api.bitrix24.com/api/v1/"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def is_loopback(host: str) -> bool:
    """Tells whether `host` (with or without a port) is this machine: only there plain http is accepted."""
    return (host.rsplit(":", 1)[0] if not host.endswith("]") else host) in LOOPBACK


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("нужен адрес вида https://... / an address like https://... is needed")
    if parts.scheme == "http" and not is_loopback(parts.netloc):
        raise ValueError("http допустим только для 127.0.0.1 / http is accepted for 127.0.0.1 only")
    if parts.username or parts.password:
        raise ValueError("без имени и пароля в адресе / no user or password in the address")
    return value


def _oauth_origin(value: str) -> str:
    """The vendor's pages name the server by its token address or its rest address: either means the same server."""
    value = _web_address(value).rstrip("/")
    for tail in ("/oauth/token", "/oauth", "/rest"):
        value = value.removesuffix(tail)
    return value


def _portal_host(value: str) -> str:
    host = value.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/")
    if not host or any(sign in host for sign in "/@?# \\"):
        raise ValueError(
            "нужно имя портала без https:// и пути / the portal's host without https:// and path is needed"
        )
    return host


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AppSection(_Section):
    """[app]"""

    public_url: Annotated[str, AfterValidator(_web_address), AfterValidator(lambda url: url.rstrip("/"))]
    secret_key: Annotated[str, Field(min_length=32)]
    previous_secret_keys: tuple[str, ...] = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    metrics_key: str = ""


class Bitrix24Section(_Section):
    """[bitrix24]"""

    oauth_url: Annotated[str, AfterValidator(_oauth_origin)] = VENDOR_OAUTH_URL
    js_url: Annotated[str, AfterValidator(_web_address)] = VENDOR_JS_URL


class PortalSection(_Section):
    """One [[portals]] entry: a local application's id and secret are valid on one portal only."""

    host: Annotated[str, AfterValidator(_portal_host)]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Annotated[str, Field(min_length=1)]

    @property
    def url(self) -> str:
        """The portal's address: https, except on this machine."""
        return f"{'http' if is_loopback(self.host) else 'https'}://{self.host}"


class DatabaseSection(_Section):
    """[database]"""

    url: str = "sqlite:///var/b24app.db"


class RedisSection(_Section):
    """[redis]; an empty url means the embedded one, for `run` and `demo`."""

    url: str = ""


class PlaybookSection(_Section):
    """[playbook]; an empty path means the one that comes with the application."""

    path: str = ""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"не регулярное выражение / not a regular expression: {error}") from error
    return value


class SmsSection(_Section):
    """[sms]: the gateway's HTTP interface; an empty url means that no SMS is sent.

    {phone} (digits), {text}, {id} and {key} are replaced in url and fields, {id} and {key} in headers too. `sent` and
    `refused` are looked for in the answer; their first group is the provider's id and its reason.
    """

    url: str = ""
    key: str = ""
    method: Literal["GET", "POST"] = "POST"
    send_as: Literal["query", "form", "json"] = "form"
    fields: dict[str, Any] = {}
    headers: dict[str, str] = {}
    sent: Annotated[str, AfterValidator(_pattern)] = ""
    refused: Annotated[str, AfterValidator(_pattern)] = ""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 20

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return _web_address(value) if value else value

    @model_validator(mode="after")
    def _tells_sent_from_refused(self) -> SmsSection:
        if not self.url:
            return self
        if not self.sent:
            raise ValueError("sent: по чему в ответе видно, что SMS принята? / what in the answer says so?")
        if self.method == "GET" and self.send_as != "query":
            raise ValueError("send_as: при GET поля идут в адресе, нужно query / GET carries its fields as query")
        if not "".join((self.key, *self.headers.values())).isascii():
            raise ValueError("key, headers: только латиница / ASCII only")
        if self.send_as != "json" and not all(isinstance(value, str) for value in self.fields.values()):
            raise ValueError("fields: вложенное и числа бывают только при send_as = 'json' / texts only, unless json")
        template = str((self.url, self.fields))
        for name in ("{phone}", "{text}"):
            if name not in template:
                raise ValueError(f"{name} нет ни в url, ни в fields / stands neither in url nor in fields")
        return self


class RunSection(_Section):
    """[run]: how `b24app run` lays itself out on one machine."""

    workers: Annotated[int, Field(ge=1, le=64)] = 2
    data: str = "var"


class Settings(_Section):
    """The whole configuration."""

    app: AppSection
    bitrix24: Bitrix24Section = Bitrix24Section()
    portals: Annotated[tuple[PortalSection, ...], Field(min_length=1)]
    database: DatabaseSection = DatabaseSection()
    redis: RedisSection = RedisSection()
    playbook: PlaybookSection = PlaybookSection()
    sms: SmsSection = SmsSection()
    run: RunSection = RunSection()

    @model_validator(mode="after")
    def _portals_are_distinct(self) -> Settings:
        ids = [portal.client_id for portal in self.portals]
        if len(ids) != len(set(ids)):
            raise ValueError("portals: client_id повторяется / the same client_id stands twice")
        return self

    def portal_of(self, client_id: str) -> PortalSection | None:
        """Returns the entry of the local application, or None when it is not ours."""
        return next((portal for portal in self.portals if portal.client_id == client_id), None)

    @property
    def encryption_keys(self) -> tuple[bytes, ...]:
        """Fernet keys made from the secret keys, the present one first; older ones only read."""
        secrets = (self.app.secret_key, *self.app.previous_secret_keys)
        return tuple(base64.urlsafe_b64encode(hashlib.sha256(b"tokens:" + s.encode()).digest()) for s in secrets)


def load(path: str | Path) -> Settings:
    """Returns the settings of a config.toml; ConfigError names every mistake by its key."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: файл не читается / cannot be read: {error.strerror}") from error
    return parse(text, str(path))


def parse(text: str, name: str = "config.toml") -> Settings:
    """Returns the settings of a configuration's text; ConfigError names every mistake by its key."""
    try:
        return Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: не TOML / not TOML: {error}") from error
    except ValidationError as error:
        raise refused(name, error) from None
