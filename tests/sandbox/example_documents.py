"""How the documentation's examples of the document generator become requests to a real portal."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

FAMILIES = ("documentgenerator",)
LISTED: dict[str, str] = {}
_FILES = dict.fromkeys(
    ("imageUrl", "pdfUrl", "printUrl"), "a document is not transformed: its PDF file and picture are not made"
)
DIFFERS: dict[str, dict[str, str]] = dict.fromkeys(
    ("documentgenerator.document.get", "documentgenerator.document.update"), _FILES
)
NAMES = ("DocumentNumber", "CurrentDate", "ClientName", "ClientPhone", "Total", "Comment", "UserName")
VALUES = dict.fromkeys(NAMES, "x") | {"DocumentNumber": "DG-2026-001"}
_SPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def paragraph(*runs: str) -> str:
    """A paragraph of Word with these runs."""
    return "<w:p>" + "".join(f"<w:r><w:t>{escape(run)}</w:t></w:r>" for run in runs) + "</w:p>"


def table(*rows: tuple[str, ...]) -> str:
    """A table of Word; a cell is the XML of its paragraphs."""
    made = ("".join(f"<w:tc>{cell}</w:tc>" for cell in row) for row in rows)
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in made) + "</w:tbl>"


def word(body: str, **more: str) -> str:
    """A .docx with that body in base64; `more` are further parts (header1 ...)."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types/>')
        archive.writestr("word/document.xml", f"<w:document {_SPACE}><w:body>{body}</w:body></w:document>")
        for name, text in more.items():
            archive.writestr(f"word/{name}.xml", f"<w:hdr {_SPACE}>{text}</w:hdr>")
    return base64.b64encode(made.getvalue()).decode()


TEMPLATE = word("".join(paragraph(f"{{{name}}}") for name in NAMES))


class World:
    """Records of a portal to which the ids of the examples are mapped, made at their first use."""

    def __init__(self, do: Callable[..., Any]) -> None:
        self.do = do
        owner = do.__self__  # type: ignore[attr-defined]
        self.session = (getattr(owner, "sandbox", None) or owner.portal).session
        self.made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """The one record of that kind."""
        if name not in self.made:
            self.made[name] = self.new(name)
        return self.made[name]

    def new(self, kind: str) -> Any:
        """A record that nothing else uses."""
        do = self.do
        if kind == "file":
            storage = do("disk.storage.getlist", filter={"ENTITY_TYPE": "user", "ENTITY_ID": 1})[0]["ID"]
            name = f"template{len(self.made)}.docx"
            return do("disk.storage.uploadfile", id=storage, data={"NAME": name}, fileContent=[name, TEMPLATE])["ID"]
        if kind == "document":
            made = do("documentgenerator.document.add", templateId=self.template, value="ORDER_1", values=VALUES)
            number = made["document"]["id"]
            address = do("documentgenerator.document.enablepublicurl", id=number)["publicUrl"]
            assert self.session.get(address, timeout=10).status_code == 200
            return number
        fields = {
            "numerator": {"name": "Номер", "template": "{NUMBER}"},
            "region": {"title": "Своя", "phrases": {"TAX_INCLUDED": "x", "TAX_NOT_INCLUDED": "y"}},
            "role": {"name": "Своя"},
        }.get(kind) or {
            "name": "Договор", "file": TEMPLATE, "numeratorId": self.numerator, "region": "de",
            "users": ["UA", "U503"],
        }  # fmt: skip
        return do(f"documentgenerator.{kind}.add", fields=fields)[kind]["id"]


def fit(world: World, name: str, request: Any) -> Any:
    """The example with the ids of this portal's records."""
    _, kind, verb = name.split(".")
    made = dict(request)
    if "id" in made:
        made["id"] = world.new(kind) if verb in ("delete", "update") else getattr(world, kind)
    if "templateId" in made:
        made["templateId"] = world.template
    fields = dict(made.get("fields") or {})
    for key, own in (("numeratorId", "numerator"), ("fileId", "file")):
        if key in fields:
            made["fields"] = fields = {**fields, key: getattr(world, own)}
    for access in made.get("accesses") or []:
        access["roleId"] = world.role
    if verb == "list":
        getattr(world, kind)
    return made
