"""An SMS before it is sent: who can get one, how long it is, and at which hours nobody is woken by it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneNumberType
from phonenumbers import timezone as phone_zones

UNKNOWN_ZONE = phone_zones.UNKNOWN_TIMEZONE
GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The basic alphabet of 3GPP TS 23.038; signs of its extension take two places."""
GSM_7_EXTENSION = frozenset("\f^{}\\[~]|€")
_KINDS = {
    PhoneNumberType.FIXED_LINE: "городской номер / a landline",
    PhoneNumberType.TOLL_FREE: "бесплатный номер 8-800 / a toll-free number",
    PhoneNumberType.PREMIUM_RATE: "платный номер / a premium-rate number",
    PhoneNumberType.SHARED_COST: "номер организации / a shared-cost number",
    PhoneNumberType.VOIP: "интернет-номер / a VoIP number",
    PhoneNumberType.PAGER: "пейджер / a pager",
    PhoneNumberType.UAN: "номер организации / a company's number",
    PhoneNumberType.VOICEMAIL: "автоответчик / voicemail",
}


@dataclass(frozen=True)
class Recipient:
    """Where a message would go: `phone` in E.164, or why it cannot (`refusal`), for people."""

    phone: str
    refusal: str = ""


def recipient(numbers: Iterable[str]) -> Recipient:
    """Returns the first mobile number of these (E.164 or as people wrote them); where none is, why the first is not."""
    first: Recipient | None = None
    for number in numbers:
        if not number.strip():
            continue
        found = Recipient(number, _refusal(number))
        if not found.refusal:
            return found
        first = first or found
    return first or Recipient("", "телефона нет / there is no phone number")


def _refusal(number: str) -> str:
    parsed = _parsed(number)
    if parsed is None:
        return f"это не номер телефона / not a phone number: {number.strip()[:40]}"
    why = _KINDS.get(phonenumbers.number_type(parsed))
    return f"SMS не дойдёт, это {why}: {number}" if why else ""


def _parsed(number: str) -> phonenumbers.PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number(parsed) else None


def zone_of(phone: str, office_zone: str, office_country: str) -> str:
    """Returns the time zone in which the number's owner sleeps, as far as the number tells it.

    Mobile numbers of Russia say only that it is Russia: there the office's zone is the best guess, as for no number.
    """
    parsed = _parsed(phone)
    zones = [] if parsed is None else list(phone_zones.time_zones_for_number(parsed))
    if parsed is None or not zones or UNKNOWN_ZONE in zones:
        return office_zone
    own = phonenumbers.region_code_for_number(parsed) == office_country
    return office_zone if len(zones) > 1 and (own or office_zone in zones) else zones[0]


@dataclass(frozen=True)
class QuietHours:
    """The hours [begins, ends) of the recipient's day in which no message is sent; equal ones: there are none."""

    zone: str
    begins: time
    ends: time

    @classmethod
    def of(cls, zone: str, begins: str, ends: str) -> QuietHours:
        """Returns the hours as a command keeps them."""
        return cls(zone, time.fromisoformat(begins), time.fromisoformat(ends))

    @property
    def tz(self) -> ZoneInfo:
        """The recipient's time zone."""
        return ZoneInfo(self.zone)

    def next_allowed(self, now: datetime) -> datetime:
        """Returns when a message may be sent: now, or the end of the quiet hours in which now lies (UTC)."""
        local = now.astimezone(self.tz)
        clock = local.time().replace(tzinfo=None)
        if self.begins < self.ends:
            quiet = self.begins <= clock < self.ends
        else:
            quiet = self.begins != self.ends and (clock >= self.begins or clock < self.ends)
        if not quiet:
            return now.astimezone(UTC)
        day = local.date() + timedelta(days=1 if clock >= self.ends else 0)
        return max(now, datetime.combine(day, self.ends, self.tz)).astimezone(UTC)


def segments(text: str) -> int:
    """Returns of how many SMS the text is made: 160 or 153 signs of the Latin alphabet, else 70 or 67."""
    if all(sign in GSM_7 or sign in GSM_7_EXTENSION for sign in text):
        widths, single, part = [2 if sign in GSM_7_EXTENSION else 1 for sign in text], 160, 153
    else:
        widths, single, part = [len(sign.encode("utf-16-le")) // 2 for sign in text], 70, 67
    if sum(widths) <= single:
        return 1 if text else 0
    count, used = 1, 0
    for width in widths:  # a sign of two places is never cut in two
        if used + width > part:
            count, used = count + 1, 0
        used += width
    return count
