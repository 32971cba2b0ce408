// A deployment: which versions answer, how its traffic was split, and what leads to it.
import { actions } from "../../parts/action.js";
import { badge, facts, h, link, said, section, when } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { latest } from "../../parts/latest.js";
import { redrawn } from "../../parts/steady.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";
import { to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";
import { lineage } from "../model/lineage.js";
import { latencies } from "./latencies.js";
import { asked, learned } from "./learning.js";
import { release, rollback } from "./releases.js";
import { share } from "./share.js";
import { replicas, scaling } from "./replicas.js";
import { resilience } from "./resilience.js";
import { tests } from "./tests.js";

const mostLooks = 1000;

export function build(main, { name, report }) {
  const show = latest(async (awaited) => {
    const [d, took, found, { releases }] = await awaited(Promise.all([get(`/api/v1/deployments/${encodeURIComponent(name)}`), get(`/api/v1/deployments/${encodeURIComponent(name)}/latencies`), get("/api/v1/ab-tests", { deployment: name }), get("/api/v1/releases", { deployment: name })]));
    const { looks } = releases.length ? await awaited(get(`/api/v1/releases/${encodeURIComponent(name)}/looks`, { page_size: mostLooks })) : { looks: [] };
    const learning = d.variants.some((v) => v.flavor === "river") && await awaited(asked(name));
    redrawn(main, h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.overview(), "Overview")), h("h1", {}, said(name), " ", badge(words(d.status, "DEPLOYMENT_STATUS_"), d.status === "DEPLOYMENT_STATUS_RUNNING" ? "serving" : d.status === "DEPLOYMENT_STATUS_FAILED" ? "bad" : "archived")),
      h("div", { class: "lead" }, facts([["Model", link(to.model(d.model), said(d.model))], ["Environment", words(d.environment, "DEPLOYMENT_ENVIRONMENT_")], ["Author", said(d.author)], ["Created", when(d.created_at)], ["Changed", when(d.updated_at)], ["Replicas", replicas(d)], ["Scaling", scaling(d.scaling)], ["Error", said(d.error)]])),
      section("Traffic", {}, share(d), table("Versions", [{ head: "Version", row: true }, { head: "Share", number: true }, { head: "Answered", number: true }, { head: "Flavor" }, { head: "Model file" }],
        d.variants.map((v) => [link(to.model(d.model, v.version), v.version), `${v.percent.toFixed(0)} %`, Number(v.answered).toLocaleString("en"), v.flavor, h("code", { title: v.model_digest }, v.model_digest.slice(0, 12))]), "No version answers.")),
      section("Latencies", {}, latencies(took)),
      section("When a version fails", {}, resilience(d)),
      learning && section("Learning", {}, learned(learning)),
      actions("What can be done", rollback(d)),
      section("Releases", { id: "releases" }, release(releases, looks)),
      section("A/B tests", { id: "ab-tests" }, tests(found.tests)),
      section("Lineage", {}, lineage(`Deployment:${name}`)));
    return name;
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (/^(serving\.|monitoring\.abtest)/.test(event.stream)) again(); } };
}
