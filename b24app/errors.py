"""Every error of the application, drawn as a tree. The one question it answers: whose move is it?

B24AppError
├── ConfigError        the administrator's: config.toml or the playbook is wrong
├── Rejected           nobody's: not from our portal (403, nothing kept)
├── Malformed          the sender's: the request cannot be read (400 or 413, nothing kept)
├── Temporary          ours, later: try again at `retry_at`
│   └── OutcomeUnknown     ... but look first: the portal may have done it
└── Permanent          a person's: repeating changes nothing
    ├── NotFound           the object is gone
    ├── AccessDenied       the token's user may not
    └── PortalClosed       nothing works on this portal until an administrator acts (token dead, subscription, blocked)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class B24AppError(Exception):
    """Base of all errors of the application; its text is meant for a person."""


class ConfigError(B24AppError):
    """The configuration or the playbook is wrong; the text names every mistake by its key."""


class Rejected(B24AppError):
    """The request does not come from a portal that we serve; answered 403, nothing is kept."""


class Malformed(B24AppError):
    """The request cannot be read; answered `status` (400, or 413 when it is too large), nothing is kept."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class Temporary(B24AppError):
    """The work can be done later. `code` is Bitrix24's error code where it was the portal that answered."""

    def __init__(self, reason: str, *, retry_at: datetime | None = None, code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_at = retry_at
        self.code = code

    @classmethod
    def after(cls, reason: str, delay: timedelta, *, code: str = "") -> Temporary:
        """Returns the error with `retry_at` counted from now."""
        return cls(reason, retry_at=datetime.now(UTC) + delay, code=code)


class OutcomeUnknown(Temporary):
    """The request may have been carried out: time-out, 502, 504, HTML, cut answer. Look it up before repeating it."""


class Permanent(B24AppError):
    """Repeating changes nothing; `reason` is for the person who can act, `code` is Bitrix24's."""

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class NotFound(Permanent):
    """The object does not exist (any more), or the token's user cannot see it."""


class AccessDenied(Permanent):
    """The token's user has no right to this object or method."""


class PortalClosed(Permanent):
    """Nothing works on this portal until an administrator acts: dead token, ended subscription, blocked REST."""
