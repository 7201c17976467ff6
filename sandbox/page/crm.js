// CRM: the kanban of leads and deals, the buttons by which clients arrive, and the card of an item.

import { h, icon, openLayer, toast } from "./dom.js";
import {
  store, t, act, part, items, itemOf, kindOf, stagesOf, stageId, stageName, stageColor, stageEnd, person, nameOf, clientName, contactsOf, titleOf,
  phoneText, anyPhone, timeText, moneyText, field, count, moment, changed,
} from "./model.js";
import { avatar, personLine, empty, formDialog, tabs, viewHead, button, unbroken } from "./parts.js";
import { richText, plainText } from "./texts.js";
import { applicationFrame, openApplication, placementsOf, placementClient, placementTitle } from "./frames.js";
import { taskLine, tasksOf } from "./work.js";

const PAGE = 40;
const view = { shown: {}, category: "0", dragging: null, find: "", mine: false };

export const stageOf = (type, item) => field(item, "stageId") || field(item, "statusId");

/** Moves an item to a stage as the chosen person. */
export async function moveTo(type, item, stage) {
  const id = Number(field(item, "id"));
  if (stageOf(type, item) === stageId(stage)) {
    return;
  }
  const done = await act("PATCH", `items/${type}/${id}`, { fields: { stageId: stageId(stage) }, user_id: store.me });
  if (done) {
    toast(`${titleOf(type, item)} → ${stageName(stage)}`);
  }
}

// -------------------------------------------------------------------- kanban

function categoryOf(stage) {
  return String(field(stage, "categoryId") ?? (/^C(\d+):/.exec(stageId(stage)) || [0, "0"])[1] ?? "0") || "0";
}

/** The view of leads (1) or deals (2). */
export function kanban(type) {
  const kind = kindOf(type);
  const all = stagesOf(type);
  const categories = [...new Set(all.map(categoryOf))];
  if (!categories.includes(view.category)) {
    view.category = categories[0] || "0";
  }
  const stages = type === 2 ? all.filter((stage) => categoryOf(stage) === view.category) : all;
  const wanted = view.find.trim().toLowerCase();
  const digits = wanted.replace(/\D/g, "");
  const chosen = items(type).filter((item) => {
    if (view.mine && Number(field(item, "assignedById")) !== store.me) {
      return false;
    }
    if (!wanted) {
      return true;
    }
    const words = `${titleOf(type, item)} ${clientName(item)}`.toLowerCase();
    return words.includes(wanted) || (digits.length > 2 && contactsOf(item, "PHONE").some((one) => one.value.replace(/\D/g, "").includes(digits)));
  });
  const byStage = new Map(stages.map((stage) => [stageId(stage), []]));
  for (const item of chosen) {
    const column = byStage.get(stageOf(type, item));
    if (column) {
      column.push(item);
    }
  }
  const simple = type === 1 && Number(store.state.mode) === 2;
  return [
    viewHead(
      type === 1 ? t("Лиды", "Leads") : t("Сделки", "Deals"),
      h("span", { class: "muted" }, type === 1 ? count(chosen.length, "лид", "лида", "лидов", "lead", "leads") : count(chosen.length, "сделка", "сделки", "сделок", "deal", "deals")),
      h("span", { class: "spacer" }),
      h("input", {
        type: "search", class: "find", "data-key": "find", value: view.find, placeholder: t("Имя или телефон", "Name or phone"),
        "aria-label": t("Найти по имени или телефону", "Find by name or phone"),
        oninput: (event) => { view.find = event.target.value; changed(); },
      }),
      h("button", { type: "button", class: "chip chip-button", "aria-pressed": String(view.mine), onclick: () => { view.mine = !view.mine; changed(); } }, t("Только мои", "Only mine")),
    ),
    toolbar(type),
    type === 2 && categories.length > 1
      ? tabs(t("Воронка", "Pipeline"), categories.map((id) => [id, categoryName(id)]), view.category, (id) => { view.category = id; })
      : null,
    simple ? h("p", { class: "notice" }, t("Портал работает в простом режиме CRM: новые обращения сразу становятся сделками.", "The portal is in simple CRM mode: new enquiries become deals at once.")) : null,
    h("p", { class: "visually-hidden", id: "kanban-help" }, t("Enter открывает карточку, Alt и стрелки влево или вправо переносят её на соседнюю стадию.", "Enter opens the card, Alt with the left or right arrow moves it to the neighbouring stage.")),
    h(
      "div",
      { class: "kanban", "data-key": `kanban-${type}-${view.category}`, role: "group", "aria-label": t("Канбан по стадиям", "Kanban by stage"), tabindex: "0" },
      stages.map((stage) => column(type, stage, stages, byStage.get(stageId(stage)))),
    ),
    !items(type).length && !simple
      ? empty(kind.part, type === 1 ? t("Лидов пока нет", "There are no leads yet") : t("Сделок пока нет", "There are no deals yet"), t("Нажмите «Пропущенный звонок» или «Новый лид» выше: карточка появится здесь.", "Press “Missed call” or “New lead” above: a card appears here."))
      : null,
  ];
}

