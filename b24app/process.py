"""A playbook's process as it stands on one portal: ids and names there, cards, evidence, and what is missing now.

The one source for the gate, the robots, the tab and the form. Names of the playbook become the portal's ids by the
record of what was applied (store/applied.py); labels, list values and stages as the portal has them are a snapshot a
few minutes old. A process that was not applied on the portal holds nobody back: `process_on` returns None.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from b24app.bitrix import translate
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Found, Portal
from b24app.bitrix.reads import Read
from b24app.bitrix.translate import moment, number, rows
from b24app.entities import COMPANY, CONTACT, DEAL, LEAD, Item, ItemRef
from b24app.errors import AccessDenied, NotFound, Permanent
from b24app.playbook import CardField, Decline, DeclineReason, Evidence, LocalText, Process, Stage
from b24app.rules import stage_gate
from b24app.rules.intake import plain
from b24app.rules.offer import Letter, Mailbox, Offer, Quote, offers_sent
from b24app.rules.stage_gate import Card, Missing, Seen
from b24app.store import process_memory
from b24app.store.alarms import clear_alarm, raise_alarm
from b24app.store.applied import Applied
from b24app.store.process_memory import ItemRow, TaskRow

QUOTE = 7
KINDS = {LEAD: "lead", DEAL: "deal"}
SNAPSHOT_LIFE = timedelta(minutes=5)
JUST_NOW = timedelta(minutes=10)
"""An item that we never saw is judged only where its move is this fresh; older ones are taken as they stand."""
MISSING_TASK = "missing:"
"""Begins the rule's name of a task that a gate of policy `task` made."""


@dataclass(frozen=True)
class PortalField:
    """A field of the card as the portal describes it. `items` are a list's values by id."""

    code: str
    title: str
    type: str
    multiple: bool = False
    required: bool = False
    items: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PortalStage:
    """A stage as the portal has it."""

    id: str
    name: str
    semantics: str = "P"


@dataclass(frozen=True)
class ProcessOnPortal:
    """The process of leads or deals on one portal. `mapping` as in store/applied.py; what it lacks is as written."""

    process: Process
    entity_type_id: int
    mapping: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, PortalField] = field(default_factory=dict)
    stages: Mapping[str, PortalStage] = field(default_factory=dict)
    mailbox: Mailbox | None = None

    @property
    def kind(self) -> str:
        """`lead` or `deal`."""
        return KINDS[self.entity_type_id]

    def stage_id(self, key: str) -> str:
        """Returns the portal's STATUS_ID of a stage."""
        stage = self.process.stage(key)
        return self.mapping.get(f"{self.kind}.stage:{key}", stage.id if stage else key)

    def stage_key(self, stage_id: str) -> str | None:
        """Returns the playbook's key of a STATUS_ID, or None where the playbook does not speak of it."""
        return next((stage.key for stage in self.process.stages if self.stage_id(stage.key) == stage_id), None)

    def stage_name(self, stage: str) -> str:
        """Returns a stage's name as the portal shows it, of a key or a STATUS_ID."""
        known = self.stages.get(self.stage_id(stage)) or self.stages.get(stage)
        described = self.process.stage(stage)
        return known.name if known else described.name.ru if described else stage

    def next_stage(self, stage_id: str) -> Stage | None:
        """Returns the stage that follows on the way to success, or None at the end and where the stage is unknown."""
        key = self.stage_key(stage_id)
        if key is None:
            return None
        here = self.process.order(key)
        stages = self.process.stages
        if stages[here].semantics != "process":
            return None
        return next((stage for stage in stages[here + 1 :] if stage.semantics != "failure"), None)

    def field_code(self, key: str) -> str:
        """Returns the portal's name of a field: `name`, `email`, `UF_CRM_...`."""
        described = self.process.field(key)
        return self.mapping.get(f"{self.kind}.field:{key}", described.code if described else key)

    def portal_field(self, key: str) -> PortalField | None:
        """Returns the field as the portal describes it, or None where it has none (any more)."""
        return self.fields.get(normal_code(self.field_code(key)))

    def field_name(self, key: str) -> str:
        """Returns the label that people gave the field on the portal; of a system field the playbook's name for it."""
        known, described = self.portal_field(key), self.process.field(key)
        if described is not None and not described.own:
            return described.name.ru
        return known.title if known and known.title else described.name.ru if described else key

    @property
    def decline_code(self) -> str:
        """The portal's name of the field that keeps the reason of decline."""
        decline = self.process.decline
        return self.mapping.get(f"{self.kind}.decline", decline.code if decline else "")

    def value_id(self, field_key: str, value_key: str) -> str | None:
        """Returns the id of a list value on the portal: by the record, else by its text."""
        described = self.process.field(field_key)
        value = next((one for one in described.values if one.key == value_key), None) if described else None
        return self._list_id(f"{self.kind}.value:{field_key}:{value_key}", self.portal_field(field_key), value)

    def value_key(self, field_key: str, value_id: str) -> str | None:
        """Returns the playbook's key of a list value, or None where a person added the value."""
        described = self.process.field(field_key)
        values = described.values if described else ()
        return next((one.key for one in values if self.value_id(field_key, one.key) == value_id), None)

    def reason_id(self, key: str) -> str | None:
        """Returns the list id of a reason of decline."""
        reason = self.reason(key)
        known = self.fields.get(normal_code(self.decline_code))
        return self._list_id(f"{self.kind}.decline:{key}", known, reason)

    def reason_key(self, value_id: str) -> str | None:
        """Returns the playbook's key of a reason of decline, or None where a person added the value."""
        decline = self.process.decline
        reasons = decline.reasons if decline else ()
        return next((one.key for one in reasons if self.reason_id(one.key) == value_id), None)

    def reason(self, key: str) -> DeclineReason | None:
        """Returns the reason of this key."""
        decline: Decline | None = self.process.decline
        return next((one for one in decline.reasons if one.key == key), None) if decline else None

    def _list_id(self, name: str, known: PortalField | None, value: Any) -> str | None:
        recorded = self.mapping.get(name)
        if recorded is not None and (known is None or not known.items or recorded in known.items):
            return recorded
        if known is None or value is None:
            return None
        texts = {value.name.ru.strip().lower(), value.name.en.strip().lower()}
        return next((id for id, text in known.items.items() if text.strip().lower() in texts), None)


