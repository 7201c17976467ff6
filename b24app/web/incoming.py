"""Bytes that come to our doors -> values, or Malformed. Pure: no I/O, no clock, nothing is trusted and nothing decided.

Bitrix24 posts PHP-style nested forms (`data[FIELDS][ID]=42`) and shows pages by form plus query string. Read here once:

    read_event   POST /event           api-reference/events/index.md
    read_robot   POST /robot/<code>    not documented; the shape of the official SDKs' request classes
    read_frame   POST /install, /app, /placement/<page>   settings/oauth/simple-way.md

Who sent it is decided elsewhere (doors.py): the values carry the claims, secrets hidden from repr.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from b24app.entities import COMPANY, CONTACT, DEAL, LEAD, ItemRef
from b24app.errors import Malformed

MAX_BYTES = 1024 * 1024
MAX_FIELDS = 2000
MAX_DEPTH = 8
MAX_ID_DIGITS = 15
MAX_ENTITY_LENGTH = 96
MAX_SECRET_LENGTH = 4096

Form = dict[str, Any]
"""A parsed form: str, list or dict values; a map whose keys are 0..n-1 is a list."""

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_KEY = re.compile(r"\[([^\[\]]*)\]")
_MEMBER_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_EVENT = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_DOCUMENT = re.compile(r"([A-Z_]+?)_(?:([0-9]{1,9})_)?([0-9]{1,15})")
_ENTITY_TYPES = {"LEAD": LEAD, "DEAL": DEAL, "CONTACT": CONTACT, "COMPANY": COMPANY, "QUOTE": 7, "SMART_INVOICE": 31}
_RUSSIAN_SPEAKING = frozenset({"ru", "be", "by", "kk", "kz", "ky", "uz"})


@dataclass(frozen=True)
class Auth:
    """What a request says about its sender. Only application_token proves events and robots."""

    member_id: str
    application_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_in_seconds: int = 3600


@dataclass(frozen=True)
class EventPost:
    """An event; `event` in capitals. `payload` is what the inbox keeps: no token in it."""

    event: str
    auth: Auth
    data: Mapping[str, Any]
    payload: dict[str, Any]


@dataclass(frozen=True)
class RobotPost:
    """A robot at work on an item. The event token in `payload` is given out once a run; it only answers this robot."""

    code: str
    auth: Auth
    item: ItemRef
    payload: dict[str, Any]


@dataclass(frozen=True)
class FrameCall:
    """One of our pages shown inside Bitrix24 to the person whose token `auth` carries."""

    auth: Auth
    placement: str = "DEFAULT"
    options: Mapping[str, Any] = field(default_factory=dict)
    language: str = "ru"

    @property
    def item_id(self) -> int | None:
        """The id of the CRM item whose card shows us, or None."""
        value = str(self.options.get("ID", ""))
        return int(value) if _digits(value) else None


def parse_form(body: bytes) -> Form:
    """Returns the nested form as PHP would read it: last of equal names wins, `a[]` appends.

    Stricter than PHP where PHP guesses: a broken name, bad UTF-8, NUL, or a name that is both a value and a map is
    Malformed.
    """
    if len(body) > MAX_BYTES:
        raise Malformed("слишком большое тело запроса / the body is too large", 413)
    if not body:
        return {}
    pairs = body.split(b"&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS:
        raise Malformed("слишком много полей / too many fields", 413)
    form: Form = {}
    for pair in pairs:
        if pair:
            name, _, value = pair.partition(b"=")
            _put(form, _text(name), _text(value))
    return {key: _lists(value) for key, value in form.items()}


def _text(raw: bytes) -> str:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("не UTF-8 / not UTF-8") from None
    if "\0" in text:
        raise Malformed("нулевой байт / a NUL byte")
    return text


def _put(form: Form, name: str, value: str) -> None:
    if "[" not in name and "]" not in name:
        if isinstance(form.get(name), dict):
            raise Malformed("поле и значение, и массив / a field is both a value and a map")
        form[name] = value
        return
    match = _NAME.fullmatch(name)
    if match is None:
        raise Malformed("испорченное имя поля / a broken field name")
    steps = [match[1], *_KEY.findall(match[2])]
    if len(steps) - 1 > MAX_DEPTH:
        raise Malformed("слишком глубокая вложенность / nested too deep")
    here = form
    for step in steps[:-1]:
        if step == "" and here is not form:
            step = _next_index(here)
        inner = here.setdefault(step, {})
        if not isinstance(inner, dict):
            raise Malformed("поле и значение, и массив / a field is both a value and a map")
        here = inner
    last = steps[-1] if steps[-1] != "" else _next_index(here)
    if isinstance(here.get(last), dict):
        raise Malformed("поле и значение, и массив / a field is both a value and a map")
    here[last] = value


def _next_index(place: Form) -> str:
    """PHP appends after the greatest number; len() is that number wherever only appends and 0..n-1 happened."""
    index = len(place)
    if index and str(index - 1) not in place:
        index = max((int(key) for key in place if _digits(key)), default=-1) + 1
    return str(index)


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    if inner and set(inner) == {str(index) for index in range(len(inner))}:
        return [inner[str(index)] for index in range(len(inner))]
    return inner


def read_event(body: bytes) -> EventPost:
    """Returns the event of a POST /event; Malformed where its name or its id cannot be what Bitrix24 sends."""
    form = parse_form(body)
    event = _string(form, "event", 64).upper()
    if not _EVENT.fullmatch(event):
        raise Malformed("нет имени события / no event name")
    data = form.get("data", {})
    if isinstance(data, str):
        data = {}  # PHP writes an empty array as nothing, or as an empty string
    if isinstance(data, list):
        data = {str(index): item for index, item in enumerate(data)}
    fields = data.get("FIELDS")
    if isinstance(fields, Mapping) and "ID" in fields and not _digits(fields["ID"]):
        raise Malformed("номер не из цифр / an id that is not digits")
    payload = {"event": event, "data": data, "ts": _number(form.get("ts"))}
    return EventPost(event, _event_auth(form), data, payload)


def read_robot(code: str, body: bytes) -> RobotPost:
    """Returns the robot's call of a POST /robot/<code>. A code that nobody declared is fine: it must be answered."""
    form = parse_form(body)
    if not _CODE.fullmatch(code) or _string(form, "code", 64) not in ("", code):
        raise Malformed("код робота не тот, что в адресе / the robot's code is not the address's")
    document_id = _triple(form, "document_id")
    item = _item(document_id[2])
    token = _string(form, "event_token", MAX_SECRET_LENGTH)
    properties = form.get("properties", {})
    if isinstance(properties, list):
        properties = {str(index): value for index, value in enumerate(properties)}
    payload = {
        "code": code,
        "document_id": document_id,
        "event_token": token,
        "properties": properties if isinstance(properties, dict) else {},
        "workflow_id": _string(form, "workflow_id", 256),
        "use_subscription": waits if (waits := form.get("use_subscription")) in ("Y", "N") else "",
        "timeout_duration": _number(form.get("timeout_duration")),
        "ts": _number(form.get("ts")),
    }
    return RobotPost(code, _event_auth(form), item, payload)


