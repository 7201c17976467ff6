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
_CRM_OBJECTS = (
    "LEAD", "DEAL", "CONTACT", "COMPANY", "QUOTE", "DYNAMICITEM", "TYPE", "REQUISITE", "BANKDETAIL", "CURRENCY",
)  # fmt: skip
_CRM_CHANGES = [
    *(f"ONCRM{kind}{change}" for kind in (*_CRM_OBJECTS, "DEALRECURRING") for change in ("ADD", "UPDATE", "DELETE")),
    *(
        f"ONCRM{kind}USERFIELD{change}"
        for kind in ("LEAD", "DEAL", "CONTACT", "COMPANY", "QUOTE", "REQUISITE", "TYPE")
        for change in ("ADD", "UPDATE", "DELETE", "SETENUMVALUES")
    ),
]
BY_SCOPE = {
    "user": ["ONUSERADD"],
    "user_basic": ["ONUSERADD"],
    "crm": [
        *_CRM_CHANGES,
        "ONCRMDEALMOVETOCATEGORY",
        "ONCRMDEALRECURRINGEXPOSE",
        "ONCRMADDRESSREGISTER",
        "ONCRMADDRESSUNREGISTER",
        *(f"ONCRMACTIVITY{change}" for change in ("ADD", "UPDATE", "DELETE")),
        *(f"ONCRMTIMELINECOMMENT{change}" for change in ("ADD", "UPDATE", "DELETE")),
    ],
    "task": ["ONTASKADD", "ONTASKUPDATE", "ONTASKDELETE", "ONTASKCOMMENTADD", "ONTASKCOMMENTUPDATE",
        "ONTASKCOMMENTDELETE"],
    "calendar": [
        *(f"ONCALENDARENTRY{change}" for change in ("ADD", "UPDATE", "DELETE")),
        *(f"ONCALENDARSECTION{change}" for change in ("ADD", "UPDATE", "DELETE")),
    ],
    "log": ["ONLIVEFEEDPOSTADD"],
    "booking": [
        f"ONBOOKING{kind}{change}"
        for kind in ("", "RESOURCE", "RESOURCETYPE", "WAITLISTITEM")
        for change in ("ADD", "UPDATE", "DELETE")
    ],
    "sale": [
        *(f"ON{kind}{change}" for kind in ("PAYMENT", "SHIPMENT") for change in ("ENTITYSAVED", "DELETED")),
    ],
    "telephony": [
        "ONVOXIMPLANTCALLINIT", "ONVOXIMPLANTCALLSTART", "ONVOXIMPLANTCALLEND", "ONEXTERNALCALLSTART",
        "ONEXTERNALCALLBACKSTART",
    ],
}  # fmt: skip


def base(name: str) -> str:
    """The listed name of an event: ONCRMDYNAMICITEMADD of ONCRMDYNAMICITEMADD_128."""
    head, _, number = name.rpartition("_")
    return head if head.startswith("ONCRMDYNAMICITEM") and number.isdigit() else name


def names(scopes: frozenset[str] | set[str]) -> list[str]:
    """Events that an application with these scopes may bind."""
    found = list(COMMON)
    for scope, listed in BY_SCOPE.items():
        if scope in scopes:
            found.extend(name for name in listed if name not in found)
    return found
