"""How the documentation's examples of CRM become requests to a real portal: whose records their ids are here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.sandbox import crm_more, payments_of_crm

FAMILIES = ("crm", "userfieldconfig")
KINDS = {1: "lead", 2: "deal", 3: "contact", 4: "company", 7: "quote"}
SHORTS = {"L": "lead", "D": "deal", "Q": "quote"}
# Examples that are not sent as they stand, and why.
LISTED = {
    "crm.type.list": "the page's request is no JSON; the contract test calls the method",
    "crm.lead.list": "the page's answer is no JSON; its keys are those of crm.lead.get",
}
# Parts of the paths of an answer's example that this portal does not show, each with its reason.
_STORES = {"storeId": "there are no warehouses behind product rows"}
_TYPES = {"SETTINGS.": "settings belong to a field's type; the example's portal has types of modules that are not here"}
DIFFERS: dict[str, dict[str, str]] = {
    **dict.fromkeys((f"crm.{word}.userfield.list" for word in (*KINDS.values(), "requisite")), _TYPES),
    "crm.item.fields": {"fields.contacts": "a second name of contactIds, which alone is served"},
    "crm.item.productrow.get": _STORES,
    "crm.item.productrow.list": _STORES,
    "crm.stagehistory.list": dict.fromkeys(
        ("TYPE_ID", "OWNER_ID", "CATEGORY_ID", "STAGE_SEMANTIC_ID"),
        "the example answers more fields than its own request selects",
    ),
    "crm.status.entity.types": dict.fromkeys(
        ("CATEGORY_NAME", "CATEGORY_SORT", "IS_DEFAULT_CATEGORY", "IS_ENABLED"),
        "dictionaries of invoices, documents and categories of clients are not served",
    ),
}


class World:
    """Records of a portal to which the ids of the examples are mapped. `do` calls a method, an error fails."""

    def __init__(self, do: Callable[..., Any]) -> None:
        self.do = do
        self.made: dict[str, Any] = {}
        self.serial = 0

    def __getattr__(self, name: str) -> Any:
        """The one record of that name, made at its first use."""
        if name not in self.made:
            self.made[name] = self.new(name)
        return self.made[name]

    def new(self, name: str) -> Any:
        """A record that nothing else uses."""
        self.serial += 1
        do, n = self.do, self.serial
        phone = [{"VALUE": f"+7900555{n:04d}", "VALUE_TYPE": "WORK"}]
        mail = [{"VALUE": f"one{n}@example.com", "VALUE_TYPE": "WORK"}]
        if name in ("lead", "company"):
            return do(
                f"crm.{name}.add",
                fields={
                    "TITLE": f"Запись {n}",
                    "NAME": "Анна",
                    "PHONE": phone,
                    "EMAIL": mail,
                    "IM": phone,
                    "WEB": [{"VALUE": "http://example.com", "VALUE_TYPE": "WORK"}],
                },
            )
        if name == "contact":
            return do(
                "crm.contact.add",
                fields={"NAME": "Анна", "PHONE": phone, "EMAIL": mail, "IM": phone, "COMPANY_ID": self.company},
            )
        if name == "deal":
            return do(
                "crm.deal.add",
                fields={"TITLE": f"Сделка {n}", "CONTACT_IDS": [self.contact, 1], "COMPANY_ID": self.company},
            )
        if name == "quote":
            return do(
                "crm.quote.add",
                fields={
                    "TITLE": f"КП {n}",
                    "CONTACT_IDS": [self.contact],
                    "STATUS_ID": "SENT",
                    "COMPANY_ID": self.company,
                },
            )
        if name == "type":
            switches = (
                "Categories",
                "Stages",
                "BeginCloseDates",
                "Client",
                "LinkWithProducts",
                "Mycompany",
                "Source",
                "Observers",
                "Automation",
                "BizProc",
                "UseInUserfield",
            )
            fields = {f"is{one}Enabled": "Y" for one in switches}
            relation = [{"entityTypeId": 3, "isChildrenListEnabled": "Y"}]
            return do(
                "crm.type.add",
                fields={"title": f"Процесс {n}", **fields, "relations": {"parent": relation, "child": relation}},
            )["type"]["id"]
        if name == "spa":
            return do("crm.type.get", id=self.type)["type"]["entityTypeId"]
        if name == "spa_item":
            return do("crm.item.add", entityTypeId=self.spa, fields={"title": "Элемент"})["item"]["id"]
        if name == "spa_category":
            return do("crm.category.add", entityTypeId=self.spa, fields={"name": "Ещё"})["category"]["id"]
        if name == "category":
            return do("crm.category.add", entityTypeId=2, fields={"name": f"Воронка {n}"})["category"]["id"]
        if name == "status":
            fields = {"ENTITY_ID": "SOURCE", "STATUS_ID": f"S{n}", "NAME": "x"}
            return do("crm.status.add", fields=fields)
        if name.startswith("userfields_"):
            word = name.removeprefix("userfields_")
            for kind in ("enumeration", "crm", "crm_status", "string", "double", "boolean", "iblock_element", "date"):
                do(
                    f"crm.{word}.userfield.add",
                    fields={
                        "FIELD_NAME": f"{kind}_{n}",
                        "USER_TYPE_ID": kind,
                        "MULTIPLE": "Y",
                        "MANDATORY": "N" if word == "requisite" else "Y",
                        "LABEL": "x",
                        "LIST": [{"VALUE": "a"}],
                    },
                )
            return word
        if name.startswith("userfield_"):
            word = name.removeprefix("userfield_")
            if word == "spa":
                own = self.type
                return do(
                    "userfieldconfig.add",
                    moduleId="crm",
                    field={
                        "entityId": f"CRM_{own}",
                        "fieldName": f"UF_CRM_{own}_F{n}",
                        "userTypeId": "enumeration",
                        "multiple": "Y",
                        "editFormLabel": {"en": "x", "de": "y"},
                        "enum": [{"value": "a", "def": "N", "sort": 100}],
                    },
                )["field"]["id"]
            return do(
                f"crm.{word}.userfield.add",
                fields={
                    "FIELD_NAME": f"F{n}",
                    "USER_TYPE_ID": "string",
                    "MULTIPLE": "Y",
                    "MANDATORY": "N" if word == "requisite" else "Y",
                    "LABEL": "x",
                },
            )
        if name == "activity":
            return do(
                "crm.activity.add",
                fields={
                    "OWNER_TYPE_ID": 2,
                    "OWNER_ID": self.deal,
                    "TYPE_ID": 2,
                    "SUBJECT": "Звонок",
                    "RESPONSIBLE_ID": 1,
                    "COMMUNICATIONS": [{"VALUE": "+79005550001", "ENTITY_ID": self.contact, "ENTITY_TYPE_ID": 3}],
                },
            )
        if name == "todo":
            return do("crm.activity.todo.add", ownerTypeId=2, ownerId=self.deal, deadline="2030-01-01")["id"]
        if name == "configurable":
            layout = {
                "icon": {"code": "call-completed"},
                "header": {"title": "x", "tags": {"status2": {"title": "t", "type": "warning"}}},
                "body": {
                    "logo": {"code": "call-incoming", "action": {"type": "redirect", "uri": "/crm/"}},
                    "blocks": {
                        "client": {
                            "type": "withTitle",
                            "properties": {
                                "title": "x",
                                "inline": True,
                                "block": {"type": "text", "properties": {"value": "x"}},
                            },
                        },
                        "responsible": {
                            "type": "lineOfBlocks",
                            "properties": {
                                "blocks": {
                                    "client": {
                                        "type": "link",
                                        "properties": {
                                            "text": "x",
                                            "bold": True,
                                            "action": {"type": "redirect", "uri": "/"},
                                        },
                                    },
                                    "phone": {"type": "text", "properties": {"value": "1"}},
                                }
                            },
                        },
                    },
                },
                "footer": {
                    "buttons": {
                        "startCall": {
                            "title": "x",
                            "type": "primary",
                            "action": {"type": "openRestApp", "actionParams": {"clientId": "456"}},
                        }
                    },
                    "menu": {
                        "showPostponeItem": False,
                        "items": {
                            "confirm": {
                                "title": "x",
                                "action": {"type": "restEvent", "id": "a", "animationType": "loader"},
                            },
                            "decline": {
                                "title": "x",
                                "action": {"type": "restEvent", "id": "b", "animationType": "loader"},
                            },
                        },
                    },
                },
            }
            return do(
                "crm.activity.configurable.add",
                ownerTypeId=1,
                ownerId=self.lead,
                layout=layout,
                fields={"deadline": "2030-01-01", "responsibleId": 1},
            )["activity"]["id"]
        if name == "badge":
            do("crm.activity.badge.add", code=f"b{n}", title="x", value="y", type="failure")
            return f"b{n}"
        if name == "activity_type":
            do("crm.activity.type.add", fields={"TYPE_ID": f"T{n}", "NAME": "x", "IS_CONFIGURABLE_TYPE": "Y"})
            return f"T{n}"
        if name == "comment":
            return do(
                "crm.timeline.comment.add",
                fields={
                    "ENTITY_TYPE": "deal",
                    "ENTITY_ID": self.deal,
                    "COMMENT": "x",
                    "FILES": [["1.gif", "R0lGODlhAQABAAAAACw="], ["2.gif", "R0lGODlhAQABAAAAACw="]],
                },
            )
        if name == "message":
            return do(
                "crm.timeline.logmessage.add",
                fields={"entityTypeId": 1, "entityId": self.lead, "title": "x", "text": "y", "iconCode": "info"},
            )["logMessage"]["id"]
        if name in ("icon", "logo"):
            do(f"crm.timeline.{name}.add", code=f"i{n}", fileContent="AAAA")
            return f"i{n}"
        if name == "requisite":
            return do(
                "crm.requisite.add",
                fields={"ENTITY_TYPE_ID": 4, "ENTITY_ID": self.company, "PRESET_ID": 1, "NAME": "x"},
            )
        if name == "bank":
            return do("crm.requisite.bankdetail.add", fields={"ENTITY_ID": self.requisite, "NAME": "x"})
        if name == "preset":
            number = do("crm.requisite.preset.add", fields={"ENTITY_TYPE_ID": 8, "COUNTRY_ID": 1, "NAME": "x"})
            do("crm.requisite.preset.field.add", preset={"ID": number}, fields={"FIELD_NAME": "RQ_INN"})
            return number
        if name == "row":
            return do(
                "crm.item.productrow.add",
                fields={"ownerType": "D", "ownerId": self.deal, "productName": "x", "price": 8000, "quantity": 1},
            )["productRow"]["id"]
        if name == "currency":
            code = f"X{chr(65 + n // 26 % 26)}{chr(65 + n % 26)}"
            return do(
                "crm.currency.add",
                fields={
                    "CURRENCY": code,
                    "AMOUNT_CNT": 1,
                    "AMOUNT": 2,
                    "LANG": {"en": {"FULL_NAME": "x"}, "de": {"FULL_NAME": "x"}},
                },
            )
        if name == "volatile":
            return do("crm.duplicate.volatileType.register", entityTypeId=3, fieldCode="POST")["id"]
        if name == "trigger":
            do("crm.automation.trigger.add", CODE=f"t{n}", NAME="x")
            return f"t{n}"
        if name == "recurring":
            return do(
                "crm.deal.recurring.add",
                fields={
                    "DEAL_ID": self.new("deal"),
                    "PARAMS": {"MODE": "multiple", "MULTIPLE_TYPE": "month", "MULTIPLE_INTERVAL": 1},
                    "START_DATE": "2030-01-01",
                },
            )
        made = payments_of_crm.make(self, name)
        if made is None:
            raise KeyError(name)
        return made

    def item(self, kind: int) -> int:
        """The record to which a type's id is mapped."""
        return self.spa_item if kind >= 128 else getattr(self, KINDS.get(kind, "requisite"))


