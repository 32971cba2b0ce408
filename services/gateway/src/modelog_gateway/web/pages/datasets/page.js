// The list of datasets.
import { h, link, replace, said, section, when } from "../../parts/dom.js";
import { latest } from "../../parts/latest.js";
import { pager } from "../../parts/pager.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";
import { asked, to } from "../../shell/address.js";

export function build(main, { report }) {
  const found = h("div");
  replace(main, h("h1", {}, "Datasets"), section("All", { id: "s-datasets" }, found));

  const show = latest(async (awaited) => {
    const { datasets, next_page_token: next } = await awaited(get("/api/v1/datasets", { page_size: 100, page_token: asked().get("page") ?? "" }));
    replace(found, table("Datasets", [{ head: "Dataset", row: true }, { head: "Newest version", number: true }, { head: "Registered" }],
      datasets.map((d) => [link(to.dataset(d.name), said(d.name)), String(d.latest_version), when(d.created_at)]), "No dataset is registered. `modelog dataset register NAME FILE` registers one."), pager(next, { report, show }));
    return "Datasets";
  });

  return { show };
}
