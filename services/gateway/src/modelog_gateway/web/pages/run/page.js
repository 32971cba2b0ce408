// A run: its curves while it logs and afterwards, what it was given, what it read, made and kept.
import { badge, facts, h, link, quiet, replace, said, section, text, when } from "../../parts/dom.js";
import { Curves, lastOf, noCurves } from "../../parts/curves.js";
import { files } from "../../parts/files.js";
import { lasted, plain, runName, short, statusOf } from "../../parts/format.js";
import { latest } from "../../parts/latest.js";
import { redrawn } from "../../parts/steady.js";
import { pairs } from "../../parts/table.js";
import { get, search, together } from "../../shell/api.js";
import { to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { environment } from "../model/version.js";
import { note, runActs } from "./acts.js";
import { metricsTable } from "./metrics.js";
import { children, datasets, models } from "./related.js";

export function build(main, { id, report }) {
  const curves = new Curves();
  const place = Object.fromEntries(["head", "metrics", "parameters", "tags", "files", "datasets", "models", "nested", "environment"].map((name) => [name, h("div")]));
  const noPoints = h("div");
  replace(main, place.head,
    section("Curves", {}, noPoints, curves.element),
    section("Metrics", { wide: false }, place.metrics), section("Parameters", { wide: false }, place.parameters),
    section("Files", {}, place.files),
    section("Datasets", { wide: false }, place.datasets), section("Models", { wide: false }, place.models),
    section("Nested runs", { wide: false }, place.nested), section("Tags", { wide: false }, place.tags),
    section("Environment", {}, place.environment));
  let shownFiles;

  const show = latest(async (awaited) => {
    const run = await awaited(get(`/api/v1/runs/${encodeURIComponent(id)}`, { without_points: true }));
    const [experiment, made, nested] = await awaited(together(
      get(`/api/v1/experiments/by-id/${encodeURIComponent(run.experiment_id)}`),
      search("/api/v1/versions/search", { conditions: [{ field: "FIELD_ATTRIBUTE", key: "run_id", comparison: "COMPARISON_EQUAL", text: id }] }),
      search("/api/v1/runs/search", { conditions: [{ field: "FIELD_ATTRIBUTE", key: "parent_run_id", comparison: "COMPARISON_EQUAL", text: id }], page: { size: 200 } })));
    redrawn(place.head, heading(run, experiment.value));
    replace(noPoints, run.last_points.length ? null : noCurves(run));
    curves.element.hidden = !run.last_points.length;
    curves.show([{ id, name: runName(run), last: lastOf(run) }]);
    replace(place.metrics, metricsTable(run));
    replace(place.parameters, pairs("Parameters", ["Name", "Value"], Object.keys(run.parameters ?? {}).sort().map((name) => [said(name), text(plain(run.parameters[name]))]), "None were given."));
    replace(place.tags, pairs("Tags", ["Name", "Value"], Object.keys(run.tags).filter((name) => name !== note).sort().map((name) => [said(name), text(run.tags[name])]), "None."));
    replace(place.datasets, datasets(run));
    replace(place.models, models(run, made));
    replace(place.nested, children(nested));
    replace(place.environment, environment(run.environment));
    const list = JSON.stringify(run.artifacts);
    if (list !== shownFiles) replace(place.files, files(run.artifacts, "No file was kept."));  // an open preview stays open
    shownFiles = list;
    return runName(run);
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream === `registry.run-${id}`) again(); } };
}

function heading(run, experiment) {
  const status = statusOf(run.status);
  return [
    h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.experiments(), "Experiments"), " / ", link(to.experiment(run.experiment_id), said(experiment?.name ?? run.experiment))),
    h("h1", {}, said(runName(run)), " ", badge(status), run.deleted_at && [" ", badge("deleted", "archived")]),
    run.error && h("div", { class: "failure" }, h("strong", {}, "It failed: "), h("pre", { tabIndex: 0, "aria-label": "Error" }, run.error)),
    h("div", { class: "lead" }, run.tags[note] && h("p", { class: "note" }, said(run.tags[note])),
      facts([
        ["Author", said(run.author)], ["Started", when(run.started_at)], ["Ended", when(run.ended_at)], ["Took", lasted(run)],
        ["Part of", run.parent_run_id && link(to.run(run.parent_run_id), short(run.parent_run_id))],
        ["Recorded", run.recorded_at && run.recorded_at !== run.started_at && when(run.recorded_at)], ["Id", h("code", {}, run.id)],
      ]),
      runActs(run)),
  ];
}