_USERS = {"assignedbyid", "responsibleid", "userid", "createdby", "updatedby", "authorid", "observers", "movedby"}
_RECORDS = {
    "contactid": "contact", "companyid": "company", "mycompanyid": "company", "leadid": "lead", "dealid": "deal",
    "quoteid": "quote",
}  # fmt: skip


def _person(value: Any) -> Any:
    if isinstance(value, list):
        return [_person(one) for one in value]
    return value if str(value).isdigit() and 1 <= int(value) <= 10 else 4


def fit(world: World, name: str, request: Any) -> Any:
    """The example's request with this portal's ids in the place of the documentation's."""
    made = _pairs(world, _general(world, request))
    for pattern, places in RULES:
        if re.fullmatch(pattern, name):
            for path, value in places.items():
                _put(made, path.split("."), value(world))
    return made


def _general(world: World, value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _general(world, child, name) for name, child in value.items()}
    bare = re.sub(r"[^a-z]", "", key.lower())
    if bare in _USERS:
        return _person(value)
    if bare in _RECORDS and not isinstance(value, (dict, list)):
        return getattr(world, _RECORDS[bare])
    if bare == "contactids":
        return [world.contact, 1]
    if isinstance(value, list):
        return [_general(world, child, key) for child in value]
    if bare in ("categoryid", "dealcategoryid") and str(value) not in ("0", ""):
        return world.category
    if bare in ("stageid", "statusid") and re.match(r"C\d+:", str(value)):
        return f"C{world.category}:NEW"
    return value


