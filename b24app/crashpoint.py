"""Named points at which a test may kill the process: what happens if the machine dies right here?

B24APP_CRASH_AT="after_decision:/path/of/marker" kills once, by SIGKILL, whoever makes the marker
file first.
Without the variable a crash point is one look at a string.
"""

from __future__ import annotations

import os
import signal

CRASH_POINTS = (
    "door_before_inbox",
    "door_after_inbox",
    "door_after_ring",
    "after_claim",
    "after_read",
    "after_decision",
    "before_send",
    "after_send",
    "after_store",
    "before_finish",
    "clock_after_timers",
    "token_after_answer",
    "apply_before_call",
    "apply_after_call",
)
_WANTED, _, _MARKER = os.environ.get("B24APP_CRASH_AT", "").partition(":")


def crashpoint(name: str) -> None:
    """Kills this process if the test named this point and nobody died there yet."""
    if name != _WANTED:
        return
    try:
        os.close(os.open(_MARKER, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
