"""The portal's web page and BX24.js in a real Chromium, against a real sandbox process and a foreign application."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VIEWS = {
    "leads": "/crm/lead/",
    "deals": "/crm/deal/",
    "tasks": "/tasks/",
    "calendar": "/company/personal/user/9/calendar/",
    "people": "/company/",
    "calls": "/crm/calls/",
    "robots": "/crm/robots/",
    "applications": "/devops/",
    "journal": "/devops/journal/",
}


class Portal:
    """A sandbox process, driven by its controls."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.url: str = ready["url"]
        self.client_id: str = ready["client_id"]

    def control(self, verb: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = requests.request(verb, f"{self.url}/control/{path}", json=body, timeout=10)
        assert answer.ok, (verb, path, body, answer.text)
        return answer.json()

    def lead(self, **fields: Any) -> int:
        before = {item["id"] for item in self.control("GET", "state")["leads"]}
        self.control("POST", "items/1", {"fields": fields, "user_id": 1})
        return next(item["id"] for item in self.control("GET", "state")["leads"] if item["id"] not in before)

    def stage_of(self, lead_id: int) -> str:
        return next(item["stageId"] for item in self.control("GET", "state")["leads"] if item["id"] == lead_id)

    def find(self, part: str, **wanted: Any) -> dict[str, Any]:
        for item in self.control("GET", "state")[part]:
            if all(item.get(key) == value for key, value in wanted.items()):
                return item
        raise AssertionError(f"no {part} with {wanted}")


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0", "--no-limits"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Portal(json.loads(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        if process.stdout:
            process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, portal: Portal) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=portal.url)
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("dialog", lambda dialog: (failures.append(f"a dialog opened: {dialog.message}"), dialog.dismiss()))
    yield page
    context.close()
    assert failures == []


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.1)


# ------------------------------------------------------------------- clients arrive


