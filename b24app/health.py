"""What works and what needs a person, read from our own database: one source for GET /health, the pages and `doctor`.

    findings(services)            -> list[Finding]     the whole, worst first; asks no portal and never raises
    is_serving(findings)          -> bool              False: answer 503, nothing can be accepted or worked on

A finding's `key` is stable (`database`, `version`, `disk`, `redis`, `portal`, `scope`, `plan`, `token`, `deliveries`,
`failed`, `timers`, `clock`, `events`, `people`, `limits`, `alarm`, `sms`, `visits`); level `ok`, `warn` (a person
should look) or `bad` (something does not work). What the portal's owner is told too is worded in
handlers/admin_notice.py.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import redis as redis_client
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from b24app.bitrix.limits import ENTERPRISE, STANDARD
from b24app.config import PortalSection, Settings
from b24app.rules.confirmation import AGREED
from b24app.services import Services
from b24app.store import schema, tally
from b24app.store.database import Database
from b24app.store.portals import PortalRow, all_portals
from b24app.store.tally import PortalTally
from handlers.admin_notice import LATE, troubles
from install.carry_out import FREE_PLANS
from install.wanted import EVENT_WORDS, missing_scopes

Level = Literal["ok", "warn", "bad"]

CLOCK_SILENT = timedelta(minutes=2)
REASONS_SHOWN = 5
EVENTS_SHOWN = 6
LITTLE_SPACE = 1_000_000_000
LITTLE_PART = 0.05
"""Less than either on the disk is little: SQLite needs room beside the file while it writes."""

LIMITS = "b24app:limits"
"""How the names of the limits' keys in Redis begin (bitrix/limits.py)."""

