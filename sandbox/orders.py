"""Orders behind deals: payments and what they pay for, deliveries, systems of payment.

A deal gets its order with its first payment or delivery; the numbers of both begin with the order's. Invoices, the
other kind of item that can be paid, are not on this portal (api-reference/crm/universal/payment/index.md).
"""

from __future__ import annotations

from sandbox import delivery
from sandbox.crm_kinds import DEAL, SHORT
from sandbox.method import Actor, Row
from sandbox.portal import Portal

PAYABLE = (DEAL,)
PRODUCT, DELIVERY = "product", "delivery"
# Three thirds of a piece are the whole piece.
_SLACK = 1e-9
_PAY_SYSTEMS = ((6, "Наличные", "Y"), (7, "Банковский перевод", "N"), (8, "Банковская карта", "N"))


def found(portal: Portal) -> None:
    """The systems of payment of a new company; the first is that of new payments."""
    for number, name, cash in _PAY_SYSTEMS:
        portal["pay_systems"].add({"ID": number, "NAME": name, "IS_CASH": cash, "ACTIVE": "Y"})


def order_of(portal: Portal, kind: int, number: int) -> Row | None:
    """The order of an item, None when it has neither payments nor deliveries yet."""
    return portal["orders"].first(OWNER_TYPE_ID=kind, OWNER_ID=number)


def _order(portal: Portal, kind: int, item: Row) -> Row:
    """The order of the item, a new one at need. The number /1 of deliveries is that of the hidden system one."""
    known = order_of(portal, kind, item["ID"])
    if known is not None:
        return known
    row = {
        "OWNER_TYPE_ID": kind, "OWNER_ID": item["ID"], "CURRENCY": item["CURRENCY_ID"], "PAYMENTS": 0, "SHIPMENTS": 1,
    }  # fmt: skip
    return portal["orders"].add(row)


def _saved(portal: Portal, word: str, verb: str, row: Row, actor: Actor) -> None:
    portal.effect(verb, word, row["ID"], actor.user_id, actor.via, order_id=row["ORDER_ID"])
    event = f"ON{word.upper()}DELETED" if verb == "delete" else f"ON{word.upper()}ENTITYSAVED"
    delivery.emit(portal, event, {"FIELDS": {"ID": row["ID"]}}, actor, entity=f"{word} {row['ID']}")


# --- payments ---------------------------------------------------------------------------------------------------------


def add_payment(portal: Portal, kind: int, item: Row, actor: Actor) -> Row:
    """A new payment of the item: of nothing yet, not paid."""
    order = _order(portal, kind, item)
    order["PAYMENTS"] += 1
    system = next(iter(portal["pay_systems"]), {"ID": 0, "NAME": ""})
    row: Row = {
        "ORDER_ID": order["ID"], "ACCOUNT_NUMBER": f"{order['ID']}/{order['PAYMENTS']}", "PAID": "N",
        "DATE_PAID": None, "EMP_PAID_ID": None, "PAY_SYSTEM_ID": system["ID"], "PAY_SYSTEM_NAME": system["NAME"],
        "SUM": 0.0, "CURRENCY": order["CURRENCY"], "DATE_BILL": portal.now(), "RESPONSIBLE_ID": item["ASSIGNED_BY_ID"],
    }  # fmt: skip
    portal["payments"].add(row)
    _saved(portal, "payment", "create", row, actor)
    return row


def change_payment(portal: Portal, row: Row, values: Row, actor: Actor) -> None:
    """Change a payment; PAID sets the date and the person with it. Equal values change nothing."""
    new = {name: value for name, value in values.items() if row[name] != value}
    if not new:
        return
    if "PAID" in new:
        paid = new["PAID"] == "Y"
        new |= {"DATE_PAID": portal.now() if paid else None, "EMP_PAID_ID": actor.user_id if paid else None}
    row.update(new)
    _saved(portal, "payment", "update", row, actor)
    if new.get("PAID") == "N":
        # What it pays for may have changed while it was paid and stood still.
        _refresh(portal, row, actor)


def delete_payment(portal: Portal, row: Row, actor: Actor) -> None:
    """Remove a payment with what it pays for; that can be paid by another one again."""
    for one in list(items_of(portal, row)):
        portal["payment_items"].remove(one["ID"])
    portal["payments"].remove(row["ID"])
    _saved(portal, "payment", "delete", row, actor)


# --- what a payment is for --------------------------------------------------------------------------------------------


def items_of(portal: Portal, payment: Row, kind: str = "") -> list[Row]:
    """What the payment is for: product rows and deliveries, or those of one kind."""
    rows = portal["payment_items"].part("PAYMENT_ID", payment["ID"])
    return [row for row in rows if not kind or row["KIND"] == kind]


def available(portal: Portal, row: Row, *, beside: Row | None = None) -> float:
    """How much of a product row no payment is for yet, `beside` (a payment's item) not counted."""
    taken = sum(
        one["QUANTITY"]
        for one in portal["payment_items"].where(KIND=PRODUCT, ENTITY_ID=row["ID"])
        if beside is None or one["ID"] != beside["ID"]
    )
    left = row["QUANTITY"] - taken
    return round(left, 9) if left > _SLACK else 0.0


def add_item(portal: Portal, payment: Row, kind: str, number: int, quantity: float, actor: Actor) -> Row:
    """The payment is for this too; of what it is for already the quantity grows, a delivery stays one.

    [verify] the pages do not say what adding the same row or delivery a second time does.
    """
    row = next((one for one in items_of(portal, payment, kind) if one["ENTITY_ID"] == number), None)
    if row is None:
        row = portal["payment_items"].add(
            {"PAYMENT_ID": payment["ID"], "KIND": kind, "ENTITY_ID": number, "QUANTITY": quantity, "PRICE": 0.0}
        )
    elif kind == PRODUCT:
        row["QUANTITY"] += quantity
    _recount(portal, payment, actor)
    return row


