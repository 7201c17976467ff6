"""Robots on stages: each entry into a stage runs them in order; a robot that waits stops the row until its answer."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from sandbox import delivery, tokens
from sandbox.crm_kinds import DOCUMENT, STAGE
from sandbox.method import Actor, RestError, Row, plain
from sandbox.portal import Portal

ACTIVE = ("running", "waiting")
_PLACEHOLDER = re.compile(r"\{=(\w+):(\w+)\}")


def places(portal: Portal, kind: int, stage: str) -> list[Row]:
    """The robots placed on a stage, in order."""
    return list(portal["robot_places"].where(ENTITY_TYPE_ID=kind, STAGE_ID=stage))


def entered(portal: Portal, kind: int, item: Row, actor: Actor) -> None:
    """Start the robots of the stage in which the item now is. A copy of the row of robots is kept by the run."""
    stage = item[STAGE[kind]]
    row = places(portal, kind, stage)
    if not row:
        return
    run = portal["workflows"].add(
        {
            "WORKFLOW_ID": f"{portal.secret(14)}.{portal.random.randrange(10**8)}",
            "ENTITY_TYPE_ID": kind, "ITEM_ID": item["ID"], "STAGE_ID": stage, "PLACES": [dict(place) for place in row],
            "INDEX": 0, "STATUS": "running", "TOKEN": "", "LOG": [], "RESULTS": {}, "USER_ID": actor.user_id,
            "VIA": actor.via, "HOPS": actor.hops - 1 if actor.via == "rest" else actor.hops, "STARTED": portal.now(),
        }
    )  # fmt: skip
    _step(portal, run)


def start(portal: Portal, template: Row, kind: int, item: Row, actor: Actor, parameters: Row) -> Row:
    """Run a workflow template on an item: its activities in order, each as a robot of a stage would run."""
    run = portal["workflows"].add(
        {
            "WORKFLOW_ID": f"{portal.secret(14)}.{portal.random.randrange(10**8)}",
            "ENTITY_TYPE_ID": kind, "ITEM_ID": item["ID"], "STAGE_ID": "", "INDEX": 0, "STATUS": "running",
            "PLACES": [{**place, "ID": index + 1} for index, place in enumerate(template["ACTIVITIES"])],
            "TOKEN": "", "LOG": [], "RESULTS": {f"Template:{key}": value for key, value in parameters.items()},
            "USER_ID": actor.user_id, "VIA": actor.via, "HOPS": actor.hops - 1 if actor.via == "rest" else actor.hops,
            "STARTED": portal.now(), "TEMPLATE_ID": template["ID"],
        }
    )  # fmt: skip
    portal.effect("create", "workflow", run["ID"], actor.user_id, actor.via)
    _step(portal, run)
    return run


def terminate(portal: Portal, run: Row, text: str) -> None:
    """Stop a run by hand; its waiting tasks are closed."""
    _finish(portal, run, "terminated", text)


def left(portal: Portal, kind: int, item: Row) -> None:
    """Stop the stage's runs of an item that leaves its stage or is deleted; workflows go on while the item lives."""
    gone = portal[kind].get(item["ID"]) is None
    for run in portal["workflows"].where(ENTITY_TYPE_ID=kind, ITEM_ID=item["ID"]):
        if run["STATUS"] in ACTIVE and (gone or not run.get("TEMPLATE_ID")):
            _finish(portal, run, "stopped", "Элемент покинул стадию")


def note(portal: Portal, run: Row, text: str, code: str = "") -> None:
    """Add a line to the log of a run."""
    run["LOG"].append({"at": round(portal.now(), 3), "code": code, "text": text})


def _finish(portal: Portal, run: Row, status: str, text: str = "") -> None:
    run["STATUS"], run["TOKEN"] = status, ""
    for task in portal["bp_tasks"].where(RUN_ID=run["ID"], STATUS=0):
        task["STATUS"], task["MODIFIED"] = 4, portal.now()
    if text:
        note(portal, run, text)
    portal.effect("finish", "workflow", run["ID"], run["USER_ID"], "automation", status=status)


