"""REST writes as data. Each says how it is known again when nobody knows whether the portal carried it out.

The journal (engine/journal.py) asks `again` only for a command that was sent and not answered:

    Harmless        sends it again: the same values written twice are one (update), or replace themselves (TAG)
    Keyed           sends it again with the same Idempotency-Key, within 23 hours of the first send; else looks it up
    LookUp          reads the portal first; found = done, with the id that stands there
    Once            never again: an unknown outcome goes to a person (SMS)
    Answered        sends it again; ACCESS_DENIED means that the first one had arrived (bizproc.event.send)
    Gone            sends it again; a refusal means that what it takes away is not there (calendar.event.delete)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from b24app.bitrix.calls import Call
from b24app.entities import COMPANY, CONTACT, DEAL, ENTITY_NAMES, LEAD, ItemRef

KEY_LIFE = timedelta(hours=23)
"""REST 3.0 keeps a stored answer for 24 hours; an hour is left for clocks that differ (api-reference/rest-v3.md)."""

TASK_PREFIXES = {LEAD: "L", DEAL: "D", CONTACT: "C", COMPANY: "CO"}


@dataclass(frozen=True)
class Harmless:
    kind: Literal["harmless"] = "harmless"


@dataclass(frozen=True)
class LookUp:
    """`read` lists candidates; the one whose `field` contains `marker` is the one that the command made.

    `exact`: whose field is the marker and nothing else (items of a checklist carry no mark of ours).
    """

    read: Call
    field: str
    marker: str
    exact: bool = False
    kind: Literal["look_up"] = "look_up"


@dataclass(frozen=True)
class Keyed:
    look_up: LookUp
    kind: Literal["keyed"] = "keyed"


@dataclass(frozen=True)
class Once:
    kind: Literal["once"] = "once"


@dataclass(frozen=True)
class Answered:
    kind: Literal["answered"] = "answered"


@dataclass(frozen=True)
class Gone:
    kind: Literal["gone"] = "gone"


@dataclass(frozen=True)
class Check:
    """A read that must find something, or the commands that need it are skipped: `reason` says why, for people."""

    reason: str
    kind: Literal["check"] = "check"


@dataclass(frozen=True)
class After:
    """A command for the case that another one came to nothing: the portal or gateway refused it (`failed`), or nobody
    knows whether it was done (`unknown`).
    """

    label: str
    state: Literal["failed", "unknown"]


Again = Harmless | LookUp | Keyed | Once | Answered | Gone | Check


@dataclass(frozen=True)
class Command:
    """One write. `label` is unique within its decision; `needs` are labels that must be done first.

    `params` may hold the value of `ref(label)`: the id that the earlier command made. `otherwise` is the classic call
    for portals without REST 3.0. `instead` belongs to robots' answers: return values for when a label was not done.
    `after`: sent only where another one came to nothing; `params` may then hold `reason_of(label)`.
    """

    label: str
    call: Call
    again: Again = field(default_factory=Harmless)
    needs: tuple[str, ...] = ()
    otherwise: Call | None = None
    instead: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    after: After | None = None


def reason_of(label: str, before: str = "", after: str = "") -> dict[str, str]:
    """Returns the stand-in for a text: why the command `label` was not done, between these two."""
    return {"$reason": label, "$before": before, "$after": after}


def ref(label: str) -> dict[str, str]:
    """Returns the stand-in for the id that the command `label` makes; resolved when the commands are sent."""
    return {"$ref": label}


@dataclass(frozen=True)
class Made:
    """An item that an earlier command of the same decision makes."""

    label: str
    entity_type_id: int


Target = ItemRef | Made


def _id(item: Target) -> Any:
    return item.id if isinstance(item, ItemRef) else ref(item.label)


def _needs(item: Target, needs: tuple[str, ...]) -> tuple[str, ...]:
    return (*needs, item.label) if isinstance(item, Made) else needs


def made_id(method: str, result: Any) -> int | None:
    """Returns the id that a creating method's result names, or None. The shapes differ by method family."""
    match result:
        case bool():
            return None
        case int():
            return result
        case str() if result.isdigit():
            return int(result)
        case {"item": {"id": value}} | {"task": {"id": value}} | {"items": [{"id": value}, *_]} | {"id": value}:
            return int(value) if str(value).isdigit() else None
        case _:
            return None


