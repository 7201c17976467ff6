"""Scenes: short stories by people over the whole application. `given` is played once, `play` once for every fault.

Times of day are far enough from the present that nothing falls due by itself; only Anna is at work, so that chance
chooses nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from journeys.office import ANNA, BORIS, DARIA, new_phone
from journeys.shop import ADDRESS, DATE, EGOR, FEDOR, MEASURER, Shop

from b24app.store import schema

CLIENT = "IN_PROCESS"
THEME, CLIENT_TYPE, DECLINE = "UF_CRM_B24_THEME", "UF_CRM_B24_CLIENT_TYPE", "UF_CRM_B24_DECLINE"
EMAIL = [{"typeId": "EMAIL", "valueType": "WORK", "value": "olga@example.ru"}]


@dataclass(frozen=True)
class Scene:
    """A story: what was there before, and what happens; `play` gets what `given` returned."""

    name: str
    play: Callable[[Shop, Any], None]
    given: Callable[[Shop], Any] = lambda shop: None


def phone(number: str) -> list[dict[str, str]]:
    """The value of the field with phone numbers."""
    return [{"typeId": "PHONE", "valueType": "WORK", "value": number}]


def list_value(shop: Shop, field: str, name: str = "") -> Any:
    """The id of a list field's value, by default of the first."""
    fields = shop.portal.result("crm.item.fields", {"entityTypeId": 1, "useOriginalUfNames": "Y"})["fields"]
    return next(row["ID"] for row in fields[field]["items"] if not name or row["VALUE"] == name)


def kitchen(shop: Shop, **fields: Any) -> int:
    """A new lead of Anna's, distributed and quiet."""
    made = shop.portal.create_item(
        1, {"title": "Кухня угловая", "assignedById": ANNA, "fm": phone(new_phone()), **fields}, user_id=ANNA
    )
    shop.office.settle()
    return int(made["id"])


def qualified(shop: Shop, **fields: Any) -> int:
    """A lead with everything that «Клиент наш» asks for."""
    known = {"name": "Ольга", THEME: "Угловая кухня", CLIENT_TYPE: list_value(shop, CLIENT_TYPE, "Дизайнер")}
    return kitchen(shop, **{**known, "fm": [*phone(new_phone()), *EMAIL], **fields})


def drag(shop: Shop, lead_id: int, stage: str) -> None:
    """Anna drags the card to another stage."""
    shop.fill(lead_id, stageId=stage)


# enquiries


def missed_call(shop: Shop, _: Any) -> None:
    shop.portal.missed_call(new_phone())


def known_client(shop: Shop) -> str:
    number = new_phone()
    shop.office.client(number, DARIA)  # who is not at work
    return number


def known_client_calls(shop: Shop, number: str) -> None:
    shop.portal.missed_call(number)


def line_makes_no_lead(shop: Shop) -> None:
    shop.office.control("PATCH", "line", {"create_lead": "none"})


def line_makes_leads_at_once(shop: Shop) -> None:
    shop.office.control("PATCH", "line", {"create_lead": "all", "create_when": "start"})


def answered_call(shop: Shop, _: Any) -> None:
    call_id = shop.portal.ring(new_phone())
    shop.portal.answer(call_id, BORIS)
    shop.office.until(lambda: shop.office.hurry() or not shop.office.open_deliveries(), "the lead is his", 60)
    shop.portal.finish(call_id)


def web_form(shop: Shop, _: Any) -> None:
    form = {"name": "Мария", "phone": new_phone(), "email": "maria@example.ru", "comment": "Угловая кухня"}
    shop.office.control("POST", "web-form", form)


def letter(shop: Shop, _: Any) -> None:
    shop.office.control("POST", "email", {"from": "petr@example.ru", "subject": "Кухня", "text": "Сколько стоит?"})


def nobody_at_work(shop: Shop) -> None:
    shop.office.at_work()


def queue_is_distributed(shop: Shop, _: Any) -> None:
    shop.portal.missed_call(new_phone())
    shop.office.settle()
    shop.office.at_work(ANNA)
    shop.office.fire("queue")


def events_lost(shop: Shop, _: Any) -> None:
    shop.portal.event_rule("*", "lose", count=20)
    shop.portal.missed_call(new_phone())
    shop.office.settle()
    shop.office.control("DELETE", "event-rules")
    shop.office.reconcile()


def end_of_call_lost(shop: Shop) -> None:
    line_makes_no_lead(shop)
    shop.portal.event_rule("ONVOXIMPLANTCALLEND", "lose")
    shop.portal.missed_call(new_phone())
    shop.office.settle()


def call_is_given_up(shop: Shop, _: Any) -> None:
    shop.office.fire("call_lost")


# stages


def onto_our_client(shop: Shop, lead_id: int) -> None:
    drag(shop, lead_id, CLIENT)


def moved_by_an_import(shop: Shop) -> None:
    made = shop.portal.control("POST", "import", {"count": 12, "user_id": 2, "silent": True})
    for lead_id in range(made["first"], made["last"] + 1):
        shop.portal.change_item(1, lead_id, {"stageId": CLIENT}, user_id=2)


