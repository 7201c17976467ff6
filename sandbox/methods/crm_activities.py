"""Activities beside crm.activity.add: to-dos, configurable ones, badges, types, bindings, descriptions.

api-reference/crm/timeline/activities: todo, configurable, binding, types, activity-base
"""

from __future__ import annotations

import re
from typing import Any

from sandbox import crm, delivery
from sandbox.crm_kinds import item_of
from sandbox.filters import to_time
from sandbox.method import Call, RestError, Row, as_int, as_list, as_map, method, plain, yes
from sandbox.methods.crm_notes import bound_activity, context, owner


def _changed(call: Call, row: Row, values: Row) -> None:
    """Write what differs into the activity and tell of it."""
    if all(row.get(name) == value for name, value in values.items()):
        return
    row.update(values)
    row["LAST_UPDATED"], row["EDITOR_ID"] = call.portal.now(), call.user_id
    call.portal.effect("update", "activity", row["ID"], call.user_id, "rest")
    delivery.emit(
        call.portal, "ONCRMACTIVITYUPDATE", {"FIELDS": {"ID": row["ID"]}}, call.actor, entity=f"activity {row['ID']}"
    )


def _minutes(value: Any) -> list[int]:
    return [number for number in (as_int(one) for one in as_list(value)) if number is not None]


def _moment(call: Call, value: Any) -> float:
    moment = to_time(value, call.portal.zone())
    if moment is None:
        raise RestError("WRONG_DATETIME_FORMAT", "Неверный формат даты", 400)
    return moment


def _person(call: Call, value: Any) -> int:
    number = as_int(value)
    if number is None or number <= 0 or call.portal.user(number) is None:
        raise RestError("INVALID_ARG_VALUE", 'Parameter "responsibleId" must be greater than 0', 400)
    return number


# --- to-dos -----------------------------------------------------------------------------------------------------------

_COLORS = {"default", *(str(number) for number in range(1, 8))}
_PLACE = "ownerTypeId! ownerId!"


def _todo_values(call: Call, given: Row) -> Row:
    values: Row = {}
    if "deadline" in given:
        values["DEADLINE"] = values["START_TIME"] = values["END_TIME"] = _moment(call, given["deadline"])
    if "title" in given:
        values["SUBJECT"] = plain(given["title"]) or "Дело"
    if "description" in given:
        values["DESCRIPTION"] = plain(given["description"])
    if as_int(given.get("responsibleId")) is not None:
        values["RESPONSIBLE_ID"] = _person(call, given["responsibleId"])
    if as_int(given.get("parentActivityId")) is not None:
        parent = call.portal["activities"].get(as_int(given["parentActivityId"]))
        if parent is None or parent["COMPLETED"] == "Y":
            raise RestError("ERROR_PARENT_ACTIVITY_RESTRICT", "Нельзя запланировать дело к закрытому делу", 400)
        values["PARENT_ID"] = parent["ID"]
    if "pingOffsets" in given:
        values["PINGS"] = _minutes(given["pingOffsets"])
    if "colorId" in given:
        color = plain(given["colorId"])
        if color not in _COLORS:
            raise RestError("CAN_NOT_UPDATE_WRONG_COLOR_TODO", "Неверное значение цвета", 400)
        values["COLOR"] = color
    return values


@method(
    "crm.activity.todo.add", scope="crm", style="controller", writes=True,
    params=f"{_PLACE} deadline! title description responsibleId parentActivityId pingOffsets colorId",
)  # fmt: skip
def todo_add(call: Call) -> Row:
    kind, item = owner(call, as_int(call.get("ownerTypeId")), as_int(call.get("ownerId")), change=True)
    values = {"SUBJECT": "Дело", "DESCRIPTION": "", "PINGS": [], "COLOR": "default", "RESPONSIBLE_ID": call.user_id}
    values |= _todo_values(call, call.params)
    row = crm.add_activity(
        call.portal,
        {
            **values, "OWNER_TYPE_ID": kind, "OWNER_ID": item["ID"], "TYPE_ID": 6, "PROVIDER_ID": "CRM_TODO",
            "PROVIDER_TYPE_ID": "TODO", "SETTINGS": {"COLOR": values["COLOR"]},
        },
        call.actor,
    )  # fmt: skip
    return {"id": row["ID"]}