def _step(portal: Portal, run: Row) -> None:
    """Go on with the robot at INDEX: send it, wait or pass on, until one waits or all are done."""
    while run["STATUS"] == "running":
        if run["INDEX"] >= len(run["PLACES"]):
            _finish(portal, run, "finished")
            return
        place = run["PLACES"][run["INDEX"]]
        if place.get("TASK"):
            _ask(portal, run, place)
            return
        application = tokens.application_of(portal, place["CLIENT_ID"])
        robot = handler_of(portal, place)
        if application is None or not delivery.live(application) or robot is None:
            note(portal, run, "Робот заблокирован: приложение не установлено", place["CODE"])
            run["INDEX"] += 1
            continue
        if run["HOPS"] <= 0:
            note(portal, run, "Rest session error", place["CODE"])
            run["INDEX"] += 1
            continue
        waits = robot["USE_SUBSCRIPTION"] != "N"
        _send(portal, run, place, robot, waits)
        if waits:
            run["STATUS"] = "waiting"
            if place["TIMEOUT"] > 0:
                portal.scheduler.call(
                    place["TIMEOUT"], partial(_expire, portal, run["ID"], run["TOKEN"]), delivery=False
                )
            return
        run["INDEX"] += 1


def handler_of(portal: Portal, place: Row) -> Row | None:
    """The registered robot or activity of a place."""
    table = "activities_bp" if place.get("ACTIVITY") else "robots"
    return portal[table].first(CLIENT_ID=place["CLIENT_ID"], CODE=place["CODE"])


def _ask(portal: Portal, run: Row, place: Row) -> None:
    """A task for people: the run waits until one of them does it."""
    asked = place["TASK"]
    run["STATUS"], run["TOKEN"] = "waiting", ""
    for user_id in asked["users"]:
        portal["bp_tasks"].add(
            {
                "RUN_ID": run["ID"], "INDEX": run["INDEX"], "USER_ID": user_id, "STATUS": 0, "USER_STATUS": 0,
                "KIND": asked["kind"], "NAME": asked["name"], "DESCRIPTION": asked["description"],
                "FIELDS": asked["fields"], "MODIFIED": portal.now(), "COMMENT": "",
            }
        )  # fmt: skip
    note(portal, run, f"Задание: {asked['name']}")


def decided(portal: Portal, run: Row, task: Row, status: int, comment: str, values: Row) -> None:
    """A person did a task of the run: the others' copies are closed and the run goes on."""
    for other in portal["bp_tasks"].where(RUN_ID=run["ID"], INDEX=task["INDEX"], STATUS=0):
        other["STATUS"], other["MODIFIED"] = status, portal.now()
    task["USER_STATUS"], task["COMMENT"] = status, comment
    place = run["PLACES"][run["INDEX"]]
    run["RESULTS"][f"A{place['ID']}:Status"] = status
    run["RESULTS"] |= {f"A{place['ID']}:{key}": value for key, value in values.items()}
    note(portal, run, comment or f"Задание выполнено: {task['NAME']}")
    _advance(portal, run)


def _send(portal: Portal, run: Row, place: Row, robot: Row, waits: bool) -> None:
    kind = run["ENTITY_TYPE_ID"]
    module, document, name = DOCUMENT[kind]
    token = f"{run['WORKFLOW_ID']}|A{place['ID']}_{run['INDEX']}|{portal.secret(32)}"
    run["TOKEN"] = token if waits else ""
    properties = _filled(portal, run, robot, place["PROPERTIES"])
    number, workflow_id, timeout = run["ITEM_ID"], run["WORKFLOW_ID"], int(place["TIMEOUT"])
    user_id = place["RUN_AS"] or robot["AUTH_USER_ID"] or run["USER_ID"]
    hops, client_id = run["HOPS"], place["CLIENT_ID"]

    def fields() -> Row | None:
        application = tokens.application_of(portal, client_id)
        if application is None or not delivery.live(application):
            return None
        user = portal.user(user_id)
        auth = delivery.auth_block(portal, application, user if user and user["ACTIVE"] else portal.user(1), hops=hops)
        return {
            "workflow_id": workflow_id,
            "code": robot["CODE"],
            "document_id": [module, document, f"{name}_{number}"],
            "document_type": [module, document, name],
            "event_token": token,
            "properties": properties,
            "use_subscription": "Y" if waits else "N",
            "timeout_duration": timeout,
            "ts": int(portal.now()),
            "auth": auth,
        }

    delivery.send(
        portal, "robot", robot["HANDLER"], fields, code=robot["CODE"], workflow=run["ID"], waits=waits,
        entity=f"{name.lower()} {number}",
    )  # fmt: skip


