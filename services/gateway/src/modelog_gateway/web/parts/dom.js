// Elements, made of text: nothing that a user wrote is ever read as HTML.
import { local } from "./format.js";

// h("td", { class: "n", title: "..." }, "text", element): what is null or false is left out, functions are listeners.
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...parts(children));
  return made;
}

export const parts = (children) => children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false && c !== "");

// What somebody else wrote: its direction of writing does not turn the words around it.
export const said = (text, attributes = {}) => h("bdi", attributes, String(text));

// What may be very long: its beginning, and all of it when it is asked for.
const long = 160;
export function text(value) {
  if (value.length <= long) return said(value);
  return h("details", { class: "long" }, h("summary", {}, said(`${value.slice(0, long / 2)}…`)), said(value));
}

// A moment in the reader's own time zone, on one line.
export const when = (time) => time ? h("time", { datetime: time }, local(time)) : "";

export const link = (href, ...children) => h("a", { href }, ...children);

export const replace = (place, ...children) => place.replaceChildren(...parts(children));

// A part of a page with a heading; `wide` takes the whole width.
export function section(title, { id, wide = true, aside } = {}, ...children) {
  const name = id ?? title.toLowerCase().replaceAll(/[^a-z]+/g, "-");
  return h("section", { class: wide ? "wide" : "", id: name, "aria-labelledby": `h-${name}` },
    h("div", { class: "heading" }, h("h2", { id: `h-${name}` }, title), aside), ...children);
}

export const quiet = (...children) => h("p", { class: "quiet" }, ...children);

export const badge = (text, kind) => h("span", { class: `stage ${(kind ?? text).split(" ")[0]}` }, text);

// Names with their values: [["author", "alice"], ...]; what has no value is left out.
export function facts(pairs) {
  const tells = (part) => !(part instanceof Node) || part.textContent !== "" || part.childElementCount > 0;
  const known = pairs.filter(([, value]) => parts([value]).some(tells));
  return h("dl", { class: "facts" }, known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function chips(tags, { empty = null } = {}) {
  const names = Object.keys(tags).sort();
  if (!names.length) return empty;
  return h("ul", { class: "chips" }, names.map((name) => h("li", {}, said(name), tags[name] === "" ? null : [": ", said(tags[name])])));
}

let made = 0;
export const newId = (name) => `${name}-${++made}`;

export function field(label, input, attributes = {}) {
  input.id ||= newId("field");
  return h("div", { class: "field", ...attributes }, h("label", { for: input.id }, label), input);
}

export function choice(options, chosen, changed) {
  const select = h("select", { onchange: () => changed(select.value) },
    options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
  return select;
}

// What is chosen among them; the first where it is none of them.
export const oneOf = (options, value) => (options.find(([one]) => one === value) ?? options[0])[0];

export function check(label, checked, changed) {
  const box = h("input", { type: "checkbox", checked, onchange: () => changed(box.checked) });
  return h("label", { class: "check" }, box, " ", label);
}