def _todo(call: Call, closed: str) -> Row:
    kind, item = owner(call, as_int(call.get("ownerTypeId")), as_int(call.get("ownerId")), change=True)
    row = bound_activity(call, kind, item["ID"], as_int(call.get("id")))
    if row is None or row["PROVIDER_ID"] != "CRM_TODO":
        raise RestError("NOT_FOUND", "Not found.", 400)
    if row["COMPLETED"] == "Y":
        raise RestError(closed, "Завершённое дело изменить нельзя", 400)
    return row


def _todo_change(call: Call, row: Row, given: Row) -> Row:
    values = _todo_values(call, given)
    if "COLOR" in values:
        values["SETTINGS"] = {**as_map(row["SETTINGS"]), "COLOR": values["COLOR"]}
    _changed(call, row, values)
    return {"id": row["ID"]}


@method(
    "crm.activity.todo.update", scope="crm", style="controller", writes=True,
    params=f"id! {_PLACE} deadline! title description responsibleId parentActivityId pingOffsets colorId",
)  # fmt: skip
def todo_update(call: Call) -> Row:
    return _todo_change(call, _todo(call, "CAN_NOT_UPDATE_COMPLETED_TODO"), call.params)


def _serve_part(verb: str, parameter: str, name: str, closed: str) -> None:
    @method(f"crm.activity.todo.{verb}", scope="crm", style="controller", writes=True,
        params=f"id! {_PLACE} {parameter}!")  # fmt: skip
    def change(call: Call) -> Row:
        return _todo_change(call, _todo(call, closed), {name: call.get(parameter)})


_serve_part("updateDeadline", "value", "deadline", "CAN_NOT_UPDATE_COMPLETED_TODO")
_serve_part("updateDescription", "value", "description", "CAN_NOT_UPDATE_COMPLETED_TODO")
_serve_part("updateColor", "colorId", "colorId", "CAN_NOT_UPDATE_COLOR_COMPLETED_TODO")


@method("crm.activity.todo.updateResponsibleUser", scope="crm", style="controller", writes=True,
    params=f"id! {_PLACE} responsibleId!")  # fmt: skip
def todo_responsible(call: Call) -> Row:
    row = _todo(call, "CAN_NOT_UPDATE_RESPONSIBLE_USER_COMPLETED_TODO")
    _changed(call, row, {"RESPONSIBLE_ID": _person(call, call.get("responsibleId"))})
    return {"id": row["ID"]}


# --- configurable activities ------------------------------------------------------------------------------------------

_TEXT, _ANY, _ACTION = "text", "any", "action"
_TAG_TYPES = ("success", "failure", "warning", "primary", "secondary", "lavender")
_BUTTON_TYPES = ("primary", "secondary")
_ACTION_TYPES = ("redirect", "restEvent", "openRestApp", "showMenu", "jsEvent", "jsCode", "runAjaxAction")
_COMMON = {"scope": _ANY, "hideIfReadonly": _ANY}
# name! is required, [n] a map of at most n such objects.
_BLOCKS: dict[str, Row] = {
    "text": {"value!": _TEXT, "multiline": _ANY, "title": _TEXT, "bold": _ANY, "size": _ANY, "color": _ANY,
        "scope": _ANY},
    "largeText": {"value!": _TEXT, "scope": _ANY},
    "link": {"text!": _TEXT, "action!": _ACTION, "bold": _ANY, "scope": _ANY},
    "withTitle": {"title!": _TEXT, "block!": "block", "inline": _ANY, "scope": _ANY},
    "lineOfBlocks": {"blocks!": ["block", 50], "scope": _ANY},
    "deadline": {"readonly": _ANY, "scope": _ANY},
}  # fmt: skip
_TAG = {"title!": _TEXT, "type!": _TAG_TYPES, "action": _ACTION, **_COMMON}
_BUTTON = {"title!": _TEXT, "type!": _BUTTON_TYPES, "action!": _ACTION, **_COMMON}
_MENU = {"title!": _TEXT, "action!": _ACTION, **_COMMON}
_LAYOUT: Row = {
    "icon!": {"code!": _ANY},
    "header!": {"title!": _TEXT, "titleAction": _ACTION, "tags": [_TAG, 2]},
    "body!": {"logo!": {"code!": _ANY, "action": _ACTION}, "blocks": ["block", 20]},
    "footer": {
        "buttons": [_BUTTON, 2],
        "menu": {"showPinItem": _ANY, "showPostponeItem": _ANY, "showDeleteItem": _ANY, "items": [_MENU, 20]},
    },
}
_LANGUAGES = ("ru", "en")


