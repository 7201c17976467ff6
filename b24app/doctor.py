"""`b24app doctor`: what works and what needs a person; what /health knows, and one look at each portal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from b24app.bitrix import reads
from b24app.bitrix.portal import Portal
from b24app.entities import Department
from b24app.errors import B24AppError
from b24app.health import Finding, findings
from b24app.playbook import Assignment
from b24app.services import Services
from b24app.store.portals import all_portals

_MARKS = {"ok": "✔", "warn": "!", "bad": "✘"}


def examine(services: Services) -> int:
    """Prints every finding; returns 0 when nothing needs a person, else 1."""
    found = findings(services)
    if not any(finding.key == "database" and finding.level == "bad" for finding in found):
        for row in all_portals(services.database).values():
            if row.active:
                found += _of_portal(services, row.member_id, row.host)
    for finding in found:
        sys.stdout.write(f"{_MARKS[finding.level]} {finding.ru}\n  {finding.en}\n")
    return 0 if all(finding.level == "ok" for finding in found) else 1


def _of_portal(services: Services, member_id: str, host: str) -> Iterator[Finding]:
    rules = services.playbook.assignment
    try:
        portal = services.open_portal(member_id)
        named = sorted({*rules.users, *([rules.fallback_user] if rules.fallback_user else [])})
        asked = {"users": reads.users(named)} if named else {}
        answers = portal.read({**asked, "departments": reads.departments()})
        yield Finding("rest", "ok", f"{host}: портал отвечает.", f"{host}: the portal answers.", member_id)
        people = {user.id: user for user in (answers["users"] if named else ())}
        for user_id in named:
            user = people.get(user_id)
            if user is None or not user.active:
                who = f"{user.name} ({user_id})" if user else str(user_id)
                yield Finding(
                    "people",
                    "warn",
                    f"{host}: в правилах распределения назван {who}: уволен или не найден. Исправьте [assignment].",
                    f"{host}: the rules name {who}: dismissed or not found. Correct [assignment].",
                    member_id,
                )
        yield from _of_department(portal, answers["departments"], rules, host)
    except B24AppError as error:
        yield Finding("rest", "bad", f"{host}: портал не отвечает: {error}", f"{host}: no answer: {error}", member_id)


def _of_department(
    portal: Portal, departments: Sequence[Department], rules: Assignment, host: str
) -> Iterator[Finding]:
    if rules.department is None:
        return
    named = [one for one in departments if rules.department in (one.id, one.name)]
    if not named:
        yield Finding(
            "people",
            "bad" if not rules.users else "warn",
            f"{host}: отдела «{rules.department}» нет. Назовите отдел портала в [assignment] department.",
            f"{host}: no department “{rules.department}”. Name one of the portal's in [assignment] department.",
            portal.member_id,
        )
        return
    ids = {one.id for one in named}
    while rules.sub_departments and (below := {d.id for d in departments if d.parent_id in ids} - ids):
        ids |= below
    people = portal.read({"people": reads.department_users(sorted(ids))})["people"]
    name = named[0].name
    if people:
        yield Finding(
            "people",
            "ok",
            f"{host}: в отделе «{name}» действующих сотрудников: {len(people)}.",
            f"{host}: active employees of “{name}”: {len(people)}.",
            portal.member_id,
        )
    else:
        yield Finding(
            "people",
            "bad" if not rules.users else "warn",
            f"{host}: в отделе «{name}» нет действующих сотрудников: назначать некого.",
            f"{host}: “{name}” has no active employee: nobody can be assigned.",
            portal.member_id,
        )
