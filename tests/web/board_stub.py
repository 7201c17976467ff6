"""The board's page over HTTP with canned answers: what the page asked is kept, what it is told is set by the tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

from b24app.pages.frame import HERE, Look, environment, headers
from b24app.services import Services

MONDAY = date(2026, 11, 30)
MOSCOW = timezone(timedelta(hours=3))
NOW = "2026-11-30T11:20:00+03:00"
STATES = {
    "held": "удержан",
    "booked": "записан",
    "confirming": "ждёт подтверждения",
    "confirmed": "подтверждён",
    "done": "сделан",
    "nobody_home": "не застали",
}
NAMES = ("page.css", "icon.svg", "frame.js", "event-calendar.min.js", "event-calendar.min.css", "board.css", "board.js")
NAMES += ("board_clock.js", "board_calendar.js", "board_panels.js")
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
ZONES = [{"key": "north", "name": "Север"}, {"key": "south", "name": "Юг"}]
PORTAL = "https://portal.bitrix24.ru"
BX24 = """
window.BX24 = {
  init: function (what) { what(); },
  getAuth: function () { return { access_token: "key-of-a-person" }; },
  fitWindow: function () {},
  openPath: function (path) { window.openedPath = path; }
};
"""


def at(day: date, hour: float) -> str:
    """Returns the moment of an hour in Moscow."""
    return (datetime(day.year, day.month, day.day, tzinfo=MOSCOW) + timedelta(hours=hour)).isoformat()


def visit(id: int, measurer: int, day: date, hour: float, state: str = "booked", **more: Any) -> dict[str, Any]:
    """Returns a visit of three hours as the server tells it."""
    return {
        "id": id,
        "entity": f"lead:{id}",
        "title": f"Кухня {id}",
        "path": f"/crm/lead/details/{id}/",
        "measurer": measurer,
        "measurer_name": "",
        "start": at(day, hour),
        "end": at(day, hour + 3),
        "state": state,
        "state_name": STATES[state],
        "round": 1,
        "address": f"Мира, {id}",
        "zone": "north",
        "work_name": "Кухня",
        "movable": state not in ("done", "nobody_home"),
        "problem": "",
        **more,
    }


def company(monday: date = MONDAY) -> dict[str, Any]:
    """Returns a week of four measurers: every state, busy times, an absence and a visit that needs somebody else."""
    tuesday, wednesday = monday + timedelta(days=1), monday + timedelta(days=2)
    egor, fedor = {"measurer": 9, "measurer_name": "Егор Петров"}, {"measurer": 10, "measurer_name": "Фёдор Рябов"}
    visits = [
        visit(1, day=monday, hour=9, state="done", title="Кухня угловая", **egor),
        visit(2, day=monday, hour=13, state="confirming", title="Шкаф-купе в прихожую", zone="south", **egor),
        visit(3, day=tuesday, hour=10, state="confirmed", **egor),
        visit(4, day=monday, hour=10, state="nobody_home", title="Гардеробная", **fedor),
        visit(5, day=monday, hour=15, state="held", **fedor),
        visit(6, day=wednesday, hour=9.5, state="booked", **fedor),
        visit(7, 11, monday, 10, "confirmed", measurer_name="Глеб Орлов", problem="Глеб Орлов отсутствует до 04.12"),
        visit(8, 11, tuesday, 14, "booked", measurer_name="Глеб Орлов", problem="Глеб Орлов отсутствует до 04.12"),
    ]
    offer = {
        "text": "то же время",
        "measurer": 12,
        "name": "Дарья Белова",
        "start": at(monday, 10),
        "when": "Пн 30.11 10:00",
    }
    later = {**offer, "text": "", "start": at(tuesday, 14), "when": "Вт 01.12 14:00"}
    trouble = {"why": "Глеб Орлов отсутствует до 04.12"}
    return {
        "measurers": [
            {"id": 9, "name": "Егор Петров", "zones": ["north", "south"], "why": ""},
            {"id": 10, "name": "Фёдор Рябов", "zones": ["north"], "why": ""},
            {"id": 11, "name": "Глеб Орлов", "zones": ["south"], "why": "отсутствует до 04.12"},
            {"id": 12, "name": "Дарья Белова", "zones": [], "why": ""},
        ],
        "visits": visits,
        "busy": [
            {"measurer": 12, "start": at(monday, 9), "end": at(monday, 10), "absent": False},
            {"measurer": 9, "start": at(monday, 17), "end": at(monday, 18.5), "absent": False},
            {"measurer": 11, "start": at(monday, 0), "end": at(monday + timedelta(days=4), 0), "absent": True},
        ],
        "hours": {"from": "09:00", "to": "19:00"},
        "work_days": [(monday + timedelta(days=n)).isoformat() for n in range(5)],
        "zone": "Europe/Moscow",
        "now": NOW,
        "problems": [
            {**trouble, "visit": 7, "title": "Кухня 7", "when": "Пн 30.11 10:00", "proposal": offer},
            {**trouble, "visit": 8, "title": "Кухня 8", "when": "Вт 01.12 14:00", "proposal": later},
            {**trouble, "visit": 99, "title": "Кухня 99", "when": "Чт 03.12 09:00", "proposal": None},
        ],
    }  # fmt: skip


def crowd(people: int, a_day: int, first: date, days: int) -> dict[str, Any]:
    """Returns a full house: so many visits a working day for everybody, two busy times a week each."""
    answer = company()
    dates = [first + timedelta(days=n) for n in range(days)]
    working = [one for one in dates if one.weekday() < 5]
    names = [f"Замерщик {n}" for n in range(1, people + 1)]
    answer["measurers"] = [{"id": n, "name": name, "zones": [], "why": ""} for n, name in enumerate(names, 1)]
    step, states = 10 / a_day, list(STATES)
    answer["visits"] = [
        visit(
            (day.toordinal() * people + person) * a_day + n, person, day, 9 + step * n, states[(person + n) % 6],
            measurer_name=names[person - 1], end=at(day, 9 + step * n + step * 0.8),
        )
        for day in working for person in range(1, people + 1) for n in range(a_day)
    ]  # fmt: skip
    answer["busy"] = [
        {"measurer": person, "start": at(day, 18), "end": at(day, 19), "absent": False}
        for day in working[:2]
        for person in range(1, people + 1)
    ]
    answer["work_days"] = [one.isoformat() for one in working]
    answer["problems"] = []
    return answer


class Stub:
    """What the server would tell and what the page asked of it."""

    def __init__(self) -> None:
        self.board: Any = lambda first, until: company()
        self.change: Any = lambda what, body: {"done": True, "said": "Замер перенесён"}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.passes: list[str] = []
        self.url = ""

    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """Returns what the page wanted moved or replaced."""
        return [one for one in self.asked if one[0] != "board"]

    def page(
        self, language: str = "ru", days: int = 7, first: str = "2026-11-30", *, can_move: bool = True
    ) -> Response:
        """Returns the page with the very headers that pages have."""
        settings = SimpleNamespace(bitrix24=SimpleNamespace(js_url=f"{self.url}/bx24.js"))
        services = cast(Services, SimpleNamespace(settings=settings))
        look = Look(services, language, PORTAL, "pass-of-a-person")
        text = environment.get_template("board.html").render(
            look=look, t=look.text, static={name: f"/static/{name}" for name in NAMES}, js_url=settings.bitrix24.js_url,
            board_from=first, days=days, can_move=can_move, zones=ZONES,
        )  # fmt: skip
        return Response(text, headers=headers(services, (PORTAL,)))

    def application(self) -> Flask:
        """Returns the server's application."""
        app = Flask("board", static_folder=None)

        @app.get("/")
        def page() -> Response:
            asked = request.args
            return self.page(asked.get("language", "ru"), int(asked.get("days", 7)), can_move="look" not in asked)

        @app.get("/bx24.js")
        def bx24() -> Response:
            return Response(BX24, content_type="text/javascript")

        @app.get("/static/<name>")
        def static(name: str) -> Response:
            folder = HERE / "vendor" if name.startswith("event-calendar") else HERE
            return Response((folder / name).read_bytes(), content_type=TYPES[name.rpartition(".")[2]])

        @app.post("/visits/<what>")
        def visits(what: str) -> tuple[Response, int]:
            body = cast(dict[str, Any], request.get_json())
            self.asked.append((what, body))
            self.passes.append(request.headers.get("Authorization", ""))
            answer = self.board(body["from"], body["to"]) if what == "board" else self.change(what, body)
            return jsonify(answer), 400 if "error" in answer else 200

        return app


@contextmanager
def serving() -> Iterator[Stub]:
    """Yields the stub while it serves."""
    stub = Stub()
    server = make_server("127.0.0.1", 0, stub.application(), threaded=True)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