def normal_code(code: str) -> str:
    """Returns a field's name in the one form that both spellings share: UF_CRM_B24_THEME, ufCrmB24Theme."""
    return code.replace("_", "").lower()


# the snapshot


def process_on(portal: Portal, entity_type_id: int) -> ProcessOnPortal | None:
    """Returns the process on this portal, or None where the playbook has none for it or it was never applied there.

    Nothing is asked of the portal while the snapshot is fresh.
    """
    process = portal.playbook.process(entity_type_id)
    if process is None or not process.stages or portal.facts.get("process") in ("applying", "undone"):
        return None  # half a process holds nobody back (install/apply.py)
    kind = KINDS[entity_type_id]
    mapping = Applied(portal.database, portal.member_id).mapping()
    if not any(name.startswith(f"{kind}.stage:") for name in mapping):
        return None
    on = ProcessOnPortal(process, entity_type_id, mapping)
    shape = hashlib.sha256(repr(sorted(mapping.items())).encode()).hexdigest()[:12]
    name = f"process:{kind}:{shape}"  # what was applied since then is looked at anew
    with portal.memory() as memory:
        kept = memory.snapshot(name, not_older_than=SNAPSHOT_LIFE)
    if kept is None:
        kept = _read_shape(portal, on)
        with portal.database.write() as connection:
            type(memory)(portal.database, connection, portal.member_id).keep_snapshot(name, kept)
    fields = {code: PortalField(**value) for code, value in kept["fields"].items()}
    stages = {id: PortalStage(**value) for id, value in kept["stages"].items()}
    letters, last = kept.get("mailbox") or (None, None)
    mailbox = None if letters is None else Mailbox(letters, moment(last))
    on = ProcessOnPortal(process, entity_type_id, mapping, fields, stages, mailbox)
    _alarm_of(portal, on)
    _mailbox_alarm(portal, on)
    # a stage that the portal lost is no place on the way: nobody can stand there or be sent there
    there = tuple(stage for stage in process.stages if on.stage_id(stage.key) in stages)
    return replace(on, process=process.model_copy(update={"stages": there})) if there else None


