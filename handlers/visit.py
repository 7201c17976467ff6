"""A visit and everything about it are brought in line (K20-K32): card, calendar, tasks, words, one SMS a round.

Looked at whenever something may have changed: a button, a robot, the card, a task, the calendar entry, a timer. First
what people did is taken over: a closed task, a moved calendar entry, another date in the card. Then what the visit's
state asks for is written, and what an earlier state had written is taken away. Nothing changed: nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from b24app import distribution as desk
from b24app import measuring, texting
from b24app import process as card_desk
from b24app import stage_work as stage_desk
from b24app import visit_words as say
from b24app.bitrix import reads
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.reads import Read
from b24app.bitrix.translate import number, rows
from b24app.engine.declare import Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.entities import CONTACT, Address, ItemRef
from b24app.errors import NotFound, Permanent
from b24app.process import COMPLETED
from b24app.rules import confirmation
from b24app.rules.confirmation import AGREED, Plan
from b24app.rules.intake import Notice, plain
from b24app.rules.working_time import Text
from b24app.stage_work import VISIT_TASK, DoneTask, NewTask
from b24app.store import process_memory, visits
from b24app.store.memory import Memory
from b24app.store.process_memory import TaskRow
from b24app.store.visits import VisitRow
from b24app.visit_words import Seen
from b24app.visit_work import (
    AGREE,
    CONFIRM,
    MEASURE,
    OBJECT,
    Change,
    Entry,
    Replan,
    VisitWork,
    act,
    remember,
    sms_key,
)

FIVE_MINUTES = 5
UNCONFIRMED = "не подтвердили до начала / not confirmed before it began"
DELETED = "запись в календаре удалили / the calendar entry was deleted"
"""Why a visit was cancelled that somebody took out of the calendar: its manager does not know yet."""


# reading


def read(portal: Portal, call: TimerCall) -> Seen | Nothing:
    """Reads the card, the open tasks and the entry in one request; busy times too where somebody wants another time."""
    ref = ItemRef.parse(call.entity)
    rules = measuring.rules_of(portal, ref.entity_type_id)
    if rules is None:
        return Nothing("в сценарии нет замеров / the playbook has no measurements")
    on = card_desk.process_on(portal, ref.entity_type_id)
    crew = measuring.read_crew(portal, rules)
    office = stage_desk.office(portal, desk.read_team(portal, desk.pool_of(portal.playbook)))
    with portal.database.write() as connection:
        memory = Memory(portal.database, connection, portal.member_id)
        found_rows, tasks = _recalled(memory, str(ref))
        written = _fields_written(memory, found_rows)
    seen = Seen(ref, rules, portal.playbook, office, crew, on, rows=found_rows, tasks=tasks, fields_written=written)
    asked: dict[str, Read[Any]] = {
        "card": card_desk.card_read(ref),
        "client": reads.item(CONTACT, reads.result_of("card", "item", "contactId")),
    }
    entry_row = _entry_row(seen)
    if entry_row is not None and entry_row.calendar_id is not None:
        asked["entry"] = reads.calendar_entry(entry_row.calendar_id)
    for task in seen.open_tasks():
        if task.task_id > 0:
            asked[f"task_{task.task_id}"] = card_desk.task_read(task.task_id)
    found = portal.read(asked, optional=frozenset({"client"}))
    seen = replace(
        seen,
        raw=card_desk.card_or_none(found, "card"),
        client=found.maybe("client", None),
        on_portal={
            task.task_id: card_desk.task_or_none(found, f"task_{task.task_id}")
            for task in seen.open_tasks()
            if f"task_{task.task_id}" in found
        },
    )
    seen = _with_entry(seen, found)
    more: dict[str, Read[Any]] = {}
    finished = _closed(seen, MEASURE)
    if finished is not None:
        more["results"] = _result_texts(finished.task_id)
        more["ticked"] = _ticked(finished.task_id)
    wants = seen.there and (_card_wish(seen) is not None or _entry_moved(seen) is not None)
    if wants:
        more |= measuring.diary_reads(crew, rules, office.now)
    if not more:
        return seen
    answers = portal.read(more, optional=measuring.optional_reads(more))
    texts = [*answers.maybe("results", []), *answers.maybe("ticked", [])]
    missed = any(_says(text, rules.not_home) for text in texts)
    diary = measuring.diary_of(answers, crew, rules, office.now) if wants else None
    return replace(seen, nobody_home=missed, diary=diary)


def _with_entry(seen: Seen, found: Found) -> Seen:
    """The entry as it stands; a refusal that does not say that it is gone proves nothing (calendar.event.getbyid)."""
    if "entry" not in found:
        return seen
    try:
        return replace(seen, entry_seen=True, entry=found["entry"])
    except NotFound:
        return replace(seen, entry_seen=True)
    except Permanent as refusal:
        return replace(seen, entry_seen="not found" in refusal.reason.lower())


def _result_texts(task_id: int) -> Read[list[str]]:
    call = Call("tasks.task.result.list", {"taskId": task_id})
    return Read(call, lambda answer: [str(row.get("text") or "") for row in rows(answer.result)])


def _ticked(task_id: int) -> Read[list[str]]:
    """The items of the task's checklists that are ticked."""

    def parse(answer: Answer) -> list[str]:
        return [str(row.get("TITLE") or "") for row in rows(answer.result) if row.get("IS_COMPLETE") == "Y"]

    return Read(Call("task.checklistitem.getlist", {"TASKID": task_id, "ORDER": {"ID": "ASC"}}), parse)


