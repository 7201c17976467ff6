(function () {
  "use strict";

  var form = document.getElementById("form");
  var said = document.getElementById("said");
  var broken = document.getElementById("broken");
  var save = document.getElementById("save");
  var MAX_FILE_BYTES = 5 * 1024 * 1024;
  var CLOSES_AFTER_MS = 4000;  // long enough to read what was saved

  function say(text) {
    said.textContent = text;
  }

  function fail(text) {
    broken.textContent = text;
    broken.hidden = !text;
  }

  function fieldOf(key) {
    return Array.prototype.find.call(form.querySelectorAll(".field"), function (field) {
      return field.getAttribute("data-key") === key;
    });
  }

  function control(field) {
    return field.querySelector("input, select, textarea");
  }

  function isWritable(field) {
    return !field.classList.contains("proof") && Boolean(control(field));
  }

  function base(field) {
    return JSON.parse(field.getAttribute("data-base"));
  }

  function readFile(field) {
    var file = control(field).files[0];
    if (!file) {
      return Promise.resolve(null);
    }
    if (file.size > MAX_FILE_BYTES) {
      problem(field.getAttribute("data-key"), form.getAttribute("data-large"));
      return Promise.reject(new Error(form.getAttribute("data-large")));
    }
    return new Promise(function (resolve, reject) {
      var reader = new FileReader();
      reader.onload = function () {
        var text = String(reader.result);
        resolve({ name: file.name, data: text.slice(text.indexOf(",") + 1) });
      };
      reader.onerror = function () {
        reject(new Error(String(reader.error)));
      };
      reader.readAsDataURL(file);
    });
  }

  function valueOf(field) {
    var input = control(field);
    switch (field.getAttribute("data-type")) {
      case "file":
        return readFile(field);
      case "money":
        return Promise.resolve(input.value.trim() ? [input.value + "|" + input.getAttribute("data-currency")] : []);
      case "employee":
        return Promise.resolve(input.value ? input.value.split(",") : []);
      case "enumeration":
        if (field.getAttribute("data-multiple") === "1") {
          return Promise.resolve(
            Array.prototype.map.call(field.querySelectorAll("input:checked"), function (one) { return one.value; })
          );
        }
        return Promise.resolve(input.value ? [input.value] : []);
      default:
        return Promise.resolve(input.value);
    }
  }

  function put(field, values) {
    var input = control(field);
    switch (field.getAttribute("data-type")) {
      case "file":
        input.value = "";
        break;
      case "money":
        input.value = values.length ? values[0].split("|")[0] : "";
        break;
      case "employee":
        input.value = values.join(",");
        field.querySelector(".person").textContent = values.join(", ");
        break;
      case "enumeration":
        if (field.getAttribute("data-multiple") === "1") {
          field.querySelectorAll("input").forEach(function (one) { one.checked = values.indexOf(one.value) >= 0; });
          break;
        }
        input.value = values[0] || "";
        break;
      default:
        input.value = values.join("\n");
    }
  }

  function problem(key, text) {
    var place = document.getElementById("error-" + key);
    if (place) {
      place.textContent = text;
    }
    var field = fieldOf(key);
    var input = field && control(field);
    if (input) {
      input.setAttribute("aria-invalid", text ? "true" : "false");
      var details = field.querySelector("details");
      if (text && details) {
        details.open = true;
      }
    }
  }

  function tidy() {
    fail("");
    form.querySelectorAll(".field").forEach(function (field) { problem(field.getAttribute("data-key"), ""); });
  }

  // what somebody else wrote meanwhile is shown, and the person chooses
  function meanwhile(key, change) {
    var field = fieldOf(key);
    var place = field.querySelector(".meanwhile");
    place.textContent = "";
    var text = document.createElement("p");
    text.textContent = form.getAttribute("data-meanwhile") + " «" + (change.shown || form.getAttribute("data-empty")) + "».";
    place.appendChild(text);
    var row = document.createElement("p");
    row.className = "row";
    [["keep", true], ["mine", false]].forEach(function (choice) {
      var button = document.createElement("button");
      button.type = "button";
      button.className = "second";
      button.textContent = form.getAttribute("data-" + choice[0]);
      button.addEventListener("click", function () {
        field.setAttribute("data-base", JSON.stringify(change.now));
        if (choice[1]) {
          put(field, change.now);
        }
        place.hidden = true;
        (control(field).type === "hidden" ? field.querySelector("button") : control(field)).focus();
      });
      row.appendChild(button);
    });
    place.appendChild(row);
    place.hidden = false;
    return row.firstChild;
  }

  function gathered() {
    var wish = { entity: form.getAttribute("data-entity"), to: form.getAttribute("data-to"), stage: form.getAttribute("data-stage"), values: {}, base: {}, reasons: {} };
    var waiting = [];
    form.querySelectorAll(".field").forEach(function (field) {
      var key = field.getAttribute("data-key");
      if (field.classList.contains("proof")) {
        var reason = field.querySelector("textarea");
        if (reason && reason.value.trim()) {
          wish.reasons[key] = reason.value;
        }
      } else if (isWritable(field)) {
        wish.base[key] = base(field);
        waiting.push(valueOf(field).then(function (value) {
          if (value !== null) {
            wish.values[key] = value;
          }
        }));
      }
    });
    return Promise.all(waiting).then(function () { return wish; });
  }

  function shown(answer) {
    var first = null;
    Object.keys(answer.problems).forEach(function (key) {
      problem(key, answer.problems[key]);
      var field = fieldOf(key);
      first = first || (field && (field.querySelector("button[data-choose]") || control(field)));
    });
    Object.keys(answer.changed).forEach(function (key) {
      first = meanwhile(key, answer.changed[key]) || first;
    });
    if (answer.done) {
      say(answer.said);
      form.querySelectorAll("input, select, textarea, button").forEach(function (one) { one.disabled = true; });
      window.setTimeout(function () { window.BX24.closeApplication(); }, CLOSES_AFTER_MS);
      return;
    }
    say("");
    fail(answer.said);
    Object.keys(answer.now).forEach(function (key) {
      var field = fieldOf(key);
      if (field && !answer.changed[key]) {
        field.setAttribute("data-base", JSON.stringify(answer.now[key]));
      }
    });
    if (answer.stage) {
      form.setAttribute("data-stage", answer.stage);
    }
    if (first) {
      first.focus();
    }
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    tidy();
    save.disabled = true;
    gathered().then(function (wish) {
      return window.b24app.act("/placement/save", wish);
    }).then(function (answer) {
      save.disabled = false;
      shown(answer);
    }).catch(function (error) {
      save.disabled = false;
      fail(error.message);
    });
  });

  form.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("button[data-choose]");
    if (button && window.BX24) {
      var field = button.closest(".field");
      window.BX24.selectUser(function (person) {
        control(field).value = String(person.id);
        field.querySelector(".person").textContent = person.name;
        button.focus();
      });
    }
  });

  document.getElementById("cancel").addEventListener("click", function () {
    if (window.BX24) {
      window.BX24.closeApplication();
    }
  });

  if (window.BX24) {
    window.BX24.init(function () {
      window.BX24.setTitle(document.title);
    });
  }

  // what the person came for, else the first field: those that are empty stand first
  var wanted = form.getAttribute("data-at") && fieldOf(form.getAttribute("data-at"));
  var details = wanted && wanted.querySelector("details");
  if (details) {
    details.open = true;
  }
  var inputs = "input:not([type=hidden]), select, textarea, button";
  var begin = (wanted && wanted.querySelector(inputs)) || form.querySelector(".field:not(.proof) :is(" + inputs + ")");
  document.addEventListener("DOMContentLoaded", function () {  // frame.js, which came first, has made the page usable
    if (begin) {
      begin.focus();
    }
  });
})();