def change_item(portal: Portal, payment: Row, row: Row, values: Row, actor: Actor) -> None:
    """Another quantity or another delivery; the payment's sum follows."""
    row.update(values)
    _recount(portal, payment, actor)


def remove_item(portal: Portal, payment: Row, row: Row, actor: Actor) -> None:
    """The payment is not for this any more."""
    portal["payment_items"].remove(row["ID"])
    _recount(portal, payment, actor)


def _recount(portal: Portal, payment: Row, actor: Actor) -> None:
    total = 0.0
    for one in items_of(portal, payment):
        product = one["KIND"] == PRODUCT
        source = portal["product_rows" if product else "shipments"].get(one["ENTITY_ID"])
        if source is not None:
            one["PRICE"] = source["PRICE" if product else "PRICE_DELIVERY"]
        total += one["PRICE"] * one["QUANTITY"]
    payment["SUM"] = round(total, 2)
    _saved(portal, "payment", "update", payment, actor)


def _refresh(portal: Portal, payment: Row, actor: Actor) -> None:
    """An open payment follows its rows and deliveries: their prices, and that some are gone. A paid one is history."""
    if payment["PAID"] == "Y":
        return
    changed = False
    for one in items_of(portal, payment):
        product = one["KIND"] == PRODUCT
        source = portal["product_rows" if product else "shipments"].get(one["ENTITY_ID"])
        if source is None:
            portal["payment_items"].remove(one["ID"])
            changed = True
        else:
            changed |= one["PRICE"] != source["PRICE" if product else "PRICE_DELIVERY"]
    if changed:
        _recount(portal, payment, actor)


def rows_changed(portal: Portal, kind: int, number: int, actor: Actor) -> None:
    """The product rows of an item are not what they were."""
    order = order_of(portal, kind, number)
    if order is not None:
        for payment in list(portal["payments"].part("ORDER_ID", order["ID"])):
            _refresh(portal, payment, actor)


def owner_of(portal: Portal, order_id: int) -> tuple[int, Row]:
    """(type, item) to which an order belongs; an order falls with its item."""
    order = portal["orders"].rows[order_id]
    return order["OWNER_TYPE_ID"], portal[order["OWNER_TYPE_ID"]].rows[order["OWNER_ID"]]


def owner_deleted(portal: Portal, kind: int, number: int, actor: Actor) -> None:
    """With the item its payments, deliveries and order are gone, paid ones too."""
    order = order_of(portal, kind, number)
    if order is None:
        return
    for payment in list(portal["payments"].part("ORDER_ID", order["ID"])):
        delete_payment(portal, payment, actor)
    for shipment in list(portal["shipments"].part("ORDER_ID", order["ID"])):
        portal["shipments"].remove(shipment["ID"])
        _saved(portal, "shipment", "delete", shipment, actor)
    portal["orders"].remove(order["ID"])


def own_row(portal: Portal, payment: Row, number: int) -> Row | None:
    """The product row of that id, when it stands in the item that the payment belongs to."""
    kind, item = owner_of(portal, payment["ORDER_ID"])
    row = portal["product_rows"].get(number)
    return row if row is not None and (row["OWNER_TYPE"], row["OWNER_ID"]) == (SHORT[kind], item["ID"]) else None


# --- deliveries -------------------------------------------------------------------------------------------------------


def add_shipment(
    portal: Portal, kind: int, item: Row, service: tuple[int, str], price: float, actor: Actor, *, silent: bool = False
) -> Row:
    """A delivery by a service (id, name), as people make it in the card. silent: no event (the seed)."""
    order = _order(portal, kind, item)
    order["SHIPMENTS"] += 1
    row: Row = {
        "ORDER_ID": order["ID"], "ACCOUNT_NUMBER": f"{order['ID']}/{order['SHIPMENTS']}", "DEDUCTED": "N",
        "DATE_DEDUCTED": None, "EMP_DEDUCTED_ID": None, "DELIVERY_ID": service[0], "DELIVERY_NAME": service[1],
        "PRICE_DELIVERY": price, "CURRENCY": order["CURRENCY"], "DATE_INSERT": portal.now(),
        "RESPONSIBLE_ID": item["ASSIGNED_BY_ID"],
    }  # fmt: skip
    portal["shipments"].add(row)
    if not silent:
        _saved(portal, "shipment", "create", row, actor)
    return row


def change_shipment(portal: Portal, row: Row, values: Row, actor: Actor) -> None:
    """Another price, or shipped and not any more; open payments of it follow."""
    new = {name: value for name, value in values.items() if row[name] != value}
    if not new:
        return
    if "DEDUCTED" in new:
        gone = new["DEDUCTED"] == "Y"
        new |= {"DATE_DEDUCTED": portal.now(), "EMP_DEDUCTED_ID": actor.user_id if gone else None}
    row.update(new)
    _saved(portal, "shipment", "update", row, actor)
    rows_changed(portal, *_place(portal, row), actor)


def delete_shipment(portal: Portal, row: Row, actor: Actor) -> None:
    """Remove a delivery; open payments are not for it any more."""
    place = _place(portal, row)
    portal["shipments"].remove(row["ID"])
    _saved(portal, "shipment", "delete", row, actor)
    rows_changed(portal, *place, actor)


def _place(portal: Portal, row: Row) -> tuple[int, int]:
    kind, item = owner_of(portal, row["ORDER_ID"])
    return kind, item["ID"]
