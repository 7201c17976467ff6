// Work of people: tasks and their card, the people with their day, calls and the window of a ringing call, notices.

import { h, icon, openLayer } from "./dom.js";
import {
  store, t, act, part, itemOf, kindOf, person, nameOf, titleOf, phoneText, timeText, field, count, moment, portalNow, changed,
} from "./model.js";
import { avatar, personLine, peopleOptions, empty, formDialog, tabs, viewHead, button, unbroken } from "./parts.js";
import { richText } from "./texts.js";
import { applicationFrame, openApplication, placementsOf, placementClient, placementTitle } from "./frames.js";
import { toolbar } from "./crm.js";
import { nextEntries } from "./calendar.js";

const view = { tasks: "mine", calls: "all" };
const LETTERS = { L: 1, D: 2, C: 3, CO: 4 };

// ---------------------------------------------------------------------- tasks

/** CRM items a task is bound to: [[type, id]]. */
function boundTo(task) {
  const bindings = field(task, "crm") || [];
  const found = [];
  for (const binding of Array.isArray(bindings) ? bindings : []) {
    const match = /^(L|D|C|CO)_(\d+)$/.exec(String(binding));
    if (match) {
      found.push([LETTERS[match[1]], Number(match[2])]);
    }
  }
  return found;
}

/** Tasks bound to an item. */
export const tasksOf = (type, id) => part("tasks").filter((task) => boundTo(task).some(([kind, number]) => kind === type && number === id));

const taskId = (task) => Number(field(task, "id"));
const statusOf = (task) => Number(field(task, "status") ?? field(task, "realStatus"));
const isDone = (task) => statusOf(task) === 5;
const isLate = (task) => !isDone(task) && moment(field(task, "deadline")) < portalNow();

function statusText(task) {
  return (
    { 1: t("новая", "new"), 2: t("ждёт выполнения", "pending"), 3: t("выполняется", "in progress"), 4: t("ждёт контроля", "supposedly done"), 5: t("завершена", "done"), 6: t("отложена", "deferred") }[
      statusOf(task)
    ] || t("ждёт выполнения", "pending")
  );
}

function taskAction(task, action) {
  const words = { complete: t("Задача завершена", "The task is done"), renew: t("Задача возобновлена", "The task is renewed"), start: t("Задача начата", "The task is started") };
  return act("POST", `tasks/${taskId(task)}/${action}`, { user_id: store.me }, words[action]);
}

const deadline = (task) =>
  field(task, "deadline")
    ? h("span", { class: `deadline ${isLate(task) ? "late" : ""}` }, icon("clock"), isLate(task) ? t("просрочена: ", "late: ") : t("до ", "by "), timeText(field(task, "deadline")))
    : h("span", { class: "deadline muted" }, t("без срока", "no deadline"));

/** A task in one line, with its tick. */
export function taskLine(task, detailed = false) {
  const done = isDone(task);
  const title = field(task, "title") || `№ ${taskId(task)}`;
  return h(
    "div",
    { class: `task ${done ? "done" : ""}` },
    h("button", {
      type: "button", class: "tick", "aria-pressed": String(done),
      "aria-label": done ? t(`Возобновить: ${title}`, `Renew: ${title}`) : t(`Завершить: ${title}`, `Complete: ${title}`),
      title: done ? t("Возобновить", "Renew") : t("Завершить", "Complete"),
      onclick: () => taskAction(task, done ? "renew" : "complete"),
    }, done ? icon("check") : null),
    h(
      "div",
      { class: "task-words" },
      h("a", { href: `/company/personal/user/${store.me}/tasks/task/view/${taskId(task)}/`, class: "task-title" }, unbroken(title)),
      h("div", { class: "task-facts" }, deadline(task), detailed ? h("span", { class: "tag" }, statusText(task)) : null, personLine(field(task, "responsibleId"))),
    ),
  );
}

