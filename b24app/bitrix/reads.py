"""What can be read of a portal: each a call with the translation of its answer; several go in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from b24app.bitrix import translate
from b24app.bitrix.calls import Answer, Call
from b24app.entities import CONTACT, DEAL, CalendarEntry, Clock, Department, Interval, Item, ItemRef, PhoneCall, User
from b24app.rules.working_time import WorkCalendar

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Read(Generic[T]):
    """One read: what to ask, and what its answer means."""

    call: Call
    parse: Callable[[Answer], T]


def result_of(label: str, *path: str | int) -> str:
    """Returns batch's stand-in for a part of an earlier command's result (settings/how-to-call-rest-api/batch.md)."""
    return f"$result[{label}]" + "".join(f"[{step}]" for step in path)


def item(entity_type_id: int, id: int | str) -> Read[Item | None]:
    """An item with its phones and e-mails; NOT_FOUND is an error of this read."""
    call = Call("crm.item.get", {"entityTypeId": entity_type_id, "id": id})
    return Read(call, lambda answer: translate.item_of(entity_type_id, answer.result))


def items(entity_type_id: int, ids: Sequence[int]) -> Read[list[Item]]:
    """Items by their ids, newest first; `*` since single fields were seen to lack what they name (trap 55)."""
    params = {"entityTypeId": entity_type_id, "filter": {"@id": list(ids)}, "select": ["*"], "order": {"id": "DESC"}}

    def parse(answer: Answer) -> list[Item]:
        found = (translate.item_of(entity_type_id, row) for row in translate.rows(answer.result, "items"))
        return [item for item in found if item is not None]

    return Read(Call("crm.item.list", params), parse)


def count_open(entity_type_id: int, assigned_by_id: int) -> Read[int]:
    """How many open items a person has."""
    params = {
        "entityTypeId": entity_type_id,
        "filter": {"assignedById": assigned_by_id, "stageSemanticId": "P"},
        "select": ["id"],
    }
    return Read(Call("crm.item.list", params), lambda answer: answer.total or 0)


def count_created(entity_type_id: int, created_by_id: int | str, since: datetime) -> Read[int]:
    """How many items one person created since then."""
    params = {
        "entityTypeId": entity_type_id,
        "filter": {"createdBy": created_by_id, ">=createdTime": since.isoformat()},
        "select": ["id"],
    }
    return Read(Call("crm.item.list", params), lambda answer: answer.total or 0)


def users(ids: Sequence[int | str]) -> Read[list[User]]:
    """People by id, dismissed ones too (the filter has no ACTIVE)."""
    return Read(
        Call("user.get", {"FILTER": {"ID": list(ids)}}),
        lambda answer: [translate.user_of(row) for row in translate.rows(answer.result)],
    )


PAGE = 50


def department_users(department_ids: Sequence[int], start: int = 0) -> Read[list[User]]:
    """The active people of departments, 50 from `start` on."""
    return Read(
        Call(
            "user.get",
            {
                "FILTER": {"ACTIVE": True, "UF_DEPARTMENT": list(department_ids)},
                "sort": "ID",
                "order": "ASC",
                "start": start,
            },
        ),
        lambda answer: [translate.user_of(row) for row in translate.rows(answer.result)],
    )


def departments(start: int = 0) -> Read[list[Department]]:
    """The departments of the company, 50 from `start` on."""
    return Read(
        Call("department.get", {"sort": "ID", "order": "ASC", "START": start}),
        lambda answer: [translate.department_of(row) for row in translate.rows(answer.result)],
    )


def open_deals(client_type_id: int, client_id: int) -> Read[list[Item]]:
    """The newest open deals of a contact or company (simple mode: the enquiries themselves)."""
    field = "contactId" if client_type_id == CONTACT else "companyId"
    params = {
        "entityTypeId": DEAL,
        "filter": {field: client_id, "stageSemanticId": "P"},
        "select": ["*"],
        "order": {"id": "DESC"},
    }

    def parse(answer: Answer) -> list[Item]:
        found = (translate.item_of(DEAL, row) for row in translate.rows(answer.result, "items"))
        return [item for item in found if item is not None]

    return Read(Call("crm.item.list", params), parse)


def clock(user_id: int) -> Read[tuple[Clock, datetime | None]]:
    """A person's working-day clock."""
    return Read(Call("timeman.status", {"USER_ID": user_id}), lambda answer: translate.clock_of(answer.result))


def busy(user_ids: Sequence[int], start: date, end: date, zone: ZoneInfo) -> Read[dict[int, tuple[Interval, ...]]]:
    """Busy and absent times of people between two dates; ask with a day to spare on both sides."""
    return Read(
        Call("calendar.accessibility.get", {"users": list(user_ids), "from": start.isoformat(), "to": end.isoformat()}),
        lambda answer: translate.intervals_of(answer.result, zone),
    )


def office_hours(playbook: WorkCalendar) -> Read[WorkCalendar]:
    """The portal's working hours and holidays."""
    return Read(Call("calendar.settings.get"), lambda answer: translate.calendar_of(answer.result, playbook))


def schedule(id: int) -> Read[Any]:
    """A work schedule as the portal tells it, for translate.with_schedule; [] where there is none."""
    return Read(Call("timeman.schedule.get", {"id": id}), lambda answer: answer.result)


def calendar_entry(id: int, zone: tzinfo = UTC) -> Read[CalendarEntry | None]:
    """A calendar entry as it is now; None where it was deleted. `zone` as in translate.entry_of."""
    return Read(Call("calendar.event.getbyid", {"id": id}), lambda answer: translate.entry_of(answer.result, zone))


def call_statistics(**filters: Any) -> Read[list[PhoneCall]]:
    """Calls of the statistics, the newest first."""
    return Read(
        Call("voximplant.statistic.get", {"FILTER": filters, "SORT": "ID", "ORDER": "DESC"}),
        lambda answer: [translate.statistic_of(row) for row in translate.rows(answer.result)],
    )


def activity_owner(activity_id: int) -> Read[ItemRef | None]:
    """The item that an activity hangs on."""
    return Read(Call("crm.activity.get", {"id": activity_id}), lambda answer: translate.activity_owner(answer.result))


def by_phone(phone: str, entity_type: str) -> Read[tuple[int, ...]]:
    """Ids of items of one type with this number; asked type by type, since 20 hits of one hide the others (trap 38)."""
    call = Call("crm.duplicate.findbycomm", {"type": "PHONE", "values": [phone], "entity_type": entity_type})
    return Read(call, lambda answer: translate.duplicates_of(answer.result).get(translate.OWNER_TYPES[entity_type], ()))


def crm_mode() -> Read[int]:
    """1 classic (leads), 2 simple (every enquiry is a deal)."""
    return Read(Call("crm.settings.mode.get"), lambda answer: 2 if translate.number(answer.result) == 2 else 1)


def source_names() -> Read[dict[str, str]]:
    """The portal's own names of lead and deal sources."""
    return Read(
        Call("crm.status.list", {"filter": {"ENTITY_ID": "SOURCE"}}),
        lambda answer: {str(r.get("STATUS_ID")): str(r.get("NAME")) for r in translate.rows(answer.result)},
    )
