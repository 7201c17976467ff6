"""Mailboxes: every person has one, with folders, letters in threads, and an address book of those he wrote with.

Letters live in portal["letters"], one record for every mailbox in which a letter lies. An e-mail of CRM is a letter of
its responsible person's mailbox; what REST sends is one of the sender's and of the recipients who work here.
"""

from __future__ import annotations

import html
import re
from typing import Any

from sandbox import crm
from sandbox.crm_kinds import DEAL, LEAD
from sandbox.method import Actor, Row
from sandbox.portal import Portal

EMAIL_ACTIVITY = 4
# path -> name; a folder is named by either of them.
FOLDERS = {
    "INBOX": "Входящие", "Sent": "Отправленные", "Drafts": "Черновики", "Archive": "Архив", "Spam": "Спам",
    "Trash": "Корзина",
}  # fmt: skip
INBOX, SENT, SPAM, TRASH = "INBOX", "Sent", "Spam", "Trash"
# What is made of a letter -> where it lies.
_MADE = {"task": "tasks", "chat": "chats", "calendarEvent": "calendar", "blogPost": "blog_posts"}
_AGAIN = re.compile(r"^\s*(?:re|aw|ответ)\s*:\s*", re.I)


def folder_of(text: str) -> str | None:
    """The path of the folder with that name or path, None for an unknown one."""
    wanted = text.strip().casefold()
    return next((path for path, name in FOLDERS.items() if wanted in (path.casefold(), name.casefold())), None)


def parted(address: str) -> tuple[str, str]:
    """(e-mail, name) of `Name <e-mail>` or of the e-mail alone."""
    found = re.fullmatch(r"\s*(.*?)\s*<([^<>]+)>\s*", address)
    return (found.group(2).strip(), found.group(1).strip('"')) if found else (address.strip(), "")


def plain_text(body: str) -> str:
    """The text of a letter without the tags of HTML."""
    bare = re.sub(r"</?[a-zA-Z][^<>]*>", "", body)
    return html.unescape(bare).strip() if bare != body else body


def colleague(portal: Portal, address: str) -> Row | None:
    """The person of the portal who has that address."""
    email = parted(address)[0].casefold()
    return next(
        (user for user in portal["users"] if user["ACTIVE"] and (user["EMAIL"] or "").casefold() == email), None
    )


# --- keeping ----------------------------------------------------------------------------------------------------------


def store(portal: Portal, user_id: int, folder: str, values: Row) -> Row:
    """Put a letter into a person's mailbox and its other side into his address book."""
    row: Row = {
        "USER_ID": user_id, "FOLDER": folder, "SUBJECT": "", "FROM": "", "TO": [], "CC": [], "BCC": [], "BODY": "",
        "AT": portal.now(), "SEEN": folder == SENT, "INCOMING": folder != SENT, "FILES": [], "MARK": "", "THREAD": "",
        "ACTIVITY_ID": 0, "SOURCE": 0, "MADE": [], **values,
    }  # fmt: skip
    portal["letters"].add(row)
    row["MARK"] = row["MARK"] or f"bx.mail.{row['ID']}@{portal.member_id}"
    row["THREAD"] = row["THREAD"] or _thread(portal, row) or row["MARK"]
    for address in [row["FROM"]] if row["INCOMING"] else [*row["TO"], *row["CC"], *row["BCC"]]:
        _remember(portal, user_id, address, row["AT"])
    return row


def _others(row: Row) -> set[str]:
    return {parted(one)[0].casefold() for one in ([row["FROM"]] if row["INCOMING"] else row["TO"])}


def _thread(portal: Portal, row: Row) -> str:
    """The thread that a «Re: ...» from outside goes on with: known by its subject and its sender."""
    if not row["INCOMING"] or not _AGAIN.match(row["SUBJECT"]):
        return ""
    subject = _AGAIN.sub("", row["SUBJECT"]).casefold()
    for one in portal["letters"].between(high=row["ID"] - 1, descending=True):
        same = one["USER_ID"] == row["USER_ID"] and _AGAIN.sub("", one["SUBJECT"]).casefold() == subject
        if same and _others(one) & _others(row):
            return str(one["THREAD"])
    return ""


def _remember(portal: Portal, user_id: int, address: str, at: float) -> None:
    email, name = parted(address)
    if not email:
        return
    known = portal["mail_contacts"].first(USER_ID=user_id, EMAIL=email.casefold())
    if known is not None:
        known["AT"] = max(known["AT"], at)
        return
    if not name:
        name = _name(portal, email)
    portal["mail_contacts"].add({"USER_ID": user_id, "EMAIL": email.casefold(), "NAME": name, "AT": at})


def _name(portal: Portal, email: str) -> str:
    """What the portal calls the owner of an address: a colleague, a client of CRM, else the part before the @."""
    person = colleague(portal, email)
    known = person or next((hit["row"] for hit in crm.find_by_comm(portal, "EMAIL", email)), None)
    if known is not None:
        words = [known.get("NAME"), known.get("LAST_NAME")]
        return " ".join(str(word) for word in words if word) or str(known.get("TITLE") or email)
    return email.partition("@")[0].capitalize()


