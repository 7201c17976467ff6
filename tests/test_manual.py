"""The managers' instruction says what the playbook says, to the word, on one page that needs no other file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, date, datetime, time
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from b24app import manual
from b24app.__main__ import main
from b24app.flow_picture import Box, End, Slip, draw
from b24app.manual import NotPrinted, Writer, manual_html, print_pdf, write_manual
from b24app.playbook import Playbook, load_playbook, parse_playbook
from b24app.rules.stage_gate import Card, Seen, missing_for_move

RECOMMENDED = "playbooks/kitchen_recommended.toml"
PATHS = ["", RECOMMENDED]
SVG = "{http://www.w3.org/2000/svg}"


def read(html: str) -> str:
    """Returns the words of a page as people read them."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html)))


def said(words: str) -> str:
    return re.sub(r"\s+", " ", words).strip()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_text_of_the_playbook_for_managers_is_there_to_the_word(path: str, language: str) -> None:
    playbook = load_playbook(path)
    words = read(manual_html(playbook, path, language))
    for stage in playbook.lead.stages:
        assert stage.name.of(language) in words
        if stage.semantics != "failure":
            for text in (stage.criterion, stage.hint):
                assert text is None or said(text.of(language)) in words, stage.key
        for requirement in (*stage.requires, *stage.requires_to_leave):
            field = playbook.lead.field(requirement.field)
            assert field is not None
            assert field.name.of(language) in words
            assert field.why is not None
            assert field.why.of(language) in words
        for rule in stage.tasks:
            assert rule.title in words
            for line in (*rule.text.split("\n"), *rule.script.split("\n")):
                assert said(line.split("{")[0]) in words, rule.key
            for checklist in rule.checklists:
                assert all(item in words for item in checklist.items)
    assert playbook.lead.decline is not None
    for reason in playbook.lead.decline.reasons:
        assert reason.name.of(language) in words


@pytest.mark.parametrize("path", PATHS)
def test_what_a_stage_asks_for_is_what_the_gate_asks_for(path: str) -> None:
    process = load_playbook(path).lead
    writer = Writer(load_playbook(path), path)
    way = [stage for stage in process.stages if stage.semantics != "failure"]
    for here, after in pairwise(way):
        gate = missing_for_move(process, here.key, after.key, Card(), Seen(), datetime(2026, 11, 22, tzinfo=UTC))
        assert [want.name for want in writer.wants(process, here, after)] == [lack.name.ru for lack in gate], here.key


def test_the_page_needs_no_other_file_and_shows_the_memo_picture() -> None:
    html = manual_html(load_playbook())
    assert not re.findall(r"<(?:script|link)\b", html)
    assert {source.split(",")[0] for source in re.findall(r'src="([^"]*)"', html)} == {"data:image/svg+xml;base64"}
    assert "url(" not in html


def test_what_is_written_for_machines_is_written_for_people() -> None:
    words = read(manual_html(load_playbook()))
    assert "Добрый день, [Имя клиента]! Вы обращались по теме «[Тема обращения]»." in words
    assert not re.search(r"\{\w*\}", words)
    assert "send_offer" not in words
    assert "UF_CRM" not in words


def test_a_playbook_cannot_write_html_into_the_page() -> None:
    text = Path("playbooks/kitchen.toml").read_text("utf-8")
    text = text.replace('ru = "Клиент наш"', 'ru = "<b onclick=alert(1)>Клиент</b>"').replace(
        'title = "Отправить каталог и КП"', "title = '<img src=x>'"
    )
    html = manual_html(parse_playbook(text, "x"))
    assert "<b onclick" not in html
    assert "<img src=x>" not in html
    assert "&lt;b onclick=alert(1)&gt;" in html