def moves_are_summed_up(shop: Shop, _: Any) -> None:
    shop.office.fire("gate_summary")


def our_client_without_address(shop: Shop) -> int:
    return qualified(shop, fm=phone(new_phone()))


def fill_email_is_due(shop: Shop) -> int:
    lead_id = our_client_without_address(shop)
    drag(shop, lead_id, CLIENT)
    return lead_id


def offer_is_due(shop: Shop) -> int:
    lead_id = qualified(shop)
    drag(shop, lead_id, CLIENT)
    return lead_id


def offer_is_sent(shop: Shop, lead_id: int) -> None:
    body = {"entity_type_id": 1, "entity_id": lead_id, "subject": "КП", "files": ["КП.pdf"], "user_id": ANNA}
    shop.portal.control("POST", "letters", body)
    shop.office.settle()


def offer_was_sent(shop: Shop) -> int:
    lead_id = offer_is_due(shop)
    offer_is_sent(shop, lead_id)
    return lead_id


def offer_task_is_closed(shop: Shop, lead_id: int) -> None:
    (task,) = shop.tasks(lead_id, "Отправить каталог и КП")
    shop.complete(task)


def address_is_filled_in(shop: Shop, lead_id: int) -> None:
    shop.fill(lead_id, fm=EMAIL)


def our_move_is_refused(shop: Shop) -> None:
    lead_id = offer_was_sent(shop)
    refusal = {"error": "CRM_FIELD_ERROR_REQUIRED", "error_description": "Не заполнено обязательное поле «Бюджет»"}
    shop.portal.fault("crm.item.update", "error", when="before", status=400, **refusal)
    offer_task_is_closed(shop, lead_id)


def refused_move_is_told(shop: Shop, _: Any) -> None:
    shop.office.fire("move_check")


def declined(reason: str) -> Callable[[Shop, int], None]:
    def play(shop: Shop, lead_id: int) -> None:
        shop.fill(lead_id, **{DECLINE: list_value(shop, DECLINE, reason)})
        drag(shop, lead_id, "JUNK")

    return play


def client_named(shop: Shop) -> int:
    return kitchen(shop, name="Пётр")


def declined_for_now(shop: Shop) -> int:
    lead_id = client_named(shop)
    declined("Не устроила цена")(shop, lead_id)
    return lead_id


def reminder_comes(shop: Shop, _: Any) -> None:
    shop.office.fire("declined_reminder")


# visits


def agreed_on_stage(shop: Shop) -> int:
    return shop.lead()


def date_in_the_card(shop: Shop, lead_id: int) -> None:
    shop.fill(lead_id, **{MEASURER: EGOR, DATE: shop.day(5).isoformat()})


def booked(shop: Shop) -> int:
    lead_id = shop.lead()
    date_in_the_card(shop, lead_id)
    return lead_id


def client_confirms(shop: Shop, lead_id: int) -> None:
    (task,) = shop.open_tasks(lead_id, "Подтвердить замер")
    shop.complete(task)


def confirmed(shop: Shop) -> int:
    lead_id = booked(shop)
    client_confirms(shop, lead_id)
    return lead_id


def client_moves(shop: Shop, lead_id: int) -> None:
    shop.fill(lead_id, **{DATE: shop.day(7).isoformat(), MEASURER: FEDOR})


def other_address(shop: Shop, lead_id: int) -> None:
    shop.fill(lead_id, **{ADDRESS: "Ленина, 7"})


def client_declines(shop: Shop, lead_id: int) -> None:
    shop.fill(lead_id, stageId="JUNK", **{DECLINE: list_value(shop, DECLINE)})


def entry_is_moved(shop: Shop, lead_id: int) -> None:
    (entry,) = shop.entries(lead_id)
    later = shop.day(6, 12)
    shop.portal.change_entry(entry["id"], start=later.isoformat(), end=(later + timedelta(hours=3)).isoformat())


def entry_is_moved_where_it_cannot_be(shop: Shop, lead_id: int) -> None:
    (entry,) = shop.entries(lead_id)
    night = shop.day(6, 22)
    shop.portal.change_entry(entry["id"], start=night.isoformat(), end=(night + timedelta(hours=3)).isoformat())


def nobody_home(shop: Shop, lead_id: int) -> None:
    (task,) = shop.open_tasks(lead_id, "Замер ")
    shop.portal.tick(task["id"], "Никого нет дома")
    shop.complete(task, user_id=EGOR)


def measured(shop: Shop, lead_id: int) -> None:
    (task,) = shop.open_tasks(lead_id, "Замер ")
    shop.complete(task, user_id=EGOR)


def booked_before_holidays(shop: Shop) -> int:
    lead_id = shop.lead()
    shop.fill(lead_id, **{MEASURER: EGOR, DATE: shop.day(3).isoformat()})
    shop.holidays([shop.day(1).date(), shop.day(2).date()])
    return lead_id


def client_is_to_be_asked(shop: Shop, lead_id: int) -> None:
    shop.office.fire("visit_watch")
    shop.office.until(lambda: shop.office.hurry() or shop.visits(lead_id)[0]["told"] == 2, "the reminders", 60)


