"""The document generator: what a template becomes, how numbers count, who may do what; each documented refusal."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from typing import Any

import pytest
import requests

from sandbox.client import Sandbox
from tests.sandbox.example_documents import paragraph, table, word

NAME = "documentgenerator"
SEQUENCE = "Bitrix_Main_Numerator_Generator_SequentNumberGenerator"
LISTS = "Bitrix\\DocumentGenerator\\DataProvider\\ArrayDataProvider"
NO_TEMPLATES = ("0", "You do not have permissions to modify templates")
NO_DOCUMENTS = ("0", "You do not have permissions to view documents")
NO_SETTINGS = ("0", "You do not have permissions to modify settings")
THIS_TEMPLATE = ("0", "You do not have permissions to modify this template")
DENIED = ("DOCGEN_ACCESS_ERROR", "Access denied")


class Rest:
    """The methods of the family for one person; `me` alone by the webhook, which never expires."""

    def __init__(self, portal: Sandbox, user_id: int = 0) -> None:
        self.portal = portal
        self.token = portal.token_of(user_id) if user_id else ""

    def __call__(self, name: str, **params: Any) -> Any:
        body = self.portal.call(f"{NAME}.{name}", params, token=self.token)
        assert "error" not in body, (name, params, body)
        return body["result"]

    def refusal(self, name: str, **params: Any) -> tuple[Any, str]:
        body = self.portal.call(f"{NAME}.{name}", params, token=self.token)
        assert "result" not in body, (name, params, body)
        return body["error"], body["error_description"]

    def template(self, body: str = paragraph("{Client}"), **more: Any) -> int:
        fields = {"name": "Договор", "file": word(body), "numeratorId": 1, "region": "ru", "users": ["UA"], **more}
        return int(self("template.add", fields=fields)["template"]["id"])

    def document(self, template: int, value: str = "ORDER_1", **more: Any) -> dict[str, Any]:
        return dict(self("document.add", templateId=template, value=value, **more)["document"])

    def role(self, *codes: str, **rights: str) -> int:
        """A new role with the rights (documents_view="X"), the only one of those codes."""
        permissions: dict[str, dict[str, str]] = {}
        for name, level in rights.items():
            entity, action = name.upper().split("_")
            permissions.setdefault(entity, {})[action] = level
        number = int(self("role.add", fields={"name": "Роль", "permissions": permissions})["role"]["id"])
        self("role.fillaccesses", accesses=[{"roleId": number, "accessCode": code} for code in codes])
        return number


@pytest.fixture
def rest(portal: Sandbox) -> Rest:
    return Rest(portal)


@pytest.fixture
def anna(installed: Sandbox) -> Rest:
    """A plain employee of the sales department (4)."""
    return Rest(installed, 4)


def download(portal: Sandbox, url: str) -> requests.Response:
    return portal.session.get(url, timeout=10)


def text_of(content: bytes, part: str = "document") -> str:
    """The text of a Word part: paragraphs and lines end with a line break."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        xml = archive.read(f"word/{part}.xml").decode()
    return re.sub(r"<[^>]+>", "", re.sub(r"</w:p>|<w:br/>", "\n", xml)).strip()


def made(rest: Rest, body: str, **params: Any) -> str:
    """The text of a document of a template with that body."""
    document = rest.document(rest.template(body), **params)
    return text_of(download(rest.portal, document["downloadUrlMachine"]).content)


