(function () {
  "use strict";

  var facts = document.getElementById("worker");
  var HELD_MS = 5000;
  var HIDDEN_WAITS_MS = 700;
  var WIDTH = 620;

  if (!window.BX24 || !window.BX || !window.BX.PullClient) {
    return;
  }

  function show(wanted) {
    window.BX24.openApplication(
      { form: "missing", entity: String(wanted.entity || ""), to: String(wanted.to || "") },
      function () {},
      { width: WIDTH, title: facts.getAttribute("data-title") }
    );
  }

  // Every tab and every slider of the portal has a page like this one: the first to hold the lock opens the form,
  // and a tab that nobody looks at lets the others go first.
  function once(wanted) {
    if (!navigator.locks) {
      show(wanted);
      return;
    }
    window.setTimeout(function () {
      navigator.locks.request("b24app.open_form." + wanted.entity, { ifAvailable: true }, function (lock) {
        if (!lock) {
          return undefined;
        }
        show(wanted);
        return new Promise(function (resolve) {
          window.setTimeout(resolve, HELD_MS);
        });
      });
    }, document.hidden ? HIDDEN_WAITS_MS : 0);
  }

  function listen(userId) {
    var client = new window.BX.PullClient({
      restApplication: facts.getAttribute("data-application"),
      restClient: window.BX24,
      userId: userId
    });
    client.subscribe({
      moduleId: "application",
      callback: function (data) {
        if (data.command === facts.getAttribute("data-command") && data.params) {
          once(data.params);
        }
      }
    });
    client.start();
  }

  // who this is, the portal keeps for us: one request a person, not one a page
  window.BX24.init(function () {
    var known = Number(window.BX24.userOption.get("user_id"));
    if (known) {
      listen(known);
      return;
    }
    window.BX24.callMethod("profile", {}, function (result) {
      if (!result.error()) {
        var id = Number(result.data().ID);
        window.BX24.userOption.set("user_id", String(id));
        listen(id);
      }
    });
  });
})();