def _read_shape(portal: Portal, on: ProcessOnPortal) -> dict[str, Any]:
    category = next((id.split(":")[0][1:] for id in map(on.stage_id, _keys(on)) if ":" in id), "")
    entity_id = "STATUS" if on.entity_type_id == LEAD else f"DEAL_STAGE_{category}" if category else "DEAL_STAGE"
    asked: dict[str, Read[Any]] = {
        "fields": portal_fields(on.entity_type_id),
        "stages": portal_stages(entity_id),
        "mailbox": mailbox_read(),
    }
    found = portal.read(asked, optional=frozenset({"mailbox"}))
    mailbox: Mailbox | None = found.maybe("mailbox", None)
    return {
        "fields": {code: vars(one) | {"items": dict(one.items)} for code, one in found["fields"].items()},
        "stages": {id: dict(vars(one)) for id, one in found["stages"].items()},
        "mailbox": mailbox and (mailbox.letters_seen, mailbox.last_at.isoformat() if mailbox.last_at else ""),
    }


def _keys(on: ProcessOnPortal) -> list[str]:
    return [stage.key for stage in on.process.stages]


def portal_fields(entity_type_id: int) -> Read[dict[str, PortalField]]:
    """The fields of the card by `normal_code`, with labels and list values."""
    call = Call("crm.item.fields", {"entityTypeId": entity_type_id, "useOriginalUfNames": "Y"})

    def parse(answer: Answer) -> dict[str, PortalField]:
        described = answer.result.get("fields") if isinstance(answer.result, Mapping) else None
        found = {}
        for code, one in (described if isinstance(described, Mapping) else {}).items():
            items = {str(row.get("ID")): str(row.get("VALUE")) for row in rows(one.get("items"))}
            title = str(one.get("formLabel") or one.get("title") or code)
            found[normal_code(str(code))] = PortalField(
                str(code), title, str(one.get("type") or ""), _yes(one, "isMultiple"), _yes(one, "isRequired"), items
            )
        return found

    return Read(call, parse)


def portal_stages(entity_id: str) -> Read[dict[str, PortalStage]]:
    """The stages of leads (STATUS) or of a pipeline of deals, by STATUS_ID in their order."""
    params = {"filter": {"ENTITY_ID": entity_id}, "order": {"SORT": "ASC"}}

    def parse(answer: Answer) -> dict[str, PortalStage]:
        return {
            str(row["STATUS_ID"]): PortalStage(
                str(row["STATUS_ID"]), str(row.get("NAME") or row["STATUS_ID"]), str(row.get("SEMANTICS") or "P")
            )
            for row in rows(answer.result)
            if row.get("STATUS_ID")
        }

    return Read(Call("crm.status.list", params), parse)


def _yes(one: Mapping[str, Any], name: str) -> bool:
    return one.get(name) in (True, "Y", 1, "1", "true")


def _alarm_of(portal: Portal, on: ProcessOnPortal) -> None:
    """Says plainly which stages and fields the portal lost; gates leave those out until they are back."""
    stages = [f"«{stage.name.ru}»" for stage in on.process.stages if on.stage_id(stage.key) not in on.stages]
    fields = [f"«{one.name.ru}»" for one in on.process.fields if one.own and on.portal_field(one.key) is None]
    key = f"process:{on.kind}"
    if not stages and not fields:
        clear_alarm(portal.database, portal.member_id, key)
        return
    ru = "; ".join(
        f"{what}: {', '.join(names)}" for what, names in (("нет стадий", stages), ("нет полей", fields)) if names
    )
    raise_alarm(
        portal.database,
        portal.member_id,
        key,
        f"На портале больше нет того, на чём стоит процесс ({ru}). Примените плейбук ещё раз: b24app apply",
        f"The portal lacks parts of the process ({ru}). Apply the playbook again: b24app apply",
    )


def _mailbox_alarm(portal: Portal, on: ProcessOnPortal) -> None:
    """K18: a process that waits for letters on a portal where no letter ever came into the CRM waits in vain."""
    wanted = [*stage_gate.evidence_asked(on.process.stages)]
    wanted += [one for _, rule in on.process.task_rules() if rule.on_close for one in rule.on_close.needs]
    if on.mailbox is None or not any(one.kind == "offer_sent" for one in wanted):
        return
    if on.mailbox.works:
        clear_alarm(portal.database, portal.member_id, "mailbox")
        return
    raise_alarm(
        portal.database,
        portal.member_id,
        "mailbox",
        "В CRM нет ни одного письма, а процесс ждёт отправленных КП. Подключите почту сотрудников: Почта → Подключить "
        "ящик → «Сохранять письма в CRM». Мы судим по делам CRM: первое же письмо снимет это сообщение",
        "There is no letter in the CRM, while the process waits for offers sent. Connect the mailboxes (Mail → "
        "Connect, save letters in the CRM). We judge by the CRM's activities: the first letter ends this message",
    )


