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
from datetime import time
from os import geteuid
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from b24app.errors import B24AppError
from b24app.flow_picture import Box, End, Slip, draw
from b24app.pictures import pictures
from b24app.playbook import (
    Checklist,
    Condition,
    DeclineReason,
    Evidence,
    Playbook,
    Process,
    Requirement,
    Stage,
    TaskRule,
)
from b24app.rules.scale import Advice, advise
from b24app.rules.stage_gate import STRICTNESS, evidence_name
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
    """Rules in words: a title over lines."""

    title: str
    lines: tuple[str, ...]


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
        t=writer.t, q=writer.q, language=language, name=playbook.name, intake=writer.intake(), parts=writer.parts()
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
        names = {
            "title": self.t("название", "title"),
            "link": self.t("ссылка", "link"),
            "phone": self.t("телефон", "phone"),
            "email": "e-mail",
            **{field.key: field.name.of(self.language) for field in process.fields},
        }
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
