// The curves of the compared runs over each other.
import { lastOf } from "../../parts/curves.js";
import { quiet } from "../../parts/dom.js";
import { runName } from "../../parts/format.js";
import { get } from "../../shell/api.js";

const mostRuns = 20;

export async function overlaid(report, curves) {
  const ids = report.columns.flatMap((column) => column.run_ids);
  const runs = await Promise.all(ids.slice(0, mostRuns).map((id) => get(`/api/v1/runs/${encodeURIComponent(id)}`, { without_points: true })));
  curves.show(runs.map((run) => ({ id: run.id, name: runName(run), last: lastOf(run) })));
  return [ids.length > mostRuns && quiet(`Those of the first ${mostRuns} runs of ${ids.length}.`), curves.element];
}
