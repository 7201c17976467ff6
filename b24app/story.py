"""What happened to lead 42, for a person: what came in, what was decided and why, what was written, in order of time.

Pure rendering of store/story.py's rows; `b24app why` prints it, the main page shows it. Of a phone number four last
digits are left, tokens are never shown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from b24app.bitrix.commands import SMS_SEND, made_id
from b24app.engine.declare import Catalogue, Text
from b24app.engine.inbox import KEEP_DONE
from b24app.entities import ENTITY_NAMES, ItemRef
from b24app.errors import Malformed
from b24app.logs import MASK, masked
from b24app.playbook import Playbook
from b24app.process import normal_code
from b24app.rules.confirmation import STATES, TRANSITIONS
from b24app.services import Services
from b24app.store import story as rows
from b24app.store.database import Database
from b24app.store.process_memory import ConfirmationRow, MoveRow
from b24app.store.story import AssignedRow, Chronicle, CommandRow, DeliveryRow

KINDS = (*ENTITY_NAMES.values(), "call", "delivery")
LINE_LENGTH = 160

EVENTS: Mapping[str, Text] = {
    "ONCRMLEADADD": {"ru": "Создан лид", "en": "A lead was made"},
    "ONCRMLEADUPDATE": {"ru": "Лид изменён", "en": "The lead was changed"},
    "ONCRMLEADDELETE": {"ru": "Лид удалён", "en": "The lead was deleted"},
    "ONCRMDEALADD": {"ru": "Создана сделка", "en": "A deal was made"},
    "ONCRMDEALUPDATE": {"ru": "Сделка изменена", "en": "The deal was changed"},
    "ONCRMDEALDELETE": {"ru": "Сделка удалена", "en": "The deal was deleted"},
    "ONVOXIMPLANTCALLINIT": {"ru": "Звонок начался", "en": "A call began"},
    "ONVOXIMPLANTCALLSTART": {"ru": "На звонок ответили", "en": "The call was answered"},
    "ONVOXIMPLANTCALLEND": {"ru": "Звонок закончился", "en": "The call ended"},
    "ONTASKUPDATE": {"ru": "Задача изменена", "en": "The task was changed"},
    "ONTASKDELETE": {"ru": "Задача удалена", "en": "The task was deleted"},
    "ONCRMACTIVITYADD": {"ru": "Новое дело в CRM (письмо, звонок)", "en": "A new activity (a letter, a call)"},
    "ONCALENDARENTRYUPDATE": {"ru": "Запись в календаре изменена", "en": "The calendar entry was changed"},
    "ONCALENDARENTRYDELETE": {"ru": "Запись в календаре удалена", "en": "The calendar entry was deleted"},
}
TIMERS: Mapping[str, Text] = {
    "queue": {"ru": "Распределение из очереди", "en": "Distribution from the queue"},
    "call_lost": {"ru": "Конца звонка не слышно", "en": "The call's end was not heard"},
    "reconcile": {"ru": "Сверка с порталом", "en": "Reconciliation with the portal"},
    "admin_notice": {"ru": "Что сказать администратору", "en": "What to tell the administrator"},
    "offline_events": {"ru": "Очередь событий портала", "en": "The portal's queue of events"},
    "gate_summary": {"ru": "Утренняя сводка переводов", "en": "The morning summary of moves"},
    "move_check": {"ru": "Принял ли портал перевод", "en": "Whether the portal took the move"},
    "declined_reminder": {"ru": "Напоминание об отказе", "en": "Reminder of a declined lead"},
    "sms_due": {"ru": "SMS клиенту", "en": "SMS to the client"},
    "missed_call_sms": {"ru": "SMS о пропущенном звонке", "en": "SMS about the missed call"},
    "visit": {"ru": "Замер: что с ним сейчас", "en": "A look at the visit"},
    "visit_watch": {"ru": "Проверка предстоящих замеров", "en": "A look at the visits to come"},
}
DELIVERY_STATES: Mapping[str, Text] = {
    "waiting": {"ru": "ждёт", "en": "waits"},
    "running": {"ru": "в работе", "en": "at work"},
    "done": {"ru": "сделано", "en": "done"},
    "failed": {"ru": "НЕ УДАЛОСЬ", "en": "FAILED"},
    "merged": {"ru": "то же, что другая доставка", "en": "the same as another one"},
}
COMMAND_STATES: Mapping[str, Text] = {
    "written": {"ru": "ещё не отправлена", "en": "not sent yet"},
    "sent": {"ru": "отправлена, ответа нет", "en": "sent, no answer yet"},
    "done": {"ru": "сделано", "en": "done"},
    "skipped": {"ru": "не понадобилась", "en": "not needed"},
    "failed": {"ru": "ОТКАЗ", "en": "REFUSED"},
    "unknown": {"ru": "ИСХОД НЕИЗВЕСТЕН", "en": "OUTCOME UNKNOWN"},
}
MOVES: Mapping[str, Text] = {
    "pass": {"ru": "можно", "en": "allowed"},
    "return": {"ru": "карточка возвращается", "en": "the card goes back"},
    "task": {"ru": "оставлен, задача дополнить карточку", "en": "left, a task to fill the card in"},
    "warn": {"ru": "оставлен с предупреждением", "en": "left with a warning"},
    "ask": {"ru": "оставлен, решает человек", "en": "left, a person decides"},
    "own": {"ru": "перевод приложения", "en": "the application's own move"},
}
TASK_STATES: Mapping[str, Text] = {
    "open": {"ru": "открыта", "en": "open"},
    "closed": {"ru": "закрыта", "en": "closed"},
    "obsolete": {"ru": "больше не нужна", "en": "not needed any more"},
}
ITEMS: Mapping[str, Text] = {
    "lead": {"ru": "Лид", "en": "Lead"},
    "deal": {"ru": "Сделка", "en": "Deal"},
    "contact": {"ru": "Контакт", "en": "Contact"},
    "company": {"ru": "Компания", "en": "Company"},
    "call": {"ru": "Звонок", "en": "Call"},
    "delivery": {"ru": "Доставка", "en": "Delivery"},
    "task": {"ru": "Задача", "en": "Task"},
    "activity": {"ru": "Дело", "en": "Activity"},
    "calendar": {"ru": "Запись в календаре", "en": "Calendar entry"},
}
VISIT_TASKS: Mapping[str, Text] = {
    "visit:confirm": {"ru": "«Подтвердить замер»", "en": "“Confirm the visit”"},
    "visit:measure": {"ru": "«Замер»", "en": "“Measurement”"},
    "visit:agree": {"ru": "«Согласовать новую дату»", "en": "“Agree on a new date”"},
    "visit:object": {"ru": "«Запись в календаре передвинули»", "en": "“The calendar entry was moved”"},
    "visit:head": {"ru": "«Дату переносят снова и снова»", "en": "“The date is moved again and again”"},
}
CALL_CODES: Mapping[str, Text] = {"304": {"ru": "пропущен", "en": "missed"}, "200": {"ru": "отвечен", "en": "answered"}}
NEVER_SHOWN = ("EVENT_TOKEN", "event_token")
TOKEN_BEGINS = 6
"""So many characters make known a token that was cut."""
_ROBOT_KEY = re.compile(r"robot:[^\s;,'\"]+")
"""The reason that a robot's call is known by: its event_token stands in it."""
_PHONE = re.compile(r"(?<![\w.:+-])(?:\+\d|[78](?=[\s(-]{0,2}\d{3}))(?:[\s()-]{0,2}\d){9,13}(?!\d)")
"""Any number at all: logs.masked leaves one that a full stop or a colon follows."""
_TAG = re.compile(r"\[/?[A-Za-z]+(?:=[^\]]*)?\]")
_ENDED_AS = re.compile(r"(\w+): (\w+)")


