"""A playbook against what a portal has: nothing is lost, doing the difference leaves none, conflicts are named."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b24app.errors import ConfigError
from b24app.playbook import Playbook, load_playbook, parse_playbook
from b24app.store.applied import AppliedRow
from install.export import exported, to_toml
from install.process import SECTION, PresentProcess, present_process, process_steps
from install.undo import UndoStep, undo_steps
from install.wanted import Step

KITCHEN = load_playbook()
OWN_CODES = [field.code for field in KITCHEN.lead.fields if field.own] + ["UF_CRM_B24_DECLINE"]
SYSTEM_STAGES = [
    ("NEW", "Не обработан", "Не обработан", ""), ("IN_PROCESS", "В работе", "В работе", ""),
    ("PROCESSED", "Обработан", "Обработан", ""), ("CONVERTED", "Качественный лид", "Качественный лид", "S"),
    ("JUNK", "Некачественный лид", "Некачественный лид", "F"),
]  # fmt: skip


class Model:
    """A portal in small: it understands the commands that a difference may hold, and our record of them."""

    def __init__(self, stages: list[tuple[str, str, str, str]] | None = None) -> None:
        self.ids = itertools.count(1)
        self.stages: list[dict[str, Any]] = []
        self.fields: list[dict[str, Any]] = []
        self.layout: list[dict[str, Any]] | None = None
        self.rows: dict[str, AppliedRow] = {}
        for place, (code, name, initial, semantics) in enumerate(SYSTEM_STAGES if stages is None else stages):
            self.stage(code, name, initial=initial, semantics=semantics, sort=(place + 1) * 10)

    def stage(self, code: str, name: str, *, sort: int, initial: str = "", semantics: str = "") -> None:
        row = {"ID": str(next(self.ids)), "STATUS_ID": code, "NAME": name, "NAME_INIT": initial, "SORT": str(sort)}
        self.stages.append({**row, "SEMANTICS": semantics or None, "COLOR": "#39A8EF"})

    def field(self, code: str, label: str, type: str, values: tuple[str, ...] = (), multiple: str = "N") -> None:
        listed = [{"ID": str(next(self.ids)), "VALUE": value, "XML_ID": f"x{value}", "SORT": "10"} for value in values]
        self.fields.append(
            {
                "ID": str(next(self.ids)), "FIELD_NAME": code, "USER_TYPE_ID": type, "MULTIPLE": multiple,
                "EDIT_FORM_LABEL": label, "LIST": listed,
            }
        )  # fmt: skip

    @property
    def present(self) -> PresentProcess:
        return present_process(
            "lead",
            {
                "lead_stages": self.stages, "lead_fields_ru": self.fields, "lead_fields_en": self.fields,
                "lead_system": {"fields": {"name": {}, "title": {}}}, "lead_layout": self.layout,
            },
        )  # fmt: skip

    def steps(self, playbook: Playbook = KITCHEN) -> list[Step]:
        return process_steps("lead", playbook, self.present, self.rows)

    def keep(self, step: Step) -> None:
        for record in step.records:
            known = self.rows.get(record.name)
            self.rows[record.name] = AppliedRow(
                record.name,
                record.portal_id,
                known.made if known else record.made,
                record.before or (known.before if known else None),
                datetime.now(UTC),
            )

    def do(self, step: Step | UndoStep) -> None:
        assert step.call is not None
        params: Mapping[str, Any] = step.call.params
        match step.call.method:
            case "crm.status.add":
                new = params["fields"]
                won = next(int(row["SORT"]) for row in self.stages if row["SEMANTICS"] == "S")
                assert new.get("SEMANTICS") == "F" or new["SORT"] < won, "the portal refuses a stage after success"
                self.stage(new["STATUS_ID"], new["NAME"], sort=new["SORT"], semantics=new.get("SEMANTICS", ""))
            case "crm.status.update":
                row = next(row for row in self.stages if row["ID"] == str(params["id"]))
                row |= {name: str(value) for name, value in params["fields"].items()}
            case "crm.status.delete":
                self.stages = [row for row in self.stages if row["ID"] != str(params["id"])]
            case "crm.lead.userfield.add":
                new = params["fields"]
                self.field(new["FIELD_NAME"], new["LABEL"], new["USER_TYPE_ID"], multiple=new["MULTIPLE"])
                self._add_values(self.fields[-1], new.get("LIST", []))
            case "crm.lead.userfield.update":
                self._add_values(
                    next(row for row in self.fields if row["ID"] == str(params["id"])), params["fields"]["LIST"]
                )
            case "crm.lead.userfield.delete":
                self.fields = [row for row in self.fields if row["ID"] != str(params["id"])]
            case "crm.item.details.configuration.set":
                self.layout = [dict(section) for section in params["data"]]
            case other:
                raise AssertionError(other)

    def _add_values(self, field: dict[str, Any], values: list[dict[str, Any]]) -> None:
        for value in values:
            known = next((one for one in field["LIST"] if one["ID"] == value.get("ID")), None)
            if known is not None and value.get("DEL") == "Y":
                field["LIST"].remove(known)
                continue
            assert value["XML_ID"] not in [one["XML_ID"] for one in field["LIST"]]
            field["LIST"].append(
                {"ID": str(next(self.ids)), **{key: str(value[key]) for key in ("VALUE", "XML_ID", "SORT")}}
            )

    def apply(self, playbook: Playbook = KITCHEN) -> list[Step]:
        steps = self.steps(playbook)
        for step in steps:
            self.keep(step)
            if step.call is not None:
                self.do(step)
        for step in self.steps(playbook):
            self.keep(step)
        return steps

    def undo(self) -> None:
        for step in list(undo_steps("lead", KITCHEN.lead, self.rows, self.present)):
            if step.call is not None:
                self.do(step)
            for name in step.forgets:
                del self.rows[name]


def states(steps: list[Step]) -> dict[str, str]:
    return {step.key: step.state for step in steps}


def test_a_fresh_portal_gets_the_missing_and_its_delivered_names_are_changed() -> None:
    portal = Model()
    found = states(portal.apply())
    assert {key for key, state in found.items() if state == "add"} == {
        "lead.stage:offer_sent", "lead.stage:measurement", "lead.field:theme", "lead.field:client_type",
        "lead.field:preliminary_sum", "lead.field:address", "lead.field:measurer", "lead.field:measure_at",
        "lead.decline",
    }  # fmt: skip
    assert {key for key, state in found.items() if state == "update"} == {
        "lead.stage:new", "lead.stage:client", "lead.stage:junk",
    }  # fmt: skip
    scale = sorted(portal.stages, key=lambda row: int(row["SORT"]))
    assert [row["NAME"] for row in scale] == [
        "Новый", "Клиент наш", "Каталог и КП отправлены", "Замер назначен", "Обработан", "Качественный лид", "Отказ",
    ]  # fmt: skip
    assert portal.rows["lead.value:client_type:designer"].portal_id
    assert portal.rows["lead.decline:price"].portal_id


OTHER_NAMES = st.sampled_from(["Каталог и КП отправлены", "замер  назначен", "Our client", "Что-то своё", "Новый"])
CODES = st.sampled_from([*OWN_CODES, "UF_CRM_1700000001", "UF_CRM_THEIRS"])
LABELS = st.sampled_from(["Тема обращения", "тип клиента", "Адрес объекта на карте", "Причина отказа", "Иное"])


@st.composite
def portals(draw: st.DrawFn) -> Model:
    portal = Model()
    for row in portal.stages:
        if draw(st.booleans()):
            row["NAME"] = draw(OTHER_NAMES)
    for number, name in enumerate(draw(st.lists(OTHER_NAMES, max_size=3))):
        code = draw(st.sampled_from(["B24_OFFER_SENT", "B24_MEASUREMENT", f"UC_{number}"]))
        if code not in [row["STATUS_ID"] for row in portal.stages]:
            semantics = draw(st.sampled_from(["", "", "F"]))
            sort = draw(st.integers(11, 39)) if not semantics else draw(st.integers(50, 60))
            portal.stage(code, name, sort=sort, semantics=semantics)
    for code in draw(st.lists(CODES, unique=True, max_size=4)):
        type = draw(st.sampled_from(["string", "enumeration", "money", "address"]))
        values = ("Дизайнер", "Ещё кто-то", "Не устроила цена") if type == "enumeration" else ()
        portal.field(code, draw(LABELS), type, values, draw(st.sampled_from(["N", "N", "Y"])))
    if draw(st.booleans()):
        portal.layout = [{"name": "main", "title": "О лиде", "type": "section", "elements": [{"name": "TITLE"}]}]
    return portal


@settings(deadline=None)
@given(portals())
def test_whatever_is_there_nothing_is_lost_and_the_second_time_changes_nothing(portal: Model) -> None:
    stages = {(row["ID"], row["STATUS_ID"], row["SEMANTICS"]) for row in portal.stages}
    renamed_by_hand = {row["ID"]: row["NAME"] for row in portal.stages if row["NAME"] != row["NAME_INIT"]}
    fields = {row["ID"]: (row["FIELD_NAME"], row["USER_TYPE_ID"], row["EDIT_FORM_LABEL"]) for row in portal.fields}
    values = {(row["ID"], value["ID"], value["VALUE"]) for row in portal.fields for value in row["LIST"]}
    conflicts = {step.key for step in portal.apply() if step.state == "conflict"}
    assert stages <= {(row["ID"], row["STATUS_ID"], row["SEMANTICS"]) for row in portal.stages}
    assert {row["ID"]: row["NAME"] for row in portal.stages if row["ID"] in renamed_by_hand} == renamed_by_hand
    now = {row["ID"]: (row["FIELD_NAME"], row["USER_TYPE_ID"], row["EDIT_FORM_LABEL"]) for row in portal.fields}
    assert fields.items() <= now.items()
    assert values <= {(row["ID"], value["ID"], value["VALUE"]) for row in portal.fields for value in row["LIST"]}
    again = portal.steps()
    assert [step.key for step in again if step.call is not None] == []
    assert {step.key for step in again if step.state == "conflict"} == conflicts
    for row in portal.rows.values():
        assert row.portal_id
    for kind in (portal.stages, portal.fields):
        codes = [row.get("STATUS_ID") or row.get("FIELD_NAME") for row in kind]
        assert len(codes) == len(set(codes))


@settings(deadline=None)
@given(portals())
def test_the_scale_stays_in_order_open_then_success_then_failure(portal: Model) -> None:
    portal.apply()
    ranks = {"S": 1, "F": 2}
    scale = sorted(portal.stages, key=lambda row: (int(row["SORT"]), ranks.get(row["SEMANTICS"] or "", 0)))
    seen = [ranks.get(row["SEMANTICS"] or "", 0) for row in scale]
    assert seen == sorted(seen)


@settings(deadline=None)
@given(portals())
def test_undo_gives_back_the_portal_as_it_was(portal: Model) -> None:
    def picture() -> Any:
        stages = {(row["STATUS_ID"], row["NAME"], row["SORT"]) for row in portal.stages}
        fields = {(row["FIELD_NAME"], *(value["VALUE"] for value in row["LIST"])) for row in portal.fields}
        shown = [(one["name"], [element["name"] for element in one["elements"]]) for one in portal.layout or ()]
        return stages, fields, shown

    before = picture()
    portal.apply()
    portal.undo()
    assert picture() == before
    assert portal.rows == {}


def test_a_crowded_scale_makes_room_from_its_end() -> None:
    portal = Model(
        [("NEW", "Новый", "Новый", ""), ("IN_PROCESS", "Клиент наш", "", ""), ("CONVERTED", "Ок", "Ок", "S")]
    )
    for number, row in enumerate(portal.stages):
        row["SORT"] = str(number + 1)
    portal.stage("JUNK", "Отказ", sort=4, semantics="F")
    moved = [
        (step.key, step.call.params["fields"]["SORT"]) for step in portal.steps() if "order" in step.key and step.call
    ]
    assert [key for key, _ in moved] == ["lead.order:JUNK", "lead.order:CONVERTED"]
    portal.apply()
    assert [row["STATUS_ID"] for row in sorted(portal.stages, key=lambda row: int(row["SORT"]))] == [
        "NEW", "IN_PROCESS", "B24_OFFER_SENT", "B24_MEASUREMENT", "CONVERTED", "JUNK",
    ]  # fmt: skip


def test_a_stage_under_another_id_is_taken_over_by_its_name() -> None:
    portal = Model()
    portal.stage("UC_1", "Каталог и КП отправлены", sort=25)
    found = states(portal.apply())
    assert found["lead.stage:offer_sent"] == "adopted"
    row = portal.rows["lead.stage:offer_sent"]
    assert (row.portal_id, row.made) == ("UC_1", False)


def test_a_name_given_by_a_person_stays() -> None:
    portal = Model()
    portal.stages[1]["NAME"] = "Квалификация"
    assert states(portal.apply())["lead.stage:client"] == "adopted"
    assert portal.stages[1]["NAME"] == "Квалификация"


def test_a_name_that_a_person_changed_after_us_stays_through_undo() -> None:
    portal = Model()
    portal.apply()
    portal.stages[0]["NAME"] = "Входящие"
    portal.undo()
    assert portal.stages[0]["NAME"] == "Входящие"


def test_a_field_under_another_code_is_taken_over_with_its_values() -> None:
    portal = Model()
    portal.field("UF_CRM_1700", "Тип клиента", "enumeration", ("дизайнер",))
    steps = portal.apply()
    assert states(steps)["lead.field:client_type"] == "adopted"
    assert states(steps)["lead.field:client_type:values"] == "update"
    assert portal.rows["lead.field:client_type"].portal_id == "UF_CRM_1700"
    made = {name: row.made for name, row in portal.rows.items() if name.startswith("lead.value:")}
    assert made == {
        "lead.value:client_type:designer": False,
        "lead.value:client_type:end_client": True,
        "lead.value:client_type:dealer": True,
    }


@pytest.mark.parametrize(
    ("code", "label", "type", "multiple", "key"),
    [
        ("UF_CRM_B24_THEME", "Тема", "money", "N", "lead.field:theme"),
        ("UF_CRM_B24_THEME", "Тема", "string", "Y", "lead.field:theme"),
        ("UF_CRM_OTHER", "Тип клиента", "string", "N", "lead.field:client_type"),
    ],
)
def test_what_cannot_be_brought_together_is_a_conflict_and_not_touched(
    code: str, label: str, type: str, multiple: str, key: str
) -> None:
    portal = Model()
    portal.field(code, label, type, multiple=multiple)
    step = next(step for step in portal.steps() if step.key == key)
    assert (step.state, step.call) == ("conflict", None)
    assert step.note
    assert code in step.note["ru"]
    assert code in step.note["en"]


def test_a_name_in_another_group_of_stages_is_a_conflict() -> None:
    portal = Model()
    portal.stage("UC_9", "Замер назначен", sort=60, semantics="F")
    step = next(step for step in portal.steps() if step.key == "lead.stage:measurement")
    assert (step.state, step.call) == ("conflict", None)


def test_a_list_value_changed_by_hand_stays_and_is_told() -> None:
    portal = Model()
    portal.apply()
    field = next(row for row in portal.fields if row["FIELD_NAME"] == "UF_CRM_B24_CLIENT_TYPE")
    field["LIST"][1]["VALUE"] = "Дизайнер интерьера"
    step = next(step for step in portal.steps() if step.key == "lead.field:client_type")
    assert step.state == "adopted"
    assert step.note
    assert "Дизайнер интерьера" in step.note["ru"]
    assert not any(one.call for one in portal.steps())


def test_a_stage_or_value_deleted_by_hand_is_made_again() -> None:
    portal = Model()
    portal.apply()
    portal.stages = [row for row in portal.stages if row["STATUS_ID"] != "B24_MEASUREMENT"]
    field = next(row for row in portal.fields if row["FIELD_NAME"] == "UF_CRM_B24_CLIENT_TYPE")
    del field["LIST"][0]
    found = {step.key for step in portal.steps() if step.call}
    assert found == {"lead.stage:measurement", "lead.field:client_type:values"}


def test_our_section_goes_into_a_card_that_somebody_arranged_and_leaves_it_again() -> None:
    portal = Model()
    portal.layout = [{"name": "main", "title": "О лиде", "type": "section", "elements": [{"name": "UF_CRM_B24_THEME"}]}]
    portal.apply()
    assert [section["name"] for section in portal.layout] == ["main", SECTION]
    assert [one["name"] for one in portal.layout[1]["elements"]] == [code for code in OWN_CODES if "THEME" not in code]
    portal.undo()
    assert [section["name"] for section in portal.layout] == ["main"]
    assert portal.layout[0]["elements"] == [{"name": "UF_CRM_B24_THEME"}]


def test_a_card_as_delivered_is_not_replaced() -> None:
    portal = Model()
    step = next(step for step in portal.steps() if step.key == "lead.card")
    assert (step.state, step.call) == ("impossible", None)


def test_a_system_field_that_the_portal_lacks_is_a_conflict() -> None:
    text = 'name = "x"\n[[lead.fields]]\nkey = "n"\ncode = "nowhere"\ntype = "string"\nname = { ru = "Н", en = "N" }\n'
    assert [step.state for step in Model().steps(parse_playbook(text, "x"))] == ["conflict"]


def test_what_cannot_be_read_is_said_and_nothing_is_made_blindly() -> None:
    steps = process_steps("lead", KITCHEN, present_process("lead", {}), {})
    assert {step.state for step in steps} == {"conflict"}
    assert not any(step.call for step in steps)


def test_deals_of_another_pipeline_are_looked_for_there() -> None:
    text = 'name = "x"\n[[deal.stages]]\nkey = "n"\nid = "C2:NEW"\nname = { ru = "Н", en = "N" }\n'
    present = present_process("deal", {"deal_stages": []})
    (step,) = process_steps("deal", parse_playbook(text, "x"), present, {})
    assert step.state == "conflict"


# export


def test_a_playbook_written_and_read_again_is_the_same() -> None:
    assert parse_playbook(to_toml(KITCHEN), "again") == KITCHEN


MEASURING = """
sms = "Замер {date}"
rounds = 5
users = [9, 10]
over_night = true
checklist = { items = ["Снять размеры"] }
work = [
    { key = "a", name = { ru = "А", en = "A" }, minutes = 240, only_if = { field = "theme", one_of = ["шкаф"] } },
    { key = "b", name = { ru = "Б", en = "B" }, minutes = 120, skills = ["x"] },
]
zones = [{ key = "north", name = "Север", words = ["Мытищи"] }, { key = "south", name = "Юг", words = ["Чехов"] }]
travel = { inside_work = false, km_per_hour = 30.5, ways = [{ zones = ["north", "south"], minutes = 90 }] }
measurers = [
    { user = 9, zones = ["north"], skills = ["x"], shifts = { SA = ["10:00-13:00", "14:00-16:00"], MO = [] } },
    { user = 10, schedule = 3 },
]
"""


def _measuring(text: str = MEASURING) -> Playbook:
    """The kitchen's playbook with other rules of measurements."""
    head = Path("playbooks/kitchen.toml").read_text("utf-8").split("\n[measurement]\n")[0]
    fields = 'stage = "measurement"\naddress = "address"\nmeasurer = "measurer"\ndate = "measure_at"\n'
    return parse_playbook(f'{head}\n[measurement]\n{fields}sum = "preliminary_sum"\n{text}', "measuring")


