"""Time goes wrong (T9): clocks are put back and forward, change to summer time and back, see 29 February and nights.

Our processes live by libfaketime (Debian's `faketime`), all by one file; Redis and the file system keep real time. Two
things about libfaketime 0.9.10. Its clock_nanosleep adds the start of the process to a moment of CLOCK_MONOTONIC, which
is how Python sleeps, so the processes sleep by select() instead. And it moves the times of files by default, by whose
st_mtime gunicorn sees whether its workers live.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from journeys.office import HEAD, MANAGERS, Row
from journeys.shop import ADDRESS, DATE, EGOR, FEDOR, MEASUREMENT, MEASURER, Shop

from b24app.engine.inbox import LEASE
from b24app.store import schema
from b24app.store.tally import BEAT
from b24app.supervisor import Program

from .around import Storm, unfinished
from .scenes import CLIENT, CLIENT_TYPE, DECLINE, EMAIL, THEME, list_value, phone
from .stage import Stage, running_stage
from .tally import Tally

PART = "clocks"
ZONE = ZoneInfo("Europe/Berlin")
"""Moscow has no summer time."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SLEEP = "import select\nimport time\n\ntime.sleep = lambda seconds: select.select((), (), (), seconds)\n"


class OtherTime(Stage):
    """A stage whose web, workers and clock live by a clock of ours."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        assert library is not None, "Нужен libfaketime / libfaketime is needed: sudo apt-get install faketime"
        self.ahead = timedelta()
        self.clock = self.folder / "clock"
        (self.folder / "sitecustomize.py").write_text(SLEEP)
        self.by_our_clock = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a clock that is put back or forward does not touch it either
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(self.folder),
        }
        self.put(timedelta())

    def program(self, name: str, crash: str = "") -> Program:
        """Returns how a process is started; Redis has the machine's time."""
        usual = super().program(name, crash)
        if name == "redis":
            return usual
        return replace(usual, environment={**usual.environment, **self.by_our_clock})

    def kill(self, *names: str) -> None:
        """Kills processes at once; what libfaketime shared in their name would stay for ever."""
        pids = [self.processes[name].pid for name in names]
        super().kill(*names)
        for pid in pids:
            for left in Path("/dev/shm").glob(f"*faketime_*_{pid}"):
                left.unlink()

    def now(self) -> datetime:
        """The present, as our processes see it."""
        return super().now() + self.ahead

    def put(self, ahead: timedelta) -> None:
        """Puts our processes' clock so far ahead of the machine's, at once for all of them."""
        new = self.clock.with_suffix(".new")
        new.write_text(f"{ahead.total_seconds():+.6f}\n")
        new.replace(self.clock)
        self.ahead = ahead

    def go_to(self, moment: datetime) -> None:
        """Lets time pass for everybody, the portal too."""
        step = moment - self.now()
        self.control("POST", "time", {"shift_seconds": step.total_seconds()})
        self.put(self.ahead + step)
        assert self.portal.open(1)["status"] == 200  # after half a year of nobody the tokens are dead
        self.doorbell.ring(0)

    def rest(self) -> None:
        """Waits until nothing is left to do by our clock; what was postponed waits for its time."""
        table = schema.deliveries
        waits = sa.and_(table.c.state == "waiting", table.c.due_at > self.now() + MINUTE / 4)
        undone = sa.select(table.c.id).where(table.c.state.in_(("waiting", "running")), ~waits)
        self.until(lambda: self.is_quiet() and not self.rows(undone), "rest", 90)

    def is_done(self) -> bool:
        """Tells whether nothing is left to do by our clock, and nothing was postponed."""
        return self.is_quiet() and not self.open_deliveries()


@pytest.fixture(scope="module")
def elsewhen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("clocks")
    hours = {"time_zone": f'"{ZONE}"', "quiet_from": "21:00:00", "quiet_to": "09:00:00"}
    with running_stage(folder, kind=OtherTime, **hours) as shop:
        shop.portal.control("PATCH", "settings", {"timezone": str(ZONE)})
        for person in shop.portal.state("people"):
            shop.portal.set_person(person["id"], timezone=str(ZONE))
        shop.office.keep("morning")
        yield shop


