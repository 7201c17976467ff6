"""A client who asks to be forgotten: `b24app forget` leaves nothing of him in our database, and all of the others."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from b24app import logs
from b24app.__main__ import main
from b24app.bitrix.commands import add_item, comment
from b24app.engine.inbox import Inbox
from b24app.engine.journal import Journal
from b24app.entities import LEAD, ItemRef, PhoneCall
from b24app.store import process_memory, schema, visits
from b24app.store.alarms import raise_alarm
from b24app.store.database import Database
from b24app.store.forgetting import forget
from b24app.store.memory import Memory
from b24app.store.portals import install_portal

NAME, ADDRESS = "Аполлинария Ивановна", "Мира, 5, домофон 77"
PHONE, WRITTEN, LOOSE = "+79161110077", "+7 916 111-00-77", "8 (916) 111-00-77"
OTHER_NAME, OTHER_PHONE = "Другой Человек", "+79162220088"
NOW = datetime.now(UTC)
THEIRS = {"lead:43", "call:call-43", "call-43", "task:1043", "sms:43"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command would take this process's log for its own."""
    monkeypatch.setattr(logs, "setup", lambda *_, **__: None)


@pytest.fixture
def database(tmp_path: Path, sqlite_file: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{shutil.copy(sqlite_file, tmp_path / 'b24app.db')}")
    for number, member_id in enumerate(("m", "another")):
        place = {"client_id": member_id, "host": f"{member_id}.bitrix24.ru", "user_id": 1}
        endpoint = f"https://{member_id}.bitrix24.ru/rest/"
        install_portal(made, member_id=member_id, client_endpoint=endpoint, application_token_digest="d", **place)
        live(made, member_id, 42, NAME, PHONE, WRITTEN)
        live(made, member_id, 43 + number, OTHER_NAME, OTHER_PHONE, "+7 916 222-00-88")
    yield made
    made.dispose()


def live(database: Database, member_id: str, lead: int, name: str, phone: str, written: str) -> None:
    """A client rings, is distributed, measured, argued about; an SMS to him waits for the morning."""
    inbox, entity, call_id = Inbox(database), f"lead:{lead}", f"call-{lead}"
    item = ItemRef(LEAD, lead)
    payloads: list[tuple[str, str, dict[str, Any]]] = [
        (
            "ONVOXIMPLANTCALLEND",
            f"call:{call_id}",
            {"data": {"PHONE_NUMBER": phone.removeprefix("+"), "CALL_ID": call_id}},
        ),
        ("ONCRMLEADADD", entity, {"data": {"FIELDS": {"ID": str(lead)}}}),
        ("ONTASKUPDATE", f"task:{lead + 1000}", {"data": {"FIELDS_AFTER": {"ID": str(lead + 1000)}}}),
    ]
    ids = []
    for code, about, payload in payloads:
        wish = {"member_id": member_id, "kind": "event", "code": code, "payload": payload, "priority": 50}
        ids.append(inbox.record(entity=about, **wish) or 0)
    with database.write() as connection:
        memory = Memory(database, connection, member_id, NOW, ids[0])
        words = {"ru": f"Пропущенный звонок {written}", "en": f"Missed call {written}"}
        card = {"title": words, "chosen": {"id": 4, "name": "Анна"}, "rule": {}, "lines": [], "at": NOW.isoformat()}
        memory.keep_call(PhoneCall(call_id, 2, phone, failed_code="304"), ended=True)
        told = {"cause": "missed", "queue": "q", "manager_id": 4, "took_turn": True, "card": card, "call_id": call_id}
        memory.assign(key=f"call:{call_id}", entity=entity, phone=phone, **told)
        memory.set_timer(
            f"sms:{lead}", code="sms", entity=f"sms:{lead}", due_at=NOW, payload={"phone": phone, "text": name}
        )
        memory.set_timer(f"look:{lead}", code="visit", entity=entity, due_at=NOW)
        start = NOW.replace(minute=0, second=0, microsecond=0) + timedelta(days=lead)
        wanted = visits.Wanted(
            entity, f"Кухня, {name}", "kitchen", 9, start, start + timedelta(hours=3), address=f"{ADDRESS} {name}"
        )
        visits.keep(memory, visits.take(memory, wanted).id, {"reason": name, "latitude": 55.0, "longitude": 37.0})
        process_memory.confirm(memory, entity=entity, kind="letter", reason=f"сказал {name}", user_id=4)
        process_memory.add_task(memory, task_id=lead + 1000, entity=entity, rule="call", stage="new", round=1)
        process_memory.keep_cards(memory, {entity: {"title": name, "phones": [phone]}}, NOW)
        journal = Journal(inbox)
        journal.write(connection, ids[0], [add_item(LEAD, {"title": f"{name} {written}"}, origin="o", label="lead")])
        journal.write(connection, ids[1], [comment(item, f"Клиент {name}", marker="m")])
        table = schema.deliveries
        over = {"state": "done", "finished_at": NOW, "decision": {"client": name, "phone": phone}, "reason": name}
        connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(over))
    raise_alarm(database, member_id, f"sms-{lead}", f"SMS на {written} не ушла", f"The SMS to {written} did not go")


def rows(database: Database, member_id: str, table: sa.Table) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [
            dict(row) for row in connection.execute(sa.select(table).where(table.c.member_id == member_id)).mappings()
        ]


