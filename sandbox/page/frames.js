// Applications in frames: opening them by a form POST, and answering the messages of BX24.js (or any other frame client).

import { h, toast, openLayer } from "./dom.js";
import { store, t, control, act, poll, part, person, nameOf, items, kindOf, titleOf, clientName, field } from "./model.js";

const frames = new Map(); // window of a frame -> its record
let opener = () => "PATH_NOT_AVAILABLE";

/** The page tells how to open a path of the portal: opener(path, onclose) -> "" or an error code. */
export function setOpener(open) {
  opener = open;
}

export const application = (clientId) => part("applications").find((one) => field(one, "clientId") === clientId);
export const applicationTitle = (one) => field(one, "title") || field(one, "clientId") || t("приложение", "application");

/** A placement's caption in the page's language. */
export function placementTitle(placement) {
  const all = field(placement, "langAll") || {};
  const mine = all[store.lang] || all[store.lang.toUpperCase()] || {};
  return (
    mine.TITLE || mine.title || field(placement, "title") || applicationTitle(application(placementClient(placement)))
  );
}

export const placementClient = (placement) => field(placement, "clientId") || field(placement, "application");
export const placementCode = (placement) => field(placement, "placement") || field(placement, "code");

/** Whether the chosen person has access to the application. */
function mayOpen(app) {
  const users = (field(app, "users") || []).map(Number);
  return !users.length || users.includes(store.me) || Boolean(field(person(store.me), "admin"));
}

/** Placements of one code that the chosen person may see. */
export function placementsOf(code) {
  return part("placements").filter((placement) => {
    const owner = Number(field(placement, "userId") || 0);
    const app = application(placementClient(placement));
    return placementCode(placement) === code && (!owner || owner === store.me) && field(placement, "shown") !== false && (!app || (field(app, "installed") !== false && mayOpen(app)));
  });
}

/**
 * A frame with an application, loaded by POST as the chosen person.
 * `surroundings`: {onclose, setTitle, onreload, reloadData, setProperty} of the place where it stands.
 */
export function applicationFrame({ clientId, placement = "DEFAULT", options = {}, title, hidden = false, handler, ...surroundings }) {
  const box = h("div", { class: hidden ? "frame-box frame-hidden" : "frame-box", "data-keep": true });
  const record = { clientId, placement, options, userId: store.me, box, title, hidden, handler, surroundings, events: new Map() };
  load(record);
  return box;
}

async function load(record) {
  forget(record);
  record.events.clear();
  record.box.replaceChildren(h("p", { class: "frame-wait", role: "status" }, t("Приложение открывается…", "Opening the application…")));
  let answer;
  try {
    answer = await control("POST", `applications/${encodeURIComponent(record.clientId)}/open`, {
      user_id: record.userId,
      placement: record.placement,
      // Every placement gets the path of the page that it was opened from.
      options: { URI: location.pathname + location.search, ...record.options },
      ...(record.handler ? { handler: record.handler } : {}),
      send: false,
    });
  } catch (error) {
    record.box.replaceChildren(h("p", { class: "frame-wait frame-failed", role: "alert" }, error.message));
    return;
  }
  let url;
  try {
    url = new URL(answer.url);
  } catch {
    record.box.replaceChildren(
      h("p", { class: "frame-wait frame-failed", role: "alert" }, t("У приложения нет адреса обработчика", "The application has no handler address")),
    );
    return;
  }
  const query = url.searchParams;
  record.appSid = query.get("APP_SID") || "";
  record.fields = answer.fields;
  record.origin = url.origin;
  record.protocol = query.get("PROTOCOL") || (location.protocol === "https:" ? "1" : "0");
  record.domain = query.get("DOMAIN") || location.host;
  record.lang = query.get("LANG") || store.lang;
  const name = `${record.domain}|${record.protocol}|${record.appSid}`;
  const frame = h("iframe", {
    name,
    class: "frame",
    title: record.title || applicationTitle(application(record.clientId)),
    allow: "clipboard-write; camera; microphone; geolocation; fullscreen",
  });
  if (record.hidden) {
    frame.setAttribute("tabindex", "-1");
    frame.setAttribute("aria-hidden", "true");
  }
  const form = h(
    "form",
    { method: "post", action: url.href, target: name, hidden: true },
    Object.entries(answer.fields).map(([key, value]) => h("input", { type: "hidden", name: key, value: String(value) })),
  );
  record.box.replaceChildren(frame, form);
  record.frame = frame;
  frames.set(frame.contentWindow, record);
  form.submit();
  form.remove();
}

