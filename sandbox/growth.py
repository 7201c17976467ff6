"""A company of any size: more people and departments, clients, leads, deals, calls and calendars than the seed has."""

from __future__ import annotations

from sandbox import company, crm, entries, telephony
from sandbox.crm_kinds import CONTACT, DEAL, LEAD
from sandbox.method import Actor
from sandbox.portal import Portal, Table

_WOMEN = ("Анна", "Вера", "Дарья", "Елена", "Инна", "Ксения", "Лариса", "Марина", "Нина", "Ольга", "Полина", "Юлия")
_MEN = ("Антон", "Борис", "Виктор", "Глеб", "Денис", "Егор", "Игорь", "Кирилл", "Максим", "Олег", "Роман", "Фёдор")
_NAMES = ("Абрамов", "Белов", "Власов", "Гусев", "Данилов", "Ершов", "Жуков", "Зимин", "Котов", "Лапин", "Мухин",
    "Носов", "Рыбин", "Сомов", "Титов", "Уваров", "Фомин", "Царёв", "Шубин", "Щукин")  # fmt: skip
_WISHES = ("Кухня угловая", "Прямая кухня", "Остров", "Столешница", "Шкаф-купе", "Гардеробная", "Замена фасадов")
_SOURCES = ("CALL", "WEB", "WEBFORM", "EMAIL", "ADVERTISING", "RECOMMENDATION", "PARTNER")
_LEAD_STAGES = ("NEW", "NEW", "IN_PROCESS", "PROCESSED", "CONVERTED", "JUNK")
_DEAL_STAGES = ("NEW", "PREPARATION", "PREPAYMENT_INVOICE", "EXECUTING", "FINAL_INVOICE", "WON", "WON", "LOSE")
_MEETINGS = ("Замер", "Встреча", "Планёрка", "Звонок")
TEAM = 8


def grow(portal: Portal, *, people: int = 0, leads: int = 0, deals: int = 0, calls: int = 0, events: int = 0) -> None:
    """Bring the portal to at least these numbers; the past is spread over half a year. Nothing is sent."""
    with portal.lock:
        _people(portal, people)
        owners = [row["ID"] for row in portal["users"] if row["ACTIVE"] and row["ID"] > 2]
        _items(portal, leads, deals, owners)
        handlers = portal.tables["event_handlers"]
        portal.tables["event_handlers"] = Table()
        try:
            _calls(portal, calls, owners)
        finally:
            portal.tables["event_handlers"] = handlers
        _calendar(portal, events, owners)


def _people(portal: Portal, wanted: int) -> None:
    choose = portal.random.choice
    while len(portal["users"]) < wanted:
        number = portal["users"].last + 1
        place = (number - 11) % TEAM
        if place == 0:
            department = portal["departments"].add(
                {"NAME": f"Продажи, группа {len(portal['departments']) - 3}", "SORT": 500, "PARENT": 3,
                    "UF_HEAD": number}
            )  # fmt: skip
        else:
            department = portal["departments"].rows[portal["departments"].last]
        woman = portal.random.random() < 0.5
        name = choose(_NAMES)
        company.add_person(
            portal,
            {
                "NAME": choose(_WOMEN if woman else _MEN), "LAST_NAME": name + "а" if woman else name,
                "PERSONAL_GENDER": "F" if woman else "M", "UF_DEPARTMENT": [department["ID"]],
                "WORK_POSITION": "Руководитель группы" if place == 0 else "Менеджер по продажам",
                "UF_PHONE_INNER": str(100 + number),
            },
        )  # fmt: skip


def _phone(portal: Portal) -> str:
    return f"+79{portal.random.randrange(10**9):09d}"


def _items(portal: Portal, leads: int, deals: int, owners: list[int]) -> None:
    random, now = portal.random, portal.now()
    while len(portal[LEAD]) < leads:
        owner = random.choice(owners)
        wish = random.choice(_WISHES)
        values = {
            "TITLE": f"{wish} №{portal[LEAD].last + 1}", "SOURCE_ID": random.choice(_SOURCES),
            "STATUS_ID": random.choice(_LEAD_STAGES), "ASSIGNED_BY_ID": owner,
            "DATE_CREATE": now - random.randrange(180 * 86400),
        }  # fmt: skip
        phone = [{"TYPE_ID": "PHONE", "VALUE_TYPE": "WORK", "VALUE": _phone(portal)}]
        crm.create(portal, LEAD, values, phone, Actor(owner), silent=True)
    while len(portal[DEAL]) < deals:
        owner = random.choice(owners)
        at = now - random.randrange(180 * 86400)
        client = {"NAME": random.choice(_WOMEN), "LAST_NAME": random.choice(_NAMES) + "а", "ASSIGNED_BY_ID": owner,
            "DATE_CREATE": at}  # fmt: skip
        phone = [{"TYPE_ID": "PHONE", "VALUE_TYPE": "MOBILE", "VALUE": _phone(portal)}]
        contact = crm.create(portal, CONTACT, client, phone, Actor(owner), silent=True)
        values = {
            "TITLE": f"{random.choice(_WISHES)} для {client['LAST_NAME']}", "CONTACT_ID": contact["ID"],
            "STAGE_ID": random.choice(_DEAL_STAGES), "OPPORTUNITY": float(random.randrange(40, 900) * 1000),
            "ASSIGNED_BY_ID": owner, "DATE_CREATE": at,
        }  # fmt: skip
        crm.create(portal, DEAL, values, [], Actor(owner), silent=True)


def _calls(portal: Portal, wanted: int, owners: list[int]) -> None:
    random, now = portal.random, portal.now()
    while len(portal["call_rows"]) < wanted:
        missed = random.random() < 0.25
        row = telephony.begin(portal, _phone(portal), 2 if random.random() < 0.7 else 1, user_id=0)
        row["STARTED"] = now - random.randrange(60, 180 * 86400)
        row["ANSWERED"] = None if missed else row["STARTED"] + 8
        owner = random.choice(owners)
        telephony.finish(portal, row, "304" if missed else "200", duration=0 if missed else random.randrange(15, 900),
            user_id=owner, lead=False)  # fmt: skip


def _calendar(portal: Portal, wanted: int, owners: list[int]) -> None:
    random, now = portal.random, portal.now()
    midnight = now - now % 86400
    while len(portal["calendar"]) < wanted:
        owner = random.choice(owners)
        start = midnight + random.randrange(-30, 30) * 86400 + random.randrange(6, 15) * 3600
        entries.add(
            portal,
            {
                "OWNER_ID": owner, "CREATED_BY": owner, "NAME": random.choice(_MEETINGS),
                "FROM": float(start), "TO": float(start + random.choice((1800, 3600, 5400))),
            },
        )  # fmt: skip
