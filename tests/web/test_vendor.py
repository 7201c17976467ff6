"""What is vendored is what its README says, with its licence beside it."""

from __future__ import annotations

import hashlib
import re

from b24app.pages.frame import HERE

VENDOR = HERE / "vendor"


def test_vendored_files_are_the_very_ones_that_are_named() -> None:
    readme = (VENDOR / "README.md").read_text("utf-8")
    named = dict(re.findall(r"^\| `([\w.-]+)` \| `([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    there = {path.name for path in VENDOR.iterdir()} - {"README.md", "event-calendar.LICENSE"}
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in there} == named
    version = re.search(r"EventCalendar (\d+\.\d+\.\d+)", readme)
    assert version
    assert f"EventCalendar v{version[1]}".encode() in (VENDOR / "event-calendar.min.js").read_bytes()[:200]


def test_the_licence_is_shipped_with_it() -> None:
    licence = (VENDOR / "event-calendar.LICENSE").read_text("utf-8")
    assert licence.startswith("MIT License\n\nCopyright (c) 2021 vkurko\n")
    assert "The above copyright notice and this permission notice shall be included in all" in licence