# the card


def card_read(ref: ItemRef) -> Read[Mapping[str, Any] | None]:
    """One item with all its fields, custom ones under their own names; None where the answer holds none."""
    params = {"entityTypeId": ref.entity_type_id, "id": ref.id, "useOriginalUfNames": "Y"}

    def parse(answer: Answer) -> Mapping[str, Any] | None:
        value = answer.result.get("item") if isinstance(answer.result, Mapping) else None
        return value if isinstance(value, Mapping) and value.get("id") else None

    return Read(Call("crm.item.get", params), parse)


def cards_read(entity_type_id: int, ids: Sequence[int]) -> Read[dict[int, Mapping[str, Any]]]:
    """Up to 50 items by id. A row without its stage is left out: lists were seen to return custom fields only (#55)."""
    params = {
        "entityTypeId": entity_type_id,
        "filter": {"@id": list(ids)},
        "select": ["*", "UF_*"],
        "useOriginalUfNames": "Y",
    }

    def parse(answer: Answer) -> dict[int, Mapping[str, Any]]:
        found = rows(answer.result, "items")
        return {int(row["id"]): row for row in found if number(row.get("id")) and row.get("stageId")}

    return Read(Call("crm.item.list", params), parse)


def history_read(ref: ItemRef) -> Read[list[tuple[str, datetime]]]:
    """The item's stages, the newest first: (STATUS_ID, since when)."""
    params = {"entityTypeId": ref.entity_type_id, "filter": {"OWNER_ID": ref.id}, "order": {"ID": "DESC"}}

    def parse(answer: Answer) -> list[tuple[str, datetime]]:
        found = [
            (str(row.get("STATUS_ID") or row.get("STAGE_ID") or ""), moment(row.get("CREATED_TIME")))
            for row in rows(answer.result, "items")
        ]
        return [(stage, at) for stage, at in found if stage and at is not None]

    return Read(Call("crm.stagehistory.list", params), parse)


def item_of(ref: ItemRef, raw: Mapping[str, Any]) -> Item:
    """Returns the item of a card; NotFound where the card is none."""
    item = translate.item_of(ref.entity_type_id, raw)
    if item is None:
        raise NotFound(f"{ref}: карточки нет / no card")
    return item


def raw_value(raw: Mapping[str, Any], code: str) -> Any:
    """Returns a field's value as the portal wrote it, whichever spelling of its name came."""
    if code in raw:
        return raw[code]
    wanted = normal_code(code)
    return next((value for name, value in raw.items() if normal_code(str(name)) == wanted), None)


def card_of(on: ProcessOnPortal, raw: Mapping[str, Any]) -> Card:
    """Returns the card by the playbook's keys: what is empty is absent, what the portal does not have is unknown."""
    values: dict[str, object] = {}
    unknown = set()
    for described in on.process.fields:
        code = on.field_code(described.key)
        if described.own and on.fields and on.portal_field(described.key) is None:
            unknown.add(described.key)
            continue
        value = _value(on, described, code, raw)
        if value is not None:
            values[described.key] = value
    return Card(values, frozenset(unknown))


def decline_reason(on: ProcessOnPortal, raw: Mapping[str, Any]) -> str | None:
    """Returns the key of the reason of decline that the card names; a value that people added comes as `id:<n>`.

    A failing stage that says its reason by itself goes before the field, which may be of an earlier decline. Where the
    portal lost the field, nobody can name a reason, and nobody is held back: `id:` stands for that.
    """
    if on.process.decline is None:
        return None
    here = on.stage_key(str(raw.get("stageId") or ""))
    said = on.process.decline.reason_of(here) if here is not None else None
    if said is not None:
        return said.key
    if on.fields and normal_code(on.decline_code) not in on.fields:
        return "id:"
    value = raw_value(raw, on.decline_code)
    chosen = next((str(one) for one in (value if isinstance(value, list) else [value]) if number(one)), None)
    return None if chosen is None else on.reason_key(chosen) or f"id:{chosen}"


