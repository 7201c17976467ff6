"""`b24app demo`: the whole application against a sandbox portal on this machine, and the scene it is made for.

It prepares a fresh folder, starts the sandbox and `b24app run` as processes, installs the application through the real
doors, plays the scene line by line and stays up for a person to play with. Everything is waited for with a deadline.
"""

from __future__ import annotations

import fcntl
import html
import json
import os
import re
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import parse_qsl

import requests
import sqlalchemy as sa

from b24app.entities import LEAD, ItemRef
from b24app.playbook import load_playbook
from b24app.store import schema
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.overview import Decision, decisions_of
from b24app.supervisor import Program, free_port, start, stop
from b24app.texting import SMS_DUE

KIND, SUM = "UF_CRM_B24_CLIENT_TYPE", "UF_CRM_B24_PRELIMINARY_SUM"
CLOSED = 5
"""The status of a completed task."""
FOLDER = Path("var") / "demo"
STEP_SECONDS = 30.0
START_SECONDS = 60.0
ADMINISTRATOR = 1

T = TypeVar("T")
Row = dict[str, Any]


class Missed(Exception):
    """Something of the scene did not come in time; the text says what."""


def demo(*, once: bool = False, port: int = 0, language: str = "") -> int:
    """Plays the scene; returns 0, or 1 when something did not come. Without `once` it stays up until Ctrl-C."""
    language = language or _language()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    try:
        with (
            sandbox_portal(port) as portal,
            sms_provider() as provider,
            running_application(portal, language, provider) as scene,
        ):
            scene.install()
            scene.apply()
            scene.addresses()
            scene.play()
            if not once:
                scene.stay()
    except Missed as missed:
        sys.stdout.flush()
        sys.stderr.write(f"✘ {missed}\n  журналы / logs: {FOLDER}/app.log, {FOLDER}/sandbox.log\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _language() -> str:
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "en" if named.lower().startswith("en") else "ru"


@contextmanager
def sandbox_portal(port: int = 0) -> Iterator[Row]:
    """Yields the line that a fresh sandbox portal prints about itself."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Missed("показ уже идёт в этой папке / the demo already runs in this folder") from None
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        with (FOLDER / "sandbox.log").open("wb") as log:
            yield from _sandbox(port, log)


def _sandbox(port: int, log: IO[bytes]) -> Iterator[Row]:
    program = Program("sandbox", (sys.executable, "-m", "sandbox", "--port", str(port)))
    process = start(program, death_signal=signal.SIGTERM, stdout=subprocess.PIPE, stderr=log)
    try:
        told = process.stdout and select.select([process.stdout], [], [], START_SECONDS)[0]
        line = process.stdout.readline() if process.stdout and told else b""
        if not line:
            raise Missed("учебный портал не запустился / the sandbox portal did not start")
        ready: Row = json.loads(line)
        yield ready
    finally:
        stop([process], 5)


class SmsProvider:
    """An SMS provider on this machine that sends nothing: what would go out stands in `sent`."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                provider.sent.append(dict(parse_qsl(self.rfile.read(size).decode())))
                answer = json.dumps({"sms_id": str(len(provider.sent))}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/send"


@contextmanager
def sms_provider() -> Iterator[SmsProvider]:
    """Yields an SMS provider that takes messages."""
    provider = SmsProvider()
    threading.Thread(target=provider.server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield provider
    finally:
        provider.server.shutdown()
        provider.server.server_close()


@contextmanager
def running_application(portal: Row, language: str, provider: SmsProvider | None = None) -> Iterator[Scene]:
    """Yields the scene with our application running by a fresh configuration; without a provider no SMS is sent."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    database = f"sqlite:///{FOLDER / 'b24app.db'}"
    config = FOLDER / "config.toml"
    config.touch(0o600)
    config.write_text(
        f"""# Сделано командой demo для учебного портала. / Made by the demo for its sandbox portal.
[app]
public_url = "{address}"
secret_key = "{secrets.token_urlsafe(48)}"

[bitrix24]
oauth_url = "{portal["oauth_url"]}"
js_url = "{portal["url"]}/api/v1/"

[[portals]]
host = "{portal["url"].removeprefix("http://")}"
client_id = "{portal["client_id"]}"
client_secret = "{portal["client_secret"]}"

[database]
url = "{database}"

[sms]
url = "{provider.url if provider is not None else ""}"
fields = {{ to = "{{phone}}", text = "{{text}}" }}
sent = '"sms_id": "([^"]+)"'

[run]
data = "{FOLDER}"
""",
        "utf-8",
    )
    command = (sys.executable, "-m", "b24app", "--config", str(config), "run", "--port", str(port))
    with (FOLDER / "app.log").open("wb") as log:
        process = start(Program("app", command), death_signal=signal.SIGTERM, stdout=log, stderr=log)
        scene = Scene(portal, address, Database(database), provider, language)
        try:
            scene.until(
                ("приложение не запустилось", "the application did not start"),
                lambda: scene.is_up() or process.poll() is not None,
                START_SECONDS,
            )
            if process.poll() is not None:
                raise Missed("приложение не запустилось / the application did not start")
            yield scene
        finally:
            scene.close()
            stop([process], 30)


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%d.%m %H:%M}"


@dataclass
class Client:
    """Somebody who needs a kitchen."""

    phone: str
    shown: str


class Scene:
    """What happens on the portal, told line by line."""

    def __init__(
        self, portal: Row, application: str, database: Database, provider: SmsProvider | None, language: str
    ) -> None:
        self.portal = portal
        self.application = application
        self.database = database
        self.provider = provider
        self.language = language
        self._http = requests.Session()
        self._http.trust_env = False
        self._talk = ""

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()
        self.database.dispose()

    # telling, asking, waiting

    def say(self, ru: str, en: str) -> None:
        """Prints a line in the scene's language."""
        sys.stdout.write((ru if self.language == "ru" else en) + "\n")
        sys.stdout.flush()

    def word(self, text: Any) -> str:
        """Returns a {"ru", "en"} text in the scene's language."""
        return str((text or {}).get(self.language) or (text or {}).get("ru") or "")

    def control(self, verb: str, path: str, body: Row | None = None) -> Any:
        """Does something on the portal as a person would; returns what the control answers."""
        answer = self._http.request(verb, f"{self.portal['url']}/control/{path}", json=body, timeout=30)
        if answer.status_code != 200:
            raise Missed(f"{verb} /control/{path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def state(self, part: str) -> list[Row]:
        """Returns one part of what a person could see on the portal."""
        found: list[Row] = self.control("GET", f"state/{part}")
        return found

    def until(self, missing: tuple[str, str], look: Callable[[], T | None], seconds: float = STEP_SECONDS) -> T:
        """Returns what `look` sees as soon as it is true; Missed with `missing` when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            seen = look()
            if seen:
                return seen
            if time.monotonic() > deadline:
                raise Missed(f"{missing[0]} / {missing[1]}")
            time.sleep(0.1)

    def is_up(self) -> bool:
        """Tells whether our web answers."""
        try:
            return self._http.get(f"{self.application}/health", timeout=5).status_code in (200, 503)
        except requests.ConnectionError:
            return False

    def name(self, user_id: int) -> str:
        """Returns a person's name."""
        for person in self.state("people"):
            if int(person["id"]) == user_id:
                return f"{person['name']} {person['last_name']}"
        return str(user_id)

    # the scene

    def install(self) -> None:
        """Creates nothing by itself: the administrator opens the application, our page does the rest."""
        self.say("— Установка —", "— Installation —")
        client_id = self.portal["client_id"]
        card = {"handler": f"{self.application}/app", "install": f"{self.application}/install"}
        self.control("PATCH", f"applications/{client_id}", card)
        opened = self.control("POST", f"applications/{client_id}/open", {"user_id": ADMINISTRATOR})
        page = str(opened.get("body", ""))
        for state, what in re.findall(r'<li class="line (\w+)">.*?<span class="what">(.*?)</span>', page, re.DOTALL):
            if state != "working":
                mark = {"done": "✔", "present": "✔", "note": "i"}.get(state, "✘")
                self.say(f"  {mark} {html.unescape(what)}", f"  {mark} {html.unescape(what)}")
        if opened.get("status") != 200 or 'data-ready="1"' not in page:
            raise Missed(f"установка не закончилась / the installation did not finish: {opened.get('status')}")
        self.control("POST", f"applications/{client_id}/finish", {})
        self.say("  Приложение установлено.", "  The application is installed.")

    def apply(self) -> None:
        """Applies the kitchen playbook as the administrator does by the button of our main page."""
        self.say("— Сценарий «Магазин кухонь» внедряется —", "— The kitchen shop's playbook is applied —")
        opened = self.control("POST", f"applications/{self.portal['client_id']}/open", {"user_id": ADMINISTRATOR})
        page_pass = re.search(r'data-pass="([^"]+)"', str(opened.get("body", "")))
        if page_pass is None:
            raise Missed(f"приложение не открылось / the application did not open: {opened.get('status')}")
        answer = self._http.post(
            f"{self.application}/app/plan/apply", headers={"Authorization": f"Bearer {page_pass[1]}"}, timeout=120
        )
        lines = [json.loads(line) for line in answer.text.splitlines()] if answer.status_code == 200 else []
        failed = [line["text"] for line in lines if line["look"] == "failed"]
        if failed or not lines:
            raise Missed(f"сценарий не внедрён / the playbook was not applied: {answer.status_code} {failed}")
        stages = self.control("GET", "state/stages")["1"]
        shown = " → ".join(stage["name"] for stage in sorted(stages, key=lambda stage: stage["sort"]))
        self.say(f"  ✔ Стадии лидов: {shown}", f"  ✔ Stages of leads: {shown}")

    def addresses(self) -> None:
        """Prints where to look."""
        self.say("", "")
        self.say(f"Портал:             {self.portal['url']}/", f"Portal:              {self.portal['url']}/")
        self.say(f"Наше приложение:    {self.application}/", f"Our application:     {self.application}/")
        self.say("", "")

    def clock_in(self) -> list[int]:
        """Lets everybody of the sales department but its head begin the working day; returns their ids."""
        sales = self._sales()
        team = [
            int(person["id"])
            for person in self.state("people")
            if int(sales["id"]) in map(int, person["department_ids"]) and int(person["id"]) != int(sales["head"] or 0)
        ]
        for person_id in team:
            self.control("PATCH", f"people/{person_id}", {"clock": "open"})
        return team

    def play(self) -> None:
        """Plays everything; Missed at the first thing that does not come."""
        team = self._morning()
        self._missed_call()
        self._answered_call(team)
        lead_id = self._web_form()
        self._offer(lead_id)
        self._measurement(lead_id)
        self.control("PATCH", "line", {"create_lead": "none"})  # the outgoing call that occupied him is no enquiry
        self.control("POST", f"calls/{self._talk}/finish", {})
        self.control("PATCH", "line", {"create_lead": "all", "create_when": "end"})
        self.say("", "")
        self.say("✔ Сцена сыграна: ни одно обращение не потеряно.", "✔ The scene is played: no enquiry is lost.")

    def stay(self) -> None:
        """Waits for Ctrl-C."""
        self.say(
            "Портал и приложение работают. Ctrl-C — закончить.", "The portal and the application are up. Ctrl-C ends."
        )
        threading.Event().wait()

    def _morning(self) -> list[int]:
        """Puts the sales team to work: one absent, one on the phone; returns who is free, the absent one last."""
        self.say("— Утро в отделе продаж —", "— Morning in the sales department —")
        first, talking, absent, *_ = self.clock_in()
        second = self._of_sub_department()
        self.control("PATCH", f"people/{second}", {"clock": "open"})
        now = datetime.now(UTC)
        away = {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(days=7)).isoformat()}
        self.control("PATCH", f"people/{absent}", {"absent": away})
        for person_id in (first, second):
            self.say(f"  {self.name(person_id)}: рабочий день начат.", f"  {self.name(person_id)}: at work.")
        self.say(f"  {self.name(absent)}: в отпуске.", f"  {self.name(absent)}: on holiday.")
        self._talk = self.control("POST", "calls", {"phone": "+79031112233", "type": 1, "user_id": talking})["call_id"]
        self.control("POST", f"calls/{self._talk}/answer", {"user_id": talking})
        self.until(
            ("разговор не замечен", "the conversation was not noticed"),
            lambda: talking in self._memory(lambda memory: memory.talking(since=now - timedelta(hours=1))),
        )
        self.say(f"  {self.name(talking)}: говорит по телефону.", f"  {self.name(talking)}: on the phone.")
        return [first, second, absent]

    def _of_sub_department(self) -> int:
        sales = self._sales()
        below = {int(one["id"]) for one in self.state("departments") if one["parent"] == sales["id"]}
        return next(int(one["id"]) for one in self.state("people") if below & set(map(int, one["department_ids"])))

    def _sales(self) -> Row:
        return next(one for one in self.state("departments") if one["name"] == "Продажи")

    def _missed_call(self) -> None:
        self.say("", "")
        self.say("— Пропущенный звонок —", "— A missed call —")
        client = Client("+79123456789", "+7 912 345-67-89")
        self.say(f"  Звонит {client.shown}, никто не берёт трубку.", f"  {client.shown} calls, nobody answers.")
        lead_id = int(self.control("POST", "missed-call", {"phone": client.phone})["lead_id"])
        self.say(f"  Портал завёл лид № {lead_id}.", f"  The portal made lead No. {lead_id}.")
        decision = self._decision(lead_id)
        self._weighed(decision)
        self._responsible(lead_id, decision)
        self._task(lead_id, decision, client.shown)

    def _answered_call(self, team: list[int]) -> None:
        self.say("", "")
        self.say("— Принятый звонок —", "— An answered call —")
        client, (answering, _, absent) = Client("+79161234567", "+7 916 123-45-67"), team
        self.control("PATCH", "line", {"create_lead": "all", "create_when": "start"})
        call = self.control("POST", "calls", {"phone": client.phone, "type": 2})
        self.control("POST", f"calls/{call['call_id']}/answer", {"user_id": answering})
        self.say(
            f"  Звонит {client.shown}, трубку берёт {self.name(answering)}.",
            f"  {client.shown} calls, {self.name(answering)} answers.",
        )
        lead = self.until(
            ("лид принятого звонка не появился", "the answered call made no lead"),
            lambda: next((one for one in self.state("leads") if client.phone in json.dumps(one)), None),
        )
        lead_id = int(lead["id"])
        self.until(
            ("ответивший не стал ответственным", "the answerer did not become responsible"),
            lambda: self._assigned(lead_id) == answering,
        )
        self.say(
            f"  Лид № {lead_id}: ещё во время разговора ответственный — {self.name(answering)}.",
            f"  Lead No. {lead_id}: {self.name(answering)} is responsible while still talking.",
        )
        for person_id in (answering, absent):
            self.control("PATCH", f"people/{person_id}", {"own_leads_only": True})
        if self._may_write(lead_id, absent) or not self._may_write(lead_id, answering):
            raise Missed("доступ к карточке не у того, кто ответил / the answerer has no access to the card")
        self.say(
            f"  {self.name(answering)} заполняет карточку во время разговора; чужим с доступом к своим лидам отказано.",
            f"  {self.name(answering)} fills in the card during the call; others who see only their own leads may not.",
        )
        self.control("POST", f"calls/{call['call_id']}/finish", {})

    def _may_write(self, lead_id: int, user_id: int) -> bool:
        """Lets a person write into the lead's card by hand; tells whether the portal let him."""
        body = {"fields": {"name": "Сергей"}, "user_id": user_id}
        url = f"{self.portal['url']}/control/items/1/{lead_id}"
        answer = self._http.patch(url, json=body, timeout=30)
        if answer.status_code not in (200, 400):
            raise Missed(f"PATCH {url}: {answer.status_code} {answer.text[:300]}")
        return answer.status_code == 200

    def _web_form(self) -> int:
        self.say("", "")
        self.say("— Заявка с сайта —", "— A web form —")
        form = {
            "name": "Мария Зимина",
            "phone": "+79265554433",
            "email": "zimina@example.ru",
            "comment": "Нужна угловая кухня, 3 метра. Напишите, пожалуйста, на почту.",
        }
        lead_id = int(self.control("POST", "web-form", form)["lead_id"])
        self.say(f"  {form['name']}: «{form['comment']}»", f"  {form['name']}: “{form['comment']}”")
        self.say(f"  Портал завёл лид № {lead_id}.", f"  The portal made lead No. {lead_id}.")
        decision = self._decision(lead_id)
        self._weighed(decision)
        self._responsible(lead_id, decision)
        self._task(lead_id, decision, "Ответьте клиенту")
        return lead_id

    def _offer(self, lead_id: int) -> None:
        """The manager learns what is missing, sends the offer and closes the task: the lead moves on by itself."""
        self.say("", "")
        self.say("— Каталог и КП —", "— Catalogue and offer —")
        manager = self._assigned(lead_id)
        asked = {"entityTypeId": LEAD, "useOriginalUfNames": "Y", "auth": self._opened(manager)["fields"]["AUTH_ID"]}
        answer = self._http.post(f"{self.portal['url']}/rest/crm.item.fields", json=asked, timeout=30).json()
        kind = answer["result"]["fields"][KIND]["items"][0]["ID"]
        known = {"UF_CRM_B24_THEME": "Угловая кухня", KIND: kind, SUM: "250000|RUB", "stageId": "IN_PROCESS"}
        self.control("PATCH", f"items/1/{lead_id}", {"fields": known, "user_id": manager})
        task = self._open_task(lead_id, "Отправить каталог и КП")
        letter = {"entity_type_id": 1, "entity_id": lead_id, "subject": "КП", "files": ["КП.pdf"], "user_id": manager}
        self.control("POST", "letters", letter)
        self.control("POST", f"tasks/{task['id']}/complete", {"user_id": manager})
        self.until(("лид не перешёл сам", "the lead did not move on"), lambda: self._stage(lead_id) == "B24_OFFER_SENT")
        self.say(
            "  КП отправлено письмом, задача закрыта: лид сам перешёл на «Каталог и КП отправлены».",
            "  The offer was sent by e-mail, the task is closed: the lead moved on by itself.",
        )

    def _measurement(self, lead_id: int) -> None:
        """The whole cycle: a free measurer, a slot in working hours, a confirmation, an SMS."""
        self.say("", "")
        self.say("— Замер —", "— The measurement —")
        manager = self._assigned(lead_id)
        where = {"UF_CRM_B24_ADDRESS": "Москва, Мира, 5", "stageId": "B24_MEASUREMENT"}
        self.control("PATCH", f"items/1/{lead_id}", {"fields": where, "user_id": manager})
        self._open_task(lead_id, "Выяснить вопросы и возражения")
        entity = str(ItemRef(LEAD, lead_id))
        slot = self._press("find", {"entity": entity}, manager)["slots"][0]
        hours = load_playbook().hours.calendar()
        later = hours.add_working(datetime.fromisoformat(slot["start"]), 2 * hours.working_day)
        booked = self._press(
            "book", {"entity": entity, "measurer": slot["measurer"], "start": later.isoformat()}, manager
        )
        if not booked["done"]:
            raise Missed(booked["said"])
        self.say(f"  Лучшее свободное время: {slot['text']}.", f"  The best free time: {slot['text']}.")
        self.say(f"  Клиент хочет позже. {booked['said']}.", f"  The client wants it later. {booked['said']}.")
        task = self._open_task(lead_id, "Подтвердить замер")
        self.say(
            f"  Задача менеджеру на {_day(task['start_plan'])}, за рабочий день: «{task['title']}»",
            f"  A task for the manager on {_day(task['start_plan'])}, a working day before: “{task['title']}”",
        )
        self.control("POST", f"tasks/{task['id']}/complete", {"user_id": manager})
        task = self._open_task(lead_id, "Замер ")
        measurer = self.name(int(task["responsible_id"]))
        items = len(task["checklist"]) - 1
        self.say(
            f"  Клиент подтвердил, задача закрыта. {measurer}: «{task['title']}», пунктов: {items}.",
            f"  The client agreed, the task is closed. {measurer}: “{task['title']}”, items: {items}.",
        )
        self._sms()

    def _sms(self) -> None:
        """The client's SMS goes out; at night it waits for his morning."""
        sent = self.provider.sent if self.provider is not None else []
        waits = sa.select(schema.timers.c.payload, schema.timers.c.due_at).where(schema.timers.c.code == SMS_DUE)

        def look() -> tuple[str, datetime | None] | None:
            if sent:
                return sent[0]["text"], None
            with self.database.read() as connection:
                row = connection.execute(waits).first()
            return None if row is None else (str(row[0]["text"]), row[1])

        text, due_at = self.until(("SMS не ушла", "no SMS went out"), look)
        if due_at is None:
            self.say(f"  SMS клиенту: «{text}»", f"  SMS to the client: “{text}”")
        else:
            at = f"{due_at.astimezone(load_playbook().hours.calendar().zone):%d.%m %H:%M}"
            self.say(
                f"  Сейчас у клиента тихие часы, SMS уйдёт {at}: «{text}»",
                f"  It is the client's quiet time, the SMS goes out at {at}: “{text}”",
            )

    def _opened(self, user_id: int) -> Row:
        """Opens our application as a person."""
        body = {"user_id": user_id}
        opened: Row = self.control("POST", f"applications/{self.portal['client_id']}/open", body)
        return opened

    def _press(self, action: str, wish: Row, user_id: int) -> Row:
        """Presses a button of our pages as a person; returns what he reads."""
        opened = self._opened(user_id)
        page_pass = re.search(r'data-pass="([^"]+)"', str(opened.get("body", "")))
        if page_pass is None:
            raise Missed(f"страница не открылась / the page did not open: {opened.get('status')}")
        answer = self._http.post(
            f"{self.application}/visits/{action}",
            json={**wish, "token": opened["fields"]["AUTH_ID"]},
            headers={"Authorization": f"Bearer {page_pass[1]}"},
            timeout=30,
        )
        if answer.status_code != 200:
            raise Missed(f"/visits/{action}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())

    # what is looked for

    def _stage(self, lead_id: int) -> str:
        lead = next((one for one in self.state("leads") if int(one["id"]) == lead_id), None)
        return str(lead["stageId"]) if lead else ""

    def _open_task(self, lead_id: int, title: str) -> Row:
        """Returns the lead's open task whose title begins so, with whatever hangs on it."""

        def look() -> Row | None:
            for task in self.state("tasks"):
                whole = title != "Замер " or len(task["checklist"]) > 1
                mine = f"L_{lead_id}" in task["crm"] and task["title"].startswith(title)
                if mine and whole and int(task["status"]) != CLOSED:
                    return task
            return None

        return self.until((f"задачи «{title}» нет", f"no task “{title}”"), look)

    def _memory(self, look: Callable[[Memory], T]) -> T:
        with self.database.read() as connection:
            return look(Memory(self.database, connection, self.portal["member_id"]))

    def _decision(self, lead_id: int) -> Decision:
        entity = str(ItemRef(1, lead_id))
        return self.until(
            (f"решения по лиду {lead_id} нет", f"no decision on lead {lead_id}"),
            lambda: next(iter(decisions_of(self.database, self.portal["member_id"], entity)), None),
        )

    def _weighed(self, decision: Decision) -> None:
        self.say("  Кто свободен:", "  Who is free:")
        for line in decision.card["lines"]:
            mark = "✔" if line["free"] else "·"
            self.say(
                f"    {mark} {line['name']}: {self.word(line['why'])}",
                f"    {mark} {line['name']}: {self.word(line['why'])}",
            )
        rule = self.word(decision.card["rule"])
        chosen = decision.card["chosen"]
        if not chosen:
            raise Missed(f"никто не назначен / nobody was chosen: {rule}")
        self.say(f"  Выбор: {chosen['name']} ({rule}).", f"  Chosen: {chosen['name']} ({rule}).")

    def _assigned(self, lead_id: int) -> int:
        lead = next((one for one in self.state("leads") if int(one["id"]) == lead_id), None)
        return int(lead["assignedById"]) if lead else 0

    def _responsible(self, lead_id: int, decision: Decision) -> None:
        manager = decision.manager_id or 0
        self.until(
            (f"ответственный лида {lead_id} не записан", f"lead {lead_id} has no new responsible"),
            lambda: self._assigned(lead_id) == manager,
        )
        name = self.name(manager)
        self.say(f"  Лид № {lead_id}: ответственный {name}.", f"  Lead No. {lead_id}: {name} is responsible.")

    def _task(self, lead_id: int, decision: Decision, words: str) -> None:
        def look() -> Row | None:
            for task in self.state("tasks"):
                if f"L_{lead_id}" in task["crm"] and int(task["responsible_id"]) == decision.manager_id:
                    return task
            return None

        task = self.until((f"задачи по лиду {lead_id} нет", f"no task for lead {lead_id}"), look)
        if words not in task["title"]:
            raise Missed(f"в задаче нет «{words}» / the task lacks it: {task['title']}")
        self.say(f"  Задача: «{task['title']}»", f"  Task: “{task['title']}”")
