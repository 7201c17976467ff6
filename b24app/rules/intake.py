"""What an enquiry is, and what is done with it: the rules between a call, a letter, a form and a manager. Pure.

missed      a client called and nobody answered: a free manager, a task to call back
answered    somebody answered: the item is his
written     e-mail, web form, social network: a free manager, a task that names the source
created     made by hand (K1: perhaps with the phone number only): as if the call had been missed
imported    many at once by one creator: one question to the head, no tasks
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from b24app.entities import Item, ItemRef, PhoneCall
from b24app.rules.assignment import Choice, Verdict

Text = Mapping[str, str]
Cause = Literal["missed", "answered", "written", "created", "imported", "robot"]

MADE_BY_CALL = timedelta(minutes=1)
"""A lead this much older than its call was there before it (clocks of portal and telephony differ a little)."""
SETTLING = timedelta(seconds=5)
"""The portal itself touches a new item for a moment after creation; a later change is somebody's."""

CAUSES: Mapping[Cause, Text] = {
    "missed": {"ru": "Пропущенный звонок", "en": "Missed call"},
    "answered": {"ru": "Отвеченный звонок", "en": "Answered call"},
    "written": {"ru": "Письменное обращение", "en": "Written enquiry"},
    "created": {"ru": "Новый лид", "en": "New lead"},
    "imported": {"ru": "Импорт лидов", "en": "Import of leads"},
    "robot": {"ru": "Робот «Назначить свободного менеджера»", "en": "Robot “Assign a free manager”"},
}


@dataclass(frozen=True)
class Person:
    """Somebody who got the work."""

    id: int
    name: str


@dataclass(frozen=True)
class Card:
    """The decision as people read it: who was chosen, by which rule, and why not the others."""

    title: Text
    chosen: Person | None
    rule: Text
    lines: tuple[Verdict, ...] = ()
    at: datetime | None = None

    def bbcode(self) -> str:
        """Returns the card for the item's timeline, in Russian, for the manager himself."""
        who = plain(self.chosen.name) if self.chosen else "пока никому"
        lines = [f"[B]{plain(self.title['ru'])}: {who}[/B]", f"Правило: {plain(self.rule['ru'])}"]
        chosen_id = self.chosen.id if self.chosen else None
        lines += [
            f"{'✔' if v.user_id == chosen_id else '—'} {plain(v.name)}: {plain(v.why['ru'])}"
            for v in sorted(self.lines, key=lambda v: (v.user_id != chosen_id, not v.free))
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class TaskSpec:
    """A task to make."""

    title: str
    description: str
    responsible_id: int
    deadline: datetime


@dataclass(frozen=True)
class Notice:
    """A word to a person; the same tag replaces the older one."""

    user_id: int
    text: str
    tag: str


@dataclass(frozen=True)
class Treatment:
    """What is done with one enquiry. `key` is its reason: one treatment a reason, whoever hears of it first.

    `expected_id` is the responsible that we saw; the new one is written only while it still stands. `observers` is the
    whole new list. `new_item` are the fields of the lead or deal that nobody made yet.
    """

    key: str
    cause: Cause
    item: ItemRef | None
    card: Card
    manager_id: int | None
    expected_id: int | None = None
    observers: tuple[int, ...] | None = None
    new_item: Mapping[str, object] | None = None
    new_item_type: int = 1
    task: TaskSpec | None = None
    notices: tuple[Notice, ...] = field(default=())
    show_card: bool = True
    queue: str = ""
    took_turn: bool = False
    wait_until: datetime | None = None
    phone: str | None = None
    call_id: str | None = None
    creator_id: int = 0
    asks_about: str | None = None  # the reason of a question to the head, kept so that it is asked once

    @property
    def marker(self) -> str:
        """The short mark by which a task or comment is known again; the same reason decided anew has another one."""
        return decision_mark(self.key, self.manager_id)


def decision_mark(key: str, manager_id: int | None) -> str:
    """Returns the mark of the decision that gave this reason's item to this manager."""
    return "решение №" + hashlib.sha256(f"{key}|{manager_id}".encode()).hexdigest()[:10]


def plain(text: str) -> str:
    """Returns a text that says nothing to a BBCode reader: names and titles are anybody's."""
    return text.replace("[", "(").replace("]", ")").replace("\r", " ").strip()


def card_of(title: Text, choice: Choice, at: datetime) -> Card:
    """Returns the card of a choice."""
    chosen = Person(choice.user_id, choice.name) if choice.user_id is not None else None
    return Card(title, chosen, choice.how, choice.verdicts, at)


def chosen_by_a_person(item: Item, looks: int) -> bool:
    """Tells whether the responsible was set by a person after creation: then it is his choice and stays.

    REST has no history of the responsible [verify]. What it shows: the item was changed after it settled, by somebody
    else than its creator, and the responsible is not the creator. A doubt goes to the person: his choice is kept, and
    the one he chose gets the task. `looks` > 0: our write found that somebody had been faster.
    """
    if looks > 0:
        return True
    changed_later = item.updated_at is not None and item.updated_at > item.created_at + SETTLING
    by_somebody_else = item.updated_by_id not in (None, 0, item.created_by_id)
    return changed_later and by_somebody_else and item.assigned_by_id != item.created_by_id


def made_by(item: Item, call_began_at: datetime) -> bool:
    """Tells whether the item was made by this call, not there before it."""
    return item.created_at >= call_began_at - MADE_BY_CALL


def newest_call(statistics: Sequence[PhoneCall]) -> PhoneCall | None:
    """Returns the call that decides what the item is: the newest one of a client to us, else the newest at all."""
    incoming = [call for call in statistics if call.incoming]
    calls = incoming or list(statistics)
    return max(calls, key=lambda call: call.started_at.timestamp() if call.started_at else 0.0, default=None)


def cause_of(item: Item, written_sources: Sequence[str]) -> Cause:
    """Returns what an item without any call is: written, or made by hand."""
    written = (
        item.source_id in written_sources or item.webform_id is not None or (bool(item.emails) and not item.phones)
    )
    return "written" if written else "created"
