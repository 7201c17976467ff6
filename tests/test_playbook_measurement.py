"""[measurement] of a playbook: every mistake is named at once by its path, and what it says becomes values (K25)."""

from __future__ import annotations

from datetime import time

import pytest

from b24app.errors import ConfigError
from b24app.playbook import Measurement, load_playbook, parse_playbook

PROCESS = """
name = "x"
[[lead.fields]]
key = "address"
code = "UF_CRM_ADDRESS"
type = "address"
name = { ru = "Адрес", en = "Address" }
[[lead.fields]]
key = "measurer"
code = "UF_CRM_MEASURER"
type = "employee"
name = { ru = "Замерщик", en = "Measurer" }
[[lead.fields]]
key = "measure_at"
code = "UF_CRM_AT"
type = "datetime"
name = { ru = "Дата", en = "Date" }
[[lead.fields]]
key = "theme"
code = "UF_CRM_THEME"
type = "string"
name = { ru = "Тема", en = "Subject" }
[[lead.fields]]
key = "total"
code = "UF_CRM_TOTAL"
type = "money"
name = { ru = "Сумма", en = "Sum" }
[[lead.stages]]
key = "measurement"
id = "MEASURE"
name = { ru = "Замер", en = "Measurement" }
[measurement]
"""
KNOWN = {
    "stage": '"measurement"',
    "address": '"address"',
    "measurer": '"measurer"',
    "date": '"measure_at"',
    "users": "[9]",
    "work": '[{ key = "kitchen", name = { ru = "Кухня", en = "Kitchen" }, minutes = 180 }]',
}


def text(**changes: str) -> str:
    """The smallest section, with some keys as they are said."""
    lines = [f"{key} = {value}" for key, value in {**KNOWN, **changes}.items() if value]
    return PROCESS + "\n".join(lines) + "\n"


def parsed(**changes: str) -> Measurement:
    found = parse_playbook(text(**changes), "my.toml").measurement
    assert found is not None
    return found


def mistakes(**changes: str) -> dict[str, str]:
    """Returns what is wrong by its path."""
    with pytest.raises(ConfigError) as caught:
        parse_playbook(text(**changes), "my.toml")
    first, *lines = str(caught.value).splitlines()
    assert first == f"my.toml: ошибок / mistakes: {len(lines)}"
    return {path: said for path, _, said in (line.strip().partition(": ") for line in lines)}


def work(key: str = "kitchen", minutes: int = 180, more: str = "") -> str:
    return f'{{ key = "{key}", name = {{ ru = "Р", en = "W" }}, minutes = {minutes}{more} }}'


def zone(key: str = "north", words: str = '["Мытищи"]') -> str:
    return f'{{ key = "{key}", name = "Север", words = {words} }}'


ZONES = f"[{zone()}, {zone('south')}]"
COLOUR, THEME = ', only_if = { field = "colour", filled = true }', ', only_if = { field = "theme" }'
ONE_LETTER = '["Ю"]'
WORDS = (
    "title", "phone", "email", "link", "address", "map", "when", "date", "time", "measurer", "measurer_phone", "sum",
    "comments", "work",
)  # fmt: skip


def test_the_smallest_section_is_a_whole_one() -> None:
    rules = parsed()
    assert (rules.process, rules.sum, rules.department, rules.users) == ("lead", None, None, (9,))
    assert parsed(users="", department='"Замеры"').department == "Замеры"
    assert (rules.step_minutes, rules.horizon_days, rules.hold_minutes, rules.rounds) == (30, 30, 15, 3)
    assert (rules.over_lunch, rules.over_night, rules.travel.inside_work) == (True, False, True)
    assert (rules.moved_by_hand, rules.deleted_by_hand) == ("follow", "object")
    assert parse_playbook('name = "x"\n', "x").measurement is None


def test_k25_the_built_in_kitchen_takes_three_hours_the_way_included() -> None:
    rules = load_playbook().measurement
    assert rules is not None
    assert [(one.key, one.minutes, one.only_if) for one in rules.work] == [("kitchen", 180, None)]
    assert rules.travel.inside_work
    assert rules.sms == "Замер {date} в {time}. Приедет {measurer}, тел. {measurer_phone}. Замер бесплатный."


