"""What Bitrix24's objects are to the rules: frozen values in Bitrix24's words, free of wire formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

LEAD = 1
DEAL = 2
CONTACT = 3
COMPANY = 4

ENTITY_NAMES = {LEAD: "lead", DEAL: "deal", CONTACT: "contact", COMPANY: "company"}


@dataclass(frozen=True)
class ItemRef:
    """A CRM item by its type and id; written `lead:42` where it is a key."""

    entity_type_id: int
    id: int

    def __str__(self) -> str:
        return f"{ENTITY_NAMES.get(self.entity_type_id, f'dynamic_{self.entity_type_id}')}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> ItemRef:
        """Returns the item of a key such as `lead:42`."""
        name, _, number = text.partition(":")
        known = {value: key for key, value in ENTITY_NAMES.items()}
        return cls(known[name] if name in known else int(name.removeprefix("dynamic_")), int(number))


@dataclass(frozen=True)
class Item:
    """A CRM item: lead, deal, contact or company, with the fields that our rules look at."""

    ref: ItemRef
    title: str
    assigned_by_id: int
    created_by_id: int
    created_at: datetime
    stage_id: str = ""
    stage_semantics: str = "P"  # P in process, S success, F failure
    source_id: str = ""
    name: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    observer_ids: tuple[int, ...] = ()
    updated_at: datetime | None = None
    updated_by_id: int | None = None
    origin_id: str = ""
    webform_id: int | None = None
    custom: Mapping[str, Any] = field(default_factory=dict, hash=False)  # fields of one's own that are filled in

    @property
    def open(self) -> bool:
        """Still in process: neither success nor failure."""
        return self.stage_semantics not in ("S", "F")


class Clock(StrEnum):
    """The working-day clock of a person (timeman.status), and UNUSED where the portal or the person has none."""

    OPENED = "OPENED"
    PAUSED = "PAUSED"
    CLOSED = "CLOSED"
    EXPIRED = "EXPIRED"
    UNUSED = "UNUSED"


@dataclass(frozen=True)
class Interval:
    """A busy or absent time of a person, [start, end). `id` is its calendar entry; 0 for the personnel department's."""

    start: datetime
    end: datetime
    absent: bool = False
    id: int = 0

    def covers(self, moment: datetime) -> bool:
        """Tells whether the moment lies inside."""
        return self.start <= moment < self.end


@dataclass(frozen=True)
class CalendarEntry:
    """An entry of a calendar, [start, end) in UTC; whole days of its zone where it lasts all day. Unknown ids are 0."""

    id: int
    owner_id: int
    start: datetime
    end: datetime
    name: str = ""
    created_by: int = 0


@dataclass(frozen=True)
class Address:
    """An address for people; degrees where the portal knows the point, both or neither."""

    text: str
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class User:
    """A person of the portal. `phones` as typed there, the mobile number first."""

    id: int
    name: str
    active: bool = True
    department_ids: tuple[int, ...] = ()
    time_zone: str = ""
    online: bool | None = None
    phones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Department:
    """A department with its head (None where nobody is)."""

    id: int
    name: str
    parent_id: int | None = None
    head_id: int | None = None


MISSED_CODES = frozenset({"304"})
INCOMING_TYPES = frozenset({2, 3})


@dataclass(frozen=True)
class PhoneCall:
    """A call as events and statistics tell it. `user_id` is who answered or dialled, or whom the line named."""

    call_id: str
    call_type: int | None = None
    phone: str = ""
    user_id: int | None = None
    failed_code: str = ""
    started_at: datetime | None = None
    item: ItemRef | None = None
    activity_id: int | None = None

    @property
    def incoming(self) -> bool:
        """A client called us; 1 is outgoing, 4 a call-back that we dial, 5 informational."""
        return self.call_type in INCOMING_TYPES

    @property
    def missed(self) -> bool:
        """A client called and nobody answered. 304 alone is not enough: unanswered outgoing calls carry it too."""
        return self.incoming and self.failed_code in MISSED_CODES
