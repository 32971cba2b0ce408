// A dataset: its versions, their columns and expectations, and what was made of them.
import { facts, h, link, quiet, replace, said, section, when } from "../../parts/dom.js";
import { bytes } from "../../parts/format.js";
import { latest } from "../../parts/latest.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";
import { asked, to } from "../../shell/address.js";
import { lineage } from "../model/lineage.js";

export function build(main, { name }) {
  const show = latest(async (awaited) => {
    const { versions } = await awaited(get(`/api/v1/datasets/${encodeURIComponent(name)}/versions`, { page_size: 1000 }));
    const all = [...versions].reverse(), chosen = all.find((v) => String(v.version) === asked().get("version")) ?? all[0];
    replace(main, h("nav", { class: "crumbs", "aria-label": "Where this is" }, link(to.datasets(), "Datasets")), h("h1", {}, said(name)),
      section("Versions", {}, table(`Versions of ${name}`, [{ head: "Version", row: true }, { head: "Label" }, { head: "Rows", number: true }, { head: "Size", number: true }, { head: "SHA-256" }, { head: "Author" }, { head: "Registered" }],
        all.map((v) => [h("a", { href: to.dataset(name, String(v.version)), "aria-current": v === chosen ? "true" : null }, String(v.version)), said(v.label), Number(v.rows).toLocaleString("en"), bytes(v.size_bytes), h("code", { title: v.digest }, v.digest.slice(0, 12)), said(v.author), when(v.created_at)]),
        "There is no version at this moment.")),
      chosen && version(chosen),
      chosen && section(`Lineage of version ${chosen.version}`, { id: "lineage" }, lineage(`DatasetVersion:${name}/${chosen.version}`)));
    return name;
  });

  return { show };
}

function version(v) {
  return section(`Version ${v.version}`, { id: "version" }, v.description && h("p", {}, said(v.description)), facts([["Label", said(v.label)], ["SHA-256", h("code", {}, v.digest)]]),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, "Columns"), table("Columns", [{ head: "Name", row: true }, { head: "Type" }], v.schema.map((c) => [said(c.name), c.type]), "None.")),
      h("div", {}, h("h3", {}, "Expectations"), v.expectations.length ? table("Expectations", [{ head: "Column", row: true }, { head: "Must be" }], v.expectations.map((e) => [said(e.column || "all rows"), said(demand(e))])) : quiet("None: nothing is checked before training."))));
}

const demand = (e) => [e.kind.replaceAll("_", " "), e.minimum !== undefined && `from ${e.minimum}`, e.maximum !== undefined && `to ${e.maximum}`, e.values.length > 0 && e.values.join(", ")].filter(Boolean).join(" ");