def _wrong(code: str, path: str, text: str) -> RestError:
    return RestError(code, f"Поле {path}: {text}", 400)


def _examine(shape: Any, value: Any, path: str) -> None:
    """RestError when the value is not of that shape of the layout's structure."""
    if isinstance(shape, dict):
        given = as_map(value)
        names = {name.rstrip("!"): child for name, child in shape.items()}
        for name in shape:
            if name.endswith("!") and given.get(name[:-1]) in (None, "", [], {}):
                raise _wrong("FIELD_IS_REQUIRED", f"{path}.{name[:-1]}", "должно быть заполнено")
        for name, child in given.items():
            if name not in names:
                raise _wrong("FIELD_IS_REDUNDANT", f"{path}.{name}", "лишнее")
            if child is not None:
                _examine(names[name], child, f"{path}.{name}")
    elif isinstance(shape, list):
        entries = as_map(value)
        if len(entries) > shape[1]:
            raise _wrong("TOO_MANY_ITEMS", path, f"больше {shape[1]}")
        for name, child in entries.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise _wrong("KEY_CONTAIN_WRONG_SYMBOLS", f"{path}.{name}", "недопустимые знаки")
            _examine(shape[0], child, f"{path}.{name}")
    elif isinstance(shape, tuple):
        if plain(value) not in shape:
            raise _wrong("ENUM_FIELD", path, f"одно из {', '.join(shape)}")
    elif shape == "block":
        given = as_map(value)
        properties = _BLOCKS.get(plain(given.get("type")))
        if properties is None:
            raise _wrong("ENUM_FIELD", f"{path}.type", f"одно из {', '.join(_BLOCKS)}")
        _examine({"type!": _ANY, "properties": properties}, given, path)
    elif shape == _ACTION:
        if plain(as_map(value).get("type")) not in _ACTION_TYPES:
            raise _wrong("ENUM_FIELD", f"{path}.type", f"одно из {', '.join(_ACTION_TYPES)}")
    elif shape == _TEXT and isinstance(value, dict):
        for language in value:
            if language not in _LANGUAGES:
                raise _wrong("WRONG_LANG", path, f"нет языка {language}")


def _layout(call: Call) -> Row:
    value = call.get("layout")
    if not isinstance(value, dict) or not value:
        raise RestError("ERROR_EMPTY_LAYOUT", "Поле layout должно быть заполнено", 400)
    _examine(_LAYOUT, value, "layout")
    return value


def _configured(call: Call, row: Row) -> Row:
    """The inner values of what `fields` asks for, on top of what the activity already is."""
    given = call.mapping("fields")
    values: Row = {}
    if "typeId" in given:
        type_id = plain(given["typeId"]) or "CONFIGURABLE"
        if type_id != "CONFIGURABLE" and call.portal["activity_types"].first(
            CLIENT_ID=context(call), TYPE_ID=type_id, IS_CONFIGURABLE_TYPE="Y"
        ) is None:  # fmt: skip
            raise RestError("WRONG_FIELD_VALUE", "Неверное значение поля typeId", 400)
        values["PROVIDER_TYPE_ID"] = type_id
    if "completed" in given:
        values |= {"COMPLETED": "Y", "STATUS": 2} if yes(given["completed"]) else {"COMPLETED": "N", "STATUS": 1}
    if plain(given.get("deadline")):
        moment = to_time(given["deadline"], call.portal.zone())
        if moment is None:
            raise RestError("WRONG_FIELD_VALUE", "Неверное значение поля deadline", 400)
        values["DEADLINE"] = values["END_TIME"] = moment
    if "pingOffsets" in given:
        values["PINGS"] = _minutes(given["pingOffsets"])
    if "isIncomingChannel" in given:
        values["IS_INCOMING_CHANNEL"] = "Y" if yes(given["isIncomingChannel"]) else "N"
    if values.get("IS_INCOMING_CHANNEL", row["IS_INCOMING_CHANNEL"]) == "Y" and plain(given.get("deadline")):
        raise RestError("INCOMING_ACTIVITY_CAN_NOT_BE_WITH_DEADLINE", "Входящее дело не может иметь срок", 400)
    if "responsibleId" in given:
        if call.portal.user(as_int(given["responsibleId"])) is None:
            raise RestError("WRONG_FIELD_VALUE", "Неверное значение поля responsibleId", 400)
        values["RESPONSIBLE_ID"] = as_int(given["responsibleId"])
    if "badgeCode" in given:
        code = plain(given["badgeCode"])
        if code and call.portal["badges"].first(CODE=code) is None:
            raise RestError("WRONG_FIELD_VALUE", "Неверное значение поля badgeCode", 400)
        values["BADGE"] = code
    for name, key in (("originatorId", "ORIGINATOR_ID"), ("originId", "ORIGIN_ID")):
        if name in given:
            values[key] = plain(given[name]) or None
    return values