def set_responsible(item: ItemRef, user_id: int, *, expected: int, label: str = "responsible") -> list[Command]:
    """Makes `user_id` responsible, unless somebody changed the responsible since we saw `expected`.

    One batch compares and sets: the list finds the item only while `expected` stands, and the update takes its id from
    there. So a person's choice made between our read and our write is never overwritten. It finds the item in our own
    hands too: after an unknown outcome the first write may have arrived, and that was no person.
    """
    check = f"{label}_unchanged"
    listed = {
        "entityTypeId": item.entity_type_id,
        "filter": {"id": item.id, "@assignedById": sorted({expected, user_id})},
        "select": ["id"],
    }
    return [
        Command(check, Call("crm.item.list", listed), Check("ответственного уже сменил человек / a person changed it")),
        Command(
            label,
            Call(
                "crm.item.update",
                {"entityTypeId": item.entity_type_id, "id": ref(check), "fields": {"assignedById": user_id}},
            ),
            needs=(check,),
        ),
    ]


def move_item(
    item: ItemRef, stage_id: str, *, expected: str, unchanged_since: datetime | None = None, label: str = "move"
) -> list[Command]:
    """Moves the item to a stage, unless somebody moved it from `expected` meanwhile.

    With `unchanged_since` (updatedTime of the card that we judged), unless anybody changed anything: the very field
    that was missing may just have been filled in. The item is found on the new stage too: after an unknown outcome the
    first write may have arrived.
    """
    check = f"{label}_unchanged"
    standing: dict[str, Any] = {"stageId": expected}
    if unchanged_since is not None:
        # the portal tells whole seconds: whatever happened within that second cannot be told apart
        standing["<updatedTime"] = (unchanged_since.replace(microsecond=0) + timedelta(seconds=1)).isoformat()
    listed = {
        "entityTypeId": item.entity_type_id,
        "filter": {"id": item.id, "0": {"logic": "OR", "0": standing, "1": {"stageId": stage_id}}},
        "select": ["id"],
    }
    return [
        Command(check, Call("crm.item.list", listed), Check("карточку уже изменил человек / a person changed it")),
        Command(
            label,
            Call(
                "crm.item.update",
                {"entityTypeId": item.entity_type_id, "id": ref(check), "fields": {"stageId": stage_id}},
            ),
            needs=(check,),
        ),
    ]


def set_fields(item: ItemRef, fields: Mapping[str, Any], *, label: str, needs: tuple[str, ...] = ()) -> Command:
    """Writes absolute values of an item's fields (crm.item.update); custom ones by their own names, UF_CRM_..."""
    params: dict[str, Any] = {"entityTypeId": item.entity_type_id, "id": item.id, "fields": dict(fields)}
    if any(name.startswith("UF_") for name in fields):
        params["useOriginalUfNames"] = "Y"
    return Command(label, Call("crm.item.update", params), needs=needs)


ORIGINATOR = "b24app"


def find_item(entity_type_id: int, origin: str) -> Call:
    """Returns the question for the lead or deal that we made for this reason."""
    wanted = {"originId": origin, "originatorId": ORIGINATOR}
    return Call("crm.item.list", {"entityTypeId": entity_type_id, "filter": wanted, "select": ["id", "originId"]})


def add_item(entity_type_id: int, fields: Mapping[str, Any], *, origin: str, label: str) -> Command:
    """Makes a lead or deal, known again by originId and originatorId."""
    marked = {**fields, "originId": origin, "originatorId": ORIGINATOR}
    return Command(
        label,
        Call("crm.item.add", {"entityTypeId": entity_type_id, "fields": marked}),
        LookUp(find_item(entity_type_id, origin), "originId", origin),
    )