def test_a_document_lives_from_its_template_to_its_deletion(portal: Sandbox, rest: Rest) -> None:
    numerator = rest("numerator.add", fields={"name": "Счета", "template": "INV-{NUMBER}"})["numerator"]
    template = rest.template(paragraph("№ {DocumentNumber} для {Client}"), numeratorId=numerator["id"], name="Счёт")
    fields = rest("template.getfields", id=template)["templateFields"]
    assert list(fields) == ["DocumentNumber", "Client", "DocumentTitle"]
    assert (fields["DocumentNumber"]["value"], fields["DocumentTitle"]["default"]) == ("INV-1", "Счёт INV-1")
    document = rest.document(template, value="DEAL_7", values={"Client": "ООО «Лес & Ко»"})
    assert (document["number"], document["title"], document["value"]) == ("INV-1", "Счёт INV-1", "DEAL_7")
    answer = download(portal, document["downloadUrlMachine"])
    assert "wordprocessingml" in answer.headers["Content-Type"]
    assert text_of(answer.content) == "№ INV-1 для ООО «Лес &amp; Ко»"
    assert portal.result("disk.file.get", {"id": document["emailDiskFile"]})["NAME"] == "Счёт INV-1.docx"
    changed = rest("document.update", id=document["id"], values={"DocumentNumber": "7", "Client": "Иван"})["document"]
    assert (changed["number"], changed["title"], changed["updatedBy"]) == ("7", "Счёт 7", 1)
    assert text_of(download(portal, changed["downloadUrlMachine"]).content) == "№ 7 для Иван"
    shown = rest("document.get", id=document["id"])["document"]
    assert shown == changed
    assert (shown["id"], shown["createdBy"], document["id"], document["createdBy"]) == ("1", "1", 1, 1)
    assert shown["values"] == {
        "productsTableVariant": "", "_creationMethod": "rest", "stampsEnabled": True, "Client": "Иван",
    }  # fmt: skip
    assert "pdfUrl" not in shown
    assert rest("document.delete", id=document["id"]) is None
    assert rest.refusal("document.get", id=document["id"]) == ("0", "Document not found")
    assert download(portal, document["downloadUrlMachine"]).status_code == 404
    assert portal.call("disk.file.get", {"id": document["emailDiskFile"]})["error"] == "ERROR_NOT_FOUND"
    told = [(one["change"], one["type"]) for one in portal.ledger() if one["kind"] == "effect"]
    assert told == [("create", "numerator"), ("create", "document_template"), ("create", "document"),
        ("update", "document"), ("delete", "document")]  # fmt: skip


ANNA = {"NAME": "Анна", "LAST_NAME": "Кузнецова", "SECOND_NAME": "Петровна"}
MOMENT = "2026-03-08T09:05:07+03:00"
TEXTS: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "a value": ("{A}", "x", {}, "x"),
    "no value": ("[{A}]", None, {}, "[]"),
    "another field": ("{B}", "x", {}, ""),
    "lines": ("{A}", "раз\nдва", {}, "раз\nдва"),
    "what XML would read": ("{A}", "<w:p/> & <b>", {}, "&lt;w:p/&gt; &amp; &lt;b&gt;"),
    "a number": ("{A}", 5, {}, "5"),
    "a date in a format": ("{A}", MOMENT, {"TYPE": "DATE", "FORMAT": {"format": "j F Y, f, d.m.y H:i:s"}},
        "8 марта 2026, Март, 08.03.26 09:05:07"),
    "a date as the region writes it": ("{A}", MOMENT, {"TYPE": "DATE"}, "08.03.2026"),
    "no date": ("{A}", "завтра", {"TYPE": "DATE"}, "завтра"),
    "a date without its type": ("{A}", MOMENT, {}, MOMENT),
    "a modifier in the template": ("{A~format=Y}", MOMENT, {"TYPE": "DATE"}, "2026"),
    "a name": ("{A}", ANNA, {"TYPE": "NAME", "FORMAT": {"format": "#NAME# #SECOND_NAME_SHORT# #LAST_NAME#"}},
        "Анна П. Кузнецова"),
    "a name as the region writes it": ("{A}", ANNA, {"TYPE": "NAME"}, "Кузнецова Анна Петровна"),
    "an image that is not fetched": ("{A}", "https://example.com/a.png", {"TYPE": "IMAGE"}, ""),
    "a list without a provider": ("{A}", [{"x": 1}], {}, ""),
}  # fmt: skip


def test_a_field_becomes_its_text(rest: Rest) -> None:
    for case, (body, value, spec, wanted) in TEXTS.items():
        values = {} if value is None else {"A": value}
        assert made(rest, paragraph(body), values=values, fields={"A": spec}) == wanted, case


def test_a_field_that_word_split_over_runs_is_one(rest: Rest) -> None:
    body = paragraph("Для {Cl", "ie", "nt}, ", "{Client}") + paragraph("{Cli") + paragraph("ent}")
    assert made(rest, body, values={"Client": "Ивана"}) == "Для Ивана, Ивана\n{Cli\nent}"


def test_headers_are_filled_and_other_parts_stay(portal: Sandbox, rest: Rest) -> None:
    template = rest.template(file=word(paragraph("тело"), header1=paragraph("{Client}")))
    assert "Client" in rest("template.getfields", id=template)["templateFields"]
    document = rest.document(template, values={"Client": "Иван"})
    content = download(portal, document["downloadUrlMachine"]).content
    assert (text_of(content, "header1"), text_of(content)) == ("Иван", "тело")
    assert "[Content_Types].xml" in zipfile.ZipFile(io.BytesIO(content)).namelist()


