"""A scripted portal with its authorization server on loopback, and everything that talks to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis as redis_client

from b24app.bitrix.limits import Limits
from b24app.bitrix.oauth import Pair, Tokens
from b24app.bitrix.rest import Rest
from b24app.config import Settings, parse
from b24app.store.database import Database

from .scripted import Oauth, Server, install, settings_text


@pytest.fixture
def portal() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def other_host() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def member_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def oauth(portal: Server, member_id: str) -> Iterator[Oauth]:
    server = Oauth()
    server.endpoint = f"{portal.url}/rest/"
    server.member_id = member_id
    yield server
    server.close()


@pytest.fixture
def settings(portal: Server, oauth: Oauth) -> Settings:
    return parse(settings_text(portal.host, oauth.url))


@pytest.fixture
def tokens(database: Database, settings: Settings, member_id: str, portal: Server) -> Tokens:
    """The tokens of an installed portal: user 1 is the owner."""
    install(database, member_id, portal.host)
    held = Tokens(database, settings)
    held.store(member_id, 1, "owner", Pair("access-0", "refresh-0", datetime.now(UTC) + timedelta(hours=1)))
    return held


@pytest.fixture
def redis(redis_url: str) -> Iterator[redis_client.Redis]:
    client = redis_client.Redis.from_url(redis_url)
    yield client
    client.close()


@pytest.fixture
def limits(redis: redis_client.Redis) -> Limits:
    return Limits(redis)


@pytest.fixture
def rest(database: Database, tokens: Tokens, limits: Limits, member_id: str) -> Rest:
    return Rest(database, tokens, limits, member_id, wait_seconds=2.0)
