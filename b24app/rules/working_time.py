"""Working time: when people work, when they open again, and what `n working minutes from now` means. Pure.

The hours, weekends and moved days come from the portal (calendar.settings.get) or the playbook; public holidays from
the `holidays` library where the portal names none, through its is_working_day(), which knows moved working Saturdays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

HORIZON_DAYS = 400
"""How far we look for a working day before saying that there is none."""


@dataclass(frozen=True)
class WorkCalendar:
    """Office hours. `weekend` holds weekdays (0 Monday); `days_off`, `work_days` are exceptions by date.

    `closes` not after `opens` means the next day: 10:00-02:00, or 9:00-00:00; 00:00-00:00 is the whole day.
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
        usual = day.weekday() not in self.weekend
        if self.country and not self.yearly_off:
            country = _country(self.country)
            # moved days concern the country's own week; an office with another one keeps its weekend and the holidays
            return (usual and day not in country) or (country.is_weekend(day) and country.is_working_day(day))
        return usual

    def hours_of(self, day: date) -> tuple[datetime, datetime] | None:
        """Returns [opening, closing) of the day in UTC, or None on a day off."""
        if not self.is_working_day(day):
            return None
        last = day if self.closes > self.opens else day + timedelta(days=1)
        begin, end = datetime.combine(day, self.opens, self.zone), datetime.combine(last, self.closes, self.zone)
        return begin.astimezone(UTC), end.astimezone(UTC)

    def is_open(self, now: datetime) -> bool:
        """Tells whether the office works at this moment."""
        today = now.astimezone(self.zone).date()
        spans = (self.hours_of(today - timedelta(days=1)), self.hours_of(today))
        return any(hours is not None and hours[0] <= now < hours[1] for hours in spans)

    def spans(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yields the working spans from `start` on, the first one cut to it."""
        first = start.astimezone(self.zone).date() - timedelta(days=1)
        for offset in range(HORIZON_DAYS):
            hours = self.hours_of(first + timedelta(days=offset))
            if hours is not None and hours[1] > start:
                yield max(hours[0], start.astimezone(UTC)), hours[1]

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


@lru_cache(maxsize=8)
def _country(code: str) -> holidays.HolidayBase:
    return holidays.country_holidays(code)
