"""Was the offer sent, and which version is it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.rules.offer import Letter, Mailbox, Quote, offers_sent

SINCE = datetime(2026, 11, 23, 10, 0, 0, 500_000, tzinfo=UTC)
LATER = SINCE + timedelta(hours=1)


def letter(**changes: Any) -> Letter:
    return Letter(**{"id": 1, "at": LATER, "outgoing": True, "completed": True, "files": 1, "subject": "КП", **changes})


@pytest.mark.parametrize(
    ("letters", "quotes", "count"),
    [
        ([], [], 0),
        ([letter()], [], 1),
        ([letter(files=0)], [], 0),
        ([letter(outgoing=False)], [], 0),
        ([letter(completed=False)], [], 0),
        ([letter(at=SINCE - timedelta(seconds=2))], [], 0),
        ([letter(at=SINCE.replace(microsecond=0))], [], 1),
        ([letter(), letter()], [], 1),
        ([], [Quote(3, LATER, "SENT")], 1),
        ([], [Quote(3, LATER, "DRAFT")], 0),
        ([], [Quote(3, SINCE - timedelta(days=1), "SENT")], 0),
        ([letter(id=3)], [Quote(3, LATER, "APPROVED")], 2),
    ],
)
def test_k17_an_offer_is_a_letter_with_a_file_or_a_sent_quote(
    letters: list[Letter], quotes: list[Quote], count: int
) -> None:
    found = offers_sent(letters, quotes, since=SINCE, sent_statuses=("SENT", "APPROVED"))
    assert len(found) == count


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 50)), max_size=8))
def test_k20_versions_count_from_one_in_order_of_time(entries: list[tuple[int, int]]) -> None:
    letters = [letter(id=id, at=SINCE + timedelta(minutes=minutes)) for id, minutes in entries]
    found = offers_sent(letters, [], since=SINCE, sent_statuses=())
    assert [offer.version for offer in found] == list(range(1, len({id for id, _ in entries}) + 1))
    assert [offer.at for offer in found] == sorted(offer.at for offer in found)


def test_k18_letters_in_the_crm_show_that_a_mailbox_is_connected() -> None:
    assert Mailbox(3, LATER).works
    assert not Mailbox(0).works
