"""Activities and comments of the timeline (api-reference/crm/timeline)."""

from __future__ import annotations

import base64
from typing import Any

from sandbox import crm, delivery
from sandbox.crm_kinds import WORD, item_of, kind_of
from sandbox.filters import Column, page_of, select_rows, to_time
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, as_map, method, missing, plain, yes
from sandbox.portal import Portal

_TIMES = ("CREATED", "LAST_UPDATED", "START_TIME", "END_TIME", "DEADLINE")
_NUMBERS = [
    "ID",
    "OWNER_ID",
    "OWNER_TYPE_ID",
    "TYPE_ID",
    "ASSOCIATED_ENTITY_ID",
    "STATUS",
    "RESPONSIBLE_ID",
    "PRIORITY",
    "NOTIFY_TYPE",
    "NOTIFY_VALUE",
    "DESCRIPTION_TYPE",
    "DIRECTION",
    "AUTHOR_ID",
    "EDITOR_ID",
    "RESULT_MARK",
    "RESULT_STATUS",
    "RESULT_STREAM",
    "AUTOCOMPLETE_RULE",
]
_TEXTS = [
    "PROVIDER_ID",
    "PROVIDER_TYPE_ID",
    "PROVIDER_GROUP_ID",
    "SUBJECT",
    "DESCRIPTION",
    "LOCATION",
    "ORIGINATOR_ID",
    "ORIGIN_ID",
]
_FIELDS = [
    "ID",
    "OWNER_ID",
    "OWNER_TYPE_ID",
    "TYPE_ID",
    "PROVIDER_ID",
    "PROVIDER_TYPE_ID",
    "PROVIDER_GROUP_ID",
    "ASSOCIATED_ENTITY_ID",
    "SUBJECT",
    "CREATED",
    "LAST_UPDATED",
    "START_TIME",
    "END_TIME",
    "DEADLINE",
    "COMPLETED",
    "STATUS",
    "RESPONSIBLE_ID",
    "PRIORITY",
    "NOTIFY_TYPE",
    "NOTIFY_VALUE",
    "DESCRIPTION",
    "DESCRIPTION_TYPE",
    "DIRECTION",
    "LOCATION",
    "SETTINGS",
    "ORIGINATOR_ID",
    "ORIGIN_ID",
    "AUTHOR_ID",
    "EDITOR_ID",
    "PROVIDER_PARAMS",
    "PROVIDER_DATA",
    "RESULT_MARK",
    "RESULT_VALUE",
    "RESULT_SUM",
    "RESULT_CURRENCY_ID",
    "RESULT_STATUS",
    "RESULT_STREAM",
    "RESULT_SOURCE_ID",
    "AUTOCOMPLETE_RULE",
    "IS_INCOMING_CHANNEL",
]
_COLUMNS = {name: Column(name, "int") for name in _NUMBERS} | {name: Column(name) for name in _TEXTS}
_COLUMNS |= {name: Column(name, "time") for name in _TIMES}
_COLUMNS |= {name: Column(name, "flag") for name in ("COMPLETED", "IS_INCOMING_CHANNEL")}


