"""«План внедрения» on the main page: what the playbook would change on the portal, carrying it out, taking it back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from b24app.engine.declare import Text
from b24app.pages.frame import Look
from install.carry_out import Line
from install.wanted import Step

STATES: dict[str, Text] = {
    "add": {"ru": "добавится", "en": "to be added"},
    "update": {"ru": "изменится", "en": "to be changed"},
    "adopted": {"ru": "берём ваше", "en": "yours is taken"},
    "present": {"ru": "уже есть", "en": "already there"},
    "impossible": {"ru": "не делаем", "en": "not done"},
    "conflict": {"ru": "решите вы", "en": "you decide"},
    "done": {"ru": "сделано", "en": "done"},
    "note": {"ru": "обратите внимание", "en": "please note"},
    "failed": {"ru": "не получилось", "en": "failed"},
    "working": {"ru": "…", "en": "…"},
}
LOOKS = {"add": "done", "update": "note", "conflict": "failed", "impossible": "note"}
"""A plan's states in the colours of the lists of lines."""


def planned(look: Look, steps: Iterable[Step]) -> dict[str, Any]:
    """Returns the plan as the page shows it: {"lines", "changes", "said"}; what is there already comes last."""
    steps = sorted(steps, key=lambda step: step.state == "present")
    changes = sum(step.call is not None for step in steps)
    conflicts = sum(step.state == "conflict" for step in steps)
    said = look.text(
        f"Изменений: {changes}. Решить вам: {conflicts}.", f"Changes: {changes}. For you to decide: {conflicts}."
    )
    return {
        "lines": [_line(look, step.state, step.what, step.note) for step in steps],
        "changes": changes,
        "said": said,
    }


def told(look: Look, lines: Iterable[Line]) -> Iterator[str]:
    """Yields one JSON line for each thing as it is done; what stood there before is only counted, at the end."""
    untouched = 0
    for line in lines:
        if line.state == "present" and line.advice is None:
            untouched += 1
        else:
            yield json.dumps(_line(look, line.state, line.text, line.advice), ensure_ascii=False) + "\n"
    if untouched:
        rest = {"ru": f"Стадий, полей, событий и страниц без изменений: {untouched}", "en": f"Unchanged: {untouched}"}
        yield json.dumps(_line(look, "present", rest, None), ensure_ascii=False) + "\n"


def _line(look: Look, state: str, what: Text, note: Text | None) -> dict[str, str]:
    return {
        "look": LOOKS.get(state, state),
        "mark": look.word(STATES[state]),
        "text": look.word(what),
        "advice": look.word(note),
    }
