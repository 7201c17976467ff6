"""The status adviser: what the rules for status scales find, and what they leave in peace."""

from __future__ import annotations

import pytest

from b24app.playbook import (
    Decline,
    DeclineReason,
    LocalText,
    OnClose,
    Process,
    Stage,
    TaskRule,
    load_playbook,
)
from b24app.rules.scale import WHY, advise

GOOD = ("Новый", "В обработке", "Предложение", "Решение")


def text(words: str) -> LocalText:
    return LocalText(ru=words, en=words)


def stage(key: str, name: str, semantics: str = "process", *, criterion: bool = True, tasks: tuple = ()) -> Stage:
    return Stage(
        key=key,
        id=key.upper(),
        name=text(name),
        semantics=semantics,
        criterion=text("Пройдена, когда всё ясно") if criterion else None,
        tasks=tasks,
    )


REASONS = Decline(code="UF_CRM_X", name=text("Причина"), reasons=(DeclineReason(key="price", name=text("Цена")),))


def scale(*names: str, success: bool = True, failures: tuple[str, ...] = ("Отказ",), reasons: bool = True) -> Process:
    stages = [stage(f"s{place}", name) for place, name in enumerate(names)]
    if success:
        stages.append(stage("won", "Успех", "success"))
    stages += [stage(f"junk{place}", name, "failure") for place, name in enumerate(failures)]
    return Process(stages=tuple(stages), decline=REASONS if reasons else None)


def rules(process: Process) -> list[tuple[str, str]]:
    return [(advice.rule, advice.stage) for advice in advise(process)]


def test_st10_the_example_of_the_rules_is_in_order() -> None:
    assert rules(scale("Новый", "В обработке", "Предложение", "Дожатие")) == []
    assert rules(scale("Новый", "Ждём ответа", "Ожидание оплаты", "В обработке")) == []


def test_a_process_without_stages_gets_no_advice() -> None:
    assert advise(Process()) == ()


@pytest.mark.parametrize(("working", "found"), [(2, True), (3, False), (4, False), (5, False), (6, True), (9, True)])
def test_st2_five_to_seven_statuses(working: int, found: bool) -> None:
    names = ("Новый", "В обработке", "Предложение", "Замер", "Решение", "Договор", "Оплата", "Монтаж", "Сдача")
    assert rules(scale(*names[:working])) == ([("ST-2", "")] if found else [])


def test_st2_several_junk_statuses_count_as_one() -> None:
    assert rules(scale(*GOOD, "Замер", failures=("Нет связи", "Цена", "Конкурент", "Спам"))) == []


def test_st3_an_outcome_stands_after_the_working_stages() -> None:
    stages = (*scale(*GOOD).stages, stage("late", "Замер"))
    assert rules(Process(stages=stages, decline=REASONS)) == [("ST-3", "junk0")]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Новый", "Контакт установлен", "Замер проведён", "Согласие получено"), False),
        (("Новый", "В обработке", "Замер проведён", "Решение"), True),
        (("Новый", "Ожидает замера", "Замер проведён", "Решение принято"), True),
        (("Новый", "Ожидает звонка", "Ожидает замера", "В обработке"), False),
    ],
)
def test_st4_one_naming_style(names: tuple[str, ...], found: bool) -> None:
    assert rules(scale(*names)) == ([("ST-4", "")] if found else [])


@pytest.mark.parametrize(
    "name",
    [
        "Перезвонить",
        "Отправить письмо",
        "Уточнить адрес электронной почты",
        "Отправить КП",
        "Срочно позвонить",
        "Отправка каталога",
        "Звонок клиенту",
        "Найти замерщика",
    ],
)
def test_st5_an_action_is_no_status(name: str) -> None:
    assert rules(scale("Новый", name, "Предложение", "Решение")) == [("ST-5", "s1")]


@pytest.mark.parametrize(
    "name", ["Печать договора", "Готовность объекта", "Память о клиенте", "Часть оплаты", "Договор"]
)
def test_st5_nouns_that_look_like_verbs_are_left_in_peace(name: str) -> None:
    assert ("ST-5", "s1") not in rules(scale("Новый", name, "Предложение", "Решение"))


