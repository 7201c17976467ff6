"""The seed: a kitchen shop with its people, departments, dictionaries, first records, and one local application."""

from __future__ import annotations

from sandbox import orders
from sandbox.crm_kinds import COMPANY, CONTACT, DEAL, LEAD, STAGE
from sandbox.method import Actor, Row
from sandbox.portal import Portal

SCOPES = [
    "crm",
    "task",
    "tasks",
    "tasks_extended",
    "telephony",
    "user",
    "user_basic",
    "department",
    "calendar",
    "im",
    "placement",
    "bizproc",
    "timeman",
    "pull",
    "entity",
    "disk",
    "messageservice",
    "user.userfield",
    "userfieldconfig",
    "call",
    "booking",
    "mail",
    "userconsent",
    "documentgenerator",
]
DEPARTMENTS = (
    # id, name, parent, head
    (1, "Кухни «Дубрава»", 0, 1),
    (2, "Администрация", 1, 2),
    (3, "Продажи", 1, 3),
    (4, "Сопровождение заказов", 3, 7),
    (5, "Замеры", 1, 9),
)
PEOPLE = (
    # id, name, last name, gender, post, departments, admin
    (1, "Ирина", "Соколова", "F", "Директор", [1, 2], True),
    (2, "Павел", "Громов", "M", "Администратор портала", [2], True),
    (3, "Ольга", "Ветрова", "F", "Руководитель отдела продаж", [3], False),
    (4, "Анна", "Кузнецова", "F", "Менеджер по продажам", [3], False),
    (5, "Борис", "Лебедев", "M", "Менеджер по продажам", [3], False),
    (6, "Вера", "Морозова", "F", "Менеджер по продажам", [3], False),
    (7, "Глеб", "Новиков", "M", "Старший менеджер сопровождения", [4], False),
    (8, "Дарья", "Орлова", "F", "Менеджер сопровождения", [4], False),
    (9, "Егор", "Петров", "M", "Старший замерщик", [5], False),
    (10, "Фёдор", "Рябов", "M", "Замерщик", [5], False),
)
# Who drives to clients has a company number of his own and a zone that he chose; others keep the portal's.
MEASURERS = {"WORK_PHONE": "+74951234567", "TIME_ZONE": "Europe/Moscow"}

