"""What kind of enquiry it is, whose choice stands, and the card that people read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from scripted_portal import NOW, lead

from b24app.entities import ItemRef, PhoneCall
from b24app.rules.assignment import Verdict
from b24app.rules.intake import (
    Card,
    Person,
    Treatment,
    cause_of,
    chosen_by_a_person,
    made_by,
    newest_call,
    plain,
)

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("call_type", "code", "missed"),
    [
        (2, "304", True),
        (3, "304", True),
        (1, "304", False),  # our own unanswered call carries it too
        (4, "304", False),
        (5, "304", False),
        (None, "304", False),
        (2, "200", False),
        (2, "603", False),
        (2, "603-S", False),
        (2, "486", False),
        (2, "423", False),
        (2, "", False),
    ],
)
def test_missed_is_an_incoming_call_with_304(call_type: int | None, code: str, missed: bool) -> None:
    assert PhoneCall("c", call_type, failed_code=code).missed is missed


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"source_id": "CALL"}, "created"),
        ({"source_id": ""}, "created"),
        ({"source_id": "EMAIL"}, "written"),
        ({"source_id": "WEB"}, "written"),
        ({"source_id": "CALL", "webform_id": 3}, "written"),
        ({"source_id": "", "phones": (), "emails": ("a@example.ru",)}, "written"),
        ({"source_id": "", "emails": ("a@example.ru",)}, "created"),  # with a number: call him
        ({"source_id": "", "phones": ()}, "created"),
    ],
)
def test_what_an_item_without_a_call_is(changes: dict[str, Any], cause: str) -> None:
    assert cause_of(lead(**changes), ["EMAIL", "WEB", "WEBFORM"]) == cause


@pytest.mark.parametrize(
    ("changes", "looks", "chosen"),
    [
        ({}, 0, False),
        ({"updated_at": NOW, "updated_by_id": 9}, 0, False),  # the creator filled in the card
        ({"updated_at": NOW, "updated_by_id": 2}, 0, False),  # somebody else did, the responsible is as at creation
        ({"updated_at": NOW, "updated_by_id": 2, "assigned_by_id": 12}, 0, True),
        # the form's default at creation
        ({"updated_at": NOW - timedelta(seconds=18), "updated_by_id": 2, "assigned_by_id": 12}, 0, False),
        ({"updated_at": None, "assigned_by_id": 12}, 0, False),
        ({"updated_at": NOW, "updated_by_id": None, "assigned_by_id": 12}, 0, False),
        ({}, 1, True),  # our own write found that somebody had been faster
    ],
)
def test_whose_choice_the_responsible_is(changes: dict[str, Any], looks: int, chosen: bool) -> None:
    assert chosen_by_a_person(lead(**changes), looks) is chosen


@pytest.mark.parametrize(
    ("began", "made"),
    [(NOW - MINUTE, True), (NOW, True), (NOW + timedelta(seconds=39), True), (NOW + timedelta(seconds=41), False)],
)
def test_a_lead_of_this_call_or_an_older_one(began: Any, made: bool) -> None:
    assert made_by(lead(), began) is made  # created 20 seconds before NOW


def test_the_newest_incoming_call_decides_and_an_outgoing_one_only_alone() -> None:
    first = PhoneCall("first", 2, started_at=NOW - 2 * MINUTE)
    second = PhoneCall("second", 3, started_at=NOW - MINUTE)
    back = PhoneCall("back", 1, started_at=NOW)
    assert newest_call([first, second, back]) is second
    assert newest_call([back]) is back
    assert newest_call([PhoneCall("when", 2), second]) is second
    assert newest_call([]) is None


def test_the_card_names_the_chosen_first_then_the_free_then_the_others() -> None:
    card = Card(
        {"ru": "Пропущенный звонок +7 912 345-67-89", "en": "-"},
        Person(12, "Борис"),
        {"ru": "по очереди среди свободных", "en": "-"},
        (
            Verdict(11, "Анна", False, {"ru": "говорит по телефону", "en": "-"}),
            Verdict(13, "Вера", True, {"ru": "свободен; его очередь позже", "en": "-"}),
            Verdict(12, "Борис", True, {"ru": "свободен", "en": "-"}),
        ),
        NOW,
    )
    assert card.bbcode() == (
        "[B]Пропущенный звонок +7 912 345-67-89: Борис[/B]\n"
        "Правило: по очереди среди свободных\n"
        "✔ Борис: свободен\n"
        "— Вера: свободен; его очередь позже\n"
        "— Анна: говорит по телефону"
    )


def test_a_card_without_anybody() -> None:
    card = Card({"ru": "Новый лид", "en": "-"}, None, {"ru": "ждёт в очереди", "en": "-"})
    assert card.bbcode() == "[B]Новый лид: пока никому[/B]\nПравило: ждёт в очереди"


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("Кухня [URL=https://evil.example]сюда[/URL]", "Кухня (URL=https://evil.example)сюда(/URL)"),
        ("a\r\nb", "a \nb"),
        ("  Иван ", "Иван"),
    ],
)
def test_names_and_titles_carry_no_bbcode(text: str, harmless: str) -> None:
    assert plain(text) == harmless
    card = Card({"ru": text, "en": "-"}, Person(1, text), {"ru": text, "en": "-"})
    assert "[URL" not in card.bbcode()


def test_the_marker_is_the_same_for_the_same_reason_and_person_only() -> None:
    card = Card({"ru": "", "en": ""}, None, {"ru": "", "en": ""})
    one = Treatment("intake:lead:42", "missed", ItemRef(1, 42), card, 11)
    assert one.marker == Treatment("intake:lead:42", "created", None, card, 11).marker
    assert one.marker != Treatment("intake:lead:42", "missed", ItemRef(1, 42), card, 12).marker
    assert one.marker != Treatment("intake:lead:43", "missed", ItemRef(1, 43), card, 11).marker
