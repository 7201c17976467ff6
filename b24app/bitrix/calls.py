"""REST calls and their answers as values, shared by reads, commands and the client that sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

BATCH_LENGTH = 50
"""Commands that one batch may carry (settings/how-to-call-rest-api/batch.md)."""


@dataclass(frozen=True)
class Call:
    """One REST method with its parameters, as nested dicts and lists of JSON kinds.

    `v3` calls go to /rest/api/ (REST 3.0) one by one and may carry an Idempotency-Key; others can be batched.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    v3: bool = False


@dataclass(frozen=True)
class Answer:
    """What a method returned: `result` as the portal sent it, and the list and time facts beside it.

    `at` is when the answer came. `operating` (seconds used of the method's ten-minute budget) and `operating_reset_at`
    are None where the portal did not say. `replayed` is true when REST 3.0 returned a stored answer for the key.
    """

    result: Any
    at: datetime
    total: int | None = None
    next: int | None = None
    operating: float | None = None
    operating_reset_at: datetime | None = None
    replayed: bool = False
