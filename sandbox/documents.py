"""The document generator behind its methods: who may do what, numbers, regions, how a document is made, its doors.

Roles give rights to holders of access codes, administrators have all of them. Documents are files of Drive among the
uploaded files of whoever made them; a template keeps its own copy of its file. PDF files and pictures are not made: a
document stays as the pages show it before its transformation. Pictures and stamps are not fetched, their fields are
empty. Tables: document_roles, document_accesses, numerators, document_regions, document_templates, documents.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import quote

from sandbox import disk, docx, php
from sandbox.filters import split_key
from sandbox.method import Call, RestError, Row, as_int, as_map, plain
from sandbox.portal import Portal
from sandbox.server import Request, Response

PROVIDER = "Bitrix\\DocumentGenerator\\DataProvider\\Rest"
GENERATOR = "Bitrix_Main_Numerator_Generator_SequentNumberGenerator"
ACCESS_CODE = re.compile(r"(U|G|D|DR|SG)\d+|SG\d+_[AEK]|AU|UA", re.ASCII)
RIGHTS = {"SETTINGS": ("MODIFY",), "TEMPLATES": ("MODIFY",), "DOCUMENTS": ("MODIFY", "VIEW")}
_LEVELS = ("", "A", "D", "X")
# [verify] The pages do not say which plans are without roles, and how many documents one of them allows.
FREE_PLANS = ("project", "free")
FREE_DOCUMENTS = 100
_DOOR = "/rest/documentgenerator.api."
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
# code: title, language, date, date and time.
REGIONS = {
    "ru": ("Россия", "ru", "DD.MM.YYYY"), "by": ("Беларусь", "ru", "DD.MM.YYYY"),
    "kz": ("Казахстан", "ru", "DD.MM.YYYY"), "ua": ("Украина", "ua", "DD.MM.YYYY"),
    "de": ("Германия", "de", "DD.MM.YYYY"), "uk": ("Великобритания", "en", "DD/MM/YYYY"),
    "br": ("Бразилия", "br", "DD/MM/YYYY"), "sp": ("Испания", "la", "DD/MM/YYYY"),
    "mx": ("Мексика", "la", "DD/MM/YYYY"), "pl": ("Польша", "pl", "DD.MM.YYYY"),
    "fr": ("Франция", "fr", "DD/MM/YYYY"),
}  # fmt: skip
# The names of months inside of a date; _BASES has those that differ when they stand alone.
_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "ua": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "la": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "br": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
}
_BASES = {
    "ru": "Январь Февраль Март Апрель Май Июнь Июль Август Сентябрь Октябрь Ноябрь Декабрь",
    "ua": "Січень Лютий Березень Квітень Травень Червень Липень Серпень Вересень Жовтень Листопад Грудень",
    "pl": "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
}


def refused(text: str, code: str = "0", status: int = 400) -> RestError:
    """An error of this family: most have the code 0."""
    return RestError(code, text, status)


def unknown_field(entity: str, key: str) -> RestError:
    """The error of a list that is asked for a field which its records do not have."""
    name = split_key(key)[1]
    return refused(
        f"Unknown field definition `{name}` ({name}) for \\Bitrix\\DocumentGenerator\\Model\\{entity} Entity.", "100"
    )


def snake(name: str) -> str:
    """templateId as TEMPLATE_ID."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def snaked(conditions: Row) -> Row:
    """A filter or an order with the names of the records."""
    made: Row = {}
    for key, value in conditions.items():
        if key.isdigit() and isinstance(value, dict):
            made[key] = snaked(value)
        elif key.lower() == "logic":
            made[key] = value
        else:
            operator, name = split_key(key)
            made[operator + snake(name)] = value
    return made


# --- rights -----------------------------------------------------------------------------------------------------------


