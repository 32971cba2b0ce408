// The A/B tests of a deployment.
import { link, said } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { to } from "../../shell/address.js";
import { stateOf, verdictOf } from "../abtest/state.js";

export const tests = (found) => table("A/B tests", [{ head: "A/B test", row: true }, { head: "a" }, { head: "b" }, { head: "Compared" }, { head: "State" }, { head: "What came of it", prose: true }],
  found.map((test) => [link(to.abTest(test.name), said(test.name)), test.a, test.b, words(test.metric, "AB_METRIC_"), stateOf(test), [verdictOf(test), " ", said(test.reason)]]), "No version was tested against another.");
