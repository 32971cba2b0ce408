// The columns of the table of runs: which there are, which are shown, and the choosing of them.
import { badge, check, h, link, replace, said, when } from "../../parts/dom.js";
import { lasted, number, plain, runName, statusOf } from "../../parts/format.js";
import { asked, put, to } from "../../shell/address.js";

const fixed = { status: "Status", user: "Author", start_time: "Started", duration: "Took", dataset: "Datasets" };
const mostMetrics = 3, mostParameters = 4;
const groups = [["metric", "Metrics", "metrics"], ["parameter", "Parameters", "parameters"], ["tag", "Tags", "tags"]];

// "metric.auc" -> ["metric", "auc"]
export const partsOf = (column) => column.includes(".") ? [column.slice(0, column.indexOf(".")), column.slice(column.indexOf(".") + 1)] : ["attribute", column];

// All columns that these runs have something for.
export function known(runs) {
  const names = (field) => [...new Set(runs.flatMap((run) => Object.keys(run[field] ?? {})))].sort();
  return [...Object.keys(fixed), ...groups.flatMap(([kind, , field]) => names(field).map((name) => `${kind}.${name}`))];
}

const store = (experiment) => `modelog.columns.${experiment}`;

// Those of the address, else those chosen here before, else the most telling ones.
export function chosen(experiment, runs) {
  const inAddress = asked().getAll("column");
  if (inAddress.length) return inAddress;
  let before;
  try { before = JSON.parse(localStorage.getItem(store(experiment))); } catch { before = null; }
  if (Array.isArray(before) && before.length) return before.filter((column) => typeof column === "string");
  const all = known(runs), of = (kind) => all.filter((column) => column.startsWith(`${kind}.`));
  const differing = of("parameter").filter((column) => new Set(runs.map((run) => plain(value(run, column) ?? ""))).size > 1);
  return ["status", "start_time", "duration", ...of("metric").slice(0, mostMetrics), ...(differing.length ? differing : of("parameter")).slice(0, mostParameters)];
}

export function keep(experiment, columns, { replace: instead = false } = {}) {
  localStorage.setItem(store(experiment), JSON.stringify(columns));
  put({ column: columns }, { replace: instead });
}

// What a run has in a column, as it is.
export function value(run, column) {
  const [kind, name] = partsOf(column);
  switch (kind) {
    case "metric": return run.metrics[name];
    case "parameter": return run.parameters?.[name];
    case "tag": return run.tags[name];
    default: return { run_name: runName(run), status: statusOf(run.status), user: run.author, start_time: run.started_at, duration: lasted(run),
      dataset: [...run.datasets.map((d) => `${d.dataset} ${d.version}`), ...run.inputs.map((d) => d.name)].join(", ") }[name];
  }
}

export function cell(run, column) {
  const found = value(run, column);
  if (found === undefined || found === null || found === "") return "";
  if (column.startsWith("metric.")) return number(found);
  if (column === "status") return badge(found);
  if (column === "start_time") return when(found);
  return h("div", { class: "clamp" }, said(plain(found)));
}

export const isNumber = (column) => column.startsWith("metric.");
export const canSort = (column) => !["duration", "dataset"].includes(column);
export const label = (column) => fixed[column] ?? said(partsOf(column)[1]);
export const nameCell = (run) => [link(to.run(run.id), said(runName(run))), run.parent_run_id && h("span", { class: "quiet" }, " nested"), run.deleted_at && [" ", badge("deleted", "archived")]];

// The form that chooses: a box for each column, and a field for one that these runs do not show.
export function picker(runs, shown, changed) {
  const all = [...new Set([...known(runs), ...shown])];
  const box = (column) => check(label(column), shown.includes(column), (on) => changed(on ? [...shown, column] : shown.filter((one) => one !== column)));
  const boxes = (title, columns) => columns.length > 0 && h("fieldset", {}, h("legend", {}, title), columns.map(box));
  const other = h("input", { type: "text", "aria-label": "Another column", placeholder: "metric.auc, parameter.depth or tag.team" });
  const form = h("form", { class: "other", onsubmit: (event) => {
    event.preventDefault();
    const name = other.value.trim();
    if (/^(metric|parameter|tag)\../.test(name) && !shown.includes(name)) changed([...shown, name]);
    else other.setAttribute("aria-invalid", "true");
  } }, other, h("button", {}, "Add"));
  return [boxes("Run", Object.keys(fixed)), groups.map(([kind, title]) => boxes(title, all.filter((column) => column.startsWith(`${kind}.`)))), form];
}
