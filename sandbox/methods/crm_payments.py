"""Payments and deliveries of CRM items: crm.item.payment.*, crm.item.delivery.* (api-reference/crm/universal).

Their state is in sandbox/orders.py. A payment is changed by whoever may change its deal; what it is for stands still
while it is paid. Deliveries are made by people only (`POST deliveries` of the controls).
"""

from __future__ import annotations

import math

from sandbox import crm, orders
from sandbox.crm_kinds import exists, item_of
from sandbox.filters import Column, Columns, select_rows, split_key
from sandbox.method import Call, RestError, Row, as_int, method, plain
from sandbox.methods.task_records import mismatch, structure, whole
from sandbox.portal import Table

_DENIED = "Insufficient permissions"
_NO_ITEM = "Payable item has not been found"
# name kind [default of what this portal does not keep], as sale/data-types.md lists the fields of both
_PAYMENT_FIELDS = """
id int, orderId int, accountNumber text, paid text, datePaid time, empPaidId int, paySystemId int, sum float,
currency text, paySystemName text, dateBill time, responsibleId int, paySystemXmlId text, paySystemIsCash text,
psStatus text, psStatusCode text, psStatusDescription text, psStatusMessage text, psSum float, psCurrency text,
psResponseDate time, payVoucherNum text, payVoucherDate time, datePayBefore time, xmlId text, companyId int,
payReturnNum text, priceCod float, payReturnDate time, empReturnId int, payReturnComment text, empResponsibleId int,
dateResponsibleId time, isReturn text N, comments text, updated1c text N, id1c text, version1c text,
externalPayment text N, psInvoiceId text, marked text N, reasonMarked text, dateMarked time, empMarkedId int
"""
_SHIPMENT_FIELDS = """
id int, dateInsert time, orderId int, accountNumber text, allowDelivery text N, dateAllowDelivery time,
empAllowDeliveryId int, deducted text, dateDeducted time, empDeductedId int, reasonUndoDeducted text, system text N,
deliveryId int, deliveryName text, deliveryXmlId text, statusId text DN, statusXmlId text, canceled text N,
dateCanceled time, empCanceledId int, marked text N, dateMarked time, reasonMarked text, empMarkedId int,
deliveryDocDate time, deliveryDocNum text, trackingNumber text, trackingDescription text, trackingLastCheck time,
trackingStatus text, currency text, customPriceDelivery text N, basePriceDelivery float, priceDelivery float,
discountPrice float, comments text, companyId int, responsibleId int, dateResponsibleId time, empResponsibleId int,
xmlId text, externalDelivery text N, id1c text, updated1c text N, version1c text
"""


def _columns(listed: str) -> dict[str, Column]:
    made = {}
    for one in listed.replace("\n", " ").split(","):
        name, kind, *usual = one.split()
        key = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name)
        value = usual[0] if usual else None
        made[name] = Column(name, kind, lambda row, key=key, value=value: row.get(key, value))  # type: ignore[misc]
    return made


_PAYMENTS = _columns(_PAYMENT_FIELDS)
_SHIPMENTS = _columns(_SHIPMENT_FIELDS)
_ITEMS = _columns("id int, quantity float")


def _refused(text: str) -> RestError:
    return RestError(0, text, 400)


