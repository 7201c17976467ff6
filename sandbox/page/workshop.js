// The consultant's and the developer's part: robots on stages, applications, the journal, faults, the portal's switches.

import { h, icon, openLayer, toast } from "./dom.js";
import {
  store, t, act, control, part, person, nameOf, kindOf, stagesOf, stageId, stageName, stageColor, timeText, field, count, changed, portalNow, portalZone, poll, itemOf, titleOf,
} from "./model.js";
import { empty, formDialog, formField, formValues, tabs, viewHead, button } from "./parts.js";
import { openApplication, applicationFrame, application, applicationTitle, placementsOf, placementClient, placementCode } from "./frames.js";
import { runStatus, runClass } from "./crm.js";

const view = { robotType: 1, robotTab: "stages", journal: "entries", kind: "", text: "", errors: false, entries: [], last: 0, rules: [], faults: [] };

// --------------------------------------------------------------------- robots

function words(value) {
  if (value && typeof value === "object" && !Array.isArray(value)) {
    return value[store.lang] || value[store.lang.toUpperCase()] || value.ru || value.en || Object.values(value)[0] || "";
  }
  return String(value ?? "");
}

/** Robots that applications registered: [{clientId, code, name, description, properties, usePlacement}]. */
function registered() {
  const found = [];
  for (const robot of part("robot_types")) {
    found.push({
      clientId: field(robot, "clientId"),
      code: field(robot, "code"),
      name: words(field(robot, "name")) || field(robot, "code"),
      description: words(field(robot, "description")),
      properties: field(robot, "properties") || {},
      waits: String(field(robot, "useSubscription") ?? "Y") !== "N",
      filter: field(robot, "filter"),
      settingsPage: String(field(robot, "usePlacement") || "") === "Y",
    });
  }
  return found;
}

const placedOn = (type, stage) =>
  part("robots")
    .filter((one) => Number(field(one, "entityTypeId")) === type && String(field(one, "stageId") ?? field(one, "stage")) === stageId(stage))
    .sort((a, b) => (Number(field(a, "sort") ?? field(a, "order")) || 0) - (Number(field(b, "sort") ?? field(b, "order")) || 0) || Number(field(a, "id")) - Number(field(b, "id")));

/** The view of robots: what stands on the stages, and the runs. */
export function robotsView() {
  const runs = [...part("workflows")].reverse();
  return [
    viewHead(t("Роботы", "Robots")),
    h(
      "div",
      { class: "tab-row", "data-key": "tab-row" },
      tabs(t("Что показать", "What to show"), [["stages", t("По стадиям", "By stage")], ["runs", t("Запуски", "Runs"), runs.length]], view.robotTab, (value) => { view.robotTab = value; }),
      view.robotTab === "stages" ? tabs(t("Тип", "Type"), [[1, t("Лиды", "Leads")], [2, t("Сделки", "Deals")]], view.robotType, (value) => { view.robotType = value; }) : null,
    ),
    view.robotTab === "runs" ? runsView(runs) : designer(),
  ];
}

function designer() {
  const type = view.robotType;
  const robots = registered();
  return [
    robots.length || part("robots").length
      ? h("p", { class: "muted lead", "data-key": "lead" }, t("Робот запускается каждый раз, когда карточка попадает на стадию. Роботы одной стадии идут сверху вниз.", "A robot runs each time an item enters the stage. Robots of one stage run from top to bottom."))
      : h("p", { class: "notice", "data-key": "lead" }, t("Приложения ещё не зарегистрировали ни одного робота. Создайте и установите приложение в разделе «Приложения».", "No application has registered a robot yet. Create and install an application in “Applications”.")),
    h(
      "div",
      { class: "kanban designer", "data-key": `designer-${type}`, tabindex: "0", role: "group", "aria-label": t("Роботы по стадиям", "Robots by stage") },
      stagesOf(type).map((stage) => {
        const placed = placedOn(type, stage);
        return h(
          "section",
          { class: "column", "data-key": stageId(stage), "aria-label": stageName(stage), style: { "--stage": stageColor(stage) } },
          h("header", { class: "column-head" }, h("h2", null, stageName(stage)), placed.length ? h("span", { class: "count" }, String(placed.length)) : null),
          placed.length ? h("ol", { class: "cards" }, placed.map((one, index) => placedRobot(type, stage, one, index, placed, robots))) : null,
          button("plus", t("Робот", "Robot"), () => chooseRobot(type, stage, robots), "quiet wide", { disabled: !robots.length, "aria-label": t(`Добавить робота: ${stageName(stage)}`, `Add a robot: ${stageName(stage)}`) }),
        );
      }),
    ),
  ];
}

