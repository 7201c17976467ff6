"""Check-lists of task templates: tasks.template.checklist.* (api-reference/tasks/template/checklist).

Every page words the same two refusals in its own way; they are kept as printed. A move shifts what stands below, and
leaves the gap that the item made: so the pages' examples follow each other.
"""

from __future__ import annotations

from typing import Any

from sandbox import checklists, disk, templates
from sandbox.checklists import TEMPLATE
from sandbox.filters import Column, select_rows, split_key
from sandbox.method import Call, RestError, Row, as_int, as_list, method, missing, plain
from sandbox.methods.task_records import mismatch, structure
from sandbox.methods.tasks import camel

_NO_ATTACHMENT = "An error occurred while adding the attachment"
_NO_TEMPLATE = "Access to the task template is denied"
_NO_ITEM_GIVEN = (
    "Bitrix\\Tasks\\CheckList\\Internals\\CheckList All parameters in the constructor must have real class type"
)
# What an empty or wrong templateId gets where the page names it.
_NO_NUMBER = (
    "Bitrix\\Tasks\\CheckList\\CheckListFacade::onAfterUpdate(): Argument #1 ($taskId) must be of type int, string "
    "given, called in /var/www/html/bitrix/modules/tasks/lib/checklist/checklistfacade.php on line 313"
)
# verb -> (the caller may not change the template, there is no such item, whether the page names _NO_NUMBER).
_WORDS = {
    "add": ("Adding item: action is not available", "", False),
    "update": ("Updating item: action not available", "Invalid value [] for field [ENTITY_ID] in item [, {title}]",
        True),
    "delete": ("Deleting item: action not available", "Invalid value [] for field [ENTITY_ID] in item [, ]", True),
    "complete": ("Changing the status of the item: action unavailable",
        "Incorrect value [] for field [ENTITY_ID] in item [, ]", True),
    "renew": ("Changing the status of the item: action not available",
        "Incorrect value [] for field [ENTITY_ID] in item [, ]", True),
    "moveAfter": ("Moving item: action not available", "Incorrect value [] for field [ENTITY_ID] in element [, ]",
        True),
    "moveBefore": ("Moving item: action unavailable", "Invalid value [] for field [ENTITY_ID] in element [, ]", True),
    "addAttachmentByContent": ("Modification of the item: action is not available", _NO_ATTACHMENT, False),
    "addAttachmentsFromDisk": ("Item modification: action not available",
        "Invalid value [] for field [ENTITY_ID] in element [, ]", False),
    "removeAttachments": ("Changing item: action is not available",
        "Invalid value [] for field [ENTITY_ID] in element [, ]", False),
}  # fmt: skip


def _editable(call: Call) -> Row:
    """The template of the call, which the caller may change."""
    denied, _, named = _WORDS[call.method.name.rpartition(".")[2]]
    number = as_int(call.get("templateId"))
    if number is None and named:
        raise RestError("0", _NO_NUMBER, 400)
    row = call.portal["task_templates"].get(number)
    if row is None or not templates.can_edit(row, call.user):
        raise RestError("0", denied, 400)
    return row


def _given(call: Call) -> None:
    if call.get("checkListItemId") is None:
        raise RestError("100", _NO_ITEM_GIVEN, 400)


def _item(call: Call, name: str = "checkListItemId", title: str = "") -> Row:
    """The item of that parameter in a template that the caller may change."""
    _given(call)
    template = _editable(call)
    item = call.portal[TEMPLATE.table].get(as_int(call.get(name)))
    if item is None or item["TEMPLATE_ID"] != template["ID"]:
        raise RestError("0", _WORDS[call.method.name.rpartition(".")[2]][1].format(title=title), 400)
    return item


def _readable(call: Call) -> Row:
    row = call.portal["task_templates"].get(as_int(call.get("templateId")))
    if row is None or not templates.can_read(call.portal, row, call.user):
        raise RestError("0", _NO_TEMPLATE, 400)
    return row


def _attachments(call: Call, item: Row) -> Row | list[Any]:
    found = disk.attachments(call.portal, templates.ITEM_FILES, item["ID"])
    return {str(one["ID"]): f"n{one['OBJECT_ID']}" for one in found} or []


def _members(call: Call, item: Row) -> list[Row]:
    return [{camel(key): value for key, value in one.items()} for one in checklists.members(call.portal, item)]


