// The last value of every metric of a run.
import { said, when } from "../../parts/dom.js";
import { number } from "../../parts/format.js";
import { table } from "../../parts/table.js";

export function metricsTable(run) {
  const points = [...run.last_points].sort((a, b) => (a.name < b.name ? -1 : 1));
  return table("Metrics", [{ head: "Metric", row: true }, { head: "Last", number: true }, { head: "Step", number: true }, { head: "When" }],
    points.map((p) => [said(p.name), number(p.value), p.step, when(p.at)]), "None were logged.");
}
