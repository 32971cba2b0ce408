// From where to where curves are shown, along the axis that they are drawn over: written, dragged on a plot, or in the address.
import { asked } from "../shell/address.js";
import { field, h, replace } from "./dom.js";

// In the reader's own time zone, as a field for times wants it.
const local = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 23);
const labels = { step: "step", time: "time", since: "second" };

// The part of the address, or null for all of it: numbers along the axis, of times milliseconds since 1970.
export function part() {
  const query = asked(), from = Number(query.get("from") || -Infinity), to = Number(query.get("to") || Infinity);
  return (Number.isFinite(from) || Number.isFinite(to)) && from <= to ? { from, to } : null;
}

// What the platform is asked for: `start` is when a run's curve begins.
export function span(x, wanted, start) {
  if (!wanted) return {};
  const at = x === "since" ? (s) => start + s * 1000 : (value) => value;
  const [first, last] = [Math.ceil(at(wanted.from)), Math.floor(at(wanted.to))];
  const limit = Number.MAX_SAFE_INTEGER;
  return { along: x === "step" ? "CURVE_AXIS_STEP" : "CURVE_AXIS_TIME", first: String(Math.max(first, -limit)), last: String(Math.min(last, limit)) };
}

export class Ends {
  constructor(changed) {
    this.changed = changed;
    this.inputs = {};
    this.whole = h("button", { type: "button", onclick: () => changed({ from: "", to: "" }) }, "Whole curves");
    this.element = h("div", { class: "ends-of" });
  }

  // Show what the address says; the fields stay the same ones, so that the keyboard's place in them does.
  show(x) {
    if (x !== this.x) {
      this.x = x;
      this.inputs = Object.fromEntries(["from", "to"].map((name) => [name, this.input(name)]));
      replace(this.element, field(`From ${labels[x]}`, this.inputs.from), field(`To ${labels[x]}`, this.inputs.to), this.whole);
    }
    for (const [name, input] of Object.entries(this.inputs)) {
      const value = asked().get(name) ?? "";
      if (input !== document.activeElement) input.value = value && x === "time" ? local(Number(value)) : value;
    }
    this.whole.disabled = !part();
  }

  input(name) {
    const isTime = this.x === "time";
    const input = h("input", { type: isTime ? "datetime-local" : "number", step: "any", onchange: () => this.changed({ [name]: input.value && isTime ? String(new Date(input.value).getTime()) : input.value }) });
    return input;
  }
}
