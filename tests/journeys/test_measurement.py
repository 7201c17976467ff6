"""A measurement is agreed, confirmed, moved and made: the cycle of K20-K32 on a whole installation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from b24app.rules.working_time import WEEKDAYS
from b24app.store import schema

from .office import ANNA, HEAD
from .shop import ADDRESS, DATE, EGOR, FEDOR, MEASURER, ZONE, Shop
from .test_scene import readable


def booked(shop: Shop, day: int = 5, **fields: Any) -> tuple[int, datetime]:
    """A lead whose visit waits for its confirmation."""
    lead_id, start = shop.lead(**fields), shop.day(day)
    shop.fill(lead_id, **{MEASURER: EGOR, DATE: start.isoformat()})
    assert shop.visits(lead_id)[0]["state"] == "confirming", shop.visits(lead_id)
    return lead_id, start


def confirmed(shop: Shop, day: int = 5, **fields: Any) -> tuple[int, datetime]:
    """A lead whose visit is confirmed."""
    lead_id, start = booked(shop, day, **fields)
    (task,) = shop.open_tasks(lead_id, "Подтвердить замер")
    shop.complete(task)
    return lead_id, start


def test_k23_k26_k27_a_date_in_the_card_is_booked_and_is_to_be_confirmed_one_working_day_before(shop: Shop) -> None:
    lead_id, start = booked(shop)
    (visit,) = shop.visits(lead_id)
    assert (visit["measurer_id"], visit["starts_at"], visit["round"]) == (EGOR, start, 1)
    (entry,) = shop.entries(lead_id)
    assert (entry["owner_id"], entry["from"], entry["accessibility"]) == (EGOR, start.isoformat(), "busy")
    assert datetime.fromisoformat(entry["to"]) == start + timedelta(hours=3)
    (task,) = shop.open_tasks(lead_id, "Подтвердить замер")
    before = shop.day(4)
    assert task["responsible_id"] == ANNA
    assert (task["start_plan"], task["deadline"]) == (before.isoformat(), before.replace(hour=14).isoformat())
    assert (
        f"За один рабочий день до замера: {WEEKDAYS['ru'][before.weekday()]} {before:%d.%m} 10:00"
        in task["description"]
    )
    (note,) = [text for text in shop.office.cards_of(lead_id) if "Замер назначен" in text]
    assert "3 ч работы" in note
    assert shop.messages() == []
    assert shop.tasks(lead_id, "Замер ") == []


def test_k23_a_lead_that_is_made_with_a_date_is_booked_too(shop: Shop) -> None:
    start = shop.day(5)
    lead_id = shop.lead(**{DATE: start.isoformat(), "stageId": "NEW"})
    (visit,) = shop.visits(lead_id)
    assert (visit["starts_at"], visit["source"]) == (start, "card")


def test_k24_k25_k29_k30_k31_k32_the_confirmed_visit_is_told_to_the_measurer_and_to_the_client_once(shop: Shop) -> None:
    lead_id, start = confirmed(shop, UF_CRM_B24_PRELIMINARY_SUM="250000|RUB", comments="Домофон 12")
    (visit,) = shop.visits(lead_id)
    assert (visit["state"], visit["shown"]) == ("confirmed", "confirmed")
    (task,) = shop.open_tasks(lead_id, "Замер ")
    assert (task["responsible_id"], task["start_plan"]) == (EGOR, start.isoformat())
    for words in (
        "Мира, 5", readable(shop.phone), "250000 RUB", "Домофон 12", "Замер для клиента бесплатный", "Открыть на карте",
        f"{start:%d.%m} 10:00–13:00",
    ):  # fmt: skip
        assert words in task["description"], words
    (checklist,) = [one for one in task["checklist"] if not one["parent_id"]]
    items = [one["title"] for one in task["checklist"] if one["parent_id"] == checklist["id"]]
    assert items[0] == "Позвонить клиенту перед выездом"
    assert items[-1] == "Никого нет дома"
    assert any("Мира, 5" in text for text in shop.office.notices_of(EGOR, f"/{lead_id}/"))
    day = f"{WEEKDAYS['ru'][start.weekday()]} {start:%d.%m}"
    text = f"Замер {day} в 10:00. Приедет Егор Петров, тел. {shop.measurer_phone(EGOR)}. Замер бесплатный."
    assert shop.messages() == [text]
    assert [card for card in shop.office.cards_of(lead_id) if "SMS на" in card]
    shop.office.reconcile()
    shop.office.settle(hurry=True)
    assert shop.messages() == [text]


def test_k28_another_date_begins_the_round_anew_and_everything_of_the_old_one_is_gone(shop: Shop) -> None:
    lead_id, _ = booked(shop)
    for number, day in ((2, 6), (3, 7), (4, 8)):
        (old,) = shop.open_tasks(lead_id, "Подтвердить замер")
        shop.fill(lead_id, **{DATE: shop.day(day).isoformat()})
        newest, *former = shop.visits(lead_id)
        assert (newest["round"], newest["state"], newest["starts_at"]) == (number, "confirming", shop.day(day))
        assert {row["state"] for row in former} == {"moved"}
        (entry,) = shop.entries(lead_id)
        assert entry["from"] == shop.day(day).isoformat()
        (task,) = shop.open_tasks(lead_id, "Подтвердить замер")
        assert task["id"] != old["id"]
        assert task["deadline"].startswith(str(shop.day(day - 1).date()))
        assert bool(shop.open_tasks(lead_id, "Замер переносят в 4-й раз")) == (number == 4)
    shop.complete(task)
    assert len(shop.messages()) == 1


def test_k28_a_confirmed_visit_that_is_moved_takes_its_task_back_and_the_client_gets_one_message_a_round(
    shop: Shop,
) -> None:
    lead_id, _ = confirmed(shop)
    shop.fill(lead_id, **{DATE: shop.day(7).isoformat(), MEASURER: FEDOR})
    assert shop.open_tasks(lead_id, "Замер ") == []
    assert any("ехать не нужно" in text for text in shop.office.notices_of(EGOR, "перенесён"))
    (task,) = shop.open_tasks(lead_id, "Подтвердить замер")
    shop.complete(task)
    assert len(shop.messages()) == 2
    (task,) = shop.open_tasks(lead_id, "Замер ")
    assert task["responsible_id"] == FEDOR


def test_x6_one_working_day_or_less_goes_on_at_once(shop: Shop) -> None:
    start = shop.soon()
    lead_id = shop.lead()
    shop.fill(lead_id, **{DATE: start.isoformat()})
    (visit,) = shop.visits(lead_id)
    assert (visit["state"], visit["starts_at"]) == ("confirmed", start)
    assert shop.tasks(lead_id, "Подтвердить замер") == []
    assert len(shop.messages()) == 1
    assert len(shop.open_tasks(lead_id, "Замер ")) == 1
    assert shop.card(lead_id) == (visit["measurer_id"], start)


@pytest.mark.parametrize(
    ("hour", "day", "why"),
    [(21, 5, "рабочее время 09:00-18:00"), (16, 5, "не успеть до конца дня"), (10, 0, "раньше"), (10, -1, "раньше")],
)
def test_k22_what_cannot_be_is_refused_with_what_is_free_instead(shop: Shop, hour: int, day: int, why: str) -> None:
    lead_id = shop.lead()
    start = shop.day(day, hour) if day > 0 else datetime.now(ZONE).replace(microsecond=0) + timedelta(days=day)
    shop.fill(lead_id, **{MEASURER: EGOR, DATE: start.isoformat()})
    assert shop.visits(lead_id) == []
    assert shop.card(lead_id) == (None, None)
    (notice,) = shop.office.notices_of(ANNA, f"/details/{lead_id}/")[-1:]
    assert "записать нельзя" in notice
    assert notice.count("— ") == 3, notice
    assert why in notice.lower(), notice


def test_k22_a_busy_measurer_gives_way_to_a_free_one_and_a_named_one_does_not(shop: Shop) -> None:
    first, start = booked(shop)
    second = shop.lead()
    shop.fill(second, **{DATE: start.isoformat()})
    assert shop.visits(second)[0]["measurer_id"] == FEDOR
    third = shop.lead()
    shop.fill(third, **{DATE: start.isoformat(), MEASURER: EGOR})
    assert shop.visits(third) == []
    (notice,) = shop.office.notices_of(ANNA, f"/details/{third}/")[-1:]
    assert "другой замер" in notice
    shop.fill(third, **{ADDRESS: "", DATE: shop.day(8).isoformat()})
    (notice,) = shop.office.notices_of(ANNA, f"/details/{third}/")[-1:]
    assert "не заполнен адрес" in notice
    assert shop.visits(third) == []
    assert shop.visits(first)[0]["state"] == "confirming"


def test_k26_an_entry_that_a_person_moves_takes_the_visit_along_and_one_deleted_comes_back(shop: Shop) -> None:
    lead_id, _ = booked(shop)
    (entry,) = shop.entries(lead_id)
    later = shop.day(6, 12)
    shop.portal.change_entry(entry["id"], start=later.isoformat(), end=(later + timedelta(hours=3)).isoformat())
    shop.office.settle()
    newest, former = shop.visits(lead_id)
    assert (newest["starts_at"], newest["round"], newest["state"]) == (later, 2, "confirming")
    assert former["state"] == "moved"
    assert shop.card(lead_id) == (EGOR, later)
    (entry,) = shop.entries(lead_id)
    night = shop.day(6, 22)
    shop.portal.change_entry(entry["id"], start=night.isoformat(), end=(night + timedelta(hours=3)).isoformat())
    shop.office.settle()
    (entry,) = shop.entries(lead_id)
    assert entry["from"] == later.isoformat()
    (task,) = shop.open_tasks(lead_id, "Запись о замере изменили в календаре")
    assert task["responsible_id"] == EGOR, "the head of the measurers looks into it"
    shop.portal.delete_entry(entry["id"])
    shop.office.settle()
    (entry,) = shop.entries(lead_id)
    assert entry["from"] == later.isoformat()
    assert len(shop.visits(lead_id)) == 2


@pytest.mark.parametrize("how", ["deleted", "declined"])
def test_the_visit_of_a_lead_that_is_gone_is_cancelled_and_the_measurer_knows(shop: Shop, how: str) -> None:
    lead_id, _ = confirmed(shop)
    if how == "deleted":
        shop.portal.result("crm.item.delete", {"entityTypeId": 1, "id": lead_id}, token=shop.portal.token_of(1))
    else:
        lists = shop.portal.result("crm.item.fields", {"entityTypeId": 1, "useOriginalUfNames": "Y"})["fields"]
        reason = lists["UF_CRM_B24_DECLINE"]["items"][0]["ID"]
        shop.portal.change_item(1, lead_id, {"stageId": "JUNK", "UF_CRM_B24_DECLINE": reason}, user_id=ANNA)
    shop.office.settle()
    assert shop.visits(lead_id)[0]["state"] == "cancelled"
    assert shop.entries(lead_id) == []
    assert [task for task in shop.office.tasks_of(lead_id) if task["status"] != 5 and "Замер " in task["title"]] == []
    assert any("ехать не нужно" in text for text in shop.office.notices_of(EGOR, "отменён"))
    table = schema.deliveries
    failed = shop.office.rows(sa.select(table).where(table.c.entity == f"lead:{lead_id}", table.c.state == "failed"))
    assert failed == []


@pytest.mark.parametrize("by", ["result", "tick"])
def test_nobody_home_leads_back_into_the_cycle(shop: Shop, by: str) -> None:
    lead_id, _ = confirmed(shop)
    (task,) = shop.open_tasks(lead_id, "Замер ")
    if by == "result":
        shop.portal.write_result(task["id"], "Приехал, никого нет дома")
    else:
        shop.portal.tick(task["id"], "Никого нет дома")
    shop.complete(task, user_id=EGOR)
    assert shop.visits(lead_id)[0]["state"] == "nobody_home"
    (again,) = shop.open_tasks(lead_id, "Согласовать новую дату замера")
    assert again["responsible_id"] == ANNA
    shop.fill(lead_id, **{DATE: shop.day(7).isoformat()})
    assert [(row["round"], row["state"]) for row in shop.visits(lead_id)] == [(2, "confirming"), (1, "nobody_home")]
    assert shop.open_tasks(lead_id, "Согласовать новую дату замера") == []


def test_a_measured_visit_is_done(shop: Shop) -> None:
    lead_id, _ = confirmed(shop)
    (task,) = shop.open_tasks(lead_id, "Замер ")
    shop.complete(task, user_id=EGOR)
    assert shop.visits(lead_id)[0]["state"] == "done"
    assert any("Замер сделан" in card for card in shop.office.cards_of(lead_id))


def test_k27_a_holiday_that_is_declared_later_moves_the_plan_and_the_manager_is_reminded(shop: Shop) -> None:
    lead_id, start = booked(shop, 3)
    off = [shop.day(1).date(), shop.day(2).date()]
    shop.holidays(off)
    try:
        shop.office.hurry_timers("visit_watch")
        shop.office.until(lambda: shop.visits(lead_id)[0]["told"] == 2, "the reminders")
        shop.office.settle()
        visit = shop.visits(lead_id)[0]
        assert visit["confirm_at"] < datetime.now(UTC)
        (task,) = shop.open_tasks(lead_id, "Подтвердить замер")
        assert task["start_plan"] == visit["confirm_at"].astimezone(ZONE).isoformat()
        assert len([one for one in shop.office.notices_of(ANNA, "Пора подтвердить") if f"/{lead_id}/" in one]) == 1
        assert [one for one in shop.office.notices_of(HEAD, "не подтверждён") if f"/{lead_id}/" in one]
    finally:
        shop.holidays([])
    assert start == shop.visits(lead_id)[0]["starts_at"]


def test_a_measurer_who_falls_ill_is_told_of_once_and_his_visits_go_to_another(shop: Shop) -> None:
    lead_id, start = confirmed(shop)
    ill = {"from": (start - timedelta(hours=5)).isoformat(), "to": (start + timedelta(days=2)).isoformat()}
    shop.portal.set_person(EGOR, absent=ill)
    for _ in range(2):
        shop.office.hurry_timers("visit_watch")
        shop.office.until(lambda: shop.visits(lead_id)[0]["problem"] == "absent", "the problem is seen")
        shop.office.settle()
    told = [text for text in shop.office.notices_of(EGOR, "нужен другой замерщик") if f"/{lead_id}/" in text]
    assert len(told) == 1
    answer = shop.press("board", {"from": str(start.date()), "to": str(start.date() + timedelta(days=1))})
    (problem,) = [one for one in answer["problems"] if one["visit"] == shop.visits(lead_id)[0]["id"]]
    assert (problem["proposal"]["measurer"], problem["proposal"]["text"]) == (FEDOR, "то же время")
    assert shop.press("replace", {"visit": problem["visit"]})["done"]
    shop.office.settle()
    visit = shop.visits(lead_id)[0]
    assert (visit["measurer_id"], visit["starts_at"], visit["state"]) == (FEDOR, start, "confirmed")
    assert shop.tasks(lead_id, "Подтвердить замер")[0]["status"] == 5, "the client agreed to that time already"
    assert len(shop.messages()) == 2, "he is told who comes instead"
    assert [entry["owner_id"] for entry in shop.entries(lead_id)] == [FEDOR]


def test_a_hold_is_kept_for_a_while_and_its_end_is_told(shop: Shop) -> None:
    first, second = shop.lead(), shop.lead()
    slot = shop.press("find", {"entity": f"lead:{first}"})["slots"][0]
    wish = {"measurer": slot["measurer"], "start": slot["start"]}
    assert shop.press("hold", {"entity": f"lead:{first}", **wish})["done"]
    late = shop.press("book", {"entity": f"lead:{second}", **wish})
    assert (late["done"], len(late["slots"])) == (False, 3)
    assert "Другой замер" in late["said"]
    table = schema.visits
    past = datetime.now(UTC) - timedelta(seconds=1)
    shop.office.write(sa.update(table).where(table.c.entity == f"lead:{first}").values(hold_until=past))
    assert shop.press("book", {"entity": f"lead:{second}", **wish})["done"]
    timers = schema.timers
    shop.office.write(sa.update(timers).where(timers.c.key == f"visit_hold:lead:{first}").values(due_at=past))
    shop.office.until(lambda: shop.visits(first)[0]["state"] == "cancelled", "the hold ends")
    shop.office.settle()
    assert shop.office.notices_of(1, "Удержание закончилось")


@pytest.mark.parametrize("point", ["before_send", "after_send", "after_store", "after_decision"])
def test_a_worker_killed_while_a_visit_is_written_doubles_and_loses_nothing(shop: Shop, point: str) -> None:
    lead_id, start = booked(shop)
    (task,) = shop.open_tasks(lead_id, "Подтвердить замер")
    office = shop.office
    for number in (1, 2):  # what was killed once is killed again a step later
        office.fallen.clear()
        office.restart(*office.workers, crash=f"{point}:{office.folder / f'{point}-{number}'}")
        if number == 1:
            shop.portal.control("POST", f"tasks/{task['id']}/complete", {"user_id": ANNA})
        office.until(lambda: office.fallen or shop.is_told(lead_id), "a worker falls")
    office.settle(hurry=True)
    office.restart(*office.workers)
    office.settle(hurry=True)
    assert shop.visits(lead_id)[0]["shown"] == "confirmed"
    assert len(shop.entries(lead_id)) == 1
    assert len(shop.tasks(lead_id, "Замер ")) == 1
    assert len(shop.messages()) <= 1
    checks = shop.tasks(lead_id, "Проверьте, дошло ли SMS")
    assert len(shop.messages()) + len(checks) >= 1, "sent, or a person looks whether it was"
    assert shop.card(lead_id) == (EGOR, start)


def test_an_entry_whose_answer_is_lost_is_found_again(shop: Shop) -> None:
    lead_id = shop.lead()
    shop.portal.fault("calendar.event.add", "drop", when="after")
    shop.fill(lead_id, **{MEASURER: EGOR, DATE: shop.day(5).isoformat()})
    shop.office.settle(hurry=True)
    assert len(shop.entries(lead_id)) == 1
    (visit,) = shop.visits(lead_id)
    assert visit["state"] == "confirming"
    shop.fill(lead_id, **{DATE: shop.day(6).isoformat()})
    (entry,) = shop.entries(lead_id)
    assert entry["from"] == shop.day(6).isoformat()