function forget(record) {
  for (const [key, known] of frames) {
    if (known === record || !known.box.isConnected) {
      frames.delete(key);
    }
  }
}

/** Opens an application in a slider; `settings` are the bx24_ keys of BX24.openApplication. */
export function openApplication({ clientId, placement = "DEFAULT", options = {}, onclose, title }) {
  const app = application(clientId);
  if (!app) {
    toast(t("Такого приложения на портале нет", "There is no such application on the portal"), "error");
    return null;
  }
  const label = options.bx24_label || {};
  const layer = openLayer({
    title: options.bx24_title || title || applicationTitle(app),
    closeLabel: t("Закрыть", "Close"),
    width: Number(options.bx24_width) || (Number(options.bx24_leftBoundary) ? innerWidth - Number(options.bx24_leftBoundary) : 0),
    color: typeof label.bgColor === "string" ? label.bgColor : "",
    onclose,
    content: null,
    head: label.text ? () => [h("span", { class: "chip" }, String(label.text))] : undefined,
  });
  layer.body.classList.add("layer-frame");
  const box = applicationFrame({
    clientId,
    placement,
    options,
    title: applicationTitle(app),
    onclose: () => layer.close(),
    setTitle: (text) => layer.setTitle(text),
  });
  layer.body.append(box);
  return layer;
}

// ------------------------------------------------------------------ messages

window.addEventListener("message", (event) => {
  const record = frames.get(event.source);
  // A frame speaks for its application only while it shows the address that the portal opened it with.
  if (!record || event.origin !== record.origin) {
    return;
  }
  const request = understand(event.data);
  if (!request || request.appSid !== record.appSid) {
    return;
  }
  const answer = (data) => {
    if (request.key && record.frame.isConnected) {
      const text = data === undefined ? "" : JSON.stringify(data);
      event.source.postMessage(`${request.key}:${text}`, event.origin);
    }
  };
  const handler = Object.hasOwn(COMMANDS, request.command) ? COMMANDS[request.command] : null;
  if (handler) {
    Promise.resolve(handler(record, request.params, answer)).catch((error) => toast(error.message, "error"));
  } else {
    placementCommand(record, request, answer);
  }
});

function understand(data) {
  if (data && typeof data === "object" && typeof data.method === "string") {
    return { command: data.method, params: data.params, key: data.callback || "", appSid: data.appSid };
  }
  if (typeof data !== "string") {
    return null;
  }
  const parts = data.split(":");
  if (parts.length < 3) {
    return null;
  }
  const command = parts.shift();
  const appSid = parts.pop();
  const key = parts.pop();
  const text = parts.join(":");
  let params = null;
  if (text) {
    try {
      params = JSON.parse(text);
    } catch {
      params = text; // setValue may carry a raw value
    }
  }
  return { command, params, key, appSid };
}

const CALENDAR_EVENTS = ["refreshEntries", "decreaseViewRangeDate", "increaseViewRangeDate", "adjustToDate"].map((name) => `Calendar.customView:${name}`);

/** Events of the interface that a placement has. */
const eventsOf = (record) => (record.surroundings.calendar ? CALENDAR_EVENTS : []);

/** Tells every frame of a placement that bound it of an event of the interface. */
export function tellFrames(placement, event, data) {
  for (const record of frames.values()) {
    if (record.placement === placement && record.box.isConnected) {
      (record.events.get(event) || []).forEach((answer) => answer(data));
    }
  }
}