def _pairs(world: World, value: Any) -> Any:
    """Ids that stand beside a type: owner, entity, source and target."""
    if isinstance(value, list):
        return [_pairs(world, child) for child in value]
    if not isinstance(value, dict):
        return value
    made = {name: _pairs(world, child) for name, child in value.items()}
    for type_name, id_name in (
        ("ownerTypeId", "ownerId"), ("entityTypeId", "entityId"), ("OWNER_TYPE_ID", "OWNER_ID"),
        ("ENTITY_TYPE_ID", "ENTITY_ID"), ("sourceEntityTypeId", "sourceEntityId"),
        ("targetEntityTypeId", "targetEntityId"),
    ):  # fmt: skip
        if str(made.get(type_name, "")).isdigit() and id_name in made:
            kind = int(made[type_name])
            if kind >= 128:
                made[type_name] = world.spa
            made[id_name] = world.item(kind)
    if "ENTITY_TYPE" in made and "ENTITY_ID" in made:
        made["ENTITY_ID"] = getattr(world, str(made["ENTITY_TYPE"]).lower())
    for type_name, id_name in (("ownerType", "ownerId"), ("=ownerType", "=ownerId")):
        if made.get(type_name) in SHORTS:
            made[id_name] = getattr(world, SHORTS[made[type_name]])
    return made


