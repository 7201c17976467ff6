"""Admits a portal and brings it in line: proof at the authorization server, read batch, difference, write batch.

Every step tells what it did as a Line for the person who installs; a repeat does only what is still missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from b24app.bitrix.calls import BATCH_LENGTH, Answer, Call
from b24app.bitrix.oauth import Holder, Pair, door_key, token_digest
from b24app.bitrix.rest import Rest
from b24app.engine.declare import Text
from b24app.errors import B24AppError, OutcomeUnknown, Permanent, Rejected
from b24app.services import Services
from b24app.store.alarms import clear_alarm, raise_alarm
from b24app.store.portals import (
    OFFLINE_EVENTS,
    PortalRow,
    all_portals,
    install_portal,
    learn,
    portal_of,
    prepare_portal,
)
from install.wanted import Step, differences, missing_scopes, present_of

log = logging.getLogger(__name__)

ALARM = "install"
REMOVAL_ALARM = "removal"
"""A removal that was not believed (install/removal.py); whoever installs again has seen it."""

KEYED_AT = "robots_keyed_at"
"""Of `portals.facts`: since when the portal calls robots at addresses that nobody else knows."""

FINISH_AFTER = timedelta(minutes=1)
"""Who begins to bring a portal in line has this long before the clock takes it for interrupted."""
LOOK_AGAIN_AFTER = timedelta(minutes=10)
"""What could not be finished is tried again so often: a permission may have been added meanwhile."""

READS = {
    "robots": Call("bizproc.robot.list"),
    "events": Call("event.get"),
    "placements": Call("placement.get"),
    "places": Call("placement.list"),
    "scope": Call("scope"),
    "app": Call("app.info"),
    "mode": Call("crm.settings.mode.get"),
    "queue": Call("feature.get", {"CODE": "rest_offline_extended"}),
}

REST_V3_PROBE = Call("tasks.task.get", {"id": 0, "select": ["id"]}, v3=True)
"""Reads nothing; a portal without REST 3.0 does not know the address, one with it complains in its own way."""

ALREADY = ("ERROR_ACTIVITY_ALREADY_INSTALLED",)
FREE_PLANS = frozenset({"project", "tf", "free"})


@dataclass(frozen=True)
class Line:
    """One line for the installing person. `essential` marks what the installation cannot be finished without."""

    state: Literal["working", "done", "present", "note", "failed"]
    text: Text
    advice: Text | None = None
    essential: bool = False


def is_ready(lines: list[Line]) -> bool:
    """Tells whether nothing essential failed: only then is the installation finished."""
    return not any(line.state == "failed" and line.essential for line in lines)


def admit(
    services: Services,
    *,
    member_id: str,
    application_token: str,
    pair: Pair,
) -> PortalRow:
    """Stores the portal that an administrator's token proves, and the token as the owner's; returns its row.

    Portal, host and person come from the authorization server's answer, never from the request. Rejected: the token is
    not of a local application of ours, is of another portal than the request says, or its user is no administrator.
    """
    holder = prove(services, member_id=member_id, pair=pair)
    digest = token_digest(services.settings.app.secret_key, application_token)
    install_portal(
        services.database,
        member_id=holder.member_id,
        client_id=holder.client_id,
        host=holder.host,
        client_endpoint=holder.client_endpoint,
        application_token_digest=digest,
        user_id=holder.user_id,
    )
    services.tokens.store(holder.member_id, holder.user_id, "owner", holder.pair)
    clear_alarm(services.database, holder.member_id, REMOVAL_ALARM)
    owe(services, holder.member_id)
    log.info("portal=%s host=%s state=installed user=%d", holder.member_id, holder.host, holder.user_id)
    row = portal_of(services.database, holder.member_id)
    if row is None:
        raise Rejected("портал удалён во время установки / the portal was removed meanwhile")
    return row


def prove(services: Services, *, member_id: str, pair: Pair) -> Holder:
    """Returns whose the authorization server says the pair is; it must be an administrator of the portal."""
    holder = services.tokens.prove(pair)
    if holder.member_id != member_id:
        raise Rejected("токен другого портала / the token is of another portal")
    prepare_portal(
        services.database,
        member_id=holder.member_id,
        client_id=holder.client_id,
        host=holder.host,
        client_endpoint=holder.client_endpoint,
        user_id=holder.user_id,
    )
    rest = Rest(
        services.database,
        services.tokens,
        services.limits,
        holder.member_id,
        as_access_token=holder.pair.access,
        urgent=True,
    )
    if rest.call(Call("user.admin")).result is not True:
        raise Rejected("устанавливать может только администратор портала / only an administrator may install")
    return holder


def owe(services: Services, member_id: str) -> None:
    """Keeps that the portal has to be brought in line: whoever dies over it, `finish_owed` goes on."""
    due = datetime.now(UTC) + FINISH_AFTER
    learn(services.database, member_id, {"in_line": False, "in_line_due": due.isoformat()})


def finish_owed(services: Services) -> None:
    """Brings in line every portal that somebody began with and did not finish, once it is due."""
    now = datetime.now(UTC).isoformat()
    for row in all_portals(services.database).values():
        if row.active and row.facts.get("in_line") is False and str(row.facts.get("in_line_due") or "") <= now:
            log.info("portal=%s install=resumed", row.member_id)
            for _ in bring_in_line(services, row.member_id):
                pass


def bring_in_line(services: Services, member_id: str) -> Iterator[Line]:
    """Yields line by line what was found and done on the portal; learns its facts; raises nothing of the portal's."""
    row = portal_of(services.database, member_id)
    if row is None or not row.active:
        yield Line("failed", _text("Портал не установлен", "The portal is not installed"), essential=True)
        return
    lines: list[Line] = []
    try:
        for line in _bring_in_line(services, row):
            lines.append(line)
            yield line
    except B24AppError as error:
        log.warning("portal=%s install=stopped reason=%s", member_id, error)
        reason = error.reason if isinstance(error, Permanent) else str(error)
        advice = _text(
            "Нажмите «Повторить»: сделанное не повторится.", "Press “Repeat”: nothing that is done is done twice."
        )
        line = Line("failed", _text(f"Портал ответил: {reason}", f"The portal answered: {reason}"), advice, True)
        lines.append(line)
        yield line
    ready = is_ready(lines)
    now = datetime.now(UTC)
    facts = {"in_line": ready, "checked_at": now.isoformat(), "in_line_due": (now + LOOK_AGAIN_AFTER).isoformat()}
    learn(services.database, member_id, facts)
    if ready:
        clear_alarm(services.database, member_id, ALARM)
    else:
        ru = "Установка не закончена: откройте приложение администратором и посмотрите, чего не хватает"
        en = "The installation is not finished: open the application as an administrator and see what is missing"
        raise_alarm(services.database, member_id, ALARM, ru, en)
    log.info("portal=%s install=%s lines=%d", member_id, "ready" if ready else "unfinished", len(lines))


