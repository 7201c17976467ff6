"""When a template of recurring tasks makes its next one (REPLICATE_PARAMS, api-reference/tasks/template/fields.md)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import Any

from sandbox.filters import to_time
from sandbox.method import Row, as_int, as_list, plain

PERIODS = ("daily", "weekly", "monthly", "yearly")
ENDS = ("endless", "times", "date")
_SHAPE = "%d.%m.%Y %H:%M:%S"
_FAR = 10_000
# Bounds of the numbers; those of _ALWAYS are printed even when they were not given, in this order.
_BOUNDS = {
    "EVERY_DAY": (1, _FAR), "EVERY_WEEK": (1, _FAR), "MONTHLY_DAY_NUM": (1, 31), "MONTHLY_MONTH_NUM_1": (1, _FAR),
    "MONTHLY_MONTH_NUM_2": (1, _FAR), "YEARLY_DAY_NUM": (1, 31), "MONTHLY_TYPE": (1, 2), "YEARLY_TYPE": (1, 2),
    "DAILY_MONTH_INTERVAL": (0, _FAR), "MONTHLY_WEEK_DAY_NUM": (0, 4), "MONTHLY_WEEK_DAY": (0, 6),
    "YEARLY_MONTH_1": (0, 11), "YEARLY_WEEK_DAY_NUM": (0, 4), "YEARLY_WEEK_DAY": (0, 6), "YEARLY_MONTH_2": (0, 11),
    "TIMES": (0, 10**9), "DEADLINE_AFTER": (0, 10**9), "DEADLINE_OFFSET": (0, 10**9),
}  # fmt: skip
_ALWAYS = ("EVERY_DAY", "EVERY_WEEK", "MONTHLY_DAY_NUM", "MONTHLY_MONTH_NUM_1", "MONTHLY_MONTH_NUM_2", "YEARLY_DAY_NUM")
# A rule that does not come true within these days never does.
_HORIZON = 366 * 20


def time_of(text: str) -> time:
    """HH:MM as a time of day. ValueError for others."""
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute))


def _moment(value: Any, zone: Any) -> str | None:
    """A date as the portal keeps it; the page's own example writes the month first."""
    text = plain(value).strip()
    if not text:
        return None
    at = to_time(text, zone)
    if at is None:
        at = datetime.strptime(text, "%m/%d/%Y %H:%M:%S").replace(tzinfo=zone).timestamp()
    made = datetime.fromtimestamp(at, zone)
    if not 1970 <= made.year < 9999:
        raise ValueError(text)
    return made.strftime(_SHAPE)


def read(given: Row, zone: Any) -> Row:
    """The rule with its defaults, in the order in which it is printed. ValueError for what it cannot be."""
    given = {key.upper(): value for key, value in given.items()}
    numbers: Row = {}
    for name, (low, high) in _BOUNDS.items():
        value = given.get(name)
        if value in (None, ""):
            continue
        number = as_int(value)
        if number is None or not low <= number <= high:
            raise ValueError(name)
        numbers[name] = number
    period = plain(given.get("PERIOD")) or "daily"
    till = plain(given.get("REPEAT_TILL")) or "endless"
    workday = plain(given.get("WORKDAY_ONLY")) or "N"
    clock = plain(given.get("TIME")) or "05:00"
    days = [as_int(one) for one in as_list(given.get("WEEK_DAYS"))]
    if period not in PERIODS or till not in ENDS or workday not in ("Y", "N") or not set(days) <= set(range(1, 8)):
        raise ValueError("REPLICATE_PARAMS")
    time_of(clock)
    try:
        start, end = _moment(given.get("START_DATE"), zone), _moment(given.get("END_DATE"), zone)
    except OverflowError:
        raise ValueError("START_DATE") from None
    made: Row = {
        "PERIOD": period, "WORKDAY_ONLY": workday, "WEEK_DAYS": days, "TIME": clock, "TIMEZONE_OFFSET": 0,
        "REPEAT_TILL": till, "START_DATE": start,
    }  # fmt: skip
    made |= {name: numbers.get(name, 1) for name in _ALWAYS}
    made["END_DATE"] = end
    made |= {name: numbers.get(name, 1) for name in ("MONTHLY_TYPE", "YEARLY_TYPE")}
    made |= {name: numbers.get(name, 0) for name in ("DEADLINE_AFTER", "DEADLINE_OFFSET")}
    return made | {name: number for name, number in numbers.items() if name not in made}


def next_time(rule: Row, zone: Any, now: float, count: int) -> str | None:
    """When the next task is due, as the rule prints moments; None when there is none. `count`: tasks made already."""
    if rule["REPEAT_TILL"] == "times" and count >= rule.get("TIMES", 0):
        return None
    begin = to_time(rule["START_DATE"], zone) if rule["START_DATE"] else None
    end = to_time(rule["END_DATE"], zone) if rule["REPEAT_TILL"] == "date" and rule["END_DATE"] else None
    first = datetime.fromtimestamp(now if begin is None else begin, zone).date()
    after = max(now, begin or 0.0)
    day = datetime.fromtimestamp(after, zone).date()
    clock = time_of(rule["TIME"])
    for index in range(_HORIZON):
        try:
            one = day + timedelta(days=index)
        except OverflowError:
            return None
        at = datetime.combine(one, clock, zone)
        if end is not None and at.timestamp() > end:
            return None
        if at.timestamp() >= after and _falls(rule, first, one):
            return at.strftime(_SHAPE)
    return None


def _falls(rule: Row, first: date, one: date) -> bool:
    months = (one.year - first.year) * 12 + one.month - first.month
    if rule["PERIOD"] == "daily":
        if rule["WORKDAY_ONLY"] == "Y" and one.weekday() > 4:
            return False
        every, pause = int(rule["EVERY_DAY"]), int(rule.get("DAILY_MONTH_INTERVAL", 0))
        return (one - first).days % every == 0 and months % (pause + 1) == 0
    if rule["PERIOD"] == "weekly":
        weeks = ((one - timedelta(one.weekday())) - (first - timedelta(first.weekday()))).days // 7
        return weeks % rule["EVERY_WEEK"] == 0 and one.isoweekday() in (rule["WEEK_DAYS"] or [1])
    if rule["PERIOD"] == "monthly":
        if rule["MONTHLY_TYPE"] == 1:
            return months % rule["MONTHLY_MONTH_NUM_1"] == 0 and _is_day(one, rule["MONTHLY_DAY_NUM"])
        nth = _is_nth(one, rule.get("MONTHLY_WEEK_DAY_NUM", 0), rule.get("MONTHLY_WEEK_DAY", 0))
        return months % rule["MONTHLY_MONTH_NUM_2"] == 0 and nth
    if rule["YEARLY_TYPE"] == 1:
        return one.month - 1 == rule.get("YEARLY_MONTH_1", 0) and _is_day(one, rule["YEARLY_DAY_NUM"])
    nth = _is_nth(one, rule.get("YEARLY_WEEK_DAY_NUM", 0), rule.get("YEARLY_WEEK_DAY", 0))
    return nth and one.month - 1 == int(rule.get("YEARLY_MONTH_2", 0))


def _is_day(one: date, number: int) -> bool:
    """That day of the month, its last one when the month is shorter."""
    return one.day == min(number, monthrange(one.year, one.month)[1])


def _is_nth(one: date, number: int, weekday: int) -> bool:
    """The first (0) to the fourth (3), or the last (4), of that day of the week in its month."""
    if one.weekday() != weekday:
        return False
    return one.day + 7 > monthrange(one.year, one.month)[1] if number == 4 else (one.day - 1) // 7 == number