/** Commands that a placement offers besides the general ones. */
function commandsOf(record) {
  if (record.surroundings.calendar) {
    return ["getEvents", "viewEvent", "addEvent", "editEvent", "deleteEvent"];
  }
  if (/^CRM_.*_(DETAIL_TAB|DETAIL_ACTIVITY|LIST_MENU)$/.test(record.placement)) {
    return ["reloadData"];
  }
  if (record.surroundings.setProperty) {
    return ["setPropertyValue"];
  }
  return [];
}

function placementCommand(record, request, answer) {
  if (!commandsOf(record).includes(request.command)) {
    return; // the platform ignores an unknown command in silence
  }
  if (request.command === "reloadData") {
    poll();
    answer();
  } else if (record.surroundings.calendar) {
    calendarCommand(record, request, answer);
  } else {
    record.surroundings.setProperty(request.params || {});
    answer([]);
  }
}

async function calendarCommand(record, { command, params }, answer) {
  const { calendar } = record.surroundings;
  const { id, uid, dateFrom, dateTo } = params || {};
  if (command === "addEvent") {
    calendar.add();
    answer({});
  } else if (command === "getEvents") {
    const owner = calendar.owner();
    const asked = { type: owner ? "user" : "company_calendar", ownerId: owner, from: dateFrom, to: dateTo };
    answer(await rest(record, "calendar.event.get", asked));
  } else {
    const act = { viewEvent: calendar.view, editEvent: calendar.edit, deleteEvent: calendar.remove }[command];
    if (!act(id ?? uid, dateFrom)) {
      toast(t("Такого события в календаре нет", "There is no such entry in the calendar"), "error");
    }
    answer({});
  }
}

async function rest(record, method, params) {
  const answer = await fetch(`/rest/${method}.json`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...params, auth: record.fields.AUTH_ID }),
  });
  const data = await answer.json();
  if (data.error) {
    throw new Error(data.error_description || data.error);
  }
  return data.result;
}

async function optionsOf(record, scope) {
  try {
    const found = await rest(record, `${scope}.option.get`, {});
    return found && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {}; // an application that is not yet installed has no options
  }
}

const firstRunKey = (record) => `sandbox.run.${record.fields.member_id}.${record.clientId}.${record.userId}`;

