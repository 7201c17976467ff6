(function () {
  "use strict";

  var said = document.getElementById("said");

  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("button[data-action]");
    if (!button) {
      return;
    }
    var row = button.closest("li");
    var buttons = row.querySelectorAll("button");
    buttons.forEach(function (one) { one.disabled = true; });
    window.b24app.post("/app/action", {
      action: button.getAttribute("data-action"),
      id: Number(button.getAttribute("data-id") || 0),
      entity: button.getAttribute("data-entity") || ""
    }).then(function (answer) {
      buttons.forEach(function (one) { one.remove(); });
      var done = document.createElement("span");
      done.className = "mark";
      done.textContent = answer.said;
      row.appendChild(done);
      said.textContent = answer.said;
    }).catch(function (error) {
      buttons.forEach(function (one) { one.disabled = false; });
      said.textContent = error.message;
    });
  });

  var again = document.getElementById("again");
  var checked = document.getElementById("again-said");
  var lines = document.getElementById("again-lines");

  // only what a person has to do or to know: robots are refreshed every time
  function check() {
    again.disabled = true;
    lines.textContent = "";
    checked.textContent = checked.getAttribute("data-working");
    window.b24app.post("/install/again").then(function (answer) {
      var shown = answer.lines.filter(function (line) { return line.state === "note" || line.state === "failed"; });
      shown.forEach(function (line) {
        var item = document.createElement("li");
        item.className = line.state;
        item.textContent = line.text + (line.advice ? " — " + line.advice : "");
        lines.appendChild(item);
      });
      lines.hidden = !shown.length;
      checked.textContent = checked.getAttribute(answer.ready ? "data-good" : "data-bad");
    }).catch(function (error) {
      checked.textContent = error.message;
    }).then(function () {
      again.disabled = false;
    });
  }

  if (again) {
    again.addEventListener("click", check);
  }

  var form = document.getElementById("story-form");
  if (!form) {
    return;
  }
  var place = document.getElementById("story-lines");
  var found = document.getElementById("story-said");

  // a line of depth 0 begins an entry, deeper ones are lists inside it
  function tell(lines) {
    var parents = [place];
    var last = place;
    lines.forEach(function (line) {
      if (line.depth >= parents.length) {
        parents.push((last.tagName === "LI" ? last : place).appendChild(document.createElement("ul")));
      }
      parents.length = line.depth + 1;
      var item = document.createElement(line.depth ? "li" : "h3");
      item.textContent = line.text;
      last = parents[line.depth].appendChild(item);
    });
  }

  function ask(kind, number) {
    place.textContent = "";
    found.textContent = found.getAttribute("data-working");
    window.b24app.post("/app/story", { kind: kind, number: number }).then(function (answer) {
      found.textContent = "";
      tell(answer.lines);
    }).catch(function (error) {
      found.textContent = error.message;
    });
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    ask(form.elements.kind.value, form.elements.number.value);
  });
  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("button[data-kind]");
    if (button) {
      ask(button.getAttribute("data-kind"), button.getAttribute("data-number"));
      form.scrollIntoView();
    }
  });
})();
