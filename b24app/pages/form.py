"""The quick form: exactly the missing fields of one move, typed as the portal has them; Save writes and makes the move.

Everything is read and written with the opener's own token. What somebody changed while the form was open is shown and
left to the opener; nothing is half-done: fields that are not right are not written, and without them nothing moves.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Portal
from b24app.bitrix.reads import result_of
from b24app.bitrix.rest import Rest
from b24app.bitrix.translate import rows, user_of
from b24app.entities import ENTITY_NAMES
from b24app.errors import AccessDenied, B24AppError, Malformed, Permanent
from b24app.pages import card, inputs
from b24app.pages.frame import Look
from b24app.pages.inputs import Mistyped, NewFile, Option, Typed
from b24app.playbook import CardField, Stage
from b24app.rules.intake import plain
from b24app.rules.stage_gate import EMPTY, Missing, evidence_name

log = logging.getLogger(__name__)

MAX_REASON = 1000
SHORTEST_REASON = 5
MAX_BYTES = 8 * 1024 * 1024
"""A file of five megabytes in base64, and the rest of the form."""


@dataclass(frozen=True)
class FieldView:
    """A field as the form shows it; `unknown` says why it cannot be filled in here."""

    key: str
    type: str
    label: str
    why: str
    error: str
    multiple: bool
    shown: tuple[str, ...]
    options: tuple[Option, ...] = ()
    people: tuple[str, ...] = ()
    unknown: str = ""

    @property
    def amount(self) -> str:
        """The sum of a money field."""
        return self.shown[0].partition("|")[0] if self.shown else ""

    @property
    def currency(self) -> str:
        """The currency of a money field."""
        return (self.shown[0].partition("|")[2] if self.shown else "") or inputs.CURRENCY


@dataclass(frozen=True)
class ProofView:
    """A piece of evidence that is not there."""

    key: str
    name: str
    why: str
    manual: bool


@dataclass(frozen=True)
class Wish:
    """What the page sends: fields by key as typed, as they stood when it was opened, reasons by evidence."""

    to: str
    stage_id: str
    values: Mapping[str, Any]
    base: Mapping[str, Any]
    reasons: Mapping[str, str]


def show(look: Look, state: card.CardState, to: str, at: str, rest: Rest) -> str:
    """Returns the form for the move to the stage of this key, else to the next one; it begins at what `at` names.

    `rest` reads people's names.
    """
    target = _target(state, to)
    missing = state.ruling(target).missing if target is not None else ()
    fields = [_field_view(look, state, lack, rest) for lack in missing if lack.kind != "evidence"]
    fields.sort(key=lambda field: bool(field.shown))
    return look.render(
        "form.html",
        entity=str(state.ref),
        at=at,
        title=state.title or look.entity(str(state.ref)),
        path=look.path(str(state.ref)),
        stage_name=state.on.stage_name(state.stage_id),
        stage_id=state.stage_id,
        to=target.key if target is not None else "",
        to_name=state.on.stage_name(target.key) if target is not None else "",
        fields=fields,
        evidence=[_proof_view(look, state, lack) for lack in missing if lack.kind == "evidence"],
    )


def _target(state: card.CardState, to: str) -> Stage | None:
    return state.on.process.stage(to) if to else state.standing.target


def _field_view(look: Look, state: card.CardState, lack: Missing, rest: Rest) -> FieldView:
    field = state.field(lack.key)
    why = lack.why.of(look.language) if lack.why != EMPTY else ""
    if field is None or not inputs.known(field, state.described):
        unknown = look.text(
            "Этого поля нет на портале: администратору нужно применить сценарий.",
            "The portal does not have this field: an administrator has to apply the playbook.",
        )
        label = lack.name.of(look.language)
        return FieldView(lack.key, "string", label, why, "", False, (), unknown=unknown)
    shown = inputs.current(field, state.item, state.zone)
    return FieldView(
        key=lack.key,
        type=field.type,
        label=inputs.label_of(field, state.described, look.language),
        why="" if shown else why,
        error=why if shown else "",
        multiple=inputs.is_multiple(field, state.described),
        shown=shown,
        options=inputs.options_of(field.code, state.described),
        people=people_of(rest, shown) if field.type == "employee" else (),
    )


def people_of(rest: Rest, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names of people, one request where there is anybody."""
    if not ids:
        return ()
    answer = rest.call(Call("user.get", {"FILTER": {"ID": list(ids)}}), reading=True)
    return tuple(user_of(row).name for row in rows(answer.result))


def _proof_view(look: Look, state: card.CardState, lack: Missing) -> ProofView:
    wanted = state.evidence(lack.key)
    name, why = lack.name.of(look.language), lack.why.of(look.language)
    return ProofView(lack.key, name, why, wanted is not None and wanted.manual)


