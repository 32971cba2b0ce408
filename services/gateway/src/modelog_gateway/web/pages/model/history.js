// What happened to a model, in words, and what was decided about its promotions.
import { badge, h, link, quiet, said, when } from "../../parts/dom.js";
import { stageOf, words } from "../../parts/format.js";
import { table } from "../../parts/table.js";

const shownAtFirst = 20;

// The page at that moment, whatever the page now shows.
const then = (position) => {
  const query = new URLSearchParams(location.search);
  query.set("as_of", position);
  return h("a", { href: `${location.pathname}?${query}`, title: "This page as it was then" }, position);
};

export function decisions(facts) {
  const reviews = new Map(facts.filter((f) => f.kind === "FACT_KIND_VERSION_REVIEWED").map((f) => [f.approval_id, f]));
  const rows = facts.filter((f) => ["FACT_KIND_VERSION_PROMOTED", "FACT_KIND_VERSION_REVIEWED"].includes(f.kind)).reverse().map((f) => {
    const leans = f.kind === "FACT_KIND_VERSION_PROMOTED" && reviews.get(f.approval_id);
    const what = f.kind === "FACT_KIND_VERSION_PROMOTED" ? [badge(stageOf(f.from_stage)), " → ", badge(stageOf(f.to_stage))]
      : f.decision === "REVIEW_DECISION_APPROVED" ? badge("approved", "production") : badge("rejected", "bad");
    return [f.version, what, said(f.by), said(f.reason), leans ? ["approved by ", said(leans.by), ", ", when(leans.at)] : "", when(f.at), then(f.position)];
  });
  return table("Promotion decisions", [{ head: "Version", row: true }, { head: "Decision" }, { head: "By" }, { head: "Why", prose: true }, { head: "Leans on" }, { head: "When" }, { head: "Position", number: true }],
    rows, "Nothing was reviewed or promoted yet.");
}

export function everything(facts, more) {
  if (!facts.length) return quiet("Nothing happened yet.");
  const lines = [...facts].reverse().map((f) => [when(f.at), said(f.by), inWords(f), then(f.position)]);
  const shown = (rows) => table("History", [{ head: "When" }, { head: "By" }, { head: "What", row: true, prose: true }, { head: "Position", number: true }], rows);
  const rest = lines.slice(shownAtFirst);
  return [
    shown(lines.slice(0, shownAtFirst)),
    rest.length > 0 && h("details", {}, h("summary", {}, `${rest.length} earlier`), shown(rest)),
    more && quiet("These are the first thousand: ", h("code", {}, "modelog model history"), " tells all."),
  ];
}

function inWords(f) {
  const of = f.version ? ` ${f.version}` : "";
  switch (f.kind) {
    case "FACT_KIND_ALIAS_SET": return ["alias ", said(f.alias), ` → ${f.version}`, f.from_version && `, before ${f.from_version}`];
    case "FACT_KIND_ALIAS_DELETED": return ["alias ", said(f.alias), " taken away"];
    case "FACT_KIND_VERSION_PROMOTED": return [`${f.version}: ${stageOf(f.from_stage)} → ${stageOf(f.to_stage)}`, f.reason && [": ", said(f.reason)]];
    case "FACT_KIND_VERSION_REVIEWED": return [`${f.version} ${words(f.decision, "REVIEW_DECISION_")}: `, said(f.reason)];
    case "FACT_KIND_MODEL_TAGGED":
    case "FACT_KIND_VERSION_TAGGED": return [`tags${of}: `, said([...Object.entries(f.tags_set).map(([k, v]) => `${k}=${v}`), ...f.tags_removed.map((k) => `without ${k}`)].join(", "))];
    default: return [words(f.kind, "FACT_KIND_"), of, f.description && [": ", said(f.description)], f.reason && [": ", said(f.reason)]];
  }
}