def _answer(call: Call, item: Row | None) -> Row:
    """One item; None has the keys and no values. Only add tells who made it."""
    made: Row = {
        "id": None, "copiedId": None, "userId": call.user_id, "createdBy": None, "parentId": 0, "title": "",
        "sortIndex": None, "displaySortIndex": "", "isComplete": False, "isImportant": False, "completedCount": 0,
        "members": [], "attachments": [], "nodeId": None, "templateId": None,
    }  # fmt: skip
    if item is not None:
        made |= {
            "id": item["ID"], "parentId": item["PARENT_ID"], "title": item["TITLE"], "sortIndex": item["SORT_INDEX"],
            "isComplete": item["IS_COMPLETE"] == "Y", "isImportant": item["IS_IMPORTANT"] == "Y",
            "completedCount": checklists.done_under(call.portal, TEMPLATE, item), "members": _members(call, item),
            "attachments": _attachments(call, item), "templateId": item["TEMPLATE_ID"],
        }  # fmt: skip
    return {"checkListItem": made}


def _changed(call: Call, number: int) -> None:
    call.portal.effect("update", "task template", number, call.user_id, call.actor.via, fields=["CHECKLIST"])


def _upper(call: Call) -> Row:
    given = structure(call, "fields")
    if call.method.name.endswith(".update") and not given:
        raise missing("fields")
    return {key.upper(): value for key, value in given.items()}


def _parent(call: Call, template: Row, number: int) -> int:
    """The parent's id; 0, a check-list of its own, when the template has no such item."""
    row = call.portal[TEMPLATE.table].get(number)
    return number if row is not None and row["TEMPLATE_ID"] == template["ID"] else 0


@method("tasks.template.checklist.add", scope="task", params="templateId! fields!", style="controller", writes=True)
def item_add(call: Call) -> Row:
    given = _upper(call)
    template = _editable(call)
    values = checklists.read(given)
    title = "" if isinstance(given.get("TITLE"), (dict, list)) else values.get("TITLE", "")
    if not title.strip():
        raise RestError("0", "Item name is not specified", 400)
    if values.get("PARENT_ID", -1) < 0:
        raise RestError("0", f"Invalid value [] for field [PARENT_ID] in element [, {title}]", 400)
    values["PARENT_ID"] = _parent(call, template, values["PARENT_ID"])
    item = checklists.store(call.portal, TEMPLATE, template["ID"], values, call.user_id)
    _changed(call, template["ID"])
    made = _answer(call, item)
    short = [{"type": kind, "id": int(number)} for number, kind in item["MEMBERS"].items()]
    made["checkListItem"] |= {"createdBy": item["CREATED_BY"], "members": short}
    return made


@method("tasks.template.checklist.update", scope="task", params="templateId! checkListItemId fields!",
    style="controller", writes=True)  # fmt: skip
def item_update(call: Call) -> Row:
    given = _upper(call)
    item = _item(call, title="" if isinstance(given.get("TITLE"), (dict, list)) else plain(given.get("TITLE")))
    values = checklists.read(given)
    if "TITLE" in given and (isinstance(given["TITLE"], (dict, list)) or not values["TITLE"].strip()):
        raise RestError("0", "Item name is not specified", 400)
    template = call.portal["task_templates"].rows[item["TEMPLATE_ID"]]
    if "PARENT_ID" in values:
        values["PARENT_ID"] = _parent(call, template, values["PARENT_ID"])
        if values["PARENT_ID"] in {row["ID"] for row in checklists.branch(call.portal, TEMPLATE, item)}:
            place = f"[{values['PARENT_ID']}] for field [PARENT_ID] in item [{item['ID']}, {item['TITLE']}]"
            raise RestError("0", f"Invalid value {place}", 400)
    if "IS_COMPLETE" in values:
        _toggle(call, item, values["IS_COMPLETE"])
    item.update(values)
    if "SORT_INDEX" not in values:
        _close_gap(call, item)
    _changed(call, template["ID"])
    return _answer(call, item)


def _siblings(call: Call, item: Row) -> list[Row]:
    found = checklists.items(call.portal, TEMPLATE, item["TEMPLATE_ID"], PARENT_ID=item["PARENT_ID"])
    return [row for row in found if row["ID"] != item["ID"]]


def _close_gap(call: Call, item: Row) -> None:
    """An item that stands far below its neighbour moves up to it.

    [verify] The examples show it (200 of add is 3 after an update of the title), no text does.
    """
    above = [row["SORT_INDEX"] for row in _siblings(call, item) if row["SORT_INDEX"] < item["SORT_INDEX"]]
    if above:
        item["SORT_INDEX"] = max(above) + 1