/** The view of all tasks. */
export function tasksView() {
  const all = [...part("tasks")].sort((a, b) => taskId(b) - taskId(a));
  const groups = {
    mine: all.filter((task) => Number(field(task, "responsibleId")) === store.me && !isDone(task)),
    open: all.filter((task) => !isDone(task)),
    done: all.filter(isDone),
  };
  const shown = groups[view.tasks];
  return [
    viewHead(t("Задачи", "Tasks")),
    tabs(t("Какие задачи показать", "Which tasks to show"), [["mine", t("Мои открытые", "My open"), groups.mine.length], ["open", t("Все открытые", "All open"), groups.open.length], ["done", t("Завершённые", "Done"), groups.done.length]], view.tasks, (value) => { view.tasks = value; }),
    shown.length
      ? h(
          "div",
          { class: "box table-box", "data-key": "tasks", tabindex: "0", role: "group", "aria-label": t("Таблица задач", "Table of tasks") },
          h(
            "table",
            { class: "table" },
            h("thead", null, h("tr", null, [t("Задача", "Task"), t("Срок", "Deadline"), t("Ответственный", "Responsible"), t("Карточка", "Item"), t("Состояние", "Status")].map((words) => h("th", { scope: "col" }, words)))),
            h("tbody", null, shown.slice(0, 200).map(taskRow)),
          ),
        )
      : empty(
          "tasks",
          view.tasks === "mine" ? t(`У сотрудника «${nameOf(person(store.me))}» нет открытых задач`, `${nameOf(person(store.me))} has no open tasks`) : t("Задач нет", "There are no tasks"),
          t("Задачу ставит приложение или робот. Пропустите звонок, и менеджер получит задачу связаться с клиентом.", "An application or a robot sets tasks. Miss a call, and a manager is asked to reach the client."),
        ),
  ];
}

function taskRow(task) {
  const title = field(task, "title") || `№ ${taskId(task)}`;
  const done = isDone(task);
  return h(
    "tr",
    { "data-key": `task-${taskId(task)}`, class: done ? "done" : "" },
    h(
      "td",
      null,
      h(
        "div",
        { class: "task" },
        h("button", { type: "button", class: "tick", "aria-pressed": String(done), "aria-label": done ? t(`Возобновить: ${title}`, `Renew: ${title}`) : t(`Завершить: ${title}`, `Complete: ${title}`), onclick: () => taskAction(task, done ? "renew" : "complete") }, done ? icon("check") : null),
        h("a", { href: `/company/personal/user/${store.me}/tasks/task/view/${taskId(task)}/`, class: "task-title" }, unbroken(title)),
      ),
    ),
    h("td", null, deadline(task)),
    h("td", null, personLine(field(task, "responsibleId"))),
    h("td", null, bindingLinks(task)),
    h("td", null, h("span", { class: `tag ${done ? "tag-good" : ""}` }, statusText(task))),
  );
}

function bindingLinks(task) {
  const links = boundTo(task).map(([type, id]) => {
    const item = itemOf(type, id);
    return item ? h("a", { href: `/crm/${kindOf(type).path}/details/${id}/` }, titleOf(type, item)) : h("span", { class: "muted" }, `${t(kindOf(type).ru, kindOf(type).en)} № ${id}`);
  });
  return links.length ? h("span", { class: "links" }, links) : h("span", { class: "muted" }, "—");
}