def test_rules_of_measurements_are_written_and_read_again_and_an_applied_portal_keeps_them() -> None:
    playbook, portal = _measuring(), Model()
    assert playbook.measurement is not None
    assert parse_playbook(to_toml(playbook), "again") == playbook
    portal.apply(playbook)
    again = parse_playbook(exported(playbook, {"lead": portal.present}, portal.rows, "Наш"), "Наш")
    assert again.measurement == playbook.measurement
    types = {field.key: (field.code, field.type) for field in again.lead.fields}
    assert types["measurer"] == ("UF_CRM_B24_MEASURER", "employee")
    assert types["measure_at"] == ("UF_CRM_B24_MEASURE_AT", "datetime")


@pytest.mark.parametrize(
    ("lacks", "stays"),
    [("UF_CRM_B24_MEASURER", False), ("UF_CRM_B24_PRELIMINARY_SUM", True), ("UF_CRM_B24_THEME", True)],
)
def test_rules_of_measurements_go_where_the_portal_lacks_what_they_cannot_do_without(lacks: str, stays: bool) -> None:
    playbook, portal = _measuring(), Model()
    portal.apply(playbook)
    portal.fields = [row for row in portal.fields if row["FIELD_NAME"] != lacks]
    text = exported(playbook, {"lead": portal.present}, portal.rows, "Наш")
    rules = parse_playbook(text, "Наш").measurement
    assert (rules is not None) == stays
    assert ("# measurement: measurer: 'measurer' нигде не описано" in text) != stays
    if rules is not None:
        assert (rules.sum is None) == ("SUM" in lacks)
        assert [kind.key for kind in rules.work] == (["b"] if "THEME" in lacks else ["a", "b"])


