"""What a playbook's process needs on a portal, what the portal has, and the difference. Pure: no request, no clock.

Nothing is destroyed: a stage or field that is there under another name or code is taken over (Record.made is false), a
name that a person gave is kept, no value of a list is touched, nothing is deleted. What cannot be brought together is a
conflict for a person. Facts: api-reference/crm/status, crm/leads/userfield, crm/universal/item-details-configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from b24app.bitrix.calls import Call
from b24app.engine.declare import Text
from b24app.entities import DEAL, LEAD
from b24app.playbook import CardField, Decline, LocalText, Playbook, Process, Stage, Value
from b24app.store.applied import AppliedRow
from install.wanted import Record, Step

KINDS = {"lead": LEAD, "deal": DEAL}
WORDS: Mapping[str, Text] = {"lead": {"ru": "лидов", "en": "leads"}, "deal": {"ru": "сделок", "en": "deals"}}
SECTION = "b24app_process"
"""The section of the card that is ours."""
VALUE_PREFIX = "b24app_"
"""XML_ID of a list value that we made: its key after this."""
MULTIFIELDS = frozenset({"phone", "email", "web", "im"})
USER_TYPES = {"text": "string", "phone": "string", "email": "string"}
"""Own fields of these types are strings on the portal; the others are called as the portal calls them."""
SEMANTICS = {"S": "success", "F": "failure"}
SORT_STEP = 10


@dataclass(frozen=True)
class PortalValue:
    """A value of a list field."""

    id: str
    text: str
    xml_id: str
    sort: int


@dataclass(frozen=True)
class PortalField:
    """A custom field; `labels` is how people see it, in every language that was read."""

    id: str
    code: str
    type: str
    multiple: bool
    labels: Mapping[str, str]
    values: tuple[PortalValue, ...] = ()


@dataclass(frozen=True)
class PortalStage:
    """A stage; `id` is the row's, `status_id` the one that items carry. `initial` is the name it was delivered with."""

    id: str
    status_id: str
    name: str
    initial: str
    sort: int
    semantics: str
    color: str = ""


@dataclass(frozen=True)
class PresentProcess:
    """What a portal has for leads or deals. None: could not be read; `layout` None: the card stands as delivered."""

    stages: tuple[PortalStage, ...] | None
    fields: tuple[PortalField, ...] | None
    system: frozenset[str] | None
    layout: tuple[Mapping[str, Any], ...] | None = None


Rows = Mapping[str, AppliedRow]


def is_described(process: Process) -> bool:
    """Tells whether the playbook says anything about this kind of item."""
    return bool(process.stages or process.fields or process.decline)


def stage_entity(kind: str, process: Process) -> str:
    """Returns ENTITY_ID of the process's stages: deals of another pipeline have ids such as C1:NEW."""
    if kind == "lead":
        return "STATUS"
    category = category_of(process)
    return f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"


def category_of(process: Process) -> int:
    """Returns the pipeline that the stages' ids name; 0 is the first one."""
    prefix = next((stage.id.split(":")[0] for stage in process.stages if ":" in stage.id), "")
    return int(prefix[1:]) if prefix.startswith("C") and prefix[1:].isdecimal() else 0


def reads(kind: str, process: Process) -> dict[str, Call]:
    """Returns the reads by label that `present_process` understands."""
    entity_type_id = KINDS[kind]
    return {
        f"{kind}_stages": Call(
            "crm.status.list", {"filter": {"ENTITY_ID": stage_entity(kind, process)}, "order": {"SORT": "ASC"}}
        ),
        f"{kind}_fields_ru": Call(f"crm.{kind}.userfield.list", {"filter": {"LANG": "ru"}}),
        f"{kind}_fields_en": Call(f"crm.{kind}.userfield.list", {"filter": {"LANG": "en"}}),
        f"{kind}_system": Call("crm.item.fields", {"entityTypeId": entity_type_id}),
        f"{kind}_layout": Call("crm.item.details.configuration.get", layout_place(kind, process)),
    }


def layout_place(kind: str, process: Process) -> dict[str, Any]:
    """Returns the parameters that name everybody's layout of the card."""
    extras = {"leadCustomerType": 1} if kind == "lead" else {"dealCategoryId": category_of(process)}
    return {"entityTypeId": KINDS[kind], "scope": "C", "extras": extras}