def test_the_missed_call_button_makes_a_card_that_opens(page: Page, portal: Portal) -> None:
    page.goto("/")
    page.get_by_role("button", name="Пропущенный звонок").click()
    dialog = page.get_by_role("dialog")
    number = dialog.get_by_label("Номер клиента")
    assert re.fullmatch(r"\+79\d{9}", number.input_value())
    number.fill("+79031112233")
    dialog.get_by_role("button", name="Позвонить и не ответить").click()
    card = page.locator(".card", has_text="+7 903 111-22-33")
    expect(card).to_be_visible()
    card.get_by_role("link").first.click()
    expect(page.get_by_role("dialog").get_by_text("+7 903 111-22-33").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(card.get_by_role("link").first).to_be_focused()


def test_a_ringing_call_is_answered_as_a_person_and_ended(page: Page, portal: Portal) -> None:
    page.goto("/")
    page.get_by_role("button", name="Звонок", exact=True).click()
    page.get_by_label("Номер клиента").fill("+79032223344")
    page.get_by_role("button", name="Позвонить", exact=True).click()
    window = page.get_by_role("region", name="Звонок +7 903 222-33-44")
    window.get_by_label("Ответить как").select_option(label="Борис Лебедев")
    window.get_by_role("button", name="Ответить").click()
    expect(window.get_by_text("Говорит Борис Лебедев")).to_be_visible()
    window.get_by_role("button", name="Завершить").click()
    expect(window).to_have_count(0)


def test_a_lead_by_hand_is_created_by_the_chosen_person(page: Page, portal: Portal) -> None:
    page.goto("/")
    page.get_by_label("От чьего имени действовать").select_option(label="Анна Кузнецова")
    page.get_by_role("button", name="Новый лид вручную").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Название").fill("Лид Анны")
    dialog.get_by_role("button", name="Создать").click()
    expect(page.locator(".card", has_text="Лид Анны")).to_be_visible()
    anna = portal.find("people", last_name="Кузнецова")["id"]
    assert portal.find("leads", title="Лид Анны")["createdBy"] == anna


# ------------------------------------------------------------------ stages and fields


def test_dragging_a_card_moves_the_lead(page: Page, portal: Portal) -> None:
    lead = portal.lead(title="Тяну мышью")
    page.goto("/crm/lead/")
    page.locator(f".card[data-item='{lead}']").drag_to(page.locator(".column[data-stage='PROCESSED']"))
    expect(page.locator(f".column[data-stage='PROCESSED'] .card[data-item='{lead}']")).to_be_visible()
    assert portal.stage_of(lead) == "PROCESSED"


def test_alt_and_an_arrow_move_the_lead_and_the_focus_stays_on_it(page: Page, portal: Portal) -> None:
    lead = portal.lead(title="Двигаю клавишами")
    page.goto("/crm/lead/")
    page.locator(f".card[data-item='{lead}'] .card-title").focus()
    page.keyboard.press("Alt+ArrowRight")
    moved = page.locator(f".column[data-stage='IN_PROCESS'] .card[data-item='{lead}'] .card-title")
    expect(moved).to_be_focused()
    assert portal.stage_of(lead) == "IN_PROCESS"


def test_fields_are_saved_as_the_chosen_person(page: Page, portal: Portal) -> None:
    lead = portal.lead(title="До правки")
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_role("button", name="Изменить").click()
    page.get_by_label("Название").fill("После правки")
    page.get_by_role("button", name="Сохранить").click()
    expect(page.get_by_role("heading", name="После правки")).to_be_visible()
    assert portal.find("leads", id=lead)["title"] == "После правки"


def test_a_comment_is_written_by_the_chosen_person(page: Page, portal: Portal) -> None:
    lead = portal.lead(title="Для комментария")
    page.goto("/")
    page.get_by_label("От чьего имени действовать").select_option(label="Борис Лебедев")
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_label("Комментарий", exact=True).fill("Позвоню [b]завтра[/b]")
    page.get_by_role("button", name="Отправить").click()
    entry = page.locator(".event", has_text="Борис Лебедев")
    expect(entry.locator("strong", has_text="завтра")).to_be_visible()
    expect(page.get_by_label("Комментарий", exact=True)).to_have_value("")


def test_a_task_is_completed_and_renewed_by_its_tick(page: Page, portal: Portal, installed: dict[str, Any]) -> None:
    lead = portal.lead(title="Лид с задачей")
    token = portal.control("POST", "tokens", {"action": "issue", "client_id": portal.client_id, "user_id": 1})
    fields = {"TITLE": "Позвонить клиенту", "RESPONSIBLE_ID": 1, "UF_CRM_TASK": [f"L_{lead}"]}
    answer = requests.post(
        f"{portal.url}/rest/tasks.task.add", json={"fields": fields, "auth": token["access_token"]}, timeout=10
    )
    assert answer.ok, answer.text
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_role("button", name="Задачи").click()
    page.get_by_role("button", name="Завершить: Позвонить клиенту").first.click()
    expect(page.get_by_role("button", name="Возобновить: Позвонить клиенту").first).to_be_visible()
    assert portal.find("tasks", title="Позвонить клиенту")["status"] == 5
    page.get_by_role("button", name="Возобновить: Позвонить клиенту").first.click()
    expect(page.get_by_role("button", name="Завершить: Позвонить клиенту").first).to_be_visible()
    task = portal.find("tasks", title="Позвонить клиенту")["id"]
    item = {"TASKID": task, "FIELDS": {"TITLE": "Спросить про размеры"}, "auth": token["access_token"]}
    requests.post(f"{portal.url}/rest/task.checklistitem.add", json=item, timeout=10)
    page.get_by_role("link", name="Позвонить клиенту").first.click()
    card = page.get_by_role("dialog", name="Позвонить клиенту")
    card.get_by_label("Спросить про размеры").click()
    card.get_by_label("Результат задачи").fill("Три метра [b]двадцать[/b]")
    card.get_by_role("button", name="Записать результат").click()
    expect(card.locator("strong", has_text="двадцать")).to_be_visible()
    shown = portal.find("tasks", id=task)
    assert [one["done"] for one in shown["checklist"] if one["title"] == "Спросить про размеры"] == [True]
    assert [one["author_id"] for one in shown["results"]] == [1]


def test_robots_are_placed_with_their_properties_and_keep_their_order(
    page: Page, portal: Portal, installed: dict[str, Any]
) -> None:
    token = portal.control("POST", "tokens", {"action": "issue", "client_id": installed["client_id"], "user_id": 1})
    for code, name in (("first", "Первый робот"), ("second", "Второй робот")):
        robot = {
            "CODE": code, "NAME": name, "HANDLER": f"{installed['own']}/robot", "AUTH_USER_ID": 1,
            "USE_SUBSCRIPTION": "N",
            "PROPERTIES": {"dept": {"Name": "Отдел", "Type": "int", "Required": "Y"}},
        }  # fmt: skip
        answer = requests.post(
            f"{portal.url}/rest/bizproc.robot.add", json={**robot, "auth": token["access_token"]}, timeout=10
        )
        assert answer.ok, answer.text
    page.goto("/crm/robots/")
    for name, department in (("Первый робот", "3"), ("Второй робот", "4")):
        page.get_by_role("button", name="Добавить робота: Обработан").click()
        page.get_by_role("dialog").get_by_role("button", name=name).click()
        page.get_by_label("Отдел *").fill(department)
        page.get_by_role("button", name="Поставить робота").click()
        expect(page.locator(".robot", has_text=name)).to_be_visible()
    column = page.locator(".column", has=page.get_by_role("heading", name="Обработан"))
    expect(column.locator(".robot-head")).to_have_text(["Первый робот", "Второй робот"])
    page.get_by_role("button", name="Изменить: Первый робот").click()
    page.get_by_label("Отдел *").fill("7")
    page.get_by_role("button", name="Сохранить").click()
    expect(column.locator(".robot-values dd")).to_have_text(["7", "4"])
    page.get_by_role("button", name="Выше: Второй робот").click()
    expect(column.locator(".robot-head")).to_have_text(["Второй робот", "Первый робот"])
    for name in ("Первый робот", "Второй робот"):
        page.get_by_role("button", name=f"Убрать: {name}").click()
        expect(page.locator(".robot", has_text=name)).to_have_count(0)


def test_hostile_names_and_comments_stay_text(page: Page, portal: Portal) -> None:
    lead = portal.lead(
        title="<img src=x onerror=alert(1)>",
        name="<script>alert(2)</script>",
        comments="[url=javascript:alert(3)]жми[/url] [b]жирно[/b] <svg onload=alert(4)>",
    )
    page.goto(f"/crm/lead/details/{lead}/")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="<img src=x onerror=alert(1)>")).to_be_visible()
    expect(dialog.locator("strong", has_text="жирно")).to_be_visible()
    dialog.get_by_text("жми").click()
    assert dialog.locator("img, script, a[href^='javascript']").count() == 0


