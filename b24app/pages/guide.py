"""The tab «Что делать»: the stage, its criterion and hint, what is done and what is missing, tasks, script, memo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from b24app.bitrix.calls import Answer, Call
from b24app.errors import B24AppError
from b24app.pages import card, inputs, lead
from b24app.pages.frame import Look
from b24app.pictures import pictures
from b24app.playbook import Checklist, Stage, TaskRule
from b24app.process import ProcessOnPortal, fill, mailbox_read, text_of
from b24app.rules.stage_gate import (
    EMPTY,
    Missing,
    applies,
    evidence_asked,
    evidence_key,
    evidence_name,
    stages_of_move,
)
from b24app.store.process_memory import TaskRow

TASKS_SHOWN = 50


@dataclass(frozen=True)
class Step:
    """A stage on the scale: passed, now, ahead."""

    name: str
    state: str


@dataclass(frozen=True)
class Want:
    """One thing that the next stage asks for; `action` is what its button says."""

    name: str
    done: bool
    detail: str
    action: str = ""
    key: str = ""


@dataclass(frozen=True)
class Memo:
    """What a task of this stage says: checklists, script, picture's address."""

    title: str
    checklists: tuple[Checklist, ...]
    script: str
    picture: str


def reads(on: ProcessOnPortal, tasks: tuple[TaskRow, ...]) -> dict[str, Call]:
    """Returns what is asked beside the card with the visitor's rights: our tasks, and whether letters are seen."""
    asked = {}
    if any(wanted.kind == "offer_sent" for wanted in evidence_asked(on.process.stages)):
        asked["mailbox"] = mailbox_read().call
    ids = sorted(task.task_id for task in tasks if task.task_id > 0 and task.state == "open")[-TASKS_SHOWN:]
    if ids:
        select = ["ID", "TITLE", "STATUS", "DEADLINE", "RESPONSIBLE_ID"]
        params = {"filter": {"ID": ids}, "select": select, "order": {"ID": "DESC"}}
        asked["tasks"] = Call("tasks.task.list", params)
    return asked


def show(look: Look, state: card.CardState, answers: Mapping[str, Answer | B24AppError]) -> str:
    """Returns the tab; `answers` to `reads`."""
    stage, target = state.standing.stage, state.standing.target
    missing = state.ruling(target).missing if target is not None else ()
    found = answers.get("tasks")
    closed = not state.standing.item.open
    return look.render(
        "guide.html",
        entity=str(state.ref),
        title=state.title or look.entity(str(state.ref)),
        stage_id=state.stage_id,
        stage_name=state.on.stage_name(state.stage_id),
        known=stage is not None,
        closed=closed,
        scale=list(_scale(state, stage)) if stage is not None else [],
        criterion=stage.criterion.of(look.language) if stage is not None and stage.criterion else "",
        hint=stage.hint.of(look.language) if stage is not None and stage.hint else "",
        hint_url=stage.hint_url if stage is not None else "",
        next={"key": target.key, "name": state.on.stage_name(target.key)} if target is not None else None,
        wants=list(_wants(look, state, target, missing)) if target is not None else [],
        blocked=bool(missing),
        mailbox=_mailbox(look, missing, answers),
        memos=[_memo(look, state, rule) for rule in _rules(state, stage)],
        tasks=lead.tasks_of(look, found.result) if isinstance(found, Answer) else [],
        declines=list(_declines(look, state)) if not closed else [],
    )


def not_applied(look: Look) -> str:
    """Returns the tab of a portal on which the process was not set up."""
    return look.render(
        "message.html",
        title=look.text("Что делать", "What to do"),
        lines=[
            look.text(
                "Для этих карточек подсказок пока нет: администратор ещё не применил сценарий на портале.",
                "There are no hints for these cards yet: the administrator has not applied the playbook to the portal.",
            )
        ],
    )


def _scale(state: card.CardState, stage: Stage | None) -> Iterator[Step]:
    here = state.on.process.order(stage.key) if stage is not None else -1
    failed = stage is not None and stage.semantics == "failure"
    for place, one in enumerate(state.on.process.stages):
        if one.semantics == "failure" and one != stage:
            continue
        where = "now" if one == stage else "passed" if place < here and not failed else "ahead"
        yield Step(state.on.stage_name(one.key), where)


