"""Reading mail by REST 3.0 (api-reference/mail): the caller's mailbox, letters, threads, and whom he may write to."""

from __future__ import annotations

from datetime import datetime

from sandbox import dto, letters
from sandbox.filters import to_time
from sandbox.method import Call, Row, method
from sandbox.v3 import V3Error, invalid, required

MAILBOX = dto.Dto("MailboxDto", {"id": "int", "name": "string", "email": "string", "senderName": "string"})
SENDER = dto.Dto("SenderDto", {"email": "string", "name": "string", "sender": "string"})
MESSAGE = dto.Dto("MessageDto", {
    "id": "int", "mailboxId": "int", "mailboxEmail": "string", "subject": "string", "from": "string", "to": "string",
    "cc": "string", "date": "string", "isSeen": "bool", "hasAttachments": "bool", "url": "string", "bindings": "array",
    "body": "string",
})  # fmt: skip
RECIPIENT = dto.Dto("RecipientDto", {"id": "int", "email": "string", "name": "string"})
dto.describe("mail.mailbox", "mail", MAILBOX)
dto.describe("mail.message", "mail", MESSAGE)
dto.describe("mail.recipient", "mail", RECIPIENT)
THREAD_SIZE, THREAD_MOST = 20, 50


def mailboxes(call: Call) -> list[Row]:
    """The caller's mailboxes."""
    user = call.user
    name = f"{user['NAME']} {user['LAST_NAME']}"
    return [{"id": user["ID"], "name": "Рабочая почта", "email": user["EMAIL"], "senderName": name}]


def _item(call: Call, row: Row) -> Row:
    portal, box = call.portal, mailboxes(call)[0]
    return {
        "id": row["ID"], "mailboxId": box["id"], "mailboxEmail": box["email"], "subject": row["SUBJECT"],
        "from": row["FROM"], "to": ", ".join(row["TO"]), "cc": ", ".join(row["CC"]), "date": portal.iso(row["AT"]),
        "isSeen": letters.seen(portal, row), "hasAttachments": bool(row["FILES"]),
        "url": f"{portal.url}/mail/message/{row['ID']}", "bindings": letters.bindings(portal, row),
        "body": letters.plain_text(row["BODY"]),
    }  # fmt: skip


def _number(call: Call) -> int:
    if call.params.get("id") is None:
        raise required("id")
    return dto.whole(call.params, "id")


def _gone(number: int) -> V3Error:
    return V3Error("ENTITYNOTFOUNDEXCEPTION", f"Record with ID = `{number}` not found")


def _letter(call: Call) -> Row:
    """The letter of `id`; one of another mailbox is not found."""
    number = _number(call)
    found = next((row for row in letters.of(call.portal, call.user_id) if row["ID"] == number), None)
    if found is None:
        raise _gone(number)
    return found


def _word(call: Call, name: str) -> str:
    return dto.text(call.params, name).casefold() if call.params.get(name) is not None else ""


@method("mail.mailbox.list", scope="mail", version=3)
def mailbox_list(call: Call) -> Row:
    name, email = _word(call, "name"), _word(call, "email")
    rows = [row for row in mailboxes(call) if name in row["name"].casefold() and email in row["email"].casefold()]
    return {"items": dto.page(call, MAILBOX, rows, limit=25, most=100)}


@method("mail.mailbox.get", scope="mail", version=3)
def mailbox_get(call: Call) -> Row:
    number = _number(call)
    found = next((row for row in mailboxes(call) if row["id"] == number), None)
    if found is None:
        raise _gone(number)
    return {"item": dto.chosen(call, MAILBOX, found)}


@method("mail.mailbox.senders", scope="mail", version=3)
def mailbox_senders(call: Call) -> Row:
    rows = [
        {"email": row["email"], "name": row["senderName"], "sender": f"{row['senderName']} <{row['email']}>"}
        for row in mailboxes(call)
    ]
    return {"items": dto.page(call, SENDER, rows, limit=25, most=100)}


@method("mail.message.get", scope="mail", version=3)
def message_get(call: Call) -> Row:
    return {"item": dto.chosen(call, MESSAGE, _item(call, _letter(call)))}


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
    name = _word(call, "folder").strip()
    folder = letters.folder_of(name)
    wanted = {name: call.params[name] for name in ("isSeen", "hasAttachments") if call.params.get(name) is not None}
    for field, value in wanted.items():
        if not isinstance(value, bool):
            raise dto.typed(field, "bool")
    rows = []
    for letter in letters.of(call.portal, call.user_id):
        row, at = _item(call, letter), int(letter["AT"])
        if name and letter["FOLDER"] != folder:
            continue
        if word not in f"{row['subject']} {row['body']} {row['from']} {row['to']}".casefold():
            continue
        if (low is not None and at < low) or (high is not None and at > high):
            continue
        if any(row[name] != value for name, value in wanted.items()):
            continue
        rows.append(row)
    return {"items": dto.page(call, MESSAGE, rows, limit=25, most=200)}


@method("mail.message.thread", scope="mail", version=3, params="id! limit")
def message_thread(call: Call) -> list[Row]:
    letter = _letter(call)
    limit = dto.whole(call.params, "limit") if call.params.get("limit") is not None else THREAD_SIZE
    limit = min(limit, THREAD_MOST) if limit > 0 else THREAD_SIZE
    rows = [row for row in letters.of(call.portal, call.user_id) if row["THREAD"] == letter["THREAD"]]
    made = []
    # Of a longer thread the newest letters are shown, oldest first. [verify]: the page says only how many.
    for row in rows[:limit][::-1]:
        item = {name: value for name, value in _item(call, row).items() if name in _THREAD}
        at = datetime.fromtimestamp(int(row["AT"]), call.portal.zone())
        made.append({**item, "date": f"{at:%Y-%m-%d %H:%M:%S}"})
    return made


_THREAD = ("id", "subject", "from", "to", "cc", "date", "body")


# --- recipients -------------------------------------------------------------------------------------------------------


def _people(call: Call, rows: list[Row]) -> Row:
    query = _word(call, "query").strip()
    found = [row for row in rows if query in row["name"].casefold() or query in row["email"].casefold()]
    return {"items": dto.page(call, RECIPIENT, found, limit=50, most=200)}


@method("mail.recipient.listcontacts", scope="mail", version=3, params="query pagination")
def list_contacts(call: Call) -> Row:
    letters.collect(call.portal)
    book = list(call.portal["mail_contacts"].where(USER_ID=call.user_id))
    book.sort(key=lambda row: (row["AT"], row["ID"]), reverse=True)
    return _people(call, [{"id": row["ID"], "email": row["EMAIL"], "name": row["NAME"]} for row in book])


@method("mail.recipient.listemployees", scope="mail", version=3, params="query! pagination")
def list_employees(call: Call) -> Row:
    if not _word(call, "query").strip():
        raise required("query")
    rows = [
        {"id": user["ID"], "email": user["EMAIL"], "name": f"{user['NAME']} {user['LAST_NAME']}".strip()}
        for user in call.portal["users"]
        if user["ACTIVE"] and user["USER_TYPE"] == "employee" and user["EMAIL"]
    ]
    return _people(call, rows)