def changed(**sections: dict[str, Any]) -> Playbook:
    playbook = load_playbook()
    return playbook.model_copy(
        update={name: getattr(playbook, name).model_copy(update=values) for name, values in sections.items()}
    )


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({}, "По очереди: лид получает тот свободный, кто дольше всех его ждал."),
        ({"assignment": {"order": "least_loaded"}}, "По нагрузке: лид получает тот свободный, у кого меньше открытых"),
        ({}, "Открытых лидов меньше 30."),
        ({"assignment": {"when_nobody": "wait"}}, "Свободных нет: лид ждёт в очереди до открытия"),
        ({"assignment": {"when_nobody": "user", "fallback_user": 7}}, "Свободных нет: лид получает сотрудник № 7."),
        ({"assignment": {"clock": "ignored"}}, "На работе: по часам работы."),
        ({"assignment": {"department": None, "users": (3, 4)}}, "Кто участвует: названные сотрудники (2)."),
        ({}, "Кто участвует: отдел «Продажи» с подотделами."),
        ({}, "он получает задачу перезвонить. Срок — 15 рабочих минут."),
        ({"intake": {"call_deadline_minutes": 21}}, "Срок — 21 рабочая минута."),
        ({"intake": {"written_deadline_minutes": 120}}, "Срок — 2 рабочих часа."),
        ({"intake": {"distribute_by_hand": False}}, "Лид, созданный вручную, остаётся у создавшего."),
        ({"intake": {"answered_on_foreign": "responsible"}}, "вы становитесь ответственным."),
        ({"intake": {"skip_sources": ("PARTNER",)}}, "Не распределяются источники: PARTNER."),
        ({}, "Загружено 50 и больше лидов за 5 минут: руководителю один вопрос"),
        ({}, "09:00–19:00, Europe/Moscow; выходные: сб, вс, праздники RU."),
        ({"hours": {"lunch": (time(13), time(14))}}, "09:00–19:00, Europe/Moscow; обед 13:00–14:00;"),
        ({"hours": {"shifts": {"SA": ((time(10), time(15)),), "MO": ()}}}, "; сб 10:00–15:00; пн не работаем;"),
    ],
)
def test_the_rules_of_the_intake_are_said_in_words(sections: dict[str, Any], line: str) -> None:
    assert line in read(manual_html(changed(**sections)))


@pytest.mark.parametrize(
    ("sections", "left_out"),
    [
        ({"assignment": {"limit_open": 0}}, "Открытых лидов меньше"),
        ({"assignment": {"calendar_busy_counts": False}}, "Не занят в календаре"),
        ({"hours": {"country": ""}}, "праздники"),
        ({"lead": {"decline": None, "stages": ()}}, "Путь лида"),
    ],
)
def test_what_does_not_apply_is_left_out(sections: dict[str, Any], left_out: str) -> None:
    assert left_out in read(manual_html(load_playbook()))
    assert left_out not in read(manual_html(changed(**sections)))


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (1, "1 рабочая минута"),
        (11, "11 рабочих минут"),
        (22, "22 рабочие минуты"),
        (60, "1 рабочий час"),
        (300, "5 рабочих часов"),
        (600, "1 рабочий день"),
        (1200, "2 рабочих дня"),
        (90, "90 рабочих минут"),
    ],
)
def test_working_time_in_words(minutes: int, words: str) -> None:
    assert Writer(load_playbook()).duration(minutes) == words


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ({"lunch": (time(13), time(14))}, "1 рабочий день"),
        ({"opens": time(20), "closes": time(5)}, "1 рабочий день"),
        ({"opens": time(0), "closes": time(0)}, "9 рабочих часов"),
    ],
)
def test_a_working_day_is_as_long_as_the_office_is_open(hours: dict[str, Any], words: str) -> None:
    assert Writer(changed(hours=hours)).duration(540) == words


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("return", "лид снова на «Новый», и открывается форма"),
        ("task", "лид остаётся на новой стадии, и ставится задача дополнить карточку"),
        ("warn", "лид остаётся на новой стадии, и приходит предупреждение"),
    ],
)
def test_what_happens_where_something_is_missing_follows_the_stage(gate: str, words: str) -> None:
    lead = load_playbook().lead
    stages = tuple(one.model_copy(update={"gate": gate}) if one.key == "client" else one for one in lead.stages)
    assert words in read(manual_html(changed(lead={"stages": stages})))


def test_deals_have_their_own_way() -> None:
    playbook = load_playbook()
    html = manual_html(playbook.model_copy(update={"deal": playbook.lead}))
    assert html.count("<svg ") == 2
    assert "Путь сделки" in read(html)


