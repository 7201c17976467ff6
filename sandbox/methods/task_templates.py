"""Task templates: tasks.template.add, get, update, delete, fields (api-reference/tasks/template).

Two of the documented answers are easily taken for failures: delete always answers false, and a template whose values
cannot be is answered 0 by add and false by update.
"""

from __future__ import annotations

from typing import Any

from sandbox import disk, templates
from sandbox.method import Call, RestError, Row, as_int, as_list, method, missing, plain
from sandbox.methods.task_records import structure, whole
from sandbox.php import serialize


@method("tasks.template.add", scope="task", params="fields!", style="controller", writes=True)
def template_add(call: Call) -> int:
    given = structure(call, "fields")
    if not given:
        raise missing("fields")
    try:
        values = templates.read(call.portal, given)
        if not (values.get("TITLE") and values.get("CREATED_BY") and values.get("RESPONSIBLE_ID")):
            return 0
        # [verify] In whose name one may make a template no page says: here as with tasks, administrators in any.
        if values["CREATED_BY"] != call.user_id and not call.admin:
            raise RestError("0", "Access denied", 400)
        return int(templates.create(call.portal, values, call.user, call.actor)["ID"])
    except ValueError:
        # [verify] The page names 0 for absent fields alone and no error for values that cannot be.
        return 0


@method("tasks.template.update", scope="task", params="templateId! fields!", style="controller", writes=True)
def template_update(call: Call) -> bool:
    row = call.portal["task_templates"].get(whole(call, "templateId"))
    given = structure(call, "fields")
    if row is None or not templates.can_edit(row, call.user):
        return False
    try:
        templates.update(call.portal, row, templates.read(call.portal, given), call.user, call.actor)
    except ValueError:
        return False
    return True


@method("tasks.template.delete", scope="task", params="templateId!", style="controller", writes=True)
def template_delete(call: Call) -> bool:
    row = call.portal["task_templates"].get(whole(call, "templateId"))
    if row is not None and templates.can_edit(row, call.user):
        templates.delete(call.portal, row, call.actor)
    return False


@method("tasks.template.get", scope="task", params="templateId! params", style="controller")
def template_get(call: Call) -> Row | bool:
    row = call.portal["task_templates"].get(as_int(call.get("templateId")))
    chosen = structure(call, "params").get("select")
    if row is None or not templates.can_read(call.portal, row, call.user):
        return False
    made = _printed(call, row)
    names = {plain(one) for one in as_list(chosen)} or {"*", "UF_*"}
    return {
        name: value
        for name, value in made.items()
        if name in names or name == "ID" or ("UF_*" if name.startswith("UF_") else "*") in names
    }


def _words(numbers: list[int]) -> str:
    return serialize([str(number) for number in numbers])


def _person(call: Call, role: str, number: int) -> Row:
    user = call.portal.user(number) or {}
    facts = {
        "NAME": user.get("NAME", ""), "LAST_NAME": user.get("LAST_NAME", ""),
        "SECOND_NAME": user.get("SECOND_NAME", ""), "LOGIN": user.get("EMAIL", ""),
        "WORK_POSITION": user.get("WORK_POSITION", ""), "PHOTO": user.get("PERSONAL_PHOTO"),
    }  # fmt: skip
    return {f"{role}_{name}": value for name, value in facts.items()}