def test_a_refused_action_is_shown_in_the_portals_words(page: Page, portal: Portal) -> None:
    page.goto("/crm/lead/")
    page.get_by_role("button", name="Импорт").click()
    page.get_by_label("Сколько лидов").evaluate("input => { input.required = false; input.min = ''; }")
    page.get_by_label("Сколько лидов").fill("-3")
    page.get_by_role("button", name="Загрузить").click()
    expect(page.get_by_role("alert").locator(".toast-error")).to_be_visible()


# ---------------------------------------------------------------------- a calendar


@pytest.fixture
def week(portal: Portal) -> Callable[[int, str], str]:
    """A moment of the present week by its day (0 is Monday) and time."""
    today = date.fromisoformat(portal.control("GET", "state/now")[:10])
    monday = today - timedelta(days=today.weekday())
    return lambda day, time_: f"{monday + timedelta(days=day)}T{time_}:00+03:00"


def test_an_entry_of_a_week_is_dragged_moved_by_keys_and_deleted(
    page: Page, portal: Portal, week: Callable[[int, str], str]
) -> None:
    body = {"owner_id": 9, "name": "Замер", "from": week(0, "10:00"), "to": week(0, "11:00"), "location": "Лесная, 5"}
    number = portal.control("POST", "calendar", body)["id"]
    page.goto("/company/personal/user/9/calendar/")
    expect(page.get_by_label("Чей календарь")).to_have_value("9")
    slot = page.locator(f".slot[data-entry='{number}']")
    days = page.locator(".day-column")
    # From ten on Monday two columns to the right and three hours down; the grid begins at eight.
    slot.drag_to(days.nth(2), source_position={"x": 20, "y": 10}, target_position={"x": 40, "y": 5 * 46 + 10})
    expect(days.nth(2).locator(f"[data-entry='{number}']")).to_contain_text("13:00–14:00")
    slot.focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(slot).to_contain_text("13:30–14:30")
    page.keyboard.press("Alt+ArrowLeft")
    expect(days.nth(1).locator(f"[data-entry='{number}']")).to_be_visible()
    assert portal.find("calendar", id=number)["from"] == week(1, "13:30")
    slot.click()
    dialog = page.get_by_role("dialog", name="Замер")
    expect(dialog).to_contain_text("Лесная, 5")
    dialog.get_by_role("button", name="На полчаса раньше").click()
    expect(dialog).to_contain_text("13:00–14:00")
    dialog.get_by_role("button", name="Удалить").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(slot).to_have_count(0)


