"""The common board in a real Chromium whose clock is not the office's; the server is a stub with canned answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web import board_stub
from tests.web.board_stub import NOW, Stub, company, serving

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", one => window.violations.push(one.violatedDirective));
window.print = () => { window.printed = (window.printed || 0) + 1; };
"""
CLOCK = "([zone, walls, isos]) => { const c = boardClock(zone, 'ru'); return [walls.map(c.iso), isos.map(c.wall)]; }"


@pytest.fixture(scope="module")
def server() -> Iterator[Stub]:
    with serving() as running:
        yield running


@pytest.fixture
def stub(server: Stub) -> Stub:
    """The server as it is at first, with nothing asked of it."""
    fresh = Stub()
    server.board, server.change = fresh.board, fresh.change
    server.asked.clear()
    server.passes.clear()
    return server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="ru-RU", timezone_id="America/New_York"
    )
    opened = context.new_page()
    opened.add_init_script(WATCH)
    opened.clock.set_fixed_time(NOW)
    trouble: list[str] = []
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    yield opened
    assert opened.evaluate("window.violations") == []
    context.close()
    assert [one for one in trouble if "400 (BAD REQUEST)" not in one] == []


def opened(page: Page, stub: Stub, asked: str = "") -> Page:
    page.goto(f"{stub.url}/?{asked}")
    expect(page.locator("#calendar[data-drawn][aria-busy=false]")).to_be_attached()
    return page


def visit(page: Page, id: int) -> Locator:
    return page.locator(f"[data-visit='{id}']")


def rows(page: Page) -> list[str]:
    return page.locator(".ec-row-head .person").all_inner_texts()


def drag(page: Page, id: int, row: str, hours: float) -> None:
    slot = page.locator(".ec-main").evaluate(
        "one => parseFloat(getComputedStyle(one).getPropertyValue('--ec-slot-width'))"
    )
    box = visit(page, id).bounding_box()
    target = page.locator(".ec-row-head", has_text=row).bounding_box()
    assert box
    assert target
    x, y = box["x"] + 12, box["y"] + 20
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + hours * slot, target["y"] + 30, steps=6)
    page.mouse.up()


def accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_week_is_drawn_and_read_by_everybody(page: Page, stub: Stub, language: str) -> None:
    opened(page, stub, f"language={language}")
    assert stub.asked == [("board", {"from": "2026-11-30", "to": "2026-12-07"})]
    assert stub.passes == ["Bearer pass-of-a-person"]
    assert rows(page) == ["Егор Петров", "Фёдор Рябов", "Глеб Орлов", "Дарья Белова"]
    assert page.locator(".ec-col-head").count() == 5
    expect(visit(page, 2)).to_have_text("13–16\nШкаф-купе в прихожую · Мира, 2\nждёт подтверждения")
    day = "Пн 30.11" if language == "ru" else "Mon 30 Nov"
    label = f"{day} 13:00–16:00, Шкаф-купе в прихожую, ждёт подтверждения, Егор Петров, Мира, 2"
    expect(visit(page, 2)).to_have_attribute("aria-label", label)
    colours = {page.locator(f".ec-event.state-{key}").first.evaluate("one => getComputedStyle(one).backgroundColor")
               for key in board_stub.STATES}  # fmt: skip
    assert len(colours) == len(board_stub.STATES)
    assert page.locator(".ec-bg-event.busy, .ec-bg-event.absent").count() == 3
    accessible(page)
    visit(page, 7).click()
    expect(page.get_by_role("dialog")).to_contain_text("Глеб Орлов отсутствует до 04.12")
    accessible(page)


def test_people_look_for_a_day_a_zone_and_a_person(page: Page, stub: Stub) -> None:
    opened(page, stub, "days=1&look")
    assert stub.asked == [("board", {"from": "2026-11-30", "to": "2026-12-01"})]
    expect(visit(page, 1)).to_have_text("09:00–12:00\nКухня угловая · Мира, 1\nсделан")
    page.get_by_label("Район").select_option("south")
    assert rows(page) == ["Егор Петров", "Глеб Орлов", "Дарья Белова"]
    expect(visit(page, 1)).to_be_visible()  # another zone's, and still no gap
    page.get_by_text("Замерщики:").click()
    page.get_by_role("checkbox", name="Глеб Орлов").uncheck()
    assert rows(page) == ["Егор Петров", "Дарья Белова"]
    expect(page.locator("#people-count")).to_have_text("3 из 4")
    page.keyboard.press("Escape")
    visit(page, 2).click()
    link = page.get_by_role("link", name="Открыть карточку")
    expect(link).to_have_attribute("href", "https://portal.bitrix24.ru/crm/lead/details/2/")
    link.click()
    assert page.evaluate("window.openedPath") == "/crm/lead/details/2/"
    expect(page.locator("#move, [data-replace], #replace-all")).to_have_count(0)  # who may not move is not offered to


