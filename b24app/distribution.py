"""How an enquiry gets its manager: who could, who is free now, and the commands. Shared by handlers, timers and robots.

Reading is arranged for few requests: the team (people of the department, office hours) is a snapshot a few minutes old;
what changes by the minute (clocks, calendar, open items) is asked in the same batch as the item itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from b24app.bitrix import commands as write
from b24app.bitrix import reads
from b24app.bitrix.commands import Command, Made, ref
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.translate import phone_text
from b24app.engine.declare import Nothing
from b24app.entities import CONTACT, DEAL, ENTITY_NAMES, LEAD, Clock, Department, Interval, Item, ItemRef, User
from b24app.errors import NotFound
from b24app.playbook import Playbook
from b24app.rules.assignment import Candidate, Choice, Policy, choose, clock_in_use, judge
from b24app.rules.intake import (
    CAUSES,
    Card,
    Cause,
    Notice,
    Person,
    TaskSpec,
    Text,
    Treatment,
    card_of,
    chosen_by_a_person,
    plain,
)
from b24app.rules.working_time import WorkCalendar
from b24app.store.memory import AssignmentRow, Memory

TEAM_LIFE = timedelta(minutes=5)
SAME_ENQUIRY = timedelta(minutes=30)
"""A second lead or call with the same number within this time is the same client still trying."""
LOOK_AGAIN = timedelta(minutes=5)
"""Everybody is at work but busy: how soon the queue looks again."""


@dataclass(frozen=True)
class Team:
    """Among whom one rule chooses: `queue` names whose turns count together."""

    queue: str
    users: tuple[User, ...]
    head: User | None
    fallback: User | None
    hours: WorkCalendar
    sources: Mapping[str, str] = field(default_factory=dict)


TEAM = TypeAdapter(Team)


@dataclass(frozen=True)
class Pool:
    """Which people: a department by id or name (with sub-departments), or named users."""

    department: int | str | None
    users: tuple[int, ...]
    sub_departments: bool

    @property
    def queue(self) -> str:
        """The name under which turns of this pool are counted."""
        return "users:" + ",".join(map(str, sorted(self.users))) if self.users else f"department:{self.department}"


@dataclass(frozen=True)
class Situation:
    """Everything that weighing the candidates needs, as values; `turns`, `talking` come from our own memory."""

    now: datetime
    team: Team
    policy: Policy
    playbook: Playbook
    clocks: Mapping[int, tuple[Clock, datetime | None]]
    intervals: Mapping[int, tuple[Interval, ...]]
    loads: Mapping[int, int]
    users_now: Mapping[int, User]
    owner_id: int
    card_base: str
    app_link: str
    simple_mode: bool
    guest: User | None = None  # somebody outside the team whose client called
    turns: Mapping[int, Any] = field(default_factory=dict)
    talking: frozenset[int] = frozenset()

    def recalled(self, memory: Memory) -> Situation:
        """Returns the situation with what our own database knows right now."""
        since = memory.now - self.playbook.intake.call_lost_after
        turns = memory.turns(self.team.queue, read_at=self.now)
        return replace(self, turns=turns, talking=frozenset(memory.talking(since=since)))

    def candidates(self) -> tuple[Candidate, ...]:
        """Returns the team as the rule weighs it."""
        return tuple(self.candidate(user) for user in self.team.users)

    def candidate(self, user: User) -> Candidate:
        """Returns one person as the rule weighs him."""
        clock, used_at = self.clocks.get(user.id, (Clock.UNUSED, None))
        turn = self.turns.get(user.id)
        return Candidate(
            user=self.users_now.get(user.id, user),
            clock=clock,
            clock_used_at=used_at,
            intervals=self.intervals.get(user.id, ()),
            on_call=user.id in self.talking,
            load=self.loads.get(user.id),
            last_turn_at=turn.last_at if turn else None,
            turns_unwritten=turn.unwritten if turn else 0,
        )

    def deadline(self, user_id: int, duration: timedelta) -> datetime:
        """Returns when a task of `duration` in working time is due, in the office's zone.

        Whoever opened his working day while the office is closed works now: for him the minutes run at once.
        """
        hours = self.team.hours
        at_work = self.clocks.get(user_id, (Clock.UNUSED, None))[0] is Clock.OPENED
        due = self.now + duration if at_work and not hours.is_open(self.now) else hours.add_working(self.now, duration)
        return due.astimezone(hours.zone).replace(microsecond=0)

    def choose(self) -> Choice:
        """Returns who gets it."""
        return choose(
            self.candidates(), self.now, self.policy, self.team.hours, head=self.team.head, fallback=self.team.fallback
        )

    def is_free(self, user_id: int) -> bool:
        """Tells whether a person of the team, or the guest, is free; of others we do not know."""
        candidates = self.candidates()
        if self.guest is not None:
            candidates = (*candidates, self.candidate(self.guest))
        clocked = clock_in_use(candidates, self.now)
        for candidate in candidates:
            if candidate.user.id == user_id:
                return judge(candidate, self.now, self.policy, self.team.hours, clocked=clocked).free
        return False

    def name_of(self, user_id: int) -> str:
        """Returns a person's name, as far as we know it."""
        people = (*self.users_now.values(), *self.team.users, self.team.head, self.team.fallback, self.guest)
        return next((user.name for user in people if user is not None and user.id == user_id), f"сотрудник {user_id}")

    @property
    def told_id(self) -> int:
        """Whom we tell what has no manager: the head, the person on duty, or who installed us. Never nobody."""
        named = (self.team.head, self.team.fallback)
        return next((user.id for user in named if user is not None and user.active), self.owner_id)

    def link(self, item: ItemRef) -> str:
        """Returns the address of the item's card."""
        return f"{self.card_base}/crm/{ENTITY_NAMES.get(item.entity_type_id, 'lead')}/details/{item.id}/"


