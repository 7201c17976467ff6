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

  function withPortal(what) {
    if (!window.BX24) {
      fail(guide.getAttribute("data-lost"));
      return;
    }
    window.BX24.init(what);
  }

  function openForm(button) {
    withPortal(function () {
      window.BX24.openApplication(
        {
          form: "missing",
          entity: guide.getAttribute("data-entity"),
          to: button.getAttribute("data-to"),
          at: button.getAttribute("data-at") || ""
        },
        reload,
        { width: SLIDER_WIDTH, title: guide.getAttribute("data-form-title") }
      );
    });
  }

  function move(button) {
    button.disabled = true;
    withPortal(function () {
      var auth = window.BX24.getAuth();
      if (auth) {
        send(button, auth.access_token);
      } else {
        window.BX24.refreshAuth(function (fresh) { send(button, fresh.access_token); });
      }
    });
  }

  function send(button, token) {
    fetch("/placement/save", {
      method: "POST",
      headers: {
        Authorization: "Bearer " + document.querySelector("main").getAttribute("data-pass"),
        "Content-Type": "application/json"
      },
      body: JSON.stringify({
        entity: guide.getAttribute("data-entity"),
        to: button.getAttribute("data-to"),
        stage: guide.getAttribute("data-stage"),
        token: token
      })
    }).then(function (response) {
      return response.json().then(function (answer) {
        if (!response.ok) {
          throw new Error(answer.error);
        }
        if (answer.done) {
          say(answer.said);
          reload();
        } else {
          button.disabled = false;
          guide.setAttribute("data-stage", answer.stage);
          fail(answer.said);
        }
      });
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
