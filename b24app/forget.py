"""`b24app forget`: erases a client from our database on his request, and says what was found."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from b24app.bitrix.translate import phone_key
from b24app.errors import ConfigError
from b24app.services import Services
from b24app.store.forgetting import SHORTEST_NUMBER
from b24app.store.forgetting import forget as erase
from b24app.store.portals import PortalRow, all_portals

WORDS: Mapping[str, str] = {
    "deliveries": "обращения с их журналом / deliveries with their journal",
    "timers": "отложенное / what was put off",
    "assignments": "назначения: номер и карточка решения / assignments: the number and the decision's card",
    "calls": "звонки: номер / calls: the number",
    "visits": "замеры: название, адрес, причина / visits: title, address, reason",
    "confirmations": "подтверждения: слова сотрудника / confirmations: an employee's words",
    "snapshots": "карточки, прочитанные недавно / items that were read lately",
    "alarms": "тревоги: номер в тексте / alarms: the number in their text",
}


def forget(services: Services, host: str, *, entity: str = "", phone: str = "") -> int:
    """Erases by an item (lead:42) or a number; returns 0, or 1 where something is at work and it has to be repeated."""
    row = _chosen(services, host)
    phones = {phone_key(phone, services.playbook.intake.country)} - {""}
    if not entity and sum(sign.isdigit() for sign in phone) < SHORTEST_NUMBER:
        raise ConfigError(f"--phone: это не номер / is no number: {phone!r}")
    found = erase(services.database, row.member_id, entities={entity} if entity else set(), phones=phones)
    for table, words in WORDS.items():
        if found.counts[table]:
            sys.stdout.write(f"✔ {words}: {found.counts[table]}\n")
    if not any(found.counts.values()):
        sys.stdout.write("Ничего не найдено / Nothing found\n")
    elif found.entities:
        sys.stdout.write(f"Карточки этого клиента / items of this client: {', '.join(sorted(found.entities))}\n")
    if found.ahead:
        sys.stdout.write(
            f"! Впереди замеров: {found.ahead}, время за ними остаётся; отмените их на вкладке или удалите карточку.\n"
            f"  Visits ahead: {found.ahead}, their time stays taken; cancel them on the tab or delete the item.\n"
        )
    sys.stdout.write(
        "В самом Bitrix24 ничего не изменено: карточку, задачи и ленту удаляют там, и прежде этой команды.\n"
        "Nothing is changed in Bitrix24 itself: items, tasks and timelines are deleted there, before this command.\n"
    )
    if found.at_work:
        sys.stdout.write(
            f"✘ Сейчас в работе: {found.at_work}. Повторите через минуту.\n"
            f"  At work now: {found.at_work}. Repeat in a minute.\n"
        )
    return 1 if found.at_work else 0


def _chosen(services: Services, host: str) -> PortalRow:
    """Returns the portal of that host, or the only one, also where the application was removed and data stayed."""
    rows = [row for row in all_portals(services.database).values() if not host or row.host == host]
    if len(rows) == 1:
        return rows[0]
    known = ", ".join(sorted(row.host for row in all_portals(services.database).values())) or "—"
    raise ConfigError(f"--portal: какой из порталов? / which of the portals? {known}")