def _put(target: Any, path: list[str], value: Any) -> None:
    """Write into the request; names in any case, so that an example's ID is our id."""
    for index, step in enumerate(path):
        key: Any = step
        if isinstance(target, list):
            key = int(step)
        else:
            key = next((one for one in target if one.lower() == step.lower()), step)
        if index == len(path) - 1:
            target[key] = value
        else:
            if not isinstance(target, list):
                target.setdefault(key, {})
            target = target[key]


def _of(name: str) -> Callable[[World], Any]:
    return lambda world: getattr(world, name)


def _fresh(name: str) -> Callable[[World], Any]:
    return lambda world: world.new(name)


Rule = tuple[str, dict[str, Callable[[World], Any]]]
RULES: list[Rule] = []
for _word in KINDS.values():
    RULES += [
        (rf"crm\.{_word}\.(get|update)", {"id": _of(_word)}),
        (rf"crm\.{_word}\.delete", {"id": _fresh(_word)}),
        (rf"crm\.{_word}\.productrows\..*", {"id": _of(_word)}),
        (rf"crm\.{_word}\.(contact|company)\.(add|delete|items\..*)", {"id": _of(_word)}),
        (rf"crm\.{_word}\.userfield\.(get|update)", {"id": _of(f"userfield_{_word}")}),
        (rf"crm\.{_word}\.userfield\.delete", {"id": _fresh(f"userfield_{_word}")}),
        (rf"crm\.{_word}\.userfield\.add", {"fields.FIELD_NAME": lambda world: f"X{world.new('lead')}"}),
        (rf"crm\.{_word}\.userfield\.list", {"filter.MULTIPLE": lambda world, word=_word: getattr(
            world, f"userfields_{word}") and "Y"}),
    ]  # fmt: skip


def _linked(world: World) -> int:
    """A contact that is bound to the deal, the lead, the company and the quote."""
    number = world.new("contact")
    for word in ("lead", "deal", "company", "quote"):
        world.do(f"crm.{word}.contact.add", id=getattr(world, word), fields={"CONTACT_ID": number})
    return number


def _linked_company(world: World) -> int:
    number = world.new("company")
    world.do("crm.contact.company.add", id=world.contact, fields={"COMPANY_ID": number})
    return number


LAYOUT = {"data": [{"name": "main", "title": "x", "type": "section", "elements": [{"name": "TITLE", "options": {
    "defaultCountry": "RU"}}]}]}  # fmt: skip


def _with_rows(world: World, word: str) -> int:
    number = getattr(world, word)
    world.do(f"crm.{word}.productrows.set", id=number, rows=[{"PRODUCT_NAME": "x", "PRICE": 10, "TAX_RATE": 20}])
    return int(number)


def _priced(world: World) -> int:
    world.do("crm.item.productrow.add", fields={"ownerType": "D", "ownerId": world.deal, "productName": "x",
        "price": 80000, "quantity": 1, "taxRate": 10})  # fmt: skip
    return int(world.deal)


def _merged(world: World) -> list[int]:
    return [world.do("crm.contact.add", fields={"NAME": "Анна"}) for _ in range(3)]


def _history(world: World) -> int:
    """A filter by an owner that has a history."""
    return int(world.deal)


