"""What the buttons of «План внедрения» ask: the plan, applying, taking back. Administrators only."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from b24app.errors import AccessDenied, NotFound, Rejected
from b24app.pages import plan as page
from b24app.pages.frame import Look
from b24app.services import Services
from b24app.web.gate import Gate, Passes
from install.apply import apply, plan, undo

log = logging.getLogger(__name__)


class RollOut:
    """Free of the web framework; errors are b24app.errors."""

    def __init__(self, services: Services, gate: Gate, passes: Passes) -> None:
        self._services = services
        self._gate = gate
        self._passes = passes

    def show(self, authorization: str) -> dict[str, Any]:
        """Returns the plan for the page: {"lines", "changes", "said"}."""
        member_id, look = self._administrator(authorization)
        return page.planned(look, plan(self._services, member_id))

    def carry_out(self, action: str, authorization: str) -> Iterator[str]:
        """Returns the lines of apply or undo as JSON, one by one while they are done."""
        member_id, look = self._administrator(authorization)
        work = {"apply": apply, "undo": undo}.get(action)
        if work is None:
            raise NotFound(f"{action}: такого действия нет / there is no such action")
        return self._told(look, member_id, work(self._services, member_id))

    def _told(self, look: Look, member_id: str, lines: Any) -> Iterator[str]:
        yield from page.told(look, lines)
        self._gate.forget()

    def _administrator(self, authorization: str) -> tuple[str, Look]:
        visitor = self._passes.read(authorization)
        row = self._gate.known(visitor.member_id)
        if row is None or not row.active:
            raise Rejected("приложение удалено с портала / the application was removed from the portal")
        if not visitor.admin:
            raise AccessDenied("это может только администратор / only an administrator may do this")
        log.info("portal=%s user=%d page=plan", visitor.member_id, visitor.user_id)
        return visitor.member_id, Look(self._services, visitor.language)