@dataclass(frozen=True)
class Line:
    """One line; `depth` 0 begins an entry, what is deeper belongs to it."""

    text: str
    depth: int = 0


@dataclass(frozen=True)
class Words:
    """How things are called: in which language and time zone, on which portal."""

    catalogue: Catalogue
    playbook: Playbook
    chronicle: Chronicle
    language: str = "ru"

    def text(self, ru: str, en: str) -> str:
        """Returns the text in the reader's language."""
        return ru if self.language == "ru" else en

    def word(self, text: Mapping[str, Any] | None, otherwise: str = "") -> str:
        """Returns a {"ru", "en"} text in the reader's language, or `otherwise` where there is none."""
        return str((text or {}).get(self.language) or (text or {}).get("ru") or otherwise)

    def reason(self, text: str | None) -> str:
        """Returns the reader's half of «почему / why»; what has no halves, or more than two, as it is."""
        halves = (text or "").split(" / ")
        if len(halves) != 2:
            return text or ""
        return halves[0] if self.language == "ru" else halves[1]

    def when(self, moment: datetime) -> str:
        """Returns a time as people of the office read it."""
        local = moment.astimezone(ZoneInfo(self.playbook.hours.time_zone))
        return f"{local:%d.%m.%Y %H:%M:%S}" if self.language == "ru" else f"{local:%Y-%m-%d %H:%M:%S}"

    def lasted(self, seconds: float) -> str:
        """Returns a duration, as exactly as it matters."""
        sizes = ((86400, "дн.", "d"), (3600, "ч", "h"), (60, "мин", "min"), (1, "с", "s"))
        size, ru, en = next((one for one in sizes if seconds >= one[0]), sizes[-1])
        number = f"{max(seconds / size, 0.1):.1f}"
        return f"{number.replace('.', ',') if self.language == 'ru' else number} {self.text(ru, en)}"

    def person(self, id: Any) -> str:
        """Returns a person's name as far as our memory has it."""
        number = int(id) if str(id).isdigit() else 0
        return self.chronicle.names.get(number) or self.text(f"сотрудник {id}", f"employee {id}")

    def entity(self, key: str) -> str:
        """Returns what a delivery is about: lead:42 is «Лид 42»."""
        kind, _, number = key.partition(":")
        return f"{self.word(ITEMS[kind])} {number}" if kind in ITEMS else key

    def item_key(self, key: str) -> str:
        """Returns the same inside a sentence: «лид 42»."""
        name = self.entity(key)
        return name[:1].lower() + name[1:]

    def stage(self, kind: str, stage: Any) -> str:
        """Returns a stage's name, of the playbook's key or the portal's STATUS_ID."""
        process = self.playbook.process(_type_id(kind)) if kind in ITEMS else None
        for one in process.stages if process is not None else ():
            if stage in (one.key, self.chronicle.mapping.get(f"{kind}.stage:{one.key}", one.id)):
                return f"«{one.name.of(self.language)}»"
        return f"«{stage}»" if stage else "—"

    def field(self, kind: str, code: str) -> str:
        """Returns a field's name where it is the playbook's."""
        process = self.playbook.process(_type_id(kind)) if kind in ITEMS else None
        for one in process.fields if process is not None else ():
            known = self.chronicle.mapping.get(f"{kind}.field:{one.key}", one.code)
            if normal_code(known) == normal_code(code):
                return f"«{one.name.of(self.language)}»"
        return code

    def task_rule(self, kind: str, key: str) -> str:
        """Returns the title of the playbook's task, or of a visit's."""
        if key in VISIT_TASKS:
            return self.word(VISIT_TASKS[key])
        process = self.playbook.process(_type_id(kind)) if kind in ITEMS else None
        found = next((rule.title for _, rule in process.task_rules() if rule.key == key), "") if process else ""
        return f"«{found}»" if found else key


