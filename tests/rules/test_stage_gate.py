"""What a move needs, and what is done about it: tables on a small process, and laws that hold for any."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.playbook import Condition, Evidence, LocalText, Process, Requirement, parse_playbook
from b24app.rules.stage_gate import (
    Card,
    Ruling,
    Seen,
    applies,
    evidence_name,
    fulfilled,
    is_email,
    is_phone,
    judge_move,
    missing_for,
    stages_of_move,
    stands,
)

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
WHY = LocalText(ru="нужно", en="needed")
PROCESS = parse_playbook(
    """
name = "Тест"
[[lead.fields]]
key = "who"
code = "name"
type = "string"
name = { ru = "Имя", en = "Name" }
[[lead.fields]]
key = "email"
code = "email"
type = "email"
multiple = true
name = { ru = "E-mail", en = "E-mail" }
[[lead.fields]]
key = "visit"
code = "UF_CRM_VISIT"
type = "date"
name = { ru = "Визит", en = "Visit" }
[[lead.stages]]
key = "new"
id = "NEW"
name = { ru = "Новый", en = "New" }
requires_to_leave = [{ field = "visit", only_if = { field = "who", one_of = ["Гость"] } }]
[[lead.stages]]
key = "client"
id = "IN_PROCESS"
name = { ru = "Клиент", en = "Client" }
requires = [{ field = "who" }]
[[lead.stages.tasks]]
key = "send"
title = "Отправить"
[[lead.stages]]
key = "soft"
id = "SOFT"
name = { ru = "Мягкая", en = "Soft" }
gate = "warn"
requires = [{ field = "visit", valid = "not_past" }]
[[lead.stages]]
key = "sent"
id = "SENT"
name = { ru = "Отправлено", en = "Sent" }
gate = "task"
requires = [{ field = "email", valid = "email" }]
evidence = [{ kind = "offer_sent", manual = true, why = { ru = "не отправлено", en = "not sent" } }]
[[lead.stages]]
key = "won"
id = "CONVERTED"
semantics = "success"
name = { ru = "Успех", en = "Won" }
[[lead.stages]]
key = "junk"
id = "JUNK"
semantics = "failure"
name = { ru = "Отказ", en = "Declined" }
[lead.decline]
code = "UF_CRM_WHY"
name = { ru = "Причина", en = "Reason" }
reasons = [{ key = "price", name = { ru = "Цена", en = "Price" } }]
""",
    "test",
).lead
FULL = {"who": "Ольга", "email": ("o@example.ru",), "visit": date(2026, 12, 1)}
KEYS = [stage.key for stage in PROCESS.stages]


def rule(before: str | None, now: str, card: dict[str, Any], seen: Seen | None = None, **more: Any) -> Ruling:
    return judge_move(PROCESS, before, now, Card(card), seen or Seen(), at=AT, **more)


@pytest.mark.parametrize(
    ("before", "now", "card", "seen", "action", "missing", "back_to"),
    [
        ("new", "client", {}, Seen(), "return", ["who"], "new"),
        ("new", "client", {"who": "Ольга"}, Seen(), "pass", [], None),
        (None, "new", {}, Seen(), "pass", [], None),
        (None, "client", {}, Seen(), "return", ["who"], "new"),
        ("client", "soft", {"who": "Ольга"}, Seen(), "warn", ["visit"], None),
        ("client", "soft", FULL, Seen(), "pass", [], None),
        ("client", "sent", FULL, Seen(), "task", ["offer_sent"], None),
        ("client", "sent", FULL, Seen(offers=(AT,)), "pass", [], None),
        ("client", "sent", FULL, Seen(confirmed=frozenset({"offer_sent"})), "pass", [], None),
        ("new", "sent", {}, Seen(), "return", ["who", "visit", "email", "offer_sent"], "new"),
        ("new", "won", {}, Seen(), "return", ["who", "visit", "email", "offer_sent"], "new"),
        ("sent", "won", {}, Seen(), "pass", [], None),
        ("sent", "client", {}, Seen(), "pass", [], None),
        ("won", "client", {}, Seen(), "pass", [], None),
        ("new", "soft", {"who": "Гость"}, Seen(), "return", ["visit"], "new"),
        ("client", "unheard_of", {}, Seen(), "pass", [], None),
        ("junk", "sent", {}, Seen(), "return", ["who", "visit", "email", "offer_sent"], "junk"),
        ("junk", "new", {}, Seen(), "pass", [], None),
    ],
)
def test_a_move_is_judged_by_every_stage_that_it_passes_or_enters(
    before: str | None, now: str, card: dict[str, Any], seen: Seen, action: str, missing: list[str], back_to: str | None
) -> None:
    ruling = rule(before, now, card, seen)
    assert (ruling.action, [lack.key for lack in ruling.missing], ruling.back_to) == (action, missing, back_to)


def test_the_strictest_gate_that_lacks_something_decides() -> None:
    assert rule("client", "sent", {"who": "Ольга"}).action == "task"
    assert rule("client", "sent", {"email": ("o@example.ru",)}, Seen(offers=(AT,))).action == "warn"


@pytest.mark.parametrize(("reason", "action"), [(None, "return"), ("price", "pass"), ("id:77", "pass")])
def test_1c13_a_failing_stage_asks_for_the_reason_and_for_nothing_else(reason: str | None, action: str) -> None:
    ruling = rule("client", "junk", {}, decline_reason=reason)
    assert ruling.action == action
    assert [lack.kind for lack in ruling.missing] == (["decline"] if reason is None else [])
    undeclared = PROCESS.model_copy(update={"decline": None})
    assert judge_move(undeclared, "client", "junk", Card(), Seen(), at=AT).action == "pass"


@pytest.mark.parametrize(("lately", "action"), [(0, "return"), (2, "return"), (3, "ask"), (9, "ask")])
def test_an_item_that_was_moved_back_too_often_is_left_to_a_person(lately: int, action: str) -> None:
    ruling = rule("new", "client", {}, moved_back_lately=lately)
    assert ruling.action == action
    assert ruling.missing
    assert (ruling.back_to is None) == (action == "ask")


@pytest.mark.parametrize(
    ("valid", "value", "right"),
    [
        ("any", "x", True),
        ("email", "o@example.ru", True),
        ("email", ("o@example.ru", "p@q"), False),
        ("email", "o@example", False),
        ("phone", "+7 (912) 345-67-89", True),
        ("phone", "12-34", False),
        ("phone", "позвоните после 18", False),
        ("not_past", date(2026, 11, 23), True),
        ("not_past", date(2026, 11, 22), False),
        ("not_past", AT, True),
        ("not_past", AT - timedelta(seconds=1), False),
        ("not_past", "завтра", False),
    ],
)
def test_a_field_must_be_filled_and_right(valid: Any, value: object, right: bool) -> None:
    why = fulfilled(Requirement(field="who", valid=valid), PROCESS, Card({"who": value}), AT)
    assert (why is None) == right


def test_an_empty_field_says_why_it_matters_and_one_that_the_portal_lacks_holds_nobody_back() -> None:
    requirement = Requirement(field="visit")
    told = fulfilled(requirement, PROCESS, Card(), AT)
    assert told is not None
    assert told.ru == "не заполнено"
    assert fulfilled(requirement, PROCESS, Card(unknown=frozenset({"visit"})), AT) is None


@pytest.mark.parametrize(
    ("condition", "card", "holds"),
    [
        (None, {}, True),
        (Condition(field="who", filled=True), {"who": "x"}, True),
        (Condition(field="who", filled=True), {}, False),
        (Condition(field="who", filled=False), {}, True),
        (Condition(field="who", one_of=("a", "b")), {"who": "b"}, True),
        (Condition(field="who", one_of=("a", "b")), {"who": ("c", "a")}, True),
        (Condition(field="who", one_of=("a", "b")), {"who": "c"}, False),
        (Condition(field="who", one_of=("a",)), {}, False),
    ],
)
def test_a_condition_is_one_named_check(condition: Condition | None, card: dict[str, Any], holds: bool) -> None:
    assert applies(condition, Card(card)) is holds


@pytest.mark.parametrize(
    ("evidence", "seen"),
    [
        (Evidence(kind="offer_sent", why=WHY), Seen(offers=(AT,))),
        (Evidence(kind="call_made", why=WHY), Seen(calls=(AT,))),
        (Evidence(kind="task_closed", task="send", why=WHY), Seen(closed_tasks=frozenset({"send"}))),
        (Evidence(kind="checklist_complete", task="send", why=WHY), Seen(complete_checklists=frozenset({"send"}))),
        (Evidence(kind="result_attached", task="send", why=WHY), Seen(results=frozenset({"send"}))),
        (Evidence(kind="field_confirmed", field="who", why=WHY), Seen(confirmed_fields=frozenset({"who"}))),
        (
            Evidence(kind="task_closed", task="send", manual=True, why=WHY),
            Seen(confirmed=frozenset({"task_closed:send"})),
        ),
    ],
)
def test_each_kind_of_evidence_stands_when_it_was_seen_and_only_then(evidence: Evidence, seen: Seen) -> None:
    assert stands(evidence, seen)
    assert not stands(evidence, Seen())


def test_a_confirmation_counts_only_where_the_playbook_allows_it() -> None:
    strict = Evidence(kind="offer_sent", why=WHY)
    assert not stands(strict, Seen(confirmed=frozenset({"offer_sent"})))


def test_missing_evidence_is_named_with_its_task_or_field() -> None:
    assert (
        evidence_name(PROCESS, Evidence(kind="task_closed", task="send", why=WHY)).ru == "Закрытая задача «Отправить»"
    )
    assert evidence_name(PROCESS, Evidence(kind="field_confirmed", field="who", why=WHY)).ru.endswith("«Имя»")


cards = st.fixed_dictionaries({}, optional={key: st.just(value) for key, value in FULL.items()})
seens = st.sampled_from([Seen(), Seen(offers=(AT,)), Seen(confirmed=frozenset({"offer_sent"}))])
places = st.sampled_from(KEYS)


@given(st.none() | places, places, cards, seens)
def test_whatever_passes_at_once_passes_stage_by_stage(
    before: str | None, now: str, card: dict[str, Any], seen: Seen
) -> None:
    if rule(before, now, card, seen).action != "pass" or PROCESS.stage(now).semantics == "failure":  # type: ignore[union-attr]
        return
    _, entered = stages_of_move(PROCESS, before, now)
    assert missing_for(PROCESS, entered, Card(card), seen, AT) == ()


@given(places, places, cards, seens, st.integers(0, 5))
def test_filling_in_more_never_makes_a_move_worse(
    before: str, now: str, card: dict[str, Any], seen: Seen, lately: int
) -> None:
    less = rule(before, now, card, seen, decline_reason="price", moved_back_lately=lately)
    more = rule(before, now, FULL, Seen(offers=(AT,)), decline_reason="price", moved_back_lately=lately)
    assert more.action == "pass"
    assert {lack.key for lack in more.missing} <= {lack.key for lack in less.missing}


@given(st.none() | places, places, cards, seens, st.integers(0, 5))
def test_a_ruling_names_what_is_missing_exactly_when_it_does_not_pass(
    before: str | None, now: str, card: dict[str, Any], seen: Seen, lately: int
) -> None:
    ruling = rule(before, now, card, seen, moved_back_lately=lately)
    assert (ruling.action == "pass") == (not ruling.missing)
    assert len({(lack.kind, lack.key) for lack in ruling.missing}) == len(ruling.missing)
    kinds = [lack.kind for lack in ruling.missing]
    assert kinds == sorted(kinds, key=lambda kind: kind != "field")
    assert ruling.back_to in ([*KEYS] if ruling.action == "return" else [None])


@given(st.text())
def test_any_text_is_judged_as_an_address_or_number_without_breaking(text: str) -> None:
    assert not (is_email(text) and "@" not in text)
    assert not (is_phone(text) and not any(sign.isdigit() for sign in text))


def test_the_scale_of_a_process_without_stages_of_failure_is_plain() -> None:
    left, entered = stages_of_move(PROCESS, "new", "sent")
    assert [stage.key for stage in left] == ["new", "client", "soft"]
    assert [stage.key for stage in entered] == ["client", "soft", "sent"]
    assert isinstance(PROCESS, Process)