def _value(on: ProcessOnPortal, described: CardField, code: str, raw: Mapping[str, Any]) -> object | None:
    if described.type in ("email", "phone") and not described.own:
        entries = [one for one in rows(raw.get("fm")) if str(one.get("typeId", "")).upper() == described.type.upper()]
        found: list[object] = [str(one["value"]) for one in entries if str(one.get("value") or "").strip()]
        flat = raw.get(f"{described.type}Work") or raw.get(described.type)
        found = found or ([str(flat)] if flat else [])
    else:
        value = raw_value(raw, code)
        found = [
            kept
            for one in (value if isinstance(value, list | tuple) else [value])
            if (kept := _one(on, described, one)) is not None
        ]
    if not found:
        return None
    return tuple(found) if described.multiple else found[0]


def _one(on: ProcessOnPortal, described: CardField, value: Any) -> object | None:
    """One value as people see it, or None where it is empty; what cannot be read is taken as it came."""
    if value is None or value == "" or value == {} or value == []:
        return None
    match described.type:
        case "enumeration":
            chosen = number(value)
            return None if chosen is None else on.value_key(described.key, str(chosen)) or f"id:{chosen}"
        case "employee":
            return number(value)
        case "boolean":
            return value in (True, "Y", 1, "1", "true") or None  # a flag is never empty on the portal: no is unfilled
        case "money":
            amount = str(value).partition("|")[0]
            return None if amount.strip() in ("", "0", "0.00") else str(value)
        case "address":
            return str(value).partition("|")[0].strip() or None
        case "double" | "integer" if not described.own and str(value) in ("0", "0.00"):
            return None
        case "date":
            at = moment(value)
            return _day(value) or (at.date() if at else str(value))
        case "datetime":
            return moment(value) or str(value)
        case "file":
            return value if number(value.get("id") if isinstance(value, Mapping) else value) else None
        case _:
            return str(value).strip() or None


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def text_of(on: ProcessOnPortal, card: Card, key: str) -> str:
    """Returns a field's value for a text to people: a list value by its name, several joined."""
    value = card.values.get(key)
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    return ", ".join(_text(on, key, one) for one in values)


def _text(on: ProcessOnPortal, key: str, value: object) -> str:
    described, known = on.process.field(key), on.portal_field(key)
    if described is not None and described.type == "enumeration":
        id = on.value_id(key, str(value)) or str(value).removeprefix("id:")
        named = next((one.name.ru for one in described.values if one.key == value), str(value))
        return known.items.get(id, named) if known else named
    if described is not None and described.type == "money":
        amount, _, currency = str(value).partition("|")
        return f"{amount} {currency}".strip()
    if isinstance(value, datetime):
        return f"{value:%d.%m.%Y %H:%M}"
    if isinstance(value, date):
        return f"{value:%d.%m.%Y}"
    return ("да" if value else "нет") if isinstance(value, bool) else str(value)


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def fill(text: str, on: ProcessOnPortal, card: Card, item: Item, link: str) -> str:
    """Returns a text of the playbook with {field} filled in, safe for BBCode; an empty field leaves a dash."""
    words = {one.key: plain(text_of(on, card, one.key)) or "—" for one in on.process.fields}
    words |= {
        "title": plain(item.title),
        "phone": next(iter(item.phones), "—"),
        "email": next(iter(item.emails), "—"),
        "link": link,
    }
    return string.Formatter().vformat(text, (), _Blank(words))


# evidence


def evidence_reads(
    on: ProcessOnPortal,
    ref: ItemRef,
    raw: Mapping[str, Any],
    wanted: Sequence[Evidence],
    tasks: Sequence[TaskRow],
    since: datetime,
) -> dict[str, Read[Any]]:
    """Returns the reads that tell whether these pieces of evidence stand: to go into one batch, nothing where none is
    asked. Letters and calls bound to the item, its contacts and its company; quotes; checklists and results of tasks.
    """
    kinds = {one.kind for one in wanted}
    asked: dict[str, Read[Any]] = {}
    if "offer_sent" in kinds:
        asked["letters"] = letters_read(bindings_of(ref, raw), since)
        asked["quotes"] = quotes_read(ref, raw, since)
    if "call_made" in kinds:
        asked["calls"] = calls_read(bindings_of(ref, raw), since)
    for one in wanted:
        row = next((task for task in tasks if task.rule == one.task and task.task_id > 0), None)
        if row is not None and one.kind == "checklist_complete":
            asked[f"checklist_{one.task}"] = checklist_read(row.task_id)
        if row is not None and one.kind == "result_attached":
            asked[f"result_{one.task}"] = results_read(row.task_id)
    return asked


OPTIONAL_EVIDENCE = frozenset({"quotes"})
"""A portal without quotes still has letters."""


