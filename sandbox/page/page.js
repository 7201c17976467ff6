// The portal's page: its frame, the way between views, links, and the heartbeat.

import { h, icon, refresh, toast, updateLayers, topLayer, closeLayers } from "./dom.js";
import { store, t, watch, changed, poll, become, speak, part, person, nameOf, portalNow, portalZone } from "./model.js";
import { avatar, peopleOptions, empty } from "./parts.js";
import { kanban, openCard, restoreFocus } from "./crm.js";
import { tasksView, peopleView, callsView, callWindows, openTask, openPerson, openNotices, unseenNotices } from "./work.js";
import { robotsView, applicationsView, journalView, readJournal } from "./workshop.js";
import { calendarView, calendarPath, showCalendarOf } from "./calendar.js";
import { setOpener, openApplication, applicationFrame, runBackgroundWorkers, placementsOf, placementClient, placementTitle } from "./frames.js";

const VIEWS = [
  { name: "leads", path: "/crm/lead/", icon: "leads", words: () => t("Лиды", "Leads"), draw: () => kanban(1) },
  { name: "deals", path: "/crm/deal/", icon: "deals", words: () => t("Сделки", "Deals"), draw: () => kanban(2) },
  { name: "tasks", path: "/tasks/", icon: "tasks", words: () => t("Задачи", "Tasks"), draw: tasksView },
  { name: "calendar", path: "/calendar/", icon: "calendar", words: () => t("Календарь", "Calendar"), draw: () => calendarView(arriveAtCalendar), now: calendarPath, link: () => `/company/personal/user/${store.me}/calendar/` },
  { name: "people", path: "/company/", icon: "people", words: () => t("Люди", "People"), draw: peopleView },
  { name: "calls", path: "/crm/calls/", icon: "calls", words: () => t("Звонки", "Calls"), draw: callsView },
  { name: "robots", path: "/crm/robots/", icon: "robots", words: () => t("Роботы", "Robots"), draw: robotsView },
  { name: "apps", path: "/devops/", icon: "apps", words: () => t("Приложения", "Applications"), draw: applicationsView },
  { name: "journal", path: "/devops/journal/", icon: "journal", words: () => t("Журнал", "Journal"), draw: journalView },
];
const TYPES = { lead: 1, deal: 2, contact: 3, company: 4 };
const APPS = VIEWS.find((view) => view.name === "apps");
const CALENDAR = VIEWS.find((view) => view.name === "calendar");
let current = VIEWS[0];
let started = false;
let unfolded = localStorage.getItem("sandbox.menu") === "open"; // the group of applications in the menu

function draw() {
  const app = document.getElementById("app");
  if (!store.state) {
    refresh(app, h("main", { id: "main", tabindex: "-1", class: "starting" }, store.online ? h("p", { role: "status" }, t("Портал открывается…", "Opening the portal…")) : empty("close", t("Портал не отвечает", "The portal does not answer"), t("Запустите python -m sandbox; страница откроется сама.", "Start python -m sandbox; the page opens by itself."))));
    return;
  }
  refresh(app, frameOfPage());
  refresh(document.getElementById("calls"), callWindows());
  updateLayers();
  runBackgroundWorkers();
  restoreFocus();
  if (!started) {
    started = true;
    arrive();
  }
}

function frameOfPage() {
  const me = person(store.me);
  const unseen = unseenNotices();
  return [
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("main").focus(); } }, t("К содержанию", "To the content")),
    h(
      "header",
      { class: "top", "data-key": "top" },
      h("a", { class: "brand", href: "/crm/lead/", "aria-label": companyName() }, h("span", { class: "brand-mark", "aria-hidden": "true" }, "24"), h("span", { class: "brand-words" }, companyName())),
      h("span", { class: "spacer" }),
      store.online ? null : h("span", { class: "tag tag-bad", role: "status" }, t("нет связи с порталом", "no connection")),
      h("a", { class: "clock", href: "/devops/journal/", title: t("Часы портала", "The portal's clock") }, icon("clock"), clockText(), Number(store.state.speed) > 1 ? h("span", { class: "tag" }, `×${store.state.speed}`) : null),
      h("button", { type: "button", class: "icon-button bell", "data-key": "bell", "aria-label": t(`Уведомления, новых: ${unseen}`, `Notices, new: ${unseen}`), onclick: openNotices }, icon("bell"), unseen ? h("span", { class: "badge" }, unseen > 99 ? "99+" : String(unseen)) : null),
      h(
        "div",
        { class: "lang", role: "group", "aria-label": t("Язык страницы", "Language of the page") },
        [["ru", "RU"], ["en", "EN"]].map(([lang, text]) => h("button", { type: "button", lang, "data-key": lang, "aria-pressed": String(store.lang === lang), onclick: () => speak(lang) }, text)),
      ),
      h(
        "label",
        { class: "me", "data-key": "me" },
        avatar(me),
        h("span", { class: "me-words" }, t("Вы вошли как", "Acting as")),
        h("select", { id: "me", "aria-label": t("От чьего имени действовать", "Act as"), value: store.me, "data-live": true, onchange: (event) => { become(event.target.value); toast(t(`Теперь вы — ${nameOf(person(store.me))}`, `You are ${nameOf(person(store.me))} now`)); } }, peopleOptions(store.me)),
      ),
    ),
    h(
      "nav",
      { class: "menu", "data-key": "menu", "aria-label": t("Разделы", "Sections") },
      h(
        "ul",
        null,
        VIEWS.map(menuItem),
      ),
    ),
    h("main", { id: "main", tabindex: "-1" }, h("div", { class: `view ${current.item ? "view-application" : ""}`, "data-key": `view-${current.name}` }, current.draw())),
  ];
}

