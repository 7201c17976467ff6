"""Working time: when people work, when they open again, what `n working minutes from now` means, and why. Pure.

The hours, weekends and moved days come from the portal (calendar.settings.get) or the playbook; public holidays from
the `holidays` library where the portal names none, through its is_working_day(), which knows moved working Saturdays.
Lunch, shifts of single weekdays and short days come from the playbook: neither the portal nor the library knows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import count, pairwise
from zoneinfo import ZoneInfo

import holidays

HORIZON_DAYS = 400
"""How many days in a row without work we look through before saying that nobody ever works."""

Text = Mapping[str, str]
"""A text for people by language: {"ru": ..., "en": ...}."""
Hours = tuple[time, time]
"""[opens, closes); `closes` not after `opens` means the next day: 10:00-02:00, or 9:00-00:00; 00:00-00:00 is a day."""
Span = tuple[datetime, datetime]
"""[begin, end) in UTC."""

NOTHING = timedelta(0)
DAY = timedelta(days=1)
WEEKDAYS = {"ru": ("Пн", "Вт", "Ср", "Чт", "Пт", "Сб", "Вс"), "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}
WEEKEND: Text = {"ru": "выходной", "en": "day off"}
COMPANY_DAY_OFF: Text = {"ru": "нерабочий день компании", "en": "company day off"}
PORTAL_HOLIDAY: Text = {"ru": "праздник по календарю портала", "en": "holiday of the portal's calendar"}
OVER: Text = {"ru": "рабочее время закончилось", "en": "working time is over"}
NOT_YET: Text = {"ru": "рабочее время не началось", "en": "working time has not begun"}
LINES = 14
"""How many steps are told one by one; of a longer way the first and the last."""


@dataclass(frozen=True)
class WorkCalendar:
    """Office hours. `weekend` holds weekdays (0 Monday); `days_off`, `work_days` are exceptions by date.

    `shifts` are the hours of single weekdays instead of opens-closes, several a day where there is a break; such a
    weekday works even where the week says weekend, and with no hours it does not. `lunch` is no working time.
    `short_days` end so many working minutes earlier.
    """

    time_zone: str = "Europe/Moscow"
    opens: time = time(9)
    closes: time = time(18)
    weekend: frozenset[int] = frozenset({5, 6})
    days_off: frozenset[date] = frozenset()
    work_days: frozenset[date] = frozenset()
    yearly_off: frozenset[tuple[int, int]] = field(default=frozenset())  # (month, day)
    yearly_work: frozenset[tuple[int, int]] = field(default=frozenset())
    country: str = ""
    lunch: Hours | None = None
    shifts: frozenset[tuple[int, tuple[Hours, ...]]] = frozenset()
    short_days: frozenset[tuple[date, int]] = frozenset()

    @property
    def zone(self) -> ZoneInfo:
        """The office's time zone."""
        return ZoneInfo(self.time_zone)

    def is_working_day(self, day: date) -> bool:
        """Tells whether the office works on that day: exceptions first, then the country's calendar, then the week."""
        if day in self.work_days or (day.month, day.day) in self.yearly_work:
            return True
        if day in self.days_off or (day.month, day.day) in self.yearly_off:
            return False
        usual = self._usual(day)
        if self.country and not self.yearly_off:
            country = _country(self.country)
            # moved days concern the country's own week; an office with another one keeps its weekend and the holidays
            return (usual and day not in country) or (country.is_weekend(day) and country.is_working_day(day))
        return usual

    def _usual(self, day: date) -> bool:
        shifts = dict(self.shifts)
        return bool(shifts[day.weekday()]) if day.weekday() in shifts else day.weekday() not in self.weekend

    def why_off(self, day: date) -> Text | None:
        """Returns why nobody works on that day, or None on a working day."""
        if self.is_working_day(day):
            return None
        if day in self.days_off:
            return COMPANY_DAY_OFF
        if (day.month, day.day) in self.yearly_off:
            return PORTAL_HOLIDAY
        if self._usual(day):
            return {"ru": _holiday(self.country, "ru", day), "en": _holiday(self.country, "en", day)}
        return WEEKEND

    def spans_of(self, day: date) -> tuple[Span, ...]:
        """Returns the working spans of the day in UTC, lunch cut out; () on a day off. A night shift is its evening's.

        What an earlier day's night shift already covers is not counted again.
        """
        return _spans_of(self, day)

    def is_open(self, now: datetime) -> bool:
        """Tells whether the office works at this moment."""
        today = now.astimezone(self.zone).date()
        return any(begin <= now < end for day in (today - DAY, today) for begin, end in self.spans_of(day))

    def _days(self, start: datetime) -> Iterator[tuple[date, tuple[Span, ...]]]:
        """Yields the days from the eve of `start` on with their spans, cut to it; ends where nobody ever works."""
        first, idle = start.astimezone(self.zone).date() - DAY, 0
        since = start.astimezone(UTC)
        for offset in count():
            day = first + offset * DAY
            spans = self.spans_of(day)
            idle = 0 if spans else idle + 1
            if idle > HORIZON_DAYS:
                return
            yield day, tuple((max(begin, since), end) for begin, end in spans if end > since)

    def spans(self, start: datetime) -> Iterator[Span]:
        """Yields the working spans from `start` on, the first one cut to it."""
        for _, spans in self._days(start):
            yield from spans

    def next_opening(self, now: datetime) -> datetime | None:
        """Returns the moment when work goes on: now where the office is open, None where it never opens."""
        return next((begin for begin, _ in self.spans(now)), None)

    def add_working(self, start: datetime, duration: timedelta) -> datetime:
        """Returns the moment by which `duration` of working time has passed; where nobody ever works, plain time."""
        left = duration
        for begin, end in self.spans(start):
            if end - begin >= left:
                return begin + left
            left -= end - begin
        return start + duration

    def subtract_working(self, end: datetime, duration: timedelta) -> datetime:
        """Returns the latest moment from which `duration` of working time is left until `end`."""
        left, day, idle = duration, end.astimezone(self.zone).date(), 0
        until = end.astimezone(UTC)
        while idle <= HORIZON_DAYS:
            spans = self.spans_of(day)
            idle = 0 if spans else idle + 1
            for begin, close in reversed(spans):
                close = min(close, until)
                if close > begin:
                    if close - begin >= left:
                        return close - left
                    left -= close - begin
            day -= DAY
        return end - duration

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Returns the working time between two moments; negative where `end` is the earlier one."""
        if end < start:
            return -self.between(end, start)
        return sum((min(close, end) - begin for begin, close in self._until(start, end)), NOTHING)

    def _until(self, start: datetime, end: datetime) -> Iterator[Span]:
        for begin, close in self.spans(start):
            if begin >= end:
                return
            yield begin, close

    @property
    def working_day(self) -> timedelta:
        """The length of one usual working day: opening to closing without lunch, whatever single days have."""
        plain = WorkCalendar(
            time_zone="UTC", opens=self.opens, closes=self.closes, weekend=frozenset(), lunch=self.lunch
        )
        return sum((end - begin for begin, end in plain.spans_of(date(2026, 1, 1))), NOTHING)

    def one_working_day_before(self, moment: datetime) -> datetime:
        """Returns when one usual working day is left until `moment`: Friday 10:00 -> Thursday 10:00."""
        return self.subtract_working(moment, self.working_day)

    def more_than_one_working_day(self, now: datetime, moment: datetime) -> bool:
        """Tells whether more working time is left until `moment` than one working day has; exactly one is not more."""
        return self.between(now, moment) > self.working_day

    def walk(self, start: datetime, duration: timedelta) -> Walk:
        """Returns the way of add_working, step by step."""
        return self._walk(start, self.add_working(start, duration))

    def walk_between(self, start: datetime, end: datetime) -> Walk:
        """Returns the way of `between`, step by step; a later `start` is walked backwards: its time is negative."""
        if end >= start:
            return self._walk(start, end)
        walk = self._walk(end, start)
        return Walk(start, end, -walk.worked, walk.steps)

    def _walk(self, start: datetime, end: datetime) -> Walk:
        steps: list[Step] = []
        zone, short = self.zone, dict(self.short_days)
        first, last = start.astimezone(zone).date(), end.astimezone(zone).date()
        for day, spans in self._days(start):
            if day > last:
                break
            done = tuple((begin, min(close, end)) for begin, close in spans if begin < end)
            whole = self.spans_of(day)
            if done:
                shortened = whole[-1][1] if day in short else None
                steps.append(Step(day, day, done, self._is_lunch(day, done), shortened, {}, zone))
            elif day >= first and day not in (first, last):
                steps.append(Step(day, day, why=self.why_off(day) or WEEKEND, zone=zone))
            elif day >= first and start != end:
                why = self.why_off(day) or (OVER if day == first and not spans else NOT_YET)
                steps.append(Step(day, day, why=why, zone=zone))
        worked = sum((step.worked for step in steps), NOTHING)
        return Walk(start.astimezone(zone), end.astimezone(zone), worked, tuple(_joined(steps)))

    def _is_lunch(self, day: date, spans: Sequence[Span]) -> frozenset[datetime]:
        """Returns the beginnings of those gaps that are lunch; the others are breaks between shifts."""
        lunches = set(_lunches(self, day))
        return frozenset(end for (_, end), (begin, _) in pairwise(spans) if (end, begin) in lunches)


@dataclass(frozen=True)
class Step:
    """A day of a walk with the work that falls on it, or days off in a row with the reason (then without spans)."""

    first: date
    last: date
    spans: tuple[Span, ...] = ()
    lunch: frozenset[datetime] = frozenset()
    shortened_to: datetime | None = None
    why: Text = field(default_factory=dict)
    zone: tzinfo = UTC

    @property
    def worked(self) -> timedelta:
        """The working time of the step."""
        return sum((end - begin for begin, end in self.spans), NOTHING)

    def text(self, language: str, year: int | None = None) -> str:
        """Returns the line for people: «Пт 27.11 10:00-14:00: 3 ч работы, обед 13:00-14:00 пропущен»."""
        days = day_text(self.first, language, year)
        if not self.spans:
            if self.last != self.first:
                days += f" - {day_text(self.last, language, year)}"
            return f"{days}: {self.why[language]}"
        words = [_WORK[language].format(duration_text(self.worked, language))]
        for (_, end), (begin, _) in zip(self.spans, self.spans[1:], strict=False):
            word = _LUNCH if end in self.lunch else _BREAK
            words.append(word[language].format(self._hours(end, begin)))
        if self.shortened_to is not None:
            words.append(_SHORT[language].format(f"{self.shortened_to.astimezone(self.zone):%H:%M}"))
        return f"{days} {self._hours(self.spans[0][0], self.spans[-1][1])}: {', '.join(words)}"

    def _hours(self, begin: datetime, end: datetime) -> str:
        return f"{_clock(begin.astimezone(self.zone))}-{_clock(end.astimezone(self.zone))}"


_WORK = {"ru": "{} работы", "en": "{} of work"}
_LUNCH = {"ru": "обед {} пропущен", "en": "lunch {} skipped"}
_BREAK = {"ru": "перерыв {} пропущен", "en": "break {} skipped"}
_SHORT = {"ru": "короткий день, до {}", "en": "short day, until {}"}
_MORE = {"ru": "… ещё дней: {}, в них {} работы", "en": "… {} more days with {} of work"}


@dataclass(frozen=True)
class Walk:
    """From `start` to `end` (in the office's zone), the working time on the way, and its steps."""

    start: datetime
    end: datetime
    worked: timedelta
    steps: tuple[Step, ...]

    def lines(self, language: str) -> list[str]:
        """Returns the steps as lines; the middle of a long way is one line."""
        year = self.start.year if self.start.year == self.end.year else None
        if len(self.steps) <= LINES:
            return [step.text(language, year) for step in self.steps]
        head, middle, tail = self.steps[: LINES - 4], self.steps[LINES - 4 : -3], self.steps[-3:]
        days = sum((step.last - step.first).days + 1 for step in middle)
        worked = duration_text(sum((step.worked for step in middle), NOTHING), language)
        left_out = _MORE[language].format(days, worked)
        return [
            *(step.text(language, year) for step in head),
            left_out,
            *(step.text(language, year) for step in tail),
        ]

    def text(self, language: str) -> str:
        """Returns the steps as one text, a line each."""
        return "\n".join(self.lines(language))


def duration_text(duration: timedelta, language: str) -> str:
    """Returns a duration for people, to the minute: «3 ч», «2 ч 30 мин», «0 мин», with seconds where there are."""
    seconds = abs(round(duration.total_seconds()))
    sign = "-" if duration < NOTHING and seconds else ""
    hour, minute, second = ("ч", "мин", "с") if language == "ru" else ("h", "min", "s")
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    parts = [f"{hours} {hour}" if hours else "", f"{minutes} {minute}" if minutes else ""]
    if seconds % 60:
        parts.append(f"{seconds % 60} {second}")
    return sign + (" ".join(part for part in parts if part) or f"0 {minute}")


def day_text(day: date, language: str, year: int | None = None) -> str:
    """Returns «Пт 27.11» or `Fri 27.11`; with the year where it is not the one that goes without saying."""
    return f"{WEEKDAYS[language][day.weekday()]} {day:%d.%m}" + ("" if year == day.year else f".{day.year}")


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"


def _joined(steps: Sequence[Step]) -> Iterator[Step]:
    """Days off in a row for the same reason are one step."""
    held: Step | None = None
    for step in steps:
        if held is not None and not held.spans and not step.spans and held.why == step.why:
            held = Step(held.first, step.last, why=held.why, zone=held.zone)
            continue
        if held is not None:
            yield held
        held = step
    if held is not None:
        yield held


@lru_cache(maxsize=20_000)
def _spans_of(calendar: WorkCalendar, day: date) -> tuple[Span, ...]:
    spans = _raw_spans(calendar, day)
    if spans:
        before = _raw_spans(calendar, day - DAY)
        if before and before[-1][1] > spans[0][0]:
            over = before[-1][1]
            spans = tuple((max(begin, over), end) for begin, end in spans if end > over)
    return spans


def _raw_spans(calendar: WorkCalendar, day: date) -> tuple[Span, ...]:
    if not calendar.is_working_day(day):
        return ()
    # a day that works by exception though its weekday has no hours works the usual ones
    hours = dict(calendar.shifts).get(day.weekday()) or ((calendar.opens, calendar.closes),)
    spans: list[Span] = []
    for span in (_span(calendar.zone, day, shift) for shift in hours):
        begin, end = max(span[0], spans[-1][1]) if spans else span[0], span[1]
        for out, back in _lunches(calendar, day):
            if begin < back and out < end:
                spans.append((begin, min(out, end)))
                begin = back
        spans.append((begin, end))
    # a clock turned forward may leave nothing of a span
    spans = [span for span in spans if span[1] > span[0]]
    less = timedelta(minutes=dict(calendar.short_days).get(day, 0))
    while spans and less > NOTHING:
        begin, end = spans.pop()
        if end - begin > less:
            spans.append((begin, end - less))
            break
        less -= end - begin
    return tuple(spans)


def _lunches(calendar: WorkCalendar, day: date) -> list[Span]:
    """The lunches that a shift of the day can meet: its own, and the next day's where it goes over midnight."""
    if calendar.lunch is None:
        return []
    return [_span(calendar.zone, day, calendar.lunch), _span(calendar.zone, day + DAY, calendar.lunch)]


def _span(zone: ZoneInfo, day: date, hours: Hours) -> Span:
    opens, closes = hours
    last = day if closes > opens else day + DAY
    return datetime.combine(day, opens, zone).astimezone(UTC), datetime.combine(last, closes, zone).astimezone(UTC)


def _holiday(code: str, language: str, day: date) -> str:
    known = _country(code, language)
    return str(known.get(day) or WEEKEND[language])


@lru_cache(maxsize=24)
def _country(code: str, language: str = "") -> holidays.HolidayBase:
    wanted = {"ru": "ru", "en": "en_US"}.get(language)
    plain = holidays.country_holidays(code)
    if wanted not in (getattr(plain, "supported_languages", None) or ()):
        return plain
    return holidays.country_holidays(code, language=wanted)