def test_a_drag_is_a_move_and_a_refusal_takes_it_back(page: Page, stub: Stub) -> None:
    answer, there = company(), stub.board
    stub.board = lambda first, until: answer
    opened(page, stub)
    stub.change = lambda what, body: {"done": False, "said": "Это время уже занято. Ближайшие: 14:00", "slots": []}
    home = visit(page, 3).bounding_box()
    drag(page, 3, "Фёдор Рябов", 2)
    expect(page.get_by_role("alert").filter(has_text="Это время уже занято")).to_be_visible()
    wish = {"visit": 3, "measurer": 10, "start": "2026-12-01T12:00:00+03:00", "token": "key-of-a-person"}
    assert stub.changes() == [("move", wish)]
    expect(page.locator("#calendar[aria-busy=false]")).to_be_attached()  # asked anew, and drawn
    assert visit(page, 3).bounding_box() == home

    def move(what: str, body: dict[str, Any]) -> dict[str, Any]:
        answer["visits"][2] |= {"measurer": 12, "start": body["start"], "end": "2026-12-01T16:30:00+03:00"}
        return {"done": True, "said": "Замер перенесён на 13:30"}

    stub.change = move
    drag(page, 3, "Дарья Белова", 3.5)
    expect(page.get_by_role("status").filter(has_text="Замер перенесён на 13:30")).to_be_visible()
    assert stub.changes()[1][1] | wish == {**wish, "start": "2026-12-01T12:00:00+03:00"}
    assert (stub.changes()[1][1]["measurer"], stub.changes()[1][1]["start"]) == (12, "2026-12-01T13:30:00+03:00")
    expect(visit(page, 3)).to_have_text("13:30–16:30\nКухня 3 · Мира, 3\nподтверждён")
    box, row = visit(page, 3).bounding_box(), page.locator(".ec-row-head", has_text="Дарья").bounding_box()
    assert box
    assert row
    assert row["y"] <= box["y"] < row["y"] + row["height"]
    drag(page, 1, "Дарья Белова", 1)
    assert len(stub.changes()) == 2  # what is done stays where it was
    stub.board, stub.change = there, lambda what, body: {"error": "Портал не отвечает"}
    drag(page, 2, "Дарья Белова", 1)
    expect(page.get_by_role("alert").filter(has_text="Портал не отвечает")).to_be_visible()


def test_the_keyboard_alone_moves_a_visit(page: Page, stub: Stub) -> None:
    opened(page, stub)
    visit(page, 1).focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    dialog = page.get_by_role("dialog", name="Кухня 5")
    expect(dialog).to_contain_text("Пн 30.11 15:00–18:00")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(visit(page, 5)).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("Замерщик").select_option("Дарья Белова")
    dialog.get_by_label("Начало").fill("2026-12-02T11:15")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Замер перенесён")).to_be_visible()
    wish = {"visit": 5, "measurer": 12, "start": "2026-12-02T11:15:00+03:00", "token": "key-of-a-person"}
    assert stub.changes() == [("move", wish)]
    expect(visit(page, 5)).to_be_focused()


def test_who_needs_another_measurer_gets_one(page: Page, stub: Stub) -> None:
    opened(page, stub)
    panel = page.get_by_role("region", name="Нужен другой замерщик: 3")
    expect(panel.get_by_role("listitem").first).to_contain_text(
        "Предлагаем: Дарья Белова, Пн 30.11 10:00 — то же время"
    )
    expect(panel.get_by_role("listitem").last).to_contain_text("Свободной замены нет")
    panel.get_by_role("button", name="Перенести: Кухня 8").click()
    expect(page.get_by_role("status").filter(has_text="Замер перенесён")).to_be_visible()
    assert stub.changes() == [("replace", {"visit": 8, "token": "key-of-a-person"})]
    gate = threading.Event()

    def one_by_one(what: str, body: dict[str, Any]) -> dict[str, Any]:
        if body["visit"] == 7:
            gate.wait(10)
            return {"done": False, "said": "Дарью только что заняли"}
        return {"done": True, "said": "Замер перенесён"}

    stub.change = one_by_one
    panel.get_by_role("button", name="Перенести все").click()
    expect(page.locator("#progress")).to_have_text("1 из 2")
    gate.set()
    expect(page.get_by_role("status").filter(has_text="Перенесено: 1 из 2")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="Кухня 7: Дарью только что заняли")).to_be_visible()
    assert [body["visit"] for _, body in stub.changes()] == [8, 7, 8]