_WORST_FIRST = {"bad": 0, "warn": 1, "ok": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that works or does not, in words for a person."""

    key: str
    level: Level
    ru: str
    en: str
    member_id: str = ""


def findings(services: Services, now: datetime | None = None) -> list[Finding]:
    """Returns everything that is known of our state, the worst first."""
    now = now or datetime.now(UTC)
    try:
        found = [*_of_database(services, now), *_limits(services, now)]
    except sa.exc.SQLAlchemyError as error:
        reason = str(error.args[0]) if error.args else type(error).__name__
        found = [
            Finding(
                "database",
                "bad",
                f"База данных не отвечает: {reason}. Проверьте [database] url, место на диске и права на файл.",
                f"The database does not answer: {reason}. Check [database] url, free disk space, access to the file.",
            )
        ]
    found.append(_redis(services.redis))
    found += [*_sms(services), *_disk(services.settings)]
    return sorted(found, key=lambda finding: _WORST_FIRST[finding.level])


def is_serving(found: Sequence[Finding]) -> bool:
    """Tells whether requests can be accepted: the database answers and its schema is ours."""
    return not any(finding.key == "database" and finding.level == "bad" for finding in found)


def open_deliveries(database: Database) -> int:
    """Returns how many deliveries are due or being worked on now; those postponed to a later time are not counted."""
    table = schema.deliveries
    due = sa.and_(table.c.state.in_(("waiting", "running")), table.c.due_at <= datetime.now(UTC))
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(due)).scalar_one()


@cache
def version() -> str:
    """Returns our version; an application that runs from its folder is not known to the environment."""
    file = Path(__file__).parent.parent / "pyproject.toml"
    if file.is_file():
        return str(tomllib.loads(file.read_text("utf-8"))["project"]["version"])
    return importlib.metadata.version("b24app")


def _of_database(services: Services, now: datetime) -> Iterator[Finding]:
    with services.database.read() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    yield Finding(
        "version",
        "ok",
        f"b24app {version()}, схема базы данных {revision}.",
        f"b24app {version()}, database schema {revision}.",
    )
    if not services.database.is_migrated():
        yield Finding(
            "database",
            "bad",
            "Схема базы данных не та, которую ждёт эта версия: запустите любую команду b24app этой версии заново.",
            "The database's schema is not this version's: start any b24app command of this version again.",
        )
        return
    yield Finding("database", "ok", "База данных отвечает, схема новейшая.", "The database answers, its schema is new.")
    portals, playbook = all_portals(services.database), services.playbook
    measures, zone = playbook.measurement is not None, ZoneInfo(playbook.hours.time_zone)
    for portal in services.settings.portals:
        row = next((row for row in portals.values() if row.client_id == portal.client_id), None)
        yield from _portal(portal, row, measures)
    with services.database.read() as connection:
        for member_id, seen in tally.of_portals(connection, now).items():
            host = portals[member_id].host
            for trouble in troubles(seen, playbook, services.settings.app.public_url, now):
                ru, en = f"{host}: {trouble.ru}", f"{host}: {trouble.en}"
                yield Finding(trouble.key, trouble.level, ru, en, member_id)
            if seen.failed:
                yield _failed(connection, seen, host, member_id)
            for key, level, ru, en in (*_work(seen, zone, now), *_events(seen, zone), *_tokens(seen, now)):
                yield Finding(key, level, f"{host}: {ru}", f"{host}: {en}", member_id)
        yield _clock(tally.beat_of(connection), now)
        if measures:
            yield from _visits(connection, portals, zone, now)


def _redis(client: redis_client.Redis) -> Finding:
    try:
        client.ping()
    except redis_client.RedisError as error:
        why = type(error).__name__
        return Finding(
            "redis",
            "warn",
            f"Redis не отвечает ({why}): работа идёт, но медленнее. Запущен ли `b24app run`, верен ли [redis] url?",
            f"Redis does not answer ({why}): work goes on, but slower. Is `b24app run` up, is [redis] url right?",
        )
    return Finding("redis", "ok", "Redis отвечает.", "Redis answers.")


def _sms(services: Services) -> Iterator[Finding]:
    """Says when a message is wanted and cannot go; a gateway that takes none is an alarm, raised where it was asked."""
    url, measurement = services.settings.sms.url, services.playbook.measurement
    if url:
        host = urlsplit(url).netloc
        yield Finding("sms", "ok", f"SMS отправляет {host}.", f"SMS go by {host}.")
    elif services.playbook.intake.missed_call_sms is not None:
        yield Finding(
            "sms",
            "bad",
            "Сценарий велит слать SMS о пропущенных ([intake] missed_call_sms), а шлюза нет: заполните [sms] в "
            "config.toml.",
            "The playbook wants SMS on missed calls, and there is no gateway: fill in [sms] in config.toml.",
        )
    elif measurement is not None and measurement.sms:
        yield Finding(
            "sms",
            "warn",
            "Сценарий шлёт клиентам SMS о замере ([measurement] sms), а шлюза нет: заполните [sms] в config.toml или "
            'уберите текст (sms = "").',
            "The playbook sends clients SMS on measurements ([measurement] sms), and there is no gateway: fill in "
            '[sms] in config.toml, or take the text away (sms = "").',
        )


@dataclass(frozen=True)
class Disk:
    """A folder of ours and the room on its disk, in bytes."""

    folder: Path
    free: int
    size: int


def disks(settings: Settings) -> dict[str, Disk]:
    """Returns where we write: `data` is [run] data, `database` the folder of an SQLite file."""
    folders = {"data": Path(settings.run.data)}
    parsed = sa.make_url(settings.database.url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        folders["database"] = Path(parsed.database).parent
    found = {}
    for name, folder in folders.items():
        there = folder.resolve()
        while not there.exists() and there != there.parent:  # made when it is first needed
            there = there.parent
        usage = shutil.disk_usage(there)
        found[name] = Disk(there, usage.free, usage.total)
    return found


def _disk(settings: Settings) -> Iterator[Finding]:
    try:
        found = disks(settings)
    except OSError as error:
        yield Finding("disk", "warn", f"Место на диске не узнать: {error}.", f"No disk space is told: {error}.")
        return
    for disk in {(disk.free, disk.size): disk for disk in found.values()}.values():  # one disk, one line
        part = disk.free / disk.size if disk.size else 1.0
        room = f"{disk.folder}: {disk.free / 1e9:.1f}"
        if disk.free < LITTLE_SPACE or part < LITTLE_PART:
            yield Finding(
                "disk",
                "warn",
                f"На диске мало места, {room} ГБ ({part:.0%}). Освободите его: без места база ничего не примет.",
                f"Little room on the disk, {room} GB ({part:.0%}). Make some: without it nothing can be accepted.",
            )
        else:
            yield Finding(
                "disk", "ok", f"Место на диске, {room} ГБ ({part:.0%}).", f"Room on the disk, {room} GB ({part:.0%})."
            )


@dataclass(frozen=True)
class Used:
    """What of a portal's limits is used: requests in the bucket, methods that rest and until when, or a stop."""

    requests: float
    capacity: int
    parked: Mapping[str, datetime]
    stopped: bool


def limits_used(services: Services, portals: Mapping[str, PortalRow], now: datetime) -> dict[str, Used]:
    """Returns what is used of the active portals' limits, as all our processes count it in Redis; empty without it."""
    members = [row.member_id for row in portals.values() if row.active]
    found: dict[str, Used] = {}
    try:
        parked: dict[str, dict[str, datetime]] = {}
        for key in services.redis.scan_iter(match=f"{LIMITS}:*:parked:*", count=1000):
            member_id, _, method = key.decode().removeprefix(f"{LIMITS}:").split(":", 2)
            until = services.redis.get(key)
            if until:
                parked.setdefault(member_id, {})[method] = datetime.fromtimestamp(float(until), UTC)
        asked = services.redis.pipeline(transaction=False)
        for member_id in members:
            asked.hmget(f"{LIMITS}:{member_id}:bucket", "level", "at")
            asked.exists(f"{LIMITS}:{member_id}:stop")
        answers = asked.execute()
    except redis_client.RedisError:
        return {}
    for number, member_id in enumerate(members):
        (level, at), stopped = answers[2 * number : 2 * number + 2]
        bucket = ENTERPRISE if portals[member_id].facts.get("license_family") == "ent" else STANDARD
        leaked = bucket.leak * (now.timestamp() - float(at)) if at else 0.0
        requests = max(0.0, float(level or 0) - max(0.0, leaked))
        found[member_id] = Used(requests, bucket.capacity, parked.get(member_id, {}), bool(stopped))
    return found


def _limits(services: Services, now: datetime) -> Iterator[Finding]:
    """Says how much of the portals' limits is used. A stop is an alarm too, and a method that rests comes back."""
    portals, zone = all_portals(services.database), ZoneInfo(services.playbook.hours.time_zone)
    for member_id, used in limits_used(services, portals, now).items():
        host = portals[member_id].host
        rests = ", ".join(f"{name} {at.astimezone(zone):%H:%M}" for name, at in sorted(used.parked.items()))
        stop = ("", "")
        if used.stopped:
            stop = (
                " Портал остановил REST: напишите в поддержку Битрикс24.",
                " The portal stopped REST: ask its support.",
            )
        yield Finding(
            "limits",
            "bad" if used.stopped else "ok",
            f"{host}: запросов в счётчике портала: {used.requests:.0f} из {used.capacity}; методы на паузе: "
            f"{rests or 'нет'}.{stop[0]}",
            f"{host}: requests in the portal's bucket: {used.requests:.0f} of {used.capacity}; methods that rest: "
            f"{rests or 'none'}.{stop[1]}",
            member_id,
        )


def _portal(configured: PortalSection, row: PortalRow | None, measures: bool) -> Iterator[Finding]:
    host = configured.host
    if row is None:
        yield Finding(
            "portal",
            "warn",
            f"{host}: приложение ещё не установлено. Откройте его в портале от имени администратора.",
            f"{host}: not installed yet. Open the application in the portal as an administrator.",
        )
        return
    if not row.active:
        yield Finding(
            "portal",
            "warn",
            f"{host}: приложение удалено из портала; данные сохранены.",
            f"{host}: removed from the portal; its data is kept.",
            row.member_id,
        )
        return
    yield Finding(
        "portal",
        "ok",
        f"{row.host}: установлено {row.installed_at:%d.%m.%Y}.",
        f"{row.host}: installed {row.installed_at:%Y-%m-%d}.",
        row.member_id,
    )
    facts = row.facts
    for scope in missing_scopes(frozenset(facts.get("scope", ()))) if facts else ():
        ru, en = scope.purpose["ru"], scope.purpose["en"]
        stops = measures and scope.name == "calendar"
        if stops:
            ru, en = f"{ru}; без него никого не записать на замер", f"{en}; no measurement can be booked without it"
        yield Finding(
            "scope",
            "bad" if scope.essential or stops else "warn",
            f"{row.host}: нет права «{scope.name}» ({ru}). Отметьте его в карточке приложения и "
            "откройте приложение от имени администратора.",
            f"{row.host}: no permission “{scope.name}” ({en}). Tick it in the application's card and "
            "open the application as an administrator.",
            row.member_id,
        )
    plan = str(facts.get("license") or "?")
    if facts.get("payment_expired"):
        yield Finding(
            "plan",
            "bad",
            f"{row.host}: подписка портала закончилась, REST не работает (тариф {plan}).",
            f"{row.host}: the portal's subscription has ended, REST does not work (plan {plan}).",
            row.member_id,
        )
    elif facts.get("license_family") in FREE_PLANS:
        yield Finding(
            "plan",
            "warn",
            f"{row.host}: тариф {plan}: REST и роботы работают только на оплаченном.",
            f"{row.host}: plan {plan}: REST and robots work on a paid one only.",
            row.member_id,
        )
    elif facts.get("license"):
        yield Finding("plan", "ok", f"{row.host}: тариф {plan}.", f"{row.host}: plan {plan}.", row.member_id)


Told = tuple[str, Level, str, str]
"""A finding of a portal without its name: key, level, Russian, English."""


def _work(seen: PortalTally, zone: ZoneInfo, now: datetime) -> Iterator[Told]:
    """What waits and what is set, where it is in time; late deliveries are a trouble already."""
    waiting, timers = seen.waiting, seen.timers
    if waiting.due_at is None or now - waiting.due_at < LATE:
        at = f"{waiting.oldest_at.astimezone(zone):%d.%m %H:%M}" if waiting.oldest_at else ""
        ru, en = (f", самое раннее пришло {at}", f", the oldest came {at}") if at else ("", "")
        yield (
            "deliveries",
            "ok",
            f"обращений в работе: {waiting.count}{ru}.",
            f"deliveries in work: {waiting.count}{en}.",
        )
    if not seen.failed:
        yield "failed", "ok", "неудавшихся обращений нет.", "no delivery has failed."
    if timers.late and timers.next_at:
        at = f"{timers.next_at.astimezone(zone):%d.%m %H:%M}"
        yield (
            "timers",
            "warn",
            f"опаздывает таймеров: {timers.late}, самый давний с {at}. Работает ли `b24app clock`?",
            f"timers late: {timers.late}, the first since {at}. Is `b24app clock` running?",
        )


def _events(seen: PortalTally, zone: ZoneInfo) -> Iterator[Told]:
    """When events came last, by kind, beside what was found without one; too much of that is a trouble already."""
    counts = sorted(seen.events.items())
    last = sorted(((count.last_at, code) for code, count in counts if count.last_at is not None), reverse=True)

    def words(language: str) -> tuple[str, str]:
        def name(code: str) -> str:
            return EVENT_WORDS[code][language] if code in EVENT_WORDS else code

        came = [f"{name(code)} {at.astimezone(zone):%d.%m %H:%M}" for at, code in last[:EVENTS_SHOWN]]
        lost = [f"{name(code)} {count.found}" for code, count in counts if count.found]
        return ", ".join(came), ", ".join(lost)

    (came_ru, lost_ru), (came_en, lost_en) = words("ru"), words("en")
    yield (
        "events",
        "ok",
        f"последние события: {came_ru or 'ещё не было'}; сверка нашла без событий: {lost_ru or 'ничего'}.",
        f"the last events: {came_en or 'none yet'}; found without an event: {lost_en or 'nothing'}.",
    )


def _tokens(seen: PortalTally, now: datetime) -> Iterator[Told]:
    """Whose tokens live; one that is unused for long is a trouble already."""
    alive = [token for token in seen.tokens if token.dead_at is None]
    dead = [token for token in seen.tokens if token.dead_at is not None]
    if not alive:
        why = next((f" ({token.dead_reason})" for token in dead if token.dead_reason), "")
        yield (
            "token",
            "bad",
            f"нет действующего доступа{why}. Откройте приложение в портале от имени администратора — доступ обновится.",
            f"no working access{why}. Open the application in the portal as an administrator: the access is renewed.",
        )
        return
    for token in dead:
        yield (
            "token",
            "warn",
            f"доступ сотрудника {token.user_id} больше не действует ({token.dead_reason}).",
            f"the access of employee {token.user_id} works no more ({token.dead_reason}).",
        )
    days = (now - max(token.updated_at for token in alive)).days
    spare = len(alive) > 1
    yield (
        "token",
        "ok",
        f"доступ есть, обновлён дней назад: {days}; "
        + ("запасной тоже есть." if spare else "запасного нет: пусть приложение откроет ещё один администратор."),
        f"access works, renewed days ago: {days}; "
        + ("there is a spare one too." if spare else "no spare: let one more administrator open the application."),
    )


def _failed(connection: sa.Connection, seen: PortalTally, host: str, member_id: str) -> Finding:
    table = schema.deliveries
    count = sum(failed.count for failed in seen.failed.values())
    rows = connection.execute(
        sa.select(table.c.id, table.c.code, table.c.entity, table.c.reason)
        .where(table.c.member_id == member_id, table.c.state == "failed")
        .order_by(table.c.id.desc())
        .limit(REASONS_SHOWN)
    )
    shown = "; ".join(f"№ {row.id} {row.code} {row.entity}: {row.reason or '?'}" for row in rows)
    return Finding(
        "failed",
        "warn",
        f"{host}: не удалось обращений: {count}. Последние: {shown}. Повторить или оставить их можно на странице "
        "приложения.",
        f"{host}: deliveries failed: {count}. The last: {shown}. Retry or give them up on the application's page.",
        member_id,
    )


def _clock(beat: datetime | None, now: datetime) -> Finding:
    if beat is None:
        return Finding(
            "clock",
            "warn",
            "Часы ещё ни разу не запускались: нужен `b24app clock` (или `b24app run`).",
            "The clock has never run: `b24app clock` (or `b24app run`) is needed.",
        )
    if now - beat > CLOCK_SILENT:
        return Finding(
            "clock",
            "bad",
            f"Часы молчат с {beat:%d.%m.%Y %H:%M} UTC: нужен `b24app clock` (или `b24app run`).",
            f"The clock is silent since {beat:%Y-%m-%d %H:%M} UTC: `b24app clock` (or `b24app run`) is needed.",
        )
    return Finding("clock", "ok", "Часы идут.", "The clock is running.")


_LOST = {
    "absent": ("их замерщик отсутствует", "their measurer is away"),
    "gone": ("их замерщик больше не замерщик", "their measurer is none any more"),
}


def _visits(
    connection: sa.Connection, portals: dict[str, PortalRow], zone: ZoneInfo, now: datetime
) -> Iterator[Finding]:
    """Says how many visits to come lost their measurer; one that is over and has no result yet is no trouble."""
    table = schema.visits
    lost = (table.c.problem != "", table.c.state.in_(AGREED), table.c.ends_at > now)
    first = sa.func.min(table.c.starts_at)
    query = sa.select(table.c.member_id, table.c.problem, sa.func.count(), first).where(*lost)
    for member_id, problem, count, at in connection.execute(
        query.group_by(table.c.member_id, table.c.problem).order_by(first)
    ):
        portal = portals.get(member_id)
        if portal is None or not portal.active:
            continue
        ru, en = _LOST.get(problem, (problem, problem))
        day = at.astimezone(zone)
        yield Finding(
            "visits",
            "warn",
            f"{portal.host}: замерам нужен другой замерщик, {ru}: {count}, ближайший {day:%d.%m %H:%M}. Перенесите их "
            "на «Графике замеров».",
            f"{portal.host}: measurements need another measurer, {en}: {count}, the first {day:%d.%m %H:%M}. Move them "
            "on the board “Measurements”.",
            member_id,
        )
