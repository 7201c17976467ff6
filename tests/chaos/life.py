"""A sales department that lives on while everything around it fails by chance, and what must hold when it is over."""

from __future__ import annotations

import itertools
import random
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
import sqlalchemy as sa
from journeys.office import ANNA, BORIS, DARIA, HEAD, LINE_OWNER, MANAGERS, VERA, Row, new_phone
from journeys.shop import ADDRESS, DATE, EGOR, FEDOR, MEASUREMENT, MEASURER, Shop

from b24app.crashpoint import CRASH_POINTS
from b24app.rules.confirmation import AGREED
from b24app.store import schema
from sandbox.client import ControlFailed

from .scenes import CLIENT, CLIENT_TYPE, DECLINE, EMAIL, THEME, list_value, phone
from .stage import Stage

CROWD = 40
"""So many deliveries may wait before people do something new: a storm has its own test."""
ROUND = 200
"""So many enquiries come at once where a number of leads is to be reached."""
REST_SECONDS = 1800
"""So long everything may take to come to rest: hundreds of leads wait, and machines are shared."""
BY_HAND, BY_HAND_SECONDS = 30, 600
"""So many leads one person makes in that time: 50 within five minutes are an import (`[intake] import_from`)."""
CALL, ANSWER = "Вам необходимо связаться", "Ответьте клиенту"
WRITES = (
    "crm.item.update", "crm.item.add", "crm.timeline.comment.add", "tasks.task.add", "tasks.task.update",
    "task.checklistitem.add", "calendar.event.add", "calendar.event.delete", "im.notify.personal.add",
    "bizproc.event.send", "pull.application.event.add", "batch", "oauth",
)  # fmt: skip
POINTS = [point for point in CRASH_POINTS if point.startswith(("after", "before"))]


@dataclass
class Story:
    """What people did about a lead, as far as something is to be expected of it."""

    asks: str = ""
    """The title with which its task must begin; "": an answered call asks for nothing."""
    touched: bool = False
    """People did more than to make it: whether its task was still needed is not known."""
    given_to: int = 0
    took_away: set[str] = field(default_factory=set)
    times: set[datetime] = field(default_factory=set)