def _says(text: str, words: str) -> bool:
    return words.strip().lower() in text.lower()


def _recalled(memory: Memory, entity: str) -> tuple[tuple[VisitRow, ...], tuple[TaskRow, ...]]:
    process_memory.number_tasks(memory)
    visits.number_entries(memory)
    tasks = [task for task in process_memory.tasks_of(memory, entity) if task.rule.startswith(VISIT_TASK)]
    return tuple(visits.visits_of(memory, entity)), tuple(tasks)


def _fields_written(memory: Memory, found: Sequence[VisitRow]) -> bool:
    """Whether the portal took what we last wrote into the card: else the card says nothing of what a person wishes."""
    told = next((row for row in found if row.entry_delivery is not None), None)
    if told is None or told.entry_delivery is None:
        return True
    return process_memory.command_state(memory, told.entry_delivery, "fields")[0] not in ("failed", "skipped")


def recall(memory: Memory, facts: Seen) -> Seen:
    """Adds what our own database knows at the moment of deciding; other decisions about measurers' time wait."""
    visits.serialise(memory)
    found, tasks = _recalled(memory, str(facts.ref))
    diary = facts.diary.recalled(memory) if facts.diary is not None else None
    return replace(facts, rows=found, tasks=tasks, diary=diary)


# deciding


def decide(facts: Seen) -> VisitWork | Nothing:
    """Says what becomes of the visit: what people did first, then what the visit's state asks for."""
    steps: tuple[Callable[[Seen], VisitWork | None], ...] = (
        _lost,
        _hold_over,
        _task_closed,
        _written,
        _entry_by_hand,
        _date_by_hand,
        _address_changed,
        _in_time,
    )
    for step in steps:
        work = step(facts)
        if work is not None:
            return work
    return Nothing("с замером всё в порядке / the visit is all right")


def _work(facts: Seen, **values: Any) -> VisitWork:
    title = facts.item.title if facts.there else ""
    return VisitWork(facts.ref, title, facts.office.owner_id, **values)


# what people did


def _is_lost(facts: Seen) -> bool:
    """Whether nobody waits for a measurer: the item is gone, or the client declined. A converted one still does."""
    return not facts.there or facts.item.stage_semantics == "F"


def _lost(facts: Seen) -> VisitWork | None:
    """What stood for a client who is lost is cancelled."""
    if not _is_lost(facts):
        return None
    why = "клиент отказался / the client declined" if facts.there else "карточки больше нет / the item is gone"
    changes = tuple(
        Change(row.id, "cancel", why)
        for row in facts.rows
        if confirmation.after(row.state, "cancel") is not None
        and (row.state != "confirmed" or row.ends_at > facts.now or not facts.there)  # he was there: that stays
    )
    return _work(facts, why=why, changes=changes, again=True) if changes else None


def _hold_over(facts: Seen) -> VisitWork | None:
    """A hold is over: the time is free again, and whoever held it is told."""
    over = next((r for r in facts.rows if r.state == "held" and r.hold_until and r.hold_until <= facts.now), None)
    if over is None:
        return None
    text = (
        f"Удержание закончилось, время снова свободно: {say.when(facts, over)}, {facts.crew.name(over.measurer_id)}. "
        f"{say.card_link(facts)}"
    )
    notices = (Notice(over.booked_by, text, f"visit:hold:{over.id}"),) if over.booked_by else ()
    return _work(
        facts,
        why="удержание закончилось / the hold is over",
        changes=(Change(over.id, "expire", "время удержания вышло / the hold was over"),),
        kept={over.id: {"shown": "cancelled"}},
        notices=notices,
        again=True,
    )