def _type_id(kind: str) -> int:
    return next((id for id, name in ENTITY_NAMES.items() if name == kind), 0)


# the whole story


def story(
    database: Database,
    member_id: str,
    kind: str,
    number: str,
    catalogue: Catalogue,
    playbook: Playbook,
    language: str = "ru",
) -> tuple[list[Line], bool]:
    """Returns (lines, whether anything is known) of `lead 42`, `deal 7`, `call <id>`, `delivery 123`.

    Malformed: no such kind, or a number that is none. Where nothing is known, the lines say what may be the reason.
    """
    chronicle = with_names(chronicle_of(database, member_id, kind, number))
    words = Words(catalogue, playbook, chronicle, language)
    told = list(_nothing_known(words, kind, number) if chronicle.empty else _told(words, kind, number))
    hide = hider(chronicle)
    return [Line(hide(line.text), line.depth) for line in told], not chronicle.empty


def chronicle_of(database: Database, member_id: str, kind: str, number: str) -> Chronicle:
    """Returns the rows of it. Malformed: no such kind, or a number that is none."""
    if kind == "call" and number:
        return rows.of_call(database, member_id, number)
    if kind not in KINDS or not re.fullmatch(r"[1-9][0-9]{0,17}", number):
        raise Malformed(f"{kind} {number}: непонятно, о чём / not understood: {', '.join(KINDS)} + №")
    if kind == "delivery":
        return rows.of_delivery(database, member_id, int(number))
    return rows.of_item(database, member_id, ItemRef(_type_id(kind), int(number)))


def with_names(chronicle: Chronicle, *decisions: Any) -> Chronicle:
    """Returns the rows with the names that decisions tell, of people whom our memory does not know (any more)."""
    decided = [*(row.decision for row in chronicle.deliveries), *decisions]
    cards = [decision.get("card") for decision in decided if isinstance(decision, Mapping)]
    names: dict[int, str] = {}
    for card in (*(row.card for row in chronicle.assignments), *cards):
        if not isinstance(card, Mapping):
            continue
        chosen = card.get("chosen") or {}
        names |= {line["user_id"]: line["name"] for line in card.get("lines") or () if line.get("name")}
        names |= {chosen["id"]: chosen["name"]} if chosen.get("name") else {}
    return replace(chronicle, names={**names, **chronicle.names})


def why(services: Services, member_id: str, kind: str, number: str, language: str = "ru") -> int:
    """Prints the story; returns 0, or 1 where nothing is known."""
    lines, known = story(services.database, member_id, kind, number, services.catalogue, services.playbook, language)
    show(lines)
    return 0 if known else 1


def show(lines: Iterable[Line]) -> None:
    """Prints lines, indented."""
    for line in lines:
        sys.stdout.write(f"{'    ' * line.depth}{line.text}\n")


