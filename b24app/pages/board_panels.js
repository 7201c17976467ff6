(function () {
  "use strict";

  function by(id) {
    return document.getElementById(id);
  }

  function node(tag, className, text) {
    var made = document.createElement(tag);
    made.className = className || "";
    made.textContent = text || "";
    return made;
  }

  function put(place, nodes) {
    place.textContent = "";
    nodes.forEach(function (one) { place.appendChild(one); });
  }

  function state(visit) {
    var made = node("span", "mark state-" + visit.state);
    var mark = node("span", "sign");
    mark.setAttribute("aria-hidden", "true");
    made.appendChild(mark);
    made.appendChild(document.createTextNode(visit.state_name));
    return made;
  }

  function link(visit, portal, text) {
    var made = text instanceof Node ? text : node("a", "", text);
    made.href = portal + visit.path;
    made.setAttribute("data-path", visit.path);
    made.target = "_blank";
    made.rel = "noopener";
    return made;
  }

  /** The parts of the page around the calendar. `word(name)` is a text of the page; `clock` is the office's. */
  window.boardPanels = function (word, clock) {
    var portal = word("portal");

    function time(visit) {
      var start = clock.wall(visit.start);
      var end = clock.wall(visit.end);
      var last = start.slice(0, 10) === end.slice(0, 10) ? "" : clock.name(end.slice(0, 10)) + " ";
      return start.slice(11) + "–" + last + end.slice(11);
    }

    // "9–12": a column of the week has no room for zeros
    function brief(visit) {
      return time(visit).replace(/\b0(\d:)/g, "$1").replace(/:00/g, "");
    }

    function when(visit) {
      return clock.name(clock.wall(visit.start).slice(0, 10)) + " " + time(visit);
    }

    function problems(list, visits, replace) {
      by("problems").hidden = !list.length;
      by("problems-count").textContent = list.length;
      if (by("replace-all")) {
        by("replace-all").disabled = !list.some(function (one) { return one.proposal; });
      }
      put(by("problem-list"), list.map(function (one) {
        var line = node("li", "row");
        var visit = visits.filter(function (other) { return other.id === one.visit; })[0];
        var title = node("strong");
        title.appendChild(visit && visit.path ? link(visit, portal, one.title) : document.createTextNode(one.title));
        line.appendChild(title);
        line.appendChild(node("span", "", one.when));
        line.appendChild(node("span", "bad", one.why));
        if (one.proposal) {
          var offer = one.proposal;
          line.appendChild(node("span", "good",
            word("proposal") + ": " + offer.name + ", " + offer.when + (offer.text ? " — " + offer.text : "")));
        } else {
          line.appendChild(node("span", "soft", word("no-proposal")));
        }
        if (one.proposal && replace) {
          var push = node("span", "push");
          var button = node("button", "second", word("move"));
          button.type = "button";
          button.setAttribute("aria-label", word("move-to").replace("{title}", one.title));
          button.setAttribute("data-replace", one.visit);
          button.addEventListener("click", function () { replace(one, button); });
          push.appendChild(button);
          line.appendChild(push);
        }
        return line;
      }));
    }

    function details(visit, measurers, near) {
      var values = [when(visit), visit.measurer_name || word("nobody"), visit.address, visit.work_name, visit.round];
      by("details-name").textContent = visit.title;
      put(by("details-state"), [state(visit)]);
      by("details-problem").textContent = visit.problem;
      put(by("facts"), word("facts").split("|").reduce(function (nodes, name, index) {
        return values[index] ? nodes.concat([node("dt", "", name), node("dd", "", values[index])]) : nodes;
      }, []));
      link(visit, portal, by("card"));
      by("card").hidden = !visit.path;
      if (by("move")) {
        by("move").hidden = !visit.movable;
        put(by("move-to"), measurers.map(function (one) {
          var option = node("option", "", one.name + (one.why ? " (" + one.why + ")" : ""));
          option.value = one.id;
          option.selected = one.id === visit.measurer;
          return option;
        }));
        by("move-at").value = clock.wall(visit.start);
      }
      beside(near);
      by("details-name").focus();
    }

    // under the visit where there is room, and never past the edge
    function beside(near) {
      var panel = by("details");
      var desk = by("desk").getBoundingClientRect();
      var box = near.getBoundingClientRect();
      panel.hidden = false;
      var left = Math.min(box.left - desk.left, desk.width - panel.offsetWidth - 12);
      var top = box.bottom - desk.top + 6;
      if (desk.top + top + panel.offsetHeight > document.documentElement.clientHeight) {
        top = Math.max(12, document.documentElement.clientHeight - desk.top - panel.offsetHeight - 12);
        left = box.right - desk.left + 8 + panel.offsetWidth < desk.width ? box.right - desk.left + 8
          : box.left - desk.left - panel.offsetWidth - 8;
      }
      panel.style.left = Math.max(12, left) + "px";
      panel.style.top = Math.max(12, top) + "px";
    }

    function people(measurers, chosen, changed) {
      put(by("people-list"), measurers.map(function (one) {
        var label = node("label", "choice");
        var box = node("input");
        box.type = "checkbox";
        box.value = one.id;
        box.checked = chosen(one.id);
        box.addEventListener("change", function () { changed(one.id, box.checked); });
        label.appendChild(box);
        label.appendChild(document.createTextNode(" " + one.name));
        return label;
      }));
    }

    function table(visits) {
      var made = node("table");
      var head = node("tr");
      word("columns").split("|").forEach(function (name) {
        var cell = node("th", "", name);
        cell.scope = "col";
        head.appendChild(cell);
      });
      made.appendChild(node("thead"));
      made.firstChild.appendChild(head);
      var rows = node("tbody");
      visits.forEach(function (visit) {
        var row = node("tr");
        row.appendChild(node("td", "time", time(visit)));
        row.appendChild(node("td", "", visit.title + (visit.work_name ? " (" + visit.work_name + ")" : "")));
        row.appendChild(node("td", "", visit.address));
        row.appendChild(node("td", "", visit.state_name + (visit.problem ? ". " + visit.problem : "")));
        rows.appendChild(row);
      });
      made.appendChild(rows);
      return made;
    }

    function list(day, measurers, visits) {
      var free = [];
      var parts = [node("h1", "", word("list") + ": " + clock.title(day, day))];
      measurers.forEach(function (one) {
        var own = visits.filter(function (visit) {
          return String(visit.measurer) === String(one.id) && clock.wall(visit.start).slice(0, 10) <= day &&
            clock.plus(clock.wall(visit.end), -1).slice(0, 10) >= day;
        });
        if (own.length) {
          var part = node("section");
          part.appendChild(node("h2", "", one.name));
          part.appendChild(table(own));
          parts.push(part);
        } else {
          free.push(one.name + (one.why ? " (" + one.why + ")" : ""));
        }
      });
      if (parts.length === 1) {
        parts.push(node("p", "", word("none")));
      }
      if (free.length) {
        parts.push(node("p", "soft", word("free") + ": " + free.join(", ")));
      }
      put(by("day-list"), parts);
    }

    return { problems: problems, details: details, people: people, list: list, time: time, brief: brief, when: when };
  };
})();