def _wants(look: Look, state: card.CardState, target: Stage, missing: tuple[Missing, ...]) -> Iterator[Want]:
    """Yields what the way to the next stage asks for: what lacks first, then what is done."""
    for lack in missing:
        yield _lacking(look, state, lack)
    lacking = {(lack.kind, lack.key) for lack in missing}
    here = state.standing.stage.key if state.standing.stage is not None else None
    left, entered = stages_of_move(state.on.process, here, target.key)
    asked = [one for stage in left for one in stage.requires_to_leave]
    asked += [one for stage in entered for one in stage.requires]
    for key in dict.fromkeys(one.field for one in asked if applies(one.only_if, state.card)):
        field = state.field(key)
        if field is not None and ("field", key) not in lacking:
            name = inputs.label_of(field, state.described, look.language)
            yield Want(name, True, text_of(state.on, state.card, key))
    for wanted in evidence_asked(entered):
        if ("evidence", evidence_key(wanted)) not in lacking:
            yield Want(evidence_name(state.on.process, wanted).of(look.language), True, "")


def _declines(look: Look, state: card.CardState) -> Iterator[dict[str, str]]:
    """Yields the ways to decline: one that asks for the reason, or one a failing stage that says its reason itself."""
    decline = state.on.process.decline
    for one in state.on.process.stages:
        if one.semantics == "failure" and one != state.standing.stage:
            said = decline.reason_of(one.key) if decline is not None else None
            name = state.on.stage_name(one.key) if said is not None else look.text("Оформить отказ", "Decline")
            yield {"key": one.key, "name": name, "how": "data-form" if said is None and decline else "data-move"}


def _lacking(look: Look, state: card.CardState, lack: Missing) -> Want:
    why = lack.why.of(look.language) if lack.why != EMPTY else ""
    if lack.kind == "evidence":
        wanted = state.evidence(lack.key)
        manual = wanted is not None and wanted.manual
        action = look.text("Подтвердить", "Confirm") if manual else ""
        return Want(lack.name.of(look.language), False, why, action, lack.key)
    field = state.field(lack.key)
    name = lack.name.of(look.language) if field is None else inputs.label_of(field, state.described, look.language)
    return Want(name, False, why, look.text("Заполнить", "Fill in"), lack.key)


def _mailbox(look: Look, missing: tuple[Missing, ...], answers: Mapping[str, Answer | B24AppError]) -> str:
    """Says, where the offer is missing, that no letter was ever seen: a mailbox may not be connected (K18)."""
    found = answers.get("mailbox")
    if not isinstance(found, Answer) or not any(lack.key == "offer_sent" for lack in missing):
        return ""
    if mailbox_read().parse(found).works:
        return ""
    return look.text(
        "В CRM ещё нет ни одного письма, которое вам видно: возможно, почта не подключена. Подключите ящик в разделе "
        "«Почта» и отправляйте КП письмом из карточки.",
        "No letter that you may see stands in the CRM yet: perhaps no mailbox is connected. Connect one in Webmail "
        "and send the offer from the card.",
    )


def _rules(state: card.CardState, stage: Stage | None) -> Iterator[TaskRule]:
    """Yields the task rules of this stage that have something to read beside the task itself."""
    for rule in stage.tasks if stage is not None else ():
        if (rule.script or rule.checklists or rule.picture) and applies(rule.only_if, state.card):
            yield rule


def _memo(look: Look, state: card.CardState, rule: TaskRule) -> Memo:
    link = f"{look.portal_url}{look.path(str(state.ref))}"

    def filled(text: str) -> str:
        return fill(text, state.on, state.card, state.standing.item, link)

    services = look.services
    picture = pictures(services.playbook, services.settings.playbook.path).get(rule.picture)
    return Memo(filled(rule.title), rule.checklists, filled(rule.script), picture.url if picture is not None else "")
