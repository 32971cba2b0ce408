// The last benchmark of each version that is compared: quality with intervals, latency by size of batch, memory.
import { h, link, said } from "../../parts/dom.js";
import { number } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { to } from "../../shell/address.js";
import { search } from "../../shell/api.js";

const first = ["auc", "log_loss", "brier", "accuracy", "size_bytes", "memory_bytes", "load_s"];
const equal = (field, key, text) => ({ field: `FIELD_${field}`, key, comparison: "COMPARISON_EQUAL", text });

async function last(name) {
  const at = name.lastIndexOf("/");
  const conditions = [equal("TAG", "benchmark.model", name.slice(0, at)), equal("TAG", "benchmark.version", name.slice(at + 1)), equal("ATTRIBUTE", "status", "COMPLETED")];
  const { runs } = await search("/api/v1/runs/search", { conditions, order_by: [{ field: "FIELD_ATTRIBUTE", key: "start_time", descending: true }], page: { size: 1 } });
  return { name, run: runs[0] };
}

export async function benchmarks(versions) {
  const found = (await Promise.all(versions.map(last))).filter(({ run }) => run);
  const names = new Set(found.flatMap(({ run }) => Object.keys(run.metrics)).filter((name) => !/^(against|difference)\/|_(lower|upper|p)$/.test(name)));
  const ordered = [...first.filter((name) => names.has(name)), ...[...names].filter((name) => !first.includes(name)).sort((a, b) => a.localeCompare(b, "en", { numeric: true }))];
  const told = ({ run: { metrics } }, name) => metrics[name] === undefined ? "" : [number(metrics[name]),
    metrics[`${name}_lower`] !== undefined && h("div", { class: "quiet" }, `${number(metrics[`${name}_lower`])} to ${number(metrics[`${name}_upper`])}`)];
  const rows = ordered.map((name) => [said(name), ...found.map((one) => told(one, name))]);
  const measured = ["measured", ...found.map(({ run }) => [said(run.tags["benchmark.dataset"] ?? ""), " ", link(to.run(run.id), "run")])];
  return table("Last benchmarks", [{ head: "Figure", row: true }, ...found.map(({ name }) => ({ head: said(name), number: true }))], found.length ? [measured, ...rows] : [], "None of them was benchmarked: `modelog model benchmark` does.");
}