function categoryName(id) {
  const known = (store.state.categories || []).find((one) => String(field(one, "id")) === id);
  return known ? field(known, "name") : id === "0" ? t("Общая", "General") : `№ ${id}`;
}

function column(type, stage, stages, list) {
  const id = stageId(stage);
  const key = `${type}-${id}`;
  const sum = list.reduce((total, item) => total + (Number(field(item, "opportunity")) || 0), 0);
  const limit = view.shown[key] || PAGE;
  const newest = [...list].sort((a, b) => (moment(field(b, "movedTime")) || 0) - (moment(field(a, "movedTime")) || 0) || Number(field(b, "id")) - Number(field(a, "id")));
  return h(
    "section",
    {
      class: "column", "data-key": key, "data-stage": id, "aria-label": stageName(stage), style: { "--stage": stageColor(stage) },
      ondragover: (event) => { if (view.dragging) { event.preventDefault(); event.dataTransfer.dropEffect = "move"; event.currentTarget.classList.add("over"); } },
      ondragleave: (event) => { if (!event.currentTarget.contains(event.relatedTarget)) { event.currentTarget.classList.remove("over"); } },
      ondrop: (event) => {
        event.preventDefault();
        event.currentTarget.classList.remove("over");
        const [fromType, itemId] = (view.dragging || "").split(":").map(Number);
        const item = fromType === type && itemOf(type, itemId);
        if (item) {
          moveTo(type, item, stage);
        }
      },
    },
    h(
      "header",
      { class: "column-head" },
      h("h2", { title: stageName(stage) }, stageName(stage)),
      h("span", { class: "count" }, String(list.length)),
      sum ? h("span", { class: "column-sum" }, moneyText(sum)) : null,
    ),
    list.length
      ? h(
          "ul",
          { class: "cards" },
          newest.slice(0, limit).map((item) => card(type, item, stage, stages)),
          newest.length > limit
            ? h("li", { "data-key": "more" }, button("", t(`Ещё ${newest.length - limit}`, `${newest.length - limit} more`), () => { view.shown[key] = limit + 100; changed(); }, "quiet wide"))
            : null,
        )
      : h("p", { class: "column-empty" }, stageEnd(stage) ? t("Здесь пусто", "Nothing here") : t("Перетащите карточку сюда", "Drag a card here")),
  );
}

const SOURCES = {
  CALL: ["Звонок", "Call"], EMAIL: ["Письмо", "E-mail"], WEB: ["Сайт", "Web site"], WEBFORM: ["Форма", "Web form"], CALLBACK: ["Обратный звонок", "Callback"],
  ADVERTISING: ["Реклама", "Advertising"], PARTNER: ["Партнёр", "Partner"], RECOMMENDATION: ["Рекомендация", "Recommendation"], TRADE_SHOW: ["Выставка", "Trade show"],
  OTHER: ["Другое", "Other"], REPEAT_SALE: ["Повторная", "Repeat sale"], STORE: ["Магазин", "Store"], IMPORT: ["Импорт", "Import"],
};
const sourceName = (id) => (SOURCES[id] ? t(...SOURCES[id]) : id || "");

function card(type, item, stage, stages) {
  const id = Number(field(item, "id"));
  const client = clientName(item);
  const phone = contactsOf(item, "PHONE")[0];
  const owner = person(field(item, "assignedById"));
  const open = tasksOf(type, id).filter((task) => Number(field(task, "status")) !== 5).length;
  const title = titleOf(type, item);
  const path = `/crm/${kindOf(type).path}/details/${id}/`;
  return h(
    "li",
    {
      class: "card", draggable: "true", "data-key": `card-${type}-${id}`, "data-item": id,
      ondragstart: (event) => { view.dragging = `${type}:${id}`; event.dataTransfer.effectAllowed = "move"; event.dataTransfer.setData("text/plain", title); event.currentTarget.classList.add("dragged"); },
      ondragend: (event) => { view.dragging = null; event.currentTarget.classList.remove("dragged"); },
      onclick: (event) => { if (!event.target.closest("a")) { openCard(type, id); } },
    },
    h(
      "a",
      {
        class: "card-title", href: path, draggable: "false", "aria-describedby": "kanban-help", "data-key": `link-${type}-${id}`,
        onkeydown: (event) => {
          const step = event.altKey && (event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0);
          if (step) {
            event.preventDefault();
            const next = stages[stages.indexOf(stage) + step];
            if (next) {
              keepFocus(`link-${type}-${id}`);
              moveTo(type, item, next);
            }
          } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            const links = [...event.currentTarget.closest(".cards").querySelectorAll(".card-title")];
            const to = links[links.indexOf(event.currentTarget) + (event.key === "ArrowDown" ? 1 : -1)];
            if (to) {
              to.focus();
            }
          }
        },
      },
      unbroken(title),
    ),
    h("div", { class: "card-sum" }, moneyText(field(item, "opportunity"), field(item, "currencyId"))),
    client && client !== title ? h("div", { class: "card-client" }, client) : null,
    phone ? h("div", { class: "card-phone" }, phoneText(phone.value)) : null,
    h(
      "div",
      { class: "card-foot" },
      owner ? h("span", { class: "card-owner" }, avatar(owner, "small"), h("span", null, nameOf(owner))) : h("span", { class: "card-owner muted" }, t("без ответственного", "nobody")),
      h("span", { class: "spacer" }),
      open ? h("span", { class: "mark", title: t("Открытые задачи", "Open tasks") }, icon("tasks"), h("span", { class: "visually-hidden" }, t("открытых задач:", "open tasks:")), String(open)) : null,
    ),
    h(
      "div",
      { class: "card-top" },
      field(item, "sourceId") ? h("span", { class: "tag" }, sourceName(field(item, "sourceId"))) : null,
      h("span", { class: "spacer" }),
      h("span", { class: "card-time" }, timeText(field(item, "createdTime") || field(item, "dateCreate"))),
    ),
  );
}

