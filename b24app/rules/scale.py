"""What the rules for status scales (ST-1 to ST-15) find in a process: an adviser, never a judge. Pure.

It reads names, order, criteria and reasons of decline as the playbook has them, and says what a person may want to
change and why. Names are judged in Russian, as the portal shows them; findings come in both languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from b24app.playbook import LocalText, Process, Stage

FEWEST, MOST = 5, 7
WHY = {
    "ST-2": LocalText(
        ru="Лучше всего 5–7 статусов: меньше — не видно пути, больше — теряется смысл и уходит время на переводы",
        en="5 to 7 statuses are best: fewer hide the way, more lose their meaning and cost time at each switch (ST-13)",
    ),
    "ST-3": LocalText(
        ru="По порядку сразу видно, кто только начал, а кто близок к решению: итоги стоят после рабочих стадий",
        en="The order shows who is only starting and who is near a decision: outcomes stand after the working stages",
    ),
    "ST-4": LocalText(
        ru="Один стиль названий: или что сделано, или что происходит и ожидается. Смешанные читаются с ошибками",
        en="One naming style: either what is done, or what goes on and is expected. Mixed ones are misread",
    ),
    "ST-5": LocalText(
        ru="Действие — это задача, а не статус: в статусе лид находится, действие делают и закрывают",
        en="An action is a task, not a status: an item stays in a status, an action is done and closed",
    ),
    "ST-6": LocalText(
        ru="Почти одинаковые статусы каждый понимает по-своему, и отчёт по ним ничего не говорит",
        en="Near duplicates mean something else to everybody, and a report on them says nothing",
    ),
    "ST-7": LocalText(
        ru="Статус — длительное состояние. Где лид проводит минуты, там перевод — лишняя работа",
        en="A status lasts. Where an item stays for minutes, moving it is double work",
    ),
    "ST-8": LocalText(
        ru="Число звонков и писем — не продвижение: лид остаётся в одном рабочем статусе, попытки — дела в карточке",
        en="The number of calls or letters is no progress: the item stays in one working status, attempts are to-dos",
    ),
    "ST-9": LocalText(
        ru="У менеджера не должно быть сомнений, когда переводить: критерий нужен каждому статусу",
        en="The manager must have no doubt when to move an item: every status needs its criterion",
    ),
    "ST-11": LocalText(
        ru="Отказаться клиент может на любой стадии, и для этого должно быть место",
        en="A client may decline at any stage, and there must be a place for it",
    ),
    "ST-12": LocalText(
        ru="По отказам видно, почему уходят клиенты, только если причина названа: несколько статусов или список причин",
        en="Failures show why clients leave only where the reason is named: several statuses or a list of reasons",
    ),
    "ST-15": LocalText(
        ru="Каждый статус относится к одному типу: в работе, успех, отказ. Без успеха не видно, ради чего работа",
        en="Every status is of one type: in work, success, failure. Without success nobody sees what the work is for",
    ),
}
"""The rule's reason, by its number in the requirements."""