def _printed(call: Call, row: Row) -> Row:
    """A template as a database row prints it: numbers as text, lists of people and the rule as PHP serializes them."""
    portal = call.portal
    text = {name: None if row[name] is None else str(row[name]) for name in (*templates.NUMBERS, *templates.AFTER,
        *templates.CHOICES, "TPARAM_REPLICATION_COUNT")}  # fmt: skip
    children = sum(1 for _ in portal["task_templates"].where(BASE_TEMPLATE_ID=row["ID"]))
    return {
        "ID": str(row["ID"]), "TITLE": row["TITLE"], "DESCRIPTION": row["DESCRIPTION"], "DESCRIPTION_IN_BBCODE": "Y",
        "PRIORITY": text["PRIORITY"], "STATUS": text["STATUS"], "STAGE_ID": text["STAGE_ID"],
        "RESPONSIBLE_ID": text["RESPONSIBLE_ID"], "DEADLINE_AFTER": text["DEADLINE_AFTER"],
        "START_DATE_PLAN_AFTER": text["START_DATE_PLAN_AFTER"], "END_DATE_PLAN_AFTER": text["END_DATE_PLAN_AFTER"],
        "REPLICATE": row["REPLICATE"], "CREATED_BY": text["CREATED_BY"], "XML_ID": row["XML_ID"],
        "ALLOW_CHANGE_DEADLINE": row["ALLOW_CHANGE_DEADLINE"], "ALLOW_TIME_TRACKING": row["ALLOW_TIME_TRACKING"],
        "TASK_CONTROL": row["TASK_CONTROL"], "ADD_IN_REPORT": row["ADD_IN_REPORT"], "GROUP_ID": text["GROUP_ID"],
        "PARENT_ID": text["PARENT_ID"], "MULTITASK": row["MULTITASK"], "SITE_ID": row["SITE_ID"],
        "ACCOMPLICES": _words(row["ACCOMPLICES"]), "AUDITORS": _words(row["AUDITORS"]),
        "RESPONSIBLES": _words(row["RESPONSIBLES"]), "FILES": None, "TAGS": row["TAGS"] or None,
        "DEPENDS_ON": row["DEPENDS_ON"] or None, "MATCH_WORK_TIME": row["MATCH_WORK_TIME"], "TASK_ID": None,
        "TPARAM_TYPE": text["TPARAM_TYPE"], "TPARAM_REPLICATION_COUNT": text["TPARAM_REPLICATION_COUNT"],
        "REPLICATE_PARAMS": serialize(row["REPLICATE_PARAMS"]), "BASE_TEMPLATE_ID": text["BASE_TEMPLATE_ID"],
        "TEMPLATE_CHILDREN_COUNT": str(children),
        **_person(call, "CREATED_BY", row["CREATED_BY"]), **_person(call, "RESPONSIBLE", row["RESPONSIBLE_ID"]),
        "SCENARIO": "default", "UF_CRM_TASK": row["UF_CRM_TASK"] or False,
        "UF_TASK_WEBDAV_FILES": [one["ID"] for one in disk.attachments(portal, templates.FILES, row["ID"])] or False,
    }  # fmt: skip


_YES_NO = {"Y": "Да", "N": "Нет"}
_PRIORITIES = dict.fromkeys(("2", "1", "0"))
_STATUSES = dict.fromkeys(("2", "3", "4", "5", "6"))


def _field(title: str, kind: str, **more: Any) -> Row:
    return {"title": title, "type": kind, **more}


def _choice(title: str, values: Row, default: Any) -> Row:
    return _field(title, "enum", values=values, default=default)


_FIELDS: Row = {
    "ID": _field("ID", "integer", primary=True),
    "PARENT_ID": _field("Базовая задача", "integer", default=0),
    "TITLE": _field("Название", "string", required=True),
    "DESCRIPTION": _field("Описание", "string"),
    "PRIORITY": _choice("Приоритет", _PRIORITIES, 1),
    "GROUP_ID": _field("Проект", "integer", default=0),
    "STAGE_ID": _field("Стадия", "integer", default=0),
    "CREATED_BY": _field("Постановщик", "integer", required=True),
    "RESPONSIBLE_ID": _field("Исполнитель", "integer", required=True),
    "DEPENDS_ON": _field("Зависимость", "integer", required=True),
    "RESPONSIBLES": _field("Исполнители", "array"),
    "ACCOMPLICES": _field("Соисполнители", "array"),
    "AUDITORS": _field("Наблюдатели", "array"),
    "STATUS": _choice("Статус", _STATUSES, 2),
    "MULTITASK": _choice("Множественная задача", _YES_NO, "N"),
    "REPLICATE": _choice("Повторяемая задача", _YES_NO, "N"),
    "SITE_ID": _field("SITE_ID", "string"),
    "TASK_CONTROL": _choice("Принять работу", _YES_NO, "N"),
    "ADD_IN_REPORT": _choice("Добавить в отчёт", _YES_NO, "N"),
    "XML_ID": _field("XML_ID", "string", default=None),
    "DEADLINE_AFTER": _field("Крайний срок через", "datetime", default=None),
    "START_DATE_PLAN_AFTER": _field("Плановое начало через", "datetime", default=None),
    "END_DATE_PLAN_AFTER": _field("Плановое завершение через", "datetime", default=None),
    "TPARAM_TYPE": _choice("Для новых сотрудников", {"1": "Да", "0": "Нет"}, 0),
    "TPARAM_REPLICATION_COUNT": _field("Создано задач", "integer", default=0),
    "REPLICATE_PARAMS": _field("Параметры создания задач", "string"),
    "BASE_TEMPLATE_ID": _field("Базовый шаблон", "integer", default=None),
    "TEMPLATE_CHILDREN_COUNT": _field("Количество подшаблонов", "integer", default=None),
    "UF_CRM_TASK": _field("Элементы CRM", "crm"),
    "UF_TASK_WEBDAV_FILES": _field("Файл (Диск)", "disk_file"),
}


@method("tasks.template.fields", scope="task", style="controller", cost=(0.0, 0.01))
def template_fields(call: Call) -> Row:
    return _FIELDS
