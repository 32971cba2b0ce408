// One version with all that it holds.
import { badge, chips, facts, h, link, quiet, said, section, text, when } from "../../parts/dom.js";
import { bytes, number, plain, stageOf, short } from "../../parts/format.js";
import { files } from "../../parts/files.js";
import { pairs, table } from "../../parts/table.js";
import { to } from "../../shell/address.js";
import { versionActs } from "./acts.js";
import { readFrom } from "./versions.js";

export function version(v, model) {
  return section(`Version ${v.version}`, { id: "version", aside: badge(stageOf(v.stage)) },
    v.description && h("p", { class: "note" }, said(v.description)),
    facts([
      ["In this stage", [said(v.stage_by), v.stage_at && [" since ", when(v.stage_at)]]], ["Number", String(v.number)], ["Author", said(v.author)],
      ["Registered", when(v.created_at)], ["Run", v.run_id && link(to.run(v.run_id), short(v.run_id))],
      ["Datasets", readFrom(v.datasets)],
      ["Flavors", said([...new Set([v.flavor, ...Object.keys(v.flavors)])].filter(Boolean).join(", "))],
      ["Source", v.source && said(v.source)], ["Aliases", said(v.aliases.join(", "))], ["Tags", chips(v.tags)],
    ]),
    versionActs(v),
    h("h3", {}, "Approvals"), reviews(v),
    h("div", { class: "columns" },
      part("Metrics", pairs("Metrics", ["Metric", "Value"], Object.keys(v.metrics).sort().map((name) => [said(name), number(v.metrics[name])]), "None.")),
      part("Hyperparameters", pairs("Hyperparameters", ["Name", "Value"], Object.entries(v.hyperparameters ?? {}).map(([name, value]) => [said(name), text(plain(value))]), "None.")),
      part("Environment", environment(v.environment))),
    h("h3", {}, "Signature"), signature(v.signature),
    h("h3", {}, "Files"), files(v.artifacts.length ? v.artifacts : v.artifact ? [v.artifact] : [], "This version names files elsewhere, and holds none."));
}

const part = (title, ...content) => h("div", {}, h("h3", {}, title), content);

const reviews = (v) => table("Approvals", [{ head: "Reviewer", row: true }, { head: "Decision" }, { head: "Comment", prose: true }, { head: "When" }],
  v.reviews.map((r) => [said(r.reviewer), r.decision === "REVIEW_DECISION_APPROVED" ? badge("approved", "production") : badge("rejected", "bad"), said(r.comment), when(r.at)]),
  "Nobody has reviewed this version. Somebody other than its author can approve it.");

function signature(given) {
  if (!given?.inputs?.length) return quiet("None: this version cannot be served.");
  const row = (way) => (spec) => [way, said(spec.name), spec.datatype, `[${spec.shape.join(", ")}]`, said(spec.columns.join(", "))];
  return table("Signature", [{ head: "Way" }, { head: "Name", row: true }, { head: "Type" }, { head: "Shape" }, { head: "Columns", prose: true }],
    [...given.inputs.map(row("in")), ...given.outputs.map(row("out"))]);
}

const listed = (named) => Object.entries(named ?? {}).sort().map(([name, value]) => `${name} ${value}`).join(", ");

export function environment(given) {
  const packages = Object.entries(given?.packages ?? {}).sort();
  const known = given ? [["Python", given.python], ["Platform", said(given.platform)], ["Git commit", given.git_commit && [h("code", {}, said(given.git_commit)), given.git_dirty && " with uncommitted changes"]],
    ["Entry point", said(given.entry_point ?? "")], ["Source", given.source_digest && h("code", {}, short(given.source_digest))], ["Image", said(given.container_image ?? "")],
    ["Arguments", said((given.arguments ?? []).join(" "))], ["Seeds", said(listed(given.seeds))], ["Hardware", said(listed(given.hardware))], ["Cloned from", said(given.git_remote ?? "")]] : [];
  if (!known.some(([, value]) => typeof value === "string" ? value : value && value.textContent !== "") && !packages.length) return quiet("Not recorded.");
  return [facts(known), packages.length > 0 && h("details", {}, h("summary", {}, `${packages.length} packages`),
    pairs("Packages", ["Package", "Version"], packages.map(([name, of]) => [said(name), said(of)])))];
}