/** Opens a task's card; false when there is no such task. */
export function openTask(id, onclose) {
  const find = () => part("tasks").find((one) => taskId(one) === Number(id));
  if (!find()) {
    return false;
  }
  const state = { tab: "main", frames: new Map() };
  openLayer({
    key: `task:${id}`,
    title: field(find(), "title") || `№ ${id}`,
    width: 820,
    closeLabel: t("Закрыть задачу", "Close the task"),
    onclose,
    head: () => [h("span", { class: "muted" }, t(`Задача № ${id}`, `Task № ${id}`))],
    content: (layer) => {
      const task = find();
      if (!task) {
        return [empty("tasks", t("Этой задачи больше нет", "This task no longer exists"), t("Её удалили, пока она была открыта.", "It was deleted while it was open."))];
      }
      layer.setTitle(field(task, "title") || `№ ${id}`);
      const done = isDone(task);
      const placements = placementsOf("TASK_VIEW_TAB");
      const choices = [["main", t("Задача", "Task")], ...placements.map((one) => [`app-${placementClient(one)}-${field(one, "handler")}`, placementTitle(one)])];
      return [
        placements.length ? tabs(t("Вкладки задачи", "Tabs of the task"), choices, state.tab, (value) => { state.tab = value; }) : null,
        h(
          "div",
          { class: "task-card", "data-key": "tab-main", hidden: state.tab !== "main" },
          h(
            "div",
            { class: "task-buttons" },
            done ? button("up", t("Возобновить", "Renew"), () => taskAction(task, "renew")) : button("check", t("Завершить", "Complete"), () => taskAction(task, "complete"), "primary"),
            !done && statusOf(task) !== 3 ? button("", t("Начать", "Start"), () => taskAction(task, "start")) : null,
            button("people", t("Делегировать", "Delegate"), () => delegate(task)),
            button("trash", t("Удалить", "Delete"), () => act("DELETE", `tasks/${id}`, { user_id: store.me }, t("Задача удалена", "The task is deleted")), "bad"),
            h("span", { class: `tag ${done ? "tag-good" : isLate(task) ? "tag-bad" : ""}` }, statusText(task)),
          ),
          h(
            "div",
            { class: "box" },
            h("div", { class: "rich" }, field(task, "description") ? richText(field(task, "description")) : h("span", { class: "muted" }, t("Без описания", "No description"))),
          ),
          h(
            "dl",
            { class: "facts box" },
            [
              [t("Ответственный", "Responsible"), personLine(field(task, "responsibleId"))],
              [t("Постановщик", "Set by"), personLine(field(task, "createdBy") || field(task, "creatorId"))],
              [t("Срок", "Deadline"), deadline(task)],
              [t("План", "Plan"), field(task, "startPlan") ? `${timeText(field(task, "startPlan"))} – ${timeText(field(task, "endPlan"))}` : null],
              [t("Поставлена", "Set"), timeText(field(task, "created"))],
              [t("Карточка CRM", "CRM item"), bindingLinks(task)],
              [t("Завершена", "Completed"), field(task, "closed") ? timeText(field(task, "closed")) : null],
            ].map(([label, value]) => (value ? h("div", { class: "fact" }, h("dt", null, label), h("dd", null, value)) : null)),
          ),
          checklistBox(task),
          resultsBox(task),
        ),
        placements.map((one, index) => {
          const [value] = choices[index + 1];
          if (state.tab === value && !state.frames.has(value)) {
            state.frames.set(value, applicationFrame({ clientId: placementClient(one), placement: "TASK_VIEW_TAB", options: { taskId: String(id) }, title: placementTitle(one) }));
          }
          const box = state.frames.get(value);
          return box ? h("div", { class: "card-frame", "data-key": `tab-${value}`, hidden: state.tab !== value }, box.isConnected ? h("div", { class: "frame-box", "data-keep": true }) : box) : null;
        }),
      ];
    },
  });
  return true;
}

function checklistBox(task) {
  const items = field(task, "checklist") || [];
  if (!items.length) {
    return null;
  }
  const tick = (item, done) => act("POST", `tasks/${taskId(task)}/tick`, { user_id: store.me, item_id: item.id, done });
  const under = (parent) => items.filter((item) => item.parent_id === parent);
  const line = (item) =>
    h(
      "label",
      { class: "check", "data-key": `check-${item.id}` },
      h("input", { type: "checkbox", checked: item.done, "data-live": true, onchange: (event) => tick(item, event.target.checked) }),
      h("span", null, item.title),
    );
  const name = (item) => (/^BX_CHECKLIST_\d+$/.test(item.title) ? t("Чек-лист", "Checklist") : item.title);
  return h(
    "section",
    { class: "box checklist", "data-key": "checklist" },
    under(0).map((root) => [h("h3", { class: "check-head" }, name(root)), under(root.id).map((item) => [line(item), under(item.id).map(line)])]),
  );
}

