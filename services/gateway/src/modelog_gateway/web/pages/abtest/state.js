// How far an A/B test is, and what came of it, in words.
import { words } from "../../parts/format.js";

const verdicts = {
  AB_VERDICT_A_BETTER: "a is better.", AB_VERDICT_B_BETTER: "b is better.", AB_VERDICT_NO_DIFFERENCE: "No difference that matters.",
  AB_VERDICT_INCONCLUSIVE: "Inconclusive.",
};

export const stateOf = (test) => words(test.state, "AB_STATE_");

export const toneOf = (test) => ({ AB_STATE_RUNNING: "serving", AB_STATE_DECIDED: "production", AB_STATE_DRAFT: "development" })[test.state] ?? "archived";

export const verdictOf = (test) => verdicts[test.verdict] ?? (test.state === "AB_STATE_RUNNING" ? "Nothing is decided yet." : "");
