"""A playbook: a trade's process as data, read from TOML into checked values. Everything of the trade stands there.

Office hours, the distribution of enquiries, and for leads and deals: fields, stages with what they require, tasks with
what closing them does, reasons of decline, texts. Conditions are a closed list of named checks, never an expression
language; texts fill {field} only. Every mistake is named by its path, all at once.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from datetime import date, time, timedelta
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holidays import list_supported_countries
from phonenumbers import SUPPORTED_REGIONS
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from b24app.entities import DEAL, LEAD
from b24app.errors import ConfigError
from b24app.mistakes import listed, refused
from b24app.rules.assignment import Policy
from b24app.rules.working_time import Hours as WorkHours
from b24app.rules.working_time import WorkCalendar

BUILT_IN = "kitchen.toml"
WEEKDAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
OWN_FIELD_PREFIX = "UF_CRM_"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"нет такого часового пояса / no such time zone: {value}") from error
    return value


def _holidays_of(value: str) -> str:
    if value and value not in list_supported_countries(include_aliases=True):
        raise ValueError(f"для этой страны нет праздников, пусто: без них / no holidays known, empty: none: {value}")
    return value


def _numbers_of(value: str) -> str:
    if value not in SUPPORTED_REGIONS:
        raise ValueError(f"нет такой страны, нужно как RU / no such country, like RU: {value}")
    return value


def _fields(*allowed: str) -> AfterValidator:
    def check(text: str) -> str:
        for name in placeholders(text):
            if name not in allowed:
                raise ValueError(f"{{{name}}}: можно / allowed: {', '.join('{' + a + '}' for a in allowed)}")
        return text

    return AfterValidator(check)


def placeholders(text: str) -> Iterator[str]:
    """Yields the names in braces of a text; a broken brace is a ValueError."""
    for _, name, spec, conversion in Formatter().parse(text):
        if name is not None:
            if spec or conversion or not name.isidentifier():
                raise ValueError(f"{{{name}}}: только имя в скобках / a plain name in braces only")
            yield name


class LocalText(_Section):
    """A text for people in both languages."""

    ru: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]

    def of(self, language: str) -> str:
        """Returns the text in Russian, or in English for everybody else's languages."""
        return self.ru if language in ("ru", "be", "kk", "ua") else self.en


Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


def _hours_of(value: object) -> object:
    if not isinstance(value, str):
        return value
    opens, dash, closes = (part.strip() for part in value.partition("-"))
    try:
        if dash:
            return time.fromisoformat(opens.zfill(5)), time.fromisoformat(closes.zfill(5))
    except ValueError:
        pass
    raise ValueError(f'нужно как "13:00-14:00" / like "13:00-14:00": {value}')


_ShiftHours = Annotated[WorkHours, BeforeValidator(_hours_of)]


def _in_order(value: dict[str, tuple[WorkHours, ...]]) -> dict[str, tuple[WorkHours, ...]]:
    for weekday, shifts in value.items():
        for (_, closes), (opens, _) in itertools.pairwise(shifts):
            if opens < closes:
                raise ValueError(f"{weekday}: смены по порядку, без наложений / shifts in order, not overlapping")
        if any(closes <= opens for opens, closes in shifts[:-1]):
            raise ValueError(f"{weekday}: через полночь идёт только последняя / only the last goes over midnight")
    return value


