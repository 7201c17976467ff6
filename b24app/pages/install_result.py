"""The page of the installation: what is being done, line by line as it happens, ended by BX24.installFinish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from b24app.pages.frame import Look
from install.carry_out import Line, is_ready


def stream(look: Look, lines: Iterator[Line]) -> Iterator[str]:
    """Yields the page while the installation goes on; its end tells the script whether to finish."""
    seen: list[Line] = []

    def told() -> Iterator[Line]:
        for line in lines:
            seen.append(line)
            yield line

    return look.stream("install_result.html", lines=told(), ready=lambda: is_ready(seen), noted=lambda: has_notes(seen))


def answer(look: Look, lines: list[Line]) -> dict[str, Any]:
    """Returns the same for the page's «Повторить»: {"ready", "lines": [{"state", "text", "advice"}]}."""
    told = [
        {"state": line.state, "text": look.word(line.text), "advice": look.word(line.advice)}
        for line in lines
        if line.state != "working"
    ]
    return {"ready": is_ready(lines), "lines": told}


def has_notes(lines: list[Line]) -> bool:
    """Tells whether there is something to read before the page goes away."""
    return any(line.state in ("note", "failed") for line in lines)
