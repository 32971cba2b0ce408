// How the traffic of a model's versions does by its targets: attainment, error budget, open alerts, and the hours behind them.
import { badge, h, link, quiet, said, when } from "../../parts/dom.js";
import { count, local, number, words } from "../../parts/format.js";
import { axis, figure, tooltip } from "../../parts/plot.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";
import { to } from "../../shell/address.js";

// So many are drawn, those with alerts first.
const mostDrawn = 4;
const objectiveOf = (one) => words(one.objective, "LEVEL_OBJECTIVE_");
const promises = { availability: (target) => `${target} % answered`, "latency p50": (target) => `half in ${target} ms`, "latency p99": (target) => `99 of 100 in ${target} ms` };
const percent = (value) => `${number(Math.round(value * 1000) / 1000)} %`;

// The levels with their hours, for as many as are drawn.
export async function levelsOf(path) {
  const { levels } = await get(`${path}/levels`, { page_size: 100 });
  const drawn = [...levels].sort((a, b) => b.alerts.length - a.alerts.length).slice(0, mostDrawn);
  return { levels, drawn: await Promise.all(drawn.map((l) => get(`/api/v1/deployments/${encodeURIComponent(l.deployment)}/versions/${encodeURIComponent(l.version)}/level`))) };
}

export function levels(found) {
  if (found.error) return quiet(`Not known: ${found.error.message}`);
  if (!found.value.levels.length) return quiet("No traffic was held against targets yet.");
  return [
    table("Service levels", [{ head: "Deployment", row: true }, { head: "Version" }, { head: "Promised" }, { head: "Attained", number: true }, { head: "Budget left", number: true }, { head: "Missed", number: true }, { head: "Alert", prose: true }],
      found.value.levels.flatMap((level) => level.attainments.map((a) => row(level, a)))),
    h("p", { class: "quiet" }, "Over 30 days up to each version's last window with requests."),
    found.value.drawn.map(hours),
  ];
}

function row(level, attainment) {
  const alert = level.alerts.find((a) => a.objective === attainment.objective);
  const name = objectiveOf(attainment);
  return [
    link(to.deployment(level.deployment), said(level.deployment)), level.version,
    attainment.target === undefined ? `${name}, no more` : promises[name](attainment.target),
    percent(attainment.attained_percent), percent(attainment.budget_left_percent), `${number(attainment.missed)} of ${count(attainment.judged, "request")}`,
    alert ? [badge(words(alert.severity, "LEVEL_SEVERITY_"), "archived"), " ", said(alert.text), ", since ", when(alert.at)] : "none",
  ];
}

// Of each hour, what part of the requests met each objective.
function hours(level) {
  const kinds = [...new Set(level.hours.flatMap((hour) => hour.tallies.map((t) => t.objective)))];
  const met = (hour, kind) => {
    const tally = hour.tallies.find((t) => t.objective === kind);
    return tally && Number(tally.judged) ? 100 * (1 - Number(tally.missed) / Number(tally.judged)) : null;
  };
  return figure({
    title: `${level.deployment}, ${level.version}: percent of requests that met each target, by hour`,
    words: `${count(level.requests, "request")} from ${local(level.from)} to ${local(level.until)}, ${number(level.errors)} not answered`,
    option: (seen) => ({
      tooltip: tooltip(seen, { trigger: "axis" }), legend: { textStyle: { color: seen.ink } },
      grid: { left: 8, right: 20, top: 40, bottom: 8, containLabel: true },
      xAxis: axis(seen, { type: "time" }), yAxis: axis(seen, { type: "value", scale: true, max: 100 }),
      series: kinds.map((kind) => ({ name: objectiveOf({ objective: kind }), type: "line", symbolSize: 5, data: level.hours.map((hour) => [hour.start, met(hour, kind)]) })),
    }),
    figures: () => ({
      columns: [{ head: "Hour", row: true }, { head: "Requests", number: true }, { head: "Not answered", number: true }, ...kinds.map((kind) => ({ head: objectiveOf({ objective: kind }), number: true }))],
      rows: level.hours.map((hour) => [local(hour.start), number(hour.requests), number(hour.errors), ...kinds.map((kind) => number(met(hour, kind)))]),
    }),
  });
}
