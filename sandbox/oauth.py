"""The authorization server: /oauth/token/ and /rest/app.info/ (settings/oauth/auto-renewal.md, index.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from sandbox import faults, php, tokens
from sandbox.method import RestError, Row, as_int, plain
from sandbox.portal import Portal
from sandbox.rest import dump
from sandbox.server import Request, Response

CODE_LIFE = 30


def _failed(code: str, description: str, status: int = 400) -> Response:
    return Response(status, dump({"error": code, "error_description": description}))


def _parameters(request: Request) -> Row:
    try:
        body = php.parse_body(request.body, request.headers.get("content-type", ""))
    except ValueError:
        body = {}
    return {**php.parse_query(request.query), **(body if isinstance(body, dict) else {})}


def handle(portals: list[Portal], request: Request) -> Response:
    """One request to the authorization server, which knows every portal of the process."""
    path = "/" + "/".join(part for part in request.path.split("/") if part)
    params = _parameters(request)
    name = (
        "oauth" if path == "/oauth/token" else "app.info" if path in ("/rest/app.info", "/rest/app.info.json") else ""
    )
    if not name:
        return _failed("ERROR_METHOD_NOT_FOUND", "Method not found!", 404)
    portal = _portal(portals, params)
    rule = None
    if portal is not None and name == "oauth":
        with portal.lock:
            rule = faults.take(portal, ["oauth"], "before")
        if rule is not None and rule["effect"] == "delay":
            from sandbox.rest import pause

            pause(portal, rule["seconds"])
        elif rule is not None and rule["effect"] == "error":
            return _failed(rule["error"], rule["error_description"], rule["status"] or 400)
        elif rule is not None:
            return faults.broken(rule, None)
    if portal is None:
        return _failed("invalid_client", "Client not found") if name == "oauth" else _failed("NO_AUTH_FOUND", "", 401)
    with portal.lock:
        response = token_answer(portal, params) if name == "oauth" else app_info(portal, params)
        portal.ledger.add(
            "oauth", method=name, grant_type=plain(params.get("grant_type")), status=response.status,
            client_id=plain(params.get("client_id")),
        )  # fmt: skip
        rule = faults.take(portal, ["oauth"], "after") if name == "oauth" else None
    if rule is not None and rule["effect"] == "error":
        return _failed(rule["error"], rule["error_description"], rule["status"] or 400)
    if rule is not None and rule["effect"] != "delay":
        return faults.broken(rule, response)
    return response


def _portal(portals: list[Portal], params: Row) -> Portal | None:
    client_id = plain(params.get("client_id"))
    access = plain(params.get("auth") or params.get("access_token"))
    for portal in portals:
        with portal.lock:
            if client_id and tokens.application_of(portal, client_id) is not None:
                return portal
            if access and access in portal.tokens:
                return portal
    return None


def token_answer(portal: Portal, params: Row) -> Response:
    """A fresh pair for a refresh token or for an authorization code; the used one is dead from now on."""
    application = tokens.application_of(portal, plain(params.get("client_id")))
    if application is None or plain(params.get("client_secret")) != application["CLIENT_SECRET"]:
        return _failed("invalid_client", "Invalid client credentials")
    if not application["ACTIVE"]:
        return _failed("invalid_client", "Application is not installed")
    if application["PAYMENT_ENDED"]:
        return _failed("PAYMENT_REQUIRED", "Payment required")
    grant = plain(params.get("grant_type"))
    if grant == "refresh_token":
        old = portal.refresh_tokens.get(plain(params.get("refresh_token")))
        if (
            old is None
            or old["CLIENT_ID"] != application["CLIENT_ID"]
            or old["REFRESH_EXPIRES"] <= portal.now()
            or old["REVOKED"]
        ):
            return _failed("invalid_grant", "Invalid refresh token")
        user = portal.user(old["USER_ID"])
        if user is None or not user["ACTIVE"]:
            return _failed("invalid_grant", "User is not active")
        tokens.kill(portal, old)
    elif grant == "authorization_code":
        code = portal.held.setdefault("codes", {}).pop(plain(params.get("code")), None)
        if code is None or code["client_id"] != application["CLIENT_ID"] or code["until"] < portal.now():
            return _failed("invalid_grant", "Invalid authorization code")
        user = portal.user(code["user_id"])
        if user is None or not user["ACTIVE"]:
            return _failed("invalid_grant", "User is not active")
    else:
        return _failed("invalid_request", "Invalid grant type")
    token = tokens.issue(portal, application, user)
    return Response(
        200,
        dump(
            {
                "access_token": token["ACCESS"],
                "expires": token["EXPIRES"],
                "expires_in": tokens.ACCESS_LIFE,
                "scope": ",".join(token["SCOPES"]),
                "domain": portal.oauth_url.split("://", 1)[1],
                "server_endpoint": portal.oauth_url + "/rest/",
                "status": application["STATUS"],
                "client_endpoint": portal.url + "/rest/",
                "member_id": portal.member_id,
                "user_id": user["ID"],
                "refresh_token": token["REFRESH"],
            }
        ),
    )


def app_info(portal: Portal, params: Row) -> Response:
    """What the authorization server knows about a token, in the shape that the official SDKs read."""
    try:
        token, application, user = tokens.resolve(portal, plain(params.get("auth") or params.get("access_token")))
    except RestError as error:
        return _failed(str(error.code), error.description, error.status)
    now = portal.now()
    result = {
        "client_id": application["CLIENT_ID"],
        "scope": ",".join(token["SCOPES"]),
        "expires": datetime.fromtimestamp(token["EXPIRES"], UTC).isoformat(),
        "user_id": user["ID"],
        "install": {
            "installed": bool(application["INSTALLED"]),
            "version": str(application["VERSION"]),
            "status": application["STATUS"],
            "scope": ",".join(application["SCOPES"]),
            "domain": portal.host,
            "uri": portal.url,
            "client_endpoint": portal.url + "/rest/",
            "member_id": portal.member_id,
            "member_type": "b24",
        },
    }
    iso = datetime.fromtimestamp(now, UTC).isoformat()
    clock = {
        "start": now, "finish": now, "duration": 0.0, "processing": 0.0, "date_start": iso, "date_finish": iso,
        "operating_reset_at": int(now) + 600, "operating": 0,
    }  # fmt: skip
    return Response(200, dump({"result": result, "time": clock}))


def new_code(portal: Portal, application: Row, user: Row) -> str:
    """An authorization code for (application, user), good once and for CODE_LIFE seconds."""
    code = portal.secret(70)
    portal.held.setdefault("codes", {})[code] = {
        "client_id": application["CLIENT_ID"],
        "user_id": user["ID"],
        "until": portal.now() + CODE_LIFE,
    }
    return code


def authorize_page(portal: Portal, request: Request) -> Response:
    """The first step of the full flow: a redirect with a code for the person `user_id` (default 1)."""
    params = _parameters(request)
    with portal.lock:
        application = tokens.application_of(portal, plain(params.get("client_id")))
        user = portal.user(as_int(params.get("user_id")) or 1)
        if application is None or user is None or not user["ACTIVE"]:
            return _failed("invalid_client", "Client not found")
        code = new_code(portal, application, user)
    query = urlencode(
        {
            "code": code,
            "state": plain(params.get("state")),
            "domain": portal.host,
            "member_id": portal.member_id,
            "scope": ",".join(application["SCOPES"]),
            "server_domain": portal.oauth_url.split("://", 1)[1],
        }
    )
    address = application["HANDLER"] or application["INSTALL"]
    if not address:
        return _failed("invalid_request", "The application has no address")
    return Response(302, headers={"Location": address + ("&" if "?" in address else "?") + query})