@method("tasks.template.checklist.get", scope="task", params="templateId! checkListItemId", style="controller")
def item_get(call: Call) -> Row:
    _given(call)
    if as_int(call.get("templateId")) is None:
        return _answer(call, None)
    template = _readable(call)
    item = call.portal[TEMPLATE.table].get(as_int(call.get("checkListItemId")))
    return _answer(call, item if item is not None and item["TEMPLATE_ID"] == template["ID"] else None)


_COLUMNS = {
    **{name: Column(name, "int") for name in ("ID", "TEMPLATE_ID", "PARENT_ID", "SORT_INDEX", "CREATED_BY",
        "TOGGLED_BY")},
    "TITLE": Column("TITLE"), "TOGGLED_DATE": Column("TOGGLED_DATE", "time"),
    **{name: Column(name, "flag") for name in ("IS_COMPLETE", "IS_IMPORTANT")},
}  # fmt: skip
_SORTABLE = ("ID", "PARENT_ID", "CREATED_BY", "TITLE", "SORT_INDEX", "IS_COMPLETE", "IS_IMPORTANT", "TOGGLED_BY",
    "TOGGLED_DATE")  # fmt: skip
_SELECTABLE = ("ID", "TEMPLATE_ID", "PARENT_ID", "TITLE", "SORT_INDEX", "IS_COMPLETE", "IS_IMPORTANT", "MEMBERS",
    "ATTACHMENTS")  # fmt: skip


def _unknown(name: str) -> RestError:
    # [verify] The page lists the fields and names no error for another one.
    return RestError("0", f"Unknown field definition `{name}`", 400)


def _listed(call: Call, row: Row) -> Row:
    """An item as a list prints it: values as text, only the parent of a check-list itself a number."""
    text = {name: str(row[name]) for name in ("ID", "TEMPLATE_ID", "PARENT_ID", "SORT_INDEX")}
    return {
        "ID": text["ID"], "TEMPLATE_ID": text["TEMPLATE_ID"], "PARENT_ID": text["PARENT_ID"] if row["PARENT_ID"] else 0,
        "TITLE": row["TITLE"], "SORT_INDEX": text["SORT_INDEX"], "IS_COMPLETE": row["IS_COMPLETE"],
        "IS_IMPORTANT": row["IS_IMPORTANT"], "MEMBERS": _members(call, row), "ATTACHMENTS": _attachments(call, row),
    }  # fmt: skip


@method("tasks.template.checklist.list", scope="task", params="templateId! filter select order", style="controller")
def item_list(call: Call) -> Row:
    given, order = structure(call, "filter"), structure(call, "order")
    structure(call, "select")
    template = _readable(call)
    names = [plain(one).upper() for one in as_list(call.get("select"))] or list(_SELECTABLE)

    def refuse(key: str) -> Any:
        raise _unknown(split_key(key)[1])

    wrong = [*(set(order) - set(_SORTABLE)), *(set(names) - {*_SELECTABLE, "*"})]
    if wrong:
        raise _unknown(wrong[0])
    conditions = {key: value for key, value in given.items() if key != "TEMPLATE_ID"}
    found, _, _ = select_rows(
        call.portal[TEMPLATE.table], filter=conditions, order=order or {"ID": "desc"}, columns=_COLUMNS,
        zone=call.portal.zone(), visible=lambda row: row["TEMPLATE_ID"] == template["ID"], limit=10_000, unknown=refuse,
    )  # fmt: skip
    made = {}
    for row in found:
        shown = {name: value for name, value in _listed(call, row).items() if name in (*names, "ID") or "*" in names}
        made[str(row["ID"])] = {camel(name): value for name, value in shown.items()}
    return {"checkListItems": made or []}


@method("tasks.template.checklist.delete", scope="task", params="templateId! checkListItemId", style="controller",
    writes=True)  # fmt: skip
def item_delete(call: Call) -> bool:
    item = _item(call)
    for row in checklists.branch(call.portal, TEMPLATE, item):
        templates.drop_item(call.portal, row)
    _changed(call, item["TEMPLATE_ID"])
    return True


def _toggle(call: Call, item: Row, state: str) -> None:
    if item["IS_COMPLETE"] != state:
        item["IS_COMPLETE"], item["TOGGLED_BY"], item["TOGGLED_DATE"] = state, call.user_id, call.portal.now()
        _changed(call, item["TEMPLATE_ID"])


