// The confidence sequence: the difference over the predictions seen, with the interval that holds at all times.
import { number } from "../../parts/format.js";
import { axis, figure, tooltip } from "../../parts/plot.js";

const seen = (look) => Number(look.events_a) + Number(look.events_b);
const bounded = (look) => look.low !== undefined && look.high !== undefined;

export function sequence(test, looks) {
  const last = looks.at(-1);
  const interval = bounded(last) ? `, interval ${number(last.low)} to ${number(last.high)}` : ", no interval yet";
  return figure({
    title: "Mean of b minus mean of a", words: `${number(last.estimate)} after ${seen(last).toLocaleString("en")} predictions${interval}`, small: false,
    option: (colours) => option(test, looks, colours),
    figures: () => ({
      columns: [{ head: "Predictions", number: true, row: true }, { head: "Difference", number: true }, { head: "From", number: true }, { head: "To", number: true }, { head: "p", number: true }],
      rows: looks.map((look) => [seen(look).toLocaleString("en"), number(look.estimate), number(look.low), number(look.high), number(look.p_value)]),
    }),
  });
}

function option(test, looks, colours) {
  const known = looks.filter(bounded);
  const [line, , , edge] = colours.lines;
  const edges = { type: "line", symbol: "none", lineStyle: { color: edge, type: "dashed" }, itemStyle: { color: edge } };
  return {
    tooltip: tooltip(colours, { trigger: "axis" }), legend: { textStyle: { color: colours.ink } },
    grid: { left: 8, right: 20, top: 40, bottom: 24, containLabel: true },
    xAxis: axis(colours, { type: "value", name: "predictions", nameLocation: "middle", nameGap: 24, splitLine: { show: false } }),
    yAxis: axis(colours, { type: "value", scale: true }),
    series: [
      { name: "difference", type: "line", symbolSize: 5, lineStyle: { color: line }, data: looks.map((look) => [seen(look), look.estimate]),
        markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: colours.quiet, type: "dotted" }, data: [0, test.min_effect, -test.min_effect].map((yAxis) => ({ yAxis })) } },
      { name: "from", ...edges, data: known.map((look) => [seen(look), look.low]) },
      { name: "to", ...edges, data: known.map((look) => [seen(look), look.high]) },
    ],
  };
}