# reading


def pool_of(playbook: Playbook) -> Pool:
    """Returns the people that the playbook names."""
    rule = playbook.assignment
    return Pool(rule.department, rule.users, rule.sub_departments)


def read_team(portal: Portal, pool: Pool) -> Team:
    """Returns the team, from the snapshot or, in up to three requests, from the portal."""
    name = f"team:{pool.queue}"[:64]
    with portal.memory() as memory:
        kept = memory.snapshot(name, not_older_than=TEAM_LIFE)
    if kept is not None:
        return TEAM.validate_python(kept)
    asked: dict[str, reads.Read[Any]] = {
        "departments": reads.departments(),
        "hours": reads.office_hours(portal.playbook.hours.calendar()),
        "sources": reads.source_names(),
    }
    fallback_id = portal.playbook.assignment.fallback_user
    named = [*pool.users, *([fallback_id] if fallback_id else [])]
    if named:
        asked["named"] = reads.users(named)
    found = portal.read(asked, optional=frozenset({"hours", "sources"}))
    departments: list[Department] = found.maybe("departments", [])
    while len(departments) and len(departments) % reads.PAGE == 0:
        page = portal.read({"departments": reads.departments(len(departments))})["departments"]
        if not page:
            break
        departments = [*departments, *page]
    named_users = {user.id: user for user in found.maybe("named", [])}
    fallback = named_users.get(fallback_id) if fallback_id else None
    top = _department(departments, pool.department)
    users: Sequence[User] = [named_users[id] for id in pool.users if id in named_users]
    if pool.users and pool.department is None:
        own = next((user.department_ids[0] for user in users if user.department_ids), None)
        top = next((d for d in departments if d.id == own), None)
    ids = [] if pool.users or top is None else [top.id]
    if ids and pool.sub_departments:
        ids = _with_children(departments, ids[0])
    more: dict[str, reads.Read[Any]] = {"users": reads.department_users(ids)} if ids else {}
    if top is not None and top.head_id:
        more["head"] = reads.users([top.head_id])
    second = portal.read(more) if more else Found({})
    head: User | None = next(iter(second.maybe("head", [])), None)
    if ids:
        everybody: list[User] = second["users"]
        while len(everybody) and len(everybody) % reads.PAGE == 0:
            page = portal.read({"users": reads.department_users(ids, len(everybody))})["users"]
            if not page:
                break
            everybody = [*everybody, *page]
        users = [user for user in everybody if head is None or user.id != head.id]
    team = Team(
        queue=pool.queue,
        users=tuple(users),
        head=head,
        fallback=fallback,
        hours=found.maybe("hours", portal.playbook.hours.calendar()),
        sources=found.maybe("sources", {}),
    )
    with portal.database.write() as connection:
        memory = Memory(portal.database, connection, portal.member_id)
        memory.keep_snapshot(name, TEAM.dump_python(team, mode="json"))
    return team


