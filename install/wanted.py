"""What a portal should have of us, what it has, and the difference: pure, so that a reinstall repeats harmlessly.

Nothing is ever deleted and added again: a robot that disappears for a moment breaks the automation it stands in
(api-reference/bizproc/bizproc-robot/bizproc-robot-delete.md). Handlers at other addresses are never touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from b24app.bitrix.calls import Call
from b24app.engine.declare import Catalogue, Property, Robot, Text
from b24app.entities import COMPANY, CONTACT, DEAL, LEAD

LIFECYCLE_EVENTS = ("ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL")

EVENT_WORDS: Mapping[str, Text] = {
    "ONCRMLEADADD": {"ru": "новый лид", "en": "new lead"},
    "ONCRMLEADUPDATE": {"ru": "лид изменён", "en": "lead changed"},
    "ONCRMLEADDELETE": {"ru": "лид удалён", "en": "lead deleted"},
    "ONCRMDEALADD": {"ru": "новая сделка", "en": "new deal"},
    "ONCRMDEALUPDATE": {"ru": "сделка изменена", "en": "deal changed"},
    "ONCRMDEALDELETE": {"ru": "сделка удалена", "en": "deal deleted"},
    "ONCRMACTIVITYADD": {"ru": "новое дело", "en": "new activity"},
    "ONTASKUPDATE": {"ru": "задача изменена", "en": "task changed"},
    "ONTASKDELETE": {"ru": "задача удалена", "en": "task deleted"},
    "ONCALENDARENTRYUPDATE": {"ru": "запись календаря изменена", "en": "calendar entry changed"},
    "ONCALENDARENTRYDELETE": {"ru": "запись календаря удалена", "en": "calendar entry deleted"},
    "ONVOXIMPLANTCALLINIT": {"ru": "звонок поступил", "en": "call came in"},
    "ONVOXIMPLANTCALLSTART": {"ru": "разговор начался", "en": "conversation began"},
    "ONVOXIMPLANTCALLEND": {"ru": "звонок окончен", "en": "call ended"},
    "ONAPPINSTALL": {"ru": "приложение установлено", "en": "application installed"},
    "ONAPPUPDATE": {"ru": "приложение обновлено", "en": "application updated"},
    "ONAPPUNINSTALL": {"ru": "приложение удалено", "en": "application removed"},
}

DOCUMENT_TYPES = {
    LEAD: ("crm", "CCrmDocumentLead", "LEAD"),
    DEAL: ("crm", "CCrmDocumentDeal", "DEAL"),
    CONTACT: ("crm", "CCrmDocumentContact", "CONTACT"),
    COMPANY: ("crm", "CCrmDocumentCompany", "COMPANY"),
}


@dataclass(frozen=True)
class Scope:
    """A permission of the application's card: what stops without it. `instead` are scopes that do as well."""

    name: str
    purpose: Text
    essential: bool = False
    instead: tuple[str, ...] = ()


SCOPES = (
    Scope("crm", {"ru": "лиды, сделки и клиенты", "en": "leads, deals and clients"}, essential=True),
    Scope(
        "user",
        {"ru": "список сотрудников", "en": "the list of employees"},
        essential=True,
        instead=("user_basic", "user_brief"),
    ),
    Scope("task", {"ru": "задачи менеджерам", "en": "tasks for managers"}, essential=True),
    Scope("telephony", {"ru": "звонки: пропущенные и отвеченные", "en": "calls, missed and answered"}),
    Scope("bizproc", {"ru": "роботы на стадиях", "en": "robots on stages"}),
    Scope("placement", {"ru": "вкладка в карточке лида и сделки", "en": "the tab in the card of leads and deals"}),
    Scope("department", {"ru": "отделы и их руководители", "en": "departments and their heads"}),
    Scope("timeman", {"ru": "рабочий день: кто сейчас на работе", "en": "the working day: who is at work"}),
    Scope("calendar", {"ru": "занятость и отсутствия", "en": "busy times and absences"}),
    Scope("pull", {"ru": "форма открывается сама", "en": "the form opens by itself"}),
    Scope("im", {"ru": "уведомления сотрудникам", "en": "notices to employees"}),
    Scope("disk", {"ru": "картинка-памятка в задаче", "en": "the memo picture in a task"}),
    Scope("tasks", {"ru": "задачи без повторов (REST 3.0)", "en": "tasks without duplicates (REST 3.0)"}),
)


