"""`make bench`: what a missed call and a repaired lead cost, our doors and worker beside the barest of their kind.

Only ratios taken within one run are evidence: the machine is shared, so rounds alternate and the median is shown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from b24app.supervisor import embedded_redis, start, stop
from benchmarks import board, cost, doors, jobs, repair, slots
from benchmarks.bare import wait_for_redis

PARTS = ("cost", "repair", "doors", "jobs", "slots", "board")


def main() -> int:
    """Runs the named measurements (all by default); returns 0 when every goal is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    options.parts = options.parts or PARTS
    met = []
    if "cost" in options.parts:
        met.append(_cost())
    if "repair" in options.parts:
        met.append(_repair())
    if "doors" in options.parts:
        met.append(_doors(options.rounds))
    if "jobs" in options.parts:
        met.append(_jobs(options.rounds))
    if "slots" in options.parts:
        _slots(options.rounds)
    if "board" in options.parts:
        for line in board.report():
            _say(line)
    return 0 if all(met) else 1


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def _redis() -> Iterator[tuple[Path, str]]:
    with tempfile.TemporaryDirectory(prefix="b24app-bench-") as folder:
        program, url = embedded_redis(Path(folder) / "redis")
        process = start(program)
        try:
            wait_for_redis(url)
            yield Path(folder), url
        finally:
            stop([process], 5)


def _cost() -> bool:
    _say("Пропущенный звонок: запросы к порталу, от звонка до тишины / HTTP requests per missed call, ring to quiet")
    rows = cost.measure()
    _say("  Ещё 3 запроса в 5 минут делает сверка, сколько бы ни было звонков / plus 3 per 5 min of reconciliation")
    _say(f"  {'порядок событий / order':34} {'до ответственного':>17} {'всего':>6} {'команд':>7}")
    for row in rows:
        _say(f"  {row.order:34} {row.assignment:17.1f} {row.requests:6.1f} {row.commands:7.1f}")
    worst = max(row.requests for row in rows)
    assignment = max(row.assignment for row in rows)
    _say(f"  цель: назначение <= 3, всего <= 5 / goal. Лидов в час при 2 запросах в секунду: {7200 / worst:.0f}")
    _say()
    return assignment <= 3 and worst <= 5


def _repair() -> bool:
    _say(f"Импорт переносит {repair.LEADS} лидов мимо правил стадии / an import moves leads past a gate")
    row = repair.measure()
    _say(f"  возвращено / repaired: {row.repaired} из / of {repair.LEADS} за / in {row.seconds:.0f} s")
    _say(f"  запросов на лид / requests per lead: {row.requests:.2f} (цель / goal <= 2.50), команд: {row.commands:.1f}")
    _say()
    return row.requests <= 2.5 and row.repaired == repair.LEADS


def _doors(rounds: int) -> bool:
    _say("Дверь /event рядом с голым WSGI (тот же gunicorn, INSERT и RQ) / the door beside a bare WSGI")
    with _redis() as (folder, url):
        ours, bare = doors.measure(folder, url, rounds)
    for name, results in (("b24app", ours), ("голый / bare", bare)):
        rate = statistics.median(r.rate for r in results)
        p50, p99 = (statistics.median(r.quantile(q) for r in results) * 1000 for q in (0.5, 0.99))
        _say(f"  {name:14} {rate:7.0f} req/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms")
    ratio = statistics.median(a.rate / b.rate for a, b in zip(ours, bare, strict=True))
    _say(f"  отношение / ratio: {ratio:.2f} (цель / goal >= 0.80)")
    _say()
    return ratio >= 0.8


def _jobs(rounds: int) -> bool:
    _say("Рабочий процесс рядом с голым RQ (SimpleWorker, тот же Redis) / our worker beside bare RQ")
    with _redis() as (folder, url):
        ours, bare = jobs.measure(folder, url, rounds)
    _say(f"  {'b24app':14} {statistics.median(ours):7.0f} jobs/s")
    _say(f"  {'голый / bare':14} {statistics.median(bare):7.0f} jobs/s")
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    _say(f"  отношение / ratio: {ratio:.2f} (цель / goal >= 0.80)")
    _say()
    return ratio >= 0.8


def _slots(rounds: int) -> None:
    """Prints; nothing is asserted: times of a shared machine are no goal to fail by."""
    _say(f"Свободные окна по 3 ч: {slots.DAYS} дней, {slots.BUSY_A_DAY} занятий в день у каждого, шаг {slots.STEP} мин")
    _say("  free 3-hour slots; everything after the preparation; all ways gave the same list unless said otherwise")
    names = ["prepare", "mask", "best 10", "change", "bisect", "naive", "numpy", "C"]
    _say(f"  {'замерщиков / people':20} {'slots':>6} " + " ".join(f"{name:>9}" for name in names) + "   ms")
    for people in (10, 100, 1000):
        row = slots.measure(people, rounds)
        times = [f"{row.seconds[name] * 1000:9.2f}" if name in row.seconds else f"{'—':>9}" for name in names]
        _say(f"  {people:20} {row.slots:6} {' '.join(times)}" + ("" if row.same else "   РАЗНЫЕ СПИСКИ / DIFFERENT"))
        ratios = [f"{name} {row.seconds[name] / row.seconds['mask']:.1f}" for name in names[4:] if name in row.seconds]
        _say(f"  {'':20} во сколько раз дольше полного списка / times the full listing: {', '.join(ratios)}")
    _say(f"  не запускались / not run at the last size: {', '.join(row.left_out)} (naive: больше 10 / above 10)")
    _say("  цель для 1000 / goal for 1000: mask < 6 ms, best 10 < 1 ms")
    _say()


if __name__ == "__main__":
    started = time.monotonic()
    status = main()
    _say(f"{time.monotonic() - started:.0f} s")
    sys.exit(status)
