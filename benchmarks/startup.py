"""How long `b24app run` takes until /health answers, beside a Python that only imports Flask."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from b24app.supervisor import Program, start, stop
from benchmarks.report import Options, Ratio, Report
from benchmarks.running import Running, running


def report(options: Options) -> Report:
    """Reports the median of the ratios, and the seconds of each part of it."""
    with running() as application:
        _run(application)  # the first one makes the database
        ways: dict[str, Callable[[], float]] = {
            "b24app run, /health": lambda: _run(application),
            "один Python / one Python": lambda: _python("import b24app.__main__, b24app.web.server"),
            "import flask": lambda: _python("import flask"),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(max(options.rounds, 3)):
            for name in list(ways) if number % 2 == 0 else reversed(ways):
                times[name].append(ways[name]())
    flask = times["import flask"]
    ratios = {
        name: statistics.median(ours / bare for ours, bare in zip(times[name], flask, strict=True)) for name in ways
    }
    return Report(
        "Запуск: пять Python от b24app run до ответа /health / start-up, five Pythons from b24app run to /health",
        [Ratio(f"{name} к / to import flask", f"{ratios[name]:.1f}") for name in list(ways)[:-1]],
        [f"{name:24} {statistics.median(seconds):6.2f} s" for name, seconds in times.items()],
    )


def _run(application: Running) -> float:
    arguments = (sys.executable, "-m", "b24app", "--config", str(application.config), "run")
    port = application.url.rsplit(":", 1)[1]
    began = time.monotonic()
    process = start(Program("run", (*arguments, "--port", port)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        application.until(application.answers, "the web answers", pause=0.01)
        return time.monotonic() - began
    finally:
        stop([process], 30)


def _python(code: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    return time.monotonic() - began