def spec_of(item: str) -> dict[str, Any]:
    return {"PROVIDER": LISTS, "OPTIONS": {"ITEM_NAME": item, "ITEM_PROVIDER": LISTS.replace("Array", "Hash")}}


GOODS = {"No": "Table.INDEX", "Item": "Table.Item.Name", "Price": "Table.Item.Price", "Note": "как есть"}
GOODS_ROW = (paragraph("{No}"), paragraph("{Item}"), paragraph("{Price}"), paragraph("{Note}"))


def test_a_row_of_a_table_is_repeated_for_every_item_of_a_list(rest: Rest) -> None:
    goods = [{"Name": "Стол", "Price": "$1"}, {"Name": "Стул", "Price": "$2"}]
    head = (paragraph("№"),)
    rows = ["№\n1\nСтол\n$1\nкак есть\n2\nСтул\n$2\nкак есть", "№"]
    plain, layout = table(head, GOODS_ROW), table((table(head, GOODS_ROW) + paragraph(""),))
    for items, wanted in zip((goods, []), rows, strict=True):
        params = {"values": {"Table": items, **GOODS}, "fields": {"Table": spec_of("Item")}}
        assert made(rest, plain, **params) == wanted
        assert made(rest, layout, **params) == wanted
    bare = made(rest, plain, values={"Table": goods, **GOODS})
    assert bare == "№\nTable.INDEX\nTable.Item.Name\nTable.Item.Price\nкак есть"


def test_a_table_inside_of_a_repeated_row_has_its_own_list(rest: Rest) -> None:
    body = table((paragraph("{Title}") + table((paragraph("{Speaker}"),)),))
    values = {
        "Events": [{"Title": "Первое", "Who": "{OneName}"}, {"Title": "Второе", "Who": "{TwoName}"}],
        "Title": "Events.Event.Title", "Speaker": "Events.Event.Who",
        "One": [{"Name": "Анна"}, {"Name": "Борис"}], "OneName": "One.Person.Name",
        "Two": [{"Name": "Вера"}], "TwoName": "Two.Person.Name",
    }  # fmt: skip
    fields = {"Events": spec_of("Event"), "One": spec_of("Person"), "Two": spec_of("Person")}
    assert made(rest, body, values=values, fields=fields) == "Первое\nАнна\nБорис\nВторое\nВера"


def settings(**own: Any) -> dict[str, Any]:
    return {SEQUENCE: own}


def test_a_numerator_counts_what_documents_take(rest: Rest) -> None:
    own = settings(start=1000, step=5, length=8, padString="0", periodicBy="year", timezone="Europe/Berlin")
    made = rest("numerator.add", fields={"name": "Н", "template": "INV-{NUMBER}", "settings": own})["numerator"]
    assert made["settings"][SEQUENCE] == {**own[SEQUENCE], "isDirectNumeration": False}
    template = rest.template(numeratorId=made["id"])
    for _ in range(2):  # a look takes no number
        assert rest("template.getfields", id=template)["templateFields"]["DocumentNumber"]["value"] == "INV-00001000"
    numbers = [rest.document(template, **more)["number"] for more in ({}, {"values": {"DocumentNumber": "x"}}, {})]
    assert numbers == ["INV-00001000", "x", "INV-00001005"]
    update = {"name": "Н2", "template": "U-{NUMBER}", "settings": settings(start=5, step=10, length=0)}
    changed = rest("numerator.update", id=made["id"], fields=update)
    assert (changed["id"], changed["settings"][SEQUENCE]["step"]) == (str(made["id"]), 10)
    assert [rest.document(template)["number"] for _ in range(2)] == ["U-1010", "U-1020"]
    rest.portal.control("POST", "time", {"shift_seconds": 366 * 86400})
    assert [rest.document(template)["number"] for _ in range(2)] == ["U-5", "U-15"]
    assert rest("numerator.get", id=made["id"])["numerator"] == changed
    assert [one["name"] for one in rest("numerator.list")["numerators"]] == ["Общий номер", "Н2"]
    assert rest("numerator.delete", id=made["id"]) is None
    assert rest.document(template)["number"] == "8"  # without a numerator the document's own id


def test_settings_of_a_numerator_that_mean_nothing_stay_at_their_defaults(rest: Rest) -> None:
    odd = settings(start="x", step=0, length=-1, periodicBy="hour", timezone="Mars", isDirectNumeration="1")
    numerator = rest("numerator.add", fields={"name": "Н", "template": "{NUMBER}", "settings": odd})["numerator"]
    assert numerator["settings"][SEQUENCE] == {
        "start": 1, "step": 1, "length": 0, "padString": "0", "periodicBy": None, "timezone": None,
        "isDirectNumeration": True,
    }  # fmt: skip


