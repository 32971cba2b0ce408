// The tables of a comparison.
import { h, link, quiet, said, text } from "../../parts/dom.js";
import { bytes, duration, number, plain, short } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { to } from "../../shell/address.js";

export function columns(report, versions) {
  return table("What is compared", [{ head: "Column", row: true }, { head: "Runs" }, { head: "Size of files", number: true }, { head: "Took", number: true }],
    report.columns.map((column, n) => [
      versions[n] ? link(to.model(...versions[n].split("/")), said(column.name)) : said(column.name),
      column.run_ids.map((id, k) => [k > 0 && ", ", link(to.run(id), short(id))]),
      bytes(Math.round(column.size_bytes)), column.duration_s === undefined ? "" : duration(column.duration_s),
    ]), "Nothing.");
}

const summary = ({ runs, mean, sd }) => mean === undefined ? "" : [number(mean), sd !== undefined && h("span", { class: "quiet" }, ` ± ${number(sd)} (${runs})`)];
const signed = (figure) => `${Number(figure) > 0 ? "+" : ""}${number(figure)}`;

function difference(found) {
  if (!found) return "";
  const significant = found.corrected_p !== undefined && Number(found.corrected_p) < 0.05;
  return [
    h(significant ? "strong" : "span", {}, signed(found.estimate), significant && " *"),
    found.low !== undefined && h("div", { class: "quiet" }, `${signed(found.low)} to ${signed(found.high)}`),
    found.corrected_p !== undefined && h("div", { class: "quiet" }, `p ${pValue(found.corrected_p)}, ${found.method}`),
    found.effect !== undefined && h("div", { class: "quiet" }, `Hedges' g ${number(found.effect)}`),
  ];
}

const pValue = (p) => Number(p) < 0.001 ? "< 0.001" : Number(p).toFixed(3);

export function metrics(report) {
  if (!report.metrics.length) return quiet("None of them has a metric.");
  const others = report.columns.slice(1);
  const heads = [{ head: "Metric", row: true }, ...report.columns.map((column) => ({ head: said(column.name), number: true })), ...others.map((column) => ({ head: h("span", {}, said(column.name), " less first"), number: true }))];
  const rows = report.metrics.map((metric) => [said(metric.name), ...metric.columns.map(summary), ...others.map((column) => difference(metric.differences.find((d) => d.column === column.column)))]);
  const sentences = report.metrics.flatMap((metric) => metric.differences.map((d) => d.p_value !== undefined && d.sentence)).filter(Boolean);
  return [
    table("Metrics", heads, rows),
    sentences.length > 0 ? h("details", {}, h("summary", {}, "The tests in words"), h("ul", {}, sentences.map((sentence) => h("li", {}, said(sentence)))))
      : quiet("No test: three repeated runs or more are needed on each side. Name them in one line, joined by commas."),
    sentences.length > 0 && quiet("* significant at 5 %, after Holm's correction for all tests of this page. Intervals are at 95 %."),
  ];
}

export function values(title, report, found) {
  if (!found.length) return quiet("None were recorded.");
  const shown = [...found].sort((a, b) => b.differs - a.differs), equal = found.filter((one) => !one.differs);
  const of = (some) => table(title, [{ head: "Name", row: true }, ...report.columns.map((column) => ({ head: said(column.name) }))], some.map((one) => [said(one.name), ...one.values.map((value) => text(value))]));
  const differing = shown.filter((one) => one.differs);
  return [differing.length ? of(differing) : quiet("No difference."), equal.length > 0 && h("details", {}, h("summary", {}, `${equal.length} that are equal`), of(equal))];
}