def prepare(portal: Portal) -> None:
    """The roles and the numerator that a new portal has.

    [verify] The pages name the roles ADMIN and MANAGER, not their rights: here a manager works with documents.
    """
    roles = portal["document_roles"]
    if not roles.last:
        full = {f"{entity}.{action}": "X" for entity, actions in RIGHTS.items() for action in actions}
        roles.add({"ID": 1, "NAME": "Администратор", "CODE": "ADMIN", "RIGHTS": full})
        own = {**full, "SETTINGS.MODIFY": "", "TEMPLATES.MODIFY": ""}
        roles.add({"ID": 3, "NAME": "Менеджер", "CODE": "MANAGER", "RIGHTS": own})
        portal["document_accesses"].add({"ROLE_ID": 1, "ACCESS_CODE": "G1"})
        portal["document_accesses"].add({"ROLE_ID": 3, "ACCESS_CODE": "UA"})
    if not portal["numerators"].last:
        add_numerator(portal, "Общий номер", "{NUMBER}", {}, rest=False)


def codes_of(portal: Portal, user: Row) -> set[str]:
    """The access codes that a person has."""
    found = {"AU", "UA", "G2", f"U{user['ID']}"} | ({"G1"} if user["ADMIN"] else set())
    for number in user["UF_DEPARTMENT"]:
        found.add(f"D{number}")
        department = portal["departments"].get(number)
        while department is not None and f"DR{department['ID']}" not in found:
            found.add(f"DR{department['ID']}")
            department = portal["departments"].get(department["PARENT"])
    return found


def with_roles(portal: Portal) -> bool:
    """Whether the plan has roles of the document generator; without them everybody may do everything."""
    return portal.settings.license.partition("_")[2] not in FREE_PLANS


def right(call: Call, name: str) -> str:
    """The person's level of a right (DOCUMENTS.VIEW): "", A, D or X, the highest of all roles."""
    prepare(call.portal)
    if call.admin or not with_roles(call.portal):
        return "X"
    own = codes_of(call.portal, call.user)
    roles = [call.portal["document_roles"].get(row["ROLE_ID"]) for row in call.portal["document_accesses"]
        if row["ACCESS_CODE"] in own]  # fmt: skip
    return max((role["RIGHTS"].get(name, "") for role in roles if role is not None), key=_LEVELS.index, default="")


def may_see_documents(call: Call) -> None:
    """Refuse whoever may not read documents; who may change them may read them."""
    if not (right(call, "DOCUMENTS.MODIFY") or right(call, "DOCUMENTS.VIEW")):
        raise refused("You do not have permissions to view documents")


def may_edit_templates(call: Call) -> str:
    """The level at which the person works with templates; "" is refused."""
    level = right(call, "TEMPLATES.MODIFY")
    if not level:
        raise refused("You do not have permissions to modify templates")
    return level


def owns_template(call: Call, level: str, row: Row) -> bool:
    """Whether the template is one of those that the level allows: all, those of the department, his own."""
    if level == "X" or row["CREATED_BY"] == call.user_id:
        return True
    maker = call.portal.user(row["CREATED_BY"])
    return level == "D" and maker is not None and bool(set(maker["UF_DEPARTMENT"]) & set(call.user["UF_DEPARTMENT"]))


def may_use_template(call: Call, row: Row) -> bool:
    """Whether the person may make documents of the template: its access codes say it."""
    if call.admin or not with_roles(call.portal):
        return True
    return bool(right(call, "DOCUMENTS.MODIFY") and codes_of(call.portal, call.user) & set(row["USERS"]))


# --- numbers ----------------------------------------------------------------------------------------------------------


def add_numerator(portal: Portal, name: str, template: str, settings: Row, *, rest: bool) -> Row:
    """A numerator; one that REST did not make cannot be changed by REST."""
    full = {"start": 1, "step": 1, "length": 0, "padString": "0", "periodicBy": None, "timezone": None,
        "isDirectNumeration": False}  # fmt: skip
    return portal["numerators"].add(
        {"NAME": name, "TEMPLATE": template, "SETTINGS": {**full, **settings}, "REST": rest, "NEXT": None, "PERIOD": ""}
    )