FULL = {"name": "x", "numeratorId": 1, "region": "ru"}
NO_FILE = ("0", "Missing file content")
FIELDS = ("100", "Could not find value for parameter {fields}")
NO_ID = ("100", "Could not find value for parameter {id}")
NOT_A_MAP = ("100", "Invalid value to match with parameter {fields}. Should be value of type array")
CONSTRUCTOR = "Bitrix\\DocumentGenerator\\{} constructor must be public"
NO_NUMERATOR = ("100", "Bitrix\\Main\\Numerator\\Numerator constructor must be public")
NO_ROLE = ("100", "Bitrix\\DocumentGenerator\\Model\\Role All parameters in the constructor must have real class type")
GONE = {"id": 999999}
REFUSALS: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    *((f"{kind}.add", {}, FIELDS) for kind in ("numerator", "region", "role", "template")),
    *((f"{kind}.update", {"id": 1}, FIELDS) for kind in ("numerator", "region", "role", "template")),
    *((f"{kind}.add", {"fields": {}}, FIELDS) for kind in ("region", "role")),
    ("template.add", {"fields": "x"}, NOT_A_MAP),
    ("template.add", {"fields": {}}, ("0", "Empty required fields: name, numeratorId, region")),
    ("template.add", {"fields": {"name": "x", "region": "ru"}}, ("0", "Empty required fields: numeratorId")),
    *(("template.add", {"fields": {**FULL, **more}}, NO_FILE) for more in (
        {}, {"file": "AAAA"}, {"file": "не base64"}, {"file": ["a.docx"]}, {"fileId": 999999}, {"fileId": 1})),
    *((f"template.{verb}", {"fields": FULL}, ("100", CONSTRUCTOR.format("Template")))
      for verb in ("get", "getfields", "update", "delete")),
    *((f"template.{verb}", {**GONE, "fields": FULL}, ("0", "Template not found"))
      for verb in ("get", "getfields", "update", "delete")),
    *((f"document.{verb}", {}, ("100", CONSTRUCTOR.format("Document"))) for verb in ("update", "delete", "getfields")),
    *((f"document.{verb}", {}, ("100", CONSTRUCTOR.format("Document").replace("be public", "be is public")))
      for verb in ("get", "enablepublicurl")),
    *((f"document.{verb}", GONE, ("0", "Document not found"))
      for verb in ("get", "update", "delete", "getfields", "enablepublicurl")),
    ("document.add", {"value": "x"}, ("100", CONSTRUCTOR.format("Template").replace("be public", "be is public"))),
    ("document.add", {"templateId": 999999, "value": "x"}, ("0", "Template not found")),
    ("document.list", {"filter": {"nothing": 1}}, ("100", "Unknown field definition `NOTHING` (NOTHING) for "
        "\\Bitrix\\DocumentGenerator\\Model\\Document Entity.")),
    ("numerator.add", {"fields": {"x": 1}}, ("0", "Empty required fields: name, template")),
    ("numerator.add", {"fields": {"name": "x"}}, ("0", "Empty required fields: template")),
    *((f"numerator.{verb}", {"fields": FULL}, NO_NUMERATOR) for verb in ("get", "update", "delete")),
    *((f"numerator.{verb}", {**GONE, "fields": FULL}, ("100", "Could not construct parameter {numerator}"))
      for verb in ("get", "update", "delete")),
    *((f"numerator.{verb}", {"id": 1, "fields": FULL}, DENIED) for verb in ("update", "delete")),
    ("region.add", {"fields": {"languageId": "de"}}, ("BX_EMPTY_REQUIRED", 'Required field "TITLE" is not filled')),
    *((f"region.{verb}", {"fields": FULL}, NO_ID) for verb in ("get", "update", "delete")),
    *((f"region.{verb}", {"id": "xx", "fields": FULL}, ("0", "Region not found")) for verb in ("get", "update")),
    ("region.update", {"id": "de", "fields": FULL}, ("0", "Region not found")),
    ("role.add", {"fields": {"code": "x"}}, ("BX_EMPTY_REQUIRED", 'Required field "NAME" is not filled')),
    *((f"role.{verb}", {"fields": FULL}, NO_ROLE) for verb in ("get", "update", "delete")),
    *((f"role.{verb}", {**GONE, "fields": FULL}, ("100", "Could not construct parameter {role}"))
      for verb in ("get", "update", "delete")),
    ("role.update", {"id": 3, "fields": {}}, FIELDS),
    ("role.fillaccesses", {"accesses": [{"accessCode": "U1"}]},
     ("BX_EMPTY_REQUIRED", 'Required field "ROLE_ID" is not filled')),
    ("role.fillaccesses", {"accesses": [{"roleId": 1}]},
     ("BX_EMPTY_REQUIRED", 'Required field "ACCESS_CODE" is not filled')),
]  # fmt: skip


