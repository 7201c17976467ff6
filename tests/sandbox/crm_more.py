"""Rules for the examples of small groups of CRM: workplaces, call lists, traces, transcripts (see example_crm.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

TRACE = json.dumps({"tags": {"list": {"utm_source": "google-maps"}}})


def _types(world: Any) -> list[int]:
    return [world.new("type"), world.new("type")]


def _solution(world: Any) -> int:
    fields = {"title": "HR", "typeIds": _types(world)}
    return int(world.do("crm.automatedsolution.add", fields=fields)["automatedSolution"]["id"])


def _free_solution(world: Any) -> int:
    return int(world.do("crm.automatedsolution.add", fields={"title": "HR"})["automatedSolution"]["id"])


def _call_list(world: Any) -> int:
    return int(world.do("crm.calllist.add", ENTITY_TYPE="CONTACT", ENTITIES=[world.contact, 1], WEBFORM_ID=1))


def _transcribed(world: Any) -> int:
    owner = world.do.__self__
    sandbox = getattr(owner, "sandbox", None) or owner.portal
    number = int(world.new("activity"))
    sandbox.control("POST", f"activities/{number}/transcript", {"text": "Здравствуйте"})
    return number


def _contacts(world: Any) -> list[int]:
    return [world.contact, 1]


Rule = tuple[str, dict[str, Callable[[Any], Any]]]
RULES: list[Rule] = [
    (r"crm\.automatedsolution\.add", {"fields.typeIds": _types}),
    (r"crm\.automatedsolution\.(get|update)", {"id": _solution}),
    (r"crm\.automatedsolution\.delete", {"id": _free_solution}),
    (r"crm\.automatedsolution\.list", {"x": _solution}),
    (r"crm\.calllist\.(add|update)", {"ENTITIES": _contacts, "WEBFORM_ID": lambda world: 1}),
    (r"crm\.calllist\.get", {"ID": _call_list}),
    (r"crm\.calllist\.(items\.get|update)", {"LIST_ID": _call_list}),
    (r"crm\.calllist\.list", {"x": _call_list}),
    (r"crm\.tracking\.trace\.add", {"TRACE": lambda world: TRACE, "ENTITIES.0.ID": lambda world: world.contact,
        "ENTITIES.1.ID": lambda world: world.lead}),
    (r"crm\.tracking\.trace\.delete", {"id": lambda world: world.do("crm.tracking.trace.add", TRACE=TRACE)}),
    (r"crm\.activity\.call\.getTranscript", {"activityId": _transcribed}),
]  # fmt: skip
