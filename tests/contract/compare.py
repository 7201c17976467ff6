"""Compares an answer with the key tree of a documented one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tests.contract.extract import OWN_KEY, kind

# What an example shows by chance: a value may be empty in it (null, "", [], false) and filled here, or the other way.
_LOOSE = {"null", "bool"}


def lacking(tree: dict[str, str], answer: Any, excused: Iterable[str] = ()) -> list[str]:
    """Paths of the tree that the answer does not have, and kinds that differ where neither is empty.

    `excused` are parts of paths that this portal does not show. A portal's own keys (custom fields) do not count.
    """
    kinds: dict[str, set[str]] = {}

    def walk(value: Any, path: str) -> None:
        kinds.setdefault(path, set()).add(kind(value))
        if isinstance(value, dict):
            for key, child in value.items():
                walk(child, path + ("." + ("#" if key.lstrip("-").isdigit() else key)))
        elif isinstance(value, list):
            for child in value:
                walk(child, path + "[]")

    walk(answer["result"], "result")
    if "total" in answer:
        kinds["total"] = {"number"}
    wrong = []
    for path, documented in tree.items():
        if path == "next" or any(OWN_KEY.match(part) for part in re.split(r"[.\[\]]+", path)):
            continue
        if any(part in path for part in excused):
            continue
        if path not in kinds:
            if not _under_empty(path, kinds):
                wrong.append(path)
        elif not _same_kind(set(documented.split("|")), kinds[path]):
            wrong.append(f"{path}: {documented} documented, {'|'.join(sorted(kinds[path]))} answered")
    return wrong


def _same_kind(documented: set[str], answered: set[str]) -> bool:
    if "any" in documented or documented & answered or documented & _LOOSE or answered & {"null"}:
        return True
    # PHP prints an empty map as a list, and a map with the keys 0..n-1 as a list too.
    return {*documented, *answered} <= {"list", "object"}


def _under_empty(path: str, kinds: dict[str, set[str]]) -> bool:
    """The key's parent is a value that is empty here (null, "" or an empty list in the place of a map)."""
    parent = path[:-2] if path.endswith("[]") else path.rpartition(".")[0]
    while parent and parent not in kinds:
        parent = parent[:-2] if parent.endswith("[]") else parent.rpartition(".")[0]
    return parent != "result" and not any(one.startswith((parent + ".", parent + "[]")) for one in kinds)
