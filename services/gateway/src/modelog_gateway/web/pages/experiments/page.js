// The list of experiments, with search.
import { badge, chips, choice, field, h, link, oneOf, quiet, replace, said, section, when } from "../../parts/dom.js";
import { latest, newly } from "../../parts/latest.js";
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

  const asIn = (query) => ({ text: query.get("text") ?? "", order: oneOf(orders, query.get("order")), view: oneOf(views, query.get("view")) });

  const fill = newly((query) => {
    const wanted = asIn(query);
    text.value = wanted.text;
    order.value = wanted.order;
    view.value = wanted.view;
  });

  const show = latest(async (awaited) => {
    const query = asked(), wanted = asIn(query);
    fill(query);
    replace(place, within(to.experiments));
    const { experiments, next_page_token: next } = await awaited(search("/api/v1/experiments/search", {
      conditions: wanted.text ? [{ field: "FIELD_ATTRIBUTE", key: "name", comparison: "COMPARISON_ILIKE", text: `%${wanted.text}%` }] : [],
      order_by: wanted.order ? [{ field: "FIELD_ATTRIBUTE", key: wanted.order, descending: true }] : [],
      view: wanted.view || "VIEW_ACTIVE", workspace: query.get("workspace") ?? "", project: query.get("project") ?? "", page: { size: pageSize, token: query.get("page") ?? "" },
    }));
    const columns = [{ head: "Experiment", row: true }, { head: "Tags" }, { head: "Author" }, { head: "Created" }, { head: "Changed" }];
    replace(found, experiments.length ? table("Experiments", columns, experiments.map(line)) : wanted.text || wanted.view ? quiet("No experiment is like that.") : started(), pager(next, { report, show }));
    return "Experiments";
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream.startsWith("registry.experiment-")) again(); } };
}

const line = (experiment) => [
  [link(to.experiment(experiment.id), said(experiment.name)), experiment.deleted_at && [" ", badge("deleted", "archived")],
    experiment.description && h("div", { class: "quiet clamp" }, said(experiment.description))],
  chips(experiment.tags), said(experiment.author), when(experiment.created_at), when(experiment.updated_at),
];
