"""Memo pictures of a playbook: files that lie beside it, shown in the tab and the manual and attached to tasks."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from b24app.playbook import Playbook

PICTURE = "picture:"
"""Begins the name of a picture in the record of what was applied; its portal id is the file on the Drive."""
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.(?:svg|png|jpg|jpeg|webp|gif)")


@dataclass(frozen=True)
class Picture:
    """A picture as our pages show it, and as tasks get it. `url` and `drive_name` change with the content.

    A preview of SVG in tasks is promised nowhere: where a PNG of the same name lies beside it, tasks get that.
    """

    body: bytes
    content_type: str
    url: str
    drive_name: str
    drive_body: bytes


def named(playbook: Playbook) -> tuple[str, ...]:
    """Returns the names of the pictures that the playbook's tasks ask for."""
    rules = [rule for process in (playbook.lead, playbook.deal) for _, rule in process.task_rules()]
    return tuple(dict.fromkeys(rule.picture for rule in rules if rule.picture))


def pictures(playbook: Playbook, path: str) -> Mapping[str, Picture]:
    """Returns the pictures that the playbook names and that lie beside it (`path`, or ours), by their names."""
    return _pictures(named(playbook), path)


@cache
def _pictures(names: tuple[str, ...], path: str) -> Mapping[str, Picture]:
    folder = Path(path).parent if path else files("playbooks")
    found = {}
    for name in names:
        file = folder.joinpath(name) if _NAME.fullmatch(name) else None
        if file is not None and file.is_file():
            body = file.read_bytes()
            stem, _, ending = name.rpartition(".")
            drawn = folder.joinpath(f"{stem}.png")
            if ending == "svg" and drawn.is_file():
                ending, drive_body = "png", drawn.read_bytes()
            else:
                drive_body = body
            content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            found[name] = Picture(
                body,
                content_type,
                f"/picture/{name}?v={_digest(body)}",
                f"{stem}-{_digest(drive_body)}.{ending}",
                drive_body,
            )
    return found


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]
