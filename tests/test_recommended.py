"""A failing stage that says its reason by itself (ST-12), as the recommended playbook has them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from b24app.entities import LEAD
from b24app.errors import ConfigError
from b24app.playbook import load_playbook, parse_playbook
from b24app.process import ProcessOnPortal, decline_reason
from b24app.rules.stage_gate import Card, Seen, judge_move

PATH = "playbooks/kitchen_recommended.toml"
LEADS = load_playbook(PATH).lead
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_every_failing_stage_says_a_reason_and_every_stage_has_its_criterion() -> None:
    assert LEADS.decline is not None
    failing = [stage.key for stage in LEADS.stages if stage.semantics == "failure"]
    assert len(failing) > 1
    assert [LEADS.decline.reason_of(key).key for key in failing] == failing  # type: ignore[union-attr]
    assert all(stage.criterion for stage in LEADS.stages)


@pytest.mark.parametrize("stage", [stage.key for stage in LEADS.stages if stage.semantics == "failure"])
def test_nobody_is_asked_for_a_reason_that_the_stage_says(stage: str) -> None:
    assert judge_move(LEADS, "processing", stage, Card(), Seen(), at=NOW).action == "pass"


def test_a_failing_stage_that_says_none_still_asks() -> None:
    text = Path(PATH).read_text("utf-8").replace('key = "terms", stage = "terms"', 'key = "terms"')
    process = parse_playbook(text, "x").lead
    assert judge_move(process, "processing", "terms", Card(), Seen(), at=NOW).action == "return"
    assert judge_move(process, "processing", "terms", Card(), Seen(), at=NOW, decline_reason="terms").action == "pass"
    assert judge_move(process, "processing", "competitor", Card(), Seen(), at=NOW).action == "pass"


@pytest.mark.parametrize(
    ("stage_id", "reason"),
    [("B24_TERMS", "terms"), ("MINE_37", "competitor"), ("IN_PROCESS", "id:9"), ("C5:LOSE", "id:9")],
)
def test_the_stage_goes_before_the_field_which_may_be_of_an_earlier_decline(stage_id: str, reason: str) -> None:
    on = ProcessOnPortal(LEADS, LEAD, {"lead.stage:competitor": "MINE_37"})
    assert decline_reason(on, {"id": 1, "stageId": stage_id, "UF_CRM_B24_DECLINE": "9"}) == reason


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('key = "terms", stage = "terms"', 'key = "terms", stage = "offer"', "lead.decline.reasons.2.stage"),
        ('key = "terms", stage = "terms"', 'key = "terms", stage = "nowhere"', "lead.decline.reasons.2.stage"),
        ('key = "terms", stage = "terms"', 'key = "terms", stage = "not_ours"', "lead.decline.reasons.2.stage"),
        ('key = "terms", stage', 'key = "not_ours", stage', "lead.decline.reasons.2.key"),
    ],
)
def test_a_stage_that_is_no_failing_one_or_says_two_reasons_is_named(old: str, new: str, path: str) -> None:
    text = Path(PATH).read_text("utf-8")
    assert old in text
    with pytest.raises(ConfigError) as caught:
        parse_playbook(text.replace(old, new), "x")
    assert path in str(caught.value)