function resultsBox(task) {
  const results = field(task, "results") || [];
  const done = isDone(task);
  const form = h(
    "form",
    {
      class: "comment-form box", "data-keep": true, "data-key": `result-form-${store.lang}`,
      onsubmit: async (event) => {
        event.preventDefault();
        const area = event.currentTarget.querySelector("textarea");
        if (area.value.trim() && (await act("POST", `tasks/${taskId(task)}/result`, { user_id: store.me, text: area.value }, t("Результат записан", "The result is kept")))) {
          area.value = "";
        }
      },
    },
    h("textarea", { rows: "1", "aria-label": t("Результат задачи", "Result of the task"), placeholder: t("Что сделано…", "What is done…") }),
    h("button", { type: "submit", class: "button" }, t("Записать результат", "Keep the result")),
  );
  return [
    results.length
      ? h(
          "section",
          { class: "box", "data-key": "results" },
          h("h3", null, t("Результаты", "Results")),
          h("ul", { class: "plain-list" }, results.map((one) => h("li", { "data-key": `result-${one.id}` }, h("div", { class: "rich" }, richText(one.text)), h("div", { class: "event-who" }, `${nameOf(person(one.author_id))}, ${timeText(one.created)}`)))),
        )
      : null,
    done ? null : form,
  ];
}

function delegate(task) {
  formDialog({
    title: t("Делегировать задачу", "Delegate the task"),
    button: t("Делегировать", "Delegate"),
    fields: [{ name: "to", label: t("Кому", "To whom"), type: "select", value: String(field(task, "responsibleId")), options: part("people").filter((one) => field(one, "active") !== false).map((one) => [one.id, nameOf(one)]) }],
    submit: (values) => act("POST", `tasks/${taskId(task)}/delegate`, { user_id: store.me, to_user_id: Number(values.to) }, t("Задача передана", "The task is handed over")),
  });
}

// --------------------------------------------------------------------- people

const clockOf = (one) => String(field(one, "clock") || "CLOSED").toLowerCase();
const isOpen = (one) => ["open", "opened"].includes(clockOf(one));
const isPaused = (one) => ["pause", "paused"].includes(clockOf(one));

/** In a word, what a person does now. */
export function presence(one) {
  if (field(one, "active") === false) {
    return ["off", t("уволен", "dismissed")];
  }
  if (field(one, "call")) {
    return ["call", t("на звонке", "on a call")];
  }
  if (during(field(one, "absent"))) {
    return ["away", t("отсутствует", "absent")];
  }
  if (during(field(one, "busy"))) {
    return ["busy", t("занят по календарю", "busy in the calendar")];
  }
  if (isOpen(one)) {
    return ["free", t("на работе", "at work")];
  }
  if (clockOf(one) === "expired") {
    return ["off", t("день не закрыт вовремя", "the day was not closed")];
  }
  return isPaused(one) ? ["busy", t("перерыв", "a break")] : ["off", t("рабочий день не начат", "the day is not begun")];
}

function during(span) {
  if (!span) {
    return false;
  }
  const from = moment(field(span, "from"));
  const to = moment(field(span, "to"));
  const now = portalNow();
  return (Number.isNaN(from) || from <= now) && (Number.isNaN(to) || now < to);
}

