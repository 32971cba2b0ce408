// Of each metric a plot: how every column differs from the first, with its interval, else the values themselves.
import { h } from "../../parts/dom.js";
import { number } from "../../parts/format.js";
import { axis, figure, tooltip } from "../../parts/plot.js";

export const metricPlots = (report) => h("div", { class: "plots" }, report.metrics.map((metric) => plot(metric, report.columns)));

function plot(metric, columns) {
  const name = (n) => columns[n].name;
  const tested = metric.differences.filter((d) => d.low !== undefined);
  const means = metric.columns.filter((column) => column.mean !== undefined);
  if (tested.length) {
    return figure({
      title: h("span", {}, h("bdi", {}, metric.name), ", less that of ", h("bdi", {}, name(0))),
      words: tested.map((d) => `${name(d.column)}: ${number(d.estimate)}, ${number(d.low)} to ${number(d.high)}`).join("; "),
      option: (seen) => intervals(tested, name, seen),
      figures: () => ({ columns: [{ head: "Column", row: true }, { head: "Difference", number: true }, { head: "Low", number: true }, { head: "High", number: true }], rows: tested.map((d) => [name(d.column), number(d.estimate), number(d.low), number(d.high)]) }),
    });
  }
  return figure({
    title: h("bdi", {}, metric.name), words: means.map((column) => `${name(column.column)}: ${number(column.mean)}`).join("; "),
    option: (seen) => bars(means, name, seen),
    figures: () => ({ columns: [{ head: "Column", row: true }, { head: "Mean", number: true }, { head: "Runs", number: true }], rows: means.map((column) => [name(column.column), number(column.mean), String(column.runs)]) }),
  });
}

const brief = (text) => text.length > 18 ? `${text.slice(0, 17)}…` : text;
const frame = { left: 8, right: 24, top: 12, bottom: 8, containLabel: true };

// A line from low to high for each column, with the estimate upon it; the axis has 0, where there is no difference.
function intervals(tested, name, seen) {
  return {
    tooltip: tooltip(seen), grid: frame, xAxis: axis(seen, { type: "value" }),
    yAxis: axis(seen, { type: "category", inverse: true, data: tested.map((d) => name(d.column)), axisLabel: { color: seen.quiet, formatter: brief } }),
    series: [{
      type: "custom", z: 1, encode: { x: [0, 1], y: 2 }, data: tested.map((d, n) => [Number(d.low), Number(d.high), n]),
      renderItem: (_, api) => {
        const [from, y] = api.coord([api.value(0), api.value(2)]), [until] = api.coord([api.value(1), api.value(2)]);
        return { type: "line", shape: { x1: from, y1: y, x2: until, y2: y }, style: { stroke: seen.lines[0], lineWidth: 3, opacity: 0.6 } };
      },
    }, {
      type: "scatter", z: 2, symbolSize: 10, data: tested.map((d, n) => [Number(d.estimate), n]), itemStyle: { color: seen.lines[0] },
      markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: seen.quiet, type: "dashed" }, data: [{ xAxis: 0 }] },
    }],
  };
}

function bars(means, name, seen) {
  return {
    tooltip: tooltip(seen), grid: frame, xAxis: axis(seen, { type: "value", axisLabel: { color: seen.quiet, formatter: number, hideOverlap: true } }),
    yAxis: axis(seen, { type: "category", inverse: true, data: means.map((column) => name(column.column)), axisLabel: { color: seen.quiet, formatter: brief } }),
    series: [{ type: "bar", barMaxWidth: 18, data: means.map((column) => Number.isFinite(Number(column.mean)) ? Number(column.mean) : null) }],
  };
}
