// One challenger: what it showed on fresh rows, its canary as the evidence grew, and what was decided.
import { badge, facts, h, link, quiet, said, section, when } from "../../parts/dom.js";
import { number, words } from "../../parts/format.js";
import { latest } from "../../parts/latest.js";
import { sequence } from "../../parts/sequence.js";
import { redrawn } from "../../parts/steady.js";
import { get } from "../../shell/api.js";
import { to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";

const mostLooks = 1000;
const tones = { PROMOTED: "production", REFUSED: "archived", FAILED: "bad", CANARY: "serving" };
const signed = (value, digits) => `${value > 0 ? "+" : ""}${value.toFixed(digits)}`;
const between = (value, low, high, digits) => `${signed(value, digits)}, ${signed(low, digits)} to ${signed(high, digits)}`;

const evaluation = (c) => c && Number(c.rows) ? `${between(c.auc_difference, c.auc_low, c.auc_high, 3)} on ${Number(c.rows).toLocaleString("en")} rows` : "";
const proof = (plan) => plan && `${number(plan.percent)} % of the traffic, ${Number(plan.rows).toLocaleString("en")} labelled rows at most`;

const canary = (plan, looks) => sequence({
  title: "Gain in Brier score", unit: "rows", value: "gain", marks: [0, -(plan?.margin ?? 0)], column: { head: "Verdict" },
  looks: looks.map((look) => ({ seen: Number(look.rows), value: look.gain, low: look.low, high: look.high, more: words(look.verdict, "CANARY_VERDICT_") })),
});

export function build(main, { id, report }) {
  const show = latest(async (awaited) => {
    const path = `/api/v1/retrainings/${encodeURIComponent(id)}`;
    const [r, { looks }] = await awaited(Promise.all([get(path), get(`${path}/looks`, { page_size: mostLooks })]));
    const state = r.state.replace("RETRAINING_STATE_", ""), last = looks.at(-1), plan = r.canary_plan;
    redrawn(main, h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.overview(), "Overview")),
      h("h1", {}, said(`${r.model} ${r.challenger || "challenger"}`), " ", badge(words(r.state, "RETRAINING_STATE_"), tones[state] ?? "development")),
      h("div", { class: "lead" }, facts([
        ["In place of", link(to.model(r.model, r.champion), said(r.champion))], ["Challenger", r.challenger && link(to.model(r.model, r.challenger), said(r.challenger))],
        ["Policy", said(r.policy)], ["Monitor", said(r.monitor)], ["Started", when(r.started_at)], ["Ended", when(r.ended_at)],
        ["AUC gained on fresh rows (95 %)", evaluation(r.evaluation)], ["Why", r.reason && said(r.reason)]])),
      section("Canary", { id: "canary" },
        plan && facts([["Given", proof(plan)], ["A loss that does not matter", number(plan.margin)], ["Level", number(plan.alpha)],
          ["Brier score of both", last && `${last.challenger_brier.toFixed(4)} against ${last.champion_brier.toFixed(4)}`], ["Counted up to", last && when(last.until)]]),
        looks.length ? canary(plan, looks) : quiet(r.canary ? "It was judged once, at its end." : "Its outcomes were not looked at yet.")));
    return `${r.model} ${r.challenger}`.trim();
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream === `monitoring.retraining-${id}`) again(); } };
}