def collect(portal: Portal) -> None:
    """Make letters of the e-mails that CRM has got or sent since the last time."""
    known = max((max(row["SOURCE"], row["ACTIVITY_ID"]) for row in portal["letters"]), default=0)
    for row in list(portal["activities"].between(low=known + 1)):
        incoming = row["DIRECTION"] == 1
        user = portal.user(row["RESPONSIBLE_ID"])
        # An outgoing e-mail that is not completed was not sent.
        if row["TYPE_ID"] != EMAIL_ACTIVITY or user is None or not (incoming or row["COMPLETED"] == "Y"):
            continue
        other = next((one["VALUE"] for one in row["COMMUNICATIONS"]), "")
        store(
            portal, user["ID"], INBOX if incoming else SENT,
            {
                "SUBJECT": row["SUBJECT"], "FROM": other if incoming else user["EMAIL"],
                "TO": [user["EMAIL"]] if incoming else [other], "BODY": row["DESCRIPTION"], "AT": row["CREATED"],
                "FILES": list(row["FILES"]), "ACTIVITY_ID": row["ID"], "SOURCE": row["ID"],
            },
        )  # fmt: skip


def of(portal: Portal, user_id: int) -> list[Row]:
    """The letters of a person's mailbox, newest first."""
    collect(portal)
    rows = [row for row in portal["letters"] if row["USER_ID"] == user_id]
    return sorted(rows, key=lambda row: (row["AT"], row["ID"]), reverse=True)


# --- links ------------------------------------------------------------------------------------------------------------


def activity(portal: Portal, row: Row) -> Row | None:
    """The CRM activity of a letter, None when it has none (any more)."""
    return portal["activities"].get(row["ACTIVITY_ID"])


def bindings(portal: Portal, row: Row) -> list[Row]:
    """What a letter belongs to: items of CRM, and what was made of it. [verify]: the pages show an empty list only."""
    linked = activity(portal, row)
    made = [
        {"type": "crm", "entityTypeId": one["OWNER_TYPE_ID"], "entityId": one["OWNER_ID"]}
        for one in (linked["BINDINGS"] if linked is not None else [])
    ]
    return made + [dict(one) for one in row["MADE"] if portal[_MADE[one["type"]]].get(one["entityId"]) is not None]


def seen(portal: Portal, row: Row) -> bool:
    """Whether a letter was read; an e-mail of CRM is with its activity completed."""
    linked = activity(portal, row)
    return bool(row["SEEN"] or (linked is not None and linked["COMPLETED"] == "Y"))


def client_of(
    portal: Portal, address: str, subject: str, responsible: int, actor: Actor, *, user: Row | None = None
) -> tuple[tuple[int, int], Row]:
    """((type, id), record) of the client who has that address; a new lead when CRM knows none.

    `user`: only items that this person may change.
    """
    for hit in crm.find_by_comm(portal, "EMAIL", address):
        closed = hit["kind"] == LEAD and hit["row"]["STATUS_SEMANTIC_ID"] != "P"
        if not closed and (user is None or crm.can_change(user, hit["kind"], hit["row"])):
            return (hit["kind"], hit["row"]["ID"]), hit["row"]
    row = crm.create(
        portal, LEAD,
        {"TITLE": subject or f"Письмо от {address}", "SOURCE_ID": "EMAIL", "ASSIGNED_BY_ID": responsible},
        [{"TYPE_ID": "EMAIL", "VALUE_TYPE": "WORK", "VALUE": address}], actor,
    )  # fmt: skip
    return ((DEAL, row["ID"]) if "LEAD_NUMBER" in row else (LEAD, row["ID"])), row


def add_activity(
    portal: Portal, owner: tuple[int, int], address: str, incoming: bool, values: Row, actor: Actor
) -> Row:
    """An e-mail in the timeline of an item of CRM."""
    communication = {
        "TYPE": "EMAIL", "VALUE": address, "ENTITY_ID": str(owner[1]), "ENTITY_TYPE_ID": str(owner[0]),
        "ENTITY_SETTINGS": [],
    }  # fmt: skip
    state: Row = {"DIRECTION": 1, "IS_INCOMING_CHANNEL": "Y"} if incoming else {
        "DIRECTION": 2, "COMPLETED": "Y", "STATUS": 2
    }  # fmt: skip
    return crm.add_activity(
        portal,
        {
            "OWNER_TYPE_ID": owner[0], "OWNER_ID": owner[1], "TYPE_ID": EMAIL_ACTIVITY, "PROVIDER_ID": "CRM_EMAIL",
            "PROVIDER_TYPE_ID": "EMAIL", "COMMUNICATIONS": [communication], **state, **values,
        },
        actor,
    )  # fmt: skip


# --- changes ----------------------------------------------------------------------------------------------------------


def send(portal: Portal, user: Row, values: Row, actor: Actor) -> Row:
    """Send a letter: it lies in the sender's Sent folder, and in the inbox of every recipient who works here."""
    facts = {**values, "FROM": user["EMAIL"]}
    own = store(portal, user["ID"], SENT, facts)
    readers = (colleague(portal, one) for one in [*own["TO"], *own["CC"], *own["BCC"]])
    for number in dict.fromkeys(one["ID"] for one in readers if one is not None):
        store(portal, number, INBOX, {**facts, "BCC": [], "MARK": own["MARK"], "THREAD": own["THREAD"]})
    portal.effect("send", "letter", own["ID"], actor.user_id, actor.via, to=", ".join(own["TO"]))
    return own


def move(portal: Portal, row: Row, folder: str, actor: Actor) -> None:
    """Put a letter into another folder of its mailbox."""
    row["FOLDER"] = folder
    portal.effect("update", "letter", row["ID"], actor.user_id, actor.via, folder=folder)


def bind(row: Row, kind: str, number: Any) -> None:
    """Note what was made of a letter: task, chat, calendarEvent, blogPost."""
    row["MADE"].append({"type": kind, "entityId": number})
