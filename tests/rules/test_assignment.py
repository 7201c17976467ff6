"""Who is free and whose turn it is: every reason, both orders, fairness, and what happens when nobody is free."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_portal import ANNA, BORIS, HEAD, NOW, VERA, user

from b24app.entities import Clock, Interval
from b24app.rules.assignment import Candidate, Policy, choose, clock_in_use, judge
from b24app.rules.working_time import WorkCalendar

HOURS = WorkCalendar()
EVENING = datetime.fromisoformat("2026-11-23T20:00:00+03:00")
HOUR = timedelta(hours=1)


def anna(**changes: Any) -> Candidate:
    return Candidate(**{"user": user(ANNA), "clock": Clock.OPENED, "clock_used_at": NOW, **changes})


def span(*, absent: bool = False) -> tuple[Interval, ...]:
    return (Interval(NOW - HOUR, NOW + HOUR, absent),)


@pytest.mark.parametrize(
    ("candidate", "policy", "why"),
    [
        (anna(user=user(ANNA, active=False)), Policy(), "уволен"),
        (anna(intervals=span(absent=True)), Policy(), "отсутствует до 23.11 11:00"),
        (anna(intervals=span(absent=True)), Policy(calendar_busy_counts=False), "отсутствует до 23.11 11:00"),
        (anna(clock=Clock.PAUSED), Policy(), "на перерыве"),
        (anna(clock=Clock.CLOSED), Policy(), "рабочий день не начат или закончен"),
        (anna(clock=Clock.EXPIRED), Policy(), "рабочий день не начат или закончен"),
        (anna(clock=Clock.UNUSED), Policy(clock="required"), "рабочий день не отмечает"),
        (anna(on_call=True), Policy(), "говорит по телефону"),
        (anna(intervals=span()), Policy(), "занят по календарю до 11:00"),
        (anna(load=30), Policy(limit_open=30), "открытых лидов 30, предел 30"),
        (anna(load=29, turns_unwritten=1), Policy(limit_open=30), "открытых лидов 30, предел 30"),
    ],
)
def test_why_somebody_is_not_free(candidate: Candidate, policy: Policy, why: str) -> None:
    verdict = judge(candidate, NOW, policy, HOURS, clocked=True)
    assert (verdict.free, verdict.why["ru"]) == (False, why)
    assert verdict.why["en"]


@pytest.mark.parametrize(
    ("candidate", "policy", "now", "clocked", "why"),
    [
        (anna(), Policy(), NOW, True, "свободен"),
        (anna(), Policy(), EVENING, True, "свободен"),  # he works: his clock is open
        (anna(clock=Clock.PAUSED), Policy(clock="ignored"), NOW, True, "свободен"),
        (anna(clock=Clock.CLOSED), Policy(), NOW, False, "свободен"),  # nobody here clocks in: the hours decide
        (anna(clock=Clock.UNUSED), Policy(), NOW, True, "свободен"),
        (anna(intervals=span()), Policy(calendar_busy_counts=False), NOW, True, "свободен"),
        (anna(load=29), Policy(limit_open=30), NOW, True, "свободен, открытых: 29"),
        (anna(load=999), Policy(), NOW, True, "свободен, открытых: 999"),
        (anna(last_turn_at=NOW - HOUR), Policy(), NOW, True, "свободен, последний лид 23.11 09:00"),
        (anna(intervals=(Interval(NOW, NOW + HOUR),)), Policy(), NOW - HOUR, True, "свободен"),  # later today
        (anna(intervals=(Interval(NOW - HOUR, NOW),)), Policy(), NOW, True, "свободен"),  # just over
    ],
)
def test_who_is_free(candidate: Candidate, policy: Policy, now: datetime, clocked: bool, why: str) -> None:
    verdict = judge(candidate, now, policy, HOURS, clocked=clocked)
    assert (verdict.free, verdict.why["ru"]) == (True, why)


@pytest.mark.parametrize("policy", [Policy(clock="ignored"), Policy(clock="auto")])
def test_outside_the_hours_nobody_is_free_where_no_clock_says_otherwise(policy: Policy) -> None:
    verdict = judge(anna(clock=Clock.CLOSED), EVENING, policy, HOURS, clocked=False)
    assert (verdict.free, verdict.why["ru"]) == (False, "нерабочее время, начало 24.11 09:00")


def test_one_without_a_clock_among_those_who_use_it_is_judged_by_the_hours() -> None:
    assert not judge(anna(clock=Clock.UNUSED), EVENING, Policy(), HOURS, clocked=True).free


@pytest.mark.parametrize(
    ("candidates", "used"),
    [
        ([], False),
        ([anna(clock=Clock.CLOSED, clock_used_at=None)], False),
        ([anna(clock=Clock.UNUSED, clock_used_at=None)], False),
        ([anna(clock=Clock.OPENED, clock_used_at=None)], True),
        ([anna(clock=Clock.CLOSED, clock_used_at=NOW - timedelta(days=13))], True),  # the New Year holidays
        ([anna(clock=Clock.CLOSED, clock_used_at=NOW - timedelta(days=15))], False),
        ([anna(clock=Clock.CLOSED, clock_used_at=None), anna(clock=Clock.PAUSED)], True),
    ],
)
def test_whether_these_people_clock_in_at_all(candidates: list[Candidate], used: bool) -> None:
    assert clock_in_use(candidates, NOW) is used


def three(**of: Any) -> list[Candidate]:
    return [anna(user=user(id), **of) for id in (ANNA, BORIS, VERA)]


def test_in_turn_takes_who_waited_longest() -> None:
    a, b, c = three()
    a, b, c = (replace(one, last_turn_at=NOW - n * HOUR) for one, n in ((a, 1), (b, 3), (c, 2)))
    choice = choose([a, b, c], NOW, Policy(), HOURS)
    assert (choice.user_id, choice.name, choice.fallback) == (BORIS, "Борис", False)
    assert choice.how["ru"] == "по очереди среди свободных"


def test_who_never_had_a_turn_is_first_and_then_the_lower_id() -> None:
    a, b, c = three()
    assert choose([c, b, a], NOW, Policy(), HOURS).user_id == ANNA
    assert choose([replace(a, last_turn_at=NOW - HOUR), c, b], NOW, Policy(), HOURS).user_id == BORIS


def test_least_loaded_counts_what_is_not_written_yet() -> None:
    a, b, c = three()
    loads = [replace(a, load=3), replace(b, load=1, turns_unwritten=3), replace(c, load=2, turns_unwritten=0)]
    choice = choose(loads, NOW, Policy(order="least_loaded"), HOURS)
    assert (choice.user_id, choice.how["ru"]) == (VERA, "наименее загруженный из свободных")


def test_every_other_candidate_reads_why_not() -> None:
    a, b, c = three()
    choice = choose([a, replace(b, on_call=True), replace(c, last_turn_at=NOW - HOUR)], NOW, Policy(), HOURS)
    assert [(v.user_id, v.why["ru"]) for v in choice.verdicts] == [
        (ANNA, "свободен"),
        (BORIS, "говорит по телефону"),
        (VERA, "свободен, последний лид 23.11 09:00; его очередь позже"),
    ]


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=8, unique=True),
    st.integers(1, 60),
    st.sampled_from(["in_turn", "least_loaded"]),
)
def test_choices_in_a_row_differ_by_at_most_one(ids: list[int], times: int, order: Any) -> None:
    turns: dict[int, datetime] = {}
    got: Counter[int] = Counter(dict.fromkeys(ids, 0))
    for n in range(times):
        candidates = [
            anna(user=user(id), last_turn_at=turns.get(id), load=0, turns_unwritten=got[id]) for id in reversed(ids)
        ]
        chosen = choose(candidates, NOW, Policy(order=order), HOURS).user_id
        assert chosen is not None
        turns[chosen] = NOW + timedelta(microseconds=n)
        got[chosen] += 1
    assert max(got.values()) - min(got.values()) <= 1


@given(st.permutations([ANNA, BORIS, VERA]), st.sampled_from(["in_turn", "least_loaded"]))
def test_the_order_in_which_the_portal_lists_people_does_not_matter(ids: list[int], order: Any) -> None:
    candidates = [anna(user=user(id), load=2, last_turn_at=NOW - HOUR) for id in ids]
    assert choose(candidates, NOW, Policy(order=order), HOURS).user_id == ANNA


BUSY = three(on_call=True)
DUTY = user(77, name="Дежурный")


@pytest.mark.parametrize(
    ("policy", "head", "fallback", "chosen", "how"),
    [
        (Policy(), user(HEAD), None, HEAD, "никто не свободен: руководителю отдела"),
        (Policy(when_nobody="user"), user(HEAD), DUTY, 77, "никто не свободен: назначен дежурный"),
        (
            Policy(when_nobody="user"),
            user(HEAD),
            replace(DUTY, active=False),
            HEAD,
            "никто не свободен: руководителю отдела",
        ),
        (Policy(when_nobody="user"), user(HEAD), None, HEAD, "никто не свободен: руководителю отдела"),
        (Policy(when_nobody="wait"), user(HEAD), DUTY, None, "никто не свободен: ждёт в очереди"),
        (Policy(), None, None, None, "никто не свободен: ждёт в очереди"),
        (Policy(), user(HEAD, active=False), None, None, "никто не свободен: ждёт в очереди"),
    ],
)
def test_when_nobody_is_free(policy: Policy, head: Any, fallback: Any, chosen: int | None, how: str) -> None:
    choice = choose(BUSY, NOW, policy, HOURS, head=head, fallback=fallback)
    assert (choice.user_id, choice.how["ru"], choice.fallback) == (chosen, how, True)
    assert len(choice.verdicts) == 3


def test_a_department_without_people_says_so() -> None:
    choice = choose([], NOW, Policy(), HOURS, head=user(HEAD))
    assert (choice.user_id, choice.how["ru"]) == (HEAD, "в правиле нет ни одного сотрудника: руководителю отдела")
    alone = choose([], NOW, Policy(), HOURS)
    assert (alone.user_id, alone.how["ru"]) == (None, "в правиле нет ни одного сотрудника: ждёт в очереди")
