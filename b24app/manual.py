"""The managers' instruction, written from the playbook: one printable page, and a PDF of it through Chromium.

The words about stages, fields and tasks are those of the tab, the form and the tasks: all of them read the playbook.
What only the code decides (who is told of what, what happens to a move) is said here in words, once.
"""

from __future__ import annotations

import base64
import shutil
import string
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from os import geteuid
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from b24app import measuring
from b24app.bitrix.translate import phone_text
from b24app.errors import B24AppError
from b24app.flow_picture import Box, End, Slip, draw
from b24app.pictures import pictures
from b24app.playbook import (
    Checklist,
    Condition,
    DeclineReason,
    Evidence,
    Measurement,
    Playbook,
    Process,
    Requirement,
    Stage,
    TaskRule,
)
from b24app.rules.confirmation import confirm_time
from b24app.rules.scale import Advice, advise
from b24app.rules.stage_gate import STRICTNESS, evidence_name
from b24app.rules.working_time import day_text
from b24app.stage_work import MANY

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PRINT_SECONDS = 120
DAYS = {"MO": ("пн", "Mon"), "TU": ("вт", "Tue"), "WE": ("ср", "Wed"), "TH": ("чт", "Thu"), "FR": ("пт", "Fri"),
        "SA": ("сб", "Sat"), "SU": ("вс", "Sun")}  # fmt: skip
CHECKS = {
    "email": ("правильный адрес", "a right address"),
    "phone": ("номер с кодом", "a number with its code"),
    "not_past": ("дата не в прошлом", "a date not in the past"),
}
SEEN_BY = {
    "offer_sent": (
        "засчитывается письмо с файлом, отправленное из карточки, или предложение в статусе «отправлено»",
        "a letter with a file sent from the card counts, or a quote in status sent",
    ),
    "task_closed": ("засчитывается, когда задача закрыта", "counts when the task is closed"),
    "checklist_complete": ("засчитывается, когда отмечены все пункты", "counts when every item is ticked"),
    "result_attached": ("засчитывается, когда у задачи есть результат", "counts when the task has a result"),
    "call_made": ("засчитывается состоявшийся звонок клиенту", "a call made to the client counts"),
    "field_confirmed": ("засчитывается подтверждение в форме", "a confirmation in the form counts"),
}


class NotPrinted(B24AppError):
    """There is no PDF; the message says why and what to do."""


@dataclass(frozen=True)
class Want:
    """Something that must stand before an item moves on, and why."""

    name: str
    why: str
    check: str = ""


@dataclass(frozen=True)
class Job:
    """A task as the manager meets it. `facts` are whose it is, when due, when it comes, what closing it does."""

    title: str
    facts: tuple[str, ...]
    text: str
    checklists: tuple[Checklist, ...]
    script: str
    picture: str


@dataclass(frozen=True)
class Chapter:
    """A stage: what to do, what to fill in, when it moves on."""

    number: int
    name: str
    color: str
    criterion: str
    hint: str
    hint_url: str
    jobs: tuple[Job, ...]
    next: str
    wants: tuple[Want, ...]
    moves: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """The way of leads, or of deals."""

    title: str
    flow: Markup
    chapters: tuple[Chapter, ...]
    declined: str
    reasons: tuple[tuple[str, str], ...]
    told: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Section:
    """Rules in words: a title over lines, and what they lead to: a task, or a message as its recipient reads it."""

    title: str
    lines: tuple[str, ...]
    job: Job | None = None
    message: str = ""


# writing it


def write_manual(playbook: Playbook, path: str, folder: Path, language: str = "ru", *, pdf: bool = False) -> list[Path]:
    """Writes manual.html (manual.en.html), and with `pdf` the PDF of it; returns the files written.

    `path` is the playbook's own: its pictures lie beside it. NotPrinted where there is no PDF; the HTML stands then.
    """
    name = "manual" if language == "ru" else f"manual.{language}"
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.html"
    page.write_text(manual_html(playbook, path, language), "utf-8")
    return [page, print_pdf(page, folder / f"{name}.pdf")] if pdf else [page]


def manual_html(playbook: Playbook, path: str = "", language: str = "ru") -> str:
    """Returns the instruction as one HTML page that needs no other file."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    writer = Writer(playbook, path, language)
    return environment.get_template("manual.html").render(
        t=writer.t,
        q=writer.q,
        language=language,
        name=playbook.name,
        intake=writer.intake(),
        parts=writer.parts(),
        measuring=None if playbook.measurement is None else writer.measuring(playbook.measurement),
    )


def print_pdf(page: Path, pdf: Path) -> Path:
    """Prints an HTML file into a PDF by Chromium without a window."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise NotPrinted(
            f"PDF не записан: Chromium не найден ({', '.join(BROWSERS)}). Поставьте его или напечатайте {page} "
            f"из любого браузера.\nNo PDF: Chromium was not found. Install it, or print {page} from any browser."
        )
    pdf.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={profile}"]
        if geteuid() == 0:
            command.append("--no-sandbox")  # Chromium does not start as root otherwise; the page is our own file
        command += [f"--print-to-pdf={pdf.resolve()}", page.resolve().as_uri()]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=PRINT_SECONDS, check=False)  # noqa: S603
            told = said.stderr.strip().splitlines()[-1:]
        except (subprocess.TimeoutExpired, OSError) as error:
            told = [str(error)]
    if not pdf.is_file() or not pdf.read_bytes().startswith(b"%PDF"):
        raise NotPrinted(f"PDF не записан / no PDF: {browser}: {' '.join(told)}\n{page}")
    return pdf