def next_number(portal: Portal, row: Row, *, take: bool) -> str:
    """The number that comes next; with `take` the counter moves on."""
    settings = row["SETTINGS"]
    form = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}.get(settings["periodicBy"] or "", "")
    period = datetime.fromtimestamp(portal.now(), portal.zone(settings["timezone"] or "")).strftime(form)
    value = settings["start"] if row["NEXT"] is None or row["PERIOD"] != period else row["NEXT"]
    if take:
        row["NEXT"], row["PERIOD"] = value + settings["step"], period
    text = str(value)
    fill = settings["padString"] or "0"
    text = (fill * settings["length"])[: max(0, settings["length"] - len(text))] + text
    return plain(row["TEMPLATE"]).replace("{NUMBER}", text)


def number_for(portal: Portal, template: Row, *, take: bool) -> str:
    """The number of the template's next document; a template whose numerator is gone counts by documents' ids."""
    row = portal["numerators"].get(template["NUMERATOR_ID"])
    return next_number(portal, row, take=take) if row is not None else str(portal["documents"].last + 1)


# --- regions ----------------------------------------------------------------------------------------------------------


def region(portal: Portal, code: Any) -> Row | None:
    """A region that is there from the start by its code, or a custom one by its id."""
    text = plain(code)
    own = portal["document_regions"].get(as_int(text)) if text.isdigit() else None
    if own is not None:
        return own
    if text not in REGIONS:
        return None
    title, language, date = REGIONS[text]
    phrases = {"TAX_INCLUDED": "Налог включён в цену", "TAX_NOT_INCLUDED": "Налог не включён в цену"}
    return {
        "CODE": text, "TITLE": title, "LANGUAGE_ID": language, "FORMAT_DATE": date,
        "FORMAT_DATETIME": f"{date} HH:MI:SS", "FORMAT_NAME": "#LAST_NAME# #NAME# #SECOND_NAME#", "PHRASES": phrases,
    }  # fmt: skip


def date_text(value: Any, form: str, language: str) -> str:
    """A moment in PHP's format; what is no date in ISO form stays as it is."""
    try:
        moment = datetime.fromisoformat(plain(value))
    except ValueError:
        return plain(value)
    months = _MONTHS.get(language, _MONTHS["en"]).split()
    bases = _BASES.get(language, _MONTHS.get(language, _MONTHS["en"])).split()
    letters: dict[str, str] = {
        "d": f"{moment.day:02}", "j": str(moment.day), "m": f"{moment.month:02}", "n": str(moment.month),
        "F": months[moment.month - 1], "f": bases[moment.month - 1], "y": f"{moment.year % 100:02}",
        "Y": str(moment.year), "H": f"{moment.hour:02}", "i": f"{moment.minute:02}", "s": f"{moment.second:02}",
    }  # fmt: skip
    return "".join(letters.get(letter, letter) for letter in form)


def php_format(form: str) -> str:
    """DD.MM.YYYY HH:MI:SS as d.m.Y H:i:s."""
    for old, new in (("YYYY", "Y"), ("DD", "d"), ("MM", "m"), ("HH", "H"), ("MI", "i"), ("SS", "s")):
        form = form.replace(old, new)
    return form


def name_text(value: Row, form: str) -> str:
    """The parts of a person's name in the order of the format; it is not declined."""
    for part in ("TITLE", "NAME", "LAST_NAME", "SECOND_NAME"):
        own = plain(value.get(part)) if not isinstance(value.get(part), (dict, list)) else ""
        form = form.replace(f"#{part}_SHORT#", f"{own[:1]}." if own else "").replace(f"#{part}#", own)
    return " ".join(form.split())


# --- how a document is made -------------------------------------------------------------------------------------------


