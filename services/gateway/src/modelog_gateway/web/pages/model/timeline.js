// Which version stood in which stage, and since when: a row for each version, with its table below as "Promotion decisions".
import { h, quiet, said } from "../../parts/dom.js";
import { local, stageOf } from "../../parts/format.js";
import { moment } from "../../shell/api.js";

export function timeline(all, facts) {
  if (!all.length) return quiet("No version is registered.");
  const begins = Math.min(...all.map((v) => Date.parse(v.created_at)));
  const ends = Math.max(isTime(moment.asOf) ? Date.parse(moment.asOf) : moment.asOf ? 0 : Date.now(), ...facts.map((f) => Date.parse(f.at)), begins + 1000);
  const across = (at) => 100 * (at - begins) / (ends - begins);
  const rows = [...all].sort((a, b) => b.number - a.number).map((v) => {
    const spans = stagesOf(v, facts, ends);
    const track = h("div", { class: "track" }, spans.map(({ stage, from, until }) => {
      const span = h("span", { class: `span ${stage}`, title: `${stage} from ${local(from)}` });
      span.style.left = `${across(from)}%`;
      span.style.width = `${Math.max(0.4, across(until) - across(from))}%`;
      return span;
    }));
    const words = spans.map(({ stage, from }) => `${stage} since ${local(from)}`).join(", ");
    return h("li", {}, h("span", { class: "name" }, v.version), h("div", { role: "img", "aria-label": `${v.version}: ${words}` }, track));
  });
  return [
    h("ol", { class: "timeline" }, rows),
    h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, local(begins)), h("span", {}, local(ends))),
    h("ul", { class: "legend" }, ["development", "staging", "production", "archived"].map((stage) => h("li", {}, h("span", { class: `span ${stage}`, "aria-hidden": "true" }), stage))),
  ];
}

const isTime = (text) => text.includes("T");

function stagesOf(v, facts, ends) {
  const moves = facts.filter((f) => f.version === v.version && f.kind === "FACT_KIND_VERSION_PROMOTED");
  const starts = [{ stage: "development", from: Date.parse(v.created_at) }, ...moves.map((f) => ({ stage: stageOf(f.to_stage), from: Date.parse(f.at) }))];
  return starts.map((one, n) => ({ ...one, until: starts[n + 1]?.from ?? ends }));
}
