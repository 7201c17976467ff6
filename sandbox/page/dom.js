// Building and refreshing the page's elements. Text only ever enters as text nodes, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  leads: "M3 5h18l-7 8v6l-4 2v-8z",
  deals: "M3 8h18v12H3zM8 8V5a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v3M3 13h18",
  tasks: "M9 6h12M9 12h12M9 18h12M3 6l1.5 1.5L7 4.5M3 12l1.5 1.5L7 10.5M3 18l1.5 1.5L7 16.5",
  people: "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-4 3-7 7-7s7 3 7 7M16 4a4 4 0 0 1 0 7M18 14.5c2.5.8 4 3.200 4 6.500",
  calls: "M5 3h4l2 5-2.500 2a12 12 0 0 0 5.500 5.500l2-2.500 5 2v4a2 2 0 0 1-2 2A17 17 0 0 1 3 5a2 2 0 0 1 2-2z",
  missed: "M5 10h3l1.500 4-2 1.500a10 10 0 0 0 4.500 4.500l1.500-2 4 1.500v3M14 3l3 3-3 3M21 3l-4 3 4 3",
  robots: "M12 2v4M5 6h14v12H5zM9 11v2M15 11v2M2 10v4M22 10v4M8 22v-4M16 22v-4",
  apps: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM17 14v6M14 17h6",
  journal: "M5 3h12l3 3v15H5zM9 9h7M9 13h7M9 17h4",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
  close: "M5 5l14 14M19 5L5 19",
  plus: "M12 4v16M4 12h16",
  mail: "M3 5h18v14H3zM3 6l9 7 9-7",
  form: "M4 4h16v16H4zM8 9h8M8 13h8M8 17h4",
  import: "M12 3v12M7 10l5 5 5-5M4 20h16",
  user: "M12 12a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM4 21c0-4.500 3.500-7 8-7s8 2.500 8 7",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.500 2",
  pencil: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 14h10l1-14M10 11v6M14 11v6",
  menu: "M4 6h16M4 12h16M4 18h16",
  comment: "M4 4h16v12H10l-5 5v-5H4z",
  check: "M4 12.500l5 5L20 6.500",
  move: "M4 12h15M13 6l6 6-6 6",
  back: "M20 12H5M11 6l-6 6 6 6",
  calendar: "M4 6h16v15H4zM4 10.500h16M8 3v5M16 3v5M8 14h3M13 14h3M8 17.500h3",
  chevron: "M6 9l6 6 6-6",
  up: "M12 20V5M6 11l6-6 6 6",
  down: "M12 4v15M6 13l6 6 6-6",
  gear: "M12 15.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  flow: "M6 3v6M6 15v6M6 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM9 12h9M15 8.500l3.500 3.500L15 15.500",
};