_WORD = re.compile(r"[а-яa-z0-9]+")
_EMPTY = frozenset({"и", "в", "на", "с", "по", "к", "о", "у", "за", "для", "от", "до", "или", "а", "the", "of"})
_NEEDED = frozenset({"не", "надо", "нужно", "необходимо", "срочно"})
_INFINITIVE = re.compile(r"\w{2,}(?:[аеиоуыя]ть|йти|ести|езти)(?:ся|сь)?")
_NOUNS_LIKE_VERBS = frozenset({"печать", "память", "кровать", "сеть", "нить", "мать", "вести", "новости"})
_ACTION = re.compile(r"отправк|рассылк|звонок|звонк|перезвон|обзвон|письм|напоминан|уточни")
_DONE = re.compile(r"\w{3,}(?:(?:ен|ан|ян|ят|ыт|ут)[аоы]?|(?:ен|ан|ян)н(?:ый|ая|ое|ые)|(?:лся|лась|лось|лись))")
_NOT_DONE = frozenset(
    (
        *("отмена", "смена", "замена", "обмен", "охрана", "страна", "экран", "ресторан", "маршрут", "минуты"),
        *("нужен", "нужна", "нужны", "должен", "важен"),
    )
)
_PREPARED = re.compile(r"\b(?:подготовлен|составлен|сформирован|готов[оаы]?\b(?! к\b))")
_SENT = re.compile(r"\b(?:отправлен|отослан|выслан)")
_COUNTED = re.compile(
    r"(?:\d+(?:-?(?:й|ый|ой|ий|е))?|втор(?:ой|ая|ое)|трет(?:ий|ья|ье)|повторн\w+)\s+(?:звон|письм|контакт|касан|попыт)"
    r"|(?:звон|письм|контакт|касани|попытк|недозвон)\w*\W{0,3}\d+"
)
_UNREACHED = re.compile(r"недозвон|не дозвон|не отвеча|не берет трубк|не бер[её]т")
_SAME = (
    ("уточн", "выясн", "прояс", "узна"),
    ("инфор", "детал", "подро", "сведе", "данны", "вопро"),
    ("консу", "обраб", "работ", "процес"),
    ("предл", "кп", "коммерч", "оффер", "смет"),
    ("дожат", "дожим", "решен", "решае", "думае", "размы"),
    ("перег", "обсуж", "согла"),
    ("отказ", "брак", "забра", "некач", "отклон"),
    ("ожида", "ждет", "ждем"),
)
"""Beginnings of words that mean the same in the name of a status."""


@dataclass(frozen=True)
class Advice:
    """A finding: by which rule, about which stage (its key, "" for the whole scale), what was found, why it counts."""

    rule: str
    stage: str
    what: LocalText
    why: LocalText


def advise(process: Process) -> tuple[Advice, ...]:
    """Returns what the rules find, the scale as a whole first, then stage by stage; nothing for a process of none."""
    if not process.stages:
        return ()
    working = [stage for stage in process.stages if stage.semantics == "process"]
    found = [
        *_number(process),
        *_order(process),
        *_outcomes(process),
        *_styles(working),
        *_duplicates(process),
    ]
    for stage in process.stages:
        found += _of_stage(process, stage)
    return tuple(found)


def _advice(rule: str, stage: str, ru: str, en: str) -> Advice:
    return Advice(rule, stage, LocalText(ru=ru, en=en), WHY[rule])


def _number(process: Process) -> Iterator[Advice]:
    """Several junk statuses are reasons of one outcome and count as one, as in the rules' own example."""
    failing = sum(stage.semantics == "failure" for stage in process.stages)
    count = len(process.stages) - failing + min(failing, 1)
    if not FEWEST <= count <= MOST:
        yield _advice(
            "ST-2",
            "",
            f"Статусов {count} (все отказы считаются за один)",
            f"{count} statuses (all failures count as one)",
        )


def _order(process: Process) -> Iterator[Advice]:
    for before, after in pairwise(process.stages):
        if before.semantics != "process" and after.semantics == "process":
            yield _advice(
                "ST-3",
                before.key,
                f"Итог «{before.name.ru}» стоит перед рабочей стадией «{after.name.ru}»",
                f"The outcome “{before.name.en}” stands before the working stage “{after.name.en}”",
            )


def _outcomes(process: Process) -> Iterator[Advice]:
    failing = [stage for stage in process.stages if stage.semantics == "failure"]
    if not any(stage.semantics == "success" for stage in process.stages):
        yield _advice("ST-15", "", "Нет успешного статуса", "There is no status of success")
    if not failing:
        yield _advice("ST-11", "", "Нет статуса отказа", "There is no status of failure")
    if len(failing) == 1 and process.decline is None:
        yield _advice(
            "ST-12",
            failing[0].key,
            f"Отказ один, «{failing[0].name.ru}», и причин у него нет",
            f"There is one failure, “{failing[0].name.en}”, and it has no reasons",
        )


def _styles(working: list[Stage]) -> Iterator[Advice]:
    """The first stage is the system's own name of a beginning; actions are another rule's."""
    named = [stage for stage in working[1:] if not _is_action(stage.name.ru)]
    done = [stage for stage in named if _is_done(stage.name.ru)]
    now = [stage for stage in named if stage not in done]
    if done and now:
        yield _advice(
            "ST-4",
            "",
            f"Названия в разном стиле: что сделано — {_listed(done, 'ru')}; что происходит — {_listed(now, 'ru')}",
            f"Names of different styles: what is done: {_listed(done, 'en')}; what goes on: {_listed(now, 'en')}",
        )