def test_k25_other_kinds_of_work_are_a_line_each() -> None:
    stone = ', skills = ["stone"], only_if = { field = "theme", one_of = ["камень"] }'
    rules = parsed(work=f"[{work()}, {work('wardrobe', 120)}, {work('stairs', 240, stone)}]")
    assert [(one.key, one.minutes, one.skills) for one in rules.work] == [
        ("kitchen", 180, ()),
        ("wardrobe", 120, ()),
        ("stairs", 240, ("stone",)),
    ]
    condition = rules.work[2].only_if
    assert condition is not None
    assert (condition.field, condition.one_of) == ("theme", ("камень",))


def test_what_is_special_about_measurers_and_ways_is_read() -> None:
    rules = parsed(
        users="[9, 10]",
        zones=ZONES,
        measurers='[{ user = 9, zones = ["north"], skills = ["stone"], shifts.SA = ["10:00-15:00"], schedule = 3 }]',
        travel='{ inside_work = false, usual_minutes = 30, ways = [{ zones = ["north", "south"], minutes = 90 }] }',
        sum='"total"',
    )
    (measurer,) = rules.measurers
    assert (measurer.user, measurer.zones, measurer.skills, measurer.schedule) == (9, ("north",), ("stone",), 3)
    assert measurer.shifts == {"SA": ((time(10), time(15)),)}
    assert [(one.zones, one.minutes) for one in rules.travel.ways] == [(("north", "south"), 90)]


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"stage": '"nowhere"'}, "stage", "нигде не описано"),
        ({"stage": ""}, "stage", "required"),
        ({"date": '"nowhere"'}, "date", "нигде не описано"),
        ({"sum": '"nowhere"'}, "sum", "нигде не описано"),
        ({"address": '"measure_at"'}, "address", "address, string, text"),
        ({"measurer": '"theme"'}, "measurer", "employee"),
        ({"date": '"theme"'}, "date", "datetime"),
        ({"sum": '"measurer"'}, "sum", "money, double, integer, string"),
        ({"process": '"deal"'}, "process", "раздела [deal] нет"),
        ({"process": '"contact"'}, "process", "'lead' or 'deal'"),
        ({"colour": '"red"'}, "colour", "Extra inputs"),
        ({"users": ""}, "department", "кто замерщики?"),
        ({"work": ""}, "work", "required"),
        ({"work": "[]"}, "work", "at least 1"),
        ({"work": f"[{work(minutes=0)}]"}, "work.0.minutes", "greater than 0"),
        ({"work": f"[{work(minutes=1441)}]"}, "work.0.minutes", "1440"),
        ({"work": f"[{work('Кухня')}]"}, "work.0.key", "pattern"),
        ({"work": f"[{work()}, {work('stairs')}, {work()}]"}, "work.2.key", "стоит дважды"),
        (
            {"work": f"[{work(more=COLOUR)}]"},
            "work.0.only_if.field",
            "нигде не описано",
        ),
        ({"work": f"[{work(more=THEME)}]"}, "work.0.only_if", "one of them"),
        ({"zones": f"[{zone()}, {zone()}]"}, "zones.1.key", "стоит дважды"),
        ({"zones": f"[{zone(words='[]')}]"}, "zones.0.words", "at least 1"),
        ({"zones": f"[{zone(words=ONE_LETTER)}]"}, "zones.0.words.0", "at least 2"),
        ({"measurers": "[{ user = 0 }]"}, "measurers.0.user", "greater than 0"),
        ({"measurers": "[{ user = 9 }, { user = 9 }]"}, "measurers.1.user", "стоит дважды"),
        ({"measurers": '[{ user = 9, zones = ["west"] }]', "zones": ZONES}, "measurers.0.zones", "'west'"),
        ({"measurers": '[{ user = 9, shifts = { SB = ["10:00-15:00"] } }]'}, "measurers.0.shifts.SB.[key]", "'SA'"),
        ({"measurers": '[{ user = 9, shifts = { SA = ["10"] } }]'}, "measurers.0.shifts.SA.0", "13:00-14:00"),
        ({"measurers": "[{ user = 9, schedule = 0 }]"}, "measurers.0.schedule", "greater than 0"),
        (
            {"travel": '{ ways = [{ zones = ["north", "west"], minutes = 5 }] }', "zones": ZONES},
            "travel.ways.0.zones",
            "'west'",
        ),
        ({"travel": '{ ways = [{ zones = ["north"], minutes = 5 }] }'}, "travel.ways.0.zones.1", "required"),
        ({"travel": "{ usual_minutes = -1 }"}, "travel.usual_minutes", "greater than"),
        ({"travel": "{ km_per_hour = 0 }"}, "travel.km_per_hour", "greater than 0"),
        ({"step_minutes": "7"}, "step_minutes", "multiple of 5"),
        ({"step_minutes": "0"}, "step_minutes", "greater than 0"),
        ({"step_minutes": "245"}, "step_minutes", "240"),
        ({"buffer_minutes": "-1"}, "buffer_minutes", "greater than"),
        ({"daily_limit": "-1"}, "daily_limit", "greater than"),
        ({"horizon_days": "0"}, "horizon_days", "greater than"),
        ({"horizon_days": "93"}, "horizon_days", "92"),
        ({"earliest_minutes": "-1"}, "earliest_minutes", "greater than"),
        ({"over_lunch": '"да"'}, "over_lunch", "boolean"),
        ({"hold_minutes": "0"}, "hold_minutes", "greater than"),
        ({"hold_minutes": "1441"}, "hold_minutes", "1440"),
        ({"confirm_minutes": "0"}, "confirm_minutes", "greater than"),
        ({"rounds": "0"}, "rounds", "greater than"),
        ({"moved_by_hand": '"ask"'}, "moved_by_hand", "'follow' or 'object'"),
        ({"deleted_by_hand": '"ask"'}, "deleted_by_hand", "'follow' or 'object'"),
        ({"not_home": '"х"'}, "not_home", "at least 3"),
        ({"checklist": "{ items = [] }"}, "checklist.items", "at least 1"),
        ({"map_url": '"https://x/{street}"'}, "map_url", "{street}"),
        ({"map_url": '"https://x/{address.text}"'}, "map_url", "только имя в скобках"),
        ({"sms": '"Приедет {name}"'}, "sms", "{name}: можно"),
        ({"sms": '"Приедет {measurer"'}, "sms", "expected '}'"),
        ({"sms": '"{measurer!r}"'}, "sms", "только имя в скобках"),
        ({"sms": '"{}"'}, "sms", "только имя в скобках"),
        ({"confirm_task": '"{phone_of}"'}, "confirm_task", "{phone_of}: можно"),
        ({"confirm_text": '"{theme}"'}, "confirm_text", "{theme}: можно"),
        ({"measurer_task": '"{time:%H}"'}, "measurer_task", "только имя в скобках"),
        ({"measurer_text": '"{address[0]}"'}, "measurer_text", "только имя в скобках"),
    ],
)
def test_a_mistake_is_named_by_its_path(changes: dict[str, str], path: str, said: str) -> None:
    found, path = mistakes(**changes), f"measurement.{path}"
    assert said in found[path]
    assert all(path.startswith(other) for other in found)  # a list whose only row is wrong is short of rows too


def test_every_mistake_is_named_at_once() -> None:
    found = mistakes(step_minutes="7", rounds="0", sms='"{name}"', colour="1", moved_by_hand='"ask"')
    assert sorted(found) == [
        f"measurement.{key}" for key in ("colour", "moved_by_hand", "rounds", "sms", "step_minutes")
    ]
    found = mistakes(
        stage='"nowhere"',
        address='"theme"',
        date='"theme"',
        measurers='[{ user = 9, zones = ["west"] }, { user = 9 }]',
        work=f"[{work()}, {work()}]",
    )
    assert sorted(found) == [
        f"measurement.{key}" for key in ("date", "measurers.0.zones", "measurers.1.user", "stage", "work.1.key")
    ]


@pytest.mark.parametrize("field", ["address", "theme"])
def test_k21_an_address_may_be_a_field_of_text(field: str) -> None:
    assert parsed(address=f'"{field}"').address == field


@pytest.mark.parametrize("key", ["confirm_task", "confirm_text", "measurer_task", "measurer_text", "sms"])
def test_every_word_of_a_visit_may_stand_in_its_texts(key: str) -> None:
    said = " ".join(f"{{{word}}}" for word in WORDS)
    assert getattr(parsed(**{key: f'"{said}"'}), key) == said
