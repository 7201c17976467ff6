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
from b24app.store.portals import StorageDown, all_portals
from handlers.admin_notice import look_for_people

_MARKS = {"ok": "✔", "warn": "!", "bad": "✘"}


def examine(services: Services) -> int:
    """Prints every finding; returns 0 when nothing needs a person, else 1."""
    asked: list[Finding] = []
    try:
        portals = all_portals(services.database)
    except StorageDown:
        portals = {}  # what is wrong with the database is a finding
    for row in portals.values():
        if row.active:
            asked += _of_portal(services, row.member_id, row.host)
    found = [*findings(services), *asked]  # after the look: what it learns of people is among them
    for finding in found:
        sys.stdout.write(f"{_MARKS[finding.level]} {finding.ru}\n  {finding.en}\n")
    return 0 if all(finding.level == "ok" for finding in found) else 1


def _of_portal(services: Services, member_id: str, host: str) -> Iterator[Finding]:
    try:
        portal = services.open_portal(member_id)
        answers = portal.read({"departments": reads.departments()})
        yield Finding("rest", "ok", f"{host}: портал отвечает.", f"{host}: the portal answers.", member_id)
        look_for_people(portal)
        yield from _of_department(portal, answers["departments"], services.playbook.assignment, host)
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