function placedRobot(type, stage, one, index, placed, robots) {
  const id = field(one, "id");
  const code = field(one, "code");
  const clientId = field(one, "clientId");
  const known = robots.find((robot) => robot.code === code && (!clientId || robot.clientId === clientId));
  const values = field(one, "properties") || {};
  const filled = Object.entries(values).filter(([, value]) => value !== "" && value !== null && !(Array.isArray(value) && !value.length));
  const timeout = Number(field(one, "timeout")) || 0;
  const name = known ? known.name : code;
  return h(
    "li",
    { class: "card robot", "data-key": `placed-${id}` },
    h("div", { class: "robot-head" }, icon("robots"), h("strong", null, name)),
    known ? null : h("span", { class: "tag tag-bad" }, t("робот не зарегистрирован: не выполнится", "the robot is not registered: it will not run")),
    known && known.name !== code ? h("div", { class: "muted" }, code) : null,
    filled.length
      ? h("dl", { class: "robot-values" }, filled.map(([key, value]) => h("div", null, h("dt", null, words(((known && known.properties[key]) || {}).Name) || key), h("dd", null, valueText(value)))))
      : null,
    timeout ? h("div", { class: "muted" }, t(`ждать не дольше ${timeout} с`, `wait ${timeout} s at most`)) : null,
    h(
      "div",
      { class: "robot-tools" },
      button("pencil", t("Изменить", "Edit"), () => robotForm(type, stage, known, one, placed.slice(index)), "quiet small", { disabled: !known, "aria-label": t(`Изменить: ${name}`, `Edit: ${name}`) }),
      placed.length > 1 && index > 0
        ? h("button", { type: "button", class: "icon-button", "aria-label": t(`Выше: ${name}`, `Up: ${name}`), title: t("Выше", "Up"), onclick: () => reorder(type, stage, placed, index, index - 1) }, icon("up"))
        : null,
      placed.length > 1 && index < placed.length - 1
        ? h("button", { type: "button", class: "icon-button", "aria-label": t(`Ниже: ${name}`, `Down: ${name}`), title: t("Ниже", "Down"), onclick: () => reorder(type, stage, placed, index, index + 1) }, icon("down"))
        : null,
      h("button", { type: "button", class: "icon-button", "aria-label": t(`Убрать: ${name}`, `Remove: ${name}`), title: t("Убрать", "Remove"), onclick: () => act("DELETE", `stages/${type}/${encodeURIComponent(stageId(stage))}/robots/${id}`, undefined, t("Робот убран", "The robot is removed")) }, icon("trash")),
    ),
  );
}

const valueText = (value) => (typeof value === "object" ? JSON.stringify(value) : /^user_\d+$/.test(String(value)) ? nameOf(person(String(value).slice(5))) : String(value));

function placementBody(one) {
  const body = { client_id: field(one, "clientId"), code: field(one, "code"), properties: field(one, "properties") || {} };
  const timeout = Number(field(one, "timeout")) || 0;
  if (timeout) {
    body.timeout = timeout;
  }
  const runAs = field(one, "runAs");
  if (runAs) {
    body.run_as = runAs;
  }
  return body;
}

/** Places robots anew in the wanted order (order is the order of placing), then takes the former ones off. */
async function rearrange(type, stage, bodies, former) {
  const path = `stages/${type}/${encodeURIComponent(stageId(stage))}/robots`;
  try {
    for (const body of bodies) {
      await control("POST", path, body);
    }
    for (const one of former) {
      await control("DELETE", `${path}/${field(one, "id")}`);
    }
  } catch (error) {
    toast(error.message, "error");
    return false;
  } finally {
    poll();
  }
  return true;
}

function reorder(type, stage, placed, from, to) {
  const wanted = [...placed];
  wanted.splice(to, 0, wanted.splice(from, 1)[0]);
  const first = Math.min(from, to);
  return rearrange(type, stage, wanted.slice(first).map(placementBody), placed.slice(first));
}

function chooseRobot(type, stage, robots) {
  if (robots.length === 1) {
    robotForm(type, stage, robots[0]);
    return;
  }
  const layer = openLayer({
    kind: "dialog",
    title: t(`Робот на стадию «${stageName(stage)}»`, `A robot for “${stageName(stage)}”`),
    closeLabel: t("Закрыть", "Close"),
    content: () => [
      h(
        "div",
        { class: "pick-list" },
        robots.map((robot) =>
          h(
            "button",
            { type: "button", class: "pick-button", onclick: () => { layer.close(); robotForm(type, stage, robot); } },
            h("strong", null, robot.name),
            h("span", { class: "muted" }, robot.description || `${robot.code} · ${applicationTitle(application(robot.clientId) || {})}`),
          ),
        ),
      ),
    ],
  });
}

function propertyField(key, property, value) {
  const get = (name) => property[name] ?? property[name.toUpperCase()];
  const type = String(get("Type") || "string").toLowerCase();
  const label = words(get("Name")) || key;
  const current = value ?? words(get("Default"));
  const required = String(get("Required") || "N") === "Y";
  const multiple = String(get("Multiple") || "N") === "Y";
  const base = { name: key, label: required ? `${label} *` : label, hint: words(get("Description")) || undefined, required };
  if (type === "bool") {
    return { ...base, type: "select", value: String(current || "N"), options: [["Y", t("Да", "Yes")], ["N", t("Нет", "No")]] };
  }
  if (type === "select") {
    return { ...base, type: "select", multiple, value: current, options: [...(required || multiple ? [] : [["", "—"]]), ...Object.entries(get("Options") || {}).map(([id, text]) => [id, words(text)])] };
  }
  if (type === "user") {
    return { ...base, type: "select", multiple, value: current, options: [...(required || multiple ? [] : [["", "—"]]), ...part("people").map((one) => [`user_${one.id}`, nameOf(one)])] };
  }
  if (type === "int" || type === "double") {
    return { ...base, type: "number", step: type === "int" ? 1 : "any", value: current };
  }
  if (type === "text") {
    return { ...base, type: "textarea", value: current, wide: true };
  }
  return { ...base, type: type === "date" ? "date" : type === "datetime" ? "datetime-local" : "text", value: Array.isArray(current) ? current.join(", ") : current };
}