def _department(departments: Sequence[Department], wanted: int | str | None) -> Department | None:
    if wanted is None:
        return next((d for d in departments if d.parent_id is None), None)
    text = str(wanted).strip()
    by_id = next((d for d in departments if text.isdigit() and d.id == int(text)), None)
    return by_id or next((d for d in departments if d.name.strip().lower() == text.lower()), None)


def _with_children(departments: Sequence[Department], top: int) -> list[int]:
    found = [top]
    for id in found:
        found += [d.id for d in departments if d.parent_id == id and d.id not in found]
    return found


def availability(portal: Portal, team: Team, policy: Policy, now: datetime) -> dict[str, reads.Read[Any]]:
    """Returns the reads that tell who of the team is free, to go into the batch of whatever else is asked."""
    ids = [user.id for user in team.users]
    if not ids:
        return {}
    today = now.astimezone(team.hours.zone).date()
    day = timedelta(days=1)
    asked: dict[str, reads.Read[Any]] = {
        "team": reads.users(ids),
        "busy": reads.busy(ids, today - day, today + day, team.hours.zone),
    }
    if policy.clock != "ignored":
        asked |= {f"clock_{id}": reads.clock(id) for id in ids}
    if policy.limit_open or policy.order == "least_loaded":
        entity_type_id = 2 if portal.simple_mode else LEAD
        asked |= {f"load_{id}": reads.count_open(entity_type_id, id) for id in ids}
    return asked


def optional_reads(team: Team) -> frozenset[str]:
    """Labels without which the distribution goes on: time management or the calendar may be parked or missing."""
    return frozenset({"busy", *(f"clock_{user.id}" for user in team.users)})


def situation(portal: Portal, team: Team, policy: Policy, found: Found, now: datetime) -> Situation:
    """Returns the situation that the answers describe."""
    ids = [user.id for user in team.users]
    clocks = {id: found.maybe(f"clock_{id}", (Clock.UNUSED, None)) for id in ids}
    loads = {id: found.maybe(f"load_{id}", None) for id in ids}
    return Situation(
        now=now,
        team=team,
        policy=policy,
        playbook=portal.playbook,
        clocks=clocks,
        intervals=found.maybe("busy", {}),
        loads={id: load for id, load in loads.items() if load is not None},
        users_now={user.id: user for user in found.maybe("team", [])},
        owner_id=portal.owner_id,
        card_base=portal.url,
        app_link=portal.app_path(),
        simple_mode=portal.simple_mode,
    )


def with_guest(portal: Portal, known: Situation, user_id: int) -> Situation:
    """Returns the situation with somebody outside the team weighed as well; one request, none for the team's own."""
    if not user_id or any(user.id == user_id for user in known.team.users):
        return known
    alone = replace(known.team, users=(User(user_id, ""),))
    asked = availability(portal, alone, known.policy, known.now)
    one = situation(portal, alone, known.policy, portal.read(asked, optional=optional_reads(alone)), known.now)
    return replace(
        known,
        guest=one.users_now.get(user_id),
        clocks={**known.clocks, **one.clocks},
        intervals={**known.intervals, **one.intervals},
        loads={**known.loads, **one.loads},
    )