def test_time_is_taken_in_the_calendar_of_the_chosen_employee(page: Page, portal: Portal) -> None:
    page.goto("/")
    page.get_by_role("link", name="Календарь").click()
    page.get_by_label("Чей календарь").select_option(label="Фёдор Рябов")
    page.get_by_role("button", name="Занять время").click()
    dialog = page.get_by_role("dialog", name="Занять время: Фёдор Рябов")
    dialog.get_by_label("Начало").fill("15:00")
    dialog.get_by_label("Конец").fill("16:30")
    dialog.get_by_role("button", name="Создать").click()
    expect(page.locator(".slot", has_text="15:00–16:30")).to_contain_text("Занят")
    made = portal.find("calendar", owner_id=10, name="Занят")
    assert (made["from"][11:16], made["to"][11:16], made["created_by"]) == ("15:00", "16:30", 1)


# ------------------------------------------------------------------------- people


def test_clocking_in_is_seen_at_the_portal(page: Page, portal: Portal) -> None:
    vera = portal.find("people", last_name="Морозова")
    portal.control("PATCH", f"people/{vera['id']}", {"clock": "close"})
    page.goto("/company/")
    page.get_by_role("button", name="Начать день: Вера Морозова").click()
    expect(page.get_by_role("button", name="Закончить день: Вера Морозова")).to_be_visible()
    assert "open" in str(portal.find("people", id=vera["id"])["clock"]).lower()