def hider(chronicle: Chronicle) -> Callable[[str], str]:
    """Returns what takes tokens, cut ones too, out of a text and leaves four digits of every number."""
    tokens = {str(row.payload.get("event_token") or "") for row in chronicle.deliveries} - {""}
    begun = [re.compile(rf"{re.escape(token[:TOKEN_BEGINS])}\S*") for token in tokens]
    told = {*chronicle.phones, *(number for row in chronicle.deliveries for number in _numbers(row))}
    digits = {re.sub(r"\D", "", number)[-10:] for number in told}
    between = r"[\s()-]{0,2}"
    numbers = [
        re.compile(rf"(?<!\d)(?:\+?\d{{1,3}}{between})?{between.join(number)}(?!\d)")
        for number in digits
        if len(number) >= 7
    ]

    def hide(text: str) -> str:
        text = _ROBOT_KEY.sub(f"robot:{MASK}", masked(text, tokens))
        for token in begun:
            text = token.sub(MASK, text)
        for number in (_PHONE, *numbers):
            text = number.sub(lambda found: MASK + re.sub(r"\D", "", found[0])[-4:], text)
        return text

    return hide


def _numbers(row: DeliveryRow) -> Iterator[str]:
    data = row.payload.get("data")
    for place, names in ((data, ("PHONE_NUMBER", "CALLER_ID")), (row.payload, ("phone",)), (row.decision, ("phone",))):
        if isinstance(place, Mapping):
            yield from (str(place[name]) for name in names if place.get(name))


def _nothing_known(words: Words, kind: str, number: str) -> Iterator[Line]:
    name = f"{words.word(ITEMS[kind])} {number}"
    yield Line(words.text(f"{name}: приложению об этом ничего не известно.", f"{name}: the application knows nothing."))
    days = KEEP_DONE.days
    reasons = (
        (
            "события портала не доходят: что не так, скажет `b24app doctor`; привязывает события установка "
            "(администратор открывает приложение);",
            "the portal's events do not arrive: `b24app doctor` says what is wrong; events are bound by the "
            "installation (an administrator opens the application);",
        ),
        (
            f"это было давно: сделанное стирается через {days} дн. после конца работы;",
            f"it was long ago: what is done is erased {days} days after its end;",
        ),
        (
            "номер другого портала или другого вида (лид, сделка, звонок, доставка).",
            "the number is another portal's, or of another kind (lead, deal, call, delivery).",
        ),
    )
    yield Line(words.text("Почему так бывает:", "What may be the reason:"))
    yield from (Line(f"— {words.text(*reason)}", 1) for reason in reasons)


def _told(words: Words, kind: str, number: str) -> Iterator[Line]:
    chronicle = words.chronicle
    since = ""
    if (stands := chronicle.stands) is not None:
        since = f", {words.stage(kind, stands.stage_id)} {words.text('с', 'since')} {words.when(stands.since)}"
    yield Line(f"{words.word(ITEMS[kind])} {number}{since}")
    if chronicle.left_out:
        yield Line(words.text(f"Более ранних доставок: {chronicle.left_out}", f"Earlier: {chronicle.left_out}"))
    there = {row.id for row in chronicle.deliveries}
    entries = [
        (row.decided_at, list(_assigned_before(words, row)))
        for row in chronicle.assignments
        if row.delivery_id not in there
    ]
    entries += [
        (move.judged_at, [Line(f"{words.when(move.judged_at)}  {_move(words, move)}")])
        for move in chronicle.moves
        if move.delivery_id not in there
    ]
    said = words.text("Подтвердил человек", "A person confirmed")
    entries += [
        (one.confirmed_at, [Line(f"{words.when(one.confirmed_at)}  {said}: {_confirmation(words, one)}")])
        for one in chronicle.confirmations
    ]
    for group in _grouped(chronicle.deliveries):
        assigned = [row for row in chronicle.assignments if row.delivery_id == group[0].id]
        entries.append((group[0].received_at, list(_delivery(words, group, assigned, f"{kind}:{number}"))))
    for _, lines in sorted(entries, key=lambda entry: entry[0]):
        yield from lines
    yield from _now(words, kind)


def _confirmation(words: Words, one: ConfirmationRow) -> str:
    return f"{one.kind}, {words.person(one.user_id)}: {one.reason}"


