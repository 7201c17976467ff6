"""Назначить свободного менеджера / Assign a free manager.

Робот ставится на стадию лида или сделки. Он выбирает свободного сотрудника (кто на работе, не отсутствует, не говорит
по телефону, не превысил предел открытых лидов), делает его ответственным, пишет в ленту карточки, почему выбран именно
он и почему не другие, и, если нужно, ставит ему задачу. Автоматизация ждёт ответа робота: дальше по стадии можно
использовать «Менеджер», «Имя менеджера», «Почему» и «Назначен». Если свободных нет, решает настройка «Если никого нет».

The robot stands on a stage of leads or deals. It chooses a free employee, makes him responsible, writes the reasons
into the timeline and, where wanted, gives him a task. The automation waits for its answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from b24app import distribution as desk
from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.bitrix.translate import number, phone_text, user_property
from b24app.engine.declare import Nothing, Property, Reply, Robot, RobotCall
from b24app.entities import Item
from b24app.errors import Permanent
from b24app.rules.assignment import Policy
from b24app.rules.intake import CAUSES, TaskSpec, Text, Treatment, card_of, plain
from b24app.store.memory import AssignmentRow, Memory, robot_key

JUST_NOW = timedelta(minutes=10)
"""An item that got its manager this recently keeps him: the event and the robot of one stage are one wish."""


@dataclass(frozen=True)
class Order:
    """What the consultant asked for, with the item and who is free."""

    item: Item
    situation: desk.Situation
    key: str
    with_task: bool
    task_text: str
    minutes: int
    recent: AssignmentRow | None = None


def read(portal: Portal, call: RobotCall) -> Order | Nothing:
    """Reads the item and who of the named people is free: one batch."""
    asked = call.properties
    pool = _pool(portal, asked)
    team = desk.read_team(portal, pool)
    if not team.users and team.head is None and team.fallback is None:
        raise Permanent(f"в отделе нет сотрудников: {pool.queue} / no people in the department")
    policy = _policy(portal, asked)
    now = portal.now
    wanted: dict[str, reads.Read[Any]] = {
        "item": reads.item(call.item.entity_type_id, call.item.id),
        **desk.availability(portal, team, policy, now),
    }
    found = portal.read(wanted, optional=desk.optional_reads(team))
    item = desk.item_or_none(found, "item")
    if item is None:
        return Nothing("элемента уже нет / the item is gone")
    intake = portal.playbook.intake
    return Order(
        item=item,
        situation=desk.situation(portal, team, policy, found, now),
        key=robot_key(call.event_token),
        with_task=_text(asked.get("task"), "Y") in ("Y", "1", "TRUE"),
        task_text=str(asked.get("task_text") or "").strip(),
        minutes=number(asked.get("minutes")) or intake.call_deadline_minutes,
    )


def _pool(portal: Portal, asked: Any) -> desk.Pool:
    users = asked.get("users")
    if isinstance(users, dict):  # PHP's list with a gap
        users = list(users.values())
    ids = [user_property(value) for value in (users if isinstance(users, list) else [users])]
    named = tuple(id for id in ids if id)
    department = str(asked.get("department") or "").strip()
    default = desk.pool_of(portal.playbook)
    if named:
        return desk.Pool(None, named, False)
    return desk.Pool(department, (), True) if department else default


def _policy(portal: Portal, asked: Any) -> Policy:
    policy = portal.playbook.assignment.policy()
    order, nobody, limit = asked.get("order"), asked.get("when_nobody"), str(asked.get("limit_open") or "")
    if order in ("in_turn", "least_loaded"):
        policy = replace(policy, order=order)
    if nobody in ("head", "user", "wait"):
        policy = replace(policy, when_nobody=nobody)
    return replace(policy, limit_open=int(limit)) if limit.isdigit() else policy


def _text(value: Any, default: str) -> str:
    return default if value in (None, "") else str(value).upper()


def recall(memory: Memory, facts: Order) -> Order:
    """Adds turns, calls, and whether the item just got its manager."""
    recent = memory.assignment_of(str(facts.item.ref), since=memory.now - JUST_NOW)
    return replace(facts, situation=facts.situation.recalled(memory), recent=recent)


def decide(facts: Order) -> Treatment:
    """Chooses; a manager of the last minutes stays."""
    situation, item = facts.situation, facts.item
    choice = situation.choose()
    if choice.user_id is None:  # here nothing waits: the stage goes on with the answer
        nobody = {"ru": "никто не свободен", "en": "nobody is free"}
        if not situation.team.users:
            nobody = {"ru": "в отделе нет ни одного сотрудника", "en": "the department has no employee"}
        choice = replace(choice, how=nobody)
    stays = _stays(facts)
    if stays is not None:
        who, rule = stays
        choice = replace(choice, user_id=who, name=situation.name_of(who), how=rule, verdicts=(), fallback=True)
    card = card_of(CAUSES["robot"], choice, situation.now)
    treatment = Treatment(
        key=facts.key,
        cause="robot",
        item=item.ref,
        card=card,
        manager_id=choice.user_id,
        expected_id=item.assigned_by_id,
        queue=situation.team.queue,
        took_turn=choice.user_id is not None and not choice.fallback,
        creator_id=situation.owner_id,
        show_card=stays is None,
    )
    if choice.user_id is None or not facts.with_task or stays is not None:
        return treatment
    return replace(treatment, task=_task(facts, choice.user_id, choice.how["ru"]))


def _stays(facts: Order) -> tuple[int, Text] | None:
    """Returns who keeps the item and why: our manager of the last minutes, or whom a person put there since.

    Only among the people whom this robot is asked to choose from: another stage with another team is another wish.
    """
    recent, team = facts.recent, facts.situation.team
    if recent is None or recent.manager_id is None:
        return None
    ours = {user.id for user in (*team.users, team.head, team.fallback) if user is not None}
    if recent.manager_id not in ours:
        return None
    if recent.written_at is not None and facts.item.assigned_by_id not in (0, recent.manager_id):
        rule = {"ru": "ответственного выбрал человек", "en": "a person chose the responsible"}
        return facts.item.assigned_by_id, rule
    return recent.manager_id, {"ru": "уже распределён только что", "en": "assigned a moment ago"}


def _task(facts: Order, user_id: int, reason: str) -> TaskSpec:
    situation, item = facts.situation, facts.item
    phone = phone_text(next(iter(item.phones), ""), situation.playbook.intake.country)
    texts = situation.playbook.texts
    title = facts.task_text or texts.call_task.format(phone=phone or "—", title=plain(item.title))
    body = texts.call_task_body.format(
        phone=phone or "—", title=plain(item.title), link=situation.link(item.ref), reason=reason
    )
    return TaskSpec(title, body, user_id, situation.deadline(user_id, timedelta(minutes=facts.minutes)))


def answer(decision: Treatment) -> Reply:
    """Returns manager, his name, why, and whether anybody was assigned."""
    card = decision.card
    name = card.chosen.name if card.chosen else ""
    lines = [f"{verdict.name}: {verdict.why['ru']}" for verdict in card.lines]
    values = {
        "manager": f"user_{decision.manager_id}" if decision.manager_id else "",
        "manager_name": name,
        "reason": card.rule["ru"],
        "assigned": "Y" if decision.manager_id else "N",
    }
    nobody = {"manager": "", "manager_name": "", "assigned": "N"}
    log = "\n".join([f"{name or 'Никто не назначен'}: {card.rule['ru']}", *lines])
    return Reply(values, log, instead={"responsible": nobody})


ROBOT = Robot(
    code="assign_manager",
    name={"ru": "Назначить свободного менеджера", "en": "Assign a free manager"},
    description={
        "ru": "Выбирает свободного сотрудника, делает ответственным, объясняет выбор в ленте и ставит задачу",
        "en": "Chooses a free employee, makes him responsible, explains the choice in the timeline and makes a task",
    },
    properties=(
        Property("department", {"ru": "Отдел (название или номер)", "en": "Department (name or id)"}, "string"),
        Property("users", {"ru": "Или сотрудники", "en": "Or employees"}, "user", multiple=True),
        Property(
            "order",
            {"ru": "Порядок", "en": "Order"},
            "select",
            options={
                "in_turn": {"ru": "По очереди", "en": "In turn"},
                "least_loaded": {"ru": "Наименее загруженный", "en": "Least loaded"},
            },
        ),
        Property("limit_open", {"ru": "Предел открытых лидов", "en": "Limit of open leads"}, "int"),
        Property(
            "when_nobody",
            {"ru": "Если никого нет", "en": "When nobody is free"},
            "select",
            options={
                "head": {"ru": "Руководителю отдела", "en": "The head of the department"},
                "user": {"ru": "Дежурному", "en": "The person on duty"},
                "wait": {"ru": "Никому: ответить «не назначен»", "en": "Nobody: answer “not assigned”"},
            },
        ),
        Property("task", {"ru": "Поставить задачу", "en": "Make a task"}, "bool", default="Y"),
        Property("task_text", {"ru": "Название задачи", "en": "Title of the task"}, "string"),
        Property("minutes", {"ru": "Срок, рабочих минут", "en": "Deadline, working minutes"}, "int"),
    ),
    returns=(
        Property("manager", {"ru": "Менеджер", "en": "Manager"}, "user"),
        Property("manager_name", {"ru": "Имя менеджера", "en": "Manager's name"}, "string"),
        Property("reason", {"ru": "Почему", "en": "Why"}, "string"),
        Property("assigned", {"ru": "Назначен", "en": "Assigned"}, "bool"),
    ),
    decision=Treatment,
    read=read,
    recall=recall,
    decide=decide,
    remember=desk.remember,
    act=desk.act,
    answer=answer,
)