def wish_of(asked: Mapping[str, Any]) -> Wish:
    """Returns what the page asks; Malformed where it cannot have come from our page."""
    to, stage_id = asked.get("to", ""), asked.get("stage", "")
    maps = [asked.get(name, {}) for name in ("values", "base", "reasons")]
    if not isinstance(to, str) or not isinstance(stage_id, str) or not all(isinstance(one, dict) for one in maps):
        raise Malformed("форма не понята / the form is not understood")
    values, base, reasons = maps
    texts = all(isinstance(reason, str) and len(reason) <= MAX_REASON for reason in reasons.values())
    listed = all(isinstance(one, list) and all(isinstance(v, str) for v in one) for one in base.values())
    if not texts or not listed:
        raise Malformed("форма не понята / the form is not understood")
    return Wish(to, stage_id, values, base, reasons)


def save(look: Look, portal: Portal, state: card.CardState, wish: Wish, user_id: int) -> dict[str, Any]:
    """Writes what was typed, as the visitor whose `portal` it is, and makes the move where nothing is missing any more.

    Returns {"done", "said", "problems": {key: text}, "changed": {key: {"now", "shown"}}, "now": {key: values},
    "stage": where the item stands}.
    """
    target = _target(state, wish.to)
    if wish.to and target is None:
        raise Malformed("такой стадии нет / no such stage")
    typed, problems = _typed(look, state, wish)
    changed = _changed(state, wish, typed)
    stands = {key: inputs.current(field, state.item, state.zone) for key in wish.base if (field := state.field(key))}
    result: dict[str, Any] = {
        "done": False, "said": "", "problems": problems, "changed": changed, "now": stands, "stage": state.stage_id,
    }  # fmt: skip
    fields = _fields(state, typed)
    files = [field.code for key, one in typed.items() if isinstance(one, NewFile) and (field := state.field(key))]
    reasons = {key: reason.strip() for key, reason in wish.reasons.items()}
    after = state.as_if(inputs.as_if_written(state.item, fields, files), reasons)
    ruling = after.ruling(target) if target is not None else None
    for lack in ruling.missing if ruling is not None else ():
        if lack.kind == "field" and typed.get(lack.key):
            problems.setdefault(lack.key, lack.why.of(look.language))
    if problems:
        return {**result, "said": look.text("Исправьте отмеченное.", "Please correct what is marked.")}
    if changed:
        said = look.text("Карточку изменили. Выберите, что оставить.", "The card was changed. Choose what to keep.")
        return {**result, "said": said}
    if wish.stage_id and wish.stage_id != state.stage_id:
        there = state.on.stage_name(state.stage_id)
        said = look.text(
            f"Карточку уже перевели на «{there}». Если всё верно, нажмите ещё раз.",
            f"The item was moved to “{there}” meanwhile. If that is right, press again.",
        )
        return {**result, "said": said}

    moves = target is not None and ruling is not None and ruling.action != "return"
    moves = moves and target is not None and state.on.stage_id(target.key) != state.stage_id
    if reasons:
        card.confirm(portal, state, reasons, user_id)
    refused = _write(look, portal.rest, state, fields, target if moves else None, reasons, with_file=bool(files))
    if refused:
        return {**result, "said": refused}
    log.info("entity=%s user=%d form=saved fields=%d moves=%s", state.ref, user_id, len(fields), moves)
    if target is None or ruling is None:
        return {**result, "done": True, "said": look.text("Сохранено.", "Saved.")}
    to_name = state.on.stage_name(target.key)
    if ruling.action != "return":
        said = look.text(f"Сохранено. Теперь стадия «{to_name}».", f"Saved. The stage is “{to_name}” now.")
        return {**result, "done": True, "said": said}
    lacking = ", ".join(_lacking(look, state, lack) for lack in ruling.missing)
    said = look.text(
        f"Введённое сохранено. Для стадии «{to_name}» не хватает: {lacking}.",
        f"What you entered is saved. The stage “{to_name}” still needs: {lacking}.",
    )
    return {**result, "said": said, "now": {key: _after(after, key) for key in stands}}


def _lacking(look: Look, state: card.CardState, lack: Missing) -> str:
    field = state.field(lack.key) if lack.kind == "field" else None
    name = lack.name.of(look.language) if field is None else inputs.label_of(field, state.described, look.language)
    return f"«{name}»"


def _after(after: card.CardState, key: str) -> tuple[str, ...]:
    field = after.field(key)
    return () if field is None or field.type == "file" else inputs.current(field, after.item, after.zone)