/** The form of a robot; `following` are the placed robots from the edited one on. */
function robotForm(type, stage, robot, placed, following) {
  const values = placed ? field(placed, "properties") || {} : {};
  const known = Object.entries(robot.properties || {});
  const extra = {};
  const frame = robot.settingsPage
    ? h(
        "div",
        { class: "robot-frame" },
        applicationFrame({
          clientId: robot.clientId,
          placement: `ROBOT:${robot.code}`,
          options: { code: robot.code, properties: robot.properties, current_values: values, document_type: ["crm", type === 1 ? "CCrmDocumentLead" : "CCrmDocumentDeal", kindOf(type).event] },
          title: robot.name,
          setProperty: (given) => Object.assign(extra, given),
        }),
      )
    : null;
  formDialog({
    title: t(`${robot.name}: ${stageName(stage)}`, `${robot.name}: ${stageName(stage)}`),
    intro: robot.description,
    above: frame,
    button: placed ? t("Сохранить", "Save") : t("Поставить робота", "Place the robot"),
    fields: [
      ...known.map(([key, property]) => propertyField(`p.${key}`, property, values[key])),
      { name: "timeout", label: t("Ждать ответа не дольше, с", "Wait for the answer at most, s"), type: "number", min: 0, value: placed ? Number(field(placed, "timeout")) || 0 : 0, hint: t("0 — без ограничения", "0 means no limit") },
      { name: "run_as", label: t("От имени", "Run as"), type: "select", value: placed ? String(field(placed, "runAs") || "") : "", options: [["", t("как задано приложением", "as the application says")], ...part("people").map((one) => [one.id, nameOf(one)])] },
    ],
    submit: async (given) => {
      const properties = { ...extra };
      for (const [key] of known) {
        const value = given[`p.${key}`];
        if (value !== "" && value !== undefined) {
          properties[key] = value;
        }
      }
      const body = { client_id: robot.clientId, code: robot.code, properties, timeout: Number(given.timeout) || 0 };
      if (given.run_as) {
        body.run_as = Number(given.run_as);
      }
      if (placed) {
        return rearrange(type, stage, [body, ...following.slice(1).map(placementBody)], following);
      }
      return act("POST", `stages/${type}/${encodeURIComponent(stageId(stage))}/robots`, body, t("Робот стоит на стадии", "The robot is placed"));
    },
  });
}

function runsView(runs) {
  if (!runs.length) {
    return empty("robots", t("Роботы ещё не запускались", "No robot has run yet"), t("Поставьте робота на стадию и перенесите на неё карточку.", "Place a robot on a stage and move an item there."));
  }
  return h(
    "ul",
    { class: "runs", "data-key": "runs" },
    runs.slice(0, 100).map((run) => {
      const document = field(run, "documentId");
      const last = String(Array.isArray(document) ? document[document.length - 1] : document || "");
      const match = /^(LEAD|DEAL)_(\d+)$/.exec(last);
      const type = match ? (match[1] === "LEAD" ? 1 : 2) : Number(field(run, "entityTypeId")) || 0;
      const id = match ? Number(match[2]) : Number(field(run, "entityId") ?? field(run, "itemId")) || 0;
      const item = type && kindOf(type) ? itemOf(type, id) : null;
      const log = field(run, "log") || [];
      return h(
        "li",
        { class: "box", "data-key": `run-${field(run, "id")}` },
        h(
          "div",
          { class: "run-head" },
          h("span", { class: `tag ${runClass(run)}` }, runStatus(run)),
          item ? h("a", { href: `/crm/${kindOf(type).path}/details/${id}/` }, titleOf(type, item)) : h("span", null, last || "—"),
          h("span", { class: "spacer" }),
          h("span", { class: "event-time" }, timeText(field(run, "started") || field(run, "startedAt") || field(run, "at"), true)),
        ),
        log.length
          ? h("ol", { class: "run-log" }, log.map((line) => h("li", null, typeof line === "string" ? line : [h("span", { class: "event-time" }, timeText(field(line, "at"), true)), " ", field(line, "text") || field(line, "message") || JSON.stringify(line)])))
          : h("p", { class: "muted" }, t("Журнал запуска пуст", "The run's log is empty")),
      );
    }),
  );
}

// --------------------------------------------------------------- applications

const SCOPES =
  "crm task tasks tasks_extended telephony call user user_basic user_brief department calendar im imbot placement bizproc timeman pull entity disk messageservice user.userfield userfieldconfig log sonet_group rating mobile booking".split(" ");