let focusLater = "";

function keepFocus(key) {
  focusLater = key;
}

/** After a refresh: the card that was moved by the keyboard keeps the focus in its new column. */
export function restoreFocus() {
  if (!focusLater || document.activeElement?.getAttribute("data-key") === focusLater) {
    return;
  }
  const there = document.querySelector(`[data-key="${CSS.escape(focusLater)}"]`);
  const lost = document.activeElement === document.body;
  if (there && lost) {
    there.focus();
    focusLater = "";
  }
}

// -------------------------------------------------------------- how clients come

/** The buttons by which clients arrive. */
export function toolbar(type) {
  const placements = type ? placementsOf(`CRM_${kindOf(type).event}_LIST_TOOLBAR`) : [];
  return h(
    "div",
    { class: "toolbar", "data-key": "toolbar", role: "toolbar", "aria-label": t("Новые обращения", "New enquiries") },
    button("missed", t("Пропущенный звонок", "Missed call"), missedCall, "primary"),
    button("calls", t("Звонок", "Call"), ringingCall),
    type === 2
      ? button("plus", t("Новая сделка", "New deal"), () => newItem(2))
      : button("plus", t("Новый лид вручную", "New lead by hand"), () => newItem(1)),
    button("form", t("Форма с сайта", "Web form"), webForm),
    button("mail", t("Письмо", "E-mail"), letter),
    button("import", t("Импорт", "Import"), importLeads),
    placements.map((placement) =>
      button("apps", placementTitle(placement), () => openApplication({ clientId: placementClient(placement), placement: field(placement, "placement"), title: placementTitle(placement) }), "quiet"),
    ),
  );
}

function phoneField() {
  const known = [];
  for (const type of [3, 1]) {
    for (const item of items(type).slice(0, 6)) {
      const phone = contactsOf(item, "PHONE")[0];
      if (phone) {
        known.push([phone.value, clientName(item) || titleOf(type, item)]);
      }
    }
  }
  const list = h("datalist", { id: "known-phones" }, known.map(([value, label]) => h("option", { value, label })));
  const box = h(
    "div",
    { class: "field field-wide" },
    h("label", { for: "call-phone" }, t("Номер клиента", "Client's number")),
    h(
      "div",
      { class: "with-button" },
      h("input", { id: "call-phone", name: "phone", type: "tel", required: true, value: anyPhone(), list: "known-phones", autocomplete: "off", "aria-describedby": "call-phone-hint" }),
      h("button", { type: "button", class: "button", onclick: () => { box.querySelector("input").value = anyPhone(); } }, t("Другой", "Another")),
    ),
    h("p", { class: "hint", id: "call-phone-hint" }, t("Случайный номер. Можно выбрать номер знакомого клиента.", "A random number. A known client's number can be chosen.")),
    list,
  );
  return box;
}

function missedCall() {
  formDialog({
    title: t("Пропущенный звонок", "Missed call"),
    intro: t("Клиент звонит на общую линию, никто не отвечает.", "A client calls the common line and nobody answers."),
    button: t("Позвонить и не ответить", "Call and miss it"),
    fields: [phoneField()],
    submit: (values) => act("POST", "missed-call", { phone: values.phone }, (done) => (done.lead_id ? t(`Звонок пропущен, лид № ${done.lead_id}`, `Call missed, lead № ${done.lead_id}`) : t("Звонок пропущен", "Call missed"))),
  });
}

