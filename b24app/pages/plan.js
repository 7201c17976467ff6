(function () {
  "use strict";

  var place = document.getElementById("plan-lines");
  if (!place) {
    return;
  }
  var said = document.getElementById("plan-said");
  var state = document.getElementById("plan-state");
  var show = document.getElementById("plan-show");
  var apply = document.getElementById("plan-apply");
  var undo = document.getElementById("plan-undo");
  var sure = document.getElementById("plan-sure");
  var buttons = [show, apply, undo];

  function add(line) {
    var item = document.createElement("li");
    item.className = "line " + line.look;
    [["mark", line.mark], ["what", line.text], ["advice", line.advice]].forEach(function (part) {
      if (part[1]) {
        var span = document.createElement("span");
        span.className = part[0];
        span.textContent = part[1];
        item.appendChild(span);
        item.appendChild(document.createTextNode(" "));
      }
    });
    place.appendChild(item);
  }

  function ask(action) {
    buttons.forEach(function (one) { one.disabled = true; });
    place.textContent = "";
    place.hidden = false;
    said.textContent = said.getAttribute("data-working");
    return window.b24app.ask("/app/plan/" + action);
  }

  function ended() {
    show.disabled = false;
    apply.disabled = false;
    undo.disabled = !sure.checked;
  }

  function failed(error) {
    said.textContent = error.message;
  }

  // the portal is asked thing by thing: each line is shown when it comes
  function follow(response) {
    var action = response.url.split("/").pop();
    var reader = response.body.getReader();
    var decoder = new TextDecoder();
    var rest = "";
    var bad = 0;
    function next(part) {
      rest += part.done ? "" : decoder.decode(part.value, { stream: true });
      var lines = rest.split("\n");
      rest = lines.pop();
      lines.forEach(function (text) {
        var line = JSON.parse(text);
        bad += line.look === "failed" ? 1 : 0;
        add(line);
      });
      if (part.done) {
        said.textContent = said.getAttribute(bad ? "data-unfinished" : "data-finished");
        if (!bad) {
          state.textContent = state.getAttribute("data-" + action);
        }
        return null;
      }
      return reader.read().then(next);
    }
    return reader.read().then(next);
  }

  show.addEventListener("click", function () {
    ask("show").then(function (response) { return response.json(); }).then(function (answer) {
      answer.lines.forEach(add);
      said.textContent = answer.said;
    }).catch(failed).then(ended);
  });
  apply.addEventListener("click", function () {
    ask("apply").then(follow).catch(failed).then(ended);
  });
  undo.addEventListener("click", function () {
    ask("undo").then(follow).catch(failed).then(function () {
      sure.checked = false;
      ended();
    });
  });
  sure.addEventListener("change", function () { undo.disabled = !sure.checked; });
})();
