// Rendering of people's and applications' texts: BBCode to elements, with nothing of it ever read as markup.

import { h } from "./dom.js";

const TAG = /\[(\/?)([a-z*]+)(?:=([^\]\n]{0,500}))?\]/gi;
const ADDRESS = /(https?:\/\/[^\s<>"'\])]+)/i;
const SIMPLE = { b: "strong", i: "em", u: "u", s: "s", quote: "blockquote", p: "div", left: "div", center: "div", right: "div" };
const NO_MARKUP = new Set(["color", "size", "font"]);

/** A link's address when it is one that may be followed (http, https, mail, phone, or a path of this portal), else "". */
export function safeAddress(raw) {
  const text = String(raw || "").trim().replace(/^["']|["']$/g, "");
  if (/^\/(?!\/)/.test(text) && !text.includes("\\")) {
    return text;
  }
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:", "tel:"].includes(url.protocol) ? url.href : "";
  } catch {
    return "";
  }
}

function link(address, children) {
  const safe = safeAddress(address);
  if (!safe) {
    return h("span", null, children);
  }
  const outside = /^https?:/.test(safe) && new URL(safe).origin !== location.origin;
  return h("a", { href: safe, ...(outside ? { target: "_blank", rel: "noopener noreferrer" } : {}) }, children);
}

function plain(text) {
  const out = [];
  for (const piece of text.split(ADDRESS)) {
    if (ADDRESS.test(piece)) {
      out.push(link(piece, [piece]));
    } else {
      piece.split("\n").forEach((line, index) => {
        if (index) {
          out.push(h("br"));
        }
        if (line) {
          out.push(document.createTextNode(line));
        }
      });
    }
  }
  return out;
}

function build(name, value, children, text) {
  if (name in SIMPLE) {
    return h(SIMPLE[name], null, children);
  }
  if (name === "url") {
    return link(value || text, children);
  }
  if (name === "user") {
    return link(`/company/personal/user/${parseInt(value, 10) || 0}/`, children);
  }
  if (name === "list") {
    return h("ul", null, children.filter((child) => child.nodeName === "LI"));
  }
  if (name === "*") {
    return h("li", null, children);
  }
  if (name === "code") {
    return h("code", null, children);
  }
  return NO_MARKUP.has(name) ? h("span", null, children) : null;
}

const KNOWN = new Set([...Object.keys(SIMPLE), ...NO_MARKUP, "url", "user", "list", "*", "code"]);

/** Elements for a text in BBCode; unknown or unbalanced tags stay as the text they are. */
export function richText(source) {
  const text = String(source || "").replace(/\r\n?/g, "\n").replace(/<br\s*\/?>/gi, "\n").slice(0, 50000);
  const open = [{ name: "", value: "", children: [], raw: "", text: "" }];
  const top = () => open[open.length - 1];
  const put = (nodes, words) => {
    top().children.push(...nodes);
    top().text += words;
  };
  const close = () => {
    const done = open.pop();
    const made = build(done.name, done.value, done.children, done.text);
    put(made ? [made] : done.children, done.text);
  };
  let at = 0;
  for (const match of text.matchAll(TAG)) {
    const name = match[2].toLowerCase();
    const before = text.slice(at, match.index);
    at = match.index + match[0].length;
    put(plain(before), before);
    if (name === "br") {
      put([h("br")], "\n");
    } else if (!KNOWN.has(name) || (name === "*" && !open.some((one) => one.name === "list"))) {
      put([document.createTextNode(match[0])], match[0]);
    } else if (match[1]) {
      if (!open.some((one) => one.name === name)) {
        put([document.createTextNode(match[0])], match[0]);
        continue;
      }
      while (top().name !== name) {
        close();
      }
      close();
    } else {
      if (name === "*" && top().name === "*") {
        close();
      }
      if (open.length > 60) {
        put([document.createTextNode(match[0])], match[0]);
      } else {
        open.push({ name, value: match[3] || "", children: [], text: "" });
      }
    }
  }
  const rest = text.slice(at);
  put(plain(rest), rest);
  while (open.length > 1) {
    close();
  }
  return open[0].children;
}

/** The same text as one line of words. */
export function plainText(source, limit = 160) {
  const words = String(source || "").replace(TAG, " ").replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim();
  return words.length > limit ? `${words.slice(0, limit - 1)}…` : words;
}