def add_task(
    *,
    marker: str,
    title: str,
    description: str,
    responsible_id: int,
    creator_id: int,
    deadline: datetime,
    item: Target | None,
    accomplices: Sequence[int] = (),
    important: bool = False,
    result_required: bool = False,
    tags: Sequence[str] = (),
    start_plan: datetime | None = None,
    label: str = "task",
    needs: tuple[str, ...] = (),
) -> Command:
    """Makes a task bound to the item, by REST 3.0 with an Idempotency-Key, else the classic way with a look-up.

    `marker` stands at the end of the description, and is looked for there among the person's tasks of this title.
    `start_plan`: it is planned from then to the deadline.
    """
    text = f"{description}\n\n{marker}"
    bound: list[Any] = []
    if item is not None:
        prefix = TASK_PREFIXES[item.entity_type_id]
        bound = [f"{prefix}_{item.id}" if isinstance(item, ItemRef) else {"$ref": item.label, "$prefix": f"{prefix}_"}]
    classic_fields = {
        "TITLE": title,
        "DESCRIPTION": text,
        "RESPONSIBLE_ID": responsible_id,
        "CREATED_BY": creator_id,
        "DEADLINE": deadline.isoformat(),
        "UF_CRM_TASK": bound,
    }
    fields = {
        "title": title,
        "description": text,
        "responsibleId": responsible_id,
        "creatorId": creator_id,
        "deadline": deadline.isoformat(),
        "crmItemIds": bound,
    }
    for wanted, name, value, classic_name, classic_value in (
        (accomplices, "accomplices", list(accomplices), "ACCOMPLICES", list(accomplices)),
        (important, "priority", "high", "PRIORITY", 2),
        (result_required, "requireResult", True, "SE_PARAMETER", [{"CODE": 3, "VALUE": "Y"}]),
        (start_plan, "startPlan", _iso(start_plan), "START_DATE_PLAN", _iso(start_plan)),
        (start_plan, "endPlan", deadline.isoformat(), "END_DATE_PLAN", deadline.isoformat()),
    ):
        if wanted:
            fields[name], classic_fields[classic_name] = value, classic_value
    if tags:
        classic_fields["TAGS"] = list(tags)
    listed = {
        "filter": {"RESPONSIBLE_ID": responsible_id, "TITLE": title},
        "select": ["ID", "TITLE", "DESCRIPTION"],
        "order": {"ID": "DESC"},
    }
    made = Command(
        label,
        Call("tasks.task.add", {"fields": fields}, v3=True),
        Keyed(LookUp(Call("tasks.task.list", listed), "description", marker)),
        _needs(item, needs) if item is not None else needs,
        otherwise=Call("tasks.task.add", {"fields": classic_fields}),
    )
    return classic(made) if tags else made  # a task of REST 3.0 has no tags (tasks/fields-rest-v3.md)


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""


def add_checklist(task: str, name: str, items: Sequence[str], *, label: str) -> list[Command]:
    """Adds a checklist to the task that the command `task` makes; parameters stand in the documented order (#33)."""
    read = Call("task.checklistitem.getlist", {"TASKID": ref(task), "ORDER": {"ID": "ASC"}})

    def one(at: str, title: str, parent: Any, needs: tuple[str, ...]) -> Command:
        call = Call("task.checklistitem.add", {"TASKID": ref(task), "FIELDS": {"TITLE": title, "PARENT_ID": parent}})
        return Command(at, call, LookUp(read, "TITLE", title, exact=True), needs)

    return [
        one(label, name, 0, (task,)),
        *(one(f"{label}_{number}", text, ref(label), (task, label)) for number, text in enumerate(items, start=1)),
    ]


def attach_file(task: str, file_id: int, *, label: str) -> Command:
    """Attaches a file of the Drive to the task that the command `task` makes.

    Apart from making the task, which stands though the file was deleted. Sent twice, the file shows twice.
    """
    call = Call("tasks.task.files.attach", {"taskId": ref(task), "fileId": file_id})
    return Command(label, call, needs=(task,))


def set_task(task_id: int, fields: Mapping[str, Any], *, label: str, needs: tuple[str, ...] = ()) -> Command:
    """Writes absolute values of a task's fields (tasks.task.update); STATUS 5 closes it, 2 opens it again."""
    return Command(label, Call("tasks.task.update", {"taskId": task_id, "fields": dict(fields)}), needs=needs)


def calendar_entry(
    owner_id: int,
    item: ItemRef,
    *,
    name: str,
    start: datetime,
    end: datetime,
    description: str,
    location: str,
    marker: str,
    label: str,
) -> Command:
    """Makes a busy entry in a person's calendar, bound to the item, known again by the marker in its description.

    It is no meeting, so that nobody is invited and the person is not asked (calendar.event.add).
    """
    fields = {
        "type": "user",
        "ownerId": owner_id,
        "auto_detect_section": "Y",
        "name": name,
        "from": start.isoformat(),
        "to": end.isoformat(),
        "description": f"{description}\n{marker}",
        "location": location,
        "accessibility": "busy",
        "crm_fields": [f"{TASK_PREFIXES[item.entity_type_id]}_{item.id}"],
    }
    day = timedelta(days=1)
    listed = {
        "type": "user",
        "ownerId": owner_id,
        "from": (start - day).date().isoformat(),
        "to": (end + day).date().isoformat(),
    }
    found = LookUp(Call("calendar.event.get", listed), "description", marker)
    return Command(label, Call("calendar.event.add", fields), found)