def test_each_documented_refusal_is_said(rest: Rest) -> None:
    template = rest.template()
    without_value = ("document.add", {"templateId": template}, ("0", 'Empty required parameter "value"'))
    for name, params, wanted in [*REFUSALS, without_value]:
        assert rest.refusal(name, **params) == wanted, (name, params)


def test_a_template_with_documents_is_only_marked(rest: Rest) -> None:
    used, unused = rest.template(), rest.template()
    document = rest.document(used)["id"]
    assert [rest("template.delete", id=number) for number in (used, unused)] == [None, None]
    assert rest.refusal("template.get", id=unused) == ("0", "Template not found")
    assert rest("template.get", id=used)["template"]["isDeleted"] == "Y"
    assert rest("template.list")["templates"] == {}
    assert list(rest("template.list", filter={"isDeleted": "Y"})["templates"]) == [str(used)]
    assert rest.refusal("template.getfields", id=used) == ("0", "Cannot get fields from deleted template")
    refused = ("0", "Cannot create document on deleted template")
    assert rest.refusal("document.add", templateId=used, value="x") == refused
    assert rest("document.update", id=document, values={"Client": "y"})["document"]["values"]["Client"] == "y"


def test_a_broken_file_makes_no_document_and_takes_no_place(rest: Rest) -> None:
    content = bytearray(base64.b64decode(word(paragraph("{Client}"))))
    place = content.index(b'<?xml version="1.0"?><Types/>')
    content[place] = ord("?")  # its checksum is wrong now
    template = rest.template(file=base64.b64encode(bytes(content)).decode())
    assert rest.refusal("document.add", templateId=template, value="x") == ("0", "Cannot create document")
    assert rest("document.list")["documents"] == []


def test_a_template_takes_its_file_in_each_documented_way(portal: Sandbox, rest: Rest) -> None:
    content = word(paragraph("{Own}"))
    storage = portal.result("disk.storage.getlist", {"filter": {"ENTITY_TYPE": "user", "ENTITY_ID": 1}})[0]["ID"]
    upload = {"id": storage, "data": {"NAME": "a.docx"}, "fileContent": ["a.docx", content]}
    file = portal.result("disk.storage.uploadfile", upload)["ID"]
    fields = {**FULL, "users": ["UA", "nonsense", "SG5_A"], "sort": "7", "withStamps": "Y", "active": "N"}
    ways: list[dict[str, Any]] = [{"fileId": file}, {"file": content}, {"file": ["a.docx", content]}]
    made = [rest("template.add", fields={**fields, **way})["template"] for way in ways]
    form = {f"fields[{name}]": str(value) for name, value in FULL.items()}
    files = {"fields[file]": ("a.docx", base64.b64decode(content))}
    answer = portal.session.post(f"{portal.ready['webhook']}{NAME}.template.add", data=form, files=files, timeout=10)
    made.append(answer.json()["result"]["template"])
    for template in made:
        assert download(portal, template["downloadMachine"]).content == base64.b64decode(content)
        assert "Own" in rest("template.getfields", id=template["id"])["templateFields"]
    first, last = made[0], made[-1]
    assert (first["users"], last["users"]) == ({"UA": "UA", "SG5_A": "SG5_A"}, {"U1": "U1"})
    assert [first[name] for name in ("sort", "withStamps", "active")] == ["7", "Y", "N"]
    portal.result("disk.file.delete", {"id": file})  # a template has a copy of its own
    assert rest.document(int(first["id"]))["stampsEnabled"] is True
    update = {"file": word(paragraph("{Other}")), "name": "Новое", "code": "NEW"}
    changed = rest("template.update", id=first["id"], fields=update)["template"]
    assert (changed["name"], changed["code"], changed["sort"]) == ("Новое", "NEW", "7")
    assert "Other" in rest("template.getfields", id=first["id"])["templateFields"]
    assert rest.refusal("template.update", id=first["id"], fields={"file": "AAAA"}) == NO_FILE


