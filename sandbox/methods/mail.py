"""Reading mail by REST 3.0 (api-reference/mail): every person has one mailbox, its letters are CRM's e-mails to him."""

from __future__ import annotations

from sandbox import dto
from sandbox.crm_kinds import WORD
from sandbox.filters import to_time
from sandbox.method import Call, Row, method
from sandbox.v3 import V3Error, invalid, required

EMAIL_ACTIVITY = 4
MAILBOX = dto.Dto("MailboxDto", {"id": "int", "name": "string", "email": "string", "senderName": "string"})
SENDER = dto.Dto("SenderDto", {"email": "string", "name": "string", "sender": "string"})
MESSAGE = dto.Dto("MessageDto", {
    "id": "int", "mailboxId": "int", "mailboxEmail": "string", "subject": "string", "from": "string", "to": "string",
    "cc": "string", "date": "string", "isSeen": "bool", "hasAttachments": "bool", "url": "string", "bindings": "array",
    "body": "string",
})  # fmt: skip
dto.describe("mail.mailbox", "mail", MAILBOX)
dto.describe("mail.message", "mail", MESSAGE)


def _mailboxes(call: Call) -> list[Row]:
    user = call.user
    name = f"{user['NAME']} {user['LAST_NAME']}"
    return [{"id": user["ID"], "name": "Рабочая почта", "email": user["EMAIL"], "senderName": name}]


def _letters(call: Call) -> list[Row]:
    """The caller's letters, newest first."""
    box = _mailboxes(call)[0]
    made = []
    for row in call.portal["activities"].where(TYPE_ID=EMAIL_ACTIVITY, RESPONSIBLE_ID=call.user_id):
        other = next((one["VALUE"] for one in row["COMMUNICATIONS"]), "")
        incoming = row["DIRECTION"] == 1
        bindings = [
            {"entityType": WORD.get(one["OWNER_TYPE_ID"], ""), "entityId": one["OWNER_ID"]} for one in row["BINDINGS"]
        ]
        made.append(
            {
                "id": row["ID"], "mailboxId": box["id"], "mailboxEmail": box["email"], "subject": row["SUBJECT"],
                "from": other if incoming else box["email"], "to": box["email"] if incoming else other, "cc": "",
                "date": call.portal.iso(row["CREATED"]), "isSeen": row["COMPLETED"] == "Y", "hasAttachments": False,
                "url": f"{call.portal.url}/mail/message/{row['ID']}", "bindings": bindings,
                "body": row["DESCRIPTION"],
            }
        )  # fmt: skip
    return made[::-1]


def _one(call: Call, rows: list[Row], kind: dto.Dto) -> Row:
    if call.params.get("id") is None:
        raise required("id")
    number = dto.whole(call.params, "id")
    found = next((row for row in rows if row["id"] == number), None)
    if found is None:
        raise V3Error("ENTITYNOTFOUNDEXCEPTION", f"Record with ID = `{number}` not found")
    return {"item": dto.chosen(call, kind, found)}


def _word(call: Call, name: str) -> str:
    return dto.text(call.params, name).casefold() if call.params.get(name) is not None else ""


@method("mail.mailbox.list", scope="mail", version=3)
def mailbox_list(call: Call) -> Row:
    name, email = _word(call, "name"), _word(call, "email")
    rows = [row for row in _mailboxes(call) if name in row["name"].casefold() and email in row["email"].casefold()]
    return {"items": dto.page(call, MAILBOX, rows)}


@method("mail.mailbox.get", scope="mail", version=3)
def mailbox_get(call: Call) -> Row:
    return _one(call, _mailboxes(call), MAILBOX)


@method("mail.mailbox.senders", scope="mail", version=3)
def mailbox_senders(call: Call) -> Row:
    rows = [
        {"email": row["email"], "name": row["senderName"], "sender": f"{row['senderName']} <{row['email']}>"}
        for row in _mailboxes(call)
    ]
    return {"items": dto.page(call, SENDER, rows)}


@method("mail.message.get", scope="mail", version=3)
def message_get(call: Call) -> Row:
    return _one(call, _letters(call), MESSAGE)


def _moment(call: Call, name: str) -> float | None:
    value = call.params.get(name)
    if value is None:
        return None
    at = to_time(value, call.portal.zone()) if isinstance(value, str) and "T" in value else None
    if at is None:
        raise invalid((name, f"Parameter `{name}` must be in ISO 8601 format (DATE_ATOM)"))
    return at


@method("mail.message.list", scope="mail", version=3)
def message_list(call: Call) -> Row:
    box = dto.whole(call.params, "mailboxId") if call.params.get("mailboxId") is not None else 0
    if box and box != call.user_id:
        raise V3Error("ACCESSDENIEDEXCEPTION", "Доступ запрещён", 403)
    word, low, high = _word(call, "searchQuery"), _moment(call, "dateFrom"), _moment(call, "dateTo")
    zone = call.portal.zone()
    rows = []
    for row in _letters(call):
        at = to_time(row["date"], zone) or 0.0
        if word not in f"{row['subject']} {row['body']} {row['from']}".casefold():
            continue
        if (low is not None and at < low) or (high is not None and at > high):
            continue
        wanted = {name: call.params[name] for name in ("isSeen", "hasAttachments") if call.params.get(name) is not None}
        if any(row[name] != value for name, value in wanted.items()):
            continue
        rows.append(row)
    return {"items": dto.page(call, MESSAGE, rows)}
