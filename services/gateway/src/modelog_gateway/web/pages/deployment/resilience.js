// What a deployment does when a version fails, and how its circuit breakers stand.
import { badge, facts, h, said } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { table } from "../../parts/table.js";

const tones = { BREAKER_STATE_CLOSED: "serving", BREAKER_STATE_OPEN: "bad", BREAKER_STATE_HALF_OPEN: "archived" };

export function resilience({ resilience: set }) {
  if (!set) return h("p", {}, "Its error is the answer.");
  const { breaker, retries, fallback } = set;
  // Worker processes have breakers of their own.
  const worker = (set.breakers ?? []).some((b) => b.worker);
  const seen = table("Circuit breakers", [{ head: "Version", row: true }, ...(worker ? [{ head: "Worker", number: true }] : []), { head: "State" }, { head: "Tried again in", number: true }],
    (set.breakers ?? []).map((b) => [b.version, ...(worker ? [b.worker] : []), badge(words(b.state, "BREAKER_STATE_"), tones[b.state]), b.again_in_s ? `${Math.ceil(b.again_in_s)} s` : ""]), "No breaker is known of now.");
  return h("div", {}, h("div", { class: "lead" }, facts([
    ["Breaker", breaker ? `opens for ${breaker.open_s} s when ${share(breaker.failure_share)} of ${breaker.min_requests} or more requests in ${breaker.window_s} s failed` : ""],
    ["Attempts", retries ? `${retries.attempts}; retries are at most ${share(retries.budget ?? 0)} of the requests, or ${retries.least ?? 0} in 10 s` : ""],
    ["Time for each", set.timeout_ms ? `${set.timeout_ms} ms` : ""],
    ["Instead", fallback?.version ? said(fallback.version) : ""],
    ["Default answer", (fallback?.outputs ?? []).map((o) => `${o.output} ${(o.values ?? []).join(", ")}`).join("; ")],
    ["Retries", Number(set.retried ?? 0).toLocaleString("en")],
    ["Fallbacks", Number(set.fallbacks ?? 0).toLocaleString("en")],
  ])), breaker ? seen : "");
}

const share = (part) => `${Number((part * 100).toFixed(2))} %`;
