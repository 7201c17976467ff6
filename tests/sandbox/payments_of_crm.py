"""Records and places for the examples of crm.item.payment.* and crm.item.delivery.*, a part of example_crm.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# The company's deal that people have given two deliveries; REST itself makes none.
DELIVERED = 2
# A system of payment that is not the usual one.
SYSTEM = 7


def make(world: Any, name: str) -> Any:
    """A record of that name, None for a name of another family."""
    do = world.do
    if name == "payment":
        return do("crm.item.payment.add", entityTypeId=2, entityId=world.paid_deal)
    if name == "paid":
        number = world.new("payment")
        do("crm.item.payment.pay", id=number)
        return number
    if name == "paid_deal":
        return world.new("deal")
    if name == "stock":
        fields = {"ownerType": "D", "ownerId": world.paid_deal, "productName": "x", "price": 100, "quantity": 10}
        return do("crm.item.productrow.add", fields=fields)["productRow"]["id"]
    if name == "payment_product":
        return do("crm.item.payment.product.add", paymentId=world.new("payment"), rowId=world.new("stock"), quantity=1)
    if name == "billed":
        payment = world.new("payment")
        return payment, [
            do("crm.item.payment.product.add", paymentId=payment, rowId=world.new("stock"), quantity=quantity)
            for quantity in (2, 3)
        ]
    if name == "deliveries":
        return [row["id"] for row in do("crm.item.delivery.list", entityTypeId=2, entityId=DELIVERED)]
    if name == "delivery_payment":
        return do("crm.item.payment.add", entityTypeId=2, entityId=DELIVERED)
    if name == "payment_delivery":
        payment = world.new("delivery_payment")
        return do("crm.item.payment.delivery.add", paymentId=payment, deliveryId=world.deliveries[0])
    if name == "delivered":
        payment = world.new("delivery_payment")
        return payment, [do("crm.item.payment.delivery.add", paymentId=payment, deliveryId=world.deliveries[0])]
    return None


def _fresh(name: str) -> Callable[[Any], Any]:
    return lambda world: world.new(name)


def _part(name: str, index: int) -> Callable[[Any], Any]:
    return lambda world: getattr(world, name)[index]


RULES: list[tuple[str, dict[str, Callable[[Any], Any]]]] = [
    (r"crm\.item\.payment\.(pay|update|delete)", {"id": _fresh("payment")}),
    (r"crm\.item\.payment\.(get|unpay)", {"id": _fresh("paid")}),
    (r"crm\.item\.payment\.update", {"fields.paySystemId": lambda world: SYSTEM}),
    (r"crm\.item\.payment\.add", {"entityId": lambda world: world.paid_deal}),
    (r"crm\.item\.payment\.list", {"entityId": lambda world: world.paid_deal,
        "filter.@id": lambda world: [world.new("payment"), world.new("payment")]}),
    (r"crm\.item\.payment\.product\.add", {"paymentId": _fresh("payment"), "rowId": _fresh("stock")}),
    (r"crm\.item\.payment\.product\.list", {"paymentId": _part("billed", 0), "filter.@id": _part("billed", 1)}),
    (r"crm\.item\.payment\.product\.(setQuantity|delete)", {"id": _fresh("payment_product")}),
    (r"crm\.item\.payment\.delivery\.add", {"paymentId": _fresh("delivery_payment"),
        "deliveryId": _part("deliveries", 0)}),
    (r"crm\.item\.payment\.delivery\.list", {"paymentId": _part("delivered", 0), "filter.@id": _part("delivered", 1)}),
    (r"crm\.item\.payment\.delivery\.(setDelivery|delete)", {"id": _fresh("payment_delivery")}),
    (r"crm\.item\.payment\.delivery\.setDelivery", {"deliveryId": _part("deliveries", 1)}),
    (r"crm\.item\.delivery\.get", {"id": _part("deliveries", 0)}),
    (r"crm\.item\.delivery\.list", {"entityId": lambda world: DELIVERED,
        "filter.@id": lambda world: world.deliveries}),
]  # fmt: skip