def _closed(facts: Seen, rule: str) -> TaskRow | None:
    """Returns the open task of this rule that somebody closed on the portal."""
    for task in facts.open_tasks(rule):
        known = facts.on_portal.get(task.task_id)
        if known is not None and known.status == COMPLETED:
            return task
    return None


def _task_closed(facts: Seen) -> VisitWork | None:
    """A task of a visit was closed or deleted by a person. Whatever else has happened is looked at next."""
    visit = facts.agreed
    for task in facts.open_tasks():
        if task.task_id not in facts.on_portal:
            continue
        known = facts.on_portal[task.task_id]
        if known is None:
            return _task_deleted(facts, task)
        if known.status != COMPLETED:
            continue
        states = ((task.task_id, "closed"),)
        if visit is not None and visit.round == task.round and task.rule == CONFIRM:
            change = Change(visit.id, "agree", "клиент подтвердил / the client confirmed")
            if visit.starts_at <= facts.now:
                change = Change(visit.id, "cancel", UNCONFIRMED)
            return _work(facts, why="подтверждён / confirmed", changes=(change,), states=states, again=True)
        if visit is not None and visit.round == task.round and task.rule == MEASURE:
            happening: confirmation.Happening = "miss" if facts.nobody_home else "measure"
            return _work(facts, why=happening, changes=(Change(visit.id, happening),), states=states, again=True)
        return _work(facts, why="задача закрыта / the task is closed", states=states, again=True)
    return None


def _task_deleted(facts: Seen, task: TaskRow) -> VisitWork:
    """A person took a task of the visit away: it is not made again, and the manager knows how to go on."""
    notices: tuple[Notice, ...] = ()
    if (
        facts.there
        and facts.agreed is not None
        and facts.agreed.round == task.round
        and task.rule in (CONFIRM, MEASURE)
    ):
        text = f"Задачу о замере удалили. Отметить замер можно на вкладке «Замер»: {say.card_link(facts)}"
        notices = (Notice(facts.manager_id, text, f"visit:task:{task.task_id}"),)
    states = ((task.task_id, "obsolete"),)
    return _work(facts, why="задачу удалили / deleted", states=states, notices=notices, again=True)


def _entry_row(facts: Seen) -> VisitRow | None:
    """The visit whose calendar entry stands as we left it, and may have been changed by a person since."""
    visit = facts.agreed
    return visit if visit is not None and visit.calendar_id is not None and visit.shown == visit.state else None


def _entry_moved(facts: Seen) -> VisitRow | None:
    visit = _entry_row(facts)
    if visit is None or not facts.entry_seen:
        return None
    entry = facts.entry
    same = entry is not None and (entry.start, entry.end) == (visit.starts_at, visit.ends_at)
    return None if same else visit


def _entry_by_hand(facts: Seen) -> VisitWork | None:
    """Somebody moved or deleted the calendar entry: the visit follows, or the entry is put back and a task made."""
    visit = _entry_moved(facts)
    if visit is None or not facts.there:
        return None
    entry, rules = facts.entry, facts.rules
    if entry is None:
        if rules.deleted_by_hand == "follow":
            change = Change(visit.id, "cancel", DELETED)
            return _work(facts, why="запись удалили / deleted", changes=(change,), again=True)
        return _put_back(facts, visit, "Запись о замере удалили из календаря, приложение вернуло её.")
    if facts.diary is None:
        return None
    start = _five(entry.start)
    if start == visit.starts_at:  # only its end was dragged: the work takes what it takes
        return _put_back(facts, visit, "")
    if rules.moved_by_hand == "object":
        return _put_back(
            facts, visit, f"Запись о замере передвинули в календаре на {say.moment_of(facts, visit, start)}."
        )
    kind, place = measuring.task_of(rules, visit)
    board = facts.diary.board(without=str(facts.ref))
    job = facts.diary.job(kind, place)
    why = board.why(visit.measurer_id, start, job)
    if why is not None:
        said = f"Запись о замере передвинули на {say.moment_of(facts, visit, start)}, но так нельзя: {why['ru']}."
        return _put_back(facts, visit, said)
    address = Address(visit.address, visit.latitude, visit.longitude)
    taken = measuring.wanted(facts.item, kind, facts.diary, visit.measurer_id, start, address, source="calendar")
    return _work(facts, why="передвинули в календаре / moved in the calendar", take=taken)


