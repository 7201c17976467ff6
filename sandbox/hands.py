"""Controls: what the portal's own pages do beside calendars and tasks: notices, bots, call lists, AI, workgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import company, scrum
from sandbox.controls import PARTS, ControlError, application, control, lines, only, person
from sandbox.method import Actor, Row, as_int
from sandbox.methods.chat_actions import ANSWERS, SENT
from sandbox.portal import Portal

if TYPE_CHECKING:
    from sandbox.world import World


@control("POST", "notices")
def add_notice(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A module's notice: with buttons, with those of an invitation (event_id), or one that may be answered."""
    only(body, "user_id", "from_user_id", "text", "buttons", "event_id", "answer")
    with portal.lock:
        user = person(portal, body.get("user_id"))
        buttons = []
        for one in lines(body.get("buttons", []), "buttons"):
            if not isinstance(one, dict) or not one.get("value") or not one.get("title"):
                raise ControlError("a button is an object with value, title, result")
            only(one, "value", "title", "result")
            buttons.append({name: str(one.get(name) or "") for name in ("value", "title", "result")})
        event = portal["calendar"].get(as_int(body.get("event_id")))
        if "event_id" in body:
            if event is None or user["ID"] not in event["ATTENDEES"]:
                raise ControlError(f"no invitation {body['event_id']}", 404)
            titles = {"Y": "Принять", "N": "Отказаться"}
            buttons = [{"value": key, "title": titles[key], "result": text} for key, text in ANSWERS.items()]
        answer = body.get("answer")
        row = portal["notices"].add(
            {
                "USER_ID": user["ID"], "FROM_USER_ID": as_int(body.get("from_user_id")) or 0,
                "MESSAGE": str(body.get("text") or ""), "MESSAGE_OUT": "", "TAG": "", "SUB_TAG": "", "ATTACH": None,
                "OWNER": "", "AT": portal.now(), "BUTTONS": buttons, "EVENT_ID": event["ID"] if event else 0,
                "ANSWER": SENT if answer is True else str(answer or ""),
            }
        )  # fmt: skip
        portal.effect("create", "notice", row["ID"], row["FROM_USER_ID"], "person", to=user["ID"])
        return {"id": row["ID"]}