/** The view of people by department. */
export function peopleView() {
  const people = part("people");
  const departments = part("departments");
  const seen = new Set();
  const sections = departments.map((department) => {
    const id = Number(field(department, "id"));
    const own = people.filter((one) => !seen.has(one.id) && mainDepartment(one) === id);
    own.forEach((one) => seen.add(one.id));
    return [department, own];
  });
  const rest = people.filter((one) => !seen.has(one.id));
  if (rest.length) {
    sections.push([{ id: 0, name: t("Без отдела", "No department") }, rest]);
  }
  const free = people.filter((one) => presence(one)[0] === "free").length;
  return [
    viewHead(t("Люди", "People"), h("span", { class: "muted" }, t(`на работе и свободны: ${free}`, `at work and free: ${free}`)), h("span", { class: "spacer" }), button("plus", t("Новый сотрудник", "New employee"), newPerson)),
    h("p", { class: "muted lead" }, t("Откройте рабочий день нескольким менеджерам, чтобы приложению было кого выбрать.", "Begin the working day of a few managers, so that an application has someone to choose.")),
    sections
      .filter(([, own]) => own.length)
      .map(([department, own]) =>
        h(
          "section",
          { class: "people-group", "data-key": `department-${field(department, "id")}` },
          h("h2", null, field(department, "name"), " ", h("span", { class: "count" }, String(own.length))),
          h("ul", { class: "people" }, own.map(personCard)),
        ),
      ),
  ];
}

function mainDepartment(one) {
  const ids = (field(one, "departmentIds") || []).map(Number);
  return ids[ids.length - 1];
}

function personCard(one) {
  const [kind, words] = presence(one);
  const id = Number(one.id);
  const fired = field(one, "active") === false;
  const patch = (body, done) => act("PATCH", `people/${id}`, body, done);
  const name = nameOf(one);
  const absent = Boolean(field(one, "absent"));
  const busy = Boolean(field(one, "busy"));
  const toggle = (text, on, body, key) =>
    h("button", { type: "button", class: "chip chip-button", "aria-pressed": String(on), "data-key": key, "aria-label": `${text}: ${name}`, disabled: fired && key !== "active", onclick: () => patch(body) }, text);
  const span = (hours) => ({ from: new Date(portalNow() - 60000).toISOString(), to: new Date(portalNow() + hours * 3600000).toISOString() });
  return h(
    "li",
    { class: `person ${fired ? "fired" : ""}`, "data-key": `person-${id}` },
    h(
      "div",
      { class: "person-top" },
      avatar(one, "big"),
      h(
        "div",
        { class: "person-words" },
        h("a", { href: `/company/personal/user/${id}/`, class: "person-name" }, name),
        h("span", { class: "muted" }, field(one, "workPosition") || field(one, "position") || (field(one, "head") ? t("руководитель", "head") : t("сотрудник", "employee"))),
      ),
      h("span", { class: `presence presence-${kind}` }, words),
    ),
    h(
      "div",
      { class: "chips", role: "group", "aria-label": t(`Состояние: ${name}`, `State of ${name}`) },
      isOpen(one)
        ? [
            h("button", { type: "button", class: "chip chip-button on", "data-key": "clock", "aria-label": t(`Закончить день: ${name}`, `Clock out: ${name}`), onclick: () => patch({ clock: "close" }) }, icon("clock"), t("Закончить день", "Clock out")),
            h("button", { type: "button", class: "chip chip-button", "data-key": "pause", "aria-label": t(`Перерыв: ${name}`, `Break: ${name}`), onclick: () => patch({ clock: "pause" }) }, t("Перерыв", "Break")),
          ]
        : h("button", { type: "button", class: "chip chip-button", "data-key": "clock", disabled: fired, "aria-label": t(`Начать день: ${name}`, `Clock in: ${name}`), onclick: () => patch({ clock: "open" }) }, icon("clock"), isPaused(one) ? t("Продолжить день", "Go on") : t("Начать день", "Clock in")),
      toggle(t("Отсутствует", "Absent"), absent, { absent: absent ? null : span(9) }, "absent"),
      toggle(t("Занят час", "Busy for an hour"), busy, { busy: busy ? null : span(1) }, "busy"),
      toggle(t("Видит только свои лиды", "Sees own leads only"), Boolean(field(one, "ownLeadsOnly")), { own_leads_only: !field(one, "ownLeadsOnly") }, "own"),
      toggle(fired ? t("Вернуть на работу", "Employ again") : t("Уволить", "Dismiss"), fired, { active: fired }, "active"),
    ),
  );
}

