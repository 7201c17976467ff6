// The portal's page: its frame, the way between views, links, and the heartbeat.

import { h, icon, refresh, toast, updateLayers, topLayer, closeLayers } from "./dom.js";
import { store, t, watch, changed, poll, become, speak, part, person, nameOf, portalNow, portalZone } from "./model.js";
import { avatar, peopleOptions, empty } from "./parts.js";
import { kanban, openCard, restoreFocus } from "./crm.js";
import { tasksView, peopleView, callsView, callWindows, openTask, openPerson, openNotices, unseenNotices } from "./work.js";
import { robotsView, applicationsView, journalView, readJournal } from "./workshop.js";
import { setOpener, openApplication, runBackgroundWorkers, placementsOf, placementClient, placementTitle } from "./frames.js";

const VIEWS = [
  { name: "leads", path: "/crm/lead/", icon: "leads", words: () => t("Лиды", "Leads"), draw: () => kanban(1) },
  { name: "deals", path: "/crm/deal/", icon: "deals", words: () => t("Сделки", "Deals"), draw: () => kanban(2) },
  { name: "tasks", path: "/tasks/", icon: "tasks", words: () => t("Задачи", "Tasks"), draw: tasksView },
  { name: "people", path: "/company/", icon: "people", words: () => t("Люди", "People"), draw: peopleView },
  { name: "calls", path: "/crm/calls/", icon: "calls", words: () => t("Звонки", "Calls"), draw: callsView },
  { name: "robots", path: "/crm/robots/", icon: "robots", words: () => t("Роботы", "Robots"), draw: robotsView },
  { name: "apps", path: "/devops/", icon: "apps", words: () => t("Приложения", "Applications"), draw: applicationsView },
  { name: "journal", path: "/devops/journal/", icon: "journal", words: () => t("Журнал", "Journal"), draw: journalView },
];
const TYPES = { lead: 1, deal: 2, contact: 3, company: 4 };
let current = VIEWS[0];
let started = false;

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
  const ownLinks = placementsOf("LEFT_MENU");
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
        VIEWS.map((view) => h("li", { "data-key": view.name }, h("a", { href: view.path, "aria-current": view === current ? "page" : undefined }, icon(view.icon), h("span", null, view.words()), mark(view.name)))),
        ownLinks.map((one) =>
          h("li", { class: "menu-app", "data-key": `menu-${placementClient(one)}-${placementTitle(one)}` }, h("button", { type: "button", onclick: () => openApplication({ clientId: placementClient(one), placement: "LEFT_MENU", title: placementTitle(one) }) }, icon("apps"), h("span", null, placementTitle(one)))),
        ),
      ),
    ),
    h("main", { id: "main", tabindex: "-1" }, h("div", { class: "view", "data-key": `view-${current.name}` }, current.draw())),
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

function show(view, remember = true) {
  if (remember && location.pathname !== view.path) {
    history.pushState(null, "", view.path);
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
  const view = VIEWS.find((one) => one.path === path || (path.startsWith(`${one.path}kanban/`) || path.startsWith(`${one.path}list/`)));
  if (view || path === "/" || path === "/marketplace/") {
    show(view || (path === "/" ? VIEWS[0] : VIEWS[6]));
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
  const view = VIEWS.find((one) => one.path === url.pathname);
  if (view) {
    show(view);
  } else if (openPath(url.pathname + url.search) && topLayer() === undefined) {
    toast(t("Такой страницы на учебном портале нет", "The sandbox portal has no such page"), "error");
  }
});

function arrive() {
  const path = location.pathname;
  const view = VIEWS.find((one) => one.path === path);
  if (view) {
    current = view;
    changed();
    if (view.name === "journal") {
      readJournal();
    }
    return;
  }
  current = path.startsWith("/crm/deal/") ? VIEWS[1] : path.includes("/tasks/") ? VIEWS[2] : path.startsWith("/company/") ? VIEWS[3] : path.startsWith("/marketplace/") || path.startsWith("/devops/") ? VIEWS[6] : VIEWS[0];
  changed();
  if (path !== "/") {
    openPath(path + location.search);
  }
  history.replaceState(null, "", current.path);
}

window.addEventListener("popstate", () => {
  const view = VIEWS.find((one) => one.path === location.pathname);
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