/** The view of local applications. */
export function applicationsView() {
  const apps = part("applications");
  const links = placementsOf("LEFT_MENU");
  return [
    viewHead(t("Приложения", "Applications"), h("span", { class: "spacer" }), button("plus", t("Создать приложение", "Create an application"), () => applicationForm(), "primary")),
    links.length ? h("p", { class: "muted" }, t("Свои пункты приложений раскрываются в меню под «Приложениями».", "Items of applications unfold in the menu under “Applications”.")) : null,
    apps.length
      ? h("ul", { class: "apps", "data-key": "apps" }, apps.map(applicationCard))
      : empty("apps", t("Приложений нет", "There are no applications"), t("Создайте локальное приложение: портал выдаст ему ключи.", "Create a local application: the portal gives it its keys.")),
  ];
}

const fieldList = (value) => (Array.isArray(value) ? value : String(value || "").split(",").map((one) => one.trim()).filter(Boolean));

function secretLine(label, value, hide) {
  const text = String(value || "");
  return h(
    "div",
    { class: "fact" },
    h("dt", null, label),
    h(
      "dd",
      { class: "secret" },
      h("code", null, hide ? `${text.slice(0, 6)}…` : text),
      h("button", {
        type: "button", class: "button quiet small", "aria-label": t(`Скопировать ${label}`, `Copy ${label}`),
        onclick: async () => {
          try {
            await navigator.clipboard.writeText(text);
            toast(t(`Скопировано: ${label}`, `Copied: ${label}`));
          } catch {
            toast(text);
          }
        },
      }, t("Скопировать", "Copy")),
    ),
  );
}

function applicationCard(app) {
  const id = field(app, "clientId");
  const installed = field(app, "installed") !== false;
  const own = part("placements").filter((one) => placementClient(one) === id);
  const robots = registered().filter((one) => one.clientId === id);
  const title = applicationTitle(app);
  const name = (words_) => `${words_}: ${title}`;
  const handler = field(app, "handler");
  const install = field(app, "install");
  const script = Boolean(field(app, "scriptOnly"));
  const path = `applications/${encodeURIComponent(id)}`;
  return h(
    "li",
    { class: "box app", "data-key": `app-${id}` },
    h(
      "div",
      { class: "app-head" },
      h("span", { class: "app-icon" }, icon("apps")),
      h("div", null, h("h2", null, title), h("span", { class: `tag ${installed ? "tag-good" : "tag-wait"}` }, installed ? t("установлено", "installed") : t("не установлено", "not installed")), script ? h("span", { class: "tag" }, t("только скрипт", "script only")) : null),
      h("span", { class: "spacer" }),
      script ? null : button("", installed || !install ? t("Открыть", "Open") : t("Установить", "Install"), () => openApplication({ clientId: id }), "primary", { disabled: !handler && !install, "aria-label": name(installed || !install ? t("Открыть", "Open") : t("Установить", "Install")) }),
      button("pencil", t("Настроить", "Set up"), () => applicationForm(app), "", { "aria-label": name(t("Настроить", "Set up")) }),
    ),
    !handler && !install ? h("p", { class: "notice" }, t("Укажите адрес обработчика: «Настроить».", "Give the handler address: “Set up”.")) : null,
    h(
      "dl",
      { class: "facts" },
      secretLine("client_id", id),
      secretLine("client_secret", field(app, "clientSecret"), true),
      [
        [t("Обработчик", "Handler"), handler],
        [t("Установка", "Install address"), install],
        [t("Права", "Scopes"), fieldList(field(app, "scopes")).join(", ")],
        [t("Встройки", "Placements"), own.map((one) => placementCode(one)).join(", ")],
        [t("Роботы", "Robots"), robots.map((one) => one.name).join(", ")],
      ].map(([label, value]) => (value ? h("div", { class: "fact" }, h("dt", null, label), h("dd", { class: "break" }, value)) : null)),
    ),
    h(
      "details",
      null,
      h("summary", null, t("Ещё действия", "More actions")),
      h(
        "div",
        { class: "chips" },
        installed ? null : button("check", t("Завершить установку", "Finish the installation"), () => act("POST", `${path}/finish`, {}, t("Установка завершена", "The installation is finished")), "small", { "aria-label": name(t("Завершить установку", "Finish the installation")) }),
        button("up", t("Обновить версию", "Update the version"), () => act("POST", `${path}/update`, { version: (Number(field(app, "version")) || 1) + 1 }, t("Отправлено ONAPPUPDATE", "ONAPPUPDATE sent")), "small"),
        button("clock", t("Просрочить токены", "Expire the tokens"), () => act("POST", "tokens", { action: "expire", client_id: id }, t("Токены просрочены", "The tokens are expired")), "small"),
        button("close", t("Отозвать токены", "Revoke the tokens"), () => act("POST", "tokens", { action: "revoke", client_id: id }, t("Токены отозваны", "The tokens are revoked")), "small"),
        button("trash", t("Удалить приложение", "Uninstall"), () => uninstall(id, title), "small bad", { "aria-label": name(t("Удалить приложение", "Uninstall")) }),
      ),
    ),
  );
}

function uninstall(id, title) {
  formDialog({
    title: t(`Удалить «${title}»?`, `Uninstall “${title}”?`),
    intro: t("Встройки, события и опции приложения исчезнут, роботы на стадиях останутся, но перестанут работать.", "The application's placements, events and options vanish; robots on stages stay but no longer run."),
    button: t("Удалить", "Uninstall"),
    danger: true,
    fields: [{ name: "clean", type: "checkbox", label: t("Удалить и данные приложения (CLEAN=1)", "Erase the application's data too (CLEAN=1)") }],
    submit: (values) => act("POST", `applications/${encodeURIComponent(id)}/uninstall`, { clean: values.clean ? 1 : 0 }, t("Приложение удалено", "The application is uninstalled")),
  });
}