/** The dialog that starts a ringing call. */
export function ringingCall() {
  formDialog({
    title: t("Входящий звонок", "Incoming call"),
    intro: t("Телефон зазвонит: ответить или завершить можно в окне звонка.", "The phone rings: answer or end it in the call's window."),
    button: t("Позвонить", "Ring"),
    fields: [phoneField()],
    submit: (values) => act("POST", "calls", { phone: values.phone, type: 2 }),
  });
}

function newItem(type) {
  const deal = type === 2;
  formDialog({
    title: deal ? t("Новая сделка", "New deal") : t("Новый лид вручную", "New lead by hand"),
    intro: t(`Создаёт: ${nameOf(person(store.me))}`, `Created by ${nameOf(person(store.me))}`),
    button: t("Создать", "Create"),
    fields: [
      { name: "title", label: t("Название", "Title"), placeholder: deal ? t("Кухня под заказ", "A kitchen to order") : t("Можно оставить пустым", "May stay empty"), required: deal, wide: true },
      ...(deal
        ? [{ name: "opportunity", label: t("Сумма, ₽", "Amount, ₽"), type: "number", min: 0 }]
        : [
            { name: "phone", label: t("Телефон", "Phone"), type: "tel", value: anyPhone() },
            { name: "name", label: t("Имя", "First name") },
            { name: "lastName", label: t("Фамилия", "Last name") },
          ]),
      { name: "comments", label: t("Комментарий", "Comment"), type: "textarea", wide: true },
    ],
    submit: (values) => {
      const fields = {};
      for (const name of ["title", "name", "lastName", "comments", "opportunity"]) {
        if (values[name]) {
          fields[name] = values[name];
        }
      }
      if (values.phone) {
        fields.fm = [{ typeId: "PHONE", valueType: "MOBILE", value: values.phone }];
      }
      return act("POST", `items/${type}`, { fields, user_id: store.me }, t("Создано", "Created"));
    },
  });
}

function webForm() {
  formDialog({
    title: t("Форма с сайта", "Web form"),
    intro: t("Посетитель сайта заполняет форму «Рассчитать кухню».", "A visitor fills the form “Price of a kitchen”."),
    button: t("Отправить форму", "Send the form"),
    fields: [
      { name: "name", label: t("Имя", "Name"), value: t("Ольга", "Olga"), required: true },
      { name: "phone", label: t("Телефон", "Phone"), type: "tel", value: anyPhone() },
      { name: "email", label: "E-mail", type: "email", value: "olga@example.com" },
      { name: "comment", label: t("Сообщение", "Message"), type: "textarea", value: t("Сколько стоит угловая кухня 2,4 × 1,8 м?", "What does a corner kitchen of 2.4 × 1.8 m cost?"), wide: true },
    ],
    submit: (values) => act("POST", "web-form", values, t("Форма отправлена", "The form is sent")),
  });
}

function letter() {
  formDialog({
    title: t("Письмо клиента", "A client's e-mail"),
    button: t("Отправить письмо", "Send the e-mail"),
    fields: [
      { name: "from", label: t("От кого", "From"), type: "email", value: "client@example.com", required: true },
      { name: "subject", label: t("Тема", "Subject"), value: t("Вопрос о кухне", "A question about a kitchen"), required: true },
      { name: "text", label: t("Текст", "Text"), type: "textarea", rows: 4, value: t("Добрый день! Пришлите, пожалуйста, каталог.", "Good day! Please send me the catalogue."), wide: true },
      { name: "to_user_id", label: t("Кому", "To"), type: "select", value: "", options: [["", t("Общий ящик", "Common mailbox")], ...part("people").map((one) => [one.id, nameOf(one)])] },
    ],
    submit: ({ to_user_id: to, ...values }) => act("POST", "email", to ? { ...values, to_user_id: Number(to) } : values, t("Письмо доставлено", "The e-mail is delivered")),
  });
}

function importLeads() {
  formDialog({
    title: t("Импорт лидов", "Import of leads"),
    intro: t(`Лиды из файла загружает ${nameOf(person(store.me))}.`, `${nameOf(person(store.me))} loads leads from a file.`),
    button: t("Загрузить", "Import"),
    fields: [{ name: "count", label: t("Сколько лидов", "How many leads"), type: "number", value: 50, min: 1, max: 5000, required: true }],
    submit: (values) => act("POST", "import", { count: Number(values.count), user_id: store.me }, t("Импорт выполнен", "Imported")),
  });
}

// ------------------------------------------------------------------------ card

const cards = new Map();

