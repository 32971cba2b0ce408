// Pages of a list whose next one is named by a token: the browser's own way back leads to the one before.
import { asked, put } from "../shell/address.js";
import { h } from "./dom.js";

export function pager(next, { show, report }) {
  const here = asked().get("page");
  if (!next && !here) return null;
  const go = (page) => () => { put({ page }); show().then(() => scrollTo({ top: 0 })).catch(report); };
  return h("nav", { class: "pager", "aria-label": "Pages of the list" },
    here && h("button", { type: "button", onclick: go("") }, "First page"),
    next && h("button", { type: "button", onclick: go(next) }, "Next page"));
}