def _now(words: Words, kind: str) -> Iterator[Line]:
    """What stands in our memory besides: tasks, visits, timers."""
    chronicle = words.chronicle
    if not (chronicle.tasks or chronicle.visits or chronicle.timers):
        return
    yield Line(words.text("Сейчас в памяти приложения", "What the application remembers now"))
    for task in chronicle.tasks:
        named = words.text("задача", "task")
        number = f"{named} {task.task_id}" if task.task_id > 0 else f"{named} ({words.text('номера нет', 'no number')})"
        closed = f" {words.when(task.closed_at)}" if task.closed_at else ""
        text = f"{number} {words.task_rule(kind, task.rule)}: {words.word(TASK_STATES[task.state])}{closed}"
        yield Line(f"{text}; {words.text('поставлена', 'made')} {words.when(task.made_at)}", 1)
    for visit in chronicle.visits:
        state = words.word(STATES[visit.state])
        reason = f" ({words.reason(visit.reason)})" if visit.reason else ""
        text = f"{words.text('замер', 'visit')} {visit.id}: {words.when(visit.starts_at)}, "
        yield Line(f"{text}{words.person(visit.measurer_id)}: {state}{reason}", 1)
    for timer in chronicle.timers:
        name = words.word(TIMERS.get(timer.code), timer.code)
        yield Line(f"{words.text('впереди', 'to come')} {words.when(timer.due_at)}: {name}", 1)


# deliveries


def _grouped(deliveries: Sequence[DeliveryRow]) -> list[list[DeliveryRow]]:
    """Deliveries with those that were merged into them, or that came after them and had the same nothing to do."""
    groups: list[list[DeliveryRow]] = []
    by_id: dict[int, list[DeliveryRow]] = {}
    for row in deliveries:
        found = re.search(r"\d+", row.reason or "") if row.state == "merged" else None
        into = by_id.get(int(found[0])) if found is not None else None
        if into is None and groups and _idle(row) and _same(groups[-1][0], row):
            into = groups[-1]
        if into is None:
            into = []
            groups.append(into)
        into.append(row)
        by_id[row.id] = into
    return groups


def _idle(row: DeliveryRow) -> bool:
    return row.state == "done" and row.decision is None and not row.commands and row.attempts <= 1


def _same(first: DeliveryRow, row: DeliveryRow) -> bool:
    return _idle(first) and (first.code, first.entity, first.reason) == (row.code, row.entity, row.reason)


def _delivery(
    words: Words, group: Sequence[DeliveryRow], assigned: Sequence[AssignedRow], subject: str
) -> Iterator[Line]:
    row = group[0]
    idle = _idle(row)
    state = words.text("делать нечего", "nothing to do") if idle else words.word(DELIVERY_STATES[row.state])
    about = "" if row.entity == subject or row.entity.startswith("sms:") else f", {words.item_key(row.entity)}"
    number = f"{words.word(ITEMS['delivery'])} {row.id}".lower()
    yield Line(f"{words.when(row.received_at)}  {title(words, row)}{about} — {state} ({number})")
    yield from (Line(text, 1) for text in _work(words, row))
    if row.failure and row.failure != row.reason:
        yield Line(f"{words.text('не удалось', 'failed')}: {words.reason(row.failure)}", 1)
    if row.reason and row.state != "merged":
        yield Line(f"{words.text('почему', 'why')}: {words.reason(row.reason)}", 1)
    if len(group) > 1:
        ru = f"и ещё раз то же самое: {len(group) - 1}, последний раз {words.when(group[-1].received_at)}"
        yield Line(words.text(ru, f"the same again: {len(group) - 1}, last {words.when(group[-1].received_at)}"), 1)
    if row.decision is not None:
        yield from decision_lines(words, row.decision)
    for one in assigned:
        yield Line(_assignment(words, one), 1)
    yield from command_lines(words, [one.command for one in row.commands], row.commands)


def title(words: Words, row: DeliveryRow) -> str:
    """Returns what came, in words and by its code."""
    if row.kind == "robot":
        robot = words.catalogue.robot(row.code)
        name = words.word(robot.name, row.code) if robot is not None else row.code
        return f"{words.text('Робот', 'Robot')} «{name}» ({row.code})"
    known = (EVENTS if row.kind == "event" else TIMERS).get(row.code)
    if known is None:
        return row.code
    data = row.payload.get("data")
    code = str(data.get("CALL_FAILED_CODE") or "") if isinstance(data, Mapping) else ""
    how = f": {words.word(CALL_CODES.get(code), code)}" if code else ""
    return f"{words.word(known)}{how} ({row.code})"


