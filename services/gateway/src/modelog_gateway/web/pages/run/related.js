// What a run stands in connection with: data, models, runs within it.
import { badge, h, link, quiet, said } from "../../parts/dom.js";
import { count, lasted, number, runName, short, stageOf, statusOf } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { to } from "../../shell/address.js";

export function datasets(run) {
  const rows = [
    ...run.datasets.map((d) => [link(to.dataset(d.dataset, d.version), said(d.dataset), ` ${d.version}`), h("code", {}, d.digest.slice(0, 12)), "registered here"]),
    ...run.inputs.map((d) => [said(d.name), h("code", {}, d.digest.slice(0, 12)), said([d.source_type, d.tags["mlflow.data.context"]].filter(Boolean).join(", "))]),
  ];
  return table("Datasets", [{ head: "Dataset", row: true }, { head: "Digest" }, { head: "From" }], rows, "None were recorded.");
}

export function models(run, made) {
  const registered = (made.value?.versions ?? []).map((v) => [link(to.model(v.model, v.version), said(v.model), ` ${v.version}`), badge(stageOf(v.stage)), "registered"]);
  const logged = [...run.model_outputs.map((m) => [h("code", {}, short(m.model_id)), `step ${m.step}`, "made"]), ...run.model_inputs.map((m) => [h("code", {}, short(m.model_id)), "", "read"])];
  return [
    table("Models", [{ head: "Model", row: true }, { head: "Stage" }, { head: "How" }], [...registered, ...logged], "No model came of it."),
    made.error && quiet(`Registered versions are not known: ${made.error.message}`),
  ];
}

export function children(nested) {
  if (nested.error) return quiet(`Not known: ${nested.error.message}`);
  const { runs, next_page_token: more } = nested.value;
  return [
    table("Nested runs", [{ head: "Run", row: true }, { head: "Status" }, { head: "Took" }, { head: "Metrics" }],
      runs.map((run) => [link(to.run(run.id), said(runName(run))), badge(statusOf(run.status)), lasted(run), said(some(run.metrics))]), "None."),
    more && quiet(`The newest ${count(runs.length, "run")}.`),
  ];
}

const some = (metrics) => Object.entries(metrics).slice(0, 3).map(([name, value]) => `${name} ${number(value)}`).join(", ");