@pytest.fixture
def storm(elsewhen: Shop, tally: Tally, request: pytest.FixtureRequest) -> Storm:
    """Enquiries that come from the noon of the next day on."""
    name = request.node.name.removeprefix("test_").replace("_", " ")
    storm = Storm(elsewhen, tally, name, PART)
    stage = stage_of(storm)
    stage.go_to(at(stage.now(), 12, days=1))
    stage.at_work(*MANAGERS)
    return storm


def stage_of(storm: Storm) -> OtherTime:
    assert isinstance(storm.stage, OtherTime)
    return storm.stage


def test_every_process_lives_by_the_shared_clock(storm: Storm) -> None:
    stage = stage_of(storm)
    stage.put(stage.ahead - HOUR)
    storm.wave(1, 0)
    stage.rest()
    table, cursors = schema.deliveries, schema.cursors
    query = sa.select(table.c.received_at, table.c.decided_at).where(table.c.decided_at.is_not(None))
    seen = [moment for row in stage.rows(query.order_by(table.c.id.desc()).limit(1)) for moment in row.values()]
    beat = sa.select(cursors.c.value).where(cursors.c.member_id == BEAT[0], cursors.c.name == BEAT[1])

    def told() -> datetime:
        return datetime.fromisoformat(stage.rows(beat)[0]["value"])

    stage.until(lambda: abs(told() - stage.now()) < MINUTE, "the clock's beat", 30)
    assert all(abs(moment - stage.now()) < MINUTE for moment in seen)
    stage.put(stage.ahead + HOUR)
    storm.end()


# our clock alone is wrong: the portal's is right


def test_clock_is_put_back_by_an_hour(storm: Storm) -> None:
    """What was postponed for seconds is not postponed for an hour, and a lease does not outlive its holder."""
    stage = stage_of(storm)
    postponed_work(storm)
    stage.put(stage.ahead - HOUR)
    storm.wave()
    stage.until(stage.is_done, "everything, though an hour has to pass anew", 60)
    storm.end()


def test_clock_is_put_back_while_a_worker_hangs(storm: Storm) -> None:
    stage = stage_of(storm)
    hung = one_at_work(storm)
    stage.pause(hung)
    stage.put(stage.ahead - HOUR)
    table = schema.deliveries
    late = sa.select(table.c.id).where(table.c.state == "running", table.c.lease_until > stage.now() + LEASE + MINUTE)
    stage.until(lambda: not stage.rows(late), "no lease is longer than one", 30)
    stage.go_on(hung)
    storm.end()


def test_clock_is_put_forward_while_a_worker_waits_for_the_portal(storm: Storm) -> None:
    """His lease is not over: nobody else takes what he is at, and does it a second time."""
    stage = stage_of(storm)
    one_at_work(storm, seconds=3)
    stage.put(stage.ahead + HOUR)
    storm.wave()  # the other one looks for work
    storm.end()
    table = schema.deliveries
    assert stage.rows(sa.select(table.c.id).where(table.c.crashes > 0)) == []


def postponed_work(storm: Storm) -> None:
    """Calls come, and the portal is ill."""
    stage, last = storm.stage, storm.stage.portal.last
    ill = {"method": "batch", "count": 4, "effect": "status", "status": 500, "when": "before"}
    stage.control("POST", "faults", ill)
    storm.wave()
    stage.until(lambda: len(stage.portal.ledger(last, "fault")) == 4, "work that is postponed", 30)


def one_at_work(storm: Storm, seconds: float = 2) -> str:
    """Lets a call come; returns the worker that works on it, and waits for the portal so long."""
    stage = storm.stage
    stage.settle()
    last = stage.portal.last
    stage.portal.fault("crm.timeline.comment.add", "delay", seconds=seconds)
    storm.wave(1, 0)
    return stage.until(lambda: stage.took_fault(last)() and stage.holder(), "a worker at work", 30)