function newPerson() {
  formDialog({
    title: t("Новый сотрудник", "New employee"),
    button: t("Принять", "Add"),
    fields: [
      { name: "name", label: t("Имя", "First name"), required: true },
      { name: "last_name", label: t("Фамилия", "Last name"), required: true },
      { name: "department", label: t("Отдел", "Department"), type: "select", value: "3", options: part("departments").map((one) => [field(one, "id"), field(one, "name")]) },
    ],
    submit: (values) => act("POST", "people", { name: values.name, last_name: values.last_name, department_ids: [Number(values.department)] }, t("Сотрудник добавлен", "The employee is added")),
  });
}

/** Opens a person's card; false when there is no such person. */
export function openPerson(id, onclose) {
  if (!person(id)) {
    return false;
  }
  openLayer({
    key: `person:${id}`,
    title: nameOf(person(id)),
    width: 620,
    closeLabel: t("Закрыть", "Close"),
    onclose,
    content: () => {
      const one = person(id);
      const tasks = part("tasks").filter((task) => Number(field(task, "responsibleId")) === Number(id) && !isDone(task));
      const leads = part("leads").filter((lead) => Number(field(lead, "assignedById")) === Number(id));
      return [
        h("ul", { class: "people single" }, personCard(one)),
        h(
          "dl",
          { class: "facts box" },
          [
            [t("Мобильный", "Mobile"), phoneText(field(one, "mobile"))],
            [t("Рабочий телефон", "Work phone"), phoneText(field(one, "workPhone"))],
            [t("Почта", "E-mail"), field(one, "email")],
            [t("Часовой пояс", "Time zone"), field(one, "timezone") || t("как у портала", "that of the portal")],
          ].map(([label, value]) => (value ? h("div", { class: "fact" }, h("dt", null, label), h("dd", { class: "break" }, value)) : null)),
        ),
        placementsOf("USER_PROFILE_MENU").map((placement) =>
          button("apps", placementTitle(placement), () => openApplication({ clientId: placementClient(placement), placement: "USER_PROFILE_MENU", options: { USER_ID: String(id) }, title: placementTitle(placement) }), "small"),
        ),
        h("h3", null, h("a", { href: `/company/personal/user/${id}/calendar/` }, t("Календарь", "Calendar"))),
        nextEntries(id).length ? h("ul", { class: "plain-list" }, nextEntries(id).map((words) => h("li", null, words))) : h("p", { class: "muted" }, t("Дальше ничего не назначено", "Nothing is planned")),
        h("h3", null, t("Открытые задачи", "Open tasks")),
        tasks.length ? h("ul", { class: "task-list" }, tasks.map((task) => h("li", { "data-key": `t${taskId(task)}` }, taskLine(task)))) : h("p", { class: "muted" }, t("Нет", "None")),
        h("h3", null, t("Лиды", "Leads"), " ", h("span", { class: "count" }, String(leads.length))),
        leads.length ? h("ul", { class: "plain-list" }, leads.slice(0, 50).map((lead) => h("li", { "data-key": `l${field(lead, "id")}` }, h("a", { href: `/crm/lead/details/${field(lead, "id")}/` }, titleOf(1, lead))))) : h("p", { class: "muted" }, t("Нет", "None")),
      ];
    },
  });
  return true;
}

// ---------------------------------------------------------------------- calls

