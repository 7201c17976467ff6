"""The hidden page that the portal loads with each of its own: it waits for `open_form` and opens the form in a slider.

Nothing is asked of the portal to show it: a handler slower than five seconds ten times a day is taken away
(api-reference/widgets/universal/background-worker.md).
"""

from __future__ import annotations

from b24app.pages.frame import Look

OPEN_FORM = "open_form"
"""The pull command: PARAMS {entity, to}."""


def show(look: Look, member_id: str) -> str:
    """Returns the page; it holds nothing of anybody."""
    return look.render("worker.html", member_id=member_id, pull_url=pull_url(look), command=OPEN_FORM)


def pull_url(look: Look) -> str:
    """Returns the address of BX.PullClient: beside BX24.js (settings/interactivity/push-and-pull-in-browser.md)."""
    return look.services.settings.bitrix24.js_url.rstrip("/") + "/pull/"


def connections(portal_url: str) -> tuple[str, ...]:
    """Returns where the page may connect: the portal's REST, and its push server, whose host only the portal knows."""
    return (portal_url, "https:", "wss:")
