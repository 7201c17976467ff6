(function () {
  "use strict";

  var guide = document.getElementById("guide");
  var said = document.getElementById("said");
  var broken = document.getElementById("broken");
  var SLIDER_WIDTH = 620;

  function say(text) {
    broken.hidden = true;
    said.textContent = text;
  }

  function fail(text) {
    said.textContent = "";
    broken.textContent = text;
    broken.hidden = false;
  }

  function reload() {
    window.BX24.placement.call("reloadData", {}, function () {});
    window.BX24.reloadWindow();
  }

  function openForm(button) {
    window.b24app.portal().then(function (bx24) {
      bx24.openApplication(
        {
          form: "missing",
          entity: guide.getAttribute("data-entity"),
          to: button.getAttribute("data-to"),
          at: button.getAttribute("data-at") || ""
        },
        reload,
        { width: SLIDER_WIDTH, title: guide.getAttribute("data-form-title") }
      );
    }).catch(function (error) { fail(error.message); });
  }

  function move(button) {
    button.disabled = true;
    window.b24app.act("/placement/save", {
      entity: guide.getAttribute("data-entity"),
      to: button.getAttribute("data-to"),
      stage: guide.getAttribute("data-stage")
    }).then(function (answer) {
      if (answer.done) {
        say(answer.said);
        reload();
      } else {
        button.disabled = false;
        guide.setAttribute("data-stage", answer.stage);
        fail(answer.said);
      }
    }).catch(function (error) {
      button.disabled = false;
      fail(error.message);
    });
  }

  // a frame may not write to the clipboard unless the portal lets it, but it may copy what is selected in it
  function copy(text) {
    var area = document.createElement("textarea");
    area.value = text;
    document.body.appendChild(area);
    area.select();
    var copied = document.execCommand("copy");
    area.remove();
    return copied ? Promise.resolve() : navigator.clipboard.writeText(text);
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("button");
    if (!button) {
      return;
    }
    if (button.hasAttribute("data-form")) {
      if (event.detail < 2) {  // the second half of a double click would open a second one
        openForm(button);
      }
    } else if (button.hasAttribute("data-move")) {
      move(button);
    } else if (button.hasAttribute("data-copy")) {
      copy(document.getElementById(button.getAttribute("data-copy")).textContent).then(function () {
        say(guide.getAttribute("data-copied"));
        button.focus();
      }, function (error) {
        fail(error.message);
      });
    } else if (button.hasAttribute("data-print")) {
      var memo = button.closest(".memo");
      memo.classList.add("printed");
      document.body.classList.add("one-memo");
      window.print();
      memo.classList.remove("printed");
      document.body.classList.remove("one-memo");
    }
  });
})();