def everything(database: Database, member_id: str) -> dict[str, list[dict[str, Any]]]:
    tables = {table.name: table for table in schema.metadata.sorted_tables if "member_id" in table.c}
    return {name: rows(database, member_id, table) for name, table in tables.items()}


def run(tmp_path: Path, *wish: str) -> int:
    config = tmp_path / "config.toml"
    config.write_text(
        f"""[app]
public_url = "https://app.example.com"
secret_key = "{"k" * 40}"
[[portals]]
host = "m.bitrix24.ru"
client_id = "m"
client_secret = "s3cr3t"
[database]
url = "sqlite:///{tmp_path / "b24app.db"}"
""",
        "utf-8",
    )
    return main(["--config", str(config), "forget", "--portal", "m.bitrix24.ru", *wish])


@pytest.mark.parametrize("wish", [("--phone", LOOSE), ("--lead", "42")])
def test_nothing_of_a_client_is_left_and_all_of_the_others(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], wish: tuple[str, str]
) -> None:
    others, another = everything(database, "m"), everything(database, "another")
    assert run(tmp_path, *wish) == 0
    said = capsys.readouterr().out
    counted = dict(re.findall(r"^✔ .* / ([a-z]+).*: (\d+)$", said, re.MULTILINE))
    assert counted["assignments"] == counted["calls"] == counted["visits"] == counted["confirmations"] == "1"
    assert (counted["alarms"], counted["items"], counted["what"]) == ("1", "1", "2")
    assert "lead:42" in said
    assert "Впереди замеров: 1" in said
    assert PHONE not in said
    left = everything(database, "m")
    text = json.dumps(left, default=str, ensure_ascii=False)
    for word in (NAME, PHONE, PHONE.removeprefix("+"), WRITTEN):
        assert word not in text, word
    (visit,) = [row for row in left["visits"] if row["entity"] == "lead:42"]
    assert (visit["latitude"], visit["longitude"], visit["title"]) == (None, None, "")
    assert everything(database, "another") == another
    for table in ("deliveries", "assignments", "calls", "visits", "confirmations", "timers"):
        theirs = [row for row in others[table] if {row.get("entity"), row.get("call_id")} & THEIRS]
        assert theirs
        assert all(row in left[table] for row in theirs), table
    # who got it, whose turn it was, and that somebody's time is taken stays as it was
    assert [row["manager_id"] for row in left["assignments"]] == [4, 4]
    assert len(left["visit_cells"]) == len(others["visit_cells"])
    assert run(tmp_path, *wish) == 0
    assert "Ничего не найдено" in capsys.readouterr().out
    assert everything(database, "m") == left


def test_the_words_are_gone_from_the_files_too(database: Database, tmp_path: Path) -> None:
    unique = "Ксенофонт Пересветов"
    live(database, "m", 99, unique, "+79163334455", "+7 916 333-44-55")
    assert any(unique.encode() in file.read_bytes() for file in tmp_path.glob("b24app.db*"))
    assert run(tmp_path, "--lead", "99") == 0
    database.dispose()
    left = b"".join(file.read_bytes() for file in tmp_path.glob("b24app.db*"))
    for word in (unique, "9163334455", "333-44-55", json.dumps(unique)[1:-1]):
        assert word.encode() not in left, word


def test_what_is_at_work_is_said_and_the_command_repeated(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inbox = Inbox(database)
    wish = {"member_id": "m", "code": "assign_manager", "entity": "lead:42", "priority": 10}
    inbox.record(kind="robot", payload={"event_token": "t"}, **wish)
    assert run(tmp_path, "--lead", "42") == 1
    assert "Сейчас в работе: 1" in capsys.readouterr().out
    assert [row["kind"] for row in rows(database, "m", schema.deliveries) if row["entity"] == "lead:42"] == ["robot"]


@pytest.mark.parametrize("phone", [" ", "нет", "12", "+", "...", ".*"])
def test_what_is_no_number_erases_nobody(database: Database, tmp_path: Path, phone: str) -> None:
    before = everything(database, "m")
    assert run(tmp_path, "--phone", phone) == 2
    assert everything(database, "m") == before


def test_a_short_or_strange_number_of_a_client_takes_nobody_else_along(database: Database) -> None:
    with database.write() as connection:
        memory = Memory(database, connection, "m", NOW, 0)
        told = {"cause": "missed", "queue": "q", "manager_id": 4, "took_turn": True, "card": {}}
        for number, phone in enumerate(("7", "скрыт", ".*", "112")):
            memory.assign(key=f"strange:{number}", entity="lead:7", phone=phone, **told)
    before = everything(database, "m")
    found = forget(database, "m", entities={"lead:7"}, phones=set())
    assert {name: count for name, count in found.counts.items() if count} == {"assignments": 4}
    assert everything(database, "m")["deliveries"] == before["deliveries"]


def test_which_portal_is_asked_where_there_are_two(database: Database, tmp_path: Path) -> None:
    before = everything(database, "m"), everything(database, "another")
    assert run(tmp_path, "--lead", "42", "--portal", "") == 2
    assert run(tmp_path, "--lead", "42", "--portal", "nowhere.bitrix24.ru") == 2
    assert (everything(database, "m"), everything(database, "another")) == before