def _quantity(call: Call) -> float:
    given = call.get("quantity")
    try:
        number = float(given) if isinstance(given, (int, float, str)) and not isinstance(given, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise mismatch("quantity", given, "float")
    if number <= 0:
        raise _refused("Product quantity cannot be less than or equal to 0")
    return number


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _selected(call: Call, table: Table, columns: Columns) -> list[Row]:
    """Rows by `filter` and `order`, all of them.

    [verify] the pages know no `start` and their answers no `next`; comments of their examples speak of pages of 50.
    """

    def refuse(key: str) -> None:
        # [verify] the pages name no answer to a field that is not there
        raise _refused(f"Unknown field definition `{split_key(key)[1]}`")

    order = structure(call, "order") or {"id": "asc"}
    for name, direction in order.items():
        if name not in columns:
            refuse(name)
        if plain(direction).lower() not in ("asc", "desc"):
            raise _refused(f"Invalid order of the field `{name}`")
    return select_rows(
        table, filter=structure(call, "filter"), order=order, columns=columns, zone=call.portal.zone(), key="id",
        unknown=refuse, unknown_order=refuse, limit=len(table) + 1,
    )[0]  # fmt: skip


def _place(call: Call) -> tuple[int, int]:
    """(type, id) of the item whose documents are listed; it may be absent, a foreign one is refused."""
    number, kind = whole(call, "entityId"), whole(call, "entityTypeId")
    item = item_of(call.portal, kind, number)
    if item is not None and not crm.can_read(call.user, kind, item):
        raise _refused(_DENIED)
    return kind, number


def _documents(call: Call, table: str, columns: Columns) -> list[Row]:
    order = orders.order_of(call.portal, *_place(call))
    part = call.portal[table].part("ORDER_ID", order["ID"]) if order is not None else Table()
    return _selected(call, part, columns)


# --- payments ---------------------------------------------------------------------------------------------------------


def _shown(call: Call, row: Row) -> Row:
    return {
        "id": row["ID"], "accountNumber": row["ACCOUNT_NUMBER"], "paid": row["PAID"],
        "datePaid": call.portal.iso(row["DATE_PAID"]), "empPaidId": row["EMP_PAID_ID"],
        "paySystemId": row["PAY_SYSTEM_ID"], "sum": _number(row["SUM"]), "currency": row["CURRENCY"],
        "paySystemName": row["PAY_SYSTEM_NAME"],
    }  # fmt: skip


def _own(call: Call) -> Row:
    """The payment that the call may change; reading one needs that right too (crm-item-payment-get.md)."""
    row = call.portal["payments"].get(whole(call, "id"))
    if row is None or not _may(call, row, change=True):
        raise _refused(_DENIED)
    return row


def _may(call: Call, row: Row, *, change: bool) -> bool:
    kind, item = orders.owner_of(call.portal, row["ORDER_ID"])
    return (crm.can_change if change else crm.can_read)(call.user, kind, item)


@method("crm.item.payment.add", scope="crm", params="entityId! entityTypeId!", style="controller", writes=True)
def payment_add(call: Call) -> int:
    number, kind = whole(call, "entityId"), whole(call, "entityTypeId")
    if not exists(call.portal, kind):
        raise _refused("Invalid CRM object type")
    if kind not in orders.PAYABLE:
        raise _refused("Payment creation is not available for this entity")
    item = call.portal[kind].get(number)
    if item is None:
        raise _refused(f"Entity with identifier №{number} does not exist")
    if not crm.can_change(call.user, kind, item):
        # [verify] the page's table says "access denied"; the words are those that the other pages print for it
        raise _refused(_DENIED)
    return int(orders.add_payment(call.portal, kind, item, call.actor)["ID"])


@method("crm.item.payment.get", scope="crm", params="id!", style="controller")
def payment_get(call: Call) -> Row:
    return _shown(call, _own(call))


@method("crm.item.payment.list", scope="crm", params="entityId! entityTypeId! filter order", style="controller")
def payment_list(call: Call) -> list[Row]:
    return [_shown(call, row) for row in _documents(call, "payments", _PAYMENTS)]


@method("crm.item.payment.update", scope="crm", params="id! fields!", style="controller", writes=True)
def payment_update(call: Call) -> bool:
    whole(call, "id")
    fields = structure(call, "fields")
    row = _own(call)
    values: Row = {}
    if "paySystemId" in fields:
        system = call.portal["pay_systems"].get(as_int(fields["paySystemId"]))
        if system is None:
            raise _refused("Payment system not found")
        values |= {"PAY_SYSTEM_ID": system["ID"], "PAY_SYSTEM_NAME": system["NAME"]}
    if "paid" in fields:
        if fields["paid"] not in ("Y", "N"):
            # [verify] the page knows Y and N and names no answer to another value
            raise _refused("Wrong value of the field `paid`")
        values["PAID"] = fields["paid"]
    if not values:
        raise _refused("Empty fields")
    orders.change_payment(call.portal, row, values, call.actor)
    return True


@method("crm.item.payment.pay", scope="crm", params="id!", style="controller", writes=True)
def payment_pay(call: Call) -> bool:
    orders.change_payment(call.portal, _own(call), {"PAID": "Y"}, call.actor)
    return True


@method("crm.item.payment.unpay", scope="crm", params="id!", style="controller", writes=True)
def payment_unpay(call: Call) -> bool:
    orders.change_payment(call.portal, _own(call), {"PAID": "N"}, call.actor)
    return True


@method("crm.item.payment.delete", scope="crm", params="id!", style="controller", writes=True)
def payment_delete(call: Call) -> bool:
    row = _own(call)
    if row["PAID"] == "Y":
        # [verify] the page says "other errors" only; a portal deletes no payment that is paid
        raise _refused("The payment is paid and cannot be deleted")
    orders.delete_payment(call.portal, row, call.actor)
    return True


# --- what a payment is for --------------------------------------------------------------------------------------------


def _payment(call: Call, *, change: bool) -> Row:
    row = call.portal["payments"].get(whole(call, "paymentId"))
    if row is None:
        raise _refused("Payment has not been found")
    _check(call, row, change=change)
    return row


def _check(call: Call, row: Row, *, change: bool) -> None:
    if not _may(call, row, change=change) or (change and row["PAID"] == "Y"):
        raise _refused("Access denied")


def _item(call: Call, kind: str) -> tuple[Row, Row]:
    """(what a payment is for, that payment), to change it."""
    item = call.portal["payment_items"].get(whole(call, "id"))
    if item is None or item["KIND"] != kind:
        raise _refused(_NO_ITEM)
    row = call.portal["payments"].rows[item["PAYMENT_ID"]]
    _check(call, row, change=True)
    return item, row


def _listed(call: Call, kind: str, name: str) -> list[Row]:
    payment = _payment(call, change=False)
    part = Table()
    for row in orders.items_of(call.portal, payment, kind):
        part.add(dict(row))
    return [
        {
            "id": row["ID"], "paymentId": row["PAYMENT_ID"], "quantity": _number(row["QUANTITY"]),
            name: row["ENTITY_ID"],
        }
        for row in _selected(call, part, _ITEMS)
    ]  # fmt: skip


def _remove(call: Call, kind: str) -> bool:
    item, payment = _item(call, kind)
    orders.remove_item(call.portal, payment, item, call.actor)
    return True


_SHORT = "Insufficient product quantity to add to payment"


@method(
    "crm.item.payment.product.add", scope="crm", params="paymentId! rowId! quantity!", style="controller", writes=True
)
def product_add(call: Call) -> int:
    number, quantity = whole(call, "rowId"), _quantity(call)
    payment = _payment(call, change=True)
    row = orders.own_row(call.portal, payment, number)
    if row is None:
        raise _refused("Product item not found")
    if orders.available(call.portal, row) < quantity:
        raise _refused(_SHORT)
    return int(orders.add_item(call.portal, payment, orders.PRODUCT, number, quantity, call.actor)["ID"])


# The pages mark `filter` as required, an empty one counts. [verify]
@method("crm.item.payment.product.list", scope="crm", params="paymentId! filter! order", style="controller")
def product_list(call: Call) -> list[Row]:
    return _listed(call, orders.PRODUCT, "rowId")


@method("crm.item.payment.product.setQuantity", scope="crm", params="id! quantity!", style="controller", writes=True)
def product_quantity(call: Call) -> bool:
    quantity = _quantity(call)
    item, payment = _item(call, orders.PRODUCT)
    row = orders.own_row(call.portal, payment, item["ENTITY_ID"])
    if row is None or orders.available(call.portal, row, beside=item) < quantity:
        raise _refused(_SHORT)
    orders.change_item(call.portal, payment, item, {"QUANTITY": quantity}, call.actor)
    return True


@method("crm.item.payment.product.delete", scope="crm", params="id!", style="controller", writes=True)
def product_delete(call: Call) -> bool:
    return _remove(call, orders.PRODUCT)


def _shipment(call: Call, payment: Row) -> Row:
    """The delivery of `deliveryId`, when it is one of the payment's order."""
    row = call.portal["shipments"].get(whole(call, "deliveryId"))
    if row is None or row["ORDER_ID"] != payment["ORDER_ID"]:
        raise _refused("Delivery item not found")
    return row


@method("crm.item.payment.delivery.add", scope="crm", params="paymentId! deliveryId!", style="controller", writes=True)
def delivery_add(call: Call) -> int:
    payment = _payment(call, change=True)
    number = _shipment(call, payment)["ID"]
    return int(orders.add_item(call.portal, payment, orders.DELIVERY, number, 1.0, call.actor)["ID"])


@method("crm.item.payment.delivery.list", scope="crm", params="paymentId! filter! order", style="controller")
def delivery_list(call: Call) -> list[Row]:
    return _listed(call, orders.DELIVERY, "deliveryId")


@method("crm.item.payment.delivery.setDelivery", scope="crm", params="id! deliveryId!", style="controller", writes=True)
def delivery_set(call: Call) -> bool:
    item, payment = _item(call, orders.DELIVERY)
    number = _shipment(call, payment)["ID"]
    orders.change_item(call.portal, payment, item, {"ENTITY_ID": number}, call.actor)
    return True


@method("crm.item.payment.delivery.delete", scope="crm", params="id!", style="controller", writes=True)
def delivery_delete(call: Call) -> bool:
    return _remove(call, orders.DELIVERY)


# --- deliveries -------------------------------------------------------------------------------------------------------


def _delivery(call: Call, row: Row) -> Row:
    return {
        "id": row["ID"], "accountNumber": row["ACCOUNT_NUMBER"], "deducted": row["DEDUCTED"],
        "dateDeducted": call.portal.iso(row["DATE_DEDUCTED"]), "deliveryId": row["DELIVERY_ID"],
        "priceDelivery": _number(row["PRICE_DELIVERY"]), "currency": row["CURRENCY"],
        "deliveryName": row["DELIVERY_NAME"],
    }  # fmt: skip


@method("crm.item.delivery.get", scope="crm", params="id!", style="controller")
def shipment_get(call: Call) -> Row:
    row = call.portal["shipments"].get(whole(call, "id"))
    if row is None or not _may(call, row, change=False):
        raise _refused(_DENIED)
    return _delivery(call, row)


@method("crm.item.delivery.list", scope="crm", params="entityId! entityTypeId! filter order", style="controller")
def shipment_list(call: Call) -> list[Row]:
    return [_delivery(call, row) for row in _documents(call, "shipments", _SHIPMENTS)]