def _bring_in_line(services: Services, row: PortalRow) -> Iterator[Line]:
    rest = Rest(services.database, services.tokens, services.limits, row.member_id, urgent=True)
    yield Line("working", _text("Смотрим, что уже есть на портале", "Looking at what the portal already has"))
    answers = _read(rest)
    facts = _facts(answers) | {"rest_v3": _has_rest_v3(rest)}
    learn(services.database, row.member_id, facts)
    services.limits.plan(row.member_id, enterprise=facts["license_family"] == "ent")
    yield from _about(facts)
    yield Line("working", _text("Подключаем роботов, события и вкладки", "Connecting robots, events and tabs"))
    steps = _steps(services, row, answers)
    try:
        outcomes = _write(rest, steps)
    except OutcomeUnknown:
        # nobody knows what was carried out: look again, and do what is still missing
        steps = _steps(services, row, _read(rest))
        outcomes = _write(rest, steps)
    _learn_keyed(services, row, steps, outcomes)
    for step in steps:
        yield _line(step, outcomes.get(step.key))


def app_steps(services: Services, row: PortalRow, rest: Rest) -> list[Step]:
    """Returns the application's own parts as a plan shows them: a robot that is there is only refreshed."""
    steps = _steps(services, row, _read(rest))
    return [replace(step, state="present", call=None) if step.state == "update" else step for step in steps]


def _steps(services: Services, row: PortalRow, answers: dict[str, Any]) -> list[Step]:
    app = services.settings.app
    steps = differences(services.catalogue, app.public_url, row.installed_by, present_of(answers))
    return [_keyed(step, app.public_url, app.secret_key, row.member_id) for step in steps]


def _keyed(step: Step, public_url: str, secret_key: str, member_id: str) -> Step:
    """Gives a robot an address with a key: application_token alone every employee knows, and could call it himself."""
    kind, _, code = step.key.partition(":")
    if kind != "robot" or step.call is None:
        return step
    address = {"HANDLER": f"{public_url}/robot/{code}/{door_key(secret_key, member_id, code)}"}
    params = dict(step.call.params)
    params |= {"FIELDS": {**params["FIELDS"], **address}} if "FIELDS" in params else address
    return replace(step, call=replace(step.call, params=params))


