/* BX24: the frame side of the sandbox portal's page, for applications that load {portal}/api/v1/.
 *
 * Written from the public documentation (sdk/bx24-js-sdk, api-reference/widgets/ui-interaction); the messages have the
 * form that frame clients of Bitrix24 speak: window.name is "DOMAIN|PROTOCOL|APP_SID", a request is the string
 * "command:[parameters as JSON:]key:APP_SID", an answer is "key:[JSON]". Only the portal's own window is listened to.
 */
(function (window, document) {
  "use strict";

  if (window.BX24) {
    return;
  }

  var nameParts = String(window.name || "").split("|");
  var domain = nameParts.length === 3 ? nameParts[0].replace(/:(80|443)$/, "") : "";
  var protocol = nameParts.length === 3 ? parseInt(nameParts[1], 10) || 0 : 0;
  var appSid = nameParts.length === 3 ? nameParts[2] : "";
  var origin = domain ? (protocol === 1 ? "https://" : "http://") + domain : "";
  var framed = Boolean(origin && appSid && window.parent && window.parent !== window);

  var waiting = {}; // key -> {callback, lasting}
  var keyCounter = 0;
  var params = null; // what getInitData answered
  var auth = { access: "", refresh: "", until: 0 };
  var started = false;
  var initDone = false;
  var settingUp = false;
  var initHandlers = [];
  var installHandlers = [];
  var pendingRequests = [];
  var refreshQueue = null;
  var proxies = [];
  var proxyContexts = [];

  function isFunction(value) {
    return typeof value === "function";
  }

  function isObject(value) {
    return value !== null && typeof value === "object";
  }

  // ---------------------------------------------------------------- messages

  function send(command, data, callback, lasting) {
    if (!framed) {
      return;
    }
    keyCounter += 1;
    var key = "bx24_" + appSid.slice(0, 8) + "_" + keyCounter;
    if (isFunction(callback)) {
      waiting[key] = { callback: callback, lasting: Boolean(lasting) };
    }
    var parts = [command];
    if (data !== undefined && data !== null) {
      parts.push(JSON.stringify(data));
    }
    parts.push(key, appSid);
    window.parent.postMessage(parts.join(":"), origin);
  }

  window.addEventListener("message", function (event) {
    if (event.origin !== origin || event.source !== window.parent || typeof event.data !== "string") {
      return;
    }
    var colon = event.data.indexOf(":");
    var key = colon < 0 ? event.data : event.data.slice(0, colon);
    if (!Object.prototype.hasOwnProperty.call(waiting, key)) {
      return;
    }
    var text = colon < 0 ? "" : event.data.slice(colon + 1);
    var entry = waiting[key];
    if (!entry.lasting) {
      delete waiting[key];
    }
    if (text === "") {
      entry.callback();
    } else {
      entry.callback(JSON.parse(text));
    }
  });

  // -------------------------------------------------------------- life cycle

  function takeAuth(data) {
    auth.access = data.AUTH_ID;
    auth.refresh = data.REFRESH_ID;
    auth.until = Date.now() + (parseInt(data.AUTH_EXPIRES, 10) || 0) * 1000;
  }

  function start() {
    if (started) {
      return;
    }
    started = true;
    if (!framed) {
      if (window.console) {
        console.warn("BX24: this page is not in a frame of a portal; open it from the portal.");
      }
      return;
    }
    send("getInitData", null, function (data) {
      params = data;
      params.APP_OPTIONS = isObject(data.APP_OPTIONS) ? data.APP_OPTIONS : {};
      params.USER_OPTIONS = isObject(data.USER_OPTIONS) ? data.USER_OPTIONS : {};
      takeAuth(data);
      while (pendingRequests.length) {
        pendingRequests.shift()();
      }
      if ((params.INSTALL || params.FIRST_RUN) && installHandlers.length) {
        settingUp = true;
        runInstallHandlers();
        return;
      }
      if (params.FIRST_RUN) {
        send("setInstall", { install: true });
      }
      runInitHandlers();
    });
  }

  function runInstallHandlers() {
    var handlers = installHandlers;
    installHandlers = [];
    handlers.forEach(function (handler) {
      if (isFunction(handler)) {
        handler();
      } else {
        BX24.loadScript(handler, BX24.installFinish);
      }
    });
  }

  function runInitHandlers() {
    initDone = true;
    while (initHandlers.length) {
      initHandlers.shift()();
    }
  }

  function whenInitialised(handler) {
    if (params) {
      handler();
    } else {
      // Requests made before init wait for the account's data, not for the end of the application's set-up.
      pendingRequests.push(handler);
      BX24.ready(start);
    }
  }

  // -------------------------------------------------------------------- REST

  function isField(value) {
    return value && typeof value === "object" && value.nodeType === 1 && "value" in value;
  }

  function readFiles(value, done) {
    // Form fields become their values, file inputs become [name, base64] as the REST service wants files.
    var left = 1;
    function finish() {
      left -= 1;
      if (left === 0) {
        done(result);
      }
    }
    function walk(node, put) {
      if (isField(node)) {
        if (node.type === "file") {
          if (!node.files || !node.files.length) {
            put("");
            return;
          }
          left += 1;
          var reader = new FileReader();
          reader.onload = function () {
            var text = String(reader.result);
            put([node.files[0].name, text.slice(text.indexOf(",") + 1)]);
            finish();
          };
          reader.onerror = function () {
            put("");
            finish();
          };
          reader.readAsDataURL(node.files[0]);
        } else if (node.type === "checkbox" || node.type === "radio") {
          put(node.checked ? node.value : "");
        } else {
          put(node.value);
        }
      } else if (node instanceof Date) {
        put(node.toISOString());
      } else if (Array.isArray(node)) {
        var list = [];
        put(list);
        node.forEach(function (item, index) {
          walk(item, function (made) {
            list[index] = made;
          });
        });
      } else if (isObject(node)) {
        var object = {};
        put(object);
        Object.keys(node).forEach(function (key) {
          walk(node[key], function (made) {
            object[key] = made;
          });
        });
      } else {
        put(node);
      }
    }
    var result = null;
    walk(value, function (made) {
      result = made;
    });
    finish();
  }

  function encode(data) {
    var pairs = [];
    function put(name, value) {
      if (value === undefined || isFunction(value)) {
        return;
      }
      if (value === null) {
        pairs.push(encodeURIComponent(name) + "=");
      } else if (typeof value === "boolean") {
        pairs.push(encodeURIComponent(name) + "=" + (value ? "1" : "0"));
      } else if (Array.isArray(value)) {
        if (!value.length) {
          pairs.push(encodeURIComponent(name) + "=");
        }
        value.forEach(function (item, index) {
          put(name + "[" + index + "]", item);
        });
      } else if (isObject(value)) {
        Object.keys(value).forEach(function (key) {
          put(name + "[" + key + "]", value[key]);
        });
      } else {
        pairs.push(encodeURIComponent(name) + "=" + encodeURIComponent(value));
      }
    }
    Object.keys(data || {}).forEach(function (key) {
      put(key, data[key]);
    });
    return pairs.join("&");
  }

  function AjaxError(status, ex) {
    this.status = status;
    this.ex = ex;
  }
  AjaxError.prototype.getStatus = function () {
    return this.status;
  };
  AjaxError.prototype.getError = function () {
    return this.ex;
  };
  AjaxError.prototype.toString = function () {
    var text = this.ex.error_description ? this.ex.error + ": " + this.ex.error_description : String(this.ex.error);
    return text + " (" + this.status + ")";
  };

  function AjaxResult(answer, request, status) {
    this.answer = answer;
    this.query = request;
    this.status = status;
  }
  AjaxResult.prototype.data = function () {
    return this.answer.result;
  };
  AjaxResult.prototype.error = function () {
    if (!this.answer.error) {
      return undefined;
    }
    var ex = isObject(this.answer.error)
      ? this.answer.error
      : { error: this.answer.error, error_description: this.answer.error_description || "" };
    return new AjaxError(this.status, ex);
  };
  AjaxResult.prototype.error_description = function () {
    return this.answer.error_description;
  };
  AjaxResult.prototype.more = function () {
    return !isNaN(parseInt(this.answer.next, 10));
  };
  AjaxResult.prototype.total = function () {
    return parseInt(this.answer.total, 10);
  };
  AjaxResult.prototype.time = function () {
    return this.answer.time;
  };
  AjaxResult.prototype.next = function (callback) {
    if (!this.more()) {
      return false;
    }
    var following = {};
    Object.keys(this.query.data || {}).forEach(function (key) {
      following[key] = this.query.data[key];
    }, this);
    following.start = parseInt(this.answer.next, 10);
    return post(this.query.method, following, isFunction(callback) ? callback : this.query.callback);
  };

  function post(method, data, callback) {
    // The request object is returned at once (next() hands it to its caller); it is opened when a live token is there.
    var xhr = new XMLHttpRequest();
    var repeated = false;
    var request = { method: method, data: data || {}, callback: callback };

    function answer(body, status) {
      if (isFunction(callback)) {
        callback(new AjaxResult(body, request, status));
      }
    }

    function go() {
      readFiles(request.data, function (plain) {
        var fields = {};
        Object.keys(plain || {}).forEach(function (key) {
          fields[key] = plain[key];
        });
        fields.auth = auth.access;
        xhr.open("POST", origin + "/rest/" + method + ".json");
        xhr.setRequestHeader("Content-Type", "application/x-www-form-urlencoded");
        xhr.send(encode(fields));
      });
    }

    xhr.onload = function () {
      var body;
      try {
        body = JSON.parse(xhr.responseText);
      } catch (error) {
        answer({ error: "ERROR_UNEXPECTED_ANSWER", error_description: "The portal's answer is not JSON" }, xhr.status);
        return;
      }
      if (body.error === "expired_token" && !repeated) {
        repeated = true;
        BX24.refreshAuth(go);
        return;
      }
      answer(body, xhr.status);
    };
    xhr.onerror = function () {
      answer({ error: "ERROR_NETWORK", error_description: "The portal did not answer" }, 0);
    };

    if (BX24.getAuth()) {
      go();
    } else {
      BX24.refreshAuth(go);
    }
    return xhr;
  }

  // -------------------------------------------------------------- public part

  var BX24 = {
    // ---- system functions
    init: function (handler) {
      if (!isFunction(handler)) {
        return;
      }
      if (initDone) {
        handler();
        return;
      }
      initHandlers.push(handler);
      BX24.ready(start);
    },

    install: function (handler) {
      if (!isFunction(handler) && typeof handler !== "string") {
        return;
      }
      installHandlers.push(handler);
      BX24.ready(start);
    },

    installFinish: function () {
      if (!params) {
        return;
      }
      if (params.INSTALL) {
        send("setInstallFinish", {});
      } else if (settingUp) {
        settingUp = false;
        send("setInstall", { install: true });
        runInitHandlers();
      }
    },

    getAuth: function () {
      if (!params || auth.until <= Date.now()) {
        return false;
      }
      return {
        access_token: auth.access,
        refresh_token: auth.refresh,
        expires_in: auth.until,
        domain: BX24.getDomain(),
        member_id: params.MEMBER_ID,
      };
    },

    refreshAuth: function (callback) {
      if (refreshQueue) {
        refreshQueue.push(callback);
        return;
      }
      refreshQueue = [callback];
      send("refreshAuth", null, function (data) {
        var queue = refreshQueue;
        refreshQueue = null;
        takeAuth(data);
        queue.forEach(function (entry) {
          if (isFunction(entry)) {
            entry(BX24.getAuth());
          }
        });
      });
    },

    // ---- REST
    callMethod: function (method, data, callback) {
      var made = false;
      whenInitialised(function () {
        made = post(method, data, callback);
      });
      return made;
    },

    callBatch: function (calls, callback, haltOnError) {
      var asList = Array.isArray(calls);
      var requests = {};
      whenInitialised(function () {
        readFiles(calls, function (plain) {
          var commands = {};
          Object.keys(plain).forEach(function (key) {
            var call = plain[key];
            if (!call) {
              return;
            }
            var method = Array.isArray(call) ? call[0] : call.method;
            var data = (Array.isArray(call) ? call[1] : call.params || call.data) || {};
            requests[key] = { method: method, data: data, callback: null };
            commands[key] = method + "?" + encode(data);
          });
          post("batch", { halt: haltOnError ? 1 : 0, cmd: commands }, function (result) {
            if (!isFunction(callback)) {
              return;
            }
            var failed = result.error();
            var parts = failed ? {} : result.data() || {};
            var answers = asList ? [] : {};
            function part(kind, key) {
              return isObject(parts[kind]) ? parts[kind][key] : undefined;
            }
            Object.keys(requests).forEach(function (key) {
              var error = failed ? failed.ex : part("result_error", key);
              var value = part("result", key);
              if (error === undefined && value === undefined && haltOnError) {
                return; // not run: an earlier command stopped the batch
              }
              var status = failed ? failed.status : result.status;
              var answer = {
                result: value,
                next: part("result_next", key),
                total: part("result_total", key),
                time: part("result_time", key),
              };
              if (error !== undefined) {
                answer.error = error;
              }
              answers[key] = new AjaxResult(answer, requests[key], status);
            });
            callback(answers);
          });
        });
      });
    },

    callBind: function (event, handler, authType, callback) {
      if (isFunction(authType)) {
        callback = authType;
        authType = undefined;
      }
      var data = { event: event, handler: handler };
      if (authType !== undefined && authType !== null) {
        data.auth_type = authType;
      }
      return BX24.callMethod("event.bind", data, callback);
    },

    callUnbind: function (event, handler, authType, callback) {
      if (isFunction(authType)) {
        callback = authType;
        authType = null;
      }
      var data = { event: event, handler: handler };
      if (authType !== undefined && authType !== null) {
        data.auth_type = authType;
      }
      return BX24.callMethod("event.unbind", data, callback);
    },

    // ---- who and where
    isAdmin: function () {
      return Boolean(params && params.IS_ADMIN);
    },
    getLang: function () {
      return params ? params.LANG : undefined;
    },
    getDomain: function () {
      return domain;
    },

    // ---- the window
    getScrollSize: function () {
      var body = document.body;
      var root = document.documentElement;
      return {
        scrollWidth: Math.max(root.scrollWidth, root.offsetWidth, body ? body.scrollWidth : 0),
        scrollHeight: Math.max(body ? body.scrollHeight : 0, body ? body.offsetHeight : 0, root.offsetHeight),
      };
    },
    resizeWindow: function (width, height, callback) {
      var pixels = parseInt(height, 10);
      send("resizeWindow", {
        width: width === "100%" ? width : parseInt(width, 10) || 100,
        height: pixels > 0 ? pixels : undefined,
      }, callback);
    },
    fitWindow: function (callback) {
      BX24.resizeWindow("100%", BX24.getScrollSize().scrollHeight, callback);
    },
    reloadWindow: function (callback) {
      send("reloadWindow", {}, callback);
    },
    setTitle: function (title, callback) {
      send("setTitle", { title: String(title) }, callback);
    },
    scrollParentWindow: function (scroll, callback) {
      var pixels = parseInt(scroll, 10);
      if (!isNaN(pixels)) {
        send("setScroll", { scroll: Math.max(0, pixels) }, callback);
      }
    },
    openApplication: function (data, closeCallback, settings) {
      if (isFunction(data)) {
        settings = closeCallback;
        closeCallback = data;
        data = {};
      }
      var all = {};
      Object.keys(data || {}).forEach(function (key) {
        all[key] = data[key];
      });
      Object.keys(settings || {}).forEach(function (key) {
        all["bx24_" + key] = settings[key];
      });
      send("openApplication", all, closeCallback);
    },
    closeApplication: function (callback) {
      send("closeApplication", {}, callback);
    },
    openPath: function (path, callback) {
      send("openPath", { path: String(path) }, callback);
    },

    // ---- dialogs
    selectUser: function (callback) {
      send("selectUser", { mult: false }, function (person) {
        if (person && isFunction(callback)) {
          callback(person);
        }
      });
    },
    selectUsers: function (callback) {
      send("selectUser", { mult: true }, callback);
    },
    selectAccess: function (value, callback) {
      if (isFunction(value)) {
        callback = value;
        value = [];
      }
      send("selectAccess", { value: value || [] }, callback);
    },
    selectCRM: function (data, callback) {
      if (isFunction(data)) {
        callback = data;
        data = {};
      }
      data = data || {};
      send("selectCRM", { entityType: data.entityType, multiple: data.multiple, value: data.value }, callback);
    },

    // ---- settings kept by the portal
    appOption: {
      get: function (name) {
        return params ? params.APP_OPTIONS[name] : undefined;
      },
      set: function (name, value, callback) {
        if (params && params.IS_ADMIN) {
          params.APP_OPTIONS[name] = value;
          send("setAppOption", { name: name, value: value }, callback);
        }
      },
    },
    userOption: {
      get: function (name) {
        return params ? params.USER_OPTIONS[name] : undefined;
      },
      set: function (name, value) {
        if (params) {
          params.USER_OPTIONS[name] = value;
          send("setUserOption", { name: name, value: value });
        }
      },
    },

    // ---- the place where the frame stands
    placement: {
      info: function () {
        return {
          placement: (params && params.PLACEMENT) || "DEFAULT",
          options: (params && params.PLACEMENT_OPTIONS) || {},
        };
      },
      getInterface: function (callback) {
        send("getInterface", null, callback);
      },
      call: function (command, data, callback) {
        if (isFunction(data)) {
          callback = data;
          data = {};
        }
        send(command, data === undefined ? {} : data, callback);
      },
      bindEvent: function (event, callback) {
        send("placementBindEvent", { event: event }, callback, true);
      },
    },

    im: {
      callTo: function (userId, video) {
        send("imCallTo", { userId: userId, video: video !== false });
      },
      phoneTo: function (phone) {
        send("imPhoneTo", { phone: String(phone) });
      },
      openMessenger: function (dialogId) {
        send("imOpenMessenger", { dialogId: dialogId });
      },
      openHistory: function (dialogId) {
        send("imOpenHistory", { dialogId: dialogId });
      },
    },

    // ---- small things of the page
    isReady: function () {
      return document.readyState !== "loading";
    },
    ready: function (handler) {
      if (!isFunction(handler)) {
        return;
      }
      if (BX24.isReady()) {
        window.setTimeout(handler, 0);
      } else {
        document.addEventListener("DOMContentLoaded", function () {
          handler();
        });
      }
    },
    proxy: function (func, thisObject) {
      for (var i = 0; i < proxies.length; i += 1) {
        if (proxies[i].func === func && proxies[i].thisObject === thisObject) {
          return proxies[i].made;
        }
      }
      var made = function () {
        proxyContexts.push(this === undefined ? null : this);
        try {
          return func.apply(thisObject, arguments);
        } finally {
          proxyContexts.pop();
        }
      };
      proxies.push({ func: func, thisObject: thisObject, made: made });
      return made;
    },
    proxyContext: function () {
      return proxyContexts.length ? proxyContexts[proxyContexts.length - 1] : null;
    },
    bind: function (element, name, func) {
      if (element && isFunction(func)) {
        element.addEventListener(name, func);
      }
    },
    unbind: function (element, name, func) {
      if (element && isFunction(func)) {
        element.removeEventListener(name, func);
      }
    },
    loadScript: function (script, callback) {
      var list = Array.isArray(script) ? script.slice() : [script];
      function following() {
        if (!list.length) {
          if (isFunction(callback)) {
            callback();
          }
          return;
        }
        var element = document.createElement("script");
        element.src = list.shift();
        element.onload = following;
        element.onerror = following;
        document.head.appendChild(element);
      }
      BX24.ready(following);
    },
  };

  window.BX24 = BX24;
})(window, document);