/** A new element. Props: class, style (object), on<event> handlers, everything else an attribute. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) {
      continue;
    }
    if (name.startsWith("on") && typeof value === "function") {
      listen(element, name.slice(2).toLowerCase(), value);
    } else if (name === "style") {
      for (const [property, setting] of Object.entries(value)) {
        element.style.setProperty(property, setting);
      }
    } else if (name === "value" && "value" in element) {
      element.value = value;
      element.setAttribute("data-value", value);
    } else {
      element.setAttribute(name === "className" ? "class" : name, value === true ? "" : String(value));
    }
  }
  add(element, children);
  if (tag === "select" && props && props.value !== undefined && props.value !== null) {
    element.value = props.value; // the options exist only now
  }
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) {
      add(element, child);
    } else if (child instanceof Node) {
      element.append(child);
    } else if (child !== null && child !== undefined && child !== false && child !== "") {
      element.append(document.createTextNode(String(child)));
    }
  }
}

/** A decorative drawing of the page's own set. */
export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${extra}`.trim());
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

function listen(element, type, handler) {
  if (!element.handlers) {
    element.handlers = {};
  }
  if (!element.handlers[type]) {
    element.addEventListener(type, dispatch);
  }
  element.handlers[type] = handler;
}

function dispatch(event) {
  const handler = this.handlers && this.handlers[event.type];
  if (handler) {
    handler.call(this, event);
  }
}

// ------------------------------------------------------------------ refreshing

/** Makes `target`'s children what `children` are, keeping the elements (and so focus, scrolling, frames, typed text). */
export function refresh(target, ...children) {
  const wanted = document.createElement(target.tagName);
  add(wanted, children);
  morphChildren(target, wanted);
}

const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") || node.id || "" : "");
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

function morph(from, to) {
  if (from.nodeType !== 1) {
    if (from.nodeValue !== to.nodeValue) {
      from.nodeValue = to.nodeValue;
    }
    return;
  }
  if (from.hasAttribute("data-keep") && to.hasAttribute("data-keep")) {
    return;
  }
  for (const name of from.getAttributeNames()) {
    if (!to.hasAttribute(name) && name !== "style" && !(name === "open" && from.nodeName === "DETAILS")) {
      from.removeAttribute(name);
    }
  }
  for (const name of to.getAttributeNames()) {
    const value = to.getAttribute(name);
    if (name !== "style" && from.getAttribute(name) !== value) {
      from.setAttribute(name, value);
      if (name === "data-value" && from !== document.activeElement) {
        from.value = value;
      }
      if (name === "checked") {
        from.checked = true;
      }
    }
  }
  if (from.nodeName === "INPUT" && from.hasAttribute("data-live")) {
    from.checked = to.hasAttribute("checked");
  }
  if (from.style && from.style.cssText !== to.style.cssText) {
    from.style.cssText = to.style.cssText;
  }
  for (const [type, handler] of Object.entries(to.handlers || {})) {
    listen(from, type, handler);
  }
  for (const type of Object.keys(from.handlers || {})) {
    if (!to.handlers || !to.handlers[type]) {
      from.handlers[type] = null;
      from.removeEventListener(type, dispatch);
      delete from.handlers[type];
    }
  }
  if (from.nodeName === "TEXTAREA") {
    return;
  }
  morphChildren(from, to);
  if (from.nodeName === "SELECT" && to.hasAttribute("data-value") && from.hasAttribute("data-live")) {
    if (from !== document.activeElement) {
      from.value = to.getAttribute("data-value");
    }
  }
}

function morphChildren(from, to) {
  const wantedKeys = new Set();
  for (const child of to.childNodes) {
    const key = keyOf(child);
    if (key) {
      wantedKeys.add(key);
    }
  }
  const known = new Map();
  for (const child of from.childNodes) {
    const key = keyOf(child);
    if (key) {
      known.set(key, child);
    }
  }
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    while (place && keyOf(place) && !wantedKeys.has(keyOf(place))) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
    if (place && alike(place, wanted)) {
      morph(place, wanted);
      place = place.nextSibling;
      continue;
    }
    const key = keyOf(wanted);
    const old = key ? known.get(key) : null;
    if (old && old.parentNode === from && alike(old, wanted)) {
      from.insertBefore(old, place);
      morph(old, wanted);
    } else {
      from.insertBefore(wanted, place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

// -------------------------------------------------------- sliders and dialogs

const stack = [];

function shade() {
  document.getElementById("app").inert = stack.length > 0;
  document.body.classList.toggle("has-layer", stack.length > 0);
  stack.forEach((layer, index) => {
    layer.holder.inert = index < stack.length - 1;
  });
}

/**
 * Opens a layer over the page: a slider from the right, or a small dialog (`kind: "dialog"`).
 * `content()` gives the children and is called again at every refresh. Escape and the cross close the topmost layer; the
 * focus goes back to where it was. Returns {update, close, key, body, setTitle, setWidth}.
 */
export function openLayer({ kind = "slider", title, key = "", content, onclose, closeLabel, width, head, color }) {
  const same = key && stack.find((layer) => layer.key === key);
  if (same) {
    while (stack[stack.length - 1] !== same) {
      stack[stack.length - 1].close();
    }
    if (onclose) {
      same.closers.push(onclose);
    }
    same.update();
    return same;
  }
  const before = document.activeElement;
  const beforeKey = before instanceof HTMLElement ? before.id || before.getAttribute("data-key") : "";
  const titleId = `layer-title-${(openLayer.counter = (openLayer.counter || 0) + 1)}`;
  const heading = h("h2", { id: titleId, tabindex: "-1", class: "layer-title" }, title);
  const extra = h("div", { class: "layer-extra" });
  const body = h("div", { class: "layer-body" });
  const cross = h(
    "button",
    { type: "button", class: "layer-close icon-button", "aria-label": closeLabel, title: closeLabel, onclick: () => layer.close() },
    icon("close"),
  );
  const panel = h(
    "div",
    { class: `panel ${kind}`, role: "dialog", "aria-labelledby": titleId },
    h("div", { class: "layer-head" }, heading, extra, cross),
    body,
  );
  const holder = h("div", { class: `holder holder-${kind}` }, panel);
  holder.addEventListener("mousedown", (event) => {
    if (event.target === holder && kind === "slider") {
      layer.close();
    }
  });
  const layer = {
    key,
    body,
    holder,
    closers: onclose ? [onclose] : [],
    update() {
      if (content) {
        refresh(body, content(layer));
      }
      if (head) {
        refresh(extra, head(layer));
      }
    },
    setTitle(text) {
      if (heading.textContent !== text) {
        heading.textContent = text;
      }
    },
    setWidth(pixels) {
      panel.style.setProperty("--width", `${pixels}px`);
    },
    close(result) {
      const at = stack.indexOf(layer);
      if (at < 0) {
        return;
      }
      while (stack.length > at + 1) {
        stack[stack.length - 1].close();
      }
      stack.pop();
      holder.remove();
      shade();
      const back = before && before.isConnected ? before : beforeKey && document.querySelector(`[data-key="${CSS.escape(beforeKey)}"]`);
      if (back && back.focus) {
        back.focus({ preventScroll: true });
      } else {
        document.getElementById("main").focus({ preventScroll: true });
      }
      layer.closers.splice(0).forEach((tell) => tell(result));
    },
  };
  stack.push(layer);
  document.getElementById("layers").append(holder);
  if (width) {
    layer.setWidth(width);
  }
  if (color) {
    panel.style.setProperty("--mark", color);
  }
  shade();
  layer.update();
  const first = kind === "dialog" ? body.querySelector("input:not([type=hidden]),select,textarea,button") : null;
  (first || heading).focus({ preventScroll: true });
  return layer;
}

/** Refreshes every open layer. */
export function updateLayers() {
  for (const layer of [...stack]) {
    layer.update();
  }
}

/** The topmost layer, or undefined. */
export function topLayer() {
  return stack[stack.length - 1];
}

/** Closes all layers. */
export function closeLayers() {
  while (stack.length) {
    stack[stack.length - 1].close();
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && stack.length && !event.defaultPrevented) {
    event.preventDefault();
    stack[stack.length - 1].close();
  }
});

/** Shows a short message; kind "error" stays longer and is announced at once. */
export function toast(text, kind = "note") {
  const region = document.getElementById(kind === "error" ? "alerts" : "toasts");
  const line = h("div", { class: `toast toast-${kind}` }, h("span", null, text));
  const cross = h("button", { type: "button", class: "icon-button", "aria-label": document.documentElement.lang === "en" ? "Close" : "Закрыть", onclick: () => line.remove() }, icon("close"));
  line.append(cross);
  region.append(line);
  while (region.children.length > 4) {
    region.firstChild.remove();
  }
  window.setTimeout(() => line.remove(), kind === "error" ? 9000 : 4500);
}
