"""What to take back of an applied playbook: only what we made, only what holds no data. Pure.

Order: the card's section, list values, fields, stages, places and names of stages; what was taken over is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from b24app.bitrix.calls import Call
from b24app.engine.declare import Text
from b24app.playbook import Process
from b24app.store.applied import AppliedRow
from install.process import KINDS, SECTION, PortalField, PresentProcess, layout_place


@dataclass(frozen=True)
class UndoStep:
    """One thing to take back. `used` finds items that hold it: then it stays. Without `call` it is only forgotten."""

    what: Text
    forgets: tuple[str, ...]
    call: Call | None = None
    used: Call | None = None


def undo_steps(
    kind: str, process: Process, rows: Mapping[str, AppliedRow], present: PresentProcess
) -> Iterator[UndoStep]:
    """Yields what there is to do for one kind of item, by our record and what stands on the portal now."""
    mine = {name: row for name, row in rows.items() if name.startswith(f"{kind}.")}
    yield from _card(kind, process, mine, present)
    gone: set[str] = set()
    for name, row in mine.items():
        if name.startswith(f"{kind}.field:") or name == f"{kind}.decline":
            part = "value:" + name.partition(":")[2] + ":" if ":" in name else "decline:"
            values = {one: mine[one] for one in mine if one.startswith(f"{kind}.{part}")}
            found = next((one for one in present.fields or () if one.code == row.portal_id), None)
            gone |= {name, *values}
            if row.made:
                yield _field(kind, name, row, found, tuple(values))
            else:
                yield from _values(kind, found, values)
                yield UndoStep(_both(f"Поле {row.portal_id}", f"Field {row.portal_id}"), (name,))
    stages = {stage.status_id: stage for stage in present.stages or ()}
    places = [name for name in mine if name.startswith(f"{kind}.order:")]
    for name, row in mine.items():
        if name.startswith(f"{kind}.stage:") and row.made:
            stage = stages.get(row.portal_id)
            what = _both(
                f"Стадия «{stage.name if stage else row.portal_id}»",
                f"Stage “{stage.name if stage else row.portal_id}”",
            )
            if stage is None:
                yield UndoStep(what, (name,))
                continue
            used = {"entityTypeId": KINDS[kind], "filter": {"stageId": stage.status_id}, "select": ["id"]}
            yield UndoStep(what, (name,), Call("crm.status.delete", {"id": int(stage.id)}), Call("crm.item.list", used))
    for name in sorted(places, key=lambda one: (mine[one].before or {}).get("was", {}).get("SORT", 0)):
        yield _restored(name, mine[name], stages, "SORT")
    for name, row in mine.items():
        if name.startswith(f"{kind}.stage:") and not row.made:
            yield _restored(name, row, stages, "NAME")


def _restored(name: str, row: AppliedRow, stages: Mapping[str, Any], what: str) -> UndoStep:
    """Puts a name or place back, unless a person changed it after us."""
    stage = stages.get(row.portal_id)
    before = row.before or {}
    words = _both(
        f"Стадия «{stage.name if stage else row.portal_id}»", f"Stage “{stage.name if stage else row.portal_id}”"
    )
    if stage is None or "was" not in before:
        return UndoStep(words, (name,))
    now = stage.sort if what == "SORT" else stage.name
    if now != before["set"][what]:
        return UndoStep(words, (name,))
    was = before["was"][what]
    if what == "NAME":
        words = _both(f"Название стадии: «{now}» → «{was}»", f"Name of the stage: “{now}” → “{was}”")
    return UndoStep(words, (name,), Call("crm.status.update", {"id": int(stage.id), "fields": {what: was}}))


def _field(kind: str, name: str, row: AppliedRow, found: PortalField | None, values: tuple[str, ...]) -> UndoStep:
    label = (found.labels.get("ru") if found else "") or row.portal_id
    what = _both(f"Поле «{label}»", f"Field “{(found.labels.get('en') if found else '') or label}”")
    if found is None:
        return UndoStep(what, (name, *values))
    held: dict[str, Any] = {found.code: 1} if found.type == "boolean" else {f"!{found.code}": ""}
    return UndoStep(
        what,
        (name, *values),
        Call(f"crm.{kind}.userfield.delete", {"id": int(found.id)}),
        _holding(kind, held),
    )


def _values(kind: str, found: PortalField | None, rows: Mapping[str, AppliedRow]) -> Iterator[UndoStep]:
    for name, row in rows.items():
        here = next((value for value in found.values if value.id == row.portal_id), None) if found else None
        if not row.made or found is None or here is None:
            yield UndoStep(_both("Значение списка", "List value"), (name,))
            continue
        yield UndoStep(
            _both(f"Значение «{here.text}»", f"Value “{here.text}”"),
            (name,),
            Call(
                f"crm.{kind}.userfield.update",
                {"id": int(found.id), "fields": {"LIST": [{"ID": here.id, "DEL": "Y", "VALUE": here.text}]}},
            ),
            _holding(kind, {found.code: here.id}),
        )


def _holding(kind: str, conditions: Mapping[str, Any]) -> Call:
    return Call(
        "crm.item.list",
        {"entityTypeId": KINDS[kind], "filter": conditions, "select": ["id"], "useOriginalUfNames": "Y"},
    )


def _card(kind: str, process: Process, rows: Mapping[str, AppliedRow], present: PresentProcess) -> Iterator[UndoStep]:
    names = tuple(name for name, row in rows.items() if name.startswith(f"{kind}.card:") and row.made)
    if not names:
        return
    codes = {rows[name].portal_id for name in names}
    what = _both("Раздел с полями в карточке", "The section in the card")
    if present.layout is None:
        yield UndoStep(what, names)
        return
    data = []
    for section in present.layout:
        kept = [one for one in section.get("elements") or () if str(one.get("name")) not in codes]
        if kept or section.get("name") != SECTION:
            data.append({**section, "elements": kept})
    params = {**layout_place(kind, process), "data": data}
    yield UndoStep(what, names, Call("crm.item.details.configuration.set", params))


def _both(ru: str, en: str) -> Text:
    return {"ru": ru, "en": en}