def measurer_falls_ill(shop: Shop, lead_id: int) -> None:
    start = shop.visits(lead_id)[0]["starts_at"]
    ill = {"from": (start - timedelta(hours=5)).isoformat(), "to": (start + timedelta(days=2)).isoformat()}
    shop.portal.set_person(EGOR, absent=ill)
    shop.office.fire("visit_watch")


def held(shop: Shop) -> int:
    lead_id = shop.lead()
    slot = shop.press("find", {"entity": f"lead:{lead_id}"}, ANNA)["slots"][0]
    wish = {"entity": f"lead:{lead_id}", "measurer": slot["measurer"], "start": slot["start"]}
    assert shop.press("hold", wish, ANNA)["done"]
    shop.office.settle()
    return lead_id


def hold_is_over(shop: Shop, lead_id: int) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    visits = schema.visits
    shop.office.write(sa.update(visits).where(visits.c.entity == f"lead:{lead_id}").values(hold_until=past))
    shop.office.fire("visit")


# robots


def robots(*placed: tuple[str, dict[str, Any]]) -> Callable[[Shop], int]:
    """Robots that stand on «Клиент наш», and a lead that may be moved there."""

    def given(shop: Shop) -> int:
        lead_id = qualified(shop, **{ADDRESS: "Мира, 5"})
        for code, properties in placed:
            shop.portal.place_robot(1, CLIENT, code, properties=properties)
        return lead_id

    return given


def robot_and_a_new_lead(shop: Shop) -> int:
    """The robot distributes what no event told us of."""
    shop.portal.event_rule("ONCRMLEADADD", "lose")
    return robots(("assign_manager", {}))(shop)


def onto_our_client_unseen(shop: Shop, lead_id: int) -> None:
    """Only the robot sees it: else the stage's own task is made or not, as the robot is slower or faster."""
    shop.portal.event_rule("ONCRMLEADUPDATE", "lose")
    onto_our_client(shop, lead_id)


def robot_and_a_sent_offer(shop: Shop) -> int:
    lead_id = robots(("advance_stage", {}))(shop)
    offer_is_sent(shop, lead_id)
    return lead_id


LISTS = "# Перед звонком\nПрочитать карточку\n- Открыть каталог\n# После\nЗаписать ответ"

SCENES = (
    Scene("missed call", missed_call),
    Scene("missed call of a client", known_client_calls, known_client),
    Scene("missed call without a lead", missed_call, line_makes_no_lead),
    Scene("answered call", answered_call, line_makes_leads_at_once),
    Scene("web form", web_form),
    Scene("letter", letter),
    Scene("queue", queue_is_distributed, nobody_at_work),
    Scene("reconciliation", events_lost),
    Scene("timer: call given up", call_is_given_up, end_of_call_lost),
    Scene("moved past the gate", onto_our_client, kitchen),
    Scene("timer: summary of moves", moves_are_summed_up, moved_by_an_import),
    Scene("our client", onto_our_client, qualified),
    Scene("our client without e-mail", onto_our_client, our_client_without_address),
    Scene("e-mail filled in", address_is_filled_in, fill_email_is_due),
    Scene("offer sent", offer_is_sent, offer_is_due),
    Scene("offer closed", offer_task_is_closed, offer_was_sent),
    Scene("timer: refused move", refused_move_is_told, our_move_is_refused),
    Scene("declined, contact", declined("Выбрал других"), client_named),
    Scene("declined, later", declined("Не устроила цена"), client_named),
    Scene("timer: reminder", reminder_comes, declined_for_now),
    Scene("visit booked", date_in_the_card, agreed_on_stage),
    Scene("visit confirmed", client_confirms, booked),
    Scene("visit moved", client_moves, confirmed),
    Scene("visit's address", other_address, confirmed),
    Scene("visit cancelled", client_declines, confirmed),
    Scene("entry moved by hand", entry_is_moved, booked),
    Scene("entry put back", entry_is_moved_where_it_cannot_be, booked),
    Scene("nobody home", nobody_home, confirmed),
    Scene("measured", measured, confirmed),
    Scene("timer: client to be asked", client_is_to_be_asked, booked_before_holidays),
    Scene("timer: measurer ill", measurer_falls_ill, confirmed),
    Scene("timer: hold over", hold_is_over, held),
    Scene("robot assign_manager", onto_our_client, robot_and_a_new_lead),
    Scene("robot checklist_task", onto_our_client, robots(("checklist_task", {"title": "План", "checklists": LISTS}))),
    Scene("robot advance_stage", onto_our_client_unseen, robot_and_a_sent_offer),
    Scene("robot send_sms", onto_our_client, robots(("send_sms", {"text": "Ждём вас завтра"}))),
    Scene("robot stage_hint", onto_our_client, robots(("stage_hint", {"text": "Позвоните"}))),
    Scene(
        "robots find, book, confirm",
        onto_our_client,
        robots(("find_measurement_slots", {}), ("book_measurement", {}), ("confirm_measurement", {})),
    ),
)
