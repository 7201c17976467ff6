"""What happened to lead 42: told in order from a database that the real engine filled; no token, no whole number."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from scripted_company import PHONE, PLAYBOOK, Company
from scripted_portal import ANNA, MEMBER, Bench, ScriptedRest
from scripted_visits import HOUR, OLEG, Shop, VisitBench, around_the_clock, later, want

from b24app.__main__ import main
from b24app.bitrix import commands as write
from b24app.bitrix.commands import Command
from b24app.engine.declare import Catalogue
from b24app.engine.journal import COMMAND
from b24app.entities import LEAD, ItemRef
from b24app.errors import Malformed, Permanent, Temporary
from b24app.playbook import load_playbook
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.process_memory import MoveRow
from b24app.store.story import Chronicle, CommandRow, DeliveryRow
from b24app.story import Line, Words, command_lines, cut, decision_lines, hider, story
from handlers import HANDLERS, TIMERS
from robots import ROBOTS

CATALOGUE = Catalogue(robots=ROBOTS, handlers=HANDLERS, timers=TIMERS)
TOKEN = "canary|" + "5f3c0a9e" * 30
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
LEAD_42 = ItemRef(LEAD, 42)


@pytest.fixture
def company() -> Company:
    return Company()


@pytest.fixture
def bench(database: Database, company: Company) -> Bench:
    return Bench(database, ScriptedRest(company), CATALOGUE, playbook=PLAYBOOK)


DATES = re.compile(r"\d\d\.\d\d\.\d{4}|\d{4}-\d\d-\d\d")


def told(bench: Bench, kind: str, number: object, language: str = "ru") -> list[str]:
    """Returns the lines, indented; nothing of them is a secret."""
    lines, _ = story(bench.database, MEMBER, kind, str(number), CATALOGUE, bench.playbook, language)
    for line in lines:
        assert "canary" not in line.text
        assert "5f3c0a9e" not in line.text
        assert not re.search(r"\d{7}", re.sub(r"[\s()+-]", "", DATES.sub("", line.text))), line.text
    return ["  " * line.depth + line.text for line in lines]


def without_times(lines: list[str]) -> list[str]:
    return [re.sub(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", "T", re.sub(r"\d+,\d с", "N с", line)) for line in lines]


def ended(bench: Bench, code: str = "304", call_id: str = "c1") -> None:
    data = {
        "CALL_ID": call_id, "CALL_TYPE": "2", "PHONE_NUMBER": "79123456789", "PORTAL_USER_ID": "9",
        "CALL_FAILED_CODE": code, "CALL_START_DATE": (datetime.now(UTC) - timedelta(seconds=12)).isoformat(),
        "CRM_ACTIVITY_ID": "",
    }  # fmt: skip
    bench.event("ONVOXIMPLANTCALLEND", f"call:{call_id}", data, priority=10)


def missed(bench: Bench, company: Company) -> int:
    """A lead of a missed call, distributed."""
    id = company.make()
    company.call("c1", "304", of=("LEAD", id))
    ended(bench)
    bench.run()
    return id


def test_a_missed_call_is_told_from_the_call_to_the_number_of_the_task(bench: Bench, company: Company) -> None:
    id = missed(bench, company)
    bench.event("ONCRMLEADADD", f"lead:{id}", {"FIELDS": {"ID": str(id)}})
    bench.run()
    assert without_times(told(bench, "lead", id)) == [
        "Лид 42",
        "T  Звонок закончился: пропущен (ONVOXIMPLANTCALLEND), звонок c1 — сделано (доставка 1)",
        "  решено через N с, закончено через N с",
        "  решение: Пропущенный звонок ***6789 → Анна: по очереди среди свободных",
        "    ✔ Анна: свободен",
        "    ✔ Борис: свободен; его очередь позже",
        "    ✔ Вера: свободен; его очередь позже",
        "  назначение: Анна, в CRM с T",
        "  1. crm.item.list: лид 42: не изменил ли человек — сделано",
        "  2. crm.item.update: лид 42: ответственный Анна — сделано",
        "  3. crm.timeline.comment.add: лид 42: «Пропущенный звонок ***6789: Анна» — сделано, № 901",
        "  4. tasks.task.add: «Вам необходимо связаться с клиентом по телефону № ***6789», Анна, срок T"
        " — сделано, № 70",
        "T  Создан лид (ONCRMLEADADD) — делать нечего (доставка 2)",
        "  закончено через N с",
        "  почему: уже распределён: intake:lead:42",
    ]


def test_it_is_told_in_english_too(bench: Bench, company: Company) -> None:
    lines = "\n".join(told(bench, "lead", missed(bench, company), "en"))
    for said in (
        "The call ended: missed",
        "decision: Missed call ***6789 → Анна: in turn among the free",
        "assignment: Анна, in the CRM since",
        "crm.item.update: lead 42: responsible Анна — done",
    ):
        assert said in lines


def test_a_robots_token_stands_nowhere(bench: Bench, company: Company) -> None:
    id = company.make()
    token_of = {"event_token": TOKEN, "document_id": ["crm", "CCrmDocumentLead", f"LEAD_{id}"]}
    bench.robot("assign_manager", f"lead:{id}", **token_of)
    bench.run()
    lines = told(bench, "lead", id)
    assert "Робот «Назначить свободного менеджера» (assign_manager) — сделано (доставка 1)" in lines[1]
    (answer,) = [line for line in lines if "bizproc.event.send" in line]
    assert "manager = user_11, manager_name = Анна, reason = по очереди среди свободных, assigned = Y" in answer
    bench.event("ONCRMLEADADD", f"lead:{id}", {"FIELDS": {"ID": str(id)}})
    bench.run()
    assert company.answers[0]["EVENT_TOKEN"] == TOKEN
    told(bench, "lead", id)


def test_the_robots_key_in_a_reason_is_masked_though_it_is_cut() -> None:
    hide = hider(Chronicle())
    assert hide(f"уже распределён: {('robot:' + TOKEN)[:160]} / already") == "уже распределён: robot:*** / already"


def test_what_is_cut_shows_no_part_of_a_number_or_a_token() -> None:
    hide = hider(Chronicle(deliveries=(delivery(payload={"event_token": TOKEN}),)))
    for length in range(20, 60):
        said = hide(cut(f"позвонить по номеру +7 912 345-67-89, ключ {TOKEN}", length))
        assert "5f3c" not in said
        assert len(re.sub(r"\D", "", said.partition("ключ")[0])) <= 4


@pytest.mark.parametrize(
    "text",
    ["+79123456789", "8 (912) 345-67-89", "79123456789", "912 345 67 89", "тел. +7 912 345-67-89.", "8 912 3456789:",
     "тел. +7 916 200-67-89.",
     "+44 20 7946 6789, и", "«+7(912)345-67-89»"],
)  # fmt: skip
def test_of_a_number_four_digits_are_left(text: str) -> None:
    row = delivery(payload={"phone": PHONE})
    hidden = hider(Chronicle(deliveries=(row,)))(f"на {text} звонить")
    assert hidden.count("***6789") == 1
    assert not re.search(r"\d{5}", re.sub(r"\D", "", hidden))


def test_a_landline_that_the_rows_name_is_masked_in_every_spelling() -> None:
    hide = hider(Chronicle(phones=frozenset({"+74951234567"})))
    assert hide("495 123-45-67, 8 (495) 123 45 67, 74951234567") == "***4567, ***4567, ***4567"


def test_refusals_waiting_and_crashes_are_plain(bench: Bench, company: Company) -> None:
    company.errors["tasks.task.add"] = Permanent("нет прав / no rights")
    id = missed(bench, company)
    lines = told(bench, "lead", id)
    assert any("— НЕ УДАЛОСЬ (доставка 1)" in line for line in lines)
    assert any("tasks.task.add" in line and "— ОТКАЗ (нет прав)" in line for line in lines)
    company.errors["crm.item.get"] = Temporary("портал занят / busy", retry_at=datetime.now(UTC) + HOUR)
    bench.event("ONCRMLEADADD", "lead:77", {"FIELDS": {"ID": "77"}})
    bench.run()
    with bench.database.write() as connection:
        table = schema.deliveries
        connection.execute(sa.update(table).where(table.c.entity == "lead:77").values(crashes=2, attempts=3))
    lines = told(bench, "lead", 77)
    assert "— ждёт (доставка 2)" in lines[1]
    assert re.search(r"ждёт уже 0,\d с, следующая попытка .*, попыток: 3, работник падал: 2", lines[2])
    assert lines[3] == "  почему: портал занят"


def test_the_same_event_many_times_is_one_entry(bench: Bench, company: Company) -> None:
    id = missed(bench, company)
    for _ in range(3):
        bench.event("ONCRMLEADADD", f"lead:{id}", {"FIELDS": {"ID": str(id)}})
        bench.run()
    for _ in range(2):
        bench.event("ONCRMLEADADD", f"lead:{id}", {"FIELDS": {"ID": str(id)}})
    bench.run()
    lines = told(bench, "lead", id)
    assert sum("Создан лид" in line for line in lines) == 1
    assert "и ещё раз то же самое: 4, последний раз" in lines[-1]


def test_a_second_call_of_the_client_is_a_part_of_it(bench: Bench, company: Company) -> None:
    id = missed(bench, company)
    company.call("c2", "304", of=("LEAD", id))
    ended(bench, call_id="c2")
    bench.run()
    lines = told(bench, "lead", id)
    assert any("звонок c2 — делать нечего (доставка 2)" in line for line in lines)
    assert without_times(told(bench, "call", "c2")) == [
        "Звонок c2",
        "T  Звонок закончился: пропущен (ONVOXIMPLANTCALLEND) — делать нечего (доставка 2)",
        "  закончено через N с",
        "  почему: уже распределён: intake:lead:42",
    ]
    assert without_times(told(bench, "delivery", 1))[:2] == [
        "Доставка 1", "T  Звонок закончился: пропущен (ONVOXIMPLANTCALLEND), звонок c1 — сделано (доставка 1)",
    ]  # fmt: skip


def test_what_was_decided_is_told_when_its_delivery_is_erased(bench: Bench, company: Company) -> None:
    id = missed(bench, company)
    with bench.database.write() as connection:
        connection.execute(sa.update(schema.deliveries).values(finished_at=datetime.now(UTC) - timedelta(days=31)))
    bench.inbox.sweep_out()
    lines = without_times(told(bench, "lead", id))
    assert lines[1] == "T  назначение: Анна, в CRM с T (сама доставка уже стёрта)"
    assert lines[3] == "    ✔ Анна: свободен"


# visits: the whole life of one


@pytest.fixture
def shop(database: Database) -> VisitBench:
    return VisitBench(database, Shop(), around_the_clock())


def test_a_visit_with_its_tasks_its_sms_and_what_is_to_come(shop: VisitBench) -> None:
    lead = shop.shop.lead()
    shop.event("ONCRMLEADUPDATE", f"lead:{lead}", {"FIELDS": {"ID": str(lead)}})
    shop.run()
    taken = shop.take(want(f"lead:{lead}", later(4)))
    confirm = shop.shop.task("Подтвердить замер")
    confirm["status"] = 5
    id = int(confirm["id"])
    shop.event("ONTASKUPDATE", f"task:{id}", {"FIELDS_AFTER": {"ID": str(id)}})
    shop.run()
    assert shop.visits(f"lead:{lead}", taken.id)[0].state == "confirmed"
    assert len(shop.phones.sent) == 1
    lines = "\n".join(told(shop, "lead", lead))
    for words in (
        "Лид изменён (ONCRMLEADUPDATE) — сделано",
        "«Замер назначен»",
        f"Задача изменена (ONTASKUPDATE), задача {id} — делать нечего",
        "Замер: что с ним сейчас (visit) — сделано",
        "calendar.event.add: «Замер: Кухня», Олег",
        "«Замерщик» = 21, «Дата замера» = ",
        f"замер {taken.id} → подтверждён",
        "и пункты: 7 — сделано",
        "SMS клиенту (sms_due) — сделано",
        "sms:send: ***6789: «Замер",
        f"задача {id} «Подтвердить замер»: закрыта",
        f"замер {taken.id}: ",
        "Олег: подтверждён (клиент подтвердил)",
    ):
        assert words in lines, words
    assert told(shop, "lead", lead)[0].startswith("Лид 42, «Новый» с ")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_each_kind_of_database_finds_what_belongs_to_the_item(database: Database) -> None:
    shop = VisitBench(database, Shop(), around_the_clock())
    lead = shop.shop.lead()
    shop.take(want(f"lead:{lead}", later(4), address="Лесная, 5"))
    other = shop.shop.lead()
    shop.take(want(f"lead:{other}", later(4, 15), OLEG))
    shop.event("ONCALENDARENTRYUPDATE", "calendar:501", {"id": "501"})
    shop.run()
    lines = told(shop, "lead", lead)
    assert any("Запись в календаре изменена (ONCALENDARENTRYUPDATE), запись в календаре 501" in line for line in lines)
    assert not any(f"лид {other}" in line for line in lines)
    assert any("впереди" in line for line in lines)


# decisions and commands as values


def words(**changes: Any) -> Words:
    chronicle = Chronicle(names={ANNA: "Анна"}, mapping={"lead.stage:client": "IN_PROCESS"})
    return Words(CATALOGUE, load_playbook(), replace(chronicle, **changes))


def delivery(**changes: Any) -> DeliveryRow:
    values: dict[str, Any] = {
        "id": 5, "member_id": MEMBER, "kind": "event", "code": "E", "entity": "lead:42", "payload": {}, "priority": 50,
        "state": "done", "received_at": NOW, "due_at": NOW, "attempts": 1, "crashes": 0, "decision": None,
        "decided_at": None, "failure": None, "reason": None, "finished_at": NOW,
    }  # fmt: skip
    return DeliveryRow(**{**values, **changes})


STAGE_WORK = {
    "item": {"entity_type_id": 1, "id": 42}, "action": "return", "judged": True, "from_stage": "new",
    "to_stage": "client", "mover_id": ANNA, "missing": ["имя", "тема"], "states": [], "done": [],
    "notices": [{"user_id": ANNA, "text": "т", "tag": "t"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        ({"nothing": "элемента уже нет / the item is gone"}, ["делать нечего: элемента уже нет"]),
        (
            STAGE_WORK,
            ["решение: «Новый» → «Клиент наш», Анна: карточка возвращается; не хватает: имя; тема; сказать: Анна"],
        ),
        (
            {"missing": ["имя"], "message": "Не хватает: имя", "work": STAGE_WORK | {"missing": [], "notices": []}},
            [
                "решение: missing = [имя], message = Не хватает: имя",
                "решение: «Новый» → «Клиент наш», Анна: карточка возвращается",
            ],
        ),
        (STAGE_WORK | {"judged": False, "missing": [], "notices": [], "states": [[77, "closed"]]},
         ["решение: задача 77: закрыта"]),
        (
            {"key": "robot:x", "phone": "+7", "text": "Ждём", "call_instead": False, "refusal": "не мобильный / no"},
            ["решение: SMS на +7: «Ждём» — не уйдёт: не мобильный"],
        ),
        (
            {"why": "1: booked, 2: moved", "changes": [{"visit_id": 1, "happening": "ask"}]},
            ["решение: замер 1: записан, замер 2: перенесён", "замер 1 → ждёт подтверждения"],
        ),
        ({"why": "время занято / taken", "near": []}, ["решение: время занято"]),
        ({"key": "robot:x", "at": "2026-11-23", "steps": "9:00"}, ["решение: at = 2026-11-23, steps = 9:00"]),
        ([], ["решение: []"]),
    ],
)  # fmt: skip
def test_a_decision_is_told_in_the_words_that_it_has(decision: Any, expected: list[str]) -> None:
    assert [line.text for line in decision_lines(words(), decision)] == expected


DEADLINE = datetime(2026, 11, 23, 7, 15, tzinfo=UTC)
TASK = write.add_task(marker="№", title="Позвонить", description="", responsible_id=ANNA, creator_id=1,
                      deadline=DEADLINE, item=LEAD_42)  # fmt: skip


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (
            write.move_item(LEAD_42, "IN_PROCESS", expected="NEW"),
            [
                "1. crm.item.list: лид 42: не изменил ли человек",
                "2. crm.item.update: лид 42: стадия «Клиент наш»",
            ],
        ),
        ([TASK], ["1. tasks.task.add: «Позвонить», Анна, срок 23.11.2026 10:15:00"]),
        ([write.classic(TASK)], ["1. tasks.task.add: «Позвонить», Анна, срок 23.11.2026 10:15:00"]),
        (
            [TASK, *write.add_checklist("task", "Список", ["раз", "два"], label="list")],
            [
                "1. tasks.task.add: «Позвонить», Анна, срок 23.11.2026 10:15:00",
                "2–4. task.checklistitem.add: «Список» и пункты: 2",
            ],
        ),
        ([write.attach_file("task", 13, label="f")], ["1. tasks.task.files.attach: taskId = ← task, fileId = 13"]),
        ([write.set_task(7, {"STATUS": 5}, label="c")], ["1. tasks.task.update: задача 7: закрыть"]),
        ([write.set_task(7, {"STATUS": 2}, label="c")], ["1. tasks.task.update: задача 7: открыть снова"]),
        ([write.remove_entry(501, label="e")], ["1. calendar.event.delete: id = 501"]),
        (
            [write.notify(ANNA, "[B]Клиент[/B]\nждёт", tag="t", label="n")],
            ["1. im.notify.personal.add: Анна: «Клиент»"],
        ),
        (
            [write.push(ANNA, "open_form", {}, label="p")],
            ["1. pull.application.event.add: Анна: open_form"],
        ),
        (
            [write.comment(LEAD_42, write.reason_of("sms", "Не ушло: ", "."), marker="m")],
            ["1. crm.timeline.comment.add: лид 42: «Не ушло: (причина)»"],
        ),
        (
            [write.add_item(LEAD, {"title": "Звонок"}, origin="call:1", label="item")],
            ["1. crm.item.add: лид «Звонок»"],
        ),
        ([write.answer_robot(TOKEN, {"ok": "Y"}, "Готово\nи ещё")], ["1. bizproc.event.send: ok = Y; «Готово»"]),
    ],
)
def test_a_command_is_told_by_its_method_and_what_matters(commands: list[Command], expected: list[str]) -> None:
    journaled = [COMMAND.dump_python(command, mode="json") for command in commands]
    assert [line.text for line in command_lines(words(), journaled)] == expected


@pytest.mark.parametrize(
    ("state", "result", "reason", "expected"),
    [
        ("done", {"item": {"id": 70}}, "", "сделано, № 70"),
        ("sent", None, "", "отправлена, ответа нет"),
        ("written", None, "", "ещё не отправлена"),
        ("skipped", None, "sms: done", "не понадобилась (sms: сделано)"),
        ("unknown", None, "ответа не было / no answer", "ИСХОД НЕИЗВЕСТЕН (ответа не было)"),
        ("failed", None, "a; b / c; d / e", "ОТКАЗ (a; b / c; d / e)"),
    ],
)
def test_an_outcome_is_told_with_its_number_and_reason(state: str, result: Any, reason: str, expected: str) -> None:
    command = COMMAND.dump_python(TASK, mode="json")
    (line,) = command_lines(words(), [command], [CommandRow(command, state, None, result, reason)])
    assert line.text.endswith(f" — {expected}")


def test_moves_of_erased_deliveries_are_told(bench: Bench) -> None:
    with bench.database.write() as connection:
        values = MoveRow(1, "lead:42", "new", "client", ANNA, "ask", ["тема"], NOW, 9, None, None)
        connection.execute(sa.insert(schema.moves).values(member_id=MEMBER, **vars(values)))
        connection.execute(
            sa.insert(schema.confirmations).values(
                member_id=MEMBER, entity="lead:42", kind="offer_sent", reason="отвёз сам", user_id=5, confirmed_at=NOW
            )
        )
    lines = told(bench, "lead", 42)
    assert lines[1:] == [
        "23.11.2026 10:00:00  перевод «new» → «client», сотрудник 11: оставлен, решает человек; не хватает: тема",
        "23.11.2026 10:00:00  Подтвердил человек: offer_sent, сотрудник 5: отвёз сам",
    ]


# nothing known, and the command


@pytest.mark.parametrize(
    ("kind", "number"), [("lead", "0"), ("lead", "x"), ("lead", ""), ("call", ""), ("import", "1"), ("lead", "9" * 30)]
)
def test_what_is_no_question_is_refused(bench: Bench, kind: str, number: str) -> None:
    with pytest.raises(Malformed):
        told(bench, kind, number)


def test_nothing_known_says_what_may_be_the_reason(bench: Bench) -> None:
    lines, known = story(bench.database, MEMBER, "lead", "99", CATALOGUE, PLAYBOOK)
    assert not known
    assert lines[0] == Line("Лид 99: приложению об этом ничего не известно.")
    said = " ".join(line.text for line in lines)
    for reason in ("b24app doctor", "30 дн.", "другого портала"):
        assert reason in said


def test_the_command_prints_it_and_its_status_says_whether_anything_is_known(
    bench: Bench, company: Company, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    id = missed(bench, company)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[app]\npublic_url = "http://127.0.0.1:1"\nsecret_key = "{"k" * 40}"\n[[portals]]\nhost = "acme.bitrix24.ru"\n'
        f'client_id = "local.1"\nclient_secret = "b"\n[database]\nurl = "{bench.database.url}"\n'
        f'[run]\ndata = "{tmp_path}"\n'
    )
    assert main(["--config", str(config), "why", "lead", str(id)]) == 0
    assert "\n    решение: Пропущенный звонок ***6789 → Анна: по очереди среди свободных\n" in capsys.readouterr().out
    assert main(["--config", str(config), "why", "lead", "99", "--en"]) == 1
    assert "the application knows nothing" in capsys.readouterr().out
    assert main(["--config", str(config), "why", "lead", "x"]) == 1
    assert main(["--config", str(config), "why", "lead", "1", "--portal", "other.bitrix24.ru"]) == 2
    assert main(["--config", str(config), "replay", "999"]) == 1
    assert "Доставки 999 нет" in capsys.readouterr().out
    assert main(["--config", str(config), "dry-run", "robot", "nope", "--lead", "42"]) == 1
    assert "assign_manager" in capsys.readouterr().err
