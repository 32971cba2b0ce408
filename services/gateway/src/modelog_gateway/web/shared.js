// What a link shows to whoever has it. Its token stands behind the # of the address, which no server is told, and goes in a body.
import { facts, h, replace, said, section, when } from "./parts/dom.js";
import { pairs, table } from "./parts/table.js";

const main = document.getElementById("main");
const token = location.hash.slice(1);

const word = (value, prefix) => (value ?? "").replace(prefix, "").toLowerCase();
const values = (fields) => Object.entries(fields ?? {}).map(([name, value]) => [said(name), said(typeof value === "object" ? JSON.stringify(value) : value)]);

function experiment(one, runs) {
  const rows = runs.map((run) => [said(run.name), word(run.status, "RUN_STATUS_"), said(run.author), when(run.started_at),
    said(Object.entries(run.metrics ?? {}).map(([name, value]) => `${name} ${value}`).join(", "))]);
  return [h("h1", {}, said(one.name)), one.description && h("p", {}, said(one.description)),
    section("Runs", {}, table("Runs", [{ head: "Run", row: true }, { head: "Status" }, { head: "Author" }, { head: "Started" }, { head: "Metrics" }], rows, "No run was logged."))];
}

const run = (one) => [h("h1", {}, said(one.name || one.id)),
  section("Run", {}, facts([["Experiment", said(one.experiment)], ["Status", word(one.status, "RUN_STATUS_")], ["Author", said(one.author)], ["Started", when(one.started_at)], ["Ended", when(one.ended_at)]])),
  section("Metrics", {}, pairs("Metrics", ["Metric", "Last value"], values(one.metrics), "None.")),
  section("Parameters", {}, pairs("Parameters", ["Parameter", "Value"], values(one.parameters), "None.")),
  section("Tags", {}, pairs("Tags", ["Tag", "Value"], values(one.tags), "None."))];

const version = (one) => [h("h1", {}, said(`${one.model} ${one.version}`)), one.description && h("p", {}, said(one.description)),
  section("Version", {}, facts([["Stage", word(one.stage, "STAGE_")], ["Author", said(one.author)], ["Flavor", said(one.flavor)], ["Registered", when(one.created_at)], ["Aliases", said((one.aliases ?? []).join(", "))]])),
  section("Metrics", {}, pairs("Metrics", ["Metric", "Value"], values(one.metrics), "None.")),
  section("Reviews", {}, table("Reviews", [{ head: "Reviewer", row: true }, { head: "Decision" }, { head: "Comment", prose: true }, { head: "When" }],
    (one.reviews ?? []).map((review) => [said(review.reviewer), word(review.decision, "REVIEW_DECISION_"), said(review.comment), when(review.at)]), "None."))];

async function open() {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/api/v1/links/open", { method: "POST", headers, body: JSON.stringify({ token }) }).catch(() => null);
  const told = answer ? await answer.json().catch(() => ({})) : {};
  if (!answer?.ok) throw new Error(told.detail ?? "The platform does not answer. Load this page again.");
  const shown = told.experiment ? experiment(told.experiment, told.runs ?? []) : told.run ? run(told.run) : version(told.version);
  replace(main, shown, h("p", { class: "quiet" }, "Shared by ", said(told.by), ", until ", when(told.expires_at), "."));
}

open().catch((error) => {
  const trouble = document.getElementById("trouble");
  trouble.hidden = false;
  trouble.textContent = error.message;
}).finally(() => { main.ariaBusy = "false"; });
addEventListener("hashchange", () => location.reload());
