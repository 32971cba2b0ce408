// How long the answers of each version took: a histogram with the median and the 99th percentile, and as a table.
import { h, quiet } from "../../parts/dom.js";
import { number } from "../../parts/format.js";
import { axis, figure, tooltip } from "../../parts/plot.js";
import { table } from "../../parts/table.js";

const whole = (n) => Number(n ?? 0).toLocaleString("en");
const step = 2 ** (1 / 8);  // from one bucket to the next
const ms = (value) => value === undefined ? "" : `${Number(value.toPrecision(3))} ms`;

const others = "Requests by stream, from a topic of Kafka, are counted above and have no latencies.";

export function latencies({ minutes, versions = [], open = [] }) {
  const all = together([...versions, ...open]);
  if (!all.length) return quiet(`Nothing was asked over gRPC or REST in ${minutes} minutes. ${others}`);
  return h("div", {}, table(`Answers of ${minutes} minutes`, [{ head: "Version", row: true }, { head: "Answered", number: true }, { head: "Errors", number: true }, { head: "p50", number: true }, { head: "p99", number: true }],
    all.map((v) => [v.version, whole(v.answered), whole(v.errors), ms(v.p50), ms(v.p99)])),
  h("div", { class: "plots" }, all.filter((v) => v.answered).map(plot)), quiet(others));
}

// What is told and what is not yet, by version.
function together(parts) {
  const found = new Map();
  for (const part of parts) {
    const v = found.get(part.version) ?? { version: part.version, answered: 0, errors: 0, counts: new Map() };
    v.answered += Number(part.answered ?? 0);
    v.errors += Number(part.errors ?? 0);
    for (const { upper_ms: upper, count } of part.buckets ?? []) {
      const place = Math.round(Math.log2(upper) * 8);
      v.counts.set(place, (v.counts.get(place) ?? 0) + Number(count));
    }
    found.set(part.version, v);
  }
  return [...found.values()].map((v) => ({ ...v, p50: quantile(v, 0.5), p99: quantile(v, 0.99) })).sort((a, b) => a.version.localeCompare(b.version, "en", { numeric: true }));
}

const upper = (place) => 2 ** (place / 8);

function quantile({ counts, answered }, part) {
  let left = part * answered;
  for (const place of [...counts.keys()].sort((a, b) => a - b)) {
    left -= counts.get(place);
    if (left <= 0) return upper(place);
  }
  return undefined;
}

function plot(v) {
  const places = [...v.counts.keys()], first = Math.min(...places), last = Math.max(...places);
  const all = Array.from({ length: last - first + 1 }, (_, n) => first + n);
  return figure({
    title: `Latencies of ${v.version}`, words: `${whole(v.answered)} answers, half within ${ms(v.p50)}, 99 of 100 within ${ms(v.p99)}; ${whole(v.errors)} errors`,
    option: (seen) => bars(v, all, seen),
    figures: () => ({ columns: [{ head: "More than", number: true }, { head: "Up to", number: true, row: true }, { head: "Answers", number: true }], rows: all.filter((p) => v.counts.get(p)).map((p) => [ms(upper(p) / step), ms(upper(p)), whole(v.counts.get(p))]) }),
  });
}

function bars(v, all, seen) {
  const mark = (name, value) => ({ xAxis: all.indexOf(Math.round(Math.log2(value) * 8)), label: { formatter: name, color: seen.ink } });
  return {
    tooltip: tooltip(seen, { trigger: "axis" }), grid: { left: 8, right: 24, top: 28, bottom: 8, containLabel: true },
    xAxis: axis(seen, { type: "category", data: all.map((p) => ms(upper(p))) }), yAxis: axis(seen, { type: "value", minInterval: 1, axisLabel: { color: seen.quiet, formatter: number } }),
    series: [{
      type: "bar", barCategoryGap: "10%", data: all.map((p) => v.counts.get(p) ?? 0), itemStyle: { color: seen.lines[0] },
      markLine: { silent: true, symbol: "none", lineStyle: { color: seen.ink, type: "dashed" }, data: v.p50 === v.p99 ? [mark("p50, p99", v.p50)] : [mark("p50", v.p50), mark("p99", v.p99)] },
    }],
  };
}
