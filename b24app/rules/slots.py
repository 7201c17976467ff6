"""Free slots: when which measurer can do a job, the best first, each explained; and why others offer none. Pure.

One cell is 5 minutes of working time, lunch cut out, so a job over lunch is a run of neighbouring cells. A day of all
measurers is one big integer, a lane of bits for each with a zero bit behind it: a set bit is a free cell. Runs of n
free cells are found by shifting the whole day a few times, whoever and however many they are. A changed busy time
rewrites its lane of its days and nothing else. Where jobs may go over the night, the free cells at the opening of the
measurer's next working day stand behind those of the day, so such a job is a run of neighbouring cells too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import compress, pairwise
from math import asin, ceil, cos, radians, sin, sqrt
from typing import Literal

from b24app.rules.working_time import DAY, WEEKEND, Text, Walk, WorkCalendar, day_text, duration_text

CELL = 5
"""Minutes of a cell."""
MINUTE = timedelta(minutes=1)
PLACES_KEPT = 8
"""For how many places of jobs the days stay prepared."""

PartOfDay = Literal["morning", "afternoon", "evening"]
PARTS: Mapping[str, tuple[int, int]] = {"morning": (0, 12), "afternoon": (12, 17), "evening": (17, 24)}
"""The hours of the clock at which a job of that wish starts."""


@dataclass(frozen=True)
class Place:
    """Where something is: a zone of the company's own table, coordinates, or neither."""

    zone: str = ""
    latitude: float | None = None
    longitude: float | None = None
    name: str = field(default="", compare=False)  # the zone's, for people


NOWHERE = Place()


@dataclass(frozen=True)
class Travel:
    """How long the way between two places takes, in minutes: the zone table, else coordinates, else `usual`."""

    usual: int = 0
    zones: Mapping[tuple[str, str], int] = field(default_factory=dict)
    km_per_hour: float = 25.0
    longest: int = 180

    def minutes(self, one: Place, other: Place) -> int:
        """Returns the minutes of the way, the same in both directions, at most `longest`."""
        for pair in ((one.zone, other.zone), (other.zone, one.zone)):
            if pair in self.zones:
                return min(self.zones[pair], self.longest)
        where = (one.latitude, one.longitude, other.latitude, other.longitude)
        if None in where:
            return min(self.usual, self.longest)
        return min(ceil(_kilometres(*where) / self.km_per_hour * 60), self.longest)  # type: ignore[arg-type]