def test_a_file_of_another_s_drive_makes_no_template(rest: Rest, anna: Rest) -> None:
    portal = rest.portal
    rest.role("U4", templates_modify="A")
    own = portal.result("disk.storage.getlist", {"filter": {"ENTITY_TYPE": "user", "ENTITY_ID": 1}})[0]["ID"]
    upload = {"id": own, "data": {"NAME": "a.docx"}, "fileContent": ["a.docx", word("")]}
    file = portal.result("disk.storage.uploadfile", upload)["ID"]
    assert anna.refusal("template.add", fields={**FULL, "fileId": file}) == NO_FILE
    share = {
        "id": portal.result("disk.file.get", {"id": file})["PARENT_ID"],
        "userId": 4,
        "taskName": "disk_access_read",
    }
    portal.result("disk.folder.sharetouser", share)
    assert anna("template.add", fields={**FULL, "fileId": file})["template"]["users"] == {"U4": "U4"}


def test_a_region_of_one_s_own_formats_dates_and_names(rest: Rest) -> None:
    fields = {"title": "Своя", "languageId": "de", "formatDate": "YYYY-MM-DD", "formatName": "#NAME# #LAST_NAME#",
        "phrases": {"TAX_INCLUDED": "mit Steuer", "OTHER": "x"}}  # fmt: skip
    region = rest("region.add", fields=fields)["region"]
    number = region["id"]
    changed = rest("region.update", id=number, fields={"title": "Deutsch", "phrases": {"OTHER": "y"}})["region"]
    assert changed == {**region, "title": "Deutsch", "phrases": {"TAX_INCLUDED": "mit Steuer", "OTHER": "y"}}
    assert rest("region.get", id=number)["region"] == changed
    known = rest("region.list")["regions"]
    assert (known[number]["code"], known["de"]) == (number, {"code": "de", "title": "Германия", "languageId": "de"})
    assert "id" not in rest("region.get", id="de")["region"]
    template = rest.template(paragraph("{A} {B} {C} {TAX_INCLUDED}"), region=number)
    values = {"A": MOMENT, "B": ANNA, "C": MOMENT}
    specs = {"A": {"TYPE": "DATE"}, "B": {"TYPE": "NAME"}, "C": {"TYPE": "DATE", "FORMAT": {"format": "F"}}}
    document = rest.document(template, values=values, fields=specs)
    content = download(rest.portal, document["downloadUrlMachine"]).content
    assert text_of(content) == "2026-03-08 Анна Кузнецова März mit Steuer"
    linked = ("BX_ERROR", "There are templates linked to this region")
    assert rest.refusal("region.delete", id=number) == linked
    rest("template.update", id=template, fields={"region": "de"})
    assert [rest("region.delete", id=one) for one in (number, number, 999999)] == [None, None, None]
    assert rest.refusal("region.get", id=number) == ("0", "Region not found")


def test_fields_of_a_document_show_what_values_would_do(rest: Rest) -> None:
    document = rest.document(rest.template(), values={"Client": "Иван"})["id"]
    before = rest("document.getfields", id=document)["documentFields"]
    assert before["Client"] == {"value": "Иван", "default": ""}
    tried = rest("document.getfields", id=document, values={"Client": "Анна", "DocumentNumber": "9"})["documentFields"]
    assert (tried["Client"]["value"], tried["DocumentNumber"]["value"]) == ("Анна", "9")
    assert tried["DocumentNumber"]["default"] == before["DocumentNumber"]["default"]
    assert rest("document.getfields", id=document)["documentFields"] == before


def test_a_public_link_opens_and_remembers_that_it_was_opened(portal: Sandbox, rest: Rest) -> None:
    document = rest.document(rest.template(), values={"DocumentTitle": "Акт <1>"})
    assert document["publicUrl"] is None
    url = rest("document.enablepublicurl", id=document["id"])["publicUrl"]
    assert rest("document.enablepublicurl", id=document["id"], status=1)["publicUrl"] == url
    shown = rest("document.get", id=document["id"])["document"]
    assert (shown["publicUrl"], "publicUrlView" in shown) == (url, False)
    page = download(portal, url)
    assert "Акт &lt;1&gt;" in page.content.decode()
    link = re.search(r'href="([^"]+)"', page.content.decode())
    assert link is not None
    assert download(portal, link[1]).content[:2] == b"PK"
    assert "time" in rest("document.get", id=document["id"])["document"]["publicUrlView"]
    assert rest("document.enablepublicurl", id=document["id"], status=0) == {"publicUrl": None}
    assert download(portal, url).status_code == 404
    assert download(portal, document["downloadUrlMachine"][:-1]).status_code == 404