def _typed(look: Look, state: card.CardState, wish: Wish) -> tuple[dict[str, Typed], dict[str, str]]:
    typed: dict[str, Typed] = {}
    problems: dict[str, str] = {}
    for key, value in wish.values.items():
        field = state.field(key)
        if field is None or not inputs.known(field, state.described):
            raise Malformed(f"{key[:40]}: такого поля нет / no such field")
        try:
            typed[key] = inputs.typed(field, value, multiple=inputs.is_multiple(field, state.described))
            if field.type == "enumeration":
                inputs.known_options(typed[key], inputs.options_of(field.code, state.described))
        except Mistyped as mistake:
            problems[key] = mistake.why.of(look.language)
    for key, reason in wish.reasons.items():
        wanted = state.evidence(key)
        if wanted is None or not wanted.manual:
            raise Malformed(f"{key[:40]}: подтвердить нельзя / cannot be confirmed")
        if len(reason.strip()) < SHORTEST_REASON:
            problems[key] = look.text("Напишите, как и когда это сделано", "Write how and when it was done")
    return typed, problems


def _changed(state: card.CardState, wish: Wish, typed: Mapping[str, Typed]) -> dict[str, Any]:
    """Returns the fields that hold neither what they held when the form was opened nor what was typed."""
    found = {}
    for key, values in typed.items():
        field = state.field(key)
        if field is None:
            continue
        stands = inputs.current(field, state.item, state.zone)
        if stands != tuple(wish.base.get(key, ())) and stands != values:
            found[key] = {"now": stands, "shown": _said(state, field, stands)}
    return found


def _said(state: card.CardState, field: CardField, values: tuple[str, ...]) -> str:
    if field.type == "enumeration":
        texts = {option.id: option.text for option in inputs.options_of(field.code, state.described)}
        return ", ".join(texts.get(value, value) for value in values)
    return ", ".join(value.replace("|", " ") if field.type == "money" else value for value in values)


def _fields(state: card.CardState, typed: Mapping[str, Typed]) -> dict[str, Any]:
    """Returns the fields of crm.item.update; what stands there already is not written again."""
    made: dict[str, Any] = {}
    for key, values in typed.items():
        field = state.field(key)
        if field is None or values == () or values == inputs.current(field, state.item, state.zone):
            continue
        multiple = inputs.is_multiple(field, state.described)
        for code, value in inputs.written(field, values, state.item, state.zone, multiple=multiple).items():
            made[code] = {**made.get(code, {}), **value} if code == "fm" else value
    return made


def _write(
    look: Look,
    rest: Rest,
    state: card.CardState,
    fields: Mapping[str, Any],
    target: Stage | None,
    reasons: Mapping[str, str],
    *,
    with_file: bool,
) -> str:
    """Writes fields, then the stage, unless somebody has moved the item meanwhile; returns why not, or nothing.

    One batch; a file goes before it in a request of its own. What was confirmed by hand stands in the timeline.
    """
    item = {"entityTypeId": state.ref.entity_type_id, "useOriginalUfNames": "Y"}
    if with_file:
        try:
            rest.call(Call("crm.item.update", {**item, "id": state.ref.id, "fields": dict(fields)}))
        except Permanent as error:
            return _refused(look, error)
        fields = {}
    calls: dict[str, Call] = {}
    guarded: Any = state.ref.id
    if target is not None:
        unmoved = {"id": state.ref.id, "stageId": state.stage_id}
        listed = {"entityTypeId": state.ref.entity_type_id, "filter": unmoved, "select": ["id"]}
        calls["check"] = Call("crm.item.list", listed)
        guarded = result_of("check", "items", 0, "id")
    if fields:
        calls["fields"] = Call("crm.item.update", {**item, "id": guarded, "fields": dict(fields)})
    if target is not None:
        moved = {"stageId": state.on.stage_id(target.key)}
        calls["stage"] = Call("crm.item.update", {**item, "id": guarded, "fields": moved})
    if reasons:
        calls["comment"] = Call("crm.timeline.comment.add", {"fields": _comment(state, reasons)})
    answers = rest.batch(calls, halt=True)
    check = answers.get("check")
    if isinstance(check, Answer) and not rows(check.result, "items"):
        return look.text(
            "Стадию только что сменили: откройте форму ещё раз.",
            "The stage has just been changed: open the form again.",
        )
    for answer in answers.values():
        if isinstance(answer, Permanent):
            return _refused(look, answer)
        if isinstance(answer, B24AppError):
            raise answer
    return ""


def _comment(state: card.CardState, reasons: Mapping[str, str]) -> dict[str, Any]:
    words = []
    for key, reason in reasons.items():
        wanted = state.evidence(key)
        name = evidence_name(state.on.process, wanted).ru if wanted is not None else key
        words.append(f"Подтверждено вручную: {plain(name)}. {plain(reason)}")
    kind = ENTITY_NAMES[state.ref.entity_type_id]
    return {"ENTITY_ID": state.ref.id, "ENTITY_TYPE": kind, "COMMENT": "\n".join(words)}


def _refused(look: Look, error: Permanent) -> str:
    if isinstance(error, AccessDenied):
        return look.text("У вас нет права менять эту карточку.", "You may not change this card.")
    return look.text(f"Портал не сохранил: {error.reason}", f"The portal did not save it: {error.reason}")
