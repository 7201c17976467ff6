"""Was the offer («КП») really sent, and which version is it? Pure.

Sent = an outgoing, completed e-mail with a file, or a quote in a status that means sent, since the work on it began. A
person's confirmation is kept apart: the playbook says where it counts. Delivery is not proven by any of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class Letter:
    """An e-mail activity of the card: sent, when, and how many files it carries."""

    id: int
    at: datetime
    outgoing: bool
    completed: bool
    files: int
    subject: str = ""


@dataclass(frozen=True)
class Quote:
    """A quote («предложение») bound to the item, in one of its statuses since `at`."""

    id: int
    at: datetime
    status_id: str
    title: str = ""


@dataclass(frozen=True)
class Offer:
    """One version of the offer that left us; `version` counts from 1 in order of time."""

    version: int
    at: datetime
    by: Literal["email", "quote"]
    id: int
    title: str


def offers_sent(
    letters: Sequence[Letter], quotes: Sequence[Quote], *, since: datetime, sent_statuses: Sequence[str]
) -> tuple[Offer, ...]:
    """Returns the offers since then, the oldest first, each once (an activity listed twice is one letter).

    The portal's clock gives whole seconds: what was sent in the very second of `since` counts.
    """
    start = since.replace(microsecond=0)
    found: dict[tuple[Literal["email", "quote"], int], tuple[datetime, str]] = {
        ("email", letter.id): (letter.at, letter.subject)
        for letter in letters
        if letter.outgoing and letter.completed and letter.files > 0 and letter.at >= start
    }
    found |= {
        ("quote", quote.id): (quote.at, quote.title)
        for quote in quotes
        if quote.status_id in sent_statuses and quote.at >= start
    }
    ordered = sorted(found.items(), key=lambda entry: (entry[1][0], entry[0]))
    return tuple(Offer(number, at, by, id, title) for number, ((by, id), (at, title)) in enumerate(ordered, start=1))


@dataclass(frozen=True)
class Mailbox:
    """Whether letters get into the CRM at all (K18): seen, or not, and since when the last one."""

    letters_seen: int
    last_at: datetime | None = None

    @property
    def works(self) -> bool:
        """Letters stand in the CRM: some mailbox is connected. None there is no proof that none is."""
        return self.letters_seen > 0
