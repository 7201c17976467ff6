"""What a portal looks like in the end, as lines that can be counted: a line less is lost, a line more is doubled.

Ids, times of the run and what changes with them are left out, so two runs of the same scene are the same lines.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from journeys.shop import Shop

from b24app.store import schema

Line = tuple[Any, ...]
CHECK_SMS = "Проверьте, дошло ли SMS"
NEVER_AGAIN = "повторять нельзя"
SPOKEN = ("record", "robots", "notice")
"""What tells of a message: that it went, or that nobody knows."""


def masked(text: Any) -> str:
    """The first line of a text without our marks and without anything that is counted."""
    first = re.sub(r"№[0-9a-f]{10}", "", str(text)).strip().partition("\n")[0]
    return re.sub(r"[0-9a-f]{16,}|\d+", "#", first)[:120]


def digest(shop: Shop) -> Counter[Line]:
    """Returns the final state: leads and clients, tasks, timelines, notices, calendars, robots' answers, SMS; what our
    own database still means to do, and what it gave up.
    """
    seen = shop.portal.state()
    lines: list[Line] = []
    names = {("lead", one["id"]): masked(one["title"]) for one in seen["leads"]}
    for kind in ("leads", "deals", "contacts"):
        lines += [
            (
                kind, masked(one.get("title") or one.get("name")), one["assignedById"], one.get("stageId"),
                bool(one.get("contactId")), tuple(one.get("observers") or ()),
            )
            for one in seen[kind]
        ]  # fmt: skip
    for task in seen["tasks"]:
        items = tuple((item["title"], item.get("done")) for item in task["checklist"])
        state = "closed" if task["status"] == 5 else "open"
        lines.append(("task", masked(task["title"]), task["responsible_id"], state, bool(task["crm"]), items))
    for one in seen["comments"]:
        about = (one["entity_type"].lower(), int(one["entity_id"]))
        lines.append(("record", about[0], names.get(about, ""), masked(one["text"])))
    lines += [("notice", one["user_id"], masked(one["tag"]), masked(one["text"])) for one in seen["notices"]]
    lines += [
        ("entry", one["owner_id"], masked(one["name"]), one["location"], one["from"], one["to"])
        for one in seen["calendar"]
    ]
    for run in seen["workflows"]:
        answers = tuple(sorted((name.partition(":")[2], masked(value)) for name, value in run["results"].items()))
        lines.append(("robots", tuple(run["robots"]), run["status"], answers))
    lines += [("sms", masked(one["msg"])) for one in shop.provider.sent]
    lines += own(shop)
    return Counter(lines)


def own(shop: Shop) -> list[Line]:
    """What our database says: visits, timers that wait, deliveries that failed or are not finished."""
    visits, timers, deliveries = schema.visits, schema.timers, schema.deliveries
    rows = shop.office.rows
    lines: list[Line] = [
        ("visit", row["round"], row["state"], row["shown"], row["measurer_id"], row["starts_at"].isoformat())
        for row in rows(
            sa.select(visits).where(visits.c.state.not_in(("proposed", "cancelled")) | (visits.c.shown != ""))
        )
    ]
    # that of a call may be set after the call's end, and then has nothing to do
    lasting = sa.select(timers.c.code).where(timers.c.code.not_in(("reconcile", "call_lost")))
    lines += [("timer", row["code"]) for row in rows(lasting)]
    lines += [
        ("delivery", row["code"], row["state"], masked(row["reason"]))
        for row in rows(sa.select(deliveries).where(deliveries.c.state.in_(("failed", "waiting", "running"))))
    ]
    return lines


@dataclass(frozen=True)
class Outcome:
    """What a run with a fault has less (lost) and more (doubled) than the run without."""

    lost: Counter[Line]
    doubled: Counter[Line]

    @property
    def good(self) -> bool:
        """Whether nothing is lost and nothing doubled."""
        return not self.lost and not self.doubled

    def __str__(self) -> str:
        return "\n".join([f"  - {line}" for line in self.lost] + [f"  + {line}" for line in self.doubled])


def compare(clean: Counter[Line], got: Counter[Line]) -> Outcome:
    """Compares two final states."""
    return Outcome(clean - got, got - clean)


def compare_in_doubt(clean: Counter[Line], got: Counter[Line]) -> Outcome:
    """The same where nobody knows whether one SMS went out: at most one did, and a person sees that he has to look.

    He has a task about a client's message, and a failed delivery with its reason about one to a colleague. What the
    message would have left behind (a record, a robot's «sent») does not count then.
    """
    outcome = compare(clean, got)
    told = [line for line in outcome.doubled if _asks_to_look(line)]
    if not told:
        return outcome  # then it must be as without any fault
    instead = Counter(dict.fromkeys(told, 1))
    lost = Counter({line: count for line, count in outcome.lost.items() if line[0] not in ("sms", *SPOKEN)})
    doubled = Counter({line: count for line, count in (outcome.doubled - instead).items() if line[0] not in SPOKEN})
    return Outcome(lost, doubled)


def _asks_to_look(line: Line) -> bool:
    return (line[0] == "task" and line[1].startswith(CHECK_SMS)) or (line[0] == "delivery" and NEVER_AGAIN in line[3])