def test_clock_is_a_day_ahead_and_right_again(storm: Storm) -> None:
    stage = stage_of(storm)
    storm.wave()
    stage.put(stage.ahead + DAY)
    storm.wave()
    stage.rest()
    postponed_work(storm)
    stage.put(stage.ahead - DAY)
    storm.wave()
    stage.until(stage.is_done, "everything, though a day has to pass anew", 60)
    stage.fire("queue")  # for whom nobody had begun the day to come
    # what comes from time to time goes on
    stage.portal.event_rule("ONCRMLEADADD", "lose")
    storm.wave(1, 0)
    stage.rest()
    stage.go_to(stage.now() + timedelta(minutes=5, seconds=10))
    (lead,) = storm.waves[-1].leads
    stage.until(lambda: stage.tasks_of(lead), "a reconciliation", 60)
    storm.end()


# everybody's time


def test_events_are_an_hour_late(storm: Storm) -> None:
    """They were found meanwhile, and say nothing new when they come."""
    stage = stage_of(storm)
    stage.control("POST", "event-rules", {"event": "*", "action": "delay", "count": 12, "seconds": 3600})
    storm.wave()
    stage.go_to(stage.now() + 10 * MINUTE)
    leads = storm.waves[-1].leads
    stage.until(lambda: all(stage.tasks_of(lead) for lead in leads), "a reconciliation", 60)
    stage.go_to(stage.now() + HOUR)
    storm.wave()
    storm.end()


def next_change(after: datetime, *, forward: bool) -> datetime:
    """Returns the next moment from which the zone's clocks show an hour more, or less."""
    moment = after.replace(minute=0, second=0, microsecond=0)
    while True:
        earlier, moment = moment.astimezone(ZONE).utcoffset(), moment + HOUR
        later = moment.astimezone(ZONE).utcoffset()
        assert earlier is not None
        assert later is not None
        if (later > earlier) if forward else (later < earlier):
            return moment


