"""What a robot, an event handler and a timer are: frozen declarations of the same three steps.

    read(portal, call)      -> facts      HTTP reads, batched; may look into our memory first and return Nothing(why)
    recall(memory, facts)   -> facts      our own database, inside the short transaction that also decides; may note
                                          what the event told (optional)
    decide(facts)           -> decision   pure; or Nothing(why)
    remember(memory, decision)            what our database keeps of it, in the same transaction (optional)
    act(decision)           -> commands   pure; the REST writes as data

A robot's decision is also its answer: `answer(decision)` gives the return values and the line for the workflow's log.
Declarations check themselves when they are constructed: a wrong one stops the program at start, not at night.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from b24app.bitrix.commands import Command
from b24app.bitrix.portal import Portal
from b24app.entities import ItemRef
from b24app.store.memory import Memory

Text = Mapping[str, str]
"""A text for people by language: {"ru": ..., "en": ...}."""

PropertyType = Literal["bool", "date", "datetime", "double", "file", "int", "select", "string", "text", "user"]

URGENT, NORMAL, LATER = 10, 50, 90
"""Priorities of deliveries: a person is on the phone; somebody waits; a report."""


@dataclass(frozen=True)
class RobotCall:
    """A robot that Bitrix24 runs for an item. `properties` as the consultant filled them in, placeholders replaced."""

    member_id: str
    code: str
    item: ItemRef
    event_token: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    workflow_id: str = ""
    waits: bool = True
    timeout_seconds: int = 0


@dataclass(frozen=True)
class EventCall:
    """An event of the portal: `event` in capitals, `data` as the nested form said. A dirty flag, not a command."""

    member_id: str
    event: str
    data: Mapping[str, Any] = field(default_factory=dict)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    looks: int = 0  # more than 0: looked at again, because a person was faster than our write

    @property
    def field_id(self) -> int | None:
        """The id of CRM events (data[FIELDS][ID]), or None."""
        fields = self.data.get("FIELDS")
        value = fields.get("ID") if isinstance(fields, Mapping) else None
        return int(value) if isinstance(value, str | int) and str(value).isascii() and str(value).isdigit() else None


@dataclass(frozen=True)
class TimerCall:
    """A timer of ours that is due."""

    member_id: str
    code: str
    entity: str
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def looks(self) -> int:
        """More than 0: looked at again, because a person was faster than our write."""
        return int(self.payload.get("looks") or 0)


@dataclass(frozen=True)
class Nothing:
    """There is nothing to do, and why: a named outcome, not silence."""

    reason: str


@dataclass(frozen=True)
class Reply:
    """A robot's answer: the values of its return properties, and the line for the workflow's log.

    `instead` are values by the label of a command: they replace the others where that command was not carried out.
    """

    values: Mapping[str, Any]
    log: str
    instead: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Property:
    """A robot's property or return value (bizproc.robot.add). `options` only for select."""

    code: str
    name: Text
    type: PropertyType
    required: bool = False
    multiple: bool = False
    default: str | None = None
    description: Text | None = None
    options: Mapping[str, Text] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.code):
            raise ValueError(f"property {self.code!r}: a letter, then letters, digits, _")
        _both_languages(self.name, f"property {self.code}")
        if (self.type == "select") != bool(self.options):
            raise ValueError(f"property {self.code}: options belong to select, and only there")


@dataclass(frozen=True)
class Work:
    """The steps that robots, handlers and timers share. `decision` is the type that decide returns and is saved.

    What only notes something in our memory decides Nothing, and has neither decision nor act.
    """

    read: Callable[[Portal, Any], Any]
    decide: Callable[[Any], Any]
    act: Callable[[Any], Sequence[Command]] = lambda _: ()
    decision: Any = None
    recall: Callable[[Memory, Any], Any] | None = None
    remember: Callable[[Memory, Any], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Robot(Work):
    """A robot as consultants place it on a stage. `code` is permanent: live automation refers to it."""

    code: str
    name: Text
    description: Text
    properties: tuple[Property, ...] = ()
    returns: tuple[Property, ...] = ()
    answer: Callable[[Any], Reply]
    entity_type_ids: tuple[int, ...] = (1, 2)
    priority: int = NORMAL

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.code):
            raise ValueError(f"robot {self.code!r}: a letter, then letters, digits, _")
        _both_languages(self.name, f"robot {self.code}")
        _both_languages(self.description, f"robot {self.code}")
        for group in (self.properties, self.returns):
            codes = [item.code for item in group]
            if len(codes) != len(set(codes)):
                raise ValueError(f"robot {self.code}: a property stands twice")


@dataclass(frozen=True, kw_only=True)
class Handler(Work):
    """What is done on one event. `entity(call)` names what it is about: its deliveries are worked in order."""

    event: str
    entity: Callable[[EventCall], str | None]
    priority: int = NORMAL

    def __post_init__(self) -> None:
        if self.event != self.event.upper():
            raise ValueError(f"handler {self.event}: event names are compared in capitals")


@dataclass(frozen=True, kw_only=True)
class Timer(Work):
    """What is done when a timer of this code is due."""

    code: str
    priority: int = NORMAL


@dataclass(frozen=True)
class Placement:
    """A place in Bitrix24's pages where one of ours is shown; `page` is the last part of our door's address.

    {public_url} in the texts of `options` stands for our own address.
    """

    placement: str
    page: str
    title: Text
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Catalogue:
    """Everything that this application offers a portal, listed explicitly."""

    robots: tuple[Robot, ...] = ()
    handlers: tuple[Handler, ...] = ()
    timers: tuple[Timer, ...] = ()
    placements: tuple[Placement, ...] = ()

    def __post_init__(self) -> None:
        for name, codes in (
            ("robot", [robot.code for robot in self.robots]),
            ("event", [handler.event for handler in self.handlers]),
            ("timer", [timer.code for timer in self.timers]),
        ):
            if len(codes) != len(set(codes)):
                raise ValueError(f"{name} codes repeat: {codes}")

    def robot(self, code: str) -> Robot | None:
        """Returns the robot of this code."""
        return next((robot for robot in self.robots if robot.code == code), None)

    def handler(self, event: str) -> Handler | None:
        """Returns the handler of this event, named in capitals."""
        return next((handler for handler in self.handlers if handler.event == event), None)

    def timer(self, code: str) -> Timer | None:
        """Returns the timer of this code."""
        return next((timer for timer in self.timers if timer.code == code), None)


def _both_languages(text: Text, where: str) -> None:
    if not text.get("ru") or not text.get("en"):
        raise ValueError(f"{where}: a Russian and an English text are needed")