@dataclass(frozen=True)
class Present:
    """What the portal answered. None: the list could not be read (its scope is missing, or the portal refused)."""

    robots: frozenset[str] | None
    events: frozenset[tuple[str, str]] | None
    placements: frozenset[tuple[str, str]] | None
    places: frozenset[str] | None
    scope: frozenset[str]
    crm_mode: int | None = None
    offline: frozenset[str] | None = None
    """Events that the portal keeps for us in its queue; None: its plan has no queue."""


@dataclass(frozen=True)
class Record:
    """What is kept of a thing of the playbook (store/applied.py); `portal_id` is empty until the portal gave one."""

    name: str
    portal_id: str
    made: bool = False
    before: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Step:
    """One thing to bring in line; `call` is None where nothing can or need be done, and `note` then says why.

    adopted: it is there under another name and is taken over; conflict: a person has to decide.
    """

    key: str
    what: Text
    state: Literal["add", "update", "present", "adopted", "impossible", "conflict"]
    call: Call | None = None
    essential: bool = False
    note: Text | None = None
    records: tuple[Record, ...] = ()


def wanted_events(catalogue: Catalogue) -> tuple[str, ...]:
    """Returns the events that we want to hear: those of the handlers and those of the application's own life."""
    return (*(handler.event for handler in catalogue.handlers), *LIFECYCLE_EVENTS)


def queued_events(catalogue: Catalogue) -> tuple[str, ...]:
    """Returns the events that the portal may keep for us too; calls are found whole in the statistics."""
    return tuple(one.event for one in catalogue.handlers if not one.event.startswith("ONVOXIMPLANT"))


def differences(catalogue: Catalogue, public_url: str, user_id: int, present: Present) -> list[Step]:
    """Returns every wanted thing with what is to be done about it. `user_id` is whose token robots are called with."""
    steps = [_robot_step(robot, public_url, user_id, present) for robot in catalogue.robots]
    steps += [_event_step(event, f"{public_url}/event", present) for event in wanted_events(catalogue)]
    if present.offline is not None:
        steps += [_queue_step(event, present.offline) for event in queued_events(catalogue)]
    for placement in catalogue.placements:
        handler = f"{public_url}/placement/{placement.page}"
        what = {
            "ru": f"Страница «{placement.title['ru']}» ({placement.placement})",
            "en": f"Page “{placement.title['en']}” ({placement.placement})",
        }
        key = f"placement:{placement.placement}:{placement.page}"
        if present.placements is not None and (placement.placement.upper(), handler) in present.placements:
            steps.append(Step(key, what, "present"))
        elif present.places is None or placement.placement not in present.places:
            steps.append(Step(key, what, "impossible", note=_missing("placement")))
        else:
            params: dict[str, Any] = {
                "PLACEMENT": placement.placement,
                "HANDLER": handler,
                "TITLE": placement.title["ru"],
                "LANG_ALL": {language: {"TITLE": text} for language, text in placement.title.items()},
            }
            if placement.options:
                params["OPTIONS"] = {
                    name: value.replace("{public_url}", public_url) if isinstance(value, str) else value
                    for name, value in placement.options.items()
                }
            steps.append(Step(key, what, "add", Call("placement.bind", params)))
    return steps


def missing_scopes(scope: frozenset[str]) -> list[Scope]:
    """Returns the permissions that the application's card lacks."""
    return [wanted for wanted in SCOPES if not scope & {wanted.name, *wanted.instead}]


def _robot_step(robot: Robot, public_url: str, user_id: int, present: Present) -> Step:
    key = f"robot:{robot.code}"
    what = {"ru": f"Робот «{robot.name['ru']}»", "en": f"Robot “{robot.name['en']}”"}
    if present.robots is None:
        return Step(key, what, "impossible", note=_missing("bizproc"))
    fields = robot_fields(robot, public_url, user_id)
    if robot.code in present.robots:
        return Step(key, what, "update", Call("bizproc.robot.update", {"CODE": robot.code, "FIELDS": fields}))
    return Step(key, what, "add", Call("bizproc.robot.add", {"CODE": robot.code, **fields}))


