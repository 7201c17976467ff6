"""A whole installation with a canary for every secret: none is heard in a log, an answer, Redis or the database.

The application runs as processes, with DEBUG logs and everything that goes wrong: refusals that repeat what they were
sent, forged requests, expired tokens, dead processes. Then every byte that it left behind is looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet, MultiFernet
from fake_gateway import KEY, FakeGateway, fake_gateway

from b24app.config import load
from b24app.store import schema

from .office import ANNA, HEAD, Office, new_phone, playbook, running_office
from .test_robot import STAGE

SECRET_KEY = "canary-secret-key-" + "s" * 20
FORMER_KEY = "canary-former-key-" + "f" * 20
METRICS_KEY = "canary-metrics-key"
FORGED = "canary-of-a-stranger"
TOKEN = re.compile(rb"(?<![0-9a-f])[0-9a-f]{70}(?![0-9a-f])")
"""Access and refresh tokens of the sandbox, whichever: nothing else looks like that."""


class Guarded(Office):
    """An office whose every secret can be recognised, which logs as much as it can."""

    def write_config(self, text: str) -> None:
        """Writes config.toml with the canaries."""
        super().write_config(text)
        written = self.config.read_text("utf-8")
        app = f"""secret_key = "{SECRET_KEY}"
previous_secret_keys = ["{FORMER_KEY}"]
metrics_key = "{METRICS_KEY}"
log_level = "DEBUG"
"""
        self.config.write_text(re.sub(r"secret_key = .*\n", app, written, count=1), "utf-8")
        load(self.config)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeGateway]:
    with fake_gateway() as gateway:
        yield gateway


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, provider: FakeGateway) -> Iterator[Guarded]:
    text = playbook(time_zone='"UTC"', quiet_from="00:00:00", quiet_to="00:00:00")
    text = text.replace("[sms] ", f'missed_call_sms = {{ to = [{HEAD}], text = "Пропущен {{phone}}" }}\n[sms] ', 1)
    folder = tmp_path_factory.mktemp("guarded")
    with running_office(folder, "--no-limits", workers=1, text=text, config=provider.config, kind=Guarded) as office:
        yield office


class Ear:
    """Everything that the application said to anybody."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.heard: list[bytes] = []
        office.http.hooks["response"] = [lambda answer, *_, **__: self.hear(answer)]

    def hear(self, answer: requests.Response) -> None:
        self.heard.append(str(answer.headers).encode() + answer.content)

    def open(self, user_id: int, placement: str = "DEFAULT", **facts: Any) -> None:
        """Somebody opens a page of ours."""
        opened = self.office.portal.open(user_id, placement, **facts)
        self.heard.append(str(opened["headers"]).encode() + opened["body"].encode())

    def run(self, *command: str) -> None:
        """Somebody runs a command."""
        whole = (sys.executable, "-m", "b24app", "--config", str(self.office.config), *command)
        done = subprocess.run(whole, capture_output=True, timeout=120, check=False)
        self.heard.append(done.stdout + done.stderr)


def live_through_everything(office: Guarded, ear: Ear, provider: FakeGateway) -> int:
    """Lets everything happen that the application knows; returns a lead about which a robot was answered."""
    office.at_work(ANNA)
    provider.cues.append("echo")  # the provider's refusal repeats our key
    office.portal.missed_call(new_phone())
    office.settle(hurry=True)
    for code, properties in (("assign_manager", {}), ("send_sms", {"text": "Ждём"})):
        office.portal.place_robot(1, STAGE, code, properties=properties)
    lead_id = office.lead_by_hand(new_phone(), user_id=HEAD)
    provider.cues.append("echo")
    office.portal.change_item(1, lead_id, {"stageId": STAGE}, user_id=HEAD)
    office.settle(hurry=True)
    office.tokens_expire()
    office.portal.fault("tasks.task.add", "error", error="ACCESS_DENIED", error_description="no", count=9)
    office.portal.missed_call(new_phone())
    office.settle(hurry=True)
    office.control("DELETE", "faults")
    for user_id in (1, ANNA):
        ear.open(user_id)
        for page, placement in (("lead", "CRM_LEAD_DETAIL_TAB"), ("guide", "CRM_LEAD_DETAIL_TAB")):
            handler = f"{office.url}/placement/{page}"
            ear.open(user_id, placement, options={"ID": str(lead_id)}, handler=handler)
    office.press("/install/again")
    office.press("/app/plan/show")
    office.press("/app/action", {"action": "distribute", "entity": f"lead:{lead_id}"})
    strangers(office)
    for path in ("health", "metrics", "nothing", f"static/x?key={METRICS_KEY}"):
        for key in (METRICS_KEY, FORGED):
            office.http.get(f"{office.url}/{path}", headers={"Authorization": f"Bearer {key}"}, timeout=10)
    return lead_id