/** Opens the card of an item; returns false when there is none. */
export function openCard(type, id, onclose) {
  const first = itemOf(type, id);
  if (!first) {
    return false;
  }
  const key = `card:${type}:${id}`;
  const state = cards.get(key) || { tab: "main", editing: false, frames: new Map() };
  cards.set(key, state);
  state.editing = false;
  state.tab = "main";
  const path = `/crm/${kindOf(type).path}/details/${id}/`;
  openLayer({
    key,
    title: titleOf(type, first),
    closeLabel: t("Закрыть карточку", "Close the card"),
    onclose: () => {
      state.frames.clear();
      cards.delete(key);
      if (onclose) {
        onclose();
      }
    },
    head: () => [
      h("span", { class: "muted" }, `${t(kindOf(type).ru, kindOf(type).en)} № ${id}`),
      placementsOf(`CRM_${kindOf(type).event}_DETAIL_TOOLBAR`).map((placement) =>
        button("apps", placementTitle(placement), () => openApplication({ clientId: placementClient(placement), placement: field(placement, "placement"), options: { ID: String(id) }, title: placementTitle(placement) }), "quiet small"),
      ),
    ],
    content: (layer) => cardContent(type, id, state, layer, path),
  });
  return true;
}

function cardContent(type, id, state, layer, path) {
  const item = itemOf(type, id);
  if (!item) {
    return [empty(kindOf(type).part, t("Этой карточки больше нет", "This item no longer exists"), t("Её удалили, пока она была открыта.", "It was deleted while it was open."))];
  }
  layer.setTitle(titleOf(type, item));
  const placements = placementsOf(`CRM_${kindOf(type).event}_DETAIL_TAB`);
  const tasks = tasksOf(type, id);
  const choices = [
    ["main", t("Общие", "General")],
    ["tasks", t("Задачи", "Tasks"), tasks.length],
    ...placements.map((placement) => [`app-${placementClient(placement)}-${field(placement, "handler")}`, placementTitle(placement), 0, placement]),
  ];
  if (!choices.some(([value]) => value === state.tab)) {
    state.tab = "main";
  }
  return [
    stagesOf(type).length ? stageBar(type, item) : null,
    tabs(t("Вкладки карточки", "Tabs of the card"), choices, state.tab, (value) => { state.tab = value; }),
    h(
      "div",
      { class: "card-tab card-main", "data-key": "tab-main", hidden: state.tab !== "main" },
      h("div", { class: "card-left" }, fieldsPanel(type, item, state), clientPanel(type, item)),
      h("div", { class: "card-right" }, commentForm(type, id), activityButtons(type, id), timeline(type, id, item)),
    ),
    h("div", { class: "card-tab", "data-key": "tab-tasks", hidden: state.tab !== "tasks" }, taskPanel(tasks)),
    placements.map((placement, index) => {
      const [value] = choices[index + 2];
      if (state.tab === value && !state.frames.has(value)) {
        state.frames.set(
          value,
          applicationFrame({
            clientId: placementClient(placement),
            placement: field(placement, "placement"),
            handler: field(placement, "handler"),
            options: { ID: String(id), URI: path },
            title: placementTitle(placement),
          }),
        );
      }
      const box = state.frames.get(value);
      return box ? h("div", { class: "card-tab card-frame", "data-key": `tab-${value}`, hidden: state.tab !== value }, box.isConnected ? h("div", { class: "frame-box", "data-keep": true }) : box) : null;
    }),
  ];
}

function stageBar(type, item) {
  const now = stageOf(type, item);
  const all = stagesOf(type);
  const category = String(field(item, "categoryId") ?? "0") || "0";
  const stages = type === 2 ? all.filter((stage) => categoryOf(stage) === category) : all;
  const at = stages.findIndex((stage) => stageId(stage) === now);
  const color = at >= 0 ? stageColor(stages[at]) : "#888";
  return h(
    "div",
    { class: "stages", role: "group", "aria-label": t("Стадия", "Stage"), "data-key": "stages" },
    stages.map((stage, index) =>
      h(
        "button",
        {
          type: "button", "data-key": stageId(stage), class: `stage ${index <= at && !(stageEnd(stages[at]) && stageEnd(stage) && index !== at) ? "passed" : ""}`, style: { "--stage": index <= at ? color : stageColor(stage) },
          "aria-pressed": String(index === at), title: stageName(stage), onclick: () => moveTo(type, item, stage),
        },
        h("span", null, stageName(stage)),
      ),
    ),
  );
}

function fieldRows(type) {
  const people = part("people").map((one) => [one.id, nameOf(one)]);
  const rows = [
    { name: "title", label: t("Название", "Title"), types: [1, 2, 4] },
    { name: "name", label: t("Имя", "First name"), types: [1, 3] },
    { name: "secondName", label: t("Отчество", "Second name"), types: [1, 3] },
    { name: "lastName", label: t("Фамилия", "Last name"), types: [1, 3] },
    { name: "companyTitle", label: t("Компания", "Company"), types: [1] },
    { name: "opportunity", label: t("Сумма", "Amount"), input: "number", types: [1, 2], show: (item) => moneyText(field(item, "opportunity"), field(item, "currencyId")) },
    { name: "sourceId", label: t("Источник", "Source"), input: "select", types: [1, 2, 3], options: [["", "—"], ...Object.keys(SOURCES).map((id) => [id, sourceName(id)])], show: (item) => sourceName(field(item, "sourceId")) },
    { name: "assignedById", label: t("Ответственный", "Responsible"), input: "select", types: [1, 2, 3, 4], options: people, show: (item) => personLine(field(item, "assignedById")) },
    { name: "comments", label: t("Комментарий", "Comment"), input: "textarea", types: [1, 2, 3, 4], show: (item) => (field(item, "comments") ? h("div", { class: "rich" }, richText(field(item, "comments"))) : "") },
  ];
  return rows.filter((row) => row.types.includes(type));
}