def test_lists_filter_select_sort_and_go_page_by_page(portal: Sandbox, rest: Rest) -> None:
    first, second = rest.template(name="Один", sort=2), rest.template(name="Два", sort=1, region="de")
    for index in range(51):
        rest.document(first if index else second, value=f"DEAL_{index}", values={"DocumentNumber": f"N{index}"})
    answer = portal.call(f"{NAME}.document.list", {"order": {"id": "desc"}})
    assert (answer["total"], answer["next"], answer["result"]["documents"][0]["number"]) == (51, 50, "N50")
    assert len(rest("document.list", start=50)["documents"]) == 1
    filters: list[tuple[dict[str, Any], list[str]]] = [
        ({"value": "DEAL_7"}, ["N7"]), ({"templateId": second}, ["N0"]), ({"TEMPLATE_ID": second}, ["N0"]),
        ({"%title": "два"}, ["N0"]), ({"=%number": "N1%", ">id": 19}, ["N19"]), ({"@id": [2, 3]}, ["N1", "N2"]),
        ({"!id": 5, "<=id": 5, ">=id": 4}, ["N3"]), ({">createTime": "2100-01-01"}, []), ({"createdBy": 2}, []),
    ]  # fmt: skip
    for conditions, wanted in filters:
        found = rest("document.list", filter=conditions, order={"id": "asc"})["documents"]
        assert [one["number"] for one in found] == wanted, conditions
    few = rest("document.list", select=["id"], filter={"id": 1})["documents"][0]
    urls = {f"{name}Url{more}" for name in ("download", "pdf", "image") for more in ("", "Machine")}
    assert few.keys() == {"id", "values", "stampsEnabled"} | urls
    assert (few["values"], few["stampsEnabled"]) == (None, False)
    assert download(portal, few["pdfUrlMachine"]).status_code == 404
    whole = rest("document.list", filter={"id": 1})["documents"][0]
    assert (whole["values"]["_creationMethod"], whole["pdfId"]) == ("rest", None)
    assert list(rest("template.list", order={"sort": "asc"})["templates"]) == [str(second), str(first)]
    one = rest("template.list", select=["name", "users"], filter={"region": "de"})["templates"][str(second)]
    assert one.keys() == {"name", "users", "download", "downloadMachine"}
    assert rest.refusal("template.list", order={"nothing": "asc"})[0] == "100"


KINDS = ("numerator", "region", "template")
TEMPLATE_METHODS = [
    *(f"{kind}.{verb}" for kind in KINDS for verb in ("add", "update", "delete", "get", "list")), "template.getfields",
]  # fmt: skip
ROLE_METHODS = [f"role.{verb}" for verb in ("add", "update", "delete", "get", "list", "fillaccesses")]
DOCUMENT_METHODS = [f"document.{verb}" for verb in ("get", "update", "delete", "getfields", "enablepublicurl")]


def test_an_employee_makes_documents_and_changes_nothing_else(rest: Rest, anna: Rest) -> None:
    template = rest.template()
    number = anna.document(template)["id"]
    assert anna("document.get", id=number)["document"]["createdBy"] == "4"
    params: dict[str, Any] = {"id": template, "fields": FULL}
    assert {anna.refusal(name, **params) for name in TEMPLATE_METHODS} == {NO_TEMPLATES}
    assert {anna.refusal(name, **params) for name in ROLE_METHODS} == {NO_SETTINGS}
    rest("role.fillaccesses", accesses=[])
    params = {"id": number, "templateId": template, "value": "x"}
    names = [*DOCUMENT_METHODS, "document.list", "document.add"]
    assert {anna.refusal(name, **params) for name in names} == {NO_DOCUMENTS}
    assert rest("document.get", id=number)["document"]["id"] == str(number)  # an administrator needs no role


def test_who_may_only_see_documents_changes_none(rest: Rest, anna: Rest) -> None:
    template = rest.template()
    number = rest.document(template)["id"]
    rest.role("D3", documents_view="X")
    assert anna("document.get", id=number)["document"]["id"] == str(number)
    assert len(anna("document.list")["documents"]) == 1
    changing = [name for name in DOCUMENT_METHODS if name != "document.get"]
    assert {anna.refusal(name, id=number) for name in changing} == {NO_DOCUMENTS}
    refused = anna.portal.session.post(
        f"{anna.portal.url}/rest/{NAME}.document.add",
        json={"templateId": template, "value": "x", "auth": anna.token},
        timeout=10,
    )
    assert (refused.status_code, refused.json()["error"], refused.json()["error_description"]) == (403, *DENIED)