def test_st5_a_stage_named_after_the_action_of_a_task() -> None:
    task = TaskRule(key="call", title="Согласовать эскиз кухни", on_close=OnClose(move_to="s2"))
    stages = (stage("s0", "Новый"), stage("s1", "Выбор", tasks=(task,)), stage("s2", "Эскиз кухни согласован"))
    found = rules(Process(stages=(*stages, *scale().stages), decline=REASONS))
    assert ("ST-5", "s2") in found


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Уточнение информации", "Выяснение деталей", True),
        ("Консультация", "Обработка", True),
        ("В обработке", "Обработка", True),
        ("Ожидание оплаты", "Ждём оплату", True),
        ("Предложение", "Решение", False),
        ("Не обработан", "В работе", False),
        ("В работе", "Обработан", False),
        ("Ожидание оплаты", "Ожидание замера", False),
    ],
)
def test_st6_near_duplicates(one: str, other: str, alike: bool) -> None:
    found = [one for one in rules(scale("Новый", one, other, "Договор")) if one[0] == "ST-6"]
    assert found == ([("ST-6", "s2")] if alike else [])


def test_st6_a_failure_and_a_working_stage_are_no_duplicates() -> None:
    assert rules(scale(*GOOD, failures=("Предложение не подошло",))) == []


def test_st7_prepared_before_sent_is_double_work() -> None:
    found = advise(scale("Новый", "КП подготовлено", "КП отправлено", "Договор заключён"))
    assert [(one.rule, one.stage) for one in found] == [("ST-7", "s1"), ("ST-7", "s2")]
    assert found[0].what.ru == "«КП подготовлено» — дело минут перед «КП отправлено»"


@pytest.mark.parametrize(
    "name", ["Недозвон", "Не дозвонились", "Второй звонок", "2-й контакт", "Касание 3", "Повторное письмо"]
)
def test_st8_attempts_are_no_progress(name: str) -> None:
    assert ("ST-8", "s1") in rules(scale("Новый", name, "Предложение", "Решение"))


@pytest.mark.parametrize(
    "name", ["Первичный контакт", "Контакт", "Подготовка документов", "Готов к замеру", "Переговоры"]
)
def test_what_lasts_and_counts_nothing_is_left_in_peace(name: str) -> None:
    assert rules(scale("Новый", name, "Предложение", "Решение")) == []


def test_st9_every_status_needs_its_criterion() -> None:
    process = scale(*GOOD)
    bare = process.model_copy(update={"stages": (stage("s0", "Новый", criterion=False), *process.stages[1:])})
    assert rules(bare) == [("ST-9", "s0")]


def test_st11_a_client_may_decline() -> None:
    assert rules(scale(*GOOD, failures=())) == [("ST-11", "")]


@pytest.mark.parametrize(
    ("failures", "reasons", "found"),
    [(("Отказ",), False, True), (("Отказ",), True, False), (("Нет связи", "Цена"), False, False)],
)
def test_st12_a_junk_status_says_its_reason(failures: tuple[str, ...], reasons: bool, found: bool) -> None:
    process = scale(*GOOD, failures=failures, reasons=reasons)
    assert rules(process) == ([("ST-12", "junk0")] if found else [])


def test_st15_there_is_a_status_of_success() -> None:
    assert rules(scale(*GOOD, success=False)) == [("ST-15", "")]


def test_x2_the_kitchen_shop_as_in_the_source_is_flagged_and_the_recommended_one_is_not() -> None:
    found = rules(load_playbook().lead)
    assert ("ST-5", "offer_sent") in found
    assert ("ST-7", "offer_sent") in found
    assert rules(load_playbook("playbooks/kitchen_recommended.toml").lead) == []


def test_every_finding_has_its_rules_reason() -> None:
    for advice in advise(load_playbook().lead):
        assert advice.why == WHY[advice.rule]
        assert advice.why.en.isascii()