def value_text(value: Any, spec: Row, modifiers: str, place: Row) -> str:
    """A value as it stands in the document: by the type of its field, the field's modifiers and the region."""
    kind = plain(spec.get("TYPE")).upper()
    form = plain(as_map(spec.get("FORMAT")).get("format"))
    for modifier in modifiers.split(","):
        word, sign, more = modifier.partition("=")
        form = (more if sign else word) if (not sign and word) or word == "format" else form
    if kind in ("IMAGE", "STAMP"):
        return ""
    if kind == "DATE" or (form and not isinstance(value, (dict, list)) and kind != "NAME"):
        return date_text(value, form or php_format(plain(place["FORMAT_DATE"])), plain(place["LANGUAGE_ID"]))
    if isinstance(value, dict):
        return name_text(value, form or plain(place["FORMAT_NAME"])) if kind == "NAME" else ""
    return "" if isinstance(value, list) else plain(value)


def made(portal: Portal, template: Row, document: Row, fields: Row) -> bytes:
    """The file of a document: its template with the values in the places of the fields.

    [verify] A field without a value takes the phrase of its region that has its code.
    """
    content = base64.b64decode(template["CONTENT"])
    place = region(portal, template["REGION"]) or region(portal, "ru") or {}
    values: Row = {
        **as_map(place["PHRASES"]), **document["VALUES"], "DocumentNumber": document["NUMBER"],
        "DocumentTitle": document["TITLE"],
    }  # fmt: skip
    specs = {name: as_map(spec) for name, spec in fields.items()}
    texts = docx.parts(content)
    for name, spec in specs.items():
        if plain(spec.get("PROVIDER")).lower().endswith("\\arraydataprovider") and isinstance(
            values.get(name), (list, dict)
        ):
            texts = {part: _listed(text, name, values, specs, place) for part, text in texts.items()}

    def read(name: str, modifiers: str) -> str:
        return value_text(values.get(name), specs.get(name, {}), modifiers, place)

    return docx.with_parts(content, {part: docx.filled(text, read) for part, text in texts.items()})


def _listed(xml: str, name: str, values: Row, specs: dict[str, Row], place: Row) -> str:
    """The part with the rows of one list: fields refer to it by chains (Table.Item.Price, Table.INDEX)."""
    item = plain(as_map(specs[name].get("OPTIONS")).get("ITEM_NAME")) or "Item"
    chains: dict[str, str] = {}
    for field, chain in values.items():
        if isinstance(chain, str) and chain == f"{name}.INDEX":
            chains[field] = ""
        elif isinstance(chain, str) and chain.startswith(f"{name}.{item}."):
            chains[field] = chain[len(name) + len(item) + 2 :]

    def reader(index: int, row: Row) -> docx.Reader:
        def read(field: str, modifiers: str) -> str:
            key = chains[field]
            return value_text(row.get(key) if key else index, specs.get(field, {}), modifiers, place)

        return read

    rows = [as_map(one) for one in as_map(values[name]).values()]
    return docx.repeated(xml, chains, [reader(index, row) for index, row in enumerate(rows, 1)])


def field_list(portal: Portal, template: Row, number: str, title: str, values: Row) -> Row:
    """What *.getfields answer: the number first, the fields of the file, the title last."""
    place = region(portal, template["REGION"]) or {"PHRASES": {}}
    found: Row = {
        "DocumentNumber": {
            "title": "Номер", "value": values.get("DocumentNumber", number), "required": "Y", "group": ["Документ"],
            "chain": "this.DOCUMENT.DOCUMENT_NUMBER", "default": number,
        }
    }  # fmt: skip
    for name in docx.field_names(base64.b64decode(template["CONTENT"])):
        if name not in ("DocumentNumber", "DocumentTitle"):
            basic = plain(place["PHRASES"].get(name))
            found[name] = {"value": values.get(name, basic), "default": basic}
    found["DocumentTitle"] = {
        "title": "Название документа", "value": values.get("DocumentTitle", title), "group": ["Документ"],
        "chain": [{}, "getTitle"], "required": "Y", "default": title,
    }  # fmt: skip
    return found


