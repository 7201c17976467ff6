"""Makes tests/contract/examples/*.json out of a clone of the public documentation (bitrix24/b24restdocs).

    python -m tests.contract.extract PATH_OF_CLONE [FAMILY ...]

For every served method of the families (the first word of a method's name: crm, tasks, calendar ...): its page, the
request of the page's webhook example and the key tree of the answer's example. Texts are not kept: long ones become
one word, files one byte. Entries of tests/contract/methods.json that are absent are made of the same facts.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.method import METHODS, METHODS_V3, load_methods

HERE = Path(__file__).parent
# Pages that call methods of other pages in whole scenarios.
TUTORIALS = re.compile(r"/document-generator/examples/|/files/how-to-")
OWN_KEY = re.compile(r"^(ufCrm|UF_CRM|UF_|parentId\d|PARENT_ID_|rest_)")


def pages(clone: str) -> dict[str, str]:
    """Every page of the reference by its path."""
    listed = subprocess.run(
        ["git", "-C", clone, "ls-tree", "-r", "--name-only", "HEAD", "api-reference/"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    names = [name for name in listed if name.endswith(".md")]
    wanted = "".join(f"HEAD:{name}\n" for name in names)
    raw = subprocess.run(
        ["git", "-C", clone, "cat-file", "--batch"], input=wanted.encode(), capture_output=True, check=True
    ).stdout
    found, position = {}, 0
    for name in names:
        end = raw.index(b"\n", position)
        size = int(raw[position:end].split()[2])
        found[name] = raw[end + 1 : end + 1 + size].decode()
        position = end + size + 2
    return found


def method_of(text: str, served: dict[str, str]) -> str:
    """The served method that a page describes, by its title or its example; "" for another page."""
    title = re.search(r"^# .*?((?:[a-zA-Z0-9_]+\.)+[a-zA-Z0-9_]+)\s*$", text, re.M)
    called = re.search(r"/rest/(?:\*\*[a-z_]+\*\*/)*((?:[a-zA-Z0-9_]+\.)+[a-zA-Z0-9_]+)(?:\.json)?[\s\"'?]", text)
    names = [served.get(found.group(1).lower(), "") for found in (title, called) if found]
    return next((name for name in names if name), "")


def _tolerant(raw: str) -> Any:
    """JSON as people write it: with comments, dots for what was left out, commas too many or too few."""
    text = re.sub(r"^\s*//.*$", "", raw, flags=re.M)
    text = re.sub(r"(?<=[,\[{\d\"])\s*//[^\n\"]*$", "", text, flags=re.M)
    text = re.sub(r"^\s*\.\.\.,?\s*(?://.*)?$", "", text, flags=re.M)
    text = re.sub(r'(["\d\]}el])(\s*\n\s*")', r"\1,\2", text)
    text = re.sub(r",(\s*[}\]])", r"\1", text)
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    for missing in ("", "}" * max(0, bare.count("{") - bare.count("}"))):
        try:
            return json.loads(text + missing, strict=False)
        except ValueError:
            continue
    return None


def request_of(text: str) -> Any:
    """The parameters of the page's first curl example, None when there is none that can be read."""
    found = re.search(r"-d '(.*?)'\s*\\?\s*\n\s*[\"']?https?://", text, re.S)
    found = found or re.search(r'-d "(.*?)"\s*\\?\s*\n\s*["\']?https?://', text, re.S)
    if found is None:
        return None
    raw = re.sub(r"'\"?\$\((?:date[^)]*)\)\"?'", "2030-02-03T15:00:00+03:00", found.group(1))
    raw = re.sub(r'"auth"\s*:\s*"[^"]*"\s*,?', "", raw)
    return shortened(_tolerant(raw))


def shortened(value: Any, key: str = "") -> Any:
    """The value without the documentation's texts: a long one is one word, a placeholder a date or a byte."""
    if isinstance(value, dict):
        return {name: shortened(child, name) for name, child in value.items()}
    if isinstance(value, list):
        return [shortened(child, key) for child in value]
    if isinstance(value, str):
        if re.search(r"(?i)put_current_date|formatDate|current_date", value):
            return "2030-02-03T15:00:00+03:00"
        if re.search(r"(?i)base64|_content_here", value) or (len(value) > 60 and " " not in value):
            return "AAAA"
        if " " in value.strip() or len(value) > 40:
            return "текст"
    return value


def tree_of(answer: Any) -> dict[str, str]:
    """path -> kinds of the answer's example; a portal's own keys and the time of the envelope are left out."""
    kinds: dict[str, set[str]] = {}

    def walk(value: Any, path: str) -> None:
        kinds.setdefault(path, set()).add(kind(value))
        if isinstance(value, dict):
            for key, child in value.items():
                timing = key == "time" and isinstance(child, dict) and "duration" in child
                if not OWN_KEY.match(key) and not timing:
                    walk(child, path + "." + ("#" if key.lstrip("-").isdigit() else key))
        elif isinstance(value, list):
            for child in value:
                walk(child, path + "[]")

    for name in ("result", "total", "next"):
        if isinstance(answer, dict) and name in answer:
            walk(answer[name], name)
    return {path: "|".join(sorted(found)) for path, found in sorted(kinds.items())}


def kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "list", dict: "object"}[type(value)]


def example_of(page: str, text: str) -> dict[str, Any]:
    """{page, request, answer}; request or answer is None when the page shows none that can be read."""
    parts = text.split("## Response", 1)
    found = re.search(r"```json\s*\n(.*?)```", re.split(r"\n## Error", parts[1])[0], re.S) if len(parts) > 1 else None
    answer = _tolerant(found.group(1)) if found else None
    if isinstance(answer, dict) and "result" not in answer and "error" not in answer and answer:
        answer = {"result": {key: child for key, child in answer.items() if key != "time"}}
    return {"page": page, "request": request_of(text), "answer": tree_of(answer) or None}


def main(clone: str, families: list[str]) -> None:
    """Write the files of the families (all when none is named) and complete methods.json."""
    load_methods()
    served = {entry.name.lower(): entry.name for entry in METHODS.values()}
    served_v3 = {entry.name.lower(): f"api/{entry.name}" for entry in METHODS_V3.values()}
    contract_path = HERE / "methods.json"
    contract = json.loads(contract_path.read_text())
    found: dict[str, dict[str, Any]] = {}
    for page, text in pages(clone).items():
        v3 = "rest-v3" in page
        name = method_of(text, served_v3 if v3 else served)
        if not name and not v3:
            # Methods that only REST 3.0 has stand on pages without that word in their address.
            name, v3 = method_of(text, served_v3), True
        family = name.removeprefix("api/").split(".")[0]
        if not name or (families and family not in families) or TUTORIALS.search(page):
            continue
        if name in found.setdefault(family, {}) and "outdated" in page:
            continue
        found[family][name] = example_of(page, text)
        if name not in contract and found[family][name]["answer"]:
            entry = (METHODS_V3 if v3 else METHODS)[name.removeprefix("api/").lower()]
            contract[name] = {"page": page, "params": list(entry.params), "result": found[family][name]["answer"]}
    for family, examples in found.items():
        path = HERE / "examples" / f"{family}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dict(sorted(examples.items())), ensure_ascii=False, indent=1) + "\n")
    contract_path.write_text(json.dumps(dict(sorted(contract.items())), ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