def _activity(call: Call, row: Row, extra: tuple[str, ...] = ()) -> Row:
    made: Row = {}
    for name in _FIELDS:
        value = row[name]
        if name in _TIMES:
            value = call.portal.iso(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            value = plain(value)
        made[name] = value if value != {} else []
    for name in extra:
        if name == "COMMUNICATIONS" and row[name]:
            made[name] = [_communication(call, row, index, one) for index, one in enumerate(row[name])]
        elif name == "BINDINGS":
            made[name] = [{key: str(value) for key, value in one.items()} for one in row[name]]
        elif row[name]:
            made[name] = [{"id": one["id"], "url": one["urlDownload"]} for one in row[name]]
    return made


def _communication(call: Call, row: Row, index: int, one: Row) -> Row:
    kind, number = as_int(one["ENTITY_TYPE_ID"]), as_int(one["ENTITY_ID"])
    owner = item_of(call.portal, kind, number)
    names = ("HONORIFIC", "NAME", "SECOND_NAME", "LAST_NAME", "COMPANY_TITLE", "COMPANY_ID")
    settings = {name: plain((owner or {}).get(name)) for name in names}
    return {"ID": str(row["ID"] * 10 + index), **one, "ENTITY_SETTINGS": settings}


def _readable(call: Call, row: Row) -> bool:
    for binding in row["BINDINGS"]:
        kind = binding["OWNER_TYPE_ID"]
        item = item_of(call.portal, kind, binding["OWNER_ID"])
        if item is not None and crm.can_read(call.user, kind, item):
            return True
    return call.admin or row["RESPONSIBLE_ID"] == call.user_id


def _found(call: Call) -> Row:
    number = as_int(call.get("id"))
    if number is None or number <= 0:
        raise RestError("", "ID is not defined or invalid.", 400)
    row = call.portal["activities"].get(number)
    if row is None:
        raise RestError("", "Activity is not found.", 400)
    if not _readable(call, row):
        raise RestError("", "Access denied.", 400)
    return row


@method("crm.activity.get", scope="crm", params="id")
def activity_get(call: Call) -> Row:
    return _activity(call, _found(call), ("COMMUNICATIONS", "FILES"))


@method("crm.activity.list", scope="crm", params="order filter select start")
def activity_list(call: Call) -> Page:
    given = {key.upper() if not key.isdigit() else key: value for key, value in call.mapping("filter").items()}
    pairs = [as_map(one) for one in as_list(given.pop("BINDINGS", None))]
    if pairs and all(not isinstance(one, dict) for one in as_list(call.mapping("filter").get("BINDINGS"))):
        pairs = [as_map(call.mapping("filter")["BINDINGS"])]

    def visible(row: Row) -> bool:
        if pairs and not any(_bound(row, pair) for pair in pairs):
            return False
        return call.admin or _readable(call, row)

    start = call.integer("start")
    order = {key.upper(): value for key, value in call.mapping("order").items()}
    rows, total, following = select_rows(
        call.portal["activities"], filter=given, order=order, columns=_COLUMNS, zone=call.portal.zone(), start=start,
        unknown=lambda key: None, visible=visible if pairs or not call.admin else None,
    )  # fmt: skip
    names = [plain(name).upper() for name in as_list(call.get("select"))]
    items = []
    for row in rows:
        made = _activity(call, row, tuple(name for name in ("BINDINGS", "COMMUNICATIONS", "FILES") if name in names))
        if names and "*" not in names:
            made = {key: value for key, value in made.items() if key in names or key == "ID"}
        items.append(made)
    return page_of(items, total, following, start)


def _bound(row: Row, pair: Row) -> bool:
    kind, number = as_int(pair.get("OWNER_TYPE_ID")), as_int(pair.get("OWNER_ID"))
    return any(
        (kind is None or one["OWNER_TYPE_ID"] == kind) and (number is None or one["OWNER_ID"] == number)
        for one in row["BINDINGS"]
    )


def attached(portal: Portal, name: str) -> Row:
    """A file as an activity lists it."""
    number = portal["files"].add({"NAME": name, "CONTENT": ""})["ID"]
    url = f"{portal.url}/bitrix/tools/crm_show_file.php?fileId={number}"
    return {"id": number, "name": name, "urlDownload": f"{url}&action=download"}


def _times(call: Call, kind: int, given: Row) -> Row:
    """START_TIME, END_TIME and the DEADLINE that follows one: the first for calls and meetings, the last for tasks.

    "This field is not set directly", other types keep what they have (activities/activity-base/crm-activity-add.md).
    """
    zone = call.portal.zone()
    made: Row = {name: to_time(given[name], zone) for name in ("START_TIME", "END_TIME") if name in given}
    source = {1: "START_TIME", 2: "START_TIME", 3: "END_TIME"}.get(kind)
    return made | {"DEADLINE": made[source]} if source in made else made


@method("crm.activity.add", scope="crm", params="fields", writes=True)
def activity_add(call: Call) -> int:
    given = call.get("fields")
    if not isinstance(given, dict):
        raise RestError("", "Parameter 'fields' must be array.", 400)
    given = {key.upper(): value for key, value in given.items()}
    kind_of = as_int(given.get("TYPE_ID"))
    if kind_of not in (1, 2, 4, 6):
        raise RestError("", "The field TYPE_ID is not defined or invalid", 400)
    if kind_of == 6 and not plain(given.get("PROVIDER_ID")):
        raise RestError("", "The custom activity without provider is not supported in current context", 400)
    if plain(given.get("PROVIDER_ID")) == "CONFIGURABLE_REST_APP":
        raise RestError("", "Use crm.activity.configurable.add for this activity provider", 400)
    if plain(given.get("PROVIDER_ID")) == "REST_APP" and call.application is None:
        raise RestError("", "Application context required", 400)
    if not plain(given.get("SUBJECT")).strip():
        raise RestError("", "The field SUBJECT is not defined or empty", 400)
    responsible = as_int(given.get("RESPONSIBLE_ID")) or call.user_id
    if call.portal.user(responsible) is None:
        raise RestError("", "The field RESPONSIBLE_ID is not defined or invalid", 400)
    communications = [as_map(one) for one in as_list(given.get("COMMUNICATIONS"))]
    if not communications and kind_of in (2, 4):
        raise RestError("", "The field COMMUNICATIONS is not defined or invalid", 400)
    if len(communications) > 1 and kind_of in (2, 4):
        raise RestError("", "The only one communication is allowed for activity of specified type", 400)
    kind, number = as_int(given.get("OWNER_TYPE_ID")) or 0, as_int(given.get("OWNER_ID")) or 0
    item = item_of(call.portal, kind, number)
    if item is None:
        raise RestError(
            "", "Could not build binding. Please ensure that owner info and communications are defined correctly", 400
        )
    if not crm.can_change(call.user, kind, item):
        raise RestError("", "Access denied.", 400)
    sent = kind_of == 4 and as_int(given.get("DIRECTION")) == 2 and yes(given.get("COMPLETED"))
    if sent and not crm.is_email(plain(communications[0].get("VALUE"))):
        raise RestError("", "Email send error. Invalid email is specified", 400)
    values: Row = {
        "OWNER_TYPE_ID": kind, "OWNER_ID": number, "TYPE_ID": kind_of, "RESPONSIBLE_ID": responsible,
        "COMMUNICATIONS": [
            {"TYPE": "EMAIL" if kind_of == 4 else "PHONE" if kind_of == 2 else "", "VALUE": plain(one.get("VALUE")),
             "ENTITY_ID": plain(one.get("ENTITY_ID")) or str(number),
             "ENTITY_TYPE_ID": plain(one.get("ENTITY_TYPE_ID")) or str(kind), "ENTITY_SETTINGS": []}
            for one in communications
        ],
        "PROVIDER_ID": plain(given.get("PROVIDER_ID")) or {1: "CRM_MEETING", 2: "CRM_CALL", 4: "CRM_EMAIL"}[kind_of],
        "PROVIDER_TYPE_ID": plain(given.get("PROVIDER_TYPE_ID")) or {1: "MEETING", 2: "CALL", 4: "EMAIL",
            6: ""}[kind_of],
    }  # fmt: skip
    for name in _TEXTS:
        if name in given and name not in values:
            values[name] = plain(given[name])
    for name in _NUMBERS:
        number_given = as_int(given.get(name))
        if number_given is not None and name not in ("ID", "AUTHOR_ID", "EDITOR_ID", *values):
            values[name] = number_given
    values |= _times(call, kind_of, given)
    if yes(given.get("COMPLETED")):
        values |= {"COMPLETED": "Y", "STATUS": 2}
    for name in ("SETTINGS", "PROVIDER_PARAMS"):
        if isinstance(given.get(name), dict):
            values[name] = given[name]
    data = [as_list(as_map(one).get("fileData")) for one in as_list(given.get("FILES"))]
    values["FILES"] = _files(call, [one for one in data if len(one) == 2])
    row = crm.add_activity(call.portal, values, call.actor)
    if sent:
        call.portal["sent_mail"].add(
            {"ACTIVITY_ID": row["ID"], "TO": values["COMMUNICATIONS"][0]["VALUE"], "SUBJECT": values["SUBJECT"]}
        )
        call.portal.effect("send", "email", row["ID"], call.user_id, "rest", to=values["COMMUNICATIONS"][0]["VALUE"])
    return int(row["ID"])


@method("crm.activity.update", scope="crm", params="id fields", writes=True)
def activity_update(call: Call) -> bool:
    row = _found(call)
    if row["PROVIDER_ID"] == "CONFIGURABLE_REST_APP":
        raise RestError("", "Use crm.activity.configurable.update for this activity provider", 400)
    given = {key.upper(): value for key, value in call.mapping("fields").items()}
    new: Row = {}
    for name in ("SUBJECT", "DESCRIPTION", "LOCATION"):
        if name in given:
            new[name] = plain(given[name])
    for name in ("RESPONSIBLE_ID", "PRIORITY", "STATUS"):
        if as_int(given.get(name)) is not None:
            new[name] = as_int(given[name])
    new |= _times(call, row["TYPE_ID"], given)
    if "COMPLETED" in given:
        new["COMPLETED"] = "Y" if yes(given["COMPLETED"]) else "N"
        new["STATUS"] = 2 if new["COMPLETED"] == "Y" else 1
    if all(row[key] == value for key, value in new.items()):
        return True
    row.update(new)
    row["LAST_UPDATED"], row["EDITOR_ID"] = call.portal.now(), call.user_id
    call.portal.effect("update", "activity", row["ID"], call.user_id, "rest")
    delivery.emit(
        call.portal, "ONCRMACTIVITYUPDATE", {"FIELDS": {"ID": row["ID"]}}, call.actor, entity=f"activity {row['ID']}"
    )
    return True


@method("crm.activity.delete", scope="crm", params="id", writes=True)
def activity_delete(call: Call) -> bool:
    row = _found(call)
    call.portal["activities"].remove(row["ID"])
    if row["PROVIDER_ID"] == "CALL_LIST":
        # "You can delete a call list by deleting the activity" (crm/call-list/index.md).
        call.portal["call_lists"].remove(row["ASSOCIATED_ENTITY_ID"])
    call.portal.effect("delete", "activity", row["ID"], call.user_id, "rest")
    delivery.emit(
        call.portal, "ONCRMACTIVITYDELETE", {"FIELDS": {"ID": row["ID"]}}, call.actor, entity=f"activity {row['ID']}"
    )
    return True


# --- comments -------------------------------------------------------------------------------------------------------


def _owner(call: Call, kind: int | None, number: int | None) -> Row:
    item = item_of(call.portal, kind, number)
    if kind is None or item is None:
        raise RestError("OWNER_NOT_FOUND", "Owner was not found", 400)
    if not crm.can_change(call.user, kind, item):
        raise RestError("ACCESS_DENIED", "Access denied.", 400)
    return item


def _comment(call: Call, row: Row) -> Row:
    made: Row = {
        "ID": str(row["ID"]), "ENTITY_ID": str(row["ENTITY_ID"]), "ENTITY_TYPE": row["ENTITY_TYPE"],
        "CREATED": call.portal.iso(row["CREATED"]), "COMMENT": row["COMMENT"], "AUTHOR_ID": str(row["AUTHOR_ID"]),
    }  # fmt: skip
    if row["FILES"]:
        made["FILES"] = {str(one["id"]): {**one, "date": call.portal.iso(one["date"])} for one in row["FILES"]}
    return made


def _files(call: Call, value: Any) -> list[Row]:
    """[name, base64] pairs as stored files; their content is kept to be read back."""
    listed = as_list(value)
    if len(listed) == 2 and all(isinstance(one, str) for one in listed):
        listed = [listed]
    made = []
    for one in listed:
        pair = as_list(one)
        if len(pair) < 2:
            continue
        try:
            size = len(base64.b64decode(plain(pair[1]), validate=False))
        except ValueError:
            continue
        file = call.portal["files"].add({"NAME": plain(pair[0]), "CONTENT": plain(pair[1])})
        url = f"/bitrix/tools/disk/uf.php?attachedId={file['ID']}"
        made.append(
            {
                "id": file["ID"], "date": call.portal.now(), "type": "file", "name": plain(pair[0]), "size": size,
                "image": None, "authorId": call.user_id, "authorName": f"{call.user['NAME']} {call.user['LAST_NAME']}",
                "urlPreview": f"{url}&action=preview", "urlShow": f"{url}&action=show",
                "urlDownload": f"{url}&action=download",
            }
        )  # fmt: skip
    return made


@method("crm.timeline.comment.add", scope="crm", params="fields", writes=True)
def comment_add(call: Call) -> int:
    given = {key.upper(): value for key, value in call.mapping("fields").items()}
    if not given:
        raise missing("fields")
    kind = kind_of(plain(given.get("ENTITY_TYPE")))
    number = as_int(given.get("ENTITY_ID"))
    if kind is None or not number:
        raise RestError("100", "Required fields are not provided", 400)
    _owner(call, kind, number)
    text = plain(given.get("COMMENT"))
    if not text.strip():
        raise RestError("INVALID_ARG_VALUE", "Empty comment", 400)
    author = as_int(given.get("AUTHOR_ID")) or call.user_id
    row = call.portal["comments"].add(
        {
            "ENTITY_ID": number, "ENTITY_TYPE": WORD[kind].lower(), "CREATED": call.portal.now(), "COMMENT": text,
            "AUTHOR_ID": author if call.portal.user(author) else call.user_id,
            "FILES": _files(call, given.get("FILES")),
        }
    )  # fmt: skip
    crm.touch(call.portal, kind, number, call.user_id)
    _comment_event(call, "ADD", row)
    return int(row["ID"])


def _comment_event(call: Call, change: str, row: Row) -> None:
    verb = {"ADD": "create", "UPDATE": "update", "DELETE": "delete"}[change]
    call.portal.effect(
        verb, "comment", row["ID"], call.user_id, "rest", owner=f"{row['ENTITY_TYPE']} {row['ENTITY_ID']}"
    )
    delivery.emit(
        call.portal,
        f"ONCRMTIMELINECOMMENT{change}",
        {"FIELDS": {"ID": row["ID"]}},
        call.actor,
        entity=f"comment {row['ID']}",
    )


def _places(row: Row) -> list[tuple[int | None, int]]:
    """The items in whose timelines the comment stands: its own and those it was bound to."""
    bound = [(kind_of(one["ENTITY_TYPE"]), one["ENTITY_ID"]) for one in row.get("BINDINGS") or []]
    return [(kind_of(row["ENTITY_TYPE"]), row["ENTITY_ID"]), *bound]


def _comment_found(call: Call) -> Row:
    """The comment to change: comment.update and comment.delete share their refusals, comment.get has its own."""
    if call.get("id") in (None, ""):
        raise missing("id")
    row = call.portal["comments"].get(as_int(call.get("id")))
    if row is None:
        raise RestError("NOT_FOUND", "Not found.", 400)
    named = as_int(call.get("ownerTypeId")), as_int(call.get("ownerId"))
    if None not in named and named not in _places(row):
        raise RestError("OWNER_NOT_FOUND", "Owner was not found", 400)
    _owner(call, kind_of(row["ENTITY_TYPE"]), row["ENTITY_ID"])
    if not call.admin and row["AUTHOR_ID"] != call.user_id:
        raise RestError("ACCESS_DENIED", "Access denied.", 400)
    return row


@method("crm.timeline.comment.get", scope="crm", params="id")
def comment_get(call: Call) -> Row:
    number = as_int(call.get("id"))
    if number is None or number <= 0:
        raise RestError("", "ID is not defined or invalid.", 400)
    row = call.portal["comments"].get(number)
    if row is None:
        raise RestError("", "Not found.", 400)
    kind = kind_of(row["ENTITY_TYPE"])
    item = item_of(call.portal, kind, row["ENTITY_ID"])
    if kind is None or item is None or not crm.can_read(call.user, kind, item):
        raise RestError("", "Access denied.", 400)
    return _comment(call, row)


@method("crm.timeline.comment.update", scope="crm", params="id fields ownerTypeId ownerId", writes=True)
def comment_update(call: Call) -> int:
    row = _comment_found(call)
    given = {key.upper(): value for key, value in call.mapping("fields").items()}
    text = plain(given.get("COMMENT", row["COMMENT"]))
    if not text.strip():
        raise RestError("INVALID_ARG_VALUE", "Empty comment", 400)
    files = _files(call, given["FILES"]) if "FILES" in given else row["FILES"]
    if text != row["COMMENT"] or files != row["FILES"]:
        row["COMMENT"], row["FILES"] = text, files
        _comment_event(call, "UPDATE", row)
    return int(row["ID"])


@method("crm.timeline.comment.delete", scope="crm", params="id ownerTypeId ownerId", writes=True)
def comment_delete(call: Call) -> None:
    row = _comment_found(call)
    if len(_places(row)) > 1:
        raise RestError("MULTIPLE_BINDINGS", "Элемент привязан к нескольким объектам", 400)
    call.portal["comments"].remove(row["ID"])
    _comment_event(call, "DELETE", row)


_COMMENT_COLUMNS = {name: Column(name, "int") for name in ("ID", "ENTITY_ID", "AUTHOR_ID")}
_COMMENT_COLUMNS |= {
    "ENTITY_TYPE": Column("ENTITY_TYPE"),
    "COMMENT": Column("COMMENT"),
    "CREATED": Column("CREATED", "time"),
}


@method("crm.timeline.comment.list", scope="crm", params="order filter select start")
def comment_list(call: Call) -> Page:
    given = {key.upper(): value for key, value in call.mapping("filter").items()}
    kind = kind_of(plain(given.get("ENTITY_TYPE")))
    number = as_int(given.get("ENTITY_ID"))
    item = item_of(call.portal, kind, number)
    if kind is None or item is None or not crm.can_read(call.user, kind, item):
        raise RestError("", "Access denied.", 400)
    start = call.integer("start")
    rest = {key: value for key, value in given.items() if key not in ("ENTITY_TYPE", "ENTITY_ID")}
    rows, total, following = select_rows(
        call.portal["comments"], filter=rest, visible=lambda row: (kind, number) in _places(row),
        order={key.upper(): one for key, one in call.mapping("order").items()},
        columns=_COMMENT_COLUMNS, zone=call.portal.zone(), start=start, unknown=lambda key: None,
    )  # fmt: skip
    names = [plain(name).upper() for name in as_list(call.get("select"))]
    items = [_comment(call, row) for row in rows]
    if names and "*" not in names:
        items = [{key: value for key, value in one.items() if key in names or key == "ID"} for one in items]
    return page_of(items, total, following, start)