function menuItem(view) {
  const link = h("a", { href: view.link ? view.link() : view.path, "aria-current": view === current ? "page" : undefined }, icon(view.icon), h("span", null, view.words()), mark(view.name));
  const items = view === APPS ? menuItems() : [];
  if (!items.length) {
    return h("li", { "data-key": view.name }, link);
  }
  const open = unfolded || Boolean(current.item);
  const words = open ? t("Свернуть пункты приложений", "Fold the items of applications") : t("Развернуть пункты приложений", "Unfold the items of applications");
  return h(
    "li",
    { class: "menu-group", "data-key": view.name },
    h("div", { class: "menu-row" }, link, h("button", { type: "button", class: `menu-fold ${open ? "open" : ""}`, "aria-expanded": String(open), "aria-label": words, title: words, onclick: fold }, icon("chevron"))),
    open
      ? h("ul", { class: "menu-items" }, items.map((one) => h("li", { "data-key": one.name }, h("a", { href: one.path, "aria-current": current.item && current.path === one.path ? "page" : undefined }, icon("apps"), h("span", null, one.words())))))
      : null,
  );
}

function fold() {
  unfolded = !(unfolded || current.item);
  localStorage.setItem("sandbox.menu", unfolded ? "open" : "");
  if (!unfolded && current.item) {
    show(APPS);
  }
  changed();
}

/** Pages of applications that stand in the main menu (LEFT_MENU), as views over the whole working area. */
function menuItems() {
  const counts = new Map();
  return placementsOf("LEFT_MENU").map((item) => {
    const client = placementClient(item);
    const number = (counts.get(client) || 0) + 1;
    counts.set(client, number);
    const path = `/marketplace/menu/${encodeURIComponent(client)}/${number}/`;
    return { name: `menu-${client}-${number}`, path, item, words: () => placementTitle(item), draw: () => menuPage(path) };
  });
}

let opened = null; // the frame of the item that is shown: {path, me, box, number}

function menuPage(path) {
  const one = menuItems().find((each) => each.path === path);
  if (!one) {
    opened = null;
    return empty("apps", t("Этого пункта меню больше нет", "This item of the menu is gone"), t("Приложение убрало его, или у вас нет к нему доступа.", "The application took it away, or you have no access to it."));
  }
  const title = one.words();
  document.title = title;
  if (!opened || opened.path !== path || opened.me !== store.me) {
    opened = {
      path,
      me: store.me,
      number: ((opened && opened.number) || 0) + 1,
      box: applicationFrame({
        clientId: placementClient(one.item), placement: "LEFT_MENU", handler: one.item.handler, title, options: { URI: camefrom },
        onclose: () => show(APPS), setTitle: (text) => { document.title = text; },
      }),
    };
  }
  return [
    h("h1", { class: "visually-hidden" }, title),
    h("div", { class: "menu-page", "data-key": `menu-page-${opened.number}` }, opened.box.isConnected ? h("div", { class: "frame-box", "data-keep": true }) : opened.box),
  ];
}

function companyName() {
  const root = part("departments").find((one) => !Number(one.parent ?? one.PARENT ?? one.parent_id ?? 0)) || part("departments")[0];
  return (root && (root.name || root.NAME)) || t("Учебный портал", "Sandbox portal");
}

const clockText = () => new Intl.DateTimeFormat(store.lang === "en" ? "en-GB" : "ru-RU", { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: portalZone() }).format(portalNow());

function mark(name) {
  const number = name === "tasks" ? part("tasks").filter((task) => Number(task.responsibleId ?? task.RESPONSIBLE_ID ?? task.responsible_id) === store.me && Number(task.status ?? task.STATUS) !== 5).length : 0;
  return number ? h("span", { class: "count" }, h("span", { class: "visually-hidden" }, t("моих открытых:", "my open:")), String(number)) : null;
}

// ------------------------------------------------------------------------ ways

let camefrom = location.pathname + location.search; // the page from which a menu item was chosen

