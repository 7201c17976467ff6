"""An application with a small catalogue, its own SQLite file, and nobody at Redis: the doors must not care."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from b24app import config
from b24app.bitrix.oauth import token_digest
from b24app.engine.declare import URGENT, Catalogue, EventCall, Handler, Property, Reply, Robot
from b24app.pages import PLACEMENTS
from b24app.services import Services, build
from b24app.store import schema
from b24app.store.portals import install_portal
from b24app.web import create_app

SECRET = "k" * 40
MEMBER = "0123456789abcdef0123456789abcdef"
TOKEN = "application-token-of-the-portal"
NOBODY_AT_REDIS = "redis://127.0.0.1:1/0"


def nothing(*_: Any) -> Any:
    return []


def lead_of(call: EventCall) -> str | None:
    return f"lead:{call.field_id}" if call.field_id else None


CATALOGUE = Catalogue(
    robots=(
        Robot(
            code="assign_manager",
            name={"ru": "Назначить свободного менеджера", "en": "Assign a free manager"},
            description={"ru": "Выбирает свободного", "en": "Chooses who is free"},
            properties=(
                Property("department", {"ru": "Отдел", "en": "Department"}, "int"),
                Property(
                    "order",
                    {"ru": "Порядок", "en": "Order"},
                    "select",
                    required=True,
                    default="in_turn",
                    options={
                        "in_turn": {"ru": "по очереди", "en": "in turn"},
                        "least_loaded": {"ru": "наименее занятый", "en": "least loaded"},
                    },
                ),
            ),
            returns=(Property("manager", {"ru": "Менеджер", "en": "Manager"}, "user"),),
            decision=dict,
            read=nothing,
            decide=nothing,
            act=nothing,
            answer=lambda decision: Reply({}, ""),
            priority=URGENT,
        ),
    ),
    handlers=(
        Handler(event="ONCRMLEADADD", entity=lead_of, decision=dict, read=nothing, decide=nothing, act=nothing),
        Handler(
            event="ONVOXIMPLANTCALLEND",
            entity=lambda call: f"call:{call.data['CALL_ID']}",
            decision=dict,
            read=nothing,
            decide=nothing,
            act=nothing,
        ),
    ),
    placements=PLACEMENTS,
)


def settings_of(tmp_path: Path, **portal: str) -> config.Settings:
    known = {"host": "portal.bitrix24.ru", "client_id": "local.1", "client_secret": "s3cr3t", **portal}
    return config.Settings.model_validate(
        {
            "app": {"public_url": "https://app.example.com", "secret_key": SECRET},
            "portals": [known],
            "database": {"url": f"sqlite:///{tmp_path / 'web.db'}"},
        }
    )


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = build(settings_of(tmp_path), CATALOGUE, NOBODY_AT_REDIS)
    made.database.migrate()
    yield made
    made.dispose()


@pytest.fixture
def portal(services: Services) -> str:
    install_portal(
        services.database,
        member_id=MEMBER,
        client_id="local.1",
        host="portal.bitrix24.ru",
        client_endpoint="https://portal.bitrix24.ru/rest/",
        application_token_digest=token_digest(SECRET, TOKEN),
        user_id=1,
    )
    return MEMBER


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def kept(services: Services) -> Callable[[], list[Mapping[str, Any]]]:
    """Returns what stands in the inbox."""

    def read() -> list[Mapping[str, Any]]:
        with services.database.read() as connection:
            return [dict(row) for row in connection.execute(sa.select(schema.deliveries)).mappings()]

    return read


def event(name: str = "ONCRMLEADADD", *, member: str = MEMBER, token: str = TOKEN, **data: str) -> str:
    auth = {"auth[member_id]": member, "auth[application_token]": token, "auth[access_token]": "canary-access"}
    return urlencode({"event": name, **data, **auth, "ts": "1760000000"})


LEAD_42 = {"data[FIELDS][ID]": "42"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
