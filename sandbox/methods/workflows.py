"""Workflows: templates, runs, tasks for people (api-reference/bizproc beside robots and activities).

A template's activities are those that a control (POST workflow-templates) gave it; a file of the portal's designer
(TEMPLATE_DATA) is kept but not read: a run of such a template has nothing to do and ends at once.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sandbox import automation
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, DOCUMENT, LEAD
from sandbox.filters import Column, page_of, select_rows
from sandbox.method import Call, Page, RestError, Row, as_int, as_list, method, plain
from sandbox.portal import Portal

_AUTO = ("0", "1", "2", "3")


def _admin(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED")


def _bad(text: str) -> RestError:
    return RestError("ERROR_TEMPLATE_VALIDATION_FAILURE", text, 400)


def _upper(given: Row) -> Row:
    return {key.upper(): value for key, value in given.items()}


def document_kind(portal: Portal, parts: Any, *, item: bool) -> tuple[int, Row] | None:
    """(entity type, item or {}) of ["crm", class, "LEAD_1"] or of a document type ["crm", class, "LEAD"]."""
    if not isinstance(parts, list) or len(parts) != 3 or any(isinstance(one, (dict, list)) for one in parts):
        return None
    name = plain(parts[2])
    for kind in (LEAD, DEAL, CONTACT, COMPANY):
        module, document, word = DOCUMENT[kind]
        if [plain(parts[0]), plain(parts[1])] != [module, document]:
            continue
        if not item:
            return (kind, {}) if name == word else None
        row = portal[kind].get(as_int(name.removeprefix(word + "_")))
        return (kind, row) if name.startswith(word + "_") and row is not None else None
    return None


# --- templates --------------------------------------------------------------------------------------------------------

_TEMPLATE = {name: Column(name) for name in ("NAME", "SYSTEM_CODE", "MODULE_ID", "ENTITY", "DOCUMENT_TYPE",
    "IS_MODIFIED")}  # fmt: skip
_TEMPLATE |= {name: Column(name, "int") for name in ("ID", "AUTO_EXECUTE", "USER_ID")}
_TEMPLATE["MODIFIED"] = Column("MODIFIED", "time")


def add_template(portal: Portal, kind: int, name: str, **facts: Any) -> Row:
    """A template for items of that type."""
    module, document, word = DOCUMENT[kind]
    return portal["bp_templates"].add(
        {
            "KIND": kind, "MODULE_ID": module, "ENTITY": document, "DOCUMENT_TYPE": word, "NAME": name,
            "DESCRIPTION": "", "AUTO_EXECUTE": 0, "USER_ID": 1, "SYSTEM_CODE": "", "MODIFIED": portal.now(),
            "IS_MODIFIED": "N", "ACTIVITIES": [], "PARAMETERS": {}, "DATA": "", "CLIENT_ID": "", **facts,
        }
    )  # fmt: skip


def _template_data(value: Any) -> str:
    parts = as_list(value)
    text = "".join(plain(parts[-1]).split()) if parts and not isinstance(parts[-1], (dict, list)) else ""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise _bad("Incorrect field TEMPLATE_DATA!")
    return text


def _auto(value: Any) -> int:
    if isinstance(value, (dict, list)) or plain(value) not in _AUTO:
        raise _bad("Incorrect field AUTO_EXECUTE!")
    return int(plain(value))


@method("bizproc.workflow.template.add", scope="bizproc", application="ACCESS_DENIED", writes=True,
        params="DOCUMENT_TYPE NAME DESCRIPTION TEMPLATE_DATA AUTO_EXECUTE")  # fmt: skip
def template_add(call: Call) -> int:
    application = call.application_only()
    _admin(call)
    found = document_kind(call.portal, call.get("DOCUMENT_TYPE"), item=False)
    if found is None:
        raise _bad("Incorrect field DOCUMENT_TYPE!")
    if not call.text("NAME").strip():
        raise _bad("Empty template name!")
    automatic = _auto(call.get("AUTO_EXECUTE")) if call.get("AUTO_EXECUTE") is not None else 0
    row = add_template(
        call.portal, found[0], call.text("NAME"), DESCRIPTION=call.text("DESCRIPTION"), AUTO_EXECUTE=automatic,
        USER_ID=call.user_id, SYSTEM_CODE=f"rest_app_{application['ID']}", CLIENT_ID=application["CLIENT_ID"],
        DATA=_template_data(call.get("TEMPLATE_DATA")),
    )  # fmt: skip
    call.portal.effect("create", "workflow template", row["ID"], call.user_id, "rest")
    return int(row["ID"])


def _own_template(call: Call) -> Row:
    application = call.application_only()
    _admin(call)
    row = call.portal["bp_templates"].get(as_int(call.get("ID")))
    if row is None:
        raise RestError("ERROR_TEMPLATE_NOT_FOUND", "Workflow template not found.", 400)
    if row["CLIENT_ID"] != application["CLIENT_ID"]:
        text = "You can update ONLY templates created by current application"
        raise RestError("ERROR_TEMPLATE_NOT_OWNER", text, 400)
    return row


@method(
    "bizproc.workflow.template.update", scope="bizproc", application="ACCESS_DENIED", params="ID FIELDS", writes=True
)
def template_update(call: Call) -> int:
    row = _own_template(call)
    given = _upper(call.mapping("FIELDS"))
    new: Row = {}
    if "NAME" in given:
        new["NAME"] = plain(given["NAME"]) if not isinstance(given["NAME"], (dict, list)) else ""
        if not new["NAME"].strip():
            raise _bad("Empty template name!")
    if "DESCRIPTION" in given:
        new["DESCRIPTION"] = plain(given["DESCRIPTION"])
    if "AUTO_EXECUTE" in given:
        new["AUTO_EXECUTE"] = _auto(given["AUTO_EXECUTE"])
    if "TEMPLATE_DATA" in given:
        new["DATA"] = _template_data(given["TEMPLATE_DATA"])
    if not new:
        raise _bad("No fields to update.")
    row.update(new)
    row["MODIFIED"] = call.portal.now()
    return int(row["ID"])


@method("bizproc.workflow.template.delete", scope="bizproc", application="ACCESS_DENIED", params="ID", writes=True)
def template_delete(call: Call) -> None:
    call.portal["bp_templates"].remove(_own_template(call)["ID"])


def _selected(call: Call, entry: Row, usual: list[str]) -> Row:
    names = [plain(one).upper() for one in as_list(call.get("SELECT")) if not isinstance(one, (dict, list))] or usual
    return entry if "*" in names else {name: entry[name] for name in names if name in entry}


def _rows(call: Call, table: str, columns: dict[str, Column], visible: Any, order: Row) -> tuple[list[Row], Any, Any]:
    return select_rows(
        call.portal[table], filter=_upper(call.mapping("FILTER")), order=_upper(call.mapping("ORDER")) or order,
        columns=columns, zone=call.portal.zone(), start=call.integer("start"), unknown=lambda key: None,
        visible=visible,
    )  # fmt: skip


@method("bizproc.workflow.template.list", scope="bizproc", params="SELECT FILTER ORDER start")
def template_list(call: Call) -> Page:
    _admin(call)
    rows, total, following = _rows(call, "bp_templates", _TEMPLATE, None, {"ID": "ASC"})
    made = [
        _selected(
            call,
            {
                "ID": str(row["ID"]), "MODULE_ID": row["MODULE_ID"], "ENTITY": row["ENTITY"],
                "DOCUMENT_TYPE": [row["MODULE_ID"], row["ENTITY"], row["DOCUMENT_TYPE"]],
                "AUTO_EXECUTE": str(row["AUTO_EXECUTE"]), "NAME": row["NAME"], "TEMPLATE": row["ACTIVITIES"],
                "PARAMETERS": row["PARAMETERS"] or [], "VARIABLES": [], "CONSTANTS": [],
                "MODIFIED": call.portal.iso(row["MODIFIED"]), "IS_MODIFIED": row["IS_MODIFIED"],
                "USER_ID": str(row["USER_ID"]), "SYSTEM_CODE": row["SYSTEM_CODE"],
            },
            ["ID"],
        )
        for row in rows
    ]  # fmt: skip
    return page_of(made, total, following, call.integer("start"))


# --- runs -------------------------------------------------------------------------------------------------------------


@method("bizproc.workflow.start", scope="bizproc", params="TEMPLATE_ID DOCUMENT_ID PARAMETERS", writes=True)
def workflow_start(call: Call) -> str:
    _admin(call)
    if call.get("TEMPLATE_ID") in (None, ""):
        raise RestError("ERROR_WRONG_WORKFLOW_ID", "Empty TEMPLATE_ID", 400)
    template = call.portal["bp_templates"].get(as_int(call.get("TEMPLATE_ID")))
    if template is None:
        raise RestError("ERROR_WRONG_WORKFLOW_ID", "Template not found", 400)
    parts = call.get("DOCUMENT_ID")
    if not isinstance(parts, list) or len(parts) != 3:
        raise RestError("", "Wrong DOCUMENT_ID!", 400)
    found = document_kind(call.portal, parts, item=True)
    if found is None:
        raise RestError("", "Incorrect document type!", 400)
    if found[0] != template["KIND"]:
        raise RestError("", "Template type and DOCUMENT_ID mismatch!", 400)
    parameters = call.mapping("PARAMETERS")
    return str(automation.start(call.portal, template, found[0], found[1], call.actor, parameters)["WORKFLOW_ID"])


def _run(call: Call) -> Row:
    _admin(call)
    wanted = call.text("ID")
    if not wanted:
        raise RestError("ERROR_WRONG_WORKFLOW_ID", "Empty workflow instance ID", 400)
    row = call.portal["workflows"].first(WORKFLOW_ID=wanted)
    if row is None:
        raise RestError("ERROR_WRONG_WORKFLOW_ID", "Workflow instance not found", 400)
    return row


@method("bizproc.workflow.terminate", scope="bizproc", params="ID STATUS", writes=True)
def workflow_terminate(call: Call) -> bool:
    row = _run(call)
    if row["STATUS"] in automation.ACTIVE:
        automation.terminate(call.portal, row, call.text("STATUS") or "Остановлен приложением")
    return True


@method("bizproc.workflow.kill", scope="bizproc", params="ID", writes=True)
def workflow_kill(call: Call) -> bool:
    """Remove a run with everything that it has left."""
    row = _run(call)
    for task in list(call.portal["bp_tasks"].where(RUN_ID=row["ID"])):
        call.portal["bp_tasks"].remove(task["ID"])
    call.portal["workflows"].remove(row["ID"])
    call.portal.effect("delete", "workflow", row["ID"], call.user_id, "rest")
    return True


_RUN = {
    "ID": Column("WORKFLOW_ID"), "STARTED": Column("STARTED", "time"), "MODIFIED": Column("STARTED", "time"),
    "STARTED_BY": Column("USER_ID", "int"), "TEMPLATE_ID": Column("TEMPLATE_ID", "int"),
    "MODULE_ID": Column("MODULE_ID", "text", lambda row: DOCUMENT[row["ENTITY_TYPE_ID"]][0]),
    "ENTITY": Column("ENTITY", "text", lambda row: DOCUMENT[row["ENTITY_TYPE_ID"]][1]),
    "DOCUMENT_ID": Column(
        "DOCUMENT_ID", "text", lambda row: f"{DOCUMENT[row['ENTITY_TYPE_ID']][2]}_{row['ITEM_ID']}"
    ),
}  # fmt: skip


@method("bizproc.workflow.instances", scope="bizproc", params="SELECT FILTER ORDER start")
def workflow_instances(call: Call) -> Page:
    _admin(call)
    rows, total, following = _rows(
        call, "workflows", _RUN, lambda row: row["STATUS"] in automation.ACTIVE, {"MODIFIED": "DESC"}
    )
    made = []
    for row in rows:
        module, document, name = DOCUMENT[row["ENTITY_TYPE_ID"]]
        entry = {
            "ID": row["WORKFLOW_ID"], "MODIFIED": call.portal.iso(row["STARTED"]), "OWNED_UNTIL": None,
            "MODULE_ID": module, "ENTITY": document, "DOCUMENT_ID": f"{name}_{row['ITEM_ID']}",
            "STARTED": call.portal.iso(row["STARTED"]), "STARTED_BY": str(row["USER_ID"]),
            "TEMPLATE_ID": str(row.get("TEMPLATE_ID") or 0),
        }  # fmt: skip
        made.append(_selected(call, entry, ["ID", "MODIFIED", "OWNED_UNTIL", "MODULE_ID", "ENTITY", "DOCUMENT_ID"]))
    return page_of(made, total, following, call.integer("start"))


# --- tasks for people -------------------------------------------------------------------------------------------------

_TASK = {name: Column(name, "int") for name in ("ID", "STATUS", "USER_ID", "USER_STATUS")}
_TASK |= {"NAME": Column("NAME"), "DESCRIPTION": Column("DESCRIPTION"), "MODIFIED": Column("MODIFIED", "time")}
KINDS = {"approve": "ApproveActivity", "review": "ReviewActivity", "request": "RequestInformationActivity"}
_LABELS = ({"StatusOkLabel": "Готово"}, {"StatusYesLabel": "Да", "StatusNoLabel": "Нет"})
_DECISIONS = {"approve": (1, 2), "review": (3,), "request": (3, 4)}


def _as_task(portal: Portal, row: Row) -> Row:
    run = portal["workflows"].rows[row["RUN_ID"]]
    module, document, name = DOCUMENT[run["ENTITY_TYPE_ID"]]
    item = portal[run["ENTITY_TYPE_ID"]].get(run["ITEM_ID"]) or {}
    template = portal["bp_templates"].get(run.get("TEMPLATE_ID")) or {"NAME": "", "ID": 0}
    fields = [
        {"Id": key, "Type": facts.get("Type", "string"), "Name": facts.get("Name", key), "Description": "",
            "Multiple": False, "Required": True, "Options": None, "Settings": None, "Default": ""}
        for key, facts in row["FIELDS"].items()
    ]  # fmt: skip
    return {
        "ENTITY": document, "DOCUMENT_ID": f"{name}_{run['ITEM_ID']}", "ID": str(row["ID"]),
        "WORKFLOW_ID": run["WORKFLOW_ID"], "DOCUMENT_NAME": plain(item.get("TITLE") or item.get("NAME")),
        "DESCRIPTION": row["DESCRIPTION"], "NAME": row["NAME"], "MODIFIED": portal.iso(row["MODIFIED"]),
        "WORKFLOW_STARTED": portal.iso(run["STARTED"]), "WORKFLOW_STARTED_BY": str(run["USER_ID"]),
        "OVERDUE_DATE": None, "WORKFLOW_TEMPLATE_ID": str(template["ID"]), "WORKFLOW_TEMPLATE_NAME": template["NAME"],
        "WORKFLOW_STATE": run["STATUS"], "STATUS": str(row["STATUS"]), "USER_ID": str(row["USER_ID"]),
        "USER_STATUS": str(row["USER_STATUS"]), "MODULE_ID": module, "ACTIVITY": KINDS[row["KIND"]],
        "ACTIVITY_NAME": f"A{run['ID']}_{row['INDEX']}",
        "PARAMETERS": {
            "CommentLabel": "Комментарий", "CommentRequired": "N", "ShowComment": "Y",
            **_LABELS[row["KIND"] == "approve"],
            "Fields": fields,
        },
        "DOCUMENT_URL": f"/crm/{name.lower()}/details/{run['ITEM_ID']}/",
    }  # fmt: skip


@method("bizproc.task.list", scope="bizproc", params="SELECT FILTER ORDER START")
def task_list(call: Call) -> Page:
    given = _upper(call.mapping("FILTER"))
    owner = as_int(given.get("USER_ID"))
    if not call.admin and owner not in (None, call.user_id):
        raise RestError("ACCESS_DENIED")
    if call.get("SELECT") is not None and not isinstance(call.get("SELECT"), (list, dict)):
        raise RestError("ERROR_SELECT_VALIDATION_FAILURE", "Invalid data in SELECT parameter", 400)
    rows, total, following = _rows(
        call, "bp_tasks", _TASK,
        lambda row: call.portal["workflows"].get(row["RUN_ID"]) is not None
        and (call.admin or row["USER_ID"] == call.user_id),
        {"ID": "DESC"},
    )  # fmt: skip
    usual = ["ID", "WORKFLOW_ID", "DOCUMENT_NAME", "NAME", "ENTITY", "DOCUMENT_ID"]
    made = [_selected(call, _as_task(call.portal, row), usual) for row in rows]
    return page_of(made, total, following, call.integer("START"))


@method("bizproc.task.complete", scope="bizproc", params="TASK_ID STATUS COMMENT FIELDS", writes=True)
def task_complete(call: Call) -> bool:
    number, status = as_int(call.get("TASK_ID")), as_int(call.get("STATUS"))
    if not number:
        raise RestError("ERROR_TASK_VALIDATION", "empty TASK_ID", 400)
    if status not in (1, 2, 3, 4):
        raise RestError("ERROR_TASK_VALIDATION", "incorrect STATUS", 400)
    row = call.portal["bp_tasks"].get(number)
    run = call.portal["workflows"].get(row["RUN_ID"]) if row else None
    if row is None or run is None or row["USER_ID"] != call.user_id:
        raise RestError("ERROR_TASK_NOT_FOUND", "Task not found", 400)
    if row["STATUS"] != 0 or run["STATUS"] != "waiting":
        raise RestError("ERROR_TASK_COMPLETED", "Task already completed", 400)
    if status not in _DECISIONS[row["KIND"]]:
        raise RestError("ERROR_TASK_VALIDATION", "incorrect STATUS", 400)
    values = call.mapping("FIELDS")
    for key in row["FIELDS"]:
        if status != 4 and values.get(key) in (None, ""):
            raise RestError("ERROR_TASK_EXECUTION", f"Не заполнено поле {key}", 400)
    automation.decided(
        call.portal,
        run,
        row,
        status,
        call.text("COMMENT"),
        {key: values[key] for key in row["FIELDS"] if key in values},
    )
    call.portal.effect("update", "workflow task", row["ID"], call.user_id, "rest", status=status)
    return True


@method("bizproc.task.delegate", scope="bizproc", params="TASK_IDS FROM_USER_ID TO_USER_ID", writes=True)
def task_delegate(call: Call) -> bool:
    source, target = as_int(call.get("FROM_USER_ID")), call.portal.user(as_int(call.get("TO_USER_ID")))
    if source != call.user_id and not call.admin:
        raise RestError("ACCESS_DENIED")
    numbers = [as_int(one) for one in call.sequence("TASK_IDS")]
    rows = [row for row in (call.portal["bp_tasks"].get(number) for number in numbers) if row is not None]
    rows = [row for row in rows if row["USER_ID"] == source and row["STATUS"] == 0]
    if not rows or target is None or not target["ACTIVE"]:
        raise RestError("ERROR_TASK_NOT_FOUND", "Task not found", 400)
    for row in rows:
        row["USER_ID"], row["MODIFIED"] = target["ID"], call.portal.now()
    return True
