// The versions of a model, of which some can be chosen to be compared.
import { badge, h, link, said, when } from "../../parts/dom.js";
import { number, stageOf, short } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { to } from "../../shell/address.js";

const mostMetrics = 3;

export function versions(model, chosen) {
  const all = [...model.versions].sort((a, b) => b.number - a.number);
  if (!all.length) return h("p", { class: "quiet" }, "No version is registered. ", h("code", {}, `modelog model register`), " and a training job's ", h("code", {}, "save_model"), " make one.");
  const metrics = commonest(all);
  const picked = new Set();
  const button = h("button", { type: "button", disabled: true, onclick: () => location.assign(to.compareVersions([...picked].map((v) => `${model.name}/${v}`))) }, "Compare the chosen versions");
  const pick = (v) => h("input", { type: "checkbox", "aria-label": `Choose ${v.version}`, onchange: (event) => {
    event.target.checked ? picked.add(v.version) : picked.delete(v.version);
    button.disabled = picked.size < 2;
  } });
  const columns = [{ head: h("span", { class: "unseen" }, "Chosen") }, { head: "Version", row: true }, { head: "Stage" }, { head: "Aliases" },
    ...metrics.map((head) => ({ head: said(head), number: true })), { head: "Author" }, { head: "Approved by" }, { head: "Run" }, { head: "Datasets" }, { head: "Registered" }];
  const rows = all.map((v) => [
    pick(v), h("a", { href: to.model(model.name, v.version), "aria-current": v === chosen ? "true" : null, id: `version-${v.version}` }, v.version), badge(stageOf(v.stage)), said(v.aliases.join(", ")),
    ...metrics.map((name) => number(v.metrics[name])), said(v.author),
    said(v.reviews.filter((r) => r.decision === "REVIEW_DECISION_APPROVED").map((r) => r.reviewer).join(", ")),
    v.run_id && link(to.run(v.run_id), short(v.run_id)),
    readFrom(v.datasets),
    when(v.created_at),
  ]);
  return [table(`Versions of ${model.name}`, columns, rows), h("div", { class: "toolbar" }, button)];
}

// Datasets that a version was made of, each once with the versions of it that were read: "flights 1, 2, 3".
export function readFrom(datasets) {
  const versionsOf = new Map();
  for (const { dataset, version } of datasets) versionsOf.set(dataset, [...(versionsOf.get(dataset) ?? []), version]);
  return [...versionsOf].map(([name, read]) => h("div", { class: "read" }, read.map((version, n) =>
    [n ? ", " : "", link(to.dataset(name, version), n ? h("span", { class: "unseen" }, said(name), " ") : [said(name), " "], String(version))])));
}

function commonest(all) {
  const counted = new Map();
  for (const v of all) for (const name of Object.keys(v.metrics)) counted.set(name, (counted.get(name) ?? 0) + 1);
  return [...counted].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, mostMetrics).map(([name]) => name);
}