STATUSES: dict[str, tuple[tuple[str, str, str | None, str], ...]] = {
    # entity -> (STATUS_ID, name, semantics, colour) in order
    "STATUS": (
        ("NEW", "Не обработан", None, "#39A8EF"), ("IN_PROCESS", "В работе", None, "#2FC6F6"),
        ("PROCESSED", "Обработан", None, "#55D0E0"), ("CONVERTED", "Качественный лид", "S", "#7BD500"),
        ("JUNK", "Некачественный лид", "F", "#FF5752"),
    ),
    "DEAL_STAGE": (
        ("NEW", "Новая", None, "#39A8EF"), ("PREPARATION", "Замер", None, "#2FC6F6"),
        ("PREPAYMENT_INVOICE", "Проект и смета", None, "#55D0E0"), ("EXECUTING", "В производстве", None, "#47E4C2"),
        ("FINAL_INVOICE", "Монтаж", None, "#FFA900"), ("WON", "Сделка успешна", "S", "#7BD500"),
        ("LOSE", "Сделка провалена", "F", "#FF5752"), ("APOLOGY", "Анализ причины провала", "F", "#FF5752"),
    ),
    "QUOTE_STATUS": (
        ("DRAFT", "Новое", None, "#ACE9FB"), ("SENT", "Отправлено клиенту", None, "#2FC6F6"),
        ("APPROVED", "Принято", "S", "#7BD500"), ("DECLAINED", "Отклонено", "F", "#FF5752"),
    ),
    "SOURCE": (
        ("CALL", "Звонок", None, ""), ("EMAIL", "Электронная почта", None, ""), ("WEB", "Веб-сайт", None, ""),
        ("ADVERTISING", "Реклама", None, ""), ("PARTNER", "Существующий клиент", None, ""),
        ("RECOMMENDATION", "По рекомендации", None, ""), ("TRADE_SHOW", "Выставка", None, ""),
        ("WEBFORM", "CRM-форма", None, ""), ("CALLBACK", "Обратный звонок", None, ""), ("OTHER", "Другое", None, ""),
    ),
    "CONTACT_TYPE": (("CLIENT", "Клиенты", None, ""), ("SUPPLIER", "Поставщики", None, ""),
        ("PARTNER", "Партнёры", None, ""), ("OTHER", "Другое", None, "")),
    "COMPANY_TYPE": (("CUSTOMER", "Клиент", None, ""), ("SUPPLIER", "Поставщик", None, ""),
        ("PARTNER", "Партнёр", None, ""), ("OTHER", "Другое", None, "")),
    "EMPLOYEES": (("EMPLOYEES_1", "менее 50", None, ""), ("EMPLOYEES_2", "50-250", None, ""),
        ("EMPLOYEES_3", "250-500", None, ""), ("EMPLOYEES_4", "более 500", None, "")),
    "INDUSTRY": (("DELIVERY", "Доставка", None, ""), ("MANUFACTURING", "Производство", None, ""),
        ("OTHER", "Другое", None, "")),
    "DEAL_TYPE": (("SALE", "Продажа", None, ""), ("SERVICES", "Услуги", None, ""),
        ("SERVICE", "Сервисное обслуживание", None, "")),
    "HONORIFIC": (("HNR_RU_1", "г-н", None, ""), ("HNR_RU_2", "г-жа", None, "")),
    "EVENT_TYPE": (("INFO", "Информация", None, ""), ("PHONE", "Телефонный звонок", None, "")),
    "CALL_LIST": (("IN_WORK", "В работе", None, ""), ("SUCCESS", "Успешно", None, ""),
        ("WRONG_NUMBER", "Неверный номер", None, ""), ("STOP_CALLING", "Больше не звонить", None, "")),
}  # fmt: skip
CLIENTS = (
    # name, last name, responsible
    ("Мария", "Белова", 4),
    ("Сергей", "Кравцов", 5),
    ("Наталья", "Ершова", 6),
    ("Олег", "Титов", 4),
    ("Юлия", "Савина", 5),
)
WISHES = (
    ("Кухня угловая, 12 м²", "WEB", "NEW", 4),
    ("Кухня-гостиная, остров", "CALL", "IN_PROCESS", 5),
    ("Шкаф-купе и кухня", "ADVERTISING", "IN_PROCESS", 6),
    ("Фасады на замену", "CALL", "PROCESSED", 4),
    ("Прямая кухня 3 м", "WEBFORM", "NEW", 5),
    ("Столешница из камня", "EMAIL", "JUNK", 6),
)
DEALS = (
    ("Кухня «Лофт» для Беловых", 0, "PREPARATION", 386_000.0, 4),
    ("Кухня «Прованс»", 1, "PREPAYMENT_INVOICE", 512_500.0, 5),
    ("Замена столешницы", 2, "WON", 64_000.0, 6),
)


