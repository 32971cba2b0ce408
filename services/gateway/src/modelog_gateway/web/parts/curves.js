// Curves of metrics: of one run while it logs, or of several over each other.
import { get } from "../shell/api.js";
import { asked, put } from "../shell/address.js";
import { check, choice, field, h, oneOf, quiet, replace } from "./dom.js";
import { count, duration, local, number } from "./format.js";
import { Ends, part, span } from "./ends.js";
import { axis, figure, tooltip } from "./plot.js";
import { smoothed } from "./smooth.js";

const drawn = 2000;  // points of a curve: two for each pixel of a wide plot
const ways = [["step", "step"], ["time", "time"], ["since", "time since the start"]];

// The points [{ step, at, value }] that stand for a metric of a run or for a part of it, and what the platform tells of all.
async function thinned(run, metric, asked_for) {
  const answer = await get(`/api/v1/runs/${encodeURIComponent(run)}/metrics/thinned`, { metric, size: drawn, ...asked_for });
  const { steps = [], times_ms: times = [], values = [] } = answer.points ?? {};
  const points = values.map((value, n) => ({ step: Number(steps[n]), at: Number(times[n]), value: Number(value) }));
  return { points, total: Number(answer.total), lowest: answer.lowest, highest: answer.highest, odd: Number(answer.not_finite) };
}

// `runs`: [{ id, name, last: Map(metric -> what changes when it gets a point) }].
export class Curves {
  constructor() {
    this.figures = new Map();
    this.kept = new Map();
    this.starts = new Map();  // when the curves of runs begin, in milliseconds since 1970
    this.ends = new Ends((fields) => this.look(fields));
    this.runs = [];
    this.place = h("div", { class: "plots" });
    this.words = h("p", { class: "quiet", role: "status" });
    this.near = new IntersectionObserver((places) => {
      for (const { target, isIntersecting } of places) if (isIntersecting) this.load(target.dataset.metric);
    }, { rootMargin: "300px" });
    this.element = h("div", {}, this.controls(), this.words, this.place);
  }

  get settings() {
    const query = asked();
    const smooth = Number(query.get("smooth") ?? 0);
    return {
      x: oneOf(ways, query.get("x")),
      smooth: smooth > 0 && smooth < 1 ? smooth : 0,
      log: query.get("log") === "1",
      only: query.get("metrics") ?? "",
    };
  }

  controls() {
    const { x, smooth, log, only } = this.settings;
    const shown = h("output", {}, smooth ? smooth.toFixed(2) : "off");
    const slider = h("input", { type: "range", min: "0", max: "0.99", step: "0.01", value: String(smooth), oninput: () => {
      shown.textContent = Number(slider.value) ? Number(slider.value).toFixed(2) : "off";
      this.set({ smooth: Number(slider.value) || "" });
    } });
    const filter = h("input", { type: "search", value: only, placeholder: "part of a name", oninput: () => { this.set({ metrics: filter.value }); this.arrange(); } });
    return h("div", { class: "toolbar" },
      field("Metrics", filter),
      field("Over", choice(ways, x, (way) => this.look({ x: way === "step" ? "" : way, from: "", to: "" }))),
      h("div", { class: "field" }, h("label", { for: slider.id = "smoothing" }, "Smoothing"), slider, shown),
      check("Logarithmic", log, (on) => this.set({ log: on ? "1" : "" })), this.ends.element);
  }

  set(fields) {
    put(fields, { replace: true });
    for (const metric of this.figures.keys()) this.draw(metric);
  }

  // Another part of the curves, or another axis: they are asked for again as far as they change.
  look(fields) {
    put(fields, { replace: true });
    this.ends.show(this.settings.x);
    for (const [metric, made] of this.figures) if (made.wanted) this.load(metric);
  }

  // Show these runs; a curve that has not changed is not asked for again.
  show(runs) {
    this.runs = runs;
    this.ends.show(this.settings.x);
    this.arrange();
    for (const [metric, made] of this.figures) if (made.wanted) this.load(metric);
  }

  arrange() {
    const { only } = this.settings;
    const all = [...new Set(this.runs.flatMap((run) => [...run.last.keys()]))].sort();
    const metrics = all.filter((metric) => metric.toLowerCase().includes(only.toLowerCase()));
    this.words.textContent = !all.length ? "No metric was logged." : metrics.length ? "" : `None of ${count(all.length, "metric")} has “${only}” in its name.`;
    for (const metric of metrics) if (!this.figures.has(metric)) this.figures.set(metric, this.figure(metric));
    const wanted = metrics.map((metric) => this.figures.get(metric).element);
    if (wanted.length !== this.place.children.length || wanted.some((element, n) => element !== this.place.children[n])) replace(this.place, wanted);
  }

  figure(metric) {
    const element = figure({
      title: h("bdi", {}, metric), words: "loading", option: (seen) => this.option(metric, seen), figures: () => this.table(metric),
      zoomed: (from, to) => this.look({ from: this.rounded(from), to: this.rounded(to) }),
    });
    element.dataset.metric = metric;
    this.near.observe(element);
    return { element, wanted: false };
  }

