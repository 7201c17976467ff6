(function () {
  "use strict";

  var main = document.querySelector("main");

  function words(name) {
    return main.getAttribute("data-" + name);
  }

  // The portal's library once it is ready.
  function portal() {
    return new Promise(function (resolve, reject) {
      if (!window.BX24) {
        reject(new Error(words("no-portal")));
        return;
      }
      window.BX24.init(function () { resolve(window.BX24); });
    });
  }

  // The key of the person in front of the page: the portal says what he may.
  function token() {
    return portal().then(function (bx24) {
      var auth = bx24.getAuth();
      return auth ? auth.access_token : new Promise(function (resolve) {
        bx24.refreshAuth(function (fresh) { resolve(fresh.access_token); });
      });
    });
  }

  function json(response) {
    return response.json().catch(function () { throw new Error(words("no-sense")); });
  }

  // Our server's response, as soon as it begins; an Error with words for people and the HTTP status where it refuses.
  function ask(path, body, signal) {
    return fetch(path, {
      method: "POST",
      headers: { Authorization: "Bearer " + words("pass"), "Content-Type": "application/json" },
      body: JSON.stringify(body || {}),
      signal: signal
    }).catch(function (error) {
      throw error.name === "AbortError" ? error : new Error(words("no-server"));
    }).then(function (response) {
      if (response.ok) {
        return response;
      }
      return json(response).then(function (told) {
        var refusal = new Error(told.error || words("no-sense"));
        refusal.status = response.status;
        throw refusal;
      });
    });
  }

  // Our server's answer.
  function post(path, body, signal) {
    return ask(path, body, signal).then(json);
  }

  // As `post`, with the person's key.
  function act(path, body) {
    return token().then(function (key) {
      body.token = key;
      return post(path, body);
    });
  }

  window.b24app = { portal: portal, ask: ask, post: post, act: act };

  // what is pressed before the page's own scripts are there would do nothing: until then nothing can be pressed
  document.addEventListener("DOMContentLoaded", function () {
    document.getElementById("page").disabled = false;
  });

  // links to cards open in the portal's slider; without BX24 they stay links
  document.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("a[data-path]");
    if (link && window.BX24 && window.BX24.openPath && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      window.BX24.openPath(link.getAttribute("data-path"));
    }
  });

  if (window.BX24) {
    window.BX24.init(function () {
      // a short page keeps the height that the portal gave it
      if (document.documentElement.scrollHeight > window.innerHeight) {
        window.BX24.fitWindow();
      }
    });
  }
})();
