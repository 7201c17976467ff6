"""A small client for a running sandbox: its process, its controls, its REST. For journeys, tests and scripts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import requests


class ControlFailed(Exception):
    """A control was refused: the status and the portal's own words."""


class Sandbox:
    """A running portal, known by the JSON line that it printed (`ready`). Use `start` to run one as a process."""

    def __init__(self, ready: Mapping[str, str], process: subprocess.Popen[str] | None = None) -> None:
        self.ready = dict(ready)
        self.process = process
        self.url = self.ready["url"]
        self.client_id = self.ready["client_id"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = self.ready.get("ca", True)

    @classmethod
    def start(cls, *arguments: str, seconds: float = 20.0) -> Sandbox:
        """Run `python -m sandbox --port 0` with more arguments; RuntimeError when it ends at once."""
        process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
            [sys.executable, "-m", "sandbox", "--port", "0", *arguments], stdout=subprocess.PIPE, text=True
        )
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            if process.stdout is not None:
                process.stdout.close()
            raise RuntimeError(f"the sandbox ended with {process.wait(seconds)}")
        return cls(json.loads(line), process)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process that `start` began."""
        self.session.close()
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def control(self, verb: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """The answer of one control. ControlFailed when it is refused."""
        answer = self.session.request(verb, f"{self.url}/control/{path}", json=body, params=query, timeout=300)
        if answer.status_code != 200:
            raise ControlFailed(f"{verb} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def state(self, part: str = "") -> Any:
        """What a person could see; one part of it when named."""
        return self.control("GET", f"state/{part}" if part else "state")

    def person(self, number: int) -> dict[str, Any]:
        """One person out of the state."""
        return next(one for one in self.state("people") if one["id"] == number)

    def entry(self, number: int) -> dict[str, Any]:
        """One calendar entry out of the state."""
        return next(one for one in self.state("calendar") if one["id"] == number)

    def create_entry(self, owner_id: int, name: str, start: Any, end: Any, **facts: Any) -> dict[str, Any]:
        """A calendar entry by hand: by its owner, or by `user_id`; times as ISO text or unix seconds."""
        body = {"owner_id": owner_id, "name": name, "from": start, "to": end, **facts}
        return dict(self.control("POST", "calendar", body))

    def change_entry(self, number: int, **facts: Any) -> dict[str, Any]:
        """Change an entry by hand (`start` and `end` move it); by its owner, or by `user_id`."""
        names = {"start": "from", "end": "to"}
        body = {names.get(name, name): value for name, value in facts.items()}
        return dict(self.control("PATCH", f"calendar/{number}", body))

    def delete_entry(self, number: int, **facts: Any) -> None:
        """Delete an entry by hand; by its owner, or by `user_id`; with `occurrence` (a date) one time of it."""
        self.control("DELETE", f"calendar/{number}", facts)

    def task(self, number: int) -> dict[str, Any]:
        """One task out of the state."""
        return next(one for one in self.state("tasks") if one["id"] == number)

    def act_on_task(self, number: int, action: str, **facts: Any) -> dict[str, Any]:
        """complete, renew, start, pause, defer, approve, disapprove, delegate, take: its responsible or `user_id`."""
        return dict(self.control("POST", f"tasks/{number}/{action}", facts))

    def change_task(self, number: int, **facts: Any) -> dict[str, Any]:
        """Edit a task by hand: title, description, responsible_id, deadline, start_plan, end_plan."""
        return dict(self.control("PATCH", f"tasks/{number}", facts))

    def tick(self, number: int, item: int | str, done: bool = True, **facts: Any) -> dict[str, Any]:
        """Tick (or untick) an item of a task's check-list, named by its id or its title."""
        which = {"item_id": item} if isinstance(item, int) else {"title": item}
        return dict(self.control("POST", f"tasks/{number}/tick", {**which, "done": done, **facts}))

    def write_result(self, number: int, text: str, **facts: Any) -> dict[str, Any]:
        """Write a result of a task; by its responsible, or by `user_id`."""
        return dict(self.control("POST", f"tasks/{number}/result", {"text": text, **facts}))

    def delete_task(self, number: int, **facts: Any) -> None:
        """Delete a task by hand; by its creator, or by `user_id`."""
        self.control("DELETE", f"tasks/{number}", facts)

    def set_schedule(self, number: int = 0, **facts: Any) -> dict[str, Any]:
        """Define a working schedule: name, type, shifts [{start, end, days, break, name}], exclusions, for_all."""
        return dict(self.control("POST", "schedules", {**facts, **({"id": number} if number else {})}))

    def set_person(self, number: int, **facts: Any) -> dict[str, Any]:
        """Change a person: clock, absent, busy, active, own_leads_only, online ..."""
        return dict(self.control("PATCH", f"people/{number}", facts))

    def missed_call(self, phone: str) -> dict[str, Any]:
        """Somebody rings and nobody picks up: {call_id, lead_id}."""
        return dict(self.control("POST", "missed-call", {"phone": phone}))

    def ring(self, phone: str, **facts: Any) -> str:
        """Begin a call and return its id."""
        return str(self.control("POST", "calls", {"phone": phone, **facts})["call_id"])

    def answer(self, call_id: str, user_id: int) -> dict[str, Any]:
        """A person picks up."""
        return dict(self.control("POST", f"calls/{call_id}/answer", {"user_id": user_id}))

    def finish(self, call_id: str, **facts: Any) -> dict[str, Any]:
        """The call ends."""
        return dict(self.control("POST", f"calls/{call_id}/finish", facts))

    def create_item(self, entity_type_id: int, fields: Mapping[str, Any], user_id: int = 1) -> dict[str, Any]:
        """An item created by a person's hand."""
        return dict(self.control("POST", f"items/{entity_type_id}", {"fields": fields, "user_id": user_id}))

    def change_item(
        self, entity_type_id: int, number: int, fields: Mapping[str, Any], user_id: int = 1
    ) -> dict[str, Any]:
        """An item changed by a person's hand."""
        return dict(self.control("PATCH", f"items/{entity_type_id}/{number}", {"fields": fields, "user_id": user_id}))

    def application(self, **facts: Any) -> dict[str, Any]:
        """Change the pre-created application (handler, install, scopes, script_only)."""
        return dict(self.control("PATCH", f"applications/{self.client_id}", facts))

    def open(self, user_id: int = 1, placement: str = "DEFAULT", **facts: Any) -> dict[str, Any]:
        """Open the application as a person: {url, fields, status, headers, body}; send=False only composes it."""
        body = {"user_id": user_id, "placement": placement, **facts}
        return dict(self.control("POST", f"applications/{self.client_id}/open", body))

    def open_calendar(self, user_id: int, first: str = "", last: str = "", **facts: Any) -> dict[str, Any]:
        """Open the application's view of the calendar; without dates for the present week."""
        options = {"viewRangeFrom": first, "viewRangeTo": last, "URI": facts.pop("uri", "/calendar/")}
        given = {name: value for name, value in options.items() if value}
        return self.open(user_id, "CALENDAR_GRIDVIEW", options=given, **facts)

    def open_menu(self, user_id: int, uri: str = "/crm/lead/", **facts: Any) -> dict[str, Any]:
        """Open the application's item of the main menu, coming from the page `uri`."""
        return self.open(user_id, "LEFT_MENU", options={"URI": uri}, **facts)

    def finish_install(self) -> None:
        """What BX24.installFinish does."""
        self.control("POST", f"applications/{self.client_id}/finish")

    def place_robot(self, entity_type_id: int, stage_id: str, code: str, **facts: Any) -> dict[str, Any]:
        """Put a robot on a stage, after those that stand there."""
        return dict(self.control("POST", f"stages/{entity_type_id}/{stage_id}/robots", {"code": code, **facts}))

    def fault(self, method: str, effect: str, **facts: Any) -> dict[str, Any]:
        """A fault rule for the next call of a method."""
        return dict(self.control("POST", "faults", {"method": method, "effect": effect, **facts}))

    def event_rule(self, event: str, action: str, **facts: Any) -> dict[str, Any]:
        """A rule for the next event of that name."""
        return dict(self.control("POST", "event-rules", {"event": event, "action": action, **facts}))

    def ledger(self, since: int = 0, kind: str = "") -> list[dict[str, Any]]:
        """Ledger entries after `since`, of one kind when named."""
        query: dict[str, Any] = {"since": since, "kind": kind} if kind else {"since": since}
        return list(self.control("GET", "ledger", **query)["entries"])

    @property
    def last(self) -> int:
        """Number of the ledger's last entry."""
        return int(self.control("GET", "ledger", since=1 << 60)["last"])

    def wait_quiet(self, seconds: float = 30.0, still: float = 0.3) -> None:
        """Wait until nothing is being delivered and no REST request came for `still` seconds. TimeoutError else."""
        until = time.monotonic() + seconds
        since = time.monotonic()
        last = -1
        while time.monotonic() < until:
            now, quiet = self.last, self.control("GET", "quiet")["quiet"]
            if now != last or not quiet:
                last, since = now, time.monotonic()
            elif time.monotonic() - since >= still:
                return
            time.sleep(0.05)
        raise TimeoutError("the portal did not become quiet")

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, token: str = "") -> dict[str, Any]:
        """The whole envelope of a REST call: by the administrator's webhook, or by `token`."""
        if token:
            answer = self.session.post(f"{self.url}/rest/{method}", json={**(params or {}), "auth": token}, timeout=60)
        else:
            answer = self.session.post(self.ready["webhook"] + method, json=params or {}, timeout=60)
        return dict(answer.json())

    def result(self, method: str, params: Mapping[str, Any] | None = None, *, token: str = "") -> Any:
        """`result` of a call. ControlFailed when the answer is an error."""
        envelope = self.call(method, params, token=token)
        if "error" in envelope:
            raise ControlFailed(f"{method}: {envelope['error']} {envelope.get('error_description')}")
        return envelope["result"]

    def token_of(self, user_id: int) -> str:
        """An access token of the pre-created application for that person."""
        return str(
            self.control("POST", "tokens", {"action": "issue", "client_id": self.client_id, "user_id": user_id})[
                "access_token"
            ]
        )
