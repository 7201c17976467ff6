"""What on a portal needs a person, in words; every few minutes the portal's owner is told of what is new, each once.

`troubles` puts the counts of our tables in words: for the notice, for `doctor`, /health and the main page. What ends
and comes back is told again. No more than one notice an hour, with all that is new; outside office hours only what is
bad. The portal is asked nothing, but for people whom the rules name by number: once a day, who of them was dismissed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from b24app import distribution as desk
from b24app.bitrix import commands as write
from b24app.bitrix import reads
from b24app.bitrix.commands import Command
from b24app.bitrix.portal import Portal
from b24app.engine.declare import LATER, Nothing, TimerCall
from b24app.engine.declare import Timer as TimerDeclaration
from b24app.playbook import Playbook, Process
from b24app.rules.intake import plain
from b24app.rules.working_time import WorkCalendar
from b24app.store import alarms, tally
from b24app.store.memory import Memory
from b24app.store.tally import EventCount, PortalTally

CODE = "admin_notice"
NOT_OFTENER = timedelta(hours=1)
LAST = "admin_notice"
"""The cursor that says when the last notice was sent."""
HOURS_LIFE = timedelta(days=30)
PEOPLE_LIFE = timedelta(days=1)
LATE, VERY_LATE = timedelta(minutes=5), timedelta(minutes=30)
SILENT = timedelta(hours=2)
ROUNDS = 3
"""So many reconciliations one after another must find what no event told: one alone may have been faster."""
TOKEN_IDLE, TOKEN_LIFE = timedelta(days=150), timedelta(days=180)
"""A refresh token lives 180 days; one unused for 150 should be used (settings/oauth/auto-renewal.md)."""

Level = Literal["warn", "bad"]
EVENT_WORDS: Mapping[str, tuple[str, str]] = {
    "ONVOXIMPLANTCALLEND": ("звонки", "calls"),
    "ONCRMLEADADD": ("новые лиды", "new leads"),
    "ONCRMDEALADD": ("новые сделки", "new deals"),
    "ONCRMLEADUPDATE": ("переводы лидов", "moves of leads"),
    "ONCRMDEALUPDATE": ("переводы сделок", "moves of deals"),
}
"""The events that the reconciliation finds the lack of."""


@dataclass(frozen=True)
class Trouble:
    """Something that needs a person. `name` tells it from others of its key; told again when it is worse `since`."""

    key: str
    name: str
    level: Level
    ru: str
    en: str
    since: datetime | None = None


@dataclass(frozen=True)
class Facts:
    """What stands now and what was told; `hours` are the office's as the portal said last."""

    owner_id: int
    link: str
    public_url: str
    playbook: Playbook
    hours: WorkCalendar
    now: datetime
    troubles: tuple[Trouble, ...] = ()
    told: Mapping[str, datetime] = field(default_factory=dict)
    last_at: datetime | None = None


@dataclass(frozen=True)
class Told:
    """The notice, and what it tells of."""

    user_id: int
    text: str
    tag: str
    names: tuple[str, ...]


# what needs a person


def troubles(seen: PortalTally, playbook: Playbook, public_url: str, now: datetime) -> Iterator[Trouble]:
    """Yields what of this portal needs a person, as far as our own tables say it."""
    for alarm in seen.alarms:
        words = alarm.text.get("ru", ""), alarm.text.get("en", "")
        yield Trouble("alarm", f"alarm:{alarm.key}", "warn", *words, since=alarm.since)
    yield from _late(seen, now)
    yield from _silent(seen.events, playbook.hours.calendar(), public_url, now)
    yield from _gone(seen.gone, playbook)
    for token in seen.tokens:
        idle = now - token.updated_at
        if token.dead_at is None and idle >= TOKEN_IDLE:
            left = max(0, (TOKEN_LIFE - idle).days)
            yield Trouble(
                "token",
                f"token:{token.user_id}",
                "warn",
                f"Доступ сотрудника {token.user_id} не обновлялся дней: {idle.days}, истечёт через: {left}. Пусть он "
                "откроет приложение: доступ обновится.",
                f"The access of employee {token.user_id} was not renewed for days: {idle.days}, it ends in: {left}. "
                "Let him open the application: that renews it.",
            )