const COMMANDS = {
  async getInitData(record, params, answer) {
    const app = application(record.clientId) || {};
    const [appOptions, userOptions] = await Promise.all([optionsOf(record, "app"), optionsOf(record, "user")]);
    const me = person(record.userId) || {};
    let placementOptions = {};
    try {
      placementOptions = JSON.parse(record.fields.PLACEMENT_OPTIONS || "{}");
    } catch {
      placementOptions = {};
    }
    const installing = field(app, "installed") === false;
    answer({
      LANG: record.lang,
      DOMAIN: record.domain,
      PROTOCOL: record.protocol,
      PATH: "/rest",
      AUTH_ID: record.fields.AUTH_ID,
      REFRESH_ID: record.fields.REFRESH_ID,
      AUTH_EXPIRES: String(record.fields.AUTH_EXPIRES),
      MEMBER_ID: record.fields.member_id,
      IS_ADMIN: Boolean(field(me, "admin") ?? Number(me.id) === 1),
      APP_OPTIONS: appOptions,
      USER_OPTIONS: userOptions,
      PLACEMENT: record.fields.PLACEMENT || record.placement,
      PLACEMENT_OPTIONS: placementOptions,
      INSTALL: installing,
      FIRST_RUN: !installing && !localStorage.getItem(firstRunKey(record)),
    });
  },
  setInstall(record, params, answer) {
    localStorage.setItem(firstRunKey(record), "1");
    answer(true);
  },
  async setInstallFinish(record, params, answer) {
    await control("POST", `applications/${encodeURIComponent(record.clientId)}/finish`, {});
    localStorage.setItem(firstRunKey(record), "1");
    toast(t("Приложение установлено", "The application is installed"));
    answer(true);
    await poll();
    record.placement = "DEFAULT";
    await load(record);
  },
  async refreshAuth(record, params, answer) {
    const fresh = await control("POST", `frames/${encodeURIComponent(record.appSid)}/auth`, {});
    const fields = { AUTH_ID: fresh.access_token, REFRESH_ID: fresh.refresh_token, AUTH_EXPIRES: String(fresh.expires_in) };
    Object.assign(record.fields, fields);
    answer(fields);
  },
  async setAppOption(record, params, answer) {
    await rest(record, "app.option.set", { options: { [params.name]: params.value } });
    answer(await optionsOf(record, "app"));
  },
  async setUserOption(record, params, answer) {
    await rest(record, "user.option.set", { options: { [params.name]: params.value } });
    answer(await optionsOf(record, "user"));
  },
  resizeWindow(record, params, answer) {
    const { width, height } = params || {};
    if (width === "100%") {
      record.frame.style.setProperty("width", "100%");
    } else if (Number(width) > 0) {
      record.frame.style.setProperty("width", `${Number(width)}px`);
    }
    if (Number(height) > 0) {
      record.frame.style.setProperty("height", `${Number(height)}px`);
      record.frame.style.setProperty("flex", "none");
    }
    answer({ width, height });
  },
  async reloadWindow(record, params, answer) {
    answer();
    await load(record);
  },
  setTitle(record, params, answer) {
    const text = String((params && params.title) || "");
    record.frame.title = text;
    if (record.surroundings.setTitle) {
      record.surroundings.setTitle(text);
    }
    answer();
  },
  setScroll(record, params, answer) {
    const place = record.box.closest(".layer-body") || document.getElementById("main");
    place.scrollTo({ top: Number(params && params.scroll) || 0 });
    answer();
  },
  openApplication(record, params, answer) {
    openApplication({ clientId: record.clientId, options: params || {}, onclose: () => answer() });
  },
  closeApplication(record, params, answer) {
    answer();
    if (record.surroundings.onclose) {
      record.surroundings.onclose();
    }
  },
  openPath(record, params, answer) {
    const error = opener(String((params && params.path) || ""), () => answer({ result: "close" }));
    if (error) {
      answer({ result: "error", errorCode: error });
    }
  },
  selectUser(record, params, answer) {
    const mult = Boolean(params && params.mult);
    const people = part("people").filter((one) => field(one, "active") !== false);
    pick({
      title: mult ? t("Выберите сотрудников", "Choose employees") : t("Выберите сотрудника", "Choose an employee"),
      mult,
      choices: people.map((one) => ({
        value: { id: String(one.id), name: nameOf(one), photo: "", position: field(one, "workPosition") || "", url: `/company/personal/user/${one.id}/`, sub: false, sup: false },
        label: nameOf(one),
      })),
      done: (chosen) => answer(mult ? chosen : chosen[0] || null),
    });
  },
  selectAccess(record, params, answer) {
    const blocked = new Set((params && params.value) || []);
    const all = [
      { id: "AU", name: t("Все авторизованные пользователи", "All authorized users") },
      ...part("departments").map((one) => ({ id: `DR${field(one, "id")}`, name: String(field(one, "name")) })),
      ...part("people").map((one) => ({ id: `U${one.id}`, name: nameOf(one) })),
    ].filter((one) => !blocked.has(one.id));
    pick({
      title: t("Права доступа", "Access permissions"),
      mult: true,
      choices: all.map((one) => ({ value: one, label: one.name })),
      done: answer,
    });
  },
  selectCRM(record, params, answer) {
    const asked = (params && params.entityType) || ["lead", "contact", "company", "deal"];
    const chosenBefore = (params && params.value) || {};
    const mult = Boolean(params && params.multiple);
    const choices = [];
    for (const type of [1, 2, 3, 4]) {
      const kind = kindOf(type);
      if (!asked.includes(kind.path)) {
        continue;
      }
      for (const item of items(type)) {
        const id = Number(field(item, "id"));
        choices.push({
          value: { id: `${kind.letter}_${id}`, type: kind.path, place: kind.path, title: titleOf(type, item), desc: clientName(item), url: `/crm/${kind.path}/show/${id}/` },
          label: `${t(kind.ru, kind.en)}: ${titleOf(type, item)}`,
          checked: mult && (chosenBefore[kind.path] || []).map(Number).includes(id),
        });
      }
    }
    pick({
      title: t("Выбор из CRM", "Choose from CRM"),
      mult,
      choices,
      done: (chosen) => {
        const result = {};
        for (const type of asked) {
          result[type] = chosen.filter((one) => one.type === type);
        }
        answer(result);
      },
    });
  },
  getInterface(record, params, answer) {
    answer({ command: commandsOf(record), event: eventsOf(record) });
  },
  placementBindEvent(record, params, answer) {
    const event = String((params && params.event) || "");
    // The platform is silent about a subscription to an event that the place does not have.
    if (eventsOf(record).includes(event)) {
      record.events.set(event, [...(record.events.get(event) || []), answer]);
    }
  },
  imPhoneTo(record, params) {
    act("POST", "calls", { phone: String(params && params.phone), type: 1, user_id: store.me }, t("Звоним…", "Calling…"));
  },
  imCallTo: () => noMessenger(),
  imOpenMessenger: () => noMessenger(),
  imOpenHistory: () => noMessenger(),
};

