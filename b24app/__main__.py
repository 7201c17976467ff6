"""The command line and the wiring: the engine does not know the robots, it is handed the catalogue here.

b24app --config config.toml run            all of it on one machine
b24app --config config.toml web | worker | clock    the same in parts, for several machines
b24app --config config.toml doctor         what works and what needs a person; exit status 0 or 1
b24app why lead 42 [--portal HOST] [--en]  what happened and why; deal 7, call <id>, delivery 123; exit status 0 or 1
b24app replay 123 [--portal HOST] [--en]   works a saved delivery again without effects: what would be decided now
b24app dry-run robot CODE --lead 42 [--property key=value]    what a robot would answer and write, without effects
b24app forget --phone NUMBER | --lead 42 [--portal HOST]    erases a client from the database; the portal stays as it is
b24app restored                            after a copy of the database was put back: learns what the portal has beyond
b24app plan [--portal HOST]                what the playbook would add or change on the portal; changes nothing
b24app apply | undo | export [--portal]    carry that out | take it back | write the portal as a playbook
b24app manual [--playbook FILE] [--out FOLDER] [--pdf] [--en]    the managers' instruction, written from the playbook
b24app advise [--playbook FILE]            what the rules for status scales find in it; exit status 0 or 1
b24app demo [--once]                       the scene on a sandbox portal; needs no configuration
b24app sandbox ...                         the sandbox portal alone (`python -m sandbox ...`)
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from b24app import config, logs, supervisor
from b24app.entities import DEAL, LEAD, ItemRef
from b24app.errors import B24AppError, ConfigError
from b24app.services import Services, build
from b24app.store.portals import StorageDown

log = logging.getLogger(__name__)

FINISH_SECONDS = 5.0
"""How often the clock looks for installations that nobody finished."""

NO_REDIS = "redis://127.0.0.1:1/0"
"""For `doctor` where nothing runs: nobody listens there, and the finding says so."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; 2 when the configuration is wrong."""
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.command != "sandbox":
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return _run(options, rest)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="b24app",
        description="Приложение Bitrix24, с которым отдел продаж не теряет лидов. "
        "A Bitrix24 application with which a sales team loses no lead.",
    )
    parser.add_argument("--config", type=Path, default=Path("config.toml"), help="config.toml")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in (
        ("run", "всё на одной машине / all of it on one machine"),
        ("web", "двери и страницы / the doors and pages"),
        ("restored", "база восстановлена из копии / a copy of the database was put back"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--host", default="127.0.0.1")
        command.add_argument("--port", type=int, default=8000)
    commands.add_parser("worker", help="рабочий процесс / a worker")
    commands.add_parser("clock", help="таймеры и сверка с порталом / timers and reconciliation")
    commands.add_parser("doctor", help="что работает и что требует человека / what works, what needs a person")
    _add_questions(commands)
    _add_forget(commands)
    for name, text in (
        ("plan", "что изменит сценарий на портале / what the playbook would change on the portal"),
        ("apply", "внедрить сценарий / apply the playbook"),
        ("undo", "убрать внедрённое, кроме занятого данными / take back what was applied and holds no data"),
        ("export", "записать портал как сценарий / write the portal as a playbook"),
    ):
        commands.add_parser(name, help=text).add_argument("--portal", default="", metavar="HOST")
    manual = commands.add_parser("manual", help="инструкция менеджерам из сценария / the managers' instruction")
    manual.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="куда писать / where to")
    manual.add_argument("--pdf", action="store_true", help="и PDF, через Chromium / and a PDF, by Chromium")
    manual.add_argument("--en", action="store_true", help="по-английски / in English")
    advise = commands.add_parser("advise", help="что не так со шкалой статусов / what is wrong with the status scale")
    for command in (manual, advise):
        command.add_argument("--playbook", default="", metavar="FILE", help="сценарий / the playbook")
    demo = commands.add_parser("demo", help="показ на учебном портале / the scene on a sandbox portal")
    demo.add_argument("--once", action="store_true", help="сыграть и выйти: 0 или 1 / play and exit 0 or 1")
    demo.add_argument("--port", type=int, default=0, help="порт портала / the portal's port")
    demo.add_argument("--en", action="store_true", help="по-английски / in English")
    commands.add_parser("sandbox", add_help=False, help="учебный портал отдельно / the sandbox portal alone")
    return parser


def _add_questions(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands that only look: why, replay, dry-run."""
    why = commands.add_parser("why", help="что было с лидом и почему / what happened to a lead and why")
    why.add_argument("kind", choices=("lead", "deal", "contact", "company", "call", "delivery"))
    why.add_argument("number", metavar="NUMBER")
    replay = commands.add_parser("replay", help="доставка ещё раз, без последствий / a delivery again, without effects")
    replay.add_argument("delivery", type=int, metavar="DELIVERY")
    dry_run = commands.add_parser("dry-run", help="что сделал бы робот / what a robot would do")
    dry_run.add_argument("what", choices=("robot",))
    dry_run.add_argument("code", metavar="CODE")
    item = dry_run.add_mutually_exclusive_group(required=True)
    item.add_argument("--lead", type=int, metavar="N")
    item.add_argument("--deal", type=int, metavar="N")
    dry_run.add_argument("--property", action="append", default=[], metavar="KEY=VALUE")
    for command in (why, replay, dry_run):
        command.add_argument("--portal", default="", metavar="HOST")
        command.add_argument("--en", action="store_true", help="по-английски / in English")


def _add_forget(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    forget = commands.add_parser("forget", help="стереть клиента из базы / erase a client from the database")
    whom = forget.add_mutually_exclusive_group(required=True)
    whom.add_argument("--phone", default="", metavar="NUMBER", help="по номеру / by the number")
    for kind in ("lead", "deal"):
        whom.add_argument(f"--{kind}", type=int, metavar="N")
    forget.add_argument("--portal", default="", metavar="HOST")


def _run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    match options.command:
        case "sandbox":
            command = [sys.executable, "-m", "sandbox", *rest]
            os.execv(sys.executable, command)  # noqa: S606 the sandbox is a process of its own, never imported
        case "demo":
            from b24app.demo import demo

            return demo(once=options.once, port=options.port, language="en" if options.en else "")
        case "manual" | "advise":
            return _about_playbook(options)
    settings = config.load(options.config)
    logs.setup(settings.app.log_level, secrets=_secrets(settings))
    if options.command in ("run", "web", "worker", "clock"):
        logs.tell_uncaught()
    match options.command:
        case "run":
            services = _services(settings, NO_REDIS)  # a mistake is said once, here, not by every child again and again
            services.dispose()
            return supervisor.run(settings, options.config.resolve(), options.host, options.port)
        case "doctor":
            from b24app.doctor import examine

            return examine(_services(settings, settings.redis.url or supervisor.running_redis(settings) or NO_REDIS))
        case "plan" | "apply" | "undo" | "export":
            from install.console import run

            services = _services(settings, settings.redis.url or supervisor.running_redis(settings) or NO_REDIS)
            try:
                return run(services, options.command, options.portal)
            finally:
                services.dispose()
        case "restored":
            from b24app import restored

            redis_url = settings.redis.url or NO_REDIS
            environment = {supervisor.REDIS_URL_VARIABLE: redis_url}
            web = supervisor.web_program(options.config.resolve(), options.host, options.port, environment)
            services = _services(settings, redis_url)
            try:
                with supervisor.alone(settings):
                    return restored.run(services, web)
            finally:
                services.dispose()
        case "forget":
            from b24app.forget import forget

            item = next((f"{kind}:{id}" for kind in ("lead", "deal") if (id := getattr(options, kind))), "")
            services = _services(settings, NO_REDIS)
            try:
                return forget(services, options.portal, entity=item, phone=options.phone)
            finally:
                services.dispose()
        case "why" | "replay" | "dry-run":
            services = _services(settings, settings.redis.url or supervisor.running_redis(settings) or NO_REDIS)
            try:
                return _look(services, options)
            finally:
                services.dispose()
    redis_url = _redis_url(settings)
    return _serve(_services(settings, redis_url), options, redis_url)


def _look(services: Services, options: argparse.Namespace) -> int:
    """Runs what only looks."""
    from b24app import replay, story
    from install.console import chosen

    member_id, language = chosen(services, options.portal).member_id, "en" if options.en else "ru"
    try:
        match options.command:
            case "why":
                return story.why(services, member_id, options.kind, options.number, language)
            case "replay":
                return replay.replay(services, member_id, options.delivery, language)
        ref = ItemRef(LEAD, options.lead) if options.lead is not None else ItemRef(DEAL, options.deal)
        return replay.dry_run(services, member_id, options.code, ref, options.property, language)
    except B24AppError as error:
        print(f"✘ {error}", file=sys.stderr)
        return 1


def _about_playbook(options: argparse.Namespace) -> int:
    """Runs what needs the playbook alone: the one named, else the configured one, else ours."""
    from b24app import manual
    from b24app.playbook import load_playbook

    path = options.playbook
    if not path and options.config.is_file():
        path = config.load(options.config).playbook.path
    playbook = load_playbook(path)
    if options.command == "advise":
        text, count = manual.advice_text(playbook)
        sys.stdout.write(text)
        return 1 if count else 0
    try:
        for file in manual.write_manual(playbook, path, options.out, "en" if options.en else "ru", pdf=options.pdf):
            print(file)
    except manual.NotPrinted as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(services: Services, options: argparse.Namespace, redis_url: str) -> int:
    try:
        match options.command:
            case "web":
                from b24app.web.server import serve

                serve(services, options.host, options.port)
            case "worker":
                import b24app.bitrix.bulk  # noqa: F401 - reads lists every few minutes; the others never do
                from b24app.engine.jobs import work
                from b24app.engine.run import Runner

                runner = Runner(
                    services.inbox, services.catalogue, services.open_portal, services.doorbell.ring, services.limits
                )
                work(runner.run_next, redis_url)
            case "clock":
                from b24app.engine.clock import Clock

                clock = Clock(services.inbox, services.catalogue, services.doorbell.ring)
                with finishing_installations(services):
                    clock.run()
    finally:
        services.dispose()
    return 0


@contextmanager
def finishing_installations(services: Services) -> Iterator[None]:
    """Goes on, beside the clock, with installations and removals that a stopped process left unfinished."""
    from install.carry_out import finish_owed
    from install.removal import settle_claimed

    ended = threading.Event()

    def look() -> None:
        while not ended.wait(FINISH_SECONDS):
            try:
                finish_owed(services)
                settle_claimed(services)
            except StorageDown as error:
                log.warning("install=late error=%s", type(error).__name__)

    thread = threading.Thread(target=look, name="installations", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5)


def _services(settings: config.Settings, redis_url: str) -> Services:
    from b24app.engine.declare import Catalogue
    from b24app.pages import PLACEMENTS
    from handlers import HANDLERS, TIMERS
    from robots import ROBOTS

    services = build(settings, Catalogue(ROBOTS, HANDLERS, TIMERS, PLACEMENTS), redis_url)
    services.database.migrate()
    return services


def _redis_url(settings: config.Settings) -> str:
    url = settings.redis.url or os.environ.get(supervisor.REDIS_URL_VARIABLE, "")
    if not url:
        raise ConfigError(
            "[redis] url: пусто. Встроенный Redis поднимают команды run и demo; для web, worker и clock по отдельности "
            "укажите адрес.\n"
            "[redis] url: empty. run and demo start an embedded Redis; web, worker and clock alone need an address."
        )
    return url


def _secrets(settings: config.Settings) -> list[str]:
    own = [settings.app.secret_key, *settings.app.previous_secret_keys, settings.app.metrics_key, settings.sms.key]
    return [secret for secret in (*own, *(portal.client_secret for portal in settings.portals)) if secret]


if __name__ == "__main__":
    sys.exit(main())