def strangers(office: Guarded) -> None:
    """Requests that are refused, each with a canary where its proof should be."""
    auth = {"member_id": office.portal.ready["member_id"], "application_token": FORGED, "access_token": FORGED}
    event = {"event": "ONCRMLEADADD", **{f"auth[{name}]": value for name, value in auth.items()}}
    frame = {"AUTH_ID": FORGED, "REFRESH_ID": FORGED, "APPLICATION_TOKEN": FORGED, "member_id": auth["member_id"]}
    for path, form in (("event", event), ("robot/x", event), ("install", frame), ("app", frame)):
        office.http.post(f"{office.url}/{path}", data=form, timeout=10)
    bearer = {"Authorization": f"Bearer {FORGED}"}
    for path in ("app/action", "visits/board", "placement/save", "install/again"):
        office.http.post(f"{office.url}/{path}", json={"token": FORGED}, headers=bearer, timeout=10)


def living_tokens(office: Guarded) -> list[str]:
    """What our database keeps sealed, opened."""
    pairs = office.rows(sa.select(schema.tokens.c.access, schema.tokens.c.refresh))
    keys = MultiFernet([Fernet(key) for key in load(office.config).encryption_keys])
    return [keys.decrypt(sealed).decode() for pair in pairs for sealed in pair.values()]


def in_redis(office: Guarded) -> bytes:
    """Everything that stands in Redis, jobs unpacked."""
    found = b""
    for key in office.redis.scan_iter():
        for part in (key, *parts_of(office, key)):
            found += b"\n" + part
            try:
                found += b"\n" + zlib.decompress(part)
            except zlib.error:
                continue
    return found


def parts_of(office: Guarded, key: bytes) -> list[bytes]:
    """What stands at a key of Redis, of whatever kind."""
    redis: Any = office.redis
    match redis.type(key).decode():
        case "string":
            return [redis.get(key)]
        case "hash":
            return [part for pair in redis.hgetall(key).items() for part in pair]
        case "list":
            return list(redis.lrange(key, 0, -1))
        case "set":
            return list(redis.smembers(key))
        case "zset":
            return list(redis.zrange(key, 0, -1))
        case kind:
            return [str(redis.xrange(key)).encode()] if kind == "stream" else []


def test_no_secret_is_heard_or_found_anywhere(office: Guarded, provider: FakeGateway) -> None:
    ear = Ear(office)
    lead_id = live_through_everything(office, ear, provider)
    for command in (("export",), ("why", "lead", str(lead_id))):
        ear.run(*command)
    redis = in_redis(office)
    tokens = living_tokens(office)
    client_secret, application_token = (office.portal.ready[name] for name in ("client_secret", "application_token"))
    # the server's refusal repeats what it was sent
    office.portal.fault("oauth", "error", status=400, error="invalid_grant", error_description=client_secret)
    office.tokens_expire()
    office.portal.missed_call(new_phone())
    dead = sa.select(schema.tokens.c.dead_reason).where(schema.tokens.c.dead_at.is_not(None))
    office.until(lambda: office.rows(dead), "a dead token")
    for command in (("doctor",), ("plan",)):
        ear.run(*command)
    office.page_pass()
    payloads = [row["payload"] for row in office.rows(sa.select(schema.deliveries.c.payload))]
    office.kill("clock", "worker-0")
    left = [file for file in office.folder.rglob("*") if file.is_file() and file.suffix != ".toml"]
    found = {
        "logs": b"".join(file.read_bytes() for file in left if file.suffix == ".log"),
        "answers": b"\n".join(ear.heard),
        "Redis": redis,
        "data": b"".join(file.read_bytes() for file in left if file.suffix != ".log"),
    }
    secrets = {
        "client_secret": client_secret,
        "application_token": application_token,
        "secret_key": SECRET_KEY,
        "previous_secret_keys": FORMER_KEY,
        "metrics_key": METRICS_KEY,
        "SMS key": KEY,
        "a stranger's": FORGED,
        **{f"token {number}": token for number, token in enumerate(tokens)},
    }
    # one for a robot waits in its row, worth nothing without an access token, and goes with the row
    once = {f"event_token {n}": one["event_token"] for n, one in enumerate(payloads) if one.get("event_token")}
    assert len(once) == 2
    assert len(tokens) == 2
    for place, said in found.items():
        assert said, place
        looked_for = secrets if place == "data" else {**secrets, **once}
        assert [name for name, secret in looked_for.items() if secret.encode() in said] == [], place
        assert TOKEN.findall(said) == [], place
    assert KEY in str(provider.asked)
