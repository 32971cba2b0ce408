// Forms of actions that several pages have: to describe, to tag, to say why, to name.
import { action } from "./action.js";
import { field, h, quiet } from "./dom.js";

// The text of a textarea is no attribute of it.
export const area = ({ value = "", ...attributes } = {}) => Object.assign(h("textarea", { rows: 3, ...attributes }), { value });
export const line = (attributes = {}) => h("input", { type: "text", autocomplete: "off", ...attributes });

// A text of several lines, markdown or not: it is shown as it is written.
export const describing = (label, { of, permission, now, save }) => action(label, {
  permission, of,
  form() {
    const text = area({ rows: 10, value: now });
    return { parts: field("Text, markdown if you like", text), send: (call) => save(call, text.value) };
  },
});

export const renaming = (label, { of, permission, now, save }) => action(label, {
  permission, of,
  form() {
    const name = line({ value: now, required: true, maxLength: 200 });
    return { parts: field("Name", name), send: (call) => save(call, name.value) };
  },
});

// Something that needs no more than to be wanted.
export const confirmed = (label, { of, permission, final, because, save }) => action(label, {
  permission, of, final,
  form: () => ({ parts: because && quiet(because), send: save }),
});

// Values can be written anew, tags taken away, and one added; `save(call, tags, removed)` gets what changed.
export const tagging = (label, { of, permission, tags, save }) => action(label, {
  permission, of,
  form() {
    const rows = Object.keys(tags).sort().map((name) => {
      const value = area({ rows: 1, value: tags[name] });
      const gone = h("input", { type: "checkbox", "aria-label": `Take ${name} away` });
      return { name, value, before: value.value, gone, shown: h("div", { class: "tag" }, field(name, value, { class: "field grow" }), h("label", { class: "check" }, gone, " take away")) };
    });
    const name = line({ maxLength: 250 }), value = area({ rows: 1 });
    return {
      parts: [rows.map((row) => row.shown), h("div", { class: "tag" }, field("New tag", name), field("Its value", value, { class: "field grow" }))],
      send(call) {
        const kept = rows.filter((row) => !row.gone.checked && row.value.value !== row.before);
        const added = name.value.trim() ? [[name.value.trim(), value.value]] : [];
        return save(call, Object.fromEntries([...kept.map((row) => [row.name, row.value.value]), ...added]), rows.filter((row) => row.gone.checked).map((row) => row.name));
      },
    };
  },
});
