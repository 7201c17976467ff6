"""Documents made of templates: documentgenerator.document.* (api-reference/document-generator)."""

from __future__ import annotations

import json
from typing import Any

from sandbox import documents
from sandbox.documents import refused, snake
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, Row, as_int, as_map, method, plain
from sandbox.methods.document_setup import text_of
from sandbox.methods.document_templates import template_of

_LIST = ("id", "title", "number", "templateId", "provider", "value", "fileId", "imageId", "pdfId", "createTime",
    "updateTime", "createdBy", "updatedBy")  # fmt: skip
_COLUMNS = {name: Column(name, "int") for name in ("ID", "TEMPLATE_ID", "FILE_ID", "IMAGE_ID", "PDF_ID", "CREATED_BY",
    "UPDATED_BY")}  # fmt: skip
_COLUMNS |= {name: Column(name, "time") for name in ("CREATE_TIME", "UPDATE_TIME")}
_COLUMNS |= {name: Column(name) for name in ("TITLE", "NUMBER", "VALUE")}
_COLUMNS["PROVIDER"] = Column("PROVIDER", read=lambda row: documents.PROVIDER)
_COLUMNS["VALUES"] = Column("VALUES", read=lambda row: json.dumps(row["VALUES"], ensure_ascii=False))
_AJAX = "/bitrix/services/main/ajax.php?action=documentgenerator.api.document"
# The pages word the same error of the binder in two ways.
_ABSENT = "Bitrix\\DocumentGenerator\\Document constructor must be public"
_ABSENT_TOO = "Bitrix\\DocumentGenerator\\Document constructor must be is public"
_OWN_KEYS = ("productsTableVariant", "_creationMethod", "stampsEnabled")


def _document(call: Call, absent: str = _ABSENT, *, change: bool = True) -> tuple[Row, Row]:
    """(document, its template); `change`: needs the right to change documents, and access to the template."""
    documents.may_see_documents(call)
    if call.get("id") is None:
        raise refused(absent, "100")
    row = call.portal["documents"].get(as_int(call.get("id")))
    if row is None:
        raise refused("Document not found")
    template = call.portal["document_templates"].rows[row["TEMPLATE_ID"]]
    if change and not (
        documents.right(call, "DOCUMENTS.MODIFY")
        and (template["IS_DELETED"] == "Y" or documents.may_use_template(call, template))
    ):
        raise refused("You do not have permissions to view documents")
    return row, template


def _values(call: Call) -> Row:
    return {name: value for name, value in call.mapping("values").items() if name not in _OWN_KEYS}


def _all_values(row: Row) -> Row:
    return {"productsTableVariant": "", "_creationMethod": "rest", "stampsEnabled": row["STAMPS"], **row["VALUES"]}


def _printed(call: Call, row: Row, *, fresh: bool = False) -> Row:
    """A document; the ids of one just made are numbers, else text. Its PDF and picture are not there (yet)."""
    portal = call.portal
    number = (lambda value: value) if fresh else str
    values = _all_values(row)
    if not fresh:
        values = {name: value for name, value in values.items() if name not in ("DocumentNumber", "DocumentTitle")}
    shown: Row = {
        "downloadUrl": f"{_AJAX}.getfile&SITE_ID=s1&id={row['ID']}&ts={int(row['UPDATE_TIME'])}",
        "publicUrl": _public(call, row), "title": row["TITLE"], "number": row["NUMBER"], "id": number(row["ID"]),
        "createTime": portal.iso(row["CREATE_TIME"]), "createdBy": number(row["CREATED_BY"]),
        "updateTime": portal.iso(row["UPDATE_TIME"]), "updatedBy": row["UPDATED_BY"], "stampsEnabled": row["STAMPS"],
        "isTransformationError": False, "value": row["VALUE"], "values": values,
    }  # fmt: skip
    if row["VIEWED"] is not None:
        shown["publicUrlView"] = {"time": portal.iso(row["VIEWED"])}
    return {
        "document": {
            **shown, "templateId": str(row["TEMPLATE_ID"]), "provider": documents.PROVIDER,
            "pullTag": f"TRANSFORMDOCUMENT{row['ID']}", "emailDiskFile": row["FILE_ID"],
            "downloadUrlMachine": documents.machine(portal, "document.getfile", row),
        }
    }  # fmt: skip


def _public(call: Call, row: Row) -> str | None:
    return f"{call.portal.url}/~{row['PUBLIC']}" if row["PUBLIC"] else None


def _make(call: Call, template: Row, row: Row) -> None:
    """Number, title and file by the values that the document has now."""
    given = {name: text_of(row["VALUES"].get(name)) for name in ("DocumentNumber", "DocumentTitle")}
    portal = call.portal
    number = given["DocumentNumber"] or row["NUMBER"] or documents.number_for(portal, template, take=True)
    if given["DocumentTitle"]:
        row["TITLE"] = given["DocumentTitle"]
    elif number != row["NUMBER"]:
        row["TITLE"] = f"{template['NAME']} {number}"
    row["NUMBER"] = number
    try:
        content = documents.made(portal, template, row, call.mapping("fields"))
    except ValueError:
        raise refused("Cannot create document") from None
    row["FILE_ID"] = documents.stored(portal, row["FILE_ID"], f"{row['TITLE']}.docx", content, row["CREATED_BY"])


