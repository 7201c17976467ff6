"""What the contract test calls of the older task methods; joins the families of office_calls."""

from __future__ import annotations

import itertools
from typing import Any

from office_calls import ABSENT, FILE, NO_OBJECT, NO_REFUSAL, NONSENSE, Params, family

_KINDS = ("string", "double", "datetime", "boolean")
_NUMBERS = itertools.count(1)
# In which status the task of a method has to be.
_BEFORE = {"defer": 3, "renew": 5, "approve": 4, "disapprove": 4}


@family
def task_items(j: Any) -> Params:
    fields = [
        j.do("task.item.userfield.add", PARAMS={"USER_TYPE_ID": kind, "FIELD_NAME": f"TASK_{kind}", "LABEL": "Поле"})
        for kind in _KINDS
    ]
    field = fields[0]
    first = j.do("task.item.add", TASKDATA={"TITLE": "Прежняя", "RESPONSIBLE_ID": 1})
    data = {"TITLE": "Старая", "DESCRIPTION": "[b]Текст[/b]", "RESPONSIBLE_ID": 1, "DEPENDS_ON": [first]}
    task = j.do("task.item.add", TASKDATA=data)
    j.do("task.item.addfile", TASK_ID=task, FILE={"NAME": "акт.txt", "CONTENT": FILE})
    one, both = {"TASKID": task}, {"TASK_ID": task, "PARAMS": {"AFFECT_CHILDREN": "Y"}}

    def fresh(verb: str) -> Params:
        number = j.do("task.item.add", TASKDATA={"TITLE": "x", "RESPONSIBLE_ID": 4})
        if verb in _BEFORE:
            j.do("tasks.task.update", taskId=number, fields={"STATUS": _BEFORE[verb]})
        return {"TASKID": number}

    def attached() -> Params:
        file = {"NAME": f"{next(_NUMBERS)}.txt", "CONTENT": FILE}
        return {"TASK_ID": task, "ATTACHMENT_ID": j.do("task.item.addfile", TASK_ID=task, FILE=file)}

    def new_field() -> Params:
        return {"PARAMS": {"USER_TYPE_ID": "string", "FIELD_NAME": f"UF_TASK_NEW_{next(_NUMBERS)}"}}

    verbs = ("startexecution", "defer", "complete", "renew", "approve", "disapprove", "delete")
    asked = ("getdata", "getdescription", "getfiles", "getdependson", "getallowedactions",
        "getallowedtaskactionsasstrings")  # fmt: skip
    return {
        **{f"task.item.{verb}": one for verb in asked},
        **{f"task.item.{verb}": lambda verb=verb: fresh(verb) for verb in verbs},
        "task.item.add": {"TASKDATA": {"TITLE": "x", "RESPONSIBLE_ID": 4}},
        "task.item.update": {"TASKID": task, "TASKDATA": {"TIME_ESTIMATE": 113}},
        "task.item.delegate": lambda: {**fresh("delegate"), "USERID": 5},
        "task.item.getdescription": {"TASKID": task, "USERID": 1},
        "task.item.isactionallowed": {"TASKID": task, "ACTION": 6},
        "task.item.list": {"ORDER": {"ID": "desc"}, "FILTER": {"ID": [task]}},
        "task.items.getlist": {"ORDER": {"ID": "desc"}, "FILTER": {"ID": [task]}},
        "task.item.addtofavorite": both,
        "task.item.deletefromfavorite": both,
        "task.item.addfile": {"TASK_ID": task, "FILE": {"NAME": "акт.txt", "CONTENT": FILE}},
        "task.item.deletefile": attached,
        "task.comment.add": {"TASKID": task, "COMMENTTEXT": "Текст"},
        "task.logitem.list": {"ID": task},
        "task.item.userfield.add": new_field,
        "task.item.userfield.get": {"ID": field},
        "task.item.userfield.update": {"ID": field, "DATA": {"SORT": 200}},
        "task.item.userfield.delete": lambda: {"ID": j.do("task.item.userfield.add", **new_field())},
    }


_ABOUT_A_TASK = (
    *(f"task.item.{verb}" for verb in ("update", "delete", "getdata", "getdescription", "getfiles", "getdependson",
        "getallowedactions", "getallowedtaskactionsasstrings", "isactionallowed", "startexecution", "defer", "complete",
        "renew", "approve", "disapprove", "delegate", "addtofavorite", "deletefromfavorite", "addfile", "deletefile")),
    "task.comment.add", "task.logitem.list",
)  # fmt: skip
ABSENT |= {name: {"TASKID": 999999} for name in _ABOUT_A_TASK}
ABSENT["task.comment.add"] = {"TASKID": 999999, "COMMENTTEXT": "x"}
ABSENT["task.item.add"] = {"TASKDATA": {"TITLE": "x", "RESPONSIBLE_ID": 999999}}
ABSENT |= {f"task.item.userfield.{verb}": {"ID": 999999} for verb in ("get", "delete")}
ABSENT["task.item.userfield.update"] = {"ID": 999999, "DATA": {"SORT": 1}}
NONSENSE |= {name: {"ORDER": "ерунда", "FILTER": "ерунда"} for name in ("task.item.list", "task.items.getlist")}
_ASKING = {"task.item.getmanifest", *(f"task.item.userfield.{verb}" for verb in ("getlist", "getfields", "gettypes"))}
NO_REFUSAL |= _ASKING
NO_OBJECT |= {"task.item.list", "task.items.getlist", *_ASKING}