# the measurement


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_measurement_has_its_chapter_with_both_tasks_and_the_message(path: str, language: str) -> None:
    rules = load_playbook(path).measurement
    assert rules is not None
    words = read(manual_html(load_playbook(path), path, language))
    for text in (
        rules.confirm_task,
        rules.measurer_task,
        *rules.confirm_text.split("\n"),
        *rules.measurer_text.split("\n"),
    ):
        assert said(text.split("{")[0]) in words, text
    for item in (rules.checklist.name, *rules.checklist.items, rules.not_home):
        assert item in words
    name = {"ru": "Егор Петров", "en": "Egor Petrov"}[language]
    assert f"Замер Пн 30.11 в 10:00. Приедет {name}, тел. +7 900 444-55-66. Замер бесплатный." in words


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({}, "Стадия «Замер назначен», возражений нет"),
        ({}, "заполните «Адрес объекта на карте»"),
        ({}, "Или заполните «Дата замера» прямо в карточке, а если важно кто — и «Замерщик»."),
        ({}, "время за вами 15 минут"),
        ({"measurement": {"hold_minutes": 21}}, "время за вами 21 минуту"),
        ({}, "Сколько это длится: Замер кухни, вместе с дорогой — 3 рабочих часа."),
        ({}, "Самое раннее начало — 2 рабочих часа от этой минуты, самое позднее — 30 дней вперёд."),
        ({}, "Кто ездит: отдел «Замеры» с подотделами, и его руководитель."),
        ({"measurement": {"users": (9, 10)}}, "Кто ездит: названные сотрудники (2)."),
        ({"measurement": {"department": None}}, "Кто ездит: все сотрудники портала."),
        ({}, "Замер Пн 30.11 10:00 — спросите клиента Пт 27.11 10:00."),
        ({"hours": {"days_off": (date(2026, 11, 27),)}}, "Замер Пн 30.11 10:00 — спросите клиента Чт 26.11 10:00."),
        ({"measurement": {"confirm_minutes": 120}}, "начало — за рабочий день до замера, срок — 2 рабочих часа."),
        ({}, "Замер назначали заново уже 3 раза"),
        ({}, "Запись в календаре передвинули: замер переносится туда."),
        ({"measurement": {"moved_by_hand": "object"}}, "Запись в календаре передвинули: она возвращается"),
        ({}, "Запись удалили: она появляется снова"),
        ({"measurement": {"deleted_by_hand": "follow"}}, "Запись удалили: замер отменяется"),
        ({"sms": {"quiet_from": time(22)}}, "С 22:00 до 09:00 по времени клиента она ждёт утра."),
    ],
)
def test_the_rules_of_measurements_are_said_in_words(sections: dict[str, Any], line: str) -> None:
    assert line in read(manual_html(changed(**sections)))


def test_kinds_of_work_are_named_with_when_they_apply_and_the_way_only_where_it_is_part_of_them() -> None:
    text = Path("playbooks/kitchen.toml").read_text("utf-8")
    wardrobe = (
        '{ key = "b", name = { ru = "Шкаф", en = "B" }, minutes = 120, only_if = { field = "theme", filled = true } }'
    )
    kitchen = '{ key = "kitchen", name = { ru = "Замер кухни", en = "Kitchen" }, minutes = 180 },\n]'
    assert kitchen in text
    text = text.replace(kitchen, f"{wardrobe},\n    {kitchen}\ntravel = {{ inside_work = false }}")
    words = read(manual_html(parse_playbook(text, "x")))
    assert "Шкаф (если «Тема обращения» заполнено), 2 рабочих часа; Замер кухни, 3 рабочих часа." in words


def test_a_playbook_without_measurements_has_no_such_chapter() -> None:
    playbook = load_playbook()
    assert "Что получит замерщик" in read(manual_html(playbook))
    assert "Что получит замерщик" not in read(manual_html(playbook.model_copy(update={"measurement": None})))


# the picture


