"""Two machines at one PostgreSQL: each has a web, a worker and a clock; before them a proxy that takes turns.

The main jobs, and what only several machines or a restarted database can break.
"""

from __future__ import annotations

import itertools
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fake_gateway import fake_gateway
from postgresql import Server

from b24app.engine.inbox import LEASE
from b24app.store import schema
from b24app.supervisor import Program, free_port

from .conftest import tidied
from .office import ANNA, Office, Row, new_phone, playbook, running_office
from .shop import Shop
from .test_storm import Enquiries, assert_assigned_once, assert_fair, ring

WEBS = ("web", "web-2")
CLOCKS = ("clock", "clock-2")


class Proxy(socketserver.ThreadingTCPServer):
    """Passes each connection to the next of the ports that listens."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, ports: Mapping[str, int]) -> None:
        self._turns = itertools.cycle(ports.values())
        self._ports = len(ports)
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        for _ in range(self._ports):
            try:
                behind = socket.create_connection(("127.0.0.1", next(self._turns)))
            except OSError:
                continue
            back = threading.Thread(target=_pass_on, args=(behind, request), daemon=True)
            back.start()
            _pass_on(request, behind)
            back.join()
            behind.close()
            return


def _pass_on(come: socket.socket, go: socket.socket) -> None:
    with suppress(OSError):
        while data := come.recv(65536):
            go.sendall(data)
    with suppress(OSError):
        go.shutdown(socket.SHUT_RDWR)


class Machines(Office):
    """An office that two machines serve."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.ports = {name: free_port() for name in WEBS}
        self.proxy = Proxy(int(self.url.rsplit(":", 1)[1]), self.ports)

    def program(self, name: str, crash: str = "") -> Program:
        """Returns how a process is started; each web has a port of its own."""
        program = super().program("web" if name in WEBS else name, crash)
        if name not in WEBS:
            return program
        return replace(program, name=name, arguments=(*program.arguments[:-1], str(self.ports[name])))

    def start_all(self) -> None:
        """Starts both machines."""
        super().start_all()
        self.start("web-2", "clock-2")
        self.until(lambda: self.status("web-2"), "the other web answers")

    def status(self, name: str) -> int:
        """Returns what a web's /health says; 0 where it does not answer."""
        try:
            return self.http.get(f"http://127.0.0.1:{self.ports[name]}/health", timeout=10).status_code
        except OSError:
            return 0

    def close(self) -> None:
        """Ends everything."""
        super().close()
        self.proxy.shutdown()
        self.proxy.server_close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, postgresql: Server) -> Iterator[Shop]:
    text = playbook(quiet_from="00:00:00", quiet_to="00:00:00")
    folder = tmp_path_factory.mktemp("machines")
    with (
        fake_gateway() as provider,
        running_office(
            folder, "--no-limits", text=text, config=provider.config, database=postgresql.empty(), kind=Machines
        ) as office,
    ):
        command = [sys.executable, "-m", "b24app", "--config", str(office.config), "apply"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Shop(office, provider)


@pytest.fixture
def shop(running: Shop, record_property: Callable[[str, object], None]) -> Shop:
    record_property("database", "postgresql")
    running.morning()
    return running


@pytest.fixture
def office(running: Shop, record_property: Callable[[str, object], None]) -> Machines:
    record_property("database", "postgresql")
    tidied(running.office)
    assert isinstance(running.office, Machines)
    return running.office


def test_k1_k2_k3_missed_calls_at_once_are_shared_fairly_by_two_machines(office: Machines) -> None:
    sizes, last = office.log_sizes(), office.portal.last
    enquiries = ring(office, 15)
    office.settle()
    assert {entry["status"] for entry in office.portal.ledger(last, "event")} == {200}
    assert_fair(office, enquiries)
    assert_assigned_once(office, enquiries, last)
    logs = dict(office.logs_since(sizes))
    assert all("door=/event" in logs[f"{web}.log"] for web in WEBS)
    assert all("outcome='done'" in logs[f"{worker}.log"] for worker in office.workers)


def test_k1_k2_k3_a_worker_killed_and_a_machine_lost_lose_and_double_nothing(office: Machines) -> None:
    died = len(office.fallen)
    office.restart(*office.workers, crash=f"after_send:{office.folder / 'after_send.died'}")
    first = ring(office, 4, 1)
    office.until(lambda: office.fallen[died:], "a worker dies after it has sent")
    office.kill("web-2", "clock-2", *office.workers[1:])
    second = ring(office, 4, 1)
    office.settle(hurry=True)
    office.start("web-2", "clock-2", *office.workers[1:])
    office.reconcile()
    office.settle(hurry=True)
    enquiries = Enquiries(first.leads + second.leads, first.contacts + second.contacts)
    assert enquiries.outcome(office) == (0, 0)


def test_two_clocks_reconcile_once_and_find_what_no_event_told(office: Machines) -> None:
    office.portal.event_rule("ONCRMLEADADD", "lose")
    lead_id = office.lead_by_hand(new_phone())
    office.settle()
    assert office.tasks_of(lead_id) == []
    table = schema.deliveries
    reconciled = sa.select(sa.func.count()).where(table.c.code == "reconcile")
    (before,) = office.rows(reconciled)
    office.reconcile(by_clock=True)
    office.settle(hurry=True)
    office.assert_treated(lead_id)
    (after,) = office.rows(reconciled)
    assert list(after.values()) == [number + 1 for number in before.values()]


def test_k22_a_time_that_two_people_book_at_once_on_two_machines_has_one_winner(shop: Shop) -> None:
    office = shop.office
    assert isinstance(office, Machines)
    for _ in range(2):
        leads = [shop.lead(), shop.lead()]
        slot = shop.press("find", {"entity": f"lead:{leads[0]}"})["slots"][0]
        start = threading.Barrier(2)

        def book(web: str, lead_id: int, slot: Row = slot, start: threading.Barrier = start) -> Row:
            wish = {"entity": f"lead:{lead_id}", "measurer": slot["measurer"], "start": slot["start"]}
            with _pressed(office, web, {**wish, "token": office.portal.token_of(ANNA)}) as press:
                start.wait(20)
                return press()

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(book, WEBS, leads))
        assert sorted(answer["done"] for answer in answers) == [False, True]
        office.settle()
        winner, loser = (leads[0], leads[1]) if answers[0]["done"] else (leads[1], leads[0])
        (visit,), (entry,) = shop.visits(winner), shop.entries(winner)
        assert (visit["measurer_id"], visit["starts_at"]) == (slot["measurer"], datetime.fromisoformat(slot["start"]))
        assert entry["owner_id"] == slot["measurer"]
        assert shop.visits(loser) == shop.entries(loser) == []


