"""Задача с чек-листом / Task with a checklist.

Робот ставит задачу, привязанную к элементу: название и текст (поля элемента подставляет сам Битрикс24), срок в рабочих
минутах, ответственный, соисполнители, чек-листы, важность, обязательный результат, теги, файлы. Чек-листы пишутся
построчно: строка, которая начинается с «#», начинает новый список с этим названием, остальные строки — его пункты.
Файлы тоже построчно: картинка плейбука по имени (offer.svg), файл Диска по номеру, или адрес (https://...): он станет
ссылкой в тексте. Без права «disk» ссылкой станет и картинка. Отвечает «Задача» (номер) и «Срок».

The robot makes a task bound to the item, with several checklists: a line that begins with # starts a list of that name.
Files are a picture of the playbook by name, a file of the Drive by its number, or an address, which is linked to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from b24app import distribution as desk
from b24app import stage_work as stage_desk
from b24app.bitrix import reads
from b24app.bitrix.commands import Command, ref
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number, user_property
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.entities import ItemRef
from b24app.errors import Permanent
from b24app.pictures import PICTURE
from b24app.playbook import Checklist
from b24app.stage_work import NewTask
from b24app.store.applied import Applied

DEFAULT_LIST = "Чек-лист"
DEFAULT_MINUTES = 480


@dataclass(frozen=True)
class TaskOrder:
    """The task that the consultant described."""

    item: ItemRef
    task: NewTask
    creator_id: int
    marker: str


def checklists_of(text: object) -> tuple[Checklist, ...]:
    """Returns the checklists of a text: `# name` begins one, the lines below are its items; empty ones are left out."""
    lists: list[tuple[str, list[str]]] = []
    for line in map(str.strip, str(text or "").splitlines()):
        if line.startswith("#"):
            lists.append((line.lstrip("#").strip() or DEFAULT_LIST, []))
        elif line:
            if not lists:
                lists.append((DEFAULT_LIST, []))
            lists[-1][1].append(line.lstrip("-—•* ").strip() or line)
    return tuple(Checklist(name=name, items=tuple(items)) for name, items in lists if items)


def files_of(
    text: object, uploaded: Mapping[str, str], pictures: Mapping[str, str]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Returns (files of the Drive to attach, links for the text) of what was named, one a line.

    `uploaded` are the portal's ids by the record's names, `pictures` our addresses by name. Other words are Permanent.
    """
    files: dict[int, None] = {}
    links: dict[str, None] = {}
    for line in filter(None, map(str.strip, str(text or "").splitlines())):
        file_id = number(uploaded.get(f"{PICTURE}{line}", line))
        if file_id is not None:
            files[file_id] = None
        elif line in pictures:
            links[f"[URL={pictures[line]}]{line}[/URL]"] = None
        elif line.startswith(("https://", "http://")) and not set(line) & set("[] "):
            links[f"[URL={line}]{line}[/URL]"] = None
        else:
            raise Permanent(f"«{line}» — ни картинка плейбука, ни номер файла, ни адрес / no picture, file or address")
    return tuple(files), tuple(links)


def read(portal: Portal, call: RobotCall) -> TaskOrder | Nothing:
    """Reads the item, for its responsible, and the office hours."""
    asked = call.properties
    title = str(asked.get("title") or "").strip()
    if not title:
        raise Permanent("у задачи нет названия / the task has no title")
    wanted: dict[str, reads.Read[Any]] = {"item": reads.item(call.item.entity_type_id, call.item.id)}
    item = desk.item_or_none(portal.read(wanted), "item")
    if item is None:
        return Nothing("элемента уже нет / the item is gone")
    office = stage_desk.office(portal, desk.read_team(portal, desk.pool_of(portal.playbook)))
    people = asked.get("accomplices")
    accomplices = [user_property(one) for one in (people if isinstance(people, list) else [people])]
    files, links = files_of(asked.get("files"), Applied(portal.database, portal.member_id).mapping(), portal.pictures)
    tags = [tag.strip() for tag in str(asked.get("tags") or "").split(",")]
    task = NewTask(
        place=0,
        rule="",
        stage="",
        round=1,
        title=title[:250],
        description="\n\n".join(
            part for part in (str(asked.get("text") or "").strip(), *links, office.link(call.item)) if part
        ),
        responsible_id=user_property(asked.get("responsible")) or item.assigned_by_id or portal.owner_id,
        deadline=office.deadline(number(asked.get("minutes")) or DEFAULT_MINUTES),
        checklists=checklists_of(asked.get("checklists")),
        accomplices=tuple(id for id in accomplices if id),
        important=_yes(asked.get("important")),
        result_required=_yes(asked.get("result_required")),
        tags=tuple(tag for tag in tags if tag),
        files=files,
    )
    digest = hashlib.sha256(call.event_token.encode()).hexdigest()
    return TaskOrder(call.item, task, portal.owner_id, stage_desk.mark(call.item, digest))


def _yes(value: object) -> bool:
    return str(value or "").upper() in ("Y", "1", "TRUE")


def decide(facts: TaskOrder) -> TaskOrder:
    """What was ordered is made."""
    return facts


def act(decision: TaskOrder) -> list[Command]:
    """Returns the task with its checklists and files."""
    return stage_desk.task_commands(decision.task, decision.item, decision.creator_id, marker=decision.marker)


def answer(decision: TaskOrder) -> Reply:
    """Returns the number of the task, known when it is made, and its deadline."""
    task = decision.task
    values = {"task_id": ref(task.label), "deadline": task.deadline.isoformat()}
    return Reply(values, f"Поставлена задача «{task.title}», срок {task.deadline:%d.%m.%Y %H:%M}")


ROBOT = Robot(
    code="checklist_task",
    name={"ru": "Задача с чек-листом", "en": "Task with a checklist"},
    description={
        "ru": "Ставит задачу с чек-листами, сроком в рабочем времени и привязкой к элементу",
        "en": "Makes a task with checklists and a deadline in working time, bound to the item",
    },
    properties=(
        Property("title", {"ru": "Название", "en": "Title"}, "string", required=True),
        Property("text", {"ru": "Текст", "en": "Text"}, "text"),
        Property("minutes", {"ru": "Срок, рабочих минут", "en": "Deadline, working minutes"}, "int", default="480"),
        Property("responsible", {"ru": "Ответственный", "en": "Responsible"}, "user"),
        Property("accomplices", {"ru": "Соисполнители", "en": "Accomplices"}, "user", multiple=True),
        Property(
            "checklists",
            {"ru": "Чек-листы", "en": "Checklists"},
            "text",
            description={"ru": "«# Название», ниже пункты построчно", "en": "“# Name”, its items below, one a line"},
        ),
        Property("important", {"ru": "Важная", "en": "Important"}, "bool", default="N"),
        Property("result_required", {"ru": "Нужен результат", "en": "A result is needed"}, "bool", default="N"),
        Property(
            "files",
            {"ru": "Файлы", "en": "Files"},
            "text",
            description={
                "ru": "Построчно: картинка плейбука, номер файла на Диске или адрес",
                "en": "One a line: a picture of the playbook, the number of a file on the Drive, or an address",
            },
        ),
        Property("tags", {"ru": "Теги через запятую", "en": "Tags, separated by commas"}, "string"),
    ),
    returns=(
        Property("task_id", {"ru": "Задача", "en": "Task"}, "int"),
        Property("deadline", {"ru": "Срок", "en": "Deadline"}, "datetime"),
    ),
    decision=TaskOrder,
    read=read,
    decide=decide,
    act=act,
    answer=answer,
)
