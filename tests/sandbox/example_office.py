"""How the documentation's examples beside CRM become requests to a real portal: the ids are those of office_calls."""

from __future__ import annotations

import re
from typing import Any

FAMILIES = (
    "tasks", "task", "user", "department", "calendar", "timeman", "telephony", "voximplant", "im", "bizproc", "event",
    "placement", "userfieldtype", "messageservice", "disk", "entity", "booking", "mail",
    "userconsent",
)  # fmt: skip
LISTED: dict[str, str] = {
    "bizproc.event.send": "needs a robot that waits; tests of the portal answer one",
    "bizproc.activity.log": "needs a robot that waits; tests of the portal answer one",
    "user.option.get": "the page's answer is that of a call without its parameter; the contract test makes that call",
    "event.test": "has no page of its own with an example",
}
_MORE = dict.fromkeys(
    ("validationRules", "requiredGroups", "editable", "elementType"),
    "the example answers more fields than its own request selects",
)
_LISTED = {"result[].groupId": _MORE["editable"]}
_FULL = {"result.#[]": "the example's answer is that of USER_DATA = N, its request asks for Y"}
_ALONE = {"RELATIONS": "belongs to an entry that was parted from a series; the example's was"}
DIFFERS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("api/tasks.task.field.get", "api/tasks.task.field.list", "api/tasks.task.access.field.get",
        "api/tasks.task.access.field.list"), _MORE),
    **dict.fromkeys(("im.department.managers.get", "im.department.employees.get"), _FULL),
    **dict.fromkeys(("calendar.event.get", "calendar.event.getbyid", "calendar.event.get.nearest"), _ALONE),
    "tasks.api.scrum.epic.list": _LISTED,
    "calendar.section.get": {".ACCESS.": "keyed by access codes, of which each portal has its own"},
    "calendar.user.settings.get": {".group": "calendars of workgroups are not served"},
    "entity.rights": {".U577": "the example's own person"},
    "im.disk.file.commit": {"upload5249": "keyed by the example's own file; test_chat_files.py holds what is below"},
    "im.dialog.messages.get": {".params.": "what a message carries depends on who made it"},
    "im.department.colleagues.list": {"result[]": "the example's answer is that of USER_DATA = N"},
    "voximplant.line.get": {"result.": "lines of the example's portal"},
    "tasks.task.getFields": {"UF_": "a custom field of the example's portal"},
}  # fmt: skip
# Values that name something of the example's portal: they are replaced by those of this one.
_OWN = re.compile(
    r"(?i)(id|ids|users?|code|codes|handler|entity|property|number|line|server|email|accomplices|auditors|attendees|"
    r"event|placement|ranges|slots|clients|dateperiod|key|token|parent|uf_head|uf_department|name|names|document_type|"
    r"section|title|month|year|login|fileids|taskname|search_.*|find|query|newname|from|to|data|template_data|"
    r"user_type_id|files|file_content|filecontent|messages|createdby|created_by|responsible_id|system_code|status|"
    r"report_id|process_id|message_id|parameters|return_values|uf_forum_message_doc|author_id|fields|access|"
    r"start_date|avatar|color|filter|select|stage|after_id|language|event_name)$"
)


class World:
    """The records of the contract test on the portal on which `do` works."""

    def __init__(self, do: Any) -> None:
        # The test module is imported at need: the table of the documentation is made without pytest's paths.
        from test_sandbox_contract import Journey, params_of

        owner = do.__self__
        self.journey = owner if hasattr(owner, "office") else Journey(owner.sandbox)
        self.params_of = params_of
        self.asking = False

    def params(self, name: str) -> dict[str, Any]:
        """What the contract test calls the method with; it asks for the example where it has nothing of its own."""
        if self.asking:
            return {}
        self.asking = True
        try:
            return dict(self.params_of(self.journey, name))
        finally:
            self.asking = False


def fit(world: World, name: str, request: Any) -> Any:
    """The example with this portal's own values in the places where it names something of its own."""
    own = world.params(name)
    if not isinstance(request, dict):
        return own
    return _merged(request, own)


def _merged(example: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    lower = {key.lower(): key for key in own}
    made: dict[str, Any] = {}
    for key, value in example.items():
        mine = lower.get(key.lower())
        if mine is None:
            # A filter or a page that fits the example's records would find none of these.
            if key.lower() not in ("filter", "start", "dateperiod", "time", "last_type") and not _names_something(
                key, value
            ):
                made[key] = value
            continue
        if isinstance(value, dict) and isinstance(own[mine], dict) and key.lower() not in ("dateperiod", "filter"):
            made[key] = _merged(value, own[mine])
        else:
            made[key] = own[mine] if _OWN.search(key) else value
    known = {key.lower() for key in made}
    made |= {key: value for key, value in own.items() if key.lower() not in known}
    return made


def _names_something(key: str, value: Any) -> bool:
    """An id of a record of the example's portal, for which this request has no counterpart."""
    return bool(
        re.search(r"(?i)(id|ids|_by|user|section|parent|uf_head|handler|attendees|group|_doc|_files)$", key)
    ) and not (isinstance(value, bool) or value in (0, "0", "Y", "N"))
