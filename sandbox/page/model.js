// What the portal's page knows: the polled state, who acts, the language, and every call to /control/*.

import { toast } from "./dom.js";

export const store = {
  state: null,
  me: Number(localStorage.getItem("sandbox.me")) || 0,
  lang: localStorage.getItem("sandbox.lang") === "en" ? "en" : "ru",
  online: true,
};
const watchers = new Set();
let shown = "";
let timer = 0;
let running = false;
let again = false;

/** The text in the page's language. */
export const t = (ru, en) => (store.lang === "en" ? en : ru);

/** Calls `watcher` after every change of what the page knows. */
export function watch(watcher) {
  watchers.add(watcher);
}

/** Tells every watcher that something changed. */
export function changed() {
  for (const watcher of watchers) {
    watcher();
  }
}

/** One request to the portal's controls; a refusal becomes an Error with the portal's own words. */
export async function control(method, path, body) {
  let answer;
  try {
    answer = await fetch(`/control/${path}`, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error(t("Портал не отвечает", "The portal does not answer"));
  }
  const text = await answer.text();
  let data;
  try {
    data = text ? JSON.parse(text) : {};
  } catch {
    throw new Error(`${answer.status}: ${text.slice(0, 200)}`);
  }
  if (!answer.ok) {
    throw new Error(data.error_description || data.error || `HTTP ${answer.status}`);
  }
  return data;
}

/** Does something at the portal for the person and shows a refusal as a toast. True when it was done. */
export async function act(method, path, body, done) {
  try {
    const result = await control(method, path, body);
    if (done) {
      toast(typeof done === "function" ? done(result) : done);
    }
    poll();
    return result === undefined || result === null ? {} : result;
  } catch (error) {
    toast(error.message, "error");
    return null;
  }
}

/** Reads the state now; meanwhile asked again, it reads once more afterwards. */
export async function poll() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  window.clearTimeout(timer);
  const began = performance.now();
  try {
    const answer = await fetch("/control/state");
    const text = await answer.text();
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    const state = JSON.parse(text);
    const bare = JSON.stringify({ ...state, now: 0, limits: 0 }) + store.online;
    store.state = state;
    store.readAt = Date.now();
    if (!store.me || !state.people.some((person) => Number(person.id) === store.me)) {
      store.me = Number(state.people[0] && state.people[0].id) || 1;
    }
    if (bare !== shown || !store.online || Date.now() - (store.drawnAt || 0) > 15000) {
      store.online = true;
      shown = JSON.stringify({ ...state, now: 0, limits: 0 }) + true;
      store.drawnAt = Date.now();
      changed();
    }
  } catch {
    if (store.online) {
      store.online = false;
      changed();
    }
  }
  running = false;
  const took = performance.now() - began;
  const pause = again ? 0 : Math.max(1000, took * 4);
  again = false;
  timer = window.setTimeout(() => (document.hidden ? waitUntilSeen() : poll()), pause);
}

function waitUntilSeen() {
  document.addEventListener("visibilitychange", () => poll(), { once: true });
}

/** Makes another person the one who acts. */
export function become(id) {
  store.me = Number(id);
  localStorage.setItem("sandbox.me", String(store.me));
  changed();
}

/** Changes the page's language. */
export function speak(lang) {
  store.lang = lang;
  localStorage.setItem("sandbox.lang", lang);
  document.documentElement.lang = lang;
  changed();
}

// ------------------------------------------------------------------- reading

/** A record's field by its camelCase name, also where the portal keeps it in UPPER_CASE or snake_case. */
export function field(record, name) {
  if (!record) {
    return undefined;
  }
  if (name in record) {
    return record[name];
  }
  const snake = name.replace(/([a-z0-9])([A-Z])/g, "$1_$2");
  if (snake.toUpperCase() in record) {
    return record[snake.toUpperCase()];
  }
  return record[snake.toLowerCase()];
}

const KINDS = {
  1: { part: "leads", letter: "L", path: "lead", ru: "Лид", en: "Lead", event: "LEAD" },
  2: { part: "deals", letter: "D", path: "deal", ru: "Сделка", en: "Deal", event: "DEAL" },
  3: { part: "contacts", letter: "C", path: "contact", ru: "Контакт", en: "Contact", event: "CONTACT" },
  4: { part: "companies", letter: "CO", path: "company", ru: "Компания", en: "Company", event: "COMPANY" },
};

/** What the page knows about an entity type (1 lead, 2 deal, 3 contact, 4 company). */
export const kindOf = (type) => KINDS[type];

/** One part of the state as a list. */
export const part = (name) => (store.state && store.state[name]) || [];

/** Items of an entity type. */
export const items = (type) => part(KINDS[type].part);

/** One item, or undefined. */
export const itemOf = (type, id) => items(type).find((item) => Number(field(item, "id")) === Number(id));

/** Stages of leads or deals in their order. */
export const stagesOf = (type) => (store.state && store.state.stages && store.state.stages[String(type)]) || [];

export const stageId = (stage) => field(stage, "statusId") || field(stage, "stageId") || field(stage, "id");
export const stageName = (stage) => field(stage, "name") || stageId(stage);
export const stageColor = (stage) => {
  const color = field(stage, "color") || (field(stage, "extra") || {}).COLOR;
  return /^#[0-9a-f]{3,8}$/i.test(color || "") ? color : "#7fb4e6";
};
export const stageEnd = (stage) => field(stage, "semantics") || "";