@method("crm.activity.configurable.add", scope="crm", style="controller", writes=True,
    params=f"{_PLACE} fields! layout!")  # fmt: skip
def configurable_add(call: Call) -> Row:
    client_id = context(call)
    kind, item = owner(call, as_int(call.get("ownerTypeId")), as_int(call.get("ownerId")), change=True)
    layout = _layout(call)
    values = _configured(call, {"IS_INCOMING_CHANNEL": "N"})
    row = crm.add_activity(
        call.portal,
        {
            "PROVIDER_TYPE_ID": "CONFIGURABLE", "PINGS": [], "BADGE": "", "DEADLINE": None, **values,
            "OWNER_TYPE_ID": kind, "OWNER_ID": item["ID"], "TYPE_ID": 6, "PROVIDER_ID": "CONFIGURABLE_REST_APP",
            "LAYOUT": layout, "CLIENT_ID": client_id, "SUBJECT": plain(as_map(layout.get("header")).get("title")),
        },
        call.actor,
    )  # fmt: skip
    return {"activity": {"id": row["ID"]}}


def _configurable(call: Call, *, change: bool) -> Row:
    client_id = context(call)
    row = call.portal["activities"].get(as_int(call.get("id")))
    if row is None or row["PROVIDER_ID"] != "CONFIGURABLE_REST_APP":
        raise RestError("NOT_FOUND", "Элемент не найден", 400)
    owner(call, row["OWNER_TYPE_ID"], row["OWNER_ID"], change=change)
    if change and row["CLIENT_ID"] != client_id:
        raise RestError("ERROR_WRONG_APPLICATION", "Дело может менять только создавшее его приложение", 400)
    return row


@method("crm.activity.configurable.get", scope="crm", params="id!", style="controller")
def configurable_get(call: Call) -> Row:
    row = _configurable(call, change=False)
    fields = {
        "typeId": row["PROVIDER_TYPE_ID"], "completed": row["COMPLETED"] == "Y",
        "deadline": call.portal.iso(row["DEADLINE"]), "pingOffsets": row["PINGS"],
        "isIncomingChannel": row["IS_INCOMING_CHANNEL"] == "Y", "responsibleId": row["RESPONSIBLE_ID"],
        "badgeCode": row["BADGE"], "originatorId": row["ORIGINATOR_ID"], "originId": row["ORIGIN_ID"],
    }  # fmt: skip
    return {
        "activity": {
            "id": row["ID"], "ownerTypeId": row["OWNER_TYPE_ID"], "ownerId": row["OWNER_ID"], "fields": fields,
            "layout": row["LAYOUT"],
        }
    }  # fmt: skip


@method("crm.activity.configurable.update", scope="crm", params="id! fields layout", style="controller", writes=True)
def configurable_update(call: Call) -> Row:
    row = _configurable(call, change=True)
    values = _configured(call, row)
    if call.get("layout") is not None:
        values["LAYOUT"] = _layout(call)
    _changed(call, row, values)
    return {"activity": {"id": row["ID"]}}


