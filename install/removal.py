"""Lets a portal go: a removal is believed when our own tokens are dead, and not before.

ONAPPUNINSTALL proves itself by application_token alone, and every employee can read that one: it is a field of the form
that the portal posts into his frame. So the event is a claim that is kept (`portals.facts`); the portal and the
authorization server are asked with each of our tokens, and whoever still gets in refutes it. Whoever dies over the
question loses nothing: the clock asks again.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Literal

from b24app.bitrix.calls import Call
from b24app.bitrix.oauth import OAUTH_ALARM, Token
from b24app.bitrix.rest import Rest
from b24app.errors import Permanent, PortalClosed, Temporary
from b24app.services import Services
from b24app.store.alarms import clear_alarm, raise_alarm
from b24app.store.overview import overview
from b24app.store.portals import (
    REMOVAL,
    all_portals,
    claim_removal,
    learn,
    portal_of,
    put_off_removal,
    uninstall_portal,
)
from install.carry_out import REMOVAL_ALARM as ALARM

log = logging.getLogger(__name__)

LOOK_AFTER = timedelta(minutes=1)
"""Whoever takes a claim looks at once; the clock takes over after this long, and again where nobody could tell."""
BELIEVED_AFTER = timedelta(minutes=10)
"""A token that still works this long after the claim refutes it: tokens may die a moment later than the event comes."""
GIVEN_UP_AFTER = timedelta(days=1)
LONG_DEAD = timedelta(days=1)
"""A token that was dead this long before the claim did not die of a removal: its death proves nothing."""
SHOWN_FOR = timedelta(days=7)
REFUSED_AT = "removal_refused_at"

GONE = frozenset({"APPLICATION_NOT_FOUND", "NOT_INSTALLED", "PORTAL_DELETED"})
UNKNOWN_TOKEN = frozenset({"NO_AUTH_FOUND", "INVALID_TOKEN", "ERROR_OAUTH", "EXPIRED_TOKEN"})
NO_REFRESH = frozenset({"INVALID_CLIENT", "WRONG_CLIENT", "INVALID_GRANT"}) | GONE | UNKNOWN_TOKEN

Testimony = Literal["works", "gone", "silent"]


def claim(services: Services, member_id: str, *, erase: bool) -> bool:
    """Keeps the claim and tells whether somebody has to look now: one that stands already has been looked at."""
    return claim_removal(services.database, member_id, erase=erase, due_at=datetime.now(UTC) + LOOK_AFTER)


def settle_claimed(services: Services) -> None:
    """Looks at every claim that is due; takes the alarm of a refuted one away after a week."""
    now = datetime.now(UTC)
    for row in all_portals(services.database).values():
        if row.active and row.facts.get(REMOVAL) and row.facts[REMOVAL]["due"] <= now.isoformat():
            settle(services, row.member_id)
        refused_at = row.facts.get(REFUSED_AT)
        if refused_at and refused_at < (now - SHOWN_FOR).isoformat():
            clear_alarm(services.database, row.member_id, ALARM)
            learn(services.database, row.member_id, {REFUSED_AT: None})


def settle(services: Services, member_id: str) -> None:
    """Asks whether our tokens are dead, and carries the removal out, refuses it, or puts the question off."""
    row = portal_of(services.database, member_id)
    claimed = row.facts.get(REMOVAL) if row is not None and row.active else None
    if claimed is None:
        return
    claimed_at = datetime.fromisoformat(claimed["at"])
    age = datetime.now(UTC) - claimed_at
    try:
        verdict = _verdict(services, member_id, claimed_at)
    except Temporary as error:
        log.info("portal=%s removal=unproved reason=%s", member_id, error)
        verdict = "silent"
    if verdict == "gone":
        if uninstall_portal(services.database, member_id, erase=claimed["erase"], claimed_at=claimed["at"]):
            log.info("portal=%s state=uninstalled erased=%s", member_id, claimed["erase"])
        return
    if verdict == "works":
        raise_alarm(
            services.database,
            member_id,
            ALARM,
            "Пришло сообщение, что приложение удалено, но портал принимает его ключ: сообщению не поверили, ничего не "
            "стёрто. Так бывает, если приложение удалили и тут же установили снова; иначе его подделал сотрудник "
            "портала, и application_token стоит сменить: переустановите приложение.",
            "It was said that the application was removed, but the portal accepts its token: that is not believed, "
            "nothing is erased. It happens when the application is removed and installed again at once; else an "
            "employee of the portal has forged it, and application_token should change: reinstall the application.",
        )
    elif age >= GIVEN_UP_AFTER:
        raise_alarm(
            services.database,
            member_id,
            ALARM,
            "Пришло сообщение, что приложение удалено, и сутки нельзя было проверить, так ли это: ничего не стёрто. "
            "Если оно на месте, администратор открывает его в портале.",
            "It was said that the application was removed, and for a day nobody could tell: nothing is erased. If it "
            "is in its place, an administrator opens it in the portal.",
        )
    log.warning("portal=%s removal=%s age_s=%d", member_id, verdict, age.total_seconds())
    now = datetime.now(UTC)
    if age >= (BELIEVED_AFTER if verdict == "works" else GIVEN_UP_AFTER):
        refused = {REFUSED_AT: now.isoformat()}
        put_off_removal(services.database, member_id, claimed["at"], None, **refused)
    else:
        due_at = claimed_at + BELIEVED_AFTER if verdict == "works" else now + LOOK_AFTER
        put_off_removal(services.database, member_id, claimed["at"], due_at)


def _verdict(services: Services, member_id: str, claimed_at: datetime) -> Testimony:
    """Hears every token: one that works refutes the claim, else one that died of it proves it. Temporary: ask later."""
    try:
        witnesses = services.tokens.everybodys(member_id)
    except PortalClosed:  # sealed with another secret_key
        return "silent"
    heard = {_testimony(services, token, claimed_at) for token in witnesses} or {"gone"}
    return next(said for said in ("works", "gone", "silent") if said in heard)


def _testimony(services: Services, token: Token, claimed_at: datetime) -> Testimony:
    code = _refusal(services, token)
    if code == "":
        return "works"
    if code in GONE:
        return "gone"
    if code not in UNKNOWN_TOKEN:
        return "silent"  # the person was dismissed, the subscription ended: nothing about the application
    try:
        code = _refusal(services, services.tokens.refresh(token))
    except PortalClosed as error:
        code = error.code.upper()
        alarms = {alarm.key: alarm.since for alarm in overview(services.database, token.member_id).alarms}
        since = token.dead_at or alarms.get(OAUTH_ALARM, claimed_at)
        return "gone" if code in NO_REFRESH and since > claimed_at - LONG_DEAD else "silent"
    return "works" if code == "" else "gone" if code in GONE | UNKNOWN_TOKEN else "silent"


def _refusal(services: Services, token: Token) -> str:
    """Returns the code with which the portal refuses the token, or nothing where it lets us in."""
    rest = Rest(
        services.database, services.tokens, services.limits, token.member_id, as_access_token=token.access, urgent=True
    )
    try:
        rest.call(Call("app.info"))
    except Permanent as error:
        return error.code.upper() or "?"
    return ""