def stored(portal: Portal, number: int | None, name: str, content: bytes, user_id: int) -> int:
    """The id of the file of Drive that has the content: the next version of that one, or a new one of the person."""
    text = base64.b64encode(content).decode()
    name = re.sub(r"[\\/:*?\"<>|\x00-\x1f]", "_", name)
    row = portal["disk_objects"].get(number)
    if row is not None:
        if row["NAME"] != name:
            name = disk.free_name(portal, row["PARENT_ID"], name, unique=True)
        disk.new_version(portal, row, name, text, user_id)
        return int(row["ID"])
    disk.storages(portal)
    storage = portal["disk_storages"].first(ENTITY_TYPE="user", ENTITY_ID=str(user_id))
    assert storage is not None  # noqa: S101 - just made for every person
    folder = portal["disk_objects"].first(STORAGE_ID=storage["ID"], CODE="FOR_UPLOADED_FILES", DELETED_TYPE=disk.ALIVE)
    if folder is None:
        title = disk.free_name(portal, storage["ROOT"], "Загруженные файлы", unique=True)
        folder = disk.add_object(portal, storage, storage["ROOT"], title, "folder", user_id)
        folder["CODE"] = "FOR_UPLOADED_FILES"
    name = disk.free_name(portal, folder["ID"], name, unique=True)
    return int(disk.add_object(portal, storage, folder["ID"], name, "file", user_id, text)["ID"])


def drop_file(portal: Portal, number: int) -> None:
    """Take the file of a deleted record off Drive."""
    for name in ("disk_versions", "attached"):
        for row in list(portal[name].where(OBJECT_ID=number)):
            portal[name].remove(row["ID"])
    portal["disk_objects"].remove(number)


# --- the doors --------------------------------------------------------------------------------------------------------


def machine(portal: Portal, action: str, row: Row) -> str:
    """The address of a file for an application: it carries the record's own key, where a portal's carries a token."""
    return f"{portal.url}{_DOOR}{action}.json?token=documentgenerator%7C{row['ID']}%7C{row['KEY']}"


def handle(portal: Portal, request: Request) -> Response | None:
    """A download of a document or a template, the public page of a document; None for every other request."""
    if request.path.startswith("/~"):
        with portal.lock:
            return _public(portal, request.path[2:])
    if not request.path.startswith(_DOOR):
        return None
    action = request.path[len(_DOOR) :].removesuffix(".json")
    token = plain(php.parse_query(request.query).get("token")).split("|")
    reader = _READERS.get(action)
    with portal.lock:
        table = "document_templates" if action == "template.download" else "documents"
        row = portal[table].get(as_int(token[1])) if len(token) == 3 else None
        content = reader(portal, row) if reader and row is not None and row["KEY"] == token[2] else None
    if row is None or content is None:
        return Response(404, b'{"error":"ERROR_NOT_FOUND","error_description":"Could not find entity"}')
    name = quote(f"{row.get('TITLE') or row.get('NAME')}.docx")
    return Response(200, content, _WORD, {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})


def document_file(portal: Portal, row: Row) -> bytes | None:
    """The content of a document, None when its file was deleted from Drive."""
    file = portal["disk_objects"].get(row["FILE_ID"])
    return base64.b64decode(file["CONTENT"]) if file is not None else None


_READERS: dict[str, Callable[[Portal, Row], bytes | None]] = {
    "document.getfile": document_file,
    "template.download": lambda portal, row: base64.b64decode(row["CONTENT"]),
}


def _public(portal: Portal, code: str) -> Response | None:
    """The page of a public link, which remembers that it was looked at."""
    row = portal["documents"].first(PUBLIC=code) if code else None
    if row is None:
        return Response(404, b"not found", "text/plain; charset=utf-8")
    row["VIEWED"] = portal.now()
    title, link = escape(plain(row["TITLE"])), escape(machine(portal, "document.getfile", row))
    page = f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1><a href="{link}">DOCX</a>'
    return Response(200, page.encode(), "text/html; charset=utf-8")