function fieldsPanel(type, item, state) {
  const id = Number(field(item, "id"));
  const rows = fieldRows(type);
  if (state.editing) {
    return editForm(type, item, state, rows);
  }
  const observers = field(item, "observers");
  return h(
    "section",
    { class: "box", "data-key": "fields", "aria-labelledby": `about-${type}-${id}` },
    h("div", { class: "box-head" }, h("h3", { id: `about-${type}-${id}` }, type === 2 ? t("О сделке", "About the deal") : type === 1 ? t("О лиде", "About the lead") : t("О клиенте", "About the client")), button("pencil", t("Изменить", "Edit"), () => { state.editing = true; changed(); document.querySelector(".layer-body .edit-form input")?.focus(); }, "quiet small", { "data-key": "edit" })),
    h(
      "dl",
      { class: "facts" },
      rows.map((row) => {
        const raw = row.show ? row.show(item) : field(item, row.name);
        return fact(row.label, raw === null || raw === undefined || raw === "" ? null : raw);
      }),
      Array.isArray(observers) && observers.length ? fact(t("Наблюдатели", "Observers"), h("span", { class: "people-row" }, observers.map((one) => personLine(one)))) : null,
      fact(t("Создал", "Created by"), field(item, "createdBy") ? personLine(field(item, "createdBy")) : null),
      fact(t("Создан", "Created"), timeText(field(item, "createdTime") || field(item, "dateCreate"))),
      fact(t("Изменён", "Changed"), timeText(field(item, "updatedTime") || field(item, "dateModify"))),
      Object.keys(item).filter((name) => /^uf_?crm/i.test(name)).map((name) => {
        const value = item[name];
        return value === null || value === "" || value === false || (Array.isArray(value) && !value.length) ? null : fact(name, typeof value === "object" ? JSON.stringify(value) : String(value));
      }),
    ),
  );
}

const fact = (label, value) => h("div", { class: "fact" }, h("dt", null, label), h("dd", value === null ? { class: "muted" } : null, value === null ? "—" : value));

function editForm(type, item, state, rows) {
  const id = Number(field(item, "id"));
  const phones = contactsOf(item, "PHONE");
  const emails = contactsOf(item, "EMAIL");
  const done = () => { state.editing = false; changed(); };
  const control = (row) => {
    const input = `edit-${type}-${id}-${row.name}`;
    const value = field(item, row.name) ?? "";
    const props = { id: input, name: row.name, autocomplete: "off" };
    return h(
      "div",
      { class: "field", "data-key": row.name },
      h("label", { for: input }, row.label),
      row.input === "select"
        ? h("select", props, row.options.map(([key, label]) => h("option", { value: key, selected: String(key) === String(value) }, label)))
        : row.input === "textarea"
          ? h("textarea", { ...props, rows: 3, value })
          : h("input", { ...props, type: row.input || "text", value }),
    );
  };
  return h(
    "form",
    {
      class: "box edit-form", "data-key": "edit-form", "data-keep": true,
      onkeydown: (event) => { if (event.key === "Escape") { event.preventDefault(); done(); } },
      onsubmit: async (event) => {
        event.preventDefault();
        const fields = {};
        for (const row of rows) {
          const value = event.target.elements[row.name].value;
          if (String(field(item, row.name) ?? "") !== value) {
            fields[row.name] = ["assignedById", "opportunity"].includes(row.name) ? Number(value) : value;
          }
        }
        for (const [name, kind, old] of [["phone", "PHONE", phones], ["email", "EMAIL", emails]]) {
          const value = event.target.elements[name] ? event.target.elements[name].value.trim() : "";
          if (value && value !== ((old[0] || {}).value || "")) {
            fields.fm = { ...(fields.fm || {}), [old[0] && old[0].id ? String(old[0].id) : kind === "PHONE" ? "n0" : "n1"]: { typeId: kind, valueType: "WORK", value } };
          }
        }
        if (!Object.keys(fields).length || (await act("PATCH", `items/${type}/${id}`, { fields, user_id: store.me }, t(`Сохранено: ${nameOf(person(store.me))}`, `Saved by ${nameOf(person(store.me))}`)))) {
          done();
        }
      },
    },
    h("h3", null, t("Изменение полей", "Editing the fields")),
    rows.map(control),
    type === 2 ? null : [["phone", t("Телефон", "Phone"), phones, "tel"], ["email", "E-mail", emails, "email"]].map(([name, label, list, kind]) =>
      h("div", { class: "field" }, h("label", { for: `edit-${type}-${id}-${name}` }, label), h("input", { id: `edit-${type}-${id}-${name}`, name, type: kind, value: (list[0] || {}).value || "", autocomplete: "off" })),
    ),
    h(
      "div",
      { class: "form-foot" },
      h("button", { type: "submit", class: "button primary" }, t("Сохранить", "Save")),
      h("button", { type: "button", class: "button", onclick: done }, t("Отмена", "Cancel")),
      h("span", { class: "muted" }, t(`от имени: ${nameOf(person(store.me))}`, `as ${nameOf(person(store.me))}`)),
    ),
  );
}