def _work(words: Words, row: DeliveryRow) -> Iterator[str]:
    """How long it waited and how often it was tried."""
    parts = []
    if row.state in ("waiting", "running"):
        waits = (datetime.now(UTC) - row.received_at).total_seconds()
        parts.append(f"{words.text('ждёт уже', 'has waited')} {words.lasted(waits)}")
        if row.state == "waiting" and row.due_at > row.received_at:
            parts.append(f"{words.text('следующая попытка', 'next try')} {words.when(row.due_at)}")
    elif row.finished_at is not None and row.state != "merged":
        if row.decided_at is not None:
            decided = (row.decided_at - row.received_at).total_seconds()
            parts.append(f"{words.text('решено через', 'decided after')} {words.lasted(decided)}")
        ended = (row.finished_at - row.received_at).total_seconds()
        parts.append(f"{words.text('закончено через', 'ended after')} {words.lasted(ended)}")
    if row.attempts > 1 or row.crashes:
        parts.append(f"{words.text('попыток', 'attempts')}: {row.attempts}")
    if row.crashes:
        parts.append(f"{words.text('работник падал', 'its worker died')}: {row.crashes}")
    if parts:
        yield ", ".join(parts)


def _assigned_before(words: Words, row: AssignedRow) -> Iterator[Line]:
    gone = words.text("сама доставка уже стёрта", "the delivery itself is erased")
    yield Line(f"{words.when(row.decided_at)}  {_assignment(words, row)} ({gone})")
    yield from _card(words, row.card)


def _assignment(words: Words, row: AssignedRow) -> str:
    who = words.person(row.manager_id) if row.manager_id else words.text("никто не свободен", "nobody is free")
    written = words.text("в CRM ещё нет", "not in the CRM yet")
    if row.written_at is not None:
        written = f"{words.text('в CRM с', 'in the CRM since')} {words.when(row.written_at)}"
    return f"{words.text('назначение', 'assignment')}: {who}, {written}"


def _move(words: Words, move: MoveRow) -> str:
    kind = move.entity.partition(":")[0]
    way = _way(words, kind, move.from_stage, move.to_stage)
    who = f", {words.person(move.mover_id)}" if move.mover_id else ""
    lacks = f"; {words.text('не хватает', 'missing')}: {'; '.join(move.missing)}" if move.missing else ""
    return f"{words.text('перевод', 'move')} {way}{who}: {words.word(MOVES.get(move.action), move.action)}{lacks}"


def _way(words: Words, kind: str, before: Any, to: Any) -> str:
    return f"{words.stage(kind, before)} → {words.stage(kind, to)}" if before else words.stage(kind, to)


# decisions


def decision_lines(words: Words, decision: Any) -> Iterator[Line]:
    """Yields what was decided: by the words that the decision has for it, else by its main values."""
    if not isinstance(decision, Mapping):
        yield Line(f"{words.text('решение', 'decision')}: {_short(decision)}", 1)
        return
    label = words.text("решение", "decision")
    if "nothing" in decision:
        yield Line(f"{words.text('делать нечего', 'nothing to do')}: {words.reason(str(decision['nothing']))}", 1)
    elif isinstance(decision.get("card"), Mapping):
        yield from _card(words, decision["card"])
    elif "action" in decision and "to_stage" in decision:
        yield Line(f"{label}: {_stage_work(words, decision)}", 1)
    elif decision.get("refusal") or "timer_key" in decision or "call_instead" in decision:
        yield Line(f"{label}: {_texting(words, decision)}", 1)
    elif decision.get("why"):
        yield Line(f"{label}: {_visit_why(words, str(decision['why']))}", 1)
        for change in decision.get("changes") or ():
            state = next((to for (_, happening), to in TRANSITIONS.items() if happening == change["happening"]), None)
            becomes = words.word(STATES[state]) if state is not None else change["happening"]
            yield Line(f"{words.text('замер', 'visit')} {change['visit_id']} → {becomes}", 2)
    else:
        shown = {name: value for name, value in decision.items() if name not in ("key", "work", "item", "creator_id")}
        yield Line(f"{label}: {_pairs(shown)}", 1)
    work = decision.get("work")
    if isinstance(work, Mapping):
        yield from decision_lines(words, work)


def _card(words: Words, card: Mapping[str, Any]) -> Iterator[Line]:
    chosen = card.get("chosen")
    who = chosen.get("name") if isinstance(chosen, Mapping) else words.text("никому", "nobody")
    text = f"{words.word(card.get('title'))} → {who}: {words.word(card.get('rule'))}"
    yield Line(f"{words.text('решение', 'decision')}: {text}", 1)
    for line in card.get("lines") or ():
        mark = "✔" if line.get("free") else "—"
        yield Line(f"{mark} {line.get('name') or line.get('user_id')}: {words.word(line.get('why'))}", 2)


