"""Product rows of items: crm.item.productrow.* and crm.deal.productrows.* with its twins.

A row's price is the final price of one piece: with its discount, with its tax. There is no catalogue behind it: a
row keeps the product id it was given (api-reference/crm/universal/product-rows, deals/crm-deal-productrows-set.md).
"""

from __future__ import annotations

from typing import Any

from sandbox import crm, crm_fields, orders
from sandbox.crm_kinds import DEAL, FIRST_DYNAMIC, LEAD, QUOTE, SHORT, WORD, exists, item_of, kind_of_short
from sandbox.filters import Column, page_of, select_rows, split_key
from sandbox.method import Call, Page, RestError, Row, as_int, as_map, method, plain, yes

_MEASURES = {796: "шт", 166: "кг", 163: "г", 112: "л", 6: "м"}
_NUMBERS = ("PRICE", "PRICE_EXCLUSIVE", "PRICE_NETTO", "PRICE_BRUTTO", "QUANTITY", "DISCOUNT_RATE", "DISCOUNT_SUM")
_NAMES = {
    "id": "ID", "ownerId": "OWNER_ID", "ownerType": "OWNER_TYPE", "productId": "PRODUCT_ID",
    "productName": "PRODUCT_NAME", "price": "PRICE", "priceAccount": "PRICE_ACCOUNT",
    "priceExclusive": "PRICE_EXCLUSIVE", "priceNetto": "PRICE_NETTO", "priceBrutto": "PRICE_BRUTTO",
    "quantity": "QUANTITY", "discountTypeId": "DISCOUNT_TYPE_ID", "discountRate": "DISCOUNT_RATE",
    "discountSum": "DISCOUNT_SUM", "taxRate": "TAX_RATE", "taxIncluded": "TAX_INCLUDED", "customized": "CUSTOMIZED",
    "measureCode": "MEASURE_CODE", "measureName": "MEASURE_NAME", "sort": "SORT", "xmlId": "XML_ID", "type": "TYPE",
    "storeId": "STORE_ID",
}  # fmt: skip
_GIVEN = {
    "PRODUCT_ID", "PRODUCT_NAME", "PRICE", "QUANTITY", "DISCOUNT_TYPE_ID", "DISCOUNT_RATE", "DISCOUNT_SUM", "TAX_RATE",
    "TAX_INCLUDED", "MEASURE_CODE", "MEASURE_NAME", "SORT", "PRODUCT_DESCRIPTION", "CUSTOMIZED",
}  # fmt: skip
_COLUMNS = {
    name: Column(key, "text" if key in ("OWNER_TYPE", "PRODUCT_NAME", "MEASURE_NAME", "XML_ID") else "float"
        if key in (*_NUMBERS, "TAX_RATE", "PRICE_ACCOUNT") else "flag" if key in ("TAX_INCLUDED", "CUSTOMIZED")
        else "int")
    for name, key in _NAMES.items()
}  # fmt: skip
_OWNERS = (LEAD, DEAL, QUOTE)


def _amount(value: Any, default: float = 0.0) -> float:
    try:
        return float(plain(value).replace(",", ".")) if plain(value) else default
    except ValueError:
        return default