# --- badges -----------------------------------------------------------------------------------------------------------


def _badge(row: Row) -> Row:
    return {"code": row["CODE"], "title": row["TITLE"], "value": row["VALUE"], "type": row["TYPE"]}


def _badge_found(call: Call) -> Row:
    row = call.portal["badges"].first(CODE=plain(call.get("code")))
    if row is None:
        raise RestError("NOT_FOUND", "Элемент не найден", 400)
    return row


def _badge_manager(call: Call) -> None:
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Доступ запрещён", 400)


@method("crm.activity.badge.add", scope="crm", params="code title value type", style="controller", writes=True)
def badge_add(call: Call) -> Row:
    _badge_manager(call)
    for name in ("code", "title", "value", "type"):
        if call.get(name) in (None, "", [], {}):
            raise RestError("REQUIRED_ARG_MISSING", f"Не заполнено обязательное поле {name}", 400)
    if plain(call.get("type")) not in _TAG_TYPES:
        raise RestError("INVALID_ARG_VALUE", "Неверное значение поля type", 400)
    row = call.portal["badges"].first(CODE=plain(call.get("code"))) or call.portal["badges"].add({})
    row |= {"CODE": plain(call.get("code")), "TITLE": call.get("title"), "VALUE": call.get("value")}
    row["TYPE"] = plain(call.get("type"))
    return {"badge": _badge(row)}


@method("crm.activity.badge.get", scope="crm", params="code!", style="controller")
def badge_get(call: Call) -> Row:
    return {"badge": _badge(_badge_found(call))}


@method("crm.activity.badge.list", scope="crm", style="controller")
def badge_list(call: Call) -> Row:
    return {"badges": [_badge(row) for row in call.portal["badges"]]}


@method("crm.activity.badge.delete", scope="crm", params="code!", style="controller", writes=True)
def badge_delete(call: Call) -> bool:
    _badge_manager(call)
    call.portal["badges"].remove(_badge_found(call)["ID"])
    return True


# --- types of an application's own activities -------------------------------------------------------------------------


def _type_manager(call: Call) -> str:
    application = call.application_only()
    if not call.admin:
        raise RestError("ACCESS_DENIED", "Access denied! Admin permissions required", 403)
    return str(application["CLIENT_ID"])


@method("crm.activity.type.add", scope="crm", params="fields", writes=True)
def type_add(call: Call) -> bool:
    client_id = _type_manager(call)
    given = {key.upper(): value for key, value in call.mapping("fields").items()}
    code = plain(given.get("TYPE_ID")).strip()
    if not code:
        raise RestError("INVALID_ARG_VALUE", "Не заполнено обязательное поле TYPE_ID", 400)
    if call.portal["activity_types"].first(CLIENT_ID=client_id, TYPE_ID=code) is not None:
        raise RestError("INVALID_ARG_VALUE", f"Тип {code} уже существует", 400)
    call.portal["activity_types"].add(
        {
            "CLIENT_ID": client_id, "TYPE_ID": code, "NAME": plain(given.get("NAME")) or code,
            "IS_CONFIGURABLE_TYPE": "Y" if yes(given.get("IS_CONFIGURABLE_TYPE")) else "N", "ICON_ID": 0,
        }
    )  # fmt: skip
    return True


@method("crm.activity.type.list", scope="crm")
def type_list(call: Call) -> list[Row]:
    return [
        {
            "TYPE_ID": row["TYPE_ID"], "NAME": row["NAME"], "IS_CONFIGURABLE_TYPE": row["IS_CONFIGURABLE_TYPE"],
            "ICON_ID": str(row["ICON_ID"]),
        }
        for row in call.portal["activity_types"].where(CLIENT_ID=_type_manager(call))
    ]  # fmt: skip


@method("crm.activity.type.delete", scope="crm", params="TYPE_ID", writes=True)
def type_delete(call: Call) -> bool:
    row = call.portal["activity_types"].first(CLIENT_ID=_type_manager(call), TYPE_ID=call.text("TYPE_ID"))
    if row is None:
        raise RestError("INVALID_ARG_VALUE", f"Тип {call.text('TYPE_ID')} не существует", 400)
    call.portal["activity_types"].remove(row["ID"])
    return True


