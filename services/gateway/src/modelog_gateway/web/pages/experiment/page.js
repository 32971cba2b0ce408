// An experiment: its runs as a table with the columns that somebody picks, or as parallel coordinates.
import { badge, chips, choice, facts, field, h, link, quiet, replace, said, section, when } from "../../parts/dom.js";
import { latest, newly } from "../../parts/latest.js";
import { pager } from "../../parts/pager.js";
import { redrawn } from "../../parts/steady.js";
import { get, search } from "../../shell/api.js";
import { asked, put, to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { started } from "../experiments/started.js";
import { experimentActs } from "./acts.js";
import { chosen, keep, partsOf, picker } from "./columns.js";
import { BadFilter, conditions } from "./filter.js";
import { Parallel } from "./parallel.js";
import { Runs } from "./runs.js";

const sizes = ["25", "50", "100", "500"];
const usual = "50";
const mostLines = 1000;  // runs in parallel coordinates

export function build(main, { id, report }) {
  let experiment, found = [], next = "";
  const runs = new Runs({ sort });
  const parallel = new Parallel();
  const filter = h("input", { type: "search", name: "filter", id: "filter", spellcheck: false, placeholder: "metric.auc > 0.7 and parameter.depth = 6", "aria-describedby": "filter-help" });
  const words = h("input", { type: "search", name: "words", placeholder: "words of names, tags, parameters" });
  const wrong = h("p", { class: "wrong", role: "alert", hidden: true });
  const picking = h("div", { class: "picker" });
  const ways = h("div", { class: "tabs", role: "group", "aria-label": "Show the runs as" });
  const deleted = h("input", { type: "checkbox", onchange: () => change({ which: deleted.checked ? "all" : "" }) });
  const size = choice(sizes.map((one) => [one, one]), usual, () => change({ size: size.value === usual ? "" : size.value }));
  const listed = h("div");
  const head = h("div", { class: "wide" });
  const form = h("form", { class: "toolbar", role: "search", "aria-label": "Runs", onsubmit: (event) => { event.preventDefault(); change({ filter: filter.value.trim(), words: words.value.trim() }); } },
    field("Words", words), field("Filter", filter, { class: "field grow" }), h("button", {}, "Search"), field("Rows", size), h("label", { class: "check" }, deleted, " deleted too"));
  replace(main, head, section("Runs", { aside: ways }, form, wrong,
    h("p", { class: "quiet help", id: "filter-help" }, "In the filter, words alone look for a run by its name. Comparisons: = != < <= > >= like ilike in (…) is null; joined by and."),
    h("details", { class: "columns-of" }, h("summary", {}, "Columns"), picking), listed));

  const shown = () => chosen(experiment.id, found);

  function change(fields) {
    put({ ...fields, page: "" });
    show().catch(report);
  }

  function sort(column) {
    const query = asked();
    const descending = query.get("order") === column ? query.get("descending") !== "1" : column.startsWith("metric.");
    change({ order: column, descending: descending ? "1" : "" });
  }

  function columnsAre(columns) {
    keep(experiment.id, columns);
    draw();
  }

  async function theExperiment() {
    if (id !== "0") return get(`/api/v1/experiments/by-id/${encodeURIComponent(id)}`);
    return get("/api/v1/experiments/Default");  // what MLflow calls it
  }

  const rowsOf = (query) => /^[1-9]\d{0,2}$/.test(query.get("size") ?? "") ? query.get("size") : usual;

  const fill = newly((query) => {
    const rows = rowsOf(query);
    filter.value = query.get("filter") ?? "";
    words.value = query.get("words") ?? "";
    if (!sizes.includes(rows)) size.append(h("option", { value: rows }, rows));
    size.value = rows;
    deleted.checked = query.get("which") === "all";
  });

  const show = latest(async (awaited) => {
    const query = asked(), inParallel = query.get("view") === "parallel";
    fill(query);
    experiment = await awaited(theExperiment());
    redrawn(head, h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.experiments(), "Experiments")), h("h1", {}, said(experiment.name)), about(experiment));
    let wanted;
    try {
      wanted = conditions(query.get("filter") ?? "");
      wrong.hidden = true;
      filter.removeAttribute("aria-invalid");
    } catch (error) {
      if (!(error instanceof BadFilter)) throw error;
      wrong.hidden = false;
      wrong.textContent = error.message;
      filter.setAttribute("aria-invalid", "true");
      return experiment.name;
    }
    const order = query.get("order"), [kind, key] = order ? partsOf(order) : [];
    const asked_for = {
      experiment_ids: [experiment.id], conditions: wanted, text: query.get("words") ?? "", view: query.get("which") === "all" ? "VIEW_ALL" : "VIEW_ACTIVE",
      order_by: order ? [{ field: `FIELD_${kind.toUpperCase()}`, key, descending: query.get("descending") === "1" }] : [],
      page: { size: inParallel ? mostLines : rowsOf(query), token: query.get("page") ?? "" },
    };
    ({ runs: found, next_page_token: next } = await awaited(search("/api/v1/runs/search", asked_for)));
    draw();
    return experiment.name;
  });

  function draw() {
    const query = asked(), inParallel = query.get("view") === "parallel", columns = shown();
    replace(ways, [["", "Table"], ["parallel", "Parallel coordinates"]].map(([view, label]) =>
      h("button", { type: "button", "aria-pressed": String((view === "parallel") === inParallel), onclick: () => change({ view }) }, label)));
    replace(picking, picker(found, columns, columnsAre));
    const none = query.get("words") ? quiet("No run has these words and meets the filter.") : query.get("filter") ? quiet("No run meets the filter.") : started();
    replace(listed, !found.length ? none : inParallel ? parallel.show(found, columns, Boolean(next)) : runs.show(found, columns, experiment.name), !inParallel && pager(next, { report, show }));
  }

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream.startsWith("registry.run-") && !listed.contains(document.activeElement)) again(); } };
}

function about(experiment) {
  return h("div", { class: "lead" }, experiment.description && h("p", { class: "note" }, said(experiment.description)),
    facts([["Author", said(experiment.author)], ["Created", when(experiment.created_at)], ["State", experiment.deleted_at && badge("deleted", "archived")],
      ["Id", h("code", {}, experiment.id)], ["Tags", chips(experiment.tags)]]),
    experimentActs(experiment));
}
