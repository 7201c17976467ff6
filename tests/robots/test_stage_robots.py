"""Robots of the process, as values: facts -> decision -> commands and answer. The journeys run them on a stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from scripted_portal import ANNA, BORIS, HEAD, NOW, OWNER, lead, shape, user

from b24app.distribution import Team
from b24app.entities import LEAD, ItemRef
from b24app.errors import Permanent
from b24app.playbook import load_playbook
from b24app.process import PortalStage, ProcessOnPortal
from b24app.rules.offer import Mailbox, Offer
from b24app.rules.stage_gate import Card, Missing, Seen, missing_for
from b24app.rules.working_time import WorkCalendar
from b24app.stage_work import NewTask, Office
from robots import ROBOTS, advance_stage, check_fields, check_offer_sent, checklist_task, stage_hint
from robots.advance_stage import Onward
from robots.check_fields import Checked, Wanted
from robots.check_offer_sent import Sent
from robots.checklist_task import TaskOrder
from robots.stage_hint import Hint

REF = ItemRef(LEAD, 42)
CARD = "[URL=https://acme.bitrix24.ru/crm/lead/details/42/]Кухня[/URL]"
FORM = "/marketplace/view/local.1/?params%5Bform%5D=missing&params%5Bentity%5D=lead%3A42&params%5Bto%5D=client"
PROCESS = load_playbook().lead
ON = ProcessOnPortal(
    PROCESS, LEAD, {"lead.stage:new": "NEW"}, {}, {one.id: PortalStage(one.id, one.name.ru) for one in PROCESS.stages}
)
OFFICE = Office(
    NOW, Team("department:5", (user(ANNA), user(BORIS)), user(HEAD), None, WorkCalendar()), OWNER,
    "https://acme.bitrix24.ru", "local.1",
)  # fmt: skip
ITEM = lead(title="Кухня", stage_id="IN_PROCESS", assigned_by_id=ANNA, updated_at=NOW)


# check_fields


def lacking(*keys: str) -> tuple[Missing, ...]:
    stage = PROCESS.stage("client")
    assert stage is not None
    found = missing_for(PROCESS, [stage], Card({}), Seen(), NOW)
    return tuple(lack for lack in found if lack.key in keys)


def checked(policy: str = "answer", **changes: Any) -> Checked:
    values: dict[str, Any] = {"missing": lacking("client_name"), "updated_at": NOW, "mover_id": BORIS}
    return Checked(ON, ITEM, OFFICE, policy=policy, **{**values, "before_id": "NEW", **changes})


def line() -> str:
    (lack,) = lacking("client_name")
    why = lack.why.ru
    return f"Имя клиента: {why[:1].lower()}{why[1:]}"


def test_a_full_card_is_answered_and_nothing_is_written() -> None:
    decision = check_fields.decide(checked("return", missing=()))
    assert check_fields.act(decision) == []
    assert check_fields.answer(decision).values == {"passed": "Y", "missing": "", "message": "Всё заполнено"}


def test_policy_answer_only_answers() -> None:
    decision = check_fields.decide(checked())
    assert check_fields.act(decision) == []
    reply = check_fields.answer(decision)
    assert reply.values == {"passed": "N", "missing": line(), "message": f"Не хватает: {line()}"}
    assert reply.log == f"Не хватает: {line()}"


@pytest.mark.parametrize(("mover_id", "told"), [(BORIS, BORIS), (None, ANNA)])
def test_policy_tell_tells_the_mover_or_the_responsible(mover_id: int | None, told: int) -> None:
    decision = check_fields.decide(checked("tell", mover_id=mover_id))
    text = f"{CARD} на стадии «Клиент наш», но не хватает\n— {line()}\n[URL={FORM}]Заполнить[/URL]"
    notice = {"USER_ID": told, "MESSAGE": text, "TAG": "b24app|gate:lead:42"}
    assert shape(check_fields.act(decision)) == [
        ("notice_0", "im.notify.personal.add", notice, "harmless", ()),
    ]
    assert check_fields.answer(decision).values["passed"] == "N"


def test_policy_return_moves_back_and_tells() -> None:
    decision = check_fields.decide(checked("return"))
    planned = shape(check_fields.act(decision))
    standing = {"stageId": "IN_PROCESS", "<updatedTime": (NOW + timedelta(seconds=1)).isoformat()}
    either = {"logic": "OR", "0": standing, "1": {"stageId": "NEW"}}
    back = {"entityTypeId": 1, "id": {"$ref": "back_unchanged"}, "fields": {"stageId": "NEW"}}
    listed = {"entityTypeId": 1, "filter": {"id": 42, "0": either}, "select": ["id"]}
    assert planned[:2] == [
        ("back_unchanged", "crm.item.list", listed, "check", ()),
        ("back", "crm.item.update", back, "harmless", ("back_unchanged",)),
    ]
    ((label, method, params, _, needs),) = planned[2:]
    assert (label, method, params["USER_ID"], needs) == ("notice_0", "im.notify.personal.add", BORIS, ("back",))
    assert params["MESSAGE"] == (
        f"{CARD} снова на стадии «{ON.stage_name('new')}»: для «Клиент наш» не хватает\n— {line()}\n"
        f"[URL={FORM}]Заполнить и перевести[/URL]"
    )
    assert decision.work is not None
    assert (decision.work.action, decision.work.from_stage, decision.work.to_stage) == ("return", "new", "client")


@pytest.mark.parametrize("changes", [{"before_id": None}, {"lately": PROCESS.moves_back_an_hour}])
def test_where_it_cannot_be_moved_back_people_are_told_instead(changes: dict[str, Any]) -> None:
    decision = check_fields.decide(checked("return", **changes))
    assert [command.label for command in check_fields.act(decision)] == ["notice_0"]
    assert decision.work is not None
    assert not decision.work.judged


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        (None, []),
        ("EMAIL: email", [Wanted("EMAIL", "email")]),
        ("theme\n\n PHONE : phone ", [Wanted("theme", "any"), Wanted("PHONE", "phone")]),
        ("theme, UF_CRM_1: NOT_PAST", [Wanted("theme", "any"), Wanted("UF_CRM_1", "not_past")]),
        (["theme", "EMAIL:email"], [Wanted("theme", "any"), Wanted("EMAIL", "email")]),
    ],
)
def test_fields_are_named_one_a_line(text: object, wanted: list[Wanted]) -> None:
    assert check_fields.wanted_fields(text) == wanted


def test_a_check_that_is_none_is_named() -> None:
    with pytest.raises(Permanent, match="EMAIL: mail"):
        check_fields.wanted_fields("EMAIL: mail")


# check_offer_sent

LETTER = Offer(1, NOW - timedelta(hours=1), "email", 7, "КП.pdf")
QUOTE = Offer(2, NOW, "quote", 8, "Кухня 3 м")


@pytest.mark.parametrize(
    ("facts", "values", "log"),
    [
        (
            Sent(NOW, (LETTER, QUOTE)),
            {"sent": "Y", "versions": "2", "last": NOW.isoformat()},
            "КП отправлено, версий: 2, последняя 23.11.2026: Кухня 3 м",
        ),
        (
            Sent(NOW, (), Mailbox(5, NOW)),
            {"sent": "N", "versions": "0", "last": ""},
            "КП не отправлено с 23.11.2026 07:00",
        ),
        (
            Sent(NOW, (), Mailbox(0)),
            {"sent": "N", "versions": "0", "last": ""},
            "КП не отправлено с 23.11.2026 07:00. В CRM нет ни одного письма: подключите почту "
            "(Почта → Подключить ящик → Сохранять письма в CRM)",
        ),
    ],
)
def test_k18_the_offer_is_answered_and_nothing_is_written(facts: Sent, values: dict[str, str], log: str) -> None:
    decision = check_offer_sent.decide(facts)
    assert list(check_offer_sent.ROBOT.act(decision)) == []
    reply = check_offer_sent.answer(decision)
    assert (dict(reply.values), reply.log) == (values, log)


# advance_stage

ONWARD = Onward(ITEM, "client", "offer_sent", "B24_OFFER_SENT", "Каталог и КП отправлены")


def test_nothing_missing_it_moves_on_as_a_move_of_ours() -> None:
    decision = advance_stage.decide(ONWARD)
    either = {"logic": "OR", "0": {"stageId": "IN_PROCESS"}, "1": {"stageId": "B24_OFFER_SENT"}}
    listed = {"entityTypeId": 1, "filter": {"id": 42, "0": either}, "select": ["id"]}
    move = {"entityTypeId": 1, "id": {"$ref": "move_unchanged"}, "fields": {"stageId": "B24_OFFER_SENT"}}
    assert shape(advance_stage.act(decision)) == [
        ("move_unchanged", "crm.item.list", listed, "check", ()),
        ("move", "crm.item.update", move, "harmless", ("move_unchanged",)),
    ]
    assert decision.work is not None
    assert (decision.work.action, decision.work.from_stage, decision.work.to_stage) == ("own", "client", "offer_sent")
    assert decision.work.move is not None
    assert decision.work.move.tell_if_refused == ANNA
    reply = advance_stage.answer(decision)
    assert reply.values == {"moved": "Y", "missing": ""}
    assert reply.log == "Переведён на «Каталог и КП отправлены»"


@pytest.mark.parametrize(
    ("facts", "values", "log"),
    [
        (
            replace(ONWARD, missing=("Отправленное КП: письма нет", "E-mail: пуст")),
            {"moved": "N", "missing": "Отправленное КП: письма нет, E-mail: пуст"},
            "Остаётся: Отправленное КП: письма нет; E-mail: пуст",
        ),
        (
            replace(ONWARD, to_id="IN_PROCESS", to_name="Клиент наш"),
            {"moved": "Y", "missing": ""},
            "Переведён на «Клиент наш»",
        ),
    ],
)
def test_it_stays_where_something_is_missing_or_where_it_is_already(
    facts: Onward, values: dict[str, str], log: str
) -> None:
    decision = advance_stage.decide(facts)
    assert advance_stage.act(decision) == []
    reply = advance_stage.answer(decision)
    assert (dict(reply.values), reply.log) == (values, log)


# stage_hint

HINT = Hint(REF, "[B]Стадия «Клиент наш»[/B]", ANNA, as_notice=False, key="0123456789")


def test_a_hint_in_the_card_is_one_comment_that_is_known_again() -> None:
    ((label, method, params, again, needs),) = shape(stage_hint.act(stage_hint.decide(HINT)))
    assert (label, method, again, needs) == ("hint", "crm.timeline.comment.add", "look_up", ())
    fields = params["fields"]
    assert (fields["ENTITY_ID"], fields["ENTITY_TYPE"]) == (42, "lead")
    assert fields["COMMENT"].startswith("[B]Стадия «Клиент наш»[/B]\n№")
    other = stage_hint.act(replace(HINT, key="other"))[0]
    assert other.call.params["fields"]["COMMENT"] != fields["COMMENT"]
    assert stage_hint.answer(HINT).values == {"text": HINT.text}


def test_a_hint_as_a_notice_replaces_the_former_one() -> None:
    notice = {"USER_ID": ANNA, "MESSAGE": HINT.text, "TAG": "b24app|hint:lead:42"}
    assert shape(stage_hint.act(replace(HINT, as_notice=True))) == [
        ("hint", "im.notify.personal.add", notice, "harmless", ())
    ]


# checklist_task


def ordered(**changes: Any) -> TaskOrder:
    due = datetime(2026, 11, 23, 18, 0, tzinfo=NOW.tzinfo)
    task = NewTask(0, "", "", 1, "Подготовиться", "Текст", ANNA, due, **changes)
    return TaskOrder(REF, task, OWNER, "№abc")


TASK = {
    "title": "Подготовиться",
    "description": "Текст\n\n№abc",
    "responsibleId": ANNA,
    "creatorId": OWNER,
    "deadline": "2026-11-23T18:00:00+00:00",
    "crmItemIds": ["L_42"],
}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, {}),
        (
            {"important": True, "result_required": True, "accomplices": (BORIS,)},
            {"accomplices": [BORIS], "priority": "high", "requireResult": True},
        ),
    ],
)
def test_a_task_is_made_as_it_was_described(changes: dict[str, Any], more: dict[str, Any]) -> None:
    decision = checklist_task.decide(ordered(**changes))
    assert shape(checklist_task.act(decision)) == [
        ("task_0", "tasks.task.add v3", {"fields": {**TASK, **more}}, "keyed", ())
    ]
    reply = checklist_task.answer(decision)
    assert reply.values == {"task_id": {"$ref": "task_0"}, "deadline": "2026-11-23T18:00:00+00:00"}
    assert reply.log == "Поставлена задача «Подготовиться», срок 23.11.2026 18:00"


def test_a_task_with_tags_is_made_the_classic_way() -> None:
    """A task of REST 3.0 has no such field (tasks/fields-rest-v3.md)."""
    ((_, method, params, again, _),) = shape(checklist_task.act(checklist_task.decide(ordered(tags=("кухни",)))))
    assert (method, params["fields"]["TAGS"], again) == ("tasks.task.add", ["кухни"], "look_up")


def test_checklists_and_files_follow_the_task() -> None:
    lists = checklist_task.checklists_of("# До\nПозвонить\n- Записать")
    planned = shape(checklist_task.act(ordered(checklists=lists, files=(55, 56))))
    assert [(label, method, needs) for label, method, _, _, needs in planned] == [
        ("task_0", "tasks.task.add v3", ()),
        ("task_0_list_0", "task.checklistitem.add", ("task_0",)),
        ("task_0_list_0_1", "task.checklistitem.add", ("task_0", "task_0_list_0")),
        ("task_0_list_0_2", "task.checklistitem.add", ("task_0", "task_0_list_0")),
        ("task_0_file_0", "tasks.task.files.attach", ("task_0",)),
        ("task_0_file_1", "tasks.task.files.attach", ("task_0",)),
    ]
    assert [params.get("FIELDS", {}).get("TITLE") for _, _, params, _, _ in planned[1:4]] == [
        "До",
        "Позвонить",
        "Записать",
    ]
    assert planned[4][2] == {"taskId": {"$ref": "task_0"}, "fileId": 55}


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("", []),
        (None, []),
        ("# Пустой", []),
        ("Раз\nДва", [("Чек-лист", ("Раз", "Два"))]),
        ("#\nРаз", [("Чек-лист", ("Раз",))]),
        ("# А\n• Раз\n\n# Б\n- Два\n* Три", [("А", ("Раз",)), ("Б", ("Два", "Три"))]),
    ],
)
def test_a_line_with_a_hash_begins_a_checklist(text: object, lists: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(one.name, one.items) for one in checklist_task.checklists_of(text)] == lists


PICTURE = "https://app.example.ru/picture/offer.svg?v=1"


@pytest.mark.parametrize(
    ("text", "uploaded", "files", "links"),
    [
        ("", {}, (), ()),
        (None, {}, (), ()),
        ("offer.svg", {"picture:offer.svg": "55"}, (55,), ()),
        ("offer.svg", {}, (), (f"[URL={PICTURE}]offer.svg[/URL]",)),
        ("offer.svg", {"picture:offer.svg": ""}, (), (f"[URL={PICTURE}]offer.svg[/URL]",)),
        ("77\n\n offer.svg\n77", {"picture:offer.svg": "55"}, (77, 55), ()),
        ("https://a.ru/b.pdf", {}, (), ("[URL=https://a.ru/b.pdf]https://a.ru/b.pdf[/URL]",)),
    ],
)
def test_files_are_pictures_numbers_or_addresses(
    text: object, uploaded: dict[str, str], files: tuple[int, ...], links: tuple[str, ...]
) -> None:
    assert checklist_task.files_of(text, uploaded, {"offer.svg": PICTURE}) == (files, links)


@pytest.mark.parametrize("text", ["offer.png", "javascript:alert(1)", "https://a.ru/[/URL]x", "-5", "0"])
def test_a_file_that_is_none_of_these_is_named(text: str) -> None:
    with pytest.raises(Permanent, match="ни картинка"):
        checklist_task.files_of(text, {}, {"offer.svg": PICTURE})


@pytest.mark.parametrize(
    "robot",
    [check_fields, check_offer_sent, advance_stage, stage_hint, checklist_task],
    ids=lambda robot: robot.ROBOT.code,
)
def test_a_decision_survives_the_database(robot: Any) -> None:
    facts = {
        check_fields: checked("return"),
        check_offer_sent: Sent(NOW, (LETTER, QUOTE), Mailbox(5, NOW)),
        advance_stage: ONWARD,
        stage_hint: HINT,
        checklist_task: ordered(files=(55,), checklists=checklist_task.checklists_of("Раз")),
    }
    decision = robot.decide(facts[robot])
    saved = TypeAdapter(robot.ROBOT.decision)
    assert saved.validate_json(saved.dump_json(decision)) == decision
    assert robot.ROBOT in ROBOTS