def test_an_applied_portal_is_exported_with_its_rules_and_tasks() -> None:
    portal = Model()
    portal.apply()
    playbook = parse_playbook(exported(KITCHEN, {"lead": portal.present}, portal.rows, "Наш"), "Наш")
    client = playbook.lead.stage("client")
    assert client is not None
    assert client.requires == KITCHEN.lead.stage("client").requires
    assert [rule.key for rule in client.tasks] == ["send_offer", "fill_email"]
    assert playbook.lead.decline
    assert [one.then for one in playbook.lead.decline.reasons][2] == "later"
    assert [step.key for step in portal.steps(playbook) if step.call] == []


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@settings(deadline=None)
@given(
    portals(), st.lists(TEXTS, max_size=3), TEXTS, st.sampled_from(["UC_A", "lower", "DT1038_37:SUCCESS_TOO_LONG_ID"])
)
def test_any_portal_becomes_a_playbook_that_can_be_read(
    portal: Model, values: list[str], name: str, stage_id: str
) -> None:
    portal.stage(stage_id, name, sort=15)
    portal.field("UF_CRM_ANY", name, "enumeration", tuple(values))
    portal.field("UF_CRM_CRM", name, "crm")
    text = exported(KITCHEN, {"lead": portal.present}, {}, name)
    playbook = parse_playbook(text, "any")
    assert len(playbook.lead.stages) >= 5
    assert "UF_CRM_CRM" in text
    assert "UF_CRM_CRM" not in [field.code for field in playbook.lead.fields]


def test_a_broken_text_is_not_passed_on() -> None:
    with pytest.raises(ConfigError):
        parse_playbook(to_toml(KITCHEN) + '\n[[lead.stages]]\nkey = "new"\n', "x")
