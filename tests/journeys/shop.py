"""A kitchen shop that measures: the applied playbook, an SMS provider, what people do about a visit and see of it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fake_gateway import FakeGateway, fake_gateway

from b24app.bitrix.translate import phone_text
from b24app.playbook import load_playbook
from b24app.rules.working_time import WorkCalendar
from b24app.store import schema

from .office import ANNA, Office, Row, new_phone, playbook, running_office

MEASURER, DATE, ADDRESS = "UF_CRM_B24_MEASURER", "UF_CRM_B24_MEASURE_AT", "UF_CRM_B24_ADDRESS"
MEASUREMENT = "B24_MEASUREMENT"
EGOR, FEDOR = 9, 10
ZONE = ZoneInfo("Europe/Moscow")
YEAR_OFF = "1.01,2.01,3.01,4.01,5.01,6.01,7.01,8.01,23.02,8.03,1.05,9.05,12.06,4.11"


class Shop:
    """What a manager does about measurements, and what everybody sees of it."""

    def __init__(self, office: Office, provider: FakeGateway) -> None:
        self.office, self.portal, self.provider = office, office.portal, provider
        self.hours: WorkCalendar = load_playbook(str(office.playbook)).hours.calendar()
        self.phone = ""

    def lead(self, **fields: Any) -> int:
        """A lead at «Замер назначен» of Anna, with a mobile number and an address."""
        self.phone = new_phone()
        number = [{"typeId": "PHONE", "valueType": "WORK", "value": self.phone}]
        values = {
            "title": "Кухня угловая", "name": "Ольга", "assignedById": ANNA, "stageId": MEASUREMENT, "fm": number,
            ADDRESS: "Мира, 5", **fields,
        }  # fmt: skip
        made = self.portal.create_item(1, values, user_id=ANNA)
        self.office.settle()
        return int(made["id"])

    def fill(self, lead_id: int, **fields: Any) -> None:
        """Anna fills in the card."""
        self.portal.change_item(1, lead_id, fields, user_id=ANNA)
        self.office.settle()

    def day(self, number: int, hour: int = 10) -> datetime:
        """The hour of the `number`-th working day from tomorrow on."""
        day = self.office.now().astimezone(ZONE).date()
        while number:
            day += timedelta(days=1)
            number -= bool(self.hours.is_working_day(day))
        return datetime.combine(day, time(hour), ZONE)

    def card(self, lead_id: int) -> tuple[int | None, datetime | None]:
        """The two fields of the card: (measurer, date)."""
        raw = self.portal.result("crm.item.get", {"entityTypeId": 1, "id": lead_id, "useOriginalUfNames": "Y"})["item"]
        start = raw[DATE]
        return int(raw[MEASURER] or 0) or None, datetime.fromisoformat(start) if start else None

    def visits(self, lead_id: int) -> list[Row]:
        """The item's visits, the newest first."""
        table = schema.visits
        query = sa.select(table).where(table.c.entity == f"lead:{lead_id}").order_by(table.c.id.desc())
        return [dict(row) for row in self.office.rows(query)]

    def entries(self, lead_id: int) -> list[Row]:
        """Calendar entries bound to the lead."""
        return [one for one in self.portal.state("calendar") if f"L_{lead_id}" in one["crm"]]

    def tasks(self, lead_id: int, title: str) -> list[Row]:
        return [task for task in self.office.tasks_of(lead_id) if task["title"].startswith(title)]

    def open_tasks(self, lead_id: int, title: str) -> list[Row]:
        """Those that are not closed."""
        return [task for task in self.tasks(lead_id, title) if task["status"] != 5]

    def complete(self, task: Row, *, user_id: int = ANNA) -> None:
        """A person closes the task."""
        self.portal.control("POST", f"tasks/{task['id']}/complete", {"user_id": user_id})
        self.office.settle()

    def measurer_phone(self, id: int) -> str:
        """A measurer's mobile number as people read it."""
        (person,) = self.portal.result("user.get", {"FILTER": {"ID": id}})
        return phone_text(person["PERSONAL_MOBILE"], "RU")

    def soon(self) -> datetime:
        """The first time that may be booked: less than a working day away."""
        lead_id = self.lead()
        return datetime.fromisoformat(self.press("find", {"entity": f"lead:{lead_id}"})["slots"][0]["start"])

    def press(self, action: str, wish: Row, user_id: int = 1) -> Row:
        """What a page of ours answers a person who presses a button."""
        opened = self.portal.open(user_id)
        page_pass = re.search(r'data-pass="([^"]+)"', opened["body"])
        assert page_pass is not None, opened["body"][:500]
        answer = self.office.http.post(
            f"{self.office.url}/visits/{action}",
            json={**wish, "token": self.portal.token_of(user_id)},
            headers={"Authorization": f"Bearer {page_pass[1]}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def holidays(self, days: list[date]) -> None:
        """The portal's calendar has these days off besides the usual ones; ours is read anew."""
        more = "".join(f",{day.day}.{day.month:02}" for day in days)
        self.portal.control("PATCH", "settings", {"calendar": {"year_holidays": YEAR_OFF + more}})
        self.office.write(sa.delete(schema.snapshots))

    def is_told(self, lead_id: int) -> bool:
        """Whether everybody was told that the visit is confirmed, and nothing is left to do."""
        return self.visits(lead_id)[0]["shown"] == "confirmed" and not self.office.open_deliveries()

    def messages(self) -> list[str]:
        """Texts of the SMS to this lead's client."""
        return [one["msg"] for one in self.provider.sent if one["to"] == self.phone.removeprefix("+")]

    def morning(self) -> None:
        """Nobody has a visit, everybody is well, Anna is at work."""
        office = self.office
        office.control("DELETE", "faults")
        office.settle(hurry=True)
        for table in (schema.visit_cells, schema.visits):  # before the entries: a visit brings its own one back
            office.write(sa.delete(table))
        for entry in self.portal.state("calendar"):
            self.portal.delete_entry(entry["id"])
        for measurer in (EGOR, FEDOR):
            self.portal.set_person(measurer, absent=None, busy=None)
        office.settle(hurry=True)
        office.tidy()
        office.at_work(ANNA)


@contextmanager
def running_shop(folder: Path) -> Iterator[Shop]:
    """Yields a shop with its portal, our processes and the SMS provider."""
    text = playbook(quiet_from="00:00:00", quiet_to="00:00:00")
    with fake_gateway() as provider, running_office(folder, "--no-limits", text=text, config=provider.config) as office:
        command = [sys.executable, "-m", "b24app", "--config", str(office.config), "apply"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Shop(office, provider)