def test_the_day_is_printed_measurer_by_measurer(page: Page, stub: Stub) -> None:
    opened(page, stub)
    page.get_by_role("button", name="Распечатать день: Пн 30.11").click()
    assert page.evaluate("window.printed") == 1
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", level=1)).to_have_text("Замеры: понедельник, 30 ноября 2026 г.")
    assert page.get_by_role("heading", level=2).all_inner_texts() == ["Егор Петров", "Фёдор Рябов", "Глеб Орлов"]
    first = page.get_by_role("table").first.get_by_role("row").nth(2).get_by_role("cell").all_inner_texts()
    assert first == ["13:00–16:00", "Шкаф-купе в прихожую (Кухня)", "Мира, 2", "ждёт подтверждения"]
    expect(page.get_by_text("Без замеров: Дарья Белова")).to_be_visible()
    expect(page.locator("#calendar")).to_be_hidden()


def test_a_late_answer_does_not_overwrite_a_newer_one(page: Page, stub: Stub) -> None:
    opened(page, stub)
    gate = threading.Event()

    def board(first: str, until: str) -> dict[str, Any]:
        if first == "2026-12-07":
            gate.wait(10)
        return company(date.fromisoformat(first))

    stub.board = board
    forward = page.get_by_role("button", name="Вперёд")
    forward.click()
    expect(page.locator("#calendar")).to_have_attribute("aria-busy", "true")
    expect(page.locator("[data-visit]")).to_have_count(0)
    forward.click()
    expect(page.locator("#period")).to_have_text("14–20 декабря 2026 г.")
    expect(visit(page, 1)).to_have_attribute(
        "aria-label", "Пн 14.12 09:00–12:00, Кухня угловая, сделан, Егор Петров, Мира, 1"
    )
    gate.set()
    page.get_by_role("button", name="Сегодня").click()
    expect(page.locator("#period")).to_have_text("30 ноября – 6 декабря 2026 г.")
    expect(visit(page, 1)).to_have_attribute(
        "aria-label", "Пн 30.11 09:00–12:00, Кухня угловая, сделан, Егор Петров, Мира, 1"
    )
    assert [body["from"] for _, body in stub.asked] == ["2026-11-30", "2026-12-07", "2026-12-14", "2026-11-30"]


def test_nobody_is_hidden_by_the_hours_and_an_empty_department_is_told(page: Page, stub: Stub) -> None:
    answer = company()
    answer["visits"][0] |= {"start": "2026-12-05T07:30:00+03:00", "end": "2026-12-05T20:15:00+03:00", "measurer": 77}
    answer["visits"][0]["measurer_name"] = "Уволенный"
    stub.board = lambda first, until: answer
    opened(page, stub)
    assert rows(page)[-1] == "Уволенный"
    assert page.locator(".ec-col-head").all_inner_texts()[-1] == "Сб 05.12"
    expect(visit(page, 1)).to_have_text("7:30–20:15\nКухня угловая · Мира, 1\nсделан")
    box, closed = visit(page, 1).bounding_box(), page.locator(".ec-bg-event.closed").last.bounding_box()
    assert box
    assert closed
    assert box["width"] > 200
    answer |= {"measurers": [], "visits": [], "busy": [], "problems": []}
    page.get_by_role("button", name="Обновить").click()
    expect(page.get_by_text("В отделе замерщиков никого нет: проверьте [measurement] в сценарии.")).to_be_visible()
    expect(page.locator("#calendar, #problems")).to_have_count(2)
    expect(page.locator("#calendar")).to_be_hidden()


def test_clocks_that_change_are_read_right(page: Page, stub: Stub) -> None:
    opened(page, stub)
    walls = ["2026-03-29T01:30", "2026-03-29T02:30", "2026-03-29T10:00", "2026-10-25T02:30", "2026-10-26T10:00"]
    isos = ["2026-03-29T08:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-11-30T10:00:00+03:00"]
    assert page.evaluate(CLOCK, ["Europe/Berlin", walls, isos]) == [
        [
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-29T10:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-26T10:00:00+01:00",
        ],
        ["2026-03-29T10:00", "2026-10-25T02:30", "2026-10-25T02:30", "2026-11-30T08:00"],
    ]
    assert page.evaluate(CLOCK, ["Asia/Kathmandu", ["2026-11-30T10:00"], []])[0] == ["2026-11-30T10:00:00+05:45"]
