"""docs/benchmarks.md is written by parts: what is measured anew replaces its own part and nothing else."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import Ratio, Report, at_least, at_most, printed, write

PARTS = {"one": "The first.", "two": "The second."}


def report(value: str) -> Report:
    return Report("Что / what", (Ratio("отношение / ratio", value, "1", True),), [f"величина {value}"])


def test_a_part_that_is_measured_again_replaces_its_own_figures_only(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    write(file, {"two": report("два"), "one": report("один")}, PARTS)
    before = file.read_text("utf-8")
    assert before.index("величина один") < before.index("величина два")  # in the order of the parts
    write(file, {"one": report("снова")}, PARTS)
    after = file.read_text("utf-8")
    assert "один" not in after
    assert "| снова |" in after
    assert "величина снова" in after
    assert after.partition("### two")[2] == before.partition("### two")[2]


def test_figures_of_another_machine_are_not_mixed_with_ours(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    write(file, {"one": report("один")}, PARTS)
    file.write_text(file.read_text("utf-8").replace("Машина: ", "Машина: чужая, "), "utf-8")
    write(file, {"two": report("два")}, PARTS)
    assert "величина один" not in file.read_text("utf-8")
    assert "величина два" in file.read_text("utf-8")


def test_a_missed_goal_is_seen(tmp_path: Path) -> None:
    missed = Report("Что / what", (at_most("больше / more", 1.2, 1.1), at_least("столько / enough", 1, 1)), [])
    assert not missed.met
    assert "больше / more: 1.20 (цель / goal <= 1.10)" in printed(missed)
    write(tmp_path / "benchmarks.md", {"one": missed}, PARTS)
    assert "| 1.20 | <= 1.10 | **нет / no** |" in (tmp_path / "benchmarks.md").read_text("utf-8")