def _own_name(world: World) -> str:
    return f"UF_CRM_{world.type}_N{world.new('lead')}"


def _addressed(world: World) -> int:
    number = world.new("contact")
    world.do("crm.address.add", fields={"TYPE_ID": 1, "ENTITY_TYPE_ID": 3, "ENTITY_ID": number})
    return int(number)


def _registered(world: World) -> int:
    return int(world.do("crm.requisite.add", fields={"ENTITY_TYPE_ID": 4, "ENTITY_ID": world.company, "PRESET_ID": 1,
        "NAME": "x"}))  # fmt: skip


def _requisite_with_address(world: World) -> int:
    world.do("crm.address.add", fields={"TYPE_ID": 1, "ENTITY_TYPE_ID": 8, "ENTITY_ID": (number := _registered(world)),
        "ADDRESS_1": "x"})  # fmt: skip
    return number


def _linked_requisites(world: World) -> int:
    deal = world.new("deal")
    zero = dict.fromkeys(("REQUISITE_ID", "BANK_DETAIL_ID", "MC_REQUISITE_ID", "MC_BANK_DETAIL_ID"), 0)
    world.do("crm.requisite.link.register", fields={"ENTITY_TYPE_ID": 2, "ENTITY_ID": deal, **zero})
    return int(deal)


def _noted(world: World) -> int:
    fields = {"ENTITY_TYPE": "lead", "ENTITY_ID": world.lead, "COMMENT": "x"}
    comment = world.do("crm.timeline.comment.add", fields=fields)
    world.do("crm.timeline.note.save", ownerTypeId=1, ownerId=world.lead, itemType=1, itemId=comment, text="x")
    return int(comment)


def _blocks(world: World, holder: str) -> Any:
    number = world.new("activity" if holder == "activity" else "comment")
    text = {"value": "x", "multiline": True, "bold": True, "color": "base_90"}
    inner = {"type": "text", "properties": {"value": "x"}}
    link = {"text": "x", "bold": True, "action": {"type": "redirect", "uri": "/"}}
    blocks = {
        "block_1": {"type": "text", "properties": text}, "block_2": {"type": "largeText", "properties": {"value": "x"}},
        "block_3": {"type": "link", "properties": link},
        "block_4": {"type": "withTitle", "properties": {"title": "x", "block": inner}},
    }  # fmt: skip
    name = "activityId" if holder == "activity" else "timelineId"
    world.do(f"crm.{holder}.layout.blocks.set", entityTypeId=2, entityId=world.deal, layout={"blocks": blocks},
        **{name: number})  # fmt: skip
    return number


def _bound_twice(world: World) -> int:
    number = world.new("activity")
    world.do("crm.activity.binding.add", activityId=number, entityTypeId=3, entityId=world.contact)
    return int(number)


def _pinned(world: World) -> int:
    number = world.new("comment")
    world.do("crm.timeline.item.pin", id=number, ownerTypeId=2, ownerId=world.deal)
    return int(number)


def _extra_comment(world: World) -> int:
    """A comment of the deal that is bound to another deal too."""
    number = world.new("comment")
    world.do("crm.timeline.bindings.bind", fields={"OWNER_ID": number, "ENTITY_ID": 1, "ENTITY_TYPE": "deal"})
    return int(number)