def bindings_of(ref: ItemRef, raw: Mapping[str, Any]) -> list[dict[str, int]]:
    """Returns what a letter about this item may be bound to, as crm.activity.list asks for it."""
    pairs = [(ref.entity_type_id, ref.id)]
    contacts = raw.get("contactIds") if isinstance(raw.get("contactIds"), list) else []
    pairs += [(CONTACT, id) for id in map(number, [*(contacts or []), raw.get("contactId")]) if id]
    pairs += [(COMPANY, id) for id in [number(raw.get("companyId"))] if id]
    pairs += [(QUOTE, id) for id in [number(raw.get("quoteId"))] if id]
    if ref.entity_type_id == DEAL:
        pairs += [(LEAD, id) for id in [number(raw.get("leadId"))] if id]
    return [{"OWNER_TYPE_ID": type_id, "OWNER_ID": id} for type_id, id in dict.fromkeys(pairs)]


def letters_read(bindings: Sequence[Mapping[str, int]], since: datetime) -> Read[list[Letter]]:
    """Outgoing completed e-mails since then, with the number of their files; the same one may come twice (#53)."""
    params = {
        "filter": {
            "BINDINGS": [dict(one) for one in bindings],
            "TYPE_ID": 4,
            "DIRECTION": 2,
            "COMPLETED": "Y",
            ">=CREATED": since.replace(microsecond=0).isoformat(),
        },
        "select": ["ID", "SUBJECT", "CREATED", "COMPLETED", "DIRECTION", "FILES"],
        "order": {"ID": "DESC"},
    }
    return Read(
        Call("crm.activity.list", params), lambda answer: [_letter(row) for row in rows(answer.result) if _at(row)]
    )


def _letter(row: Mapping[str, Any]) -> Letter:
    return Letter(
        id=number(row.get("ID")) or 0,
        at=_at(row) or datetime.now(UTC),
        outgoing=str(row.get("DIRECTION")) == "2",
        completed=row.get("COMPLETED") == "Y",
        files=len(rows(row.get("FILES"))),
        subject=str(row.get("SUBJECT") or ""),
    )


def _at(row: Mapping[str, Any]) -> datetime | None:
    return moment(row.get("CREATED"))


def quotes_read(ref: ItemRef, raw: Mapping[str, Any], since: datetime) -> Read[list[Quote]]:
    """The quotes of the item that changed since then."""
    owner = {"leadId": ref.id} if ref.entity_type_id == LEAD else {"dealId": ref.id}
    params = {
        "entityTypeId": QUOTE,
        "filter": {**owner, ">=updatedTime": since.replace(microsecond=0).isoformat()},
        "select": ["id", "title", "stageId", "updatedTime"],
        "order": {"id": "DESC"},
    }

    def parse(answer: Answer) -> list[Quote]:
        return [
            Quote(number(row.get("id")) or 0, at, str(row.get("stageId") or ""), str(row.get("title") or ""))
            for row in rows(answer.result, "items")
            if (at := moment(row.get("updatedTime"))) is not None
        ]

    return Read(Call("crm.item.list", params), parse)


def calls_read(bindings: Sequence[Mapping[str, int]], since: datetime) -> Read[list[datetime]]:
    """When calls with the client were made and completed since then."""
    params = {
        "filter": {
            "BINDINGS": [dict(one) for one in bindings],
            "TYPE_ID": 2,
            "COMPLETED": "Y",
            ">=CREATED": since.replace(microsecond=0).isoformat(),
        },
        "select": ["ID", "CREATED"],
        "order": {"ID": "DESC"},
    }
    return Read(
        Call("crm.activity.list", params), lambda answer: [at for row in rows(answer.result) if (at := _at(row))]
    )


def checklist_read(task_id: int) -> Read[bool]:
    """Whether every item of the task's checklists is ticked; a task without any is not complete."""

    def parse(answer: Answer) -> bool:
        items = [row for row in rows(answer.result) if number(row.get("PARENT_ID"))]
        return bool(items) and all(row.get("IS_COMPLETE") == "Y" for row in items)

    return Read(Call("task.checklistitem.getlist", {"TASKID": task_id, "ORDER": {"ID": "ASC"}}), parse)


def results_read(task_id: int) -> Read[bool]:
    """Whether the task has a result."""
    return Read(Call("tasks.task.result.list", {"taskId": task_id}), lambda answer: bool(rows(answer.result)))


