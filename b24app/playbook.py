"""A playbook: a trade's process as data, read from TOML into checked values. Everything of the trade stands there.

Here so far: the office's hours, the distribution of enquiries and the intake's texts.
"""

from __future__ import annotations

import tomllib
from datetime import date, time, timedelta
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from b24app.errors import ConfigError
from b24app.rules.assignment import Policy
from b24app.rules.working_time import WorkCalendar

BUILT_IN = "kitchen.toml"
WEEKDAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"нет такого часового пояса / no such time zone: {value}") from error
    return value


def _fields(*allowed: str) -> AfterValidator:
    def check(text: str) -> str:
        for _, name, _, _ in Formatter().parse(text):
            if name is not None and name not in allowed:
                raise ValueError(f"{{{name}}}: можно / allowed: {', '.join('{' + a + '}' for a in allowed)}")
        return text

    return AfterValidator(check)


class Hours(_Section):
    """[hours]: used where the portal's calendar settings cannot be read; the time zone always."""

    time_zone: Annotated[str, AfterValidator(_zone)] = "Europe/Moscow"
    opens: time = time(9)
    closes: time = time(18)
    weekend: tuple[Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"], ...] = ("SA", "SU")
    country: str = "RU"
    days_off: tuple[date, ...] = ()
    work_days: tuple[date, ...] = ()

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
    fallback_user: int | None = None

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
    country: str = "RU"

    @property
    def call_lost_after(self) -> timedelta:
        """How long a call may go on before we take its end for lost."""
        return timedelta(minutes=self.call_lost_after_minutes)

    @property
    def import_window(self) -> timedelta:
        """Within which leads of one creator are counted as one import."""
        return timedelta(minutes=self.import_window_minutes)


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


class Playbook(_Section):
    """The whole playbook."""

    name: str
    hours: Hours = Hours()
    assignment: Assignment = Assignment()
    intake: Intake = Intake()
    texts: Texts = Texts()


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
        return Playbook.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: не TOML / not TOML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(str(step) for step in e['loc'])}: {e['msg']}" for e in error.errors()]
        raise ConfigError(f"{name}: ошибок / mistakes: {len(lines)}\n" + "\n".join(lines)) from None