def item_or_none(found: Found, label: str) -> Item | None:
    """Returns the item, or None where it is gone or was never there."""
    try:
        item: Item | None = found.get(label)
    except NotFound:
        return None
    return item


# deciding


def intake_key(item: ItemRef) -> str:
    """Returns the reason under which a new item is treated once, whoever hears of it first."""
    return f"intake:{item}"


def distribute(
    situation: Situation,
    item: Item,
    cause: Cause,
    *,
    key: str,
    looks: int = 0,
    phone: str = "",
    call_id: str | None = None,
    earlier: AssignmentRow | None = None,
) -> Treatment | Nothing:
    """Returns the treatment of a new item that nobody works on yet: a free manager and a task.

    A responsible whom a person chose stays and gets the task. The same client's earlier lead of the last half hour
    means the same manager and no second task.
    """
    phone = phone or next(iter(item.phones), "")
    title = _title(cause, phone, situation)
    if chosen_by_a_person(item, looks):
        name = situation.name_of(item.assigned_by_id)
        rule = {"ru": "ответственного выбрал человек", "en": "a person chose the responsible"}
        card = Card(title, Person(item.assigned_by_id, name), rule, (), situation.now)
        return _with_task(situation, item, cause, card, item.assigned_by_id, key=key, phone=phone, call_id=call_id)
    if earlier is not None and earlier.manager_id is not None:
        name = situation.name_of(earlier.manager_id)
        rule = {"ru": "тот же клиент: им уже занимается", "en": "the same client: already taken care of by"}
        return Treatment(
            key=key,
            cause=cause,
            item=item.ref,
            card=Card(title, Person(earlier.manager_id, name), rule, (), situation.now),
            manager_id=earlier.manager_id,
            expected_id=item.assigned_by_id,
            queue=situation.team.queue,
            phone=phone or None,
            call_id=call_id,
            creator_id=situation.owner_id,
        )
    choice = situation.choose()
    card = card_of(title, choice, situation.now)
    if choice.user_id is None:
        waiting = _waiting(situation, item, cause, card, key=key, phone=phone, call_id=call_id)
        return replace(waiting, expected_id=item.assigned_by_id)
    treatment = _with_task(situation, item, cause, card, choice.user_id, key=key, phone=phone, call_id=call_id)
    return replace(treatment, expected_id=item.assigned_by_id, took_turn=not choice.fallback)


def told_once(decision: Treatment | Nothing, before: AssignmentRow | None) -> Treatment | Nothing:
    """Returns the decision, without card and notices where it only says again that the item waits."""
    if isinstance(decision, Nothing) or decision.manager_id is not None or before is None:
        return decision
    return replace(decision, show_card=False, notices=())


def give_to(
    situation: Situation, item: Item, user_id: int, *, key: str, rule: Text, phone: str, call_id: str | None
) -> Treatment:
    """Returns the treatment of an answered call on its own new item: whoever answered is responsible, at once."""
    card = Card(
        _title("answered", phone, situation), Person(user_id, situation.name_of(user_id)), rule, (), situation.now
    )
    return Treatment(
        key=key,
        cause="answered",
        item=item.ref,
        card=card,
        manager_id=user_id,
        expected_id=item.assigned_by_id,
        queue=situation.team.queue,
        took_turn=True,
        phone=phone or None,
        call_id=call_id,
        creator_id=situation.owner_id,
    )


