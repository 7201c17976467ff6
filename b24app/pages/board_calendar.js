(function () {
  "use strict";

  var ROW_HEIGHT = 58;
  var SIDEBAR = 172;
  var AT_ONCE = 200;  // visits that a modest machine draws in a blink
  var ROLES = "[role=table], [role=rowgroup], [role=row], [role=rowheader], [role=columnheader], [role=cell]";
  var VIEWS = { 1: "resourceTimelineDay", 7: "resourceTimelineWeek" };

  function node(tag, className, text) {
    var made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function hour(minutes) {
    return (minutes < 600 ? "0" : "") + Math.floor(minutes / 60) + ":" + (minutes % 60 < 10 ? "0" : "") + minutes % 60;
  }

  /**
   * Draws visits, knows nothing of the server. `on.open(id)` a visit is to be shown, `on.drop(drop)` it was dragged.
   * `draw(model)`: day, days, hidden (weekdays), from, to (minutes), rows [{id, name, why}], and events in the order of
   * the rows [{id, row, start, end, className, name, lines, hint, movable, background}].
   */
  window.boardCalendar = function (place, label, language, clock, on) {
    var calendar = null;
    var frame = "";
    var model = null;
    var drawn = {};
    var waiting = [];
    var pumping = false;
    var dragging = false;
    var current = "";
    var weekend = [];
    var bodies = new WeakMap();

    function element(id) {
      return place.querySelector("[data-visit='" + id + "']");
    }

    function main() {
      return place.querySelector(".ec-main");
    }

    // what the calendar calls a table is none for a reader: names of the buttons say it all, and no role lies
    function plain() {
      place.querySelectorAll(ROLES).forEach(function (one) {
        one.removeAttribute("role");
        one.removeAttribute("aria-colindex");
      });
      place.querySelectorAll("aside:not([role])").forEach(function (one) { one.setAttribute("role", "presentation"); });
      place.firstElementChild.setAttribute("role", "group");
      place.firstElementChild.setAttribute("aria-label", label);
      if (main() && !main().hasAttribute("tabindex")) {
        main().setAttribute("tabindex", "0");
      }
    }

    // The calendar asks again for every visit whenever one of them changes; the same answer costs it nothing.
    function body(info) {
      var facts = info.event.extendedProps;
      if (info.event.display === "preview") {
        return { domNodes: [visit(facts, info.event.start.toTimeString().slice(0, 5))] };
      }
      if (!bodies.has(facts)) {
        var made = facts.background ? backdrop(facts) : [visit(facts, facts.lines[0])];
        if (!facts.background) {
          made[0].setAttribute("data-visit", facts.id);
          made[0].tabIndex = facts.id === current ? 0 : -1;
        }
        bodies.set(facts, { domNodes: made });
      }
      return bodies.get(facts);
    }

    function visit(facts, time) {
      var made = node("div", "visit", [time].concat(facts.lines.slice(1)).join("\n"));
      made.setAttribute("role", "button");
      made.setAttribute("aria-label", facts.hint);
      made.setAttribute("title", facts.hint);
      return made;
    }

    function backdrop(facts) {
      var words = node("span", "words", "");
      words.appendChild(node("span", "hidden-text", facts.hint + ": "));
      words.appendChild(document.createTextNode(facts.name));
      return facts.name ? [words] : [];
    }

    function rowLabel(info) {
      var row = info.resource.extendedProps;
      var nodes = [node("span", "person", row.name)];
      if (row.why) {
        nodes.push(node("span", "why-not", row.why));
      }
      return { domNodes: nodes };
    }

    function eventOf(one) {
      return {
        id: one.id,
        resourceIds: one.rows || [one.row],
        start: one.start,
        end: one.end,
        classNames: [one.className],
        display: one.background ? "background" : "auto",
        startEditable: Boolean(one.movable),
        extendedProps: one
      };
    }

    function dropped(info) {
      var facts = info.event.extendedProps;
      var row = info.event.resourceIds[info.event.resourceIds.length - 1];
      var start = clock.plus(facts.start, info.delta.seconds / 60 + info.delta.days * 1440);
      if (row === String(facts.row) && start === facts.start) {
        return;
      }
      drawn[facts.id] = "";
      on.drop({ id: facts.id, row: row, start: start, revert: info.revert });
    }

    function create() {
      calendar = window.EventCalendar.create(place, {
        view: VIEWS[model.days],
        date: model.day,
        firstDay: 1,
        locale: language,
        timeZone: clock.offset(),
        headerToolbar: { start: "", center: "", end: "" },
        editable: false,
        eventDurationEditable: false,
        nowIndicator: true,
        eventGap: 2,
        eventTimeFormat: function () { return ""; },
        dayHeaderFormat: function (date) {
          return clock.name(date.getFullYear() + "-" + (date.getMonth() + 1) + "-" + date.getDate());
        },
        slotLabelFormat: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
        views: {
          resourceTimelineDay: { slotDuration: "00:30", slotLabelInterval: "01:00", snapDuration: "00:15" },
          resourceTimelineWeek: { slotDuration: "01:00", slotLabelInterval: "02:00", snapDuration: "00:30" }
        },
        hiddenDays: model.hidden,
        slotMinTime: hour(model.from),
        slotMaxTime: hour(model.to),
        slotWidth: width(),
        resources: rows(),
        resourceLabelContent: rowLabel,
        eventContent: body,
        eventDidMount: function (info) { info.el.setAttribute("role", "presentation"); },
        eventDragStart: function () { dragging = true; },
        eventDragStop: function () { dragging = false; },
        eventDrop: dropped
      });
      new MutationObserver(plain).observe(place, { childList: true, subtree: true });
      plain();
    }

    function rows() {
      return model.rows.map(function (row) { return { id: row.id, title: row.name, extendedProps: row }; });
    }

    // the whole range fits where it can: a slot is an hour of the week, half an hour of the day
    function width() {
      var days = model.days === 1 ? 1 : 7 - model.hidden.length;
      var slots = days * (model.to - model.from) / (model.days === 1 ? 30 : 60);
      return Math.max(model.days === 1 ? 34 : 22, Math.floor((place.clientWidth - SIDEBAR - 18) / slots * 4) / 4);
    }

    function remember(events) {
      events.forEach(function (one) { drawn[one.id] = JSON.stringify(one); });
    }

    // rows in sight first; the rest when the browser has nothing better to do
    function refill() {
      var top = main() ? Math.floor(main().scrollTop / ROW_HEIGHT) : 0;
      var order = {};
      model.rows.forEach(function (row, index) {
        order[row.id] = (index - top + model.rows.length) % model.rows.length;
      });
      waiting = model.events.filter(function (one) { return !one.rows; }).sort(function (one, other) {
        return order[one.row] - order[other.row];
      });
      var inSight = Math.ceil((main() ? main().clientHeight : window.innerHeight) / ROW_HEIGHT);
      var seen = waiting.filter(function (one) { return order[one.row] < inSight; }).length;
      drawn = {};
      var first = model.events.filter(function (one) { return one.rows; }).concat(batch(seen));
      remember(first);
      calendar.setOption("events", first.map(eventOf));
      pump();
    }

    // whole rows only, since visits of a row find their height together
    function batch(wanted) {
      var count = Math.min(wanted, waiting.length);
      while (count && count < waiting.length && waiting[count].row === waiting[count - 1].row) {
        count += 1;
      }
      return waiting.splice(0, count);
    }

    function add() {
      var part = batch(AT_ONCE);
      remember(part);
      part.forEach(function (one) { calendar.addEvent(eventOf(one)); });
    }

    function pump() {
      if (pumping) {
        return;
      }
      pumping = true;
      later(function () {
        pumping = false;
        if (!dragging && waiting.length) {
          add();
        }
        if (waiting.length) {
          pump();
        } else {
          place.setAttribute("data-drawn", "");
        }
      });
    }

    function later(what) {
      if (window.requestIdleCallback) {
        window.requestIdleCallback(what, { timeout: 300 });
      } else {
        window.setTimeout(what, 30);
      }
    }

    // the same days and people: only what changed is drawn anew, so a move costs one visit and not a thousand
    function change() {
      var kept = {};
      while (waiting.length) {
        add();
      }
      model.events.forEach(function (one) {
        var text = JSON.stringify(one);
        kept[one.id] = true;
        if (!(one.id in drawn)) {
          calendar.addEvent(eventOf(one));
        } else if (drawn[one.id] !== text) {
          calendar.updateEvent(eventOf(one));
        }
        drawn[one.id] = text;
      });
      Object.keys(drawn).forEach(function (id) {
        if (!kept[id]) {
          calendar.removeEventById(id);
          delete drawn[id];
        }
      });
      place.setAttribute("data-drawn", "");
    }

    function draw(next) {
      var key = JSON.stringify([next.day, next.days, next.hidden, next.from, next.to, next.rows]);
      var focused = place.contains(document.activeElement) && document.activeElement.getAttribute("data-visit");
      var visits = next.events.filter(function (one) { return !one.background; });
      model = next;
      weekend = next.days === 7 ? next.hidden : weekend;
      if (!visits.some(function (one) { return one.id === current; })) {
        current = visits.length ? visits[0].id : "";
      }
      if (calendar && key === frame) {
        change();
      } else {
        place.removeAttribute("data-drawn");
        frame = key;
        if (calendar) {
          calendar.setOption("events", []);
          calendar.setOption("resources", rows());
          calendar.setOption("hiddenDays", model.hidden);
          calendar.setOption("slotMinTime", hour(model.from));
          calendar.setOption("slotMaxTime", hour(model.to));
          show(model.day, model.days);
        } else {
          create();
        }
        refill();
      }
      if (focused) {
        window.requestAnimationFrame(function () { focus(focused); });
      }
    }

    // the new days are seen at once, their visits when the server has told them
    function show(day, days) {
      model.day = day;
      model.days = days;
      if (calendar.getOption("view") !== VIEWS[days]) {
        calendar.setOption("view", VIEWS[days]);
      }
      calendar.setOption("date", day);
      calendar.setOption("slotWidth", width());
    }

    function turn(day, days) {
      if (calendar) {
        frame = "";
        waiting = [];
        drawn = {};
        place.removeAttribute("data-drawn");
        calendar.setOption("events", []);
        calendar.setOption("hiddenDays", model.hidden = days === 1 ? [] : weekend);
        show(day, days);
      }
    }

    function focus(id) {
      if (element(id)) {
        goTo(id);
        return;
      }
      while (waiting.length) {
        add();
      }
      window.setTimeout(function () { goTo(id); });
    }

    function goTo(id) {
      var old = element(current);
      var found = element(id);
      if (old) {
        old.tabIndex = -1;
      }
      if (found) {
        current = id;
        found.tabIndex = 0;
        found.focus();
      }
    }

    // to the neighbour in the row, or to the visit nearest in time in the next row that has one
    function neighbour(id, key) {
      var visits = model.events.filter(function (one) { return !one.background; });
      var at = visits.filter(function (one) { return one.id === id; })[0];
      var index = visits.indexOf(at);
      if (key === "ArrowLeft" || key === "ArrowRight") {
        var next = visits[index + (key === "ArrowLeft" ? -1 : 1)];
        return next && next.row === at.row ? next : null;
      }
      var step = key === "ArrowUp" ? -1 : 1;
      while (visits[index] && visits[index].row === at.row) {
        index += step;
      }
      var row = visits[index] && visits[index].row;
      return visits.filter(function (one) { return one.row === row; }).reduce(function (best, one) {
        return !best || Math.abs(Date.parse(one.start) - Date.parse(at.start)) <
          Math.abs(Date.parse(best.start) - Date.parse(at.start)) ? one : best;
      }, null);
    }

    place.addEventListener("click", function (event) {
      var visit = event.target.closest("[data-visit]");
      if (visit) {
        on.open(visit.getAttribute("data-visit"));
      }
    });
    place.addEventListener("keydown", function (event) {
      var visit = event.target.closest("[data-visit]");
      if (!visit) {
        return;
      }
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        on.open(visit.getAttribute("data-visit"));
      } else if (event.key.indexOf("Arrow") === 0) {
        event.preventDefault();
        var next = neighbour(visit.getAttribute("data-visit"), event.key);
        if (next) {
          focus(next.id);
        }
      }
    });
    var resizing = 0;
    window.addEventListener("resize", function () {
      window.clearTimeout(resizing);
      resizing = window.setTimeout(function () {
        if (calendar) {
          calendar.setOption("slotWidth", width());
        }
      }, 200);
    });

    return { draw: draw, turn: turn, focus: focus, element: element };
  };
})();
