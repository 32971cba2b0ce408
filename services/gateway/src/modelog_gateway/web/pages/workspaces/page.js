// The workspaces that the reader may look into: their projects, members, and what is in them.
import { badge, h, link, replace, said, section, when } from "../../parts/dom.js";
import { latest } from "../../parts/latest.js";
import { table } from "../../parts/table.js";
import { get } from "../../shell/api.js";
import { to } from "../../shell/address.js";
import { calmly } from "../../shell/events.js";

const columns = [{ head: "Workspace", row: true }, { head: "Projects" }, { head: "Members" }, { head: "In it" }, { head: "Created" }];

export function build(main, { report }) {
  const found = h("div");
  replace(main, h("h1", {}, "Workspaces"), section("All", { id: "s-workspaces" }, found));

  const show = latest(async (awaited) => {
    const { workspaces } = await awaited(get("/api/v1/workspaces"));
    replace(found, table("Workspaces", columns, workspaces.map(line)));
    return "Workspaces";
  });

  const again = calmly(show, report);
  return { show, happened: (event) => { if (event.stream.startsWith("registry.workspace-")) again(); } };
}

const line = (one) => [
  [said(one.name), one.access === "WORKSPACE_ACCESS_RESTRICTED" && [" ", badge("members only", "archived")],
    one.description && h("div", { class: "quiet clamp" }, said(one.description))],
  one.projects.map((project) => h("div", {}, said(project.name), project.description && [" ", h("span", { class: "quiet" }, said(project.description))])),
  one.members.map((member) => h("div", {}, said(`${member.user} (${member.role})`))),
  [link(to.experiments({ workspace: one.name }), "experiments"), ", ", link(to.models({ workspace: one.name }), "models")],
  when(one.created_at),
];
