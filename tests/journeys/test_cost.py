"""HTTP requests per missed call, counted at the portal from the ring until all is quiet, our own echoes included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from b24app.store import schema

from .office import Office, new_phone

CALLS = 3
AT_MOST = 5
UNTIL_ASSIGNED_AT_MOST = 3

ORDERS: dict[str, list[dict[str, Any]]] = {
    "as it comes": [],
    "END first": [{"event": "ONCRMLEADADD", "action": "delay", "count": CALLS, "seconds": 1}],
    "lead first": [{"event": "ONVOXIMPLANTCALLEND", "action": "delay", "count": CALLS, "seconds": 1}],
    "everything twice": [{"event": "*", "action": "duplicate", "count": 100}],
}


@pytest.mark.parametrize("order", ORDERS)
def test_k2_k3_a_missed_call_costs_five_requests_at_most_and_three_until_it_is_assigned(
    office: Office, order: str, record_property: Callable[[str, object], None]
) -> None:
    office.write(sa.delete(schema.snapshots))
    office.portal.missed_call(new_phone())
    office.settle()  # the team is known for some minutes from now on
    office.reconciled_lately()
    for rule in ORDERS[order]:
        office.control("POST", "event-rules", rule)
    costs = []
    for _ in range(CALLS):
        last = office.portal.last
        lead_id = office.portal.missed_call(new_phone())["lead_id"]
        office.settle()
        office.assert_treated(lead_id)
        methods = [entry["batch"] or [entry["method"]] for entry in office.requests_since(last)]
        assigned_at = next(number for number, inner in enumerate(methods, 1) if "crm.item.update" in inner)
        costs.append((assigned_at, len(methods)))
    until_assigned, in_all = (" ".join(map(str, column)) for column in zip(*costs, strict=True))
    row = {"order of events": order, "until assigned": until_assigned, "in all": in_all}
    record_property("table: requests per missed call", row)
    assert max(assigned for assigned, _ in costs) <= UNTIL_ASSIGNED_AT_MOST
    assert max(total for _, total in costs) <= AT_MOST