function applicationForm(app) {
  const chosen = new Set(app ? fieldList(field(app, "scopes")) : ["crm", "task", "user", "placement", "bizproc", "im"]);
  const all = [...new Set([...SCOPES, ...chosen])];
  const scopes = h(
    "fieldset",
    { class: "field field-wide scopes" },
    h("legend", null, t("Права (scope)", "Scopes")),
    all.map((scope) => h("label", { class: "scope" }, h("input", { type: "checkbox", name: "scopes", value: scope, checked: chosen.has(scope), "data-list": true }), h("span", null, scope))),
  );
  formDialog({
    title: app ? t("Настройка приложения", "Setting up the application") : t("Локальное приложение", "A local application"),
    intro: app ? "" : t("Портал выдаст client_id и client_secret; они действуют только на этом портале.", "The portal issues client_id and client_secret; they are valid on this portal only."),
    button: t("Сохранить", "Save"),
    fields: [
      { name: "title", label: t("Название", "Title"), value: app ? field(app, "title") : "", required: true, wide: true },
      { name: "handler", label: t("Путь вашего обработчика", "Handler address"), type: "url", value: app ? field(app, "handler") : "", placeholder: "http://127.0.0.1:8000/app", wide: true },
      { name: "install", label: t("Путь для первоначальной установки", "Initial installation address"), type: "url", value: app ? field(app, "install") : "", placeholder: "http://127.0.0.1:8000/install", wide: true, hint: t("Без него приложение готово сразу", "Without it the application is ready at once") },
      { name: "script_only", label: t("Использует только API (без интерфейса)", "Uses the API only (no interface)"), type: "checkbox", checked: app ? Boolean(field(app, "scriptOnly")) : false, hint: t("При сохранении портал сам пришлёт ONAPPINSTALL на путь установки", "On saving the portal itself sends ONAPPINSTALL to the install address") },
      scopes,
    ],
    submit: (values) => {
      const body = { title: values.title, handler: values.handler, install: values.install, scopes: values.scopes || [], script_only: values.script_only };
      return app
        ? act("PATCH", `applications/${encodeURIComponent(field(app, "clientId"))}`, body, t("Сохранено", "Saved"))
        : act("POST", "applications", body, t("Приложение создано: откройте его, чтобы установить", "The application is created: open it to install"));
    },
  });
}

// -------------------------------------------------------------------- journal

const KINDS = () => ({
  request: t("запрос", "request"), effect: t("изменение", "effect"), event: t("событие", "event"), robot: t("робот", "robot"),
  frame: t("фрейм", "frame"), oauth: "OAuth", alarm: t("тревога", "alarm"), fault: t("сбой", "fault"),
});

/** Reads what is new in the ledger; called once a second while the journal is open. */
export async function readJournal() {
  let news;
  try {
    news = await control("GET", `ledger?since=${view.last}`);
  } catch {
    return;
  }
  if (news.last < view.last) {
    view.entries = [];
    view.last = 0;
    return;
  }
  // An entry may be completed after it was written (the status of a delivery): the young ones are read again.
  const fresh = new Map(news.entries.map((entry) => [entry.n, entry]));
  if (!fresh.size) {
    return;
  }
  view.entries = [...view.entries.filter((entry) => !fresh.has(entry.n)), ...news.entries].slice(-3000);
  const young = view.entries.find((entry) => entry.kind !== "request" && entry.kind !== "effect" && !entry.status && !entry.error && news.last - entry.n < 50 && view.entries.length > 50);
  view.last = young ? Math.max(view.last, young.n - 1) : news.last;
  changed();
}

async function readRules() {
  try {
    const [faults, rules] = await Promise.all([control("GET", "faults"), control("GET", "event-rules")]);
    const list = (answer) => (Array.isArray(answer) ? answer : answer.faults || answer.rules || answer.event_rules || []);
    view.faults = list(faults);
    view.rules = list(rules);
    changed();
  } catch (error) {
    toast(error.message, "error");
  }
}

const TYPES = {
  lead: "лид", deal: "сделка", contact: "контакт", company: "компания", task: "задача", activity: "дело", comment: "комментарий", person: "сотрудник",
  "working day": "рабочий день", application: "приложение", workflow: "запуск роботов", placement: "встройка", robot: "робот", "event handler": "обработчик события",
};
const WAYS = { rest: "REST", person: "человек", system: "система", automation: "автоматизация" };

