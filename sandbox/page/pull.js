/* BX.PullClient of the sandbox portal, for applications that load {portal}/api/v1/pull/.
 *
 * Written from the public documentation (settings/interactivity/push-and-pull-in-browser.md, custom-push-and-pull-client.md):
 * new BX.PullClient({restApplication, restClient, userId}), subscribe({moduleId, command?, callback}), start(), stop().
 */
(function (window) {
  "use strict";

  var BX = (window.BX = window.BX || {});
  if (BX.PullClient) {
    return;
  }

  // How long to wait after so many errors in a row, as the documentation asks.
  var DELAYS = [100, 15000, 45000, 45000, 45000, 600000, 600000, 600000, 600000, 600000, 3600000];

  BX.PullClient = function (params) {
    this.restClient = params.restClient;
    this.restApplication = params.restApplication;
    this.userId = params.userId;
    this.subscribers = [];
    this.running = false;
    this.errors = 0;
    this.mid = "";
    this.config = null;
  };

  BX.PullClient.prototype.subscribe = function (params) {
    var subscribers = this.subscribers;
    subscribers.push(params);
    return function () {
      var place = subscribers.indexOf(params);
      if (place >= 0) {
        subscribers.splice(place, 1);
      }
    };
  };

  BX.PullClient.prototype.start = function () {
    if (!this.running) {
      this.running = true;
      this._configure();
    }
  };

  BX.PullClient.prototype.stop = function () {
    this.running = false;
    if (this.request) {
      this.request.abort();
    }
  };

  BX.PullClient.prototype._configure = function () {
    var client = this;
    client.restClient.callMethod("pull.application.config.get", {}, function (result) {
      if (result.error()) {
        client._later(client._configure);
      } else {
        client.config = result.data();
        client._poll();
      }
    });
  };

  BX.PullClient.prototype._later = function (what) {
    var delay = DELAYS[Math.min(this.errors, DELAYS.length - 1)];
    this.errors += 1;
    window.setTimeout(what.bind(this), delay);
  };

  BX.PullClient.prototype._poll = function () {
    var client = this;
    if (!client.running) {
      return;
    }
    var channels = client.config.channels;
    var ids = [channels.private.id, channels.shared.id].join("/");
    var address = client.config.server.long_polling + "?CHANNEL_ID=" + encodeURIComponent(ids) + "&format=json";
    var request = (client.request = new XMLHttpRequest());
    request.open("GET", address + (client.mid ? "&mid=" + encodeURIComponent(client.mid) : ""));
    request.onload = function () {
      if (request.status === 200) {
        client.errors = 0;
        JSON.parse(request.responseText).forEach(function (command) {
          client.mid = command.mid;
          client._tell(command);
        });
        client._poll();
      } else if (request.status === 304) {
        client._poll();
      } else {
        client._later(client._configure); // the channel is over
      }
    };
    request.onerror = function () {
      client._later(client._poll);
    };
    request.send();
  };

  BX.PullClient.prototype._tell = function (command) {
    var text = command.text;
    this.subscribers.slice().forEach(function (one) {
      if (one.moduleId === text.module_id && (!one.command || one.command === text.command)) {
        if (one.command) {
          one.callback(text.params, command.extra, text.command);
        } else {
          one.callback({ command: text.command, params: text.params, extra: command.extra });
        }
      }
    });
  };
})(window);
