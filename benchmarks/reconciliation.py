"""A reconciliation that finds 100 000 leads: its requests beside the fewest that pages of 50 in batches of 50 allow."""

from __future__ import annotations

import time
from math import ceil

from b24app.bitrix.bulk import PAGE
from b24app.bitrix.calls import BATCH_LENGTH
from b24app.engine.declare import TimerCall
from b24app.entities import LEAD
from b24app.store.memory import Memory
from benchmarks.report import Options, Ratio, Report, at_most
from benchmarks.running import RECONCILIATION, running
from handlers import reconcile

LEADS = 100_000


def report(_options: Options) -> Report:
    """Reports what one look asks the portal for, with every cursor at its beginning, and how long it writes for."""
    with running("--leads", str(LEADS)) as application:
        application.start_doors()
        portal, services = application.portals[0], application.services()
        member_id = portal.ready["member_id"]
        with services.database.write() as connection:
            memory = Memory(services.database, connection, member_id)
            for name in (reconcile.STATISTICS, reconcile.HISTORY, reconcile.ITEMS):
                memory.move_cursor(f"{name}:{LEAD}", "0")
        since, began = portal.last, time.monotonic()
        look = reconcile.TIMER.read(services.open_portal(member_id), TimerCall(member_id, "reconcile", "reconcile"))
        reading = time.monotonic() - began
        entries = portal.ledger(since, "request")
        began, worked = time.monotonic(), time.process_time()
        with services.database.write() as connection:
            found = reconcile.recall(Memory(services.database, connection, member_id), look).found
        writing, worked = time.monotonic() - began, time.process_time() - worked
        services.dispose()
    lists = {name: sum(name in (e.get("batch") or [e["method"]]) for e in entries) for name in RECONCILIATION}
    pages = {name: sum((e.get("batch") or [e["method"]]).count(name) for e in entries) for name in RECONCILIATION}
    fewest = sum(ceil(count / BATCH_LENGTH) for count in pages.values())
    return Report(
        f"Сверка, которая находит {LEADS} лидов / a reconciliation that finds {LEADS} leads",
        (
            at_most(
                f"запросов к наименьшему числу, страницы по {PAGE}, пакеты по {BATCH_LENGTH}"
                " / requests to the fewest possible",
                len(entries) / fewest,
                1.05,
                3,
            ),
            Ratio("найдено / found", f"{found}/{LEADS}", f"{LEADS}/{LEADS}", found == LEADS),
        ),
        [
            f"{'список / list':24} {'страниц / pages':>16} {'запросов / requests':>20} {'меньше нельзя / fewest':>23}",
            *(f"{n:24} {pages[n]:16} {lists[n]:20} {ceil(pages[n] / BATCH_LENGTH):23}" for n in RECONCILIATION),
            f"чтение / reading {reading:.0f} s; одна запись в базу / one write to the database {writing:.1f} s, "
            f"из них процессор / of which CPU {worked:.1f} s",
        ],
    )