def found_company(portal: Portal) -> None:
    """Fill an empty portal with the company, its administrator's webhook and one local application."""
    now = portal.now()
    for number, name, parent, head in DEPARTMENTS:
        portal["departments"].add({"ID": number, "NAME": name, "SORT": number * 100, "PARENT": parent, "UF_HEAD": head})
    for number, name, last_name, gender, post, departments, admin in PEOPLE:
        add_person(
            portal,
            {
                "ID": number, "NAME": name, "LAST_NAME": last_name, "PERSONAL_GENDER": gender, "WORK_POSITION": post,
                "UF_DEPARTMENT": departments, "ADMIN": admin, "UF_PHONE_INNER": str(100 + number),
                **(MEASURERS if 5 in departments else {}),
            },
        )  # fmt: skip
    portal["webhooks"].add(
        {"USER_ID": 1, "CODE": portal.secret(16), "SCOPES": list(SCOPES), "TITLE": "Администратор", "CREATED": now}
    )
    add_application(portal, {"TITLE": "Локальное приложение", "SCOPES": list(SCOPES)})
    for entity, listed in STATUSES.items():
        for index, (code, name, semantics, colour) in enumerate(listed):
            portal["statuses"].add(
                {
                    "ENTITY_ID": entity, "STATUS_ID": code, "NAME": name, "NAME_INIT": name, "SORT": (index + 1) * 10,
                    "SYSTEM": "Y",
                    "CATEGORY_ID": None, "COLOR": colour, "SEMANTICS": semantics,
                }
            )  # fmt: skip
    for name in ("Заявка с сайта", "Анкета для обзвона"):
        portal["webforms"].add({"NAME": name})
    portal["categories"].add({"NAME": "Кухни", "SORT": 100, "DEFAULT": True})
    add_category(portal, "Сервис")
    for code, name, rate in (("RUB", "Российский рубль", 1.0), ("USD", "Доллар США", 90.0), ("EUR", "Евро", 97.0)):
        language = {
            "FORMAT_STRING": f"# {code}", "FULL_NAME": name, "DEC_POINT": ".", "THOUSANDS_SEP": "&nbsp;",
            "DECIMALS": "2", "THOUSANDS_VARIANT": "B", "HIDE_ZERO": "Y",
        }  # fmt: skip
        portal["currencies"].add(
            {
                "CURRENCY": code, "AMOUNT_CNT": 1, "AMOUNT": rate, "SORT": 100, "BASE": "Y" if code == "RUB" else "N",
                "LANG": {one: dict(language) for one in ("ru", "en", "de")}, "DATE_UPDATE": now,
            }
        )  # fmt: skip
    for number, name in ((1, "Организация"), (3, "Индивидуальный предприниматель"), (5, "Физическое лицо")):
        portal["presets"].add(
            {
                "ID": number, "ENTITY_TYPE_ID": 8, "COUNTRY_ID": 1, "NAME": name,
                "XML_ID": f"#CRM_REQUISITE_PRESET_{number}#", "ACTIVE": "Y", "SORT": 500, "DATE_CREATE": now,
                "DATE_MODIFY": None, "CREATED_BY_ID": 1,
                "MODIFY_BY_ID": None, "FIELDS": [],
            }
        )  # fmt: skip
    orders.found(portal)
    for kind, name in ((3, "Контакты"), (4, "Компании")):
        add_category(portal, name, kind, default=True)["ZERO"] = True
    _first_records(portal, now)


_NEW_STAGES = (("NEW", "Новая", None, "#39A8EF"), ("EXECUTING", "В работе", None, "#47E4C2"))
_ENDS = {
    "deal": (("WON", "Успех", "S", "#7BD500"), ("LOSE", "Провал", "F", "#FF5752")),
    "dynamic": (("SUCCESS", "Успех", "S", "#7BD500"), ("FAIL", "Провал", "F", "#FF5752")),
}


def add_category(portal: Portal, name: str, kind: int = 2, *, default: bool = False) -> Row:
    """One more pipeline of that type, with its stages where it has some: C<id>:NEW ..., DT<type>_<id>:NEW ..."""
    from sandbox import crm

    sort = 100 * (len(crm.categories(portal, kind)) + 1)
    row = portal["categories"].add({"NAME": name, "SORT": sort, "DEFAULT": default, "ENTITY_TYPE_ID": kind})
    number = row["ID"]
    if kind not in STAGE:
        return row
    prefix = f"C{number}" if kind == DEAL else f"DT{kind}_{number}"
    for index, (code, title, semantics, colour) in enumerate(
        (*_NEW_STAGES, *_ENDS["deal" if kind == DEAL else "dynamic"])
    ):
        portal["statuses"].add(
            {
                "ENTITY_ID": crm.stage_entity(kind, number), "STATUS_ID": f"{prefix}:{code}", "NAME": title,
                "NAME_INIT": title, "SORT": (index + 1) * 10, "SYSTEM": "Y", "CATEGORY_ID": number, "COLOR": colour,
                "SEMANTICS": semantics,
            }
        )  # fmt: skip
    return row


