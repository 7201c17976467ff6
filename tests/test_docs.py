"""Documents that say what is no longer true are worse than none: they are held to the code here."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from b24app.__main__ import _parser
from b24app.config import Settings, parse
from b24app.playbook import load_playbook
from b24app.rules.confirmation import diagram, plan
from b24app.rules.slots import Board, Busy, Job, Measurer, Policy, Wish
from b24app.rules.working_time import WorkCalendar, day_text
from install.wanted import SCOPES

ROOT = Path(__file__).parent.parent
EXAMPLE = (ROOT / "config.example.toml").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
MEASUREMENT = (ROOT / "docs" / "measurement.md").read_text("utf-8")
ZONE = ZoneInfo("Europe/Moscow")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def _keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        inner = [field.annotation, *get_args(field.annotation)]
        section = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), None)
        found |= _keys(section, f"{prefix}{name}.") if section else {f"{prefix}{name}"}
    return found


def test_the_example_explains_every_setting_and_no_other() -> None:
    named: set[str] = set()
    section, explained = "", False
    for line in EXAMPLE.splitlines():
        if line.startswith("["):
            section, explained = line.strip("[]") + ".", False
        elif line.startswith("#"):
            explained = True
        elif "=" in line:
            name = section + line.split("=")[0].strip()
            named.add(name)
            assert explained or name == "portals.client_secret", f"{name} has no explanation"
            explained = False
    assert named == _keys(Settings)


def test_the_example_is_refused_until_its_secret_is_replaced_and_accepted_then() -> None:
    with pytest.raises(Exception, match=r"app\.secret_key"):
        parse(EXAMPLE)
    settings = parse(EXAMPLE.replace('secret_key = ""', f'secret_key = "{"k" * 40}"'))
    assert settings.portals[0].host == "company.bitrix24.ru"


def test_defaults_in_the_example_are_the_real_ones() -> None:
    written = tomllib.loads(EXAMPLE)
    for section, model in Settings.model_fields.items():
        if section in ("app", "portals"):
            continue
        assert model.default.model_dump(mode="json") == written[section], section


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        for code in re.findall(
            r"`(?:[^`\n]*&& )?make ([a-z ]+)[^`]*`|^ {4,}(?:.*&& )?make ([a-z]+)", page.read_text("utf-8"), re.M
        ):
            for target in " ".join(code).split():
                assert target in targets, f"{page.name}: make {target}"


def test_commands_that_are_named_exist() -> None:
    commands = set(next(a for a in _parser()._actions if a.dest == "command").choices or ())
    named = set()
    for page in PAGES:
        text = page.read_text("utf-8")
        named |= set(
            re.findall(
                r"b24app(?: --config \S+)? ([a-z]+)\b(?=[^\n]*[`\n])",
                "\n".join(re.findall(r"`[^`\n]+`|^ {4,}.*$", text, re.M)),
            )
        )
    assert {"run", "doctor", "demo", "web", "worker", "clock"} <= named
    assert named - {"b"} <= commands, named - commands


def test_files_that_are_linked_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_names_every_permission_that_the_installation_asks_for() -> None:
    for scope in SCOPES:
        assert f"`{scope.name}`" in README, scope.name


def test_the_readme_starts_with_the_two_commands() -> None:
    assert re.match(r"# b24app\n\n    make demo\n    make test\n", README)


def test_the_changelog_has_a_section_for_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    section = (ROOT / "CHANGELOG.md").read_text("utf-8").split(f"\n## {version}\n")[1].split("\n## ")[0]
    assert section.strip()


def test_shared_pins_of_the_two_locks_agree() -> None:
    small, large = (
        dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert small
    assert {name: large.get(name) for name in small} == small


def test_the_command_explains_itself() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "b24app", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    for command in ("run", "web", "worker", "clock", "doctor", "demo", "sandbox"):
        assert command in answer.stdout


def test_the_picture_of_a_visit_is_the_machine_itself() -> None:
    first, *_ = re.findall(r"```mermaid\n(.*?)\n```", MEASUREMENT, re.DOTALL)
    assert first == "\n".join(diagram("ru"))


def test_the_examples_of_when_a_client_is_asked_are_right() -> None:
    rules, hours = load_playbook().measurement, load_playbook().hours.calendar()
    assert rules is not None

    def moment(text: str) -> datetime:
        return datetime.strptime(f"2026 {text[3:]}", "%Y %d.%m %H:%M").replace(tzinfo=ZONE)

    def told(at: datetime) -> str:
        there = at.astimezone(ZONE)
        return f"{day_text(there.date(), 'ru', 2026)} {there:%H:%M}"

    when = r"(\w\w \d\d\.\d\d \d\d:\d\d)"
    rows = re.findall(rf"^\| {when} \| {when} \| (.*) \|$", MEASUREMENT, re.MULTILINE)
    assert len(rows) > 5
    for booked, start, words in rows:
        assert (told(moment(booked)), told(moment(start))) == (booked, start)
        found = plan(hours, moment(booked), moment(start), timedelta(minutes=rules.confirm_minutes))
        if found.confirm_at is None or found.confirm_until is None:
            assert words.startswith("сразу"), booked
        else:
            assert words == f"{told(found.confirm_at)}, до {told(found.confirm_until)}", booked


def test_the_example_of_free_times_is_what_the_rules_find() -> None:
    def at(day: int, hour: int) -> datetime:
        return datetime(2026, 11, day, hour, tzinfo=ZONE)

    office = WorkCalendar(opens=time(9), closes=time(19), country="RU", lunch=(time(13), time(14)))
    people = [Measurer(9, "Егор Петров", office, load=2), Measurer(10, "Фёдор Рябов", office, load=1)]
    egor = [Busy(at(27, 9), at(27, 11)), Busy(at(27, 15), at(27, 18), visit=True)]
    board = Board(people, Policy(horizon_days=7), date(2026, 11, 26), {9: egor, 10: [Busy(at(27, 9), at(27, 19))]})
    earliest = office.add_working(at(26, 16), timedelta(hours=2))
    job = Job(timedelta(hours=3), earliest, wish=Wish(parts=frozenset({"morning"})))
    slots = [(slot.grade, slot.text("ru")) for slot in board.best(job, 30)]
    shown = re.findall(r"^\| ([ABC]) \| (.*) \|$", MEASUREMENT, re.MULTILINE)
    assert [grade for grade, _ in shown] == ["A", "A", "B", "C"]
    assert [slot for slot in slots if slot in shown] == shown
    for start in (at(28, 10), at(27, 14), at(27, 17)):
        why = board.why(9, start, job)
        assert why is not None
        assert f"«{why['ru']}»" in MEASUREMENT.replace("\n", " ")