def present_process(kind: str, results: Mapping[str, Any]) -> PresentProcess:
    """Returns what the portal has, from the results of `reads`; absent labels are lists that cannot be read."""
    stages, layout = results.get(f"{kind}_stages"), results.get(f"{kind}_layout")
    russian, english = results.get(f"{kind}_fields_ru"), results.get(f"{kind}_fields_en")
    described = results.get(f"{kind}_system")
    fields = described.get("fields") if isinstance(described, dict) else None
    others = {str(row.get("ID")): _label(row) for row in english or () if isinstance(row, dict)}
    return PresentProcess(
        stages=tuple(_stage(row) for row in stages) if isinstance(stages, list) else None,
        fields=(
            tuple(_field(row, others.get(str(row.get("ID")), "")) for row in russian)
            if isinstance(russian, list)
            else None
        ),
        system=frozenset(map(str, fields)) | MULTIFIELDS if isinstance(fields, dict) else None,
        layout=tuple(layout) if isinstance(layout, list) and layout else None,
    )


def _stage(row: Mapping[str, Any]) -> PortalStage:
    return PortalStage(
        id=str(row["ID"]),
        status_id=str(row["STATUS_ID"]),
        name=str(row.get("NAME") or ""),
        initial=str(row.get("NAME_INIT") or ""),
        sort=int(row.get("SORT") or 0),
        semantics=SEMANTICS.get(str(row.get("SEMANTICS") or ""), "process"),
        color=str(row.get("COLOR") or ""),
    )


def _field(row: Mapping[str, Any], english: str) -> PortalField:
    return PortalField(
        id=str(row["ID"]),
        code=str(row["FIELD_NAME"]),
        type=str(row["USER_TYPE_ID"]),
        multiple=row.get("MULTIPLE") == "Y",
        labels={"ru": _label(row), "en": english},
        values=tuple(
            PortalValue(
                str(value["ID"]),
                str(value.get("VALUE") or ""),
                str(value.get("XML_ID") or ""),
                int(value.get("SORT") or 0),
            )
            for value in row.get("LIST") or ()
        ),
    )


def _label(row: Mapping[str, Any]) -> str:
    return str(row.get("EDIT_FORM_LABEL") or row.get("LIST_COLUMN_LABEL") or "")


# the difference


def process_steps(
    kind: str, playbook: Playbook, present: PresentProcess, rows: Rows, language: str = "ru"
) -> list[Step]:
    """Returns every wanted thing of one kind of item with what is to be done about it. `rows` is our record."""
    process = getattr(playbook, kind)
    return _Difference(kind, process, playbook.name, present, rows, language).steps()