def _put_back(facts: Seen, visit: VisitRow, said: str) -> VisitWork:
    """The entry stands again where the visit is; whoever answers for the measurers looks into it."""
    removed = (visit.calendar_id,) if visit.calendar_id is not None and facts.entry is not None else ()
    tasks: tuple[NewTask, ...] = ()
    if said and not facts.open_tasks(OBJECT, visit.round):
        text = (
            f"{said} Замер остаётся {say.when(facts, visit)}, {facts.crew.name(visit.measurer_id)}: "
            f"в это время ждёт клиент.\n{say.card_link(facts)}\n\n"
            "Нужно другое время — перенесите замер на вкладке «Замер» в карточке."
        )
        head = facts.crew.head.id if facts.crew.head is not None else facts.manager_id
        tasks = (say.task(facts, OBJECT, visit, "Запись о замере изменили в календаре", text, head),)
    return _work(
        facts,
        why="запись возвращена / the entry is back",
        removed=removed,
        entry=say.entry(facts, visit),
        fields=say.card_values(facts, visit),
        tasks=stage_desk.placed(tasks),
    )


STAYS: Text = {
    "ru": "дату убрали, а замер остаётся; отменить его можно на вкладке «Замер»",
    "en": "the date was taken out, the visit stays; it is cancelled on the tab",
}


@dataclass(frozen=True)
class Wish:
    """What a person wrote into the card: another measurer, another time, or nothing any more."""

    measurer_id: int | None
    start: datetime | None
    other_measurer: bool


def _card_wish(facts: Seen) -> Wish | None:
    """Returns what the card's two fields say besides what we wrote there ourselves, or None."""
    on = facts.on
    if _is_lost(facts) or on is None or facts.raw is None or not facts.fields_written or not say.has_fields(facts):
        return None
    if any(row.shown != row.state for row in facts.rows):
        return None  # what was decided is written first
    measurer, start = say.in_card(on, facts.rules, facts.raw)
    expected = say.last_written(facts.rows)
    if say.is_same(measurer, start, expected):
        return None
    return Wish(measurer, start, other_measurer=measurer is not None and measurer != expected[0])


def _date_by_hand(facts: Seen) -> VisitWork | None:
    """The manager filled in «Замерщик» and «Дата замера»: booked, or he reads why not and what is free instead."""
    wish = _card_wish(facts)
    if wish is None:
        return None
    visit = facts.agreed
    if wish.start is None:
        if visit is None:
            return None  # a measurer without a date: the manager is not done yet
        return _refused(facts, wish, STAYS)
    if facts.diary is None or facts.on is None or facts.raw is None:
        return None
    rules, diary = facts.rules, facts.diary
    kind = measuring.work_of(rules, card_desk.card_of(facts.on, facts.raw))
    address = measuring.address_in(facts.on, rules, facts.raw)
    if not address.text and address.latitude is None:
        return _refused(facts, wish, measuring.NO_ADDRESS)
    start = _five(wish.start)
    if visit is not None and visit.same_time(wish.measurer_id or visit.measurer_id, start):
        return _work(facts, why="то же самое / the same visit", fields=say.card_values(facts, visit))
    preferred = wish.measurer_id or (visit.measurer_id if visit is not None else None)
    board = diary.board(without=str(facts.ref))
    job = diary.job(kind, measuring.place_of(rules, address))
    measurer, why = measuring.choose(diary, board, job, start, preferred, only=wish.other_measurer)
    if measurer is None:
        near = board.nearest(job, start, preferred if wish.other_measurer else None)
        return _refused(facts, wish, why or measuring.NOBODY, [measuring.slot_when(slot) for slot in near])
    taken = measuring.wanted(facts.item, kind, diary, measurer, start, address, source="card", booked_by=_writer(facts))
    notices: tuple[Notice, ...] = ()
    if preferred is not None and measurer != preferred:
        text = f"{facts.crew.name(preferred)} в это время занят, замер проведёт {facts.crew.name(measurer)}. "
        notices = (Notice(_writer(facts), text + say.card_link(facts), f"visit:card:{facts.ref}"),)
    return _work(facts, why="дата в карточке / a date in the card", take=taken, notices=notices)


