"""Plan, apply, undo of a playbook on a portal: the same read - difference - carry out as the installation's own parts.

What is to be made is written into our record before the portal is asked, so that a stop at any point is gone on from:
the next run reads the portal again and does what is still missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.rest import Rest
from b24app.crashpoint import crashpoint
from b24app.engine.declare import Text
from b24app.errors import B24AppError, OutcomeUnknown, Permanent, PortalClosed, Temporary
from b24app.pictures import PICTURE, named, pictures
from b24app.services import Services
from b24app.store.applied import Applied, AppliedRow
from b24app.store.portals import PortalRow, learn, portal_of
from install.carry_out import Line, app_steps, bring_in_line, is_ready
from install.drive import Drive, drive_of, picture_steps
from install.drive import reads as drive_reads
from install.process import KINDS, PresentProcess, is_described, present_process, process_steps, reads
from install.undo import UndoStep, undo_steps
from install.wanted import Record, Step

log = logging.getLogger(__name__)

ROUNDS = 4
"""How often the portal is read again after an answer was lost."""

FACT = "process"
"""What `portals.facts` says of the playbook: applying (for the first time), unfinished, applied, undone; absent: never.

Gates hold nobody back on a portal where it is applying or undone (b24app/process.py)."""


def plan(services: Services, member_id: str) -> list[Step]:
    """Returns what stands and what would be done, the application's own parts first. Changes nothing.

    Errors of the portal are raised (B24AppError).
    """
    row, rest = _open(services, member_id)
    present, language = _read(services, rest)
    rows = {one.name: one for one in Applied(services.database, member_id).rows()}
    return [*app_steps(services, row, rest), *_steps(services, present, rows, language, _drive(services, rest))]


def apply(services: Services, member_id: str) -> Iterator[Line]:
    """Yields line by line what was done: first the application's own parts, then the playbook's process."""
    lines: list[Line] = []
    for line in bring_in_line(services, member_id):
        lines.append(line)
        yield line
    if not is_ready(lines):
        return
    row, _ = _open(services, member_id)
    if row.facts.get(FACT) not in ("applied", "unfinished"):
        learn(services.database, member_id, {FACT: "applying"})
    yield Line("working", _both("Готовим стадии и поля", "Preparing stages and fields"))
    state = "applied"
    for line in _guarded(member_id, _apply(services, member_id)):
        if line.state == "failed":
            state = "stopped" if line.essential else "unfinished"
        yield line
    if state != "stopped":  # what was interrupted the first time is still being applied
        learn(services.database, member_id, {FACT: state})
    log.info("portal=%s process=%s", member_id, state)


def undo(services: Services, member_id: str) -> Iterator[Line]:
    """Yields line by line what was taken back and what stays because it holds data or a person changed it."""
    learn(services.database, member_id, {FACT: "undone"})
    yield Line("working", _both("Смотрим, что можно убрать", "Looking at what can be taken back"))
    yield from _guarded(member_id, _undo(services, member_id))
    log.info("portal=%s process=undone", member_id)


def read_portal(services: Services, member_id: str) -> dict[str, PresentProcess]:
    """Returns what the portal has for leads and deals, whether the playbook describes them or not (export)."""
    _, rest = _open(services, member_id)
    return _read(services, rest, every=True)[0]


def _guarded(member_id: str, lines: Iterator[Line]) -> Iterator[Line]:
    try:
        yield from lines
    except B24AppError as error:
        log.warning("portal=%s process=stopped reason=%s", member_id, error)
        reason = error.reason if isinstance(error, Permanent | Temporary) else str(error)
        advice = _both("Повторите: сделанное не повторится.", "Repeat: nothing that is done is done twice.")
        yield Line("failed", _both(f"Портал ответил: {reason}", f"The portal answered: {reason}"), advice, True)


def _apply(services: Services, member_id: str) -> Iterator[Line]:
    _, rest = _open(services, member_id)
    applied = Applied(services.database, member_id)
    refused: dict[str, Permanent] = {}
    done: set[str] = set()
    for _ in range(ROUNDS):
        present, language = _read(services, rest)
        rows = {one.name: one for one in applied.rows()}
        steps = _steps(services, present, rows, language, _drive(services, rest))
        _keep(applied, rows, steps)
        todo = [step for step in steps if step.call is not None and step.key not in refused]
        if not todo:
            break
        for step in todo:
            try:
                _carry_out(rest, applied, rows, step)
            except OutcomeUnknown as error:
                log.info("portal=%s step=%s outcome=unknown reason=%s", member_id, step.key, error)
                break  # read again: it may stand already
            except PortalClosed:
                raise
            except Permanent as error:
                refused[step.key] = error
            else:
                done.add(step.key)
                yield Line("done", step.what)
    for step in steps:
        if step.key not in done:
            yield _line(step, refused.get(step.key))


def _carry_out(rest: Rest, applied: Applied, rows: Mapping[str, AppliedRow], step: Step) -> None:
    """Records what is about to be made, then makes it; a clear refusal takes the record back."""
    if step.call is None:
        return
    for record in step.records:
        applied.record(record.name, record.portal_id, made=record.made, before=_before(record, rows))
    crashpoint("apply_before_call")
    try:
        rest.call(step.call)
    except OutcomeUnknown:
        raise
    except B24AppError:
        for record in step.records:
            if record.name not in rows:
                applied.forget(record.name)
        raise
    crashpoint("apply_after_call")


def _before(record: Record, rows: Mapping[str, AppliedRow]) -> Mapping[str, Any] | None:
    """What stood there before us is what stood there before our first change."""
    if record.before is None:
        return None
    known = rows[record.name].before if record.name in rows else None
    first = (known or {}).get("was", record.before.get("was"))
    return {"set": record.before["set"]} if first is None else {"was": first, "set": record.before["set"]}


def _keep(applied: Applied, rows: Mapping[str, AppliedRow], steps: list[Step]) -> None:
    for step in steps:
        if step.call is None:
            for record in step.records:
                if record.name not in rows or rows[record.name].portal_id != record.portal_id:
                    applied.record(record.name, record.portal_id, made=record.made)


def _line(step: Step, refusal: Permanent | None) -> Line:
    if refusal is not None:
        return Line("failed", step.what, _both(refusal.reason, refusal.reason))
    match step.state:
        case "present" | "adopted":
            return Line("present", step.what, step.note)
        case "impossible":
            return Line("note", step.what, step.note)
        case "conflict":
            return Line("failed", step.what, step.note)
    advice = _both("Портал не ответил, повторите.", "The portal did not answer, repeat.")
    return Line("failed", step.what, advice)


def _undo(services: Services, member_id: str) -> Iterator[Line]:
    _, rest = _open(services, member_id)
    applied = Applied(services.database, member_id)
    kept: dict[tuple[str, ...], Line] = {}
    for _ in range(ROUNDS):
        rows = {one.name: one for one in applied.rows()}
        present, _language = _read(services, rest, every=True)
        todo = [
            step
            for kind in KINDS
            for step in undo_steps(kind, getattr(services.playbook, kind), rows, present[kind])
            if step.forgets not in kept
        ]
        try:
            for step in todo:
                line = _take_back(rest, step)
                if line is not None and line.state == "note":
                    kept[step.forgets] = line
                    continue
                for name in step.forgets:
                    applied.forget(name)
                if line is not None:
                    yield line
        except OutcomeUnknown as error:
            log.info("portal=%s undo outcome=unknown reason=%s", member_id, error)
            continue
        break
    else:
        raise OutcomeUnknown("портал не отвечает / the portal does not answer")
    yield from kept.values()
    memos = [name for name in rows if name.startswith(PICTURE)]
    for name in memos:
        applied.forget(name)
    if memos:
        what = _both("Картинки-памятки на Диске приложения", "Memo pictures on the application's Drive")
        yield Line("note", what, _both("остаются: они вложены в задачи", "stay: tasks show them"))


def _take_back(rest: Rest, step: UndoStep) -> Line | None:
    """Does the step unless an item holds it; None where there was nothing to do on the portal."""
    if step.call is None:
        return None
    if step.used is not None:
        answer = rest.call(step.used, reading=True)
        found = answer.result.get("items") if isinstance(answer.result, dict) else None
        count = answer.total or len(found or ())
        if count or found is None:
            return Line(
                "note", step.what, _both(f"остаётся: есть в карточках, {count}", f"stays: held by {count} items")
            )
    crashpoint("apply_before_call")
    try:
        rest.call(step.call)
    except PortalClosed:
        raise
    except Permanent as error:
        return Line("note", step.what, _both(f"остаётся: {error.reason}", f"stays: {error.reason}"))
    crashpoint("apply_after_call")
    return Line("done", step.what, None if step.call.method.endswith(".update") else _both("убрано", "taken back"))


def _open(services: Services, member_id: str) -> tuple[PortalRow, Rest]:
    row = portal_of(services.database, member_id)
    if row is None or not row.active:
        raise PortalClosed("приложение не установлено на портал / the application is not installed on the portal")
    return row, Rest(services.database, services.tokens, services.limits, member_id, urgent=True)


def _read(services: Services, rest: Rest, *, every: bool = False) -> tuple[dict[str, PresentProcess], str]:
    kinds = [kind for kind in KINDS if every or is_described(getattr(services.playbook, kind))]
    calls: dict[str, Call] = {"app": Call("app.info"), "mode": Call("crm.settings.mode.get")}
    for kind in kinds:
        calls |= reads(kind, getattr(services.playbook, kind))
    results: dict[str, Any] = {}
    for label, answer in rest.gather(calls).items():
        if isinstance(answer, Answer):
            results[label] = answer.result
        elif isinstance(answer, Temporary | PortalClosed):
            raise answer  # half a picture would be taken for a missing half of the portal
    if results.get("mode") in (2, "2") and not every:
        kinds = [kind for kind in kinds if kind != "lead"]
    app = results.get("app")
    language = str(app.get("LANGUAGE_ID") or "ru") if isinstance(app, dict) else "ru"
    return {kind: present_process(kind, results) for kind in kinds}, language


def _drive(services: Services, rest: Rest) -> Drive:
    results: dict[str, Any] = {}
    asked = drive_reads(pictures(services.playbook, services.settings.playbook.path))
    for label, answer in (rest.gather(asked) if asked else {}).items():
        if isinstance(answer, Answer):
            results[label] = answer.result
        elif isinstance(answer, Temporary | PortalClosed):
            raise answer
    return drive_of(results)


def _steps(
    services: Services,
    present: Mapping[str, PresentProcess],
    rows: Mapping[str, AppliedRow],
    language: str,
    drive: Drive,
) -> list[Step]:
    steps = [step for kind in present for step in process_steps(kind, services.playbook, present[kind], rows, language)]
    if "lead" not in present and is_described(services.playbook.lead):
        why = _both("CRM в простом режиме, лидов нет", "the CRM is in simple mode, without leads")
        steps.append(Step("lead", _both("Стадии и поля лидов", "Stages and fields of leads"), "impossible", note=why))
    found = pictures(services.playbook, services.settings.playbook.path)
    steps += picture_steps(named(services.playbook), found, drive, rows)
    return steps


def _both(ru: str, en: str) -> Text:
    return {"ru": ru, "en": en}
