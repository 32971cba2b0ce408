// A confidence sequence: a difference over what was seen, with the interval that holds at all times.
import { number } from "./format.js";
import { axis, figure, tooltip } from "./plot.js";

const bounded = (look) => look.low !== undefined && look.high !== undefined;

// `looks` are { seen, value, low, high, more }, oldest first; `unit` is what is seen, `marks` are levels that matter, and
// `column` is a head for `more`, which stands last in the table.
export function sequence({ title, unit, looks, marks, value = "difference", column }) {
  const last = looks.at(-1);
  const interval = bounded(last) ? `, interval ${number(last.low)} to ${number(last.high)}` : ", no interval yet";
  const whole = (look) => look.seen.toLocaleString("en");
  return figure({
    title, words: `${number(last.value)} after ${whole(last)} ${unit}${interval}`, small: false,
    option: (colours) => option({ unit, looks, marks, value }, colours),
    figures: () => ({
      columns: [{ head: capital(unit), number: true, row: true }, { head: capital(value), number: true }, { head: "From", number: true }, { head: "To", number: true }, column],
      rows: looks.map((look) => [whole(look), number(look.value), number(look.low), number(look.high), look.more]),
    }),
  });
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function option({ unit, looks, marks, value }, colours) {
  const known = looks.filter(bounded);
  const [line, , , edge] = colours.lines;
  const edges = { type: "line", symbol: "none", lineStyle: { color: edge, type: "dashed" }, itemStyle: { color: edge } };
  return {
    tooltip: tooltip(colours, { trigger: "axis" }), legend: { textStyle: { color: colours.ink } },
    grid: { left: 8, right: 20, top: 40, bottom: 24, containLabel: true },
    xAxis: axis(colours, { type: "value", name: unit, nameLocation: "middle", nameGap: 24, splitLine: { show: false } }),
    yAxis: axis(colours, { type: "value", scale: true }),
    series: [
      { name: value, type: "line", symbolSize: 5, lineStyle: { color: line }, data: looks.map((look) => [look.seen, look.value]),
        markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: colours.quiet, type: "dotted" }, data: marks.map((yAxis) => ({ yAxis })) } },
      { name: "from", ...edges, data: known.map((look) => [look.seen, look.low]) },
      { name: "to", ...edges, data: known.map((look) => [look.seen, look.high]) },
    ],
  };
}