def read_frame(query: bytes, body: bytes) -> FrameCall:
    """Returns the frame of a POST to one of our pages. DOMAIN, SERVER_ENDPOINT and status are claims: not even kept."""
    asked, form = parse_form(query), parse_form(body)
    auth = Auth(
        member_id=_member_id(form.get("member_id")),
        application_token=_string(form, "APPLICATION_TOKEN", MAX_SECRET_LENGTH),
        access_token=_string(form, "AUTH_ID", MAX_SECRET_LENGTH),
        refresh_token=_string(form, "REFRESH_ID", MAX_SECRET_LENGTH),
        expires_in_seconds=_life(form.get("AUTH_EXPIRES")),
    )
    if not auth.access_token:
        raise Malformed("страница открывается только внутри Битрикс24 / the page opens inside Bitrix24 only")
    placement = _string(form, "PLACEMENT", 64) or "DEFAULT"
    language = _string(asked, "LANG", 16) or _string(form, "LANG", 16)
    return FrameCall(auth, placement, _options(form.get("PLACEMENT_OPTIONS")), language_of(language))


def read_wish(body: bytes) -> Any:
    """Returns the JSON that a page of ours posts, or None where it is none, or nothing that a database could keep."""
    try:
        wish = json.loads(body, parse_constant=_no_number)
        text = json.dumps(wish, ensure_ascii=False)
        text.encode()  # a lone surrogate
    except (ValueError, RecursionError):
        return None
    return None if _NUL.search(text) else wish


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def is_event(body: bytes) -> bool:
    """Tells whether a POST /install is the ONAPPINSTALL of a script-only application and not a frame."""
    return any(pair.startswith(b"event=") for pair in body[:MAX_BYTES].split(b"&", MAX_FIELDS))