def _row(given: Row, known: Row | None = None) -> Row:
    """A product row out of upper-case values: what was not given is worked out of the rest."""
    row: Row = dict(known or {
        "PRODUCT_ID": 0, "PRODUCT_NAME": "", "PRODUCT_DESCRIPTION": None, "PRICE": 0.0, "QUANTITY": 1.0,
        "DISCOUNT_TYPE_ID": 2, "DISCOUNT_RATE": 0.0, "DISCOUNT_SUM": 0.0, "TAX_RATE": None, "TAX_INCLUDED": "N",
        "CUSTOMIZED": "Y", "MEASURE_CODE": 796, "MEASURE_NAME": _MEASURES[796], "SORT": 0, "XML_ID": "", "TYPE": 1,
        "STORE_ID": None,
    })  # fmt: skip
    for name in ("PRODUCT_ID", "DISCOUNT_TYPE_ID", "MEASURE_CODE", "SORT"):
        number = as_int(given.get(name))
        if number is not None:
            row[name] = number
    for name in ("PRICE", "QUANTITY", "DISCOUNT_RATE", "DISCOUNT_SUM"):
        if given.get(name) is not None:
            row[name] = _amount(given[name])
    for name in ("PRODUCT_NAME", "PRODUCT_DESCRIPTION"):
        if given.get(name) is not None:
            row[name] = plain(given[name])
    if "TAX_RATE" in given:
        row["TAX_RATE"] = _amount(given["TAX_RATE"]) if plain(given["TAX_RATE"]) else None
    if "TAX_INCLUDED" in given:
        row["TAX_INCLUDED"] = "Y" if yes(given["TAX_INCLUDED"]) else "N"
    if "MEASURE_CODE" in given:
        row["MEASURE_NAME"] = _MEASURES.get(row["MEASURE_CODE"], row["MEASURE_NAME"])
    if plain(given.get("MEASURE_NAME")):
        row["MEASURE_NAME"] = plain(given["MEASURE_NAME"])
    if not row["PRODUCT_NAME"] and row["PRODUCT_ID"]:
        row["PRODUCT_NAME"] = f"Товар {row['PRODUCT_ID']}"
    if row["DISCOUNT_TYPE_ID"] not in (1, 2):
        row["DISCOUNT_TYPE_ID"] = 2
    tax = 1 + (row["TAX_RATE"] or 0.0) / 100
    row["PRICE_EXCLUSIVE"] = round(row["PRICE"] / tax, 2)
    if row["DISCOUNT_TYPE_ID"] == 1:
        row["PRICE_NETTO"] = round(row["PRICE_EXCLUSIVE"] + row["DISCOUNT_SUM"], 2)
        whole = row["PRICE_NETTO"]
        row["DISCOUNT_RATE"] = round(row["DISCOUNT_SUM"] / whole * 100, 2) if whole else 0.0
    else:
        left = 1 - row["DISCOUNT_RATE"] / 100
        row["PRICE_NETTO"] = round(row["PRICE_EXCLUSIVE"] / left, 2) if left > 0 else row["PRICE_EXCLUSIVE"]
        row["DISCOUNT_SUM"] = round(row["PRICE_NETTO"] - row["PRICE_EXCLUSIVE"], 2)
    row["PRICE_BRUTTO"] = round(row["PRICE_NETTO"] * tax, 2)
    row["PRICE_ACCOUNT"] = row["PRICE"]
    return row


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _item(row: Row) -> Row:
    return {name: _whole(row.get(key)) for name, key in _NAMES.items() if name != "storeId" or row.get("STORE_ID")}


def _rows_of(call: Call, kind: int, number: int) -> list[Row]:
    found = call.portal["product_rows"].where(OWNER_TYPE=SHORT[kind], OWNER_ID=number)
    return sorted(found, key=lambda row: (row["SORT"], row["ID"]))


def _recount(call: Call, kind: int, item: Row) -> None:
    """The item's sum follows its rows, as long as nobody set it by hand; its open payments follow too."""
    orders.rows_changed(call.portal, kind, item["ID"], call.actor)
    if item.get("IS_MANUAL_OPPORTUNITY") == "Y" or "OPPORTUNITY" not in crm_fields.fields_of(call.portal, kind):
        return
    total = round(sum(row["PRICE"] * row["QUANTITY"] for row in _rows_of(call, kind, item["ID"])), 2)
    crm.update(call.portal, kind, item, {"OPPORTUNITY": total}, None, call.actor)


def _store(call: Call, kind: int, item: Row, rows: list[Row]) -> None:
    for known in _rows_of(call, kind, item["ID"]):
        call.portal["product_rows"].remove(known["ID"])
    for index, row in enumerate(rows):
        row["SORT"] = row["SORT"] or (index + 1) * 10
        call.portal["product_rows"].add({**row, "OWNER_TYPE": SHORT[kind], "OWNER_ID": item["ID"]})
    call.portal.effect("update", "product_rows", item["ID"], call.user_id, "rest", owner=crm.word(kind, item["ID"]))
    _recount(call, kind, item)


# --- crm.item.productrow ----------------------------------------------------------------------------------------------


def _owner(call: Call, short: Any, number: Any, *, change: bool) -> tuple[int, Row]:
    kind = kind_of_short(plain(short))
    if kind is None or (kind not in _OWNERS and kind < FIRST_DYNAMIC) or not exists(call.portal, kind):
        raise RestError("ENTITY_TYPE_NOT_SUPPORTED", "Работа с этим типом объектов не поддерживается", 400)
    item = call.portal[kind].get(as_int(number))
    if item is None:
        raise RestError("OWNER_NOT_FOUND", "Владелец не найден", 400)
    if not (crm.can_change if change else crm.can_read)(call.user, kind, item):
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)
    return kind, item


def _found(call: Call, *, change: bool) -> tuple[Row, int, Row]:
    row = call.portal["product_rows"].get(as_int(call.get("id")))
    if row is None:
        raise RestError("NOT_FOUND", "Элемент не найден", 400)
    return (row, *_owner(call, row["OWNER_TYPE"], row["OWNER_ID"], change=change))


def _upper(given: Any) -> Row:
    return {_NAMES[key]: value for key, value in as_map(given).items() if key in _NAMES}


