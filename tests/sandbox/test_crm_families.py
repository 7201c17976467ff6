"""CRM beside leads and deals: what one method stores, the others show; changes are told by events; rights hold."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.client import Sandbox
from tests.sandbox.conftest import Listener


class Rest:
    """The portal's REST for one person, through the portal's application."""

    def __init__(self, portal: Sandbox, user_id: int = 1) -> None:
        self.portal = portal
        self.token = portal.token_of(user_id)

    def answer(self, name: str, **params: Any) -> requests.Response:
        return self.portal.session.post(
            f"{self.portal.url}/rest/{name}", json={**params, "auth": self.token}, timeout=30
        )

    def __call__(self, name: str, **params: Any) -> Any:
        body = self.answer(name, **params).json()
        assert "error" not in body, (name, body)
        return body["result"]

    def refusal(self, name: str, **params: Any) -> tuple[Any, str]:
        body = self.answer(name, **params).json()
        assert "result" not in body, (name, body)
        return body["error"], body["error_description"]


@pytest.fixture
def rest(installed: Sandbox) -> Rest:
    return Rest(installed)


SWITCHES = ("Categories", "Stages", "BeginCloseDates", "Client", "LinkWithProducts", "Source", "Observers")


def make_type(rest: Rest, **more: Any) -> dict[str, Any]:
    fields = {"title": "Замеры", **{f"is{name}Enabled": "Y" for name in SWITCHES}, **more}
    found: dict[str, Any] = rest("crm.type.add", fields=fields)["type"]
    return found


def test_a_smart_process_lives_from_its_type_to_its_last_item(rest: Rest, listener: Listener) -> None:
    for event in ("ONCRMTYPEADD", "ONCRMDYNAMICITEMADD", "ONCRMDYNAMICITEMUPDATE", "ONCRMDYNAMICITEMDELETE"):
        rest("event.bind", event=event, handler=listener.url + "/e")
    made = make_type(rest, entityTypeId=1034)
    kind = made["entityTypeId"]
    rest("event.bind", event=f"ONCRMDYNAMICITEMUPDATE_{kind}", handler=listener.url + "/own")
    fields = {"title": "Кухня", "contactIds": [1], "opportunity": 100}
    first = rest("crm.item.add", entityTypeId=kind, fields=fields)["item"]
    category = first["categoryId"]
    assert first["stageId"] == f"DT{kind}_{category}:NEW"
    moved = rest(
        "crm.item.update", entityTypeId=kind, id=first["id"], fields={"stageId": f"DT{kind}_{category}:SUCCESS"}
    )["item"]
    assert moved["previousStageId"] == f"DT{kind}_{category}:NEW"
    history = rest("crm.stagehistory.list", entityTypeId=kind, filter={"OWNER_ID": first["id"]})["items"]
    assert [(row["TYPE_ID"], row["STAGE_SEMANTIC_ID"]) for row in history] == [(1, "P"), (3, "S")]
    assert rest.refusal("crm.type.delete", id=made["id"])[0] == "BX_ERROR"
    rest("crm.item.delete", entityTypeId=kind, id=first["id"])
    rest("crm.type.delete", id=made["id"])
    assert rest.refusal("crm.item.list", entityTypeId=kind)[0] == "NOT_FOUND"
    own = listener.wait(lambda form: form.get("event") == f"ONCRMDYNAMICITEMUPDATE_{kind}")[0]
    assert (own["data[FIELDS][ID]"], own["data[FIELDS][ENTITY_TYPE_ID]"]) == (str(first["id"]), str(kind))
    for event in ("ONCRMTYPEADD", "ONCRMDYNAMICITEMADD", "ONCRMDYNAMICITEMDELETE"):
        listener.wait(lambda form, event=event: form.get("event") == event)


def test_a_switch_of_a_smart_process_takes_its_fields_away(rest: Rest) -> None:
    made = make_type(rest)
    kind = made["entityTypeId"]
    assert "opportunity" in rest("crm.item.fields", entityTypeId=kind)["fields"]
    rest("crm.type.update", id=made["id"], fields={"isLinkWithProductsEnabled": "N"})
    fields = rest("crm.item.fields", entityTypeId=kind)["fields"]
    assert "opportunity" not in fields
    assert "stageId" in fields


def test_a_related_smart_process_stands_in_the_deal_as_a_field(rest: Rest) -> None:
    kind = make_type(rest, relations={"child": [{"entityTypeId": 2}]})["entityTypeId"]
    item = rest("crm.item.add", entityTypeId=kind, fields={"title": "Объект"})["item"]
    deal = rest("crm.item.add", entityTypeId=2, fields={"title": "Сделка", f"parentId{kind}": item["id"]})["item"]
    assert rest("crm.deal.get", id=deal["id"])[f"PARENT_ID_{kind}"] == str(item["id"])


def test_comments_and_activities_stand_in_a_smart_process(rest: Rest) -> None:
    kind = make_type(rest)["entityTypeId"]
    item = rest("crm.item.add", entityTypeId=kind, fields={"title": "x"})["item"]["id"]
    fields = {"ENTITY_TYPE": f"dynamic_{kind}", "ENTITY_ID": item, "COMMENT": "Текст"}
    comment = rest("crm.timeline.comment.add", fields=fields)
    found = rest("crm.timeline.comment.list", filter={"ENTITY_TYPE": f"dynamic_{kind}", "ENTITY_ID": item})
    assert [row["ID"] for row in found] == [str(comment)]
    todo = rest("crm.activity.todo.add", ownerTypeId=kind, ownerId=item, deadline="2030-01-01T10:00:00+03:00")["id"]
    assert rest("crm.activity.binding.list", activityId=todo) == [{"entityTypeId": kind, "entityId": item}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # price, discount, tax -> exclusive, netto, brutto, discount sum: the documentation's own numbers
        ({"price": 80000, "discountRate": 20, "taxRate": 20}, (66666.67, 83333.34, 100000.01, 16666.67)),
        ({"price": 90000, "discountRate": 10, "taxRate": 10}, (81818.18, 90909.09, 100000, 9090.91)),
        ({"price": 79999}, (79999, 79999, 79999, 0)),
        ({"price": 900, "discountTypeId": 1, "discountSum": 100}, (900, 1000, 1000, 100)),
    ],
)
def test_a_product_row_is_worked_out_as_documented(
    rest: Rest, given: dict[str, Any], expected: tuple[float, ...]
) -> None:
    deal = rest("crm.deal.add", fields={"TITLE": "x"})
    fields = {"ownerType": "D", "ownerId": deal, "productName": "x", "quantity": 2, **given}
    row = rest("crm.item.productrow.add", fields=fields)["productRow"]
    assert (row["priceExclusive"], row["priceNetto"], row["priceBrutto"], row["discountSum"]) == expected
    assert rest("crm.deal.get", id=deal)["OPPORTUNITY"] == f"{given['price'] * 2:.2f}"


def test_a_sum_set_by_hand_does_not_follow_the_rows(rest: Rest) -> None:
    deal = rest("crm.deal.add", fields={"TITLE": "x", "OPPORTUNITY": 5, "IS_MANUAL_OPPORTUNITY": "Y"})
    rest("crm.deal.productrows.set", id=deal, rows=[{"PRODUCT_NAME": "x", "PRICE": 10}])
    assert rest("crm.deal.get", id=deal)["OPPORTUNITY"] == "5.00"
    text = rest.refusal("crm.deal.productrows.set", id=deal, rows=[{"PRICE": 1, "DISCOUNT_TYPE_ID": 1}])[1]
    assert text.startswith("Discount Sum (DISCOUNT_SUM) is required")


def test_a_contact_and_its_company_know_of_each_other(rest: Rest) -> None:
    company = rest("crm.company.add", fields={"TITLE": "ООО"})
    contact = rest("crm.contact.add", fields={"NAME": "Анна", "COMPANY_ID": company})
    assert [row["CONTACT_ID"] for row in rest("crm.company.contact.items.get", id=company)] == [contact]
    rest("crm.company.contact.items.delete", id=company)
    assert rest("crm.contact.company.items.get", id=contact) == []
    assert rest("crm.contact.get", id=contact)["COMPANY_ID"] == "0"


def test_a_lead_of_a_known_client_is_a_repeat_one(rest: Rest) -> None:
    def repeat(number: int) -> str:
        item = rest("crm.item.get", entityTypeId=1, id=number)["item"]
        assert item["isReturnCustomer"] == rest("crm.lead.get", id=number)["IS_RETURN_CUSTOMER"]
        return str(item["isReturnCustomer"])

    company = rest("crm.company.add", fields={"TITLE": "x"})
    for client in ({"CONTACT_ID": 1}, {"COMPANY_ID": company}, {}):
        assert repeat(rest("crm.lead.add", fields={"TITLE": "x", **client})) == ("Y" if client else "N"), client
    assert repeat(rest("crm.item.add", entityTypeId=1, fields={"contactIds": [1]})["item"]["id"]) == "Y"
    bound = rest("crm.lead.add", fields={"TITLE": "x", "IS_RETURN_CUSTOMER": "Y"})
    rest("crm.lead.contact.add", id=bound, fields={"CONTACT_ID": 1})
    assert (rest("crm.lead.get", id=bound)["CONTACT_ID"], repeat(bound)) == ("1", "N")
    rest("crm.lead.update", id=bound, fields={"CONTACT_ID": 1})
    assert repeat(bound) == "Y"
    rest("crm.lead.contact.items.delete", id=bound)
    assert repeat(bound) == "Y"
    rest("crm.item.update", entityTypeId=1, id=bound, fields={"contactIds": []})
    assert repeat(bound) == "N"


def test_the_primary_contact_is_the_deals_contact(rest: Rest) -> None:
    deal = rest("crm.deal.add", fields={"TITLE": "x", "CONTACT_IDS": [1, 2]})
    rest("crm.deal.contact.add", id=deal, fields={"CONTACT_ID": 3, "IS_PRIMARY": "Y", "SORT": 5})
    assert rest("crm.deal.get", id=deal)["CONTACT_ID"] == "3"
    rows = rest("crm.deal.contact.items.get", id=deal)
    assert [(row["CONTACT_ID"], row["IS_PRIMARY"]) for row in rows] == [(3, "Y"), (1, "N"), (2, "N")]
    rest("crm.deal.contact.delete", id=deal, fields={"CONTACT_ID": 3})
    assert rest.refusal("crm.deal.contact.delete", id=deal, fields={"CONTACT_ID": 3})[1].endswith("is not valid.")


def test_a_custom_field_of_a_smart_process_is_filled_and_read(rest: Rest, listener: Listener) -> None:
    rest("event.bind", event="ONCRMTYPEUSERFIELDADD", handler=listener.url + "/e")
    made = make_type(rest)
    entity, kind = f"CRM_{made['id']}", made["entityTypeId"]
    wrong = {"entityId": entity, "fieldName": "UF_CRM_X", "userTypeId": "string"}
    assert rest.refusal("userfieldconfig.add", moduleId="crm", field=wrong)[1] == "You cannot create custom fields"
    field = {"entityId": entity, "fieldName": f"UF_{entity}_AREA", "userTypeId": "double"}
    rest("userfieldconfig.add", moduleId="crm", field=field)
    name = f"ufCrm{made['id']}Area"
    item = rest("crm.item.add", entityTypeId=kind, fields={"title": "x", name: 12.5})["item"]
    assert item[name] == 12.5
    sent = listener.wait(lambda form: form.get("event") == "ONCRMTYPEUSERFIELDADD")[0]
    assert sent["data[FIELDS][ENTITY_ID]"] == entity


def test_requisites_addresses_and_details_fall_with_their_owner(rest: Rest, listener: Listener) -> None:
    rest("event.bind", event="ONCRMREQUISITEDELETE", handler=listener.url + "/e")
    company = rest("crm.company.add", fields={"TITLE": "ООО"})
    fields = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": company, "PRESET_ID": 1, "RQ_INN": "7707083893"}
    requisite = rest("crm.requisite.add", fields=fields)
    assert rest("crm.requisite.get", id=requisite)["NAME"] == "Организация"
    bank = rest("crm.requisite.bankdetail.add", fields={"ENTITY_ID": requisite, "RQ_BIK": "044525225"})
    address = {"TYPE_ID": 6, "ENTITY_TYPE_ID": 8, "ENTITY_ID": requisite}
    rest("crm.address.add", fields={**address, "CITY": "Москва"})
    assert rest.refusal("crm.address.add", fields=address)[1] == "TypeAddress exists"
    found = rest("crm.address.list", filter={"ANCHOR_TYPE_ID": 4, "ANCHOR_ID": company})
    assert [row["CITY"] for row in found] == ["Москва"]
    assert "already been created" in rest.refusal("crm.requisite.preset.delete", id=1)[1]
    rest("crm.requisite.delete", id=requisite)
    assert rest("crm.address.list", filter={"ENTITY_ID": requisite}) == []
    assert "is not found" in rest.refusal("crm.requisite.bankdetail.get", id=bank)[1]
    listener.wait(lambda form: form.get("event") == "ONCRMREQUISITEDELETE")


def test_duplicates_are_merged_or_conflict(rest: Rest) -> None:
    phone = [{"VALUE": "+79001112233", "VALUE_TYPE": "WORK"}]
    main = rest("crm.contact.add", fields={"NAME": "Анна"})
    other = rest("crm.contact.add", fields={"NAME": "Анна", "PHONE": phone, "POST": "Дизайнер"})
    stranger = rest("crm.contact.add", fields={"NAME": "Борис"})
    conflict = rest("crm.entity.mergeBatch", params={"entityTypeId": 3, "entityIds": [main, stranger]})
    assert conflict == {"STATUS": "CONFLICT", "ENTITY_IDS": []}
    assert rest("crm.entity.mergeBatch", params={"entityTypeId": 3, "entityIds": [main, other]}) == {
        "STATUS": "SUCCESS", "ENTITY_IDS": [other],
    }  # fmt: skip
    merged = rest("crm.contact.get", id=main)
    assert (merged["POST"], merged["PHONE"][0]["VALUE"]) == ("Дизайнер", "+79001112233")
    assert rest.refusal("crm.contact.get", id=other)[1] == "Not found"


def test_an_import_keeps_authors_and_runs_no_robots(rest: Rest, installed: Sandbox, listener: Listener) -> None:
    rest("bizproc.robot.add", CODE="r", HANDLER=listener.url + "/robot", NAME="x", USE_SUBSCRIPTION="Y")
    installed.place_robot(1, "NEW", "r")
    good = {"title": "a", "createdBy": 4, "createdTime": "2020-02-03T10:00:00+03:00"}
    made = rest("crm.item.batchImport", entityTypeId=1, data=[good, {"title": "b", "opportunity": "?"}])["items"]
    item = rest("crm.item.get", entityTypeId=1, id=made[0]["item"]["id"])["item"]
    assert (item["createdBy"], item["createdTime"]) == (4, "2020-02-03T10:00:00+03:00")
    assert made[1]["error"] == "CRM_FIELD_ERROR_VALUE_NOT_VALID"
    many = [{"title": "x"}] * 21
    assert rest.refusal("crm.item.batchImport", entityTypeId=1, data=many)[0] == "MAX_IMPORT_BATCH_SIZE_EXCEEDED"
    typed = rest("crm.lead.add", fields={"TITLE": "c"})
    listener.wait(lambda form: form.get("document_id[2]") == f"LEAD_{typed}")
    called = {post["form"]["document_id[2]"] for post in listener.posts if post["path"] == "/robot"}
    assert called == {f"LEAD_{typed}"}


LAYOUT: dict[str, Any] = {
    "icon": {"code": "call"}, "header": {"title": "Звонок"},
    "body": {"logo": {"code": "call"}, "blocks": {"a": {"type": "text", "properties": {"value": "x"}}}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"header": {}}, "FIELD_IS_REQUIRED"),
        ({"other": 1}, "FIELD_IS_REDUNDANT"),
        ({"header": {"title": "x", "tags": {"a": {"title": "x", "type": "pink"}}}}, "ENUM_FIELD"),
        ({"header": {"title": "x", "tags": {n: {"title": "x", "type": "success"} for n in "abc"}}}, "TOO_MANY_ITEMS"),
        ({"body": {"logo": {"code": "x"}, "blocks": {"плохо": {"type": "text"}}}}, "KEY_CONTAIN_WRONG_SYMBOLS"),
        ({"header": {"title": {"xx": "x"}}}, "WRONG_LANG"),
    ],
)
def test_a_layout_is_examined(rest: Rest, change: dict[str, Any], code: str) -> None:
    params = {"ownerTypeId": 3, "ownerId": 1, "fields": {"typeId": "CONFIGURABLE"}}
    assert rest.refusal("crm.activity.configurable.add", **params, layout={**LAYOUT, **change})[0] == code


def test_a_configurable_activity_belongs_to_its_application(rest: Rest, installed: Sandbox) -> None:
    params = {"ownerTypeId": 3, "ownerId": 1, "fields": {"typeId": "CONFIGURABLE", "isIncomingChannel": "Y"}}
    made = rest("crm.activity.configurable.add", **params, layout=LAYOUT)["activity"]["id"]
    late = {"deadline": "2030-01-01T00:00:00+03:00"}
    assert (
        rest.refusal("crm.activity.configurable.update", id=made, fields=late, layout=LAYOUT)[0]
        == "INCOMING_ACTIVITY_CAN_NOT_BE_WITH_DEADLINE"
    )
    webhook = installed.session.post(
        installed.ready["webhook"] + "crm.activity.configurable.get", json={"id": made}, timeout=30
    ).json()
    assert webhook["error"] == "ERROR_WRONG_CONTEXT"
    assert rest("crm.activity.get", id=made)["PROVIDER_ID"] == "CONFIGURABLE_REST_APP"


def test_an_e_mail_leaves_only_with_its_three_flags_and_a_valid_address(rest: Rest, installed: Sandbox) -> None:
    fields = {
        "OWNER_TYPE_ID": 3, "OWNER_ID": 1, "TYPE_ID": 4, "SUBJECT": "КП", "DIRECTION": 2, "RESPONSIBLE_ID": 1,
        "COMMUNICATIONS": [{"VALUE": "a@example.com", "ENTITY_ID": 1, "ENTITY_TYPE_ID": 3}],
        "FILES": [{"fileData": ["kp.pdf", "YQ=="]}],
    }  # fmt: skip
    draft = rest("crm.activity.add", fields=fields)
    sent = rest("crm.activity.add", fields={**fields, "COMPLETED": "Y"})
    effects = [entry["id"] for entry in installed.ledger() if entry.get("type") == "email"]
    assert effects == [sent]
    assert draft not in effects
    assert rest("crm.activity.get", id=sent)["FILES"][0]["id"]
    nowhere = [{"VALUE": "не почта", "ENTITY_ID": 1, "ENTITY_TYPE_ID": 3}]
    broken = {**fields, "COMPLETED": "Y", "COMMUNICATIONS": nowhere}
    assert rest.refusal("crm.activity.add", fields=broken)[1].startswith("Email send error")


@pytest.mark.parametrize(("kind", "follows"), [(1, True), (2, True), (4, False), (6, False)])
def test_the_deadline_of_a_meeting_and_a_call_is_their_beginning(rest: Rest, kind: int, follows: bool) -> None:
    fields = {
        "OWNER_TYPE_ID": 3, "OWNER_ID": 1, "TYPE_ID": kind, "SUBJECT": "x", "PROVIDER_ID": "REST_APP",
        "COMMUNICATIONS": [{"VALUE": "+79990000000", "ENTITY_ID": 1, "ENTITY_TYPE_ID": 3}],
        "START_TIME": "2030-01-01T10:00:00+03:00", "END_TIME": "2030-01-01T11:00:00+03:00",
        "DEADLINE": "2030-01-05T10:00:00+03:00",
    }  # fmt: skip
    number = rest("crm.activity.add", fields=fields)
    row = rest("crm.activity.get", id=number)
    assert (row["START_TIME"], row["END_TIME"]) == (fields["START_TIME"], fields["END_TIME"])
    assert (row["DEADLINE"] == row["START_TIME"]) is follows
    assert row["DEADLINE"] != fields["DEADLINE"]
    rest("crm.activity.update", id=number, fields={"DEADLINE": "2030-01-05T10:00:00+03:00"})
    assert rest("crm.activity.get", id=number)["DEADLINE"] == row["DEADLINE"]
    later = "2030-01-02T10:00:00+03:00"
    rest("crm.activity.update", id=number, fields={"START_TIME": later})
    assert rest("crm.activity.get", id=number)["DEADLINE"] == (later if follows else row["DEADLINE"])


def test_a_closed_to_do_is_not_changed(rest: Rest) -> None:
    place = {"ownerTypeId": 3, "ownerId": 1}
    todo = rest("crm.activity.todo.add", **place, deadline="2030-01-01T10:00:00+03:00", title="Позвонить")["id"]
    wrong = rest.refusal("crm.activity.todo.updateDeadline", **place, id=todo, value="вчера")
    assert wrong[0] == "WRONG_DATETIME_FORMAT"
    assert rest.refusal("crm.activity.todo.updateColor", **place, id=todo, colorId="9")[0].endswith("WRONG_COLOR_TODO")
    rest("crm.activity.update", id=todo, fields={"COMPLETED": "Y"})
    code = rest.refusal("crm.activity.todo.updateDescription", **place, id=todo, value="x")[0]
    assert code == "CAN_NOT_UPDATE_COMPLETED_TODO"


def test_a_timeline_pins_three_and_a_comment_bound_twice_stays(rest: Rest) -> None:
    fields = {"ENTITY_TYPE": "deal", "ENTITY_ID": 1, "COMMENT": "x"}
    comments = [rest("crm.timeline.comment.add", fields=fields) for _ in range(4)]
    place = {"ownerTypeId": 2, "ownerId": 1}
    for comment in comments[:3]:
        rest("crm.timeline.item.pin", id=comment, **place)
    assert rest.refusal("crm.timeline.item.pin", id=comments[3], **place)[0] == 0
    rest("crm.timeline.item.unpin", id=comments[0], **place)
    rest("crm.timeline.item.pin", id=comments[3], **place)
    bound = {"OWNER_ID": comments[0], "ENTITY_ID": 1, "ENTITY_TYPE": "contact"}
    rest("crm.timeline.bindings.bind", fields=bound)
    found = rest("crm.timeline.comment.list", filter={"ENTITY_TYPE": "contact", "ENTITY_ID": 1})
    assert [row["ID"] for row in found] == [str(comments[0])]
    assert rest.refusal("crm.timeline.comment.delete", id=comments[0])[0] == "MULTIPLE_BINDINGS"
    rest("crm.timeline.bindings.unbind", fields=bound)
    rest("crm.timeline.comment.delete", id=comments[0])


def test_a_quote_closes_and_tells_of_it(rest: Rest, listener: Listener) -> None:
    rest("event.bind", event="ONCRMQUOTEUPDATE", handler=listener.url + "/e")
    quote = rest("crm.quote.add", fields={"TITLE": "КП", "LEAD_ID": 1})
    assert (rest("crm.quote.get", id=quote)["STATUS_ID"], rest("crm.quote.get", id=quote)["CLOSED"]) == ("DRAFT", "N")
    rest("crm.item.update", entityTypeId=7, id=quote, fields={"stageId": "APPROVED"})
    assert rest("crm.quote.get", id=quote)["CLOSED"] == "Y"
    assert listener.wait(lambda form: form.get("event") == "ONCRMQUOTEUPDATE")[0]["data[FIELDS][ID]"] == str(quote)


def test_a_regular_deal_makes_deals(rest: Rest) -> None:
    deal = rest("crm.deal.add", fields={"TITLE": "Обслуживание", "OPPORTUNITY": 500})
    template = rest("crm.deal.recurring.add", fields={"DEAL_ID": deal, "IS_LIMIT": "T", "LIMIT_REPEAT": 1})
    assert rest.refusal("crm.deal.recurring.add", fields={"DEAL_ID": deal})[1] == "Deal already has recurring settings."
    made = rest("crm.deal.recurring.expose", id=template)["DEAL_ID"]
    assert rest("crm.deal.get", id=made)["OPPORTUNITY"] == "500.00"
    row = rest("crm.deal.recurring.get", id=template)
    assert (row["COUNTER_REPEAT"], row["ACTIVE"]) == ("1", "N")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("crm.type.add", {"fields": {"title": "x"}}),
        ("crm.category.add", {"entityTypeId": 2, "fields": {"name": "x"}}),
        ("crm.lead.userfield.add", {"fields": {"FIELD_NAME": "X", "USER_TYPE_ID": "string"}}),
        ("crm.currency.add", {"fields": {"CURRENCY": "CNY", "AMOUNT": 1, "AMOUNT_CNT": 1}}),
        ("crm.timeline.icon.add", {"code": "x", "fileContent": "AAAA"}),
        ("crm.activity.badge.add", {"code": "x", "title": "x", "value": "x", "type": "success"}),
        ("crm.duplicate.volatileType.register", {"entityTypeId": 1, "fieldCode": "TITLE"}),
        ("crm.activity.type.add", {"fields": {"TYPE_ID": "x"}}),
    ],
)
def test_settings_are_for_administrators(installed: Sandbox, name: str, params: dict[str, Any]) -> None:
    code, text = Rest(installed, 4).refusal(name, **params)
    assert code == "ACCESS_DENIED" or text.startswith("Access denied"), (code, text)


def test_the_first_pipeline_may_not_be_deleted_and_a_filled_one_neither(rest: Rest) -> None:
    assert "по умолчанию" in rest.refusal("crm.category.delete", entityTypeId=2, id=0)[1]
    category = rest("crm.category.add", entityTypeId=2, fields={"name": "Опт"})["category"]["id"]
    deal = rest("crm.deal.add", fields={"TITLE": "x", "CATEGORY_ID": category})
    assert rest("crm.deal.get", id=deal)["STAGE_ID"] == f"C{category}:NEW"
    assert "связанные" in rest.refusal("crm.category.delete", entityTypeId=2, id=category)[1]
    rest("crm.deal.delete", id=deal)
    rest("crm.category.delete", entityTypeId=2, id=category)
    assert rest("crm.status.list", filter={"ENTITY_ID": f"DEAL_STAGE_{category}"}) == []


# --- values of fields -------------------------------------------------------------------------------------------------


@pytest.fixture
def custom(rest: Rest) -> Rest:
    """Deals of the portal have custom fields: UF_CRM_DAY, UF_CRM_DAYS, UF_CRM_FILE, UF_CRM_FILES, UF_CRM_FLAG."""
    for name, type_id, multiple in (
        ("DAY", "date", "N"), ("DAYS", "date", "Y"), ("FILE", "file", "N"), ("FILES", "file", "Y"),
        ("FLAG", "boolean", "N"),
    ):  # fmt: skip
        rest("crm.deal.userfield.add", fields={"FIELD_NAME": name, "USER_TYPE_ID": type_id, "MULTIPLE": multiple})
    return rest


@pytest.mark.parametrize(
    "given", ["2030-08-30", "30.08.2030", "2030-08-30T15:20:00+03:00", "2030-08-29T22:30:00+00:00"]
)
def test_a_date_keeps_only_its_day(custom: Rest, given: str) -> None:
    shown = "2030-08-30T03:00:00+03:00"  # midnight of UTC at the portal's offset, crm-deal-get.md
    fields = {"TITLE": "x", "BEGINDATE": given, "CLOSEDATE": given, "UF_CRM_DAY": given, "UF_CRM_DAYS": [given]}
    deal = custom("crm.deal.get", id=custom("crm.deal.add", fields=fields))
    assert [deal[name] for name in fields if name != "TITLE"] == [shown, shown, shown, [shown]]
    item = custom("crm.item.add", entityTypeId=2, fields={"begindate": given, "ufCrmDays": [given]})["item"]
    assert (item["begindate"], item["ufCrmDays"]) == (shown, [shown])
    contact = custom("crm.contact.add", fields={"NAME": "x", "BIRTHDATE": given})
    assert custom("crm.contact.get", id=contact)["BIRTHDATE"] == shown
    for border, count in (("", 2), ("@", 2), ("!", 0), (">", 0), (">=", 2), ("<", 0), ("<=", 2)):
        new = {">ID": int(deal["ID"]) - 1}
        for name in ("BEGINDATE", "UF_CRM_DAYS"):
            assert len(custom("crm.deal.list", filter={**new, border + name: given})) == count, border
        found = custom("crm.item.list", entityTypeId=2, filter={">=id": deal["ID"], border + "begindate": given})
        assert len(found["items"]) == count, border


def test_a_file_field_shows_its_file_and_not_what_was_sent(custom: Rest) -> None:
    def bytes_of(address: str) -> tuple[int, bytes]:
        full = address if address.startswith("http") else custom.portal.url + address
        answer = requests.get(full, timeout=30)
        return answer.status_code, answer.content

    def deal(number: int) -> dict[str, Any]:
        found: dict[str, Any] = custom("crm.deal.get", id=number)
        return found

    sent = {"fileData": ["a.txt", "aGVsbG8="]}
    bare = deal(custom("crm.deal.add", fields={"TITLE": "x"}))
    assert ("UF_CRM_FILE" in bare, bare["UF_CRM_FILES"]) == (False, [])
    number = custom("crm.deal.add", fields={"TITLE": "x", "UF_CRM_FILE": sent, "UF_CRM_FILES": [sent, sent]})
    single, several = deal(number)["UF_CRM_FILE"], deal(number)["UF_CRM_FILES"]
    assert [set(one) for one in [single, *several]] == [{"id", "showUrl", "downloadUrl"}] * 3
    assert bytes_of(single["downloadUrl"]) == (200, b"hello")
    assert bytes_of(several[1]["downloadUrl"]) == (200, b"hello")

    def change(**fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = custom("crm.item.update", entityTypeId=2, id=number, fields=fields)["item"]
        return found

    item = change(ufCrmFile={"id": single["id"]}, ufCrmFiles=[{"id": several[1]["id"]}, ["b.txt", "YnllIQ=="]])
    assert set(item["ufCrmFile"]) == {"id", "url", "urlMachine"}
    assert bytes_of(item["ufCrmFile"]["urlMachine"]) == (200, b"hello")
    assert [bytes_of(one["urlMachine"])[1] for one in item["ufCrmFiles"]] == [b"hello", b"bye!"]
    assert item["ufCrmFiles"][0]["id"] == several[1]["id"]
    assert bytes_of(several[0]["downloadUrl"])[0] == 404
    foreign = item["ufCrmFiles"][0]["id"]
    item = change(ufCrmFile={"id": foreign}, ufCrmFiles=[])
    assert (item["ufCrmFile"], item["ufCrmFiles"]) == (None, [])
    item = change(ufCrmFile=["c.txt", "Yw=="])
    kept = item["ufCrmFile"]["urlMachine"]
    assert change(ufCrmFile="")["ufCrmFile"] is None
    assert bytes_of(kept)[0] == 404


@pytest.mark.parametrize(
    ("given", "count"), [([{"fileData": ["a.txt", "YQ=="]}], 1), (["a.txt", "YQ=="], 0), ({"fileData": "YQ=="}, 0)]
)
def test_a_file_in_another_form_is_passed_over(custom: Rest, given: Any, count: int) -> None:
    fields = {"TITLE": "x", "UF_CRM_FILE": given, "UF_CRM_FILES": given}
    made = custom("crm.deal.get", id=custom("crm.deal.add", fields=fields))
    assert "UF_CRM_FILE" not in made
    assert len(made["UF_CRM_FILES"]) == count


def test_the_photo_of_a_contact_is_a_file_too(rest: Rest) -> None:
    assert rest("crm.contact.get", id=1)["PHOTO"] is None
    number = rest("crm.contact.add", fields={"NAME": "x", "PHOTO": {"fileData": ["a.png", "YQ=="]}})
    shown = rest("crm.contact.get", id=number)["PHOTO"]
    assert requests.get(rest.portal.url + shown["downloadUrl"], timeout=30).content == b"a"
    assert rest("crm.item.get", entityTypeId=3, id=number)["item"]["photo"]["id"] == shown["id"]


def test_a_custom_flag_is_asked_for_by_a_number(custom: Rest) -> None:
    made = custom("crm.item.add", entityTypeId=2, fields={"title": "x", "ufCrmFlag": "Y"})["item"]
    for given, count in ((1, 1), ("1", 1), (0, 0)):
        conditions = {"id": made["id"], "ufCrmFlag": given}
        assert len(custom("crm.item.list", entityTypeId=2, filter=conditions)["items"]) == count, given
    for letter in ("Y", "N"):
        code, text = custom.refusal("crm.item.list", entityTypeId=2, filter={"ufCrmFlag": letter})
        assert (code, text) == ("INVALID_ARG_VALUE", "Invalid filter: field 'ufCrmFlag' has invalid value")


# --- refusals of the older methods ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lead", "deal", "contact", "company", "quote"])
def test_what_must_be_an_array_is_refused_when_it_is_none(rest: Rest, kind: str) -> None:
    for name in ("order", "filter"):
        assert rest.refusal(f"crm.{kind}.list", **{name: "x"}) == ("", f"Parameter '{name}' must be array.")
    for verb in ("add", "update"):
        for name, given in (("fields", {"fields": "x"}), ("params", {"fields": {"TITLE": "x"}, "params": "x"})):
            number = rest(f"crm.{kind}.add", fields={"TITLE": "x", "NAME": "x"})
            answer = rest.refusal(f"crm.{kind}.{verb}", id=number, **given)
            assert answer == ("", f"Parameter '{name}' must be array.")


@pytest.mark.parametrize(
    ("kind", "fields", "code", "text"),
    [
        (
            "contact",
            {"EMAIL": [{"VALUE": "notmail", "VALUE_TYPE": "WORK"}]},
            "ERROR_CORE",
            'The field "Work e-mail" contains an invalid address',
        ),
        (
            "company",
            {"EMAIL": [{"VALUE": "notmail", "VALUE_TYPE": "WORK"}]},
            "ERROR_CORE",
            'The "E-mail" field contains an invalid address',
        ),
        ("deal", {"CURRENCY_ID": "ZZZ"}, "", 'Invalid value for the "Currency" field'),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_refused(
    rest: Rest, kind: str, fields: dict[str, Any], code: str, text: str
) -> None:
    assert rest.refusal(f"crm.{kind}.add", fields={"NAME": "x", "TITLE": "x", **fields}) == (code, text)
    good = {"NAME": "x", "TITLE": "x", "EMAIL": [{"VALUE": "a@example.com"}], "CURRENCY_ID": "RUB"}
    number = rest(f"crm.{kind}.add", fields=good)
    assert rest.refusal(f"crm.{kind}.update", id=number, fields=fields) == (code, text)


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("crm.lead.update", "", "Not found"),
        ("crm.deal.delete", "", "Not found"),
        ("crm.contact.get", "", "Not found"),
        ("crm.contact.update", "", "Contact is not found"),
        ("crm.contact.delete", "ERROR_CORE", "Element not found"),
        ("crm.company.get", "", "Not found"),
        ("crm.company.update", "", "Company is not found"),
        ("crm.company.delete", "", "Company is not found"),
        ("crm.quote.get", "", "Not found"),
        ("crm.quote.update", "", "Quote is not found"),
        ("crm.quote.delete", "ERROR_CORE", "Element not found"),
        ("crm.timeline.comment.get", "", "Not found."),
        ("crm.timeline.comment.update", "NOT_FOUND", "Not found."),
        ("crm.requisite.userfield.get", "ERROR_NOT_FOUND", "The entity with ID '999999' is not found."),
        ("crm.requisite.userfield.update", "", "The entity with ID '999999' is not found."),
        ("crm.requisite.userfield.delete", "", "The entity with ID '999999' is not found."),
        ("crm.lead.userfield.delete", "ERROR_NOT_FOUND", "The entity with ID '999999' is not found."),
    ],
)
def test_what_is_not_there_is_told_in_the_words_of_each_page(rest: Rest, name: str, code: str, text: str) -> None:
    answer = rest.answer(name, id=999_999, fields={"COMMENT": "x"})
    assert (answer.status_code, answer.json()["error"], answer.json()["error_description"]) == (400, code, text)


def test_a_comment_without_an_id_or_without_rights_is_not_read(rest: Rest, installed: Sandbox) -> None:
    assert rest.refusal("crm.timeline.comment.get") == ("", "ID is not defined or invalid.")
    foreign = rest("crm.lead.add", fields={"TITLE": "x", "ASSIGNED_BY_ID": 5})
    fields = {"ENTITY_TYPE": "lead", "ENTITY_ID": foreign, "COMMENT": "x"}
    comment = rest("crm.timeline.comment.add", fields=fields)
    installed.set_person(4, own_leads_only=True)
    assert Rest(installed, 4).refusal("crm.timeline.comment.get", id=comment) == ("", "Access denied.")