@dataclass
class _Difference:
    kind: str
    process: Process
    title: str
    present: PresentProcess
    rows: Rows
    language: str
    codes: dict[str, str] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        if not is_described(self.process):
            return []
        return [*self._stages(), *self._fields(), *self._card()]

    # stages

    def _stages(self) -> Iterator[Step]:
        portal = self.present.stages
        if not self.process.stages:
            return
        if not portal:
            yield Step(
                f"{self.kind}.stages",
                self._say("Стадии {of}", "Stages of {of}"),
                "conflict",
                note=_both(
                    "список стадий не прочитан: нужно право «crm» и администратор CRM; воронка должна существовать",
                    "the stages cannot be read: permission “crm” and a CRM administrator are needed, and the pipeline",
                ),
            )
            return
        found = self._matched(portal)
        added = [stage for stage in self.process.stages if stage.key not in found and self._can_add(stage, portal)]
        order = self._order(portal, found, added)
        sorts = _sorts(order) if added else []
        raised = [(stage, sort) for stage, sort in sorts if isinstance(stage, PortalStage) and stage.sort != sort]
        for row, sort in sorted(raised, key=lambda one: -one[1]):  # from the end: the scale is in order at any time
            yield self._raise(row, sort)
        places = {stage.key: sort for stage, sort in sorts if isinstance(stage, Stage)}
        for stage in self.process.stages:
            if stage.key in found:
                yield self._found(stage, found[stage.key])
            elif stage.key in places:
                yield self._add(stage, places[stage.key])
            else:
                yield self._conflict(stage, portal)
        taken = {row.status_id for row in found.values()}
        for row in portal:
            if row.status_id not in taken and row.semantics == "process":
                yield Step(
                    f"{self.kind}.stage_left:{row.status_id}",
                    _both(f"Стадия «{row.name}»", f"Stage “{row.name}”"),
                    "present",
                    note=_both(
                        "в сценарии её нет: остаётся, за ней никто не следит",
                        "not in the playbook: it stays, nobody watches over it",
                    ),
                )

    def _matched(self, portal: Sequence[PortalStage]) -> dict[str, PortalStage]:
        """Each stage of the playbook with at most one of the portal: as recorded, id and name, name, id."""
        free = {row.status_id: row for row in portal}
        found: dict[str, PortalStage] = {}
        tests: tuple[Callable[[Stage, PortalStage], bool], ...] = (
            lambda stage, row: self._recorded(f"stage:{stage.key}") == row.status_id,
            lambda stage, row: stage.id == row.status_id and _is_called(row.name, stage.name),
            lambda stage, row: _is_called(row.name, stage.name) and stage.semantics == row.semantics,
            lambda stage, row: stage.id == row.status_id,
        )
        for test in tests:
            for stage in self.process.stages:
                if stage.key not in found:
                    row = next((one for one in free.values() if test(stage, one)), None)
                    if row is not None:
                        found[stage.key] = free.pop(row.status_id)
        return found

    def _can_add(self, stage: Stage, portal: Sequence[PortalStage]) -> bool:
        taken = any(row.status_id == stage.id or _is_called(row.name, stage.name) for row in portal)
        return not taken and stage.semantics != "success"  # a scale has one success, and the portal has it already

    def _conflict(self, stage: Stage, portal: Sequence[PortalStage]) -> Step:
        if any(row.status_id == stage.id for row in portal):
            why = _both(
                f"код {stage.id} занят другой стадией сценария",
                f"the id {stage.id} belongs to another stage of the playbook",
            )
        elif any(_is_called(row.name, stage.name) for row in portal):
            why = _both(
                "стадия с таким названием есть, но в другой группе: переименуйте её или исправьте сценарий",
                "a stage of this name stands in another group: rename it or correct the playbook",
            )
        else:
            why = _both(
                "успешная стадия может быть только одна: укажите в сценарии её код",
                "there can be only one successful stage: name its id in the playbook",
            )
        return Step(f"{self.kind}.stage:{stage.key}", self._stage_words(stage), "conflict", note=why)

    def _found(self, stage: Stage, row: PortalStage) -> Step:
        name = f"{self.kind}.stage:{stage.key}"
        what = self._stage_words(stage)
        if row.semantics != stage.semantics:
            return Step(
                name,
                what,
                "conflict",
                note=_both(
                    f"на портале стадия {row.status_id} «{row.name}» в другой группе (успех, провал, в работе)",
                    f"the portal's stage {row.status_id} “{row.name}” is in another group (success, failure, open)",
                ),
            )
        record = Record(name, row.status_id)
        wanted = stage.name.of(self.language)
        if not _is_called(row.name, stage.name) and self._may_rename(name, row):
            before = {"was": {"NAME": row.name}, "set": {"NAME": wanted}}
            return Step(
                name,
                _both(
                    f"Название стадии {WORDS[self.kind]['ru']}: «{row.name}» → «{stage.name.ru}»",
                    f"Name of a stage of {WORDS[self.kind]['en']}: “{row.name}” → “{stage.name.en}”",
                ),
                "update",
                Call("crm.status.update", {"id": int(row.id), "fields": {"NAME": wanted}}),
                records=(replace(record, before=before),),
            )
        if row.status_id != stage.id:
            note = _both(f"уже есть: «{row.name}» ({row.status_id})", f"there already: “{row.name}” ({row.status_id})")
            return Step(name, what, "adopted", note=note, records=(record,))
        if not _is_called(row.name, stage.name):
            note = _both(
                f"на портале названа «{row.name}»: название остаётся",
                f"called “{row.name}” on the portal: the name stays",
            )
            return Step(name, what, "adopted", note=note, records=(record,))
        return Step(name, what, "present", records=(record,))

    def _may_rename(self, name: str, row: PortalStage) -> bool:
        """Only a name that no person gave: the delivered one, or the one that we set."""
        recorded = self.rows.get(name)
        ours = ((recorded.before or {}).get("set") or {}).get("NAME") if recorded else None
        return bool(row.name) and row.name in (row.initial, ours)

    def _add(self, stage: Stage, sort: int) -> Step:
        entity = stage_entity(self.kind, self.process)
        name = stage.name.of(self.language)
        fields: dict[str, Any] = {
            "ENTITY_ID": entity, "STATUS_ID": stage.id, "NAME": name, "SORT": sort, "COLOR": stage.color,
        }  # fmt: skip
        if stage.semantics == "failure":
            fields["SEMANTICS"] = "F"
        return Step(
            f"{self.kind}.stage:{stage.key}",
            self._stage_words(stage),
            "add",
            Call("crm.status.add", {"fields": fields}),
            records=(Record(f"{self.kind}.stage:{stage.key}", stage.id, made=True, before={"set": {"NAME": name}}),),
        )

    def _raise(self, row: PortalStage, sort: int) -> Step:
        name = f"{self.kind}.order:{row.status_id}"
        before = {"was": {"SORT": row.sort}, "set": {"SORT": sort}}
        return Step(
            name,
            _both(
                f"Место стадии «{row.name}»: правее, чтобы вставить новые",
                f"Place of the stage “{row.name}”: to the right",
            ),
            "update",
            Call("crm.status.update", {"id": int(row.id), "fields": {"SORT": sort}}),
            records=(Record(name, row.status_id, before=before),),
        )

    def _order(
        self, portal: Sequence[PortalStage], found: Mapping[str, PortalStage], added: Sequence[Stage]
    ) -> list[PortalStage | Stage]:
        """The whole scale from left to right: the portal's order, each new stage right after its predecessor."""
        rank = {"process": 0, "success": 1, "failure": 2}
        order: list[PortalStage | Stage] = [*sorted(portal, key=lambda row: (rank[row.semantics], row.sort))]
        at = -1
        for stage in self.process.stages:
            if stage in added and stage.semantics == "failure":
                order.append(stage)
            elif stage in added:
                at += 1
                order.insert(at, stage)
            elif stage.key in found and found[stage.key].semantics == "process":
                at = max(at, order.index(found[stage.key]))
        return order

    def _stage_words(self, stage: Stage) -> Text:
        of = WORDS[self.kind]
        return _both(f"Стадия {of['ru']} «{stage.name.ru}»", f"Stage of {of['en']} “{stage.name.en}”")

    # fields

    def _fields(self) -> Iterator[Step]:
        portal = self.present.fields
        for one in self.process.fields:
            name = f"{self.kind}.field:{one.key}"
            what = self._field_words(one.name)
            if not one.own:
                if self.present.system is not None and _camel(one.code) not in self.present.system:
                    why = _both(f"на портале нет поля {one.code}", f"the portal has no field {one.code}")
                    yield Step(name, what, "conflict", note=why)
                continue
            if portal is None:
                yield self._unreadable(name, what)
                continue
            values = {f"{self.kind}.value:{one.key}:{value.key}": value for value in one.values}
            yield from self._field(name, one, values, portal)
        decline = self.process.decline
        if decline is not None:
            name, what = f"{self.kind}.decline", self._field_words(decline.name)
            if portal is None:
                yield self._unreadable(name, what)
            else:
                reasons = {f"{self.kind}.decline:{reason.key}": reason for reason in decline.reasons}
                yield from self._field(name, _as_field(decline), reasons, portal)

    def _field(
        self, name: str, one: CardField, values: Mapping[str, Value], portal: Sequence[PortalField]
    ) -> Iterator[Step]:
        what = self._field_words(one.name)
        wanted = USER_TYPES.get(one.type, one.type)
        recorded = self.rows[name].portal_id if name in self.rows else ""
        found = (
            next((row for row in portal if recorded and row.code == recorded), None)
            or next((row for row in portal if row.code == one.code), None)
            or next((row for row in portal if _has_label(row, one.name) and row.type == wanted), None)
        )
        if found is None:
            namesake = next((row for row in portal if _has_label(row, one.name)), None)
            if namesake is not None:
                yield Step(name, what, "conflict", note=_other_type(namesake, wanted))
                return
            self.codes[name] = one.code
            yield self._add_field(name, one, wanted, values)
            return
        if found.type != wanted:
            yield Step(name, what, "conflict", note=_other_type(found, wanted))
            return
        if found.multiple != one.multiple:
            why = _both(
                f"у поля {found.code} другая множественность: один ответ вместо нескольких или наоборот",
                f"the field {found.code} takes one value instead of several, or the other way round",
            )
            yield Step(name, what, "conflict", note=why)
            return
        self.codes[name] = found.code
        records = [Record(name, found.code)]
        kept: list[tuple[str, str]] = []
        missing: dict[str, Value] = {}
        for value_name, value in values.items():
            here = self._value(value_name, value, found)
            if here is None:
                missing[value_name] = value
                continue
            records.append(Record(value_name, here.id))
            if not _is_called(here.text, value.name):
                kept.append((value.name.ru, here.text))
        note = None
        if kept:
            listed = ", ".join(f"«{was}» → «{now}»" for was, now in kept)
            note = _both(f"значения изменены вручную и остаются: {listed}", f"values changed by hand stay: {listed}")
        elif found.code != one.code:
            note = _both(f"уже есть: {found.code}", f"there already: {found.code}")
        yield Step(name, what, "present" if note is None else "adopted", note=note, records=tuple(records))
        if missing:
            yield self._add_values(name, one, found, missing)

    def _value(self, name: str, value: Value, found: PortalField) -> PortalValue | None:
        recorded = self.rows[name].portal_id if name in self.rows else ""
        return (
            next((row for row in found.values if recorded and row.id == recorded), None)
            or next((row for row in found.values if row.xml_id == VALUE_PREFIX + value.key), None)
            or next((row for row in found.values if _is_called(row.text, value.name)), None)
        )

    def _add_field(self, name: str, one: CardField, wanted: str, values: Mapping[str, Value]) -> Step:
        label = {"ru": one.name.ru, "en": one.name.en}
        fields: dict[str, Any] = {
            "FIELD_NAME": one.code, "USER_TYPE_ID": wanted, "LABEL": one.name.of(self.language),
            "EDIT_FORM_LABEL": label, "LIST_COLUMN_LABEL": label, "LIST_FILTER_LABEL": label,
            "MULTIPLE": "Y" if one.multiple else "N", "MANDATORY": "N", "SHOW_FILTER": "Y",
            "XML_ID": VALUE_PREFIX + one.key,
        }  # fmt: skip
        if one.type == "text":
            fields["SETTINGS"] = {"ROWS": 4}
        if values:
            fields["LIST"] = self._new_values(values.values(), 0)
        made = [Record(name, one.code, made=True), *(Record(value, "", made=True) for value in values)]
        return Step(
            name,
            self._field_words(one.name),
            "add",
            Call(f"crm.{self.kind}.userfield.add", {"fields": fields}),
            records=tuple(made),
        )

    def _add_values(self, name: str, one: CardField, found: PortalField, missing: Mapping[str, Value]) -> Step:
        listed = ", ".join(f"«{value.name.ru}»" for value in missing.values())
        english = ", ".join(f"“{value.name.en}”" for value in missing.values())
        last = max((value.sort for value in found.values), default=0)
        params = {"id": int(found.id), "fields": {"LIST": self._new_values(missing.values(), last)}}
        return Step(
            f"{name}:values",
            _both(f"Поле «{one.name.ru}»: новые значения {listed}", f"Field “{one.name.en}”: new values {english}"),
            "update",
            Call(f"crm.{self.kind}.userfield.update", params),
            records=tuple(Record(value, "", made=True) for value in missing),
        )

    def _new_values(self, values: Iterable[Value], last: int) -> list[dict[str, Any]]:
        return [
            {
                "VALUE": value.name.of(self.language), "SORT": last + SORT_STEP * (number + 1), "DEF": "N",
                "XML_ID": VALUE_PREFIX + value.key,
            }
            for number, value in enumerate(values)
        ]  # fmt: skip

    def _field_words(self, name: LocalText) -> Text:
        of = WORDS[self.kind]
        return _both(f"Поле {of['ru']} «{name.ru}»", f"Field of {of['en']} “{name.en}”")

    def _unreadable(self, name: str, what: Text) -> Step:
        why = _both("список полей не прочитан: нужно право «crm»", "the fields cannot be read: “crm” is needed")
        return Step(name, what, "conflict", note=why)

    # the card

    def _card(self) -> Iterator[Step]:
        codes = list(self.codes.values())
        if not codes:
            return
        key, what = f"{self.kind}.card", self._say("Раздел с полями в карточке {of}", "A section in the card of {of}")
        layout = self.present.layout
        if layout is None:
            note = _both(
                "карточка стандартная, её вид остаётся: поля выбирают в ней кнопкой «Выбрать поле»",
                "the card stands as delivered and stays so: fields are chosen in it by “Select field”",
            )
            yield Step(key, what, "impossible", note=note)
            return
        shown = {str(one.get("name")) for section in layout for one in section.get("elements") or ()}
        missing = [code for code in codes if code not in shown]
        if not missing:
            yield Step(key, what, "present")
            return
        elements = [{"name": code, "optionFlags": 1} for code in missing]
        data = [dict(section) for section in layout]
        mine = next((section for section in data if section.get("name") == SECTION), None)
        if mine is None:
            data.append({"name": SECTION, "title": self.title, "type": "section", "elements": elements})
        else:
            mine["elements"] = [*(mine.get("elements") or ()), *elements]
        place = layout_place(self.kind, self.process)
        records = tuple(Record(f"{self.kind}.card:{code}", code, made=True) for code in missing)
        yield Step(
            key, what, "update", Call("crm.item.details.configuration.set", {**place, "data": data}), records=records
        )

    # words

    def _say(self, ru: str, en: str) -> Text:
        of = WORDS[self.kind]
        return _both(ru.format(of=of["ru"]), en.format(of=of["en"]))

    def _recorded(self, name: str) -> str:
        row = self.rows.get(f"{self.kind}.{name}")
        return row.portal_id if row else ""