COMPLETED, SUPPOSED = 5, 4
"""Statuses of tasks: completed, and completed but awaiting its creator's control (api-reference/tasks/fields.md)."""


@dataclass(frozen=True)
class PortalTask:
    """A task as the portal has it now."""

    id: int
    status: int
    responsible_id: int
    closed_by: int | None = None


def task_read(task_id: int) -> Read[PortalTask | None]:
    """A task by its id, its status among the rest."""
    call = Call("tasks.task.get", {"taskId": task_id, "select": ["ID", "STATUS", "RESPONSIBLE_ID", "CLOSED_BY"]})

    def parse(answer: Answer) -> PortalTask | None:
        row = answer.result.get("task") if isinstance(answer.result, Mapping) else None
        id = number(row.get("id")) if isinstance(row, Mapping) else None
        if id is None or not isinstance(row, Mapping):
            return None
        return PortalTask(
            id, number(row.get("status")) or 0, number(row.get("responsibleId")) or 0, number(row.get("closedBy"))
        )

    return Read(call, parse)


def card_or_none(found: Found, label: str) -> Any:
    """Returns the card, or None where it is gone; that we may not see it any more is a refusal and proves nothing."""
    try:
        return found[label]
    except NotFound:
        return None


def task_or_none(found: Found, label: str) -> Any:
    """Returns the task, or None where the portal has it no more: it says so in the words of a refusal."""
    try:
        return found[label]
    except (NotFound, AccessDenied):
        return None
    except Permanent as refusal:
        if "TASK_NOT_FOUND" in refusal.reason or refusal.code in ("1048582", "0"):
            return None
        raise


def mailbox_read() -> Read[Mailbox]:
    """Whether letters get into the CRM (K18): the newest e-mail activities of the portal, in or out."""
    params = {
        "filter": {"TYPE_ID": 4},
        "select": ["ID", "CREATED"],
        "order": {"ID": "DESC"},
    }

    def parse(answer: Answer) -> Mailbox:
        found = rows(answer.result)
        return Mailbox(answer.total if answer.total is not None else len(found), _at(found[0]) if found else None)

    return Read(Call("crm.activity.list", params), parse)


def seen_of(
    on: ProcessOnPortal,
    found: Mapping[str, Any] | Found,
    tasks: Sequence[TaskRow],
    confirmed: Sequence[process_memory.ConfirmationRow],
    since: datetime,
) -> Seen:
    """Returns the evidence that the answers and our own memory show since then."""
    answers = found if isinstance(found, Found) else Found(dict(found))
    newest: dict[str, TaskRow] = {}
    for task in tasks:
        if task.rule not in newest or task.round > newest[task.rule].round:
            newest[task.rule] = task
    rules = [rule.key for _, rule in on.process.task_rules()]
    kinds = [one.kind for one in confirmed]
    return Seen(
        offers=tuple(offer.at for offer in offers_of(on, answers, since)),
        closed_tasks=frozenset(rule for rule, task in newest.items() if task.state == "closed"),
        complete_checklists=frozenset(rule for rule in rules if answers.maybe(f"checklist_{rule}", False)),
        results=frozenset(rule for rule in rules if answers.maybe(f"result_{rule}", False)),
        calls=tuple(answers.maybe("calls", [])),
        confirmed_fields=frozenset(kind.removeprefix("field:") for kind in kinds if kind.startswith("field:")),
        confirmed=frozenset(kinds),
    )


def offers_of(on: ProcessOnPortal, found: Found, since: datetime) -> tuple[Offer, ...]:
    """Returns the versions of the offer that the answers show since then."""
    return offers_sent(
        found.maybe("letters", []),
        found.maybe("quotes", []),
        since=since,
        sent_statuses=on.process.offer_sent_statuses,
    )


# where an item stands


@dataclass(frozen=True)
class Standing:
    """An item of the process as it is now. `target` is the stage that `missing` is about: the next one, or the one
    asked for; `since` is when the present stage's work began: evidence counts from there.
    """

    on: ProcessOnPortal
    item: Item
    raw: Mapping[str, Any]
    card: Card
    stage: Stage | None
    target: Stage | None
    since: datetime
    seen: Seen = field(default_factory=Seen)
    missing: tuple[Missing, ...] = ()
    tasks: tuple[TaskRow, ...] = ()

    @property
    def stage_id(self) -> str:
        """The portal's STATUS_ID of the present stage."""
        return self.item.stage_id

    @property
    def moved_at(self) -> datetime | None:
        """When the portal saw the last move (movedTime)."""
        return moment(self.raw.get("movedTime"))

    @property
    def moved_by(self) -> int | None:
        """Who made the last move (movedBy); None: nobody."""
        return number(self.raw.get("movedBy"))