def _stage_work(words: Words, work: Mapping[str, Any]) -> str:
    item = work.get("item") or {}
    kind = ENTITY_NAMES.get(item.get("entity_type_id", 0), "")
    parts = []
    if work.get("gone"):
        parts.append(words.text("карточки больше нет", "the item is gone"))
    elif work.get("judged"):
        way = _way(words, kind, work.get("from_stage"), work["to_stage"])
        who = f", {words.person(work['mover_id'])}" if work.get("mover_id") else ""
        parts.append(f"{way}{who}: {words.word(MOVES.get(work['action']), work['action'])}")
    if work.get("missing"):
        parts.append(f"{words.text('не хватает', 'missing')}: {'; '.join(work['missing'])}")
    task = words.text("задача", "task")
    parts += [f"{task} {id}: {words.word(TASK_STATES.get(state), state)}" for id, state in work.get("states") or ()]
    parts += [str(done["note"]) for done in work.get("done") or ()]
    for name, ru, en in (("reopened", "задача открыта снова", "opened again"), ("notices", "сказать", "tell")):
        if work.get(name):
            named = [words.person(one["user_id"]) if isinstance(one, Mapping) else str(one) for one in work[name]]
            parts.append(f"{words.text(ru, en)}: {', '.join(named)}")
    return "; ".join(parts) or words.text("запомнить, где карточка стоит", "remember where the item stands")


def _texting(words: Words, decision: Mapping[str, Any]) -> str:
    to = f"SMS {words.text('на', 'to')} {decision.get('phone') or '—'}: «{_short(decision.get('text'))}»"
    if decision.get("refusal"):
        return f"{to} — {words.text('не уйдёт', 'cannot go')}: {words.reason(decision['refusal'])}"
    if decision.get("due_at"):
        due_at = datetime.fromisoformat(str(decision["due_at"]))
        return f"{to} — {words.text('ждёт до', 'waits until')} {words.when(due_at)}"
    return to


def _visit_why(words: Words, why: str) -> str:
    """«1: booked, 2: moved» says which visits are written; the rest is a reason in both languages."""
    parts = [part.partition(": ") for part in why.split(", ")]
    if all(number.isdigit() and state in STATES for number, _, state in parts):
        named = words.text("замер", "visit")
        return ", ".join(f"{named} {number}: {words.word(STATES[state])}" for number, _, state in parts)  # type: ignore[index]
    return words.reason(why)


# commands


def command_lines(
    words: Words, commands: Sequence[Mapping[str, Any]], outcomes: Sequence[CommandRow] = ()
) -> Iterator[Line]:
    """Yields commands in order, numbered, with their outcome where there is one; points of one checklist as one."""
    said = command_words(words, commands)
    ends = [_outcome(words, outcome) for outcome in outcomes] or [""] * len(said)
    place = 0
    while place < len(said):
        first = place
        while place + 1 < len(said) and _continues(commands, ends, place):
            place += 1
        count = place - first
        numbers = f"{first + 1}–{place + 1}" if count else f"{first + 1}"
        more = words.text(f" и пункты: {count}", f" and its points: {count}") if count else ""
        yield Line(f"{numbers}. {said[first]}{more}{ends[first]}", 1)
        place += 1


def _continues(commands: Sequence[Mapping[str, Any]], ends: Sequence[str], place: int) -> bool:
    here, following = (commands[at]["call"]["method"] for at in (place, place + 1))
    same = here == following == "task.checklistitem.add"
    return same and ends[place] == ends[place + 1] and bool(_fields(commands[place + 1]).get("PARENT_ID"))


def _outcome(words: Words, row: CommandRow) -> str:
    method = row.command["call"]["method"]
    text = f" — {words.word(COMMAND_STATES[row.state])}"
    number = made_id(method, row.result) if row.state == "done" and method.endswith(".add") else None
    if isinstance(row.result, Mapping) and row.result.get("sms"):
        text += f", № {row.result['sms']}"
    elif number is not None and not method.startswith(("im.", "pull.", "task.checklistitem")):
        text += f", № {number}"
    if row.reason:
        ended = _ENDED_AS.fullmatch(row.reason)
        state = words.word(COMMAND_STATES.get(ended[2])) if ended is not None else ""
        text += f" ({ended[1]}: {state})" if ended is not None and state else f" ({words.reason(row.reason)})"
    return text


