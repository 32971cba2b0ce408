// The model card of a version: what people said of it, what nobody has said yet, and the card as a file.
import { facts, h, quiet, replace, said, text, when } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { saved } from "../../parts/saved.js";
import { get, wasGivenUp } from "../../shell/api.js";

const lists = [["users", "For whom"], ["use_cases", "For what"], ["limitations", "Limitations"], ["tradeoffs", "Trade-offs"]];

export function card(model, version) {
  const path = `/api/v1/models/${encodeURIComponent(model)}/versions/${version}`;
  const place = h("div", {}, quiet("Looking …"));
  get(`${path}/card`).then((found) => replace(place, shown(found, path)))
    .catch((error) => { if (!wasGivenUp(error)) replace(place, quiet(`The card could not be read: ${error.message}`)); });
  return place;
}

function shown({ parts, missing, edited_by: by, edited_at: at, taken_from: source, model, version }, path) {
  const name = `${model}-${version}`, wrong = quiet("");
  const button = (label, made) => h("button", { type: "button", onclick: () => made().then((content) => saved(content, label.name)).catch((error) => { if (!wasGivenUp(error)) wrong.textContent = error.message; }) }, label.text);
  const rendered = async (kind, type) => new Blob([(await get(`${path}/card/rendered`))[kind]], { type });
  return [
    parts?.overview && h("p", {}, said(parts.overview)),
    parts?.documentation && h("pre", { tabIndex: 0, "aria-label": "Documentation" }, parts.documentation),
    facts([
      ["Owners", said((parts?.owners ?? []).map((o) => [o.name, o.contact].filter(Boolean).join(", ")).join("; "))],
      ["Licences", said((parts?.licenses ?? []).map((l) => l.identifier || "a text of its own").join(", "))],
      ["Architecture", parts?.model_architecture && text(parts.model_architecture)], ["Changed since the version before", parts?.diff && text(parts.diff)],
      ["Written", at && [said(by), ", ", when(at)]], ["Taken over from", source],
    ]),
    lists.map(([key, title]) => parts?.[key]?.length > 0 && [h("h3", {}, title), h("ul", {}, parts[key].map((one) => h("li", {}, text(one))))]),
    parts?.ethical_considerations?.length > 0 && [h("h3", {}, "Risks"), h("ul", {}, parts.ethical_considerations.map((r) => h("li", {}, said(r.name), r.mitigation_strategy && [": ", text(r.mitigation_strategy)])))],
    missing.length > 0 && quiet(`Nobody has written: ${missing.map((one) => words(one, "")).join(", ")}.`),
    h("div", { class: "toolbar" },
      button({ text: "Save as HTML", name: `${name}-card.html` }, () => rendered("html", "text/html")),
      button({ text: "Save as Markdown", name: `${name}-card.md` }, () => rendered("markdown", "text/markdown")),
      button({ text: "Save the bill of materials", name: `${name}-bom.json` }, async () => new Blob([(await get(`${path}/bom`)).json], { type: "application/json" }))),
    wrong,
  ];
}
