// Releases of a deployment: where the last one is, its evidence as it grew, those before it, and the way back.
import { action } from "../../parts/action.js";
import { badge, facts, field, h, link, quiet, said, when } from "../../parts/dom.js";
import { number, words } from "../../parts/format.js";
import { line } from "../../parts/forms.js";
import { table } from "../../parts/table.js";
import { to } from "../../shell/address.js";

const tones = { RELEASE_STATE_RUNNING: "serving", RELEASE_STATE_PROMOTED: "production", RELEASE_STATE_ROLLED_BACK: "bad" };
const share = (rate) => `${(100 * rate).toFixed(3)} %`;
const points = (rate) => `${rate > 0 ? "+" : ""}${(100 * rate).toFixed(3)}`;
const whole = (n) => Number(n ?? 0).toLocaleString("en");

// All of the traffic for an earlier version, once somebody has said so twice.
export const rollback = (d) => action("Roll back", {
  permission: "deployment.write", of: d.name, final: "All requests are answered by the earlier version at once. A release that is running ends.",
  form() {
    const version = line({ placeholder: "the last one that had all of the traffic" });
    const reason = line();
    return {
      parts: [field("To version", version), field("Why", reason)],
      async send(call) {
        const now = await call(`/api/v1/deployments/${encodeURIComponent(d.name)}/rollback`, { version: version.value.trim(), reason: reason.value });
        return `${now.variants.map((v) => v.version).join(", ")} answers all requests of ${d.name}.`;
      },
    };
  },
});

export function release(found, looks) {
  const [last, ...before] = found;
  if (!last) return quiet("No version was released to it by evidence.");
  const plan = last.plan;
  return h("div", {},
    h("p", {}, link(to.model(last.model, last.candidate), said(last.candidate)), " in place of ", link(to.model(last.model, last.incumbent), said(last.incumbent)), " ", badge(words(last.state, "RELEASE_STATE_"), tones[last.state] ?? "archived")),
    facts([["Release", last.number], ["Pattern", words(plan.pattern, "RELEASE_PATTERN_")], ["Step", `${last.step} of ${plan.steps.length}, ${number(last.percent)} %`], ["Level", number(plan.alpha)],
      ["A slow answer takes", plan.latency_limit_ms ? `more than ${number(plan.latency_limit_ms)} ms` : ""], ["Started by", said(last.author)], ["Started", when(last.started_at)], ["Ended", when(last.ended_at)], ["Why", said(last.reason)]]),
    evidence(last), history(looks),
    before.length > 0 && table("Releases before", [{ head: "Release", row: true, number: true }, { head: "From" }, { head: "To" }, { head: "State" }, { head: "Why", prose: true }],
      before.map((r) => [r.number, r.incumbent, r.candidate, words(r.state, "RELEASE_STATE_"), said(r.reason)])));
}

function evidence({ evidence: e }) {
  const rows = (e?.compared ?? []).map((c) => [c.figure === "errors" ? "Failed requests" : "Slow answers", share(c.incumbent), share(c.candidate), points(c.difference), `${points(c.low)} to ${points(c.high)}`, number(100 * c.margin), number(c.harm_p), number(c.safety_p)]);
  const o = e?.outcome;
  return [
    rows.length > 0 && table("Evidence of this step", [{ head: "Figure", row: true }, { head: "Incumbent", number: true }, { head: "Candidate", number: true }, { head: "Difference, points", number: true }, { head: "Always-valid interval" }, { head: "Margin", number: true }, { head: "p of no harm", number: true }, { head: "p of no safety", number: true }], rows),
    o && h("p", {}, "Outcomes: ", link(to.abTest(o.test), said(o.test)), `, difference ${number(o.estimate)}, p ${number(o.p_value)}`),
    e?.mirrored && h("p", {}, `Shadow: ${whole(e.mirrored.alike)} of ${whole(e.mirrored.compared)} answers alike, ${whole(e.mirrored.failed)} failed, ${whole(e.mirrored.dropped)} not asked for`),
  ];
}

// What was known when, and what followed.
const history = (looks) => table("What was known when", [{ head: "At", row: true }, { head: "What happened" }, { head: "Step", number: true }, { head: "Requests of incumbent", number: true }, { head: "of candidate", number: true }, { head: "Why", prose: true }],
  looks.map((look) => [when(look.at), look.event.replace("Release", "").replace(/(?!^)([A-Z])/g, " $1").toLowerCase(), look.evidence?.step ?? 1, whole(look.evidence?.incumbent?.requests), whole(look.evidence?.candidate?.requests), said(look.reason)]));
