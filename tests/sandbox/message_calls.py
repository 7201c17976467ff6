"""What the contract test calls of files in chats, things made of messages, answers to notices, consents, voices."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from office_calls import ABSENT, FILE, NO_REFUSAL, NONSENSE, Params, family


def picture(width: int, height: int) -> str:
    """A white PNG of that size, as base64."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff" * width) * height)
    parts = part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


@family
def messages(j: Any) -> Params:
    chat = int(j.do("im.chat.add", USERS=[4, 5], TITLE="Файлы"))
    folder = j.do("im.disk.folder.get", CHAT_ID=chat)["ID"]
    message = j.do("im.message.add", DIALOG_ID=f"chat{chat}", MESSAGE="Нужен замер")
    bot = j.portal.control("POST", "bots", {"client_id": j.portal.client_id, "commands": ["task"], "common": True,
        "handler": "http://127.0.0.1:9/bot"})["id"]  # fmt: skip
    count = [0]

    def new_file(content: str = FILE, ending: str = "txt") -> int:
        count[0] += 1
        name = f"файл {count[0]}.{ending}"
        made = j.do("disk.folder.uploadfile", id=folder, data={"NAME": name}, fileContent=[name, content])
        return int(made["ID"])

    def sent() -> int:
        return int(j.do("im.disk.file.commit", CHAT_ID=chat, FILE_ID=new_file())["DISK_ID"][0])

    def notice(**facts: Any) -> int:
        return int(j.portal.control("POST", "notices", {"user_id": 1, "text": "Идёте?", **facts})["id"])

    buttons = [{"value": "Y", "title": "Да", "result": "Хорошо"}]
    return {
        "im.disk.folder.get": {"DIALOG_ID": f"chat{chat}"},
        "im.disk.file.commit": lambda: {"CHAT_ID": chat, "FILE_ID": [new_file(picture(72, 61), "png")]},
        "im.disk.file.save": lambda: {"FILE_ID": sent()},
        "im.disk.file.delete": lambda: {"CHAT_ID": chat, "FILE_ID": sent()},
        "im.message.share": {"MESSAGE_ID": message, "DIALOG_ID": f"chat{chat}", "TYPE": "TASK"},
        "im.message.command": {"MESSAGE_ID": message, "BOT_ID": bot, "COMMAND": "task"},
        "im.notify.answer": lambda: {"NOTIFY_ID": notice(answer=True), "ANSWER_TEXT": "Иду"},
        "im.notify.confirm": lambda: {"NOTIFY_ID": notice(buttons=buttons), "NOTIFY_VALUE": "Y"},
        "userconsent.agreement.text": {"id": 1},
        "userconsent.consent.add": {"AGREEMENT_ID": 1, "IP": "192.168.1.100", "USER_ID": 4},
    }


NO_REFUSAL |= {"voximplant.tts.voices.get", "userconsent.agreement.list"}
NONSENSE["userconsent.consent.add"] = {"AGREEMENT_ID": 1, "IP": "ерунда"}
ABSENT |= {
    "im.disk.folder.get": {"CHAT_ID": 999999},
    "im.disk.file.commit": lambda j: {**j.office["im.disk.folder.get"], "FILE_ID": 999999},
    "im.disk.file.save": {"FILE_ID": 999999},
    "im.message.share": {"MESSAGE_ID": 999999, "DIALOG_ID": "chat999999", "TYPE": "TASK"},
    "im.message.command": lambda j: {**j.office["im.message.command"], "BOT_ID": 999999},
    "userconsent.agreement.text": {"id": 999999},
    "userconsent.consent.add": {"AGREEMENT_ID": 999999, "IP": "127.0.0.1"},
}
