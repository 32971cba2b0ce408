// Parallel coordinates: each run a line across its parameters and metrics. Dragging along an axis picks out runs.
import { quiet, said, link } from "../../parts/dom.js";
import { count, number, plain, runName } from "../../parts/format.js";
import { axis, figure } from "../../parts/plot.js";
import { to } from "../../shell/address.js";
import { label, value } from "./columns.js";

const mostNames = 30;  // values of an axis that are no numbers

export class Parallel {
  show(runs, columns, more) {
    const axes = ["parameter.", "metric."].flatMap((kind) => columns.filter((column) => column.startsWith(kind))).map((column) => ({ column, ...scale(runs, column) }));
    if (axes.length < 2) return quiet("Two or more parameters and metrics are needed: choose them among the columns.");
    const words = `${count(runs.length, "run")}${more ? " (the first ones)" : ""} across ${axes.map((one) => name(one.column)).join(", ")}`;
    return figure({ title: "Runs across their parameters and metrics", words, small: false, option: (seen) => option(runs, axes, seen), figures: () => listed(runs, axes) });
  }
}

const name = (column) => column.slice(column.indexOf(".") + 1);
const brief = (text) => text.length > 24 ? `${text.slice(0, 23)}…` : text;

// Numbers where every run has one, else names.
function scale(runs, column) {
  const values = runs.map((run) => value(run, column)).filter((found) => found !== undefined && found !== null && found !== "");
  if (values.length && values.every((found) => Number.isFinite(Number(found)) && typeof found !== "boolean")) return { numeric: true };
  return { numeric: false, names: [...new Set(values.map(plain))].sort().slice(0, mostNames) };
}

function option(runs, axes, seen) {
  const place = (run, one) => {
    const found = value(run, one.column);
    if (found === undefined || found === null || found === "") return "-";
    return one.numeric ? Number(found) : plain(found);
  };
  const last = axes.length - 1, figures = axes[last].numeric ? runs.map((run) => place(run, axes[last])).filter(Number.isFinite) : [];
  const coloured = figures.length > 1;
  return {
    parallel: { left: 40, right: 70, top: 50, bottom: 30, parallelAxisDefault: { nameTextStyle: { color: seen.ink }, nameGap: 14 } },
    parallelAxis: axes.map((one, dim) => ({
      dim, name: brief(name(one.column)), ...axis(seen), splitLine: { show: false },
      ...(one.numeric ? { type: "value", scale: true, axisLabel: { color: seen.quiet, formatter: number } } : { type: "category", data: one.names, axisLabel: { color: seen.quiet, formatter: brief } }),
    })),
    ...(coloured && { visualMap: { show: false, dimension: last, min: Math.min(...figures), max: Math.max(...figures), inRange: { color: seen.lines.slice(0, 2) } } }),
    series: [{ type: "parallel", lineStyle: { width: 1.5, opacity: runs.length > 100 ? 0.35 : 0.7 }, emphasis: { lineStyle: { width: 3 } }, data: runs.map((run) => ({ name: runName(run), value: axes.map((one) => place(run, one)) })) }],
  };
}

function listed(runs, axes) {
  return {
    columns: [{ head: "Run", row: true }, ...axes.map((one) => ({ head: label(one.column), number: one.numeric }))],
    rows: runs.map((run) => [link(to.run(run.id), said(runName(run))), ...axes.map((one) => { const found = value(run, one.column) ?? ""; return one.numeric ? number(found) : said(plain(found)); })]),
  };
}
