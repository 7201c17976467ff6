"""Who can get an SMS, how many it is, and when nobody is woken: tables, and laws by hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app.rules.text_message import QuietHours, Recipient, recipient, segments, zone_of

MOSCOW = QuietHours("Europe/Moscow", time(21), time(9))


@pytest.mark.parametrize(
    ("numbers", "phone", "why"),
    [
        (["+79123456789"], "+79123456789", ""),
        (["+74951234567", "+79123456789"], "+79123456789", ""),
        (["", "+79123456789"], "+79123456789", ""),
        (["+12125551234"], "+12125551234", ""),
        ([], "", "телефона нет"),
        ([" "], "", "телефона нет"),
        (["+74951234567"], "+74951234567", "городской номер"),
        (["+78001234567"], "+78001234567", "8-800"),
        (["позвонить жене"], "позвонить жене", "не номер телефона"),
        (["+7912345"], "+7912345", "не номер телефона"),
        (["112"], "112", "не номер телефона"),
    ],
)
def test_the_first_mobile_number_or_why_there_is_none(numbers: list[str], phone: str, why: str) -> None:
    found = recipient(numbers)
    assert found.phone == phone
    assert why in found.refusal
    assert bool(why) == bool(found.refusal)
    assert isinstance(found, Recipient)


@pytest.mark.parametrize(
    ("phone", "zone"),
    [
        ("+73432123456", "Asia/Yekaterinburg"),
        ("+74951234567", "Europe/Moscow"),
        ("+79123456789", "Europe/Samara"),  # a mobile number says Russia: the office's zone
        ("+77011234567", "Europe/Samara"),  # several zones, the office's among them
        ("+12125551234", "America/New_York"),
        ("не номер", "Europe/Samara"),
    ],
)
def test_the_zone_is_the_numbers_else_the_offices(phone: str, zone: str) -> None:
    assert zone_of(phone, "Europe/Samara", "RU") == zone


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        ("2026-11-23 08:59", "2026-11-23 09:00"),
        ("2026-11-23 09:00", "2026-11-23 09:00"),
        ("2026-11-23 20:59", "2026-11-23 20:59"),
        ("2026-11-23 21:00", "2026-11-24 09:00"),
        ("2026-11-23 00:00", "2026-11-23 09:00"),
    ],
)
def test_a_message_in_quiet_hours_waits_for_the_morning(now: str, allowed: str) -> None:
    zone = ZoneInfo("Europe/Moscow")
    at, then = (datetime.fromisoformat(text).replace(tzinfo=zone) for text in (now, allowed))
    assert MOSCOW.next_allowed(at) == then


def test_quiet_hours_within_a_day_and_none_at_all() -> None:
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert QuietHours("UTC", time(11), time(13)).next_allowed(noon) == noon + timedelta(hours=1)
    assert QuietHours("UTC", time(13), time(14)).next_allowed(noon) == noon
    assert QuietHours("UTC", time(12), time(12)).next_allowed(noon) == noon
    assert QuietHours.of("UTC", "11:00", "13:30") == QuietHours("UTC", time(11), time(13, 30))


def test_the_morning_of_a_night_in_which_the_clocks_change() -> None:
    berlin = QuietHours("Europe/Berlin", time(21), time(9))
    evening = datetime(2026, 3, 28, 22, tzinfo=ZoneInfo("Europe/Berlin"))
    assert berlin.next_allowed(evening) == datetime(2026, 3, 29, 7, tzinfo=UTC)


ZONES = st.sampled_from(["Europe/Moscow", "Asia/Kamchatka", "America/New_York", "Europe/Berlin", "Asia/Kolkata"])
TIMES = st.times().map(lambda value: value.replace(second=0, microsecond=0))


@given(
    st.integers(0, 3 * 365 * 1440).map(lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    ZONES,
    TIMES,
    TIMES,
)
def test_it_is_never_earlier_waits_less_than_a_day_and_an_hour_and_then_is_allowed(
    now: datetime, zone: str, begins: time, ends: time
) -> None:
    quiet = QuietHours(zone, begins, ends)
    allowed = quiet.next_allowed(now)
    assert now <= allowed <= now + timedelta(hours=25)
    if ends != begins and (allowed == now or quiet.next_allowed(allowed) == allowed):
        local = allowed.astimezone(ZoneInfo(zone)).time()
        inside = begins <= local < ends if begins < ends else (local >= begins or local < ends)
        assert not inside
    assert quiet.next_allowed(allowed) <= allowed + timedelta(hours=1)  # an hour that comes twice in autumn


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("a", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),  # an escaped sign is not cut: 76 go into a part
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 134, 2),
        ("я" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
    ],
)
def test_a_text_is_so_many_messages(text: str, count: int) -> None:
    assert segments(text) == count


@given(st.text(max_size=400), st.text(max_size=100))
def test_a_longer_text_is_never_fewer_messages(text: str, more: str) -> None:
    assert segments(text) <= segments(text + more)
