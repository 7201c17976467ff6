"""Card fields between the portal and a browser's inputs: read, typed, written."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.pages.inputs import (
    Mistyped,
    NewFile,
    Option,
    as_if_written,
    current,
    is_multiple,
    known,
    known_options,
    label_of,
    options_of,
    typed,
    written,
)
from b24app.playbook import CardField, LocalText

MOSCOW = ZoneInfo("Europe/Moscow")
SINCE, UNTIL = datetime.fromisoformat("2015-01-01"), datetime.fromisoformat("2035-01-01")
FM = {
    "fm": [
        {"id": 7, "typeId": "EMAIL", "valueType": "HOME", "value": "wrong@"},
        {"id": 8, "typeId": "PHONE", "valueType": "WORK", "value": "+79123456789"},
    ]
}


def field(type: str, code: str = "UF_CRM_X") -> CardField:
    return CardField(key="x", code=code, type=type, name=LocalText(ru="Поле", en="Field"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("type", "value", "shown"),
    [
        ("string", "угловая", ("угловая",)),
        ("string", None, ()),
        ("string", "", ()),
        ("enumeration", "45", ("45",)),
        ("enumeration", 45, ("45",)),
        ("enumeration", [45, "46"], ("45", "46")),
        ("enumeration", {"0": 45, "2": 47}, ("45", "47")),
        ("enumeration", 0, ()),
        ("enumeration", False, ()),
        ("boolean", "Y", ("Y",)),
        ("boolean", False, ()),
        ("boolean", "N", ()),
        ("boolean", None, ()),
        ("date", "2026-11-22T03:00:00+03:00", ("2026-11-22",)),
        ("datetime", "2026-11-22T15:00:00+03:00", ("2026-11-22T15:00",)),
        ("datetime", "2026-11-22T12:00:00+00:00", ("2026-11-22T15:00",)),
        ("datetime", "garbage", ()),
        ("money", "300|USD", ("300|USD",)),
        ("money", "300", ("300|RUB",)),
        ("money", "|RUB", ()),
        ("address", "Москва, Тверская 1|55.7;37.6|12", ("Москва, Тверская 1",)),
        ("file", {"id": 9, "url": "/x"}, ("9",)),
        ("file", [{"id": 9}, {"id": 10}], ("9", "10")),
        ("employee", "5", ("5",)),
    ],
)
def test_what_the_portal_holds_is_shown_as_inputs_write_it(type: str, value: Any, shown: tuple[str, ...]) -> None:
    assert current(field(type), {"UF_CRM_X": value}, MOSCOW) == shown


def test_a_sum_of_nothing_is_empty_in_system_fields_only() -> None:
    assert current(field("money", "opportunity"), {"opportunity": 0}, MOSCOW) == ()
    assert current(field("money"), {"UF_CRM_X": "0|RUB"}, MOSCOW) == ("0|RUB",)


@pytest.mark.parametrize(
    ("type", "sent", "values"),
    [
        ("string", "  угловая ", ("угловая",)),
        ("string", "", ()),
        ("integer", "7", ("7",)),
        ("double", "2,50", ("2.5",)),
        ("money", ["12 500,5|RUB"], ("12500.50|RUB",)),
        ("money", ["|RUB"], "нужна сумма числом"),
        ("date", "2026-11-22", ("2026-11-22",)),
        ("date", "22.11.2026", "нужна дата"),
        ("datetime", "2026-11-22T15:00", ("2026-11-22T15:00",)),
        ("boolean", "Y", ("Y",)),
        ("boolean", "yes", "нужно да или нет"),
        ("enumeration", ["45"], ("45",)),
        ("enumeration", ["x"], "выберите значение из списка"),
        ("url", "https://example.com/x", ("https://example.com/x",)),
        ("url", "javascript:alert(1)", "нужен адрес вида https://..."),
        ("integer", "7.5", "нужно целое число"),
        ("string", 5, "значение не понято"),
        ("string", ["a\0b"], "лишний знак в тексте"),
        ("string", "x" * 10_001, "значение не понято"),
        ("file", {"name": "C:\\docs\\план.pdf", "data": "YQ=="}, NewFile("план.pdf", b"a")),
        ("file", {"name": "a", "data": "не base64"}, "файл передан с ошибкой, выберите его ещё раз"),
        ("file", {"name": "a", "data": ""}, "файл пустой или больше 5 МБ"),
        ("file", None, ()),
    ],
)
def test_what_was_typed_is_a_value_or_a_word_to_the_person(type: str, sent: Any, values: Any) -> None:
    if isinstance(values, str):
        with pytest.raises(Mistyped) as mistake:
            typed(field(type), sent, multiple=False)
        assert mistake.value.why.ru == values
    else:
        assert typed(field(type), sent, multiple=False) == values


@pytest.mark.parametrize(
    ("type", "code", "values", "fields"),
    [
        ("string", "UF_CRM_X", ("угловая",), {"UF_CRM_X": "угловая"}),
        ("string", "name", ("Иван",), {"name": "Иван"}),
        ("enumeration", "UF_CRM_X", ("45",), {"UF_CRM_X": 45}),
        ("money", "UF_CRM_X", ("300.00|USD",), {"UF_CRM_X": "300.00|USD"}),
        ("money", "opportunity", ("300.00|RUB",), {"opportunity": 300.0, "isManualOpportunity": "Y"}),
        ("datetime", "UF_CRM_X", ("2026-11-22T15:00",), {"UF_CRM_X": "2026-11-22T15:00:00+03:00"}),
        ("boolean", "UF_CRM_X", ("N",), {"UF_CRM_X": "N"}),
        ("email", "email", ("a@b.ru",), {"fm": {"7": {"typeId": "EMAIL", "valueType": "HOME", "value": "a@b.ru"}}}),
        ("file", "UF_CRM_X", NewFile("a.txt", b"a"), {"UF_CRM_X": ["a.txt", "YQ=="]}),
    ],
)
def test_values_are_written_as_the_documentation_wants_them(
    type: str, code: str, values: Any, fields: dict[str, Any]
) -> None:
    assert written(field(type, code), values, FM, MOSCOW, multiple=False) == fields


def test_a_first_phone_is_added_and_others_of_the_card_stay() -> None:
    phone = field("phone", "phone")
    added = {"n0": {"typeId": "PHONE", "valueType": "WORK", "value": "+79000000000"}}
    assert written(phone, ("+79000000000",), {"fm": []}, MOSCOW, multiple=False) == {"fm": added}
    both = [written(one, ("x",), {"fm": []}, MOSCOW, multiple=False)["fm"] for one in (phone, field("email", "email"))]
    assert len({**both[0], **both[1]}) == 2
    made = as_if_written(FM, written(phone, ("+79000000000",), FM, MOSCOW, multiple=False), [])
    assert current(phone, made, MOSCOW) == ("+79000000000",)
    assert current(field("email", "email"), made, MOSCOW) == ("wrong@",)


def test_a_new_file_joins_those_that_are_there() -> None:
    held = {"UF_CRM_X": [{"id": 3, "url": "/x"}]}
    fields = written(field("file"), NewFile("b.txt", b"b"), held, MOSCOW, multiple=True)
    assert fields == {"UF_CRM_X": [{"id": "3"}, ["b.txt", base64.b64encode(b"b").decode()]]}
    assert current(field("file"), as_if_written(held, fields, ["UF_CRM_X"]), MOSCOW) == ("1",)


def test_labels_and_values_come_from_the_portal() -> None:
    items = [{"ID": "45", "VALUE": "Дилер <b>"}]
    described = {
        "UF_CRM_X": {"formLabel": "Кто это", "title": "UF_CRM_X", "isMultiple": True, "items": items},
        "fm": {},
    }
    kind = field("enumeration")
    assert label_of(kind, described, "ru") == "Кто это"
    assert label_of(field("string", "UF_CRM_Y"), described, "en") == "Field"
    assert options_of("UF_CRM_X", described) == (Option("45", "Дилер <b>"),)
    assert is_multiple(kind, described)
    assert known(field("email", "email"), described)
    assert known(field("email", "email"), {})
    assert not known(field("string", "UF_CRM_Y"), described)
    known_options(("45",), options_of("UF_CRM_X", described))
    with pytest.raises(Mistyped):
        known_options(("46",), options_of("UF_CRM_X", described))


@given(st.sampled_from(["string", "address", "integer", "date", "datetime", "boolean", "enumeration"]), st.data())
def test_what_is_written_is_shown_again_as_it_was_typed(type: str, data: st.DataObject) -> None:
    texts = {
        "string": st.text(st.characters(exclude_categories=["C"]), max_size=30),
        "address": st.text(st.characters(exclude_categories=["C"], exclude_characters="|"), max_size=30),
        "integer": st.integers(-(10**9), 10**9).map(str),
        "date": st.dates().map(str),
        "datetime": st.datetimes(SINCE, UNTIL).map(lambda at: f"{at:%Y-%m-%dT%H:%M}"),
        "boolean": st.just("Y"),
        "enumeration": st.integers(1, 10**6).map(str),
    }
    one = field(type)
    values = typed(one, data.draw(texts[type]), multiple=False)
    if values:
        assert current(one, written(one, values, {}, MOSCOW, multiple=False), MOSCOW) == values


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()), st.dictionaries(st.text(), st.text())
    )
)
def test_anything_that_a_page_sends_is_a_value_or_mistyped(sent: Any) -> None:
    for type in ("string", "money", "file", "date", "enumeration", "url"):
        try:
            values = typed(field(type), sent, multiple=True)
        except Mistyped:
            continue
        assert isinstance(values, tuple | NewFile)