RULES += [
    (r"crm\.(lead|deal|company|quote)\.contact\.delete", {"fields.CONTACT_ID": _linked}),
    (r"crm\.contact\.company\.delete", {"fields.COMPANY_ID": _linked_company}),
    (r"crm\.(lead|deal|company|quote)\.contact\.items\.get", {"id2": _linked}),
    (r"crm\.quote\.list", {"filter.=COMPANY_ID": lambda world: world.quote and world.company}),
    (r"crm\.company\.list", {"filter.>=DATE_CREATE": lambda world: world.company and "2020-01-01"}),
    (r"crm\.item\.(get|update|delete)", {"entityTypeId": lambda world: 2, "id": _fresh("deal")}),
    (r"crm\.item\.get", {"entityTypeId": lambda world: 1, "id": _of("lead")}),
    (r"crm\.item\.update", {"fields.categoryId": _of("category"),
        "fields.stageId": lambda world: f"C{world.category}:NEW"}),
    (r"crm\.item\.productrow\.(get|update)", {"id": _fresh("row")}),
    (r"crm\.item\.productrow\.delete", {"id": _fresh("row")}),
    (r"crm\.item\.productrow\.list", {"filter.=ownerId": _priced}),
    (r"crm\.item\.productrow\.getAvailableForPayment", {"ownerId": _priced}),
    (r"crm\.deal\.productrows\.get", {"id": lambda world: _with_rows(world, "deal")}),
    (r"crm\.lead\.productrows\.get", {"id": lambda world: _with_rows(world, "lead")}),
    (r"crm\.quote\.productrows\.get", {"id": lambda world: _with_rows(world, "quote")}),
    (r"crm\.contact\.company\.items\.get", {"id2": _linked_company}),
    (r"crm\.(deal|contact)\.list", {"filter": lambda world: {}}),
    (r"crm\.item\.fields", {"entityTypeId": _of("spa")}),
    (r"crm\.item\.batchImport", {"data.1.opportunity": lambda world: "ерунда"}),
    (r"crm\.(deal|lead|contact|company)\.details\.configuration\.get", {"userId": lambda world: 1,
        "scope": lambda world: "P", "extras": lambda world: {"dealCategoryId": 0}, "x": lambda world: [
        world.do(f"crm.{word}.details.configuration.set", **LAYOUT) for word in ("deal", "lead", "contact", "company")
        ] and 1}),
    (r"crm\.item\.details\.configuration\.get", {"x": lambda world: world.do("crm.item.details.configuration.set",
        entityTypeId=2, extras={"dealCategoryId": world.category}, scope="C", **LAYOUT) and 1}),
    (r"crm\.category\.(get|update)", {"entityTypeId": lambda world: 2, "id": _of("category")}),
    (r"crm\.category\.update", {"entityTypeId": _of("spa"), "id": _of("spa_category")}),
    (r"crm\.category\.add", {"entityTypeId": _of("spa")}),
    (r"crm\.category\.delete", {"id": _fresh("category")}),
    (r"crm\.type\.(get|update)", {"id": _of("type")}),
    (r"crm\.type\.delete", {"id": _fresh("type")}),
    (r"crm\.type\.getByEntityTypeId", {"entityTypeId": _of("spa")}),
    (r"crm\.status\.add", {"fields.ENTITY_ID": lambda world: f"DEAL_STAGE_{world.category}",
        "fields.SORT": lambda world: 15}),
    (r"crm\.status\.(get|update)", {"id": _of("status")}),
    (r"crm\.status\.delete", {"id": _fresh("status")}),
    (r"crm\.stagehistory\.list", {"filter.OWNER_ID": _history}),
    (r"crm\.duplicate\.findbycomm", {"values": lambda world: [
        world.do("crm.contact.get", id=world.contact)["PHONE"][0]["VALUE"]]}),
    (r"crm\.duplicate\.volatileType\.unregister", {"id": _fresh("volatile")}),
    (r"crm\.duplicate\.volatileType\.list", {"id": lambda world: world.do(
        "crm.duplicate.volatileType.register", entityTypeId=1, fieldCode="TITLE") and 0}),
    (r"crm\.entity\.mergeBatch", {"params.entityIds": _merged}),
    (r"crm\.activity\.(get|update)", {"id": _of("activity")}),
    (r"crm\.activity\.delete", {"id": _fresh("activity")}),
    (r"crm\.activity\.list", {"filter.OWNER_TYPE_ID": lambda world: 2, "filter.OWNER_ID": lambda world: (
        world.activity, world.deal)[1]}),
    (r"crm\.activity\.todo\.update.*", {"id": _of("todo")}),
    (r"crm\.activity\.configurable\.(add|update)", {"fields.badgeCode": _of("badge")}),
    (r"crm\.activity\.configurable\.(get|update)", {"id": _of("configurable")}),
    (r"crm\.activity\.configurable\.update", {"fields.deadline": lambda world: None}),
    (r"crm\.activity\.badge\.(get|list)", {"code": _of("badge")}),
    (r"crm\.activity\.badge\.delete", {"code": _fresh("badge")}),
    (r"crm\.activity\.type\.list", {"x": _of("activity_type")}),
    (r"crm\.activity\.type\.delete", {"TYPE_ID": _fresh("activity_type")}),
    (r"crm\.activity\.binding\.(list|move)", {"activityId": _fresh("activity")}),
    (r"crm\.activity\.binding\.move", {"targetEntityId": lambda world: 1}),
    (r"crm\.activity\.binding\.add", {"activityId": _fresh("activity"), "entityTypeId": lambda world: 3,
        "entityId": _of("contact")}),
    (r"crm\.activity\.binding\.delete", {"activityId": _bound_twice, "entityTypeId": lambda world: 3,
        "entityId": _of("contact")}),
    (r"crm\.activity\.layout\.blocks\.(get|delete)", {"activityId": lambda world: _blocks(world, "activity")}),
    (r"crm\.activity\.layout\.blocks\.set", {"activityId": _fresh("activity")}),
    (r"crm\.timeline\.layout\.blocks\.set", {"timelineId": _fresh("comment")}),
    (r"crm\.timeline\.layout\.blocks\.(get|delete)", {"timelineId": lambda world: _blocks(world, "timeline")}),
    (r"crm\.timeline\.comment\.(get|update)", {"id": _of("comment")}),
    (r"crm\.timeline\.comment\.list", {"filter.ENTITY_ID": lambda world: (world.comment, world.deal)[1]}),
    (r"crm\.timeline\.comment\.delete", {"id": _fresh("comment")}),
    (r"crm\.timeline\.logmessage\.get", {"id": _of("message")}),
    (r"crm\.timeline\.logmessage\.list", {"entityId": lambda world: (world.message, world.lead)[1]}),
    (r"crm\.timeline\.logmessage\.delete", {"id": _fresh("message")}),
    (r"crm\.timeline\.icon\.get", {"code": _of("icon")}),
    (r"crm\.timeline\.icon\.delete", {"code": _fresh("icon")}),
    (r"crm\.timeline\.logo\.get", {"code": _of("logo")}),
    (r"crm\.timeline\.logo\.delete", {"code": _fresh("logo")}),
    (r"crm\.timeline\.note\..*", {"itemId": _noted}),
    (r"crm\.timeline\.item\.pin", {"id": _fresh("comment")}),
    (r"crm\.timeline\.item\.unpin", {"id": _pinned}),
    (r"crm\.timeline\.bindings\.bind", {"fields.OWNER_ID": _fresh("comment")}),
    (r"crm\.timeline\.bindings\.unbind", {"fields.OWNER_ID": _extra_comment}),
    (r"crm\.timeline\.bindings\.list", {"filter.OWNER_ID": _of("comment")}),
    (r"crm\.address\.add", {"fields.ENTITY_ID": _registered}),
    (r"crm\.address\.(update|delete)", {"fields.ENTITY_ID": _addressed}),
    (r"crm\.address\.list", {"filter.ENTITY_ID": _requisite_with_address}),
    (r"crm\.requisite\.(get|update)", {"id": _of("requisite")}),
    (r"crm\.requisite\.delete", {"id": _fresh("requisite")}),
    (r"crm\.requisite\.bankdetail\.add", {"fields.ENTITY_ID": _of("requisite")}),
    (r"crm\.requisite\.bankdetail\.(get|update)", {"id": _of("bank")}),
    (r"crm\.requisite\.bankdetail\.delete", {"id": _fresh("bank")}),
    (r"crm\.requisite\.bankdetail\.list", {"filter.COUNTRY_ID": lambda world: world.bank and "1"}),
    (r"crm\.requisite\.list", {"filter.PRESET_ID": lambda world: world.requisite and "1"}),
    (r"crm\.requisite\.preset\.(get|update)", {"id": _of("preset")}),
    (r"crm\.requisite\.preset\.delete", {"id": _fresh("preset")}),
    (r"crm\.requisite\.preset\.field\..*", {"preset.ID": _fresh("preset")}),
    (r"crm\.requisite\.preset\.field\.(get|update|delete)", {"ID": lambda world: 1}),
    (r"crm\.requisite\.userfield\.(get|update)", {"id": _of("userfield_requisite")}),
    (r"crm\.requisite\.userfield\.delete", {"id": _fresh("userfield_requisite")}),
    (r"crm\.requisite\.userfield\.list", {"filter.MANDATORY": lambda world: world.userfields_requisite and "N"}),
    (r"crm\.requisite\.link\.register", {"fields.ENTITY_TYPE_ID": lambda world: 2, "fields.ENTITY_ID": _of("deal"),
        "fields.REQUISITE_ID": _of("requisite"), "fields.BANK_DETAIL_ID": _of("bank"),
        "fields.MC_REQUISITE_ID": _of("requisite"), "fields.MC_BANK_DETAIL_ID": _of("bank")}),
    (r"crm\.requisite\.link\.(get|unregister)", {"entityTypeId": lambda world: 2, "entityId": _linked_requisites}),
    (r"crm\.requisite\.link\.list", {"x": _linked_requisites}),
    (r"crm\.currency\.delete", {"id": _fresh("currency")}),
    (r"crm\.currency\.localizations\.(set|delete)", {"id": _of("currency")}),
    (r"crm\.currency\.(get|localizations\.get)", {"id": lambda world: "RUB"}),
    (r"crm\.currency\.update", {"ID": _of("currency")}),
    (r"crm\.automation\.trigger\.execute", {"CODE": _of("trigger")}),
    (r"crm\.automation\.trigger\.delete", {"CODE": _fresh("trigger")}),
    (r"crm\.automation\.trigger\.list", {"x": _of("trigger")}),
    (r"crm\.automation\.trigger", {"target": lambda world: f"DEAL_{world.deal}"}),
    (r"crm\.item\.details\.configuration\..*", {"entityTypeId": lambda world: 2}),
    (r"crm\.deal\.recurring\.(get|update|expose)", {"id": _of("recurring")}),
    (r"crm\.deal\.recurring\.delete", {"id": _fresh("recurring")}),
    (r"crm\.deal\.recurring\.add", {"fields.DEAL_ID": _fresh("deal")}),
    (r"userfieldconfig\.add", {"field.entityId": lambda world: f"CRM_{world.type}", "field.fieldName": _own_name}),
    (r"userfieldconfig\.(get|update)", {"id": _of("userfield_spa")}),
    (r"userfieldconfig\.list", {"filter.multiple": lambda world: world.userfield_spa and "Y"}),
    (r"userfieldconfig\.delete", {"id": _fresh("userfield_spa")}),
]  # fmt: skip