def _sorts(order: Sequence[PortalStage | Stage]) -> list[tuple[PortalStage | Stage, int]]:
    """Each stage with its SORT: new ones fit between their neighbours, others move only where there is no room."""
    result: list[tuple[PortalStage | Stage, int]] = []
    last, crowded = 0, False
    for place, one in enumerate(order):
        if isinstance(one, PortalStage):
            sort = one.sort if one.sort > last or (one.sort == last and not crowded) else last + SORT_STEP
            crowded = crowded and sort != one.sort
        else:
            later = [other for other in order[place:] if isinstance(other, PortalStage)]
            ahead = order.index(later[0]) - place if later else 0
            room = later[0].sort - last if later else 0
            sort = last + (room // (ahead + 1) if room > ahead else SORT_STEP)
            crowded = True
        result.append((one, sort))
        last = sort
    return result


def _other_type(found: PortalField, wanted: str) -> Text:
    return _both(
        f"на портале у поля {found.code} другой тип ({found.type}, не {wanted}): решите, чему верить",
        f"the portal's field {found.code} has another type ({found.type}, not {wanted}): decide which is right",
    )


def _as_field(decline: Decline) -> CardField:
    return CardField(key="decline", code=decline.code, type="enumeration", name=decline.name, values=decline.reasons)


def _has_label(row: PortalField, name: LocalText) -> bool:
    return any(label and _is_called(label, name) for label in row.labels.values())


def _is_called(text: str, name: LocalText) -> bool:
    return _plain(text) in (_plain(name.ru), _plain(name.en))


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("ё", "е").split())


def _camel(code: str) -> str:
    head, *rest = code.lower().split("_") if code.isupper() else [code]
    return head + "".join(part.capitalize() for part in rest)


def _both(ru: str, en: str) -> Text:
    return {"ru": ru, "en": en}