function entryWords(entry) {
  switch (entry.kind) {
    case "request":
      return [entry.method || entry.path || "", entry.batch && entry.batch.length ? ` · ${entry.batch.map((one) => (typeof one === "string" ? one : one.method)).join(", ")}` : ""].join("");
    case "effect":
      return `${{ create: t("создано", "created"), update: t("изменено", "updated"), delete: t("удалено", "deleted") }[entry.change] || entry.change || ""} ${TYPES[entry.type] ? t(TYPES[entry.type], entry.type) : entry.type || ""} ${entry.id || ""}`;
    case "event":
      return `${entry.event || ""} ${entry.entity ? `· ${typeof entry.entity === "object" ? JSON.stringify(entry.entity) : entry.entity}` : ""}`;
    case "alarm":
      return entry.text || "";
    default:
      return [entry.code, entry.method, entry.event, entry.placement, entry.text, entry.grant_type, entry.effect].filter(Boolean).join(" · ") || entry.url || "";
  }
}

const failedEntry = (entry) => Boolean(entry.error) || Number(entry.status) >= 400 || entry.kind === "alarm";

function shownEntries() {
  const wanted = view.text.trim().toLowerCase();
  return view.entries
    .filter((entry) => (!view.kind || entry.kind === view.kind) && (!view.errors || failedEntry(entry)) && (!wanted || JSON.stringify(entry).toLowerCase().includes(wanted)))
    .reverse();
}

/** The view of the journal: entries, faults and event rules, the portal's switches. */
export function journalView() {
  return [
    viewHead(t("Журнал", "Journal"), h("span", { class: "spacer" }), view.journal === "entries" ? button("down", t("Выгрузить JSON", "Export JSON"), exportJournal) : null),
    tabs(
      t("Разделы журнала", "Parts of the journal"),
      [["entries", t("Записи", "Entries")], ["rules", t("Сбои и события", "Faults and events"), view.faults.length + view.rules.length], ["portal", t("Портал", "Portal")]],
      view.journal,
      (value) => {
        view.journal = value;
        if (value === "rules") {
          readRules();
        }
      },
    ),
    view.journal === "entries" ? entriesView() : view.journal === "rules" ? rulesView() : portalView(),
  ];
}

function entriesView() {
  const kinds = KINDS();
  const shown = shownEntries();
  return [
    limitsLine(),
    h(
      "div",
      { class: "filters", "data-key": "filters", role: "search" },
      h("select", { "aria-label": t("Вид записи", "Kind of entry"), value: view.kind, "data-live": true, onchange: (event) => { view.kind = event.target.value; changed(); } }, [["", t("Все записи", "All entries")], ...Object.entries(kinds)].map(([value, label]) => h("option", { value, selected: value === view.kind }, label))),
      h("input", { type: "search", value: view.text, placeholder: t("Метод, событие, номер…", "Method, event, number…"), "aria-label": t("Найти в журнале", "Find in the journal"), oninput: (event) => { view.text = event.target.value; changed(); } }),
      h("button", { type: "button", class: "chip chip-button", "aria-pressed": String(view.errors), onclick: () => { view.errors = !view.errors; changed(); } }, t("Только ошибки", "Errors only")),
      h("span", { class: "muted" }, count(shown.length, "запись", "записи", "записей", "entry", "entries")),
    ),
    shown.length
      ? h(
          "div",
          { class: "box table-box journal", "data-key": "journal", tabindex: "0", role: "group", "aria-label": t("Таблица записей", "Table of entries") },
          h(
            "table",
            { class: "table" },
            h("thead", null, h("tr", null, ["№", t("Время", "Time"), t("Вид", "Kind"), t("Что", "What"), t("Кто", "Who"), t("Итог", "Result"), t("Стоимость", "Cost")].map((one) => h("th", { scope: "col" }, one)))),
            h(
              "tbody",
              null,
              shown.slice(0, 300).map((entry) =>
                h(
                  "tr",
                  { "data-key": `n${entry.n}`, class: failedEntry(entry) ? "failed" : "" },
                  h("td", { class: "nowrap muted" }, String(entry.n)),
                  h("td", { class: "nowrap" }, timeText(entry.at, true)),
                  h("td", null, h("span", { class: `tag kind-${entry.kind}` }, kinds[entry.kind] || entry.kind)),
                  h("td", null, h("button", { type: "button", class: "link", onclick: () => openEntry(entry.n) }, entryWords(entry).trim() || `№ ${entry.n}`)),
                  h("td", null, whoOf(entry)),
                  h("td", null, entry.status || entry.error ? h("span", { class: `tag ${failedEntry(entry) ? "tag-bad" : "tag-good"}` }, [entry.status, errorText(entry.error)].filter(Boolean).join(" ")) : ""),
                  h("td", { class: "nowrap muted" }, costOf(entry)),
                ),
              ),
            ),
          ),
        )
      : empty("journal", view.entries.length ? t("По этому отбору записей нет", "No entry matches the filter") : t("Журнал пуст", "The journal is empty"), view.entries.length ? t("Смягчите отбор.", "Loosen the filter.") : t("Здесь появится каждый запрос, событие и изменение.", "Every request, event and change appears here.")),
  ];
}

const errorText = (error) => (error && typeof error === "object" ? error.error || error.code || JSON.stringify(error) : error || "");

function whoOf(entry) {
  const who = entry.user_id && person(entry.user_id) ? nameOf(person(entry.user_id)) : "";
  const app = entry.application ? applicationTitle(part("applications").find((one) => field(one, "clientId") === entry.application || field(one, "id") === entry.application) || { title: String(entry.application) }) : (store.lang === "ru" && WAYS[entry.via]) || entry.via || "";
  return h("span", null, who, who && app ? h("span", { class: "muted" }, ` · ${app}`) : app);
}