@method(
    "documentgenerator.document.add",
    scope="documentgenerator",
    style="controller",
    params="templateId providerClassName value values stampsEnabled fields",
    writes=True,
)
def document_add(call: Call) -> Row:
    portal = call.portal
    documents.may_see_documents(call)
    template = template_of(call, "templateId", "Bitrix\\DocumentGenerator\\Template constructor must be is public")
    value = text_of(call.get("value"))
    if value in ("", "0"):
        raise refused('Empty required parameter "value"')
    if template["IS_DELETED"] == "Y":
        raise refused("Cannot create document on deleted template")
    if not documents.may_use_template(call, template):
        raise refused("Access denied", "DOCGEN_ACCESS_ERROR", 403)
    if not documents.with_roles(portal) and len(portal["documents"]) >= documents.FREE_DOCUMENTS:
        raise refused("Maximum count of documents has been reached")
    stamps = call.get("stampsEnabled")
    now = portal.now()
    row: Row = {
        "TITLE": "", "NUMBER": "", "TEMPLATE_ID": template["ID"], "VALUE": value, "VALUES": _values(call),
        "STAMPS": template["WITH_STAMPS"] == "Y" if stamps is None else as_int(stamps) == 1, "FILE_ID": None,
        "IMAGE_ID": None, "PDF_ID": None, "CREATE_TIME": now, "UPDATE_TIME": now, "CREATED_BY": call.user_id,
        "UPDATED_BY": None, "PUBLIC": "", "VIEWED": None, "KEY": portal.secret(24),
    }  # fmt: skip
    _make(call, template, row)
    portal["documents"].add(row)
    portal.effect("create", "document", row["ID"], call.user_id, "rest")
    return _printed(call, row, fresh=True)


@method("documentgenerator.document.get", scope="documentgenerator", style="controller", params="id")
def document_get(call: Call) -> Row:
    return _printed(call, _document(call, _ABSENT_TOO, change=False)[0])


@method(
    "documentgenerator.document.list", scope="documentgenerator", style="controller", params="select order filter start"
)
def document_list(call: Call) -> Page:
    documents.may_see_documents(call)
    start = call.integer("start")

    def unknown(key: str) -> None:
        raise documents.unknown_field("Document", key)

    rows, total, following = select_rows(
        call.portal["documents"], filter=documents.snaked(call.mapping("filter")),
        order=documents.snaked(call.mapping("order")), columns=_COLUMNS, zone=call.portal.zone(), start=start,
        unknown=unknown, unknown_order=unknown,
    )  # fmt: skip
    wanted = [plain(name) for name in call.sequence("select") if not isinstance(name, (dict, list))] or ["*"]
    return page_of({"documents": [_listed(call, row, wanted) for row in rows]}, total, following, start)


def _listed(call: Call, row: Row, wanted: list[str]) -> Row:
    """A document in a list: the addresses are always there, what stands in `values` only when they are selected."""
    names = {snake(name) for name in wanted}
    portal = call.portal
    full: dict[str, Any] = {**row, "PROVIDER": documents.PROVIDER.lower()}
    full |= {name: portal.iso(row[name]) for name in ("CREATE_TIME", "UPDATE_TIME")}
    shown: Row = {}
    for name in _LIST:
        if "*" in names or snake(name) in names:
            value = full[snake(name)]
            shown[name] = str(value) if isinstance(value, int) else value
    files = (("downloadUrl", "getfile"), ("pdfUrl", "getpdf"), ("imageUrl", "getimage"))
    shown |= {name: f"{portal.url}{_AJAX}.{action}&SITE_ID=s1&id={row['ID']}" for name, action in files}
    chosen = "*" in names or "VALUES" in names
    shown |= {"values": _all_values(row) if chosen else None, "stampsEnabled": chosen and row["STAMPS"]}
    return shown | {f"{name}Machine": documents.machine(portal, f"document.{action}", row) for name, action in files}


@method(
    "documentgenerator.document.update",
    scope="documentgenerator",
    style="controller",
    params="id values stampsEnabled fields",
    writes=True,
)
def document_update(call: Call) -> Row:
    """The given values take the place of the old ones; how they are shown (`fields`) is not kept from call to call."""
    row, template = _document(call)
    changed = {**row, "VALUES": {**row["VALUES"], **_values(call)}, "STAMPS": call.integer("stampsEnabled", 1) == 1}
    changed |= {"UPDATE_TIME": call.portal.now(), "UPDATED_BY": call.user_id}
    _make(call, template, changed)
    row.update(changed)
    call.portal.effect("update", "document", row["ID"], call.user_id, "rest")
    return _printed(call, row)


@method("documentgenerator.document.delete", scope="documentgenerator", style="controller", params="id", writes=True)
def document_delete(call: Call) -> None:
    row, _ = _document(call)
    documents.drop_file(call.portal, row["FILE_ID"])
    call.portal["documents"].remove(row["ID"])
    call.portal.effect("delete", "document", row["ID"], call.user_id, "rest")


@method(
    "documentgenerator.document.enablepublicurl",
    scope="documentgenerator",
    style="controller",
    params="id status",
    writes=True,
)
def document_public(call: Call) -> Row:
    row, _ = _document(call, _ABSENT_TOO)
    enabled = call.integer("status", 1) == 1
    row["PUBLIC"] = (row["PUBLIC"] or call.portal.secret(8)) if enabled else ""
    return {"publicUrl": _public(call, row)}


@method("documentgenerator.document.getfields", scope="documentgenerator", style="controller", params="id values")
def document_fields(call: Call) -> Row:
    row, template = _document(call)
    values = {**as_map(row["VALUES"]), **_values(call)}
    return {"documentFields": documents.field_list(call.portal, template, row["NUMBER"], row["TITLE"], values)}
