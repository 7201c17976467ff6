"""Payments and deliveries of deals: sums follow what is paid for, rows are billed once, a paid payment stands still."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.client import Sandbox
from tests.sandbox.conftest import Listener
from tests.sandbox.test_crm_families import Rest

DEAL = {"entityTypeId": 2}


@pytest.fixture
def rest(installed: Sandbox) -> Rest:
    return Rest(installed)


def deal_of(rest: Rest, *rows: tuple[float, float]) -> tuple[int, list[int]]:
    """(a new deal, its product rows) of (price, quantity)."""
    deal = rest("crm.deal.add", fields={"TITLE": "Кухня"})
    made = []
    for price, quantity in rows:
        fields = {"ownerType": "D", "ownerId": deal, "productName": "x", "price": price, "quantity": quantity}
        made.append(rest("crm.item.productrow.add", fields=fields)["productRow"]["id"])
    return deal, made


def pay_for(rest: Rest, deal: int, **quantities: float) -> tuple[int, list[int]]:
    """(a new payment of the deal, what it is for); quantities by `row<id>`."""
    payment = rest("crm.item.payment.add", **DEAL, entityId=deal)
    items = [
        rest("crm.item.payment.product.add", paymentId=payment, rowId=int(name.removeprefix("row")), quantity=quantity)
        for name, quantity in quantities.items()
    ]
    return payment, items


def total(rest: Rest, payment: int) -> float:
    found: float = rest("crm.item.payment.get", id=payment)["sum"]
    return found


def left(rest: Rest, deal: int) -> dict[int, float]:
    rows = rest("crm.item.productrow.getAvailableForPayment", ownerType="D", ownerId=deal)["productRows"]
    return {row["id"]: row["quantity"] for row in rows}


def test_a_new_payment_is_of_nothing_and_numbered_within_its_order(rest: Rest) -> None:
    deal, _ = deal_of(rest, (100, 1))
    first, second = (rest("crm.item.payment.add", **DEAL, entityId=deal) for _ in range(2))
    made = rest("crm.item.payment.get", id=first)
    order = made["accountNumber"].split("/")[0]
    assert made == {
        "id": first, "accountNumber": f"{order}/1", "paid": "N", "datePaid": None, "empPaidId": None,
        "paySystemId": 6, "sum": 0, "currency": "RUB", "paySystemName": "Наличные",
    }  # fmt: skip
    rest("crm.item.payment.delete", id=second)
    third = rest("crm.item.payment.add", **DEAL, entityId=deal)
    assert rest("crm.item.payment.get", id=third)["accountNumber"] == f"{order}/3"
    other = rest("crm.item.payment.add", **DEAL, entityId=deal_of(rest)[0])
    assert rest("crm.item.payment.get", id=other)["accountNumber"].split("/")[0] != order


def test_the_sum_follows_the_quantities_and_a_row_is_billed_once(rest: Rest) -> None:
    deal, (oven, table) = deal_of(rest, (1000.5, 3), (20, 10))
    assert left(rest, deal) == {oven: 3, table: 10}
    payment, items = pay_for(rest, deal, **{f"row{oven}": 2, f"row{table}": 2.5})
    assert total(rest, payment) == 2051
    assert left(rest, deal) == {oven: 1, table: 7.5}
    rest("crm.item.payment.product.setQuantity", id=items[0], quantity=3)
    assert total(rest, payment) == 3051.5
    assert left(rest, deal) == {table: 7.5}
    other, _ = pay_for(rest, deal, **{f"row{table}": 7})
    wrong = rest.refusal("crm.item.payment.product.setQuantity", id=items[1], quantity=4)
    assert wrong == (0, "Insufficient product quantity to add to payment")
    rest("crm.item.payment.product.setQuantity", id=items[1], quantity=3)
    rest("crm.item.payment.product.delete", id=items[0])
    assert (total(rest, payment), total(rest, other)) == (60, 140)
    assert left(rest, deal) == {oven: 3}
    rest("crm.item.payment.delete", id=other)
    assert left(rest, deal) == {oven: 3, table: 7}


def test_the_same_row_again_makes_the_quantity_larger(rest: Rest) -> None:
    deal, (row,) = deal_of(rest, (10, 5))
    payment, (item,) = pay_for(rest, deal, **{f"row{row}": 2})
    assert rest("crm.item.payment.product.add", paymentId=payment, rowId=row, quantity=2) == item
    listed = rest("crm.item.payment.product.list", paymentId=payment, filter={})
    assert listed == [{"id": item, "paymentId": payment, "quantity": 4, "rowId": row}]
    assert total(rest, payment) == 40


def test_paying_and_unpaying(rest: Rest, installed: Sandbox) -> None:
    deal, (row, spare) = deal_of(rest, (10, 5), (7, 1))
    payment, (item,) = pay_for(rest, deal, **{f"row{row}": 2})
    assert Rest(installed, 4)("crm.item.payment.pay", id=payment) is True
    paid = rest("crm.item.payment.get", id=payment)
    assert (paid["paid"], paid["empPaidId"]) == ("Y", 4)
    assert paid["datePaid"].endswith("+03:00")
    assert rest("crm.item.payment.pay", id=payment) is True
    assert rest("crm.item.payment.get", id=payment) == paid
    for name, params in (
        ("product.add", {"paymentId": payment, "rowId": spare, "quantity": 1}),
        ("product.setQuantity", {"id": item, "quantity": 1}),
        ("product.delete", {"id": item}),
    ):
        assert rest.refusal(f"crm.item.payment.{name}", **params) == (0, "Access denied"), name
    assert rest.refusal("crm.item.payment.delete", id=payment)[0] == 0
    rest("crm.item.productrow.update", id=row, fields={"price": 11})
    assert total(rest, payment) == 20
    rest("crm.item.payment.unpay", id=payment)
    open_again = rest("crm.item.payment.get", id=payment)
    assert [open_again[name] for name in ("paid", "datePaid", "empPaidId", "sum")] == ["N", None, None, 22]
    rest("crm.item.payment.delete", id=payment)
    assert rest.refusal("crm.item.payment.get", id=payment) == (0, "Insufficient permissions")
    assert rest.refusal("crm.item.payment.product.delete", id=item) == (0, "Payable item has not been found")


def test_an_update_sets_the_state_and_the_system_of_payment(rest: Rest) -> None:
    payment, _ = pay_for(rest, deal_of(rest)[0])
    assert rest("crm.item.payment.update", id=payment, fields={"paid": "Y", "paySystemId": 7, "sum": 5}) is True
    row = rest("crm.item.payment.get", id=payment)
    assert [row[name] for name in ("paid", "paySystemId", "paySystemName", "sum")] == [
        "Y", 7, "Банковский перевод", 0,
    ]  # fmt: skip
    for fields in ({"paid": "N", "paySystemId": 110}, {"paid": "maybe", "paySystemId": 8}):
        assert rest.refusal("crm.item.payment.update", id=payment, fields=fields)[0] == 0
    assert rest("crm.item.payment.get", id=payment) == row


def test_an_open_payment_follows_its_rows(rest: Rest) -> None:
    deal, (row, gone) = deal_of(rest, (10, 5), (7, 1))
    payment, items = pay_for(rest, deal, **{f"row{row}": 2, f"row{gone}": 1})
    rest("crm.item.productrow.update", id=row, fields={"price": 20})
    assert total(rest, payment) == 47
    rest("crm.item.productrow.delete", id=gone)
    assert total(rest, payment) == 40
    listed = rest("crm.item.payment.product.list", paymentId=payment, filter={})
    assert [one["id"] for one in listed] == items[:1]
    rest("crm.deal.productrows.set", id=deal, rows=[{"PRODUCT_NAME": "y", "PRICE": 1}])
    assert total(rest, payment) == 0


def test_payments_and_deliveries_fall_with_their_deal(rest: Rest, installed: Sandbox) -> None:
    deal, (row,) = deal_of(rest, (10, 5))
    payment, (item,) = pay_for(rest, deal, **{f"row{row}": 2})
    rest("crm.item.payment.pay", id=payment)
    shipment = installed.control("POST", "deliveries", {"deal_id": deal, "price": 5})["id"]
    rest("crm.deal.delete", id=deal)
    assert rest.refusal("crm.item.payment.get", id=payment) == (0, "Insufficient permissions")
    assert rest.refusal("crm.item.delivery.get", id=shipment) == (0, "Insufficient permissions")
    assert rest.refusal("crm.item.payment.product.delete", id=item) == (0, "Payable item has not been found")
    assert rest("crm.item.payment.list", **DEAL, entityId=deal) == []


def test_deliveries_are_made_by_people_and_paid_by_payments(rest: Rest, installed: Sandbox) -> None:
    deal, (row,) = deal_of(rest, (10, 5))
    service = {"service_id": 228, "service": "Такси", "price": 79.99}
    first, second = (installed.control("POST", "deliveries", {"deal_id": deal, **service})["id"] for _ in range(2))
    payment, (product,) = pay_for(rest, deal, **{f"row{row}": 2})
    order = rest("crm.item.payment.get", id=payment)["accountNumber"].split("/")[0]
    shown = {
        "id": first, "accountNumber": f"{order}/2", "deducted": "N", "dateDeducted": None, "deliveryId": 228,
        "priceDelivery": 79.99, "currency": "RUB", "deliveryName": "Такси",
    }  # fmt: skip
    assert rest("crm.item.delivery.get", id=first) == shown
    listed = rest("crm.item.delivery.list", **DEAL, entityId=deal)
    assert [row["accountNumber"] for row in listed] == [f"{order}/2", f"{order}/3"]
    item = rest("crm.item.payment.delivery.add", paymentId=payment, deliveryId=first)
    assert rest("crm.item.payment.delivery.add", paymentId=payment, deliveryId=first) == item
    assert total(rest, payment) == 99.99
    installed.control("PATCH", f"deliveries/{second}", {"price": 100, "shipped": True, "user_id": 4})
    assert rest("crm.item.delivery.get", id=second)["deducted"] == "Y"
    assert rest("crm.item.delivery.get", id=second)["dateDeducted"]
    assert rest("crm.item.payment.delivery.setDelivery", id=item, deliveryId=second) is True
    assert rest("crm.item.payment.delivery.list", paymentId=payment, filter={}) == [
        {"id": item, "paymentId": payment, "quantity": 1, "deliveryId": second}
    ]
    assert total(rest, payment) == 120
    installed.control("PATCH", f"deliveries/{second}", {"price": 1})
    assert total(rest, payment) == 21
    assert rest.refusal("crm.item.payment.delivery.delete", id=product) == (0, "Payable item has not been found")
    assert rest.refusal("crm.item.payment.product.delete", id=item) == (0, "Payable item has not been found")
    foreign = rest("crm.item.delivery.list", **DEAL, entityId=2)[0]["id"]
    for name, params in (("add", {"paymentId": payment}), ("setDelivery", {"id": item})):
        answer = rest.refusal(f"crm.item.payment.delivery.{name}", **params, deliveryId=foreign)
        assert answer == (0, "Delivery item not found"), name
    rest("crm.item.payment.delivery.delete", id=item)
    assert total(rest, payment) == 20
    rest("crm.item.payment.delivery.add", paymentId=payment, deliveryId=second)
    installed.control("DELETE", f"deliveries/{second}")
    assert total(rest, payment) == 20
    assert rest("crm.item.payment.delivery.list", paymentId=payment, filter={}) == []


def test_lists_are_filtered_and_ordered(rest: Rest) -> None:
    deal, rows = deal_of(rest, (10, 9), (20, 9), (30, 9))
    payment, items = pay_for(rest, deal, **{f"row{row}": 3 - index for index, row in enumerate(rows)})
    paid, empty = (rest("crm.item.payment.add", **DEAL, entityId=deal) for _ in range(2))
    rest("crm.item.payment.pay", id=paid)
    for conditions, order, expected in (
        ({}, {}, [payment, paid, empty]),
        ({"paid": "Y"}, {}, [paid]),
        ({"!=id": paid}, {"id": "desc"}, [empty, payment]),
        ({">sum": 0}, {}, [payment]),
        ({"@id": [paid, payment]}, {"sum": "asc"}, [paid, payment]),
        ({"=%accountNumber": "%/2"}, {}, [paid]),
        ({"marked": "N", "paySystemName": "Наличные"}, {"accountNumber": "DESC"}, [empty, paid, payment]),
    ):
        found = rest("crm.item.payment.list", **DEAL, entityId=deal, filter=conditions, order=order)
        assert [row["id"] for row in found] == expected, conditions
    for conditions, order, expected in (
        ({}, {}, items),
        ({">=quantity": 2}, {"quantity": "asc"}, [items[1], items[0]]),
        ({"!@id": items[:1], "<quantity": 2}, {}, items[2:]),
    ):
        found = rest("crm.item.payment.product.list", paymentId=payment, filter=conditions, order=order)
        assert [row["id"] for row in found] == expected, conditions
    for name, params in (
        ("payment.list", {**DEAL, "entityId": deal}),
        ("payment.product.list", {"paymentId": payment}),
        ("payment.delivery.list", {"paymentId": payment}),
        ("delivery.list", {**DEAL, "entityId": 2}),
    ):
        method = f"crm.item.{name}"
        for wrong in ({"filter": {"nothing": 1}}, {"order": {"nothing": "asc"}}, {"order": {"id": "upwards"}}):
            assert rest.refusal(method, **{**params, "filter": {}, **wrong})[0] == 0, (name, wrong)
        assert rest.refusal(method, **params, filter="x")[0] == "100"
    assert (
        len(rest("crm.item.delivery.list", **DEAL, entityId=2, filter={"deducted": "N", ">priceDelivery": 2000})) == 1
    )


def test_only_deals_have_payments(rest: Rest) -> None:
    for kind in (1, 3, 4, 7):
        answer = rest.refusal("crm.item.payment.add", entityTypeId=kind, entityId=1)
        assert answer == (0, "Payment creation is not available for this entity"), kind
    for kind in (1, 31, 9999):
        assert rest("crm.item.payment.list", entityTypeId=kind, entityId=1) == []
        assert rest("crm.item.delivery.list", entityTypeId=kind, entityId=1) == []


NOT_A_NUMBER = "Invalid value {x} to match with parameter {%s}. Should be value of type int."


@pytest.mark.parametrize(
    ("name", "params", "code", "text"),
    [
        ("payment.add", {"entityTypeId": 2, "entityId": 999999}, 0, "Entity with identifier №999999 does not exist"),
        ("payment.add", {"entityTypeId": 9999, "entityId": 1}, 0, "Invalid CRM object type"),
        ("payment.add", {"entityTypeId": 2}, "100", "Could not find value for parameter {entityId}"),
        ("payment.add", {"entityTypeId": 2, "entityId": "x"}, "100", NOT_A_NUMBER % "entityId"),
        ("payment.list", {"entityId": 1}, "100", "Could not find value for parameter {entityTypeId}"),
        *((f"payment.{verb}", {"id": 999999}, 0, "Insufficient permissions")
          for verb in ("get", "pay", "unpay", "delete")),
        *((f"payment.{verb}", {}, "100", "Could not find value for parameter {id}")
          for verb in ("get", "pay", "unpay", "delete", "update", "product.delete", "delivery.delete")),
        ("payment.update", {"id": 999999, "fields": {"paid": "Y"}}, 0, "Insufficient permissions"),
        ("payment.update", {"id": "{own}", "fields": {"paySystemId": 110}}, 0, "Payment system not found"),
        ("payment.update", {"id": "{own}", "fields": {"sum": 1}}, 0, "Empty fields"),
        ("payment.product.add", {"paymentId": 999999, "rowId": 1, "quantity": 1}, 0, "Payment has not been found"),
        ("payment.product.add", {"paymentId": "{own}", "rowId": 999999, "quantity": 1}, 0, "Product item not found"),
        ("payment.product.add", {"paymentId": "{own}", "rowId": "{foreign}", "quantity": 1}, 0,
            "Product item not found"),
        ("payment.product.add", {"paymentId": "{own}", "rowId": "{row}", "quantity": 5.5}, 0,
            "Insufficient product quantity to add to payment"),
        ("payment.product.add", {"paymentId": "{own}", "rowId": "{row}", "quantity": 0}, 0,
            "Product quantity cannot be less than or equal to 0"),
        ("payment.product.add", {"paymentId": "{own}", "rowId": "{row}"}, "100",
            "Could not find value for parameter {quantity}"),
        ("payment.product.setQuantity", {"id": "{item}", "quantity": -1}, 0,
            "Product quantity cannot be less than or equal to 0"),
        ("payment.product.setQuantity", {"id": 999999, "quantity": 1}, 0, "Payable item has not been found"),
        ("payment.product.setQuantity", {"id": "{item}", "quantity": 6}, 0,
            "Insufficient product quantity to add to payment"),
        ("payment.product.delete", {"id": 999999}, 0, "Payable item has not been found"),
        ("payment.product.list", {"paymentId": 999999, "filter": {}}, 0, "Payment has not been found"),
        ("payment.product.list", {"paymentId": "{own}"}, "100", "Could not find value for parameter {filter}"),
        ("payment.delivery.add", {"paymentId": 999999, "deliveryId": 1}, 0, "Payment has not been found"),
        ("payment.delivery.add", {"paymentId": "{own}", "deliveryId": 999999}, 0, "Delivery item not found"),
        ("payment.delivery.list", {"paymentId": 999999, "filter": {}}, 0, "Payment has not been found"),
        ("payment.delivery.setDelivery", {"id": 999999, "deliveryId": 1}, 0, "Payable item has not been found"),
        ("payment.delivery.delete", {"id": 999999}, 0, "Payable item has not been found"),
        ("delivery.get", {"id": 999999}, 0, "Insufficient permissions"),
        ("delivery.get", {}, "100", "Could not find value for parameter {id}"),
        ("delivery.list", {"entityTypeId": 2}, "100", "Could not find value for parameter {entityId}"),
    ],
)  # fmt: skip
def test_what_is_refused(rest: Rest, name: str, params: dict[str, Any], code: Any, text: str) -> None:
    deal, (row,) = deal_of(rest, (10, 5))
    payment, (item,) = pay_for(rest, deal, **{f"row{row}": 1})
    foreign = deal_of(rest, (1, 1))[1][0]
    own = {"{own}": payment, "{row}": row, "{item}": item, "{foreign}": foreign}
    given = {key: own.get(value, value) if isinstance(value, str) else value for key, value in params.items()}
    answer = rest.answer(f"crm.item.{name}", **given)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_description"]) == (400, code, text)
    assert total(rest, payment) == 10


def test_a_foreign_deal_is_neither_billed_nor_read(rest: Rest, installed: Sandbox) -> None:
    rest("crm.deal.update", id=2, fields={"ASSIGNED_BY_ID": 5})
    fields = {"ownerType": "D", "ownerId": 2, "productName": "x", "price": 10, "quantity": 5}
    row = rest("crm.item.productrow.add", fields=fields)["productRow"]["id"]
    payment, (item,) = pay_for(rest, 2, **{f"row{row}": 1})
    shipment, other = (one["id"] for one in rest("crm.item.delivery.list", **DEAL, entityId=2))
    shipped = rest("crm.item.payment.delivery.add", paymentId=payment, deliveryId=shipment)
    before = rest("crm.item.payment.get", id=payment)
    writes = [
        ("payment.add", {**DEAL, "entityId": 2}), ("payment.get", {"id": payment}), ("payment.pay", {"id": payment}),
        ("payment.unpay", {"id": payment}), ("payment.delete", {"id": payment}),
        ("payment.update", {"id": payment, "fields": {"paid": "Y"}}),
        ("payment.product.add", {"paymentId": payment, "rowId": row, "quantity": 1}),
        ("payment.product.setQuantity", {"id": item, "quantity": 2}), ("payment.product.delete", {"id": item}),
        ("payment.delivery.add", {"paymentId": payment, "deliveryId": other}),
        ("payment.delivery.setDelivery", {"id": shipped, "deliveryId": other}),
        ("payment.delivery.delete", {"id": shipped}),
    ]  # fmt: skip
    reads = [
        ("payment.list", {**DEAL, "entityId": 2}), ("delivery.get", {"id": shipment}),
        ("delivery.list", {**DEAL, "entityId": 2}), ("payment.product.list", {"paymentId": payment, "filter": {}}),
        ("payment.delivery.list", {"paymentId": payment, "filter": {}}),
    ]  # fmt: skip
    installed.set_person(4, own_leads_only=True)
    stranger = Rest(installed, 4)

    def check(calls: list[tuple[str, dict[str, Any]]]) -> None:
        for name, params in calls:
            part = ".product." in name or "payment.delivery." in name
            expected = (0, "Access denied" if part else "Insufficient permissions")
            assert stranger.refusal(f"crm.item.{name}", **params) == expected, name

    check([*writes, *reads])
    rest("crm.item.update", entityTypeId=2, id=2, fields={"observers": [4]})
    check(writes)
    for name, params in reads:
        assert stranger(f"crm.item.{name}", **params), name
    assert rest("crm.item.payment.get", id=payment) == before


def test_payments_are_told_by_events(installed: Sandbox, listener: Listener) -> None:
    installed.application(scopes=["crm", "sale"])
    rest = Rest(installed)
    events = ("ONPAYMENTENTITYSAVED", "ONPAYMENTDELETED", "ONSHIPMENTENTITYSAVED", "ONSHIPMENTDELETED")
    for event in events:
        rest("event.bind", event=event, handler=listener.url + "/e")
    deal, (row,) = deal_of(rest, (10, 5))
    payment, _ = pay_for(rest, deal, **{f"row{row}": 1})
    for verb in ("pay", "pay", "unpay", "delete"):
        rest(f"crm.item.payment.{verb}", id=payment)
    shipment = installed.control("POST", "deliveries", {"deal_id": deal})["id"]
    installed.control("DELETE", f"deliveries/{shipment}")
    installed.wait_quiet()
    told = {event: [form["data[FIELDS][ID]"] for form in listener.events(event)] for event in events}
    # made, a row added, paid (once), unpaid
    assert told == {
        "ONPAYMENTENTITYSAVED": [str(payment)] * 4, "ONPAYMENTDELETED": [str(payment)],
        "ONSHIPMENTENTITYSAVED": [str(shipment)], "ONSHIPMENTDELETED": [str(shipment)],
    }  # fmt: skip


def test_payments_survive_a_snapshot(rest: Rest, installed: Sandbox) -> None:
    deal, (row,) = deal_of(rest, (10, 5))
    payment, (item,) = pay_for(rest, deal, **{f"row{row}": 2})
    installed.control("POST", "snapshots/before")
    rest("crm.item.payment.product.delete", id=item)
    rest("crm.item.payment.delete", id=payment)
    installed.control("POST", "snapshots/before/restore")
    rest = Rest(installed)
    assert (total(rest, payment), left(rest, deal)) == (20, {row: 3})
    rest("crm.item.payment.product.setQuantity", id=item, quantity=5)
    assert (total(rest, payment), left(rest, deal)) == (50, {})
