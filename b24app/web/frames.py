"""The pages inside Bitrix24: /install, /app, /placement/<page>, and what their buttons send. Free of the web framework.

AUTH_ID of a frame is used only against the endpoint that the authorization server named: it proves the person and reads
with his rights, not with ours. Further requests of the page carry a signed pass instead of a cookie.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from b24app import measuring
from b24app.bitrix.calls import Answer, Call
from b24app.bitrix.portal import Portal
from b24app.bitrix.rest import Rest
from b24app.config import is_loopback
from b24app.distribution import availability, optional_reads, pool_of, read_team, situation
from b24app.engine.declare import NORMAL, URGENT
from b24app.entities import DEAL, LEAD, ItemRef
from b24app.errors import AccessDenied, B24AppError, Malformed, NotFound, Permanent, PortalClosed, Rejected, Temporary
from b24app.pages import board, card, form, guide, install_result, lead, main, visit, worker
from b24app.pages.frame import Look, headers
from b24app.process import ProcessOnPortal, card_read, process_on
from b24app.rules.assignment import Verdict
from b24app.services import Services
from b24app.store import process_memory, visits
from b24app.store.overview import waiting_entities
from b24app.store.portals import PortalRow, all_portals
from b24app.story import story
from b24app.web.gate import Gate, Passes, Proofs, Visitor, pair_of
from b24app.web.incoming import MAX_SECRET_LENGTH, FrameCall, is_overtime, read_frame
from b24app.web.proof import WAIT_SECONDS, Person, is_item, item_of, open_portal, prove
from b24app.web.visits import knows
from install.carry_out import Line, admit, bring_in_line, owe

log = logging.getLogger(__name__)

QUEUE_TIMER = "queue"
"""The delivery that distributes one item from the queue."""

DISTRIBUTED_AT_ONCE = 1000

WORKER_LOST_EVERY_SECONDS = 3600.0

HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?")

PLACEMENT_TYPES = {"CRM_LEAD_DETAIL_TAB": LEAD, "CRM_DEAL_DETAIL_TAB": DEAL}


@dataclass(frozen=True)
class Page:
    """An answer for a browser; `body` may come in parts while the work goes on."""

    body: Iterable[str]
    headers: dict[str, str]
    status: int = 200


class Frames:
    """What the pages show and do. Errors are b24app.errors; `refusal` words them for people."""

    def __init__(self, services: Services, gate: Gate, proofs: Proofs, passes: Passes) -> None:
        self._services = services
        self._gate = gate
        self._proofs = proofs
        self._passes = passes
        self._worker_lost_at = float("-inf")

    def install(self, query: bytes, body: bytes) -> Page:
        """Installs, or installs again, for the administrator who opened the frame; the page tells it line by line."""
        return self._install(read_frame(query, body))

    def app(self, query: bytes, body: bytes) -> Page:
        """Shows the main page; where the installation is not finished, an administrator gets that first."""
        frame = read_frame(query, body)
        try:
            row = self._gate.check(frame.auth)
        except Rejected:
            return self._install(frame)
        return self._app(row, frame)

    def _app(self, row: PortalRow, frame: FrameCall) -> Page:
        if frame.options.get("form") == "missing":
            return self._form(row, frame)
        if frame.options.get("view") == "board":
            return self._board(row, frame)
        person, _ = self._prove(row, frame, {})
        if person.admin:
            self._keep_token(row, frame, person)
            if row.facts.get("in_line") is not True:
                return self._bring(row, frame, person)
        look = self._look(row, frame.language, person)
        shown = main.show(
            look, row.member_id, user_id=person.id, name=person.name, admin=person.admin, people=self._people(row)
        )
        return self._page(row, [shown])

    def placement(self, page: str, query: bytes, body: bytes) -> Page:
        """Shows one of our pages inside the portal's own: tabs in a card, the quick form, the hidden worker."""
        if page not in ("lead", "guide", "visit", "board", "form", "worker"):
            raise NotFound(f"{page}: такой страницы нет / there is no such page")
        if page == "worker" and is_overtime(query, body):
            return self._worker_lost()
        frame = read_frame(query, body)
        row = self._gate.check(frame.auth)
        if page == "worker":
            look = Look(self._services, frame.language, row.origin)
            shown = worker.show(look, row.member_id)
            return Page([shown], headers(self._services, (row.origin,), connect=worker.connections(row.origin)))
        if page == "form":
            return self._app(row, frame)  # a link to the application without a form opens its main page
        if page == "board":
            return self._board(row, frame)
        entity_type_id = PLACEMENT_TYPES.get(frame.placement)
        if entity_type_id is None or frame.item_id is None:
            raise Malformed("вкладка открыта не из карточки / the tab is not opened in a card")
        item = ItemRef(entity_type_id, frame.item_id)
        if page == "guide":
            return self._guide(row, frame, item)
        if page == "visit":
            return self._visit(row, frame, item)
        person, answers = self._prove(row, frame, lead.reads(self._services, row.member_id, item))
        return self._page(row, [lead.show(self._look(row, frame.language, person), row.member_id, item, answers)])

    def save(self, authorization: str, wish: Any) -> dict[str, Any]:
        """Does what the form or the tab's button asks, with the token of the person in front of it."""
        visitor = self._passes.read(authorization)
        row = self._gate.known(visitor.member_id)
        if row is None or not row.active:
            raise Rejected("приложение удалено с портала / the application was removed from the portal")
        if not isinstance(wish, dict):
            raise Malformed("нужен объект JSON / a JSON object is needed")
        token, asked = wish.get("token"), form.wish_of(wish)
        if not isinstance(token, str) or not token or len(token) > MAX_SECRET_LENGTH:
            raise Malformed("нет ключа / no token")
        item = item_of(wish.get("entity"))
        portal, on = self._process(row, item)
        if on is None:
            raise NotFound("сценарий не применён / the playbook is not applied")
        portal.rest = portal.rest.rest_as(token)
        person, answers = prove(portal.rest, card.reads(item))
        if person.id != visitor.user_id:
            raise Rejected("ключ другого сотрудника / the token is somebody else's")
        state = card.state_of(portal, on, item, answers, to=asked.to)
        return form.save(self._look(row, visitor.language, person), portal, state, asked, person.id)

    def install_again(self, authorization: str) -> dict[str, Any]:
        """Repeats the bringing in line for the page's «Повторить»; returns what the page shows."""
        visitor = self._administrator(authorization)
        lines = list(bring_in_line(self._services, visitor.member_id))
        self._gate.forget()
        return install_result.answer(Look(self._services, visitor.language), lines)

    def act(self, authorization: str, wish: Any) -> dict[str, str]:
        """Does what a button of the main page asks: {"action", "id", "entity"}.

        Actions: retry and give_up (a failed delivery), distribute (one item that waits), distribute_all (an import).
        """
        visitor = self._administrator(authorization)
        look = Look(self._services, visitor.language)
        if not isinstance(wish, dict):
            raise Malformed("нужен объект JSON / a JSON object is needed")
        action, delivery_id, entity = wish.get("action"), wish.get("id"), wish.get("entity")
        log.info("portal=%s user=%d action=%s", visitor.member_id, visitor.user_id, str(action)[:40])
        if action in ("retry", "give_up") and isinstance(delivery_id, int) and 0 < delivery_id < 2**62:
            inbox = self._services.inbox
            done = (inbox.again if action == "retry" else inbox.give_up)(delivery_id, visitor.member_id)
            if not done:
                raise NotFound("этого больше нет в списке / it is not on the list any more")
            if action == "retry":
                self._services.doorbell.ring(delivery_id)
                return {"said": look.text("Попробуем ещё раз", "It will be tried again")}
            return {"said": look.text("Оставлено как есть", "Left as it is")}
        if action == "distribute" and isinstance(entity, str) and is_item(entity):
            self._distribute(visitor, entity, URGENT)
            return {"said": look.text("Распределяем", "Being distributed")}
        if action == "distribute_all":
            waiting = waiting_entities(self._services.database, visitor.member_id, DISTRIBUTED_AT_ONCE)
            for one in waiting:
                self._distribute(visitor, one, NORMAL)
            return {"said": look.text(f"Распределяем: {len(waiting)}", f"Being distributed: {len(waiting)}")}
        raise Malformed("непонятное действие / an unknown action")

    def story(self, authorization: str, wish: Any) -> dict[str, Any]:
        """Tells what happened to {"kind": "lead", "number": "42"}: {"lines": [{"text", "depth"}]}."""
        visitor = self._administrator(authorization)
        if (
            not isinstance(wish, dict)
            or not isinstance(wish.get("kind"), str)
            or not isinstance(wish.get("number"), str)
        ):
            raise Malformed("нужен объект JSON / a JSON object is needed")
        services, kind, number = self._services, wish["kind"], wish["number"].strip()
        language = Look(services, visitor.language).text("ru", "en")
        lines, _ = story(
            services.database, visitor.member_id, kind, number, services.catalogue, services.playbook, language
        )
        return {"lines": [{"text": line.text, "depth": line.depth} for line in lines]}

    def _distribute(self, visitor: Visitor, entity: str, priority: int) -> None:
        new_id = self._services.inbox.record(
            member_id=visitor.member_id,
            kind="timer",
            code=QUEUE_TIMER,
            entity=entity,
            payload={"by_user_id": visitor.user_id},
            priority=priority,
        )
        if new_id is not None:
            self._services.doorbell.ring(new_id)

    def refusal(self, error: Exception, language: str = "ru", domain: str = "") -> Page:
        """Returns the page that says in words why there is nothing to show.

        Nobody has proved where it is shown: it runs nothing, and stands in the frame of the portal that is claimed. To
        name those that we serve would tell strangers whom we serve.
        """
        look = Look(self._services, language)
        lines = [_words(error)]
        match error:
            case Rejected():
                status, title = 403, look.text("Доступа нет", "No access")
                lines.append(
                    look.text(
                        "Откройте приложение из меню портала; если не поможет, его должен открыть администратор.",
                        "Open the application from the portal's menu; if that does not help, an administrator has to.",
                    )
                )
            case Malformed():
                status, title = error.status, look.text("Запрос не понят", "The request is not understood")
            case NotFound():
                status, title = 404, look.text("Ничего не найдено", "Nothing found")
            case AccessDenied():
                status, title = 403, look.text("У вас нет доступа", "You have no access")
            case Temporary():
                status, title = 503, look.text("Портал сейчас не отвечает", "The portal does not answer now")
                lines.append(look.text("Обновите страницу через минуту.", "Reload the page in a minute."))
            case PortalClosed():
                status, title = 503, look.text("Приложение остановлено", "The application is stopped")
            case _:
                status, title = 409, look.text("Портал отказал", "The portal refused")
        shown = look.render("message.html", title=title, lines=lines)
        claimed = (f"{'http' if is_loopback(domain) else 'https'}://{domain}",) if HOST.fullmatch(domain) else ()
        return Page([shown], headers(self._services, claimed, scripts=False), status)

    def _install(self, frame: FrameCall) -> Page:
        auth = frame.auth
        self._proofs.take(self._gate.known(auth.member_id))
        row = admit(
            self._services,
            member_id=auth.member_id,
            application_token=auth.application_token,
            pair=pair_of(auth),
        )
        self._gate.forget()
        return self._bring(row, frame, Person(row.installed_by, "", True))

    def _bring(self, row: PortalRow, frame: FrameCall, person: Person) -> Page:
        look = self._look(row, frame.language, person)
        return self._page(row, install_result.stream(look, self._told(row.member_id)))

    def _told(self, member_id: str) -> Iterator[Line]:
        yield from bring_in_line(self._services, member_id)
        self._gate.forget()

    def _guide(self, row: PortalRow, frame: FrameCall, item: ItemRef) -> Page:
        portal, on = self._process(row, item)
        if on is None:
            person, _ = self._prove(row, frame, {})
            return self._page(row, [guide.not_applied(self._look(row, frame.language, person))])
        with portal.memory() as memory:
            tasks = tuple(process_memory.tasks_of(memory, str(item)))
        portal.rest = portal.rest.rest_as(frame.auth.access_token)
        person, answers = prove(portal.rest, {**card.reads(item), **guide.reads(on, tasks)})
        state = card.state_of(portal, on, item, answers, to="")
        return self._page(row, [guide.show(self._look(row, frame.language, person), state, answers)])

    def _visit(self, row: PortalRow, frame: FrameCall, item: ItemRef) -> Page:
        portal, on = self._process(row, item)
        rules = measuring.rules_of(portal, item.entity_type_id)
        if on is None or rules is None:
            person, _ = self._prove(row, frame, {})
            look = self._look(row, frame.language, person)
            return self._page(row, [visit.not_measured(look) if rules is None else guide.not_applied(look)])
        crew = measuring.read_crew(portal, rules)
        person, answers = self._prove(row, frame, {"item": card_read(item).call})
        with portal.memory() as memory:
            rows = visits.visits_of(memory, str(item))
        look = self._look(row, frame.language, person)
        return self._page(row, [visit.show(look, str(item), on, rules, crew, rows, answers)])

    def _board(self, row: PortalRow, frame: FrameCall) -> Page:
        """The board: from the left menu, from the calendar (with the days shown there), and from a card."""
        person, _ = self._prove(row, frame, {})
        portal = open_portal(self._services, row.member_id)
        rules, look = portal.playbook.measurement, self._look(row, frame.language, person)
        if rules is None:
            return self._page(row, [visit.not_measured(look)])
        visitor = Visitor(row.member_id, person.id, person.admin, frame.language)
        crew = measuring.read_crew(portal, rules)
        opening = crew.hours.next_opening(portal.now) or portal.now  # on a Saturday people plan the week to come
        day = opening.astimezone(crew.hours.zone).date()
        for name in ("day", "viewRangeFrom"):
            with suppress(ValueError, TypeError):
                asked = date.fromisoformat(str(frame.options[name])) if name in frame.options else day
                if name == "day" or not asked <= day <= _day_of(frame.options.get("viewRangeTo"), asked):
                    day = asked
        can_move = knows(portal, visitor, crew)
        return self._page(row, [board.show(look, rules, day, days=7, can_move=can_move)])

    def _form(self, row: PortalRow, frame: FrameCall) -> Page:
        item = item_of(frame.options.get("entity"))
        to, at = frame.options.get("to") or "", frame.options.get("at") or ""
        if not isinstance(to, str) or not isinstance(at, str):
            raise Malformed("непонятная стадия / the stage is not understood")
        portal, on = self._process(row, item)
        if on is None:
            person, _ = self._prove(row, frame, {})
            return self._page(row, [guide.not_applied(self._look(row, frame.language, person))])
        portal.rest = portal.rest.rest_as(frame.auth.access_token)
        person, answers = prove(portal.rest, card.reads(item))
        state = card.state_of(portal, on, item, answers, to=to)
        return self._page(row, [form.show(self._look(row, frame.language, person), state, to, at, portal.rest)])

    def _process(self, row: PortalRow, item: ItemRef) -> tuple[Portal, ProcessOnPortal | None]:
        """Returns the portal and the process of such items on it; its snapshot is read with our own token."""
        portal = open_portal(self._services, row.member_id)
        return portal, process_on(portal, item.entity_type_id)

    def _worker_lost(self) -> Page:
        """Bitrix24 took the hidden page away for being slow (it says so without any proof): it is bound again.

        Whoever else says so makes us compare once an hour what every portal has with what it should have.
        """
        if time.monotonic() - self._worker_lost_at > WORKER_LOST_EVERY_SECONDS:
            self._worker_lost_at = time.monotonic()
            log.warning("placement=PAGE_BACKGROUND_WORKER state=removed reason=overtime")
            for row in all_portals(self._services.database).values():
                if row.active:
                    owe(self._services, row.member_id)
            self._gate.forget()
        return Page([""], headers(self._services, (), scripts=False))

    def _prove(
        self, row: PortalRow, frame: FrameCall, also: dict[str, Call]
    ) -> tuple[Person, dict[str, Answer | B24AppError]]:
        """Returns the person, by his own token at the portal's own endpoint, and the answers to what else he reads."""
        return prove(self._rest(row).rest_as(frame.auth.access_token), also)

    def _keep_token(self, row: PortalRow, frame: FrameCall, person: Person) -> None:
        """A later administrator's tokens are the spare for when the owner's die; the owner's own are renewed."""
        if frame.auth.refresh_token:
            self._services.tokens.store(row.member_id, person.id, "spare", pair_of(frame.auth))

    def _people(self, row: PortalRow) -> tuple[Verdict, ...] | None:
        """Returns everybody of the rule with the reason why he is free or not; None where the portal does not say."""
        playbook = self._services.playbook
        policy = playbook.assignment.policy()
        try:
            portal = open_portal(self._services, row.member_id)
            now = portal.now
            team = read_team(portal, pool_of(playbook))
            found = portal.read(availability(portal, team, policy, now), optional=optional_reads(team))
            with portal.memory() as memory:
                return situation(portal, team, policy, found, now).recalled(memory).choose().verdicts
        except B24AppError as error:
            log.info("portal=%s page=main people=unknown reason=%s", row.member_id, error)
            return None

    def _rest(self, row: PortalRow) -> Rest:
        return Rest(
            self._services.database,
            self._services.tokens,
            self._services.limits,
            row.member_id,
            wait_seconds=WAIT_SECONDS,
        )

    def _look(self, row: PortalRow, language: str, person: Person) -> Look:
        visitor = Visitor(row.member_id, person.id, person.admin, language)
        return Look(self._services, language, row.origin, self._passes.issue(visitor))

    def _page(self, row: PortalRow, body: Iterable[str]) -> Page:
        return Page(body, headers(self._services, (row.origin,)))

    def _administrator(self, authorization: str) -> Visitor:
        visitor = self._passes.read(authorization)
        row = self._gate.known(visitor.member_id)
        if row is None or not row.active:
            raise Rejected("приложение удалено с портала / the application was removed from the portal")
        if not visitor.admin:
            raise AccessDenied("это может только администратор / only an administrator may do this")
        return visitor


def _day_of(value: Any, otherwise: date) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return otherwise


def _words(error: Exception) -> str:
    return error.reason if isinstance(error, Permanent | Temporary) else str(error)