def _fields(call: Call) -> Row:
    value = call.get("fields")
    if not isinstance(value, dict):
        raise RestError("100", "Invalid value to match with parameter {fields}. Should be value of type array.")
    for key in value:
        if key not in _NAMES:
            raise RestError("INVALID_ARG_VALUE", f"Field '{key}' is not allowed")
    return _upper(value)


@method("crm.item.productrow.add", scope="crm", params="fields!", style="controller", writes=True)
def row_add(call: Call) -> Row:
    fields = _fields(call)
    for name in ("ownerId", "ownerType"):
        if not plain(fields.get(_NAMES[name])):
            raise RestError("100", f"Could not find value for parameter {{{name}}}")
    kind, item = _owner(call, fields["OWNER_TYPE"], fields["OWNER_ID"], change=True)
    values = _row({key: value for key, value in fields.items() if key in _GIVEN})
    values["SORT"] = values["SORT"] or (len(_rows_of(call, kind, item["ID"])) + 1) * 10
    row = call.portal["product_rows"].add({**values, "OWNER_TYPE": SHORT[kind], "OWNER_ID": item["ID"]})
    _recount(call, kind, item)
    return {"productRow": _item(row)}


@method("crm.item.productrow.get", scope="crm", params="id!", style="controller")
def row_get(call: Call) -> Row:
    return {"productRow": _item(_found(call, change=False)[0])}


@method("crm.item.productrow.update", scope="crm", params="id! fields!", style="controller", writes=True)
def row_update(call: Call) -> Row:
    fields = _fields(call)
    row, kind, item = _found(call, change=True)
    for name in ("OWNER_ID", "OWNER_TYPE"):
        if name in fields:
            raise RestError("INVALID_ARG_VALUE", f"Field '{name}' is not available for update")
    row.update(_row({key: value for key, value in fields.items() if key in _GIVEN}, row))
    _recount(call, kind, item)
    return {"productRow": _item(row)}


@method("crm.item.productrow.delete", scope="crm", params="id!", style="controller", writes=True)
def row_delete(call: Call) -> None:
    row, kind, item = _found(call, change=True)
    call.portal["product_rows"].remove(row["ID"])
    _recount(call, kind, item)


@method(
    "crm.item.productrow.set", scope="crm", params="ownerId! ownerType! productRows!", style="controller", writes=True
)
def row_set(call: Call) -> Row:
    kind, item = _owner(call, call.get("ownerType"), call.get("ownerId"), change=True)
    given = call.get("productRows")
    if not isinstance(given, (dict, list)):
        raise RestError("100", "Invalid value to match with parameter {productRows}. Should be value of type array.")
    _store(call, kind, item, [_row(_upper(one)) for one in as_map(given).values()])
    return {"productRows": [_item(row) for row in _rows_of(call, kind, item["ID"])]}


@method("crm.item.productrow.list", scope="crm", params="filter! order start", style="controller")
def row_list(call: Call) -> Page:
    conditions = call.mapping("filter")
    values = {split_key(key)[1]: value for key, value in conditions.items()}
    for name in ("ownerType", "ownerId"):
        if not plain(values.get(name)):
            raise RestError("INVALID_ARG_VALUE", f"Filter field '{name}' is required")
    kind = kind_of_short(plain(values["ownerType"]))
    item = item_of(call.portal, kind, as_int(values["ownerId"]))
    if kind is None or item is None or not crm.can_read(call.user, kind, item):
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)

    def refuse(key: str) -> None:
        raise RestError("INVALID_ARG_VALUE", f"Invalid filter: field '{split_key(key)[1]}' is not allowed in filter")

    start = call.integer("start")
    order = {key: value for key, value in call.mapping("order").items() if key in _COLUMNS}
    rows, total, following = select_rows(
        call.portal["product_rows"], filter=conditions, order=order, columns=_COLUMNS, zone=call.portal.zone(),
        start=start, unknown=refuse, key="id",
    )  # fmt: skip
    return page_of({"productRows": [_item(row) for row in rows]}, total, following, start)


@method("crm.item.productrow.getAvailableForPayment", scope="crm", params="ownerId! ownerType!", style="controller")
def row_available(call: Call) -> Row:
    kind = kind_of_short(call.text("ownerType"))
    item = item_of(call.portal, kind, as_int(call.get("ownerId")))
    if kind is None or item is None or not crm.can_read(call.user, kind, item):
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)
    rows = [{**row, "QUANTITY": orders.available(call.portal, row)} for row in _rows_of(call, kind, item["ID"])]
    return {"productRows": [_item(row) for row in rows if row["QUANTITY"]]}