# --- bindings ---------------------------------------------------------------------------------------------------------


def _activity(call: Call, *, change: bool) -> Row:
    row = call.portal["activities"].get(as_int(call.get("activityId")))
    if row is None:
        raise RestError("NOT_FOUND", "Элемент не найден", 400)
    owner(call, row["OWNER_TYPE_ID"], row["OWNER_ID"], change=change)
    return row


def _pair(call: Call, prefix: str = "") -> tuple[int, int]:
    names = (f"{prefix}EntityTypeId", f"{prefix}EntityId") if prefix else ("entityTypeId", "entityId")
    kind, item = owner(call, as_int(call.get(names[0])), as_int(call.get(names[1])), change=True)
    return kind, int(item["ID"])


def _bound(row: Row, pair: tuple[int, int]) -> bool:
    return any((one["OWNER_TYPE_ID"], one["OWNER_ID"]) == pair for one in row["BINDINGS"])


def _rebind(call: Call, row: Row, pairs: list[tuple[int, int]]) -> None:
    bindings = [{"OWNER_TYPE_ID": kind, "OWNER_ID": number} for kind, number in pairs]
    _changed(call, row, {"BINDINGS": bindings, **bindings[0]})


def _pairs(row: Row) -> list[tuple[int, int]]:
    return [(one["OWNER_TYPE_ID"], one["OWNER_ID"]) for one in row["BINDINGS"]]


@method("crm.activity.binding.list", scope="crm", params="activityId!", style="controller")
def binding_list(call: Call) -> list[Row]:
    return [{"entityTypeId": kind, "entityId": number} for kind, number in _pairs(_activity(call, change=False))]


@method("crm.activity.binding.add", scope="crm", params="activityId! entityTypeId! entityId!", style="controller",
    writes=True)  # fmt: skip
def binding_add(call: Call) -> bool:
    row, pair = _activity(call, change=True), _pair(call)
    if _bound(row, pair):
        raise RestError("ACTIVITY_IS_ALREADY_BOUND", "Дело уже привязано к этому элементу", 400)
    _rebind(call, row, [*_pairs(row), pair])
    return True


@method("crm.activity.binding.delete", scope="crm", params="activityId! entityTypeId! entityId!", style="controller",
    writes=True)  # fmt: skip
def binding_delete(call: Call) -> bool:
    row, pair = _activity(call, change=True), _pair(call)
    if not _bound(row, pair):
        raise RestError("BINDING_NOT_FOUND", "Дело не привязано к этому элементу", 400)
    left = [one for one in _pairs(row) if one != pair]
    if not left:
        raise RestError("LAST_BINDING_CANNOT_BE_DELETED", "Нельзя удалить единственную привязку дела", 400)
    _rebind(call, row, left)
    return True


@method("crm.activity.binding.move", scope="crm", style="controller", writes=True,
    params="activityId! sourceEntityTypeId! sourceEntityId! targetEntityTypeId! targetEntityId!")  # fmt: skip
def binding_move(call: Call) -> bool:
    row = _activity(call, change=True)
    source, target = _pair(call, "source"), _pair(call, "target")
    if source[0] != target[0]:
        raise RestError(
            "SOURCE_AND_TARGET_ENTITY_TYPES_ARE_NOT_EQUAL_ERROR", "Нельзя перенести дело в объект другого типа", 400
        )
    if source == target:
        raise RestError("SOURCE_AND_TARGET_ENTITY_ID_ARE_EQUAL_ERROR", "Нельзя перенести дело в тот же элемент", 400)
    if not _bound(row, source):
        raise RestError("BINDING_NOT_FOUND", "Дело не привязано к этому элементу", 400)
    if _bound(row, target):
        raise RestError("ACTIVITY_IS_ALREADY_BOUND", "Дело уже привязано к этому элементу", 400)
    _rebind(call, row, [target if one == source else one for one in _pairs(row)])
    return True


# --- transcripts of calls ---------------------------------------------------------------------------------------------