@contextmanager
def _pressed(office: Machines, web: str, wish: Row) -> Iterator[Callable[[], Row]]:
    """Opens a page; yields what presses its button, at this web."""
    found = re.search(r'data-pass="([^"]+)"', str(office.portal.open(ANNA)["body"]))
    assert found is not None
    headers = {"Authorization": f"Bearer {found[1]}"}

    def press() -> Row:
        url = f"http://127.0.0.1:{office.ports[web]}/visits/book"
        answer = office.http.post(url, json=wish, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    yield press


def test_k1_k2_k3_a_postgresql_killed_at_work_loses_and_doubles_nothing(office: Machines, postgresql: Server) -> None:
    office.portal.fault("crm.item.update", "delay", seconds=1)
    last, died = office.portal.last, len(office.fallen)
    first = ring(office, 6, 2)
    office.until(lambda: office.fault_taken(last, "crm.item.update"), "our write is on its way")
    postgresql.stop(killed=True)
    assert [office.status(web) for web in WEBS] == [503, 503]
    down = office.portal.last
    second = ring(office, 3)
    office.until(office.is_quiet, "the portal gave up on its events")
    assert {entry["status"] for entry in office.portal.ledger(down, "event")} == {503}
    postgresql.start()
    started = datetime.now(UTC)
    assert [office.status(web) for web in WEBS] == [200, 200]
    third = ring(office, 3)
    office.until(lambda: _lease_time_passes(office, started), "what was begun is done")
    office.reconcile()
    office.settle(hurry=True)
    enquiries = Enquiries(first.leads + second.leads + third.leads, first.contacts)
    assert enquiries.outcome(office) == (0, 0)
    assert office.fallen[died:] == []
    table = schema.deliveries
    assert office.rows(sa.select(table.c.id, table.c.reason).where(table.c.state == "failed")) == []


def _lease_time_passes(office: Machines, since: datetime) -> bool:
    """Ends the leases of what was begun before that moment and could not be written back: a minute and a half is over.

    A few seconds are left to whoever waited for the portal meanwhile. Tells whether nothing is left to do.
    """
    now, table = datetime.now(UTC), schema.deliveries
    if now - since > timedelta(seconds=4):
        mine = sa.and_(table.c.state == "running", table.c.lease_until < since + LEASE)
        office.write(sa.update(table).where(mine).values(lease_until=now))
    office.hurry()
    return office.open_deliveries() == 0
