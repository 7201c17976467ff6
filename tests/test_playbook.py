"""The playbook: the built-in one, and every mistake named at once by its path (hours, assignment, intake, texts)."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from b24app.errors import ConfigError
from b24app.playbook import load_playbook, parse_playbook
from b24app.rules.assignment import Policy


def test_the_built_in_playbook_is_the_kitchen_shop() -> None:
    playbook = load_playbook()
    assert playbook.name == "Магазин кухонь"
    assert playbook.assignment.policy() == Policy(order="in_turn", limit_open=30, when_nobody="head")
    assert playbook.texts.call_task.format(phone="+7 912 345-67-89", title="") == (
        "Вам необходимо связаться с клиентом по телефону № +7 912 345-67-89"
    )


def test_hours_become_a_calendar() -> None:
    calendar = parse_playbook(
        'name = "x"\n[hours]\ntime_zone = "Asia/Omsk"\nopens = 10:00:00\ncloses = 20:30:00\n'
        'weekend = ["SU"]\ncountry = ""\ndays_off = [2026-12-30]\nwork_days = [2026-12-27]\n',
        "x",
    ).hours.calendar()
    assert (calendar.time_zone, calendar.opens, calendar.closes) == ("Asia/Omsk", time(10), time(20, 30))
    assert calendar.weekend == {6}
    assert not calendar.is_working_day(date(2026, 12, 30))
    assert calendar.is_working_day(date(2026, 12, 27))


def test_lunch_shifts_and_short_days_become_part_of_the_calendar() -> None:
    calendar = parse_playbook(
        'name = "x"\n[hours]\nlunch = "13:00-14:00"\nshifts.SA = ["9:00-12:00", "15:00-01:00"]\nshifts.MO = []\n'
        "[hours.short_days]\n2026-12-30 = 90\n",
        "x",
    ).hours.calendar()
    assert calendar.lunch == (time(13), time(14))
    assert calendar.shifts == {(0, ()), (5, ((time(9), time(12)), (time(15), time(1))))}
    assert calendar.short_days == {(date(2026, 12, 30), 90)}


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('lunch = "13"', "hours.lunch"),
        ('lunch = "13:00-25:00"', "hours.lunch"),
        ("lunch = 13", "hours.lunch"),
        ('shifts.SB = ["10:00-12:00"]', "hours.shifts.SB.[key]"),
        ('shifts.SA = ["10:00-12:00", "11:00-15:00"]', "hours.shifts"),
        ('shifts.SA = ["22:00-02:00", "03:00-04:00"]', "hours.shifts"),
        ("short_days.2026-02-30 = 60", "hours.short_days.2026-02-30.[key]"),
        ("short_days.2026-12-30 = 0", "hours.short_days.2026-12-30"),
    ],
)
def test_a_mistake_in_the_hours_is_named(line: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_playbook(f'name = "x"\n[hours]\n{line}\n', "my.toml")
    assert f"  {path}: " in str(caught.value)


def test_every_mistake_is_named_at_once_by_its_path() -> None:
    text = """
    name = "x"
    colour = "red"
    [hours]
    time_zone = "Europe/Muscovy"
    weekend = ["SA", "Sunday"]
    country = "RUSSIA"
    [assignment]
    order = "random"
    limit_open = -1
    when_nobody = "user"
    [intake]
    call_deadline_minutes = 0
    country = "7"
    answered_on_foreign = "nobody"
    import_from = 1
    [texts]
    call_task = "Позвоните {number}"
    written_task = "Ответьте {source"
    """
    with pytest.raises(ConfigError) as caught:
        parse_playbook(text, "my.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "my.toml: ошибок / mistakes: 13"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == [
        "assignment.fallback_user",
        "assignment.limit_open",
        "assignment.order",
        "colour",
        "hours.country",
        "hours.time_zone",
        "hours.weekend.1",
        "intake.answered_on_foreign",
        "intake.call_deadline_minutes",
        "intake.country",
        "intake.import_from",
        "texts.call_task",
        "texts.written_task",
    ]


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("{phone.__class__}", False),
        ("{phone[0]}", False),
        ("{phone!r}", False),
        ("{}", False),
        ("{0}", False),
        ("}", False),
        ("{{phone}}", True),
        ("{phone} — {title}", True),
    ],
)
def test_texts_fill_their_fields_and_nothing_else(text: str, allowed: bool) -> None:
    source = f'name = "x"\n[texts]\ncall_task = "{text}"\n'
    if allowed:
        assert parse_playbook(source, "x").texts.call_task == text
        return
    with pytest.raises(ConfigError, match=r"texts\.call_task"):
        parse_playbook(source, "x")


def test_what_is_no_toml_or_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="не TOML"):
        parse_playbook("name = ", "x.toml")
    with pytest.raises(ConfigError, match="No such file"):
        load_playbook(str(tmp_path / "none.toml"))
