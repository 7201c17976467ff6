"""The seed: a kitchen shop with its people, departments, dictionaries, first records, and one local application."""

from __future__ import annotations

from sandbox.method import Row
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
            },
        )  # fmt: skip
    portal["webhooks"].add(
        {"USER_ID": 1, "CODE": portal.secret(16), "SCOPES": list(SCOPES), "TITLE": "Администратор", "CREATED": now}
    )
    add_application(portal, {"TITLE": "Локальное приложение", "SCOPES": list(SCOPES)})


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
