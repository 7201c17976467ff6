"""The consultant's guide explains every key of the playbook, with an example that the model takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter

from b24app import playbook as model
from b24app.playbook import Playbook, parse_playbook

GUIDE = Path("docs/consultant-guide.md").read_text("utf-8")
CHAPTER = GUIDE.split("\n## Сценарий")[1].split("\n## ")[0]
SECTIONS: dict[str, type[BaseModel]] = {
    "Весь файл": Playbook,
    "`[hours]`": model.Hours,
    "`[assignment]`": model.Assignment,
    "`[intake]`": model.Intake,
    "`missed_call_sms`": model.MissedCallSms,
    "`[sms]`": model.Sms,
    "`[texts]`": model.Texts,
    "`[lead]`, `[deal]`": model.Process,
    "`[[lead.fields]]`": model.CardField,
    "`values`": model.Value,
    "`[[lead.stages]]`": model.Stage,
    "`requires`": model.Requirement,
    "`only_if`, `closes_when`": model.Condition,
    "`evidence`, `needs`": model.Evidence,
    "`[[lead.stages.tasks]]`": model.TaskRule,
    "`checklists`": model.Checklist,
    "`on_close`": model.OnClose,
    "`[lead.decline]`": model.Decline,
    "`reasons`": model.DeclineReason,
    "`[measurement]`": model.Measurement,
    "`work`": model.WorkKind,
    "`zones`": model.Zone,
    "`travel`": model.Travel,
    "`ways`": model.Way,
    "`measurers`": model.MeasurerRule,
}
BELOW = "ниже"


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Returns the table under a heading: key to (example, what it means)."""
    section = next(part for part in CHAPTER.split("\n### ")[1:] if part.split(":")[0].split("\n")[0] == heading)
    found = re.findall(r"^\| `(\w+)` \| (`[^`]+`|ниже) \| (.+) \|$", section, re.MULTILINE)
    assert len(found) == section.count("\n| `"), f"{heading}: a row without example or words"
    return {key: (example.strip("`"), words) for key, example, words in found}


def inside(annotation: Any) -> set[Any]:
    """Returns the types and values an annotation is made of."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {annotation}.union(*(inside(one) for one in get_args(annotation)))


def test_every_section_of_the_model_has_its_part_in_the_chapter() -> None:
    known = {one for section in SECTIONS.values() for field in section.model_fields.values()
             for one in inside(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)}  # fmt: skip
    assert known - set(SECTIONS.values()) == {model.LocalText}
    headings = {part.split(":")[0].split("\n")[0] for part in CHAPTER.split("\n### ")[1:]}
    assert headings - set(SECTIONS) == {"Хорошая шкала статусов", "Инструкция менеджерам"}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_explained_and_no_other(heading: str) -> None:
    assert list(rows(heading)) == list(SECTIONS[heading].model_fields)


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_example_is_taken_by_the_model(heading: str) -> None:
    for key, (example, _) in rows(heading).items():
        field = SECTIONS[heading].model_fields[key]
        if example == BELOW:
            assert inside(field.annotation) & set(SECTIONS.values()), key
            continue
        annotation: Any = field.annotation
        for more in field.metadata:
            annotation = Annotated[annotation, more]
        written = tomllib.loads(f"x = {example}")["x"]
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        assert adapter.validate_python(written) is not None, key


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_choice_is_named(heading: str) -> None:
    for key, (example, words) in rows(heading).items():
        choices = {one for one in inside(SECTIONS[heading].model_fields[key].annotation) if isinstance(one, str)}
        named = set(re.findall(r"`([^`]+)`", words))
        assert example == BELOW or choices <= named, f"{heading} {key}: {choices - named}"


def test_the_example_of_the_whole_is_a_playbook() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", CHAPTER, re.DOTALL)
    assert parse_playbook(example, "the guide").lead.stages[1].tasks[0].on_close is not None