function show(view, remember = true) {
  const path = view.now ? view.now() : view.path;
  if (view.item && !(current.item && current.path === view.path)) {
    camefrom = location.pathname + location.search;
    opened = opened && { ...opened, path: "" };
  }
  if (remember && location.pathname !== path) {
    history.pushState(null, "", path);
  }
  const same = view === current;
  current = view;
  closeLayers();
  changed();
  const main = document.getElementById("main");
  if (main && !same) {
    main.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  if (view.name === "journal") {
    readJournal();
  }
}

/** The view of a path, with the calendar of the person that the path names. */
function viewOf(path) {
  const personal = /^\/company\/personal\/user\/(\d+)\/calendar\/$/.exec(path);
  if (personal || path === CALENDAR.path) {
    return showCalendarOf(personal ? Number(personal[1]) : 0) ? CALENDAR : undefined;
  }
  return VIEWS.find((view) => view.path === path) || menuItems().find((view) => view.path === path);
}

function arriveAtCalendar(id) {
  showCalendarOf(id);
  show(CALENDAR);
}

function paramsOf(search) {
  const options = {};
  for (const [key, value] of search) {
    const match = /^params((?:\[[^\]]*\])+)$/.exec(key);
    if (!match) {
      continue;
    }
    const path = [...match[1].matchAll(/\[([^\]]*)\]/g)].map((one) => one[1]);
    if (path.some((name) => name === "__proto__")) {
      continue;
    }
    let node = options;
    path.slice(0, -1).forEach((name) => {
      node[name] = node[name] && typeof node[name] === "object" ? node[name] : {};
      node = node[name];
    });
    node[path[path.length - 1]] = value;
  }
  return options;
}

/** Opens a path of the portal over the present view; an error code when there is no such page. */
function openPath(raw, onclose = () => undefined) {
  let url;
  try {
    url = new URL(raw, location.origin);
  } catch {
    return "PATH_NOT_AVAILABLE";
  }
  if (url.origin !== location.origin || !/^\/(?![/\\])/.test(raw)) {
    return "PATH_NOT_AVAILABLE";
  }
  const path = url.pathname.replace(/\/?$/, "/");
  let match = /^\/crm\/(lead|deal|contact|company)\/(?:details|show)\/(\d+)\/$/.exec(path);
  if (match) {
    return openCard(TYPES[match[1]], Number(match[2]), onclose) ? "" : missing();
  }
  match = /^\/crm\/type\/(\d+)\/details\/(\d+)\/$/.exec(path);
  if (match && Object.values(TYPES).includes(Number(match[1]))) {
    return openCard(Number(match[1]), Number(match[2]), onclose) ? "" : missing();
  }
  match = /\/tasks\/task\/view\/(\d+)\/$/.exec(path);
  if (match) {
    return openTask(Number(match[1]), onclose) ? "" : missing();
  }
  match = /^\/company\/personal\/user\/(\d+)\/$/.exec(path);
  if (match) {
    return openPerson(Number(match[1]), onclose) ? "" : missing();
  }
  match = /^\/(?:marketplace\/(?:view|app)|devops\/placement)\/([^/]+)\/$/.exec(path);
  if (match) {
    const clientId = decodeURIComponent(match[1]);
    const linked = placementsOf("REST_APP_URI").some((one) => placementClient(one) === clientId);
    return openApplication({ clientId, placement: linked ? "REST_APP_URI" : "DEFAULT", options: paramsOf(url.searchParams), onclose }) ? "" : "PATH_NOT_AVAILABLE";
  }
  const view = viewOf(path) || VIEWS.find((one) => path.startsWith(`${one.path}kanban/`) || path.startsWith(`${one.path}list/`));
  if (view || path === "/" || path === "/marketplace/") {
    show(view || (path === "/" ? VIEWS[0] : APPS));
    return "";
  }
  return "PATH_NOT_AVAILABLE";
}

function missing() {
  toast(t("Этой карточки на портале нет", "There is no such item on the portal"), "error");
  return "PATH_NOT_AVAILABLE";
}

setOpener(openPath);

document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.target === "_blank" || link.hasAttribute("download")) {
    return;
  }
  const url = new URL(link.href);
  if (url.origin !== location.origin || link.getAttribute("href").startsWith("#")) {
    return;
  }
  event.preventDefault();
  const view = viewOf(url.pathname);
  if (view) {
    show(view);
  } else if (openPath(url.pathname + url.search) && topLayer() === undefined) {
    toast(t("Такой страницы на учебном портале нет", "The sandbox portal has no such page"), "error");
  }
});

function arrive() {
  const path = location.pathname;
  const view = viewOf(path);
  if (view) {
    current = view;
    changed();
    if (view.name === "journal") {
      readJournal();
    }
    return;
  }
  const named = (name) => VIEWS.find((one) => one.name === name);
  current = path.startsWith("/crm/deal/") ? named("deals") : path.includes("/tasks/") ? named("tasks") : path.startsWith("/company/") ? named("people") : path.startsWith("/marketplace/") || path.startsWith("/devops/") ? APPS : VIEWS[0];
  changed();
  if (path !== "/") {
    openPath(path + location.search);
  }
  history.replaceState(null, "", current.path);
}

window.addEventListener("popstate", () => {
  const view = viewOf(location.pathname);
  if (view) {
    show(view, false);
  }
});

window.setInterval(() => {
  if (current.name === "journal" && !document.hidden && store.state) {
    readJournal();
  }
}, 1000);

document.documentElement.lang = store.lang;
watch(draw);
draw();
poll();
