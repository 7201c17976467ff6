"""How long the common board takes to draw a full week in Chromium, and how long it freezes while people page on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date

from playwright.sync_api import sync_playwright

from benchmarks.report import Options, Ratio, Report
from tests.web.board_stub import crowd, serving

PEOPLE, VISITS_A_DAY, WEEKS = 50, 5, 9
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WATCH = """
window.tasks = []; window.gaps = []; window.seen = 0; window.drawn = 0;
new PerformanceObserver(list => list.getEntries().forEach(one => window.tasks.push(one.duration)))
  .observe({type: "longtask", buffered: true});
let last = performance.now();
requestAnimationFrame(function look(now) {
  window.gaps.push(now - last); last = now;
  if (!window.seen && document.querySelector("[data-visit]")) { window.seen = now; }
  if (!window.drawn && document.querySelector("#calendar[data-drawn]")) { window.drawn = now; }
  requestAnimationFrame(look);
});
"""
TURN = """
turn => new Promise(resolve => {
  const started = turn ? performance.now() : 0;
  if (turn) {
    window.seen = window.drawn = 0;
    document.querySelector("[data-step='1']").click();
  }
  requestAnimationFrame(function look() {
    if (window.seen && window.drawn) {
      resolve([window.seen - started, window.drawn - started]);
    } else {
      requestAnimationFrame(look);
    }
  });
})
"""
LONGEST = "() => [Math.max(0, ...window.tasks.splice(0)), Math.max(0, ...window.gaps.splice(0))]"


@dataclass(frozen=True)
class Row:
    """Milliseconds. `seen` is when the rows in sight have their visits, `drawn` when all rows have."""

    visits: int
    seen: float
    drawn: float
    task: float
    paging: tuple[tuple[float, float], ...]
    paging_task: float
    paging_gap: float


def _measure() -> Row:
    """Returns the times of the first week, counted from the request for the page, and of paging `WEEKS` weeks on."""
    with serving() as stub, sync_playwright() as playwright:
        stub.board = lambda first, until: crowd(
            PEOPLE,
            VISITS_A_DAY,
            date.fromisoformat(first),
            (date.fromisoformat(until) - date.fromisoformat(first)).days,
        )
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(WATCH)
        page.goto(stub.url)
        seen, drawn = page.evaluate(TURN, False)
        task, _ = page.evaluate(LONGEST)
        paging = tuple((float(one[0]), float(one[1])) for one in (page.evaluate(TURN, True) for _ in range(WEEKS)))
        paging_task, paging_gap = page.evaluate(LONGEST)
        browser.close()
    return Row(PEOPLE * VISITS_A_DAY * 5, seen, drawn, task, paging, paging_task, paging_gap)


def report(_options: Options) -> Report:
    """Reports the board's times; nothing is demanded of them but that nobody waits: the machine is shared."""
    row = _measure()
    seen, drawn = (sorted(one[n] for one in row.paging) for n in (0, 1))
    middle = len(row.paging) // 2
    return Report(
        f"Общий график: неделя, {PEOPLE} замерщиков по {VISITS_A_DAY} замеров в день / the board's full week",
        (
            Ratio(
                "кадр всех строк к кадру видимых при листании / all rows to those in sight, while paging",
                f"{drawn[middle] / seen[middle]:.1f}",
            ),
        ),
        [
            f"замеров / visits: {row.visits}",
            f"открытие / opening: видимые строки / rows in sight {row.seen / 1000:.2f} s, все / all "
            f"{row.drawn / 1000:.2f} s, самая долгая задача / longest task {row.task:.0f} ms",
            f"листание {WEEKS} недель / paging {WEEKS} weeks: видимые строки / rows in sight {seen[middle]:.0f} ms, "
            f"все / all {drawn[middle]:.0f} ms",
            f"при листании / while paging: самая долгая задача / longest task {row.paging_task:.0f} ms, "
            f"без кадра / without a frame {row.paging_gap:.0f} ms (цель / goal < 2000)",
        ],
    )
