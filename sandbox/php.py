"""PHP's way of nesting data in forms: reading it (`a[b][]=1`) and writing it as http_build_query does."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, quote_plus

Tree = dict[str, Any]
_PART = re.compile(r"\[([^\[\]]*)\]")
MAX_DEPTH = 32


def nest(pairs: Iterable[tuple[str, Any]]) -> Tree:
    """The tree of flat pairs; maps whose keys are 0..n-1 in order become lists, as PHP arrays do in JSON."""
    root: Tree = {}
    for key, value in pairs:
        name, bracket, _ = key.partition("[")
        path = [name] + (_PART.findall(key[len(name) :]) if bracket else [])
        if len(path) > MAX_DEPTH:
            continue
        node = root
        for index, part in enumerate(path):
            if part == "" and index > 0:
                part = str(sum(1 for known in node if known.isdigit()))
            if index == len(path) - 1:
                node[part] = value
            else:
                child = node.get(part)
                if not isinstance(child, dict):
                    child = {}
                    node[part] = child
                node = child
    return {key: _listed(value) for key, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(child) for key, child in value.items()}
    if inner and all(key == str(index) for index, key in enumerate(inner)):
        return list(inner.values())
    return inner


def listed(mapping: Tree) -> Tree | list[Any]:
    """The map as PHP prints it in JSON: a list when it is empty or its keys are 0..n-1 in order."""
    return list(mapping.values()) if all(key == str(index) for index, key in enumerate(mapping)) else mapping


def parse_query(text: str) -> Tree:
    """The tree of a query string or of an urlencoded body; a stray `&` is nothing."""
    return nest(parse_qsl(text, keep_blank_values=True, errors="replace"))


def parse_body(body: bytes, content_type: str) -> Any:
    """What a POST body carries: a tree (form, multipart) or any JSON value. ValueError for broken JSON.

    A file of a multipart form becomes [name, base64], the form in which the methods take files in JSON.
    """
    kind = content_type.split(";")[0].strip().lower()
    if not body.strip():
        return {}
    if kind == "application/json":
        return json.loads(body)
    if kind == "multipart/form-data":
        message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
        pairs: list[tuple[str, Any]] = []
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, str):
                content = part.get_payload(decode=True)
                data = content if isinstance(content, bytes) else b""
                file = part.get_filename()
                pairs.append(
                    (name, [file, base64.b64encode(data).decode()] if file else data.decode("utf-8", "replace"))
                )
        return nest(pairs)
    text = body.decode("utf-8", "replace")
    if text[:1] in "{[" and kind in ("", "text/plain"):
        return json.loads(text)
    return parse_query(text)


def flatten(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Flat pairs of a tree as http_build_query makes them: null is left out, true is 1, false is 0."""
    pairs: list[tuple[str, str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, child in value.items():
                walk(f"{prefix}[{key}]", child)
        elif isinstance(value, (list, tuple)):
            for index, child in enumerate(value):
                walk(f"{prefix}[{index}]", child)
        elif value is not None:
            pairs.append((prefix, str(int(value)) if isinstance(value, bool) else str(value)))

    for key, value in data.items():
        walk(key, value)
    return pairs


def build_query(data: Mapping[str, Any]) -> str:
    """The urlencoded form of a tree."""
    return "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in flatten(data))


def serialize(value: Any) -> str:
    """The value as PHP's serialize writes it; lengths are those in bytes."""
    if value is None:
        return "N;"
    if isinstance(value, bool):
        return f"b:{int(value)};"
    if isinstance(value, int):
        return f"i:{value};"
    if isinstance(value, str):
        return f's:{len(value.encode())}:"{value}";'
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    inner = "".join(serialize(key) + serialize(child) for key, child in pairs)
    return f"a:{len(pairs)}:{{{inner}}}"
