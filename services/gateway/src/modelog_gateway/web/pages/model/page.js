// A model: its versions, who moved them where and why, what they came from and what came of them.
import { badge, chips, facts, h, link, quiet, said, section, when } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { latest } from "../../parts/latest.js";
import { redrawn } from "../../parts/steady.js";
import { get, together } from "../../shell/api.js";
import { asked, to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { share } from "../deployment/share.js";
import { modelActs } from "./acts.js";
import { card } from "./card.js";
import { changes } from "./changes.js";
import { decisions, everything } from "./history.js";
import { levels, levelsOf } from "./levels.js";
import { lineage } from "./lineage.js";
import { retirements, signatures } from "./signatures.js";
import { timeline } from "./timeline.js";
import { trial } from "./trial.js";
import { version } from "./version.js";
import { versions } from "./versions.js";

const mostFacts = 1000, mostChanges = 100;

export function build(main, { name, report }) {
  const path = `/api/v1/models/${encodeURIComponent(name)}`;

  const show = latest(async (awaited) => {
    const [model, history, deployed, asked_for, retired, sla, level] = await awaited(together(
      get(path), get(`${path}/history`, { page_size: mostFacts }), get("/api/v1/deployments", { page_size: 1000 }),
      get(`${path}/changes`, { page_size: mostChanges }), get("/api/v1/retirements", { model: name, page_size: 1000 }), get(`${path}/sla`), levelsOf(path)));
    if (model.error) throw model.error;
    const { versions: all } = model.value;
    const chosen = all.find((v) => v.version === asked().get("version")) ?? preferred(all);
    const known = history.value?.facts ?? [];
    const serving = deployed.value?.deployments.filter((d) => d.model === name) ?? [];
    redrawn(main, heading(name), about(model.value, sla.value),
      (level.error || level.value.levels.length > 0 || sla.value?.version > 0) && section("Service levels", {}, levels(level)),
      section("Versions", {}, versions(model.value, chosen)),
      section("Stages over time", {}, timeline(all, known)),
      chosen && version(chosen, model.value),
      chosen && section(`Trial of ${chosen.version}`, { id: "trial", wide: false }, trial(name, chosen.version)),
      section("Deployments", {}, deployed.error ? quiet(`Not known: ${deployed.error.message}`) : serving.length ? serving.map(share) : quiet("No version of this model is deployed.")),
      chosen && section(`Lineage of ${chosen.version}`, { id: "lineage" }, lineage(`ModelVersion:${name}/${chosen.version}`)),
      section("Change requests", {}, changes(asked_for)),
      section("Promotion decisions", {}, history.error ? quiet(`Not known: ${history.error.message}`) : decisions(known, name)),
      chosen && section(`Model card of ${chosen.version}`, { id: "card" }, card(name, chosen.version)),
      chosen && section(`Signatures of ${chosen.version}`, { id: "signatures", wide: false }, signatures(name, chosen.version)),
      section("Retirements", { wide: false }, retirements(retired)),
      section("History", {}, everything(known, history.value?.next_page_token)));
    return name;
  });

  const again = calmly(show, report);
  const concerns = (event) => event.stream.startsWith("registry.model-") ? [event.payload?.name, event.payload?.model, event.payload?.old_name].includes(name) || event.stream === `registry.model-${name}`
    : /^(serving\.(deployment|trial)|monitoring\.level)-/.test(event.stream) && event.payload?.model === name;
  return { show, happened: (event) => { if (concerns(event)) again(); } };
}

const heading = (name) => [h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.models(), "Models")), h("h1", {}, said(name))];

// What is looked at first: what is in production, else the newest.
const preferred = (all) => [...all].sort((a, b) => (b.stage === "STAGE_PRODUCTION") - (a.stage === "STAGE_PRODUCTION") || b.number - a.number)[0];

// "half of all in 20 ms, 99 of 100 in 50 ms, 99.9 % of the time"
const promised = (targets) => targets && [
  targets.latency_p50_ms !== undefined && `half of all in ${targets.latency_p50_ms} ms`, targets.latency_p99_ms !== undefined && `99 of 100 in ${targets.latency_p99_ms} ms`,
  targets.availability_percent !== undefined && `${targets.availability_percent} % of the time`, targets.freshness_hours !== undefined && `data not older than ${targets.freshness_hours} h`,
].filter(Boolean).join(", ");

function about(model, sla) {
  return h("div", { class: "lead" },
    model.description && h("p", { class: "note" }, said(model.description)),
    facts([
      ["Author", said(model.author)], ["Created", when(model.created_at)], ["Changed", when(model.updated_at)],
      ["Learns", words(model.type, "MODEL_TYPE_").replace("unspecified", "")],
      ["Aliases", model.aliases.map((a) => h("span", { class: "alias" }, said(a.alias), " → ", link(to.model(model.name, a.version), a.version)))],
      ["Promised", promised(sla?.targets)], ["Tags", chips(model.tags)],
    ]),
    modelActs(model));
}