function clientPanel(type, item) {
  const phones = contactsOf(item, "PHONE");
  const emails = contactsOf(item, "EMAIL");
  const contact = itemOf(3, field(item, "contactId"));
  const company = itemOf(4, field(item, "companyId"));
  if (!phones.length && !emails.length && !contact && !company) {
    return null;
  }
  return h(
    "section",
    { class: "box", "data-key": "client" },
    h("h3", null, t("Связь с клиентом", "Reaching the client")),
    h(
      "dl",
      { class: "facts" },
      phones.map((one) => fact(t("Телефон", "Phone"), h("span", { class: "phone-line" }, h("span", null, phoneText(one.value)), button("calls", t("Позвонить", "Call"), () => act("POST", "calls", { phone: one.value, type: 1, user_id: store.me }, t("Звоним…", "Calling…")), "quiet small")))),
      emails.map((one) => fact("E-mail", one.value)),
      contact ? fact(t("Контакт", "Contact"), h("a", { href: `/crm/contact/details/${field(contact, "id")}/` }, titleOf(3, contact))) : null,
      company ? fact(t("Компания", "Company"), h("a", { href: `/crm/company/details/${field(company, "id")}/` }, titleOf(4, company))) : null,
    ),
  );
}

function commentForm(type, id) {
  return h(
    "form",
    {
      class: "box comment-form", "data-key": `comment-form-${store.lang}`, "data-keep": true,
      onsubmit: async (event) => {
        event.preventDefault();
        const input = event.target.elements.comment;
        if (input.value.trim() && (await act("POST", "comments", { entity_type_id: type, entity_id: id, text: input.value, user_id: store.me }))) {
          input.value = "";
        }
      },
    },
    h("label", { for: `comment-${type}-${id}`, class: "visually-hidden" }, t("Комментарий", "Comment")),
    h("textarea", { id: `comment-${type}-${id}`, name: "comment", rows: 2, placeholder: t("Оставьте комментарий…", "Leave a comment…") }),
    h("button", { type: "submit", class: "button" }, t("Отправить", "Send")),
  );
}

/** Applications' buttons above the timeline. */
function activityButtons(type, id) {
  const placements = placementsOf(`CRM_${kindOf(type).event}_DETAIL_ACTIVITY`);
  return placements.length
    ? h(
        "div",
        { class: "chips", "data-key": "activity-buttons" },
        placements.map((placement) =>
          button("apps", placementTitle(placement), () => openApplication({ clientId: placementClient(placement), placement: field(placement, "placement"), options: { ID: String(id) }, title: placementTitle(placement) }), "small"),
        ),
      )
    : null;
}

// -------------------------------------------------------------------- timeline

const ENTITY_NUMBER = { lead: 1, deal: 2, contact: 3, company: 4 };

function belongs(record, type, id) {
  const bindings = field(record, "bindings");
  const owner = field(record, "ownerTypeId") ?? field(record, "entityTypeId") ?? ENTITY_NUMBER[String(field(record, "entityType") || "").toLowerCase()];
  const number = field(record, "ownerId") ?? field(record, "entityId");
  if (Number(owner) === type && Number(number) === id) {
    return true;
  }
  return Array.isArray(bindings) && bindings.some((one) => belongs(one, type, id));
}

