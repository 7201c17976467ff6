// The calendar of a person or of the company: day, week and month, and the views that applications add to the row.

import { h, icon, openLayer } from "./dom.js";
import { store, t, act, part, person, nameOf, itemOf, kindOf, titleOf, timeText, moment, portalNow, portalZone, changed, field } from "./model.js";
import { formDialog, tabs, viewHead, button, personLine } from "./parts.js";
import { applicationFrame, placementsOf, placementClient, placementTitle, tellFrames } from "./frames.js";

const DAY = 86400000;
const STEP = 30; // minutes by which an entry is moved
const HOUR = 46; // pixels of an hour
const LETTERS = { L: 1, D: 2, C: 3, CO: 4 };
// who: an employee's id, 0 for the company; mode: day, week, month or the key of an application's view.
const view = { who: null, day: "", mode: "week", shown: "week", frame: null, dragging: null, seen: "" };

// ---------------------------------------------------------------------- days

const formats = new Map();

function format(options) {
  const key = JSON.stringify([store.lang, portalZone(), options]);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(store.lang === "en" ? "en-GB" : "ru-RU", options));
  }
  return formats.get(key);
}

/** The wall clock of the portal at a moment: {day: "2026-12-01", minutes}. */
function wall(at) {
  const key = `wall ${portalZone()}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short", timeZone: portalZone() }));
  }
  const [day, clock] = formats.get(key).format(at).split(" ");
  const [hours, minutes] = clock.split(":").map(Number);
  return { day, minutes: hours * 60 + minutes };
}

/** The moment at which the portal's wall clock shows that day and minute. */
function atWall(day, minutes) {
  const wanted = Date.parse(day) + minutes * 60000;
  let at = wanted;
  for (let round = 0; round < 2; round += 1) {
    const seen = wall(at);
    at += wanted - (Date.parse(seen.day) + seen.minutes * 60000);
  }
  return at;
}

const iso = (at) => new Date(at).toISOString();
const plus = (day, days) => new Date(Date.parse(day) + days * DAY).toISOString().slice(0, 10);
const weekday = (day) => (new Date(day).getUTCDay() + 6) % 7; // 0 is Monday
const monday = (day) => plus(day, -weekday(day));
const today = () => wall(portalNow()).day;
const clock = (minutes) => `${String(Math.floor(minutes / 60) % 24).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
const dayWords = (day, options) => format({ timeZone: "UTC", ...options }).format(Date.parse(day));

function nextMonth(day, months) {
  const date = new Date(`${day.slice(0, 7)}-01`);
  date.setUTCMonth(date.getUTCMonth() + months);
  return date.toISOString().slice(0, 10);
}

/** The days of the grid: of a month also those of its neighbours in the first and the last row. */
function daysOf(mode) {
  if (mode === "day") {
    return [view.day];
  }
  if (mode === "week") {
    return Array.from({ length: 7 }, (_, index) => plus(monday(view.day), index));
  }
  const first = monday(`${view.day.slice(0, 7)}-01`);
  const last = plus(nextMonth(view.day, 1), -1);
  const rows = Math.floor((Date.parse(last) - Date.parse(first)) / DAY / 7) + 1;
  return Array.from({ length: rows * 7 }, (_, index) => plus(first, index));
}

function periodWords(mode) {
  if (mode === "month") {
    return dayWords(view.day, { month: "long", year: "numeric" });
  }
  if (mode === "day") {
    return dayWords(view.day, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  }
  const days = daysOf("week");
  const first = days[0].slice(0, 7) === days[6].slice(0, 7) ? { day: "numeric" } : { day: "numeric", month: "short" };
  return `${dayWords(days[0], first)} – ${dayWords(days[6], { day: "numeric", month: "short", year: "numeric" })}`;
}

// -------------------------------------------------------------------- entries

const owner = () => (view.who === null ? store.me : view.who);

function ofOwner(entry) {
  if (owner() === 0) {
    return entry.type === "company_calendar";
  }
  const invited = (entry.attendees || []).includes(owner()) && (entry.answers || {})[owner()] !== "N";
  return entry.type === "user" && (Number(entry.owner_id) === owner() || invited);
}

/** Every time of the owner's entries between two days: [{entry, from, to}], in milliseconds. */
function times(first, last) {
  const low = atWall(first, 0);
  const high = atWall(plus(last, 1), 0);
  const found = [];
  for (const entry of part("calendar").filter(ofOwner)) {
    const spans = entry.repeats ? entry.occurrences : [[entry.from, entry.to]];
    for (const [from, to] of spans) {
      const span = { entry, from: moment(from), to: moment(to) };
      if (span.to > low && span.from < high) {
        found.push(span);
      }
    }
  }
  return found.sort((a, b) => a.from - b.from || a.entry.id - b.entry.id);
}

const long = (span) => span.entry.whole_day || span.to - span.from >= DAY;
const mayEdit = (entry) => {
  const me = person(store.me);
  return Boolean(me && (field(me, "admin") || Number(entry.created_by) === store.me || (entry.type === "user" && Number(entry.owner_id) === store.me)));
};

/** Moves an entry (of a recurring one this one time) so that it begins at `at`. */
function move(span, at, done) {
  return act("PATCH", `calendar/${span.entry.id}`, { user_id: store.me, from: iso(at), ...occurrence(span) }, done || t(`Перенесено: ${spanWords(at, at + span.to - span.from)}`, `Moved: ${spanWords(at, at + span.to - span.from)}`));
}

const occurrence = (span) => (span.entry.repeats ? { occurrence: wall(span.from).day } : {});
const spanWords = (from, to) => `${dayWords(wall(from).day, { weekday: "short", day: "numeric", month: "short" })}, ${clock(wall(from).minutes)}–${clock(wall(to).minutes)}`;

function shift(span, minutes) {
  const from = wall(span.from);
  return atWall(from.day, from.minutes + minutes);
}

function accessText(entry) {
  return { busy: t("занят", "busy"), absent: t("отсутствует", "absent"), quest: t("под вопросом", "tentative"), free: t("свободен", "free") }[entry.accessibility] || entry.accessibility;
}

/** The card of an entry: what it says, and buttons that move and delete it. */
function openEntry(span) {
  const target = { id: span.entry.id, from: span.from };
  const find = () => times(wall(target.from).day, wall(target.from).day).find((one) => one.entry.id === target.id && one.from === target.from);
  const layer = openLayer({
    kind: "dialog",
    key: `entry-${target.id}-${target.from}`,
    title: span.entry.name,
    closeLabel: t("Закрыть", "Close"),
    content: (self) => {
      const now = find();
      if (!now) {
        return [h("p", { class: "muted" }, t("Этого события больше нет", "This entry is gone"))];
      }
      const entry = now.entry;
      self.setTitle(entry.name);
      const by = async (minutes) => {
        const moved = await move(now, shift(now, minutes));
        if (moved) {
          target.id = moved.id;
          target.from = moment(moved.from);
        }
      };
      const links = (entry.crm || []).map(crmLink);
      const facts = [
        [t("Когда", "When"), entry.whole_day ? dayWords(wall(now.from).day, { day: "numeric", month: "long" }) : spanWords(now.from, now.to)],
        [t("Повторяется", "Repeats"), entry.repeats],
        [t("Занятость", "Availability"), accessText(entry)],
        [t("Место", "Place"), entry.location],
        [t("Описание", "Description"), entry.description === "#busy#" ? "" : entry.description],
        [t("Участники", "Attendees"), (entry.attendees || []).length ? h("span", { class: "people-row" }, entry.attendees.map(personLine)) : ""],
        [t("Карточка CRM", "CRM item"), links.length ? h("span", { class: "links" }, links) : ""],
        [t("Создал", "Made by"), personLine(entry.created_by)],
      ];
      return [
        h("dl", { class: "facts" }, facts.map(([label, value]) => (value ? h("div", { class: "fact" }, h("dt", null, label), h("dd", { class: "break" }, value)) : null))),
        mayEdit(entry)
          ? [
              h(
                "div",
                { class: "move-buttons", role: "group", "aria-label": t("Перенести", "Move") },
                entry.whole_day ? null : button("up", t("На полчаса раньше", "Half an hour earlier"), () => by(-STEP), "small"),
                entry.whole_day ? null : button("down", t("На полчаса позже", "Half an hour later"), () => by(STEP), "small"),
                button("back", t("На день раньше", "A day earlier"), () => by(-1440), "small"),
                button("move", t("На день позже", "A day later"), () => by(1440), "small"),
              ),
              h(
                "div",
                { class: "form-foot" },
                button("pencil", t("Изменить", "Edit"), () => editEntry(now)),
                button("trash", t("Удалить", "Delete"), () => remove(now, () => layer.close()), "bad"),
              ),
            ]
          : h("p", { class: "muted" }, t("Менять событие может владелец календаря, тот, кто его создал, или администратор.", "The calendar's owner, the entry's author or an administrator may change it.")),
      ];
    },
  });
  return layer;
}

async function remove(span, done) {
  if (await act("DELETE", `calendar/${span.entry.id}`, { user_id: store.me, ...occurrence(span) }, t("Событие удалено", "The entry is deleted"))) {
    done();
  }
}

function crmLink(code) {
  const match = /^(L|D|C|CO)_(\d+)$/.exec(String(code));
  const item = match && itemOf(LETTERS[match[1]], match[2]);
  return item ? h("a", { href: `/crm/${kindOf(LETTERS[match[1]]).path}/details/${match[2]}/` }, titleOf(LETTERS[match[1]], item)) : h("span", null, String(code));
}

function fields(values) {
  const access = [["busy", t("занят", "busy")], ["absent", t("отсутствует", "absent")], ["quest", t("под вопросом", "tentative")], ["free", t("свободен", "free")]];
  return [
    { name: "name", label: t("Название", "Name"), value: values.name, required: true, wide: true },
    { name: "day", label: t("День", "Day"), type: "date", value: values.day, required: true },
    { name: "accessibility", label: t("Занятость", "Availability"), type: "select", value: values.accessibility, options: access },
    { name: "start", label: t("Начало", "From"), type: "time", value: values.start, required: true },
    { name: "end", label: t("Конец", "To"), type: "time", value: values.end, required: true },
    { name: "location", label: t("Место", "Place"), value: values.location },
    { name: "description", label: t("Описание", "Description"), value: values.description },
  ];
}

const minutesOf = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

function bodyOf(values) {
  const { day, start, end, ...rest } = values;
  return { ...rest, from: iso(atWall(day, minutesOf(start))), to: iso(atWall(day, minutesOf(end))), user_id: store.me };
}

/** Asks for a new entry of the shown calendar: busy for an hour, by default from the next half hour. */
function newEntry(day, minutes) {
  const now = wall(portalNow());
  const usual = day || (daysOf(view.shown).includes(now.day) ? now.day : daysOf(view.shown)[0]);
  const from = minutes ?? Math.min(22 * 60, Math.ceil((now.minutes + 1) / STEP) * STEP);
  const place = owner() ? { owner_id: owner() } : { type: "company_calendar" };
  formDialog({
    title: owner() ? t(`Занять время: ${nameOf(person(owner()))}`, `Take time of ${nameOf(person(owner()))}`) : t("Событие компании", "An entry of the company"),
    button: t("Создать", "Create"),
    fields: fields({ name: owner() ? t("Занят", "Busy") : "", day: usual, start: clock(from), end: clock(Math.min(from + 60, 1439)), accessibility: "busy" }),
    submit: (values) => act("POST", "calendar", { ...bodyOf(values), ...place }, t("Событие создано", "The entry is created")),
  });
}

function editEntry(span) {
  const { entry } = span;
  const values = { ...entry, day: wall(span.from).day, start: clock(wall(span.from).minutes), end: clock(wall(span.to).minutes) };
  formDialog({
    title: t("Изменить событие", "Edit the entry"),
    button: t("Сохранить", "Save"),
    fields: entry.whole_day ? fields(values).filter((one) => !["day", "start", "end"].includes(one.name)) : fields(values),
    submit: (given) => act("PATCH", `calendar/${entry.id}`, { ...(entry.whole_day ? { ...given, user_id: store.me } : bodyOf(given)), ...occurrence(span) }, t("Сохранено", "Saved")),
  });
}

// -------------------------------------------------------------------- the grid

function slotKeys(event, span) {
  const steps = { ArrowUp: -STEP, ArrowDown: STEP, ArrowLeft: -1440, ArrowRight: 1440 };
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    openEntry(span);
  } else if (event.altKey && steps[event.key] && mayEdit(span.entry) && !(span.entry.whole_day && Math.abs(steps[event.key]) < 1440)) {
    event.preventDefault();
    move(span, shift(span, steps[event.key]));
  }
}

function slot(span, props, ...more) {
  const { entry } = span;
  const words = entry.whole_day ? entry.name : `${clock(wall(span.from).minutes)}–${clock(wall(span.to).minutes)} ${entry.name}`;
  return h(
    "div",
    {
      class: `slot slot-${entry.accessibility}`, role: "button", tabindex: "0", "data-entry": entry.id, "data-key": `slot-${entry.id}-${entry.repeats ? wall(span.from).day : ""}`,
      "aria-label": `${words}, ${accessText(entry)}`, draggable: mayEdit(entry) && !entry.whole_day ? "true" : undefined,
      title: [words, entry.location].filter(Boolean).join("\n"),
      onclick: (event) => { event.stopPropagation(); openEntry(span); },
      onkeydown: (event) => slotKeys(event, span),
      ondragstart: (event) => {
        view.dragging = { span, grip: event.clientY - event.currentTarget.getBoundingClientRect().top };
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", entry.name);
        event.currentTarget.classList.add("dragged");
      },
      ondragend: (event) => { view.dragging = null; event.currentTarget.classList.remove("dragged"); },
      ...props,
    },
    more,
  );
}

/** Places of the spans of one day side by side: [{span, start, end, lane, lanes}]. */
function lanes(spans, day) {
  const placed = spans.map((span) => {
    const from = wall(span.from);
    const to = wall(span.to);
    return { span, start: from.day < day ? 0 : from.minutes, end: to.day > day ? 1440 : Math.max(to.minutes, from.day < day ? 15 : from.minutes + 15), lane: 0, lanes: 1 };
  });
  let group = [];
  let until = -1;
  const close = () => group.forEach((one) => { one.lanes = Math.max(...group.map((each) => each.lane)) + 1; });
  for (const one of placed) {
    if (one.start >= until) {
      close();
      group = [];
    }
    const taken = new Set(group.filter((each) => each.end > one.start).map((each) => each.lane));
    while (taken.has(one.lane)) {
      one.lane += 1;
    }
    group.push(one);
    until = Math.max(until, one.end);
  }
  close();
  return placed;
}

function absenceOn(day) {
  const span = owner() ? field(person(owner()), "absent") : null;
  const covers = span && moment(span.from) < atWall(plus(day, 1), 0) && moment(span.to) > atWall(day, 0);
  return covers ? span : null;
}

function hoursGrid(mode) {
  const days = daysOf(mode);
  const spans = times(days[0], days[days.length - 1]);
  const onDay = (day) => spans.filter((span) => !long(span) && span.from < atWall(plus(day, 1), 0) && span.to > atWall(day, 0));
  const columns = days.map((day) => lanes(onDay(day), day));
  const first = Math.floor(Math.min(8 * 60, ...columns.flat().map((one) => one.start)) / 60);
  const last = Math.ceil(Math.max(20 * 60, ...columns.flat().map((one) => one.end)) / 60);
  const now = wall(portalNow());
  const hours = Array.from({ length: last - first }, (_, index) => first + index);
  const top = (minutes) => `${((minutes - first * 60) / 60) * HOUR}px`;
  const minutesAt = (event, grip = 0) => {
    const box = event.currentTarget.getBoundingClientRect();
    return first * 60 + Math.max(0, Math.round((((event.clientY - grip - box.top) / HOUR) * 60) / STEP) * STEP);
  };
  const allDay = days.map((day) => spans.filter((span) => long(span) && span.from < atWall(plus(day, 1), 0) && span.to > atWall(day, 0)));
  return h(
    "div",
    { class: "box week-box", "data-key": `grid-${mode}`, tabindex: "0", role: "group", "aria-label": t("Сетка календаря", "Grid of the calendar") },
    h("p", { class: "visually-hidden", id: "calendar-help" }, t("Enter открывает событие, Alt и стрелки переносят его: вверх и вниз на полчаса, влево и вправо на день.", "Enter opens an entry, Alt with an arrow moves it: up and down by half an hour, left and right by a day.")),
    h(
      "div",
      { class: `week week-${mode}`, style: { "--days": String(days.length), "--hour": `${HOUR}px` } },
      h("div", { class: "corner" }),
      days.map((day) => h("div", { class: `day-head ${day === now.day ? "now" : ""} ${weekday(day) > 4 ? "off" : ""}`, "data-key": `head-${day}` }, h("span", null, dayWords(day, { weekday: "short" })), " ", h("strong", null, dayWords(day, { day: "numeric" })))),
      h("div", { class: "hour-label all-day-label" }, t("весь день", "all day")),
      days.map((day, index) => {
        const absent = absenceOn(day);
        return h(
          "div",
          { class: "all-day", "data-key": `all-${day}` },
          absent ? h("div", { class: "absence" }, absent.name || t("Отсутствует", "Absent")) : null,
          allDay[index].map((span) => slot(span, { "data-key": `slot-${span.entry.id}-${day}` }, span.entry.name)),
        );
      }),
      h("div", { class: "hours" }, hours.map((hour) => h("div", { class: "hour-label" }, clock(hour * 60)))),
      days.map((day, index) =>
        h(
          "div",
          {
            class: `day-column ${weekday(day) > 4 ? "off" : ""} ${absenceOn(day) ? "away" : ""}`, "data-key": `day-${day}`, "data-day": day, style: { height: `${hours.length * HOUR}px` },
            title: t("Щелчок — новое событие", "Click for a new entry"),
            onclick: (event) => newEntry(day, Math.floor(minutesAt(event) / STEP) * STEP),
            ondragover: (event) => { if (view.dragging) { event.preventDefault(); event.dataTransfer.dropEffect = "move"; event.currentTarget.classList.add("over"); } },
            ondragleave: (event) => { if (!event.currentTarget.contains(event.relatedTarget)) { event.currentTarget.classList.remove("over"); } },
            ondrop: (event) => {
              event.preventDefault();
              event.currentTarget.classList.remove("over");
              const { span, grip } = view.dragging || {};
              if (span) {
                const at = atWall(day, minutesAt(event, grip));
                if (at !== span.from) {
                  move(span, at);
                }
              }
            },
          },
          day === now.day && now.minutes >= first * 60 && now.minutes < last * 60 ? h("div", { class: "now-line", "data-key": "now", style: { top: top(now.minutes) } }) : null,
          columns[index].map((one) =>
            slot(
              one.span,
              {
                class: `slot slot-${one.span.entry.accessibility} ${one.end - one.start < 50 ? "slot-short" : ""}`,
                "aria-describedby": "calendar-help",
                style: { top: top(one.start), height: `${((one.end - one.start) / 60) * HOUR - 2}px`, left: `calc(${(one.lane / one.lanes) * 100}% + 2px)`, width: `calc(${100 / one.lanes}% - 5px)` },
              },
              h("span", { class: "slot-time" }, one.lanes > 1 || one.end - one.start < 50 ? clock(one.start) : `${clock(one.start)}–${clock(one.end)}`),
              h("span", { class: "slot-name" }, one.span.entry.name),
              one.end - one.start > 60 && one.span.entry.location ? h("span", { class: "slot-place" }, one.span.entry.location) : null,
            ),
          ),
        ),
      ),
    ),
  );
}

function monthGrid() {
  const days = daysOf("month");
  const spans = times(days[0], days[days.length - 1]);
  const month = view.day.slice(0, 7);
  const now = today();
  return h(
    "div",
    { class: "box week-box", "data-key": "grid-month", tabindex: "0", role: "group", "aria-label": t("Сетка календаря", "Grid of the calendar") },
    h(
      "div",
      { class: "month" },
      days.slice(0, 7).map((day) => h("div", { class: "day-head", "data-key": `head-${weekday(day)}` }, dayWords(day, { weekday: "short" }))),
      days.map((day) => {
        const own = spans.filter((span) => span.from < atWall(plus(day, 1), 0) && span.to > atWall(day, 0));
        const absent = absenceOn(day);
        return h(
          "div",
          { class: `month-day ${day.slice(0, 7) === month ? "" : "other"} ${weekday(day) > 4 ? "off" : ""}`, "data-key": `day-${day}`, "data-day": day },
          h("button", { type: "button", class: `link month-number ${day === now ? "now" : ""}`, "aria-label": dayWords(day, { day: "numeric", month: "long" }), onclick: () => { view.day = day; choose("day"); } }, String(Number(day.slice(8)))),
          absent ? h("div", { class: "absence" }, absent.name || t("Отсутствует", "Absent")) : null,
          own.slice(0, 4).map((span) => slot(span, { draggable: undefined, "data-key": `slot-${span.entry.id}-${day}` }, long(span) ? null : h("span", { class: "slot-time" }, clock(wall(span.from).minutes)), h("span", { class: "slot-name" }, span.entry.name))),
          own.length > 4 ? h("span", { class: "muted" }, t(`ещё ${own.length - 4}`, `${own.length - 4} more`)) : null,
        );
      }),
    ),
  );
}

// ------------------------------------------------------------------- the view

const views = () => placementsOf("CALENDAR_GRIDVIEW").map((one) => ({ key: `app-${placementClient(one)}-${field(one, "handler")}`, placement: one }));

/** The path of the page: of an employee's calendar, or of the company's. */
export const calendarPath = () => (owner() ? `/company/personal/user/${owner()}/calendar/` : "/calendar/");

/** Makes the calendar of that employee (0: of the company) the shown one; false when there is no such person. */
export function showCalendarOf(id) {
  if (id && !person(id)) {
    return false;
  }
  if (view.who !== id) {
    view.frame = null;
    view.mode = view.shown;
  }
  view.who = id;
  return true;
}

function choose(mode) {
  const found = views().find((one) => one.key === mode);
  view.frame = null;
  view.mode = mode;
  if (!found) {
    view.shown = mode;
  } else {
    // The context is the grid that the calendar showed at the moment of switching.
    const days = daysOf(view.shown);
    const { placement } = found;
    view.frame = {
      number: (choose.counter = (choose.counter || 0) + 1),
      me: store.me,
      box: applicationFrame({
        clientId: placementClient(placement), placement: "CALENDAR_GRIDVIEW", handler: field(placement, "handler"), title: placementTitle(placement),
        options: { viewRangeFrom: days[0], viewRangeTo: days[days.length - 1], URI: location.pathname },
        calendar: { view: (id, day) => viewOf(id, day), add: () => newEntry(), edit: (id, day) => viewOf(id, day, editEntry), remove: (id, day) => viewOf(id, day, (span) => remove(span, changed)), owner },
      }),
    };
  }
  changed();
}

/** Opens the card of an entry that an application names; of a recurring one that of the day. */
function viewOf(id, day, open = openEntry) {
  const entry = part("calendar").find((one) => one.id === Number.parseInt(id, 10));
  if (!entry) {
    return false;
  }
  const spans = entry.repeats ? entry.occurrences : [[entry.from, entry.to]];
  const all = spans.map(([from, to]) => ({ entry, from: moment(from), to: moment(to) }));
  open(all.find((span) => day && wall(span.from).day === String(day).slice(0, 10)) || all[0] || { entry, from: moment(entry.from), to: moment(entry.to) });
  return true;
}

function go(step) {
  if (step === 0) {
    view.day = today();
    tellFrames("CALENDAR_GRIDVIEW", "Calendar.customView:adjustToDate", view.day);
  } else {
    view.day = view.shown === "month" ? nextMonth(view.day, step) : plus(view.day, step * (view.shown === "week" ? 7 : 1));
    tellFrames("CALENDAR_GRIDVIEW", `Calendar.customView:${step < 0 ? "decrease" : "increase"}ViewRangeDate`, {});
  }
  changed();
}

/** The view of a calendar. */
export function calendarView(arrive) {
  view.day = view.day || today();
  const apps = views();
  const frame = view.frame && view.frame.me === store.me && apps.some((one) => one.key === view.mode) ? view.frame : null;
  if (!frame && view.mode !== view.shown) {
    view.mode = view.shown;
    view.frame = null;
  }
  const sign = JSON.stringify(part("calendar"));
  if (view.seen && view.seen !== sign) {
    tellFrames("CALENDAR_GRIDVIEW", "Calendar.customView:refreshEntries", {});
  }
  view.seen = sign;
  const people = part("people").filter((one) => field(one, "active") !== false || one.id === owner());
  const who = owner();
  return [
    viewHead(
      t("Календарь", "Calendar"),
      h(
        "select",
        { class: "who", "aria-label": t("Чей календарь", "Whose calendar"), value: String(who), "data-live": true, onchange: (event) => arrive(Number(event.target.value)) },
        h("option", { value: "0", selected: who === 0 }, t("Календарь компании", "Calendar of the company")),
        people.map((one) => h("option", { value: String(one.id), selected: one.id === who }, nameOf(one))),
      ),
      h("span", { class: "spacer" }),
      button("plus", t("Занять время", "Take time"), () => newEntry(), "primary"),
    ),
    h(
      "div",
      { class: "calendar-bar", "data-key": "calendar-bar" },
      tabs(
        t("Вид календаря", "View of the calendar"),
        [["day", t("День", "Day")], ["week", t("Неделя", "Week")], ["month", t("Месяц", "Month")], ...apps.map((one) => [one.key, placementTitle(one.placement)])],
        view.mode,
        choose,
      ),
      h("span", { class: "spacer" }),
      h("strong", { class: "period", role: "status" }, periodWords(view.shown)),
      h(
        "div",
        { class: "calendar-step", role: "group", "aria-label": t("Период", "Period") },
        h("button", { type: "button", class: "icon-button", "aria-label": t("Назад", "Back"), onclick: () => go(-1) }, icon("back")),
        button("", t("Сегодня", "Today"), () => go(0), "small"),
        h("button", { type: "button", class: "icon-button", "aria-label": t("Вперёд", "Forward"), onclick: () => go(1) }, icon("move")),
      ),
    ),
    !frame && who === 0 && !part("calendar").some(ofOwner) ? h("p", { class: "muted", "data-key": "nothing" }, t("У компании пока нет событий. Чтобы увидеть неделю сотрудника, выберите его рядом с заголовком.", "The company has no entries yet. To see an employee's week, choose him beside the title.")) : null,
    frame
      ? h("div", { class: "calendar-frame card-frame", "data-key": `calendar-frame-${frame.number}` }, frame.box.isConnected ? h("div", { class: "frame-box", "data-keep": true }) : frame.box)
      : view.mode === "month"
        ? monthGrid()
        : hoursGrid(view.mode),
  ];
}

/** The next entries of a person in words, for his card. */
export function nextEntries(id) {
  const now = portalNow();
  const rows = part("calendar").filter((entry) => entry.type === "user" && Number(entry.owner_id) === Number(id));
  const spans = rows.flatMap((entry) => (entry.repeats ? entry.occurrences : [[entry.from, entry.to]]).map(([from, to]) => ({ entry, from: moment(from), to: moment(to) })));
  return spans.filter((span) => span.to > now).sort((a, b) => a.from - b.from).slice(0, 3).map((span) => `${timeText(span.from)} — ${span.entry.name}`);
}
