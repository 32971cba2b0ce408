// A model: its versions, who moved them where and why, what they came from and what came of them.
import { badge, chips, facts, h, link, quiet, said, section, when } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { redrawn } from "../../parts/steady.js";
import { get, together } from "../../shell/api.js";
import { asked, to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { share } from "../deployment/share.js";
import { decisions, everything } from "./history.js";
import { lineage } from "./lineage.js";
import { timeline } from "./timeline.js";
import { version } from "./version.js";
import { versions } from "./versions.js";

const mostFacts = 1000;

export function build(main, { name, report }) {
  const path = `/api/v1/models/${encodeURIComponent(name)}`;

  async function show() {
    const [model, history, deployed] = await together(get(path), get(`${path}/history`, { page_size: mostFacts }), get("/api/v1/deployments", { page_size: 1000 }));
    if (model.error) throw model.error;
    const { versions: all } = model.value;
    const chosen = all.find((v) => v.version === asked().get("version")) ?? preferred(all);
    const known = history.value?.facts ?? [];
    const serving = deployed.value?.deployments.filter((d) => d.model === name) ?? [];
    redrawn(main, heading(name), about(model.value),
      section("Versions", {}, versions(model.value, chosen)),
      section("Stages over time", {}, timeline(all, known)),
      chosen && version(chosen, model.value),
      section("Deployments", {}, deployed.error ? quiet(`Not known: ${deployed.error.message}`) : serving.length ? serving.map(share) : quiet("No version of this model is deployed.")),
      chosen && section(`Lineage of ${chosen.version}`, { id: "lineage" }, lineage(`ModelVersion:${name}/${chosen.version}`)),
      section("Promotion decisions", {}, history.error ? quiet(`Not known: ${history.error.message}`) : decisions(known, name)),
      section("History", {}, everything(known, history.value?.next_page_token)));
    return name;
  }

  const again = calmly(show, report);
  const concerns = (event) => event.stream.startsWith("registry.model-") ? event.payload?.name === name || event.payload?.model === name || event.stream === `registry.model-${name}`
    : event.stream.startsWith("serving.") && event.payload?.model === name;
  return { show, happened: (event) => { if (concerns(event)) again(); } };
}

const heading = (name) => [h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.models(), "Models")), h("h1", {}, said(name))];

// What is looked at first: what is in production, else the newest.
const preferred = (all) => [...all].sort((a, b) => (b.stage === "STAGE_PRODUCTION") - (a.stage === "STAGE_PRODUCTION") || b.number - a.number)[0];

function about(model) {
  return h("div", { class: "lead" },
    model.description && h("p", {}, said(model.description)),
    facts([
      ["Author", said(model.author)], ["Created", when(model.created_at)], ["Changed", when(model.updated_at)],
      ["Learns", words(model.type, "MODEL_TYPE_").replace("unspecified", "")],
      ["Aliases", model.aliases.map((a) => h("span", { class: "alias" }, said(a.alias), " → ", link(to.model(model.name, a.version), a.version)))],
      ["Tags", chips(model.tags)],
    ]));
}