def test_a_template_is_open_to_its_access_codes(rest: Rest, anna: Rest) -> None:
    open_to = {"U4": True, "D3": True, "DR1": True, "AU": True, "U5": False, "DR2": False, "SG1": False}
    for code, allowed in open_to.items():
        template = rest.template(users=[code])
        if allowed:
            assert anna.document(template)["templateId"] == str(template), code
        else:
            assert anna.refusal("document.add", templateId=template, value="x") == DENIED, code
            assert anna.refusal("document.update", id=rest.document(template)["id"]) == NO_DOCUMENTS, code


def test_levels_of_templates_are_one_s_own_the_department_s_and_all(rest: Rest, anna: Rest) -> None:
    boris, egor = Rest(rest.portal, 5), Rest(rest.portal, 9)
    makers = [rest, anna, boris, egor]
    rest.role("AU", templates_modify="A")
    numbers = [maker.template() for maker in makers]
    seen = {"A": numbers[1:2], "D": numbers[1:3], "X": numbers}
    for level, wanted in seen.items():
        rest.role("AU", templates_modify=level)
        assert [int(number) for number in anna("template.list")["templates"]] == wanted, level
        for number in numbers:
            if number in wanted:
                assert anna("template.update", id=number, fields={"sort": 1})["template"]["sort"] == "1"
            else:
                assert anna.refusal("template.update", id=number, fields={"sort": 1}) == THIS_TEMPLATE, level


def test_a_role_is_kept_as_it_was_given(rest: Rest, anna: Rest) -> None:
    rights = {"SETTINGS": {"MODIFY": "X"}, "TEMPLATES": {"MODIFY": "D"}, "DOCUMENTS": {"MODIFY": "A", "VIEW": "X"}}
    made = rest("role.add", fields={"name": "Р", "code": "R", "permissions": rights})["role"]
    assert made["permissions"] == {
        "settings": {"modify": "X"}, "templates": {"modify": "D"}, "documents": {"modify": "", "view": "X"},
    }  # fmt: skip
    assert rest("role.update", id=made["id"], fields={"name": "Р2"})["role"] == {**made, "name": "Р2"}
    lower = rest("role.update", id=made["id"], fields={"permissions": {"settings": {"modify": "X"}}})["role"]
    assert {level for actions in lower["permissions"].values() for level in actions.values()} == {""}
    assert rest("role.get", id=made["id"])["role"] == lower
    listed = rest("role.list")["roles"]
    assert [one["code"] for one in listed] == ["ADMIN", "MANAGER", "R"]
    assert listed[-1].keys() == {"id", "name", "code"}
    accesses = [{"roleId": 999999, "accessCode": "U4"}, {"roleId": 1, "accessCode": "nobody"}]
    assert rest("role.fillaccesses", accesses=accesses) is None
    assert anna.refusal("document.list") == NO_DOCUMENTS
    rest("role.fillaccesses", accesses=[{"roleId": 1, "accessCode": "U4"}])
    assert anna("role.list")["roles"] == listed
    assert rest("role.delete", id=1) is None
    assert anna.refusal("role.list") == NO_SETTINGS


def test_a_plan_without_roles_lets_everybody_and_counts_documents(rest: Rest, anna: Rest) -> None:
    rest.portal.control("PATCH", "settings", {"license": "ru_project"})
    for name in ROLE_METHODS:
        answer = rest.portal.session.post(
            f"{rest.portal.ready['webhook']}{NAME}.{name}", json={"id": 1, "fields": FULL}, timeout=10
        )
        body = answer.json()
        assert (answer.status_code, body["error"]) == (403, "DOCGEN_ACCESS_ERROR"), name
        assert body["error_description"] == "Your plan does not support this operation"
    template = anna.template(users=["U1"])
    for _ in range(100):
        anna.document(template)
    assert anna.refusal("document.add", templateId=template, value="x") == (
        "0", "Maximum count of documents has been reached",
    )  # fmt: skip


def test_documents_come_back_with_a_snapshot(portal: Sandbox, rest: Rest) -> None:
    document = rest.document(rest.template(), values={"Client": "Иван"})
    portal.control("POST", "snapshots/before")
    rest("document.delete", id=document["id"])
    portal.control("POST", "snapshots/before/restore")
    assert text_of(download(portal, document["downloadUrlMachine"]).content) == "Иван"
    assert rest("document.update", id=document["id"])["document"]["number"] == document["number"]
