(function () {
  "use strict";

  var said = document.getElementById("said");
  var pass = document.querySelector("main").getAttribute("data-pass");

  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("button[data-action]");
    if (!button) {
      return;
    }
    var row = button.closest("li");
    var buttons = row.querySelectorAll("button");
    buttons.forEach(function (one) { one.disabled = true; });
    fetch("/app/action", {
      method: "POST",
      headers: { Authorization: "Bearer " + pass, "Content-Type": "application/json" },
      body: JSON.stringify({
        action: button.getAttribute("data-action"),
        id: Number(button.getAttribute("data-id") || 0),
        entity: button.getAttribute("data-entity") || ""
      })
    }).then(function (response) {
      return response.json().then(function (answer) {
        if (!response.ok) {
          throw new Error(answer.error);
        }
        buttons.forEach(function (one) { one.remove(); });
        var done = document.createElement("span");
        done.className = "mark";
        done.textContent = answer.said;
        row.appendChild(done);
        said.textContent = answer.said;
      });
    }).catch(function (error) {
      buttons.forEach(function (one) { one.disabled = false; });
      said.textContent = error.message;
    });
  });
})();