def remove_entry(calendar_id: int, *, label: str) -> Command:
    """Takes a calendar entry away.

    A refusal counts as done: by the documentation the same words say that it is not there and that we may not
    (calendar.event.delete); one that stays is busy time, which the board shows.
    """
    return Command(label, Call("calendar.event.delete", {"id": calendar_id}), Gone())


def push(user_id: int, command: str, params: Mapping[str, Any], *, label: str, needs: tuple[str, ...] = ()) -> Command:
    """Tells our own open page of a person something at once (pull.application.event.add); nobody there: nothing."""
    call = Call(
        "pull.application.event.add",
        {"COMMAND": command, "PARAMS": dict(params), "MODULE_ID": "application", "USER_ID": user_id},
    )
    return Command(label, call, needs=needs)


SMS_SEND = "sms:send"
"""The one command that is no REST method: the engine hands it to the SMS gateway (b24app/sms)."""


def send_sms(
    phone: str,
    text: str,
    *,
    until: datetime,
    quiet: tuple[str, str, str] | None = None,
    label: str = "sms",
    needs: tuple[str, ...] = (),
) -> Command:
    """Sends an SMS, at most once. `phone` in E.164; after `until` it is refused: nobody needs a reminder a day late.

    `quiet`: time zone, beginning and end (HH:MM) of the hours in which it waits, looked at again when it is sent.
    """
    params = {"phone": phone, "text": text, "until": until.isoformat(), "quiet": list(quiet) if quiet else None}
    return Command(label, Call(SMS_SEND, params), Once(), needs)


def _bound(item: Target) -> dict[str, Any]:
    return {"ENTITY_ID": _id(item), "ENTITY_TYPE": ENTITY_NAMES[item.entity_type_id]}


def find_comments(item: Target) -> Call:
    """Returns the question for the item's timeline, the newest comment first."""
    listed = {"filter": _bound(item), "select": ["ID", "COMMENT"], "order": {"ID": "DESC"}}
    return Call("crm.timeline.comment.list", listed)


def comment(
    item: Target,
    text: str | Mapping[str, str],
    *,
    marker: str,
    label: str = "card",
    needs: tuple[str, ...] = (),
    after: After | None = None,
) -> Command:
    """Puts a comment into the item's timeline, known again by the marker at its end; the text may be `reason_of`."""
    marked: Any = f"{text}\n{marker}"
    if isinstance(text, Mapping):
        marked = {**text, "$after": f"{text['$after']}\n{marker}"}
    return Command(
        label,
        Call("crm.timeline.comment.add", {"fields": {**_bound(item), "COMMENT": marked}}),
        LookUp(find_comments(item), "COMMENT", marker),
        _needs(item, needs),
        after=after,
    )


def notify(user_id: int, text: str, *, tag: str, label: str, needs: tuple[str, ...] = ()) -> Command:
    """Tells a person by a notice; the same tag replaces the older one, so that a repeat is one notice."""
    return Command(
        label,
        Call("im.notify.personal.add", {"USER_ID": user_id, "MESSAGE": text, "TAG": f"b24app|{tag}"}),
        needs=needs,
    )


def answer_robot(
    event_token: str,
    values: Mapping[str, Any],
    log: str,
    *,
    label: str = "answer",
    instead: Mapping[str, Mapping[str, Any]] | None = None,
) -> Command:
    """Answers a waiting robot; `instead` holds other values for the case that a command of that label was not done."""
    return Command(
        label,
        Call("bizproc.event.send", {"EVENT_TOKEN": event_token, "RETURN_VALUES": dict(values), "LOG_MESSAGE": log}),
        Answered(),
        instead=instead or {},
    )


def classic(command: Command) -> Command:
    """Returns the command for a portal without REST 3.0."""
    if command.otherwise is None:
        return command
    again = command.again.look_up if isinstance(command.again, Keyed) else command.again
    return replace(command, call=command.otherwise, again=again, otherwise=None)