RULES += payments_of_crm.RULES + crm_more.RULES

# --- what is refused --------------------------------------------------------------------------------------------------

# Methods without a parameter that could be wrong, or whose page documents no refusal of a wrong one.
_NO_REFUSAL = re.compile(
    r"crm\.(.*\.(fields|types)|enum\..*|(lead|deal|contact|company|quote)\.(list|details\.configuration\..*)"
    r"|requisite\.(list|preset\.(list|countries)|bankdetail\.list|link\.list)|address\.list|currency\.(list|base\.get)"
    r"|activity\.(badge\.list|type\.list)|duplicate\.volatileType\.(list|fields)|timeline\.(icon|logo)\.list"
    r"|type\.list|.*\.userfield\.list|status\.(list|entity\.items)|settings\.mode\.get|automation\.trigger\.list"
    r"|userfield\.settings\.fields|timeline\.logmessage\.list|deal\.recurring\.list|activity\.list"
    r"|calllist\.statuslist)"
)
# Methods that speak of no stored object, take any id in what they store, or list nothing of an item that is not there.
_NO_OBJECT = re.compile(
    r"crm\.((lead|deal|contact|company|quote)\.(add|userfield\.add)|item\.(add|import|batchImport|list|fields)"
    r"|item\.(payment|delivery)\.list"
    r"|type\.add|category\.(add|list)|status\.add|currency\.add|activity\.(badge\.add|type\.add)"
    r"|item\.details\.configuration\..*|timeline\.(icon|logo)\.add|duplicate\.findbycomm|stagehistory\.list"
    r"|duplicate\.volatileType\.register|requisite\.(preset\.add|userfield\.add)|automation\.trigger\.add"
    r"|tracking\.trace\.delete)"
)