def _late(seen: PortalTally, now: datetime) -> Iterator[Trouble]:
    late = now - seen.waiting.due_at if seen.waiting.due_at else timedelta()
    if late >= LATE:
        count, minutes = seen.waiting.count, int(late.total_seconds() // 60)
        yield Trouble(
            "deliveries",
            "deliveries",
            "bad" if late >= VERY_LATE else "warn",
            f"Обращений ждёт: {count}, самое давнее опаздывает на {minutes} мин. Работает ли `b24app worker`?",
            f"Deliveries waiting: {count}, the oldest is {minutes} min late. Is `b24app worker` running?",
        )


def _silent(events: Mapping[str, EventCount], hours: WorkCalendar, public_url: str, now: datetime) -> Iterator[Trouble]:
    """Events of a kind do not arrive: the reconciliation finds them again and again, and none came for hours."""
    lacking = {
        code: count
        for code, count in events.items()
        if count.rounds >= ROUNDS and (count.last_at is None or count.last_at <= now - SILENT)
    }
    if not lacking:
        return
    parts: tuple[list[str], list[str]] = ([], [])
    for code, count in sorted(lacking.items()):
        at = f"{count.last_at.astimezone(hours.zone):%d.%m %H:%M}" if count.last_at else ""
        ru, en = EVENT_WORDS.get(code, (code, code))
        parts[0].append(f"{ru} ({f'последнее {at}' if at else 'ни одного'})")
        parts[1].append(f"{en} ({f'the last {at}' if at else 'never one'})")
    yield Trouble(
        "events",
        "events",
        "bad",
        f"События портала не приходят: {', '.join(parts[0])}. Обращения находит сверка, с опозданием до 5 минут. "
        f"Проверьте, что {public_url}/event доступен из интернета и что установка закончена, и нажмите «Проверить "
        "подключение» на странице приложения: события привяжутся заново.",
        f"Events of the portal do not arrive: {', '.join(parts[1])}. The reconciliation finds the enquiries, up to 5 "
        f"minutes late. Check that {public_url}/event can be reached from the internet and that the installation is "
        "finished, and press “Check the connection” on the application's page: the events are bound again.",
    )


def _gone(gone: Mapping[int, str], playbook: Playbook) -> Iterator[Trouble]:
    named = named_people(playbook)
    found = [(id, gone[id]) for id in sorted(named) if id in gone]
    if found:
        people = ", ".join(f"{plain(name)} ({id}): {', '.join(named[id])}" for id, name in found)
        yield Trouble(
            "people",
            f"people:{','.join(str(id) for id, _ in found)}",
            "warn",
            f"В сценарии названы уволенные или неизвестные люди — {people}. Исправьте файл сценария и перезапустите.",
            f"The playbook names people who are dismissed or unknown: {people}. Correct its file and restart.",
        )


def named_people(playbook: Playbook) -> dict[int, list[str]]:
    """Returns the people whom the playbook names by number, and where."""
    rules, measurement, sms = playbook.assignment, playbook.measurement, playbook.intake.missed_call_sms
    named: list[tuple[int | None, str]] = [(id, "[assignment] users") for id in rules.users]
    named.append((rules.fallback_user, "[assignment] fallback_user"))
    if sms is not None and sms.to != "head":
        named += [(id, "[intake] missed_call_sms") for id in sms.to]
    if measurement is not None:
        named += [(id, "[measurement] users") for id in measurement.users]
        named += [(rule.user, "[[measurement.measurers]]") for rule in measurement.measurers]
    named += [*_responsible("lead", playbook.lead), *_responsible("deal", playbook.deal)]
    places: dict[int, list[str]] = {}
    for id, place in named:
        if id is not None and place not in places.setdefault(id, []):
            places[id].append(place)
    return places


def _responsible(kind: str, process: Process) -> Iterator[tuple[int, str]]:
    for _, rule in process.task_rules():
        if isinstance(rule.responsible, int):
            yield rule.responsible, f"[{kind}] {rule.key}"


def look_for_people(portal: Portal) -> None:
    """Asks the portal who of the people in the rules is dismissed or unknown, and keeps that for everybody who shows
    it."""
    named = sorted(named_people(portal.playbook))
    pages = {f"people_{at}": reads.users(named[at : at + reads.PAGE]) for at in range(0, len(named), reads.PAGE)}
    found = portal.read(pages) if pages else {}
    people = {user.id: user for label in found for user in found[label]}
    gone = {
        str(id): people[id].name if id in people else "?" for id in named if id not in people or not people[id].active
    }
    with portal.database.write() as connection:
        memory = Memory(portal.database, connection, portal.member_id)
        memory.keep_snapshot(tally.PEOPLE, {"asked": named, "gone": gone})


# the notice


def read(portal: Portal, call: TimerCall) -> Facts:
    """Asks for the people of the rules where that is a day old or the rules changed; else nothing."""
    named, queue = sorted(named_people(portal.playbook)), desk.pool_of(portal.playbook).queue
    with portal.memory() as memory:
        people = memory.snapshot(tally.PEOPLE, not_older_than=PEOPLE_LIFE) or {"asked": []}
        team = memory.snapshot(f"team:{queue}"[:64], not_older_than=HOURS_LIFE)
    if people["asked"] != named:
        look_for_people(portal)
    hours = desk.TEAM.validate_python(team).hours if team is not None else portal.playbook.hours.calendar()
    link = f"{portal.url}{portal.app_path()}"
    return Facts(portal.owner_id, link, portal.public_url, portal.playbook, hours, portal.now)


def recall(memory: Memory, facts: Facts) -> Facts:
    """Adds what stands and what was told; what is over is forgotten here, since it must be told when it comes back."""
    seen, told, last_at = tally.of_portal(memory), alarms.told(memory), memory.cursor(LAST)
    found = (*troubles(seen, facts.playbook, facts.public_url, facts.now), *_failed(seen))
    alarms.forget_told(memory, told.keys() - {trouble.name for trouble in found})
    return replace(
        facts, troubles=found, told=told, last_at=datetime.fromisoformat(last_at) if last_at is not None else None
    )


def _failed(seen: PortalTally) -> Iterator[Trouble]:
    """Deliveries that failed and that nobody acted on; a notice of ours that failed is no reason for another one."""
    left = {code: failed for code, failed in seen.failed.items() if failed.left_alone and code != CODE}
    if left:
        codes = ", ".join(f"{code}: {failed.left_alone}" for code, failed in sorted(left.items()))
        yield Trouble(
            "failed",
            "failed",
            "warn",
            f"Не удалось обращений — {codes}. На странице приложения причина у каждого, «Ещё раз» и «Оставить».",
            f"Deliveries failed: {codes}. The application's page tells why, with “Retry” and “Leave it”.",
            since=max(failed.newest_at for failed in left.values() if failed.newest_at),
        )


def decide(facts: Facts) -> Told | Nothing:
    """Tells what is new and stands for a while, unless it can wait."""
    new = [trouble for trouble in facts.troubles if _is_new(trouble, facts)]
    if not new:
        return Nothing("ничего нового / nothing new")
    if facts.last_at is not None and facts.now - facts.last_at < NOT_OFTENER:
        return Nothing("не чаще раза в час / not more often than once an hour")
    if not facts.hours.is_open(facts.now):
        new = [trouble for trouble in new if trouble.level == "bad"]
    if not new:
        return Nothing("ждёт до утра / it waits for the morning")
    lines = [
        "[B]Приложению нужен человек[/B]",
        *(f"— {trouble.ru}" for trouble in new),
        f"[URL={facts.link}]Открыть приложение[/URL]",
        "",
        "[B]The application needs a person[/B]",
        *(f"— {trouble.en}" for trouble in new),
    ]
    names = tuple(trouble.name for trouble in new)
    tag = names[0] if len(names) == 1 else hashlib.sha256("|".join(names).encode()).hexdigest()[:10]
    return Told(facts.owner_id, "\n".join(lines), f"needs:{tag}", names)


def _is_new(trouble: Trouble, facts: Facts) -> bool:
    """What has just come may pass by itself, late work first of all; it was not told then, and is told later."""
    if trouble.key == "deliveries" and trouble.level != "bad":
        return False
    told_at = facts.told.get(trouble.name)
    if trouble.since is None:
        return told_at is None
    settled = trouble.since + tally.LEFT_ALONE
    return settled <= facts.now and (told_at is None or settled > told_at)


def remember(memory: Memory, decision: Told) -> None:
    """Keeps what is told, and when."""
    alarms.keep_told(memory, decision.names)
    memory.move_cursor(LAST, memory.now.isoformat())


def act(decision: Told) -> list[Command]:
    """Returns the notice."""
    return [write.notify(decision.user_id, decision.text, tag=decision.tag, label="notice")]


TIMER = TimerDeclaration(
    code=CODE,
    priority=LATER,
    decision=Told,
    read=read,
    recall=recall,
    decide=decide,
    remember=remember,
    act=act,
)
