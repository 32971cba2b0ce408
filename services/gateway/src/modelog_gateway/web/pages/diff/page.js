// Two runs side by side: parameters, metrics, tags, datasets, environment and code, and their curves over each other.
import { badge, check, field, h, link, quiet, replace, said, section, text } from "../../parts/dom.js";
import { Curves, lastOf } from "../../parts/curves.js";
import { lasted, number, plain, runName, statusOf } from "../../parts/format.js";
import { latest, newly } from "../../parts/latest.js";
import { redrawn } from "../../parts/steady.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";
import { asked, put, to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";

const code = ["git commit", "uncommitted changes", "entry point", "source", "arguments", "uncommitted diff", "cloned from"];

export function build(main, { report }) {
  const curves = new Curves();
  const inputs = ["a", "b"].map((name) => h("input", { type: "text", name, required: true, spellcheck: false, placeholder: "a run's id" }));
  const form = h("form", { class: "toolbar", onsubmit: (event) => { event.preventDefault(); put({ a: inputs[0].value.trim(), b: inputs[1].value.trim() }); show().catch(report); } },
    field("First run", inputs[0], { class: "field grow" }), field("Second run", inputs[1], { class: "field grow" }), h("button", {}, "Compare"));
  const found = h("div", { class: "pages" });
  const crumbs = h("nav", { class: "crumbs", "aria-label": "Where this is" });
  replace(main, crumbs, h("h1", {}, "Difference of two runs"), section("Which", { id: "s-which" }, form), found);

  const fill = newly((query) => inputs.forEach((input) => { input.value = query.get(input.name) ?? ""; }));

  const show = latest(async (awaited) => {
    const query = asked(), ids = [query.get("a") ?? "", query.get("b") ?? ""];
    replace(crumbs, link(to.experiments(), "Experiments"));
    fill(query);
    if (ids.includes("")) return replace(found, section("Difference", {}, quiet("Give the ids of two runs, or choose two in an experiment's table."))) ?? "Difference";
    const everything = query.get("all") === "1";
    const [runs, compared] = await awaited(Promise.all([
      Promise.all(ids.map((id) => get(`/api/v1/runs/${encodeURIComponent(id)}`, { without_points: true }))),
      get("/api/v1/comparisons/runs", { runs: ids }),
    ]));
    const names = runs.map(runName);
    const tags = [...new Set(runs.flatMap((run) => Object.keys(run.tags)))].sort().map((name) => ({ name, values: runs.map((run) => run.tags[name] ?? ""), differs: runs[0].tags[name] !== runs[1].tags[name] }));
    const more = moreOf(runs);
    const part = (title, values, empty) => section(title, {}, sideBySide(title, names, values, everything, empty));
    curves.show(runs.map((run) => ({ id: run.id, name: runName(run), last: lastOf(run) })));
    redrawn(found,
      section("The runs", { aside: check("show what is equal too", everything, (on) => { put({ all: on ? "1" : "" }); show().catch(report); }) }, summary(runs)),
      section("Metrics", {}, metrics(compared.metrics, names, everything)),
      part("Parameters", compared.parameters, "Neither has parameters."),
      part("Tags", tags, "Neither has tags."),
      part("Datasets", compared.datasets, "Neither recorded a dataset."),
      part("Code", [...compared.environment.filter((v) => code.includes(v.name)), ...more.filter((v) => code.includes(v.name))], "Neither recorded its code."),
      part("Environment", [...compared.environment.filter((v) => !code.includes(v.name)), ...more.filter((v) => !code.includes(v.name))], "Neither recorded its environment."),
      section("Curves", {}, curves.element));
    return `${names[0]} and ${names[1]}`;
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if ([...asked().values()].some((id) => event.stream === `registry.run-${id}`)) again(); } };
}

// What two runs say of themselves and the comparison does not tell.
function moreOf(runs) {
  const told = runs.map(({ environment: e }) => e ? Object.fromEntries([
    ["arguments", e.arguments.join(" ")], ["uncommitted diff", e.git_diff], ["cloned from", e.git_remote], ["container image", e.container_image],
    ...Object.entries(e.seeds).map(([name, seed]) => [`seed ${name}`, seed]), ...Object.entries(e.hardware).map(([name, what]) => [`hardware ${name}`, what]),
  ].filter(([, value]) => value)) : {});
  return [...new Set(told.flatMap(Object.keys))].sort().map((name) => {
    const values = told.map((one) => one[name] ?? "");
    return { name, values, differs: values[0] !== values[1] };
  });
}

const summary = (runs) => table("The runs", [{ head: "Run", row: true }, { head: "Experiment" }, { head: "Status" }, { head: "Author" }, { head: "Took" }],
  runs.map((run) => [link(to.run(run.id), said(runName(run))), link(to.experiment(run.experiment_id), said(run.experiment)), badge(statusOf(run.status)), said(run.author), lasted(run)]));

function sideBySide(title, names, values, everything, empty) {
  if (!values.length) return quiet(empty);
  const shown = values.filter((one) => everything || one.differs), equal = values.length - shown.length;
  return [
    shown.length > 0 && table(title, [{ head: "Name", row: true }, ...names.map((name) => ({ head: said(name) }))],
      shown.map(({ name, values: [a, b], differs }) => [said(name), value(a, differs, "del"), value(b, differs, "ins")])),
    equal > 0 && quiet(same(equal, shown.length)),
  ];
}

const same = (equal, shown) => shown ? `${equal} more ${equal === 1 ? "is" : "are"} equal.` : `No difference; ${equal} ${equal === 1 ? "is" : "are"} equal.`;

const value = (given, differs, tag) => given === "" ? h("span", { class: "quiet" }, "–") : differs ? h(tag, {}, text(given)) : text(given);

function metrics(found, names, everything) {
  if (!found.length) return quiet("Neither logged a metric.");
  const rows = found.map((metric) => {
    const [a, b] = metric.columns.map((column) => column.mean), difference = metric.differences[0]?.estimate;
    return { name: metric.name, a, b, difference, differs: difference !== 0 };
  }).filter((row) => everything || row.differs);
  const equal = found.length - rows.length;
  const signed = (figure) => figure === undefined ? "" : `${Number(figure) > 0 ? "+" : ""}${number(figure)}`;
  return [
    rows.length > 0 && table("Metrics", [{ head: "Metric", row: true }, ...names.map((name) => ({ head: said(name), number: true })), { head: "Second less first", number: true }],
      rows.map((row) => [said(row.name), number(row.a), number(row.b), signed(row.difference)])),
    equal > 0 && quiet(same(equal, rows.length)),
  ];
}