def _event_step(event: str, handler: str, present: Present) -> Step:
    what = _event_text("Событие", "Event", event)
    if present.events is not None and (event, handler) in present.events:
        return Step(f"event:{event}", what, "present")
    call = Call("event.bind", {"event": event, "handler": handler})
    return Step(f"event:{event}", what, "add", call, essential=event.startswith("ONCRM"))


def _queue_step(event: str, queued: frozenset[str]) -> Step:
    what = _event_text("В очереди портала, если не дойдёт:", "In the portal's queue, should it be lost:", event)
    if event in queued:
        return Step(f"queue:{event}", what, "present")
    return Step(f"queue:{event}", what, "add", Call("event.bind", {"event": event, "event_type": "offline"}))


def _event_text(ru: str, en: str, event: str) -> Text:
    words = EVENT_WORDS.get(event)
    if words is None:
        return {"ru": f"{ru} {event}", "en": f"{en} {event}"}
    return {"ru": f"{ru} «{words['ru']}» ({event})", "en": f"{en} “{words['en']}” ({event})"}


def robot_fields(robot: Robot, public_url: str, user_id: int) -> dict[str, Any]:
    """Returns a robot's fields for bizproc.robot.add and FIELDS of bizproc.robot.update.

    USE_SUBSCRIPTION is always said: left out, the portal waits for an answer that nobody would send.
    """
    types = [DOCUMENT_TYPES[entity_type_id] for entity_type_id in robot.entity_type_ids]
    return {
        "HANDLER": f"{public_url}/robot/{robot.code}",
        "AUTH_USER_ID": user_id,
        "USE_SUBSCRIPTION": "Y" if robot.returns else "N",
        "NAME": dict(robot.name),
        "DESCRIPTION": dict(robot.description),
        "PROPERTIES": _properties(robot.properties),
        "RETURN_PROPERTIES": _properties(robot.returns),
        "DOCUMENT_TYPE": list(types[0]),
        "FILTER": {"INCLUDE": [list(document[:2]) for document in types]},
    }


def _properties(properties: Sequence[Property]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for one in properties:
        described: dict[str, Any] = {
            "Name": dict(one.name),
            "Type": one.type,
            "Required": "Y" if one.required else "N",
            "Multiple": "Y" if one.multiple else "N",
        }
        if one.description:
            described["Description"] = dict(one.description)
        if one.options:
            # keys are values of the robot; one language only: the platform takes a plain title here
            described["Options"] = {value: title["ru"] for value, title in one.options.items()}
        if one.default is not None:
            described["Default"] = one.default
        result[one.code] = described
    return result


def present_of(answers: Mapping[str, Any]) -> Present:
    """Returns what the portal has from the raw results of the read batch; absent labels are lists not readable.

    Labels: robots, events, placements, places, scope, mode, queue (bizproc.robot.list, event.get, placement.get,
    placement.list, scope, crm.settings.mode.get, feature.get). PHP's empty maps come as [].
    """
    robots, places = answers.get("robots"), answers.get("places")
    mode, queue = answers.get("mode"), answers.get("queue")
    has_queue = isinstance(queue, dict) and queue.get("value") == "Y"
    queued = _pairs(answers.get("events"), "event", lambda row: not _is_online(row))
    return Present(
        robots=frozenset(map(str, robots)) if isinstance(robots, list) else None,
        events=_pairs(answers.get("events"), "event", _is_online),
        placements=_pairs(answers.get("placements"), "placement", lambda row: True),
        places=frozenset(map(str, places)) if isinstance(places, list) else None,
        scope=frozenset(str(name) for name in answers.get("scope") or ()),
        crm_mode=int(mode) if isinstance(mode, int | str) and str(mode).isdecimal() else None,
        offline=frozenset(event for event, _ in queued or ()) if has_queue else None,
    )


def _is_online(row: Mapping[str, Any]) -> bool:
    return str(row.get("offline", 0)) in ("0", "", "False")


def _pairs(rows: Any, name: str, counts: Any) -> frozenset[tuple[str, str]] | None:
    if not isinstance(rows, list):
        return None
    listed = [row for row in rows if isinstance(row, dict) and counts(row)]
    return frozenset((str(row.get(name, "")).upper(), str(row.get("handler", ""))) for row in listed)


def _missing(scope: str) -> Text:
    return {
        "ru": f"добавьте право «{scope}» в карточке приложения и повторите",
        "en": f"add the permission “{scope}” in the application's card and repeat",
    }
