"""Reading what Bitrix24 posts: the forms of PHP, and everything that is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from b24app.entities import ItemRef
from b24app.errors import Malformed
from b24app.web.incoming import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_FIELDS,
    is_event,
    language_of,
    parse_form,
    read_event,
    read_frame,
    read_robot,
)

AUTH = {"auth[member_id]": "abc123", "auth[application_token]": "secret", "auth[access_token]": "access"}
ROBOT = {
    "workflow_id": "66e8.123",
    "code": "assign_manager",
    "document_id[0]": "crm",
    "document_id[1]": "CCrmDocumentLead",
    "document_id[2]": "LEAD_456",
    "document_type[0]": "crm",
    "document_type[1]": "CCrmDocumentLead",
    "document_type[2]": "LEAD",
    "event_token": "token|of|event",
    "properties[department]": "5",
    "use_subscription": "Y",
    "timeout_duration": "60",
    "ts": "1760000000",
    **AUTH,
}
FRAME = {"AUTH_ID": "access", "REFRESH_ID": "refresh", "AUTH_EXPIRES": "3600", "member_id": "abc123"}


def form(values: dict[str, str]) -> bytes:
    return urlencode(values).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a", {"a": ""}),
        (b"a=1=2", {"a": "1=2"}),
        (b"&&a=1&", {"a": "1"}),
        (b"a+b=c+d", {"a b": "c d"}),
        (b"a=%2B", {"a": "+"}),
        (b"a[]=x&a[]=y", {"a": ["x", "y"]}),
        (b"a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        (b"a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        (b"a[5]=x&a[]=y", {"a": {"5": "x", "6": "y"}}),
        (b"a[k]=x&a[]=y", {"a": {"k": "x", "0": "y"}}),
        (b"a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        (b"data%5BFIELDS%5D%5BID%5D=42", {"data": {"FIELDS": {"ID": "42"}}}),
        (b"a[][x]=1&a[][x]=2", {"a": [{"x": "1"}, {"x": "2"}]}),
        ("имя=Анна".encode(), {"имя": "Анна"}),
        (b"%D0%B0=%D1%8F", {"а": "я"}),
        (b"a=%zz%4", {"a": "%zz%4"}),
    ],
)
def test_a_form_is_read_as_php_reads_it(body: bytes, expected: dict[str, object]) -> None:
    assert parse_form(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"a[=1",
        b"a]=1",
        b"[a]=1",
        b"a[b=1",
        b"a[b]c=1",
        b"a[b]]=1",
        b"a[[b]]=1",
        b"a=1&a[b]=2",
        b"a[b]=2&a=1",
        b"a[b]=1&a[b][c]=2",
        b"a[b][c]=2&a[b]=1",
        b"a=%ff",
        b"a=%ED%A0%80",
        b"%00=1",
        b"a=\x00",
        b"=1&[]=2",
        b"a" + b"[x]" * (MAX_DEPTH + 1) + b"=1",
    ],
)
def test_a_broken_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed) as error:
        parse_form(body)
    assert error.value.status == 400


@pytest.mark.parametrize("body", [b"x" * (MAX_BYTES + 1), b"&".join([b"a=1"] * (MAX_FIELDS + 1))])
def test_a_huge_form_is_too_large(body: bytes) -> None:
    with pytest.raises(Malformed) as error:
        parse_form(body)
    assert error.value.status == 413


def test_the_limits_themselves_are_allowed() -> None:
    assert len(parse_form(b"&".join(b"a%d=1" % n for n in range(MAX_FIELDS)))) == MAX_FIELDS
    parse_form(b"a" + b"[x]" * MAX_DEPTH + b"=1")
    assert len(parse_form(b"a[]=" + b"&a[]=".join([b"1"] * MAX_FIELDS))["a"]) == MAX_FIELDS


def test_an_event_is_read_without_its_tokens() -> None:
    post = read_event(form({"event": "onCrmLeadAdd", "data[FIELDS][ID]": "42", "ts": "1760000000", **AUTH}))
    assert post.event == "ONCRMLEADADD"
    assert post.data == {"FIELDS": {"ID": "42"}}
    assert post.payload == {"event": "ONCRMLEADADD", "data": {"FIELDS": {"ID": "42"}}, "ts": 1760000000}
    assert (post.auth.member_id, post.auth.application_token) == ("abc123", "secret")
    assert "secret" not in json.dumps(post.payload)
    assert "secret" not in repr(post)
    assert "access" not in repr(post.auth).replace("access_token", "")


def test_an_event_without_a_users_tokens_is_read() -> None:
    body = form({"event": "ONCRMLEADADD", "auth[member_id]": "m", "auth[application_token]": "t"})
    assert read_event(body).auth.access_token == ""
    assert read_event(body).data == {}


@pytest.mark.parametrize("id", ["", "4 2", "-1", "٤٢", "²", "1e3", "9" * 40, "x"])
def test_an_event_with_an_id_that_is_not_digits_is_malformed(id: str) -> None:
    with pytest.raises(Malformed):
        read_event(form({"event": "ONCRMLEADADD", "data[FIELDS][ID]": id, **AUTH}))


@pytest.mark.parametrize("event", ["", "1", "ON LEAD", "ON-LEAD", "Ы", "O" * 65])
def test_an_event_without_a_proper_name_is_malformed(event: str) -> None:
    with pytest.raises(Malformed):
        read_event(form({"event": event, **AUTH}))


@pytest.mark.parametrize("auth", [{}, {"auth": "x"}, {"auth[x]": "1"}, {"auth[member_id][]": "1"}, {"auth[]": "1"}])
def test_an_event_without_a_sender_is_malformed(auth: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        read_event(form({"event": "ONCRMLEADADD", **auth}))


def test_a_robot_is_read_without_its_tokens() -> None:
    post = read_robot("assign_manager", form(ROBOT))
    assert post.item == ItemRef(1, 456)
    assert post.payload["event_token"] == "token|of|event"
    assert post.payload["properties"] == {"department": "5"}
    assert post.payload["document_id"] == ["crm", "CCrmDocumentLead", "LEAD_456"]
    assert (post.payload["use_subscription"], post.payload["timeout_duration"]) == ("Y", 60)
    assert "secret" not in json.dumps(post.payload)


@pytest.mark.parametrize(
    ("document", "item"),
    [
        ("LEAD_1", "lead:1"),
        ("DEAL_20", "deal:20"),
        ("CONTACT_3", "contact:3"),
        ("COMPANY_4", "company:4"),
        ("QUOTE_5", "dynamic_7:5"),
        ("SMART_INVOICE_6", "dynamic_31:6"),
        ("DYNAMIC_147_12", "dynamic_147:12"),
    ],
)
def test_every_document_of_the_crm_is_known(document: str, item: str) -> None:
    assert str(read_robot("assign_manager", form({**ROBOT, "document_id[2]": document})).item) == item


@pytest.mark.parametrize(
    "document", ["", "LEAD", "LEAD_", "LEAD_x", "DYNAMIC_5", "LEAD_1_2", "NOTHING_5", "LEAD_" + "9" * 20]
)
def test_an_unknown_document_is_malformed(document: str) -> None:
    with pytest.raises(Malformed):
        read_robot("assign_manager", form({**ROBOT, "document_id[2]": document}))


def test_a_robot_of_another_address_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_robot("another", form(ROBOT))


@pytest.mark.parametrize(
    ("options", "item_id"),
    [
        ('{"ID":"42","URI":"/crm/"}', 42),
        ('{"ID":42}', 42),
        ("", None),
        ("undefined", None),
        ("[]", None),
        ('{"ID":"x"}', None),
    ],
)
def test_a_frame_tells_whose_card_it_stands_in(options: str, item_id: int | None) -> None:
    frame = read_frame(b"LANG=en&DOMAIN=stranger.example", form({**FRAME, "PLACEMENT_OPTIONS": options}))
    assert frame.item_id == item_id
    assert frame.language == "en"
    assert frame.auth.refresh_token == "refresh"
    assert "stranger" not in repr(frame)


@pytest.mark.parametrize(
    "options", ["{", "[1]", "1", '"x"', "[" * 100_000, '{"a":"\\ud800"}', '{"a":' + "9" * 5000 + "}"]
)
def test_broken_placement_options_are_malformed(options: str) -> None:
    with pytest.raises(Malformed):
        read_frame(b"", form({**FRAME, "PLACEMENT_OPTIONS": options}))


def test_a_page_opened_outside_bitrix24_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_frame(b"", b"")


@pytest.mark.parametrize(("code", "language"), [("ru", "ru"), ("", "ru"), ("kz", "ru"), ("en", "en"), ("de", "en")])
def test_the_language_is_russian_or_english(code: str, language: str) -> None:
    assert language_of(code) == language


def test_an_installation_by_event_is_told_from_a_frame() -> None:
    assert is_event(b"event=ONAPPINSTALL&auth[member_id]=1")
    assert not is_event(b"AUTH_ID=1&PLACEMENT_OPTIONS=event%3D1")


pieces = st.sampled_from(
    b"a auth data event document_id member_id [ ] [] = & %5B %5D %00 %ff LEAD_5 0 FIELDS ID AUTH_ID { +".split()
)
bodies = st.binary(max_size=300) | st.lists(pieces, max_size=60).map(b"".join)


@given(bodies)
@example(b"auth[member_id]=a&event=ON&data=x")
@example(b"event=ONX&auth[member_id]=a&data[]=1&data[FIELDS]=1")
def test_any_bytes_are_a_value_or_malformed(body: bytes) -> None:
    readers = (parse_form, read_event, partial(read_robot, "assign_manager"), lambda raw: read_frame(raw, raw))
    assert {_outcome(reader, body) for reader in readers} <= {200, 400, 413}


def _outcome(reader: Callable[[bytes], object], body: bytes) -> int:
    try:
        reader(body)
    except Malformed as error:
        return error.status
    return 200


leaves = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
names = st.from_regex(r"[a-zA-Z_]{1,6}", fullmatch=True)
trees = st.recursive(leaves, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=4), max_leaves=12)


@given(st.dictionaries(names, trees, min_size=1, max_size=4))
def test_what_is_written_as_php_writes_is_read_back(tree: dict[str, object]) -> None:
    def pairs(value: object, prefix: str) -> list[tuple[str, str]]:
        if isinstance(value, dict):
            return [pair for key, inner in value.items() for pair in pairs(inner, f"{prefix}[{key}]")]
        return [(prefix, str(value))]

    flat = [pair for key, value in tree.items() for pair in pairs(value, key)]
    body = b"&".join(f"{quote_from_bytes(n.encode())}={quote_from_bytes(v.encode())}".encode() for n, v in flat)
    assert parse_form(body) == tree
