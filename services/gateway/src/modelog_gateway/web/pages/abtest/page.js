// An A/B test: what was planned, the confidence sequence as it grew, and what was decided.
import { badge, facts, h, link, quiet, said, section, when } from "../../parts/dom.js";
import { count, number, words } from "../../parts/format.js";
import { latest } from "../../parts/latest.js";
import { sequence } from "../../parts/sequence.js";
import { redrawn } from "../../parts/steady.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";
import { to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { stateOf, toneOf, verdictOf } from "./state.js";

const mostLooks = 1000;

const bounds = (test) => test.lowest === undefined ? "" : `, from ${number(test.lowest)} to ${number(test.highest)}`;

function guesses({ baseline, sd, measured }) {
  if (!measured) return `${baseline ? number(baseline) : "not given"}, ${number(sd)}`;
  return [`${number(measured.mean)}, ${number(measured.sd)}, measured of ${count(measured.events, "prediction")} from `, when(measured.since), " to ", when(measured.until)];
}

const differences = (test, looks) => sequence({
  title: "Mean of b minus mean of a", unit: "predictions", marks: [0, test.min_effect, -test.min_effect], column: { head: "p", number: true },
  looks: looks.map((look) => ({ seen: Number(look.events_a) + Number(look.events_b), value: look.estimate, low: look.low, high: look.high, more: number(look.p_value) })),
});

export function build(main, { name, report }) {
  const show = latest(async (awaited) => {
    const path = `/api/v1/ab-tests/${encodeURIComponent(name)}`;
    const [test, { looks }] = await awaited(Promise.all([get(path), get(`${path}/looks`, { page_size: mostLooks })]));
    const seen = looks.at(-1);
    redrawn(main, h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.deployment(test.deployment), said(test.deployment))),
      h("h1", {}, said(name), " ", badge(stateOf(test), toneOf(test))),
      h("div", { class: "lead" }, h("p", {}, verdictOf(test), " ", said(test.reason)), facts([
        ["a", link(to.model(test.model, test.a), test.a)], ["b", [link(to.model(test.model, test.b), test.b), `, ${number(100 * test.share_b)} % of the traffic of both`]],
        ["Compared", words(test.metric, "AB_METRIC_")], ["Smallest difference that matters", number(test.min_effect)], ["Level", number(test.alpha)],
        ["Power", number(test.power)], ["Method", [words(test.method, "AB_METHOD_"), bounds(test)]], ["Mean of a, standard deviation", guesses(test)],
        ["Needed for one look", `${count(test.needed.a, "prediction")} of a, ${Number(test.needed.b).toLocaleString("en")} of b`],
        ["Needed when watched", `about ${Number(test.needed.watched).toLocaleString("en")}`],
        ["Planned by", said(test.author)], ["Started", when(test.started_at)], ["Ends by", when(test.ends_by)], ["Ended", when(test.ended_at)]])),
      section("Difference", {}, looks.length ? differences(test, looks) : quiet("It was not looked at yet.")),
      section("Versions", {}, seen ? table("Versions", [{ head: "Version", row: true }, { head: "Predictions", number: true }, { head: "Mean", number: true }],
        [[test.a, Number(seen.events_a).toLocaleString("en"), number(seen.mean_a)], [test.b, Number(seen.events_b).toLocaleString("en"), number(seen.mean_b)]]) : quiet("No outcome was counted yet.")));
    return name;
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream.startsWith("monitoring.abtest")) again(); } };
}
