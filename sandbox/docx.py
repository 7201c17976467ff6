"""Word templates: the fields of a .docx and the document that is made of it, with the standard library alone.

A field stands as {Name} or {Name~modifiers}. Word may split its text over several runs: they are joined first. A row of
a table that has fields of a list is repeated for each of its items.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from xml.sax.saxutils import escape

MAX_SIZE = 64 * 1024 * 1024
BODY = "word/document.xml"
_PART = re.compile(r"word/(document|header\d*|footer\d*|footnotes|endnotes)\.xml")
_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?:~([^{}<>]*))?\}", re.ASCII)
_TEXT = re.compile(r"<w:t(?:\s[^>]*)?>([^<]*)</w:t>|</w:p>")
_ROW = re.compile(r"<w:tr(?=[\s>])[^>]*>|</w:tr>")
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAK = '</w:t><w:br/><w:t xml:space="preserve">'

_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError)

# (name of a field, its modifiers) -> its text.
Reader = Callable[[str, str], str]


def parts(content: bytes) -> dict[str, str]:
    """The XML parts that may have fields, by name; ValueError when the content is no Word document."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if BODY not in archive.namelist() or sum(one.file_size for one in archive.infolist()) > MAX_SIZE:
                raise ValueError("no Word document")
            names = [name for name in archive.namelist() if _PART.fullmatch(name)]
            return {name: _joined(archive.read(name).decode()) for name in names}
    except _BROKEN as error:
        raise ValueError("no Word document") from error


def field_names(content: bytes) -> list[str]:
    """The fields of a template in the order in which they stand, the body first."""
    found = parts(content)
    texts = [found.pop(BODY), *found.values()]
    return list(dict.fromkeys(field[1] for text in texts for field in _FIELD.finditer(text)))


def with_parts(content: bytes, changed: dict[str, str]) -> bytes:
    """The same file with other parts; ValueError when one of the rest cannot be read."""
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
            for entry in old.infolist():
                text = changed.get(entry.filename)
                new.writestr(entry, old.read(entry) if text is None else text.encode(), zipfile.ZIP_DEFLATED)
    except _BROKEN as error:
        raise ValueError("a broken part") from error
    return made.getvalue()


def filled(xml: str, read: Reader, names: Collection[str] | None = None) -> str:
    """The part with its fields (only those of `names`, when given) replaced by their texts."""

    def text(field: re.Match[str]) -> str:
        if names is not None and field[1] not in names:
            return field[0]
        lines = _NO_XML.sub("", read(field[1], field[2] or "")).replace("\r\n", "\n").split("\n")
        return _BREAK.join(escape(line) for line in lines)

    return _FIELD.sub(text, xml)


def repeated(xml: str, names: Collection[str], items: Sequence[Reader]) -> str:
    """The part with each row that holds the named fields once for every item.

    The row is the smallest that has them all: a table inside of a row is repeated with it. Outside of tables the
    fields are those of the first item.
    """
    rows = _rows(xml)
    places = [field.start() for field in _FIELD.finditer(xml) if field[1] in names]
    outer: list[tuple[int, int]] = []
    for row in rows:
        if not outer or row[0] >= outer[-1][1]:
            outer.append(row)
    for begin, end in reversed(outer):
        inside = [place for place in places if begin <= place < end]
        if not inside:
            continue
        holding = [row for row in rows if begin <= row[0] and row[1] <= end]
        first, last = max(row for row in holding if row[0] <= inside[0] and inside[-1] < row[1])
        copies = [filled(xml[first:last], read, names) for read in items]
        xml = xml[:first] + "".join(copies) + xml[last:]
    return filled(xml, items[0] if items else lambda name, modifiers: "", names)


def _rows(xml: str) -> list[tuple[int, int]]:
    """(begin, end) of every row of every table, in the order of their beginnings."""
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for tag in _ROW.finditer(xml):
        if tag[0] != "</w:tr>":
            opened.append(tag.start())
        elif opened:
            found.append((opened.pop(), tag.end()))
    return sorted(found)


def _joined(xml: str) -> str:
    """The part with every field in one run, that of its first letter."""
    made: list[str] = []
    at = 0
    spans: list[tuple[int, int]] = []
    for text in _TEXT.finditer(xml):
        if text[1] is not None:
            spans.append(text.span(1))
            continue
        for (begin, end), own in zip(spans, _shared(xml, spans), strict=True):
            made += [xml[at:begin], own]
            at = end
        spans = []
    return ("".join(made) + xml[at:]).replace("<w:t>", '<w:t xml:space="preserve">')


def _shared(xml: str, spans: list[tuple[int, int]]) -> list[str]:
    """The texts of the runs of one paragraph; the letters of a field belong to the run of its first one."""
    letters = [(place, letter) for place, (begin, end) in enumerate(spans) for letter in xml[begin:end]]
    owners = [place for place, _ in letters]
    for field in _FIELD.finditer("".join(letter for _, letter in letters)):
        owners[field.start() : field.end()] = [owners[field.start()]] * len(field[0])
    texts = [""] * len(spans)
    for owner, (_, letter) in zip(owners, letters, strict=True):
        texts[owner] += letter
    return texts
