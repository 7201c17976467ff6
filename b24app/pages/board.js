(function () {
  "use strict";

  var board = document.getElementById("board");
  var place = document.getElementById("calendar");
  var said = document.getElementById("said");
  var broken = document.getElementById("broken");
  var language = document.documentElement.lang;
  var canMove = Boolean(word("can-move"));
  var clock = window.boardClock("UTC", language);
  var panels = window.boardPanels(word, clock);
  var calendar = null;
  var day = word("from");
  var days = Number(word("days"));
  var answer = null;
  var asked = 0;
  var asking = null;
  var leftOut = {};
  var listed = "";
  var opened = null;

  function by(id) {
    return document.getElementById(id);
  }

  function word(name) {
    return board.getAttribute("data-" + name) || "";
  }

  function say(text) {
    broken.textContent = "";
    said.textContent = text;
  }

  function fail(text) {
    said.textContent = "";
    broken.textContent = text;
  }

  function counted(name, n, all) {
    return word(name).replace("{n}", n).replace("{all}", all);
  }

  // what is shown

  function first() {
    return days === 1 ? day : clock.monday(day);
  }

  function busy(yes) {
    place.setAttribute("aria-busy", yes ? "true" : "false");
    by("loading").hidden = !yes;
  }

  function load() {
    var mine = asked += 1;
    if (asking) {
      asking.abort();
    }
    asking = new AbortController();
    busy(true);
    return window.b24app.post("/visits/board", { from: first(), to: clock.dayPlus(first(), days) }, asking.signal).then(function (told) {
      if (mine !== asked) {
        return;
      }
      answer = told;
      busy(false);
      begin();
      people();
      draw();
    }).catch(function (error) {
      if (mine === asked) {
        busy(false);
        fail(error.message);
      }
    });
  }

  // the first answer tells whose clock it is
  function begin() {
    if (!calendar) {
      clock = window.boardClock(answer.zone, language);
      panels = window.boardPanels(word, clock);
      calendar = window.boardCalendar(place, word("calendar"), language, clock, { open: open, drop: drop });
    }
  }

  function everybody() {
    var known = {};
    answer.measurers.forEach(function (one) { known[one.id] = true; });
    return answer.visits.reduce(function (people, visit) {
      if (!known[visit.measurer]) {
        known[visit.measurer] = true;
        people.push({ id: visit.measurer, name: visit.measurer_name || word("nobody"), zones: [], why: "" });
      }
      return people;
    }, answer.measurers.slice());
  }

  // somebody else's visits stay in sight in his row: a gap must be a gap
  function chosen() {
    var zone = by("zone") ? by("zone").value : "";
    return everybody().filter(function (one) {
      var there = !zone || !one.zones.length || one.zones.indexOf(zone) >= 0 || answer.visits.some(function (visit) {
        return visit.measurer === one.id && visit.zone === zone;
      });
      return there && !leftOut[one.id];
    });
  }

  function visit(id) {
    return answer.visits.filter(function (one) { return String(one.id) === String(id); })[0];
  }

  // hours that hold every visit, whoever agreed to work late
  function limits() {
    var from = clock.minutes("2000-01-01T" + answer.hours.from);
    var to = clock.minutes("2000-01-01T" + answer.hours.to);
    answer.visits.forEach(function (one) {
      var start = clock.wall(one.start);
      var end = clock.wall(one.end);
      var sameDay = start.slice(0, 10) === end.slice(0, 10);
      from = Math.min(from, Math.floor(clock.minutes(start) / 60) * 60);
      to = Math.max(to, Math.min(1440, Math.ceil((sameDay ? clock.minutes(end) : clock.minutes(start) + 30) / 60) * 60));
    });
    return { from: from, to: to };
  }

  function closed(open, dates, rows) {
    var nights = [];
    dates.forEach(function (date) {
      if (answer.work_days.indexOf(date) < 0) {
        nights.push([date, "00:00", "24:00"]);
      } else {
        nights.push([date, "00:00", answer.hours.from], [date, answer.hours.to, "24:00"]);
      }
    });
    return nights.filter(function (night) {
      return clock.minutes("2000-01-01T" + night[1]) < open.to && clock.minutes("2000-01-01T" + night[2]) > open.from;
    }).map(function (night) {
      var start = night[0] + "T" + night[1];
      var end = night[2] === "24:00" ? clock.dayPlus(night[0], 1) + "T00:00" : night[0] + "T" + night[2];
      return {
        id: "closed-" + start, rows: rows, start: start, end: end, background: true, className: "closed", name: "",
        hint: word("closed")
      };
    });
  }

  function draw() {
    var shown = chosen();
    var dates = [];
    var open = limits();
    for (var n = 0; n < days; n += 1) {
      dates.push(clock.dayPlus(first(), n));
    }
    var used = {};
    answer.visits.forEach(function (one) { used[clock.wall(one.start).slice(0, 10)] = true; });
    var idle = dates.filter(function (date) { return answer.work_days.indexOf(date) < 0 && !used[date]; });
    idle = idle.length < dates.length ? idle : [];
    panels.problems(answer.problems, answer.visits, canMove ? replace : null);
    counts();
    by("empty").hidden = Boolean(everybody().length);
    by("nobody").hidden = Boolean(shown.length) || !everybody().length;
    place.hidden = !shown.length;
    if (shown.length) {
      calendar.draw({
        day: first(), days: days, hidden: idle.map(clock.weekday), from: open.from, to: open.to,
        rows: shown.map(function (one) { return { id: String(one.id), name: one.name, why: one.why }; }),
        events: closed(open, dates, shown.map(function (one) { return String(one.id); })).concat(events(shown))
      });
    }
    if (opened && !visit(opened)) {
      close();
    }
  }

  function events(people) {
    var zone = by("zone") ? by("zone").value : "";
    return people.reduce(function (all, one) {
      var own = answer.visits.filter(function (each) { return each.measurer === one.id; }).map(function (each) {
        var where = each.address ? " · " + each.address : "";
        return {
          id: String(each.id), row: String(one.id), start: clock.wall(each.start), end: clock.wall(each.end),
          className: "state-" + each.state + (each.problem ? " trouble" : "") + (zone && each.zone !== zone ? " elsewhere" : ""),
          lines: [days === 1 ? panels.time(each) : panels.brief(each), each.title + where, each.state_name],
          hint: [panels.when(each), each.title, each.problem || each.state_name, one.name, each.address].filter(Boolean).join(", "),
          movable: canMove && each.movable
        };
      });
      own.sort(function (a, b) { return a.start < b.start ? -1 : 1; });
      return all.concat(own, answer.busy.filter(function (each) { return each.measurer === one.id; }).map(function (each, n) {
        return {
          id: "busy-" + one.id + "-" + n, row: String(one.id), start: clock.wall(each.start), end: clock.wall(each.end),
          background: true, className: each.absent ? "absent" : "busy", name: each.absent ? word("absent") : word("busy"),
          hint: one.name + ", " + panels.when(each)
        };
      }));
    }, []);
  }

  // the boxes stay while the people do: whoever ticks them keeps his place
  function people() {
    var key = JSON.stringify(everybody());
    if (key !== listed) {
      listed = key;
      panels.people(everybody(), function (id) { return !leftOut[id]; }, function (id, shown) {
        leftOut[id] = !shown;
        draw();
      });
    }
  }

  function counts() {
    var all = everybody();
    var shown = all.filter(function (one) { return !leftOut[one.id]; }).length;
    by("people-count").textContent = shown === all.length ? word("all") : counted("of", shown, all.length);
  }

  // days and views

  function go(to, count) {
    close();
    say("");
    day = to;
    days = count;
    toolbar();
    if (calendar) {
      calendar.turn(first(), days);
    }
    load();
  }

  function toolbar() {
    by("period").textContent = clock.title(first(), clock.dayPlus(first(), days - 1));
    by("date").value = day;
    by("print").textContent = word("print").replace("{day}", clock.name(day));
    board.querySelectorAll("[data-days]").forEach(function (button) {
      button.setAttribute("aria-pressed", Number(button.getAttribute("data-days")) === days ? "true" : "false");
    });
  }

  // moving

  function settled(told) {
    (told.done ? say : fail)(told.said);
    return load();
  }

  function drop(what) {
    say(word("moving"));
    window.b24app.act("/visits/move", { visit: Number(what.id), measurer: Number(what.row), start: clock.iso(what.start) }).then(function (told) {
      if (!told.done) {
        what.revert();
      }
      return settled(told);
    }).catch(function (error) {
      what.revert();
      fail(error.message);
    });
  }

  function moveByForm(event) {
    event.preventDefault();
    var button = by("move").querySelector("button");
    var wish = { visit: Number(opened), measurer: Number(by("move-to").value), start: clock.iso(by("move-at").value) };
    button.disabled = true;
    say(word("moving"));
    window.b24app.act("/visits/move", wish).then(function (told) {
      button.disabled = false;
      if (told.done) {
        close();
      }
      return settled(told);
    }).catch(function (error) {
      button.disabled = false;
      fail(error.message);
    });
  }

  function replace(problem, button) {
    button.disabled = true;
    failures([]);
    window.b24app.act("/visits/replace", { visit: problem.visit }).then(settled).catch(function (error) {
      button.disabled = false;
      fail(error.message);
    });
  }

  // one after another: each takes a time that the next one must not be offered
  function replaceAll() {
    var list = answer.problems.filter(function (one) { return one.proposal; });
    var failed = [];
    by("replace-all").disabled = true;
    failures([]);
    list.reduce(function (before, one, n) {
      return before.then(function () {
        by("progress").textContent = counted("of", n + 1, list.length);
        return window.b24app.act("/visits/replace", { visit: one.visit });
      }).then(function (told) {
        if (!told.done) {
          failed.push(one.title + ": " + told.said);
        }
      }, function (error) {
        failed.push(one.title + ": " + error.message);
      });
    }, Promise.resolve()).then(function () {
      by("progress").textContent = "";
      failures(failed);
      say(counted("moved", list.length - failed.length, list.length));
      return load();
    });
  }

  function failures(lines) {
    var place = by("failures");
    place.hidden = !lines.length;
    place.textContent = "";
    lines.forEach(function (line) {
      var part = document.createElement("p");
      part.textContent = line;
      place.appendChild(part);
    });
  }

  // details

  function open(id) {
    opened = id;
    panels.details(visit(id), everybody(), calendar.element(id) || place);
  }

  function close() {
    if (opened) {
      var id = opened;
      var inside = by("details").contains(document.activeElement);
      opened = null;
      by("details").hidden = true;
      if (inside && calendar) {
        calendar.focus(id);
      }
    }
  }

  function prepareList() {
    if (answer) {
      panels.list(day, chosen(), answer.visits);
    }
  }

  board.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) {
      return;
    }
    if (button.hasAttribute("data-days")) {
      go(day, Number(button.getAttribute("data-days")));
    } else if (button.hasAttribute("data-step")) {
      var step = Number(button.getAttribute("data-step"));
      go(step ? clock.dayPlus(day, step * days) : clock.now().slice(0, 10), days);
    }
  });
  by("date").addEventListener("change", function () {
    if (by("date").value > "2000") {  // a year is typed digit by digit
      go(by("date").value, days);
    }
  });
  by("again").addEventListener("click", load);
  by("print").addEventListener("click", function () {
    prepareList();
    window.print();
  });
  window.addEventListener("beforeprint", prepareList);
  if (by("zone")) {
    by("zone").addEventListener("change", draw);
  }
  by("everybody").addEventListener("click", function () {
    leftOut = {};
    listed = "";
    people();
    draw();
  });
  by("close").addEventListener("click", close);
  document.addEventListener("pointerdown", function (event) {
    if (!by("details").contains(event.target) && !event.target.closest("[data-visit]")) {
      close();
    }
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      close();
      by("people").open = false;
    }
  });
  if (by("move")) {
    by("move").addEventListener("submit", moveByForm);
    by("replace-all").addEventListener("click", replaceAll);
  }
  toolbar();
  load();
})();
