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
from pathlib import Path
from typing import IO, Any, TypeVar

import requests

from b24app.entities import ItemRef
from b24app.store.database import Database
from b24app.store.memory import Memory
from b24app.store.overview import Decision, decisions_of
from b24app.supervisor import Program, free_port, start, stop

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
        with sandbox_portal(port) as portal, running_application(portal, language) as scene:
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


@contextmanager
def running_application(portal: Row, language: str) -> Iterator[Scene]:
    """Yields the scene with our application running by a fresh configuration."""
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

[run]
data = "{FOLDER}"
""",
        "utf-8",
    )
    command = (sys.executable, "-m", "b24app", "--config", str(config), "run", "--port", str(port))
    with (FOLDER / "app.log").open("wb") as log:
        process = start(Program("app", command), death_signal=signal.SIGTERM, stdout=log, stderr=log)
        scene = Scene(portal, address, Database(database), language)
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


@dataclass
class Client:
    """Somebody who needs a kitchen."""

    phone: str
    shown: str


class Scene:
    """What happens on the portal, told line by line."""

    def __init__(self, portal: Row, application: str, database: Database, language: str) -> None:
        self.portal = portal
        self.application = application
        self.database = database
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
        self._web_form()
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

    def _web_form(self) -> None:
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

    # what is looked for

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