function noMessenger() {
  toast(t("Мессенджера на учебном портале нет", "The sandbox portal has no messenger"), "error");
}

function pick({ title, mult, choices, done }) {
  let chosen = false;
  const list = h("div", { class: "pick-list" });
  const name = `pick-${Date.now()}`;
  const draw = (text) => {
    const wanted = text.toLowerCase();
    for (const row of list.children) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  };
  choices.forEach((choice, index) => {
    list.append(
      h(
        "label",
        { class: "pick-row" },
        h("input", { type: mult ? "checkbox" : "radio", name, value: String(index), checked: choice.checked }),
        h("span", null, choice.label),
      ),
    );
  });
  const form = h(
    "form",
    {
      class: "form",
      onsubmit: (event) => {
        event.preventDefault();
        chosen = true;
        const values = [...list.querySelectorAll("input:checked")].map((input) => choices[Number(input.value)].value);
        layer.close();
        done(values);
      },
    },
    h("input", { type: "search", "aria-label": t("Найти", "Find"), placeholder: t("Найти…", "Find…"), oninput: (event) => draw(event.target.value) }),
    list,
    h("div", { class: "form-foot" }, h("button", { type: "submit", class: "button primary" }, t("Выбрать", "Choose"))),
  );
  const layer = openLayer({
    kind: "dialog",
    title,
    closeLabel: t("Закрыть", "Close"),
    onclose: () => {
      if (!chosen) {
        done([]);
      }
    },
  });
  layer.body.append(form);
  form.querySelector("input").focus();
}

// ---------------------------------------------------------- background worker

let workersFor = "";

/** Loads the hidden frames of PAGE_BACKGROUND_WORKER, once per person and set of registrations. */
export function runBackgroundWorkers() {
  const wanted = placementsOf("PAGE_BACKGROUND_WORKER");
  const sign = JSON.stringify([store.me, wanted.map((one) => [placementClient(one), field(one, "handler"), field(one, "id")])]);
  if (sign === workersFor) {
    return;
  }
  workersFor = sign;
  const place = document.getElementById("workers");
  place.replaceChildren();
  for (const placement of wanted) {
    place.append(
      applicationFrame({
        clientId: placementClient(placement),
        placement: "PAGE_BACKGROUND_WORKER",
        options: { ID: "PAGE_BACKGROUND_WORKER" },
        title: placementTitle(placement),
        hidden: true,
      }),
    );
  }
}
