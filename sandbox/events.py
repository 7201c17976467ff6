"""Names of the events that applications may bind, by the scope that they need."""

from __future__ import annotations

COMMON = [
    "ONAPPUNINSTALL",
    "ONAPPINSTALL",
    "ONAPPUPDATE",
    "ONAPPPAYMENT",
    "ONAPPTEST",
    "ONAPPMETHODCONFIRM",
    "ONOFFLINEEVENT",
]
BY_SCOPE = {
    "user": ["ONUSERADD"],
    "user_basic": ["ONUSERADD"],
    "crm": [
        *(f"ONCRM{kind}{change}" for kind in ("LEAD", "DEAL", "CONTACT", "COMPANY") for change in ("ADD", "UPDATE",
            "DELETE")),
        "ONCRMDEALMOVETOCATEGORY",
        *(f"ONCRMACTIVITY{change}" for change in ("ADD", "UPDATE", "DELETE")),
        *(f"ONCRMTIMELINECOMMENT{change}" for change in ("ADD", "UPDATE", "DELETE")),
    ],
    "task": ["ONTASKADD", "ONTASKUPDATE", "ONTASKDELETE", "ONTASKCOMMENTADD"],
    "calendar": ["ONCALENDARENTRYADD", "ONCALENDARENTRYUPDATE", "ONCALENDARENTRYDELETE"],
    "telephony": [
        "ONVOXIMPLANTCALLINIT", "ONVOXIMPLANTCALLSTART", "ONVOXIMPLANTCALLEND", "ONEXTERNALCALLSTART",
        "ONEXTERNALCALLBACKSTART",
    ],
}  # fmt: skip


def names(scopes: frozenset[str] | set[str]) -> list[str]:
    """Events that an application with these scopes may bind."""
    found = list(COMMON)
    for scope, listed in BY_SCOPE.items():
        if scope in scopes:
            found.extend(name for name in listed if name not in found)
    return found