  async load(metric) {
    const made = this.figures.get(metric);
    made.wanted = true;
    const found = this.runs.filter((run) => run.last.has(metric)).map((run) => this.ask(run, metric));
    try {
      await Promise.all(found);
      this.draw(metric);
    } catch (error) {
      if (error.name !== "AbortError") made.element.update({ words: `could not be read: ${error.message}` });
    }
  }

  async ask(run, metric) {
    const key = `${run.id} ${metric}`, mark = this.mark(run, metric), { x } = this.settings, wanted = part();
    if (this.kept.get(key)?.mark === mark) return;
    if (wanted && x === "since" && !this.starts.has(key)) this.starts.set(key, (await thinned(run.id, metric, { size: 2 })).points[0]?.at ?? 0);
    const found = await thinned(run.id, metric, span(x, wanted, this.starts.get(key)));
    if (mark !== this.mark(run, metric)) return;  // somebody went on meanwhile
    if (!wanted && found.points.length) this.starts.set(key, found.points[0].at);
    this.kept.set(key, { ...found, mark });
  }

  // What a curve depends on that is kept: its last point and the part that is shown.
  mark(run, metric) {
    const wanted = part();
    return `${run.last.get(metric)} ${wanted ? `${this.settings.x} ${wanted.from} ${wanted.to}` : ""}`;
  }

  rounded(value) { return this.settings.x === "since" ? value.toFixed(3) : String(Math.round(value)); }

  curves(metric) {
    return this.runs.map((run) => ({ run, ...this.kept.get(`${run.id} ${metric}`) })).filter((one) => one.points?.length);
  }

  draw(metric) {
    const curves = this.curves(metric), { log } = this.settings;
    if (!curves.length && part()) return this.figures.get(metric).element.update({ words: "no point in this part" });
    if (!curves.length) return;
    this.figures.get(metric).element.update({ words: curves.map((one) => this.tell(one, log)).join("; ") });
  }

  tell({ run, points, total, lowest, highest, odd }, log) {
    return [
      this.runs.length > 1 ? `${run.name}: last ${number(points.at(-1).value)}` : `last ${number(points.at(-1).value)}`,
      total - odd > 1 && this.runs.length === 1 && `${number(lowest)} to ${number(highest)}`,
      this.runs.length === 1 && count(total, "point"),
      points.length < total && `drawn by ${points.length.toLocaleString("en")} of them`,
      odd > 0 && `${odd} NaN or infinite`,
      log && lowest <= 0 && "values up to 0 have no logarithm",
    ].filter(Boolean).join(", ");
  }

  option(metric, seen) {
    const { x, smooth, log } = this.settings;
    const series = this.curves(metric).flatMap(({ run, points }, n) => {
      const start = this.starts.get(`${run.id} ${metric}`) ?? points[0].at;
      const place = (p) => x === "step" ? p.step : x === "time" ? p.at : (p.at - start) / 1000;
      const drawn = points.map((p) => [place(p), Number.isFinite(p.value) && !(log && p.value <= 0) ? p.value : null]);
      if (x !== "step") drawn.sort((a, b) => a[0] - b[0]);
      const colour = seen.lines[n % seen.lines.length];
      const common = { type: "line", name: run.name, color: colour, lineStyle: { color: colour, width: 2 }, symbolSize: 5, showSymbol: points.length <= 30 };
      if (!smooth) return [{ ...common, data: drawn }];
      return [
        { ...common, data: drawn, showSymbol: false, silent: true, lineStyle: { color: colour, width: 1, opacity: 0.3 }, tooltip: { show: false } },
        { ...common, data: smoothed(drawn, smooth), showSymbol: false },
      ];
    });
    const times = x === "time" ? { type: "time" } : { type: "value", scale: true, ...(x === "since" && { axisLabel: { formatter: duration, color: seen.quiet, hideOverlap: true } }) };
    return {
      series, tooltip: tooltip(seen, { trigger: "axis" }),
      legend: this.runs.length > 1 ? { textStyle: { color: seen.ink }, type: "scroll", bottom: 0 } : undefined,
      grid: { left: 8, right: 16, top: 12, bottom: this.runs.length > 1 ? 36 : 8, containLabel: true },
      xAxis: { ...axis(seen), ...times, splitLine: { show: false } },
      yAxis: axis(seen, { type: log ? "log" : "value", scale: true, axisLabel: { color: seen.quiet, formatter: number } }),
    };
  }

  table(metric) {
    const curves = this.curves(metric), many = this.runs.length > 1;
    return {
      columns: [...(many ? [{ head: "Run" }] : []), { head: "Step", number: true, row: !many }, { head: "Time" }, { head: "Value", number: true }],
      rows: curves.flatMap(({ run, points }) => points.map((p) => [...(many ? [run.name] : []), String(p.step), local(p.at), number(p.value)])),
    };
  }
}

// What the curves of a run depend on: the last point of each of its metrics.
export const lastOf = (run) => new Map(run.last_points.map((p) => [p.name, `${p.step} ${p.at} ${p.value}`]));

export const noCurves = (run) => quiet(run.status === "RUN_STATUS_RUNNING" ? "Nothing was logged yet; this page will show it." : "No metric was logged.");
