"""Every write of a treatment goes wrong in every way: the same final state, by REST 3.0 and by the classic methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .office import DARIA, Office, new_phone

WAYS: list[dict[str, Any]] = [
    {"when": when, **way}
    for when in ("before", "after")
    for way in (
        {"effect": "status", "status": 500},
        {"effect": "status", "status": 502},
        {"effect": "html"},
        {"effect": "truncate"},
        {"effect": "drop"},
    )
]
"""Before the effect: it was not carried out. After it: it was, and nobody knows."""


def calls_with_leads(office: Office, count: int) -> Callable[[], None]:
    leads = [office.portal.missed_call(new_phone())["lead_id"] for _ in range(count)]

    def check() -> None:
        for lead_id in leads:
            office.assert_treated(lead_id)

    return check


def calls_of_known_clients(office: Office, count: int) -> Callable[[], None]:
    phones = [new_phone() for _ in range(count)]
    contacts = [office.client(phone, DARIA) for phone in phones]
    for phone in phones:
        office.portal.missed_call(phone)

    def check() -> None:
        for contact_id in contacts:
            assert len(office.tasks_of(contact_id, "C")) == 1
            assert len(office.cards_of(contact_id, "contact")) == 1
            assert len(office.notices_of(DARIA, f"/crm/contact/details/{contact_id}/")) == 1

    return check


def calls_without_leads(office: Office, count: int) -> Callable[[], None]:
    office.control("PATCH", "line", {"create_lead": "none"})
    phones = [new_phone() for _ in range(count)]
    for phone in phones:
        office.portal.missed_call(phone)

    def check() -> None:
        for phone in phones:
            (lead,) = office.leads_of(phone)
            office.assert_treated(lead["id"])

    return check


SCENES = {
    "crm.item.update": calls_with_leads,
    "crm.timeline.comment.add": calls_with_leads,
    "tasks.task.add": calls_with_leads,
    "im.notify.personal.add": calls_of_known_clients,
    "crm.item.add": calls_without_leads,
    "voximplant.statistic.get": calls_with_leads,
}


@pytest.fixture(scope="module", params=[True, False], ids=["rest_v3", "classic"])
def generation(shared_office: Office, request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the portal has REST 3.0; our application has looked."""
    shared_office.control("PATCH", "settings", {"rest_v3": request.param})
    shared_office.press("/install/again")
    yield request.param
    shared_office.control("PATCH", "settings", {"rest_v3": True})
    shared_office.press("/install/again")


@pytest.mark.parametrize("method", SCENES)
def test_k1_k2_k3_a_command_that_fails_or_whose_answer_is_lost_ends_in_the_same_state(
    office: Office, generation: bool, method: str
) -> None:
    office.control("PATCH", "settings", {"rest_v3": generation})
    last = office.portal.last
    for way in WAYS:
        office.control("POST", "faults", {"method": method, **way})
    check = SCENES[method](office, len(WAYS))
    office.settle(hurry=True)
    taken = [entry for entry in office.portal.ledger(last, "fault") if entry["method"] == method]
    assert len(taken) == len(WAYS)
    check()


def test_k3_a_portal_that_loses_rest_v3_between_two_tasks_still_gets_them(office: Office) -> None:
    check_first = calls_with_leads(office, 1)
    office.settle()
    office.control("PATCH", "settings", {"rest_v3": False})
    check_second = calls_with_leads(office, 2)
    office.settle(hurry=True)
    check_first()
    check_second()
    office.control("PATCH", "settings", {"rest_v3": True})
    office.press("/install/again")


def test_k2_a_token_that_expires_during_the_work_is_renewed_once(office: Office) -> None:
    last = office.portal.last
    office.control("POST", "tokens", {"action": "expire", "client_id": office.portal.client_id})
    check = calls_with_leads(office, 4)
    office.settle(hurry=True)
    check()
    renewals = [one for one in office.portal.ledger(last, "oauth") if one.get("grant_type") == "refresh_token"]
    assert len(renewals) == 1


@pytest.mark.parametrize(
    ("method", "status", "error"),
    [
        ("batch", 503, "QUERY_LIMIT_EXCEEDED"),
        ("crm.item.update", 429, "OPERATION_TIME_LIMIT"),
        ("tasks.task.add", 429, "OPERATION_TIME_LIMIT"),
        ("batch", 500, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_k2_limits_of_the_portal_only_delay(office: Office, method: str, status: int, error: str) -> None:
    last = office.portal.last
    office.portal.fault(method, "error", status=status, error=error, count=2)
    check = calls_with_leads(office, 2)
    office.until(lambda: office.fault_taken(last, method), "the portal refuses")
    office.until(lambda: office.waited_out(), "the limits are over")
    office.settle(hurry=True)
    check()
