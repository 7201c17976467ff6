"""The present portal as a playbook: what people set up by hand becomes a text that `parse_playbook` accepts.

What the loaded playbook knows of a stage or field (texts, rules, tasks) goes along, where the thing is on the portal.
Pure: no request, no file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any

from b24app.playbook import (
    CardField,
    Decline,
    DeclineReason,
    LocalText,
    Measurement,
    Playbook,
    Process,
    Stage,
    Value,
    parse_playbook,
)
from b24app.store.applied import AppliedRow
from install.process import USER_TYPES, PortalField, PresentProcess

TYPES = frozenset(
    (
        "string",
        "integer",
        "double",
        "boolean",
        "date",
        "datetime",
        "money",
        "enumeration",
        "employee",
        "address",
        "file",
    )
) | {"url"}
STAGE_ID = re.compile(r"[A-Z0-9_:]{1,21}")
LETTERS = dict(
    zip(
        "абвгдезийклмнопрстуфыэё",
        (
            "a",
            "b",
            "v",
            "g",
            "d",
            "e",
            "z",
            "i",
            "y",
            "k",
            "l",
            "m",
            "n",
            "o",
            "p",
            "r",
            "s",
            "t",
            "u",
            "f",
            "y",
            "e",
            "e",
        ),
        strict=True,
    )
) | {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya", "ъ": "", "ь": ""}


def exported(
    playbook: Playbook, present: Mapping[str, PresentProcess], rows: Mapping[str, AppliedRow], name: str
) -> str:
    """Returns the TOML text of a playbook that describes the portal as it is; it is checked before it is returned."""
    left: list[str] = []
    processes = {
        kind: _Export(kind, getattr(playbook, kind), here, rows, left).process() for kind, here in present.items()
    }
    made = playbook.model_copy(update={"name": name, **processes})
    made = made.model_copy(update={"measurement": _measuring(made, left)})
    text = to_toml(made)
    if left:
        text += "\n# Не вошло / left out:\n" + "".join(f"# {one}\n" for one in left)
    parse_playbook(text, name)
    return text


class _Export:
    def __init__(
        self, kind: str, process: Process, present: PresentProcess, rows: Mapping[str, AppliedRow], left: list[str]
    ) -> None:
        self.kind = kind
        self.known = process
        self.present = present
        self.ids = {
            row.portal_id: name.partition(":")[2] for name, row in rows.items() if name.startswith(f"{kind}.stage:")
        }
        self.codes = {
            row.portal_id: name.partition(":")[2] for name, row in rows.items() if name.startswith(f"{kind}.field:")
        }
        self.values = {
            row.portal_id: name.rpartition(":")[2]
            for name, row in rows.items()
            if name.startswith((f"{kind}.value:", f"{kind}.decline:"))
        }
        self.decline_code = rows[f"{kind}.decline"].portal_id if f"{kind}.decline" in rows else ""
        self.left = left

    def process(self) -> Process:
        decline_row = next(
            (row for row in self.present.fields or () if row.code == self._decline() and row.values), None
        )
        taken: set[str] = set()
        system = [one for one in self.known.fields if not one.own]
        taken |= {one.key for one in system}
        fields = [
            *system,
            *(one for row in self.present.fields or () if row is not decline_row for one in self._field(row, taken)),
        ]
        keys: set[str] = set()
        names: set[str] = set()
        stages = [one for row in self.present.stages or () for one in self._stage(row, keys, names)]
        return _pruned(
            self.known.model_copy(
                update={
                    "fields": tuple(fields),
                    "stages": tuple(stages),
                    "decline": self._reasons(decline_row) if decline_row is not None else None,
                }
            )
        )

    def _decline(self) -> str:
        return self.decline_code or (self.known.decline.code if self.known.decline else "")

    def _field(self, row: PortalField, taken: set[str]) -> Iterator[CardField]:
        label = row.labels.get("ru") or row.labels.get("en") or row.code
        if row.type not in TYPES or (row.type == "enumeration" and not row.values):
            self.left.append(f"{self.kind}: {row.code} «{label}», {row.type}")
            return
        known = self.known.field(self.codes.get(row.code, "")) or next(
            (one for one in self.known.fields if one.code == row.code), None
        )
        same_type = known is not None and USER_TYPES.get(known.type, known.type) == row.type
        key = known.key if known else _key(row.code.removeprefix("UF_CRM_"), taken)
        taken.add(key)
        english = row.labels.get("en") or label
        values = self._values(row, {value.key: value for value in known.values} if known else {})
        facts: dict[str, Any] = {
            "key": key, "code": row.code, "type": known.type if known and same_type else row.type,
            "name": LocalText(ru=label, en=english), "why": known.why if known else None, "multiple": row.multiple,
            "values": tuple(values),
        }  # fmt: skip
        yield CardField.model_validate(facts)

    def _values(self, row: PortalField, known: Mapping[str, Value]) -> Iterator[Value]:
        taken: set[str] = set()
        for value in row.values:
            key = self.values.get(value.id) or next(
                (one.key for one in known.values() if value.text in (one.name.ru, one.name.en)), ""
            )
            key = key if key and key not in taken else _key(value.text, taken)
            taken.add(key)
            english = known[key].name.en if key in known and known[key].name.ru == value.text else value.text
            yield Value(key=key, name=LocalText(ru=value.text or "—", en=english or "—"))

    def _reasons(self, row: PortalField) -> Decline | None:
        known = {reason.key: reason for reason in self.known.decline.reasons} if self.known.decline else {}
        reasons = []
        for value in self._values(row, known):
            base = known.get(value.key)
            reasons.append(
                base.model_copy(update={"name": value.name}) if base else DeclineReason(key=value.key, name=value.name)
            )
        label = row.labels.get("ru") or row.code
        name = LocalText(ru=label, en=row.labels.get("en") or label)
        return Decline(code=row.code, name=name, reasons=tuple(reasons)) if reasons else None

    def _stage(self, row: Any, keys: set[str], names: set[str]) -> Iterator[Stage]:
        if not STAGE_ID.fullmatch(row.status_id):
            self.left.append(f"{self.kind}: {row.status_id} «{row.name}»")
            return
        known = self.known.stage(self.ids.get(row.status_id, "")) or self.known.stage_by_id(row.status_id)
        key = known.key if known and known.key not in keys else _key(row.status_id, keys)
        keys.add(key)
        title, number = row.name or row.status_id, 1
        while title in names:
            number += 1
            title = f"{row.name} ({number})"
        names.add(title)
        english = known.name.en if known and known.name.ru == title else title
        facts: dict[str, Any] = {
            "key": key, "id": row.status_id, "name": LocalText(ru=title, en=english), "semantics": row.semantics,
        }  # fmt: skip
        if re.fullmatch(r"#[0-9A-Fa-f]{6}", row.color):
            facts["color"] = row.color
        yield known.model_copy(update=facts) if known else Stage(**facts)


def _pruned(process: Process) -> Process:
    """Without rules about things that are not on the portal."""
    fields = {one.key for one in process.fields}
    stages = [one.key for one in process.stages]

    def stands(condition: Any) -> bool:
        return condition is None or condition.field in fields

    made = []
    for stage in process.stages:
        tasks = []
        for rule in stage.tasks:
            if not stands(rule.only_if) or not stands(rule.closes_when):
                continue
            goal = rule.on_close.move_to if rule.on_close else ""
            leads_on = goal in stages and stages.index(goal) > stages.index(stage.key)
            unknown = [f"{{{one}}}" for one in _names(rule) if one not in fields | {"title", "phone", "email", "link"}]
            texts = {part: _without(getattr(rule, part), unknown) for part in ("title", "text", "script")}
            tasks.append(rule.model_copy(update={"on_close": rule.on_close if leads_on else None, **texts}))
        rules = {
            group: tuple(one for one in getattr(stage, group) if one.field in fields and stands(one.only_if))
            for group in ("requires", "requires_to_leave")
        }
        made.append(stage.model_copy(update={"tasks": tuple(tasks), **rules}))
    known_tasks = {rule.key for stage in made for rule in stage.tasks}

    def kept(evidence: Any) -> bool:
        return (evidence.task is None or evidence.task in known_tasks) and (
            evidence.field is None or evidence.field in fields
        )

    def narrowed(rule: Any) -> Any:
        if rule.on_close is None:
            return rule
        needs = tuple(one for one in rule.on_close.needs if kept(one))
        return rule.model_copy(update={"on_close": rule.on_close.model_copy(update={"needs": needs})})

    return process.model_copy(
        update={
            "stages": tuple(
                stage.model_copy(
                    update={
                        "evidence": tuple(one for one in stage.evidence if kept(one)),
                        "tasks": tuple(narrowed(rule) for rule in stage.tasks),
                    }
                )
                for stage in made
            )
        }
    )


def _measuring(playbook: Playbook, left: list[str]) -> Measurement | None:
    """The rules of measurements, where the portal has the stage and fields that they cannot do without."""
    rules = playbook.measurement
    if rules is None:
        return None
    process = playbook.lead if rules.process == "lead" else playbook.deal
    known = {one.key for one in process.fields}
    work = tuple(kind for kind in rules.work if kind.only_if is None or kind.only_if.field in known)
    useless = {path for path, _ in rules.mistakes(process)} & {"sum"}
    kept = rules.model_copy(update={"work": work, **dict.fromkeys(useless)})
    lacks = [f"{path}: {text}" for path, text in kept.mistakes(process)]
    if lacks or not work:
        left.append(f"measurement: {'; '.join(lacks) or 'work'}")
        return None
    return kept


def _names(rule: Any) -> list[str]:
    return [name for part in (rule.title, rule.text, rule.script) for name in re.findall(r"\{(\w+)\}", part)]


def _without(text: str, unknown: list[str]) -> str:
    for name in unknown:
        text = text.replace(name, "…")
    return text


def _key(text: str, taken: set[str]) -> str:
    latin = "".join(LETTERS.get(letter, letter) for letter in text.lower())
    base = re.sub(r"[^a-z0-9]+", "_", latin).strip("_")[:34]
    base = base if base[:1].isalpha() else f"x_{base}".rstrip("_")
    key, number = base, 1
    while key in taken:
        number += 1
        key = f"{base}_{number}"
    taken.add(key)
    return key


# TOML


def to_toml(playbook: Playbook) -> str:
    """Returns the text of a playbook; what is as the program has it by default is left out."""
    data = playbook.model_dump(exclude_defaults=True)
    return "\n".join(_table("", data)).strip() + "\n"


def _table(path: str, data: Mapping[str, Any]) -> Iterator[str]:
    plain = {key: value for key, value in data.items() if not isinstance(value, dict) and not _is_tables(value)}
    if path and (plain or not data):
        yield f"\n[{path}]"
    yield from _pairs(plain)
    for key, value in data.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _table(here, value)
        elif _is_tables(value):
            yield from _tables(here, value)


def _tables(path: str, rows: Any) -> Iterator[str]:
    """Arrays of tables; what lies in a row stands inline, but for the tasks of a stage, which are long."""
    for row in rows:
        yield f"\n[[{path}]]"
        yield from _pairs({key: value for key, value in row.items() if key != "tasks"})
        if row.get("tasks"):
            yield from _tables(f"{path}.tasks", row["tasks"])


def _pairs(data: Mapping[str, Any]) -> Iterator[str]:
    for key, value in data.items():
        if value is not None:
            yield f"{key} = {_value(value)}"


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, dict) for one in value)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return str(value)
        case date() | time():
            return value.isoformat()
        case dict():
            inner = ", ".join(f"{key} = {_value(one)}" for key, one in value.items() if one is not None)
            return f"{{ {inner} }}" if inner else "{}"
    listed = [_value(one) for one in value]
    short = ", ".join(listed)
    return f"[{short}]" if len(short) < 80 else "[\n    " + ",\n    ".join(listed) + ",\n]"