@control("POST", "bots")
def add_bot(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A bot of an application, a person of its own, with its commands, for which ONIMCOMMANDADD goes to `handler`."""
    only(body, "client_id", "code", "name", "handler", "commands", "common")
    with portal.lock:
        row = application(portal, body.get("client_id"))
        words = [str(one) for one in lines(body.get("commands", []), "commands")]
        user = company.add_person(
            portal, {"NAME": str(body.get("name") or "Бот"), "USER_TYPE": "bot", "UF_DEPARTMENT": []}
        )
        code = str(body.get("code") or f"bot{user['ID']}")
        portal["bots"].add({"USER_ID": user["ID"], "CLIENT_ID": row["CLIENT_ID"], "CODE": code})
        for word in words:
            portal["bot_commands"].add(
                {"BOT_ID": user["ID"], "COMMAND": word, "COMMON": "Y" if body.get("common") else "N",
                    "HANDLER": str(body.get("handler") or "")}
            )  # fmt: skip
        return {"id": user["ID"], "commands": [one["ID"] for one in portal["bot_commands"].where(BOT_ID=user["ID"])]}


@control("PATCH", "call-lists/<>")
def call_participant(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """Somebody called a participant of a call list: his status is one of the dictionary CALL_LIST."""
    only(body, "entity_id", "status", "user_id")
    with portal.lock:
        row = portal["call_lists"].get(as_int(path[0]))
        wanted = as_int(body.get("entity_id"))
        item = next((one for one in row["ITEMS"] if one["ID"] == wanted), None) if row is not None else None
        if row is None or item is None:
            raise ControlError("no such call list or participant", 404)
        if portal["statuses"].first(ENTITY_ID="CALL_LIST", STATUS_ID=body.get("status")) is None:
            raise ControlError("status is a code of the dictionary CALL_LIST")
        item["STATUS"] = body["status"]
        user = person(portal, body.get("user_id") or row["CREATED_BY_ID"])
        portal.effect("update", "call list", row["ID"], user["ID"], "person", item=wanted, status=item["STATUS"])
        return {"id": row["ID"], "items": row["ITEMS"]}


@control("POST", "activities/<>/transcript")
def transcribe(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """AI has read a call: its text is what crm.activity.call.getTranscript answers from now on."""
    only(body, "text")
    with portal.lock:
        row = portal["activities"].get(as_int(path[0]))
        if row is None or row["TYPE_ID"] != 2:
            raise ControlError(f"no call {path[0]}", 404)
        known = portal["ai_transcripts"].first(ACTIVITY_ID=row["ID"])
        made = known or portal["ai_transcripts"].add({"ACTIVITY_ID": row["ID"]})
        made["TEXT"] = str(body.get("text") or "")
        return {"id": made["ID"]}


# --- workgroups and scrums --------------------------------------------------------------------------------------------


def _group(portal: Portal, row: Row) -> Row:
    backlog = scrum.backlog_of(portal, row["ID"])
    return {
        "id": row["ID"], "name": row["NAME"], "owner_id": row["OWNER_ID"], "members": scrum.members(row),
        "scrum_master_id": row.get("SCRUM_MASTER_ID") or None, "backlog_id": backlog["ID"] if backlog else None,
    }  # fmt: skip


PARTS["groups"] = lambda portal: [_group(portal, row) for row in portal["groups"]]


def _group_values(portal: Portal, body: Row) -> Row:
    values: Row = {}
    if "name" in body:
        values["NAME"] = str(body["name"] or "")
    if "owner_id" in body:
        values["OWNER_ID"] = person(portal, body["owner_id"])["ID"]
    if "members" in body:
        values["MEMBERS"] = [person(portal, one)["ID"] for one in lines(body["members"], "members")]
    if "scrum_master_id" in body:
        master = body["scrum_master_id"]
        values["SCRUM_MASTER_ID"] = person(portal, master)["ID"] if master else 0
    return values


@control("POST", "groups")
def add_group(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person makes a workgroup; one with a scrum master is a scrum and gets its backlog."""
    only(body, "name", "owner_id", "members", "scrum_master_id")
    with portal.lock:
        usual: Row = {"NAME": "Группа", "OWNER_ID": 1, "MEMBERS": [], "SCRUM_MASTER_ID": 0}
        row = portal["groups"].add({**usual, **_group_values(portal, body)})
        portal.effect("create", "group", row["ID"], row["OWNER_ID"], "person")
        scrum.set_up(portal, row, Actor(row["OWNER_ID"]))
        return _group(portal, row)


@control("PATCH", "groups/<>")
def change_group(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """Change a workgroup; with `planning` somebody opens the planning of a scrum, which makes a lost backlog anew."""
    only(body, "name", "owner_id", "members", "scrum_master_id", "planning")
    with portal.lock:
        row = portal["groups"].get(as_int(path[0]))
        if row is None:
            raise ControlError(f"no group {path[0]}", 404)
        becomes = not row.get("SCRUM_MASTER_ID") and body.get("scrum_master_id")
        row.update(_group_values(portal, body))
        portal.effect("update", "group", row["ID"], row["OWNER_ID"], "person")
        if becomes or body.get("planning"):
            scrum.set_up(portal, row, Actor(row["OWNER_ID"]))
        return _group(portal, row)


@control("POST", "sprints/<>/start")
def start_sprint(world: World, portal: Portal, path: list[str], body: Row) -> Row:
    """A person starts a planned sprint and sets its goal, which REST cannot; by default the scrum master."""
    only(body, "goal", "user_id")
    with portal.lock:
        row = portal["scrum_entities"].get(as_int(path[0]))
        if row is None or row["ENTITY_TYPE"] != scrum.SPRINT:
            raise ControlError(f"no sprint {path[0]}", 404)
        user = person(portal, body.get("user_id") or portal["groups"].rows[row["GROUP_ID"]]["SCRUM_MASTER_ID"])
        if not scrum.can_enter(portal, row["GROUP_ID"], user):
            raise ControlError("access denied")
        if row["STATUS"] != scrum.PLANNED or scrum.active_of(portal, row["GROUP_ID"]) is not None:
            raise ControlError("the sprint is not planned, or another one is going on")
        row["GOAL"] = str(body.get("goal") or "")
        scrum.become(portal, row, scrum.ACTIVE, Actor(user["ID"]))
        return {"id": row["ID"], "goal": row["GOAL"], "status": row["STATUS"]}
