// A deployment whose models learn: what each has learned, and the curve of its error beside that of what was registered.
import { facts, h, quiet, said, when } from "../../parts/dom.js";
import { number, words } from "../../parts/format.js";
import { axis, figure, tooltip } from "../../parts/plot.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";

const mostSteps = 500;
const short = (digest) => h("code", { title: digest }, digest.slice(0, 12));
const state = (v) => v.stopped ? `stopped: ${v.stopped}` : "learns";

// What the page asks of a deployment of river models.
export async function asked(name) {
  const path = `/api/v1/deployments/${encodeURIComponent(name)}/learning`;
  try {
    const [learning, { steps }] = await Promise.all([get(path), get(`${path}/steps`, { page_size: mostSteps })]);
    return { learning, steps };
  } catch (error) {
    if (error.status === 404) return {};  // it was never set to learn
    throw error;
  }
}

export function learned({ learning: l, steps }) {
  if (!l) return quiet("It answers as its versions were registered.");
  return h("div", {},
    facts([["Learning", words(l.mode, "LEARNING_MODE_")], ["A step", `${l.terms.step_labels} labels, or after ${l.terms.step_s} s`], ["Stops at", `${number(l.terms.worst_ratio)} times the error, of ${l.terms.guard_labels} labels`],
      ["Labels that wait", l.waiting], ["Passed over", l.passed_over], ["Set by", said(l.by)], ["Since", when(l.at)]]),
    table("What was learned", [{ head: "Version", row: true }, { head: "Steps", number: true }, { head: "Labels", number: true }, { head: "Answers by" }, { head: "State", prose: true }],
      (l.versions ?? []).map((v) => [v.version, v.steps, v.labels, short(v.digest), said(state(v))]), "Nothing yet."),
    h("div", { class: "plots" }, [...Map.groupBy(steps.filter((s) => s.event === "ModelLearned"), (s) => s.version)].map(([version, of]) => curve(version, of))));
}

// The error on each step's labels before they were learned from.
function curve(version, steps) {
  const last = steps.at(-1);
  return figure({
    title: `Progressive error of ${version}`, words: `${number(last.error)} at step ${last.step}, as it was registered ${number(last.registered_error)}`, small: false,
    option: (colours) => option(steps, colours),
    figures: () => ({
      columns: [{ head: "Step", number: true, row: true }, { head: "Labels", number: true }, { head: "Error", number: true }, { head: "As registered", number: true }, { head: "State" }],
      rows: steps.map((s) => [s.step, s.labels, number(s.error), number(s.registered_error), s.digest_after.slice(0, 12)]),
    }),
  });
}

function option(steps, colours) {
  const [own, , , other] = colours.lines;
  const line = (name, color, of) => ({ name, type: "line", symbolSize: 5, lineStyle: { color }, itemStyle: { color }, data: steps.map((s) => [s.step, of(s)]) });
  return {
    tooltip: tooltip(colours, { trigger: "axis" }), legend: { textStyle: { color: colours.ink } },
    grid: { left: 8, right: 20, top: 40, bottom: 24, containLabel: true },
    xAxis: axis(colours, { type: "value", name: "step", nameLocation: "middle", nameGap: 24, minInterval: 1, splitLine: { show: false } }),
    yAxis: axis(colours, { type: "value", min: 0 }),
    series: [line("error", own, (s) => s.error ?? 0), line("as registered", other, (s) => s.registered_error ?? 0)],
  };
}