def _learn_keyed(services: Services, row: PortalRow, steps: list[Step], outcomes: dict[str, Any]) -> None:
    """Keeps since when every robot of the portal has its address with a key (b24app/web/doors.py asks for it then)."""
    robots = [step.key for step in steps if step.key.startswith("robot:")]
    done = [key for key in robots if isinstance(outcomes.get(key), Answer) and outcomes[key].result is not False]
    if robots and done == robots and KEYED_AT not in row.facts:
        learn(services.database, row.member_id, {KEYED_AT: datetime.now(UTC).isoformat()})


def _read(rest: Rest) -> dict[str, Any]:
    return {label: answer.result for label, answer in rest.batch(READS).items() if isinstance(answer, Answer)}


def _write(rest: Rest, steps: list[Step]) -> dict[str, Answer | B24AppError]:
    calls = [(step.key, step.call) for step in steps if step.call is not None]
    outcomes: dict[str, Answer | B24AppError] = {}
    for start in range(0, len(calls), BATCH_LENGTH):
        chunk = calls[start : start + BATCH_LENGTH]
        answers = rest.batch({f"step{number}": call for number, (_, call) in enumerate(chunk)})
        for number, (key, _) in enumerate(chunk):
            if f"step{number}" in answers:
                outcomes[key] = answers[f"step{number}"]
    return outcomes


def _facts(answers: dict[str, Any]) -> dict[str, Any]:
    app = answers.get("app")
    app = app if isinstance(app, dict) else {}
    present = present_of(answers)
    return {
        "scope": sorted(present.scope),
        "license": str(app.get("LICENSE") or ""),
        "license_family": str(app.get("LICENSE_FAMILY") or ""),
        "payment_expired": app.get("PAYMENT_EXPIRED") == "Y",
        "installed": app.get("INSTALLED") is True,
        "crm_mode": present.crm_mode or 1,
        OFFLINE_EVENTS: present.offline is not None,
    }


def _has_rest_v3(rest: Rest) -> bool:
    try:
        rest.call(REST_V3_PROBE)
    except Permanent as error:
        return error.code.upper().startswith("BITRIX_REST_V3") and "INSUFFICIENTSCOPE" not in error.code.upper()
    except B24AppError:
        return False  # tasks are made the classic way until the next check
    return True


def _about(facts: dict[str, Any]) -> Iterator[Line]:
    for scope in missing_scopes(frozenset(facts["scope"])):
        yield Line(
            "failed" if scope.essential else "note",
            _text(f"Нет права «{scope.name}»: {scope.purpose['ru']}", f"No “{scope.name}”: {scope.purpose['en']}"),
            _text(
                "Разработчикам → Интеграции → карточка приложения: отметьте право, сохраните, повторите.",
                "Developer resources → Integrations → the application's card: tick the permission, save, repeat.",
            ),
            scope.essential,
        )
    if facts["license_family"] in FREE_PLANS or facts["payment_expired"]:
        yield Line(
            "note",
            _text(
                f"Тариф {facts['license'] or '?'}: REST и роботы работают только на оплаченном тарифе с подпиской",
                f"Plan {facts['license'] or '?'}: REST and robots work on a paid plan with a subscription only",
            ),
            _text("Проверьте тариф и подписку портала.", "Check the portal's plan and subscription."),
        )
    if facts["crm_mode"] == 2:
        yield Line(
            "note",
            _text(
                "CRM в простом режиме, без лидов: обращения распределяются сделками",
                "CRM is in simple mode, without leads: enquiries are distributed as deals",
            ),
        )
    if not facts["rest_v3"]:
        yield Line(
            "note",
            _text(
                "REST 3.0 на портале нет: задачи создаются прежним способом, с проверкой перед повтором",
                "The portal has no REST 3.0: tasks are made the classic way, looked up before a repeat",
            ),
        )


def _line(step: Step, outcome: Answer | B24AppError | None) -> Line:
    if step.state == "present":
        return Line("present", step.what)
    if step.call is None:
        return Line("failed" if step.essential else "note", step.what, step.note, step.essential)
    if isinstance(outcome, Answer) and outcome.result is not False:
        return Line("done", step.what)
    if outcome is None or isinstance(outcome, Answer):
        reason = "портал не выполнил / the portal did not carry it out"
    else:
        reason = outcome.reason if isinstance(outcome, Permanent) else str(outcome)
    if getattr(outcome, "code", "") in ALREADY or "unable to set event handler" in reason.lower():
        return Line("present", step.what)  # done by another process between our look and our write
    return Line("failed", step.what, _text(reason, reason), step.essential)


def _text(ru: str, en: str) -> Text:
    return {"ru": ru, "en": en}