def _declare_toggle(name: str, state: str) -> None:
    @method(f"tasks.template.checklist.{name}", scope="task", params="templateId! checkListItemId", style="controller",
        writes=True)  # fmt: skip
    def act(call: Call) -> Row:
        item = _item(call)
        _toggle(call, item, state)
        return _answer(call, item)


_declare_toggle("complete", "Y")
_declare_toggle("renew", "N")


def _declare_move(name: str, param: str, after: int) -> None:
    @method(f"tasks.template.checklist.{name}", scope="task", params=f"templateId! checkListItemId {param}!",
        style="controller", writes=True)  # fmt: skip
    def act(call: Call) -> Row:
        item = _item(call)
        beside = _item(call, param)
        if beside in checklists.branch(call.portal, TEMPLATE, item):
            # [verify] An item does not go beside itself nor under one of its own; no page says more of it.
            raise RestError("0", _WORDS[name][1], 400)
        item["PARENT_ID"] = beside["PARENT_ID"]
        item["SORT_INDEX"] = place = beside["SORT_INDEX"] + after
        for row in _siblings(call, item):
            if row["SORT_INDEX"] >= place:
                row["SORT_INDEX"] += 1
        _changed(call, item["TEMPLATE_ID"])
        return _answer(call, item)


_declare_move("moveAfter", "afterItemId", 1)
_declare_move("moveBefore", "beforeItemId", 0)


@method("tasks.template.checklist.addAttachmentByContent", scope="task",
    params="templateId! checkListItemId attachmentParameters!", style="controller", writes=True)  # fmt: skip
def attach_content(call: Call) -> Row:
    given = {key.upper(): value for key, value in structure(call, "attachmentParameters").items()}
    if not given:
        raise missing("attachmentParameters")
    item = _item(call)
    name = "" if isinstance(given.get("NAME"), (dict, list)) else plain(given.get("NAME")).strip()
    try:
        content = disk.decoded(given.get("CONTENT"))
    except RestError:
        content = ""
    if not name or not content:
        raise RestError("0", _NO_ATTACHMENT, 400)
    made = _answer(call, item)  # without the new file, as the page says
    storage = disk.storage_of(call.portal, call.user)
    free = disk.free_name(call.portal, storage["ROOT"], name, unique=True)
    file = disk.add_object(call.portal, storage, storage["ROOT"], free, "file", call.user_id, content)
    disk.attach(call.portal, file, call.user_id, templates.ITEM_FILES, item["ID"])
    _changed(call, item["TEMPLATE_ID"])
    return made


def _array(call: Call, name: str) -> list[str]:
    value = call.get(name)
    if not isinstance(value, (dict, list)) or not value:
        raise mismatch(name, value, "array")
    return ["" if isinstance(one, (dict, list)) else plain(one) for one in as_list(value)]


@method("tasks.template.checklist.addAttachmentsFromDisk", scope="task", params="templateId! checkListItemId filesIds!",
    style="controller", writes=True)  # fmt: skip
def attach_files(call: Call) -> Row:
    codes = _array(call, "filesIds")
    item = _item(call)
    files = [disk.attachable(call.portal, code, call.user) for code in codes]
    if None in files:
        # [verify] The words of the other way of attaching: this page names no error for a file that is not there.
        raise RestError("0", _NO_ATTACHMENT, 400)
    known = {one["OBJECT_ID"] for one in disk.attachments(call.portal, templates.ITEM_FILES, item["ID"])}
    for file in files:
        if file is not None and file["ID"] not in known:
            known.add(file["ID"])
            disk.attach(call.portal, file, call.user_id, templates.ITEM_FILES, item["ID"])
    _changed(call, item["TEMPLATE_ID"])
    return _answer(call, item)


@method("tasks.template.checklist.removeAttachments", scope="task",
    params="templateId! checkListItemId attachmentsIds!", style="controller", writes=True)  # fmt: skip
def detach(call: Call) -> Row:
    codes = _array(call, "attachmentsIds")
    item = _item(call)
    for one in disk.attachments(call.portal, templates.ITEM_FILES, item["ID"]):
        if str(one["ID"]) in codes:
            call.portal["attached"].remove(one["ID"])
    _changed(call, item["TEMPLATE_ID"])
    return _answer(call, item)