function costOf(entry) {
  const operating = Number(entry.operating);
  const bucket = entry.bucket ?? entry.level;
  return [
    operating ? `${operating.toFixed(operating < 1 ? 3 : 1)} ${t("с", "s")}` : "",
    bucket !== undefined && bucket !== null && bucket !== "" ? `${t("ведро", "bucket")} ${typeof bucket === "object" ? JSON.stringify(bucket) : Math.round(Number(bucket) * 10) / 10}` : "",
  ].filter(Boolean).join(" · ");
}

function openEntry(number) {
  openLayer({
    key: `entry:${number}`,
    title: t(`Запись № ${number}`, `Entry № ${number}`),
    width: 720,
    closeLabel: t("Закрыть", "Close"),
    content: () => {
      const entry = view.entries.find((one) => one.n === number);
      if (!entry) {
        return [h("p", { class: "muted" }, t("Запись уже вытеснена", "The entry is gone"))];
      }
      return [
        h(
          "dl",
          { class: "facts box" },
          Object.entries(entry)
            .filter(([, value]) => value !== null && value !== "" && typeof value !== "object")
            .map(([key, value]) => h("div", { class: "fact" }, h("dt", null, key), h("dd", { class: "break" }, key === "at" ? `${timeText(value, true)} (${value})` : String(value)))),
        ),
        Object.entries(entry)
          .filter(([, value]) => value && typeof value === "object")
          .map(([key, value]) => h("section", { "data-key": `part-${key}` }, h("h3", null, key), h("pre", { class: "box code", tabindex: "0" }, JSON.stringify(value, null, 2)))),
      ];
    },
  });
}

async function exportJournal() {
  try {
    const all = await control("GET", "ledger?since=0");
    const link = h("a", { href: URL.createObjectURL(new Blob([JSON.stringify({ portal: location.host, exported: new Date().toISOString(), state_now: store.state.now, ...all }, null, 2)], { type: "application/json" })), download: `journal-${location.host.replace(":", "-")}.json` });
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    toast(t(`Выгружено записей: ${all.entries.length}`, `Entries exported: ${all.entries.length}`));
  } catch (error) {
    toast(error.message, "error");
  }
}

function limitsLine() {
  const limits = store.state.limits || {};
  const chip = (label, value) => h("span", { class: "chip" }, h("span", { class: "muted" }, label), " ", value);
  return h(
    "div",
    { class: "limits", "data-key": "limits" },
    chip(t("лимиты", "limits"), limits.enabled === false ? t("выключены", "off") : t(`${limits.leak}/с после ${limits.size}`, `${limits.leak}/s after ${limits.size}`)),
    limits.neighbours ? chip(t("соседи", "neighbours"), t(`${limits.neighbours}/с`, `${limits.neighbours}/s`)) : null,
    Object.entries(limits.levels || {}).map(([source, level]) => chip(t(`ведро ${source}`, `bucket of ${source}`), String(level))),
  );
}

function inlineForm(fields, text, submit) {
  const form = h(
    "form",
    { class: "form inline-form", "data-keep": true, "data-key": `${text}-${store.lang}`, onsubmit: async (event) => { event.preventDefault(); await submit(formValues(form)); } },
    h("div", { class: "fields" }, fields.map((spec) => formField(spec))),
    h("div", { class: "form-foot" }, h("button", { type: "submit", class: "button primary" }, text)),
  );
  return form;
}

function ruleList(rules, path) {
  if (!rules.length) {
    return h("p", { class: "muted" }, t("Правил нет: портал ведёт себя исправно.", "No rules: the portal behaves."));
  }
  return [
    h("ul", { class: "plain-list" }, rules.map((rule, index) => h("li", { "data-key": `rule-${rule.id ?? index}` }, h("code", null, Object.entries(rule).filter(([key, value]) => key !== "id" && value !== null && value !== undefined).map(([key, value]) => `${key}=${value}`).join("  "))))),
    button("trash", t("Снять все", "Remove all"), async () => { await act("DELETE", path, undefined, t("Правила сняты", "The rules are removed")); readRules(); }, "small"),
  ];
}