class Life:
    """People and misfortunes, by chance from one seed."""

    def __init__(self, shop: Shop, chance: random.Random) -> None:
        self.shop = shop
        self.stage: Stage = shop.office  # type: ignore[assignment]
        self.chance = chance
        self.leads: dict[int, Story] = {}
        self.acts: Counter[str] = Counter()
        self.misfortunes: Counter[str] = Counter()
        self.client_type = list_value(shop, CLIENT_TYPE)
        self.reasons = [list_value(shop, DECLINE, name) for name in ("Не устроила цена", "Выбрал других")]
        self.hung: dict[str, float] = {}
        self.by_hand: list[float] = []
        self.began = self.stage.portal.last

    def live(self, seconds: float, leads: int = 0) -> None:
        """Lets people act and misfortunes come for so long; with `leads`, until there are so many: in rounds."""
        stage, until, hurried, misfortune = self.stage, time.monotonic() + seconds, 0.0, 0.0
        while time.monotonic() < until and (not leads or len(self.leads) < leads):
            if stage.open_deliveries() < CROWD:
                if leads:
                    self._round()
                self._do(PEOPLE, self.acts)
                if self.chance.random() < 0.25:
                    self._do(MISFORTUNES, self.misfortunes)
            elif leads and time.monotonic() > misfortune:  # while the round is worked on
                self._do(MISFORTUNES, self.misfortunes)
                misfortune = time.monotonic() + self.chance.uniform(1, 8)
            for name, when in list(self.hung.items()):
                if time.monotonic() > when:
                    del self.hung[name]
                    stage.go_on(name)
            stage.look_after()
            if time.monotonic() > hurried + 1 and not self.hung:  # whoever hangs may hold the database
                stage.hurry()
                self._administrator_comes()
                hurried = time.monotonic()
            time.sleep(0.02)

    def _round(self) -> None:
        """Many enquiries at once, and one of twenty of their events gets lost."""
        lost = {"event": "*", "action": "lose", "count": ROUND // 5}  # an enquiry is some four events
        self.stage.control("POST", "event-rules", lost)
        for _ in range(ROUND):
            self._do(ENQUIRIES, self.acts)

    def _do(self, what: dict[Callable[[Life], Any], int], counted: Counter[str]) -> None:
        (act,) = self.chance.choices(list(what), list(what.values()))
        if act(self) is not False:
            counted[act.__name__.strip("_")] += 1

    def _administrator_comes(self) -> None:
        """The only pair died with whoever had just got it: people are told, and an administrator opens us."""
        if not self.stage.rows(sa.select(schema.alarms.c.key).where(schema.alarms.c.key == "token")):
            return
        with suppress(ControlFailed):  # nobody answers now: he tries again
            if self.stage.portal.open(1)["status"] == 200:
                self.acts["an administrator opens us"] += 1

    def rest(self) -> None:
        """Misfortunes end, everybody is at work, and everything that was put off is done."""
        stage = self.stage
        for name in self.hung:
            stage.go_on(name)
        self.hung.clear()
        self.shop.provider.cues.clear()
        stage.pardon()
        stage.control("DELETE", "event-rules")
        stage.look_after()
        stage.until(stage.redis_answers, "Redis answers", 60)
        stage.restart("web", "clock", *stage.workers)
        stage.until(lambda: all(map(stage.is_up, ("web", *stage.workers))), "everything is up", 120)
        self._administrator_comes()
        stage.at_work(*MANAGERS)
        stage.settle(REST_SECONDS)
        for code in ("call_lost", "move_check", "visit_watch", "queue"):
            stage.fire(code)
            stage.settle(REST_SECONDS)
        stage.reconcile()
        stage.settle(REST_SECONDS)

    # what people look at

    def some_lead(self, *, stages: tuple[str, ...] = ()) -> Row | None:
        """A lead of this run that nobody gave away, on one of these stages."""
        seen = [
            one
            for one in self.stage.portal.state("leads")
            if one["id"] in self.leads
            and not self.leads[one["id"]].given_to
            and (not stages or one["stageId"] in stages)
        ]
        return self.chance.choice(seen) if seen else None

    def some_task(self, title: str) -> tuple[int, Row] | None:
        """An open task of ours that begins so, with its lead."""
        seen = [
            (int(bound[2:]), task)
            for task in self.stage.portal.state("tasks")
            for bound in task["crm"]
            if task["title"].startswith(title) and task["status"] != 5 and bound.startswith("L_")
        ]
        return self.chance.choice([one for one in seen if one[0] in self.leads] or [None])

    def change(self, lead_id: int, fields: Row, user_id: int = ANNA) -> None:
        """A person changes the card."""
        self.leads[lead_id].touched = True
        self.stage.portal.change_item(1, lead_id, fields, user_id=user_id)

    def some_time(self) -> datetime:
        """A time at which somebody may measure."""
        return self.shop.day(self.chance.randint(3, 12), self.chance.choice((9, 10, 11, 12, 14, 15)))


# people


def _misses_a_call(life: Life) -> None:
    lead_id = life.stage.portal.missed_call(new_phone())["lead_id"]
    life.leads[int(lead_id)] = Story(CALL)


def _client_calls_in_vain(life: Life) -> None:
    number = new_phone()
    life.stage.client(number, DARIA)
    life.stage.portal.missed_call(number)


def _fills_in_a_form(life: Life) -> None:
    form = {"name": "Мария", "phone": new_phone(), "email": "maria@example.ru", "comment": "Кухня"}
    life.leads[int(life.stage.control("POST", "web-form", form)["lead_id"])] = Story(ANSWER)


def _makes_a_lead(life: Life) -> bool:
    now = time.monotonic()
    life.by_hand = [then for then in life.by_hand if now - then < BY_HAND_SECONDS]
    if len(life.by_hand) == BY_HAND:  # more would be an import, of which one person is asked once
        return False
    life.by_hand.append(now)
    life.leads[life.stage.lead_by_hand(new_phone(), user_id=HEAD)] = Story(CALL)
    return True


def _answers_a_call(life: Life) -> None:
    call_id = life.stage.portal.ring(new_phone())
    life.stage.portal.answer(call_id, life.chance.choice(MANAGERS))
    life.stage.portal.finish(call_id)


def _comes_or_goes(life: Life) -> None:
    there = life.chance.sample((ANNA, BORIS, VERA), life.chance.randint(1, 3))
    life.stage.at_work(*there)


def _gives_a_lead_away(life: Life) -> bool:
    lead = life.some_lead(stages=("NEW",))
    if lead is None or lead["assignedById"] not in MANAGERS:
        return False
    other = life.chance.choice([one for one in MANAGERS if one != lead["assignedById"]])
    life.change(lead["id"], {"assignedById": other}, HEAD)
    life.leads[lead["id"]].given_to = other
    return True


def _deletes_a_task(life: Life) -> bool:
    found = life.some_task(life.chance.choice((CALL, ANSWER, "Отправить каталог и КП")))
    if found is None:
        return False
    lead_id, task = found
    life.stage.portal.delete_task(task["id"])
    life.leads[lead_id].touched = True
    life.leads[lead_id].took_away.add(task["title"])
    return True


def _qualifies(life: Life) -> bool:
    lead = life.some_lead(stages=("NEW",))
    if lead is None:
        return False
    known = {"name": "Ольга", THEME: "Угловая", CLIENT_TYPE: life.client_type, "fm": EMAIL, ADDRESS: "Мира, 5"}
    life.change(lead["id"], {**known, "stageId": CLIENT})
    return True


def _moves_too_early(life: Life) -> bool:
    lead = life.some_lead(stages=("NEW",))
    if lead is None:
        return False
    life.change(lead["id"], {"stageId": CLIENT})
    return True


def _sends_the_offer(life: Life) -> bool:
    found = life.some_task("Отправить каталог и КП")
    if found is None:
        return False
    lead_id, task = found
    letter = {"entity_type_id": 1, "entity_id": lead_id, "subject": "КП", "files": ["КП.pdf"], "user_id": ANNA}
    try:
        life.stage.control("POST", "letters", letter)
    except ControlFailed:
        return False  # the card has no address
    life.stage.control("POST", f"tasks/{task['id']}/complete", {"user_id": task["responsible_id"]})
    life.leads[lead_id].touched = True
    return True


def _declines(life: Life) -> bool:
    lead = life.some_lead(stages=(CLIENT, MEASUREMENT))
    if lead is None:
        return False
    life.change(lead["id"], {DECLINE: life.chance.choice(life.reasons), "stageId": "JUNK"})
    return True


def _agrees_on_a_visit(life: Life) -> None:
    start = life.some_time()
    fields = {
        "title": "Кухня угловая", "name": "Ольга", "assignedById": ANNA, "stageId": MEASUREMENT,
        "fm": phone(new_phone()), ADDRESS: "Мира, 5", DATE: start.isoformat(),
    }  # fmt: skip
    made = life.stage.portal.create_item(1, fields, user_id=ANNA)
    life.leads[int(made["id"])] = Story(touched=True, times={start})


def _moves_a_visit(life: Life) -> bool:
    lead = life.some_lead(stages=(MEASUREMENT,))
    start = life.some_time()
    if lead is None or start in life.leads[lead["id"]].times:
        return False
    life.leads[lead["id"]].times.add(start)
    life.change(lead["id"], {DATE: start.isoformat(), MEASURER: life.chance.choice((EGOR, FEDOR))})
    return True


def _confirms_a_visit(life: Life) -> bool:
    found = life.some_task("Подтвердить замер")
    if found is None:
        return False
    life.stage.control("POST", f"tasks/{found[1]['id']}/complete", {"user_id": found[1]["responsible_id"]})
    return True


def _changes_the_address(life: Life) -> bool:
    lead = life.some_lead(stages=(MEASUREMENT,))
    if lead is None:
        return False
    life.change(lead["id"], {ADDRESS: f"Ленина, {life.chance.randint(1, 99)}"})
    return True


def _books_by_a_button(life: Life) -> bool:
    lead = life.some_lead(stages=(MEASUREMENT,))
    start = life.some_time()
    if lead is None or start in life.leads[lead["id"]].times:
        return False
    life.leads[lead["id"]].times.add(start)
    wish = {"entity": f"lead:{lead['id']}", "measurer": EGOR, "start": start.isoformat()}
    try:
        life.shop.press("book", wish, ANNA)
    except (AssertionError, ControlFailed, requests.RequestException):
        return False  # nobody answers now: he does something else
    return True


PEOPLE: dict[Callable[[Life], Any], int] = {
    _misses_a_call: 20, _client_calls_in_vain: 6, _fills_in_a_form: 8, _makes_a_lead: 8, _answers_a_call: 6,
    _comes_or_goes: 3, _gives_a_lead_away: 5, _deletes_a_task: 3, _qualifies: 12, _moves_too_early: 4,
    _sends_the_offer: 6, _declines: 3, _agrees_on_a_visit: 7, _moves_a_visit: 4, _confirms_a_visit: 6,
    _changes_the_address: 2, _books_by_a_button: 2,
}  # fmt: skip

ENQUIRIES: dict[Callable[[Life], Any], int] = {_misses_a_call: 6, _fills_in_a_form: 4}


# misfortunes


def _kills_a_process(life: Life) -> bool:
    name = life.chance.choice(("web", "clock", "redis", *life.stage.workers, *life.stage.workers))
    if name in life.hung or name not in life.stage.processes:
        return False
    life.stage.restart(name)
    return True


def _dies_at_a_point(life: Life) -> bool:
    name, point = life.chance.choice(life.stage.workers), life.chance.choice(POINTS)
    if name in life.hung:
        return False
    marker = life.stage.mark(f"{point} {sum(life.misfortunes.values())}")
    life.stage.restart(name, crash=f"{point}:{marker}")
    return True


def _hangs(life: Life) -> bool:
    name = life.chance.choice(("redis", "clock", *life.stage.workers))
    if name in life.hung or life.stage.processes[name].poll() is not None:
        return False
    life.stage.pause(name)
    life.hung[name] = time.monotonic() + life.chance.uniform(0.5, 4)
    return True


def _empties_redis(life: Life) -> bool:
    if "redis" in life.hung or not life.stage.redis_answers():
        return False
    life.stage.redis.flushall()
    return True


ANSWERS: tuple[dict[str, Any], ...] = (
    {"effect": "status", "status": 500},
    {"effect": "html", "status": 502},
    {"effect": "html", "status": 200},
    {"effect": "drop"},
    {"effect": "truncate"},
    {"effect": "empty"},
    {"effect": "error", "error": "QUERY_LIMIT_EXCEEDED", "status": 503, "when": "before"},
    {"effect": "delay", "seconds": 1.5},
)


def _answers_badly(life: Life) -> None:
    method = life.chance.choice(WRITES)
    rule = {"method": method, "when": life.chance.choice(("before", "after")), "count": life.chance.randint(1, 3)}
    if method == "oauth":
        rule["when"] = "before"  # after it the pair is gone, and an administrator has to come: not by chance
    life.stage.control("POST", "faults", {**rule, **life.chance.choice(ANSWERS)})


def _is_down(life: Life) -> None:
    rule = {"method": "*", "when": life.chance.choice(("before", "after")), "count": 8, "effect": "html", "status": 502}
    life.stage.control("POST", "faults", rule)


def _loses_its_rules(life: Life) -> None:
    life.stage.control("DELETE", "faults")
    life.stage.control("DELETE", "event-rules")


def _events_go_astray(life: Life) -> None:
    action = life.chance.choice(("duplicate", "delay", "reorder", "lose"))
    rule = {"event": "*", "action": action, "count": life.chance.randint(1, 4), "seconds": life.chance.uniform(0.2, 2)}
    life.stage.control("POST", "event-rules", rule)


def _token_expires(life: Life) -> None:
    life.stage.tokens_expire()


def _locks_the_database(life: Life) -> bool:
    if life.hung:
        return False
    with closing(sqlite3.connect(life.stage.folder / "b24app.db", timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(life.chance.uniform(0.3, 2))
        other.execute("ROLLBACK")
    return True


def _provider_fails(life: Life) -> None:
    life.shop.provider.cues.append(life.chance.choice(("lost", "429", "500", "refuse", "slow", "garbage")))


def _timers_come(life: Life) -> bool:
    if life.hung:
        return False
    life.stage.hurry_timers(life.chance.choice(("call_lost", "move_check", "queue", "visit_watch", "gate_summary")))
    return True


MISFORTUNES: dict[Callable[[Life], Any], int] = {
    _kills_a_process: 10, _dies_at_a_point: 6, _hangs: 5, _empties_redis: 3, _answers_badly: 25, _is_down: 3,
    _loses_its_rules: 4, _events_go_astray: 10, _token_expires: 3, _locks_the_database: 2, _provider_fails: 4,
    _timers_come: 4,
}  # fmt: skip


# what must hold


@dataclass
class Verdict:
    """What is lost and what is doubled, in words."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is lost and nothing doubled."""
        return not self.lost and not self.doubled

    def __str__(self) -> str:
        return "\n".join([f"  - {line}" for line in self.lost] + [f"  + {line}" for line in self.doubled])


def verdict(life: Life) -> Verdict:
    """Looks at the portal as people do, and at what our deliveries say of themselves."""
    found = Verdict()
    seen = life.stage.portal.state()
    seen["leads"] = life.stage.portal.control("GET", "state/leads", newest=2 * len(life.leads) + 1000)
    _leads(life, seen, found)
    _tasks(life, seen, found)
    _visits(life, seen, found)
    _messages(life, found)
    heard = {one["workflow"] for one in life.stage.portal.ledger(life.began, "robot") if one["status"] == 200}
    for run in seen["workflows"]:  # one that never reached us waits for the portal's own time-out
        if run["status"] in ("waiting", "running") and run["id"] in heard:
            found.lost.append(f"a robot waits: {run['robots']} of {run['item_id']}")
    table = schema.deliveries
    for row in life.stage.rows(sa.select(table).where(table.c.state.in_(("waiting", "running", "failed")))):
        if row["state"] != "failed" or not row["reason"] or "mistake" in row["reason"]:
            found.lost.append(f"delivery {row['id']} {row['code']} {row['entity']} {row['state']}: {row['reason']}")
    return found


def _leads(life: Life, seen: Row, found: Verdict) -> None:
    page = life.stage.page_pass()[0]
    for lead in seen["leads"]:
        story = life.leads.get(lead["id"])
        if story is None:
            continue
        waits = f'data-entity="lead:{lead["id"]}"' in page
        closed = lead["stageId"] == "JUNK"  # a person was faster than we, and nobody needs to call any more
        if lead["assignedById"] == LINE_OWNER and not waits and not closed:
            found.lost.append(f"lead {lead['id']} has no manager and stands in no queue")
        if story.given_to and lead["assignedById"] != story.given_to:
            found.doubled.append(f"lead {lead['id']} was given to {story.given_to} and is {lead['assignedById']}'s")


def _tasks(life: Life, seen: Row, found: Verdict) -> None:
    every: Counter[tuple[int, str]] = Counter()
    still_open: Counter[tuple[int, str]] = Counter()
    for task in seen["tasks"]:
        for bound in task["crm"]:
            if bound.startswith("L_") and int(bound[2:]) in life.leads:
                kind = re.sub(r"[\d:–.+-]+", "#", task["title"])
                every[int(bound[2:]), kind] += 1
                still_open[int(bound[2:]), kind] += task["status"] != 5
    for (lead_id, kind), count in still_open.items():
        if count > 1:
            found.doubled.append(f"lead {lead_id}: {count} open tasks {kind!r}")
    asking: Counter[int] = Counter()
    for (lead_id, kind), count in every.items():
        asking[lead_id] += count * kind.startswith((CALL, ANSWER))
    for lead_id, story in life.leads.items():
        count = asking[lead_id]
        if count > 1:
            found.doubled.append(f"lead {lead_id}: {count} tasks to call or to answer")
        if story.asks and not story.touched and count == 0:
            found.lost.append(f"lead {lead_id}: nobody is to call")
        for title in story.took_away:
            if any(f"L_{lead_id}" in task["crm"] and task["title"] == title for task in seen["tasks"]):
                found.doubled.append(f"lead {lead_id}: {title!r} was deleted by a person and is there again")


def _visits(life: Life, seen: Row, found: Verdict) -> None:
    visits = life.stage.rows(sa.select(schema.visits).where(schema.visits.c.state.in_(AGREED)))
    wanted = Counter((row["measurer_id"], row["starts_at"]) for row in visits)
    ours = [one for one in seen["calendar"] if one["name"].startswith("Замер:")]
    there = Counter((one["owner_id"], datetime.fromisoformat(one["from"]).astimezone(UTC)) for one in ours)
    found.lost += [f"no calendar entry: {one}" for one in wanted - there]
    found.doubled += [f"a calendar entry too many: {one}" for one in there - wanted]
    for measurer in (EGOR, FEDOR):
        spans = sorted(
            (datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"]))
            for one in ours
            if one["owner_id"] == measurer
        )
        for (_, end), (start, _) in itertools.pairwise(spans):
            if start < end:
                found.doubled.append(f"two visits of {measurer} at {start}")
    for row in visits:
        if row["shown"] != row["state"]:
            found.lost.append(f"visit {row['id']} of {row['entity']} is {row['state']}, people know {row['shown']!r}")


def _messages(life: Life, found: Verdict) -> None:
    sent = Counter((one["to"], one["msg"]) for one in life.shop.provider.sent)
    found.doubled += [f"{count} times an SMS: {text}" for text, count in sent.items() if count > 1]
