// How many of the models found have each framework, type, stage and tag: a button that narrows the search to them.
import { h, replace, said } from "../../parts/dom.js";

const labels = { flavor: "Framework", type: "Learns", stage: "Stage", tag: "Tag" };

// What the address says when a count is chosen.
const chosen = ({ key, value }) => key ? `${key}=${value}` : value;

export class Facets {
  constructor(changed) {
    this.changed = changed;
    this.element = h("div", { class: "facets", role: "group", "aria-label": "Narrow the search" });
  }

  show(facets, query) {
    const at = this.element.contains(document.activeElement) ? document.activeElement.value : null;
    replace(this.element, facets.filter(({ counts }) => counts.length).map((facet) => h("div", { role: "group", "aria-label": `By ${labels[facet.name].toLowerCase()}` },
      h("span", { class: "quiet" }, labels[facet.name]), facet.counts.map((count) => this.button(facet.name, count, query)), facet.more && h("span", { class: "quiet" }, "and more"))));
    if (at !== null) [...this.element.querySelectorAll("button")].find((button) => button.value === at)?.focus();
  }

  button(name, count, query) {
    const value = chosen(count), pressed = query.get(name) === value;
    return h("button", { type: "button", value: `${name} ${value}`, "aria-pressed": String(pressed), onclick: () => this.changed({ [name]: pressed ? "" : value }) },
      count.key && [said(count.key), ": "], said(count.value || "(empty)"), " ", h("span", { class: "quiet" }, String(count.models)));
  }
}