@method("crm.item.productrow.fields", scope="crm")
def row_fields(call: Call) -> Row:
    texts = ("PRODUCT_NAME", "OWNER_TYPE", "MEASURE_NAME")
    read_only = ("ID", "PRICE_EXCLUSIVE", "PRICE_NETTO", "PRICE_BRUTTO", "TYPE", "STORE_ID")
    made: Row = {}
    for name, key in _NAMES.items():
        if key in ("PRICE_ACCOUNT", "XML_ID"):
            continue
        made[name] = {
            "type": "string" if key in texts else "char" if key in ("TAX_INCLUDED", "CUSTOMIZED") else "double"
            if key in (*_NUMBERS, "TAX_RATE") else "integer",
            "isRequired": key in ("OWNER_ID", "OWNER_TYPE", "PRODUCT_ID"), "isReadOnly": key in read_only,
            "isImmutable": key in ("OWNER_ID", "OWNER_TYPE"), "isMultiple": False, "isDynamic": False, "title": key,
        }  # fmt: skip
    return {"fields": made}


# --- crm.deal.productrows and its twins -------------------------------------------------------------------------------


def _classic(row: Row) -> Row:
    made: Row = {
        "ID": str(row["ID"]), "OWNER_ID": str(row["OWNER_ID"]), "OWNER_TYPE": row["OWNER_TYPE"],
        "PRODUCT_ID": row["PRODUCT_ID"], "PRODUCT_NAME": row["PRODUCT_NAME"],
        "ORIGINAL_PRODUCT_NAME": row["PRODUCT_NAME"] if row["PRODUCT_ID"] else None,
        "PRODUCT_DESCRIPTION": row["PRODUCT_DESCRIPTION"],
    }  # fmt: skip
    made |= {name: _whole(row[name]) for name in ("PRICE", "PRICE_EXCLUSIVE", "PRICE_NETTO", "PRICE_BRUTTO")}
    made |= {
        "PRICE_ACCOUNT": f"{row['PRICE']:.2f}", "QUANTITY": _whole(row["QUANTITY"]),
        "DISCOUNT_TYPE_ID": row["DISCOUNT_TYPE_ID"], "DISCOUNT_RATE": _whole(row["DISCOUNT_RATE"]),
        "DISCOUNT_SUM": _whole(row["DISCOUNT_SUM"]), "TAX_RATE": _whole(row["TAX_RATE"]),
        "TAX_INCLUDED": row["TAX_INCLUDED"], "CUSTOMIZED": row["CUSTOMIZED"], "MEASURE_CODE": row["MEASURE_CODE"],
        "MEASURE_NAME": row["MEASURE_NAME"], "SORT": row["SORT"], "XML_ID": row["XML_ID"] or None, "TYPE": row["TYPE"],
        "STORE_ID": row["STORE_ID"], "RESERVE_ID": None, "DATE_RESERVE_END": None, "RESERVE_QUANTITY": None,
    }  # fmt: skip
    return made


def _discounts(given: Row) -> None:
    rate, amount = plain(given.get("DISCOUNT_RATE")), plain(given.get("DISCOUNT_SUM"))
    kind = as_int(given.get("DISCOUNT_TYPE_ID"))
    if kind == 1 and not amount:
        text = "Discount Sum (DISCOUNT_SUM) is required if Monetary Discount Type (DISCOUNT_TYPE_ID) is defined."
        raise RestError("ERROR_CORE", text, 400)
    if kind == 2 and not rate and not amount:
        text = "Discount Rate (DISCOUNT_RATE) is required if Percentage Discount Type (DISCOUNT_TYPE_ID) is defined."
        raise RestError("ERROR_CORE", text, 400)


def _serve(kind: int) -> None:
    prefix = f"crm.{WORD[kind].lower()}.productrows"

    def owner(call: Call, *, change: bool) -> Row:
        number = as_int(call.get("id"))
        if number is None or number <= 0:
            raise RestError("", "The parameter id is invalid or not defined.", 400)
        item = call.portal[kind].get(number)
        if item is None:
            raise RestError("", "Not found.", 400)
        if not (crm.can_change if change else crm.can_read)(call.user, kind, item):
            raise RestError("", "Access denied.", 400)
        return item

    @method(f"{prefix}.get", scope="crm", params="id")
    def get(call: Call) -> list[Row]:
        return [_classic(row) for row in _rows_of(call, kind, owner(call, change=False)["ID"])]

    @method(f"{prefix}.set", scope="crm", params="id rows", writes=True)
    def set_(call: Call) -> bool:
        item = owner(call, change=True)
        given = call.get("rows")
        if not isinstance(given, (dict, list)):
            raise RestError("", "The parameter rows must be array.", 400)
        rows = []
        for one in as_map(given).values():
            values = {key.upper(): value for key, value in as_map(one).items() if key.upper() in _GIVEN}
            _discounts(values)
            rows.append(_row(values))
        _store(call, kind, item, rows)
        return True


for _kind in _OWNERS:
    _serve(_kind)