def _duplicates(process: Process) -> Iterator[Advice]:
    for one, other in combinations(process.stages, 2):
        if one.semantics == other.semantics and _alike(one.name.ru, other.name.ru):
            yield _advice(
                "ST-6",
                other.key,
                f"«{one.name.ru}» и «{other.name.ru}» значат почти одно и то же",
                f"“{one.name.en}” and “{other.name.en}” mean almost the same",
            )


def _of_stage(process: Process, stage: Stage) -> Iterator[Advice]:
    name = _plain(stage.name.ru)
    if stage.criterion is None:
        yield _advice("ST-9", stage.key, f"У «{stage.name.ru}» нет критерия", f"“{stage.name.en}” has no criterion")
    if stage.semantics != "process":
        return
    task = next((rule.title for _, rule in process.task_rules() if _names_the_task(name, rule.title)), None)
    if _is_action(name):
        yield _advice("ST-5", stage.key, f"«{stage.name.ru}» — это действие", f"“{stage.name.en}” is an action")
    elif task is not None:
        yield _advice(
            "ST-5",
            stage.key,
            f"«{stage.name.ru}» — это то же действие, что в задаче «{task}»",
            f"“{stage.name.en}” is the very action of the task “{task}”",
        )
    if _PREPARED.search(name) or _SENT.search(name):
        yield _moments(process, stage)
    if _COUNTED.search(name) or _UNREACHED.search(name):
        yield _advice(
            "ST-8",
            stage.key,
            f"«{stage.name.ru}» считает попытки связаться",
            f"“{stage.name.en}” counts attempts to reach the client",
        )


def _moments(process: Process, stage: Stage) -> Advice:
    place = process.order(stage.key)
    after = process.stages[place + 1] if place + 1 < len(process.stages) else None
    if after is not None and _PREPARED.search(_plain(stage.name.ru)) and _object(stage) & _object(after):
        ru, en = f" перед «{after.name.ru}»", f" before “{after.name.en}”"
    else:
        ru, en = ": назовите состояние, которое после этого длится", ": name the state that lasts after it"
    return _advice(
        "ST-7", stage.key, f"«{stage.name.ru}» — дело минут{ru}", f"“{stage.name.en}” is a matter of minutes{en}"
    )


def _words(name: str) -> list[str]:
    return _WORD.findall(_plain(name))


def _plain(name: str) -> str:
    return name.lower().replace("ё", "е")


def _roots(name: str) -> frozenset[str]:
    """The words that say something, each by its beginning, words of one meaning as one; done is not going on."""
    found = set()
    for word in _words(name):
        if word not in _EMPTY:
            group = next((place for place, starts in enumerate(_SAME) if word.startswith(starts)), None)
            found.add(word[:5] if group is None else f"={group}{'!' if _is_done(word) else ''}")
    return frozenset(found)


def _alike(one: str, other: str) -> bool:
    first, second = _roots(one), _roots(other)
    return bool(first) and first == second


def _object(stage: Stage) -> frozenset[str]:
    """What the stage's action is done with: «КП» of «Подготовлено КП»."""
    words = _words(stage.name.ru)
    return _roots(" ".join(word for word in words if not _PREPARED.match(word) and not _SENT.match(word)))


def _is_action(name: str) -> bool:
    words = [word for word in _words(name) if word not in _NEEDED]
    if not words or words[0] in _NOUNS_LIKE_VERBS:
        return False
    return bool(_INFINITIVE.fullmatch(words[0]) or _ACTION.match(words[0]))


def _is_done(name: str) -> bool:
    return any(_DONE.fullmatch(word) and word not in _NOT_DONE for word in _words(name))


def _names_the_task(name: str, title: str) -> bool:
    """Whether the stage says what the task says: at least two words, all of them there, a verb among the task's."""
    said = {word[:5] for word in _words(name) if word not in _EMPTY}
    return len(said) >= 2 and _is_action(title) and said <= {word[:5] for word in _words(title)}


def _listed(stages: list[Stage], language: str) -> str:
    return ", ".join(f"«{one.name.ru}»" if language == "ru" else f"“{one.name.en}”" for one in stages)