export const person = (id) => part("people").find((one) => Number(one.id) === Number(id));

/** A person's name as the portal shows it. */
export function nameOf(one) {
  if (!one) {
    return t("неизвестно", "unknown");
  }
  const text = [field(one, "name"), field(one, "lastName")].filter(Boolean).join(" ");
  return text || field(one, "email") || `#${one.id}`;
}

/** The client's name of a lead, deal, contact or company. */
export function clientName(item) {
  const own = [field(item, "name"), field(item, "secondName"), field(item, "lastName")].filter(Boolean).join(" ");
  if (own) {
    return own;
  }
  const contact = field(item, "contactId") && itemOf(3, field(item, "contactId"));
  const company = field(item, "companyId") && itemOf(4, field(item, "companyId"));
  return (contact && clientName(contact)) || (company && field(company, "title")) || field(item, "companyTitle") || "";
}

/** Phones or e-mails of an item: [{value, type}]. */
export function contactsOf(item, type) {
  const found = [];
  const multi = field(item, "fm");
  for (const entry of Array.isArray(multi) ? multi : Object.values(multi || {})) {
    if ((field(entry, "typeId") || "").toUpperCase() === type) {
      found.push({ value: String(field(entry, "value") || ""), type: field(entry, "valueType") || "", id: field(entry, "id") });
    }
  }
  const own = item && (item[type] || item[type.toLowerCase()]);
  for (const entry of Array.isArray(own) ? own : []) {
    found.push({ value: String(field(entry, "value") || ""), type: field(entry, "valueType") || "", id: field(entry, "id") });
  }
  return found;
}

export const titleOf = (type, item) =>
  field(item, "title") || clientName(item) || `${t(KINDS[type].ru, KINDS[type].en)} № ${field(item, "id")}`;

// ------------------------------------------------------------------- writing out

/** A phone number grouped as people read it. */
export function phoneText(raw) {
  const digits = String(raw || "").replace(/\D/g, "");
  if (digits.length === 11 && (digits[0] === "7" || digits[0] === "8")) {
    return `+7 ${digits.slice(1, 4)} ${digits.slice(4, 7)}-${digits.slice(7, 9)}-${digits.slice(9)}`;
  }
  return String(raw || "");
}

/** A plausible Russian mobile number. */
export function anyPhone() {
  const code = [903, 905, 910, 912, 915, 916, 921, 922, 926, 937, 950, 961, 981][Math.floor(Math.random() * 13)];
  return `+7${code}${String(Math.floor(Math.random() * 9000000) + 1000000)}`;
}

/** Milliseconds of a moment given as ISO text, seconds or milliseconds; NaN where there is none. */
export function moment(value) {
  if (value === null || value === undefined || value === "" || value === false) {
    return NaN;
  }
  if (typeof value === "number" || /^\d+(\.\d+)?$/.test(String(value))) {
    const number = Number(value);
    return number > 1e11 ? number : number * 1000;
  }
  return Date.parse(value);
}

/** The portal's own clock now, in milliseconds. */
export function portalNow() {
  return moment(store.state && store.state.now) || Date.now();
}

/** The portal's time zone: its name, or the offset that its clock shows. */
export function portalZone() {
  const state = store.state || {};
  const offset = /([+-]\d\d:\d\d)$/.exec(String(state.now || ""));
  return (state.settings || {}).timezone || (offset ? offset[1] : undefined);
}

/** A moment as a person says it: "14:05", "вчера, 14:05", "3 нояб., 14:05". */
export function timeText(value, full = false) {
  const at = moment(value);
  if (Number.isNaN(at)) {
    return "—";
  }
  const locale = store.lang === "en" ? "en-GB" : "ru-RU";
  const zone = { timeZone: portalZone() };
  const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", ...(full ? { second: "2-digit" } : {}), ...zone });
  const day = new Intl.DateTimeFormat("sv-SE", zone);
  const today = day.format(portalNow());
  const that = day.format(at);
  if (that === today) {
    return clock.format(at);
  }
  if (that === day.format(portalNow() - 86400000)) {
    return `${t("вчера", "yesterday")}, ${clock.format(at)}`;
  }
  const sameYear = today.slice(0, 4) === that.slice(0, 4);
  const date = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }), ...zone });
  return `${date.format(at)}, ${clock.format(at)}`;
}

/** A sum of money as people read it; nothing for zero. */
export function moneyText(amount, currency) {
  const number = Number(amount) || 0;
  if (!number) {
    return "";
  }
  const code = /^[A-Z]{3}$/.test(currency || "") ? currency : "RUB";
  return new Intl.NumberFormat(store.lang === "en" ? "en-GB" : "ru-RU", {
    style: "currency",
    currency: code,
    maximumFractionDigits: 0,
  }).format(number);
}

/** A counted word: count(5, "лид", "лида", "лидов", "lead", "leads"). */
export function count(number, one, few, many, single, plural) {
  if (store.lang === "en") {
    return `${number} ${number === 1 ? single : plural}`;
  }
  const tens = number % 100;
  const last = number % 10;
  const word = tens > 10 && tens < 20 ? many : last === 1 ? one : last > 1 && last < 5 ? few : many;
  return `${number} ${word}`;
}