def began_at(on: ProcessOnPortal, item: Item, known: ItemRow | None) -> datetime:
    """Returns since when evidence counts: the entry into the stage where we last agreed with the item.

    Where we never saw it, or the stage is none of the playbook's, the item's creation: nothing done is overlooked.
    """
    return known.since if known is not None and on.stage_key(known.stage_id) is not None else item.created_at


def standing(portal: Portal, ref: ItemRef, *, to: str | None = None) -> Standing | None:
    """Returns where the item stands and what is missing for stage key `to` (without: the next one), in at most two
    requests by the portal object's own token; None where no process of ours is applied. NotFound where it is gone.
    """
    on = process_on(portal, ref.entity_type_id)
    if on is None:
        return None
    raw = portal.read({"card": card_read(ref)})["card"]
    if raw is None:
        raise NotFound(f"{ref}: карточки нет / no card")
    return standing_of_card(portal, on, ref, raw, to=to)


def standing_of_card(
    portal: Portal, on: ProcessOnPortal, ref: ItemRef, raw: Mapping[str, Any], *, to: str | None = None
) -> Standing:
    """Returns the same for a card that was read already: one request where evidence must be looked at, else none."""
    item, card = item_of(ref, raw), card_of(on, raw)
    with portal.memory() as memory:
        known = process_memory.item_row(memory, str(ref))
        tasks = tuple(process_memory.tasks_of(memory, str(ref)))
        since = began_at(on, item, known)
        confirmed = process_memory.confirmations(memory, str(ref), since=since)
    key = on.stage_key(item.stage_id)
    target = on.process.stage(to) if to else on.next_stage(item.stage_id)
    found = Found({})
    if target is not None and target.semantics != "failure":
        _, entered = stage_gate.stages_of_move(on.process, key, target.key)
        asked = evidence_reads(on, ref, raw, stage_gate.evidence_asked(entered), tasks, since)
        found = portal.read(asked, optional=OPTIONAL_EVIDENCE) if asked else found
    seen = seen_of(on, found, tasks, confirmed, since)
    missing: tuple[Missing, ...] = ()
    if target is not None:
        at, reason = local(portal, portal.now), decline_reason(on, raw)
        missing = stage_gate.judge_move(on.process, key, target.key, card, seen, at=at, decline_reason=reason).missing
    return Standing(
        on=on,
        item=item,
        raw=raw,
        card=card,
        stage=on.process.stage(key) if key else None,
        target=target,
        since=since,
        seen=seen,
        missing=missing,
        tasks=tasks,
    )


def missing_now(portal: Portal, ref: ItemRef, *, to: str | None = None) -> tuple[Missing, ...]:
    """Returns what is missing for the next stage (or for `to`); nothing where no process of ours is applied."""
    now = standing(portal, ref, to=to)
    return now.missing if now is not None else ()


def local(portal: Portal, at: datetime) -> datetime:
    """Returns a moment in the office's time zone: there `today` begins."""
    return at.astimezone(portal.playbook.hours.calendar().zone)


# words


def form_path(client_id: str, ref: ItemRef, to: str) -> str:
    """Returns the portal's own link to the quick form, brackets encoded: it stands inside BBCode."""
    query = urlencode({"params[form]": "missing", "params[entity]": str(ref), "params[to]": to})
    return f"/marketplace/view/{client_id}/?{query}"


def missing_lines(on: ProcessOnPortal, missing: Sequence[Missing]) -> list[str]:
    """Returns what is missing as people read it, a line each, with why."""
    return [f"{plain(_label(on, lack))}: {_small(lack.why)}" for lack in missing]


def _label(on: ProcessOnPortal, lack: Missing) -> str:
    return on.field_name(lack.key) if lack.kind == "field" else lack.name.ru


def _small(text: LocalText) -> str:
    return text.ru[:1].lower() + text.ru[1:] if not text.ru[:2].isupper() else text.ru


def missing_words(on: ProcessOnPortal, missing: Sequence[Missing]) -> str:
    """Returns what is missing in one line, without the reasons."""
    return ", ".join(f"«{plain(_label(on, lack))}»" for lack in missing)
