"""Templates of the document generator: documentgenerator.template.* (api-reference/document-generator/templates)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sandbox import disk, documents, docx, php
from sandbox.documents import refused, snake
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, Row, as_int, method, plain, yes
from sandbox.methods.document_setup import fields_of, text_of

_LIST = ("id", "active", "name", "code", "region", "sort", "createTime", "updateTime", "createdBy", "updatedBy",
    "moduleId", "fileId", "bodyType", "numeratorId", "withStamps", "productsTableVariant", "isDeleted",
    "isDefault")  # fmt: skip
_COLUMNS = {name: Column(name, "int") for name in ("ID", "SORT", "NUMERATOR_ID", "FILE_ID", "CREATED_BY", "UPDATED_BY")}
_COLUMNS |= {name: Column(name, "time") for name in ("CREATE_TIME", "UPDATE_TIME")}
_COLUMNS |= {name: Column(name, "flag") for name in ("ACTIVE", "WITH_STAMPS", "IS_DELETED")}
_COLUMNS |= {name: Column(name) for name in ("NAME", "CODE", "REGION", "MODULE_ID")}
_NO_TEMPLATE = "Bitrix\\DocumentGenerator\\Template constructor must be public"


def template_of(call: Call, name: str, absent: str) -> Row:
    """The template that a parameter names; `absent` is the error of a call without it."""
    if call.get(name) is None:
        raise refused(absent, "100")
    row = call.portal["document_templates"].get(as_int(call.get(name)))
    if row is None:
        raise refused("Template not found")
    return row


def _template(call: Call) -> Row:
    level = documents.may_edit_templates(call)
    row = template_of(call, "id", _NO_TEMPLATE)
    if not documents.owns_template(call, level, row):
        raise refused("You do not have permissions to modify this template")
    return row


def _times(call: Call, row: Row) -> Row:
    return {"createTime": call.portal.iso(row["CREATE_TIME"]), "updateTime": call.portal.iso(row["UPDATE_TIME"])}


def _address(row: Row) -> str:
    action = "/bitrix/services/main/ajax.php?action=documentgenerator.api.template.download"
    return f"{action}&SITE_ID=s1&id={row['ID']}"


def _as_template(call: Call, row: Row) -> Row:
    provider = documents.PROVIDER.lower()
    return {
        "template": {
            "id": str(row["ID"]), "name": row["NAME"], "region": row["REGION"], "code": row["CODE"],
            "download": f"{call.portal.url}{_address(row)}&ts=0", "active": row["ACTIVE"], "moduleId": "rest",
            "numeratorId": str(row["NUMERATOR_ID"]), "withStamps": row["WITH_STAMPS"],
            "providers": {provider: provider}, "users": php.listed({code: code for code in row["USERS"]}),
            "isDeleted": row["IS_DELETED"], "sort": str(row["SORT"]), **_times(call, row),
            "downloadMachine": documents.machine(call.portal, "template.download", row),
        }
    }  # fmt: skip


def _content(value: Any) -> bytes | None:
    """The bytes of a file given as base64 or [name, base64]; None for anything that is no Word document."""
    if isinstance(value, list):
        value = value[1] if len(value) > 1 else None
    if not isinstance(value, str):
        return None
    try:
        content = base64.b64decode("".join(value.split()), validate=True)
        docx.parts(content)
    except (binascii.Error, ValueError):
        return None
    return content


def _file(call: Call, fields: Row) -> bytes | None:
    """What `file` carries, else what the file of Drive `fileId` has, when the person may read it."""
    if fields.get("file") is not None:
        return _content(fields["file"])
    row = call.portal["disk_objects"].get(as_int(fields.get("fileId")))
    if row is None or row["TYPE"] != "file" or not disk.level(call.portal, row, call.user):
        return None
    return _content(row["CONTENT"])


def _apply(row: Row, fields: Row) -> None:
    for name in ("name", "region"):
        if text_of(fields.get(name)):
            row[name.upper()] = text_of(fields[name])
    if "code" in fields:
        row["CODE"] = text_of(fields["code"]) or None
    for name in ("numeratorId", "sort"):
        number = as_int(fields.get(name))
        if number is not None:
            row[snake(name)] = number
    for name in ("active", "withStamps"):
        if fields.get(name) is not None:
            row[snake(name)] = "Y" if yes(text_of(fields[name])) else "N"
    if isinstance(fields.get("users"), (list, dict)):
        given = fields["users"] if isinstance(fields["users"], list) else list(fields["users"].values())
        row["USERS"] = [code for code in map(text_of, given) if documents.ACCESS_CODE.fullmatch(code)]


@method("documentgenerator.template.add", scope="documentgenerator", style="controller", params="fields!", writes=True)
def template_add(call: Call) -> Row:
    documents.may_edit_templates(call)
    fields = fields_of(call)
    present = {name: text_of(fields.get(name)) for name in ("name", "numeratorId", "region")}
    absent = [name for name, value in present.items() if not value or (name == "numeratorId" and not as_int(value))]
    if absent:
        raise refused(f"Empty required fields: {', '.join(absent)}")
    # [verify] The pages know one word for a file that is not there; one that is no .docx gets it too.
    content = _file(call, fields)
    if content is None:
        raise refused("Missing file content")
    portal, now = call.portal, call.portal.now()
    row: Row = {
        "ACTIVE": "Y", "CODE": None, "SORT": 500, "CREATE_TIME": now, "UPDATE_TIME": now, "CREATED_BY": call.user_id,
        "UPDATED_BY": call.user_id, "MODULE_ID": "rest", "BODY_TYPE": "Bitrix\\DocumentGenerator\\Body\\Docx",
        "PRODUCTS_TABLE_VARIANT": "", "WITH_STAMPS": "N", "IS_DELETED": "N", "IS_DEFAULT": "N", "USERS": [],
        "CONTENT": base64.b64encode(content).decode(), "KEY": portal.secret(24),
    }  # fmt: skip
    _apply(row, fields)
    row["USERS"] = row["USERS"] or [f"U{call.user_id}"]
    uploaded = fields.get("file") is not None
    row["FILE_ID"] = (
        documents.stored(portal, None, f"{row['NAME']}.docx", content, call.user_id)
        if uploaded
        else as_int(fields["fileId"])
    )
    portal["document_templates"].add(row)
    portal.effect("create", "document_template", row["ID"], call.user_id, "rest")
    return _as_template(call, row)


@method("documentgenerator.template.get", scope="documentgenerator", style="controller", params="id")
def template_get(call: Call) -> Row:
    return _as_template(call, _template(call))


@method(
    "documentgenerator.template.list", scope="documentgenerator", style="controller", params="select order filter start"
)
def template_list(call: Call) -> Page:
    level = documents.may_edit_templates(call)
    conditions = documents.snaked(call.mapping("filter"))
    if not any(key.endswith("IS_DELETED") for key in conditions):
        conditions["IS_DELETED"] = "N"
    start = call.integer("start")

    def unknown(key: str) -> None:
        raise documents.unknown_field("Template", key)

    rows, total, following = select_rows(
        call.portal["document_templates"], filter=conditions, order=documents.snaked(call.mapping("order")),
        columns=_COLUMNS, zone=call.portal.zone(), start=start, unknown=unknown, unknown_order=unknown,
        visible=lambda row: documents.owns_template(call, level, row),
    )  # fmt: skip
    wanted = [plain(name) for name in call.sequence("select") if not isinstance(name, (dict, list))] or ["*"]
    return page_of({"templates": {str(row["ID"]): _listed(call, row, wanted) for row in rows}}, total, following, start)


def _listed(call: Call, row: Row, wanted: list[str]) -> Row:
    names = {snake(name) for name in wanted}
    shown: Row = {}
    for name in _LIST:
        if "*" in names or snake(name) in names:
            value = row[snake(name)]
            shown[name] = str(value) if isinstance(value, int) else value
    shown |= {name: text for name, text in _times(call, row).items() if name in shown}
    shown["download"] = _address(row)
    if "PROVIDERS" in names:
        shown["providers"] = [documents.PROVIDER.lower()]
    if "USERS" in names:
        shown["users"] = list(row["USERS"])
    shown["downloadMachine"] = documents.machine(call.portal, "template.download", row)
    return shown


@method(
    "documentgenerator.template.update", scope="documentgenerator", style="controller", params="id fields!", writes=True
)
def template_update(call: Call) -> Row:
    row = _template(call)
    fields = fields_of(call)
    if fields.get("file") is not None:
        content = _content(fields["file"])
        if content is None:
            raise refused("Missing file content")
        row["CONTENT"] = base64.b64encode(content).decode()
        row["FILE_ID"] = documents.stored(call.portal, None, f"{row['NAME']}.docx", content, call.user_id)
    _apply(row, fields)
    row |= {"UPDATE_TIME": call.portal.now(), "UPDATED_BY": call.user_id}
    call.portal.effect("update", "document_template", row["ID"], call.user_id, "rest")
    return _as_template(call, row)


@method("documentgenerator.template.delete", scope="documentgenerator", style="controller", params="id", writes=True)
def template_delete(call: Call) -> None:
    """A template that has documents is only marked."""
    row = _template(call)
    if call.portal["documents"].first(TEMPLATE_ID=row["ID"]) is not None:
        row["IS_DELETED"] = "Y"
    else:
        call.portal["document_templates"].remove(row["ID"])
    call.portal.effect("delete", "document_template", row["ID"], call.user_id, "rest")


@method("documentgenerator.template.getfields", scope="documentgenerator", style="controller", params="id")
def template_fields(call: Call) -> Row:
    row = _template(call)
    if row["IS_DELETED"] == "Y":
        raise refused("Cannot get fields from deleted template")
    number = documents.number_for(call.portal, row, take=False)
    return {"templateFields": documents.field_list(call.portal, row, number, f"{row['NAME']} {number}", {})}
