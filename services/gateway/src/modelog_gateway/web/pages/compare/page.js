// A comparison of runs, of groups of repeated runs, or of model versions, with tests and intervals where there are enough.
import { Curves } from "../../parts/curves.js";
import { check, choice, field, h, link, oneOf, quiet, replace, section } from "../../parts/dom.js";
import { latest, newly } from "../../parts/latest.js";
import { redrawn } from "../../parts/steady.js";
import { get } from "../../shell/api.js";
import { asked, put, to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { benchmarks } from "./benchmarks.js";
import { overlaid } from "./curves.js";
import { columns, metrics, values } from "./tables.js";
import { metricPlots } from "./plots.js";

const designs = [["", "independent runs"], ["RUN_DESIGN_PAIRED", "paired: same seeds or folds"], ["RUN_DESIGN_RESAMPLED", "cross-validation"]];

const designOf = (query) => oneOf(designs, query.get("design"));

export function build(main, { report }) {
  const runs = h("textarea", { rows: 3, spellcheck: false, placeholder: "a line for each column: a run's id, or those of repeated runs joined by commas" });
  const versions = h("textarea", { rows: 3, spellcheck: false, placeholder: "a line for each: flight-delay/1.0.0" });
  const lines = (text) => text.value.split("\n").map((line) => line.replaceAll(/\s*,\s*/g, ",").trim()).filter(Boolean);
  const design = choice(designs, "", () => change());
  const share = h("input", { type: "number", min: "0.01", max: "0.99", step: "0.01", placeholder: "0.2", onchange: () => change() });
  const curves = new Curves();
  let ranks, compared = () => false;
  const test = h("div", { class: "toolbar" });
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); put({ run: lines(runs), version: lines(runs).length ? "" : lines(versions) }); show().catch(report); } },
    h("div", { class: "toolbar" }, field("Runs", runs, { class: "field grow" }), field("or model versions", versions, { class: "field grow" })), h("button", {}, "Compare"));
  const picked = h("details", {}, h("summary", {}, "Change it"), form);
  const columnsOf = h("div");
  const found = h("div", { class: "pages" });
  replace(main, h("h1", {}, "Comparison"), section("What is compared", { id: "s-which" }, columnsOf, picked), found);

  function change() {
    put({ design: design.value, share: design.value === "RUN_DESIGN_RESAMPLED" ? share.value || "0.2" : "", ranks: ranks?.querySelector("input").checked ? "1" : "" });
    show().catch(report);
  }

  function tests(query) {
    design.value = designOf(query);
    share.value = query.get("share") ?? "";
    ranks = check("tests by ranks", query.get("ranks") === "1", change);
    replace(test, field("The n-th runs are", design), design.value === "RUN_DESIGN_RESAMPLED" && field("Share held out", share), ranks);
  }

  const fill = newly((query) => {
    runs.value = query.getAll("run").join("\n");
    versions.value = query.getAll("version").join("\n");
    tests(query);
  });

  // What is compared as it is now; the form stays as somebody has it.
  const show = latest(async (awaited) => {
    const query = asked(), ofRuns = query.getAll("run"), ofVersions = query.getAll("version");
    fill(query);
    if (ofRuns.length < 2 && ofVersions.length < 2) {
      compared = () => false;
      picked.open = true;
      replace(found);
      replace(columnsOf, quiet("Choose two or more: in an ", link(to.experiments(), "experiment's table"), ", on a ", link(to.models(), "model's page"), ", or here."));
      return "Comparison";
    }
    const isRuns = ofRuns.length > 1, how = designOf(query);
    const answer = await awaited(isRuns
      ? get("/api/v1/comparisons/runs", { runs: ofRuns, design: how, ranks: query.get("ranks") === "1" ? "true" : "", test_share: how === "RUN_DESIGN_RESAMPLED" ? query.get("share") ?? "" : "" })
      : get("/api/v1/comparisons/versions", { versions: ofVersions }));
    const more = await awaited(isRuns ? overlaid(answer, curves) : benchmarks(ofVersions));
    compared = concerning(isRuns ? answer.columns.flatMap((column) => column.run_ids) : [], isRuns ? [] : ofVersions);
    const repeated = answer.columns.some((column) => column.run_ids.length > 1);
    redrawn(columnsOf, columns(answer, isRuns ? [] : ofVersions), isRuns && repeated && test);
    redrawn(found,
      section("Metrics", {}, metrics(answer)),
      section("Intervals and means", {}, metricPlots(answer)),
      section(isRuns ? "Curves" : "Last benchmarks", {}, more),
      section("Parameters", {}, values("Parameters", answer, answer.parameters)),
      section("Datasets", {}, values("Datasets", answer, answer.datasets)),
      section("Environment", {}, values("Environment", answer, answer.environment)));
    return answer.columns.map((column) => column.name).slice(0, 3).join(", ");
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (compared(event)) again(); } };
}

// Whether an event is about one of these runs, or about the model of one of these versions.
function concerning(runs, versions) {
  const streams = new Set(runs.map((id) => `registry.run-${id}`)), models = new Set(versions.map((one) => one.slice(0, one.lastIndexOf("/"))));
  return ({ stream, payload }) => streams.has(stream) || (stream.startsWith("registry.model-") && (models.has(payload?.model) || models.has(payload?.name)));
}