def _refused(facts: Seen, wish: Wish, why: Text, near: Sequence[str] = ()) -> VisitWork:
    """The card says again what is agreed; whoever wrote reads why, and what is free near that time."""
    told = facts.agreed
    asked = "" if wish.start is None else f"Замер {say.moment_of(facts, told, wish.start)} записать нельзя: "
    said = f"{asked}{why['ru']}"
    text = f"{say.card_link(facts)}\n{said[:1].upper()}{said[1:]}."
    if near:
        text += "\nБлижайшее свободное время:\n" + "\n".join(f"— {one}" for one in near)
    elif wish.start is not None:
        text += "\nВыберите время на вкладке «Замер»."
    return _work(
        facts,
        why=f"в карточке отказано / refused: {why['ru']}",
        fields=say.card_values(facts, told),
        notices=(Notice(_writer(facts), text, f"visit:card:{facts.ref}"),),
    )


def _writer(facts: Seen) -> int:
    """Who wrote into the card last; an automation is answered by the manager."""
    return number((facts.raw or {}).get("updatedBy")) or facts.manager_id


def _address_changed(facts: Seen) -> VisitWork | None:
    """The address in the card is another one: the calendar entry and the measurer's task say it too."""
    visit = facts.agreed
    if visit is None or visit.shown != visit.state or visit.address_given or facts.on is None or facts.raw is None:
        return None
    address = measuring.address_in(facts.on, facts.rules, facts.raw)
    if not address.text or address.text == visit.address:
        return None
    place = measuring.place_of(facts.rules, address)
    known = {"address": address.text, "zone": place.zone, "latitude": place.latitude, "longitude": place.longitude}
    there = replace(visit, **known)  # type: ignore[arg-type]
    task = next((one for one in facts.open_tasks(MEASURE, visit.round) if one.task_id > 0), None)
    notices: tuple[Notice, ...] = ()
    if visit.state == "confirmed":
        text = f"Адрес замера изменился. {say.measurer_notice(facts, there)}"
        notices = (Notice(visit.measurer_id, text, f"visit:{visit.id}"),)
    rule = next((one for one in facts.rules.measurers if one.user == visit.measurer_id), None)
    if rule is not None and rule.zones and place.zone and place.zone not in rule.zones:
        text = (
            f"Адрес замера изменился: {facts.crew.name(visit.measurer_id)} не выезжает в район «{place.name}». "
            f"Выберите другого на вкладке «Замер»: {say.card_link(facts)}"
        )
        notices = (*notices, Notice(facts.manager_id, text, f"visit:zone:{visit.id}"))
    return _work(
        facts,
        why="адрес изменился / another address",
        kept={visit.id: known},
        removed=(visit.calendar_id,) if visit.calendar_id is not None else (),
        entry=say.entry(facts, there),
        retold=say.retold(facts, there, task.task_id) if task is not None else None,
        notices=notices,
    )


# what the visit's state asks for


