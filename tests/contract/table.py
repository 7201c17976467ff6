"""The table of docs/sandbox.md: what is served, held, replayed, and what differs.

    python -m tests.contract.table

writes it between its two marks; tests/sandbox/test_examples.py holds the page to it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.contract.families import CONTRACT, DIFFERS, LISTED, REPLAYED, SERVED

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"
BEGIN, END = "<!-- table: made by python -m tests.contract.table -->", "<!-- end of table -->"


def group_of(name: str) -> str:
    """The row of a method: its first word, for CRM its first two; REST 3.0 apart."""
    words = name.removeprefix("api/").split(".")
    head = ".".join(words[:2]) if words[0] == "crm" and len(words) > 2 else words[0]
    return f"REST 3.0 {words[0]}" if name.startswith("api/") else head


def _quoted(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def table() -> str:
    """The Markdown of the table and of the differences below it."""
    rows: dict[str, Counter[str]] = {}
    for name in sorted(SERVED):
        row = rows.setdefault(group_of(name), Counter())
        row["served"] += 1
        row["held"] += name in CONTRACT
        row["replayed"] += name in REPLAYED
        row["listed"] += name in LISTED
    total: Counter[str] = Counter()
    for row in rows.values():
        total.update(row)
    lines = [
        "| Family | Methods served | Contract held | Examples replayed | Examples listed with a reason |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in [*sorted(rows.items()), ("**all**", total)]:
        lines.append(f"| {name} | {row['served']} | {row['held']} | {row['replayed']} | {row['listed']} |")
    lines += ["", "Examples that are not sent as they stand:", ""]
    lines += [f"- `{name}`: {reason}" for name, reason in sorted(LISTED.items())]
    lines += ["", "Parts of documented answers that this portal does not show:", ""]
    reasons: dict[str, tuple[list[str], list[str]]] = {}
    for name, paths in sorted(DIFFERS.items()):
        for path, reason in paths.items():
            names, found = reasons.setdefault(reason, ([], []))
            names += [name] * (name not in names)
            found += [path] * (path not in found)
    for reason, (names, found) in reasons.items():
        lines.append(f"- {_quoted(found)} of {_quoted(names)}: {reason}")
    return "\n".join(lines)


def written(text: str) -> str:
    """The page with the table in its place."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