def known_client(
    situation: Situation, item: Item, *, key: str, phone: str, call_id: str, earlier: AssignmentRow | None
) -> Treatment:
    """Returns the treatment of a missed call from a client whom somebody already works with.

    The record keeps its responsible. He gets the task if he is free, else a free manager does and he is told. Calling
    again and again makes one task: the next calls are told to whoever has it.
    """
    title = _title("missed", phone, situation)
    owner = item.assigned_by_id
    readable = phone_text(phone, situation.playbook.intake.country)
    if earlier is not None and earlier.manager_id is not None:
        rule = {"ru": "клиент звонил ещё раз, задача уже стоит", "en": "the client called again, the task stands"}
        who = Person(earlier.manager_id, situation.name_of(earlier.manager_id))
        text = f"Клиент звонил ещё раз: {readable}, [URL={situation.link(item.ref)}]{plain(item.title)}[/URL]"
        return Treatment(
            key=key,
            cause="missed",
            item=item.ref,
            card=Card(title, who, rule, (), situation.now),
            manager_id=earlier.manager_id,
            notices=(Notice(earlier.manager_id, text, key),),
            queue=situation.team.queue,
            phone=phone,
            call_id=call_id,
            creator_id=situation.owner_id,
        )
    if owner and situation.is_free(owner):
        rule = {"ru": "клиента ведёт он, и он свободен", "en": "the client is his, and he is free"}
        card = Card(title, Person(owner, situation.name_of(owner)), rule, (), situation.now)
        return _with_task(situation, item, "missed", card, owner, key=key, phone=phone, call_id=call_id)
    choice = situation.choose()
    card = card_of(title, choice, situation.now)
    if choice.user_id is None:
        return _waiting(situation, item, "missed", card, key=key, phone=phone, call_id=call_id)
    treatment = _with_task(situation, item, "missed", card, choice.user_id, key=key, phone=phone, call_id=call_id)
    text = (
        f"Ваш клиент звонил, вы не свободны: {readable}, "
        f"[URL={situation.link(item.ref)}]{plain(item.title)}[/URL]. Перезвонит {plain(choice.name)}."
    )
    told = (Notice(owner, text, key),) if owner and owner != choice.user_id else ()
    return replace(treatment, took_turn=not choice.fallback, notices=told)


def new_item(
    situation: Situation, cause: Cause, *, key: str, phone: str, call_id: str, answered_by: int | None = None
) -> Treatment:
    """Returns the treatment of a call for which the portal made no lead: we make it."""
    readable = phone_text(phone, situation.playbook.intake.country)
    title = _title(cause, phone, situation)
    if answered_by is not None:
        rule = {"ru": "ответил на звонок", "en": "answered the call"}
        choice = Choice(answered_by, situation.name_of(answered_by), rule)
    else:
        choice = situation.choose()
    name = {"missed": "Пропущенный звонок", "answered": "Звонок"}.get(cause, "Обращение")
    fields: dict[str, object] = {
        "title": f"{name} {readable}",
        "sourceId": "CALL",
        "fm": [{"typeId": "PHONE", "valueType": "WORK", "value": phone}],
        "assignedById": choice.user_id or situation.owner_id,
    }
    card = card_of(title, choice, situation.now)
    made = Treatment(
        key=key,
        cause=cause,
        item=None,
        card=card,
        manager_id=choice.user_id,
        new_item=fields,
        new_item_type=2 if situation.simple_mode else LEAD,
        queue=situation.team.queue,
        took_turn=choice.user_id is not None and not choice.fallback,
        wait_until=None if choice.user_id is not None else _opening(situation),
        phone=phone,
        call_id=call_id,
        creator_id=situation.owner_id,
    )
    if choice.user_id is None or answered_by is not None:
        return made
    task = _task(situation, "missed", choice.user_id, card, title=str(fields["title"]), phone=phone, link="", source="")
    return replace(made, task=task)