class _Draft:
    """Collects what several visits of one item ask for."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.kept: dict[int, dict[str, Any]] = {}
        self.removed: list[int] = []
        self.entry: Entry | None = None
        self.fields: dict[str, Any] = {}
        self.tasks: list[NewTask] = []
        self.done: list[DoneTask] = []
        self.notices: list[Notice] = []
        self.notes: list[tuple[str, str]] = []
        self.sms: texting.Texting | None = None
        self.forgotten: list[str] = []
        self.look_at: datetime | None = None
        self.no_timer = False

    def keep(self, row: VisitRow, **values: Any) -> None:
        self.kept.setdefault(row.id, {}).update(values)


def _written(facts: Seen) -> VisitWork | None:
    """Writes what the states ask for that nobody was told of yet, the oldest visit first."""
    waiting = [row for row in reversed(facts.rows) if row.shown != row.state]
    if not waiting:
        return None
    draft = _Draft()
    for row in waiting:
        if row.state in AGREED:
            _announce(facts, row, draft)
        elif row.state in ("moved", "cancelled"):
            _take_away(facts, row, draft)
        elif row.state in ("done", "nobody_home"):
            _finish(facts, row, draft)
        else:
            draft.keep(row, shown=row.state)
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(draft).items()}
    values["tasks"] = stage_desk.placed(draft.tasks)
    if not facts.there:
        values["notes"] = ()  # there is no timeline any more
    silent = all(row.state in ("moved", "cancelled") and row.entry_delivery is None for row in waiting)
    values["again"] = silent  # a hold that ended says nothing: the card may
    return _work(facts, why=", ".join(f"{row.id}: {row.state}" for row in waiting), **values)


def _announce(facts: Seen, row: VisitRow, draft: _Draft) -> None:
    """An agreed visit: entry and card; more than one working day left: the task to confirm; else it goes on at once."""
    state, plan = row.state, Plan()
    if state == "booked":
        confirm = timedelta(minutes=facts.rules.confirm_minutes)
        plan = confirmation.plan(facts.office.team.hours, facts.now, row.starts_at, confirm)
        state = "confirmed" if row.agreed or plan.confirm_at is None else "confirming"
        draft.changes.append(Change(row.id, "agree" if state == "confirmed" else "ask"))
    if row.entry_delivery is None:
        draft.entry = say.entry(facts, row)
        draft.fields = say.card_values(facts, row)
        draft.notes.append((say.booked_note(facts, row, state), f"{row.id}:booked"))
        dates = [one.starts_at for one in reversed(facts.rows) if one.entry_delivery or one.id == row.id]
        count = 1 + sum(one != other for one, other in pairwise(dates))
        if count > facts.rules.rounds:
            draft.tasks.append(say.head_task(facts, row, count))
        _close(facts, draft, AGREE, "новая дата согласована")
    if state == "confirming" and plan.confirm_at is not None and plan.confirm_until is not None:
        draft.tasks.append(say.confirm_task(facts, row, plan.confirm_at, plan.confirm_until))
        draft.keep(row, confirm_at=plan.confirm_at)
        draft.look_at = plan.confirm_at
    if state == "confirmed":
        _close(facts, draft, CONFIRM, "замер подтверждён")
        draft.tasks.append(say.measure_task(facts, row))
        draft.notices.append(Notice(row.measurer_id, say.measurer_notice(facts, row), f"visit:{row.id}"))
        draft.sms = say.sms(facts, row)
        draft.no_timer = draft.look_at is None
        if draft.sms.refusal:
            text = f"SMS о замере не ушла: {draft.sms.refusal}. Позвоните клиенту. {say.card_link(facts)}"
            draft.notices.append(Notice(facts.manager_id, text, f"visit:sms:{row.id}"))
    draft.keep(row, shown=state)


def _take_away(facts: Seen, row: VisitRow, draft: _Draft) -> None:
    """A moved or cancelled visit: its entry, its tasks and its SMS that did not go yet are gone; the measurer knows."""
    draft.keep(row, shown=row.state)
    if row.entry_delivery is None:
        return
    if row.calendar_id is not None:
        draft.removed.append(row.calendar_id)
    draft.forgotten.append(sms_key(row))
    draft.no_timer = True
    gone = "замер перенесён" if row.state == "moved" else "замер отменён"
    for rule in (CONFIRM, MEASURE, OBJECT):
        _close(facts, draft, rule, gone, row.round)
    if row.state == "cancelled" and row.reason == UNCONFIRMED and facts.there:
        text = (
            f"Замер {say.when(facts, row)} не подтвердили, и замерщик не поехал.\n{say.card_link(facts)}\n\n"
            "Позвоните клиенту и выберите новую дату на вкладке «Замер» или в карточке: эта задача закроется сама."
        )
        draft.tasks.append(say.agree_task(facts, row, text))
    elif row.state == "cancelled":
        _close(facts, draft, AGREE, gone)
    if row.state == "cancelled":
        if facts.agreed is None and facts.there:
            draft.fields = say.card_values(facts, None)
        draft.notes.append((f"[B]Замер отменён:[/B] {say.when(facts, row)}. {say.reason(row)}", f"{row.id}:cancelled"))
        if row.reason == DELETED:
            text = f"Замер {say.when(facts, row)} отменён: {say.reason(row)} {say.card_link(facts)}"
            draft.notices.append(Notice(facts.manager_id, text, f"visit:gone:{row.id}"))
    other = facts.agreed
    if row.shown == "confirmed" and (other is None or not other.same_time(row.measurer_id, row.starts_at)):
        text = f"{gone[:1].upper()}{gone[1:]}, ехать не нужно: {say.when(facts, row)}, {plain(row.address)}."
        if other is not None and other.measurer_id == row.measurer_id and other.state != "confirmed":
            text += f" Новое время клиент ещё подтвердит: {say.when(facts, other)}."
        draft.notices.append(Notice(row.measurer_id, text, f"visit:{row.id}"))


def _finish(facts: Seen, row: VisitRow, draft: _Draft) -> None:
    """The measurer was there: it is done, or nobody was at home and a new date is to be agreed."""
    draft.keep(row, shown=row.state)
    draft.no_timer = True
    if row.state == "done":
        _close(facts, draft, MEASURE, "замер сделан")
        draft.notes.append((f"[B]Замер сделан:[/B] {say.when(facts, row)}", f"{row.id}:done"))
        return
    _close(facts, draft, MEASURE, "никого не было дома")
    draft.notes.append((f"[B]Замерщик никого не застал:[/B] {say.when(facts, row)}", f"{row.id}:nobody"))
    if facts.there:
        text = (
            f"Замерщик приехал {say.when(facts, row)} и никого не застал.\n{say.card_link(facts)}\n\n"
            "Позвоните клиенту и выберите новую дату на вкладке «Замер» или в карточке: эта задача закроется сама."
        )
        draft.tasks.append(say.agree_task(facts, row, text))


def _in_time(facts: Seen) -> VisitWork | None:
    """A visit that waits for its confirmation: planned anew where holidays changed, reminded of, and not forgotten."""
    visit = facts.agreed
    if visit is None or visit.state != "confirming" or not facts.there:
        return None
    if visit.starts_at <= facts.now:
        return _work(
            facts, why="не подтвердили / unconfirmed", changes=(Change(visit.id, "cancel", UNCONFIRMED),), again=True
        )
    hours, rules = facts.office.team.hours, facts.rules
    confirm_at = confirmation.confirm_time(hours, visit.starts_at)
    until = confirmation.confirm_until(hours, visit.starts_at, timedelta(minutes=rules.confirm_minutes))
    task = next((one for one in facts.open_tasks(CONFIRM, visit.round) if one.task_id > 0), None)
    if confirm_at != visit.confirm_at:
        replan = (
            Replan(task.task_id, say.local(facts, confirm_at), say.local(facts, until)) if task is not None else None
        )
        kept: dict[str, Any] = {"confirm_at": confirm_at, "told": 0 if confirm_at > facts.now else visit.told}
        return _work(facts, why="план сдвинут / planned anew", replan=replan, kept={visit.id: kept}, look_at=confirm_at)
    if visit.told == 0 and confirm_at <= facts.now:
        who = facts.crew.name(visit.measurer_id)
        text = f"Пора подтвердить замер: {say.when(facts, visit)}, {who}. {say.card_link(facts)}"
        notice = Notice(facts.manager_id, text, f"visit:confirm:{visit.id}")
        kept = {"told": 1}
        return _work(facts, why="напоминание / a reminder", notices=(notice,), kept={visit.id: kept}, look_at=until)
    if visit.told == 1 and until <= facts.now:
        text = (
            f"Замер {say.when(facts, visit)} не подтверждён: пока задачу не закроют, "
            f"{facts.crew.name(visit.measurer_id)} к клиенту не поедет. {say.card_link(facts)}"
        )
        people = dict.fromkeys((facts.office.head_id, facts.manager_id))
        return _work(
            facts,
            why="не подтверждён / unconfirmed",
            notices=tuple(Notice(id, text, f"visit:late:{visit.id}") for id in people),
            kept={visit.id: {"told": 2}},
            look_at=visit.starts_at,
        )
    return None


def _five(start: datetime) -> datetime:
    """A time that a person wrote, at a multiple of five minutes."""
    return start.replace(minute=start.minute - start.minute % FIVE_MINUTES, second=0, microsecond=0)


def _close(facts: Seen, draft: _Draft, rule: str, why: str, round: int | None = None) -> None:
    already = {done.task_id for done in draft.done}
    draft.done += [
        DoneTask(task.task_id, "obsolete", why)
        for task in facts.open_tasks(rule, round)
        if task.task_id > 0 and task.task_id not in already
    ]


TIMER = TimerDeclaration(
    code=visits.VISIT,
    priority=visits.URGENT_LOOK,
    decision=VisitWork,
    read=read,
    recall=recall,
    decide=decide,
    remember=remember,
    act=act,
)
