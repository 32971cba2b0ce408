// Who signed a version, with which key; and whether it is to be retired.
import { badge, h, quiet, replace, said, when } from "../../parts/dom.js";
import { files } from "../../parts/files.js";
import { short, stageOf, words } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { get, wasGivenUp } from "../../shell/api.js";

export function signatures(model, version) {
  const place = h("div", {}, quiet("Looking …"));
  get(`/api/v1/models/${encodeURIComponent(model)}/versions/${version}/signatures`)
    .then(({ signatures: all }) => replace(place,
      table("Signatures", [{ head: "Signed by", row: true }, { head: "Key" }, { head: "When" }, { head: "Beside the files" }], all.map((s) => [said(s.by), h("code", { title: s.key }, short(s.key)), when(s.at), said(s.files.map((f) => f.path).join(", "))]),
        "Nobody has signed this version."),
      all.length > 0 && quiet("The platform has no key: `modelog model verify` checks a signature, offline too."), all.length > 0 && files([all[0].signature], "")))
    .catch((error) => { if (!wasGivenUp(error)) replace(place, quiet(`Signatures are not known: ${error.message}`)); });
  return place;
}

const looks = { announced: "staging", archived: "archived", objected: "production", "called off": "archived" };

export function retirements(found) {
  if (found.error) return quiet(`Not known: ${found.error.message}`);
  return table("Retirements", [{ head: "Version", row: true }, { head: "Stage" }, { head: "State" }, { head: "Why" }, { head: "Announced" }, { head: "Due" }, { head: "Ended" }],
    found.value.retirements.map((r) => [r.version, badge(stageOf(r.stage)), badge(words(r.state, "RETIREMENT_STATE_"), looks[words(r.state, "RETIREMENT_STATE_")]), said(r.reason), when(r.announced_at), when(r.due),
      r.ended_at && [said(r.ended_by), ", ", when(r.ended_at), r.ended_because && [": ", said(r.ended_because)]]]), "No version of this model is to be retired.");
}