def _first_records(portal: Portal, now: float) -> None:
    """A few clients, leads and deals, so that the portal is not empty; no events, no robots."""
    from sandbox import crm

    contacts = []
    for index, (name, last_name, owner) in enumerate(CLIENTS):
        phone = [{"TYPE_ID": "PHONE", "VALUE_TYPE": "MOBILE", "VALUE": f"+7903{portal.random.randrange(10**7):07d}"}]
        values = {
            "NAME": name,
            "LAST_NAME": last_name,
            "ASSIGNED_BY_ID": owner,
            "SOURCE_ID": "CALL",
            "DATE_CREATE": now - (40 - index) * 86400,
        }
        contacts.append(crm.create(portal, CONTACT, values, phone, Actor(owner), silent=True))
    company = {
        "TITLE": "ООО «Ремонт под ключ»",
        "ASSIGNED_BY_ID": 3,
        "DATE_CREATE": now - 30 * 86400,
        "COMPANY_TYPE": "PARTNER",
    }
    crm.create(
        portal,
        COMPANY,
        company,
        [{"TYPE_ID": "PHONE", "VALUE_TYPE": "WORK", "VALUE": "+74957654321"}],
        Actor(3),
        silent=True,
    )
    for index, (title, source, stage, owner) in enumerate(WISHES):
        phone = [{"TYPE_ID": "PHONE", "VALUE_TYPE": "WORK", "VALUE": f"+7926{portal.random.randrange(10**7):07d}"}]
        lead = {
            "TITLE": title,
            "SOURCE_ID": source,
            "STATUS_ID": stage,
            "ASSIGNED_BY_ID": owner,
            "DATE_CREATE": now - (12 - index) * 86400,
        }
        crm.create(portal, LEAD, lead, phone, Actor(owner), silent=True)
    for title, client, stage, amount, owner in DEALS:
        deal = {
            "TITLE": title, "CONTACT_ID": contacts[client]["ID"], "STAGE_ID": stage, "OPPORTUNITY": amount,
            "ASSIGNED_BY_ID": owner,
            "DATE_CREATE": now - 20 * 86400,
        }  # fmt: skip
        made = crm.create(portal, DEAL, deal, [], Actor(owner), silent=True)
        if stage == "PREPAYMENT_INVOICE":
            for service, price in (((2, "Доставка по городу"), 3500.0), ((3, "Подъём на этаж"), 2000.0)):
                orders.add_shipment(portal, DEAL, made, service, price, Actor(owner), silent=True)


def add_person(portal: Portal, facts: Row) -> Row:
    """A new active employee; `facts` overrides what is usual."""
    now = portal.now()
    row: Row = {
        "ACTIVE": True, "ADMIN": False, "NAME": "", "LAST_NAME": "", "SECOND_NAME": "", "EMAIL": "",
        "PERSONAL_GENDER": "", "PERSONAL_WWW": "", "PERSONAL_BIRTHDAY": "", "PERSONAL_MOBILE": "", "PERSONAL_CITY": "",
        "PERSONAL_PHOTO": None, "WORK_PHONE": "", "WORK_POSITION": "", "UF_EMPLOYMENT_DATE": "", "TIME_ZONE": "",
        "UF_DEPARTMENT": [1], "UF_PHONE_INNER": None, "USER_TYPE": "employee", "XML_ID": None,
        "DATE_REGISTER": now - 200 * 86400, "LAST_LOGIN": now - 3600, "LAST_ACTIVITY_DATE": now, "TIMESTAMP_X": now,
        "ONLINE": True, "OWN_LEADS_ONLY": False, "CLOCK": "CLOSED", "ABSENT": None, "BUSY": None, "CALL": None,
    }  # fmt: skip
    row.update(facts)
    portal["users"].add(row)
    if not row["EMAIL"]:
        row["EMAIL"] = f"user{row['ID']}@dubrava.example"
    if not row["PERSONAL_MOBILE"]:
        row["PERSONAL_MOBILE"] = f"+7916200{row['ID']:04d}"
    return row


def add_application(portal: Portal, facts: Row) -> Row:
    """A local application as the card in the portal makes it: new credentials, not installed yet."""
    row: Row = {
        "CLIENT_ID": f"local.{portal.secret(14)}.{portal.random.randrange(10**7, 10**8)}",
        "CLIENT_SECRET": portal.secret(50),
        "APPLICATION_TOKEN": portal.secret(32),
        "TITLE": "", "HANDLER": "", "INSTALL": "", "SCOPES": [], "SCRIPT_ONLY": False, "INSTALLED": False,
        "ACTIVE": True, "VERSION": 1, "STATUS": "L", "PAYMENT_ENDED": False, "USERS": [],
    }  # fmt: skip
    row.update(facts)
    return portal["applications"].add(row)