def refuses_nonsense(name: str) -> bool:
    """True for methods of CRM that answer nonsense by an error."""
    return _NO_REFUSAL.fullmatch(name) is None and name not in ("userfieldconfig.list",)


def refuses_absent(name: str) -> bool:
    """True for methods of CRM that answer an object that does not exist by an error."""
    return refuses_nonsense(name) and _NO_OBJECT.fullmatch(name) is None and name != "userfieldconfig.getTypes"


_TYPE_KEY = re.compile(r"(?i).*(type_?id|type|sort|user_?id|assigned_?by_?id|responsible_?id|country_?id)$")


def absent(value: Any, key: str = "") -> Any:
    """The example's request with ids that no portal has."""
    if isinstance(value, dict):
        if not key and len(value) == 1 and not isinstance(next(iter(value.values())), (dict, list)):
            return {name: 999999 if str(child).isdigit() else "absent" for name, child in value.items()}
        return {name: absent(child, name) for name, child in value.items()}
    if isinstance(value, list):
        return [absent(child, key) for child in value]
    bare = key.lower().lstrip("=@!<>")
    if _TYPE_KEY.match(bare):
        return value
    if bare.endswith("id") or bare.endswith("ids"):
        return 999999 if str(value).isdigit() else "absent"
    return "absent" if bare == "code" else "ABSENT_999999" if bare == "target" else value
