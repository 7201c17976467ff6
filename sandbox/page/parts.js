// Small pieces that several views share: avatars, menus of people, form fields, form dialogs, empty states.

import { h, icon, openLayer } from "./dom.js";
import { t, part, person, nameOf, changed, field } from "./model.js";

const HUES = [212, 262, 172, 330, 28, 145, 190, 292, 48, 5];

/** A round picture with a person's initials. */
export function avatar(one, extra = "") {
  const words = nameOf(one).split(/\s+/);
  const initials = ((words[0] || "?")[0] + ((words[1] || "")[0] || "")).toUpperCase();
  const hue = HUES[(Number(one && one.id) || 0) % HUES.length];
  return h("span", { class: `avatar ${extra}`, "aria-hidden": "true", style: { "--hue": String(hue) } }, initials);
}

/** A person's picture and name. */
export function personLine(id) {
  const one = person(id);
  if (!one) {
    return h("span", { class: "muted" }, t("не назначен", "nobody"));
  }
  return h("a", { class: "person-line", href: `/company/personal/user/${one.id}/` }, avatar(one), h("span", null, nameOf(one)));
}

/** Options of a select with all active people. */
export function peopleOptions(selected, people = part("people")) {
  return people
    .filter((one) => field(one, "active") !== false || Number(one.id) === Number(selected))
    .map((one) => h("option", { value: one.id, selected: Number(one.id) === Number(selected) }, nameOf(one)));
}

/** A page that has nothing to show yet says what to do. */
export function empty(name, title, advice, ...more) {
  return h("div", { class: "empty" }, icon(name), h("p", { class: "empty-title" }, title), advice && h("p", { class: "muted" }, advice), more);
}

let fieldNumber = 0;

/** A labelled form field; `spec` {name, label, type, value, options, hint, required, rows, checked, placeholder, inputmode}. */
export function formField(spec) {
  const id = `field-${(fieldNumber += 1)}`;
  const common = { id, name: spec.name, required: spec.required, "aria-describedby": spec.hint ? `${id}-hint` : undefined, autocomplete: "off" };
  let control;
  if (spec.type === "select") {
    control = h(
      "select",
      { ...common, value: spec.value, multiple: spec.multiple },
      spec.options.map(([value, label]) => h("option", { value, selected: String(value) === String(spec.value ?? "") }, label)),
    );
  } else if (spec.type === "textarea") {
    control = h("textarea", { ...common, rows: spec.rows || 3, placeholder: spec.placeholder, value: spec.value || "" });
  } else if (spec.type === "checkbox") {
    return h(
      "div",
      { class: "field field-check" },
      h("input", { ...common, type: "checkbox", checked: spec.checked }),
      h("label", { for: id }, spec.label),
      spec.hint && h("p", { class: "hint", id: `${id}-hint` }, spec.hint),
    );
  } else {
    control = h("input", { ...common, type: spec.type || "text", value: spec.value ?? "", placeholder: spec.placeholder, inputmode: spec.inputmode, min: spec.min, max: spec.max, step: spec.step });
  }
  return h("div", { class: `field ${spec.wide ? "field-wide" : ""}` }, h("label", { for: id }, spec.label), control, spec.hint && h("p", { class: "hint", id: `${id}-hint` }, spec.hint));
}

/** What a form's fields hold, by name; checkboxes are booleans, several values a list. */
export function formValues(form) {
  const values = {};
  for (const element of form.elements) {
    if (!element.name || element.disabled) {
      continue;
    }
    if (element.type === "checkbox" && element.dataset.list !== undefined) {
      values[element.name] = values[element.name] || [];
      if (element.checked) {
        values[element.name].push(element.value);
      }
    } else if (element.type === "checkbox") {
      values[element.name] = element.checked;
    } else if (element.type === "radio") {
      if (element.checked) {
        values[element.name] = element.value;
      }
    } else if (element.multiple) {
      values[element.name] = [...element.selectedOptions].map((option) => option.value);
    } else {
      values[element.name] = element.value;
    }
  }
  return values;
}

/** A small dialog with a form. `submit(values)` returns something true when the dialog may close. */
export function formDialog({ title, fields, button, submit, danger, intro, above }) {
  const form = h(
    "form",
    {
      class: "form",
      onsubmit: async (event) => {
        event.preventDefault();
        const send = form.querySelector("button[type=submit]");
        send.disabled = true;
        const done = await submit(formValues(form));
        send.disabled = false;
        if (done) {
          layer.close(done);
        }
      },
    },
    intro && h("p", { class: "muted" }, intro),
    above,
    h("div", { class: "fields" }, fields.map((spec) => (spec instanceof Node ? spec : formField(spec)))),
    h(
      "div",
      { class: "form-foot" },
      h("button", { type: "submit", class: `button ${danger ? "danger" : "primary"}` }, button),
      h("button", { type: "button", class: "button", onclick: () => layer.close() }, t("Отмена", "Cancel")),
    ),
  );
  const layer = openLayer({ kind: "dialog", title, closeLabel: t("Закрыть", "Close") });
  layer.body.append(form);
  const first = form.querySelector(".field input, .field select, .field textarea") || form.querySelector("button");
  first.focus();
  if (first.select) {
    first.select();
  }
  return layer;
}

/** Buttons of which one is chosen; `choices` [[value, label]]. */
export function tabs(label, choices, chosen, choose) {
  return h(
    "div",
    { class: "tabs", role: "group", "aria-label": label },
    choices.map(([value, text, mark]) =>
      h(
        "button",
        { type: "button", class: "tab", "data-key": `tab-${value}`, "aria-pressed": String(value === chosen), onclick: () => { choose(value); changed(); } },
        text,
        mark ? h("span", { class: "count" }, String(mark)) : null,
      ),
    ),
  );
}

/** The head of a view: its title and what stands beside it. */
export function viewHead(title, ...beside) {
  document.title = `${title} · ${t("Учебный портал", "Sandbox portal")}`;
  return h("div", { class: "view-head", "data-key": "view-head" }, h("h1", null, title), beside);
}

/** A button with an icon and words. */
export function button(name, text, onclick, extra = "", props = {}) {
  return h("button", { type: "button", class: `button ${extra}`, onclick, ...props }, name && icon(name), h("span", null, text));
}

/** A title whose phone number does not break over two lines. */
export function unbroken(title) {
  return String(title)
    .split(/(\+7[ \u00a0]?\d{3}[ \u00a0]?\d{3}-\d\d-\d\d)/)
    .map((piece, index) => (index % 2 ? h("span", { class: "nowrap" }, piece) : piece));
}