def imported(situation: Situation, item: Item, *, key: str, question_key: str | None, count: int) -> Treatment:
    """Returns the treatment of one lead of an import: it waits in the queue; with `question_key` the head is asked."""
    rule = {"ru": "импорт: спросили руководителя", "en": "an import: the head was asked"}
    card = Card(_title("imported", "", situation), None, rule, (), situation.now)
    texts, intake = situation.playbook.texts, situation.playbook.intake
    who = situation.name_of(item.created_by_id)
    link = f"{situation.card_base}{situation.app_link}"
    question = TaskSpec(
        title=texts.import_task.format(count=count, who=who),
        description=texts.import_task_body.format(count=count, who=who, link=link),
        responsible_id=situation.told_id,
        deadline=situation.deadline(situation.told_id, timedelta(minutes=intake.written_deadline_minutes)),
    )
    return Treatment(
        key=key,
        cause="imported",
        item=item.ref,
        card=card,
        manager_id=None,
        task=question if question_key else None,
        show_card=False,
        queue=situation.team.queue,
        creator_id=situation.owner_id,
        asks_about=question_key,
    )


def _with_task(
    situation: Situation,
    item: Item,
    cause: Cause,
    card: Card,
    user_id: int,
    *,
    key: str,
    phone: str,
    call_id: str | None,
) -> Treatment:
    source = situation.team.sources.get(item.source_id, item.source_id) or "обращение"
    contact = ", ".join((*item.emails, *item.phones)) or "в карточке"
    task = _task(
        situation,
        cause if phone or cause == "missed" else "written",
        user_id,
        card,
        title=item.title,
        phone=phone,
        link=situation.link(item.ref),
        source=source,
        contact=contact,
    )
    return Treatment(
        key=key,
        cause=cause,
        item=item.ref,
        card=card,
        manager_id=user_id,
        task=task,
        queue=situation.team.queue,
        phone=phone or None,
        call_id=call_id,
        creator_id=situation.owner_id,
    )


def _task(
    situation: Situation,
    cause: Cause,
    user_id: int,
    card: Card,
    *,
    title: str,
    phone: str,
    link: str,
    source: str,
    contact: str = "",
) -> TaskSpec:
    texts, intake = situation.playbook.texts, situation.playbook.intake
    readable = phone_text(phone, intake.country) or "(номер скрыт)"
    written = cause == "written"
    minutes = intake.written_deadline_minutes if written else intake.call_deadline_minutes
    words = {"title": plain(title), "link": link or "прикреплена к задаче", "reason": card.rule["ru"]}
    if written:
        head = texts.written_task.format(source=source, title=plain(title))
        body = texts.written_task_body.format(source=source, contact=contact, **words)
    else:
        head = texts.call_task.format(phone=readable, title=plain(title))
        body = texts.call_task_body.format(phone=readable, **words)
    return TaskSpec(head, body, user_id, situation.deadline(user_id, timedelta(minutes=minutes)))


def _waiting(
    situation: Situation, item: Item, cause: Cause, card: Card, *, key: str, phone: str, call_id: str | None
) -> Treatment:
    """Nobody is free and the policy is to wait: the item stands in a queue that everybody sees; somebody is told."""
    opening = _opening(situation)
    at = opening.astimezone(situation.team.hours.zone)
    link = f"[URL={situation.link(item.ref)}]{plain(item.title) or item.ref}[/URL]"
    text = f"Никто не свободен, лид ждёт до {at:%d.%m %H:%M}: {link}"
    return Treatment(
        key=key,
        cause=cause,
        item=item.ref,
        card=card,
        manager_id=None,
        notices=(Notice(situation.told_id, text, key),),
        queue=situation.team.queue,
        wait_until=opening,
        phone=phone or None,
        call_id=call_id,
        creator_id=situation.owner_id,
    )


def _opening(situation: Situation) -> datetime:
    opening = situation.team.hours.next_opening(situation.now)
    return max(opening or situation.now, situation.now + LOOK_AGAIN)


def _title(cause: Cause, phone: str, situation: Situation) -> Text:
    readable = phone_text(phone, situation.playbook.intake.country) if phone else ""
    return {language: f"{text} {readable}".strip() for language, text in CAUSES[cause].items()}