def is_overtime(query: bytes, body: bytes) -> bool:
    """Tells whether a POST to the hidden page's address says that it was taken away (OPTIONS.errorHandlerUrl)."""
    said = (parse_form(part).get("error") for part in (query, body))
    return "ERROR_PLACEMENT_LOADING_OVERTIME" in said


def language_of(code: str) -> str:
    """Returns ru or en for Bitrix24's LANG."""
    return "ru" if code.lower()[:2] in _RUSSIAN_SPEAKING or not code else "en"


def _event_auth(form: Form) -> Auth:
    auth = form.get("auth")
    if not isinstance(auth, dict):
        raise Malformed("нет auth / no auth")
    return Auth(
        member_id=_member_id(auth.get("member_id")),
        application_token=_string(auth, "application_token", MAX_SECRET_LENGTH),
        access_token=_string(auth, "access_token", MAX_SECRET_LENGTH),
        refresh_token=_string(auth, "refresh_token", MAX_SECRET_LENGTH),
        expires_in_seconds=_life(auth.get("expires_in")),
    )


def _member_id(value: Any) -> str:
    if not isinstance(value, str) or not _MEMBER_ID.fullmatch(value):
        raise Malformed("нет member_id / no member_id")
    return value


def _string(form: Mapping[str, Any], name: str, limit: int) -> str:
    value = form.get(name, "")
    if not isinstance(value, str) or len(value) > limit:
        raise Malformed(f"{name}: не строка или слишком длинное / not a string or too long")
    return value


def _digits(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_ID_DIGITS


def _number(value: Any, otherwise: int = 0) -> int:
    return int(value) if _digits(value) else otherwise


def _life(value: Any) -> int:
    """How long a token lives: an hour, as Bitrix24 says, where a request says what cannot be."""
    seconds = _number(value)
    return seconds if 0 < seconds <= 86400 else 3600


def _triple(form: Form, name: str) -> list[str]:
    value = form.get(name)
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(part, str) for part in value):
        raise Malformed(f"{name}: нужны три части / three parts are needed")
    return [part[:255] for part in value]


def _item(document: str) -> ItemRef:
    match = _DOCUMENT.fullmatch(document)
    if match is None or (match[1] == "DYNAMIC") != bool(match[2]):
        raise Malformed("document_id: неизвестный документ / an unknown document")
    entity_type_id = int(match[2]) if match[2] else _ENTITY_TYPES.get(match[1])
    if entity_type_id is None:
        raise Malformed("document_id: неизвестный документ / an unknown document")
    return ItemRef(entity_type_id, int(match[3]))


def _options(value: Any) -> Mapping[str, Any]:
    if value in (None, "", "undefined", "[]", "null"):
        return {}
    options = read_wish(value.encode()) if isinstance(value, str) else None
    if options is None:
        raise Malformed("PLACEMENT_OPTIONS: не JSON / not JSON")
    if not isinstance(options, dict):
        raise Malformed("PLACEMENT_OPTIONS: не объект / not an object")
    return options