def test_the_page_speaks_english_too(page: Page) -> None:
    page.goto("/company/")
    page.get_by_role("button", name="EN", exact=True).click()
    expect(page.get_by_role("heading", name="People", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Leads")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"


# -------------------------------------------------------------- a foreign application

APPLICATION = """<!doctype html><html lang="ru"><head><meta charset="utf-8"><title>Чужое приложение</title></head>
<body><h1>Чужое приложение</h1><pre id="out">-</pre>
<script src="%(portal)s/api/v1/"></script>
<script>
var out = document.getElementById('out');
function say(name, value) { out.textContent = name + '=' + JSON.stringify(value); }
BX24.init(function () {
  say('info', { placement: BX24.placement.info(), domain: BX24.getDomain(), admin: BX24.isAdmin(),
    token: Boolean(BX24.getAuth().access_token), lang: BX24.getLang() });
});
function open_application() {
  BX24.openApplication({ opened: true }, function () { say('closed', 1); }, { title: 'Из кода', width: 600 });
}
function close_application() { BX24.closeApplication(); }
function open_path(path) { BX24.openPath(path, function (result) { say('path', result); }); }
function call_method(method, params) { BX24.callMethod(method, params, function (result) {
  say('call', { data: result.data(), error: result.error() && result.error().ex, total: result.total() });
}); }
function all_pages() { var seen = []; BX24.callMethod('crm.item.list',
  { entityTypeId: 1, order: { id: 'ASC' }, select: ['id'] }, function (result) {
    seen = seen.concat(result.data().items.map(function (item) { return item.id; }));
    if (result.more()) { result.next(); } else { say('pages', { seen: seen.length, total: result.total() }); }
  }); }
function batch() { BX24.callBatch({ me: ['user.current', {}], bad: { method: 'no.such.method', params: {} } },
  function (result) { say('batch', { id: result.me.data().ID, error: result.bad.error().ex.error }); }); }
function refresh() { var old = BX24.getAuth().access_token;
  BX24.refreshAuth(function (made) {
    say('refresh', { fresh: made.access_token !== old, until: made.expires_in > Date.now() });
  }); }
function options() {
  BX24.appOption.set('colour', 'синий', function () { say('options', BX24.appOption.get('colour')); });
}
function pick() { BX24.selectUser(function (person) { say('person', person); }); }
function interface_() { BX24.placement.getInterface(function (found) { say('interface', found); }); }
</script></body></html>"""

INSTALL = """<!doctype html><html lang="ru"><head><meta charset="utf-8"><title>Установка</title></head>
<body><h1>Установка</h1>
<script src="%(portal)s/api/v1/"></script>
<script>
BX24.install(function () {
  BX24.callBatch([
    ['placement.bind', { PLACEMENT: 'CRM_LEAD_DETAIL_TAB', HANDLER: '%(own)s/app', TITLE: 'Чужая вкладка' }],
    ['placement.bind', { PLACEMENT: 'REST_APP_URI', HANDLER: '%(own)s/app', TITLE: 'Ссылка' }]
  ], function (result) { if (!result[0].error() && !result[1].error()) { BX24.installFinish(); } });
});
</script></body></html>"""


@pytest.fixture(scope="module")
def foreign(portal: Portal) -> Iterator[dict[str, Any]]:
    """A tiny application on an origin of its own; `posts` are the frame POSTs that it got."""
    posts: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            parts = urlsplit(self.path)
            posts.append((parts.path, {key: values[-1] for key, values in parse_qs(parts.query + "&" + body).items()}))
            template = INSTALL if parts.path == "/install" else APPLICATION
            page = (template % {"portal": portal.url, "own": own}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made = portal.control(
        "POST",
        "applications",
        {
            "title": "Чужое", "handler": f"{own}/app", "install": f"{own}/install",
            "scopes": ["crm", "user", "placement", "bizproc", "calendar"], "script_only": False,
        },
    )  # fmt: skip
    yield {"client_id": made["client_id"], "posts": posts, "own": own}
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def installed(foreign: dict[str, Any], portal: Portal, page: Page) -> dict[str, Any]:
    """The foreign application after its own install page has called BX24.installFinish in a frame."""
    if portal.find("applications", client_id=foreign["client_id"])["installed"] is False:
        page.goto("/devops/")
        page.get_by_role("button", name="Установить: Чужое").click()
        expect(page.frame_locator("iframe.frame").get_by_role("heading", name="Чужое приложение")).to_be_visible()
    return foreign


def test_a_foreign_application_installs_itself_in_the_frame(installed: dict[str, Any], portal: Portal) -> None:
    assert portal.find("applications", client_id=installed["client_id"])["installed"] is True
    paths = [path for path, _ in installed["posts"]]
    assert paths[:2] == ["/install", "/app"]
    fields = installed["posts"][0][1]
    assert fields["DOMAIN"] == urlsplit(portal.url).netloc
    assert fields["PROTOCOL"] == "0"
    assert {"AUTH_ID", "REFRESH_ID", "APP_SID", "member_id", "APPLICATION_TOKEN"} <= set(fields)


@pytest.fixture
def tab(installed: dict[str, Any], portal: Portal, page: Page) -> Any:
    """The application's tab in a lead's card: a function that runs code there and gives what it said."""
    lead = portal.lead(title="Лид с вкладкой")
    page.goto(f"/crm/lead/details/{lead}/")
    page.get_by_role("button", name="Чужая вкладка").click()
    output = page.frame_locator("iframe[title='Чужая вкладка']").locator("#out")
    expect(output).to_contain_text("info=")

    def run(code: str, name: str) -> Any:
        output.evaluate("(element, code) => { element.textContent = '-'; window.eval(code); }", code)
        expect(output).to_contain_text(f"{name}=")
        return json.loads(str(output.text_content()).partition("=")[2])

    run.lead = lead  # type: ignore[attr-defined]
    run.output = output  # type: ignore[attr-defined]
    return run


def test_the_tab_in_the_card_knows_its_lead_and_its_user(tab: Any, portal: Portal) -> None:
    info = json.loads(str(tab.output.text_content()).partition("=")[2])
    assert info["placement"]["placement"] == "CRM_LEAD_DETAIL_TAB"
    assert info["placement"]["options"]["ID"] == str(tab.lead)
    assert info["domain"] == urlsplit(portal.url).netloc
    assert (info["admin"], info["token"], info["lang"]) == (True, True, "ru")


def test_the_frame_stays_loaded_while_the_page_polls(tab: Any, page: Page, portal: Portal) -> None:
    tab.output.evaluate("element => { element.dataset.kept = 'yes'; }")
    portal.lead(title="Меняет состояние портала")
    expect(page.locator(".card", has_text="Меняет состояние портала")).to_have_count(1)
    expect(tab.output).to_have_attribute("data-kept", "yes")


def test_call_method_reads_and_tells_errors(tab: Any, portal: Portal) -> None:
    good = tab(f"call_method('crm.item.get', {{entityTypeId: 1, id: {tab.lead}}})", "call")
    assert good["data"]["item"]["title"] == "Лид с вкладкой"
    assert "error" not in good
    bad = tab("call_method('crm.item.get', {entityTypeId: 1, id: 99999999})", "call")
    assert bad["error"]["error"] == "NOT_FOUND"
    assert tab("call_method('no.such.method', {})", "call")["error"]["error"] == "ERROR_METHOD_NOT_FOUND"


def test_next_walks_through_all_pages(tab: Any, portal: Portal) -> None:
    portal.control("POST", "import", {"count": 60, "user_id": 1, "silent": True})
    result = tab("all_pages()", "pages")
    assert result["seen"] == result["total"] > 60


def test_call_batch_gives_results_and_errors_by_key(tab: Any) -> None:
    assert tab("batch()", "batch") == {"id": "1", "error": "ERROR_METHOD_NOT_FOUND"}


def test_an_expired_token_is_renewed_without_the_application_noticing(
    tab: Any, portal: Portal, installed: dict[str, Any]
) -> None:
    portal.control("POST", "tokens", {"action": "expire", "client_id": installed["client_id"]})
    assert tab("call_method('user.current', {})", "call")["data"]["ID"] == "1"
    assert tab("refresh()", "refresh") == {"fresh": True, "until": True}


def test_options_are_kept_by_the_portal(tab: Any) -> None:
    assert tab("options()", "options") == "синий"
    assert tab("call_method('app.option.get', {option: 'colour'})", "call")["data"] == "синий"


def test_open_application_opens_a_slider_with_the_parameters(tab: Any, page: Page, installed: dict[str, Any]) -> None:
    tab.output.evaluate("() => window.open_application()")
    dialog = page.get_by_role("dialog", name="Из кода")
    inner = dialog.frame_locator("iframe").locator("#out")
    expect(inner).to_contain_text('"opened":')
    assert json.loads(installed["posts"][-1][1]["PLACEMENT_OPTIONS"])["opened"] in (True, "true", "1", 1)
    inner.evaluate("() => window.close_application()")
    expect(dialog).to_have_count(0)
    expect(tab.output).to_have_text("closed=1")


def test_open_path_opens_a_card_and_tells_when_it_is_closed(tab: Any, page: Page, portal: Portal) -> None:
    other = portal.lead(title="Открыт приложением")
    wait_until(lambda: page.locator(f".card[data-item='{other}']").count() == 1)
    tab.output.evaluate("(element, id) => window.open_path(`/crm/lead/details/${id}/`)", other)
    expect(page.get_by_role("dialog", name="Открыт приложением")).to_be_visible()
    page.keyboard.press("Escape")
    expect(tab.output).to_have_text('path={"result":"close"}')
    for path in ("https://example.com/", "//example.com/", "/no/such/page/", "javascript:alert(1)"):
        assert tab(f"open_path({json.dumps(path)})", "path") == {"result": "error", "errorCode": "PATH_NOT_AVAILABLE"}


def test_a_person_is_chosen_in_the_portals_dialog(tab: Any, page: Page) -> None:
    tab.output.evaluate("() => window.pick()")
    dialog = page.get_by_role("dialog", name="Выберите сотрудника")
    dialog.get_by_label("Борис Лебедев").check()
    dialog.get_by_role("button", name="Выбрать").click()
    expect(tab.output).to_contain_text('"name":"Борис Лебедев"')


def test_the_interface_lists_what_the_placement_serves(tab: Any) -> None:
    assert tab("interface_()", "interface") == {"command": ["reloadData"], "event": []}


@pytest.fixture
def places(installed: dict[str, Any], portal: Portal) -> dict[str, Any]:
    """The application in the row of views of the calendar and in the main menu."""
    token = portal.control("POST", "tokens", {"action": "issue", "client_id": installed["client_id"], "user_id": 1})
    for code, title in (("CALENDAR_GRIDVIEW", "Сетка"), ("LEFT_MENU", "Доска")):
        bind = {"PLACEMENT": code, "HANDLER": f"{installed['own']}/app", "TITLE": title, "auth": token["access_token"]}
        requests.post(f"{portal.url}/rest/placement.bind", json=bind, timeout=10)
    return installed


def test_the_calendar_has_a_view_of_the_application(
    page: Page, portal: Portal, places: dict[str, Any], week: Callable[[int, str], str]
) -> None:
    page.goto("/company/personal/user/9/calendar/")
    page.get_by_role("button", name="Сетка").click()
    output = page.frame_locator("iframe[title='Сетка']").locator("#out")
    expect(output).to_contain_text("info=")
    fields = places["posts"][-1][1]
    assert fields["PLACEMENT"] == "CALENDAR_GRIDVIEW"
    options = {"viewRangeFrom": week(0, "")[:10], "viewRangeTo": week(6, "")[:10]}
    assert json.loads(fields["PLACEMENT_OPTIONS"]) == {**options, "URI": "/company/personal/user/9/calendar/"}
    names = [f"Calendar.customView:{name}" for name in ("increaseViewRangeDate", "adjustToDate", "refreshEntries")]
    output.evaluate(
        "(element, names) => names.forEach(name => BX24.placement.bindEvent(name, data => window.say(name, data)))",
        names,
    )
    page.get_by_role("button", name="Вперёд").click()
    expect(output).to_have_text(f"{names[0]}={{}}")
    page.get_by_role("button", name="Сегодня").click()
    expect(output).to_have_text(f'{names[1]}="{portal.control("GET", "state/now")[:10]}"')
    body = {"owner_id": 9, "name": "Из рамки", "from": week(3, "10:00"), "to": week(3, "11:00")}
    number = portal.control("POST", "calendar", body)["id"]
    expect(output).to_have_text(f"{names[2]}={{}}")
    output.evaluate("() => window.interface_()")
    expect(output).to_contain_text('"command":["getEvents","viewEvent","addEvent","editEvent","deleteEvent"]')
    output.evaluate("(element, id) => BX24.placement.call('viewEvent', { id: String(id) })", number)
    expect(page.get_by_role("dialog", name="Из рамки")).to_be_visible()


def test_the_main_menu_opens_the_application_over_the_working_area(page: Page, places: dict[str, Any]) -> None:
    page.goto("/crm/deal/")
    item = page.get_by_role("navigation").get_by_role("link", name="Доска")
    expect(item).to_have_count(0)
    page.get_by_role("button", name="Развернуть пункты приложений").click()
    item.click()
    output = page.frame_locator("iframe[title='Доска']").locator("#out")
    expect(output).to_contain_text("info=")
    fields = places["posts"][-1][1]
    assert (fields["PLACEMENT"], json.loads(fields["PLACEMENT_OPTIONS"])) == ("LEFT_MENU", {"URI": "/crm/deal/"})
    expect(page.get_by_role("dialog")).to_have_count(0)
    frame, area = page.locator("iframe.frame").bounding_box(), page.locator("main").bounding_box()
    assert frame == area
    page.reload()
    expect(output).to_contain_text("info=")
    page.go_back()
    expect(page.get_by_role("heading", name="Сделки", level=1)).to_be_visible()


def test_a_link_to_the_application_brings_its_parameters(page: Page, installed: dict[str, Any]) -> None:
    page.goto(f"/marketplace/view/{installed['client_id']}/?params[leadId]=42&params[form]=missing&stray=1")
    expect(page.frame_locator("iframe.frame").locator("#out")).to_contain_text("info=")
    fields = installed["posts"][-1][1]
    assert fields["PLACEMENT"] == "REST_APP_URI"
    options = json.loads(fields["PLACEMENT_OPTIONS"])
    assert (options["leadId"], options["form"]) == ("42", "missing")
    assert "stray" not in options


def test_messages_of_a_stranger_are_not_answered(page: Page, installed: dict[str, Any]) -> None:
    page.goto("/devops/")
    page.get_by_role("button", name="Открыть: Чужое").click()
    inner = page.frame_locator("iframe.frame").locator("#out")
    expect(inner).to_contain_text("info=")
    # The right window with a wrong APP_SID, and the portal's own window with a frame's message, get nothing.
    inner.evaluate(
        """element => { element.textContent = 'silent';
        window.addEventListener('message', event => { element.textContent = String(event.data); });
        window.parent.postMessage('getInitData:key1:0123456789abcdef', '*'); }"""
    )
    page.evaluate(
        """() => { window.heard = [];
        window.addEventListener('message', event => window.heard.push(String(event.data)));
        window.postMessage('getInitData:key2:' + document.querySelector('iframe').name.split('|')[2], '*'); }"""
    )
    page.wait_for_timeout(700)
    expect(inner).to_have_text("silent")
    assert [text for text in page.evaluate("window.heard") if text.startswith("key2")] == []


# --------------------------------------------------------------------- for everyone


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("view", sorted(VIEWS))
def test_a_view_has_no_axe_violation_and_no_sideways_scrolling(
    page: Page, portal: Portal, view: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(VIEWS[view])
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_timeout(400)
    violations = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 390])
def test_a_card_has_no_axe_violation(page: Page, portal: Portal, width: int) -> None:
    lead = portal.lead(title="Проверка доступности", comments="[b]Текст[/b]")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"/crm/lead/details/{lead}/")
    expect(page.get_by_role("dialog", name="Проверка доступности")).to_be_visible()
    page.wait_for_timeout(400)
    violations = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in violations] == []


def test_the_journal_is_exported_as_a_file(page: Page, portal: Portal, tmp_path: Path) -> None:
    portal.lead(title="Для журнала")
    page.goto("/devops/journal/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Выгрузить JSON").click()
    target = tmp_path / "journal.json"
    download.value.save_as(target)
    exported = json.loads(target.read_text(encoding="utf-8"))
    assert exported["entries"]
    assert exported["last"] >= exported["entries"][-1]["n"]
