// The overview: what runs, what is in production, how good it is, and what happens.
import { h, link, replace, said, section, badge, quiet } from "../../parts/dom.js";
import { duration, number, stageOf, words } from "../../parts/format.js";
import { latest } from "../../parts/latest.js";
import { table } from "../../parts/table.js";
import { get, getNow, moment } from "../../shell/api.js";
import { to } from "../../shell/address.js";
import { Events } from "./events.js";
import { Quality } from "./quality.js";
import { share } from "../deployment/share.js";

const every_ms = 5000;

export function build(main, { report }) {
  const place = Object.fromEntries(["services", "models", "traffic", "challengers"].map((id) => [id, h("div", { id })]));
  const quality = new Quality(), events = new Events();
  replace(main,
    h("h1", { class: "unseen" }, "Overview"),
    section("Running", { id: "s-services", wide: false }, place.services),
    section("Models", { id: "s-models", wide: false }, place.models),
    section("Traffic", { id: "s-traffic" }, place.traffic),
    section("Challengers", { id: "s-challengers" }, place.challengers),
    section("Quality over time", { id: "s-quality" }, quality.element),
    events.element);

  const services = latest(async (awaited) => {
    if (moment.asOf) return replace(place.services, h("p", { class: "quiet", id: "no-services" }, "Which processes ran is not recorded: only the present knows it."));
    const { services: found } = await awaited(getNow("/api/v1/services"));
    replace(place.services, table("Running services", [{ head: "Service", row: true }, { head: "Health" }, { head: "Up", number: true }, { head: "Memory", number: true }, { head: "Position", number: true }],
      found.map(({ service, health, status }) => [
        service, badge(health, health === "serving" ? "serving" : "bad"),
        status ? duration(status.uptime_s) : "", status ? `${(status.memory_bytes / 1048576).toFixed(0)} MB` : "",
        status?.projections?.length ? Math.min(...status.projections.map((p) => p.position)) : "",
      ]), "No service is known."));
  });

  const models = latest(async (awaited) => {
    const { models: found } = await awaited(get("/api/v1/models"));
    replace(place.models, table("Models and versions", [{ head: "Version", row: true }, { head: "Stage" }, { head: "Author" }, { head: "Approved by" }, { head: "AUC", number: true }],
      found.flatMap((m) => m.versions.map((v) => {
        const auc = Object.entries(v.metrics).find(([name]) => name.toLowerCase().includes("auc"));
        const approved = v.reviews.filter((r) => r.decision === "REVIEW_DECISION_APPROVED").map((r) => r.reviewer);
        return [link(to.model(m.name, v.version), said(m.name), ` ${v.version}`), badge(stageOf(v.stage)), said(v.author), said(approved.join(", ")), auc ? number(auc[1]) : ""];
      })), "No version is registered yet."));
  });

  const traffic = latest(async (awaited) => {
    const { deployments } = await awaited(get("/api/v1/deployments"));
    replace(place.traffic, deployments.length ? deployments.map(share) : h("p", { class: "quiet", id: "no-traffic" }, "Nothing is deployed yet."));
  });

  const challengers = latest(async (awaited) => {
    const { retrainings } = await awaited(get("/api/v1/retrainings"));
    replace(place.challengers, table("Challengers", [{ head: "Challenger", row: true }, { head: "State" }, { head: "Against" }, { head: "AUC gain (95 %)", number: true }, { head: "Canary, gain in Brier score", number: true }, { head: "Why", prose: true }],
      retrainings.map((r) => {
        const c = r.canary ?? r.evaluation, look = r.latest_look;
        const gain = c && c.rows !== "0" ? `${c.auc_difference.toFixed(3)} (${c.auc_low.toFixed(3)} to ${c.auc_high.toFixed(3)})` : "";
        const seen = look ? `${look.gain.toFixed(4)} (${look.low.toFixed(4)} to ${look.high.toFixed(4)})` : "";
        return [link(to.retraining(r.id), r.challenger || "in training"), badge(words(r.state, "RETRAINING_STATE_")), r.champion, gain, seen, said(r.reason || c?.reason || "")];
      }), "No challenger was trained yet."));
  });

  const showQuality = latest((awaited) => quality.show(awaited));
  const parts = { registry: [models], serving: [traffic], monitoring: [challengers, showQuality] };
  const waiting = new Set();

  // Many events may come at once: ask again at most every half second, and only for what they change.
  function changed(event) {
    for (const refresh of parts[event.type.split(".")[0]] ?? []) {
      if (waiting.has(refresh)) continue;
      waiting.add(refresh);
      setTimeout(() => { waiting.delete(refresh); refresh().catch(report); }, 500);
    }
  }

  let shown = false;
  setInterval(() => { if (shown && !moment.asOf && !document.hidden) services().catch(report); }, every_ms);

  return {
    before: 100,  // so many events are told again when the page is opened
    async show() {
      shown = true;
      const failed = (await Promise.allSettled([services, models, traffic, challengers, showQuality, () => events.show()].map((f) => f())))
        .filter((one) => one.status === "rejected").map((one) => one.reason);
      if (failed.length) throw failed.find((error) => error.status === 401) ?? Object.assign(new Error([...new Set(failed.map((e) => e.message))].join("; ")), { name: failed[0].name });
    },
    happened(event) {
      events.add(event);
      changed(event);
    },
  };
}