def _filled(portal: Portal, run: Row, robot: Row, given: Row) -> Row:
    """The robot's properties as a consultant filled them, defaults where he did not, placeholders replaced."""
    item = portal[run["ENTITY_TYPE_ID"]].get(run["ITEM_ID"]) or {}

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(each) for each in value]
        if not isinstance(value, str):
            return value
        return _PLACEHOLDER.sub(lambda found: replaced(found.group(1), found.group(2)), value)

    def replaced(source: str, key: str) -> str:
        if source == "Document":
            return plain(item.get(key))
        if source == "Template":
            return plain(run["RESULTS"].get(f"Template:{key}"))
        return plain(run["RESULTS"].get(f"{source}:{key}"))

    made: Row = {}
    for key, facts in (robot["PROPERTIES"] or {}).items():
        made[key] = one(given.get(key, facts.get("Default", "") if isinstance(facts, dict) else ""))
    return made


def _expire(portal: Portal, number: int, token: str) -> None:
    with portal.lock:
        run = portal["workflows"].get(number)
        if run is None or run["STATUS"] != "waiting" or run["TOKEN"] != token:
            return
        place = run["PLACES"][run["INDEX"]]
        note(portal, run, "Время ожидания ответа приложения истекло", place["CODE"])
        run["RESULTS"][f"A{place['ID']}:IsTimeout"] = 1
        _advance(portal, run)


def _advance(portal: Portal, run: Row) -> None:
    run["INDEX"] += 1
    run["STATUS"], run["TOKEN"] = "running", ""
    _step(portal, run)


def waiting(portal: Portal, token: str, client_id: str) -> Row:
    """The run that waits with that token of that application. ACCESS_DENIED for a stale or foreign token."""
    run = portal["workflows"].first(TOKEN=token) if token else None
    if run is None or run["STATUS"] != "waiting" or run["PLACES"][run["INDEX"]]["CLIENT_ID"] != client_id:
        raise RestError("ACCESS_DENIED")
    return run


def answer(portal: Portal, run: Row, values: Row, text: str) -> None:
    """bizproc.event.send: keep the declared return values, log, go on with the next robot."""
    place = run["PLACES"][run["INDEX"]]
    robot = handler_of(portal, place) or {}
    declared = {key.lower(): key for key in (robot.get("RETURN_PROPERTIES") or {})}
    for key, value in values.items():
        if key.lower() in declared:
            run["RESULTS"][f"A{place['ID']}:{declared[key.lower()]}"] = value
    if text:
        note(portal, run, text, place["CODE"])
    _advance(portal, run)


def trigger(portal: Portal, code: str, kind: int, item: Row, actor: Actor, client_id: str = "") -> bool:
    """Move the item to the stage on which that trigger was placed by hand; False when none was."""
    from sandbox import crm

    placed = portal["trigger_runs"].first(CODE=code, ENTITY_TYPE_ID=kind, CLIENT_ID=client_id)
    if placed is None:
        return False
    return crm.update(
        portal,
        kind,
        item,
        {STAGE[kind]: placed["STAGE_ID"]},
        [],
        Actor(actor.user_id, "automation", hops=actor.hops),
    )