def drawing(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 our own picture


def texts(svg: str) -> list[tuple[float, str]]:
    return [(float(node.get("y") or 0), node.text or "") for node in drawing(svg).iter(f"{SVG}text")]


def test_stages_stand_in_their_order_and_failures_below_them() -> None:
    playbook = load_playbook(RECOMMENDED)
    drawn = texts(Writer(playbook, RECOMMENDED).flow(playbook.lead, "Путь"))
    names = [stage.name.ru for stage in playbook.lead.stages]
    heights = [next(y for y, text in drawn if text == name) for name in names]
    assert heights == sorted(heights)


def test_a_task_that_leads_on_is_drawn_into_its_stage_and_no_other() -> None:
    stages = [Box("a", "А", "#39A8EF", True, "сам", (Slip("Задача", "срок", "c"), Slip("Другая", "срок"))),
              Box("b", "Б", "#39A8EF", True, "сам"), Box("c", "В", "#7BD500", False)]  # fmt: skip
    with_lead = draw(stages, [], title="Путь", description="")
    first = stages[0]
    without = draw(
        [Box(first.key, first.name, first.color, True, "сам", (Slip("Задача", "срок"), first.slips[1])), *stages[1:]],
        [],
        title="Путь",
        description="",
    )
    bends = [path for path in re.findall(r'd="([^"]+)"', with_lead) if "q" in path]
    assert len(bends) == 1
    ends_at = float(re.findall(r"V([\d.]+)q", bends[0])[0]) + 10
    top = next(y for y, text in texts(with_lead) if text == "В") - 30
    assert top < ends_at < top + 47
    assert not [path for path in re.findall(r'd="([^"]+)"', without) if "q" in path]


def test_long_names_and_many_tasks_stay_inside_the_picture() -> None:
    slips = tuple(Slip("Очень длинное название задачи " * 4, "срок — 4 рабочих часа", "") for _ in range(6))
    boxes = [Box("a", "Стадияоченьдлинноеслово" * 3, "#39A8EF", True, "нужно: " + "Поле, " * 40, slips),
             Box("b", "Успех", "#7BD500", False)]  # fmt: skip
    svg = draw(boxes, [End("Отказ", "#FF5752", ("Причина " * 30,) * 5)], title="<Путь & все>", description="х")
    root = drawing(svg)
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    for node in root.iter(f"{SVG}text"):
        size = float(node.get("font-size") or 0)
        assert float(node.get("y") or 0) < height
        assert float(node.get("x") or 0) + 0.6 * size * len(node.text or "") <= width + 1
    boxes_drawn = [
        (float(node.get("x") or 0), float(node.get("y") or 0), float(node.get("height") or 0))
        for node in root.iter(f"{SVG}rect")
        if node.get("rx") == "7"
    ]
    for x, y, tall in boxes_drawn:
        assert not any(x == x2 and y < y2 < y + tall for x2, y2, _ in boxes_drawn)


# files and the command line


def test_the_pdf_is_printed_by_chromium(tmp_path: Path) -> None:
    page, pdf = write_manual(load_playbook(), "", tmp_path / "new" / "folder", "en", pdf=True)
    assert (page.name, pdf.name) == ("manual.en.html", "manual.en.pdf")
    body = pdf.read_bytes()
    assert body.startswith(b"%PDF")
    assert len(body) > 20_000


def test_without_chromium_the_page_is_there_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--config", str(tmp_path / "none.toml"), "manual", "--out", str(tmp_path), "--pdf"]) == 1
    assert "Chromium не найден" in capsys.readouterr().err
    assert (tmp_path / "manual.html").is_file()


@pytest.mark.parametrize("does", ["exit 3", ":", "printf broken > {pdf}"])
def test_a_browser_that_prints_nothing_is_said(does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pdf, browser = tmp_path / "manual.pdf", tmp_path / "chromium"
    browser.write_text(f"#!/bin/sh\necho no screen >&2\n{does.format(pdf=pdf)}\n")
    browser.chmod(0o755)
    monkeypatch.setattr(manual, "BROWSERS", (str(browser),))
    with pytest.raises(NotPrinted, match="no screen"):
        print_pdf(tmp_path / "manual.html", pdf)


def test_the_configured_playbook_is_taken_where_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    example = Path("config.example.toml").read_text("utf-8").replace('secret_key = ""', f'secret_key = "{"k" * 40}"')
    config.write_text(
        re.sub(r'(\[playbook\][^\[]*\npath = )""', rf'\1"{Path(RECOMMENDED).resolve()}"', example), "utf-8"
    )
    assert main(["--config", str(config), "manual", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "manual.html")
    assert "рекомендованная шкала" in (tmp_path / "manual.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("named", "status", "word"), [("playbooks/kitchen.toml", 1, "ST-7"), (RECOMMENDED, 0, "в порядке")]
)
def test_x2_the_adviser_flags_the_source_and_not_the_recommended_scale(
    named: str, status: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(tmp_path / "none.toml"), "advise", "--playbook", named]) == status
    assert word in capsys.readouterr().out