# acting


def remember(memory: Memory, treatment: Treatment) -> None:
    """Keeps the decision: the reason is taken, the turn is counted, the queue's timer is set."""
    entity = str(treatment.item) if treatment.item else f"call:{treatment.call_id}"[:96]
    memory.assign(
        key=treatment.key,
        entity=entity,
        cause=treatment.cause,
        queue=treatment.queue,
        manager_id=treatment.manager_id,
        took_turn=treatment.took_turn,
        phone=treatment.phone,
        call_id=treatment.call_id,
        card=card_json(treatment.card),
    )
    if treatment.asks_about is not None:
        memory.assign(
            key=treatment.asks_about,
            entity="import",
            cause=treatment.cause,
            queue=treatment.queue,
            manager_id=None,
            took_turn=False,
            card=card_json(treatment.card),
        )
    if treatment.wait_until is not None and treatment.item is not None:
        memory.set_timer(
            f"queue:{treatment.key}",
            code="queue",
            entity=entity,
            due_at=treatment.wait_until,
            payload={"responsible": treatment.expected_id},
        )


def card_json(card: Card) -> dict[str, Any]:
    """Returns the card as the pages read it."""
    return {
        "title": dict(card.title),
        "chosen": {"id": card.chosen.id, "name": card.chosen.name} if card.chosen else None,
        "rule": dict(card.rule),
        "lines": [{"user_id": v.user_id, "name": v.name, "free": v.free, "why": dict(v.why)} for v in card.lines],
        "at": card.at.isoformat() if card.at else None,
    }


def _changes_responsible(treatment: Treatment) -> bool:
    return treatment.expected_id is not None and treatment.manager_id != treatment.expected_id


def act(treatment: Treatment) -> list[Command]:
    """Returns the commands of a treatment: the responsible, the card in the timeline, the notices, the task."""
    planned: list[Command] = []
    marker = treatment.marker
    target: ItemRef | Made | None = treatment.item
    needs: tuple[str, ...] = ()
    if treatment.new_item is not None:
        target = Made("item", treatment.new_item_type)
        fields = dict(treatment.new_item)
        if treatment.new_item_type == DEAL:  # a deal has no numbers of its own: they are its client's
            client = {name: fields[name] for name in ("fm", "assignedById", "sourceId")}
            planned.append(
                write.add_item(CONTACT, {"name": fields["title"], **client}, origin=treatment.key, label="client")
            )
            fields = {**{name: value for name, value in fields.items() if name != "fm"}, "contactId": ref("client")}
        made = write.add_item(treatment.new_item_type, fields, origin=treatment.key, label=target.label)
        planned.append(replace(made, needs=("client",) if treatment.new_item_type == DEAL else ()))
    elif treatment.item is not None and treatment.manager_id is not None and _changes_responsible(treatment):
        planned += write.set_responsible(treatment.item, treatment.manager_id, expected=treatment.expected_id or 0)
        needs = ("responsible",)
    if treatment.observers is not None and treatment.item is not None:
        observers = {"observers": list(treatment.observers)}
        planned.append(write.set_fields(treatment.item, observers, label="observers"))
    if treatment.show_card and target is not None:
        planned.append(write.comment(target, treatment.card.bbcode(), marker=marker, needs=needs))
    for number, notice in enumerate(treatment.notices):
        planned.append(write.notify(notice.user_id, notice.text, tag=notice.tag, label=f"notice_{number}", needs=needs))
    if treatment.task is not None:
        planned.append(
            write.add_task(
                marker=marker,
                title=treatment.task.title,
                description=treatment.task.description,
                responsible_id=treatment.task.responsible_id,
                creator_id=treatment.creator_id,
                deadline=treatment.task.deadline,
                item=target,
                needs=needs,
            )
        )
    return planned
