// The list of experiments, with search.
import { badge, chips, choice, field, h, link, quiet, replace, said, section, when } from "../../parts/dom.js";
import { pager } from "../../parts/pager.js";
import { table } from "../../parts/table.js";
import { search } from "../../shell/api.js";
import { asked, put, to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { within } from "../../parts/places.js";
import { started } from "./started.js";

const pageSize = 100;
const orders = [["", "name"], ["creation_time", "newest first"], ["last_update_time", "changed last"]];
const views = [["", "active"], ["VIEW_DELETED", "deleted"], ["VIEW_ALL", "all"]];

export function build(main, { report }) {
  const text = h("input", { type: "search", name: "text", placeholder: "part of the name" });
  const order = choice(orders, "", () => change());
  const view = choice(views, "", () => change());
  const form = h("form", { class: "toolbar", role: "search", "aria-label": "Experiments", onsubmit: (event) => { event.preventDefault(); change(); } },
    field("Name", text), field("Order", order), field("Which", view), h("button", {}, "Search"));
  const found = h("div");
  const place = h("div");
  replace(main, h("h1", {}, "Experiments"), section("Search", { id: "s-experiments" }, form, place, found));

  function change() {
    put({ text: text.value.trim(), order: order.value, view: view.value, page: "" });
    show().catch(report);
  }

  async function show() {
    const query = asked();
    text.value = query.get("text") ?? "";
    order.value = orders.some(([one]) => one === query.get("order")) ? query.get("order") : "";
    view.value = views.some(([one]) => one === query.get("view")) ? query.get("view") : "";
    replace(place, within(to.experiments));
    const { experiments, next_page_token: next } = await search("/api/v1/experiments/search", {
      conditions: text.value ? [{ field: "FIELD_ATTRIBUTE", key: "name", comparison: "COMPARISON_ILIKE", text: `%${text.value}%` }] : [],
      order_by: order.value ? [{ field: "FIELD_ATTRIBUTE", key: order.value, descending: true }] : [],
      view: view.value || "VIEW_ACTIVE", workspace: query.get("workspace") ?? "", project: query.get("project") ?? "", page: { size: pageSize, token: query.get("page") ?? "" },
    });
    const columns = [{ head: "Experiment", row: true }, { head: "Tags" }, { head: "Author" }, { head: "Created" }, { head: "Changed" }];
    replace(found, experiments.length ? table("Experiments", columns, experiments.map(line)) : text.value || view.value ? quiet("No experiment is like that.") : started(), pager(next, { report, show }));
    return "Experiments";
  }

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream.startsWith("registry.experiment-")) again(); } };
}

const line = (experiment) => [
  [link(to.experiment(experiment.id), said(experiment.name)), experiment.deleted_at && [" ", badge("deleted", "archived")],
    experiment.description && h("div", { class: "quiet clamp" }, said(experiment.description))],
  chips(experiment.tags), said(experiment.author), when(experiment.created_at), when(experiment.updated_at),
];
