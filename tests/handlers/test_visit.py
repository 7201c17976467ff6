"""A visit is looked at: what people did, what its state asks for, the commands, and what is kept. Values; K20-K32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter
from scripted_portal import ANNA, HEAD, OWNER, shape
from scripted_portal import lead as lead_item
from scripted_visits import (
    ADDRESS,
    CHIEF,
    CONFIRM_AT,
    CONFIRM_UNTIL,
    CREW,
    DATE,
    DAY,
    HOUR,
    HOURS,
    MOSCOW,
    NOW,
    OFFICE,
    OLEG,
    ON,
    PAUL,
    PERSON,
    REF,
    START,
    at,
    closed,
    diary,
    entry,
    raw,
    row,
    rules,
    seen,
    standing,
    task,
    want,
    works,
)  # fmt: skip

from b24app import texting
from b24app.bitrix.commands import LookUp
from b24app.engine.declare import Nothing
from b24app.entities import CONTACT, Interval, ItemRef
from b24app.errors import Temporary
from b24app.playbook import MeasurerRule, Zone
from b24app.rules.confirmation import AGREED, State
from b24app.rules.intake import Notice
from b24app.rules.working_time import WorkCalendar
from b24app.stage_work import DoneTask, NewTask
from b24app.store import process_memory, schema, visits
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.visits import VisitRow, Wanted
from b24app.visit_words import Seen
from b24app.visit_work import Change, Entry, Replan, VisitWork, act, remember, sms_key
from handlers import TIMERS, visit

SOON = NOW + 3 * HOUR
LINK = "https://acme.bitrix24.ru/crm/lead/details/42/"
CARD = f"[URL={LINK}]Кухня[/URL]"
MAP = "[URL=https://yandex.ru/maps/?text=%D0%9B%D0%B5%D1%81%D0%BD%D0%B0%D1%8F%2C%205]Открыть на карте[/URL]"


def decided(facts: Seen) -> VisitWork:
    work = visit.decide(facts)
    assert isinstance(work, VisitWork), work
    return work


def all_right(facts: Seen) -> bool:
    return visit.decide(facts) == Nothing("с замером всё в порядке / the visit is all right")


def labels(work: VisitWork) -> list[str]:
    return [command.label for command in act(work)]


def told(work: VisitWork) -> list[tuple[int, str, str]]:
    return [(one.user_id, one.text, one.tag) for one in work.notices]


# booked: more than one working day away


WHEN = "Чт 26.11 10:00–13:00"
CONFIRM_TEXT = (
    "Клиент: Кухня\nТелефон: +7 912 345-67-89\nАдрес: Лесная, 5\n"
    f"Замер: {WHEN}, Олег\nКарточка: {LINK}\n\n"
    "Спросите, готов ли клиент принять замерщика. Готов — закройте задачу, всё остальное приложение сделает само. "
    "Просит другой день — выберите его на вкладке «Замер» или поменяйте дату в карточке; эта задача закроется сама.\n\n"
    "За один рабочий день до замера: Ср 25.11 10:00."
)
ENTRY = Entry(7, OLEG, "Замер: Кухня", START, START + 3 * HOUR, f"Лесная, 5\n{LINK}", "Лесная, 5")
WRITTEN = {PERSON: OLEG, DATE: "2026-11-26T10:00:00+03:00"}


def test_k26_k27_more_than_a_working_day_away_the_entry_the_card_and_the_task_to_confirm_are_written() -> None:
    work = decided(seen(row()))
    assert work == VisitWork(
        item=REF,
        title="Кухня",
        creator_id=OWNER,
        why="7: booked",
        changes=(Change(7, "ask"),),
        kept={7: {"confirm_at": CONFIRM_AT, "shown": "confirming"}},
        entry=ENTRY,
        fields=WRITTEN,
        tasks=(
            NewTask(
                0, "visit:confirm", "", 1, f"Подтвердить замер: {WHEN}", CONFIRM_TEXT, ANNA, CONFIRM_UNTIL,
                start_plan=CONFIRM_AT,
            ),
        ),
        notes=(
            (
                f"[B]Замер назначен:[/B] {WHEN}, Олег\nЧт 26.11 10:00-13:00: 3 ч работы\nАдрес: Лесная, 5\n"
                "Дальше: за рабочий день клиента спросят ещё раз.",
                "7:booked",
            ),
        ),
        look_at=CONFIRM_AT,
    )  # fmt: skip


def test_k26_k27_its_commands_are_the_entry_the_card_the_task_and_the_note() -> None:
    entry = {
        "type": "user",
        "ownerId": OLEG,
        "auto_detect_section": "Y",
        "name": "Замер: Кухня",
        "from": "2026-11-26T10:00:00+03:00",
        "to": "2026-11-26T13:00:00+03:00",
        "description": f"Лесная, 5\n{LINK}\n№0643e0c8df",
        "location": "Лесная, 5",
        "accessibility": "busy",
        "crm_fields": ["L_42"],
    }
    made = {
        "title": f"Подтвердить замер: {WHEN}",
        "description": f"{CONFIRM_TEXT}\n\n№edc289290c",
        "responsibleId": ANNA,
        "creatorId": OWNER,
        "deadline": "2026-11-25T14:00:00+03:00",
        "crmItemIds": ["L_42"],
        "startPlan": "2026-11-25T10:00:00+03:00",
        "endPlan": "2026-11-25T14:00:00+03:00",
    }
    work = decided(seen(row()))
    comment = f"{work.notes[0][0]}\n№35f7887160"
    assert shape(act(work)) == [
        ("entry", "calendar.event.add", entry, "look_up", ()),
        (
            "fields",
            "crm.item.update",
            {"entityTypeId": 1, "id": 42, "fields": WRITTEN, "useOriginalUfNames": "Y"},
            "harmless",
            (),
        ),
        ("task_0", "tasks.task.add v3", {"fields": made}, "keyed", ()),
        (
            "note_0",
            "crm.timeline.comment.add",
            {"fields": {"ENTITY_ID": 42, "ENTITY_TYPE": "lead", "COMMENT": comment}},
            "look_up",
            (),
        ),
    ]


@pytest.mark.parametrize(
    ("minutes", "state"),
    [(1, "confirming"), (0, "confirmed"), (-1, "confirmed")],
    ids=["a minute more than a working day", "exactly one", "a minute less"],
)
def test_k27_x6_one_working_day_or_less_goes_on_at_once(minutes: int, state: State) -> None:
    start = datetime(2026, 11, 24, 10, 0, tzinfo=MOSCOW) + timedelta(minutes=minutes)
    work = decided(seen(row(starts_at=start)))
    assert work.kept[7]["shown"] == state
    assert [one.rule for one in work.tasks] == ["visit:confirm" if state == "confirming" else "visit:measure"]
    assert (work.sms is None) == (state == "confirming")
    assert work.changes == (Change(7, "ask" if state == "confirming" else "agree"),)


# confirmed


CHECKLIST = (
    "Позвонить клиенту перед выездом",
    "Снять размеры",
    "Нарисовать макет на месте",
    "Посчитать окончательную цену",
    "Отдать клиенту расчёт: замер бесплатный",
    "Сделать фотографии",
    "Никого нет дома",
)
MEASURE_TEXT = (
    f"Клиент: Кухня\nТелефон: +7 912 345-67-89\nАдрес: Лесная, 5\n{MAP}\nКогда: {WHEN}\nРабота: Замер кухни\n"
    f"Предварительная сумма: 250000 RUB\nКомментарий: Домофон (b)не(/b) работает\nКарточка: {LINK}\n\n"
    "Замер для клиента бесплатный. Сделали — закройте задачу. Никого нет дома — отметьте последний пункт списка или "
    "напишите это результатом."
)
SAID = f"Замер {WHEN}: Лесная, 5. {MAP}\n{CARD}, тел. +7 912 345-67-89"


def test_k29_k30_k31_k32_a_confirmed_visit_tells_the_measurer_gives_him_the_task_and_sends_the_sms() -> None:
    work = decided(
        seen(row("confirmed", shown="confirming", entry_delivery=5, calendar_id=501), tasks=(task("confirm"),))
    )
    assert work.sms is not None
    assert (work.sms.key, work.sms.phone, work.sms.refusal) == ("visit:7", "+79123456789", "")
    assert work.sms.text == "Замер Чт 26.11 в 10:00. Приедет Олег, тел. +7 916 200-00-21. Замер бесплатный."
    (made,) = work.tasks
    assert (made.checklists[0].name, made.checklists[0].items) == ("Замер", CHECKLIST)
    assert replace(work, sms=None, tasks=(replace(made, checklists=()),)) == VisitWork(
        item=REF,
        title="Кухня",
        creator_id=OWNER,
        why="7: confirmed",
        kept={7: {"shown": "confirmed"}},
        tasks=(
            NewTask(
                0, "visit:measure", "", 1, f"Замер {WHEN}: Лесная, 5", MEASURE_TEXT, OLEG, START + 3 * HOUR,
                start_plan=START,
            ),
        ),
        done=(DoneTask(77, "obsolete", "замер подтверждён"),),
        notices=(Notice(OLEG, SAID, "visit:7"),),
        no_timer=True,
    )  # fmt: skip


def test_k32_the_measurers_commands_are_the_task_with_every_item_of_its_checklist_and_the_notice() -> None:
    work = decided(
        seen(row("confirmed", shown="confirming", entry_delivery=5, calendar_id=501), tasks=(task("confirm"),))
    )
    under = {"$ref": "task_0"}
    items = [
        (
            f"task_0_list_0_{place}",
            "task.checklistitem.add",
            {"TASKID": under, "FIELDS": {"TITLE": title, "PARENT_ID": {"$ref": "task_0_list_0"}}},
            "look_up",
            ("task_0", "task_0_list_0"),
        )
        for place, title in enumerate(CHECKLIST, start=1)
    ]
    made = {
        "title": f"Замер {WHEN}: Лесная, 5",
        "description": f"{MEASURE_TEXT}\n\n№2cf568c45d",
        "responsibleId": OLEG,
        "creatorId": OWNER,
        "deadline": "2026-11-26T13:00:00+03:00",
        "crmItemIds": ["L_42"],
        "startPlan": "2026-11-26T10:00:00+03:00",
        "endPlan": "2026-11-26T13:00:00+03:00",
    }
    assert shape(act(work)) == [
        ("close_77", "tasks.task.update", {"taskId": 77, "fields": {"STATUS": 5}}, "harmless", ()),
        ("task_0", "tasks.task.add v3", {"fields": made}, "keyed", ()),
        (
            "task_0_list_0",
            "task.checklistitem.add",
            {"TASKID": under, "FIELDS": {"TITLE": "Замер", "PARENT_ID": 0}},
            "look_up",
            ("task_0",),
        ),
        *items,
        (
            "notice_0",
            "im.notify.personal.add",
            {"USER_ID": OLEG, "MESSAGE": SAID, "TAG": "b24app|visit:7"},
            "harmless",
            (),
        ),
    ]


def test_k27_x6_time_is_short_so_everything_is_written_at_once() -> None:
    work = decided(seen(row(starts_at=SOON)))
    items = [f"task_0_list_0_{number}" for number in range(1, 8)]
    assert labels(work) == ["entry", "fields", "task_0", "task_0_list_0", *items, "notice_0", "note_0"]
    assert work.notes[0][0].endswith("Дальше: замерщик и клиент получают сообщения.")
    assert (work.look_at, work.no_timer) == (None, True)


def test_k28_a_visit_that_the_client_agreed_to_already_goes_to_another_measurer_without_asking_again() -> None:
    old = row("moved", shown="confirmed", entry_delivery=5, calendar_id=501)
    new = row(id=8, round=2, measurer_id=PAUL, agreed=True)
    work = decided(seen(new, old, tasks=(task("measure"),)))
    assert work.changes == (Change(8, "agree"),)
    assert [(one.rule, one.round, one.responsible_id) for one in work.tasks] == [("visit:measure", 2, PAUL)]
    assert [(one.task_id, one.state) for one in work.done] == [(77, "obsolete")]
    assert told(work) == [
        (OLEG, f"Замер перенесён, ехать не нужно: {WHEN}, Лесная, 5.", "visit:7"),
        (PAUL, SAID, "visit:8"),
    ]
    assert work.sms is not None
    assert (work.sms.key, work.sms.text) == (
        "visit:8",
        "Замер Чт 26.11 в 10:00. Приедет Павел, тел. —. Замер бесплатный.",
    )
    assert work.forgotten == ("visit:7",)


@pytest.mark.parametrize(
    ("phones", "client", "goes", "why"),
    [
        (["+79123456789"], (), "+79123456789", ""),
        (["8 (912) 345-67-89"], (), "+79123456789", ""),
        ([], ("+79160000001",), "+79160000001", ""),
        (["+74951234567"], ("+79160000001",), "+79160000001", ""),
        ([], (), "", "телефона нет"),
        (["+74951234567"], (), "", "городской номер"),
        (["нет"], (), "", "это не номер телефона"),
    ],
)
def test_k31_the_sms_goes_to_the_first_mobile_number_or_the_manager_calls(
    phones: list[str], client: tuple[str, ...], goes: str, why: str
) -> None:
    contact = lead_item(ref=ItemRef(CONTACT, 9), phones=client) if client else None
    fm = [{"typeId": "PHONE", "value": phone} for phone in phones]
    work = decided(seen(row(starts_at=SOON), raw=raw(fm=fm), client=contact))
    assert work.sms is not None
    assert why in work.sms.refusal
    if goes:
        assert (work.sms.phone, [one.user_id for one in work.notices]) == (goes, [OLEG])
    else:
        assert [(one.user_id, one.tag) for one in work.notices] == [(OLEG, "visit:7"), (ANNA, "visit:sms:7")]
        assert work.notices[1].text.startswith(f"SMS о замере не ушла: {work.sms.refusal}. Позвоните клиенту.")
        assert not any(label.startswith("sms") for label in labels(work))


def test_empty_words_leave_a_dash_and_bbcode_of_people_is_defused() -> None:
    card = raw(title="[url=x]Кухня[/url]", fm=[], comments="", UF_CRM_B24_PRELIMINARY_SUM="", **{ADDRESS: ""})
    work = decided(seen(row(starts_at=SOON, address="", latitude=None, longitude=None, title="[b]x[/b]"), raw=card))
    text = work.tasks[0].description
    assert "Клиент: (url=x)Кухня(/url)\nТелефон: —\nАдрес: —\n—\n" in text
    assert "Предварительная сумма: —\nКомментарий: —" in text
    assert work.entry is not None
    assert work.entry.name == "Замер: (b)x(/b)"


def test_a_portal_without_the_cards_fields_gets_everything_else() -> None:
    for on in (None, replace(ON, fields={})):
        work = decided(seen(row(), on=on))
        assert work.fields == {}
        assert labels(work) == ["entry", "task_0", "note_0"]


def dates(count: int) -> list[VisitRow]:
    """So many dates of which the last was booked a moment ago, the newest first."""
    told = [standing("moved", id=n, round=n, starts_at=START - n * DAY) for n in range(1, count)]
    return [row(id=count, round=count), *reversed(told)]


def test_k28_after_so_many_dates_the_head_decides_and_once() -> None:
    for count, asked in ((1, False), (3, False), (4, True), (5, True)):
        work = decided(seen(*dates(count)))
        assert [one.rule for one in work.tasks] == [*(["visit:head"] if asked else []), "visit:confirm"]
    head = decided(seen(*dates(4))).tasks[0]
    assert (head.responsible_id, head.title) == (HEAD, "Замер переносят в 4-й раз: Кухня")
    assert head.description.startswith(f"Замер назначают уже 4-й раз: {WHEN}.\n{CARD}")
    newest, *older = dates(4)
    confirmed = replace(newest, state="confirmed", shown="confirming", entry_delivery=5)
    assert [one.rule for one in decided(seen(confirmed, *older)).tasks] == ["visit:measure"]


def test_k28_another_measurer_and_what_nobody_was_told_of_are_no_other_date() -> None:
    others = [standing("moved", id=n, round=n, measurer_id=PAUL) for n in (3, 2, 1)]
    assert [one.rule for one in decided(seen(row(id=4, round=4), *others)).tasks] == ["visit:confirm"]
    untold = [row("moved", id=n, shown="moved", starts_at=START - n * DAY) for n in (3, 2, 1)]
    assert [one.rule for one in decided(seen(row(id=4), *untold)).tasks] == ["visit:confirm"]


# moved, cancelled


def test_k28_the_client_wants_another_date_and_everything_of_the_old_one_is_gone() -> None:
    old = row("moved", shown="confirming", entry_delivery=5, calendar_id=501)
    new = row(id=8, round=2, starts_at=START + DAY)
    work = decided(seen(new, old, tasks=(task("confirm"),)))
    assert [command[:3] for command in shape(act(work))][:2] == [
        ("entry_gone_501", "calendar.event.delete", {"id": 501}),
        ("close_77", "tasks.task.update", {"taskId": 77, "fields": {"STATUS": 5}}),
    ]
    assert [command[3] for command in shape(act(work))][:2] == ["gone", "harmless"]
    assert labels(work)[2:] == ["entry", "fields", "task_0", "note_0"]
    assert work.kept == {7: {"shown": "moved"}, 8: {"confirm_at": CONFIRM_AT + DAY, "shown": "confirming"}}
    assert (work.forgotten, work.look_at) == (("visit:7",), CONFIRM_AT + DAY)
    assert work.notices == ()
    assert [(one.rule, one.round) for one in work.tasks] == [("visit:confirm", 2)]
    assert work.notes[0][0].startswith("[B]Замер назначен, круг 2:[/B] Пт 27.11 10:00–13:00, Олег\n")


def test_k28_a_new_date_closes_the_task_to_agree_on_one() -> None:
    old = standing("nobody_home")
    work = decided(seen(row(id=8, round=2, starts_at=START + DAY), old, tasks=(task("agree"),)))
    assert work.done == (DoneTask(77, "obsolete", "новая дата согласована"),)
    assert work.removed == ()


@pytest.mark.parametrize("state", ["moved", "cancelled"])
def test_what_nobody_was_told_of_leaves_without_a_word(state: State) -> None:
    for shown in ("", "held"):
        work = decided(seen(row(state, shown=shown)))
        # the card may say something: it is looked at again
        assert work == VisitWork(REF, "Кухня", OWNER, why=f"7: {state}", kept={7: {"shown": state}}, again=True)


@pytest.mark.parametrize(("shown", "warned"), [("confirming", False), ("confirmed", True)])
def test_k28_a_cancelled_visit_takes_its_entry_tasks_date_and_sms_with_it(shown: State, warned: bool) -> None:
    gone = row(
        "cancelled", shown=shown, entry_delivery=5, calendar_id=501, reason="клиент отказался / the client declined"
    )
    tasks = tuple(task(rule, 70 + n) for n, rule in enumerate(("confirm", "measure", "object", "agree", "head")))
    work = decided(seen(gone, tasks=tasks, raw=raw(standing())))
    assert work == VisitWork(
        REF,
        "Кухня",
        OWNER,
        why="7: cancelled",
        kept={7: {"shown": "cancelled"}},
        removed=(501,),
        fields={PERSON: "", DATE: ""},
        done=tuple(DoneTask(id, "obsolete", "замер отменён") for id in (70, 71, 72, 73)),
        notices=(Notice(OLEG, f"Замер отменён, ехать не нужно: {WHEN}, Лесная, 5.", "visit:7"),) if warned else (),
        notes=((f"[B]Замер отменён:[/B] {WHEN}. Клиент отказался.", "7:cancelled"),),
        forgotten=("visit:7",),
        no_timer=True,
    )
    assert labels(work) == [
        "entry_gone_501",
        *(f"close_{id}" for id in (70, 71, 72, 73)),
        "fields",
        *(["notice_0"] if warned else []),
        "note_0",
    ]


def test_tasks_of_another_round_stay_when_a_visit_is_moved() -> None:
    old = row("moved", shown="confirmed", entry_delivery=5, calendar_id=501)
    work = decided(seen(row(id=8, round=2), old, tasks=(task("object", 77, 2), task("measure", 78, 1))))
    assert [one.task_id for one in work.done] == [78]


def test_a_task_without_its_number_yet_is_not_closed() -> None:
    old = row("moved", shown="confirming", entry_delivery=5)
    assert decided(seen(row(id=8, round=2), old, tasks=(task("confirm", -129),))).done == ()


@pytest.mark.parametrize(("there", "why"), [(True, "клиент отказался"), (False, "карточки больше нет")])
@pytest.mark.parametrize("state", ["held", *AGREED])
def test_the_item_is_gone_or_the_client_declined_and_the_visit_is_cancelled(
    state: State, there: bool, why: str
) -> None:
    card = raw(stageId="JUNK", stageSemanticId="F") if there else None
    work = decided(seen(standing(state), raw=card))
    assert [(one.visit_id, one.happening, one.reason.split(" / ")[0]) for one in work.changes] == [(7, "cancel", why)]
    assert work.again
    assert act(work) == []


def test_every_standing_visit_of_a_lost_client_is_cancelled_and_those_that_were_are_left() -> None:
    rows = (row("held", id=9), standing("confirmed", id=8), row("moved", id=7, shown="moved"))
    work = decided(seen(*rows, raw=None))
    assert [one.visit_id for one in work.changes] == [9, 8]


@pytest.mark.parametrize("state", ["done", "cancelled", "nobody_home", "moved"])
def test_a_lost_client_whose_visit_is_over_changes_nothing(state: State) -> None:
    assert all_right(seen(standing(state), raw=raw(standing(), stageSemanticId="F")))


def test_a_visit_of_an_item_that_is_gone_is_taken_away_without_a_note() -> None:
    gone = row("cancelled", shown="confirmed", entry_delivery=5, calendar_id=501, reason="карточки больше нет / gone")
    work = decided(seen(gone, raw=None, tasks=(task("measure"),)))
    assert labels(work) == ["entry_gone_501", "close_77", "notice_0"]
    assert (work.title, work.fields) == ("", {})


def test_a_converted_lead_keeps_its_visit() -> None:
    assert all_right(seen(standing(), raw=raw(standing(), stageId="CONVERTED", stageSemanticId="S")))
    work = decided(seen(row(), raw=raw(stageSemanticId="S")))
    assert work.kept[7]["shown"] == "confirming"


# holds


@pytest.mark.parametrize(("minutes", "over"), [(-1, True), (0, True), (1, False)])
def test_a_hold_that_is_over_is_told_to_whoever_held_it(minutes: int, over: bool) -> None:
    held = row("held", shown="held", hold_until=NOW + timedelta(minutes=minutes))
    if not over:
        assert all_right(seen(held))
        return
    text = f"Удержание закончилось, время снова свободно: {WHEN}, Олег. {CARD}"
    assert decided(seen(held)) == VisitWork(
        REF,
        "Кухня",
        OWNER,
        why="удержание закончилось / the hold is over",
        changes=(Change(7, "expire", "время удержания вышло / the hold was over"),),
        kept={7: {"shown": "cancelled"}},
        notices=(Notice(ANNA, text, "visit:hold:7"),),
        again=True,
    )
    assert decided(seen(replace(held, booked_by=0))).notices == ()


@pytest.mark.parametrize("state", ["held", "proposed"])
def test_a_hold_and_a_proposal_are_told_to_nobody(state: State) -> None:
    drafted = row(state, shown=state, hold_until=NOW + HOUR)
    assert all_right(seen(drafted))
    assert all_right(seen(replace(drafted, id=8, round=2, starts_at=START + DAY), standing()))


# tasks


def test_k29_the_closed_task_to_confirm_confirms_the_visit() -> None:
    work = decided(seen(standing(), tasks=(task("confirm"),), on_portal=closed()))
    assert work == VisitWork(
        REF,
        "Кухня",
        OWNER,
        why="подтверждён / confirmed",
        changes=(Change(7, "agree", "клиент подтвердил / the client confirmed"),),
        states=((77, "closed"),),
        again=True,
    )
    assert act(work) == []


@pytest.mark.parametrize(("nobody", "happening"), [(False, "measure"), (True, "miss")])
def test_k32_the_measurers_closed_task_says_that_it_was_made_or_that_nobody_was_at_home(
    nobody: bool, happening: str
) -> None:
    facts = seen(standing("confirmed"), tasks=(task("measure"),), on_portal=closed(), nobody_home=nobody)
    work = decided(at(START + 3 * HOUR, facts))
    assert [(one.visit_id, one.happening) for one in work.changes] == [(7, happening)]
    assert (work.states, work.again) == (((77, "closed"),), True)


@pytest.mark.parametrize(
    ("rule", "round", "rows"),
    [
        ("confirm", 1, (standing(id=8, round=2),)),
        ("measure", 1, (standing(id=8, round=2),)),
        ("agree", 1, (standing(),)),
        ("object", 1, (standing(),)),
        ("head", 1, (standing(),)),
        ("confirm", 1, ()),
    ],
)
def test_a_closed_task_of_another_round_or_sort_says_nothing_of_the_visit(
    rule: str, round: int, rows: tuple[VisitRow, ...]
) -> None:
    work = decided(seen(*rows, tasks=(task(rule, 77, round),), on_portal=closed()))
    assert (work.changes, work.states, work.again) == ((), ((77, "closed"),), True)


@pytest.mark.parametrize("status", [2, 3, 4])
def test_a_task_that_is_not_completed_says_nothing(status: int) -> None:
    assert all_right(seen(standing(), tasks=(task("confirm"),), on_portal=closed(status=status)))


@pytest.mark.parametrize(
    ("rule", "rows", "tells"),
    [
        ("confirm", (standing(),), True),
        ("measure", (standing("confirmed"),), True),
        ("agree", (standing(),), False),
        ("confirm", (standing(id=8, round=2),), False),
        ("confirm", (), False),
    ],
)
def test_a_deleted_task_is_not_made_again_and_the_manager_knows_how_to_go_on(
    rule: str, rows: tuple[VisitRow, ...], tells: bool
) -> None:
    work = decided(seen(*rows, tasks=(task(rule),), on_portal={77: None}))
    assert (work.states, work.changes, work.again) == (((77, "obsolete"),), (), True)
    text = f"Задачу о замере удалили. Отметить замер можно на вкладке «Замер»: {CARD}"
    assert told(work) == ([(ANNA, text, "visit:task:77")] if tells else [])


@pytest.mark.parametrize("found", [closed(), {77: None}])
def test_a_client_declines_while_the_task_to_confirm_is_closed_and_the_entry_goes_all_the_same(
    found: dict[int, Any],
) -> None:
    """By chance: the look that came to take the entry away found the closed task, and nothing looked once more."""
    lost = standing("cancelled", calendar_id=5, shown="confirming")
    first = decided(seen(lost, tasks=(task("confirm"),), on_portal=found))
    assert (first.removed, first.again) == ((), True)
    assert decided(seen(lost)).removed == (5,)


def test_a_task_that_was_not_read_says_nothing() -> None:
    assert all_right(seen(standing(), tasks=(task("confirm"), task("agree", -129)), on_portal={}))


def test_a_made_visit_is_noted_and_its_task_closed() -> None:
    work = decided(seen(row("done", shown="confirmed", entry_delivery=5, calendar_id=501), tasks=(task("measure"),)))
    assert work == VisitWork(
        REF,
        "Кухня",
        OWNER,
        why="7: done",
        kept={7: {"shown": "done"}},
        done=(DoneTask(77, "obsolete", "замер сделан"),),
        notes=((f"[B]Замер сделан:[/B] {WHEN}", "7:done"),),
        no_timer=True,
    )


def test_k28_nobody_at_home_asks_the_manager_to_agree_on_a_new_date() -> None:
    missed = row("nobody_home", shown="confirmed", entry_delivery=5, calendar_id=501)
    work = decided(seen(missed, tasks=(task("measure"),)))
    text = (
        f"Замерщик приехал {WHEN} и никого не застал.\n{CARD}\n\n"
        "Позвоните клиенту и выберите новую дату на вкладке «Замер» или в карточке: эта задача закроется сама."
    )
    two_hours = NOW + 2 * HOUR
    assert work == VisitWork(
        REF,
        "Кухня",
        OWNER,
        why="7: nobody_home",
        kept={7: {"shown": "nobody_home"}},
        tasks=(NewTask(0, "visit:agree", "", 1, "Согласовать новую дату замера: Кухня", text, ANNA, two_hours),),
        done=(DoneTask(77, "obsolete", "никого не было дома"),),
        notes=((f"[B]Замерщик никого не застал:[/B] {WHEN}", "7:nobody"),),
        no_timer=True,
    )
    assert labels(work) == ["close_77", "task_0", "note_0"]


# the calendar entry


def moved(start: datetime, *, end: datetime | None = None, **changes: Any) -> Seen:
    """The entry of a visit that waits for its confirmation was dragged."""
    visit = changes.pop("visit", standing())
    by = rules(**changes.pop("policy", {}))
    facts = seen(visit, by=by, entry_seen=True, entry=entry(start, end), diary=replace(diary(visit), rules=by))
    return replace(facts, **changes)


def deleted(**policy: Any) -> Seen:
    return seen(standing(), by=rules(**policy), entry_seen=True)


def test_an_entry_as_we_left_it_is_all_right() -> None:
    assert all_right(seen(standing(), entry_seen=True, entry=entry()))
    assert all_right(seen(standing(), entry_seen=False, entry=entry(START + HOUR), diary=diary(standing())))
    assert all_right(seen(standing(calendar_id=None), entry_seen=True, diary=diary(standing())))


def test_k28_an_entry_that_was_dragged_takes_the_visit_with_it() -> None:
    work = decided(moved(START + 2 * HOUR))
    assert work.take == Wanted(
        "lead:42", "Кухня", "kitchen", OLEG, START + 2 * HOUR, START + 5 * HOUR, address="Лесная, 5",
        latitude=55.75, longitude=37.6, source="calendar",
    )  # fmt: skip
    assert replace(work, take=None) == VisitWork(
        REF, "Кухня", OWNER, why="передвинули в календаре / moved in the calendar"
    )


@pytest.mark.parametrize(
    ("start", "policy", "said"),
    [
        (START + 2 * HOUR, {"moved_by_hand": "object"}, "передвинули в календаре на Чт 26.11 12:00."),
        (START + 12 * HOUR, {}, "на Чт 26.11 22:00, но так нельзя: Чт 26.11: рабочее время 09:00-18:00."),
        (START + 7 * HOUR, {}, "на Чт 26.11 17:00, но так нельзя: "),
        (START + 2 * DAY, {}, "на Сб 28.11 10:00, но так нельзя: Сб 28.11: выходной."),
        (NOW - DAY, {}, "на Вс 22.11 10:00, но так нельзя: "),
    ],
)
def test_an_entry_that_may_not_be_moved_is_put_back_and_the_measurers_head_is_asked(
    start: datetime, policy: dict[str, Any], said: str
) -> None:
    work = decided(moved(start, policy=policy))
    assert labels(work) == ["entry_gone_501", "entry", "fields", "task_0"]
    assert (work.removed, work.entry, work.fields, work.take) == ((501,), ENTRY, WRITTEN, None)
    (asked,) = work.tasks
    assert (asked.rule, asked.responsible_id) == ("visit:object", CHIEF)
    assert asked.title == "Запись о замере изменили в календаре"
    assert said in asked.description
    assert f"Замер остаётся {WHEN}, Олег: в это время ждёт клиент.\n{CARD}" in asked.description


def test_an_entry_that_was_dragged_onto_another_visit_or_busy_time_is_put_back() -> None:
    other = row("confirmed", id=9, entity="lead:43", starts_at=START + 4 * HOUR)
    facts = moved(START + 2 * HOUR, diary=diary(other, standing()))
    assert "но так нельзя: другой замер" in decided(facts).tasks[0].description
    busy = Interval(START + 4 * HOUR, START + 5 * HOUR, id=777)
    facts = moved(START + 2 * HOUR, diary=diary(standing(), oleg=[busy]))
    assert decided(facts).removed == (501,)
    mine = Interval(START + 2 * HOUR, START + 5 * HOUR, id=501)
    assert decided(moved(START + 2 * HOUR, diary=diary(standing(), oleg=[mine]))).take is not None


def test_the_head_is_asked_once_a_round() -> None:
    for round, asked in ((1, 0), (2, 1)):
        facts = moved(START + 12 * HOUR, tasks=(task("object", 77, round),))
        assert len(decided(facts).tasks) == asked


def test_without_a_head_of_the_measurers_the_manager_is_asked() -> None:
    facts = replace(deleted(), crew=replace(CREW, head=None))
    assert decided(facts).tasks[0].responsible_id == ANNA


def test_only_the_end_of_an_entry_was_dragged_and_it_is_put_back_without_a_word() -> None:
    work = decided(moved(START, end=START + 5 * HOUR))
    assert labels(work) == ["entry_gone_501", "entry", "fields"]
    assert labels(decided(moved(START + timedelta(minutes=3)))) == ["entry_gone_501", "entry", "fields"]


@pytest.mark.parametrize("now", [START - HOUR, START + HOUR, START + 4 * HOUR], ids=["soon", "under way", "over"])
def test_the_end_of_an_entry_that_was_dragged_at_the_last_moment_is_no_question_to_anybody(now: datetime) -> None:
    """The measurer stays longer and says so in his calendar."""
    visit = standing("confirmed")
    facts = moved(START, end=START + 4 * HOUR, visit=visit, diary=replace(diary(visit), now=now))
    assert decided(at(now, facts)).tasks == ()


def test_a_deleted_entry_is_put_back_or_cancels_the_visit_by_policy() -> None:
    work = decided(deleted())
    assert labels(work) == ["entry", "fields", "task_0"]
    assert work.tasks[0].description.startswith("Запись о замере удалили из календаря, приложение вернуло её.")
    work = decided(deleted(deleted_by_hand="follow"))
    assert work.changes == (Change(7, "cancel", visit.DELETED),)
    assert (work.again, act(work)) == (True, [])


def test_a_visit_that_somebody_deleted_from_the_calendar_is_told_to_its_manager() -> None:
    gone = row("cancelled", shown="confirming", entry_delivery=5, calendar_id=501, reason=visit.DELETED)
    work = decided(seen(gone, raw=raw(standing())))
    text = f"Замер {WHEN} отменён: Запись в календаре удалили. {CARD}"
    assert told(work) == [(ANNA, text, "visit:gone:7")]


# the card


def dated(
    start: str, person: Any = "", *rows: VisitRow, hours: WorkCalendar = HOURS, busy: Any = None, **fields: Any
) -> Seen:
    """The manager wrote a date, and perhaps a measurer, into the card."""
    card = raw(**{DATE: start, PERSON: person, **fields})
    return seen(*rows, raw=card, diary=diary(*rows, hours=hours, **(busy or {})))


FRIDAY = "2026-11-27T10:00:00+03:00"


@pytest.mark.parametrize(
    ("person", "measurer"), [(OLEG, OLEG), (PAUL, PAUL), ("", OLEG), ([str(PAUL)], PAUL), (str(PAUL), PAUL)]
)
def test_k23_a_date_in_the_card_is_booked(person: Any, measurer: int) -> None:
    start = START + DAY
    work = decided(dated(FRIDAY, person))
    assert work.take == Wanted(
        "lead:42", "Кухня", "kitchen", measurer, start, start + 3 * HOUR, address="Лесная, 5", latitude=55.75,
        longitude=37.6, booked_by=ANNA, source="card",
    )  # fmt: skip
    assert (work.notices, work.fields, act(work)) == ((), {}, [])


def test_a_date_in_the_card_of_a_lost_client_is_not_booked() -> None:
    """It would be cancelled by the next look, booked by the one after it, and so on for ever."""
    assert all_right(dated(FRIDAY, OLEG, stageId="JUNK", stageSemanticId="F"))


def test_k22_without_a_measurer_in_the_card_the_fairest_of_those_who_are_free_comes() -> None:
    facts = dated(FRIDAY)
    assert facts.diary is not None
    facts = replace(facts, diary=replace(facts.diary, loads={OLEG: 2, PAUL: 1}))
    taken = decided(facts).take
    assert taken is not None
    assert taken.measurer_id == PAUL


def test_minutes_of_a_date_in_the_card_are_a_multiple_of_five() -> None:
    taken = decided(dated("2026-11-27T10:03:20+03:00", OLEG)).take
    assert taken is not None
    assert taken.starts_at == START + DAY


def test_k28_another_date_in_the_card_moves_the_visit() -> None:
    taken = decided(dated(FRIDAY, OLEG, standing())).take
    assert taken is not None
    assert (taken.measurer_id, taken.starts_at) == (OLEG, START + DAY)


def test_k22_another_measurer_in_the_card_moves_the_visit_to_him() -> None:
    taken = decided(dated(START.isoformat(), PAUL, standing())).take
    assert taken is not None
    assert (taken.measurer_id, taken.starts_at) == (PAUL, START)


def test_k28_another_measurer_comes_with_a_word_where_the_visits_own_is_busy_at_the_new_date() -> None:
    busy = {"oleg": [Interval(START + DAY, START + DAY + HOUR)]}
    work = decided(dated(FRIDAY, OLEG, standing(), busy=busy))
    assert work.take is not None
    assert work.take.measurer_id == PAUL
    text = f"Олег в это время занят, замер проведёт Павел. {CARD}"
    assert told(work) == [(ANNA, text, "visit:card:lead:42")]


def test_a_visit_of_a_dismissed_measurer_gets_another_one_with_its_new_date() -> None:
    work = decided(dated(FRIDAY, 99, standing(measurer_id=99)))
    assert work.take is not None
    assert work.take.measurer_id == OLEG


@pytest.mark.parametrize(
    ("start", "why"),
    [
        ("2026-11-27T22:00:00+03:00", "Пт 27.11: рабочее время 09:00-18:00."),
        ("2026-11-27T03:00:00+03:00", "Пт 27.11: рабочее время 09:00-18:00."),
        ("2026-11-28T10:00:00+03:00", "Сб 28.11: выходной."),
        ("2026-11-27T16:00:00+03:00", "не успеть до конца"),
        ("2026-11-20T10:00:00+03:00", "раньше"),
        ("2026-11-23T10:30:00+03:00", "раньше"),
        ("2027-11-26T10:00:00+03:00", "расписание известно на"),
    ],
    ids=["night", "early", "weekend", "over the day's end", "past", "too soon", "beyond the horizon"],
)
def test_a_date_that_cannot_be_is_refused_with_the_reason_and_the_card_says_again_what_is_agreed(
    start: str, why: str
) -> None:
    for rows, written in (((), {PERSON: "", DATE: ""}), ((standing(),), WRITTEN)):
        work = decided(dated(start, OLEG, *rows))
        assert work.take is None
        assert work.fields == written
        ((user, text, tag),) = told(work)
        assert (user, tag) == (ANNA, "visit:card:lead:42")
        assert why in text
        assert text.count("\n— ") == 3
        assert labels(work) == ["fields", "notice_0"]


def test_a_refused_date_names_the_three_nearest_of_the_chosen_measurer() -> None:
    busy = {"oleg": [Interval(START + DAY, START + DAY + 4 * HOUR)]}
    work = decided(dated(FRIDAY, OLEG, busy=busy))
    ((_, text, _),) = told(work)
    assert text == (
        f"{CARD}\nЗамер Пт 27.11 10:00 записать нельзя: занят: Пт 27.11 10:00-14:00.\nБлижайшее свободное время:\n"
        "— Пт 27.11 14:00–17:00, Олег\n— Пт 27.11 14:30–17:30, Олег\n— Пт 27.11 15:00–18:00, Олег"
    )


def test_a_date_on_a_holiday_is_refused_with_its_name() -> None:
    for hours, name in (
        (replace(HOURS, yearly_off=frozenset({(11, 27)})), "праздник по календарю портала"),
        (replace(HOURS, days_off=frozenset({(START + DAY).date()})), "нерабочий день компании"),
    ):
        ((_, text, _),) = told(decided(dated(FRIDAY, OLEG, hours=hours)))
        assert f"записать нельзя: Пт 27.11: {name}." in text
        assert "— Пт 27.11" not in text


def test_when_nobody_is_free_at_a_date_the_nearest_times_of_all_are_named() -> None:
    busy = [Interval(START + DAY, START + DAY + HOUR)]
    work = decided(dated(FRIDAY, "", busy={"oleg": busy, "paul": busy}))
    ((_, text, _),) = told(work)
    assert "записать нельзя: занят: Пт 27.11 10:00-11:00." in text
    work = decided(dated(FRIDAY, "", busy={"oleg": busy, "paul": [Interval(START + DAY, START + DAY + 2 * HOUR)]}))
    ((_, text, _),) = told(work)
    assert "записать нельзя: в это время никто из замерщиков не свободен." in text


def test_a_person_who_does_not_measure_is_refused() -> None:
    ((_, text, _),) = told(decided(dated(FRIDAY, 99)))
    assert text == (
        f"{CARD}\nЗамер Пт 27.11 10:00 записать нельзя: такого замерщика нет.\nВыберите время на вкладке «Замер»."
    )


@pytest.mark.parametrize("address", ["", None, [], "|;|"])
def test_k21_without_an_address_no_date_is_booked(address: Any) -> None:
    work = decided(dated(FRIDAY, OLEG, **{ADDRESS: address}))
    ((_, text, _),) = told(work)
    assert "записать нельзя: не заполнен адрес." in text
    assert (work.take, work.fields) == (None, {PERSON: "", DATE: ""})


def test_k21_a_point_on_the_map_is_an_address() -> None:
    taken = decided(dated(FRIDAY, OLEG, **{ADDRESS: "|55.75;37.6"})).take
    assert taken is not None
    assert (taken.address, taken.latitude, taken.longitude) == ("", 55.75, 37.6)


def test_the_date_was_taken_out_of_the_card_but_the_visit_stays() -> None:
    work = decided(dated("", OLEG, standing()))
    assert (work.changes, work.take, work.fields) == ((), None, WRITTEN)
    ((user, text, _),) = told(work)
    assert (user, "отменить его можно на вкладке «Замер»" in text) == (ANNA, True)


@pytest.mark.parametrize("rows", [(), (standing("cancelled"),), (standing("done"),)])
def test_a_measurer_without_a_date_waits_for_the_date(rows: tuple[VisitRow, ...]) -> None:
    assert all_right(dated("", PAUL, *rows))


def test_the_card_as_we_wrote_it_asks_for_nothing() -> None:
    for state in ("confirming", "confirmed", "done", "nobody_home"):
        assert all_right(dated(START.isoformat(), OLEG, standing(state)))  # type: ignore[arg-type]
    assert all_right(dated((START + timedelta(seconds=59)).isoformat(), OLEG, standing()))
    assert all_right(dated(START.isoformat(), OLEG, standing(), UF_CRM_B24_THEME="Другая"))


def test_a_date_that_stands_there_after_a_cancelled_visit_is_a_new_wish() -> None:
    assert decided(dated(START.isoformat(), OLEG, standing("cancelled"))).take is not None


@pytest.mark.parametrize(
    ("start", "person"),
    [(START.isoformat(), ""), ((START + timedelta(minutes=3)).isoformat(), OLEG)],
    ids=["the measurer was taken out", "three minutes later"],
)
def test_what_means_the_same_visit_is_written_back_into_the_card(start: str, person: Any) -> None:
    """Else the card asks for the same again at every look, and every look orders another."""
    work = decided(dated(start, person, standing()))
    assert work.fields == WRITTEN


def test_what_the_portal_did_not_take_is_no_wish_of_anybody() -> None:
    assert all_right(replace(dated(FRIDAY, OLEG, standing()), fields_written=False))
    assert all_right(replace(dated(FRIDAY, OLEG, standing()), on=replace(ON, fields={})))
    assert all_right(replace(dated(FRIDAY, OLEG, standing()), diary=None))


def test_what_was_decided_is_written_before_the_card_is_believed() -> None:
    work = decided(dated(FRIDAY, OLEG, row()))
    assert (work.take, work.kept[7]["shown"]) == (None, "confirming")


def test_an_automation_that_writes_the_card_is_answered_by_the_manager() -> None:
    ((user, _, _),) = told(decided(dated("2026-11-28T10:00:00+03:00", OLEG, updatedBy=0)))
    assert user == ANNA
    ((user, _, _),) = told(decided(dated("2026-11-28T10:00:00+03:00", OLEG, updatedBy="15")))
    assert user == 15


# 2 h and 4 h, by the playbook alone


@pytest.mark.parametrize(("work", "until"), [("kitchen", "15:00"), ("work_120", "14:00"), ("work_240", "16:00")])
def test_k25_a_moved_visit_lasts_as_long_as_its_kind_of_work(work: str, until: str) -> None:
    taken = decided(moved(START + 2 * HOUR, visit=standing(work=work), policy=works(120, 240))).take
    assert taken is not None
    assert (taken.work, f"{taken.ends_at.astimezone(MOSCOW):%H:%M}") == (work, until)


# another address


def test_k32_another_address_is_told_in_the_calendar_in_the_measurers_task_and_to_him() -> None:
    visit = standing("confirmed")
    card = raw(visit, **{ADDRESS: "Садовая, 1|55.8;37.7|13"})
    work = decided(seen(visit, raw=card, tasks=(task("measure"), task("measure", -129))))
    assert labels(work) == ["entry_gone_501", "entry", "retold", "notice_0"]
    assert work.kept == {7: {"address": "Садовая, 1", "zone": "", "latitude": 55.8, "longitude": 37.7}}
    assert work.entry is not None
    assert (work.entry.location, work.entry.start) == ("Садовая, 1", START)
    assert work.retold is not None
    assert (work.retold.task_id, work.retold.title) == (77, f"Замер {WHEN}: Садовая, 1")
    ((user, text, tag),) = told(work)
    assert (user, tag) == (OLEG, "visit:7")
    assert text.startswith(f"Адрес замера изменился. Замер {WHEN}: Садовая, 1. ")


def test_another_address_of_a_visit_that_is_not_confirmed_moves_only_the_entry() -> None:
    card = raw(standing(), **{ADDRESS: "Садовая, 1"})
    assert labels(decided(seen(standing(), raw=card, tasks=(task("confirm"),)))) == ["entry_gone_501", "entry"]


def test_the_entry_with_another_address_is_not_taken_for_the_one_that_it_replaces() -> None:
    """Where the worker dies before both writes, its look-up finds the old entry, which is about to go."""
    works = decided(seen(row())), decided(seen(standing(), raw=raw(standing(), **{ADDRESS: "Садовая, 1"})))
    old, new = (next(command for command in act(work) if command.label == "entry") for work in works)
    assert isinstance(new.again, LookUp)
    assert new.again.marker in new.call.params["description"]
    assert new.again.marker not in old.call.params["description"]


@pytest.mark.parametrize(
    ("address", "told_to"), [("Подольск, 1", [OLEG]), ("Мытищи, 1", [OLEG, ANNA]), ("Тверь, 1", [OLEG])]
)
def test_k22_an_address_in_a_zone_where_he_does_not_go_is_told_to_the_manager(address: str, told_to: list[int]) -> None:
    by = rules(
        zones=(Zone(key="north", name="Север", words=("Мытищи",)), Zone(key="south", name="Юг", words=("Подольск",))),
        measurers=(MeasurerRule(user=OLEG, zones=("south",)),),
    )
    visit = standing("confirmed")
    work = decided(seen(visit, by=by, raw=raw(visit, **{ADDRESS: address})))
    assert [one.user_id for one in work.notices] == told_to
    if ANNA in told_to:
        assert "Олег не выезжает в район «Север»" in work.notices[1].text


@pytest.mark.parametrize("address", ["", "Лесная, 5", "Лесная, 5|1;2|3", None])
def test_an_address_that_is_the_same_or_was_taken_out_changes_nothing(address: Any) -> None:
    assert all_right(seen(standing(), raw=raw(standing(), **{ADDRESS: address})))


# in time


def test_a_visit_that_waits_for_its_day_is_all_right() -> None:
    for now in (NOW, CONFIRM_AT - timedelta(minutes=1)):
        assert all_right(at(now, seen(standing())))


def test_k27_the_manager_is_reminded_once_and_then_his_head_is_told_once() -> None:
    remind = decided(at(CONFIRM_AT, seen(standing())))
    text = f"Пора подтвердить замер: {WHEN}, Олег. {CARD}"
    assert remind == VisitWork(
        REF,
        "Кухня",
        OWNER,
        why="напоминание / a reminder",
        kept={7: {"told": 1}},
        notices=(Notice(ANNA, text, "visit:confirm:7"),),
        look_at=CONFIRM_UNTIL,
    )
    assert all_right(at(CONFIRM_AT + HOUR, seen(standing(told=1))))
    late = decided(at(CONFIRM_UNTIL, seen(standing(told=1))))
    text = f"Замер {WHEN} не подтверждён: пока задачу не закроют, Олег к клиенту не поедет. {CARD}"
    assert told(late) == [(HEAD, text, "visit:late:7"), (ANNA, text, "visit:late:7")]
    assert late.kept == {7: {"told": 2}}
    assert (late.look_at, labels(late)) == (START, ["notice_0", "notice_1"])
    assert all_right(at(START - HOUR, seen(standing(told=2))))


@pytest.mark.parametrize("told", [0, 1, 2])
def test_k27_a_visit_that_nobody_confirmed_ends_when_it_would_begin(told: int) -> None:
    assert decided(at(START, seen(standing(told=told), tasks=(task("confirm"),)))) == VisitWork(
        REF, "Кухня", OWNER, why="не подтвердили / unconfirmed", changes=(Change(7, "cancel", visit.UNCONFIRMED),),
        again=True,
    )  # fmt: skip


def test_k29_a_task_that_is_closed_after_the_visit_began_confirms_nothing() -> None:
    work = decided(at(START, seen(standing(), tasks=(task("confirm"),), on_portal=closed())))
    assert work.changes == (Change(7, "cancel", visit.UNCONFIRMED),)
    assert (work.states, work.again) == (((77, "closed"),), True)


def test_k28_a_visit_that_nobody_confirmed_asks_the_manager_to_agree_on_a_new_date() -> None:
    gone = row("cancelled", shown="confirming", entry_delivery=5, calendar_id=501, reason=visit.UNCONFIRMED)
    work = decided(at(START, seen(gone, raw=raw(standing()), tasks=(task("confirm"), task("agree", 78)))))
    (asked,) = work.tasks
    assert (asked.rule, asked.responsible_id) == ("visit:agree", ANNA)
    assert asked.title == "Согласовать новую дату замера: Кухня"
    assert asked.description.startswith(f"Замер {WHEN} не подтвердили, и замерщик не поехал.\n{CARD}")
    assert labels(work) == ["entry_gone_501", "close_77", "fields", "task_0", "note_0"]
    assert work.fields == {PERSON: "", DATE: ""}
    assert work.notes[0][0] == f"[B]Замер отменён:[/B] {WHEN}. Не подтвердили до начала."
    assert decided(seen(gone, raw=None)).tasks == ()


def test_a_manager_who_is_the_head_himself_is_told_once() -> None:
    card = raw(standing(), assignedById=HEAD)
    assert [user for user, _, _ in told(decided(at(CONFIRM_UNTIL, seen(standing(told=1), raw=card))))] == [HEAD]


def test_k27_a_holiday_that_is_added_later_moves_the_plan() -> None:
    hours = replace(HOURS, days_off=frozenset({CONFIRM_AT.date()}))
    facts = seen(standing(), tasks=(task("confirm"),))
    facts = replace(facts, office=replace(OFFICE, team=replace(OFFICE.team, hours=hours)))
    work = decided(facts)
    earlier = CONFIRM_AT - DAY
    assert work == VisitWork(
        REF,
        "Кухня",
        OWNER,
        why="план сдвинут / planned anew",
        kept={7: {"confirm_at": earlier, "told": 0}},
        replan=Replan(77, earlier, earlier + 4 * HOUR),
        look_at=earlier,
    )
    assert shape(act(work)) == [
        (
            "replan",
            "tasks.task.update",
            {
                "taskId": 77,
                "fields": {
                    "START_DATE_PLAN": "2026-11-24T10:00:00+03:00",
                    "END_DATE_PLAN": "2026-11-24T14:00:00+03:00",
                    "DEADLINE": "2026-11-24T14:00:00+03:00",
                },
            },
            "harmless",
            (),
        )
    ]
    assert decided(replace(facts, tasks=())).replan is None


@pytest.mark.parametrize(("now", "told_before", "told_after"), [(NOW, 1, 0), (CONFIRM_AT + HOUR, 1, 1)])
def test_a_plan_that_moved_ahead_again_reminds_again(now: datetime, told_before: int, told_after: int) -> None:
    facts = at(now, seen(standing(confirm_at=CONFIRM_AT - DAY, told=told_before)))
    assert decided(facts).kept[7] == {"confirm_at": CONFIRM_AT, "told": told_after}


def test_nobody_is_asked_to_confirm_after_the_visit_began() -> None:
    early = datetime(2026, 11, 26, 9, 0, tzinfo=MOSCOW)
    work = decided(seen(row(starts_at=early), by=rules(confirm_minutes=6000)))
    assert work.tasks[0].deadline == early


@pytest.mark.parametrize("state", ["booked", "confirmed"])
def test_only_a_visit_that_waits_for_its_confirmation_is_reminded_of(state: State) -> None:
    assert all_right(at(CONFIRM_AT + HOUR, seen(standing(state))))


def test_an_item_without_visits_is_all_right() -> None:
    assert all_right(seen())
    assert all_right(seen(raw=None))


# keeping


@contextmanager
def memory(database: Database, delivery_id: int = 9, now: datetime = NOW) -> Iterator[Memory]:
    with database.write() as connection:
        yield Memory(database, connection, "m", now, delivery_id)


def kept(one: Memory, id: int = 1) -> VisitRow:
    found = visits.visit(one, id)
    assert found is not None
    return found


def timers(one: Memory) -> dict[str, tuple[str, str, datetime]]:
    rows = one.connection.execute(sa.select(schema.timers)).mappings()
    return {row["key"]: (row["code"], row["entity"], row["due_at"]) for row in rows}


def looks(one: Memory) -> int:
    table = schema.deliveries
    return len(one.connection.execute(sa.select(table.c.id).where(table.c.code == visits.VISIT)).all())


def work(**values: Any) -> VisitWork:
    return VisitWork(REF, "Кухня", OWNER, **values)


def test_a_booked_visit_is_kept_with_its_plan_its_entry_its_task_and_its_timer(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        before = looks(one)
        facts = seen(kept(one))
        remember(one, decided(facts))
        row = kept(one)
        assert (row.state, row.shown, row.confirm_at) == ("confirming", "confirming", CONFIRM_AT)
        assert (row.entry_delivery, row.calendar_id) == (9, None)
        (made,) = process_memory.tasks_of(one, "lead:42")
        assert (made.rule, made.round, made.state) == ("visit:confirm", 1, "open")
        assert made.task_id == process_memory.awaited_number(one, 0)
        assert timers(one) == {
            "visit_confirm:lead:42": ("visit", "lead:42", CONFIRM_AT),
            "visit_watch": ("visit_watch", "visit_watch", NOW + visits.WATCH_EVERY),
        }
        assert looks(one) == before


def test_what_happened_is_kept_with_its_reason_and_looked_at_again(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        process_memory.add_task(one, task_id=77, entity="lead:42", rule="visit:confirm", stage="", round=1)
        before = looks(one)
        remember(one, work(changes=(Change(1, "agree", "клиент подтвердил"),), states=((77, "closed"),), again=True))
        assert (kept(one).state, kept(one).reason, kept(one).shown) == ("confirmed", "клиент подтвердил", "")
        assert [task.state for task in process_memory.tasks_of(one, "lead:42")] == ["closed"]
        assert looks(one) == before + 1


def test_what_does_not_happen_in_that_state_leaves_the_visit_as_it_is(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        remember(one, work(changes=(Change(1, "miss"), Change(99, "cancel"))))
        assert kept(one).state == "booked"


def test_a_moved_visit_forgets_its_timer_its_sms_and_its_tasks(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        process_memory.add_task(one, task_id=77, entity="lead:42", rule="visit:confirm", stage="", round=1)
        for key in (visits.remind_timer("lead:42"), texting.timer_key(sms_key(kept(one)))):
            one.set_timer(key, code="x", entity="x", due_at=START)
        visits.turn(one, kept(one), "cancel")
        told = {1: {"shown": "cancelled"}}
        gone = work(done=(DoneTask(77, "obsolete", ""),), forgotten=("visit:1",), no_timer=True, kept=told)
        remember(one, gone)
        assert timers(one) == {}
        assert [task.state for task in process_memory.tasks_of(one, "lead:42")] == ["obsolete"]


def test_a_new_date_keeps_the_timer_of_the_new_visit(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        remember(one, work(no_timer=True, look_at=CONFIRM_AT))
        assert timers(one)["visit_confirm:lead:42"][2] == CONFIRM_AT


def test_k31_an_sms_that_waits_for_the_morning_is_one_timer(database: Database) -> None:
    night = datetime(2026, 11, 23, 22, 0, tzinfo=MOSCOW)
    with memory(database, now=night) as one:
        visits.take(one, want())
        visits.turn(one, kept(one), "agree")
        composed = decided(at(night, seen(kept(one)))).sms
        assert composed is not None
        for _ in range(2):
            remember(one, work(sms=composed))
        code, _, due_at = timers(one)[texting.timer_key("visit:1")]
        assert (code, due_at) == ("sms_due", datetime(2026, 11, 24, 9, 0, tzinfo=MOSCOW))
        remember(one, work(forgotten=("visit:1",)))
        assert texting.timer_key("visit:1") not in timers(one)


def test_a_new_entry_forgets_the_number_of_the_old_one(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        visits.keep(one, 1, {"calendar_id": 501, "entry_delivery": 5})
        remember(one, work(entry=replace(ENTRY, visit_id=1), kept={1: {"address": "Садовая, 1"}}))
        assert (kept(one).calendar_id, kept(one).entry_delivery, kept(one).address) == (None, 9, "Садовая, 1")


def test_k28_the_date_of_the_card_is_taken_and_looked_at(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want())
        before = looks(one)
        remember(one, work(take=want(start=START + DAY)))
        assert [(row.state, row.round) for row in visits.visits_of(one, "lead:42")] == [("booked", 2), ("moved", 1)]
        assert looks(one) == before + 1


def test_a_time_that_somebody_else_took_meanwhile_is_decided_anew_in_a_moment(database: Database) -> None:
    with memory(database) as one:
        visits.take(one, want("lead:43"))

    def keep() -> None:
        with memory(database) as one:
            remember(one, work(take=want()))

    began = datetime.now(UTC)
    with pytest.raises(Temporary, match="время только что заняли") as caught:
        keep()
    assert caught.value.retry_at is not None
    assert timedelta(0) <= caught.value.retry_at - began <= timedelta(minutes=1)
    with memory(database) as one:
        assert visits.visits_of(one, "lead:42") == []


@pytest.mark.parametrize(
    "facts",
    [
        seen(row()),
        seen(row(starts_at=SOON)),
        seen(
            row(id=8, round=2, starts_at=START + DAY), row("moved", shown="confirmed", entry_delivery=5, calendar_id=5)
        ),
        dated(FRIDAY, OLEG),
        moved(START + 12 * HOUR),
        seen(standing("confirmed"), raw=raw(standing(), **{ADDRESS: "Садовая, 1"}), tasks=(task("measure"),)),
        seen(standing(confirm_at=NOW), tasks=(task("confirm"),)),
    ],
    ids=["booked", "soon", "moved", "card", "put back", "address", "planned anew"],
)
def test_a_decision_survives_the_database(facts: Seen) -> None:
    decision = decided(facts)
    adapter: TypeAdapter[Any] = TypeAdapter(visit.TIMER.decision)
    read = adapter.validate_json(adapter.dump_json(decision))
    assert replace(read, kept={}) == replace(decision, kept={})  # the times of what is kept are text there
    assert [*read.kept] == [*decision.kept]
    assert visit.TIMER in TIMERS
