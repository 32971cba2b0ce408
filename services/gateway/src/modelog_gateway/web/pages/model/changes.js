// The change requests of a model: what was asked for, what it leans on, and who said what to it.
import { badge, facts, h, link, quiet, said, text, when } from "../../parts/dom.js";
import { short, stageOf, words } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { to } from "../../shell/address.js";
import { changeActs } from "./change_acts.js";

const state = (change) => words(change.state, "CHANGE_STATE_");
const looks = { open: "staging", approved: "production", applied: "production", rejected: "bad", withdrawn: "archived" };
const decision = { REVIEW_DECISION_APPROVED: ["approved", "production"], REVIEW_DECISION_REJECTED: ["rejected", "bad"] };

export function changes(found) {
  if (found.error) return quiet(`Not known: ${found.error.message}`);
  const { changes: all, next_page_token: more } = found.value;
  const columns = [{ head: "Number", number: true }, { head: "Title", row: true, prose: true }, { head: "Wants" }, { head: "State" }, { head: "Risk" }, { head: "Asked for by" }, { head: "Approved by" }, { head: "Must approve still" }];
  const rows = all.map((c) => [`#${c.number}`, said(c.title), [link(to.model(c.model, c.version), c.version), " → ", badge(stageOf(c.to_stage))], badge(state(c), looks[state(c)]),
    words(c.risk, "RISK_"), said(c.by), said(c.approved_by.join(", ")), said(c.missing.join(", "))]);
  return [
    table("Change requests", columns, rows, "Nobody asked for a promotion in this way."),
    all.map((c) => h("details", {}, h("summary", {}, `#${c.number} `, said(c.title)), whole(c))),
    more && quiet("These are the newest ones."),
  ];
}

const whole = (c) => h("div", { class: "within" },
  c.description && h("p", { class: "note" }, said(c.description)),
  facts([["Asked for", when(c.at)], ["Risk", said(c.risk_reasons.join("; "))], ["Asked to look", said(c.asked.join(", "))], ["To be served afterwards by", c.deployment && link(to.deployment(c.deployment), said(c.deployment))],
    ["Ended", c.ended_at && [said(c.ended_by), ", ", when(c.ended_at), c.ended_because && [": ", said(c.ended_because)]]]]),
  table(`Evidence of request ${c.number}`, [{ head: "Evidence", row: true }, { head: "Kind" }, { head: "Where" }, { head: "By" }, { head: "When" }],
    c.evidence.map((e) => [said(e.name), words(e.kind, "EVIDENCE_KIND_"), [e.link && text(e.link), " ", e.digest && h("code", { title: e.digest }, short(e.digest))], said(e.by), when(e.at)]), "No evidence was attached."),
  table(`Reviews of request ${c.number}`, [{ head: "Reviewer", row: true }, { head: "Said" }, { head: "Comment", prose: true }, { head: "When" }],
    c.reviews.map((r) => [said(r.reviewer), [badge(...(decision[r.decision] ?? [words(r.decision, "REVIEW_DECISION_")])), !r.in_force && h("span", { class: "quiet" }, " no longer in force")], text(r.comment), when(r.at)]), "Nobody has reviewed it."),
  c.comments.length > 0 && h("ul", { class: "comments" }, c.comments.map((one) => h("li", {}, said(one.by), ", ", when(one.at), ": ", text(one.text)))),
  changeActs(c));
