// How good what is served was, window by window.
import { h, quiet, replace } from "../../parts/dom.js";
import { local, number } from "../../parts/format.js";
import { axis, figure, tooltip } from "../../parts/plot.js";
import { get } from "../../shell/api.js";

export class Quality {
  constructor() {
    this.element = h("div", { id: "quality" });
    this.points = [];
  }

  async show(awaited) {
    const { monitors } = await awaited(get("/api/v1/monitors"));
    const { points } = monitors.length ? await awaited(get(`/api/v1/monitors/${encodeURIComponent(monitors[0].name)}/series/auc`)) : { points: [] };
    this.points = points;
    if (!points.length) {
      this.figure = undefined;
      return replace(this.element, quiet("No window has closed yet."));
    }
    const last = points.at(-1);
    const words = `${points.length} windows, the last ${number(last.value)}`;
    if (this.figure) return this.figure.update({ words });
    this.figure = figure({ title: "Area under the ROC curve", words, small: false, option: (seen) => this.option(seen), figures: () => this.table() });
    replace(this.element, this.figure);
  }

  option(seen) {
    const lines = new Map();
    for (const p of this.points) lines.set(p.line, [...(lines.get(p.line) ?? []), [p.at, p.value]]);
    return {
      tooltip: tooltip(seen, { trigger: "axis" }), legend: { textStyle: { color: seen.ink } },
      grid: { left: 8, right: 20, top: 40, bottom: 8, containLabel: true },
      xAxis: axis(seen, { type: "time", splitLine: { show: false } }), yAxis: axis(seen, { type: "value", scale: true, name: "AUC" }),
      series: [...lines].map(([line, data]) => ({ name: line || "served", type: "line", symbolSize: 8, data })),
    };
  }

  table() {
    return {
      columns: [{ head: "Time", row: true }, { head: "Answered by" }, { head: "AUC", number: true }],
      rows: this.points.map((p) => [local(p.at), p.line || "served", number(p.value)]),
    };
  }
}
