"""Frames: what the portal posts into an application's page when a person opens it (widget_data.md)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sandbox import delivery, tokens
from sandbox.method import Row
from sandbox.portal import Portal


class FrameRefused(Exception):
    """The portal would show no frame: a text for the person."""


def compose(portal: Portal, application: Row, user: Row, placement: str, options: Row, handler: str = "") -> Row:
    """{"url", "fields", "sid", "install"} of one opening. FrameRefused when the portal would not open it.

    Until installation is finished only the installer's page opens, and for administrators only.
    """
    if not user["ACTIVE"]:
        raise FrameRefused("Сотрудник уволен")
    allowed = application["USERS"]
    if allowed and user["ID"] not in allowed and not user["ADMIN"]:
        raise FrameRefused("У сотрудника нет доступа к приложению")
    installing = not application["INSTALLED"]
    options = dict(options)
    if installing:
        if not user["ADMIN"]:
            raise FrameRefused("Приложение установлено не полностью, обратитесь к администратору")
        if placement not in ("DEFAULT", ""):
            raise FrameRefused("Места встройки не показываются, пока установка не завершена")
        address = application["INSTALL"] or application["HANDLER"]
    elif placement in ("DEFAULT", ""):
        address = application["HANDLER"]
    elif placement.startswith("ROBOT:"):
        robot = portal["robots"].first(CLIENT_ID=application["CLIENT_ID"], CODE=placement[6:])
        address = robot["PLACEMENT_HANDLER"] if robot else ""
        placement = "BIZPROC_ROBOT"
    else:
        places = [
            row
            for row in portal["placements"].where(CLIENT_ID=application["CLIENT_ID"], PLACEMENT=placement)
            if row["USER_ID"] in (0, user["ID"])
        ]
        if handler:
            places = [row for row in places if row["HANDLER"] == handler]
        if not places:
            raise FrameRefused(f"Приложение не встроено в {placement}")
        address = places[0]["HANDLER"]
    if not address:
        raise FrameRefused("У приложения нет адреса")
    options = usual_options(portal, placement) | options
    token = tokens.issue(portal, application, user)
    sid = portal.secret(32)
    secure = str(int(portal.url.startswith("https:")))
    query = urlencode({"DOMAIN": portal.host, "PROTOCOL": secure, "LANG": portal.settings.language, "APP_SID": sid})
    fields: dict[str, Any] = {
        "AUTH_ID": token["ACCESS"],
        "AUTH_EXPIRES": str(tokens.ACCESS_LIFE),
        "REFRESH_ID": token["REFRESH"],
        "SERVER_ENDPOINT": portal.oauth_url + "/rest/",
        "APPLICATION_TOKEN": application["APPLICATION_TOKEN"],
        "APPLICATION_SCOPE": ",".join(application["SCOPES"]),
        "member_id": portal.member_id,
        "status": application["STATUS"],
        "PLACEMENT": placement or "DEFAULT",
        "PLACEMENT_OPTIONS": json.dumps(options, ensure_ascii=False) if options else "[]",
    }
    url = address + ("&" if "?" in address else "?") + query
    portal.held.setdefault("frames", {})[sid] = {"client_id": application["CLIENT_ID"], "user_id": user["ID"]}
    return {"url": url, "fields": fields, "sid": sid, "install": installing}


def usual_options(portal: Portal, placement: str) -> Row:
    """The context of a place that the opener need not know: that of the calendar's present week, of the main menu."""
    if placement == "LEFT_MENU":
        return {"URI": "/crm/lead/"}
    if placement != "CALENDAR_GRIDVIEW":
        return {}
    today = datetime.fromtimestamp(portal.now(), portal.zone()).date()
    monday = today - timedelta(days=today.weekday())
    return {
        "viewRangeFrom": monday.isoformat(), "viewRangeTo": (monday + timedelta(days=6)).isoformat(),
        "URI": "/calendar/",
    }  # fmt: skip


def finish_install(portal: Portal, application: Row) -> None:
    """What BX24.installFinish() does: from now on placements show and events go."""
    if not application["INSTALLED"]:
        application["INSTALLED"] = True
        portal.effect("install", "application", application["ID"], 1, "person")


def saved(portal: Portal, application: Row) -> None:
    """What saving the card does: script-only gets ONAPPINSTALL, an application without installer is ready at once."""
    if application["INSTALLED"]:
        return
    if application["SCRIPT_ONLY"]:
        address = application["INSTALL"] or application["HANDLER"]
        if not address:
            return
        finish_install(portal, application)
        data = {
            "VERSION": application["VERSION"],
            "ACTIVE": "Y",
            "INSTALLED": "Y",
            "LANGUAGE_ID": portal.settings.language,
        }
        delivery.application_event(portal, "ONAPPINSTALL", application, address, data, portal.user(1))
    elif application["HANDLER"] and not application["INSTALL"]:
        finish_install(portal, application)


def uninstall(portal: Portal, application: Row, clean: bool) -> None:
    """Tell the application (ONAPPUNINSTALL), then remove what it registered; robots on stages stay, blocked."""
    for handler in portal["event_handlers"].where(CLIENT_ID=application["CLIENT_ID"], EVENT="ONAPPUNINSTALL"):
        data = {"LANGUAGE_ID": portal.settings.language, "CLEAN": int(clean)}
        delivery.application_event(portal, "ONAPPUNINSTALL", application, handler["HANDLER"], data, None)
    for name in ("event_handlers", "placements", "robots", "triggers", "offline_events"):
        for row in list(portal[name].where(CLIENT_ID=application["CLIENT_ID"])):
            portal[name].remove(row["ID"])
    for token in [one for one in portal.refresh_tokens.values() if one["CLIENT_ID"] == application["CLIENT_ID"]]:
        tokens.kill(portal, token)
    application["INSTALLED"] = application["ACTIVE"] = False
    portal.effect("uninstall", "application", application["ID"], 1, "person", clean=clean)


def upgrade(portal: Portal, application: Row, version: int) -> None:
    """A new version: a new application_token, bound events are gone, ONAPPUPDATE goes to those that had bound it."""
    previous = application["VERSION"]
    application["VERSION"], application["APPLICATION_TOKEN"] = version, portal.secret(32)
    handlers = [
        row["HANDLER"]
        for row in portal["event_handlers"].where(CLIENT_ID=application["CLIENT_ID"], EVENT="ONAPPUPDATE")
    ]
    for row in list(portal["event_handlers"].where(CLIENT_ID=application["CLIENT_ID"])):
        if row["EVENT"] not in ("ONAPPUPDATE", "ONAPPUNINSTALL"):
            portal["event_handlers"].remove(row["ID"])
    data = {"VERSION": version, "PREVIOUS_VERSION": previous, "LANGUAGE_ID": portal.settings.language}
    for handler in handlers:
        delivery.application_event(portal, "ONAPPUPDATE", application, handler, data, portal.user(1))
    portal.effect("update", "application", application["ID"], 1, "person", version=version)