const callId = (call) => field(call, "callId") || field(call, "id");
function callState(call) {
  const done = field(call, "done");
  if (done !== undefined) {
    return done ? "finished" : field(call, "answered") ? "talking" : "ringing";
  }
  return String(field(call, "state") || field(call, "status") || "").toLowerCase();
}
const callLive = (call) => ["ringing", "init", "answered", "talking", "started", "connected", "dialing"].includes(callState(call));
const callTalks = (call) => ["answered", "talking", "started", "connected"].includes(callState(call));
const callPhone = (call) => phoneText(field(call, "phone") || field(call, "phoneNumber") || field(call, "callerId"));
const callUser = (call) => field(call, "userId") || field(call, "portalUserId");
const callType = (call) => Number(field(call, "type") || field(call, "callType"));
const callCode = (call) => String(field(call, "code") || field(call, "failedCode") || field(call, "callFailedCode") || "");

/** The view of calls. */
export function callsView() {
  const calls = [...part("calls")].reverse();
  return [
    viewHead(t("Звонки", "Calls"), h("span", { class: "muted" }, count(calls.length, "звонок", "звонка", "звонков", "call", "calls")), h("span", { class: "spacer" }), button("gear", t("Линия", "Line"), lineDialog)),
    toolbar(0),
    calls.length
      ? h(
          "div",
          { class: "box table-box", "data-key": "calls", tabindex: "0", role: "group", "aria-label": t("Таблица звонков", "Table of calls") },
          h(
            "table",
            { class: "table" },
            h("thead", null, h("tr", null, [t("Когда", "When"), t("Номер", "Number"), t("Кто", "Who"), t("Итог", "Result"), t("Карточка", "Item")].map((words) => h("th", { scope: "col" }, words)))),
            h("tbody", null, calls.slice(0, 200).map(callRow)),
          ),
        )
      : empty("calls", t("Звонков ещё не было", "There have been no calls"), t("Нажмите «Пропущенный звонок» или «Звонок».", "Press “Missed call” or “Call”.")),
  ];
}

function callResult(call) {
  if (callLive(call)) {
    return callTalks(call) ? ["tag-good", t("разговор", "talking")] : ["tag-wait", t("звонит", "ringing")];
  }
  const code = callCode(call);
  if (code === "304") {
    return ["tag-bad", t("пропущен", "missed")];
  }
  if (code === "200" || (!code && callUser(call))) {
    return ["tag-good", t("состоялся", "answered")];
  }
  return ["", code || "—"];
}

function callRow(call) {
  const [kind, words] = callResult(call);
  const types = { 1: t("исходящий", "outgoing"), 2: t("входящий", "incoming"), 3: t("входящий с переадресацией", "incoming, forwarded"), 4: t("обратный", "callback") };
  const lead = Number(field(call, "leadId"));
  const [type, id] = (lead ? [1, lead] : field(call, "entity") || [0, 0]).map(Number);
  const item = id && kindOf(type) ? itemOf(type, id) : null;
  return h(
    "tr",
    { "data-key": `call-${callId(call)}` },
    h("td", null, timeText(field(call, "startedAt") || field(call, "started") || field(call, "callStartDate") || field(call, "at"), true), h("div", { class: "muted" }, types[callType(call)] || "")),
    h("td", { class: "nowrap" }, callPhone(call)),
    h("td", null, callUser(call) ? personLine(callUser(call)) : h("span", { class: "muted" }, "—")),
    h("td", null, h("span", { class: `tag ${kind}` }, words)),
    h("td", null, item ? h("a", { href: `/crm/${kindOf(type).path}/details/${id}/` }, titleOf(type, item)) : h("span", { class: "muted" }, "—")),
  );
}

function lineDialog() {
  const line = store.state.line || {};
  formDialog({
    title: t("Телефонная линия", "Telephone line"),
    button: t("Сохранить", "Save"),
    fields: [
      { name: "create_lead", label: t("Создавать лид", "Make a lead"), type: "select", value: line.create_lead || "missed", options: [["missed", t("из пропущенных звонков", "for missed calls")], ["all", t("из всех звонков", "for all calls")], ["none", t("не создавать", "never")]] },
      { name: "create_when", label: t("Когда", "When"), type: "select", value: line.create_when || "end", options: [["start", t("в начале звонка", "when the call begins")], ["end", t("по окончании звонка", "when the call ends")]] },
      { name: "responsible_id", label: t("Ответственный по линии", "Responsible of the line"), type: "select", value: String(line.responsible_id || 1), options: part("people").map((one) => [one.id, nameOf(one)]) },
    ],
    submit: (values) => act("PATCH", "line", { ...values, responsible_id: Number(values.responsible_id) }, t("Линия настроена", "The line is set")),
  });
}

