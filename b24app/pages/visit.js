(function () {
  "use strict";

  var tab = document.getElementById("visit");
  var said = document.getElementById("said");
  var broken = document.getElementById("broken");
  var loading = document.getElementById("loading");
  var list = document.getElementById("slots");
  var why = document.getElementById("why");
  var wish = document.getElementById("wish");
  var asked = 0;
  var TRIES = 4;
  var LATER_MS = 2000;

  function word(name) {
    return tab.getAttribute("data-" + name);
  }

  function say(text) {
    broken.hidden = true;
    said.textContent = text;
  }

  function fail(text) {
    said.textContent = "";
    broken.textContent = text;
    broken.hidden = !text;
    if (text) {
      broken.scrollIntoView({ block: "nearest" });
    }
  }

  function element(name, text, className) {
    var made = document.createElement(name);
    if (text) {
      made.textContent = text;
    }
    if (className) {
      made.className = className;
    }
    return made;
  }

  // only a question is asked again by itself: the portal takes so many requests a second

  function send(action, body, done, failed, tries) {
    window.b24app.act("/visits/" + action, body).then(done).catch(function (error) {
      if (error.status === 503 && tries) {
        window.setTimeout(function () { send(action, body, done, failed, tries - 1); }, LATER_MS);
      } else {
        failed(error.message);
      }
    });
  }

  function reload() {
    window.BX24.placement.call("reloadData", {}, function () {});
    window.BX24.reloadWindow();
  }

  function busy(on) {
    Array.prototype.forEach.call(tab.querySelectorAll("button"), function (button) { button.disabled = on; });
    tab.setAttribute("aria-busy", on ? "true" : "false");
  }

  // times

  function values(name) {
    return Array.prototype.map.call(wish.querySelectorAll("input[name=" + name + "]:checked"), function (box) {
      return box.value;
    });
  }

  function order() {
    var work = document.getElementById("work");
    return {
      entity: word("entity"),
      work: work ? work.value : "",
      parts: values("part"),
      not_weekdays: values("day").map(Number),
      strict: document.getElementById("strict").checked
    };
  }

  function find(explain) {
    var body = order();
    var mine = ++asked;
    body.explain = explain;
    loading.textContent = "…";
    list.setAttribute("aria-busy", "true");
    send("find", body, function (answer) {
      if (mine !== asked) {
        return;  // a later question is on its way
      }
      loading.textContent = "";
      list.setAttribute("aria-busy", "false");
      show(answer.slots);
      fail(answer.said);
      explained(answer.why);
    }, function (text) {
      if (mine === asked) {
        loading.textContent = "";
        list.setAttribute("aria-busy", "false");
        fail(text);
      }
    }, TRIES);
  }

  function show(slots) {
    var grades = word("grades").split("|");
    list.textContent = "";
    slots.forEach(function (slot) {
      var line = element("li", "", "row slot");
      var grade = element("span", slot.grade, "grade grade-" + slot.grade);
      var words = element("span");
      grade.title = grades["ABC".indexOf(slot.grade)];
      words.appendChild(element("strong", slot.when));
      words.appendChild(document.createTextNode(" " + slot.name));
      slot.text.split("\n").forEach(function (text) { words.appendChild(element("span", text, "soft sum")); });
      line.appendChild(grade);
      line.appendChild(words);
      line.appendChild(buttons(slot));
      list.appendChild(line);
    });
  }

  function buttons(slot) {
    var both = element("span", "", "push");
    ["hold", "book"].forEach(function (how) {
      var button = element("button", word(how), how === "hold" ? "second" : "");
      button.type = "button";
      button.setAttribute("data-take", how);
      button.setAttribute("data-measurer", slot.measurer);
      button.setAttribute("data-start", slot.start);
      button.setAttribute("aria-label", word(how) + ": " + slot.when + ", " + slot.name);
      both.appendChild(button);
    });
    return both;
  }

  function explained(reasons) {
    why.hidden = !reasons;
    why.textContent = "";
    if (!reasons) {
      return;
    }
    group(word("why-people"), reasons.measurers.map(function (one) { return one.name + ": " + one.why; }));
    group(word("why-days"), reasons.days.map(function (one) {
      return one.day.split("-").reverse().slice(0, 2).join(".") + ": " + one.why;
    }));
    if (!reasons.measurers.length && !reasons.days.length) {
      why.appendChild(element("p", word("all-offered")));
    }
  }

  function group(name, lines) {
    var items;
    if (lines.length) {
      items = element("ul");
      why.appendChild(element("h3", name));
      lines.forEach(function (text) { items.appendChild(element("li", text)); });
      why.appendChild(items);
    }
  }

  // acts

  function act(action, body) {
    busy(true);
    send(action, body, function (answer) {
      busy(false);
      if (answer.done) {
        say(answer.said);
        reload();
      } else {
        fail(answer.said);
        if (answer.slots && answer.slots.length) {
          show(answer.slots);
        }
      }
    }, function (text) {
      busy(false);
      fail(text);
    });
  }

  function take(button) {
    var body = order();
    body.measurer = Number(button.getAttribute("data-measurer"));
    body.start = button.getAttribute("data-start");
    act(button.getAttribute("data-take"), body);
  }

  function happen(visit, how, reason) {
    act("happen", { visit: Number(visit), how: how, reason: reason });
  }

  function openBoard() {
    window.b24app.portal().then(function (bx24) {
      bx24.openApplication({ view: "board" }, function () {}, { title: word("board-title") });
    }).catch(function (error) { fail(error.message); });
  }

  tab.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("button");
    if (!button) {
      return;
    }
    if (button.hasAttribute("data-take")) {
      take(button);
    } else if (button.hasAttribute("data-happen")) {
      happen(button.getAttribute("data-visit"), button.getAttribute("data-happen"), "");
    } else if (button.hasAttribute("data-release")) {
      act("release", { visit: Number(button.getAttribute("data-release")) });
    } else if (button.id === "explain") {
      find(true);
    } else if (button.id === "board" && event.detail < 2) {  // not for the second half of a double click
      openBoard();
    }
  });

  var cancel = document.getElementById("cancel");
  if (cancel) {
    cancel.addEventListener("submit", function (event) {
      event.preventDefault();
      happen(cancel.getAttribute("data-visit"), "cancel", document.getElementById("reason").value);
    });
  }

  if (wish) {
    wish.addEventListener("change", function () { find(false); });
    document.getElementById("address-form").addEventListener("submit", function (event) {
      event.preventDefault();
      act("address", { entity: word("entity"), address: document.getElementById("address").value });
    });
    if (!document.getElementById("times").hidden) {
      find(false);
    }
  }

  // a hold says how long it lasts, and when it is over

  function countDown() {
    var held = document.getElementById("held");
    var left = held && new Date(held.getAttribute("data-until")) - Date.now();
    if (!held) {
      return;
    }
    if (left <= 0) {
      held.remove();
      fail(word("over"));
      if (wish) {
        find(false);
      }
      return;
    }
    document.getElementById("left").textContent = word("left")
      .replace("{m}", Math.floor(left / 60000)).replace("{s}", Math.floor(left / 1000) % 60);
    window.setTimeout(countDown, 1000);
  }

  countDown();
})();