def _kilometres(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The haversine formula; streets are longer, which km_per_hour of a town allows for."""
    a, b = radians(latitude), radians(other_latitude)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * 6371 * asin(sqrt(half))


@dataclass(frozen=True)
class Busy:
    """A time in which the measurer is not free, [start, end). `place` where he comes from or goes to, if known."""

    start: datetime
    end: datetime
    place: Place | None = None
    visit: bool = False


@dataclass(frozen=True)
class Measurer:
    """Somebody who does jobs. No `zones`: he goes everywhere. `load` is his visits of late, for fairness."""

    id: int
    name: str
    calendar: WorkCalendar
    zones: frozenset[str] = frozenset()
    skills: frozenset[str] = frozenset()
    load: int = 0


@dataclass(frozen=True)
class Policy:
    """How slots are made. `travel_inside`: the way to the first and from the last job lies in working hours too.

    `over_lunch`: a job may begin before lunch, or a break between shifts, and end after it. `over_night`: it may begin
    at the end of a day and go on at the opening of the measurer's next working day, whatever he does in between. The
    last minutes of the one and the first of the other are his for that, so not where `travel_inside` takes them.
    """

    step: int = 30
    buffer: int = 0
    daily_limit: int = 0
    travel: Travel = Travel()
    travel_inside: bool = False
    horizon_days: int = 30
    over_lunch: bool = True
    over_night: bool = False

    def __post_init__(self) -> None:
        if self.step <= 0 or self.step % CELL:
            raise ValueError(f"step: кратно {CELL} минутам / a multiple of {CELL} minutes: {self.step}")


@dataclass(frozen=True)
class Wish:
    """What the client would like; `strict`: nothing else is offered."""

    parts: frozenset[PartOfDay] = frozenset()
    not_weekdays: frozenset[int] = frozenset()
    strict: bool = False

    def __bool__(self) -> bool:
        return bool(self.parts or self.not_weekdays)


@dataclass(frozen=True)
class Job:
    """What is to be done: how long, where, from when on, and what it takes."""

    duration: timedelta
    earliest: datetime
    place: Place = NOWHERE
    skills: frozenset[str] = frozenset()
    wish: Wish = Wish()

    @property
    def cells(self) -> int:
        """The cells that it takes, rounded up."""
        return max(1, ceil(self.duration / (CELL * MINUTE)))


HOLE, WISH = 1, 10
"""What days of waiting a useless hole and a missed wish are worth."""


@dataclass(frozen=True)
class Slot:
    """A time for a job with the fairest of those who are free then; `others` could come too.

    `cost` orders slots: days of waiting, plus what the reasons against it are worth. `grade`: A, B or C.
    """

    measurer: Measurer
    start: datetime
    end: datetime
    cost: int
    wished: bool
    hole: bool
    others: tuple[int, ...]

    @property
    def walk(self) -> Walk:
        """The way from start to end, step by step."""
        return self.measurer.calendar.walk_between(self.start, self.end)

    @property
    def grade(self) -> Literal["A", "B", "C"]:
        """A: as wished, and the day stays whole; B: as wished; C: not as wished."""
        return "C" if not self.wished else "B" if self.hole else "A"

    def text(self, language: str) -> str:
        """Returns the sum spelled out, with the name and what speaks against it."""
        words = [f"{self.walk.text(language)}; {self.measurer.name}"]
        if self.others:
            words.append(_OTHERS[language].format(len(self.others)))
        if not self.wished:
            words.append(_UNWISHED[language])
        if self.hole:
            words.append(_HOLE[language])
        return "; ".join(words)


_OTHERS = {"ru": "могут и другие: {}", "en": "others could too: {}"}
_UNWISHED = {"ru": "не как просил клиент", "en": "not as the client wished"}
_HOLE = {"ru": "оставляет окно, в которое ничего не поместится", "en": "leaves a gap that nothing fits in"}


@dataclass(frozen=True)
class Explanation:
    """Why there is nothing: by measurer who offers no slot at all, and by day on which nobody does."""

    measurers: Mapping[int, Text]
    days: Mapping[date, Text]


class _Axis:
    """The working cells of one calendar: their times day by day, the same for everybody who works by it.

    `following` is the day in whose morning a job goes on, where it may; `eve` is the way back.
    """

    def __init__(self, calendar: WorkCalendar, first: date, days: int, over_night: bool) -> None:
        self.calendar = calendar
        self.days = [_day_spans(calendar, first + timedelta(days=number)) for number in range(days)]
        self.cells = [spans[-1][2] + (spans[-1][1] - spans[-1][0]) // CELL if spans else 0 for spans in self.days]
        self.working = [number for number, spans in enumerate(self.days) if spans]
        self.following = dict(pairwise(self.working)) if over_night else {}
        self.eve = {later: day for day, later in self.following.items()}
        self._ends = [self.days[number][-1][1] for number in self.working]
        self._times: dict[int, tuple[datetime, ...]] = {}

    def times(self, day: int) -> tuple[datetime, ...]:
        """The beginnings of the day's cells in UTC."""
        if day not in self._times:
            self._times[day] = tuple(
                datetime.fromtimestamp(minute * 60, UTC)
                for begin, end, _ in self.days[day]
                for minute in range(begin, end, CELL)
            )
        return self._times[day]

    def ahead(self, day: int) -> int:
        """How many cells the following day has."""
        return self.cells[self.following[day]] if day in self.following else 0

    def breaks(self, day: int) -> Iterator[tuple[int, int, int]]:
        """Lunch and breaks between shifts: (the cell behind it, begin, end)."""
        for (_, close, _), (begin, _, offset) in pairwise(self.days[day]):
            if begin > close:
                yield offset, close, begin

    def days_of(self, start: int, end: int) -> Iterator[int]:
        """The working days that [start, end) in minutes touches."""
        for number in self.working[bisect_right(self._ends, start) :]:
            if self.days[number][0][0] >= end:
                return
            yield number

    def cells_of(self, day: int, start: int, end: int) -> tuple[int, int]:
        """The cells [low, high) of the day that [start, end) touches; low == high: it lies between two spans there."""
        low = high = -1
        for begin, close, offset in self.days[day]:
            if begin >= end:
                if low < 0:
                    return offset, offset
                break
            if start < close:
                if low < 0:
                    low = offset + (max(start, begin) - begin) // CELL
                high = offset - (begin - min(end, close)) // CELL
        return low, high

    def mask(self, day: int, wanted: Iterable[bool]) -> int:
        """The cells of the day for which `wanted` says so."""
        return sum(1 << cell for cell, one in enumerate(wanted) if one)

    def clock(self, day: int) -> Iterator[int]:
        """The minutes since midnight on the wall, cell by cell."""
        for moment in self.times(day):
            local = moment.astimezone(self.calendar.zone)
            yield local.hour * 60 + local.minute


_DaySpans = tuple[tuple[int, int, int], ...]


def _day_spans(calendar: WorkCalendar, day: date) -> _DaySpans:
    """The day's spans as (begin, end, cells before it) in minutes since 1970, cut to whole cells."""
    spans: list[tuple[int, int, int]] = []
    offset = 0
    for begin, end in calendar.spans_of(day):
        first, last = ceil(begin.timestamp() / 60 / CELL) * CELL, int(end.timestamp() // 60) // CELL * CELL
        if last > first:
            spans.append((first, last, offset))
            offset += (last - first) // CELL
    return tuple(spans)


_Entry = tuple[int, int, Busy]
_Kept = dict[datetime, tuple[int, list[int], int, int, bool, bool]]
"""What is offered by start: (cost, all lanes, the fairest of them, day, as wished, leaves a useless hole)."""


@dataclass
class _Prepared:
    """The days for jobs of one place: free cells, and borders (what lies in lunch, lunch) that a job may not cross."""

    free: list[int]
    barriers: list[int]


class Board:
    """Measurers with their busy times over some days. `listing` and `best` ask it, `add` and `remove` change it."""

    def __init__(
        self,
        measurers: Sequence[Measurer],
        policy: Policy,
        first: date,
        busy: Mapping[int, Iterable[Busy]] | None = None,
    ) -> None:
        self.measurers, self.policy, self.first = tuple(measurers), policy, first
        days = policy.horizon_days
        axes: dict[WorkCalendar, _Axis] = {}
        for measurer in self.measurers:
            if measurer.calendar not in axes:
                axes[measurer.calendar] = _Axis(measurer.calendar, first, days, policy.over_night)
        self._axis = [axes[measurer.calendar] for measurer in self.measurers]
        self._axes = list(axes.values())
        self._lane = {measurer.id: lane for lane, measurer in enumerate(self.measurers)}
        most = max((cells + axis.ahead(day) for axis in self._axes for day, cells in enumerate(axis.cells)), default=0)
        self._width = (most // 8 + 1) * 8  # a zero bit at least, and whole bytes, of which a day is joined
        self._entries: list[dict[int, list[_Entry]]] = [{} for _ in self.measurers]
        self._prepared: dict[Place, _Prepared] = {}
        self._spread: dict[tuple[str, int], int] = {}
        self._eligible: dict[tuple[str, frozenset[str]], tuple[frozenset[int], int]] = {}
        self._reach = policy.buffer + policy.travel.longest
        self._edge = ceil(policy.travel.usual / CELL) if policy.travel_inside else 0
        for id, entries in (busy or {}).items():
            for entry in entries:
                self._put(self._lane[id], entry)

    # changes

    def add(self, measurer_id: int, busy: Busy) -> None:
        """Makes a measurer busy; his lane of those days is written anew, nothing else."""
        lane = self._lane[measurer_id]
        self._rewrite(lane, self._put(lane, busy))

    def remove(self, measurer_id: int, busy: Busy) -> None:
        """Takes one busy time away; ValueError where there is none like it."""
        lane = self._lane[measurer_id]
        entry = _entry(busy)
        days = self._days_of(lane, entry)
        for day in days:
            self._entries[lane].setdefault(day, []).remove(entry)
        self._rewrite(lane, days)

    def _days_of(self, lane: int, entry: _Entry) -> list[int]:
        start, end, _ = entry
        return list(self._axis[lane].days_of(start - self._reach, end + self._reach)) if end > start else []

    def _put(self, lane: int, busy: Busy) -> list[int]:
        entry, entries = _entry(busy), self._entries[lane]
        days = self._days_of(lane, entry)
        for day in days:
            if day in entries:
                entries[day].append(entry)
            else:
                entries[day] = [entry]
        return days

    def _rewrite(self, lane: int, days: Iterable[int]) -> None:
        shift, eve, touched = lane * self._width, self._axis[lane].eve, set(days)
        for day in touched | {eve[day] for day in touched if day in eve}:
            for place, prepared in self._prepared.items():
                free, barriers = self._lane_of(lane, day, place)
                for days_now, value in ((prepared.free, free), (prepared.barriers, barriers)):
                    now = days_now[day]
                    days_now[day] = now ^ ((now >> shift & ((1 << self._width) - 1) ^ value) << shift)

    # preparation

    def prepare(self, place: Place) -> _Prepared:
        """Returns the days for jobs of this place; made once, then kept up to date."""
        if place not in self._prepared:
            while len(self._prepared) >= PLACES_KEPT:
                del self._prepared[next(iter(self._prepared))]
            free, barriers = [], []
            size = self._width // 8
            for day in range(self.policy.horizon_days):
                lanes = [self._lane_of(lane, day, place) for lane in range(len(self.measurers))]
                free.append(int.from_bytes(b"".join(one.to_bytes(size, "little") for one, _ in lanes), "little"))
                barred = any(barrier for _, barrier in lanes)
                joined = b"".join(barrier.to_bytes(size, "little") for _, barrier in lanes) if barred else b""
                barriers.append(int.from_bytes(joined, "little"))
            self._prepared[place] = _Prepared(free, barriers)
        return self._prepared[place]

    def _lane_of(self, lane: int, day: int, place: Place) -> tuple[int, int]:
        """The free cells of one measurer's day, the following ones free without a gap, and borders no job may cross."""
        free, barriers = self._day_of(lane, day, place)
        axis = self._axis[lane]
        if day in axis.following and free >> axis.cells[day] - 1:
            later, borders = self._day_of(lane, axis.following[day], place)
            free |= (later & ~(later + 1)) << axis.cells[day]
            barriers |= borders << axis.cells[day]
        return free, barriers

    def _day_of(self, lane: int, day: int, place: Place) -> tuple[int, int]:
        axis, policy = self._axis[lane], self.policy
        cells = axis.cells[day]
        if not cells:
            return 0, 0
        entries = self._entries[lane].get(day, ())
        if policy.daily_limit and self._visits(lane, day) >= policy.daily_limit:
            return 0, 0
        free = ((1 << cells) - 1) >> 2 * self._edge << self._edge
        barriers = 0 if policy.over_lunch else sum(1 << offset for offset, _, _ in axis.breaks(day))
        for start, end, busy in entries:
            wide = self._wide(busy, place)
            low, high = axis.cells_of(day, start - wide, end + wide)
            if high > low:
                free &= ~(((1 << (high - low)) - 1) << low)
            elif low > 0:
                barriers |= 1 << low
        return free, barriers

    def _wide(self, busy: Busy, place: Place) -> int:
        """The minutes to keep before and after it for a job of this place."""
        return self.policy.buffer + (self.policy.travel.minutes(busy.place, place) if busy.place is not None else 0)

    def _visits(self, lane: int, day: int) -> int:
        spans = self._axis[lane].days[day]
        begin, end = spans[0][0], spans[-1][1]
        return sum(b.visit and start < end and close > begin for start, close, b in self._entries[lane].get(day, ()))

    def _over_lanes(self, key: str, day: int, values: Sequence[int]) -> int:
        """One value an axis -> every lane of it; kept, but for what changes with the clock."""
        if key and (key, day) in self._spread:
            return self._spread[key, day]
        by_axis = dict(zip(map(id, self._axes), values, strict=True))
        size = self._width // 8
        as_bytes = {axis: value.to_bytes(size, "little") for axis, value in by_axis.items()}
        joined = (
            next(iter(as_bytes.values())) * len(self.measurers)
            if len(as_bytes) == 1
            else b"".join(as_bytes[id(axis)] for axis in self._axis)
        )
        value = int.from_bytes(joined, "little")
        if key:
            self._spread[key, day] = value
        return value

    def _grid(self, day: int) -> int:
        if ("grid", day) in self._spread:
            return self._spread["grid", day]
        step = self.policy.step
        values = [axis.mask(day, (clock % step == 0 for clock in axis.clock(day))) for axis in self._axes]
        return self._over_lanes("grid", day, values)

    def _wished(self, day: int, wish: Wish) -> int:
        if (self.first + timedelta(days=day)).weekday() in wish.not_weekdays:
            return 0
        if not wish.parts:
            return self._grid(day)
        key = "wish " + " ".join(sorted(wish.parts))
        if (key, day) in self._spread:
            return self._spread[key, day]
        hours = [PARTS[part] for part in wish.parts]
        values = [
            axis.mask(day, (any(low * 60 <= clock < high * 60 for low, high in hours) for clock in axis.clock(day)))
            for axis in self._axes
        ]
        return self._over_lanes(key, day, values)

    def _after(self, day: int, earliest: datetime) -> int | None:
        """The cells from `earliest` on; None where all of the day are."""
        moment = earliest.timestamp() / 60
        if all(not axis.days[day] or axis.days[day][0][0] >= moment for axis in self._axes):
            return None
        minutes = [(begin, close) for axis in self._axes for begin, close, _ in axis.days[day]]
        if all(close <= moment for _, close in minutes):
            return 0
        values = []
        for axis in self._axes:
            begins = (minute for begin, close, _ in axis.days[day] for minute in range(begin, close, CELL))
            own = axis.mask(day, (minute >= moment for minute in begins))
            values.append(own and own | ((1 << axis.ahead(day)) - 1) << axis.cells[day])
        return self._over_lanes("", day, values)

    def _may(self, job: Job) -> tuple[frozenset[int], int]:
        """The lanes that may do the job at all, and their bits."""
        key = (job.place.zone, job.skills)
        if key not in self._eligible:
            lanes = frozenset(lane for lane, m in enumerate(self.measurers) if _unfit(m, job) is None)
            full, none = b"\xff" * (self._width // 8), b"\0" * (self._width // 8)
            joined = b"".join(full if lane in lanes else none for lane in range(len(self.measurers)))
            self._eligible[key] = lanes, int.from_bytes(joined, "little")
        return self._eligible[key]

    # questions

    def _starts(self, prepared: _Prepared, day: int, job: Job) -> tuple[int, int]:
        """The cells at which the job can start, and the free cells of that day."""
        free = prepared.free[day]
        lanes, bits = self._may(job)
        if len(lanes) < len(self.measurers):
            free &= bits
        after = self._after(day, job.earliest)
        if after is not None:
            free &= after
        starts = _runs(free, job.cells) & self._grid(day)
        barriers = prepared.barriers[day]
        if barriers:
            starts &= ~_runs_over(barriers, job.cells)
        if job.wish and job.wish.strict:
            starts &= self._wished(day, job.wish)
        return starts, free

    def _bits(self, value: int) -> list[tuple[int, int]]:
        """The set bits as (lane, cell): whole words are looked through at once, since few bits are set."""
        size = (value.bit_length() + 63) // 64
        words = memoryview(value.to_bytes(size * 8, "little")).cast("Q")
        width, found = self._width, []
        for number in compress(range(size), words):
            word, offset = words[number], number * 64 - 1
            while word:
                low = word & -word
                found.append(divmod(offset + low.bit_length(), width))
                word ^= low
        return found

    def listing(self, job: Job) -> list[tuple[int, datetime]]:
        """Returns every slot as (measurer, start), by day, then by measurer, then by time."""
        prepared = self.prepare(job.place)
        found: list[tuple[int, datetime]] = []
        ids, axes = [m.id for m in self.measurers], self._axis
        for day in range(self.policy.horizon_days):
            starts, _ = self._starts(prepared, day, job)
            if not starts:
                continue
            if len(self._axes) == 1:
                times = self._axes[0].times(day)
                found += [(ids[lane], times[cell]) for lane, cell in self._bits(starts)]
            else:
                found += [(ids[lane], axes[lane].times(day)[cell]) for lane, cell in self._bits(starts)]
        return found

    def best(self, job: Job, limit: int = 10) -> list[Slot]:
        """Returns the best slots, each at another time, with the least loaded of those who could come.

        Every day of waiting counts, so does a useless hole, and most of all a missed wish; the earlier is the better.
        """
        prepared = self.prepare(job.place)
        kept: _Kept = {}
        waited = -1
        for day in range(self.policy.horizon_days):
            starts, free = self._starts(prepared, day, job)
            if waited >= 0 or free:
                waited += 1
            if len(kept) >= limit and sorted(cost for cost, *_ in kept.values())[limit - 1] < waited:
                break
            self._keep(kept, starts, free, prepared.barriers[day], day, waited, job)
        ordered = sorted(kept.items(), key=lambda one: (one[1][0], one[0]))[:limit]
        return [self._slot(job, start, *rest) for start, rest in ordered]

    def nearest(self, job: Job, start: datetime, measurer_id: int | None = None, limit: int = 3) -> list[Slot]:
        """Returns the slots nearest to `start` before and after it, each at another time, the nearest first.

        Of every measurer, the least loaded one as in `best`, or of this one alone; [] where nobody has this id.
        """
        prepared, horizon = self.prepare(job.place), range(self.policy.horizon_days)
        days = [self._starts(prepared, day, job) for day in horizon]
        opening = next((day for day, (_, free) in enumerate(days) if free), 0)
        bits = -1 if measurer_id is None else self._bits_of(measurer_id)
        middle = (start.astimezone(UTC).date() - self.first).days
        kept: _Kept = {}
        for day in sorted(horizon, key=lambda day: abs(day - middle)):
            # zones and night shifts move a day's slots by less than three days
            least = (abs(day - middle) - 3) * DAY
            if len(kept) >= limit and sorted(abs(one - start) for one in kept)[limit - 1] < least:
                break
            starts, free = days[day]
            self._keep(kept, starts & bits, free, prepared.barriers[day], day, day - opening, job)
        ordered = sorted(kept.items(), key=lambda one: (abs(one[0] - start), one[0]))[:limit]
        return [self._slot(job, moment, *rest) for moment, rest in ordered]

    def _bits_of(self, measurer_id: int) -> int:
        lane = self._lane.get(measurer_id)
        return 0 if lane is None else ((1 << self._width) - 1) << lane * self._width

    def _keep(self, kept: _Kept, starts: int, free: int, barriers: int, day: int, waited: int, job: Job) -> None:
        """Keeps the day's starts, each with the cheapest lane and the fairest of those."""
        if not starts:
            return
        for wished, hole, some in self._classes(starts, free, barriers, day, job):
            cost = waited + HOLE * hole + WISH * (not wished)
            for lane, cell in self._bits(some):
                start = self._axis[lane].times(day)[cell]
                known = kept.get(start)
                if known is None or cost < known[0]:
                    others = known[1] if known is not None else []
                    kept[start] = cost, [*others, lane], lane, day, wished, hole
                else:
                    known[1].append(lane)
                    if cost == known[0] and self._fairness(lane) < self._fairness(known[2]):
                        kept[start] = cost, known[1], lane, day, wished, hole

    def _fairness(self, lane: int) -> tuple[int, int]:
        return self.measurers[lane].load, self.measurers[lane].id

    def _classes(self, starts: int, free: int, barriers: int, day: int, job: Job) -> Iterator[tuple[bool, bool, int]]:
        """Yields (as wished, leaves a useless hole, the starts), the better first.

        A hole is a gap beside the job that no job like it fits in: before it on the same day, behind it over the night
        too where jobs go over it. A border ends a gap.
        """
        cells = job.cells
        useful = _runs(free, cells)
        before, behind = free << 1, free >> cells
        if barriers:
            useful &= ~_runs_over(barriers, cells)
            before, behind = before & ~barriers, behind & ~(barriers >> cells)
        whole = starts & (~before | useful << cells) & (~behind | useful >> cells)
        wished = starts & self._wished(day, job.wish) if job.wish else starts
        for fits, bits in ((True, wished), (False, starts & ~wished)):
            for hole, some in ((False, bits & whole), (True, bits & ~whole)):
                if some:
                    yield fits, hole, some

    def _slot(
        self, job: Job, start: datetime, cost: int, lanes: list[int], lane: int, day: int, wished: bool, hole: bool
    ) -> Slot:
        measurer, axis = self.measurers[lane], self._axis[lane]
        times = axis.times(day)
        last = times.index(start) + job.cells - 1
        if last >= len(times):
            times += axis.times(axis.following[day])
        end = times[last] + CELL * MINUTE
        others = tuple(self.measurers[one].id for one in sorted(set(lanes) - {lane}, key=self._fairness))
        zone = measurer.calendar.zone
        return Slot(measurer, start.astimezone(zone), end.astimezone(zone), cost, wished, hole, others)

    def takes(self, measurer_id: int, start: datetime, job: Job) -> bool:
        """Tells whether the measurer can begin exactly then: the check before the time is held or booked."""
        return self.why(measurer_id, start, job) is None

    # why not

    def why(self, measurer_id: int, start: datetime, job: Job) -> Text | None:
        """Returns why the measurer cannot begin the job exactly then, or None where he can.

        The grid of starts and the client's wish are no reasons: a person may choose any multiple of CELL minutes.
        """
        lane = self._lane.get(measurer_id)
        if lane is None:
            return {"ru": "такого замерщика нет", "en": "there is no such measurer"}
        unfit = _unfit(self.measurers[lane], job)
        if unfit is not None:
            return unfit
        if start < job.earliest:
            return EARLIER
        axis, minute = self._axis[lane], int(start.timestamp() // 60)
        day = next((day for day in axis.days_of(minute, minute + 1) if start in axis.times(day)), None)
        if day is None:
            return self._why_closed(axis.calendar, start)
        first, cells = axis.times(day).index(start), axis.cells[day]
        rest = first + job.cells - cells
        parts = [(day, first, min(first + job.cells, cells))]
        if rest > 0 and day in axis.following:
            parts.append((axis.following[day], 0, min(rest, axis.ahead(day))))
        lasts = sum(high - low for _, low, high in parts)
        if lasts < job.cells:
            return _too_late(job.cells, lasts, over_night=len(parts) > 1)
        return next(filter(None, (self._why_part(lane, *part, job.place) for part in parts)), None)

    def _why_closed(self, calendar: WorkCalendar, start: datetime) -> Text:
        if start.timestamp() % (CELL * 60):
            return {"ru": f"начало кратно {CELL} минутам", "en": f"a start is a multiple of {CELL} minutes"}
        day = start.astimezone(calendar.zone).date()
        last = self.first + (self.policy.horizon_days - 1) * DAY
        if not self.first <= day <= last:
            known = f"{self.first:%d.%m.%Y} - {last:%d.%m.%Y}"
            return {"ru": f"расписание известно на {known}", "en": f"the schedule is known for {known}"}
        hours = ", ".join(
            f"{begin.astimezone(calendar.zone):%H:%M}-{end.astimezone(calendar.zone):%H:%M}"
            for begin, end in calendar.spans_of(day)
        )
        closed = {"ru": f"рабочее время {hours}", "en": f"working time is {hours}"}
        words = closed if hours else calendar.why_off(day) or WEEKEND
        return {language: f"{day_text(day, language, day.year)}: {text}" for language, text in words.items()}

    def _why_part(self, lane: int, day: int, low: int, high: int, place: Place) -> Text | None:
        """Why the cells [low, high) of his day are not free, or may not belong to one job."""
        axis, edge, limit = self._axis[lane], self._edge, self.policy.daily_limit
        if low < edge or high > axis.cells[day] - edge:
            way = self.policy.travel.usual
            return {
                "ru": f"начало и конец дня - на дорогу, по {way} мин",
                "en": f"the first and last {way} min of the day are for the way",
            }
        for cell, begin, end in () if self.policy.over_lunch else axis.breaks(day):
            if low < cell < high:
                return {lang: f"{_OVER_LUNCH[lang]} {_when(axis.calendar, begin, end, lang)}" for lang in _OVER_LUNCH}
        times = axis.times(day)
        since, until = int(times[low].timestamp() // 60), int(times[high - 1].timestamp() // 60) + CELL
        for begin, end, busy in sorted(self._entries[lane].get(day, ()), key=lambda entry: entry[:2]):
            wide = self._wide(busy, place)
            if begin - wide < until and end + wide > since:
                words = _VISIT if busy.visit else _BUSY
                beside = _BESIDE if not (begin < until and end > since) else {"ru": "", "en": ""}
                return {
                    lang: f"{words[lang]}: {_when(axis.calendar, begin, end, lang)}{beside[lang].format(wide)}"
                    for lang in words
                }
        return _no_more(limit) if limit and self._visits(lane, day) >= limit else None

    def explain(self, job: Job) -> Explanation:
        """Returns why measurers, and days, offer nothing. For people: it looks at every lane, and takes its time."""
        prepared = self.prepare(job.place)
        horizon = range(self.policy.horizon_days)
        starts = [self._starts(prepared, day, job) for day in horizon]
        measurers: dict[int, Text] = {}
        for lane, measurer in enumerate(self.measurers):
            unfit = _unfit(measurer, job)
            if unfit is not None:
                measurers[measurer.id] = unfit
                continue
            bits = self._bits_of(measurer.id)
            if not any(some & bits for some, _ in starts):
                longest = [_longest(free & bits, prepared.barriers[day]) for day, (_, free) in enumerate(starts)]
                measurers[measurer.id] = self._why_no_slot(lane, longest, job)
        days = {
            self.first + timedelta(days=day): self._why_no_day(
                day, _longest(starts[day][1], prepared.barriers[day]), job
            )
            for day in horizon
            if not starts[day][0]
        }
        return Explanation(measurers, days)

    def _why_no_slot(self, lane: int, longest: Sequence[int], job: Job) -> Text:
        working = self._axis[lane].working
        if not working:
            return {"ru": "не работает в эти дни", "en": "does not work on these days"}
        limit = self.policy.daily_limit
        if limit and all(self._visits(lane, day) >= limit for day in working):
            return _no_more(limit)
        length, day = max((length, -day) for day, length in enumerate(longest))
        return self._too_short(length, -day, job)

    def _too_short(self, longest: int, day: int, job: Job) -> Text:
        if not longest:
            return {"ru": "всё время занято", "en": "busy all the time"}
        when = self.first + timedelta(days=day)
        if longest >= job.cells:
            return {
                "ru": "свободное время не подходит под начало, пожелание или обед",
                "en": "the free time does not suit the start, the wish or lunch",
            }
        length, needed = timedelta(minutes=longest * CELL), timedelta(minutes=job.cells * CELL)
        return {
            "ru": f"нужно {duration_text(needed, 'ru')} подряд, самое длинное окно "
            f"{duration_text(length, 'ru')}: {day_text(when, 'ru', when.year)}",
            "en": f"{duration_text(needed, 'en')} in a row are needed, the longest gap is "
            f"{duration_text(length, 'en')}: {day_text(when, 'en', when.year)}",
        }

    def _why_no_day(self, day: int, longest: int, job: Job) -> Text:
        when = self.first + timedelta(days=day)
        lanes, _ = self._may(job)
        if not lanes:
            return {"ru": "некому: район или умение", "en": "nobody for this zone or skill"}
        off = [self._axis[lane].calendar.why_off(when) for lane in lanes]
        if all(reason is not None for reason in off):
            return next(reason for reason in off if reason is not None)
        if self._after(day, job.earliest) == 0:
            return EARLIER
        if job.wish.strict and when.weekday() in job.wish.not_weekdays:
            return {"ru": "клиент просил не в этот день", "en": "the client wished another day"}
        return self._too_short(longest, day, job)


EARLIER: Text = {"ru": "раньше, чем можно", "en": "earlier than possible"}
_OVER_LUNCH = {"ru": "через перерыв нельзя:", "en": "not over the break:"}
_BUSY = {"ru": "занят", "en": "busy"}
_VISIT = {"ru": "другой замер", "en": "another visit"}
_BESIDE = {"ru": ", и {} мин до и после на дорогу и запас", "en": ", and {} min before and after for the way and spare"}


def _no_more(limit: int) -> Text:
    return {"ru": f"в день не больше замеров: {limit}", "en": f"no more visits a day: {limit}"}


def _too_late(needed: int, left: int, over_night: bool) -> Text:
    """In cells."""
    need, rest = needed * CELL * MINUTE, left * CELL * MINUTE
    day, en_day = ("следующего рабочего дня", "the next working day") if over_night else ("дня", "the day")
    return {
        "ru": f"не успеть до конца {day}: нужно {duration_text(need, 'ru')}, остаётся {duration_text(rest, 'ru')}",
        "en": f"{en_day} ends before: {duration_text(need, 'en')} are needed, {duration_text(rest, 'en')} are left",
    }


def _when(calendar: WorkCalendar, begin: int, end: int, language: str) -> str:
    """Minutes since 1970 -> «Пн 23.11 10:00-11:30», with both days where there are two."""
    one, other = (datetime.fromtimestamp(minute * 60, calendar.zone) for minute in (begin, end))
    until = "-" if one.date() == other.date() else f" - {day_text(other.date(), language, other.year)} "
    return f"{day_text(one.date(), language, one.year)} {one:%H:%M}{until}{other:%H:%M}"


def _entry(busy: Busy) -> _Entry:
    """A busy time in minutes since 1970, rounded outwards."""
    return int(busy.start.timestamp() // 60), -int(-busy.end.timestamp() // 60), busy


def _unfit(measurer: Measurer, job: Job) -> Text | None:
    if measurer.zones and job.place.zone and job.place.zone not in measurer.zones:
        name = job.place.name or job.place.zone
        return {"ru": f"не выезжает в район «{name}»", "en": f"does not go to {name}"}
    lacking = sorted(job.skills - measurer.skills)
    if lacking:
        return {"ru": f"не умеет: {', '.join(lacking)}", "en": f"lacks: {', '.join(lacking)}"}
    return None


def _runs(free: int, cells: int) -> int:
    """The bits from which on that many bits are set."""
    have = 1
    while have < cells and free:
        step = min(have, cells - have)
        free &= free >> step
        have += step
    return free


def _runs_over(barriers: int, cells: int) -> int:
    """The starts of jobs that would go over a barrier: those 1 to cells - 1 before it."""
    over, have = barriers >> 1 if cells > 1 else 0, 1
    while have < cells - 1:
        step = min(have, cells - 1 - have)
        over |= over >> step
        have += step
    return over


def _longest(free: int, barriers: int) -> int:
    """The length of the longest run of set bits that goes over no barrier."""
    links, length = free & free >> 1 & ~(barriers >> 1), int(free > 0)
    while links:
        links &= links >> 1
        length += 1
    return length
