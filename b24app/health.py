"""What works and what needs a person, read from our own database: one source for GET /health, the pages and `doctor`.

    findings(services)            -> list[Finding]     the whole, worst first; asks no portal and never raises
    is_serving(findings)          -> bool              False: answer 503, nothing can be accepted or worked on

A finding's `key` is stable (`database`, `redis`, `portal`, `token`, `scope`, `plan`, `deliveries`, `failed`, `timers`,
`clock`, `alarm`, `sms`, `visits`); level `ok`, `warn` (a person should look) or `bad` (something does not work).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import redis as redis_client
import sqlalchemy as sa

from b24app.config import PortalSection
from b24app.engine.clock import BEAT
from b24app.rules.confirmation import AGREED
from b24app.services import Services
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.portals import PortalRow, all_portals
from install.wanted import missing_scopes

Level = Literal["ok", "warn", "bad"]

LATE = timedelta(minutes=5)
VERY_LATE = timedelta(minutes=30)
TIMER_LATE = timedelta(minutes=2)
CLOCK_SILENT = timedelta(minutes=2)
TOKEN_IDLE = timedelta(days=150)
"""A refresh token lives 180 days; one unused for this long should be used (settings/oauth/auto-renewal.md)."""
REASONS_SHOWN = 5

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
        found = list(_of_database(services, now))
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
    found += _sms(services)
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


def _of_database(services: Services, now: datetime) -> Iterator[Finding]:
    if not services.database.is_migrated():
        yield Finding(
            "database",
            "bad",
            "Схема базы данных не та, которую ждёт эта версия: запустите любую команду b24app этой версии заново.",
            "The database's schema is not this version's: start any b24app command of this version again.",
        )
        return
    yield Finding("database", "ok", "База данных отвечает, схема новейшая.", "The database answers, its schema is new.")
    portals = all_portals(services.database)
    configured, measures = services.settings.portals, services.playbook.measurement is not None
    for portal in configured:
        row = next((row for row in portals.values() if row.client_id == portal.client_id), None)
        yield from _portal(portal, row, measures)
    with services.database.read() as connection:
        for row in portals.values():
            if row.active:
                yield from _tokens(connection, row, now)
        yield from _deliveries(connection, now)
        yield from _failed(connection)
        yield from _times(connection, now)
        yield from _alarms(connection, portals)
        if measures:
            yield from _visits(connection, portals, ZoneInfo(services.playbook.hours.time_zone), now)


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
    url = services.settings.sms.url
    wanted = services.playbook.intake.missed_call_sms is not None
    if url:
        host = urlsplit(url).netloc
        yield Finding("sms", "ok", f"SMS отправляет {host}.", f"SMS go by {host}.")
    elif wanted:
        yield Finding(
            "sms",
            "bad",
            "Сценарий велит слать SMS о пропущенных ([intake] missed_call_sms), а шлюза нет: заполните [sms] в "
            "config.toml.",
            "The playbook wants SMS on missed calls, and there is no gateway: fill in [sms] in config.toml.",
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
    if facts.get("payment_expired"):
        yield Finding(
            "plan",
            "bad",
            f"{row.host}: подписка портала закончилась, REST не работает.",
            f"{row.host}: the portal's subscription has ended, REST does not work.",
            row.member_id,
        )


def _tokens(connection: sa.Connection, portal: PortalRow, now: datetime) -> Iterator[Finding]:
    rows = list(
        connection.execute(sa.select(schema.tokens).where(schema.tokens.c.member_id == portal.member_id)).mappings()
    )
    alive = [row for row in rows if row["dead_at"] is None]
    if not alive:
        why = next((row["dead_reason"] for row in rows if row["dead_reason"]), "")
        yield Finding(
            "token",
            "bad",
            f"{portal.host}: нет действующего доступа{f' ({why})' if why else ''}. Откройте приложение в портале от "
            "имени администратора — доступ обновится.",
            f"{portal.host}: no working access{f' ({why})' if why else ''}. Open the application in the portal as an "
            "administrator: the access is renewed.",
            portal.member_id,
        )
        return
    for row in rows:
        if row["dead_at"] is not None:
            yield Finding(
                "token",
                "warn",
                f"{portal.host}: доступ сотрудника {row['user_id']} больше не действует ({row['dead_reason']}).",
                f"{portal.host}: the access of employee {row['user_id']} works no more ({row['dead_reason']}).",
                portal.member_id,
            )
    if max(row["updated_at"] for row in alive) < now - TOKEN_IDLE:
        yield Finding(
            "token",
            "warn",
            f"{portal.host}: доступ не обновлялся больше {TOKEN_IDLE.days} дней и скоро истечёт. Откройте приложение.",
            f"{portal.host}: the access was not renewed for over {TOKEN_IDLE.days} days and ends soon. Open the "
            "application.",
            portal.member_id,
        )
    elif len(alive) == 1:
        yield Finding(
            "token",
            "ok",
            f"{portal.host}: доступ есть, запасного нет: пусть приложение откроет ещё один администратор.",
            f"{portal.host}: access works, no spare: let one more administrator open the application.",
            portal.member_id,
        )
    else:
        yield Finding(
            "token",
            "ok",
            f"{portal.host}: доступ есть, и запасной тоже.",
            f"{portal.host}: access works, and there is a spare one.",
            portal.member_id,
        )


def _deliveries(connection: sa.Connection, now: datetime) -> Iterator[Finding]:
    table = schema.deliveries
    waiting, due_at = connection.execute(
        sa.select(sa.func.count(), sa.func.min(table.c.due_at)).where(table.c.state.in_(("waiting", "running")))
    ).one()
    late = now - due_at if due_at else timedelta()
    if late < LATE:
        yield Finding("deliveries", "ok", f"В работе обращений: {waiting}.", f"Deliveries in work: {waiting}.")
        return
    minutes = int(late.total_seconds() // 60)
    yield Finding(
        "deliveries",
        "bad" if late >= VERY_LATE else "warn",
        f"Обращений ждёт: {waiting}, самое давнее опаздывает на {minutes} мин. Работает ли `b24app worker`?",
        f"Deliveries waiting: {waiting}, the oldest is {minutes} min late. Is `b24app worker` running?",
    )


def _failed(connection: sa.Connection) -> Iterator[Finding]:
    table = schema.deliveries
    count = connection.execute(
        sa.select(sa.func.count()).select_from(table).where(table.c.state == "failed")
    ).scalar_one()
    if not count:
        yield Finding("failed", "ok", "Неудавшихся обращений нет.", "No delivery has failed.")
        return
    rows = connection.execute(
        sa.select(table.c.id, table.c.code, table.c.entity, table.c.reason)
        .where(table.c.state == "failed")
        .order_by(table.c.id.desc())
        .limit(REASONS_SHOWN)
    )
    shown = "; ".join(f"№ {row.id} {row.code} {row.entity}: {row.reason or '?'}" for row in rows)
    yield Finding(
        "failed",
        "warn",
        f"Не удалось обращений: {count}. Последние: {shown}. Повторить или оставить их можно на странице приложения.",
        f"Deliveries failed: {count}. The last: {shown}. Retry or give them up on the application's page.",
    )


def _times(connection: sa.Connection, now: datetime) -> Iterator[Finding]:
    cursors, timers = schema.cursors, schema.timers
    beat = connection.execute(
        sa.select(cursors.c.updated_at).where(cursors.c.member_id == BEAT[0], cursors.c.name == BEAT[1])
    ).scalar()
    if beat is None:
        yield Finding(
            "clock",
            "warn",
            "Часы ещё ни разу не запускались: нужен `b24app clock` (или `b24app run`).",
            "The clock has never run: `b24app clock` (or `b24app run`) is needed.",
        )
    elif now - beat > CLOCK_SILENT:
        yield Finding(
            "clock",
            "bad",
            f"Часы молчат с {beat:%d.%m.%Y %H:%M} UTC: нужен `b24app clock` (или `b24app run`).",
            f"The clock is silent since {beat:%Y-%m-%d %H:%M} UTC: `b24app clock` (or `b24app run`) is needed.",
        )
    else:
        yield Finding("clock", "ok", "Часы идут.", "The clock is running.")
    late = connection.execute(
        sa.select(sa.func.count()).select_from(timers).where(timers.c.due_at < now - TIMER_LATE)
    ).scalar_one()
    if late:
        yield Finding("timers", "warn", f"Опаздывает таймеров: {late}.", f"Timers are late: {late}.")


def _alarms(connection: sa.Connection, portals: dict[str, PortalRow]) -> Iterator[Finding]:
    for row in connection.execute(sa.select(schema.alarms).order_by(schema.alarms.c.since)).mappings():
        portal = portals.get(row["member_id"])
        host = f"{portal.host}: " if portal else ""
        text = row["text"]
        yield Finding("alarm", "warn", host + str(text.get("ru", "")), host + str(text.get("en", "")), row["member_id"])


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
