"""deploy/: the dashboard and the alerts speak of metrics that exist, and every metric is shown or described."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from b24app import health
from b24app.config import parse
from b24app.engine.declare import Catalogue
from b24app.services import build
from b24app.web.doors import Doors
from b24app.web.status import metrics

ROOT = Path(__file__).parent.parent
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
NAME = re.compile(r"\bb24app_[a-z0-9_]+")
LABELS = {"portal", "kind", "code", "state", "key", "level", "event", "version"}


def expressions() -> Iterator[str]:
    """Yields every PromQL text of both files."""
    for panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        yield variable.get("definition", "")
    yield from (rule["expr"] for rule in RULES)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The names and kinds of what /metrics gives."""
    folder = tmp_path_factory.mktemp("deploy")
    config = f"""
        [app]
        public_url = "http://127.0.0.1:1"
        secret_key = "{"k" * 32}"
        [[portals]]
        host = "127.0.0.1:2"
        client_id = "local.1"
        client_secret = "s"
        [database]
        url = "sqlite:///{folder / "b24app.db"}"
        """
    services = build(parse(config), Catalogue(), "redis://127.0.0.1:1/0")
    services.database.migrate()
    doors = cast(Doors, SimpleNamespace(unknown=Counter({"ONX": 1})))
    text = metrics(services, doors, insider=True).decode()
    services.dispose()
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def test_every_metric_that_is_named_exists(exported: Mapping[str, str]) -> None:
    named = {name for text in expressions() for name in NAME.findall(text)}
    assert len(named) > 20
    assert named <= set(exported), named - set(exported)


def test_every_metric_is_shown_or_described(exported: Mapping[str, str]) -> None:
    described = (ROOT / "docs" / "operating.md").read_text("utf-8") + json.dumps(DASHBOARD)
    assert [name for name in exported if name not in NAME.findall(described)] == []


def test_names_say_their_units(exported: Mapping[str, str]) -> None:
    for name, kind in exported.items():
        assert name.startswith("b24app_")
        assert (kind == "counter") == name.endswith("_total"), name
        if "seconds" in name or "bytes" in name:
            assert name.endswith(("_seconds", "_bytes")), name


def test_rates_are_asked_of_counters_only(exported: Mapping[str, str]) -> None:
    for text in expressions():
        for name in re.findall(r"\b(?:rate|increase)\((\w+)", text):
            assert exported[name] == "counter", text


def test_only_our_labels_are_asked_for() -> None:
    for text in expressions():
        asked = {label for group in re.findall(r"\bby \(([^)]*)\)", text) for label in group.split(", ")}
        asked |= {label for group in re.findall(r"\{([^}]*)\}", text) for label in re.findall(r"(\w+)(?==|!)", group)}
        assert asked <= LABELS, text
    legends = " ".join(target["legendFormat"] for panel in PANELS for target in panel["targets"])
    texts = " ".join(text for rule in RULES for text in rule["annotations"].values())
    assert set(re.findall(r"\{\{(\w+)\}\}", legends)) <= LABELS
    assert set(re.findall(r"\$labels\.(\w+)", texts)) <= LABELS


def test_alerts_ask_for_findings_that_doctor_knows() -> None:
    known = set(re.findall(r"`(\w+)`", health.__doc__ or ""))
    for rule in RULES:
        for keys in re.findall(r'key=~?"([^"]+)"', rule["expr"]):
            assert set(keys.split("|")) <= known, rule["alert"]


def test_every_alert_says_what_happened_and_what_to_do_in_both_languages() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        summary, what_to_do = rule["annotations"]["summary"], rule["annotations"]["description"]
        ru, en = summary.split(" / ")
        assert all(re.search(r"[а-я]{3}", text) for text in (ru, what_to_do)), rule["alert"]
        assert not re.search(r"[а-я]", en.replace("«", "")), rule["alert"]
        assert re.search(r"[.?] [^а-яА-Я]+$", what_to_do), rule["alert"]


def test_the_dashboard_can_be_imported() -> None:
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [one["title"].split(" / ")[1] for one in panels if one["type"] == "row"] == [
        "Traffic", "Waiting", "Failures", "Portal limits", "Tokens and disk", "Visits and SMS",
    ]  # fmt: skip
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert len(panel["title"].split(" / ")) == 2
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for one, two in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
    assert all(one["gridPos"]["x"] + one["gridPos"]["w"] <= 24 for one in panels)
