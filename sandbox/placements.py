"""Places of the interface in which applications show frames, by the scope that they need."""

from __future__ import annotations

_KINDS = ("LEAD", "DEAL", "CONTACT", "COMPANY")
_CARD = [
    "DETAIL_TAB",
    "DETAIL_TOOLBAR",
    "DETAIL_ACTIVITY",
    "ACTIVITY_TIMELINE_MENU",
    "LIST_MENU",
    "LIST_TOOLBAR",
    "DOCUMENTGENERATOR_BUTTON",
]
BY_SCOPE: dict[str, list[str]] = {
    "": ["LEFT_MENU", "PAGE_BACKGROUND_WORKER", "REST_APP_URI", "USER_PROFILE_MENU", "USER_PROFILE_TOOLBAR"],
    "crm": [
        *(f"CRM_{kind}_{place}" for kind in _KINDS for place in _CARD),
        "CRM_LEAD_ROBOT_DESIGNER_TOOLBAR", "CRM_DEAL_ROBOT_DESIGNER_TOOLBAR", "CRM_FUNNELS_TOOLBAR",
        "CRM_ANALYTICS_MENU", "CRM_ANALYTICS_TOOLBAR",
    ],
    "calendar": ["CALENDAR_GRIDVIEW"],
    "task": [
        "TASK_VIEW_TAB", "TASK_VIEW_SIDEBAR", "TASK_VIEW_TOP_PANEL", "TASK_LIST_CONTEXT_MENU", "TASK_USER_LIST_TOOLBAR",
        "TASK_GROUP_LIST_TOOLBAR", "TASK_ROBOT_DESIGNER_TOOLBAR",
    ],
    "telephony": ["CALL_CARD", "TELEPHONY_ANALYTICS_MENU"],
    "im": ["IM_SIDEBAR", "IM_TEXTAREA", "IM_NAVIGATION", "IM_CONTEXT_MENU", "IMMOBILE_CONTEXT_MENU"],
}  # fmt: skip
_WITH_OPTIONS = ("PAGE_BACKGROUND_WORKER", "TASK_VIEW_TAB", "TASK_VIEW_SIDEBAR")
ONCE = ("PAGE_BACKGROUND_WORKER", "REST_APP_URI")


def keeps_options(code: str) -> bool:
    """Whether placement.bind keeps OPTIONS for that place; the other pages say that the values are not retained."""
    return code.startswith("IM") or code.endswith("_DETAIL_ACTIVITY") or code in _WITH_OPTIONS


def codes(scopes: frozenset[str] | set[str]) -> list[str]:
    """Placements that an application with these scopes may use."""
    return [code for scope, listed in BY_SCOPE.items() if not scope or scope in scopes for code in listed]
