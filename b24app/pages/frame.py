"""What our pages inside Bitrix24 share: escaped templates, static files, headers, words in two languages."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from b24app.engine.declare import Text
from b24app.entities import ItemRef
from b24app.services import Services

HERE = Path(__file__).parent
SCRIPTS = ("frame.js", "install_result.js", "main.js", "plan.js", "guide.js", "form.js", "worker.js", "visit.js")
BOARD = ("board.css", "board.js", "board_calendar.js", "board_clock.js", "board_panels.js")
VENDORED = ("event-calendar.min.css", "event-calendar.min.js")
STATIC_FILES = {
    **{name: HERE / name for name in ("page.css", "icon.svg", *SCRIPTS, *BOARD)},
    **{name: HERE / "vendor" / name for name in VENDORED},
}
CARD_PATHS = {1: "lead", 2: "deal", 3: "contact", 4: "company"}
CAUSES: Mapping[str, Text] = {
    "missed": {"ru": "пропущенный звонок", "en": "missed call"},
    "answered": {"ru": "принятый звонок", "en": "answered call"},
    "created": {"ru": "новый лид", "en": "new lead"},
    "written": {"ru": "письменное обращение", "en": "written enquiry"},
    "robot": {"ru": "робот на стадии", "en": "robot on a stage"},
    "queue": {"ru": "из очереди", "en": "from the queue"},
}
_ITEM_WORDS: Mapping[int, Text] = {
    1: {"ru": "Лид", "en": "Lead"},
    2: {"ru": "Сделка", "en": "Deal"},
    3: {"ru": "Контакт", "en": "Contact"},
    4: {"ru": "Компания", "en": "Company"},
}

environment = Environment(
    loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True)
class Static:
    """A file of our pages; `url` changes with its content, so that browsers may keep it for ever."""

    body: bytes
    content_type: str
    url: str


@cache
def statics() -> Mapping[str, Static]:
    """Returns the static files by name: these and nothing else are served."""
    found = {}
    for name, path in STATIC_FILES.items():
        body = path.read_bytes()
        version = hashlib.sha256(body).hexdigest()[:12]
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        charset = "; charset=utf-8" if content_type.startswith(("text/", "application/javascript")) else ""
        found[name] = Static(body, content_type + charset, f"/static/{name}?v={version}")
    return found


@dataclass(frozen=True)
class Look:
    """How a page is shown: in which language, in which time zone, inside which portal."""

    services: Services
    language: str = "ru"
    portal_url: str = ""
    page_pass: str = ""

    def text(self, ru: str, en: str) -> str:
        """Returns the text in the page's language."""
        return ru if self.language == "ru" else en

    def word(self, text: Mapping[str, Any] | None) -> str:
        """Returns a {"ru", "en"} text in the page's language; what is missing is empty."""
        value = (text or {}).get(self.language) or (text or {}).get("ru") or ""
        return str(value)

    def when(self, moment: datetime | None) -> str:
        """Returns a time as people of the office read it."""
        if moment is None:
            return ""
        local = moment.astimezone(ZoneInfo(self.services.playbook.hours.time_zone))
        return f"{local:%d.%m.%Y %H:%M}" if self.language == "ru" else f"{local:%Y-%m-%d %H:%M}"

    def cause(self, cause: str) -> str:
        """Returns why a decision was made."""
        return self.word(CAUSES.get(cause)) or cause

    def entity(self, key: str) -> str:
        """Returns what a delivery or a decision is about, in words."""
        item = item_of(key)
        if item is None:
            return self.text("Звонок", "Call") if key.startswith("call:") else key
        return f"{self.word(_ITEM_WORDS[item.entity_type_id])} {item.id}"

    def path(self, key: str) -> str:
        """Returns the card's path on the portal, or an empty text where there is none."""
        item = item_of(key)
        return "" if item is None else f"/crm/{CARD_PATHS[item.entity_type_id]}/details/{item.id}/"

    def render(self, template: str, **values: Any) -> str:
        """Returns the page."""
        return "".join(self.stream(template, **values))

    def stream(self, template: str, **values: Any) -> Iterator[str]:
        """Yields the page in parts as its values come."""
        return environment.get_template(template).generate(
            look=self,
            t=self.text,
            static={name: file.url for name, file in statics().items()},
            js_url=self.services.settings.bitrix24.js_url,
            **values,
        )


def item_of(key: str) -> ItemRef | None:
    """Returns the CRM item of a key such as lead:42, or None where it is about something else."""
    try:
        item = ItemRef.parse(key)
    except ValueError:
        return None
    return item if item.entity_type_id in CARD_PATHS else None


def headers(
    services: Services, ancestors: tuple[str, ...], *, scripts: bool = True, connect: tuple[str, ...] = ()
) -> dict[str, str]:
    """Returns the headers of a page: only the portal may frame it, only our files and BX24.js run in it.

    It speaks to us alone, and to what `connect` names besides.
    """
    parts = urlsplit(services.settings.bitrix24.js_url)
    script = f"'self' {parts.scheme}://{parts.netloc}" if scripts else "'none'"
    policy = {
        "default-src": "'none'",
        "script-src": script,
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": " ".join(("'self'", *connect)),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": " ".join(("'self'", *ancestors)),
    }
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