function rulesView() {
  const effects = [["drop", t("оборвать соединение", "drop the connection")], ["delay", t("задержать", "delay")], ["html", t("ответить HTML", "answer HTML")], ["truncate", t("обрезать ответ", "cut the answer short")], ["status", t("ответить статусом", "answer a status")], ["error", t("ответить ошибкой", "answer an error")]];
  return h(
    "div",
    { class: "two", "data-key": "rules" },
    h(
      "section",
      { class: "box" },
      h("h2", null, t("Сбои запросов", "Faults of requests")),
      ruleList(view.faults, "faults"),
      inlineForm(
        [
          { name: "method", label: t("Метод (* — любой, oauth — сервер авторизации)", "Method (* any, oauth the authorization server)"), value: "crm.item.update", required: true, wide: true },
          { name: "effect", label: t("Что случится", "What happens"), type: "select", options: effects, value: "drop" },
          { name: "when", label: t("Когда", "When"), type: "select", options: [["before", t("до действия", "before the effect")], ["after", t("после действия", "after the effect")]], value: "before" },
          { name: "count", label: t("Сколько раз", "How many times"), type: "number", value: 1, min: 1 },
          { name: "seconds", label: t("Секунд (для задержки)", "Seconds (for a delay)"), type: "number", min: 0, step: "any" },
          { name: "status", label: t("Статус HTTP", "HTTP status"), type: "number", min: 100, max: 599 },
          { name: "error", label: t("Код ошибки", "Error code"), placeholder: "QUERY_LIMIT_EXCEEDED" },
        ],
        t("Добавить сбой", "Add the fault"),
        async (values) => {
          const body = { method: values.method, effect: values.effect, when: values.when, count: Number(values.count) || 1 };
          for (const name of ["seconds", "status"]) {
            if (values[name] !== "") {
              body[name] = Number(values[name]);
            }
          }
          if (values.error) {
            body.error = values.error;
          }
          await act("POST", "faults", body, t("Сбой задан", "The fault is set"));
          readRules();
        },
      ),
    ),
    h(
      "section",
      { class: "box" },
      h("h2", null, t("Доставка событий", "Delivery of events")),
      ruleList(view.rules, "event-rules"),
      inlineForm(
        [
          { name: "event", label: t("Событие (* — любое)", "Event (* any)"), value: "ONCRMLEADADD", required: true, wide: true },
          { name: "action", label: t("Что сделать", "What to do"), type: "select", value: "duplicate", options: [["duplicate", t("отправить дважды", "send twice")], ["delay", t("задержать", "delay")], ["lose", t("потерять", "lose")], ["reorder", t("поменять порядок", "reorder")]] },
          { name: "count", label: t("Сколько раз", "How many times"), type: "number", value: 1, min: 1 },
          { name: "seconds", label: t("Секунд (для задержки)", "Seconds (for a delay)"), type: "number", min: 0, step: "any" },
        ],
        t("Добавить правило", "Add the rule"),
        async (values) => {
          const body = { event: values.event, action: values.action, count: Number(values.count) || 1 };
          if (values.seconds !== "") {
            body.seconds = Number(values.seconds);
          }
          await act("POST", "event-rules", body, t("Правило задано", "The rule is set"));
          readRules();
        },
      ),
    ),
  );
}

function portalView() {
  const state = store.state;
  const limits = state.limits || {};
  const settings = state.settings || {};
  const flag = (name, fallback) => settings[name] ?? fallback;
  const speeds = [1, 10, 60, 600];
  const speed = Number(state.speed) || 1;
  const shift = (hours, text) => button("", text, () => act("POST", "time", { shift_seconds: hours * 3600 }, t("Часы переведены", "The clock is moved")), "small");
  const toggle = (text, on, body, path = "settings", verb = "PATCH") =>
    h("button", { type: "button", class: "chip chip-button", "aria-pressed": String(Boolean(on)), onclick: () => act(verb, path, body) }, text);
  return h(
    "div",
    { class: "two", "data-key": "portal" },
    h(
      "section",
      { class: "box" },
      h("h2", null, t("Время", "Time")),
      h("p", { class: "big-clock" }, new Intl.DateTimeFormat(store.lang === "en" ? "en-GB" : "ru-RU", { dateStyle: "full", timeStyle: "short", timeZone: portalZone() }).format(portalNow())),
      h("p", { class: "muted" }, t("Скорость часов портала", "Speed of the portal's clock")),
      h("div", { class: "chips", role: "group", "aria-label": t("Скорость", "Speed") }, speeds.map((value) => h("button", { type: "button", class: "chip chip-button", "aria-pressed": String(value === speed), onclick: () => act("POST", "time", { speed: value }) }, `×${value}`))),
      h("p", { class: "muted" }, t("Перевести вперёд", "Move forward")),
      h("div", { class: "chips" }, shift(1, t("на час", "an hour")), shift(24, t("на сутки", "a day")), shift(168, t("на неделю", "a week"))),
    ),
    h(
      "section",
      { class: "box" },
      h("h2", null, t("Режим портала", "The portal's mode")),
      h(
        "div",
        { class: "chips column-chips" },
        toggle(t("Простой режим CRM: без лидов", "Simple CRM mode: no leads"), Number(state.mode) === 2, { mode: Number(state.mode) === 2 ? 1 : 2 }),
        toggle(t("Учёт рабочего времени", "Working-time tracking"), flag("timeman", true), { timeman: !flag("timeman", true) }),
        toggle(t("REST 3.0", "REST 3.0"), flag("rest_v3", true), { rest_v3: !flag("rest_v3", true) }),
      ),
      h("h2", null, t("Лимиты", "Limits")),
      h("div", { class: "chips column-chips" }, toggle(t("Соблюдать лимиты запросов", "Keep the request limits"), limits.enabled !== false, { enabled: limits.enabled === false }, "limits", "POST")),
      inlineForm(
        [{ name: "neighbours", label: t("Соседние приложения, запросов/с", "Neighbour applications, requests/s"), type: "number", min: 0, step: "any", value: limits.neighbours ?? 0 }],
        t("Задать", "Set"),
        (values) => act("POST", "limits", { neighbours: Number(values.neighbours) || 0 }, t("Задано", "Set")),
      ),
    ),
  );
}