def at(moment: datetime, hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    """Returns that time of the moment's day, or of a day later, as the zone's clocks show it."""
    return datetime.combine(moment.astimezone(ZONE).date() + days * DAY, time(hour, minute), ZONE).astimezone(UTC)


NIGHTS = {"an ordinary night": None, "to summer time": True, "from summer time": False}


@pytest.mark.parametrize("night", NIGHTS)
def test_a_weekend_passes(storm: Storm, night: str) -> None:
    """A hold lasts a quarter of an hour, an SMS waits for nine o'clock, the client is asked in time, and enquiries are
    queued until people come, whatever clocks show meanwhile.
    """
    stage, shop = stage_of(storm), storm.shop
    forward = NIGHTS[night]
    if forward is None:
        today = stage.now()
        change = at(today, 3, days=6 - today.astimezone(ZONE).weekday() + 7)
    else:
        change = next_change(stage.now() + 3 * DAY, forward=forward)
    stage.go_to(at(change, 22, 30, days=-1))
    stage.at_work()
    stage.portal.place_robot(1, CLIENT, "send_sms", properties={"text": "Ждём вас завтра"})
    client = german_lead(shop, fm=[*phone("+4915123456789"), *EMAIL])
    shop.fill(client, stageId=CLIENT)
    monday, tuesday = at(change, 12, days=1), at(change, 14, days=2)
    visits = [visit(shop, monday, FEDOR), visit(shop, tuesday, EGOR)]
    stage.go_to(change - 5 * MINUTE)
    held = german_lead(shop, stageId=MEASUREMENT)
    wish = {"entity": f"lead:{held}", "measurer": EGOR, "start": at(change, 10, days=3).isoformat()}
    assert shop.press("hold", wish, HEAD)["done"]
    storm.wave()
    stage.rest()
    stage.go_to(change + 8 * MINUTE)
    storm.wave()
    stage.rest()
    assert shop.visits(held)[0]["state"] == "held"
    stage.go_to(change + 10 * MINUTE + timedelta(seconds=5))
    stage.until(lambda: shop.visits(held)[0]["state"] == "cancelled", "the hold is over", 30)
    stage.go_to(change + HOUR + 5 * MINUTE)  # where clocks were put back, they show the same again
    storm.wave()
    stage.rest()
    stage.go_to(at(change, 8, 58))
    stage.rest()
    assert sent_to_clients(shop) == []
    stage.go_to(at(change, 9) + timedelta(seconds=5))
    stage.until(lambda: sent_to_clients(shop), "the SMS in the morning", 30)
    stage.rest()
    stage.go_to(at(change, 9, days=1) + timedelta(seconds=5))
    stage.at_work(*MANAGERS)
    leads = [lead for wave in storm.waves for lead in wave.leads]
    stage.until(lambda: all(stage.tasks_of(lead) for lead in leads), "work on Monday", 60)
    due = {datetime.fromisoformat(task["deadline"]).astimezone(UTC) for lead in leads for task in stage.tasks_of(lead)}
    assert all(at(change, 9, 15, days=1) <= moment < at(change, 9, 17, days=1) for moment in due), due
    stage.go_to(at(tuesday, 13, 57, days=-1))
    stage.rest()
    assert shop.visits(visits[1])[0]["told"] == 0
    stage.go_to(at(tuesday, 14, days=-1) + timedelta(seconds=5))
    stage.until(lambda: shop.visits(visits[1])[0]["told"] == 1, "the manager is reminded to ask", 30)
    for lead, start in zip(visits, (monday, tuesday), strict=True):
        (entry,) = shop.entries(lead)
        shown = [datetime.fromisoformat(entry[name]) for name in ("from", "to")]
        assert shown == [start, start + 3 * HOUR]
    stage.settle(120)
    tasks = [len(stage.tasks_of(lead)) for lead in leads]  # of cards each has two: it waited, and somebody has it
    storm.count(lost=tasks.count(0) + len(stage.rows(unfinished())), doubled=sum(count > 1 for count in tasks))
    assert len(sent_to_clients(shop)) == 1


def german_lead(shop: Shop, **fields: Any) -> int:
    """A lead with everything that «Клиент наш» asks for."""
    known = {"name": "Ольга", THEME: "Угловая кухня", CLIENT_TYPE: list_value(shop, CLIENT_TYPE, "Дизайнер")}
    return shop.lead(**{"stageId": "NEW", **known, **fields})


def visit(shop: Shop, start: datetime, measurer: int) -> int:
    """A lead whose card says when somebody comes."""
    lead = shop.lead()
    shop.fill(lead, **{MEASURER: measurer, DATE: start.isoformat()})
    return lead


def sent_to_clients(shop: Shop) -> list[Row]:
    return [one for one in shop.provider.sent if one["msg"].startswith("Ждём вас")]


def test_there_is_a_29_february(storm: Storm) -> None:
    stage, shop = stage_of(storm), storm.shop
    year = next(year for year in range(stage.now().year + 1, stage.now().year + 9) if year % 4 == 0)
    leap = datetime(year, 2, 29, 12, tzinfo=ZONE)
    stage.go_to(at(leap, 18, 55, days=-1))
    stage.at_work(*MANAGERS)
    storm.wave()
    visits = [visit(shop, at(leap, 15), EGOR), visit(shop, at(leap, 12, days=1), FEDOR)]
    stage.go_to(at(leap, 11, 59))
    stage.rest()
    stage.go_to(at(leap, 12) + timedelta(seconds=5))
    stage.at_work(*MANAGERS)
    storm.wave()
    assert shop.press("find", {"entity": f"lead:{visits[0]}"})["slots"]
    shop.fill(visits[0], **{ADDRESS: "Ленина, 9"})
    lost = german_lead(shop)
    shop.fill(lost, **{DECLINE: list_value(shop, DECLINE, "Не устроила цена"), "stageId": "JUNK"})
    stage.rest()
    (reminder,) = stage.timers("declined_reminder")
    assert reminder["due_at"] - at(leap, 12, days=90) < MINUTE
    for lead, start in zip(visits, (at(leap, 15), at(leap, 12, days=1)), strict=True):
        (entry,) = shop.entries(lead)
        assert datetime.fromisoformat(entry["from"]) == start
    storm.end()