/** The windows of calls that ring or go on now. */
export function callWindows() {
  return part("calls")
    .filter(callLive)
    .slice(-3)
    .map((call) => {
      const id = callId(call);
      const talks = callTalks(call);
      const selectId = `answer-${id}`;
      return h(
        "section",
        { class: `call-window ${talks ? "talking" : "ringing"}`, "data-key": `call-${id}`, "aria-label": t(`Звонок ${callPhone(call)}`, `Call ${callPhone(call)}`) },
        h(
          "div",
          { class: "call-top" },
          h("span", { class: "call-icon" }, icon("calls")),
          h("div", null, h("div", { class: "call-kind" }, talks ? t(`Говорит ${nameOf(person(callUser(call)))}`, `${nameOf(person(callUser(call)))} is talking`) : callType(call) === 1 ? t("Исходящий звонок", "Outgoing call") : t("Входящий звонок", "Incoming call")), h("div", { class: "call-number" }, callPhone(call))),
        ),
        talks
          ? null
          : h(
              "div",
              { class: "call-answer" },
              h("label", { for: selectId }, t("Ответить как", "Answer as")),
              h("select", { id: selectId }, peopleOptions(store.me)),
              button("calls", t("Ответить", "Answer"), (event) => {
                const chosen = event.currentTarget.closest(".call-window").querySelector("select").value;
                act("POST", `calls/${encodeURIComponent(id)}/answer`, { user_id: Number(chosen) });
              }, "good"),
            ),
        button("close", t("Завершить", "End the call"), () => act("POST", `calls/${encodeURIComponent(id)}/finish`, {}, t("Звонок завершён", "The call is over")), "bad"),
      );
    });
}

// -------------------------------------------------------------------- notices

/** Notices of the chosen person, newest first. */
export const myNotices = () => part("notices").filter((one) => Number(field(one, "userId") ?? field(one, "to") ?? field(one, "toUserId")) === store.me).reverse();

const seenKey = () => `sandbox.seen.${(store.state && store.state.member_id) || ""}.${store.me}`;
const noticeId = (one) => Number(field(one, "id")) || 0;

/** How many of them the person has not looked at. */
export const unseenNotices = () => myNotices().filter((one) => noticeId(one) > Number(localStorage.getItem(seenKey()) || 0)).length;

/** Opens the list of notices. */
export function openNotices() {
  const last = myNotices()[0];
  if (last) {
    localStorage.setItem(seenKey(), String(noticeId(last)));
  }
  openLayer({
    key: "notices",
    title: t(`Уведомления: ${nameOf(person(store.me))}`, `Notices of ${nameOf(person(store.me))}`),
    width: 520,
    closeLabel: t("Закрыть", "Close"),
    content: () => {
      const list = myNotices();
      return list.length
        ? [
            h(
              "ul",
              { class: "notices" },
              list.slice(0, 100).map((one) =>
                h("li", { class: "box", "data-key": `notice-${noticeId(one)}` }, h("div", { class: "rich" }, richText(field(one, "message") || field(one, "text"))), h("div", { class: "event-time" }, timeText(field(one, "date") || field(one, "created") || field(one, "at")))),
              ),
            ),
          ]
        : [empty("bell", t("Уведомлений нет", "No notices"), t("Приложения пишут сюда методом im.notify. Выберите другого сотрудника, чтобы увидеть его уведомления.", "Applications write here by im.notify. Choose another person to see his notices."))];
    },
  });
  changed();
}
