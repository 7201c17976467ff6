(function () {
  "use strict";

  var end = document.getElementById("end");
  var list = document.getElementById("lines");
  var progress = document.getElementById("progress");
  var again = document.getElementById("again");
  var broken = document.getElementById("broken");

  function show(id, visible) {
    document.getElementById(id).hidden = !visible;
  }

  // installFinish reloads the frame: whoever has notes to read gets the time for it
  function finish(noted) {
    if (!window.BX24) {
      show("outside", true);
      return;
    }
    window.setTimeout(function () {
      window.BX24.init(function () {
        window.BX24.installFinish();
      });
    }, noted ? 4000 : 600);
  }

  function add(line) {
    var item = document.createElement("li");
    item.className = "line " + line.state;
    [["mark", end.getAttribute("data-marks-" + line.state) || line.state], ["what", line.text], ["advice", line.advice]]
      .forEach(function (part) {
        if (part[1]) {
          var span = document.createElement("span");
          span.className = part[0];
          span.textContent = part[1];
          item.appendChild(span);
          item.appendChild(document.createTextNode(" "));
        }
      });
    list.appendChild(item);
  }

  function result(answer) {
    list.textContent = "";
    answer.lines.forEach(add);
    show("good", answer.ready);
    show("bad", !answer.ready);
    if (answer.ready) {
      finish(answer.lines.some(function (line) { return line.state === "note" || line.state === "failed"; }));
    }
  }

  again.addEventListener("click", function () {
    again.disabled = true;
    broken.hidden = true;
    progress.hidden = false;
    window.b24app.post("/install/again").then(result).catch(function (error) {
      broken.textContent = error.message;
      broken.hidden = false;
    }).then(function () {
      again.disabled = false;
      progress.hidden = true;
    });
  });

  if (end.getAttribute("data-ready") === "1") {
    finish(end.getAttribute("data-noted") === "1");
  }
})();