function timeline(type, id, item) {
  const entries = [];
  for (const comment of part("comments")) {
    if (belongs(comment, type, id)) {
      entries.push({
        key: `comment-${field(comment, "id")}`, icon: "comment", at: field(comment, "created") || field(comment, "createdTime") || field(comment, "at"),
        title: nameOf(person(field(comment, "authorId"))), body: h("div", { class: "rich" }, richText(field(comment, "comment") || field(comment, "text"))), who: field(comment, "authorId"),
      });
    }
  }
  for (const activity of part("activities")) {
    // A task's own activity would show the task twice.
    if (belongs(activity, type, id) && !/TASKS?_?TASK/.test(field(activity, "providerId") || "")) {
      entries.push(activityEntry(activity));
    }
  }
  for (const task of tasksOf(type, id)) {
    entries.push({ key: `task-${field(task, "id")}`, icon: "tasks", at: field(task, "created"), title: t("Задача", "Task"), body: taskLine(task), who: field(task, "createdBy") });
  }
  for (const run of part("workflows")) {
    if (runBelongs(run, type, id)) {
      entries.push({ key: `run-${field(run, "id")}`, icon: "robots", at: field(run, "started") || field(run, "startedAt") || field(run, "at"), title: t("Автоматизация", "Automation"), body: runSummary(run) });
    }
  }
  entries.push({ key: "created", icon: "plus", at: field(item, "createdTime") || field(item, "dateCreate"), title: t("Карточка создана", "The item was created"), who: field(item, "createdBy") || field(item, "createdById") });
  entries.sort((a, b) => (moment(b.at) || 0) - (moment(a.at) || 0) || (a.key === "created" ? 1 : b.key === "created" ? -1 : 0));
  return h(
    "section",
    { class: "timeline", "data-key": "timeline" },
    h("h3", null, t("Лента", "Timeline")),
    h(
      "ol",
      null,
      entries.slice(0, 100).map((entry) =>
        h(
          "li",
          { class: "event", "data-key": entry.key },
          h("span", { class: `event-icon event-${entry.icon}` }, icon(entry.icon)),
          h("div", { class: "event-body" }, h("div", { class: "event-head" }, h("strong", null, entry.title), h("span", { class: "event-time" }, timeText(entry.at))), entry.body, entry.who && !String(entry.key).startsWith("comment") ? h("div", { class: "event-who" }, nameOf(person(entry.who))) : null),
        ),
      ),
    ),
  );
}

function activityEntry(activity) {
  const kind = Number(field(activity, "typeId"));
  const missed = kind === 2 && Number(field(activity, "direction")) === 1 && (field(activity, "settings")?.MISSED_CALL || field(activity, "settings")?.missedCall);
  const done = String(field(activity, "completed")) === "Y" || field(activity, "completed") === true;
  return {
    key: `activity-${field(activity, "id")}`,
    icon: missed ? "missed" : kind === 2 ? "calls" : kind === 4 ? "mail" : kind === 1 ? "people" : "flow",
    at: field(activity, "created") || field(activity, "startTime"),
    title: field(activity, "subject") || { 1: t("Встреча", "Meeting"), 2: t("Звонок", "Call"), 4: t("Письмо", "E-mail") }[kind] || t("Дело", "Activity"),
    who: field(activity, "responsibleId"),
    body: [
      field(activity, "description") ? h("div", { class: "rich" }, richText(field(activity, "description"))) : null,
      h("span", { class: `tag ${done ? "tag-good" : ""}` }, done ? t("завершено", "completed") : t("не завершено", "open")),
    ],
  };
}

export function runBelongs(run, type, id) {
  const document = field(run, "documentId");
  const last = Array.isArray(document) ? document[document.length - 1] : document;
  return last === `${kindOf(type).event}_${id}` || (Number(field(run, "entityTypeId")) === type && Number(field(run, "entityId") ?? field(run, "itemId")) === id);
}

/** A run of automation in one or a few lines. */
export function runSummary(run) {
  const log = field(run, "log") || [];
  return h(
    "div",
    { class: "run" },
    h("span", { class: `tag ${runClass(run)}` }, runStatus(run)),
    h("ul", { class: "run-log" }, log.slice(-6).map((line) => h("li", null, typeof line === "string" ? line : `${timeText(field(line, "at"))} ${plainText(field(line, "text") || field(line, "message") || JSON.stringify(line), 300)}`))),
  );
}

export const runStatus = (run) => {
  const status = String(field(run, "status") || "");
  const words = {
    running: t("выполняется", "running"), waiting: t("ждёт ответа", "waiting for an answer"), finished: t("завершено", "finished"), completed: t("завершено", "finished"),
    done: t("завершено", "finished"), terminated: t("остановлено", "stopped"), stopped: t("остановлено", "stopped"), failed: t("ошибка", "failed"), timeout: t("время вышло", "timed out"),
  };
  return words[status.toLowerCase()] || status || t("выполняется", "running");
};
export const runClass = (run) => ({ finished: "tag-good", completed: "tag-good", done: "tag-good", failed: "tag-bad", timeout: "tag-bad", waiting: "tag-wait", running: "tag-wait" })[String(field(run, "status") || "").toLowerCase()] || "";

function taskPanel(tasks) {
  if (!tasks.length) {
    return empty("tasks", t("Задач нет", "There are no tasks"), t("Задачи по этой карточке ставят люди и приложения; они появятся здесь.", "People and applications set tasks on this item; they appear here."));
  }
  return h("ul", { class: "task-list" }, tasks.map((task) => h("li", { "data-key": `task-${field(task, "id")}` }, taskLine(task, true))));
}
