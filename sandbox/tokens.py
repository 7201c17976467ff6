"""Access and refresh tokens: who may call, for whom, and what a token that may not is answered."""

from __future__ import annotations

from sandbox.method import FULL_HOPS, RestError, Row
from sandbox.portal import Portal

ACCESS_LIFE = 3600
REFRESH_LIFE = 180 * 86400


def issue(portal: Portal, application: Row, user: Row, *, hops: int = FULL_HOPS) -> Row:
    """A new pair for (application, user): ACCESS, REFRESH, EXPIRES (unix seconds), SCOPES, HOPS."""
    now = portal.now()
    if len(portal.tokens) > 20_000:
        _prune(portal, now)
    token: Row = {
        "ACCESS": portal.secret(70),
        "REFRESH": portal.secret(70),
        "CLIENT_ID": application["CLIENT_ID"],
        "USER_ID": user["ID"],
        "EXPIRES": int(now) + ACCESS_LIFE,
        "REFRESH_EXPIRES": int(now) + REFRESH_LIFE,
        "SCOPES": list(application["SCOPES"]),
        "HOPS": hops,
        "REVOKED": False,
    }
    portal.tokens[token["ACCESS"]] = token
    portal.refresh_tokens[token["REFRESH"]] = token
    return token


def _prune(portal: Portal, now: float) -> None:
    for access, token in list(portal.tokens.items()):
        if token["EXPIRES"] < now - 86400:
            del portal.tokens[access]
    if len(portal.refresh_tokens) > 100_000:
        for refresh in list(portal.refresh_tokens)[:50_000]:
            if portal.refresh_tokens[refresh]["HOPS"] < FULL_HOPS:
                del portal.refresh_tokens[refresh]


def kill(portal: Portal, token: Row) -> None:
    """Forget both halves of a pair."""
    portal.tokens.pop(token["ACCESS"], None)
    portal.refresh_tokens.pop(token["REFRESH"], None)


def application_of(portal: Portal, client_id: str) -> Row | None:
    """The application of that client_id that is not deleted, or None."""
    return portal["applications"].first(CLIENT_ID=client_id)


def resolve(portal: Portal, access: str) -> tuple[Row, Row, Row]:
    """(token, application, user) of an access token. RestError as the portal answers it."""
    token = portal.tokens.get(access)
    if token is None:
        raise RestError("NO_AUTH_FOUND")
    application = application_of(portal, token["CLIENT_ID"])
    if application is None or not application["ACTIVE"]:
        raise RestError("APPLICATION_NOT_FOUND")
    if token["REVOKED"]:
        raise RestError("invalid_token")
    if token["EXPIRES"] <= portal.now():
        raise RestError("expired_token")
    user = portal.user(token["USER_ID"])
    if user is None or not user["ACTIVE"]:
        raise RestError("authorization_error")
    if application["PAYMENT_ENDED"]:
        raise RestError("PAYMENT_REQUIRED")
    if user["USER_TYPE"] not in ("employee", "bot"):
        raise RestError("allowed_only_intranet_user")
    allowed = application["USERS"]
    if allowed and user["ID"] not in allowed and not user["ADMIN"]:
        raise RestError("user_access_error")
    return token, application, user
