// What became of a version when serving tried it, apart from traffic.
import { action, actions } from "../../parts/action.js";
import { badge, facts, field, h, quiet, replace, said, when } from "../../parts/dom.js";
import { bytes, number, short } from "../../parts/format.js";
import { area } from "../../parts/forms.js";
import { pairs } from "../../parts/table.js";
import { get, wasGivenUp } from "../../shell/api.js";

const states = {
  TRIAL_STATE_WAITING: ["not tried yet", "staging"], TRIAL_STATE_WORKS: ["works", "production"], TRIAL_STATE_KEPT_ORIGINAL: ["works, with the library's own engine", "production"],
  TRIAL_STATE_REFUSED: ["refused", "bad"], TRIAL_STATE_NOT_TRIED: ["not tried", "archived"],
};
const us = (value) => `${number(Number(value.toPrecision(3)))} µs`;

export function trial(model, version) {
  const place = h("div", {}, quiet("Looking …")), path = `/api/v1/models/${encodeURIComponent(model)}/versions/${version}/trial`;
  get(path)
    .then((found) => replace(place, told(found), found.state !== "TRIAL_STATE_WAITING" && actions(`Trial of ${version}`, again(path, version))))
    .catch((error) => { if (!wasGivenUp(error)) replace(place, quiet(`What became of it is not known: ${error.message}`)); });
  return place;
}

const again = (path, version) => action("Try again", {
  permission: "deployment.write", of: version,
  form() {
    const reason = area({ placeholder: "the machine was out of memory" });
    return {
      parts: [quiet("What is known of it now, a refusal too, holds until the other trial has come."), field("Why", reason)],
      async send(call) {
        await call(path, { reason: reason.value });
        return `${version} is tried again.`;
      },
    };
  },
});

function told(t) {
  const other = t.tried_at && t.tried_version !== t.version && (t.tried_version || "a version of another model");
  const packages = Object.entries(t.packages ?? {}).sort();
  return [
    facts([
      ["State", badge(...states[t.state])], ["Why", t.reason && said(t.reason)], ["Now", t.doing && said(t.doing)],
      ["Asked for again", t.asked_at && [said(t.asked_by), ", ", when(t.asked_at), t.asked_why && [": ", said(t.asked_why)]]], ["Tried", t.tried_at && when(t.tried_at)],
      ["As", other && said(`${other}, which has the same file`)],
      ["Engine", t.engine && [said(t.engine), ": ", said(t.why)]], ["Asked", t.rows > 0 && `${number(t.rows)} rows: ${t.sample}`],
      ["Largest difference", t.largest_difference !== undefined ? `${Number(t.largest_difference.toPrecision(3))} of ${t.tolerance} allowed` : t.unequal && "not to be compared"],
      ["Missing values", t.missing && said(t.missing)], ["A row alone", t.row_us > 0 && us(t.row_us)], ["A row of 32", t.row_of_32_us > 0 && us(t.row_of_32_us)],
      ["Memory", Number(t.memory_bytes) > 0 && bytes(t.memory_bytes)], ["File", t.model_digest && h("code", { title: t.model_digest }, short(t.model_digest))],
    ]),
    packages.length > 0 && h("details", {}, h("summary", {}, `${packages.length} packages`), pairs("Packages of the trial", ["Package", "Version"], packages.map(([name, of]) => [said(name), said(of)]))),
  ];
}