@method("crm.activity.call.getTranscript", scope="crm", params="activityId!", style="controller")
def call_transcript(call: Call) -> Row | None:
    """What AI made of the call; an application's own words (telephony.call.attachTranscription) are another thing."""
    row = call.portal["activities"].get(as_int(call.get("activityId")))
    items = [(kind, item_of(call.portal, kind, number)) for kind, number in (_pairs(row) if row is not None else [])]
    bound = [(kind, item) for kind, item in items if item is not None]
    if row is None or not bound:
        raise RestError("NOT_FOUND", "Element not found", 400)
    if not call.portal.settings.ai_calls or not any(crm.can_read(call.user, kind, item) for kind, item in bound):
        raise RestError("ACCESS_DENIED", "Access denied", 403)
    made = call.portal["ai_transcripts"].first(ACTIVITY_ID=row["ID"]) if row["TYPE_ID"] == 2 else None
    return {"transcription": made["TEXT"]} if made is not None else None


# --- descriptions -----------------------------------------------------------------------------------------------------

_FIELDS = """
ID integer r ID|OWNER_ID integer i Владелец|OWNER_TYPE_ID crm_enum_ownertype i Тип владельца
TYPE_ID crm_enum_activitytype iq Тип|PROVIDER_ID string - Провайдер|PROVIDER_TYPE_ID string - Тип провайдера
PROVIDER_GROUP_ID string - Тип коннектора|ASSOCIATED_ENTITY_ID integer r Связанная сущность|SUBJECT string q Тема
START_TIME datetime - Начало|END_TIME datetime - Завершение|DEADLINE datetime - Крайний срок|COMPLETED char - Завершено
STATUS crm_enum_activitystatus - Статус|RESPONSIBLE_ID user q Ответственный
PRIORITY crm_enum_activitypriority - Приоритет|NOTIFY_TYPE crm_enum_activitynotifytype - Тип уведомления
NOTIFY_VALUE integer - Параметр уведомления|DESCRIPTION string - Описание
DESCRIPTION_TYPE crm_enum_contenttype - Тип описания|DIRECTION crm_enum_activitydirection - Направление
LOCATION string - Место|CREATED datetime r Создано|AUTHOR_ID user r Кем создано|LAST_UPDATED datetime r Изменено
EDITOR_ID user r Кем изменено|SETTINGS object - Настройки|ORIGIN_ID string - Внешний код
ORIGINATOR_ID string - Внешний источник|RESULT_STATUS integer - RESULT_STATUS|RESULT_STREAM integer - RESULT_STREAM
RESULT_SOURCE_ID string - RESULT_SOURCE_ID|PROVIDER_PARAMS object - Параметры провайдера
PROVIDER_DATA string - Данные провайдера|RESULT_MARK integer - RESULT_MARK|RESULT_VALUE double - RESULT_VALUE
RESULT_SUM double - RESULT_SUM|RESULT_CURRENCY_ID string - RESULT_CURRENCY_ID|AUTOCOMPLETE_RULE integer - Автозавершение
BINDINGS crm_activity_binding rm Привязки|COMMUNICATIONS crm_activity_communication mq Способ связи
FILES diskfile m Файлы|WEBDAV_ELEMENTS diskfile m Добавленные файлы|IS_INCOMING_CHANNEL char r Из входящего канала
"""
_COMMUNICATION = """
ID integer r ID|ACTIVITY_ID integer r Дело|ENTITY_ID integer - Элемент|ENTITY_TYPE_ID integer - Тип элемента
TYPE string - Тип|VALUE string - Значение
"""


def _described(text: str) -> Row:
    made: Row = {}
    for entry in re.split(r"[|\n]", text.strip()):
        name, kind, flags, title = entry.split(" ", 3)
        made[name] = {
            "type": kind, "isRequired": "q" in flags, "isReadOnly": "r" in flags, "isImmutable": "i" in flags,
            "isMultiple": "m" in flags, "isDynamic": False, "title": title,
        }  # fmt: skip
    return made


@method("crm.activity.fields", scope="crm")
def activity_fields(call: Call) -> Row:
    made = _described(_FIELDS)
    made["WEBDAV_ELEMENTS"]["isDeprecated"] = True
    return made


@method("crm.activity.communication.fields", scope="crm")
def communication_fields(call: Call) -> Row:
    return _described(_COMMUNICATION)
