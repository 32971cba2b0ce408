// How many of the models found have each framework, type, stage and tag: a button that narrows the search to them.
import { h, replace, said } from "../../parts/dom.js";
import { asked } from "../../shell/address.js";

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

  // Which of those that are there the search is narrowed to; how many each has is told when it is answered.
  press(query) {
    const narrowed = new Set([...query].map(([name, value]) => `${name} ${value}`));
    for (const button of this.element.querySelectorAll("button")) button.ariaPressed = String(narrowed.has(button.value));
  }

  button(name, count, query) {
    const value = chosen(count);
    const toggle = () => this.changed({ [name]: asked().get(name) === value ? "" : value });
    return h("button", { type: "button", value: `${name} ${value}`, "aria-pressed": String(query.get(name) === value), onclick: toggle },
      count.key && [said(count.key), ": "], said(count.value || "(empty)"), " ", h("span", { class: "quiet" }, String(count.models)));
  }
}