# the adviser's words


def advice_text(playbook: Playbook) -> tuple[str, int]:
    """Returns what the status adviser finds, in both languages, and how much it is."""
    found: list[tuple[str, Advice]] = [
        (kind, one)
        for kind, process in (("Лиды / Leads", playbook.lead), ("Сделки / Deals", playbook.deal))
        for one in advise(process)
    ]
    if not found:
        return f"{playbook.name}: шкала статусов в порядке / the status scale is in order\n", 0
    lines = [f"{playbook.name}: замечаний / findings: {len(found)}", ""]
    for kind, one in found:
        lines += [f"{kind}, {one.rule}: {one.what.ru}.", f"    {one.why.ru}.", f"    {one.what.en}. {one.why.en}.", ""]
    return "\n".join(lines), len(found)


# in words


class Writer:
    """Puts a playbook into the words of one language."""

    def __init__(self, playbook: Playbook, path: str = "", language: str = "ru") -> None:
        self.playbook, self.language = playbook, language
        self.pictures = pictures(playbook, path)

    def t(self, ru: str, en: str) -> str:
        """Returns the text in the instruction's language."""
        return ru if self.language == "ru" else en

    def q(self, name: str) -> str:
        """Returns a name in the quotation marks of the language."""
        return self.t(f"«{name}»", f"“{name}”")

    def count(self, number: int, one: str, few: str, many: str, en: str) -> str:
        """Returns a number with its noun: 1 рабочий час, 2 рабочих часа, 5 рабочих часов; 2 working hours."""
        if self.language != "ru":
            return f"{number} {en}{'' if number == 1 else 's'}"
        form = many
        if number % 100 not in range(11, 15):
            form = {1: one, 2: few, 3: few, 4: few}.get(number % 10, many)
        return f"{number} {form}"

    def duration(self, minutes: int) -> str:
        """Returns working time in words: whole working days where it is such, else hours or minutes."""
        hours = self.playbook.hours
        day = _minutes(hours.opens, hours.closes) - (_minutes(*hours.lunch) if hours.lunch else 0)
        if minutes % day == 0:
            return self.count(minutes // day, "рабочий день", "рабочих дня", "рабочих дней", "working day")
        if minutes % 60 == 0:
            return self.count(minutes // 60, "рабочий час", "рабочих часа", "рабочих часов", "working hour")
        return self.count(minutes, "рабочая минута", "рабочие минуты", "рабочих минут", "working minute")

    # the intake

    def intake(self) -> tuple[Section, ...]:
        """Returns where enquiries come from, whose they are, and by when they are answered."""
        t = self.t
        return (
            Section(t("Что приходит и что с этим делать", "What comes and what to do"), tuple(self._coming())),
            Section(t("Кто свободен", "Who is free"), tuple(self._free())),
            Section(t("Чья очередь", "Whose turn it is"), tuple(self._turn())),
            Section(t("Рабочее время", "Working time"), (self._hours(),)),
        )

    def _coming(self) -> Iterator[str]:
        t, intake = self.t, self.playbook.intake
        call, written = self.duration(intake.call_deadline_minutes), self.duration(intake.written_deadline_minutes)
        yield t(
            f"Пропущенный звонок: лид достаётся свободному менеджеру, он получает задачу перезвонить. Срок — {call}.",
            f"A missed call: a free manager gets the lead and the task to call back. It is due in {call}.",
        )
        yield t(
            "Отвеченный звонок: лид сразу у того, кто ответил.",
            "An answered call: the lead is his who answered, at once.",
        )
        yield t(
            "Звонит клиент, которого уже ведут: задача у его менеджера; если он не свободен — у свободного, "
            "а он получает сообщение.",
            "A known client calls: his manager gets the task; where he is not free, a free one does and he is told.",
        )
        yield (
            t("Ответили на звонок чужого клиента: вы становитесь ответственным.",
              "You answered another manager's client: you become responsible.")
            if intake.answered_on_foreign == "responsible"
            else t("Ответили на звонок чужого клиента: вы становитесь наблюдателем, карточка вам открыта.",
                   "You answered another manager's client: you become an observer and see the card.")
        )  # fmt: skip
        yield t(
            "Письмо, форма сайта, соцсеть: свободному менеджеру ставится задача с названием источника. "
            f"Отвечайте тем же способом. Срок — {written}.",
            "A letter, web form or social network: a free manager gets a task that names the source. "
            f"Answer by the same way. It is due in {written}.",
        )
        if intake.distribute_by_hand:
            yield t(
                "Лид, созданный вручную, распределяется так же, как пропущенный звонок.",
                "A lead made by hand is distributed as a missed call.",
            )
        else:
            yield t("Лид, созданный вручную, остаётся у создавшего.", "A lead made by hand stays with its maker.")
        if intake.skip_sources:
            names = ", ".join(intake.skip_sources)
            yield t(f"Не распределяются источники: {names}.", f"Left alone are the sources: {names}.")
        window = self.count(intake.import_window_minutes, "минуту", "минуты", "минут", "minute")
        yield t(
            f"Загружено {intake.import_from} и больше лидов за {window}: руководителю один вопрос, раздавать ли их.",
            f"{intake.import_from} leads or more within {window}: the head is asked whether to distribute them.",
        )

    def _free(self) -> Iterator[str]:
        t, rules = self.t, self.playbook.assignment
        people = (
            t(f"названные сотрудники ({len(rules.users)})", f"the named people ({len(rules.users)})")
            if rules.users
            else t(f"отдел «{rules.department}»", f"the department “{rules.department}”")
            if rules.department is not None
            else t("отдел, названный при установке", "the department named at installation")
        )
        if rules.department is not None and not rules.users and rules.sub_departments:
            people += t(" с подотделами", " with its sub-departments")
        yield t(f"Кто участвует: {people}.", f"Who takes part: {people}.")
        yield {
            "auto": t(
                "На работе: рабочий день начат и не на паузе; если его в отделе никто не отмечает — по часам работы.",
                "At work: the working day is started and not paused; where nobody uses it, by the office hours.",
            ),
            "required": t(
                "На работе: рабочий день начат и не на паузе.", "At work: the working day is started and not paused."
            ),
            "ignored": t("На работе: по часам работы.", "At work: by the office hours."),
        }[rules.clock]
        yield t("Не в отпуске и не отсутствует.", "Not on leave and not absent.")
        if rules.calendar_busy_counts:
            yield t("Не занят в календаре прямо сейчас.", "Not busy in the calendar right now.")
        yield t("Не говорит по телефону.", "Not on the phone.")
        if rules.limit_open:
            yield t(f"Открытых лидов меньше {rules.limit_open}.", f"Fewer than {rules.limit_open} open leads.")

    def _turn(self) -> Iterator[str]:
        t, rules = self.t, self.playbook.assignment
        yield (
            t("По очереди: лид получает тот свободный, кто дольше всех его ждал.",
              "In turn: the free one who waited longest gets it.")
            if rules.order == "in_turn"
            else t("По нагрузке: лид получает тот свободный, у кого меньше открытых; при равных — по очереди.",
                   "By load: the free one with the fewest open leads gets it; among equals in turn.")
        )  # fmt: skip
        yield {
            "head": t("Свободных нет: лид получает руководитель отдела.", "Nobody is free: the head gets the lead."),
            "user": t(
                f"Свободных нет: лид получает сотрудник № {rules.fallback_user}.",
                f"Nobody is free: employee no. {rules.fallback_user} gets the lead.",
            ),
            "wait": t(
                "Свободных нет: лид ждёт в очереди до открытия, руководитель знает.",
                "Nobody is free: the lead waits in the queue, the head knows.",
            ),
        }[rules.when_nobody]
        yield t(
            "Почему выбран именно этот менеджер, записано в карточке лида.",
            "Why this manager was chosen stands in the lead's card.",
        )

    def _hours(self) -> str:
        hours = self.playbook.hours
        off = ", ".join(DAYS[day][self.language != "ru"] for day in hours.weekend)
        text = f"{hours.opens:%H:%M}–{hours.closes:%H:%M}, {hours.time_zone}"
        if hours.lunch is not None:
            lunch = f"{hours.lunch[0]:%H:%M}–{hours.lunch[1]:%H:%M}"
            text += self.t(f"; обед {lunch}", f"; lunch {lunch}")
        for day, shifts in hours.shifts.items():
            name = DAYS[day][self.language != "ru"]
            own = ", ".join(f"{opens:%H:%M}–{closes:%H:%M}" for opens, closes in shifts)
            text += f"; {name} {own or self.t('не работаем', 'closed')}"
        text += self.t(f"; выходные: {off}", f"; days off: {off}") if off else ""
        if hours.country:
            text += self.t(f", праздники {hours.country}", f", public holidays of {hours.country}")
        return text + self.t(
            ". Если календарь портала говорит другое, верен он. Сроки задач идут только в рабочее время.",
            ". Where the portal's calendar says otherwise, it is right. Deadlines run in working time only.",
        )

    # stages

    def parts(self) -> tuple[Part, ...]:
        """Returns the way of leads and of deals, as far as the playbook has them."""
        t = self.t
        return tuple(
            self._part(process, title, words)
            for process, title, words in (
                (self.playbook.lead, t("Путь лида", "The way of a lead"), t("лид", "the lead")),
                (self.playbook.deal, t("Путь сделки", "The way of a deal"), t("сделка", "the deal")),
            )
            if process.stages
        )

    def _part(self, process: Process, title: str, item: str) -> Part:
        way = [stage for stage in process.stages if stage.semantics != "failure"]
        return Part(
            title=title,
            flow=self.flow(process, title),
            chapters=tuple(
                self._chapter(process, stage, way[place + 1] if place + 1 < len(way) else None, place + 1, item)
                for place, stage in enumerate(way)
            ),
            declined=self._declined(process),
            reasons=tuple(self._reasons(process)),
            told=tuple(self._told(process, item)),
        )

    def _chapter(self, process: Process, stage: Stage, after: Stage | None, number: int, item: str) -> Chapter:
        if stage.semantics != "process":
            after = None
        wants = tuple(self.wants(process, stage, after)) if after is not None else ()
        done = self.t("Работа закончена успехом.", "The work ended in success.")
        return Chapter(
            number=number,
            name=stage.name.of(self.language),
            color=stage.color,
            criterion=stage.criterion.of(self.language) if stage.criterion else "",
            hint=stage.hint.of(self.language) if stage.hint else "",
            hint_url=stage.hint_url,
            jobs=tuple(self._job(process, rule, item) for rule in stage.tasks),
            next=after.name.of(self.language) if after is not None else "",
            wants=wants,
            moves=tuple(self._moves(process, stage, after, wants, item)) if after is not None else (done,),
        )

    def wants(self, process: Process, stage: Stage, after: Stage) -> Iterator[Want]:
        """Yields what must stand to go from a stage to the next one, as the tab lists it."""
        seen: set[str] = set()
        for requirement in (*stage.requires_to_leave, *after.requires):
            if requirement.field not in seen:
                seen.add(requirement.field)
                yield self._field(process, requirement)
        for one in after.evidence:
            yield self._evidence(process, one)

    def _field(self, process: Process, requirement: Requirement) -> Want:
        field = process.field(requirement.field)
        checks = [CHECKS[requirement.valid][self.language != "ru"]] if requirement.valid in CHECKS else []
        if requirement.only_if is not None:
            checks.append(self._condition(process, requirement.only_if))
        name = field.name.of(self.language) if field else requirement.field
        why = field.why.of(self.language) if field and field.why else ""
        return Want(name, why, "; ".join(checks))

    def _evidence(self, process: Process, evidence: Evidence) -> Want:
        check = self.t("или подтвердите с причиной", "or confirm it with a reason") if evidence.manual else ""
        seen = SEEN_BY[evidence.kind][self.language != "ru"]
        return Want(evidence_name(process, evidence).of(self.language), seen, check)

    def _condition(self, process: Process, condition: Condition) -> str:
        field = process.field(condition.field)
        name = field.name.of(self.language) if field else condition.field
        if condition.filled is not None:
            state = self.t("заполнено", "filled in") if condition.filled else self.t("пусто", "empty")
            return self.t(f"если «{name}» {state}", f"where “{name}” is {state}")
        known = {value.key: value.name.of(self.language) for value in field.values} if field else {}
        values = ", ".join(known.get(one, one) for one in condition.one_of)
        return self.t(f"если «{name}»: {values}", f"where “{name}” is: {values}")

    def _job(self, process: Process, rule: TaskRule, item: str) -> Job:
        picture = self.pictures.get(rule.picture)
        shown = ""
        if picture is not None:
            shown = f"data:{picture.content_type};base64,{base64.b64encode(picture.body).decode()}"
        return Job(
            title=self._filled(process, rule.title),
            facts=tuple(self._job_facts(process, rule, item)),
            text=self._filled(process, rule.text),
            checklists=rule.checklists,
            script=self._filled(process, rule.script),
            picture=shown,
        )

    def _job_facts(self, process: Process, rule: TaskRule, item: str) -> Iterator[str]:
        t = self.t
        whose = {
            "responsible": t("ответственного", "the responsible"),
            "head": t("руководителя", "the head"),
            "mover": t("того, кто перевёл", "whoever made the move"),
        }.get(str(rule.responsible), t(f"сотрудника № {rule.responsible}", f"employee no. {rule.responsible}"))
        yield t(
            f"Задача {whose}, срок — {self.duration(rule.deadline_minutes)}.",
            f"A task of {whose}, due in {self.duration(rule.deadline_minutes)}.",
        )
        if rule.only_if is not None:
            condition = self._condition(process, rule.only_if)
            yield t(f"Ставится, {condition}.", f"Made {condition}.")
        if rule.closes_when is not None:
            condition = self._condition(process, rule.closes_when)
            yield t(f"Закроется сама, {condition}.", f"Closes itself {condition}.")
        if rule.result_required:
            yield t("Закрыть можно только с результатом.", "It can only be closed with a result.")
        if rule.on_close is not None:
            target = process.stage(rule.on_close.move_to)
            name = target.name.of(self.language) if target else rule.on_close.move_to
            yield t(
                f"Закройте задачу — {item} переходит на «{name}». Если условия не выполнены, задача откроется снова.",
                f"Close the task and {item} moves to “{name}”. Where something is missing, the task is opened again.",
            )

    def _filled(self, process: Process, text: str) -> str:
        """Returns a task's text with the names of what is filled in, in brackets."""
        fields = {field.key: field.name.of(self.language) for field in process.fields}
        return self._with({**self._names(), **fields}, text)

    def _names(self) -> dict[str, str]:
        t = self.t
        return {"title": t("название", "title"), "link": t("ссылка", "link"), "phone": t("телефон", "phone"),
                "email": "e-mail"}  # fmt: skip

    @staticmethod
    def _with(names: dict[str, str], text: str) -> str:
        return string.Formatter().vformat(text, (), {key: f"[{name}]" for key, name in names.items()})

    def _moves(self, process: Process, stage: Stage, after: Stage, wants: Sequence[Want], item: str) -> Iterator[str]:
        t = self.t
        leading = [self._filled(process, rule.title) for rule in stage.tasks if self._leads(rule, after)]
        if leading:
            titles = ", ".join(map(self.q, leading))
            yield t(
                f"Переход делает система, когда закрыта задача {titles}. Перевести самому тоже можно.",
                f"The system moves it when the task {titles} is closed. Moving it by hand is allowed too.",
            )
        else:
            yield t(
                "Переводите сами: кнопкой на вкладке «Что делать» или в канбане.",
                "Move it yourself: by the button on the tab “What to do”, or in the kanban.",
            )
        if wants:
            asking = [
                one
                for one in (stage, after)
                if (one.requires_to_leave if one is stage else one.requires or one.evidence)
            ]
            gate = next(kind for kind in STRICTNESS if any(one.gate == kind for one in asking))
            yield self._gate(gate, stage, item)

    def _gate(self, gate: str, stage: Stage, item: str) -> str:
        t, back = self.t, stage.name.of(self.language)
        return {
            "return": t(
                f"Чего-то не хватает — {item} снова на «{back}», и открывается форма ровно с этими полями. "
                "Заполните, сохраните: переход сделается сам.",
                f"Where something is missing, {item} is back on “{back}” and a form with exactly these fields opens. "
                "Fill it in and save: the move is made for you.",
            ),
            "task": t(
                f"Чего-то не хватает — {item} остаётся на новой стадии, и ставится задача дополнить карточку.",
                f"Where something is missing, {item} stays on the new stage, and a task to complete the card is made.",
            ),
            "warn": t(
                f"Чего-то не хватает — {item} остаётся на новой стадии, и приходит предупреждение.",
                f"Where something is missing, {item} stays on the new stage, and a warning comes.",
            ),
        }[gate]

    @staticmethod
    def _leads(rule: TaskRule, stage: Stage) -> bool:
        return rule.on_close is not None and rule.on_close.move_to == stage.key

    # declining

    def _declined(self, process: Process) -> str:
        t = self.t
        failing = [stage for stage in process.stages if stage.semantics == "failure"]
        if not failing:
            return ""
        names = ", ".join(self.q(stage.name.of(self.language)) for stage in failing)
        if process.decline is None:
            return t(f"Отказ: {names}.", f"Declined: {names}.")
        if all(process.decline.reason_of(stage.key) for stage in failing):
            return t(
                f"Отказаться клиент может на любой стадии. Стадия отказа называет причину: {names}.",
                f"A client may decline at any stage. The stage of failure says the reason: {names}.",
            )
        return t(
            f"Отказаться клиент может на любой стадии: переведите на {names} и выберите причину. Без неё карточка "
            "вернётся, и откроется форма с этим полем.",
            f"A client may decline at any stage: move to {names} and choose the reason. Without it the card comes back "
            "and the form with that field opens.",
        )

    def _reasons(self, process: Process) -> Iterator[tuple[str, str]]:
        for reason in process.decline.reasons if process.decline else ():
            yield reason.name.of(self.language), self.becomes(process, reason)

    def becomes(self, process: Process, reason: DeclineReason) -> str:
        """Returns what becomes of a client who declined for this reason."""
        t = self.t
        if reason.then == "junk" or process is not self.playbook.lead:
            return t("остаётся в отказах", "stays declined")
        if reason.then == "contact" or reason.remind_after_days is None:
            return t("сохраняется контактом", "is kept as a contact")
        days = self.count(reason.remind_after_days, "день", "дня", "дней", "day")
        return t(
            f"сохраняется контактом; через {days} менеджер получит задачу напомнить о себе",
            f"is kept as a contact; in {days} the manager gets a task to call again",
        )

    # the measurement

    def measuring(self, rules: Measurement) -> tuple[Section, ...]:
        """Returns the chapter on measurements: what a person does, and what comes by itself."""
        t = self.t
        due = self.duration(rules.confirm_minutes)
        asks = t(f"Ваша задача; начало — за рабочий день до замера, срок — {due}.",
                 f"Your task; it begins one working day before the visit and is due in {due}.")  # fmt: skip
        goes = t("Задача замерщика; приходит с уведомлением, когда замер подтверждён.",
                 "The measurer's task; it comes with a notice once the visit is confirmed.")  # fmt: skip
        checklist = rules.checklist.model_copy(update={"items": (*rules.checklist.items, rules.not_home)})
        names = self._visit_names(rules)
        title, text = self._with(names, rules.confirm_task), self._with(names, rules.confirm_text)
        confirm = Job(title, (asks,), text, (), "", "")
        title, text = self._with(names, rules.measurer_task), self._with(names, rules.measurer_text)
        measure = Job(title, (goes,), text, (checklist,), "", "")
        message = rules.sms.format(**self._example(rules))
        return (
            Section(t("Записать", "Booking"), tuple(self._booking(rules))),
            Section(t("Спросить за день", "Asking a day before"), tuple(self._asking(rules)), confirm),
            Section(t("Клиент просит другой день", "The client wants another day"), tuple(self._moving(rules))),
            Section(t("Что получит замерщик", "What the measurer gets"), tuple(self._measured(rules)), measure),
            Section(t("Что получит клиент", "What the client gets"), tuple(self._told_by_sms()), message=message),
        )

    def _visit_names(self, rules: Measurement) -> dict[str, str]:
        t, process = self.t, self._process_of(rules)
        total = process.field(rules.sum) if rules.sum is not None else None
        address = process.field(rules.address)
        return {
            **self._names(),
            "address": address.name.of(self.language) if address is not None else rules.address,
            "map": t("ссылка на карту", "a link to the map"),
            "when": t("день и часы", "day and hours"),
            "date": t("день", "day"),
            "time": t("время", "time"),
            "measurer": t("замерщик", "measurer"),
            "measurer_phone": t("телефон замерщика", "the measurer's phone"),
            "sum": total.name.of(self.language) if total is not None else "—",
            "comments": t("комментарий из карточки", "the card's comment"),
            "work": t("вид работы", "kind of work"),
        }

    def _told_by_sms(self) -> Iterator[str]:
        t, quiet = self.t, self.playbook.sms
        begins, ends = f"{quiet.quiet_from:%H:%M}", f"{quiet.quiet_to:%H:%M}"
        yield t(
            "SMS уходит сама, когда замер подтверждён, одна на каждый подтверждённый день. "
            f"С {begins} до {ends} по времени клиента она ждёт утра. Её текст стоит в ленте карточки.",
            "An SMS goes by itself when the visit is confirmed, one for every confirmed day. "
            f"From {begins} to {ends} of the client's time it waits for the morning. Its text stands in the timeline.",
        )
        yield t(
            "Мобильного номера нет — вам приходит сообщение: позвоните клиенту. Шлюз не ответил, ушла ли она, — задача "
            "проверить.",
            "There is no mobile number: you are told, call the client. The gateway did not say whether it went: a task "
            "to check.",
        )

    def _process_of(self, rules: Measurement) -> Process:
        return self.playbook.lead if rules.process == "lead" else self.playbook.deal

    def _example(self, rules: Measurement) -> dict[str, str]:
        """What a message says of a visit on a Monday at ten."""
        start, end = self._monday(rules)
        return {
            "title": self.t("Кухня", "Kitchen"),
            "phone": phone_text("+79001112233", "RU"),
            "email": "client@example.com",
            "link": "https://example.com/crm/",
            "address": self.t("Мира, 5", "5 Mira st."),
            "map": "https://example.com/map/",
            "when": measuring.when(start, end, self.playbook.hours.calendar().zone),
            "date": day_text(start.date(), "ru", start.year),
            "time": f"{start:%H:%M}",
            "measurer": self.t("Егор Петров", "Egor Petrov"),
            "measurer_phone": phone_text("+79004445566", "RU"),
            "sum": "250 000",
            "comments": "—",
            "work": rules.work[0].name.ru,
        }

    def _monday(self, rules: Measurement) -> tuple[datetime, datetime]:
        hours = self.playbook.hours.calendar()
        start = datetime(2026, 11, 30, 10, tzinfo=hours.zone)
        return start, hours.add_working(start, timedelta(minutes=rules.work[0].minutes))

    def _booking(self, rules: Measurement) -> Iterator[str]:
        t, q, process = self.t, self.q, self._process_of(rules)
        address, measurer, date = (
            q(field.name.of(self.language) if (field := process.field(key)) else key)
            for key in (rules.address, rules.measurer, rules.date)
        )
        stage = process.stage(rules.stage)
        if stage is not None:
            name = q(stage.name.of(self.language))
            yield t(
                f"Стадия {name}, возражений нет: откройте в карточке вкладку «Замер» и заполните {address}.",
                f"Stage {name}, no objections left: open the card's tab “Measurement” and fill in {address}.",
            )
        yield t(
            "Вкладка предлагает лучшее свободное время с расчётом по часам. A — как просил клиент, и день замерщика "
            "остаётся целым; B — остаётся окно, в которое ничего не поместится; C — не как просил. «Почему нет других» "
            "объясняет остальное.",
            "The tab offers the best free times with the sum of hours. A: as the client wished, and the measurer's day "
            "stays whole; B: a gap is left that nothing fits in; C: not as wished. “Why no others” explains the rest.",
        )
        minutes = self.count(rules.hold_minutes, "минуту", "минуты", "минут", "minute")
        yield t(
            f"«Держать» — время за вами {minutes}, пока вы говорите с клиентом. «Записать» — занято.",
            f"“Hold” keeps the time for you for {minutes} while you talk to the client. “Book” takes it.",
        )
        yield t(
            f"Или заполните {date} прямо в карточке, а если важно кто — и {measurer}. Время свободно — замер записан; "
            "нет — в полях снова то, что было, а вы читаете, почему и какое время есть рядом.",
            f"Or fill in {date} in the card itself, and {measurer} where it matters who. The time is free: it is "
            "booked; it is not: the fields say again what they said, and you read why, and what is free near it.",
        )
        way = t("вместе с дорогой — ", "the way included: ") if rules.travel.inside_work else ""
        kinds = []
        for kind in rules.work:
            only = f" ({self._condition(process, kind.only_if)})" if kind.only_if is not None else ""
            kinds.append(f"{kind.name.of(self.language)}{only}, {way}{self.duration(kind.minutes)}")
        yield t(f"Сколько это длится: {'; '.join(kinds)}.", f"How long it takes: {'; '.join(kinds)}.")
        earliest = self.duration(rules.earliest_minutes)
        days = self.count(rules.horizon_days, "день", "дня", "дней", "day")
        yield t(
            f"Самое раннее начало — {earliest} от этой минуты, самое позднее — {days} вперёд.",
            f"The earliest start is {earliest} from now, the latest {days} ahead.",
        )
        yield t(f"Кто ездит: {self._crew(rules)}.", f"Who goes: {self._crew(rules)}.")

    def _crew(self, rules: Measurement) -> str:
        t = self.t
        if rules.users:
            return t(f"названные сотрудники ({len(rules.users)})", f"the named people ({len(rules.users)})")
        if rules.department is None:
            return t("все сотрудники портала", "everybody on the portal")
        below = t(" с подотделами", " with its sub-departments") if rules.sub_departments else ""
        head = t(", и его руководитель", ", and its head") if rules.head_measures else ""
        return t(f"отдел «{rules.department}»", f"the department “{rules.department}”") + below + head

    def _asking(self, rules: Measurement) -> Iterator[str]:
        t = self.t
        start, _ = self._monday(rules)
        hours = self.playbook.hours.calendar()
        ask = confirm_time(hours, start).astimezone(hours.zone)
        visit, asked = (f"{day_text(one.date(), self.language, one.year)} {one:%H:%M}" for one in (start, ask))
        yield t(
            f"До замера больше одного рабочего дня: у вас стоит задача подтвердить его за рабочий день, и в этот час "
            f"приходит напоминание. Замер {visit} — спросите клиента {asked}.",
            "More than one working day before the visit: you have a task to confirm it one working day before, and are "
            f"reminded at that hour. Visit {visit}: ask the client {asked}.",
        )
        yield t(
            "Клиент готов — закройте задачу или нажмите «Клиент подтвердил» на вкладке: замерщик и клиент узнают сами.",
            "He is ready: close the task, or press “The client confirmed” on the tab: measurer and client are told.",
        )
        yield t(
            "Срок задачи вышел — об этом узнаёте вы и руководитель: без подтверждения замерщик не едет.",
            "The task is overdue: you and your head are told, since nobody goes to an unconfirmed visit.",
        )
        yield t(
            "Ровно один рабочий день или меньше: не спрашивают, замерщик и клиент узнают сразу.",
            "Exactly one working day, or less: nobody asks; measurer and client are told at once.",
        )

    def _moving(self, rules: Measurement) -> Iterator[str]:
        t = self.t
        yield t(
            "Выберите другое время на вкладке или поменяйте дату в карточке. Прежнее исчезает само: задачи, запись в "
            "календаре, ещё не ушедшая SMS. Новый день подтверждается так же, как первый.",
            "Choose another time on the tab, or change the date in the card. What was before is gone by itself: tasks, "
            "the calendar entry, an SMS not sent yet. The new day is confirmed as the first one was.",
        )
        times = self.count(rules.rounds, "раз", "раза", "раз", "time")
        yield t(
            f"Замер назначали заново уже {times}: руководителю ставится задача решить, согласовывать ли дальше.",
            f"Agreed anew {times} already: the head gets a task to decide whether to go on.",
        )
        yield (
            t("Запись в календаре передвинули: замер переносится туда. Если там нельзя, запись возвращается, а "
              "руководитель замерщиков получает задачу.",
              "The calendar entry was moved: the visit moves along. Where it cannot, the entry is put back and the "
              "head of the measurers gets a task.")
            if rules.moved_by_hand == "follow"
            else t("Запись в календаре передвинули: она возвращается, а руководитель замерщиков получает задачу.",
                   "The calendar entry was moved: it is put back, and the head of the measurers gets a task.")
        )  # fmt: skip
        yield (
            t("Запись удалили: замер отменяется, и вы об этом узнаёте.",
              "The entry was deleted: the visit is cancelled, and you are told.")
            if rules.deleted_by_hand == "follow"
            else t("Запись удалили: она появляется снова, а руководитель замерщиков получает задачу.",
                   "The entry was deleted: it is made again, and the head of the measurers gets a task.")
        )  # fmt: skip
        yield t(
            "Замер больше не нужен: «Отменить замер» на вкладке. Карточка в отказе или удалена — замер отменяется сам.",
            "No visit is wanted: “Cancel the visit” on the tab. A declined or deleted card cancels it by itself.",
        )

    def _measured(self, rules: Measurement) -> Iterator[str]:
        t, nobody = self.t, self.q(rules.not_home)
        yield t("Сделал — закрывает задачу.", "Done: he closes the task.")
        yield t(
            f"Никого не застал — отмечает пункт {nobody} или пишет это результатом и закрывает задачу. Вы получаете "
            "задачу согласовать новую дату; она закроется сама, когда вы её выберете.",
            f"Nobody was there: he ticks {nobody}, or writes it as the task's result, and closes the task. You get a "
            "task to agree a new date; it closes itself once there is one.",
        )
        yield t(
            "Замерщик заболел или уволился: его руководитель переносит замеры на «Графике замеров». Если время "
            "прежнее, клиента, который уже подтвердил, второй раз не спрашивают: ему уходит SMS с новым именем.",
            "The measurer is ill or left: their head moves his visits on the board “Measurements”. Where the time is "
            "the same, a client who has confirmed is not asked again: he gets an SMS with the new name.",
        )

    # who is told

    def _told(self, process: Process, item: str) -> Iterator[tuple[str, str]]:
        t = self.t
        gated = any(s.requires or s.requires_to_leave or s.evidence for s in process.stages) or process.decline
        if gated:
            yield (
                t("Перевели, а чего-то не хватает", "A move with something missing"),
                t("тот, кто перевёл: сообщение и форма", "whoever moved it: a message and the form"),
            )
            yield (
                t("Перевёл робот, импорт или другое приложение", "A robot, an import or another application moved it"),
                t(
                    "ответственный сразу, руководитель — списком утром",
                    "the responsible at once, the head in the morning",
                ),
            )
            yield (
                t(
                    f"Больше {MANY} таких переводов подряд у одного сотрудника",
                    f"More than {MANY} such moves by one person",
                ),
                t("он — одним сообщением, руководитель — списком утром", "he in one message, the head in the morning"),
            )
            times = self.count(process.moves_back_an_hour, "раз", "раза", "раз", "time")
            yield (
                t(f"Возвращали уже {times} за час", f"Moved back {times} within an hour already"),
                t(f"руководитель и тот, кто перевёл: {item} больше не возвращается, решают они",
                  f"the head and whoever moved it: {item} is not moved back again, they decide"),
            )  # fmt: skip
        rules = [rule for _, rule in process.task_rules()]
        if any(rule.on_close for rule in rules):
            yield (
                t("Задачу закрыли, а условия не выполнены", "A task was closed with something missing"),
                t(
                    "тот, кто закрыл: задача открыта снова, с причиной",
                    "whoever closed it: it is open again, with the reason",
                ),
            )
            yield (
                t("Такую задачу удалили", "Such a task was deleted"),
                t(
                    "руководитель; условия стадии проверяются по-прежнему",
                    "the head; the stage's conditions still hold",
                ),
            )
        for rule in rules:
            if rule.closes_when is not None:
                yield (
                    t(f"Поставлена задача «{rule.title}»", f"The task “{rule.title}” was made"),
                    t("её исполнитель — ещё и сообщением", "its doer, by a message too"),
                )
        yield (
            t("Портал не принял переход", "The portal refused the move"),
            t(
                "кто перевёл или закрыл задачу: что требует портал",
                "whoever moved it or closed the task: what is asked",
            ),
        )

    # the picture

    def flow(self, process: Process, title: str) -> Markup:
        """Returns the stages in their order, what moves an item on, the tasks and where they lead, decline."""
        way = [stage for stage in process.stages if stage.semantics != "failure"]
        boxes = [
            Box(
                key=stage.key,
                name=stage.name.of(self.language),
                color=stage.color,
                declines=stage.semantics == "process",
                onward=self._onward(process, stage, after) if after and stage.semantics == "process" else "",
                slips=tuple(self._slip(process, rule) for rule in stage.tasks),
            )
            for stage, after in zip(way, (*way[1:], None), strict=True)
        ]
        ends = [
            End(stage.name.of(self.language), stage.color, tuple(self._end_notes(process, stage)))
            for stage in process.stages
            if stage.semantics == "failure"
        ]
        names = " → ".join(box.name for box in boxes)
        below = self.t("Подробно — ниже по стадиям.", "Stage by stage below.")
        return draw(boxes, ends, title=title, description=f"{names}. {below}")

    def _onward(self, process: Process, stage: Stage, after: Stage) -> str:
        t = self.t
        rule = next((one for one in stage.tasks if self._leads(one, after)), None)
        needs = rule.on_close.needs if rule is not None and rule.on_close is not None else ()
        wants = [want.name for want in self.wants(process, stage, after)]
        wants += [evidence_name(process, one).of(self.language) for one in needs]
        how = t("закрытая задача", "the closed task") if rule else t("менеджер переводит сам", "moved by hand")
        needed = ", ".join(dict.fromkeys(wants))
        return f"{how}; {t('нужно', 'needed')}: {needed}" if needed else how

    def _slip(self, process: Process, rule: TaskRule) -> Slip:
        due = self.duration(rule.deadline_minutes)
        note = self.t(f"срок — {due}", f"due in {due}")
        if rule.only_if is not None:
            note += f"; {self._condition(process, rule.only_if)}"
        if rule.on_close is not None:
            note += self.t("; закрытие ведёт дальше", "; closing it leads on")
        return Slip(self._filled(process, rule.title), note, rule.on_close.move_to if rule.on_close else "")

    def _end_notes(self, process: Process, stage: Stage) -> Iterator[str]:
        said = process.decline.reason_of(stage.key) if process.decline else None
        if said is not None:
            yield self.becomes(process, said)
        else:
            for reason, becomes in self._reasons(process):
                yield f"{reason}: {becomes}"


def _minutes(begin: time, end: time) -> int:
    return ((end.hour - begin.hour) * 60 + end.minute - begin.minute) % 1440 or 1440
