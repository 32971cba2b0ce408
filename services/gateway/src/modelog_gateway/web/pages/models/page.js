// The list of models, with search.
import { badge, chips, choice, field, h, link, oneOf, quiet, replace, said, section, when } from "../../parts/dom.js";
import { count, stageOf, words } from "../../parts/format.js";
import { latest, newly } from "../../parts/latest.js";
import { pager } from "../../parts/pager.js";
import { table } from "../../parts/table.js";
import { search } from "../../shell/api.js";
import { asked, put, to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { Facets } from "./facets.js";
import { within } from "../../parts/places.js";

const pageSize = 50, mostValues = 12;
const stages = [["", "any"], ["production", "production"], ["staging", "staging"], ["development", "development"], ["archived", "archived"]];

export function build(main, { report }) {
  const text = h("input", { type: "search", name: "text", placeholder: "part of the name" });
  const words = h("input", { type: "search", name: "words", placeholder: "words of names, descriptions, tags" });
  const tag = h("input", { type: "search", name: "tag", placeholder: "team=air" });
  const stage = choice(stages, "", () => change());
  const form = h("form", { class: "toolbar", role: "search", "aria-label": "Models", onsubmit: (event) => { event.preventDefault(); change(); } },
    field("Words", words), field("Name", text), field("Stage of a version", stage), field("Tag", tag), h("button", {}, "Search"));
  const facets = new Facets((fields) => narrow(fields));
  const found = h("div");
  const place = h("div");
  replace(main, h("h1", {}, "Models"), section("Search", { id: "s-models" }, form, place, facets.element, found));

  const change = () => narrow({ words: words.value.trim(), text: text.value.trim(), stage: stage.value, tag: tag.value.trim() });

  function narrow(fields) {
    put({ ...fields, page: "" });
    show().catch(report);
  }

  function conditions(query) {
    const wanted = [];
    const by = (field, key, comparison, value) => wanted.push({ field: `FIELD_${field}`, key, comparison: `COMPARISON_${comparison}`, text: value });
    if (query.get("text")) by("ATTRIBUTE", "name", "ILIKE", `%${query.get("text")}%`);
    for (const name of ["stage", "flavor", "type"]) if (query.get(name)) by("ATTRIBUTE", name, "EQUAL", query.get(name));
    const [, name, value] = (query.get("tag") ?? "").match(/^([^=]+?)\s*(?:=\s*(.*))?$/) ?? [];
    if (name) value === undefined ? wanted.push({ field: "FIELD_TAG", key: name, comparison: "COMPARISON_IS_NOT_NULL" }) : by("TAG", name, "EQUAL", value);
    return wanted;
  }

  const fill = newly((query) => {
    words.value = query.get("words") ?? "";
    text.value = query.get("text") ?? "";
    tag.value = query.get("tag") ?? "";
    stage.value = oneOf(stages, query.get("stage"));
  });

  const show = latest(async (awaited) => {
    const query = asked();
    fill(query);
    facets.press(query);
    const wanted = conditions(query);
    replace(place, within(to.models));
    const among = { text: query.get("words") ?? "", workspace: query.get("workspace") ?? "", project: query.get("project") ?? "" };
    const [{ models, next_page_token: next }, counted] = await awaited(Promise.all([
      search("/api/v1/models/search", { conditions: wanted, ...among, page: { size: pageSize, token: query.get("page") ?? "" } }),
      search("/api/v1/models/count", { conditions: wanted, ...among, values: mostValues }),
    ]));
    facets.show(counted.facets, query);
    const none = wanted.length || among.text ? "No model is like that. Search for less, or for another moment."
      : ["No model is registered yet. ", h("code", {}, "modelog model create NAME"), " makes one, and so does MLflow's client."];
    replace(found, models.length ? table("Models", [{ head: "Model", row: true }, { head: "Versions" }, { head: "Latest" }, { head: "Aliases" }, { head: "Tags" }, { head: "Author" }, { head: "Changed" }], models.map(line))
      : quiet(none), pager(next, { report, show }));
    return "Models";
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream.startsWith("registry.model-")) again(); } };
}

function line(model) {
  const latest = model.versions.reduce((a, b) => (a?.number > b.number ? a : b), undefined);
  const stagesOf = [...new Set(model.versions.map((v) => v.stage))].map(stageOf);
  return [
    [link(to.model(model.name), said(model.name)), model.description && h("div", { class: "quiet clamp" }, said(model.description))],
    [count(model.versions.length, "version"), " ", ["production", "staging"].filter((s) => stagesOf.includes(s)).map((s) => badge(s))],
    latest && link(to.model(model.name, latest.version), latest.version),
    model.aliases.map((a) => h("div", {}, said(a.alias), " → ", link(to.model(model.name, a.version), a.version))),
    chips(model.tags), said(model.author), when(model.updated_at ?? model.created_at),
  ];
}
