// Plots by ECharts: drawn when they are seen, in the page's colours, each with its figures as a table beside it.
import { h, replace } from "./dom.js";
import { table } from "./table.js";
import { number } from "./format.js";

const drawn = new Map();  // the place of a plot -> how it is drawn
const mostRows = 200;

const seen = new IntersectionObserver((places) => {
  for (const { target, isIntersecting } of places) if (isIntersecting) drawn.get(target)?.draw();
}, { rootMargin: "200px" });
const sized = new ResizeObserver((places) => { for (const { target } of places) drawn.get(target)?.chart?.resize(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// In other colours: those of the night, or of the past.
export function redraw() {
  for (const [place, plot] of drawn) {
    if (place.isConnected) { if (plot.chart) plot.draw(); } else forget(place);
  }
}

function forget(place) {
  drawn.get(place)?.chart?.dispose();
  drawn.delete(place);
  seen.unobserve(place);
  sized.unobserve(place);
}

export function colours() {
  const style = getComputedStyle(document.body);
  const of = (name) => style.getPropertyValue(name).trim();
  return { ink: of("--ink"), quiet: of("--quiet"), line: of("--line"), paper: of("--paper"), lines: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => of(`--plot-${n}`)) };
}

// A figure: `title`, `words` that say what is to be seen, `option(colours)` for ECharts, and `figures()`, which gives
// { columns, rows, left } for the table; `zoomed(from, to)` is told which part of the first axis was dragged over. The
// answer's `update` takes new ones.
export function figure({ title, words, option, figures, zoomed, small = true }) {
  const place = h("div", { class: small ? "plot" : "plot large", role: "img" });
  const caption = h("figcaption", {}, title, " ");
  const note = h("span", { class: "quiet" });
  const listed = h("div");
  const details = h("details", { ontoggle: () => list() }, h("summary", {}, "As a table"), listed);
  const made = h("figure", {}, caption, place, details);
  caption.append(note);
  let now = {};

  function list() {
    if (!details.open || !now.figures) return;
    const { columns, rows } = now.figures();
    const every = Math.max(1, Math.ceil(rows.length / mostRows));
    replace(listed, every > 1 && h("p", { class: "quiet" }, `One of ${every} of ${rows.length.toLocaleString("en")} points.`),
      table(`${now.title}, figures`, columns, rows.filter((_, n) => n % every === 0 || n === rows.length - 1), "No figures."));
    for (const frame of listed.querySelectorAll(".scroll")) frame.tabIndex = 0;  // at once: most of them are higher than their frame
  }

  const plot = {
    async draw() {
      const { init } = await import("../vendor/echarts.js");
      if (!place.isConnected || !place.clientWidth) return;
      plot.chart ??= begun(init(place), zoomed);
      const seen = colours();
      plot.chart.setOption({ animation: false, color: seen.lines, textStyle: { color: seen.ink, fontFamily: "inherit" }, ...now.option(seen), ...(zoomed && dragging) }, true);
      if (zoomed) plot.chart.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
    },
  };

  function update(given) {
    now = { ...now, ...given };
    place.ariaLabel = `${now.title}: ${now.words}`;
    note.textContent = now.words;
    if (plot.chart) plot.draw();
    list();
  }

  update({ title: typeof title === "string" ? title : title.textContent, words, option, figures });
  drawn.set(place, plot);
  seen.observe(place);
  sized.observe(place);
  return Object.assign(made, { update });
}

// ECharts knows how to drag over a part only with its own button for it, which stands outside of what is seen.
const dragging = { toolbox: { top: -100, feature: { dataZoom: { yAxisIndex: "none" } } } };

function begun(chart, zoomed) {
  if (zoomed) {
    chart.on("datazoom", ({ batch }) => {
      const part = batch?.find((one) => Number.isFinite(one.startValue) && Number.isFinite(one.endValue));
      if (part) zoomed(part.startValue, part.endValue);
    });
  }
  return chart;
}

// Text in ECharts' own tooltip: drawn, never read as HTML.
export const tooltip = (seen, more = {}) => ({
  renderMode: "richText", confine: true, backgroundColor: seen.paper, borderColor: seen.line, textStyle: { color: seen.ink, fontSize: 12 },
  valueFormatter: (value) => number(value), ...more,
});

export const axis = (seen, more = {}) => ({
  axisLine: { lineStyle: { color: seen.quiet } }, axisLabel: { color: seen.quiet, hideOverlap: true }, nameTextStyle: { color: seen.quiet },
  splitLine: { lineStyle: { color: seen.line } }, ...more,
});