_Shifts = Annotated[
    dict[Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"], tuple[_ShiftHours, ...]], AfterValidator(_in_order)
]


class Hours(_Section):
    """[hours]: opening, closing and weekend where the portal's calendar settings cannot be read; the rest always.

    `shifts` are the hours of single weekdays, whatever the portal says; `short_days` lose so many minutes at their end.
    """

    time_zone: Annotated[str, AfterValidator(_zone)] = "Europe/Moscow"
    opens: time = time(9)
    closes: time = time(18)
    weekend: tuple[Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"], ...] = ("SA", "SU")
    country: Annotated[str, AfterValidator(_holidays_of)] = "RU"
    days_off: tuple[date, ...] = ()
    work_days: tuple[date, ...] = ()
    lunch: Annotated[WorkHours | None, BeforeValidator(_hours_of)] = None
    shifts: _Shifts = {}
    short_days: dict[date, Annotated[int, Field(gt=0, lt=24 * 60)]] = {}

    def calendar(self) -> WorkCalendar:
        """Returns the office's calendar as the playbook says it."""
        return WorkCalendar(
            time_zone=self.time_zone,
            opens=self.opens,
            closes=self.closes,
            weekend=frozenset(WEEKDAYS[day] for day in self.weekend),
            days_off=frozenset(self.days_off),
            work_days=frozenset(self.work_days),
            country=self.country,
            lunch=self.lunch,
            shifts=frozenset((WEEKDAYS[day], shifts) for day, shifts in self.shifts.items()),
            short_days=frozenset(self.short_days.items()),
        )


class Assignment(_Section):
    """[assignment]: among whom and by which rule a free manager is chosen."""

    department: int | str | None = None
    users: tuple[int, ...] = ()
    sub_departments: bool = True
    order: Literal["in_turn", "least_loaded"] = "in_turn"
    limit_open: Annotated[int, Field(ge=0)] = 0
    calendar_busy_counts: bool = True
    clock: Literal["auto", "required", "ignored"] = "auto"
    when_nobody: Literal["head", "user", "wait"] = "head"
    fallback_user: int | None = Field(default=None, validate_default=True)

    @field_validator("fallback_user")
    @classmethod
    def _somebody_is_named(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is None and others.data.get("when_nobody") == "user":
            raise ValueError('when_nobody = "user": кому? / to whom?')
        return value

    def policy(self) -> Policy:
        """Returns the rule's policy."""
        return Policy(
            order=self.order,
            limit_open=self.limit_open,
            calendar_busy_counts=self.calendar_busy_counts,
            clock=self.clock,
            when_nobody=self.when_nobody,
            fallback_user_id=self.fallback_user,
        )


class MissedCallSms(_Section):
    """Who is told of a missed call by SMS: the distribution's head, or people by their ids; to their mobile numbers."""

    to: Annotated[tuple[int, ...], Field(min_length=1)] | Literal["head"]
    text: Annotated[str, Field(min_length=1), _fields("phone", "time")] = "Пропущенный звонок: {phone}, {time}"


class Intake(_Section):
    """[intake]: which enquiries are distributed, and what their manager is asked to do."""

    distribute_by_hand: bool = True
    skip_sources: tuple[str, ...] = ()
    skip_creators: tuple[int, ...] = ()
    written_sources: tuple[str, ...] = ("EMAIL", "WEB", "WEBFORM", "CALLBACK")
    answered_on_foreign: Literal["observer", "responsible"] = "observer"
    call_deadline_minutes: Annotated[int, Field(gt=0)] = 15
    written_deadline_minutes: Annotated[int, Field(gt=0)] = 60
    call_lost_after_minutes: Annotated[int, Field(gt=0)] = 60
    import_from: Annotated[int, Field(ge=2)] = 50
    import_window_minutes: Annotated[int, Field(gt=0)] = 5
    country: Annotated[str, AfterValidator(_numbers_of)] = "RU"
    missed_call_sms: MissedCallSms | None = None

    @property
    def call_lost_after(self) -> timedelta:
        """How long a call may go on before we take its end for lost."""
        return timedelta(minutes=self.call_lost_after_minutes)

    @property
    def import_window(self) -> timedelta:
        """Within which leads of one creator are counted as one import."""
        return timedelta(minutes=self.import_window_minutes)


class Sms(_Section):
    """[sms]: the recipient's quiet hours, in which a message waits for the morning, and how long one may be."""

    quiet_from: time = time(21)
    quiet_to: time = time(9)
    max_segments: Annotated[int, Field(ge=1, le=20)] = 6


class Texts(_Section):
    """[texts]: what people read; texts fill {field} only."""

    call_task: Annotated[str, _fields("phone", "title")] = "Вам необходимо связаться с клиентом по телефону № {phone}"
    call_task_body: Annotated[str, _fields("phone", "title", "link", "reason")] = (
        "Клиент: {title}\nТелефон: {phone}\nКарточка: {link}\n\nПочему вы: {reason}"
    )
    written_task: Annotated[str, _fields("source", "title")] = "Ответьте клиенту: {source}"
    written_task_body: Annotated[str, _fields("source", "title", "link", "contact", "reason")] = (
        "Обращение: {title}\nИсточник: {source}\nКонтакт: {contact}\nКарточка: {link}\n\n"
        "Ответьте тем же способом, которым обратился клиент.\nПочему вы: {reason}"
    )
    import_task: Annotated[str, _fields("count", "who")] = (
        "Загружено лидов: {count}. Распределить их между менеджерами?"
    )
    import_task_body: Annotated[str, _fields("count", "who", "link")] = (
        "{who} загрузил лиды: {count}. Приложение не стало раздавать их по одному.\n"
        "Распределить или оставить как есть можно на странице приложения: {link}"
    )


# the process: fields, stages, tasks


class Value(_Section):
    """One value of a list field, or one reason of decline."""

    key: Key
    name: LocalText


FieldType = Literal[
    "string", "text", "integer", "double", "boolean", "date", "datetime", "money", "enumeration", "employee",
    "address", "file", "url", "phone", "email",
]  # fmt: skip


class CardField(_Section):
    """A field of the card. `code` is the portal's: a system field (name, phone, email, ...) or our own UF_CRM_...

    `why` is what the manager reads when it is missing.
    """

    key: Key
    code: Annotated[str, Field(min_length=2, max_length=50)]
    type: FieldType
    name: LocalText
    why: LocalText | None = None
    multiple: bool = False
    values: tuple[Value, ...] = ()

    @property
    def own(self) -> bool:
        """Ours to create; system fields are there already."""
        return self.code.startswith(OWN_FIELD_PREFIX)


class Condition(_Section):
    """When a rule applies: a field is filled, empty, or has one of the values. Exactly one check stands."""

    field: Key
    filled: bool | None = None
    one_of: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_check(self) -> Condition:
        if (self.filled is None) == (not self.one_of):
            raise ValueError("нужно filled = true/false или one_of = [...] / filled or one_of, one of them")
        return self


class Requirement(_Section):
    """A field that must be filled, and right: `valid` names the check, `only_if` when it applies at all."""

    field: Key
    valid: Literal["any", "email", "phone", "not_past"] = "any"
    only_if: Condition | None = None


EvidenceKind = Literal[
    "offer_sent", "task_closed", "checklist_complete", "result_attached", "call_made", "field_confirmed"
]


class Evidence(_Section):
    """Work that must be seen done. `task` names a task rule (task_closed, checklist_complete, result_attached), `field`
    a field (field_confirmed); `manual` allows a person's confirmation with a reason.
    """

    kind: EvidenceKind
    task: Key | None = None
    field: Key | None = None
    manual: bool = False
    why: LocalText

    @model_validator(mode="after")
    def _names_its_object(self) -> Evidence:
        if (self.kind in ("task_closed", "checklist_complete", "result_attached")) != (self.task is not None):
            raise ValueError(f"{self.kind}: task нужен только для задач / task belongs to task evidence")
        if (self.kind == "field_confirmed") != (self.field is not None):
            raise ValueError(f"{self.kind}: field нужен только для field_confirmed / field belongs to field_confirmed")
        return self


class Checklist(_Section):
    """A named checklist of a task."""

    name: str = "Чек-лист"
    items: Annotated[tuple[str, ...], Field(min_length=1)]


class OnClose(_Section):
    """What closing the task does: the item moves on if the evidence stands; else the task is opened again, with why."""

    move_to: Key
    needs: tuple[Evidence, ...] = ()


class TaskRule(_Section):
    """A task made on entry into a stage. Texts fill {title}, {phone}, {email}, {link} and the keys of fields."""

    key: Key
    title: Annotated[str, Field(min_length=1)]
    text: str = ""
    script: str = ""
    picture: str = ""
    checklists: tuple[Checklist, ...] = ()
    responsible: Literal["responsible", "head", "mover"] | int = "responsible"
    deadline_minutes: Annotated[int, Field(gt=0)] = 240
    only_if: Condition | None = None
    closes_when: Condition | None = None
    result_required: bool = False
    on_close: OnClose | None = None


class Stage(_Section):
    """A stage: a lasting state with its criterion. The order is the file's order.

    `id` is the portal's STATUS_ID: a system one (NEW, IN_PROCESS, CONVERTED, JUNK ...) is taken over, others are made.
    `requires` and `evidence` must stand to enter it or to pass it; `requires_to_leave` to leave it.
    """

    key: Key
    id: Annotated[str, Field(pattern=r"^[A-Z0-9_:]+$", max_length=21)]
    name: LocalText
    semantics: Literal["process", "success", "failure"] = "process"
    color: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")] = "#39A8EF"
    criterion: LocalText | None = None
    hint: LocalText | None = None
    hint_url: str = ""
    gate: Literal["return", "task", "warn"] = "return"
    requires: tuple[Requirement, ...] = ()
    requires_to_leave: tuple[Requirement, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    tasks: tuple[TaskRule, ...] = ()


class DeclineReason(Value):
    """A reason why a client is lost, and what becomes of him (contradiction X5): one policy a reason.

    junk: the item stays in the failing stage; contact: a contact is made of it; later: a contact, and a reminder.
    `stage` is the failing stage that says this reason by itself (ST-12): whoever moves an item there is not asked.
    """

    then: Literal["junk", "contact", "later"] = "junk"
    remind_after_days: Annotated[int, Field(gt=0)] | None = None
    stage: Key | None = None

    @model_validator(mode="after")
    def _reminds(self) -> DeclineReason:
        if (self.then == "later") != (self.remind_after_days is not None):
            raise ValueError("remind_after_days нужен для then = 'later' и только для него / belongs to 'later'")
        return self


class Decline(_Section):
    """Declining: a failing stage is entered only with a reason, kept in a list field of the card."""

    code: Annotated[str, Field(pattern=r"^UF_CRM_[A-Z0-9_]+$", max_length=50)]
    name: LocalText
    reasons: Annotated[tuple[DeclineReason, ...], Field(min_length=1)]

    def reason_of(self, stage: str) -> DeclineReason | None:
        """Returns the reason that the failing stage of this key says by itself."""
        return next((reason for reason in self.reasons if reason.stage == stage), None)


class Process(_Section):
    """[lead] or [deal]: the process of one kind of item."""

    fields: tuple[CardField, ...] = ()
    stages: tuple[Stage, ...] = ()
    decline: Decline | None = None
    moves_back_an_hour: Annotated[int, Field(gt=0)] = 3
    offer_sent_statuses: tuple[str, ...] = ("SENT", "APPROVED")

    def stage(self, key: str) -> Stage | None:
        """Returns the stage of this key."""
        return next((stage for stage in self.stages if stage.key == key), None)

    def stage_by_id(self, id: str) -> Stage | None:
        """Returns the stage of the portal's STATUS_ID."""
        return next((stage for stage in self.stages if stage.id == id), None)

    def field(self, key: str) -> CardField | None:
        """Returns the field of this key."""
        return next((field for field in self.fields if field.key == key), None)

    def order(self, key: str) -> int:
        """Returns the place of a stage on the scale."""
        return next(place for place, stage in enumerate(self.stages) if stage.key == key)

    def task_rules(self) -> Iterator[tuple[Stage, TaskRule]]:
        """Yields every task rule with its stage."""
        for stage in self.stages:
            for rule in stage.tasks:
                yield stage, rule

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Yields (path, what is wrong) of names that repeat or point nowhere."""
        yield from _repeats("fields", "key", [field.key for field in self.fields])
        yield from _repeats("fields", "code", [field.code for field in self.fields])
        yield from _repeats("stages", "key", [stage.key for stage in self.stages])
        yield from _repeats("stages", "id", [stage.id for stage in self.stages])
        yield from _repeats("stages", "name", [stage.name.ru for stage in self.stages])
        yield from _repeats("tasks", "key", [rule.key for _, rule in self.task_rules()])
        fields = {field.key for field in self.fields}
        stages = {stage.key for stage in self.stages}
        tasks = {rule.key for _, rule in self.task_rules()}
        for number, field in enumerate(self.fields):
            path = f"fields.{number}"
            if (field.type == "enumeration") != bool(field.values) and field.own:
                yield f"{path}.values", "значения нужны списку, и только ему / values belong to a list field"
            yield from _repeats(f"{path}.values", "key", [value.key for value in field.values])
        for number, stage in enumerate(self.stages):
            path = f"stages.{number}"
            for group in ("requires", "requires_to_leave"):
                for place, requirement in enumerate(getattr(stage, group)):
                    yield from _known(f"{path}.{group}.{place}.field", requirement.field, fields)
                    yield from self._condition(f"{path}.{group}.{place}.only_if", requirement.only_if, fields)
            for place, evidence in enumerate(stage.evidence):
                yield from self._evidence(f"{path}.evidence.{place}", evidence, fields, tasks)
            for place, rule in enumerate(stage.tasks):
                yield from self._task(f"{path}.tasks.{place}", stage, rule, fields, stages, tasks)
        reasons = self.decline.reasons if self.decline else ()
        failing = {stage.key for stage in self.stages if stage.semantics == "failure"}
        yield from _repeats("decline.reasons", "key", [reason.key for reason in reasons])
        yield from _repeats("decline.reasons", "stage", [reason.stage or reason.key + ":" for reason in reasons])
        for number, reason in enumerate(reasons):
            if reason.stage is not None:
                yield from _known(f"decline.reasons.{number}.stage", reason.stage, failing)

    def _task(
        self, path: str, stage: Stage, rule: TaskRule, fields: set[str], stages: set[str], tasks: set[str]
    ) -> Iterator[tuple[str, str]]:
        yield from self._condition(f"{path}.only_if", rule.only_if, fields)
        yield from self._condition(f"{path}.closes_when", rule.closes_when, fields)
        for name in ("title", "text", "script"):
            try:
                unknown = set(placeholders(getattr(rule, name))) - fields - {"title", "phone", "email", "link"}
            except ValueError as error:
                yield f"{path}.{name}", str(error)
                continue
            for field in sorted(unknown):
                yield f"{path}.{name}", f"{{{field}}}: такого поля нет / no such field"
        if rule.on_close is not None:
            yield from _known(f"{path}.on_close.move_to", rule.on_close.move_to, stages)
            if rule.on_close.move_to in stages and self.order(rule.on_close.move_to) <= self.order(stage.key):
                yield f"{path}.on_close.move_to", "задача вела бы назад: круг / the task would lead back: a cycle"
            for place, evidence in enumerate(rule.on_close.needs):
                yield from self._evidence(f"{path}.on_close.needs.{place}", evidence, fields, tasks)

    @staticmethod
    def _condition(path: str, condition: Condition | None, fields: set[str]) -> Iterator[tuple[str, str]]:
        if condition is not None:
            yield from _known(f"{path}.field", condition.field, fields)

    @staticmethod
    def _evidence(path: str, evidence: Evidence, fields: set[str], tasks: set[str]) -> Iterator[tuple[str, str]]:
        if evidence.task is not None:
            yield from _known(f"{path}.task", evidence.task, tasks)
        if evidence.field is not None:
            yield from _known(f"{path}.field", evidence.field, fields)


def _repeats(path: str, what: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for number, name in enumerate(names):
        if name in names[:number]:
            yield f"{path}.{number}.{what}", f"{name!r} стоит дважды / stands twice"


def _known(path: str, name: str, names: set[str]) -> Iterator[tuple[str, str]]:
    if name not in names:
        yield path, f"{name!r} нигде не описано / is described nowhere"


# the measurement


class WorkKind(_Section):
    """A kind of work at the client's: how many working minutes it takes, the way included (K25), and which skills.

    The first one whose `only_if` applies to the card is the item's; one without it applies always.
    """

    key: Key
    name: LocalText
    minutes: Annotated[int, Field(gt=0, le=24 * 60)]
    skills: tuple[str, ...] = ()
    only_if: Condition | None = None


class Zone(_Section):
    """A part of the town, known by any of these words in the address."""

    key: Key
    name: str
    words: Annotated[tuple[Annotated[str, Field(min_length=2)], ...], Field(min_length=1)]


class Way(_Section):
    """Minutes of the way between two zones, in both directions."""

    zones: tuple[Key, Key]
    minutes: Annotated[int, Field(ge=0, le=24 * 60)]


class Travel(_Section):
    """The measurer's way. `inside_work`: it is part of the work's minutes, nothing is added (K25, X10).

    Else minutes are added between two visits: by the zone table, by coordinates, else `usual_minutes`; with
    `inside_hours` the first and the last way of a day lie in his working hours too.
    """

    inside_work: bool = True
    inside_hours: bool = False
    usual_minutes: Annotated[int, Field(ge=0, le=240)] = 40
    km_per_hour: Annotated[float, Field(gt=0, le=200)] = 25
    ways: tuple[Way, ...] = ()


class MeasurerRule(_Section):
    """What is special about one measurer: where he goes, what he can do, hours of his own by weekday, or the number of
    his work schedule on the portal (timeman: no method tells whose it is).
    """

    user: Annotated[int, Field(gt=0)]
    zones: tuple[Key, ...] = ()
    skills: tuple[str, ...] = ()
    shifts: _Shifts = {}
    schedule: Annotated[int, Field(gt=0)] | None = None


ByHand = Literal["follow", "object"]

_VISIT_WORDS = (
    "title", "phone", "email", "link", "address", "map", "when", "date", "time", "measurer", "measurer_phone", "sum",
    "comments", "work",
)  # fmt: skip


class Measurement(_Section):
    """[measurement]: who measures, for how long, what is agreed with the client and how; fields by their keys.

    `process` is whose fields they are. `*_by_hand`: what happens when somebody moves or deletes the calendar entry.
    """

    process: Literal["lead", "deal"] = "lead"
    stage: Key
    address: Key
    measurer: Key
    date: Key
    sum: Key | None = None
    department: int | str | None = None
    users: tuple[int, ...] = ()
    sub_departments: bool = True
    head_measures: bool = True
    work: Annotated[tuple[WorkKind, ...], Field(min_length=1)]
    zones: tuple[Zone, ...] = ()
    travel: Travel = Travel()
    measurers: tuple[MeasurerRule, ...] = ()
    step_minutes: Annotated[int, Field(gt=0, le=240, multiple_of=5)] = 30
    buffer_minutes: Annotated[int, Field(ge=0, le=240)] = 0
    daily_limit: Annotated[int, Field(ge=0)] = 0
    horizon_days: Annotated[int, Field(ge=1, le=92)] = 30
    earliest_minutes: Annotated[int, Field(ge=0)] = 120
    over_lunch: bool = True
    over_night: bool = False
    hold_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 15
    confirm_minutes: Annotated[int, Field(ge=1)] = 240
    rounds: Annotated[int, Field(ge=1)] = 3
    moved_by_hand: ByHand = "follow"
    deleted_by_hand: ByHand = "object"
    map_url: Annotated[str, _fields("address", "latitude", "longitude")] = "https://yandex.ru/maps/?text={address}"
    confirm_task: Annotated[str, _fields(*_VISIT_WORDS)] = "Подтвердить замер: {when}"
    confirm_text: Annotated[str, _fields(*_VISIT_WORDS)] = (
        "Клиент: {title}\nТелефон: {phone}\nАдрес: {address}\nЗамер: {when}, {measurer}\nКарточка: {link}\n\n"
        "Спросите, готов ли клиент принять замерщика. Готов — закройте задачу, всё остальное приложение сделает само. "
        "Просит другой день — выберите его на вкладке «Замер» или поменяйте дату в карточке; эта задача закроется сама."
    )
    measurer_task: Annotated[str, _fields(*_VISIT_WORDS)] = "Замер {when}: {address}"
    measurer_text: Annotated[str, _fields(*_VISIT_WORDS)] = (
        "Клиент: {title}\nТелефон: {phone}\nАдрес: {address}\n{map}\nКогда: {when}\nРабота: {work}\n"
        "Предварительная сумма: {sum}\nКомментарий: {comments}\nКарточка: {link}\n\nЗамер для клиента бесплатный. "
        "Сделали — закройте задачу. Никого нет дома — отметьте последний пункт списка или напишите это результатом."
    )
    checklist: Checklist = Checklist(
        name="Замер",
        items=(
            "Позвонить клиенту перед выездом",
            "Снять размеры",
            "Нарисовать макет на месте",
            "Посчитать окончательную цену",
            "Отдать клиенту расчёт: замер бесплатный",
            "Сделать фотографии",
        ),
    )
    not_home: Annotated[str, Field(min_length=3)] = "Никого нет дома"
    sms: Annotated[str, _fields(*_VISIT_WORDS)] = (
        "Замер {date} в {time}. Приедет {measurer}, тел. {measurer_phone}. Замер бесплатный."
    )

    def mistakes(self, process: Process) -> Iterator[tuple[str, str]]:
        """Yields (path, what is wrong) of names that repeat or point nowhere in the process."""
        if not process.stages:
            yield "process", f"раздела [{self.process}] нет / there is no such process"
            return
        if self.department is None and not self.users:
            yield "department", "кто замерщики? department или users / who measures? department or users"
        yield from _known("stage", self.stage, {stage.key for stage in process.stages})
        types = {"address": ("address", "string", "text"), "measurer": ("employee",), "date": ("datetime",)}
        types["sum"] = ("money", "double", "integer", "string")
        for name, allowed in types.items():
            key = getattr(self, name)
            described = process.field(key) if key is not None else None
            if key is not None:
                yield from _known(name, key, {one.key for one in process.fields})
            if described is not None and described.type not in allowed:
                yield name, f"поле {key!r} типа {described.type}, нужно / the field must be: {', '.join(allowed)}"
        yield from _repeats("work", "key", [kind.key for kind in self.work])
        yield from _repeats("zones", "key", [zone.key for zone in self.zones])
        yield from _repeats("measurers", "user", [str(one.user) for one in self.measurers])
        zones = {zone.key for zone in self.zones}
        for number, kind in enumerate(self.work):
            if kind.only_if is not None:
                yield from _known(f"work.{number}.only_if.field", kind.only_if.field, {f.key for f in process.fields})
        for number, rule in enumerate(self.measurers):
            for zone in rule.zones:
                yield from _known(f"measurers.{number}.zones", zone, zones)
        for number, way in enumerate(self.travel.ways):
            for zone in way.zones:
                yield from _known(f"travel.ways.{number}.zones", zone, zones)


class Playbook(_Section):
    """The whole playbook."""

    name: str
    hours: Hours = Hours()
    assignment: Assignment = Assignment()
    intake: Intake = Intake()
    sms: Sms = Sms()
    texts: Texts = Texts()
    lead: Process = Process()
    deal: Process = Process()
    measurement: Measurement | None = None

    def process(self, entity_type_id: int) -> Process | None:
        """Returns the process of leads or deals; others have none."""
        return {LEAD: self.lead, DEAL: self.deal}.get(entity_type_id)


def load_playbook(path: str = "") -> Playbook:
    """Returns the checked playbook at `path`, or the built-in one; ConfigError names every mistake by its path."""
    try:
        text = Path(path).read_text("utf-8") if path else files("playbooks").joinpath(BUILT_IN).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"[playbook] path: {path}: {error.strerror}") from error
    return parse_playbook(text, path or BUILT_IN)


def parse_playbook(text: str, name: str) -> Playbook:
    """Returns the checked playbook of a TOML text."""
    try:
        playbook = Playbook.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: не TOML / not TOML: {error}") from error
    except ValidationError as error:
        raise refused(name, error) from None
    found = [
        (f"{kind}.{path}", text)
        for kind, process in (("lead", playbook.lead), ("deal", playbook.deal))
        for path, text in process.mistakes()
    ]
    if playbook.measurement is not None:
        process = playbook.lead if playbook.measurement.process == "lead" else playbook.deal
        found += [(f"measurement.{path}", text) for path, text in playbook.measurement.mistakes(process)]
    if found:
        raise listed(name, found)
    return playbook