def command_words(words: Words, commands: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns each command in words: its method and what matters of its parameters."""
    known: dict[str, Any] = {}
    for command in commands:  # what a check found, the next command writes
        asked = command["call"]["params"].get("filter")
        if command["again"]["kind"] == "check" and isinstance(asked, Mapping):
            known[command["label"]] = asked.get("id")
    return [f"{command['call']['method']}: {_essence(words, command, known)}" for command in commands]


def _essence(words: Words, command: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    method, params, fields = command["call"]["method"], command["call"]["params"], _fields(command)
    kind = ENTITY_NAMES.get(params.get("entityTypeId"), "")
    match method:
        case "crm.item.list" if command["again"]["kind"] == "check":
            return f"{_item(words, kind, asked_id(params))}: {words.text('не изменил ли человек', 'unchanged?')}"
        case "crm.item.update":
            return f"{_item(words, kind, _known(params.get('id'), known))}: {_values(words, kind, fields)}"
        case "crm.item.add":
            return f"{words.word(ITEMS.get(kind), kind).lower()} «{_short(fields.get('title') or fields.get('name'))}»"
        case "crm.timeline.comment.add":
            ref = _item(words, str(fields.get("ENTITY_TYPE")), fields.get("ENTITY_ID"))
            return f"{ref}: «{_text(words, fields.get('COMMENT'))}»"
        case "tasks.task.add":
            who = words.person(fields.get("responsibleId") or fields.get("RESPONSIBLE_ID"))
            deadline = str(fields.get("deadline") or fields.get("DEADLINE") or "")
            until = f", {words.text('срок', 'deadline')} {_moment(words, deadline)}" if deadline else ""
            return f"«{_short(fields.get('title') or fields.get('TITLE'))}», {who}{until}"
        case "tasks.task.update":
            closing = {5: words.text("закрыть", "close"), 2: words.text("открыть снова", "open again")}
            what = closing.get(fields.get("STATUS", 0)) or _pairs(fields)
            return f"{words.text('задача', 'task')} {_known(params.get('taskId'), known)}: {what}"
        case "task.checklistitem.add":
            return f"«{_short(fields.get('TITLE'))}»"
        case "im.notify.personal.add":
            return f"{words.person(params.get('USER_ID'))}: «{_text(words, params.get('MESSAGE'))}»"
        case "pull.application.event.add":
            return f"{words.person(params.get('USER_ID'))}: {params.get('COMMAND')}"
        case "calendar.event.add":
            when = f"{_moment(words, str(params.get('from')))} – {_moment(words, str(params.get('to')))}"
            return f"«{_short(params.get('name'))}», {words.person(params.get('ownerId'))}, {when}"
        case "bizproc.event.send":
            return f"{_pairs(params.get('RETURN_VALUES') or {})}; «{_text(words, params.get('LOG_MESSAGE'))}»"
        case str(name) if name == SMS_SEND:
            return f"{params.get('phone')}: «{_short(params.get('text'))}»"
    return _pairs(params)


def asked_id(params: Mapping[str, Any]) -> Any:
    """Returns the id that a list's filter names."""
    asked = params.get("filter")
    return asked.get("id") if isinstance(asked, Mapping) else None


def _fields(command: Mapping[str, Any]) -> Mapping[str, Any]:
    params = command["call"]["params"]
    fields = params.get("fields") or params.get("FIELDS")
    return fields if isinstance(fields, Mapping) else {}


def _known(id: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(id, Mapping) and "$ref" in id:
        return known.get(id["$ref"], f"← {id['$ref']}")
    return id


def _item(words: Words, kind: str, id: Any) -> str:
    return f"{words.word(ITEMS.get(kind), kind).lower()} {_known(id, {})}"


def _values(words: Words, kind: str, fields: Mapping[str, Any]) -> str:
    parts = []
    for name, value in fields.items():
        if name == "assignedById":
            parts.append(f"{words.text('ответственный', 'responsible')} {words.person(value)}")
        elif name == "stageId":
            parts.append(f"{words.text('стадия', 'stage')} {words.stage(kind, value)}")
        else:
            parts.append(f"{words.field(kind, name)} = {_short(_known(value, {}))}")
    return ", ".join(parts)


def _moment(words: Words, value: str) -> str:
    try:
        return words.when(datetime.fromisoformat(value))
    except ValueError:
        return value


def _text(words: Words, value: Any) -> str:
    """The first line of a text for people, without BBCode; a stand-in for a reason as what it stands for."""
    if isinstance(value, Mapping) and "$reason" in value:
        value = f"{value['$before']}({words.text('причина', 'the reason')})"
    return _short(_TAG.sub("", str(value)).strip().partition("\n")[0])


def _pairs(values: Mapping[str, Any]) -> str:
    """The values that say something, shortly."""
    shown = [
        f"{name} = {_short(value, 80)}"
        for name, value in values.items()
        if name not in NEVER_SHOWN and value not in (None, "", [], {}, False)
    ]
    return ", ".join(shown[:8]) or "—"


def _short(value: Any, length: int = LINE_LENGTH) -> str:
    """One line of it, cut."""
    if isinstance(value, Mapping) and "$ref" in value:
        said = f"{value.get('$prefix', '')}← {value['$ref']}"
    elif isinstance(value, Mapping):
        said = "{" + ", ".join(f"{name}: {_short(inner, 40)}" for name, inner in value.items()) + "}"
    elif isinstance(value, list | tuple):
        said = "[" + ", ".join(_short(inner, 40) for inner in value) + "]"
    else:
        said = "" if value is None else str(value)
    return cut(said, length)


def cut(text: str, length: int = LINE_LENGTH) -> str:
    """Returns a text as one line of this length at most; half a number is none, and could not be masked."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1].rstrip('0123456789 ()+-')}…"
